//! A journal in memory, for the simulator: it outlives the member that appends to it, as a file does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::{Appended, HEADER_BYTES, Journal, JournalError, Records, parse_from, too_short};

/// Stands for a path in errors.
const PATH: &str = "(memory)";

/// A shared byte buffer, and the copies kept for redos.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal(Rc<RefCell<Content>>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    redo: BTreeMap<u64, Vec<u8>>,
}

impl Content {
    fn part(&self, range: Range<u64>) -> Result<&[u8], JournalError> {
        let part = self.bytes.get(range.start as usize..range.end as usize);
        part.ok_or(too_short(PATH, self.bytes.len() as u64))
    }
}

impl MemoryJournal {
    /// A journal that holds these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        let redo = BTreeMap::new();
        Self(Rc::new(RefCell::new(Content { bytes, redo })))
    }

    /// A copy of all bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }
}

impl Journal for MemoryJournal {
    fn length(&self) -> u64 {
        self.0.borrow().bytes.len() as u64
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError> {
        self.0.borrow_mut().bytes.extend_from_slice(framed);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<(), JournalError> {
        let bytes = &mut self.0.borrow_mut().bytes;
        if (bytes.len() as u64) < length {
            return Err(too_short(PATH, bytes.len() as u64));
        }
        bytes.truncate(length as usize);
        Ok(())
    }

    fn records(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        let start = range.start;
        parse_from(self.0.borrow().part(range)?, start, PATH)
    }

    fn keep_for_redo(&mut self, number: u64, length: u64) -> Result<(), JournalError> {
        let content = &mut *self.0.borrow_mut();
        let first = content.part(0..length)?.to_vec();
        content.redo.entry(number).or_insert(first);
        Ok(())
    }

    fn redo(&mut self, number: u64) -> Result<Vec<Appended>, JournalError> {
        let redo = &self.0.borrow().redo;
        let kept = redo.get(&number).ok_or(too_short(PATH, 0))?;
        parse_from(&kept[HEADER_BYTES as usize..], HEADER_BYTES, PATH)
    }

    fn forget_redo(&mut self, number: u64) -> Result<(), JournalError> {
        self.0.borrow_mut().redo.remove(&number);
        Ok(())
    }
}

impl Records for MemoryJournal {
    fn records_between(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        self.records(range)
    }
}
