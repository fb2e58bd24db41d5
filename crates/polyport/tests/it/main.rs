//! The binary as people use it.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
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
    for command in ["serve", "check", "models", "providers", "explain", "schema", "completions"] {
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
        models["models"].as_array().unwrap().iter().map(|model| model["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["fast", "echo", "c-*"]);
    let output = run(folder.path(), &["providers", "--json"]);
    assert!(!text(&output.stdout).contains("sk-"));
    let providers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(providers["providers"][0]["keys"], serde_json::json!(["key 1", "key 2"]));
    let presets = text(&run(folder.path(), &["providers", "--presets"]).stdout);
    assert!(presets.contains("DEEPSEEK_API_KEY"));
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

    fn chat(&self, model: &str) -> String {
        self.post(
            "/v1/chat/completions",
            &format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello there"}}]}}"#),
        )
    }
}

#[test]
fn without_configuration_every_protocol_answers() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), &["--port", "0"]);
    let answers = [
        running.chat("echo"),
        running.post("/v1/responses", r#"{"model":"echo","input":"Hello there"}"#),
        running.post(
            "/v1/messages",
            r#"{"model":"echo","max_tokens":9,"messages":[{"role":"user","content":"Hello there"}]}"#,
        ),
        running.post("/v1beta/models/echo:generateContent", r#"{"contents":[{"parts":[{"text":"Hello there"}]}]}"#),
    ];
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Hello there"), "{answer}");
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

#[cfg(unix)]
#[test]
fn a_signal_ends_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = start(folder.path(), &["--port", "0"]);
    let id = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
