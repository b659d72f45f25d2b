//! A resumed run with more room: a new segment is built beside the old one, and takes its place.

use shm_layout::config::RunConfig;
use shm_layout::segment::SegmentFile;

use torus_worker::rebuild::RebuildError;

use crate::error::CommandError;

/// Builds the segment for `config`, which differs from the old one's in what does not determine the result, puts the
/// old run's state into it, and puts it in the old one's place. The caller holds the old run lock; the result holds the
/// new one.
///
/// # Errors
/// When there is no room, or the old state cannot be had; the old segment is as it was.
pub fn grow(old: &SegmentFile, config: &RunConfig) -> Result<SegmentFile, CommandError> {
    torus_worker::rebuild::grow(old, config).map_err(|error| match error {
        RebuildError::Segment(error) => CommandError::Segment(error),
        error => CommandError::Failed(error.to_string()),
    })
}
