//! Shared futexes: sleeping on a word of the segment until it changes, and waking who sleeps.
//!
//! The kernel compares the low half of a 64-bit word. Rust code itself only ever reads the whole word, so no access of
//! ours has another size than the writer's. Waiting and waking both work on memory that is mapped read-only.

use crate::sync::{AtomicU64, Ordering};
use crate::words::View;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

/// A word to sleep on.
#[derive(Clone, Copy)]
pub struct FutexWord<'a> {
    word: &'a AtomicU64,
}

impl std::fmt::Debug for FutexWord<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FutexWord({})", self.value())
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// Somebody woke the word, or it no longer had the expected value, or a signal came. Look again.
    LookAgain,
    /// The time is over.
    TimedOut,
}

/// Most words that one [`wait_any`] takes; more are ignored (the wait then rests on its timeout).
pub const WAIT_ANY_MAX: usize = 8;

impl<'a> FutexWord<'a> {
    pub(crate) fn new(words: View<'a>, index: usize) -> Self {
        Self {
            word: words.word(index),
        }
    }

    /// The low half of the word as it is now: what to expect when waiting.
    pub fn value(&self) -> u32 {
        // Ordering: none; the waiter's flag and last look are ordered by `doorbell::fall_asleep`.
        self.word.load(Ordering::Relaxed) as u32
    }

    pub(super) fn address(&self) -> *const u32 {
        // Little-endian: the low half stands first.
        self.word.as_ptr().cast_const().cast()
    }

    /// Sleeps while the word has the value `expected`, at most for `timeout`.
    pub fn wait(&self, expected: u32, timeout: Duration) -> Woken {
        let limit = timespec(timeout);
        // SAFETY: the address is that of a live, aligned word, and the kernel only reads it.
        let result = unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.address(),
                libc::FUTEX_WAIT,
                expected,
                &raw const limit,
            )
        };
        verdict(result)
    }

    /// Wakes up to `count` sleepers; returns how many there were.
    pub fn wake(&self, count: u32) -> u32 {
        let count = count.min(i32::MAX as u32);
        // SAFETY: the kernel uses the address of this live word as a key only and does not write to it.
        let woken = unsafe { libc::syscall(libc::SYS_futex, self.address(), libc::FUTEX_WAKE, count) };
        u32::try_from(woken).unwrap_or(0)
    }
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

fn verdict(result: libc::c_long) -> Woken {
    if result >= 0 {
        return Woken::LookAgain;
    }
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::ETIMEDOUT) => Woken::TimedOut,
        _ => Woken::LookAgain,
    }
}

/// One element of futex_waitv(2), `struct futex_waitv`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Waiter<'a> {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
    lives: PhantomData<&'a AtomicU64>,
}

const _: () = assert!(size_of::<Waiter<'_>>() == 24);

/// `FUTEX2_SIZE_U32`, without `FUTEX2_PRIVATE`.
const SHARED_U32: u32 = 2;
/// How long to sleep on the first word alone where the kernel cannot wait for several (before Linux 5.16).
const FALLBACK: Duration = Duration::from_millis(1);

/// Sleeps while every word has its expected value, at most for `timeout`. Returns at once if there is none.
pub fn wait_any(words: &[(FutexWord<'_>, u32)], timeout: Duration) -> Woken {
    let mut waiters = [Waiter {
        value: 0,
        address: 0,
        flags: SHARED_U32,
        reserved: 0,
        lives: PhantomData,
    }; WAIT_ANY_MAX];
    let count = words.len().min(WAIT_ANY_MAX);
    for (waiter, (word, expected)) in waiters.iter_mut().zip(words) {
        waiter.value = u64::from(*expected);
        waiter.address = word.address() as u64;
    }
    let Some((first, expected)) = words.first() else {
        return Woken::LookAgain;
    };
    let until = timespec(super::clock::monotonic().saturating_add(timeout));
    // SAFETY: `waiters` holds `count` elements whose addresses are live words, and the kernel only reads them.
    let result = unsafe {
        let (flags, clock) = (0, libc::CLOCK_MONOTONIC);
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            count,
            flags,
            &raw const until,
            clock,
        )
    };
    if result < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        return match first.wait(*expected, timeout.min(FALLBACK)) {
            Woken::TimedOut if timeout > FALLBACK => Woken::LookAgain,
            woken => woken,
        };
    }
    verdict(result)
}
