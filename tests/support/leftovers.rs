//! What a run may leave behind: processes, names in shared memory, locks, sockets.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a living run can be recognised by, taken while it lives.
#[derive(Debug)]
pub struct Traces {
    segment: PathBuf,
    inode: u64,
    socket: String,
}

impl Traces {
    /// The traces of the run in `segment`.
    pub fn of(segment: &Path) -> Traces {
        use std::os::unix::ffi::OsStrExt;
        let path = segment
            .canonicalize()
            .unwrap_or_else(|error| panic!("{}: {error}", segment.display()));
        let metadata = path.metadata().expect("it exists");
        let hash = shm_layout::hash::bytes(path.as_os_str().as_bytes());
        let socket = format!("@braid/{}/{hash:016x}", metadata.uid());
        Traces {
            segment: path,
            inode: metadata.ino(),
            socket,
        }
    }

    /// Whether somebody listens on the control socket.
    pub fn socket_is_there(&self) -> bool {
        let sockets = std::fs::read_to_string("/proc/net/unix").expect("/proc/net/unix");
        sockets.lines().any(|line| line.ends_with(&self.socket))
    }

    /// How many locks are held on the segment's file.
    pub fn locks(&self) -> usize {
        let locks = std::fs::read_to_string("/proc/locks").expect("/proc/locks");
        let own = format!(":{}", self.inode);
        let on_file = |line: &&str| line.split_whitespace().any(|word| word.ends_with(&own));
        locks.lines().filter(on_file).count()
    }

    /// Nothing of the run is left that runs, is locked or listens.
    #[track_caller]
    pub fn assert_quiet(&self, name: &str) {
        assert_eq!(
            processes_naming(name),
            Vec::<String>::new(),
            "processes of {name}"
        );
        assert_eq!(self.locks(), 0, "locks on {}", self.segment.display());
        assert!(
            !self.socket_is_there(),
            "the socket {} is still there",
            self.socket
        );
    }

    /// Nothing of the run is left at all.
    #[track_caller]
    pub fn assert_gone(&self, name: &str) {
        self.assert_quiet(name);
        assert!(
            !self.segment.exists(),
            "{} is still there",
            self.segment.display()
        );
        assert_eq!(
            shared_memory_naming(name),
            Vec::<PathBuf>::new(),
            "shared memory of {name}"
        );
    }
}

/// The processes whose command line names a run, as `pid command line`. A zombie has none.
pub fn processes_naming(name: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let line = |entry: std::fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        line.contains(name).then(|| format!("{pid} {line}"))
    };
    processes.filter_map(line).collect()
}

/// The files in /dev/shm that carry a name.
pub fn shared_memory_naming(name: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir("/dev/shm").expect("/dev/shm").flatten();
    files
        .map(|file| file.path())
        .filter(|path| path.to_string_lossy().contains(name))
        .collect()
}
