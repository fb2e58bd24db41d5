//! Every command, as people and scripts use it: against a gateway that runs, against one at an address, and against the database alone.
//!
//! What is answered stands in `commands.txt`, which `UPDATE_REFERENCE=1` writes anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use polyport_testkit::provider::FakeProvider;
use polyport_types::Protocol;
use serde_json::{Map, Value};

use crate::{Running, polyport, start, text};

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/commands.txt");

/// Opens the admin API from elsewhere.
const ADMIN: &str = "admin-key-canary-0123456789";

/// In this order: later ones look at what earlier ones made. `ID` stands for the id that the command before told.
const COMMANDS: &str = "
status
check
providers
providers add two --base-url FAKE/v1 --api-key sk-canary-two-0123456789 --model m-2 --set weight=1
providers add two --base-url FAKE/v1 --api-key sk-canary-two-0123456789 --model m-2
providers add bad --base-url nonsense
providers list --where origin=database
providers show two
providers show none
providers set two --set timeouts.first_byte=5m
providers disable two
providers enable two
providers models up
providers presets
providers try up
providers try up --model m-1
providers try --base-url FAKE/v1 --api-key sk-canary-seven-0123456789 --model m-1 --timeout 30
providers try --base-url http://127.0.0.1:9/v1
providers try --base-url nonsense
providers try nothing
providers learned up
providers forget up
credentials
credentials add two --api-key sk-canary-three-0123456789 --name third --weight 2
credentials add two --api-key sk-canary-three-0123456789 --name third
credentials import keys.txt --provider two
credentials list --where provider=two
credentials show two/third
credentials set third --set priority=2
credentials disable third
credentials enable third
credentials revive third
credentials probe third
credentials refresh third
credentials quota third
credentials health
credentials statistics
credentials ready
credentials remove third
pools add sonnet --tier normal --target up/m-1 --target two/m-2
pools add empty
pools add broken --target nowhere/m
pools list
pools show sonnet
pools set sonnet --set strategy=ordered
pools preview sonnet --turns 3
pools preview --target up/m-1 --target up/m-2 --turns 4
pools preview --target nowhere/m
pools disable sonnet
pools enable sonnet
models create --route-key gpt-4 --target-model m-1 --provider up
models list --search gpt
models
routes add --name night --header x-team:night --to sonnet
routes list
routes show night
routes set night --set priority=5
routes disable night
routes enable night
explain gpt-4
explain m-1 --body body.json --protocol messages
explain m-1 --protocol gemini --stream
explain nothing-like-it
teams add blue --set models=[gpt-*,sonnet]
teams list
teams show blue
teams set blue --set limits=[{what: requests, window: day, amount: 1000}]
teams disable blue
teams enable blue
users add ada --team blue --role manager
users add ada
users list --where team=blue
users show ada
users set ada --set role=member
users disable ada
users enable ada
users set-password ada --generate
users sign-out ada
keys add laptop --user ada --model gpt-* --expires 90d
keys show ID
keys set ID --set protocols=[chat]
keys disable ID
keys enable ID
keys rotate ID --overlap 60
keys remove ID
keys add --provider two --api-key sk-canary-four-0123456789
keys list
keys show 0199d6a0-7a4e-7c11-9d43-2f5b8a1c0e77
quotas
usage --by model --since 1d
usage overview --since 2099-01-01T00:00:00Z --until 2099-01-01T02:00:00Z
stats requests
stats keys
logs --limit 2
logs list --failed
logs show LOGGED
logs export --to requests.jsonl
logs export --format csv
ledger --limit 1
users forget ada
audit --limit 3
prices --where provider=openai --where model=gpt-5
problems
settings list accounting.keep
settings list limits.requests
settings set limits.requests=500 accounting.keep.requests=90d
settings set limits.requests=many
settings set server.port=1
settings set log.file=x
settings list limits.requests
settings set limits.requests=null accounting=null
settings configuration
settings set notifications.webhooks=[{name: chat, url: 'http://127.0.0.1:9/canary-hook'}]
notifications
notifications list --where outcome=failed
notifications test nobody
export definitions.json
export
api GET credentials/readiness
api GET clients?q=nothing-like-it
api POST import {\"dry_run\":true,\"teams\":[{\"name\":\"green\"}]}
api POST providers {\"name\":\"three\",\"base_url\":\"http://127.0.0.1:9/v1\"}
api GET nowhere
users remove ada
teams remove blue
routes remove night
pools remove sonnet
pools remove gpt-4
providers remove up
backup copy.db
man pages
";

/// Takes what differs between runs out of an answer.
fn steady(value: &mut Value, folder: &str, fake: &str) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members.iter_mut() {
                let differs = [
                    "duration_ms",
                    "took_ms",
                    "first_token_ms",
                    "uptime_seconds",
                    "tokens_per_second",
                    "milliseconds",
                    "latency_ms",
                ];
                let measured = differs.contains(&name.as_str()) && (inner.is_number() || inner.is_null());
                if measured || name.ends_with("_ms") && inner.is_number() {
                    *inner = "<number>".into();
                } else if name == "key" && inner.as_str().is_some_and(|text| text.starts_with("pp-")) {
                    *inner = "<key>".into();
                } else if name == "password" && inner.is_string() {
                    *inner = "<password>".into();
                } else if name == "masked" && inner.as_str().is_some_and(|text| text.starts_with("pp-")) {
                    *inner = "<masked>".into();
                } else {
                    steady(inner, folder, fake);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| steady(item, folder, fake)),
        Value::Number(number) if number.as_u64().is_some_and(|number| number > 1_600_000_000_000) => {
            *value = "<time>".into()
        }
        Value::String(text) => *text = steady_text(text, folder, fake),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn steady_text(text: &str, folder: &str, fake: &str) -> String {
    let text = text.replace(folder, "<folder>").replace(fake, "<fake>");
    let mut told = String::new();
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-:.+_".contains(*c)).collect();
        let uuid = word.get(..36).filter(|word| {
            word.bytes().filter(|byte| *byte == b'-').count() == 4
                && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
        });
        let taken = match uuid {
            Some(uuid) => {
                told.push_str("<id>");
                uuid.len()
            }
            None if word.len() >= 20 && word.starts_with("20") && word.contains('T') && word.ends_with('Z') => {
                told.push_str("<time>");
                word.len()
            }
            None if word.starts_with("req_") && word.len() > 20 => {
                told.push_str("<request>");
                word.len()
            }
            None if word.is_empty() => {
                told.push(c);
                c.len_utf8()
            }
            None => {
                told.push_str(&word);
                word.len()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    told
}

/// The words of a command; what stands in brackets is one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut depth) = (vec![String::new()], 0);
    for c in line.chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        match c {
            ' ' if depth == 0 => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// A folder with a gateway's past: two requests that went well and one that did not.
async fn prepared(fake: &FakeProvider) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "discover: false\nproviders: {{ up: {{ base_url: \"{}\", proxy: none, keys: [sk-canary-one-0123456789], models: [m-1] }} }}\n\
         log: {{ file: logs/polyport.log }}\naccess: {{ keys: [client-key-0123456789] }}\n",
        fake.base_url()
    );
    std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
    std::fs::write(
        folder.path().join("keys.txt"),
        "# two of them\nsk-canary-five-0123456789\n\nsk-canary-six-0123456789\n",
    )
    .unwrap();
    let body = r#"{"model":"m-1","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}"#;
    std::fs::write(folder.path().join("body.json"), body).unwrap();
    let path = folder.path().to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let running = start(&path, &["--port", "0"]);
        for model in ["m-1", "m-1", "nothing-like-it"] {
            let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello"}}]}}"#);
            running.post("/v1/chat/completions?key=client-key-0123456789", &body);
        }
        stop(running);
    });
    asked.await.unwrap();
    folder
}

/// Ends a gateway as an operator does.
fn stop(mut running: Running) {
    running.signal("-TERM");
    assert!(running.child.wait().unwrap().success());
}

fn ask(folder: &Path, words: &[String], more: &[&str], variables: &[(&str, &str)]) -> Output {
    let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let mut command = polyport(folder, &words);
    command.envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().flush().unwrap();
    child.wait_with_output().unwrap()
}

/// Goes through all commands; gives what they told.
fn transcript(folder: &Path, fake: &str, more: &[&str], variables: &[(&str, &str)]) -> String {
    let place = folder.canonicalize().unwrap().display().to_string();
    let listed = ask(folder, &words("logs --limit 3"), &[more, &["--json"]].concat(), variables);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let logged = listed["requests"][0]["id"].as_str().unwrap().to_owned();
    let (mut told, mut id) = (String::new(), String::new());
    for line in COMMANDS.lines().filter(|line| !line.is_empty()) {
        let words: Vec<String> = words(line)
            .into_iter()
            .map(|word| word.replace("FAKE/v1", fake).replace("LOGGED", &logged).replace("ID", &id).replace('\\', ""))
            .collect();
        let plain = ["export", "backup", "man"].iter().any(|known| line.starts_with(known)) || line.contains("--to ");
        let changes = ["add", "create", "remove", "set", "import", "rotate"].iter().any(|word| line.contains(word));
        // For people, where that leaves no trace that would be in the way.
        if !changes && !plain && !line.starts_with("logs export") {
            let output = ask(folder, &words, more, variables);
            let shown = text(&output.stdout);
            assert!(!shown.contains("canary-"), "{line}: {shown}");
            let (good, silent) = (output.status.success(), shown.trim().is_empty());
            assert!(good != silent, "{line}: {shown}\n{}", text(&output.stderr));
            assert!(!shown.contains('\u{1b}'), "colours where nobody sees them");
        }
        let output = ask(folder, &words, &[more, &["--json"]].concat(), variables);
        let (shown, failed) = (text(&output.stdout), text(&output.stderr));
        assert!(!shown.contains("canary") && !failed.contains("canary-"), "{line}: {shown}{failed}");
        writeln!(told, "$ polyport {line} --json").unwrap();
        match serde_json::from_str::<Value>(&shown) {
            Ok(mut value) => {
                if let Some(found) = value["id"].as_str() {
                    found.clone_into(&mut id);
                }
                steady(&mut value, &place, fake);
                writeln!(told, "{}", short(&value)).unwrap();
            }
            Err(_) => {
                let shown = steady_text(&shown, &place, fake);
                // Rows tell how long requests took.
                shown.lines().take(1).for_each(|line| writeln!(told, "{line}").unwrap());
            }
        }
        if !failed.is_empty() {
            write!(told, "{}", steady_text(&failed, &place, fake)).unwrap();
        }
        writeln!(told, "exit code {}\n", output.status.code().unwrap()).unwrap();
    }
    told
}

/// Long lists are told by their first entry and their length.
fn short(value: &Value) -> String {
    fn cut(value: &Value) -> Value {
        match value {
            Value::Array(items) if items.len() > 4 => {
                Value::from(vec![cut(&items[0]), format!("… {} entries", items.len()).into()])
            }
            Value::Array(items) => items.iter().map(cut).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), cut(value))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }
    format!("{:#}", cut(value))
}

/// Lines that tell whether a gateway runs, and since when.
fn of_running(told: &str) -> String {
    let about = [
        "\"running\"",
        // How many settings come from the command line, and from nowhere.
        "\"argument\"",
        "\"default\"",
        "\"url\"",
        "\"address\"",
        "\"started_at\"",
        "\"kind\": \"local\"",
        "\"kind\": \"key\"",
        "\"actor\"",
        "\"name\": \"uid",
        "\"name\": \"command line\"",
        "\"name\": \"ADMIN_TOKEN\"",
        "\"name\": \"env:ADMIN_TOKEN\"",
        "\"id\": \"uid",
        "\"id\": \"command line\"",
        "\"id\": \"env:ADMIN_TOKEN\"",
    ];
    told.lines().filter(|line| !about.iter().any(|word| line.contains(word))).collect::<Vec<_>>().join("\n")
}

fn copied(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let (path, to) = {
                let entry = entry.unwrap();
                (entry.path(), to.join(entry.file_name()))
            };
            if path.is_dir() { copy(&path, &to) } else { std::fs::copy(&path, &to).map(drop).unwrap() }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(from, folder.path());
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::disallowed_methods, reason = "it says whether to write the reference anew")]
async fn every_command_says_the_same_of_a_gateway_of_an_address_and_of_the_database() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let alone = prepared(&fake).await;
    let (socket, address) = (copied(alone.path()), copied(alone.path()));
    let url = fake.base_url();
    let told = tokio::task::spawn_blocking(move || {
        let running = start(socket.path(), &["--port", "0"]);
        let with_gateway = transcript(socket.path(), &url, &[], &[("USER", "ada")]);
        stop(running);
        reaches_everything(socket.path());

        let variables = [("ADMIN_TOKEN", ADMIN)];
        let mut running = polyport(address.path(), &["serve", "--json", "--port", "0"]);
        let mut running = running.envs(variables).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(running.stdout.take().unwrap()), &mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let at = ready["url"].as_str().unwrap().to_owned();
        let with_address =
            transcript(address.path(), &url, &["--url", &at], &[("ADMIN_TOKEN", ADMIN), ("USER", "ada")]);
        running.kill().unwrap();
        running.wait().unwrap();

        let without = transcript(alone.path(), &url, &[], &[("USER", "ada")]);
        (with_gateway, with_address, without)
    });
    let (with_gateway, with_address, without) = told.await.unwrap();
    pretty_same(&of_running(&with_gateway), &of_running(&without), "the database alone says something else");
    pretty_same(&of_running(&with_gateway), &of_running(&with_address), "a gateway at an address says something else");
    let told = of_running(&with_gateway) + "\n";
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(REFERENCE, &told).unwrap();
    }
    pretty_same(
        &std::fs::read_to_string(REFERENCE).unwrap(),
        &told,
        "run it with UPDATE_REFERENCE=1 and look at what has changed",
    );
}

/// Names the first line that differs.
fn pretty_same(expected: &str, found: &str, words: &str) {
    let mut command = "";
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    for (at, line) in expected.iter().enumerate() {
        if line.starts_with("$ ") {
            command = line;
        }
        assert_eq!(Some(line), found.get(at), "{words}: {command} (line {})", at + 1);
    }
    assert_eq!(expected.len(), found.len(), "{words}");
}

#[test]
fn requests_are_followed_as_they_end() {
    use std::io::{BufRead as _, BufReader};
    let folder = crate::folder_with("discover: false\n");
    let running = start(folder.path(), &["--port", "0"]);
    let mut command = polyport(folder.path(), &["logs", "follow", "--json", "--model", "echo"]);
    let mut following = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    // Nobody tells when it has begun to follow: requests are made until the first of them is seen.
    let (seen, done) = (std::sync::mpsc::channel::<String>(), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            seen.0.send(lines.next().unwrap().unwrap()).ok();
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        for _ in 0..600 {
            if done.load(std::sync::atomic::Ordering::SeqCst) {
                break;
            }
            assert!(running.chat("echo").starts_with("HTTP/1.1 200"));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        following.kill().unwrap();
    });
    following.wait().unwrap();
    let told: Value = serde_json::from_str(&seen.1.recv().unwrap()).unwrap();
    assert_eq!((&told["model"], &told["status"]), (&"echo".into(), &200.into()));
}

/// Whether the log shows that each endpoint of the admin API was asked that commands are for.
fn reaches_everything(folder: &Path) {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let document: Value = serde_json::from_slice(&std::fs::read(document).unwrap()).unwrap();
    let log = std::fs::read_to_string(folder.join("data/logs/polyport.log")).unwrap();
    let asked: BTreeSet<(String, String)> = log
        .lines()
        .filter_map(|line| {
            let of = |name: &str| line.split(' ').find_map(|word| Some(word.strip_prefix(name)?.to_owned()));
            Some((of("method=")?, of("path=")?))
        })
        .collect();
    assert!(!asked.is_empty(), "the log tells of no request: {}", log.lines().last().unwrap_or_default());
    // Those for browsers and for scripts of other systems.
    let others = [
        "/admin/api/session",
        "/admin/api/setup",
        "/admin/api/oidc",
        "/admin/api/openapi.json",
        "/admin/api/tokens",
        "/v1",
    ];
    // Seen in tests of their own: it has no end; it needs an account.
    let apart = ["/admin/api/requests/live", "/admin/api/overview/live"];
    for (path, methods) in document["paths"].as_object().unwrap() {
        if others.iter().chain(&apart).any(|other| path.starts_with(other)) || !path.starts_with("/admin/api/") {
            continue;
        }
        let pattern: Vec<&str> = path.split('/').collect();
        for method in methods.as_object().unwrap().keys().filter(|method| *method != "parameters") {
            let was_asked = asked.iter().any(|(known, place)| {
                let place: Vec<&str> = place.split('/').collect();
                known.eq_ignore_ascii_case(method)
                    && place.len() == pattern.len()
                    && place.iter().zip(&pattern).all(|(found, wanted)| wanted.starts_with('{') || found == wanted)
            });
            assert!(was_asked, "no command asks {} {path}", method.to_uppercase());
        }
    }
}
