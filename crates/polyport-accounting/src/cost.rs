//! What an answer costs.

use serde::{Deserialize, Serialize};

use crate::class::{Class, ClassSet, PerClass};
use crate::counts::Counts;
use crate::decimal::{Decimal, Money};
use crate::price::{Currency, Price, Region, ServiceTier};

/// What else than the counts decides about the price of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The tier that served it: what the answer says, not what was asked for.
    pub tier: ServiceTier,
    /// The region it was bound to, if it was.
    pub region: Option<Region>,
}

/// What an answer costs. A model without a price has no cost at all rather than one of 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The sum of all classes that have a price.
    pub total: Money,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The amounts by class.
    pub by_class: PerClass<Money>,
    /// Something in it was not told by the provider: the counts, the lifetime of a cache entry, the modality of cached tokens, or the hour
    /// that sets the price.
    pub estimated: bool,
    /// Classes that were used and have no price: they are missing in the total.
    pub unpriced: ClassSet,
}

impl Cost {
    /// Whether the total is all there is to pay.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unpriced.is_empty()
    }

    /// The same in another currency; `None` without a rate for exactly this pair, which only the operator can give.
    #[must_use]
    pub fn converted(&self, to: Currency, rates: &[Exchange]) -> Option<Self> {
        if to == self.currency {
            return Some(*self);
        }
        let rate = rates.iter().find(|rate| (rate.from, rate.to) == (self.currency, to))?.rate;
        let mut by_class = PerClass::default();
        for (class, amount) in self.by_class.iter() {
            by_class[class] = amount.scaled(rate);
        }
        Some(Self { total: by_class.iter().map(|(_, amount)| amount).sum(), currency: to, by_class, ..*self })
    }
}

/// How much of one currency is one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// One of this …
    pub from: Currency,
    /// … in this …
    pub to: Currency,
    /// … is so much.
    pub rate: Decimal,
}

/// Prices what was counted.
#[must_use]
pub fn cost(counts: &Counts, price: &Price, context: &Context) -> Cost {
    let input = counts.input_tokens();
    let region = match context.region {
        None => Decimal::ONE,
        Some(Region::Us) => price.us,
        Some(Region::Eu) => price.eu,
    };
    let mut cost = Cost {
        total: Money::ZERO,
        currency: price.currency,
        by_class: PerClass::default(),
        estimated: counts.estimated
            || price.varies
            || counts.modalities_assumed && price.modalities_differ(context.tier, input),
        unpriced: ClassSet::default(),
    };
    for (class, count) in counts.iter() {
        let Some(rate) = price.rate(class, context.tier, input) else {
            cost.unpriced.insert(class);
            continue;
        };
        let amount = Money::of(count, rate).scaled(region).scaled(price.multiplier);
        cost.by_class[class] = amount;
        cost.total = cost.total.plus(amount);
        cost.estimated |= class == Class::CacheWrite && price.writes_differ(context.tier, input);
    }
    cost
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(input: &str, output: &str) -> Price {
        let mut price = Price::empty(Currency::USD);
        let usual = price.section_mut(ServiceTier::Standard, 0);
        usual[Class::Input] = Some(input.parse().unwrap());
        usual[Class::Output] = Some(output.parse().unwrap());
        price
    }

    fn counts(list: &[(Class, u64)]) -> Counts {
        let mut counts = Counts::default();
        for (class, count) in list {
            counts.per_class[*class] = *count;
        }
        counts
    }

    #[test]
    fn what_has_no_price_is_said_and_not_free() {
        let price = price("3e-6", "15e-6");
        let used =
            counts(&[(Class::Input, 1000), (Class::CacheRead, 5), (Class::Reasoning, 10), (Class::WebSearch, 1)]);
        let cost = cost(&used, &price, &Context::default());
        assert_eq!(cost.total.to_string(), "0.00315");
        assert_eq!(cost.by_class[Class::Reasoning].to_string(), "0.00015");
        assert_eq!(cost.unpriced.iter().collect::<Vec<_>>(), [Class::CacheRead, Class::WebSearch]);
        assert!(!cost.is_complete() && !cost.estimated);
        let json = serde_json::to_value(cost).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "total": "0.00315", "currency": "USD", "by_class": { "input": "0.003", "reasoning": "0.00015" },
                "estimated": false, "unpriced": ["cache_read", "web_search"],
            })
        );
        assert_eq!(serde_json::from_value::<Cost>(json).unwrap(), cost);
    }

    #[test]
    fn what_was_not_told_makes_an_estimate() {
        let mut price = price("1", "1");
        let estimated = |counts: &Counts, price: &Price| cost(counts, price, &Context::default()).estimated;
        let written = counts(&[(Class::CacheWrite, 1)]);
        price.section_mut(ServiceTier::Standard, 0)[Class::CacheWrite] = Some(Decimal::ONE);
        assert!(!estimated(&written, &price));
        price.section_mut(ServiceTier::Standard, 0)[Class::CacheWrite1h] = Some("1.6".parse().unwrap());
        assert!(estimated(&written, &price));
        assert!(!estimated(&counts(&[(Class::CacheWrite5m, 1), (Class::CacheWrite1h, 1)]), &price));
        let assumed = Counts { modalities_assumed: true, ..counts(&[(Class::InputAudio, 1)]) };
        assert!(!estimated(&assumed, &price));
        price.section_mut(ServiceTier::Standard, 0)[Class::InputAudio] = Some("2".parse().unwrap());
        assert!(estimated(&assumed, &price));
        assert!(estimated(&Counts { estimated: true, ..Counts::default() }, &price));
        price.varies = true;
        assert!(estimated(&counts(&[(Class::Input, 1)]), &price));
    }

    #[test]
    fn regions_and_multipliers_multiply_and_only_given_rates_convert() {
        let mut price = price("0.5", "1");
        (price.us, price.multiplier) = ("1.1".parse().unwrap(), "0.8".parse().unwrap());
        let context = Context { region: Some(Region::Us), ..Context::default() };
        let found = cost(&counts(&[(Class::Input, 3), (Class::Output, 1)]), &price, &context);
        assert_eq!(found.total.to_string(), "2.2");
        let (eur, sek): (Currency, Currency) = ("EUR".parse().unwrap(), "SEK".parse().unwrap());
        let rates = [Exchange { from: Currency::USD, to: eur, rate: "0.9".parse().unwrap() }];
        let converted = found.converted(eur, &rates).unwrap();
        assert_eq!((converted.total.to_string().as_str(), converted.currency), ("1.98", eur));
        assert_eq!(found.converted(sek, &rates), None);
        assert_eq!(converted.converted(Currency::USD, &rates), None);
        assert_eq!(found.converted(Currency::USD, &[]), Some(found));
    }

    /// Prices that grow with the length of the prompt, as all lists do, with holes.
    fn prices() -> impl Strategy<Value = Price> {
        let rate = prop::option::of(prop_oneof![0..1_000_000_000_u64, any::<u64>()]);
        let rates = prop::collection::vec(rate, Class::COUNT);
        let factor = || prop_oneof![Just(Decimal::ONE), any::<u64>().prop_map(Decimal::from_picos)];
        (rates, prop::collection::btree_set(1..1000_u64, 0..3), factor(), factor()).prop_map(
            |(rates, above, us, multiplier)| {
                let mut price = Price::empty(Currency::USD);
                (price.us, price.multiplier) = (us, multiplier);
                for (step, above) in std::iter::once(0).chain(above).enumerate() {
                    let section = price.section_mut(ServiceTier::Standard, above);
                    for (class, rate) in Class::ALL.into_iter().zip(&rates) {
                        section[class] = rate.map(|rate| Decimal::from_picos(rate.saturating_mul(step as u64 + 1)));
                    }
                }
                price
            },
        )
    }

    fn used() -> impl Strategy<Value = Counts> {
        prop::collection::vec(prop_oneof![Just(0_u64), 0..400_u64, any::<u64>()], Class::COUNT)
            .prop_map(|list| counts(&Class::ALL.into_iter().zip(list).collect::<Vec<_>>()))
    }

    proptest! {
        #[test]
        fn sums_are_whole_and_more_never_costs_less(
            price in prices(), used in used(), more in 0..Class::COUNT, by in any::<u64>(), us in any::<bool>(),
        ) {
            let context = Context { region: us.then_some(Region::Us), ..Context::default() };
            let found = cost(&used, &price, &context);
            prop_assert_eq!(found.total, found.by_class.iter().map(|(_, amount)| amount).sum());
            for (class, count) in used.per_class.iter() {
                let rate = price.rate(class, context.tier, used.input_tokens());
                prop_assert_eq!(found.unpriced.contains(class), count > 0 && rate.is_none());
                if count == 0 || rate.is_none() {
                    prop_assert_eq!(found.by_class[class], Money::ZERO);
                } else if let (Some(rate), false) = (rate, us) {
                    prop_assert_eq!(found.by_class[class], Money::of(count, rate).scaled(price.multiplier));
                }
            }
            let class = Class::ALL[more];
            let mut larger = used;
            larger.per_class[class] = used.per_class[class].saturating_add(by);
            prop_assert!(cost(&larger, &price, &context).total >= found.total);
        }
    }
}
