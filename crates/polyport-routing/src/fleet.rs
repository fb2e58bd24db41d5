//! All providers and what requests to them share: turns, and the keys of routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use polyport_types::Text;

use crate::Map;
use crate::provider::ProviderHealth;
use crate::roster::{Member, Strategy, Subset};
use crate::state::{Millis, RestPolicy};

/// A provider as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSpec {
    /// Its name.
    pub name: Text,
    /// Its credentials; none for a provider that needs none.
    pub members: Vec<Member>,
    /// How one of them is chosen.
    pub strategy: Strategy,
    /// How long what rests.
    pub policy: RestPolicy,
}

/// The health of all providers. A new configuration makes a new one that takes over what the old one knew.
#[derive(Debug, Default)]
pub struct Fleet {
    providers: Map<Text, Arc<ProviderHealth>>,
    turns: Arc<Turns>,
    subsets: RwLock<Subsets>,
}

/// The credentials with certain names, by provider and names.
type Subsets = Map<(Text, Arc<[Text]>), Arc<Subset>>;

/// Counters of requests, by pool or model.
#[derive(Debug, Default)]
struct Turns {
    known: RwLock<Map<Text, Arc<AtomicU64>>>,
    others: AtomicU64,
}

/// Names with turns of their own.
const MOST_TURNS: usize = 4096;

/// Lists of keys that are looked up once.
const MOST_SUBSETS: usize = 1024;

impl Fleet {
    /// Makes the health of these providers. What `before` knows of the same providers and credentials stays known.
    #[must_use]
    pub fn new(specs: Vec<ProviderSpec>, before: Option<&Self>, now: Millis) -> Self {
        let made = |spec: ProviderSpec| {
            let ProviderSpec { name, members, strategy, policy } = spec;
            let old = before.and_then(|fleet| fleet.provider(&name));
            if let Some(old) = old.filter(|old| old.is_of(&members, strategy, &policy)) {
                return (name, Arc::clone(old));
            }
            let health = match old {
                Some(old) => old.changed(members, strategy, policy, now),
                None => ProviderHealth::new(name.clone(), members, strategy, policy),
            };
            (name, Arc::new(health))
        };
        Self {
            providers: specs.into_iter().map(made).collect(),
            turns: before.map(|fleet| Arc::clone(&fleet.turns)).unwrap_or_default(),
            subsets: RwLock::default(),
        }
    }

    /// One provider.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Arc<ProviderHealth>> {
        self.providers.get(name)
    }

    /// All providers, in no order.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<ProviderHealth>> {
        self.providers.values()
    }

    /// The turn of the next request to this pool or model, without taking it.
    #[must_use]
    pub fn turn(&self, of: &str) -> u64 {
        match self.turns.known.read().get(of) {
            Some(turn) => turn.load(Ordering::Relaxed),
            None if self.turns.known.read().len() < MOST_TURNS => 0,
            None => self.turns.others.load(Ordering::Relaxed),
        }
    }

    /// Takes a turn.
    pub fn next_turn(&self, of: &str) -> u64 {
        if let Some(turn) = self.turns.known.read().get(of) {
            return turn.fetch_add(1, Ordering::Relaxed);
        }
        let mut known = self.turns.known.write();
        if known.len() >= MOST_TURNS && !known.contains_key(of) {
            return self.turns.others.fetch_add(1, Ordering::Relaxed);
        }
        known.entry(of.into()).or_default().fetch_add(1, Ordering::Relaxed)
    }

    /// The credentials of a provider with these names; `None` where all may be used.
    pub(crate) fn subset(&self, provider: &ProviderHealth, keys: &Arc<[Text]>) -> Option<Arc<Subset>> {
        if keys.is_empty() {
            return None;
        }
        let place = (provider.name().clone(), Arc::clone(keys));
        if let Some(subset) = self.subsets.read().get(&place) {
            return Some(Arc::clone(subset));
        }
        let subset = Arc::new(provider.roster().subset(|member| keys.contains(&member.name)));
        let mut subsets = self.subsets.write();
        if subsets.len() >= MOST_SUBSETS {
            subsets.clear();
        }
        subsets.insert(place, Arc::clone(&subset));
        Some(subset)
    }
}
