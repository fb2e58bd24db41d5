//! The store, on SQLite always and on Postgres where there is one.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod backup;
mod faults;
mod identity;
mod place;
mod postgres;
mod suite;
