//! Sentinels: one small thread per torus that sleeps on the owner word of its region, and rings a bell when the kernel
//! marks it.
//!
//! The kernel marks the word before it tears the dead worker's memory down, and the pidfd becomes readable afterwards:
//! milliseconds later where the worker has much memory. A futex cannot be polled, so each thread writes an eventfd, and
//! the one poll loop looks at the words itself. The pidfd stays the authority for how the process ended, and without any
//! sentinel everything works as well, only later.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use shm_layout::owner::OwnerDied;
use shm_layout::segment::{ReaderMap, SegmentFile};
use shm_layout::status::StatusReader;
use shm_layout::sys::slice;

/// The longest sleep: what a lost wake-up would cost.
const PERIOD: Duration = Duration::from_millis(250);
/// A sentinel has little to remember.
const STACK_BYTES: usize = 64 << 10;

struct Shared {
    map: ReaderMap,
    bell: EventFd,
    over: AtomicBool,
}

/// The sentinels of a run.
pub struct Sentinels {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Sentinels {
    /// Posts one for each region.
    ///
    /// # Errors
    /// When the operating system has no room for a mapping, an eventfd or a thread.
    pub fn post(file: &SegmentFile) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            map: file.map_reader().map_err(io::Error::other)?,
            bell: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            over: AtomicBool::new(false),
        });
        let mut sentinels = Sentinels {
            threads: Vec::new(),
            shared: shared.clone(),
        };
        for index in 0..shared.map.views().regions.len() {
            let shared = shared.clone();
            let watch = move || watch(&shared, index);
            sentinels
                .threads
                .push(Builder::new().stack_size(STACK_BYTES).spawn(watch)?);
        }
        Ok(sentinels)
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }

    /// Silences the bell, before the words are looked at.
    pub fn silence(&self) {
        // Nothing to read is as good.
        let _ = self.shared.bell.read();
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        // Ordering: Relaxed; a thread that misses it is woken again below.
        self.shared.over.store(true, Ordering::Relaxed);
        for (index, thread) in self.threads.drain(..).enumerate() {
            while !thread.is_finished() {
                // Again and again: it may have looked just before, and be about to sleep.
                self.shared.map.views().regions[index]
                    .status
                    .owner_futex()
                    .wake(u32::MAX);
                std::thread::sleep(Duration::from_micros(50));
            }
            // It returns nothing, and a panic has been reported by then.
            let _ = thread.join();
        }
    }
}

fn watch(shared: &Shared, index: usize) {
    // One that is refused is woken a little later.
    let _ = slice::shorten();
    let status = shared.map.views().regions[index].status;
    let mut told = 0;
    // Ordering: Relaxed; see `drop`.
    while !shared.over.load(Ordering::Relaxed) {
        told = look(&status, told, &shared.bell);
    }
}

/// Rings for a death that has not been told yet, and sleeps until the word changes. Returns the word that is told.
fn look(status: &StatusReader<'_>, told: u64, bell: &EventFd) -> u64 {
    let word = status.owner_word();
    if word != told && OwnerDied::from_word(word).is_some() {
        // A bell that cannot ring any louder has been rung.
        let _ = bell.write(1);
    }
    status.owner_futex().wait(word as u32, PERIOD);
    word
}
