//! What tests do to a run: start, look, wait, stop, kill, verify.

use std::path::Path;

use shm_layout::torus::Torus;

use super::command::{Answer, Running, until};
use super::eyes::{Certain, Eyes, newborns};
use super::foreground::Foreground;
use super::run::Run;
use super::status::{End, Status};
use super::{PATIENCE, Traces};

impl Run {
    /// Starts it in the background; ready on return.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Answer {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--detach"]).collect();
        self.braid("start", &arguments).exits(0)
    }

    /// Starts it in the foreground.
    pub fn foreground(&self, arguments: &[&str]) -> Foreground<'_> {
        Foreground::start(self, arguments)
    }

    /// Its report.
    #[track_caller]
    pub fn status(&self) -> Status {
        Status(self.braid("status", &["--json"]).json())
    }

    /// Its report, without a note: for conditions that are waited for.
    #[track_caller]
    pub fn look(&self) -> Status {
        let answer = Running::start(self.command("status", &["--json"]), self.folder()).finish(PATIENCE);
        Status(
            answer
                .unwrap_or_else(|killed| panic!("no answer\n{killed}"))
                .json(),
        )
    }

    /// Waits for `ready`, `recovered` or `finished`.
    #[track_caller]
    pub fn wait_for(&self, what: &str) {
        let limit = format!("{}s", PATIENCE.as_secs() - 10);
        self.braid("wait", &["--for", what, "--timeout", &limit]).exits(0);
    }

    /// Stops it; returns where.
    #[track_caller]
    pub fn stop(&self) -> Vec<End> {
        self.braid("stop", &[]).exits(0);
        self.ends("stopped")
    }

    /// Waits for its end; returns it.
    #[track_caller]
    pub fn finish(&self) -> Vec<End> {
        self.wait_for("finished");
        self.ends("finished")
    }

    /// Where the run ended, and that its state is this.
    #[track_caller]
    pub fn ends(&self, state: &str) -> Vec<End> {
        let status = self.status();
        assert_eq!(status.state(), state, "{}", status.0);
        let ends = status.ends();
        assert!(
            ends.iter().all(|end| end.boundary == ends[0].boundary),
            "not one boundary: {ends:?}"
        );
        ends
    }

    /// `verify` says identical.
    #[track_caller]
    pub fn verify(&self) {
        self.braid("verify", &[])
            .exits(0)
            .prints(&["identical up to boundary"]);
    }

    /// Eyes on it; it exists.
    #[track_caller]
    pub fn eyes(&self) -> Eyes {
        until("there is a whole segment", || Eyes::open(self.segment()))
    }

    /// The living worker of a torus.
    #[track_caller]
    pub fn worker(&self, torus: Torus) -> Certain {
        self.worker_after(torus, 0)
    }

    /// The living worker of a torus, once it is a later incarnation than this.
    #[track_caller]
    pub fn worker_after(&self, torus: Torus, incarnation: u64) -> Certain {
        let eyes = self.eyes();
        until("a successor appears", || {
            assert!(!eyes.has_failed(), "the run has failed");
            eyes.worker(torus)
                .filter(|worker| worker.incarnation > incarnation)
        })
    }

    /// SIGKILL to the worker of a torus, by its pid; dead on return, so that who waits for its recovery does not find it
    /// alive.
    #[track_caller]
    pub fn kill(&self, torus: Torus) -> Certain {
        let worker = self.worker(torus);
        worker.kill();
        self.note(&format!(
            "SIGKILL to {} (torus {torus}, incarnation {})",
            worker.pid, worker.incarnation
        ));
        until("the worker is dead", || (!worker.lives()).then_some(()));
        worker
    }

    /// SIGKILL to the supervisor, by its pid; dead on return.
    #[track_caller]
    pub fn kill_supervisor(&self) {
        let supervisor = self.eyes().supervisor().expect("a supervisor lives");
        supervisor.kill();
        until("the supervisor is dead", || (!supervisor.lives()).then_some(()));
        self.note(&format!("SIGKILL to {} (the supervisor)", supervisor.pid));
    }

    /// SIGKILL to the supervisor and all workers; all dead on return.
    #[track_caller]
    pub fn kill_everybody(&self) {
        let eyes = self.eyes();
        self.kill_supervisor();
        until("all workers are dead", || {
            kill_all(&eyes, self.segment()).then_some(())
        });
        self.note("SIGKILL to everybody else");
    }

    /// What its processes can be recognised by; it exists.
    #[track_caller]
    pub fn traces(&self) -> Traces {
        Traces::of(self.segment())
    }
}

/// Kills whoever lives; true when nobody did.
pub(super) fn kill_all(eyes: &Eyes, segment: &Path) -> bool {
    let mut living = eyes.everybody();
    living.extend(newborns(segment));
    living.iter().for_each(Certain::kill);
    living.is_empty()
}
