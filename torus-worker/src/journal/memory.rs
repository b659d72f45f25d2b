//! A journal in memory, for the simulator: it outlives the member that appends to it, as a file does.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use super::{Appended, Journal, JournalError, parse_from, too_short};

/// Stands for a path in errors.
const PATH: &str = "(memory)";

/// A shared byte buffer.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal(Rc<RefCell<Vec<u8>>>);

impl MemoryJournal {
    /// A journal that holds these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Rc::new(RefCell::new(bytes)))
    }

    /// A copy of all bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }
}

impl Journal for MemoryJournal {
    fn length(&self) -> u64 {
        self.0.borrow().len() as u64
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError> {
        self.0.borrow_mut().extend_from_slice(framed);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<(), JournalError> {
        let mut bytes = self.0.borrow_mut();
        if (bytes.len() as u64) < length {
            return Err(too_short(PATH, bytes.len() as u64));
        }
        bytes.truncate(length as usize);
        Ok(())
    }

    fn records(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        let bytes = self.0.borrow();
        let records = bytes.get(range.start as usize..range.end as usize);
        parse_from(
            records.ok_or(too_short(PATH, bytes.len() as u64))?,
            range.start,
            PATH,
        )
    }
}
