//! Blocks and their indexes.

use super::*;

/// A piece of a Chat tool call.
fn piece(index: Option<u32>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut call = json!({"function": {"arguments": arguments}});
    if let Some(index) = index {
        call["index"] = json!(index);
    }
    if let Some(id) = id {
        call["id"] = json!(id);
        call["type"] = json!("function");
    }
    if let Some(name) = name {
        call["function"]["name"] = json!(name);
    }
    delta(&json!({"tool_calls": [call]}))
}

#[test]
fn kb_20_interleaved_calls_keep_their_arguments() {
    let stream = chat(&[
        piece(Some(0), Some("a"), Some("f"), ""),
        piece(Some(1), Some("b"), Some("g"), ""),
        piece(Some(0), None, None, "{\"x\":"),
        piece(Some(1), None, None, "{\"y\":"),
        piece(Some(0), None, None, "1}"),
        piece(Some(1), None, None, "2}"),
        finish("tool_calls"),
    ]);
    for client in ClientProtocol::ALL {
        let expected = [("f".to_owned(), json!({"x": 1})), ("g".to_owned(), json!({"y": 2}))];
        assert_eq!(calls(&seen(client, Protocol::Chat, &stream)), expected, "{client}");
    }
}

#[test]
fn kb_21_parallel_calls_of_every_provider_reach_messages_clients() {
    let chat_stream = chat(&[
        piece(Some(0), Some("a"), Some("f"), "{}"),
        piece(Some(1), Some("b"), Some("g"), "{}"),
        finish("tool_calls"),
    ]);
    let mut blocks = block(0, &json!({"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}}), &[]);
    blocks.extend(block(1, &json!({"type": "tool_use", "id": "toolu_b", "name": "g", "input": {}}), &[]));
    let gemini_stream = gemini(&[parts(
        &json!([{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}]),
        Some("STOP"),
    )]);
    let item = |id: &str, name: &str| json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": name, "arguments": "{}", "status": "completed"});
    let output = json!([item("a", "f"), item("b", "g")]);
    let streams = [
        (Protocol::Chat, chat_stream),
        (Protocol::Messages, messages(&blocks, "tool_use")),
        (Protocol::Gemini, gemini_stream),
        (Protocol::Responses, responses(&[], &output)),
    ];
    for (provider, stream) in streams {
        let summary = seen(ClientProtocol::Messages, provider, stream);
        assert_eq!(calls(&summary), [("f".to_owned(), json!({})), ("g".to_owned(), json!({}))], "{provider}");
        assert_eq!(summary.finish(), "tool_use");
    }
}

#[test]
fn kb_22_chat_indexes_count_tools_not_blocks() {
    let mut blocks = block(0, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": "both"})]);
    for (index, name) in [(1, "f"), (2, "g")] {
        let start = json!({"type": "tool_use", "id": format!("toolu_{name}"), "name": name, "input": {}});
        blocks.extend(block(index, &start, &[json!({"type": "input_json_delta", "partial_json": "{\"a\":1}"})]));
    }
    let bytes =
        written(ClientProtocol::Chat, Protocol::Messages, &events(Protocol::Messages, messages(&blocks, "tool_use")));
    let text = String::from_utf8(bytes).expect("UTF-8");
    let heads: Vec<u64> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].as_object().cloned())
        .filter(|call| call.contains_key("id"))
        .filter_map(|call| call["index"].as_u64())
        .collect();
    assert_eq!(heads, [0, 1]);
}

#[test]
fn kb_23_24_28_139_messages_indexes_are_contiguous_and_never_change() {
    // Calls only, no text before them; and a block that does not travel (a foreign item) between two texts.
    let call = gemini(&[parts(&json!([{"functionCall": {"name": "f", "args": {"a": 1}}}]), Some("STOP"))]);
    let summary = seen(ClientProtocol::Messages, Protocol::Gemini, call);
    assert_eq!(summary.choices[0].order, ["tool"]);
    let message = |id: &str, text: &str| {
        json!({"type": "message", "id": id, "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
    };
    let foreign = json!({"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []});
    let stream = responses(&[], &json!([message("msg_1", "a"), foreign, message("msg_2", "b")]));
    assert_eq!(seen(ClientProtocol::Messages, Protocol::Responses, stream).text(), "ab");
}

#[test]
fn kb_25_items_that_overlap_keep_their_own_deltas() {
    let call = |id: &str, name: &str, arguments: &str| {
        json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id,
        "name": name, "arguments": arguments, "status": "completed"})
    };
    let added =
        |index: u32, item: Value| json!({"type": "response.output_item.added", "output_index": index, "item": item});
    let arguments = |index: u32, text: &str| json!({"type": "response.function_call_arguments.delta", "output_index": index, "delta": text});
    let done =
        |index: u32, item: Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let (f, g) = (call("a", "f", "{\"x\":1}"), call("b", "g", "{\"y\":2}"));
    let events = [
        added(0, call("a", "f", "")),
        added(1, call("b", "g", "")),
        arguments(1, "{\"y\":"),
        arguments(0, "{\"x\":1"),
        arguments(1, "2}"),
        arguments(0, "}"),
        done(1, g.clone()),
        done(0, f.clone()),
    ];
    let stream = responses(&events, &json!([f, g]));
    for client in ClientProtocol::ALL {
        let mut calls = calls(&seen(client, Protocol::Responses, &stream));
        calls.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(calls, [("f".to_owned(), json!({"x": 1})), ("g".to_owned(), json!({"y": 2}))], "{client}");
    }
}

#[test]
fn kb_26_late_reasoning_between_text_and_tool() {
    let stream = chat(&[
        delta(&json!({"role": "assistant", "content": "text"})),
        delta(&json!({"reasoning_content": "late thought"})),
        piece(Some(0), Some("a"), Some("f"), "{\"x\":1}"),
        finish("tool_calls"),
    ]);
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Chat, &stream);
        assert_eq!(summary.text(), "text", "{client}");
        assert_eq!(summary.reasoning(), "late thought", "{client}");
        assert_eq!(calls(&summary), [("f".to_owned(), json!({"x": 1}))], "{client}");
    }
}

#[test]
fn kb_27_every_change_of_kind_opens_a_new_part() {
    let stream = chat(&[
        delta(&json!({"reasoning_content": "one"})),
        piece(Some(0), Some("a"), Some("f"), "{}"),
        delta(&json!({"reasoning_content": "two"})),
        delta(&json!({"content": "text"})),
        finish("tool_calls"),
    ]);
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Chat, &stream);
        assert_eq!(summary.reasoning().replace(['\n', ' '], ""), "onetwo", "{client}");
        assert_eq!(summary.text(), "text", "{client}");
        assert_eq!(calls(&summary), [("f".to_owned(), json!({}))], "{client}");
    }
}

#[test]
fn kb_30_a_repeated_start_is_not_repeated_to_the_client() {
    let text = block(0, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": "hi"})]);
    let single = messages(&text, "end_turn");
    let start = single.split_once("event: content_block_start").expect("start").0.to_owned();
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Messages, format!("{start}{single}")).text(), "hi", "{client}");
    }
}

#[test]
fn kb_32_pieces_without_id_belong_to_the_call_at_hand() {
    let mut chunks = vec![piece(Some(0), Some("a"), Some("f"), "")];
    chunks.extend(["{", "\"x\"", ":", "1", "}"].map(|text| piece(None, None, None, text)));
    chunks.push(finish("tool_calls"));
    for client in ClientProtocol::ALL {
        assert_eq!(
            calls(&seen(client, Protocol::Chat, chat(&chunks))),
            [("f".to_owned(), json!({"x": 1}))],
            "{client}"
        );
    }
}
