//! What stands where in a segment: computed from the configuration, the same for everyone who has it.
//!
//! All parts are page-aligned. First what the supervisor and the scrubber write, then one region per torus, then the lanes.

use crate::audit::AUDIT_WORDS;
use crate::checkpoint_slots::{MIRROR_SLOTS, OWN_SLOTS};
use crate::config::OnLoss;
use crate::config::RunConfig;
use crate::control::{CONTROL_WORDS, RECOVERIES, RECOVERY_WORDS};
use crate::frame_ring;
use crate::hash;
use crate::lane;
use crate::membership::MEMBERSHIP_LOG_WORDS;
use crate::slot_header::SLOT_HEADER_WORDS;
use crate::status::STATUS_WORDS;
use crate::strand;
use crate::torus::{TORI, Torus};

pub use crate::byte_map::{PartRow, Writer};

/// The unit of alignment in bytes.
pub const PAGE: u64 = 4096;
/// The number of this layout; raised with every change of what stands where or what it means.
pub const LAYOUT_VERSION: u64 = 13;

/// A run of bytes in the segment; both ends on page boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Part {
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl Part {
    /// The byte after the last.
    pub const fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// The numbers that the parts' lengths follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// 1 or 3.
    pub tori: u8,
    /// Cells of the face x = 0.
    pub face_cells: usize,
    /// Slots of a frame ring or log.
    pub frames: usize,
    /// Events of a strand: (2L+1) intervals at their limit.
    pub strand_events: usize,
    /// Slots of a hold area: a ring's, and the L+1 intervals up to an absence. 0 unless a torus may be absent.
    pub hold_frames: usize,
    /// Events of a hold area: a strand's, and those of L+1 intervals.
    pub hold_events: usize,
    /// Words of a checkpoint or mirror slot, header included.
    pub slot_words: usize,
    /// Lanes.
    pub lanes: usize,
    /// Entries of a lane.
    pub lane_entries: usize,
}

/// Where the parts of one torus's region stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionLayout {
    /// Whose region it is.
    pub torus: Torus,
    /// All of it.
    pub whole: Part,
    /// The status cell.
    pub status: Part,
    /// The ring of its frames.
    pub ring: Part,
    /// The strand to each peer.
    pub strands: [Option<Part>; TORI],
    /// Its three checkpoint slots.
    pub checkpoints: Part,
    /// Its two mirror slots for each peer.
    pub mirrors: [Option<Part>; TORI],
    /// Its log of each peer's frames.
    pub logs: [Option<Part>; TORI],
    /// The hold area for each peer: the frames that its replay needs while it is absent. None unless that is allowed.
    pub hold_frames: [Option<Part>; TORI],
    /// The same of the events for it.
    pub hold_events: [Option<Part>; TORI],
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The numbers it follows from.
    pub geometry: Geometry,
    /// The header page.
    pub header: Part,
    /// The control page.
    pub control: Part,
    /// The recovery log.
    pub recoveries: Part,
    /// The membership log.
    pub memberships: Part,
    /// The audit page.
    pub audit: Part,
    /// The stored configuration.
    pub config: Part,
    /// One region per torus, in letter order.
    pub regions: Vec<RegionLayout>,
    /// Per lane, one part per torus in letter order.
    pub lanes: Vec<Vec<Part>>,
    total: u64,
}

/// Why there is no layout for a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// A limit is violated.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The segment would be larger than any machine's memory.
    #[error(
        "the segment would take {bytes} bytes; lower --pending, --edges, --remote-per-interval or --lane-entries"
    )]
    TooLarge {
        /// Its length as far as it could be counted.
        bytes: u64,
    },
}

/// The longest segment: 1 TiB.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 40;

/// Hands out parts one after the other. Lengths saturate; [`Layout::compute`] refuses what is too long at the end.
struct Cursor(u64);

impl Cursor {
    fn take(&mut self, words: u64) -> Part {
        let bytes = words.saturating_mul(8).div_ceil(PAGE).saturating_mul(PAGE);
        let part = Part {
            offset: self.0,
            bytes,
        };
        self.0 = self.0.saturating_add(bytes);
        part
    }
}

impl Geometry {
    fn of(config: &RunConfig) -> Self {
        let capacity = &config.capacity;
        // All limits have been checked, so none of these products comes near 2^63.
        let slot_bytes = (config.checkpoint_bytes + 8 * SLOT_HEADER_WORDS as u64).next_multiple_of(PAGE);
        let (lag, remote) = (config.lag as usize, capacity.remote_per_interval as usize);
        let degrades = usize::from(config.on_loss == OnLoss::Degrade && config.tori > 1);
        Self {
            tori: config.tori,
            face_cells: config.face_cells(),
            frames: capacity.frames as usize,
            strand_events: (2 * lag + 1) * remote,
            hold_frames: degrades * (capacity.frames as usize + lag + 1),
            hold_events: degrades * (3 * lag + 2) * remote,
            slot_words: (slot_bytes / 8) as usize,
            lanes: capacity.lanes as usize,
            lane_entries: capacity.lane_entries as usize,
        }
    }

    fn region(&self, torus: Torus, cursor: &mut Cursor) -> RegionLayout {
        let start = cursor.0;
        let ring_words = frame_ring::ring_words(self.frames, self.face_cells) as u64;
        let slots_words = |slots: usize| (slots * self.slot_words) as u64;
        let per_peer = |cursor: &mut Cursor, words: u64| {
            let mut parts = [None; TORI];
            for peer in Torus::of_run(self.tori).iter().filter(|peer| **peer != torus) {
                parts[peer.index()] = Some(cursor.take(words));
            }
            parts
        };
        let status = cursor.take(STATUS_WORDS as u64);
        let ring = cursor.take(ring_words);
        let strands = per_peer(cursor, strand::strand_words(self.strand_events) as u64);
        let checkpoints = cursor.take(slots_words(OWN_SLOTS));
        let mirrors = per_peer(cursor, slots_words(MIRROR_SLOTS));
        let logs = per_peer(cursor, ring_words);
        let (hold_frames, hold_events) = if self.hold_frames > 0 {
            let words = frame_ring::ring_words(self.hold_frames, self.face_cells) as u64;
            let frames = per_peer(cursor, words);
            (
                frames,
                per_peer(cursor, strand::strand_words(self.hold_events) as u64),
            )
        } else {
            ([None; TORI], [None; TORI])
        };
        let whole = Part {
            offset: start,
            bytes: cursor.0 - start,
        };
        RegionLayout {
            torus,
            whole,
            status,
            ring,
            strands,
            checkpoints,
            mirrors,
            logs,
            hold_frames,
            hold_events,
        }
    }
}

impl Layout {
    /// The layout for a configuration, which is validated first.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn compute(config: &RunConfig) -> Result<Layout, LayoutError> {
        config.validate()?;
        let config_bytes = config.to_bytes().len() as u64;
        let most = crate::config::CONFIG_BYTES_MAX;
        if config_bytes > most {
            return Err(crate::config::ConfigError::TooLong {
                bytes: config_bytes,
                most,
            }
            .into());
        }
        let geometry = Geometry::of(config);
        let mut cursor = Cursor(0);
        let header = cursor.take(PAGE / 8);
        let control = cursor.take(CONTROL_WORDS as u64);
        let recoveries = cursor.take((RECOVERIES * RECOVERY_WORDS) as u64);
        let memberships = cursor.take(MEMBERSHIP_LOG_WORDS as u64);
        let audit = cursor.take(AUDIT_WORDS as u64);
        let config_area = cursor.take(config_bytes.div_ceil(8));
        let tori = Torus::of_run(config.tori);
        let regions: Vec<_> = tori
            .iter()
            .map(|torus| geometry.region(*torus, &mut cursor))
            .collect();
        let lane_words = lane::lane_words(geometry.lane_entries) as u64;
        let mut lane = |_| tori.iter().map(|_| cursor.take(lane_words)).collect();
        let lanes = (0..geometry.lanes).map(&mut lane).collect();
        let total = cursor.0;
        if total > SEGMENT_BYTES_MAX {
            return Err(LayoutError::TooLarge { bytes: total });
        }
        Ok(Layout {
            geometry,
            header,
            control,
            recoveries,
            memberships,
            audit,
            config: config_area,
            regions,
            lanes,
            total,
        })
    }

    /// Length of the segment in bytes.
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// The region of a torus, if the run has it.
    pub fn region(&self, torus: Torus) -> Option<&RegionLayout> {
        self.regions.get(torus.index())
    }

    /// Hash over the byte map and the shapes inside the parts: two programs with the same one agree on every offset.
    pub fn hash(&self) -> u64 {
        let shape = &self.geometry;
        let mut words = vec![
            LAYOUT_VERSION,
            self.total,
            u64::from(shape.tori),
            shape.face_cells as u64,
            shape.frames as u64,
            shape.strand_events as u64,
            shape.hold_frames as u64,
            shape.hold_events as u64,
            shape.slot_words as u64,
            shape.lanes as u64,
            shape.lane_entries as u64,
        ];
        for row in self.describe() {
            words.extend([row.offset, row.bytes]);
        }
        hash::words(&words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &RunConfig) -> Layout {
        let layout = Layout::compute(config).expect("valid");
        let mut end = 0;
        for row in layout.describe() {
            assert_eq!(
                (row.offset, row.offset % PAGE, row.bytes % PAGE),
                (end, 0, 0),
                "{row}"
            );
            end += row.bytes;
        }
        assert_eq!(end, layout.total_bytes());
        layout
    }

    #[test]
    fn parts_are_page_aligned_and_leave_no_gap_and_do_not_overlap() {
        let mut config = RunConfig::new("test", "phold");
        for tori in [1, 3] {
            for sides in [[4, 4, 4], [32, 32, 32], [8, 128, 64]] {
                for lanes in [1, 32] {
                    config.tori = tori;
                    config.sides = sides;
                    config.capacity.lanes = lanes;
                    config.script = Some("x".repeat(5000));
                    check(&config);
                }
            }
        }
    }

    #[test]
    fn the_default_phold_run_takes_at_most_64_mib() {
        let mut config = RunConfig::new("default", "phold");
        config.checkpoint_bytes = 2_600_000;
        assert!(check(&config).total_bytes() <= 64 << 20);
    }

    #[test]
    fn one_torus_has_no_strands_mirrors_or_logs() {
        let mut config = RunConfig::new("test", "phold");
        config.tori = 1;
        let region = check(&config).regions[0];
        assert_eq!(
            (region.strands, region.mirrors, region.logs),
            ([None; 3], [None; 3], [None; 3])
        );
    }

    #[test]
    fn a_segment_beyond_all_memory_is_refused() {
        let mut config = RunConfig::new("test", "phold");
        config.checkpoint_bytes = (1 << 40) - 8;
        assert!(matches!(
            Layout::compute(&config),
            Err(LayoutError::TooLarge { .. })
        ));
        config.lag = 0;
        assert!(matches!(Layout::compute(&config), Err(LayoutError::Config(_))));
    }

    #[test]
    fn the_hash_follows_the_shape_only() {
        let mut config = RunConfig::new("test", "phold");
        let hash = check(&config).hash();
        config.seed = 99;
        assert_eq!(check(&config).hash(), hash);
        config.capacity.frames += 1;
        assert_ne!(check(&config).hash(), hash);
    }
}
