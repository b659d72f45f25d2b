//! Starting the worker of a torus.

use std::ffi::OsString;
use std::os::fd::AsFd;

use shm_layout::sys::{clock, pidfd::PidFd};

use super::Watchdog;
use super::death::Ending;
use super::hang::HangDetector;
use super::slot::Process;
use super::table::Event;
use crate::child;
use crate::error::CommandError;

impl Watchdog<'_> {
    /// The incarnation that the next worker of a torus gets: one that nobody had.
    pub(super) fn next_incarnation(&self, index: usize) -> u64 {
        let slot = &self.slots[index];
        let control = self.post.segment.control.reader();
        slot.next_incarnation(
            self.status(index).incarnation(),
            control.expected_incarnation(slot.torus),
        )
    }

    /// Starts the worker. One that cannot be started counts as dead at once, and the restart policy decides.
    pub(super) fn spawn(&mut self, index: usize) {
        let incarnation = self.next_incarnation(index);
        let torus = self.slots[index].torus;
        let control = &self.post.segment.control;
        control.set_expected_incarnation(torus, incarnation);
        self.slots[index].incarnation = incarnation;
        self.slots[index].used = incarnation;
        self.slots[index].fault = None;
        self.slots[index].ending = Ending::Unknown;
        self.slots[index].not_started = None;
        let heartbeat = self.status(index).heartbeat();
        let hang = HangDetector::new(
            self.post.config.hang_timeout_ms * 1_000_000,
            heartbeat,
            self.now_ns,
        );
        // Before the start: a supervisor that dies here counts one too many rather than one too few.
        let restarts = control.reader().restarts(torus);
        self.count_restart(index);
        let standby = self
            .take_standby(torus, incarnation)
            .map(|process| (process, true));
        let started = match standby {
            Some(started) => Ok(started),
            None => self
                .start_process(index, incarnation)
                .map(|process| (process, false)),
        };
        match started {
            Ok(((pid, pidfd), from_standby)) => {
                self.slots[index].process = Some(Process { pidfd, pid, hang });
                self.slots[index].spawned_ns = clock::monotonic_ns();
                self.note_spawned(index, from_standby);
            }
            Err(error) => {
                self.post.segment.control.set_restarts(torus, restarts);
                self.console
                    .say(&format!("cannot start the worker of torus {torus}: {error}"));
                self.slots[index].not_started = Some(error.to_string());
                self.happen(index, Event::Crashed);
            }
        }
    }

    /// A successor counts; the first worker of a torus does not.
    fn count_restart(&self, index: usize) {
        let (slot, control) = (&self.slots[index], &self.post.segment.control);
        if slot.recovery.is_some() {
            control.set_restarts(slot.torus, control.reader().restarts(slot.torus) + 1);
        }
    }

    fn start_process(&mut self, index: usize, incarnation: u64) -> Result<(u32, PidFd), CommandError> {
        self.binary.check(self.post.config)?;
        let torus = self.slots[index].torus.letter().to_string();
        let arguments: [OsString; 8] = [
            "--braid-worker".into(),
            "run".into(),
            "--segment".into(),
            self.post.file.path().into(),
            "--torus".into(),
            torus.into(),
            "--incarnation".into(),
            incarnation.to_string().into(),
        ];
        let program = std::path::Path::new(&self.post.config.worker.path);
        let error = |error| CommandError::system(format!("start {}", program.display()), error);
        child::start(program, &arguments, self.post.log.as_fd()).map_err(error)
    }
}
