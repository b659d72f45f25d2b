//! The start gate: `raw_sync`'s `BusyEvent`, two bytes that nobody holds.
//!
//! Why this one of the crate's objects and no other: its mutexes, read-write locks and events are pthread objects
//! without the robust attribute, so a holder that is killed blocks everyone for ever. `BusyEvent` is one flag that its
//! one writer, the supervisor, sets and clears; a killed process can leave nothing behind in it. It is used in manual
//! reset only, because an auto-reset waiter writes, and a worker's mapping is read-only. Its accesses are relaxed, so
//! the gate number beside it carries the order.

use crate::words::{Own, View};
use raw_sync::Timeout;
use raw_sync::events::{BusyEvent, EventInit, EventState};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Opens or closes the gate in word `index`: the flag in byte 0; 0 in byte 1 says manual reset.
pub(crate) fn set(own: &Own<'_>, index: usize, open: bool) {
    let bytes = own.view().word(index).as_ptr().cast::<u8>();
    // SAFETY: a `BusyEvent` is two bytes without alignment, and these lie in a live word of which we are the writer.
    let event = unsafe { BusyEvent::new(bytes, false) };
    let state = if open {
        EventState::Signaled
    } else {
        EventState::Clear
    };
    // Neither step has a way to fail: both only store a byte.
    if let Ok((event, _)) = event {
        let _ = event.set(state);
    }
}

/// Whether the gate in word `index` is open. Looks once; only loads.
pub(crate) fn is_set(view: View<'_>, index: usize) -> bool {
    let bytes = view.word(index).as_ptr().cast::<u8>();
    // SAFETY: byte 1 of a live word, which everyone only accesses by bytes.
    let auto_reset = unsafe { AtomicU8::from_ptr(bytes.add(1)) };
    // Ordering: none needed; the byte is 0 from the segment's creation on. An auto-reset gate would make the look
    // below write, so it counts as closed.
    if auto_reset.load(Ordering::Relaxed) != 0 {
        return false;
    }
    // SAFETY: a `BusyEvent` is two bytes without alignment, and these lie in a live word; in manual reset, taking it up
    // and waiting only load.
    let event = unsafe { BusyEvent::from_existing(bytes) };
    event.is_ok_and(|(event, _)| event.wait(Timeout::Val(Duration::ZERO)).is_ok())
}
