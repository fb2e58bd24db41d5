//! What models cost, looked up once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use polyport_accounting::cost::{Context, Cost, cost};
use polyport_accounting::{Counts, Offer, Price};
use polyport_store::log::Attempt;
use polyport_types::Text;

use crate::app::Runtime;

/// Models whose prices are remembered; names come from clients where a glob passes them on, so there is a bound.
const MOST: usize = 4096;

/// Prices of one configuration, and the ones that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    /// By provider and model.
    known: RwLock<HashMap<(Text, Text), Priced>>,
}

/// The price of a model, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Priced(Option<Arc<Price>>);

impl Priced {
    /// What so much costs.
    pub(crate) fn cost(&self, counts: &Counts) -> Option<Cost> {
        self.0.as_ref().map(|price| cost(counts, price, &Context::default()))
    }
}

impl Prices {
    /// The price of a provider's model.
    pub(crate) fn of(&self, runtime: &Runtime, provider: &Text, model: &Text) -> Priced {
        let key = (provider.clone(), model.clone());
        if let Some(known) = self.known.read().get(&key) {
            return known.clone();
        }
        let config = &runtime.config;
        let table = runtime.provider(provider).map(|upstream| upstream.config.table.clone()).unwrap_or_default();
        let host = (!table.is_empty()).then_some(&*table);
        let offer = Offer { provider, host, place: None, model };
        let priced = Priced(config.money.book.price(&offer).map(Arc::new));
        let mut known = self.known.write();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, priced.clone());
        priced
    }

    /// The price of what an attempt asked.
    pub(crate) fn of_attempt(&self, runtime: &Runtime, attempt: &Attempt) -> Priced {
        self.of(runtime, &attempt.provider.as_str().into(), &attempt.model.as_str().into())
    }

    /// Other prices hold from now on.
    pub(crate) fn forget(&self) {
        self.known.write().clear();
    }
}
