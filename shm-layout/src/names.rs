//! Where runs keep their things: from a run's name to its segment, journals and log, and back.
//!
//! Each run has a folder of its own name in the state directory, with `journal.A`, `journal.B`, `journal.C`, `log`, and,
//! if the segment was put elsewhere with `--segment`, a symbolic link `segment` to it. Otherwise the segment is
//! `/dev/shm/braid-NAME`. A segment that is being built has the suffix `.new-PID`; one whose creator died is a leftover.

use crate::config::{RunConfig, valid_name};
use crate::torus::Torus;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PREFIX: &str = "braid-";
const LINK: &str = "segment";
const DEFAULT_SHM: &str = "/dev/shm";

/// Why no place for a run can be named.
#[derive(Debug, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the fields are the offending values that the message quotes"
)]
pub enum NameError {
    /// No environment variable says where the state directory is.
    #[error(
        "none of BRAID_STATE_DIR, XDG_STATE_HOME and HOME is set, so there is no place for journals; set one"
    )]
    NoStateDirectory,
    /// Not a run's name.
    #[error(
        "\"{name}\" is not a run's name: 1 to 64 letters, digits, '.', '_' or '-', not beginning with '.' or '-'"
    )]
    Invalid { name: String },
    /// What the system reports.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// The directories that names are looked up in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    shm: PathBuf,
    state: PathBuf,
}

/// A run that left something: a segment, a folder, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// Its name.
    pub name: String,
    /// Its segment, if there is one.
    pub segment: Option<PathBuf>,
    /// Its folder in the state directory, if there is one.
    pub folder: Option<PathBuf>,
}

/// A segment that was being built when its creator died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The name of the run that it should have become.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The process that was building it.
    pub pid: u32,
}

/// All that [`Names::list`] finds.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Listing {
    /// Runs, sorted by name.
    pub runs: Vec<RunEntry>,
    /// Leftovers of dead creators, sorted by path.
    pub leftovers: Vec<Leftover>,
}

/// The journal of a torus, in the folder that the configuration names.
pub fn journal_path(config: &RunConfig, torus: Torus) -> PathBuf {
    Path::new(&config.journal_dir).join(format!("journal.{torus}"))
}

/// The log of a run, in the folder that the configuration names.
pub fn log_path(config: &RunConfig) -> PathBuf {
    Path::new(&config.journal_dir).join("log")
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NameError {
    let path = path.to_owned();
    move |source| NameError::Io { action, path, source }
}

/// The state directory that the environment names.
fn state_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    path("BRAID_STATE_DIR")
        .or_else(|| path("XDG_STATE_HOME").map(|home| home.join("braid")))
        .or_else(|| path("HOME").map(|home| home.join(".local/state/braid")))
}

/// Splits `NAME.new-PID`.
fn temporary(name: &str) -> Option<(&str, u32)> {
    let (name, pid) = name.rsplit_once(".new-")?;
    Some((name, pid.parse().ok()?))
}

impl Names {
    /// The directories that the environment names: `$BRAID_STATE_DIR`, else `$XDG_STATE_HOME/braid`, else
    /// `$HOME/.local/state/braid`; and `$BRAID_SHM_DIR`, else /dev/shm.
    ///
    /// # Errors
    /// [`NameError::NoStateDirectory`].
    pub fn from_environment() -> Result<Names, NameError> {
        let state = state_directory(|name| std::env::var_os(name)).ok_or(NameError::NoStateDirectory)?;
        let shm = std::env::var_os("BRAID_SHM_DIR").filter(|value| !value.is_empty());
        Ok(Names {
            shm: shm.map_or_else(|| DEFAULT_SHM.into(), PathBuf::from),
            state,
        })
    }

    /// These directories.
    pub fn new(shm: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Names {
        Names {
            shm: shm.into(),
            state: state.into(),
        }
    }

    /// The state directory.
    pub fn state_directory(&self) -> &Path {
        &self.state
    }

    /// The folder of a run.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Where a run's segment is without `--segment`.
    pub fn default_segment(&self, name: &str) -> PathBuf {
        self.shm.join(format!("{PREFIX}{name}"))
    }

    /// Where a run's segment is: where the link in its folder points to, else [`Names::default_segment`]. Says nothing
    /// about whether it exists.
    ///
    /// # Errors
    /// [`NameError::Invalid`].
    pub fn segment(&self, name: &str) -> Result<PathBuf, NameError> {
        if !valid_name(name) {
            return Err(NameError::Invalid {
                name: name.to_owned(),
            });
        }
        Ok(self.link(name).unwrap_or_else(|| self.default_segment(name)))
    }

    fn link(&self, name: &str) -> Option<PathBuf> {
        fs::read_link(self.folder(name).join(LINK)).ok()
    }

    /// Makes the run's folder (mode 0700) and, for a segment put elsewhere, the link to it; an old link is replaced.
    /// Returns the folder.
    ///
    /// # Errors
    /// [`NameError::Invalid`], [`NameError::Io`].
    pub fn create_folder(&self, name: &str, segment: Option<&Path>) -> Result<PathBuf, NameError> {
        self.segment(name)?;
        let folder = self.folder(name);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(io_error("create the folder", &folder))?;
        let link = folder.join(LINK);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("replace", &link)(error));
            }
            _ => {}
        }
        if let Some(segment) = segment {
            let target = std::path::absolute(segment).map_err(io_error("name", segment))?;
            symlink(target, &link).map_err(io_error("create the link", &link))?;
        }
        Ok(folder)
    }

    /// Removes the run's folder with journals, log and link. The segment is not touched. A folder that does not exist is
    /// no error.
    ///
    /// # Errors
    /// [`NameError::Invalid`], [`NameError::Io`].
    pub fn remove_folder(&self, name: &str) -> Result<(), NameError> {
        self.segment(name)?;
        let folder = self.folder(name);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", &folder)(error)),
            _ => Ok(()),
        }
    }

    /// All runs that left something, and the leftovers of dead creators.
    ///
    /// # Errors
    /// [`NameError::Io`] if a directory exists but cannot be read.
    pub fn list(&self) -> Result<Listing, NameError> {
        let mut runs: BTreeMap<String, RunEntry> = BTreeMap::new();
        let mut leftovers = Vec::new();
        let entry = |name: &str| RunEntry {
            name: name.to_owned(),
            segment: None,
            folder: None,
        };
        for file in file_names(&self.shm)? {
            let Some(name) = file.strip_prefix(PREFIX) else {
                continue;
            };
            if let Some((target, pid)) = temporary(name) {
                leftovers.extend(self.leftover(self.shm.join(&file), target, pid));
            } else if valid_name(name) {
                runs.entry(name.to_owned()).or_insert_with(|| entry(name)).segment =
                    Some(self.shm.join(&file));
            }
        }
        for name in file_names(&self.state)?
            .into_iter()
            .filter(|name| valid_name(name))
        {
            let folder = self.folder(&name);
            if !folder.is_dir() {
                continue;
            }
            let link = self.link(&name);
            if let Some(target) = &link {
                leftovers.extend(self.leftovers_beside(target, &name));
            }
            let run = runs.entry(name.clone()).or_insert_with(|| entry(&name));
            run.segment = link.filter(|path| path.exists()).or(run.segment.take());
            run.folder = Some(folder);
        }
        leftovers.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Listing {
            runs: runs.into_values().collect(),
            leftovers,
        })
    }

    /// The temporary file as a leftover, unless its creator is still at it: it holds the run lock, or has only just
    /// made the file and is about to take it. (A pid alone proves nothing: it may be another process's by now.)
    fn leftover(&self, path: PathBuf, name: &str, pid: u32) -> Option<Leftover> {
        let age = fs::metadata(&path)
            .ok()?
            .modified()
            .ok()?
            .elapsed()
            .unwrap_or_default();
        let just_made = age < Duration::from_secs(10) && Path::new(&format!("/proc/{pid}")).exists();
        let at_work = just_made || crate::segment::in_use(&path).unwrap_or(true);
        (!at_work).then(|| Leftover {
            name: name.to_owned(),
            path,
            pid,
        })
    }

    /// Leftovers of a segment that was put elsewhere.
    fn leftovers_beside(&self, segment: &Path, name: &str) -> Vec<Leftover> {
        let (Some(folder), Some(file)) = (
            segment.parent(),
            segment.file_name().and_then(|file| file.to_str()),
        ) else {
            return Vec::new();
        };
        let beside = file_names(folder).unwrap_or_default();
        let own = beside.into_iter().filter_map(|other| {
            let (target, pid) = temporary(&other)?;
            (target == file).then(|| self.leftover(folder.join(&other), name, pid))?
        });
        own.collect()
    }
}

/// The names in a directory; none if it does not exist. Names that are not UTF-8 are none of ours.
fn file_names(directory: &Path) -> Result<Vec<String>, NameError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", directory)(error)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(test: &str) -> (PathBuf, Names) {
        let root = std::env::temp_dir().join(format!("braid-names-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("shm")).expect("temporary directory");
        let names = Names::new(root.join("shm"), root.join("state"));
        (root, names)
    }

    #[test]
    fn the_state_directory_follows_the_environment() {
        type Variables = &'static [(&'static str, &'static str)];
        let state = |variables: Variables| {
            state_directory(|name| {
                variables
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| value.into())
            })
        };
        assert_eq!(
            state(&[("BRAID_STATE_DIR", "/b"), ("HOME", "/h")]),
            Some("/b".into())
        );
        assert_eq!(
            state(&[("BRAID_STATE_DIR", ""), ("XDG_STATE_HOME", "/x")]),
            Some("/x/braid".into())
        );
        assert_eq!(state(&[("HOME", "/h")]), Some("/h/.local/state/braid".into()));
        assert_eq!(state(&[]), None);
    }

    #[test]
    fn a_name_finds_its_segment_wherever_it_was_put() {
        let (root, names) = scratch("find");
        assert_eq!(names.segment("one").expect("valid"), root.join("shm/braid-one"));
        names
            .create_folder("one", Some(&root.join("disk/one.seg")))
            .expect("created");
        assert_eq!(names.segment("one").expect("valid"), root.join("disk/one.seg"));
        names.create_folder("one", None).expect("created");
        assert_eq!(names.segment("one").expect("valid"), root.join("shm/braid-one"));
        for bad in ["", "a/b", "..", "-x", "x.new-12"] {
            assert!(
                matches!(names.segment(bad), Err(NameError::Invalid { .. })),
                "{bad}"
            );
        }
        fs::remove_dir_all(root).expect("ours");
    }

    #[test]
    fn runs_and_leftovers_are_listed() {
        let (root, names) = scratch("list");
        let (dead, alive) = (0x3fff_ffff, std::process::id());
        let elsewhere = root.join("elsewhere.seg");
        let files = ["shm/braid-a", "shm/other", "elsewhere.seg"].map(String::from);
        let temporary = [
            format!("shm/braid-a.new-{dead}"),
            format!("shm/braid-b.new-{alive}"),
        ];
        let beside = format!("elsewhere.seg.new-{dead}");
        for file in files.iter().chain(&temporary).chain([&beside]) {
            fs::write(root.join(file), b"x").expect("written");
        }
        names.create_folder("a", None).expect("created");
        names.create_folder("c", Some(&elsewhere)).expect("created");
        names.create_folder("gone", None).expect("created");
        let listing = names.list().expect("listed");
        let runs: Vec<_> = listing
            .runs
            .iter()
            .map(|run| (run.name.as_str(), run.segment.is_some()))
            .collect();
        assert_eq!(runs, [("a", true), ("c", true), ("gone", false)]);
        let leftovers: Vec<_> = listing
            .leftovers
            .iter()
            .map(|left| (left.name.as_str(), left.pid))
            .collect();
        assert_eq!(leftovers, [("c", dead), ("a", dead)]);
        names.remove_folder("a").expect("removed");
        names.remove_folder("a").expect("nothing to remove");
        assert!(!names.folder("a").exists());
        fs::remove_dir_all(root).expect("ours");
    }
}
