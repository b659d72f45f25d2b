//! Double entry between real processes: what stands in a strand is not what its sender's frame says, or the frame counts
//! wrong.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use nix::libc::{SIGCONT, SIGSTOP};
use shm_layout::frame::Frame;
use shm_layout::frame_ring::{RING_HEADER_WORDS, slot_words};
use shm_layout::hash;
use shm_layout::record::TimedEvent;
use shm_layout::segment::SegmentFile;

use super::ENDLESS;
use crate::support::{Eyes, Run, Torus, until};

/// Changes the events that A's newest frame names for B, in the segment's file, as a torus gone wild could; returns the
/// interval, the hash that the frame gives and the one of what stands there now. None if there are too few events.
fn falsify(run: &Run, change: fn(&mut Vec<TimedEvent>)) -> Option<(u64, u64, u64)> {
    let file = SegmentFile::open(run.segment()).expect("a whole segment");
    let map = file.map_reader().expect("a mapping");
    let region = map.views().regions[0];
    let mut frame = Frame::new(file.config().face_cells());
    let newest = region.ring.head() - 1;
    region.ring.read(Torus::A, newest - 1, &mut frame).ok()?;
    let from = frame.strand_end(Torus::B);
    region.ring.read(Torus::A, newest, &mut frame).ok()?;
    let (until, sent) = (frame.strand_end(Torus::B), frame.strand_hash(Torus::B));
    let mut events = vec![TimedEvent::default(); (until - from) as usize];
    region.strands[Torus::B.index()]?.read(from, &mut events);
    if events.len() < 3 {
        return None;
    }
    change(&mut events);
    let layout = file.layout();
    let strand = layout.region(Torus::A)?.strands[Torus::B.index()]?;
    let capacity = layout.geometry.strand_events as u64;
    let writable = OpenOptions::new()
        .write(true)
        .open(run.segment())
        .expect("our own run");
    for (position, event) in (from..).zip(&events) {
        let at = strand.offset + position % capacity * size_of::<TimedEvent>() as u64;
        let words: [u64; 3] = [
            event.time,
            u64::from(event.dst) | u64::from(event.src.0) << 32,
            event.payload as u64,
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        writable.write_all_at(&bytes, at).expect("it is written");
    }
    Some((newest, sent, hash::events(&events)))
}

/// Waits until A and C have used up their lag.
fn await_standstill(eyes: &Eyes) {
    until("A and C have used up the lag", || {
        let boundaries = || [Torus::A, Torus::B, Torus::C].map(|torus| eyes.boundary(torus));
        let [a, b, c] = boundaries();
        std::thread::sleep(Duration::from_millis(20));
        (a == c && a >= b + 2 && boundaries() == [a, b, c]).then_some(())
    });
}

/// Adds one to what A's newest frame counts as sent to B, and makes the frame whole again; returns the interval and the
/// true number.
fn miscount(run: &Run) -> (u64, u64) {
    let file = SegmentFile::open(run.segment()).expect("a whole segment");
    let map = file.map_reader().expect("a mapping");
    let region = map.views().regions[0];
    let mut frame = Frame::new(file.config().face_cells());
    let interval = region.ring.head() - 1;
    let read = region.ring.read(Torus::A, interval, &mut frame);
    read.expect("a whole frame");
    let sent = frame.sent(Torus::B);
    frame.set_sent(Torus::B, sent + 1);
    frame.seal();
    let layout = file.layout();
    let slot = interval as usize % layout.geometry.frames * slot_words(frame.face_cells());
    let ring = layout.region(Torus::A).expect("a region").ring;
    let at = ring.offset + 8 * (RING_HEADER_WORDS + slot) as u64;
    let words = &frame.words()[..frame.carried_words()];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let writable = OpenOptions::new().write(true).open(run.segment());
    let written = writable.expect("our own run").write_all_at(&bytes, at);
    written.expect("it is written");
    (interval, sent)
}

#[test]
fn a_torus_that_counts_wrong_what_it_sends_fails_the_run_with_the_pair_the_interval_and_both_numbers() {
    let run = Run::new("miscount");
    run.start(&[ENDLESS, &["--hang-timeout", "1h"]].concat());
    let [receiver, third] = [Torus::B, Torus::C].map(|torus| run.worker(torus));
    receiver.signal(SIGSTOP);
    await_standstill(&run.eyes());
    // It has published all that B needs, and would find itself that the frame does not continue its chain.
    third.signal(SIGSTOP);
    let (interval, sent) = miscount(&run);
    receiver.signal(SIGCONT);
    until("B has given up", || {
        (run.look().state() == "failed").then_some(())
    });
    run.braid("status", &[]).exits(1).prints(&[&format!(
        "conservation violation between torus A and torus B at interval {interval}: A sent {} events so far, B took in {sent}",
        sent + 1
    )]);
}

#[test]
fn an_event_dropped_doubled_or_altered_in_a_strand_is_found_within_a_cycle_and_repaired() {
    let changes: [fn(&mut Vec<TimedEvent>); 3] = [
        |events| {
            events.remove(0);
            events.push(TimedEvent::default());
        },
        |events| events[1] = events[0],
        |events| events[2].payload ^= 1 << 20,
    ];
    let run = Run::new("conservation");
    run.start(&[ENDLESS, &["--hang-timeout", "1h"]].concat());
    let eyes = run.eyes();
    for change in changes {
        let found = until("a frame with events to change", || {
            let receiver = run.worker(Torus::B);
            receiver.signal(SIGSTOP);
            await_standstill(&eyes);
            let found = falsify(&run, change);
            receiver.signal(SIGCONT);
            found
        });
        let (interval, sent, received) = found;
        run.note(&format!("events of interval {interval} changed"));
        let shown = until("B has found it", || {
            let altered = run.look().torus(Torus::B)["altered"].clone();
            altered
                .as_array()
                .expect("altered")
                .iter()
                .find(|found| found["interval"] == interval)
                .cloned()
        });
        assert_eq!(shown["from"], "A");
        assert_eq!(shown["sent"], format!("{sent:016x}"));
        assert_eq!(shown["received"], format!("{received:016x}"));
        // B had entered the boundary before; the frame is due L boundaries after its interval.
        until("A's successor has written them again", || {
            (eyes.slowest() > interval + 10).then_some(())
        });
        run.wait_for("recovered");
    }
    run.braid("status", &[])
        .exits(0)
        .prints(&["conservation  A to B, interval", "A  events sent: "]);
    run.stop();
    let status = run.look();
    for (from, to) in [(Torus::A, Torus::B), (Torus::B, Torus::C), (Torus::C, Torus::A)] {
        let number = |torus: Torus, peer: Torus, field: &str| {
            let exchange = &status.torus(torus)["exchange"][peer.to_string()];
            exchange[field].as_u64().expect("a number")
        };
        let (sent, received) = (number(from, to, "sent"), number(to, from, "received"));
        assert!(
            sent >= received && received > 0,
            "{from} to {to}: {sent}, {received}"
        );
    }
    run.verify();
}
