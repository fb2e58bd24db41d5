//! What operators do to a running gateway and its files, by the number of the fault.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use polyport_testkit::provider::FakeProvider;
use polyport_testkit::raw::{get, post};
use polyport_types::Protocol;
use serde_json::json;

use crate::{Running, folder_with, run, start, text};

/// Waits until a model answers with this status; there is no other sign of a change than the answers.
fn becomes(running: &Running, model: &str, status: &str) -> bool {
    (0..600).any(|_| {
        let there = running.chat(model).starts_with(&format!("HTTP/1.1 {status}"));
        if !there {
            std::thread::sleep(Duration::from_millis(50));
        }
        there
    })
}

#[test]
fn o1_every_mistake_is_told_with_its_place_and_the_old_configuration_stays() {
    let folder = folder_with("models: { one: echo/echo }");
    let running = start(folder.path(), &["--port", "0"]);
    let path = folder.path().join("polyport.yaml");
    let refused = || {
        (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            running.get("/metrics").contains("polyport_config_reload_success 0")
        })
    };
    for (wrong, place) in [
        ("models: { one: echo/echo\n", "polyport.yaml:"),
        ("modells: {}", "polyport.yaml:1:1"),
        ("models: { one: [echo/echo] }\nlimits: { drain: 5 }", "polyport.yaml:2:18"),
        ("models: { one: echo/echo }\nmodels: { two: echo/echo }", "polyport.yaml:2:1"),
        ("models: { one: nowhere/x }", "polyport.yaml:1:16"),
        (
            "models: { one: echo/echo }\npools: { a: { targets: [echo/echo], fallbacks: [b] }, b: { targets: [echo/echo], fallbacks: [a] } }",
            "polyport.yaml:2:",
        ),
    ] {
        std::fs::write(&path, wrong).unwrap();
        assert!(refused(), "{wrong}");
        assert!(running.chat("one").starts_with("HTTP/1.1 200"), "{wrong}");
        let told = run(folder.path(), &["check"]);
        assert_eq!(told.status.code(), Some(1), "{wrong}");
        assert!(text(&told.stdout).contains(place), "{wrong}: {}", text(&told.stdout));
        std::fs::write(&path, "models: { one: echo/echo, two: echo/echo }").unwrap();
        assert!(becomes(&running, "two", "200"), "{wrong}");
        std::fs::write(&path, "models: { one: echo/echo }").unwrap();
        assert!(becomes(&running, "two", "404"), "{wrong}");
    }
}

#[cfg(unix)]
#[test]
fn o3_a_file_is_replaced_by_rename_by_link_and_in_pieces() {
    let folder = folder_with("models: { a: echo/echo }");
    let path = folder.path().join("polyport.yaml");
    let running = start(folder.path(), &["--port", "0"]);
    let new = folder.path().join("new.yaml");
    std::fs::write(&new, "models: { b: echo/echo }").unwrap();
    std::fs::rename(&new, &path).unwrap();
    assert!(becomes(&running, "b", "200"));
    assert!(running.chat("a").starts_with("HTTP/1.1 404"));
    // As orchestrators do it: a link to the present version, swapped at once.
    for (version, model) in [("v1", "c"), ("v2", "d")] {
        let real = folder.path().join(version);
        std::fs::write(&real, format!("models: {{ {model}: echo/echo }}")).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::rename(&link, &path).unwrap();
        assert!(becomes(&running, model, "200"), "{version}");
    }
    // Truncated and written in pieces: each half is a mistake or the whole, never in force.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    std::fs::write(&path, "models: { e: echo/echo, f: ").unwrap();
    assert!(running.chat("d").starts_with("HTTP/1.1 200") || running.chat("d").starts_with("HTTP/1.1 404"));
    std::fs::write(&path, "models: { e: echo/echo, f: echo/echo }").unwrap();
    assert!(becomes(&running, "f", "200"));
    assert!(running.chat("e").starts_with("HTTP/1.1 200"));
}

#[test]
fn s4_a_second_gateway_on_the_same_folder_is_told_who_has_it_and_the_first_goes_on() {
    let folder = folder_with("discover: false\n");
    let first = start(folder.path(), &["--port", "0"]);
    let second = run(folder.path(), &["serve", "--port", "0"]);
    assert_eq!(second.status.code(), Some(1));
    let told = text(&second.stderr);
    assert!(told.contains(&format!("is in use by another process ({})", first.child.id())), "{told}");
    assert!(first.chat("echo").starts_with("HTTP/1.1 200"));
}

#[test]
fn s1_a_database_that_is_down_at_the_start_is_told() {
    let folder = folder_with("discover: false\nstore: { url: \"postgres://user:hunter2@127.0.0.1:1/none\" }\n");
    let output = run(folder.path(), &["serve", "--port", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("the database cannot be reached") && !told.contains("hunter2"), "{told}");
}

/// Starts where no file can grow beyond so many KiB.
fn with_small_files(folder: &Path, kib: u32) -> Running {
    use std::io::{BufRead as _, BufReader};
    let program = env!("CARGO_BIN_EXE_polyport");
    let script = format!("trap '' XFSZ; ulimit -f {}; exec {program} --port 0", kib * 2);
    let mut command = Command::new("sh");
    command.current_dir(folder).env_clear().args(["-c", &script]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.unwrap().split_once("listens on http://")?.1.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    Running { child, url }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_full_disk_costs_no_request_and_no_record() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let folder = folder_with(&format!(
        "discover: false\nproviders: {{ up: {{ base_url: \"{}\", proxy: none }} }}\nmodels: {{ m: up/m }}\n",
        fake.base_url()
    ));
    let running = with_small_files(folder.path(), 512);
    let address = running.url.parse().unwrap();
    let figure = async |wanted: &str| {
        let answer = get(address, "/metrics", &[]).await.bytes().await.unwrap();
        String::from_utf8(answer).unwrap().contains(wanted)
    };
    let body = json!({"model": "m", "input": "x".repeat(50_000)});
    let first = post(address, "/v1/responses", &[], &body).await.json().await["id"].as_str().unwrap().to_owned();
    while !figure("\npolyport_store_waiting 0\n").await {}
    let mut asked = 0;
    // Until the file is full, and a while longer.
    while asked < 100 {
        assert_eq!(post(address, "/v1/responses", &[], &body).await.status, 200);
        asked += usize::from(!figure("\npolyport_store_waiting 0\n").await);
    }
    let later = post(address, "/v1/responses", &[], &body).await.json().await["id"].as_str().unwrap().to_owned();
    for id in [&first, &later] {
        assert_eq!(get(address, &format!("/v1/responses/{id}"), &[]).await.status, 200, "{id}");
    }
    assert!(!figure("\npolyport_store_waiting 0\n").await, "the disk is full");
    drop(running);

    // With room again everything that was written is there, and nothing is broken.
    let running = start(folder.path(), &["--port", "0"]);
    let address = running.url.parse().unwrap();
    assert_eq!(get(address, &format!("/v1/responses/{first}"), &[]).await.status, 200);
    assert_eq!(post(address, "/v1/responses", &[], &body).await.status, 200);
    let copied = run(folder.path(), &["backup", "copy.db"]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
}
