//! Starting clients and setting them up.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::{folder_with, polyport, run, start, text};

/// A folder with a configuration, a home folder and a folder of programs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let folder = folder_with(config);
        for name in ["home", "bin"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn polyport(&self, args: &[&str]) -> Command {
        let mut command = polyport(self.folder.path(), args);
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.env("HOME", self.path("home")).env("PATH", path);
        command
    }

    /// A program that writes down what it is started with, and then does something.
    #[cfg(unix)]
    fn program(&self, name: &str, then: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("bin").join(name);
        let said = self.path("said");
        let script = format!(
            "#!/bin/sh\n{{ env; for word in \"$@\"; do echo \"arg=$word\"; done; }} > {}\n{then}\n",
            said.display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The lines that the program wrote.
    fn said(&self) -> Vec<String> {
        std::fs::read_to_string(self.path("said")).unwrap().lines().map(str::to_owned).collect()
    }
}

/// The rest of a line that begins so.
fn of<'l>(lines: &'l [String], start: &str) -> Option<&'l str> {
    lines.iter().find_map(|line| line.strip_prefix(start))
}

fn json_of(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", text(&output.stdout), text(&output.stderr)))
}

#[cfg(unix)]
#[test]
fn a_client_is_started_with_what_leads_it_to_an_open_gateway() {
    let place = Place::new("discover: false\nmodels: { m: echo/echo }");
    let gateway = start(place.folder.path(), &["--port", "0"]);
    let port = gateway.url.rsplit(':').next().unwrap();
    place.program("claude", "exit 7");
    let launched = place
        .polyport(&["launch", "claude", "--model", "m", "--", "-p", "two words", "--json"])
        .env("ANTHROPIC_API_KEY", "sk-own")
        .envs(["ADMIN_TOKEN", "POLYPORT_ADMIN_KEY", "ADMIN_PASSWORD"].map(|name| (name, "fake-operator-0123456789")))
        .env("POLYPORT_MASTER_KEY", "ZmFrZS1tYXN0ZXIta2V5LW9mLTMyLWJ5dGVzLi4uLi4=")
        .output()
        .unwrap();
    assert_eq!(launched.status.code(), Some(7), "{}", text(&launched.stderr));
    let said = place.said();
    assert_eq!(of(&said, "ANTHROPIC_BASE_URL="), Some(format!("http://127.0.0.1:{port}").as_str()));
    assert_eq!(of(&said, "ANTHROPIC_AUTH_TOKEN="), Some("polyport"));
    assert_eq!(of(&said, "ANTHROPIC_DEFAULT_HAIKU_MODEL="), Some("m"));
    assert_eq!(of(&said, "ANTHROPIC_API_KEY="), None, "it would count more");
    let operators = ["ADMIN_TOKEN=", "POLYPORT_ADMIN_KEY=", "ADMIN_PASSWORD=", "POLYPORT_MASTER_KEY="];
    assert!(operators.iter().all(|name| of(&said, name).is_none()), "it is no operator: {said:?}");
    let arguments: Vec<&str> = said.iter().filter_map(|line| line.strip_prefix("arg=")).collect();
    assert_eq!(arguments, ["-p", "two words", "--json"]);
    // Nothing of it is left in the settings.
    assert_eq!(std::fs::read_dir(place.path("home")).unwrap().count(), 0);

    let told = place.polyport(&["launch", "codex", "--json", "--dry-run"]).output().unwrap();
    assert_eq!(told.status.code(), Some(127), "it is not installed");
    place.program("codex", "kill -TERM $$");
    let told = place.polyport(&["launch", "codex", "--json", "--dry-run"]).output().unwrap();
    let told = json_of(&told);
    assert_eq!(told["variables"], json!({ "POLYPORT_KEY": "polyport" }));
    assert!(told["arguments"].to_string().contains(&format!("http://127.0.0.1:{port}/v1")));
    let ended = place.polyport(&["launch", "codex"]).output().unwrap();
    assert_eq!(ended.status.code(), Some(128 + 15), "a signal ended it");
}

#[cfg(unix)]
#[test]
fn what_is_missing_is_told_with_what_to_do() {
    let place = Place::new("discover: false");
    let told = |args: &[&str], words: &[&str]| {
        let output = place.polyport(args).output().unwrap();
        let told = text(&output.stderr);
        for word in words {
            assert!(told.contains(word), "{args:?}: {told}");
        }
        output.status.code()
    };
    assert_eq!(told(&["launch", "claude"], &["PATH", "npm install -g @anthropic-ai/claude-code"]), Some(127));
    place.program("claude", "exit 0");
    assert_eq!(told(&["launch", "claude"], &["no gateway runs", "polyport serve", "--serve"]), Some(1));
    let closed = ["--url", "http://127.0.0.1:1", "launch", "opencode", "--key", "pp-fake"];
    place.program("opencode", "exit 0");
    assert_eq!(told(&closed, &["http://127.0.0.1:1", "polyport serve"]), Some(1));
    assert_eq!(told(&["launch", "cursor"], &["polyport connect cursor"]), Some(1));
    assert_eq!(told(&["launch", "clod"], &["there is no client `clod`", "claude, codex"]), Some(1));
    assert_eq!(told(&["launch", "aider"], &["PATH", "aider-install"]), Some(127));
    assert_eq!(told(&["connect", "claude", "--undo"], &["nothing is known of a change"]), Some(1));
}

const CLOSED: &str =
    "discover: false\nmodels: { m: echo/echo }\naccess: { keys: [{ name: own, key: \"pp-own-0123456789abcdef\" }] }\n";

/// The keys in the database.
fn keys(place: &Place) -> Vec<Value> {
    let listed = json_of(&place.polyport(&["keys", "--json"]).output().unwrap());
    listed["keys"].as_array().unwrap().clone()
}

#[cfg(unix)]
#[test]
fn a_client_gets_a_key_that_is_gone_when_it_ends() {
    let place = Place::new(CLOSED);
    let gateway = start(place.folder.path(), &["--port", "0"]);
    let program = env!("CARGO_BIN_EXE_polyport");
    place.program("claude", &format!("{program} keys --json > during.json; exit 3"));
    let launch = ["launch", "claude", "--model", "m", "--protocol", "messages", "--expires", "2h"];
    let launched = place.polyport(&launch).output().unwrap();
    assert_eq!(launched.status.code(), Some(3), "{}", text(&launched.stderr));
    let said = place.said();
    let key = of(&said, "ANTHROPIC_AUTH_TOKEN=").unwrap();
    assert!(key.starts_with("pp-"), "{key}");
    let during: Value = serde_json::from_str(&std::fs::read_to_string(place.path("during.json")).unwrap()).unwrap();
    let made = &during["keys"][0];
    assert!(made["name"].as_str().unwrap().starts_with("launch-claude-"), "{made}");
    assert_eq!((&made["models"], &made["protocols"]), (&json!(["m"]), &json!(["messages"])));
    assert!(!made["expires_at"].is_null(), "{made}");
    assert_eq!(keys(&place), Vec::<Value>::new());
    assert!(!text(&launched.stderr).contains(key));

    // As Ctrl-C does: the client is told, and the key goes.
    place.program("claude", "touch ready; exec sleep 60");
    let mut launched = place.polyport(&["launch", "claude"]).spawn().unwrap();
    let ready = place.path("ready");
    assert!((0..1200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(25));
        ready.exists()
    }));
    assert_eq!(keys(&place).len(), 1);
    assert!(Command::new("kill").args(["-INT", &launched.id().to_string()]).status().unwrap().success());
    assert_eq!(launched.wait().unwrap().code(), Some(128 + 2));
    assert_eq!(keys(&place), Vec::<Value>::new());
    drop(gateway);
}

#[cfg(unix)]
#[test]
fn where_no_gateway_runs_one_runs_for_the_client() {
    let place = Place::new(CLOSED);
    let program = env!("CARGO_BIN_EXE_polyport");
    place.program("codex", &format!("{program} status --json > during.json"));
    let launched = place.polyport(&["launch", "codex", "--serve", "--", "exec"]).output().unwrap();
    assert_eq!(launched.status.code(), Some(0), "{}", text(&launched.stderr));
    assert_eq!(
        (text(&launched.stdout), text(&launched.stderr)),
        (String::new(), String::new()),
        "the terminal is the client's"
    );
    let during: Value = serde_json::from_str(&std::fs::read_to_string(place.path("during.json")).unwrap()).unwrap();
    assert_eq!(during["running"], true);
    let url = format!("{}/v1", during["url"].as_str().unwrap());
    let said = place.said();
    assert!(said.iter().any(|line| line.starts_with("arg=model_providers") && line.contains(&url)), "{said:?}");
    assert!(of(&said, "POLYPORT_KEY=").unwrap().starts_with("pp-"));
    assert_eq!(keys(&place), Vec::<Value>::new());
    let after = json_of(&place.polyport(&["status", "--json"]).output().unwrap());
    assert_eq!(after["running"], false);
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_is_set_up_gets_a_key_once() {
    let place = Place::new(CLOSED);
    let gateway = start(place.folder.path(), &["--port", "0"]);
    let write = ["connect", "continue", "--write", "--json"];
    let written = json_of(&place.polyport(&write).output().unwrap());
    assert_eq!(written["url"], format!("http://{}", gateway.url));
    let made = written["made_key"]["name"].as_str().unwrap();
    assert_eq!(made, "connect-continue");
    let path = place.path("home/.continue/config.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    assert!(config.contains("model: m\n") && config.contains("apiKey: pp-"), "{config}");
    place.polyport(&["connect", "codex", "--write"]).output().unwrap();
    for client in ["continue", "codex"] {
        let again = json_of(&place.polyport(&["connect", client, "--write", "--json"]).output().unwrap());
        assert_eq!((&again["made_key"], &again["files"][0]["changed"]), (&Value::Null, &json!(false)), "{client}");
    }
    assert_eq!(keys(&place).len(), 2);
    // What cannot be written leaves no key behind.
    std::fs::create_dir_all(place.path("home/.claude")).unwrap();
    std::fs::write(place.path("home/.claude/settings.json"), "{ damaged").unwrap();
    assert_eq!(place.polyport(&["connect", "claude", "--write"]).output().unwrap().status.code(), Some(1));
    assert_eq!(keys(&place).len(), 2);
    drop(gateway);
}

#[cfg(target_os = "linux")]
#[test]
fn keys_of_somebody_else_are_not_sent_to_the_gateway() {
    use std::io::Write as _;
    let place = Place::new("discover: false");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heard, hears) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 16384];
            let count = std::io::Read::read(&mut stream, &mut bytes).unwrap();
            if heard.send(text(&bytes[..count])).is_err() {
                return;
            }
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        }
    });
    std::fs::create_dir(place.path("home/.gemini")).unwrap();
    let own = "GEMINI_API_KEY=AIza-fake-of-the-user\n";
    std::fs::write(place.path("home/.gemini/.env"), own).unwrap();
    // It has no key for this gateway, so it ends with an error.
    let write = ["--url", &url, "--admin-key", "fake-operator-0123456789", "connect", "gemini", "--write"];
    assert!(!place.polyport(&write).output().unwrap().status.success());
    let heard: Vec<String> = hears.try_iter().collect();
    assert!(heard.iter().any(|request| request.starts_with("POST /admin/api/keys")), "it wanted one made: {heard:?}");
    assert!(heard.iter().all(|request| !request.contains("AIza-fake")), "{heard:?}");
    assert_eq!(std::fs::read_to_string(place.path("home/.gemini/.env")).unwrap(), own);
}

#[test]
fn clients_are_listed() {
    let place = Place::new("discover: false");
    let listed = json_of(&place.polyport(&["connect", "--json"]).output().unwrap());
    let claude = &listed["clients"][0];
    assert_eq!((claude["name"].as_str(), claude["launch"].as_bool()), (Some("claude"), Some(true)));
    assert_eq!(claude["found"], Value::Null);
    let table = text(&run(place.folder.path(), &["connect"]).stdout);
    for name in ["claude", "codex", "gemini", "opencode", "aider", "cursor", "librechat"] {
        assert!(table.contains(name), "{table}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_connect_shows_is_what_it_writes() {
    let place = Place::new("discover: false\nserver: { port: 7000 }\naccess: { keys: [pp-own-0123456789abcdef] }");
    let shown = json_of(&place.polyport(&["connect", "codex", "--key", "pp-fake", "--json"]).output().unwrap());
    let path = place.path("home/.codex/config.toml");
    let told = shown["files"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!(
        shown,
        json!({
            "client": "codex", "title": "Codex CLI", "url": "http://127.0.0.1:7000", "key": "pp-fake", "model": null,
            "variables": { "POLYPORT_KEY": "pp-fake" },
            "arguments": [
                "-c", "model_provider=\"polyport\"", "-c",
                "model_providers.polyport={name=\"Polyport\",base_url=\"http://127.0.0.1:7000/v1\",wire_api=\"responses\",env_key=\"POLYPORT_KEY\"}",
            ],
            "files": [{ "path": path, "text": told }], "steps": [], "remarks": [], "tried": shown["tried"],
        })
    );
    let write = ["connect", "codex", "--write", "--key", "pp-fake", "--json"];
    let written = json_of(&place.polyport(&write).output().unwrap());
    assert_eq!(written["files"], json!([{ "path": path, "changed": true, "backup": null }]));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), told);
    let again = json_of(&place.polyport(&write).output().unwrap());
    assert_eq!(again["files"][0]["changed"], false);
    let undone = json_of(&place.polyport(&["connect", "codex", "--undo", "--json"]).output().unwrap());
    assert_eq!(undone["files"][0]["removed"], true);
    assert!(!path.exists());

    let words = text(&place.polyport(&["connect", "claude"]).output().unwrap().stdout);
    assert!(words.contains("export ANTHROPIC_BASE_URL=http://127.0.0.1:7000\n"), "{words}");
    assert!(words.contains("YOUR-KEY stands for a key"), "{words}");
    let words = text(&place.polyport(&["connect", "cursor"]).output().unwrap().stdout);
    assert!(words.contains("2. Base URL: http://127.0.0.1:7000/v1"), "{words}");
}

#[cfg(target_os = "linux")]
#[test]
fn o11_of_two_files_both_are_changed_or_none() {
    let place = Place::new("discover: false");
    let folder = place.path("home/.gemini");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("settings.json"), "{\"ui\": {}}").unwrap();
    std::fs::write(folder.join(".env"), "this is no line\n").unwrap();
    let write = ["connect", "gemini", "--write", "--key", "pp-fake"];
    let refused = place.polyport(&write).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused.stderr);
    assert!(told.contains(".env is not changed: line 1") && !told.contains("this is no line"), "{told}");
    assert_eq!(std::fs::read_to_string(folder.join("settings.json")).unwrap(), "{\"ui\": {}}");
    std::fs::write(folder.join(".env"), "OWN=1\n").unwrap();
    assert!(place.polyport(&write).output().unwrap().status.success());
    let env = std::fs::read_to_string(folder.join(".env")).unwrap();
    assert_eq!(env, "OWN=1\nGEMINI_API_KEY=pp-fake\nGOOGLE_GEMINI_BASE_URL=http://127.0.0.1:7659\n");
    assert!(place.polyport(&["connect", "gemini", "--undo"]).output().unwrap().status.success());
    assert_eq!(std::fs::read_to_string(folder.join(".env")).unwrap(), "OWN=1\n");
}

/// Every client has a page in both languages, and no page is about another.
#[test]
fn every_client_has_its_pages() {
    let place = Place::new("discover: false");
    let listed = json_of(&place.polyport(&["connect", "--json"]).output().unwrap());
    let mut names: Vec<&str> =
        listed["clients"].as_array().unwrap().iter().map(|client| client["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    for language in ["en", "zh"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/guide/{language}/clients"));
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut pages: Vec<String> = files.filter_map(|name| Some(name.strip_suffix(".md")?.to_owned())).collect();
        pages.retain(|name| name != "index");
        pages.sort_unstable();
        assert_eq!(pages, names, "{language}");
    }
}
