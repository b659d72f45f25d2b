//! Damage on request: it changes the state and nothing else, and the torus goes on.

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;
use torus_worker::kernel::Damage;
use torus_worker::model::Model;
use torus_worker::models::{Cascade, Heat, Phold};
use torus_worker::setup;

fn damaged<M: Model>(script: Option<&str>) {
    let mut config = RunConfig::new("damaged", M::NAME);
    config.sides = [4, 4, 4];
    config.script = script.map(str::to_owned);
    let mut node = setup::node::<M>(&config, Torus::B).expect("a torus");
    let kernel = node.kernel_mut();
    kernel.begin_interval(1000, [false; 3]);
    kernel.run(100, u64::MAX).expect("room");
    for what in Damage::ALL {
        for seed in (0..40_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let before = (kernel.state_digest(), kernel.history_digest(), kernel.pending());
            if what == Damage::Event && kernel.pending() == 0 {
                assert!(!kernel.damage(what, seed), "there is nothing to damage");
                continue;
            }
            assert!(kernel.damage(what, seed), "there is a {what:?} to damage");
            assert_ne!(kernel.state_digest(), before.0, "{what:?} {seed}");
            assert_eq!((kernel.history_digest(), kernel.pending()), (before.1, before.2));
            let mut saved = Vec::new();
            kernel.save(&mut saved);
            let mut twin = setup::empty_node::<M>(&config, Torus::B).expect("a torus");
            twin.kernel_mut().load(&saved).expect("it is still a state");
            assert_eq!(twin.kernel().state_digest(), kernel.state_digest());
        }
    }
    kernel.run(1000, u64::MAX).expect("it goes on");
}

#[test]
fn damage_changes_the_state_and_no_digest_of_the_past() {
    damaged::<Phold>(None);
    damaged::<Heat>(None);
    damaged::<Cascade>(Some(
        "process B:1 1 1\nedge B:1 1 1 B:1 2 1 5\nedge B:1 2 1 B:1 1 1 3\ninject B:1 1 1 B:0 0 0 1\n",
    ));
}

#[test]
fn an_empty_torus_has_nothing_to_damage() {
    let config = RunConfig::new("empty", Cascade::NAME);
    let mut node = setup::empty_node::<Cascade>(&config, Torus::A).expect("a torus");
    for what in Damage::ALL {
        assert!(!node.kernel_mut().damage(what, 7));
    }
}

#[test]
fn every_kind_of_damage_has_its_number() {
    for what in Damage::ALL {
        assert_eq!(Damage::from_number(what.number()), Some(what));
    }
    assert_eq!(Damage::from_number(3), None);
}
