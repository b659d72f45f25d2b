//! `inject`: one event from outside, through a lane, until the frame that took it in is committed.

mod lane;

use std::time::Instant;

use serde::Serialize;
use shm_layout::control::RunState;
use shm_layout::lane::{LaneReader, LaneWriter};
use shm_layout::record::{LaneEntry, Source, SourceKind};
use shm_layout::region::RegionReader;
use shm_layout::segment::SegmentFile;
use torus_worker::kernel::Lattice;

use super::commit::{Commit, Pause};
use super::kill::check_torus;
use crate::cli::InjectArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::life;
use crate::output;
use crate::start::rules::Life;
use crate::target::Target;

/// Latest tick that can be asked for.
const AT_MAX: u64 = 1 << 62;
/// What had not happened when an event is waited for in vain.
const NOT_COMMITTED: &str = "the event was not committed";

/// What came of it, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    schema_version: u32,
    torus: char,
    /// The boundary that took the event in; null for `--no-wait` and `--count-only`.
    boundary: Option<u64>,
    /// The lane.
    lane: u32,
    /// How many entries of the client are committed on this torus; null for a client without a name.
    committed: Option<u64>,
    /// How many it has pushed.
    pushed: u64,
}

/// Runs the command.
pub fn run(args: &InjectArgs) -> Result<Exit, CommandError> {
    let begin = Instant::now();
    let file = Target::of(&args.target)?.open()?;
    check_torus(&file, args.torus)?;
    let entry = if args.count_only {
        None
    } else {
        Some(entry(args, &file)?)
    };
    check_running(&file, args)?;
    let commit = Commit {
        file: &file,
        begin,
        limit: args.timeout,
    };
    let client = Client {
        file: &file,
        args,
        commit,
    };
    let outcome = match entry {
        Some(entry) => client.inject(entry)?,
        None => client.count()?,
    };
    tell(args, &outcome);
    Ok(Exit::Done)
}

/// The event that the options describe.
fn entry(args: &InjectArgs, file: &SegmentFile) -> Result<LaneEntry, CommandError> {
    let missing = || CommandError::Usage("inject needs a cell X,Y,Z and a --payload".to_owned());
    let lattice =
        Lattice::new(file.config().sides).map_err(|error| CommandError::Failed(error.to_string()))?;
    let cell = |[x, y, z]: [i64; 3]| lattice.cell(x, y, z);
    let dst = cell(args.cell.ok_or_else(missing)?);
    let at = args.at.unwrap_or(0);
    if at > AT_MAX {
        return Err(CommandError::Usage(format!(
            "--at {at} is beyond the latest tick, {AT_MAX}"
        )));
    }
    let src = Source::new(SourceKind::Injected, args.torus, args.from.map_or(dst, cell));
    Ok(LaneEntry {
        at,
        dst,
        src,
        payload: args.payload.ok_or_else(missing)?,
        kind: LaneEntry::EVENT,
    })
}

/// A count can be asked for at any time; an event needs a run that will take it in.
fn check_running(file: &SegmentFile, args: &InjectArgs) -> Result<(), CommandError> {
    if args.count_only || life::of(file)? != Life::Dead {
        return Ok(());
    }
    let name = &file.config().name;
    Err(CommandError::NotRunning(format!(
        "the run {name} is not running, so nothing was injected"
    )))
}

struct Client<'a> {
    file: &'a SegmentFile,
    args: &'a InjectArgs,
    commit: Commit<'a>,
}

impl Client<'_> {
    fn inject(&self, entry: LaneEntry) -> Result<Outcome, CommandError> {
        let (lane, map) = self.take_lane()?;
        let views = map.views();
        let index = self.args.torus.index();
        let (Some(writer), Some(region)) = (views.writers.get(index), views.reader.regions.get(index)) else {
            return Err(CommandError::Failed(format!(
                "lane {lane} has no part for torus {}",
                self.args.torus
            )));
        };
        let position = writer.head();
        self.push(writer, region, lane, entry)?;
        let boundary = match self.args.no_wait {
            true => None,
            false => {
                self.commit.await_commit(region, lane, position, NOT_COMMITTED)?;
                Some(self.commit.boundary_of(region, lane, position)?)
            }
        };
        let committed = self
            .args
            .client
            .is_some()
            .then(|| self.commit.committed(region, lane));
        Ok(self.outcome(lane, boundary, committed, position + 1))
    }

    fn push(
        &self,
        writer: &LaneWriter<'_>,
        region: &RegionReader<'_>,
        lane: u32,
        entry: LaneEntry,
    ) -> Result<(), CommandError> {
        let what = format!("lane {lane} is full and did not get room");
        self.commit.until(&what, || {
            match writer.push(&[entry], region.status.lane_free(lane as usize)) {
                Ok(()) => Ok(Some(())),
                Err(full) if self.args.no_wait => {
                    Err(CommandError::Failed(format!("lane {lane} is full: {full}")))
                }
                Err(_) => Ok(None),
            }
        })
    }

    /// How many of the client's events are committed. Those that are on their way are waited for while the run runs:
    /// they will be part of it, so a client that counts without them would send them twice.
    fn count(&self) -> Result<Outcome, CommandError> {
        let map = self.file.map_reader().map_err(CommandError::Segment)?;
        let views = map.views();
        let index = self.args.torus.index();
        let owned = (0..).zip(&views.lanes).find(|(_, lane)| self.owns(lane));
        let (Some((number, lane)), Some(region)) = (owned, views.regions.get(index)) else {
            return Ok(self.outcome(0, None, Some(0), 0));
        };
        let pushed = lane.get(index).map_or(0, LaneReader::head);
        if pushed > 0 && !self.args.no_wait && life::of(self.file)? != Life::Dead {
            match self
                .commit
                .await_commit(region, number, pushed - 1, NOT_COMMITTED)
            {
                // It ended meanwhile: what is committed now is all there is.
                Ok(()) | Err(CommandError::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let committed = self.commit.committed(region, number);
        // What reached the lane of a stopped run too late for the stop counts after a resume; a finished run has none. Who has
        // waited, and not for all, has seen the run dead, be it that somebody resumes it by now.
        let is_over = views.control.run_state() == Some(RunState::Finished);
        let has_waited = !self.args.no_wait;
        if committed < pushed && !is_over && (has_waited || life::of(self.file)? == Life::Dead) {
            return Err(CommandError::NotRunning(format!(
                "the run {} is not running; {} of this client's {pushed} events are on their way, and count when it is \
                 resumed; ask again then",
                self.file.config().name,
                pushed - committed
            )));
        }
        Ok(self.outcome(number, None, Some(committed), pushed))
    }

    fn outcome(&self, lane: u32, boundary: Option<u64>, committed: Option<u64>, pushed: u64) -> Outcome {
        Outcome {
            schema_version: 1,
            torus: self.args.torus.letter(),
            boundary,
            lane,
            committed,
            pushed,
        }
    }
}

fn tell(args: &InjectArgs, outcome: &Outcome) {
    if args.json {
        return output::json(outcome);
    }
    let torus = outcome.torus;
    match outcome.boundary {
        Some(boundary) => output::data_line(&format!("{torus} boundary {boundary}")),
        None if args.count_only => {}
        None => output::data_line(&format!("{torus} queued")),
    }
    if let (Some(client), Some(committed)) = (&args.client, outcome.committed) {
        output::data_line(&format!(
            "{torus} client {client} committed {committed} pushed {}",
            outcome.pushed
        ));
    }
}
