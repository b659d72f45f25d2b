//! The heap kernel does the same work as the real one: the golden scenarios' figures, and phold's state and digests.

use braid_bench_baselines::heap::{CascadeRule, HeapKernel, PholdRule};
use braid_bench_baselines::loads;
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use torus_worker::kernel::{Edge, Lattice, Place, World};
use torus_worker::models::Visits;
use torus_worker::script::{Command, Coordinates, OrderHash, Script};

fn world() -> World {
    World {
        torus: Torus::A,
        tori: 1,
        lattice: Lattice::new([32; 3]).unwrap(),
        interval: 1000,
        lag: 2,
        seed: 0,
    }
}

/// A scenario on the heap kernel, line by line, with what the original printed for it.
struct Play {
    heap: HeapKernel<CascadeRule>,
    /// Source and destination of each edge, in order of creation.
    edges: Vec<(u32, u32)>,
    order: OrderHash,
    printed: String,
}

impl Play {
    fn of(script: &Script) -> String {
        let mut play = Play {
            heap: HeapKernel::new(CascadeRule, world()),
            edges: Vec::new(),
            order: OrderHash::default(),
            printed: String::new(),
        };
        for line in script.lines() {
            play.command(line.command);
        }
        play.printed
    }

    fn command(&mut self, command: Command) {
        let cell = |at: Coordinates| at.cell(&world().lattice);
        match command {
            Command::Process(at) => self.heap.spawn(cell(at), Visits::default()),
            Command::Edge { from, to, delay } => self.edge(cell(from), cell(to), delay),
            Command::Inject { to, from, payload } => self.heap.schedule(TimedEvent {
                time: self.heap.last_time(),
                dst: cell(to),
                src: Source::model(Torus::A, cell(from)),
                payload: i64::from(payload),
            }),
            Command::RunUntil(tick) => self.run_until(tick),
            Command::Dump => self.dump(),
        }
    }

    fn edge(&mut self, from: u32, to: u32, delay: u32) {
        let place = Place {
            torus: Torus::A,
            cell: to,
        };
        self.heap.connect(from, Edge { to: place, delay });
        if !self.edges.contains(&(from, to)) {
            self.edges.push((from, to));
        }
    }

    fn run_until(&mut self, tick: u64) {
        let before = self.heap.events();
        let order = &mut self.order;
        self.heap
            .run_observed(tick + 1, u64::MAX, |event| order.event(event));
        let (total, pending) = (self.heap.events(), self.heap.pending_events().len());
        writeln!(
            self.printed,
            "until {tick} processed {} total {total} pending {pending} last_time {} peak {} order_fnv1a64 {:016x}",
            total - before,
            self.heap.last_time(),
            self.heap.peak(),
            self.order.value()
        )
        .unwrap();
    }

    fn dump(&mut self) {
        let delay = |&(from, to): &(u32, u32)| {
            let mut edges = self.heap.edges(from);
            edges.find(|edge| edge.0 == to).unwrap().1
        };
        let delays: Vec<_> = self.edges.iter().map(delay).collect();
        let sum: u64 = delays.iter().map(|delay| u64::from(*delay)).sum();
        let mut hash = OrderHash::default();
        delays.iter().for_each(|delay| hash.word(u64::from(*delay)));
        let (count, edges) = (delays.len(), hash.value());
        let pending = self.heap.pending_events();
        let mut hash = OrderHash::default();
        pending.iter().for_each(|event| hash.event(event));
        let text = &mut self.printed;
        writeln!(text, "edges {count} delay_sum {sum} delays_fnv1a64 {edges:016x}").unwrap();
        writeln!(
            text,
            "pending {} pending_fnv1a64 {:016x}",
            pending.len(),
            hash.value()
        )
        .unwrap();
        for (index, delay) in delays.iter().take(8).enumerate() {
            writeln!(text, "edge {index} delay {delay}").unwrap();
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

#[test]
fn every_golden_scenario_is_reproduced_with_the_size_of_the_queue() {
    let mut played = 0;
    for entry in golden().read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "scenario") {
            continue;
        }
        let name = path.display().to_string();
        let script = Script::parse(&name, &std::fs::read_to_string(&path).unwrap()).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(Play::of(&script), expected, "{name}");
        played += 1;
    }
    assert!(played >= 7, "only {played} scenarios in {}", golden().display());
}

#[test]
fn phold_ends_in_the_same_state_and_digest_as_on_the_real_kernel() {
    // Crowded cells, so that bags matter; the standard load; hardly any event.
    for (sides, population, max_delay) in [([4; 3], 3000, 7), ([32; 3], 32_768, 64), ([16; 3], 3, 200)] {
        let mut kernel = loads::phold(sides, population, max_delay);
        let rule = PholdRule { degree: 2, max_delay };
        let mut heap = HeapKernel::of(rule, &kernel);
        for end in [1, 50, 1000] {
            kernel.run(end, u64::MAX).unwrap();
            heap.run(end, u64::MAX);
            assert_eq!(
                heap.history_digest(),
                kernel.history_digest(),
                "{population} at {end}"
            );
            assert_eq!(
                (heap.events(), heap.last_time()),
                (kernel.events(), kernel.last_time())
            );
        }
        assert_eq!(heap.pending_events(), kernel.pending_events());
        for cell in 0..kernel.world().lattice.cells() {
            assert_eq!(heap.process(cell), kernel.process(cell));
            let edges = (0..2).map(|index| kernel.edge(cell, index).unwrap());
            assert!(heap.edges(cell).eq(edges.map(|edge| (edge.to.cell, edge.delay))));
        }
    }
}

#[test]
fn golden_loads_run_through_the_same_history_on_both_kernels() {
    for golden in [loads::RING_DENSE, loads::MIXED_SIGN_COLLISIONS] {
        let mut kernel = golden.kernel();
        let mut heap = HeapKernel::of(CascadeRule, &kernel);
        kernel.run(300, u64::MAX).unwrap();
        heap.run(300, u64::MAX);
        assert!(kernel.events() > 100_000, "{}", golden.name);
        assert_eq!(heap.history_digest(), kernel.history_digest(), "{}", golden.name);
    }
}
