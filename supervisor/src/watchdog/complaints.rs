//! Complaints: a worker that finds a peer's frame or strand range damaged says so in its status cell, and waits. The
//! watchdog replaces the peer's worker, whose successor rewrites both from its replay. Where that does not help, nobody
//! can, and the run is given up.

use shm_layout::status::Phase;
use shm_layout::torus::Torus;

use super::Watchdog;
use super::kernel_view;
use super::table::{Event, Intent, State};

/// Nanoseconds between two looks at a complaint that stands.
const PERIOD_NS: u64 = 75_000_000;
/// So long must it stand: a repair by a successor that has just gone live is noticed within milliseconds.
const PATIENCE_NS: u64 = 150_000_000;

/// What one look at the complaints about a torus found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nobody complains.
    Nothing,
    /// Somebody does, and may be wrong by now: who complains is not waiting, or who is complained about is not at rest.
    Unsettled,
    /// Somebody waits for this frame to be repaired.
    Frame(u64),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, or nothing yet.
    Wait,
    /// A successor has to rewrite this frame.
    Replace(u64),
    /// A successor had its chance, and this frame is still damaged.
    Hopeless(u64),
}

/// The memory of one torus that is complained about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Complaints {
    /// The frame, when it was looked at last, and for how long it has been complained about.
    standing: Option<(u64, u64, u64)>,
    /// The frame that a worker was replaced for, and which incarnation that was.
    replaced: Option<(u64, u64)>,
}

impl Complaints {
    /// One look, while the worker of the torus is of this incarnation. A look before its time changes nothing.
    pub fn look(&mut self, sight: Sight, incarnation: u64, now_ns: u64) -> Verdict {
        let frame = match sight {
            Sight::Frame(frame) => frame,
            Sight::Unsettled => {
                self.standing = None;
                return Verdict::Wait;
            }
            Sight::Nothing => {
                *self = Complaints::default();
                return Verdict::Wait;
            }
        };
        let (last_ns, stood_ns) = match self.standing {
            Some((same, last_ns, stood_ns)) if same == frame => (last_ns, stood_ns),
            _ => {
                self.standing = Some((frame, now_ns, 0));
                return Verdict::Wait;
            }
        };
        if now_ns < last_ns + PERIOD_NS {
            return Verdict::Wait;
        }
        // Time that the watchdog slept through counts as one look.
        let stood_ns = stood_ns + (now_ns - last_ns).min(PERIOD_NS);
        self.standing = Some((frame, now_ns, stood_ns));
        match self.replaced {
            _ if stood_ns < PATIENCE_NS => Verdict::Wait,
            Some((same, before)) if same == frame && incarnation > before => Verdict::Hopeless(frame),
            _ => Verdict::Replace(frame),
        }
    }

    /// The worker of this incarnation was killed for the frame.
    pub fn replaced(&mut self, frame: u64, incarnation: u64) {
        self.replaced = Some((frame, incarnation));
        self.standing = None;
    }

    /// When to look next; none while nobody complains.
    pub fn next_look_ns(&self) -> Option<u64> {
        self.standing.map(|(_, last_ns, _)| last_ns + PERIOD_NS)
    }
}

impl Watchdog<'_> {
    /// One look at what workers complain about. Replacing comes before giving up: another successor may be what this
    /// one waits for.
    pub(super) fn look_at_complaints(&mut self) {
        if self.intent == Intent::Abandon || self.is_taking_back() {
            return;
        }
        let mut hopeless = None;
        let mut replaced = false;
        for index in 0..self.slots.len() {
            let sight = self.sight_of_complaints(index);
            let (incarnation, now_ns) = (self.slots[index].incarnation, self.now_ns);
            match self.slots[index].complaints.look(sight, incarnation, now_ns) {
                Verdict::Wait => {}
                Verdict::Replace(frame) => {
                    self.slots[index].complaints.replaced(frame, incarnation);
                    self.happen(index, Event::Damaged);
                    replaced = true;
                }
                Verdict::Hopeless(frame) => hopeless = Some((index, frame)),
            }
        }
        if let Some((index, frame)) = hopeless
            && !replaced
            && (0..self.slots.len()).all(|index| self.is_at_rest(index))
        {
            let torus = self.slots[index].torus;
            self.abandon(Some(index), &format!(
                "frame {frame} of torus {torus} (its ring slot or the strand range it names) is damaged, and the worker \
                 that replaced the damaged one's did not repair it; `start --resume` tries again from the last checkpoints"
            ));
        }
    }

    fn sight_of_complaints(&self, accused: usize) -> Sight {
        let torus = self.slots[accused].torus;
        let complaining: Vec<(usize, u64)> = (0..self.slots.len())
            .filter(|index| *index != accused && self.is_current(*index))
            .filter_map(|index| Some((index, self.complaint(index, torus)?)))
            .collect();
        let Some(frame) = complaining.iter().map(|(_, frame)| *frame).min() else {
            return Sight::Nothing;
        };
        let waits = |(index, _): &(usize, u64)| self.pid(*index).is_some_and(kernel_view::sleeps);
        if complaining.iter().all(waits) && self.is_at_rest(accused) {
            Sight::Frame(frame)
        } else {
            Sight::Unsettled
        }
    }

    /// The frame of `torus` that this worker finds damaged.
    fn complaint(&self, index: usize, torus: Torus) -> Option<u64> {
        self.status(index).complaint(torus).checked_sub(1)
    }

    fn pid(&self, index: usize) -> Option<u32> {
        self.slots[index].process.as_ref().map(|process| process.pid)
    }

    /// Whether its worker lives and has taken its status cell over.
    fn is_current(&self, index: usize) -> bool {
        let slot = &self.slots[index];
        slot.state == State::Alive
            && slot.process.is_some()
            && self.status(index).incarnation() == slot.incarnation
    }

    /// Whether its worker has replayed, and with that repaired what it can; or cannot go on with it for a damaged frame
    /// of somebody else. (One that has replayed need not be able to publish: it may wait for who complains.)
    fn is_at_rest(&self, index: usize) -> bool {
        self.is_current(index)
            && match self.status(index).phase() {
                Phase::Waiting | Phase::Running | Phase::Finished => true,
                Phase::Replaying => self.pid(index).is_some_and(kernel_view::sleeps),
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 10 ms at what `sight` says, and the first verdict but [`Verdict::Wait`] with its time in ms.
    fn first(
        complaints: &mut Complaints,
        incarnation: u64,
        sight: impl Fn(u64) -> Sight,
    ) -> Option<(u64, Verdict)> {
        (0..200).map(|i| i * 10).find_map(|ms| {
            let verdict = complaints.look(sight(ms), incarnation, ms * 1_000_000);
            (verdict != Verdict::Wait).then_some((ms, verdict))
        })
    }

    #[test]
    fn a_complaint_that_stands_replaces_the_worker_and_one_that_stands_again_ends_the_run() {
        let mut complaints = Complaints::default();
        let (ms, verdict) = first(&mut complaints, 1, |_| Sight::Frame(7)).unwrap();
        assert!((100..=250).contains(&ms), "{ms}");
        assert_eq!(verdict, Verdict::Replace(7));
        complaints.replaced(7, 1);
        assert_eq!(
            first(&mut complaints, 1, |_| Sight::Unsettled),
            None,
            "being replaced"
        );
        let (ms, verdict) = first(&mut complaints, 2, |_| Sight::Frame(7)).unwrap();
        assert!((100..=250).contains(&ms), "{ms}");
        assert_eq!(verdict, Verdict::Hopeless(7));
    }

    #[test]
    fn the_same_incarnation_is_never_the_successor() {
        let mut complaints = Complaints::default();
        complaints.replaced(7, 1);
        let (_, verdict) = first(&mut complaints, 1, |_| Sight::Frame(7)).unwrap();
        assert_eq!(verdict, Verdict::Replace(7), "the kill has not arrived");
    }

    #[test]
    fn another_frame_is_another_complaint() {
        let mut complaints = Complaints::default();
        complaints.replaced(7, 1);
        let (_, verdict) = first(&mut complaints, 2, |_| Sight::Frame(9)).unwrap();
        assert_eq!(verdict, Verdict::Replace(9));
    }

    #[test]
    fn a_complaint_that_was_taken_back_is_forgotten() {
        let mut complaints = Complaints::default();
        complaints.replaced(7, 1);
        assert_eq!(first(&mut complaints, 2, |_| Sight::Nothing), None);
        let (_, verdict) = first(&mut complaints, 2, |_| Sight::Frame(7)).unwrap();
        assert_eq!(verdict, Verdict::Replace(7), "damaged anew");
    }

    #[test]
    fn what_changes_or_pauses_does_not_stand() {
        let flickering = |ms: u64| {
            if ms % 100 < 90 {
                Sight::Frame(7)
            } else {
                Sight::Unsettled
            }
        };
        assert_eq!(first(&mut Complaints::default(), 1, flickering), None);
        assert_eq!(
            first(&mut Complaints::default(), 1, |ms| Sight::Frame(ms / 100)),
            None
        );
    }

    #[test]
    fn a_watchdog_that_slept_looks_again_before_it_kills() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.look(Sight::Frame(7), 1, 0), Verdict::Wait);
        assert_eq!(
            complaints.look(Sight::Frame(7), 1, 3_600_000_000_000),
            Verdict::Wait
        );
        assert_eq!(complaints.next_look_ns(), Some(3_600_000_000_000 + PERIOD_NS));
    }
}
