//! Double entry between real processes: what stands in a strand is not what its sender's frame says.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use nix::libc::{SIGCONT, SIGSTOP};
use shm_layout::frame::Frame;
use shm_layout::hash;
use shm_layout::record::TimedEvent;
use shm_layout::segment::SegmentFile;

use super::ENDLESS;
use crate::support::{Run, Torus, until};

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
            until("A has used up the lag", || {
                let boundary = eyes.boundary(Torus::A);
                std::thread::sleep(std::time::Duration::from_millis(20));
                (eyes.boundary(Torus::A) == boundary).then_some(())
            });
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
        .prints(&["conservation  A to B, interval"]);
    run.stop();
    run.verify();
}
