//! What can be constrained, and what a model is told about a constraint that its torus does not meet.

/// What a constraint holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u64)]
pub enum ConstraintKind {
    /// Events executed per 1000 ticks, over the last interval.
    EventRate = 1,
    /// Pending events.
    Pending = 2,
    /// Cells with a process.
    Active = 3,
    /// The model's conserved total, in cells and pending events.
    Invariant = 4,
}

impl ConstraintKind {
    /// All kinds, in the order of their words.
    pub const ALL: [ConstraintKind; 4] = [
        ConstraintKind::EventRate,
        ConstraintKind::Pending,
        ConstraintKind::Active,
        ConstraintKind::Invariant,
    ];

    /// The kind that a word of an entry names; `None` for an empty entry and for damaged or foreign data.
    pub fn from_word(word: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == word)
    }

    /// Its name, as commands and reports use it.
    pub const fn name(self) -> &'static str {
        match self {
            ConstraintKind::EventRate => "event-rate",
            ConstraintKind::Pending => "pending",
            ConstraintKind::Active => "active",
            ConstraintKind::Invariant => "invariant",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How far a torus is from a constraint at a boundary, when that is more than half of the tolerance: a value that wanders
/// is turned back before it is a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// What is constrained.
    pub kind: ConstraintKind,
    /// The torus's own value minus the value to hold. Where several entries of a kind deviate, the mean over them:
    /// entries that contradict one another then hold the middle, and entries that agree count once.
    pub amount: i64,
}

impl Deviation {
    /// What to add to the value at this boundary: half of the way back, rounded away from zero. What is left of a
    /// deviation after that has the same sign and half the size, so a response of this size never oscillates, and ends
    /// at the value.
    pub fn step(&self) -> i64 {
        // The half of an i64, rounded away from zero, has less than 64 bits, also with the other sign.
        let half = self.amount.unsigned_abs().div_ceil(2) as i64;
        if self.amount > 0 { -half } else { half }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_go_by_word_and_name() {
        for kind in ConstraintKind::ALL {
            assert_eq!(ConstraintKind::from_word(kind as u64), Some(kind));
            assert_eq!(ConstraintKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(ConstraintKind::from_word(0), None);
        assert_eq!(ConstraintKind::from_name("speed"), None);
    }

    #[test]
    fn a_step_goes_half_of_the_way_and_reaches_the_end() {
        for start in [1, -1, 7, -8, 1_000_001, i64::MAX, i64::MIN] {
            let mut deviation = start;
            let mut steps = 0;
            while deviation != 0 {
                let step = Deviation {
                    kind: ConstraintKind::Pending,
                    amount: deviation,
                }
                .step();
                let after = deviation + step;
                assert!(after == 0 || after.signum() == deviation.signum(), "from {start}");
                assert!(after.unsigned_abs() <= deviation.unsigned_abs() / 2);
                deviation = after;
                steps += 1;
            }
            assert!(steps <= 64, "{steps} from {start}");
        }
    }
}
