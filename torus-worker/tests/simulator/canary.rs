//! Deliberate mistakes that the simulator must catch, or its silence means nothing.

use std::ops::Range;

use shm_layout::config::OnLoss;
use shm_layout::record::Event;
use shm_layout::torus::Torus;
use torus_worker::journal::{Appended, Journal, JournalError, MemoryJournal, Records};
use torus_worker::model::{
    CapacityHint, ConstraintKind, Corrector, Coupling, Deviation, KernelError, Model, Outbox, ParameterError,
    Parameters, Setup, Site, World,
};
use torus_worker::models::Phold;

use crate::phold;
use crate::random::Random;
use crate::world::{Act, JournalKind, Plan, run};

/// The mistake: a record reaches the journal only with the next one, after its frame may have been committed.
#[derive(Default)]
struct LateJournal {
    written: MemoryJournal,
    late: Vec<u8>,
}

impl Journal for LateJournal {
    fn length(&self) -> u64 {
        self.written.length() + self.late.len() as u64
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError> {
        let late = std::mem::replace(&mut self.late, framed.to_vec());
        self.written.append(&late)
    }

    fn truncate(&mut self, length: u64) -> Result<(), JournalError> {
        self.written.truncate(length)
    }

    fn records(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        self.written.records(range)
    }

    fn keep_for_redo(&mut self, number: u64, length: u64) -> Result<(), JournalError> {
        self.written.keep_for_redo(number, length)
    }

    fn redo(&mut self, number: u64) -> Result<Vec<Appended>, JournalError> {
        self.written.redo(number)
    }

    fn forget_redo(&mut self, number: u64) -> Result<(), JournalError> {
        self.written.forget_redo(number)
    }
}

impl Records for LateJournal {
    fn records_between(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        self.written.records_between(range)
    }
}

impl JournalKind for LateJournal {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            written: MemoryJournal::new(bytes),
            late: Vec::new(),
        }
    }

    fn successor(&self) -> Self {
        Self {
            written: self.written.clone(),
            late: Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.written.bytes()
    }

    fn tear(&mut self, _: &mut Random) {}
}

#[test]
fn a_journal_that_is_written_too_late_is_caught() {
    let config = crate::phold(2);
    let caught = (1..60).filter(|at| {
        let mut plan = Plan {
            inject: true,
            ..Plan::calm(11)
        };
        plan.deaths[0] = vec![at * 3];
        match run::<Phold, LateJournal>(&config, &plan) {
            Ok(outcome) => outcome.digests != outcome.oracle,
            Err(_) => true,
        }
    });
    assert!(caught.count() > 0);
}

/// The mistake: a model that counts its calls outside the cells, so a replay sees another world.
struct Fickle;

impl Model for Fickle {
    const NAME: &'static str = "fickle";
    const ABOUT: &'static str = "not a function of its input";
    type Cell = u64;

    fn new(_: &Parameters, _: &World) -> Result<Self, ParameterError> {
        Ok(Fickle)
    }

    fn capacity(&self, _: &World) -> CapacityHint {
        CapacityHint {
            pending: 64,
            edges: 64,
            remote_per_interval: 64,
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let torus = setup.world().torus;
        let place = torus_worker::kernel::Place { torus, cell: 0 };
        setup.spawn(0, 0)?;
        setup.connect(0, torus_worker::kernel::Edge { to: place, delay: 1 })?;
        setup.schedule(shm_layout::record::TimedEvent {
            time: 1,
            dst: 0,
            src: shm_layout::record::Source(0),
            payload: 0,
        })
    }

    fn handle(&self, _: &mut Site<'_, u64>, _: &[Event], out: &mut Outbox<'_>) {
        use std::sync::atomic::{AtomicI64, Ordering};
        static CALLS: AtomicI64 = AtomicI64::new(0);
        // Ordering: none needed; the count itself is the mistake.
        out.send(0, 1, CALLS.fetch_add(1, Ordering::Relaxed));
    }
}

#[test]
fn a_model_that_is_not_deterministic_is_caught_by_its_replay() {
    let config = crate::small::<Fickle>(2, &[], None);
    let divergences = (20..80).filter(|at| {
        let mut plan = Plan::calm(2);
        plan.deaths[2] = vec![*at];
        run::<Fickle, MemoryJournal>(&config, &plan).is_err_and(|error| error.contains("divergence"))
    });
    assert!(divergences.count() > 0);
}

/// The mistakes: a face that is not a function of the process, a response that is not one of the deviation, and a total
/// that is not one of the state, on which the length of intervals then depends.
struct Wilful<const MISTAKE: u8>;

const FACE: u8 = 0;
const RESPONSE: u8 = 1;
const TOTAL: u8 = 2;

/// Rises with every call, and is not part of any state.
fn mood() -> i64 {
    use std::sync::atomic::{AtomicI64, Ordering};
    static CALLS: AtomicI64 = AtomicI64::new(0);
    // Ordering: none needed; the count itself is the mistake.
    CALLS.fetch_add(1, Ordering::Relaxed)
}

impl<const MISTAKE: u8> Model for Wilful<MISTAKE> {
    const NAME: &'static str = "wilful";
    const ABOUT: &'static str = "answers at its pleasure";
    const COUPLING: Coupling = Coupling::Convex;
    type Cell = i64;

    fn new(_: &Parameters, _: &World) -> Result<Self, ParameterError> {
        Ok(Wilful)
    }

    fn capacity(&self, _: &World) -> CapacityHint {
        CapacityHint {
            pending: 64,
            edges: 64,
            remote_per_interval: 64,
        }
    }

    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let torus = setup.world().torus;
        setup.spawn(0, 1000 * torus.index() as i64)
    }

    fn handle(&self, site: &mut Site<'_, i64>, bag: &[Event], _: &mut Outbox<'_>) {
        if let Some(value) = site.process() {
            *value += bag.iter().map(|event| event.payload).sum::<i64>();
        }
    }

    fn boundary_value(&self, process: &i64) -> i32 {
        *process as i32 + if MISTAKE == FACE { mood() as i32 } else { 0 }
    }

    fn constraints(&self, _: &World) -> Vec<(ConstraintKind, i64, u64)> {
        vec![(ConstraintKind::Invariant, 500, 9)]
    }

    fn correct(&self, deviation: &Deviation, torus: &mut Corrector<'_, i64>) -> Result<(), KernelError> {
        let whim = if MISTAKE == RESPONSE { mood() } else { 0 };
        torus.emit(0, 0, deviation.step() + whim);
        Ok(())
    }

    fn conserved_in_cell(&self, process: &i64) -> i64 {
        // Out of the tolerance, or far within it, from one look to the next.
        process + if MISTAKE == TOTAL { mood() % 2 * 1000 } else { 0 }
    }

    fn conserved_in_event(&self, event: &Event) -> i64 {
        event.payload
    }
}

fn wilful<const MISTAKE: u8>() -> usize {
    let config = crate::adaptive(crate::small::<Wilful<MISTAKE>>(2, &[], None));
    let caught = (20..60).filter(|at| {
        let mut plan = Plan::calm(2);
        plan.deaths[1] = vec![*at * 3];
        match run::<Wilful<MISTAKE>, MemoryJournal>(&config, &plan) {
            Ok(outcome) => outcome.digests != outcome.oracle,
            Err(_) => true,
        }
    });
    caught.count()
}

#[test]
fn a_face_that_is_not_a_function_of_the_state_is_caught() {
    assert!(wilful::<FACE>() > 0);
}

#[test]
fn a_response_that_is_not_a_function_of_the_deviation_is_caught() {
    assert!(wilful::<RESPONSE>() > 0);
}

#[test]
fn violations_that_change_from_one_look_to_the_next_are_caught_also_where_they_set_the_length() {
    assert!(wilful::<TOTAL>() > 0);
}

/// The mistake: a torus is absent from a boundary that the others may have entered with its frame.
#[test]
fn an_absence_that_begins_too_early_is_caught() {
    let mut config = phold(2);
    (config.on_loss, config.until) = (OnLoss::Degrade, Some(2000));
    let caught = |hasty: bool| {
        let plans = (20..23).map(|at| Plan {
            acts: vec![(at * 7, Act::HeldAway(Torus::ALL[at as usize % 3], 400))],
            hasty,
            ..Plan::calm(at)
        });
        let is_caught = |plan: &Plan| match run::<Phold, MemoryJournal>(&config, plan) {
            Ok(outcome) => outcome.digests != outcome.oracle,
            Err(_) => true,
        };
        plans.filter(is_caught).count()
    };
    // The others wait for a frame of it for ever, or part from the oracle.
    assert_eq!(caught(true), 3);
    assert_eq!(caught(false), 0);
}

/// What catches the others does so because of their mistake: without one, the same model and plans are exact.
#[test]
fn the_same_model_without_a_mistake_is_exact() {
    assert_eq!(wilful::<3>(), 0);
}
