//! Answers of one provider as clients of another protocol see them.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::{
    CarrierKey, ClientContext, RequestHead, Target, decode_request, decode_response, encode_response,
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
    let answer = gemini(&json!([{"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AQIDBA=="}}]));
    let spoken = |format: &str| {
        let request = json!({
            "model": "alias", "messages": [{"role": "user", "content": "Hi"}],
            "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": format},
        });
        let body = seen(Protocol::Gemini, &answer, ClientProtocol::Chat, &request);
        body["choices"][0]["message"]["audio"]["data"].as_str().unwrap().to_owned()
    };
    assert_eq!(spoken("pcm16"), "AQIDBA==");
    // 48 bytes: RIFF, 40, WAVE, fmt of 16 bytes (PCM, one channel, 24000 samples and 48000 bytes a second, 2 bytes of 16 bits), data of 4.
    assert_eq!(spoken("wav"), "UklGRigAAABXQVZFZm10IBAAAAABAAEAwF0AAIC7AAACABAAZGF0YQQAAAABAgME");
}
