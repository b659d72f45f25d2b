//! Which process is which: pid, start time and boot together name one process for good.

use std::fs;

/// When the process started, in clock ticks since boot: field 22 of /proc/PID/stat. `None` if there is no such process.
pub fn start_time(pid: u32) -> Option<u64> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|stat| stat.start_time)
}

/// Whether the process with this pid that started at `start_time` executes nothing any more: it is gone, or a zombie.
pub fn has_ended(pid: u32, start_time: u64) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    parse(&stat).is_none_or(|stat| stat.start_time != start_time || matches!(stat.state, "Z" | "X"))
}

/// Whether the process with this pid that started at `start_time` is there, and has no memory any more: its last thread has
/// handed it to the kernel to be torn down, which is early in an exit and cannot be undone, so it will write nothing again.
/// `false` where /proc does not show it, or shows processes by other numbers than ours (another PID namespace's).
pub fn is_without_memory(pid: u32, start_time: u64) -> bool {
    let is_ours = fs::read_link("/proc/self")
        .is_ok_and(|own| own.as_os_str() == std::process::id().to_string().as_str());
    if !is_ours {
        return false;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    parse(&stat)
        .is_some_and(|stat| stat.start_time == start_time && stat.threads <= 1 && stat.virtual_bytes == 0)
}

/// Fields of /proc/PID/stat, see proc_pid_stat(5).
struct Stat<'a> {
    state: &'a str,
    threads: u64,
    start_time: u64,
    virtual_bytes: u64,
}

/// The program's name in field 2 may hold anything, spaces and parentheses too; it ends at the last `)`.
fn parse(stat: &str) -> Option<Stat<'_>> {
    // Field 3, the state, follows the parenthesis.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let threads = fields.nth(16)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    let virtual_bytes = fields.next()?.parse().ok()?;
    Some(Stat {
        state,
        threads,
        start_time,
        virtual_bytes,
    })
}

/// The machine's boot id: 128 random bits that are new at every boot. Zeros if it cannot be read.
pub fn boot_id() -> [u64; 2] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let value = u128::from_str_radix(&digits, 16).unwrap_or(0);
    [(value >> 64) as u64, value as u64]
}

/// Whether the process with this pid is the one that started at `start_time` in this boot. A zombie still counts: it is
/// the process, though dead; its pidfd tells.
pub fn alive_as(pid: u32, start_time: u64, boot_id: [u64; 2]) -> bool {
    boot_id == self::boot_id() && self::start_time(pid) == Some(start_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn this_process_is_itself_and_no_other() {
        let pid = std::process::id();
        let start = start_time(pid).expect("we exist");
        assert!(alive_as(pid, start, boot_id()));
        assert!(!alive_as(pid, start + 1, boot_id()));
        assert!(!alive_as(pid, start, [0, 0]));
        assert_eq!(start_time(0x3fff_ffff), None);
        assert!(!has_ended(pid, start));
        assert!(has_ended(pid, start + 1) && has_ended(0x3fff_ffff, start));
    }

    #[test]
    fn a_program_may_be_called_anything() {
        let fields: Vec<String> = (3..=30).map(|field| field.to_string()).collect();
        let stat = format!("12 (a ) S (x) 7) {}", fields.join(" "));
        let stat = parse(&stat).expect("whole");
        let found = (stat.state, stat.threads, stat.start_time, stat.virtual_bytes);
        assert_eq!(found, ("3", 20, 22, 23));
        assert!(parse("12 (cut").is_none());
    }

    #[test]
    fn a_process_has_memory_until_it_is_dead() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("started");
        let pid = child.id();
        let start = start_time(pid).expect("it exists");
        assert!(!is_without_memory(pid, start));
        child.kill().expect("alive");
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_without_memory(pid, start) {
            assert!(Instant::now() < deadline, "it stays as it is");
            std::thread::yield_now();
        }
        assert!(!is_without_memory(pid, start + 1), "another process");
        child.wait().expect("ours");
        assert!(!is_without_memory(pid, start), "nobody is there");
    }
}
