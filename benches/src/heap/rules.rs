//! What an event does, for the models that are compared.

use super::HeapOutbox;
use shm_layout::record::TimedEvent;
use torus_worker::models::{Tally, Visits};

/// A model, one event at a time. The events of one cell and tick come one after the other, by source and then payload,
/// and draw from one stream.
pub trait Rule {
    /// State of a process.
    type Cell: Copy;

    /// Executes an event at a cell, which may have a process.
    fn execute(&self, process: Option<&mut Self::Cell>, event: &TimedEvent, out: &mut HeapOutbox<'_>);
}

/// `cascade`: along every edge; positive payloads shorten the delay, others lengthen it.
#[derive(Clone, Copy, Debug)]
pub struct CascadeRule;

impl Rule for CascadeRule {
    type Cell = Visits;

    #[inline]
    fn execute(&self, process: Option<&mut Visits>, event: &TimedEvent, out: &mut HeapOutbox<'_>) {
        if let Some(visits) = process {
            visits.handled += 1;
        }
        let received = event.payload as i32;
        for index in 0..out.links.len() {
            let delay = out.links[index].delay;
            let delay = if received > 0 {
                delay.saturating_sub(1).max(1)
            } else {
                delay.saturating_add(1)
            };
            out.send(index, delay, i64::from(received.wrapping_add(1)));
        }
    }
}

/// `phold` on one torus: one random edge, a random delay.
#[derive(Clone, Copy, Debug)]
pub struct PholdRule {
    /// Out-edges of each cell.
    pub degree: u32,
    /// Delays are uniform from 1 to this many ticks.
    pub max_delay: u32,
}

impl Rule for PholdRule {
    type Cell = Tally;

    #[inline]
    fn execute(&self, process: Option<&mut Tally>, event: &TimedEvent, out: &mut HeapOutbox<'_>) {
        let received = event.payload as i32;
        if let Some(tally) = process {
            tally.handled = tally.handled.wrapping_add(1);
            tally.folded = tally.folded.rotate_left(5) ^ received as u32;
        }
        let draw = out.stream.draw();
        let delay = 1 + scale(draw as u32, self.max_delay);
        let index = scale((draw >> 32) as u32, self.degree);
        out.send(index as usize, delay, i64::from(received.wrapping_add(1)));
    }
}

/// A 32-bit draw scaled to 0 to `bound` − 1.
#[inline]
fn scale(draw: u32, bound: u32) -> u32 {
    ((u64::from(draw) * u64::from(bound)) >> 32) as u32
}
