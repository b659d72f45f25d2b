//! A journal in memory, for the simulator: it outlives the member that appends to it, as a file does.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Appended, Journal, JournalError, parse_from};

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
            let what = "it is shorter than the last committed frame says";
            return Err(JournalError::Damaged {
                path: "(memory)".to_owned(),
                offset: bytes.len() as u64,
                what,
            });
        }
        bytes.truncate(length as usize);
        Ok(())
    }

    fn records_from(&mut self, length: u64) -> Result<Vec<Appended>, JournalError> {
        let bytes = self.0.borrow();
        parse_from(
            bytes.get(length as usize..).unwrap_or_default(),
            length,
            "(memory)",
        )
    }
}
