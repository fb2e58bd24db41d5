//! What tests share: recorded traffic, strict judges of requests and streams, fake providers, raw clients.
//!
//! Nothing here depends on the translation or the gateway: the testkit judges them from outside, by the published
//! schemas and by what the official client libraries accept.
//!
//! | module | what it gives |
//! |---|---|
//! | [`grammar`] | strict readers of streams, answers and errors, with what a client understood of them |
//! | [`postgres`] | a Postgres server of its own |
//! | [`provider`] | fake providers: strict about what they receive, scripted in what they answer |
//! | [`raw`] | clients: any bytes on a TCP connection, and requests with bodies read piece by piece |
//! | [`schema`] | judges of request bodies: closed schemas and the rules behind them |
//! | [`shared`] | recorded provider traffic and official schemas from the reference folder beside the workspace |
//! | [`tokens`] | a fake OAuth token server |
#![allow(clippy::disallowed_methods, reason = "fakes live as long as their test")]

pub mod grammar;
pub mod postgres;
pub mod provider;
pub mod raw;
pub mod schema;
pub mod shared;
pub mod tokens;
