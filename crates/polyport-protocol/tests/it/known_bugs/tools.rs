//! Identity of tool calls.

use super::*;

/// A Chat stream of raw `tool_calls` deltas.
fn tool_stream(deltas: &[Value], reason: &str) -> String {
    let mut chunks: Vec<Value> = deltas.iter().map(|calls| delta(&json!({"tool_calls": calls}))).collect();
    chunks.push(finish(reason));
    chat(&chunks)
}

fn all_clients(stream: &str, expected: &[(&str, Value)]) {
    let expected: Vec<(String, Value)> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Chat, stream);
        assert_eq!(calls(&summary), expected, "{client}");
        let ids: std::collections::HashSet<_> = summary.tool_calls().iter().map(|call| call.id.clone()).collect();
        assert!(client == ClientProtocol::Gemini || ids.len() == expected.len(), "{client}: ids are unique: {ids:?}");
    }
}

#[test]
fn kb_33_the_name_may_come_later_and_the_id_never() {
    for name in [json!(""), Value::Null] {
        let stream = tool_stream(
            &[
                json!([{"index": 0, "type": "function", "function": {"name": name, "arguments": "{\"a\":"}}]),
                json!([{"index": 0, "function": {"name": "f", "arguments": "1}"}}]),
            ],
            "tool_calls",
        );
        all_clients(&stream, &[("f", json!({"a": 1}))]);
    }
}

#[test]
fn kb_34_an_empty_name_is_no_name() {
    let stream = tool_stream(
        &[
            json!([{"index": 0, "id": "c1", "function": {"name": "", "arguments": "{\"a\""}}]),
            json!([{"index": 0, "id": "", "function": {"name": "f", "arguments": ":1}"}}]),
        ],
        "tool_calls",
    );
    all_clients(&stream, &[("f", json!({"a": 1}))]);
}

#[test]
fn kb_36_head_members_come_once() {
    let repeated = |arguments: &str| json!([{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}]);
    let stream = tool_stream(&[repeated("{\"a\":"), repeated("1"), repeated("}")], "tool_calls");
    all_clients(&stream, &[("f", json!({"a": 1}))]);
    let bytes = written(ClientProtocol::Chat, Protocol::Chat, &events(Protocol::Chat, &stream));
    assert_eq!(String::from_utf8_lossy(&bytes).matches("\"name\":\"f\"").count(), 1);
}

#[test]
fn kb_37_a_new_id_at_an_occupied_index_is_a_new_call() {
    let stream = tool_stream(
        &[
            json!([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{\"a\":1}"}}]),
            json!([{"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{\"b\":"}}]),
            json!([{"index": 1, "function": {"arguments": "2}"}}]),
        ],
        "tool_calls",
    );
    all_clients(&stream, &[("f", json!({"a": 1})), ("g", json!({"b": 2}))]);
}

#[test]
fn kb_38_calls_without_index() {
    let (f, g) = (
        json!({"id": "c1", "function": {"name": "f", "arguments": "{\"a\":1}"}}),
        json!({"id": "c2", "function": {"name": "g", "arguments": "{}"}}),
    );
    for deltas in [vec![json!([f, g])], vec![json!([f]), json!([g])]] {
        all_clients(&tool_stream(&deltas, "stop"), &[("f", json!({"a": 1})), ("g", json!({}))]);
    }
}

#[test]
fn kb_39_two_entries_of_one_index_in_one_chunk() {
    let stream = tool_stream(
        &[json!([
            {"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{\"a\":"}},
            {"index": 0, "function": {"arguments": "1}"}},
        ])],
        "tool_calls",
    );
    all_clients(&stream, &[("f", json!({"a": 1}))]);
}

#[test]
fn kb_40_pieces_with_rising_index_and_no_id() {
    let stream = tool_stream(
        &[
            json!([{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ""}}]),
            json!([{"index": 1, "function": {"arguments": "{\"a\":"}}]),
            json!([{"index": 2, "function": {"arguments": "1}"}}]),
        ],
        "tool_calls",
    );
    all_clients(&stream, &[("f", json!({"a": 1}))]);
}

#[test]
fn kb_41_the_last_piece_on_the_finish_chunk() {
    let mut last = finish("tool_calls");
    last["choices"][0]["delta"] = json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"arguments": "1}"}}]});
    let stream = chat(&[
        delta(&json!({"role": "assistant", "content": "I look."})),
        delta(&json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": "{\"a\":"}}]})),
        last,
    ]);
    all_clients(&stream, &[("f", json!({"a": 1}))]);
}

#[test]
fn kb_42_parallel_gemini_calls_of_one_function_have_their_own_ids() {
    for ids in [[None, None, None], [Some("x"), Some("y"), Some("z")]] {
        let calls_of = |id: Option<&str>, number: usize| {
            let mut call = json!({"name": "f", "args": {"n": number}});
            if let Some(id) = id {
                call["id"] = json!(id);
            }
            json!({"functionCall": call})
        };
        let all: Vec<Value> = ids.iter().enumerate().map(|(number, id)| calls_of(*id, number)).collect();
        for client in [ClientProtocol::Chat, ClientProtocol::Responses, ClientProtocol::Messages] {
            let summary = seen(client, Protocol::Gemini, gemini(&[parts(&json!(all), Some("STOP"))]));
            let unique: std::collections::HashSet<_> = summary.tool_calls().iter().map(|call| &call.id).collect();
            assert_eq!(unique.len(), 3, "{client}");
        }
    }
}

#[test]
fn kb_43_each_complete_gemini_call_is_a_call() {
    let call = |n: u32| parts(&json!([{"functionCall": {"name": "f", "args": {"n": n}}}]), None);
    let stream = gemini(&[call(1), call(2), parts(&json!([{"text": ""}]), Some("STOP"))]);
    for client in ClientProtocol::ALL {
        let expected = [("f".to_owned(), json!({"n": 1})), ("f".to_owned(), json!({"n": 2}))];
        assert_eq!(calls(&seen(client, Protocol::Gemini, &stream)), expected, "{client}");
    }
}

/// A history with parallel calls of one function whose results come in another order.
fn swapped_results() -> Value {
    json!({"model": "alias", "max_tokens": 100, "messages": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {"city": "Rome"}},
            {"type": "tool_use", "id": "toolu_3", "name": "get_weather", "input": {"city": "Kyiv"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_3", "content": "three"},
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "one"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": "two"}]}],
        "tools": [{"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]})
}

#[test]
fn kb_44_results_follow_their_calls_not_their_names() {
    let body = translated(ClientProtocol::Messages, &swapped_results(), Protocol::Gemini);
    let results: Vec<&Value> = body["contents"][2]["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .map(|part| &part["functionResponse"]["response"]["output"])
        .collect();
    assert_eq!(results, ["one", "two", "three"]);
}

#[test]
fn kb_45_all_results_of_a_turn_stand_in_one_message() {
    let chat_history = json!({"model": "alias", "messages": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "b", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "c", "content": "3"},
        {"role": "user", "content": "go on"}]});
    let body = translated(ClientProtocol::Chat, &chat_history, Protocol::Messages);
    let turns = body["messages"].as_array().expect("messages");
    assert_eq!(turns.len(), 3, "{body}");
    let kinds: Vec<&str> =
        turns[2]["content"].as_array().expect("blocks").iter().filter_map(|block| block["type"].as_str()).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "tool_result", "text"]);
}
