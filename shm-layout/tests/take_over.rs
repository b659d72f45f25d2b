//! Taking a region over: any number of successors, each at any step, dying at any step and losing their locks later still,
//! beside somebody who takes the whole lock. At every moment at most one that lives may write.
#![allow(missing_docs, reason = "a test")]

mod common;

use common::{config, folder};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use shm_layout::segment::{LockByte, SegmentFile};
use shm_layout::torus::Torus;
use std::path::{Path, PathBuf};

const TORUS: Torus = Torus::B;
const LOCK: LockByte = LockByte::Region(TORUS);
const WORKERS: usize = 4;

/// One step of somebody.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// A worker does what comes next.
    Work(usize),
    /// It executes nothing any more, and still has its locks.
    Die(usize),
    /// The kernel releases them; another worker takes its place.
    TearDown(usize),
    /// Somebody who is no worker takes the lock, or gives it back.
    Meddle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    TakenOver,
    Announced,
    Settled,
}

/// The order in which a worker does the last two things.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Shipped,
    /// It lets go of the second byte before it has said who it is.
    SettlesFirst,
}

struct Worker {
    file: SegmentFile,
    number: usize,
    stage: Stage,
    is_alive: bool,
}

impl Worker {
    fn may_write(&self) -> bool {
        self.is_alive && self.stage != Stage::Waiting
    }
}

struct World {
    path: PathBuf,
    order: Order,
    workers: Vec<Worker>,
    started: usize,
    /// Whom the status cell names.
    named: Option<usize>,
    /// Who has died, with or without having been torn down: a zombie stays for as long as nobody asks for its status.
    dead: Vec<usize>,
    meddler: SegmentFile,
    observer: SegmentFile,
}

impl World {
    fn new(path: &Path, order: Order) -> World {
        let open = || SegmentFile::open(path).expect("whole");
        let mut world = World {
            path: path.to_owned(),
            order,
            workers: Vec::new(),
            started: 0,
            named: None,
            dead: Vec::new(),
            meddler: open(),
            observer: open(),
        };
        for _ in 0..WORKERS {
            let worker = world.start();
            world.workers.push(worker);
        }
        world
    }

    fn start(&mut self) -> Worker {
        self.started += 1;
        Worker {
            file: SegmentFile::open(&self.path).expect("whole"),
            number: self.started,
            stage: Stage::Waiting,
            is_alive: true,
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Work(at) => self.work(at),
            Act::Die(at) => {
                self.workers[at].is_alive = false;
                self.dead.push(self.workers[at].number);
            }
            Act::TearDown(at) if !self.workers[at].is_alive => self.workers[at] = self.start(),
            Act::TearDown(_) => {}
            Act::Meddle if self.meddler.holds(LOCK) => self.meddler.unlock(LOCK).expect("held"),
            Act::Meddle => {
                self.meddler.try_lock(LOCK).expect("lockable");
            }
        }
    }

    fn work(&mut self, at: usize) {
        let named = self.named;
        let is_dead = || named.is_some_and(|number| self.dead.contains(&number));
        let worker = &self.workers[at];
        if !worker.is_alive {
            return;
        }
        let announces = match (worker.stage, self.order) {
            (Stage::Waiting, _) => {
                let taken = worker.file.try_take_over(TORUS, is_dead).expect("lockable");
                if taken {
                    self.workers[at].stage = Stage::TakenOver;
                }
                return;
            }
            (Stage::TakenOver, Order::Shipped) | (Stage::Settled, Order::SettlesFirst) => true,
            _ => false,
        };
        if announces {
            self.named = Some(worker.number);
            self.workers[at].stage = Stage::Announced;
        } else if worker.file.settle(TORUS).expect("lockable") {
            self.workers[at].stage = Stage::Settled;
        }
    }

    fn check(&self) -> TestCaseResult {
        let writers = self.workers.iter().filter(|worker| worker.may_write()).count();
        prop_assert!(
            writers + usize::from(self.meddler.holds(LOCK)) <= 1,
            "{} writers",
            writers
        );
        if writers == 1 {
            prop_assert!(
                self.observer.is_locked(LOCK).expect("fcntl"),
                "a living one unseen"
            );
        }
        Ok(())
    }

    /// With everybody else dead and gone, somebody can take it over.
    fn check_end(mut self) -> TestCaseResult {
        if self.meddler.holds(LOCK) {
            self.meddler.unlock(LOCK).expect("held");
        }
        self.workers.clear();
        prop_assert!(!self.observer.is_locked(LOCK).expect("fcntl"));
        let last = self.start();
        prop_assert!(last.file.try_take_over(TORUS, || false).expect("lockable"));
        prop_assert!(last.file.settle(TORUS).expect("lockable"));
        Ok(())
    }
}

fn run(path: &Path, order: Order, acts: &[Act]) -> TestCaseResult {
    let mut world = World::new(path, order);
    for act in acts {
        world.act(*act);
        world.check()?;
    }
    world.check_end()
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0..WORKERS).prop_map(Act::Work),
        1 => (0..WORKERS).prop_map(Act::Die),
        1 => (0..WORKERS).prop_map(Act::TearDown),
        1 => Just(Act::Meddle),
    ];
    prop::collection::vec(act, 0..120)
}

#[test]
fn at_most_one_that_lives_may_write() {
    let folder = folder("take-over");
    let path = folder.path("segment");
    drop(SegmentFile::create(&path, &config()).expect("created"));
    proptest!(ProptestConfig::with_cases(1000), |(acts in acts())| run(&path, Order::Shipped, &acts)?);
}

/// The canary: a worker that lets go of the second byte before it has said who it is looks like its predecessor.
#[test]
fn a_worker_that_settles_before_it_has_said_who_it_is_is_caught() {
    let folder = folder("take-over-canary");
    let path = folder.path("segment");
    drop(SegmentFile::create(&path, &config()).expect("created"));
    // One dies and is torn down; the next has taken the lock, and has not said who it is; a third asks.
    let [first, second, third] = [0, 1, 2].map(Act::Work);
    let acts = [
        first,
        first,
        first,
        Act::Die(0),
        Act::TearDown(0),
        second,
        second,
        third,
    ];
    run(&path, Order::Shipped, &acts).expect("it does not do that");
    run(&path, Order::SettlesFirst, &acts).expect_err("two writers");
}
