//! Events for Responses clients.

use super::*;

fn call_stream() -> String {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}}]});
    chat(&[delta(&json!({"content": "I call."})), delta(&call), finish("tool_calls"), usage(3, 4)])
}

/// The events a Responses client gets.
fn client_events(provider: Protocol, events: &[Event]) -> Vec<Value> {
    let bytes = written(ClientProtocol::Responses, provider, events);
    let text = String::from_utf8(bytes).expect("UTF-8");
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[test]
fn kb_102_103_a_generated_stream_is_complete() {
    let all = client_events(Protocol::Chat, &events(Protocol::Chat, call_stream()));
    let count = |kind: &str| all.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(count("response.created"), 1);
    assert_eq!(count("response.output_item.added"), 2);
    assert_eq!(count("response.output_item.done"), 2);
    let last = all.last().expect("an event");
    assert_eq!(last["type"], "response.completed");
    assert!(last["response"]["id"].as_str().is_some_and(|id| id.starts_with("resp_")));
    assert_eq!(last["response"]["model"], "alias");
    let done: Vec<&Value> =
        all.iter().filter(|event| event["type"] == "response.output_item.done").map(|event| &event["item"]).collect();
    assert_eq!(done, last["response"]["output"].as_array().expect("output").iter().collect::<Vec<_>>());
}

#[test]
fn kb_104_an_empty_final_output_is_rebuilt_from_the_items() {
    let item = json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "hi", "annotations": []}]});
    let stream =
        responses(&[json!({"type": "response.output_item.done", "output_index": 0, "item": item})], &json!([]));
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Responses, &stream).text(), "hi", "{client}");
    }
}

#[test]
fn kb_105_open_parts_are_closed_when_the_answer_is_cut_by_length() {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}}]});
    let stream = chat(&[delta(&json!({"content": "text"})), delta(&call), finish("length")]);
    let all = client_events(Protocol::Chat, &events(Protocol::Chat, stream));
    let count = |kind: &str| all.iter().filter(|event| event["type"] == kind).count();
    assert_eq!(count("response.output_item.added"), count("response.output_item.done"));
    assert_eq!(all.last().expect("an event")["type"], "response.incomplete");
}

#[test]
fn kb_106_a_custom_tool_comes_back_as_a_custom_call() {
    let body = json!({"model": "alias", "input": "patch it", "tools": [{"type": "custom", "name": "apply_patch",
        "description": "Edit files", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}}]});
    let (encoded, restore) =
        translated_for(ClientProtocol::Responses, &body, &Target::plain(Protocol::Messages, "model"));
    let sent: Value = serde_json::from_slice(&encoded.body).expect("JSON");
    assert_eq!(sent["tools"][0]["input_schema"]["required"], json!(["input"]), "{sent}");
    let patch = "*** Begin Patch\n*** Add File: a\n+\"x\"\n*** End Patch";
    let pieces = json!({"input": patch}).to_string();
    let (left, right) = pieces.split_at(17);
    let call = block(
        0,
        &json!({"type": "tool_use", "id": "toolu_1", "name": sent["tools"][0]["name"], "input": {}}),
        &[
            json!({"type": "input_json_delta", "partial_json": left}),
            json!({"type": "input_json_delta", "partial_json": right}),
        ],
    );
    let events = restored(restore, events(Protocol::Messages, messages(&call, "tool_use")));
    let bytes = written(ClientProtocol::Responses, Protocol::Messages, &events);
    let summary = Check::new(ClientProtocol::Responses).stream(&bytes).expect("legal");
    let call = &summary.tool_calls()[0];
    assert!(call.custom);
    assert_eq!((call.name.as_str(), call.arguments.as_str()), ("apply_patch", patch));
}

#[test]
fn kb_107_frames_are_separated_by_blank_lines() {
    for client in ClientProtocol::ALL {
        let bytes = written(client, Protocol::Chat, &events(Protocol::Chat, call_stream()));
        let end = if client == ClientProtocol::Gemini { "\r\n\r\n" } else { "\n\n" };
        assert!(String::from_utf8_lossy(&bytes).ends_with(end), "{client}");
    }
}

#[test]
fn kb_109_119_a_blocked_prompt_is_a_filter_not_an_empty_success() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 12, "totalTokenCount": 12}});
    let stream = gemini(&[blocked]);
    assert_eq!(seen(ClientProtocol::Chat, Protocol::Gemini, &stream).finish(), "content_filter");
    assert_eq!(seen(ClientProtocol::Messages, Protocol::Gemini, &stream).finish(), "refusal");
    assert_eq!(seen(ClientProtocol::Responses, Protocol::Gemini, &stream).finish(), "incomplete:content_filter");
    assert!(seen(ClientProtocol::Gemini, Protocol::Gemini, &stream).blocked.is_some());
}

#[test]
fn kb_110_an_item_known_only_from_its_done_event_counts() {
    let item = json!({"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}", "status": "completed"});
    let stream =
        responses(&[json!({"type": "response.output_item.done", "output_index": 0, "item": item})], &json!([item]));
    for client in ClientProtocol::ALL {
        assert_eq!(calls(&seen(client, Protocol::Responses, &stream)), [("f".to_owned(), json!({}))], "{client}");
    }
}

#[test]
fn kb_112_numeric_error_codes_are_read() {
    let stream = "data: {\"error\":{\"message\":\"bad\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}\n\n";
    let fault = fault(Protocol::Chat, stream);
    assert_eq!(fault.class, polyport_types::FaultClass::BadRequest);
    assert_eq!(fault.message, "bad");
}

#[test]
fn kb_115_gemini_status_words_become_the_clients_types() {
    let stream = "data: {\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\"}}\r\n\r\n";
    let fault = fault(Protocol::Gemini, stream);
    assert_eq!(fault.class, polyport_types::FaultClass::RateLimited);
    let body = polyport_protocol::encode_fault(ClientProtocol::Messages, &fault, "req_1");
    assert_eq!(body.status, 429);
    assert!(String::from_utf8_lossy(&body.body).contains("rate_limit_error"));
}

#[test]
fn kb_120_a_safety_stop_without_content_is_read() {
    let stream = gemini(&[
        json!({"candidates": [{"finishReason": "SAFETY", "index": 0}], "modelVersion": "m", "responseId": "r"}),
    ]);
    for client in ClientProtocol::ALL {
        seen(client, Protocol::Gemini, &stream);
    }
    assert_eq!(reason(&answer(Protocol::Gemini, &stream)), FinishReason::ContentFilter);
}

#[test]
fn kb_128_no_parallel_calls_is_carried() {
    let body = json!({"model": "alias", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}});
    for provider in [Protocol::Chat, Protocol::Responses] {
        assert_eq!(
            translated(ClientProtocol::Messages, &body, provider)["parallel_tool_calls"],
            json!(false),
            "{provider}"
        );
    }
    assert_eq!(
        translated(ClientProtocol::Messages, &body, Protocol::Messages)["tool_choice"]["disable_parallel_tool_use"],
        json!(true)
    );
}

#[test]
fn kb_137_foreign_events_never_reach_a_responses_client() {
    let mut blocks = block(0, &json!({"type": "brand_new_block", "x": 1}), &[]);
    blocks.push(json!({"type": "ping"}));
    blocks.push(json!({"type": "brand_new_event"}));
    blocks.extend(block(1, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": "hi"})]));
    assert_eq!(seen(ClientProtocol::Responses, Protocol::Messages, messages(&blocks, "end_turn")).text(), "hi");
}
