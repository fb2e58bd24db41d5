//! People who sign in, from the terminal.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use polyport_testkit::raw::post;
use serde_json::{Value, json};

use crate::{folder_with, polyport, run, start, text};

fn set_password(folder: &Path, name: &str, password: &str) -> Output {
    let mut child = polyport(folder, &["users", "set-password", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_first_admin_is_made_and_passwords_are_set_from_the_terminal() {
    let folder = folder_with("models: { one: echo/echo }");
    let weak = set_password(folder.path(), "ada", "admin123\n");
    assert!(!weak.status.success() && text(&weak.stderr).contains("others try first"), "{}", text(&weak.stderr));
    let made = run(folder.path(), &["users", "set-password", "ada", "--generate", "--json"]);
    let told: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!((&told["name"], &told["created"]), (&json!("ada"), &json!(true)));
    let first = told["password"].as_str().unwrap().to_owned();
    let changed = set_password(folder.path(), "ada", "correct horse canary\nignored\n");
    assert!(
        changed.status.success() && text(&changed.stdout).contains("another password"),
        "{}",
        text(&changed.stderr)
    );
    assert!(!text(&changed.stdout).contains("canary"));

    let running = start(folder.path(), &["--port", "0"]);
    let address: std::net::SocketAddr = running.url.trim_start_matches("http://").parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sign_in = |password: &str| {
        let body = json!({ "name": "ada", "password": password });
        runtime.block_on(async { post(address, "/admin/api/session", &[], &body).await.status.as_u16() })
    };
    assert_eq!(sign_in(&first), 401);
    assert_eq!(sign_in("correct horse canary"), 200);
    // The gateway that runs is asked, and everybody is let in with the new one at once.
    let changed = set_password(folder.path(), "ada", "another horse canary\n");
    assert!(changed.status.success(), "{}", text(&changed.stderr));
    assert_eq!(sign_in("correct horse canary"), 401);
    assert_eq!(sign_in("another horse canary"), 200);
}
