//! Throughput of the torus kernel and of what it is compared with, in events executed per second on one core.
//!
//! `cargo bench --bench kernel`. The figures of a shared machine scatter: read the fastest column, and take ratios from
//! `braid-supervisor bench kernel`, where the contestants take turns.

use braid_bench_baselines::floor::Floor;
use braid_bench_baselines::heap::{CascadeRule, HeapKernel, PholdRule, Rule};
use braid_bench_baselines::kernel::{MAX_DELAY, PENDING, SIDES};
use braid_bench_baselines::loads::{MIXED_SIGN_COLLISIONS, RING_DENSE, phold, set_up};
use divan::Bencher;
use divan::counter::ItemsCount;
use torus_worker::kernel::{Kernel, TIME_MAX};
use torus_worker::model::Model;
use torus_worker::models::Heat;

fn main() {
    divan::main();
}

/// Events per iteration.
const EVENTS: u64 = 100_000;

/// Each iteration goes on where the last one stopped. Ticks are executed whole, a small part more than counted.
fn measure<M: Model>(bencher: Bencher, mut kernel: Kernel<M>) {
    kernel.run(TIME_MAX, 10 * EVENTS).expect("it fits");
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| kernel.run(TIME_MAX, EVENTS));
}

fn measure_heap<R: Rule>(bencher: Bencher, mut heap: HeapKernel<R>) {
    heap.run(TIME_MAX, 10 * EVENTS);
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| heap.run(TIME_MAX, EVENTS));
}

fn measure_floor(bencher: Bencher, mut floor: Floor) {
    floor.run(10 * EVENTS);
    bencher
        .counter(ItemsCount::new(EVENTS))
        .bench_local(|| floor.run(EVENTS));
}

/// The standard load: 32 768 pending events, delays 1 to 64.
#[divan::bench]
fn phold_hold(bencher: Bencher) {
    measure(bencher, phold(SIDES, PENDING, MAX_DELAY));
}

#[divan::bench]
fn phold_hold_floor(bencher: Bencher) {
    measure_floor(bencher, Floor::new(SIDES.iter().product(), PENDING, MAX_DELAY));
}

#[divan::bench]
fn phold_hold_heap(bencher: Bencher) {
    let rule = PholdRule {
        degree: 2,
        max_delay: MAX_DELAY,
    };
    measure_heap(bencher, HeapKernel::of(rule, &phold(SIDES, PENDING, MAX_DELAY)));
}

/// Pending events: from less than fits the innermost cache to more than fits the next.
#[divan::bench(args = [1000, 32_768, 262_144])]
fn phold_pending(bencher: Bencher, pending: u32) {
    measure(bencher, phold(SIDES, pending, MAX_DELAY));
}

/// Cells at equal pending events, by the side of the lattice.
#[divan::bench(args = [32, 64, 128])]
fn phold_side(bencher: Bencher, side: u32) {
    measure(bencher, phold([side; 3], PENDING, MAX_DELAY));
}

/// One event per tick: the cost of a tick.
#[divan::bench]
fn phold_sparse(bencher: Bencher) {
    measure(bencher, phold(SIDES, 32, 63));
}

/// One event per hundred ticks.
#[divan::bench]
fn phold_sparsest(bencher: Bencher) {
    measure(bencher, phold(SIDES, 1, 199));
}

/// Delays up to the end of the near wheel.
#[divan::bench]
fn phold_far(bencher: Bencher) {
    measure(bencher, phold(SIDES, 4096, 256));
}

#[divan::bench]
fn heat_spreading(bencher: Bencher) {
    measure(bencher, set_up::<Heat>(SIDES, &[("hot", "1000000000")]));
}

/// 2 000 events in rings, four to a cell and tick.
#[divan::bench]
fn ring_dense(bencher: Bencher) {
    measure(bencher, RING_DENSE.kernel());
}

#[divan::bench]
fn ring_dense_heap(bencher: Bencher) {
    measure_heap(bencher, HeapKernel::of(CascadeRule, &RING_DENSE.kernel()));
}

/// 3 000 events over 40 edges that lengthen and shorten.
#[divan::bench]
fn mixed_sign_collisions(bencher: Bencher) {
    measure(bencher, MIXED_SIGN_COLLISIONS.kernel());
}

#[divan::bench]
fn mixed_sign_collisions_heap(bencher: Bencher) {
    measure_heap(
        bencher,
        HeapKernel::of(CascadeRule, &MIXED_SIGN_COLLISIONS.kernel()),
    );
}

/// The full state of the standard load into words, and back.
#[divan::bench]
fn phold_save(bencher: Bencher) {
    let kernel = phold(SIDES, PENDING, MAX_DELAY);
    let mut words = Vec::new();
    bencher.bench_local(|| {
        words.clear();
        kernel.save(&mut words);
    });
}

#[divan::bench]
fn phold_load(bencher: Bencher) {
    let mut kernel = phold(SIDES, PENDING, MAX_DELAY);
    let mut words = Vec::new();
    kernel.save(&mut words);
    bencher.bench_local(|| kernel.load(&words));
}

#[divan::bench]
fn phold_state_digest(bencher: Bencher) {
    let kernel = phold(SIDES, PENDING, MAX_DELAY);
    bencher.bench_local(|| kernel.state_digest());
}
