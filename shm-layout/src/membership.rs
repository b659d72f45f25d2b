//! The membership log: which torus is absent from which boundary. The supervisor appends, everyone reads, and nothing is
//! ever taken back: a torus that returns says so in frames, not here.
//!
//! A half-written entry is never seen: the count is stored last, and a successor of a supervisor that died before it
//! writes the entry anew.

use super::torus::Torus;
use super::words::{Own, View};

/// Absences that a run can have.
pub const MEMBERSHIPS: usize = 255;
/// Words of an entry, and of the head before the first one.
pub const MEMBERSHIP_WORDS: usize = 8;
/// Words of the log.
pub const MEMBERSHIP_LOG_WORDS: usize = (MEMBERSHIPS + 1) * MEMBERSHIP_WORDS;

const COUNT: usize = 0;

/// One entry: the others go on without a torus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsenceEntry {
    /// The torus that is absent.
    pub torus: Torus,
    /// The first boundary that the others enter without it.
    pub from: u64,
    /// How many frames it had committed.
    pub committed: u64,
    /// The interval from which it had taken part again after the absence before this one; 0: there was none.
    pub rejoined: u64,
    /// Wall-clock time of the declaration in ns since 1970.
    pub declared_ns: u64,
}

/// The log is full: no further absence can be declared, and the run waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the membership log is full: a run can have {MEMBERSHIPS} absences; the tori wait for the one that is away"
)]
pub struct LogFull;

fn start(number: u64) -> usize {
    // Callers stay below MEMBERSHIPS, so it fits.
    (number as usize + 1) * MEMBERSHIP_WORDS
}

/// The supervisor's end of the log.
#[derive(Debug)]
pub struct MembershipWriter<'s> {
    words: Own<'s>,
}

impl<'s> MembershipWriter<'s> {
    /// The log in `words`, [`MEMBERSHIP_LOG_WORDS`] long.
    pub fn new(words: Own<'s>) -> Self {
        debug_assert!(words.len() >= MEMBERSHIP_LOG_WORDS);
        Self { words }
    }

    /// The reading end of the same log.
    pub fn reader(&self) -> MembershipReader<'s> {
        MembershipReader {
            words: self.words.view(),
        }
    }

    /// Appends an entry. The caller holds the region lock of its torus, so that no frame is committed meanwhile.
    ///
    /// # Errors
    /// [`LogFull`].
    pub fn append(&self, entry: &AbsenceEntry) -> Result<(), LogFull> {
        let count = self.words.load(COUNT);
        if count >= MEMBERSHIPS as u64 {
            return Err(LogFull);
        }
        let words = [
            entry.torus.index() as u64 + 1,
            entry.from,
            entry.committed,
            entry.declared_ns,
            entry.rejoined,
        ];
        self.words.write(start(count), &words);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `MembershipReader::count`.
        self.words.store_release(COUNT, count + 1);
        Ok(())
    }
}

/// Everyone's view of the log.
#[derive(Clone, Copy, Debug)]
pub struct MembershipReader<'s> {
    words: View<'s>,
}

impl<'s> MembershipReader<'s> {
    /// The log in `words`, [`MEMBERSHIP_LOG_WORDS`] long.
    pub fn new(words: View<'s>) -> Self {
        debug_assert!(words.len() >= MEMBERSHIP_LOG_WORDS);
        Self { words }
    }

    /// How many entries there are.
    pub fn count(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `MembershipWriter::append`.
        self.words.load_acquire(COUNT).min(MEMBERSHIPS as u64)
    }

    /// Entry `number`; `None` if there is none, or it names no torus (damaged).
    pub fn entry(&self, number: u64) -> Option<AbsenceEntry> {
        if number >= self.count() {
            return None;
        }
        let mut words = [0; 5];
        self.words.read(start(number), &mut words);
        let index = usize::try_from(words[0].checked_sub(1)?).ok()?;
        Some(AbsenceEntry {
            torus: Torus::from_index(index)?,
            from: words[1],
            committed: words[2],
            declared_ns: words[3],
            rejoined: words[4],
        })
    }

    /// The entries from `first` on.
    pub fn entries(&self, first: u64) -> impl Iterator<Item = AbsenceEntry> + use<'s> {
        let log = *self;
        (first..self.count()).filter_map(move |number| log.entry(number))
    }

    /// The last absence of a torus.
    pub fn last_of(&self, torus: Torus) -> Option<AbsenceEntry> {
        self.entries(0).filter(|entry| entry.torus == torus).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    fn log() -> Vec<AtomicU64> {
        (0..MEMBERSHIP_LOG_WORDS).map(|_| AtomicU64::new(0)).collect()
    }

    fn entry(torus: Torus, from: u64) -> AbsenceEntry {
        AbsenceEntry {
            torus,
            from,
            committed: from - 3,
            rejoined: from - 1,
            declared_ns: 9,
        }
    }

    #[test]
    fn entries_are_read_back_in_order_and_the_log_has_an_end() {
        let words = log();
        let writer = MembershipWriter::new(Own::new(&words));
        let reader = writer.reader();
        assert_eq!((reader.count(), reader.last_of(Torus::A)), (0, None));
        for from in 3..3 + MEMBERSHIPS as u64 {
            let torus = Torus::ALL[from as usize % 3];
            assert_eq!(writer.append(&entry(torus, from)), Ok(()));
        }
        assert_eq!(writer.append(&entry(Torus::A, 999)), Err(LogFull));
        assert_eq!(reader.entries(0).count(), MEMBERSHIPS);
        assert_eq!(reader.entry(1), Some(entry(Torus::B, 4)));
        assert_eq!(reader.last_of(Torus::B), Some(entry(Torus::B, 256)));
        assert_eq!(reader.entry(MEMBERSHIPS as u64), None);
    }

    #[test]
    fn an_entry_before_its_count_is_not_seen_and_a_damaged_one_is_none() {
        let words = log();
        let own = Own::new(&words);
        own.write(start(0), &[2, 7, 4, 1]);
        let reader = MembershipReader::new(View::new(&words));
        assert_eq!(reader.entry(0), None);
        own.store(COUNT, 1);
        assert!(reader.entry(0).is_some());
        own.store(start(0), 77);
        assert_eq!(reader.entry(0), None);
        own.store(COUNT, u64::MAX);
        assert_eq!(reader.count(), MEMBERSHIPS as u64);
    }
}
