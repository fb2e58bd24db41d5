//! Messages to other programs, and copies of the database.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::send;
use polyport_types::Protocol;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::declared::{ADMIN, Running, start};

/// A message that arrived.
struct Arrived {
    head: String,
    body: Value,
    raw: String,
}

impl Arrived {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim()).unwrap_or_default()
    }
}

/// A program that is told things.
struct Receiver {
    address: SocketAddr,
    arrived: mpsc::UnboundedReceiver<Arrived>,
    /// What it answers next; 200 afterwards.
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, arrived) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<u16>>> = Arc::default();
        let next = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, next) = (sender.clone(), Arc::clone(&next));
                tokio::spawn(serve(stream, sender, next));
            }
        });
        Self { address, arrived, answers }
    }

    fn url(&self) -> String {
        format!("http://{}/services/canary-path", self.address)
    }

    async fn next(&mut self) -> Arrived {
        tokio::time::timeout(Duration::from_secs(60), self.arrived.recv()).await.expect("no message came").unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    sender: mpsc::UnboundedSender<Arrived>,
    answers: Arc<Mutex<VecDeque<u16>>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let rest = bytes.split_off(head + 4);
        let head = String::from_utf8(std::mem::replace(&mut bytes, rest)).unwrap();
        let mut one = Arrived { head, body: Value::Null, raw: String::new() };
        let length: usize = one.header("content-length").parse().unwrap();
        while bytes.len() < length {
            stream.read_buf(&mut bytes).await.ok()?;
        }
        let rest = bytes.split_off(length);
        one.raw = String::from_utf8(std::mem::replace(&mut bytes, rest)).unwrap();
        one.body = serde_json::from_str(&one.raw).unwrap();
        sender.send(one).ok()?;
        let status = answers.lock().pop_front().unwrap_or(200);
        let answer = format!("HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// The last deliveries, as soon as there are so many.
async fn deliveries(running: &Running, number: usize) -> Vec<Value> {
    for _ in 0..600 {
        let all = running.list("notifications").await;
        if all.len() >= number {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there are never {number} deliveries");
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn an_address_is_tried_and_messages_are_signed() {
    let folder = tempfile::tempdir().unwrap();
    let (running, mut receiver) = (start(folder.path(), "discover: false").await, Receiver::start().await);
    let hooks = json!([
        {"name": "chat", "url": receiver.url(), "secret": SECRET},
        {"name": "away", "url": "http://127.0.0.1:1/"},
    ]);
    running.to("PATCH", "settings", json!({"notifications": {"webhooks": hooks}})).await;
    let sent = running.to("POST", "notifications/test", json!({"webhook": "chat"})).await;
    assert_eq!((&sent["outcome"], &sent["status"], &sent["message"]), (&json!("delivered"), &json!(200), &Value::Null));
    let one = receiver.next().await;
    assert!(one.head.starts_with("POST /services/canary-path HTTP/1.1"), "{}", one.head);
    assert_eq!(
        (one.body["type"].as_str(), one.body["data"]["webhook"].as_str()),
        (Some("notification.test"), Some("chat"))
    );
    assert!(one.body["text"].is_string() && one.body["timestamp"].as_str().unwrap().ends_with('Z'), "{}", one.body);
    let (id, at) = (one.header("webhook-id"), one.header("webhook-timestamp"));
    assert!(id.starts_with("msg_") && at.parse::<u64>().unwrap() > 1_700_000_000, "{}", one.head);
    assert_eq!(one.header("webhook-signature"), signed(id, at, &one.raw));

    for (status, words) in [(500, "answered 500"), (302, "sends elsewhere"), (404, "answered 404")] {
        receiver.answers.lock().push_back(status);
        let sent = running.to("POST", "notifications/test", json!({"webhook": "chat"})).await;
        assert_eq!((&sent["outcome"], &sent["status"]), (&json!("failed"), &json!(status)), "{sent}");
        assert!(sent["message"].as_str().unwrap().contains(words), "{sent}");
        receiver.next().await;
    }
    let sent = running.to("POST", "notifications/test", json!({"webhook": "away"})).await;
    assert_eq!((&sent["outcome"], &sent["status"]), (&json!("failed"), &Value::Null), "{sent}");
    assert!(sent["message"].as_str().unwrap().contains("127.0.0.1:1"), "{sent}");
    assert_eq!(running.try_to("POST", "notifications/test", json!({"webhook": "nobody"})).await.0, 404);
    assert_eq!(running.try_to("POST", "notifications/test", json!({})).await.0, 400);
    assert!(running.list("notifications").await.is_empty(), "tests are no news");
    running.stop().await;
}

/// The signature, made here by other means: with the block of the key written out.
fn signed(id: &str, at: &str, body: &str) -> String {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut key = base64.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    key.resize(64, 0);
    let pad = |byte: u8| key.iter().map(|own| own ^ byte).collect::<Vec<_>>();
    let inner = Sha256::digest([pad(0x36), format!("{id}.{at}.{body}").into_bytes()].concat());
    format!("v1,{}", base64.encode(Sha256::digest([pad(0x5c), inner.to_vec()].concat())))
}

#[tokio::test]
async fn what_needs_somebody_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut receiver = Receiver::start().await;
    let file = format!(
        "discover: false\nproviders:\n  up: {{ base_url: \"{}\", proxy: none, keys: [sk-canary-of-the-file] }}\n  side: {{ base_url: \"{}\", proxy: none }}\n\
         cooldown: {{ refusals: 1 }}\naccounting: {{ quotas: [{{ what: requests, window: day, amount: 5 }}] }}\n\
         notifications: {{ budget_percent: 60, webhooks: [{{ name: chat, url: '{}' }}, {{ name: deaf, url: '{}', events: [provider.up] }}] }}\n",
        fake.base_url(),
        fake.base_url(),
        receiver.url(),
        receiver.url(),
    );
    let running = start(folder.path(), &file).await;
    // Whoever answers has begun to watch.
    running.to("GET", "status", Value::Null).await;
    fake.decide(|_| Some(Step::error(401, "no such key sk-canary-of-the-file")));
    running.ask("up/m").await;
    let (one, other) = (receiver.next().await, receiver.next().await);
    let (invalid, down) = if one.body["type"] == "credential.invalid" { (one, other) } else { (other, one) };
    assert_eq!(
        (invalid.body["type"].as_str(), invalid.body["data"]["provider"].as_str()),
        (Some("credential.invalid"), Some("up"))
    );
    assert_eq!(
        (down.body["type"].as_str(), down.body["data"]["provider"].as_str()),
        (Some("provider.down"), Some("up"))
    );
    for message in [&invalid, &down] {
        assert!(!message.raw.contains("canary") && message.header("webhook-signature").is_empty(), "{}", message.raw);
    }

    // It answers again. Who only hears of that hears of that.
    fake.decide(|_| None);
    let credentials = running.list("credentials").await;
    let id = credentials.iter().find(|one| one["provider"] == "up").unwrap()["id"].as_str().unwrap().to_owned();
    running.to("POST", &format!("credentials/{id}/revive"), Value::Null).await;
    assert_eq!(running.ask("up/m").await, 200);
    for _ in 0..2 {
        assert_eq!(receiver.next().await.body["type"], "provider.up");
    }

    // Three of five are 60 %; the refused one reaches the limit.
    assert_eq!(running.ask("up/m").await, 200);
    assert_eq!(running.ask("up/m").await, 200);
    let near = receiver.next().await;
    assert_eq!(
        (near.body["type"].as_str(), near.body["data"]["amount"].as_u64()),
        (Some("quota.near"), Some(5)),
        "{}",
        near.raw
    );
    assert!(near.body["text"].as_str().unwrap().contains("5 requests per day"), "{}", near.raw);
    let mut refused = 0;
    for _ in 0..4 {
        refused += u32::from(running.ask("up/m").await == 429);
    }
    assert!(refused >= 1);
    assert_eq!(receiver.next().await.body["type"], "quota.reached");

    // A wrong file is told, with the place and without what stands there.
    std::fs::write(folder.path().join("polyport.yaml"), file.replace("discover: false", "discover: canary")).unwrap();
    running.live.reload().unwrap_err();
    let refused = receiver.next().await;
    assert_eq!(
        (refused.body["type"].as_str(), refused.body["data"]["problems"][0]["path"].as_str()),
        (Some("configuration.refused"), Some("discover"))
    );
    assert!(!refused.raw.contains("canary"), "{}", refused.raw);
    running.live.reload().unwrap_err();

    let told = deliveries(&running, 7).await;
    let kinds: Vec<&str> = told.iter().map(|one| one["event"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), 7, "nothing is told twice: {kinds:?}");
    assert!(told.iter().all(|one| one["outcome"] == "delivered" && one["attempts"] == 1), "{told:?}");
    let only = running.to("GET", "notifications?webhook=deaf", Value::Null).await;
    assert_eq!(
        (only["notifications"].as_array().unwrap().len(), &only["notifications"][0]["event"]),
        (1, &json!("provider.up"))
    );
    running.stop().await;
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start().await;
    let file =
        format!("discover: false\nnotifications: {{ webhooks: [{{ name: chat, url: '{}' }}] }}\n", receiver.url());
    let running = start(folder.path(), &file).await;
    receiver.answers.lock().extend([500, 429]);
    std::fs::write(folder.path().join("polyport.yaml"), format!("{file}limits: {{ requests: x }}\n")).unwrap();
    // Whoever answers has begun to watch.
    running.to("GET", "status", Value::Null).await;
    running.live.reload().unwrap_err();
    let (first, second, third) = (receiver.next().await, receiver.next().await, receiver.next().await);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"), "receivers know it again");
    assert_eq!(first.raw, third.raw);
    let told = deliveries(&running, 1).await;
    assert_eq!((&told[0]["attempts"], &told[0]["outcome"]), (&json!(3), &json!("delivered")), "{told:?}");
    running.stop().await;
}

#[tokio::test]
async fn the_database_is_downloaded_and_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeProvider::start(Protocol::Chat).await;
    let running = start(folder.path(), "discover: false").await;
    running.to("POST", "providers", json!({"name": "mine", "base_url": fake.base_url(), "proxy": "none"})).await;
    running.to("POST", "credentials", json!({"provider": "mine", "key": "sk-canary-0123456789abcdef"})).await;
    for (of, name) in [("", "polyport-2"), ("?of=store", "polyport-2"), ("?of=log", "polyport-log-2")] {
        let headers = [("x-api-key", ADMIN)];
        let path = format!("/admin/api/backup{of}");
        let answer = send(running.gateway.address, "POST", &path, &headers, String::new()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/vnd.sqlite3"));
        assert!(answer.header("content-disposition").starts_with(&format!("attachment; filename=\"{name}")));
        let length: usize = answer.header("content-length").parse().unwrap();
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.len() == length && bytes.starts_with(b"SQLite format 3\0"), "{} of {length}", bytes.len());
        assert!(!String::from_utf8_lossy(&bytes).contains("sk-canary-0123"), "secrets stay sealed");
        if of.is_empty() {
            std::fs::write(folder.path().join("copy.db"), bytes).unwrap();
        }
    }
    let left: Vec<String> = std::fs::read_dir(folder.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("backup"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let (status, answer) = running.try_to("POST", "backup?of=everything", Value::Null).await;
    assert_eq!((status, &answer["code"]), (400, &json!("bad_request")));
    let audit = running.to("GET", "audit?action=backUp", Value::Null).await;
    let statuses: Vec<u64> =
        audit["audit"].as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [400, 200, 200, 200]);
    running.stop().await;

    // With the master key of the folder it is the same gateway.
    let url = format!("sqlite://{}", folder.path().join("data/polyport.db").display());
    let restored =
        polyport_store::restore(&url, &folder.path().join("data"), None, &folder.path().join("copy.db"), false).await;
    assert!(restored.unwrap().replaced.is_some());
    let running = start(folder.path(), "discover: false").await;
    assert_eq!(running.ask("mine/m").await, 200);
    assert_eq!(fake.last().header("authorization"), Some("Bearer sk-canary-0123456789abcdef"));
    running.stop().await;
}
