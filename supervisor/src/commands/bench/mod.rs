//! `bench`: measures what Braid promises, on this machine and with this very binary.
//!
//! What runs in one process and what runs between two is measured by the baselines crate; what a braid does is measured on
//! real runs, each with a name of its own and removed afterwards, also on Ctrl-C. Contestants take turns; a figure is the
//! median of several rounds, and what counts is its ratio to something else that was measured in the same rounds.

mod braid;
mod comparators;
mod exchange;
pub mod guard;
mod interrupt;
mod kernel;
mod machine;
mod memory;
mod plots;
mod recovery;
mod report;
mod ring;
mod runs;
mod sampling;
mod sweep;
mod turns;

use std::path::PathBuf;

use crate::cli::{BenchArgs, BenchPart};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;

use interrupt::Interrupt;
use machine::Machine;
use report::{Report, Section};
use runs::Workshop;

/// What every part needs.
struct Bench {
    quick: bool,
    interrupt: Interrupt,
    workshop: Workshop,
}

impl Bench {
    /// Says what comes next.
    fn progress(&self, text: &str) {
        output::message(&format!("bench: {text}"));
    }

    /// One of two numbers, by how thoroughly to measure.
    fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<Exit, CommandError> {
    let bench = Bench {
        quick: args.quick,
        interrupt: Interrupt::watch()?,
        workshop: Workshop::new()?,
    };
    check_outputs(args)?;
    let to_stdout = args.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let machine = Machine::look();
    if !to_stdout {
        output::data_line(&machine.in_words());
    }
    let mut report = Report::new(args.quick, machine);
    for part in args.part.parts() {
        let section = measure(&bench, part)?;
        if !to_stdout {
            output::data(&section.table());
        }
        report.sections.push(section);
    }
    report.load_after = machine::load();
    finish(args, &report, to_stdout)
}

fn measure(bench: &Bench, part: BenchPart) -> Result<Section, CommandError> {
    match part {
        BenchPart::Kernel => kernel::measure(bench),
        BenchPart::Ring => ring::measure(bench),
        BenchPart::Braid => braid::measure(bench),
        BenchPart::Recovery => recovery::measure(bench),
        BenchPart::Memory => memory::measure(bench),
        BenchPart::All => unreachable!("`parts` has resolved it"),
    }
}

/// What could not be written is said before anything is measured.
fn check_outputs(args: &BenchArgs) -> Result<(), CommandError> {
    if let Some(folder) = &args.plots {
        std::fs::create_dir_all(folder).map_err(|error| {
            CommandError::system(format!("create the folder {}", folder.display()), error)
        })?;
    }
    match &args.json {
        Some(path) if path.as_os_str() != "-" => write_file(path, ""),
        _ => Ok(()),
    }
}

fn write_file(path: &PathBuf, text: &str) -> Result<(), CommandError> {
    std::fs::write(path, text)
        .map_err(|error| CommandError::system(format!("write {}", path.display()), error))
}

fn finish(args: &BenchArgs, report: &Report, to_stdout: bool) -> Result<Exit, CommandError> {
    if let Some(folder) = &args.plots {
        let plots = report.sections.iter().flat_map(|section| &section.plots);
        for plot in plots {
            plots::draw(plot, folder)?;
        }
    }
    match &args.json {
        Some(_) if to_stdout => output::json(&report.json()),
        Some(path) => write_file(path, &format!("{:#}\n", report.json()))?,
        None => {}
    }
    if !to_stdout {
        output::data(&report.verdict());
    }
    Ok(Exit::Done)
}
