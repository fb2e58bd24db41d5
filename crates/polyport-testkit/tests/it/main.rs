//! Tests of the testkit itself.

mod deviations;
mod grammar;
mod provider;
mod recordings;
mod requests;
