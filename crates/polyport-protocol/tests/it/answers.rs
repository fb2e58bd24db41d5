//! Answers of one provider as clients of another protocol see them.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::profile::UsageRule;
use polyport_protocol::{
    CarrierKey, ClientContext, RequestHead, Target, decode_request, decode_response, encode_response, read_usage,
};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

/// What a client sees that sent `request`.
fn seen(provider: Protocol, answer: &Value, client: ClientProtocol, request: &Value) -> Value {
    let head = RequestHead { model: Some("alias".into()), ..RequestHead::default() };
    let request = decode_request(client, &head, Bytes::from(request.to_string())).unwrap();
    let target = Target::plain(provider, "model");
    let response = decode_response(&target, Bytes::from(answer.to_string())).unwrap();
    let carrier = Some(Arc::new(CarrierKey::new([7; 32])));
    let context = ClientContext { carrier, ..ClientContext::fixed(request, provider) };
    serde_json::from_slice(&encode_response(client, &context, &response)).unwrap()
}

fn gemini(parts: &Value) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}]})
}

#[test]
fn a_search_of_gemini_is_shown_with_what_it_asked() {
    let answer = gemini(&json!([
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a b", "c"]}, "id": "x"}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {}, "id": "x"}},
        {"text": "ok"},
    ]));
    let body = seen(Protocol::Gemini, &answer, ClientProtocol::Responses, &json!({"model": "alias", "input": "Hi"}));
    assert_eq!(body["output"][0]["action"], json!({"type": "search", "query": "a b"}));
}

#[test]
fn bare_samples_become_the_file_the_client_asked_for() {
    let piece = |data: &str| json!({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": data}});
    let spoken = |pieces: Value, format: &str| {
        let answer = gemini(&pieces);
        let request = json!({
            "model": "alias", "messages": [{"role": "user", "content": "Hi"}],
            "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": format},
        });
        let body = seen(Protocol::Gemini, &answer, ClientProtocol::Chat, &request);
        body["choices"][0]["message"]["audio"]["data"].as_str().unwrap().to_owned()
    };
    let whole = || json!([piece("AQIDBA==")]);
    // There is room for one sound in an answer.
    let parted = || json!([piece("AQI="), piece("AwQ=")]);
    for pieces in [whole(), parted()] {
        assert_eq!(spoken(pieces, "pcm16"), "AQIDBA==");
    }
    // 48 bytes: RIFF, 40, WAVE, fmt of 16 bytes (PCM, one channel, 24000 samples and 48000 bytes a second, 2 bytes of 16 bits), data of 4.
    for pieces in [whole(), parted()] {
        assert_eq!(spoken(pieces, "wav"), "UklGRigAAABXQVZFZm10IBAAAAABAAEAwF0AAIC7AAACABAAZGF0YQQAAAABAgME");
    }
}

/// Input, output, and what was read from a cache.
fn totals(target: &Target, counts: &str) -> (u64, u64, Option<u64>) {
    let usage = read_usage(target, counts.to_owned().into()).unwrap_or_default();
    (usage.input_total(), usage.output_total(), usage.cache_read)
}

#[test]
fn a_usage_object_alone_gives_the_same_totals_in_every_protocol() {
    for (protocol, counts) in [
        (
            Protocol::Chat,
            r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}"#,
        ),
        (Protocol::Chat, r#"{"prompt_tokens":100,"completion_tokens":20,"prompt_cache_hit_tokens":40}"#),
        (
            Protocol::Responses,
            r#"{"input_tokens":100,"output_tokens":20,"input_tokens_details":{"cached_tokens":40},"output_tokens_details":{"reasoning_tokens":5}}"#,
        ),
        (
            Protocol::Messages,
            r#"{"input_tokens":50,"cache_read_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":10},"output_tokens":20}"#,
        ),
        (
            Protocol::Gemini,
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5}"#,
        ),
        (
            Protocol::Gemini,
            r#"{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":20,"thoughtsTokenCount":5,"totalTokenCount":120}"#,
        ),
    ] {
        assert_eq!(totals(&Target::plain(protocol, ""), counts), (100, 20, Some(40)), "{protocol} {counts}");
    }
    let mut xai = Target::plain(Protocol::Chat, "");
    Arc::make_mut(&mut xai.profile).usage_rule = UsageRule::ReasoningOutside;
    let counts = r#"{"prompt_tokens":291,"completion_tokens":26,"completion_tokens_details":{"reasoning_tokens":196},"total_tokens":513}"#;
    assert_eq!(totals(&xai, counts), (291, 222, None));
}

#[test]
fn u17_nonsense_counts_nothing() {
    for protocol in Protocol::ALL {
        for counts in ["null", "[]", r#"{"prompt_tokens":-5}"#, r#"{"prompt_tokens":"x"}"#, "", "\u{1}"] {
            assert_eq!(totals(&Target::plain(protocol, ""), counts), (0, 0, None), "{protocol} {counts}");
        }
    }
}
