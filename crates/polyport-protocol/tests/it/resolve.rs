//! What `resolve` makes of requests: one test per rule, and laws that hold for any request.

mod support;

mod bodies;
mod content;
mod examples;
mod features;
mod history;
mod laws;
mod parameters;
mod recorded;
mod signatures;
mod tools;
