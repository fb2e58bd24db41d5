//! `usage`: the counts of the protocol, the places other vendors put theirs, and what some of them count differently.

use polyport_types::{ModalityTokens, RawJson, Text, Usage};
use serde_json::value::RawValue;

use super::members;
use super::types::{TokenDetails, WireUsage};
use crate::json::{self, Int, JsonWriter, Pairs, Str};
use crate::profile::UsageRule;

/// Reads a usage object. `None` if it says nothing: it is no object, holds no counts, or all of them are zero.
pub(crate) fn read(raw: &RawValue, rule: UsageRule, body: &Text) -> Option<Usage> {
    let wire: WireUsage<'_> = serde_json::from_str(raw.get()).ok()?;
    let prompt = wire.prompt_tokens.map(Int::count);
    let completion = wire.completion_tokens.map(Int::count);
    if prompt.unwrap_or(0) == 0 && completion.unwrap_or(0) == 0 && wire.total_tokens.map_or(0, Int::count) == 0 {
        return None;
    }
    let details = wire.prompt_details.clone().unwrap_or_default();
    let mut usage = Usage { raw: Some(json::raw(raw, body)), ..Usage::default() };
    read_input(&mut usage, &wire, &details, prompt, rule);
    read_output(&mut usage, &wire, prompt, completion, rule);
    usage.input_by_modality = modalities(&details);
    if let Some(details) = &wire.completion_details {
        usage.output_by_modality = modalities(details);
        usage.predicted_accepted = details.accepted_prediction_tokens.map(Int::count);
        usage.predicted_rejected = details.rejected_prediction_tokens.map(Int::count);
    }
    if let Some(tools) = &wire.server_tool_use {
        usage.web_search_requests = tools.web_search_requests.map(Int::count);
        usage.web_fetch_requests = tools.web_fetch_requests.map(Int::count);
    }
    Some(usage)
}

fn read_input(
    usage: &mut Usage,
    wire: &WireUsage<'_>,
    details: &TokenDetails<'_>,
    prompt: Option<u64>,
    rule: UsageRule,
) {
    let read = [wire.prompt_cache_hit_tokens, details.cached_tokens, wire.num_cached_tokens, wire.cached_tokens]
        .into_iter()
        .flatten()
        .next()
        .map(Int::count);
    usage.cache_read = read;
    let Some(prompt) = prompt else { return };
    let read = read.unwrap_or(0);
    if read > prompt && rule == UsageRule::ReasoningOutside {
        // Such a server counts only the fresh part of the prompt.
        usage.input_uncached = Some(prompt);
        return;
    }
    let fresh = prompt.saturating_sub(read);
    let written = details.cache_write_tokens.or(wire.cache_creation_input_tokens).map(Int::count);
    // Reads and writes were seen to overlap.
    let capped = written.map(|written| written.min(fresh));
    match (&details.cache_write_details, capped) {
        (Some(by_ttl), Some(capped)) => {
            let short = by_ttl.ttl_30m_tokens.map_or(0, Int::count).min(capped);
            let long = by_ttl.ttl_12h_tokens.map_or(0, Int::count).min(capped - short);
            usage.cache_write_30m = Some(short);
            usage.cache_write_12h = Some(long);
            usage.cache_write_unknown = Some(capped - short - long).filter(|rest| *rest > 0);
        }
        (_, capped) => usage.cache_write_unknown = capped,
    }
    usage.input_uncached = Some(fresh - capped.unwrap_or(0));
}

fn read_output(usage: &mut Usage, wire: &WireUsage<'_>, prompt: Option<u64>, completion: Option<u64>, rule: UsageRule) {
    let total = wire.total_tokens.map(Int::count);
    let details = wire.completion_details.as_ref();
    let reasoning = details.and_then(|details| details.reasoning_tokens).or(wire.reasoning_tokens).map(Int::count);
    let Some(completion) = completion else {
        usage.reasoning = reasoning;
        return;
    };
    let sum = prompt.unwrap_or(0).saturating_add(completion);
    match reasoning {
        Some(reasoning) if reasoning > 0 => {
            let outside = match total {
                Some(total) if total == sum.saturating_add(reasoning) => true,
                Some(total) if total == sum && completion >= reasoning => false,
                _ => rule == UsageRule::ReasoningOutside,
            };
            usage.output_text = Some(if outside { completion } else { completion.saturating_sub(reasoning) });
            usage.reasoning = Some(reasoning);
        }
        reasoning => {
            // Google's compatible endpoint: thoughts are counted in the total only.
            let hidden = total.and_then(|total| total.checked_sub(sum)).filter(|hidden| *hidden > 0);
            let hidden = hidden.filter(|hidden| Some(*hidden) != usage.cache_read);
            usage.output_text = Some(completion);
            usage.reasoning = hidden.or(reasoning);
        }
    }
}

/// Reads an object of details, as other endpoints have them too. What cannot be read says nothing.
pub(crate) fn read_modalities(details: &RawValue) -> ModalityTokens {
    serde_json::from_str(details.get()).map(|details| modalities(&details)).unwrap_or_default()
}

fn modalities(details: &TokenDetails<'_>) -> ModalityTokens {
    ModalityTokens {
        text: details.text_tokens.map(Int::count),
        image: details.image_tokens.map(Int::count),
        audio: details.audio_tokens.map(Int::count),
        video: details.video_tokens.map(Int::count),
        document: None,
    }
}

/// Writes the usage object. `own`: the provider speaks this protocol too, so what it counts beyond the slots goes on to the client.
pub(super) fn write(w: &mut JsonWriter<'_>, usage: &Usage, own: bool) {
    let told = usage.raw.as_ref().filter(|_| own).map_or_else(Told::default, Told::of);
    w.object(|w| {
        w.num("prompt_tokens", usage.input_total());
        w.num("completion_tokens", usage.output_total());
        w.num("total_tokens", usage.total());
        let writes = usage.cache_write();
        let counted = [
            usage.cache_write_5m,
            usage.cache_write_30m,
            usage.cache_write_1h,
            usage.cache_write_12h,
            usage.cache_write_unknown,
        ];
        let writes = counted.iter().any(Option::is_some).then_some(writes);
        let by_ttl = usage.cache_write_30m.is_some() || usage.cache_write_12h.is_some();
        if usage.cache_read.is_some() || writes.is_some() || !usage.input_by_modality.is_empty() {
            w.object_field("prompt_tokens_details", |w| {
                w.opt_num("cached_tokens", usage.cache_read);
                w.opt_num("cache_write_tokens", writes);
                if by_ttl {
                    w.object_field("cache_write_tokens_details", |w| {
                        w.num("ttl_30m_tokens", usage.cache_write_30m.unwrap_or(0));
                        w.num("ttl_12h_tokens", usage.cache_write_12h.unwrap_or(0));
                    });
                }
                write_modalities(w, &usage.input_by_modality);
                Told::rest(w, &told.input);
            });
        }
        let predicted = usage.predicted_accepted.is_some() || usage.predicted_rejected.is_some();
        if usage.reasoning.is_some() || predicted || !usage.output_by_modality.is_empty() {
            w.object_field("completion_tokens_details", |w| {
                w.opt_num("reasoning_tokens", usage.reasoning);
                w.opt_num("accepted_prediction_tokens", usage.predicted_accepted);
                w.opt_num("rejected_prediction_tokens", usage.predicted_rejected);
                write_modalities(w, &usage.output_by_modality);
                Told::rest(w, &told.output);
            });
        }
        let searched = usage.web_search_requests.is_some() || usage.web_fetch_requests.is_some();
        if searched && !told.rest.iter().any(|(name, _)| name.starts_with("server_tool_use")) {
            w.object_field("server_tool_use", |w| {
                w.opt_num("web_search_requests", usage.web_search_requests);
                w.opt_num("web_fetch_requests", usage.web_fetch_requests);
            });
        }
        Told::rest(w, &told.rest);
    });
}

/// Members of a provider's usage that have no slot: prices, times, and its own names for counts that have one.
#[derive(Default)]
struct Told<'u> {
    input: Vec<(Str<'u>, &'u RawValue)>,
    output: Vec<(Str<'u>, &'u RawValue)>,
    rest: Vec<(Str<'u>, &'u RawValue)>,
}

impl<'u> Told<'u> {
    fn of(raw: &'u RawJson) -> Self {
        let mut told = Self::default();
        let members: Pairs<'u, &'u RawValue> = serde_json::from_str(raw.as_str()).unwrap_or_default();
        for (name, value) in members.0 {
            match &*name {
                "prompt_tokens" | "completion_tokens" | "total_tokens" => {}
                "prompt_tokens_details" => told.input = Self::details(value),
                "completion_tokens_details" => told.output = Self::details(value),
                _ => told.rest.push((name, value)),
            }
        }
        told
    }

    fn details(value: &'u RawValue) -> Vec<(Str<'u>, &'u RawValue)> {
        serde_json::from_str::<TokenDetails<'u>>(value.get()).unwrap_or_default().extra
    }

    /// Line ends of the provider would end an event.
    fn rest(w: &mut JsonWriter<'_>, members: &[(Str<'u>, &'u RawValue)]) {
        for (name, value) in members {
            w.key(name);
            w.raw_value(&members::one_line(value.get()));
        }
    }
}

fn write_modalities(w: &mut JsonWriter<'_>, tokens: &ModalityTokens) {
    w.opt_num("text_tokens", tokens.text);
    w.opt_num("audio_tokens", tokens.audio);
    w.opt_num("image_tokens", tokens.image);
    w.opt_num("video_tokens", tokens.video);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(json: &str, rule: UsageRule) -> Option<Usage> {
        let body = Text::from(json);
        read(serde_json::from_str(&body).unwrap(), rule, &body)
    }

    fn standard(json: &str) -> Usage {
        usage(json, UsageRule::Standard).unwrap()
    }

    /// (uncached, read, written, text, reasoning)
    fn counts(usage: &Usage) -> (Option<u64>, Option<u64>, u64, Option<u64>, Option<u64>) {
        (usage.input_uncached, usage.cache_read, usage.cache_write(), usage.output_text, usage.reasoning)
    }

    #[test]
    fn subsets_become_disjoint() {
        let read = standard(
            r#"{"prompt_tokens":1200,"completion_tokens":80,"total_tokens":1280,"prompt_tokens_details":{"cached_tokens":900,
                "cache_write_tokens":200},"completion_tokens_details":{"reasoning_tokens":30}}"#,
        );
        assert_eq!(counts(&read), (Some(100), Some(900), 200, Some(50), Some(30)));
    }

    #[test]
    fn overlapping_reads_and_writes_are_capped() {
        let read = standard(
            r#"{"prompt_tokens":2168,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2161,"cache_write_tokens":2161}}"#,
        );
        assert_eq!(counts(&read), (Some(0), Some(2161), 7, Some(1), None));
        let read = standard(r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9}}"#);
        assert_eq!(counts(&read), (Some(0), Some(9), 0, Some(1), None));
    }

    #[test]
    fn reasoning_outside_the_completion_is_added() {
        let xai = r#"{"prompt_tokens":291,"completion_tokens":26,"total_tokens":513,"completion_tokens_details":{"reasoning_tokens":196}}"#;
        for rule in [UsageRule::Standard, UsageRule::ReasoningOutside] {
            let read = usage(xai, rule).unwrap();
            assert_eq!((read.input_total(), read.output_total(), read.reasoning), (291, 222, Some(196)));
        }
        let inside = r#"{"prompt_tokens":10,"completion_tokens":30,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(usage(inside, UsageRule::ReasoningOutside).unwrap().output_total(), 30);
        let unknown =
            r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":20}}"#;
        assert_eq!(usage(unknown, UsageRule::ReasoningOutside).unwrap().output_total(), 25);
        let cached = r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":100}}"#;
        assert_eq!(usage(cached, UsageRule::ReasoningOutside).unwrap().input_uncached, Some(10));
    }

    #[test]
    fn google_counts_thoughts_in_the_total_only() {
        let read = standard(r#"{"completion_tokens":12,"prompt_tokens":35,"total_tokens":109}"#);
        assert_eq!(counts(&read), (Some(35), None, 0, Some(12), Some(62)));
        let cached_outside =
            standard(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":105,"cached_tokens":90}"#);
        assert_eq!(cached_outside.reasoning, None, "what was read from a cache is no reasoning");
    }

    #[test]
    fn every_place_of_cached_tokens() {
        for json in [
            r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_cache_hit_tokens":4,"prompt_tokens_details":{"cached_tokens":1}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":1,"num_cached_tokens":4}"#,
            r#"{"prompt_tokens":10,"completion_tokens":1,"prompt_token_details":{"cached_tokens":4}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":1,"cached_tokens":4,"prompt_tokens_details":null}"#,
        ] {
            assert_eq!(counts(&standard(json)), (Some(6), Some(4), 0, Some(1), None), "{json}");
        }
    }

    #[test]
    fn reasoning_beside_the_details_and_nothing_at_all() {
        let read = standard(r#"{"prompt_tokens":3,"completion_tokens":9,"total_tokens":12,"reasoning_tokens":4}"#);
        assert_eq!((read.output_text, read.reasoning), (Some(5), Some(4)));
        assert_eq!(usage(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#, UsageRule::Standard), None);
        assert_eq!(usage("{}", UsageRule::Standard), None);
        assert_eq!(usage("\"x\"", UsageRule::Standard), None);
    }

    #[test]
    fn written_usage_reads_the_same() {
        let before = standard(
            r#"{"prompt_tokens":1200,"completion_tokens":80,"total_tokens":1280,"prompt_tokens_details":{"cached_tokens":900,
                "cache_write_tokens":200,"cache_write_tokens_details":{"ttl_30m_tokens":150,"ttl_12h_tokens":50},"audio_tokens":3},
                "completion_tokens_details":{"reasoning_tokens":30,"accepted_prediction_tokens":2,"text_tokens":50}}"#,
        );
        let mut out = Vec::new();
        write(&mut JsonWriter::new(&mut out), &before, false);
        let after = standard(std::str::from_utf8(&out).unwrap());
        assert_eq!(Usage { raw: None, ..after }, Usage { raw: None, ..before });
    }
}
