//! One run of a test's own: its name, its state directory, its processes, and everything that was done to it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use shm_layout::torus::Torus;

use super::command::{Answer, Running, until};
use super::eyes::{Certain, Eyes, newborns};
use super::reaper::Reaper;
use super::status::{End, Status};
use super::{BRAID, PATIENCE, Traces, processes_naming};

/// Most bytes of the log that a failing test prints.
const LOG_BYTES: usize = 20_000;

/// A run of a test. Whatever happens, dropping it leaves no process and no file behind; if the test failed, it first
/// prints all that is known. (With `BRAID_TRANSCRIPT=1` and `--nocapture` a test that passed prints it too.)
pub struct Run {
    name: String,
    folder: PathBuf,
    segment: PathBuf,
    variables: Vec<(String, String)>,
    /// Whether commands name the run by its segment.
    by_segment: bool,
    transcript: Mutex<String>,
    begin: Instant,
    reaper: Reaper,
}

impl Run {
    /// A run with a name of its own in /dev/shm; nothing is started.
    pub fn new(test: &str) -> Run {
        let name = unique(test);
        let segment = Path::new("/dev/shm").join(format!("braid-{name}"));
        Run::at(name, segment, false, None)
    }

    /// A run whose segment is a file of its own, as with `--segment`.
    pub fn on_disk(test: &str) -> Run {
        let name = unique(test);
        let segment = folder_of(&name).join("run.segment");
        Run::at(name, segment, true, None)
    }

    /// The run named `default`, in a place of its own so that it is nobody else's.
    pub fn named_default(test: &str) -> Run {
        let shm = folder_of(&unique(test)).join("shm");
        Run::at("default".to_owned(), shm.join("braid-default"), false, Some(shm))
    }

    fn at(name: String, segment: PathBuf, by_segment: bool, shm: Option<PathBuf>) -> Run {
        let folder = shm
            .as_deref()
            .and_then(Path::parent)
            .map_or_else(|| folder_of(&name), Path::to_owned);
        std::fs::create_dir_all(folder.join("state")).expect("a temporary folder");
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let mut variables = vec![("BRAID_STATE_DIR".to_owned(), text(&folder.join("state")))];
        if let Some(shm) = &shm {
            std::fs::create_dir_all(shm).expect("a temporary folder");
            variables.push(("BRAID_SHM_DIR".to_owned(), text(shm)));
        }
        let reaper = Reaper::new(BRAID, &name, &segment, &folder, &variables);
        let (transcript, begin) = (Mutex::default(), Instant::now());
        Run {
            name,
            folder,
            segment,
            variables,
            by_segment,
            transcript,
            begin,
            reaper,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its segment is, or would be.
    pub fn segment(&self) -> &Path {
        &self.segment
    }

    /// A temporary folder of its own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file with this content in its folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Notes something in what a failing test prints.
    pub fn note(&self, text: &str) {
        let mut transcript = self
            .transcript
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        // Writing into a String cannot fail.
        let _ = writeln!(
            transcript,
            "[{:8.3} s] {}",
            self.begin.elapsed().as_secs_f64(),
            text.trim_end()
        );
    }

    /// `braid-supervisor COMMAND` for this run, with further arguments, not started yet.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut line = Command::new(BRAID);
        line.arg(command);
        if self.by_segment && command != "ls" {
            line.arg("--segment").arg(&self.segment);
        }
        if (!self.by_segment || command == "start") && command != "ls" {
            line.args(["--name", &self.name]);
        }
        line.args(arguments);
        self.in_its_place(line)
    }

    /// Gives a command this run's directories.
    pub fn in_its_place(&self, mut command: Command) -> Command {
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end and notes all that it said.
    #[track_caller]
    pub fn execute(&self, command: Command) -> Answer {
        let answer = self.execute_within(PATIENCE, command);
        answer.unwrap_or_else(|killed| panic!("this did not end within {} s\n{killed}", PATIENCE.as_secs()))
    }

    /// Runs a command to its end, or kills it when `limit` is over.
    ///
    /// # Errors
    /// What it had said when it was killed.
    #[track_caller]
    pub fn execute_within(&self, limit: Duration, command: Command) -> Result<Answer, Answer> {
        let answer = Running::start(command, &self.folder).finish(limit);
        let (Ok(text) | Err(text)) = &answer;
        self.note(&text.to_string());
        assert!(!text.err.contains("panicked"), "a panic\n{text}");
        answer
    }

    /// Runs `braid-supervisor COMMAND` for this run.
    #[track_caller]
    pub fn braid(&self, command: &str, arguments: &[&str]) -> Answer {
        self.execute(self.command(command, arguments))
    }

    /// Starts it in the background; ready on return.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Answer {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--detach"]).collect();
        self.braid("start", &arguments).exits(0)
    }

    /// Starts it in the foreground.
    pub fn foreground(&self, arguments: &[&str]) -> Foreground<'_> {
        let running = Running::start(self.command("start", arguments), &self.folder);
        self.note(&format!(
            "in the foreground as process {}: {arguments:?}",
            running.pid()
        ));
        Foreground {
            run: self,
            running: Some(running),
        }
    }

    /// Its report.
    #[track_caller]
    pub fn status(&self) -> Status {
        Status(self.braid("status", &["--json"]).json())
    }

    /// Its report, without a note: for conditions that are waited for.
    #[track_caller]
    pub fn look(&self) -> Status {
        let answer = Running::start(self.command("status", &["--json"]), &self.folder).finish(PATIENCE);
        Status(
            answer
                .unwrap_or_else(|killed| panic!("no answer\n{killed}"))
                .json(),
        )
    }

    /// Waits for `ready`, `recovered` or `finished`.
    #[track_caller]
    pub fn wait_for(&self, what: &str) {
        let limit = format!("{}s", PATIENCE.as_secs() - 10);
        self.braid("wait", &["--for", what, "--timeout", &limit]).exits(0);
    }

    /// Stops it; returns where.
    #[track_caller]
    pub fn stop(&self) -> Vec<End> {
        self.braid("stop", &[]).exits(0);
        self.ends("stopped")
    }

    /// Waits for its end; returns it.
    #[track_caller]
    pub fn finish(&self) -> Vec<End> {
        self.wait_for("finished");
        self.ends("finished")
    }

    /// Where the run ended, and that its state is this.
    #[track_caller]
    pub fn ends(&self, state: &str) -> Vec<End> {
        let status = self.status();
        assert_eq!(status.state(), state, "{}", status.0);
        let ends = status.ends();
        assert!(
            ends.iter().all(|end| end.boundary == ends[0].boundary),
            "not one boundary: {ends:?}"
        );
        ends
    }

    /// `verify` says identical.
    #[track_caller]
    pub fn verify(&self) {
        self.braid("verify", &[])
            .exits(0)
            .prints(&["identical up to boundary"]);
    }

    /// Eyes on it; it exists.
    #[track_caller]
    pub fn eyes(&self) -> Eyes {
        until("there is a whole segment", || Eyes::open(&self.segment))
    }

    /// The living worker of a torus.
    #[track_caller]
    pub fn worker(&self, torus: Torus) -> Certain {
        self.worker_after(torus, 0)
    }

    /// The living worker of a torus, once it is a later incarnation than this.
    #[track_caller]
    pub fn worker_after(&self, torus: Torus, incarnation: u64) -> Certain {
        let eyes = self.eyes();
        until("a successor appears", || {
            eyes.worker(torus)
                .filter(|worker| worker.incarnation > incarnation)
        })
    }

    /// SIGKILL to the worker of a torus, by its pid.
    #[track_caller]
    pub fn kill(&self, torus: Torus) -> Certain {
        let worker = self.worker(torus);
        worker.kill();
        self.note(&format!(
            "SIGKILL to {} (torus {torus}, incarnation {})",
            worker.pid, worker.incarnation
        ));
        worker
    }

    /// SIGKILL to the supervisor, by its pid; dead on return.
    #[track_caller]
    pub fn kill_supervisor(&self) {
        let supervisor = self.eyes().supervisor().expect("a supervisor lives");
        supervisor.kill();
        until("the supervisor is dead", || (!supervisor.lives()).then_some(()));
        self.note(&format!("SIGKILL to {} (the supervisor)", supervisor.pid));
    }

    /// SIGKILL to the supervisor and all workers; all dead on return.
    #[track_caller]
    pub fn kill_everybody(&self) {
        let eyes = self.eyes();
        self.kill_supervisor();
        until("all workers are dead", || {
            kill_all(&eyes, &self.segment).then_some(())
        });
        self.note("SIGKILL to everybody else");
    }

    /// What its processes can be recognised by; it exists.
    #[track_caller]
    pub fn traces(&self) -> Traces {
        Traces::of(&self.segment)
    }

    fn dump(&self) {
        let transcript = self
            .transcript
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        println!("---- what was done to the run {} ----\n{transcript}", self.name);
        let path = self.log();
        let log = std::fs::read(&path).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES)..]).into_owned();
        println!("---- {} ----\n{tail}", path.display());
        for arguments in [&["--json"][..], &[]] {
            let answer = self.command("status", arguments).output();
            let text = answer.map(|o| {
                [o.stdout, o.stderr]
                    .map(|b| String::from_utf8_lossy(&b).into_owned())
                    .concat()
            });
            println!(
                "---- status {arguments:?} ----\n{}",
                text.unwrap_or_else(|error| error.to_string())
            );
        }
        println!(
            "---- processes ----\n{}",
            processes_naming(&self.segment.to_string_lossy()).join("\n")
        );
    }

    fn log(&self) -> PathBuf {
        let beside = self.folder.join("run.segment.journals/log");
        if self.by_segment {
            beside
        } else {
            self.folder.join("state").join(&self.name).join("log")
        }
    }

    /// Kills what lives and removes what is there.
    fn remove(&self) {
        let begin = Instant::now();
        while let Some(eyes) = Eyes::open(&self.segment) {
            if kill_all(&eyes, &self.segment) || begin.elapsed() > Duration::from_secs(10) {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // What a test has removed itself is no error.
        let _ = self.command("clean", &[]).output();
        let _ = std::fs::remove_file(&self.segment);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("BRAID_TRANSCRIPT").is_some() {
            self.dump();
        }
        self.remove();
        self.reaper.dismiss();
    }
}

/// A `start` in the foreground; killed if the test ends before it does.
pub struct Foreground<'r> {
    run: &'r Run,
    running: Option<Running>,
}

impl Foreground<'_> {
    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        self.running.as_ref().expect("it runs").signal(signal);
    }

    /// What it has said so far, on both streams.
    pub fn said(&self) -> [String; 2] {
        self.running.as_ref().expect("it runs").said()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Answer {
        let mut running = self.running.take().expect("it runs");
        let answer = running
            .finish(PATIENCE)
            .unwrap_or_else(|killed| panic!("start did not end\n{killed}"));
        self.run.note(&answer.to_string());
        assert!(!answer.err.contains("panicked"), "a panic\n{answer}");
        answer
    }
}

impl Drop for Foreground<'_> {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let (Ok(answer) | Err(answer)) = running.finish(Duration::ZERO);
            self.run.note(&answer.to_string());
        }
    }
}

/// Kills whoever lives; true when nobody did.
fn kill_all(eyes: &Eyes, segment: &Path) -> bool {
    let mut living = eyes.everybody();
    living.extend(newborns(segment));
    living.iter().for_each(Certain::kill);
    living.is_empty()
}

/// A name that no other run on this machine has.
fn unique(test: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!(
        "test-{}-{}-{test}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    )
}

fn folder_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("braid-{name}"))
}
