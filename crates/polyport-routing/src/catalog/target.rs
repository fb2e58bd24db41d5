//! What stands behind a name.

use std::ops::Range;

use polyport_types::Text;

use crate::roster::Strategy;

/// A provider and its name of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider's name in the configuration.
    pub provider: Text,
    /// The name that provider knows the model by.
    pub model: Text,
    /// Share among targets of the same priority; at least 1.
    pub weight: u32,
    /// Lower goes first; targets of a higher number are fall-backs.
    pub priority: u32,
}

impl Target {
    /// A target of weight 1 and priority 1.
    #[must_use]
    pub fn new(provider: impl Into<Text>, model: impl Into<Text>) -> Self {
        Self { provider: provider.into(), model: model.into(), weight: 1, priority: 1 }
    }
}

/// What one entry of a model's or pool's list names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// `provider/model`, split at the first slash, or the name of another model or pool.
    pub to: Text,
    /// Share among targets of the same priority.
    pub weight: u32,
    /// Lower goes first.
    pub priority: u32,
}

impl TargetSpec {
    /// A reference of weight 1 and priority 1.
    #[must_use]
    pub fn new(to: impl Into<Text>) -> Self {
        Self { to: to.into(), weight: 1, priority: 1 }
    }
}

/// Targets that are tried before those of the next stage: a pool, or a list without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The pool.
    pub pool: Option<Text>,
    /// How one of its targets is chosen.
    pub strategy: Strategy,
    /// Where its targets stand in the list of all.
    pub targets: Range<usize>,
}

/// How bodies reach the provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Converted where client and provider speak different protocols.
    #[default]
    Transform,
    /// Only to providers that speak the client's protocol, unconverted.
    Direct,
}
