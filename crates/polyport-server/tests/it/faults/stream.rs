//! How streams end: wherever the provider dies, whatever it keeps open, and however many clients leave.

use polyport_testkit::grammar::Check;
use polyport_testkit::provider::{Answer, Cut, FakeProvider, Step, stream_of};
use polyport_types::{ClientProtocol, Protocol};

use super::{Gateway, PATIENCE, Setup, read, refused};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;
const ONCE: &str = "retry: { attempts: 1 }";

/// A provider and a gateway in front of it.
async fn pair(to: Protocol, more: &str) -> (FakeProvider, Gateway) {
    let fake = FakeProvider::start(to).await;
    let gateway = Setup::to(&fake, to).with(more).start().await;
    (fake, gateway)
}

#[tokio::test]
async fn kb_64_65_after_the_end_the_body_ends_though_the_provider_stays() {
    // A Gemini stream ends with its body and not before.
    for to in [Protocol::Chat, Protocol::Responses, Protocol::Messages] {
        for client in CLIENTS {
            let limits = "limits: { keep_alive: 50ms }";
            let (fake, gateway) = pair(to, limits).await;
            // The whole answer, and then neither the last chunk nor the end of the connection.
            let request = serde_json::json!({"stream": true, "stream_options": {"include_usage": true}});
            let events = stream_of(to, &request, &Answer::default().text("all of it")).concat();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let raw = format!("{head}{:x}\r\n{events}\r\n", events.len());
            fake.always(Step::raw(raw).cut_after_bytes(0, Cut::Hang));
            let heard = read(client, true, gateway.ask(client, true).await).await;
            assert_eq!(heard.text(), "all of it", "{client} at {to}");
            assert!(heard.failure.is_none(), "{client} at {to}");
            gateway.idle().await;
        }
    }
}

#[tokio::test]
async fn kb_125_127_wherever_a_stream_dies_the_client_hears_an_end() {
    let words = "one two three four";
    for to in Protocol::ALL {
        for client in CLIENTS {
            // More places than the stream has events: the last ones are the whole answer.
            for events in 0..16 {
                let (fake, gateway) = pair(to, ONCE).await;
                fake.always(Step::text(words).cut_after_events(events, Cut::Reset));
                let reply = gateway.ask(client, true).await;
                let name = format!("{client} at {to} after {events} events");
                if reply.status != 200 {
                    refused(client, reply).await;
                    continue;
                }
                let bytes = reply.bytes().await.unwrap_or_else(|error| panic!("{name}: the body breaks off: {error}"));
                let heard = Check::new(client).stream(&bytes);
                let heard =
                    heard.unwrap_or_else(|error| panic!("{name}: {error}\n{}", String::from_utf8_lossy(&bytes)));
                // An end in good order is one only if nothing is missing.
                assert!(heard.failure.is_some() || heard.text() == words, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn kb_132_a_thousand_streams_that_were_left_leave_nothing_behind() {
    let (fake, gateway) = pair(Protocol::Chat, "").await;
    let client = ClientProtocol::Messages;
    for _ in 0..20 {
        let mut open = Vec::new();
        for _ in 0..50 {
            fake.script(Step::text("one two three four").cut_in_the_middle(Cut::Hang));
            let mut reply = gateway.ask(client, true).await;
            reply.until("one").await.unwrap();
            open.push(reply);
        }
        assert_eq!(gateway.metric("polyport_open_streams", &[]).await, 50.0);
        drop(open);
        gateway.idle().await;
    }
    for exchange in fake.requests() {
        let left = tokio::time::timeout(PATIENCE, exchange.left()).await;
        assert!(left.is_ok(), "a call goes on after its client left");
    }
}
