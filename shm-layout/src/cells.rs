//! The macro behind the status cell and the control words: a flat table of named words, with getters and setters.

/// One named field of a table of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in the getter.
    pub name: &'static str,
    /// Its first word in the page.
    pub first: usize,
    /// How many words it has.
    pub words: usize,
}

/// Declares `$writer` (over `Own`) and `$reader` (over `View`) with a getter and a setter per field, and `FIELDS`.
///
/// Every setter is a Release store and every getter an Acquire load, so a reader that sees a value also sees all that
/// its writer wrote before it.
macro_rules! word_table {
    (
        writer $writer:ident, reader $reader:ident;
        words { $($(#[$doc:meta])* $get:ident, $set:ident @ $at:expr;)* }
        arrays { $($(#[$adoc:meta])* $aget:ident, $aset:ident, $index:ty => $position:expr, $count:expr, @ $aat:expr;)* }
    ) => {
        /// All fields, for the byte map and the check that none overlap.
        pub const FIELDS: &[$crate::cells::Field] = &[
            $($crate::cells::Field { name: stringify!($get), first: $at, words: 1 },)*
            $($crate::cells::Field { name: stringify!($aget), first: $aat, words: $count },)*
        ];

        impl $reader<'_> {
            $($(#[$doc])*
            pub fn $get(&self) -> u64 {
                // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in the writer's setter.
                self.words.load_acquire($at)
            })*
            $($(#[$adoc])*
            pub fn $aget(&self, index: $index) -> u64 {
                let position: fn($index) -> usize = $position;
                // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in the writer's setter.
                self.words.load_acquire($aat + position(index))
            })*
        }

        impl $writer<'_> {
            $(#[doc = concat!("Sets `", stringify!($get), "`; see [`", stringify!($reader), "::", stringify!($get), "`].")]
            pub fn $set(&self, value: u64) {
                // Ordering: Release (in `store_release`); synchronizes with the Acquire in the reader's getter.
                self.words.store_release($at, value);
            })*
            $(#[doc = concat!("Sets `", stringify!($aget), "`; see [`", stringify!($reader), "::", stringify!($aget), "`].")]
            pub fn $aset(&self, index: $index, value: u64) {
                let position: fn($index) -> usize = $position;
                // Ordering: Release (in `store_release`); synchronizes with the Acquire in the reader's getter.
                self.words.store_release($aat + position(index), value);
            })*
        }
    };
}

/// Writes `text` (cut at a character boundary) to the words from `first` on, its length in bytes last.
pub(crate) fn write_text(
    words: &crate::words::Own<'_>,
    length: usize,
    first: usize,
    capacity: usize,
    text: &str,
) {
    let mut end = text.len().min(capacity);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut data = vec![0_u64; capacity / 8];
    bytemuck::cast_slice_mut::<u64, u8>(&mut data)[..end].copy_from_slice(&text.as_bytes()[..end]);
    words.write(first, &data);
    // Ordering: Release (in `store_release`); synchronizes with the Acquire in `read_text`.
    words.store_release(length, end as u64);
}

/// Reads what [`write_text`] wrote; invalid UTF-8 is replaced.
pub(crate) fn read_text(
    words: crate::words::View<'_>,
    length: usize,
    first: usize,
    capacity: usize,
) -> String {
    // Ordering: Acquire (in `load_acquire`); synchronizes with the Release in `write_text`.
    let bytes = words.load_acquire(length).min(capacity as u64) as usize;
    let mut data = vec![0_u64; capacity / 8];
    words.read(first, &mut data);
    String::from_utf8_lossy(&bytemuck::cast_slice::<u64, u8>(&data)[..bytes]).into_owned()
}

/// Whether no two of the fields share a word and all end at or before `words`.
#[cfg(test)]
pub(crate) fn disjoint(fields: &[Field], extra: &[Field], words: usize) -> bool {
    let mut all: Vec<_> = fields.iter().chain(extra).copied().collect();
    all.sort_by_key(|field| field.first);
    all.windows(2)
        .all(|pair| pair[0].first + pair[0].words <= pair[1].first)
        && all.last().is_none_or(|last| last.first + last.words <= words)
}
