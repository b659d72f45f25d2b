//! `stand-by`: a process that prepares everything but the choice of a torus, and waits to be told which it is.
//!
//! It has attached to the segment, resolved the model, and rehearsed a rehydration, so the code and the memory that one
//! touches are present; the memory is used again for the torus that it will be. It holds no lock and writes nothing. The supervisor tells it through its standard input which
//! worker it is from then on; if that closes, it ends.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use shm_layout::names;
use shm_layout::segment::SegmentFile;
use shm_layout::standby::{ORDER_BYTES, Order};
use shm_layout::sys::{clock, slice};
use shm_layout::torus::Torus;

use crate::journal::FileJournal;
use crate::member::{Member, Vessel};
use crate::model::Model;

use super::budget::Timekeeper;
use super::registry::{ModelEntry, find};
use super::run::{self, Context, Failure, exit_code};

pub(super) fn main(models: &[ModelEntry], segment: &Path) -> ExitCode {
    run::set_signals();
    run::touch_program();
    // Whoever is started to take over a torus says more; the supervisor only counts those that cannot stand by.
    let Ok(file) = SegmentFile::open(segment) else {
        return ExitCode::from(exit_code::FAILED);
    };
    match find(models, &file.config().model) {
        Ok(entry) => (entry.stand_by)(file),
        Err(_) => ExitCode::from(exit_code::FAILED),
    }
}

/// Rehearses, waits for the order, and runs the torus that it names.
pub(super) fn stand_by<M: Model>(file: SegmentFile) -> ExitCode {
    let Ok(vessel) = rehearse::<M>(&file) else {
        return ExitCode::from(exit_code::FAILED);
    };
    // It is to run at once when it is told, and to share the processors as all workers do from then on. Where the system
    // refuses, it is told a little later.
    let _ = slice::shorten();
    let Some(Order { torus, incarnation }) = await_order(std::io::stdin()) else {
        return ExitCode::from(exit_code::FINISHED);
    };
    let started_ns = clock::monotonic_ns();
    let _ = slice::restore();
    let context = Context {
        file,
        torus,
        incarnation,
        started_ns,
    };
    run::report(run::run_in(&context, vessel), torus, incarnation)
}

/// The order; none if the supervisor has gone without giving one.
fn await_order(mut input: impl Read) -> Option<Order> {
    let mut bytes = [0; ORDER_BYTES];
    input.read_exact(&mut bytes).ok()?;
    Order::from_bytes(&bytes)
}

/// Reads torus A's state as a successor would, and keeps the memory for whichever torus it will be; none if what was read
/// while A's worker wrote did not make sense.
fn rehearse<M: Model>(file: &SegmentFile) -> Result<Option<Vessel<M>>, Failure> {
    let (config, torus) = (file.config(), Torus::A);
    let map = file.map_worker(torus)?;
    let journal = FileJournal::open(&names::journal_path(config, torus), config, torus)?;
    let member = Member::rehydrate(map.views(), config, torus, journal, Timekeeper::default(), 0);
    Ok(member.ok().map(Member::into_vessel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_ends_too_early_is_none() {
        let order = Order {
            torus: Torus::B,
            incarnation: 3,
        };
        let bytes = order.to_bytes();
        assert_eq!(await_order(&bytes[..]), Some(order));
        assert_eq!(await_order(&bytes[..15]), None);
        assert_eq!(await_order(&[][..]), None);
    }
}
