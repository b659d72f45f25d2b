//! The audit page: what the scrubber has found out about the committed intervals of each torus.
//!
//! One page of words that the scrubber writes and everyone reads. A torus's *cleared* checkpoint is one whose whole past
//! has been executed again and compared; with scrubbing on, workers keep everything that a replay from it needs. A
//! [`Finding`] is published once; the scrubber then stops until the supervisor's order has been carried out
//! ([`crate::rollback`]).

use super::cells::Field;
use super::identity;
use super::phase::Identity;
use super::torus::{TORI, Torus};
use super::words::{Own, View};

/// Words of the audit page.
pub const AUDIT_WORDS: usize = 512;

const FINDING_NUMBER: usize = 32;
const FINDING: usize = 33;
const FINDING_WORDS: usize = 6;

/// What differed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The frame that closes the interval is not the one that its re-execution gives.
    Frame,
    /// All frames agree, but the checkpoint at the boundary holds another state.
    State,
    /// The re-execution could not be carried to the end of the interval.
    Error,
    /// A successor's replay gave another frame than its predecessor had committed.
    Replay,
}

impl Difference {
    /// Its name, as `status` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Difference::Frame => "frame",
            Difference::State => "state",
            Difference::Error => "error",
            Difference::Replay => "replay",
        }
    }

    pub(crate) const fn word(self) -> u64 {
        self as u64
    }

    pub(crate) const fn from_word(word: u64) -> Option<Difference> {
        match word {
            0 => Some(Difference::Frame),
            1 => Some(Difference::State),
            2 => Some(Difference::Error),
            3 => Some(Difference::Replay),
            _ => None,
        }
    }
}

/// The first interval of a torus that is not what its re-execution gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The torus.
    pub torus: Torus,
    /// The interval; for [`Difference::State`], the boundary of the checkpoint: all frames below it agree.
    pub interval: u64,
    /// What differed.
    pub difference: Difference,
    /// The boundary that the torus had reached when this was found.
    pub found_at: u64,
    /// The committed digest: of the chain, or of the state.
    pub committed: u64,
    /// The digest of the re-execution.
    pub executed: u64,
}

impl Finding {
    fn to_words(self) -> [u64; FINDING_WORDS] {
        [
            self.torus.index() as u64,
            self.interval,
            self.difference.word(),
            self.found_at,
            self.committed,
            self.executed,
        ]
    }

    fn from_words(words: &[u64; FINDING_WORDS]) -> Option<Finding> {
        Some(Finding {
            torus: Torus::from_index(usize::try_from(words[0]).ok()?)?,
            interval: words[1],
            difference: Difference::from_word(words[2])?,
            found_at: words[3],
            committed: words[4],
            executed: words[5],
        })
    }
}

const EXTRA: &[Field] = &[
    identity::FIELDS[0],
    identity::FIELDS[1],
    identity::FIELDS[2],
    identity::FIELDS[3],
    Field {
        name: "finding_number",
        first: FINDING_NUMBER,
        words: 1,
    },
    Field {
        name: "finding",
        first: FINDING,
        words: FINDING_WORDS,
    },
];

/// The scrubber's end of the audit page.
#[derive(Debug)]
pub struct AuditWriter<'s> {
    words: Own<'s>,
}

/// Everyone's view of the audit page.
#[derive(Clone, Copy, Debug)]
pub struct AuditReader<'s> {
    words: View<'s>,
}

word_table! {
    writer AuditWriter, reader AuditReader;
    words {
        /// Rises with every interval executed again and with every pass of a waiting loop.
        heartbeat, set_heartbeat @ 8;
        /// Intervals executed again and compared, by all scrubbers of the run together.
        audits, set_audits @ 9;
        /// Checkpoints loaded and compared, by all scrubbers of the run together.
        states, set_states @ 10;
    }
    arrays {
        /// All frames of a torus below this are what their re-execution gave.
        verified, set_verified, Torus => Torus::index, TORI, @ 16;
        /// The newest checkpoint of a torus whose whole past has been audited; 0 is the configuration.
        cleared, set_cleared, Torus => Torus::index, TORI, @ 24;
        /// The boundary of a torus's end at which the published digest of its state is that of the re-execution; 0: none.
        confirmed, set_confirmed, Torus => Torus::index, TORI, @ 28;
        /// That digest; written before the boundary. A successor may publish another one.
        confirmed_digest, set_confirmed_digest, Torus => Torus::index, TORI, @ 40;
    }
}

impl<'s> AuditWriter<'s> {
    /// The page in `words`, [`AUDIT_WORDS`] long.
    pub fn new(words: Own<'s>) -> Self {
        debug_assert!(words.len() >= AUDIT_WORDS);
        Self { words }
    }

    /// The reading end of the same page.
    pub fn reader(&self) -> AuditReader<'s> {
        AuditReader {
            words: self.words.view(),
        }
    }

    /// Says which process the scrubber is. Readers see either no process (pid 0) or a whole identity.
    pub fn set_identity(&self, identity: &Identity) {
        identity::write(&self.words, identity);
    }

    /// Publishes a finding. The one before has been dealt with: a scrubber that has found something stops.
    pub fn publish_finding(&self, finding: &Finding) {
        self.words.write(FINDING, &finding.to_words());
        let number = self.words.load(FINDING_NUMBER) + 1;
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `AuditReader::finding_number`.
        self.words.store_release(FINDING_NUMBER, number);
    }

    /// Takes over what another segment's audit page says; for a rebuilt segment, whose scrubber has not been started.
    pub fn take_over(&self, from: &AuditReader<'_>) {
        for torus in Torus::ALL {
            self.set_cleared(torus, from.cleared(torus));
            self.set_verified(torus, from.verified(torus));
        }
        self.set_audits(from.audits());
        self.set_states(from.states());
        let mut words = [0; FINDING_WORDS];
        from.words.read(FINDING, &mut words);
        self.words.write(FINDING, &words);
        // Ordering: Release (in `store_release`); synchronizes with the Acquire in `AuditReader::finding_number`.
        self.words.store_release(FINDING_NUMBER, from.finding_number());
    }
}

impl<'s> AuditReader<'s> {
    /// The page in `words`, [`AUDIT_WORDS`] long.
    pub fn new(words: View<'s>) -> Self {
        debug_assert!(words.len() >= AUDIT_WORDS);
        Self { words }
    }

    /// Which process the scrubber is; `None` if none has held the lock yet, or one is just writing this.
    pub fn identity(&self) -> Option<Identity> {
        identity::read(self.words)
    }

    /// Findings ever published.
    pub fn finding_number(&self) -> u64 {
        // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `AuditWriter::publish_finding`.
        self.words.load_acquire(FINDING_NUMBER)
    }

    /// The newest finding, if there ever was one. Whole, because its writer stops after it; `None` also if damaged.
    pub fn finding(&self) -> Option<Finding> {
        if self.finding_number() == 0 {
            return None;
        }
        let mut words = [0; FINDING_WORDS];
        self.words.read(FINDING, &mut words);
        Finding::from_words(&words)
    }
}

/// Every field of the page with its words, in order.
pub fn fields() -> Vec<Field> {
    let mut fields: Vec<_> = FIELDS.iter().chain(EXTRA).copied().collect();
    fields.sort_by_key(|field| field.first);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    #[test]
    fn fields_do_not_overlap() {
        assert!(crate::cells::disjoint(FIELDS, EXTRA, AUDIT_WORDS));
    }

    #[test]
    fn a_finding_is_published_whole_and_counted() {
        let page: Vec<_> = (0..AUDIT_WORDS).map(|_| AtomicU64::new(0)).collect();
        let writer = AuditWriter::new(Own::new(&page));
        let reader = writer.reader();
        assert_eq!(reader.finding(), None);
        let mut finding = Finding {
            torus: Torus::B,
            interval: 7,
            difference: Difference::State,
            found_at: 9,
            committed: 1,
            executed: 2,
        };
        for difference in [
            Difference::Frame,
            Difference::State,
            Difference::Error,
            Difference::Replay,
        ] {
            finding.difference = difference;
            writer.publish_finding(&finding);
            assert_eq!(reader.finding(), Some(finding));
        }
        assert_eq!(reader.finding_number(), 4);
        Own::new(&page).store(FINDING, 3);
        assert_eq!(reader.finding(), None, "there is no fourth torus");
    }

    #[test]
    fn a_rebuilt_page_goes_on_where_the_old_one_ended() {
        let pages = [0, 1].map(|_| (0..AUDIT_WORDS).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let [old, new] = pages.each_ref().map(|page| AuditWriter::new(Own::new(page)));
        old.set_cleared(Torus::C, 5);
        old.set_audits(100);
        new.take_over(&old.reader());
        assert_eq!((new.reader().cleared(Torus::C), new.reader().audits()), (5, 100));
        assert_eq!(new.reader().finding_number(), 0);
    }
}
