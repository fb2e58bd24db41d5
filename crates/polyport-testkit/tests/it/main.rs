//! Tests of the testkit itself.
#![allow(clippy::disallowed_methods, reason = "tests start tasks and read bodies they know")]

mod deviations;
mod grammar;
mod known_bugs;
mod layers;
mod provider;
mod recordings;
mod requests;
