//! The time in projection and intake: three braided tori and the same three kernels without any boundary, in turns.
//!
//! The members of a braid are stepped in one thread over a segment in memory, as the workers step them, and the kernels
//! execute the same ticks. What braided tori need more is the exchange: closing and committing frames, taking in and
//! verifying the peers', coupling. Nobody waits here, and steps that checkpoint or mirror are left out, as they have a
//! budget of their own.
//!
//! What is looked for is small beside what others on the machine do to the caches from one second to the next. So turns are
//! short, and a round has four of them, braided, bare, bare, braided: what changes steadily meanwhile cancels out. Where the
//! kernels lie in memory matters as much, so all are set up anew several times.

use braid_bench_baselines::figure::{Figure, Target};
use braid_bench_baselines::rounds::median;
use nix::time::{ClockId, clock_gettime};
use shm_layout::config::RunConfig;
use shm_layout::heap::HeapSegment;
use shm_layout::torus::Torus;
use torus_worker::journal::{MemoryJournal, header};
use torus_worker::kernel::{Kernel, Progress};
use torus_worker::member::{Host, Killed, Member, Point, Step};
use torus_worker::models::Phold;
use torus_worker::node::Node;
use torus_worker::setup;

use super::Bench;
use crate::error::CommandError;

/// Events executed in one step, as in a worker.
const STRETCH: u64 = 65_536;
/// After so many rounds in which every member only waited, they wait for each other.
const IDLE_MAX: u32 = 100;

/// How often all is set up anew, and the rounds of each time, after one that does not count.
const SETUPS: usize = 4;
const ROUNDS: u64 = 20;

/// A load: its name, the options that make it, what the exchange may take, in percent, and the ticks of a turn.
struct Load {
    name: &'static str,
    options: &'static [&'static str],
    bound: f64,
    bound_in_words: &'static str,
    ticks: u64,
}

const LOADS: [Load; 3] = [
    Load {
        name: "exchange, dense, k = 1000",
        options: &[],
        bound: 1.0,
        bound_in_words: "1 %",
        ticks: 1000,
    },
    Load {
        name: "exchange, dense, k = 100",
        options: &["--interval", "100"],
        bound: 5.0,
        bound_in_words: "5 %",
        ticks: 1000,
    },
    Load {
        name: "exchange, sparse (one event a tick), k = 1000",
        options: &["-p", "population=32"],
        bound: 5.0,
        bound_in_words: "5 %",
        ticks: 150_000,
    },
];

/// Measures it.
pub fn measure(bench: &Bench) -> Result<Vec<Figure>, CommandError> {
    let figure = |load: &Load| {
        bench.progress(load.name);
        let share = share(bench, load)?;
        Ok(Figure::new(load.name, share, "%").against(
            load.bound_in_words,
            share / load.bound,
            Some(Target::AtMost(1.0)),
        ))
    };
    LOADS.iter().map(figure).collect()
}

/// Percent of the braided tori's time that the exchange takes.
fn share(bench: &Bench, load: &Load) -> Result<f64, CommandError> {
    let config = bench.workshop.configuration(load.options)?;
    let turn = load.ticks / config.interval;
    let mut shares = Vec::new();
    for _ in 0..bench.pick(1, SETUPS) {
        let segment = HeapSegment::new(&config).map_err(failed)?;
        let mut braid = Braid::new(&segment, &config)?;
        let mut bare = Bare::new(&config)?;
        for round in 0..=bench.pick(3, ROUNDS) {
            let [middle, end] = [2 * round + 1, 2 * round + 2].map(|turns| turns * turn);
            let mut braided_ns = braid.run_to(bench, middle)?;
            let bare_ns = bare.run_to(middle)? + bare.run_to(end)?;
            braided_ns += braid.run_to(bench, end)?;
            if round > 0 {
                shares.push(100.0 * (1.0 - bare_ns as f64 / braided_ns.max(1) as f64));
            }
        }
    }
    Ok(median(shares))
}

/// Three kernels without boundaries.
struct Bare {
    nodes: Vec<Node<Phold>>,
    interval: u64,
    boundary: u64,
}

impl Bare {
    fn new(config: &RunConfig) -> Result<Bare, CommandError> {
        let node = |torus: &Torus| setup::node::<Phold>(config, *torus).map_err(failed);
        Ok(Bare {
            nodes: Torus::ALL.iter().map(node).collect::<Result<_, _>>()?,
            interval: config.interval,
            boundary: 0,
        })
    }

    /// Executes all to this boundary, as far at a time as braided ones go; returns the time that it took.
    fn run_to(&mut self, boundary: u64) -> Result<u64, CommandError> {
        let begin_ns = thread_ns();
        while self.boundary < boundary {
            self.boundary += 1;
            for node in &mut self.nodes {
                run_kernel(node.kernel_mut(), self.boundary * self.interval)?;
            }
        }
        Ok(thread_ns() - begin_ns)
    }
}

fn run_kernel(kernel: &mut Kernel<Phold>, end: u64) -> Result<(), CommandError> {
    while kernel.run(end, STRETCH).map_err(failed)? == Progress::More {}
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> CommandError {
    CommandError::Failed(error.to_string())
}

/// Processor time of this thread so far.
fn thread_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

/// The host of a member here: it takes the time of checkpoints and mirrors, which is left out.
#[derive(Clone, Copy, Debug, Default)]
struct Keeping {
    begun_ns: u64,
    total_ns: u64,
}

impl Host for Keeping {
    #[inline]
    fn reach(&mut self, point: Point) -> Result<(), Killed> {
        match point {
            Point::CheckpointBegun | Point::MirrorInvalidated => self.begun_ns = thread_ns(),
            Point::CheckpointPublished | Point::MirrorPublished => {
                self.total_ns += thread_ns() - self.begun_ns
            }
            _ => {}
        }
        Ok(())
    }
}

/// Three members over one segment, stepped in turns.
struct Braid<'s> {
    members: Vec<Member<'s, Phold, MemoryJournal, Keeping>>,
}

impl<'s> Braid<'s> {
    fn new(segment: &'s HeapSegment, config: &'s RunConfig) -> Result<Braid<'s>, CommandError> {
        let member = |torus: &Torus| {
            let views = segment
                .worker(*torus)
                .ok_or_else(|| failed("the run has three tori"))?;
            let journal = MemoryJournal::new(header(config, *torus).to_vec());
            let host = Keeping::default();
            let mut member = Member::rehydrate(views, config, *torus, journal, host, 1).map_err(failed)?;
            // Nobody else has the segment.
            match member.own().map_err(failed)? {
                true => Ok(member),
                false => Err(failed("a segment in memory has changed by itself")),
            }
        };
        Ok(Braid {
            members: Torus::ALL.iter().map(member).collect::<Result<_, _>>()?,
        })
    }

    /// Steps all to this boundary; returns the time that it took without what kept copies.
    fn run_to(&mut self, bench: &Bench, boundary: u64) -> Result<u64, CommandError> {
        let (begin_ns, keeping_ns) = (thread_ns(), self.keeping_ns());
        let mut idle = 0;
        while self
            .members
            .iter()
            .any(|member| member.node().boundary() < boundary)
        {
            bench.interrupt.check()?;
            idle += 1;
            for member in &mut self.members {
                let until = boundary.min(member.node().boundary() + 1);
                if execute_interval(member, until)? {
                    idle = 0;
                }
            }
            // Nobody else could change anything.
            if idle > IDLE_MAX {
                return Err(failed(format!(
                    "the three tori wait for each other before boundary {boundary}"
                )));
            }
        }
        Ok(thread_ns() - begin_ns - (self.keeping_ns() - keeping_ns))
    }

    fn keeping_ns(&self) -> u64 {
        self.members.iter().map(|member| member.host().total_ns).sum()
    }
}

/// Steps a member to this boundary, or until it has to wait: each has the caches to itself for an interval, as the bare
/// kernels have. Returns whether it did anything.
fn execute_interval(
    member: &mut Member<'_, Phold, MemoryJournal, Keeping>,
    until: u64,
) -> Result<bool, CommandError> {
    let mut worked = false;
    while member.node().boundary() < until {
        if let Step::Waiting(_) = member.advance(STRETCH).map_err(failed)? {
            break;
        }
        worked = true;
    }
    Ok(worked)
}
