//! What makes three tori one system: what they take over from one another, hold, and agree on, in real processes.

#[path = "../support/mod.rs"]
mod support;

mod absence;
mod adaptive;
mod commands;
mod conservation;
mod functional;
mod self_correction;

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
