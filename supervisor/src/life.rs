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
    for torus in Torus::ALL.into_iter().take(file.config().tori.into()) {
        if held(file, LockByte::Region(torus))? {
            return Ok(Life::Orphaned);
        }
    }
    Ok(Life::Dead)
}

fn held(file: &SegmentFile, byte: LockByte) -> Result<bool, CommandError> {
    file.is_locked(byte).map_err(CommandError::Segment)
}
