//! The standby: a process of the worker binary that has loaded everything but a torus, and waits to be told which.
//!
//! Starting a program, attaching to the segment and touching for the first time what a recovery touches take longer than
//! waking somebody who has done all that. One process stands by for the whole run; whichever worker dies, it becomes the
//! successor, and another one is started when the recovery is over. It holds no lock and writes nothing, so it is no
//! worker: nobody waits for it, and without it successors are started as they are needed. When the watchdog dies, the
//! pipe that it waits on closes, and it ends.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::fcntl::OFlag;
use shm_layout::control::Desired;
use shm_layout::standby::Order;
use shm_layout::sys::pidfd::PidFd;
use shm_layout::torus::Torus;

use super::Watchdog;
use super::death;
use super::looking;
use super::table::{Intent, State};
use crate::child;
use crate::error::CommandError;

/// How long all tori must have been at work before a process is started to stand by: a recovery, and the beginning of a
/// run, need the processors themselves.
const CALM_NS: u64 = 50_000_000;
/// The pause after the first process that ended by itself; it doubles.
const PAUSE_NS: u64 = 1_000_000_000;
/// After so many in a row none is started any more.
const FRUITLESS_MAX: u32 = 4;

/// A process that stands by.
#[derive(Debug)]
pub struct Waiting {
    pid: u32,
    pidfd: PidFd,
    orders: std::fs::File,
}

impl Waiting {
    /// Its handle.
    pub fn pidfd(&self) -> &PidFd {
        &self.pidfd
    }

    /// Ends it, and waits until it is dead: afterwards nothing of it is left.
    fn end(self) {
        // One that is dead already is as good.
        let _ = self.pidfd.send_signal(nix::libc::SIGKILL);
        while let Ok(true) = self.pidfd.alive() {
            std::thread::sleep(Duration::from_micros(100));
        }
        let _ = self.pidfd.wait();
    }
}

/// The standby of a run.
#[derive(Debug, Default)]
pub struct Standby {
    waiting: Option<Waiting>,
    /// When the next one may be started.
    due_ns: u64,
    /// How many have ended by themselves since one was of use.
    fruitless: u32,
}

impl Standby {
    /// The process, while there is one.
    pub fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }

    /// When it may be time to start one; never while there is one, or once it has proved to be of no use.
    pub fn due_ns(&self) -> Option<u64> {
        let wanted = self.waiting.is_none() && self.fruitless < FRUITLESS_MAX;
        wanted.then_some(self.due_ns)
    }

    fn ended(&mut self, now_ns: u64) {
        self.due_ns = now_ns + (PAUSE_NS << self.fruitless.min(16));
        self.fruitless += 1;
    }
}

impl Drop for Standby {
    /// Nobody stands by after a run.
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.end();
        }
    }
}

impl Watchdog<'_> {
    /// Starts a process to stand by when one is missing and everything is calm.
    pub(super) fn tend_standby(&mut self) {
        if self.standby.due_ns().is_none_or(|due_ns| due_ns > self.now_ns) {
            return;
        }
        if !self.is_calm() {
            self.standby.due_ns = self.now_ns + CALM_NS;
            return;
        }
        match self.start_standby() {
            Ok(waiting) => {
                self.post.segment.control.set_standby_pid(waiting.pid.into());
                self.standby.waiting = Some(waiting);
            }
            Err(error) => {
                self.standby.ended(self.now_ns);
                self.console.say(&format!("no process stands by: {error}"));
            }
        }
    }

    /// Whether all tori are at work, and go on being so.
    pub(super) fn is_calm(&self) -> bool {
        let at_work = |slot: &super::Slot| slot.state == State::Alive && slot.recovery.is_none();
        self.ready
            && self.intent == Intent::GoOn
            && self.dying.is_empty()
            && self.slots.iter().all(at_work)
            && self.post.segment.control.reader().desired() != Some(Desired::Stop)
    }

    fn start_standby(&mut self) -> Result<Waiting, CommandError> {
        self.binary.check(self.post.config)?;
        let arguments: [OsString; 4] = [
            "--braid-worker".into(),
            "stand-by".into(),
            "--segment".into(),
            self.post.file.path().into(),
        ];
        let program = std::path::Path::new(&self.post.config.worker.path);
        let error = |error| CommandError::system(format!("start {}", program.display()), error);
        let (input, orders) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| error(std::io::Error::from(errno)))?;
        let output = self.post.log.as_fd();
        let (pid, pidfd) = child::start_with_input(program, &arguments, input, output).map_err(error)?;
        let orders = std::fs::File::from(orders);
        Ok(Waiting { pid, pidfd, orders })
    }

    /// Makes the process that stands by the worker of a torus, if there is one that lives.
    pub(super) fn take_standby(&mut self, torus: Torus, incarnation: u64) -> Option<(u32, PidFd)> {
        let mut waiting = self.standby.waiting.take()?;
        self.post.segment.control.set_standby_pid(0);
        self.standby.due_ns = self.now_ns + CALM_NS;
        let order = Order { torus, incarnation };
        let told =
            waiting.pidfd.alive().unwrap_or(false) && waiting.orders.write_all(&order.to_bytes()).is_ok();
        if !told {
            waiting.end();
            self.standby.ended(self.now_ns);
            return None;
        }
        self.standby.fruitless = 0;
        Some((waiting.pid, waiting.pidfd))
    }

    /// The process that stood by has ended by itself.
    pub(super) fn standby_ended(&mut self) {
        let Some(waiting) = self.standby.waiting.take() else {
            return;
        };
        let ending = looking::ending(&waiting.pidfd);
        self.post.segment.control.set_standby_pid(0);
        self.standby.ended(self.now_ns);
        if self.standby.fruitless == FRUITLESS_MAX || !death::from_outside(ending) {
            let how = death::told(ending, None);
            self.console
                .say(&format!("the process that stood by ended ({how})"));
        }
    }
}
