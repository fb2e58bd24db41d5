//! Event-stream bytes and transport.

use polyport_protocol::StreamDecoder;

use super::*;

const WORDS: &str = "你好🙂 and “quotes” — naïve";

fn wordy() -> String {
    chat(&[
        delta(&json!({"role": "assistant", "content": WORDS})),
        delta(&json!({"content": WORDS})),
        finish("stop"),
        usage(3, 4),
    ])
}

/// However a stream is cut, the events are the same.
fn cut_everywhere(provider: Protocol, stream: &[u8]) {
    let target = Target::plain(provider, "model");
    let whole = events_of(&target, &[stream], BodyEnd::Clean);
    for at in 0..=stream.len() {
        let (left, right) = stream.split_at(at);
        assert_eq!(events_of(&target, &[left, right], BodyEnd::Clean), whole, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(events_of(&target, &bytes, BodyEnd::Clean), whole, "byte by byte");
}

#[test]
fn kb_1_characters_cut_by_the_network_stay_whole() {
    cut_everywhere(Protocol::Chat, wordy().as_bytes());
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Chat, wordy()).text(), format!("{WORDS}{WORDS}"));
    }
}

#[test]
fn kb_2_every_pipeline_reads_complete_lines_only() {
    let streams = [
        (Protocol::Chat, wordy()),
        (
            Protocol::Messages,
            messages(
                &block(0, &json!({"type": "text", "text": ""}), &[json!({"type": "text_delta", "text": WORDS})]),
                "end_turn",
            ),
        ),
        (Protocol::Gemini, gemini(&[parts(&json!([{"text": WORDS}]), Some("STOP"))])),
        (
            Protocol::Responses,
            responses(
                &[],
                &json!([{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": WORDS, "annotations": []}]}]),
            ),
        ),
    ];
    for (provider, stream) in streams {
        cut_everywhere(provider, stream.as_bytes());
        for client in ClientProtocol::ALL {
            assert!(seen(client, provider, &stream).text().starts_with(WORDS), "{provider} to {client}");
        }
    }
}

#[test]
fn kb_3_a_quote_of_three_bytes_survives_a_cut_inside_it() {
    let stream = chat(&[delta(&json!({"content": "“"})), finish("stop")]);
    let at = stream.find('“').expect("the quote") + 1;
    let target = Target::plain(Protocol::Chat, "model");
    let (left, right) = stream.as_bytes().split_at(at);
    let response = collected(&events_of(&target, &[left, right], BodyEnd::Clean)).expect("an answer");
    assert_eq!(response.candidates[0].parts[0].as_text().expect("text"), "“");
}

#[test]
fn kb_4_many_events_in_one_chunk_are_all_read() {
    let mut chunks = vec![delta(&json!({"content": "x"})); 100_000];
    chunks.push(finish("stop"));
    let response = answer(Protocol::Chat, chat(&chunks));
    assert_eq!(response.candidates[0].parts[0].as_text().expect("text").len(), 100_000);
}

#[test]
fn kb_5_every_line_end_and_no_space_after_the_colon() {
    for (from, to) in [("\n", "\n"), ("\n", "\r\n"), ("\n", "\r"), ("data: ", "data:")] {
        let stream = wordy().replace(from, to);
        cut_everywhere(Protocol::Chat, stream.as_bytes());
        assert_eq!(seen(ClientProtocol::Chat, Protocol::Chat, &stream).text(), format!("{WORDS}{WORDS}"));
    }
}

#[test]
fn kb_6_an_event_over_two_chunks_is_one_event() {
    cut_everywhere(Protocol::Chat, chat(&[delta(&json!({"content": "token"})), finish("stop")]).as_bytes());
}

#[test]
fn kb_7_a_line_of_32_mebibytes_passes_and_the_limit_is_an_error() {
    let image = "A".repeat(32 << 20);
    let stream = gemini(&[parts(&json!([{"inlineData": {"mimeType": "image/png", "data": image}}]), Some("STOP"))]);
    assert!(collected(&events(Protocol::Gemini, &stream)).is_ok());
    let mut decoder = StreamDecoder::new(&Target::plain(Protocol::Gemini, "model"), 1 << 20);
    let mut out = Vec::new();
    decoder.push(Bytes::from(stream), &mut out);
    decoder.finish(BodyEnd::Clean, &mut out);
    let fault = collected(&out).expect_err("too long");
    assert!(fault.message.contains("1048576"), "{}", fault.message);
}

#[test]
fn kb_8_a_large_tool_argument_in_one_line_passes() {
    let arguments = json!({"text": "y".repeat(100 << 10)}).to_string();
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]});
    let summary = seen(ClientProtocol::Messages, Protocol::Chat, chat(&[delta(&call), finish("tool_calls")]));
    assert_eq!(calls(&summary), [("f".to_owned(), serde_json::from_str(&arguments).expect("JSON"))]);
}

#[test]
fn kb_9_a_last_event_without_its_blank_line_counts() {
    let stream = format!(
        "data: {}\n\ndata: {}",
        delta(&json!({"content": "a"})).to_string().replace("\"finish_reason\":null", "\"finish_reason\":\"\""),
        finish("length")
    );
    let response = answer(Protocol::Chat, &stream);
    assert_eq!(reason(&response), FinishReason::MaxTokens);
    assert_eq!(seen(ClientProtocol::Messages, Protocol::Chat, &stream).finish(), "max_tokens");
}

#[test]
fn kb_10_gemini_clients_get_data_lines_only() {
    let mut stream = String::from(": OPENROUTER PROCESSING\n\n");
    stream.push_str(&wordy());
    let bytes = written(ClientProtocol::Gemini, Protocol::Chat, &events(Protocol::Chat, stream));
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(text.split("\r\n").all(|line| line.is_empty() || line.starts_with("data: {")), "{text}");
}

#[test]
fn kb_12_comments_of_the_provider_are_never_data() {
    let stream = format!(": OPENROUTER PROCESSING\n\n{}", wordy());
    for client in ClientProtocol::ALL {
        let bytes = written(client, Protocol::Chat, &events(Protocol::Chat, &stream));
        assert!(!String::from_utf8_lossy(&bytes).contains("OPENROUTER"), "{client}");
        assert_eq!(seen(client, Protocol::Chat, &stream).text(), format!("{WORDS}{WORDS}"));
    }
}

#[test]
fn kb_13_no_id_lines_so_that_comments_cannot_become_events() {
    for client in ClientProtocol::ALL {
        let stream = format!("id: 1\n{}", wordy());
        let bytes = written(client, Protocol::Chat, &events(Protocol::Chat, stream));
        assert!(!String::from_utf8_lossy(&bytes).lines().any(|line| line.starts_with("id:")), "{client}");
    }
}

#[test]
fn kb_14_keep_alive_frames_without_data_disappear() {
    let stream = wordy().replace("data: [DONE]", "event: keepalive\n\ndata: \n\ndata: [DONE]");
    for client in ClientProtocol::ALL {
        assert_eq!(seen(client, Protocol::Chat, &stream).text(), format!("{WORDS}{WORDS}"));
    }
}

#[test]
fn kb_15_comments_before_inside_and_after_events_of_every_provider() {
    let text = json!({"type": "text", "text": ""});
    let streams = [
        (Protocol::Chat, wordy()),
        (Protocol::Messages, messages(&block(0, &text, &[json!({"type": "text_delta", "text": "hi"})]), "end_turn")),
        (Protocol::Gemini, gemini(&[parts(&json!([{"text": "hi"}]), Some("STOP"))])),
        (Protocol::Responses, responses(&[], &json!([]))),
    ];
    for (provider, stream) in streams {
        let commented = format!(": first\n{}: last\n\n", stream.replace("data: ", ": inside\ndata: "));
        let quiet = |events: Vec<Event>| events.into_iter().filter(|event| *event != Event::Ping).collect::<Vec<_>>();
        assert_eq!(quiet(events(provider, &commented)), quiet(events(provider, &stream)), "{provider}");
    }
}

#[test]
fn kb_16_done_is_ignored_where_it_does_not_belong() {
    let text = json!({"type": "text", "text": ""});
    let streams = [
        (Protocol::Messages, messages(&block(0, &text, &[json!({"type": "text_delta", "text": "hi"})]), "end_turn")),
        (Protocol::Gemini, gemini(&[parts(&json!([{"text": "hi"}]), Some("STOP"))])),
        (Protocol::Responses, responses(&[], &json!([]))),
    ];
    for (provider, stream) in streams {
        let with_done = format!("{stream}data: [DONE]\n\n");
        assert_eq!(events(provider, &with_done), events(provider, &stream), "{provider}");
    }
}

#[test]
fn kb_19_errors_to_gemini_clients_are_data_lines() {
    let stream = format!(
        "data: {}\n\ndata: {}\n\n",
        delta(&json!({"content": "Par"})),
        json!({"error": {"code": 503, "message": "busy"}})
    );
    let bytes = written(ClientProtocol::Gemini, Protocol::Chat, &events(Protocol::Chat, stream));
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(text.split("\r\n").all(|line| line.is_empty() || line.starts_with("data: {")), "{text}");
    let summary = Check::new(ClientProtocol::Gemini).stream(text.as_bytes()).expect("a legal stream");
    assert_eq!(summary.failure.expect("an error").kind, "UNAVAILABLE");
}
