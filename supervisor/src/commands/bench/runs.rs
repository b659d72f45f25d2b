//! Real runs to measure on: started as anyone starts one, each with a name of its own, removed whatever happens.
//!
//! A run can be frozen: its workers are stopped by a signal, wherever they are, and go on as if nothing had been. Nothing
//! of it is in the simulated state, and no measured process has to know.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::libc::{SIGCONT, SIGSTOP};

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::layout::Layout;
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::segment::{ReaderMap, SegmentFile};
use shm_layout::sys::pidfd::PidFd;
use shm_layout::torus::Torus;

use crate::cli::{Cli, Command as Parsed};
use crate::error::CommandError;
use crate::output;
use crate::report::collect;
use crate::report::run::RunReport;
use crate::start::launch;
use crate::start::place::Place;
use crate::target::Target;
use crate::text::show;
use crate::watchdog::adopt;
use clap::Parser;

use super::guard::Guard;

/// A run that nobody removes any more ends by itself after so long.
const LIMIT: &str = "30m";
/// A frozen worker does not hang.
const HANG_TIMEOUT: &str = "1h";
/// How long a run may take to stop.
const STOP_PATIENCE: &str = "60s";
/// How long a worker may take to be frozen, and how often it is looked at meanwhile.
const FREEZE_PATIENCE: Duration = Duration::from_secs(10);
const FREEZE_LOOK: Duration = Duration::from_micros(200);

/// Where runs are made: the program, and a temporary folder for their journals.
pub struct Workshop {
    program: PathBuf,
    folder: PathBuf,
    number: AtomicU64,
    /// Clears up if this process is killed.
    guard: Guard,
}

/// A run that is being measured. Dropping it stops and removes it.
pub struct Run {
    program: PathBuf,
    folder: PathBuf,
    name: String,
    file: SegmentFile,
    map: ReaderMap,
}

impl Workshop {
    /// A workshop of this process's own.
    pub fn new() -> Result<Workshop, CommandError> {
        let program = std::env::current_exe()
            .map_err(|error| CommandError::system("find this program's own file", error))?;
        let folder = std::env::temp_dir().join(format!("braid-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| {
            CommandError::system(format!("create the folder {}", folder.display()), error)
        })?;
        let guard = Guard::post(&program, &folder, &prefix())
            .map_err(|error| CommandError::system("start the process that clears up", error))?;
        Ok(Workshop {
            program,
            folder,
            number: AtomicU64::new(0),
            guard,
        })
    }

    /// A name that no other run has.
    fn name(&self) -> String {
        // Ordering: none needed; only the number counts.
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        format!("{}{number}", prefix())
    }

    /// A path in shared memory where nothing is.
    pub fn segment_path(&self) -> Result<PathBuf, CommandError> {
        Ok(Target::named(&self.name())?.segment().to_owned())
    }

    /// Starts a run with these options of `start`; all its tori run on return. Its segment is in shared memory if it fits
    /// there, else a file in the temporary folder.
    pub fn start(&self, options: &[&str]) -> Result<Run, CommandError> {
        let name = self.name();
        let mut arguments = vec![
            "start",
            "--name",
            &name,
            "--detach",
            "--hang-timeout",
            HANG_TIMEOUT,
        ];
        if !options.contains(&"--until") {
            arguments.extend(["--for", LIMIT]);
        }
        arguments.extend(options);
        let file = self.file_if_too_large(&name, options)?;
        let file = file.as_ref().map(|path| path.to_string_lossy());
        if let Some(path) = &file {
            arguments.extend(["--segment", path]);
        }
        let started = braid(&self.program, &self.folder, &arguments);
        let run = started.and_then(|()| {
            let segment = file.as_deref().map(Path::new);
            let file = match segment {
                Some(path) => SegmentFile::open(path).map_err(CommandError::Segment)?,
                None => Target::named(&name)?.open()?,
            };
            let map = file.map_reader().map_err(CommandError::Segment)?;
            Ok(Run {
                program: self.program.clone(),
                folder: self.folder.clone(),
                name: name.clone(),
                file,
                map,
            })
        });
        if run.is_err() {
            remove(&self.program, &self.folder, &name);
        }
        run
    }

    /// Where the segment of this run is to be if shared memory has no room for it.
    fn file_if_too_large(&self, name: &str, options: &[&str]) -> Result<Option<PathBuf>, CommandError> {
        let config = self.configuration(options)?;
        let layout = Layout::compute(&config).map_err(|error| CommandError::Failed(error.to_string()))?;
        let usual = Target::named(name)?.segment().to_owned();
        let free = free_bytes(usual.parent().unwrap_or(Path::new("/")))?;
        if layout.total_bytes() <= free {
            return Ok(None);
        }
        let file = self.folder.join(format!("{name}.segment"));
        output::message(&format!(
            "bench: the segment of a run with `{}` takes {}, {} has {} left: it is {} instead, and what its pages cost \
             there is in the figures; make shared memory larger (containers: --shm-size) for better ones",
            options.join(" "),
            show::bytes(layout.total_bytes()),
            usual.parent().unwrap_or(Path::new("/")).display(),
            show::bytes(free),
            file.display(),
        ));
        Ok(Some(file))
    }

    /// The configuration that these options of `start` make.
    pub fn configuration(&self, options: &[&str]) -> Result<RunConfig, CommandError> {
        let name = self.name();
        let line = ["braid-supervisor", "start", "--name", &name]
            .into_iter()
            .chain(options.iter().copied());
        let parsed = Cli::try_parse_from(line).map_err(|error| CommandError::Usage(error.to_string()))?;
        match parsed.command {
            Parsed::Start(args) => launch::configuration(&args, &Place::of(&args)?),
            _ => unreachable!("the line says start"),
        }
    }
}

/// What the names of all runs of this process begin with.
fn prefix() -> String {
    format!("bench-{}-", std::process::id())
}

/// Bytes that may still be written to the file system of a folder.
fn free_bytes(folder: &Path) -> Result<u64, CommandError> {
    nix::sys::statvfs::statvfs(folder)
        .map(|stat| stat.blocks_available() * stat.fragment_size())
        .map_err(|error| {
            CommandError::system(
                format!("find out how much room is left in {}", folder.display()),
                std::io::Error::from(error),
            )
        })
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.guard.dismiss();
        // What is left in the temporary folder is small, and the system's to remove.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Run {
    /// What an inspector sees.
    pub fn views(&self) -> ReaderSegment<'_> {
        self.map.views()
    }

    /// Its configuration.
    pub fn config(&self) -> &RunConfig {
        self.file.config()
    }

    /// Its segment's path.
    pub fn segment(&self) -> &Path {
        self.file.path()
    }

    /// Bytes of its segment.
    pub fn segment_bytes(&self) -> u64 {
        self.file.layout().total_bytes()
    }

    /// Its tori.
    pub fn tori(&self) -> &'static [Torus] {
        Torus::of_run(self.config().tori)
    }

    /// The newest committed frame of a torus.
    pub fn newest_frame(&self, region: &RegionReader<'_>) -> Option<Frame> {
        collect::newest_frame(region, self.config().face_cells())
    }

    /// All that `status` says.
    pub fn report(&self) -> Result<RunReport, CommandError> {
        collect::collect(&self.file)
    }

    /// The living worker of a torus.
    pub fn worker(&self, torus: Torus) -> Option<u32> {
        self.living(torus).map(|(_, pid)| pid)
    }

    fn living(&self, torus: Torus) -> Option<(PidFd, u32)> {
        let views = self.views();
        let (pidfd, identity) = adopt::living(&views.regions.get(torus.index())?.status)?;
        Some((pidfd, u32::try_from(identity.pid).ok()?))
    }

    /// Stops its workers in their tracks, and waits until none executes anything any more.
    pub fn freeze(&self) -> Result<(), CommandError> {
        let workers = self.signal(SIGSTOP)?;
        let begin = Instant::now();
        while !workers.iter().all(|pid| is_stopped(*pid)) {
            if begin.elapsed() > FREEZE_PATIENCE {
                return Err(CommandError::Failed(format!(
                    "a worker of the measured run {} does not stop within {} s",
                    self.name,
                    FREEZE_PATIENCE.as_secs()
                )));
            }
            std::thread::sleep(FREEZE_LOOK);
        }
        Ok(())
    }

    /// Lets its workers go on.
    pub fn thaw(&self) -> Result<(), CommandError> {
        self.signal(SIGCONT).map(drop)
    }

    /// Sends a signal to each worker; returns their pids.
    fn signal(&self, signal: i32) -> Result<Vec<u32>, CommandError> {
        let send = |torus: &Torus| {
            let (pidfd, pid) = self.living(*torus).ok_or_else(|| {
                CommandError::Failed(format!(
                    "torus {torus} of the measured run {} has lost its worker",
                    self.name
                ))
            })?;
            pidfd
                .send_signal(signal)
                .map_err(|error| CommandError::system(format!("signal process {pid}"), error))?;
            Ok(pid)
        };
        self.tori().iter().map(send).collect()
    }

    /// Its processes with their names, the supervisor first.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let supervisor = u32::try_from(self.views().control.supervisor_pid()).ok();
        let workers = self
            .tori()
            .iter()
            .filter_map(|torus| Some((format!("worker {torus}"), self.worker(*torus)?)));
        supervisor
            .map(|pid| ("supervisor".to_owned(), pid))
            .into_iter()
            .chain(workers)
            .collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        thaw_all(&self.file);
        remove(&self.program, &self.folder, &self.name);
    }
}

/// Runs a command of this program, with its journals in the workshop's folder.
fn braid(program: &Path, folder: &Path, arguments: &[&str]) -> Result<(), CommandError> {
    let output = Command::new(program)
        .args(arguments)
        .env("BRAID_STATE_DIR", folder)
        .stdin(Stdio::null())
        // A group of its own: Ctrl-C asks the measurement to end, and that ends the run in order.
        .process_group(0)
        .output()
        .map_err(|error| CommandError::system(format!("run {}", program.display()), error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(CommandError::Failed(format!(
        "`{}` failed: {}",
        arguments.join(" "),
        said.trim()
    )))
}

/// Whether a process has been stopped by a signal; one that is gone executes nothing either. Field 3 of /proc/PID/stat, after
/// the name in parentheses.
fn is_stopped(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit_once(") ")
        .is_none_or(|(_, fields)| fields.starts_with(['T', 'Z', 'X']))
}

/// Lets all workers of a run go on that live.
pub fn thaw_all(file: &SegmentFile) {
    let Ok(map) = file.map_reader() else { return };
    for region in &map.views().regions {
        if let Some((pidfd, _)) = adopt::living(&region.status) {
            // One that has just died needs nothing.
            let _ = pidfd.send_signal(SIGCONT);
        }
    }
}

/// Stops and removes a run. One that has ended by itself cannot be stopped, one that never began not even removed.
pub fn remove(program: &Path, folder: &Path, name: &str) {
    let _ = braid(
        program,
        folder,
        &["stop", "--name", name, "--timeout", STOP_PATIENCE],
    );
    let there =
        folder.join(name).exists() || Target::named(name).is_ok_and(|target| target.segment().exists());
    if let (true, Err(error)) = (there, braid(program, folder, &["clean", name])) {
        output::message(&format!("bench: a run is left behind: {error}"));
    }
}
