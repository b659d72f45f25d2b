//! `corrupt`: asks a worker, through its supervisor, to flip a bit of its own memory. For tests of what finds it.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use torus_worker::kernel::Damage;

use super::kill::check_torus;
use crate::cli::{CorruptArgs, What};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::socket::client::{AskError, ask};
use crate::socket::message::{Request, Response};
use crate::target::Target;

/// How long a worker may take to come to a boundary.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at whether it has.
const PERIOD: Duration = Duration::from_millis(1);

/// What was done, as `--json` prints it.
#[derive(Serialize)]
struct Done {
    torus: char,
    what: &'static str,
    seed: u64,
    boundary: u64,
}

/// Runs the command.
pub fn run(args: &CorruptArgs) -> Result<Exit, CommandError> {
    let file = Target::of(&args.target)?.open()?;
    check_torus(&file, args.torus)?;
    let (what, name) = match args.what {
        What::Cell => (Damage::Cell, "cell"),
        What::Edge => (Damage::Edge, "edge"),
        What::Event => (Damage::Event, "event"),
    };
    let seed = args.seed.unwrap_or_else(random_seed);
    let request = Request::Damage {
        torus: args.torus.index() as u8,
        what: what.number(),
        seed,
    };
    let number = match ask(file.path(), &request) {
        Ok(Response::Damaging { number }) => number,
        Ok(Response::Refused(why)) => return Err(CommandError::Failed(why)),
        Ok(other) => {
            return Err(CommandError::Failed(format!(
                "the supervisor answered {other:?}, which is no answer to this"
            )));
        }
        Err(AskError::Nobody) => {
            return Err(CommandError::NotRunning(format!(
                "the run {} has no supervisor that could ask its worker",
                file.config().name
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let map = file.map_reader().map_err(CommandError::Segment)?;
    let status = map.views().regions[args.torus.index()].status;
    let begin = Instant::now();
    while status.damaged() < number {
        if begin.elapsed() > PATIENCE {
            return Err(CommandError::TimedOut {
                what: format!("torus {} did not come to a boundary", args.torus),
                limit: PATIENCE,
            });
        }
        std::thread::sleep(PERIOD);
    }
    let done = Done {
        torus: args.torus.letter(),
        what: name,
        seed,
        boundary: status.damaged_at(),
    };
    if args.json {
        output::json(&done);
    } else {
        output::message(&format!(
            "flipped a bit in torus {} at boundary {} ({name}, seed {seed})",
            done.torus, done.boundary
        ));
    }
    Ok(Exit::Done)
}

fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    shm_layout::hash::words(&[now.map_or(0, |now| now.as_nanos() as u64)])
}
