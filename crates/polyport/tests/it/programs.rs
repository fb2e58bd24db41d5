//! Programs that the gateway runs, and the guard between: nothing outlives the gateway, however that ends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Running, folder_with, start};

/// It leaves its group, its session and its parents behind.
const ESCAPES: &str = "#!/bin/sh\nsetsid sh -c 'sleep 600 & sleep 600' </dev/null >/dev/null 2>&1 &\n(setsid sleep 600 &)\n\
                       sleep 600 &\nwhile :; do echo word; sleep 0.01; done\n";

fn programs() -> tempfile::TempDir {
    let folder = folder_with("");
    let place = folder.path().display();
    std::fs::write(folder.path().join("escapes.sh"), ESCAPES).unwrap();
    let config = format!(
        "data: data\nproviders:\n  up:\n    adapter: process\n    requests: 20\n    models: [m]\n    process: {{ command: /bin/sh, \
         args: [escapes.sh], env: {{ MARK: '{place}', PATH: '/usr/bin:/bin' }} }}\n  \
         own:\n    models: [echo]\n    server:\n      command: {}\n      \
         args: [--config, own.yaml, --data, own, --port, '{{{{ port }}}}']\n      health: /healthz\n      \
         env: {{ MARK: '{place}' }}\n",
        env!("CARGO_BIN_EXE_polyport")
    );
    std::fs::write(folder.path().join("own.yaml"), "discover: false\n").unwrap();
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    folder
}

/// Everything that has the mark, zombies left out: those have no environment.
fn alive(folder: &Path) -> Vec<String> {
    let mark = format!("MARK={}", folder.display());
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let marked = processes.filter(|entry| {
        std::fs::read(entry.path().join("environ")).is_ok_and(|all| String::from_utf8_lossy(&all).contains(&mark))
    });
    marked.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok()).collect()
}

fn gone_within(folder: &Path, time: Duration) {
    let began = Instant::now();
    loop {
        let left = alive(folder);
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < time, "{left:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A streaming request of which the first words were read.
fn begun(running: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(&running.url).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let body = r#"{"model":"up/m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let (host, length) = (&running.url, body.len());
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut read = String::new();
    while !read.contains("word") {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "{read}");
        read.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    stream
}

#[test]
fn what_a_program_has_started_ends_with_it_wherever_it_went() {
    let folder = programs();
    let running = start(folder.path(), &["--port", "0"]);
    for _ in 0..5 {
        let client = begun(&running);
        // The guard, the program, what it has started, and what that has.
        let began = Instant::now();
        while alive(folder.path()).len() < 6 {
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", alive(folder.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(client);
        gone_within(folder.path(), Duration::from_secs(1));
    }
}

#[test]
fn nothing_outlives_a_gateway_that_is_killed() {
    let folder = programs();
    let mut running = start(folder.path(), &["--port", "0"]);
    assert!(running.chat("own/echo").contains("Hello there"));
    let _clients: Vec<TcpStream> = (0..3).map(|_| begun(&running)).collect();
    assert!(alive(folder.path()).len() > 10);
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    gone_within(folder.path(), Duration::from_secs(2));
}

#[test]
fn nothing_outlives_a_gateway_that_is_stopped() {
    let folder = programs();
    let mut running = start(folder.path(), &["--port", "0"]);
    assert!(running.chat("own/echo").contains("Hello there"));
    drop(begun(&running));
    running.signal("-TERM");
    running.child.wait().unwrap();
    gone_within(folder.path(), Duration::from_millis(500));
}

#[test]
fn the_end_of_a_program_is_told_through_the_guard() {
    let folder = programs();
    std::fs::write(folder.path().join("escapes.sh"), "exit 3").unwrap();
    let running = start(folder.path(), &["--port", "0"]);
    assert!(running.chat("up/m").contains("status 3"));
    std::fs::write(folder.path().join("escapes.sh"), "echo fine; kill -9 $$").unwrap();
    assert!(running.chat("up/m").contains("signal 9"));
    std::fs::write(folder.path().join("escapes.sh"), "echo fine; exec >&-; sleep 0.3").unwrap();
    assert!(running.chat("up/m").contains("fine"));
    gone_within(folder.path(), Duration::from_secs(1));
}
