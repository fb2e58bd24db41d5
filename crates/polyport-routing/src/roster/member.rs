//! A credential as configured, and why one cannot be used.

use polyport_types::{FaultClass, Text};

use crate::state::Millis;

/// A credential as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is known by over restarts and changes of the configuration; not the secret.
    pub id: Text,
    /// Its name in the configuration: what routes with keys of their own name it by.
    pub name: Text,
    /// Share among credentials of the same priority; at least 1.
    pub weight: u32,
    /// Lower goes first; the others are used when none of these can be.
    pub priority: u32,
    /// Attempts at once; 0 for any number.
    pub concurrency: u32,
    /// Attempts over time.
    pub pace: Option<Pace>,
    /// Switched off.
    pub disabled: bool,
}

impl Member {
    /// A credential of weight 1 and priority 1 without limits.
    #[must_use]
    pub fn new(id: impl Into<Text>) -> Self {
        let id = id.into();
        Self { name: id.clone(), id, weight: 1, priority: 1, concurrency: 0, pace: None, disabled: false }
    }
}

/// How often a credential may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts in [`Pace::per`]; at least 1.
    pub requests: u32,
    /// Milliseconds.
    pub per: Millis,
    /// Attempts that may come at once; at least 1.
    pub burst: u32,
}

impl Pace {
    /// Microseconds between two attempts.
    pub(super) fn interval(self) -> u64 {
        (self.per.saturating_mul(1000) / u64::from(self.requests.max(1))).max(1)
    }

    /// Microseconds by which an attempt may come early.
    pub(super) fn tolerance(self) -> u64 {
        self.interval().saturating_mul(u64::from(self.burst.max(1) - 1))
    }
}

/// How one of several is chosen, credentials as well as targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// In turns, by weight.
    #[default]
    RoundRobin,
    /// The one with the fewest attempts under way, by weight.
    LeastBusy,
    /// The one whose answers begin soonest.
    Latency,
    /// The first that can be used, in the order of the configuration.
    Ordered,
}

/// Why a credential or target is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Barred {
    /// Switched off.
    Disabled,
    /// Refused by the provider; somebody has to act.
    Invalid,
    /// Its access token is being renewed.
    Refreshing,
    /// Resting.
    Cooling {
        /// Until then.
        until: Millis,
        /// After this kind of failure.
        cause: FaultClass,
    },
    /// Quota or money is used up.
    Exhausted {
        /// Until then.
        until: Millis,
        /// After this kind of failure.
        cause: FaultClass,
    },
    /// Its rest is over and one attempt is trying it out.
    Probing,
    /// As many attempts are under way as it may have.
    Busy,
    /// It was used as often as its pace allows.
    Ahead {
        /// Until then.
        until: Millis,
    },
    /// It does not belong to the keys of this route.
    NotOfRoute,
    /// It was tried in this request.
    Tried,
}

impl Barred {
    /// The word for logs and `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Invalid => "invalid",
            Self::Refreshing => "refreshing",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::Probing => "probing",
            Self::Busy => "busy",
            Self::Ahead { .. } => "ahead of its pace",
            Self::NotOfRoute => "not of this route",
            Self::Tried => "tried",
        }
    }

    /// When it may be used again, if that is known.
    #[must_use]
    pub fn until(self) -> Option<Millis> {
        match self {
            Self::Cooling { until, .. } | Self::Exhausted { until, .. } | Self::Ahead { until } => Some(until),
            Self::Disabled
            | Self::Invalid
            | Self::Refreshing
            | Self::Probing
            | Self::Busy
            | Self::NotOfRoute
            | Self::Tried => None,
        }
    }

    /// The failure behind it.
    #[must_use]
    pub fn cause(self) -> Option<FaultClass> {
        match self {
            Self::Cooling { cause, .. } | Self::Exhausted { cause, .. } => Some(cause),
            Self::Invalid => Some(FaultClass::AuthInvalid),
            Self::Disabled
            | Self::Refreshing
            | Self::Probing
            | Self::Busy
            | Self::Ahead { .. }
            | Self::NotOfRoute
            | Self::Tried => None,
        }
    }
}
