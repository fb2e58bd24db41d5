//! In which order targets and their credentials are tried.
//!
//! Two-level round robin: over the providers first, then over the models of that provider, then over its credentials. Weights set
//! the shares, a lower priority number goes first, everything else stays behind as a fall-back.

use crate::catalog::Target;

/// One try of one target with one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// Index into the targets given to [`plan`].
    pub target: usize,
    /// Index of the provider's credential; `None` for a provider that needs none.
    pub credential: Option<usize>,
}

/// What a provider can be tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// How many credentials it has; 0 means that it needs none.
    pub count: usize,
    /// A counter that moves on with every request to the provider: its credentials take turns.
    pub turn: u64,
}

impl Slots {
    /// A provider without credentials.
    pub const NONE: Self = Self { count: 0, turn: 0 };
}

/// Why an attempt is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exclusion {
    /// Switched off, or broken until somebody acts.
    Disabled,
    /// Resting; milliseconds until it may be tried again.
    Cooling {
        /// How long.
        for_ms: u64,
    },
    /// Its quota is used up.
    Exhausted,
    /// It cannot do what the request needs.
    Unable,
}

impl Exclusion {
    /// The word for logs and `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Cooling { .. } => "cooling",
            Self::Exhausted => "exhausted",
            Self::Unable => "unable",
        }
    }
}

/// An attempt that was left out, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// What would have been tried.
    pub attempt: Attempt,
    /// Why not.
    pub why: Exclusion,
}

/// The attempts of one request, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to try; attempts of one target stand together.
    pub attempts: Vec<Attempt>,
    /// What was left out.
    pub excluded: Vec<Excluded>,
}

impl Plan {
    /// Milliseconds until the first resting attempt may be tried again: the `Retry-After` of an empty plan.
    #[must_use]
    pub fn earliest_ms(&self) -> Option<u64> {
        self.excluded
            .iter()
            .filter_map(|excluded| match excluded.why {
                Exclusion::Cooling { for_ms } => Some(for_ms),
                Exclusion::Disabled | Exclusion::Exhausted | Exclusion::Unable => None,
            })
            .min()
    }
}

/// Orders the attempts. `turn` is a counter that moves on with every request for this model; `slots` tells what a provider can be tried
/// with; `exclude` tells what must be left out now.
pub fn plan(
    targets: &[Target],
    turn: u64,
    mut slots: impl FnMut(&str) -> Slots,
    mut exclude: impl FnMut(&Target, Option<usize>) -> Option<Exclusion>,
) -> Plan {
    let mut plan = Plan::default();
    for target in order(targets, turn) {
        let Some(entry) = targets.get(target) else { continue };
        let Slots { count, turn } = slots(&entry.provider);
        let mut take = |credential: Option<usize>| {
            let attempt = Attempt { target, credential };
            match exclude(entry, credential) {
                Some(why) => plan.excluded.push(Excluded { attempt, why }),
                None => plan.attempts.push(attempt),
            }
        };
        if count == 0 {
            take(None);
        }
        for step in 0..count {
            take(Some(rotate(step, turn, count)));
        }
    }
    plan
}

fn rotate(step: usize, turn: u64, count: usize) -> usize {
    let start = usize::try_from(turn % count.max(1) as u64).unwrap_or_default();
    (start + step) % count.max(1)
}

/// The order of targets: priorities ascending; inside one, providers take turns, and inside a provider its models.
fn order(targets: &[Target], turn: u64) -> Vec<usize> {
    let mut priorities: Vec<u32> = targets.iter().map(|target| target.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let mut out = Vec::with_capacity(targets.len());
    for priority in priorities {
        let mut providers: Vec<(&str, Vec<usize>)> = Vec::new();
        for (index, target) in targets.iter().enumerate().filter(|(_, target)| target.priority == priority) {
            match providers.iter_mut().find(|(name, _)| *name == &*target.provider) {
                Some((_, members)) => members.push(index),
                None => providers.push((&target.provider, vec![index])),
            }
        }
        // A provider's share is its heaviest model's, so that offering more models does not draw more requests.
        let weight_of = |index: &usize| targets.get(*index).map_or(1, |target| u64::from(target.weight.max(1)));
        let weights: Vec<u64> =
            providers.iter().map(|(_, members)| members.iter().map(weight_of).max().unwrap_or(1)).collect();
        for Pick { index, visit } in turns(&weights, turn) {
            let Some((_, members)) = providers.get(index) else { continue };
            let weights: Vec<u64> = members.iter().map(weight_of).collect();
            out.extend(turns(&weights, visit).into_iter().filter_map(|pick| members.get(pick.index)));
        }
    }
    out
}

struct Pick {
    index: usize,
    /// How often this one has come first so far: the turn for what is inside it.
    visit: u64,
}

/// Weighted turns: over one period of `sum(weights)` turns each index comes first as often as its weight says, spread out. The others
/// follow in a circle.
fn turns(weights: &[u64], turn: u64) -> Vec<Pick> {
    let total: u64 = weights.iter().sum::<u64>().max(1);
    let (period, step) = (turn / total, turn % total);
    // A stride near the golden section that shares no divisor with the total visits every place once per period, far apart.
    let mut place = mul_mod(step, stride(total), total);
    let mut first = 0;
    for (index, &weight) in weights.iter().enumerate() {
        first = index;
        if place < weight {
            break;
        }
        place -= weight;
    }
    let count = weights.len();
    (0..count)
        .map(|offset| {
            let index = (first + offset) % count;
            let weight = weights.get(index).copied().unwrap_or(1);
            let within = if offset == 0 { place } else { step % weight.max(1) };
            Pick { index, visit: period.saturating_mul(weight).saturating_add(within) }
        })
        .collect()
}

fn stride(total: u64) -> u64 {
    // total / phi, in integers.
    let near = (u128::from(total) * 618_034 / 1_000_000) as u64;
    (near.max(1)..=total.max(1)).find(|&stride| gcd(stride, total) == 1).unwrap_or(1)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn mul_mod(a: u64, b: u64, modulus: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(modulus.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn target(provider: &str, model: &str, weight: u32, priority: u32) -> Target {
        Target { weight, priority, ..Target::new(provider.to_owned(), model.to_owned()) }
    }

    fn firsts(targets: &[Target], turns: u64) -> HashMap<String, u64> {
        let mut counts = HashMap::new();
        for turn in 0..turns {
            let plan = plan(targets, turn, |_| Slots::NONE, |_, _| None);
            let first = &targets[plan.attempts[0].target];
            *counts.entry(format!("{}/{}", first.provider, first.model)).or_default() += 1;
        }
        counts
    }

    #[test]
    fn providers_take_turns_before_models() {
        let targets = [target("a", "1", 1, 1), target("a", "2", 1, 1), target("b", "3", 1, 1)];
        let counts = firsts(&targets, 400);
        assert_eq!((counts["a/1"], counts["a/2"], counts["b/3"]), (100, 100, 200));
    }

    #[test]
    fn weights_are_shares() {
        let targets = [target("a", "1", 3, 1), target("b", "2", 1, 1)];
        let counts = firsts(&targets, 400);
        assert_eq!((counts["a/1"], counts["b/2"]), (300, 100));
        let targets = [target("a", "1", 3, 1), target("a", "2", 1, 1), target("b", "2", 2, 1)];
        let counts = firsts(&targets, 2000);
        assert_eq!((counts["a/1"], counts["a/2"], counts["b/2"]), (900, 300, 800));
    }

    #[test]
    fn priorities_never_mix_and_everything_stays_in_the_plan() {
        let targets = [target("a", "1", 1, 2), target("b", "2", 9, 1), target("c", "3", 1, 1)];
        for turn in 0..50 {
            let plan = plan(&targets, turn, |_| Slots::NONE, |_, _| None);
            let order: Vec<usize> = plan.attempts.iter().map(|attempt| attempt.target).collect();
            assert_eq!(order.len(), 3);
            assert_eq!(order[2], 0);
        }
    }

    #[test]
    fn credentials_take_turns_and_stay_together() {
        let targets = [target("a", "1", 1, 1), target("b", "2", 1, 2)];
        let made = plan(&targets, 0, |name| Slots { count: if name == "a" { 3 } else { 1 }, turn: 4 }, |_, _| None);
        let pairs: Vec<(usize, Option<usize>)> =
            made.attempts.iter().map(|attempt| (attempt.target, attempt.credential)).collect();
        assert_eq!(pairs, [(0, Some(1)), (0, Some(2)), (0, Some(0)), (1, Some(0))]);
    }

    #[test]
    fn what_is_left_out_is_named() {
        let targets = [target("a", "1", 1, 1)];
        let made = plan(
            &targets,
            0,
            |_| Slots { count: 3, turn: 0 },
            |_, credential| match credential {
                Some(0) => Some(Exclusion::Cooling { for_ms: 900 }),
                Some(1) => Some(Exclusion::Disabled),
                _ => None,
            },
        );
        assert_eq!(made.attempts, [Attempt { target: 0, credential: Some(2) }]);
        assert_eq!(made.excluded.len(), 2);
        assert_eq!(made.earliest_ms(), Some(900));
    }

    #[test]
    fn huge_weights_and_counters_do_not_overflow() {
        let targets = [target("a", "1", u32::MAX, 1), target("b", "2", u32::MAX, 1)];
        assert_eq!(plan(&targets, u64::MAX, |_| Slots::NONE, |_, _| None).attempts.len(), 2);
    }
}
