//! Adapt the interval: how long intervals are, decided in rotation by the torus whose turn it is to project.
//!
//! The choice in frame n sets the length of interval n+2L, because whoever emits in an interval must already know the
//! boundary L further on, and the frame itself takes L boundaries to arrive. The tori do not know one another's newest
//! choices, so there are choices in the frames of *epochs* only: multiples of a number E that is at least 2L, so that every
//! choice is known to all when the next is made, and that no three divide, so that the turn goes round. All other frames
//! leave the length as it is.
//!
//! Hysteresis: a torus shortens when two of its last three intervals had violations, and lengthens after a long quiet run.

use super::checkpoint::Words;
use super::{Node, NodeError};
use crate::kernel::{LoadError, Sink};
use crate::model::Model;
use shm_layout::config::{ADAPTIVE_INTERVAL_MAX, ADAPTIVE_INTERVAL_MIN};
use shm_layout::frame::Frame;
use shm_layout::torus::Torus;

/// The violations of so many intervals are looked at.
const RECENT: u32 = 3;
/// So many of them shorten the intervals.
const RECENT_VIOLATED: u32 = 2;
/// An epoch's length times this without a violation lengthens them.
const QUIET_EPOCHS: u64 = 4;

/// What a torus remembers for its choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Intervals without a violation since the last one with.
    quiet: u64,
    /// The last [`RECENT`] intervals, the newest in bit 0: whether there was a violation.
    recent: u64,
    /// The own choice that does not act yet: the interval whose length it sets, and the length; zeros: none.
    own: [u64; 2],
}

/// The smallest number of intervals between two choices: at least 2L and 3, and no multiple of 3.
pub fn epoch(lag: u64) -> u64 {
    let least = (2 * lag).max(3);
    least + u64::from(least.is_multiple_of(3))
}

/// Whether frame `n` carries a choice.
pub fn is_epoch(n: u64, lag: u64) -> bool {
    n > 0 && n.is_multiple_of(epoch(lag))
}

fn shorter(length: u64) -> u64 {
    (length * 4 / 5).max(ADAPTIVE_INTERVAL_MIN)
}

fn longer(length: u64) -> u64 {
    (length * 6 / 5).min(ADAPTIVE_INTERVAL_MAX)
}

impl Pace {
    /// Words of a checkpoint's section.
    pub(super) const WORDS: usize = 4;

    /// Notes the violations of an interval that ends.
    fn note(&mut self, violations: u64) {
        let violated = u64::from(violations > 0);
        self.recent = (self.recent << 1 | violated) & ((1 << RECENT) - 1);
        self.quiet = if violated == 1 { 0 } else { self.quiet + 1 };
    }

    /// The length that this torus chooses, given the last one known; 0 to leave it. `frozen`: a torus is absent, which
    /// could not learn of a change.
    fn choose(&self, length: u64, lag: u64, frozen: bool) -> u64 {
        let chosen = if frozen {
            length
        } else if self.recent.count_ones() >= RECENT_VIOLATED {
            shorter(length)
        } else if self.quiet >= QUIET_EPOCHS * epoch(lag) {
            longer(length)
        } else {
            length
        };
        if chosen == length { 0 } else { chosen }
    }

    pub(super) fn save(&self, out: &mut impl Sink) {
        out.put(&[self.quiet, self.recent, self.own[0], self.own[1]]);
    }

    pub(super) fn load(words: &mut Words<'_>) -> Result<Self, LoadError> {
        let [quiet, recent, interval, length] = words.array()?;
        Ok(Self {
            quiet,
            recent,
            own: [interval, length],
        })
    }
}

impl<M: Model> Node<M> {
    /// The choice of frame b−L, if it has one, sets the length of interval b+L.
    pub(super) fn adapt(&mut self, frames: &[Option<&Frame>; 3]) -> Result<(), NodeError> {
        if !self.calendar.is_adaptive() {
            return Ok(());
        }
        let b = self.books.boundary;
        let length = self.calendar.last_length();
        let mut chosen = 0;
        for (torus, frame) in Torus::ALL.into_iter().zip(frames) {
            let choice = frame.map_or(0, |frame| frame.next_interval());
            if choice != 0 {
                self.check_choice(torus, choice, length)?;
                chosen = choice;
            }
        }
        if self.pace.own[0] == b + self.calendar.lag() {
            [_, chosen] = std::mem::take(&mut self.pace.own);
        }
        self.calendar.extend(if chosen == 0 { length } else { chosen });
        Ok(())
    }

    fn check_choice(&self, torus: Torus, choice: u64, length: u64) -> Result<(), NodeError> {
        let n = self.books.boundary.saturating_sub(self.calendar.lag());
        let is_its_turn = is_epoch(n, self.calendar.lag()) && n % 3 == torus.index() as u64;
        if is_its_turn && [shorter(length), longer(length)].contains(&choice) {
            return Ok(());
        }
        Err(self.foreign(format!(
            "torus {torus} chooses a length of {choice} ticks in frame {n}, after {length} ticks"
        )))
    }

    /// Closes interval n for the pace: what frame n carries as the next length.
    pub(super) fn choose_length(&mut self) -> u64 {
        if !self.calendar.is_adaptive() {
            return self.calendar.interval();
        }
        self.pace.note(self.violations);
        let (n, lag) = (self.books.boundary, self.calendar.lag());
        if !is_epoch(n, lag) || n % 3 != self.torus.index() as u64 {
            return 0;
        }
        let mut peers = self.torus.peers(self.tori);
        let frozen = peers.any(|peer| !self.reaches(peer, n));
        let chosen = self.pace.choose(self.calendar.last_length(), lag, frozen);
        if chosen != 0 {
            self.pace.own = [n + 2 * lag, chosen];
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_go_round_and_are_known_before_the_next_is_made() {
        let epochs: Vec<_> = (1..=8).map(epoch).collect();
        assert_eq!(epochs, [4, 4, 7, 8, 10, 13, 14, 16]);
        for lag in 1..=8 {
            assert!(
                epoch(lag) >= 2 * lag,
                "the choice of frame n acts before that of n+E is made"
            );
            let deciding: Vec<_> = (1..=300).filter(|n| is_epoch(*n, lag)).map(|n| n % 3).collect();
            assert!(deciding.windows(3).all(|three| three.iter().sum::<u64>() == 3));
        }
    }

    #[test]
    fn violations_shorten_and_a_long_quiet_run_lengthens_within_the_limits() {
        let mut pace = Pace::default();
        let mut length = 1000;
        let mut choose = |pace: &Pace| {
            let chosen = pace.choose(length, 2, false);
            if chosen != 0 {
                length = chosen;
            }
            length
        };
        pace.note(1);
        pace.note(0);
        assert_eq!(choose(&pace), 1000, "one of three does nothing");
        pace.note(2);
        assert_eq!(choose(&pace), 800);
        for _ in 0..20 {
            choose(&pace);
        }
        assert_eq!(choose(&pace), 100, "and not below");
        for _ in 0..15 {
            pace.note(0);
            assert_eq!(choose(&pace), 100, "not quiet for long enough");
        }
        pace.note(0);
        assert_eq!(choose(&pace), 120);
        for _ in 0..40 {
            choose(&pace);
        }
        assert_eq!(choose(&pace), 10_000, "and not above");
    }

    #[test]
    fn nothing_changes_while_a_torus_is_absent() {
        let mut pace = Pace::default();
        (0..3).for_each(|_| pace.note(1));
        assert_eq!(pace.choose(1000, 2, true), 0);
        assert_eq!(pace.choose(1000, 2, false), 800);
    }
}
