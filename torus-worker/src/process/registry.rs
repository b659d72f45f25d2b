//! The models of a worker binary: one entry each, with the generic code instantiated for it.

use std::process::ExitCode;

use shm_layout::config::RunConfig;
use shm_layout::segment::SegmentFile;

use crate::model::{Model, ParameterSpec};
use crate::models::{Cascade, Heat, Phold};

use super::describe::Description;
use super::{describe, run, scrub, standby, verify};

/// A model and the code that runs it.
#[derive(Clone, Copy)]
pub struct ModelEntry {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: fn() -> &'static [ParameterSpec],
    pub(super) describe: fn(&RunConfig) -> Result<Description, String>,
    pub(super) run: fn(&run::Context) -> Result<(), run::Failure>,
    pub(super) stand_by: fn(SegmentFile) -> ExitCode,
    pub(super) scrub: fn(&scrub::Context) -> Result<(), scrub::Failure>,
    pub(super) verify: fn(&verify::Context<'_>) -> ExitCode,
}

impl ModelEntry {
    /// The entry of a model.
    pub const fn of<M: Model>() -> Self {
        Self {
            name: M::NAME,
            about: M::ABOUT,
            parameters: M::parameters,
            describe: describe::describe::<M>,
            run: run::run::<M>,
            stand_by: standby::stand_by::<M>,
            scrub: scrub::scrub::<M>,
            verify: verify::verify::<M>,
        }
    }

    /// The model's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The models that Braid comes with.
pub const fn built_in() -> [ModelEntry; 3] {
    [
        ModelEntry::of::<Phold>(),
        ModelEntry::of::<Heat>(),
        ModelEntry::of::<Cascade>(),
    ]
}

/// The entry of this name.
pub(super) fn find<'m>(models: &'m [ModelEntry], name: &str) -> Result<&'m ModelEntry, String> {
    models.iter().find(|entry| entry.name == name).ok_or_else(|| {
        let known: Vec<_> = models.iter().map(|entry| entry.name).collect();
        format!(
            "there is no model {name:?} in this worker; it has {}",
            known.join(", ")
        )
    })
}
