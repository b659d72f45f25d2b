//! Reading words one after the other.

use super::LoadError;

/// Words, and how far they have been read.
pub(super) struct Reader<'a> {
    words: &'a [u64],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(words: &'a [u64]) -> Self {
        Reader { words, at: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u64], LoadError> {
        let taken = self.words[self.at..].get(..count).ok_or(LoadError::Length {
            found: self.words.len(),
        })?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u64; N], LoadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn word(&mut self) -> Result<u64, LoadError> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn wrong(&self, what: &'static str) -> LoadError {
        LoadError::Content { word: self.at, what }
    }

    pub(super) fn finish(self) -> Result<(), LoadError> {
        if self.at == self.words.len() {
            Ok(())
        } else {
            Err(LoadError::Length {
                found: self.words.len(),
            })
        }
    }
}
