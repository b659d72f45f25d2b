//! One torus of a braid: the kernel, the models, the protocol core and the worker process around it.
#![deny(unsafe_code)]
mod constraint;
pub mod kernel;
pub mod model;
pub mod models;
pub mod parameters;
pub mod random;
pub mod script;

pub mod in_process;
pub mod journal;
pub mod member;
pub mod node;
pub mod process;
pub mod rebuild;
pub mod setup;

/// Hash of the running binary, by which a run knows its own workers again; `None` if it cannot be read.
pub fn build_hash() -> Option<u64> {
    std::fs::read("/proc/self/exe")
        .ok()
        .map(|bytes| shm_layout::hash::bytes(&bytes))
}
