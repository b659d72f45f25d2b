//! Shrinking a segment whose run is over: the memory goes, and all that a resume needs stays.
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{Folder, config, folder};
use shm_layout::checkpoint_slots::{SlotHeader, SlotsReader, SlotsWriter};
use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::hash;
use shm_layout::record::{LaneEntry, TimedEvent};
use shm_layout::segment::{LockByte, SegmentError, SegmentFile};
use shm_layout::torus::Torus;
use std::os::unix::fs::FileExt;

/// Boundary of the newest checkpoints; the run has stopped two boundaries later.
const CHECKPOINT: u64 = 5;
const HEAD: u64 = 7;
/// Events per interval and peer.
const EVENTS: u64 = 100;

fn state(torus: Torus, boundary: u64) -> Vec<u64> {
    (0..1500)
        .map(|i| hash::words(&[torus.index() as u64, boundary, i]))
        .collect()
}

fn event(n: u64) -> TimedEvent {
    TimedEvent {
        time: n,
        payload: -(n as i64),
        ..Default::default()
    }
}

fn store(slots: &SlotsWriter<'_>, slot: usize, torus: Torus, boundary: u64) {
    let data = state(torus, boundary);
    // Frame n is taken in at boundary n+2, so at boundary b the events of intervals 0 to b-3 have been.
    let received = EVENTS * boundary.saturating_sub(2);
    let header = SlotHeader {
        boundary,
        bytes: 8 * data.len() as u64,
        hash: hash::words(&data),
        received: [received; 3],
        lane_positions: [boundary; 32],
        torus: torus.index() as u64,
        ..Default::default()
    };
    slots.invalidate(slot);
    slots.write(slot, 0, &data);
    slots.publish(slot, &header);
}

fn loads(slots: &SlotsReader<'_>, torus: Torus) -> Option<u64> {
    let (slot, header) = slots.newest()?;
    let mut data = Vec::new();
    slots.copy(slot, &header, &mut data).ok()?;
    (data == state(torus, header.boundary)).then_some(header.boundary)
}

/// A segment as a stopped run leaves it.
fn stopped_run(folder: &Folder, config: &RunConfig) -> SegmentFile {
    let file = SegmentFile::create(&folder.path("segment"), config).expect("created");
    for torus in Torus::ALL {
        let map = file.map_worker(torus).expect("mapped");
        let own = map.views().own;
        store(&own.checkpoints, 0, torus, CHECKPOINT - 2);
        store(&own.checkpoints, 1, torus, CHECKPOINT);
        for interval in 0..HEAD {
            let mut frame = Frame::new(16);
            frame.set_torus(torus);
            frame.set_interval(interval);
            for peer in torus.peers(3) {
                let strand = own.strands[peer.index()].as_ref().expect("a peer");
                let events: Vec<_> = (interval * EVENTS..(interval + 1) * EVENTS).map(event).collect();
                strand.write(interval * EVENTS, &events);
                frame.set_strand_end(peer, (interval + 1) * EVENTS);
            }
            frame.seal();
            own.ring.write(&frame);
            own.ring.commit(interval);
        }
        for peer in torus.peers(3) {
            store(
                own.mirrors[peer.index()].as_ref().expect("a peer"),
                0,
                peer,
                CHECKPOINT,
            );
            let log = own.logs[peer.index()].as_ref().expect("a peer");
            let mut frame = Frame::new(16);
            frame.set_torus(peer);
            frame.set_interval(HEAD - 1);
            frame.seal();
            log.write(&frame);
            log.commit(HEAD - 1);
        }
    }
    let client = file.map_lane(1).expect("mapped");
    let entries: Vec<_> = (0..20)
        .map(|at| LaneEntry {
            at,
            ..Default::default()
        })
        .collect();
    client.views().writers[0].push(&entries, 0).expect("room");
    file
}

fn large() -> RunConfig {
    let mut config = config();
    config.checkpoint_bytes = 128 << 10;
    config.capacity.remote_per_interval = 4096;
    config
}

#[test]
fn the_memory_goes_and_all_that_a_resume_needs_stays() {
    let folder = folder("shrink");
    let file = stopped_run(&folder, &large());
    let before = file.allocated_bytes().expect("stat");
    let after = file.shrink().expect("idle");
    assert!(after * 5 < before, "{before} bytes before, {after} after");
    assert_eq!(file.shrink().expect("again"), after);

    let file = SegmentFile::open(&folder.path("segment")).expect("still a whole segment");
    let map = file.map_reader().expect("mapped");
    let views = map.views();
    for region in &views.regions {
        assert_eq!(loads(&region.checkpoints, region.torus), Some(CHECKPOINT));
        assert_eq!(region.checkpoints.header(0), None, "the older slot is gone");
        let mut frame = Frame::new(16);
        assert!((0..HEAD).all(|n| region.ring.read(region.torus, n, &mut frame).is_ok()));
        for peer in region.torus.peers(3) {
            let strand = region.strands[peer.index()].expect("a peer");
            let (first, end) = (EVENTS * (CHECKPOINT - 2), EVENTS * HEAD);
            let mut events = vec![TimedEvent::default(); (end - first) as usize];
            strand.read(first, &mut events);
            assert!(events.iter().zip(first..).all(|(found, n)| *found == event(n)));
            assert_eq!(region.mirrors[peer.index()].expect("a peer").newest(), None);
            assert_eq!(region.logs[peer.index()].expect("a peer").head(), 0);
        }
    }
    let lane = views.lanes[1][0];
    assert_eq!(lane.head(), 20);
    assert!((CHECKPOINT..20).all(|position| lane.read(position).at == position));

    assert_eq!(
        file.try_lock(LockByte::Run).ok(),
        Some(false),
        "its creator still holds it"
    );
    file.reallocate().expect("there was room before");
    assert!(file.allocated_bytes().expect("stat") >= file.layout().total_bytes());
    assert_eq!(loads(&views.regions[0].checkpoints, Torus::A), Some(CHECKPOINT));
}

#[test]
fn a_torus_whose_own_copy_is_damaged_keeps_its_mirrors_and_one_with_a_damaged_ring_its_logs() {
    let folder = folder("shrink-damaged");
    let file = stopped_run(&folder, &large());
    let damage = |offset: u64| {
        let raw = std::fs::OpenOptions::new()
            .write(true)
            .open(file.path())
            .expect("ours");
        raw.write_all_at(&[0xee; 8], offset).expect("written");
    };
    let a = *file.layout().region(Torus::A).expect("there");
    let slot_bytes = 8 * file.layout().geometry.slot_words as u64;
    damage(a.checkpoints.offset + slot_bytes + 4096);
    let b = *file.layout().region(Torus::B).expect("there");
    damage(b.ring.offset + 128 + 5 * 8 * shm_layout::frame_ring::slot_words(16) as u64 + 40);
    file.shrink().expect("idle");
    let map = file.map_reader().expect("mapped");
    let views = map.views();
    let mirror = |holder: usize, of: Torus| views.regions[holder].mirrors[of.index()].expect("a peer");
    assert_eq!(loads(&mirror(1, Torus::A), Torus::A), Some(CHECKPOINT));
    assert_eq!(loads(&mirror(2, Torus::A), Torus::A), Some(CHECKPOINT));
    assert_eq!(mirror(0, Torus::B).newest(), None);
    let log = |holder: usize, of: Torus| views.regions[holder].logs[of.index()].expect("a peer").head();
    assert_eq!((log(0, Torus::B), log(2, Torus::B)), (HEAD, HEAD));
    assert_eq!((log(1, Torus::A), log(1, Torus::C)), (0, 0));
    // What A has taken in is not known without its own checkpoint, so the strands to it stay whole.
    let mut events = vec![TimedEvent::default(); EVENTS as usize];
    views.regions[1].strands[0].expect("a peer").read(0, &mut events);
    assert_eq!(events[99], event(99));
}

#[test]
fn only_the_holder_of_the_run_lock_shrinks() {
    let folder = folder("shrink-lock");
    let config = config();
    let file = SegmentFile::create(&folder.path("segment"), &config).expect("created");
    let other = SegmentFile::open(file.path()).expect("whole");
    assert!(matches!(other.shrink(), Err(SegmentError::InUse { .. })));
    let before = file.allocated_bytes().expect("stat");
    assert!(file.shrink().expect("nothing is in it") < before);
}
