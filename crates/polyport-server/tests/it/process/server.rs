//! Servers that Polyport starts.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use polyport_testkit::grammar::Check;
use polyport_types::ClientProtocol;
use serde_json::{Value, json};

use super::{Tools, answer, ask, chat, refusal};
use crate::adapters::config;
use crate::support::Gateway;

/// The server that the tests start: this very program, which serves when it is told a port.
#[test]
fn serves_when_it_is_told_a_port() {
    let Ok(port) = std::env::var("SERVE_PORT") else { return };
    let mode = std::env::var("MODE").unwrap_or_default();
    let mut log = std::fs::OpenOptions::new().append(true).create(true).open("starts").unwrap();
    log.write_all(format!("{}\n", std::process::id()).as_bytes()).unwrap();
    // What only one can have at once.
    let gpu = std::env::var("GPU").ok().map(|port| TcpListener::bind(format!("127.0.0.1:{port}")));
    if mode == "broken"
        || gpu.is_some_and(|bound| {
            bound.is_err() || {
                std::mem::forget(bound);
                false
            }
        })
    {
        std::process::exit(7);
    }
    std::thread::sleep(Duration::from_millis(150));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    for stream in listener.incoming() {
        let mode = mode.clone();
        std::thread::spawn(move || serve(stream.unwrap(), &mode));
    }
}

fn serve(mut stream: TcpStream, mode: &str) {
    let mut read = Vec::new();
    let (head, body) = loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).unwrap_or_default();
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        }
        if count == 0 {
            return;
        }
    };
    let mut answer = |status: &str, kind: &str, body: &str| {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes()).and_then(|()| stream.flush()).ok()
    };
    if head.starts_with("GET /health ") {
        answer(if mode == "never" { "503 Loading" } else { "200 OK" }, "text/plain", "");
        return;
    }
    if body.contains("crash") {
        std::process::exit(7);
    }
    let words = format!("pid {}", std::process::id());
    let base = json!({"id": "c", "created": 1, "model": "m"});
    let with = |more: Value| {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    if !body.contains("\"stream\":true") {
        let message = json!({"role": "assistant", "content": words, "refusal": null});
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
        answer(
            "200 OK",
            "application/json",
            &with(json!({"object": "chat.completion", "choices": [choice]})).to_string(),
        );
        return;
    }
    let chunk = |delta: Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!("data: {}\n\n", with(json!({"object": "chat.completion.chunk", "choices": [choice]})))
    };
    answer("200 OK", "text/event-stream", &chunk(json!({"role": "assistant", "content": words}), None));
    if body.contains("slow") {
        std::thread::sleep(Duration::from_millis(2500));
    }
    let end = chunk(json!({}), Some("stop")) + "data: [DONE]\n\n";
    stream.write_all(end.as_bytes()).ok();
}

/// A provider with such a server; `more` are further members of `server`.
fn served(tools: &Tools, name: &str, mode: &str, more: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let (exe, mark) = (exe.display(), tools.path().display());
    format!(
        "  {name}:\n    models: [m]\n    server:\n      command: {exe}\n      \
         args: [--exact, process::server::serves_when_it_is_told_a_port, --nocapture]\n      \
         env: {{ MARK: '{mark}', SERVE_PORT: '{{{{ port }}}}', MODE: {mode}, GPU: '{{{{ port }}}}1' }}\n      {more}\n"
    )
    // Without a group there is nothing that only one can have.
    .replace(if more.contains("gpu") { "\0" } else { ", GPU: '{{ port }}1'" }, "")
}

fn starts(tools: &Tools) -> usize {
    std::fs::read_to_string(tools.path().join("starts")).map_or(0, |text| text.lines().count())
}

async fn said(gateway: &Gateway, model: &str) -> String {
    let said = chat(gateway, json!({"model": model})).await;
    assert_eq!(said.status, 200);
    said.json().await["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_is_started_when_it_is_asked_and_stopped_when_it_is_not() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[served(&tools, "up", "good", "idle_timeout: 2s")], "").await;
    assert!(tools.alive().is_empty());
    let all = (0..10).map(|_| said(&gateway, "m"));
    let pids = futures_util::future::join_all(all).await;
    assert!(pids.iter().all(|pid| *pid == pids[0] && pid.starts_with("pid ")), "{pids:?}");
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            assert_eq!(answer(&gateway, client, stream).await.text(), pids[0], "{client} stream {stream}");
        }
    }
    assert_eq!(tools.alive().len(), 1);
    // An answer that goes on longer than the idle time is not cut.
    let slow = json!({"stream": true, "messages": [{"role": "user", "content": "slow"}]});
    let bytes = chat(&gateway, slow).await.bytes().await.unwrap();
    assert_eq!(Check::new(ClientProtocol::Chat).stream(&bytes).unwrap().text(), pids[0]);
    assert_eq!(starts(&tools), 1);
    tools.gone_within(Duration::from_secs(6)).await;
    assert_ne!(said(&gateway, "m").await, pids[0]);
    assert_eq!(starts(&tools), 2);
    gateway.stop().await;
    tools.gone_within(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn one_that_does_not_start_is_told_of_and_passed_over() {
    let tools = Tools::new();
    let good = tools.provider("good", "printf fine", "");
    for (mode, more, words) in [
        ("never", "start_timeout: 400ms", ["`server.start_timeout`", "not ready at /health", "503"]),
        ("broken", "start_timeout: 20s", ["`server.command`", "ended by itself", "7"]),
        ("good", "working_directory: missing", ["`server.working_directory`", "missing", "folder"]),
    ] {
        let up = served(&tools, "up", mode, more);
        let alone = tools.gateway(std::slice::from_ref(&up), "retry: { attempts: 1 }").await;
        for client in ClientProtocol::ALL {
            let (status, failure) = refusal(&alone, client, false).await;
            assert!((500..=504).contains(&status), "{failure:?}");
            for word in words.iter().chain(&["`up`"]) {
                assert!(failure.message.contains(word), "{word}: {failure:?}");
            }
        }
        let both = tools.gateway(&[up, good.clone()], "").await;
        assert_eq!(answer(&both, ClientProtocol::Messages, true).await.text(), "fine");
        tools.gone_within(Duration::from_secs(1)).await;
        alone.stop().await;
        both.stop().await;
    }
    let missing =
        "  up:\n    models: [m]\n    server: { command: ./no-such-server, args: ['{{ port }}'] }\n".to_owned();
    let gateway = tools.gateway(&[missing], "").await;
    let (_, failure) = refusal(&gateway, ClientProtocol::Chat, true).await;
    assert!(failure.message.contains("`up`") && failure.message.contains("no-such-server"), "{failure:?}");
}

#[tokio::test]
async fn one_that_ends_by_itself_rests_longer_each_time() {
    let tools = Tools::new();
    let up = served(&tools, "up", "broken", "restart: { first: 300ms, longest: 600ms }");
    let gateway =
        tools.gateway(&[up], "cooldown: { failing_row: 1000, failing_least: 1000 }\nretry: { attempts: 1 }").await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        refusal(&gateway, ClientProtocol::Chat, false).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let starts = starts(&tools);
    assert!((3..=6).contains(&starts), "{starts}");
    tools.gone_within(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn one_that_crashes_comes_back() {
    let tools = Tools::new();
    let up = served(&tools, "up", "good", "restart: { first: 100ms }");
    let gateway = tools.gateway(&[up], "retry: { attempts: 1 }").await;
    let before = said(&gateway, "m").await;
    let crash = chat(&gateway, json!({"messages": [{"role": "user", "content": "crash"}]})).await;
    assert!(crash.status.is_server_error());
    // It is started again without being asked.
    let began = Instant::now();
    while starts(&tools) < 2 {
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_ne!(said(&gateway, "m").await, before);
    gateway.stop().await;
    tools.gone_within(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn servers_of_a_group_run_one_at_a_time() {
    let tools = Tools::new();
    let gpu = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let both = ["a", "b"].map(|name| {
        served(&tools, name, "good", "group: gpu\n      idle_timeout: 20s")
            .replace("GPU: '{{ port }}1'", &format!("GPU: '{gpu}'"))
    });
    let gateway = tools.gateway(&both, "retry: { attempts: 1 }").await;
    let first = said(&gateway, "a/m").await;
    // An answer under way is not cut for another one of the group.
    let slow = json!({"model": "a/m", "stream": true, "messages": [{"role": "user", "content": "slow"}]});
    let mut reply = chat(&gateway, slow).await;
    let mut read = reply.until("pid").await.unwrap();
    let other = said(&gateway, "b/m").await;
    assert_ne!(first, other);
    read += &String::from_utf8(reply.bytes().await.unwrap()).unwrap();
    assert_eq!(Check::new(ClientProtocol::Chat).stream(read.as_bytes()).unwrap().text(), first);
    assert_eq!(tools.alive().len(), 1);
    // All of a crowd for both are answered, and none of them starts a second one beside the first: it would end at once.
    let crowd = (0..20).map(|at| said(&gateway, if at % 2 == 0 { "a/m" } else { "b/m" }));
    futures_util::future::join_all(crowd).await;
    assert_eq!(tools.alive().len(), 1);
    gateway.stop().await;
    tools.gone_within(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn a_client_that_leaves_while_it_starts_does_not_keep_it() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[served(&tools, "up", "good", "idle_timeout: 200ms")], "").await;
    let left = tokio::time::timeout(Duration::from_millis(100), ask(&gateway, ClientProtocol::Chat, false)).await;
    assert!(left.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    tools.gone_within(Duration::from_secs(3)).await;
    said(&gateway, "m").await;
}

#[tokio::test]
async fn other_settings_are_another_server() {
    let tools = Tools::new();
    let text = |more: &str| format!("data: data\ndiscover: false\nproviders:\n{}", served(&tools, "up", "good", more));
    let gateway = Gateway::start(config(&text("idle_timeout: 20s"), tools.path())).await;
    let first = said(&gateway, "up/m").await;
    gateway.handle.reload(&std::sync::Arc::new(config(&text("idle_timeout: 20s"), tools.path()))).unwrap();
    assert_eq!(said(&gateway, "up/m").await, first);
    gateway.handle.reload(&std::sync::Arc::new(config(&text("idle_timeout: 21s"), tools.path()))).unwrap();
    assert_ne!(said(&gateway, "up/m").await, first);
    let none = "data: data\ndiscover: false\nproviders: { up: { base_url: 'http://127.0.0.1:1/v1' } }\n";
    gateway.handle.reload(&std::sync::Arc::new(config(none, tools.path()))).unwrap();
    tools.gone_within(Duration::from_secs(2)).await;
}
