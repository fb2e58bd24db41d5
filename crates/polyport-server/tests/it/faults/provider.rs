//! Providers that break the rules of their own protocol or of HTTP.

use std::time::Duration;

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, FakeProvider, Finish, Step, Tokens};
use polyport_testkit::raw::Reply;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use super::{Gateway, Setup, failure, read, refused};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;

/// One try at each target, so that a failure is seen.
const ONCE: &str = "retry: { attempts: 1 }";

/// Chat chunks with these deltas, then a finish; no `[DONE]`.
fn chat(deltas: &[serde_json::Value]) -> String {
    let chunk = |delta: &serde_json::Value, finish: Option<&str>| {
        let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let all: String = deltas.iter().map(|delta| chunk(delta, None)).collect();
    all + &chunk(&json!({}), Some("stop"))
}

fn usage(prompt: i64, completion: i64) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}});
    format!("data: {chunk}\n\n")
}

const DONE: &str = "data: [DONE]\n\n";

/// The answer says that the provider broke the rules, in the words of the client's protocol.
async fn broken(client: ClientProtocol, reply: Reply, name: &str) {
    let class = reply.header("x-polyport-error").to_owned();
    let (status, _) = refused(client, reply).await;
    assert!(status >= 500, "{client}, {name}: {status}");
    assert!(["upstream_protocol", "transport"].contains(&&*class), "{client}, {name}: {class}");
}

#[tokio::test]
async fn u4_every_way_to_say_when_is_understood() {
    let date = "Fri, 31 Dec 2100 23:59:59 GMT";
    for (name, step, at_least) in [
        ("seconds", Step::error(429, "slow down").header("retry-after", "40"), 30),
        ("milliseconds", Step::error(429, "slow down").header("retry-after-ms", "40000"), 30),
        ("date", Step::error(429, "slow down").header("retry-after", date), 3600),
        ("body", Step::error(429, "Rate limit reached. Please try again in 40s."), 30),
        ("nothing", Step::error(429, "slow down"), 1),
    ] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let keys = "keys: [first-key-of-the-provider, second-key-of-the-provider]";
        let setup = Setup::default().provider("up", Protocol::Chat, &fake.base_url(), keys);
        let gateway = setup.with(ONCE).start().await;
        fake.script(step);
        // The other key answers at once, and goes on answering while the first one rests.
        assert_eq!(gateway.ask(ClientProtocol::Chat, false).await.status, 200, "{name}");
        let key = |at: usize| fake.requests()[at].header("authorization").map(str::to_owned);
        assert_ne!(key(0), key(1), "{name}");
        if at_least > 1 {
            for at in 2..5 {
                assert_eq!(gateway.ask(ClientProtocol::Chat, false).await.status, 200, "{name}");
                assert_eq!(key(at), key(1), "{name}: a resting key is used");
            }
        }
        // When the other one has had enough as well, the client hears it, and how long the shorter wait is.
        fake.always(Step::error(429, "slow down").header("retry-after", "50000"));
        while gateway.ask(ClientProtocol::Chat, false).await.status == 200 {}
        let reply = gateway.ask(ClientProtocol::Chat, false).await;
        assert_eq!(reply.status, 429, "{name}");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!(wait >= at_least.min(30), "{name}: {wait}");
    }
}

#[tokio::test]
async fn u13_every_form_of_an_event_stream_is_read() {
    let stream = chat(&[json!({"role": "assistant", "content": "Grüße "}), json!({"content": "👋"})]) + DONE;
    let no_space = stream.replace("data: ", "data:");
    let data_in_lines = stream.replace("\"choices\"", "\ndata: \"choices\"");
    for (name, bytes) in [
        ("LF", stream.clone()),
        ("CRLF", stream.replace('\n', "\r\n")),
        ("CR", stream.replace('\n', "\r")),
        ("mixed", stream.replacen("\n\n", "\r\n\n", 1).replacen("\n\n", "\r\r", 1)),
        ("byte order mark", format!("\u{feff}{stream}")),
        ("no space", no_space),
        ("data in several lines", data_in_lines),
        ("no blank line at the end", stream.trim_end().to_owned()),
        ("comments and other fields", stream.replace("data: ", ": hello\nid: 7\nretry: 5\ndata: ")),
    ] {
        for client in CLIENTS {
            for piece in [1, 7, 1 << 20] {
                let fake = FakeProvider::start(Protocol::Chat).await;
                let gateway = Setup::to(&fake, Protocol::Chat).start().await;
                fake.always(Step::sse(&bytes).drip(piece));
                if client == ClientProtocol::Chat {
                    // Relayed as it came; the strict reader judges the canonical form only.
                    let reply = gateway.ask(client, true).await;
                    let heard = String::from_utf8(reply.bytes().await.unwrap()).unwrap();
                    assert!(heard.contains("👋"), "{name}: {heard}");
                } else {
                    let read = read(client, true, gateway.ask(client, true).await).await;
                    assert_eq!(read.text(), "Grüße 👋", "{client}, {name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn u13_a_line_without_end_is_cut_off() {
    for client in CLIENTS {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let setup = Setup::to(&fake, Protocol::Chat).with("limits: { event: 64KiB }").with(ONCE);
        let gateway = setup.start().await;
        fake.always(Step::endless("text/event-stream", "data: ", &"a".repeat(8000)));
        let reply = gateway.ask(client, true).await;
        let heard = reply.bytes().await.unwrap();
        assert!(heard.len() < 1 << 20, "{client}: {} bytes", heard.len());
        fake.last().left().await;
        gateway.idle().await;
    }
}

#[tokio::test]
async fn u14_done_may_be_missing_doubled_or_early() {
    let said = chat(&[json!({"role": "assistant", "content": "all of it"})]);
    for (name, stream) in [
        ("missing", format!("{said}{}", usage(7, 3))),
        ("doubled", format!("{said}{}{DONE}{DONE}", usage(7, 3))),
        ("before the usage", format!("{said}{DONE}{}", usage(7, 3))),
    ] {
        for client in [ClientProtocol::Messages, ClientProtocol::Responses, ClientProtocol::Gemini] {
            let fake = FakeProvider::start(Protocol::Chat).await;
            let gateway = Setup::to(&fake, Protocol::Chat).start().await;
            fake.always(Step::sse(&stream));
            let read = read(client, true, gateway.ask(client, true).await).await;
            assert_eq!(read.text(), "all of it", "{client}, {name}");
            if name != "before the usage" {
                let usage = read.usage.expect("usage");
                assert_eq!((usage.input, usage.output), (7, 3), "{client}, {name}");
            }
            gateway.idle().await;
        }
    }
}

#[tokio::test]
async fn u15_calls_in_disorder_stay_apart() {
    let call = |index: u32, id: Option<&str>, name: Option<&str>, arguments: &str| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if let Some(id) = id {
            call["id"] = json!(id);
        }
        if let Some(name) = name {
            call["function"]["name"] = json!(name);
        }
        json!({"tool_calls": [call]})
    };
    for (name, deltas) in [
        (
            "interleaved",
            vec![
                call(0, Some("a"), Some("f"), "{\"x\""),
                call(1, Some("b"), Some("g"), "{\"y\""),
                call(0, None, None, ":1}"),
                call(1, None, None, ":2}"),
            ],
        ),
        ("out of order", vec![call(1, Some("b"), Some("g"), "{\"y\":2}"), call(0, Some("a"), Some("f"), "{\"x\":1}")]),
        ("empty id", vec![call(0, Some(""), Some("f"), "{\"x\":1}"), call(1, Some(""), Some("g"), "{\"y\":2}")]),
        ("doubled index", vec![call(0, Some("a"), Some("f"), "{\"x\":1}"), call(0, Some("b"), Some("g"), "{\"y\":2}")]),
    ] {
        let stream = chat(&deltas).replace("\"finish_reason\":\"stop\"", "\"finish_reason\":\"tool_calls\"") + DONE;
        for client in [ClientProtocol::Messages, ClientProtocol::Responses, ClientProtocol::Gemini] {
            let fake = FakeProvider::start(Protocol::Chat).await;
            let gateway = Setup::to(&fake, Protocol::Chat).start().await;
            fake.always(Step::sse(&stream));
            let read = read(client, true, gateway.ask(client, true).await).await;
            let mut calls: Vec<_> =
                read.tool_calls().iter().map(|call| (call.name.clone(), call.json().to_string())).collect();
            calls.sort();
            let expected = [("f".to_owned(), "{\"x\":1}".to_owned()), ("g".to_owned(), "{\"y\":2}".to_owned())];
            assert_eq!(calls, expected, "{client}, {name}");
        }
    }
    // Arguments that are no JSON never become other arguments.
    let deltas = [call(0, Some("a"), Some("f"), "{\"x\": oops")];
    let stream = chat(&deltas).replace("\"finish_reason\":\"stop\"", "\"finish_reason\":\"tool_calls\"") + DONE;
    for client in [ClientProtocol::Messages, ClientProtocol::Responses, ClientProtocol::Gemini] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let gateway = Setup::to(&fake, Protocol::Chat).with(ONCE).start().await;
        fake.always(Step::sse(&stream));
        let heard = gateway.ask(client, true).await.bytes().await.unwrap();
        let heard = String::from_utf8(heard).unwrap();
        assert!(heard.contains("oops"), "{client}: {heard}");
    }
}

#[tokio::test]
async fn u16_blocks_of_thought_without_signature_or_of_unknown_kind_are_survived() {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let block = |index: u32, block: serde_json::Value, deltas: &[serde_json::Value]| {
        let mut all = vec![json!({"type": "content_block_start", "index": index, "content_block": block})];
        all.extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        all.push(json!({"type": "content_block_stop", "index": index}));
        all
    };
    let thinking = json!({"type": "thinking", "thinking": "", "signature": ""});
    let text = json!({"type": "text", "text": ""});
    let thought = [json!({"type": "thinking_delta", "thinking": "hm"})];
    let said = [json!({"type": "text_delta", "text": "so"})];
    let signed = [json!({"type": "signature_delta", "signature": "c2lnbmVk"})];
    for (name, blocks) in [
        ("no signature", [block(0, thinking.clone(), &thought), block(1, text.clone(), &said)]),
        ("after the text", [block(0, text.clone(), &said), block(1, thinking, &[thought, signed].concat())]),
        ("unknown kind", [block(0, json!({"type": "hologram", "data": {"x": 1}}), &[]), block(1, text, &said)]),
    ] {
        let end = [
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": 5}}),
            json!({"type": "message_stop"}),
        ];
        let events = [start.clone()].into_iter().chain(blocks.concat()).chain(end);
        let stream: String =
            events.map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect();
        for client in [ClientProtocol::Chat, ClientProtocol::Responses, ClientProtocol::Gemini] {
            let fake = FakeProvider::start(Protocol::Messages).await;
            let gateway = Setup::to(&fake, Protocol::Messages).start().await;
            fake.always(Step::sse(&stream));
            let read = read(client, true, gateway.ask(client, true).await).await;
            assert_eq!(read.text(), "so", "{client}, {name}");
        }
        // On the way through not a byte changes but the model's name.
        let fake = FakeProvider::start(Protocol::Messages).await;
        let gateway = Setup::to(&fake, Protocol::Messages).start().await;
        fake.always(Step::sse(&stream));
        let heard = gateway.ask(ClientProtocol::Messages, true).await.bytes().await.unwrap();
        assert_eq!(String::from_utf8(heard).unwrap(), stream, "{name}");
    }
}

#[tokio::test]
async fn u17_odd_counts_are_made_good() {
    let said = chat(&[json!({"role": "assistant", "content": "all of it"})]);
    let huge = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\
                \"usage\":{\"prompt_tokens\":99999999999999999999,\"completion_tokens\":1e300,\"total_tokens\":-1}}\n\n";
    for (name, counts) in [
        ("missing", String::new()),
        ("zero", usage(0, 0)),
        ("negative", usage(-5, -7)),
        ("decreasing", usage(50, 30) + &usage(5, 3)),
        ("too large", huge.to_owned()),
        ("no numbers", usage(1, 1).replace("\"prompt_tokens\":1", "\"prompt_tokens\":\"many\"")),
    ] {
        let stream = format!("{said}{counts}{DONE}");
        for client in [ClientProtocol::Messages, ClientProtocol::Responses, ClientProtocol::Gemini] {
            let fake = FakeProvider::start(Protocol::Chat).await;
            let gateway = Setup::to(&fake, Protocol::Chat).start().await;
            fake.always(Step::sse(&stream));
            // The strict reader takes no negative or missing counts.
            let read = read(client, true, gateway.ask(client, true).await).await;
            assert_eq!(read.text(), "all of it", "{client}, {name}");
        }
    }
}

#[tokio::test]
async fn u18_answers_with_broken_framing_end_their_connection() {
    let body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]});
    let body = body.to_string();
    let length = body.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    for (name, raw) in [
        ("a length that is no number", format!("{head}Content-Length: x\r\n\r\n{body}")),
        ("two lengths", format!("{head}Content-Length: {length}\r\nContent-Length: 5\r\n\r\n{body}")),
        ("a length too large", format!("{head}Content-Length: {}\r\n\r\n{body}", length + 10)),
        ("a bad chunk size", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n")),
        ("a header of 64 kilobytes and more", format!("{head}X: {}\r\n\r\n{body}", "y".repeat(700 << 10))),
        ("no HTTP", "SSH-2.0-OpenSSH_9.9\r\n".to_owned()),
        ("a NUL in a header", format!("{head}X: \0\r\nContent-Length: {length}\r\n\r\n{body}")),
    ] {
        for client in CLIENTS {
            let fake = FakeProvider::start(Protocol::Chat).await;
            let gateway = Setup::to(&fake, Protocol::Chat).with(ONCE).start().await;
            fake.always(Step::raw(raw.clone()));
            broken(client, gateway.ask(client, false).await, name).await;
            // What is left of the broken answer is no answer to the next request.
            fake.always(Step::text("fine"));
            let read = read(client, false, gateway.ask(client, false).await).await;
            assert_eq!(read.text(), "fine", "{client}, {name}");
        }
    }
}

#[tokio::test]
async fn u19_interim_answers_without_end_are_given_up_and_a_switch_of_protocol_is_refused() {
    for client in CLIENTS {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let setup = Setup::to(&fake, Protocol::Chat).with("limits: { first_byte: 1s }").with(ONCE);
        let gateway = setup.start().await;
        fake.script(Step::text("ok").interim(103, 200));
        assert_eq!(read(client, false, gateway.ask(client, false).await).await.text(), "ok");
        // Interim answers are no sign of an answer: the limit to its first byte holds.
        fake.script(Step::silence().interim(100, 200));
        let (status, _) = refused(client, gateway.ask(client, false).await).await;
        assert_eq!(status, 504, "{client}");
        fake.script(Step::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello"));
        broken(client, gateway.ask(client, false).await, "101").await;
        assert_eq!(gateway.ask(client, false).await.status, 200);
    }
}

#[tokio::test]
async fn u23_a_whole_answer_has_a_cap() {
    for client in CLIENTS {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let gateway = Setup::to(&fake, Protocol::Chat).with("limits: { answer: 1MiB }").with(ONCE).start().await;
        fake.always(Step::endless("application/json", "{\"id\":\"", &"x".repeat(8000)));
        broken(client, gateway.ask(client, false).await, "too much").await;
        fake.last().left().await;
        // A stream that is collected for a client that did not ask for one has the same cap.
        let text = chat(&[json!({"role": "assistant", "content": "x".repeat(8000)})]);
        let event = text.split_inclusive("\n\n").next().unwrap();
        fake.always(Step::endless("text/event-stream", event, event));
        broken(client, gateway.ask(client, false).await, "too much").await;
        fake.last().left().await;
        gateway.idle().await;
    }
}

#[tokio::test]
async fn u31_the_clients_name_for_the_model_stays_and_the_providers_can_be_had() {
    for to in Protocol::ALL {
        for client in CLIENTS {
            for stream in [false, true] {
                let fake = FakeProvider::start(to).await;
                let answer = Answer { model: Some("quite-another".into()), ..Answer::default().text("ok") };
                fake.always(Step::answer(answer));
                let gateway = Setup::to(&fake, to).start().await;
                let heard = read(client, stream, gateway.ask(client, stream).await).await;
                if Protocol::from(client) != to {
                    assert_eq!(heard.model, "m", "{client} at {to}, stream {stream}");
                }
                assert_eq!(heard.text(), "ok");
            }
        }
    }
}

#[tokio::test]
async fn u9_a_model_that_thinks_first_has_more_time() {
    // Two limits that cannot be mistaken for each other, and a provider that never begins.
    for (model, words) in [("o3", "for 2 seconds"), ("gpt-4o", "for 1 seconds")] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        fake.always(Step::silence());
        let limits = "limits: { first_byte: 1s, first_byte_reasoning: 2s }";
        let models = format!("  x: up/{model}");
        let gateway = Setup::to(&fake, Protocol::Chat).with(&models).with(limits).with(ONCE).start().await;
        for client in [ClientProtocol::Chat, ClientProtocol::Messages] {
            let ask = super::ask_for(client, "x", "hello there", false);
            let (status, failure) = refused(client, gateway.send(client, &ask).await).await;
            assert_eq!(status, 504);
            assert!(failure.message.contains(words), "{client}, {model}: {}", failure.message);
        }
    }
}

#[tokio::test]
async fn u8_an_answer_that_ends_for_its_length_is_no_error() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    let tokens = Tokens { input: 3, output: 2, ..Tokens::default() };
    fake.always(Step::answer(Answer::default().text("cut").finish(Finish::Length).usage(tokens)));
    for client in CLIENTS {
        let heard = read(client, true, gateway.ask(client, true).await).await;
        assert!(heard.failure.is_none(), "{client}");
    }
}

#[tokio::test]
async fn u7_the_page_of_a_proxy_is_no_answer_and_no_error_text() {
    for status in [200, 403, 502, 524] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        let gateway = Setup::to(&fake, Protocol::Chat).with(ONCE).start().await;
        fake.always(Step::html(status));
        for client in CLIENTS {
            for stream in [false, true] {
                let reply = gateway.ask(client, stream).await;
                let told = reply.status.as_u16();
                let body = reply.bytes().await.unwrap();
                failure(client, &body);
                assert!(told >= 400, "{client}, page with {status}: {told}");
                assert!(!String::from_utf8_lossy(&body).contains('<'), "{client}, page with {status}");
            }
        }
    }
}

/// The gateway behind these tests answers others while a provider misbehaves.
#[tokio::test]
async fn u22_a_flood_from_one_provider_leaves_the_others_alone() {
    let (flood, calm) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    let setup = Setup::default().fake("calm", &calm, Protocol::Chat).fake("flood", &flood, Protocol::Chat);
    let gateway: Gateway = setup.with("limits: { client_write: 60s }").start().await;
    let text = chat(&[json!({"role": "assistant", "content": "x".repeat(8000)})]);
    let event = text.split_inclusive("\n\n").next().unwrap();
    flood.always(Step::endless("text/event-stream", event, event));
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let ask = super::ask_for(ClientProtocol::Messages, "flood/m", "hello there", true);
        let mut reply = gateway.send(ClientProtocol::Messages, &ask).await;
        reply.until("xxxx").await.unwrap();
        stalled.push(reply);
    }
    for _ in 0..5 {
        let reply = tokio::time::timeout(Duration::from_secs(10), gateway.ask(ClientProtocol::Chat, true)).await;
        let bytes = reply.expect("others are kept waiting").bytes().await.unwrap();
        Check::new(ClientProtocol::Chat).stream(&bytes).unwrap();
    }
    drop(stalled);
    gateway.idle().await;
}
