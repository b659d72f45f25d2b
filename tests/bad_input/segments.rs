//! Files that are no segment, or no whole one: every command refuses them with the reason, and changes no byte of them.

use std::path::Path;
use std::process::Command;

use super::ENDLESS;
use crate::support::{BRAID, Run};

/// A stopped run on disk, whose segment and journals are copied and damaged.
fn stopped(test: &str) -> (Run, Vec<u8>) {
    let run = Run::on_disk(test);
    run.start(ENDLESS);
    run.stop();
    let bytes = std::fs::read(run.segment()).expect("the segment");
    (run, bytes)
}

/// Every command that is given this file as a segment fails, says why, and leaves it as it is.
#[track_caller]
fn refused(run: &Run, segment: &[u8], says: &[&str]) {
    let path = run.file("damaged.segment", segment);
    let shown = path.to_str().expect("UTF-8");
    for arguments in [
        &["status"][..],
        &["verify"],
        &["stop"],
        &["kill", "A"],
        &["wait"],
        &["inject", "A", "1,2,3", "--payload", "1"],
        &["start", "--resume", "--name", "damaged"],
        &["start", "--until", "1000", "--name", "damaged"],
        &["start", "--until", "1000", "--name", "damaged", "--detach"],
        &["start", "--until", "1000", "--name", "damaged", "--replace"],
    ] {
        let mut command = Command::new(BRAID);
        command.args(arguments).args(["--segment", shown]);
        run.execute(run.in_its_place(command))
            .exits(1)
            .explains(says)
            .explains(&[shown]);
        assert_eq!(
            std::fs::read(&path).expect("still there"),
            segment,
            "{arguments:?} changed the file"
        );
    }
}

/// A copy with one word of the file changed.
fn with_word(segment: &[u8], word: usize, change: impl Fn(u64) -> u64) -> Vec<u8> {
    let mut copy = segment.to_vec();
    let bytes = &mut copy[word * 8..word * 8 + 8];
    let old = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    bytes.copy_from_slice(&change(old).to_le_bytes());
    copy
}

#[test]
fn a_truncated_segment_is_refused_with_both_lengths() {
    let (run, whole) = stopped("truncated");
    let half = whole.len() / 2;
    let says = ["truncated", &whole.len().to_string(), &half.to_string(), "clean"];
    refused(&run, &whole[..half], &says);
    refused(&run, &whole[..whole.len() - 1], &["truncated"]);
    refused(&run, &whole[..100], &["truncated"]);
}

#[test]
fn foreign_content_is_refused() {
    let (run, _) = stopped("foreign");
    refused(
        &run,
        b"dear diary\n",
        &["not a Braid segment", "remove it or choose another"],
    );
    refused(&run, b"", &["not a Braid segment"]);
    refused(&run, &vec![0; 1 << 20], &["not a Braid segment"]);
    refused(&run, &vec![0xa5; 1 << 20], &["not a Braid segment"]);
}

#[test]
fn another_layout_version_is_refused_with_both_versions() {
    let (run, whole) = stopped("version");
    refused(
        &run,
        &with_word(&whole, 1, |_| 4711),
        &[
            "layout version 4711",
            "needs",
            "the version of Braid that made it",
        ],
    );
}

#[test]
fn a_damaged_header_or_configuration_is_refused() {
    let (run, whole) = stopped("damaged");
    for word in [2, 3, 5, 11, 40] {
        refused(
            &run,
            &with_word(&whole, word, |old| old ^ 1 << 17),
            &["header", "damaged", "clean"],
        );
    }
    // The configuration begins where word 5 of the header says.
    let offset = u64::from_le_bytes(whole[5 * 8..6 * 8].try_into().expect("eight bytes")) as usize;
    refused(
        &run,
        &with_word(&whole, offset / 8 + 1, |old| old ^ 1),
        &["configuration", "damaged"],
    );
}

#[test]
fn a_segment_that_was_never_finished_is_refused() {
    let (run, whole) = stopped("unfinished");
    refused(&run, &with_word(&whole, 0, |_| 0), &["never finished", "clean"]);
}

#[test]
fn a_folder_in_place_of_a_segment_is_refused() {
    let run = Run::new("folder");
    let folder = run.folder().to_str().expect("UTF-8").to_owned();
    for arguments in [
        &["status"][..],
        &["start", "--until", "1000", "--name", run.name()],
    ] {
        let mut command = Command::new(BRAID);
        command.args(arguments).args(["--segment", &folder]);
        run.execute(run.in_its_place(command))
            .exits(1)
            .explains(&["not a Braid segment", &folder]);
    }
}

#[test]
fn clean_removes_what_is_damaged_and_spares_what_is_foreign() {
    let (run, whole) = stopped("clean");
    let clean = |path: &Path| {
        let mut command = Command::new(BRAID);
        command.arg("clean").arg("--segment").arg(path);
        run.execute(run.in_its_place(command))
    };
    let foreign = run.file("diary.txt", b"dear diary\n");
    clean(&foreign).exits(1).explains(&["not a Braid segment"]);
    assert!(foreign.exists(), "it is not ours");
    let damaged = run.file("damaged.segment", &whole[..whole.len() / 2]);
    clean(&damaged).exits(0);
    assert!(!damaged.exists());
}

#[test]
fn a_damaged_or_missing_journal_is_refused_by_verify() {
    let (run, _) = stopped("journal");
    let journal = run.folder().join("run.segment.journals/journal.C");
    let whole = std::fs::read(&journal).expect("the journal");
    let says = journal.to_str().expect("UTF-8");
    for damaged in [
        &whole[..whole.len() - 1],
        &whole[..10],
        b"",
        &[&whole[..60], &[0xff; 4][..], &whole[64..]].concat(),
    ] {
        std::fs::write(&journal, damaged).expect("writable");
        run.braid("verify", &[]).exits(1).explains(&[says]);
    }
    std::fs::remove_file(&journal).expect("it exists");
    run.braid("verify", &[]).exits(1).explains(&[says]);
    run.braid("start", &["--resume"]).exits(1).explains(&[says]);
    // With the journal back in its place the run goes on as if nothing had been.
    std::fs::write(&journal, whole).expect("writable");
    run.start(&["--resume"]);
    run.stop();
    run.verify();
}
