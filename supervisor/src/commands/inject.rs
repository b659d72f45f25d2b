//! `inject`: one event from outside, through a lane, until the frame that took it in is committed.

use std::time::{Duration, Instant};

use serde::Serialize;
use shm_layout::frame::Frame;
use shm_layout::lane::{LaneReader, LaneWriter};
use shm_layout::names::journal_path;
use shm_layout::record::{LaneEntry, Source, SourceKind};
use shm_layout::region::RegionReader;
use shm_layout::segment::{LaneMap, LockByte, SegmentFile};
use shm_layout::torus::Torus;
use torus_worker::journal::{FileJournal, Record};
use torus_worker::kernel::Lattice;

use super::kill::check_torus;
use crate::cli::InjectArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::life;
use crate::output;
use crate::report::collect::newest_frame;
use crate::start::rules::Life;
use crate::target::Target;

/// Latest tick that can be asked for.
const AT_MAX: u64 = 1 << 62;
/// The first lane of clients; lane 0 is the supervisor's.
const FIRST_LANE: u32 = 1;
/// How often the run is looked at, at first; longer waits look less often.
const PERIOD_MIN: Duration = Duration::from_micros(100);
const PERIOD_MAX: Duration = Duration::from_millis(5);
/// Looks at a journal that its torus is just appending to.
const JOURNAL_LOOKS: u32 = 50;

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
    let client = Client {
        file: &file,
        args,
        begin,
    };
    let (lane, map) = client.take_lane()?;
    let outcome = client.inject(lane, &map, entry)?;
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
    begin: Instant,
}

impl Client<'_> {
    /// The client's lane, locked and mapped. Waits while there is one that it could have.
    fn take_lane(&self) -> Result<(u32, LaneMap), CommandError> {
        let mut pause = Pause::new();
        loop {
            let candidates = self.candidates()?;
            for lane in &candidates {
                if let Some(map) = self.lock_lane(*lane)? {
                    return Ok((*lane, map));
                }
            }
            if candidates.is_empty() || self.args.no_wait {
                return Err(self.no_lane());
            }
            if self.time_is_up() {
                let what = "no lane became free".to_owned();
                return Err(CommandError::TimedOut { what, limit: self.args.timeout });
            }
            pause.sleep();
        }
    }

    /// The lanes that suit: the one that bears the client's name, else those without a name.
    fn candidates(&self) -> Result<Vec<u32>, CommandError> {
        let map = self.file.map_reader().map_err(CommandError::Segment)?;
        let views = map.views();
        let lanes = (0..).zip(&views.lanes).skip(FIRST_LANE as usize);
        let owned: Vec<u32> = lanes.clone().filter(|(_, lane)| self.owns(lane)).map(|(number, _)| number).collect();
        if !owned.is_empty() {
            return Ok(owned);
        }
        Ok(lanes.filter(|(_, lane)| self.suits(lane)).map(|(number, _)| number).collect())
    }

    fn owns(&self, lane: &[LaneReader<'_>]) -> bool {
        self.args.client.is_some() && lane.iter().any(|lane| lane.client() == self.args.client)
    }

    /// A lane that gets a name must be unused, so that its positions count this client's events alone.
    fn suits(&self, lane: &[LaneReader<'_>]) -> bool {
        let unused = || lane.iter().all(|lane| lane.head() == 0);
        lane.iter().all(|lane| lane.client().is_none()) && (self.args.client.is_none() || unused())
    }

    /// Locks and maps a lane, if it is free and still suits, and gives it the client's name.
    fn lock_lane(&self, lane: u32) -> Result<Option<LaneMap>, CommandError> {
        if !self.file.try_lock(LockByte::Lane(lane)).map_err(CommandError::Segment)? {
            return Ok(None);
        }
        let map = self.file.map_lane(lane).map_err(CommandError::Segment)?;
        let readers: Vec<LaneReader<'_>> = map.views().writers.iter().map(LaneWriter::reader).collect();
        if !self.owns(&readers) && !self.suits(&readers) {
            self.file.unlock(LockByte::Lane(lane)).map_err(CommandError::Segment)?;
            return Ok(None);
        }
        if let Some(name) = &self.args.client {
            for writer in &map.views().writers {
                writer.set_client(name).map_err(|error| CommandError::Failed(error.to_string()))?;
            }
        }
        Ok(Some(map))
    }

    fn inject(&self, entry: LaneEntry) -> Result<Outcome, CommandError> {
        let (lane, map) = self.take_lane()?;
        let views = map.views();
        let index = self.args.torus.index();
        let (Some(writer), Some(region)) = (views.writers.get(index), views.reader.regions.get(index)) else {
            return Err(CommandError::Failed(format!("lane {lane} has no part for torus {}", self.args.torus)));
        };
        let position = writer.head();
        self.push(writer, region, lane, entry)?;
        let boundary = match self.args.no_wait {
            true => None,
            false => {
                self.await_commit(region, lane, position)?;
                Some(self.boundary_of(region, lane, position)?)
            }
        };
        let committed = self.args.client.is_some().then(|| self.committed(region, lane));
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
        self.until(&what, || match writer.push(&[entry], region.status.lane_free(lane as usize)) {
            Ok(()) => Ok(Some(())),
            Err(full) if self.args.no_wait => Err(CommandError::Failed(format!("lane {lane} is full: {full}"))),
            Err(_) => Ok(None),
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
            match self.await_commit(region, number, pushed - 1) {
                // It ended meanwhile: what is committed now is all there is.
                Ok(()) | Err(CommandError::NotRunning(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.outcome(number, None, Some(self.committed(region, number)), pushed))
    }

    fn committed(&self, region: &RegionReader<'_>, lane: u32) -> u64 {
        let frame = newest_frame(region, self.file.config().face_cells());
        frame.map_or(0, |frame| frame.lane_position(lane as usize))
    }

    fn outcome(&self, lane: u32, boundary: Option<u64>, committed: Option<u64>, pushed: u64) -> Outcome {
        Outcome { schema_version: 1, torus: self.args.torus.letter(), boundary, lane, committed, pushed }
    }

    /// Waits until a committed frame has taken in the entry at `position`.
    fn await_commit(&self, region: &RegionReader<'_>, lane: u32, position: u64) -> Result<(), CommandError> {
        let what = "the event was not committed";
        self.until(what, || Ok((self.committed(region, lane) > position).then_some(())))
    }

    /// Tries until there is a value, the time is up, or the run has ended.
    fn until<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<Option<T>, CommandError>,
    ) -> Result<T, CommandError> {
        let mut pause = Pause::new();
        loop {
            // In this order: what the last living process did is seen by the attempt after it.
            let life = if pause.is_long() {
                life::of(self.file)?
            } else {
                Life::Supervised
            };
            if let Some(value) = attempt()? {
                return Ok(value);
            }
            if life == Life::Dead {
                let name = &self.file.config().name;
                return Err(CommandError::NotRunning(format!(
                    "the run {name} ended before: {what}"
                )));
            }
            if self.time_is_up() {
                return Err(CommandError::TimedOut {
                    what: what.to_owned(),
                    limit: self.args.timeout,
                });
            }
            pause.sleep();
        }
    }

    fn time_is_up(&self) -> bool {
        self.begin.elapsed() >= self.args.timeout
    }

    /// The boundary that took in the entry at `position`: the interval of the first frame beyond it.
    fn boundary_of(&self, region: &RegionReader<'_>, lane: u32, position: u64) -> Result<u64, CommandError> {
        let mut frame = Frame::new(self.file.config().face_cells());
        let mut beyond = |interval| {
            let read = region.ring.read(region.torus, interval, &mut frame);
            read.ok().map(|()| frame.lane_position(lane as usize) > position)
        };
        let (oldest, head) = (region.ring.oldest(), region.ring.head());
        let first = (oldest..head)
            .rev()
            .take_while(|interval| beyond(*interval) == Some(true))
            .last();
        match first {
            Some(first) if first == 0 || beyond(first - 1) == Some(false) => Ok(first),
            // The ring has gone round since, or a frame is damaged: the journal keeps it.
            _ => self.boundary_in_journal(region.torus, lane, position),
        }
    }

    fn boundary_in_journal(&self, torus: Torus, lane: u32, position: u64) -> Result<u64, CommandError> {
        let config = self.file.config();
        let path = journal_path(config, torus);
        let mut looks = 0;
        let records = loop {
            match FileJournal::read(&path, config, torus) {
                Ok(records) => break records,
                // The last record may be half written at this moment.
                Err(error) if looks >= JOURNAL_LOOKS => return Err(CommandError::Failed(error.to_string())),
                Err(_) => looks += 1,
            }
            std::thread::sleep(PERIOD_MIN);
        };
        first_beyond(&records, lane, position).ok_or_else(|| {
            let path = path.display();
            CommandError::Failed(format!(
                "the event is committed, but the journal {path} does not say at which boundary"
            ))
        })
    }

    fn no_lane(&self) -> CommandError {
        let lanes = self.file.config().capacity.lanes.saturating_sub(1);
        match &self.args.client {
            Some(name) => CommandError::Failed(format!(
                "there is no lane for client {name}: its own is in use, or all {lanes} are; try again, or start the run \
                 with more --lanes"
            )),
            None => CommandError::Failed(format!(
                "all {lanes} lanes are in use or belong to clients with a name; try again, or start the run with more \
                 --lanes"
            )),
        }
    }
}

fn first_beyond(records: &[Record], lane: u32, position: u64) -> Option<u64> {
    records.iter().find_map(|record| match record {
        Record::Intake { boundary, lanes, .. }
            if lanes.get(lane as usize).is_some_and(|end| *end > position) =>
        {
            Some(*boundary)
        }
        _ => None,
    })
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

/// A pause that grows.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Pause(PERIOD_MIN)
    }

    fn is_long(&self) -> bool {
        self.0 >= PERIOD_MAX
    }

    fn sleep(&mut self) {
        std::thread::sleep(self.0);
        self.0 = (self.0 * 2).min(PERIOD_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gives_the_first_boundary_beyond_the_position() {
        let intake = |boundary, lane_one| Record::Intake {
            boundary,
            lanes: vec![0, lane_one],
            injected: Vec::new(),
        };
        let records = [
            intake(3, 1),
            Record::Mark {
                interval: 3,
                chain: 9,
            },
            intake(7, 4),
            intake(9, 5),
        ];
        assert_eq!(first_beyond(&records, 1, 0), Some(3));
        assert_eq!(first_beyond(&records, 1, 1), Some(7));
        assert_eq!(first_beyond(&records, 1, 4), Some(9));
        assert_eq!(first_beyond(&records, 1, 5), None);
        assert_eq!(first_beyond(&records, 2, 0), None);
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pause = Pause::new();
        for _ in 0..10 {
            pause.sleep();
        }
        assert!(pause.is_long());
        assert_eq!(pause.0, PERIOD_MAX);
    }
}
