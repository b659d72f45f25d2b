//! What three tori do to one another: rotation of projections, coupled faces, and a total that never changes.

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;
use torus_worker::in_process::InProcess;
use torus_worker::model::Model;
use torus_worker::models::{Heat, Phold};
use torus_worker::node::coupling::least_tolerance;

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

#[test]
fn an_event_that_is_dropped_on_its_way_is_a_conservation_violation_with_both_numbers() {
    use torus_worker::node::{Intake, LANES_MAX, NodeError};
    let mut config = RunConfig::new("leaky", "phold");
    config.parameters = vec![("remote".into(), "0.5".into())];
    config.lag = 1;
    config.capacity.remote_per_interval = 65_536;
    let mut run = InProcess::<Phold>::new(&config, Default::default()).expect("a valid configuration");
    run.execute_interval().expect("enough room");
    let mut receiver = torus_worker::setup::node::<Phold>(&config, Torus::B).expect("a valid configuration");
    receiver
        .enter(&Intake::default())
        .expect("boundary 0 takes nothing in");
    while receiver.run(u64::MAX).expect("enough room") == torus_worker::kernel::Progress::More {}
    let mut own = shm_layout::frame::Frame::new(1024);
    receiver.close(&mut own);
    let events: Vec<_> = run.in_transit(Torus::A, Torus::B).copied().collect();
    let frames = [run.newest_frame(Torus::A), None, None];
    let lane_positions = [0; LANES_MAX];
    let intake = Intake {
        frames,
        events: [&events[1..], &[], &[]],
        injected: &[],
        lane_positions,
    };
    let sent = events.len() as u64;
    match receiver.enter(&intake) {
        Err(NodeError::Conservation {
            from: 'A',
            to: 'B',
            interval: 0,
            sent: said,
            received,
        }) => {
            assert_eq!((said, received), (sent, sent - 1));
        }
        other => panic!("{other:?}"),
    }
}
