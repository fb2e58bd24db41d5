//! Tests of the testkit itself.

mod recordings;
mod requests;
