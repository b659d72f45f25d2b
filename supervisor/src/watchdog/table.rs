//! What the watchdog does with one torus: a state × event table. Facts come in, a verdict goes out, nothing is touched.
//!
//! | state | meaning |
//! |---|---|
//! | `Alive` | its process exists, as far as the pidfd says |
//! | `Killed` | the watchdog has sent SIGKILL and waits for the death |
//! | `Fenced` | the process is dead; its region lock is not proved free yet |
//! | `Resting` | dead, and free; the successor's time has not come (at once, or after a pause) |
//! | `Over` | it has finished at the final boundary, or failed for good; no successor |
//!
//! Two writers of one region are impossible because a worker writes only a region that it has taken over. `Dying` comes
//! before the lock is free, and only for a worker whose exit status could not change the verdict; in every other case the
//! order is *death, then lock free, then spawn*.

/// Where the worker of one torus stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its process exists.
    Alive,
    /// SIGKILL is on its way.
    Killed,
    /// Dead; waiting for the proof that its region lock is free.
    Fenced,
    /// Dead and free; waiting for the time of the restart.
    Resting,
    /// No process and no successor.
    Over,
}

impl State {
    /// Every state.
    pub const ALL: [State; 5] = [
        State::Alive,
        State::Killed,
        State::Fenced,
        State::Resting,
        State::Over,
    ];
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its worker is dead and is to be replaced, whatever its exit status will be; the process is still being torn down.
    Dying,
    /// The process is gone, having finished at the final boundary.
    Completed,
    /// The process is gone, having reported that it cannot go on (a full capacity, a divergence).
    GaveUp,
    /// The process is gone in any other way.
    Crashed,
    /// Its heartbeat has stood still for the hang timeout.
    Stalled,
    /// What it published is damaged, and a peer cannot go on without it.
    Damaged,
    /// Its region lock is free.
    LockFree,
    /// The pause before the restart is over.
    RestartDue,
}

impl Event {
    /// Every event.
    pub const ALL: [Event; 8] = [
        Event::Dying,
        Event::Completed,
        Event::GaveUp,
        Event::Crashed,
        Event::Stalled,
        Event::Damaged,
        Event::LockFree,
        Event::RestartDue,
    ];
}

/// What the run as a whole is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// The run goes on (or towards the boundary of a stop, which needs every worker to get there).
    GoOn,
    /// The run is given up: no worker is started any more.
    Abandon,
}

impl Intent {
    /// Every intent.
    pub const ALL: [Intent; 2] = [Intent::GoOn, Intent::Abandon];
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Send SIGKILL through the pidfd, because it hangs.
    KillHung,
    /// Send SIGKILL through the pidfd, so that a successor rewrites what is damaged.
    KillDamaged,
    /// Note the death, and start the successor, which takes the region over itself.
    HandOver,
    /// Note the death, and look at the region lock until it is free.
    AwaitLock,
    /// Ask the restart policy when the successor may start.
    PlanRestart,
    /// Start the successor.
    Spawn,
    /// Note that this torus has finished.
    NoteFinished,
    /// Note the worker's own reason; the run has failed.
    FailRun,
}

/// One row: the first three columns are matched (`&[]` matches everything), the last two are the answer; `None` as the
/// next state keeps the state.
pub struct Row {
    states: &'static [State],
    events: &'static [Event],
    intents: &'static [Intent],
    next: Option<State>,
    action: Action,
}

const ANY_INTENT: &[Intent] = &[];
const EXISTS: &[State] = &[State::Alive, State::Killed];
const GONE: &[State] = &[State::Fenced, State::Resting, State::Over];

/// The table. `every_combination_matches_exactly_one_row` walks it.
#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    // The worker is dead, its process not yet gone: from here on the slot is its successor's.
    Row { states: EXISTS, events: &[Event::Dying], intents: &[Intent::GoOn], next: Some(State::Alive), action: Action::HandOver },
    Row { states: EXISTS, events: &[Event::Dying], intents: &[Intent::Abandon], next: None, action: Action::None },
    Row { states: GONE, events: &[Event::Dying], intents: ANY_INTENT, next: None, action: Action::None },
    // The process is gone.
    Row { states: EXISTS, events: &[Event::Completed], intents: ANY_INTENT, next: Some(State::Over), action: Action::NoteFinished },
    Row { states: EXISTS, events: &[Event::GaveUp], intents: ANY_INTENT, next: Some(State::Over), action: Action::FailRun },
    Row { states: EXISTS, events: &[Event::Crashed], intents: &[Intent::GoOn], next: Some(State::Fenced), action: Action::AwaitLock },
    Row { states: EXISTS, events: &[Event::Crashed], intents: &[Intent::Abandon], next: Some(State::Over), action: Action::None },
    // A process is reported gone once.
    Row { states: GONE, events: &[Event::Completed, Event::GaveUp, Event::Crashed], intents: ANY_INTENT, next: None, action: Action::None },
    // It hangs, or what it wrote is damaged. A signal already sent is not sent again: SIGKILL cannot be missed, only slow.
    Row { states: &[State::Alive], events: &[Event::Stalled], intents: ANY_INTENT, next: Some(State::Killed), action: Action::KillHung },
    Row { states: &[State::Alive], events: &[Event::Damaged], intents: &[Intent::GoOn], next: Some(State::Killed), action: Action::KillDamaged },
    Row { states: &[State::Alive], events: &[Event::Damaged], intents: &[Intent::Abandon], next: None, action: Action::None },
    Row { states: &[State::Killed, State::Fenced, State::Resting, State::Over], events: &[Event::Stalled, Event::Damaged], intents: ANY_INTENT, next: None, action: Action::None },
    // Its region may be written by a successor.
    Row { states: &[State::Fenced], events: &[Event::LockFree], intents: &[Intent::GoOn], next: Some(State::Resting), action: Action::PlanRestart },
    Row { states: &[State::Fenced], events: &[Event::LockFree], intents: &[Intent::Abandon], next: Some(State::Over), action: Action::None },
    Row { states: &[State::Alive, State::Killed, State::Resting, State::Over], events: &[Event::LockFree], intents: ANY_INTENT, next: None, action: Action::None },
    // The successor.
    Row { states: &[State::Resting], events: &[Event::RestartDue], intents: &[Intent::GoOn], next: Some(State::Alive), action: Action::Spawn },
    Row { states: &[State::Resting], events: &[Event::RestartDue], intents: &[Intent::Abandon], next: Some(State::Over), action: Action::None },
    Row { states: &[State::Alive, State::Killed, State::Fenced, State::Over], events: &[Event::RestartDue], intents: ANY_INTENT, next: None, action: Action::None },
];

impl Row {
    fn matches(&self, state: State, event: Event, intent: Intent) -> bool {
        let has = |states: &[State]| states.is_empty() || states.contains(&state);
        has(self.states)
            && self.events.contains(&event)
            && (self.intents.is_empty() || self.intents.contains(&intent))
    }
}

/// The verdict on one event: the next state and what to do.
pub fn decide(state: State, event: Event, intent: Intent) -> (State, Action) {
    match TABLE.iter().find(|row| row.matches(state, event, intent)) {
        Some(row) => (row.next.unwrap_or(state), row.action),
        // Not reached: the test walks every combination. Doing nothing is the safe answer all the same.
        None => (state, Action::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combinations() -> impl Iterator<Item = (State, Event, Intent)> {
        State::ALL.into_iter().flat_map(|state| {
            Event::ALL
                .into_iter()
                .flat_map(move |event| Intent::ALL.into_iter().map(move |intent| (state, event, intent)))
        })
    }

    #[test]
    fn every_combination_matches_exactly_one_row() {
        for (state, event, intent) in combinations() {
            let rows = TABLE
                .iter()
                .filter(|row| row.matches(state, event, intent))
                .count();
            assert_eq!(rows, 1, "{state:?} {event:?} {intent:?}");
        }
    }

    #[test]
    fn every_row_is_used() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(combinations().any(|(s, e, n)| row.matches(s, e, n)), "row {i}");
        }
    }

    #[test]
    fn a_successor_starts_only_after_death_then_a_free_lock() {
        for (state, event, intent) in combinations() {
            let (_, action) = decide(state, event, intent);
            if action == Action::Spawn {
                assert_eq!(
                    (state, event, intent),
                    (State::Resting, Event::RestartDue, Intent::GoOn)
                );
            }
            if action == Action::PlanRestart {
                assert_eq!((state, event), (State::Fenced, Event::LockFree));
            }
        }
        for (state, event, intent) in combinations() {
            let (next, _) = decide(state, event, intent);
            if next == State::Resting && state != State::Resting {
                assert_eq!(state, State::Fenced, "resting is entered from fenced alone");
            }
            if next == State::Fenced && state != State::Fenced {
                assert!(EXISTS.contains(&state) && event == Event::Crashed);
            }
        }
    }

    #[test]
    fn nothing_leaves_over_and_nothing_is_started_for_a_run_that_is_given_up() {
        for (state, event, intent) in combinations() {
            let (next, action) = decide(state, event, intent);
            if state == State::Over {
                assert_eq!((next, action), (State::Over, Action::None));
            }
            if intent == Intent::Abandon {
                assert_ne!(action, Action::Spawn);
                assert_ne!(action, Action::PlanRestart);
            }
        }
    }

    #[test]
    fn only_a_living_worker_is_killed_and_only_once() {
        for (state, event, intent) in combinations() {
            match decide(state, event, intent).1 {
                Action::KillHung => assert_eq!((state, event), (State::Alive, Event::Stalled)),
                Action::KillDamaged => assert_eq!((state, event), (State::Alive, Event::Damaged)),
                _ => {}
            }
        }
    }
}
