//! Starting a worker: `posix_spawn`, which costs the same however large the caller is, in a session of its own.
//!
//! The child gets one file as standard input, one as both outputs, an empty signal mask and default
//! dispositions. All descriptors that the caller opened are close-on-exec, so it inherits no lock. It has no
//! parent-death signal and no controlling terminal: it outlives its supervisor, and Ctrl-C does not reach it.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

fn environment() -> io::Result<Vec<CString>> {
    std::env::vars_os()
        .map(|(name, value)| {
            let mut pair = name.into_vec();
            pair.push(b'=');
            pair.extend_from_slice(value.as_bytes());
            CString::new(pair).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
        })
        .collect()
}

fn attributes() -> Result<PosixSpawnAttr, Errno> {
    let mut attributes = PosixSpawnAttr::init()?;
    // nix has no name for this flag.
    let own_session = PosixSpawnFlags::from_bits_retain(i32::from(libc::POSIX_SPAWN_SETSID));
    let signals = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_flags(own_session | signals)?;
    attributes.set_sigmask(&SigSet::empty())?;
    attributes.set_sigdefault(&SigSet::all())?;
    Ok(attributes)
}

/// Starts `program` with `arguments` (its own name is put first) and the caller's environment; it reads from `input`, and
/// both outputs go to `output`. Returns the pid of the child, which the caller has to reap.
///
/// # Errors
/// What posix_spawn(3) reports: the program does not exist or cannot be executed, no processes left.
pub fn spawn<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    input: impl AsFd,
    output: impl AsFd,
) -> io::Result<u32> {
    let mut words = vec![c_string(program.as_os_str())?];
    for argument in arguments {
        words.push(c_string(argument.as_ref())?);
    }
    let (input, output) = (above_standard(&input)?, above_standard(&output)?);
    let mut actions = PosixSpawnFileActions::init()?;
    actions.add_dup2(input.as_raw_fd(), libc::STDIN_FILENO)?;
    actions.add_dup2(output.as_raw_fd(), libc::STDOUT_FILENO)?;
    actions.add_dup2(output.as_raw_fd(), libc::STDERR_FILENO)?;
    let pid = posix_spawn(program, &actions, &attributes()?, &words, &environment()?)?;
    // Pids are positive.
    Ok(pid.as_raw() as u32)
}

/// A close-on-exec duplicate that is none of 0, 1 and 2: one that is duplicated onto itself would not be inherited.
fn above_standard(file: &impl AsFd) -> Result<OwnedFd, Errno> {
    let fd = fcntl(file.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(libc::STDERR_FILENO + 1))?;
    // SAFETY: fcntl has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd::{ExitStatus, PidFd};
    use std::fs::File;
    use std::io::{Read, Seek};

    fn run(script: &str) -> (String, ExitStatus) {
        let path = std::env::temp_dir().join(format!("braid-spawn-{}-{}", std::process::id(), script.len()));
        let open = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path);
        let mut output = open.expect("temporary file");
        std::fs::remove_file(&path).expect("just created");
        let null = File::open("/dev/null").expect("exists");
        let pid = spawn(Path::new("/bin/sh"), &["-c", script], &null, &output).expect("sh");
        let pidfd = PidFd::open(pid).expect("not reaped");
        let status = loop {
            match pidfd.wait().expect("waitid") {
                Some(status) => break status,
                None => std::thread::yield_now(),
            }
        };
        let mut text = String::new();
        output.rewind().expect("seek");
        output.read_to_string(&mut text).expect("utf-8");
        (text, status)
    }

    #[test]
    fn the_child_has_its_own_session_no_input_and_none_of_our_descriptors() {
        let path = std::env::temp_dir().join(format!("braid-spawn-ours-{}", std::process::id()));
        let ours = File::create(&path).expect("temporary file");
        let script = "cat; echo out; echo err >&2; cut -d' ' -f1,6 /proc/$$/stat; ls -l /proc/$$/fd; exit 3";
        let (text, status) = run(script);
        drop(ours);
        std::fs::remove_file(&path).expect("just created");
        assert_eq!(status, ExitStatus::Code(3));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["out", "err"], "{text}");
        let (pid, session) = lines[2].split_once(' ').expect("two numbers");
        assert_eq!(pid, session, "{text}");
        assert!(text.contains("0 -> /dev/null"), "{text}");
        assert!(!text.contains("braid-spawn-ours"), "{text}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let null = std::fs::File::open("/dev/null").expect("exists");
        let error =
            spawn(Path::new("/nonexistent/braid"), &["x"], &null, &null).expect_err("no such program");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(spawn(Path::new("/bin/sh"), &["a\0b"], &null, &null).is_err());
    }
}
