//! Open-file-description locks on single bytes of a file (`F_OFD_SETLK`, Linux 3.15).
//!
//! The kernel releases such a lock when the last descriptor of the open file description is closed, so at the latest
//! when the process dies, after its memory is torn down. Unlike classic record locks they are not lost when some other
//! descriptor of the same file is closed. A process that is being started has copies of all descriptors until it
//! executes its program, so closing a descriptor releases a lock only after that; unlocking releases it at once. Locking a byte twice through one description succeeds; callers that must
//! tell use one description per holder.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::os::fd::AsFd;

/// A write lock on one byte, as fcntl(2) wants it.
fn byte_lock(kind: i32, byte: u64) -> libc::flock {
    libc::flock {
        // The constants are small.
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        // Lock bytes are small numbers of ours.
        l_start: byte as libc::off_t,
        l_len: 1,
        // Must be 0 for OFD locks.
        l_pid: 0,
    }
}

/// Takes the exclusive lock on `byte` if nobody else holds it; says whether it did.
///
/// # Errors
/// Whatever fcntl(2) reports other than "held": a descriptor that is not open for writing, no locks left.
pub fn try_lock(file: impl AsFd, byte: u64) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_WRLCK, byte))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Releases the lock on `byte` if this description holds it.
///
/// # Errors
/// Whatever fcntl(2) reports.
pub fn unlock(file: impl AsFd, byte: u64) -> Result<(), Errno> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&byte_lock(libc::F_UNLCK, byte))).map(drop)
}

/// Whether another open file description holds the lock on `byte`. Takes nothing.
///
/// # Errors
/// Whatever fcntl(2) reports.
pub fn held_by_another(file: impl AsFd, byte: u64) -> Result<bool, Errno> {
    let mut lock = byte_lock(libc::F_WRLCK, byte);
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
        assert_eq!(try_lock(&first, 2), Ok(true));
        assert_eq!(try_lock(&second, 2), Ok(false));
        assert_eq!(try_lock(&second, 3), Ok(true), "another byte is free");
        assert_eq!(held_by_another(&second, 2), Ok(true));
        assert_eq!(held_by_another(&first, 2), Ok(false));
        let duplicate = first.try_clone().expect("dup");
        drop(first);
        assert_eq!(
            held_by_another(&second, 2),
            Ok(true),
            "the description lives on in its duplicate"
        );
        drop(duplicate);
        // Another test of this process may be starting a program, with copies of our descriptors for a moment.
        while try_lock(&second, 2) == Ok(false) {
            std::thread::yield_now();
        }
        assert_eq!(held_by_another(&second, 2), Ok(false));
        assert_eq!(unlock(&second, 2), Ok(()));
    }
}
