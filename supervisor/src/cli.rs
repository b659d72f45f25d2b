//! The command line as typed. What the words mean together is decided by each command; nothing here does I/O.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use shm_layout::torus::Torus;
use torus_worker::node::constraints::ConstraintKind;

use crate::{exit, help, text::parse};

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
    #[command(after_help = help::START)]
    Start(Box<StartArgs>),
    /// Show what a run does: per torus its process, progress, digests and recoveries
    #[command(after_help = help::STATUS)]
    Status(StatusArgs),
    /// Put one event into a run from outside and wait until it counts
    #[command(after_help = help::INJECT)]
    Inject(InjectArgs),
    /// Set a value that all tori hold, remove one, or list them
    #[command(after_help = help::CONSTRAIN)]
    Constrain(ConstrainArgs),
    /// Move a process to another torus, with its state, its edges and its pending events
    #[command(after_help = help::MIGRATE)]
    Migrate(MigrateArgs),
    /// Kill the worker of a torus (to see it come back), or send it another signal
    #[command(after_help = help::KILL)]
    Kill(KillArgs),
    /// Let the worker of a torus that is held away be replaced again
    #[command(after_help = help::RELEASE)]
    Release(ReleaseArgs),
    /// Wait until a run is ready, has recovered, or is finished
    #[command(after_help = help::WAIT)]
    Wait(WaitArgs),
    /// Stop a run: all tori at one boundary, from which start --resume continues
    #[command(after_help = help::STOP)]
    Stop(StopArgs),
    /// Re-execute a finished or stopped run uncrashed in one process and compare every digest
    #[command(after_help = help::VERIFY)]
    Verify(VerifyArgs),
    /// List the runs on this machine
    #[command(after_help = help::LS)]
    Ls(LsArgs),
    /// Remove what runs that are over have left: segment, journals, log
    #[command(after_help = help::CLEAN)]
    Clean(CleanArgs),
    /// (for tests) Flip a bit in the memory of a worker, of a run started with --faults
    #[command(after_help = help::CORRUPT, hide = true)]
    Corrupt(CorruptArgs),
    /// Run a scenario script on one torus in this process and print its figures
    #[command(after_help = help::RUN_SCRIPT)]
    RunScript(RunScriptArgs),
    /// Measure this machine: the kernel, the exchange, the braid, recovery and memory, each against a baseline
    #[command(after_help = help::BENCH)]
    Bench(BenchArgs),
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
    #[arg(long, value_name = "K", help_heading = "Simulation", value_parser = parse::whole::<u64>)]
    pub interval: Option<u64>,
    /// Intervals after which what one torus publishes acts on the others, 1 to 8 [default: 2]
    #[arg(long, value_name = "L", help_heading = "Simulation", value_parser = parse::whole::<u32>)]
    pub lag: Option<u32>,
    /// Key of all random numbers [default: 1]
    #[arg(long, value_name = "SEED", help_heading = "Simulation", value_parser = parse::whole::<u64>)]
    pub seed: Option<u64>,
    /// Let the tori choose the length of their intervals, from 100 to 10000 ticks: shorter where constraints are violated
    /// or shared faces differ, longer where all is quiet; --interval is the first length
    #[arg(long, help_heading = "Simulation")]
    pub adaptive: bool,
    /// Gain of the coupling of the shared faces [default: the model's]
    #[arg(long, value_name = "N/D", value_parser = parse::gain, help_heading = "Simulation")]
    pub gain: Option<(u32, u32)>,
    /// Largest difference at a shared face cell that is left alone [default: 0]
    #[arg(long, value_name = "DIFFERENCE", help_heading = "Simulation", value_parser = parse::whole::<u32>)]
    pub tolerance: Option<u32>,
    /// Move processes from the busiest torus to the idlest while their pending events differ by more than PERCENT of the
    /// busiest's, 1 to 99 [default: processes move on command only]
    #[arg(long, value_name = "PERCENT", help_heading = "Simulation", value_parser = parse::whole::<u32>)]
    pub balance: Option<u32>,
    /// Execute all events with time up to and including TICK, then finish
    #[arg(long, value_name = "TICK", help_heading = "End", conflicts_with = "limit", value_parser = parse::whole::<u64>)]
    pub until: Option<u64>,
    /// Finish after this much wall-clock time, such as 30s or 1h30m, all tori at one boundary
    #[arg(long = "for", id = "limit", value_name = "DURATION", value_parser = parse::duration)]
    #[arg(help_heading = "End")]
    pub limit: Option<Duration>,
    /// Pending events that each torus has room for [default: what the model asks for]
    #[arg(long, value_name = "EVENTS", help_heading = "Capacities", value_parser = parse::whole::<u32>)]
    pub pending: Option<u32>,
    /// Edges that each torus has room for [default: what the model asks for]
    #[arg(long, value_name = "EDGES", help_heading = "Capacities", value_parser = parse::whole::<u32>)]
    pub edges: Option<u32>,
    /// Events from one torus to another in one interval [default: what the model asks for]
    #[arg(long, value_name = "EVENTS", help_heading = "Capacities", value_parser = parse::whole::<u32>)]
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
    /// Percent of the run time that checkpoints and mirrors may take, 0.1 to 100 [default: 2]
    #[arg(long, value_name = "PERCENT", value_parser = parse::permille, help_heading = "Process")]
    pub checkpoint_budget: Option<u32>,
    /// What the others do while a torus is away: wait for it, or go on without it until it returns [default: wait]
    #[arg(long, value_name = "WHAT", value_enum, help_heading = "Simulation")]
    pub on_loss: Option<OnLossArg>,
    /// How long a torus is away before the others go on without it [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, help_heading = "Process")]
    pub degrade_after: Option<Duration>,
    /// Execute committed intervals again on spare processor time, and take back what a fault of memory led to
    #[arg(long, help_heading = "Process")]
    pub scrub: bool,
    /// (for tests) Allow `corrupt`: faults of memory on request
    #[arg(long, hide = true)]
    pub faults: bool,
    /// (internal) This process is the background half of --detach
    #[arg(long, hide = true)]
    pub in_background: bool,
}

/// What the others do while a torus is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OnLossArg {
    /// They wait, so that the run is exactly the one in which nothing was lost
    Wait,
    /// They go on from one agreed boundary; what they send to it comes back to the model
    Degrade,
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
        value_parser = parse::whole::<i64>,
        allow_hyphen_values = true,
        required_unless_present = "count_only"
    )]
    pub payload: Option<i64>,
    /// The cell that stands as the event's source [default: the destination]
    #[arg(long, value_name = "X,Y,Z", value_parser = parse::coordinates, allow_hyphen_values = true)]
    pub from: Option<[i64; 3]>,
    /// Execute at this tick, or at the boundary that takes the event in if that is later
    #[arg(long, value_name = "TICK", value_parser = parse::whole::<u64>)]
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

/// Options of `constrain`.
#[derive(Debug, Clone, Args)]
pub struct ConstrainArgs {
    /// The torus that sets it: A, B or C; it binds all
    #[arg(value_parser = parse::torus, required_unless_present = "list")]
    pub torus: Option<Torus>,
    /// What to hold: event-rate (per 1000 ticks), pending, active or invariant (the model's conserved total)
    #[arg(long, value_name = "KIND", value_parser = parse::constraint_kind)]
    pub kind: Option<ConstraintKind>,
    /// The value to hold, on each torus
    #[arg(long, value_name = "V", value_parser = parse::whole::<i64>, allow_hyphen_values = true, requires = "tolerance")]
    pub value: Option<i64>,
    /// The deviation allowed
    #[arg(long, value_name = "T", value_parser = parse::whole::<u64>, requires = "value")]
    pub tolerance: Option<u64>,
    /// The entry to set or remove, instead of the one that holds this kind or an empty one
    #[arg(long, value_name = "ENTRY", value_parser = clap::value_parser!(usize))]
    pub entry: Option<usize>,
    /// Remove what this torus has set: all of a --kind, or one --entry
    #[arg(long, conflicts_with_all = ["value", "tolerance"])]
    pub remove: bool,
    /// Show all constraints and how each torus stands to them
    #[arg(long, conflicts_with_all = ["torus", "kind", "value", "tolerance", "entry", "remove"])]
    pub list: bool,
    /// Give up after this long
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "30s")]
    pub timeout: Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Options of `migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// The cell of the process; any integers, they wrap
    #[arg(value_name = "X,Y,Z", value_parser = parse::coordinates, allow_hyphen_values = true)]
    pub cell: [i64; 3],
    /// The torus where it lives: A, B or C
    #[arg(long, value_name = "TORUS", value_parser = parse::torus)]
    pub from: Torus,
    /// The torus where it is to live
    #[arg(long, value_name = "TORUS", value_parser = parse::torus)]
    pub to: Torus,
    /// Give up waiting after this long; the process may still move
    #[arg(long, value_name = "DURATION", value_parser = parse::duration, default_value = "30s")]
    pub timeout: Duration,
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
    /// Keep the torus away: its worker is not replaced until `release`, or until the run is resumed
    #[arg(long)]
    pub hold: bool,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Options of `release`.
#[derive(Debug, Clone, Args)]
pub struct ReleaseArgs {
    /// The torus: A, B or C
    #[arg(value_parser = parse::torus)]
    pub torus: Torus,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// Options of `corrupt`.
#[derive(Debug, Clone, Args)]
pub struct CorruptArgs {
    /// The torus: A, B or C
    #[arg(value_parser = parse::torus)]
    pub torus: Torus,
    /// What is damaged
    #[arg(long, value_name = "WHAT", value_enum)]
    pub what: What,
    /// Chooses which one of them, and the bit [default: random, printed]
    #[arg(long, value_name = "N", value_parser = parse::whole::<u64>)]
    pub seed: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Which run
    #[command(flatten)]
    pub target: TargetArgs,
}

/// What `corrupt` damages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// The state of a process
    Cell,
    /// The delay of an edge
    Edge,
    /// The payload of a pending event
    Event,
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

/// Options of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to measure
    #[arg(value_enum, default_value = "all")]
    pub part: BenchPart,
    /// Measure little: seconds instead of minutes, and figures that scatter
    #[arg(long)]
    pub quick: bool,
    /// Write all figures to FILE as JSON; - is standard output, in the tables' place
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw the curves as SVG files in DIR
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
}

/// What `bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchPart {
    /// One torus in one thread
    Kernel,
    /// Events and frames between two processes
    Ring,
    /// Braided workers against unbraided ones
    Braid,
    /// From SIGKILL to caught up
    Recovery,
    /// Resident memory over a long run, and segments by configuration
    Memory,
    /// All of these
    All,
}

impl BenchPart {
    /// The parts that this one stands for.
    pub fn parts(self) -> Vec<BenchPart> {
        match self {
            BenchPart::All => vec![
                BenchPart::Kernel,
                BenchPart::Ring,
                BenchPart::Braid,
                BenchPart::Recovery,
                BenchPart::Memory,
            ],
            part => vec![part],
        }
    }
}

/// Sides as a named type, because clap takes an array argument for a list of values.
pub type Sides = [u32; 3];

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
