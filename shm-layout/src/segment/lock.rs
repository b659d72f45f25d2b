//! The locks of a segment: a byte of the file each, or two, taken as open-file-description locks.

use super::{Inode, SegmentError, SegmentFile};
use crate::sys::ofd_lock;
use crate::torus::{TORI, Torus};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a lock is for. It says who may write, and is proof of life: the kernel releases it when its holder is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockByte {
    /// The run: its supervisor.
    Run,
    /// A region: the torus's worker. It is of two bytes, see [`SegmentFile::try_take_over`]; who has either of them holds it.
    Region(Torus),
    /// The audit page: the scrubber.
    Audit,
    /// A lane to all tori: its client.
    Lane(u32),
}

const FIRST_REGION: u64 = 1;
const AUDIT: u64 = 7;
const FIRST_LANE: u64 = 16;
/// Bytes of the file that carry locks.
pub(super) const LOCK_BYTES: u64 = FIRST_LANE + 32;
const _: () = assert!(LOCK_BYTES <= 64 && FIRST_REGION + 2 * TORI as u64 <= AUDIT && AUDIT < FIRST_LANE);

impl LockByte {
    /// The bytes of the file: 0 for the run, two for each region from 1 on, 7 for the audit page, 16 and up for the lanes.
    pub const fn bytes(self) -> Range<u64> {
        let first = match self {
            LockByte::Run => 0,
            LockByte::Region(torus) => return settled(torus).start..heir(torus).end,
            LockByte::Audit => AUDIT,
            LockByte::Lane(lane) => FIRST_LANE + lane as u64,
        };
        first..first + 1
    }
}

/// The byte of a region that its worker has.
const fn settled(torus: Torus) -> Range<u64> {
    let first = FIRST_REGION + 2 * torus.index() as u64;
    first..first + 1
}

/// The byte of a region that a successor has until it has the other one.
const fn heir(torus: Torus) -> Range<u64> {
    settled(torus).end..settled(torus).end + 1
}

/// Which bytes this holder has locked, a bit for each: the kernel does not tell a description about its own.
#[derive(Debug, Default)]
pub(super) struct HeldLocks(AtomicU64);

impl HeldLocks {
    // Ordering: Relaxed in all three; the bits say what this process did and order nothing.
    fn set(&self, bytes: &Range<u64>) {
        self.0.fetch_or(bits(bytes), Ordering::Relaxed);
    }

    fn clear(&self, bytes: &Range<u64>) {
        self.0.fetch_and(!bits(bytes), Ordering::Relaxed);
    }

    fn of(&self, bytes: &Range<u64>) -> u64 {
        self.0.load(Ordering::Relaxed) & bits(bytes)
    }
}

fn bits(bytes: &Range<u64>) -> u64 {
    bytes.clone().fold(0, |bits, byte| bits | 1 << byte)
}

impl SegmentFile {
    fn check_lane(&self, lock: LockByte) -> Result<(), SegmentError> {
        match lock {
            LockByte::Lane(lane) if lane as usize >= self.layout().geometry.lanes => {
                Err(SegmentError::NoSuchPart {
                    path: self.path().to_owned(),
                    what: format!("lane {lane}"),
                })
            }
            _ => Ok(()),
        }
    }

    /// Takes a lock if nobody else holds it; says whether this holder has it now. It keeps it until it unlocks it, is
    /// dropped, or dies.
    ///
    /// # Errors
    /// [`SegmentError::Replaced`] if the path no longer names this file (the lock is given back then);
    /// [`SegmentError::NoSuchPart`] for a lane that the run does not have; what fcntl(2) reports.
    pub fn try_lock(&self, lock: LockByte) -> Result<bool, SegmentError> {
        self.check_lane(lock)?;
        self.take(lock.bytes())
    }

    /// Takes a region over for a worker, before that writes its first word; says whether it did. It is to be settled
    /// afterwards, until that succeeds.
    ///
    /// The kernel releases a dead worker's lock only when it has torn its memory down. A successor that can tell by other
    /// means that its predecessor writes nothing any more need not wait for that: `predecessor_is_dead` is asked for the
    /// process that the status cell names. Two bytes see to it that this process is the one that has the lock, and that only one successor
    /// takes over. A worker takes the second byte, then the first, if it is free; it says who it is; and it gives the
    /// second one back when it has the first ([`SegmentFile::settle`]). All others take both at once. So whoever has the
    /// second byte, and finds the first one taken, finds it taken by a worker that has said who it is, or by one that such
    /// a worker has found dead.
    ///
    /// # Errors
    /// As [`SegmentFile::try_lock`].
    pub fn try_take_over(
        &self,
        torus: Torus,
        predecessor_is_dead: impl FnOnce() -> bool,
    ) -> Result<bool, SegmentError> {
        if !self.take(heir(torus))? {
            return Ok(false);
        }
        let taken = self
            .take(settled(torus))
            .map(|is_free| is_free || predecessor_is_dead());
        if !matches!(taken, Ok(true)) {
            self.give_back(heir(torus))?;
        }
        taken
    }

    /// Takes the first byte of a region that has been taken over, if its last holder has let go of it by now, and gives the
    /// second one back then; says whether it did. To be called when the worker has said who it is.
    ///
    /// # Errors
    /// As [`SegmentFile::try_lock`].
    pub fn settle(&self, torus: Torus) -> Result<bool, SegmentError> {
        let is_settled = self.take(settled(torus))?;
        if is_settled {
            self.give_back(heir(torus))?;
        }
        Ok(is_settled)
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// What fcntl(2) reports.
    pub fn unlock(&self, lock: LockByte) -> Result<(), SegmentError> {
        self.check_lane(lock)?;
        self.give_back(lock.bytes())
    }

    /// Whether this holder has the lock: of a region, one of its bytes.
    pub fn holds(&self, lock: LockByte) -> bool {
        self.check_lane(lock).is_ok() && self.held.of(&lock.bytes()) != 0
    }

    /// Whether anyone holds the lock, this holder included.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchPart`] for a lane that the run does not have; what fcntl(2) reports.
    pub fn is_locked(&self, lock: LockByte) -> Result<bool, SegmentError> {
        Ok(self.holds(lock) || self.is_locked_by_another(lock)?)
    }

    /// Whether another holder (another opening of the file, of this process or of another) has the lock.
    ///
    /// # Errors
    /// As [`SegmentFile::is_locked`].
    pub fn is_locked_by_another(&self, lock: LockByte) -> Result<bool, SegmentError> {
        self.check_lane(lock)?;
        let held = ofd_lock::held_by_another(self.file(), lock.bytes());
        held.map_err(|errno| SegmentError::io("look at the locks of", self.path(), errno))
    }

    /// Takes all of some bytes, or none.
    fn take(&self, bytes: Range<u64>) -> Result<bool, SegmentError> {
        let io = |errno: nix::errno::Errno| SegmentError::io("lock", self.path(), errno);
        if self.held.of(&bytes) == bits(&bytes) {
            return Ok(true);
        }
        if !ofd_lock::try_lock(self.file(), bytes.clone()).map_err(io)? {
            return Ok(false);
        }
        if Inode::at(self.path()) != Some(self.inode) {
            ofd_lock::unlock(self.file(), bytes).map_err(io)?;
            return Err(SegmentError::Replaced {
                path: self.path().to_owned(),
            });
        }
        self.held.set(&bytes);
        Ok(true)
    }

    fn give_back(&self, bytes: Range<u64>) -> Result<(), SegmentError> {
        let result = ofd_lock::unlock(self.file(), bytes.clone());
        result.map_err(|errno| SegmentError::io("unlock", self.path(), errno))?;
        self.held.clear(&bytes);
        Ok(())
    }
}
