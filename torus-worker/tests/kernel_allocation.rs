//! The hot loop allocates nothing: a counting allocator over a million ticks of every built-in model. One test in a
//! binary of its own, because the counter is the process's.

use shm_layout::config::Capacity;
use shm_layout::torus::Torus;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use torus_worker::kernel::{Kernel, Lattice, World};
use torus_worker::model::{Model, Parameters};
use torus_worker::models::{Cascade, Heat, Phold};
use torus_worker::script::Script;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to the system allocator unchanged; the count is a side effect on an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises about the layout are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is from the system allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const TICKS: u64 = 1_000_000;

fn kernel<M: Model>(given: &[(&str, &str)]) -> Kernel<M> {
    let lattice = Lattice::new([8; 3]).unwrap();
    let world = World {
        torus: Torus::A,
        tori: 3,
        lattice,
        interval: 1000,
        lag: 2,
        seed: 1,
    };
    let given: Vec<_> = given
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let parameters = Parameters::resolve(M::NAME, M::parameters(), &given).unwrap();
    let model = M::new(&parameters, &world).unwrap();
    let hint = model.capacity(&world);
    let capacity = Capacity {
        pending: hint.pending,
        edges: hint.edges,
        remote_per_interval: hint.remote_per_interval,
        lanes: 1,
        lane_entries: 16,
        frames: 5,
    };
    let mut kernel = Kernel::new(model, world, capacity).unwrap();
    kernel.set_up().unwrap();
    kernel
}

/// Runs a million ticks, what is sent to the peers coming back from them, and returns the allocations made.
fn allocations<M: Model>(kernel: &mut Kernel<M>) -> u64 {
    let mut face = vec![0; 64];
    let mut back = [Vec::with_capacity(1 << 14), Vec::with_capacity(1 << 14)];
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for interval in 0..TICKS / 1000 {
        kernel.begin_interval((interval + 2) * 1000, [false; 3]);
        let arrived = &mut back[interval as usize % 2];
        arrived
            .drain(..)
            .for_each(|event| kernel.schedule(event).unwrap());
        kernel.run((interval + 1) * 1000, u64::MAX).unwrap();
        for peer in [Torus::B, Torus::C] {
            arrived.extend_from_slice(kernel.remote(peer));
        }
        kernel.face_into(&mut face);
        std::hint::black_box((
            kernel.history_digest(),
            kernel.state_digest(),
            kernel.conserved_total(),
        ));
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn a_million_ticks_allocate_nothing() {
    let mut phold = kernel::<Phold>(&[("remote", "0.1"), ("max_delay", "256")]);
    assert_eq!(allocations(&mut phold), 0, "phold");
    assert!(phold.events() > 1_000_000 && phold.last_time() > TICKS - 1000);

    let mut heat = kernel::<Heat>(&[("period", "300")]);
    assert_eq!(allocations(&mut heat), 0, "heat");
    assert!(heat.events() > 1_000_000);

    // A ring that slows down, so that delays reach the far levels, and one that speeds up.
    let mut cascade = kernel::<Cascade>(&[]);
    let mut text = String::new();
    for x in 0..8 {
        text += &format!(
            "edge {x} 0 0  {} 0 0  250\nedge {x} 1 0  {} 1 0  250\n",
            x + 1,
            x + 1
        );
    }
    text += "inject 0 0 0 0 0 0 -2147483648\ninject 0 1 0 0 0 0 1\ninject 1 1 0 0 0 0 1\n";
    Script::parse("rings", &text)
        .unwrap()
        .apply(&mut cascade)
        .unwrap();
    assert_eq!(allocations(&mut cascade), 0, "cascade");
    assert!(cascade.events() > 1_000_000);
}
