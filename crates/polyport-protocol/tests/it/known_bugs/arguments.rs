//! Arguments of tool calls.

use super::*;

fn head_with_arguments(arguments: &Value) -> String {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]});
    chat(&[delta(&call), finish("tool_calls")])
}

fn no_argument_streams() -> Vec<(Protocol, String)> {
    let block_events = block(
        0,
        &json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        &[json!({"type": "input_json_delta", "partial_json": ""})],
    );
    let item = json!({"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "", "status": "completed"});
    vec![
        (Protocol::Chat, head_with_arguments(&json!(""))),
        (Protocol::Chat, head_with_arguments(&Value::Null)),
        (Protocol::Messages, messages(&block_events, "tool_use")),
        (Protocol::Gemini, gemini(&[parts(&json!([{"functionCall": {"name": "f"}}]), Some("STOP"))])),
        (Protocol::Responses, responses(&[], &json!([item]))),
    ]
}

#[test]
fn kb_46_arguments_in_the_head_are_not_lost() {
    for arguments in [json!("{\"city\":\"Oslo\"}"), json!({"city": "Oslo"})] {
        for client in ClientProtocol::ALL {
            let summary = seen(client, Protocol::Chat, head_with_arguments(&arguments));
            assert_eq!(calls(&summary), [("f".to_owned(), json!({"city": "Oslo"}))], "{client}");
        }
    }
    let started = block(0, &json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Oslo"}}), &[]);
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Messages, messages(&started, "tool_use"));
        assert_eq!(calls(&summary), [("f".to_owned(), json!({"city": "Oslo"}))], "{client}");
    }
}

#[test]
fn kb_47_stream_and_whole_answer_hold_the_same_calls() {
    // `seen` compares both forms.
    for client in ClientProtocol::ALL {
        assert_eq!(
            calls(&seen(client, Protocol::Chat, head_with_arguments(&json!("{\"a\":[1,2]}")))).len(),
            1,
            "{client}"
        );
    }
}

#[test]
fn kb_48_arguments_only_in_the_done_events() {
    let item = |arguments: &str| json!({"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": arguments, "status": "completed"});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item("")});
    let arguments_done = json!({"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "fc_1", "arguments": "{\"a\":1}"});
    let item_done = json!({"type": "response.output_item.done", "output_index": 0, "item": item("{\"a\":1}")});
    for events in
        [vec![added.clone(), arguments_done, item_done.clone()], vec![added, item_done.clone()], vec![item_done]]
    {
        let stream = responses(&events, &json!([item("{\"a\":1}")]));
        for client in ClientProtocol::ALL {
            assert_eq!(
                calls(&seen(client, Protocol::Responses, &stream)),
                [("f".to_owned(), json!({"a": 1}))],
                "{client}"
            );
        }
    }
}

#[test]
fn kb_49_50_51_no_arguments_are_an_empty_object_everywhere() {
    for (provider, stream) in no_argument_streams() {
        for client in ClientProtocol::ALL {
            let summary = seen(client, provider, &stream);
            assert_eq!(calls(&summary), [("f".to_owned(), json!({}))], "{provider} to {client}");
            let arguments = &summary.tool_calls()[0].arguments;
            assert!(
                serde_json::from_str::<Value>(arguments).is_ok(),
                "{client}: pieces of arguments must parse: {arguments:?}"
            );
        }
    }
    // And on the way back in the history.
    let history = json!({"model": "alias", "messages": [{"role": "user", "content": "x"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"}]});
    assert_eq!(
        translated(ClientProtocol::Chat, &history, Protocol::Messages)["messages"][1]["content"][0]["input"],
        json!({})
    );
    assert_eq!(
        translated(ClientProtocol::Chat, &history, Protocol::Gemini)["contents"][1]["parts"][0]["functionCall"]["args"],
        json!({})
    );
    assert_eq!(translated(ClientProtocol::Chat, &history, Protocol::Responses)["input"][1]["arguments"], "{}");
}

#[test]
fn kb_52_an_empty_arguments_delta_is_nothing() {
    let item = json!({"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{\"a\":1}", "status": "completed"});
    let piece = |text: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc_1", "delta": text});
    let mut head = item.clone();
    head["arguments"] = json!("");
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": head}),
        piece(""),
        piece("{\"a\":1}"),
        piece(""),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
    ];
    let stream = responses(&events, &json!([item]));
    for client in ClientProtocol::ALL {
        assert_eq!(calls(&seen(client, Protocol::Responses, &stream)), [("f".to_owned(), json!({"a": 1}))], "{client}");
    }
}

#[test]
fn kb_53_tool_use_always_starts_with_an_input() {
    for (provider, stream) in no_argument_streams() {
        let bytes = written(ClientProtocol::Messages, provider, &events(provider, stream));
        let starts = String::from_utf8_lossy(&bytes).matches("\"type\":\"tool_use\"").count();
        let inputs = String::from_utf8_lossy(&bytes).matches("\"input\":{}").count();
        assert_eq!((starts, inputs), (1, 1), "{provider}");
    }
}

#[test]
fn kb_54_two_finish_chunks_do_not_repeat_the_arguments() {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"a\":1}"}}]});
    let mut second = finish("stop");
    second["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
    let stream = chat(&[delta(&call), finish("tool_calls"), second]);
    for client in ClientProtocol::ALL {
        assert_eq!(calls(&seen(client, Protocol::Chat, &stream)), [("f".to_owned(), json!({"a": 1}))], "{client}");
    }
}

#[test]
fn kb_55_cut_arguments_are_marked_not_replaced() {
    let call =
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"text\":\"begi"}}]});
    let stream = chat(&[delta(&call), finish("length")]);
    let response = answer(Protocol::Chat, &stream);
    assert_eq!(reason(&response), FinishReason::MaxTokens);
    let polyport_types::PartKind::ToolCall(call) = &response.candidates[0].parts[0].kind else { panic!("no call") };
    assert_ne!(call.status, polyport_types::PartStatus::Complete);
    assert_eq!(call.arguments, "{\"text\":\"begi");
}

#[test]
fn kb_56_calls_after_text_and_calls_alone() {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]});
    for (stream, text) in [
        (chat(&[delta(&json!({"content": "I call."})), delta(&call), finish("tool_calls")]), "I call."),
        (chat(&[delta(&call), finish("tool_calls")]), ""),
    ] {
        for client in ClientProtocol::ALL {
            let summary = seen(client, Protocol::Chat, &stream);
            assert_eq!(summary.text(), text, "{client}");
            assert_eq!(calls(&summary).len(), 1, "{client}");
        }
    }
}
