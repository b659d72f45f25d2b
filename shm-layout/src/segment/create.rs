//! Creating a segment: under a temporary name, in full, and only then under its own.
//!
//! 1. a file of the full length under the temporary name `PATH.new-PID`, mode 0600 (for /dev/shm by `shared_memory`,
//!    which is told at once that it does not own the object, because a run outlives its creator);
//! 2. the run lock;
//! 3. `posix_fallocate`, so that a full tmpfs is an error here and never a SIGBUS later;
//! 4. configuration, control words, header; the magic word last;
//! 5. whatever the creator wants to be in it ([`Draft::worker`]: a resumed run's state);
//! 6. the final name, atomically.
//!
//! A creator that dies on the way leaves a temporary file that nobody mistakes for a segment.

use super::map::Mapping;
use super::{Inode, LockByte, SegmentError, SegmentFile};
use crate::config::RunConfig;
use crate::hash;
use crate::header::{HEADER_WORDS, Header, MAGIC, MAGIC_WORD};
use crate::layout::{Layout, PAGE, Part};
use crate::region::{Memory, SupervisorSegment, WorkerSegment};
use crate::sys::clock;
use crate::sys::ofd_lock;
use crate::torus::Torus;
use crate::words::Own;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, posix_fallocate, renameat2};
use shared_memory::{ShmemConf, ShmemError};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where POSIX shared memory stands as files.
const POSIX_SHM: &str = "/dev/shm";

/// The name of a POSIX shared memory object, if that is what the path names.
pub(super) fn shm_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    (path.parent() == Some(Path::new(POSIX_SHM))).then(|| format!("/{name}"))
}

/// The name under which the process `pid` builds a segment that will be `path`.
pub fn temporary_path(path: &Path, pid: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".new-{pid}"));
    PathBuf::from(name)
}

/// A segment that is being built: whole and verified, but still under its temporary name, and writable everywhere.
/// Dropping it removes it.
#[derive(Debug)]
pub struct Draft {
    segment: Option<SegmentFile>,
    whole: Mapping,
    target: PathBuf,
}

impl Draft {
    /// Builds a segment for `config` that is to stand at `path`. The draft holds the run lock.
    ///
    /// # Errors
    /// [`SegmentError::Layout`] for an invalid configuration, [`SegmentError::NoSpace`], [`SegmentError::Permission`],
    /// [`SegmentError::NotFound`] if the folder does not exist, and what else the system reports. Nothing is left behind.
    pub fn create(path: &Path, config: &RunConfig) -> Result<Draft, SegmentError> {
        let layout = Layout::compute(config)?;
        let temporary = temporary_path(path, std::process::id());
        let file = new_file(&temporary, layout.total_bytes())?;
        let draft = fill(file, &temporary, config, layout).and_then(|segment| {
            let whole = Part {
                offset: 0,
                bytes: segment.layout().total_bytes(),
            };
            let whole = Mapping::writable(&segment, whole, false)?;
            Ok(Draft {
                segment: Some(segment),
                whole,
                target: path.to_owned(),
            })
        });
        if draft.is_err() {
            // The error that is on its way says more than one about cleaning up.
            let _ = super::remove(&temporary);
        }
        let draft = draft?;
        draft.initialise();
        Ok(draft)
    }

    fn segment(&self) -> &SegmentFile {
        self.segment
            .as_ref()
            .unwrap_or_else(|| unreachable!("only publishing takes the segment, and it consumes self"))
    }

    fn memory(&self) -> Memory<'_> {
        let all = self.whole.span();
        Memory {
            layout: self.segment().layout(),
            read: all,
            write: [all, all],
        }
    }

    fn initialise(&self) {
        let control = self.supervisor().control;
        control.set_created_ns(self.segment().header().created_ns);
        control.initialise();
    }

    /// The stored configuration.
    pub fn config(&self) -> &RunConfig {
        self.segment().config()
    }

    /// What the worker of `torus` will hold, to put a resumed run's state in; `None` if the run has no such torus.
    pub fn worker(&self, torus: Torus) -> Option<WorkerSegment<'_>> {
        self.memory().worker(torus)
    }

    /// What the supervisor will hold.
    pub fn supervisor(&self) -> SupervisorSegment<'_> {
        self.memory().supervisor()
    }

    /// What the scrubber will hold, to put what is known of a resumed run in.
    pub fn scrubber(&self) -> crate::region::AuditSegment<'_> {
        self.memory().scrubber()
    }

    /// What the client of `lane` will hold, to put a resumed run's lane in.
    pub fn lane(&self, lane: u32) -> crate::region::LaneSegment<'_> {
        self.memory().lane(lane)
    }

    /// Gives the segment its name. The result holds the run lock.
    ///
    /// # Errors
    /// [`SegmentError::AlreadyExists`] if the name is taken; the draft is removed then.
    pub fn publish(self) -> Result<SegmentFile, SegmentError> {
        self.rename(|temporary, target| {
            match renameat2(
                AT_FDCWD,
                temporary,
                AT_FDCWD,
                target,
                RenameFlags::RENAME_NOREPLACE,
            ) {
                // Not every file system knows the flag; a second name that must not exist does the same.
                Err(Errno::EINVAL | Errno::ENOSYS) => {
                    std::fs::hard_link(temporary, target)?;
                    std::fs::remove_file(temporary)
                }
                result => result.map_err(io::Error::from),
            }
        })
    }

    /// Puts the segment in the place of `old`, whose run lock the caller holds. The result holds the new run lock.
    ///
    /// # Errors
    /// [`SegmentError::InUse`] if the caller does not hold that lock; [`SegmentError::Replaced`] if the path no longer
    /// names `old`; the draft is removed then.
    pub fn publish_over(self, old: &SegmentFile) -> Result<SegmentFile, SegmentError> {
        let path = self.target.clone();
        if !old.holds(LockByte::Run) {
            return Err(SegmentError::InUse {
                path,
                who: "a supervisor, or nobody yet,".to_owned(),
            });
        }
        if Inode::at(&path) != Some(old.inode) {
            return Err(SegmentError::Replaced { path });
        }
        self.rename(|temporary, target| std::fs::rename(temporary, target))
    }

    fn rename(
        mut self,
        how: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<SegmentFile, SegmentError> {
        let target = self.target.clone();
        how(self.segment().path(), &target).map_err(|error| SegmentError::io("name", &target, error))?;
        let mut segment = self
            .segment
            .take()
            .unwrap_or_else(|| unreachable!("taken once, here"));
        segment.path = target;
        Ok(segment)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(segment) = &self.segment {
            // Best effort: what stays is a temporary file that `clean` knows.
            let _ = super::remove(segment.path());
        }
    }
}

impl SegmentFile {
    /// Creates an empty segment for `config` at `path`, where nothing must be. The result holds the run lock.
    ///
    /// # Errors
    /// As [`Draft::create`] and [`Draft::publish`].
    pub fn create(path: &Path, config: &RunConfig) -> Result<SegmentFile, SegmentError> {
        Draft::create(path, config)?.publish()
    }
}

/// A new file of `bytes` bytes, nothing allocated yet.
fn new_file(path: &Path, bytes: u64) -> Result<File, SegmentError> {
    // A file of this name with our pid in it is what a dead process with the same pid left behind.
    let _ = super::remove(path);
    let error = |error: io::Error| SegmentError::io("create", path, error);
    if let Some(name) = shm_name(path) {
        create_shm(&name, bytes).map_err(error)?;
        return OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(error);
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(error)?;
    match file.set_len(bytes) {
        Ok(()) => Ok(file),
        Err(failure) => {
            let _ = super::remove(path);
            Err(error(failure))
        }
    }
}

/// Creates the POSIX shared memory object. Its own mapping is dropped at once: it is writable everywhere.
fn create_shm(name: &str, bytes: u64) -> io::Result<()> {
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    match ShmemConf::new().os_id(name).size(size).create() {
        Ok(mut shm) => {
            shm.set_owner(false);
            Ok(())
        }
        Err(ShmemError::MappingIdExists) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(ShmemError::MapCreateFailed(errno) | ShmemError::UnknownOsError(errno)) => {
            Err(io::Error::from_raw_os_error(i32::try_from(errno).unwrap_or(0)))
        }
        Err(other) => Err(io::Error::other(other.to_string())),
    }
}

/// Locks and allocates the file, writes configuration and header, and verifies all of it by attaching.
fn fill(file: File, path: &Path, config: &RunConfig, layout: Layout) -> Result<SegmentFile, SegmentError> {
    let locked = ofd_lock::try_lock(&file, LockByte::Run.bytes());
    if !locked.map_err(|errno| SegmentError::io("lock", path, errno))? {
        return Err(SegmentError::InUse {
            path: path.to_owned(),
            who: "somebody".to_owned(),
        });
    }
    allocate(&file, path, layout.total_bytes())?;
    write_header(&file, path, config, &layout)?;
    let segment = SegmentFile::verify(file, path)?;
    // The same description: this only notes that the lock is held.
    segment.try_lock(LockByte::Run)?;
    Ok(segment)
}

/// Allocates all of the file, or says how much there is.
pub(super) fn allocate(file: &File, path: &Path, bytes: u64) -> Result<(), SegmentError> {
    let available = || {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let status = nix::sys::statvfs::statvfs(folder).ok()?;
        // A tmpfs without a limit reports no blocks at all.
        (status.blocks() > 0).then(|| status.blocks_available().saturating_mul(status.fragment_size()))
    };
    let allocated = std::os::unix::fs::MetadataExt::blocks(
        &file
            .metadata()
            .map_err(|error| SegmentError::io("read", path, error))?,
    ) * 512;
    let missing = bytes.saturating_sub(allocated);
    if let Some(available) = available().filter(|available| *available < missing) {
        return Err(SegmentError::NoSpace {
            path: path.to_owned(),
            needed: missing,
            available,
        });
    }
    // At most SEGMENT_BYTES_MAX, so it fits.
    loop {
        match posix_fallocate(file, 0, bytes as libc::off_t) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::ENOSPC | Errno::EDQUOT) => {
                let available = available().unwrap_or(0);
                return Err(SegmentError::NoSpace {
                    path: path.to_owned(),
                    needed: missing,
                    available,
                });
            }
            Err(errno) => return Err(SegmentError::io("allocate", path, errno)),
        }
    }
}

fn write_header(file: &File, path: &Path, config: &RunConfig, layout: &Layout) -> Result<(), SegmentError> {
    use std::os::unix::fs::FileExt;
    let error = |error: io::Error| SegmentError::io("write", path, error);
    let stored = config.to_bytes();
    file.write_all_at(&stored, layout.config.offset).map_err(error)?;
    let header = Header {
        total_bytes: layout.total_bytes(),
        layout_hash: layout.hash(),
        config_offset: layout.config.offset,
        config_bytes: stored.len() as u64,
        config_hash: hash::bytes(&stored),
        identity_hash: config.identity_hash(),
        run_id: config.run_id,
        created_ns: clock::realtime_ns(),
        worker_build_hash: config.worker.build_hash,
    };
    file.write_all_at(bytemuck::cast_slice(&header.to_words()), 0)
        .map_err(error)?;
    publish_magic(file).map_err(error)
}

/// The magic word, after everything else.
fn publish_magic(file: &File) -> io::Result<()> {
    let mut options = memmap2::MmapOptions::new();
    let page = options.len(PAGE as usize).map_raw(file)?;
    // SAFETY: the mapping is one whole page, page-aligned, and only accessed through atomics.
    let words = unsafe { std::slice::from_raw_parts(page.as_ptr().cast(), HEADER_WORDS) };
    // Ordering: Release (in `store_release`); who attaches reads the page with a system call, which sees all of it or a
    // page without the magic word.
    Own::new(words).store_release(MAGIC_WORD, MAGIC);
    Ok(())
}
