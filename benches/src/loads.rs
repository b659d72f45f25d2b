//! The loads: kernels set up with what is measured.

use shm_layout::config::Capacity;
use shm_layout::torus::Torus;
use torus_worker::kernel::{Kernel, Lattice, World};
use torus_worker::model::{Model, Parameters};
use torus_worker::models::{Cascade, Phold};
use torus_worker::script::{Command, Script};

/// 2000 events in rings, four to a cell and tick.
pub const RING_DENSE: Golden = Golden {
    name: "ring_dense",
    text: include_str!("../../tests/golden/ring_dense.scenario"),
};

/// 3000 events over 40 edges that lengthen and shorten.
pub const MIXED_SIGN_COLLISIONS: Golden = Golden {
    name: "mixed_sign_collisions",
    text: include_str!("../../tests/golden/mixed_sign_collisions.scenario"),
};

/// A golden scenario.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    /// Its name.
    pub name: &'static str,
    text: &'static str,
}

impl Golden {
    /// Its cells, edges and events on a torus of their own, before anything is executed.
    pub fn kernel(self) -> Kernel<Cascade> {
        let script = Script::parse(self.name, self.text).expect("a valid scenario");
        let is_set_up = |command: &Command| !matches!(command, Command::RunUntil(_) | Command::Dump);
        let set_up: String = script
            .lines()
            .iter()
            .zip(self.text.lines())
            .filter(|(line, _)| is_set_up(&line.command))
            .flat_map(|(_, text)| [text, "\n"])
            .collect();
        let script = Script::parse(self.name, &set_up).expect("part of a valid scenario");
        let mut kernel = empty::<Cascade>([32; 3], &[]);
        script.apply(&mut kernel).expect("it fits");
        kernel
    }
}

/// `phold` on a lattice of the given sides with the given number of events and delays from 1 to `max_delay`.
pub fn phold(sides: [u32; 3], population: u32, max_delay: u32) -> Kernel<Phold> {
    let given = [
        ("population", population.to_string()),
        ("max_delay", max_delay.to_string()),
    ];
    set_up::<Phold>(
        sides,
        &given.each_ref().map(|(name, value)| (*name, value.as_str())),
    )
}

/// A model with these parameters on a torus of its own, set up.
pub fn set_up<M: Model>(sides: [u32; 3], given: &[(&str, &str)]) -> Kernel<M> {
    let mut kernel = empty(sides, given);
    kernel.set_up().expect("the model's own hint suffices");
    kernel
}

fn empty<M: Model>(sides: [u32; 3], given: &[(&str, &str)]) -> Kernel<M> {
    let world = World {
        torus: Torus::A,
        tori: 1,
        lattice: Lattice::new(sides).expect("valid sides"),
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
    Kernel::new(model, world, capacity).expect("torus A exists")
}
