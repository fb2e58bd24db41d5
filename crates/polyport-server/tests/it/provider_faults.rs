//! Providers that fail in every way.

use std::time::Duration;

use polyport_provider::ClientSettings;
use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, Cut, FakeProvider, Hold, Step};
use polyport_testkit::raw::post;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::Value;

use crate::support::{Gateway, http, one, provider, request, several};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;

/// Two providers of the protocol, the first of which is asked first.
pub(crate) async fn two(protocol: Protocol) -> (FakeProvider, FakeProvider, Gateway) {
    let (first, second) = (FakeProvider::start(protocol).await, FakeProvider::start(protocol).await);
    second.always(Step::text("from the second"));
    let config = several(vec![provider("a", protocol, &first.base_url()), provider("b", protocol, &second.base_url())]);
    let gateway = Gateway::start(config).await;
    (first, second, gateway)
}

/// Asks and gives status and body.
pub(crate) async fn ask(gateway: &Gateway, client: ClientProtocol, stream: bool) -> (u16, String) {
    let (path, body) = request(client, stream);
    let answer = post(gateway.address, path, &[], &body).await;
    let status = answer.status.as_u16();
    (status, String::from_utf8(answer.bytes().await.unwrap_or_default()).unwrap())
}

/// A failure of the first provider that the second one must heal without the client noticing.
async fn heals(protocol: Protocol, step: &Step, name: &str) {
    for client in [ClientProtocol::Chat, ClientProtocol::Messages] {
        for stream in [false, true] {
            let (first, second, gateway) = two(protocol).await;
            first.always(step.clone());
            let (status, body) = ask(&gateway, client, stream).await;
            assert_eq!(status, 200, "{name} {client} stream {stream}: {body}");
            let check = Check::new(client);
            let read = if stream { check.stream(body.as_bytes()) } else { check.answer(body.as_bytes()) };
            assert_eq!(read.unwrap().choices[0].text, "from the second", "{name} {client} stream {stream}");
            assert_eq!(second.requests().len(), 1);
        }
    }
}

#[tokio::test]
async fn u1_refused_connections_fail_over() {
    let second = FakeProvider::start(Protocol::Chat).await;
    let nowhere = format!("http://{}/v1", FakeProvider::refused_address());
    let config =
        several(vec![provider("a", Protocol::Chat, &nowhere), provider("b", Protocol::Chat, &second.base_url())]);
    let gateway = Gateway::start(config).await;
    let (path, body) = request(ClientProtocol::Messages, false);
    let answer = post(gateway.address, path, &[], &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-polyport-target"), "b/m");
    // Alone it is an error of the gateway, without the address.
    for client in CLIENTS {
        let gateway = Gateway::start(several(vec![provider("a", Protocol::Chat, &nowhere)])).await;
        let (status, body) = ask(&gateway, client, true).await;
        assert!(status >= 500, "{status}");
        assert!(!body.contains("127.0.0.1") && body.contains("provider `a`"), "{body}");
        Check::new(client).failure(body.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn u2_a_stalled_handshake_is_given_up() {
    // Accepts and says nothing: the TLS handshake never ends.
    let stalled = FakeProvider::start(Protocol::Chat).await;
    let second = FakeProvider::start(Protocol::Chat).await;
    let mut first = provider("a", Protocol::Chat, &stalled.base_url().replace("http://", "https://"));
    let client = ClientSettings { connect_timeout: Duration::from_millis(200), ..http(&mut first).client.clone() };
    http(&mut first).client = client;
    let gateway = Gateway::start(several(vec![first, provider("b", Protocol::Chat, &second.base_url())])).await;
    assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
    assert_eq!(second.requests().len(), 1);
}

#[tokio::test]
async fn u4_a_rate_limit_moves_on_at_once_and_rests_the_target() {
    let (first, second, gateway) = two(Protocol::Chat).await;
    first.always(Step::error(429, "slow down").header("retry-after", "60"));
    for asked in 1..=3 {
        assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
        assert_eq!((first.requests().len(), second.requests().len()), (1, asked));
    }
    // When all rest, the client learns when to come back.
    second.always(Step::error(429, "slow down").header("retry-after", "30"));
    let (path, body) = request(ClientProtocol::Messages, false);
    let answer = post(gateway.address, path, &[], &body).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "30");
    let answer = post(gateway.address, path, &[], &body).await;
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!(answer.status.as_u16() >= 429 && (1..=31).contains(&wait), "{} {wait}", answer.status);
    assert_eq!(first.requests().len(), 1);
}

#[tokio::test]
async fn u5_the_next_credential_is_tried_and_a_provider_401_is_never_the_clients() {
    let fake = FakeProvider::builder(Protocol::Chat).key("good").start().await;
    let style = polyport_provider::AuthStyle::of_protocol(Protocol::Chat);
    let key = |text: &str| {
        let header = style.header(&polyport_types::Secret::new(text.to_owned())).unwrap();
        polyport_server::config::Credential::key(text.to_owned(), header)
    };
    let mut up = provider("up", Protocol::Chat, &fake.base_url());
    http(&mut up).credentials = vec![key("bad"), key("good")];
    let gateway = Gateway::start(several(vec![up])).await;
    for _ in 0..4 {
        assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
    }
    let mut up = provider("up", Protocol::Chat, &fake.base_url());
    http(&mut up).credentials = vec![key("bad")];
    let gateway = Gateway::start(several(vec![up])).await;
    for client in CLIENTS {
        let (status, body) = ask(&gateway, client, false).await;
        assert!(status >= 500 && !body.contains("bad\""), "{status} {body}");
    }
}

#[tokio::test]
async fn u7_errors_before_output_fail_over() {
    for status in [500, 502, 503, 504, 529] {
        heals(Protocol::Chat, &Step::error(status, "boom"), &status.to_string()).await;
    }
    heals(Protocol::Chat, &Step::html(502), "html").await;
    heals(Protocol::Chat, &Step::html(200), "html with 200").await;
    heals(Protocol::Chat, &Step::json(""), "empty 200").await;
    heals(Protocol::Chat, &Step::close(), "closed").await;
    heals(Protocol::Chat, &Step::reset(), "reset").await;
}

#[tokio::test]
async fn u7_a_page_of_html_never_reaches_the_client() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    fake.always(Step::html(502));
    for client in CLIENTS {
        let (status, body) = ask(&gateway, client, true).await;
        assert!(status >= 500 && !body.contains("<html"), "{body}");
    }
}

#[tokio::test]
async fn u8_errors_inside_a_200_fail_over_or_are_told() {
    heals(
        Protocol::Chat,
        &Step::json(r#"{"error":{"message":"overloaded","type":"server_error","code":503}}"#),
        "json",
    )
    .await;
    heals(Protocol::Chat, &Step::sse("data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"), "stream")
        .await;
    heals(Protocol::Messages, &Step::answer(Answer::default().error("Overloaded")), "after the start").await;
}

#[tokio::test]
async fn u8_an_error_in_the_middle_is_told_in_the_clients_protocol() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        fake.always(Step::answer(Answer::default().text("half an answer").error("Overloaded")));
        for client in CLIENTS {
            let gateway = Gateway::to(&fake, to).await;
            let (status, body) = ask(&gateway, client, true).await;
            assert_eq!(status, 200);
            if client == ClientProtocol::Responses {
                // The schema lists fewer codes than the service sends.
                assert!(body.contains("event: response.failed"), "{body}");
            } else {
                let read = Check::new(client).stream(body.as_bytes()).unwrap();
                assert!(read.failure.is_some(), "{client} to {to}: {body}");
            }
            // Without a stream it is a real error.
            let (status, body) = ask(&gateway, client, false).await;
            assert!(status == 200 || Check::new(client).failure(body.as_bytes()).is_ok(), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn u9_silence_has_limits_of_its_own() {
    for (step, words) in [
        (Step::silence(), "sent nothing"),
        (Step::model().before_body(Hold::Forever), "sent nothing"),
        (Step::text("one two three").cut_after_events(3, Cut::Hang), "stopped sending"),
    ] {
        let fake = FakeProvider::start(Protocol::Chat).await;
        fake.always(step);
        let mut up = provider("up", Protocol::Chat, &fake.base_url());
        http(&mut up).timeouts.first_byte = Duration::from_millis(200);
        http(&mut up).timeouts.idle = Duration::from_millis(200);
        let mut config = several(vec![up]);
        config.retry.max_attempts = 1;
        let gateway = Gateway::start(config).await;
        for client in CLIENTS {
            let (status, body) = ask(&gateway, client, true).await;
            assert!(body.contains(words), "{client} {status} {body}");
            assert!(status == 504 || status == 200, "{status}");
        }
    }
}

#[tokio::test]
async fn u9_waiting_clients_get_signs_of_life() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.always(Step::text("one two").cut_after_events(3, Cut::Hang));
    let mut config = one(&fake, Protocol::Chat);
    config.limits.keep_alive = Duration::from_millis(50);
    let gateway = Gateway::start(config).await;
    for (client, sign) in [(ClientProtocol::Chat, ": ping\n\n"), (ClientProtocol::Messages, "event: ping\n")] {
        let (path, body) = request(client, true);
        let mut answer = post(gateway.address, path, &[], &body).await;
        answer.until(sign).await.unwrap();
    }
}

#[tokio::test]
async fn u10_signs_of_life_alone_do_not_last_for_ever() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.always(
        Step::endless("text/event-stream", "", ": ping\n\n").between_events(Hold::For(Duration::from_millis(5))),
    );
    let mut up = provider("up", Protocol::Chat, &fake.base_url());
    http(&mut up).timeouts.total = Duration::from_millis(300);
    let mut config = several(vec![up]);
    config.retry.max_attempts = 1;
    let gateway = Gateway::start(config).await;
    let (status, body) = ask(&gateway, ClientProtocol::Messages, true).await;
    assert_eq!(status, 504, "{body}");
}

#[tokio::test]
async fn u11_a_broken_stream_never_looks_finished() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        for cut in [Cut::Close, Cut::Reset, Cut::End] {
            fake.always(Step::text("one two three four five six seven eight nine ten").cut_after_events(6, cut));
            for client in CLIENTS {
                let (status, body) = ask(&gateway, client, true).await;
                assert_eq!(status, 200);
                let read = Check::new(client)
                    .stream(body.as_bytes())
                    .unwrap_or_else(|why| panic!("{client} {to} {cut:?}: {why}\n{body}"));
                assert!(read.failure.is_some(), "{client} to {to}, {cut:?}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn u12_every_cut_of_the_bytes_gives_the_same_answer() {
    for to in Protocol::ALL {
        let fake = FakeProvider::start(to).await;
        let gateway = Gateway::to(&fake, to).await;
        let mut seen: Option<(String, String)> = None;
        for size in [1, 2, 3, 7, 64, 100_000] {
            fake.script(Step::answer(Answer::default().text("Grüße 👋 an alle").tool("t", "{\"a\":1}")).drip(size));
            let (_, body) = ask(&gateway, ClientProtocol::Messages, true).await;
            let read = Check::new(ClientProtocol::Messages).stream(body.as_bytes()).unwrap();
            let said = (read.text().to_owned(), read.tool_calls()[0].arguments.clone());
            assert_eq!(*seen.get_or_insert(said.clone()), said, "{to} {size}");
        }
    }
}

#[tokio::test]
async fn u18_many_headers_and_cookies_stay_with_us() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    let mut step = Step::text("ok").header("set-cookie", "a=b").header("x-ratelimit-remaining-requests", "5");
    for number in 0..90 {
        step = step.header(&format!("x-more-{number}"), "y");
    }
    fake.always(step);
    let (path, body) = request(ClientProtocol::Chat, false);
    let answer = post(gateway.address, path, &[], &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-more") && name != "set-cookie"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "5");
}

#[tokio::test]
async fn u19_interim_answers_are_ignored() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    fake.script(Step::text("ok").interim(103, 5));
    assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
}

#[tokio::test]
async fn u20_redirects_are_not_followed() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let target = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    fake.always(Step::redirect(307, &format!("{}/chat/completions", target.base_url())));
    let (status, body) = ask(&gateway, ClientProtocol::Chat, false).await;
    assert!(status >= 500 && body.contains("base_url"), "{status} {body}");
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn u21_compressed_answers_are_unpacked_within_bounds() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut config = one(&fake, Protocol::Chat);
    config.limits.answer_bytes = 1 << 20;
    config.retry.max_attempts = 1;
    let gateway = Gateway::start(config).await;
    fake.script(Step::text("packed").gzip().header("content-encoding", "gzip"));
    let (_, body) = ask(&gateway, ClientProtocol::Messages, true).await;
    assert_eq!(Check::new(ClientProtocol::Messages).stream(body.as_bytes()).unwrap().choices[0].text, "packed");
    fake.always(Step::gzip_bomb(8 << 20).header("content-encoding", "gzip"));
    let (status, body) = ask(&gateway, ClientProtocol::Messages, false).await;
    assert!(status >= 500, "{status} {body}");
}

#[tokio::test]
async fn u24_a_pooled_connection_that_was_closed_is_no_error() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    for _ in 0..5 {
        fake.script(Step::text("ok").then_close());
        assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
    }
}

#[tokio::test]
async fn u27_all_providers_down_and_back() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::to(&fake, Protocol::Chat).await;
    assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
    fake.go_away();
    fake.all_closed().await;
    assert!(ask(&gateway, ClientProtocol::Chat, false).await.0 >= 500);
    fake.come_back().await;
    assert_eq!(ask(&gateway, ClientProtocol::Chat, false).await.0, 200);
}

#[tokio::test]
async fn mistakes_of_the_client_are_not_tried_elsewhere() {
    let (first, second, gateway) = two(Protocol::Chat).await;
    first.always(Step::error(400, "messages: too many"));
    let (status, body) = ask(&gateway, ClientProtocol::Messages, true).await;
    assert_eq!(status, 400);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("too many"));
    assert!(second.requests().is_empty());
}

#[tokio::test]
async fn a8_secrets_of_the_configuration_reach_no_client() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let canary = "sk-canary0123456789abcdefghij";
    fake.always(Step::error(401, &format!("Incorrect API key provided: {canary}")));
    let style = polyport_provider::AuthStyle::of_protocol(Protocol::Chat);
    let mut up = provider("up", Protocol::Chat, &fake.base_url());
    http(&mut up).credentials = vec![polyport_server::config::Credential::key(
        "env:KEY",
        style.header(&polyport_types::Secret::new(canary.to_owned())).unwrap(),
    )];
    let config = several(vec![up]);
    assert!(!format!("{config:?}").contains("canary"));
    let gateway = Gateway::start(config).await;
    for client in CLIENTS {
        for stream in [false, true] {
            let (path, body) = request(client, stream);
            let answer = post(gateway.address, path, &[], &body).await;
            let headers = format!("{:?}", answer.headers);
            let body = String::from_utf8(answer.bytes().await.unwrap()).unwrap();
            assert!(!body.contains("canary") && !headers.contains("canary"), "{body}");
        }
    }
}
