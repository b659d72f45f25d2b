//! Where a page of words says which process writes it: its first five words, in the status cells and the audit page.

use super::cells::Field;
use super::phase::Identity;
use super::sync::{Ordering, fence};
use super::words::{Own, View};

const PID: usize = 0;
const START_TIME: usize = 1;
const BOOT_ID: usize = 2;
const INCARNATION: usize = 4;

/// The words.
pub(crate) const FIELDS: [Field; 4] = [
    Field {
        name: "pid",
        first: PID,
        words: 1,
    },
    Field {
        name: "start_time",
        first: START_TIME,
        words: 1,
    },
    Field {
        name: "boot_id",
        first: BOOT_ID,
        words: 2,
    },
    Field {
        name: "incarnation",
        first: INCARNATION,
        words: 1,
    },
];

/// Writes an identity. Readers see either no process (pid 0) or a whole one.
pub(crate) fn write(words: &Own<'_>, identity: &Identity) {
    words.store(PID, 0);
    // Ordering: Release fence between clearing the pid and rewriting the rest; synchronizes with the Acquire fence in
    // `read`.
    fence(Ordering::Release);
    words.store(START_TIME, identity.start_time);
    words.write(BOOT_ID, &identity.boot_id);
    words.store(INCARNATION, identity.incarnation);
    // Ordering: Release (in `store_release`); synchronizes with the Acquire in `read`.
    words.store_release(PID, identity.pid);
}

/// Reads an identity; `None` if there is none yet, or one is just being written.
pub(crate) fn read(words: View<'_>) -> Option<Identity> {
    // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `write`.
    let pid = words.load_acquire(PID);
    let identity = Identity {
        pid,
        start_time: words.load(START_TIME),
        boot_id: [words.load(BOOT_ID), words.load(BOOT_ID + 1)],
        incarnation: words.load(INCARNATION),
    };
    // Ordering: Acquire fence before the second look; synchronizes with the Release fence in `write` if one of the words
    // is newer than the pid.
    fence(Ordering::Acquire);
    (pid != 0 && words.load(PID) == pid).then_some(identity)
}
