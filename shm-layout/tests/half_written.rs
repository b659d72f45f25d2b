//! What readers do with data whose writer died halfway: every such state is built by hand here.
#![allow(missing_docs, reason = "a test")]

use proptest::prelude::*;
use shm_layout::checkpoint_slots::{SlotHeader, SlotsReader, SlotsWriter};
use shm_layout::frame::{FRAME_FLAGS_WORD, FRAME_HEAD_WORDS, Frame, FrameDamage};
use shm_layout::frame_ring::{self, FrameReader, FrameWriter, ReadError};
use shm_layout::lane::{self, ClientNameError, LaneReader, LaneWriter, WouldBlock};
use shm_layout::record::{LaneEntry, TimedEvent};
use shm_layout::strand::{StrandReader, StrandWriter, strand_words};
use shm_layout::sync::AtomicU64;
use shm_layout::torus::Torus;
use shm_layout::words::{Own, View};
use shm_layout::{hash, slot_header::SLOT_HEADER_WORDS};

const SLOTS: usize = 5;
const FACE: usize = 16;

fn zeros(words: usize) -> Vec<AtomicU64> {
    (0..words).map(|_| AtomicU64::new(0)).collect()
}

fn frame(interval: u64) -> Frame {
    let mut frame = Frame::new(FACE);
    frame.set_torus(Torus::B);
    frame.set_interval(interval);
    frame.set_events(interval * 1000);
    if interval.is_multiple_of(3) {
        frame.set_projection(&[interval as i32; FACE]);
    }
    frame.seal();
    frame
}

struct Ring {
    words: Vec<AtomicU64>,
}

impl Ring {
    fn with_frames(count: u64) -> Ring {
        let ring = Ring {
            words: zeros(frame_ring::ring_words(SLOTS, FACE)),
        };
        for interval in 0..count {
            ring.writer().write(&frame(interval));
            ring.writer().commit(interval);
        }
        ring
    }

    fn writer(&self) -> FrameWriter<'_> {
        FrameWriter::new(Own::new(&self.words), SLOTS, FACE)
    }

    fn read(&self, interval: u64) -> Result<Frame, ReadError> {
        let mut frame = Frame::new(FACE);
        FrameReader::new(View::new(&self.words), SLOTS, FACE)
            .read(Torus::B, interval, &mut frame)
            .map(|()| frame)
    }
}

#[test]
fn a_frame_written_but_not_committed_does_not_exist() {
    let ring = Ring::with_frames(3);
    ring.writer().write(&frame(3));
    assert_eq!(ring.read(3), Err(ReadError::NotYet { interval: 3, head: 3 }));
    assert_eq!(ring.read(2).map(|frame| frame.events()), Ok(2000));
}

#[test]
fn a_frame_is_the_same_whether_it_is_hashed_before_it_is_written_or_on_the_way() {
    let ring = Ring::with_frames(3);
    for interval in 3..7 {
        let mut written = frame(interval);
        ring.writer().write_content(&mut written);
        assert_eq!(written, frame(interval));
        written.seal_hashed();
        ring.writer().write_head(&written);
        ring.writer().commit(interval);
        assert_eq!(ring.read(interval), Ok(frame(interval)));
    }
}

#[test]
fn a_successor_rewrites_a_half_written_slot_and_commits_it() {
    let ring = Ring::with_frames(3);
    ring.writer().write_range(&frame(3), 0..7);
    let successor = ring.writer();
    assert_eq!(successor.head(), 3);
    successor.write(&frame(3));
    successor.commit(3);
    assert_eq!(ring.read(3), Ok(frame(3)));
}

#[test]
fn a_slot_that_was_being_reused_is_lapped_after_any_number_of_words() {
    let all = frame(6).carried_words();
    let from_the_first = (1..=all).map(|words| 0..words);
    let content_first = (FRAME_HEAD_WORDS + 1..=all).map(|words| FRAME_HEAD_WORDS..words);
    for written in from_the_first.chain(content_first) {
        let ring = Ring::with_frames(6);
        ring.writer().write_range(&frame(6), written.clone());
        assert_eq!(
            ring.read(1),
            Err(ReadError::Lapped { interval: 1, head: 6 }),
            "words {written:?}"
        );
        assert_eq!(ring.read(5), Ok(frame(5)));
    }
}

#[test]
fn frames_of_earlier_rounds_are_lapped() {
    let ring = Ring::with_frames(12);
    assert_eq!(
        ring.read(6),
        Err(ReadError::Lapped {
            interval: 6,
            head: 12
        })
    );
    assert!((7..12).all(|interval| ring.read(interval) == Ok(frame(interval))));
    assert_eq!(FrameReader::new(View::new(&ring.words), SLOTS, FACE).oldest(), 7);
}

#[test]
fn a_committed_frame_with_any_damaged_word_is_damaged_and_not_lapped() {
    for interval in [2, 3] {
        for word in 0..frame(interval).carried_words() {
            let ring = Ring::with_frames(4);
            let slot = frame_ring::RING_HEADER_WORDS + interval as usize * frame_ring::slot_words(FACE);
            let own = Own::new(&ring.words);
            own.store(slot + word, own.load(slot + word) ^ 1 << 17);
            assert!(
                matches!(ring.read(interval), Err(ReadError::Damaged { .. })),
                "frame {interval}, word {word}"
            );
        }
    }
}

#[test]
fn a_frame_made_for_another_face_is_damage_and_reads_no_other_slot() {
    let ring = Ring::with_frames(5);
    for face in [1, 4 * FACE, 1000 * FACE] {
        let mut frame = Frame::new(face);
        let reader = FrameReader::new(View::new(&ring.words), SLOTS, FACE);
        for interval in [0, 3] {
            let read = reader.read(Torus::B, interval, &mut frame);
            let is_as_large = frame.words().len() == frame_ring::slot_words(FACE);
            assert_eq!(read.is_ok(), is_as_large, "frame {interval} for a face of {face}");
        }
    }
}

#[test]
fn a_flag_that_claims_a_face_where_none_was_written_is_damage() {
    let ring = Ring::with_frames(3);
    let slot = frame_ring::RING_HEADER_WORDS + 2 * frame_ring::slot_words(FACE);
    let own = Own::new(&ring.words);
    let flags = slot + FRAME_FLAGS_WORD;
    own.store(flags, own.load(flags) | 1 << 8);
    let damage = ring.read(2).expect_err("damaged");
    assert!(
        matches!(
            damage,
            ReadError::Damaged {
                damage: FrameDamage::Checksum { .. },
                ..
            }
        ),
        "{damage}"
    );
}

#[test]
fn an_older_whole_frame_in_the_slot_is_not_taken_for_the_one_asked_for() {
    let ring = Ring::with_frames(4);
    // The head was advanced over a slot that still holds the frame of the round before.
    ring.writer().commit(8);
    let error = ring.read(8).expect_err("frame 3 stands there");
    assert!(
        matches!(
            error,
            ReadError::Damaged {
                damage: FrameDamage::Interval { interval: 3, .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_ring_whose_head_is_nonsense_gives_errors_and_no_panic() {
    let ring = Ring::with_frames(4);
    Own::new(&ring.words).store(0, u64::MAX);
    for interval in [0, 3, u64::MAX - 1] {
        assert!(ring.read(interval).is_err());
    }
}

const SLOT_WORDS: usize = SLOT_HEADER_WORDS + 100;

fn state(boundary: u64) -> Vec<u64> {
    (0..90).map(|i| boundary << 32 | i).collect()
}

fn header(boundary: u64) -> SlotHeader {
    let data = state(boundary);
    SlotHeader {
        boundary,
        bytes: 8 * data.len() as u64,
        hash: hash::words(&data),
        torus: 1,
        ..Default::default()
    }
}

fn fill(writer: &SlotsWriter<'_>, slot: usize, boundary: u64) {
    writer.invalidate(slot);
    writer.write(slot, 0, &state(boundary));
    writer.publish(slot, &header(boundary));
}

fn newest(words: &[AtomicU64]) -> Option<u64> {
    let reader = SlotsReader::new(View::new(words), SLOT_WORDS);
    let (slot, header) = reader.newest()?;
    let mut copy = Vec::new();
    reader.copy(slot, &header, &mut copy).ok()?;
    assert_eq!(copy, state(header.boundary));
    Some(header.boundary)
}

#[test]
fn an_owner_that_dies_anywhere_while_checkpointing_leaves_the_other_slot() {
    for step in 0..4 {
        let words = zeros(2 * SLOT_WORDS);
        let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
        assert_eq!(newest(&words), None);
        fill(&writer, 0, 5);
        fill(&writer, 1, 9);
        let steps: [&dyn Fn(); 4] = [
            &|| writer.invalidate(0),
            &|| writer.write(0, 0, &state(12)[..40]),
            &|| writer.write(0, 40, &state(12)[40..]),
            &|| writer.publish(0, &header(12)),
        ];
        steps[..step].iter().for_each(|step| step());
        assert_eq!(newest(&words), Some(9));
        steps[step..].iter().for_each(|step| step());
        assert_eq!(newest(&words), Some(12));
    }
}

#[test]
fn who_dies_while_packing_into_a_slot_leaves_the_two_others() {
    let mut words = zeros(3 * SLOT_WORDS);
    for put in 0..=state(12).len() {
        words = zeros(words.len());
        let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
        fill(&writer, 2, 5);
        fill(&writer, 0, 9);
        fill(&writer, 1, 10);
        let mut stream = writer.begin(2);
        stream.put(&state(12)[..put]);
        stream.flush();
        drop(stream);
        assert_eq!(newest(&words), Some(10));
        let kept: Vec<_> = writer.reader().headers().map(|(slot, _)| slot).collect();
        assert_eq!(kept, [0, 1]);
    }
    // What was written before the end are whole lines of the data.
    let start = 2 * SLOT_WORDS + SLOT_HEADER_WORDS;
    let mut written = [0; 88];
    View::new(&words).read(start, &mut written);
    assert_eq!(written, state(12)[..88]);
}

#[test]
fn what_is_packed_in_pieces_of_any_size_is_whole_and_has_its_hash() {
    let data: Vec<u64> = (1..=2600).collect();
    for sizes in [[1, 1], [8, 3], [504, 2], [500, 200], [511, 513], [2600, 1]] {
        let words = zeros(2 * (SLOT_HEADER_WORDS + 2600));
        let writer = SlotsWriter::new(Own::new(&words), SLOT_HEADER_WORDS + 2600);
        let mut stream = writer.begin(1);
        let (mut rest, mut turn) = (&data[..], 0);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(sizes[turn % 2].min(rest.len()));
            match turn % 3 {
                0 if now.len() <= 504 => stream.room(now.len()).copy_from_slice(now),
                1 => stream.flush(),
                _ => stream.put(now),
            }
            rest = if turn % 3 == 1 { rest } else { later };
            turn += 1;
        }
        let (count, hash) = stream.finish();
        assert_eq!((count, hash), (data.len(), hash::words(&data)), "{sizes:?}");
        let mut copy = vec![0; count];
        writer.reader().read(1, 0, &mut copy);
        assert_eq!(copy, data, "{sizes:?}");
    }
}

#[test]
#[should_panic(expected = "beyond the slot")]
fn a_state_that_does_not_fit_is_not_written_into_the_next_slot() {
    let words = zeros(2 * SLOT_WORDS);
    let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
    let mut stream = writer.begin(0);
    stream.put(&vec![1; SLOT_WORDS - SLOT_HEADER_WORDS + 1]);
    stream.finish();
}

#[test]
fn a_header_half_written_over_an_old_one_is_no_checkpoint() {
    for words_written in 1..SLOT_HEADER_WORDS {
        let words = zeros(2 * SLOT_WORDS);
        let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
        fill(&writer, 0, 5);
        fill(&writer, 1, 900);
        // Slot 0 gets part of slot 1's header but keeps its own boundary.
        let mut other = vec![0; words_written];
        View::new(&words).read(SLOT_WORDS + 1, &mut other[1..]);
        Own::new(&words).write(1, &other[1..]);
        let reader = SlotsReader::new(View::new(&words), SLOT_WORDS);
        if words_written > 1 {
            assert_eq!(reader.header(0), None, "{words_written} words");
        }
    }
}

#[test]
fn damaged_data_is_torn_and_a_length_beyond_the_slot_is_no_checkpoint() {
    let words = zeros(2 * SLOT_WORDS);
    let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
    fill(&writer, 0, 5);
    let reader = writer.reader();
    Own::new(&words).store(SLOT_HEADER_WORDS + 89, 0);
    let announced = reader.header(0).expect("the header is whole");
    assert!(reader.copy(0, &announced, &mut Vec::new()).is_err());
    writer.publish(
        1,
        &SlotHeader {
            bytes: 8 * 101,
            ..header(7)
        },
    );
    assert_eq!(reader.header(1), None);
    writer.publish(
        1,
        &SlotHeader {
            bytes: 81,
            ..header(7)
        },
    );
    assert_eq!(reader.header(1), None);
    let lying = SlotHeader {
        bytes: !7,
        ..announced
    };
    assert!(reader.copy(0, &lying, &mut Vec::new()).is_err());
}

#[test]
fn a_copy_during_which_the_slot_was_emptied_is_torn_although_its_words_are_right() {
    let words = zeros(2 * SLOT_WORDS);
    let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
    fill(&writer, 0, 5);
    let announced = writer.reader().header(0).expect("whole");
    writer.invalidate(0);
    assert!(writer.reader().copy(0, &announced, &mut Vec::new()).is_err());
}

fn entry(n: u64) -> LaneEntry {
    LaneEntry {
        at: n,
        dst: 7,
        payload: n as i64,
        ..Default::default()
    }
}

#[test]
fn a_lane_entry_written_without_its_head_does_not_exist_and_is_overwritten() {
    let words = zeros(lane::lane_words(4));
    let writer = LaneWriter::new(Own::new(&words), 4);
    writer.push(&[entry(1)], 0).expect("room");
    // The client died after writing entry 1 and before advancing the head.
    Own::new(&words).write(
        lane::LANE_HEADER_WORDS + LaneEntry::WORDS,
        bytemuck::cast_slice(&[entry(66)]),
    );
    let reader = LaneReader::new(View::new(&words), 4);
    assert_eq!(reader.head(), 1);
    let next = LaneWriter::new(Own::new(&words), 4);
    assert_eq!(next.head(), 1, "the next holder continues at the head");
    next.push(&[entry(2)], 0).expect("room");
    assert_eq!(
        (reader.head(), reader.read(0), reader.read(1)),
        (2, entry(1), entry(2))
    );
}

#[test]
fn a_full_lane_takes_all_or_nothing() {
    let words = zeros(lane::lane_words(3));
    let writer = LaneWriter::new(Own::new(&words), 3);
    writer.push(&[entry(1), entry(2)], 0).expect("room");
    assert_eq!(
        writer.push(&[entry(3), entry(4)], 0),
        Err(WouldBlock { room: 1, wanted: 2 })
    );
    assert_eq!(writer.head(), 2);
    writer.push(&[entry(3), entry(4)], 1).expect("one was given free");
    assert_eq!(
        (0..4).map(|n| writer.reader().read(n).at).collect::<Vec<_>>(),
        [4, 2, 3, 4]
    );
    // A free position ahead of the head or far behind it is some other writer's nonsense.
    assert_eq!((writer.room(99), writer.room(0)), (3, 0));
}

#[test]
fn a_client_name_half_written_is_no_name_and_one_that_stands_is_kept() {
    let words = zeros(lane::lane_words(3));
    let writer = LaneWriter::new(Own::new(&words), 3);
    // Bytes without their length.
    Own::new(&words).store(17, u64::from_le_bytes(*b"halfname"));
    assert_eq!(writer.reader().client(), None);
    writer.set_client("sensor-7").expect("free");
    writer.set_client("sensor-7").expect("the same");
    assert_eq!(writer.reader().client().as_deref(), Some("sensor-7"));
    let taken = ClientNameError::Taken {
        name: "other".into(),
        owner: "sensor-7".into(),
    };
    assert_eq!(writer.set_client("other"), Err(taken));
    assert!(matches!(
        writer.set_client(""),
        Err(ClientNameError::Length { .. })
    ));
    assert!(matches!(
        writer.set_client(&"x".repeat(65)),
        Err(ClientNameError::Length { .. })
    ));
    Own::new(&words).store(16, 65);
    assert_eq!(writer.reader().client(), None, "a length beyond the field");
}

fn event(n: u64) -> TimedEvent {
    TimedEvent {
        time: n,
        payload: -(n as i64),
        ..Default::default()
    }
}

#[test]
fn events_beyond_the_committed_end_change_no_committed_range() {
    let words = zeros(strand_words(10));
    let (writer, reader) = (
        StrandWriter::new(Own::new(&words), 10),
        StrandReader::new(View::new(&words), 10),
    );
    let committed: Vec<_> = (0..6).map(event).collect();
    writer.write(17, &committed);
    let hash = hash::events(&committed);
    // The worker died after writing more, before it committed the frame that would have named them.
    writer.write(23, &[event(66), event(67)]);
    let mut copy = [TimedEvent::default(); 6];
    reader.read(17, &mut copy);
    assert_eq!(hash::events(&copy), hash);
    // One overwritten event of the range is noticed.
    writer.write(20, &[event(99)]);
    reader.read(17, &mut copy);
    assert_ne!(hash::events(&copy), hash);
}

proptest! {
    #[test]
    fn a_strand_reads_back_what_was_written_at_any_position(
        position in any::<u64>().prop_map(|position| position >> 1),
        capacity in 1_usize..40,
        cuts in proptest::collection::vec(0_usize..40, 0..4),
    ) {
        let words = zeros(strand_words(capacity));
        let writer = StrandWriter::new(Own::new(&words), capacity);
        let events: Vec<_> = (0..capacity as u64).map(|n| event(position ^ n)).collect();
        let mut at = 0;
        for cut in cuts.into_iter().map(|cut| cut.min(capacity)).chain([capacity]) {
            if cut > at {
                writer.write(position + at as u64, &events[at..cut]);
                at = cut;
            }
        }
        let mut copy = vec![TimedEvent::default(); capacity];
        writer.reader().read(position, &mut copy);
        prop_assert_eq!(copy, events);
    }

    #[test]
    fn no_words_whatsoever_make_a_reader_panic(seed in any::<u64>(), interval in any::<u64>()) {
        let noise = |words: usize| -> Vec<AtomicU64> {
            (0..words as u64).map(|i| AtomicU64::new(hash::words(&[seed, i]))).collect()
        };
        let ring = Ring { words: noise(frame_ring::ring_words(SLOTS, FACE)) };
        prop_assert!(ring.read(interval).is_err());
        let slots = noise(2 * SLOT_WORDS);
        prop_assert_eq!(SlotsReader::new(View::new(&slots), SLOT_WORDS).newest(), None);
        let lane = noise(lane::lane_words(3));
        let lane = LaneReader::new(View::new(&lane), 3);
        lane.client();
        lane.read(interval);
    }
}
