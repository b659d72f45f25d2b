//! Reads a run's report from its segment. Everything is read while the run may go on: each number is right, and they
//! need not be of the same moment.

use std::collections::BTreeMap;

use shm_layout::config::RunConfig;
use shm_layout::control::{self, ControlReader};
use shm_layout::frame::{Frame, health};
use shm_layout::names;
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::segment::SegmentFile;
use shm_layout::status::{Phase, StatusReader};
use shm_layout::stop::NO_STOP;
use shm_layout::sys::clock;
use shm_layout::torus::Torus;

use super::absence;
use super::constraints;
use super::exchange;
use super::migrations;
use super::recovery::{Recovery, from_record};
use super::run::{
    AlteredReport, CheckpointReport, FilesReport, MemoryReport, ModelReport, RunReport, RunState,
    SCHEMA_VERSION, SupervisorReport, TorusReport, WorkerReport,
};
use super::scrub;
use crate::error::CommandError;
use crate::life;
use crate::start::rules::Life;
use crate::text::show;
use crate::watchdog::adopt;

/// The report of the run in `file`.
///
/// # Errors
/// When the segment cannot be mapped, or its locks cannot be looked at.
pub fn collect(file: &SegmentFile) -> Result<RunReport, CommandError> {
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let segment = map.views();
    let life = life::of(file)?;
    Ok(report(file, &segment, life))
}

fn report(file: &SegmentFile, segment: &ReaderSegment<'_>, life: Life) -> RunReport {
    let (config, control) = (file.config(), segment.control);
    let absences = absence::of_run(segment);
    let (state, reason) = match state(config, &control, life) {
        (RunState::Running, _) if absences.iter().any(Option::is_some) => (RunState::Degraded, None),
        known => known,
    };
    let recoveries = control.recoveries();
    let tori = segment.regions.iter().map(|region| {
        let of_torus = recoveries
            .iter()
            .filter(|record| record.torus == region.torus)
            .map(from_record)
            .collect();
        TorusReport {
            absence: absences[region.torus.index()],
            ..torus(file, &control, region, of_torus, state)
        }
    });
    let supervisor = (life == Life::Supervised).then(|| SupervisorReport {
        pid: control.supervisor_pid() as u32,
        standby: Some(control.standby_pid() as u32).filter(|pid| *pid != 0),
    });
    RunReport {
        schema_version: SCHEMA_VERSION,
        name: config.name.clone(),
        state,
        reason,
        supervisor,
        model: model(config),
        final_boundary: Some(control.stop_decided()).filter(|boundary| *boundary != NO_STOP),
        tori: tori.collect(),
        faces: exchange::faces(config, segment),
        scrub: scrub::of(config, &control, &segment.audit),
        worker: WorkerReport {
            path: config.worker.path.clone(),
            version: config.worker.version.clone(),
            build_hash: show::digest(config.worker.build_hash),
        },
        files: files(file),
        created_unix_ns: control.created_ns(),
        elapsed_ns: elapsed_ns(&control),
    }
}

/// The state as `status` says it: the control word, unless nobody is left to make it true.
pub fn state(config: &RunConfig, control: &ControlReader<'_>, life: Life) -> (RunState, Option<String>) {
    match (control.run_state(), life) {
        (Some(control::RunState::Finished), _) => (RunState::Finished, None),
        (Some(control::RunState::Stopped), _) => (RunState::Stopped, None),
        (Some(control::RunState::Failed), _) => (RunState::Failed, Some(failure(control))),
        (_, Life::Supervised | Life::Orphaned) => (RunState::Running, None),
        (_, Life::Dead) => (RunState::Failed, Some(all_dead(config))),
    }
}

fn failure(control: &ControlReader<'_>) -> String {
    match control.failure() {
        Some((Some(torus), text)) if !text.contains(&format!("torus {torus}")) => {
            format!("torus {torus}: {text}")
        }
        Some((_, text)) => text,
        None => "it was given up without a reason".to_owned(),
    }
}

fn all_dead(config: &RunConfig) -> String {
    let name = &config.name;
    format!(
        "all its processes are dead; `braid-supervisor start --name {name} --resume` continues it exactly"
    )
}

fn model(config: &RunConfig) -> ModelReport {
    ModelReport {
        name: config.model.clone(),
        parameters: config.parameters.iter().cloned().collect(),
        script: config.script.is_some(),
        sides: config.sides,
        interval: config.interval,
        adaptive: config.adaptive,
        lag: config.lag,
        seed: config.seed,
        balance_percent: config.balance_percent,
        until: config.until,
        time_limit_ns: config.time_limit_ns,
    }
}

fn files(file: &SegmentFile) -> FilesReport {
    let config = file.config();
    FilesReport {
        segment: file.path().display().to_string(),
        segment_bytes: file.layout().total_bytes(),
        allocated_bytes: file.allocated_bytes().unwrap_or(0),
        journals: config.journal_dir.clone(),
        log: names::log_path(config).display().to_string(),
    }
}

fn elapsed_ns(control: &ControlReader<'_>) -> u64 {
    let (started_ns, finished_ns) = (control.started_ns(), control.finished_ns());
    match () {
        () if started_ns == 0 => 0,
        () if finished_ns > started_ns => finished_ns - started_ns,
        () => clock::realtime_ns().saturating_sub(started_ns),
    }
}

fn torus(
    file: &SegmentFile,
    control: &ControlReader<'_>,
    region: &RegionReader<'_>,
    recoveries: Vec<Recovery>,
    state: RunState,
) -> TorusReport {
    let status = &region.status;
    let pid = adopt::living(status).map(|(_, identity)| identity.pid as u32);
    let frame = newest_frame(region, file.config().face_cells());
    let of_frame = |get: fn(&Frame) -> u64| frame.as_ref().map_or(0, get);
    TorusReport {
        torus: region.torus.letter(),
        pid,
        incarnation: status.incarnation(),
        phase: phase(status.phase(), pid.is_some()),
        boundary: region.ring.head(),
        tick: of_frame(Frame::boundary_tick),
        interval: frame.as_ref().and_then(|frame| interval(region, frame)),
        violations: of_frame(Frame::violations),
        events: of_frame(Frame::events),
        pending: of_frame(Frame::pending),
        active: of_frame(Frame::active),
        edges: of_frame(Frame::edges),
        restarts: control.restarts(region.torus),
        history_digest: frame.as_ref().map(|frame| show::digest(frame.history_digest())),
        state_digest: state_digest(region, state),
        recoveries,
        health: health(of_frame(Frame::health)),
        exchange: frame.as_ref().map_or(BTreeMap::new(), |frame| {
            exchange::with_peers(region.torus, file.config().tori, frame)
        }),
        altered: altered(status),
        constraints: frame
            .as_ref()
            .map_or(Vec::new(), |frame| constraints::of_torus(frame, status)),
        absence: None,
        refused: frame.as_ref().map(absence::refused).unwrap_or_default(),
        migrations: migrations::of_status(status, region.torus, file.config().tori),
        checkpoints: checkpoints(status),
        memory: MemoryReport {
            resident_bytes: pid.and_then(resident_bytes),
            region_bytes: file
                .layout()
                .region(region.torus)
                .map_or(0, |region| region.whole.bytes),
            journal_bytes: status.journal_bytes(),
        },
    }
}

/// The health word of a frame, in words.
fn health(word: u64) -> String {
    let recovers = (word & health::RECOVERING != 0).then(|| "recovering".to_owned());
    let complains = |torus: &&Torus| word & health::complaint(**torus) != 0;
    let complaints = Torus::ALL.iter().filter(complains);
    let all: Vec<String> = recovers
        .into_iter()
        .chain(complaints.map(|torus| format!("finds torus {torus} damaged")))
        .collect();
    if all.is_empty() {
        "well".to_owned()
    } else {
        all.join(", ")
    }
}

/// What the torus found altered in the strands to it.
fn altered(status: &StatusReader<'_>) -> Vec<AlteredReport> {
    let report = |torus: &Torus| {
        let interval = status.altered(*torus).checked_sub(1)?;
        Some(AlteredReport {
            from: torus.letter(),
            interval,
            sent: show::digest(status.altered_sent(*torus)),
            received: show::digest(status.altered_received(*torus)),
        })
    };
    Torus::ALL.iter().filter_map(report).collect()
}

/// The length of the interval that a frame closes: from its predecessor's boundary to its own.
fn interval(region: &RegionReader<'_>, frame: &Frame) -> Option<u64> {
    let Some(before) = frame.interval().checked_sub(1) else {
        return Some(frame.boundary_tick());
    };
    let mut predecessor = Frame::new(frame.face_cells());
    region.ring.read(region.torus, before, &mut predecessor).ok()?;
    Some(frame.boundary_tick() - predecessor.boundary_tick())
}

/// The newest committed frame of a torus; `None` before the first.
pub fn newest_frame(region: &RegionReader<'_>, face_cells: usize) -> Option<Frame> {
    let mut frame = Frame::new(face_cells);
    // A ring that laps the reader is read again; one whose newest frame is damaged gives the one before.
    for _ in 0..8 {
        let head = region.ring.head();
        for interval in (region.ring.oldest()..head).rev().take(2) {
            if region.ring.read(region.torus, interval, &mut frame).is_ok() {
                return Some(frame);
            }
        }
        if head == 0 {
            return None;
        }
    }
    None
}

/// A dead worker's cell still says what it was at.
fn phase(phase: Phase, lives: bool) -> &'static str {
    match phase {
        Phase::None | Phase::Finished | Phase::Failed => phase.name(),
        _ if !lives => "dead",
        _ => phase.name(),
    }
}

/// The digest counts once the whole run is over, and only if it is of the boundary where it ended.
fn state_digest(region: &RegionReader<'_>, state: RunState) -> Option<String> {
    let over = matches!(state, RunState::Finished | RunState::Stopped);
    let of_the_end = region.status.state_digest_boundary() == region.ring.head();
    (over && of_the_end).then(|| show::digest(region.status.state_digest()))
}

fn checkpoints(status: &StatusReader<'_>) -> CheckpointReport {
    CheckpointReport {
        boundary: status.checkpoint(),
        safe: status.safe(),
        bytes: status.checkpoint_bytes(),
        taken: status.checkpoints_taken(),
        time_ns: status.checkpoint_ns_total(),
        mirror_ns: status.mirror_ns_total(),
    }
}

/// Resident bytes of a process, from /proc.
fn resident_bytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * shm_layout::layout::PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_worker_is_not_shown_at_work() {
        assert_eq!(phase(Phase::Running, false), "dead");
        assert_eq!(phase(Phase::Replaying, true), "replaying");
        assert_eq!(phase(Phase::Finished, false), "finished");
        assert_eq!(phase(Phase::None, false), "none");
    }

    #[test]
    fn a_health_word_is_shown_in_words() {
        assert_eq!(health(0), "well");
        let both = health::RECOVERING | health::complaint(Torus::C);
        assert_eq!(health(both), "recovering, finds torus C damaged");
    }

    #[test]
    fn this_process_has_resident_memory() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
