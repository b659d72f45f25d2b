//! Rollbacks: a finding is answered by an order that takes back all that may be tainted.
//!
//! | fact | what follows |
//! |---|---|
//! | a finding is unanswered | nobody is started; whoever lives is killed |
//! | all are dead, and all locks are in this hand | the order is written, the locks are given back |
//! | the newest order is not carried out by all, or not all is executed again | it is followed |
//!
//! All of it stands in the segment: the finding in the audit page, or in the status cell of the worker whose replay
//! differed; the orders in the control words. So a watchdog that dies at any moment is replaced by one that goes on with
//! the same row.

use shm_layout::audit::{Difference, Finding};
use shm_layout::rollback::{self, ROLLBACKS, Rollback};
use shm_layout::segment::LockByte;
use shm_layout::torus::{TORI, Torus};

use super::Watchdog;
use super::death::{self, Ending, Fault};
use super::table::{Event, Intent, State};

/// How often a rollback that is under way is looked at.
const PERIOD_NS: u64 = 2_000_000;
/// How often a redo is looked at.
const REDO_PERIOD_NS: u64 = 50_000_000;

/// What the watchdog remembers of a rollback, apart from what the segment says.
#[derive(Debug, Default)]
pub struct Retreat {
    /// A worker's replay differed from what its predecessor had committed.
    diverged: Option<Finding>,
    /// The present finding has been told.
    told: bool,
}

impl Watchdog<'_> {
    /// The finding that no order has answered yet.
    pub(super) fn finding(&self) -> Option<Finding> {
        if !self.is_scrubbed() {
            return None;
        }
        let segment = self.post.segment;
        let answered = segment
            .control_view
            .last_rollback()
            .map_or(0, |order| order.answers);
        let found = segment.audit.finding_number() > answered;
        let by_scrubber = segment.audit.finding().filter(|_| found);
        by_scrubber.or(self.retreat.diverged)
    }

    /// Whether nobody may be started, because everybody has to go back first.
    pub(super) fn is_taking_back(&self) -> bool {
        self.finding().is_some()
    }

    /// When to look again at a rollback or a redo that is under way.
    pub(super) fn rollback_deadline_ns(&self) -> Option<u64> {
        if !self.is_scrubbed() {
            return None;
        }
        let is_redoing = || {
            let last = self.post.segment.control_view.last_rollback();
            last.is_some_and(|order| order.corrected_ns == 0)
        };
        match self.is_taking_back() {
            true => Some(self.now_ns + PERIOD_NS),
            false => is_redoing().then_some(self.now_ns + REDO_PERIOD_NS),
        }
    }

    /// How a worker's death counts. One that gave up because its replay differed from what was committed has found
    /// something, unless it is what the last rollback was for: then the same comes out again, and nothing can be trusted.
    pub(super) fn judge_death(&mut self, index: usize, ending: Ending) -> Event {
        let event = death::classify(ending, self.last_word(index));
        let Some(interval) = self.status(index).divergence().checked_sub(1) else {
            return event;
        };
        if event != Event::GaveUp || !self.is_scrubbed() {
            return event;
        }
        let control = &self.post.segment.control_view;
        let torus = self.slots[index].torus;
        let is_same = |order: Rollback| {
            let Finding {
                torus: of,
                interval: at,
                difference,
                ..
            } = order.finding;
            (of, at, difference) == (torus, interval, Difference::Replay)
        };
        if control.last_rollback().is_some_and(is_same) {
            return event;
        }
        self.slots[index].fault = Some(Fault::TakenBack);
        self.retreat.diverged.get_or_insert(Finding {
            torus,
            interval,
            difference: Difference::Replay,
            found_at: self.post.segment.regions[index].ring.head(),
            committed: 0,
            executed: 0,
        });
        Event::Crashed
    }

    /// Goes on with the row that the facts are in.
    pub(super) fn pursue_rollback(&mut self) {
        match self.finding() {
            Some(finding) => self.take_back(finding),
            None if self.is_scrubbed() => self.follow_redo(),
            None => {}
        }
    }

    fn take_back(&mut self, finding: Finding) {
        if !std::mem::replace(&mut self.retreat.told, true) {
            self.console
                .say(&format!("{}; taking it back", in_words(&finding)));
        }
        if self.is_in_vain() {
            let Finding { torus, interval, .. } = finding;
            return self.abandon(None, &format!(
                "interval {interval} of torus {torus} is the latest of {ROLLBACKS} findings between which no checkpoint was \
                 cleared: the model is not deterministic, or the memory is not to be trusted"
            ));
        }
        // It ended on the strength of states that were confirmed; waiting for its worker would be waiting for ever.
        if let Some(slot) = self.slots.iter().find(|slot| slot.state == State::Over) {
            let (ended, Finding { torus, interval, .. }) = (slot.torus, finding);
            return self.abandon(
                None,
                &format!(
                    "interval {interval} of torus {torus} is not what it was, and torus {ended} has ended already: \
                     `start --resume` tries again"
                ),
            );
        }
        for index in 0..self.slots.len() {
            self.end_worker(index);
        }
        self.end_any_scrubber();
        let all_rest = self.slots.iter().all(|slot| slot.state == State::Resting);
        if all_rest && self.scrubber.pidfd().is_none() && self.hold_all_locks() {
            self.order(finding);
            self.release_all_locks();
        }
    }

    /// Whether all the orders that are kept were given without a checkpoint having been cleared in between.
    fn is_in_vain(&self) -> bool {
        let orders = self.post.segment.control_view.rollbacks();
        let cleared = self.cleared();
        orders.len() == ROLLBACKS
            && orders
                .iter()
                .all(|order| order.parts.map(|part| part.keep) == cleared)
    }

    fn end_worker(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        let Some(process) = slot.process.as_ref().filter(|_| slot.state == State::Alive) else {
            return;
        };
        // As in `kill`: one that has just died is seen by its pidfd.
        let _ = process.pidfd.send_signal(nix::libc::SIGKILL);
        slot.state = State::Killed;
        slot.fault = Some(Fault::TakenBack);
        let control = &self.post.segment.control;
        control.set_killed_at_ns(slot.torus, self.now_ns);
    }

    /// With every lock in this hand, a worker or a scrubber that somebody else started just now can no more begin.
    fn hold_all_locks(&self) -> bool {
        let held = self
            .locks()
            .all(|lock| self.post.file.try_lock(lock).unwrap_or(false));
        if !held {
            self.release_all_locks();
        }
        held
    }

    fn release_all_locks(&self) {
        for lock in self.locks().filter(|lock| self.post.file.holds(*lock)) {
            // A lock that cannot be given back keeps the successor out, which says so in the log.
            let _ = self.post.file.unlock(lock);
        }
    }

    fn locks(&self) -> impl Iterator<Item = LockByte> {
        let regions = Torus::of_run(self.post.config.tori).iter();
        regions
            .map(|torus| LockByte::Region(*torus))
            .chain(std::iter::once(LockByte::Audit))
    }

    fn cleared(&self) -> [u64; TORI] {
        Torus::ALL.map(|torus| self.post.segment.audit.cleared(torus))
    }

    fn order(&mut self, finding: Finding) {
        let segment = self.post.segment;
        let mut heads = [0; TORI];
        for region in &segment.regions {
            heads[region.torus.index()] = region.ring.head();
        }
        let before = segment.control_view.last_rollback();
        let mut order = rollback::order(
            finding,
            segment.audit.finding_number(),
            self.post.config.lag.into(),
            heads,
            self.cleared(),
            before.as_ref(),
        );
        order.ordered_ns = self.now_ns;
        segment.control.order_rollback(&order);
        self.retreat = Retreat::default();
        let tori = Torus::of_run(self.post.config.tori).iter();
        let back: Vec<_> = tori
            .map(|torus| {
                let part = order.part(*torus);
                format!("{torus} from {} to {}", heads[torus.index()], part.cut)
            })
            .collect();
        self.console
            .say(&format!("rollback {}: {}", order.number, back.join(", ")));
        for slot in &mut self.slots {
            slot.restart_ns = self.now_ns;
        }
    }

    /// Notes when everything that was taken back has been executed again.
    fn follow_redo(&mut self) {
        let segment = self.post.segment;
        let Some(mut order) = segment.control_view.last_rollback() else {
            return;
        };
        let is_done = segment.regions.iter().all(|region| {
            region.status.rolled_back() >= order.number
                && region.ring.head() >= order.part(region.torus).redo_until
        });
        if order.corrected_ns != 0 || !is_done {
            return;
        }
        order.corrected_ns = self.now_ns;
        segment.control.update_rollback(&order);
        let until = order.parts.iter().map(|part| part.redo_until).max().unwrap_or(0);
        let took = self.span_since(order.ordered_ns);
        self.console.say(&format!(
            "rollback {}: corrected, all tori have executed again what they had up to boundary {until}, after {took}",
            order.number
        ));
    }

    /// A worker that died for a rollback is replaced at once, whatever the restart policy would say.
    pub(super) fn restarts_for_rollback(&mut self, index: usize) -> bool {
        let slot = &mut self.slots[index];
        let is_for_rollback = slot.fault == Some(Fault::TakenBack) && self.intent == Intent::GoOn;
        if is_for_rollback {
            slot.restart_ns = self.now_ns;
        }
        is_for_rollback
    }
}

/// A finding as a sentence.
pub fn in_words(finding: &Finding) -> String {
    let Finding {
        torus,
        interval,
        found_at,
        ..
    } = finding;
    let later = found_at.saturating_sub(*interval);
    let what = match finding.difference {
        Difference::Frame => format!("frame {interval} of torus {torus} is not what its re-execution gives"),
        Difference::State => {
            format!("the state of torus {torus} at boundary {interval} is not what its re-execution gives")
        }
        Difference::Error => format!("interval {interval} of torus {torus} cannot be executed again"),
        Difference::Replay => {
            format!("the replay of interval {interval} of torus {torus} does not give what was committed")
        }
    };
    format!("{what}: found at boundary {found_at}, {later} intervals later")
}
