//! Mapped views of a segment file: writable where the holder is the writer, read-only everywhere else.

use super::{SegmentError, SegmentFile};
use crate::layout::{Layout, Part};
use crate::region::{
    AuditSegment, LaneSegment, Memory, ReaderSegment, Span, SupervisorSegment, WorkerSegment,
};
use crate::slot_header::SLOT_HEADER_WORDS;
use crate::sync::AtomicU64;
use crate::torus::Torus;
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::io;

/// One mapping of a run of bytes of the file.
#[derive(Debug)]
pub(super) struct Mapping {
    first_byte: u64,
    map: MmapRaw,
}

impl Mapping {
    fn options(part: Part) -> MmapOptions {
        let mut options = MmapOptions::new();
        // Lengths are at most SEGMENT_BYTES_MAX, and usize has 64 bits.
        options.offset(part.offset).len(part.bytes as usize);
        options
    }

    /// Maps `part` for reading and writing; `populate` also makes its pages present.
    pub(super) fn writable(file: &SegmentFile, part: Part, populate: bool) -> Result<Mapping, SegmentError> {
        let mut options = Self::options(part);
        if populate {
            options.populate();
        }
        let map = options
            .map_raw(file.file())
            .map_err(|error| SegmentError::io("map", file.path(), error))?;
        Ok(Mapping {
            first_byte: part.offset,
            map,
        })
    }

    /// Maps the whole file for reading only: a store through it is a SIGSEGV.
    fn read_only(file: &SegmentFile) -> Result<Mapping, SegmentError> {
        let whole = Part {
            offset: 0,
            bytes: file.layout().total_bytes(),
        };
        let options = Self::options(whole);
        let map = options
            .map_raw_read_only(file.file())
            .map_err(|error| SegmentError::io("map", file.path(), error))?;
        Ok(Mapping { first_byte: 0, map })
    }

    /// Makes the pages of `part`, which lies inside, present for writing. Nothing is allocated: the file has them.
    fn populate(&self, part: Part) -> io::Result<()> {
        let start = (part.offset - self.first_byte) as usize;
        self.map
            .advise_range(Advice::PopulateWrite, start, part.bytes as usize)
    }

    pub(super) fn span(&self) -> Span<'_> {
        let words = self.map.len() / 8;
        // SAFETY: the mapping is page-aligned, lives as long as this borrow, and is only accessed through atomics (by
        // loads alone where it is read-only).
        let words = unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), words) };
        Span::new(self.first_byte, words)
    }
}

fn all(parts: &[Part]) -> Part {
    let offset = parts.iter().map(|part| part.offset).min().unwrap_or(0);
    let end = parts.iter().map(Part::end).max().unwrap_or(0);
    Part {
        offset,
        bytes: end - offset,
    }
}

/// A worker's mappings: its own region for writing, everything for reading.
#[derive(Debug)]
pub struct WorkerMap {
    layout: Layout,
    torus: Torus,
    read: Mapping,
    own: Mapping,
}

impl WorkerMap {
    /// The views. There must be one writer of each part; a second call is for another part of the same worker.
    ///
    /// # Panics
    /// Never: the mapping was only made for a torus that the run has.
    pub fn views(&self) -> WorkerSegment<'_> {
        let own = self.own.span();
        let memory = Memory {
            layout: &self.layout,
            read: self.read.span(),
            write: [own, own],
        };
        memory
            .worker(self.torus)
            .unwrap_or_else(|| unreachable!("map_worker has looked the torus up"))
    }
}

impl WorkerMap {
    /// Makes present what checkpoints of so many bytes take of the own slots and mirrors. Otherwise each page is, by a fault
    /// of its own, when it is first written.
    ///
    /// # Errors
    /// What madvise(2) reports: `EINVAL` before Linux 5.14. The pages then come one by one.
    pub fn populate_checkpoints(&self, bytes: u64) -> io::Result<()> {
        let Some(region) = self.layout.region(self.torus) else {
            return Ok(());
        };
        let slot_bytes = 8 * self.layout.geometry.slot_words as u64;
        let used_bytes = slot_bytes.min(bytes + 8 * SLOT_HEADER_WORDS as u64);
        let parts = std::iter::once(&region.checkpoints).chain(region.mirrors.iter().flatten());
        for part in parts {
            for offset in (part.offset..part.end()).step_by(slot_bytes as usize) {
                self.own.populate(Part {
                    offset,
                    bytes: used_bytes,
                })?;
            }
        }
        Ok(())
    }
}

/// The supervisor's mappings: control words, logs and lane 0 for writing, everything for reading.
#[derive(Debug)]
pub struct SupervisorMap {
    layout: Layout,
    read: Mapping,
    control: Mapping,
    lane: Mapping,
}

impl SupervisorMap {
    /// The views. There must be one writer; a second call is for another part of the same supervisor.
    pub fn views(&self) -> SupervisorSegment<'_> {
        let write = [self.control.span(), self.lane.span()];
        Memory {
            layout: &self.layout,
            read: self.read.span(),
            write,
        }
        .supervisor()
    }
}

/// An inspector's mapping: everything for reading.
#[derive(Debug)]
pub struct ReaderMap {
    layout: Layout,
    read: Mapping,
}

impl ReaderMap {
    /// The views.
    pub fn views(&self) -> ReaderSegment<'_> {
        let read = self.read.span();
        Memory {
            layout: &self.layout,
            read,
            write: [Span::new(0, &[]); 2],
        }
        .reader()
    }
}

/// The scrubber's mappings: the audit page for writing, everything for reading.
#[derive(Debug)]
pub struct ScrubberMap {
    layout: Layout,
    read: Mapping,
    audit: Mapping,
}

impl ScrubberMap {
    /// The views. There must be one writer.
    pub fn views(&self) -> AuditSegment<'_> {
        let audit = self.audit.span();
        Memory {
            layout: &self.layout,
            read: self.read.span(),
            write: [audit, audit],
        }
        .scrubber()
    }
}

/// A client's mappings: its lane for writing, everything for reading.
#[derive(Debug)]
pub struct LaneMap {
    layout: Layout,
    number: u32,
    read: Mapping,
    lane: Mapping,
}

impl LaneMap {
    /// The views. There must be one writer; a second call is for another part of the same client.
    pub fn views(&self) -> LaneSegment<'_> {
        let lane = self.lane.span();
        Memory {
            layout: &self.layout,
            read: self.read.span(),
            write: [lane, lane],
        }
        .lane(self.number)
    }
}

impl SegmentFile {
    /// Maps the segment as the worker of `torus`, which holds (or is about to take) the region's lock.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchPart`] if the run has no such torus; what mmap(2) reports.
    pub fn map_worker(&self, torus: Torus) -> Result<WorkerMap, SegmentError> {
        self.map_worker_with(torus, false)
    }

    /// [`SegmentFile::map_worker`], and makes the own region's pages present at once if `populate`.
    ///
    /// # Errors
    /// As [`SegmentFile::map_worker`].
    pub fn map_worker_with(&self, torus: Torus, populate: bool) -> Result<WorkerMap, SegmentError> {
        let region = self
            .layout()
            .region(torus)
            .ok_or_else(|| self.no_such(format!("torus {torus}")))?;
        let own = Mapping::writable(self, region.whole, populate)?;
        Ok(WorkerMap {
            layout: self.layout().clone(),
            torus,
            read: Mapping::read_only(self)?,
            own,
        })
    }

    /// Maps the segment as the supervisor, which holds (or is about to take) the run lock.
    ///
    /// # Errors
    /// What mmap(2) reports.
    pub fn map_supervisor(&self) -> Result<SupervisorMap, SegmentError> {
        let layout = self.layout();
        let control = all(&[layout.control, layout.recoveries, layout.memberships]);
        Ok(SupervisorMap {
            read: Mapping::read_only(self)?,
            control: Mapping::writable(self, control, false)?,
            lane: self.map_lane_pages(0)?,
            layout: layout.clone(),
        })
    }

    /// Maps the segment for reading.
    ///
    /// # Errors
    /// What mmap(2) reports.
    pub fn map_reader(&self) -> Result<ReaderMap, SegmentError> {
        Ok(ReaderMap {
            layout: self.layout().clone(),
            read: Mapping::read_only(self)?,
        })
    }

    /// Maps the segment as the scrubber, which holds the audit page's lock.
    ///
    /// # Errors
    /// What mmap(2) reports.
    pub fn map_scrubber(&self) -> Result<ScrubberMap, SegmentError> {
        Ok(ScrubberMap {
            layout: self.layout().clone(),
            read: Mapping::read_only(self)?,
            audit: Mapping::writable(self, self.layout().audit, false)?,
        })
    }

    /// Maps the segment as the client of `lane`, which holds (or is about to take) the lane's lock.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchPart`] if the run has no such lane; what mmap(2) reports.
    pub fn map_lane(&self, lane: u32) -> Result<LaneMap, SegmentError> {
        let (read, pages) = (Mapping::read_only(self)?, self.map_lane_pages(lane)?);
        Ok(LaneMap {
            layout: self.layout().clone(),
            number: lane,
            read,
            lane: pages,
        })
    }

    fn map_lane_pages(&self, lane: u32) -> Result<Mapping, SegmentError> {
        let parts = self
            .layout()
            .lanes
            .get(lane as usize)
            .ok_or_else(|| self.no_such(format!("lane {lane}")))?;
        Mapping::writable(self, all(parts), false)
    }

    fn no_such(&self, what: String) -> SegmentError {
        SegmentError::NoSuchPart {
            path: self.path().to_owned(),
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::segment::LockByte;
    use crate::sync::Ordering;
    use std::os::unix::process::ExitStatusExt;
    use std::path::Path;
    use std::process::Command;

    #[test]
    fn slots_are_made_present_up_to_any_size_and_keep_what_they_hold() {
        let path = std::env::temp_dir().join(format!("braid-populate-{}", std::process::id()));
        let file = SegmentFile::create(&path, &RunConfig::new("populate", "phold")).expect("created");
        crate::segment::remove(&path).expect("just created");
        let map = file.map_worker(Torus::B).expect("mapped");
        let region = map.layout.region(Torus::B).expect("of the run");
        let last = map.own.span().part(region.checkpoints).last().expect("not empty");
        last.store(7, Ordering::Relaxed);
        for bytes in [0, 1, 5000, 1 << 50] {
            map.populate_checkpoints(bytes).expect("Linux 5.14");
        }
        assert_eq!(last.load(Ordering::Relaxed), 7);
    }

    const CHILD: &str = "BRAID_TEST_CHILD";
    const TEST: &str = "segment::map::tests::a_write_into_anything_but_the_own_region_dies_with_sigsegv";

    fn parts(file: &SegmentFile) -> [Part; 6] {
        let layout = file.layout();
        let peer = layout.regions[1];
        [
            layout.header,
            layout.control,
            layout.config,
            peer.status,
            peer.checkpoints,
            layout.lanes[1][0],
        ]
    }

    /// A worker A gone wild: stores into the part with the number in the argument, through its only mapping of it.
    fn go_wild(argument: &str) {
        let (number, path) = argument.split_once(':').expect("number and path");
        let file = SegmentFile::open(Path::new(path)).expect("whole");
        assert!(file.try_lock(LockByte::Region(Torus::A)).expect("lockable"));
        let map = file.map_worker(Torus::A).expect("mapped");
        map.views().own.status.set_events(1);
        let part = parts(&file)[number.parse::<usize>().expect("a number")];
        map.read.span().part(part)[5].store(0xdead, Ordering::Relaxed);
        println!("survived");
    }

    #[test]
    fn a_write_into_anything_but_the_own_region_dies_with_sigsegv() {
        if let Ok(argument) = std::env::var(CHILD) {
            return go_wild(&argument);
        }
        let path = std::env::temp_dir().join(format!("braid-wild-{}", std::process::id()));
        let mut config = RunConfig::new("wild", "phold");
        config.sides = [4, 4, 4];
        config.checkpoint_bytes = 4096;
        let _ = std::fs::remove_file(&path);
        let file = SegmentFile::create(&path, &config).expect("created");
        let map = file.map_worker(Torus::B).expect("mapped");
        let peer = map.views();
        let before = peer.own.status.reader().phase();
        for number in 0..parts(&file).len() {
            let wild = Command::new(std::env::current_exe().expect("we run"))
                .args(["--exact", TEST, "--nocapture"])
                .env(CHILD, format!("{number}:{}", path.display()))
                .output()
                .expect("spawned");
            assert_eq!(
                wild.status.signal(),
                Some(libc::SIGSEGV),
                "part {number}: {wild:?}"
            );
            // The peer goes on, its region as it was, and the dead one's lock is free.
            peer.own.status.beat(number as u64);
            assert_eq!(peer.own.status.reader().heartbeat(), number as u64 + 1);
            assert_eq!(peer.own.status.reader().phase(), before);
            assert!(!file.is_locked(LockByte::Region(Torus::A)).expect("fcntl"));
        }
        let seen = peer.peers[0].as_ref().expect("a peer").status.events();
        assert_eq!(seen, 1, "what it wrote into its own region is there");
        file.remove().expect("idle");
    }
}
