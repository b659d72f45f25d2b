//! The golden scenarios: every figure that the original single-torus kernel printed, reproduced exactly.

use std::path::{Path, PathBuf};
use torus_worker::script::{PENDING_DEFAULT, Script, run_script};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/golden")
        .join(name)
}

fn read(name: &str) -> String {
    let path = golden(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The expectations without `peak N`, which only says something about the original's queue.
fn expected(name: &str) -> String {
    let mut text = String::new();
    for line in read(&format!("{name}.expected")).lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words.iter().position(|word| *word == "peak") {
            Some(at) => text += &[&words[..at], &words[at + 2..]].concat().join(" "),
            None => text += line,
        }
        text.push('\n');
    }
    text
}

fn reproduces(name: &str) {
    let file = format!("{name}.scenario");
    let script = Script::parse(&file, &read(&file)).unwrap();
    let mut out = Vec::new();
    run_script(&script, [32; 3], PENDING_DEFAULT, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected(name));
}

#[test]
fn chain100_is_reproduced() {
    reproduces("chain100");
}

#[test]
fn midrun_injection_is_reproduced() {
    reproduces("midrun_injection");
}

#[test]
fn mixed_sign_collisions_is_reproduced() {
    reproduces("mixed_sign_collisions");
}

#[test]
fn negative_payloads_is_reproduced() {
    reproduces("negative_payloads");
}

#[test]
fn ring_dense_is_reproduced() {
    reproduces("ring_dense");
}

#[test]
fn tree_fanout_is_reproduced() {
    reproduces("tree_fanout");
}

#[test]
fn wraparound_is_reproduced() {
    reproduces("wraparound");
}

#[test]
fn every_scenario_of_the_folder_has_its_test() {
    let mut names: Vec<_> = std::fs::read_dir(golden(""))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().map(str::to_owned))
        .filter_map(|name| name.strip_suffix(".scenario").map(str::to_owned))
        .collect();
    names.sort();
    let tested = [
        "chain100",
        "midrun_injection",
        "mixed_sign_collisions",
        "negative_payloads",
        "ring_dense",
        "tree_fanout",
        "wraparound",
    ];
    assert_eq!(names, tested);
}
