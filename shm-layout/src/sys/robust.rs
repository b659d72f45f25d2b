//! Robust futexes: how the kernel tells of a thread's death before it tears the process's memory down.
//!
//! A thread can give the kernel a list of words that it holds (`set_robust_list`). When the thread ends, however it ends,
//! the kernel replaces its number in each word by [`OWNER_DIED`] and wakes one sleeper. That is one of the first things
//! it does in an exit, after the last instruction of the thread and before its memory is given back, whereas a pidfd
//! becomes readable, and a lock free, only afterwards.

use super::futex::FutexWord;
use std::io;
use std::marker::PhantomData;

/// In the low half of a word whose holder has died.
pub const OWNER_DIED: u32 = libc::FUTEX_OWNER_DIED;

/// What a thread stores in the low half of a word that it holds: its number, and that somebody may be sleeping, so that
/// the sleeper never has to write to say so.
pub fn held_by_this_thread() -> u32 {
    // SAFETY: gettid takes nothing and cannot fail.
    let thread = unsafe { libc::gettid() };
    thread.cast_unsigned() | libc::FUTEX_WAITERS
}

/// `struct robust_list_head` of the kernel with the one entry that hangs on it. The kernel finds an entry's word at the
/// same distance from every entry.
#[repr(C)]
struct List {
    next: *const Entry,
    distance: libc::c_long,
    pending: *const Entry,
    entry: Entry,
}

#[repr(C)]
struct Entry {
    next: *const Entry,
}

/// A word that this thread holds. Dropping it takes the word off the kernel's list, so that nobody learns of the end of a
/// thread that ends in order.
#[derive(Debug)]
pub struct Held<'a> {
    list: *mut List,
    word: PhantomData<FutexWord<'a>>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: `hold` has leaked the list, and only this thread and, after its end, the kernel look at it.
        unsafe { (*self.list).next = self.list.cast_const().cast() };
    }
}

/// Tells the kernel that this thread holds `word`. The word counts once it has the value [`held_by_this_thread`]. The list
/// takes the place of the C library's, so the thread must not hold pthread mutexes that are robust.
///
/// # Errors
/// What set_robust_list(2) reports: `ENOSYS` where the kernel has no robust futexes.
pub fn hold(word: FutexWord<'_>) -> io::Result<Held<'_>> {
    // The kernel looks at it when the thread ends, so it is never given back: a few words for each thread.
    let list = Box::leak(Box::new(List {
        next: std::ptr::null(),
        distance: 0,
        pending: std::ptr::null(),
        entry: Entry {
            next: std::ptr::null(),
        },
    }));
    let (head, entry) = ((&raw const *list).cast::<Entry>(), &raw const list.entry);
    list.next = entry;
    list.entry.next = head;
    list.distance = (word.address() as libc::c_long).wrapping_sub(entry as libc::c_long);
    // The kernel's length of the head: without the entry.
    let bytes = std::mem::offset_of!(List, entry);
    // SAFETY: the list is complete and stays where it is for good, and the word stays for as long as it is on it.
    match unsafe { libc::syscall(libc::SYS_set_robust_list, head, bytes) } {
        0 => Ok(Held {
            list,
            word: PhantomData,
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{AtomicU64, Ordering};
    use crate::words::View;
    use std::time::{Duration, Instant};

    #[test]
    fn the_death_of_the_holder_wakes_who_sleeps_on_the_word() {
        let words: &'static [AtomicU64] = Box::leak(Box::new([AtomicU64::new(0)]));
        let word = FutexWord::new(View::new(words), 0);
        let holder = std::thread::spawn(move || {
            std::mem::forget(take(words));
            std::thread::sleep(Duration::from_millis(20));
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        while word.value() & OWNER_DIED == 0 {
            assert!(Instant::now() < deadline, "{word:?}");
            word.wait(word.value(), Duration::from_secs(30));
        }
        holder.join().expect("it sleeps and ends");
        // The kernel has changed the low half alone.
        assert_eq!(words[0].load(Ordering::Relaxed) >> 32, 7);
    }

    #[test]
    fn a_thread_that_lets_go_of_the_word_ends_without_a_mark() {
        let words: &'static [AtomicU64] = Box::leak(Box::new([AtomicU64::new(0)]));
        let holder = std::thread::spawn(move || {
            drop(take(words));
            words[0].load(Ordering::Relaxed)
        });
        let left = holder.join().expect("it ends in order");
        assert_eq!(words[0].load(Ordering::Relaxed), left);
    }

    fn take(words: &'static [AtomicU64]) -> Held<'static> {
        let held = hold(FutexWord::new(View::new(words), 0)).expect("every Linux has robust futexes");
        // Ordering: none needed; the tests look for this very value, or join the thread.
        words[0].store(7 << 32 | u64::from(held_by_this_thread()), Ordering::Relaxed);
        held
    }
}
