//! Rules about the source that no compiler checks: who may know what, and where `unsafe` may stand.

use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

/// The lines of code, without comments, that contain one of these words.
fn mentions(sources: &[(PathBuf, String)], words: &[&str]) -> Vec<String> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let lines = sources.iter().flat_map(|(path, text)| {
        let named = text
            .lines()
            .filter(code)
            .filter(|line| words.iter().any(|word| line.contains(word)));
        named.map(move |line| format!("{}: {}", path.display(), line.trim()))
    });
    lines.collect()
}

#[test]
fn the_kernel_and_the_models_know_no_clock_no_map_no_ring_and_no_file() {
    let words = [
        "std::time",
        "std::fs",
        "std::thread",
        "std::process",
        "sys::",
        "segment::",
        "frame_ring",
        "memmap2",
    ];
    for folder in ["torus-worker/src/kernel", "torus-worker/src/models"] {
        assert_eq!(mentions(&sources(folder), &words), [""; 0]);
    }
}

#[test]
fn the_protocol_core_does_no_io_and_reads_no_clock() {
    let words = [
        "std::time",
        "std::fs",
        "std::thread",
        "sys::",
        "segment::SegmentFile",
        "frame_ring",
        "memmap2",
    ];
    assert_eq!(mentions(&sources("torus-worker/src/node"), &words), [""; 0]);
    let words = [
        "std::time",
        "std::fs",
        "std::thread",
        "sys::",
        "segment::SegmentFile",
        "memmap2",
    ];
    assert_eq!(mentions(&sources("torus-worker/src/member"), &words), [""; 0]);
}

#[test]
fn dependencies_point_one_way() {
    assert_eq!(
        mentions(&sources("shm-layout/src"), &["torus_worker", "supervisor::"]),
        [""; 0]
    );
    assert_eq!(
        mentions(&sources("torus-worker/src"), &["use supervisor"]),
        [""; 0]
    );
}

#[test]
fn unsafe_stands_in_shm_layout_in_the_named_hot_spots_of_the_kernel_and_in_the_floors_only() {
    let mut elsewhere = sources("torus-worker/src");
    elsewhere.extend(sources("supervisor/src"));
    elsewhere.extend(sources("benches/src"));
    // The floors are what the machine can do: they check no index.
    let named = ["kernel/prefetch.rs", "src/floor.rs", "cross/ring_floor.rs"];
    elsewhere.retain(|(path, _)| !named.iter().any(|name| path.ends_with(name)));
    assert_eq!(
        mentions(
            &elsewhere,
            &["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"]
        ),
        [""; 0]
    );
}

#[test]
fn the_status_of_a_run_is_never_decided_by_a_process_name() {
    let all: Vec<_> = ["supervisor/src", "torus-worker/src", "shm-layout/src"]
        .into_iter()
        .flat_map(sources)
        .collect();
    assert_eq!(mentions(&all, &["pkill", "killall", "pgrep"]), [""; 0]);
}
