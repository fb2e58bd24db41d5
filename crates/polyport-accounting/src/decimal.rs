//! Exact numbers of money: no binary floating point anywhere.
//!
//! Prices are published as decimal fractions of a currency per million tokens, down to tenths of a thousandth: a price per single token
//! needs twelve digits behind the point and no more (every per-token price of the public tables is exact at twelve). So everything here
//! counts in 10⁻¹² of the currency: an integer that adds up in any order to the same sum and prints as people write it. A decimal
//! library would give the same at the price of a dependency and a scale beside every number.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits behind the point.
const DIGITS: u32 = 12;
/// One, in units of the last digit.
pub(crate) const ONE: u64 = 10_u64.pow(DIGITS);

/// A non-negative decimal fraction with twelve digits behind the point, up to 18 million: a price of one token or call, a multiplier,
/// an exchange rate. In JSON and YAML it may be a number or a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(u64);

/// Why a text is no [`Decimal`] or [`Money`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Something else than digits, one point and an exponent; a minus sign, for instance.
    #[error("`{0}` is not a non-negative decimal number")]
    Malformed(String),
    /// More digits behind the point than are kept.
    #[error("`{0}` has more than twelve digits behind the point")]
    TooFine(String),
    /// Larger than what fits.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(ONE);

    /// From units of 10⁻¹².
    #[must_use]
    pub const fn from_picos(picos: u64) -> Self {
        Self(picos)
    }

    /// In units of 10⁻¹².
    #[must_use]
    pub const fn picos(self) -> u64 {
        self.0
    }

    /// The `count`-th part, if that is exact.
    #[must_use]
    pub fn divided(self, count: u64) -> Option<Self> {
        let rest = self.0.checked_rem(count)?;
        (rest == 0).then(|| Self(self.0 / count))
    }

    /// This number `count` times, if that fits.
    #[must_use]
    pub fn times(self, count: u64) -> Option<Self> {
        self.0.checked_mul(count).map(Self)
    }

    /// The product, rounded half up to twelve digits; `None` if it does not fit.
    #[must_use]
    pub fn scaled(self, factor: Self) -> Option<Self> {
        u64::try_from(scale(u128::from(self.0), factor)).ok().map(Self)
    }

    /// Reads a number that may have more digits than are kept: it is rounded half up.
    ///
    /// # Errors
    /// If the text is no number or too large.
    pub fn rounded(text: &str) -> Result<Self, DecimalError> {
        let (picos, _) = parse(text)?;
        u64::try_from(picos).map(Self).map_err(|_| DecimalError::TooLarge(text.to_owned()))
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let picos = exact(text)?;
        u64::try_from(picos).map(Self).map_err(|_| DecimalError::TooLarge(text.to_owned()))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(u128::from(self.0), f)
    }
}

/// An amount of money in 10⁻¹² of a currency that the context names; never negative. Sums stop at the largest amount (3·10²⁶) instead
/// of wrapping. In JSON it is written as a text, which no reader rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(u128::MAX);

    /// From units of 10⁻¹².
    #[must_use]
    pub const fn from_picos(picos: u128) -> Self {
        Self(picos)
    }

    /// In units of 10⁻¹².
    #[must_use]
    pub const fn picos(self) -> u128 {
        self.0
    }

    /// What `count` pieces cost at this price; exact, and cannot overflow.
    #[must_use]
    pub fn of(count: u64, price: Decimal) -> Self {
        Self(u128::from(count) * u128::from(price.0))
    }

    /// The sum, at most [`Money::MAX`].
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The product, rounded half up to twelve digits, at most [`Money::MAX`].
    #[must_use]
    pub fn scaled(self, factor: Decimal) -> Self {
        Self(scale(self.0, factor))
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::plus)
    }
}

impl FromStr for Money {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        exact(text).map(Self)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self.0, f)
    }
}

/// Multiplies in two parts, so that only a result that does not fit is cut off.
fn scale(amount: u128, factor: Decimal) -> u128 {
    let (one, factor) = (u128::from(ONE), u128::from(factor.0));
    let whole = (amount / one).saturating_mul(factor);
    let rest = ((amount % one) * factor + one / 2) / one;
    whole.saturating_add(rest)
}

fn write(picos: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, rest) = (picos / u128::from(ONE), picos % u128::from(ONE));
    if rest == 0 {
        return write!(f, "{whole}");
    }
    let digits = format!("{rest:012}");
    write!(f, "{whole}.{}", digits.trim_end_matches('0'))
}

fn exact(text: &str) -> Result<u128, DecimalError> {
    match parse(text)? {
        (picos, true) => Ok(picos),
        (_, false) => Err(DecimalError::TooFine(text.to_owned())),
    }
}

/// The number in units of the last digit, rounded half up, and whether it is exact.
fn parse(text: &str) -> Result<(u128, bool), DecimalError> {
    let malformed = || DecimalError::Malformed(text.to_owned());
    let too_large = || DecimalError::TooLarge(text.to_owned());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().map_err(|_| malformed())?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    // Digits are taken from the left as long as they count; what lies behind the last kept digit decides about rounding.
    let length = i64::try_from(whole.len()).map_err(|_| too_large())?;
    let kept = length + i64::from(exponent) + i64::from(DIGITS);
    let mut picos: u128 = 0;
    let mut exact = true;
    let mut taken = 0;
    for digit in digits().map(|byte| u128::from(byte - b'0')) {
        if taken < kept {
            picos = picos.checked_mul(10).and_then(|sum| sum.checked_add(digit)).ok_or_else(too_large)?;
        } else {
            exact &= digit == 0;
            if taken == kept && digit >= 5 {
                picos = picos.checked_add(1).ok_or_else(too_large)?;
            }
        }
        taken += 1;
    }
    // A bound that no number other than 0 reaches keeps the loop short.
    for _ in taken..kept.min(taken + 80) {
        picos = picos.checked_mul(10).ok_or_else(too_large)?;
    }
    Ok((picos, exact))
}

/// Takes a text, a whole number, or a binary fraction by the shortest decimal text that means it, which is the one that was written.
struct NumberOrText<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = DecimalError>> Visitor<'_> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a non-negative decimal number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.trim().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText(std::marker::PhantomData))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText(std::marker::PhantomData))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_read_as_written() {
        let cases = [
            ("0", 0),
            ("3", 3_000_000_000_000),
            ("0.000000000001", 1),
            ("2.8e-08", 28_000),
            ("6E-9", 6_000),
            ("1.5e2", 150_000_000_000_000),
            (".5", 500_000_000_000),
            ("7.", 7_000_000_000_000),
            ("0.10", 100_000_000_000),
            ("18446744.073709551615", u64::MAX),
        ];
        for (text, picos) in cases {
            assert_eq!(text.parse(), Ok(Decimal(picos)), "{text}");
        }
        for text in ["", ".", "-1", "+1", "1,5", "1.2.3", "abc", "1e", "e5", "NaN", "inf", "0x1", "1e99999", " 1"] {
            assert!(matches!(text.parse::<Decimal>(), Err(DecimalError::Malformed(_))), "{text}");
        }
        assert!(matches!("0.0000000000001".parse::<Decimal>(), Err(DecimalError::TooFine(_))));
        assert!(matches!("1e-300".parse::<Decimal>(), Err(DecimalError::TooFine(_))));
        for text in ["18446744.073709551616", "1e30", "1e300", "340282366920938463463374607431768211456"] {
            assert!(matches!(text.parse::<Decimal>(), Err(DecimalError::TooLarge(_))), "{text}");
        }
        assert_eq!("0e300".parse(), Ok(Decimal::ZERO));
        assert_eq!(Decimal::rounded("0.0002833333333333333"), Ok(Decimal(283_333_333)));
        assert_eq!(Decimal::rounded("0.0000000000005"), Ok(Decimal(1)));
        assert_eq!(Decimal::rounded("0.00000000000049"), Ok(Decimal::ZERO));
    }

    #[test]
    fn json_has_numbers_or_texts() {
        for json in ["0.1", "\"0.1\"", "1e-1", "\" 0.10 \""] {
            assert_eq!(serde_json::from_str::<Decimal>(json).unwrap().to_string(), "0.1", "{json}");
        }
        assert_eq!(serde_json::to_string(&Money::of(3, Decimal(500_000_000_001))).unwrap(), "\"1.500000000003\"");
        for json in ["-1", "-0.5", "null", "true", "\"-2\"", "1e400"] {
            assert!(serde_json::from_str::<Decimal>(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(picos in any::<u64>(), large in any::<u128>()) {
            prop_assert_eq!(Decimal(picos).to_string().parse(), Ok(Decimal(picos)));
            prop_assert_eq!(Money(large).to_string().parse(), Ok(Money(large)));
            let json = serde_json::to_string(&Money(large)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), Money(large));
        }

        #[test]
        fn scaling_rounds_to_the_nearest_and_never_wraps(
            amount in prop_oneof![any::<u128>(), any::<u64>().prop_map(u128::from)],
            factor in any::<u64>(),
        ) {
            let scaled = Money(amount).scaled(Decimal(factor)).picos();
            // Where the plain product fits, the result is the one with the smallest error.
            if let Some(product) = amount.checked_mul(u128::from(factor)) {
                let error = scaled.checked_mul(u128::from(ONE)).map(|back| back.abs_diff(product));
                prop_assert!(error.is_none_or(|error| error <= u128::from(ONE / 2)));
            }
            prop_assert_eq!(Money(amount).scaled(Decimal::ONE), Money(amount));
            prop_assert!(Money(amount).scaled(Decimal(factor.saturating_add(1))).picos() >= scaled);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", number in "[0-9]{0,30}\\.?[0-9]{0,30}(e-?[0-9]{1,3})?") {
            for text in [text, number] {
                if let Ok(read) = text.parse::<Decimal>() {
                    prop_assert_eq!(read.to_string().parse(), Ok(read));
                }
            }
        }
    }
}
