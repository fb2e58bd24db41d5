//! Token counts.

use std::sync::Arc;

use polyport_protocol::StreamEncoder;

use super::*;

fn counted(client: ClientProtocol, provider: Protocol, stream: &str) -> polyport_testkit::grammar::Usage {
    seen(client, provider, stream).usage.expect("usage")
}

fn messages_with_usage(start: &Value, delta: &Value) -> String {
    let mut all =
        vec![json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": start}})];
    all.extend(block(0, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": "hi"})]));
    all.push(
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": delta}),
    );
    all.push(json!({"type": "message_stop"}));
    typed(&all)
}

#[test]
fn kb_89_counts_of_the_last_event_replace_those_of_the_first() {
    let stream = messages_with_usage(
        &json!({"input_tokens": 10, "cache_read_input_tokens": 1, "output_tokens": 1}),
        &json!({"input_tokens": 10, "cache_read_input_tokens": 1, "output_tokens": 5}),
    );
    for client in ClientProtocol::ALL {
        let usage = counted(client, Protocol::Messages, &stream);
        assert_eq!((usage.input, usage.cache_read, usage.output), (11, 1, 5), "{client}");
    }
}

#[test]
fn kb_90_missing_or_zero_counts_do_not_erase_known_ones() {
    for last in [json!({"output_tokens": 5}), json!({"input_tokens": 0, "output_tokens": 5})] {
        let stream = messages_with_usage(&json!({"input_tokens": 10, "output_tokens": 1}), &last);
        for client in ClientProtocol::ALL {
            let usage = counted(client, Protocol::Messages, &stream);
            assert_eq!((usage.input, usage.output), (10, 5), "{client}");
        }
    }
}

#[test]
fn kb_91_92_93_input_tokens_stand_at_the_start_and_at_the_end() {
    let streams = [
        (Protocol::Chat, chat(&[delta(&json!({"content": "hi"})), finish("stop"), usage(21, 4)])),
        (Protocol::Gemini, gemini(&[parts(&json!([{"text": "hi"}]), Some("STOP"))])),
        (
            Protocol::Responses,
            responses(
                &[],
                &json!([{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}]}]),
            ),
        ),
    ];
    for (provider, stream) in streams {
        let events = events(provider, &stream);
        let exact = collected(&events).expect("an answer").usage.input_total();
        let bytes = written(ClientProtocol::Messages, provider, &events);
        let find = |kind: &str| -> Value {
            let text = String::from_utf8_lossy(&bytes);
            let line = text.lines().find(|line| line.starts_with("data:") && line.contains(kind)).expect("the event");
            serde_json::from_str(line.trim_start_matches("data:").trim()).expect("JSON")
        };
        let start = find("\"message_start\"")["message"]["usage"]["input_tokens"].as_u64().expect("a count");
        let end = find("\"message_delta\"")["usage"]["input_tokens"].as_u64().expect("a count");
        assert!(start > 0, "{provider}");
        assert_eq!(end, exact, "{provider}");
    }
}

#[test]
fn kb_94_95_cached_tokens_count_once() {
    let mut last = usage(1000, 10);
    last["usage"]["prompt_tokens_details"] = json!({"cached_tokens": 800});
    let stream = chat(&[delta(&json!({"content": "hi"})), finish("stop"), last]);
    for client in ClientProtocol::ALL {
        let usage = counted(client, Protocol::Chat, &stream);
        assert_eq!((usage.input, usage.cache_read), (1000, 800), "{client}");
    }
    let response = answer(Protocol::Chat, &stream);
    let body = encode_response(ClientProtocol::Messages, &context(ClientProtocol::Messages, Protocol::Chat), &response);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["cache_read_input_tokens"]), (&json!(200), &json!(800)));
}

#[test]
fn kb_96_usage_of_an_incomplete_answer_counts() {
    let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "incomplete",
        "output": [], "error": null, "incomplete_details": {"reason": "max_output_tokens"},
        "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13}});
    let mut created = response.clone();
    created["status"] = json!("in_progress");
    let stream = typed(&[
        json!({"type": "response.created", "response": created}),
        json!({"type": "response.incomplete", "response": response}),
    ]);
    for client in ClientProtocol::ALL {
        let usage = counted(client, Protocol::Responses, &stream);
        assert_eq!((usage.input, usage.output), (9, 4), "{client}");
    }
}

#[test]
fn kb_97_a_cut_stream_keeps_the_cache_counts_it_gave() {
    let stream = messages_with_usage(
        &json!({"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}),
        &json!({}),
    );
    let cut = stream.find("event: content_block_stop").expect("stop");
    let events = events(Protocol::Messages, stream.get(..cut).expect("head"));
    let usage = events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(usage),
        _ => None,
    });
    assert_eq!(usage.expect("usage").cache_read, Some(90));
}

#[test]
fn kb_98_usage_after_the_finish_reaches_messages_clients() {
    let stream = chat(&[delta(&json!({"content": "hi"})), finish("stop"), usage(21, 4)]);
    let usage = counted(ClientProtocol::Messages, Protocol::Chat, &stream);
    assert_eq!((usage.input, usage.output), (21, 4));
    let body =
        json!({"model": "alias", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(
        translated(ClientProtocol::Messages, &body, Protocol::Chat)["stream_options"],
        json!({"include_usage": true})
    );
}

#[test]
fn kb_99_empty_choices_crash_nobody() {
    let prelude =
        json!({"choices": [], "id": "", "model": "", "created": 0, "prompt_filter_results": [{"prompt_index": 0}]});
    let stream = chat(&[prelude, delta(&json!({"content": "hi"})), finish("stop"), usage(1, 1)]);
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Chat, &stream).text(), "hi", "{client}");
    }
    let mut quiet = context(ClientProtocol::Chat, Protocol::Chat);
    Arc::make_mut(&mut quiet.request).stream_options.include_usage = false;
    let mut encoder = StreamEncoder::new(ClientProtocol::Chat, quiet);
    let mut out = Vec::new();
    for event in events(Protocol::Chat, &stream) {
        encoder.encode(event, &mut out);
    }
    Check::new(ClientProtocol::Chat).vendor().include_usage(false).stream(&out).expect("no usage chunk unless asked");
}

#[test]
fn kb_100_usage_is_null_until_the_end() {
    let mut cached = delta(&json!({"content": "hi"}));
    cached["usage"] = json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0});
    let stream = chat(&[cached, finish("stop"), usage(7, 2)]);
    let usage = counted(ClientProtocol::Chat, Protocol::Chat, &stream);
    assert_eq!((usage.input, usage.output), (7, 2));
    let bytes = written(ClientProtocol::Chat, Protocol::Chat, &events(Protocol::Chat, &stream));
    let text = String::from_utf8(bytes).expect("UTF-8");
    let chunks: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let (last, before) = chunks.split_last().expect("chunks");
    assert_eq!(last["usage"]["total_tokens"], 9, "{text}");
    assert!(before.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "{text}");
}
