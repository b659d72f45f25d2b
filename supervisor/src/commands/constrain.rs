//! `constrain`: sets or removes a constraint on one torus, from where it binds all; or lists what binds.

use std::time::Instant;

use serde::Serialize;
use shm_layout::frame::{CONSTRAINTS, Frame};
use shm_layout::segment::SegmentFile;
use shm_layout::torus::Torus;
use torus_worker::node::command::Command;
use torus_worker::node::constraints::{owned_by, owner};

use super::commit::Commit;
use super::kill::check_torus;
use super::send::{TakenIn, send};
use crate::cli::ConstrainArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::report::collect;
use crate::report::constraints::{listing, reports};
use crate::target::Target;

/// What came of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Outcome {
    schema_version: u32,
    torus: char,
    /// The boundary that took the command in.
    boundary: u64,
    /// The boundary at which it binds all tori at the latest.
    binding_at: u64,
    /// The entry that was set; null for a removal.
    entry: Option<usize>,
}

/// Runs the command.
pub fn run(args: &ConstrainArgs) -> Result<Exit, CommandError> {
    let begin = Instant::now();
    let file = Target::of(&args.target)?.open()?;
    let Some(torus) = args.torus.filter(|_| !args.list) else {
        return list(&file, args);
    };
    check_torus(&file, torus)?;
    let command = command(args, torus)?;
    let commit = Commit {
        file: &file,
        begin,
        limit: args.timeout,
    };
    let taken = send(&commit, torus, command.entry(torus))?;
    let entry = outcome_of(&command, torus, &taken)?;
    let config = file.config();
    tell(
        args,
        &Outcome {
            schema_version: 1,
            torus: torus.letter(),
            boundary: taken.boundary,
            binding_at: binding_at(torus, config.tori, config.lag, taken.boundary),
            entry,
        },
    );
    Ok(Exit::Done)
}

/// What the options ask for.
fn command(args: &ConstrainArgs, torus: Torus) -> Result<Command, CommandError> {
    check_entry(args, torus)?;
    if args.remove {
        return match (args.entry, args.kind) {
            (Some(entry), _) => Ok(Command::ReleaseEntry(entry)),
            (None, Some(kind)) => Ok(Command::ReleaseKind(kind)),
            (None, None) => Err(CommandError::Usage(
                "constrain --remove needs a --kind or an --entry".to_owned(),
            )),
        };
    }
    match (args.kind, args.value, args.tolerance) {
        (Some(kind), Some(value), Some(tolerance)) => Ok(Command::Constrain {
            entry: args.entry,
            kind,
            value,
            tolerance,
        }),
        _ => Err(CommandError::Usage(
            "constrain needs a --kind, a --value and a --tolerance".to_owned(),
        )),
    }
}

fn check_entry(args: &ConstrainArgs, torus: Torus) -> Result<(), CommandError> {
    let Some(entry) = args
        .entry
        .filter(|entry| owned_by(torus).all(|own| own != *entry))
    else {
        return Ok(());
    };
    let own: Vec<String> = owned_by(torus).map(|own| own.to_string()).collect();
    let whose = if entry < CONSTRAINTS {
        format!("entry {entry} is torus {}'s", owner(entry))
    } else {
        format!("there is no entry {entry}")
    };
    Err(CommandError::Usage(format!(
        "{whose}; torus {torus} sets entries {}",
        own.join(", ")
    )))
}

/// The entry that was set. The torus leaves a command aside that finds no empty one; its frame shows that.
fn outcome_of(command: &Command, torus: Torus, taken: &TakenIn) -> Result<Option<usize>, CommandError> {
    let Command::Constrain {
        kind,
        value,
        tolerance,
        ..
    } = *command
    else {
        return Ok(None);
    };
    let holds = |frame: &Frame, entry: usize| {
        let found = frame.constraint(entry);
        (found.kind, found.value, found.tolerance) == (kind as u64, value, tolerance)
    };
    let entry = match &taken.frame {
        Some(frame) => owned_by(torus).find(|entry| holds(frame, *entry)),
        None => None,
    };
    entry.map(Some).ok_or_else(|| {
        CommandError::Failed(format!(
            "torus {torus} took the command in at boundary {} and did not set it: its {} entries are used up; `constrain \
             --list` shows them, `constrain {torus} --remove` frees one",
            taken.boundary,
            owned_by(torus).count()
        ))
    })
}

/// The boundary at which a change binds all tori at the latest: the next projection of its torus, taken in L later.
fn binding_at(torus: Torus, tori: u8, lag: u32, boundary: u64) -> u64 {
    if tori == 1 {
        return boundary + 1;
    }
    let turn = (boundary..).find(|interval| interval % 3 == torus.index() as u64);
    turn.unwrap_or(boundary) + u64::from(lag)
}

fn list(file: &SegmentFile, args: &ConstrainArgs) -> Result<Exit, CommandError> {
    let report = collect::collect(file)?;
    if args.json {
        output::json(&reports(&report));
    } else {
        output::data(&listing(&report));
    }
    Ok(Exit::Done)
}

fn tell(args: &ConstrainArgs, outcome: &Outcome) {
    if args.json {
        return output::json(outcome);
    }
    let Outcome {
        torus,
        boundary,
        binding_at,
        ..
    } = outcome;
    let what = match outcome.entry {
        Some(entry) => format!("entry {entry} set"),
        None => "removed".to_owned(),
    };
    output::data_line(&format!(
        "{torus} boundary {boundary} {what}, for all tori from boundary {binding_at} on"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_binds_all_within_a_cycle_and_the_lag() {
        for torus in Torus::ALL {
            for boundary in 0..20 {
                let all = binding_at(torus, 3, 2, boundary);
                assert!((boundary + 2..=boundary + 4).contains(&all));
                assert_eq!((all - 2) % 3, torus.index() as u64);
            }
        }
        assert_eq!(binding_at(Torus::A, 1, 2, 7), 8);
    }
}
