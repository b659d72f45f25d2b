//! `describe`: the supervisor sends the draft of a configuration, the worker answers with what becomes of it.
//!
//! Only the worker knows its models, so it resolves their parameters, capacities and sizes, and refuses what does not
//! fit before anything is created.

use std::io::Read;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use shm_layout::config::{Capacity, RunConfig};
use shm_layout::torus::Torus;

use crate::model::{Coupling, Model, Parameters};
use crate::node::settling::cycles_to_rest;
use crate::node::{checkpoint, coupling};
use crate::script::Script;
use crate::setup;

use super::registry::{ModelEntry, find};

/// The version of the protocol between the supervisor and a worker binary.
pub const PROTOCOL: u32 = 1;

/// What the supervisor asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DescribeRequest {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The draft: capacities of 0, a gain of `None` and `tolerance_given == false` stand for the model's defaults.
    pub draft: RunConfig,
    /// Whether `draft.tolerance` was given.
    pub tolerance_given: bool,
}

/// What the worker answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DescribeAnswer {
    /// [`PROTOCOL`]; also what makes the answer recognisable.
    pub braid_worker: u32,
    /// The version of the torus-worker library.
    pub version: String,
    /// XXH3 of the binary.
    pub build_hash: u64,
    /// All models of the binary.
    pub models: Vec<ModelDescription>,
    /// The completed configuration, or why it is refused, as a sentence.
    pub outcome: Result<Description, String>,
}

/// One model, for help texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The name.
    pub name: String,
    /// One line about it.
    pub about: String,
    /// Name, default and meaning of each parameter.
    pub parameters: Vec<(String, String, String)>,
}

/// What becomes of a draft.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// The parameters, complete and sorted.
    pub parameters: Vec<(String, String)>,
    /// The capacities, complete.
    pub capacity: Capacity,
    /// The largest packed checkpoint in bytes.
    pub checkpoint_bytes: u64,
    /// The gain of the coupling.
    pub gain: (u32, u32),
    /// The tolerance of the coupling.
    pub tolerance: u32,
    /// Cycles after which coupled faces come to rest: see [`RunConfig::rest_cycles`].
    pub rest_cycles: Option<u64>,
}

/// How far apart the faces are whose cycles to rest are shown.
pub const FACES_APART: i64 = 1_000_000;

pub(super) fn main(models: &[ModelEntry]) -> ExitCode {
    let mut text = String::new();
    let request = std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot read the request: {error}"));
    let request = request.and_then(|_| {
        serde_json::from_str::<DescribeRequest>(&text)
            .map_err(|error| format!("the request is not understood: {error}"))
    });
    let outcome = request.and_then(|request| answer(models, request));
    let answer = DescribeAnswer {
        braid_worker: PROTOCOL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build_hash: crate::build_hash().unwrap_or(0),
        models: models.iter().map(describe_model).collect(),
        outcome,
    };
    match serde_json::to_string(&answer) {
        Ok(json) => println!("{json}"),
        Err(error) => eprintln!("cannot write the answer: {error}"),
    }
    ExitCode::SUCCESS
}

fn answer(models: &[ModelEntry], request: DescribeRequest) -> Result<Description, String> {
    if request.protocol != PROTOCOL {
        return Err(format!(
            "this worker speaks protocol {PROTOCOL}, the supervisor speaks {}",
            request.protocol
        ));
    }
    let mut draft = request.draft;
    let entry = find(models, &draft.model)?;
    if !request.tolerance_given {
        draft.tolerance = u32::MAX;
    }
    (entry.describe)(&draft)
}

fn describe_model(entry: &ModelEntry) -> ModelDescription {
    let parameters = (entry.parameters)().iter();
    ModelDescription {
        name: entry.name.to_owned(),
        about: entry.about.to_owned(),
        parameters: parameters
            .map(|p| (p.name.to_owned(), p.default.to_owned(), p.meaning.to_owned()))
            .collect(),
    }
}

/// Completes a draft for one model; a tolerance of `u32::MAX` stands for the default.
pub(super) fn describe<M: Model>(draft: &RunConfig) -> Result<Description, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let parameters =
        Parameters::resolve(M::NAME, M::parameters(), &draft.parameters).map_err(|e| text(&e))?;
    let world = setup::world(draft, Torus::A).map_err(|e| text(&e))?;
    let model = M::new(&parameters, &world).map_err(|e| text(&e))?;
    let script = setup::script(draft).map_err(|e| text(&e))?;
    let gain = setup::gain::<M>(draft)
        .check(M::COUPLING, draft.lag)
        .map_err(|e| text(&e))?;
    let tolerance = match draft.tolerance {
        u32::MAX => coupling::least_tolerance(M::COUPLING, draft.lag),
        given => coupling::check_tolerance(given, M::COUPLING, draft.lag).map_err(|e| text(&e))?,
    };
    let hint = model.capacity(&world);
    let or = |given: u32, default: u32| if given == 0 { default } else { given };
    let most = |count: fn(&Script, Torus) -> usize| {
        let counts = script
            .iter()
            .flat_map(|script| Torus::ALL.map(|torus| count(script, torus)));
        u32::try_from(counts.max().unwrap_or(0)).unwrap_or(u32::MAX)
    };
    let (edges, events) = (most(Script::edges), most(Script::injections));
    let exchange = if M::COUPLING == Coupling::Conserved {
        world.lattice.face_cells()
    } else {
        0
    };
    let capacity = Capacity {
        pending: or(
            draft.capacity.pending,
            hint.pending
                .max(events.saturating_mul(4))
                .max(edges.saturating_mul(4)),
        ),
        edges: or(draft.capacity.edges, hint.edges.max(edges)),
        remote_per_interval: or(
            draft.capacity.remote_per_interval,
            hint.remote_per_interval + exchange,
        ),
        ..draft.capacity
    };
    let mut complete = RunConfig {
        parameters: parameters.pairs(),
        capacity,
        ..draft.clone()
    };
    complete.tolerance = tolerance;
    for torus in Torus::ALL.into_iter().take(draft.tori.into()) {
        setup::node::<M>(&complete, torus).map_err(|e| format!("torus {torus}: {}", text(&e)))?;
    }
    Ok(Description {
        parameters: complete.parameters,
        capacity,
        checkpoint_bytes: checkpoint::words_max::<M>(&world, &capacity) as u64 * 8,
        gain: (gain.numerator, gain.denominator),
        tolerance,
        rest_cycles: cycles_to_rest(M::COUPLING, gain, draft.lag, FACES_APART, tolerance)
            .filter(|_| draft.tori > 1),
    })
}
