//! How many failed attempts may be repeated: when everything fails, repeating everything makes it worse.

use parking_lot::Mutex;

use crate::state::Millis;

/// What share of requests may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// Repetitions per hundred requests.
    pub percent: u32,
    /// Repetitions a second that are always allowed.
    pub reserve: u32,
}

impl Default for BudgetPolicy {
    fn default() -> Self {
        Self { percent: 20, reserve: 5 }
    }
}

/// Repetitions saved up at most, in seconds of the reserve and in requests.
const SAVED_SECONDS: u64 = 2;
const SAVED_REQUESTS: u64 = 1000;

/// The allowance for repetitions.
#[derive(Debug)]
pub struct RetryBudget {
    policy: BudgetPolicy,
    state: Mutex<Allowance>,
}

#[derive(Debug, Default)]
struct Allowance {
    /// Earned by requests, in hundredths of a repetition.
    earned: u64,
    /// Of the reserve, in thousandths.
    reserve: u64,
    at: Millis,
}

impl RetryBudget {
    /// Begins with the reserve.
    #[must_use]
    pub fn new(policy: BudgetPolicy) -> Self {
        let reserve = SAVED_SECONDS * 1000 * u64::from(policy.reserve);
        Self { policy, state: Mutex::new(Allowance { reserve, ..Allowance::default() }) }
    }

    /// What it was made of.
    #[must_use]
    pub fn policy(&self) -> BudgetPolicy {
        self.policy
    }

    /// A request begins.
    pub fn request(&self) {
        let mut state = self.state.lock();
        let most = SAVED_REQUESTS * u64::from(self.policy.percent);
        state.earned = (state.earned + u64::from(self.policy.percent)).min(most);
    }

    /// Whether an attempt may be repeated now; counts it if so. Attempts that only a credential spoiled are no repetitions: see
    /// [`crate::retry::counts`].
    pub fn repeat(&self, now: Millis) -> bool {
        let mut state = self.state.lock();
        let passed = now.saturating_sub(state.at);
        state.at = state.at.max(now);
        let reserve = u64::from(self.policy.reserve);
        state.reserve =
            state.reserve.saturating_add(passed.saturating_mul(reserve)).min(SAVED_SECONDS * 1000 * reserve);
        if let Some(left) = state.earned.checked_sub(100) {
            state.earned = left;
        } else if let Some(left) = state.reserve.checked_sub(1000) {
            state.reserve = left;
        } else {
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u28_repetitions_stay_a_share_of_requests() {
        let budget = RetryBudget::new(BudgetPolicy { percent: 20, reserve: 5 });
        let mut repeated = 0;
        // A thousand requests a second for ten seconds, all failing three times.
        for now in 0..10_000 {
            budget.request();
            repeated += (0..3).filter(|_| budget.repeat(1000 + now)).count();
        }
        assert!((2000..=2070).contains(&repeated), "{repeated}");
    }

    #[test]
    fn few_requests_may_always_be_repeated() {
        let budget = RetryBudget::new(BudgetPolicy::default());
        assert!((0..60).all(|second| {
            budget.request();
            (0..3).all(|_| budget.repeat(1_700_000_000_000 + second * 1000))
        }));
    }
}
