//! Membership: who is absent from which boundary, and from which interval it takes part again.
//!
//! An absence is declared by the supervisor, in the membership log: *T absent from boundary n*, where n = (T's last
//! committed interval) + L + 1 is the first boundary that no peer can enter without it. Its end is announced by the
//! first present torus, in its frame m: *T takes part again from interval r = m + 2L*. Both are known to everyone whom
//! they concern before they take effect; docs/RECOVERY.md argues why.
//!
//! With absences (n, r) of both sides, frame f of a sender is taken in by a receiver unless
//!
//! * the sender is away: n − L ≤ f < r, because the receiver would have taken it in at a boundary from n on; or
//! * the receiver is away: n ≤ f < r, because it took in its peers' frames up to n − 1, and none until r.
//!
//! The events of interval f ride in frame f, so the same rule says which events are refused where they are emitted.

use shm_layout::torus::Torus;

use super::checkpoint::Words;
use crate::kernel::{LoadError, Sink};

/// How many absences a run can have; the supervisor refuses to declare more.
pub const ABSENCES_MAX: usize = shm_layout::membership::MEMBERSHIPS;

/// One absence of one torus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// Who is absent.
    pub torus: Torus,
    /// The first boundary that the others enter without it.
    pub from: u64,
    /// The first interval in which it takes part again; `None` until that is announced.
    pub rejoins: Option<u64>,
}

impl Absence {
    /// Whether the torus is away for interval `i`, as its peers see it.
    fn covers(&self, i: u64) -> bool {
        self.from <= i && self.rejoins.is_none_or(|r| i < r)
    }

    /// Whether its own frame `f` is one that nobody takes in.
    fn leaves_unread(&self, f: u64, lag: u64) -> bool {
        self.from <= f + lag && self.rejoins.is_none_or(|r| f < r)
    }
}

/// All absences of a run that a torus knows of, in the order in which they were declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    absences: Vec<Absence>,
    lag: u64,
}

impl Membership {
    /// Nobody has been absent.
    pub fn new(lag: u64) -> Self {
        Self {
            absences: Vec::new(),
            lag,
        }
    }

    /// The lag L in intervals.
    pub fn lag(&self) -> u64 {
        self.lag
    }

    /// Every absence known.
    pub fn absences(&self) -> &[Absence] {
        &self.absences
    }

    /// The last absence of a torus.
    pub fn last_of(&self, torus: Torus) -> Option<&Absence> {
        self.absences.iter().rev().find(|absence| absence.torus == torus)
    }

    /// The interval from which a torus takes part again after the last of its absences that has an end; 0: none has.
    pub fn last_rejoin(&self, torus: Torus) -> u64 {
        let of_torus = self.absences.iter().filter(|absence| absence.torus == torus);
        of_torus
            .filter_map(|absence| absence.rejoins)
            .next_back()
            .unwrap_or(0)
    }

    /// Notes that a torus is absent from boundary `from`, having taken part again from interval `rejoined` after an absence
    /// before; says whether that is new. Who did not hear of that return, the torus itself perhaps, learns it here.
    pub fn note_absence(&mut self, torus: Torus, from: u64, rejoined: u64) -> bool {
        let last = self
            .absences
            .iter_mut()
            .rev()
            .find(|absence| absence.torus == torus);
        if let Some(last) = last {
            if from <= last.from {
                return false;
            }
            last.rejoins.get_or_insert(rejoined);
        }
        let rejoins = None;
        self.absences.push(Absence { torus, from, rejoins });
        true
    }

    /// Notes that a torus takes part again from interval `r`; says whether that is new. An `r` of an earlier absence says
    /// nothing about the last one.
    pub fn note_rejoin(&mut self, torus: Torus, r: u64) -> bool {
        let last = self
            .absences
            .iter_mut()
            .rev()
            .find(|absence| absence.torus == torus);
        match last.filter(|last| last.rejoins.is_none() && r > last.from) {
            Some(last) => {
                last.rejoins = Some(r);
                true
            }
            None => false,
        }
    }

    /// Whether `receiver` takes in frame `f` of `sender`, and with it the events of interval `f`.
    pub fn takes(&self, receiver: Torus, sender: Torus, f: u64) -> bool {
        !self.absences.iter().any(|absence| {
            (absence.torus == sender && absence.leaves_unread(f, self.lag))
                || (absence.torus == receiver && absence.covers(f))
        })
    }

    /// Whether a torus takes part in interval `i`, as its peers see it.
    pub fn takes_part(&self, torus: Torus, i: u64) -> bool {
        !self
            .absences
            .iter()
            .any(|absence| absence.torus == torus && absence.covers(i))
    }

    /// Whether a torus counts among those whose copies are waited for at boundary `b`: not from the moment at which its
    /// absence is known, until it takes part again.
    pub fn is_counted(&self, torus: Torus, b: u64) -> bool {
        self.last_of(torus)
            .is_none_or(|last| last.rejoins.is_some_and(|r| b >= r))
    }

    /// Whether `torus` is the one that announces returns in its frame `m`: the first in letter order that takes part, unless
    /// nobody reads that frame any more. None does while the last return that was announced has not reached everyone.
    pub fn announces(&self, torus: Torus, tori: u8, m: u64) -> bool {
        let first = Torus::of_run(tori)
            .iter()
            .find(|other| self.takes_part(**other, m));
        let is_settled = self
            .absences
            .iter()
            .filter_map(|absence| absence.rejoins)
            .all(|r| m >= r + self.lag);
        let is_read = !self
            .absences
            .iter()
            .any(|absence| absence.torus == torus && absence.leaves_unread(m, self.lag));
        first == Some(&torus) && is_read && is_settled
    }

    /// Words of a checkpoint's section when it is full.
    pub(super) const WORDS_MAX: usize = 1 + 3 * ABSENCES_MAX;

    pub(super) fn save(&self, out: &mut impl Sink) {
        out.put(&[self.absences.len() as u64]);
        for absence in &self.absences {
            let rejoins = absence.rejoins.unwrap_or(u64::MAX);
            out.put(&[absence.torus.index() as u64, absence.from, rejoins]);
        }
    }

    pub(super) fn load(words: &mut Words<'_>, lag: u64) -> Result<Self, LoadError> {
        let [count] = words.array()?;
        let mut membership = Self::new(lag);
        for _ in 0..count.min(ABSENCES_MAX as u64) {
            let [torus, from, rejoins] = words.array()?;
            let torus = Torus::from_index(torus as usize)
                .ok_or_else(|| words.wrong("an absence of a torus that does not exist"))?;
            let rejoins = (rejoins != u64::MAX).then_some(rejoins);
            membership.absences.push(Absence { torus, from, rejoins });
        }
        Ok(membership)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: u64 = 2;

    /// B committed frame 9 last: absent from 12; it takes part again from interval 30.
    fn absent() -> Membership {
        let mut membership = Membership::new(LAG);
        assert!(membership.note_absence(Torus::B, 12, 0));
        assert!(!membership.note_absence(Torus::B, 12, 0));
        membership
    }

    fn back() -> Membership {
        let mut membership = absent();
        assert!(membership.note_rejoin(Torus::B, 30));
        assert!(!membership.note_rejoin(Torus::B, 31));
        membership
    }

    #[test]
    fn peers_take_in_all_that_was_committed_and_the_absent_torus_all_that_it_was_sent() {
        for membership in [absent(), back()] {
            assert!(membership.takes(Torus::A, Torus::B, 9));
            assert!(!membership.takes(Torus::A, Torus::B, 10));
            assert!(membership.takes(Torus::B, Torus::C, 11));
            assert!(!membership.takes(Torus::B, Torus::C, 12));
            assert!(membership.takes(Torus::A, Torus::C, 12));
        }
        assert!(!absent().takes(Torus::A, Torus::B, 1 << 40));
        for (receiver, sender) in [(Torus::A, Torus::B), (Torus::B, Torus::A)] {
            assert!(!back().takes(receiver, sender, 29));
            assert!(back().takes(receiver, sender, 30));
        }
    }

    #[test]
    fn a_return_of_an_earlier_absence_does_not_end_a_later_one() {
        let mut membership = back();
        assert!(membership.note_absence(Torus::B, 40, 30));
        assert!(!membership.note_rejoin(Torus::B, 30));
        assert!(!membership.takes_part(Torus::B, 50));
        assert!(membership.note_rejoin(Torus::B, 60));
        assert!(membership.takes_part(Torus::B, 60));
    }

    #[test]
    fn a_return_that_was_not_heard_of_is_learnt_with_the_next_absence() {
        let mut membership = absent();
        membership.note_absence(Torus::B, 40, 30);
        assert!(!membership.takes(Torus::B, Torus::A, 29) && membership.takes(Torus::B, Torus::A, 30));
        assert!(membership.takes(Torus::A, Torus::B, 37) && !membership.takes(Torus::A, Torus::B, 38));
    }

    #[test]
    fn the_first_present_torus_announces_and_one_return_at_a_time() {
        let mut membership = Membership::new(LAG);
        membership.note_absence(Torus::A, 12, 0);
        membership.note_absence(Torus::C, 15, 0);
        assert!(membership.announces(Torus::A, 3, 9), "its last frame");
        assert!(!membership.announces(Torus::A, 3, 10), "nobody reads it");
        assert!(
            !membership.announces(Torus::B, 3, 11),
            "A's last frame is on its way"
        );
        assert!(membership.announces(Torus::B, 3, 12));
        assert!(!membership.announces(Torus::A, 3, 20));
        membership.note_rejoin(Torus::C, 24);
        assert!(!membership.announces(Torus::B, 3, 25), "C's return is on its way");
        assert!(membership.announces(Torus::B, 3, 26));
    }

    #[test]
    fn whose_absence_is_known_is_not_waited_for_before_it_is_back() {
        let membership = back();
        assert!(!absent().is_counted(Torus::B, 5));
        assert!(!membership.is_counted(Torus::B, 29));
        assert!(membership.is_counted(Torus::B, 30));
        assert!(membership.is_counted(Torus::A, 0));
    }

    #[test]
    fn it_survives_a_checkpoint() {
        let mut words = Vec::new();
        let mut membership = back();
        membership.note_absence(Torus::A, 70, 0);
        membership.save(&mut words);
        assert_eq!(
            Membership::load(&mut Words::new(&words), LAG).expect("whole"),
            membership
        );
        words[1] = 7;
        assert!(Membership::load(&mut Words::new(&words), LAG).is_err());
    }
}
