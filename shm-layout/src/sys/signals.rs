//! Signals that a process takes no notice of.

/// SIGINT: what a terminal sends for Ctrl-C.
pub const INTERRUPT: i32 = libc::SIGINT;
/// SIGHUP: what a terminal sends when it goes away.
pub const HANG_UP: i32 = libc::SIGHUP;

/// Ignores these signals from now on. The disposition is inherited by programs that this process starts, unless they are
/// started by [`super::spawn::spawn`], which sets the defaults.
pub fn ignore(signals: &[i32]) {
    for signal in signals {
        // SAFETY: `SIG_IGN` runs no code of this process.
        unsafe {
            libc::signal(*signal, libc::SIG_IGN);
        }
    }
}

/// SIGSEGV and SIGBUS: access to memory that is not there, or not to be written.
pub const MEMORY_FAULTS: [i32; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Gives these signals their default disposition again. Rust's runtime catches memory faults to report stack overflows; one
/// that is sent by another process would be swallowed the first time.
pub fn restore_default(signals: &[i32]) {
    for signal in signals {
        // SAFETY: `SIG_DFL` runs no code of this process.
        unsafe {
            libc::signal(*signal, libc::SIG_DFL);
        }
    }
}
