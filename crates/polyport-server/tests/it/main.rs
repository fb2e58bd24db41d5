//! The whole gateway between raw clients and fake providers. Tests are named after the faults they inject.
#![allow(clippy::unwrap_used, reason = "a wrong assumption fails the test")]
#![allow(clippy::disallowed_methods, reason = "tests start tasks and read bodies they know")]

mod access;
mod adapters;
mod admin;
mod azure;
mod bedrock;
mod checks;
mod client_faults;
mod custom;
mod declared;
mod endpoints;
mod faults;
mod figures;
mod hostile;
mod identity;
mod instances;
mod kept;
mod kinds;
mod known_bugs;
mod limits;
mod moves;
mod notifications;
mod objects;
mod openapi;
mod overview;
mod passthrough;
mod people;
mod persist;
mod pools;
mod process;
mod provider_faults;
mod quotas;
mod resilience;
mod services;
mod settings;
mod state;
mod support;
mod tokens;
mod traces;
mod translation;
mod trying;
mod ui;
mod usage;
