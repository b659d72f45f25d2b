//! What Braid's speed is measured against, and the measurements: used by `cargo bench` and by `braid-supervisor bench`.
//!
//! Everything but [`cross`] runs in one process and one thread. Contestants of one comparison do the same work in turns, in
//! short rounds; a comparison is the median of the rounds' ratios (see [`rounds`]).

#[cfg(feature = "comparators")]
pub mod comparators;
pub mod cross;
pub mod figure;
pub mod floor;
pub mod heap;
pub mod kernel;
pub mod loads;
pub mod rounds;
