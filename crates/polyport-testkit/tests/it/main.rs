//! Tests of the testkit itself.

mod grammar;
mod recordings;
mod requests;
