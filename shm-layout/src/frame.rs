//! The frame: what a torus commits on reaching boundary n+1. It closes interval n.
//!
//! A frame is a fixed number of words, the same for an empty and a full torus: [`FRAME_HEADER_WORDS`] of header, then
//! the face x = 0 of the lattice, one `i32` per cell, two to a word. Only the frame of the torus whose turn it is
//! carries the face ([`Frame::has_projection`]); of the others only the header is written, checked and read.
//!
//! The header begins with a line that is no content ([`FRAME_HEAD_WORDS`]): the checksum covers it and the content hash,
//! and the content hash all that follows, so that it can be computed while that is copied.
//!
//! The type is a local copy. [`crate::frame_ring`] moves it into and out of shared words.

use super::hash;
use super::torus::{TORI, Torus};

/// Lanes that a frame has positions for.
pub const FRAME_LANES: usize = 32;
/// Constraint entries that a frame has room for.
pub const CONSTRAINTS: usize = 16;

/// What the health word of a frame says; 0 is well.
pub mod health {
    use crate::torus::Torus;

    /// The frame is one of the first L that a successor has published itself.
    pub const RECOVERING: u64 = 1 << 3;

    /// The torus waited for a frame or a strand range of `peer` that it found damaged, and still complained about it.
    pub const fn complaint(peer: Torus) -> u64 {
        1 << peer as u64
    }
}

mod at {
    // The head: one line that is no content. The simulated state does not determine these words, or they are hashes of it,
    // or say once more what the content says.
    pub const CHECKSUM: usize = 0;
    pub const CONTENT: usize = 1;
    pub const CHAIN: usize = 2;
    pub const INCARNATION: usize = 3;
    pub const PHASE: usize = 4;
    pub const HEALTH: usize = 5;
    pub const JOURNAL_LENGTH: usize = 6;
    pub const SEQUENCE: usize = 7;
    // The content.
    pub const TORUS: usize = 8;
    pub const INTERVAL: usize = 9;
    pub const TICK: usize = 10;
    pub const EVENTS: usize = 11;
    pub const PENDING: usize = 12;
    pub const ACTIVE: usize = 13;
    pub const EDGES: usize = 14;
    pub const HISTORY_DIGEST: usize = 15;
    pub const NEXT_INTERVAL: usize = 16;
    pub const VIOLATIONS: usize = 17;
    pub const SENT: usize = 18;
    pub const RECEIVED: usize = 21;
    pub const STRAND_END: usize = 24;
    pub const STRAND_HASH: usize = 27;
    pub const REFUSED: usize = 30;
    pub const REJOIN: usize = 33;
    pub const LANE_POSITIONS: usize = 36;
    pub const CONSTRAINTS: usize = 68;
    pub const RESERVED: usize = 116;
    pub const FACE: usize = 120;
}

/// Words of the head: hashes, and what the simulated state does not determine.
pub const FRAME_HEAD_WORDS: usize = at::TORUS;

/// Words of the header, head included, which every frame carries.
pub const FRAME_HEADER_WORDS: usize = at::FACE;

/// The word of a frame that says whether it carries a face.
pub const FRAME_FLAGS_WORD: usize = at::TORUS;

const _: () = {
    assert!(at::SEQUENCE + 1 == at::TORUS && FRAME_HEAD_WORDS.is_multiple_of(8));
    assert!(at::RECEIVED == at::SENT + TORI && at::STRAND_END == at::RECEIVED + TORI);
    assert!(at::STRAND_HASH == at::STRAND_END + TORI && at::REFUSED == at::STRAND_HASH + TORI);
    assert!(at::REJOIN == at::REFUSED + TORI && at::LANE_POSITIONS == at::REJOIN + TORI);
    assert!(at::CONSTRAINTS == at::LANE_POSITIONS + FRAME_LANES);
    assert!(at::RESERVED == at::CONSTRAINTS + 3 * CONSTRAINTS && at::RESERVED < at::FACE);
    // What is hashed while it is copied are whole pairs of lines.
    assert!((FRAME_HEADER_WORDS - FRAME_HEAD_WORDS).is_multiple_of(16));
};

const FLAG_PROJECTION: u64 = 1 << 8;

/// Words of a whole frame with a face of `face_cells` cells, which ends with a pair of cache lines.
pub const fn frame_words(face_cells: usize) -> usize {
    FRAME_HEADER_WORDS + face_cells.div_ceil(2).next_multiple_of(16)
}

/// What is wrong with a frame that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameDamage {
    /// The words do not hash to the checksum: torn, half-written or damaged.
    #[error("frame checksum is {found:#018x}, its words hash to {computed:#018x}")]
    Checksum {
        /// In the frame.
        found: u64,
        /// Of its words.
        computed: u64,
    },
    /// A whole frame, but of another interval.
    #[error("frame of interval {expected} expected, sequence {sequence} and interval {interval} found")]
    Interval {
        /// The interval that was asked for.
        expected: u64,
        /// The sequence word found; n+1 in frame n.
        sequence: u64,
        /// The interval found.
        interval: u64,
    },
    /// A whole frame, but of another torus, or with unknown flags.
    #[error("frame of torus {expected} expected, torus and flags word {found:#x} found")]
    Torus {
        /// The torus that was asked for.
        expected: Torus,
        /// The word found.
        found: u64,
    },
}

/// One constraint entry of a projection; zero means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Constraint {
    /// What is constrained; 0 is an empty entry.
    pub kind: u64,
    /// The value to hold.
    pub value: i64,
    /// The deviation allowed.
    pub tolerance: u64,
}

/// A local copy of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    words: Vec<u64>,
    face_cells: usize,
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $get:ident, $set:ident, $at:ident;)*) => {$(
        $(#[$doc])*
        pub fn $get(&self) -> u64 {
            self.words[at::$at]
        }

        #[doc = concat!("Sets [`Frame::", stringify!($get), "`].")]
        pub fn $set(&mut self, value: u64) {
            self.words[at::$at] = value;
        }
    )*};
}

macro_rules! per_torus {
    ($($(#[$doc:meta])* $get:ident, $set:ident, $at:ident;)*) => {$(
        $(#[$doc])*
        pub fn $get(&self, peer: Torus) -> u64 {
            self.words[at::$at + peer.index()]
        }

        #[doc = concat!("Sets [`Frame::", stringify!($get), "`].")]
        pub fn $set(&mut self, peer: Torus, value: u64) {
            self.words[at::$at + peer.index()] = value;
        }
    )*};
}

impl Frame {
    /// A frame of zeros for lattices whose face has `face_cells` cells (Y·Z).
    pub fn new(face_cells: usize) -> Self {
        Self {
            words: vec![0; frame_words(face_cells)],
            face_cells,
        }
    }

    /// Sets every word of the header to zero: the frame carries no face then.
    pub fn clear(&mut self) {
        self.words[..FRAME_HEADER_WORDS].fill(0);
    }

    /// All words, the face included.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// All words, to fill in a copy. What was read this way counts only after [`Frame::verify`].
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// Cells of the face.
    pub fn face_cells(&self) -> usize {
        self.face_cells
    }

    /// How many of the words this frame carries: all with a projection, else those of the header.
    pub fn carried_words(&self) -> usize {
        self.carried_by(self.words[FRAME_FLAGS_WORD])
    }

    /// How many words a frame like this carries if `flags` is its word [`FRAME_FLAGS_WORD`].
    pub fn carried_by(&self, flags: u64) -> usize {
        if flags & FLAG_PROJECTION != 0 {
            self.words.len()
        } else {
            FRAME_HEADER_WORDS
        }
    }

    /// The torus; `None` if the word names none.
    pub fn torus(&self) -> Option<Torus> {
        Torus::from_index((self.words[at::TORUS] & 0xff) as usize)
    }

    /// Sets the torus.
    pub fn set_torus(&mut self, torus: Torus) {
        self.words[at::TORUS] = self.words[at::TORUS] & FLAG_PROJECTION | torus.index() as u64;
    }

    /// The interval n that this frame closes.
    pub fn interval(&self) -> u64 {
        self.words[at::INTERVAL]
    }

    /// Sets the interval n; the sequence word becomes n+1.
    pub fn set_interval(&mut self, interval: u64) {
        self.words[at::INTERVAL] = interval;
        self.words[at::SEQUENCE] = interval.wrapping_add(1);
    }

    /// Whether the frame carries a projection: the face.
    pub fn has_projection(&self) -> bool {
        self.words[at::TORUS] & FLAG_PROJECTION != 0
    }

    /// Makes the frame carry the face x = 0, one value per cell in cell order.
    ///
    /// # Panics
    /// If `face` does not have [`Frame::face_cells`] values.
    pub fn set_projection(&mut self, face: &[i32]) {
        self.project().copy_from_slice(face);
    }

    /// Makes the frame carry the face x = 0; returns the place for its values, one per cell in cell order.
    pub fn project(&mut self) -> &mut [i32] {
        self.words[at::TORUS] |= FLAG_PROJECTION;
        let cells = self.face_cells;
        self.words[at::FACE + cells / 2..].fill(0);
        &mut bytemuck::cast_slice_mut(&mut self.words[at::FACE..])[..cells]
    }

    scalars! {
        /// The tick of boundary n+1.
        boundary_tick, set_boundary_tick, TICK;
        /// How many times the worker had been started when it wrote this. Enters no decision.
        incarnation, set_incarnation, INCARNATION;
        /// Events executed since boundary 0.
        events, set_events, EVENTS;
        /// Pending events at the end of interval n.
        pending, set_pending, PENDING;
        /// Cells that hold a process.
        active, set_active, ACTIVE;
        /// Edges.
        edges, set_edges, EDGES;
        /// Digest of all events executed so far.
        history_digest, set_history_digest, HISTORY_DIGEST;
        /// Length in ticks that this torus chooses for interval n+2L; 0 where it leaves it as it is.
        next_interval, set_next_interval, NEXT_INTERVAL;
        /// Violations that this torus found at boundary n: constraints out of their tolerance, and 1 if a face cell was.
        violations, set_violations, VIOLATIONS;
        /// The worker's phase. Enters no decision.
        phase, set_phase, PHASE;
        /// Health word: see [`health`]. Enters no decision.
        health, set_health, HEALTH;
        /// Bytes of the torus's journal that belong to the state at boundary n+1.
        journal_length, set_journal_length, JOURNAL_LENGTH;
        /// The digest chain: covers this frame's content and, through its predecessor's, all before it.
        chain, set_chain, CHAIN;
    }

    per_torus! {
        /// Events ever sent to `peer`, up to the end of interval n.
        sent, set_sent, SENT;
        /// Events ever taken in from `peer`, up to the intake of boundary n.
        received, set_received, RECEIVED;
        /// Strand position after the last event sent to `peer`.
        strand_end, set_strand_end, STRAND_END;
        /// Hash of the events that interval n added to the strand to `peer` ([`hash::events`]).
        strand_hash, set_strand_hash, STRAND_HASH;
        /// Events for `peer`, up to the end of interval n, that were given back to the model because the peer was absent.
        refused, set_refused, REFUSED;
        /// The interval from which a torus takes part again after its last announced absence; 0: none was announced.
        rejoin, set_rejoin, REJOIN;
    }

    /// Position in `lane` after the intake of boundary n: entries below it have been taken in. 0 for a lane that
    /// does not exist.
    pub fn lane_position(&self, lane: usize) -> u64 {
        self.lane_positions().get(lane).copied().unwrap_or(0)
    }

    /// All lane positions, by lane number.
    pub fn lane_positions(&self) -> &[u64] {
        &self.words[at::LANE_POSITIONS..at::LANE_POSITIONS + FRAME_LANES]
    }

    /// Sets all lane positions.
    pub fn set_lane_positions(&mut self, positions: &[u64; FRAME_LANES]) {
        self.words[at::LANE_POSITIONS..at::LANE_POSITIONS + FRAME_LANES].copy_from_slice(positions);
    }

    /// Constraint entry `index`; empty beyond [`CONSTRAINTS`].
    pub fn constraint(&self, index: usize) -> Constraint {
        if index >= CONSTRAINTS {
            return Constraint::default();
        }
        let first = at::CONSTRAINTS + 3 * index;
        Constraint {
            kind: self.words[first],
            value: self.words[first + 1] as i64,
            tolerance: self.words[first + 2],
        }
    }

    /// Sets constraint entry `index`; says whether there is such an entry.
    pub fn set_constraint(&mut self, index: usize, constraint: Constraint) -> bool {
        if index >= CONSTRAINTS {
            return false;
        }
        let first = at::CONSTRAINTS + 3 * index;
        self.words[first] = constraint.kind;
        self.words[first + 1] = constraint.value as u64;
        self.words[first + 2] = constraint.tolerance;
        true
    }

    /// The face x = 0, one value per cell in cell order. Means something only with [`Frame::has_projection`].
    pub fn face(&self) -> &[i32] {
        &bytemuck::cast_slice(&self.words[at::FACE..])[..self.face_cells]
    }

    /// The hash of all content, which the simulated state determines: every word behind the head, the face only if it is
    /// carried. It stands in the frame: put there by [`Frame::hash_content`], and compared with the content by
    /// [`Frame::verify`].
    pub fn content_hash(&self) -> u64 {
        self.words[at::CONTENT]
    }

    /// Computes and stores the content hash. What is content may not be changed afterwards.
    pub fn hash_content(&mut self) {
        self.words[at::CONTENT] = self.computed_content();
    }

    /// Stores the content hash, which was computed while the content was copied elsewhere.
    pub(crate) fn set_content_hash(&mut self, hash: u64) {
        self.words[at::CONTENT] = hash;
    }

    /// The hash of the content as it is.
    pub(crate) fn computed_content(&self) -> u64 {
        hash::lines(&self.words[FRAME_HEAD_WORDS..self.carried_words()])
    }

    /// The checksum of the frame: over the other words of the head, of which one is the content hash.
    fn checksum(&self) -> u64 {
        hash::words(&self.words[at::CHECKSUM + 1..FRAME_HEAD_WORDS])
    }

    /// Computes and stores content hash and checksum. The last thing before writing it.
    pub fn seal(&mut self) {
        self.hash_content();
        self.seal_hashed();
    }

    /// Computes and stores the checksum of a frame whose content has been hashed already and has not changed since.
    pub fn seal_hashed(&mut self) {
        self.words[at::CHECKSUM] = self.checksum();
    }

    /// Whether this is a whole frame, and the one of `interval` of `torus`.
    ///
    /// # Errors
    /// [`FrameDamage`] with the values found. A slot of zeros, of an older frame, or half old and half new is damage.
    pub fn verify(&self, torus: Torus, interval: u64) -> Result<(), FrameDamage> {
        self.verify_hashed(self.computed_content(), torus, interval)
    }

    /// [`Frame::verify`] where the hash of the content is known: it was computed while the content was copied here.
    ///
    /// # Errors
    /// As there.
    pub fn verify_hashed(&self, content: u64, torus: Torus, interval: u64) -> Result<(), FrameDamage> {
        let computed = [self.checksum(), content];
        let found = [self.words[at::CHECKSUM], self.content_hash()];
        if let Some((found, computed)) = found
            .into_iter()
            .zip(computed)
            .find(|(found, computed)| found != computed)
        {
            return Err(FrameDamage::Checksum { found, computed });
        }
        let sequence = self.words[at::SEQUENCE];
        if sequence != interval.wrapping_add(1) || self.interval() != interval {
            return Err(FrameDamage::Interval {
                expected: interval,
                sequence,
                interval: self.interval(),
            });
        }
        let found = self.words[at::TORUS];
        if found & !FLAG_PROJECTION != torus.index() as u64 {
            return Err(FrameDamage::Torus {
                expected: torus,
                found,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(torus: Torus, interval: u64, projection: bool) -> Frame {
        let mut frame = Frame::new(9);
        frame.set_torus(torus);
        frame.set_interval(interval);
        frame.set_events(interval * 1000);
        if projection {
            frame.set_projection(&[-3; 9]);
        }
        frame.seal();
        frame
    }

    #[test]
    fn a_projection_of_a_32_by_32_face_is_about_5_kb() {
        assert_eq!(frame_words(32 * 32) * 8, 5056);
    }

    #[test]
    fn a_sealed_frame_verifies_and_any_flipped_carried_bit_is_seen() {
        for projection in [false, true] {
            let frame = sealed(Torus::B, 7, projection);
            assert_eq!(frame.verify(Torus::B, 7), Ok(()));
            for word in 0..frame.carried_words() {
                let mut damaged = frame.clone();
                damaged.words_mut()[word] ^= 1 << (word % 64);
                assert!(damaged.verify(Torus::B, 7).is_err(), "word {word}");
            }
        }
    }

    #[test]
    fn an_uncarried_face_does_not_count() {
        let mut frame = sealed(Torus::A, 3, false);
        frame.words_mut()[FRAME_HEADER_WORDS..].fill(99);
        assert_eq!(frame.verify(Torus::A, 3), Ok(()));
    }

    #[test]
    fn zeros_and_other_frames_are_refused() {
        assert!(matches!(
            Frame::new(4).verify(Torus::A, 0),
            Err(FrameDamage::Checksum { .. })
        ));
        let frame = sealed(Torus::A, 5, true);
        assert!(matches!(
            frame.verify(Torus::A, 133),
            Err(FrameDamage::Interval { interval: 5, .. })
        ));
        assert!(matches!(
            frame.verify(Torus::C, 5),
            Err(FrameDamage::Torus { found: 0x100, .. })
        ));
    }

    #[test]
    fn fields_do_not_overlap() {
        let mut frame = Frame::new(5);
        frame.set_torus(Torus::C);
        frame.set_interval(1);
        for (i, peer) in Torus::ALL.into_iter().enumerate() {
            frame.set_sent(peer, 10 + i as u64);
            frame.set_received(peer, 20 + i as u64);
            frame.set_strand_end(peer, 30 + i as u64);
            frame.set_strand_hash(peer, 40 + i as u64);
        }
        frame.set_journal_length(50);
        frame.set_chain(51);
        frame.set_lane_positions(&[60; FRAME_LANES]);
        assert!(frame.set_constraint(
            15,
            Constraint {
                kind: 1,
                value: -2,
                tolerance: 3
            }
        ));
        assert!(!frame.set_constraint(16, Constraint::default()));
        frame.set_projection(&[1, -2, 3, -4, 5]);
        assert_eq!(
            frame.words()[18..31],
            [10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 0]
        );
        assert_eq!((frame.lane_position(31), frame.lane_position(32)), (60, 0));
        assert_eq!(
            frame.constraint(15),
            Constraint {
                kind: 1,
                value: -2,
                tolerance: 3
            }
        );
        assert_eq!(frame.face(), [1, -2, 3, -4, 5]);
        assert_eq!(frame.torus(), Some(Torus::C));
    }

    #[test]
    fn the_content_hash_leaves_out_what_the_state_does_not_determine() {
        let frame = sealed(Torus::A, 3, true);
        let mut other = frame.clone();
        other.set_incarnation(9);
        other.set_phase(5);
        other.set_health(1);
        other.set_journal_length(4711);
        other.set_chain(8);
        other.seal();
        assert_eq!(frame.content_hash(), other.content_hash());
        other.set_pending(1);
        other.seal();
        assert_ne!(frame.content_hash(), other.content_hash());
    }

    #[test]
    fn the_content_hash_is_that_of_the_carried_words_behind_the_head() {
        for projection in [false, true] {
            let frame = sealed(Torus::A, 3, projection);
            let words = &frame.words()[FRAME_HEAD_WORDS..frame.carried_words()];
            assert_eq!(frame.content_hash(), hash::lines(words));
        }
    }

    #[test]
    fn room_behind_the_face_is_empty() {
        let mut frame = Frame::new(9);
        frame.words_mut().fill(99);
        frame.set_projection(&[1; 9]);
        assert_eq!(frame.face(), [1; 9]);
        assert_eq!(frame.words()[FRAME_HEADER_WORDS + 4], 1);
        assert_eq!(frame.words()[FRAME_HEADER_WORDS + 5..], [0; 11]);
    }

    #[test]
    fn a_content_that_changed_after_it_was_hashed_is_seen() {
        let mut frame = sealed(Torus::C, 4, true);
        frame.set_pending(1);
        frame.seal_hashed();
        assert!(matches!(
            frame.verify(Torus::C, 4),
            Err(FrameDamage::Checksum { .. })
        ));
    }
}
