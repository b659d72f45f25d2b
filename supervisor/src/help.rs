//! Examples and exit codes of each command, at the end of its help.

/// What `start --help` ends with.
pub const START: &str = "\
Examples:
  braid-supervisor start                                   phold on three tori, until Ctrl-C
  braid-supervisor start --detach --until 1000000          in the background, to tick 1 000 000
  braid-supervisor start --name hot --model heat --for 1m  a named run, one minute long
  braid-supervisor start --model phold -p remote=0.1       a model parameter
  braid-supervisor start --dry-run --sides 64,64,64        what it would take
  braid-supervisor start --resume                          continue what was killed or stopped

If the name exists: a supervisor that is alive is left alone (exit 8); workers without one are
adopted, and options that differ from the stored configuration refused; a run that is over is
replaced if it is called default or with --replace; one whose processes are all dead and
unfinished is left for --resume or clean (exit 1). A worker binary that does not speak the
protocol is a failure (exit 1); a model or parameter it refuses is a usage error (exit 2).
Ctrl-C stops all tori at one boundary; a second Ctrl-C kills them, and --resume continues.

Exit codes:
  0  finished or stopped
  1  failed
  2  usage
  4  --resume: no such run
  8  already running";

/// What `status --help` ends with.
pub const STATUS: &str = "\
Examples:
  braid-supervisor status
  braid-supervisor status --name hot --json

Exit codes:
  0  running, finished or stopped
  1  failed
  4  no such run";

/// What `inject --help` ends with.
pub const INJECT: &str = "\
Examples:
  braid-supervisor inject A 0,0,0 --payload 5
  braid-supervisor inject B 3,-1,7 --payload=-2 --at 5000 --client feeder
  braid-supervisor inject B --client feeder --count-only

Returns when the frame that took the event in is committed, and prints the boundary: from then
on the event is part of the run, whoever is killed. A client with a name continues where it left
off: events that are committed count exactly once across deaths of either side.

Exit codes:
  0  committed (with --no-wait: queued)
  1  failed: no free lane, or with --no-wait a full one
  2  usage
  3  the run does not run, or ended before it took the event in
  4  no such run
  7  timed out";

/// What `constrain --help` ends with.
pub const CONSTRAIN: &str = "\
Examples:
  braid-supervisor constrain A --kind pending --value 20000 --tolerance 500
  braid-supervisor constrain B --kind invariant --value=-1000 --tolerance 10
  braid-supervisor constrain A --remove --kind pending
  braid-supervisor constrain --list

Returns when the frame that took the command in is committed, and prints the boundary. The torus
carries the entry in its projections, and it binds the others when they take the next one in.
Each torus has entries of its own among the sixteen: A 0, 3, ..., B 1, 4, ..., C 2, 5, ...

Exit codes:
  0  taken in (with --list: shown)
  1  failed: no empty entry is left
  2  usage
  3  the run does not run, or has no supervisor
  4  no such run
  7  timed out";

/// What `migrate --help` ends with.
pub const MIGRATE: &str = "\
Examples:
  braid-supervisor migrate 1,2,3 --from A --to B
  braid-supervisor migrate 1,2,3 --from A --to B --json

The process takes its state, its out-edges and its pending events with it; edges to it follow. It
asks for a place at the boundary that takes the command in, leaves 2 lags later and arrives
3 lags later, in the same cell if that is free, else in the next free one. What comes for the old
cell is forwarded. Returns when the process has arrived, and prints its new place.

Exit codes:
  0  it has arrived
  1  failed: it stays where it is; the message says why
  2  usage
  3  the run does not run, has no supervisor, or ended before
  4  no such run
  7  timed out; it may still move";

/// What `kill --help` ends with.
pub const KILL: &str = "\
Examples:
  braid-supervisor kill A && braid-supervisor wait --for recovered
  braid-supervisor kill B --signal STOP                    a hang; the supervisor replaces the worker
  braid-supervisor kill B --hold                           B stays away until `release B`

Exit codes:
  0  signalled
  1  failed
  2  usage
  3  the torus has no living worker
  4  no such run";

/// What `release --help` ends with.
pub const RELEASE: &str = "\
Examples:
  braid-supervisor kill B --hold && sleep 5 && braid-supervisor release B

Exit codes:
  0  the torus may come back (also if it was not held)
  1  failed
  2  usage
  3  the run has no supervisor that would start a worker
  4  no such run";

/// What `wait --help` ends with.
pub const WAIT: &str = "\
Examples:
  braid-supervisor wait --for ready --timeout 10s
  braid-supervisor wait --for recovered
  braid-supervisor wait                                    until it is finished or stopped

Exit codes:
  0  it is so
  1  the run failed
  3  it does not run (any more)
  4  no such run
  7  timed out";

/// What `stop --help` ends with.
pub const STOP: &str = "\
Examples:
  braid-supervisor stop
  braid-supervisor stop --name hot

Returns when the run is stopped: all tori at the same boundary, all processes gone, the state
kept for status, verify and start --resume. If the supervisor is dead and workers are alive,
this command does its work.

Exit codes:
  0  stopped (or finished before it could be)
  1  failed
  3  not running
  4  no such run
  7  timed out";

/// What `verify --help` ends with.
pub const VERIFY: &str = "\
Examples:
  braid-supervisor verify
  braid-supervisor verify --name hot --json

Runs the run's own worker binary, the very build: another one is refused with the version that
is needed.

Exit codes:
  0  identical
  1  failed
  4  no such run
  6  differs; says where
  8  the run still runs";

/// What `ls --help` ends with.
pub const LS: &str = "\
Examples:
  braid-supervisor ls
  braid-supervisor ls --json

Exit codes:
  0  done, also when there is none
  1  failed";

/// What `clean --help` ends with.
pub const CLEAN: &str = "\
Examples:
  braid-supervisor clean                                   the run named default
  braid-supervisor clean hot
  braid-supervisor clean --all                             every run that does not run

Exit codes:
  0  removed
  1  failed
  4  no such run
  8  it is running; stop it first";

/// What `corrupt --help` ends with.
pub const CORRUPT: &str = "\
Examples:
  braid-supervisor corrupt B --what cell
  braid-supervisor corrupt B --what event --seed 7

Returns when the bit has been flipped, and prints the boundary at which that was. Nothing else
learns of it; with --scrub it is found, and the run goes on as if it had never been.

Exit codes:
  0  done
  1  failed: the run was not started with --faults
  2  usage
  3  not running
  4  no such run
  7  timed out";

/// What `run-script --help` ends with.
pub const RUN_SCRIPT: &str = "\
Examples:
  braid-supervisor run-script scenarios/chain100.scenario
  braid-supervisor run-script my.scenario --sides 16,16,16

Exit codes:
  0  done
  1  failed
  2  a malformed line; says which, and what was expected";

/// What `bench --help` ends with.
pub const BENCH: &str = "\
Examples:
  braid-supervisor bench                                   everything, about eight minutes
  braid-supervisor bench ring --quick                      one part, in seconds
  braid-supervisor bench all --json all.json --plots plots

Every figure is the median of several rounds in which the contestants take turns; what counts is
its ratio to the baseline beside it, and how far its rounds are apart. Leave the machine alone
meanwhile: its load is printed. Runs that are measured have names of their own and are removed, also
after Ctrl-C and when this command is killed. Those that shared memory has no room for are put into
the temporary folder, which is said.

Exit codes:
  0  measured, whether or not the targets are met
  1  failed, or interrupted
  2  usage";
