//! Time slices: how soon a thread that wakes up gets a processor on which somebody computes.
//!
//! The scheduler gives each thread a share of the time in slices, of about 3 ms by default, and one that wakes up may have
//! to wait until the slice of another has been used up. A thread that asks for short slices gets no more time, but gets
//! it sooner (Linux 6.12; before that the request has no effect). Programs that it starts inherit that.

use std::io;

/// The shortest slice that the kernel grants.
const SHORTEST_NS: u64 = 100_000;

/// From here on this thread has the shortest slices: for threads that mostly wait, and have little to do when they wake up.
///
/// # Errors
/// What sched_setattr(2) reports.
pub fn shorten() -> io::Result<()> {
    set(SHORTEST_NS)
}

/// From here on this thread has the slices that all threads have: for one that computes.
///
/// # Errors
/// As [`shorten`].
pub fn restore() -> io::Result<()> {
    set(0)
}

fn set(slice_ns: u64) -> io::Result<()> {
    // Whoever chose another policy for this process knows why; 0 is this thread.
    // SAFETY: the call takes plain numbers.
    if unsafe { libc::sched_getscheduler(0) } != libc::SCHED_OTHER {
        return Ok(());
    }
    // SAFETY: a block of zeros is a valid one.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    attributes.size = size_of::<libc::sched_attr>() as u32;
    attributes.sched_policy = libc::SCHED_OTHER as u32;
    // SAFETY: getpriority takes plain numbers; 0 is this thread, whose priority stays as it is.
    attributes.sched_nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    attributes.sched_runtime = slice_ns;
    // SAFETY: the call reads the block, which lives until it returns; 0 is this thread.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_shortened_and_restored() {
        // Of this thread alone: what 0 names is the caller.
        let thread = std::thread::spawn(|| {
            shorten().expect("every thread of the default policy may");
            restore().expect("and may go back");
        });
        thread.join().expect("it does not panic");
    }
}
