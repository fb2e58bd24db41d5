//! Each deviation that makes an official client throw, or lose something, is refused by the reader of that protocol.

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, stream_of};
use polyport_types::Protocol;
use serde_json::{Value, json};

/// A deviation: its name, what it does to the events of a good stream, and a word of the verdict.
type Deviation = (&'static str, fn(&mut Vec<String>), &'static str);

/// A good stream with reasoning, text and two calls.
fn good(protocol: Protocol) -> Vec<String> {
    let answer = Answer::default().reasoning("I think.").text("Two words").tool("f", r#"{"a":1}"#).tool("g", "{}");
    let request = match protocol {
        Protocol::Chat => json!({ "stream_options": { "include_usage": true } }),
        Protocol::Responses => json!({ "reasoning": { "summary": "auto" } }),
        Protocol::Messages => json!({ "thinking": { "type": "enabled" } }),
        Protocol::Gemini => json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true } } }),
    };
    stream_of(protocol, &request, &answer)
}

fn check(protocol: Protocol, events: &[String]) -> Result<(), String> {
    let check = Check::new(protocol).include_usage(protocol == Protocol::Chat);
    check.stream(events.concat().as_bytes()).map(|_| ())
}

fn refused(protocol: Protocol, deviations: &[Deviation]) {
    assert_eq!(check(protocol, &good(protocol)), Ok(()));
    for (name, deviate, word) in deviations {
        let mut events = good(protocol);
        deviate(&mut events);
        assert_ne!(events, good(protocol), "{protocol}: `{name}` changes nothing");
        let verdict = check(protocol, &events).expect_err(name);
        assert!(verdict.contains(word), "{protocol}, {name}: expected `{word}`, got `{verdict}`");
    }
}

/// Position of the nth event that contains `text`.
fn at(events: &[String], text: &str, nth: usize) -> usize {
    let mut found = events.iter().enumerate().filter(|(_, event)| event.contains(text)).map(|(at, _)| at);
    found.nth(nth).unwrap_or_else(|| panic!("no event {nth} with {text}"))
}

fn remove(events: &mut Vec<String>, text: &str) {
    let position = at(events, text, 0);
    events.remove(position);
    renumber(events);
}

fn replace(events: &mut [String], text: &str, from: &str, to: &str) {
    let event = &mut events[at(events, text, 0)];
    assert!(event.contains(from), "{event} has no {from}");
    *event = event.replacen(from, to, 1);
}

fn repeat(events: &mut Vec<String>, text: &str) {
    let position = at(events, text, 0);
    events.insert(position, events[position].clone());
    renumber(events);
}

fn insert_before(events: &mut Vec<String>, text: &str, event: &str) {
    let position = at(events, text, 0);
    events.insert(position, event.to_owned());
    renumber(events);
}

/// Edits the JSON of the first event with `text`.
fn edit(events: &mut [String], text: &str, edit: impl Fn(&mut Value)) {
    let event = &mut events[at(events, text, 0)];
    let (before, data) = event.split_once("data: ").expect("an event");
    let mut value = serde_json::from_str(data.trim_end()).expect("JSON");
    edit(&mut value);
    let blank = if data.ends_with("\r\n") { "\r\n\r\n" } else { "\n\n" };
    *event = format!("{before}data: {value}{blank}");
}

fn unset(value: &mut Value, name: &str) {
    value.as_object_mut().expect("an object").remove(name).expect(name);
}

/// Gives the events of a Responses stream their numbers again, so that only the deviation itself is judged.
fn renumber(events: &mut [String]) {
    for (number, event) in events.iter_mut().filter(|event| event.contains("\"sequence_number\":")).enumerate() {
        let (before, after) = event.rsplit_once("\"sequence_number\":").expect("a number");
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        *event = format!("{before}\"sequence_number\":{number}{rest}");
    }
}

#[test]
fn framing_that_breaks_a_client() {
    for protocol in Protocol::ALL {
        let mut deviations: Vec<Deviation> = vec![
            ("byte order mark", |e| e[0].insert(0, '\u{feff}'), "byte order mark"),
            (
                "no blank line at the end",
                |e| {
                    let last = e.last_mut().expect("an event");
                    *last = last.trim_end().to_owned() + "\n";
                },
                "blank line",
            ),
            (
                "data over two lines",
                |e| {
                    let end = if e[0].contains('\r') { "\r\n" } else { "\n" };
                    e[0] = e[0].replacen("data: {", &format!("data: {{{end}data: "), 1);
                },
                "more than one `data:` line",
            ),
            (
                "empty data",
                |e| {
                    let end = if e[0].contains('\r') { "\r\n" } else { "\n" };
                    e.insert(1, format!("data: {end}{end}"));
                },
                "empty `data:`",
            ),
            (
                "id line",
                |e| {
                    let end = if e[0].contains('\r') { "\r\n" } else { "\n" };
                    e[0] = format!("id: 1{end}{}", e[0]);
                },
                "field other than",
            ),
            ("no space", |e| e[0] = e[0].replacen("data: ", "data:", 1), "space"),
        ];
        if protocol != Protocol::Gemini {
            deviations.push(("event without data", |e| e.insert(1, "event: keepalive\n\n".to_owned()), ""));
            deviations.push(("carriage returns", |e| e[0] = e[0].replace('\n', "\r\n"), "carriage return"));
        }
        refused(protocol, &deviations);
    }
}

#[test]
fn chat() {
    refused(
        Protocol::Chat,
        &[
            ("no [DONE]", |e| remove(e, "[DONE]"), "without [DONE]"),
            ("no finish_reason", |e| remove(e, "\"finish_reason\":\"tool_calls\""), "before every choice"),
            ("event line", |e| e[0] = format!("event: message\n{}", e[0]), "`event:` line"),
            ("ping event", |e| e.insert(1, "event: ping\ndata: {}\n\n".to_owned()), "`event:` line"),
            (
                "tool call without index",
                |e| edit(e, "\"name\":\"f\"", |v| unset(&mut v["choices"][0]["delta"]["tool_calls"][0], "index")),
                "index",
            ),
            (
                "index starts at 1",
                |e| {
                    for event in e.iter_mut() {
                        *event =
                            event.replace("\"index\":1}", "\"index\":2}").replace("\"index\":0}]}", "\"index\":1}]}");
                    }
                    edit(e, "\"name\":\"f\"", |v| v["choices"][0]["delta"]["tool_calls"][0]["index"] = json!(1));
                },
                "gap",
            ),
            (
                "id repeated",
                |e| {
                    edit(e, "\"arguments\":\"{\\\"a", |v| {
                        v["choices"][0]["delta"]["tool_calls"][0]["id"] = json!("call_fake1x2")
                    })
                },
                "repeated",
            ),
            (
                "name repeated",
                |e| {
                    edit(e, "\"arguments\":\"{\\\"a", |v| {
                        v["choices"][0]["delta"]["tool_calls"][0]["function"]["name"] = json!("f")
                    })
                },
                "repeated",
            ),
            ("delta missing", |e| edit(e, "Two", |v| unset(&mut v["choices"][0], "delta")), "delta"),
            ("delta null", |e| edit(e, "Two", |v| v["choices"][0]["delta"] = Value::Null), "delta"),
            ("no role", |e| edit(e, "\"role\"", |v| unset(&mut v["choices"][0]["delta"], "role")), "role"),
            ("role twice", |e| edit(e, "Two", |v| v["choices"][0]["delta"]["role"] = json!("assistant")), "twice"),
            ("id changes", |e| edit(e, "Two", |v| v["id"] = json!("other")), "changes"),
            ("created changes", |e| edit(e, "Two", |v| v["created"] = json!(1)), "changes"),
            (
                "usage after [DONE]",
                |e| {
                    let usage = e.remove(at(e, "\"total_tokens\"", 0));
                    e.push(usage);
                },
                "follows the end",
            ),
            ("no usage chunk", |e| remove(e, "\"total_tokens\""), "usage chunk is missing"),
            (
                "usage in the finish chunk",
                |e| {
                    edit(e, "\"finish_reason\":\"tool_calls\"", |v| {
                        v["usage"] = json!({ "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 })
                    })
                },
                "usage in a chunk",
            ),
            (
                "usage does not add up",
                |e| edit(e, "\"total_tokens\"", |v| v["usage"]["total_tokens"] = json!(1)),
                "add up",
            ),
            (
                "text after the finish",
                |e| {
                    let text = e.remove(at(e, "Two", 0));
                    insert_before(e, "\"total_tokens\"", &text);
                },
                "after its finish",
            ),
            (
                "stop with tool calls",
                |e| edit(e, "\"finish_reason\":\"tool_calls\"", |v| v["choices"][0]["finish_reason"] = json!("stop")),
                "stop with tool calls",
            ),
            (
                "no arguments",
                |e| {
                    edit(e, "\"arguments\":\"{}\"", |v| {
                        v["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"] = json!("")
                    })
                },
                "no arguments",
            ),
            ("unknown member", |e| edit(e, "Two", |v| v["nonsense"] = json!(1)), "nonsense"),
            (
                "unknown finish_reason",
                |e| {
                    edit(e, "\"finish_reason\":\"tool_calls\"", |v| {
                        v["choices"][0]["finish_reason"] = json!("end_turn")
                    })
                },
                "",
            ),
            (
                "[DONE] after an error",
                |e| {
                    insert_before(
                        e,
                        "\"finish_reason\":\"tool_calls\"",
                        "data: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":null,\"param\":null}}\n\n",
                    )
                },
                "follows the end",
            ),
        ],
    );
    let quiet = stream_of(Protocol::Chat, &json!({}), &Answer::default().text("x"));
    let unasked = Check::new(Protocol::Chat).include_usage(false);
    unasked.stream(quiet.concat().as_bytes()).expect("no usage asked, none sent");
    unasked.stream(good(Protocol::Chat).concat().as_bytes()).expect_err("usage nobody asked for");
}

#[test]
fn responses() {
    refused(
        Protocol::Responses,
        &[
            ("no created", |e| remove(e, "response.created"), "before response.created"),
            ("created twice", |e| repeat(e, "response.created"), "second time"),
            ("no output_item.added", |e| remove(e, "output_item.added"), "not added"),
            ("no content_part.added", |e| remove(e, "content_part.added"), "not added"),
            ("no output_item.done", |e| remove(e, "output_item.done"), "not done"),
            ("no content_part.done", |e| remove(e, "content_part.done"), "open part"),
            ("no output_text.done", |e| remove(e, "output_text.done"), "before the done event"),
            ("no arguments.done", |e| remove(e, "arguments.done"), "before the done event"),
            ("no summary part", |e| remove(e, "reasoning_summary_part.added"), "not added"),
            ("no completed", |e| remove(e, "response.completed"), "without response.completed"),
            ("completed without id", |e| edit(e, "response.completed", |v| unset(&mut v["response"], "id")), "id"),
            (
                "completed with empty output",
                |e| edit(e, "response.completed", |v| v["response"]["output"] = json!([])),
                "0 items",
            ),
            (
                "completed with other output",
                |e| edit(e, "response.completed", |v| v["response"]["output"][1]["content"][0]["text"] = json!("x")),
                "differs",
            ),
            (
                "output null at the start",
                |e| edit(e, "response.created", |v| v["response"]["output"] = Value::Null),
                "output",
            ),
            ("no event line", |e| e[3] = e[3].split_once('\n').expect("two lines").1.to_owned(), "no `event:`"),
            (
                "other event line",
                |e| replace(e, "output_text.delta", "event: response.output_text.delta", "event: message"),
                "with type",
            ),
            (
                "no sequence_number",
                |e| edit(e, "output_text.delta", |v| unset(v, "sequence_number")),
                "sequence_number",
            ),
            (
                "sequence_number jumps",
                |e| edit(e, "output_text.delta", |v| v["sequence_number"] = json!(99)),
                "sequence_number",
            ),
            (
                "output_index gap",
                |e| e.iter_mut().for_each(|event| *event = event.replace("\"output_index\":3", "\"output_index\":4")),
                "output_index",
            ),
            ("other item_id", |e| edit(e, "output_text.delta", |v| v["item_id"] = json!("msg_other")), "item_id"),
            ("delta lost", |e| remove(e, "output_text.delta"), "differs"),
            ("argument delta lost", |e| remove(e, "arguments.delta"), "differs"),
            (
                "error nested",
                |e| {
                    let last = e.len() - 1;
                    e[last] = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"m\",\"code\":null,\"param\":null},\"sequence_number\":0}\n\n".to_owned();
                    renumber(e);
                },
                "",
            ),
            (
                "error without failed",
                |e| {
                    let last = e.len() - 1;
                    e[last] = "event: error\ndata: {\"type\":\"error\",\"message\":\"m\",\"code\":null,\"param\":null,\"sequence_number\":0}\n\n".to_owned();
                    renumber(e);
                },
                "without response.completed",
            ),
            (
                "unknown event",
                |e| {
                    insert_before(
                        e,
                        "output_item.added",
                        "event: nonsense\ndata: {\"type\":\"nonsense\",\"sequence_number\":0}\n\n",
                    )
                },
                "nonsense",
            ),
            ("[DONE]", |e| e.push("data: [DONE]\n\n".to_owned()), "JSON"),
            (
                "something after completed",
                |e| {
                    let event = e[3].clone();
                    e.push(event);
                    renumber(e);
                },
                "after the end",
            ),
            (
                "usage does not add up",
                |e| edit(e, "response.completed", |v| v["response"]["usage"]["total_tokens"] = json!(1)),
                "add up",
            ),
            (
                "no usage details",
                |e| edit(e, "response.completed", |v| unset(&mut v["response"]["usage"], "input_tokens_details")),
                "input_tokens_details",
            ),
            (
                "call_id changes",
                |e| edit(e, "output_item.done\",\"output_index\":2", |v| v["item"]["call_id"] = json!("x")),
                "call_id",
            ),
        ],
    );
}

#[test]
fn messages() {
    refused(
        Protocol::Messages,
        &[
            ("no event lines", |e| e[2] = e[2].split_once('\n').expect("two lines").1.to_owned(), "no `event:`"),
            (
                "other event line",
                |e| replace(e, "text_delta", "event: content_block_delta", "event: message"),
                "with type",
            ),
            ("no message_start", |e| remove(e, "message_start"), ""),
            ("second message_start", |e| repeat(e, "message_start"), "second message_start"),
            ("no message_stop", |e| remove(e, "message_stop"), "without message_stop"),
            ("no message_delta", |e| remove(e, "\"message_delta\""), "without message_delta"),
            ("truncated in a block", |e| e.truncate(5), "without message_stop"),
            ("no usage at the start", |e| edit(e, "message_start", |v| unset(&mut v["message"], "usage")), "usage"),
            ("no usage in message_delta", |e| edit(e, "\"message_delta\"", |v| unset(v, "usage")), "usage"),
            (
                "no content at the start",
                |e| edit(e, "message_start", |v| unset(&mut v["message"], "content")),
                "content",
            ),
            (
                "index gap",
                |e| e.iter_mut().for_each(|event| *event = event.replace("\"index\":1", "\"index\":5")),
                "where 1 is next",
            ),
            ("no block stop", |e| remove(e, "content_block_stop"), "inside a block"),
            ("delta of a block never started", |e| edit(e, "text_delta", |v| v["index"] = json!(9)), "inside block"),
            (
                "interleaved blocks",
                |e| {
                    let start = e.remove(at(e, "\"name\":\"f\"", 0));
                    insert_before(e, "text_delta", &start);
                },
                "inside a block",
            ),
            (
                "ping before message_start",
                |e| insert_before(e, "message_start", "event: ping\ndata: {\"type\":\"ping\"}\n\n"),
                "ping before",
            ),
            ("comment", |e| e.insert(1, ": ping\n\n".to_owned()), "comment"),
            (
                "tool start without input",
                |e| edit(e, "\"name\":\"f\"", |v| unset(&mut v["content_block"], "input")),
                "input",
            ),
            (
                "thinking start without signature",
                |e| edit(e, "\"type\":\"thinking\"", |v| unset(&mut v["content_block"], "signature")),
                "signature",
            ),
            ("no signature_delta", |e| remove(e, "signature_delta"), "without signature_delta"),
            ("two signature_delta", |e| repeat(e, "signature_delta"), "second signature_delta"),
            ("invalid arguments", |e| replace(e, "{\\\"a", "1}", "1"), "no JSON object"),
            (
                "end_turn with a tool_use",
                |e| edit(e, "\"message_delta\"", |v| v["delta"]["stop_reason"] = json!("end_turn")),
                "end_turn with",
            ),
            (
                "no stop_reason",
                |e| edit(e, "\"message_delta\"", |v| v["delta"]["stop_reason"] = Value::Null),
                "stop_reason",
            ),
            (
                "unknown event",
                |e| insert_before(e, "\"message_delta\"", "event: nonsense\ndata: {\"type\":\"nonsense\"}\n\n"),
                "unknown event",
            ),
            (
                "unknown block",
                |e| edit(e, "\"type\":\"text\"", |v| v["content_block"]["type"] = json!("nonsense")),
                "unknown block",
            ),
            (
                "text delta in a thinking block",
                |e| edit(e, "thinking_delta", |v| v["delta"] = json!({ "type": "text_delta", "text": "x" })),
                "text_delta in a thinking",
            ),
            ("[DONE]", |e| e.push("data: [DONE]\n\n".to_owned()), "JSON"),
            (
                "something after message_stop",
                |e| e.push("event: ping\ndata: {\"type\":\"ping\"}\n\n".to_owned()),
                "after the end",
            ),
            (
                "message_stop after an error",
                |e| {
                    insert_before(
                        e,
                        "message_stop",
                        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}\n\n",
                    )
                },
                "after the end",
            ),
            (
                "bad tool id",
                |e| edit(e, "\"name\":\"f\"", |v| v["content_block"]["id"] = json!("a.b")),
                "bad tool_use id",
            ),
        ],
    );
}

#[test]
fn gemini() {
    refused(
        Protocol::Gemini,
        &[
            ("comment", |e| e.insert(1, ": ping\r\n\r\n".to_owned()), "comment"),
            ("event line", |e| e[0] = format!("event: message\r\n{}", e[0]), "`event:` line"),
            ("[DONE]", |e| e.push("data: [DONE]\r\n\r\n".to_owned()), "JSON"),
            ("no finishReason", |e| remove(e, "finishReason"), "without finishReason"),
            ("two finishReasons", |e| repeat(e, "finishReason"), ""),
            (
                "bare error",
                |e| e.push("{\"error\":{\"code\":500,\"message\":\"m\",\"status\":\"INTERNAL\"}}\r\n\r\n".to_owned()),
                "line",
            ),
            (
                "parts after the finish",
                |e| {
                    let text = e.remove(at(e, "Two", 0));
                    e.push(text);
                },
                "after finishReason",
            ),
            (
                "arguments as text",
                |e| {
                    edit(e, "\"name\":\"f\"", |v| {
                        v["candidates"][0]["content"]["parts"][0]["functionCall"]["args"] = json!("{}")
                    })
                },
                "args",
            ),
            (
                "streamed arguments",
                |e| {
                    edit(e, "\"name\":\"f\"", |v| {
                        v["candidates"][0]["content"]["parts"][0]["functionCall"]["willContinue"] = json!(true)
                    })
                },
                "willContinue",
            ),
            (
                "two kinds in a part",
                |e| edit(e, "\"name\":\"f\"", |v| v["candidates"][0]["content"]["parts"][0]["text"] = json!("x")),
                "a part with",
            ),
            (
                "snake case",
                |e| {
                    let last = e.len() - 1;
                    e[last] = e[last].replace("finishReason", "finish_reason");
                },
                "",
            ),
            (
                "unknown finishReason",
                |e| edit(e, "finishReason", |v| v["candidates"][0]["finishReason"] = json!("stop")),
                "unknown finishReason",
            ),
            ("model changes", |e| edit(e, "Two", |v| v["modelVersion"] = json!("other")), "changes"),
            (
                "usage does not add up",
                |e| edit(e, "finishReason", |v| v["usageMetadata"]["totalTokenCount"] = json!(1)),
                "add up",
            ),
            (
                "error without status",
                |e| {
                    let last = e.len() - 1;
                    e[last] = "data: {\"error\":{\"code\":500,\"message\":\"m\"}}\r\n\r\n".to_owned();
                },
                "status",
            ),
        ],
    );
}
