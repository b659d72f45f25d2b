//! The ring floor: the smallest single-producer, single-consumer ring that two processes can share.
//!
//! A power of two of slots, a head and a tail on cache lines of their own, each side keeping the other's last known
//! position so that it looks at it only when it must (Lamport's ring with the cached indices of FastForward and
//! MCRingBuffer). Slots are copied as plain memory: nothing is checked, nothing survives a crash, and a torn slot would
//! go unnoticed. It is what the machine can do, not what one would build on.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytemuck::Pod;
use memmap2::{MmapOptions, MmapRaw};

use super::wait;

/// Bytes before the first slot: head and tail, two cache lines apart because lines are fetched in pairs.
const HEADER: usize = 256;
const TAIL: usize = 128;

/// A ring of slots of type `T` in memory that is mapped from a file.
#[derive(Debug)]
pub struct Ring<T> {
    map: MmapRaw,
    slots: u64,
    slot: PhantomData<T>,
}

impl<T: Pod> Ring<T> {
    /// Bytes of a ring with so many slots.
    pub const fn bytes(slots: usize) -> usize {
        HEADER + slots * size_of::<T>()
    }

    /// The ring of `slots` slots at byte `offset` of a file, which is long enough; both are powers of two or zero.
    ///
    /// # Errors
    /// What mmap(2) reports.
    pub fn map(file: &File, offset: usize, slots: usize) -> io::Result<Ring<T>> {
        assert!(slots.is_power_of_two(), "{slots} slots");
        let mut options = MmapOptions::new();
        options.offset(offset as u64).len(Self::bytes(slots)).populate();
        Ok(Ring {
            map: options.map_raw(file)?,
            slots: slots as u64,
            slot: PhantomData,
        })
    }

    fn position(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the mapping is page-aligned, longer than its header, lives as long as `self`, and these eight bytes
        // are accessed through atomics only.
        unsafe { &*self.map.as_ptr().add(offset).cast::<AtomicU64>() }
    }

    fn head(&self) -> &AtomicU64 {
        self.position(0)
    }

    fn tail(&self) -> &AtomicU64 {
        self.position(TAIL)
    }

    /// The first of the slots from `position` on, and how many of `count` lie before the ring's end.
    fn slots_at(&self, position: u64, count: usize) -> (*mut T, usize) {
        let index = (position & (self.slots - 1)) as usize;
        // SAFETY: the index is below the number of slots, which the mapping has room for.
        let first = unsafe { self.map.as_mut_ptr().add(HEADER).cast::<T>().add(index) };
        (first, count.min(self.slots as usize - index))
    }

    /// The sending end; there is one.
    pub fn sender(&self) -> Sender<'_, T> {
        Sender {
            ring: self,
            head: self.head().load(Ordering::Relaxed),
            cached_tail: 0,
        }
    }

    /// The receiving end; there is one.
    pub fn receiver(&self) -> Receiver<'_, T> {
        Receiver {
            ring: self,
            tail: self.tail().load(Ordering::Relaxed),
            cached_head: 0,
        }
    }
}

/// The one writer of the slots and of the head.
#[derive(Debug)]
pub struct Sender<'r, T> {
    ring: &'r Ring<T>,
    head: u64,
    cached_tail: u64,
}

impl<T: Pod> Sender<'_, T> {
    /// Sends all of `items`, which fit into the ring, and publishes them at once; waits for room.
    ///
    /// # Errors
    /// When the other side seems to be gone.
    #[inline]
    pub fn send(&mut self, items: &[T]) -> io::Result<()> {
        let count = items.len();
        if self.head + count as u64 - self.cached_tail > self.ring.slots {
            self.wait_for_room(count)?;
        }
        let (to, first) = self.ring.slots_at(self.head, count);
        // SAFETY: the slots from head on are not read by the receiver before the store below, `first` of them lie before
        // the ring's end, and the rest, fewer than the ring has, begin at its start.
        unsafe {
            ptr::copy_nonoverlapping(items.as_ptr(), to, first);
            let (start, _) = self.ring.slots_at(0, 0);
            ptr::copy_nonoverlapping(items.as_ptr().add(first), start, count - first);
        }
        self.head += count as u64;
        // Ordering: Release; synchronizes with the Acquire in `Receiver::receive`. Publishes the slots.
        self.ring.head().store(self.head, Ordering::Release);
        Ok(())
    }

    #[cold]
    fn wait_for_room(&mut self, count: usize) -> io::Result<()> {
        wait::until(|| {
            // Ordering: Acquire; synchronizes with the Release in `Receiver::receive`: the receiver is done with the
            // slots below the tail.
            self.cached_tail = self.ring.tail().load(Ordering::Acquire);
            self.head + count as u64 - self.cached_tail <= self.ring.slots
        })
    }
}

/// The one reader of the slots, and writer of the tail.
#[derive(Debug)]
pub struct Receiver<'r, T> {
    ring: &'r Ring<T>,
    tail: u64,
    cached_head: u64,
}

impl<T: Pod> Receiver<'_, T> {
    /// Waits for items, hands over at most `most` of those that are there, in place, and frees their slots.
    ///
    /// # Errors
    /// When the other side seems to be gone.
    #[inline]
    pub fn receive(&mut self, most: usize, take: impl FnOnce(&[T])) -> io::Result<usize> {
        if self.cached_head == self.tail {
            self.wait_for_items()?;
        }
        let there = (self.cached_head - self.tail).min(most as u64) as usize;
        let (from, count) = self.ring.slots_at(self.tail, there);
        // SAFETY: the sender wrote these slots before it raised the head beyond them, and does not touch them before the
        // store below.
        take(unsafe { std::slice::from_raw_parts(from, count) });
        self.tail += count as u64;
        // Ordering: Release; synchronizes with the Acquire in `Sender::wait_for_room`. Gives the slots back.
        self.ring.tail().store(self.tail, Ordering::Release);
        Ok(count)
    }

    #[cold]
    fn wait_for_items(&mut self) -> io::Result<()> {
        wait::until(|| {
            // Ordering: Acquire; synchronizes with the Release in `Sender::send`.
            self.cached_head = self.ring.head().load(Ordering::Acquire);
            self.cached_head != self.tail
        })
    }
}
