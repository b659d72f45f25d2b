//! The hunt: a list of acts in random order, at random moments, on one run.

use std::time::Duration;

use crate::support::{Certain, Random, Run, Torus, until};

/// What is done to the run, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// SIGKILL to one worker, by its pid.
    ByPid,
    /// `braid-supervisor kill`.
    ByCommand,
    /// Two workers at once.
    TwoAtOnce,
    /// One worker, and its successor while it recovers.
    DuringRecovery,
    /// One worker, its successor and the successor's successor, and a second worker while they recover.
    DuringRecoveryWithAPeer,
    /// The supervisor, then a worker that nobody watches; `start` adopts the other two.
    Unwatched,
    /// The supervisor alone; `start` adopts all workers.
    Supervisor,
    /// The supervisor and all workers; `start --resume` goes on.
    Everything,
}

use Act::*;

const ACTS: [Act; 12] = [
    ByPid,
    ByPid,
    ByPid,
    ByCommand,
    ByCommand,
    TwoAtOnce,
    TwoAtOnce,
    DuringRecovery,
    DuringRecoveryWithAPeer,
    Unwatched,
    Supervisor,
    Everything,
];

/// How often each hunt goes through all acts.
const ROUNDS: usize = 2;
/// Workers killed by one hunt: 3 by pid, 2 by command, 4 in pairs, 2 and 4 around recoveries, 1 unwatched, 3 at once.
pub const KILLS_PER_HUNT: usize = ROUNDS * (3 + 2 + 4 + 2 + 4 + 1 + 3);

/// Longest pause before an act.
const PAUSE: Duration = Duration::from_millis(60);
/// Longest pause before a successor is killed: a recovery takes some milliseconds.
const IN_RECOVERY: Duration = Duration::from_millis(8);
/// Boundaries that all tori pass before an act that follows a quiet time.
const PROGRESS: u64 = 5;

/// One run being hunted.
pub struct Hunt<'r> {
    run: &'r Run,
    random: Random,
    killed: usize,
    /// The last incarnation of each torus that was killed: no process is counted twice.
    last: [u64; 3],
}

impl<'r> Hunt<'r> {
    /// A hunt for the workers of a run.
    pub fn new(run: &'r Run, random: Random) -> Self {
        Hunt {
            run,
            random,
            killed: 0,
            last: [0; 3],
        }
    }

    /// Every act in every round, in a random order; the run has recovered on return.
    pub fn all_acts(&mut self) {
        let mut acts = [ACTS; ROUNDS].concat();
        self.random.shuffle(&mut acts);
        for act in acts {
            // Half of the acts meet a run that may still recover from the one before.
            if self.random.chance(50) {
                self.await_progress();
            }
            self.random.pass(PAUSE);
            self.run.note(&format!("act {act:?}"));
            self.perform(act);
        }
        assert_eq!(self.killed, KILLS_PER_HUNT, "workers killed");
        self.run.wait_for("recovered");
        self.await_progress();
        let status = self.run.status();
        let started: u64 = Torus::ALL
            .iter()
            .map(|torus| status.number(*torus, "incarnation"))
            .sum();
        assert!(
            started >= 3 + KILLS_PER_HUNT as u64,
            "each worker killed had a successor: {started} were started"
        );
    }

    fn perform(&mut self, act: Act) {
        let torus = self.random.pick(&Torus::ALL);
        let other = torus.next();
        match act {
            ByPid => self.kill(&[torus]),
            ByCommand => self.kill_by_command(torus),
            TwoAtOnce => self.kill(&[torus, other]),
            DuringRecovery => {
                self.kill(&[torus]);
                self.kill_in_recovery(torus);
            }
            DuringRecoveryWithAPeer => {
                self.kill(&[torus]);
                self.kill_in_recovery(torus);
                self.kill(&[other]);
                self.kill_in_recovery(torus);
            }
            Unwatched => {
                // Without a supervisor none would come where one is still to be replaced.
                let worker = self.next_worker(torus);
                self.run.kill_supervisor();
                worker.kill();
                self.count(torus, &worker, "with nobody watching");
                self.start_again(&[]);
            }
            Supervisor => {
                self.run.kill_supervisor();
                self.random.pass(PAUSE);
                self.start_again(&[]);
            }
            Everything => self.kill_everything(),
        }
    }

    /// SIGKILL to the workers of these tori, back to back.
    fn kill(&mut self, tori: &[Torus]) {
        let workers: Vec<Certain> = tori.iter().map(|torus| self.next_worker(*torus)).collect();
        workers.iter().for_each(Certain::kill);
        for (torus, worker) in tori.iter().zip(&workers) {
            self.count(*torus, worker, "by its pid");
        }
    }

    /// The living worker of a torus, once it is another one than was killed last.
    fn next_worker(&self, torus: Torus) -> Certain {
        self.run.worker_after(torus, self.last[torus.index()])
    }

    fn count(&mut self, torus: Torus, worker: &Certain, how: &str) {
        let (pid, incarnation) = (worker.pid, worker.incarnation);
        self.run.note(&format!(
            "SIGKILL to {torus} #{incarnation}, process {pid}, {how}"
        ));
        self.last[torus.index()] = incarnation;
        self.killed += 1;
    }

    fn kill_by_command(&mut self, torus: Torus) {
        let worker = self.next_worker(torus);
        self.run
            .braid("kill", &[&torus.letter().to_string()])
            .exits(0)
            .explains(&[&worker.pid.to_string()]);
        self.count(torus, &worker, "by the command");
    }

    fn kill_in_recovery(&mut self, torus: Torus) {
        let successor = self.next_worker(torus);
        self.random.pass(IN_RECOVERY);
        successor.kill();
        self.count(torus, &successor, "in its recovery");
    }

    fn kill_everything(&mut self) {
        let workers = Torus::ALL.map(|torus| self.next_worker(torus));
        self.run.kill_everybody();
        for (torus, worker) in Torus::ALL.iter().zip(&workers) {
            self.count(*torus, worker, "with everybody else");
        }
        let answer = self.run.braid("status", &[]).exits(1);
        assert!(
            answer.out.contains("--resume"),
            "status says how to go on\n{answer}"
        );
        self.start_again(&["--resume"]);
    }

    fn start_again(&self, arguments: &[&str]) {
        self.run.start(arguments);
        assert_eq!(self.run.status().state(), "running");
    }

    fn await_progress(&self) {
        let eyes = self.run.eyes();
        let goal = eyes.slowest() + PROGRESS;
        until("the run goes on", || {
            assert!(!eyes.has_failed(), "the run has failed");
            (eyes.slowest() >= goal).then_some(())
        });
    }
}
