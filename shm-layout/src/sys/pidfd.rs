//! pidfds: handles on processes that cannot come to mean another process (Linux 5.3).

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
}

/// A handle on one process. It becomes readable (poll) when the process is dead and its memory torn down.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

impl PidFd {
    /// A handle on the process that has this pid now. Whoever wants a certain process opens the handle first and checks
    /// afterwards that it is the one ([`super::process::alive_as`]): from here on it cannot change any more.
    ///
    /// # Errors
    /// `ESRCH` if there is no such process; `EMFILE` and the like.
    pub fn open(pid: u32) -> io::Result<PidFd> {
        let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
        // SAFETY: pidfd_open takes two integers and touches no memory of ours.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // The kernel hands out descriptors as non-negative ints, close-on-exec.
        let fd = fd as i32;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(PidFd { fd })
    }

    /// Sends a signal to exactly this process; 0 only asks whether it exists.
    ///
    /// # Errors
    /// `ESRCH` once it is dead; `EPERM` if it is not ours.
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        // SAFETY: the descriptor is open, and a null siginfo is allowed.
        let result = unsafe {
            let no_info = std::ptr::null::<libc::siginfo_t>();
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.as_raw_fd(),
                signal,
                no_info,
                0,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Whether the process has not ended yet. A zombie has ended.
    ///
    /// # Errors
    /// Whatever poll(2) reports.
    pub fn alive(&self) -> io::Result<bool> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut fds, PollTimeout::ZERO) {
                Ok(ready) => return Ok(ready == 0),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reaps the process if it is a child of ours and has ended. `None`: it has not ended, or it is not our child (or
    /// was reaped already), so that nobody can tell us its status.
    ///
    /// # Errors
    /// Whatever waitid(2) reports other than "not a child".
    pub fn wait(&self) -> io::Result<Option<ExitStatus>> {
        loop {
            match waitid(
                Id::PIDFd(self.fd.as_fd()),
                WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG,
            ) {
                Ok(WaitStatus::Exited(_, code)) => return Ok(Some(ExitStatus::Code(code))),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Some(ExitStatus::Signal(signal as i32))),
                Ok(_) | Err(Errno::ECHILD) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn ended(pidfd: &PidFd) -> ExitStatus {
        while pidfd.alive().expect("poll") {
            std::thread::yield_now();
        }
        pidfd.wait().expect("waitid").expect("a child that has ended")
    }

    #[test]
    #[allow(clippy::zombie_processes, reason = "the pidfd reaps")]
    fn a_killed_child_and_one_that_exits_are_told_apart() {
        let child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pidfd = PidFd::open(child.id()).expect("alive");
        assert_eq!(pidfd.wait().expect("waitid"), None);
        pidfd.send_signal(libc::SIGKILL).expect("alive");
        assert_eq!(ended(&pidfd), ExitStatus::Signal(libc::SIGKILL));
        assert!(pidfd.send_signal(0).is_err());
        assert_eq!(pidfd.wait().expect("reaped already"), None);
        let child = Command::new("sh").args(["-c", "exit 75"]).spawn().expect("sh");
        assert_eq!(
            ended(&PidFd::open(child.id()).expect("not reaped")),
            ExitStatus::Code(75)
        );
    }

    #[test]
    fn pids_that_name_no_process_are_errors() {
        assert!(PidFd::open(u32::MAX).is_err());
        assert!(PidFd::open(0x3fff_ffff).is_err());
    }
}
