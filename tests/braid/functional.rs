//! The functions of the braid, one test each, in real processes: the three tori, their projections and the rotation of these,
//! the coupled faces, and constraints.

use shm_layout::config::RunConfig;
use shm_layout::frame::{Frame, frame_words};
use shm_layout::names::journal_path;
use shm_layout::segment::SegmentFile;
use torus_worker::in_process::InProcess;
use torus_worker::journal::FileJournal;
use torus_worker::kernel::Progress;
use torus_worker::model::{ConstraintKind, Model};
use torus_worker::models::{Heat, Phold};
use torus_worker::setup;

use super::ENDLESS;
use crate::support::{Run, Torus, until};

/// The configuration of a run.
fn config_of(run: &Run) -> RunConfig {
    SegmentFile::open(run.segment())
        .expect("a whole segment")
        .config()
        .clone()
}

/// A run that is over, to be executed again from its journals.
fn again<M: Model>(run: &Run) -> InProcess<M> {
    let config = config_of(run);
    let journals = Torus::ALL.map(|torus| {
        FileJournal::read(&journal_path(&config, torus), &config, torus).expect("a whole journal")
    });
    InProcess::new(&config, journals).expect("a valid configuration")
}

/// The frames that the ring of a torus still holds, with whatever is damaged left out.
fn frames(run: &Run, torus: Torus) -> Vec<Frame> {
    let file = SegmentFile::open(run.segment()).expect("a whole segment");
    let map = file.map_reader().expect("a mapping");
    let ring = map.views().regions[torus.index()].ring;
    let read = |n| {
        let mut frame = Frame::new(file.config().face_cells());
        ring.read(torus, n, &mut frame).ok().map(|()| frame)
    };
    (ring.oldest()..ring.head()).filter_map(read).collect()
}

#[test]
fn three_tori_run_independently() {
    let run = Run::new("independent");
    let end = 40_000;
    let small = ["--model", "phold", "--sides", "8,8,8", "-p", "population=64"];
    run.start(&[&small[..], &["--until", &end.to_string()]].concat());
    let ends = run.finish();
    let config = config_of(&run);
    let mut digests = Vec::new();
    for (torus, end_of) in Torus::ALL.into_iter().zip(&ends) {
        // The torus alone, in one stretch: no peer, no boundary.
        let mut alone = setup::node::<Phold>(&config, torus).expect("a valid configuration");
        let kernel = alone.kernel_mut();
        assert_eq!(
            kernel.run(end + 1, u64::MAX).expect("enough room"),
            Progress::Done
        );
        assert_eq!(end_of.events, kernel.events(), "torus {torus}");
        assert_eq!(
            end_of.history,
            format!("{:016x}", kernel.history_digest()),
            "torus {torus}"
        );
        digests.push(end_of.history.clone());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 3, "each torus lives a life of its own");
    run.verify();
}

#[test]
fn projection_extraction() {
    // Three intervals of 1000 ticks: A projects after the first 1000, B after 2000, C after 3000.
    let run = Run::new("projection");
    let small = [
        "--model",
        "phold",
        "--sides",
        "8,8,8",
        "-p",
        "population=600",
        "-p",
        "remote=0.1",
    ];
    run.start(&[&small[..], &["--interval", "1000", "--until", "2999"]].concat());
    run.finish();
    let mut again = again::<Phold>(&run);
    for n in 0..3 {
        again.execute_interval().expect("enough room");
        for torus in Torus::ALL {
            let published = frames(&run, torus);
            let frame = published
                .iter()
                .find(|frame| frame.interval() == n)
                .expect("in the ring");
            let (_, node) = again.nodes().find(|(own, _)| *own == torus).expect("three tori");
            let (kernel, books) = (node.kernel(), node.books());
            assert_eq!(frame.torus(), Some(torus));
            assert_eq!(frame.boundary_tick(), 1000 * (n + 1));
            assert_eq!(
                (frame.incarnation(), frame.phase(), frame.health()),
                (1, PHASE_RUNNING, 0)
            );
            assert_eq!(
                (frame.events(), frame.pending()),
                (kernel.events(), kernel.pending())
            );
            assert_eq!(
                (frame.active(), frame.edges()),
                (kernel.active().into(), kernel.edges().into())
            );
            assert_eq!(frame.history_digest(), kernel.history_digest());
            assert_eq!((frame.chain(), frame.violations()), (books.chain, 0));
            assert_eq!(
                (frame.next_interval(), frame.lane_positions().iter().sum::<u64>()),
                (1000, 0)
            );
            assert!((0..16).all(|entry| frame.constraint(entry).kind == 0));
            for peer in Torus::ALL.into_iter().filter(|peer| *peer != torus) {
                assert_eq!(frame.sent(peer), books.sent[peer.index()]);
                assert_eq!(frame.received(peer), books.received[peer.index()]);
                assert_eq!(frame.strand_end(peer), books.sent[peer.index()]);
                assert_eq!(frame.refused(peer), 0);
                let executed = again.newest_frame(torus).expect("just closed");
                assert_eq!(frame.strand_hash(peer), executed.strand_hash(peer));
            }
            assert_eq!(frame.has_projection(), torus.index() as u64 == n);
            if frame.has_projection() {
                let face: Vec<i32> = (0..64).map(|cell| kernel.cell_value(cell)).collect();
                assert!(face.iter().any(|value| *value != 0));
                assert_eq!(frame.face(), face);
                assert_eq!(frame.carried_words(), frame_words(64), "whatever the load");
            }
        }
    }
    let empty = Run::new("projection-empty");
    empty.start(&[&small[..5], &["population=0", "--until", "2999"]].concat());
    empty.finish();
    let frame = &frames(&empty, Torus::A)[0];
    assert_eq!((frame.pending(), frame.carried_words()), (0, frame_words(64)));
}

/// `Phase::Running` as a frame says it.
const PHASE_RUNNING: u64 = shm_layout::status::Phase::Running as u64;

/// Frames are in turn; returns how many there were.
fn in_turn(run: &Run) -> usize {
    let mut seen = 0;
    for torus in Torus::ALL {
        for frame in frames(run, torus) {
            let is_its_turn = frame.interval() % 3 == torus.index() as u64;
            assert_eq!(
                frame.has_projection(),
                is_its_turn,
                "torus {torus}, frame {}",
                frame.interval()
            );
            seen += 1;
        }
    }
    seen
}

#[test]
fn cyclic_rotation() {
    let run = Run::new("rotation");
    run.start(ENDLESS);
    let mut seen = 0;
    for round in 0..4 {
        for torus in Torus::ALL {
            run.kill(torus);
            seen += in_turn(&run);
            run.wait_for("recovered");
            seen += in_turn(&run);
        }
        if round % 2 == 0 {
            run.stop();
        } else {
            run.kill_everybody();
        }
        // All that the rings hold: every torus exactly once in each whole cycle of three.
        let all = Torus::ALL.map(|torus| frames(&run, torus));
        let shared = all.iter().map(Vec::len).min().expect("three tori");
        let projections = all
            .iter()
            .flatten()
            .filter(|frame| frame.has_projection())
            .count();
        assert!(
            projections >= shared - 3,
            "{projections} projections in {shared} intervals"
        );
        run.braid("start", &["--resume", "--detach"]).exits(0);
        run.wait_for("recovered");
    }
    println!("{seen} frames in turn");
    assert!(seen > 1000);
    run.stop();
    run.verify();
}

/// The widest difference between the newest projections of the three tori, for each cycle that the rings hold.
fn spreads(run: &Run) -> Vec<i64> {
    let projected = Torus::ALL.map(|torus| {
        let mut all = frames(run, torus);
        all.retain(Frame::has_projection);
        all
    });
    let cycles = projected.iter().map(Vec::len).min().expect("three tori");
    let spread = |cycle: usize| {
        let faces = projected.each_ref().map(|frames| frames[cycle].face());
        let of_cell = |cell: usize| {
            let values = faces.map(|face| i64::from(face[cell]));
            values.iter().max().expect("three") - values.iter().min().expect("three")
        };
        (0..faces[0].len()).map(of_cell).max().unwrap_or(0)
    };
    (0..cycles).map(spread).collect()
}

#[test]
fn boundary_coupling() {
    // All heat begins in one face cell of A; A projects at the end of interval 0, so that B and C are corrected at boundary
    // 0 + L = 2, and C's own projection of interval 2 is the first to show it.
    let run = Run::new("coupling");
    let hot = [
        "--model",
        "heat",
        "--sides",
        "8,8,8",
        "-p",
        "hot=200000",
        "--tolerance",
        "64",
    ];
    run.start(&[&hot[..], &["--until", "119999"]].concat());
    run.finish();
    let of = |torus: Torus, n: u64| {
        let found = frames(&run, torus)
            .into_iter()
            .find(|frame| frame.interval() == n);
        found.unwrap_or_else(|| panic!("frame {n} of {torus} is in the ring"))
    };
    assert!(
        of(Torus::A, 0).face().iter().any(|value| *value > 64),
        "a disturbance"
    );
    assert!(
        of(Torus::B, 1).face().iter().all(|value| *value == 0),
        "not before boundary 2"
    );
    assert!(
        of(Torus::C, 2).face().iter().any(|value| *value > 0),
        "at boundary 2"
    );
    for torus in [Torus::B, Torus::C] {
        assert_eq!(
            (of(torus, 1).violations(), of(torus, 2).violations()),
            (0, 1),
            "{torus}"
        );
    }
    let spreads = spreads(&run);
    let status = run.look();
    let faces = status.faces();
    assert_eq!(faces["apart"].as_i64(), spreads.last().copied(), "{faces}");
    assert_eq!(
        (faces["gain"].as_str(), faces["tolerance"].as_u64()),
        (Some("1/4"), Some(64))
    );
    assert!(faces["rest_cycles"].as_u64() > Some(0), "{faces}");
    run.braid("status", &[])
        .exits(0)
        .prints(&["undisturbed ones that are 1 000 000 apart are at rest within"]);
    let last = spreads
        .iter()
        .rposition(|spread| *spread > 64)
        .expect("a disturbance");
    println!(
        "from {} apart to within 64 after cycle {last} of {}",
        spreads[0],
        spreads.len()
    );
    assert!(last + 5 < spreads.len(), "{spreads:?}");
    // The total is exact: in cells, in pending events and between the tori.
    let mut again = again::<Heat>(&run);
    (0..120).for_each(|_| again.execute_interval().expect("enough room"));
    let inside: i64 = again
        .nodes()
        .map(|(_, node)| node.kernel().conserved_total())
        .sum();
    let pairs = Torus::ALL
        .into_iter()
        .flat_map(|from| Torus::ALL.map(|to| (from, to)));
    let transit: i64 = pairs
        .flat_map(|(from, to)| again.in_transit(from, to))
        .map(|event| event.payload)
        .sum();
    assert_eq!(inside + transit, 200_000);
    run.verify();
}

/// How each torus stands to an entry: satisfied or not; none where it does not bind yet.
fn verdicts(run: &Run, entry: u64) -> [Option<bool>; 3] {
    let status = run.look();
    Torus::ALL.map(|torus| {
        let entries = status.torus(torus)["constraints"]
            .as_array()
            .expect("constraints");
        let found = entries.iter().find(|found| found["entry"] == entry)?;
        let deviation = found["deviation"].as_i64()?;
        let tolerance = found["tolerance"].as_i64().expect("tolerance");
        assert_eq!(found["satisfied"], deviation.abs() <= tolerance, "{found}");
        found["satisfied"].as_bool()
    })
}

#[test]
fn constraint_propagation() {
    let run = Run::new("propagation");
    run.start(&["--model", "phold", "-p", "population=512", "--sides", "8,8,8"]);
    let pending = [
        "--kind",
        "pending",
        "--value",
        "300",
        "--tolerance",
        "8",
        "--json",
    ];
    let set = run
        .braid("constrain", &[&["B"], &pending[..]].concat())
        .exits(0)
        .json();
    let active = ["C", "--kind", "active", "--value", "9999", "--tolerance", "5"];
    run.braid("constrain", &active).exits(0);
    // The population goes down and stays; no lattice has that many cells.
    until("all hold it", || {
        (verdicts(&run, 1) == [Some(true); 3]).then_some(())
    });
    until("none can", || {
        (verdicts(&run, 2) == [Some(false); 3]).then_some(())
    });
    for torus in Torus::ALL {
        run.kill(torus);
        run.wait_for("recovered");
    }
    assert_eq!(verdicts(&run, 1), [Some(true); 3]);
    assert!(run.status().tori().iter().all(|torus| torus["violations"] == 1));
    let removal = ["B", "--remove", "--kind", "pending", "--json"];
    let removed = run.braid("constrain", &removal).exits(0).json();
    until("it binds nobody", || {
        (verdicts(&run, 1) == [None; 3]).then_some(())
    });
    run.stop();
    run.verify();
    // At which boundary it came to bind each torus, and ceased to, by executing the run again.
    let number = |answer: &serde_json::Value, field: &str| answer[field].as_u64().expect("a boundary");
    let mut again = again::<Phold>(&run);
    let end = number(&removed, "binding_at") + 2;
    let mut bound = Vec::new();
    for _ in 0..end {
        again.execute_interval().expect("enough room");
        let of = |torus: Torus| again.newest_frame(torus).expect("just closed").constraint(1);
        bound.push(Torus::ALL.map(|torus| of(torus).kind == ConstraintKind::Pending as u64));
    }
    for (answer, binds) in [(&set, true), (&removed, false)] {
        let (taken_in, everywhere) = (number(answer, "boundary"), number(answer, "binding_at"));
        let (taken_in, everywhere) = (taken_in as usize, everywhere as usize);
        assert!(everywhere <= taken_in + 3 + 2, "one cycle and the lag");
        assert_eq!(bound[taken_in - 1], [!binds; 3], "not before the command");
        assert_eq!(bound[taken_in][1], binds, "at once where it was given");
        assert_eq!(
            bound[everywhere], [binds; 3],
            "everywhere within a cycle and the lag"
        );
    }
}
