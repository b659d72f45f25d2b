//! `run`: one torus of a run as a process, from attaching to the last boundary.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use shm_layout::segment::{SegmentError, SegmentFile, WorkerMap};
use shm_layout::status::Phase;
use shm_layout::sys::{clock, program, signals, slice};
use shm_layout::torus::Torus;

use crate::journal::JournalError;
use crate::member::{MemberError, Step, Vessel};
use crate::model::Model;

use super::arguments::Run;
use super::budget::CheckpointBudget;
use super::courtesy::Courtesy;
use super::executing::Executing;
use super::registry::{ModelEntry, find};
use super::stalls::Stalls;
use super::succession::{Succession, Worker};
use super::wait::{Doorbells, Next, Waiter, wake_peers};

/// Exit codes of a worker, for the watchdog.
pub mod exit_code {
    /// The run has ended, for all tori.
    pub const FINISHED: u8 = 0;
    /// The torus cannot go on; its status cell says why. It is not restarted.
    pub const FAILED: u8 = 1;
    /// The arguments are not those of a worker.
    pub const USAGE: u8 = 2;
    /// Another process holds the region's lock, or is to hold it.
    pub const LOCKED: u8 = 75;
}

/// Events executed between two heartbeats, about a millisecond's worth.
pub(super) const STRETCH: u64 = 65_536;

/// What a worker was started with, after the segment has been verified.
pub(super) struct Context {
    pub(super) file: SegmentFile,
    pub(super) torus: Torus,
    pub(super) incarnation: u64,
    pub(super) started_ns: u64,
}

/// Why a worker ends before the run does.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Not a segment that can be run.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The segment names a model that this binary does not have.
    #[error("{0}")]
    Unsuitable(String),
    /// The predecessor still lives.
    #[error("the region of torus {torus} is locked by another process after {seconds} s; it is not touched")]
    Locked {
        /// The torus.
        torus: Torus,
        /// How long was waited, in s.
        seconds: u64,
    },
    /// The supervisor has started a later incarnation meanwhile.
    #[error("incarnation {expected} of torus {torus} has been started since; this one writes nothing")]
    Superseded {
        /// The torus.
        torus: Torus,
        /// The incarnation that the supervisor expects.
        expected: u64,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The torus cannot go on.
    #[error(transparent)]
    Member(#[from] MemberError),
}

pub(super) fn main(models: &[ModelEntry], request: &Run) -> ExitCode {
    let started_ns = clock::monotonic_ns();
    set_signals();
    // The supervisor's are short, and inherited. Where the system refuses, it has refused them to the supervisor, too.
    let _ = slice::restore();
    touch_program();
    let outcome = SegmentFile::open(&request.segment)
        .map_err(Failure::from)
        .and_then(|file| {
            let entry = find(models, &file.config().model).map_err(Failure::Unsuitable)?;
            let Run {
                torus, incarnation, ..
            } = *request;
            (entry.run)(&Context {
                file,
                torus,
                incarnation,
                started_ns,
            })
        });
    report(outcome, request.torus, request.incarnation)
}

/// The signals of a worker.
pub(super) fn set_signals() {
    // A run is ended by its supervisor or by SIGKILL, not by a terminal.
    signals::ignore(&[signals::INTERRUPT, signals::HANG_UP]);
    signals::restore_default(&signals::MEMORY_FAULTS);
}

/// Has the code present that only rare moments need. Without it they take a little longer.
pub(super) fn touch_program() {
    let _ = program::touch();
}

/// The exit code for how it went, and the reason in the log if it went wrong.
pub(super) fn report(outcome: Result<(), Failure>, torus: Torus, incarnation: u64) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::from(exit_code::FINISHED),
        Err(failure) => {
            // The log may be on a full disk; the status cell has the reason, too.
            let _ = writeln!(
                std::io::stderr(),
                "torus {torus} incarnation {incarnation}: {failure}"
            );
            ExitCode::from(match failure {
                Failure::Locked { .. } | Failure::Superseded { .. } => exit_code::LOCKED,
                _ => exit_code::FAILED,
            })
        }
    }
}

/// Runs one torus to the end of the run.
pub(super) fn run<M: Model>(context: &Context) -> Result<(), Failure> {
    run_in::<M>(context, None)
}

/// [`run`], in memory that has been touched before if there is some.
pub(super) fn run_in<M: Model>(context: &Context, vessel: Option<Vessel<M>>) -> Result<(), Failure> {
    let map = context.file.map_worker(context.torus)?;
    let mut succession = Succession::new(context, &map, vessel);
    let outcome = succession
        .complete()
        .and_then(|member| live(context, &map, member));
    if let Err(failure) = &outcome
        && succession.is_locked()
    {
        let status = map.views().own.status;
        if let Failure::Member(MemberError::Divergence { interval, .. }) = failure {
            status.set_divergence(interval + 1);
        }
        status.set_failure(1, &failure.to_string());
        status.set_phase(Phase::Failed);
    }
    outcome
}

fn live<M: Model>(context: &Context, map: &WorkerMap, mut member: Worker<'_, M>) -> Result<(), Failure> {
    drive(context, map, &mut member)?;
    member.segment().own.status.set_phase(Phase::Finished);
    wake_peers(member.segment(), context.torus);
    Ok(())
}

/// Calls [`Member::advance`] until the run has ended; beats, waits and keeps the checkpoint budget in between.
fn drive<M: Model>(context: &Context, map: &WorkerMap, member: &mut Worker<'_, M>) -> Result<(), Failure> {
    let config = context.file.config();
    let mut is_settled = false;
    let mut waiter = Waiter::new(config.tori.into());
    let mut budget = CheckpointBudget::new(config.checkpoint_budget_permille, clock::monotonic_ns());
    let mut stalls = Stalls::default();
    let mut courtesy = Courtesy::new(config);
    let mut stage = Stage::Replaying;
    let mut executing = Executing {
        ns: member.segment().own.status.reader().executing_ns(),
    };
    loop {
        let before = clock::monotonic_ns();
        member.segment().own.status.beat(before);
        if !is_settled {
            // What goes wrong here is tried again: the byte that this worker has keeps everybody out as well.
            is_settled = context.file.settle(context.torus).unwrap_or(false);
        }
        let next = stage.next(member, before, executing);
        if next == Stage::CaughtUp && stage != next {
            // Nobody waits any more. Where the system refuses, the first checkpoints take longer.
            let bytes = member.segment().own.status.reader().checkpoint_bytes();
            let _ = map.populate_checkpoints(bytes);
        }
        stage = next;
        if stage == Stage::AtGate {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        budget.request(member, before);
        let step = if stage == Stage::CaughtUp {
            advance(member, &mut waiter)?
        } else {
            executing.time(member, |member| advance(member, &mut waiter))?
        };
        budget.account(member, before);
        stalls.observe(member, step, before);
        if step == Step::Finished {
            return Ok(());
        }
        if stage == Stage::CaughtUp && step == Step::Worked {
            courtesy.observe(member);
        }
    }
}

/// Makes a step, and passes the time if there is nothing to do.
fn advance<M: Model>(member: &mut Worker<'_, M>, waiter: &mut Waiter) -> Result<Step, Failure> {
    let mut step = step(member)?;
    if matches!(step, Step::Waiting(_)) && waiter.pause() == Next::Sleep {
        let mut doorbells = Doorbells::of(member.segment());
        member.segment().own.status.set_sleeping(true);
        doorbells.refresh();
        step = self::step(member)?;
        if matches!(step, Step::Waiting(_)) {
            doorbells.sleep(waiter.sleep());
        }
        member.segment().own.status.set_sleeping(false);
    }
    if step == Step::Worked {
        waiter.reset();
    }
    Ok(step)
}

fn step<M: Model>(member: &mut Worker<'_, M>) -> Result<Step, Failure> {
    let step = member.advance(STRETCH)?;
    if member.take_rang() {
        wake_peers(member.segment(), member.torus());
    }
    Ok(step)
}

/// Where a worker is on its way to publishing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Replaying,
    AtGate,
    Live,
    CaughtUp,
}

impl Stage {
    /// The next stage, with its time in the status cell.
    fn next<M: Model>(self, member: &Worker<'_, M>, now_ns: u64, executing: Executing) -> Self {
        let segment = member.segment();
        let status = &segment.own.status;
        match self {
            Stage::Replaying if !member.is_replaying() => {
                status.set_replayed_ns(now_ns);
                status.set_phase(Phase::Waiting);
                // A successor finds it open.
                Stage::AtGate.next(member, now_ns, executing)
            }
            Stage::AtGate if segment.control.gate_is_open() => {
                status.set_phase(Phase::Running);
                Stage::Live
            }
            Stage::Live if member.published() > 0 => {
                status.set_caught_up_frame(member.live_from());
                status.set_executing_ns(executing.ns);
                status.set_caught_up_ns(now_ns);
                Stage::CaughtUp
            }
            stage => stage,
        }
    }
}
