//! `verify`: executes a finished or stopped run again, uncrashed and in one process, and compares all digests.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::names;
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::segment::SegmentFile;
use shm_layout::torus::Torus;

use crate::in_process::{Digests, InProcess};
use crate::journal::FileJournal;
use crate::model::Model;

use super::arguments::Verify;
use super::registry::{ModelEntry, find};

const IDENTICAL: u8 = 0;
const FAILED: u8 = 1;
const DIFFERS: u8 = 6;
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(1);

/// What is verified.
pub(super) struct Context<'a> {
    config: &'a RunConfig,
    reader: ReaderSegment<'a>,
    json: bool,
}

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Report {
    schema_version: u32,
    name: String,
    identical: bool,
    boundary: u64,
    tori: Vec<TorusReport>,
    parting: Option<PartingReport>,
}

/// The digests of one torus, as recorded and as executed again.
#[derive(Serialize)]
struct TorusReport {
    torus: String,
    identical: bool,
    events: [u64; 2],
    history_digest: [String; 2],
    chain: [String; 2],
    state_digest: [String; 2],
}

/// Between which intervals the executions part.
#[derive(Serialize)]
struct PartingReport {
    torus: String,
    last_agreeing_interval: Option<u64>,
    first_differing_interval: u64,
}

pub(super) fn main(models: &[ModelEntry], request: &Verify) -> ExitCode {
    match verify_file(models, request) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(FAILED)
        }
    }
}

fn verify_file(models: &[ModelEntry], request: &Verify) -> Result<ExitCode, String> {
    let file = SegmentFile::open(&request.segment).map_err(|error| error.to_string())?;
    let config = file.config();
    if crate::build_hash() != Some(config.worker.build_hash) {
        return Err(format!(
            "this worker binary is not the one of run {}: it needs {} version {}, build hash {:016x}",
            config.name, config.worker.path, config.worker.version, config.worker.build_hash
        ));
    }
    let map = file.map_reader().map_err(|error| error.to_string())?;
    let entry = find(models, &config.model)?;
    Ok((entry.verify)(&Context {
        config,
        reader: map.views(),
        json: request.json,
    }))
}

/// Executes again and compares.
pub(super) fn verify<M: Model>(context: &Context<'_>) -> ExitCode {
    match report::<M>(context) {
        Ok(report) => {
            print(&report, context.json);
            ExitCode::from(if report.identical { IDENTICAL } else { DIFFERS })
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(FAILED)
        }
    }
}

fn report<M: Model>(context: &Context<'_>) -> Result<Report, String> {
    let config = context.config;
    let boundary = end_of_run(context)?;
    let mut journals = [const { Vec::new() }; 3];
    for torus in Torus::of_run(config.tori) {
        let path = names::journal_path(config, *torus);
        journals[torus.index()] =
            FileJournal::read(&path, config, *torus).map_err(|error| error.to_string())?;
    }
    let mut run = InProcess::<M>::new(config, journals).map_err(|error| error.to_string())?;
    for (torus, end) in Torus::of_run(config.tori).iter().zip(ends(context)) {
        run.leave_behind(*torus, end);
    }
    let mut progress = Instant::now();
    while run.boundary() < boundary {
        run.execute_interval()
            .map_err(|error| format!("executing the run again failed: {error}"))?;
        if progress.elapsed() >= PROGRESS {
            progress = Instant::now();
            let percent = run.boundary() as f64 * 100.0 / boundary as f64;
            eprintln!(
                "verify {}: boundary {} of {boundary}, {percent:.1} %",
                config.name,
                run.boundary()
            );
        }
    }
    let tori: Vec<_> = Torus::of_run(config.tori)
        .iter()
        .map(|torus| compare(context, &run, *torus, boundary))
        .collect();
    let parting = run.parting().map(|parting| PartingReport {
        torus: parting.torus.to_string(),
        last_agreeing_interval: parting.agreed,
        first_differing_interval: parting.differs,
    });
    let identical = parting.is_none() && tori.iter().all(|torus| torus.identical);
    Ok(Report {
        schema_version: 1,
        name: config.name.clone(),
        identical,
        boundary,
        tori,
        parting,
    })
}

/// The boundary at which all tori have ended that were not left behind.
fn end_of_run(context: &Context<'_>) -> Result<u64, String> {
    let ended = |region: &&RegionReader<'_>| !is_left_behind(context, region);
    let regions = context.reader.regions.iter().filter(ended);
    let ends: Vec<_> = regions
        .map(|region| region.status.state_digest_boundary())
        .collect();
    match ends.first() {
        Some(end) if *end > 0 && ends.iter().all(|other| other == end) => Ok(*end),
        _ => Err(format!(
            "run {} has not ended at one boundary (its tori are at {ends:?}); stop it first, then verify it",
            context.config.name
        )),
    }
}

/// Whether the run ended without this torus, which was absent: it has published no final state.
fn is_left_behind(context: &Context<'_>, region: &RegionReader<'_>) -> bool {
    region.status.state_digest_boundary() == 0 && context.reader.memberships.last_of(region.torus).is_some()
}

/// Where each torus stands: at the end of the run, or where it was left behind.
fn ends(context: &Context<'_>) -> Vec<u64> {
    let regions = context.reader.regions.iter();
    regions.map(|region| region.ring.head()).collect()
}

fn compare<M: Model>(context: &Context<'_>, run: &InProcess<M>, torus: Torus, boundary: u64) -> TorusReport {
    let executed = run
        .digests(torus)
        .unwrap_or_else(|| unreachable!("every torus of the run was executed"));
    let recorded = recorded(context, torus, boundary, executed.state);
    let hex = |value: u64| format!("{value:016x}");
    TorusReport {
        torus: torus.to_string(),
        identical: recorded == executed,
        events: [recorded.events, executed.events],
        history_digest: [hex(recorded.history), hex(executed.history)],
        chain: [hex(recorded.chain), hex(executed.chain)],
        state_digest: [hex(recorded.state), hex(executed.state)],
    }
}

/// What the run's last frame and status cell say; zeros where the frame is damaged. A torus that was left behind has
/// published no digest of its state: its last frame's chain stands for it, and `executed` is returned.
fn recorded(context: &Context<'_>, torus: Torus, boundary: u64, executed: u64) -> Digests {
    let region = &context.reader.regions[torus.index()];
    let left_behind = is_left_behind(context, region);
    let last = if left_behind { region.ring.head() } else { boundary };
    let mut frame = Frame::new(context.config.face_cells());
    let is_read = last
        .checked_sub(1)
        .is_some_and(|n| region.ring.read(torus, n, &mut frame).is_ok());
    if !is_read {
        frame.clear();
    }
    let state = match left_behind {
        true => executed,
        false => region.status.state_digest(),
    };
    Digests {
        events: frame.events(),
        history: frame.history_digest(),
        chain: frame.chain(),
        state,
    }
}

fn print(report: &Report, json: bool) {
    if json {
        match serde_json::to_string_pretty(report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("cannot write the report: {error}"),
        }
        return;
    }
    for torus in &report.tori {
        let verdict = if torus.identical { "identical" } else { "DIFFERS" };
        println!(
            "torus {}  {verdict}  events {} history {} state {}",
            torus.torus, torus.events[1], torus.history_digest[1], torus.state_digest[1]
        );
        if !torus.identical {
            println!(
                "         recorded   events {} history {} state {}",
                torus.events[0], torus.history_digest[0], torus.state_digest[0]
            );
        }
    }
    match &report.parting {
        _ if report.identical => println!("{}: identical up to boundary {}", report.name, report.boundary),
        Some(parting) => println!(
            "{}: differs: torus {} parts from its record between interval {} and interval {}",
            report.name,
            parting.torus,
            parting
                .last_agreeing_interval
                .map_or("0".to_owned(), |n| n.to_string()),
            parting.first_differing_interval
        ),
        None => println!(
            "{}: differs after the last recorded mark, before boundary {}",
            report.name, report.boundary
        ),
    }
}
