//! A braid in one thread: three members over a segment on the heap, a scheduler, and a plan of deaths.

use std::cell::RefCell;
use std::rc::Rc;

use shm_layout::checkpoint_slots::OWN_SLOTS;
use shm_layout::config::{OnLoss, RunConfig};
use shm_layout::frame::Frame;
use shm_layout::heap::HeapSegment;
use shm_layout::layout::Part;
use shm_layout::record::{LaneEntry, Source, SourceKind};
use shm_layout::region::{AuditSegment, LaneSegment, RegionReader, SupervisorSegment, WorkerSegment};
use shm_layout::sync::Ordering;
use shm_layout::torus::Torus;
use torus_worker::in_process::{Digests, InProcess};
use torus_worker::journal::{Journal, MemoryJournal, Records, header, parse};
use torus_worker::member::declare::absence_of;
use torus_worker::member::rollback::{is_settled, prepare};
use torus_worker::member::{Host, Killed, Member, MemberError, Point, Step, Wait};
use torus_worker::model::Model;
use torus_worker::node::command::{COMMAND_LANE, Command};
use torus_worker::node::{Injection, Node};
use torus_worker::rebuild::{Building, carry_over};

use crate::commands;
use crate::lies::{LIAR, Lie};
use crate::migration::misremember;
use crate::random::Random;
use crate::scrub::{MemoryFault, Mistake, Scrubbed, Scrubbing};

/// Which points are reached, and where death waits.
#[derive(Default)]
pub struct Fate {
    /// Points reached so far, in order, with the torus.
    pub reached: Vec<(Torus, Point)>,
    /// Points that each torus has reached.
    pub count: [u64; 3],
    /// Each torus dies when its count gets to one of these.
    pub deaths: [Vec<u64>; 3],
    /// How many deaths there were.
    pub killed: u64,
}

/// The host of one member.
pub struct Mortal {
    torus: Torus,
    fate: Rc<RefCell<Fate>>,
}

impl Host for Mortal {
    fn reach(&mut self, point: Point) -> Result<(), Killed> {
        let mut fate = self.fate.borrow_mut();
        let i = self.torus.index();
        fate.count[i] += 1;
        fate.reached.push((self.torus, point));
        let count = fate.count[i];
        if fate.deaths[i].contains(&count) {
            fate.killed += 1;
            return Err(Killed(point));
        }
        Ok(())
    }
}

/// What happens in a run beside its own steps.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seeds the scheduler, checkpoints and injections.
    pub seed: u64,
    /// Each torus dies when it has reached its n-th point.
    pub deaths: [Vec<u64>; 3],
    /// Whoever dies takes this torus with it.
    pub companion: Option<Torus>,
    /// Whether clients inject events.
    pub inject: bool,
    /// Whether the supervisor's lane gets commands.
    pub command: bool,
    /// Whether commands move processes.
    pub migrate: bool,
    /// Whether the supervisor stops the run about here, in steps of the scheduler.
    pub stop_after: Option<u64>,
    /// What torus A lies about, and in which frame, as soon as that is committed.
    pub lie: Option<(Lie, u64)>,
    /// Words of a dead torus's own region that are damaged before its successor comes.
    pub damage: Option<Damage>,
    /// What happens to the whole run, and at which steps of the scheduler.
    pub acts: Vec<(u64, Act)>,
    /// Whether successors are started on false alarms too, while their predecessors live.
    pub heirs: bool,
    /// Faults of memory in living workers, and at which steps of the scheduler.
    pub faults: Vec<(u64, MemoryFault)>,
    /// A deliberate mistake in finding or correcting them.
    pub mistake: Option<Mistake>,
    /// A deliberate mistake in declaring absences: from one boundary too early.
    pub hasty: bool,
}

/// Something that happens to the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The supervisor stops it; afterwards its memory shrinks to what a resume needs, and it is resumed.
    StopAndResume,
    /// Everything dies at once, and is resumed.
    EverythingDies,
    /// Everything dies at once, and is resumed in a larger segment.
    EverythingDiesAndGrows,
    /// A torus makes no step for so many steps of the others; half of those that hang are killed then, half go on.
    Hangs(Torus, u64),
    /// A torus dies and is held away for so many steps; the others go on without it if they may.
    HeldAway(Torus, u64),
}

/// Damage to the memory of a torus at its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The slot of its last committed frame.
    Frame,
    /// The whole strand to its next peer.
    Strand,
    /// Its newest checkpoint.
    Checkpoint,
    /// Where a process went, as its newest checkpoint tells it, with the hash that goes with it: no damage, but a mistake.
    Forward,
}

impl Plan {
    /// A run in which nobody dies.
    pub fn calm(seed: u64) -> Self {
        Self {
            seed,
            deaths: Default::default(),
            companion: None,
            inject: false,
            command: false,
            migrate: false,
            stop_after: None,
            damage: None,
            lie: None,
            acts: Vec::new(),
            heirs: false,
            faults: Vec::new(),
            mistake: None,
            hasty: false,
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The digests of all tori, as published.
    pub digests: Vec<Digests>,
    /// The same, by executing the configuration and the journals again, uncrashed.
    pub oracle: Vec<Digests>,
    /// Points that each torus reached.
    pub count: [u64; 3],
    /// All of them in order.
    pub reached: Vec<(Torus, Point)>,
    /// Deaths.
    pub killed: u64,
    /// Events that clients injected, and that the journals hold.
    pub injected: [u64; 2],
    /// Absences that were declared, and returns that were announced.
    pub absences: [u64; 2],
    /// Events that came back from absent tori.
    pub refused: u64,
    /// Processes that moved, by command or to balance the load.
    pub moved: u64,
    /// Events that are pending or on their way at the end.
    pub alive: u64,
    /// Checkpoints that were made to tell another place.
    pub misremembered: u64,
    /// The boundary at which the run ended.
    pub boundary: u64,
    /// What B found altered in the strand from A: interval, hash by A's frame, hash of what stood there.
    pub altered: Option<[u64; 3]>,
    /// Successors that took their region over, and that had to begin again because their predecessor had still written.
    pub successions: [u64; 2],
    /// What scrubbing did.
    pub scrubbed: Scrubbed,
}

/// Events per step: small, so that deaths find open intervals.
const BUDGET: u64 = 7;
/// Steps after which a run that does not end counts as blocked.
const STEPS_MAX: u64 = 2_000_000;

/// A segment on the heap that takes an old one's place.
struct Larger(HeapSegment);

impl Building for Larger {
    fn worker(&self, torus: Torus) -> Option<WorkerSegment<'_>> {
        self.0.worker(torus)
    }

    fn supervisor(&self) -> SupervisorSegment<'_> {
        self.0.supervisor()
    }

    fn scrubber(&self) -> AuditSegment<'_> {
        self.0.scrubber()
    }

    fn lane(&self, lane: u32) -> LaneSegment<'_> {
        self.0.lane(lane)
    }
}

/// Makes the journals of a run.
pub trait JournalKind: Journal + Records + Sized {
    fn new(bytes: Vec<u8>) -> Self;
    fn successor(&self) -> Self;
    fn bytes(&self) -> Vec<u8>;
    /// What a death in the middle of an append leaves behind.
    fn tear(&mut self, random: &mut Random);
}

impl JournalKind for MemoryJournal {
    fn new(bytes: Vec<u8>) -> Self {
        MemoryJournal::new(bytes)
    }

    fn successor(&self) -> Self {
        self.clone()
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes()
    }

    fn tear(&mut self, random: &mut Random) {
        let torn: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
        self.append(&torn).expect("memory");
    }
}

pub struct Sim<'p, M: Model, J: JournalKind> {
    /// Leaked, like the segment: a run that grows has several of each, and a test process is short.
    pub config: &'static RunConfig,
    pub segment: &'static HeapSegment,
    pub plan: &'p Plan,
    pub resumes_at_end: bool,
    pub fate: Rc<RefCell<Fate>>,
    pub random: Random,
    pub journals: Vec<J>,
    pub members: Vec<Option<Member<'static, M, J, Mortal>>>,
    /// Successors that do not own their region yet; their predecessors may be alive.
    pub heirs: Vec<Option<Member<'static, M, J, Mortal>>>,
    /// Heirs that took their region over, and that had to begin again.
    pub successions: [u64; 2],
    pub incarnations: Vec<u64>,
    pub finished: Vec<bool>,
    /// The step at which a dead torus gets its successor.
    pub successor_at: Vec<u64>,
    /// The step at which a dead torus is declared absent.
    pub absent_at: Vec<u64>,
    pub injected: u64,
    pub absences: u64,
    /// Until which step each torus hangs, and whether it is killed then.
    pub hangs: Vec<(u64, bool)>,
    pub acknowledged_head: Vec<u64>,
    /// What each member waits for, to say so when all do.
    pub waits: Vec<Option<Wait>>,
    /// The lie of the plan was told.
    pub lied: bool,
    pub scrubbing: Scrubbing<M, J>,
    pub misremembered: u64,
}

/// Runs a plan to its end.
pub fn run<M: Model, J: JournalKind>(config: &RunConfig, plan: &Plan) -> Result<Outcome, String> {
    let config: &'static RunConfig = Box::leak(Box::new(config.clone()));
    let segment: &'static HeapSegment = Box::leak(Box::new(
        HeapSegment::new(config).map_err(|error| error.to_string())?,
    ));
    let fate = Rc::new(RefCell::new(Fate {
        deaths: plan.deaths.clone(),
        ..Fate::default()
    }));
    let tori = usize::from(config.tori);
    let journals = Torus::of_run(config.tori)
        .iter()
        .map(|torus| J::new(header(config, *torus).to_vec()))
        .collect();
    let mut sim = Sim::<M, J> {
        config,
        segment,
        plan,
        resumes_at_end: false,
        fate: fate.clone(),
        random: Random::new(plan.seed),
        journals,
        members: (0..tori).map(|_| None).collect(),
        heirs: (0..tori).map(|_| None).collect(),
        successions: [0; 2],
        incarnations: vec![0; tori],
        finished: vec![false; tori],
        successor_at: vec![0; tori],
        absent_at: vec![u64::MAX; tori],
        injected: 0,
        absences: 0,
        hangs: vec![(0, false); tori],
        acknowledged_head: vec![0; tori],
        waits: vec![None; tori],
        lied: false,
        scrubbing: Scrubbing::default(),
        misremembered: 0,
    };
    sim.execute()?;
    sim.outcome()
}

impl<M: Model, J: JournalKind> Sim<'_, M, J> {
    fn execute(&mut self) -> Result<(), String> {
        let mut acts = self.plan.acts.iter().peekable();
        for step in 0..STEPS_MAX {
            if self.finished.iter().all(|finished| *finished) {
                if !std::mem::take(&mut self.resumes_at_end) || self.is_at_its_end() {
                    return Ok(());
                }
                self.shrink();
                self.resume(step);
            }
            if let Some((_, act)) = acts.next_if(|(at, _)| *at <= step) {
                self.act(*act, step)?;
            }
            self.declare_absences(step);
            let i = self.random.below(self.members.len() as u64) as usize;
            if !self.finished[i] && !self.hangs(i, step) {
                self.step(i, step)?;
            }
            if self.plan.lie.is_some() {
                self.lie();
                self.replace_who_is_complained_about(step);
            }
            if self.config.scrub {
                self.scrub(step)?;
            }
            if self.plan.inject && self.random.below(40) == 0 {
                self.inject();
            }
            if self.plan.command && self.random.below(80) == 0 {
                self.command();
            }
            if self.plan.migrate && self.random.below(20) == 0 {
                self.migrate();
            }
            if self.plan.stop_after.is_some_and(|after| step == after) {
                self.stop();
            }
        }
        let stuck: Vec<_> = self
            .members
            .iter()
            .map(|m| m.as_ref().map(|m| m.node().boundary()))
            .collect();
        Err(format!(
            "blocked after {STEPS_MAX} steps at boundaries {stuck:?}, waiting for {:?}",
            self.waits
        ))
    }

    fn stop(&self) {
        let supervisor = self.segment.supervisor();
        let workers: Vec<_> = supervisor.regions.iter().map(|region| region.status).collect();
        supervisor.control.decide_stop(1, 3, &workers);
    }

    fn act(&mut self, act: Act, now: u64) -> Result<(), String> {
        match act {
            Act::StopAndResume => {
                self.stop();
                self.resumes_at_end = true;
            }
            Act::EverythingDies => self.resume(now),
            Act::Hangs(torus, steps) => {
                let is_killed = self.random.below(2) == 0;
                self.hangs[torus.index()] = (now + steps, is_killed);
            }
            Act::HeldAway(torus, steps) => {
                let i = torus.index();
                if !self.finished[i] {
                    self.members[i] = None;
                    self.successor_at[i] = now + steps;
                    self.absent_at[i] = now + self.random.below(100);
                }
            }
            Act::EverythingDiesAndGrows => {
                self.resume(now);
                self.grow()?;
            }
        }
        Ok(())
    }

    /// Whether a torus hangs; one that has hung for long enough may be killed for it.
    fn hangs(&mut self, i: usize, now: u64) -> bool {
        let (until, is_killed) = self.hangs[i];
        if now < until {
            return true;
        }
        if is_killed && self.members[i].take().is_some() {
            self.successor_at[i] = now + self.random.below(200);
        }
        self.hangs[i].1 = false;
        false
    }

    /// What the supervisor does about a torus that stays away: it declares it absent, as long as somebody is left.
    fn declare_absences(&mut self, now: u64) {
        let supervisor = self.segment.supervisor();
        for (i, torus) in Torus::of_run(self.config.tori).iter().enumerate() {
            if now < self.absent_at[i] || self.members[i].is_some() {
                continue;
            }
            self.absent_at[i] = u64::MAX;
            let log = supervisor.memberships.reader();
            let entry = absence_of(*torus, &supervisor.regions, log, self.config, now);
            if let Some(mut entry) = entry.filter(|_| self.config.on_loss == OnLoss::Degrade) {
                entry.from -= u64::from(self.plan.hasty);
                supervisor.memberships.append(&entry).expect("a short run");
                self.absences += 1;
            }
        }
    }

    /// Whoever lives dies; a new supervisor clears the stop, and the successors come in any order.
    fn resume(&mut self, now: u64) {
        for i in 0..self.members.len() {
            self.members[i] = None;
            self.heirs[i] = None;
            self.finished[i] = false;
            self.successor_at[i] = now + self.random.below(200);
        }
        self.scrubbing.die();
        self.segment.supervisor().control.clear_stop();
        self.resumes_at_end = false;
    }

    fn is_at_its_end(&self) -> bool {
        let region = &self.segment.reader().regions[0];
        let mut frame = Frame::new(self.config.face_cells());
        let last = region.status.state_digest_boundary() - 1;
        let read = region.ring.read(region.torus, last, &mut frame);
        read.is_ok()
            && self
                .config
                .until
                .is_some_and(|until| frame.boundary_tick() == until + 1)
    }

    /// What `SegmentFile::shrink` gives back of a stopped run: the mirrors, the logs and the older checkpoints.
    fn shrink(&self) {
        let layout = self.segment.layout();
        for region in &layout.regions {
            let newest = self
                .segment
                .worker(region.torus)
                .and_then(|views| views.own.checkpoint_view.newest());
            let slot_bytes = region.checkpoints.bytes / OWN_SLOTS as u64;
            let older = newest.into_iter().flat_map(|(newest, _)| {
                (0..OWN_SLOTS)
                    .filter(move |slot| *slot != newest)
                    .map(|slot| Part {
                        offset: region.checkpoints.offset + slot as u64 * slot_bytes,
                        bytes: slot_bytes,
                    })
            });
            for part in region
                .mirrors
                .iter()
                .chain(&region.logs)
                .flatten()
                .copied()
                .chain(older)
            {
                let words = (part.offset / 8) as usize..((part.offset + part.bytes) / 8) as usize;
                for word in &self.segment.words()[words] {
                    // Ordering: none needed; the simulator has one thread.
                    word.store(0, Ordering::Relaxed);
                }
            }
        }
    }

    /// A larger segment takes the place of the old one, as `start --resume --pending …` makes it.
    fn grow(&mut self) -> Result<(), String> {
        let mut config = self.config.clone();
        config.capacity.frames += self.random.below(4) as u32;
        config.capacity.lane_entries += self.random.below(3) as u32;
        config.capacity.lanes += self.random.below(2) as u32;
        config.capacity.remote_per_interval += self.random.below(5) as u32;
        config.capacity.pending += 64;
        let world = torus_worker::setup::world(&config, Torus::A).map_err(|error| error.to_string())?;
        let words = torus_worker::node::checkpoint::words_max::<M>(&world, &config.capacity);
        config.checkpoint_bytes = 8 * words as u64;
        let config: &'static RunConfig = Box::leak(Box::new(config));
        let larger = Larger(HeapSegment::new(config).map_err(|error| error.to_string())?);
        carry_over(&self.segment.reader(), &larger, config).map_err(|error| error.to_string())?;
        self.segment = Box::leak(Box::new(larger.0));
        self.config = config;
        Ok(())
    }

    fn step(&mut self, i: usize, now: u64) -> Result<(), String> {
        self.step_heir(i);
        if self.members[i].is_none() {
            return self.succeed(i, now);
        }
        if self.plan.heirs && self.heirs[i].is_none() && self.random.below(20) == 0 {
            // Whatever it stumbles over, its predecessor lives, so it does not count.
            let _ = self.start(i);
        }
        let checkpoint = self.random.below(30);
        let Some(member) = self.members[i].as_mut() else {
            return Ok(());
        };
        match checkpoint {
            0 => member.request_checkpoint(),
            1 | 2 => member.request_local_checkpoint(),
            _ => {}
        }
        match member.advance(BUDGET) {
            Ok(Step::Finished) => self.finished[i] = true,
            Ok(Step::Waiting(wait)) => self.waits[i] = Some(wait),
            Ok(Step::Worked) => self.waits[i] = None,
            Err(MemberError::Killed(killed)) => self.bury(i, now, killed.0),
            Err(error) => return self.give_up(i, error),
        }
        Ok(())
    }

    /// An heir replays as far as it can without its region.
    fn step_heir(&mut self, i: usize) {
        if self.random.below(3) > 0 {
            return;
        }
        if let Some(heir) = self.heirs[i].as_mut()
            && heir.advance(BUDGET).is_err()
        {
            // Killed, or confused by a predecessor that writes while it reads. One that is dead is read again.
            self.heirs[i] = None;
        }
    }

    /// The torus is dead: its heir takes the region over, or one is started.
    fn succeed(&mut self, i: usize, now: u64) -> Result<(), String> {
        if self.heirs[i].is_none() {
            if now >= self.successor_at[i]
                && !self.is_taken_back()
                && let Err(error) = self.start(i)
            {
                self.fall(i, now, error)?;
            }
            return Ok(());
        }
        if self.random.below(3) > 0 {
            return Ok(());
        }
        let Some(mut heir) = self.heirs[i].take() else {
            return Ok(());
        };
        match heir.own() {
            Ok(true) => {
                self.members[i] = Some(heir);
                self.successions[0] += 1;
            }
            Ok(false) => self.successions[1] += 1,
            Err(error) => self.fall(i, now, error)?,
        }
        Ok(())
    }

    /// A successor of a dead torus did not come up.
    fn fall(&mut self, i: usize, now: u64, error: MemberError) -> Result<(), String> {
        let (torus, incarnation) = (Torus::ALL[i], self.incarnations[i]);
        match error {
            MemberError::Killed(killed) => {
                self.bury(i, now, killed.0);
                Ok(())
            }
            error => Err(format!("torus {torus} incarnation {incarnation}: {error}")),
        }
    }

    fn start(&mut self, i: usize) -> Result<(), MemberError> {
        let torus = Torus::ALL[i];
        self.incarnations[i] += 1;
        let views = self.segment.worker(torus).expect("a torus of the run");
        let host = Mortal {
            torus,
            fate: self.fate.clone(),
        };
        let mut journal = self.journals[i].successor();
        let mut host = host;
        // A successor that owns its region carries out a rollback; one that does not waits until that is done.
        let is_settled = match self.members[i] {
            None => prepare(&views, &mut journal, &mut host)?,
            Some(_) => is_settled(&views),
        };
        if !is_settled {
            return Ok(());
        }
        let heir = Member::rehydrate(views, self.config, torus, journal, host, self.incarnations[i])?;
        self.heirs[i] = Some(heir);
        Ok(())
    }

    pub fn bury(&mut self, i: usize, now: u64, point: Point) {
        self.members[i] = None;
        self.successor_at[i] = now + self.random.below(200);
        if point == Point::JournalHalfAppended {
            self.journals[i].tear(&mut self.random);
        }
        if let Some(companion) = self.plan.companion.filter(|torus| torus.index() != i) {
            let c = companion.index();
            if !self.finished[c] {
                self.members[c] = None;
                self.successor_at[c] = now + self.random.below(200);
            }
        }
        if let Some(damage) = self.plan.damage {
            self.damage(Torus::ALL[i], damage);
        }
    }

    /// Flips bits in the memory of a dead torus, as its worker might have done in its last moments.
    fn damage(&mut self, torus: Torus, damage: Damage) {
        let Some(views) = self.segment.worker(torus) else {
            return;
        };
        match damage {
            Damage::Frame => {
                if let Some(n) = views.own.ring.head().checked_sub(1) {
                    let mut frame = Frame::new(self.config.face_cells());
                    if views.own.ring_view.read(torus, n, &mut frame).is_ok() {
                        frame.words_mut()[40] ^= 1 << 17;
                        views.own.ring.write(&frame);
                    }
                }
            }
            Damage::Strand => {
                if let Some(strand) = views.own.strands[torus.next().index()].as_ref() {
                    strand.write(0, &vec![bytemuck::Zeroable::zeroed(); strand.capacity()]);
                }
            }
            Damage::Checkpoint => {
                if let Some((slot, _)) = views.own.checkpoint_view.newest() {
                    views.own.checkpoints.write(slot, 9, &[0xdead]);
                }
            }
            Damage::Forward => self.misremembered += u64::from(misremember::<M>(&views, self.config)),
        }
    }

    /// A client pushes an event, unless its lane is full.
    fn inject(&mut self) {
        let torus = Torus::ALL[self.random.below(self.members.len() as u64) as usize];
        let cells = self.config.sides.iter().product::<u32>();
        let lane = 1 + self.random.below(u64::from(self.config.capacity.lanes) - 1) as u32;
        let cell = self.random.below(cells.into()) as u32;
        let entry = LaneEntry {
            at: self.random.below(200),
            dst: cell,
            src: Source::new(SourceKind::Injected, torus, cell),
            payload: self.random.below(100) as i64 - 50,
            kind: 0,
        };
        let lanes = self.segment.lane(lane);
        let free = lanes.reader.regions[torus.index()]
            .status
            .lane_free(lane as usize);
        if lanes.writers[torus.index()].push(&[entry], free).is_ok() {
            self.injected += 1;
            self.acknowledged_head[torus.index()] += 1;
        }
    }

    /// The supervisor pushes a command, unless its lane is full; now and then a client does so, in vain.
    fn command(&mut self) {
        let torus = Torus::ALL[self.random.below(self.members.len() as u64) as usize];
        let entry = commands::random(&mut self.random, torus, self.config);
        let lane = u32::from(self.random.below(10) == 0);
        let lanes = self.segment.lane(lane);
        let status = lanes.reader.regions[torus.index()].status;
        let pushed = lanes.writers[torus.index()].push(&[entry], status.lane_free(lane as usize));
        if pushed.is_ok() && lane == COMMAND_LANE && Command::of(&entry).is_some() {
            self.injected += 1;
        }
    }

    /// The liar's frame is changed as soon as it is committed.
    fn lie(&mut self) {
        let Some((lie, interval)) = self.plan.lie.filter(|_| !self.lied) else {
            return;
        };
        let Some(views) = self.segment.worker(LIAR) else {
            return;
        };
        if views.own.ring.head() > interval {
            self.lied = true;
            lie.tell(&views, self.config.face_cells(), interval);
        }
    }

    /// As the watchdog does with a worker whose memory a peer finds damaged.
    fn replace_who_is_complained_about(&mut self, now: u64) {
        let i = LIAR.index();
        let regions = self.segment.reader().regions;
        let complained = regions.iter().any(|region| region.status.complaint(LIAR) != 0);
        if complained && self.members[i].is_some() && self.incarnations[i] == 1 {
            self.members[i] = None;
            self.successor_at[i] = now + self.random.below(200);
        }
    }

    /// The supervisor passes on a command to move some process, or none, to some torus.
    fn migrate(&mut self) {
        let mut any = |bound: usize| self.random.below(bound as u64);
        let (from, to) = (Torus::ALL[any(3) as usize], Torus::ALL[any(3) as usize]);
        let cells = self.config.sides.iter().product::<u32>();
        let command = Command::Migrate {
            cell: any(cells as usize) as u32,
            to,
            ticket: 1 + any(1 << 30),
        };
        let supervisor = self.segment.supervisor();
        let free = supervisor.regions[from.index()].status.lane_free(0);
        // A full lane is no place for a command; another one comes.
        let _ = supervisor.lane_zero[from.index()].push(&[command.entry(from)], free);
    }

    fn outcome(mut self) -> Result<Outcome, String> {
        let reader = self.segment.reader();
        let mut journals = [const { Vec::new() }; 3];
        let mut journaled = 0;
        for torus in Torus::of_run(self.config.tori) {
            let bytes = self.journals[torus.index()].bytes();
            let records =
                parse(&bytes, self.config, *torus, "(memory)").map_err(|error| error.to_string())?;
            journaled += records.iter().map(taken_in).sum::<u64>();
            journals[torus.index()] = records;
        }
        for region in &reader.regions {
            check_rotation(region, self.config)?;
        }
        let altered = reader.regions.get(1).and_then(|region| {
            let status = region.status;
            let n = status.altered(LIAR).checked_sub(1)?;
            Some([n, status.altered_sent(LIAR), status.altered_received(LIAR)])
        });
        let boundary = reader.regions[0].status.state_digest_boundary();
        let mut oracle = InProcess::<M>::new(self.config, journals).map_err(|error| error.to_string())?;
        while oracle.boundary() < boundary {
            oracle
                .execute_interval()
                .map_err(|error| format!("oracle: {error}"))?;
        }
        if let Some(parting) = oracle.parting() {
            return Err(format!("the run parts from its journal: {parting:?}"));
        }
        let digests = |member: &Option<Member<'_, M, J, Mortal>>| {
            let member = member.as_ref()?;
            let (node, region) = (member.node(), &reader.regions[member.torus().index()]);
            let (kernel, books) = (node.kernel(), node.books());
            let state = region.status.state_digest();
            Some(Digests {
                events: kernel.events(),
                history: kernel.history_digest(),
                chain: books.chain,
                state,
            })
        };
        let nodes = || self.members.iter().flatten().map(Member::node);
        let refused = nodes().map(|node| node.books().refused.iter().sum::<u64>()).sum();
        let returned = |node: &Node<M>| {
            let absences = node.membership().absences().iter();
            absences.filter(|absence| absence.rejoins.is_some()).count() as u64
        };
        let returns = nodes().map(returned).max().unwrap_or(0);
        let scrubbed = self.scrubbed()?;
        let fate = std::mem::take(&mut *self.fate.borrow_mut());
        let pairs = || {
            Torus::ALL
                .into_iter()
                .flat_map(|from| Torus::ALL.map(|to| (from, to)))
        };
        let pending: u64 = oracle.nodes().map(|(_, node)| node.kernel().pending()).sum();
        let underway = pairs().map(|(from, to)| oracle.in_transit(from, to).count() as u64);
        let moved = |(torus, node): (Torus, &Node<M>)| -> u64 {
            let peers = torus.peers(self.config.tori);
            peers.map(|peer| node.migrations().tally(peer).moved_in).sum()
        };
        Ok(Outcome {
            moved: oracle.nodes().map(moved).sum(),
            alive: pending + underway.sum::<u64>(),
            misremembered: self.misremembered,
            digests: self.members.iter().filter_map(digests).collect(),
            oracle: Torus::of_run(self.config.tori)
                .iter()
                .filter_map(|torus| oracle.digests(*torus))
                .collect(),
            count: fate.count,
            reached: fate.reached,
            killed: fate.killed,
            injected: [self.injected, journaled],
            absences: [self.absences, returns],
            refused,
            boundary,
            altered,
            successions: self.successions,
            scrubbed,
        })
    }
}

/// In every frame that a torus still holds: it projects when it is its turn, and at no other time.
fn check_rotation(region: &RegionReader<'_>, config: &RunConfig) -> Result<(), String> {
    let mut frame = Frame::new(config.face_cells());
    for n in region.ring.oldest()..region.ring.head() {
        let read = region.ring.read(region.torus, n, &mut frame);
        let is_its_turn = n % 3 == region.torus.index() as u64;
        if read.is_ok() && frame.has_projection() != is_its_turn {
            return Err(format!("frame {n} of torus {} is out of turn", region.torus));
        }
    }
    Ok(())
}

fn taken_in(record: &torus_worker::journal::Record) -> u64 {
    match record {
        torus_worker::journal::Record::Intake { injected, .. } => {
            let counts = |injection: &&Injection| injection.entry.kind != LaneEntry::MIGRATE;
            injected.iter().filter(counts).count() as u64
        }
        _ => 0,
    }
}
