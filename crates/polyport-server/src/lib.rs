//! The gateway: HTTP in and out, configuration, the life of a request.

pub mod config;
