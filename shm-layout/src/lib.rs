//! The segment: one memory-mapped file that three workers, their watchdog and their clients share.
//!
//! Bytes and protocol are apart. This crate owns the bytes: what stands where, who writes it, how it is published,
//! how a reader tells whole from half-written, and the operating-system side (mapping, locks, futexes, processes).
//! It decides nothing about the simulation. docs/SEGMENT.md draws the byte map.
//!
//! * Every byte has one writer. [`words::Own`] writes, [`words::View`] reads.
//! * Runs of words are copied as if word by word with relaxed accesses ([`sync`]), and the copy is validated.
//! * Algorithms over shared words ([`frame_ring`], [`strand`], [`checkpoint_slots`], [`lane`], [`stop`],
//!   [`doorbell`]) use only [`sync`] and [`words`], so that loom can run these very files.
//! * Untrusted bytes become a [`segment::SegmentFile`] only when everything about them has been checked.

#[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
compile_error!(
    "the segment needs 64-bit little-endian Linux: OFD locks, pidfds, shared futexes, 64-bit words"
);

#[macro_use]
pub mod cells;

pub mod audit;
mod byte_map;
pub mod checkpoint_slots;
pub mod config;
pub mod control;
mod copy;
pub mod doorbell;
pub mod frame;
pub mod frame_ring;
mod gate;
pub mod hash;
pub mod header;
pub mod heap;
mod identity;
pub mod lane;
pub mod layout;
mod limits;
mod lines;
pub mod membership;
mod multiset;
pub mod names;
pub mod owner;
mod phase;
pub mod record;
pub mod recovery;
pub mod region;
pub mod rollback;
mod run_state;
pub mod segment;
pub mod slot_header;
pub mod standby;
pub mod status;
pub mod stop;
pub mod strand;
pub mod sync;
pub mod sys;
pub mod torus;
pub mod words;
