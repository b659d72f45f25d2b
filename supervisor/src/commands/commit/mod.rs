//! Waiting until a committed frame has taken in what stands in a lane: for events from clients and for commands alike.

mod boundary;

use std::time::{Duration, Instant};

use shm_layout::region::RegionReader;
use shm_layout::segment::SegmentFile;

use crate::error::CommandError;
use crate::life;
use crate::report::collect::newest_frame;
use crate::start::rules::Life;

/// How often the run is looked at, at first; longer waits look less often.
const PERIOD_MIN: Duration = Duration::from_micros(100);
const PERIOD_MAX: Duration = Duration::from_millis(5);

/// Who waits, for which run, and for how long.
pub struct Commit<'a> {
    /// The run's segment.
    pub file: &'a SegmentFile,
    /// When the command began.
    pub begin: Instant,
    /// How long it may take.
    pub limit: Duration,
}

impl Commit<'_> {
    /// Position of a lane in the newest committed frame: entries below it have been taken in.
    pub fn committed(&self, region: &RegionReader<'_>, lane: u32) -> u64 {
        let frame = newest_frame(region, self.file.config().face_cells());
        frame.map_or(0, |frame| frame.lane_position(lane as usize))
    }

    /// Waits until a committed frame has taken in the entry at `position`; `what` says what had not happened if not.
    ///
    /// # Errors
    /// As [`Commit::until`].
    pub fn await_commit(
        &self,
        region: &RegionReader<'_>,
        lane: u32,
        position: u64,
        what: &str,
    ) -> Result<(), CommandError> {
        self.until(what, || {
            Ok((self.committed(region, lane) > position).then_some(()))
        })
    }

    /// Tries until there is a value, the time is up, or the run has ended.
    ///
    /// # Errors
    /// [`CommandError::TimedOut`], [`CommandError::NotRunning`], or that of an attempt.
    pub fn until<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<Option<T>, CommandError>,
    ) -> Result<T, CommandError> {
        let mut pause = Pause::new();
        loop {
            // In this order: what the last living process did is seen by the attempt after it.
            let life = if pause.is_long() {
                life::of(self.file)?
            } else {
                Life::Supervised
            };
            if let Some(value) = attempt()? {
                return Ok(value);
            }
            if life == Life::Dead {
                let name = &self.file.config().name;
                return Err(CommandError::NotRunning(format!(
                    "the run {name} ended before: {what}"
                )));
            }
            if self.time_is_up() {
                return Err(self.timed_out(what));
            }
            pause.sleep();
        }
    }

    /// Whether the time is up.
    pub fn time_is_up(&self) -> bool {
        self.begin.elapsed() >= self.limit
    }

    /// The error for it.
    pub fn timed_out(&self, what: &str) -> CommandError {
        CommandError::TimedOut {
            what: what.to_owned(),
            limit: self.limit,
        }
    }
}

/// A pause that grows.
pub struct Pause(Duration);

impl Pause {
    /// The first is the shortest.
    pub fn new() -> Self {
        Pause(PERIOD_MIN)
    }

    /// Whether it has grown as long as it gets.
    pub fn is_long(&self) -> bool {
        self.0 >= PERIOD_MAX
    }

    /// Pauses.
    pub fn sleep(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(PERIOD_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pause = Pause::new();
        for _ in 0..10 {
            pause.sleep();
        }
        assert!(pause.is_long());
        assert_eq!(pause.0, PERIOD_MAX);
    }
}
