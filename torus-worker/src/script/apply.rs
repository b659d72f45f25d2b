//! A script as the set-up of a run.

use super::{Command, Coordinates, Line, Script, ScriptError};
use crate::kernel::{Edge, Kernel, KernelError, Lattice, Place};
use crate::model::Model;
use bytemuck::Zeroable;
use shm_layout::record::{Source, TimedEvent};
use shm_layout::torus::Torus;

impl Coordinates {
    /// The cell's number on a lattice.
    pub fn cell(&self, lattice: &Lattice) -> u32 {
        let [x, y, z] = self.xyz;
        lattice.cell(x, y, z)
    }

    fn place(&self, lattice: &Lattice) -> Place {
        Place {
            torus: self.torus,
            cell: self.cell(lattice),
        }
    }
}

impl Command {
    /// The first torus named that a run with `tori` of them does not have.
    fn beyond(&self, tori: u8) -> Option<Torus> {
        let named = match *self {
            Command::Process(at) => [at.torus; 2],
            Command::Edge { from, to, .. } | Command::Inject { from, to, .. } => [from.torus, to.torus],
            Command::RunUntil(_) | Command::Dump => return None,
        };
        named.into_iter().find(|torus| torus.index() >= usize::from(tori))
    }
}

impl Script {
    /// Checks that the script can set up a run with this many tori.
    ///
    /// # Errors
    /// A torus that the run does not have; `run_until` and `dump`, which only `run-script` knows.
    pub fn check_for_start(&self, tori: u8) -> Result<(), ScriptError> {
        self.check_tori(tori)?;
        for &Line { number, command } in &self.lines {
            let command = match command {
                Command::RunUntil(_) => "run_until",
                Command::Dump => "dump",
                _ => continue,
            };
            return Err(ScriptError::OnlyRunScript {
                file: self.file.clone(),
                line: number,
                command,
            });
        }
        Ok(())
    }

    pub(super) fn check_tori(&self, tori: u8) -> Result<(), ScriptError> {
        for &Line { number, command } in &self.lines {
            if let Some(torus) = command.beyond(tori) {
                return Err(ScriptError::NoSuchTorus {
                    file: self.file.clone(),
                    line: number,
                    torus,
                    tori,
                });
            }
        }
        Ok(())
    }

    /// Sets up one torus: the processes, edges and events of the script that belong to it. Events are due at the time of
    /// its last executed event, which is 0 at first.
    ///
    /// # Errors
    /// What the torus refuses, and `run_until` and `dump`.
    pub fn apply<M: Model>(&self, kernel: &mut Kernel<M>) -> Result<(), ScriptError> {
        self.check_for_start(kernel.world().tori)?;
        for line in &self.lines {
            self.apply_line(line, kernel)?;
        }
        kernel.pack_edges();
        Ok(())
    }

    pub(super) fn apply_line<M: Model>(
        &self,
        line: &Line,
        kernel: &mut Kernel<M>,
    ) -> Result<(), ScriptError> {
        let lattice = kernel.world().lattice;
        let own = kernel.world().torus;
        match line.command {
            Command::Process(at) if at.torus == own => kernel.spawn(at.cell(&lattice), M::Cell::zeroed()),
            Command::Edge { from, to, delay } if from.torus == own => kernel.connect(
                from.cell(&lattice),
                Edge {
                    to: to.place(&lattice),
                    delay,
                },
            ),
            Command::Inject { to, from, payload } if to.torus == own => kernel.schedule(TimedEvent {
                time: kernel.last_time(),
                dst: to.cell(&lattice),
                src: Source::model(own, from.cell(&lattice)),
                payload: i64::from(payload),
            }),
            _ => Ok(()),
        }
        .map_err(|error| self.refused(line, error))
    }

    pub(super) fn refused(&self, line: &Line, error: KernelError) -> ScriptError {
        ScriptError::Refused {
            file: self.file.clone(),
            line: line.number,
            error,
        }
    }
}
