//! The corrective response of `phold`: its population of events, and of processes, goes up and down.

use crate::model::{Corrector, KernelError};
use bytemuck::Pod;

/// Adds events (or withdraws the soonest ones, for a negative `step`). New ones are spread at random over all cells, with
/// delays uniform from 1 to `max_delay`; their payload, which counts hops, is 0. There are never more than `most` in
/// the end: a constraint beyond what the model is made for stays violated, and the torus goes on.
pub(super) fn change_events<C: Pod>(torus: &mut Corrector<'_, C>, step: i64, max_delay: u32, most: u64) {
    if step < 0 {
        return torus.withdraw(step.unsigned_abs());
    }
    let cells = u64::from(torus.world().lattice.cells());
    let added = most.saturating_sub(torus.pending()).min(step.unsigned_abs());
    for _ in 0..added {
        let cell = torus.draw_below(cells) as u32;
        let delay = 1 + torus.draw_below(max_delay.into()) as u32;
        torus.emit(cell, delay, 0);
    }
}

/// Spawns processes in the lowest cells that have none, or retires those in the highest that have one.
pub(super) fn change_processes<C: Pod>(torus: &mut Corrector<'_, C>, step: i64) -> Result<(), KernelError> {
    let cells = torus.world().lattice.cells();
    let mut left = step.unsigned_abs();
    let mut rest = 0..cells;
    while left > 0 {
        let next = if step > 0 { rest.next() } else { rest.next_back() };
        let Some(cell) = next else { break };
        let changed = if step > 0 {
            torus.spawn(cell, C::zeroed())?
        } else {
            torus.retire(cell)
        };
        left -= u64::from(changed);
    }
    Ok(())
}

/// How many more events make the event rate (per 1000 ticks) higher by `step`, if each is executed once in half of
/// `twice_mean_delay` ticks; rounded away from zero.
pub(super) fn events_for_rate(step: i64, twice_mean_delay: u64) -> i64 {
    let events = (u128::from(step.unsigned_abs()) * u128::from(twice_mean_delay)).div_ceil(2000);
    let events = i64::try_from(events).unwrap_or(i64::MAX);
    if step < 0 { -events } else { events }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_takes_as_many_events_as_are_executed_in_a_mean_delay() {
        // 1000 events per 1000 ticks more, each executed every 32.5 ticks.
        assert_eq!(events_for_rate(1000, 65), 33);
        assert_eq!(events_for_rate(-1000, 65), -33);
        assert_eq!(events_for_rate(1, 2), 1);
        assert_eq!(events_for_rate(0, 65), 0);
        assert_eq!(events_for_rate(i64::MIN, u64::MAX), -i64::MAX);
    }
}
