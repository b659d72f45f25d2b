//! Real runs to measure on: started as anyone starts one, each with a name of its own, removed whatever happens.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use shm_layout::config::RunConfig;
use shm_layout::frame::Frame;
use shm_layout::region::{ReaderSegment, RegionReader};
use shm_layout::segment::{ReaderMap, SegmentFile};
use shm_layout::torus::Torus;

use crate::cli::{Cli, Command as Parsed};
use crate::error::CommandError;
use crate::output;
use crate::report::collect;
use crate::report::run::RunReport;
use crate::start::launch;
use crate::start::place::Place;
use crate::target::Target;
use crate::watchdog::adopt;
use clap::Parser;

/// A run that its measurement has forgotten, because that was killed, ends by itself after so long.
const LIMIT: &str = "30m";
/// How long a run may take to stop.
const STOP_PATIENCE: &str = "60s";

/// Where runs are made: the program, and a temporary folder for their journals.
pub struct Workshop {
    program: PathBuf,
    folder: PathBuf,
    number: AtomicU64,
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
        Ok(Workshop {
            program,
            folder,
            number: AtomicU64::new(0),
        })
    }

    /// A name that no other run has.
    fn name(&self) -> String {
        // Ordering: none needed; only the number counts.
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        format!("bench-{}-{number}", std::process::id())
    }

    /// A path in shared memory where nothing is.
    pub fn segment_path(&self) -> Result<PathBuf, CommandError> {
        Ok(Target::named(&self.name())?.segment().to_owned())
    }

    /// Starts a run with these options of `start`; all its tori run on return.
    pub fn start(&self, options: &[&str]) -> Result<Run, CommandError> {
        let name = self.name();
        let mut arguments = vec!["start", "--name", &name, "--detach"];
        if !options.contains(&"--until") {
            arguments.extend(["--for", LIMIT]);
        }
        arguments.extend(options);
        let started = braid(&self.program, &self.folder, &arguments);
        let run = started.and_then(|()| {
            let file = Target::named(&name)?.open()?;
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

impl Drop for Workshop {
    fn drop(&mut self) {
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
        let views = self.views();
        let (_, identity) = adopt::living(&views.regions.get(torus.index())?.status)?;
        u32::try_from(identity.pid).ok()
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

/// Stops and removes a run. One that has ended by itself cannot be stopped, one that never began not even removed.
fn remove(program: &Path, folder: &Path, name: &str) {
    let _ = braid(
        program,
        folder,
        &["stop", "--name", name, "--timeout", STOP_PATIENCE],
    );
    let there = Target::named(name).is_ok_and(|target| target.segment().exists());
    if let (true, Err(error)) = (there, braid(program, folder, &["clean", name])) {
        output::message(&format!("bench: a run is left behind: {error}"));
    }
}
