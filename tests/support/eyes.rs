//! Looking at a run directly, where a `status` process would be too slow: read-only, through the shipped reader.

use std::path::Path;

use shm_layout::control::RunState;
use shm_layout::region::RegionReader;
use shm_layout::segment::{ReaderMap, SegmentFile};
use shm_layout::sys::pidfd::PidFd;
use shm_layout::sys::process;
use shm_layout::torus::Torus;

/// A read-only view of a run's segment. A run that is replaced or resumed with more room has another segment: open anew.
pub struct Eyes {
    tori: Vec<Torus>,
    map: ReaderMap,
}

/// A process that is certain to be the one that the segment names.
pub struct Certain {
    /// Its handle.
    pub pidfd: PidFd,
    /// Its number.
    pub pid: u32,
    /// For a worker: how many times its torus has been started.
    pub incarnation: u64,
}

impl Certain {
    /// SIGKILL. One that has just died on its own is as dead.
    pub fn kill(&self) {
        self.signal(nix::libc::SIGKILL);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        match self.pidfd.send_signal(signal) {
            Err(error) if error.raw_os_error() != Some(nix::libc::ESRCH) => {
                panic!("cannot signal process {}: {error}", self.pid)
            }
            _ => {}
        }
    }

    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        self.pidfd.alive().unwrap_or(false)
    }
}

impl Eyes {
    /// Eyes on the segment; none if it is not there or not whole.
    pub fn open(segment: &Path) -> Option<Eyes> {
        let file = SegmentFile::open(segment).ok()?;
        let tori = Torus::of_run(file.config().tori).to_vec();
        Some(Eyes {
            tori,
            map: file.map_reader().ok()?,
        })
    }

    /// The tori of the run.
    pub fn tori(&self) -> &[Torus] {
        &self.tori
    }

    /// The living worker of a torus.
    pub fn worker(&self, torus: Torus) -> Option<Certain> {
        let identity = self.region(torus, |region| region.status.identity())?;
        let pid = u32::try_from(identity.pid).ok()?;
        let pidfd = PidFd::open(pid).ok()?;
        let same = process::alive_as(pid, identity.start_time, identity.boot_id);
        (same && pidfd.alive().ok()?).then_some(Certain {
            pidfd,
            pid,
            incarnation: identity.incarnation,
        })
    }

    /// The living supervisor.
    pub fn supervisor(&self) -> Option<Certain> {
        let control = self.map.views().control;
        let pid = u32::try_from(control.supervisor_pid())
            .ok()
            .filter(|pid| *pid != 0)?;
        let pidfd = PidFd::open(pid).ok()?;
        let same = process::start_time(pid) == Some(control.supervisor_start_time());
        (same && pidfd.alive().ok()?).then_some(Certain {
            pidfd,
            pid,
            incarnation: 0,
        })
    }

    /// The living scrubber.
    pub fn scrubber(&self) -> Option<Certain> {
        let identity = self.map.views().audit.identity()?;
        let pid = u32::try_from(identity.pid).ok()?;
        let pidfd = PidFd::open(pid).ok()?;
        let same = process::alive_as(pid, identity.start_time, identity.boot_id);
        (same && pidfd.alive().ok()?).then_some(Certain {
            pidfd,
            pid,
            incarnation: identity.incarnation,
        })
    }

    /// The supervisor and all workers that live; the supervisor first, so that it replaces nobody.
    pub fn everybody(&self) -> Vec<Certain> {
        self.supervisor()
            .into_iter()
            .chain(self.tori.iter().filter_map(|torus| self.worker(*torus)))
            .collect()
    }

    /// Whether the run has been given up: then nobody is replaced any more.
    pub fn has_failed(&self) -> bool {
        self.map.views().control.run_state() == Some(RunState::Failed)
    }

    /// How many frames a torus has committed.
    pub fn boundary(&self, torus: Torus) -> u64 {
        self.region(torus, |region| region.ring.head())
    }

    /// The boundary that all tori have reached.
    pub fn slowest(&self) -> u64 {
        self.tori
            .iter()
            .map(|torus| self.boundary(*torus))
            .min()
            .unwrap_or(0)
    }

    fn region<T>(&self, torus: Torus, look: impl FnOnce(&RegionReader<'_>) -> T) -> T {
        look(&self.map.views().regions[torus.index()])
    }
}

/// The workers of a segment that have been started and do not stand in it yet, beside those that do: processes whose
/// arguments name it, which is certain, as the handle is opened before they are read.
pub fn newborns(segment: &Path) -> Vec<Certain> {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let of_segment = |entry: std::fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let pidfd = PidFd::open(pid).ok()?;
        let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = bytes.split(|byte| *byte == 0);
        let is_worker = words.clone().any(|word| word == b"--braid-worker");
        let named = words.any(|word| word == segment.as_os_str().as_encoded_bytes());
        (is_worker && named && pidfd.alive().ok()?).then_some(Certain {
            pidfd,
            pid,
            incarnation: 0,
        })
    };
    processes.filter_map(of_segment).collect()
}
