//! The operating system: futexes, clocks, processes, pidfds, locks, priorities, time slices, starting programs, the own one's pages.

pub mod clock;
pub mod futex;
pub mod idle;
pub mod ofd_lock;
pub mod pidfd;
pub mod process;
pub mod program;
pub mod robust;
pub mod signals;
pub mod slice;
pub mod spawn;
