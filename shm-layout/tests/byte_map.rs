//! The byte map of the default configuration, compared with the checked-in one.
//!
//! A difference is a change of the layout: raise `LAYOUT_VERSION`, and write the new map with
//! `BRAID_WRITE_BYTE_MAP=1 cargo test --test byte_map`.
#![allow(missing_docs, reason = "a test")]

use shm_layout::config::RunConfig;
use shm_layout::layout::{LAYOUT_VERSION, Layout};
use shm_layout::{audit, control, status};
use std::fmt::Write;

fn byte_map() -> String {
    let mut config = RunConfig::new("default", "phold");
    config.checkpoint_bytes = 2_600_000;
    let layout = Layout::compute(&config).expect("valid");
    let mut text = format!(
        "layout version {LAYOUT_VERSION}, {} bytes\n",
        layout.total_bytes()
    );
    text.push_str("\n      offset        bytes  writer               part\n");
    for row in layout.describe() {
        writeln!(text, "{row}").expect("into a string");
    }
    for (page, fields) in [
        ("status cell", status::fields()),
        ("control page", control::fields()),
        ("audit page", audit::fields()),
    ] {
        writeln!(text, "\n{page}: word, words, field").expect("into a string");
        for field in fields {
            writeln!(text, "{:>6} {:>5}  {}", field.first, field.words, field.name).expect("into a string");
        }
    }
    text
}

#[test]
fn the_byte_map_is_the_checked_in_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/byte_map.expected");
    let found = byte_map();
    if std::env::var_os("BRAID_WRITE_BYTE_MAP").is_some() {
        std::fs::write(path, &found).expect("the source folder is writable");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "see the head of this file");
}
