//! Routing under scripted times and failures, and over random configurations.

#[path = "it/roster.rs"]
mod roster;
#[path = "it/sticky.rs"]
mod sticky;
#[path = "it/walk.rs"]
mod walk;
