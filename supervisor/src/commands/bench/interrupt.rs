//! Ctrl-C during a measurement: noticed between two looks, so that everything is cleaned up on the way out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::CommandError;

/// How long a sleep goes on without a look.
const SLICE: Duration = Duration::from_millis(10);

/// Whether somebody wants this to end.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over the signals that ask a process to end.
    pub fn watch() -> Result<Interrupt, CommandError> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, asked.clone())
                .map_err(|error| CommandError::system("watch for signals", error))?;
        }
        Ok(Interrupt(asked))
    }

    /// An error once somebody wants this to end.
    pub fn check(&self) -> Result<(), CommandError> {
        // Ordering: none needed; the flag guards no other data.
        if self.0.load(Ordering::Relaxed) {
            return Err(CommandError::Failed(
                "interrupted; the runs of the measurement are removed".to_owned(),
            ));
        }
        Ok(())
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) -> Result<(), CommandError> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}
