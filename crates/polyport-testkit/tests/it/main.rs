//! Tests of the testkit itself.

mod grammar;
mod provider;
mod recordings;
mod requests;
