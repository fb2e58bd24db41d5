//! Clients that mean it.

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, FakeProvider, Step};
use polyport_testkit::raw;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use super::h2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Heard, PING, PRIORITY, PUSH_PROMISE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use super::{Gateway, Log, Setup, ask, ask_for, headers, read, refused};

const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;

type Field = (&'static [u8], &'static [u8]);

/// The fields of a good request.
const GOOD: [Field; 5] = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/v1/chat/completions"),
    (b":authority", b"localhost"),
    (b"content-type", b"application/json"),
];

/// The good fields, one of them with another value.
fn with(name: &[u8], value: &'static [u8]) -> Vec<Field> {
    GOOD.iter().map(|(known, old)| (*known, if *known == name { value } else { *old })).collect()
}

/// The good fields and more.
fn and(more: &[Field]) -> Vec<Field> {
    [&GOOD[..], more].concat()
}

fn without(name: &[u8]) -> Vec<Field> {
    GOOD.iter().filter(|(known, _)| *known != name).copied().collect()
}

#[tokio::test]
async fn a2_what_http1_could_misread_does_not_pass_http2() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    let cases: Vec<(&str, Vec<Field>)> = vec![
        ("line end in a value", and(&[(b"x-a", b"b\r\nx-evil: 1")])),
        ("CR in a value", and(&[(b"x-a", b"b\rc")])),
        ("LF in a value", and(&[(b"x-a", b"b\nc")])),
        ("NUL in a value", and(&[(b"x-a", b"b\0c")])),
        ("line end in a name", and(&[(b"x-a: b\r\nx-evil", b"1")])),
        ("colon in a name", and(&[(b"x-a:", b"1")])),
        ("blank in a name", and(&[(b"x a", b"1")])),
        ("upper case in a name", and(&[(b"X-A", b"1")])),
        ("no name", and(&[(b"", b"1")])),
        ("line end in the path", with(b":path", b"/v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\nGET /")),
        ("blank in the path", with(b":path", b"/v1/chat/completions HTTP/1.1")),
        ("NUL in the path", with(b":path", b"/v1/chat/completions\0")),
        ("no path", without(b":path")),
        ("empty path", with(b":path", b"")),
        ("path without a slash", with(b":path", b"v1/chat/completions")),
        ("address as path", with(b":path", b"http://elsewhere/v1/chat/completions")),
        ("line end in the method", with(b":method", b"POST / HTTP/1.1\r\nhost: x")),
        ("blank in the method", with(b":method", b"POST /")),
        ("empty method", with(b":method", b"")),
        ("no method", without(b":method")),
        ("connect", with(b":method", b"CONNECT")),
        ("line end in the scheme", with(b":scheme", b"http\r\nx-evil: 1")),
        ("address in the scheme", with(b":scheme", b"http://elsewhere/?")),
        ("no scheme", without(b":scheme")),
        ("line end in the authority", with(b":authority", b"localhost\r\nx-evil: 1")),
        ("user in the authority", with(b":authority", b"localhost@elsewhere")),
        ("path in the authority", with(b":authority", b"localhost/v1")),
        ("two hosts", and(&[(b"host", b"elsewhere")])),
        ("two authorities", and(&[(b":authority", b"elsewhere")])),
        ("two paths", and(&[(b":path", b"/")])),
        ("a pseudo header at the end", [&without(b":path")[..], &[(b":path", b"/v1/chat/completions")]].concat()),
        ("an unknown pseudo header", [&[(&b":evil"[..], &b"1"[..])], &GOOD[..]].concat()),
        ("a status", [&[(&b":status"[..], &b"200"[..])], &GOOD[..]].concat()),
        ("chunked", and(&[(b"transfer-encoding", b"chunked")])),
        ("identity", and(&[(b"transfer-encoding", b"identity")])),
        ("connection", and(&[(b"connection", b"close")])),
        ("keep-alive", and(&[(b"keep-alive", b"timeout=5")])),
        ("proxy-connection", and(&[(b"proxy-connection", b"keep-alive")])),
        ("upgrade", and(&[(b"upgrade", b"h2c")])),
        ("te", and(&[(b"te", b"gzip")])),
        ("a length too small", and(&[(b"content-length", b"5")])),
        ("a length too large", and(&[(b"content-length", b"5000")])),
        ("a length with a sign", and(&[(b"content-length", b"+57")])),
        ("a length that is none", and(&[(b"content-length", b"many")])),
        ("two lengths", and(&[(b"content-length", b"57"), (b"content-length", b"5")])),
        ("a list of lengths", and(&[(b"content-length", b"57, 57")])),
    ];
    let mut wrong = Vec::new();
    for (name, fields) in cases {
        let before = fake.requests().len();
        let mut frames = Frames::open(&gateway, &[]).await;
        frames.send(&frame(HEADERS, END_HEADERS, 1, &block(&fields))).await;
        frames.send(&frame(DATA, END_STREAM, 1, BODY)).await;
        let fate = frames.fate(1).await;
        let passed = fake.requests().len() - before;
        let refused = !matches!(fate, Heard::Status(200 | 0));
        if !refused || passed > 0 {
            wrong.push(format!("{name}: {fate:?}, {passed} requests"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The good fields are good.
    let mut frames = Frames::open(&gateway, &[]).await;
    frames.send(&frame(HEADERS, END_HEADERS, 1, &block(&and(&[(b"content-length", b"57")])))).await;
    frames.send(&frame(DATA, END_STREAM, 1, BODY)).await;
    let before = fake.requests().len();
    assert_eq!(frames.fate(1).await, Heard::Status(200));
    assert_eq!(fake.requests().len(), before + 1);
    fake.assert_no_violations();
}

/// A connection that is flooded must end, and nobody else may notice.
async fn survives(gateway: &Gateway, name: &str, times: u32, start: &[u8], next: impl FnMut(u32) -> Vec<u8>) {
    let mut frames = Frames::open(gateway, &[]).await;
    assert!(frames.send(start).await, "{name}");
    let flood = async {
        let ended = frames.flood(times, next).await;
        // If everything was taken in, the end must follow from it.
        if !ended {
            frames.end().await;
        }
    };
    let others = async {
        for _ in 0..3 {
            let reply = gateway.ask(ClientProtocol::Chat, false).await;
            assert_eq!(reply.status, 200, "{name}");
        }
    };
    tokio::join!(flood, others);
    assert_eq!(gateway.ask(ClientProtocol::Chat, false).await.status, 200, "{name}");
}

/// A request with a body, so that answering it waits.
fn open_request(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&GOOD))
}

async fn flooded() -> (FakeProvider, Gateway) {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let limits = "limits: { client_write: 500ms, header_time: 500ms, body_time: 500ms }";
    let gateway = Setup::to(&fake, Protocol::Chat).with(limits).start().await;
    (fake, gateway)
}

#[tokio::test]
async fn a3_rapid_reset_ends_the_connection() {
    let (_fake, gateway) = flooded().await;
    survives(&gateway, "rapid reset", 100_000, &[], |number| {
        let stream = number * 2 + 1;
        [open_request(stream), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    })
    .await;
    gateway.idle().await;
}

#[tokio::test]
async fn a3_made_you_reset_ends_the_connection() {
    let (_fake, gateway) = flooded().await;
    type Provoke = fn(u32) -> Vec<u8>;
    let provocations: [(&str, Provoke); 4] = [
        ("a window of nothing", |stream| frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes())),
        ("a window too large", |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())),
        ("a stream that depends on itself", |stream| {
            frame(PRIORITY, 0, stream, &[&stream.to_be_bytes()[..], &[0]].concat())
        }),
        ("data after the end", |stream| {
            [frame(DATA, END_STREAM, stream, b"{"), frame(DATA, END_STREAM, stream, b"{")].concat()
        }),
    ];
    for (name, provoke) in provocations {
        survives(&gateway, name, 100_000, &[], |number| {
            let stream = number * 2 + 1;
            [open_request(stream), provoke(stream)].concat()
        })
        .await;
    }
    gateway.idle().await;
}

#[tokio::test]
async fn a3_a_head_without_an_end_is_cut_off() {
    let (_fake, gateway) = flooded().await;
    let start = frame(HEADERS, 0, 1, &block(&GOOD));
    survives(&gateway, "continuations", 100_000, &start, |number| {
        frame(CONTINUATION, 0, 1, &block(&[(format!("x-{number}").as_bytes(), &[b'x'; 100])]))
    })
    .await;
    survives(&gateway, "empty continuations", 100_000, &start, |_| frame(CONTINUATION, 0, 1, &[]).repeat(100)).await;
}

#[tokio::test]
async fn a3_frames_that_want_answers_are_held_back() {
    let (_fake, gateway) = flooded().await;
    // None of these clients listens.
    survives(&gateway, "pings", 10_000, &[], |_| frame(PING, 0, 0, &[7; 8]).repeat(1000)).await;
    survives(&gateway, "settings", 10_000, &[], |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(1000)).await;
    survives(&gateway, "requests to nowhere", 100_000, &[], |number| {
        let fields = with(b":path", b"/nowhere");
        frame(HEADERS, END_HEADERS | END_STREAM, number * 2 + 1, &block(&fields))
    })
    .await;
}

#[tokio::test]
async fn a3_frames_that_say_nothing_do_not_keep_a_request_alive() {
    let (fake, gateway) = flooded().await;
    let mut frames = Frames::open(&gateway, &[]).await;
    frames.send(&open_request(1)).await;
    let flood = async {
        // The body never comes: the request is given up after its time, whatever else arrives.
        frames.flood(3_000, |_| frame(DATA, 0, 1, &[]).repeat(100)).await;
        frames.fate(1).await
    };
    let others = async {
        for _ in 0..3 {
            assert_eq!(gateway.ask(ClientProtocol::Chat, false).await.status, 200);
        }
    };
    let (fate, ()) = tokio::join!(flood, others);
    assert_ne!(fate, Heard::Status(200));
    assert_eq!(fake.requests().len(), 3);
    drop(frames);
    gateway.idle().await;
}

#[tokio::test]
async fn a3_header_blocks_stay_small_when_unpacked() {
    let (fake, gateway) = flooded().await;
    // One field of 4000 bytes goes into the table, then one byte names it again and again.
    let mut bomb = block(&GOOD);
    bomb.extend_from_slice(&[0x40, 3, b'x', b'-', b'a', 127]);
    let rest = 4000_usize - 127;
    bomb.push(u8::try_from(rest % 128).unwrap() | 128);
    bomb.push(u8::try_from(rest / 128).unwrap());
    bomb.extend_from_slice(&[b'x'; 4000]);
    bomb.extend(std::iter::repeat_n(0xbe, 10_000));
    let mut frames = Frames::open(&gateway, &[]).await;
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).await;
    let fate = frames.fate(1).await;
    assert!(matches!(fate, Heard::Status(431) | Heard::Reset(_) | Heard::GoAway(_) | Heard::Closed), "{fate:?}");
    // A table larger than allowed, and an index beyond it.
    for block in [&[0x3f, 0xff, 0xff, 0xff, 0x0f][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[0x80]] {
        let mut frames = Frames::open(&gateway, &[]).await;
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, block)).await;
        let fate = frames.fate(1).await;
        assert!(matches!(fate, Heard::Reset(_) | Heard::GoAway(_) | Heard::Closed), "{block:?}: {fate:?}");
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a3_streams_beyond_the_limit_are_refused() {
    let (fake, gateway) = flooded().await;
    fake.always(Step::silence());
    let mut frames = Frames::open(&gateway, &[]).await;
    let mut all = Vec::new();
    for number in 0..101 {
        all.extend_from_slice(&open_request(number * 2 + 1));
    }
    frames.send(&all).await;
    let fate = frames.fate(201).await;
    assert!(matches!(fate, Heard::Reset(7 | 11) | Heard::GoAway(_)), "{fate:?}");
}

#[tokio::test]
async fn a3_frames_out_of_place_end_the_connection() {
    let (_fake, gateway) = flooded().await;
    let cases: [(&str, Vec<u8>); 9] = [
        ("data on no stream", frame(DATA, 0, 0, b"x")),
        ("data on an idle stream", frame(DATA, 0, 1, b"x")),
        ("an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, &block(&GOOD))),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("settings of odd length", frame(SETTINGS, 0, 0, &[0, 4, 0])),
        ("a ping of odd length", frame(PING, 0, 0, &[1])),
        ("a push", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])),
        ("a frame too large", {
            let mut head = frame(DATA, 0, 1, &[]);
            head.splice(0..3, [0xff, 0xff, 0xff]);
            head
        }),
        ("padding longer than the frame", [open_request(1), frame(DATA, 8, 1, &[200, 1])].concat()),
    ];
    for (name, bytes) in cases {
        let mut frames = Frames::open(&gateway, &[]).await;
        frames.send(&bytes).await;
        let error = frames.end().await;
        assert_ne!(error, Some(0), "{name}");
    }
    assert_eq!(gateway.ask(ClientProtocol::Chat, false).await.status, 200);
}

#[tokio::test]
async fn a6_no_text_of_a_client_becomes_a_header() {
    let evil = "x\r\nx-evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n";
    for client in ClientProtocol::ALL {
        for protocol in Protocol::ALL {
            let fake = FakeProvider::builder(protocol).lenient().start().await;
            let gateway = Setup::to(&fake, protocol).start().await;
            for model in ["m".to_owned(), format!("up/{evil}"), "up/é\u{0}\u{7f}".to_owned()] {
                let in_path: String = model.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let name = if client == ClientProtocol::Gemini { &in_path } else { &model };
                let (path, mut body) = ask_for(client, name, evil, false);
                match client {
                    ClientProtocol::Chat | ClientProtocol::Responses => {
                        body["user"] = json!(evil);
                        body["safety_identifier"] = json!(evil);
                        body["prompt_cache_key"] = json!(evil);
                        body["service_tier"] = json!(evil);
                        body["metadata"] = json!({ evil: evil });
                    }
                    ClientProtocol::Messages => {
                        body["metadata"] = json!({ "user_id": evil });
                        body["anthropic_beta"] = json!([evil]);
                    }
                    ClientProtocol::Gemini => body["labels"] = json!({ "a": evil }),
                }
                // What a header can hold at most: another separator, another encoding.
                let odd = [("x-client-request-id", "a%0d%0ax-evil: 1"), ("idempotency-key", "a\tb, x-evil: 1")];
                let all: Vec<_> = headers(client).iter().copied().chain(odd).collect();
                let reply = raw::post(gateway.address, &path, &all, &body).await;
                assert!(!reply.headers.contains_key("x-evil"), "{client} to {protocol}");
                drop(reply.bytes().await);
            }
            for request in fake.requests() {
                assert!(request.header("x-evil").is_none(), "{client} to {protocol}");
                assert!(!request.path().contains("evil HTTP") && !request.path().contains(' '), "{}", request.path());
            }
            let malformed = fake.violations().into_iter().find(|text| text.contains("malformed HTTP"));
            assert_eq!(malformed, None, "{client} to {protocol}");
        }
    }
}

#[tokio::test]
async fn a6_no_text_of_a_provider_becomes_a_header() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    for (name, value) in [
        ("x-request-id", "a%0d%0ax-evil: 1"),
        ("x-request-id", "é\u{80}"),
        ("retry-after", "1, x-evil: 1"),
        ("x-polyport-error", "mine"),
        ("x-polyport-target", "elsewhere"),
        ("access-control-allow-origin", "*"),
        ("location", "http://elsewhere/"),
        ("set-cookie", "a=b"),
        ("www-authenticate", "Basic"),
        ("transfer-encoding-x", "chunked"),
    ] {
        fake.script(Step::text("ok").header(name, value));
        let reply = gateway.ask(ClientProtocol::Chat, false).await;
        assert_eq!(reply.status, 200, "{name}");
        let own = name.starts_with("x-polyport") || name == "x-request-id" || name == "retry-after";
        assert!(own || reply.header(name).is_empty(), "{name}");
        assert!(!format!("{:?}", reply.headers.get("x-polyport-target")).contains("elsewhere"));
        assert!(reply.headers.get("x-polyport-error").is_none(), "{name}");
    }
}

#[tokio::test]
async fn a7_a_log_line_stays_one_line_of_plain_text() {
    let evil =
        "m\n2026-01-01T00:00:00Z  INFO request ended status=200 forged\r\u{1b}[31m\u{1b}]0;t\u{7}\u{9b}1m\u{2028}";
    let long = "n".repeat(100_000);
    let fake = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    let log = Log::text();
    for client in ClientProtocol::ALL {
        for name in [evil, &long] {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let in_path = encoded.get(..encoded.len().min(9000)).unwrap();
            let name = if client == ClientProtocol::Gemini { in_path } else { name };
            // As the model, as one of the provider, as an id, as an address.
            let direct = format!("up/{name}");
            for model in [name, direct.as_str()] {
                drop(gateway.send(client, &ask_for(client, model, "hi", false)).await.bytes().await);
            }
            drop(raw::get(gateway.address, &format!("/v1/responses/{in_path}"), &[]).await);
            drop(raw::get(gateway.address, &format!("/{in_path}"), &[]).await);
        }
        // What the provider says goes into the log as little.
        fake.script(Step::error(400, evil));
        drop(gateway.ask(client, false).await);
        fake.script(Step::answer(Answer { model: Some(evil.to_owned()), ..Answer::default().text(evil) }));
        drop(gateway.ask(client, true).await.bytes().await);
    }
    gateway.idle().await;
    let log = log.read();
    assert!(log.lines().count() > 10, "{log}");
    for line in log.lines() {
        assert!(!line.contains(|c: char| c.is_control() || c == '\u{2028}'), "{line:?}");
        assert!(!line.starts_with("2026-01-01") && line.len() < 2500, "{line:?}");
    }
}

#[tokio::test]
async fn a11_no_page_reaches_an_open_gateway_by_another_way() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    // A page in a sandboxed frame has no name to check.
    let (path, body) = ask(ClientProtocol::Chat, false);
    let reply = raw::post(gateway.address, &path, &[("origin", "null")], &body).await;
    assert_eq!(refused(ClientProtocol::Chat, reply).await.0, 403);
    // A name that points here is no better in HTTP/2, where it stands elsewhere.
    let mut frames = Frames::open(&gateway, &[]).await;
    frames.send(&frame(HEADERS, END_HEADERS, 1, &block(&with(b":authority", b"evil.example")))).await;
    frames.send(&frame(DATA, END_STREAM, 1, BODY)).await;
    assert!(!matches!(frames.fate(1).await, Heard::Status(200)));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a17_a_path_leads_nowhere_but_to_its_route() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    // With a second provider there is none that has every model.
    let gateway = Setup::to(&fake, Protocol::Chat).fake("spare", &fake, Protocol::Chat).start().await;
    for path in [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/%252e%252e/etc/passwd",
        "/.env",
        "/polyport.yaml",
        "/data/carrier.key",
        "/v1/../../etc/passwd",
        "/v1/../metrics/x",
        "/v1/models/../../../etc/passwd",
        "/v1/models/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/responses/..%2f..%2fetc%2fpasswd",
        "/v1/responses/resp_%00",
        "/v1/files/../../etc/passwd",
        "/v1beta/models/..%2f..%2fetc%2fpasswd",
        "/v1beta/files/..%5c..%5cwindows",
        "//etc/passwd",
        "/v1//chat/completions",
        "/v1/chat/completions/..",
        "/metrics/..",
        "/healthz/../metrics",
        "/static/../../etc/passwd",
        "/admin/..%2f..%2fetc%2fpasswd",
        "/\\..\\..\\etc\\passwd",
    ] {
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let mut client = gateway.raw().await;
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            client.send(request.as_bytes()).await.unwrap();
            let answer = client.answer().await;
            assert!(matches!(answer.status, 400 | 404 | 405), "{method} {path}: {}", answer.status);
            let body = String::from_utf8(answer.body).unwrap();
            assert!(!body.contains("root:") && !body.contains("polyport_"), "{method} {path}: {body}");
        }
    }
    assert!(fake.requests().is_empty());
}

/// Text that looks like the end of a stream, a frame, a tag or a call in every protocol.
const IMITATION: &str = "\n\ndata: [DONE]\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\r\n\r\n\
    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1}}\n\n: ping\n\n\
    event: error\ndata: {\"error\":{\"message\":\"x\"}}\n\n\u{2028}\u{85}\u{b}\u{c}\"}]}}\\\",\\u0022 </think><tool_call>{\"name\":\"f\"}</tool_call>\
    \"finish_reason\":\"stop\" \"usage\":{} \"model\":\"m\" \u{1b}[2J\0";

#[tokio::test]
async fn a18_text_that_imitates_a_protocol_stays_text() {
    for client in ClientProtocol::ALL {
        for protocol in Protocol::ALL {
            let fake = FakeProvider::start(protocol).await;
            let gateway = Setup::to(&fake, protocol).start().await;
            for stream in [false, true] {
                let name = format!("{client} to {protocol}, stream {stream}");
                // As the prompt, and as the model's answer to it.
                fake.script(Step::answer(Answer::default().text(IMITATION)));
                let reply = gateway.send(client, &ask_for(client, "m", IMITATION, stream)).await;
                let said = read(client, stream, reply).await;
                assert_eq!(said.text(), IMITATION, "{name}");
                assert!(said.failure.is_none(), "{name}");
                let seen = fake.last().json().to_string();
                let quoted = serde_json::to_string(IMITATION).unwrap();
                assert!(seen.contains(quoted.trim_matches('"')), "{name}: {seen}");
                // As the arguments of a call.
                let (path, mut body) = ask(client, stream);
                body["tools"] = tool(client);
                let arguments = json!({ "text": IMITATION });
                fake.script(Step::tool("f", &arguments.to_string()));
                let said = read(client, stream, gateway.send(client, &(path, body)).await).await;
                assert_eq!(said.tool_calls().len(), 1, "{name}");
                assert_eq!(said.tool_calls()[0].json(), arguments, "{name}");
                // As the message of an error.
                fake.script(Step::error(400, IMITATION));
                let (status, told) = refused(client, gateway.ask(client, stream).await).await;
                assert_eq!(status, 400, "{name}: {told:?}");
            }
            // As the message of an error in the middle of a stream.
            fake.script(Step::answer(Answer::default().text("half").error(IMITATION)));
            let bytes = gateway.ask(client, true).await.bytes().await.unwrap();
            let said = Check::new(client).stream(&bytes);
            let said =
                said.unwrap_or_else(|e| panic!("{client} to {protocol}: {e}\n{}", String::from_utf8_lossy(&bytes)));
            assert_eq!(said.text(), "half", "{client} to {protocol}");
            assert!(said.failure.is_some(), "{client} to {protocol}");
        }
    }
}

fn tool(client: ClientProtocol) -> serde_json::Value {
    let schema = json!({ "type": "object", "properties": { "text": { "type": "string" } } });
    match client {
        ClientProtocol::Chat => {
            json!([{ "type": "function", "function": { "name": "f", "description": "d", "parameters": schema } }])
        }
        ClientProtocol::Responses => {
            json!([{ "type": "function", "name": "f", "description": "d", "parameters": schema, "strict": false }])
        }
        ClientProtocol::Messages => json!([{ "name": "f", "description": "d", "input_schema": schema }]),
        ClientProtocol::Gemini => {
            json!([{ "functionDeclarations": [{ "name": "f", "description": "d", "parametersJsonSchema": schema }] }])
        }
    }
}
