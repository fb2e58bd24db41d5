//! Providers behind TLS: certificates that are not to be trusted, and HTTP/2 frame by frame.
//!
//! Which roots are trusted is a matter of the environment, and a process has only one: each test runs again in a process of its own whose
//! `SSL_CERT_FILE` names an authority made for it.

use std::future::Future;
use std::process::Command;
use std::sync::Arc;

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_types::{ClientProtocol, Protocol};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::h2::{DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, SETTINGS, block, frame};
use super::{Gateway, Setup, read, refused};

const CLIENTS: [ClientProtocol; 4] = ClientProtocol::ALL;
const ONCE: &str = "retry: { attempts: 1 }";

/// Where the process of a test finds the name of the test.
const INSIDE: &str = "POLYPORT_TEST_INSIDE";

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The one that this process trusts; `None` in the process that only starts another for `test`.
    fn trusted(test: &str) -> Option<Self> {
        if std::env::var_os(INSIDE).is_some() {
            let authority = Self::new();
            std::fs::write(std::env::var_os("SSL_CERT_FILE").unwrap(), &authority.pem).unwrap();
            return Some(authority);
        }
        let folder = tempfile::tempdir().unwrap();
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .env("SSL_CERT_FILE", folder.path().join("roots.pem"))
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success() && said.contains("1 passed"), "{said}");
        None
    }

    /// A server with a certificate for this name, good until the end of this year.
    fn acceptor(&self, name: &str, until: i32) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    pub(crate) fn good(&self) -> TlsAcceptor {
        self.acceptor("127.0.0.1", 2100)
    }
}

/// Accepts TLS connections and hands those whose handshake succeeds to `serve`; gives the base URL.
async fn listen<F: Future<Output = ()> + Send + 'static>(
    acceptor: TlsAcceptor,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(serve(stream));
            }
        }
    });
    base_url
}

/// TLS in front of a fake provider.
pub(crate) async fn front(acceptor: TlsAcceptor, fake: &FakeProvider) -> String {
    let address = fake.address();
    listen(acceptor, move |mut outside| async move {
        let mut inside = TcpStream::connect(address).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut outside, &mut inside).await);
    })
    .await
}

async fn gateway(base_url: &str, more: &str) -> Gateway {
    Setup::default().provider("up", Protocol::Chat, base_url, "").with(ONCE).with(more).start().await
}

fn name_of(test: &str) -> String {
    let path = module_path!().split_once("::").unwrap().1;
    format!("{path}::{test}")
}

#[tokio::test]
async fn u3_a_certificate_that_is_not_to_be_trusted_gets_no_request() {
    let Some(authority) = Authority::trusted(&name_of("u3_a_certificate_that_is_not_to_be_trusted_gets_no_request"))
    else {
        return;
    };
    let fake = FakeProvider::start(Protocol::Chat).await;
    // With a good one everything works, so that what follows is about the certificate alone.
    let trusted = gateway(&front(authority.good(), &fake).await, "").await;
    assert_eq!(trusted.ask(ClientProtocol::Chat, false).await.status, 200);
    assert!(fake.last().is_http2());
    let before = fake.requests().len();
    for (name, acceptor) in [
        ("another name", authority.acceptor("provider.example", 2100)),
        ("expired", authority.acceptor("127.0.0.1", 2001)),
        ("unknown authority", Authority::new().good()),
    ] {
        let base_url = front(acceptor, &fake).await;
        for client in CLIENTS {
            let gateway = gateway(&base_url, "").await;
            let reply = gateway.ask(client, false).await;
            assert_eq!(reply.header("x-polyport-error"), "untrusted", "{name}");
            let (status, failure) = refused(client, reply).await;
            assert!(status >= 500, "{name}: {status}");
            assert!(failure.message.contains("certificate"), "{name}: {}", failure.message);
            // The provider rests: it is not asked again for every request, and the reason is told.
            let reply = gateway.ask(client, false).await;
            assert!(!reply.header("retry-after").is_empty(), "{name}");
            let (status, failure) = refused(client, reply).await;
            assert!(status >= 500 && failure.message.contains("certificate"), "{name}: {status} {}", failure.message);
            let tried = gateway.metric("polyport_upstream_requests_total", &["untrusted"]).await;
            assert_eq!(tried, 1.0, "{name}");
        }
        // Another provider takes its place.
        let second = FakeProvider::start(Protocol::Chat).await;
        let setup = Setup::default().provider("bad", Protocol::Chat, &base_url, "");
        let gateway = setup.fake("good", &second, Protocol::Chat).start().await;
        assert_eq!(gateway.ask(ClientProtocol::Messages, true).await.status, 200, "{name}");
        assert_eq!(second.requests().len(), 1);
    }
    assert_eq!(fake.requests().len(), before, "a request reached a provider that is not to be trusted");
}

/// One HTTP/2 connection at the provider's end, frame by frame.
struct Frames {
    io: TlsStream<TcpStream>,
}

impl Frames {
    /// Takes the preface and sends these settings: pairs of number and value.
    async fn open(mut io: TlsStream<TcpStream>, settings: &[(u16, u32)]) -> Self {
        let mut preface = [0; 24];
        io.read_exact(&mut preface).await.unwrap();
        assert!(preface.starts_with(b"PRI * HTTP/2.0"));
        let mut this = Self { io };
        this.send(&settings_frame(settings)).await;
        this
    }

    async fn next(&mut self) -> Option<(u8, u8, u32)> {
        let mut head = [0; 9];
        self.io.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.io.read_exact(&mut payload).await.ok()?;
        let (kind, flags) = (head[3], head[4]);
        if kind == SETTINGS && flags == 0 {
            self.send(&frame(SETTINGS, 1, 0, &[])).await;
        }
        Some((kind, flags, u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
    }

    /// The stream of the next frame of this kind; with its end, if asked for.
    async fn stream(&mut self, kinds: &[u8], ends: bool) -> Option<u32> {
        loop {
            let (kind, flags, stream) = self.next().await?;
            if kinds.contains(&kind) && (!ends || flags & END_STREAM != 0) {
                return Some(stream);
            }
        }
    }

    /// The stream of the next complete request.
    async fn request(&mut self) -> Option<u32> {
        self.stream(&[HEADERS, DATA], true).await
    }

    /// Sends bytes; that the other side has left already is its right.
    async fn send(&mut self, bytes: &[u8]) {
        drop(self.io.write_all(bytes).await);
        drop(self.io.flush().await);
    }

    /// The head of an answer that streams.
    async fn head(&mut self, stream: u32) {
        let block = block(&[(b":status", b"200"), (b"content-type", b"text/event-stream")]);
        self.send(&frame(HEADERS, END_HEADERS, stream, &block)).await;
    }

    /// A whole streamed answer.
    async fn answer(&mut self, stream: u32) {
        self.head(stream).await;
        self.send(&frame(DATA, 0, stream, said().as_bytes())).await;
        self.send(&frame(DATA, END_STREAM, stream, finished().as_bytes())).await;
    }

    /// Listens until the other side closes.
    async fn linger(mut self) {
        while self.next().await.is_some() {}
    }
}

fn settings_frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let bytes: Vec<u8> = settings
        .iter()
        .flat_map(|(number, value)| [&number.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
        .collect();
    frame(SETTINGS, 0, 0, &bytes)
}

fn chunk(delta: &serde_json::Value, finish: Option<&str>) -> String {
    let chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n")
}

fn said() -> String {
    chunk(&json!({"role": "assistant", "content": "half of it"}), None)
}

fn finished() -> String {
    chunk(&json!({}), Some("stop")) + "data: [DONE]\n\n"
}

/// How an answer over HTTP/2 breaks.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Reset(u32),
    GoAway(u32),
    Closed,
}

#[tokio::test]
async fn u11_a_stream_or_connection_that_http2_ends_early_never_looks_finished() {
    let test = name_of("u11_a_stream_or_connection_that_http2_ends_early_never_looks_finished");
    let Some(authority) = Authority::trusted(&test) else { return };
    for how in [Broken::Reset(0), Broken::Reset(2), Broken::Reset(8), Broken::GoAway(2), Broken::Closed] {
        let base_url = listen(authority.good(), move |io| async move {
            let mut frames = Frames::open(io, &[]).await;
            let Some(stream) = frames.request().await else { return };
            frames.head(stream).await;
            frames.send(&frame(DATA, 0, stream, said().as_bytes())).await;
            match how {
                Broken::Reset(code) => frames.send(&frame(RST_STREAM, 0, stream, &code.to_be_bytes())).await,
                Broken::GoAway(code) => {
                    let payload = [0_u32.to_be_bytes(), code.to_be_bytes()].concat();
                    frames.send(&frame(GOAWAY, 0, 0, &payload)).await;
                }
                Broken::Closed => return,
            }
            frames.linger().await;
        })
        .await;
        for client in CLIENTS {
            let gateway = gateway(&base_url, "").await;
            let heard = read(client, true, gateway.ask(client, true).await).await;
            assert!(heard.failure.is_some(), "{client}, {how:?}: looks finished");
            gateway.idle().await;
        }
    }
}

#[tokio::test]
async fn u11_a_connection_that_takes_no_new_requests_ends_the_ones_it_has() {
    let test = name_of("u11_a_connection_that_takes_no_new_requests_ends_the_ones_it_has");
    let Some(authority) = Authority::trusted(&test) else { return };
    let base_url = listen(authority.good(), move |io| async move {
        let mut frames = Frames::open(io, &[]).await;
        let Some(stream) = frames.request().await else { return };
        frames.head(stream).await;
        frames.send(&frame(DATA, 0, stream, said().as_bytes())).await;
        frames.send(&frame(GOAWAY, 0, 0, &[stream.to_be_bytes(), 0_u32.to_be_bytes()].concat())).await;
        frames.send(&frame(DATA, END_STREAM, stream, finished().as_bytes())).await;
        frames.linger().await;
    })
    .await;
    let gateway = gateway(&base_url, "").await;
    for client in CLIENTS {
        // Each request finds a new connection.
        for _ in 0..3 {
            let heard = read(client, true, gateway.ask(client, true).await).await;
            assert!(heard.failure.is_none() && heard.text() == "half of it", "{client}");
        }
    }
}

#[tokio::test]
async fn u25_requests_wait_for_a_free_stream() {
    let Some(authority) = Authority::trusted(&name_of("u25_requests_wait_for_a_free_stream")) else { return };
    let fake = FakeProvider::builder(Protocol::Chat).max_streams(1).start().await;
    fake.always(Step::text("ok").drip(16));
    let gateway = gateway(&front(authority.good(), &fake).await, "").await;
    let asking = (0..20).map(|number| {
        let client = CLIENTS[number % 4];
        let gateway = &gateway;
        async move { read(client, true, gateway.ask(client, true).await).await.text().to_owned() }
    });
    for text in futures_util::future::join_all(asking).await {
        assert_eq!(text, "ok");
    }
    assert_eq!(fake.requests().len(), 20);
}

#[tokio::test]
async fn u25_a_window_that_opens_late_or_never_is_waited_for_within_the_limits() {
    let test = name_of("u25_a_window_that_opens_late_or_never_is_waited_for_within_the_limits");
    let Some(authority) = Authority::trusted(&test) else { return };
    const INITIAL_WINDOW: u16 = 4;
    for opens in [true, false] {
        let base_url = listen(authority.good(), move |io| async move {
            let mut frames = Frames::open(io, &[(INITIAL_WINDOW, 0)]).await;
            // The head comes, the body has to wait.
            let Some(stream) = frames.stream(&[HEADERS], false).await else { return };
            if opens {
                frames.send(&settings_frame(&[(INITIAL_WINDOW, 1 << 16)])).await;
                if frames.stream(&[DATA], true).await.is_some() {
                    frames.answer(stream).await;
                }
            }
            frames.linger().await;
        })
        .await;
        let gateway = gateway(&base_url, "limits: { first_byte: 2s }").await;
        let client = ClientProtocol::Messages;
        let reply = gateway.ask(client, true).await;
        if opens {
            assert_eq!(read(client, true, reply).await.text(), "half of it");
        } else {
            assert_eq!(refused(client, reply).await.0, 504);
        }
        gateway.idle().await;
    }
}

#[tokio::test]
async fn u25_changes_of_settings_and_large_tables_do_no_harm() {
    let test = name_of("u25_changes_of_settings_and_large_tables_do_no_harm");
    let Some(authority) = Authority::trusted(&test) else { return };
    const TABLE: u16 = 1;
    const STREAMS: u16 = 3;
    const LIST: u16 = 6;
    for settings in [
        vec![(TABLE, u32::MAX)],
        vec![(TABLE, 0)],
        vec![(LIST, u32::MAX), (TABLE, 1 << 30)],
        vec![(STREAMS, 1), (STREAMS, u32::MAX), (0xbeef, 7)],
    ] {
        let shown = format!("{settings:?}");
        let base_url = listen(authority.good(), move |io| {
            let settings = settings.clone();
            async move {
                let mut frames = Frames::open(io, &settings).await;
                while let Some(stream) = frames.request().await {
                    for (number, value) in &settings {
                        frames.send(&settings_frame(&[(*number, *value)])).await;
                    }
                    frames.answer(stream).await;
                }
            }
        })
        .await;
        let gateway = gateway(&base_url, "").await;
        for client in CLIENTS {
            let heard = read(client, true, gateway.ask(client, true).await).await;
            assert_eq!(heard.text(), "half of it", "{client}, {shown}");
        }
    }
    // A header block that unpacks to more than it may.
    let base_url = listen(authority.good(), move |io| async move {
        let mut frames = Frames::open(io, &[]).await;
        let Some(stream) = frames.request().await else { return };
        // A field of four kilobytes goes into the table, and is then repeated by its number.
        let mut bomb = block(&[(b":status", b"200")]);
        let mut large = block(&[(b"x", &[b'y'; 3900])]);
        large[0] = 0x40;
        bomb.extend(large);
        bomb.extend([0xbe; 8000]);
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb)).await;
        frames.linger().await;
    })
    .await;
    let gateway = gateway(&base_url, "").await;
    for client in CLIENTS {
        assert!(refused(client, gateway.ask(client, false).await).await.0 >= 500, "{client}");
    }
}
