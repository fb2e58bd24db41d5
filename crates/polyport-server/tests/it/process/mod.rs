//! Programs that answer.

mod faults;
mod server;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use polyport_testkit::grammar::{Check, Failure, Summary};
use polyport_testkit::raw::{Reply, post};
use polyport_types::ClientProtocol;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::adapters::config;
use crate::support::{Gateway, request};

/// Programs in a folder, known by a variable of their environment.
pub(crate) struct Tools {
    folder: TempDir,
}

impl Tools {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A provider `NAME` with the model `m` that runs this script; `more` are further members of `process`, in one line each.
    pub(crate) fn provider(&self, name: &str, script: &str, more: &str) -> String {
        let file = format!("{name}.sh");
        std::fs::write(self.path().join(&file), script).unwrap();
        let args = if more.contains("args:") { String::new() } else { format!("args: [{file}], ") };
        let mark = self.path().display();
        format!(
            "  {name}:\n    adapter: process\n    process: {{ command: /bin/sh, {args}env: {{ MARK: '{mark}', PATH: '/usr/bin:/bin' }}, \
             models: {{ m: /models/m.gguf }}{more} }}\n"
        )
    }

    /// A gateway with these providers, the model `m` being at all of them in order.
    pub(crate) async fn gateway(&self, providers: &[String], more: &str) -> Gateway {
        let names: Vec<&str> = providers.iter().map(|text| text.trim_start().split(':').next().unwrap()).collect();
        let targets: Vec<String> =
            names.iter().zip(1..).map(|(name, at)| format!("{{ target: {name}/m, priority: {at} }}")).collect();
        let text = format!(
            "data: data\ndiscover: false\n{more}\nproviders:\n{}models: {{ m: [{}] }}\n",
            providers.concat(),
            targets.join(", ")
        );
        Gateway::start(config(&text, self.path())).await
    }

    /// Processes of these tools that are there, zombies included.
    pub(crate) fn alive(&self) -> Vec<String> {
        let mark = format!("MARK={}", self.path().display());
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let marked = processes.filter(|entry| {
            std::fs::read(entry.path().join("environ")).is_ok_and(|all| String::from_utf8_lossy(&all).contains(&mark))
        });
        marked.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok()).collect()
    }

    /// Waits until none is left, at most this long.
    pub(crate) async fn gone_within(&self, time: Duration) {
        let began = Instant::now();
        while !self.alive().is_empty() {
            assert!(began.elapsed() < time, "still there: {:?}", self.alive());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Other tests have children of their own, which come and go.
        let mut dead = zombies();
        while !dead.is_empty() {
            assert!(began.elapsed() < time + Duration::from_secs(2), "not reaped: {dead:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            let now = zombies();
            dead.retain(|one| now.contains(one));
        }
    }
}

/// Numbers of the children of this process that have ended and are not reaped.
fn zombies() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().flatten();
    let stats = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let dead = stats.filter(|stat| {
        let mut rest = stat.rsplit(')').next().unwrap().split_whitespace();
        rest.next() == Some("Z") && rest.next() == Some(&own)
    });
    dead.filter_map(|stat| Some(stat.split_once(' ')?.0.to_owned())).collect()
}

pub(crate) async fn ask(gateway: &Gateway, client: ClientProtocol, stream: bool) -> Reply {
    let (path, body) = request(client, stream);
    post(gateway.address, path, &[], &body).await
}

/// What a client understands of the answer.
pub(crate) async fn answer(gateway: &Gateway, client: ClientProtocol, stream: bool) -> Summary {
    understood(client, stream, ask(gateway, client, stream).await).await
}

async fn understood(client: ClientProtocol, stream: bool, reply: Reply) -> Summary {
    let status = reply.status;
    let bytes = reply.bytes().await.unwrap();
    assert_eq!(status, 200, "{client}: {}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client} stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

/// The error a client gets instead of an answer.
pub(crate) async fn refusal(gateway: &Gateway, client: ClientProtocol, stream: bool) -> (u16, Failure) {
    let reply = ask(gateway, client, stream).await;
    let status = reply.status.as_u16();
    let bytes = reply.bytes().await.unwrap();
    assert!(status >= 400, "{client}: {}", String::from_utf8_lossy(&bytes));
    (status, Check::new(client).failure(&bytes).unwrap_or_else(|why| panic!("{client}: {why}")))
}

async fn chat(gateway: &Gateway, more: Value) -> Reply {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(gateway.address, "/v1/chat/completions", &[], &body).await
}

#[tokio::test]
async fn every_client_gets_what_a_program_says() {
    let tools = Tools::new();
    let provider = tools.provider("up", "printf 'You said: '; cat; echo", "");
    let gateway = tools.gateway(&[provider], "").await;
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            let summary = answer(&gateway, client, stream).await;
            assert_eq!(summary.text(), "You said: hi", "{client} stream {stream}");
            assert!(!summary.finish().is_empty());
        }
    }
    tools.gone_within(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_stream_flows_while_the_program_runs() {
    let tools = Tools::new();
    let script = "printf one; while ! [ -e go ]; do sleep 0.01; done; printf two";
    let gateway = tools.gateway(&[tools.provider("up", script, "")], "").await;
    for client in ClientProtocol::ALL {
        let mut reply = ask(&gateway, client, true).await;
        let mut read = reply.until("one").await.unwrap();
        assert!(!read.contains("two"));
        std::fs::write(tools.path().join("go"), "").unwrap();
        read += &reply.until("two").await.unwrap();
        read += &String::from_utf8(reply.bytes().await.unwrap()).unwrap();
        assert_eq!(Check::new(client).stream(read.as_bytes()).unwrap().text(), "onetwo");
        std::fs::remove_file(tools.path().join("go")).unwrap();
    }
}

#[tokio::test]
async fn templates_tell_the_program_what_was_asked() {
    let tools = Tools::new();
    let more = ", template: chatml, args: [up.sh, -m, '{{ path }}', --model, '{{ model }}', [-n, '{{ max_tokens }}'], \
                [--seed, '{{ seed }}'], '--system={{ system }}', -f, '{{ file }}'], working_directory: sub";
    std::fs::create_dir(tools.path().join("sub")).unwrap();
    let provider = tools.provider("up", "", more);
    std::fs::write(
        tools.path().join("sub/up.sh"),
        "for argument; do printf '[%s]' \"$argument\"; done; eval \"file=\\${$#}\"; cat \"$file\"; printf '%s' \"$SECRET$LANG\"",
    )
    .unwrap();
    let gateway = tools.gateway(&[provider], "").await;
    let messages = json!([{"role": "system", "content": "-x `id` $(id)\n;"}, {"role": "user", "content": "-y"}]);
    let said = chat(&gateway, json!({"messages": messages, "max_tokens": 7, "top_p": 0.5})).await;
    let losses = said.header("x-polyport-loss").to_owned();
    assert!(losses.contains("sampling.unsupported"), "{losses}");
    let said = said.json().await;
    let text = said["choices"][0]["message"]["content"].as_str().unwrap();
    let (arguments, prompt) = text.split_once("][-f][").unwrap();
    assert_eq!(arguments, "[-m][/models/m.gguf][--model][m][-n][7][--system=-x `id` $(id)\n;");
    let (file, prompt) = prompt.split_once(']').unwrap();
    assert_eq!(
        prompt,
        "<|im_start|>system\n-x `id` $(id)\n;<|im_end|>\n<|im_start|>user\n-y<|im_end|>\n<|im_start|>assistant"
    );
    assert!(!Path::new(file).exists(), "the file with the prompt is gone");
}

#[tokio::test]
async fn lines_json_lines_and_marks_are_read() {
    let tools = Tools::new();
    let cases = [
        (
            "printf 'log\\n>> one\\ntwo\\n<< log\\n'",
            ", output: { format: lines, after: '>> ', until: '<<' }",
            "one\ntwo\n",
        ),
        (
            r#"printf '{"a":{"t":"one "}}\n{"a":{"t":"two"},"in":3,"out":2,"why":"length"}\n'"#,
            ", output: { format: json_lines, text: /a/t, finish: /why, input_tokens: /in, output_tokens: /out }",
            "one two",
        ),
    ];
    for (script, more, expected) in cases {
        let gateway = tools.gateway(&[tools.provider("up", script, more)], "").await;
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let summary = answer(&gateway, client, stream).await;
                assert_eq!(summary.text(), expected, "{client} stream {stream}");
            }
        }
        if more.contains("json_lines") {
            let said = chat(&gateway, json!({})).await.json().await;
            assert_eq!(said["choices"][0]["finish_reason"], "length");
            assert_eq!((&said["usage"]["prompt_tokens"], &said["usage"]["completion_tokens"]), (&json!(3), &json!(2)));
        }
    }
}

#[tokio::test]
async fn a_stop_sequence_ends_the_program() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[tools.provider("up", "printf 'one STOP two'; sleep 600", "")], "").await;
    let said = chat(&gateway, json!({"stop": ["STOP"]})).await.json().await;
    assert_eq!(said["choices"][0]["message"]["content"], "one ");
    assert_eq!(said["choices"][0]["finish_reason"], "stop");
    tools.gone_within(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn only_models_of_the_configuration_are_asked_for() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[tools.provider("up", "echo hi", "")], "").await;
    let said = chat(&gateway, json!({"model": "up/../../etc/passwd"})).await;
    assert_eq!(said.status, 404);
    let said = chat(&gateway, json!({"model": "up/m"})).await;
    assert_eq!(said.status, 200);
}
