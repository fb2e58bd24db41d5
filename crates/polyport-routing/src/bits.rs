//! A set of slots that many threads read and change at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// One bit per slot. A single bit is exact; several bits read one after another may be of different moments.
#[derive(Debug)]
pub(crate) struct Bits(Box<[AtomicU64]>);

impl Bits {
    pub(crate) fn new(slots: usize) -> Self {
        Self((0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn word(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |word| word.load(Ordering::SeqCst))
    }

    pub(crate) fn get(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.word(word) & bit != 0
    }

    /// Returns whether it was out before.
    pub(crate) fn set(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.0.get(word).is_some_and(|word| word.fetch_or(bit, Ordering::SeqCst) & bit == 0)
    }

    /// Returns whether it was in before.
    pub(crate) fn clear(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.0.get(word).is_some_and(|word| word.fetch_and(!bit, Ordering::SeqCst) & bit != 0)
    }

    pub(crate) fn put(&self, slot: u32, inside: bool) {
        let _was = if inside { self.set(slot) } else { self.clear(slot) };
    }
}

/// The word of a slot and its bit in it.
pub(crate) fn place(slot: u32) -> (usize, u64) {
    (slot as usize / 64, 1 << (slot % 64))
}

/// The bits of word `at` that belong to the slots `start..end`.
pub(crate) fn window(at: usize, start: u32, end: u32) -> u64 {
    let first = at as u64 * 64;
    let below = |slot: u32| -> u64 {
        match u64::from(slot).saturating_sub(first) {
            0 => 0,
            bits if bits >= 64 => u64::MAX,
            bits => (1 << bits) - 1,
        }
    };
    below(end) & !below(start)
}

/// The position of the `rank`-th set bit, counted from 0.
pub(crate) fn nth(mut word: u64, rank: u32) -> Option<u32> {
    for _ in 0..rank {
        word &= word.wrapping_sub(1);
    }
    (word != 0).then(|| word.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cut_words_at_slots() {
        assert_eq!(window(0, 0, 3), 0b111);
        assert_eq!(window(0, 1, 3), 0b110);
        assert_eq!(window(0, 0, 200), u64::MAX);
        assert_eq!(window(1, 0, 65), 1);
        assert_eq!(window(2, 0, 65), 0);
        assert_eq!(window(1, 70, 128), !0b11_1111);
    }

    #[test]
    fn the_nth_bit_is_found() {
        assert_eq!([nth(0b1010, 0), nth(0b1010, 1), nth(0b1010, 2)], [Some(1), Some(3), None]);
    }

    #[test]
    fn bits_tell_what_changed() {
        let bits = Bits::new(70);
        assert!(bits.set(69) && !bits.set(69) && bits.get(69));
        assert!(bits.clear(69) && !bits.clear(69) && !bits.get(69));
        assert!(!bits.set(1000) && !bits.get(1000));
    }
}
