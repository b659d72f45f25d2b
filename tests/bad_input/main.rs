//! Bad input: every case has its exit code, a message that says what was wrong, where, and what to do, and loses nothing.

#[path = "../support/mod.rs"]
mod support;

mod injections;
mod options;
mod places;
mod scripts;
mod segments;
mod workers;

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
