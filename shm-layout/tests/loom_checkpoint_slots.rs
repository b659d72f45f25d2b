//! Model checking of the checkpoint slots: the shipped file over loom's atomics, with headers of four words.
#![allow(
    dead_code,
    missing_docs,
    reason = "the included files offer more than one test uses"
)]

#[path = "../src/checkpoint_slots.rs"]
mod checkpoint_slots;
#[path = "../src/words.rs"]
mod words;

#[path = "common/loom_sync.rs"]
mod sync;

/// The hash that the slots need, without the record types of the shipped one.
mod hash {
    pub fn words(words: &[u64]) -> u64 {
        twox_hash::XxHash3_64::oneshot(bytemuck::cast_slice(words))
    }

    #[derive(Default)]
    pub struct WordHasher(Vec<u64>);

    impl WordHasher {
        pub fn new() -> Self {
            Self::default()
        }
        pub fn update(&mut self, more: &[u64]) {
            self.0.extend_from_slice(more);
        }
        pub fn finish(&self) -> u64 {
            words(&self.0)
        }
    }
}

/// A header small enough to explore: boundary, checksum, bytes, hash.
mod slot_header {
    use super::hash;

    pub const SLOT_HEADER_WORDS: usize = 4;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct SlotHeader {
        pub boundary: u64,
        pub bytes: u64,
        pub hash: u64,
    }

    impl SlotHeader {
        pub fn data_words(&self) -> usize {
            self.bytes as usize / 8
        }
        pub fn to_words(self) -> [u64; SLOT_HEADER_WORDS] {
            let checksum = hash::words(&[self.boundary, self.bytes, self.hash]);
            [self.boundary, checksum, self.bytes, self.hash]
        }
        pub fn from_words(words: &[u64; SLOT_HEADER_WORDS]) -> Option<SlotHeader> {
            let header = SlotHeader {
                boundary: words[0],
                bytes: words[2],
                hash: words[3],
            };
            (header.boundary != 0 && header.to_words() == *words).then_some(header)
        }
    }
}

use checkpoint_slots::{SlotsReader, SlotsWriter};
use loom::sync::Arc;
use loom::thread;
use slot_header::SlotHeader;
use sync::AtomicU64;
use words::{Own, View};

const SLOT_WORDS: usize = 6;

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    let executions = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = executions.clone();
    builder.check(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        body();
    });
    let executions = executions.load(std::sync::atomic::Ordering::Relaxed);
    println!("{executions} executions");
    assert!(
        executions > 5,
        "a model with {executions} executions explores nothing"
    );
}

fn data(boundary: u64) -> [u64; 2] {
    [100 + boundary, 200 + boundary]
}

fn fill(writer: &SlotsWriter<'_>, slot: usize, boundary: u64) {
    writer.write(slot, 0, &data(boundary)[..1]);
    writer.write(slot, 1, &data(boundary)[1..]);
    writer.publish(
        slot,
        &SlotHeader {
            boundary,
            bytes: 16,
            hash: hash::words(&data(boundary)),
        },
    );
}

/// What an owner does that packs its state straight into a slot.
fn stream(writer: &SlotsWriter<'_>, slot: usize, boundary: u64) {
    let mut stream = writer.begin(slot);
    stream.put(&data(boundary));
    let (words, hash) = stream.finish();
    let bytes = words as u64 * 8;
    writer.publish(
        slot,
        &SlotHeader {
            boundary,
            bytes,
            hash,
        },
    );
}

/// How the owner overwrites a slot.
#[derive(Clone, Copy)]
enum Overwriting {
    InPlace,
    EmptiedFirst,
    Streaming,
}

/// Slot 0 holds boundary 1 and slot 1 boundary 2; the owner overwrites slot 0 with boundary 3 while a peer copies it.
fn copy_while_overwriting(how: Overwriting, check: fn(&SlotsReader<'_>)) {
    let words: Arc<Vec<AtomicU64>> = Arc::new((0..2 * SLOT_WORDS).map(|_| AtomicU64::new(0)).collect());
    let writer = SlotsWriter::new(Own::new(&words), SLOT_WORDS);
    fill(&writer, 0, 1);
    fill(&writer, 1, 2);
    let theirs = words.clone();
    let owner = thread::spawn(move || {
        let writer = SlotsWriter::new(Own::new(&theirs), SLOT_WORDS);
        match how {
            Overwriting::Streaming => stream(&writer, 0, 3),
            Overwriting::EmptiedFirst => {
                writer.invalidate(0);
                fill(&writer, 0, 3);
            }
            Overwriting::InPlace => fill(&writer, 0, 3),
        }
    });
    check(&SlotsReader::new(View::new(&words), SLOT_WORDS));
    owner.join().expect("the owner does not panic");
}

/// What a mirroring peer does.
fn copy_slot_zero(reader: &SlotsReader<'_>) {
    let Some(header) = reader.header(0) else { return };
    let mut copy = Vec::new();
    if reader.copy(0, &header, &mut copy).is_ok() {
        assert_eq!(copy, data(header.boundary));
    }
}

/// As [`copy_slot_zero`] with the boundary alone, without the hash: the second look must find every torn copy.
fn copy_slot_zero_without_hash(reader: &SlotsReader<'_>) {
    let Some(header) = reader.header(0) else { return };
    let mut copy = [0; 2];
    reader.read(0, 0, &mut copy);
    if reader.still(0, header.boundary) {
        assert_eq!(copy, data(header.boundary), "torn");
    }
}

#[test]
fn a_torn_checkpoint_is_never_accepted() {
    model(3, || {
        copy_while_overwriting(Overwriting::Streaming, copy_slot_zero)
    });
}

#[test]
fn the_second_look_at_the_boundary_alone_finds_every_torn_copy() {
    model(3, || {
        copy_while_overwriting(Overwriting::EmptiedFirst, copy_slot_zero_without_hash);
    });
    model(3, || {
        copy_while_overwriting(Overwriting::Streaming, copy_slot_zero_without_hash);
    });
}

/// What a peer does that copies from slot to slot, and hashes only the copy.
fn mirror_slot_zero(reader: &SlotsReader<'_>) {
    let Some(header) = reader.header(0) else { return };
    let mirror: Vec<AtomicU64> = (0..2 * SLOT_WORDS).map(|_| AtomicU64::new(0)).collect();
    let mirror = SlotsWriter::new(Own::new(&mirror), SLOT_WORDS);
    mirror.copy(1, *reader, 0, 0..1);
    mirror.copy(1, *reader, 0, 1..header.data_words());
    if mirror.reader().hash(1, header.data_words()) == header.hash {
        let mut copy = [0; 2];
        mirror.reader().read(1, 0, &mut copy);
        assert_eq!(copy, data(header.boundary));
    }
}

#[test]
fn a_torn_checkpoint_is_never_mirrored() {
    model(3, || {
        copy_while_overwriting(Overwriting::Streaming, mirror_slot_zero)
    });
}

#[test]
fn whatever_the_newest_checkpoint_is_it_copies_whole() {
    model(3, || {
        copy_while_overwriting(Overwriting::Streaming, |reader| {
            let (slot, header) = reader.newest().expect("the other slot is whole all the time");
            let mut copy = Vec::new();
            assert_eq!(reader.copy(slot, &header, &mut copy), Ok(()));
            assert!(matches!((slot, header.boundary), (1, 2) | (0, 3)));
            assert_eq!(copy, data(header.boundary));
        });
    });
}

#[test]
#[should_panic(expected = "torn")]
fn canary_overwriting_without_emptying_first_is_caught() {
    model(3, || {
        copy_while_overwriting(Overwriting::InPlace, copy_slot_zero_without_hash)
    });
}
