//! The life of a run as the command line shows it: beginning, names, adoption, hangs, capacities, ends, and what is left.

#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod beginnings;
mod capacity;
mod endings;
mod faults;
mod names;
mod nothing_left;
mod one_torus;
mod reports;
mod standby;

/// A small run without an end.
const ENDLESS: &[&str] = &[
    "--model",
    "phold",
    "-p",
    "remote=0.1",
    "-p",
    "population=64",
    "--sides",
    "8,8,8",
];

/// A small run that is soon over.
const SHORT: &[&str] = &[
    "--model",
    "phold",
    "-p",
    "remote=0.1",
    "-p",
    "population=64",
    "--sides",
    "8,8,8",
    "--until",
    "20000",
];
