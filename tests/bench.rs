//! `bench`: each part runs, leaves nothing behind, and its JSON has the figures. No speed is asserted.

#[path = "support/mod.rs"]
mod support;

use serde_json::Value;
use std::process::Command;
use std::time::Duration;

use support::{BRAID, Run, processes_naming, shared_memory_naming, until};

/// Seconds on an idle machine; processes that wait for each other by looking take long on a loaded one.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs one part and returns its section.
fn section(run: &Run, part: &str) -> Value {
    let json = run.folder().join("bench.json");
    let plots = run.folder().join("plots");
    let mut command = Command::new(BRAID);
    command.args(["bench", part, "--quick", "--json"]).arg(&json);
    command.arg("--plots").arg(&plots).env("TMPDIR", run.folder());
    let answer = run.execute_within(LIMIT, command);
    let answer = answer.unwrap_or_else(|killed| panic!("this did not end\n{killed}"));
    let answer = answer.exits(0).prints(&["WHAT", "targets met"]);
    let text = std::fs::read_to_string(&json).expect("the file is written");
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{answer}"));
    assert_eq!(report["schema_version"], 1);
    assert!(report["machine"]["cores"].as_u64() > Some(0), "{report}");
    let section = report["sections"][0].clone();
    assert_eq!(section["name"], part);
    for plot in section["plots"].as_array().expect("plots") {
        let file = plots.join(plot["file"].as_str().expect("a file"));
        let svg =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{svg}"
        );
    }
    section
}

/// The figure of this name is there and is a number.
fn figure<'a>(section: &'a Value, name: &str) -> &'a Value {
    let figures = section["figures"].as_array().expect("figures");
    let found = figures.iter().find(|figure| figure["name"] == name);
    let figure = found.unwrap_or_else(|| panic!("no figure \"{name}\" in {section}"));
    assert!(figure["value"].is_number(), "{figure}");
    figure
}

/// The figure is there, and its first ratio has a target.
fn judged(section: &Value, name: &str) {
    let ratio = &figure(section, name)["ratios"][0];
    assert!(
        ratio["value"].is_number() && ratio["met"].is_boolean(),
        "{name}: {ratio}"
    );
}

#[test]
fn the_kernel_is_measured_against_the_floor_and_the_heap() {
    let run = Run::new("bench-kernel");
    let section = section(&run, "kernel");
    for name in ["phold", "ring_dense", "mixed_sign_collisions"] {
        judged(&section, name);
    }
}

#[test]
fn the_exchange_is_measured_against_the_ring_floor_pipes_and_sockets() {
    let run = Run::new("bench-ring");
    let section = section(&run, "ring");
    for name in [
        "strand, 8192 events a frame",
        "frames with projection",
        "commit to seen",
    ] {
        judged(&section, name);
    }
    for name in [
        "ring floor, batches of 8192",
        "ring floor, one by one",
        "pipe, 64 events a write",
        "Unix socket, a frame a write",
    ] {
        figure(&section, name);
    }
}

#[test]
fn the_braid_is_measured_against_unbraided_workers() {
    let run = Run::new("bench-braid");
    let section = section(&run, "braid");
    for name in [
        "three braided workers",
        "three braided, 10 % remote",
        "exchange, dense, k = 1000",
        "exchange, dense, k = 100",
    ] {
        judged(&section, name);
    }
    let ratio = &figure(&section, "three braided workers")["ratios"][0];
    assert_eq!(ratio["rounds"], 2);
    assert_eq!(ratio["quartiles"].as_array().map(Vec::len), Some(2), "{ratio}");
    figure(&section, "k = 1000, L = 2: coupling converges");
    assert_eq!(section["plots"].as_array().map(Vec::len), Some(2));
}

#[test]
fn recovery_is_measured_in_its_parts() {
    let run = Run::new("bench-recovery");
    let section = section(&run, "recovery");
    judged(&section, "kill to caught up, median");
    for name in ["kill to detected, median", "survivors' stall, median"] {
        figure(&section, name);
    }
}

#[test]
fn memory_is_measured_over_a_run_and_by_configuration() {
    let run = Run::new("bench-memory");
    let section = section(&run, "memory");
    for name in ["growth of the supervisor", "growth of the worker C"] {
        judged(&section, name);
    }
    judged(&section, "segment, default (phold, 32³)");
    judged(&section, "events per second in the last tenth");
}

#[test]
fn the_default_configuration_fits_into_the_shared_memory_of_a_container() {
    let run = Run::new("bench-fits");
    let answer = run.braid("start", &["--dry-run", "--json"]).exits(0).json();
    let bytes = answer["segment_bytes"].as_u64().expect("a size");
    assert!(bytes <= 64 << 20, "{bytes} bytes");
}

#[test]
fn an_interrupted_bench_removes_its_runs() {
    let run = Run::new("bench-interrupted");
    let mut command = Command::new(BRAID);
    command.args(["bench", "recovery"]).env("TMPDIR", run.folder());
    let mut bench = support::Running::start(command, run.folder());
    let name = format!("bench-{}-", bench.pid());
    until("the first run of the bench is there", || {
        (!shared_memory_naming(&name).is_empty()).then_some(())
    });
    bench.signal(nix::libc::SIGINT);
    let answer = bench
        .finish(Duration::from_secs(120))
        .unwrap_or_else(|killed| panic!("{killed}"));
    answer.exits(1).explains(&["interrupted"]);
    assert_eq!(shared_memory_naming(&name).len(), 0);
    assert_eq!(processes_naming(&name), Vec::<String>::new());
}

#[test]
fn what_a_killed_bench_was_measuring_is_removed_though_it_was_frozen() {
    let run = Run::new("bench-killed");
    let mut command = Command::new(BRAID);
    command.args(["bench", "braid"]).env("TMPDIR", run.folder());
    let mut bench = support::Running::start(command, run.folder());
    let name = format!("bench-{}-", bench.pid());
    until("one run works and the others are frozen", || {
        let workers = processes_naming(&format!("braid-{name}"));
        let is_frozen = |line: &&String| {
            let pid = line.split(' ').next().unwrap_or_default();
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ")
                .is_some_and(|(_, fields)| fields.starts_with('T'))
        };
        (workers.iter().filter(is_frozen).count() > 3).then_some(())
    });
    bench.signal(nix::libc::SIGKILL);
    let killed = bench
        .finish(Duration::from_secs(120))
        .unwrap_or_else(|killed| panic!("{killed}"));
    until("nothing of it is left", || {
        let quiet = processes_naming(&name).is_empty() && shared_memory_naming(&name).is_empty();
        quiet.then_some(())
    });
    assert!(
        !run.folder()
            .join(format!("braid-{name}").trim_end_matches('-'))
            .exists(),
        "{killed}"
    );
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let run = Run::new("bench-refused");
    let mut command = Command::new(BRAID);
    command.args(["bench", "all", "--json", "/no/such/folder/file.json"]);
    run.execute(command)
        .exits(1)
        .explains(&["/no/such/folder/file.json"]);
}
