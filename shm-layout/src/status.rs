//! The status cell of a torus: one page of words that its worker writes and everyone reads.
//!
//! Nothing here enters a digest. Each field is one word, so a reader never sees half of one; what must fit together is
//! read with [`StatusReader::identity`] or ordered as the field's description says. A successor takes the cell over as
//! its predecessor left it.

use super::cells::{Field, read_text, write_text};
use super::doorbell;
use super::frame::CONSTRAINTS;
use super::identity;
use super::owner;
use super::stop::Verdict;
use super::sys::futex::FutexWord;
use super::sys::robust::{self, Held};
use super::torus::{TORI, Torus};
use super::words::{Own, View};
use crate::control::{ControlReader, STOP_WORDS};

pub use super::phase::{Identity, Phase};

/// Words of a status cell: one page.
pub const STATUS_WORDS: usize = 512;
/// Lanes that the cell has free positions for.
pub const STATUS_LANES: usize = 32;
/// Bytes of the failure text.
pub const FAILURE_BYTES: usize = 512;
/// Outcomes of commands that move a process which the cell has room for.
pub const MIGRATION_OUTCOMES: usize = 16;

const PID: usize = 0;
const INCARNATION: usize = 4;
const PHASE: usize = 5;
const BOUNDARY: usize = 16;
const DOORBELL: usize = 32;
const OWNER_WORD: usize = 272;
const SLEEPING: usize = 40;
/// Words of one outcome: what the command called itself, then three that say what became of it.
pub const MIGRATION_OUTCOME_WORDS: usize = 4;

const FAILURE_LENGTH: usize = 193;
const FAILURE_TEXT: usize = 200;
const MIGRATION_OUTCOME: usize = 400;

const EXTRA: &[Field] = &[
    identity::FIELDS[0],
    identity::FIELDS[1],
    identity::FIELDS[2],
    identity::FIELDS[3],
    Field {
        name: "phase",
        first: PHASE,
        words: 1,
    },
    Field {
        name: "boundary",
        first: BOUNDARY,
        words: 1,
    },
    Field {
        name: "doorbell",
        first: DOORBELL,
        words: 1,
    },
    Field {
        name: "sleeping",
        first: SLEEPING,
        words: 1,
    },
    Field {
        name: "migration_outcomes",
        first: MIGRATION_OUTCOME,
        words: MIGRATION_OUTCOMES * MIGRATION_OUTCOME_WORDS,
    },
    Field {
        name: "failure_length",
        first: FAILURE_LENGTH,
        words: 1,
    },
    Field {
        name: "failure_text",
        first: FAILURE_TEXT,
        words: FAILURE_BYTES / 8,
    },
];

/// The worker's end of its status cell.
#[derive(Debug)]
pub struct StatusWriter<'s> {
    words: Own<'s>,
}

/// Everyone's view of a status cell.
#[derive(Clone, Copy, Debug)]
pub struct StatusReader<'s> {
    words: View<'s>,
}

word_table! {
    writer StatusWriter, reader StatusReader;
    words {
        /// Ticks of virtual time reached, for display.
        tick, set_tick @ 6;
        /// Events executed, for display.
        events, set_events @ 7;
        /// Rises with every stretch of ticks executed or replayed and with every pass of a waiting loop.
        heartbeat, set_heartbeat @ 24;
        /// CLOCK_MONOTONIC of the last heartbeat in ns.
        heartbeat_ns, set_heartbeat_ns @ 25;
        /// The newest own checkpoint that the peers are to mirror; 0 is the configuration. There may be a newer local one.
        checkpoint, set_checkpoint @ 48;
        /// The newest own checkpoint that every present peer has mirrored; 0 is the configuration.
        safe, set_safe @ 49;
        /// CLOCK_MONOTONIC when the process started, in ns; so are the next four.
        started_ns, set_started_ns @ 72;
        /// When it had taken its region over.
        locked_ns, set_locked_ns @ 73;
        /// When it had loaded its checkpoint.
        loaded_ns, set_loaded_ns @ 74;
        /// When it had replayed up to its predecessor's last committed frame.
        replayed_ns, set_replayed_ns @ 75;
        /// When it had caught up with its peers.
        caught_up_ns, set_caught_up_ns @ 76;
        /// Intervals that it replayed.
        replayed_intervals, set_replayed_intervals @ 77;
        /// The frame with which it counts as caught up.
        caught_up_frame, set_caught_up_frame @ 78;
        /// Checkpoints taken by this incarnation.
        checkpoints_taken, set_checkpoints_taken @ 79;
        /// Bytes of the newest checkpoint.
        checkpoint_bytes, set_checkpoint_bytes @ 80;
        /// Time spent taking checkpoints, in ns.
        checkpoint_ns_total, set_checkpoint_ns_total @ 81;
        /// Time spent copying and verifying mirrors, in ns.
        mirror_ns_total, set_mirror_ns_total @ 82;
        /// The part of the time from its beginning until it had caught up in which it executed events, in ns.
        executing_ns, set_executing_ns @ 86;
        /// Digest of the full state at `state_digest_boundary`.
        state_digest, set_state_digest @ 83;
        /// The boundary of `state_digest`; 0: none yet.
        state_digest_boundary, set_state_digest_boundary @ 84;
        /// Bytes of the journal.
        journal_bytes, set_journal_bytes @ 85;
        /// The newest rollback order that this torus has carried out; 0: none.
        rolled_back, set_rolled_back @ 100;
        /// The newest request to damage this torus's memory that was carried out; 0: none.
        damaged, set_damaged @ 101;
        /// The boundary at which that was done.
        damaged_at, set_damaged_at @ 102;
        /// n+1 if the replay of interval n gave another frame than was committed; 0: it did not.
        divergence, set_divergence @ 103;
        /// Which thread holds the region, and whether it has died; see [`crate::owner`]. The kernel writes it, too.
        owner_word, set_owner_word @ OWNER_WORD;
        /// The boundary from which this torus is absent, once it is ready to take part again; 0: nothing is wished.
        wish, set_wish @ 92;
        /// Processes on their way to another torus, as of the newest frame.
        leaving, set_leaving @ 388;
        /// Places that wait for the process of another torus.
        reserved, set_reserved @ 389;
        /// Cells that forward to where their process has moved.
        forwarding, set_forwarding @ 390;
        /// Why it failed, as the worker numbers it; 0: it did not.
        failure_code, set_failure_code @ 192;
    }
    arrays {
        /// The checkpoint boundary that this worker needs of a torus to have room.
        want, set_want, Torus => Torus::index, TORI, @ 56;
        /// The boundary of this worker's newest verified mirror of a torus; 0: none.
        mirrored, set_mirrored, Torus => Torus::index, TORI, @ 60;
        /// n+1 if frame n of a torus was found damaged; 0: none.
        complaint, set_complaint, Torus => Torus::index, TORI, @ 64;
        /// This worker's wait for the first frame of a torus's newest incarnation: when it began, CLOCK_MONOTONIC in ns.
        stall_from_ns, set_stall_from_ns, Torus => Torus::index, TORI, @ 280;
        /// When that wait ended; the same as its beginning if the frame was there in time.
        stall_to_ns, set_stall_to_ns, Torus => Torus::index, TORI, @ 284;
        /// The incarnation whose first frame ended it; written last.
        stall_incarnation, set_stall_incarnation, Torus => Torus::index, TORI, @ 288;
        /// The boundary from which a torus is absent whose replay the hold area is filled for; 0: it is not.
        hold, set_hold, Torus => Torus::index, TORI, @ 88;
        /// n+1 if what stood in the strand of a torus was not what its frame n says it sent, the last time that was so; 0: never.
        altered, set_altered, Torus => Torus::index, TORI, @ 352;
        /// The hash that frame gives for its events.
        altered_sent, set_altered_sent, Torus => Torus::index, TORI, @ 356;
        /// The hash of what stood there.
        altered_received, set_altered_received, Torus => Torus::index, TORI, @ 360;
        /// Processes that moved to a torus.
        moved_out, set_moved_out, Torus => Torus::index, TORI, @ 368;
        /// Processes that came from a torus.
        moved_in, set_moved_in, Torus => Torus::index, TORI, @ 372;
        /// Processes that were to move to a torus and stay.
        stayed, set_stayed, Torus => Torus::index, TORI, @ 376;
        /// Why the last of them stays, as the node numbers it; 0: none did.
        stays_because, set_stays_because, Torus => Torus::index, TORI, @ 380;
        /// Events that were forwarded to a torus after their process.
        forwarded, set_forwarded, Torus => Torus::index, TORI, @ 384;
        /// Entries of a lane below this may be overwritten.
        lane_free, set_lane_free, usize => |lane| lane.min(STATUS_LANES - 1), STATUS_LANES, @ 128;
        /// How the torus stands to a constraint entry, as of the boundary that it last entered live: 0 it does not bind or
        /// there was nothing to measure, 1 satisfied, 2 violated.
        verdict, set_verdict, usize => |entry| entry.min(CONSTRAINTS - 1), CONSTRAINTS, @ 320;
        /// The value that it measured for that, signed.
        measured, set_measured, usize => |entry| entry.min(CONSTRAINTS - 1), CONSTRAINTS, @ 336;
    }
}

impl<'s> StatusWriter<'s> {
    /// The cell in `words`, [`STATUS_WORDS`] long.
    pub fn new(words: Own<'s>) -> Self {
        debug_assert!(words.len() >= STATUS_WORDS);
        Self { words }
    }

    /// The reading end of the same cell.
    pub fn reader(&self) -> StatusReader<'s> {
        StatusReader {
            words: self.words.view(),
        }
    }

    /// Says which process this is. Readers see either no process (pid 0) or a whole identity.
    pub fn set_identity(&self, identity: &Identity) {
        identity::write(&self.words, identity);
    }

    /// Sets what the worker is doing.
    pub fn set_phase(&self, phase: Phase) {
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `StatusReader::phase`.
        self.words.store_release(PHASE, phase as u64);
    }

    /// Announces that the worker stands at `boundary`, and looks whether the run stops there. A replaying successor does
    /// not call this before it has caught up with its predecessor's last committed frame.
    pub fn announce_boundary(&self, boundary: u64, control: &ControlReader<'_>) -> Verdict {
        STOP_WORDS.announce(&self.words, BOUNDARY, boundary, control.words())
    }

    /// Raises the heartbeat; `now_ns` is CLOCK_MONOTONIC.
    pub fn beat(&self, now_ns: u64) {
        self.set_heartbeat_ns(now_ns);
        self.set_heartbeat(self.words.load(24).wrapping_add(1));
    }

    /// Says that this thread holds the region as this incarnation. Unless the guard is dropped, the kernel marks the word
    /// when the thread ends.
    ///
    /// # Errors
    /// As [`robust::hold`]; the death of this worker is then seen by its pidfd alone, and a little later.
    pub fn hold_region(&self, incarnation: u64) -> std::io::Result<Held<'s>> {
        let word = FutexWord::new(self.words.view(), OWNER_WORD);
        let held = robust::hold(word)?;
        self.set_owner_word(owner::held(incarnation, robust::held_by_this_thread()));
        word.wake(u32::MAX);
        Ok(held)
    }

    /// Rings the own doorbell, and makes the looks at [`StatusReader::sleeps`] that follow valid.
    pub fn ring_doorbell(&self) {
        doorbell::ring(&self.words, DOORBELL);
    }

    /// The own doorbell, to wake those who sleep on it.
    pub fn doorbell_word(&self) -> FutexWord<'s> {
        FutexWord::new(self.words.view(), DOORBELL)
    }

    /// Raises or lowers the own `sleeping` flag. After raising it, look once more before sleeping.
    pub fn set_sleeping(&self, sleeping: bool) {
        if sleeping {
            doorbell::fall_asleep(&self.words, SLEEPING)
        } else {
            doorbell::wake_up(&self.words, SLEEPING)
        }
    }

    /// Shows what became of a command that moves a process, in place of the oldest such outcome: `number` counts them.
    pub fn set_migration_outcome(&self, number: u64, words: [u64; MIGRATION_OUTCOME_WORDS]) {
        let first = outcome_word(number as usize % MIGRATION_OUTCOMES);
        self.words.store(first, 0);
        // Ordering: Release fence between clearing the ticket and rewriting the rest; synchronizes with the Acquire
        // fence in `StatusReader::migration_outcome`.
        super::sync::fence(super::sync::Ordering::Release);
        self.words.write(first + 1, &words[1..]);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `StatusReader::migration_outcome`.
        self.words.store_release(first, words[0]);
    }

    /// Records why the worker gives up: `code` (not 0) and a text, cut at 512 bytes.
    pub fn set_failure(&self, code: u64, text: &str) {
        write_text(&self.words, FAILURE_LENGTH, FAILURE_TEXT, FAILURE_BYTES, text);
        self.set_failure_code(code);
    }
}

impl<'s> StatusReader<'s> {
    /// The cell in `words`, [`STATUS_WORDS`] long.
    pub fn new(words: View<'s>) -> Self {
        debug_assert!(words.len() >= STATUS_WORDS);
        Self { words }
    }

    /// Which process the worker is; `None` if none has held the lock yet, or one is just writing this.
    pub fn identity(&self) -> Option<Identity> {
        identity::read(self.words)
    }

    /// The pid; 0 if there is none.
    pub fn pid(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `StatusWriter::set_identity`.
        self.words.load_acquire(PID)
    }

    /// How many times the worker of this torus has been started.
    pub fn incarnation(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); the word is older than the pid's Release in
        // `StatusWriter::set_identity`, so it may be seen early; who must know uses `StatusReader::identity`.
        self.words.load_acquire(INCARNATION)
    }

    /// What the worker is doing; [`Phase::None`] also for a word that is no phase.
    pub fn phase(&self) -> Phase {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `StatusWriter::set_phase`.
        Phase::from_word(self.words.load_acquire(PHASE)).unwrap_or(Phase::None)
    }

    /// The boundary at which the worker last stood; all frames below it are committed. Never goes back.
    pub fn boundary(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `StopWords::announce`.
        self.words.load_acquire(BOUNDARY)
    }

    /// The word of [`StatusReader::boundary`], for [`crate::control::ControlWriter::propose_stop`].
    pub(crate) fn boundary_word(&self) -> (View<'s>, usize) {
        (self.words, BOUNDARY)
    }

    /// Whether the worker may be asleep. Valid after [`StatusWriter::ring_doorbell`].
    pub fn sleeps(&self) -> bool {
        doorbell::sleeps(self.words, SLEEPING)
    }

    /// The doorbell, to sleep on.
    pub fn doorbell_word(&self) -> FutexWord<'s> {
        FutexWord::new(self.words, DOORBELL)
    }

    /// The word of [`StatusReader::owner_word`], to sleep on until its holder dies.
    pub fn owner_futex(&self) -> FutexWord<'s> {
        FutexWord::new(self.words, OWNER_WORD)
    }

    /// What became of the command that called itself `ticket` (not 0), while that is remembered.
    pub fn migration_outcome(&self, ticket: u64) -> Option<[u64; MIGRATION_OUTCOME_WORDS]> {
        (0..MIGRATION_OUTCOMES).find_map(|slot| {
            let first = outcome_word(slot);
            // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in
            // `StatusWriter::set_migration_outcome`.
            if self.words.load_acquire(first) != ticket {
                return None;
            }
            let mut words = [0; MIGRATION_OUTCOME_WORDS];
            self.words.read(first, &mut words);
            // Ordering: Acquire fence before the second look; synchronizes with the Release fence in
            // `StatusWriter::set_migration_outcome` if one of the words is newer than the ticket.
            super::sync::fence(super::sync::Ordering::Acquire);
            (self.words.load(first) == ticket && words[0] == ticket).then_some(words)
        })
    }

    /// Why the worker gave up, if it did: code and text.
    pub fn failure(&self) -> Option<(u64, String)> {
        let code = self.failure_code();
        (code != 0).then(|| {
            (
                code,
                read_text(self.words, FAILURE_LENGTH, FAILURE_TEXT, FAILURE_BYTES),
            )
        })
    }
}

fn outcome_word(slot: usize) -> usize {
    MIGRATION_OUTCOME + slot * MIGRATION_OUTCOME_WORDS
}

/// Every field of the cell with its words, in order.
pub fn fields() -> Vec<Field> {
    let mut fields: Vec<_> = FIELDS.iter().chain(EXTRA).copied().collect();
    fields.sort_by_key(|field| field.first);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    fn page() -> Vec<AtomicU64> {
        (0..STATUS_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn fields_do_not_overlap() {
        assert!(crate::cells::disjoint(FIELDS, EXTRA, STATUS_WORDS));
    }

    #[test]
    fn an_identity_half_written_is_no_identity() {
        let page = page();
        let (writer, reader) = (
            StatusWriter::new(Own::new(&page)),
            StatusReader::new(View::new(&page)),
        );
        assert_eq!(reader.identity(), None);
        let identity = Identity {
            pid: 77,
            start_time: 5,
            boot_id: [1, 2],
            incarnation: 3,
        };
        writer.set_identity(&identity);
        assert_eq!(reader.identity(), Some(identity));
        // A successor died after clearing the pid and writing half of its own.
        Own::new(&page).store(PID, 0);
        Own::new(&page).store(1, 6);
        assert_eq!(reader.identity(), None);
    }

    #[test]
    fn an_outcome_is_found_by_its_ticket_until_sixteen_newer_ones_came() {
        let page = page();
        let (writer, reader) = (
            StatusWriter::new(Own::new(&page)),
            StatusReader::new(View::new(&page)),
        );
        for number in 0..=MIGRATION_OUTCOMES as u64 {
            let ticket = 100 + number;
            assert_eq!(reader.migration_outcome(ticket), None);
            writer.set_migration_outcome(number, [ticket, number, 2, 3]);
            assert_eq!(reader.migration_outcome(ticket), Some([ticket, number, 2, 3]));
        }
        assert_eq!(reader.migration_outcome(100), None);
        assert_eq!(reader.migration_outcome(101), Some([101, 1, 2, 3]));
    }

    #[test]
    fn a_long_failure_text_is_cut_at_a_character() {
        let page = page();
        let (writer, reader) = (
            StatusWriter::new(Own::new(&page)),
            StatusReader::new(View::new(&page)),
        );
        assert_eq!(reader.failure(), None);
        writer.set_failure(4, &"ä".repeat(400));
        assert_eq!(reader.failure(), Some((4, "ä".repeat(256))));
        writer.set_failure(5, "short");
        assert_eq!(reader.failure(), Some((5, "short".to_owned())));
    }

    #[test]
    fn a_word_that_is_no_phase_counts_as_none() {
        let page = page();
        let (writer, reader) = (
            StatusWriter::new(Own::new(&page)),
            StatusReader::new(View::new(&page)),
        );
        writer.set_phase(Phase::Replaying);
        assert_eq!(reader.phase(), Phase::Replaying);
        Own::new(&page).store(PHASE, 99);
        assert_eq!(reader.phase(), Phase::None);
    }

    #[test]
    fn beats_count_on_from_the_predecessor() {
        let page = page();
        StatusWriter::new(Own::new(&page)).beat(10);
        let (writer, reader) = (
            StatusWriter::new(Own::new(&page)),
            StatusReader::new(View::new(&page)),
        );
        writer.beat(20);
        assert_eq!((reader.heartbeat(), reader.heartbeat_ns()), (2, 20));
        writer.set_lane_free(31, 9);
        assert_eq!(reader.lane_free(31), 9);
    }
}
