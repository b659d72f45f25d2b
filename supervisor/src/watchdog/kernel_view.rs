//! What the kernel says about a worker's process: whether it computes or waits, and which signals it does not die of.
//!
//! The words of a status cell are as their last writer left them, a dead predecessor too; these are of this moment.

use nix::libc;

/// Signals whose default is not to end a process.
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

/// Whether the process computes (or wants to, on a busy machine, or moves data), as opposed to waiting for somebody. A
/// process that cannot be looked at does not.
pub fn computes(pid: u32) -> bool {
    state(&read(pid, "stat")).is_some_and(|state| matches!(state, 'R' | 'D'))
}

/// Whether the process sleeps until somebody wakes it or a time is over.
pub fn sleeps(pid: u32) -> bool {
    state(&read(pid, "stat")) == Some('S')
}

/// Whether the process, as it is now, ends when it gets this signal. One that it catches may have any effect, so it
/// does not count.
pub fn ends_by(pid: u32, signal: i32) -> bool {
    ends(signal, &read(pid, "status"))
}

fn read(pid: u32, file: &str) -> String {
    // A process that is gone has no such file, and neither computes nor sleeps.
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// Field 3 of /proc/PID/stat, behind the program's name, which ends at the last `)`.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

fn ends(signal: i32, status: &str) -> bool {
    if signal == libc::SIGKILL {
        return true;
    }
    let bit = match signal {
        1..=64 if !HARMLESS.contains(&signal) => 1 << (signal - 1),
        _ => return false,
    };
    match (mask(status, "SigIgn:"), mask(status, "SigCgt:")) {
        (Some(ignored), Some(caught)) => (ignored | caught) & bit == 0,
        _ => false,
    }
}

/// A line of /proc/PID/status that holds a set of signals.
fn mask(status: &str, name: &str) -> Option<u64> {
    let text = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(text.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        assert_eq!(state("12 (a ) S (x) R 1 2 3"), Some('R'));
        assert_eq!(state("12 (cut"), None);
        assert_eq!(state(""), None);
    }

    #[test]
    fn who_asks_computes() {
        // The thread group's leader may sleep while its test thread asks, so only the other answers are certain.
        assert!(!computes(0x3fff_ffff) && !sleeps(0x3fff_ffff));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        while !sleeps(child.id()) {
            std::thread::yield_now();
        }
        assert!(!computes(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn only_a_signal_that_is_neither_ignored_nor_caught_promises_an_end() {
        // Ignored: HUP, INT, PIPE. Caught: BUS, SEGV.
        let worker =
            "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000440\n";
        for survived in [1, 2, 13, 7, 11, 17, 18, 19, 20, 28, 0, -1, 65] {
            assert!(!ends(survived, worker), "{survived}");
        }
        for ending in [3, 4, 6, 9, 10, 12, 14, 15, 34, 64] {
            assert!(ends(ending, worker), "{ending}");
        }
        assert!(ends(9, "") && !ends(15, ""), "a process that cannot be looked at");
    }
}
