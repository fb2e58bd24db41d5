//! Reasoning and signatures.

use std::sync::Arc;

use super::*;

fn thinking_block(index: u32, text: &str, signature: &str) -> Vec<Value> {
    block(
        index,
        &json!({"type": "thinking", "thinking": "", "signature": ""}),
        &[
            json!({"type": "thinking_delta", "thinking": text}),
            json!({"type": "signature_delta", "signature": signature}),
        ],
    )
}

#[test]
fn kb_74_visible_text_with_a_signature_stays_text() {
    let stream = gemini(&[
        parts(&json!([{"text": "signed text", "thoughtSignature": "QUJD"}]), None),
        parts(&json!([{"text": "", "thoughtSignature": "REVG"}]), Some("STOP")),
    ]);
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Gemini, &stream);
        assert_eq!(summary.text(), "signed text", "{client}");
        assert_eq!(summary.reasoning(), "", "{client}");
    }
}

#[test]
fn kb_75_a_signed_call_is_no_reasoning() {
    let call = json!([{"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "QUJD"}]);
    let stream = gemini(&[parts(&call, Some("STOP"))]);
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Gemini, &stream);
        assert_eq!(summary.reasoning(), "", "{client}");
        assert_eq!(calls(&summary), [("f".to_owned(), json!({"a": 1}))], "{client}");
    }
}

#[test]
fn kb_76_stream_and_whole_answer_keep_the_same_signatures() {
    let call = json!([{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "QUJD"}]);
    let events = events(Protocol::Gemini, gemini(&[parts(&call, Some("STOP"))]));
    let response = collected(&events).expect("an answer");
    for client in ClientProtocol::ALL {
        let streamed = Check::new(client).stream(&written(client, Protocol::Gemini, &events)).expect("legal");
        let whole = encode_response(client, &context(client, Protocol::Gemini), &response);
        let whole = Check::new(client).answer(&whole).expect("legal");
        assert_eq!(streamed.choices[0].signatures, whole.choices[0].signatures, "{client}");
        assert_eq!(streamed.choices[0].signatures.len(), 1, "{client}: the signature of the call");
    }
}

#[test]
fn kb_77_a_gemini_signature_comes_back_through_a_messages_client() {
    let call = json!([{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "QUJD"}]);
    let response = answer(Protocol::Gemini, gemini(&[parts(&call, Some("STOP"))]));
    let body =
        encode_response(ClientProtocol::Messages, &context(ClientProtocol::Messages, Protocol::Gemini), &response);
    let first: Value = serde_json::from_slice(&body).expect("JSON");
    let id = first["content"].as_array().expect("blocks").iter().find(|b| b["type"] == "tool_use").expect("call")["id"]
        .clone();
    let history = json!({"model": "alias", "max_tokens": 100, "thinking": {"type": "adaptive"}, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "ok"}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]});
    let second = translated(ClientProtocol::Messages, &history, Protocol::Gemini);
    assert_eq!(second["contents"][1]["parts"][0]["thoughtSignature"], "QUJD", "{second}");
}

/// A history whose assistant turn holds this reasoning block, then a call and its result.
fn history_with(reasoning: &Value) -> Value {
    json!({"model": "alias", "max_tokens": 4000, "thinking": {"type": "adaptive"}, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [reasoning, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}]})
}

#[test]
fn kb_78_79_80_foreign_signatures_never_reach_a_provider() {
    use polyport_types::{Family, Signature, SignatureKind};
    let key = CarrierKey::new([7; 32]);
    let kinds = [
        SignatureKind::Thinking,
        SignatureKind::Redacted,
        SignatureKind::ReasoningItem,
        SignatureKind::Part,
        SignatureKind::FunctionCall,
    ];
    let providers = [
        (Protocol::Messages, Family::Anthropic),
        (Protocol::Responses, Family::OpenAi),
        (Protocol::Gemini, Family::Google),
    ];
    for (provider, own) in providers {
        let foreign = [Family::Anthropic, Family::OpenAi, Family::Google, Family::XAi, Family::Unknown];
        for (family, kind) in
            foreign.into_iter().filter(|family| *family != own).flat_map(|f| kinds.map(|kind| (f, kind)))
        {
            let token =
                key.seal(&Signature::new(family, kind, "FOREIGN"), polyport_protocol::carrier::Placement::Own, 0);
            let history = history_with(&json!({"type": "thinking", "thinking": "thought", "signature": token}));
            let body = translated(ClientProtocol::Messages, &history, provider).to_string();
            assert!(!body.contains("FOREIGN") && !body.contains("pp1."), "{family:?} {kind:?} to {provider}: {body}");
        }
    }
    let native = history_with(&json!({"type": "thinking", "thinking": "thought", "signature": "EqQB"}));
    for provider in [Protocol::Gemini, Protocol::Responses, Protocol::Chat] {
        let body = translated(ClientProtocol::Messages, &native, provider).to_string();
        assert!(!body.contains("EqQB"), "{provider}: {body}");
    }
    // Nor another server of the same protocol.
    let mut other = Target::plain(Protocol::Messages, "model");
    Arc::make_mut(&mut other.capabilities).family = Family::Moonshot;
    let (encoded, _) = translated_for(ClientProtocol::Messages, &native, &other);
    let body = String::from_utf8_lossy(&encoded.body);
    assert!(!body.contains("EqQB"), "{body}");
}

#[test]
fn kb_81_signed_thinking_keeps_every_character() {
    let text = " odd \u{a0} spaces\n\n\tand \"quotes\" \\u00e9 é 🙂 ";
    let history = history_with(&json!({"type": "thinking", "thinking": text, "signature": "EqQB"}));
    let body = translated(ClientProtocol::Messages, &history, Protocol::Messages);
    assert_eq!(body["messages"][1]["content"][0], json!({"type": "thinking", "thinking": text, "signature": "EqQB"}));
}

#[test]
fn kb_82_unsigned_thinking_is_not_sent_to_a_provider_that_signs() {
    let history = history_with(&json!({"type": "thinking", "thinking": "aborted", "signature": ""}));
    let body = translated(ClientProtocol::Messages, &history, Protocol::Messages).to_string();
    assert!(!body.contains("aborted"), "{body}");
}

#[test]
fn kb_83_84_thinking_blocks_start_with_a_signature_member_and_are_thinking() {
    let stream =
        chat(&[delta(&json!({"reasoning_content": "let me think"})), delta(&json!({"content": "so"})), finish("stop")]);
    let bytes = written(ClientProtocol::Messages, Protocol::Chat, &events(Protocol::Chat, &stream));
    let text = String::from_utf8(bytes).expect("UTF-8");
    let start =
        text.lines().find(|line| line.contains("content_block_start") && line.starts_with("data:")).expect("a start");
    assert!(start.contains("\"thinking\"") && start.contains("\"signature\":\"\""), "{start}");
    assert_eq!(seen(ClientProtocol::Messages, Protocol::Chat, &stream).choices[0].order, ["reasoning", "text"]);
}

#[test]
fn kb_85_thinking_is_not_content_for_chat_clients() {
    let mut blocks = thinking_block(0, "deep", "EqQB");
    blocks.extend(block(1, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": "answer"})]));
    let summary = seen(ClientProtocol::Chat, Protocol::Messages, messages(&blocks, "end_turn"));
    assert_eq!((summary.text(), summary.reasoning()), ("answer", "deep"));
}

#[test]
fn kb_86_only_the_encrypted_content_of_the_done_event_counts() {
    let item = |content: &str| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content});
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("early")}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("final")}),
    ];
    let summary = seen(ClientProtocol::Responses, Protocol::Responses, responses(&events, &json!([item("final")])));
    assert_eq!(summary.choices[0].signatures, ["final"]);
}

#[test]
fn kb_87_the_same_reasoning_in_two_fields_counts_once() {
    let stream = chat(&[
        delta(&json!({"reasoning": "a", "reasoning_content": "a"})),
        delta(&json!({"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]})),
        delta(&json!({"content": "c"})),
        finish("stop"),
    ]);
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Chat, &stream).reasoning(), "ab", "{client}");
    }
}

#[test]
fn kb_88_think_tags_are_split_in_streams_and_whole_answers() {
    let profile = polyport_protocol::Profile {
        reasoning_read: polyport_protocol::profile::ReasoningRead::Tags,
        ..polyport_protocol::Profile::default()
    };
    let target = Target { profile: Arc::new(profile), ..Target::plain(Protocol::Chat, "model") };
    let text = "<think>hidden</think>shown";
    for at in 1..text.len() {
        let (left, right) = text.split_at(at);
        let stream = chat(&[delta(&json!({"content": left})), delta(&json!({"content": right})), finish("stop")]);
        let response = collected(&events_of(&target, &[stream.as_bytes()], BodyEnd::Clean)).expect("an answer");
        let summary = Check::new(ClientProtocol::Chat)
            .answer(&encode_response(ClientProtocol::Chat, &context(ClientProtocol::Chat, Protocol::Chat), &response))
            .expect("legal");
        assert_eq!((summary.text(), summary.reasoning()), ("shown", "hidden"), "cut at {at}");
    }
    let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    let response = polyport_protocol::decode_response(&target, Bytes::from(whole.to_string())).expect("an answer");
    let texts: Vec<_> = response.candidates[0].parts.iter().filter_map(|part| part.as_text()).collect();
    assert_eq!(texts, ["shown"]);
}
