//! `stop`: asks the supervisor to stop the run at one boundary, and waits. A supervisor that is dead is stood in for.

use std::time::{Duration, Instant};

use nix::libc::SIGTERM;
use shm_layout::segment::SegmentFile;
use shm_layout::stop::NO_STOP;
use shm_layout::sys::pidfd::PidFd;
use shm_layout::sys::process;

use crate::cli::{StartArgs, StopArgs};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::life;
use crate::output;
use crate::report::collect;
use crate::report::run::{RunReport, RunState};
use crate::socket::client::ask;
use crate::socket::message::{Request, Response};
use crate::start::launch::{self, Attempt, Judged, Launch};
use crate::start::place;
use crate::start::rules::Life;
use crate::target::Target;
use crate::watchdog::duty::{Service, watch};

/// How often the run is looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// How often the run is judged anew, when others change it in between.
const ATTEMPTS: usize = 8;

/// Runs the command.
pub fn run(args: &StopArgs) -> Result<Exit, CommandError> {
    for _ in 0..ATTEMPTS {
        let file = Target::of(&args.target)?.open()?;
        match life::of(&file)? {
            Life::Supervised => {
                ask_supervisor(&file)?;
                return await_end(&file, args.timeout);
            }
            Life::Orphaned => {
                if let Some(launch) = take_over(file)? {
                    return stand_in(launch);
                }
                // Another supervisor has come, or the last worker has gone.
            }
            Life::Dead => return Err(not_running(&file)),
        }
    }
    Err(CommandError::Failed(
        "others keep starting and ending the run; try again when they are done".to_owned(),
    ))
}

/// Over the control socket; a supervisor that cannot be spoken with there understands SIGTERM.
fn ask_supervisor(file: &SegmentFile) -> Result<(), CommandError> {
    match ask(file.path(), &Request::Stop) {
        Ok(Response::Stopping { .. }) => Ok(()),
        Ok(Response::Refused(why)) => Err(CommandError::Failed(why)),
        Ok(other) => Err(CommandError::Failed(format!(
            "the supervisor answered {other:?}, which is no answer to this"
        ))),
        Err(error) => terminate_supervisor(file).or(Err(error.into())),
    }
}

fn terminate_supervisor(file: &SegmentFile) -> Result<(), CommandError> {
    let gone = || CommandError::NotRunning("the supervisor has just ended".to_owned());
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let control = map.views().control;
    let pid = u32::try_from(control.supervisor_pid()).map_err(|_| gone())?;
    let pidfd = PidFd::open(pid).map_err(|_| gone())?;
    if process::start_time(pid) != Some(control.supervisor_start_time()) {
        return Err(gone());
    }
    pidfd
        .send_signal(SIGTERM)
        .map_err(|error| CommandError::system(format!("signal process {pid}"), error))
}

/// Nobody supervises: this process does, for as long as it takes to stop.
fn take_over(file: SegmentFile) -> Result<Attempt, CommandError> {
    let (life, standing) = (Life::Orphaned, place::standing(&file)?);
    match launch::adopt(&StartArgs::default(), Judged { file, life, standing }) {
        Err(CommandError::AlreadyRunning(_)) => Ok(None),
        result => result,
    }
}

fn stand_in(launch: Launch) -> Result<Exit, CommandError> {
    output::message("the supervisor is dead; this command takes its place to stop the run");
    let (_, report) = watch(
        launch,
        Service {
            background: false,
            stop_at_once: true,
        },
    )?;
    Ok(tell(&report))
}

fn await_end(file: &SegmentFile, timeout: Option<Duration>) -> Result<Exit, CommandError> {
    let begin = Instant::now();
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let control = map.views().control;
    let mut announced = NO_STOP;
    while life::of(file)? != Life::Dead {
        let decided = control.stop_decided();
        if decided != announced {
            announced = decided;
            output::message(&format!("stopping at boundary {decided}"));
        }
        if let Some(limit) = timeout.filter(|limit| begin.elapsed() >= *limit) {
            let name = &file.config().name;
            return Err(CommandError::TimedOut {
                what: format!("the run {name} did not stop"),
                limit,
            });
        }
        std::thread::sleep(PERIOD);
    }
    Ok(tell(&collect::collect(file)?))
}

fn tell(report: &RunReport) -> Exit {
    let boundary = report.tori.iter().map(|torus| torus.boundary).max().unwrap_or(0);
    let (name, word) = (&report.name, report.state.word());
    match &report.reason {
        Some(reason) => output::message(&format!("the run {name} is {word}: {reason}")),
        None => output::message(&format!("the run {name} is {word} at boundary {boundary}")),
    }
    if report.state == RunState::Failed {
        Exit::Failed
    } else {
        Exit::Done
    }
}

fn not_running(file: &SegmentFile) -> CommandError {
    let name = &file.config().name;
    let state = collect::collect(file).map_or("over", |report| report.state.word());
    CommandError::NotRunning(format!("the run {name} is not running: it is {state}"))
}
