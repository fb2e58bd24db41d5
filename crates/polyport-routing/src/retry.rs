//! An attempt failed before anything reached the client: what next?

use std::time::Duration;

use polyport_types::FaultClass;

/// Bounds of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, when fewer targets are planned than this. Attempts that only a credential spoiled (429, refused key) do not
    /// count: they cost nothing and another credential may be good.
    pub max_attempts: u32,
    /// Time for all attempts of a request together, until an answer begins: no attempt starts later, nor goes on without output.
    pub patience: Duration,
    /// Longest wait inside a request.
    pub max_wait: Duration,
}

impl RetryPolicy {
    /// The same for a client that says how long it waits, from the first byte of its request on.
    #[must_use]
    pub fn within(&self, client: Option<Duration>) -> Self {
        Self { patience: client.map_or(self.patience, |client| client.min(self.patience)), ..self.clone() }
    }

    /// What is left of the time for all attempts together: no attempt may take longer.
    #[must_use]
    pub fn left(&self, elapsed: Duration) -> Duration {
        self.patience.saturating_sub(elapsed)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 3, patience: Duration::from_secs(600), max_wait: Duration::from_secs(5) }
    }
}

/// The failure just seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: FaultClass,
    /// When the provider wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// What happened so far in this request and what is left to try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Failed attempts that count against [`RetryPolicy::max_attempts`], the last one included if it does.
    pub failures: u32,
    /// The target has already been tried twice with this same credential.
    pub repeated: bool,
    /// The target has already been moved to another credential because the model was not found.
    pub model_moved: bool,
    /// Untried credentials of the same target.
    pub credentials_left: u32,
    /// Untried targets.
    pub targets_left: u32,
    /// Something of the answer has reached the client.
    pub committed: bool,
    /// Too many attempts were repeated lately, of all requests: see [`crate::RetryBudget`].
    pub over_budget: bool,
    /// Since the request began.
    pub elapsed: Duration,
    /// A random number, used to spread waits: 0 is the shortest, 255 the longest.
    pub jitter: u8,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try the same target and credential again.
    SameCredential {
        /// After this wait.
        after: Duration,
    },
    /// Try the same target with its next credential.
    NextCredential,
    /// Try the next target.
    NextTarget,
    /// Tell the client.
    GiveUp,
}

/// Whether a failure of this class counts against [`RetryPolicy::max_attempts`]: the provider did work for it, or time was lost.
#[must_use]
pub fn counts(class: FaultClass) -> bool {
    !matches!(
        class,
        FaultClass::AuthInvalid
            | FaultClass::PermissionDenied
            | FaultClass::AccountBroken
            | FaultClass::RateLimited
            | FaultClass::RateLimitedWindow
            | FaultClass::ModelNotFound
            | FaultClass::CapacityModel
    )
}

/// What a class allows.
struct Allowed {
    same: Same,
    credential: bool,
    target: bool,
}

/// Whether the same credential may be tried again.
enum Same {
    No,
    /// Once, after a wait between these bounds, or as long as the provider asked for.
    Once(Duration, Duration),
    /// Once, if the provider's wait is at most this long and nothing else is left.
    IfSoon(Duration),
}

const NONE: Duration = Duration::ZERO;
const HALF: Duration = Duration::from_millis(500);
const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(2);

fn allowed(class: FaultClass) -> Option<Allowed> {
    let allow = |same, credential, target| Some(Allowed { same, credential, target });
    match class {
        // An access token that was refused is renewed before anybody asks here.
        FaultClass::AuthInvalid
        | FaultClass::ModelNotFound
        | FaultClass::PermissionDenied
        | FaultClass::AccountBroken
        | FaultClass::RateLimitedWindow
        | FaultClass::Timeout => allow(Same::No, true, true),
        FaultClass::RateLimited => allow(Same::IfSoon(SOON), true, true),
        // Another key meets the same model without room, or the same certificate.
        FaultClass::CapacityModel | FaultClass::Untrusted => allow(Same::No, false, true),
        FaultClass::Overloaded => allow(Same::Once(HALF, SECOND), true, true),
        FaultClass::ServerError | FaultClass::Transport | FaultClass::UpstreamProtocol => {
            allow(Same::Once(NONE, NONE), true, true)
        }
        FaultClass::ToolUseFailed => allow(Same::Once(NONE, NONE), false, false),
        FaultClass::BadRequest
        | FaultClass::ContextTooLong
        | FaultClass::TooLarge
        | FaultClass::PolicyRefused
        | FaultClass::NotFound
        | FaultClass::MethodNotAllowed
        | FaultClass::UnsupportedMediaType
        | FaultClass::ClientAuth
        | FaultClass::ClientGone
        | FaultClass::RequestTimeout
        | FaultClass::LocalQuota
        | FaultClass::LocalRate
        | FaultClass::NoUpstream
        | FaultClass::Internal => None,
    }
}

/// Decides what follows a failure.
///
/// Every planned target is tried before the request fails: repeating a target, or moving it to another credential after a failure of
/// the server, is done only as long as enough attempts remain for the targets not yet tried.
#[must_use]
pub fn next(policy: &RetryPolicy, failure: Failure, history: &History) -> Next {
    let Some(allowed) = allowed(failure.class) else { return Next::GiveUp };
    if history.committed || history.elapsed >= policy.patience {
        return Next::GiveUp;
    }
    let left = policy.max_attempts.saturating_sub(history.failures);
    // Another target is always tried: it may be well, and one that is not rests after a few failures.
    let spare = left > history.targets_left && !history.over_budget;
    let cheap = !counts(failure.class);

    if let Some(after) = wait(&allowed.same, failure, history)
        && !history.repeated
        && (cheap || spare)
        && after <= policy.max_wait
        && history.elapsed + after < policy.patience
        && !(matches!(allowed.same, Same::IfSoon(_)) && (history.credentials_left > 0 || history.targets_left > 0))
    {
        return Next::SameCredential { after };
    }
    let credential = allowed.credential && !(failure.class == FaultClass::ModelNotFound && history.model_moved);
    if credential && history.credentials_left > 0 && (cheap || spare) {
        return Next::NextCredential;
    }
    if allowed.target && history.targets_left > 0 {
        return Next::NextTarget;
    }
    Next::GiveUp
}

/// How long to wait before the same credential may be tried again; `None` if it may not.
fn wait(same: &Same, failure: Failure, history: &History) -> Option<Duration> {
    match *same {
        Same::No => None,
        Same::Once(least, most) => {
            let spread = (most - least) * u32::from(history.jitter) / u32::from(u8::MAX);
            Some((least + spread).max(failure.retry_after.unwrap_or_default()))
        }
        Same::IfSoon(most) => failure.retry_after.filter(|&after| after <= most),
    }
}

#[cfg(test)]
mod tests {
    use FaultClass as C;

    use super::*;

    const NOW: Next = Next::SameCredential { after: Duration::ZERO };

    fn go(class: FaultClass, history: History) -> Next {
        next(&RetryPolicy::default(), Failure { class, retry_after: None }, &history)
    }

    fn alone(failures: u32) -> History {
        History { failures, ..History::default() }
    }

    fn with(failures: u32, credentials_left: u32, targets_left: u32) -> History {
        History { failures, credentials_left, targets_left, ..History::default() }
    }

    #[test]
    fn mistakes_of_the_client_go_back_at_once() {
        for class in [C::BadRequest, C::ContextTooLong, C::TooLarge, C::PolicyRefused, C::ClientGone, C::LocalQuota] {
            assert_eq!(go(class, with(1, 5, 5)), Next::GiveUp, "{class:?}");
        }
    }

    #[test]
    fn one_repetition_of_server_failures() {
        for class in [C::ServerError, C::Transport, C::UpstreamProtocol, C::ToolUseFailed] {
            assert_eq!(go(class, alone(1)), NOW, "{class:?}");
            assert_eq!(go(class, History { repeated: true, ..alone(2) }), Next::GiveUp, "{class:?}");
        }
        assert_eq!(go(C::Timeout, alone(1)), Next::GiveUp);
    }

    #[test]
    fn overload_waits_between_half_a_second_and_one() {
        let after = |jitter| go(C::Overloaded, History { jitter, ..alone(1) });
        assert_eq!(after(0), Next::SameCredential { after: HALF });
        assert_eq!(after(255), Next::SameCredential { after: SECOND });
        let slow = Failure { class: C::Overloaded, retry_after: Some(Duration::from_secs(3)) };
        let policy = RetryPolicy::default();
        assert_eq!(next(&policy, slow, &alone(1)), Next::SameCredential { after: Duration::from_secs(3) });
        let slower = Failure { retry_after: Some(Duration::from_secs(6)), ..slow };
        assert_eq!(next(&policy, slower, &alone(1)), Next::GiveUp);
        assert_eq!(next(&policy, slower, &with(1, 0, 1)), Next::NextTarget);
    }

    #[test]
    fn rate_limits_move_to_the_next_credential_then_target_and_only_then_wait() {
        let policy = RetryPolicy::default();
        let soon = Failure { class: C::RateLimited, retry_after: Some(Duration::from_millis(1500)) };
        assert_eq!(next(&policy, soon, &with(0, 1, 1)), Next::NextCredential);
        assert_eq!(next(&policy, soon, &with(0, 0, 1)), Next::NextTarget);
        assert_eq!(next(&policy, soon, &alone(0)), Next::SameCredential { after: Duration::from_millis(1500) });
        assert_eq!(next(&policy, soon, &History { repeated: true, ..alone(0) }), Next::GiveUp);
        let late = Failure { retry_after: Some(Duration::from_secs(3)), ..soon };
        assert_eq!(next(&policy, late, &alone(0)), Next::GiveUp);
        assert_eq!(go(C::RateLimited, alone(0)), Next::GiveUp);
    }

    #[test]
    fn refused_credentials_never_use_up_attempts() {
        for class in [C::AuthInvalid, C::PermissionDenied, C::AccountBroken, C::RateLimitedWindow] {
            assert!(!counts(class));
            assert_eq!(go(class, with(3, 7, 2)), Next::NextCredential, "{class:?}");
            assert_eq!(go(class, with(3, 0, 2)), Next::NextTarget, "{class:?}");
            assert_eq!(go(class, with(3, 0, 0)), Next::GiveUp, "{class:?}");
        }
    }

    #[test]
    fn an_unknown_model_tries_one_other_credential() {
        assert_eq!(go(C::ModelNotFound, with(0, 3, 1)), Next::NextCredential);
        let moved = History { model_moved: true, ..with(0, 2, 1) };
        assert_eq!(go(C::ModelNotFound, moved), Next::NextTarget);
    }

    #[test]
    fn no_capacity_is_the_same_for_all_credentials() {
        assert_eq!(go(C::CapacityModel, with(0, 3, 1)), Next::NextTarget);
        assert_eq!(go(C::CapacityModel, with(0, 3, 0)), Next::GiveUp);
    }

    #[test]
    fn every_target_gets_its_attempt() {
        // Three attempts, three targets: no repetition.
        assert_eq!(go(C::ServerError, with(1, 1, 2)), Next::NextTarget);
        // Two targets: one may be repeated.
        assert_eq!(go(C::ServerError, with(1, 0, 1)), NOW);
        assert_eq!(go(C::ServerError, History { repeated: true, ..with(2, 1, 1) }), Next::NextTarget);
        // More targets than attempts: still all of them.
        assert_eq!(go(C::ServerError, with(4, 0, 2)), Next::NextTarget);
        assert_eq!(go(C::ServerError, History { repeated: true, ..with(1, 1, 0) }), Next::NextCredential);
    }

    #[test]
    fn over_budget_only_other_targets_and_what_costs_nothing_are_tried() {
        let over = History { over_budget: true, ..with(1, 1, 1) };
        assert_eq!(go(C::ServerError, over), Next::NextTarget);
        assert_eq!(go(C::ServerError, History { over_budget: true, ..with(1, 1, 0) }), Next::GiveUp);
        assert_eq!(go(C::RateLimited, over), Next::NextCredential);
    }

    #[test]
    fn a_clients_patience_bounds_all_attempts() {
        let policy = RetryPolicy::default().within(Some(Duration::from_secs(60)));
        assert_eq!(policy.left(Duration::from_secs(45)), Duration::from_secs(15));
        assert_eq!(policy.left(Duration::from_secs(61)), Duration::ZERO);
        assert_eq!(RetryPolicy::default().within(Some(Duration::from_secs(9000))), RetryPolicy::default());
    }

    #[test]
    fn nothing_after_the_first_byte_or_the_end_of_patience() {
        let committed = History { committed: true, ..with(1, 1, 1) };
        assert_eq!(go(C::ServerError, committed), Next::GiveUp);
        let late = History { elapsed: Duration::from_secs(600), ..with(1, 1, 1) };
        assert_eq!(go(C::RateLimited, late), Next::GiveUp);
    }
}
