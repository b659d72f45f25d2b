//! Scrubbing in the simulator: faults of memory, the audit that finds them, and the watchdog that takes back what they
//! led to.
//!
//! The auditor and the successors are the shipped ones. The scrubber dies at random moments, the watchdog forgets
//! what it was at, and workers die at every point of a rollback and of the redo after it.

use shm_layout::audit::{Difference, Finding};
use shm_layout::config::RunConfig;
use shm_layout::rollback;
use shm_layout::torus::Torus;
use torus_worker::journal::{MemoryJournal, Record, parse};
use torus_worker::kernel::Damage;
use torus_worker::member::audit::{Audit, Auditor, may_begin};
use torus_worker::member::{MemberError, Point};
use torus_worker::model::Model;
use torus_worker::models::{Cascade, Heat, Phold};

use crate::random::{self, Random};
use crate::world::{Act, JournalKind, Outcome, Plan, Sim, run};

/// A flipped bit in the memory of a worker.
#[derive(Clone, Copy, Debug)]
pub struct MemoryFault {
    pub torus: Torus,
    pub what: Damage,
    pub seed: u64,
}

/// A deliberate mistake that the simulator must catch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A checkpoint counts as cleared although what its peers had sent for it is not audited yet.
    ClearsTooEarly,
    /// The peers keep the frames that they committed with what a tainted interval had sent them. (The one that is made
    /// good all the same: their replays begin before it, and differ.)
    SparesThePeers,
    /// What is executed again takes in from the lanes what happens to lie there.
    ForgetsTheIntake,
}

/// What scrubbing did in a run.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// The orders that were given.
    pub rollbacks: u64,
    /// By what was found: frame, state, error, replay.
    pub found: [u64; 4],
    /// The longest way from a fault to its finding, in intervals.
    pub furthest: u64,
    /// Times that the scrubber died.
    pub scrubbers_killed: u64,
    /// Faults that a worker suffered.
    pub suffered: u64,
    /// Steps of the scheduler.
    pub steps: u64,
}

/// The scrubber, and what the simulated watchdog and the clients remember of it.
pub struct Scrubbing<M: Model, J: JournalKind> {
    auditor: Option<Auditor<'static, M, J>>,
    /// A successor gave up over a divergence.
    divergence: Option<Finding>,
    /// The intake of each torus that was committed before a rollback: clients know of it.
    promised: [Vec<Record>; 3],
    next_fault: usize,
    scrubbed: Scrubbed,
}

impl<M: Model, J: JournalKind> Default for Scrubbing<M, J> {
    fn default() -> Self {
        Self {
            auditor: None,
            divergence: None,
            promised: Default::default(),
            next_fault: 0,
            scrubbed: Scrubbed::default(),
        }
    }
}

impl<M: Model, J: JournalKind> Scrubbing<M, J> {
    pub fn die(&mut self) {
        self.auditor = None;
    }
}

impl<M: Model, J: JournalKind> Sim<'_, M, J> {
    /// One step of the scrubber and of the watchdog.
    pub fn scrub(&mut self, now: u64) -> Result<(), String> {
        self.scrubbing.scrubbed.steps += 1;
        self.fault(now);
        if self.is_taken_back() {
            self.take_back(now)
        } else {
            self.audit()
        }
    }

    /// Asks for the next fault of memory when its time has come.
    fn fault(&mut self, now: u64) {
        let plan = self.plan;
        let Some((_, fault)) = plan
            .faults
            .get(self.scrubbing.next_fault)
            .filter(|(at, _)| *at <= now)
        else {
            return;
        };
        let MemoryFault { torus, what, seed } = *fault;
        self.segment
            .supervisor()
            .control
            .request_damage(torus, what.number(), seed);
        self.scrubbing.next_fault += 1;
    }

    /// What has been found and not been answered by an order.
    fn unanswered(&self) -> Option<Finding> {
        let reader = self.segment.reader();
        let answered = reader.control.last_rollback().map_or(0, |order| order.answers);
        let by_scrubber = reader
            .audit
            .finding()
            .filter(|_| reader.audit.finding_number() > answered);
        by_scrubber.or(self.scrubbing.divergence)
    }

    /// Whether nobody may be started, because everybody has to go back.
    pub fn is_taken_back(&self) -> bool {
        self.config.scrub && self.unanswered().is_some()
    }

    fn audit(&mut self) -> Result<(), String> {
        if self.random.below(400) == 0 && self.scrubbing.auditor.take().is_some() {
            self.scrubbing.scrubbed.scrubbers_killed += 1;
        }
        let Some(auditor) = &mut self.scrubbing.auditor else {
            let segment = self.segment.scrubber();
            if self.random.below(20) == 0 && may_begin(&segment) {
                let journals = self.journals.iter().map(JournalKind::successor).collect();
                let begun = Auditor::begin(segment, self.config, journals);
                self.scrubbing.auditor = Some(begun.map_err(|error| error.to_string())?);
            }
            return Ok(());
        };
        let budget = 1 + self.random.below(40);
        let step = if self.random.below(2) == 0 {
            auditor.advance(budget)
        } else {
            let torus = Torus::ALL[self.random.below(self.members.len() as u64) as usize];
            auditor.advance_torus(torus, budget)
        };
        if let Audit::Found(_) = step.map_err(|error| format!("the audit: {error}"))? {
            self.scrubbing.auditor = None;
        }
        if self.plan.mistake == Some(Mistake::ClearsTooEarly) {
            let page = self.segment.scrubber();
            for region in &page.reader.regions {
                let checkpoint = region.status.checkpoint();
                if page.reader.audit.verified(region.torus) >= checkpoint {
                    page.audit.set_cleared(region.torus, checkpoint);
                }
            }
        }
        Ok(())
    }

    /// A worker that cannot go on. One whose replay differs has found something; anything else ends the run.
    pub fn give_up(&mut self, i: usize, error: MemberError) -> Result<(), String> {
        let MemberError::Divergence {
            interval,
            committed,
            replayed,
            ..
        } = error
        else {
            return Err(error.to_string());
        };
        let last = self.segment.reader().control.last_rollback();
        let same =
            |f: Finding| (f.torus.index(), f.interval, f.difference) == (i, interval, Difference::Replay);
        if !self.config.scrub || last.is_some_and(|order| same(order.finding)) {
            return Err(error.to_string());
        }
        self.members[i] = None;
        self.scrubbing.divergence = Some(Finding {
            torus: Torus::ALL[i],
            interval,
            difference: Difference::Replay,
            found_at: self.segment.reader().regions[i].ring.head(),
            committed,
            executed: replayed,
        });
        Ok(())
    }

    /// The watchdog kills whoever lives, one after the other, while the rest runs on; then it gives the order.
    fn take_back(&mut self, now: u64) -> Result<(), String> {
        if self.random.below(6) != 0 {
            return Ok(());
        }
        let living: Vec<usize> = (0..self.members.len())
            .filter(|i| self.members[*i].is_some())
            .collect();
        if let Some(i) = living.get(self.random.below(living.len() as u64) as usize) {
            self.members[*i] = None;
            return Ok(());
        }
        if self.scrubbing.auditor.take().is_some() {
            return Ok(());
        }
        self.remember_promises()?;
        self.order();
        for i in 0..self.members.len() {
            self.successor_at[i] = now + self.random.below(60);
        }
        Ok(())
    }

    /// What committed frames say was taken in stays true.
    fn remember_promises(&mut self) -> Result<(), String> {
        let reader = self.segment.reader();
        let mut frame = shm_layout::frame::Frame::new(self.config.face_cells());
        for region in &reader.regions {
            let torus = region.torus;
            let Some(last) = region.ring.head().checked_sub(1) else {
                continue;
            };
            if region.ring.read(torus, last, &mut frame).is_err() {
                return Err(format!("the last frame of {torus} is damaged"));
            }
            let bytes = self.journals[torus.index()].bytes();
            let records = parse(
                &bytes[..frame.journal_length() as usize],
                self.config,
                torus,
                "(memory)",
            );
            let records = records.map_err(|error| error.to_string())?;
            let intakes = records
                .into_iter()
                .filter(|record| matches!(record, Record::Intake { .. }));
            let promised = &mut self.scrubbing.promised[torus.index()];
            for intake in intakes {
                if !promised.contains(&intake) {
                    promised.push(intake);
                }
            }
        }
        Ok(())
    }

    fn order(&mut self) {
        let Some(finding) = self.unanswered() else {
            return;
        };
        let supervisor = self.segment.supervisor();
        let before = supervisor.control_view.last_rollback();
        let mut heads = [0; 3];
        for region in &supervisor.regions {
            heads[region.torus.index()] = region.ring.head();
        }
        let cleared = Torus::ALL.map(|torus| supervisor.audit.cleared(torus));
        let answers = supervisor.audit.finding_number();
        let lag = self.config.lag.into();
        let mut order = rollback::order(finding, answers, lag, heads, cleared, before.as_ref());
        for torus in Torus::ALL {
            let part = &mut order.parts[torus.index()];
            match self.plan.mistake {
                Some(Mistake::SparesThePeers) if torus != finding.torus => part.cut = heads[torus.index()],
                Some(Mistake::ForgetsTheIntake) => part.redo_until = part.cut,
                _ => {}
            }
        }
        supervisor.control.order_rollback(&order);
        self.scrubbing.divergence = None;
        let scrubbed = &mut self.scrubbing.scrubbed;
        scrubbed.rollbacks += 1;
        scrubbed.found[finding.difference as usize] += 1;
        let status = &supervisor.regions[finding.torus.index()].status;
        if self.plan.faults.len() == 1 && status.damaged() > 0 {
            let way = finding.found_at.saturating_sub(status.damaged_at());
            scrubbed.furthest = scrubbed.furthest.max(way);
        }
    }

    /// What scrubbing did, after all that was promised has been held against the journals.
    pub fn scrubbed(&mut self) -> Result<Scrubbed, String> {
        for (torus, promised) in Torus::ALL.into_iter().zip(&self.scrubbing.promised) {
            if promised.is_empty() {
                continue;
            }
            let bytes = self.journals[torus.index()].bytes();
            let records = parse(&bytes, self.config, torus, "(memory)").map_err(|error| error.to_string())?;
            let kept = |intake: &&Record| records.iter().any(|record| is_same_intake(record, intake));
            if let Some(missing) = promised.iter().find(|intake| !kept(intake)) {
                return Err(format!(
                    "{torus} no longer takes in {missing:?}, which was committed"
                ));
            }
        }
        let mut scrubbed = std::mem::take(&mut self.scrubbing.scrubbed);
        let regions = self.segment.reader().regions;
        scrubbed.suffered = regions
            .iter()
            .filter(|region| region.status.damaged() > 0)
            .count() as u64;
        Ok(scrubbed)
    }
}

/// Whether two records took the same in at the same boundary. A run that has grown has more lanes.
fn is_same_intake(record: &Record, intake: &Record) -> bool {
    match (record, intake) {
        (
            Record::Intake {
                boundary,
                lanes,
                injected,
            },
            Record::Intake {
                boundary: at,
                lanes: read,
                injected: taken_in,
            },
        ) => (boundary, injected) == (at, taken_in) && lanes.iter().zip(read).all(|(a, b)| a == b),
        _ => false,
    }
}

fn scrubbed(mut config: RunConfig) -> RunConfig {
    config.scrub = true;
    config.faults = true;
    config
}

/// Runs a plan and holds its outcome against the oracle.
fn corrected<M: Model>(config: &RunConfig, plan: &Plan) -> Outcome {
    let outcome = run::<M, MemoryJournal>(config, plan).unwrap_or_else(|error| panic!("{error}\n{plan:?}"));
    assert_eq!(outcome.digests, outcome.oracle, "{plan:?}");
    outcome
}

fn fault(random: &mut Random, torus: Torus, what: Damage) -> MemoryFault {
    let seed = random.next();
    MemoryFault { torus, what, seed }
}

#[test]
fn an_audited_run_that_is_sound_ends_as_if_nobody_had_looked() {
    for lag in [1, 2, 3] {
        let config = crate::phold(lag);
        let plain = corrected::<Phold>(&config, &Plan::calm(3));
        let audited = corrected::<Phold>(&scrubbed(config), &Plan::calm(3));
        assert_eq!(audited.digests, plain.digests);
        assert_eq!(audited.scrubbed.rollbacks, 0);
    }
    let config = crate::cascade(2);
    let plan = Plan {
        inject: true,
        ..Plan::calm(4)
    };
    assert_eq!(
        corrected::<Cascade>(&scrubbed(config), &plan).scrubbed.rollbacks,
        0
    );
}

/// Moments of a run at which a fault of each kind is put.
const MOMENTS: u64 = 30;

/// A fault of each kind at each of many moments of a run, in each torus.
fn faults_at_many_moments<M: Model>(config: &RunConfig, inject: bool) {
    let config = scrubbed(config.clone());
    let mut random = Random::new(random::seed());
    let calm = corrected::<M>(&config, &Plan::calm(7));
    let (mut suffered, mut rollbacks, mut furthest, mut found) = (0, 0, 0, [0; 4]);
    for moment in 0..MOMENTS {
        for what in Damage::ALL {
            let torus = Torus::of_run(config.tori)[moment as usize % usize::from(config.tori)];
            let mut plan = Plan {
                inject,
                ..Plan::calm(7 + moment)
            };
            let at = calm.scrubbed.steps * moment / MOMENTS;
            plan.faults = vec![(at, fault(&mut random, torus, what))];
            let outcome = corrected::<M>(&config, &plan);
            if !inject {
                assert_eq!(outcome.digests, calm.digests, "{plan:?}");
            }
            suffered += outcome.scrubbed.suffered;
            rollbacks += outcome.scrubbed.rollbacks;
            furthest = furthest.max(outcome.scrubbed.furthest);
            (0..4).for_each(|kind| found[kind] += outcome.scrubbed.found[kind]);
        }
    }
    println!(
        "{}: {rollbacks} rollbacks for {suffered} faults (frame, state, error, replay: {found:?}), found at most {furthest} intervals \
         later, bound {}",
        config.model, config.capacity.frames
    );
    assert!(suffered > 2 * MOMENTS && rollbacks > suffered / 3);
    assert!(furthest <= config.capacity.frames.into());
}

#[test]
fn a_fault_in_a_living_torus_is_found_and_corrected_bit_for_bit() {
    faults_at_many_moments::<Phold>(&crate::phold(2), false);
    faults_at_many_moments::<Heat>(&crate::heat(1), false);
    faults_at_many_moments::<Cascade>(&crate::cascade(2), false);
}

#[test]
fn a_fault_under_injection_is_corrected_and_no_committed_event_moves() {
    faults_at_many_moments::<Phold>(&crate::phold(1), true);
    faults_at_many_moments::<Cascade>(&crate::cascade(3), true);
}

#[test]
fn a_fault_in_a_torus_alone_is_corrected_from_its_own_slots() {
    let mut config = crate::small::<Phold>(2, &[("population", "48"), ("max_delay", "8")], None);
    config.tori = 1;
    faults_at_many_moments::<Phold>(&config, true);
}

/// A random plan: faults, deaths at any point, injections, a stop. Commands are the caller's choice.
fn random_plan(random: &mut Random, steps: u64) -> Plan {
    let mut plan = Plan::calm(random.next());
    for deaths in &mut plan.deaths {
        *deaths = (0..random.below(6)).map(|_| 1 + random.below(600)).collect();
    }
    plan.companion = (random.below(4) == 0).then(|| Torus::ALL[random.below(3) as usize]);
    plan.inject = random.below(2) == 0;
    plan.heirs = random.below(3) == 0;
    plan.stop_after = (random.below(4) == 0).then(|| random.below(steps));
    let faults = 1 + random.below(3);
    plan.faults = (0..faults)
        .map(|_| {
            let torus = Torus::ALL[random.below(3) as usize];
            let what = Damage::ALL[random.below(3) as usize];
            (random.below(steps), fault(random, torus, what))
        })
        .collect();
    plan.faults.sort_by_key(|(at, _)| *at);
    plan
}

fn one_of_four(round: u64, lag: u32) -> RunConfig {
    scrubbed(match round % 4 {
        0 => crate::phold(lag),
        1 => crate::heat(lag),
        2 => crate::adaptive(crate::slow_phold(lag)),
        _ => crate::cascade(lag),
    })
}

fn any_corrected(round: u64, config: &RunConfig, plan: &Plan) -> Outcome {
    match round % 4 {
        0 | 2 => corrected::<Phold>(config, plan),
        1 => corrected::<Heat>(config, plan),
        _ => corrected::<Cascade>(config, plan),
    }
}

#[test]
fn random_faults_amid_random_deaths_are_corrected() {
    let mut random = Random::new(random::seed());
    let (mut deaths, mut rollbacks, mut in_rollback) = (0, 0, 0);
    for round in 0..200 {
        let mut config = one_of_four(round, 1 + random.below(4) as u32);
        config.capacity.frames += random.below(6) as u32;
        let calm = any_corrected(round, &config, &Plan::calm(1));
        let mut plan = random_plan(&mut random, calm.scrubbed.steps);
        // Two edges of one cell that a migration makes lead to one place double a cascade's events at every turn.
        plan.command = round % 4 != 3 && random.below(2) == 0;
        let outcome = any_corrected(round, &config, &plan);
        if !plan.inject && !plan.command && plan.stop_after.is_none() {
            assert_eq!(outcome.digests, calm.digests, "{plan:?}");
        }
        deaths += outcome.killed;
        rollbacks += outcome.scrubbed.rollbacks;
        in_rollback += outcome
            .reached
            .iter()
            .filter(|(_, point)| *point == Point::FramesTakenBack)
            .count();
    }
    println!("{deaths} deaths, {rollbacks} rollbacks, {in_rollback} tori went back");
    assert!(rollbacks > 75 && deaths > 150 && in_rollback > 150);
}

#[test]
fn runs_with_faults_that_are_stopped_killed_whole_grown_and_resumed_are_corrected() {
    let mut random = Random::new(random::seed());
    for round in 0..100 {
        let config = one_of_four(round, 1 + random.below(3) as u32);
        let calm = any_corrected(round, &config, &Plan::calm(1));
        let mut plan = random_plan(&mut random, calm.scrubbed.steps);
        plan.command = round % 4 == 0;
        plan.stop_after = None;
        let acts = [
            Act::StopAndResume,
            Act::EverythingDies,
            Act::EverythingDiesAndGrows,
        ];
        plan.acts = (0..1 + random.below(3))
            .map(|_| {
                (
                    random.below(2 * calm.scrubbed.steps),
                    acts[random.below(3) as usize],
                )
            })
            .collect();
        plan.acts.sort_by_key(|(at, _)| *at);
        any_corrected(round, &config, &plan);
    }
}

/// Kills each torus at each point that it reaches between the order and the end of the redo.
#[test]
fn a_rollback_and_a_redo_killed_at_every_point_are_begun_again() {
    let config = scrubbed(crate::phold(2));
    let mut random = Random::new(random::seed());
    let mut kills = 0;
    let steps = corrected::<Phold>(&config, &Plan::calm(0)).scrubbed.steps;
    for seed in 0..3 {
        let mut plan = Plan {
            inject: true,
            ..Plan::calm(seed)
        };
        let what = Damage::ALL[seed as usize % 3];
        plan.faults = vec![(steps / 2, fault(&mut random, Torus::B, what))];
        let outcome = corrected::<Phold>(&config, &plan);
        for torus in Torus::ALL {
            let mine: Vec<Point> = outcome
                .reached
                .iter()
                .filter(|(reached, _)| *reached == torus)
                .map(|(_, point)| *point)
                .collect();
            let Some(first) = mine.iter().position(|point| *point == Point::IntakeKept) else {
                continue;
            };
            for at in (first + 1)..(first + 45).min(mine.len()) {
                let mut plan = plan.clone();
                plan.deaths[torus.index()] = vec![at as u64];
                kills += corrected::<Phold>(&config, &plan).killed;
            }
        }
    }
    println!("{kills} deaths in rollbacks and redos");
    assert!(kills > 100);
}

/// How many of fifty random plans with a mistake end wrong, or not at all.
fn caught(mistake: Mistake) -> usize {
    let mut random = Random::new(random::seed());
    let mut caught = 0;
    for round in 0..50 {
        let mut config = one_of_four(0, 1 + round % 2);
        config.capacity.frames += 6;
        let calm = corrected::<Phold>(&config, &Plan::calm(1));
        let mut plan = random_plan(&mut random, calm.scrubbed.steps);
        plan.inject = mistake == Mistake::ForgetsTheIntake;
        plan.stop_after = None;
        plan.mistake = Some(mistake);
        let is_right = |outcome: Outcome| {
            outcome.digests == outcome.oracle && (plan.inject || outcome.digests == calm.digests)
        };
        caught += usize::from(!run::<Phold, MemoryJournal>(&config, &plan).is_ok_and(is_right));
    }
    println!("{mistake:?}: {caught} of 50 plans end wrong");
    caught
}

#[test]
fn clearing_without_the_peers_is_caught() {
    assert!(caught(Mistake::ClearsTooEarly) > 0);
}

#[test]
fn peers_that_keep_what_was_tainted_find_it_in_their_own_replays() {
    assert_eq!(caught(Mistake::SparesThePeers), 0);
}

#[test]
fn forgetting_the_intake_is_caught() {
    assert!(caught(Mistake::ForgetsTheIntake) > 0);
}
