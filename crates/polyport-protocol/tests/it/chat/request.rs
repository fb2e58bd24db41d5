//! Requests.

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::profile::{ReasoningBack, ReasoningBackWhen};
use polyport_protocol::{DecodeError, Profile, RequestHead, Target, decode_request, encode_request};
use polyport_types::{ClientProtocol, Losses, Message, PartKind, Protocol, Request};
use serde_json::{Value, json};

fn decode(body: &str) -> Result<Request, DecodeError> {
    decode_request(ClientProtocol::Chat, &RequestHead::default(), Bytes::copy_from_slice(body.as_bytes()))
}

fn encode(target: &Target, request: &Request) -> (Value, Losses) {
    let mut losses = Losses::new();
    let body = encode_request(target, request, &mut losses).body;
    (
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body))),
        losses,
    )
}

fn target(profile: Profile) -> Target {
    Target { profile: Arc::new(profile), ..Target::plain(Protocol::Chat, "m") }
}

#[test]
fn recorded_requests_are_understood_and_written_again() {
    for record in super::records("recorded_requests_are_understood_and_written_again") {
        let (Some(sent), true) = (&record.request, record.is_good_generation()) else { continue };
        let request = decode(&sent.body).unwrap_or_else(|error| panic!("{}: {error}", record.id));
        let profile = Profile {
            accept_unknown: true,
            accept: ["cache_control", "document_url"].map(str::to_owned).to_vec(),
            reasoning_back: ReasoningBack::ReasoningContent,
            reasoning_back_when: ReasoningBackWhen::All,
            ..Profile::of_protocol(Protocol::Chat)
        };
        let target = target(profile);
        let (again, losses) = encode(&Target { model: request.model.clone(), ..target }, &request);
        assert!(losses.first_at_least(polyport_types::Severity::Error).is_none(), "{}: {losses:?}", record.id);
        let second = decode(&again.to_string()).unwrap_or_else(|error| panic!("{}: {error} in {again}", record.id));
        assert_eq!(second.model, request.model);
        assert_eq!(second.tools, request.tools, "{}", record.id);
        assert_eq!(
            second.tool_choice.is_some(),
            request.tool_choice.is_some() && !request.tools.is_empty(),
            "{}",
            record.id
        );
        assert_eq!(second.sampling, request.sampling, "{}", record.id);
        assert_eq!(second.limits.max_output_tokens, request.limits.max_output_tokens, "{}", record.id);
        assert_eq!(second.response_format, request.response_format, "{}", record.id);
        assert_eq!(second.cache, request.cache, "{}", record.id);
        assert_eq!(second.instructions, request.instructions, "{}", record.id);
        assert_eq!(unnamed_files(second.messages), unnamed_files(request.messages), "{}", record.id);
    }
}

/// What a vendor has added to a tool stays beside the function or inside it, and markers have the form the server knows.
#[test]
fn members_of_vendors_stay_where_they_stood() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":[
            {"type":"text","text":"x","cache_control":{"type":"ephemeral","ttl":"1h"}}]}],
        "tools":[{"type":"function","cache_control":{"type":"ephemeral"},"eager_input_streaming":true,"other":1,
            "function":{"name":"f","parameters":{},"usage":1}}]}"#;
    let request = decode(body).unwrap();
    let openrouter = target(Profile { accept_unknown: false, ..Profile::named("openrouter").unwrap() });
    let (body, losses) = encode(&openrouter, &request);
    assert_eq!(body["messages"][0]["content"][0]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    let function = json!({"name": "f", "parameters": {}, "usage": 1});
    let mark = json!({"type": "ephemeral"});
    let wanted =
        json!({"type": "function", "function": function, "eager_input_streaming": true, "cache_control": mark});
    assert_eq!(body["tools"], json!([wanted]));
    let lost: Vec<_> = losses.entries().iter().map(|loss| &*loss.path).collect();
    assert_eq!(lost, ["/tools/0/other"]);
}

/// A file must have a name on the wire; one is made up where there was none.
fn unnamed_files(mut messages: Vec<Message>) -> Vec<Message> {
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        if let PartKind::Document(document) = &mut part.kind {
            document.filename = None;
        }
    }
    messages
}
