//! The whole gateway between raw clients and fake providers. Tests are named after the faults they inject.

mod access;
mod client_faults;
mod endpoints;
mod passthrough;
mod provider_faults;
mod support;
mod translation;
