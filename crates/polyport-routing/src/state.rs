//! States of credentials and what a failure proves: what rests, for how long, and how it comes back.

use polyport_types::{Fault, FaultClass, Text};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970, UTC. Times are always arguments in this crate.
pub type Millis = u64;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// Nothing rests longer without being tried again: the longest windows of plans are a week.
const LONGEST: Millis = 8 * DAY;

/// Whether a credential can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// It can be used.
    Ready,
    /// It rests after failures.
    Cooling {
        /// Until then.
        until: Millis,
        /// What kind of failure it was.
        cause: FaultClass,
    },
    /// Its quota or its money is used up.
    Exhausted {
        /// Until then; it is tried again by itself.
        until: Millis,
        /// What kind of failure it was.
        cause: FaultClass,
    },
    /// Its access token is being renewed and cannot be used meanwhile.
    Refreshing,
    /// It was refused; somebody has to act.
    Invalid {
        /// What the provider said.
        reason: Text,
    },
    /// Switched off.
    Disabled,
}

impl State {
    /// The word for tables, logs and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted { .. } => "exhausted",
            Self::Refreshing => "refreshing",
            Self::Invalid { .. } => "invalid",
            Self::Disabled => "disabled",
        }
    }
}

/// What a rest covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One credential, with all models.
    Credential,
    /// One credential with one model.
    CredentialModel,
    /// One model of the provider, with all credentials.
    Model,
    /// The whole provider.
    Provider,
}

/// A failure as the relay saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble<'a> {
    /// What kind.
    pub class: FaultClass,
    /// The HTTP status, if there was one.
    pub status: Option<u16>,
    /// When the provider wants to be asked again.
    pub retry_at: Option<Millis>,
    /// What it covers, where the provider said so (a window of one model, a key without any rights).
    pub scope: Option<Scope>,
    /// What the provider said, without secrets: the reason shown for an invalid credential.
    pub message: &'a str,
}

impl<'a> Trouble<'a> {
    /// What a fault of a provider says.
    #[must_use]
    pub fn of(fault: &'a Fault, now: Millis) -> Self {
        let after = fault.retry_after.map(|after| Millis::try_from(after.as_millis()).unwrap_or(Millis::MAX));
        Self {
            class: fault.class,
            status: fault.upstream_status,
            retry_at: after.map(|after| now.saturating_add(after)),
            scope: fault.of_model.then_some(Scope::CredentialModel),
            message: &fault.message,
        }
    }

    /// A failure of which only the kind is known.
    #[must_use]
    pub fn new(class: FaultClass) -> Self {
        Self { class, status: None, retry_at: None, scope: None, message: "" }
    }
}

/// A first rest, doubled with every failure in a row up to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// After the first failure.
    pub first: Millis,
    /// At most.
    pub longest: Millis,
}

impl Ladder {
    fn step(self, run: u32) -> Millis {
        let doubled = run.saturating_sub(1).min(40);
        self.first.saturating_mul(1 << doubled).min(self.longest.max(self.first))
    }
}

/// How long what rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestPolicy {
    /// A rate limit that does not say when it ends.
    pub rate_limited: Ladder,
    /// Whether a rate limit is taken to be one of the credential with that model only. Default: true.
    pub limits_per_model: bool,
    /// A used-up plan window that does not say when it ends.
    pub window: Ladder,
    /// An account that cannot be used, until it is tried again.
    pub account: Millis,
    /// A credential refused once, until it is tried again.
    pub refused: Millis,
    /// Refusals in a row after which an API key is invalid.
    pub refusals: u32,
    /// Access to a model denied again.
    pub denied: Millis,
    /// A model that a credential does not have.
    pub no_model: Millis,
    /// A model without capacity.
    pub capacity: Ladder,
    /// An overloaded model, once it was overloaded [`RestPolicy::strikes`] times within a minute.
    pub overloaded: Ladder,
    /// See [`RestPolicy::overloaded`].
    pub strikes: u32,
    /// A provider whose certificate is not trusted.
    pub untrusted: Ladder,
    /// A model that fails too often.
    pub failing: Ladder,
    /// Share of failures, in percent, from which on a model rests.
    pub failing_percent: u32,
    /// Attempts within half a minute that a share is judged by.
    pub failing_least: u32,
    /// Failures in a row after which a model rests, however few attempts there are.
    pub failing_row: u32,
    /// Share of failures, in percent, from which on a model stands behind others of its priority.
    pub ailing_percent: u32,
}

impl Default for RestPolicy {
    fn default() -> Self {
        let ladder = |first, longest| Ladder { first, longest };
        Self {
            rate_limited: ladder(2 * SECOND, MINUTE),
            limits_per_model: true,
            window: ladder(10 * MINUTE, 6 * HOUR),
            account: 6 * HOUR,
            refused: 30 * SECOND,
            refusals: 2,
            denied: HOUR,
            no_model: 10 * MINUTE,
            capacity: ladder(30 * SECOND, MINUTE),
            overloaded: ladder(15 * SECOND, 30 * SECOND),
            strikes: 3,
            untrusted: ladder(30 * SECOND, 10 * MINUTE),
            failing: ladder(5 * SECOND, 2 * MINUTE),
            failing_percent: 50,
            failing_least: 8,
            failing_row: 5,
            ailing_percent: 20,
        }
    }
}

/// What a failure proves something about; `None` if it proves nothing beyond its own request.
#[must_use]
pub(crate) fn scope(policy: &RestPolicy, trouble: &Trouble<'_>) -> Option<Scope> {
    let default = match trouble.class {
        FaultClass::RateLimited if policy.limits_per_model => Scope::CredentialModel,
        FaultClass::RateLimited
        | FaultClass::RateLimitedWindow
        | FaultClass::AuthInvalid
        | FaultClass::AccountBroken => Scope::Credential,
        FaultClass::PermissionDenied | FaultClass::ModelNotFound => Scope::CredentialModel,
        FaultClass::CapacityModel
        | FaultClass::Overloaded
        | FaultClass::ServerError
        | FaultClass::Timeout
        | FaultClass::Transport
        | FaultClass::UpstreamProtocol => Scope::Model,
        FaultClass::Untrusted => Scope::Provider,
        FaultClass::BadRequest
        | FaultClass::ContextTooLong
        | FaultClass::TooLarge
        | FaultClass::PolicyRefused
        | FaultClass::NotFound
        | FaultClass::MethodNotAllowed
        | FaultClass::UnsupportedMediaType
        | FaultClass::ClientAuth
        | FaultClass::ToolUseFailed
        | FaultClass::ClientGone
        | FaultClass::RequestTimeout
        | FaultClass::LocalQuota
        | FaultClass::LocalRate
        | FaultClass::NoUpstream
        | FaultClass::Internal => return None,
    };
    Some(trouble.scope.unwrap_or(default))
}

/// What follows a failure for what it proves something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Remember it, no more.
    Watch,
    /// Leave it alone.
    Rest {
        until: Millis,
        exhausted: bool,
        /// Nobody said that it will be well then: one attempt goes first.
        half_open: bool,
    },
    /// Until somebody acts.
    Invalid,
}

/// What follows the `run`-th failure in a row. `jitter` spreads the end of rests: 0 none, 255 most.
pub(crate) fn verdict(policy: &RestPolicy, trouble: &Trouble<'_>, run: u32, now: Millis, jitter: u8) -> Verdict {
    let guessed = |time: Millis, exhausted: bool, half_open: bool| Verdict::Rest {
        until: now.saturating_add(spread(time, jitter)),
        exhausted,
        half_open,
    };
    // What the provider said counts as the least: many instances must not come back in the same millisecond.
    let stated = trouble.retry_at.filter(|&at| at > now).map(|at| {
        let at = at.min(now.saturating_add(LONGEST));
        at.saturating_add((at - now).min(10 * SECOND) / 10 * u64::from(jitter) / 255)
    });
    let until = |exhausted: bool| stated.map(|until| Verdict::Rest { until, exhausted, half_open: false });
    match trouble.class {
        FaultClass::RateLimited => until(false).unwrap_or_else(|| guessed(policy.rate_limited.step(run), false, false)),
        FaultClass::RateLimitedWindow => until(true).unwrap_or_else(|| guessed(policy.window.step(run), true, true)),
        FaultClass::AccountBroken => until(true).unwrap_or_else(|| guessed(policy.account, true, true)),
        FaultClass::AuthInvalid if run >= policy.refusals => Verdict::Invalid,
        FaultClass::AuthInvalid => guessed(policy.refused, false, true),
        FaultClass::PermissionDenied if run >= 2 => guessed(policy.denied, false, true),
        FaultClass::PermissionDenied => guessed(policy.refused, false, true),
        FaultClass::ModelNotFound if run >= 2 => guessed(policy.no_model, false, true),
        FaultClass::CapacityModel => until(false).unwrap_or_else(|| guessed(policy.capacity.step(run), false, true)),
        FaultClass::Overloaded => until(false).unwrap_or_else(|| guessed(policy.overloaded.step(run), false, true)),
        FaultClass::Untrusted => guessed(policy.untrusted.step(run), false, true),
        FaultClass::ServerError | FaultClass::Timeout | FaultClass::Transport | FaultClass::UpstreamProtocol => {
            guessed(policy.failing.step(run), false, true)
        }
        _ => Verdict::Watch,
    }
}

/// Up to a quarter longer.
pub(crate) fn spread(time: Millis, jitter: u8) -> Millis {
    time.saturating_add(time / 4 * u64::from(jitter) / 255)
}

/// What is remembered of a credential, or of a provider's model, over a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The credential; absent for what all credentials share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Text>,
    /// The model; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Text>,
    /// What it was in.
    #[serde(flatten)]
    pub state: State,
    /// Failures in a row.
    #[serde(default)]
    pub run: u32,
    /// Whether one attempt goes first after the rest.
    #[serde(default)]
    pub half_open: bool,
    /// Whether it is only passed over while others can serve.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
}

#[cfg(test)]
mod tests {
    use FaultClass as C;

    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn rest(class: FaultClass, retry_at: Option<Millis>, run: u32, jitter: u8) -> Verdict {
        verdict(&RestPolicy::default(), &Trouble { retry_at, ..Trouble::new(class) }, run, NOW, jitter)
    }

    fn ends(verdict: Verdict) -> Option<Millis> {
        match verdict {
            Verdict::Rest { until, .. } => Some(until - NOW),
            Verdict::Watch | Verdict::Invalid => None,
        }
    }

    #[test]
    fn what_a_class_covers_and_for_how_long() {
        let policy = RestPolicy::default();
        let cases = [
            (C::RateLimited, Scope::CredentialModel, 2 * SECOND),
            (C::RateLimitedWindow, Scope::Credential, 10 * MINUTE),
            (C::AccountBroken, Scope::Credential, 6 * HOUR),
            (C::AuthInvalid, Scope::Credential, 30 * SECOND),
            (C::PermissionDenied, Scope::CredentialModel, 30 * SECOND),
            (C::CapacityModel, Scope::Model, 30 * SECOND),
            (C::Overloaded, Scope::Model, 15 * SECOND),
            (C::ServerError, Scope::Model, 5 * SECOND),
            (C::Untrusted, Scope::Provider, 30 * SECOND),
        ];
        for (class, covers, time) in cases {
            assert_eq!(scope(&policy, &Trouble::new(class)), Some(covers), "{class:?}");
            assert_eq!(ends(rest(class, None, 1, 0)), Some(time), "{class:?}");
        }
        for class in [C::BadRequest, C::ContextTooLong, C::ClientGone, C::ToolUseFailed, C::LocalQuota] {
            assert_eq!(scope(&policy, &Trouble::new(class)), None, "{class:?}");
        }
        let account = Trouble { scope: Some(Scope::Credential), ..Trouble::new(C::RateLimited) };
        assert_eq!(scope(&policy, &account), Some(Scope::Credential));
    }

    #[test]
    fn a_fault_says_when_and_what() {
        let fault =
            Fault::new(C::RateLimitedWindow, "used up").with_retry_after(std::time::Duration::from_millis(1500));
        let trouble = Trouble::of(&fault, NOW);
        assert_eq!((trouble.retry_at, trouble.scope, trouble.message), (Some(NOW + 1500), None, "used up"));
        let of_model = Fault { of_model: true, ..fault };
        assert_eq!(scope(&RestPolicy::default(), &Trouble::of(&of_model, NOW)), Some(Scope::CredentialModel));
    }

    #[test]
    fn rests_grow_up_to_a_cap_and_jitter_only_lengthens_them() {
        let times: Vec<_> =
            [1, 2, 5, 6, 99].iter().map(|&run| ends(rest(C::RateLimited, None, run, 0)).unwrap()).collect();
        assert_eq!(times, [2000, 4000, 32_000, 60_000, 60_000]);
        assert_eq!(ends(rest(C::Overloaded, None, 1, 255)), Some(18_750));
        assert_eq!(ends(rest(C::RateLimited, Some(NOW + 2000), 7, 0)), Some(2000));
        assert_eq!(ends(rest(C::RateLimited, Some(NOW + 2000), 7, 255)), Some(2200));
        assert_eq!(ends(rest(C::RateLimitedWindow, Some(NOW + 900 * DAY), 1, 0)), Some(LONGEST));
        // A moment that is past says nothing.
        assert_eq!(ends(rest(C::RateLimited, Some(NOW - 5), 1, 0)), Some(2000));
    }

    #[test]
    fn one_refusal_rests_and_the_second_in_a_row_invalidates() {
        assert_eq!(ends(rest(C::AuthInvalid, None, 1, 0)), Some(30 * SECOND));
        assert_eq!(rest(C::AuthInvalid, None, 2, 0), Verdict::Invalid);
        assert_eq!(rest(C::ModelNotFound, None, 1, 0), Verdict::Watch);
        assert_eq!(ends(rest(C::ModelNotFound, None, 2, 0)), Some(10 * MINUTE));
    }
}
