//! What ordinary clients do to their connections: too much, too slow, gone.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use polyport_testkit::provider::{Cut, FakeProvider, Gate, Hold, Outcome, Step};
use polyport_testkit::raw::{self, RawClient};
use polyport_types::{ClientProtocol, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use super::{Gateway, Log, PATIENCE, Setup, ask, failure, headers, refused};

/// Bodies in these tests may have this many bytes.
const CAP: usize = 16 << 10;

/// The protocols whose bodies this cap holds for; Gemini bodies carry whole videos and have a cap of their own.
const CAPPED: [ClientProtocol; 3] = [ClientProtocol::Chat, ClientProtocol::Responses, ClientProtocol::Messages];

async fn capped(fake: &FakeProvider) -> Gateway {
    let limits = "limits: { request_body: 16KiB, body_time: 5s, header_time: 5s }";
    Setup::to(fake, Protocol::Chat).with(limits).start().await
}

/// A head for `client` with these lines after the usual ones.
fn head(client: ClientProtocol, lines: &str) -> String {
    let path = ask(client, false).0;
    let version = if client == ClientProtocol::Messages { "anthropic-version: 2023-06-01\r\n" } else { "" };
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{version}{lines}\r\n")
}

/// A good body of exactly this many bytes.
fn padded(client: ClientProtocol, size: usize) -> String {
    let good = ask(client, false).1.to_string();
    let text = " ".repeat(size - good.len() + "hello there".len());
    good.replace("hello there", &text)
}

#[tokio::test]
async fn c10_a_body_above_the_cap_is_refused_and_the_connection_closed() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = capped(&fake).await;
    for client in CAPPED {
        // Announced: refused before a byte of it is read.
        let mut raw = gateway.raw().await;
        raw.send(head(client, "Content-Length: 34603008\r\n").as_bytes()).await.unwrap();
        let answer = raw.answer().await;
        assert_eq!(answer.status, 413, "{client}");
        failure(client, &answer.body);
        assert!(raw.read_to_close(1 << 20).await.is_empty(), "{client}");
        // Sent whole, one byte above the cap.
        let body = padded(client, CAP + 1);
        let mut raw = gateway.raw().await;
        raw.send(format!("{}{body}", head(client, &format!("Content-Length: {}\r\n", body.len()))).as_bytes())
            .await
            .unwrap();
        assert_eq!(raw.answer().await.status, 413, "{client}");
        assert!(raw.read_to_close(1 << 20).await.is_empty(), "{client}");
        // In chunks without an end.
        let mut raw = gateway.raw().await;
        raw.send(head(client, "Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
        let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
        let mut sent = 0;
        // The gateway closes at the latest when its drain limit is reached; then writing fails.
        while raw.send(chunk.as_bytes()).await.is_ok() {
            sent += 0x400;
            assert!(sent < 64 << 20, "{client}: everything is taken in");
            tokio::task::yield_now().await;
        }
        let heard = raw.read_to_close(1 << 20).await;
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 413"), "{client}: {heard}");
    }
    assert!(fake.requests().is_empty());
    // Exactly the cap is allowed.
    let body = padded(ClientProtocol::Chat, CAP);
    let all = [("content-type", "application/json")];
    let reply = raw::send(gateway.address, "POST", "/v1/chat/completions", &all, body).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn c10_a_length_that_lies_harms_nobody() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = capped(&fake).await;
    let client = ClientProtocol::Chat;
    let body = ask(client, false).1.to_string();
    // Too small: the body is cut and the rest is no request.
    let mut raw = gateway.raw().await;
    raw.send(format!("{}{body}", head(client, "Content-Length: 20\r\n")).as_bytes()).await.unwrap();
    let answer = raw.answer().await;
    assert_eq!(answer.status, 400);
    let rest = String::from_utf8(raw.read_to_close(1 << 20).await).unwrap();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{rest}");
    // Too large: the client waits for us and we for it, until one of us hangs up.
    let mut raw = gateway.raw().await;
    raw.send(format!("{}{body}", head(client, "Content-Length: 1000\r\n")).as_bytes()).await.unwrap();
    raw.half_close().await.unwrap();
    let heard = String::from_utf8(raw.read_to_close(1 << 20).await).unwrap();
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400"), "{heard}");
    assert!(fake.requests().is_empty());
    gateway.idle().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn c11_compressed_bodies_have_the_same_cap_and_no_surprises() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = capped(&fake).await;
    let client = ClientProtocol::Chat;
    let good = ask(client, false).1.to_string().into_bytes();
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() > CAP, "large enough to be refused as it is");
    let small_bomb = gzip(&vec![b' '; 8 << 20]);
    assert!(small_bomb.len() < CAP);
    let zstd_bomb = zstd_of_blanks(8 << 20);
    let twice = gzip(&gzip(&good));
    let mut damaged = gzip(&good);
    damaged.truncate(damaged.len() / 2);
    let mut wrong_sum = gzip(&good);
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 0xff;
    let cases: [(&str, &str, &[u8], u16); 14] = [
        ("good gzip", "gzip", &gzip(&good), 200),
        ("other word", "x-gzip", &gzip(&good), 200),
        ("upper case", "GZIP", &gzip(&good), 200),
        ("nothing", "identity", &good, 200),
        ("large bomb", "gzip", &bomb, 413),
        ("bomb", "gzip", &small_bomb, 413),
        ("zstd bomb", "zstd", &zstd_bomb, 413),
        ("two layers told", "gzip, gzip", &twice, 415),
        ("two layers hidden", "gzip", &twice, 400),
        ("unknown", "compress", &good, 415),
        ("unknown", "aes128gcm", &good, 415),
        ("not compressed", "gzip", &good, 400),
        ("cut", "gzip", &damaged, 400),
        ("wrong sum", "gzip", &wrong_sum, 400),
    ];
    for (name, encoding, body, expected) in cases {
        let all = [("content-type", "application/json"), ("content-encoding", encoding)];
        let reply = raw::send(gateway.address, "POST", "/v1/chat/completions", &all, body.to_vec()).await;
        assert_eq!(reply.status, expected, "{name}");
        if expected != 200 {
            refused(client, reply).await;
        }
    }
    let all = [("content-type", "application/json"), ("content-encoding", "gzip"), ("content-encoding", "gzip")];
    let reply = raw::send(gateway.address, "POST", "/v1/chat/completions", &all, twice).await;
    assert_eq!(reply.status, 415);
    assert_eq!(fake.requests().len(), 4);
}

/// A zstd frame of blanks: a header and blocks that each say "this byte, so many times".
fn zstd_of_blanks(size: usize) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    // Magic number, frame header (no checksum, no size), window of 1 MiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    let blocks = size / BLOCK;
    for block in 0..blocks {
        let last = usize::from(block + 1 == blocks);
        let header = (BLOCK << 3) | (1 << 1) | last;
        frame.extend_from_slice(&u32::try_from(header).unwrap().to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

#[tokio::test]
async fn c12_slow_clients_are_given_up_and_delay_nobody() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let limits = "limits: { header_time: 300ms, body_time: 300ms }";
    let gateway = Setup::to(&fake, Protocol::Chat).with(limits).start().await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut raw = gateway.raw().await;
        let start = if number % 2 == 0 {
            "POST /v1/chat/completions HTTP/1.1\r\nHost: local".to_owned()
        } else {
            format!("{}{{\"model\"", head(ClientProtocol::Chat, "Content-Length: 200\r\n"))
        };
        raw.send(start.as_bytes()).await.unwrap();
        slow.push(raw);
    }
    // While they all stand there, others are served.
    for _ in 0..5 {
        assert_eq!(gateway.ask(ClientProtocol::Chat, false).await.status, 200);
    }
    for raw in &mut slow {
        assert_eq!(raw.answer().await.status, 408);
        assert!(raw.read_to_close(1 << 16).await.is_empty());
    }
    // Bytes that keep coming one at a time do not count as progress.
    let mut raw = gateway.raw().await;
    raw.send(b"POST /v1/chat/completions HTTP/1.1\r\nX: ").await.unwrap();
    while raw.send(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gateway.idle().await;
    assert_eq!(fake.requests().len(), 5);
}

/// When a client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    InHead,
    InBody,
    BeforeFirstByte,
    BeforeFirstEvent,
    InStream,
}

#[tokio::test]
async fn c13_a_client_that_leaves_early_costs_nothing_more() {
    for client in ClientProtocol::ALL {
        let own = Protocol::from(client);
        let other = if own == Protocol::Messages { Protocol::Gemini } else { Protocol::Messages };
        for provider in [own, other] {
            for stream in [false, true] {
                for when in [
                    Leaves::InHead,
                    Leaves::InBody,
                    Leaves::BeforeFirstByte,
                    Leaves::BeforeFirstEvent,
                    Leaves::InStream,
                ] {
                    if stream || !matches!(when, Leaves::InStream) {
                        leave(client, provider, stream, when).await;
                    }
                }
            }
        }
    }
}

async fn leave(client: ClientProtocol, provider: Protocol, stream: bool, when: Leaves) {
    let name = format!("{client} at {provider}, stream {stream}, {when:?}");
    let log = Log::text();
    let fake = FakeProvider::start(provider).await;
    // A slot that is not given back shows at once.
    let gateway = Setup::to(&fake, provider).with("limits: { requests: 1 }").start().await;
    fake.script(match when {
        Leaves::InHead | Leaves::InBody => Step::model(),
        Leaves::BeforeFirstByte => Step::silence(),
        Leaves::BeforeFirstEvent => Step::model().before_body(Hold::Forever),
        Leaves::InStream => Step::text("one two three four five").cut_in_the_middle(Cut::Hang),
    });
    let (path, body) = ask(client, stream);
    let body = body.to_string();
    let lines = headers(client).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{lines}\r\n",
        body.len()
    );
    let mut raw = gateway.raw().await;
    match when {
        Leaves::InHead => raw.send(head.split_at(40).0.as_bytes()).await.unwrap(),
        Leaves::InBody => raw.send(format!("{head}{}", body.split_at(10).0).as_bytes()).await.unwrap(),
        _ => raw.send(format!("{head}{body}").as_bytes()).await.unwrap(),
    }
    match when {
        Leaves::InHead | Leaves::InBody => drop(raw),
        Leaves::BeforeFirstByte | Leaves::BeforeFirstEvent => {
            let seen = fake.wait_for(1).await.remove(0);
            drop(raw);
            seen.left().await;
        }
        Leaves::InStream => {
            let seen = fake.wait_for(1).await.remove(0);
            assert_eq!(raw.read_exactly(12).await.unwrap(), b"HTTP/1.1 200", "{name}");
            drop(raw);
            seen.left().await;
        }
    }
    gateway.idle().await;
    assert_eq!(gateway.ask(client, false).await.status, 200, "{name}: the slot is not free");
    let log = log.read();
    assert!(!log.contains("ERROR") && !log.contains(" WARN "), "{name}: {log}");
}

#[tokio::test]
async fn c13_a_client_that_leaves_while_the_provider_connects_ends_the_attempt() {
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            // Accepts and says nothing: the handshake of TLS never ends.
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base_url = format!("https://{}/v1", listener.local_addr().unwrap());
            let setup = Setup::default().provider("up", Protocol::Chat, &base_url, "");
            let gateway = setup.with("limits: { requests: 1, connect: 60s }").start().await;
            let (path, body) = ask(client, stream);
            let address = gateway.address;
            let mut asking = Box::pin(async move { raw::post(address, &path, headers(client), &body).await });
            let (mut provider, _) = tokio::select! {
                reply = &mut asking => panic!("{client}: answered with {}", reply.status),
                accepted = listener.accept() => accepted.unwrap(),
            };
            drop(asking);
            // The beginning of the handshake, then nothing more.
            let mut heard = Vec::new();
            let ended = tokio::time::timeout(PATIENCE, provider.read_to_end(&mut heard)).await;
            assert!(ended.is_ok(), "{client}, stream {stream}: the attempt goes on");
            gateway.idle().await;
        }
    }
}

#[tokio::test]
async fn c13_a_client_that_leaves_after_the_last_token_is_no_failure() {
    for client in ClientProtocol::ALL {
        let fake = FakeProvider::start(Protocol::from(client)).await;
        let gateway = Setup::to(&fake, Protocol::from(client)).start().await;
        let mut reply = gateway.ask(client, true).await;
        while reply.next().await.unwrap().is_some() {}
        drop(reply);
        gateway.idle().await;
        assert_eq!(fake.last().finished().await, Outcome::Sent, "{client}");
        assert_eq!(gateway.metric("polyport_client_disconnects_total", &[]).await, 0.0, "{client}");
    }
}

/// A provider that streams as fast as it can and counts what it could write.
async fn flood() -> (String, tokio::task::JoinHandle<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let writing = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut start = [0; 1024];
        assert!(stream.read(&mut start).await.unwrap() > 0);
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let event = format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
             [{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\"finish_reason\":null}}]}}\n\n",
            "x".repeat(8000)
        );
        let mut written = 0;
        while let Ok(count) = stream.write(event.as_bytes()).await {
            written += count as u64;
            // All of it counts as text, whatever the cut.
            if count < event.len() && stream.write_all(event.split_at(count).1.as_bytes()).await.is_err() {
                break;
            }
        }
        written
    });
    (base_url, writing)
}

#[tokio::test]
async fn c14_a_client_that_stops_reading_holds_the_provider_back_and_is_given_up() {
    for client in [ClientProtocol::Chat, ClientProtocol::Messages] {
        let (base_url, flood) = flood().await;
        let limits = "limits: { client_write: 500ms }";
        let gateway = Setup::default().provider("up", Protocol::Chat, &base_url, "").with(limits).start().await;
        let (path, body) = ask(client, true);
        let body = body.to_string();
        let lines = format!("Content-Length: {}\r\n", body.len());
        let mut raw = small_window(&gateway).await;
        let request = format!("{}{body}", head(client, &lines).replace(&ask(client, false).0, &path));
        raw.send(request.as_bytes()).await.unwrap();
        // Not a byte is read. The provider ends when the gateway gives the client up.
        let written = tokio::time::timeout(PATIENCE, flood).await.expect("nobody is given up").unwrap();
        // What fits into the buffers of four sockets and one stream; a gateway without back pressure takes gigabytes.
        assert!(written < 48 << 20, "{client}: {written} bytes were taken in");
        drop(raw);
        gateway.idle().await;
    }
}

async fn small_window(gateway: &Gateway) -> RawClient {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    RawClient::from(socket.connect(gateway.address).await.unwrap())
}

#[tokio::test]
async fn c15_a_client_that_closes_its_sending_half_while_it_waits_has_left() {
    for stream in [false, true] {
        let client = ClientProtocol::Chat;
        let fake = FakeProvider::start(Protocol::Chat).await;
        let gateway = Setup::to(&fake, Protocol::Chat).start().await;
        fake.script(Step::silence());
        let body = ask(client, stream).1.to_string();
        let mut raw = gateway.raw().await;
        raw.send(format!("{}{body}", head(client, &format!("Content-Length: {}\r\n", body.len()))).as_bytes())
            .await
            .unwrap();
        let seen = fake.wait_for(1).await.remove(0);
        raw.half_close().await.unwrap();
        seen.left().await;
        assert!(raw.read_to_close(1 << 16).await.is_empty());
        gateway.idle().await;
        assert!(gateway.metric("polyport_client_disconnects_total", &[]).await > 0.0);
    }
}

#[tokio::test]
async fn c16_requests_sent_ahead_are_answered_in_order_one_at_a_time() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Setup::to(&fake, Protocol::Chat).start().await;
    let gate = Gate::new();
    fake.always(Step::model().before_headers(Hold::Until(gate.clone())));
    let mut all = Vec::new();
    for number in 0..50 {
        let (_, body) = super::ask_for(ClientProtocol::Chat, "m", &format!("number {number}."), false);
        let body = body.to_string();
        all.extend_from_slice(head(ClientProtocol::Chat, &format!("Content-Length: {}\r\n", body.len())).as_bytes());
        all.extend_from_slice(body.as_bytes());
    }
    let mut raw = gateway.raw().await;
    raw.send(&all).await.unwrap();
    for number in 0..50 {
        fake.wait_for(number + 1).await;
        assert_eq!(fake.requests().len(), number + 1, "requests sent ahead are started ahead");
        gate.pass();
        let answer = raw.answer().await;
        assert_eq!(answer.status, 200);
        let text = answer.json()["choices"][0]["message"]["content"].clone();
        assert_eq!(text, format!("You said: number {number}."));
    }
}
