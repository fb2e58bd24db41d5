//! What ordinary clients get wrong: keys, bodies, names, methods.

use std::net::SocketAddr;

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{FakeProvider, Gate, Hold, Step};
use polyport_testkit::raw::{self, RawAnswer};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Gateway, Log, Setup, ask, ask_for, failure, headers, read, refused};

const KEY: &str = "pp-5f1e0c8a7d6b4938";
const OTHER_KEY: &str = "pp-0a9b8c7d6e5f4a3b";

fn locked(fake: &FakeProvider) -> Setup {
    let keys = format!("access: {{ keys: [{{ name: one, key: {KEY} }}, {{ name: two, key: {OTHER_KEY} }}] }}");
    Setup::to(fake, Protocol::Chat).with(&keys)
}

/// The head of a request that announces a body and sends none.
fn head(client: ClientProtocol, lines: &[u8]) -> Vec<u8> {
    let path = ask(client, false).0;
    let start = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20000\r\n"
    );
    [start.as_bytes(), lines, b"\r\n"].concat()
}

async fn answer_to_head(gateway: &Gateway, bytes: &[u8]) -> RawAnswer {
    let mut client = gateway.raw().await;
    client.send(bytes).await.unwrap();
    client.answer().await
}

#[tokio::test]
async fn c1_without_a_good_key_no_body_is_read_and_nothing_is_told() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = locked(&fake).start().await;
    let doubled = format!("Authorization: Bearer {KEY}\r\nAuthorization: Bearer {KEY}\r\n");
    let bare = format!("Authorization: {KEY}\r\n");
    let shortened = format!("Authorization: Bearer {}\r\n", KEY.trim_end_matches('8'));
    let lengthened = format!("Authorization: Bearer {KEY}8\r\n");
    let long = format!("x-api-key: {}\r\n", "k".repeat(8000));
    let cases: [&[u8]; 16] = [
        b"",
        b"Authorization:\r\n",
        b"Authorization: Bearer\r\n",
        b"Authorization: Bearer \r\n",
        b"Authorization: Bearer \xff\xfe\x80\r\n",
        "Authorization: Bearer clé\r\n".as_bytes(),
        b"Authorization: Basic cHA6cHA=\r\n",
        b"Authorization: Bearer wrong-key-of-nobody\r\n",
        b"x-api-key: wrong-key-of-nobody\r\n",
        b"x-goog-api-key: wrong-key-of-nobody\r\n",
        b"api-key: ' OR 1=1 --\r\n",
        doubled.as_bytes(),
        bare.as_bytes(),
        shortened.as_bytes(),
        lengthened.as_bytes(),
        long.as_bytes(),
    ];
    for client in ClientProtocol::ALL {
        for case in cases {
            let shown = String::from_utf8_lossy(case);
            let answer = answer_to_head(&gateway, &head(client, case)).await;
            assert_eq!(answer.status, 401, "{client} {shown}");
            let told = failure(client, &answer.body);
            let kind = match client {
                ClientProtocol::Chat | ClientProtocol::Responses => "invalid_request_error",
                ClientProtocol::Messages => "authentication_error",
                ClientProtocol::Gemini => "UNAUTHENTICATED",
            };
            assert_eq!(told.kind, kind, "{client} {shown}");
            let everything = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
            for secret in ["wrong-key-of-nobody", KEY, "kkkkkkkk", "OR 1=1"] {
                assert!(!everything.contains(secret), "{client} {shown}: {everything}");
            }
        }
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn c1_every_style_of_key_is_taken_on_every_route() {
    let bearer = format!("Bearer {KEY}");
    let styles = [
        ("authorization", bearer.as_str()),
        ("x-api-key", KEY),
        ("x-goog-api-key", KEY),
        ("api-key", KEY),
        ("?key=", KEY),
    ];
    for client in ClientProtocol::ALL {
        let protocol = Protocol::from(client);
        let fake = FakeProvider::builder(protocol).key("key-of-the-provider").start().await;
        let gateway = Setup::to(&fake, protocol).with(&format!("access: {{ keys: [{KEY}] }}")).start().await;
        for (name, value) in styles {
            let (path, body) = ask(client, false);
            let (path, style) =
                if name == "?key=" { (format!("{path}?key={value}"), None) } else { (path, Some((name, value))) };
            let all: Vec<_> = headers(client).iter().copied().chain(style).collect();
            let reply = raw::post(gateway.address, &path, &all, &body).await;
            assert_eq!(read(client, false, reply).await.text(), "You said: hello there", "{client} {name}");
        }
        // The provider gets its own key and not that of the client.
        for request in fake.requests() {
            let everything = format!("{:?} {} {:?}", request.headers(), request.query(), request.body());
            assert!(!everything.contains(KEY), "{client}: {everything}");
        }
    }
}

#[tokio::test]
async fn c2_of_two_keys_one_counts_for_everything() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = locked(&fake).with("limits: { requests_per_key: 1 }").start().await;
    let (path, body) = ask(ClientProtocol::Chat, false);
    let send = async |headers: &[(&str, &str)]| raw::post(gateway.address, &path, headers, &body).await;
    let (one, two) = (format!("Bearer {KEY}"), format!("Bearer {OTHER_KEY}"));
    let gate = Gate::new();
    fake.script(Step::model().before_headers(Hold::Until(gate.clone())));
    // Key two comes first in the order of precedence, so this request counts for it and for nobody else.
    let both = [("authorization", two.as_str()), ("x-api-key", KEY)];
    let held = async { send(&both).await };
    let others = async {
        fake.wait_for(1).await;
        let (status, told) = refused(ClientProtocol::Chat, send(&[("authorization", two.as_str())]).await).await;
        assert_eq!((status, told.code.as_str()), (429, "rate_limit_exceeded"));
        assert_eq!(send(&[("authorization", one.as_str())]).await.status, 200);
        gate.open();
    };
    let (held, ()) = tokio::join!(held, others);
    assert_eq!(held.status, 200);
    // A key that nobody has does not spoil one that is good, wherever it stands.
    let wrong_first = [("authorization", "Bearer nobody"), ("x-api-key", KEY)];
    let wrong_last = [("authorization", one.as_str()), ("x-api-key", "nobody")];
    assert_eq!(send(&wrong_first).await.status, 200);
    assert_eq!(send(&wrong_last).await.status, 200);
}

/// The gateways at which bodies are tried: the provider speaks the client's protocol, or another one.
async fn both_ways(client: ClientProtocol) -> Vec<(FakeProvider, Gateway)> {
    let own = Protocol::from(client);
    let other = if own == Protocol::Chat { Protocol::Messages } else { Protocol::Chat };
    let mut ways = Vec::new();
    for protocol in [own, other] {
        let fake = FakeProvider::builder(protocol).lenient().start().await;
        // With a second provider there is none that gets all unknown names.
        let gateway = Setup::to(&fake, protocol).fake("spare", &fake, protocol).start().await;
        ways.push((fake, gateway));
    }
    ways
}

async fn post_bytes(gateway: &Gateway, client: ClientProtocol, body: Vec<u8>) -> raw::Reply {
    let mut all = vec![("content-type", "application/json")];
    all.extend_from_slice(headers(client));
    raw::send(gateway.address, "POST", &ask(client, false).0, &all, body).await
}

#[tokio::test]
async fn c3_a_body_that_is_not_one_json_object_is_refused_with_the_place() {
    for client in ClientProtocol::ALL {
        let good = ask(client, false).1.to_string();
        let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&str, Vec<u8>); 15] = [
            ("empty", Vec::new()),
            ("blank", b" \r\n ".to_vec()),
            ("word", b"nope".to_vec()),
            ("null", b"null".to_vec()),
            ("number", b"1".to_vec()),
            ("string", b"\"text\"".to_vec()),
            ("array", format!("[{good}]").into_bytes()),
            ("cut", good.get(..good.len() - 1).unwrap().into()),
            ("cut in a string", good.get(..good.len() - 5).unwrap().into()),
            ("more bytes", format!("{good}x").into_bytes()),
            ("two", format!("{good}{good}").into_bytes()),
            ("two lines", format!("{good}\n{good}").into_bytes()),
            ("BOM", format!("\u{feff}{good}").into_bytes()),
            ("UTF-16", utf16),
            ("form", b"model=m&messages=hi".to_vec()),
        ];
        for (fake, gateway) in both_ways(client).await {
            for (name, body) in &cases {
                let (status, told) = refused(client, post_bytes(&gateway, client, body.clone()).await).await;
                assert_eq!(status, 400, "{client} {name}: {told:?}");
                // Good JSON that is no object is wrong as a whole; everything else is wrong somewhere.
                let whole = matches!(*name, "null" | "number" | "string" | "array");
                let place = told.message.contains("column") || told.message.contains("byte");
                assert!(whole || place, "{client} {name}: no place in {:?}", told.message);
            }
            assert!(fake.requests().is_empty(), "{client}");
        }
    }
}

#[tokio::test]
async fn c4_json_without_a_bottom_is_refused_and_the_stack_stays_whole() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for client in ClientProtocol::ALL {
        let good = ask(client, false).1.to_string();
        let with = |member: &str| {
            format!("{},{member}}}", good.trim_end_matches('}').to_owned() + &"}".repeat(closing(&good) - 1))
        };
        let cases = [
            deep("[", "]"),
            deep("{\"a\":", "}"),
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            with(&format!("\"unknown\":{}", deep("[", "]"))),
            with(&format!("\"unknown\":{}", deep("{\"a\":", "1}").replace("1}", "}"))),
            with(&format!("\"tools\":{}", deep("[", "]"))),
            with(&format!("\"tools\":[{{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}}}]", deep("[", "]"))),
            with(&format!("\"metadata\":{{\"a\":{}}}", deep("[", "]"))),
            good.replace("\"hello there\"", &deep("[", "]")),
        ];
        for (fake, gateway) in both_ways(client).await {
            for (number, body) in cases.iter().enumerate() {
                let (status, told) =
                    refused(client, post_bytes(&gateway, client, body.clone().into_bytes()).await).await;
                assert_eq!(status, 400, "{client} case {number}: {told:?}");
            }
            assert!(fake.requests().is_empty(), "{client}");
            // The process lives and goes on.
            let reply = gateway.ask(client, false).await;
            assert_eq!(reply.status, 200, "{client}");
        }
    }
}

/// How many braces a text ends with.
fn closing(text: &str) -> usize {
    text.len() - text.trim_end_matches('}').len()
}

#[tokio::test]
async fn c5_of_repeated_members_the_last_one_counts_for_routing_and_provider() {
    for client in [ClientProtocol::Chat, ClientProtocol::Responses, ClientProtocol::Messages] {
        for (fake, gateway) in both_ways(client).await {
            let good = ask(client, false).1.to_string();
            let twice = good.replacen('{', "{\"model\":\"nowhere\",\"temperature\":0.25,\"temperature\":0.75,", 1);
            let reply = post_bytes(&gateway, client, twice.clone().into_bytes()).await;
            assert_eq!(reply.status, 200, "{client}");
            let seen = fake.last();
            let text = String::from_utf8(seen.body().to_vec()).unwrap();
            assert_eq!(text.matches("\"model\"").count(), 1, "{client}: {text}");
            assert_eq!(text.matches("\"temperature\"").count(), 1, "{client}: {text}");
            assert_eq!(seen.json()["model"], "m", "{client}: {text}");
            assert_eq!(seen.json()["temperature"], 0.75, "{client}: {text}");
            // The other way round the last one does not exist, whatever the first one says.
            let wrong = good.replacen("\"model\":\"m\"", "\"model\":\"m\",\"model\":\"nowhere-at-all\"", 1);
            let (status, _) = refused(client, post_bytes(&gateway, client, wrong.into_bytes()).await).await;
            assert_eq!(status, 404, "{client}");
        }
    }
}

/// A body whose text is these raw bytes of a JSON string.
fn with_text(client: ClientProtocol, text: &[u8]) -> Vec<u8> {
    let good = ask(client, false).1.to_string();
    let at = good.find("hello there").unwrap();
    let (before, after) = good.split_at(at);
    [before.as_bytes(), text, after.trim_start_matches("hello there").as_bytes()].concat()
}

#[tokio::test]
async fn c6_odd_characters_are_kept_or_refused_never_replaced() {
    for client in ClientProtocol::ALL {
        for (fake, gateway) in both_ways(client).await {
            for text in [&b"\xff\xfe"[..], b"a\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf"] {
                let (status, _) = refused(client, post_bytes(&gateway, client, with_text(client, text)).await).await;
                assert_eq!(status, 400, "{client}: {text:?}");
            }
            assert!(fake.requests().is_empty(), "{client}: text that is no UTF-8 reached the provider");
            for text in ["a\\u0000b", "\\u001b[31m", "\u{feff}\u{202e}\u{1f600}\\ud83d\\ude00 \\\\ud800 \u{2028}"] {
                let reply = post_bytes(&gateway, client, with_text(client, text.as_bytes())).await;
                assert_eq!(reply.status, 200, "{client}: {text:?}");
                let meant: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
                assert!(holds(&fake.last().json(), &meant), "{client}: {text:?} became {:?}", fake.last().body());
            }
            // Half a character: refused, or the same escape at the provider.
            for text in ["\\ud800", "x\\udc00y", "\\ud800\\ud800"] {
                let before = fake.requests().len();
                let reply = post_bytes(&gateway, client, with_text(client, text.as_bytes())).await;
                if reply.status == 400 {
                    assert_eq!(fake.requests().len(), before, "{client}: {text:?}");
                } else {
                    let seen = String::from_utf8(fake.last().body().to_vec()).unwrap();
                    assert!(seen.contains(text), "{client}: {text:?} became {seen}");
                }
            }
        }
    }
}

/// Whether one of the strings in a value is `text`.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| holds(item, text)),
        Value::Object(members) => members.values().any(|member| holds(member, text)),
        _ => false,
    }
}

#[tokio::test]
async fn c6_a_string_of_ten_megabytes_arrives_whole() {
    let text = "0123456789abcde\n".repeat(10 << 16);
    for (client, protocol) in [(ClientProtocol::Chat, Protocol::Chat), (ClientProtocol::Messages, Protocol::Chat)] {
        let (address, received) = bare_provider().await;
        let base_url = format!("http://{address}/v1");
        let gateway = Setup::default().provider("up", protocol, &base_url, "").start().await;
        let reply = gateway.send(client, &ask_for(client, "m", &text, false)).await;
        assert_eq!(reply.status, 200, "{client}");
        let body = received.await.unwrap();
        assert!(holds(&serde_json::from_slice(&body).unwrap(), &text), "{client}");
    }
}

/// A Chat provider that takes one request without judging it; its body can be awaited.
async fn bare_provider() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        let body = loop {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "the request ends early");
            let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(read[..end].to_vec()).unwrap().to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
            if read.len() >= end + 4 + length.parse::<usize>().unwrap() {
                break read.split_off(end + 4);
            }
            read.reserve(1 << 20);
        };
        let answer = json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
            { "index": 0, "message": { "role": "assistant", "content": "ok" }, "finish_reason": "stop" }] });
        let answer = answer.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        body
    });
    (address, received)
}

/// The member of a body that declares one tool with this schema.
fn tool(client: ClientProtocol, schema: &Value) -> Value {
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

#[tokio::test]
async fn c7_numbers_in_schemas_keep_their_text() {
    let numbers = ["1e999", "-0", "9223372036854775808", "0.1", "1.10", "123456789012345678901234567890", "1E+2"];
    for client in ClientProtocol::ALL {
        for (fake, gateway) in both_ways(client).await {
            for number in numbers {
                let schema = json!({ "type": "object", "properties": { "x": { "type": "number", "enum": ["@"] } } });
                let (path, mut body) = ask(client, false);
                body["tools"] = tool(client, &schema);
                let text = body.to_string().replace("\"@\"", number);
                let mut all = vec![("content-type", "application/json")];
                all.extend_from_slice(headers(client));
                let reply = raw::send(gateway.address, "POST", &path, &all, text).await;
                assert_eq!(reply.status, 200, "{client} {number}");
                let seen = String::from_utf8(fake.last().body().to_vec()).unwrap();
                assert!(seen.contains(&format!("[{number}]")), "{client} {number}: {seen}");
            }
        }
    }
}

#[tokio::test]
async fn c8_unknown_members_are_passed_on_or_named() {
    for client in ClientProtocol::ALL {
        for (way, (fake, gateway)) in both_ways(client).await.into_iter().enumerate() {
            let (path, mut body) = ask(client, false);
            body["member_of_tomorrow"] = json!({ "deep": [1, { "x": null }] });
            let reply = gateway.send(client, &(path, body)).await;
            assert_eq!(reply.status, 200, "{client}");
            let (loss, seen) = (reply.header("x-polyport-loss").to_owned(), fake.last().json());
            if way == 0 {
                assert_eq!(seen["member_of_tomorrow"], json!({ "deep": [1, { "x": null }] }), "{client}");
            } else {
                assert!(loss.contains("unknown_field.dropped"), "{client}: lost without a word: {loss:?}");
            }
        }
    }
}

#[tokio::test]
async fn c8_unknown_content_is_passed_on_or_refused() {
    for client in ClientProtocol::ALL {
        for (way, (fake, gateway)) in both_ways(client).await.into_iter().enumerate() {
            let part = match client {
                ClientProtocol::Gemini => json!({ "hologram": { "data": "AAAA" } }),
                _ => json!({ "type": "hologram", "data": "AAAA" }),
            };
            let (path, mut body) = ask(client, false);
            match client {
                ClientProtocol::Chat | ClientProtocol::Messages => {
                    body["messages"][0]["content"] = json!([{ "type": "text", "text": "see" }, part]);
                }
                ClientProtocol::Responses => {
                    body["input"] =
                        json!([{ "role": "user", "content": [{ "type": "input_text", "text": "see" }, part] }]);
                }
                ClientProtocol::Gemini => body["contents"][0]["parts"] = json!([{ "text": "see" }, part]),
            }
            let reply = gateway.send(client, &(path, body)).await;
            let loss = reply.header("x-polyport-loss").to_owned();
            if way == 0 {
                assert_eq!(reply.status, 200, "{client}");
                assert!(fake.last().body().windows(8).any(|window| window == b"hologram"), "{client}");
            } else if reply.status != 200 {
                let (status, told) = refused(client, reply).await;
                assert_eq!(status, 400, "{client}");
                assert!(told.message.contains("hologram") || told.message.contains("[1]"), "{client}: {told:?}");
            } else {
                assert!(loss.contains("unknown_field.dropped"), "{client}: lost without a word: {loss:?}");
            }
        }
    }
}

#[tokio::test]
async fn c9_an_odd_token_limit_is_refused_or_made_good() {
    for client in ClientProtocol::ALL {
        // Same protocol: the provider is the judge of its own numbers. Another one: it gets a number it can take, or nothing.
        let (fake, gateway) = both_ways(client).await.pop().unwrap();
        for limit in [
            json!(-1),
            json!(0),
            json!(null),
            json!(1.5),
            json!(1e30),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(99_999_999_999_u64),
            json!("100"),
            json!("many"),
            json!([]),
            json!({}),
            json!(true),
        ] {
            let (path, mut body) = ask(client, false);
            match client {
                ClientProtocol::Chat => body["max_completion_tokens"] = limit.clone(),
                ClientProtocol::Responses => body["max_output_tokens"] = limit.clone(),
                ClientProtocol::Messages => body["max_tokens"] = limit.clone(),
                ClientProtocol::Gemini => body["generationConfig"] = json!({ "maxOutputTokens": limit }),
            }
            let before = fake.requests().len();
            let reply = gateway.send(client, &(path, body)).await;
            if reply.status == 200 {
                let seen = fake.last().json();
                let got = ["max_tokens", "max_completion_tokens"].iter().find_map(|name| seen.get(name));
                let fits = got.is_none_or(|got| got.as_u64().is_some_and(|got| got > 0));
                assert!(fits, "{client} {limit}: the provider got {got:?}");
            } else {
                let (status, told) = refused(client, reply).await;
                assert_eq!(status, 400, "{client} {limit}: {told:?}");
                assert!(told.message.to_lowercase().contains("max"), "{client} {limit}: {told:?}");
                assert_eq!(fake.requests().len(), before, "{client} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn c17_a_bad_key_is_refused_before_the_body_is_invited() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = locked(&fake).start().await;
    let (path, body) = ask(ClientProtocol::Chat, false);
    let body = body.to_string();
    let head = |key: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\nAuthorization: Bearer {key}\r\n\r\n",
            body.len()
        )
    };
    let mut client = gateway.raw().await;
    client.send(head("nobody").as_bytes()).await.unwrap();
    let start = client.read_exactly(12).await.unwrap();
    assert_eq!(start, b"HTTP/1.1 401");
    let mut client = gateway.raw().await;
    client.send(head(KEY).as_bytes()).await.unwrap();
    let start = client.read_exactly(25).await.unwrap();
    assert_eq!(start, b"HTTP/1.1 100 Continue\r\n\r\n");
    client.send(body.as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn c18_a_model_name_is_matched_as_it_is_and_never_followed() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    // With a second provider there is none that gets all unknown names.
    let gateway = Setup::to(&fake, Protocol::Chat).fake("spare", &fake, Protocol::Chat).start().await;
    let log = Log::text();
    let long = "m".repeat(10_000);
    let names = [
        "m/",
        "/m",
        "m/..",
        "../m",
        "./m",
        "M",
        "m ",
        " m",
        "m\n",
        "m\r\nx-evil: 1",
        "m\0",
        "m%00",
        "%6d",
        "m%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "\u{217f}",
        "\u{ff4d}",
        "m\u{200b}",
        "\u{202e}m",
        "m\u{1b}[31m",
        "*",
        "m*",
        "",
        &long,
    ];
    for client in ClientProtocol::ALL {
        for name in names {
            // In a path the name is encoded once, as every client library does.
            let encoded = percent(name);
            let in_path = if client == ClientProtocol::Gemini { &encoded } else { name };
            let reply = gateway.send(client, &ask_for(client, in_path, "hi", false)).await;
            let headers = format!("{:?}", reply.headers);
            let (status, told) = refused(client, reply).await;
            let expected = match (client, name) {
                // Without a name there is no such path.
                (ClientProtocol::Gemini, "") => 405,
                (_, "") => 400,
                _ => 404,
            };
            assert_eq!(status, expected, "{client} {name:?}: {told:?}");
            assert!(told.message.len() < 1000, "{client}: a name of {} bytes is told in full", name.len());
            assert!(!headers.contains("x-evil"), "{client} {name:?}: {headers}");
        }
    }
    assert!(fake.requests().is_empty());
    let log = log.read();
    assert!(!log.contains('\u{1b}') && !log.contains("\r") && !log.contains('\0'), "{log:?}");
    assert!(log.lines().all(|line| line.len() < 2000));
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

#[tokio::test]
async fn c18_a_model_name_stays_one_segment_of_the_providers_path() {
    let fake = FakeProvider::builder(Protocol::Gemini).lenient().start().await;
    let gateway = Setup::to(&fake, Protocol::Gemini).start().await;
    for name in ["../../files", "a/b", "a?x=1", "a#b", "a%2fb", "..", "a b", "a:deleteAll", "é"] {
        let before = fake.requests().len();
        let reply = gateway
            .send(ClientProtocol::Chat, &ask_for(ClientProtocol::Chat, &format!("up/{name}"), "hi", false))
            .await;
        let seen = fake.requests().split_off(before);
        if seen.is_empty() {
            let (status, told) = refused(ClientProtocol::Chat, reply).await;
            assert!(matches!(status, 400 | 404), "{name}: {status} {told:?}");
            continue;
        }
        let path = seen[0].path();
        let segment = path.strip_prefix("/v1beta/models/").and_then(|rest| rest.strip_suffix(":generateContent"));
        let segment = segment.unwrap_or_else(|| panic!("{name}: {path}"));
        assert!(!segment.contains(['/', '?', '#', ' ', ':']), "{name}: {path}");
        assert_eq!(seen[0].query(), "", "{name}");
    }
}

#[tokio::test]
async fn c19_gemini_methods_are_taken_in_every_spelling_that_clients_use() {
    let fake = FakeProvider::start(Protocol::Gemini).await;
    let gateway = Setup::to(&fake, Protocol::Gemini).start().await;
    let client = ClientProtocol::Gemini;
    let body = ask(client, false).1;
    let post = async |path: &str| gateway.send(client, &(path.to_owned(), body.clone())).await;
    // Without `alt=sse` a stream is a JSON array.
    for path in ["/v1beta/models/m:streamGenerateContent", "/v1beta/models/m:streamGenerateContent?alt=json"] {
        let reply = post(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-type").starts_with("application/json"), "{path}");
        let bytes = reply.bytes().await.unwrap();
        let said = Check::new(client).array(&bytes);
        let said = said.unwrap_or_else(|e| panic!("{path}: {e}\n{}", String::from_utf8_lossy(&bytes)));
        assert_eq!(said.text(), "You said: hello there", "{path}");
    }
    let said = read(client, true, post("/v1beta/models/m:streamGenerateContent?alt=sse").await).await;
    assert_eq!(said.text(), "You said: hello there");
    for path in [
        "/v1beta/models/m%3AgenerateContent",
        "/v1beta/models/m%3agenerateContent",
        "/v1/models/m:generateContent",
        "/v1beta/models/m:generateContent?key=x&alt=json&$alt=json;enum-encoding=int",
    ] {
        assert_eq!(read(client, false, post(path).await).await.text(), "You said: hello there", "{path}");
    }
    let before = fake.requests().len();
    for path in [
        "/v1beta/models/m:deleteEverything",
        "/v1beta/models/m:",
        "/v1beta/models/m:generatecontent",
        "/v1beta/models/m:generateContent/x",
        "/v1beta/models/:generateContent",
        "/v1beta/m:generateContent",
    ] {
        let (status, told) = refused(client, post(path).await).await;
        assert!(matches!(status, 404 | 405), "{path}: {status} {told:?}");
    }
    assert_eq!(fake.requests().len(), before);
}

/// What a request may ask for that not every target has, in each client protocol that can ask for it.
fn wishes(client: ClientProtocol) -> Vec<(&'static str, Value)> {
    let schema = json!({ "type": "object", "properties": { "x": { "type": "string" } } });
    let pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let data = format!("data:image/png;base64,{pixel}");
    match client {
        ClientProtocol::Chat => vec![
            ("n", json!({ "n": 2 })),
            ("logprobs", json!({ "logprobs": true, "top_logprobs": 2 })),
            ("tools", json!({ "tools": tool(client, &schema) })),
            (
                "images",
                json!({ "messages": [{ "role": "user", "content": [
                { "type": "text", "text": "see" }, { "type": "image_url", "image_url": { "url": data } }] }] }),
            ),
        ],
        ClientProtocol::Responses => vec![
            ("logprobs", json!({ "include": ["message.output_text.logprobs"], "top_logprobs": 2 })),
            ("tools", json!({ "tools": tool(client, &schema) })),
            (
                "images",
                json!({ "input": [{ "role": "user", "content": [
                { "type": "input_text", "text": "see" }, { "type": "input_image", "image_url": data, "detail": "auto" }] }] }),
            ),
        ],
        ClientProtocol::Messages => vec![
            ("tools", json!({ "tools": tool(client, &schema) })),
            (
                "images",
                json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "see" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": pixel } }] }] }),
            ),
        ],
        ClientProtocol::Gemini => vec![
            ("n", json!({ "generationConfig": { "candidateCount": 2 } })),
            ("logprobs", json!({ "generationConfig": { "responseLogprobs": true, "logprobs": 2 } })),
            ("tools", json!({ "tools": tool(client, &schema) })),
            (
                "images",
                json!({ "contents": [{ "role": "user", "parts": [
                { "text": "see" }, { "inlineData": { "mimeType": "image/png", "data": pixel } }] }] }),
            ),
        ],
    }
}

#[tokio::test]
async fn c20_what_a_target_cannot_do_is_translated_or_refused_by_name() {
    for client in ClientProtocol::ALL {
        for protocol in Protocol::ALL {
            for able in [true, false] {
                let fake = FakeProvider::start(protocol).await;
                let abilities = "capabilities: { up/m: { tools: false, images: false, logprobs: false } }";
                let setup = Setup::to(&fake, protocol);
                let gateway = if able { setup } else { setup.with(abilities) }.start().await;
                for (wish, members) in wishes(client) {
                    let name = format!("{client} to {protocol}, able {able}, {wish}");
                    let (path, mut body) = ask(client, true);
                    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
                    let reply = gateway.send(client, &(path, body)).await;
                    if reply.status == 200 {
                        let said = read(client, true, reply).await;
                        assert!(said.failure.is_none() && !said.text().is_empty(), "{name}: {said:?}");
                    } else {
                        let (status, told) = refused(client, reply).await;
                        assert_eq!(status, 400, "{name}: {told:?}");
                        let named = ["tools", "content", "input", "parts", "image", "n:", "logprobs"];
                        assert!(named.iter().any(|field| told.message.contains(field)), "{name}: {told:?}");
                    }
                }
                fake.assert_no_violations();
            }
        }
    }
}

#[tokio::test]
async fn c21_an_address_in_a_request_is_never_fetched() {
    // Somebody on a private address, who would notice.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hosts =
        ["127.0.0.1", "localhost", "0.0.0.0", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "user@127.0.0.1"];
    let addresses: Vec<String> = hosts
        .iter()
        .map(|host| format!("http://{host}:{port}/secret.png"))
        .chain(["http://169.254.169.254/latest/meta-data/".to_owned(), "file:///etc/passwd".to_owned()])
        .collect();
    for client in ClientProtocol::ALL {
        for protocol in Protocol::ALL {
            let fake = FakeProvider::builder(protocol).lenient().start().await;
            let gateway = Setup::to(&fake, protocol).start().await;
            for address in &addresses {
                for media in ["image", "file"] {
                    let name = format!("{client} to {protocol}, {media} at {address}");
                    let (path, mut body) = ask(client, false);
                    let text = match client {
                        ClientProtocol::Responses => json!({ "type": "input_text", "text": "see" }),
                        ClientProtocol::Gemini => json!({ "text": "see" }),
                        _ => json!({ "type": "text", "text": "see" }),
                    };
                    let part = match (client, media) {
                        (ClientProtocol::Chat, "image") => {
                            json!({ "type": "image_url", "image_url": { "url": address } })
                        }
                        (ClientProtocol::Chat, _) => json!({ "type": "file", "file": { "file_data": address } }),
                        (ClientProtocol::Responses, "image") => json!({ "type": "input_image", "image_url": address }),
                        (ClientProtocol::Responses, _) => json!({ "type": "input_file", "file_url": address }),
                        (ClientProtocol::Messages, "image") => {
                            json!({ "type": "image", "source": { "type": "url", "url": address } })
                        }
                        (ClientProtocol::Messages, _) => {
                            json!({ "type": "document", "source": { "type": "url", "url": address } })
                        }
                        (ClientProtocol::Gemini, "image") => {
                            json!({ "fileData": { "fileUri": address, "mimeType": "image/png" } })
                        }
                        (ClientProtocol::Gemini, _) => {
                            json!({ "fileData": { "fileUri": address, "mimeType": "application/pdf" } })
                        }
                    };
                    match client {
                        ClientProtocol::Responses => {
                            body["input"] = json!([{ "role": "user", "content": [text, part] }])
                        }
                        ClientProtocol::Gemini => body["contents"][0]["parts"] = json!([text, part]),
                        _ => body["messages"][0]["content"] = json!([text, part]),
                    }
                    let before = fake.requests().len();
                    let reply = gateway.send(client, &(path, body)).await;
                    if reply.status == 200 {
                        // Passed on as it is, for the provider to judge.
                        let seen = fake.requests().split_off(before).remove(0).json();
                        assert!(seen.to_string().contains(address.as_str()), "{name}: {seen}");
                    } else {
                        assert_eq!(refused(client, reply).await.0, 400, "{name}");
                        assert_eq!(fake.requests().len(), before, "{name}");
                    }
                }
            }
        }
    }
    let visited = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(visited.is_err(), "somebody came");
}

#[tokio::test]
async fn c24_an_upgrade_is_refused_or_ignored_and_nothing_is_tunnelled() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for path in ["/v1/responses", "/v1/realtime", "/v1/chat/completions", "/"] {
        let mut client = gateway.raw().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{websocket}\r\n");
        client.send(request.as_bytes()).await.unwrap();
        let answer = client.answer().await;
        assert!(answer.status != 101 && answer.status < 500, "{path}: {}", answer.status);
        if path == "/v1/responses" {
            assert_eq!(answer.status, 426);
        }
    }
    // Settings of HTTP/2 in HTTP/1.1: the request is answered in HTTP/1.1, and what follows is the next request, not frames.
    let (path, body) = ask(ClientProtocol::Chat, false);
    let body = body.to_string();
    let mut client = gateway.raw().await;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n{body}",
        body.len()
    );
    client.send(request.as_bytes()).await.unwrap();
    let answer = client.answer().await;
    assert_eq!(answer.status, 200);
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let rest = client.read_to_close(1 << 16).await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 4"), "{rest}");
    assert_eq!(fake.requests().len(), 1);
}
