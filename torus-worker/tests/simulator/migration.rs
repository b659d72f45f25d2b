//! Processes that move while either side dies: at every point of the run, and in random schedules.

use std::ops::Range;

use shm_layout::config::RunConfig;
use shm_layout::hash;
use shm_layout::record::LaneEntry;
use shm_layout::region::WorkerSegment;
use shm_layout::torus::Torus;
use torus_worker::journal::{
    Appended, HEADER_BYTES, Journal, JournalError, MemoryJournal, Record, Records, frame as frame_record,
};
use torus_worker::model::Model;
use torus_worker::models::Phold;
use torus_worker::setup;

use crate::random::{self, Random};
use crate::world::{Act, Damage, JournalKind, Plan, run};
use crate::{cascade, exact, small};

/// Events of the three tori; none is ever lost or doubled.
const ALIVE: u64 = 3 * 48;

/// `phold` with twenty processes in sixty-four cells.
fn sparse(lag: u32) -> RunConfig {
    small::<Phold>(
        lag,
        &[
            ("population", "48"),
            ("occupied", "20"),
            ("remote", "0.3"),
            ("max_delay", "8"),
        ],
        None,
    )
}

/// The same, with most events on A, and balanced.
fn lopsided(lag: u32) -> RunConfig {
    let mut config = small::<Phold>(
        lag,
        &[
            ("population", "24"),
            ("skew", "8"),
            ("occupied", "20"),
            ("max_delay", "8"),
        ],
        None,
    );
    config.balance_percent = Some(20);
    config
}

fn moving(seed: u64) -> Plan {
    Plan {
        migrate: true,
        ..Plan::calm(seed)
    }
}

#[test]
fn either_side_killed_at_every_point_while_processes_move_equals_its_oracle() {
    let (mut moved, mut kills) = (0, 0);
    for lag in [1, 2, 3] {
        let calm = exact::<Phold>(&sparse(lag), &moving(11));
        assert_eq!(calm.alive, ALIVE);
        for torus in Torus::ALL {
            for at in 1..=calm.count[torus.index()] {
                let mut plan = moving(11);
                plan.deaths[torus.index()] = vec![at];
                let outcome = exact::<Phold>(&sparse(lag), &plan);
                assert_eq!(outcome.alive, ALIVE, "{plan:?}");
                moved += outcome.moved;
                kills += outcome.killed;
            }
        }
    }
    println!("{kills} deaths, {moved} processes moved");
    assert!(moved > kills, "runs move processes");
}

#[test]
fn both_sides_killed_together_while_processes_move_equal_their_oracle() {
    let calm = exact::<Phold>(&sparse(2), &moving(12));
    for at in 1..=calm.count[0] {
        let mut plan = moving(12);
        plan.deaths[0] = vec![at];
        plan.companion = Some(Torus::B);
        assert_eq!(exact::<Phold>(&sparse(2), &plan).alive, ALIVE, "{plan:?}");
    }
}

#[test]
fn a_load_that_balances_itself_ends_the_same_whoever_is_killed_and_when() {
    for lag in [1, 2] {
        let calm = exact::<Phold>(&lopsided(lag), &Plan::calm(13));
        assert!(calm.moved > 0, "there is something to balance");
        assert_eq!(calm.alive, 24 * (8 + 1 + 1));
        for torus in Torus::ALL {
            for at in 1..=calm.count[torus.index()] {
                let mut plan = Plan::calm(13);
                plan.deaths[torus.index()] = vec![at];
                let outcome = exact::<Phold>(&lopsided(lag), &plan);
                assert_eq!(outcome.digests, calm.digests, "{plan:?}");
            }
        }
    }
}

#[test]
fn random_schedules_of_migrations_deaths_resumes_and_larger_capacities_equal_their_oracles() {
    let mut random = Random::new(random::seed());
    let (mut moved, mut killed) = (0, 0);
    for round in 0..200 {
        let lag = 1 + random.below(4) as u32;
        let mut plan = crate::random_plan(&mut random);
        plan.migrate = true;
        plan.inject = round % 3 == 2;
        // Constraints change the population.
        plan.command = plan.command && round % 3 != 1;
        plan.heirs = random.below(2) == 0;
        if random.below(2) == 0 {
            plan.stop_after = None;
            let acts = [
                Act::StopAndResume,
                Act::EverythingDies,
                Act::EverythingDiesAndGrows,
            ];
            plan.acts = (0..1 + random.below(3))
                .map(|_| (random.below(3000), acts[random.below(3) as usize]))
                .collect();
            plan.acts.sort_by_key(|(at, _)| *at);
        }
        let outcome = match round % 3 {
            0 => exact::<torus_worker::models::Cascade>(&cascade(lag), &plan),
            _ => exact::<Phold>(&sparse(lag), &plan),
        };
        if round % 3 == 1 {
            assert_eq!(outcome.alive, ALIVE, "{plan:?}");
        }
        moved += outcome.moved;
        killed += outcome.killed;
    }
    println!("{killed} deaths, {moved} processes moved");
    assert!(moved > 150 && killed > 200);
}

/// The mistake: where a process was to go is noted wrongly.
struct Misdirecting(MemoryJournal);

impl Journal for Misdirecting {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError> {
        let mut scratch = MemoryJournal::new(vec![0; HEADER_BYTES as usize]);
        scratch.append(framed)?;
        let all = HEADER_BYTES..scratch.length();
        for appended in scratch.records(all)? {
            let mut record = appended.record;
            if let Record::Intake { injected, .. } = &mut record {
                let commands = injected
                    .iter_mut()
                    .map(|injection| &mut injection.entry)
                    .filter(|entry| entry.kind == LaneEntry::MIGRATE);
                commands.for_each(|entry| entry.payload = (entry.payload + 1) % 3);
            }
            let mut wrong = Vec::new();
            frame_record(&record, &mut wrong);
            self.0.append(&wrong)?;
        }
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<(), JournalError> {
        self.0.truncate(length)
    }

    fn records(&mut self, bytes: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        self.0.records(bytes)
    }

    fn keep_for_redo(&mut self, number: u64, length: u64) -> Result<(), JournalError> {
        self.0.keep_for_redo(number, length)
    }

    fn redo(&mut self, number: u64) -> Result<Vec<Appended>, JournalError> {
        self.0.redo(number)
    }

    fn forget_redo(&mut self, number: u64) -> Result<(), JournalError> {
        self.0.forget_redo(number)
    }
}

impl Records for Misdirecting {
    fn records_between(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        self.0.records_between(range)
    }
}

impl JournalKind for Misdirecting {
    fn new(bytes: Vec<u8>) -> Self {
        Self(MemoryJournal::new(bytes))
    }

    fn successor(&self) -> Self {
        Self(self.0.clone())
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.bytes()
    }

    fn tear(&mut self, _: &mut Random) {}
}

#[test]
fn a_journal_that_notes_another_target_is_caught() {
    let caught = (1..30).filter(|at| {
        let mut plan = moving(11);
        plan.deaths[0] = vec![at * 7];
        match run::<Phold, Misdirecting>(&sparse(2), &plan) {
            Ok(outcome) => outcome.digests != outcome.oracle,
            Err(_) => true,
        }
    });
    assert_eq!(caught.count(), 29, "every run takes commands in");
}

/// The mistake: the newest checkpoint of a torus tells another place that the process of its first old place moved to. Returns
/// whether it tells of any.
pub fn misremember<M: Model>(views: &WorkerSegment<'_>, config: &RunConfig) -> bool {
    let slots = &views.own.checkpoints;
    let Some((slot, mut header)) = slots.reader().newest() else {
        return false;
    };
    let mut words = vec![0; header.bytes as usize / 8];
    slots.reader().read(slot, 0, &mut words);
    let mut node = setup::empty_node::<M>(config, views.torus).expect("the configuration of the run");
    if node.load(&words).is_err() {
        return false;
    }
    let Some((cell, to)) = node.migrations().forwards().first() else {
        return false;
    };
    let as_saved = (to.torus.index() as u64) << 56 | u64::from(to.cell) << 32 | u64::from(*cell);
    let word = words.iter_mut().rfind(|word| **word == as_saved);
    *word.expect("a forward as it is saved") ^= 1 << 32;
    slots.invalidate(slot);
    slots.write(slot, 0, &words);
    header.hash = hash::words(&words);
    slots.publish(slot, &header);
    true
}

#[test]
fn a_checkpoint_that_misremembers_where_a_process_went_is_caught() {
    let mut mistakes = 0;
    for seed in 0..90 {
        let mut plan = moving(seed);
        plan.damage = Some(Damage::Forward);
        plan.deaths[1] = vec![150 + seed];
        let Ok(outcome) = run::<Phold, MemoryJournal>(&sparse(2), &plan) else {
            mistakes += 1;
            continue;
        };
        let is_caught = outcome.digests != outcome.oracle;
        assert_eq!(is_caught, outcome.misremembered > 0, "{plan:?}");
        mistakes += outcome.misremembered;
    }
    assert!(mistakes > 10, "{mistakes} of 90 deaths left such a checkpoint");
}
