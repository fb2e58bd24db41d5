//! Who gets the request.
//!
//! Pure: no sockets, files, environment, clock or randomness. Time, counters and jitter are arguments; what changes are counters and
//! bits in memory.
//!
//! | module | question |
//! |---|---|
//! | [`catalog`] | which targets stand behind the model a client asks for? |
//! | [`mod@plan`] | in which order are targets and their credentials tried? |
//! | [`roster`] | which credential of a provider takes the next attempt? |
//! | [`provider`] | may a provider's model be tried, and what did the attempt show? |
//! | [`state`] | what does a failure prove, and what rests how long? |
//! | [`retry`] | an attempt failed: what next? |

mod bits;
mod breaker;
pub mod catalog;
mod latency;
pub mod plan;
pub mod provider;
mod rests;
pub mod retry;
pub mod roster;
mod shares;
pub mod state;
mod tally;

pub use catalog::{Catalog, CatalogError, Hints, Resolved, Route, RouteTo, Rule, Target, TargetSpec, UnknownModel};
pub use plan::{Attempt, Excluded, Exclusion, Plan, Slots, plan};
pub use polyport_types::Pattern;
pub use provider::{Lease, ProviderHealth, Rested};
pub use retry::{Failure, History, Next, RetryPolicy, next};
pub use roster::{Ask, Barred, Member, Pace, Picked, Roster, Strategy, Subset, Tried};
pub use state::{Ladder, Millis, RestPolicy, Saved, Scope, State, Trouble};
pub use tally::Counts;
