//! A `start` in the foreground.

use std::time::Duration;

use super::command::{Answer, PATIENCE, Running};
use super::run::Run;

/// A `start` in the foreground; killed if the test ends before it does.
pub struct Foreground<'r> {
    run: &'r Run,
    running: Option<Running>,
}

impl<'r> Foreground<'r> {
    /// Starts a run.
    pub(super) fn start(run: &'r Run, arguments: &[&str]) -> Self {
        let running = Running::start(run.command("start", arguments), run.folder());
        run.note(&format!(
            "in the foreground as process {}: {arguments:?}",
            running.pid()
        ));
        Foreground {
            run,
            running: Some(running),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        self.running.as_ref().expect("it runs").signal(signal);
    }

    /// What it has said so far, on both streams.
    pub fn said(&self) -> [String; 2] {
        self.running.as_ref().expect("it runs").said()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Answer {
        let mut running = self.running.take().expect("it runs");
        let answer = running
            .finish(PATIENCE)
            .unwrap_or_else(|killed| panic!("start did not end\n{killed}"));
        self.run.note(&answer.to_string());
        assert!(!answer.err.contains("panicked"), "a panic\n{answer}");
        answer
    }
}

impl Drop for Foreground<'_> {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let (Ok(answer) | Err(answer)) = running.finish(Duration::ZERO);
            self.run.note(&answer.to_string());
        }
    }
}
