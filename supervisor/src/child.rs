//! Starting a child process together with the handle that names it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use shm_layout::sys::{pidfd::PidFd, spawn};

/// Starts `program` as [`spawn::spawn`] does, and opens its pidfd.
///
/// # Errors
/// What either reports. In any case no process is left then: one that was started without a handle is killed and reaped.
pub fn start<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    output: impl AsFd,
) -> io::Result<(u32, PidFd)> {
    start_with_input(program, arguments, File::open("/dev/null")?, output)
}

/// [`start`], with a file as the program's standard input.
///
/// # Errors
/// As [`start`].
pub fn start_with_input<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    input: impl AsFd,
    output: impl AsFd,
) -> io::Result<(u32, PidFd)> {
    let pid = spawn::spawn(program, arguments, input, output)?;
    // The process is our child and not reaped yet, so its number cannot be another's.
    handle_or_end(pid, PidFd::open(pid)).map(|pidfd| (pid, pidfd))
}

fn handle_or_end(pid: u32, opened: io::Result<PidFd>) -> io::Result<PidFd> {
    opened.inspect_err(|_| {
        // Pids fit, and a child that is not reaped cannot be missing.
        let pid = Pid::from_raw(pid as nix::libc::pid_t);
        let _ = kill(pid, Signal::SIGKILL);
        while waitpid(pid, None) == Err(Errno::EINTR) {}
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_without_a_handle_is_not_left_behind() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let pid = spawn::spawn(Path::new("/bin/sleep"), &["60"], &null, &null).unwrap();
        let refused = Err(io::Error::from_raw_os_error(nix::libc::EMFILE));
        let error = handle_or_end(pid, refused).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::EMFILE));
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "not even a zombie");
    }
}
