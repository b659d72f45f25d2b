//! Hold constraints: what a torus does at each boundary about the entries that bind it.
//!
//! It measures its own values once, before any response; says of each entry whether it is satisfied; and lets the model
//! answer each kind from which it deviates by more than half of the tolerance, once, with the mean deviation: so entries
//! that say the same, set by several tori, do not add up to more than one response. A response that only began at the
//! tolerance would leave a value that wanders at random to leave it again and again.

use shm_layout::frame::{CONSTRAINTS, Constraint};

use super::{Node, NodeError};
use crate::constraint::{ConstraintKind, Deviation};
use crate::model::Model;

/// How a torus stands to one entry, as of the last boundary that it entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The torus's own value.
    pub measured: i64,
    /// Whether it differs by more than the tolerance.
    pub violated: bool,
}

/// The verdicts on all entries; none for an empty one, or where there is nothing to measure yet.
pub type Verdicts = [Option<Verdict>; CONSTRAINTS];

impl<M: Model> Node<M> {
    /// Evaluates every entry that binds this torus and answers deviations. Returns how many entries are violated.
    pub(super) fn hold_constraints(&mut self) -> Result<u64, NodeError> {
        let last = self
            .constraints
            .begin_interval(self.kernel.events(), self.calendar.tick(self.books.boundary));
        self.verdicts = [None; CONSTRAINTS];
        if self.constraints.bound().next().is_none() {
            return Ok(0);
        }
        let mut violated = 0;
        for kind in ConstraintKind::ALL {
            let deviations = self.judge(kind, last);
            violated += deviations.violated;
            let amount = deviations.mean();
            if amount != 0 {
                self.answer(&Deviation { kind, amount })?;
            }
        }
        Ok(violated)
    }

    /// Lets the model answer, and delivers what it emits.
    fn answer(&mut self, deviation: &Deviation) -> Result<(), NodeError> {
        let tick = self.calendar.tick(self.books.boundary);
        let migrations = &self.migrations;
        let is_taken = |cell| migrations.is_taken(cell);
        let emitted = self.kernel.correct(deviation, tick, &is_taken)?;
        emitted.into_iter().try_for_each(|event| self.deliver(event))
    }

    /// Judges the entries of one kind.
    fn judge(&mut self, kind: ConstraintKind, last: LastInterval) -> Deviations {
        let mut deviations = Deviations::default();
        let of_kind = |(_, entry): &(usize, Constraint)| entry.kind == kind as u64;
        let mut entries = self.constraints.bound().filter(of_kind).peekable();
        if entries.peek().is_none() {
            return deviations;
        }
        let Some(measured) = measure(&self.kernel, kind, last) else {
            return deviations;
        };
        for (number, entry) in entries {
            let deviation = i128::from(measured) - i128::from(entry.value);
            let violated = deviation.unsigned_abs() > u128::from(entry.tolerance);
            self.verdicts[number] = Some(Verdict { measured, violated });
            deviations.violated += u64::from(violated);
            if deviation.unsigned_abs() > u128::from(entry.tolerance / 2) {
                deviations.add(deviation);
            }
        }
        deviations
    }

    /// How this torus stands to each entry, as of the last boundary that it entered.
    pub fn verdicts(&self) -> &Verdicts {
        &self.verdicts
    }
}

/// What was executed in the interval before this boundary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastInterval {
    pub(super) events: u64,
    pub(super) ticks: u64,
}

/// The torus's own value; `None` for a rate before the first interval.
fn measure<M: Model>(
    kernel: &crate::kernel::Kernel<M>,
    kind: ConstraintKind,
    last: LastInterval,
) -> Option<i64> {
    let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    match kind {
        ConstraintKind::EventRate => {
            let thousandfold = u128::from(last.events) * 1000;
            let rate = thousandfold.checked_div(last.ticks.into())?;
            Some(i64::try_from(rate).unwrap_or(i64::MAX))
        }
        ConstraintKind::Pending => Some(whole(kernel.pending())),
        ConstraintKind::Active => Some(kernel.active().into()),
        ConstraintKind::Invariant => Some(kernel.conserved_total()),
    }
}

/// The deviations to answer from the entries of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Deviations {
    violated: u64,
    sum: i128,
    count: u64,
}

impl Deviations {
    fn add(&mut self, deviation: i128) {
        self.sum += deviation;
        self.count += 1;
    }

    /// The mean, towards zero.
    fn mean(self) -> i64 {
        let mean = self.sum / i128::from(self.count.max(1));
        mean.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_agree_count_once_and_those_that_contradict_hold_the_middle() {
        let mean = |all: &[i128]| {
            let mut deviations = Deviations::default();
            all.iter().for_each(|deviation| deviations.add(*deviation));
            deviations.mean()
        };
        assert_eq!(mean(&[40, 40, 40]), 40);
        assert_eq!(mean(&[50, -50]), 0);
        assert_eq!(mean(&[i128::from(i64::MAX) * 2]), i64::MAX);
        assert_eq!(mean(&[]), 0);
    }
}
