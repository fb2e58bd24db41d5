//! Secrets that nobody can tell by their looks, everywhere they may stand, and everything that Polyport says to anybody: the two have
//! nothing in common.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use polyport_testkit::provider::{Exchange, FakeProvider, Step};
use polyport_testkit::raw::{Reply, get, post};
use polyport_types::Protocol;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::secrets::{ADMIN, files, talkative};
use crate::{polyport, text};

const CLIENT: &str = "canaryclient0a1b2c3d4e5f60718293";
const READER: &str = "canaryreader0a1b2c3d4e5f60718293";
const COLLECTOR: &str = "canarycollector0a1b2c3d4e5f60718";
const CHAT: &str = "canarychatkey0a1b2c3d4e5f6071829";
const MESSAGES: &str = "canarymessageskey0a1b2c3d4e5f607";
const GEMINI: &str = "canarygeminikey0a1b2c3d4e5f60718";
const EXTRA: &str = "canaryextraheader0a1b2c3d4e5f607";
const QUERY: &str = "canaryquerymember0a1b2c3d4e5f607";
const ADDED: &str = "canaryaddedkey0a1b2c3d4e5f607182";
const NOBODY: &str = "canaryofnobody0a1b2c3d4e5f607182";
/// What a provider says in headers that are no business of clients.
pub(crate) const UPSTREAM: &str = "canaryupstreamheader0a1b2c3d4e5f";
/// What clients and models say.
const WORDS: &str = "canarywordsofaconversation";

const SECRETS: [&str; 13] =
    [CLIENT, ADMIN, READER, COLLECTOR, CHAT, MESSAGES, GEMINI, EXTRA, QUERY, ADDED, NOBODY, UPSTREAM, WORDS];

/// What was said, and by what.
type Said = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A collector that keeps what it gets, but for the heads: they hold its key.
#[allow(clippy::disallowed_methods, reason = "it is no part of the gateway")]
async fn collector(said: Said) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let head = loop {
                stream.read_buf(&mut bytes).await.unwrap();
                if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
            };
            let head_text = text(&bytes[..head]).to_lowercase();
            assert!(head_text.contains(COLLECTOR), "{head_text}");
            let length = head_text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            while bytes.len() < head + length.unwrap_or(0) {
                stream.read_buf(&mut bytes).await.unwrap();
            }
            said.lock().unwrap().push(("a trace".to_owned(), bytes[head..].to_vec()));
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    address
}

/// A provider that repeats what it was sent, in ways that providers have.
pub(crate) fn repeats(exchange: &Exchange) -> Option<Step> {
    let model = exchange.json()["model"].as_str().unwrap_or_default().to_owned();
    let path = exchange.path().to_owned();
    let headers = ["authorization", "x-api-key", "x-goog-api-key"].iter().find_map(|name| exchange.header(name));
    let key = headers.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    let is = |word: &str| model.contains(word) || path.contains(word);
    let words = format!("Incorrect API key provided: {key}. You can find your API key at https://example.com/{key}");
    let step = if is("refused") {
        Step::error(401, &words)
    } else if is("denied") {
        Step::error(403, &words)
    } else if is("wrong") {
        Step::error(400, &words)
    } else if is("down") {
        Step::error(500, &words)
    } else if is("page") {
        Step::body("text/html", format!("<html><body>{words}</body></html>")).status(502)
    } else if is("plain") {
        Step::body("text/plain", words).status(503)
    } else if is("within") {
        Step::sse(&format!(
            "event: error\ndata: {}\n\n",
            json!({"type": "error", "error": {"message": words, "type": "x"}})
        ))
    } else {
        Step::model()
    };
    Some(step.header("set-cookie", UPSTREAM).header("x-internal-token", UPSTREAM))
}

/// Takes down an answer, head and body; gives the body.
async fn heard(said: &Said, what: &str, reply: Reply) -> Vec<u8> {
    let head = format!("{} {:?}", reply.status, reply.headers);
    // Streams that end with an error are whole all the same.
    let body = reply.bytes().await.unwrap_or_default();
    said.lock().unwrap().push((what.to_owned(), [head.as_bytes(), &body].concat()));
    body
}

/// No credential rests any more.
async fn revive(said: &Said, address: SocketAddr, admin: &[(&str, &str)]) {
    let credentials = get(address, "/admin/api/credentials", admin).await.json().await;
    for credential in credentials["credentials"].as_array().unwrap() {
        let path = format!("/admin/api/credentials/{}/revive", credential["id"].as_str().unwrap());
        heard(said, &path, post(address, &path, admin, &json!({})).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_no_secret_is_told_to_anybody() {
    let said = Said::default();
    let (chat, messages, gemini) = (
        FakeProvider::builder(Protocol::Chat).lenient().start().await,
        FakeProvider::builder(Protocol::Messages).lenient().start().await,
        FakeProvider::builder(Protocol::Gemini).lenient().start().await,
    );
    for fake in [&chat, &messages, &gemini] {
        fake.decide(repeats);
    }
    let collector = collector(Arc::clone(&said)).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "access: {{ keys: [\"{CLIENT}\"], admin_keys: [\"{ADMIN}\"] }}\nmetrics: {{ keys: [\"{READER}\"] }}\ndiscover: false\n\
         telemetry: {{ otlp: {{ endpoint: \"http://{collector}\", headers: {{ x-key: \"{COLLECTOR}\" }} }} }}\nproviders:\n  \
         chat: {{ base_url: \"{}\", proxy: none, keys: [\"{CHAT}\"], headers: {{ x-extra: \"{EXTRA}\" }}, query: {{ token: \"{QUERY}\" }} }}\n  \
         messages: {{ protocol: messages, base_url: \"{}\", proxy: none, keys: [\"env:MESSAGES\"] }}\n  \
         gemini: {{ protocol: gemini, base_url: \"{}\", proxy: none, keys: [\"file:gemini.txt\"] }}\n",
        chat.base_url(),
        messages.base_url(),
        gemini.base_url(),
    );
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    std::fs::write(folder.path().join("gemini.txt"), GEMINI).unwrap();
    std::fs::write(folder.path().join(".env"), format!("MESSAGES={MESSAGES}\n")).unwrap();
    let (running, log) = talkative(folder.path());
    let address: SocketAddr = running.url.parse().unwrap();
    let bearer = format!("Bearer {CLIENT}");
    let (client, admin) = ([("authorization", bearer.as_str())], [("x-api-key", ADMIN)]);

    // Clients of every protocol, providers of every protocol, and everything that can go wrong there.
    let mut errors = 0;
    for provider in ["chat", "messages", "gemini"] {
        for ending in ["fine", "refused", "denied", "wrong", "down", "page", "plain", "within"] {
            let model = format!("{provider}/{ending}");
            for stream in [false, true] {
                let turns = json!([{"role": "user", "content": WORDS}]);
                let asks = [
                    ("/v1/chat/completions", json!({"model": model, "stream": stream, "messages": turns})),
                    ("/v1/messages", json!({"model": model, "stream": stream, "max_tokens": 9, "messages": turns})),
                    ("/v1/responses", json!({"model": model, "stream": stream, "store": false, "input": WORDS})),
                ];
                for (path, body) in asks {
                    // After the failures of the one before.
                    revive(&said, address, &admin).await;
                    let body =
                        heard(&said, &format!("{path} {model}"), post(address, path, &client, &body).await).await;
                    errors += usize::from(text(&body).contains("error"));
                }
            }
            let body = json!({"contents": [{"role": "user", "parts": [{"text": WORDS}]}]});
            let path = format!("/v1beta/models/{model}:generateContent?key={CLIENT}");
            heard(&said, "gemini", post(address, &path, &[], &body).await).await;
            for (path, body) in [
                ("/v1/embeddings", json!({"model": model, "input": WORDS})),
                (
                    "/v1/messages/count_tokens",
                    json!({"model": model, "messages": [{"role": "user", "content": WORDS}]}),
                ),
                ("/v1/moderations", json!({"model": model, "input": WORDS})),
            ] {
                heard(&said, path, post(address, path, &client, &body).await).await;
            }
        }
    }
    assert!(errors > 60, "errors were told: {errors}");

    // Keys of nobody, requests that are none.
    for header in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
        let value = if header == "authorization" { format!("Bearer {NOBODY}") } else { NOBODY.to_owned() };
        for path in ["/v1/chat/completions", "/v1/messages", "/admin/api/explain"] {
            let body = json!({"model": "chat/fine", "messages": []});
            heard(&said, path, post(address, path, &[(header, value.as_str())], &body).await).await;
        }
    }
    for path in [format!("/v1/models?key={NOBODY}"), format!("/nothing?key={NOBODY}"), format!("/metrics?key={NOBODY}")]
    {
        heard(&said, "a key of nobody", get(address, &path, &[]).await).await;
    }

    // What operators and readers of figures get.
    let declared = json!({"provider": "chat", "name": "added", "key": ADDED});
    heard(&said, "a new key", post(address, "/admin/api/credentials", &admin, &declared).await).await;
    let openapi: Value = get(address, "/admin/api/openapi.json", &admin).await.json().await;
    let paths: Vec<String> = openapi["paths"].as_object().unwrap().keys().cloned().collect();
    assert!(paths.len() > 10, "{paths:?}");
    // The live log has no end.
    for path in paths.iter().filter(|path| !path.contains('{') && !path.ends_with("/live")) {
        heard(
            &said,
            path,
            get(
                address,
                &format!("/admin/api/{}", path.trim_start_matches("/admin/api/").trim_start_matches('/')),
                &admin,
            )
            .await,
        )
        .await;
    }
    for id in ["chat", "messages", "gemini"] {
        for path in ["", "/models", "/learned"] {
            let path = format!("/admin/api/providers/{id}{path}");
            heard(&said, &path, get(address, &path, &admin).await).await;
        }
    }
    let body = json!({"model": "chat/fine", "protocol": "chat"});
    heard(&said, "explain", post(address, "/admin/api/explain", &admin, &body).await).await;
    for (name, value) in [("authorization", format!("Bearer {READER}")), ("x-api-key", ADMIN.to_owned())] {
        let figures = heard(&said, "figures", get(address, "/metrics", &[(name, &*value)]).await).await;
        assert!(text(&figures).contains("polyport_upstream_requests_total"));
    }

    // What the commands print.
    for args in [&["check"][..], &["providers", "--json"], &["models", "--json"], &["explain", "chat/fine", "--json"]] {
        let output = polyport(folder.path(), args).output().unwrap();
        said.lock().unwrap().push((format!("{args:?}"), [output.stdout, output.stderr].concat()));
    }
    running.signal("-TERM");
    let mut running = running;
    running.child.wait().unwrap();
    let log = log.lock().unwrap().clone();
    assert!(text(&log).contains("TRACE") && text(&log).contains("request ended"), "it talks");
    said.lock().unwrap().push(("the log".to_owned(), log));
    files(&folder.path().join("data"), &mut said.lock().unwrap());

    let said = said.lock().unwrap();
    assert!(said.iter().any(|(what, _)| what == "a trace"), "traces were sent");
    let hidden = said.iter().filter(|(_, bytes)| text(bytes).contains("[redacted]")).count();
    assert!(hidden > 60, "what providers said was told without their keys: {hidden}");
    for (what, bytes) in &*said {
        for secret in SECRETS {
            // The conversation is the client's own.
            if secret == WORDS && !matches!(what.as_str(), "a trace" | "figures" | "the log") {
                continue;
            }
            let at = bytes.windows(secret.len()).position(|part| part == secret.as_bytes());
            let around = at.map(|at| text(&bytes[at.saturating_sub(300)..bytes.len().min(at + 100)]));
            assert!(around.is_none(), "{what} holds `{secret}`: {}", around.unwrap_or_default());
        }
    }
}
