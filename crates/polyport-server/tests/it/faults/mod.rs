//! Every fault and attack that the gateway must survive, one test at least for each, named after its letter and number.
//!
//! | module | who misbehaves |
//! |---|---|
//! | [`client`] | C: an ordinary client in what it says |
//! | [`connection`] | C: an ordinary client in what it does to its connection |
//! | [`provider`] | U: a provider in what it says and how it frames it |
//! | [`fleet`] | U: providers that are slow or fail together |
//! | [`stream`] | how streams end |
//! | [`tls`] | U: a provider behind TLS, and its HTTP/2 |
//! | [`attacker`] | A: somebody who means it |
//! | [`desync`] | A1: requests that two parsers could read differently |

mod attacker;
mod client;
mod connection;
mod desync;
mod fleet;
mod h2;
mod provider;
mod stream;
pub(crate) mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Once};

use polyport_server::Server;
use polyport_server::config::{Arguments, Environment, Purpose, Source};
use polyport_testkit::grammar::{Check, Failure, Summary};
use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{self, RawClient, Reply};
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// A configuration under construction: the text of a file, so that what users write is what is tested.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    providers: Vec<(String, String)>,
    sections: Vec<String>,
}

impl Setup {
    /// One fake provider of the name `up`.
    pub(crate) fn to(fake: &FakeProvider, protocol: Protocol) -> Self {
        Self::default().fake("up", fake, protocol)
    }

    /// A fake provider more. Model `m` is tried at all providers in the order they were named.
    pub(crate) fn fake(self, name: &str, fake: &FakeProvider, protocol: Protocol) -> Self {
        self.provider(name, protocol, &fake.base_url(), "")
    }

    /// A provider more, with more members of its section, e.g. `keys: [a, b]`.
    pub(crate) fn provider(mut self, name: &str, protocol: Protocol, base_url: &str, more: &str) -> Self {
        let keys = if more.contains("keys:") { "" } else { "keys: [key-of-the-provider], " };
        let section = format!("{{ protocol: {protocol}, base_url: \"{base_url}\", proxy: none, {keys}{more} }}");
        self.providers.push((name.to_owned(), section));
        self
    }

    /// A section of the file, e.g. `limits: { idle: 1s }`.
    pub(crate) fn with(mut self, section: &str) -> Self {
        self.sections.push(section.to_owned());
        self
    }

    fn text(&self) -> String {
        let mut text = "server: { port: 0 }\nproviders:\n".to_owned();
        for (name, section) in &self.providers {
            text.push_str(&format!("  {name}: {section}\n"));
        }
        text.push_str("models:\n  m:\n");
        for (index, (name, _)) in self.providers.iter().enumerate() {
            text.push_str(&format!("    - {{ target: {name}/m, priority: {} }}\n", index + 1));
        }
        for section in &self.sections {
            text.push_str(section);
            text.push('\n');
        }
        text
    }

    /// The gateway with this configuration, on a port the system chooses.
    pub(crate) async fn start(&self) -> Gateway {
        let text = self.text();
        let source = Source::new(None, Environment::of([], "."), Arguments::default());
        let loaded = source.load_text(&text, &[], Purpose::Inspect);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}\nin\n{text}"));
        let server = Server::bind(Arc::new(loaded.config)).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
        Gateway { address, running, _stop: stop }
    }
}

/// A running gateway; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    running: JoinHandle<()>,
    _stop: oneshot::Sender<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Gateway {
    /// Sends what `ask` makes, without a key.
    pub(crate) async fn ask(&self, client: ClientProtocol, stream: bool) -> Reply {
        self.send(client, &ask(client, stream)).await
    }

    /// Sends a request without a key.
    pub(crate) async fn send(&self, client: ClientProtocol, ask: &(String, Value)) -> Reply {
        raw::post(self.address, &ask.0, headers(client), &ask.1).await
    }

    /// A raw connection.
    pub(crate) async fn raw(&self) -> RawClient {
        RawClient::connect(self.address).await.expect("the gateway accepts connections")
    }

    /// The sum of the samples of a metric whose line holds all of `parts`.
    pub(crate) async fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let reply = raw::get(self.address, "/metrics", &[]).await;
        assert_eq!(reply.status, 200);
        let text = String::from_utf8(reply.bytes().await.unwrap()).unwrap();
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .filter(|line| parts.iter().all(|part| line.contains(part)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until nothing is being answered any more: every slot is free, every stream gone.
    pub(crate) async fn idle(&self) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.metric("polyport_inflight_requests", &[]).await > 0.0
                || self.metric("polyport_open_streams", &[]).await > 0.0
            {
                tokio::task::yield_now().await;
            }
        });
        waited.await.expect("requests stay in flight");
    }
}

/// How long a test waits at most for what must happen.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// Path and body of a small request for model `m`.
pub(crate) fn ask(client: ClientProtocol, stream: bool) -> (String, Value) {
    ask_for(client, "m", "hello there", stream)
}

/// Path and body of a small request.
pub(crate) fn ask_for(client: ClientProtocol, model: &str, text: &str, stream: bool) -> (String, Value) {
    let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    let (path, body) = match client {
        ClientProtocol::Chat => (
            "/v1/chat/completions".to_owned(),
            json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": text }] }),
        ),
        ClientProtocol::Responses => {
            ("/v1/responses".to_owned(), json!({ "model": model, "stream": stream, "input": text, "store": false }))
        }
        ClientProtocol::Messages => (
            "/v1/messages".to_owned(),
            json!({ "model": model, "stream": stream, "max_tokens": 1000,
                    "messages": [{ "role": "user", "content": text }] }),
        ),
        ClientProtocol::Gemini => (
            format!("/v1beta/models/{model}:{verb}"),
            json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] }),
        ),
    };
    (path, body)
}

/// Headers that clients of this protocol always send.
pub(crate) fn headers(client: ClientProtocol) -> &'static [(&'static str, &'static str)] {
    match client {
        ClientProtocol::Messages => &[("anthropic-version", "2023-06-01")],
        ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Gemini => &[],
    }
}

/// What a client understands of an answer with status 200, by the strict rules of its protocol.
pub(crate) async fn read(client: ClientProtocol, stream: bool, reply: Reply) -> Summary {
    assert_eq!(reply.status, 200, "{client}, stream {stream}");
    let bytes = reply.bytes().await.expect("a complete body");
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|e| panic!("{client}, stream {stream}: {e}\n{}", String::from_utf8_lossy(&bytes)))
}

/// The status and error of a refusal, in the form of the client's protocol.
pub(crate) async fn refused(client: ClientProtocol, reply: Reply) -> (u16, Failure) {
    let status = reply.status.as_u16();
    assert!(status >= 400, "{client}: answered with {status}");
    assert!(!reply.header("x-polyport-error").is_empty(), "{client}: the class of the error is not told");
    let bytes = reply.bytes().await.expect("a complete body");
    (status, failure(client, &bytes))
}

/// The error of a body, in the form of the client's protocol.
pub(crate) fn failure(client: ClientProtocol, bytes: &[u8]) -> Failure {
    let read = Check::new(client).failure(bytes);
    read.unwrap_or_else(|e| panic!("{client}: {e}\n{}", String::from_utf8_lossy(bytes)))
}

/// What is logged on this thread while it lives.
pub(crate) struct Log {
    written: Written,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Captures what is logged from now on, in the form for people.
    pub(crate) fn text() -> Self {
        // An event that a thread without a subscriber comes upon first, while there is but one elsewhere, is off for good.
        static EVERYWHERE: Once = Once::new();
        EVERYWHERE.call_once(|| {
            let everything = tracing_subscriber::registry().with(LevelFilter::DEBUG);
            tracing::subscriber::set_global_default(everything).expect("nobody else sets it");
        });
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self { written, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// Everything so far.
    pub(crate) fn read(&self) -> String {
        String::from_utf8(self.written.0.lock().unwrap().clone()).expect("the log is text")
    }
}

/// Names of functions in the sources below `folder`.
fn functions(folder: &std::path::Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else {
            let source = std::fs::read_to_string(&path).unwrap();
            let starts = source.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
            names.extend(starts.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_fault_has_a_test_of_its_name() {
    let mut tests = Vec::new();
    // Some are tested where the code is, or with the program as people start it.
    functions(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut tests);
    let client = (1..=21).chain([24]).map(|number| format!("c{number}_"));
    let provider = (1..=28).chain([31, 32]).map(|number| format!("u{number}_"));
    let storage = (1..=8).chain([10, 13]).map(|number| format!("s{number}_"));
    let operator = [1, 2, 3, 4, 7].map(|number| format!("o{number}_"));
    let attacker = [1, 2, 3, 6, 7, 8, 14, 17, 18].map(|number| format!("a{number}_"));
    for id in client.chain(provider).chain(storage).chain(operator).chain(attacker) {
        assert!(tests.iter().any(|name| name.starts_with(&id)), "no test begins with {id}");
    }
}
