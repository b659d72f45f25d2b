//! Where a new run puts its things, and what stands there already.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use shm_layout::config::RunConfig;
use shm_layout::control::RunState;
use shm_layout::names::{Names, journal_path, log_path};
use shm_layout::segment::{SegmentError, SegmentFile};
use shm_layout::torus::Torus;
use torus_worker::journal::FileJournal;

use super::rules::{Life, Standing};
use crate::cli::StartArgs;
use crate::error::CommandError;
use crate::life;
use crate::start::draft;
use crate::target::{self, absolute};

/// What is put behind a segment's path to name the folder of its journals.
const JOURNALS: &str = ".journals";

/// The places of a run.
#[derive(Debug, Clone)]
pub struct Place {
    names: Names,
    name: String,
    segment: PathBuf,
    elsewhere: bool,
}

/// What stands at a place.
pub struct Found {
    /// The segment, if there is one.
    pub file: Option<SegmentFile>,
    /// Who of it is alive.
    pub life: Life,
    /// How far it got.
    pub standing: Standing,
}

impl Place {
    /// The places for these options.
    ///
    /// # Errors
    /// A usage error for a name that cannot be one; [`CommandError::Failed`] when the name belongs to a run whose segment
    /// is somewhere else.
    pub fn of(args: &StartArgs) -> Result<Place, CommandError> {
        let names = target::names()?;
        let name = draft::name(args).to_owned();
        let known = names.segment(&name)?;
        let segment = match &args.target.segment {
            Some(path) => absolute(path)?,
            None => known.clone(),
        };
        if segment != known && known.exists() {
            let known = known.display();
            return Err(CommandError::Failed(format!(
                "the name {name} belongs to the run in {known}; choose another --name, or clean that one"
            )));
        }
        let elsewhere = segment != names.default_segment(&name);
        Ok(Place {
            names,
            name,
            segment,
            elsewhere,
        })
    }

    /// The segment's path.
    pub fn segment(&self) -> &Path {
        &self.segment
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of journals and log: beside a segment that was put somewhere, else in the state directory.
    pub fn journal_dir(&self) -> PathBuf {
        if self.elsewhere {
            journals_beside(&self.segment)
        } else {
            self.names.folder(&self.name)
        }
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn prepare(&self) -> Result<(), CommandError> {
        self.check_folder()?;
        self.names
            .create_folder(&self.name, self.elsewhere.then_some(self.segment.as_path()))?;
        let folder = self.journal_dir();
        // The parents exist: the state directory by the line above, the segment's own folder by the check.
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(CommandError::system(
                format!("create the folder {}", folder.display()),
                error,
            )),
            _ => Ok(()),
        }
    }

    /// Whether the folder that the segment is to stand in exists: a misspelt one is not made.
    ///
    /// # Errors
    /// [`CommandError::Failed`] when it does not.
    pub fn check_folder(&self) -> Result<(), CommandError> {
        match self.segment.parent() {
            Some(folder) if !folder.is_dir() => Err(CommandError::Failed(format!(
                "there is no folder {} to put the segment in; create it, or choose another --segment",
                folder.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Removes the folders again, after a start that came to nothing. Whatever cannot be removed stays for `clean`.
    pub fn withdraw(&self) {
        if !self.segment.exists() {
            let _ = std::fs::remove_dir_all(self.journal_dir());
            let _ = self.names.remove_folder(&self.name);
        }
    }

    /// What stands there.
    ///
    /// # Errors
    /// When something stands there that is no usable segment.
    pub fn look(&self) -> Result<Found, CommandError> {
        let file = match SegmentFile::open(&self.segment) {
            Ok(file) => file,
            Err(SegmentError::NotFound { .. }) => {
                return Ok(Found {
                    file: None,
                    life: Life::Dead,
                    standing: Standing::Nothing,
                });
            }
            Err(error) => return Err(CommandError::Segment(error)),
        };
        let (life, standing) = (life::of(&file)?, standing(&file)?);
        Ok(Found {
            file: Some(file),
            life,
            standing,
        })
    }
}

/// The folder of the journals of a segment that was put somewhere.
pub fn journals_beside(segment: &Path) -> PathBuf {
    let mut path = segment.as_os_str().to_owned();
    path.push(JOURNALS);
    PathBuf::from(path)
}

/// How far the run in `file` got.
///
/// # Errors
/// When the segment cannot be read.
pub fn standing(file: &SegmentFile) -> Result<Standing, CommandError> {
    let map = file.map_reader().map_err(CommandError::Segment)?;
    Ok(match map.views().control.run_state() {
        Some(RunState::Finished) => Standing::Finished,
        Some(RunState::Stopped) => Standing::Stopped,
        _ => Standing::Unfinished,
    })
}

/// Opens the run's log for appending; `fresh` empties it first.
///
/// # Errors
/// When the system refuses.
pub fn open_log(config: &RunConfig, fresh: bool) -> Result<File, CommandError> {
    let path = log_path(config);
    let error = |error| CommandError::system(format!("open the log {}", path.display()), error);
    let log = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(error)?;
    if fresh {
        log.set_len(0).map_err(error)?;
    }
    Ok(log)
}

/// Makes empty journals, over those of an earlier run of the same name. The caller holds the new run's lock, and no
/// worker of it has been started.
///
/// # Errors
/// When the system refuses.
pub fn create_journals(config: &RunConfig) -> Result<(), CommandError> {
    for torus in Torus::of_run(config.tori) {
        FileJournal::create(&journal_path(config, *torus), config, *torus)
            .map_err(|error| CommandError::Failed(error.to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_lie_beside_a_segment_that_was_put_somewhere() {
        assert_eq!(
            journals_beside(Path::new("/data/run.seg")),
            Path::new("/data/run.seg.journals")
        );
        let names = Names::new("/dev/shm", "/state");
        let place = |segment: &str, elsewhere| Place {
            names: names.clone(),
            name: "hot".into(),
            segment: segment.into(),
            elsewhere,
        };
        assert_eq!(
            place("/data/x", true).journal_dir(),
            Path::new("/data/x.journals")
        );
        assert_eq!(
            place("/dev/shm/braid-hot", false).journal_dir(),
            Path::new("/state/hot")
        );
    }
}
