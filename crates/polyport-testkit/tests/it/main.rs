//! Tests of the testkit itself.

mod deviations;
mod grammar;
mod layers;
mod provider;
mod recordings;
mod requests;
