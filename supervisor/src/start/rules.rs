//! What `start` does with the name it is given: a table over what stands there and what was asked for. Nothing here
//! does I/O.

/// Who of the run that stands there is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its supervisor holds the run lock.
    Supervised,
    /// No supervisor, and at least one worker holds its region lock.
    Orphaned,
    /// Nobody.
    Dead,
}

/// How far the run that stands there got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no run of that name.
    Nothing,
    /// Starting or running when it was last heard of, or failed.
    Unfinished,
    /// Stopped: all tori at one boundary.
    Stopped,
    /// Finished.
    Finished,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Plain `start`.
    New,
    /// `start --replace`, or plain `start` of the run named default.
    NewOrReplace,
    /// `start --resume`.
    Resume,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Create the run.
    Create,
    /// Remove what is over and create the run.
    Replace,
    /// Take over the living workers.
    Adopt,
    /// Continue from the segment.
    Resume,
    /// Refuse: it is running (exit 8).
    AlreadyRunning,
    /// Refuse: all dead and unfinished; `--resume` or `clean` (exit 1).
    NeedsResumeOrClean,
    /// Refuse: it is over; `--replace` or `clean` (exit 1).
    NeedsReplace,
    /// Refuse: there is nothing to resume (exit 4).
    NothingToResume,
    /// Refuse: a finished run cannot go on (exit 1).
    ResumeOfFinished,
}

struct Row {
    lives: &'static [Life],
    standings: &'static [Standing],
    wishes: &'static [Wish],
    plan: Plan,
}

const ANY_WISH: &[Wish] = &[];
const SOMETHING: &[Standing] = &[Standing::Unfinished, Standing::Stopped, Standing::Finished];

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { lives: &[], standings: &[Standing::Nothing], wishes: &[Wish::New, Wish::NewOrReplace], plan: Plan::Create },
    Row { lives: &[], standings: &[Standing::Nothing], wishes: &[Wish::Resume], plan: Plan::NothingToResume },
    Row { lives: &[Life::Supervised], standings: SOMETHING, wishes: ANY_WISH, plan: Plan::AlreadyRunning },
    // Whatever its words say: somebody who may still write lives, so somebody has to look after it.
    Row { lives: &[Life::Orphaned], standings: SOMETHING, wishes: ANY_WISH, plan: Plan::Adopt },
    Row { lives: &[Life::Dead], standings: &[Standing::Unfinished], wishes: &[Wish::New, Wish::NewOrReplace], plan: Plan::NeedsResumeOrClean },
    Row { lives: &[Life::Dead], standings: &[Standing::Unfinished, Standing::Stopped], wishes: &[Wish::Resume], plan: Plan::Resume },
    Row { lives: &[Life::Dead], standings: &[Standing::Stopped, Standing::Finished], wishes: &[Wish::New], plan: Plan::NeedsReplace },
    Row { lives: &[Life::Dead], standings: &[Standing::Stopped, Standing::Finished], wishes: &[Wish::NewOrReplace], plan: Plan::Replace },
    Row { lives: &[Life::Dead], standings: &[Standing::Finished], wishes: &[Wish::Resume], plan: Plan::ResumeOfFinished },
];

impl Row {
    fn matches(&self, life: Life, standing: Standing, wish: Wish) -> bool {
        (self.lives.is_empty() || self.lives.contains(&life))
            && self.standings.contains(&standing)
            && (self.wishes.is_empty() || self.wishes.contains(&wish))
    }
}

/// The plan. `life` is not looked at when nothing stands there.
pub fn plan(life: Life, standing: Standing, wish: Wish) -> Plan {
    let row = TABLE.iter().find(|row| row.matches(life, standing, wish));
    // Not reached without a row: the test walks every combination. Refusing is the safe answer all the same.
    row.map_or(Plan::AlreadyRunning, |row| row.plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: [Life; 3] = [Life::Supervised, Life::Orphaned, Life::Dead];
    const STANDINGS: [Standing; 4] = [
        Standing::Nothing,
        Standing::Unfinished,
        Standing::Stopped,
        Standing::Finished,
    ];
    const WISHES: [Wish; 3] = [Wish::New, Wish::NewOrReplace, Wish::Resume];

    fn all() -> impl Iterator<Item = (Life, Standing, Wish)> {
        LIVES.into_iter().flat_map(|l| {
            STANDINGS
                .into_iter()
                .flat_map(move |s| WISHES.into_iter().map(move |w| (l, s, w)))
        })
    }

    #[test]
    fn every_combination_matches_exactly_one_row() {
        for (life, standing, wish) in all() {
            let rows = TABLE
                .iter()
                .filter(|row| row.matches(life, standing, wish))
                .count();
            assert_eq!(rows, 1, "{life:?} {standing:?} {wish:?}");
        }
    }

    #[test]
    fn nothing_that_lives_or_is_unfinished_is_ever_replaced() {
        for (life, standing, wish) in all() {
            if plan(life, standing, wish) == Plan::Replace {
                assert_eq!(life, Life::Dead);
                assert!(matches!(standing, Standing::Stopped | Standing::Finished));
                assert_eq!(wish, Wish::NewOrReplace);
            }
        }
    }

    #[test]
    fn the_rules_of_the_manual() {
        assert_eq!(
            plan(Life::Supervised, Standing::Unfinished, Wish::NewOrReplace),
            Plan::AlreadyRunning
        );
        assert_eq!(plan(Life::Orphaned, Standing::Unfinished, Wish::New), Plan::Adopt);
        assert_eq!(
            plan(Life::Dead, Standing::Unfinished, Wish::NewOrReplace),
            Plan::NeedsResumeOrClean
        );
        assert_eq!(plan(Life::Dead, Standing::Unfinished, Wish::Resume), Plan::Resume);
        assert_eq!(
            plan(Life::Dead, Standing::Finished, Wish::New),
            Plan::NeedsReplace
        );
        assert_eq!(plan(Life::Dead, Standing::Stopped, Wish::Resume), Plan::Resume);
    }
}
