//! Conversations stay with the credential whose prompt cache is warm.
//!
//! A conversation is known by an id that its client sends, or else by its stable beginning. Where it is bound, it goes first if that
//! can take it now; otherwise it is free at once, and bound again to what answers it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use polyport_types::Text;

use crate::fleet::Fleet;
use crate::provider::Lease;
use crate::roster::Barred;
use crate::state::Millis;
use crate::walk::{Attempt, Walk};

/// What tells a conversation from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConversationKey(u128);

impl ConversationKey {
    /// Of an id that the client sends. Conversations of different callers, or with different models, are never the same.
    #[must_use]
    pub fn of_id(caller: &str, model: &str, id: &str) -> Self {
        Self::of("id", [caller.as_bytes(), model.as_bytes(), id.as_bytes()])
    }

    /// Of the stable beginning of a conversation: what the next requests of it begin with, too.
    #[must_use]
    pub fn of_prefix(caller: &str, model: &str, system: &[u8], tools: &[u8], first_message: &[u8]) -> Self {
        Self::of("prefix", [caller.as_bytes(), model.as_bytes(), system, tools, first_message])
    }

    fn of<'a>(kind: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(kind.as_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut first = [0; 16];
        for (to, from) in first.iter_mut().zip(hasher.finalize().as_bytes()) {
            *to = *from;
        }
        Self(u128::from_le_bytes(first))
    }
}

/// Where a conversation was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The provider.
    pub provider: Text,
    /// Its name of the model.
    pub model: Text,
    /// The id of the credential; `None` for a provider that needs none.
    pub credential: Option<Text>,
    /// Length of what is in the cache.
    pub prefix_tokens: u32,
    /// The last answer.
    pub used: Millis,
    /// How long the provider keeps the cache after it.
    pub lifetime: Millis,
}

/// How long providers keep prompt caches unless they are asked to keep them longer.
pub const CACHE_LIFETIME: Millis = 5 * 60 * 1000;

/// What became of a binding before the first attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guided {
    /// None, or its cache is gone.
    Unbound,
    /// It goes first.
    Kept,
    /// It cannot serve now, and why; `None` if it is no target of this request.
    Moved(Option<Barred>),
    /// It has far more than its share under way, and the prefix is short.
    Crowded,
}

/// Where a conversation was answered, compared with where it was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stayed {
    /// It was not bound, or its cache was gone.
    New,
    /// In the same place: its cache was warm.
    Here,
    /// Elsewhere: the bound credential could not serve.
    Moved,
}

impl Stayed {
    /// The word for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Here => "kept",
            Self::Moved => "moved",
        }
    }
}

/// Counters of one pool.
#[derive(Debug, Default)]
pub struct StickyCounts {
    hits: AtomicU64,
    misses: AtomicU64,
    moves: AtomicU64,
}

impl StickyCounts {
    /// Answers from where the conversation was bound.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Answers to conversations that were not bound.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Answers from elsewhere, because the bound credential could not serve.
    #[must_use]
    pub fn forced_moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }
}

/// Which conversation is bound where; bounded, those used least lately are forgotten first.
#[derive(Debug)]
pub struct Sticky {
    table: Mutex<Table>,
    counts: RwLock<HashMap<Text, Arc<StickyCounts>>>,
}

/// Two halves: what is used moves to the young one; when that is full, what is left in the old one is forgotten.
#[derive(Debug)]
struct Table {
    half: usize,
    young: HashMap<ConversationKey, Binding>,
    old: HashMap<ConversationKey, Binding>,
}

/// Pools with counters of their own.
const MOST_POOLS: usize = 4096;

impl Sticky {
    /// Keeps at most so many conversations.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let table = Table { half: (most / 2).max(1), young: HashMap::new(), old: HashMap::new() };
        Self { table: Mutex::new(table), counts: RwLock::default() }
    }

    /// Where a conversation is bound, while its cache is warm.
    #[must_use]
    pub fn bound(&self, key: ConversationKey, now: Millis) -> Option<Binding> {
        let table = self.table.lock();
        let binding = table.young.get(&key).or_else(|| table.old.get(&key))?;
        (now < binding.used.saturating_add(binding.lifetime)).then(|| binding.clone())
    }

    /// Lets the walk begin where the conversation is bound, if that can serve now. Changes nothing but the walk.
    pub fn guide(&self, key: ConversationKey, walk: &mut Walk, fleet: &Fleet, now: Millis) -> Guided {
        let Some(binding) = self.bound(key, now) else { return Guided::Unbound };
        let targets = &walk.resolved().targets;
        let target = targets.iter().position(|to| to.provider == binding.provider && to.model == binding.model);
        let place = || {
            let (target, health) = (target?, fleet.provider(&binding.provider)?);
            let credential = match &binding.credential {
                Some(id) => Some(health.roster().find(id)?),
                None if health.roster().is_empty() => None,
                None => return None,
            };
            Some((Attempt { target, credential }, health))
        };
        let Some((attempt, health)) = place() else { return Guided::Moved(None) };
        if attempt.credential.is_some_and(|index| crowded(health.roster(), index, binding.prefix_tokens)) {
            return Guided::Crowded;
        }
        match walk.prefer(attempt, fleet, now) {
            Ok(()) => Guided::Kept,
            Err(barred) => Guided::Moved(barred),
        }
    }

    /// A conversation was answered: it is bound to what answered it, with this much in the cache, for as long as the provider keeps it.
    pub fn keep(
        &self,
        key: ConversationKey,
        pool: &str,
        lease: &Lease,
        prefix_tokens: u32,
        lifetime: Millis,
        now: Millis,
    ) -> Stayed {
        let roster = lease.provider().roster();
        let binding = Binding {
            provider: lease.provider().name().clone(),
            model: lease.model().clone(),
            credential: lease.credential().and_then(|index| roster.id(index)).cloned(),
            prefix_tokens,
            used: now,
            lifetime,
        };
        let before = self.bound(key, now);
        let counts = self.counts(pool);
        let (stayed, counter) = match before {
            None => (Stayed::New, &counts.misses),
            Some(before) if before.same_place(&binding) => (Stayed::Here, &counts.hits),
            Some(_) => (Stayed::Moved, &counts.moves),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table.lock();
        table.old.remove(&key);
        if table.young.len() >= table.half && !table.young.contains_key(&key) {
            table.old = std::mem::take(&mut table.young);
        }
        table.young.insert(key, binding);
        stayed
    }

    /// The counters of a pool.
    #[must_use]
    pub fn counts(&self, pool: &str) -> Arc<StickyCounts> {
        if let Some(counts) = self.counts.read().get(pool) {
            return Arc::clone(counts);
        }
        let mut counts = self.counts.write();
        if counts.len() >= MOST_POOLS {
            return Arc::default();
        }
        Arc::clone(counts.entry(pool.into()).or_default())
    }

    /// The counters of all pools.
    #[must_use]
    pub fn all_counts(&self) -> Vec<(Text, Arc<StickyCounts>)> {
        self.counts.read().iter().map(|(pool, counts)| (pool.clone(), Arc::clone(counts))).collect()
    }

    /// How many conversations are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        let table = self.table.lock();
        table.young.len() + table.old.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Binding {
    fn same_place(&self, other: &Self) -> bool {
        self.provider == other.provider && self.model == other.model && self.credential == other.credential
    }
}

/// Every so many tokens in the cache are worth one more mean load of waiting.
const WORTH: u32 = 16_384;

/// Whether a credential has so much more under way than the others that a cold cache elsewhere is the smaller evil: twice the mean
/// for a short prefix, up to four times for a long one. Other conversations find the room they need in the rest.
fn crowded(roster: &crate::roster::Roster, index: usize, prefix_tokens: u32) -> bool {
    let mean = roster.in_flight() / (roster.len() as u32).max(1) + 1;
    let times = 2 + (prefix_tokens / WORTH).min(2);
    roster.len() > 1 && roster.in_flight_of(index) >= times * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_in_every_part() {
        let base = ConversationKey::of_prefix("c", "m", b"sys", b"tools", b"hi");
        assert_eq!(base, ConversationKey::of_prefix("c", "m", b"sys", b"tools", b"hi"));
        for other in [
            ConversationKey::of_prefix("d", "m", b"sys", b"tools", b"hi"),
            ConversationKey::of_prefix("c", "n", b"sys", b"tools", b"hi"),
            ConversationKey::of_prefix("c", "m", b"syst", b"ools", b"hi"),
            ConversationKey::of_prefix("c", "m", b"sys", b"tools", b"ho"),
            ConversationKey::of_id("c", "m", "sys"),
        ] {
            assert_ne!(base, other);
        }
    }
}
