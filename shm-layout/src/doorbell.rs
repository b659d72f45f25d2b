//! Doorbells: how a worker that waits is woken without a lock.
//!
//! A torus rings by raising its own doorbell word after it has published something; who waits for that sleeps on this
//! word (a shared futex). The system call is only made for a sleeper: a waiter takes the doorbell's value, raises its
//! own `sleeping` flag, looks once more, and sleeps only while the doorbell has that value; the ringer raises the
//! doorbell and then looks at the flags. Both fence in between (Dekker 1965), so either the ringer sees the sleeper or
//! the sleeper's last look sees what was published. Every sleep has a timeout all the same.

use super::sync::{Ordering, fence};
use super::words::{Own, View};

/// The ringer: raises the doorbell in word `doorbell`. The caller then wakes the futex if [`sleeps`] says so of anyone.
pub fn ring(own: &Own<'_>, doorbell: usize) {
    // Ordering: Release (in `store_release`); synchronizes with the Acquire of who reads the doorbell.
    own.store_release(doorbell, own.load(doorbell).wrapping_add(1));
    // Ordering: SeqCst fence between the doorbell and the look at the `sleeping` flags; pairs with the one in
    // `fall_asleep`.
    fence(Ordering::SeqCst);
}

/// Whether the torus with this `sleeping` word may be asleep.
pub fn sleeps(view: View<'_>, sleeping: usize) -> bool {
    // Ordering: none needed; `ring` has fenced.
    view.load(sleeping) != 0
}

/// The waiter: raises its `sleeping` flag. It has taken the doorbells' values before, and looks once more at what it
/// waits for afterwards.
pub fn fall_asleep(own: &Own<'_>, sleeping: usize) {
    own.store(sleeping, 1);
    // Ordering: SeqCst fence between the flag and the last look; pairs with the one in `ring`.
    fence(Ordering::SeqCst);
}

/// The waiter: lowers the flag again.
pub fn wake_up(own: &Own<'_>, sleeping: usize) {
    own.store(sleeping, 0);
}
