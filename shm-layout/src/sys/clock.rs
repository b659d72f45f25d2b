//! Clocks: two that all processes of a machine share, and one of the calling thread.

use std::time::Duration;

fn read(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for a timespec.
    let result = unsafe { libc::clock_gettime(clock, &raw mut now) };
    debug_assert_eq!(result, 0, "these clocks exist on every Linux");
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// CLOCK_MONOTONIC: time since boot; the same in every process.
pub fn monotonic() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// [`monotonic`] in nanoseconds.
pub fn monotonic_ns() -> u64 {
    nanoseconds(monotonic())
}

/// CLOCK_THREAD_CPUTIME_ID: nanoseconds for which this thread has had a processor. A system call, unlike the others.
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(read(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// CLOCK_REALTIME: nanoseconds since 1970, for people; never for measuring.
pub fn realtime_ns() -> u64 {
    nanoseconds(read(libc::CLOCK_REALTIME))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_monotonic_clock_advances() {
        let first = super::monotonic_ns();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(super::monotonic_ns() >= first + 1_000_000);
        assert!(super::realtime_ns() > 1_600_000_000_000_000_000);
    }
}
