//! The slots of the timing wheel: which are occupied, and where each one's chunks are.

/// Slots per level.
pub(super) const SLOTS: usize = 256;
/// Levels: the near wheel and one for each higher byte of a time.
pub(super) const LEVELS: usize = 8;

/// The slots of one level. Slot s holds a chain of chunks from `first[s]` on; `cursor[s]` is the position behind its
/// last event (chunk · 32 + index). Both are meaningless while the slot is empty, except that `cursor` is then 0.
pub(super) struct Level {
    pub(super) first: [u32; SLOTS],
    pub(super) cursor: [u32; SLOTS],
    occupied: [u64; SLOTS / 64],
}

impl Level {
    pub(super) const EMPTY: Level = Level {
        first: [0; SLOTS],
        cursor: [0; SLOTS],
        occupied: [0; SLOTS / 64],
    };

    #[inline]
    pub(super) fn is_occupied(&self, slot: usize) -> bool {
        self.occupied[slot / 64] >> (slot % 64) & 1 != 0
    }

    #[inline]
    pub(super) fn occupy(&mut self, slot: usize, first: u32) {
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.first[slot] = first;
    }

    /// Empties a slot and returns its first chunk and its cursor.
    #[inline]
    pub(super) fn vacate(&mut self, slot: usize) -> (u32, u32) {
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        (self.first[slot], std::mem::take(&mut self.cursor[slot]))
    }

    /// The lowest occupied slot.
    pub(super) fn lowest(&self) -> Option<usize> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        Some(word * 64 + self.occupied[word].trailing_zeros() as usize)
    }

    /// How many slots after `slot`, going round, the next occupied one is; 0 if `slot` itself is.
    #[inline]
    pub(super) fn distance_from(&self, slot: usize) -> Option<u64> {
        let (word, bit) = (slot / 64, slot % 64);
        let here = self.occupied[word] >> bit;
        if here != 0 {
            return Some(u64::from(here.trailing_zeros()));
        }
        for step in 1..=SLOTS / 64 {
            // The last step comes back to the first word, whose bits from `bit` on are known to be 0.
            let other = self.occupied[(word + step) % (SLOTS / 64)];
            if other != 0 {
                return Some((step * 64) as u64 + u64::from(other.trailing_zeros()) - bit as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_finds_the_next_occupied_slot_around_the_wheel() {
        for start in [0, 1, 63, 64, 130, 255] {
            for slot in [0, 5, 63, 64, 127, 200, 255] {
                let mut level = Level::EMPTY;
                assert_eq!(level.distance_from(start), None);
                level.occupy(slot, 0);
                let distance = (slot + SLOTS - start) % SLOTS;
                assert_eq!(
                    level.distance_from(start),
                    Some(distance as u64),
                    "{start} to {slot}"
                );
                assert_eq!(level.lowest(), Some(slot));
            }
        }
    }
}
