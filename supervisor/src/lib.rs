//! The watchdog and the command line.
#![deny(unsafe_code)]
/// Runs the command line.
pub fn main() -> std::process::ExitCode { std::process::ExitCode::SUCCESS }
