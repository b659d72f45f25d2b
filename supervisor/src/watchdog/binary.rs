//! The worker binary must stay the very build that the run was started with: a worker of another build beside the
//! others may compute something else. The file is hashed again only when its stamp has changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use shm_layout::config::RunConfig;

use crate::error::CommandError;
use crate::start::launch::check_worker;

/// Which bytes a file had, as far as the file system tells without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// The worker binary of a run.
#[derive(Debug, Clone, Copy)]
pub struct Binary {
    stamp: Option<Stamp>,
}

impl Binary {
    /// The binary as it is now; it has just been found to be the right one.
    pub fn of(config: &RunConfig) -> Self {
        Binary {
            stamp: stamp(&config.worker.path),
        }
    }

    /// Whether it is still the right one.
    ///
    /// # Errors
    /// As [`check_worker`].
    pub fn check(&mut self, config: &RunConfig) -> Result<(), CommandError> {
        let now = stamp(&config.worker.path);
        if now.is_some() && now == self.stamp {
            return Ok(());
        }
        check_worker(config)?;
        self.stamp = now;
        Ok(())
    }
}

fn stamp(path: &str) -> Option<Stamp> {
    let metadata = Path::new(path).metadata().ok()?;
    Some(Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_replaced_is_refused_and_one_put_back_is_not() {
        let path = std::env::temp_dir().join(format!("braid-binary-{}", std::process::id()));
        std::fs::write(&path, "first build").unwrap();
        let mut config = RunConfig::new("default", "phold");
        config.worker.path = path.display().to_string();
        config.worker.build_hash = shm_layout::hash::bytes(b"first build");
        let mut binary = Binary::of(&config);
        assert!(binary.check(&config).is_ok());
        std::fs::write(&path, "second build!").unwrap();
        assert!(
            binary
                .check(&config)
                .unwrap_err()
                .to_string()
                .contains("another one")
        );
        std::fs::remove_file(&path).unwrap();
        assert!(binary.check(&config).is_err());
        std::fs::write(&path, "first build").unwrap();
        assert!(binary.check(&config).is_ok());
        std::fs::remove_file(&path).unwrap();
    }
}
