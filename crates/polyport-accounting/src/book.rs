//! Prices as an operator knows them: the shipped table with changes of their own laid over it.

use std::collections::BTreeMap;

use polyport_types::Pattern;
use serde::{Deserialize, Serialize};

use crate::class::Class;
use crate::decimal::Decimal;
use crate::price::{Currency, Price, ServiceTier};
use crate::table::{Table, plain_name};

/// A change of prices for some models of some providers. Of several that fit, later ones win, field by field and class by class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Override {
    /// Patterns of the names that the provider knows its models by; `*` stands for anything, none means all models. Upper and lower case
    /// are the same.
    pub models: Vec<String>,
    /// Providers by their configured names, or by the names of their presets; none means all.
    pub providers: Vec<String>,
    /// The row of the shipped table that holds for them, as `preset/model`, or `preset` if the models have the same names there. For
    /// deployments with names of their own, and for services that resell at list price.
    pub same_as: Option<String>,
    /// The currency of the prices given here; without it, that of the prices they are laid over (US dollars in the shipped table). If it
    /// is another one, what the other classes cost is not known any more: two currencies do not mix.
    pub currency: Option<Currency>,
    /// What everything is multiplied by: `0.8` for a fifth off the list.
    pub multiplier: Option<Decimal>,
    /// The prices given here hold for prompts with more tokens than this. Without this and `tier` they hold for all requests.
    pub above: Option<u64>,
    /// The prices given here hold for this service tier.
    pub tier: Option<ServiceTier>,
    /// Prices by class: per million tokens or characters, and per piece of everything else.
    pub prices: BTreeMap<Class, Decimal>,
}

/// What is wrong with an [`Override`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// A price that is not a whole number of the smallest unit.
    #[error("the price of `{class}` has more than six digits behind the point: {price} per million")]
    TooFine {
        /// The class.
        class: Class,
        /// Its price as given.
        price: Decimal,
    },
    /// A row that is not in the table.
    #[error("`same_as: {0}`: there is no such row in the price table; write the name of a preset, or `preset/model`")]
    NoRow(String),
    /// Prices of a tier that no request is served in.
    #[error("`tier: other` stands for all tiers without a price and can have none")]
    NoTier,
    /// Nothing is changed.
    #[error("it changes nothing: give `prices`, `multiplier` or `same_as`")]
    Nothing,
}

/// A model at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The configured name of the provider.
    pub provider: &'a str,
    /// The name of its preset, if it has one.
    pub host: Option<&'a str>,
    /// The place where it runs, if it is at a cloud service that has several: `eu-central-1`.
    pub place: Option<&'a str>,
    /// The name that the provider knows the model by.
    pub model: &'a str,
}

/// The shipped table with an operator's changes.
#[derive(Clone, Debug, Default)]
pub struct Book {
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    models: Vec<Pattern>,
    providers: Vec<String>,
    same_as: Option<String>,
    currency: Option<Currency>,
    multiplier: Option<Decimal>,
    section: Option<(ServiceTier, u64)>,
    /// By the piece.
    rates: Vec<(Class, Decimal)>,
}

impl Book {
    /// Checks changes and lays them over the shipped table.
    ///
    /// # Errors
    /// What is wrong with the first wrong one, and its place in the list.
    pub fn new(overrides: &[Override]) -> Result<Self, (usize, OverrideError)> {
        let change = |(at, given): (usize, &Override)| Change::of(given).map_err(|error| (at, error));
        Ok(Self { changes: overrides.iter().enumerate().map(change).collect::<Result<_, _>>()? })
    }

    /// What a model costs at a provider. `None` if nobody said.
    #[must_use]
    pub fn price(&self, offer: &Offer<'_>) -> Option<Price> {
        let Offer { provider, host, place, model } = *offer;
        let name = plain_name(model);
        let fits = |change: &&Change| change.fits(provider, host, &name);
        let same_as = self.changes.iter().rev().filter(fits).find_map(|change| change.same_as.as_deref());
        let shipped = match same_as {
            Some(row) => row_of(row, model),
            None => host.and_then(|host| Table::shipped().find_in(host, place, model)),
        };
        let mut price = shipped.unwrap_or_else(|| Price::empty(Currency::USD));
        for change in self.changes.iter().filter(fits) {
            change.apply(&mut price);
        }
        (!price.is_empty()).then_some(price)
    }
}

/// A row of the shipped table: `preset/model`, or `preset` and the name at hand.
fn row_of(row: &str, model: &str) -> Option<Price> {
    match row.split_once('/') {
        Some((host, model)) => Table::shipped().find(host, model),
        None => Table::shipped().find(row, model),
    }
}

impl Change {
    fn of(given: &Override) -> Result<Self, OverrideError> {
        if let Some(row) = &given.same_as {
            let exists = match row.split_once('/') {
                Some((host, model)) => Table::shipped().find(host, model).is_some(),
                None => Table::shipped().models(row).next().is_some(),
            };
            if !exists {
                return Err(OverrideError::NoRow(row.clone()));
            }
        }
        if given.tier == Some(ServiceTier::Other) {
            return Err(OverrideError::NoTier);
        }
        if given.prices.is_empty() && given.multiplier.is_none() && given.same_as.is_none() {
            return Err(OverrideError::Nothing);
        }
        let by_piece = |(class, price): (&Class, &Decimal)| {
            let (class, price) = (*class, *price);
            let rate = price.divided(class.priced_per()).ok_or(OverrideError::TooFine { class, price })?;
            Ok((class, rate))
        };
        let is_apart = given.above.is_some() || given.tier.is_some();
        Ok(Self {
            models: given.models.iter().map(|model| Pattern::new(plain_name(model))).collect(),
            providers: given.providers.clone(),
            same_as: given.same_as.clone(),
            currency: given.currency,
            multiplier: given.multiplier,
            section: is_apart.then(|| (given.tier.unwrap_or_default(), given.above.unwrap_or(0))),
            rates: given.prices.iter().map(by_piece).collect::<Result<_, _>>()?,
        })
    }

    fn fits(&self, provider: &str, host: Option<&str>, name: &str) -> bool {
        let here = |named: &String| named == provider || Some(named.as_str()) == host;
        (self.providers.is_empty() || self.providers.iter().any(here))
            && (self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(name)))
    }

    fn apply(&self, price: &mut Price) {
        if let Some(multiplier) = self.multiplier {
            price.multiplier = multiplier;
        }
        if self.rates.is_empty() {
            return;
        }
        if let Some(currency) = self.currency.filter(|currency| *currency != price.currency) {
            let multiplier = price.multiplier;
            *price = Price::empty(currency);
            price.multiplier = multiplier;
        }
        // What an operator says is not from the list any more, and holds at all hours.
        (price.date, price.source, price.varies) = (String::new(), "configuration".to_owned(), false);
        for (class, rate) in &self.rates {
            match self.section {
                Some((tier, above)) => price.set(tier, above, *class, *rate),
                None => price.set_always(*class, *rate),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(json: serde_json::Value) -> Book {
        Book::new(&serde_json::from_value::<Vec<Override>>(json).unwrap()).unwrap()
    }

    fn asked(book: &Book, provider: &str, host: Option<&str>, model: &str) -> Option<Price> {
        book.price(&Offer { provider, host, place: None, model })
    }

    fn rate(price: &Price, class: Class, input: u64) -> Option<String> {
        price.rate(class, ServiceTier::Standard, input)?.times(class.priced_per()).map(|rate| rate.to_string())
    }

    #[test]
    fn without_changes_the_table_holds() {
        let book = Book::default();
        assert_eq!(asked(&book, "mine", Some("openai"), "gpt-5"), Table::shipped().find("openai", "gpt-5"));
        assert_eq!(asked(&book, "openai", None, "gpt-5"), None);
        assert_eq!(asked(&book, "mine", Some("vllm"), "gpt-5"), None);
    }

    #[test]
    fn later_changes_win_class_by_class() {
        let book = book(serde_json::json!([
            { "providers": ["openai"], "multiplier": "0.8" },
            { "models": ["GPT-5*"], "prices": { "input": 2, "output": "20.5" } },
            { "models": ["gpt-5"], "providers": ["mine"], "prices": { "input": 3 } },
        ]));
        let price = asked(&book, "mine", Some("openai"), "gpt-5").unwrap();
        assert_eq!(rate(&price, Class::Input, 0).unwrap(), "3");
        assert_eq!(rate(&price, Class::Output, 0).unwrap(), "20.5");
        assert_eq!(rate(&price, Class::CacheRead, 0).unwrap(), "0.125");
        assert_eq!(
            price.rate(Class::Input, ServiceTier::Priority, 0),
            price.rate(Class::Input, ServiceTier::Standard, 0)
        );
        assert_eq!((price.multiplier.to_string().as_str(), price.source.as_str()), ("0.8", "configuration"));
        let price = asked(&book, "other", Some("anthropic"), "claude-opus-5").unwrap();
        assert_eq!((price.multiplier, price.source.starts_with("https")), (Decimal::ONE, true));
        let local = asked(&book, "local", Some("vllm"), "gpt-5-local").unwrap();
        assert_eq!(rate(&local, Class::Input, 0).unwrap(), "2");
        assert_eq!(rate(&local, Class::CacheRead, 0), None);
    }

    #[test]
    fn a_length_or_a_tier_limits_a_change() {
        let long = book(serde_json::json!([{ "models": ["gpt-5"], "above": 100, "prices": { "input": 9 } }]));
        let price = asked(&long, "p", Some("openai"), "gpt-5").unwrap();
        assert_eq!(
            (rate(&price, Class::Input, 100).unwrap(), rate(&price, Class::Input, 101).unwrap()),
            ("1.25".into(), "9".into())
        );
        assert_eq!(rate(&price, Class::Output, 101).unwrap(), "10");
        let book = book(serde_json::json!([
            { "models": ["m"], "prices": { "input": 1 } },
            { "models": ["m"], "above": 100, "prices": { "input": 2 } },
            { "models": ["m"], "tier": "flex", "prices": { "input": 0.5 } },
        ]));
        let price = asked(&book, "p", None, "m").unwrap();
        assert_eq!(
            (rate(&price, Class::Input, 100).unwrap(), rate(&price, Class::Input, 101).unwrap()),
            ("1".into(), "2".into())
        );
        let flex = |input| price.rate(Class::Input, ServiceTier::Flex, input).map(Decimal::picos);
        // What holds always holds where flex has no price.
        assert_eq!((flex(100), flex(101)), (Some(500_000), Some(1_000_000)));
        let other = price.rate(Class::Input, ServiceTier::Other, 9).map(Decimal::picos);
        assert_eq!(other, Some(1_000_000));
    }

    #[test]
    fn other_rows_and_currencies() {
        let book = book(serde_json::json!([
            { "providers": ["azure"], "models": ["my-deployment"], "same_as": "openai/gpt-5" },
            { "providers": ["reseller"], "same_as": "anthropic" },
            { "providers": ["euro"], "currency": "EUR", "prices": { "input": 1, "web_search": 0.02 } },
        ]));
        let price = asked(&book, "azure", Some("azure"), "my-deployment").unwrap();
        assert_eq!(rate(&price, Class::Input, 0).unwrap(), "1.25");
        let price = asked(&book, "reseller", None, "claude-opus-5").unwrap();
        assert_eq!(rate(&price, Class::Output, 0).unwrap(), "25");
        assert_eq!(asked(&book, "reseller", None, "gpt-5"), None);
        let price = asked(&book, "euro", Some("openai"), "gpt-5").unwrap();
        assert_eq!((price.currency.as_str(), rate(&price, Class::Input, 0).unwrap().as_str()), ("EUR", "1"));
        assert_eq!(rate(&price, Class::WebSearch, 0).unwrap(), "0.02");
        // Dollars of the table beside euros would be wrong.
        assert_eq!(rate(&price, Class::Output, 0), None);
    }

    #[test]
    fn mistakes_are_told() {
        let error = |json: serde_json::Value| {
            Book::new(&[Override::default(), serde_json::from_value(json).unwrap()][1..]).unwrap_err()
        };
        let fine = error(serde_json::json!({ "prices": { "input": "0.0000001" } }));
        assert!(matches!(fine, (0, OverrideError::TooFine { class: Class::Input, .. })));
        for row in ["nonesuch", "openai/nonesuch", "ollama/gpt-5", ""] {
            assert_eq!(error(serde_json::json!({ "same_as": row })).1, OverrideError::NoRow(row.to_owned()));
        }
        let tier = error(serde_json::json!({ "tier": "other", "prices": { "input": 1 } }));
        assert_eq!(tier.1, OverrideError::NoTier);
        assert_eq!(error(serde_json::json!({ "models": ["m"], "currency": "EUR" })).1, OverrideError::Nothing);
        for json in
            [r#"{"prices":{"imput":1}}"#, r#"{"price":{}}"#, r#"{"prices":{"input":-1}}"#, r#"{"currency":"euro"}"#]
        {
            assert!(serde_json::from_str::<Override>(json).is_err(), "{json}");
        }
    }
}
