//! Where log lines go that nobody takes: the gateway serves on, and tells how many were lost.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Stdio};

use crate::{Running, folder_with, polyport};

/// Every log line that a request can lead to, so that the pipe of a log is soon full.
const TALKATIVE: &str = "trace";

/// A gateway that has told where it listens; what is left of its outputs.
fn started(folder: &Path, stderr: Stdio) -> (Running, BufReader<ChildStdout>, Option<ChildStderr>) {
    let mut command = polyport(folder, &["serve", "--json", "--port", "0"]);
    let mut child: Child = command.env("RUST_LOG", TALKATIVE).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let (mut stdout, log) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = ready["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
    (Running { child, url }, stdout, log)
}

/// How many lines the gateway says it lost.
fn lost(running: &Running) -> u64 {
    let figures = running.get("/metrics");
    let value = figures.lines().find_map(|line| line.strip_prefix("polyport_log_lines_dropped_total ")).unwrap();
    value.parse().unwrap()
}

/// Asks until lines are lost, and then a few times more.
fn serves_on(running: &Running) {
    let mut asked = 0;
    while lost(running) == 0 {
        assert!(running.chat("echo").starts_with("HTTP/1.1 200"), "request {asked}");
        asked += 1;
        assert!(asked < 20_000, "nothing was ever lost");
    }
    for _ in 0..20 {
        assert!(running.chat("echo").starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn o9_a_closed_log_pipe_stops_nothing() {
    let folder = folder_with("discover: false");
    let (mut running, stdout, log) = started(folder.path(), Stdio::piped());
    drop((stdout, log));
    serves_on(&running);
    assert!(running.child.try_wait().unwrap().is_none(), "it still runs");
}

#[test]
fn o9_a_log_pipe_that_nobody_reads_stops_nothing() {
    let folder = folder_with("discover: false");
    let (mut running, _stdout, log) = started(folder.path(), Stdio::piped());
    serves_on(&running);
    // Once somebody reads again, the lines come, and the number of those that did not.
    let mut lines = BufReader::new(log.unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("log lines were dropped")));
    std::thread::spawn(move || lines.for_each(drop));
    assert!(running.child.try_wait().unwrap().is_none(), "it still runs");
}

#[cfg(target_os = "linux")]
#[test]
fn o9_a_full_disk_stops_nothing() {
    for config in ["discover: false", "discover: false\nlog: { file: /dev/full }"] {
        let folder = folder_with(config);
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (mut running, _stdout, _) = started(folder.path(), full.into());
        serves_on(&running);
        assert!(running.child.try_wait().unwrap().is_none(), "it still runs");
    }
}

#[test]
fn a_log_file_is_written_instead_and_put_aside() {
    let folder = folder_with("discover: false\nlog: { file: logs/polyport.log, rotate: 20KiB, format: json }");
    let (running, _stdout, log) = started(folder.path(), Stdio::piped());
    let name = |end: &str| folder.path().join(format!("data/logs/polyport.log{end}"));
    while !name(".2").exists() {
        assert!(running.chat("echo").starts_with("HTTP/1.1 200"));
    }
    let aside = std::fs::read_to_string(name(".2")).unwrap();
    for line in aside.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
    }
    drop(running);
    let mut said = String::new();
    log.unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "nothing goes to standard error");
}
