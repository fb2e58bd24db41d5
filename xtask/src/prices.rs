//! The price table, part of `cargo xtask models`.
//!
//! Two public tables (see `data/README.md` of the shared folder) become one text, embedded in `polyport-accounting`; what its words mean is
//! written in that crate's `table.rs`. Only figures are taken. The rules:
//!
//! * **The newer table wins, row by row.** A row of the older one (models.dev) counts where the newer one (the prices table) has none. Two
//!   price lists are never mixed: only where both charge the same for input and output, and so describe the same list, does the older one
//!   add classes that the newer one leaves out. Higher prices for long prompts are never added: they come and go, and a newer row
//!   without them says that they are gone. Fast modes are.
//! * **Contradictions are unknown.** Where the newer table has several entries of one model and they tell different prices, that price is
//!   left out.
//! * **Nothing costs 0 because a table says 0.** There it means free as often as unknown. A row is free if both tables say so, or its name
//!   does (`:free`). Any other 0 is left out.
//! * **What counts the same thing twice is left out**: prices by the second, image or character beside prices by the token; prices
//!   of pictures and sound that are those of text; rows with a date that repeat the row without.
//! * Prices by the pixel, by the resolution of a film, and searches whose price depends on their size have no class: such a price is
//!   unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use polyport_accounting::{Class, Currency, Decimal, Price, Section, ServiceTier, table};
use polyport_types::model_name::undated;
use serde_json::{Map, Value};

pub(crate) const OUTPUT: &str = "crates/polyport-accounting/src/prices.txt";

/// Name and state of the newer table.
const NEWER: (&str, &str) = ("2026-11", "litellm 1.109.1");
/// Name and state of the older table.
const OLDER: (&str, &str) = ("2026-07-02", "models.dev");

/// Names of a service: in Polyport's presets, in the newer table, in the older one.
const HOSTS: [(&str, &[&str], &[&str]); 19] = [
    ("anthropic", &["anthropic"], &["anthropic"]),
    ("azure", &["azure_ai", "azure"], &["azure"]),
    ("bedrock", &["bedrock", "bedrock_converse"], &["amazon-bedrock"]),
    ("cerebras", &["cerebras"], &["cerebras"]),
    ("dashscope", &["dashscope"], &["alibaba"]),
    ("deepseek", &["deepseek"], &["deepseek"]),
    ("fireworks", &["fireworks_ai"], &["fireworks-ai"]),
    ("gemini", &["gemini"], &["google"]),
    ("groq", &["groq"], &["groq"]),
    ("minimax", &["minimax"], &["minimax"]),
    ("mistral", &["mistral"], &["mistral"]),
    ("moonshot", &["moonshot"], &["moonshotai"]),
    ("openai", &["text-completion-openai", "openai"], &["openai"]),
    ("openrouter", &[], &["openrouter"]),
    ("perplexity", &["perplexity"], &["perplexity"]),
    ("together", &["together_ai"], &["togetherai"]),
    (
        "vertex",
        &["vertex_ai-language-models", "vertex_ai-anthropic_models", "vertex_ai"],
        &["google-vertex", "google-vertex-anthropic"],
    ),
    ("xai", &["xai"], &["xai"]),
    ("zai", &["zai"], &["zai"]),
];

/// The fields of the newer table and the classes they price.
const FIELDS: [(&str, Class); 26] = [
    ("input_cost_per_token", Class::Input),
    ("input_cost_per_audio_token", Class::InputAudio),
    ("input_cost_per_image_token", Class::InputImage),
    ("input_cost_per_video_token", Class::InputVideo),
    ("input_cost_per_token_cache_hit", Class::CacheRead),
    ("cache_read_input_token_cost", Class::CacheRead),
    ("cache_read_input_audio_token_cost", Class::CacheReadAudio),
    ("cache_read_input_image_token_cost", Class::CacheReadImage),
    ("cache_creation_input_token_cost", Class::CacheWrite),
    ("cache_creation_input_token_cost_above_1hr", Class::CacheWrite1h),
    ("cache_creation_input_token_cost_above_12hr", Class::CacheWrite12h),
    ("output_cost_per_token", Class::Output),
    ("output_cost_per_audio_token", Class::OutputAudio),
    ("output_cost_per_image_token", Class::OutputImage),
    ("output_cost_per_video_token", Class::OutputVideo),
    ("output_cost_per_reasoning_token", Class::Reasoning),
    ("input_cost_per_request", Class::Request),
    ("input_cost_per_query", Class::Request),
    ("input_cost_per_image", Class::ImagesIn),
    ("output_cost_per_image", Class::ImagesOut),
    ("input_cost_per_second", Class::SecondsIn),
    ("input_cost_per_audio_per_second", Class::SecondsIn),
    ("output_cost_per_second", Class::SecondsOut),
    ("output_cost_per_video_per_second", Class::SecondsOut),
    ("input_cost_per_character", Class::Characters),
    ("ocr_cost_per_page", Class::Pages),
];

/// Service tiers at the ends of fields of the newer table.
const TIERS: [(&str, ServiceTier); 4] = [
    ("_batches", ServiceTier::Batch),
    ("_flex", ServiceTier::Flex),
    ("_priority", ServiceTier::Priority),
    ("_ultrafast", ServiceTier::Ultrafast),
];

type Rows = BTreeMap<String, Price>;

/// The whole text.
pub(crate) fn table(newer: &Map<String, Value>, older: &Map<String, Value>) -> String {
    let hosts: Vec<(&str, Rows)> =
        HOSTS.iter().map(|(host, names, old)| (*host, rows(host, names, old, newer, older))).collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for price in hosts.iter().flat_map(|(_, rows)| rows.values()) {
        *uses.entry(&price.source).or_default() += 1;
    }
    // Pages that hardly any row is from are named by their site.
    let source = |price: &Price| match uses.get(price.source.as_str()) {
        Some(0..3) => site(&price.source),
        _ => price.source.clone(),
    };
    let mut sources = BTreeMap::new();
    let mut body = String::new();
    for (host, rows) in &hosts {
        // Writing to a String cannot fail.
        writeln!(body, "[{host}]").ok();
        for (name, price) in rows {
            let source = format!("{} {}", price.date, source(price));
            let key = key(&source);
            write_row(name, &key, price, &mut body);
            sources.insert(key, source);
        }
    }
    let mut out = String::from(
        "# Prices in USD, made by `cargo xtask models`; do not edit. See crates/polyport-accounting/src/table.rs for the words.\n",
    );
    for (key, source) in sources {
        writeln!(out, "@{key} {source}").ok();
    }
    out + &body
}

/// The address of the site of a page.
fn site(page: &str) -> String {
    match page.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}/", rest.split('/').next().unwrap_or(rest)),
        None => page.to_owned(),
    }
}

/// A short name that does not change when other sources come and go (FNV-1a, 16 bits of it).
fn key(source: &str) -> String {
    let hash = source
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{:04x}", hash >> 48)
}

/// The rows of one service.
fn rows(host: &str, names: &[&str], old: &[&str], newer: &Map<String, Value>, older: &Map<String, Value>) -> Rows {
    let mut entries = BTreeMap::new();
    for name in names {
        collect_newer(name, newer, &mut entries);
    }
    let mut rows = Rows::new();
    for name in old {
        collect_older(name, older, &mut rows);
    }
    let is_named_free = |name: &str| name.ends_with(":free") || name.ends_with("-free");
    let mut free: BTreeSet<String> = rows.keys().filter(|name| is_named_free(name)).cloned().collect();
    for (name, entries) in entries {
        let Some(mut price) = agreed(&entries) else { continue };
        if let Some(old) = rows.get(&name) {
            if is_free(&price) && is_free(old) {
                free.insert(name.clone());
            }
            complete(&mut price, old);
        }
        rows.insert(name, price);
    }
    for (name, price) in &mut rows {
        if is_free(price) && free.contains(name) {
            keep_free(price);
        } else {
            clean(price);
        }
        if host == "anthropic" && price.sections().iter().any(|section| section.rates[Class::Output].is_some()) {
            // Fetching pages has no price of its own there: https://platform.claude.com/docs/en/about-claude/pricing
            price.section_mut(ServiceTier::Standard, 0)[Class::WebFetch] = Some(Decimal::ZERO);
        }
    }
    rows.retain(|_, price| !price.is_empty());
    let repeated: Vec<String> = rows
        .iter()
        .filter(|(name, price)| undated(name).and_then(|base| rows.get(base)).is_some_and(|base| repeats(price, base)))
        .map(|(name, _)| name.clone())
        .collect();
    rows.retain(|name, _| !repeated.contains(name));
    rows
}

fn collect_newer(provider: &str, all: &Map<String, Value>, rows: &mut BTreeMap<String, Vec<Price>>) {
    // Rows for sizes and qualities of pictures, for models by their number of parameters, and for capacity rented by the month are no models.
    let sizes = ["-x-", "-commitment/", "/*/"];
    let is_model = |key: &str| {
        let is_size = sizes.iter().any(|word| key.contains(word));
        !is_size && !key.starts_with("fireworks-ai-") && !key.starts_with("together-ai-")
    };
    for (key, model) in all.iter().filter(|(key, _)| is_model(key)) {
        let text = |name: &str| model.get(name).and_then(Value::as_str);
        if text("litellm_provider") != Some(provider) {
            continue;
        }
        let prefix =
            ["vertex_ai", "bedrock"].into_iter().find(|family| provider.starts_with(family)).unwrap_or(provider);
        let prefixed = key.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
        let name = table::plain_name(prefixed.unwrap_or(key));
        let page =
            text("source").filter(|page| page.starts_with("http")).and_then(|page| page.split(['?', '#']).next());
        let mut price = Price::empty(Currency::USD);
        (price.date, price.source) = (NEWER.0.to_owned(), page.unwrap_or(NEWER.1).to_owned());
        read_newer(model, &mut price);
        rows.entry(name).or_default().push(price);
    }
}

/// One price of several entries of the newer table for the same model: with and without the provider before its name, or in two lists of a
/// provider that has several. Where they contradict each other, nobody knows.
fn agreed(entries: &[Price]) -> Option<Price> {
    let best = entries.iter().find(|entry| entry.source != NEWER.1).or(entries.first())?;
    let mut price = Price::empty(Currency::USD);
    (price.date, price.source) = (best.date.clone(), best.source.clone());
    let most = |factor: fn(&Price) -> Decimal| entries.iter().map(factor).max().unwrap_or(Decimal::ONE);
    (price.us, price.eu) = (most(|entry| entry.us), most(|entry| entry.eu));
    price.varies = entries.iter().any(|entry| entry.varies);
    let mut told: BTreeMap<(ServiceTier, u64, Class), BTreeSet<Decimal>> = BTreeMap::new();
    for section in entries.iter().flat_map(Price::sections) {
        for (class, rate) in section.rates.iter().filter_map(|(class, rate)| Some((class, rate?))) {
            told.entry((section.tier, section.above, class)).or_default().insert(rate);
        }
    }
    for ((tier, above, class), mut rates) in told {
        if rates.len() > 1 {
            rates.remove(&Decimal::ZERO);
        }
        if let (Some(rate), 1) = (rates.first(), rates.len()) {
            price.section_mut(tier, above)[class] = Some(*rate);
        }
    }
    Some(price)
}

fn read_newer(model: &Value, price: &mut Price) {
    for (field, value) in model.as_object().into_iter().flatten() {
        let tier = TIERS.iter().find_map(|(end, tier)| Some((field.strip_suffix(end)?, *tier)));
        let (stem, tier) = tier.unwrap_or((field, ServiceTier::Standard));
        let length = stem.rsplit_once("_above_").and_then(|(stem, length)| {
            Some((stem, length.strip_suffix("k_tokens")?.parse::<u64>().ok()?.checked_mul(1000)?))
        });
        let (stem, above) = length.unwrap_or((stem, 0));
        set_newer(price, tier, above, stem, value);
    }
    for range in model.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let above = range.pointer("/range/0").and_then(Value::as_f64).map(|above| above.to_string());
        let above = above.and_then(|above| above.parse().ok());
        for (field, value) in range.as_object().into_iter().flatten() {
            set_newer(price, ServiceTier::Standard, above.unwrap_or(0), field, value);
        }
    }
    let sizes = model.get("search_context_cost_per_query").and_then(Value::as_object);
    let mut sizes = sizes.into_iter().flat_map(Map::values);
    if let Some(search) = sizes.next()
        && sizes.all(|other| other == search)
    {
        price.section_mut(ServiceTier::Standard, 0)[Class::WebSearch] = number(search);
    }
    let factor = |path: &str| model.pointer(path).and_then(number);
    let anywhere = factor("/regional_endpoint_uplift_multiplier");
    let [us, eu] = ["us", "eu"].map(|region| factor(&format!("/regional_processing_uplift_multiplier_{region}")));
    price.us = us.or(factor("/provider_specific_entry/us")).or(anywhere).unwrap_or(Decimal::ONE);
    price.eu = eu.or(anywhere).unwrap_or(Decimal::ONE);
    if let Some(fast) = factor("/provider_specific_entry/fast") {
        let usual = *price.section_mut(ServiceTier::Standard, 0);
        for (class, rate) in usual.iter().filter(|(class, _)| class.is_token()) {
            price.section_mut(ServiceTier::Fast, 0)[class] = rate.and_then(|rate| rate.scaled(fast));
        }
    }
    // Pictures that are made are priced as the input of some rows that have no price of output.
    if model.get("mode").and_then(Value::as_str).is_some_and(|mode| mode.starts_with("image_")) {
        let usual = price.section_mut(ServiceTier::Standard, 0);
        if usual[Class::ImagesOut].is_none() {
            usual[Class::ImagesOut] = usual[Class::ImagesIn].take();
        }
    }
    price.varies = model.get("off_peak_pricing").is_some();
    // Films whose price depends on the resolution have no price by the second alone.
    if model.as_object().into_iter().flatten().any(|(field, _)| field.starts_with("output_cost_per_second_")) {
        price.section_mut(ServiceTier::Standard, 0)[Class::SecondsOut] = None;
    }
}

fn set_newer(price: &mut Price, tier: ServiceTier, above: u64, field: &str, value: &Value) {
    let Some((_, class)) = FIELDS.iter().find(|(name, _)| *name == field) else { return };
    let Some(rate) = number(value) else { return };
    let slot = &mut price.section_mut(tier, above)[*class];
    // The other name of the same price, which older rows have.
    if field != "input_cost_per_token_cache_hit" || slot.is_none() {
        *slot = Some(rate);
    }
}

/// A number as it is written; a price that is a repeating fraction (0.017 a minute) is rounded at the twelfth digit.
fn number(value: &Value) -> Option<Decimal> {
    Decimal::rounded(&value.as_number()?.to_string()).ok()
}

fn collect_older(provider: &str, all: &Map<String, Value>, rows: &mut Rows) {
    let Some(models) = all.get(provider).and_then(Value::as_object) else { return };
    for (name, model) in models {
        let Some(cost) = model.get("cost") else { continue };
        let mut price = Price::empty(Currency::USD);
        (price.date, price.source) = (OLDER.0.to_owned(), OLDER.1.to_owned());
        set_older(&mut price, ServiceTier::Standard, 0, cost);
        for tier in cost.get("tiers").and_then(Value::as_array).into_iter().flatten() {
            if let Some(above) = tier.pointer("/tier/size").and_then(Value::as_u64) {
                set_older(&mut price, ServiceTier::Standard, above, tier);
            }
        }
        if let Some(fast) = model.pointer("/experimental/modes/fast") {
            let word = fast.pointer("/provider/body/service_tier").or(fast.pointer("/provider/body/speed"));
            let tier = ServiceTier::of_word(word.and_then(Value::as_str).unwrap_or("other"));
            if let (Some(cost), true) = (fast.get("cost"), tier != ServiceTier::Other) {
                set_older(&mut price, tier, 0, cost);
            }
        }
        rows.insert(table::plain_name(name), price);
    }
}

fn set_older(price: &mut Price, tier: ServiceTier, above: u64, cost: &Value) {
    let fields = [
        ("input", Class::Input),
        ("output", Class::Output),
        ("cache_read", Class::CacheRead),
        ("cache_write", Class::CacheWrite),
        ("input_audio", Class::InputAudio),
        ("output_audio", Class::OutputAudio),
        ("reasoning", Class::Reasoning),
        ("request", Class::Request),
    ];
    for (field, class) in fields {
        let rate = cost.get(field).and_then(number);
        // Requests are priced by the thousand there.
        let per = if class == Class::Request { 1000 } else { class.priced_per() };
        let rate = rate.and_then(|rate| rate.divided(per));
        if rate.is_some() {
            price.section_mut(tier, above)[class] = rate;
        }
    }
}

/// Adds to a newer row what only the older one knows, if both are of the same price list.
fn complete(price: &mut Price, old: &Price) {
    let usual = *price.section_mut(ServiceTier::Standard, 0);
    let Some(old_usual) = old.section(ServiceTier::Standard, 0).map(|section| section.rates) else { return };
    let same = |class| usual[class].is_some() && usual[class] == old_usual[class];
    if !same(Class::Input) || !same(Class::Output) {
        return;
    }
    for (class, rate) in old_usual.iter() {
        let slot = &mut price.section_mut(ServiceTier::Standard, 0)[class];
        *slot = slot.or(rate);
    }
    for tier in [ServiceTier::Fast, ServiceTier::Priority] {
        let known = price.sections().iter().any(|section| section.tier == tier);
        if let (Some(old), false) = (old.sections().iter().find(|section| section.tier == tier), known) {
            *price.section_mut(tier, 0) = old.rates;
        }
    }
}

fn is_free(price: &Price) -> bool {
    let usual = price.section(ServiceTier::Standard, 0);
    usual.is_some_and(|usual| {
        [Class::Input, Class::Output].iter().all(|class| usual.rates[*class] == Some(Decimal::ZERO))
    })
}

/// Whether a row says nothing that the other does not say too.
fn repeats(price: &Price, other: &Price) -> bool {
    let same = |section: &Section| {
        let there = other.sections().iter().find(|there| (there.tier, there.above) == (section.tier, section.above));
        section
            .rates
            .iter()
            .all(|(class, rate)| rate.is_none() || there.is_some_and(|there| there.rates[class] == rate))
    };
    let factors = |price: &Price| (price.us, price.eu, price.varies);
    factors(price) == factors(other) && price.sections().iter().all(same)
}

fn keep_free(price: &mut Price) {
    let mut free = Price::empty(Currency::USD);
    (free.date, free.source) = (price.date.clone(), price.source.clone());
    for class in [Class::Input, Class::Output] {
        free.section_mut(ServiceTier::Standard, 0)[class] = Some(Decimal::ZERO);
    }
    *price = free;
}

/// Leaves out what is doubtful or says the same twice.
fn clean(price: &mut Price) {
    let usual = *price.section_mut(ServiceTier::Standard, 0);
    let sections: Vec<_> = price.sections().iter().map(|section| (section.tier, section.above)).collect();
    let has = |class: Class| usual[class].is_some_and(|rate| rate > Decimal::ZERO);
    let by_token = has(Class::Input) || has(Class::InputAudio);
    let mut doubled: Vec<Class> = Vec::new();
    if by_token {
        doubled.extend([Class::SecondsIn, Class::Characters, Class::ImagesIn]);
    }
    if has(Class::OutputAudio) || has(Class::OutputVideo) {
        doubled.push(Class::SecondsOut);
    }
    if has(Class::Output) || has(Class::OutputImage) {
        doubled.push(Class::ImagesOut);
    }
    // Speech to text and back by the second in and out is one and the same second.
    if usual[Class::SecondsIn] == Some(Decimal::ZERO) || usual[Class::SecondsIn] == usual[Class::SecondsOut] {
        doubled.push(Class::SecondsOut);
    }
    for (tier, above) in &sections {
        let section = price.section_mut(*tier, *above);
        for class in Class::ALL {
            if section[class] == Some(Decimal::ZERO) || doubled.contains(&class) {
                section[class] = None;
            }
        }
    }
    for class in Class::ALL {
        let Some(like) = class.like() else { continue };
        let mut all = price.sections().iter().filter(|section| section.rates[class].is_some());
        if all.all(|section| section.rates[class] == section.rates[like]) {
            for (tier, above) in &sections {
                price.section_mut(*tier, *above)[class] = None;
            }
        }
    }
}

fn write_row(name: &str, key: &str, price: &Price, out: &mut String) {
    writeln!(out, "{name} @{key}{}", words(price)).ok();
}

/// The prices of a row, a blank before each word.
fn words(price: &Price) -> String {
    let mut out = String::new();
    let usual =
        |above: u64| price.sections().iter().find(|one| one.tier == ServiceTier::Standard && one.above == above);
    let mut sections: Vec<_> = price.sections().iter().collect();
    sections.sort_by_key(|section| (section.tier, section.above));
    for section in sections {
        let rates: Vec<(Class, Decimal)> =
            section.rates.iter().filter_map(|(class, rate)| Some((class, rate?))).collect();
        if rates.is_empty() && (section.tier, section.above) != (ServiceTier::Standard, 0) {
            continue;
        }
        match (section.tier, section.above) {
            (ServiceTier::Standard, 0) => {}
            (ServiceTier::Standard, above) => _ = write!(out, " >{above}"),
            (tier, 0) => _ = write!(out, " /{}", tier.as_str()),
            (tier, above) => _ = write!(out, " /{}>{above}", tier.as_str()),
        }
        let factor = usual(section.above).filter(|_| section.tier != ServiceTier::Standard);
        if let Some(factor) = factor.and_then(|usual| factor_of(&section.rates, &usual.rates)) {
            write!(out, " *{factor}").ok();
        } else {
            for (class, rate) in rates {
                write!(out, " {}{}", table::code(class), rate.times(class.priced_per()).unwrap_or(rate)).ok();
            }
        }
        if (section.tier, section.above) == (ServiceTier::Standard, 0) {
            for (region, factor) in [("us", price.us), ("eu", price.eu)] {
                if factor != Decimal::ONE {
                    write!(out, " {region}*{factor}").ok();
                }
            }
            out.push_str(if price.varies { " ~" } else { "" });
        }
    }
    out
}

type Rates = polyport_accounting::PerClass<Option<Decimal>>;

/// The factor by which every price of tokens differs from the usual one, if it is the same for all.
fn factor_of(rates: &Rates, usual: &Rates) -> Option<Decimal> {
    let input = (rates[Class::Input]?.picos(), usual[Class::Input]?.picos());
    // Tables give factors of two digits; one that has more is not meant as one.
    let hundredths = input.0.checked_mul(100).filter(|all| input.1 > 0 && all % input.1 == 0)? / input.1;
    let factor = Decimal::from_picos(hundredths.checked_mul(Decimal::ONE.picos() / 100)?);
    let fits = |class: Class| match (rates[class], usual[class]) {
        (None, None) => true,
        (Some(rate), Some(usual)) => class.is_token() && usual.scaled(factor) == Some(rate),
        (None, Some(_)) => !class.is_token(),
        (Some(_), None) => false,
    };
    Class::ALL.into_iter().all(fits).then_some(factor)
}

#[cfg(test)]
mod tests {
    use polyport_accounting::Table;

    use super::*;
    use crate::models;

    fn made(newer: Value, older: Value) -> String {
        let (Value::Object(newer), Value::Object(older)) = (newer, older) else { panic!("objects") };
        table(&newer, &older)
    }

    fn row<'t>(text: &'t str, name: &str) -> Option<&'t str> {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" @")?.split_once(' ')).map(|(_, row)| row)
    }

    #[test]
    fn the_newer_row_wins_and_the_older_one_completes_the_same_price_list() {
        let text = made(
            serde_json::json!({
                "same": { "litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6,
                          "input_cost_per_token_above_272k_tokens": 2e-6, "input_cost_per_token_batches": 5e-7,
                          "output_cost_per_token_batches": 2e-6, "input_cost_per_image_token": 1e-6,
                          "regional_processing_uplift_multiplier_us": 1.1, "off_peak_pricing": {},
                          "search_context_cost_per_query": { "a": 0.01, "b": 0.01 } },
                "moved": { "litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6,
                           "search_context_cost_per_query": { "a": 0.01, "b": 0.02 } },
                "moved-2026-01-01": { "litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6 },
                "other-2026-01-01": { "litellm_provider": "openai", "input_cost_per_token": 1e-6 },
                "elsewhere": { "litellm_provider": "sagemaker", "input_cost_per_token": 1e-6 },
            }),
            serde_json::json!({ "openai": {
                "same": { "cost": { "input": 1, "output": 4, "cache_read": 0.1, "tiers": [{ "tier": { "size": 200_000 }, "input": 2 }] } },
                "moved": { "cost": { "input": 2, "output": 4, "cache_read": 0.1 } },
                "alone": { "cost": { "input": 2.5, "output": 4, "tiers": [{ "tier": { "size": 200_000 }, "input": 5, "output": 8 }] } },
            } }),
        );
        assert_eq!(row(&text, "same"), Some("i1 r0.1 o4 s0.01 us*1.1 ~ >272000 i2 /batch i0.5 o2"));
        assert_eq!(row(&text, "moved"), Some("i1 o4"));
        assert_eq!(row(&text, "moved-2026-01-01"), None);
        assert_eq!(row(&text, "other-2026-01-01"), Some("i1"));
        assert_eq!(row(&text, "alone"), Some("i2.5 o4 >200000 i5 o8"));
        assert!(!text.contains("elsewhere"));
        let read = Table::read(&text);
        let price = read.find("openai", "alone").unwrap();
        assert_eq!((price.date.as_str(), price.source.as_str()), OLDER);
    }

    #[test]
    fn nothing_is_free_because_one_table_says_0() {
        let zero =
            serde_json::json!({ "litellm_provider": "zai", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0 });
        let old = |price: f64| serde_json::json!({ "cost": { "input": price, "output": price, "cache_read": 0 } });
        let text = made(
            serde_json::json!({ "zai/agreed": zero, "zai/doubted": zero, "zai/alone": zero,
                "zai/partly": { "litellm_provider": "zai", "input_cost_per_token": 1e-6, "output_cost_per_token": 0 } }),
            serde_json::json!({ "zai": { "agreed": old(0.0), "doubted": old(1.0), "old": old(0.0), "old:free": old(0.0) } }),
        );
        assert_eq!(row(&text, "agreed"), Some("i0 o0"));
        assert_eq!(row(&text, "old:free"), Some("i0 o0"));
        assert_eq!(row(&text, "partly"), Some("i1"));
        for name in ["doubted", "alone", "old"] {
            assert_eq!(row(&text, name), None, "{name}: {text}");
        }
    }

    #[test]
    fn entries_that_contradict_each_other_say_nothing() {
        let entry = |provider: &str, input: f64, read: f64| {
            serde_json::json!({ "litellm_provider": provider, "input_cost_per_token": input, "output_cost_per_token": 4e-6,
                "cache_read_input_token_cost": read })
        };
        let text = made(
            serde_json::json!({ "azure_ai/m": entry("azure_ai", 1e-6, 1e-7), "azure/m": entry("azure", 2e-6, 0.0),
                "m": entry("azure", 2e-6, 1e-7) }),
            serde_json::json!({}),
        );
        assert_eq!(row(&text, "m"), Some("r0.1 o4"));
    }

    #[test]
    fn tiers_that_cost_a_part_of_the_usual_price_are_short() {
        let text = made(
            serde_json::json!({ "m": {
                "litellm_provider": "anthropic", "input_cost_per_token": 4e-6, "output_cost_per_token": 2e-5,
                "input_cost_per_token_batches": 2e-6, "output_cost_per_token_batches": 1e-5,
                "cache_read_input_token_cost": 2e-7, "cache_read_input_token_cost_batches": 1e-7,
                "provider_specific_entry": { "us": 1.1, "fast": 2 },
            } }),
            serde_json::json!({}),
        );
        assert_eq!(row(&text, "m"), Some("i4 r0.2 o20 f0 us*1.1 /batch *0.5 /fast *2"));
        let price = Table::read(&text).find("anthropic", "m").unwrap();
        assert_eq!(price.rate(Class::CacheRead, ServiceTier::Batch, 9).unwrap().picos(), 100_000);
    }

    /// What the crate ships is what the public tables give.
    #[test]
    fn the_shipped_table_is_that_of_its_sources() {
        let root = crate::shell::root();
        let shared = root.join(models::SHARED);
        let Some((newer, older)) = models::sources(&shared).ok() else {
            assert!(!shared.is_dir(), "the shared folder lacks its tables");
            println!("skipped: {} is absent", models::SHARED);
            return;
        };
        let text = table(&newer, &older);
        assert!(std::fs::read_to_string(root.join(OUTPUT)).unwrap() == text, "{OUTPUT} is stale: cargo xtask models");
        assert!(text.len() < 200 * 1024);
        let keys: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix('@')?.split(' ').next()).collect();
        let written: BTreeSet<&str> =
            text.lines().filter_map(|line| line.split(' ').nth(1)?.strip_prefix('@')).collect();
        assert!(written.iter().all(|key| keys.contains(key)));
    }
}
