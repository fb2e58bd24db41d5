//! The shipped price table: what models cost at the services that publish it.
//!
//! `prices.txt` is made by `cargo xtask models` (see `xtask/src/prices.rs` for the rules of merging) and embedded. It is indexed when it is
//! first asked; a row becomes a [`Price`] when a model is looked up, which takes microseconds.
//!
//! # The text
//! Sources are lines `@key date name`, services are headings `[name]`, and every model of a service is a row of words:
//!
//! ```text
//! claude-x @ab1 i3 o15 r0.3 w3.75 wh6 s0.01 us*1.1 >200000 i6 o22.5 r0.6 w7.5 wh12 /batch *0.5
//! ```
//!
//! The name, its source, and prices: letters for a class (see [`code`]) and a decimal number, per million for tokens and characters and per
//! piece for everything else, in US dollars. `>N` begins the prices of prompts with more than N tokens, `/tier` and `/tier>N` those of a
//! service tier; there `*F` stands for the usual price of every class of tokens, times F. `us*F` and `eu*F` are the surcharges of regions.
//! `~` marks prices that are lower at some hours.
//!
//! # Which row a model has
//! The row of its own name at its own service. Names are compared in lower case without what services put around them (see
//! [`plain_name`]). Beyond that only what makers say of names holds: a dated name without a row costs what the name without the date
//! costs, a name without date or with `-latest` means the newest dated one, and a fine-tuned model has the row of what it was made from.
//! A service without a row of its own for a model has no price for it: what another service charges says nothing. Azure and Bedrock
//! charge more in some places; these have rows named `place/model`, and where a place has none, the model's own holds.

use std::sync::LazyLock;

use polyport_types::model_name::undated;

use crate::class::Class;
use crate::decimal::Decimal;
use crate::price::{Currency, Price, ServiceTier};

static SHIPPED: LazyLock<Table<'static>> = LazyLock::new(|| Table::read(include_str!("prices.txt")));

/// An index of a table of prices.
#[derive(Debug)]
pub struct Table<'t> {
    sources: Vec<(&'t str, &'t str)>,
    /// Services and their rows by name, both sorted.
    hosts: Vec<(&'t str, Vec<Row<'t>>)>,
}

/// Name and words.
type Row<'t> = (&'t str, &'t str);

impl<'t> Table<'t> {
    /// The table that Polyport ships.
    #[must_use]
    pub fn shipped() -> &'static Table<'static> {
        &SHIPPED
    }

    /// Indexes a table; lines that are none of a table are left out.
    #[must_use]
    pub fn read(text: &'t str) -> Self {
        let mut table = Self { sources: Vec::new(), hosts: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(source) = line.strip_prefix('@') {
                table.sources.extend(source.split_once(' '));
            } else if let Some(host) = line.strip_prefix('[') {
                table.hosts.push((host.trim_end_matches(']'), Vec::new()));
            } else if let (Some((_, rows)), Some(row)) = (table.hosts.last_mut(), line.split_once(' ')) {
                rows.push(row);
            }
        }
        table.sources.sort_unstable();
        table.hosts.sort_unstable_by_key(|(host, _)| *host);
        for (_, rows) in &mut table.hosts {
            rows.sort_unstable();
        }
        table
    }

    /// The services that have rows, by the names they have there.
    pub fn hosts(&self) -> impl Iterator<Item = &'t str> + '_ {
        self.hosts.iter().map(|(host, _)| *host)
    }

    /// The names of a service's rows.
    pub fn models(&self, host: &str) -> impl Iterator<Item = &'t str> + '_ {
        self.rows(host).iter().map(|(name, _)| *name)
    }

    /// What a model costs at a service. `host` is the name of its preset, `model` the name that the service knows the model by. `None`
    /// if that is not known.
    #[must_use]
    pub fn find(&self, host: &str, model: &str) -> Option<Price> {
        self.find_in(host, None, model)
    }

    /// The same where the service runs in a place (`eu`, `eu-central-1`) that may have prices of its own: rows named `place/model`.
    #[must_use]
    pub fn find_in(&self, host: &str, place: Option<&str>, model: &str) -> Option<Price> {
        let rows = self.rows(host);
        let name = plain_name(model);
        let there = place.and_then(|place| find(rows, &format!("{}/{name}", place.to_lowercase())));
        self.price(there.or_else(|| find(rows, &name))?)
    }

    fn rows(&self, host: &str) -> &[Row<'t>] {
        let host = table_name(host);
        let at = self.hosts.binary_search_by_key(&host, |(name, _)| *name);
        at.ok().and_then(|at| self.hosts.get(at)).map_or(&[], |(_, rows)| rows)
    }

    /// Reads the words of a row; `None` if there is one that means nothing.
    fn price(&self, words: &str) -> Option<Price> {
        let mut price = Price::empty(Currency::USD);
        let (mut tier, mut above) = (ServiceTier::Standard, 0);
        for word in words.split(' ') {
            if let Some(key) = word.strip_prefix('@') {
                let at = self.sources.binary_search_by_key(&key, |(key, _)| *key).ok()?;
                let (date, source) = self.sources.get(at)?.1.split_once(' ')?;
                (price.date, price.source) = (date.to_owned(), source.to_owned());
            } else if let Some(length) = word.strip_prefix('>') {
                above = length.parse().ok()?;
                price.section_mut(tier, above);
            } else if let Some(section) = word.strip_prefix('/') {
                let (name, length) = section.split_once('>').unwrap_or((section, "0"));
                tier = ServiceTier::PRICED.into_iter().find(|tier| tier.as_str() == name)?;
                above = length.parse().ok()?;
                price.section_mut(tier, above);
            } else if let Some(factor) = word.strip_prefix('*') {
                let factor: Decimal = factor.parse().ok()?;
                let usual = *price.section_mut(ServiceTier::Standard, above);
                let section = price.section_mut(tier, above);
                for (class, rate) in usual.iter().filter(|(class, _)| class.is_token()) {
                    section[class] = rate.and_then(|rate| rate.scaled(factor));
                }
            } else if let Some((region, factor)) = word.split_once('*') {
                let field = match region {
                    "us" => &mut price.us,
                    "eu" => &mut price.eu,
                    _ => return None,
                };
                *field = factor.parse().ok()?;
            } else if word == "~" {
                price.varies = true;
            } else {
                let letters = word.find(|c: char| !c.is_ascii_lowercase())?;
                let (letters, number) = word.split_at_checked(letters)?;
                let class = Class::ALL.into_iter().find(|class| code(*class) == letters)?;
                let rate = number.parse::<Decimal>().ok()?.divided(class.priced_per())?;
                price.section_mut(tier, above)[class] = Some(rate);
            }
        }
        Some(price)
    }
}

/// The row of a name, by the rules at the top.
fn find<'t>(rows: &[Row<'t>], name: &str) -> Option<&'t str> {
    let exact = |name: &str| {
        let at = rows.binary_search_by_key(&name, |(name, _)| *name).ok()?;
        rows.get(at).map(|(_, words)| *words)
    };
    // `ft:BASE:organization:name:id`
    let base = name.strip_prefix("ft:").and_then(|rest| name.get(.."ft:".len() + rest.find(':')?));
    let name = base.unwrap_or(name);
    if let Some(found) = exact(name) {
        return Some(found);
    }
    if let Some(undated) = undated(name) {
        return exact(undated);
    }
    let base = name.strip_suffix("-latest");
    let newest = |name: &str| {
        let first = rows.partition_point(|(row, _)| *row < name);
        let family = rows.iter().skip(first).take_while(|(row, _)| row.starts_with(name));
        let dated = family.filter(|(row, _)| undated(row) == Some(name));
        dated.max_by_key(|(row, _)| row.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>()).map(|(_, words)| *words)
    };
    base.and_then(exact).or_else(|| newest(base.unwrap_or(name)))
}

/// The name that a service's rows stand under: some presets are other doors to the same service.
fn table_name(preset: &str) -> &str {
    match preset {
        "openai-responses" => "openai",
        "gemini-compat" => "gemini",
        "azure-ai" => "azure",
        "vertex-anthropic" => "vertex",
        "bedrock-anthropic" => "bedrock",
        other => other,
    }
}

/// A model's name as rows have it: in lower case, without `models/` (Gemini), `accounts/fireworks/models/`, `publishers/…/models/` or the
/// ARN of AWS before it, and with Vertex' `@20250929` as a date and without its `@default`.
#[must_use]
pub fn plain_name(model: &str) -> String {
    let name = model.to_lowercase();
    let bare = name.strip_prefix("models/").unwrap_or(&name);
    let last = || bare.rsplit('/').next().unwrap_or(bare);
    let bare = match bare.split_once('/') {
        Some(("publishers", _)) => last(),
        Some(("accounts", rest)) if rest.starts_with("fireworks/") => last(),
        Some((arn, _)) if arn.starts_with("arn:") => last(),
        _ => bare,
    };
    let bare = bare.strip_suffix("@default").unwrap_or(bare);
    bare.replace('@', "-")
}

/// The letters of a class in a table.
#[must_use]
pub fn code(class: Class) -> &'static str {
    match class {
        Class::Input => "i",
        Class::InputAudio => "ia",
        Class::InputImage => "ig",
        Class::InputVideo => "iv",
        Class::ToolPrompt => "it",
        Class::CacheRead => "r",
        Class::CacheReadAudio => "ra",
        Class::CacheReadImage => "rg",
        Class::CacheWrite => "w",
        Class::CacheWrite5m => "wf",
        Class::CacheWrite30m => "wt",
        Class::CacheWrite1h => "wh",
        Class::CacheWrite12h => "wl",
        Class::Output => "o",
        Class::OutputAudio => "oa",
        Class::OutputImage => "og",
        Class::OutputVideo => "ov",
        Class::Reasoning => "z",
        Class::WebSearch => "s",
        Class::WebFetch => "f",
        Class::Request => "q",
        Class::ImagesIn => "pi",
        Class::ImagesOut => "po",
        Class::SecondsIn => "si",
        Class::SecondsOut => "so",
        Class::Characters => "c",
        Class::Pages => "g",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Region;

    fn rate(host: &str, model: &str, class: Class, tier: ServiceTier, input: u64) -> Option<String> {
        let price = Table::shipped().find(host, model)?;
        let rate = price.rate(class, tier, input)?;
        rate.times(class.priced_per()).map(|rate| rate.to_string())
    }

    fn usual(host: &str, model: &str, class: Class) -> Option<String> {
        rate(host, model, class, ServiceTier::Standard, 0)
    }

    #[test]
    fn every_row_is_read_and_says_where_it_is_from() {
        let table = Table::shipped();
        let mut rows = 0;
        for (host, models) in &table.hosts {
            for (name, words) in models {
                let price = table.price(words).unwrap_or_else(|| panic!("{host} {name} {words}"));
                assert!(!price.source.is_empty() && price.date.starts_with("20"), "{host} {name}");
                assert_eq!(plain_name(name), *name, "{host}");
                assert!(!price.is_empty(), "{host} {name}");
                assert!(price.us >= Decimal::ONE && price.eu >= Decimal::ONE, "{host} {name}");
                rows += 1;
            }
            assert!(models.windows(2).all(|pair| pair[0].0 < pair[1].0), "{host} has a name twice");
        }
        assert!(rows > 1000, "{rows}");
        let codes: std::collections::BTreeSet<&str> = Class::ALL.into_iter().map(code).collect();
        assert_eq!(codes.len(), Class::COUNT);
    }

    /// Longer prompts never cost less by the token, so that more tokens never cost less.
    #[test]
    fn prices_grow_with_the_prompt() {
        let table = Table::shipped();
        for (host, models) in &table.hosts {
            for (name, words) in models {
                let price = table.price(words).unwrap();
                for longer in price.sections() {
                    let shorter =
                        price.sections().iter().filter(|other| other.tier == longer.tier && other.above < longer.above);
                    for (class, rate) in shorter.flat_map(|shorter| shorter.rates.iter()) {
                        assert!(longer.rates[class].is_none() || longer.rates[class] >= rate, "{host} {name} {class}");
                    }
                }
            }
        }
    }

    #[test]
    fn well_known_prices_are_those_of_the_makers() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("anthropic", "claude-sonnet-4-5", Class::Input, "3"),
            ("anthropic", "claude-sonnet-4-5", Class::CacheRead, "0.3"),
            ("anthropic", "claude-sonnet-4-5", Class::CacheWrite5m, "3.75"),
            ("anthropic", "claude-sonnet-4-5", Class::CacheWrite1h, "6"),
            ("anthropic", "claude-sonnet-4-5", Class::Reasoning, "15"),
            ("anthropic", "claude-sonnet-4-5", Class::WebSearch, "0.01"),
            ("anthropic", "claude-sonnet-4-5", Class::WebFetch, "0"),
            ("openai", "gpt-5", Class::Input, "1.25"),
            ("openai", "gpt-5.6-sol", Class::CacheWrite12h, "10"),
            ("openai-responses", "gpt-5", Class::Output, "10"),
            ("openai", "text-embedding-3-small", Class::Input, "0.02"),
            ("openai", "tts-1", Class::Characters, "15"),
            ("openai", "whisper-1", Class::SecondsIn, "0.0001"),
            ("gemini", "gemini-2.5-flash", Class::InputAudio, "1"),
            ("gemini", "gemini-2.5-flash", Class::InputImage, "0.3"),
            ("gemini", "gemini-2.5-flash", Class::CacheReadAudio, "0.1"),
            ("gemini-compat", "gemini-2.5-flash", Class::Reasoning, "2.5"),
            ("dashscope", "qwen-plus", Class::Reasoning, "4"),
            ("xai", "grok-imagine-image", Class::ImagesOut, "0.02"),
            ("mistral", "mistral-ocr-latest", Class::Pages, "0.004"),
        ];
        for (host, model, class, expected) in cases {
            assert_eq!(usual(host, model, class), some(expected), "{host} {model} {class}");
        }
        let long = |input| rate("gemini", "gemini-2.5-pro", Class::Output, ServiceTier::Standard, input);
        assert_eq!((long(200_000), long(200_001)), (some("10"), some("15")));
        let tier = |tier, class| rate("openai", "gpt-5", class, tier, 0);
        assert_eq!(tier(ServiceTier::Flex, Class::CacheRead), some("0.0625"));
        assert_eq!(tier(ServiceTier::Priority, Class::Output), some("20"));
        assert_eq!(tier(ServiceTier::Ultrafast, Class::Output), None);
        let fast = rate("anthropic", "claude-opus-5", Class::Output, ServiceTier::Fast, 0);
        assert_eq!(fast, some("50"));
        assert_eq!(Table::shipped().find("openai", "gpt-5.5").unwrap().eu.to_string(), "1.1");
        assert!(Table::shipped().find("deepseek", "deepseek-v4-pro").unwrap().varies);
    }

    #[test]
    fn names_find_the_row_that_makers_mean() {
        let same = [
            ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("openai", "gpt-5-2025-08-07", "gpt-5"),
            ("openai", "gpt-5-2031-01-01", "gpt-5"),
            ("openai", "GPT-5", "gpt-5"),
            ("anthropic", "claude-3-haiku", "claude-3-haiku-20240307"),
            ("anthropic", "claude-3-5-sonnet-latest", "claude-3-5-sonnet-20241022"),
            ("openai", "ft:gpt-4o-2024-08-06:acme::abc", "ft:gpt-4o-2024-08-06"),
            ("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("vertex-anthropic", "claude-opus-4-5@20251101", "claude-opus-4-5"),
            ("azure-ai", "gpt-5", "gpt-5"),
            ("vertex", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("fireworks", "accounts/fireworks/models/deepseek-v3p2", "deepseek-v3p2"),
            ("together", "zai-org/GLM-5.2", "zai-org/glm-5.2"),
            (
                "bedrock-anthropic",
                "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            ),
        ];
        let table = Table::shipped();
        for (host, asked, row) in same {
            let found = table.find(host, asked);
            assert!(found.is_some() && found == table.find(host, row), "{host} {asked}");
        }
        let place = |place| table.find_in("bedrock", Some(place), "deepseek.v3.2");
        assert_eq!(place("moon-1"), table.find("bedrock", "deepseek.v3.2"));
        assert_eq!(place("ap-northeast-1"), table.find("bedrock", "ap-northeast-1/deepseek.v3.2"));
        assert_ne!(place("ap-northeast-1"), table.find("bedrock", "deepseek.v3.2"));
        // Snapshots with a price of their own keep it.
        assert_eq!(usual("openai", "gpt-4o-2024-05-13", Class::Input), Some("5".to_owned()));
    }

    #[test]
    fn what_no_list_says_is_unknown() {
        let unknown = [
            ("openai", "gpt-99"),
            ("openai", ""),
            ("openai", "claude-sonnet-4-5"),
            ("", "gpt-5"),
            ("groq", "gpt-5"),
            ("deepinfra", "deepseek-ai/DeepSeek-V3"),
            ("ollama", "gpt-oss:20b"),
            ("code-assist", "gemini-2.5-pro"),
            ("warp", "claude-sonnet-4-5"),
            ("generic", "gpt-5"),
            ("openai", "gpt-5 i1"),
            ("openai", "ft:gpt-5:acme::abc"),
            ("openrouter", "openai/gpt-oss-20b:nonesuch"),
            ("fireworks", "accounts/mine/models/deepseek-v3p2"),
        ];
        for (host, model) in unknown {
            assert_eq!(Table::shipped().find(host, model), None, "{host} {model}");
        }
        for words in ["@0000 i1", "i", "i-1", "x1", "i1 moon*2", "/soon i1", ">x i1", "i0.0000001", "é1", ""] {
            let table = Table::read(&format!("[h]\nm {words}")).find("h", "m");
            assert_eq!(table, None, "{words}");
        }
    }

    #[test]
    fn words_are_read_as_the_top_says() {
        let text = "@k 2026-01 list\n[h]\nm @k i3 o15 s0.01 us*1.1 ~ >200000 i6 o22.5 /batch *0.5 /batch>200000 *0.5";
        let price = Table::read(text).find("h", "M").unwrap();
        assert_eq!((price.date.as_str(), price.source.as_str(), price.varies), ("2026-01", "list", true));
        let rate = |class, tier, input| price.rate(class, tier, input).unwrap().to_string();
        assert_eq!(rate(Class::Input, ServiceTier::Standard, 1), "0.000003");
        assert_eq!(rate(Class::Output, ServiceTier::Batch, 200_001), "0.00001125");
        assert_eq!(rate(Class::WebSearch, ServiceTier::Batch, 1), "0.01");
        let context = crate::Context { region: Some(Region::Us), ..crate::Context::default() };
        let mut counts = crate::Counts::default();
        counts.per_class[Class::Input] = 1_000_000;
        let cost = crate::cost(&counts, &price, &context);
        assert_eq!((cost.total.to_string().as_str(), cost.estimated), ("6.6", true));
    }
}
