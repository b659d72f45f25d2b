//! `cascade`: every event runs along every out-edge and adapts its delay. The reference rule of the project.

use crate::model::{
    CapacityHint, Coupling, Event, Model, Outbox, ParameterError, ParameterSpec, Parameters, Site, World,
};
use bytemuck::{Pod, Zeroable};

/// The model `cascade`. What it runs on comes from a script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cascade;

/// A process of `cascade`: it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Visits {
    /// Events handled here while the process lives.
    pub handled: u64,
}

impl Model for Cascade {
    const NAME: &'static str = "cascade";
    const ABOUT: &'static str =
        "Every event runs along all out-edges of its cell; positive ones shorten them, others lengthen them";
    const COUPLING: Coupling = Coupling::None;
    type Cell = Visits;

    fn parameters() -> &'static [ParameterSpec] {
        &[]
    }

    fn new(_parameters: &Parameters, _world: &World) -> Result<Self, ParameterError> {
        Ok(Cascade)
    }

    fn capacity(&self, _world: &World) -> CapacityHint {
        CapacityHint {
            pending: 1 << 16,
            edges: 1 << 16,
            remote_per_interval: 1 << 12,
        }
    }

    #[inline(always)]
    fn handle(&self, site: &mut Site<'_, Visits>, bag: &[Event], out: &mut Outbox<'_>) {
        if let Some(visits) = site.process() {
            visits.handled += bag.len() as u64;
        }
        for event in bag {
            // The payload is a 32-bit number and wraps.
            let payload = i64::from((event.payload as i32).wrapping_add(1));
            let shortens = event.payload as i32 > 0;
            for index in 0..out.out_degree() {
                let delay = out.edge(index).delay;
                let delay = if shortens {
                    delay.saturating_sub(1).max(1)
                } else {
                    delay.saturating_add(1)
                };
                out.send(index, delay, payload);
            }
        }
    }

    fn boundary_value(&self, process: &Visits) -> i32 {
        // A face shows the low 31 bits of the count.
        (process.handled & 0x7fff_ffff) as i32
    }
}
