//! Who gets the request.
//!
//! Pure: no sockets, files, environment, clock or randomness. Time, counters and jitter are arguments.
//!
//! | module | question |
//! |---|---|
//! | [`catalog`] | which targets stand behind the model a client asks for? |
//! | [`mod@plan`] | in which order are targets and their credentials tried? |
//! | [`retry`] | an attempt failed: what next? |

pub mod catalog;
pub mod plan;
pub mod retry;

pub use catalog::{Catalog, CatalogError, Hints, Resolved, Route, RouteTo, Rule, Target, TargetSpec, UnknownModel};
pub use plan::{Attempt, Excluded, Exclusion, Plan, Slots, plan};
pub use polyport_types::Pattern;
pub use retry::{Failure, History, Next, RetryPolicy, next};
