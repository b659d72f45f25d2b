//! The arguments of a worker process. They come from the supervisor, not from people.

use std::ffi::OsString;
use std::path::PathBuf;

use shm_layout::torus::Torus;

/// The first argument that makes a binary act as a worker.
pub const WORKER_FLAG: &str = "--braid-worker";

/// What a worker binary is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Describe,
    Run(Run),
    /// Prepare to run any torus of this segment.
    StandBy(PathBuf),
    Scrub(Scrub),
    Verify(Verify),
}

/// Run one torus.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub segment: PathBuf,
    pub torus: Torus,
    pub incarnation: u64,
}

/// Audit a run while it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scrub {
    pub segment: PathBuf,
}

/// Execute a run again and compare.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verify {
    pub segment: PathBuf,
    pub json: bool,
}

const USAGE: &str = "this is a Braid worker: the supervisor starts it as `PROGRAM --braid-worker describe`, \
                     `… run --segment PATH --torus A|B|C --incarnation N`, `… stand-by --segment PATH`, \
                     `… scrub --segment PATH` or `… verify --segment PATH [--json]`; \
                     start a run with it by `braid-supervisor start --worker PROGRAM`";

pub(super) fn parse(arguments: &[OsString]) -> Result<Command, String> {
    let mut words = arguments.iter();
    let flag = words.next().and_then(|word| word.to_str());
    if flag != Some(WORKER_FLAG) {
        return Err(USAGE.to_owned());
    }
    let command = words
        .next()
        .and_then(|word| word.to_str())
        .unwrap_or_default()
        .to_owned();
    let (mut segment, mut torus, mut incarnation, mut json) = (None, None, None, false);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--segment") => segment = words.next().map(PathBuf::from),
            Some("--torus") => torus = words.next().and_then(|w| w.to_str()).and_then(Torus::from_letter),
            Some("--incarnation") => incarnation = words.next().and_then(|w| w.to_str()?.parse().ok()),
            Some("--json") => json = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    match (command.as_str(), segment, torus, incarnation) {
        ("describe", None, None, None) => Ok(Command::Describe),
        ("run", Some(segment), Some(torus), Some(incarnation)) => Ok(Command::Run(Run {
            segment,
            torus,
            incarnation,
        })),
        ("stand-by", Some(segment), None, None) if !json => Ok(Command::StandBy(segment)),
        ("scrub", Some(segment), None, None) if !json => Ok(Command::Scrub(Scrub { segment })),
        ("verify", Some(segment), None, None) => Ok(Command::Verify(Verify { segment, json })),
        _ => Err(USAGE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn every_command_is_understood() {
        assert_eq!(parsed("--braid-worker describe"), Ok(Command::Describe));
        let run = Run {
            segment: "/dev/shm/s".into(),
            torus: Torus::B,
            incarnation: 3,
        };
        assert_eq!(
            parsed("--braid-worker run --segment /dev/shm/s --torus B --incarnation 3"),
            Ok(Command::Run(run))
        );
        assert_eq!(
            parsed("--braid-worker scrub --segment s"),
            Ok(Command::Scrub(Scrub { segment: "s".into() }))
        );
        let verify = Verify {
            segment: "s".into(),
            json: true,
        };
        assert_eq!(
            parsed("--braid-worker verify --segment s --json"),
            Ok(Command::Verify(verify))
        );
    }

    #[test]
    fn anything_else_gets_the_usage() {
        for line in [
            "",
            "run",
            "--braid-worker",
            "--braid-worker run --segment s",
            "--braid-worker run --torus D",
        ] {
            assert_eq!(parsed(line), Err(USAGE.to_owned()), "{line}");
        }
    }
}
