//! The watchdog: one poll loop that sees deaths as events, replaces workers, and ends a run.
//!
//! It holds no state that the segment lacks: whoever takes the run lock next continues from the control words and the
//! status cells. What to do about one torus stands in [`table`], when a successor may start in [`policy`], what counts
//! as a hang in [`hang`], what as damage in [`complaints`], when all go back in [`rollback`]; the rest of this folder carries it out.
//!
//! Waiting is one `poll` over the workers' pidfds, the signals, the sentinels' bell and the control socket, until the next
//! deadline. When
//! nothing happens it wakes a few times per hang timeout, to look at three heartbeats.

mod absence;
pub mod adopt;
mod binary;
pub mod complaints;
pub mod console;
pub mod death;
pub mod duty;
mod gate;
mod handover;
pub mod hang;
mod kernel_view;
mod looking;
mod patience;
pub mod policy;
mod recovery_log;
mod requests;
pub mod rollback;
mod scrubber;
mod sentinel;
pub mod signals;
pub mod slot;
mod spawning;
mod stalls;
mod standby;
mod stopping;
pub mod table;
mod verdicts;

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use shm_layout::config::RunConfig;
use shm_layout::control::RunState;
use shm_layout::segment::{SegmentFile, SupervisorSegment};
use shm_layout::sys::{clock, process};

use crate::error::CommandError;
use crate::socket::server::ControlServer;
use binary::Binary;
use console::Console;
use handover::Dying;
use rollback::Retreat;
use scrubber::Scrubber;
use sentinel::Sentinels;
use signals::{Signals, Wish};
use slot::{OpenRecovery, Slot};
use standby::Standby;
use stopping::Stopping;
use table::{Intent, State};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// All tori are at its end.
    Finished,
    /// All tori stand at the boundary of a stop.
    Stopped,
    /// It was given up; the control words say why.
    Failed,
}

/// What a watchdog is started with.
pub struct Post<'s> {
    /// The segment; the caller holds its run lock.
    pub file: &'s SegmentFile,
    /// Its mapping.
    pub segment: &'s SupervisorSegment<'s>,
    /// Its configuration.
    pub config: &'s RunConfig,
    /// Where workers write what they have to say.
    pub log: OwnedFd,
    /// Whether nobody watches.
    pub background: bool,
}

/// A watchdog on duty.
pub struct Watchdog<'s> {
    post: Post<'s>,
    slots: Vec<Slot>,
    /// Workers that have been replaced, and whose processes have not ended yet.
    dying: Vec<Dying>,
    /// Recoveries that are complete but for what the survivors will say about them.
    settling: Vec<OpenRecovery>,
    sentinels: Option<Sentinels>,
    standby: Standby,
    intent: Intent,
    stopping: Stopping,
    signals: Signals,
    server: Option<ControlServer>,
    binary: Binary,
    console: Console,
    scrubber: Scrubber,
    retreat: Retreat,
    /// The moment of the present pass of the loop, CLOCK_MONOTONIC in ns.
    now_ns: u64,
    ready: bool,
}

impl<'s> Watchdog<'s> {
    /// A watchdog for the workers in `slots`.
    ///
    /// # Errors
    /// When the operating system refuses the signals. A control socket that cannot be had is only reported.
    pub fn new(post: Post<'s>, slots: Vec<Slot>) -> Result<Self, CommandError> {
        let now_ns = clock::monotonic_ns();
        let signals =
            Signals::new(post.background).map_err(|error| CommandError::system("handle signals", error))?;
        let mut console = Console::new(&post.config.name, post.background, now_ns);
        let server = ControlServer::bind(post.file.path())
            .inspect_err(|error| {
                console.say(&format!("no control socket ({error}); kill and stop use signals"))
            })
            .ok();
        let stopping = Stopping::new(post.segment, post.config, now_ns);
        let pid = std::process::id();
        post.segment
            .control
            .set_supervisor_start_time(process::start_time(pid).unwrap_or(0));
        post.segment.control.set_supervisor_pid(pid.into());
        // One that stood by for the supervisor before has ended with it.
        post.segment.control.set_standby_pid(0);
        let sentinels = Sentinels::post(post.file)
            .inspect_err(|error| console.say(&format!("deaths are seen a little later: {error}")))
            .ok();
        let intent = Intent::GoOn;
        let binary = Binary::of(post.config);
        let mut watchdog = Watchdog {
            post,
            slots,
            dying: Vec::new(),
            settling: Vec::new(),
            sentinels,
            standby: Standby::default(),
            intent,
            stopping,
            signals,
            server,
            binary,
            console,
            scrubber: Scrubber::default(),
            retreat: Retreat::default(),
            now_ns,
            ready: false,
        };
        watchdog.reopen_recoveries();
        watchdog.announce_scrubbing();
        Ok(watchdog)
    }

    /// Watches until no worker is left and none will be started, and writes the end into the segment.
    ///
    /// # Errors
    /// When the operating system refuses to poll; the workers run on, and the next watchdog adopts them.
    pub fn run(mut self) -> Result<RunEnd, CommandError> {
        loop {
            self.now_ns = clock::monotonic_ns();
            self.pursue_rollback();
            self.look_at_owners();
            self.look_at_workers();
            self.look_at_scrubber();
            self.look_at_complaints();
            self.open_gate_when_ready();
            self.follow_recoveries();
            self.settle_recoveries();
            self.tend_standby();
            self.pursue_stop();
            self.leave_behind();
            self.show_progress();
            if self.slots.iter().all(|slot| slot.state == State::Over) {
                return Ok(self.end());
            }
            self.wait()?;
        }
    }

    /// Asks for a stop before the loop begins, as `stop` does when it has to stand in for a dead supervisor.
    pub fn stop_at_once(&mut self) {
        self.request_stop();
    }

    /// Sleeps until something happens or is due, and takes in signals, deaths and requests.
    fn wait(&mut self) -> Result<(), CommandError> {
        let (exited, dead, standby, scrubber) = {
            let polled = |fd| PollFd::new(fd, PollFlags::POLLIN);
            let living = self.slots.iter().filter_map(|slot| slot.process.as_ref());
            let mut fds: Vec<_> = living.map(|process| polled(process.pidfd.as_fd())).collect();
            let processes = fds.len();
            let dying = self.dying.iter().map(|dying| dying.process().pidfd.as_fd());
            fds.extend(dying.map(polled));
            let known = fds.len();
            fds.extend(
                self.standby
                    .waiting()
                    .map(|waiting| polled(waiting.pidfd().as_fd())),
            );
            let others = fds.len();
            fds.extend(self.scrubber.pidfd().map(|pidfd| polled(pidfd.as_fd())));
            let with_scrubber = fds.len();
            fds.push(polled(self.signals.fd()));
            fds.extend(self.sentinels.as_ref().map(|sentinels| polled(sentinels.fd())));
            if let Some(server) = &self.server {
                fds.extend(server.fds().map(polled));
            }
            match poll(&mut fds, self.timeout()) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(CommandError::system("wait for the workers", error)),
            }
            let ready =
                |fds: &[PollFd]| -> Vec<bool> { fds.iter().map(|fd| fd.any().unwrap_or(false)).collect() };
            (
                ready(&fds[..processes]),
                ready(&fds[processes..known]),
                ready(&fds[known..others]),
                ready(&fds[others..with_scrubber]),
            )
        };
        self.now_ns = clock::monotonic_ns();
        if let Some(sentinels) = &self.sentinels {
            sentinels.silence();
        }
        // The owner words are looked at afterwards: what was polled must still be what the slots hold.
        self.reap_dying(&dead);
        self.reap(&exited);
        if standby.contains(&true) {
            self.standby_ended();
        }
        if scrubber.contains(&true) {
            self.reap_scrubber();
        }
        self.serve_requests();
        if self.signals.take() == Wish::Stop {
            self.stop_signalled();
        }
        Ok(())
    }

    fn timeout(&self) -> PollTimeout {
        let now_ns = clock::monotonic_ns();
        let due_ns = self.next_deadline_ns().saturating_sub(now_ns);
        // Rounded up: a poll that returns before the deadline would be repeated without rest.
        let due_ms = due_ns.div_ceil(1_000_000).min(60_000);
        PollTimeout::try_from(due_ms as u32).unwrap_or(PollTimeout::MAX)
    }

    fn next_deadline_ns(&self) -> u64 {
        let server = self.server.as_ref().and_then(ControlServer::deadline_ns);
        let slots = self.slots.iter().filter_map(|slot| self.slot_deadline_ns(slot));
        let gate = self.gate_deadline_ns();
        [
            Some(self.console.due_ns()),
            server,
            gate,
            self.stopping.deadline_ns(),
            self.standby.due_ns().filter(|_| self.is_calm()),
            self.settling_deadline_ns(),
            self.rollback_deadline_ns(),
            self.scrubber_deadline_ns(),
        ]
        .into_iter()
        .flatten()
        .chain(slots)
        .min()
        .unwrap_or(u64::MAX)
    }

    /// Nobody is left: writes how it ended.
    fn end(mut self) -> RunEnd {
        self.console.close();
        self.end_scrubber();
        let end = match self.intent {
            Intent::Abandon => RunEnd::Failed,
            Intent::GoOn => self.judge_end(),
        };
        let state = match end {
            RunEnd::Finished => RunState::Finished,
            RunEnd::Stopped => RunState::Stopped,
            RunEnd::Failed => RunState::Failed,
        };
        self.post.segment.control.set_finished_ns(clock::realtime_ns());
        self.post.segment.control.set_run_state(state);
        end
    }
}
