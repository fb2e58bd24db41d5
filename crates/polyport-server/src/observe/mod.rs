//! What the gateway tells about itself: one record per request, metrics and traces.

pub(crate) mod capture;
pub(crate) mod memory;
pub(crate) mod metrics;
pub(crate) mod otlp;
pub(crate) mod pulse;
pub(crate) mod trace;

pub(crate) use memory::{Memory, Pressure};
pub(crate) use metrics::Metrics;
pub(crate) use otlp::Tracer;
pub(crate) use pulse::Pulse;
pub(crate) use trace::{Outcome, Record, ended};
