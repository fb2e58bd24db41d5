//! Tests against fake servers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
