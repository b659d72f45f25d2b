//! Hashes of events as multisets: the sum modulo 2^64 of one mixed hash for each, so that their order does not matter.
//!
//! An event is mixed by three rounds of AES (FIPS 197), keyed by digits of π, which the processor's own instruction does
//! at two for each cycle: two rounds spread each byte over all sixteen, and the payload, which comes in as the first
//! round's key, goes through two. That is no cipher and is not meant to resist anybody: it finds what is torn, stale,
//! damaged, or emitted differently in a replay.

use aes::hazmat::cipher_round;

/// Words of an event.
pub(crate) const WORDS: usize = 3;

/// The keys of an event's first two words, and of the second and third round.
pub(crate) const KEYS: [[u64; 2]; 3] = [
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344],
    [0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89],
    [0x4528_21e6_38d0_1377, 0xbe54_66cf_34e9_0c6c],
];

/// The hash of events of which `words` has [`WORDS`] each: time, place, payload.
pub(crate) fn hash(words: &[u64]) -> u64 {
    let (events, rest) = words.as_chunks();
    debug_assert!(rest.is_empty(), "{} words are no whole events", words.len());
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if std::arch::is_x86_feature_detected!("aes") {
        // SAFETY: the processor has the instructions, as has just been asked.
        return unsafe { with_instructions::hash(events) };
    }
    portable(events)
}

/// The same hash, for processors without the instructions.
fn portable(events: &[[u64; WORDS]]) -> u64 {
    events.iter().fold(0, |sum, event| {
        let [low, high] = mixed(event);
        sum.wrapping_add(low).wrapping_add(high)
    })
}

fn mixed(&[time, place, payload]: &[u64; WORDS]) -> [u64; 2] {
    let [start, second, third] = KEYS;
    let mut state = block([time ^ start[0], place ^ start[1]]);
    for key in [[payload, payload], second, third] {
        cipher_round(&mut state, &block(key));
    }
    bytemuck::cast(<[u8; 16]>::from(state))
}

fn block(words: [u64; 2]) -> aes::Block {
    bytemuck::cast::<_, [u8; 16]>(words).into()
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod with_instructions {
    use super::{KEYS, WORDS};
    use std::arch::x86_64::{
        __m128i, _mm_add_epi64, _mm_aesenc_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi64x,
        _mm_setzero_si128, _mm_unpackhi_epi64, _mm_xor_si128,
    };

    #[target_feature(enable = "aes")]
    pub(super) fn hash(events: &[[u64; WORDS]]) -> u64 {
        let sum = events
            .iter()
            .fold(_mm_setzero_si128(), |sum, event| _mm_add_epi64(sum, mixed(event)));
        let high = _mm_unpackhi_epi64(sum, sum);
        _mm_cvtsi128_si64(_mm_add_epi64(sum, high)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "aes")]
    fn mixed(&[time, place, payload]: &[u64; WORDS]) -> __m128i {
        let [start, second, third] = KEYS;
        let state = _mm_xor_si128(pair([time, place]), pair(start));
        let state = _mm_aesenc_si128(state, _mm_set1_epi64x(payload.cast_signed()));
        _mm_aesenc_si128(_mm_aesenc_si128(state, pair(second)), pair(third))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn pair([low, high]: [u64; 2]) -> __m128i {
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Words = [u64; WORDS];

    fn of(events: &[Words]) -> u64 {
        hash(events.as_flattened())
    }

    fn few_bits() -> impl Strategy<Value = Words> {
        [0..256_u64, 0..256_u64, 0..256_u64]
    }

    /// By the example of a cipher in FIPS 197, appendix B: the state and the key of its first round, and what follows.
    #[test]
    fn a_round_is_that_of_the_standard() {
        let word = |text: u128| aes::Block::from(text.to_be_bytes());
        let mut state = word(0x193d_e3be_a0f4_e22b_9ac6_8d2a_e9f8_4808);
        cipher_round(&mut state, &word(0xa0fa_fe17_8854_2cb1_23a3_3939_2a6c_7605));
        assert_eq!(state, word(0xa49c_7ff2_689f_352b_6b5b_ea43_026a_5049));
    }

    #[test]
    fn nothing_is_0_and_one_event_is_not() {
        assert_eq!(hash(&[]), 0);
        assert_ne!(hash(&[0; WORDS]), 0);
    }

    proptest! {
        #[test]
        fn with_and_without_the_instructions_it_is_the_same(events in prop::collection::vec(any::<Words>(), 0..40)) {
            prop_assert_eq!(of(&events), portable(&events));
        }

        #[test]
        fn only_the_order_does_not_matter(mut events in prop::collection::vec(any::<Words>(), 2..40), by: usize) {
            let before = of(&events);
            let by = by % events.len();
            events.rotate_left(by);
            prop_assert_eq!(of(&events), before);
            events.push(events[by]);
            prop_assert_ne!(of(&events), before);
        }

        #[test]
        fn any_bit_counts(mut events in prop::collection::vec(few_bits(), 1..20), at: usize, bit in 0..64_u64) {
            let before = of(&events);
            let words = events.as_flattened_mut();
            let at = at % words.len();
            words[at] ^= 1 << bit;
            prop_assert_ne!(of(&events), before);
        }

        /// A sum of what each word gives by itself would not find two events that have exchanged one, and little mixing
        /// not where they differ in few bits.
        #[test]
        fn words_belong_to_their_events(
            one: Words,
            other in prop_oneof![any::<Words>(), few_bits()],
            is_near: bool,
            word in 0..WORDS,
        ) {
            let other = if is_near { [0, 1, 2].map(|at| one[at] ^ other[at]) } else { other };
            prop_assume!(one[word] != other[word] && (0..WORDS).any(|at| at != word && one[at] != other[at]));
            let mut exchanged = [one, other];
            (exchanged[0][word], exchanged[1][word]) = (other[word], one[word]);
            prop_assert_ne!(of(&[one, other]), of(&exchanged));
        }
    }
}
