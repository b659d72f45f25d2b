//! One run of a test's own: its name, its state directory, its processes, and everything that was done to it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::BRAID;
use super::command::{Answer, PATIENCE, Running};
use super::deeds::kill_all;
use super::eyes::Eyes;
use super::leftovers::processes_naming;
use super::reaper::Reaper;

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

    /// A copy of a program or script in its folder, which can be executed. Another process writes it: one that this
    /// process has open for writing, a child that another test is just starting would have open too, and it could not be
    /// executed ("text file busy").
    pub fn program(&self, name: &str, source: &Path) -> PathBuf {
        let path = self.folder.join(name);
        let mut install = Command::new("install");
        install.args(["-m", "755"]).arg(source).arg(&path);
        self.execute(install).exits(0);
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
