//! At which boundary an entry was taken in: from the frames that the ring still holds, else from the journal.

use shm_layout::frame::Frame;
use shm_layout::names::journal_path;
use shm_layout::region::RegionReader;
use shm_layout::torus::Torus;
use torus_worker::journal::{FileJournal, Record};

use super::{Commit, PERIOD_MIN};
use crate::error::CommandError;

/// Looks at a journal that its torus is just appending to.
const JOURNAL_LOOKS: u32 = 50;

impl Commit<'_> {
    /// The boundary that took in the entry at `position`: the interval of the first frame beyond it.
    ///
    /// # Errors
    /// When the ring no longer says it and the journal cannot be read.
    pub fn boundary_of(
        &self,
        region: &RegionReader<'_>,
        lane: u32,
        position: u64,
    ) -> Result<u64, CommandError> {
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
                "it is committed, but the journal {path} does not say at which boundary"
            ))
        })
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
}
