//! Secrets stay where they belong: not in a log line of the most talkative level, not readable in any file that Polyport writes.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use polyport_testkit::provider::{FakeProvider, Step};
use polyport_testkit::raw::{get, post, send};
use polyport_testkit::tokens::{FakeTokenServer, Refusal};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::{Running, polyport};

const CLIENT: &str = "pp-canary-client-0123456789abcdef";
pub(crate) const ADMIN: &str = "ap-canary-admin-0123456789abcdef";
const GOOD: &str = "sk-canary-good-0123456789abcdef";
const REFUSED: &str = "sk-canary-refused-0123456789abcdef";
const GEMINI: &str = "canary-gemini-0123456789abcdef";
const SENT: &str = "sk-canary-of-nobody-0123456789abcdef";
const FIRST: &str = "canary-refresh-one";
const DEAD: &str = "canary-refresh-dead";

/// Everything in the files below this folder.
pub(crate) fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// Starts with everything logged; gives what it writes on both outputs.
pub(crate) fn talkative(folder: &Path) -> (Running, Arc<Mutex<Vec<u8>>>) {
    use std::io::{BufRead as _, BufReader, Read as _};
    let command = &mut polyport(folder, &["serve", "--json", "--port", "0"]);
    command.env("RUST_LOG", "trace").env("ADMIN_TOKEN", ADMIN);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let (mut log, heard) = (child.stderr.take().unwrap(), Arc::clone(&said));
    std::thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = log.read(&mut bytes) {
            heard.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    said.lock().unwrap().extend_from_slice(line.as_bytes());
    let ready: Value = serde_json::from_str(&line).unwrap();
    let url = ready["url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/').to_owned();
    (Running { child, url }, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a8_no_secret_is_logged_or_readable_in_a_file() {
    let (chat, gemini) = (FakeProvider::start(Protocol::Chat).await, FakeProvider::start(Protocol::Gemini).await);
    let (owned, server) = (FakeProvider::start(Protocol::Responses).await, FakeTokenServer::start().await);
    for account in [FIRST, DEAD] {
        server.open(account);
    }
    server.rotate();
    server.revoke(DEAD);
    chat.decide(|exchange| {
        let refused = exchange.header("authorization").is_some_and(|header| header.contains(REFUSED));
        // Some providers repeat the key in their refusals.
        refused.then(|| Step::error(401, &format!("Incorrect API key provided: {REFUSED}")))
    });
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "access: {{ keys: [\"{CLIENT}\"] }}\ndiscover: false\nproviders:\n  \
         chat: {{ base_url: \"{}\", proxy: none, keys: [\"env:REFUSED\", \"file:good.txt\"] }}\n  \
         gemini: {{ protocol: gemini, base_url: \"{}\", proxy: none, keys: [\"file:gemini.txt\"] }}\n  \
         owned: {{ protocol: responses, base_url: \"{}\", proxy: none, oauth: {{ token_url: \"{}\", client_id: c, \
         client_secret: canary-client-secret, accounts: [{{ refresh_token: \"{FIRST}\" }}, {{ refresh_token: \"{DEAD}\" }}] }} }}\n\
         models: {{ c: chat/m, g: gemini/m, o: owned/m }}\n",
        chat.base_url(),
        gemini.base_url(),
        owned.base_url(),
        server.url()
    );
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    std::fs::write(folder.path().join("good.txt"), GOOD).unwrap();
    std::fs::write(folder.path().join("gemini.txt"), GEMINI).unwrap();
    std::fs::write(folder.path().join(".env"), format!("REFUSED={REFUSED}\n")).unwrap();

    let mut outputs = Vec::new();
    let mut secrets: Vec<String> =
        [CLIENT, ADMIN, GOOD, REFUSED, GEMINI, SENT, FIRST, DEAD, "canary-client-secret"].map(str::to_owned).to_vec();
    for round in 0..2 {
        let (running, said) = talkative(folder.path());
        let address = running.url.parse().unwrap();
        let (client, admin) = ([("authorization", &*format!("Bearer {CLIENT}"))], [("x-api-key", ADMIN)]);
        let ask = async |model: &str, stream: bool| {
            let body = json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
            let reply = post(address, "/v1/chat/completions", &client, &body).await;
            let status = reply.status.as_u16();
            reply.bytes().await.unwrap();
            status
        };
        // Success, a refused key, every protocol, an account with a fresh token and one that is dead.
        for stream in [false, true] {
            for model in ["c", "c", "g", "o", "o"] {
                assert_eq!(ask(model, stream).await, 200, "{model}");
            }
        }
        // A token that is refused before its time, and a token server with troubles of its own.
        let used = owned.last().header("authorization").unwrap().to_owned();
        owned.decide(move |exchange| {
            (exchange.header("authorization") == Some(&*used)).then(|| Step::error(401, &format!("bad token {used}")))
        });
        assert_eq!(ask("o", false).await, 200);
        server.refuse_next(Refusal { status: 500, error: None, retry_after: None });
        owned.always(Step::error(401, "no"));
        assert_ne!(ask("o", false).await, 200);
        owned.always(Step::model());
        owned.decide(|_| None);
        // Keys of nobody, in every place; a failing provider.
        for header in ["authorization", "x-api-key", "x-goog-api-key"] {
            let value = if header == "authorization" { format!("Bearer {SENT}") } else { SENT.to_owned() };
            let body = json!({"model": "c", "messages": []});
            assert_eq!(post(address, "/v1/chat/completions", &[(header, &*value)], &body).await.status, 401);
        }
        assert_eq!(get(address, &format!("/v1/models?key={SENT}"), &[]).await.status, 401);
        assert_eq!(get(address, &format!("/v1beta/models?key={CLIENT}"), &[]).await.status, 200);
        chat.script(Step::error(500, "down"));
        ask("c", false).await;
        // What is kept: an answer and a signature's like.
        let body = json!({"model": "c", "input": "hi"});
        assert_eq!(post(address, "/v1/responses", &client, &body).await.status, 200);
        // What operators do.
        let list = get(address, "/admin/api/credentials", &admin).await.json().await;
        for credential in list["credentials"].as_array().unwrap() {
            let id = credential["id"].as_str().unwrap();
            for act in ["probe", "refresh", "revive"] {
                let path = format!("/admin/api/credentials/{id}/{act}");
                send(address, "POST", &path, &admin, "").await.bytes().await.unwrap();
            }
        }
        get(address, "/admin/api/tokens/health", &admin).await.bytes().await.unwrap();
        get(address, "/metrics", &admin).await.bytes().await.unwrap();
        let explained = json!({"model": "c", "protocol": "chat"});
        post(address, "/admin/api/explain", &admin, &explained).await.bytes().await.unwrap();
        if round == 0 {
            running.signal("-TERM");
            let mut running = running;
            running.child.wait().unwrap();
        }
        outputs.push(said);
    }
    for account in [FIRST, DEAD] {
        secrets.extend(server.access_tokens(account));
        secrets.push(server.current(account));
    }
    assert!(secrets.len() > 13, "{secrets:?}");
    let mut written = Vec::new();
    files(&folder.path().join("data"), &mut written);
    assert!(written.iter().any(|(name, _)| name.ends_with("polyport.db")), "{written:?}");
    for (round, said) in outputs.iter().enumerate() {
        let said = said.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&said);
        assert!(text.contains("TRACE") && text.contains("request ended"), "it talks");
        written.push((format!("the output of start {round}"), said));
    }
    for (name, bytes) in &written {
        for secret in &secrets {
            let at = bytes.windows(secret.len()).position(|part| part == secret.as_bytes());
            let around = at.map(|at| {
                let from = at.saturating_sub(300);
                String::from_utf8_lossy(&bytes[from..bytes.len().min(at + 100)]).into_owned()
            });
            assert!(around.is_none(), "{name} holds `{secret}`: {}", around.unwrap_or_default());
        }
    }
}
