//! From a configuration to a torus at boundary 0: the state that stands for "checkpoint 0" of every run.

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;

use crate::kernel::{Kernel, KernelError, Lattice, LatticeError, World};
use crate::model::{Model, ParameterError, Parameters};
use crate::node::Node;
use crate::node::coupling::Gain;
use crate::script::{Script, ScriptError};

/// Why a configuration does not describe a torus.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The sides do not make a lattice.
    #[error(transparent)]
    Lattice(#[from] LatticeError),
    /// A parameter does not fit the model.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The script does not fit.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The first state does not fit into the capacities.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// The surroundings of one torus of a run.
///
/// # Errors
/// [`SetupError::Lattice`].
pub fn world(config: &RunConfig, torus: Torus) -> Result<World, SetupError> {
    Ok(World {
        torus,
        tori: config.tori,
        lattice: Lattice::new(config.sides)?,
        interval: config.interval,
        lag: config.lag,
        seed: config.seed,
    })
}

/// The gain of a run: the configured one, or the model's default at this lag. Checked when the run is configured.
pub fn gain<M: Model>(config: &RunConfig) -> Gain {
    match config.gain {
        Some((numerator, denominator)) => Gain {
            numerator,
            denominator,
        },
        None => Gain::default_for(M::COUPLING, config.lag),
    }
}

/// The script of a run, parsed.
///
/// # Errors
/// [`SetupError::Script`], with the line.
pub fn script(config: &RunConfig) -> Result<Option<Script>, SetupError> {
    let Some(text) = &config.script else {
        return Ok(None);
    };
    let script = Script::parse("the run's script", text)?;
    script.check_for_start(config.tori)?;
    Ok(Some(script))
}

/// One torus with an empty lattice, for a checkpoint to be loaded into.
///
/// # Errors
/// [`SetupError`] if the configuration does not describe one.
pub fn empty_node<M: Model>(config: &RunConfig, torus: Torus) -> Result<Node<M>, SetupError> {
    let world = world(config, torus)?;
    let kernel = Kernel::new(model(config, &world)?, world, config.capacity)?;
    Ok(Node::new(kernel, torus, config, gain::<M>(config)))
}

/// The same in the memory of a kernel of the same run, of whichever torus.
///
/// # Errors
/// As [`empty_node`].
pub fn empty_node_in<M: Model>(
    kernel: Kernel<M>,
    config: &RunConfig,
    torus: Torus,
) -> Result<Node<M>, SetupError> {
    let world = world(config, torus)?;
    let kernel = kernel.into_torus(model(config, &world)?, world);
    Ok(Node::new(kernel, torus, config, gain::<M>(config)))
}

fn model<M: Model>(config: &RunConfig, world: &World) -> Result<M, ParameterError> {
    let parameters = Parameters::resolve(M::NAME, M::parameters(), &config.parameters)?;
    M::new(&parameters, world)
}

/// Puts what the model and the script say into an empty torus.
///
/// # Errors
/// [`SetupError`] if it does not fit.
pub fn fill<M: Model>(config: &RunConfig, node: &mut Node<M>) -> Result<(), SetupError> {
    node.kernel_mut().set_up()?;
    node.constrain_by_model();
    if let Some(script) = script(config)? {
        script.apply(node.kernel_mut())?;
    }
    Ok(())
}

/// One torus at boundary 0.
///
/// # Errors
/// [`SetupError`] if the configuration does not describe one.
pub fn node<M: Model>(config: &RunConfig, torus: Torus) -> Result<Node<M>, SetupError> {
    let mut node = empty_node(config, torus)?;
    fill(config, &mut node)?;
    Ok(node)
}
