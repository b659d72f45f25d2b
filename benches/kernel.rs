//! Throughput of the torus kernel, in events executed per second on one core.
//!
//! `cargo bench --bench kernel`. The figures of a shared machine scatter: read the fastest column.

use divan::Bencher;
use divan::counter::ItemsCount;
use shm_layout::config::Capacity;
use shm_layout::torus::Torus;
use std::path::Path;
use torus_worker::kernel::{Kernel, Lattice, World};
use torus_worker::model::{Model, Parameters};
use torus_worker::models::{Cascade, Heat, Phold};
use torus_worker::script::{Command, Script};

fn main() {
    divan::main();
}

fn kernel<M: Model>(given: &[(&str, &str)]) -> Kernel<M> {
    let lattice = Lattice::new([32; 3]).expect("32 is a valid side");
    let world = World {
        torus: Torus::A,
        tori: 1,
        lattice,
        interval: 1000,
        lag: 2,
        seed: 42,
    };
    let given: Vec<_> = given
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let parameters = Parameters::resolve(M::NAME, M::parameters(), &given).expect("known parameters");
    let model = M::new(&parameters, &world).expect("valid parameters");
    let hint = model.capacity(&world);
    let capacity = Capacity {
        pending: hint.pending,
        edges: hint.edges,
        remote_per_interval: 0,
        ..Capacity::default()
    };
    let mut kernel = Kernel::new(model, world, capacity).expect("torus A exists");
    kernel.set_up().expect("the hint suffices");
    kernel
}

/// A golden scenario's cells, edges and events, past its first ticks.
fn golden(name: &str, warm_up: u64) -> Kernel<Cascade> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let set_up: String = text
        .lines()
        .filter(|line| !line.starts_with("run_until") && *line != "dump")
        .flat_map(|line| [line, "\n"])
        .collect();
    let script = Script::parse(name, &set_up).expect("a valid scenario");
    assert!(
        script
            .lines()
            .iter()
            .all(|line| !matches!(line.command, Command::Dump))
    );
    let mut kernel = kernel(&[]);
    script.apply(&mut kernel).expect("it fits");
    kernel.run(warm_up, u64::MAX).expect("it fits");
    kernel
}

/// Each iteration goes on for so many ticks where the last one stopped.
fn measure<M: Model>(bencher: Bencher, mut kernel: Kernel<M>, ticks: u64) {
    let mut end = kernel.last_time() + ticks;
    kernel.run(end, u64::MAX).expect("it fits");
    let before = kernel.events();
    end += ticks;
    kernel.run(end, u64::MAX).expect("it fits");
    let events = kernel.events() - before;
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        end += ticks;
        kernel.run(end, u64::MAX)
    });
}

/// The standard load: 32 768 pending events, delays 1 to 64.
#[divan::bench]
fn phold_hold(bencher: Bencher) {
    measure(bencher, kernel::<Phold>(&[]), 1000);
}

/// Few events on the large lattice: the cost of a tick.
#[divan::bench]
fn phold_sparse(bencher: Bencher) {
    measure(bencher, kernel::<Phold>(&[("population", "100")]), 100_000);
}

/// Delays beyond the near wheel.
#[divan::bench]
fn phold_far(bencher: Bencher) {
    measure(
        bencher,
        kernel::<Phold>(&[("max_delay", "256"), ("population", "4096")]),
        10_000,
    );
}

#[divan::bench]
fn heat_spreading(bencher: Bencher) {
    measure(bencher, kernel::<Heat>(&[("hot", "1000000000")]), 1000);
}

/// 2 000 events in rings, four to a cell and tick.
#[divan::bench]
fn ring_dense(bencher: Bencher) {
    measure(bencher, golden("ring_dense.scenario", 1000), 1000);
}

/// 3 000 events over 40 edges that lengthen and shorten.
#[divan::bench]
fn mixed_sign_collisions(bencher: Bencher) {
    measure(bencher, golden("mixed_sign_collisions.scenario", 5000), 1000);
}

/// The full state of the standard load into words, and back.
#[divan::bench]
fn phold_save(bencher: Bencher) {
    let kernel = kernel::<Phold>(&[]);
    let mut words = Vec::new();
    bencher.bench_local(|| {
        words.clear();
        kernel.save(&mut words);
    });
}

#[divan::bench]
fn phold_load(bencher: Bencher) {
    let mut kernel = kernel::<Phold>(&[]);
    let mut words = Vec::new();
    kernel.save(&mut words);
    bencher.bench_local(|| kernel.load(&words));
}

#[divan::bench]
fn phold_state_digest(bencher: Bencher) {
    let kernel = kernel::<Phold>(&[]);
    bencher.bench_local(|| kernel.state_digest());
}
