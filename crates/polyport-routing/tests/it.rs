//! Routing under scripted times and failures, and over random configurations.

#[path = "it/roster.rs"]
mod roster;
