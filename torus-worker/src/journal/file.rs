//! A journal in a file.
//!
//! Appends are plain writes: they survive the death of the process, which is what Braid promises, and not that of the
//! machine (docs/RECOVERY.md). The file is created by the supervisor before any worker starts.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use shm_layout::config::RunConfig;
use shm_layout::torus::Torus;

use super::{
    Appended, HEADER_BYTES, Journal, JournalError, Record, check_header, header, parse, parse_from, redo,
    too_short,
};

/// The journal file of one torus.
#[derive(Debug)]
pub struct FileJournal {
    file: File,
    path: PathBuf,
    length: u64,
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> JournalError {
    let path = path.display().to_string();
    move |source| JournalError::Io { action, path, source }
}

impl FileJournal {
    /// Creates an empty journal, replacing an older one.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn create(path: &Path, config: &RunConfig, torus: Torus) -> Result<(), JournalError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(io("create", path))?;
        file.write_all(&header(config, torus)).map_err(io("write", path))
    }

    /// Opens an existing journal to append to it.
    ///
    /// # Errors
    /// [`JournalError`] if it is missing, or belongs to another torus, run or version.
    pub fn open(path: &Path, config: &RunConfig, torus: Torus) -> Result<Self, JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io("open", path))?;
        let mut head = Vec::with_capacity(HEADER_BYTES as usize);
        (&mut file)
            .take(HEADER_BYTES)
            .read_to_end(&mut head)
            .map_err(io("read", path))?;
        check_header(&head, config, torus, &path.display().to_string())?;
        let length = file.seek(SeekFrom::End(0)).map_err(io("read", path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length,
        })
    }

    /// Reads all records of a journal.
    ///
    /// # Errors
    /// [`JournalError`] if it is missing, foreign or damaged.
    pub fn read(path: &Path, config: &RunConfig, torus: Torus) -> Result<Vec<Record>, JournalError> {
        let bytes = std::fs::read(path).map_err(io("read", path))?;
        parse(&bytes, config, torus, &path.display().to_string())
    }
}

impl FileJournal {
    /// Its first `length` bytes.
    fn first(&self, length: u64) -> Result<Vec<u8>, JournalError> {
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact_at(&mut bytes, 0)
            .map_err(io("read", &self.path))?;
        Ok(bytes)
    }
}

impl Journal for FileJournal {
    fn length(&self) -> u64 {
        self.length
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), JournalError> {
        self.file.write_all(framed).map_err(io("append to", &self.path))?;
        self.length += framed.len() as u64;
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<(), JournalError> {
        if self.length < length {
            return Err(too_short(&self.path.display().to_string(), self.length));
        }
        self.file.set_len(length).map_err(io("truncate", &self.path))?;
        self.file
            .seek(SeekFrom::End(0))
            .map_err(io("truncate", &self.path))?;
        self.length = length;
        Ok(())
    }

    fn keep_for_redo(&mut self, number: u64, length: u64) -> Result<(), JournalError> {
        redo::keep(&self.path, number, &self.first(length)?)
    }

    fn redo(&mut self, number: u64) -> Result<Vec<Appended>, JournalError> {
        redo::read(&self.path, number, &self.first(HEADER_BYTES)?)
    }

    fn forget_redo(&mut self, number: u64) -> Result<(), JournalError> {
        redo::forget(&self.path, number)
    }

    fn records(&mut self, range: Range<u64>) -> Result<Vec<Appended>, JournalError> {
        let path = self.path.display().to_string();
        if self.length < range.end {
            return Err(too_short(&path, self.length));
        }
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(io("read", &self.path))?;
        parse_from(&bytes, range.start, &path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::frame;

    #[test]
    fn a_copy_for_a_redo_is_made_once_read_back_and_removed() {
        let folder = std::env::temp_dir().join(format!("braid-redo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let path = folder.join("journal.B");
        let mut config = RunConfig::new("redo", "phold");
        // What an earlier run of the same name has left is not this run's.
        config.run_id = 1;
        std::fs::write(folder.join("journal.B.redo-1"), header(&config, Torus::B)).expect("ours");
        config.run_id = 2;
        FileJournal::create(&path, &config, Torus::B).expect("created");
        let mut journal = FileJournal::open(&path, &config, Torus::B).expect("ours");
        let mark = |interval| Record::Mark { interval, chain: 5 };
        let mut framed = Vec::new();
        frame(&mark(3), &mut framed);
        journal.append(&framed).expect("room");
        let length = journal.length();
        journal.append(&framed).expect("room");
        assert!(journal.redo(1).is_err(), "another run's");
        journal.keep_for_redo(1, length).expect("room");
        journal.truncate(HEADER_BYTES).expect("longer");
        journal.keep_for_redo(1, HEADER_BYTES).expect("kept already");
        let records: Vec<_> = journal
            .redo(1)
            .expect("kept")
            .into_iter()
            .map(|kept| kept.record)
            .collect();
        assert_eq!(records, [mark(3)]);
        journal.forget_redo(1).expect("there");
        journal.forget_redo(1).expect("gone already");
        assert!(journal.redo(1).is_err());
        std::fs::remove_dir_all(&folder).expect("ours");
    }
}
