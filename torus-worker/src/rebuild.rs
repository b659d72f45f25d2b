//! A resumed run with more room: everything that a successor needs, copied from the old segment into a larger one.
//!
//! Frames, strand ranges, checkpoints, mirrors, logs and lanes keep their sequence numbers; only where they lie changes.
//! The workers of the new segment then rehydrate as after any death.

use shm_layout::checkpoint_slots::{SlotsReader, SlotsWriter};
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::frame_ring::{FrameReader, FrameWriter};
use shm_layout::lane::LaneReader;
use shm_layout::region::{
    AuditSegment, LaneSegment, ReaderSegment, RegionReader, SupervisorSegment, WorkerSegment,
};
use shm_layout::segment::{Draft, SegmentError, SegmentFile};
use shm_layout::strand::{StrandReader, StrandWriter};
use shm_layout::torus::Torus;

/// Why a run cannot be given more room.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The old segment cannot be read, or the new one cannot be made.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// The new configuration has less room than the old one.
    #[error("{what} may only grow on a resume: it was {old}, {new} is asked for")]
    Smaller {
        /// Which capacity, as its option.
        what: &'static str,
        /// The old capacity.
        old: u64,
        /// The new capacity.
        new: u64,
    },
    /// The membership log cannot be carried over.
    #[error(transparent)]
    Memberships(#[from] shm_layout::membership::LogFull),
    /// A lane holds an entry that the new lanes have no room for.
    #[error("lane {lane} of torus {torus} cannot be carried over")]
    Lane {
        /// The lane's number.
        lane: usize,
        /// The torus.
        torus: Torus,
    },
}

/// Builds the segment for `config` from `old`, and puts it in the old one's place. The caller holds the old run lock, and
/// no worker lives; the result holds the new run lock.
///
/// # Errors
/// [`RebuildError`]; the old segment is then as it was.
pub fn grow(old: &SegmentFile, config: &RunConfig) -> Result<SegmentFile, RebuildError> {
    check_grows(old.config(), config)?;
    let draft = Draft::create(old.path(), config)?;
    let map = old.map_reader()?;
    carry_over(&map.views(), &draft, config)?;
    Ok(draft.publish_over(old)?)
}

/// A segment that is being built, and that all ends of can be written.
pub trait Building {
    /// What the worker of `torus` will hold.
    fn worker(&self, torus: Torus) -> Option<WorkerSegment<'_>>;
    /// What the supervisor will hold.
    fn supervisor(&self) -> SupervisorSegment<'_>;
    /// What the scrubber will hold.
    fn scrubber(&self) -> AuditSegment<'_>;
    /// What the client of a lane will hold.
    fn lane(&self, lane: u32) -> LaneSegment<'_>;
}

impl Building for Draft {
    fn worker(&self, torus: Torus) -> Option<WorkerSegment<'_>> {
        self.worker(torus)
    }

    fn supervisor(&self) -> SupervisorSegment<'_> {
        self.supervisor()
    }

    fn scrubber(&self) -> AuditSegment<'_> {
        self.scrubber()
    }

    fn lane(&self, lane: u32) -> LaneSegment<'_> {
        self.lane(lane)
    }
}

/// Copies everything that a resumed run needs from one segment into another, empty one of `config`.
///
/// # Errors
/// [`RebuildError::Lane`] when a lane is damaged.
pub fn carry_over(
    from: &ReaderSegment<'_>,
    to: &impl Building,
    config: &RunConfig,
) -> Result<(), RebuildError> {
    for region in &from.regions {
        if let Some(to) = to.worker(region.torus) {
            copy_region(region, &to, config);
        }
    }
    copy_lanes(from, to)?;
    copy_control(from, to)?;
    to.scrubber().audit.take_over(&from.audit);
    Ok(())
}

fn check_grows(old: &RunConfig, new: &RunConfig) -> Result<(), RebuildError> {
    let (o, n) = (&old.capacity, &new.capacity);
    let pairs = [
        ("--pending", o.pending, n.pending),
        ("--edges", o.edges, n.edges),
        (
            "--remote-per-interval",
            o.remote_per_interval,
            n.remote_per_interval,
        ),
        ("--lanes", o.lanes, n.lanes),
        ("the number of entries of a lane", o.lane_entries, n.lane_entries),
        ("the number of frames of a ring", o.frames, n.frames),
    ];
    match pairs.into_iter().find(|(_, old, new)| new < old) {
        Some((what, old, new)) => Err(RebuildError::Smaller {
            what,
            old: old.into(),
            new: new.into(),
        }),
        None => Ok(()),
    }
}

fn copy_region(from: &RegionReader<'_>, to: &WorkerSegment<'_>, config: &RunConfig) {
    let torus = from.torus;
    let mut frame = Frame::new(config.face_cells());
    copy_frames(torus, from.ring, &to.own.ring, &mut frame);
    copy_slots(from.checkpoints, &to.own.checkpoints);
    for peer in torus.peers(config.tori) {
        let i = peer.index();
        if let (Some(from), Some(to)) = (from.logs[i], to.own.logs[i].as_ref()) {
            copy_frames(peer, from, to, &mut frame);
        }
        if let (Some(from), Some(to)) = (from.mirrors[i], to.own.mirrors[i].as_ref()) {
            copy_slots(from, to);
        }
        let sent = newest_valid(torus, from.ring, &mut frame).map_or(0, |()| frame.strand_end(peer));
        let sent = from
            .checkpoints
            .newest()
            .map_or(sent, |(_, header)| header.sent[i].max(sent));
        if let (Some(from), Some(to)) = (from.strands[i], to.own.strands[i].as_ref()) {
            copy_strand(from, to, sent);
        }
        if let (Some(from), Some(to)) = (from.holds[i], to.own.holds[i].as_ref()) {
            copy_frames(torus, from.frames, &to.frames, &mut frame);
            copy_strand(from.events, &to.events, sent);
        }
        to.own.status.set_hold(peer, from.status.hold(peer));
        to.own.status.set_mirrored(peer, from.status.mirrored(peer));
    }
    copy_status(from, to);
}

fn copy_status(from: &RegionReader<'_>, to: &WorkerSegment<'_>) {
    let status = &to.own.status;
    status.set_checkpoint(from.status.checkpoint());
    status.set_safe(from.status.safe());
    status.set_state_digest(from.status.state_digest());
    status.set_state_digest_boundary(from.status.state_digest_boundary());
    // A stop is proposed ahead of every boundary that was ever announced, by whichever worker.
    status.announce_boundary(from.status.boundary(), &to.control);
    status.set_rolled_back(from.status.rolled_back());
    status.set_damaged(from.status.damaged());
    status.set_damaged_at(from.status.damaged_at());
    for lane in 0..to.lanes.len() {
        status.set_lane_free(lane, from.status.lane_free(lane));
    }
}

/// Copies all whole frames of a ring, and its head.
fn copy_frames(torus: Torus, from: FrameReader<'_>, to: &FrameWriter<'_>, frame: &mut Frame) {
    for n in from.oldest()..from.head() {
        if from.read(torus, n, frame).is_ok() {
            to.write(frame);
        }
    }
    if let Some(last) = from.head().checked_sub(1) {
        to.commit(last);
    }
}

fn newest_valid(torus: Torus, ring: FrameReader<'_>, frame: &mut Frame) -> Option<()> {
    (ring.oldest()..ring.head())
        .rev()
        .find(|n| ring.read(torus, *n, frame).is_ok())
        .map(drop)
}

fn copy_slots(from: SlotsReader<'_>, to: &SlotsWriter<'_>) {
    let mut words = Vec::new();
    for (slot, header) in from.headers() {
        if from.copy(slot, &header, &mut words).is_ok() {
            to.write(slot, 0, &words);
            to.publish(slot, &header);
        }
    }
}

/// Copies what the old strand still holds of the events before position `end`.
fn copy_strand(from: StrandReader<'_>, to: &StrandWriter<'_>, end: u64) {
    let start = end.saturating_sub(from.capacity() as u64);
    let mut events = vec![bytemuck::Zeroable::zeroed(); (end - start) as usize];
    from.read(start, &mut events);
    to.write(start, &events);
}

fn copy_lanes(from: &ReaderSegment<'_>, draft: &impl Building) -> Result<(), RebuildError> {
    for (number, lanes) in from.lanes.iter().enumerate() {
        let to = draft.lane(number as u32);
        for ((region, lane), writer) in from.regions.iter().zip(lanes).zip(&to.writers) {
            let free = region.status.lane_free(number).min(lane.head());
            let refused = || RebuildError::Lane {
                lane: number,
                torus: region.torus,
            };
            if lane.head() - free > lane.entries() as u64 {
                return Err(refused());
            }
            if let Some(client) = lane.client() {
                writer.set_client(&client).map_err(|_| refused())?;
            }
            writer.begin_at(free);
            let entries: Vec<_> = (free..lane.head())
                .map(|position| LaneReader::read(lane, position))
                .collect();
            writer.push(&entries, free).map_err(|_| refused())?;
        }
    }
    Ok(())
}

/// Carries over what the watchdog knows: how often each worker was started, every recovery, who is absent or held away.
fn copy_control(from: &ReaderSegment<'_>, draft: &impl Building) -> Result<(), RebuildError> {
    let supervisor = draft.supervisor();
    let to = supervisor.control;
    to.set_created_ns(from.control.created_ns());
    to.set_started_ns(from.control.started_ns());
    for torus in Torus::ALL {
        to.set_restarts(torus, from.control.restarts(torus));
        let started = from
            .regions
            .get(torus.index())
            .map_or(0, |region| region.status.incarnation());
        to.set_expected_incarnation(torus, from.control.expected_incarnation(torus).max(started + 1));
    }
    for rollback in from.control.rollbacks() {
        to.order_rollback(&rollback);
    }
    to.set_damage_torus(from.control.damage_torus());
    to.set_damage_what(from.control.damage_what());
    to.set_damage_seed(from.control.damage_seed());
    to.set_damage_request(from.control.damage_request());
    for recovery in from.control.recoveries() {
        to.push_recovery(&recovery);
    }
    for torus in Torus::ALL {
        to.set_held(torus, from.control.held(torus));
    }
    for entry in from.memberships.entries(0) {
        supervisor.memberships.append(&entry)?;
    }
    Ok(())
}
