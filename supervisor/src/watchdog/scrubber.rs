//! The scrubber's process: started, adopted, replaced like a worker, and on nobody's data path. A run whose scrubber is
//! dead goes on until its rings are full of what nobody has audited.

use std::ffi::OsString;
use std::os::fd::AsFd;

use shm_layout::segment::LockByte;
use shm_layout::sys::pidfd::PidFd;
use shm_layout::torus::Torus;

use super::death;
use super::hang::HangDetector;
use super::policy::{Death, RestartPolicy, Verdict};
use super::table::Intent;
use super::{Watchdog, adopt, kernel_view, looking};
use crate::child;
use crate::error::CommandError;
use crate::text::show;

/// How often the lock of a scrubber that is not known here is looked at.
const LOCK_PERIOD_NS: u64 = 20_000_000;

/// What the watchdog knows of the scrubber, apart from what the audit page says.
#[derive(Debug, Default)]
pub struct Scrubber {
    process: Option<Process>,
    /// When the next may be started, CLOCK_MONOTONIC in ns.
    start_ns: u64,
    /// Intervals audited when the present one was started.
    audits_before: u64,
    policy: RestartPolicy,
}

#[derive(Debug)]
struct Process {
    pidfd: PidFd,
    pid: u32,
    hang: HangDetector,
}

impl Scrubber {
    /// The handle of the living process.
    pub fn pidfd(&self) -> Option<&PidFd> {
        self.process.as_ref().map(|process| &process.pidfd)
    }

    /// Its number.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// When something about it is due: a look at its heart, or its start.
    fn due_ns(&self) -> u64 {
        match &self.process {
            Some(process) => process.hang.next_look_ns(),
            None => self.start_ns,
        }
    }

    /// Ends it. Its pidfd says when it is dead.
    pub fn kill(&self) {
        if let Some(pidfd) = self.pidfd() {
            // One that has just died on its own is as dead.
            let _ = pidfd.send_signal(nix::libc::SIGKILL);
        }
    }
}

impl Watchdog<'_> {
    /// Whether this run has a scrubber to look after now.
    pub(super) fn is_scrubbed(&self) -> bool {
        self.post.config.scrub && self.intent == Intent::GoOn
    }

    /// Starts the scrubber, takes over one that lives, or judges its heart.
    pub(super) fn look_at_scrubber(&mut self) {
        if !self.is_scrubbed() || self.now_ns < self.scrubber.due_ns() {
            return;
        }
        if self.scrubber.process.is_some() {
            self.judge_scrubber();
        } else if !self.is_taking_back() {
            self.start_scrubber();
        }
    }

    /// When something about the scrubber is due. None is started while everybody goes back.
    pub(super) fn scrubber_deadline_ns(&self) -> Option<u64> {
        let waits = self.scrubber.process.is_none() && self.is_taking_back();
        (self.is_scrubbed() && !waits).then(|| self.scrubber.due_ns())
    }

    /// It hangs if its heart stands still although it does not want the processor: one that only gets spare time may have
    /// to wait for it.
    fn judge_scrubber(&mut self) {
        let (fresh, heartbeat) = (self.hang_detector(), self.post.segment.audit.heartbeat());
        let Some(process) = &mut self.scrubber.process else {
            return;
        };
        if kernel_view::computes(process.pid) {
            process.hang = fresh;
        } else if process.hang.look(heartbeat, self.now_ns, 1) {
            process.hang = fresh;
            self.scrubber.kill();
            self.console
                .say("the scrubber makes no progress: killed it, replacing it");
        }
    }

    fn hang_detector(&self) -> HangDetector {
        let heartbeat = self.post.segment.audit.heartbeat();
        HangDetector::new(
            self.post.config.hang_timeout_ms * 1_000_000,
            heartbeat,
            self.now_ns,
        )
    }

    fn start_scrubber(&mut self) {
        if self.post.file.is_locked(LockByte::Audit).unwrap_or(true) {
            self.scrubber.start_ns = self.now_ns + LOCK_PERIOD_NS;
            return self.adopt_scrubber();
        }
        self.scrubber.audits_before = self.post.segment.audit.audits();
        match self.scrubber_process() {
            Ok((pid, pidfd)) => {
                let hang = self.hang_detector();
                self.scrubber.process = Some(Process { pidfd, pid, hang });
            }
            Err(error) => {
                self.console.say(&format!("cannot start the scrubber: {error}"));
                self.scrubber_died(false);
            }
        }
    }

    fn scrubber_process(&mut self) -> Result<(u32, PidFd), CommandError> {
        self.binary.check(self.post.config)?;
        let arguments: [OsString; 4] = [
            "--braid-worker".into(),
            "scrub".into(),
            "--segment".into(),
            self.post.file.path().into(),
        ];
        let program = std::path::Path::new(&self.post.config.worker.path);
        let error = |error| CommandError::system(format!("start {}", program.display()), error);
        child::start(program, &arguments, self.post.log.as_fd()).map_err(error)
    }

    /// The one that a predecessor of this watchdog started, if it is certain to be that.
    fn adopt_scrubber(&mut self) {
        let Some(identity) = self.post.segment.audit.identity() else {
            return;
        };
        if let Some((pidfd, pid)) = adopt::living_process(&identity) {
            let hang = self.hang_detector();
            self.scrubber.audits_before = self.post.segment.audit.audits();
            self.scrubber.process = Some(Process { pidfd, pid, hang });
        }
    }

    /// Kills the scrubber, also one that a predecessor of this watchdog started.
    pub(super) fn end_any_scrubber(&mut self) {
        if self.scrubber.process.is_none() && self.post.file.is_locked(LockByte::Audit).unwrap_or(true) {
            self.adopt_scrubber();
        }
        self.scrubber.kill();
    }

    /// Its pidfd says that it is dead.
    pub(super) fn reap_scrubber(&mut self) {
        let Some(process) = self.scrubber.process.take() else {
            return;
        };
        let ending = looking::ending(&process.pidfd);
        if self.finding().is_some() {
            // It ends when it has found something.
            self.scrubber.start_ns = self.now_ns;
            return;
        }
        let cause = death::in_words(death::cause(ending, None));
        self.console
            .say(&format!("the scrubber died ({cause}); replacing it"));
        self.scrubber_died(death::from_outside(ending));
    }

    fn scrubber_died(&mut self, from_outside: bool) {
        let progressed = self.post.segment.audit.audits() > self.scrubber.audits_before;
        match self.scrubber.policy.on_death(Death {
            progressed,
            from_outside,
        }) {
            Verdict::RestartAfter(pause_ns) => self.scrubber.start_ns = self.now_ns + pause_ns,
            Verdict::GiveUp(times) => self.abandon(
                None,
                &format!(
                    "the scrubber died {times} times in a row without progress; the run's log says more"
                ),
            ),
        }
    }

    /// The run is over: so is the audit. Returns when the process is gone.
    pub(super) fn end_scrubber(&mut self) {
        let Some(process) = self.scrubber.process.take() else {
            return;
        };
        // As in `kill`.
        let _ = process.pidfd.send_signal(nix::libc::SIGKILL);
        let mut fds = [nix::poll::PollFd::new(
            process.pidfd.as_fd(),
            nix::poll::PollFlags::POLLIN,
        )];
        // SIGKILL cannot be missed. Should it be slow, the process is left to the system.
        let _ = nix::poll::poll(&mut fds, nix::poll::PollTimeout::from(10_000_u16));
        looking::ending(&process.pidfd);
    }

    /// How far within a run a fault is found, in words.
    pub(super) fn announce_scrubbing(&mut self) {
        if self.is_scrubbed() {
            let bound = self.post.config.capacity.frames;
            self.console.say(&format!(
                "scrubbing: a fault of memory is found within {bound} intervals and taken back"
            ));
        }
    }

    /// For the patience with a stop: how far the audit has come.
    pub(super) fn audited(&self) -> u64 {
        let audit = &self.post.segment.audit;
        Torus::ALL
            .iter()
            .map(|torus| audit.verified(*torus) + audit.cleared(*torus) + audit.confirmed(*torus))
            .sum()
    }

    /// The time since then, for a sentence.
    pub(super) fn span_since(&self, then_ns: u64) -> String {
        show::span(self.now_ns.saturating_sub(then_ns))
    }
}
