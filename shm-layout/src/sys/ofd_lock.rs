//! Open-file-description locks on bytes of a file (`F_OFD_SETLK`, Linux 3.15).
//!
//! The kernel releases such a lock when the last descriptor of the open file description is closed, so at the latest
//! when the process dies, after its memory is torn down. Unlike classic record locks they are not lost when some other
//! descriptor of the same file is closed. A process that is being started has copies of all descriptors until it
//! executes its program, so closing a descriptor releases a lock only after that; unlocking releases it at once. Locking a byte twice through one description succeeds; callers that must
//! tell use one description per holder.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::ops::Range;
use std::os::fd::AsFd;

/// A write lock on a range of bytes, as fcntl(2) wants it.
fn range_lock(kind: i32, bytes: &Range<u64>) -> libc::flock {
    libc::flock {
        // The constants are small.
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        // Lock bytes are small numbers of ours.
        l_start: bytes.start as libc::off_t,
        l_len: (bytes.end - bytes.start) as libc::off_t,
        // Must be 0 for OFD locks.
        l_pid: 0,
    }
}

/// Takes the exclusive lock on all of `bytes` if nobody else holds any; says whether it did.
///
/// # Errors
/// Whatever fcntl(2) reports other than "held": a descriptor that is not open for writing, no locks left.
pub fn try_lock(file: impl AsFd, bytes: Range<u64>) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&range_lock(libc::F_WRLCK, &bytes))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Releases the lock on those of `bytes` that this description holds.
///
/// # Errors
/// Whatever fcntl(2) reports.
pub fn unlock(file: impl AsFd, bytes: Range<u64>) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&range_lock(libc::F_UNLCK, &bytes))).map(drop)
}

/// Whether another open file description holds a lock on any of `bytes`, all looked at in one instant. Takes nothing.
///
/// # Errors
/// Whatever fcntl(2) reports.
pub fn held_by_another(file: impl AsFd, bytes: Range<u64>) -> Result<bool, Errno> {
    let mut lock = range_lock(libc::F_WRLCK, &bytes);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};

    fn two_descriptions() -> (File, File) {
        let path = std::env::temp_dir().join(format!("braid-ofd-{}", std::process::id()));
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
        };
        let files = (open().expect("temporary file"), open().expect("temporary file"));
        std::fs::remove_file(&path).expect("just created");
        files
    }

    #[test]
    fn a_byte_has_one_holder_until_its_description_is_closed() {
        let (first, second) = two_descriptions();
        assert_eq!(try_lock(&first, 2..3), Ok(true));
        assert_eq!(try_lock(&second, 2..3), Ok(false));
        assert_eq!(try_lock(&second, 3..4), Ok(true), "another byte is free");
        assert_eq!(held_by_another(&second, 2..3), Ok(true));
        assert_eq!(held_by_another(&first, 2..3), Ok(false));
        assert_eq!(try_lock(&first, 1..5), Ok(false), "one of them is not free");
        assert_eq!(held_by_another(&second, 0..2), Ok(false), "so none was taken");
        assert_eq!(held_by_another(&second, 0..3), Ok(true));
        assert_eq!(unlock(&second, 0..9), Ok(()), "what it has, and no more");
        assert_eq!(held_by_another(&second, 2..3), Ok(true));
        let duplicate = first.try_clone().expect("dup");
        drop(first);
        assert_eq!(
            held_by_another(&second, 2..3),
            Ok(true),
            "the description lives on in its duplicate"
        );
        drop(duplicate);
        // Another test of this process may be starting a program, with copies of our descriptors for a moment.
        while try_lock(&second, 2..3) == Ok(false) {
            std::thread::yield_now();
        }
        assert_eq!(held_by_another(&second, 2..3), Ok(false));
        assert_eq!(unlock(&second, 2..3), Ok(()));
    }
}
