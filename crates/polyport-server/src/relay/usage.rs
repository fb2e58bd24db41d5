//! Token counts of answers that pass through, read without translating them.

use polyport_types::{Protocol, Usage};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

/// The members of all usage objects that matter for accounting.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    // Chat
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    // Responses and Messages
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    // Gemini
    #[serde(rename = "promptTokenCount")]
    prompt_token_count: Option<u64>,
    #[serde(rename = "cachedContentTokenCount")]
    cached_content_token_count: Option<u64>,
    #[serde(rename = "candidatesTokenCount")]
    candidates_token_count: Option<u64>,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts_token_count: Option<u64>,
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_use_prompt_token_count: Option<u64>,
}

/// Reads a usage object of `protocol` into `usage`; counts it does not name stay as they are.
pub(crate) fn read(protocol: Protocol, json: &[u8], usage: &mut Usage) {
    let Ok(counts) = serde_json::from_slice::<Counts>(json) else { return };
    match protocol {
        Protocol::Chat => openai(
            usage,
            (counts.prompt_tokens, counts.prompt_tokens_details),
            (counts.completion_tokens, counts.completion_tokens_details),
        ),
        Protocol::Responses => openai(
            usage,
            (counts.input_tokens, counts.input_tokens_details),
            (counts.output_tokens, counts.output_tokens_details),
        ),
        Protocol::Messages => {
            keep(&mut usage.input_uncached, counts.input_tokens);
            keep(&mut usage.cache_read, counts.cache_read_input_tokens);
            keep(&mut usage.cache_write_unknown, counts.cache_creation_input_tokens);
            keep(&mut usage.output_text, counts.output_tokens);
        }
        Protocol::Gemini => {
            let cached = counts.cached_content_token_count;
            let fresh = counts.prompt_token_count.map(|prompt| prompt.saturating_sub(cached.unwrap_or(0)));
            keep(&mut usage.input_uncached, fresh);
            keep(&mut usage.cache_read, cached);
            keep(&mut usage.tool_prompt, counts.tool_use_prompt_token_count);
            keep(&mut usage.output_text, counts.candidates_token_count);
            keep(&mut usage.reasoning, counts.thoughts_token_count);
        }
    }
}

/// `OpenAI` counts cached tokens inside the input and reasoning inside the output.
fn openai(usage: &mut Usage, input: (Option<u64>, Option<Details>), output: (Option<u64>, Option<Details>)) {
    let input_details = input.1.unwrap_or_default();
    let cached = input_details.cached_tokens.unwrap_or(0);
    let written = input_details.cache_write_tokens.unwrap_or(0);
    keep(&mut usage.input_uncached, input.0.map(|all| all.saturating_sub(cached).saturating_sub(written)));
    keep(&mut usage.cache_read, input_details.cached_tokens);
    keep(&mut usage.cache_write_unknown, input_details.cache_write_tokens);
    let reasoning = output.1.and_then(|details| details.reasoning_tokens);
    keep(&mut usage.output_text, output.0.map(|all| all.saturating_sub(reasoning.unwrap_or(0))));
    keep(&mut usage.reasoning, reasoning);
}

fn keep(slot: &mut Option<u64>, value: Option<u64>) {
    if value.is_some() {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(protocol: Protocol, json: &str) -> (u64, u64, Option<u64>) {
        let mut usage = Usage::default();
        read(protocol, json.as_bytes(), &mut usage);
        (usage.input_total(), usage.output_total(), usage.cache_read)
    }

    #[test]
    fn every_protocol_gives_the_same_totals() {
        let chat = r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}"#;
        let responses = r#"{"input_tokens":100,"output_tokens":20,"input_tokens_details":{"cached_tokens":40},"output_tokens_details":{"reasoning_tokens":5}}"#;
        let messages =
            r#"{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":0,"output_tokens":20}"#;
        let gemini =
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5}"#;
        for (protocol, json) in [
            (Protocol::Chat, chat),
            (Protocol::Responses, responses),
            (Protocol::Messages, messages),
            (Protocol::Gemini, gemini),
        ] {
            assert_eq!(totals(protocol, json), (100, 20, Some(40)), "{protocol}");
        }
    }

    #[test]
    fn u17_nonsense_counts_nothing() {
        for json in ["null", "[]", r#"{"prompt_tokens":-5}"#, r#"{"prompt_tokens":"x"}"#, ""] {
            assert_eq!(totals(Protocol::Chat, json), (0, 0, None), "{json}");
        }
    }
}
