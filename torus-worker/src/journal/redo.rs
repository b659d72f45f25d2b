//! The copy of a journal that a rollback keeps beside it: `journal.B.redo-N`, until all that it holds has been executed
//! again.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::file::io;
use super::{Appended, HEADER_BYTES, JournalError, parse_from};

/// Where the copy of the journal at `journal` stands for the rollback with this number.
pub(super) fn path(journal: &Path, number: u64) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(format!(".redo-{number}"));
    path.into()
}

/// Keeps `bytes`, a journal with its header, as the copy for rollback `number`: whole or not at all. A copy of the same
/// journal that is there already stays: it was made before anything was taken back.
pub(super) fn keep(journal: &Path, number: u64, bytes: &[u8]) -> Result<(), JournalError> {
    let path = path(journal, number);
    if std::fs::read(&path).is_ok_and(|kept| is_of(&kept, bytes)) {
        return Ok(());
    }
    let mut unfinished = path.clone().into_os_string();
    unfinished.push(".new");
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io("create", &unfinished))?;
    file.write_all(bytes).map_err(io("write", &unfinished))?;
    file.sync_all().map_err(io("write", &unfinished))?;
    std::fs::rename(&unfinished, &path).map_err(io("name", &path))
}

/// Whether two journals are of the same torus of the same run.
fn is_of(kept: &[u8], journal: &[u8]) -> bool {
    let header = HEADER_BYTES as usize;
    kept.len() >= header && kept[..header] == journal[..header]
}

/// The records of the copy for rollback `number` of the journal at `journal`, which begins with `header`.
pub(super) fn read(journal: &Path, number: u64, header: &[u8]) -> Result<Vec<Appended>, JournalError> {
    let path = path(journal, number);
    let bytes = std::fs::read(&path).map_err(io("read", &path))?;
    if !is_of(&bytes, header) {
        return Err(JournalError::Damaged {
            path: path.display().to_string(),
            offset: 0,
            what: "it is not the copy of this journal",
        });
    }
    parse_from(
        &bytes[HEADER_BYTES as usize..],
        HEADER_BYTES,
        &path.display().to_string(),
    )
}

/// Removes the copy for rollback `number`, if there is one.
pub(super) fn forget(journal: &Path, number: u64) -> Result<(), JournalError> {
    let path = path(journal, number);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &path)(error)),
        _ => Ok(()),
    }
}
