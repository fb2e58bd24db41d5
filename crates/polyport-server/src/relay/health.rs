//! Which credentials and models rest after a failure.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyport_routing::{Exclusion, Target};
use polyport_types::{Fault, FaultClass, Text};

/// Entries kept at most; the ones that end first go first.
const MOST: usize = 4096;

/// What rests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Resting {
    provider: Text,
    /// Only this model, or all.
    model: Option<Text>,
    /// Only this credential, or all.
    credential: Option<usize>,
}

/// Rests in force.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Spares healthy gateways the lock.
    any: AtomicBool,
    until: Mutex<HashMap<Resting, Rest>>,
}

/// A rest in force.
#[derive(Clone, Copy, Debug)]
struct Rest {
    end: Instant,
    /// What kind of failure it follows.
    cause: FaultClass,
}

/// What a failure proves and for how long.
fn rest(fault: &Fault) -> Option<(bool, bool, Duration)> {
    let (model, credential, default) = match fault.class {
        FaultClass::RateLimited => (true, true, Duration::from_secs(2)),
        FaultClass::RateLimitedWindow => (fault.of_model, true, Duration::from_secs(600)),
        FaultClass::AccountBroken => (false, true, Duration::from_secs(600)),
        FaultClass::AuthInvalid => (false, true, Duration::from_secs(30)),
        FaultClass::CapacityModel => (true, false, Duration::from_secs(30)),
        FaultClass::Untrusted => (false, false, Duration::from_secs(30)),
        FaultClass::Overloaded => (true, false, fault.retry_after?),
        _ => return None,
    };
    /// Nothing rests longer without being tried again.
    const LONGEST: Duration = Duration::from_secs(6 * 3600);
    Some((model, credential, fault.retry_after.unwrap_or(default).min(LONGEST)))
}

impl Health {
    /// Takes note of a failure.
    pub(crate) fn failed(&self, target: &Target, credential: Option<usize>, fault: &Fault) {
        let Some((by_model, by_credential, time)) = rest(fault) else { return };
        let resting = Resting {
            provider: target.provider.clone(),
            model: by_model.then(|| target.model.clone()),
            credential: if by_credential { credential } else { None },
        };
        let now = Instant::now();
        let mut until = self.until.lock();
        if until.len() >= MOST {
            until.retain(|_, rest| rest.end > now);
            if until.len() >= MOST
                && let Some(first) = until.iter().min_by_key(|(_, rest)| rest.end).map(|(resting, _)| resting.clone())
            {
                until.remove(&first);
            }
        }
        until.insert(resting, Rest { end: now + time, cause: fault.class });
        self.any.store(true, Ordering::Release);
    }

    /// Whether an attempt must be left out now.
    pub(crate) fn exclusion(&self, target: &Target, credential: Option<usize>) -> Option<Exclusion> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let now = Instant::now();
        let mut until = self.until.lock();
        until.retain(|_, rest| rest.end > now);
        if until.is_empty() {
            self.any.store(false, Ordering::Release);
            return None;
        }
        until
            .iter()
            .filter(|(resting, _)| {
                resting.provider == target.provider
                    && resting.model.as_ref().is_none_or(|model| *model == target.model)
                    && (resting.credential.is_none() || resting.credential == credential)
            })
            .map(|(_, rest)| u64::try_from(rest.end.saturating_duration_since(now).as_millis()).unwrap_or(u64::MAX))
            .max()
            .map(|for_ms| Exclusion::Cooling { for_ms })
    }

    /// Why nothing of these targets can be tried: the cause of the rest that ends first.
    pub(crate) fn cause(&self, targets: &[Target]) -> Option<FaultClass> {
        let until = self.until.lock();
        let of_targets = until.iter().filter(|(resting, _)| {
            targets.iter().any(|target| {
                resting.provider == target.provider && resting.model.as_ref().is_none_or(|model| *model == target.model)
            })
        });
        of_targets.min_by_key(|(_, rest)| rest.end).map(|(_, rest)| rest.cause)
    }

    /// Forgets all rests.
    pub(crate) fn clear(&self) {
        self.until.lock().clear();
        self.any.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(seconds: u64) -> Fault {
        Fault::new(FaultClass::RateLimited, "").with_retry_after(Duration::from_secs(seconds))
    }

    #[test]
    fn u4_a_rate_limit_rests_one_credential_and_model() {
        let health = Health::default();
        let (one, two) = (Target::new("p", "one"), Target::new("p", "two"));
        health.failed(&one, Some(0), &limited(60));
        assert!(matches!(health.exclusion(&one, Some(0)), Some(Exclusion::Cooling { for_ms }) if for_ms > 50_000));
        assert_eq!(health.exclusion(&one, Some(1)), None);
        assert_eq!(health.exclusion(&two, Some(0)), None);
        assert_eq!(health.cause(&[two, one.clone()]), Some(FaultClass::RateLimited));
        health.clear();
        assert_eq!(health.exclusion(&one, Some(0)), None);
        assert_eq!(health.cause(&[one]), None);
    }

    #[test]
    fn a_quota_of_one_model_leaves_the_others() {
        let health = Health::default();
        let (one, two) = (Target::new("p", "one"), Target::new("p", "two"));
        let of_day = Fault::new(FaultClass::RateLimitedWindow, "");
        health.failed(&one, Some(0), &Fault { of_model: true, ..of_day.clone() });
        assert!(health.exclusion(&one, Some(0)).is_some());
        assert_eq!(health.exclusion(&two, Some(0)), None);
        assert_eq!(health.exclusion(&one, Some(1)), None);
        health.failed(&one, Some(0), &of_day);
        assert!(health.exclusion(&two, Some(0)).is_some(), "a window of the plan is for all models");
    }

    #[test]
    fn a_model_without_capacity_rests_for_all_credentials() {
        let health = Health::default();
        let target = Target::new("p", "m");
        health.failed(&target, Some(0), &Fault::new(FaultClass::CapacityModel, ""));
        assert!(health.exclusion(&target, Some(7)).is_some());
        health.failed(&target, Some(0), &limited(0));
    }

    #[test]
    fn mistakes_of_the_client_rest_nothing() {
        let health = Health::default();
        let target = Target::new("p", "m");
        health.failed(&target, None, &Fault::new(FaultClass::BadRequest, ""));
        assert_eq!(health.exclusion(&target, None), None);
    }
}
