//! Running on processor time that nobody else wants.

use std::io;

/// From here on this process runs only where a processor would otherwise idle (SCHED_IDLE); where the system does not
/// have that, at the lowest priority.
///
/// # Errors
/// What setpriority(2) reports when neither can be had.
pub fn use_spare_time_only() -> io::Result<()> {
    // SAFETY: a parameter block of zeros is the one that SCHED_IDLE takes.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the call reads the block, which lives until it returns; 0 is this process.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    if set == 0 {
        return Ok(());
    }
    // SAFETY: the call takes plain numbers.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_wants_spare_time_only_still_runs() {
        // Of this thread alone: what 0 names is the caller.
        let ran = std::thread::spawn(|| {
            use_spare_time_only().expect("every user may lower a priority");
            (0..1000_u64).sum::<u64>()
        });
        assert_eq!(ran.join().expect("it does not panic"), 499_500);
    }
}
