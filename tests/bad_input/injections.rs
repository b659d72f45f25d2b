//! Injections that cannot be, lanes that are full, and clients that die.

use shm_layout::record::LaneEntry;
use shm_layout::segment::{LockByte, SegmentFile};
use torus_worker::journal::{FileJournal, Record};

use super::ENDLESS;
use crate::support::{Run, Torus, until};
use nix::libc::{SIGCONT, SIGSTOP};

#[test]
fn an_unknown_torus_is_refused_with_those_there_are() {
    let run = Run::new("torus");
    run.start(ENDLESS);
    run.braid("inject", &["D", "1,2,3", "--payload", "1"])
        .exits(2)
        .explains(&["'D'", "A, B and C"]);
    run.braid("kill", &["Z"])
        .exits(2)
        .explains(&["'Z'", "A, B and C"]);
    run.stop();
}

#[test]
fn malformed_coordinates_and_payloads_are_refused_with_what_is_expected() {
    let run = Run::new("coordinates");
    run.start(ENDLESS);
    for cell in [
        "1,2",
        "1,2,3,4",
        "1,two,3",
        "",
        "1;2;3",
        "99999999999999999999,0,0",
    ] {
        run.braid("inject", &["A", cell, "--payload", "1"])
            .exits(2)
            .explains(&["three integers"]);
    }
    run.braid("inject", &["A", "1,2,3", "--payload", "much"])
        .exits(2)
        .explains(&["much", "--payload"]);
    run.braid("inject", &["A", "1,2,3"])
        .exits(2)
        .explains(&["--payload"]);
    run.braid("inject", &["A", "1,2,3", "--payload", "1", "--from", "x"])
        .exits(2)
        .explains(&["three integers"]);
    run.braid("inject", &["A", "1,2,3", "--payload", "1", "--at=-5"])
        .exits(2)
        .explains(&["--at"]);
    let late = (u64::MAX).to_string();
    run.braid("inject", &["A", "1,2,3", "--payload", "1", "--at", &late])
        .exits(2)
        .explains(&["--at"]);
    run.braid("inject", &["A", "1,2,3", "--payload", "1", "--client", "a b"])
        .exits(2)
        .explains(&["a b"]);
    run.stop();
    assert_eq!(injected(&run, Torus::A), [], "nothing was taken in");
    run.verify();
}

#[test]
fn any_coordinates_wrap() {
    let run = Run::new("wrap");
    run.start(ENDLESS);
    let least = i64::MIN.to_string();
    for cell in [
        "-1,-1,-1",
        "7,7,7",
        &format!("{least},{least},{least}"),
        "9223372036854775807,0,0",
    ] {
        run.braid("inject", &["A", cell, "--payload=-9223372036854775808"])
            .exits(0)
            .prints(&["A boundary "]);
    }
    run.stop();
    let cells: Vec<u32> = injected(&run, Torus::A).iter().map(|entry| entry.dst).collect();
    assert_eq!(cells, [511, 511, 0, 448]);
    run.verify();
}

#[test]
fn what_does_not_run_takes_nothing_in() {
    let run = Run::new("over");
    let event = ["A", "1,2,3", "--payload", "1"];
    run.braid("inject", &event).exits(4).explains(&[run.name()]);
    run.start(ENDLESS);
    run.kill_everybody();
    run.braid("inject", &event)
        .exits(3)
        .explains(&["not running", "nothing was injected"]);
    run.start(&["--resume"]);
    run.stop();
    run.braid("inject", &event).exits(3).explains(&["not running"]);
    assert_eq!(injected(&run, Torus::A), []);
    run.verify();
}

#[test]
fn a_full_lane_is_refused_and_nothing_in_it_is_lost() {
    let run = Run::new("full");
    run.start(&[ENDLESS, &["--hang-timeout", "1h"]].concat());
    let worker = run.worker(Torus::B);
    worker.signal(SIGSTOP);
    let client = ["--client", "filler", "--no-wait"];
    let inject = |payload: &str| {
        run.braid(
            "inject",
            &[&["B", "1,2,3", "--payload", payload], &client[..]].concat(),
        )
    };
    inject("1").exits(0).prints(&["B queued"]);
    let filled = fill_lane(&run, Torus::B);
    inject("7").exits(1).explains(&["full", "lane"]);
    // One that waits gives up when its time is over, and has not put anything in either.
    let patient = ["--client", "filler", "--timeout", "100ms"];
    run.braid(
        "inject",
        &[&["B", "1,2,3", "--payload", "7"], &patient[..]].concat(),
    )
    .exits(7)
    .explains(&["room"]);
    worker.signal(SIGCONT);
    let count = ["B", "--client", "filler", "--count-only", "--json"];
    let told = run.braid("inject", &count).exits(0).json();
    assert_eq!(told["committed"].as_u64(), Some(1 + filled));
    // There is room again once the torus has secured what it took in.
    run.braid("inject", &["B", "1,2,3", "--payload", "8", "--client", "filler"])
        .exits(0);
    run.stop();
    let payloads: Vec<i64> = injected(&run, Torus::B)
        .iter()
        .map(|entry| entry.payload)
        .collect();
    let expected: Vec<i64> = std::iter::once(1)
        .chain(100..100 + filled as i64)
        .chain([8])
        .collect();
    assert_eq!(payloads, expected);
    run.verify();
}

/// Puts events with the payloads 100, 101 and so on into lane 1, as its client, until it is full.
fn fill_lane(run: &Run, torus: Torus) -> u64 {
    let file = SegmentFile::open(run.segment()).expect("a running run");
    assert!(
        file.try_lock(LockByte::Lane(1)).expect("a lock"),
        "nobody else holds the lane"
    );
    let map = file.map_lane(1).expect("a lane");
    let writer = &map.views().writers[torus.index()];
    let entry = |number: u64| LaneEntry {
        payload: 100 + number as i64,
        dst: 5,
        ..LaneEntry::default()
    };
    let filled = (0..)
        .take_while(|number| writer.push(&[entry(*number)], 0).is_ok())
        .count() as u64;
    file.unlock(LockByte::Lane(1)).expect("our own lock");
    filled
}

#[test]
fn the_lane_of_a_client_that_died_is_continued_by_the_next() {
    let run = Run::new("dead-client");
    run.start(&[ENDLESS, &["--hang-timeout", "1h", "--lanes", "1"]].concat());
    let worker = run.worker(Torus::A);
    worker.signal(SIGSTOP);
    let eyes = run.eyes();
    // It waits for a commit that cannot come, and holds its lane.
    let event = ["A", "1,2,3", "--payload", "10", "--client", "feeder"];
    let mut client = run.command("inject", &event).spawn().expect("a client");
    until("the client holds its lane", || {
        let file = SegmentFile::open(run.segment()).ok()?;
        let lane = file.map_lane(1).ok()?;
        let pushed = lane.views().writers[0].head();
        (pushed == 1 && file.is_locked(LockByte::Lane(1)).ok()?).then_some(())
    });
    let other = ["B", "1,2,3", "--payload", "11", "--timeout", "100ms"];
    let answer = run.braid("inject", &other);
    assert!(matches!(answer.code(), Some(1 | 7)), "{answer}");
    assert!(answer.err.contains("lane"), "{answer}");
    client.kill().expect("our own child");
    client.wait().expect("our own child");
    worker.signal(SIGCONT);
    let boundary = eyes.slowest();
    until("the run goes on", || {
        (eyes.slowest() > boundary + 5).then_some(())
    });
    let told = run
        .braid("inject", &["A", "--client", "feeder", "--count-only", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        told["committed"].as_u64(),
        Some(1),
        "what the dead client had put in was taken in"
    );
    let next = ["A", "1,2,3", "--payload", "12", "--client", "feeder", "--json"];
    assert_eq!(
        run.braid("inject", &next).exits(0).json()["committed"].as_u64(),
        Some(2)
    );
    run.stop();
    let payloads: Vec<i64> = injected(&run, Torus::A)
        .iter()
        .map(|entry| entry.payload)
        .collect();
    assert_eq!(payloads, [10, 12]);
    run.verify();
}

#[test]
fn a_client_that_gives_up_leaves_its_event_to_count_once() {
    let run = Run::new("gives-up");
    run.start(&[ENDLESS, &["--hang-timeout", "1h"]].concat());
    let worker = run.worker(Torus::C);
    worker.signal(SIGSTOP);
    let event = ["C", "1,2,3", "--payload", "20", "--client", "hasty"];
    run.braid("inject", &[&event[..], &["--timeout", "100ms"]].concat())
        .exits(7)
        .explains(&["not committed"]);
    worker.signal(SIGCONT);
    let told = run
        .braid("inject", &["C", "--client", "hasty", "--count-only", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        (told["committed"].as_u64(), told["pushed"].as_u64()),
        (Some(1), Some(1))
    );
    run.stop();
    assert_eq!(injected(&run, Torus::C).len(), 1);
    run.verify();
}

#[test]
fn a_client_that_asks_while_everything_is_dead_is_not_led_to_send_again_what_will_be_taken_in() {
    let run = Run::new("asks-dead");
    run.start(&[ENDLESS, &["--hang-timeout", "1h"]].concat());
    run.worker(Torus::B).signal(SIGSTOP);
    let send = ["B", "1,2,3", "--payload", "30", "--client", "careful"];
    run.braid("inject", &[&send[..], &["--no-wait"]].concat())
        .exits(0);
    run.kill_everybody();
    let count = ["B", "--client", "careful", "--count-only", "--json"];
    let answer = run.braid("inject", &count);
    run.start(&["--resume"]);
    // A client continues with the event after those that are committed, if it is told how many are.
    let committed = match answer.code() {
        Some(0) => answer.json()["committed"].as_u64(),
        _ => run.braid("inject", &count).exits(0).json()["committed"].as_u64(),
    };
    if committed == Some(0) {
        run.braid("inject", &send).exits(0);
    }
    run.stop();
    assert_eq!(injected(&run, Torus::B).len(), 1, "it counts once");
    run.verify();
}

#[test]
fn an_event_that_came_too_late_for_a_stop_counts_once_after_the_resume() {
    let run = Run::new("late");
    run.start(ENDLESS);
    let send = ["B", "1,2,3", "--payload", "100", "--client", "late"];
    run.braid("inject", &send).exits(0);
    run.stop();
    // A client that had looked before the stop, and was held up until now.
    push_into_lane(&run, Torus::B, 101);
    let count = ["B", "--client", "late", "--count-only", "--json"];
    let answer = run.braid("inject", &count);
    run.start(&["--resume"]);
    let committed = match answer.code() {
        Some(0) => answer.json()["committed"].as_u64(),
        _ => run.braid("inject", &count).exits(0).json()["committed"].as_u64(),
    };
    if committed == Some(1) {
        run.braid("inject", &["B", "1,2,3", "--payload", "101", "--client", "late"])
            .exits(0);
    }
    run.stop();
    let payloads: Vec<i64> = injected(&run, Torus::B)
        .iter()
        .map(|entry| entry.payload)
        .collect();
    assert_eq!(payloads, [100, 101]);
    run.verify();
}

/// Puts an event into lane 1, as its client.
fn push_into_lane(run: &Run, torus: Torus, payload: i64) {
    let file = SegmentFile::open(run.segment()).expect("a run");
    assert!(
        file.try_lock(LockByte::Lane(1)).expect("a lock"),
        "nobody else holds the lane"
    );
    let map = file.map_lane(1).expect("a lane");
    let entry = LaneEntry {
        payload,
        dst: 5,
        ..LaneEntry::default()
    };
    map.views().writers[torus.index()]
        .push(&[entry], 0)
        .expect("room");
    file.unlock(LockByte::Lane(1)).expect("our own lock");
}

/// The events that a torus of a run, which is over, has taken in from lanes.
fn injected(run: &Run, torus: Torus) -> Vec<LaneEntry> {
    let file = SegmentFile::open(run.segment()).expect("the segment of a run that is over");
    let path = shm_layout::names::journal_path(file.config(), torus);
    let records = FileJournal::read(&path, file.config(), torus).expect("a whole journal");
    let taken_in = records.into_iter().filter_map(|record| match record {
        Record::Intake { injected, .. } => Some(injected),
        _ => None,
    });
    taken_in.flatten().map(|injection| injection.entry).collect()
}
