//! The schema of `status --json`. Fields are only ever added; a change of meaning raises [`SCHEMA_VERSION`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::constraints::ConstraintReport;
use super::exchange::{ExchangeReport, FacesReport};
use super::migrations::MigrationReport;
use super::recovery::Recovery;
use super::scrub::ScrubReport;

/// Version of this schema.
pub const SCHEMA_VERSION: u32 = 1;

/// The state of a run, as `status` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It starts, runs, or recovers.
    Running,
    /// A torus is absent, and the others go on without it.
    Degraded,
    /// It reached its end.
    Finished,
    /// It was stopped, at one boundary.
    Stopped,
    /// It gave up, or all its processes are dead; the reason says which.
    Failed,
}

impl RunState {
    /// The word that JSON and tables use.
    pub fn word(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Degraded => "degraded",
            RunState::Finished => "finished",
            RunState::Stopped => "stopped",
            RunState::Failed => "failed",
        }
    }
}

/// Everything about a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The run's name.
    pub name: String,
    /// Its state.
    pub state: RunState,
    /// Why it failed, and what to do; null otherwise.
    pub reason: Option<String>,
    /// The process that watches it; null when there is none.
    pub supervisor: Option<SupervisorReport>,
    /// The model and what it was given.
    pub model: ModelReport,
    /// The boundary at which the run was told to end; null without a stop or an end.
    pub final_boundary: Option<u64>,
    /// Each torus.
    pub tori: Vec<TorusReport>,
    /// The shared faces; null if the model does not couple them.
    pub faces: Option<FacesReport>,
    /// The audit.
    pub scrub: ScrubReport,
    /// The worker binary.
    pub worker: WorkerReport,
    /// Where things are.
    pub files: FilesReport,
    /// Wall-clock time of the creation, in nanoseconds since 1970.
    pub created_unix_ns: u64,
    /// Wall-clock nanoseconds from the first start to the end, or to now.
    pub elapsed_ns: u64,
}

/// The process that watches a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SupervisorReport {
    /// Its process.
    pub pid: u32,
    /// The process that stands by to become the next successor of a worker; null when there is none.
    pub standby: Option<u32>,
}

/// What is simulated.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    /// The model's name.
    pub name: String,
    /// All its parameters.
    pub parameters: BTreeMap<String, String>,
    /// Whether a script set it up.
    pub script: bool,
    /// The sides of each lattice.
    pub sides: [u32; 3],
    /// Ticks from one boundary to the next; with adaptive intervals those of the first ones.
    pub interval: u64,
    /// Whether the tori choose the length of their intervals.
    pub adaptive: bool,
    /// The lag.
    pub lag: u32,
    /// The key of all random numbers.
    pub seed: u64,
    /// Processes move where the pending events of two tori differ by more percent than this; null: on command only.
    pub balance_percent: Option<u32>,
    /// The last tick that is executed; null without one.
    pub until: Option<u64>,
    /// Wall-clock limit in nanoseconds; null without one.
    pub time_limit_ns: Option<u64>,
}

/// The worker binary of a run.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerReport {
    /// Its path.
    pub path: String,
    /// Its version.
    pub version: String,
    /// The hash of its bytes, hexadecimal.
    pub build_hash: String,
}

/// The files of a run.
#[derive(Debug, Clone, Serialize)]
pub struct FilesReport {
    /// The segment.
    pub segment: String,
    /// The segment's size in bytes.
    pub segment_bytes: u64,
    /// The bytes that are allocated: fewer once the run is over.
    pub allocated_bytes: u64,
    /// The journals' folder.
    pub journals: String,
    /// The log of workers and supervisor.
    pub log: String,
}

/// One torus.
#[derive(Debug, Clone, Serialize)]
pub struct TorusReport {
    /// Its letter.
    pub torus: char,
    /// Its worker's process; null when none lives.
    pub pid: Option<u32>,
    /// How many times its worker has been started.
    pub incarnation: u64,
    /// What the worker is at: starting, rehydrating, replaying, waiting, running, finished, failed, dead.
    pub phase: &'static str,
    /// The last boundary that it reached: all its frames below are committed.
    pub boundary: u64,
    /// The virtual time of its newest frame.
    pub tick: u64,
    /// The length of the interval that its newest frame closes, in ticks; null before the first.
    pub interval: Option<u64>,
    /// Violations that it found at the beginning of that interval: constraints out of their tolerance, and one if a shared
    /// face cell was corrected.
    pub violations: u64,
    /// Events executed up to there.
    pub events: u64,
    /// Events pending there.
    pub pending: u64,
    /// Cells with a process there.
    pub active: u64,
    /// Edges there.
    pub edges: u64,
    /// How many times its worker has been replaced.
    pub restarts: u64,
    /// Digest of every event executed up to there, hexadecimal; null before the first frame.
    pub history_digest: Option<String>,
    /// Digest of the final state, hexadecimal; null until the run is finished or stopped.
    pub state_digest: Option<String>,
    /// Its recoveries, oldest first, as far as the log reaches back.
    pub recoveries: Vec<Recovery>,
    /// Its absence, while it has not returned; null otherwise.
    pub absence: Option<AbsenceReport>,
    /// Events that came back to its model because the torus that they were for was absent, by that torus.
    pub refused: BTreeMap<char, u64>,
    /// How it is: well, recovering (its worker has just replaced another), or what it complains about.
    pub health: String,
    /// Events sent to and taken in from each peer so far.
    pub exchange: BTreeMap<char, ExchangeReport>,
    /// What it took in that was not what a peer says it sent, the last time for each peer.
    pub altered: Vec<AlteredReport>,
    /// The constraints that bind it.
    pub constraints: Vec<ConstraintReport>,
    /// The processes that moved between it and its peers.
    pub migrations: MigrationReport,
    /// Its checkpoints.
    pub checkpoints: CheckpointReport,
    /// Its memory.
    pub memory: MemoryReport,
}

/// The absence of a torus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AbsenceReport {
    /// The first boundary that the others entered without it.
    pub from_boundary: u64,
    /// Wall-clock time since when, in nanoseconds since 1970.
    pub since_unix_ns: u64,
    /// The first interval in which it takes part again; null until that is announced.
    pub rejoins_at: Option<u64>,
    /// Whether it is held away until it is released.
    pub held: bool,
}

/// A strand range that was not what its sender's frame says: found by the double entry, and repaired since if the run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlteredReport {
    /// The sender.
    pub from: char,
    /// The interval.
    pub interval: u64,
    /// Hash of the events, by the sender's frame, hexadecimal.
    pub sent: String,
    /// Hash of what stood in the strand, hexadecimal.
    pub received: String,
}

/// The checkpoints of a torus, by its present worker.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CheckpointReport {
    /// Boundary of the newest own checkpoint that is mirrored, or to be; 0 is the configuration itself. Local ones are newer.
    pub boundary: u64,
    /// Boundary of the newest one that every peer has mirrored.
    pub safe: u64,
    /// Bytes of the newest one.
    pub bytes: u64,
    /// How many it has taken.
    pub taken: u64,
    /// Nanoseconds spent on them.
    pub time_ns: u64,
    /// Nanoseconds spent on mirroring the peers'.
    pub mirror_ns: u64,
}

/// The memory of a torus.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MemoryReport {
    /// Resident bytes of the worker's process, shared ones included; null when none lives.
    pub resident_bytes: Option<u64>,
    /// Bytes of its region of the segment.
    pub region_bytes: u64,
    /// Bytes of its journal.
    pub journal_bytes: u64,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report for tests.
    pub(crate) fn sample() -> RunReport {
        RunReport {
            schema_version: SCHEMA_VERSION,
            name: "default".into(),
            state: RunState::Finished,
            reason: None,
            supervisor: None,
            model: ModelReport {
                name: "phold".into(),
                parameters: [("remote".to_owned(), "0.1".to_owned())].into(),
                script: false,
                sides: [32; 3],
                interval: 1000,
                adaptive: false,
                lag: 2,
                seed: 1,
                balance_percent: None,
                until: Some(9_999),
                time_limit_ns: None,
            },
            final_boundary: Some(10),
            tori: ['A', 'B', 'C'].map(torus).into(),
            faces: None,
            scrub: ScrubReport {
                enabled: false,
                pid: None,
                bound_intervals: 128,
                tori: Vec::new(),
                audits: 0,
                states: 0,
                findings: 0,
                rollbacks: Vec::new(),
            },
            worker: WorkerReport {
                path: "/bin/w".into(),
                version: "0.1.0".into(),
                build_hash: "ab".into(),
            },
            files: FilesReport {
                segment: "/dev/shm/braid-default".into(),
                segment_bytes: 4096,
                allocated_bytes: 4096,
                journals: "/state".into(),
                log: "/state/log".into(),
            },
            created_unix_ns: 1,
            elapsed_ns: 2_000_000_000,
        }
    }

    fn torus(letter: char) -> TorusReport {
        TorusReport {
            torus: letter,
            pid: None,
            incarnation: 2,
            phase: "finished",
            boundary: 10,
            tick: 10_000,
            interval: Some(1000),
            violations: 0,
            events: 1_000_000,
            pending: 32_768,
            active: 32_768,
            edges: 4,
            restarts: 1,
            history_digest: Some("00000000000000aa".into()),
            state_digest: Some("00000000000000bb".into()),
            recoveries: vec![super::super::recovery::tests::sample()],
            absence: None,
            refused: [('B', 3)].into(),
            health: "well".into(),
            exchange: BTreeMap::new(),
            altered: Vec::new(),
            constraints: Vec::new(),
            migrations: MigrationReport {
                leaving: 0,
                reserved: 0,
                forwarding: 0,
                peers: Vec::new(),
            },
            checkpoints: CheckpointReport {
                boundary: 9,
                safe: 9,
                bytes: 8,
                taken: 3,
                time_ns: 5,
                mirror_ns: 6,
            },
            memory: MemoryReport {
                resident_bytes: None,
                region_bytes: 4096,
                journal_bytes: 64,
            },
        }
    }

    #[test]
    fn the_json_has_the_promised_fields() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(json["schema_version"], 1);
        assert_eq!(json["name"], "default");
        assert_eq!(json["state"], "finished");
        assert!(json["supervisor"].is_null());
        let torus = &json["tori"][1];
        assert_eq!(torus["torus"], "B");
        for field in [
            "pid",
            "incarnation",
            "tick",
            "events",
            "pending",
            "restarts",
            "history_digest",
        ] {
            assert!(torus.get(field).is_some(), "{field}");
        }
        assert_eq!(torus["state_digest"], "00000000000000bb");
        let recovery = &torus["recoveries"][0];
        for part in ["detected_ns", "respawned_ns", "rehydrated_ns", "caught_up_ns"] {
            assert!(recovery[part].is_u64(), "{part}");
        }
    }

    #[test]
    fn every_state_has_its_word() {
        use RunState::*;
        for state in [Running, Degraded, Finished, Stopped, Failed] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
    }
}
