//! Weighted turns without memory: which of several is due at turn `t`.
//!
//! A cycle has as many turns as all weights together, and in any `cycle` turns in a row each comes exactly as often as its weight
//! says, spread out evenly. Equal weights take turns in their order.

/// Several of one weight; they take turns among themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Class {
    /// Share of each; 1 to 65,535.
    pub(crate) weight: u32,
    /// How many there are.
    pub(crate) count: u32,
}

impl Class {
    fn total(self) -> u64 {
        u64::from(self.weight.clamp(1, 0xffff)) * u64::from(self.count)
    }
}

/// Who is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Which class.
    pub(crate) class: usize,
    /// Which of the class, from 0.
    pub(crate) member: u32,
    /// How often this one has been due before: the turn for what is inside it.
    pub(crate) visit: u64,
}

/// Who is due at `turn`; `None` if there is nobody. Classes have different weights.
pub(crate) fn due(classes: &[Class], turn: u64) -> Option<Due> {
    let cycle: u64 = classes.iter().map(|class| class.total()).sum();
    if cycle == 0 {
        return None;
    }
    let (period, step) = (turn / cycle, turn % cycle);
    let mut inhabited = classes.iter().enumerate().filter(|(_, class)| class.count > 0);
    let (only, _) = inhabited.next()?;
    if inhabited.next().is_none() {
        return Some(visited(classes, only, turn));
    }
    if classes.len() <= FEW {
        merged(classes, (period, step, cycle), &mut [0; FEW])
    } else {
        merged(classes, (period, step, cycle), &mut vec![0; classes.len()])
    }
}

/// Classes handled without an allocation.
const FEW: usize = 16;

/// The j-th visit of a class of share w lies at (2j + 1) / 2w of the cycle; of those at the same place the first class goes first.
/// Finds the one before which there are `step` others.
fn merged(classes: &[Class], (period, step, cycle): (u64, u64, u64), visits: &mut [u64]) -> Option<Due> {
    // Up to any place each class has at most half a visit more than its share, so that here no more than `step` are counted.
    let place = u128::from(step.saturating_sub(classes.len() as u64));
    for (class, visits) in classes.iter().zip(visits.iter_mut()) {
        let doubled = 2 * u128::from(class.total()) * place + u128::from(cycle);
        *visits = (doubled / (2 * u128::from(cycle))) as u64;
    }
    let mut before: u64 = visits.iter().sum();
    loop {
        let ahead = classes.iter().zip(visits.iter()).enumerate().filter(|(_, (class, _))| class.count > 0);
        // (2j + 1) / w, compared without dividing. `min_by` keeps the first of equals.
        let (next, _) = ahead.min_by(|(_, (a, i)), (_, (b, j))| {
            let left = u128::from(2 * **i + 1) * u128::from(b.total());
            left.cmp(&(u128::from(2 * **j + 1) * u128::from(a.total())))
        })?;
        let (class, visits) = (classes.get(next)?, visits.get_mut(next)?);
        if before == step {
            return Some(visited(classes, next, period.saturating_mul(class.total()).saturating_add(*visits)));
        }
        *visits += 1;
        before += 1;
    }
}

fn visited(classes: &[Class], class: usize, visit: u64) -> Due {
    let count = classes.get(class).map_or(1, |class| class.count.max(1));
    Due { class, member: (visit % u64::from(count)) as u32, visit: visit / u64::from(count) }
}

/// A number that looks random and is always the same for the same input (the finaliser of splitmix64).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn classes(given: &[(u32, u32)]) -> Vec<Class> {
        given.iter().map(|&(weight, count)| Class { weight, count }).collect()
    }

    #[test]
    fn equal_weights_take_turns_in_order() {
        let order: Vec<u32> = (0..5).map(|turn| due(&classes(&[(7, 5)]), turn).unwrap().member).collect();
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn weights_are_spread_out() {
        let order: String = (0..8)
            .map(|turn| if due(&classes(&[(3, 1), (1, 1)]), turn).unwrap().class == 0 { 'a' } else { 'b' })
            .collect();
        assert_eq!(order, "aabaaaba");
    }

    #[test]
    fn nobody_is_nobody_and_extremes_do_not_overflow() {
        assert_eq!(due(&[], 3), None);
        assert_eq!(due(&classes(&[(1, 0)]), 3), None);
        assert!(due(&classes(&[(u32::MAX, 1 << 20), (1, 1)]), u64::MAX).is_some());
    }

    proptest! {
        #[test]
        fn any_cycle_gives_each_exactly_its_weight(
            given in proptest::collection::btree_map(1_u32..12, 1_u32..5, 1..5),
            start in 0_u64..100_000,
        ) {
            let classes: Vec<Class> = given.iter().map(|(&weight, &count)| Class { weight, count }).collect();
            let cycle: u64 = classes.iter().map(|class| class.total()).sum();
            let mut seen: HashMap<(usize, u32), u64> = HashMap::new();
            for turn in start..start + cycle {
                let due = due(&classes, turn).unwrap();
                *seen.entry((due.class, due.member)).or_default() += 1;
            }
            for (at, class) in classes.iter().enumerate() {
                for member in 0..class.count {
                    let got = seen.get(&(at, member)).copied().unwrap_or_default();
                    prop_assert!(got.abs_diff(u64::from(class.weight)) <= 1, "{class:?} {member}: {got}");
                }
            }
        }

        #[test]
        fn visits_count_up_one_by_one(
            given in proptest::collection::btree_map(1_u32..9, 1_u32..4, 1..4),
        ) {
            let classes: Vec<Class> = given.iter().map(|(&weight, &count)| Class { weight, count }).collect();
            let mut next: HashMap<(usize, u32), u64> = HashMap::new();
            for turn in 0..200 {
                let due = due(&classes, turn).unwrap();
                let expected = next.entry((due.class, due.member)).or_default();
                prop_assert_eq!(due.visit, *expected);
                *expected += 1;
            }
        }
    }
}
