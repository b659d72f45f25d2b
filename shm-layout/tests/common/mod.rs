//! What several tests need: a small configuration, and places that clean up after themselves.
#![allow(dead_code, reason = "not every test uses everything")]

use shm_layout::config::RunConfig;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A configuration whose segment takes about 1 MB.
pub fn config() -> RunConfig {
    let mut config = RunConfig::new("test", "phold");
    config.sides = [4, 4, 4];
    config.checkpoint_bytes = 16 << 10;
    config.capacity.remote_per_interval = 512;
    config.capacity.frames = 8;
    config.capacity.lanes = 2;
    config.capacity.lane_entries = 256;
    config.run_id = 4711;
    config
}

/// A folder of its own that goes away with the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(base: &Path, test: &str) -> Folder {
        let path = base.join(format!("braid-test-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("temporary folder");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("ours");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("ours").file_name().into_string().expect("ascii"))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder on disk.
pub fn folder(test: &str) -> Folder {
    Folder::new(&std::env::temp_dir(), test)
}

/// The variable that tells a test that it is the child of another, with its argument.
pub const CHILD: &str = "BRAID_TEST_CHILD";

/// This test binary again, to run only `test`, which finds `argument` in [`CHILD`].
pub fn child(test: &str, argument: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("we run"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, argument);
    command
}

/// Waits until `holds`, for what other tests of this process can delay: one that starts a program has copies of all our
/// descriptors, and so of our locks, for a moment.
pub fn eventually(holds: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited for 20 s");
        std::thread::yield_now();
    }
}
