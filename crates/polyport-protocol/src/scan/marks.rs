//! Where strings have to be looked at: quotes, backslashes and control characters, found sixty-four bytes at a time.
//!
//! Prompts of coding agents hold an escape every few dozen bytes. What was found in a block is kept until the scan leaves it, so that the
//! next of them costs a shift and a count, not another search.

use wide::u8x16;

/// Bytes looked at together.
const BLOCK: usize = 64;

/// The bytes of a text that need a look.
#[derive(Clone, Debug)]
pub(crate) struct Marks<'a> {
    bytes: &'a [u8],
    /// Where the present block begins; beyond every text before the first one is read.
    from: usize,
    /// Which of its bytes are marked: the lowest bit is the first byte.
    bits: u64,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, from: usize::MAX, bits: 0 }
    }

    /// The first marked byte from `at` on, or the end.
    #[inline]
    pub(crate) fn next(&mut self, at: usize) -> usize {
        let mut from = at - at % BLOCK;
        if from != self.from {
            self.read(from);
        }
        // What stands before `at` does not count.
        let mut bits = self.bits & (u64::MAX << (at % BLOCK));
        while bits == 0 {
            from += BLOCK;
            if from >= self.bytes.len() {
                return self.bytes.len();
            }
            self.read(from);
            bits = self.bits;
        }
        from + bits.trailing_zeros() as usize
    }

    #[inline]
    fn read(&mut self, from: usize) {
        let rest = self.bytes.get(from..).unwrap_or_default();
        self.from = from;
        self.bits = rest.first_chunk().map_or_else(|| marks_of_last(rest), marks);
    }
}

/// The marks of what is less than a block.
#[inline(never)]
fn marks_of_last(rest: &[u8]) -> u64 {
    let mut block = [b' '; BLOCK];
    if let Some(start) = block.get_mut(..rest.len()) {
        start.copy_from_slice(rest);
    }
    marks(&block)
}

#[inline(never)]
fn marks(block: &[u8; BLOCK]) -> u64 {
    let (quote, backslash, last_control) = (u8x16::splat(b'"'), u8x16::splat(b'\\'), u8x16::splat(0x1f));
    let (parts, _) = block.as_chunks::<16>();
    parts.iter().rev().fold(0, |bits, part| {
        let part = u8x16::new(*part);
        let found = part.simd_eq(quote) | part.simd_eq(backslash) | part.min(last_control).simd_eq(part);
        bits << 16 | u64::from(found.to_bitmask())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_that_needs_a_look_is_found(
            bytes in prop::collection::vec(prop_oneof![8 => 0x20_u8..=0xff, 1 => Just(b'"'), 1 => Just(b'\\'), 1 => 0_u8..0x20], 0..300),
            jumps in prop::collection::vec(0_usize..90, 1..20),
        ) {
            let mut marks = Marks::new(&bytes);
            let mut at = 0;
            for jump in jumps {
                let expected = bytes
                    .iter()
                    .skip(at)
                    .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
                    .map_or(bytes.len(), |found| at + found);
                prop_assert_eq!(marks.next(at), expected.max(at.min(bytes.len())));
                at = (at + jump).min(bytes.len());
            }
        }
    }
}
