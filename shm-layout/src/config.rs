//! The configuration of a run: what `start` decides, stored in the segment, never changed afterwards.

use crate::hash;
use serde::{Deserialize, Serialize};

pub use crate::limits::ConfigError;

/// Everything that a run is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The run's name.
    pub name: String,
    /// The model's name.
    pub model: String,
    /// All parameters of the model, complete and sorted by name.
    pub parameters: Vec<(String, String)>,
    /// The text of the script that sets the run up, if one does.
    pub script: Option<String>,
    /// 1 or 3.
    pub tori: u8,
    /// Sides X, Y, Z of each lattice; powers of two.
    pub sides: [u32; 3],
    /// Ticks per interval.
    pub interval: u64,
    /// The lag L in intervals.
    pub lag: u32,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The last tick to execute; `None`: until stopped.
    pub until: Option<u64>,
    /// The coupling's gain as a fraction; `None`: the model's default.
    pub gain: Option<(u32, u32)>,
    /// Differences up to this are not corrected.
    pub tolerance: u32,
    /// Cycles after which coupled faces that are up to a million apart are within the tolerance for good, if nothing
    /// else changes them; `None` where nothing is coupled, or that takes longer than anybody waits.
    pub rest_cycles: Option<u64>,
    /// How much there is room for.
    pub capacity: Capacity,
    /// The largest packed checkpoint in bytes; a multiple of 8.
    pub checkpoint_bytes: u64,
    /// How long the run may take in wall-clock time, in ns.
    pub time_limit_ns: Option<u64>,
    /// How much of the run time checkpoints may cost, in thousandths.
    pub checkpoint_budget_permille: u32,
    /// A worker whose heartbeat stands still for so long hangs, in ms.
    pub hang_timeout_ms: u64,
    /// The worker's program.
    pub worker: WorkerBinary,
    /// Random; also in the journals, so that a journal of another run is told apart.
    pub run_id: u64,
    /// What happens while a torus is away.
    pub on_loss: OnLoss,
    /// How long a torus is away before the others go on without it, in ms; only with [`OnLoss::Degrade`].
    pub degrade_after_ms: u64,
    /// Whether the tori choose the length of their intervals.
    pub adaptive: bool,
    /// Processes move from the busiest torus to the idlest where their pending events differ by more than this, in
    /// percent; `None`: only on command.
    pub balance_percent: Option<u32>,
    /// Whether committed intervals are executed again in the background and compared.
    pub scrub: bool,
    /// Whether the memory of workers may be damaged on request, to test that it is found.
    pub faults: bool,
    /// The folder of the journals and the log.
    pub journal_dir: String,
}

/// How much there is room for. None of it changes a result; running out of it stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Pending events of a torus.
    pub pending: u32,
    /// Edges of a torus.
    pub edges: u32,
    /// Events that a torus may send to one peer in one interval.
    pub remote_per_interval: u32,
    /// Injection lanes, 1 to 32; lane 0 is the supervisor's.
    pub lanes: u32,
    /// Entries of a lane.
    pub lane_entries: u32,
    /// Slots of a frame ring; at least 2L+1.
    pub frames: u32,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            pending: 65_536,
            edges: 262_144,
            remote_per_interval: 1024,
            lanes: 4,
            lane_entries: 1024,
            frames: 128,
        }
    }
}

/// The program that runs the workers.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WorkerBinary {
    /// Where it is.
    pub path: String,
    /// Hash of its bytes; another program is refused for `verify`.
    pub build_hash: u64,
    /// Its version.
    pub version: String,
}

/// What the peers of a torus do while it is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnLoss {
    /// They wait, exactly.
    #[default]
    Wait,
    /// They go on without it.
    Degrade,
}

/// The shortest interval in ticks that the tori may choose.
pub const ADAPTIVE_INTERVAL_MIN: u64 = 100;
/// The longest one.
pub const ADAPTIVE_INTERVAL_MAX: u64 = 10_000;

/// The longest stored configuration in bytes.
pub const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Whether `name` can be a run's name: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with `.` or `-`, and not ending like
/// the temporary name of a segment that is being built (`.new-` and digits).
pub fn valid_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let temporary = name.rsplit_once(".new-").is_some_and(|(_, pid)| number(pid));
    (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with(['.', '-']) && !temporary
}

impl RunConfig {
    /// A configuration with all defaults: three tori of 32×32×32, intervals of 1000 ticks, lag 2, seed 1.
    pub fn new(name: &str, model: &str) -> Self {
        Self {
            name: name.to_owned(),
            model: model.to_owned(),
            parameters: Vec::new(),
            script: None,
            tori: 3,
            sides: [32; 3],
            interval: 1000,
            lag: 2,
            seed: 1,
            until: None,
            gain: None,
            tolerance: 0,
            rest_cycles: None,
            capacity: Capacity::default(),
            checkpoint_bytes: 4 << 20,
            time_limit_ns: None,
            checkpoint_budget_permille: 20,
            hang_timeout_ms: 2000,
            worker: WorkerBinary::default(),
            run_id: 0,
            on_loss: OnLoss::Wait,
            degrade_after_ms: 2000,
            adaptive: false,
            balance_percent: None,
            scrub: false,
            faults: false,
            journal_dir: String::new(),
        }
    }

    /// Cells of the face x = 0.
    pub fn face_cells(&self) -> usize {
        self.sides[1] as usize * self.sides[2] as usize
    }

    /// Hash of all that determines the result. Names, capacities, paths and budgets are not in it.
    pub fn identity_hash(&self) -> u64 {
        let identity = (
            "braid run 1",
            (&self.model, &self.parameters, &self.script),
            (self.tori, self.sides, self.interval, self.lag, self.seed),
            (self.until, self.gain, self.tolerance, self.on_loss),
            (self.adaptive, self.balance_percent),
        );
        hash::bytes(&encode(&identity))
    }

    /// The stored form: postcard.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads the stored form; `None` if the bytes are none, or more than one.
    pub fn from_bytes(bytes: &[u8]) -> Option<RunConfig> {
        match postcard::take_from_bytes(bytes) {
            Ok((config, [])) => Some(config),
            _ => None,
        }
    }
}

/// Postcard into a vector fails only for types without a known length, and there are none here.
fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> RunConfig {
        RunConfig::new("default", "phold")
    }

    #[test]
    fn the_defaults_are_valid_and_survive_storage() {
        let mut config = config();
        config.parameters = vec![("population".into(), "4".into()), ("remote".into(), "0.1".into())];
        assert_eq!(config.validate(), Ok(()));
        let mut bytes = config.to_bytes();
        assert_eq!(RunConfig::from_bytes(&bytes), Some(config));
        assert_eq!(RunConfig::from_bytes(&bytes[..bytes.len() - 1]), None);
        bytes.push(0);
        assert_eq!(RunConfig::from_bytes(&bytes), None);
    }

    #[test]
    fn the_identity_is_what_determines_the_result() {
        type Change = fn(&mut RunConfig);
        let same: [Change; 9] = [
            |c| c.rest_cycles = Some(3),
            |c| c.name = "other".into(),
            |c| c.capacity.pending = 1,
            |c| c.checkpoint_bytes = 8,
            |c| c.run_id = 9,
            |c| c.worker.path = "/x".into(),
            |c| c.hang_timeout_ms = 60_000,
            |c| c.scrub = true,
            |c| c.degrade_after_ms = 1,
        ];
        let different: [Change; 10] = [
            |c| c.model = "heat".into(),
            |c| c.parameters = vec![("a".into(), "1".into())],
            |c| c.script = Some(String::new()),
            |c| c.tori = 1,
            |c| c.lag = 3,
            |c| c.seed = 2,
            |c| c.until = Some(5),
            |c| c.gain = Some((1, 4)),
            |c| c.adaptive = true,
            |c| c.balance_percent = Some(20),
        ];
        let hash = |change: Change| {
            let mut config = config();
            change(&mut config);
            config.identity_hash()
        };
        assert!(
            same.into_iter()
                .all(|change| hash(change) == config().identity_hash())
        );
        assert!(
            different
                .into_iter()
                .all(|change| hash(change) != config().identity_hash())
        );
    }
}
