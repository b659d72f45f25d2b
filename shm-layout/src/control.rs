//! The control words: what the supervisor tells, and only asks for what does not change the simulated state.
//!
//! One page of words, then the recovery log, then the membership log ([`crate::membership`]). All are written by the
//! supervisor that holds the run lock; its successor takes them over as they are.

use super::cells::{Field, read_text, write_text};
use super::doorbell;
use super::status::StatusReader;
use super::stop::{NO_STOP, StopWords, Verdict};
use super::sys::futex::FutexWord;
use super::torus::{TORI, Torus};
use super::words::{Own, View};
use crate::gate;

pub use super::recovery::{Cause, RECOVERY_WORDS, Recovery};
pub use super::rollback::{ROLLBACK_WORDS, ROLLBACKS, Rollback};
pub use super::run_state::{Desired, RunState};

/// Words of the control page.
pub const CONTROL_WORDS: usize = 512;
/// Records that the recovery log holds; older ones are overwritten.
pub const RECOVERIES: usize = 1024;
/// Bytes of the failure text.
pub const FAILURE_BYTES: usize = 1024;

const RUN_STATE: usize = 2;
const DESIRED: usize = 3;
const STOP_AT: usize = 8;
const STOP_DECIDED: usize = 9;
const GATE: usize = 16;
const GATE_NUMBER: usize = 17;
const DOORBELL: usize = 24;
const RECOVERY_COUNT: usize = 64;
const FAILURE_TORUS: usize = 72;
const FAILURE_LENGTH: usize = 73;
const FAILURE_TEXT: usize = 80;
const ROLLBACK_COUNT: usize = 255;
const ROLLBACK_ORDERS: usize = 256;
const _: () = assert!(ROLLBACK_ORDERS + ROLLBACKS * ROLLBACK_WORDS <= CONTROL_WORDS);

/// Where the stop words stand.
pub(crate) const STOP_WORDS: StopWords = StopWords {
    stop_at: STOP_AT,
    stop_decided: STOP_DECIDED,
};

const EXTRA: &[Field] = &[
    Field {
        name: "run_state",
        first: RUN_STATE,
        words: 1,
    },
    Field {
        name: "desired",
        first: DESIRED,
        words: 1,
    },
    Field {
        name: "stop_at",
        first: STOP_AT,
        words: 1,
    },
    Field {
        name: "stop_decided",
        first: STOP_DECIDED,
        words: 1,
    },
    Field {
        name: "gate (BusyEvent, 2 bytes)",
        first: GATE,
        words: 1,
    },
    Field {
        name: "gate_number",
        first: GATE_NUMBER,
        words: 1,
    },
    Field {
        name: "doorbell",
        first: DOORBELL,
        words: 1,
    },
    Field {
        name: "recovery_count",
        first: RECOVERY_COUNT,
        words: 1,
    },
    Field {
        name: "failure_torus",
        first: FAILURE_TORUS,
        words: 1,
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
    Field {
        name: "rollback_count",
        first: ROLLBACK_COUNT,
        words: 1,
    },
    Field {
        name: "rollback orders",
        first: ROLLBACK_ORDERS,
        words: ROLLBACKS * ROLLBACK_WORDS,
    },
];

/// The supervisor's end of the control words.
#[derive(Debug)]
pub struct ControlWriter<'s> {
    words: Own<'s>,
    recoveries: Own<'s>,
}

/// Everyone's view of the control words.
#[derive(Clone, Copy, Debug)]
pub struct ControlReader<'s> {
    words: View<'s>,
    recoveries: View<'s>,
}

word_table! {
    writer ControlWriter, reader ControlReader;
    words {
        /// The supervisor's pid; 0: none yet. A supervisor lives if the run lock is held, whatever stands here.
        supervisor_pid, set_supervisor_pid @ 0;
        /// The supervisor's start time (field 22 of /proc/PID/stat).
        supervisor_start_time, set_supervisor_start_time @ 1;
        /// Wall-clock time of creation in ns since 1970.
        created_ns, set_created_ns @ 4;
        /// Wall-clock time at which the gate was first opened, in ns since 1970.
        started_ns, set_started_ns @ 5;
        /// Wall-clock time at which the run finished, stopped or failed, in ns since 1970.
        finished_ns, set_finished_ns @ 6;
        /// Rises when the supervisor asks for a checkpoint now.
        checkpoint_request, set_checkpoint_request @ 7;
        /// Requests to damage the memory of a worker, of a run that allows it; the next three words belong to the newest.
        damage_request, set_damage_request @ 240;
        /// The torus.
        damage_torus, set_damage_torus @ 241;
        /// What is to be damaged, as the kernel numbers it.
        damage_what, set_damage_what @ 242;
        /// Chooses which one of them, and how.
        damage_seed, set_damage_seed @ 243;
        /// The process that stands by to become the next successor, whichever torus needs one; 0: none.
        standby_pid, set_standby_pid @ 248;
    }
    arrays {
        /// The incarnation of the worker that the supervisor started last; an older one exits.
        expected_incarnation, set_expected_incarnation, Torus => Torus::index, TORI, @ 32;
        /// Restarts of a torus's worker.
        restarts, set_restarts, Torus => Torus::index, TORI, @ 36;
        /// CLOCK_MONOTONIC in ns at which the supervisor last killed a torus's worker; 0: never.
        killed_at_ns, set_killed_at_ns, Torus => Torus::index, TORI, @ 40;
        /// 1 while a torus is held away: its worker is not replaced.
        held, set_held, Torus => Torus::index, TORI, @ 44;
    }
}

impl<'s> ControlWriter<'s> {
    /// The control page and the recovery log.
    pub fn new(words: Own<'s>, recoveries: Own<'s>) -> Self {
        debug_assert!(words.len() >= CONTROL_WORDS && recoveries.len() >= RECOVERIES * RECOVERY_WORDS);
        Self { words, recoveries }
    }

    /// The reading end of the same words.
    pub fn reader(&self) -> ControlReader<'s> {
        ControlReader {
            words: self.words.view(),
            recoveries: self.recoveries.view(),
        }
    }

    /// The words of a run that has not begun: starting, wanted, no stop, gate closed.
    pub fn initialise(&self) {
        self.clear_stop();
        self.close_gate();
        self.set_desired(Desired::Run);
        self.set_run_state(RunState::Starting);
    }

    /// Sets how far the run is.
    pub fn set_run_state(&self, state: RunState) {
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `ControlReader::run_state`.
        self.words.store_release(RUN_STATE, state as u64);
    }

    /// Sets what the supervisor wants.
    pub fn set_desired(&self, desired: Desired) {
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `ControlReader::desired`.
        self.words.store_release(DESIRED, desired as u64);
    }

    /// Proposes to stop all workers at boundary `stop`, and decides it if none has come that far.
    ///
    /// # Errors
    /// The highest boundary announced; propose again with a higher one (the workers at or beyond `stop` hold until
    /// then).
    pub fn propose_stop(&self, stop: u64, workers: &[StatusReader<'_>]) -> Result<(), u64> {
        STOP_WORDS.propose(&self.words, stop, workers.iter().map(StatusReader::boundary_word))
    }

    /// Decides the boundary at which all workers stop: at least `at_least`, and `margin` (at least 1) ahead of all of
    /// them. A stop that is already decided stays as it is.
    pub fn decide_stop(&self, at_least: u64, margin: u64, workers: &[StatusReader<'_>]) -> u64 {
        let decided = self.reader().stop_decided();
        if decided != NO_STOP {
            return decided;
        }
        let highest = workers.iter().map(StatusReader::boundary).max().unwrap_or(0);
        let mut stop = at_least.max(highest.saturating_add(margin.max(1)));
        while let Err(highest) = self.propose_stop(stop, workers) {
            stop = highest.saturating_add(margin.max(1));
        }
        stop
    }

    /// Takes back a stop. Only while no worker of the run lives, before a resumed run starts.
    pub fn clear_stop(&self) {
        STOP_WORDS.clear(&self.words);
    }

    /// Opens the start gate, as request `number`.
    pub fn open_gate(&self, number: u64) {
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `ControlReader::gate_is_open`.
        self.words.store_release(GATE_NUMBER, number);
        gate::set(&self.words, GATE, true);
    }

    /// Closes the start gate.
    pub fn close_gate(&self) {
        gate::set(&self.words, GATE, false);
    }

    /// Rings the supervisor's doorbell and wakes everyone who sleeps on it.
    pub fn ring_doorbell(&self) {
        doorbell::ring(&self.words, DOORBELL);
        FutexWord::new(self.words.view(), DOORBELL).wake(u32::MAX);
    }

    /// Records why the run failed: the torus, if it was one, and a text, cut at 1024 bytes.
    pub fn set_failure(&self, torus: Option<Torus>, text: &str) {
        self.words
            .store(FAILURE_TORUS, torus.map_or(0, |torus| torus.index() as u64 + 1));
        write_text(&self.words, FAILURE_LENGTH, FAILURE_TEXT, FAILURE_BYTES, text);
    }

    /// Asks for damage to the memory of the worker of `torus`; returns the request's number.
    pub fn request_damage(&self, torus: Torus, what: u64, seed: u64) -> u64 {
        self.set_damage_torus(torus.index() as u64);
        self.set_damage_what(what);
        self.set_damage_seed(seed);
        let number = self.reader().damage_request() + 1;
        self.set_damage_request(number);
        number
    }

    /// Gives a rollback order. Only while no worker of the run lives. An order is written into a slot of its own before
    /// the count names it, so a supervisor that dies in between has given none.
    pub fn order_rollback(&self, rollback: &Rollback) {
        self.update_rollback(rollback);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `ControlReader::rollback_count`.
        self.words.store_release(ROLLBACK_COUNT, rollback.number);
    }

    /// Rewrites an order as more becomes known; what each torus does never changes.
    pub fn update_rollback(&self, rollback: &Rollback) {
        self.words
            .write(rollback_start(rollback.number), &rollback.to_words());
    }

    /// Appends a recovery to the log and returns its number, for [`ControlWriter::update_recovery`].
    pub fn push_recovery(&self, recovery: &Recovery) -> u64 {
        let number = self.words.load(RECOVERY_COUNT);
        self.update_recovery(number, recovery);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `ControlReader::recovery_count`.
        self.words.store_release(RECOVERY_COUNT, number + 1);
        number
    }

    /// Rewrites recovery `number` as more becomes known. Readers may see some times before others.
    pub fn update_recovery(&self, number: u64, recovery: &Recovery) {
        self.recoveries
            .write(recovery_start(number), &recovery.to_words());
    }
}

fn rollback_start(number: u64) -> usize {
    // The remainder is below ROLLBACKS, so it fits.
    ROLLBACK_ORDERS + (number % ROLLBACKS as u64) as usize * ROLLBACK_WORDS
}

fn recovery_start(number: u64) -> usize {
    // The remainder is below RECOVERIES, so it fits.
    (number % RECOVERIES as u64) as usize * RECOVERY_WORDS
}

impl<'s> ControlReader<'s> {
    /// The control page and the recovery log.
    pub fn new(words: View<'s>, recoveries: View<'s>) -> Self {
        debug_assert!(words.len() >= CONTROL_WORDS && recoveries.len() >= RECOVERIES * RECOVERY_WORDS);
        Self { words, recoveries }
    }

    pub(crate) fn words(&self) -> View<'s> {
        self.words
    }

    /// How far the run is; `None` if the word is damaged.
    pub fn run_state(&self) -> Option<RunState> {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `ControlWriter::set_run_state`.
        RunState::from_word(self.words.load_acquire(RUN_STATE))
    }

    /// What the supervisor wants; `None` if the word is damaged.
    pub fn desired(&self) -> Option<Desired> {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `ControlWriter::set_desired`.
        Desired::from_word(self.words.load_acquire(DESIRED))
    }

    /// The boundary at which the supervisor proposes to stop; [`NO_STOP`]: none.
    pub fn stop_at(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `StopWords::clear`.
        self.words.load_acquire(STOP_AT)
    }

    /// The boundary at which the run stops, decided for good; [`NO_STOP`]: none.
    pub fn stop_decided(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `StopWords::propose`.
        self.words.load_acquire(STOP_DECIDED)
    }

    /// For a worker that holds at `boundary`: whether it may go on, or the run ends here.
    pub fn look_for_stop(&self, boundary: u64) -> Verdict {
        STOP_WORDS.look(boundary, self.words)
    }

    /// The number of the newest request to open the gate.
    pub fn gate_number(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `ControlWriter::open_gate`.
        self.words.load_acquire(GATE_NUMBER)
    }

    /// Whether the start gate is open. Looks once and does not wait; not for hot paths, because a look at a closed gate
    /// allocates.
    pub fn gate_is_open(&self) -> bool {
        gate::is_set(self.words, GATE) && {
            // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `ControlWriter::open_gate`. The
            // gate's own byte is relaxed.
            self.words.load_acquire(GATE_NUMBER) != 0
        }
    }

    /// The supervisor's doorbell, to sleep on.
    pub fn doorbell_word(&self) -> FutexWord<'s> {
        FutexWord::new(self.words, DOORBELL)
    }

    /// Why the run failed, if it did: the torus, if it was one, and the text.
    pub fn failure(&self) -> Option<(Option<Torus>, String)> {
        let text = read_text(self.words, FAILURE_LENGTH, FAILURE_TEXT, FAILURE_BYTES);
        let torus = self.words.load(FAILURE_TORUS).checked_sub(1);
        let torus = torus.and_then(|index| Torus::from_index(usize::try_from(index).ok()?));
        (!text.is_empty()).then_some((torus, text))
    }

    /// Rollback orders ever given; the number of the newest.
    pub fn rollback_count(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `ControlWriter::order_rollback`.
        self.words.load_acquire(ROLLBACK_COUNT)
    }

    /// Rollback order `number`; `None` if there is none, it has been overwritten, or is damaged.
    pub fn rollback(&self, number: u64) -> Option<Rollback> {
        let count = self.rollback_count();
        if number == 0 || number > count || count - number >= ROLLBACKS as u64 {
            return None;
        }
        let mut words = [0; ROLLBACK_WORDS];
        self.words.read(rollback_start(number), &mut words);
        Rollback::from_words(&words).filter(|rollback| rollback.number == number)
    }

    /// The newest rollback order, if there ever was one.
    pub fn last_rollback(&self) -> Option<Rollback> {
        self.rollback(self.rollback_count())
    }

    /// The rollback orders that are kept, oldest first.
    pub fn rollbacks(&self) -> Vec<Rollback> {
        let count = self.rollback_count();
        (count.saturating_sub(ROLLBACKS as u64)..=count)
            .filter_map(|number| self.rollback(number))
            .collect()
    }

    /// Recoveries ever logged.
    pub fn recovery_count(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `ControlWriter::push_recovery`.
        self.words.load_acquire(RECOVERY_COUNT)
    }

    /// Recovery `number`; `None` if it is not logged, has been overwritten, or is damaged.
    pub fn recovery(&self, number: u64) -> Option<Recovery> {
        let count = self.recovery_count();
        if number >= count || count - number > RECOVERIES as u64 {
            return None;
        }
        let mut words = [0; RECOVERY_WORDS];
        self.recoveries.read(recovery_start(number), &mut words);
        Recovery::from_words(&words)
    }

    /// The recoveries that the log still holds, oldest first.
    pub fn recoveries(&self) -> Vec<Recovery> {
        let count = self.recovery_count();
        (count.saturating_sub(RECOVERIES as u64)..count)
            .filter_map(|number| self.recovery(number))
            .collect()
    }
}

/// Every field of the control page with its words, in order.
pub fn fields() -> Vec<Field> {
    let mut fields: Vec<_> = FIELDS.iter().chain(EXTRA).copied().collect();
    fields.sort_by_key(|field| field.first);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    fn zeros(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn fields_do_not_overlap() {
        assert!(crate::cells::disjoint(FIELDS, EXTRA, CONTROL_WORDS));
    }

    #[test]
    fn the_gate_opens_and_closes_and_a_look_never_writes() {
        let (page, log) = (zeros(CONTROL_WORDS), zeros(RECOVERIES * RECOVERY_WORDS));
        let writer = ControlWriter::new(Own::new(&page), Own::new(&log));
        let reader = writer.reader();
        writer.initialise();
        assert!(!reader.gate_is_open());
        writer.open_gate(7);
        assert!(reader.gate_is_open());
        assert!(reader.gate_is_open(), "a look leaves it open");
        assert_eq!(reader.gate_number(), 7);
        writer.close_gate();
        assert!(!reader.gate_is_open());
        // Auto reset would make a look write; a gate that claims it is taken for closed.
        Own::new(&page).store(GATE, 0x0101);
        assert!(!reader.gate_is_open());
    }

    #[test]
    fn the_recovery_log_keeps_the_newest() {
        let (page, log) = (zeros(CONTROL_WORDS), zeros(RECOVERIES * RECOVERY_WORDS));
        let writer = ControlWriter::new(Own::new(&page), Own::new(&log));
        let reader = writer.reader();
        assert_eq!(reader.recoveries(), []);
        for incarnation in 0..RECOVERIES as u64 + 3 {
            writer.push_recovery(&Recovery::new(Torus::B, incarnation, Cause::Signal(9)));
        }
        let mut last = Recovery::new(Torus::C, 1, Cause::Exit(-1));
        let number = writer.push_recovery(&last);
        last.caught_up_ns = 5;
        writer.update_recovery(number, &last);
        let all = reader.recoveries();
        assert_eq!(
            (all.len(), all[0].incarnation, all.last()),
            (RECOVERIES, 4, Some(&last))
        );
        assert_eq!(reader.recovery(3), None);
    }

    #[test]
    fn rollback_orders_are_numbered_and_the_newest_stay() {
        use crate::audit::{Difference, Finding};
        let (page, log) = (zeros(CONTROL_WORDS), zeros(RECOVERIES * RECOVERY_WORDS));
        let writer = ControlWriter::new(Own::new(&page), Own::new(&log));
        let reader = writer.reader();
        assert_eq!(reader.last_rollback(), None);
        let finding = Finding {
            torus: Torus::B,
            interval: 5,
            difference: Difference::Frame,
            found_at: 8,
            committed: 1,
            executed: 2,
        };
        for _ in 0..ROLLBACKS + 2 {
            let before = reader.last_rollback();
            let order = crate::rollback::order(finding, 1, 2, [9; 3], [3; 3], before.as_ref());
            writer.order_rollback(&order);
            assert_eq!(reader.last_rollback(), Some(order));
        }
        let numbers: Vec<_> = reader.rollbacks().iter().map(|order| order.number).collect();
        assert_eq!(numbers, (3..=10).collect::<Vec<_>>());
    }

    #[test]
    fn a_request_to_damage_memory_is_numbered() {
        let (page, log) = (zeros(CONTROL_WORDS), zeros(RECOVERIES * RECOVERY_WORDS));
        let writer = ControlWriter::new(Own::new(&page), Own::new(&log));
        assert_eq!(writer.request_damage(Torus::C, 1, 7), 1);
        assert_eq!(writer.request_damage(Torus::B, 2, 9), 2);
        let reader = writer.reader();
        assert_eq!(
            (reader.damage_torus(), reader.damage_what(), reader.damage_seed()),
            (1, 2, 9)
        );
    }

    #[test]
    fn a_stop_is_decided_ahead_of_every_worker_and_stays() {
        let (page, log) = (zeros(CONTROL_WORDS), zeros(RECOVERIES * RECOVERY_WORDS));
        let cells = [zeros(512), zeros(512)];
        let writer = ControlWriter::new(Own::new(&page), Own::new(&log));
        writer.initialise();
        let reader = writer.reader();
        let workers = [0, 1].map(|i| crate::status::StatusWriter::new(Own::new(&cells[i])));
        assert_eq!(workers[0].announce_boundary(10, &reader), Verdict::Go);
        let views = [workers[0].reader(), workers[1].reader()];
        assert_eq!(writer.propose_stop(9, &views), Err(10));
        assert_eq!(reader.look_for_stop(10), Verdict::Hold);
        assert_eq!(writer.decide_stop(0, 2, &views), 12);
        assert_eq!(reader.look_for_stop(10), Verdict::Go);
        assert_eq!(
            workers[0].announce_boundary(12, &reader),
            Verdict::Finish { at: 12 }
        );
        assert_eq!(writer.decide_stop(99, 2, &views), 12);
    }

    #[test]
    fn the_failure_names_torus_and_text() {
        let (page, log) = (zeros(CONTROL_WORDS), zeros(RECOVERIES * RECOVERY_WORDS));
        let writer = ControlWriter::new(Own::new(&page), Own::new(&log));
        assert_eq!(writer.reader().failure(), None);
        writer.set_failure(Some(Torus::C), "out of pending events");
        assert_eq!(
            writer.reader().failure(),
            Some((Some(Torus::C), "out of pending events".to_owned()))
        );
        writer.set_failure(None, "no memory");
        assert_eq!(writer.reader().failure(), Some((None, "no memory".to_owned())));
    }
}
