//! Which run a command is about: from `--name` and `--segment` to the segment, opened and verified.

use std::path::{Path, PathBuf};

use shm_layout::names::{NameError, Names};
use shm_layout::segment::{SegmentError, SegmentFile};

use crate::cli::TargetArgs;
use crate::error::CommandError;

/// Name of a run that is given none.
pub const DEFAULT_NAME: &str = "default";

/// A run as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The name, if one was given or nothing was.
    name: Option<String>,
    /// Where its segment is, or would be.
    segment: PathBuf,
}

impl Target {
    /// The run that the options name.
    ///
    /// # Errors
    /// A usage error for a name that cannot be one.
    pub fn of(args: &TargetArgs) -> Result<Target, CommandError> {
        match &args.segment {
            Some(path) => Ok(Target {
                name: args.name.clone(),
                segment: absolute(path)?,
            }),
            None => Target::named(args.name.as_deref().unwrap_or(DEFAULT_NAME)),
        }
    }

    /// The run of this name.
    ///
    /// # Errors
    /// As [`Target::of`].
    pub fn named(name: &str) -> Result<Target, CommandError> {
        let segment = names()?.segment(name)?;
        Ok(Target {
            name: Some(name.to_owned()),
            segment,
        })
    }

    /// Where the segment is, or would be.
    pub fn segment(&self) -> &Path {
        &self.segment
    }

    /// The run in words.
    pub fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("named {name}"),
            None => format!("in {}", self.segment.display()),
        }
    }

    /// Opens and verifies the segment.
    ///
    /// # Errors
    /// [`CommandError::NoSuchRun`]; a usage error when both a name and a segment were given and do not belong together;
    /// what is wrong with the segment.
    pub fn open(&self) -> Result<SegmentFile, CommandError> {
        let file = SegmentFile::open(&self.segment).map_err(|error| match error {
            SegmentError::NotFound { .. } => self.not_there(),
            error => CommandError::Segment(error),
        })?;
        match &self.name {
            Some(name) if *name != file.config().name => Err(CommandError::Usage(format!(
                "--name {name} was given, and {} holds the run named {}; give one of --name and --segment",
                self.segment.display(),
                file.config().name
            ))),
            _ => Ok(file),
        }
    }

    /// The error for a run that does not exist.
    pub fn not_there(&self) -> CommandError {
        CommandError::NoSuchRun {
            run: self.shown(),
            path: self.segment.clone(),
        }
    }
}

/// The path from the root, without looking at the file.
///
/// # Errors
/// When the current folder cannot be found, or the path is empty.
pub fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path)
        .map_err(|error| CommandError::Usage(format!("--segment {} is no path: {error}", path.display())))
}

/// The directories of runs, as the environment names them.
///
/// # Errors
/// When the environment names none.
pub fn names() -> Result<Names, CommandError> {
    Ok(Names::from_environment()?)
}

impl From<NameError> for CommandError {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Invalid { .. } => CommandError::Usage(error.to_string()),
            error => CommandError::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_goes_by_its_absolute_path() {
        let args = TargetArgs {
            name: None,
            segment: Some("here/../segment".into()),
        };
        let target = Target::of(&args).unwrap();
        assert!(target.segment().is_absolute());
        assert!(target.shown().starts_with("in /"));
    }

    #[test]
    fn a_run_that_is_not_there_is_exit_4() {
        let args = TargetArgs {
            name: None,
            segment: Some("/no/such/segment".into()),
        };
        let error = Target::of(&args).unwrap().open().unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::NoSuchRun);
        assert!(error.to_string().contains("/no/such/segment"), "{error}");
    }

    #[test]
    fn a_bad_name_is_a_usage_error() {
        let error = Target::named("../etc").unwrap_err();
        assert_eq!(error.exit(), crate::exit::Exit::Usage);
    }
}
