//! The section `accounting`: prices, what budgets are counted in, and limits that callers share.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use polyport_accounting::cost::Exchange;
use polyport_accounting::{Book, Class, Currency, Decimal, Limit, Money, Override, OverrideError, ServiceTier};
use polyport_types::{Pattern, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::{Context, steps};
use super::file::File;
use super::services::child;
use super::tree::Step;
use super::units::{Size, Span};
use crate::directory::quotas::{self, Shared};

/// How much of a prompt or an answer is kept.
pub(super) const CAPTURE_BYTES: usize = 64 << 10;

/// The most that can be: a line of the journal has to hold both.
const MOST_CAPTURED: usize = 1 << 20;

pub(super) fn capture_bytes(file: &File, context: &mut Context<'_>) -> usize {
    let size = file.accounting.capture_bytes.map_or(CAPTURE_BYTES, |size| size.0);
    if size > MOST_CAPTURED {
        context.error(&steps!["accounting", "capture_bytes"], "it is more than can be kept", "give `1MiB` at most");
    }
    size
}

/// Prices, what budgets are counted in, and limits that callers share.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Accounting {
    /// The currency that budgets are counted in, as three letters. Default: `USD`, the currency of the shipped prices.
    #[schemars(with = "Option<String>")]
    pub(super) currency: Option<Currency>,
    /// What other currencies are worth in it. What costs money in a currency without a rate counts towards no budget.
    pub(super) exchange: Vec<Currencies>,
    /// Changes of the shipped prices, and prices of models that are not among them. Of several that fit, later ones win, field by field.
    pub(super) prices: Vec<Price>,
    /// What becomes of an answer whose client has left: `cancel` leaves the provider as well and estimates what was used, `drain` reads to
    /// the end, where the provider says it. Default: `cancel`.
    pub(super) disconnect: Option<Disconnect>,
    /// Answers whose clients have left are read until about so many tokens of them have come. Default: to the end, with `disconnect: drain`.
    pub(super) drain_tokens: Option<u64>,
    /// How much of a prompt or an answer is kept at most, where a key or a route says `capture`. Default: `64KiB`.
    pub(super) capture_bytes: Option<Size>,
    /// How long what is logged is kept.
    pub(super) keep: KeepTimes,
    /// What is logged of clients' addresses: `keep` all of them, `shorten` them to networks (/24, or /48 of IPv6), or `none`.
    /// Default: `keep`.
    pub(super) addresses: Option<Addresses>,
    /// Limits that several callers share, or all of them. Limits of one key, user or team are set in the admin API.
    pub(super) quotas: Vec<Quota>,
}

/// How long what is logged is kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct KeepTimes {
    /// Requests and their attempts. Default: `30d`.
    requests: Option<Span>,
    /// Prompts and answers that were captured. Default: `7d`.
    payloads: Option<Span>,
    /// The ledger: what each attempt used and cost. Default: `400d`.
    ledger: Option<Span>,
    /// Sums of minutes. Default: `2d`. (Those of months are kept.)
    minutes: Option<Span>,
    /// Sums of hours. Default: `60d`.
    hours: Option<Span>,
    /// Sums of days. Default: `800d`.
    days: Option<Span>,
    /// Names, addresses and words of errors in all of these; afterwards they are taken out. Default: as long as the rows.
    names: Option<Span>,
}

/// How long what is logged is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Requests and their attempts.
    pub requests: Duration,
    /// What was captured.
    pub payloads: Duration,
    /// The ledger.
    pub ledger: Duration,
    /// Sums of minutes.
    pub minutes: Duration,
    /// Sums of hours.
    pub hours: Duration,
    /// Sums of days.
    pub days: Duration,
    /// Names, addresses and words of errors; as long as the rows without it.
    pub names: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Keep {
    fn default() -> Self {
        Self {
            requests: DAY * 30,
            payloads: DAY * 7,
            ledger: DAY * 400,
            minutes: DAY * 2,
            hours: DAY * 60,
            days: DAY * 800,
            names: None,
        }
    }
}

pub(super) fn keep(file: &File, context: &mut Context<'_>) -> Keep {
    let (given, usual) = (&file.accounting.keep, Keep::default());
    let mut time = |name: &str, span: Option<Span>, usual: Duration, least: Duration| {
        let time = span.map_or(usual, |span| span.0);
        if time < least {
            let at = steps!["accounting", "keep", name];
            let words =
                format!("it has to be at least {} days, which limits are counted from", least.as_secs() / 86_400);
            context.error(&at, words, "give a longer time");
        }
        time
    };
    Keep {
        requests: time("requests", given.requests, usual.requests, Duration::ZERO),
        payloads: time("payloads", given.payloads, usual.payloads, Duration::ZERO),
        ledger: time("ledger", given.ledger, usual.ledger, Duration::ZERO),
        minutes: time("minutes", given.minutes, usual.minutes, DAY),
        hours: time("hours", given.hours, usual.hours, Duration::ZERO),
        days: time("days", given.days, usual.days, DAY * 2),
        names: given.names.map(|span| span.0),
    }
}

/// What is logged of clients' addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addresses {
    /// All of them.
    #[default]
    Keep,
    /// Their networks.
    Shorten,
    /// Nothing.
    None,
}

impl Addresses {
    /// What is kept of one.
    #[must_use]
    pub fn of(self, address: IpAddr) -> Option<String> {
        match (self, address) {
            (Self::None, _) => None,
            (Self::Keep, address) => Some(address.to_string()),
            (Self::Shorten, IpAddr::V4(address)) => {
                let [a, b, c, _] = address.octets();
                Some(format!("{a}.{b}.{c}.0/24"))
            }
            (Self::Shorten, IpAddr::V6(address)) => {
                let [a, b, c, ..] = address.segments();
                Some(format!("{a:x}:{b:x}:{c:x}::/48"))
            }
        }
    }
}

/// What becomes of an answer whose client has left.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Disconnect {
    /// The provider is left as well.
    Cancel,
    /// It is read to its end, or as far as `drain_tokens` says.
    Drain,
}

/// What `disconnect` and `drain_tokens` say together; `None` if nothing.
pub(super) fn disconnect(given: Option<Disconnect>, tokens: Option<u64>) -> Option<polyport_routing::Disconnect> {
    match (given, tokens) {
        (None, None) => None,
        (Some(Disconnect::Cancel), _) => Some(polyport_routing::Disconnect::Cancel),
        (Some(Disconnect::Drain), None) => Some(polyport_routing::Disconnect::Drain),
        (_, Some(tokens)) => Some(polyport_routing::Disconnect::DrainTokens(tokens)),
    }
}

/// What a currency is worth.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Currencies {
    /// One of this …
    #[schemars(with = "String")]
    from: Currency,
    /// … is so much of the currency of budgets.
    #[schemars(with = "f64")]
    rate: Decimal,
}

/// A change of prices for some models of some providers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Price {
    /// Patterns of the names that the provider knows its models by; `*` stands for anything. Default: all models.
    models: Vec<String>,
    /// Providers by their names here, or presets. Default: all.
    providers: Vec<String>,
    /// The row of the shipped table that holds for them, as `preset/model`, or `preset` if the models have the same names there.
    same_as: Option<String>,
    /// The currency of `prices`. Default: that of the prices they are laid over.
    #[schemars(with = "Option<String>")]
    currency: Option<Currency>,
    /// What everything is multiplied by: `0.8` for a fifth off the list.
    #[schemars(with = "Option<f64>")]
    multiplier: Option<Decimal>,
    /// `prices` hold for prompts with more tokens than this. Default: for all.
    above: Option<u64>,
    /// `prices` hold for this service tier, such as `batch` or `flex`. Default: for all.
    #[schemars(with = "Option<String>")]
    tier: Option<ServiceTier>,
    /// Prices by class: `input`, `output`, `cache_read`, `cache_write` and so on, per million tokens; `docs/PRICES.md` lists the classes.
    #[schemars(with = "BTreeMap<String, f64>")]
    prices: BTreeMap<Class, Decimal>,
}

/// A limit that several callers share.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Quota {
    /// Names of keys, users and teams that share it. Default: all callers.
    callers: Vec<String>,
    /// The models it is about, by the name that is asked for or the provider's; `*` stands for anything. Default: all.
    models: Option<String>,
    /// What is limited: `requests`, `tokens`, `money`, or `concurrency` (requests at the same time).
    what: String,
    /// In which time: `minute`, `day`, `month` (of the calendar, in UTC) or `total`. Concurrency has none.
    window: Option<String>,
    /// How much.
    #[schemars(with = "f64")]
    amount: Value,
}

/// What the operator says of money.
#[derive(Clone, Debug)]
pub struct MoneySettings {
    /// Prices.
    pub book: Book,
    /// What budgets are counted in.
    pub currency: Currency,
    /// What other currencies are worth.
    pub rates: Vec<Exchange>,
}

impl Default for MoneySettings {
    fn default() -> Self {
        Self { book: Book::default(), currency: Currency::USD, rates: Vec::new() }
    }
}

impl MoneySettings {
    /// A sum in the currency of budgets; `None` without a rate.
    #[must_use]
    pub fn in_budget(&self, sum: Money, currency: &str) -> Option<Money> {
        let currency: Currency = currency.parse().ok()?;
        if currency == self.currency {
            return Some(sum);
        }
        let rate = self.rates.iter().find(|rate| (rate.from, rate.to) == (currency, self.currency))?.rate;
        Some(sum.scaled(rate))
    }
}

pub(super) fn money(file: &File, context: &mut Context<'_>) -> MoneySettings {
    let given = &file.accounting;
    let currency = given.currency.unwrap_or(Currency::USD);
    let rates = given.exchange.iter().map(|rate| Exchange { from: rate.from, to: currency, rate: rate.rate }).collect();
    let overrides: Vec<Override> = given.prices.iter().map(Price::of_provider).collect();
    let book = Book::new(&overrides).unwrap_or_else(|(at, error)| {
        let remedy = match error {
            OverrideError::NoRow(_) => "see `docs/PRICES.md` for the names",
            OverrideError::TooFine { .. } => "round it",
            OverrideError::NoTier | OverrideError::Nothing => "leave the entry out",
        };
        context.error(&steps!["accounting", "prices", at], error.to_string(), remedy);
        Book::default()
    });
    MoneySettings { book, currency, rates }
}

impl Price {
    fn of_provider(&self) -> Override {
        Override {
            models: self.models.clone(),
            providers: self.providers.clone(),
            same_as: self.same_as.clone(),
            currency: self.currency,
            multiplier: self.multiplier,
            above: self.above,
            tier: self.tier,
            prices: self.prices.clone(),
        }
    }
}

pub(super) fn quotas(file: &File, context: &mut Context<'_>) -> Vec<Shared> {
    // The limits of the same callers on the same models are one account.
    let mut found: Vec<(Vec<Text>, Option<Pattern>, Vec<Limit>)> = Vec::new();
    for (at, given) in file.accounting.quotas.iter().enumerate() {
        let at: Vec<Step> = steps!["accounting", "quotas", at];
        // The rules of limits stand in one place.
        let mut entry = Map::from_iter([
            ("what".to_owned(), given.what.as_str().into()),
            ("amount".to_owned(), given.amount.clone()),
        ]);
        entry.extend(given.window.as_ref().map(|window| ("window".to_owned(), window.as_str().into())));
        entry.extend(given.models.as_ref().map(|models| ("models".to_owned(), models.as_str().into())));
        let definition = Map::from_iter([("limits".to_owned(), Value::Array(vec![Value::Object(entry)]))]);
        let read = match quotas::read(&definition) {
            Ok(read) => read,
            Err((member, words)) => {
                let at = match member.rsplit_once('.') {
                    Some((_, member)) => child(&at, member),
                    None => at,
                };
                context.error(&at, words, "see `docs/CONFIGURATION.md`");
                continue;
            }
        };
        let mut callers: Vec<Text> = given.callers.iter().map(|name| Text::from(name.as_str())).collect();
        callers.sort();
        callers.dedup();
        for (models, limits) in read {
            let same = found.iter_mut().find(|(of, about, _)| *of == callers && *about == models);
            match same {
                Some((_, _, known))
                    if limits.iter().any(|new| known.iter().any(|old| quotas::counts_like(old, new))) =>
                {
                    let words = "it limits the same thing in the same window as an entry before it";
                    context.error(&at, words, "leave one of them out");
                }
                Some((_, _, known)) => known.extend(limits.iter().copied()),
                None => found.push((callers.clone(), models, limits.to_vec())),
            }
        }
    }
    found.into_iter().map(|(callers, models, limits)| Shared::new(callers, models, limits.into())).collect()
}
