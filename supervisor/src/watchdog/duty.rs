//! From a launched run to its end: the watchdog's whole time on duty, and what is left in order afterwards.

use std::os::fd::OwnedFd;

use shm_layout::segment::LockByte;
use shm_layout::sys::{program, slice};

use super::{Post, RunEnd, Watchdog};
use crate::error::CommandError;
use crate::output;
use crate::report::collect;
use crate::report::run::RunReport;
use crate::start::launch::{self, Launch, Origin};
use crate::start::place;

/// How the watchdog serves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Service {
    /// Nobody watches.
    pub background: bool,
    /// It only stands in, to stop the run.
    pub stop_at_once: bool,
}

/// Watches the run until it ends, gives back the memory that a run which is over does not need, and reports.
///
/// # Errors
/// When the operating system refuses something without which no watch is possible. The workers, if any live, run on.
pub fn watch(launch: Launch, service: Service) -> Result<(RunEnd, RunReport), CommandError> {
    let file = &launch.file;
    let log = place::open_log(file.config(), launch.origin == Origin::New)?;
    let map = file.map_supervisor().map_err(CommandError::Segment)?;
    let segment = map.views();
    let slots = launch::slots(&launch, &segment);
    let log = OwnedFd::from(log);
    let post = Post {
        file,
        segment: &segment,
        config: file.config(),
        log,
        background: service.background,
    };
    // Without it, what is rare (a death, the end) waits for the pages of its code.
    let _ = program::touch();
    // A watchdog that is refused short slices sees deaths a little later.
    let _ = slice::shorten();
    let mut watchdog = Watchdog::new(post, slots)?;
    if service.stop_at_once {
        watchdog.stop_at_once();
    }
    let end = watchdog.run()?;
    if end != RunEnd::Failed {
        // A run that keeps its memory is as good, only larger.
        if let Err(error) = file.shrink() {
            output::message(&format!("the segment could not be shrunk: {error}"));
        }
    }
    drop(map);
    file.unlock(LockByte::Run).map_err(CommandError::Segment)?;
    Ok((end, collect::collect(file)?))
}
