//! What a death was: the exit status, as far as it is known, and the phase the worker last wrote, as one verdict.

use shm_layout::control::Cause;

use super::table::Event;

/// Ending code of a worker that has finished at the final boundary.
pub const EXIT_FINISHED: i32 = 0;
/// Ending code of a worker that could not take its region lock in time.
pub const EXIT_LOCKED_OUT: i32 = 75;

/// How a worker's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It returned this exit code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Nobody can say: the process was started by a supervisor that is dead, or could not be started at all.
    Unknown,
}

/// What the worker last said about itself, reduced to what decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastWord {
    /// It reached the final boundary.
    Finished,
    /// It gave up.
    Failed,
    /// Anything else: it was still at it.
    AtWork,
}

/// The verdict. That a worker has finished counts only together with an exit status that agrees, or when the status is
/// unknown. That it has failed counts always.
pub fn classify(exit: Ending, last_word: LastWord) -> Event {
    match (exit, last_word) {
        (Ending::Code(EXIT_FINISHED) | Ending::Unknown, LastWord::Finished) => Event::Completed,
        // Killed between its last word and its exit: the word was written last, and holds.
        (Ending::Signal(_), LastWord::Finished) => Event::Completed,
        // However it ended then (a full disk can make a panic of it): whoever comes next would fail at the same place.
        (_, LastWord::Failed) => Event::GaveUp,
        _ => Event::Crashed,
    }
}

/// Whether the signal was sent from outside (a person, the out-of-memory killer), as opposed to being the answer to a
/// fault of the worker's own.
pub fn from_outside(exit: Ending) -> bool {
    use nix::libc::{SIGHUP, SIGINT, SIGKILL, SIGTERM};
    matches!(exit, Ending::Signal(SIGKILL | SIGTERM | SIGINT | SIGHUP))
}

/// What the watchdog kills a worker for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its heartbeat stood still.
    Hung,
    /// What it published is damaged.
    Damaged,
    /// What it committed is taken back.
    TakenBack,
}

/// The cause that the recovery log keeps; it knows one for all workers that the watchdog kills because they are at fault.
pub fn cause(ending: Ending, fault: Option<Fault>) -> Cause {
    match ending {
        _ if fault == Some(Fault::TakenBack) => Cause::Rollback,
        _ if fault.is_some() => Cause::Hang,
        Ending::Code(code) => Cause::Exit(code),
        Ending::Signal(signal) => Cause::Signal(signal),
        Ending::Unknown => Cause::Unknown,
    }
}

/// A death in words, for the console.
pub fn told(ending: Ending, fault: Option<Fault>) -> String {
    match fault {
        Some(Fault::Damaged) => "killed for damaged memory".to_owned(),
        _ => in_words(cause(ending, fault)),
    }
}

/// A cause in words, for the reports.
pub fn in_words(cause: Cause) -> String {
    match cause {
        Cause::Hang => "hung".to_owned(),
        Cause::Rollback => "rollback".to_owned(),
        Cause::Signal(signal) => crate::text::show::signal(signal),
        Cause::Exit(EXIT_LOCKED_OUT) => "exit code 75 (could not take its region lock)".to_owned(),
        Cause::Exit(code) => format!("exit code {code}"),
        Cause::Unknown => "exit status unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDINGS: [Ending; 7] = [
        Ending::Code(0),
        Ending::Code(1),
        Ending::Code(75),
        Ending::Code(101),
        Ending::Signal(9),
        Ending::Signal(11),
        Ending::Unknown,
    ];
    const WORDS: [LastWord; 3] = [LastWord::Finished, LastWord::Failed, LastWord::AtWork];

    #[test]
    fn only_a_worker_that_said_so_has_finished_or_failed() {
        for exit in ENDINGS {
            for word in WORDS {
                match classify(exit, word) {
                    Event::Completed => assert_eq!(word, LastWord::Finished),
                    Event::GaveUp => assert_eq!(word, LastWord::Failed),
                    event => assert_eq!(event, Event::Crashed),
                }
            }
            assert_eq!(classify(exit, LastWord::AtWork), Event::Crashed, "{exit:?}");
        }
    }

    #[test]
    fn an_exit_code_that_contradicts_the_last_word_is_a_crash() {
        assert_eq!(classify(Ending::Code(101), LastWord::Finished), Event::Crashed);
        assert_eq!(classify(Ending::Code(75), LastWord::AtWork), Event::Crashed);
    }

    #[test]
    fn a_worker_that_failed_has_failed_however_it_ended() {
        for ending in ENDINGS {
            assert_eq!(classify(ending, LastWord::Failed), Event::GaveUp, "{ending:?}");
        }
    }

    #[test]
    fn an_adopted_worker_is_judged_by_its_last_word() {
        assert_eq!(classify(Ending::Unknown, LastWord::Finished), Event::Completed);
        assert_eq!(classify(Ending::Unknown, LastWord::Failed), Event::GaveUp);
        assert_eq!(classify(Ending::Unknown, LastWord::AtWork), Event::Crashed);
    }

    #[test]
    fn faults_are_told_from_signals_that_others_send() {
        assert!(from_outside(Ending::Signal(9)));
        assert!(!from_outside(Ending::Signal(11)));
        assert!(!from_outside(Ending::Code(101)));
        assert_eq!(in_words(cause(Ending::Signal(11), None)), "SIGSEGV");
        assert_eq!(in_words(cause(Ending::Unknown, None)), "exit status unknown");
        assert_eq!(told(Ending::Signal(9), None), "SIGKILL");
        assert_eq!(told(Ending::Signal(9), Some(Fault::Hung)), "hung");
        assert_eq!(
            told(Ending::Signal(9), Some(Fault::Damaged)),
            "killed for damaged memory"
        );
    }
}
