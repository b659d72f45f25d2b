//! The locks of a segment: one byte of the file each, taken as open-file-description locks.

use super::{Inode, SegmentError, SegmentFile};
use crate::sys::ofd_lock;
use crate::torus::{TORI, Torus};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a lock is for. It says who may write, and is proof of life: the kernel releases it when its holder is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockByte {
    /// The run: its supervisor.
    Run,
    /// A region: the torus's worker.
    Region(Torus),
    /// The audit page: the scrubber.
    Audit,
    /// A lane to all tori: its client.
    Lane(u32),
}

const AUDIT: u64 = 4;
const FIRST_LANE: u64 = 16;
/// Bytes of the file that carry locks.
pub(super) const LOCK_BYTES: u64 = FIRST_LANE + 32;
const _: () = assert!(LOCK_BYTES <= 64 && (TORI as u64) < AUDIT && AUDIT < FIRST_LANE);

impl LockByte {
    /// The byte of the file: 0 for the run, 1 to 3 for the regions, 4 for the audit page, 16 and up for the lanes.
    pub const fn byte(self) -> u64 {
        match self {
            LockByte::Run => 0,
            LockByte::Region(torus) => 1 + torus.index() as u64,
            LockByte::Audit => AUDIT,
            LockByte::Lane(lane) => FIRST_LANE + lane as u64,
        }
    }
}

/// Which locks this holder has, as a bit per byte: the kernel does not tell a description about its own.
#[derive(Debug, Default)]
pub(super) struct HeldLocks(AtomicU64);

impl HeldLocks {
    // Ordering: Relaxed in all three; the bits say what this process did and order nothing.
    fn set(&self, lock: LockByte) {
        self.0.fetch_or(1 << lock.byte(), Ordering::Relaxed);
    }

    fn clear(&self, lock: LockByte) {
        self.0.fetch_and(!(1 << lock.byte()), Ordering::Relaxed);
    }

    pub(super) fn has(&self, lock: LockByte) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << lock.byte()) != 0
    }
}

impl SegmentFile {
    fn check_lane(&self, lock: LockByte) -> Result<(), SegmentError> {
        match lock {
            LockByte::Lane(lane) if lane as usize >= self.layout().geometry.lanes => {
                Err(SegmentError::NoSuchPart {
                    path: self.path().to_owned(),
                    what: format!("lane {lane}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// Takes a lock if nobody else holds it; says whether this holder has it now. It keeps it until it unlocks it, is
    /// dropped, or dies.
    ///
    /// # Errors
    /// [`SegmentError::Replaced`] if the path no longer names this file (the lock is given back then);
    /// [`SegmentError::NoSuchPart`] for a lane that the run does not have; what fcntl(2) reports.
    pub fn try_lock(&self, lock: LockByte) -> Result<bool, SegmentError> {
        self.check_lane(lock)?;
        let io = |errno: nix::errno::Errno| SegmentError::io("lock", self.path(), errno);
        if self.held.has(lock) {
            return Ok(true);
        }
        if !ofd_lock::try_lock(self.file(), lock.byte()).map_err(io)? {
            return Ok(false);
        }
        if Inode::at(self.path()) != Some(self.inode) {
            ofd_lock::unlock(self.file(), lock.byte()).map_err(io)?;
            return Err(SegmentError::Replaced {
                path: self.path().to_owned(),
            });
        }
        self.held.set(lock);
        Ok(true)
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// What fcntl(2) reports.
    pub fn unlock(&self, lock: LockByte) -> Result<(), SegmentError> {
        self.check_lane(lock)?;
        let result = ofd_lock::unlock(self.file(), lock.byte());
        result.map_err(|errno| SegmentError::io("unlock", self.path(), errno))?;
        self.held.clear(lock);
        Ok(())
    }

    /// Whether this holder has the lock.
    pub fn holds(&self, lock: LockByte) -> bool {
        self.check_lane(lock).is_ok() && self.held.has(lock)
    }

    /// Whether anyone holds the lock, this holder included.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchPart`] for a lane that the run does not have; what fcntl(2) reports.
    pub fn is_locked(&self, lock: LockByte) -> Result<bool, SegmentError> {
        Ok(self.holds(lock) || self.is_locked_by_another(lock)?)
    }

    /// Whether another holder (another opening of the file, of this process or of another) has the lock.
    ///
    /// # Errors
    /// As [`SegmentFile::is_locked`].
    pub fn is_locked_by_another(&self, lock: LockByte) -> Result<bool, SegmentError> {
        self.check_lane(lock)?;
        let held = ofd_lock::held_by_another(self.file(), lock.byte());
        held.map_err(|errno| SegmentError::io("look at the locks of", self.path(), errno))
    }
}
