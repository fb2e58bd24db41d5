//! The binary as people use it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod accounts;
mod canaries;
mod clients;
mod commands;
mod conform;
#[cfg(target_os = "linux")]
mod handover;
mod import;
mod ledger;
#[cfg(target_os = "linux")]
mod manager;
mod operator;
mod outputs;
mod profiles;
#[cfg(target_os = "linux")]
mod programs;
mod record;
mod secrets;
mod users;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

/// Polyport in an empty folder and an empty environment.
fn polyport(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polyport"));
    command.current_dir(folder).env_clear().args(args).stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    polyport(folder, args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    folder
}

const CONFIG: &str = r#"
providers:
  a: { protocol: messages, base_url: "http://127.0.0.1:9/v1", keys: [sk-a, sk-b] }
  b: { base_url: "http://127.0.0.1:9/v1" }
models:
  fast: [ { target: a/m-1 }, { target: b/m-2, priority: 2 } ]
  "c-*": "b/*"
"#;

#[test]
fn version_and_help() {
    let folder = tempfile::tempdir().unwrap();
    let version = run(folder.path(), &["--version"]);
    assert_eq!(text(&version.stdout), format!("polyport {}\n", env!("CARGO_PKG_VERSION")));
    let help = text(&run(folder.path(), &["--help"]).stdout);
    for command in
        ["serve", "check", "models", "providers", "explain", "backup", "restore", "store", "schema", "completions"]
    {
        assert!(help.contains(command), "{command}");
    }
    assert_eq!(run(folder.path(), &["--no-such"]).status.code(), Some(2));
    assert!(text(&run(folder.path(), &["completions", "bash"]).stdout).contains("polyport"));
}

#[test]
fn check_names_all_mistakes() {
    let good = run(folder_with(CONFIG).path(), &["check"]);
    assert_eq!(text(&good.stdout), "polyport.yaml: good (3 providers, 2 models, 0 warnings)\n");
    assert!(good.status.success());

    let bad = folder_with("servr: {}\nlimits: { drain: 5 }\n");
    let output = run(bad.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 2, "{}", text(&output.stdout));
    let output = run(bad.path(), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let places: Vec<(u64, u64)> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| (problem["line"].as_u64().unwrap(), problem["column"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(1, 1), (2, 18)]);
    // Looking at a configuration writes nothing.
    assert_eq!(std::fs::read_dir(bad.path()).unwrap().count(), 1);
}

#[test]
fn models_and_providers_are_listed() {
    let folder = folder_with(CONFIG);
    let models = text(&run(folder.path(), &["models"]).stdout);
    assert!(models.contains("a/m-1, then b/m-2"), "{models}");
    let models: Value = serde_json::from_slice(&run(folder.path(), &["models", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        models["models"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["fast", "echo", "c-*"]);
    let output = run(folder.path(), &["providers", "--json"]);
    assert!(!text(&output.stdout).contains("sk-"));
    let providers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(providers["providers"][0]["credentials"], 2);
    assert_eq!(keys(&run(folder.path(), &["credentials", "--json"])), ["key 1", "key 2"]);
    // Looking at it writes nothing.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let presets = text(&run(folder.path(), &["providers", "--presets"]).stdout);
    assert!(presets.contains("DEEPSEEK_API_KEY"));
}

/// The labels of the credentials that a command lists.
fn keys(listed: &Output) -> Vec<String> {
    let list: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let labels = list["credentials"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap().to_owned());
    labels.collect()
}

#[test]
fn explain_shows_plan_and_conversion() {
    let folder = folder_with(CONFIG);
    let plan: Value = serde_json::from_slice(&run(folder.path(), &["explain", "fast", "--json"]).stdout).unwrap();
    let attempts: Vec<(&str, &str)> = plan["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| (attempt["provider"].as_str().unwrap(), attempt["key"].as_str().unwrap()))
        .collect();
    assert_eq!(attempts, [("a", "key 1"), ("a", "key 2"), ("b", "no key")]);
    assert_eq!(plan["attempts"][0]["way"], "translated");
    assert_eq!(plan["attempts"][2]["way"], "passed through");

    let body = r#"{"model":"fast","messages":[{"role":"user","content":"hi"}],"logit_bias":{"1":1}}"#;
    std::fs::write(folder.path().join("b.json"), body).unwrap();
    let output = run(folder.path(), &["explain", "fast", "--body", "b.json", "--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["request"]["body"]["model"], "m-1");
    assert!(shown["request"]["losses"].to_string().contains("/logit_bias"), "{shown}");

    let unknown = run(folder.path(), &["explain", "fas"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("unknown model `fas`; similar: `fast`"));
}

#[test]
fn explain_takes_headers_and_the_caller_into_account() {
    let folder = folder_with(&format!(
        "{CONFIG}routes:\n  - {{ match: {{ header: {{ x-team: search }} }}, to: b }}\n  - {{ match: {{ caller: night }}, to: b/late }}\n"
    ));
    let first = |more: &[&str]| {
        let args = [&["explain", "fast", "--json"][..], more].concat();
        let told: Value = serde_json::from_slice(&run(folder.path(), &args).stdout).unwrap();
        let attempt = &told["attempts"][0];
        format!("{}/{}", attempt["provider"].as_str().unwrap(), attempt["model"].as_str().unwrap())
    };
    assert_eq!(first(&[]), "a/m-1");
    assert_eq!(first(&["--header", "X-Team: search"]), "b/fast");
    assert_eq!(first(&["--header", "x-other:1", "--header", "x-team:search"]), "b/fast");
    assert_eq!(first(&["--caller", "night"]), "b/late");
    let wrong = run(folder.path(), &["explain", "fast", "--header", "search"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("NAME:VALUE"));
}

/// A running gateway, ended with the test.
struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(folder: &Path, args: &[&str]) -> Running {
    let mut child = polyport(folder, args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.unwrap().split_once("listens on http://")?.1.to_owned())).unwrap();
    // The banner is read to its end, so that the program never waits for this test.
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, url }
}

impl Running {
    fn post(&self, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.url).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = body.len();
        let host = &self.url;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.url).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.url).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    fn chat(&self, model: &str) -> String {
        self.post(
            "/v1/chat/completions",
            &format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello there"}}]}}"#),
        )
    }
}

/// Path and body of every `curl` of a README.
fn readme_requests(name: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let text = std::fs::read_to_string(path).unwrap().replace("\\\n", "");
    let commands = text.lines().filter_map(|line| line.strip_prefix("curl http://127.0.0.1:7659"));
    let requests: Vec<(String, String)> = commands
        .map(|rest| {
            let (path, rest) = rest.split_once(' ').unwrap();
            let body = rest.split_once("-d '").unwrap().1.split_once('\'').unwrap().0;
            (path.to_owned(), body.to_owned())
        })
        .collect();
    assert_eq!(requests.len(), 4, "{name}");
    requests
}

#[test]
fn both_readmes_say_the_same() {
    assert_eq!(readme_requests("README.md"), readme_requests("README.zh-CN.md"));
    let shape = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
        let text = std::fs::read_to_string(path).unwrap();
        let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        let links = text.matches("](").count();
        (count("#"), count("|"), count("```"), links)
    };
    assert_eq!(shape("README.md"), shape("README.zh-CN.md"));
}

#[test]
fn without_configuration_every_protocol_answers() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), &["--port", "0"]);
    for (path, body) in readme_requests("README.md") {
        let answer = running.post(&path, &body);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"hello\""), "{answer}");
        let (path, body) = match path.strip_suffix(":generateContent") {
            Some(model) => (format!("{model}:streamGenerateContent?alt=sse"), body),
            None => (path, body.replacen('{', "{\"stream\":true,", 1)),
        };
        let answer = running.post(&path, &body);
        assert!(answer.contains("text/event-stream") && answer.contains("\"hello\""), "{answer}");
    }
    assert!(folder.path().join("data/carrier.key").exists());
}

#[test]
fn a_refused_configuration_does_not_start() {
    let folder = folder_with("server: { host: 0.0.0.0 }");
    let output = run(folder.path(), &["serve", "--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("without keys lets everybody on the network"), "{}", text(&output.stderr));
    assert!(!folder.path().join("data").exists());
}

#[test]
fn changes_apply_while_running() {
    let folder = folder_with("models: { one: echo/echo }");
    let running = start(folder.path(), &["--port", "0"]);
    assert!(running.chat("one").starts_with("HTTP/1.1 200"));
    assert!(running.chat("two").starts_with("HTTP/1.1 404"));
    std::fs::write(folder.path().join("polyport.yaml"), "models: { two: echo/echo }").unwrap();
    // There is no other sign of a change than the answers themselves.
    let changed = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        running.chat("two").starts_with("HTTP/1.1 200")
    });
    assert!(changed);
    assert!(running.chat("one").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_bad_change_leaves_the_old_configuration_and_shows_in_the_figures() {
    const GOOD: &str = "polyport_config_reload_success 1";
    const REFUSED: &str = "polyport_config_reload_success 0";
    let folder = folder_with("models: { one: echo/echo }");
    let running = start(folder.path(), &["--port", "0"]);
    let metrics = running.get("/metrics");
    assert!(metrics.contains(GOOD) && metrics.contains("polyport_build_info{version="), "{metrics}");
    let shows = |figure: &str| {
        (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            running.get("/metrics").contains(figure)
        })
    };
    std::fs::write(folder.path().join("polyport.yaml"), "modells: {}").unwrap();
    assert!(shows(REFUSED));
    assert!(running.chat("one").starts_with("HTTP/1.1 200"));
    std::fs::write(folder.path().join("polyport.yaml"), "models: { two: echo/echo }").unwrap();
    assert!(shows(GOOD));
    assert!(running.chat("two").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_first_lines_for_programs() {
    let folder = folder_with("providers: { a: { base_url: 'http://127.0.0.1:9/v1', keys: sk-canary } }");
    let command = &mut polyport(folder.path(), &["serve", "--json", "--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert!(ready["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    assert_eq!(ready["providers"][0]["name"], "a");
    assert!(!line.contains("canary"));
}

#[test]
fn a_port_in_use_is_told_with_the_remedy() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(tempfile::tempdir().unwrap().path(), &["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let words = text(&output.stderr);
    assert!(words.contains("another program uses this port; choose one with `--port`"), "{words}");
}

#[test]
fn secrets_come_from_the_environment_dot_env_and_files() {
    let folder = folder_with(
        "providers: { a: { base_url: 'http://127.0.0.1:9/v1', keys: ['ENV:FROM_DOT_ENV', 'env:FROM_SHELL', 'file:key.txt'] } }",
    );
    std::fs::write(folder.path().join(".env"), "# keys\nFROM_DOT_ENV=sk-1\nnot an assignment\nFROM_SHELL=sk-no\n")
        .unwrap();
    std::fs::write(folder.path().join("key.txt"), "sk-3\n").unwrap();
    let output = polyport(folder.path(), &["credentials", "--json"]).env("FROM_SHELL", "sk-2").output().unwrap();
    assert_eq!(keys(&output), ["env:FROM_DOT_ENV", "env:FROM_SHELL", "file:key.txt"]);
    assert_eq!(
        text(&output.stderr),
        "polyport: .env:3:1: warning: this line is not `NAME=value`; quote values that hold spaces or quotes\n"
    );
}

#[test]
fn every_request_has_one_line_in_the_log() {
    let folder = folder_with(
        "providers: { a: { base_url: 'http://127.0.0.1:9/v1' }, b: { base_url: 'http://127.0.0.1:9/v1' } }",
    );
    let command = &mut polyport(folder.path(), &["--port", "0"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.find_map(|line| Some(line.split_once("listening address=")?.1.to_owned())).unwrap();
    let running = Running { child, url };
    assert!(running.chat("no-such-model").starts_with("HTTP/1.1 404"));
    assert!(running.get("/v1/nothing?key=canary").starts_with("HTTP/1.1 404"));
    assert!(running.get("/v1/models").starts_with("HTTP/1.1 200"));
    for words in ["gen_ai.request.model=no-such-model", "path=/v1/nothing status=404", "path=/v1/models status=200"] {
        let line = lines.next().unwrap();
        assert!(line.contains("request ended") && line.contains(words) && line.contains("id="), "{line}");
        assert!(!line.contains("canary"), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), &["--port", "0"]);
    running.signal("-TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

/// A provider that begins an answer and never ends it, and what tells that it began.
#[cfg(unix)]
fn endless_provider() -> (u16, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (began, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(&stream).read_line(&mut String::new()).unwrap();
        let chunk = r#"{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {chunk}\n\n").unwrap();
        began.send(()).unwrap();
        // It ends with the connection.
        stream.read_to_end(&mut Vec::new()).ok();
    });
    (port, wait)
}

#[cfg(unix)]
#[test]
fn an_open_stream_holds_the_end_up_until_the_second_signal() {
    let (port, began) = endless_provider();
    let folder = folder_with(&format!(
        "providers: {{ a: {{ base_url: 'http://127.0.0.1:{port}/v1' }} }}\nlimits: {{ drain: 1h }}"
    ));
    let mut running = start(folder.path(), &["--port", "0"]);
    let body = r#"{"model":"a/m","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let mut stream = TcpStream::connect(&running.url).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n{body}",
        running.url,
        body.len()
    )
    .unwrap();
    began.recv().unwrap();
    running.signal("-TERM");
    // Nobody new is let in from now on; until then the first signal may still be on its way.
    while TcpStream::connect(&running.url).is_ok() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(running.child.try_wait().unwrap().is_none());
    running.signal("-TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
}

#[cfg(unix)]
#[test]
fn a_stream_that_does_not_end_is_cut_with_an_error_of_its_protocol() {
    let (port, began) = endless_provider();
    let folder = folder_with(&format!(
        "providers: {{ a: {{ base_url: 'http://127.0.0.1:{port}/v1' }} }}\nlimits: {{ drain: 50ms }}"
    ));
    let mut running = start(folder.path(), &["--port", "0"]);
    let url = running.url.clone();
    let client = std::thread::spawn(move || {
        let body = r#"{"model":"a/m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
        let mut stream = TcpStream::connect(&url).unwrap();
        write!(stream, "POST /v1/messages HTTP/1.1\r\nhost: {url}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    began.recv().unwrap();
    running.signal("-TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    let answer = client.join().unwrap();
    assert!(answer.contains("event: error") && !answer.contains("message_stop"), "{answer}");
}

#[test]
fn the_database_is_copied_while_it_is_used_and_put_back() {
    let folder = folder_with("discover: false\n");
    let path = folder.path();
    let gateway = start(path, &["--port", "0"]);
    let copied = run(path, &["backup", "copy.db"]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    let again = run(path, &["backup", "copy.db"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("already"), "{}", text(&again.stderr));
    for busy in [vec!["restore", "copy.db"], vec!["store", "rotate-key"], vec!["serve", "--port", "0"]] {
        let refused = run(path, &busy);
        assert_eq!(refused.status.code(), Some(1), "{busy:?}");
        assert!(text(&refused.stderr).contains("is in use by another process"), "{}", text(&refused.stderr));
    }
    drop(gateway);

    let rotated = run(path, &["store", "rotate-key", "--json"]);
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let refused = run(path, &["restore", "copy.db"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("sealed under master key"), "{}", text(&refused.stderr));
    let restored = run(path, &["restore", "copy.db", "--any-key", "--json"]);
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    let report: Value = serde_json::from_slice(&restored.stdout).unwrap();
    assert!(Path::new(report["replaced"].as_str().unwrap()).is_file(), "{report}");
    drop(start(path, &["--port", "0"]));
}

#[test]
fn s13_a_broken_database_and_a_malformed_key_stop_the_start_and_stay_as_they_are() {
    let folder = folder_with("discover: false\n");
    let path = folder.path();
    let database = path.join("data/polyport.db");
    std::fs::create_dir(path.join("data")).unwrap();
    std::fs::write(&database, "this is no database at all").unwrap();
    let refused = run(path, &["--port", "0"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("damaged or no SQLite database"), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_to_string(&database).unwrap(), "this is no database at all");

    let refused = polyport(path, &["--port", "0"]).env("POLYPORT_MASTER_KEY", "hunter2-hunter2").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains("POLYPORT_MASTER_KEY") && told.contains("32 random bytes"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_key_of_the_environment_is_replaced_by_a_key_of_the_environment() {
    let folder = folder_with("discover: false\n");
    let (old, new) = ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI");
    let rotate = || {
        let mut command = polyport(folder.path(), &["store", "rotate-key"]);
        command.env("WARP_TOKEN_ENCRYPTION_KEY", old);
        command
    };
    let refused = rotate().output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("POLYPORT_NEW_MASTER_KEY"), "{}", text(&refused.stderr));
    let done = rotate().env("POLYPORT_NEW_MASTER_KEY", new).output().unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(!text(&done.stdout).contains(new) && text(&done.stdout).contains("give the new key"));
    assert!(!folder.path().join("data/master.key").exists());
}
