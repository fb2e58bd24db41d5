//! The fuzzers' checks on the fuzzers' corpus, on the hand-made bodies and on all recorded traffic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use polyport_testkit::shared;
use polyport_types::Protocol;

#[path = "../../../../fuzz/targets.rs"]
mod targets;

fn root() -> PathBuf {
    shared::workspace_root().unwrap()
}

/// The files in `folder`, in order; none if there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Runs a target over bodies and fails with the names of those that do not pass.
fn replay<'a>(target: &str, bodies: impl IntoIterator<Item = (String, &'a [u8])>) -> usize {
    let mut count = 0;
    let mut failed = Vec::new();
    for (name, body) in bodies {
        count += 1;
        // The reason was printed by the panic itself.
        if catch_unwind(AssertUnwindSafe(|| targets::run(target, body))).is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{target}: {} of {count}: {failed:#?}", failed.len());
    count
}

#[test]
fn the_corpus_replays() {
    for (target, _) in targets::TARGETS {
        let mut paths = files(&root().join("fuzz/corpus").join(target));
        assert!(!paths.is_empty(), "{target} has no corpus");
        // `stream_chat` also reads `fixtures/chat/stream`; framing reads the streams of all protocols.
        let folders: Vec<String> = match target.split_once('_') {
            Some((form, protocol)) => vec![format!("fixtures/{protocol}/{form}")],
            None => Protocol::ALL.iter().map(|protocol| format!("fixtures/{protocol}/stream")).collect(),
        };
        let wanted = if target.starts_with("request") || target.starts_with("response") { "json" } else { "sse" };
        for folder in folders {
            let hand_made = files(&root().join(folder));
            paths.extend(hand_made.into_iter().filter(|path| path.extension().is_some_and(|end| end == wanted)));
        }
        let bodies: Vec<(String, Vec<u8>)> =
            paths.iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect();
        replay(target, bodies.iter().map(|(name, body)| (name.clone(), &body[..])));
    }
}

/// Every target is a fuzzer and every fuzzer is a target.
#[test]
fn targets_and_fuzzers_agree() {
    let mut fuzzers: Vec<String> = files(&root().join("fuzz/fuzz_targets"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let mut targets: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    fuzzers.sort();
    assert_eq!(fuzzers, targets);
}

fn recorded(file: &str) {
    let Some(records) = shared::records_or_skip("recorded", file) else { return };
    let mut count = 0;
    for record in records.iter().filter(|record| record.operation == "generate") {
        let protocol = record.wire();
        let body =
            |form: &str, text: &str| replay(&format!("{form}_{protocol}"), [(record.id.clone(), text.as_bytes())]);
        if let Some(request) = record.request.as_ref().filter(|_| record.response.status == 200) {
            count += body("request", &request.body);
        }
        if let Some(sse) = &record.response.sse {
            count += body("stream", sse);
        }
        if let Some(answer) = &record.response.body {
            count += body("response", answer);
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn recorded_messages_pass_the_fuzzers_checks() {
    recorded("anthropic.jsonl");
}

#[test]
fn recorded_gemini_passes_the_fuzzers_checks() {
    recorded("gemini.jsonl");
}

#[test]
fn recorded_chat_passes_the_fuzzers_checks() {
    recorded("openai-chat.jsonl");
}

#[test]
fn recorded_dialects_of_chat_pass_the_fuzzers_checks() {
    recorded("openai-compatible.jsonl");
}

#[test]
fn recorded_responses_pass_the_fuzzers_checks() {
    recorded("openai-responses.jsonl");
}
