//! Commands of the supervisor's lane in random order: constraints set and removed, processes sent to other tori, and
//! entries that are no command.

use shm_layout::config::{OnLoss, RunConfig};
use shm_layout::record::LaneEntry;
use shm_layout::torus::Torus;
use torus_worker::model::ConstraintKind;
use torus_worker::node::command::Command;
use torus_worker::node::constraints::owned_by;

use crate::random::Random;

/// A command for a torus of a small run, with values that its model can reach; now and then an entry that is none.
pub fn random(random: &mut Random, torus: Torus, config: &RunConfig) -> LaneEntry {
    // Events for absent tori come back later, and a rate that cannot be reached makes the population grow without end.
    let kinds = match config.on_loss {
        OnLoss::Wait => &ConstraintKind::ALL[..],
        OnLoss::Degrade => &ConstraintKind::ALL[1..],
    };
    let kind = kinds[random.below(kinds.len() as u64) as usize];
    let own: Vec<usize> = owned_by(torus).collect();
    let entry = own[random.below(own.len() as u64) as usize];
    let command = match random.below(10) {
        0 => {
            return LaneEntry {
                kind: 4711,
                ..Command::ReleaseKind(kind).entry(torus)
            };
        }
        1 => Command::ReleaseKind(kind),
        2 => Command::ReleaseEntry(entry),
        3 | 4 => Command::Migrate {
            cell: random.below(64) as u32,
            to: Torus::ALL[random.below(3) as usize],
            ticket: 1 + random.below(1000),
        },
        choice => Command::Constrain {
            entry: (choice == 5).then_some(entry),
            kind,
            value: value(random, kind, config),
            tolerance: random.below(20),
        },
    };
    command.entry(torus)
}

fn value(random: &mut Random, kind: ConstraintKind, config: &RunConfig) -> i64 {
    match kind {
        // Events hop slowly where the intervals adapt.
        ConstraintKind::EventRate if config.adaptive => 300 + random.below(900) as i64,
        ConstraintKind::EventRate => 3000 + random.below(9000) as i64,
        ConstraintKind::Pending => 20 + random.below(80) as i64,
        ConstraintKind::Active => random.below(64) as i64,
        ConstraintKind::Invariant => random.below(200_000) as i64 - 100_000,
    }
}
