//! Defects that other gateways had on the way between their two sides; `docs/KNOWN_BUGS.md` lists them all. A test is named after its
//! number.

use std::time::Duration;

use polyport_server::config::{Access, KeyHash, Limits};
use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, Cut, FakeProvider, Hold, Step};
use polyport_testkit::raw::{RawClient, get, post, send};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::json;

use crate::provider_faults::{ask, two};
use crate::support::{Gateway, http, one, provider, request, several, sum};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;

#[tokio::test]
async fn kb_11_12_signs_of_life_come_after_a_long_silence_only() {
    assert!(Limits::default().keep_alive >= Duration::from_secs(15));
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.always(Step::sse(": ping\n\n: OPENROUTER PROCESSING\n\ndata: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for client in [ClientProtocol::Responses, ClientProtocol::Messages, ClientProtocol::Gemini] {
        let (_, body) = ask(&gateway, client, true).await;
        assert!(!body.lines().any(|line| line.starts_with(':')), "{client}: {body}");
    }
}

#[tokio::test]
async fn kb_17_18_streams_are_neither_packed_nor_held_back_on_the_way() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for client in CLIENTS {
        let (path, body) = request(client, true);
        let answer = post(gateway.address, path, &[("accept-encoding", "gzip, br, zstd")], &body).await;
        assert_eq!(answer.header("content-encoding"), "", "{client}");
        assert_eq!(answer.header("x-accel-buffering"), "no", "{client}");
        assert!(answer.header("cache-control").contains("no-cache"), "{client}");
    }
}

#[tokio::test]
async fn kb_29_136_every_stream_is_what_the_strictest_reader_takes() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        fake.always(Step::answer(Answer::default().text("words").tool("t", "{\"a\":1}")));
        for client in CLIENTS {
            let (_, body) = ask(&gateway, client, true).await;
            let read = Check::new(client).stream(body.as_bytes()).unwrap_or_else(|why| panic!("{client} {to}: {why}"));
            assert_eq!(read.tool_calls()[0].arguments, "{\"a\":1}", "{client} to {to}");
            if matches!(client, ClientProtocol::Messages | ClientProtocol::Responses) {
                let frames: Vec<&str> = body.split("\n\n").filter(|frame| !frame.is_empty()).collect();
                assert!(frames.iter().all(|frame| frame.starts_with("event: ")), "{client} to {to}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn kb_31_111_125_after_the_first_output_nobody_else_is_asked() {
    for to in Protocol::ALL {
        for client in CLIENTS {
            let (first, second, gateway) = two(to).await;
            first.always(Step::text("one two three four five six").cut_after_events(6, Cut::Close));
            let (status, body) = ask(&gateway, client, true).await;
            assert_eq!(status, 200);
            let read = Check::new(client).stream(body.as_bytes()).unwrap_or_else(|why| panic!("{client} {to}: {why}"));
            assert!(read.failure.is_some() && !body.contains("from the second"), "{client} to {to}: {body}");
            assert!(second.requests().is_empty());
        }
    }
}

#[tokio::test]
async fn kb_35_a_tool_name_in_pieces_is_one_name() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let delta = |call: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,{call}}}]}},\"finish_reason\":{finish}}}]}}\n\n"
        )
    };
    let stream = [
        delta("\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"get_\",\"arguments\":\"\"}", "null"),
        delta("\"function\":{\"name\":\"weather\",\"arguments\":\"{}\"}", "null"),
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"
            .to_owned(),
    ];
    fake.always(Step::sse(&stream.concat()));
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let body = json!({
        "model": "m", "stream": true, "max_tokens": 50, "messages": [{"role": "user", "content": "weather?"}],
        "tools": [{"name": "get_weather", "input_schema": {"type": "object"}}],
    });
    let answer = post(gateway.address, "/v1/messages", &[], &body).await.bytes().await.unwrap();
    let read = Check::new(ClientProtocol::Messages).stream(&answer).unwrap();
    let names: Vec<&str> = read.tool_calls().iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["get_weather"]);
}

#[tokio::test]
async fn kb_72_a_provider_that_falls_silent_is_told_to_the_client() {
    let fake = FakeProvider::start(Protocol::Messages).await;
    fake.always(Step::text("one two three").cut_after_events(5, Cut::Hang));
    let mut up = provider("up", Protocol::Messages, &fake.base_url());
    http(&mut up).timeouts.idle = Duration::from_millis(100);
    let gateway = Gateway::start(several(vec![up])).await;
    for client in CLIENTS {
        let (_, body) = ask(&gateway, client, true).await;
        assert!(Check::new(client).stream(body.as_bytes()).unwrap().failure.is_some(), "{client}: {body}");
    }
}

#[tokio::test]
async fn kb_101_usage_that_is_repeated_counts_once() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let chunk = |delta: &str, finish: &str, out: u32| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{out},\"total_tokens\":{}}}}}\n\n",
            10 + out
        )
    };
    let stream = [
        chunk("{\"content\":\"a\"}", "null", 1),
        chunk("{\"content\":\"b\"}", "null", 2),
        chunk("{}", "\"stop\"", 2),
        "data: [DONE]\n\n".to_owned(),
    ];
    fake.always(Step::sse(&stream.concat()));
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for (asked, client) in [(1, ClientProtocol::Messages), (2, ClientProtocol::Chat)] {
        ask(&gateway, client, true).await;
        let figures = get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap();
        let figures = String::from_utf8(figures).unwrap();
        for (kind, each) in [("input", 10), ("output", 2)] {
            let of_kind = format!("gen_ai_token_type=\"{kind}\"");
            let tokens = sum(&figures, "gen_ai_client_token_usage_sum", &[&of_kind]);
            assert_eq!(tokens, f64::from(each * asked), "{client}: {kind}\n{figures}");
        }
    }
}

#[tokio::test]
async fn kb_108_a_stream_nobody_asked_for_becomes_a_whole_answer() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        fake.always(Step::text("collected").streaming(true));
        for client in CLIENTS {
            let (status, body) = ask(&gateway, client, false).await;
            assert_eq!(status, 200, "{client} to {to}: {body}");
            assert_eq!(Check::new(client).answer(body.as_bytes()).unwrap().text(), "collected", "{client} to {to}");
        }
    }
}

#[tokio::test]
async fn kb_113_114_117_118_errors_stay_errors_and_the_same_with_and_without_a_stream() {
    for to in Protocol::ALL {
        for status in [400, 404, 429, 500] {
            for client in CLIENTS {
                // Each on its own gateway: a failure rests what it hit.
                let fake = FakeProvider::start(to).await;
                fake.always(Step::error(status, "the words of the provider"));
                let mut config = one(&fake, to);
                config.retry.max_attempts = 1;
                let (whole, stream) = (Gateway::start(config).await, Gateway::start(one_attempt(&fake, to)).await);
                let (status_whole, whole) = ask(&whole, client, false).await;
                let (status_stream, stream) = ask(&stream, client, true).await;
                assert!(status_whole >= 400, "{client} to {to} {status}: {whole}");
                assert_eq!(status_whole, status_stream, "{client} to {to} {status}");
                let read = |body: &str| {
                    let failure = Check::new(client).failure(body.as_bytes());
                    failure.unwrap_or_else(|why| panic!("{client} to {to} {status}: {why}\n{body}"))
                };
                assert_eq!(read(&whole).kind, read(&stream).kind, "{client} to {to} {status}");
                assert!(whole.contains("the words of the provider"), "{client} to {to} {status}: {whole}");
            }
        }
    }
}

fn one_attempt(fake: &FakeProvider, to: Protocol) -> polyport_server::config::Config {
    let mut config = one(fake, to);
    config.retry.max_attempts = 1;
    config
}

#[tokio::test]
async fn kb_116_the_gateways_own_errors_speak_the_clients_protocol() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    config.access = Access::default().with_key("ci", KeyHash::of("pp-0123456789abcdef"));
    let gateway = Gateway::start(config).await;
    for client in CLIENTS {
        for stream in [false, true] {
            let (status, body) = ask(&gateway, client, stream).await;
            assert_eq!(status, 401, "{client}");
            Check::new(client).failure(body.as_bytes()).unwrap();
            assert!(!body.contains("None") && !body.contains("undefined"), "{body}");
        }
    }
}

#[tokio::test]
async fn kb_121_an_account_without_money_rests() {
    for step in
        [Step::error(402, "Insufficient Balance"), Step::error(400, "Your credit balance is too low to access the API")]
    {
        let (first, second, gateway) = two(Protocol::Messages).await;
        first.always(step);
        for asked in 1..=5 {
            assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
            assert_eq!((first.requests().len(), second.requests().len()), (1, asked));
        }
    }
}

#[tokio::test]
async fn kb_122_what_rests_is_passed_over_at_once_and_every_time() {
    let (first, second, gateway) = two(Protocol::Chat).await;
    first.always(Step::error(429, "slow down").header("retry-after", "60"));
    for _ in 0..20 {
        assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
    }
    assert_eq!((first.requests().len(), second.requests().len()), (1, 20));
}

#[tokio::test]
async fn kb_123_when_all_rest_the_client_learns_until_when() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.always(Step::error(429, "slow down").header("retry-after", "60"));
    let gateway = Gateway::start(one_attempt(&fake, Protocol::Chat)).await;
    for client in CLIENTS {
        let (path, body) = request(client, true);
        let answer = post(gateway.address, path, &[], &body).await;
        assert!(matches!(answer.status.as_u16(), 429 | 503 | 529), "{client} {}", answer.status);
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        // Up to a second longer, so that many gateways do not come back at once.
        assert!((1..=61).contains(&wait), "{client} {wait}");
    }
    // The refusals of the gateway itself are no failures of the provider.
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn kb_124_headers_alone_are_no_answer() {
    let (first, second) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Chat).await);
    first.always(Step::model().before_body(Hold::Forever));
    second.always(Step::text("from the second"));
    let mut up = provider("a", Protocol::Chat, &first.base_url());
    http(&mut up).timeouts.first_byte = Duration::from_millis(100);
    let gateway = Gateway::start(several(vec![up, provider("b", Protocol::Chat, &second.base_url())])).await;
    for client in CLIENTS {
        let (status, body) = ask(&gateway, client, true).await;
        assert!(status == 200 && body.contains("second"), "{client} {status} {body}");
    }
}

#[tokio::test]
async fn kb_126_a_stream_that_begins_with_an_error_fails_over() {
    for to in Protocol::ALL {
        let (first, second, gateway) = two(to).await;
        first.always(Step::answer(Answer::default().error("Overloaded")));
        let (status, body) = ask(&gateway, ClientProtocol::Chat, true).await;
        assert_eq!(status, 200, "{to}: {body}");
        let read = Check::new(ClientProtocol::Chat).stream(body.as_bytes()).unwrap();
        assert_eq!((read.text(), second.requests().len()), ("from the second", 1), "{to}");
    }
}

#[tokio::test]
async fn kb_129_130_131_132_133_134_a_client_that_leaves_ends_the_call_and_is_nobodys_failure() {
    const LEFT: usize = 40;
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for number in 0..LEFT {
        let (stream, begun) = (number % 2 == 0, number % 4 == 0);
        fake.script(if begun { Step::text("one two three").cut_after_events(4, Cut::Hang) } else { Step::silence() });
        let (path, body) = request(ClientProtocol::Messages, stream);
        let body = body.to_string();
        let mut raw = RawClient::connect(gateway.address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        raw.send(format!("{head}{body}").as_bytes()).await.unwrap();
        let exchanges = fake.wait_for(number + 1).await;
        if begun {
            raw.read_exactly(50).await.unwrap();
        }
        drop(raw);
        let left = exchanges.last().unwrap().left();
        tokio::time::timeout(Duration::from_secs(10), left).await.expect("the call is ended");
    }
    // Nothing rests because clients left, and nothing stays behind.
    assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
    let figures = get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap();
    let figures = String::from_utf8(figures).unwrap();
    for line in ["polyport_inflight_requests 0", "polyport_open_streams 0"] {
        assert!(figures.contains(line), "{line}\n{figures}");
    }
    let left = figures.lines().filter(|line| line.starts_with("polyport_client_disconnects_total"));
    let left: usize = left.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum();
    assert_eq!(left, LEFT, "{figures}");
}

#[tokio::test]
async fn kb_135_a_websocket_probe_is_answered_with_426() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("openai-beta", "responses_websockets=2026-02-06"),
    ];
    let answer = send(gateway.address, "GET", "/v1/responses", &headers, "").await;
    assert_eq!(answer.status, 426);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn kb_138_gemini_clients_get_whole_lines_of_data_even_when_it_fails() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for step in [
            Step::text("one two three four"),
            Step::text("one two three four").cut_after_events(5, Cut::Close),
            Step::answer(Answer::default().text("half").error("Overloaded")),
        ] {
            fake.always(step);
            let (_, body) = ask(&gateway, ClientProtocol::Gemini, true).await;
            assert!(body.ends_with("\n\n") || body.ends_with("\r\n\r\n"), "{to}: {body}");
            let lines = body.lines().filter(|line| !line.is_empty());
            for line in lines {
                let data = line.strip_prefix("data: ").unwrap_or_else(|| panic!("{to}: {line}"));
                serde_json::from_str::<serde_json::Value>(data).unwrap_or_else(|why| panic!("{to}: {why} {line}"));
            }
        }
    }
}
