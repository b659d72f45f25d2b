//! Text to values and back: what a person types and what a person reads. Nothing here does I/O.

pub mod parse;
pub mod show;
