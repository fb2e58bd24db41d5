//! What one request has tried.

use super::member::Barred;
use crate::bits::place;

/// Credentials tried in one request with one target.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    few: [u32; FEW],
    pub(super) count: u32,
    many: Vec<u64>,
}

/// Tried credentials kept without an allocation.
const FEW: usize = 8;

impl Tried {
    /// How many.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Notes the one attempt that a provider without credentials gets.
    pub(crate) fn note_keyless(&mut self) -> Result<(), Barred> {
        if self.count > 0 {
            return Err(Barred::Tried);
        }
        self.add(0);
        Ok(())
    }

    pub(super) fn add(&mut self, slot: u32) {
        if self.many.is_empty() {
            if let Some(place) = self.few.get_mut(self.count as usize) {
                *place = slot;
                self.count += 1;
                return;
            }
            for slot in self.few {
                mark(&mut self.many, slot);
            }
        }
        mark(&mut self.many, slot);
        self.count += 1;
    }

    pub(super) fn word(&self, at: usize) -> u64 {
        if !self.many.is_empty() {
            return self.many.get(at).copied().unwrap_or_default();
        }
        self.few
            .iter()
            .take(self.count as usize)
            .map(|&slot| place(slot))
            .filter(|(word, _)| *word == at)
            .fold(0, |bits, (_, bit)| bits | bit)
    }
}

/// Puts a slot into a set.
pub(super) fn mark(words: &mut Vec<u64>, slot: u32) {
    let (word, bit) = place(slot);
    if words.len() <= word {
        words.resize(word + 1, 0);
    }
    if let Some(word) = words.get_mut(word) {
        *word |= bit;
    }
}
