//! Removing segments, and asking whether anyone uses one.

use super::create::shm_name;
use super::lock::LOCK_BYTES;
use super::{LockByte, SegmentError, SegmentFile};
use crate::sys::ofd_lock;
use shared_memory::ShmemConf;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

impl SegmentFile {
    /// Removes the segment; whoever has it mapped keeps it until it unmaps it.
    ///
    /// # Errors
    /// [`SegmentError::InUse`] if this holder does not have the run lock or a worker lives; [`SegmentError::Replaced`] if the
    /// path names another file now.
    pub fn remove(self) -> Result<(), SegmentError> {
        self.check_idle()?;
        if !self.is_current() {
            return Err(SegmentError::Replaced {
                path: self.path().to_owned(),
            });
        }
        remove(self.path())
    }

    /// Whether this holder has the run lock and no worker holds a region.
    pub(super) fn check_idle(&self) -> Result<(), SegmentError> {
        let in_use = |who: String| SegmentError::InUse {
            path: self.path().to_owned(),
            who,
        };
        if !self.holds(LockByte::Run) {
            return Err(in_use("a supervisor, or nobody yet,".to_owned()));
        }
        for region in &self.layout().regions {
            if self.is_locked_by_another(LockByte::Region(region.torus))? {
                return Err(in_use(format!("the worker of torus {}", region.torus)));
            }
        }
        Ok(())
    }
}

/// Whether anyone holds any lock of the file at `path`, which need not be a whole segment.
///
/// # Errors
/// [`SegmentError::NotFound`], [`SegmentError::Permission`], or what fcntl(2) reports.
pub fn in_use(path: &Path) -> Result<bool, SegmentError> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| SegmentError::io("open", path, error))?;
    // In one call: a worker may be about to exchange one of its bytes for another.
    let held = ofd_lock::held_by_another(&file, 0..LOCK_BYTES);
    held.map_err(|errno| SegmentError::io("look at the locks of", path, errno))
}

/// Removes the file at `path`, whatever it is; for what [`SegmentFile::open`] refuses. The caller has asked [`in_use`].
///
/// # Errors
/// [`SegmentError::NotFound`], [`SegmentError::Permission`], or what unlink(2) reports.
pub fn remove(path: &Path) -> Result<(), SegmentError> {
    if let Some(name) = shm_name(path) {
        // Taking ownership and dropping it is how `shared_memory` removes an object. An object that it cannot map (of
        // length 0, say) it cannot own, so that one is removed below.
        if let Ok(mut shm) = ShmemConf::new().os_id(name).open() {
            shm.set_owner(true);
            drop(shm);
            if !path.exists() {
                return Ok(());
            }
        }
    }
    std::fs::remove_file(path).map_err(|error| SegmentError::io("remove", path, error))
}
