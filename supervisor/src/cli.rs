//! The command line as typed. What the words mean together is decided by each command; nothing here does I/O.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use shm_layout::torus::Torus;

use crate::{exit, text::parse};

/// Three braided event simulations that survive kill -9, bit for bit.
///
/// A run is three worker processes over one shared-memory segment, and a supervisor that replaces a worker the moment
/// it dies. `braid-supervisor start` alone runs the PHOLD benchmark model until Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "braid-supervisor", version, after_help = exit::TABLE, max_term_width = 110)]
#[command(propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a run, adopt one whose supervisor died, or continue one with --resume
    #[command(after_help = START_HELP)]
    Start(Box<StartArgs>),
    /// Show what a run does: per torus its process, progress, digests and recoveries
    #[command(after_help = STATUS_HELP)]
    Status(StatusArgs),
    /// Put one event into a run from outside and wait until it counts
    #[command(after_help = INJECT_HELP)]
    Inject(InjectArgs),
    /// Kill the worker of a torus (to see it come back), or send it another signal
    #[command(after_help = KILL_HELP)]
    Kill(KillArgs),
    /// Wait until a run is ready, has recovered, or is finished
    #[command(after_help = WAIT_HELP)]
    Wait(WaitArgs),
    /// Stop a run: all tori at one boundary, from which start --resume continues
    #[command(after_help = STOP_HELP)]
    Stop(StopArgs),
    /// Re-execute a finished or stopped run uncrashed in one process and compare every digest
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// List the runs on this machine
    #[command(after_help = LS_HELP)]
    Ls(LsArgs),
    /// Remove what runs that are over have left: segment, journals, log
    #[command(after_help = CLEAN_HELP)]
    Clean(CleanArgs),
    /// Run a scenario script on one torus in this process and print its figures
    #[command(after_help = RUN_SCRIPT_HELP)]
    RunScript(RunScriptArgs),
}

/// Which run.
#[derive(Debug, Clone, Default, Args)]
pub struct TargetArgs {
    /// The run's name [default: default]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The run's segment as a file on disk, instead of /dev/shm/braid-NAME
    #[arg(long, value_name = "PATH")]
    pub segment: Option<PathBuf>,
}

/// Options of `start`. Everything optional stays optional here: adopting and resuming compare only what was given.
#[derive(Debug, Clone, Default, Args)]
pub struct StartArgs {
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
    /// The model: a built-in one, or one of the --worker binary's [default: phold; cascade with --script]
    #[arg(long, value_name = "NAME", help_heading = "Simulation")]
    pub model: Option<String>,
    /// A parameter of the model; may be repeated
    #[arg(short = 'p', long = "param", value_name = "KEY=VALUE", value_parser = parse::parameter)]
    #[arg(help_heading = "Simulation")]
    pub parameters: Vec<(String, String)>,
    /// A scenario script that sets up processes, edges and first events
    #[arg(long, value_name = "FILE", help_heading = "Simulation")]
    pub script: Option<PathBuf>,
    /// How many tori: 3 braided ones, or 1 alone [default: 3]
    #[arg(long, value_name = "1|3", value_parser = parse::tori, help_heading = "Simulation")]
    pub tori: Option<u8>,
    /// The sides of each lattice, powers of two from 4 to 128 [default: 32,32,32]
    #[arg(long, value_name = "X,Y,Z", value_parser = parse::sides, help_heading = "Simulation")]
    pub sides: Option<[u32; 3]>,
    /// Ticks of virtual time between two boundaries [default: 1000]
    #[arg(long, value_name = "K", help_heading = "Simulation")]
    pub interval: Option<u64>,
    /// Intervals after which what one torus publishes acts on the others, 1 to 8 [default: 2]
    #[arg(long, value_name = "L", help_heading = "Simulation")]
    pub lag: Option<u32>,
    /// Key of all random numbers [default: 1]
    #[arg(long, value_name = "SEED", help_heading = "Simulation")]
    pub seed: Option<u64>,
    /// Gain of the coupling of the shared faces [default: the model's]
    #[arg(long, value_name = "N/D", value_parser = parse::gain, help_heading = "Simulation")]
    pub gain: Option<(u32, u32)>,
    /// Largest difference at a shared face cell that is left alone [default: 0]
    #[arg(long, value_name = "DIFFERENCE", help_heading = "Simulation")]
    pub tolerance: Option<u32>,
    /// Execute all events with time up to and including TICK, then finish
    #[arg(long, value_name = "TICK", help_heading = "End", conflicts_with = "limit")]
    pub until: Option<u64>,
    /// Finish after this much wall-clock time, such as 30s or 1h30m, all tori at one boundary
    #[arg(long = "for", id = "limit", value_name = "DURATION", value_parser = parse::duration)]
    #[arg(help_heading = "End")]
    pub limit: Option<Duration>,
    /// Pending events that each torus has room for [default: what the model asks for]
    #[arg(long, value_name = "EVENTS", help_heading = "Capacities")]
    pub pending: Option<u32>,
    /// Edges that each torus has room for [default: what the model asks for]
    #[arg(long, value_name = "EDGES", help_heading = "Capacities")]
    pub edges: Option<u32>,
    /// Events from one torus to another in one interval [default: what the model asks for]
    #[arg(long, value_name = "EVENTS", help_heading = "Capacities")]
    pub remote_per_interval: Option<u32>,
    /// Clients that can inject at the same time, 1 to 31 [default: 7]
    #[arg(long, value_name = "LANES", value_parser = clap::value_parser!(u32).range(1..=31))]
    #[arg(help_heading = "Capacities")]
    pub lanes: Option<u32>,
    /// Go to the background once all tori are ready
    #[arg(long, help_heading = "Process")]
    pub detach: bool,
    /// Continue a run whose processes are all dead, or that was stopped; capacities may grow
    #[arg(long, help_heading = "Process", conflicts_with = "replace")]
    pub resume: bool,
    /// Replace a finished or stopped run of the same name (the run named default always is)
    #[arg(long, help_heading = "Process")]
    pub replace: bool,
    /// Print the configuration and the memory it needs, and start nothing
    #[arg(long, help_heading = "Process", conflicts_with = "detach")]
    pub dry_run: bool,
    /// Print data (the dry run, the summary) as JSON
    #[arg(long, help_heading = "Process")]
    pub json: bool,
    /// A worker binary with your own models, instead of this program
    #[arg(long, value_name = "PATH", help_heading = "Process")]
    pub worker: Option<PathBuf>,
    /// Replace a worker that makes no progress for this long; at least 50ms [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, help_heading = "Process")]
    pub hang_timeout: Option<Duration>,
    /// (internal) This process is the background half of --detach
    #[arg(long, hide = true)]
    pub in_background: bool,
}

/// Options of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `inject`.
#[derive(Debug, Clone, Args)]
pub struct InjectArgs {
    /// The torus: A, B or C
    #[arg(value_parser = parse::torus)]
    pub torus: Torus,
    /// The destination cell; any integers, they wrap
    #[arg(value_name = "X,Y,Z", value_parser = parse::coordinates, allow_hyphen_values = true)]
    #[arg(required_unless_present = "count_only")]
    pub cell: Option<[i64; 3]>,
    /// The event's payload, a signed integer
    #[arg(
        long,
        value_name = "P",
        allow_hyphen_values = true,
        required_unless_present = "count_only"
    )]
    pub payload: Option<i64>,
    /// The cell that stands as the event's source [default: the destination]
    #[arg(long, value_name = "X,Y,Z", value_parser = parse::coordinates, allow_hyphen_values = true)]
    pub from: Option<[i64; 3]>,
    /// Execute at this tick, or at the boundary that takes the event in if that is later
    #[arg(long, value_name = "TICK")]
    pub at: Option<u64>,
    /// Name this client: it keeps a lane of its own, and learns how many of its events are committed
    #[arg(long, value_name = "ID", value_parser = parse::client)]
    pub client: Option<String>,
    /// Inject nothing: print how many of the client's events are committed, once none of them is on its way
    #[arg(long, requires = "client", conflicts_with_all = ["cell", "payload", "from", "at"])]
    pub count_only: bool,
    /// Give up after this long
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "30s")]
    pub timeout: Duration,
    /// Wait for nothing: a full lane is an error, and so is nothing that happens later
    #[arg(long)]
    pub no_wait: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Options of `kill`.
#[derive(Debug, Clone, Args)]
pub struct KillArgs {
    /// The torus: A, B or C
    #[arg(value_parser = parse::torus)]
    pub torus: Torus,
    /// The signal, by name or number
    #[arg(long, value_name = "SIGNAL", value_parser = parse::signal, default_value = "KILL")]
    pub signal: i32,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Options of `wait`.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// What to wait for
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value = "finished")]
    pub what: WaitFor,
    /// Give up after this long (exit code 7) [default: wait for ever]
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    pub timeout: Option<Duration>,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WaitFor {
    /// All tori run
    Ready,
    /// Every torus that died is back and has caught up
    Recovered,
    /// The run is finished or stopped, and its processes are gone
    Finished,
}

/// Options of `stop`.
#[derive(Debug, Clone, Args)]
pub struct StopArgs {
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
    /// Give up waiting after this long (exit code 7); the run stops all the same [default: wait for ever]
    #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
    pub timeout: Option<Duration>,
}

/// Options of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `ls`.
#[derive(Debug, Clone, Args)]
pub struct LsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `clean`.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// The run's name [default: default]
    #[arg(value_name = "NAME", conflicts_with_all = ["all", "name", "segment"])]
    pub run: Option<String>,
    /// All runs that do not run
    #[arg(long, conflicts_with_all = ["name", "segment"])]
    pub all: bool,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Options of `run-script`.
#[derive(Debug, Clone, Args)]
pub struct RunScriptArgs {
    /// The script; docs/ and `scenarios/` describe its lines
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The sides of the lattice, powers of two from 4 to 128
    #[arg(long, value_name = "X,Y,Z", value_parser = parse::sides, default_value = "32,32,32")]
    pub sides: Sides,
}

/// Sides as a named type, because clap takes an array argument for a list of values.
pub type Sides = [u32; 3];

const START_HELP: &str = "\
Examples:
  braid-supervisor start                                   phold on three tori, until Ctrl-C
  braid-supervisor start --detach --until 1000000          in the background, to tick 1 000 000
  braid-supervisor start --name hot --model heat --for 1m  a named run, one minute long
  braid-supervisor start --model phold -p remote=0.1       a model parameter
  braid-supervisor start --dry-run --sides 64,64,64        what it would take
  braid-supervisor start --resume                          continue after everything was killed, or after stop

If the name exists: a supervisor that is alive is left alone (exit 8); workers without one are adopted, and options
that differ from the stored configuration refused; a run that is over is replaced if it is called default or with
--replace; one whose processes are all dead and unfinished is left for --resume or clean (exit 1).
A worker binary that does not speak the protocol is a failure (exit 1); a model or parameter it refuses is a usage
error (exit 2). Ctrl-C stops all tori at one boundary; a second Ctrl-C kills them, and --resume continues.

Exit codes:
  0  finished or stopped      1  failed      2  usage      4  --resume: no such run      8  already running";

const STATUS_HELP: &str = "\
Examples:
  braid-supervisor status
  braid-supervisor status --name hot --json

Exit codes:
  0  running, finished or stopped      1  failed      4  no such run";

const INJECT_HELP: &str = "\
Examples:
  braid-supervisor inject A 0,0,0 --payload 5
  braid-supervisor inject B 3,-1,7 --payload=-2 --at 5000 --client feeder
  braid-supervisor inject B --client feeder --count-only

Returns when the frame that took the event in is committed, and prints the boundary: from then on the event is part of
the run, whoever is killed. A client with a name continues where it left off: events that are committed count exactly
once across deaths of either side.

Exit codes:
  0  committed (with --no-wait: queued)      1  failed: no free lane, or with --no-wait a full one      2  usage
  3  the run does not run, or ended before it took the event in      4  no such run      7  timed out";

const KILL_HELP: &str = "\
Examples:
  braid-supervisor kill A && braid-supervisor wait --for recovered
  braid-supervisor kill B --signal STOP                    a hang; the supervisor replaces the worker

Exit codes:
  0  signalled      1  failed      2  usage      3  the torus has no living worker      4  no such run";

const WAIT_HELP: &str = "\
Examples:
  braid-supervisor wait --for ready --timeout 10s
  braid-supervisor wait --for recovered
  braid-supervisor wait                                    until it is finished or stopped

Exit codes:
  0  it is so      1  the run failed      3  it does not run (any more)      4  no such run      7  timed out";

const STOP_HELP: &str = "\
Examples:
  braid-supervisor stop
  braid-supervisor stop --name hot

Returns when the run is stopped: all tori at the same boundary, all processes gone, the state kept for status, verify
and start --resume. If the supervisor is dead and workers are alive, this command does its work.

Exit codes:
  0  stopped (or finished before it could be)      1  failed      3  not running      4  no such run      7  timed out";

const VERIFY_HELP: &str = "\
Examples:
  braid-supervisor verify
  braid-supervisor verify --name hot --json

Runs the run's own worker binary, the very build: another one is refused with the version that is needed.

Exit codes:
  0  identical      1  failed      4  no such run      6  differs; says where      8  the run still runs";

const LS_HELP: &str = "\
Examples:
  braid-supervisor ls
  braid-supervisor ls --json

Exit codes:
  0  done, also when there is none      1  failed";

const CLEAN_HELP: &str = "\
Examples:
  braid-supervisor clean                                   the run named default
  braid-supervisor clean hot
  braid-supervisor clean --all                             every run that does not run

Exit codes:
  0  removed      1  failed      4  no such run      8  it is running; stop it first";

const RUN_SCRIPT_HELP: &str = "\
Examples:
  braid-supervisor run-script scenarios/chain100.scenario
  braid-supervisor run-script my.scenario --sides 16,16,16

Exit codes:
  0  done      1  failed      2  a malformed line; says which, and what was expected";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn start_alone_gives_nothing() {
        let Command::Start(args) = parse("braid start").unwrap() else {
            panic!("not start")
        };
        assert!(args.model.is_none() && args.target.name.is_none() && args.parameters.is_empty());
        assert!(!args.detach && !args.resume && !args.replace);
    }

    #[test]
    fn start_takes_every_option() {
        let line = "braid start --name r --model heat -p a=1 -p b=2 --script f --tori 1 --sides 8,8,8 --interval 100 \
                    --lag 1 --until 99 --seed 7 --gain 1/4 --tolerance 3 --pending 1000 --edges 2000 \
                    --remote-per-interval 30 --lanes 4 --detach --worker /w --segment /s --hang-timeout 500ms --json";
        let Command::Start(args) = parse(line).unwrap() else {
            panic!("not start")
        };
        assert_eq!(
            args.parameters,
            [("a".into(), "1".into()), ("b".into(), "2".into())]
        );
        assert_eq!(
            (args.tori, args.sides, args.lag),
            (Some(1), Some([8, 8, 8]), Some(1))
        );
        assert_eq!(
            (args.gain, args.until, args.lanes),
            (Some((1, 4)), Some(99), Some(4))
        );
        assert_eq!(args.hang_timeout, Some(Duration::from_millis(500)));
    }

    #[test]
    fn ends_exclude_each_other() {
        assert_eq!(
            parse("braid start --until 5 --for 2s").unwrap_err().kind(),
            ErrorKind::ArgumentConflict
        );
        let Command::Start(args) = parse("braid start --for 2s").unwrap() else {
            panic!("not start")
        };
        assert_eq!(args.limit, Some(Duration::from_secs(2)));
    }

    #[test]
    fn inject_takes_negative_coordinates_and_payloads() {
        let Command::Inject(args) =
            parse("braid inject a -1,2,-33 --payload -5 --from -1,-1,-1 --at 9").unwrap()
        else {
            panic!("not inject")
        };
        assert_eq!(
            (args.torus, args.cell, args.payload),
            (Torus::A, Some([-1, 2, -33]), Some(-5))
        );
        assert_eq!((args.from, args.at), (Some([-1, -1, -1]), Some(9)));
        let Command::Inject(args) = parse("braid inject B --payload=-5 --client x 1,2,3").unwrap() else {
            panic!("not inject")
        };
        assert_eq!((args.payload, args.client), (Some(-5), Some("x".into())));
    }

    #[test]
    fn inject_needs_an_event_unless_it_only_counts() {
        assert!(parse("braid inject A").is_err());
        assert!(parse("braid inject A 1,2,3").is_err());
        assert!(
            parse("braid inject A --count-only").is_err(),
            "a count needs a client"
        );
        let Command::Inject(args) = parse("braid inject A --client x --count-only").unwrap() else {
            panic!("not inject")
        };
        assert!(args.count_only && args.cell.is_none());
    }

    #[test]
    fn bad_values_say_what_is_expected() {
        for (line, expected) in [
            ("braid inject D 1,2,3 --payload 1", "A, B and C"),
            ("braid inject A 1,2 --payload 1", "three integers"),
            ("braid start --sides 32", "three whole numbers"),
            ("braid start --tori 2", "1 torus or 3"),
            ("braid start --for soon", "span of time"),
            ("braid start -p remote", "KEY=VALUE"),
            ("braid kill A --signal NOPE", "no signal"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.to_string().contains(expected), "{line}: {error}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn clean_takes_one_way_to_name_a_run() {
        assert!(parse("braid clean hot").is_ok());
        assert!(parse("braid clean --name hot").is_ok());
        assert!(parse("braid clean --all").is_ok());
        assert!(parse("braid clean hot --all").is_err());
        assert!(parse("braid clean hot --name cold").is_err());
    }

    #[test]
    fn every_command_shows_examples_and_exit_codes() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_help().to_string();
            assert!(help.contains("Examples:"), "{help}");
            assert!(help.contains("Exit codes:"), "{help}");
        }
    }

    #[test]
    fn every_command_that_takes_a_name_takes_a_segment() {
        for command in Cli::command().get_subcommands() {
            let has = |id: &str| command.get_arguments().any(|argument| argument.get_id() == id);
            assert_eq!(has("name"), has("segment"), "{}", command.get_name());
        }
    }
}
