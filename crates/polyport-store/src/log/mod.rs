//! What has been used: requests that have ended, in a database of their own.

mod entry;

pub use entry::{Attempt, Ending, Entry, Payload, Position, State};
