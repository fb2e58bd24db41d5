//! Finish reasons and the end of streams.

use polyport_protocol::{StreamDecoder, StreamEncoder};

use super::*;

fn text_delta(text: &str) -> Value {
    delta(&json!({"content": text}))
}

fn call_delta() -> Value {
    delta(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]}))
}

fn text_block(text: &str) -> Vec<Value> {
    block(0, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": text})])
}

#[test]
fn kb_57_58_several_finish_and_usage_chunks_end_a_message_once() {
    let mut with_usage = finish("stop");
    with_usage["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11});
    let streams = [
        chat(&[text_delta("hi"), with_usage.clone(), usage(5, 6)]),
        chat(&[text_delta("hi"), finish("stop"), with_usage]),
        chat(&[text_delta("hi"), finish("stop"), finish("stop"), usage(5, 6)]),
    ];
    for stream in streams {
        for client in ClientProtocol::ALL {
            let summary = seen(client, Protocol::Chat, &stream);
            assert_eq!(summary.text(), "hi");
            assert_eq!(summary.usage.map(|usage| (usage.input, usage.output)), Some((5, 6)), "{client}");
        }
    }
}

#[test]
fn kb_59_an_empty_finish_reason_and_usage_on_every_chunk_end_nothing() {
    let mut chunk = text_delta("a");
    chunk["choices"][0]["finish_reason"] = json!("");
    chunk["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2});
    let stream = chat(&[chunk.clone(), chunk, finish("stop"), usage(1, 2)]);
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Chat, &stream).text(), "aa", "{client}");
    }
}

#[test]
fn kb_60_a_missing_finish_reason_is_made_at_done() {
    for client in ClientProtocol::ALL {
        let summary = seen(client, Protocol::Chat, chat(&[call_delta()]));
        assert_eq!(calls(&summary).len(), 1, "{client}");
    }
    assert_eq!(reason(&answer(Protocol::Chat, chat(&[call_delta()]))), FinishReason::ToolCalls);
}

#[test]
fn kb_61_63_127_a_cut_stream_is_an_error_for_every_client() {
    let whole = [
        (Protocol::Chat, chat(&[text_delta("one"), text_delta("two"), finish("stop")])),
        (Protocol::Messages, messages(&text_block("one"), "end_turn")),
        (
            Protocol::Gemini,
            gemini(&[parts(&json!([{"text": "one"}]), None), parts(&json!([{"text": "two"}]), Some("STOP"))]),
        ),
        (
            Protocol::Responses,
            responses(
                &[
                    json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}}),
                    json!({"type": "response.content_part.added", "output_index": 0, "content_index": 0, "item_id": "msg_1", "part": {"type": "output_text", "text": "", "annotations": []}}),
                    json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "msg_1", "delta": "one"}),
                ],
                &json!([]),
            ),
        ),
    ];
    for (provider, stream) in whole {
        let target = Target::plain(provider, "model");
        let cut = stream.find("one").expect("the first word") + 8;
        let end = stream
            .get(cut..)
            .and_then(|rest| rest.find("\n\n").or(rest.find("\r\n\r\n")))
            .map_or(cut, |at| cut + at + 4);
        for (piece, end) in
            [(stream.as_bytes().get(..end), BodyEnd::Broken), (stream.as_bytes().get(..end), BodyEnd::Clean)]
        {
            let events = events_of(&target, &[piece.expect("a piece")], end);
            let fault = collected(&events).expect_err("a cut stream is no answer");
            assert_eq!(fault.class, polyport_types::FaultClass::UpstreamProtocol, "{provider}");
            for client in ClientProtocol::ALL {
                let bytes = written(client, provider, &events);
                let summary =
                    Check::new(client).stream(&bytes).unwrap_or_else(|p| panic!("{provider} to {client}: {p}"));
                assert!(summary.failure.is_some(), "{provider} to {client}: a false end");
            }
        }
    }
}

#[test]
fn kb_62_an_end_without_message_stop_but_with_a_reason_is_an_end() {
    let stream = messages(&text_block("hi"), "end_turn");
    let cut = stream.find("event: message_stop").expect("stop");
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Messages, stream.get(..cut).expect("head")).text(), "hi", "{client}");
    }
}

#[test]
fn kb_64_71_nothing_is_written_after_the_end() {
    for client in ClientProtocol::ALL {
        let events = events(Protocol::Chat, chat(&[text_delta("hi"), finish("stop")]));
        let mut encoder = StreamEncoder::new(client, context(client, Protocol::Chat));
        let mut out = Vec::new();
        for event in events {
            encoder.encode(event, &mut out);
        }
        let length = out.len();
        encoder.encode(Event::Ping, &mut out);
        encoder.encode(Event::End, &mut out);
        assert_eq!(out.len(), length, "{client}");
    }
    let late = format!("{}{}", messages(&text_block("hi"), "end_turn"), typed(&text_block("late")));
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Messages, &late).text(), "hi", "{client}");
    }
}

#[test]
fn kb_65_the_end_is_known_before_the_body_ends() {
    for (provider, stream) in [
        (Protocol::Messages, messages(&text_block("hi"), "end_turn")),
        (Protocol::Chat, chat(&[text_delta("hi"), finish("stop")])),
        (Protocol::Responses, responses(&[], &json!([]))),
    ] {
        let mut decoder = StreamDecoder::new(&Target::plain(provider, "model"), MAX_EVENT);
        let mut events = Vec::new();
        decoder.push(Bytes::from(stream), &mut events);
        assert!(decoder.is_ended(), "{provider}");
        assert_eq!(events.last(), Some(&Event::End));
    }
}

#[test]
fn kb_66_gemini_calls_and_stop_in_different_chunks_are_tool_use() {
    let stream = gemini(&[
        parts(&json!([{"functionCall": {"name": "f", "args": {}}}]), None),
        parts(&json!([{"text": ""}]), Some("STOP")),
    ]);
    assert_eq!(seen(ClientProtocol::Chat, Protocol::Gemini, &stream).finish(), "tool_calls");
    assert_eq!(seen(ClientProtocol::Messages, Protocol::Gemini, &stream).finish(), "tool_use");
}

#[test]
fn kb_67_a_later_stop_does_not_undo_tool_calls() {
    let stream = chat(&[call_delta(), finish("tool_calls"), finish("stop")]);
    assert_eq!(seen(ClientProtocol::Chat, Protocol::Chat, &stream).finish(), "tool_calls");
    assert_eq!(seen(ClientProtocol::Messages, Protocol::Chat, &stream).finish(), "tool_use");
}

#[test]
fn kb_69_a_call_alone_has_no_empty_text_before_it() {
    for client in [ClientProtocol::Messages, ClientProtocol::Responses, ClientProtocol::Gemini] {
        let summary = seen(client, Protocol::Chat, chat(&[call_delta(), finish("tool_calls")]));
        assert_eq!(summary.choices[0].order, ["tool"], "{client}");
    }
}

#[test]
fn kb_70_a_cut_stream_is_a_server_error_that_may_be_repeated() {
    let stream = format!("data: {}\n\n", text_delta("half"));
    let kinds = [
        (ClientProtocol::Chat, "server_error"),
        (ClientProtocol::Responses, "server_error"),
        (ClientProtocol::Messages, "api_error"),
        (ClientProtocol::Gemini, "INTERNAL"),
    ];
    for (client, kind) in kinds {
        let failure = seen(client, Protocol::Chat, &stream).failure.expect("an error");
        assert!(failure.kind == kind || failure.code == kind, "{client}: {failure:?}");
    }
}

#[test]
fn kb_73_every_responses_stream_has_a_terminal_event() {
    let streams = [
        (chat(&[text_delta("hi"), finish("stop")]), "response.completed"),
        (chat(&[text_delta("hi"), finish("length")]), "response.incomplete"),
        (chat(&[text_delta("hi"), finish("content_filter")]), "response.incomplete"),
        (format!("data: {}\n\n", text_delta("hi")), "response.failed"),
    ];
    for (stream, terminal) in streams {
        let bytes = written(ClientProtocol::Responses, Protocol::Chat, &events(Protocol::Chat, stream));
        let text = String::from_utf8(bytes).expect("UTF-8");
        let last = text.lines().rfind(|line| line.starts_with("event: ")).expect("an event");
        assert_eq!(last, format!("event: {terminal}"));
    }
}
