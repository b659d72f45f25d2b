//! `migrate`: moves a process to another torus, and waits until it has arrived or was refused.

use std::time::Instant;

use serde::Serialize;
use shm_layout::region::ReaderSegment;
use shm_layout::segment::SegmentFile;
use shm_layout::torus::Torus;
use torus_worker::kernel::{Lattice, Place};
use torus_worker::node::command::Command;
use torus_worker::node::migrate::{Outcome, Result as End};

use super::commit::Commit;
use super::kill::check_torus;
use super::send::send;
use crate::cli::MigrateArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::start::draft::random_run_id;
use crate::target::Target;

/// What came of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Moved {
    schema_version: u32,
    from: PlaceReport,
    to: PlaceReport,
    /// The boundary that took the command in.
    requested: u64,
    /// The boundary at which the process lived in its new place.
    arrived: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct PlaceReport {
    torus: char,
    cell: [u32; 3],
}

/// Runs the command.
pub fn run(args: &MigrateArgs) -> Result<Exit, CommandError> {
    let begin = Instant::now();
    let file = Target::of(&args.target)?.open()?;
    check_torus(&file, args.from)?;
    check_torus(&file, args.to)?;
    if args.from == args.to {
        return Err(CommandError::Usage(format!(
            "the process is to move from torus {0} to torus {0}; name another one",
            args.from
        )));
    }
    let lattice =
        Lattice::new(file.config().sides).map_err(|error| CommandError::Failed(error.to_string()))?;
    let [x, y, z] = args.cell;
    let migration = Migration {
        commit: Commit {
            file: &file,
            begin,
            limit: args.timeout,
        },
        file: &file,
        lattice,
        from: Place {
            torus: args.from,
            cell: lattice.cell(x, y, z),
        },
        to: args.to,
    };
    tell(args, &migration.execute()?);
    Ok(Exit::Done)
}

struct Migration<'a> {
    commit: Commit<'a>,
    file: &'a SegmentFile,
    lattice: Lattice,
    from: Place,
    to: Torus,
}

impl Migration<'_> {
    fn execute(&self) -> Result<Moved, CommandError> {
        // A number that no other command has; 0 would ask for no outcome.
        let ticket = random_run_id()?.max(1);
        let command = Command::Migrate {
            cell: self.from.cell,
            to: self.to,
            ticket,
        };
        let taken = send(&self.commit, self.from.torus, command.entry(self.from.torus))?;
        let map = self.file.map_reader().map_err(CommandError::Segment)?;
        let views = map.views();
        let outcome = self.outcome(&views, ticket, taken.boundary)?;
        let (to, arrives) = match outcome.result {
            End::Moves { to, arrives } => (to, arrives),
            End::Refused(refusal) => {
                let place = self.name(self.from);
                return Err(CommandError::Failed(format!(
                    "the process at {place} does not move to torus {}: {refusal}",
                    self.to
                )));
            }
        };
        let arrives_at = format!("the process left for {} and has not arrived yet", self.name(to));
        self.commit.until(&arrives_at, || {
            let target = views.regions.get(to.torus.index());
            Ok(target.filter(|region| region.ring.head() > arrives).map(|_| ()))
        })?;
        Ok(Moved {
            schema_version: 1,
            from: self.report(self.from),
            to: self.report(to),
            requested: taken.boundary,
            arrived: arrives,
        })
    }

    /// What the source's committed state says of the command. It is remembered until sixteen later ones have ended.
    fn outcome(
        &self,
        views: &ReaderSegment<'_>,
        ticket: u64,
        requested: u64,
    ) -> Result<Outcome, CommandError> {
        let decided = requested + 2 * u64::from(self.file.config().lag);
        self.commit.until("the process had not left; it may still", || {
            let Some(region) = views.regions.get(self.from.torus.index()) else {
                return Ok(None);
            };
            // In this order: an outcome is shown after the frame that decides it.
            let is_late = region.status.boundary() > decided + 1;
            match region.status.migration_outcome(ticket).and_then(Outcome::from_words) {
                Some(outcome) => Ok(Some(outcome)),
                None if is_late => Err(CommandError::Failed(format!(
                    "what became of the process at {} is no longer remembered: more than sixteen others were asked to move \
                     since; `status` counts them",
                    self.name(self.from)
                ))),
                None => Ok(None),
            }
        })
    }

    fn report(&self, place: Place) -> PlaceReport {
        PlaceReport {
            torus: place.torus.letter(),
            cell: self.lattice.coordinates(place.cell),
        }
    }

    fn name(&self, place: Place) -> String {
        name(self.report(place))
    }
}

fn name(place: PlaceReport) -> String {
    let [x, y, z] = place.cell;
    format!("{}:{x},{y},{z}", place.torus)
}

fn tell(args: &MigrateArgs, moved: &Moved) {
    if args.json {
        return output::json(moved);
    }
    let (from, to) = (name(moved.from), name(moved.to));
    output::data_line(&format!("{from} lives at {to} since boundary {}", moved.arrived));
}
