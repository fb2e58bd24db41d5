//! Recordings: made, played again, and without secrets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};

use polyport_recording::{End, Exchange, Recording, Side};
use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{get, post, send};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::canaries::{UPSTREAM, repeats};
use crate::{Running, folder_with, polyport, run, text};

const ADMIN: &str = "canaryadmin0a1b2c3d4e5f6071829300";
const CLIENT: &str = "canaryclient0a1b2c3d4e5f60718293";
const PROVIDER: &str = "canaryprovider0a1b2c3d4e5f607182";
const EXTRA: &str = "canaryextraheader0a1b2c3d4e5f607";
const QUERY: &str = "canaryquerymember0a1b2c3d4e5f607";
/// Below names that tell nothing.
const CODE: &str = "canarycodemember0a1b2c3d4e5f6071";
const BASE: &str = "canarybasemember0a1b2c3d4e5f6071";
const UNUSED: &str = "canaryunusedkey0a1b2c3d4e5f60718";

/// A program that has said on its first line where it listens; the rest of what it says.
pub(crate) fn listening(folder: &Path, args: &[&str]) -> (Running, Value, BufReader<ChildStdout>) {
    let mut command = polyport(folder, args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let url = ready["url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/').to_owned();
    (Running { child, url }, ready, stdout)
}

/// Ends a program in order; what it said at the end.
pub(crate) fn ended(mut running: Running, mut stdout: BufReader<ChildStdout>) -> Value {
    running.signal("-TERM");
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert!(running.child.wait().unwrap().success());
    serde_json::from_str(said.trim()).unwrap_or_default()
}

/// What clients ask: every protocol of every provider, whole and streamed, and what goes wrong.
pub(crate) fn session() -> Vec<(String, Value)> {
    let mut asks = Vec::new();
    let turns = |words: &str| json!([{ "role": "user", "content": words }]);
    let mut ask = |provider: &str, model: &str, words: &str, stream: bool| {
        let model = format!("{provider}/{model}");
        asks.push((
            "/v1/chat/completions".to_owned(),
            json!({ "model": model, "stream": stream, "messages": turns(words) }),
        ));
        let messages = json!({ "model": model, "stream": stream, "max_tokens": 99, "messages": turns(words) });
        asks.push(("/v1/messages".to_owned(), messages));
        let responses = json!({ "model": model, "stream": stream, "store": false, "input": words });
        asks.push(("/v1/responses".to_owned(), responses));
        let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": words }] }] });
        asks.push((format!("/v1beta/models/{model}:{method}"), contents));
    };
    for provider in ["chat", "responses", "messages", "gemini"] {
        for stream in [false, true] {
            ask(provider, "plain", "count to 30", stream);
            ask(provider, "think", "hello, wörld", stream);
        }
    }
    ask("broken", "fail-400", "no", false);
    ask("broken", "cut", "count to 40", true);
    asks
}

/// Sends them one after the other; the bytes of the answers as far as they came.
pub(crate) async fn ask_all(address: SocketAddr, asks: &[(String, Value)], key: &str) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    for (path, body) in asks {
        let mut reply = post(address, path, &[("x-api-key", key)], body).await;
        let mut bytes = Vec::new();
        while let Ok(Some(piece)) = reply.next().await {
            bytes.extend_from_slice(&piece);
        }
        answers.push(bytes);
    }
    answers
}

/// Records a session with the configuration in `folder`.
async fn recorded(folder: &Path, name: &str, asks: &[(String, Value)]) -> (PathBuf, Vec<Vec<u8>>) {
    let (running, _, stdout) = listening(folder, &["record", name, "--json", "--port", "0"]);
    let answers = ask_all(running.url.parse().unwrap(), asks, CLIENT).await;
    let totals = ended(running, stdout);
    assert_eq!(totals["dropped"], 0, "{totals}");
    (folder.join(name), answers)
}

/// Fake providers, and the configuration that knows them.
pub(crate) async fn providers() -> (Vec<FakeProvider>, String) {
    let mut fakes = Vec::new();
    let mut config =
        format!("access: {{ keys: [\"{CLIENT}\"] }}\ndiscover: false\nretry: {{ attempts: 1 }}\nproviders:\n");
    for (name, protocol) in [
        ("chat", Protocol::Chat),
        ("responses", Protocol::Responses),
        ("messages", Protocol::Messages),
        ("gemini", Protocol::Gemini),
        ("broken", Protocol::Chat),
    ] {
        let fake = FakeProvider::builder(protocol).lenient().start().await;
        config += &format!(
            "  {name}: {{ protocol: {protocol}, base_url: \"{}\", proxy: none, keys: [\"{PROVIDER}\"], headers: {{ x-extra: \"{EXTRA}\" }}, query: {{ token: \"{QUERY}\" }} }}\n",
            fake.base_url()
        );
        fakes.push(fake);
    }
    (fakes, config)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn of_providers(recording: &Recording) -> Vec<&Exchange> {
    recording.of(Side::Provider).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_a_recorded_session_replays_byte_for_byte() {
    let (_fakes, config) = providers().await;
    let folder = folder_with(&config);
    let asks = session();
    let (file, answers) = recorded(folder.path(), "first.jsonl", &asks).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let first = Recording::open(&file).unwrap();
    let clients: Vec<&Exchange> = first.of(Side::Client).collect();
    assert_eq!(clients.len(), asks.len());
    for (client, answer) in clients.iter().zip(&answers) {
        assert_eq!(
            text(&client.answer.as_ref().unwrap().bytes()),
            text(answer),
            "what the client got is what was recorded"
        );
    }
    let recorded_first = of_providers(&first);
    assert!(recorded_first.len() >= asks.len());
    for end in [End::Complete, End::Reset] {
        assert!(recorded_first.iter().any(|exchange| exchange.end == end), "{end:?}");
    }
    assert!(
        recorded_first.iter().any(|exchange| exchange.answer.as_ref().is_some_and(|answer| answer.chunks.len() > 5))
    );

    for (round, pace) in [("second", "fast"), ("third", "1000")] {
        let args = ["replay", "first.jsonl", "--json", "--listen", "127.0.0.1:0", "--pace", pace];
        let (replay, ready, stdout) = listening(folder.path(), &args);
        // Through a gateway.
        let again = folder_with(
            &json!({ "providers": ready["providers"], "discover": false, "retry": { "attempts": 1 } }).to_string(),
        );
        let (file, answers_again) = recorded(again.path(), &format!("{round}.jsonl"), &asks).await;
        let second = Recording::open(&file).unwrap();
        let recorded_second = of_providers(&second);
        assert_eq!(recorded_second.len(), recorded_first.len());
        for (one, two) in recorded_first.iter().zip(&recorded_second) {
            assert_eq!((&one.provider, &one.body, one.end), (&two.provider, &two.body, two.end));
            let (one, two) = (one.answer.as_ref().unwrap(), two.answer.as_ref().unwrap());
            assert_eq!((one.status, text(&one.bytes())), (two.status, text(&two.bytes())));
            assert_eq!(one.header("content-type"), two.header("content-type"));
        }
        for ((path, body), (one, two)) in asks.iter().zip(answers.iter().zip(&answers_again)) {
            let same = [
                ("/v1/chat", "chat/"),
                ("/v1/responses", "responses/"),
                ("/v1/messages", "messages/"),
                ("/v1beta", "/v1beta/models/gemini/"),
            ];
            let asked = body["model"].as_str().unwrap_or(path);
            if same.iter().any(|(start, model)| path.starts_with(start) && asked.starts_with(model)) {
                assert_eq!(text(one), text(two), "{path} {body}");
            }
        }
        // And to anybody who asks for it.
        let address: SocketAddr = replay.url.parse().unwrap();
        for exchange in recorded_first.iter().filter(|exchange| exchange.end == End::Complete) {
            let target = format!("/{}{}", exchange.provider, exchange.target.replace("%5Bredacted%5D", "anything"));
            let reply =
                send(address, "POST", &target, &[("content-type", "application/json")], exchange.body_bytes()).await;
            let answer = exchange.answer.as_ref().unwrap();
            assert_eq!(reply.status, answer.status);
            assert_eq!(text(&reply.bytes().await.unwrap()), text(&answer.bytes()));
        }
        let reply = post(address, "/messages/v1/messages", &[], &json!({ "model": "other" })).await;
        assert_eq!(reply.status, 404);
        let refusal = reply.json().await;
        assert_eq!(refusal["type"], "error", "{refusal}");
        assert!(refusal["error"]["message"].as_str().unwrap().contains("nearest is line"), "{refusal}");
        ended(replay, stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_a8_no_secret_is_in_a_recording() {
    let (fakes, config) = providers().await;
    for fake in &fakes {
        fake.decide(repeats);
    }
    let config = config.replace("access: {", &format!("access: {{ admin_keys: [\"{ADMIN}\"],"));
    let config = config.replace("query: { token:", &format!("query: {{ code: \"{CODE}\", token:"));
    let config = fakes.iter().fold(config, |config, fake| {
        config.replace(&format!("{}\"", fake.base_url()), &format!("{}?mode={BASE}\"", fake.base_url()))
    });
    let config = format!("{config}  unused: {{ base_url: \"http://127.0.0.1:9/v1\", keys: [\"{UNUSED}\"] }}\n");
    let folder = folder_with(&config);
    let (running, _, stdout) = listening(folder.path(), &["record", "r.jsonl", "--json", "--port", "0"]);
    let address: SocketAddr = running.url.parse().unwrap();
    for provider in ["chat", "responses", "messages", "gemini"] {
        for model in ["fine", "wrong", "down", "page", "plain", "within", "refused"] {
            for stream in [false, true] {
                // Clients that say their key, and that of somebody else.
                let words = format!("my key is {CLIENT}, and theirs are {UNUSED}, {BASE}, {CODE} and {QUERY}");
                let body = json!({ "model": format!("{provider}/{model}"), "stream": stream, "messages": [{ "role": "user", "content": words }] });
                let bearer = format!("Bearer {CLIENT}");
                post(
                    address,
                    "/v1/chat/completions",
                    &[("authorization", &bearer), ("cookie", "a=canarycookie0a1b2c3d"), ("x-user-role", "assistant")],
                    &body,
                )
                .await
                .bytes()
                .await
                .ok();
                let path = format!("/v1beta/models/{provider}/{model}:generateContent?key={CLIENT}");
                let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": words }] }] });
                post(address, &path, &[], &body).await.bytes().await.ok();
            }
        }
    }
    // What operators ask for is nobody's session.
    let admin = [("x-api-key", ADMIN)];
    post(address, "/admin/api/providers/chat/models", &admin, &json!({})).await.bytes().await.unwrap();
    get(address, "/admin/api/providers/chat/models", &admin).await.bytes().await.unwrap();
    let totals = ended(running, stdout);
    assert!(totals["exchanges"].as_u64().unwrap() > 100, "{totals}");
    let file = std::fs::read_to_string(folder.path().join("r.jsonl")).unwrap();
    for secret in [CLIENT, PROVIDER, EXTRA, QUERY, CODE, BASE, UNUSED, UPSTREAM, "canarycookie", "canary"] {
        let at = file.find(secret).map(|at| text(&file.as_bytes()[at.saturating_sub(300)..(at + 80).min(file.len())]));
        assert!(at.is_none(), "`{secret}` is there: {}", at.unwrap_or_default());
    }
    assert!(file.matches("[redacted]").count() > 300);
    assert!(file.contains("mode=%5Bredacted%5D&code=%5Bredacted%5D&token=%5Bredacted%5D"));
    assert!(file.contains("\\\"assistant\\\""), "what a harmless header says stays in bodies");
    assert!(!file.contains("/models\""), "the list of models was asked for by an operator");
    // It is good all the same.
    assert!(run(folder.path(), &["replay", "r.jsonl", "--print-config"]).status.success());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_o9_a_full_disk_while_recording_costs_no_request() {
    let (_fakes, config) = providers().await;
    let folder = folder_with(&config);
    // A file system of a few pages cannot be made without rights: a limit on the size of files fails writes in the same way.
    let mut command = std::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_polyport");
    let script = format!("trap '' XFSZ; ulimit -f 4096; exec '{binary}' record r.jsonl --json --port 0");
    command.current_dir(folder.path()).env_clear().args(["-c", &script]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let url = ready["url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let running = Running { child, url };
    let address: SocketAddr = running.url.parse().unwrap();
    for round in 0..12 {
        let words = round.to_string().repeat(300_000);
        let body = json!({ "model": "chat/plain", "messages": [{ "role": "user", "content": words }] });
        let reply = post(address, "/v1/chat/completions", &[("x-api-key", CLIENT)], &body).await;
        assert_eq!(reply.status, 200);
        assert!(reply.bytes().await.unwrap().len() > 300_000);
    }
    let totals = ended(running, stdout);
    let (exchanges, dropped) = (totals["exchanges"].as_u64().unwrap(), totals["dropped"].as_u64().unwrap());
    assert!(exchanges > 0 && dropped > 0 && exchanges + dropped == 24, "{totals}");
    let recording = Recording::open(&folder.path().join("r.jsonl")).unwrap();
    assert_eq!(recording.exchanges.len() as u64, exchanges, "what is there is whole");
}

#[test]
fn hostile_recordings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let head = r#"{"polyport_recording":1,"made_by":"polyport","at":1}"#;
    for (content, words) in [
        (b"".to_vec(), "it is empty"),
        (b"providers: {}\n".to_vec(), "it is no recording"),
        (b"{\"polyport_recording\":7}\n".to_vec(), "version 7"),
        (format!("{head}\n").into_bytes(), "holds no exchange with a provider"),
        (format!("{head}\n{{\"exchange\":{{\"side\"").into_bytes(), "ends in the middle of line 2"),
        ([head.as_bytes(), b"\n\xff\xfe\n"].concat(), "line 2 is not UTF-8"),
    ] {
        std::fs::write(folder.path().join("r.jsonl"), content).unwrap();
        let refused = run(folder.path(), &["replay", "r.jsonl"]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains(words), "{}", text(&refused.stderr));
    }
    let missing = run(folder.path(), &["replay", "none.jsonl"]);
    assert!(text(&missing.stderr).contains("none.jsonl: it cannot be read"), "{}", text(&missing.stderr));
    // A recording is never written over.
    let refused = run(folder.path(), &["record", "r.jsonl", "--port", "0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("r.jsonl is there already"), "{}", text(&refused.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_compressed_requests_and_hidden_members_replay_the_same() {
    let (_fakes, config) = providers().await;
    let folder = folder_with(&config.replace("query: { token:", &format!("query: {{ code: \"{CODE}\", token:")));
    let (running, _, stdout) = listening(folder.path(), &["record", "z.jsonl", "--json", "--port", "0"]);
    let body = json!({ "model": "chat/plain", "messages": [{ "role": "user", "content": "count to 9" }] }).to_string();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip"), ("x-api-key", CLIENT)];
    let reply =
        send(running.url.parse().unwrap(), "POST", "/v1/chat/completions", &headers, gzip(body.as_bytes())).await;
    assert_eq!(reply.status, 200);
    reply.bytes().await.unwrap();
    ended(running, stdout);
    let recording = Recording::open(&folder.path().join("z.jsonl")).unwrap();
    let client = recording.of(Side::Client).next().unwrap();
    assert_eq!((client.header("content-encoding"), text(&client.body_bytes())), (None, body));
    for args in [&["diff", "z.jsonl", "--with", "polyport.yaml"][..], &["diff", "z.jsonl"]] {
        let same = run(folder.path(), args);
        assert!(same.status.success(), "{}{}", text(&same.stdout), text(&same.stderr));
    }
    // As recordings had it.
    let whole = std::fs::read_to_string(folder.path().join("z.jsonl")).unwrap();
    let with_header = whole.lines().map(|line| match line.contains(r#""side":"client""#) {
        true => line.replacen(r#"["content-type""#, r#"["content-encoding","gzip"],["content-type""#, 1) + "\n",
        false => format!("{line}\n"),
    });
    let with_header: String = with_header.collect();
    assert!(with_header.contains("gzip"));
    std::fs::write(folder.path().join("old.jsonl"), with_header).unwrap();
    let same = run(folder.path(), &["diff", "old.jsonl"]);
    assert!(same.status.success(), "{}{}", text(&same.stdout), text(&same.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_a_changed_route_or_converter_shows_in_diff() {
    let (_fakes, config) = providers().await;
    let folder = folder_with(&config);
    let asks: Vec<(String, Value)> =
        session().into_iter().filter(|(_, body)| !body.to_string().contains("broken/")).step_by(3).collect();
    recorded(folder.path(), "s.jsonl", &asks).await;
    // The same configuration, and the one that is made of the recording, do the same again.
    for args in [&["diff", "s.jsonl", "--with", "polyport.yaml", "--json"][..], &["diff", "s.jsonl"]] {
        let same = run(folder.path(), args);
        assert!(same.status.success(), "{}{}", text(&same.stdout), text(&same.stderr));
    }
    let this = env!("CARGO_BIN_EXE_polyport");
    let same = run(folder.path(), &["diff", "s.jsonl", "--against", this]);
    assert!(same.status.success(), "{}{}", text(&same.stdout), text(&same.stderr));
    assert!(text(&same.stdout).contains("nothing differs"));

    // A converter that writes something else.
    let quirk = config.replace("  chat: {", "  chat: { quirks: { limit_field: max_completion_tokens },");
    std::fs::write(folder.path().join("quirk.yaml"), quirk).unwrap();
    let changed = run(folder.path(), &["diff", "s.jsonl", "--with", "quirk.yaml"]);
    assert_eq!(changed.status.code(), Some(1), "{}{}", text(&changed.stdout), text(&changed.stderr));
    let told = text(&changed.stdout);
    assert!(told.contains("a: s.jsonl as recorded\nb: quirk.yaml\n"), "{told}");
    assert!(told.contains("provider request 1: /max_tokens: 99 | -"), "{told}");

    // Another route.
    std::fs::write(
        folder.path().join("route.yaml"),
        format!("{config}models: {{ responses/plain: messages/plain }}\n"),
    )
    .unwrap();
    let args = ["diff", "s.jsonl", "--with", "polyport.yaml", "--with", "route.yaml", "--json"];
    let changed = run(folder.path(), &args);
    assert_eq!(changed.status.code(), Some(1), "{}{}", text(&changed.stdout), text(&changed.stderr));
    let report: Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!((&report["a"], &report["b"]), (&json!("polyport.yaml"), &json!("route.yaml")));
    assert_eq!(report["requests"], asks.len());
    let different = report["different"].as_array().unwrap();
    let of_route = asks.iter().filter(|(path, body)| format!("{path}{body}").contains("responses/plain")).count();
    assert_eq!(different.len(), of_route, "{report:#}");
    for one in different {
        let differences = one["differences"].as_array().unwrap();
        let provider = differences.iter().find(|one| one["at"] == "provider request 1: provider").unwrap();
        assert_eq!((&provider["a"], &provider["b"]), (&json!("responses"), &json!("messages")), "{one:#}");
    }
}

/// A recording of one exchange, as version 1 writes it: it must stay readable.
const VERSION_1: &str = r#"{"polyport_recording":1,"made_by":"polyport 0.1.0","at":1790000000000}
{"exchange":{"side":"provider","id":"r1","at":1790000000001,"protocol":"chat","provider":"a:b","profile":"generic","base":"/openai/v1","model":"m-1","method":"POST","target":"/openai/v1/chat/completions","headers":[["content-type","application/json"],["authorization","[redacted]"]],"body":"{\"model\":\"m-1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}","answer":{"after":10,"status":200,"headers":[["content-type","application/json"],["content-length","233"]],"chunks":[[20,"{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m-1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":\"stop\"}],"],[30,"\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}"]]},"end":"complete","ended":31}}
{"exchange":{"side":"client","id":"r1","at":1790000000000,"protocol":"chat","method":"POST","target":"/v1/chat/completions","headers":[["content-type","application/json"]],"body":"{\"model\":\"fast\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}","answer":{"after":10,"status":200,"headers":[["content-type","application/json"]],"chunks":[[20,"{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"fast\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"goodbye\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}"]]},"end":"complete","ended":31}}
{"end":{"exchanges":2,"dropped":0}}
"#;

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[cfg(unix)]
#[test]
fn what_programs_read_keeps_its_shape() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.jsonl"), VERSION_1).unwrap();
    let listen = ["replay", "r.jsonl", "--listen", "127.0.0.1:7661", "--print-config"];
    let config = text(&run(folder.path(), &listen).stdout);
    let expected = "providers:\n  \"a:b\": {\"protocol\":\"chat\",\"base_url\":\"http://127.0.0.1:7661/a%3Ab/openai/v1\",\"keys\":[\"replayed\"],\"proxy\":\"none\",\"profile\":\"generic\"}\nmodels:\n  \"fast\": \"a:b/m-1\"\n";
    assert_eq!(config, expected);
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    let checked = run(folder.path(), &["check"]);
    assert!(checked.status.success(), "{}", text(&checked.stdout));

    let (replay, ready, stdout) = listening(folder.path(), &["replay", "r.jsonl", "--json", "--listen", "127.0.0.1:0"]);
    assert_eq!(members(&ready), ["url", "providers"]);
    ended(replay, stdout);

    let differs = run(folder.path(), &["diff", "r.jsonl", "--json"]);
    assert_eq!(differs.status.code(), Some(1), "{}", text(&differs.stderr));
    let report: Value = serde_json::from_slice(&differs.stdout).unwrap();
    assert_eq!(members(&report), ["a", "b", "requests", "different"]);
    assert_eq!(members(&report["different"][0]), ["line", "request", "differences"]);
    assert_eq!(report["different"][0]["request"], "POST /v1/chat/completions (fast)");
    let content = json!({ "at": "answer: /choices/0/message/content", "a": "goodbye", "b": "hello" });
    let differences = report["different"][0]["differences"].as_array().unwrap();
    assert!(differences.contains(&content), "{report:#}");

    let (gateway, _, stdout) = listening(folder.path(), &["record", "new.jsonl", "--json", "--port", "0"]);
    let totals = ended(gateway, stdout);
    assert_eq!(totals, json!({ "recording": "new.jsonl", "exchanges": 0, "dropped": 0 }));
}
