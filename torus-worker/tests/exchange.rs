//! What three tori do to one another: rotation of projections, coupled faces, and a total that never changes.

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::hash;
use shm_layout::record::TimedEvent;
use shm_layout::torus::Torus;
use torus_worker::in_process::InProcess;
use torus_worker::kernel::Progress;
use torus_worker::model::Model;
use torus_worker::models::{Heat, Phold};
use torus_worker::node::coupling::least_tolerance;
use torus_worker::node::{Intake, Node, NodeError};
use torus_worker::setup;

const HOT: i64 = 1_000_000;

fn heat(lag: u32, spread: &str) -> InProcess<Heat> {
    let mut config = RunConfig::new("warm", "heat");
    config.parameters = vec![("hot".into(), HOT.to_string()), ("spread".into(), spread.into())];
    config.sides = [8, 8, 8];
    config.interval = 100;
    config.lag = lag;
    config.tolerance = least_tolerance(Heat::COUPLING, lag);
    config.capacity.pending = 100_000;
    config.capacity.edges = 10_000;
    InProcess::new(&config, Default::default()).expect("a valid configuration")
}

/// Heat in cells and pending events of all tori, and in transit between them.
fn total(run: &InProcess<Heat>) -> i64 {
    let inside: i64 = run.nodes().map(|(_, node)| node.kernel().conserved_total()).sum();
    let pairs = Torus::ALL
        .into_iter()
        .flat_map(|from| Torus::ALL.map(|to| (from, to)));
    let transit: i64 = pairs
        .flat_map(|(from, to)| run.in_transit(from, to))
        .map(|event| event.payload)
        .sum();
    inside + transit
}

fn face(run: &InProcess<Heat>, torus: Torus) -> Vec<i64> {
    let (_, node) = run.nodes().find(|(own, _)| *own == torus).expect("three tori");
    (0..64)
        .map(|cell| i64::from(node.kernel().cell_value(cell)))
        .collect()
}

#[test]
fn a_hot_spot_in_a_raises_the_face_of_b_and_c_and_the_total_stays_exact() {
    for lag in [1, 2, 4, 8] {
        let mut run = heat(lag, "1");
        for _ in 0..300 {
            assert_eq!(total(&run), HOT, "lag {lag}, boundary {}", run.boundary());
            run.execute_interval().expect("enough room");
        }
        for torus in [Torus::B, Torus::C] {
            let warm = face(&run, torus).iter().filter(|value| **value > 0).count();
            assert!(
                warm > 32,
                "lag {lag}: {warm} of 64 face cells of torus {torus} are warm"
            );
        }
    }
}

#[test]
fn the_faces_of_three_tori_come_together() {
    let mut run = heat(2, "8");
    (0..600).for_each(|_| run.execute_interval().expect("enough room"));
    let faces = Torus::ALL.map(|torus| face(&run, torus));
    let spread = (0..64).map(|cell| {
        let values = faces.each_ref().map(|face| face[cell]);
        values.iter().max().expect("three") - values.iter().min().expect("three")
    });
    let start = HOT / 512;
    let widest = spread.max().expect("64 cells");
    assert!(widest < start / 4, "from {start} apart to {widest}");
}

#[test]
fn each_torus_projects_exactly_once_per_cycle_and_in_rotation() {
    let mut config = RunConfig::new("rotating", "phold");
    config.sides = [4, 4, 4];
    config.interval = 50;
    let mut run = InProcess::<Phold>::new(&config, Default::default()).expect("a valid configuration");
    for n in 0..99 {
        run.execute_interval().expect("enough room");
        for torus in Torus::ALL {
            let frame = run.newest_frame(torus).expect("just published");
            assert_eq!(frame.interval(), n);
            assert_eq!(
                frame.has_projection(),
                torus.index() as u64 == n % 3,
                "torus {torus}, frame {n}"
            );
        }
    }
}

#[test]
fn a_projection_has_one_size_and_says_what_the_kernel_holds() {
    let (mut empty, mut full) = (RunConfig::new("empty", "phold"), RunConfig::new("full", "phold"));
    empty.parameters = vec![("population".into(), "0".into())];
    full.parameters = vec![("population".into(), "60000".into())];
    let mut sizes = Vec::new();
    for config in [empty, full] {
        let mut run = InProcess::<Phold>::new(&config, Default::default()).expect("a valid configuration");
        run.execute_interval().expect("enough room");
        let frame = run.newest_frame(Torus::A).expect("just published");
        let (_, node) = run.nodes().next().expect("torus A");
        let kernel = node.kernel();
        let face: Vec<i32> = (0..1024).map(|cell| kernel.cell_value(cell)).collect();
        assert_eq!(frame.face(), face);
        assert_eq!(
            (frame.events(), frame.pending()),
            (kernel.events(), kernel.pending())
        );
        assert_eq!(
            (frame.active(), frame.edges()),
            (kernel.active().into(), kernel.edges().into())
        );
        assert_eq!(frame.history_digest(), kernel.history_digest());
        sizes.push(frame.carried_words() * 8);
    }
    assert_eq!(sizes, [5056, 5056]);
}

/// B at boundary 1 of a run with lag 1, and what A sent it in interval 0.
fn receiver_and_events() -> (InProcess<Phold>, Node<Phold>, Vec<TimedEvent>) {
    let mut config = RunConfig::new("leaky", "phold");
    config.parameters = vec![("remote".into(), "0.5".into())];
    config.sides = [8, 8, 8];
    config.lag = 1;
    config.capacity.remote_per_interval = 65_536;
    let mut run = InProcess::<Phold>::new(&config, Default::default()).expect("a valid configuration");
    run.execute_interval().expect("enough room");
    let mut receiver = setup::node::<Phold>(&config, Torus::B).expect("a valid configuration");
    receiver
        .enter(&Intake::default())
        .expect("boundary 0 takes nothing in");
    while receiver.run(u64::MAX).expect("enough room") == Progress::More {}
    receiver.close(&mut Frame::new(64));
    let events = run.in_transit(Torus::A, Torus::B).copied().collect();
    (run, receiver, events)
}

/// What B says when it takes in these events of A.
fn take_in(run: &InProcess<Phold>, receiver: &mut Node<Phold>, events: &[TimedEvent]) -> NodeError {
    let intake = Intake {
        frames: [run.newest_frame(Torus::A), None, None],
        events: [events, &[], &[]],
        hashes: [hash::events(events), 0, 0],
        ..Intake::default()
    };
    receiver
        .enter(&intake)
        .expect_err("what was taken in is not what was sent")
}

#[test]
fn an_event_that_is_dropped_or_doubled_on_its_way_is_a_conservation_violation_with_both_numbers() {
    let (run, mut receiver, events) = receiver_and_events();
    let doubled: Vec<_> = events.iter().chain(&events[..1]).copied().collect();
    for wrong in [&events[1..], &doubled] {
        match take_in(&run, &mut receiver, wrong) {
            NodeError::Conservation {
                from: 'A',
                to: 'B',
                interval: 0,
                sent,
                received,
            } => assert_eq!((sent, received), (events.len() as u64, wrong.len() as u64)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_event_that_is_altered_or_replaced_by_another_one_twice_is_found_with_both_numbers() {
    let (run, mut receiver, events) = receiver_and_events();
    let frame = run.newest_frame(Torus::A).expect("just published");
    for at in [0, events.len() / 2, events.len() - 1] {
        let mut altered = events.clone();
        altered[at].payload ^= 1 << 40;
        let mut twice = events.clone();
        twice[at] = events[(at + 1) % events.len()];
        for wrong in [altered, twice] {
            match take_in(&run, &mut receiver, &wrong) {
                NodeError::Altered {
                    from: 'A',
                    to: 'B',
                    interval: 0,
                    sent,
                    received,
                } => assert_eq!(
                    (sent, received),
                    (frame.strand_hash(Torus::B), hash::events(&wrong))
                ),
                other => panic!("{other:?}"),
            }
        }
    }
}
