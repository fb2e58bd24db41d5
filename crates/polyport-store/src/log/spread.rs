//! How values are spread: counts on a scale whose steps grow with the values, so that a few hundred of them tell percentiles of any number
//! of requests, and those of several times are added up.
//!
//! Up to 31 each value has a step of its own; above, every doubling is divided into 16 steps. A value is told as the middle of its step,
//! from which it is at most a thirty-second part of itself away.

use std::collections::BTreeMap;
use std::fmt;

/// Bits of a value that tell steps of one doubling apart.
const FINE: u32 = 4;

/// Counts of values, by steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread(BTreeMap<u16, u64>);

impl Spread {
    /// How many steps there are.
    pub const STEPS: usize = 464;

    /// The step of a value.
    #[must_use]
    pub fn step(value: u32) -> u16 {
        let above = value.checked_ilog2().unwrap_or_default().saturating_sub(FINE);
        // Its highest bits, of which the first is always set but in the first sixteen.
        let step = (above << FINE) + (value >> above);
        u16::try_from(step).unwrap_or(u16::MAX)
    }

    /// What stands for all values of a step.
    #[must_use]
    pub fn value(step: u16) -> u32 {
        let step = u32::from(step).min(Self::STEPS as u32 - 1);
        let above = (step >> FINE).saturating_sub(1);
        let least = (step - (above << FINE)) << above;
        least + ((1 << above) - 1) / 2
    }

    /// Counts values of a step.
    pub fn add(&mut self, step: u16, count: u64) {
        if count > 0 && usize::from(step) < Self::STEPS {
            let sum = self.0.entry(step).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Counts a value.
    pub fn count(&mut self, value: u32) {
        self.add(Self::step(value), 1);
    }

    /// Counts those of another one as well.
    pub fn merge(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            self.add(*step, *count);
        }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// About the least value that so many percent of all do not exceed; none of nothing.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<u32> {
        let rank = (u128::from(self.len()) * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(step, count)| {
            seen += u128::from(*count);
            (seen >= rank).then(|| Self::value(*step))
        })
    }

    /// What [`fmt::Display`] has written; nothing of anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mut spread, mut step) = (Self::default(), 0_u16);
        for entry in text.split_ascii_whitespace() {
            let (apart, count) = entry.split_once('*').unwrap_or((entry, "1"));
            step = step.checked_add(apart.parse().ok()?).filter(|step| usize::from(*step) < Self::STEPS)?;
            spread.add(step, count.parse().ok()?);
        }
        Some(spread)
    }
}

/// `130 2*7`: one value of step 130, seven two steps above.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = 0;
        for (at, (step, count)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", step - before)?;
            if *count != 1 {
                write!(f, "*{count}")?;
            }
            before = *step;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_and_tell_values_closely() {
        for value in 0..32 {
            assert_eq!(Spread::value(Spread::step(value)), value);
        }
        let mut last = 0;
        for value in (0..200_000).chain((1..=1000).map(|part| u32::MAX / 1000 * part)).chain([u32::MAX]) {
            let step = Spread::step(value);
            assert!(step == last || step == last + 1 || value > 200_000, "{value}");
            last = step;
            assert!(usize::from(step) < Spread::STEPS);
            let off = u64::from(Spread::value(step).abs_diff(value));
            assert!(off * 32 <= u64::from(value), "{value} is told as {}", Spread::value(step));
        }
        assert_eq!(usize::from(Spread::step(u32::MAX)), Spread::STEPS - 1);
    }

    #[test]
    fn percentiles_are_near_those_of_the_values() {
        // Long tails, as times have them.
        let mut values: Vec<u32> =
            (1..5000_u32).map(|n| 40 + n % 97 + if n % 50 == 0 { n * 13 } else { n % 400 }).collect();
        let (mut one, mut other) = (Spread::default(), Spread::default());
        for (at, value) in values.iter().enumerate() {
            if at % 3 == 0 { &mut one } else { &mut other }.count(*value);
        }
        one.merge(&other);
        values.sort_unstable();
        assert_eq!(one.len(), 4999);
        for percent in [1, 50, 90, 95, 99, 100] {
            let exact = values[(values.len() * usize::from(percent)).div_ceil(100) - 1];
            let told = one.percentile(percent).unwrap();
            assert!(told.abs_diff(exact) * 32 <= exact, "{percent}: {told} for {exact}");
        }
        assert_eq!(Spread::default().percentile(50), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut spread = Spread::default();
        for value in [0, 7, 7, 7, 350, 4200, 4200, u32::MAX] {
            spread.count(value);
        }
        assert_eq!(spread.to_string(), "0 7*3 78 59*2 319");
        assert_eq!(Spread::parse(&spread.to_string()), Some(spread));
        assert_eq!(Spread::parse(""), Some(Spread::default()));
        for wrong in ["x", "1*", "*2", "464", "400 64", "-1", "1*-1", "70000"] {
            assert_eq!(Spread::parse(wrong), None, "{wrong}");
        }
    }
}
