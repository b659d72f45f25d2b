//! `inject`: one event from outside, through a lane, until the frame that took it in is committed.

use std::time::{Duration, Instant};

use serde::Serialize;
use shm_layout::frame::Frame;
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
    let entry = if args.count_only { None } else { Some(entry(args, &file)?) };
    check_running(&file, args)?;
    let client = Client { file: &file, args, begin };
    let (lane, map) = client.take_lane()?;
    let outcome = client.inject(lane, &map, entry)?;
    tell(args, &outcome);
    Ok(Exit::Done)
}

/// The event that the options describe.
fn entry(args: &InjectArgs, file: &SegmentFile) -> Result<LaneEntry, CommandError> {
    let missing = || CommandError::Usage("inject needs a cell X,Y,Z and a --payload".to_owned());
    let lattice = Lattice::new(file.config().sides).map_err(|error| CommandError::Failed(error.to_string()))?;
    let cell = |[x, y, z]: [i64; 3]| lattice.cell(x, y, z);
    let dst = cell(args.cell.ok_or_else(missing)?);
    let at = args.at.unwrap_or(0);
    if at > AT_MAX {
        return Err(CommandError::Usage(format!("--at {at} is beyond the latest tick, {AT_MAX}")));
    }
    let src = Source::new(SourceKind::Injected, args.torus, args.from.map_or(dst, cell));
    Ok(LaneEntry { at, dst, src, payload: args.payload.ok_or_else(missing)?, kind: LaneEntry::EVENT })
}

/// A count can be asked for at any time; an event needs a run that will take it in.
fn check_running(file: &SegmentFile, args: &InjectArgs) -> Result<(), CommandError> {
    if args.count_only || life::of(file)? != Life::Dead {
        return Ok(());
    }
    let name = &file.config().name;
    Err(CommandError::NotRunning(format!("the run {name} is not running, so nothing was injected")))
}

struct Client<'a> {
    file: &'a SegmentFile,
    args: &'a InjectArgs,
    begin: Instant,
}

impl Client<'_> {
    /// The client's lane, locked and mapped: the one that bears its name, else one that nobody has used under a name.
    fn take_lane(&self) -> Result<(u32, LaneMap), CommandError> {
        let mut pause = Pause::new();
        loop {
            if let Some(taken) = self.try_take_lane()? {
                return Ok(taken);
            }
            if self.args.no_wait || self.time_is_up() {
                return Err(self.no_lane());
            }
            pause.sleep();
        }
    }

    fn try_take_lane(&self) -> Result<Option<(u32, LaneMap)>, CommandError> {
        let lanes = FIRST_LANE..self.file.config().capacity.lanes;
        if let Some(name) = &self.args.client {
            let owned = self.owners()?.iter().position(|owner| owner.as_deref() == Some(name));
            if let Some(lane) = owned {
                return self.lock_lane(lane as u32, |_| true);
            }
        }
        for lane in lanes {
            // A lane that gets a name must be unused, so that its positions count this client's events alone.
            let suits = |map: &LaneMap| {
                let views = map.views();
                let unnamed = views.writers.iter().all(|writer| writer.reader().client().is_none());
                unnamed && (self.args.client.is_none() || views.writers.iter().all(|writer| writer.head() == 0))
            };
            if let Some(taken) = self.lock_lane(lane, suits)? {
                return self.name_lane(taken).map(Some);
            }
        }
        Ok(None)
    }

    /// Whose each lane is, by lane number.
    fn owners(&self) -> Result<Vec<Option<String>>, CommandError> {
        let map = self.file.map_reader().map_err(CommandError::Segment)?;
        let views = map.views();
        Ok(views.lanes.iter().map(|lane| lane.iter().find_map(|lane| lane.client())).collect())
    }

    fn lock_lane(&self, lane: u32, suits: impl Fn(&LaneMap) -> bool) -> Result<Option<(u32, LaneMap)>, CommandError> {
        if !self.file.try_lock(LockByte::Lane(lane)).map_err(CommandError::Segment)? {
            return Ok(None);
        }
        let map = self.file.map_lane(lane).map_err(CommandError::Segment)?;
        if suits(&map) {
            return Ok(Some((lane, map)));
        }
        self.file.unlock(LockByte::Lane(lane)).map_err(CommandError::Segment)?;
        Ok(None)
    }

    fn name_lane(&self, taken: (u32, LaneMap)) -> Result<(u32, LaneMap), CommandError> {
        if let Some(name) = self.args.client.as_deref().filter(|_| !self.args.count_only) {
            for writer in &taken.1.views().writers {
                writer.set_client(name).map_err(|error| CommandError::Failed(error.to_string()))?;
            }
        }
        Ok(taken)
    }

    fn inject(&self, lane: u32, map: &LaneMap, entry: Option<LaneEntry>) -> Result<Outcome, CommandError> {
        let views = map.views();
        let index = self.args.torus.index();
        let (Some(writer), Some(region)) = (views.writers.get(index), views.reader.regions.get(index)) else {
            return Err(CommandError::Failed(format!("lane {lane} has no part for torus {}", self.args.torus)));
        };
        let position = writer.head();
        if let Some(entry) = entry {
            let free = || region.status.lane_free(lane as usize);
            self.until("the lane did not get room", || match writer.push(&[entry], free()) {
                Ok(()) => Ok(Some(())),
                Err(full) if self.args.no_wait => Err(CommandError::Failed(format!("lane {lane} is full: {full}"))),
                Err(_) => Ok(None),
            })?;
        }
        let pushed = writer.head();
        let mut boundary = None;
        if !self.args.no_wait && pushed > 0 {
            self.await_commit(region, lane, pushed - 1)?;
            boundary = entry.map(|_| self.boundary_of(region, lane, position)).transpose()?;
        }
        let face_cells = self.file.config().face_cells();
        let committed = newest_frame(region, face_cells).map_or(0, |frame| frame.lane_position(lane as usize));
        let committed = self.args.client.is_some().then_some(committed);
        let torus = self.args.torus.letter();
        Ok(Outcome { schema_version: 1, torus, boundary, lane, committed, pushed })
    }

    /// Waits until a committed frame has taken in the entry at `position`.
    fn await_commit(&self, region: &RegionReader<'_>, lane: u32, position: u64) -> Result<(), CommandError> {
        let face_cells = self.file.config().face_cells();
        let committed =
            || newest_frame(region, face_cells).is_some_and(|frame| frame.lane_position(lane as usize) > position);
        self.until("the event was not committed", || Ok(committed().then_some(())))
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
            let life = if pause.is_long() { life::of(self.file)? } else { Life::Supervised };
            if let Some(value) = attempt()? {
                return Ok(value);
            }
            if life == Life::Dead {
                let name = &self.file.config().name;
                return Err(CommandError::NotRunning(format!("the run {name} ended before: {what}")));
            }
            if self.time_is_up() {
                return Err(CommandError::TimedOut { what: what.to_owned(), limit: self.args.timeout });
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
        let first = (oldest..head).rev().take_while(|interval| beyond(*interval) == Some(true)).last();
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
            CommandError::Failed(format!("the event is committed, but the journal {path} does not say at which boundary"))
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
        Record::Intake { boundary, lanes, .. } if lanes.get(lane as usize).is_some_and(|end| *end > position) => {
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
        output::data_line(&format!("{torus} client {client} committed {committed} pushed {}", outcome.pushed));
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
        let intake = |boundary, lane_one| Record::Intake { boundary, lanes: vec![0, lane_one], injected: Vec::new() };
        let records = [intake(3, 1), Record::Mark { interval: 3, chain: 9 }, intake(7, 4), intake(9, 5)];
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
