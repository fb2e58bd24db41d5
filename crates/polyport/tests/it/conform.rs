//! Judging gateways.

use polyport_recording::{Recording, Side};
use polyport_testkit::provider::{FakeProvider, Step};
use polyport_types::Protocol;
use serde_json::{Value, json};

use crate::{run, text};

const KEY: &str = "canaryclient0a1b2c3d4e5f60718293";

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn d18_polyport_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["conform", "--self", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let cases = report["cases"].as_array().unwrap();
    let failed: Vec<&Value> = cases.iter().filter(|case| case["verdict"] == "failed").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(output.status.success());
    assert_eq!(members(&report), ["passed", "failed", "not_applicable", "cases"]);
    let shape = ["client", "upstream", "model", "stream", "case", "verdict", "reason", "replay"];
    assert_eq!(members(&cases[0]), shape);
    // Each client protocol to each provider protocol; what was not tried is what a protocol has not.
    for client in Protocol::ALL {
        for upstream in Protocol::ALL {
            let of_both: Vec<&Value> = cases
                .iter()
                .filter(|case| case["client"] == client.as_str() && case["upstream"] == upstream.as_str())
                .collect();
            let passed = of_both.iter().filter(|case| case["verdict"] == "passed").count();
            assert!(passed >= 38, "{client} to {upstream}: {passed}");
        }
    }
    for case in cases.iter().filter(|case| case["verdict"] == "not applicable") {
        let why = case["reason"].as_str().unwrap();
        assert!(["only streams of Chat leave it out", "only in a stream"].contains(&why), "{case}");
    }
    assert!(!folder.path().join("conform-failures").exists(), "nothing failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d18_what_fails_is_told_and_recorded() {
    // No gateway at all: it knows one protocol, and answers by itself.
    let target = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    let url = format!("http://{}", target.address());
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "conform",
        "--target",
        &url,
        "--key",
        KEY,
        "--model",
        "messages=other",
        "--json",
        "--setup-command",
        "test -n \"$UPSTREAM_GEMINI\"",
    ];
    let path = folder.path().to_owned();
    let output = {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || run(&path, &args.iter().map(String::as_str).collect::<Vec<_>>()))
            .await
            .unwrap()
    };
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output.stdout).contains("canary"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = report["cases"].as_array().unwrap();
    let failed: Vec<&Value> = cases.iter().filter(|case| case["verdict"] == "failed").collect();
    assert_eq!(json!(failed.len()), report["failed"]);
    let reason = |case: &str, client: &str| {
        let found = failed.iter().find(|one| one["case"] == case && one["client"] == client).unwrap();
        found["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("text", "chat"), "answered without asking the upstream");
    assert!(reason("text", "messages").starts_with("status 404"), "{}", reason("text", "messages"));
    assert!(failed.iter().any(|case| case["model"] == "other"));
    for case in failed {
        let file = folder.path().join(case["replay"].as_str().unwrap());
        assert!(!std::fs::read_to_string(&file).unwrap().contains("canary"));
        let recording = Recording::open(&file).unwrap();
        assert_eq!(recording.of(Side::Client).count(), 1);
    }
    for (args, words) in [
        (&["conform"][..], "--target"),
        (&["conform", "--target", &url, "--model", "chta=x"], "write PROTOCOL=MODEL"),
        (&["conform", "--target", &url, "--upstream-listen", "10.0.0.1:80"], "127.0.0.1 only"),
        (&["conform", "--target", &url, "--setup-command", "exit 3"], "the setup command failed"),
    ] {
        let refused = run(folder.path(), args);
        assert!(!refused.status.success());
        assert!(text(&refused.stderr).contains(words), "{}", text(&refused.stderr));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d18_d5_a_target_that_repeats_its_key_leaves_it_nowhere() {
    const OWN: &str = "violet-garden-0a1b2c3d";
    let target = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    target.decide(|exchange| {
        let said = exchange.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        let words = format!("no such model for {said}");
        let step = if exchange.json()["stream"] == true {
            Step::sse(&format!("data: {}\n\n", json!({ "error": { "message": words } })))
        } else {
            Step::error(403, &words)
        };
        Some(step.header("x-seen", &said).header("set-cookie", &format!("last={said}; HttpOnly")))
    });
    let url = format!("http://{}", target.address());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let runs = tokio::task::spawn_blocking(move || {
        ["one", "two"]
            .map(|_| run(&path, &["conform", "--target", &url, "--key", OWN, "--json", "--setup-command", "true"]))
    });
    for output in runs.await.unwrap() {
        assert_eq!(output.status.code(), Some(1));
        for said in [&output.stdout, &output.stderr] {
            assert!(!text(said).contains("violet"), "{}", text(said));
        }
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        for case in report["cases"].as_array().unwrap().iter().filter(|case| case["verdict"] == "failed") {
            let file = folder.path().join(case["replay"].as_str().unwrap());
            let recorded = std::fs::read_to_string(&file).unwrap();
            assert!(!recorded.contains("violet"), "{recorded}");
            assert_eq!(Recording::open(&file).unwrap().of(Side::Client).count(), 1);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }
    let names = std::fs::read_dir(folder.path().join("conform-failures")).unwrap();
    let again = names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().ends_with("-2.jsonl"));
    assert!(again.count() > 10, "the recordings of the first run stay");
}
