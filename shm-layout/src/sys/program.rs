//! The program's own pages: its code and constants, and those of its libraries.
//!
//! They are read from their files when they are first used, 64 KiB and more around each fault. What runs rarely (the end of
//! a run, a repair, the answer to an alteration) would wait for them just then, for a disk if the system has meanwhile
//! dropped them, and the resident memory of a process that does nothing new would still grow.

use std::fs;
use std::io;

/// Maps every page of the program and its libraries that is only read (Linux 5.14; before that the call is refused). No
/// more is read from disk than the system had dropped.
///
/// # Errors
/// What opening /proc/self/maps or madvise(2) reports; the program then goes on as it would have.
pub fn touch() -> io::Result<()> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    for (begin, end) in maps.lines().filter_map(read_only_file) {
        let address = std::ptr::without_provenance_mut::<libc::c_void>(begin);
        // SAFETY: populating for reading changes no byte of any mapping, whatever stands at these addresses by now.
        if unsafe { libc::madvise(address, end - begin, libc::MADV_POPULATE_READ) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The addresses of a mapping, given as a line of /proc/PID/maps, if it is a private one of a file that cannot be written.
fn read_only_file(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (addresses, rights, path) = (fields.next()?, fields.next()?, fields.nth(3)?);
    let (begin, end) = addresses.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    let is_program = matches!(rights, "r--p" | "r-xp") && path.starts_with('/');
    is_program.then_some((address(begin)?, address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_private_read_only_and_of_a_file_is_touched() {
        let line = |rights, path| format!("7f12-7f34 {rights} 00001000 fe:00 4711   {path}");
        let both = Some((0x7f12, 0x7f34));
        assert_eq!(read_only_file(&line("r-xp", "/usr/bin/braid-supervisor")), both);
        assert_eq!(read_only_file(&line("r--p", "/lib/libc.so.6 (deleted)")), both);
        assert_eq!(read_only_file(&line("rw-p", "/lib/libc.so.6")), None);
        assert_eq!(read_only_file(&line("r--s", "/dev/shm/braid-default")), None);
        assert_eq!(read_only_file(&line("---p", "/lib/libc.so.6")), None);
        assert_eq!(read_only_file(&line("r-xp", "[vdso]")), None);
        assert_eq!(read_only_file("7f12-7f34 rw-p 00000000 00:00 0 "), None);
    }

    /// Pages of read-only files that are mapped but not present, in KiB.
    fn absent_kib() -> u64 {
        let text = fs::read_to_string("/proc/self/smaps").expect("Linux");
        let (mut counts, mut size, mut absent) = (false, 0, 0);
        for line in text.lines() {
            let kib = |rest: &str| {
                rest.trim()
                    .trim_end_matches(" kB")
                    .parse::<u64>()
                    .expect("a number")
            };
            if let Some(rest) = line.strip_prefix("Size:") {
                size = kib(rest);
            } else if let Some(rest) = line.strip_prefix("Rss:") {
                absent += if counts { size - kib(rest) } else { 0 };
            } else if line.split(' ').next().is_some_and(|word| word.contains('-')) {
                counts = read_only_file(line).is_some();
            }
        }
        absent
    }

    #[test]
    fn afterwards_the_whole_program_is_present() {
        // The last page of a file's mapping may lie beyond the file's end; and the system may drop what it likes.
        if touch().is_ok() {
            assert!(absent_kib() <= 64, "{} KiB are absent", absent_kib());
        }
    }
}
