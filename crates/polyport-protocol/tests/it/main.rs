//! The codecs against recorded traffic and the documents.
#![allow(clippy::unwrap_used, reason = "a wrong assumption fails the test")]
#![allow(clippy::disallowed_methods, reason = "tests read settings of their own")]

mod answers;
mod chat;
mod corpus;
mod cuts;
mod gemini;
mod growth;
mod known_bugs;
mod matrix;
mod messages;
mod resolve;
mod responses;
mod translation;
mod trips;
mod wire;
