//! Who gets the request.
//!
//! Pure: no sockets, files, environment, clock or randomness. Time, counters and jitter are arguments; what changes are counters and
//! bits in memory.
//!
//! | module | question |
//! |---|---|
//! | [`catalog`] | which targets stand behind the model a client asks for? |
//! | [`walk`] | which attempt is next? |
//! | [`sticky`] | where is the prompt cache of this conversation warm? |
//! | [`fleet`] | what do the requests to all providers share? |
//! | [`provider`] | may a provider's model be tried, and what did the attempt show? |
//! | [`roster`] | which credential of a provider takes the next attempt? |
//! | [`state`] | what does a failure prove, and what rests how long? |
//! | [`retry`] | an attempt failed: what next? |
//! | [`budget`] | may it be repeated at all? |
//! | [`hedge`] | when is a second attempt worth it? |

use std::collections::HashMap;

mod bits;
mod breaker;
pub mod budget;
pub mod catalog;
pub mod fleet;
pub mod hedge;
mod latency;
pub mod provider;
mod rests;
pub mod retry;
pub mod roster;
mod shares;
pub mod state;
pub mod sticky;
mod tally;
pub mod walk;

/// What every request looks into, by names of the operator or of models: hashed fast, with a seed of the process.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

pub use budget::{BudgetPolicy, RetryBudget};
pub use catalog::{
    Catalog, CatalogError, Disconnect, Hints, List, Match, Mode, NoRoute, Pool, Resolved, Route, RouteTo, Rule, Stage,
    Target, TargetSpec, Tier, UnknownModel,
};
pub use fleet::{Fleet, ProviderSpec};
pub use hedge::{Hedge, HedgePolicy};
pub use polyport_types::Pattern;
pub use provider::{Lease, ProviderHealth, Rested};
pub use retry::{Failure, History, Next, RetryPolicy, next};
pub use roster::{Ask, Barred, Member, Pace, Picked, Roster, Strategy, Subset, Tried};
pub use state::{Ladder, Millis, RestPolicy, Saved, Scope, State, Trouble};
pub use sticky::{Binding, ConversationKey, Guided, Stayed, Sticky, StickyCounts};
pub use tally::Counts;
pub use walk::{Attempt, Excluded, Nothing, Walk};
