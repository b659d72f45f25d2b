//! What other commands ask for over the control socket.

use shm_layout::record::LaneEntry;
use shm_layout::torus::Torus;
use torus_worker::kernel::Damage;
use torus_worker::member::is_acceptable;
use torus_worker::node::command::COMMAND_LANE;

use super::Watchdog;
use super::kernel_view;
use super::table::State;
use crate::socket::message::{Request, Response};

impl Watchdog<'_> {
    /// Answers what has arrived.
    pub(super) fn serve_requests(&mut self) {
        // Taken out for the call: the answers need the watchdog, which holds the server.
        let Some(mut server) = self.server.take() else {
            return;
        };
        server.serve(self.now_ns, |request| self.answer(&request));
        self.server = Some(server);
    }

    fn answer(&mut self, request: &Request) -> Response {
        match *request {
            Request::Ping => Response::Pong {
                pid: std::process::id(),
            },
            Request::Stop => {
                self.request_stop();
                Response::Stopping {
                    boundary: self.post.segment.control.reader().stop_at(),
                }
            }
            Request::Kill { torus, signal, hold } => self.signal_worker(torus, signal, hold),
            Request::Release { torus } => self.release_torus(torus),
            Request::Damage { torus, what, seed } => self.ask_for_damage(torus, what, seed),
            Request::Command { torus, entry } => self.queue_command(torus, bytemuck::cast(entry)),
        }
    }

    /// Puts a command into lane 0 of a torus. Nothing else writes there: whoever holds the run lock is its one writer.
    fn queue_command(&mut self, torus: u8, entry: LaneEntry) -> Response {
        let index = usize::from(torus);
        let segment = self.post.segment;
        let (Some(lane), Some(region)) = (segment.lane_zero.get(index), segment.regions.get(index)) else {
            return Response::Refused(format!("this run has {} tori", segment.regions.len()));
        };
        let cells = self
            .post
            .config
            .sides
            .iter()
            .map(|side| u64::from(*side))
            .product();
        if entry.kind == LaneEntry::EVENT || !is_acceptable(COMMAND_LANE, &entry, cells) {
            return Response::Refused(format!(
                "an entry of kind {} that this supervisor does not know as a command; use the braid-supervisor that \
                 started the run",
                entry.kind
            ));
        }
        let position = lane.head();
        match lane.push(&[entry], region.status.lane_free(COMMAND_LANE as usize)) {
            Ok(()) => Response::Queued { position },
            Err(_) => Response::LaneFull,
        }
    }

    /// Only a run that was started for it lets its memory be damaged.
    fn ask_for_damage(&mut self, torus: u8, what: u64, seed: u64) -> Response {
        let run = Torus::of_run(self.post.config.tori);
        let Some(torus) = run.get(usize::from(torus)) else {
            return Response::Refused(format!("this run has {} tori", run.len()));
        };
        if !self.post.config.faults || Damage::from_number(what).is_none() {
            let name = &self.post.config.name;
            return Response::Refused(format!(
                "the run {name} was not started with --faults, so nothing damages its memory"
            ));
        }
        let control = &self.post.segment.control;
        let number = control.request_damage(*torus, what, seed);
        control.ring_doorbell();
        Response::Damaging { number }
    }

    fn signal_worker(&mut self, torus: u8, signal: i32, hold: bool) -> Response {
        let index = usize::from(torus);
        let Some(slot) = self.slots.get(index) else {
            return Response::Refused(format!("this run has {} tori", self.slots.len()));
        };
        if hold {
            // Before the signal: the death must not be answered with a successor.
            self.hold(slot.torus);
        }
        let slot = &self.slots[index];
        let Some(process) = slot.process.as_ref().filter(|_| slot.exists()) else {
            return Response::NoWorker;
        };
        // Asked before: afterwards there may be no process to ask about.
        let ends = kernel_view::ends_by(process.pid, signal);
        if let Err(error) = process.pidfd.send_signal(signal) {
            return match slot.state {
                State::Alive => Response::Refused(format!("cannot signal process {}: {error}", process.pid)),
                _ => Response::NoWorker,
            };
        }
        let (pid, incarnation, torus) = (process.pid, slot.incarnation, slot.torus);
        if ends && !hold {
            self.expect_successor(torus, incarnation);
        }
        Response::Killed { pid, incarnation }
    }

    fn release_torus(&mut self, torus: u8) -> Response {
        let index = usize::from(torus);
        match index < self.slots.len() {
            true => Response::Released {
                was_held: self.release(index),
            },
            false => Response::Refused(format!("this run has {} tori", self.slots.len())),
        }
    }

    /// From here on the torus counts as recovering, so that who waits for that does not return too early.
    fn expect_successor(&mut self, torus: Torus, incarnation: u64) {
        let control = &self.post.segment.control;
        control.set_killed_at_ns(torus, self.now_ns);
        let expected = control.reader().expected_incarnation(torus).max(incarnation + 1);
        control.set_expected_incarnation(torus, expected);
    }
}
