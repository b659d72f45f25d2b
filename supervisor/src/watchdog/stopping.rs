//! The end of a run: stops, time limits, deadlines, and what the end was.
//!
//! A stop is a boundary ahead of every worker, the same for all; the protocol is `ControlWriter::decide_stop`. What is
//! wanted stands in the control words, so a new watchdog continues a stop that its predecessor began.

use shm_layout::config::{OnLoss, RunConfig};
use shm_layout::control::{Desired, RunState};
use shm_layout::segment::SupervisorSegment;
use shm_layout::status::StatusReader;
use shm_layout::stop::NO_STOP;
use shm_layout::sys::clock;

use super::kernel_view;
use super::patience::{PATIENCE_NS, Patience};
use super::{RunEnd, Watchdog};
use crate::text::show;

/// How far ahead of the foremost worker a stop is proposed, in intervals.
const STOP_MARGIN: u64 = 2;

/// Where the end of a run stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopping {
    /// When the time limit is over, CLOCK_MONOTONIC in ns.
    limit_ns: Option<u64>,
    /// Whether a stop boundary is decided.
    decided: bool,
    /// The patience with a stop that somebody asked for.
    patience: Option<Patience>,
}

impl Stopping {
    /// What the control words say: also a stop or a time limit that a predecessor began.
    pub fn new(segment: &SupervisorSegment<'_>, config: &RunConfig, now_ns: u64) -> Self {
        let control = segment.control.reader();
        let decided = control.stop_decided() != NO_STOP;
        let mut stopping = Stopping {
            decided,
            ..Stopping::default()
        };
        if control.run_state() == Some(RunState::Running) {
            stopping.limit_ns = limit_ns(config, control.started_ns(), clock::realtime_ns(), now_ns);
        }
        if control.desired() == Some(Desired::Stop) {
            stopping.patience = Some(Patience::new(now_ns));
        }
        stopping
    }

    /// The run has begun just now: its time limit runs.
    pub fn gate_opened(&mut self, config: &RunConfig, now_ns: u64) {
        self.limit_ns = limit_ns(config, 0, 0, now_ns);
    }

    /// When something about the end is due.
    pub fn deadline_ns(&self) -> Option<u64> {
        let limit = self.limit_ns.filter(|_| !self.decided);
        let patience = self.patience.as_ref().map(Patience::next_look_ns);
        limit.into_iter().chain(patience).min()
    }
}

/// When a run that began at `started_ns` of the wall clock reaches its time limit, on the monotonic clock.
fn limit_ns(config: &RunConfig, started_ns: u64, wall_ns: u64, now_ns: u64) -> Option<u64> {
    let used_ns = wall_ns.saturating_sub(started_ns);
    config
        .time_limit_ns
        .map(|limit| now_ns.saturating_add(limit.saturating_sub(used_ns)))
}

impl Watchdog<'_> {
    /// Somebody asked for a stop.
    pub(super) fn request_stop(&mut self) {
        let control = &self.post.segment.control;
        if control.reader().desired() != Some(Desired::Stop) {
            control.set_desired(Desired::Stop);
            self.console.say("stopping all tori at one boundary");
            if self.post.config.on_loss == OnLoss::Wait {
                // Nobody gets there without a torus that is held away.
                for index in 0..self.slots.len() {
                    self.release(index);
                }
            }
        }
        self.stopping
            .patience
            .get_or_insert_with(|| Patience::new(self.now_ns));
    }

    /// A signal asked for it; a second one has no patience.
    pub(super) fn stop_signalled(&mut self) {
        if self.stopping.patience.is_none() {
            return self.request_stop();
        }
        self.abandon(
            None,
            "killed by a second signal while it was stopping; `start --resume` continues it",
        );
    }

    /// Decides the boundary once one is wanted, and loses patience when nothing moves.
    pub(super) fn pursue_stop(&mut self) {
        let wanted = self.stopping.patience.is_some();
        let limit_over = self
            .stopping
            .limit_ns
            .is_some_and(|limit_ns| self.now_ns >= limit_ns);
        if (wanted || limit_over) && !self.stopping.decided {
            self.decide_stop();
        }
        self.watch_patience();
    }

    fn decide_stop(&mut self) {
        let workers: Vec<StatusReader<'_>> = (0..self.slots.len()).map(|index| self.status(index)).collect();
        let control = &self.post.segment.control;
        let boundary = control.decide_stop(1, STOP_MARGIN, &workers);
        control.ring_doorbell();
        self.stopping.decided = true;
        self.console.say(&format!("stops at boundary {boundary}"));
    }

    fn watch_patience(&mut self) {
        let reached: u64 = (0..self.slots.len())
            .map(|index| self.status(index).boundary())
            .sum();
        let progress = reached + self.audited();
        let workers = self.slots.iter().filter_map(|slot| slot.process.as_ref());
        let living = workers.map(|process| process.pid).chain(self.scrubber.pid());
        let Some(patience) = &mut self.stopping.patience else {
            return;
        };
        if self.now_ns < patience.next_look_ns() {
            return;
        }
        let computes = living.into_iter().any(kernel_view::computes);
        if patience.look(progress, computes, self.now_ns) {
            let patience = show::span(PATIENCE_NS);
            self.abandon(None, &format!(
                "no torus came closer to the boundary of the stop for {patience} in which none computed, so the workers \
                 were killed; `start --resume` continues the run"
            ));
        }
    }

    /// All workers have finished: where, and as what?
    pub(super) fn judge_end(&mut self) -> RunEnd {
        let boundaries: Vec<u64> = self
            .post
            .segment
            .regions
            .iter()
            .zip(&self.slots)
            .filter(|(_, slot)| !slot.left_behind)
            .map(|(region, _)| region.ring.head())
            .collect();
        let control = self.post.segment.control.reader();
        let asked = control.desired() == Some(Desired::Stop);
        let end = judge(&boundaries, control.stop_decided(), asked);
        if end == RunEnd::Failed {
            let text = format!(
                "the tori finished at different boundaries, {boundaries:?}; this is a defect of braid"
            );
            self.post.segment.control.set_failure(None, &text);
        }
        end
    }
}

/// The end of a run whose workers finished at these boundaries. A run that reaches its end before a stop takes effect
/// has finished; so has one whose time limit is over.
fn judge(boundaries: &[u64], stop_decided: u64, asked: bool) -> RunEnd {
    let first = boundaries.first().copied().unwrap_or(0);
    match () {
        () if boundaries.iter().any(|boundary| *boundary != first) => RunEnd::Failed,
        () if asked && first == stop_decided => RunEnd::Stopped,
        () => RunEnd::Finished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_that_took_effect_is_a_stop_and_everything_else_the_end() {
        assert_eq!(judge(&[7, 7, 7], 7, true), RunEnd::Stopped);
        assert_eq!(judge(&[7, 7, 7], 7, false), RunEnd::Finished, "a time limit");
        assert_eq!(judge(&[5, 5, 5], 7, true), RunEnd::Finished, "the end came first");
        assert_eq!(judge(&[5, 5, 5], NO_STOP, false), RunEnd::Finished);
        assert_eq!(judge(&[5, 5, 6], NO_STOP, false), RunEnd::Failed);
    }

    #[test]
    fn a_time_limit_counts_from_the_first_start_across_supervisors() {
        let mut config = RunConfig::new("default", "phold");
        assert_eq!(limit_ns(&config, 0, 0, 100), None);
        config.time_limit_ns = Some(50);
        assert_eq!(limit_ns(&config, 1000, 1000, 100), Some(150));
        assert_eq!(limit_ns(&config, 1000, 1030, 100), Some(120));
        assert_eq!(limit_ns(&config, 1000, 9999, 100), Some(100), "over long ago");
    }
}
