//! How much of an entry is kept, and attempts in few bytes.

use serde::{Deserialize, Serialize};

use super::entry::{Attempt, Ending, State};
use super::time::LATEST;
use super::words::{Kind, NONE, Numbers, Texts};

/// The longest text of each kind that is kept, in characters.
pub(super) const NAME: usize = 200;
pub(super) const SHORT: usize = 64;
pub(super) const ERROR: usize = 1000;
pub(super) const REPORT: usize = 4000;

/// More than any answer can have used: what providers say beyond that would only break sums.
const MOST: u64 = 1_000_000_000_000;
/// The same for money: 10⁹ of the currency.
const MOST_MONEY: u128 = 1_000_000_000 * 1_000_000_000_000;
/// Money is stored in thousandths of the currency and the 10⁻¹² of them: a single number would end at 9.2 million, which is little in some
/// currencies, and its sum would end statistics with an error.
const REST: u128 = 1_000_000_000;

/// The beginning of a text, without what a database cannot keep.
pub(super) fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).map(|letter| if letter == '\0' { '\u{fffd}' } else { letter }).collect()
}

pub(super) fn clip_opt(text: Option<&String>, most: usize) -> Option<String> {
    text.map(|text| clip(text, most)).filter(|text| !text.is_empty())
}

/// A moment that rows can have.
pub(super) fn moment(at: i64) -> i64 {
    at.clamp(0, LATEST)
}

/// A count that sums can bear.
pub(super) fn bounded(count: u64) -> i64 {
    i64::try_from(count.min(MOST)).unwrap_or_default()
}

/// An amount that sums can bear.
pub(super) fn bounded_money(amount: u128) -> u128 {
    amount.min(MOST_MONEY)
}

/// The two columns of an amount.
pub(super) fn split(amount: u128) -> (i64, i64) {
    let part = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
    (part(amount / REST), part(amount % REST))
}

/// And back, also of sums.
pub(super) fn join(milli: i64, rest: i64) -> u128 {
    let part = |number: i64| u128::try_from(number).unwrap_or_default();
    part(milli) * REST + part(rest)
}

/// The attempt as it is written: bounded.
pub(super) fn tidy(attempt: &Attempt) -> Attempt {
    Attempt {
        provider: clip(&attempt.provider, NAME),
        credential: clip_opt(attempt.credential.as_ref(), NAME),
        model: clip(&attempt.model, NAME),
        outcome: clip(&attempt.outcome, SHORT),
        error: clip_opt(attempt.error.as_ref(), ERROR),
        counts: attempt
            .counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| (clip(class, SHORT), (*count).min(MOST)))
            .collect(),
        cost: attempt.cost.map(bounded_money),
        currency: attempt.cost.and(clip_opt(attempt.currency.as_ref(), SHORT)),
        ..*attempt
    }
}

/// An attempt without its error, in the row of its request. The order of members is stored.
#[derive(Serialize, Deserialize)]
struct Packed(
    u16,
    i64,
    i64,
    i64,
    i64,
    u16,
    i64,
    u32,
    Option<u32>,
    u8,
    bool,
    u8,
    Vec<(i64, u64)>,
    Option<String>,
    i64,
    bool,
);

/// The attempts of a request that began then, as text.
pub(super) fn pack(attempts: &[Attempt], began: i64, numbers: &Numbers<'_>) -> String {
    let of = |kind, text: &str| numbers.of(kind, text);
    let packed: Vec<Packed> = attempts
        .iter()
        .map(|attempt| {
            let counts = attempt.counts.iter().map(|(class, count)| (of(Kind::Common, class), *count)).collect();
            Packed(
                attempt.n,
                attempt.at.saturating_sub(began),
                of(Kind::Provider, &attempt.provider),
                of(Kind::Credential, attempt.credential.as_deref().unwrap_or_default()),
                of(Kind::Target, &attempt.model),
                attempt.status.unwrap_or_default(),
                of(Kind::Common, &attempt.outcome),
                attempt.duration_ms,
                attempt.first_token_ms,
                state_number(attempt.state),
                attempt.charged,
                ending_number(attempt.ending),
                counts,
                attempt.cost.map(|cost| cost.to_string()),
                of(Kind::Currency, attempt.currency.as_deref().unwrap_or_default()),
                attempt.unpriced,
            )
        })
        .collect();
    serde_json::to_string(&packed).unwrap_or_default()
}

/// Attempts that are not words yet.
pub(super) struct Unpacked(Vec<Packed>);

impl Unpacked {
    /// Reads what [`pack`] wrote; nothing where it is damaged.
    pub(super) fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.iter().flat_map(
            |Packed(_, _, provider, credential, model, _, outcome, _, _, _, _, _, counts, _, currency, _)| {
                [*provider, *credential, *model, *outcome, *currency]
                    .into_iter()
                    .chain(counts.iter().map(|(class, _)| *class))
            },
        )
    }

    pub(super) fn attempts(self, began: i64, texts: &Texts) -> Vec<Attempt> {
        let attempt = |packed: Packed| {
            let Packed(
                n,
                sent,
                provider,
                credential,
                model,
                status,
                outcome,
                duration_ms,
                first,
                state,
                charged,
                ending,
                counts,
                cost,
                currency,
                unpriced,
            ) = packed;
            Attempt {
                n,
                at: began.saturating_add(sent),
                provider: texts.text(provider),
                credential: texts.get(credential),
                model: texts.text(model),
                status: Some(status).filter(|status| *status != 0),
                outcome: texts.text(outcome),
                error: None,
                duration_ms,
                first_token_ms: first,
                state: state_of(i64::from(state)),
                charged,
                ending: ending_of(i64::from(ending)),
                counts: counts.into_iter().map(|(class, count)| (texts.text(class), count)).collect(),
                cost: cost.and_then(|cost| cost.parse().ok()),
                currency: texts.get(currency),
                unpriced,
            }
        };
        self.0.into_iter().map(attempt).collect()
    }
}

/// Counts of an attempt for the ledger, where its sums do not say all.
pub(super) fn pack_counts(attempt: &Attempt, numbers: &Numbers<'_>) -> Option<String> {
    const PLAIN: [&str; 5] = ["input", "cache_read", "cache_write", "output", "reasoning"];
    if attempt.counts.iter().all(|(class, _)| PLAIN.contains(&class.as_str())) {
        return None;
    }
    let counts: Vec<(i64, u64)> =
        attempt.counts.iter().map(|(class, count)| (numbers.of(Kind::Common, class), *count)).collect();
    serde_json::to_string(&counts).ok()
}

/// And back, as numbers.
pub(super) fn unpack_counts(text: &str) -> Vec<(i64, u64)> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The words an attempt needs.
pub(super) fn words(attempt: &Attempt) -> impl Iterator<Item = (Kind, &str)> {
    let some = [
        (Kind::Provider, attempt.provider.as_str()),
        (Kind::Credential, attempt.credential.as_deref().unwrap_or_default()),
        (Kind::Target, attempt.model.as_str()),
        (Kind::Common, attempt.outcome.as_str()),
        (Kind::Currency, attempt.currency.as_deref().unwrap_or_default()),
    ];
    some.into_iter().chain(attempt.counts.iter().map(|(class, _)| (Kind::Common, class.as_str())))
}

/// All providers and credentials of a request that was tried more than once, so that it is found by each: ` 3 17 3 18 `.
pub(super) fn tried(attempts: &[Attempt], numbers: &Numbers<'_>) -> Option<String> {
    if attempts.len() < 2 {
        return None;
    }
    let mut all: Vec<i64> = attempts
        .iter()
        .flat_map(|attempt| {
            let credential = attempt.credential.as_deref().unwrap_or_default();
            [numbers.of(Kind::Provider, &attempt.provider), numbers.of(Kind::Credential, credential)]
        })
        .filter(|number| *number != NONE)
        .collect();
    all.sort_unstable();
    all.dedup();
    let all: Vec<String> = all.iter().map(i64::to_string).collect();
    Some(format!(" {} ", all.join(" ")))
}

pub(super) fn state_number(state: State) -> u8 {
    match state {
        State::Settled => 1,
        State::Estimated => 2,
        State::Unknown => 3,
        State::Unused => 4,
    }
}

pub(super) fn state_of(number: i64) -> State {
    match number {
        1 => State::Settled,
        2 => State::Estimated,
        4 => State::Unused,
        _ => State::Unknown,
    }
}

pub(super) fn ending_number(ending: Ending) -> u8 {
    match ending {
        Ending::Complete => 1,
        Ending::Cancelled => 2,
        Ending::Drained => 3,
        Ending::DrainLimit => 4,
        Ending::Failed => 5,
        Ending::Lost => 6,
    }
}

pub(super) fn ending_of(number: i64) -> Ending {
    match number {
        1 => Ending::Complete,
        2 => Ending::Cancelled,
        3 => Ending::Drained,
        4 => Ending::DrainLimit,
        5 => Ending::Failed,
        _ => Ending::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_come_back_and_stay_within_bounds() {
        for amount in [0, 1, 999_999_999, 1_000_000_000, 123_456_789_012_345_678_901, MOST_MONEY] {
            let (milli, rest) = split(amount);
            assert_eq!(join(milli, rest), amount);
        }
        assert_eq!(bounded_money(u128::MAX), MOST_MONEY);
        // Nine million attempts that cost the most there can be.
        assert!(split(MOST_MONEY).0.checked_mul(9_000_000).is_some());
        assert!(bounded(u64::MAX).checked_mul(9_000_000).is_some());
    }

    #[test]
    fn texts_are_cut_between_letters() {
        assert_eq!(clip("aé\0漢字", 4), "aé\u{fffd}漢");
        assert_eq!(clip_opt(Some(&String::new()), 9), None);
    }

    #[test]
    fn states_and_endings_come_back() {
        for state in [State::Settled, State::Estimated, State::Unknown, State::Unused] {
            assert_eq!(state_of(state_number(state).into()), state);
        }
        for ending in
            [Ending::Complete, Ending::Cancelled, Ending::Drained, Ending::DrainLimit, Ending::Failed, Ending::Lost]
        {
            assert_eq!(ending_of(ending_number(ending).into()), ending);
        }
    }
}
