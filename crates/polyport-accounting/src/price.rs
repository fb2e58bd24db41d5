//! Prices: what one piece of each class costs, by length of the prompt and by service tier.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::class::{Class, PerClass};
use crate::decimal::Decimal;

/// A currency by its three letters (ISO 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// US dollars, the currency of all public price lists.
    pub const USD: Self = Self(*b"USD");

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only letters get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A text that is no [`Currency`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no currency: write three letters such as USD or EUR")]
pub struct UnknownCurrency(String);

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_alphabetic) => {
                Ok(Self(letters.map(|c| c.to_ascii_uppercase())))
            }
            _ => Err(UnknownCurrency(text.to_owned())),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How urgently a request was served, where that has a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTier {
    /// As usual.
    #[default]
    Standard,
    /// Within a day, in a batch.
    Batch,
    /// When there is room (`service_tier: flex`).
    Flex,
    /// Before others (`service_tier: priority`).
    Priority,
    /// With more tokens per second (`speed: fast`).
    Fast,
    /// The fastest there is (`service_tier: ultrafast`).
    Ultrafast,
    /// One that has no price in any list, such as capacity bought in advance.
    Other,
}

impl ServiceTier {
    /// All tiers that may have a price.
    pub const PRICED: [Self; 6] =
        [Self::Standard, Self::Batch, Self::Flex, Self::Priority, Self::Fast, Self::Ultrafast];

    /// The name in tables and configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
            Self::Ultrafast => "ultrafast",
            Self::Other => "other",
        }
    }

    /// The tier behind a provider's word for it, as answers tell it (`default`, `standard`, `on_demand`, `flex` …). What is not known is
    /// [`ServiceTier::Other`].
    #[must_use]
    pub fn of_word(word: &str) -> Self {
        match word {
            "" | "default" | "standard" | "auto" | "on_demand" => Self::Standard,
            word => Self::PRICED.into_iter().find(|tier| tier.as_str() == word).unwrap_or(Self::Other),
        }
    }
}

/// Where a request has to be processed, where that costs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// In the United States only.
    Us,
    /// In Europe only.
    Eu,
}

/// Prices of one service tier above a length of the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// For requests of this tier …
    pub tier: ServiceTier,
    /// … whose prompt has more tokens than this (0: all).
    pub above: u64,
    /// Price of one piece of each class.
    pub rates: PerClass<Option<Decimal>>,
}

/// What a model costs at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Price {
    /// The currency of all prices.
    pub currency: Currency,
    /// The day or month at which the prices were right, as the table says; empty for those of the operator.
    pub date: String,
    /// Where they are from: an address, or the name of a table.
    pub source: String,
    /// The service charges less at some hours: these are the highest prices, and every cost is an estimate.
    pub varies: bool,
    /// Multiplies everything: what the operator pays more or less than the list says.
    pub multiplier: Decimal,
    /// Multiplies everything that is processed in the United States only.
    pub us: Decimal,
    /// Multiplies everything that is processed in Europe only.
    pub eu: Decimal,
    /// Prices that hold whatever the tier and length, where no section says otherwise.
    always: PerClass<Option<Decimal>>,
    /// At most one for each tier and length.
    sections: Vec<Section>,
}

impl Price {
    /// No price for anything.
    #[must_use]
    pub fn empty(currency: Currency) -> Self {
        Self {
            currency,
            date: String::new(),
            source: String::new(),
            varies: false,
            multiplier: Decimal::ONE,
            us: Decimal::ONE,
            eu: Decimal::ONE,
            always: PerClass::default(),
            sections: Vec::new(),
        }
    }

    /// All sections, in no particular order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of exactly this tier and length, made if need be.
    pub fn section_mut(&mut self, tier: ServiceTier, above: u64) -> &mut PerClass<Option<Decimal>> {
        let at = self.sections.iter().position(|section| (section.tier, section.above) == (tier, above));
        let at = at.unwrap_or_else(|| {
            self.sections.push(Section { tier, above, rates: PerClass::default() });
            self.sections.len() - 1
        });
        &mut self.sections[at].rates
    }

    /// Whether no class has a price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let none = |rates: &PerClass<Option<Decimal>>| rates.iter().all(|(_, rate)| rate.is_none());
        none(&self.always) && self.sections.iter().all(|section| none(&section.rates))
    }

    /// Gives a class one price whatever the tier and length.
    pub fn set_always(&mut self, class: Class, rate: Decimal) {
        for section in &mut self.sections {
            section.rates[class] = None;
        }
        self.always[class] = Some(rate);
    }

    /// Gives a class a price in one tier above a length. What the other classes cost there stays as it was.
    pub fn set(&mut self, tier: ServiceTier, above: u64, class: Class, rate: Decimal) {
        if !self.sections.iter().any(|section| (section.tier, section.above) == (tier, above)) {
            let rates = self.section(tier, above).map(|section| section.rates).unwrap_or_default();
            self.sections.push(Section { tier, above, rates });
        }
        self.section_mut(tier, above)[class] = Some(rate);
    }

    /// The section that holds for a request: of its tier, with the highest length below that of its prompt. If the usual tier has prices
    /// for prompts this long and the asked one has not, then these are not known.
    #[must_use]
    pub fn section(&self, tier: ServiceTier, input_tokens: u64) -> Option<&Section> {
        let best = |tier| {
            let fitting =
                |section: &&Section| section.tier == tier && (section.above == 0 || section.above < input_tokens);
            self.sections.iter().filter(fitting).max_by_key(|section| section.above)
        };
        let found = best(tier)?;
        let usual = best(ServiceTier::Standard).map_or(0, |usual| usual.above);
        (found.above >= usual).then_some(found)
    }

    /// The price of one piece of a class; `None` if it is not known. See [`Class::like`] for what is priced like something else; that
    /// ends where the list tells the two apart anywhere. Calls and the like cost the same in all tiers that do not say otherwise.
    #[must_use]
    pub fn rate(&self, class: Class, tier: ServiceTier, input_tokens: u64) -> Option<Decimal> {
        let usual = self.section(ServiceTier::Standard, 0).map(|usual| &usual.rates);
        let section = self.section(tier, input_tokens).map(|section| &section.rates);
        if let Some(own) = section.and_then(|section| section[class]).or(self.always[class]) {
            return Some(own);
        }
        if !class.is_token() {
            return usual.filter(|_| tier != ServiceTier::Other)?[class];
        }
        let fresh = match class {
            Class::CacheReadAudio => Class::InputAudio,
            Class::CacheReadImage => Class::InputImage,
            other => other,
        };
        let apart = self.always[fresh].is_some() || usual.is_some_and(|usual| usual[class].or(usual[fresh]).is_some());
        let like = class.like().filter(|_| !apart)?;
        section.and_then(|section| section[like]).or(self.always[like])
    }

    /// Whether cache writes cost different amounts by lifetime.
    pub(crate) fn writes_differ(&self, tier: ServiceTier, input_tokens: u64) -> bool {
        let written = [Class::CacheWrite5m, Class::CacheWrite30m, Class::CacheWrite1h, Class::CacheWrite12h];
        let known = self.rate(Class::CacheWrite, tier, input_tokens);
        written.into_iter().filter_map(|class| self.rate(class, tier, input_tokens)).any(|rate| Some(rate) != known)
    }

    /// Whether fresh audio, images or video cost something else than text.
    pub(crate) fn modalities_differ(&self, tier: ServiceTier, input_tokens: u64) -> bool {
        let text = self.rate(Class::Input, tier, input_tokens);
        let apart = [Class::InputAudio, Class::InputImage, Class::InputVideo];
        apart.into_iter().any(|class| self.rate(class, tier, input_tokens) != text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        let mut price = Price::empty(Currency::USD);
        let sections = [
            (ServiceTier::Standard, 0, 10),
            (ServiceTier::Standard, 100, 20),
            (ServiceTier::Standard, 200, 40),
            (ServiceTier::Batch, 0, 5),
            (ServiceTier::Batch, 200, 20),
            (ServiceTier::Flex, 0, 6),
        ];
        for (tier, above, rate) in sections {
            price.section_mut(tier, above)[Class::Input] = Some(Decimal::from_picos(rate));
        }
        price.section_mut(ServiceTier::Standard, 0)[Class::WebSearch] = Some(Decimal::ONE);
        price.section_mut(ServiceTier::Standard, 0)[Class::Reasoning] = Some(Decimal::from_picos(7));
        price.section_mut(ServiceTier::Standard, 100)[Class::Output] = Some(Decimal::from_picos(9));
        price.section_mut(ServiceTier::Standard, 0)[Class::InputAudio] = Some(Decimal::from_picos(11));
        price.section_mut(ServiceTier::Standard, 0)[Class::CacheRead] = Some(Decimal::from_picos(1));
        price
    }

    #[test]
    fn the_length_of_the_prompt_decides_and_what_is_not_listed_is_not_known() {
        let price = price();
        let rate = |class, tier, input| price.rate(class, tier, input).map(Decimal::picos);
        let cases = [
            (
                ServiceTier::Standard,
                [(0, Some(10)), (100, Some(10)), (101, Some(20)), (200, Some(20)), (201, Some(40))],
            ),
            (ServiceTier::Batch, [(0, Some(5)), (100, Some(5)), (101, None), (200, None), (201, Some(20))]),
            (ServiceTier::Flex, [(0, Some(6)), (100, Some(6)), (101, None), (200, None), (201, None)]),
            (ServiceTier::Priority, [(0, None), (100, None), (101, None), (200, None), (201, None)]),
            (ServiceTier::Other, [(0, None), (100, None), (101, None), (200, None), (201, None)]),
        ];
        for (tier, cases) in cases {
            for (input, expected) in cases {
                assert_eq!(rate(Class::Input, tier, input), expected, "{tier:?} {input}");
                assert_eq!(rate(Class::ToolPrompt, tier, input), expected, "{tier:?} {input}");
            }
        }
        assert_eq!(rate(Class::WebSearch, ServiceTier::Batch, 150), Some(Decimal::ONE.picos()));
        assert_eq!(rate(Class::WebSearch, ServiceTier::Other, 0), None);
    }

    #[test]
    fn a_likeness_ends_where_the_list_tells_apart() {
        let price = price();
        let rate = |class, input| price.rate(class, ServiceTier::Standard, input).map(Decimal::picos);
        // Reasoning has a price of its own below 100 tokens and none above: what output costs says nothing about it.
        assert_eq!((rate(Class::Reasoning, 0), rate(Class::Reasoning, 150)), (Some(7), None));
        assert_eq!(rate(Class::OutputAudio, 150), Some(9));
        // Fresh audio costs more than text, so cached audio is not known to cost what cached text does.
        assert_eq!((rate(Class::CacheReadAudio, 0), rate(Class::CacheReadImage, 0)), (None, Some(1)));
        assert_eq!((rate(Class::CacheWrite, 0), rate(Class::CacheWrite1h, 0)), (None, None));
    }

    #[test]
    fn words_of_providers_are_tiers() {
        for word in ["default", "standard", "auto", "on_demand", ""] {
            assert_eq!(ServiceTier::of_word(word), ServiceTier::Standard);
        }
        assert_eq!(ServiceTier::of_word("priority"), ServiceTier::Priority);
        assert_eq!(ServiceTier::of_word("scale"), ServiceTier::Other);
        assert_eq!("eur".parse::<Currency>().unwrap().as_str(), "EUR");
        for text in ["", "EURO", "€", "U1D", "ß1"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
    }
}
