//! The owner word of a region: which worker holds it, and whether that one has died.
//!
//! It is the one word that two parties write: the worker when it takes the region over, and the kernel on its behalf when
//! the worker's thread ends ([`crate::sys::robust`]). It only tells of deaths early; who may write the region is decided
//! by its lock, and by what the kernel says of the lock's holder.
//!
//! The low half belongs to the kernel's protocol; the high half is the incarnation's low half, so that who reads of a
//! death knows whose it was.

use super::sys::robust;

/// A death that the owner word tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerDied {
    /// The low half of the incarnation that died.
    pub incarnation: u32,
}

impl OwnerDied {
    /// What a value of the word says; none while its holder lives, or before it has had one.
    pub fn from_word(word: u64) -> Option<OwnerDied> {
        (word as u32 & robust::OWNER_DIED != 0).then_some(OwnerDied {
            incarnation: (word >> 32) as u32,
        })
    }

    /// Whether it was this incarnation.
    pub fn is(&self, incarnation: u64) -> bool {
        self.incarnation == incarnation as u32
    }
}

/// The value that the holder stores, with its incarnation and its thread's part.
pub(crate) fn held(incarnation: u64, thread: u32) -> u64 {
    incarnation << 32 | u64::from(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_names_its_incarnation_and_a_holder_that_lives_is_none() {
        let word = held(7, robust::held_by_this_thread());
        assert_eq!(OwnerDied::from_word(word), None);
        assert_eq!(OwnerDied::from_word(0), None);
        // What the kernel does at the death.
        let word = word & !0xffff_ffff | u64::from(robust::OWNER_DIED);
        let died = OwnerDied::from_word(word).expect("it has died");
        assert!(died.is(7) && !died.is(8));
    }
}
