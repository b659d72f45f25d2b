//! Rollback orders: how far each torus goes back after a finding.
//!
//! The supervisor writes an order while no worker and no scrubber lives; each successor carries it out on its own region
//! before it reads anybody else's, and says so in its status cell. The last few orders stay, for reports.

use super::audit::{Difference, Finding};
use super::torus::{TORI, Torus};

/// Words of an order.
pub const ROLLBACK_WORDS: usize = 32;
/// Orders that are kept.
pub const ROLLBACKS: usize = 8;

/// What one torus does in a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Part {
    /// It keeps its frames below this.
    pub cut: u64,
    /// It keeps this checkpoint and older ones; its peers keep the mirrors of them.
    pub keep: u64,
    /// Intervals from the cut up to this one are executed anew with the intake that they had.
    pub redo_until: u64,
    /// The order under whose number that intake is kept.
    pub redo_number: u64,
}

/// A rollback order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Its number, from 1.
    pub number: u64,
    /// What was found.
    pub finding: Finding,
    /// The number of the scrubber's newest finding when the order was given: that one and older ones are answered.
    pub answers: u64,
    /// What each torus does.
    pub parts: [Part; TORI],
    /// CLOCK_MONOTONIC when it was given, in ns.
    pub ordered_ns: u64,
    /// CLOCK_MONOTONIC when all tori had executed again what they had before, in ns; 0: not yet.
    pub corrected_ns: u64,
}

impl Rollback {
    /// What `torus` does.
    pub fn part(&self, torus: Torus) -> &Part {
        &self.parts[torus.index()]
    }

    pub(crate) fn to_words(self) -> [u64; ROLLBACK_WORDS] {
        let mut words = [0; ROLLBACK_WORDS];
        let Finding {
            torus,
            interval,
            difference,
            found_at,
            committed,
            executed,
        } = self.finding;
        words[..10].copy_from_slice(&[
            self.number,
            torus.index() as u64,
            interval,
            difference.word(),
            found_at,
            committed,
            executed,
            self.answers,
            self.ordered_ns,
            self.corrected_ns,
        ]);
        for (part, words) in self.parts.iter().zip(words[12..].chunks_exact_mut(4)) {
            words.copy_from_slice(&[part.cut, part.keep, part.redo_until, part.redo_number]);
        }
        words
    }

    pub(crate) fn from_words(words: &[u64; ROLLBACK_WORDS]) -> Option<Rollback> {
        let part = |torus: usize| {
            let first = 12 + 4 * torus;
            Part {
                cut: words[first],
                keep: words[first + 1],
                redo_until: words[first + 2],
                redo_number: words[first + 3],
            }
        };
        Some(Rollback {
            number: words[0],
            finding: Finding {
                torus: Torus::from_index(usize::try_from(words[1]).ok()?)?,
                interval: words[2],
                difference: Difference::from_word(words[3])?,
                found_at: words[4],
                committed: words[5],
                executed: words[6],
            },
            answers: words[7],
            ordered_ns: words[8],
            corrected_ns: words[9],
            parts: [part(0), part(1), part(2)],
        })
    }
}

/// The order that answers a finding. Pure: `heads` are the frames that each torus has committed, `cleared` its newest
/// cleared checkpoint, `before` the order before this one, if there was one.
///
/// The torus keeps its frames below the interval x that differs. Its frame n acts on its peers at boundary n+L, so their
/// frames below x+L owe nothing to a frame from x on; all later ones may. What was committed beyond the cuts is executed
/// anew with the intake that it had; where that is still under way from the order before, it goes on to the same end.
pub fn order(
    finding: Finding,
    answers: u64,
    lag: u64,
    heads: [u64; TORI],
    cleared: [u64; TORI],
    before: Option<&Rollback>,
) -> Rollback {
    let number = before.map_or(0, |before| before.number) + 1;
    let part = |torus: Torus| {
        let i = torus.index();
        let clean = if torus == finding.torus {
            finding.interval
        } else {
            finding.interval.saturating_add(lag)
        };
        let unfinished = before
            .map(|before| before.part(torus))
            .filter(|part| heads[i] < part.redo_until);
        Part {
            cut: clean.min(heads[i]),
            keep: cleared[i],
            redo_until: unfinished.map_or(heads[i], |part| part.redo_until),
            redo_number: unfinished.map_or(number, |part| part.redo_number),
        }
    };
    Rollback {
        number,
        finding,
        answers,
        parts: Torus::ALL.map(part),
        ordered_ns: 0,
        corrected_ns: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(torus: Torus, interval: u64) -> Finding {
        Finding {
            torus,
            interval,
            difference: Difference::Frame,
            found_at: interval + 3,
            committed: 1,
            executed: 2,
        }
    }

    #[test]
    fn an_order_survives_its_words() {
        let mut rollback = order(finding(Torus::C, 9), 4, 2, [12, 13, 14], [5, 6, 7], None);
        rollback.ordered_ns = 77;
        rollback.corrected_ns = 99;
        assert_eq!(Rollback::from_words(&rollback.to_words()), Some(rollback));
        let mut words = rollback.to_words();
        words[1] = 3;
        assert_eq!(Rollback::from_words(&words), None);
    }

    #[test]
    fn the_torus_goes_back_to_the_interval_and_its_peers_to_what_they_had_before_they_took_it_in() {
        let order = order(finding(Torus::B, 9), 1, 2, [14, 13, 10], [5, 6, 7], None);
        assert_eq!(order.parts.map(|part| part.cut), [11, 9, 10]);
        assert_eq!(order.parts.map(|part| part.redo_until), [14, 13, 10]);
        assert_eq!(order.parts.map(|part| part.keep), [5, 6, 7]);
        assert_eq!(order.parts.map(|part| part.redo_number), [1; 3]);
    }

    #[test]
    fn an_order_amid_the_redo_of_another_keeps_its_end_and_its_intake() {
        let first = order(finding(Torus::B, 9), 1, 2, [14, 13, 10], [5, 6, 7], None);
        let second = order(finding(Torus::A, 8), 2, 2, [12, 13, 16], [5, 6, 7], Some(&first));
        assert_eq!(second.number, 2);
        assert_eq!(second.parts.map(|part| part.cut), [8, 10, 10]);
        assert_eq!(second.parts.map(|part| part.redo_until), [14, 13, 16]);
        assert_eq!(second.parts.map(|part| part.redo_number), [1, 2, 2]);
    }
}
