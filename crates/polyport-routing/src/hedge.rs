//! A second attempt where the first is slow to begin.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::provider::ProviderHealth;
use crate::state::Millis;

/// When and how often a second attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgePolicy {
    /// It is made when the answer has not begun by the time at which this share, in percent, of answers had.
    pub percentile: u8,
    /// At most this share of requests, in percent, gets one; 0 for none.
    pub share: u8,
    /// Never earlier than this.
    pub least: Millis,
    /// Answers that must have been seen.
    pub samples: u32,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self { percentile: 95, share: 5, least: 500, samples: 20 }
    }
}

/// Second attempts saved up at most.
const SAVED: u64 = 10;

/// The rule for second attempts, and the allowance for them.
#[derive(Debug)]
pub struct Hedge {
    policy: HedgePolicy,
    /// In hundredths of an attempt.
    allowance: AtomicU64,
}

impl Hedge {
    /// Begins without any saved up.
    #[must_use]
    pub fn new(policy: HedgePolicy) -> Self {
        Self { policy, allowance: AtomicU64::new(0) }
    }

    /// The rule.
    #[must_use]
    pub fn policy(&self) -> HedgePolicy {
        self.policy
    }

    /// A request begins.
    pub fn request(&self) {
        let earned = u64::from(self.policy.share.min(100));
        update(&self.allowance, |allowance| Some((allowance + earned).min(SAVED * 100)));
    }

    /// Milliseconds after which a second attempt is worth it, if that is known. Streams are compared with streams, and `whole` answers with
    /// whole ones.
    #[must_use]
    pub fn after(&self, health: &ProviderHealth, model: &str, whole: bool) -> Option<Millis> {
        if self.policy.share == 0 {
            return None;
        }
        let time = health.begins_within(model, whole, self.policy.percentile, self.policy.samples)?;
        Some(time.max(self.policy.least))
    }

    /// The time has come: whether the second attempt may be made.
    pub fn take(&self) -> bool {
        update(&self.allowance, |allowance| allowance.checked_sub(100))
    }
}

impl PartialEq for Hedge {
    /// Whether the rule is the same.
    fn eq(&self, other: &Self) -> bool {
        self.policy == other.policy
    }
}

impl Eq for Hedge {}

/// Whether there was something to change it to.
fn update(value: &AtomicU64, change: impl FnMut(u64) -> Option<u64>) -> bool {
    value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::roster::{Ask, Strategy, Tried};
    use crate::state::RestPolicy;

    #[test]
    fn a_share_of_requests_gets_a_second_attempt_once_times_are_known() {
        let health = Arc::new(ProviderHealth::new("p", Vec::new(), Strategy::RoundRobin, RestPolicy::default()));
        let hedge = Hedge::new(HedgePolicy::default());
        assert_eq!(hedge.after(&health, "m", false), None);
        for turn in 0..40 {
            let ask = Ask { model: "m", now: turn, turn, among: None };
            let millis = if turn % 10 == 0 { 3000 } else { 800 };
            health.lease(&ask, &mut Tried::default()).unwrap().succeeded(Some(200), millis, turn);
        }
        let after = hedge.after(&health, "m", false).unwrap();
        assert!((3000..=3600).contains(&after), "{after}");
        assert_eq!(hedge.after(&health, "m", true), None, "nothing is known of whole answers");
        let mut made = 0;
        for _ in 0..1000 {
            hedge.request();
            made += u32::from(hedge.take());
        }
        assert!((48..=51).contains(&made), "{made}");
        let off = Hedge::new(HedgePolicy { share: 0, ..HedgePolicy::default() });
        off.request();
        assert_eq!((off.after(&health, "m", false), off.take()), (None, false));
    }
}
