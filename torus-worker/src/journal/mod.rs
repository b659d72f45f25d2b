//! The journal of one torus: all that the configuration of a run does not determine.
//!
//! A run is its configuration plus its journals. A record is appended before the frame of the interval that it belongs
//! to is committed, and frames and checkpoints name the journal's length; a successor truncates to the length that the
//! last committed frame names, so a record that was half written, or whose frame never appeared, is gone.
//!
//! A rollback takes records back, too. It keeps a copy of the journal beside it, from which their intake is taken in again.
//!
//! File format: a header of 40 bytes (magic, version, torus, run id, identity hash), then records, each a length and a
//! checksum (both u32, little-endian) followed by as many bytes of postcard.

mod file;
mod memory;
mod redo;
mod view;

pub use file::FileJournal;
pub use memory::MemoryJournal;
pub use view::{FileRecords, Records};

use std::ops::Range;

use serde::{Deserialize, Serialize};
use shm_layout::config::RunConfig;
use shm_layout::hash;
use shm_layout::torus::Torus;

use crate::node::Injection;

/// "BRAIDJNL".
const MAGIC: [u8; 8] = *b"BRAIDJNL";
/// Raised whenever a record's meaning changes.
const VERSION: u32 = 2;
/// Bytes before the first record.
pub const HEADER_BYTES: u64 = 40;
/// Bytes before a record's content.
const FRAMING_BYTES: usize = 8;
/// A record is far smaller: a boundary takes in at most the entries of all lanes.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// Something that happened to a torus and that its configuration does not determine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Events from the lanes, and the boundary that took them in.
    Intake {
        /// The boundary.
        boundary: u64,
        /// The read position of each lane after it.
        lanes: Vec<u64>,
        /// The entries, in the order in which they were queued.
        injected: Vec<Injection>,
    },
    /// The digest chain of the frame that closes an interval, now and then, so that `verify` can say where runs part.
    Mark {
        /// The interval that the frame closes.
        interval: u64,
        /// The chain value of the frame.
        chain: u64,
    },
    /// The boundary at which the run ended or was stopped.
    Stop {
        /// The boundary.
        boundary: u64,
    },
    /// A torus is absent, as this one learnt from the supervisor.
    Absence {
        /// The boundary at which this torus learnt it.
        boundary: u64,
        /// Index of the torus that is absent.
        torus: u8,
        /// The first boundary that the others enter without it.
        from: u64,
        /// The interval from which it had taken part again after the absence before; 0: there was none.
        rejoined: u64,
    },
    /// A torus takes part again, as this one decided in the frame of `boundary`, or learnt while it was absent itself.
    Rejoin {
        /// The boundary at which it did.
        boundary: u64,
        /// Index of the torus that returns.
        torus: u8,
        /// The first interval in which it takes part.
        interval: u64,
    },
}

/// A change of membership, from a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Someone is absent from a boundary.
    Absence {
        /// Who.
        torus: Torus,
        /// From which boundary.
        from: u64,
        /// From which interval it had taken part again before.
        rejoined: u64,
    },
    /// Someone takes part again from an interval.
    Rejoin(Torus, u64),
}

impl Record {
    /// The boundary that it belongs to; none for a mark, which belongs to an interval's end.
    pub fn boundary(&self) -> Option<u64> {
        match self {
            Record::Intake { boundary, .. }
            | Record::Stop { boundary }
            | Record::Absence { boundary, .. }
            | Record::Rejoin { boundary, .. } => Some(*boundary),
            Record::Mark { .. } => None,
        }
    }

    /// The change of membership that it records, if it does.
    pub fn change(&self) -> Option<Change> {
        match *self {
            Record::Absence {
                torus,
                from,
                rejoined,
                ..
            } => Some(Change::Absence {
                torus: Torus::from_index(torus.into())?,
                from,
                rejoined,
            }),
            Record::Rejoin { torus, interval, .. } => {
                Some(Change::Rejoin(Torus::from_index(torus.into())?, interval))
            }
            _ => None,
        }
    }
}

/// A record, and the journal's length after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The record.
    pub record: Record,
    /// The journal's length in bytes up to and including it.
    pub end: u64,
}

/// Whether the frame of interval `n` leaves a mark: 256 of the first, then at about each 1/256 of the way, so that the
/// journal of a run of any length stays small. A function of the interval alone, as replay must agree.
pub fn leaves_mark(n: u64) -> bool {
    n < 256 || n.is_multiple_of(1 << (n.ilog2() - 7))
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("cannot {action} the journal {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: String,
        /// The reason.
        source: std::io::Error,
    },
    /// It is not the journal of this torus of this run.
    #[error(
        "{path} is not the journal of torus {torus} of this run: {what}; restore it, or remove the run with `clean`"
    )]
    Foreign {
        /// The file.
        path: String,
        /// The torus.
        torus: char,
        /// What differs.
        what: &'static str,
    },
    /// A record is damaged, or the file is shorter than the run says.
    #[error("the journal {path} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// Where the damaged record begins, in bytes.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Where a torus appends what it took in.
pub trait Journal {
    /// Its length in bytes, header included.
    fn length(&self) -> u64;
    /// Appends framed records.
    ///
    /// # Errors
    /// [`JournalError::Io`], for example when the disk is full.
    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError>;
    /// Cuts it to a length that a committed frame or a checkpoint names.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if it is shorter than that.
    fn truncate(&mut self, length: u64) -> Result<(), JournalError>;
    /// Reads the records between two lengths that a checkpoint and a committed frame name.
    ///
    /// # Errors
    /// [`JournalError`] if it cannot be read, is damaged, or is shorter than that.
    fn records(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError>;
    /// Keeps a copy of its first `length` bytes for rollback `number`, whole or not at all. A copy that is there already
    /// stays: it was made before the rollback took anything back.
    ///
    /// # Errors
    /// [`JournalError`], for example when the disk is full.
    fn keep_for_redo(&mut self, number: u64, length: u64) -> Result<(), JournalError>;
    /// The records of the copy that was kept for rollback `number`.
    ///
    /// # Errors
    /// [`JournalError`] if it is not there, or damaged.
    fn redo(&mut self, number: u64) -> Result<Vec<Appended>, JournalError>;
    /// Removes that copy, if there is one.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn forget_redo(&mut self, number: u64) -> Result<(), JournalError>;
}

/// The header of the journal of one torus of a run.
pub fn header(config: &RunConfig, torus: Torus) -> [u8; HEADER_BYTES as usize] {
    let mut bytes = [0; HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&(torus.index() as u32).to_le_bytes());
    bytes[16..24].copy_from_slice(&config.run_id.to_le_bytes());
    bytes[24..32].copy_from_slice(&config.identity_hash().to_le_bytes());
    let sum = hash::bytes(&bytes[..32]);
    bytes[32..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Appends a record with its framing to `out`.
pub fn frame(record: &Record, out: &mut Vec<u8>) {
    // Serializing into memory fails only for types postcard cannot express; these are plain enums and vectors.
    let content = postcard::to_allocvec(record).unwrap_or_default();
    debug_assert!(
        !content.is_empty() && content.len() <= RECORD_BYTES_MAX,
        "a record is small and never empty"
    );
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.extend_from_slice(&checksum(&content).to_le_bytes());
    out.extend_from_slice(&content);
}

fn checksum(content: &[u8]) -> u32 {
    hash::bytes(content) as u32
}

/// Reads the records of a whole journal, after checking its header.
///
/// # Errors
/// [`JournalError::Foreign`] or [`JournalError::Damaged`]; `path` only names the journal in them.
pub fn parse(
    bytes: &[u8],
    config: &RunConfig,
    torus: Torus,
    path: &str,
) -> Result<Vec<Record>, JournalError> {
    check_header(bytes, config, torus, path)?;
    let appended = parse_from(&bytes[HEADER_BYTES as usize..], HEADER_BYTES, path)?;
    Ok(appended.into_iter().map(|appended| appended.record).collect())
}

/// What a journal is that ends before the length that a committed frame names.
fn too_short(path: &str, length: u64) -> JournalError {
    JournalError::Damaged {
        path: path.to_owned(),
        offset: length,
        what: "it is shorter than the last committed frame says",
    }
}

/// Reads the records in `bytes`, which begin `offset` bytes into the journal.
fn parse_from(bytes: &[u8], offset: u64, path: &str) -> Result<Vec<Appended>, JournalError> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let damaged = |what| JournalError::Damaged {
            path: path.to_owned(),
            offset: offset + at as u64,
            what,
        };
        let (content, next) = content_at(bytes, at).map_err(damaged)?;
        let record = postcard::from_bytes(content).map_err(|_| damaged("the record is of no known kind"))?;
        records.push(Appended {
            record,
            end: offset + next as u64,
        });
        at = next;
    }
    Ok(records)
}

fn check_header(bytes: &[u8], config: &RunConfig, torus: Torus, path: &str) -> Result<(), JournalError> {
    let foreign = |what| JournalError::Foreign {
        path: path.to_owned(),
        torus: torus.letter(),
        what,
    };
    let expected = header(config, torus);
    let found = bytes
        .get(..expected.len())
        .ok_or(foreign("it is shorter than a header"))?;
    if found[..8] != expected[..8] {
        return Err(foreign("it does not begin with the magic word"));
    }
    if found[8..12] != expected[8..12] {
        return Err(foreign("it is of another version"));
    }
    if found != expected {
        return Err(foreign("its run id, torus or configuration differs"));
    }
    Ok(())
}

/// The content of the record at `offset`, and where the next one begins.
fn content_at(bytes: &[u8], offset: usize) -> Result<(&[u8], usize), &'static str> {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .and_then(|w| w.try_into().ok())
            .map(u32::from_le_bytes)
    };
    let (Some(length), Some(sum)) = (word(offset), word(offset + 4)) else {
        return Err("the record's framing is cut off");
    };
    let from = offset + FRAMING_BYTES;
    let content = bytes
        .get(from..from + length as usize)
        .ok_or("the record is cut off")?;
    if checksum(content) != sum {
        return Err("the record's checksum differs");
    }
    Ok((content, from + content.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(records: &[Record]) -> (RunConfig, Vec<u8>) {
        let config = RunConfig::new("journaled", "phold");
        let mut bytes = header(&config, Torus::B).to_vec();
        records.iter().for_each(|record| frame(record, &mut bytes));
        (config, bytes)
    }

    fn some_records() -> Vec<Record> {
        let entry = shm_layout::record::LaneEntry {
            at: 7,
            dst: 3,
            src: shm_layout::record::Source(9),
            payload: -5,
            kind: 0,
        };
        vec![
            Record::Mark {
                interval: 0,
                chain: 1,
            },
            Record::Intake {
                boundary: 4,
                lanes: vec![0, 0, 1],
                injected: vec![Injection { lane: 2, entry }],
            },
            Record::Stop { boundary: 9 },
            Record::Absence {
                boundary: 9,
                torus: 2,
                from: 11,
                rejoined: 0,
            },
            Record::Rejoin {
                boundary: 20,
                torus: 2,
                interval: 24,
            },
        ]
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let (config, bytes) = journal(&some_records());
        assert_eq!(
            parse(&bytes, &config, Torus::B, "j").expect("well formed"),
            some_records()
        );
    }

    #[test]
    fn every_cut_inside_a_record_and_every_flipped_byte_is_reported() {
        let (config, bytes) = journal(&some_records()[1..2]);
        for cut in 1..bytes.len() - 1 {
            if cut != HEADER_BYTES as usize {
                assert!(
                    parse(&bytes[..cut], &config, Torus::B, "j").is_err(),
                    "cut at {cut}"
                );
            }
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert!(
                parse(&flipped, &config, Torus::B, "j").is_err(),
                "flipped byte {at}"
            );
        }
    }

    #[test]
    fn the_journal_of_another_torus_or_run_is_refused() {
        let (config, bytes) = journal(&[]);
        assert!(matches!(
            parse(&bytes, &config, Torus::A, "j"),
            Err(JournalError::Foreign { .. })
        ));
        let other = RunConfig {
            run_id: config.run_id ^ 1,
            ..config
        };
        assert!(matches!(
            parse(&bytes, &other, Torus::B, "j"),
            Err(JournalError::Foreign { .. })
        ));
    }

    #[test]
    fn marks_grow_with_the_logarithm_of_the_run() {
        let marks = (0..1_u64 << 20).filter(|n| leaves_mark(*n)).count();
        assert!(
            (1000..4000).contains(&marks),
            "{marks} marks in a million intervals"
        );
        assert!(leaves_mark(u64::MAX << 60));
    }
}
