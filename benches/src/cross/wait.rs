//! Waiting for another process by looking: the same for every contestant that shares memory.

use std::io;
use std::time::{Duration, Instant};

/// Looks between two times that the processor is given away, in case both processes share one.
const LOOKS: u32 = 4096;
/// After so long the other side is taken to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks until it is so.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when that takes so long that the other side must be gone.
#[inline]
pub fn until(mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    for _ in 0..LOOKS {
        if is_so() {
            return Ok(());
        }
        std::hint::spin_loop();
    }
    until_long(is_so)
}

#[cold]
fn until_long(mut is_so: impl FnMut() -> bool) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if is_so() {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        if begin.elapsed() > PATIENCE {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the other process does nothing any more",
            ));
        }
        std::thread::yield_now();
    }
}
