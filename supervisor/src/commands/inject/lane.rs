//! Which lane a client gets: one that bears its name, else one that nobody uses.

use shm_layout::lane::{LaneReader, LaneWriter};
use shm_layout::segment::{LaneMap, LockByte};

use super::{Client, Pause};
use crate::error::CommandError;

/// The first lane of clients; lane 0 is the supervisor's.
const FIRST_LANE: u32 = 1;

impl Client<'_> {
    /// The client's lane, locked and mapped. Waits while there is one that it could have.
    pub(super) fn take_lane(&self) -> Result<(u32, LaneMap), CommandError> {
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
            if self.commit.time_is_up() {
                return Err(self.commit.timed_out("no lane became free"));
            }
            pause.sleep();
        }
    }

    /// The lanes that suit: the one that bears the client's name, else those without a name.
    fn candidates(&self) -> Result<Vec<u32>, CommandError> {
        let map = self.file.map_reader().map_err(CommandError::Segment)?;
        let views = map.views();
        let lanes = (0..).zip(&views.lanes).skip(FIRST_LANE as usize);
        let owned: Vec<u32> = lanes
            .clone()
            .filter(|(_, lane)| self.owns(lane))
            .map(|(number, _)| number)
            .collect();
        if !owned.is_empty() {
            return Ok(owned);
        }
        Ok(lanes
            .filter(|(_, lane)| self.suits(lane))
            .map(|(number, _)| number)
            .collect())
    }

    pub(super) fn owns(&self, lane: &[LaneReader<'_>]) -> bool {
        self.args.client.is_some() && lane.iter().any(|lane| lane.client() == self.args.client)
    }

    /// A lane that gets a name must be unused, so that its positions count this client's events alone.
    fn suits(&self, lane: &[LaneReader<'_>]) -> bool {
        let unused = || lane.iter().all(|lane| lane.head() == 0);
        lane.iter().all(|lane| lane.client().is_none()) && (self.args.client.is_none() || unused())
    }

    /// Locks and maps a lane, if it is free and still suits, and gives it the client's name.
    fn lock_lane(&self, lane: u32) -> Result<Option<LaneMap>, CommandError> {
        if !self
            .file
            .try_lock(LockByte::Lane(lane))
            .map_err(CommandError::Segment)?
        {
            return Ok(None);
        }
        let map = self.file.map_lane(lane).map_err(CommandError::Segment)?;
        let readers: Vec<LaneReader<'_>> = map.views().writers.iter().map(LaneWriter::reader).collect();
        if !self.owns(&readers) && !self.suits(&readers) {
            self.file
                .unlock(LockByte::Lane(lane))
                .map_err(CommandError::Segment)?;
            return Ok(None);
        }
        if let Some(name) = &self.args.client {
            for writer in &map.views().writers {
                writer
                    .set_client(name)
                    .map_err(|error| CommandError::Failed(error.to_string()))?;
            }
        }
        Ok(Some(map))
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
