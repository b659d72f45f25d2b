//! The built-in models.

mod cascade;
mod heat;
mod phold;
mod population;

pub use cascade::{Cascade, Visits};
pub use heat::{Heat, Store};
pub use phold::{Phold, Tally};
