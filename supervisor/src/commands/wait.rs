//! `wait`: returns when a run is ready, has recovered, or is over.

use std::time::{Duration, Instant};

use shm_layout::control::{ControlReader, RunState};
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::segment::SegmentFile;
use shm_layout::status::Phase;

use crate::cli::{WaitArgs, WaitFor};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::life;
use crate::report::collect;
use crate::start::detach::ready_phase;
use crate::start::rules::Life;
use crate::target::Target;
use crate::watchdog::adopt;

/// How often the run is looked at, at first; longer waits look less often.
const PERIOD_MIN: Duration = Duration::from_millis(1);
const PERIOD_MAX: Duration = Duration::from_millis(20);

/// What one look at a run finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// It is as was waited for.
    There,
    /// Not yet.
    NotYet,
    /// It will never be: the run has failed, or its processes are dead.
    Failed,
    /// It will not be: the run is over.
    Over,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts {
    state: Option<RunState>,
    life: Life,
    all_ready: bool,
    all_recovered: bool,
}

/// Runs the command.
pub fn run(args: &WaitArgs) -> Result<Exit, CommandError> {
    let begin = Instant::now();
    let target = Target::of(&args.target)?;
    let mut period = PERIOD_MIN;
    let file = open(args, &target, begin)?;
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let segment = map.views();
    loop {
        match sight(args.what, facts(&file, &segment)?) {
            Sight::There => return Ok(Exit::Done),
            Sight::NotYet => {}
            Sight::Failed => return Err(CommandError::Failed(why_failed(&file))),
            Sight::Over => {
                let name = &file.config().name;
                return Err(CommandError::NotRunning(format!(
                    "the run {name} is over and does not run any more"
                )));
            }
        }
        if let Some(limit) = args.timeout.filter(|limit| begin.elapsed() >= *limit) {
            let what = format!("the run {} was not {}", file.config().name, word(args.what));
            return Err(CommandError::TimedOut { what, limit });
        }
        std::thread::sleep(period);
        period = (period * 2).min(PERIOD_MAX);
    }
}

/// Opens the run. Who waits for it to become ready, and says how long, may be earlier than `start`.
fn open(args: &WaitArgs, target: &Target, begin: Instant) -> Result<SegmentFile, CommandError> {
    let patience = args.timeout.filter(|_| args.what == WaitFor::Ready);
    loop {
        match target.open() {
            Err(CommandError::NoSuchRun { .. }) if patience.is_some_and(|limit| begin.elapsed() < limit) => {
                std::thread::sleep(PERIOD_MAX);
            }
            result => return result,
        }
    }
}

fn word(what: WaitFor) -> &'static str {
    match what {
        WaitFor::Ready => "ready",
        WaitFor::Recovered => "recovered",
        WaitFor::Finished => "finished",
    }
}

fn sight(what: WaitFor, facts: Facts) -> Sight {
    let dead = facts.life == Life::Dead;
    match (facts.state, what) {
        (Some(RunState::Failed), _) => Sight::Failed,
        // The words stand before the last process has gone.
        (Some(RunState::Finished | RunState::Stopped), WaitFor::Finished) if dead => Sight::There,
        (Some(RunState::Finished | RunState::Stopped), WaitFor::Finished) => Sight::NotYet,
        (Some(RunState::Finished | RunState::Stopped), WaitFor::Recovered) => Sight::There,
        (Some(RunState::Finished | RunState::Stopped), WaitFor::Ready) => Sight::Over,
        _ if dead => Sight::Failed,
        (_, WaitFor::Ready) if facts.all_ready => Sight::There,
        (_, WaitFor::Recovered) if facts.all_recovered => Sight::There,
        _ => Sight::NotYet,
    }
}

fn facts(file: &SegmentFile, segment: &ReaderSegment<'_>) -> Result<Facts, CommandError> {
    // The state is read again after the locks: a run that ended in between did not die.
    let life = life::of(file)?;
    let state = segment.control.run_state();
    let begun = state == Some(RunState::Running);
    let ready = |region: &RegionReader<'_>| ready_phase(region.status.phase());
    let all_ready = begun && segment.regions.iter().all(ready);
    let all_recovered = begun
        && segment
            .regions
            .iter()
            .all(|region| recovered(&segment.control, region));
    Ok(Facts {
        state,
        life,
        all_ready,
        all_recovered,
    })
}

/// Whether the worker of a torus is the expected one, lives, and has caught up; one that has finished had.
fn recovered(control: &ControlReader<'_>, region: &RegionReader<'_>) -> bool {
    let status = &region.status;
    if status.incarnation() < control.expected_incarnation(region.torus) {
        return false;
    }
    match status.phase() {
        Phase::Finished => true,
        Phase::Running => {
            status.caught_up_ns() != 0 && adopt::living(status).is_some() && log_is_complete(control, region)
        }
        _ => false,
    }
}

/// Whether the recovery log knows it too, so that `status` shows the whole recovery; not asked for without a supervisor,
/// who writes it.
fn log_is_complete(control: &ControlReader<'_>, region: &RegionReader<'_>) -> bool {
    let last = control
        .recoveries()
        .into_iter()
        .rfind(|record| record.torus == region.torus);
    last.is_none_or(|record| record.caught_up_ns != 0 || record.incarnation != region.status.incarnation())
}

fn why_failed(file: &SegmentFile) -> String {
    let name = &file.config().name;
    let reason = collect::collect(file).ok().and_then(|report| report.reason);
    match reason {
        Some(reason) => format!("the run {name} failed: {reason}"),
        None => format!("the run {name} failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Option<RunState>; 6] = [
        None,
        Some(RunState::Starting),
        Some(RunState::Running),
        Some(RunState::Finished),
        Some(RunState::Stopped),
        Some(RunState::Failed),
    ];
    const LIVES: [Life; 3] = [Life::Supervised, Life::Orphaned, Life::Dead];

    fn facts(state: Option<RunState>, life: Life, all: bool) -> Facts {
        Facts {
            state,
            life,
            all_ready: all,
            all_recovered: all,
        }
    }

    #[test]
    fn nobody_waits_for_the_dead() {
        for state in STATES {
            for what in [WaitFor::Ready, WaitFor::Recovered, WaitFor::Finished] {
                assert_ne!(
                    sight(what, facts(state, Life::Dead, false)),
                    Sight::NotYet,
                    "{state:?} {what:?}"
                );
            }
        }
    }

    #[test]
    fn a_failed_run_fails_every_wait() {
        for life in LIVES {
            for what in [WaitFor::Ready, WaitFor::Recovered, WaitFor::Finished] {
                assert_eq!(
                    sight(what, facts(Some(RunState::Failed), life, true)),
                    Sight::Failed
                );
            }
        }
    }

    #[test]
    fn finished_means_that_the_processes_are_gone_too() {
        let over = Some(RunState::Finished);
        assert_eq!(
            sight(WaitFor::Finished, facts(over, Life::Supervised, true)),
            Sight::NotYet
        );
        assert_eq!(
            sight(WaitFor::Finished, facts(over, Life::Dead, true)),
            Sight::There
        );
        assert_eq!(sight(WaitFor::Ready, facts(over, Life::Dead, true)), Sight::Over);
        assert_eq!(
            sight(WaitFor::Recovered, facts(over, Life::Dead, true)),
            Sight::There
        );
    }

    #[test]
    fn a_running_run_is_waited_for() {
        let running = Some(RunState::Running);
        for life in [Life::Supervised, Life::Orphaned] {
            assert_eq!(sight(WaitFor::Ready, facts(running, life, true)), Sight::There);
            assert_eq!(
                sight(WaitFor::Recovered, facts(running, life, false)),
                Sight::NotYet
            );
            assert_eq!(
                sight(WaitFor::Finished, facts(running, life, true)),
                Sight::NotYet
            );
        }
    }
}
