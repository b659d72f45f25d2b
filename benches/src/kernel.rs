//! The measurements of the kernel: one torus, one thread.

use crate::figure::{Figure, Target};
use crate::floor::Floor;
use crate::heap::{CascadeRule, HeapKernel, PholdRule, Rule};
use crate::loads::{self, Golden};
use crate::rounds::{Contestant, Rounds, Sample, take_turns, timed};
use torus_worker::kernel::{Kernel, TIME_MAX};
use torus_worker::model::Model;

/// Delays of the standard load are from 1 to this many ticks.
pub const MAX_DELAY: u32 = 64;
/// Pending events of the standard load.
pub const PENDING: u32 = 32_768;
/// Sides of the standard lattice.
pub const SIDES: [u32; 3] = [32; 3];

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds that count.
    pub rounds: usize,
    /// Events that each contestant executes in a round.
    pub events: u64,
}

impl Effort {
    /// Some tens of seconds.
    pub const FULL: Effort = Effort {
        rounds: 51,
        events: 500_000,
    };
    /// A few seconds.
    pub const QUICK: Effort = Effort {
        rounds: 11,
        events: 200_000,
    };
}

/// The bare hold operation on the standard lattice: events executed and nanoseconds of processor time, over all rounds.
pub fn hold_floor(pending: u32, rounds: usize) -> (u64, u64) {
    let mut floor = Floor::new(SIDES.iter().product(), pending, MAX_DELAY);
    sum(rounds, || floor_round(&mut floor, Effort::FULL.events))
}

/// The same with the real kernel: `phold` with digests and canonical bags.
pub fn hold_kernel(pending: u32, rounds: usize) -> (u64, u64) {
    let mut kernel = loads::phold(SIDES, pending, MAX_DELAY);
    sum(rounds, || kernel_round(&mut kernel, Effort::FULL.events))
}

/// The same with the heap kernel.
pub fn hold_heap(pending: u32, rounds: usize) -> (u64, u64) {
    let mut heap = HeapKernel::of(PHOLD, &loads::phold(SIDES, pending, MAX_DELAY));
    sum(rounds, || heap_round(&mut heap, Effort::FULL.events))
}

const PHOLD: PholdRule = PholdRule {
    degree: 2,
    max_delay: MAX_DELAY,
};

fn sum(rounds: usize, mut round: impl FnMut() -> Sample) -> (u64, u64) {
    round();
    (0..rounds).fold((0, 0), |(events, ns), _| {
        let sample = round();
        (events + sample.events, ns + sample.ns)
    })
}

/// Lets the real kernel execute at least this many events.
pub fn kernel_round<M: Model>(kernel: &mut Kernel<M>, events: u64) -> Sample {
    timed(|| {
        let before = kernel.events();
        kernel.run(TIME_MAX, events).expect("the load fits its capacity");
        kernel.events() - before
    })
}

/// Lets the heap kernel execute this many events.
pub fn heap_round<R: Rule>(heap: &mut HeapKernel<R>, events: u64) -> Sample {
    timed(|| {
        let before = heap.events();
        heap.run(TIME_MAX, events);
        heap.events() - before
    })
}

/// Lets the floor execute at least this many events.
pub fn floor_round(floor: &mut Floor, events: u64) -> Sample {
    timed(|| floor.run(events))
}

/// Measures everything; `progress` is told what comes next.
pub fn figures(effort: Effort, progress: &mut dyn FnMut(&str)) -> Vec<Figure> {
    let mut figures = Vec::new();
    progress("phold against the floor and the heap kernel");
    figures.extend(standard_load(effort));
    for golden in [loads::RING_DENSE, loads::MIXED_SIGN_COLLISIONS] {
        progress(golden.name);
        figures.extend(golden_load(golden, effort));
    }
    progress("growth with pending events");
    figures.extend(growth_with_pending(effort));
    progress("growth with cells");
    figures.extend(growth_with_cells(effort));
    progress("sparse loads");
    figures.extend(sparse_loads(effort));
    figures
}

/// The standard load, with the floor and the heap kernel in the same rounds.
fn standard_load(effort: Effort) -> Vec<Figure> {
    let mut kernel = loads::phold(SIDES, PENDING, MAX_DELAY);
    let mut heap = HeapKernel::of(PHOLD, &kernel);
    let mut floor = Floor::new(SIDES.iter().product(), PENDING, MAX_DELAY);
    let rounds = take_turns(
        &mut [
            Box::new(|| kernel_round(&mut kernel, effort.events)),
            Box::new(|| floor_round(&mut floor, effort.events)),
            Box::new(|| heap_round(&mut heap, effort.events / 4)),
        ],
        effort.rounds,
    );
    vec![
        per_event("phold", &rounds, 0)
            .against("floor", rounds.ratio(0, 1), Some(Target::AtMost(1.5)))
            .against("heap kernel", rounds.speedup(0, 2), Some(Target::AtLeast(8.0))),
        per_event("phold, floor", &rounds, 1),
        per_event("phold, heap kernel", &rounds, 2),
    ]
}

/// A golden scenario from its beginning, with the heap kernel in the same rounds.
fn golden_load(golden: Golden, effort: Effort) -> Vec<Figure> {
    let mut kernel = golden.kernel();
    let mut heap = HeapKernel::of(CascadeRule, &kernel);
    let rounds = take_turns(
        &mut [
            Box::new(|| kernel_round(&mut kernel, effort.events)),
            Box::new(|| heap_round(&mut heap, effort.events)),
        ],
        effort.rounds,
    );
    vec![
        per_event(golden.name, &rounds, 0).against(
            "heap kernel",
            rounds.speedup(0, 1),
            Some(Target::AtLeast(5.0)),
        ),
        per_event(&format!("{}, heap kernel", golden.name), &rounds, 1),
    ]
}

fn growth_with_pending(effort: Effort) -> Vec<Figure> {
    let pending = [1000, 32_768, 262_144];
    let loads = pending.map(|pending| (format!("phold, {pending} pending"), SIDES, pending, MAX_DELAY));
    growth(&loads, "1000 pending", Target::AtMost(2.0), effort)
}

fn growth_with_cells(effort: Effort) -> Vec<Figure> {
    let loads = [32, 64, 128].map(|side| (format!("phold, {side}³ cells"), [side; 3], PENDING, MAX_DELAY));
    growth(&loads, "32³ cells", Target::AtMost(3.0), effort)
}

/// One event per tick, and one per hundred ticks: that the latter costs hardly more shows that ticks cost nothing; that
/// more cells cost hardly more, that cells do not.
fn sparse_loads(effort: Effort) -> Vec<Figure> {
    let events = effort.events / 10;
    let loads = [
        ("one event per tick".to_owned(), SIDES, 32, 63),
        ("one event per hundred ticks".to_owned(), SIDES, 1, 199),
    ];
    growth(
        &loads,
        "one event per tick",
        Target::AtMost(3.0),
        Effort { events, ..effort },
    )
}

/// `phold` loads in turns, each in relation to the first one.
fn growth(
    loads: &[(String, [u32; 3], u32, u32)],
    first: &'static str,
    target: Target,
    effort: Effort,
) -> Vec<Figure> {
    let mut kernels: Vec<_> = loads
        .iter()
        .map(|(_, sides, pending, max_delay)| loads::phold(*sides, *pending, *max_delay))
        .collect();
    let mut contestants: Vec<Contestant<'_>> = kernels
        .iter_mut()
        .map(|kernel| Box::new(|| kernel_round(kernel, effort.events)) as Contestant<'_>)
        .collect();
    let rounds = take_turns(&mut contestants, effort.rounds);
    let figures = loads.iter().enumerate().map(|(at, (name, ..))| {
        let figure = per_event(name, &rounds, at);
        match at {
            0 => figure,
            _ => figure.against(first, rounds.ratio(at, 0), Some(target)),
        }
    });
    figures.collect()
}

fn per_event(name: &str, rounds: &Rounds, contestant: usize) -> Figure {
    Figure::new(name, rounds.ns(contestant), "ns/event")
}
