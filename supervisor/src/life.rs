//! Who of a run is alive, judged by locks: the kernel releases them when their holder dies, whatever the segment says.

use shm_layout::segment::{LockByte, SegmentFile};
use shm_layout::torus::Torus;

use crate::error::CommandError;
use crate::start::rules::Life;

/// Who of the run in `file` is alive. The caller holds none of its locks.
///
/// # Errors
/// When the locks cannot be looked at.
pub fn of(file: &SegmentFile) -> Result<Life, CommandError> {
    if held(file, LockByte::Run)? {
        return Ok(Life::Supervised);
    }
    of_workers(file)
}

/// Whether a worker of the run in `file` is alive, whoever holds the run lock.
///
/// # Errors
/// When the locks cannot be looked at.
pub fn of_workers(file: &SegmentFile) -> Result<Life, CommandError> {
    for torus in Torus::of_run(file.config().tori) {
        if held(file, LockByte::Region(*torus))? {
            return Ok(Life::Orphaned);
        }
    }
    Ok(Life::Dead)
}

fn held(file: &SegmentFile, byte: LockByte) -> Result<bool, CommandError> {
    file.is_locked(byte).map_err(CommandError::Segment)
}
