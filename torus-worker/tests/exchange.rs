//! What three tori do to one another: rotation of projections, coupled faces, and a total that never changes.

use shm_layout::config::RunConfig;
use shm_layout::frame::{CONSTRAINTS, Frame};
use shm_layout::hash;
use shm_layout::record::{LaneEntry, Source, SourceKind, TimedEvent};
use shm_layout::torus::Torus;
use torus_worker::in_process::InProcess;
use torus_worker::journal::Record;
use torus_worker::kernel::{Arrivals, Progress};
use torus_worker::model::{ConstraintKind, Model};
use torus_worker::models::{Heat, Phold};
use torus_worker::node::command::{COMMAND_LANE, Command};
use torus_worker::node::coupling::{Gain, correction, least_tolerance};
use torus_worker::node::{Injection, Intake, Node, NodeError};
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

/// Units that arrive in a face cell of A at the last tick of an interval, of which the cell keeps a quarter.
const DISTURBANCE: i64 = 80_000;

/// A run of `heat` in which nothing happens but that disturbance at the end of interval `n`. Its exchange between
/// neighbours is slower than the run.
fn disturbed(lag: u32, n: u64, cell: u32) -> InProcess<Heat> {
    let mut config = RunConfig::new("disturbed", "heat");
    let parameters = [("hot", "0"), ("period", "65536")];
    config.parameters = parameters
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
    config.sides = [4, 8, 8];
    config.interval = 100;
    config.lag = lag;
    config.tolerance = least_tolerance(Heat::COUPLING, lag);
    config.capacity.pending = 10_000;
    config.capacity.edges = 10_000;
    let event = LaneEntry {
        kind: LaneEntry::EVENT,
        dst: cell,
        at: 100 * (n + 1) - 1,
        src: Source::new(SourceKind::Injected, Torus::A, cell),
        payload: DISTURBANCE,
    };
    let record = Record::Intake {
        boundary: n,
        lanes: vec![0, 1],
        injected: vec![Injection {
            lane: 1,
            entry: event,
        }],
    };
    InProcess::new(&config, [vec![record], Vec::new(), Vec::new()]).expect("a valid configuration")
}

#[test]
fn a_disturbance_of_a_face_cell_at_the_end_of_interval_n_corrects_that_cell_of_the_peers_at_boundary_n_plus_l()
 {
    for lag in 1..=8 {
        let gain = Gain::default_for(Heat::COUPLING, lag);
        let tolerance = least_tolerance(Heat::COUPLING, lag);
        // Intervals in which A projects.
        for (n, cell) in [(0, 0), (3, 17), (6, 63), (9, 40), (12, 8)] {
            let mut run = disturbed(lag, n, cell);
            let mut seen = 0;
            while run.boundary() < n + u64::from(lag) {
                run.execute_interval().expect("enough room");
                for torus in [Torus::B, Torus::C] {
                    let untouched = face(&run, torus).iter().all(|value| *value == 0);
                    assert!(untouched, "lag {lag}: torus {torus} before boundary {n} + {lag}");
                }
                if run.boundary() == n + 1 {
                    seen = face(&run, Torus::A)[cell as usize];
                }
            }
            assert_eq!(seen, DISTURBANCE / 4);
            run.execute_interval().expect("enough room");
            let arrived = correction(seen, gain, tolerance);
            for torus in [Torus::B, Torus::C] {
                let frame = run.newest_frame(torus).expect("just published");
                assert_eq!(frame.violations(), 1);
                let counter: Vec<_> = run.in_transit(torus, Torus::A).collect();
                assert_eq!(
                    (counter.len(), counter[0].dst, counter[0].payload),
                    (1, cell, -arrived)
                );
                let face = face(&run, torus);
                let others = (0..).zip(&face).filter(|(at, _)| *at != cell);
                assert!(others.into_iter().all(|(_, value)| *value == 0), "{face:?}");
                // Six eighths of what arrives in a cell go on to its neighbours.
                assert_eq!(
                    face[cell as usize],
                    arrived - 6 * (arrived / 8),
                    "lag {lag}, torus {torus}"
                );
            }
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
    for n in 0..999 {
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

/// A run of one interval of 1000 ticks in which A is constrained and takes in an event of a client's lane.
fn projecting(population: &str) -> (InProcess<Phold>, Command) {
    let mut config = RunConfig::new("projecting", "phold");
    let parameters = [("population", population), ("remote", "0.01")];
    config.parameters = parameters
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
    config.capacity.remote_per_interval = 65_536;
    let command = Command::Constrain {
        entry: Some(6),
        kind: ConstraintKind::Invariant,
        value: -7,
        tolerance: 9,
    };
    let event = LaneEntry {
        kind: LaneEntry::EVENT,
        dst: 5,
        at: 2_000,
        src: Source::new(SourceKind::Injected, Torus::A, 5),
        payload: 1,
    };
    let record = Record::Intake {
        boundary: 0,
        lanes: vec![1, 0, 4],
        injected: vec![
            Injection {
                lane: COMMAND_LANE,
                entry: command.entry(Torus::A),
            },
            Injection {
                lane: 2,
                entry: event,
            },
        ],
    };
    let mut run =
        InProcess::new(&config, [vec![record], Vec::new(), Vec::new()]).expect("a valid configuration");
    run.execute_interval().expect("enough room");
    (run, command)
}

#[test]
fn a_projection_has_one_size_and_says_what_the_kernel_holds_after_1000_ticks() {
    let mut sizes = Vec::new();
    for population in ["0", "60000"] {
        let (run, command) = projecting(population);
        let frame = run.newest_frame(Torus::A).expect("just published");
        let (_, node) = run.nodes().next().expect("torus A");
        let (kernel, books) = (node.kernel(), node.books());
        assert!(frame.has_projection());
        assert_eq!((frame.torus(), frame.interval()), (Some(Torus::A), 0));
        assert_eq!((frame.boundary_tick(), frame.next_interval()), (1000, 1000));
        let face: Vec<i32> = (0..1024).map(|cell| kernel.cell_value(cell)).collect();
        assert_eq!(frame.face(), face);
        assert_eq!(face.iter().any(|value| *value > 0), population != "0");
        assert_eq!(
            (frame.events(), frame.pending()),
            (kernel.events(), kernel.pending())
        );
        assert!(frame.pending() >= 1, "the event from outside is due later");
        assert_eq!(
            (frame.active(), frame.edges()),
            (kernel.active().into(), kernel.edges().into())
        );
        for peer in [Torus::B, Torus::C] {
            let sent: Vec<_> = run.in_transit(Torus::A, peer).copied().collect();
            assert_eq!(sent.is_empty(), population == "0");
            assert_eq!((frame.sent(peer), frame.received(peer)), (sent.len() as u64, 0));
            assert_eq!(frame.strand_end(peer), sent.len() as u64);
            assert_eq!(frame.strand_hash(peer), hash::events(&sent));
        }
        for entry in 0..CONSTRAINTS {
            let expected = if entry == 6 {
                ConstraintKind::Invariant as u64
            } else {
                0
            };
            assert_eq!(
                frame.constraint(entry).kind,
                expected,
                "entry {entry} of {command:?}"
            );
        }
        let set = frame.constraint(6);
        assert_eq!((set.value, set.tolerance), (-7, 9));
        assert_eq!(frame.lane_positions()[..4], [1, 0, 4, 0]);
        assert_eq!(frame.history_digest(), kernel.history_digest());
        assert_eq!(frame.chain(), books.chain);
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
        .enter(&mut Intake::default())
        .expect("boundary 0 takes nothing in");
    while receiver.run(u64::MAX).expect("enough room") == Progress::More {}
    receiver.close(&mut Frame::new(64));
    let events = run.in_transit(Torus::A, Torus::B).copied().collect();
    (run, receiver, events)
}

/// What B says when it takes in these events of A.
fn take_in(run: &InProcess<Phold>, receiver: &mut Node<Phold>, events: &[TimedEvent]) -> NodeError {
    let mut arrivals = Arrivals::from(events);
    let mut intake = Intake {
        frames: [run.newest_frame(Torus::A), None, None],
        events: [Some(&mut arrivals), None, None],
        hashes: [hash::events(events), 0, 0],
        ..Intake::default()
    };
    receiver
        .enter(&mut intake)
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
