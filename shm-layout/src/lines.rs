//! The hash of what frames carry: pairs of cache lines, in order.
//!
//! Each of the eight blocks of a pair goes into a lane of its own: two rounds of AES (FIPS 197), of which the first takes the
//! block in as its key. Two rounds spread each byte over all sixteen before the next block of the lane comes in, so damage
//! in one block is undone by no other that was not made for it. At the end the lanes are put together the same way. As
//! with [`crate::multiset`] that is no cipher: it finds what is torn, stale, damaged, or computed differently in a
//! replay. Eight lanes, because a round takes as long as eight of them take together, and because XXH3 in one pass with a
//! copy takes 2 to 7 times as long as after it.

use aes::hazmat::{cipher_round, cipher_round_par};

/// Words of a pair of lines.
pub(crate) const PAIR: usize = 16;
/// Blocks of a pair, and lanes.
pub(crate) const LANES: usize = 8;

/// What lanes begin with: digits of π.
pub(crate) const START: [[u64; 2]; LANES] = [
    [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344],
    [0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89],
    [0x4528_21e6_38d0_1377, 0xbe54_66cf_34e9_0c6c],
    [0xc0ac_29b7_c97c_50dd, 0x3f84_d5b5_b547_0917],
    [0x9216_d5d9_8979_fb1b, 0xd131_0ba6_98df_b5ac],
    [0x2ffd_72db_d01a_dfb7, 0xb8e1_afed_6a26_7e96],
    [0xba7c_9045_f12c_7f99, 0x24a1_9947_b391_6cf7],
    [0x0801_f2e2_858e_fc16, 0x6369_20d8_7157_4e69],
];

/// The key of each second round: the next digits.
pub(crate) const KEY: [u64; 2] = [0xa458_fea3_f493_3d7e, 0x0d95_748f_728e_b658];

/// Lanes that have taken in all that there is.
pub(crate) type Lanes = [[u64; 2]; LANES];

/// The hash of `words`, whole pairs of lines.
pub(crate) fn hash(words: &[u64]) -> u64 {
    let (pairs, rest) = words.as_chunks();
    debug_assert!(rest.is_empty(), "{} words are no pairs of lines", words.len());
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if std::arch::is_x86_feature_detected!("aes") {
        // SAFETY: the processor has the instructions, as has just been asked.
        return finish(unsafe { with_instructions::lanes(pairs) });
    }
    finish(portable(pairs))
}

/// The lanes after `pairs`, for processors without the instructions.
fn portable(pairs: &[[u64; PAIR]]) -> Lanes {
    let mut lanes: aes::Block8 = START.map(block).into();
    let keys: aes::Block8 = [block(KEY); LANES].into();
    for pair in pairs {
        let pair: [[u64; 2]; LANES] = bytemuck::cast(*pair);
        cipher_round_par(&mut lanes, &pair.map(block).into());
        cipher_round_par(&mut lanes, &keys);
    }
    std::array::from_fn(|lane| words(lanes[lane]))
}

/// One number of all lanes.
pub(crate) fn finish(lanes: Lanes) -> u64 {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if std::arch::is_x86_feature_detected!("aes") {
        // SAFETY: the processor has the instructions, as has just been asked.
        return unsafe { with_instructions::finish(lanes) };
    }
    finish_portable(lanes)
}

fn finish_portable(lanes: Lanes) -> u64 {
    let join = |one: aes::Block, other: &aes::Block| {
        let mut state = one;
        cipher_round(&mut state, other);
        cipher_round(&mut state, &block(KEY));
        state
    };
    let mut lanes = lanes.map(block);
    for width in [LANES / 2, LANES / 4, LANES / 8] {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], &lanes[lane + width]);
        }
    }
    let [low, high] = words(join(lanes[0], &block([0, 0])));
    low.wrapping_add(high)
}

fn block(words: [u64; 2]) -> aes::Block {
    bytemuck::cast::<_, [u8; 16]>(words).into()
}

fn words(block: aes::Block) -> [u64; 2] {
    bytemuck::cast(<[u8; 16]>::from(block))
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod with_instructions {
    use super::{KEY, LANES, Lanes, PAIR, START};
    use std::arch::x86_64::{
        __m128i, _mm_aesenc_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_setzero_si128, _mm_unpackhi_epi64,
    };

    #[target_feature(enable = "aes")]
    pub(super) fn lanes(pairs: &[[u64; PAIR]]) -> Lanes {
        let key = block(KEY);
        let mut lanes = START.map(|start| block(start));
        for pair in pairs {
            for (lane, words) in lanes.iter_mut().zip(pair.as_chunks().0) {
                *lane = _mm_aesenc_si128(_mm_aesenc_si128(*lane, block(*words)), key);
            }
        }
        bytemuck::cast(lanes.map(|lane| words(lane)))
    }

    #[target_feature(enable = "aes")]
    pub(super) fn finish(lanes: Lanes) -> u64 {
        let key = block(KEY);
        let mut lanes = lanes.map(|lane| block(lane));
        for width in [LANES / 2, LANES / 4, LANES / 8] {
            for lane in 0..width {
                lanes[lane] = _mm_aesenc_si128(_mm_aesenc_si128(lanes[lane], lanes[lane + width]), key);
            }
        }
        let last = _mm_aesenc_si128(_mm_aesenc_si128(lanes[0], _mm_setzero_si128()), key);
        let [low, high] = words(last);
        low.wrapping_add(high)
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn block([low, high]: [u64; 2]) -> __m128i {
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn words(block: __m128i) -> [u64; 2] {
        [block, _mm_unpackhi_epi64(block, block)].map(|half| _mm_cvtsi128_si64(half).cast_unsigned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Pair = [u64; PAIR];

    fn of(pairs: &[Pair]) -> u64 {
        hash(pairs.as_flattened())
    }

    #[test]
    fn nothing_and_zeros_and_more_zeros_differ() {
        let hashes = [0, 1, 2, 3].map(|pairs| of(&vec![[0; PAIR]; pairs]));
        for (at, one) in hashes.iter().enumerate() {
            assert!(*one != 0 && !hashes[..at].contains(one), "{hashes:x?}");
        }
    }

    fn pairs(most: usize) -> impl Strategy<Value = Vec<Pair>> {
        let few = (0..256_u64).prop_map(|word| [word; PAIR]);
        prop::collection::vec(prop_oneof![any::<Pair>(), few], 1..most)
    }

    proptest! {
        #[test]
        fn with_and_without_the_instructions_it_is_the_same(pairs in pairs(40)) {
            let lanes = portable(&pairs);
            prop_assert_eq!(of(&pairs), finish_portable(lanes));
            prop_assert_eq!(finish(lanes), finish_portable(lanes));
        }

        #[test]
        fn any_bit_counts(mut pairs in pairs(20), at: usize, bit in 0..64_u64) {
            let before = of(&pairs);
            let words = pairs.as_flattened_mut();
            let at = at % words.len();
            words[at] ^= 1 << bit;
            prop_assert_ne!(of(&pairs), before);
        }

        #[test]
        fn the_order_of_blocks_counts(mut pairs in pairs(20), one: usize, other: usize) {
            let before = of(&pairs);
            let (blocks, _) = pairs.as_flattened_mut().as_chunks_mut::<2>();
            let (one, other) = (one % blocks.len(), other % blocks.len());
            prop_assume!(blocks[one] != blocks[other]);
            blocks.swap(one, other);
            prop_assert_ne!(of(&pairs), before);
        }

        /// What a torn copy is: lines of one frame amid those of another that differs in few words.
        #[test]
        fn a_mixture_of_two_is_neither(
            one in pairs(20),
            changes in prop::collection::vec((any::<usize>(), 1..1000_u64), 1..40),
            kept: u64,
        ) {
            let mut other = one.clone();
            for (at, by) in changes {
                let words = other.as_flattened_mut();
                let at = at % words.len();
                words[at] = words[at].wrapping_add(by);
            }
            let mut torn = one.clone();
            let lines = torn.as_flattened_mut().as_chunks_mut::<8>().0.iter_mut().zip(other.as_flattened().as_chunks::<8>().0);
            for (at, (line, newer)) in lines.enumerate() {
                if kept >> (at % 64) & 1 == 0 {
                    *line = *newer;
                }
            }
            prop_assert_eq!(of(&torn) == of(&one), torn == one);
            prop_assert_eq!(of(&torn) == of(&other), torn == other);
        }
    }
}
