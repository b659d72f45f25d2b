//! A node that was saved and loaded goes on exactly as the one that was not, at a size at which the kernel's arrays lie
//! differently after loading: nothing observable may depend on that.

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::record::TimedEvent;
use shm_layout::torus::Torus;
use torus_worker::kernel::{Arrivals, Progress};
use torus_worker::model::Model;
use torus_worker::models::{Heat, Phold};
use torus_worker::node::{Intake, LANES_MAX, Node};
use torus_worker::setup;

/// A frame and what it carries for each peer.
struct Published {
    frame: Frame,
    events: [Vec<TimedEvent>; 3],
}

fn config<M: Model>(parameters: &[(&str, &str)]) -> RunConfig {
    let mut config = RunConfig::new("saved", M::NAME);
    config.parameters = parameters
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    config.sides = [16, 16, 16];
    config.capacity.pending = 200_000;
    config.capacity.edges = 100_000;
    config.capacity.remote_per_interval = 65_536;
    config.tolerance = 8;
    config
}

/// Enters, runs in stretches of `budget` events and closes one interval.
fn execute<M: Model>(
    node: &mut Node<M>,
    due: &[Option<&Published>; 3],
    own: Torus,
    budget: u64,
) -> Published {
    let frames = due.map(|published| published.map(|p| &p.frame));
    let events = due.map(|published| published.map_or(&[][..], |p| &p.events[own.index()]));
    let mut arrivals = events.map(Arrivals::from);
    node.enter(&mut Intake {
        frames,
        events: arrivals.each_mut().map(Some),
        hashes: events.map(shm_layout::hash::events),
        injected: &[],
        lane_positions: [0; LANES_MAX],
    })
    .expect("a clean intake");
    while node.run(budget).expect("enough room") == Progress::More {}
    let events = Torus::ALL.map(|peer| {
        if peer == own {
            Vec::new()
        } else {
            node.outgoing(peer).to_vec()
        }
    });
    let mut frame = Frame::new(node.kernel().world().lattice.face_cells() as usize);
    node.close(&mut frame);
    Published { frame, events }
}

fn saved_and_loaded_at_every_boundary<M: Model>(config: &RunConfig, boundaries: usize) {
    let mut nodes = Torus::ALL.map(|torus| setup::node::<M>(config, torus).expect("a valid configuration"));
    let mut published: [Vec<Published>; 3] = Default::default();
    for b in 0..boundaries {
        let mut next = Vec::new();
        for (own, node) in Torus::ALL.into_iter().zip(&mut nodes) {
            let mut words = Vec::new();
            node.save(7, &mut words);
            let mut twin = setup::empty_node::<M>(config, own).expect("a valid configuration");
            assert_eq!(twin.load(&words).expect("what was saved"), 7);
            assert_eq!(
                node.state_digest(),
                twin.state_digest(),
                "torus {own} at boundary {b}"
            );
            let due = Torus::ALL.map(|peer| {
                (peer != own)
                    .then(|| b.checked_sub(2).map(|n| &published[peer.index()][n]))
                    .flatten()
            });
            let here = execute(node, &due, own, 4096);
            let there = execute(&mut twin, &due, own, u64::MAX);
            assert_eq!(
                here.frame.chain(),
                there.frame.chain(),
                "torus {own}, interval {b}"
            );
            assert_eq!(
                node.state_digest(),
                twin.state_digest(),
                "torus {own} after interval {b}"
            );
            next.push(here);
        }
        published
            .iter_mut()
            .zip(next)
            .for_each(|(frames, frame)| frames.push(frame));
    }
}

#[test]
fn phold_with_remote_events_goes_on_exactly_after_loading() {
    saved_and_loaded_at_every_boundary::<Phold>(&config::<Phold>(&[("remote", "0.1")]), 12);
}

#[test]
fn heat_goes_on_exactly_after_loading() {
    saved_and_loaded_at_every_boundary::<Heat>(&config::<Heat>(&[("hot", "10000000")]), 12);
}
