//! `start`: creates, replaces, adopts or resumes a run, and watches it to its end.

use std::time::{Duration, Instant};

use shm_layout::config::RunConfig;
use shm_layout::layout::Layout;
use shm_layout::names::log_path;
use shm_layout::sys::process;
use torus_worker::process::describe::FACES_APART;

use crate::cli::StartArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::report::summary;
use crate::start::detach::{self, Outcome};
use crate::start::launch::{self, Attempt, Judged, Launch, Origin};
use crate::start::place::{Found, Place};
use crate::start::rules::{Life, Plan, Wish, plan};
use crate::target::DEFAULT_NAME;
use crate::text::show;
use crate::watchdog::RunEnd;
use crate::watchdog::duty::{Service, watch};

/// How often what stands there is judged anew, when others change it in between.
const ATTEMPTS: usize = 8;
/// How long the lock of a supervisor that has died may be held on: it takes a millisecond, on a loaded machine more.
const GHOST_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command.
pub fn run(args: &StartArgs) -> Result<Exit, CommandError> {
    let place = Place::of(args)?;
    if args.dry_run {
        return dry_run(args, &launch::configuration(args, &place)?);
    }
    place.check_folder()?;
    if args.detach {
        let (plan, found) = judge(args, &place)?;
        return in_background(args, &place, plan, found);
    }
    let launch = launch(args, &place)?;
    let service = Service {
        background: args.in_background,
        stop_at_once: false,
    };
    let whole = launch.origin != Origin::Resumed;
    let (end, report) = watch(launch, service)?;
    if args.json {
        output::json(&report);
    } else {
        output::data(&summary::summary(&report, whole));
    }
    let left_behind = report.tori.iter().any(|torus| torus.absence.is_some());
    Ok(match end {
        RunEnd::Failed => Exit::Failed,
        RunEnd::Finished | RunEnd::Stopped if left_behind => Exit::Degraded,
        RunEnd::Finished | RunEnd::Stopped => Exit::Done,
    })
}

/// What is to be done with what stands there, if anything may be.
fn judge(args: &StartArgs, place: &Place) -> Result<(Plan, Found), CommandError> {
    let deadline = Instant::now() + GHOST_PATIENCE;
    loop {
        let found = place.look()?;
        let plan = plan(found.life, found.standing, wish(args, place));
        if found.life == Life::Supervised && Instant::now() < deadline && is_ghost(&found) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        return match refusal(plan, place, &found) {
            Some(refusal) => Err(refusal),
            None => Ok((plan, found)),
        };
    }
}

/// Whether the supervisor that holds the run lock has died: a process that it was starting has the lock, too, until it begins
/// its own program.
fn is_ghost(found: &Found) -> bool {
    let map = found.file.as_ref().and_then(|file| file.map_reader().ok());
    map.is_some_and(|map| {
        let control = map.views().control;
        let pid = u32::try_from(control.supervisor_pid()).unwrap_or_default();
        process::has_ended(pid, control.supervisor_start_time())
    })
}

/// Judges and launches; anew when somebody else was at it in between.
fn launch(args: &StartArgs, place: &Place) -> Result<Launch, CommandError> {
    for _ in 0..ATTEMPTS {
        let (plan, found) = judge(args, place)?;
        if let Some(launch) = carry_out(args, place, plan, found)? {
            return Ok(launch);
        }
    }
    Err(CommandError::AlreadyRunning(format!(
        "others keep starting and ending the run {}; try again when they are done",
        place.name()
    )))
}

fn wish(args: &StartArgs, place: &Place) -> Wish {
    match () {
        () if args.resume => Wish::Resume,
        () if args.replace || place.name() == DEFAULT_NAME => Wish::NewOrReplace,
        () => Wish::New,
    }
}

fn refusal(plan: Plan, place: &Place, found: &Found) -> Option<CommandError> {
    let name = place.name();
    let failed = |text: String| Some(CommandError::Failed(text));
    match plan {
        Plan::Create | Plan::Replace | Plan::Adopt | Plan::Resume => None,
        Plan::AlreadyRunning => Some(CommandError::AlreadyRunning(format!(
            "the run {name} is already running{}; `braid-supervisor status --name {name}` shows it",
            supervisor(found)
        ))),
        Plan::NeedsResumeOrClean => failed(format!(
            "the run {name} is unfinished and all its processes are dead; `start --name {name} --resume` continues it, \
             `clean {name}` removes it"
        )),
        Plan::NeedsReplace => failed(format!(
            "there is a run {name} that is over; `start --name {name} --replace` replaces it, `clean {name}` removes it"
        )),
        Plan::NothingToResume => Some(CommandError::NoSuchRun {
            run: format!("named {name} to resume"),
            path: place.segment().to_owned(),
        }),
        Plan::ResumeOfFinished => failed(format!(
            "the run {name} has finished, so there is nothing to resume"
        )),
    }
}

fn supervisor(found: &Found) -> String {
    let map = found.file.as_ref().and_then(|file| file.map_reader().ok());
    map.map_or_else(String::new, |map| {
        format!(" under supervisor {}", map.views().control.supervisor_pid())
    })
}

fn carry_out(args: &StartArgs, place: &Place, plan: Plan, found: Found) -> Result<Attempt, CommandError> {
    let (life, standing) = (found.life, found.standing);
    let judged = found.file.map(|file| Judged { file, life, standing });
    match (plan, judged) {
        (Plan::Adopt, Some(judged)) => launch::adopt(args, judged),
        (Plan::Resume, Some(judged)) => launch::resume(args, judged),
        (Plan::Replace, old @ Some(_)) => launch::create(&launch::configuration(args, place)?, place, old),
        _ => launch::create(&launch::configuration(args, place)?, place, None),
    }
}

/// Everything that can be refused is refused here, where somebody reads it; then the background half does it all again.
fn in_background(args: &StartArgs, place: &Place, plan: Plan, found: Found) -> Result<Exit, CommandError> {
    let config = match (plan, &found.file) {
        (Plan::Adopt | Plan::Resume, Some(file)) => file.config().clone(),
        _ => launch::configuration(args, place)?,
    };
    if matches!(plan, Plan::Create | Plan::Replace) {
        place.prepare()?;
    }
    drop(found);
    let log = log_path(&config);
    drop(crate::start::place::open_log(&config, false)?);
    match detach::detach(place.segment(), &log)? {
        Outcome::Ready(pid) => output::message(&format!(
            "the run {} is ready under supervisor {pid}; its log is {}",
            config.name,
            log.display()
        )),
        Outcome::Ended => output::message(&format!("the run {} has ended already", config.name)),
        Outcome::Failed { code, said } => {
            place.withdraw();
            return failed_in_background(code, &said, &log);
        }
    }
    Ok(Exit::Done)
}

fn failed_in_background(code: Option<i32>, said: &str, log: &std::path::Path) -> Result<Exit, CommandError> {
    if said.is_empty() {
        let log = log.display();
        return Err(CommandError::Failed(format!(
            "the background process failed without a word; see {log}"
        )));
    }
    output::message(said);
    Ok(match code {
        Some(2) => Exit::Usage,
        Some(4) => Exit::NoSuchRun,
        Some(8) => Exit::AlreadyRunning,
        _ => Exit::Failed,
    })
}

/// `--dry-run`: the configuration and what it takes.
fn dry_run(args: &StartArgs, config: &RunConfig) -> Result<Exit, CommandError> {
    let layout = Layout::compute(config).map_err(|error| CommandError::Usage(error.to_string()))?;
    if args.json {
        output::json(&serde_json::json!({
            "schema_version": 1,
            "config": config,
            "identity_hash": show::digest(config.identity_hash()),
            "segment_bytes": layout.total_bytes(),
        }));
        return Ok(Exit::Done);
    }
    let mut text = configuration(config);
    text.push_str(&format!(
        "\nsegment  {} ({} bytes)\n\n",
        show::bytes(layout.total_bytes()),
        layout.total_bytes()
    ));
    text.push_str(&format!(
        "{:>12} {:>12}  {:<20} {}\n",
        "OFFSET", "BYTES", "WRITER", "PART"
    ));
    for row in layout.describe() {
        text.push_str(&format!("{row}\n"));
    }
    output::data(&text);
    Ok(Exit::Done)
}

fn configuration(config: &RunConfig) -> String {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let [x, y, z] = config.sides;
    let capacity = &config.capacity;
    let mut rows = vec![("name", config.name.clone()), ("model", config.model.clone())];
    for (key, value) in &config.parameters {
        rows.push(("parameter", format!("{key}={value}")));
    }
    rows.extend([
        (
            "script",
            or_none(
                config
                    .script
                    .as_ref()
                    .map(|text| format!("{} lines", text.lines().count())),
            ),
        ),
        ("tori", config.tori.to_string()),
        ("sides", format!("{x},{y},{z}")),
        ("interval", config.interval.to_string()),
        ("adaptive", config.adaptive.to_string()),
        ("lag", config.lag.to_string()),
        ("seed", config.seed.to_string()),
        ("until", or_none(config.until.map(|tick| tick.to_string()))),
        ("time limit", or_none(config.time_limit_ns.map(show::span))),
        (
            "gain",
            or_none(config.gain.map(|(over, under)| format!("{over}/{under}"))),
        ),
        ("tolerance", config.tolerance.to_string()),
        (
            "faces at rest",
            or_none(config.rest_cycles.map(|cycles| {
                let apart = show::count(FACES_APART as u64);
                format!("within {cycles} cycles if {apart} apart and undisturbed")
            })),
        ),
        ("pending", capacity.pending.to_string()),
        ("edges", capacity.edges.to_string()),
        ("remote per interval", capacity.remote_per_interval.to_string()),
        ("lanes", capacity.lanes.saturating_sub(1).to_string()),
        (
            "checkpoint",
            format!("at most {}", show::bytes(config.checkpoint_bytes)),
        ),
        ("hang timeout", show::span(config.hang_timeout_ms * 1_000_000)),
        (
            "worker",
            format!("{} (version {})", config.worker.path, config.worker.version),
        ),
        ("journals", config.journal_dir.clone()),
    ]);
    rows.iter()
        .map(|(key, value)| format!("{key:<20} {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_lists_every_option() {
        let mut config = RunConfig::new("hot", "phold");
        config.parameters = vec![("remote".into(), "0.1".into())];
        let text = configuration(&config);
        for line in [
            "name                 hot",
            "parameter            remote=0.1",
            "until                -",
            "adaptive             false",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
