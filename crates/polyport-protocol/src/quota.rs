//! What is left of an account's allowance, as services tell it.

use jiff::Timestamp;
use polyport_types::Text;
use serde::Serialize;
use serde_json::Value;

/// What an account may still use.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Quota {
    /// One entry per allowance.
    pub buckets: Vec<Bucket>,
}

/// One allowance.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Bucket {
    /// The model it is for; `None` for all of the account.
    pub model: Option<Text>,
    /// What is counted, in the service's word (`requests`, `REQUESTS`); may be unknown.
    pub unit: Option<Text>,
    /// There is no limit.
    pub unlimited: bool,
    /// How much there is in a period.
    pub limit: Option<u64>,
    /// How much of it was used.
    pub used: Option<u64>,
    /// The part that is left, from 0 to 1.
    pub remaining: Option<f64>,
    /// When it starts anew, Unix seconds.
    pub resets_at: Option<i64>,
    /// How long a period is, in the service's word (`WEEKLY`).
    pub period: Option<Text>,
}

impl Bucket {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        !self.unlimited && self.remaining.is_some_and(|left| left <= 0.0)
    }
}

impl Quota {
    /// Whether the account can answer for no model, and when it can again (Unix seconds).
    #[must_use]
    pub fn used_up_until(&self) -> Option<Option<i64>> {
        let of_account = self.buckets.iter().filter(|bucket| bucket.model.is_none());
        let all = self.buckets.iter().all(Bucket::is_used_up) && !self.buckets.is_empty();
        let resets = match of_account.clone().any(Bucket::is_used_up) {
            true => of_account.filter(|bucket| bucket.is_used_up()).filter_map(|bucket| bucket.resets_at).max(),
            // The first model that comes back is worth asking.
            false if all => self.buckets.iter().filter_map(|bucket| bucket.resets_at).min(),
            false => return None,
        };
        Some(resets)
    }
}

/// A point of time as services write it (RFC 3339), Unix seconds.
pub(crate) fn time(value: Option<&Value>) -> Option<i64> {
    value?.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// A text that is not empty.
pub(crate) fn word(value: Option<&Value>) -> Option<Text> {
    value?.as_str().filter(|word| !word.is_empty()).map(Text::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_used_up_when_nothing_of_it_answers() {
        let bucket = |model: Option<&str>, remaining, resets_at| Bucket {
            model: model.map(Text::from),
            remaining: Some(remaining),
            resets_at: Some(resets_at),
            ..Bucket::default()
        };
        let of = |buckets: &[Bucket]| Quota { buckets: buckets.to_vec() }.used_up_until();
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[bucket(Some("a"), 0.0, 5), bucket(Some("b"), 0.1, 9)]), None);
        assert_eq!(of(&[bucket(Some("a"), 0.0, 5), bucket(Some("b"), 0.0, 9)]), Some(Some(5)));
        assert_eq!(of(&[bucket(None, 0.0, 7), bucket(Some("b"), 0.5, 9)]), Some(Some(7)));
        let unlimited = Bucket { unlimited: true, remaining: Some(0.0), ..Bucket::default() };
        assert_eq!(of(&[unlimited]), None);
    }
}
