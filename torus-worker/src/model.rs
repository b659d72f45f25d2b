//! What a model is: the trait that a simulation implements and a torus runs.

pub use crate::constraint::{ConstraintKind, Deviation};
pub use crate::kernel::{Corrector, Edge, KernelError, Outbox, Place, Setup, Site, World};
pub use crate::parameters::{ParameterError, ParameterSpec, Parameters};
pub use shm_layout::record::Event;

/// How the shared faces of the three tori act on one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupling {
    /// Not at all.
    None,
    /// Each face cell moves a part of the way towards the projected value.
    Convex,
    /// Face cells exchange amounts of a conserved quantity: who applies +x sends −x to the same cell of the
    /// projecting torus.
    Conserved,
}

/// The capacities that a model needs by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityHint {
    /// Pending events per torus.
    pub pending: u32,
    /// Edges per torus.
    pub edges: u32,
    /// Events that one torus sends to one peer in one interval.
    pub remote_per_interval: u32,
}

/// A simulation model. It must be a pure function of what it is given: no clock, no randomness but
/// [`Outbox::draw`], no state outside the cells.
pub trait Model: Sized + 'static {
    /// The name by which a run chooses it.
    const NAME: &'static str;
    /// One line about it.
    const ABOUT: &'static str;
    /// How the tori's shared faces act on one another.
    const COUPLING: Coupling = Coupling::None;

    /// The state of the process in a cell: plain bytes, all zero when spawned without a state.
    type Cell: bytemuck::Pod;

    /// The parameters it declares.
    fn parameters() -> &'static [ParameterSpec] {
        &[]
    }

    /// The model with these parameters on one torus of this world.
    ///
    /// # Errors
    /// A value that does not fit.
    fn new(parameters: &Parameters, world: &World) -> Result<Self, ParameterError>;

    /// The capacities it needs by default.
    fn capacity(&self, world: &World) -> CapacityHint;

    /// Spawns the processes, creates the edges and schedules the first events of one torus.
    ///
    /// # Errors
    /// What does not fit into the torus.
    fn set_up(&self, setup: &mut Setup<'_, Self>) -> Result<(), KernelError> {
        let _ = setup;
        Ok(())
    }

    /// Handles all events that are due at one tick in one cell, sorted by source and then payload.
    fn handle(&self, site: &mut Site<'_, Self::Cell>, bag: &[Event], out: &mut Outbox<'_>);

    /// The value by which a process shows at the face of its torus.
    fn boundary_value(&self, process: &Self::Cell) -> i32 {
        let _ = process;
        0
    }

    /// The constraints that the model sets on this torus at the start: kind, value and tolerance of each. They bind all
    /// tori, as those that `constrain` sets.
    fn constraints(&self, world: &World) -> Vec<(ConstraintKind, i64, u64)> {
        let _ = world;
        Vec::new()
    }

    /// Answers the deviation from a constraint at a boundary: with corrective events for the torus's own cells, with
    /// processes spawned or retired, with pending events withdrawn. Called once for each kind from which the torus
    /// deviates by more than half of the tolerance.
    ///
    /// A response as large as [`Deviation::step`] cannot oscillate.
    ///
    /// # Errors
    /// What does not fit into the torus, which then stops.
    fn correct(
        &self,
        deviation: &Deviation,
        torus: &mut Corrector<'_, Self::Cell>,
    ) -> Result<(), KernelError> {
        let _ = (deviation, torus);
        Ok(())
    }

    /// The amount of the conserved quantity in a process.
    fn conserved_in_cell(&self, process: &Self::Cell) -> i64 {
        let _ = process;
        0
    }

    /// The amount of the conserved quantity that an event carries.
    fn conserved_in_event(&self, event: &Event) -> i64 {
        let _ = event;
        0
    }
}
