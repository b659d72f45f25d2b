//! From the options of `start` to the draft of a configuration: everything the command line knows. What only the model
//! knows (complete parameters, default capacities) is filled in by the worker binary.

use std::path::{Path, PathBuf};

use shm_layout::config::{Capacity, OnLoss, RunConfig, WorkerBinary};
use torus_worker::script::Script;

use crate::cli::{OnLossArg, StartArgs};
use crate::error::CommandError;
use crate::target::DEFAULT_NAME;

const DEFAULT_MODEL: &str = "phold";
const DEFAULT_MODEL_WITH_SCRIPT: &str = "cascade";
const DEFAULT_SIDES: [u32; 3] = [32; 3];
const DEFAULT_INTERVAL: u64 = 1000;
const DEFAULT_LAG: u32 = 2;
const DEFAULT_SEED: u64 = 1;
const DEFAULT_LANES: u32 = 7;
const DEFAULT_HANG_TIMEOUT_MS: u64 = 2000;
const DEFAULT_DEGRADE_AFTER_MS: u64 = 2000;
/// Share of the run time that checkpoints may take, in thousandths.
const CHECKPOINT_BUDGET_PERMILLE: u32 = 20;
/// Longest script in bytes; it is kept in the segment.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;

/// The draft. A capacity of 0 asks for the model's default.
///
/// # Errors
/// When the script cannot be read or the worker binary is not there.
pub fn draft(args: &StartArgs, journal_dir: &Path, run_id: u64) -> Result<RunConfig, CommandError> {
    let tori = args.tori.unwrap_or(3);
    let script = args
        .script
        .as_deref()
        .map(|path| read_script(path, tori))
        .transpose()?;
    let default_model = if script.is_some() {
        DEFAULT_MODEL_WITH_SCRIPT
    } else {
        DEFAULT_MODEL
    };
    let mut parameters = args.parameters.clone();
    parameters.sort();
    let lag = args.lag.unwrap_or(DEFAULT_LAG);
    Ok(RunConfig {
        name: name(args).to_owned(),
        model: args.model.clone().unwrap_or_else(|| default_model.to_owned()),
        parameters,
        script,
        tori,
        sides: args.sides.unwrap_or(DEFAULT_SIDES),
        interval: args.interval.unwrap_or(DEFAULT_INTERVAL),
        lag,
        seed: args.seed.unwrap_or(DEFAULT_SEED),
        until: args.until,
        gain: args.gain,
        tolerance: args.tolerance.unwrap_or(0),
        capacity: capacity(args),
        rest_cycles: None,
        checkpoint_bytes: 0,
        time_limit_ns: args.limit.map(|limit| limit.as_nanos() as u64),
        checkpoint_budget_permille: args.checkpoint_budget.unwrap_or(CHECKPOINT_BUDGET_PERMILLE),
        hang_timeout_ms: args
            .hang_timeout
            .map_or(DEFAULT_HANG_TIMEOUT_MS, |limit| limit.as_millis() as u64),
        worker: WorkerBinary {
            path: worker_path(args.worker.as_deref())?
                .to_string_lossy()
                .into_owned(),
            build_hash: 0,
            version: String::new(),
        },
        run_id,
        on_loss: match args.on_loss {
            Some(OnLossArg::Degrade) => OnLoss::Degrade,
            Some(OnLossArg::Wait) | None => OnLoss::Wait,
        },
        degrade_after_ms: args
            .degrade_after
            .map_or(DEFAULT_DEGRADE_AFTER_MS, |limit| limit.as_millis() as u64),
        adaptive: args.adaptive,
        balance_percent: args.balance,
        scrub: args.scrub,
        faults: args.faults,
        journal_dir: journal_dir.to_string_lossy().into_owned(),
    })
}

/// The run's name.
pub fn name(args: &StartArgs) -> &str {
    args.target.name.as_deref().unwrap_or(DEFAULT_NAME)
}

/// Lane 0 is the supervisor's own, so clients' lanes come on top.
fn capacity(args: &StartArgs) -> Capacity {
    Capacity {
        pending: args.pending.unwrap_or(0),
        edges: args.edges.unwrap_or(0),
        remote_per_interval: args.remote_per_interval.unwrap_or(0),
        lanes: args.lanes.unwrap_or(DEFAULT_LANES) + 1,
        ..Capacity::default()
    }
}

/// The script's text, which is parsed here so that errors name the file; the worker parses it again.
fn read_script(path: &Path, tori: u8) -> Result<String, CommandError> {
    let refuse =
        |why: String| CommandError::Usage(format!("cannot use the script {}: {why}", path.display()));
    let metadata = path.metadata().map_err(|error| refuse(error.to_string()))?;
    if metadata.len() > SCRIPT_BYTES_MAX {
        return Err(refuse(format!(
            "it has {} bytes, the longest has {SCRIPT_BYTES_MAX}",
            metadata.len()
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    Script::parse(&path.display().to_string(), &text)
        .and_then(|script| script.check_for_start(tori))
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(text)
}

/// The worker binary's absolute path: the one given, or this program.
pub fn worker_path(given: Option<&Path>) -> Result<PathBuf, CommandError> {
    match given {
        Some(path) => path.canonicalize().map_err(|error| {
            CommandError::Usage(format!(
                "there is no worker binary at {}: {error}",
                path.display()
            ))
        }),
        None => std::env::current_exe()
            .map_err(|error| CommandError::system("find this program's own file", error)),
    }
}

/// A random number that tells this run from every other, also in its journals.
///
/// # Errors
/// When the system's random numbers cannot be read.
pub fn random_run_id() -> Result<u64, CommandError> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| CommandError::system("read /dev/urandom", error))?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drafted(args: &StartArgs) -> RunConfig {
        draft(args, Path::new("/journals"), 7).unwrap()
    }

    #[test]
    fn start_alone_is_phold_on_three_tori_named_default() {
        let config = drafted(&StartArgs::default());
        assert_eq!(
            (config.name.as_str(), config.model.as_str(), config.tori),
            ("default", "phold", 3)
        );
        assert_eq!((config.sides, config.interval, config.lag), ([32; 3], 1000, 2));
        assert_eq!(
            (config.until, config.time_limit_ns, config.hang_timeout_ms),
            (None, None, 2000)
        );
        assert_eq!((config.capacity.pending, config.capacity.lanes), (0, 8));
    }

    #[test]
    fn a_script_makes_cascade_the_default() {
        let path = std::env::temp_dir().join(format!("braid-draft-{}.scenario", std::process::id()));
        std::fs::write(&path, "process 0 0 0\n").unwrap();
        let mut args = StartArgs {
            script: Some(path.clone()),
            ..StartArgs::default()
        };
        let config = drafted(&args);
        assert_eq!(
            (config.model.as_str(), config.script.as_deref()),
            ("cascade", Some("process 0 0 0\n"))
        );
        args.model = Some("heat".to_owned());
        assert_eq!(drafted(&args).model, "heat");
        std::fs::remove_file(&path).unwrap();
        let error = draft(&args, Path::new("/journals"), 7).unwrap_err();
        assert!(matches!(error, CommandError::Usage(_)), "{error}");
    }

    #[test]
    fn parameters_are_sorted_and_a_missing_worker_is_a_usage_error() {
        let pair = |key: &str| (key.to_owned(), "1".to_owned());
        let mut args = StartArgs {
            parameters: vec![pair("b"), pair("a")],
            ..StartArgs::default()
        };
        assert_eq!(drafted(&args).parameters, [pair("a"), pair("b")]);
        args.worker = Some("/no/such/worker".into());
        assert!(
            draft(&args, Path::new("/journals"), 7)
                .unwrap_err()
                .to_string()
                .contains("/no/such/worker")
        );
    }
}
