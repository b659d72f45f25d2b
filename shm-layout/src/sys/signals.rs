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
