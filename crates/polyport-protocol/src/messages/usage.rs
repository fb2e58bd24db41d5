//! Token counts both ways. On this wire `input_tokens` excludes what was read from or written to a cache, and every counter
//! is cumulative: a later one replaces an earlier one.

use polyport_types::{Protocol, RawJson, Text, Usage};
use serde_json::value::RawValue;

use super::types::UsageBody;
use crate::context::ClientContext;
use crate::json::{Int, JsonWriter, Pairs, raw};

/// Members of a usage object that are computed; the others are the provider's own.
const KNOWN: [&str; 8] = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "cache_creation",
    "output_tokens",
    "output_tokens_details",
    "server_tool_use",
    "service_tier",
];

/// Reads one usage object that says all.
pub(crate) fn read(usage: &RawValue, includes_cache: bool, body: &Text) -> Usage {
    let mut meter = Meter::default();
    meter.take(usage, body);
    meter.usage(includes_cache)
}

/// The counters of one answer while it comes in.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    written_5m: Option<u64>,
    written_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    web_search: Option<u64>,
    web_fetch: Option<u64>,
    tier: Option<Text>,
    raw: Option<RawJson>,
}

impl Meter {
    /// Takes a usage object: what it names replaces what was known.
    pub(super) fn take(&mut self, usage: &RawValue, body: &Text) {
        if let Ok(wire) = serde_json::from_str::<UsageBody<'_>>(usage.get()) {
            self.count(wire, raw(usage, body), body);
        }
    }

    /// The same of an object that was read: `whole` is how it was written.
    pub(super) fn count(&mut self, wire: UsageBody<'_>, whole: RawJson, body: &Text) {
        let replace = |slot: &mut Option<u64>, value: Option<Int>| {
            if let Some(value) = value {
                *slot = Some(value.count());
            }
        };
        // Servers that do not repeat the input write 0 in its place; a true 0 stands beside another class of input.
        let written = wire.cache_creation.unwrap_or_default();
        let classes = [
            wire.input_tokens,
            wire.cache_read_input_tokens,
            wire.cache_creation_input_tokens,
            written.ephemeral_5m,
            written.ephemeral_1h,
        ];
        let told = classes.into_iter().flatten().any(|class| class.count() > 0);
        let replace_input = |slot: &mut Option<u64>, value: Option<Int>| match value.map(Int::count) {
            Some(0) if !told && slot.is_some_and(|known| known > 0) => {}
            Some(value) => *slot = Some(value),
            None => {}
        };
        replace_input(&mut self.input, wire.input_tokens);
        replace_input(&mut self.cache_read, wire.cache_read_input_tokens);
        replace_input(&mut self.cache_written, wire.cache_creation_input_tokens);
        replace_input(&mut self.written_5m, written.ephemeral_5m);
        replace_input(&mut self.written_1h, written.ephemeral_1h);
        replace(&mut self.output, wire.output_tokens);
        replace(&mut self.thinking, wire.output_tokens_details.and_then(|details| details.thinking_tokens));
        if let Some(tools) = wire.server_tool_use {
            replace(&mut self.web_search, tools.web_search_requests);
            replace(&mut self.web_fetch, tools.web_fetch_requests);
        }
        if let Some(tier) = wire.service_tier {
            self.tier = Some(tier.into_text(body));
        }
        self.raw = Some(match self.raw.take() {
            Some(earlier) => merged(&earlier, &whole),
            None => whole,
        });
    }

    /// Tier that served the request, in the provider's word.
    pub(super) fn tier(&self) -> Option<Text> {
        self.tier.clone()
    }

    /// The counters in disjoint classes. `includes_cache` is for servers whose input counts the cached tokens too.
    pub(super) fn usage(&self, includes_cache: bool) -> Usage {
        let split = self.written_5m.unwrap_or(0).saturating_add(self.written_1h.unwrap_or(0));
        // A total that was corrected after its split was told takes its place, or adds to it.
        let stale = self.cache_written.is_some_and(|all| all < split);
        let (written_5m, written_1h) = if stale { (None, None) } else { (self.written_5m, self.written_1h) };
        let unknown = match (self.cache_written, written_5m.or(written_1h)) {
            (Some(all), Some(_)) => Some(all - split).filter(|rest| *rest > 0),
            (all, _) => all,
        };
        let split = if stale { 0 } else { split };
        let cached = self.cache_read.unwrap_or(0).saturating_add(split).saturating_add(unknown.unwrap_or(0));
        let input = self.input.map(|input| if includes_cache { input.saturating_sub(cached) } else { input });
        Usage {
            input_uncached: input,
            cache_read: self.cache_read,
            cache_write_5m: written_5m,
            cache_write_1h: written_1h,
            cache_write_unknown: unknown,
            output_text: self.output.map(|output| output.saturating_sub(self.thinking.unwrap_or(0))),
            reasoning: self.thinking,
            web_search_requests: self.web_search,
            web_fetch_requests: self.web_fetch,
            raw: self.raw.clone(),
            ..Usage::default()
        }
    }
}

/// The later object with the members only the earlier one has.
fn merged(earlier: &RawJson, later: &RawJson) -> RawJson {
    let (serde_json::Value::Object(mut all), serde_json::Value::Object(later)) = (earlier.to_value(), later.to_value())
    else {
        return later.clone();
    };
    all.extend(later);
    RawJson::of(&serde_json::Value::Object(all))
}

/// Which usage object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Of `message_start`: input may be an estimate, output has only begun.
    Start,
    /// Of `message_delta`: what is not known stays out.
    Delta,
    /// Of a whole answer.
    Whole,
}

/// Writes `usage`. `tier` is the provider's word, `output_estimate` stands in for an output nobody counted.
pub(super) fn write(
    w: &mut JsonWriter<'_>,
    context: &ClientContext,
    usage: &Usage,
    tier: Option<&str>,
    scene: Scene,
    output_estimate: u64,
) {
    w.object(|w| {
        let input = usage
            .input_uncached
            .or(usage.tool_prompt)
            .map(|_| usage.input_uncached.unwrap_or(0).saturating_add(usage.tool_prompt.unwrap_or(0)));
        match (input, scene) {
            (Some(input), _) => w.num("input_tokens", input),
            (None, Scene::Start | Scene::Whole) => w.num("input_tokens", context.input_estimate),
            (None, Scene::Delta) => {}
        }
        if input.is_some() || scene != Scene::Delta {
            w.num("cache_creation_input_tokens", usage.cache_write());
            w.num("cache_read_input_tokens", usage.cache_read.unwrap_or(0));
            written_by_lifetime(w, usage);
        }
        let known_output = usage.output_text.is_some() || usage.reasoning.is_some();
        w.num("output_tokens", if known_output { usage.output_total() } else { output_estimate });
        if let Some(thinking) = usage.reasoning {
            w.object_field("output_tokens_details", |w| w.num("thinking_tokens", thinking));
        }
        if usage.web_search_requests.is_some() || usage.web_fetch_requests.is_some() {
            w.object_field("server_tool_use", |w| {
                w.num("web_search_requests", usage.web_search_requests.unwrap_or(0));
                w.opt_num("web_fetch_requests", usage.web_fetch_requests);
            });
        }
        if scene != Scene::Delta {
            w.str("service_tier", served_by(tier));
        }
        if context.provider == Protocol::Messages {
            own_members(w, usage);
        }
    });
}

/// The split of cache writes, as far as lifetimes are known at all.
fn written_by_lifetime(w: &mut JsonWriter<'_>, usage: &Usage) {
    let short = [usage.cache_write_5m, usage.cache_write_30m];
    let long = [usage.cache_write_1h, usage.cache_write_12h];
    if short.iter().chain(&long).all(Option::is_none) {
        return;
    }
    let sum = |classes: &[Option<u64>]| classes.iter().flatten().copied().fold(0, u64::saturating_add);
    w.object_field("cache_creation", |w| {
        w.num("ephemeral_5m_input_tokens", sum(&short).saturating_add(usage.cache_write_unknown.unwrap_or(0)));
        w.num("ephemeral_1h_input_tokens", sum(&long));
    });
}

/// Members of the provider's own object that are not computed here (`inference_geo`, `iterations`, …).
fn own_members(w: &mut JsonWriter<'_>, usage: &Usage) {
    let Some(raw) = &usage.raw else { return };
    let Ok(members) = serde_json::from_str::<Pairs<'_, &RawValue>>(raw.as_str()) else { return };
    for (name, value) in members.0 {
        if !KNOWN.contains(&&*name) {
            w.key(&name);
            w.raw_value(value.get());
        }
    }
}

/// The tier in this protocol's words.
fn served_by(tier: Option<&str>) -> &'static str {
    match tier {
        Some("priority" | "fast") => "priority",
        Some("batch") => "batch",
        _ => "standard",
    }
}
