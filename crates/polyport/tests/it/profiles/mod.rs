//! What the READMEs of other gateways tell their users to do, done with the real program in their profile: their files, variables and commands.

mod ai_service;
mod antigravity;
mod api_pool;
mod curl;
mod transformer;
mod warp2api;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use polyport_testkit::raw::{Reply, send};
use serde_json::Value;

use crate::{Running, polyport, run, text};
use curl::Curl;

/// A folder of another gateway's user, and the environment that its shell has.
struct Shop {
    folder: tempfile::TempDir,
    environment: HashMap<String, String>,
    profile: &'static str,
}

impl Shop {
    fn new(profile: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: HashMap::new(), profile }
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Sends a provider's requests to a fake one.
    fn reach(&mut self, provider: &str, address: &str) {
        let name = provider.to_uppercase().replace('-', "_");
        self.set(&format!("POLYPORT_PROVIDERS__{name}__BASE_URL"), address);
        self.set(&format!("POLYPORT_PROVIDERS__{name}__PROXY"), "none");
    }

    /// What `polyport check` says, without listening anywhere: the usual port may be taken.
    fn check(&self) -> Value {
        let mut command = polyport(self.folder.path(), &["check", "--json", "--profile", self.profile]);
        let output = command.envs(&self.environment).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts the gateway, at a free port unless `args` say another.
    fn open(&self, args: &[&str]) -> Open {
        let mut all = vec!["serve", "--profile", self.profile, "--json"];
        if !args.contains(&"--port") {
            all.extend(["--port", "0"]);
        }
        all.extend(args);
        let log = std::fs::File::create(self.folder.path().join("log.txt")).unwrap();
        let mut command = polyport(self.folder.path(), &all);
        let mut child = command.envs(&self.environment).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap_or_else(|| panic!("it did not start: {}", self.log())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let told: Value = serde_json::from_str(&first).unwrap();
        let urls: Vec<String> = told["urls"]
            .as_array()
            .unwrap()
            .iter()
            .map(|url| url.as_str().unwrap().trim_start_matches("http://").to_owned())
            .collect();
        Open { running: Running { child, url: urls[0].clone() }, urls }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap_or_default()
    }
}

/// A gateway that runs.
struct Open {
    running: Running,
    /// Where it listens, the first address first.
    urls: Vec<String>,
}

impl Open {
    fn address(&self) -> SocketAddr {
        self.running.url.parse().unwrap()
    }

    /// Where else it listens.
    fn second_address(&self) -> SocketAddr {
        self.urls[1].parse().unwrap()
    }

    /// Runs a command of a README, at this gateway instead of the address in it.
    async fn curl(&self, command: &str) -> Reply {
        let curl = Curl::parse(command);
        let headers: Vec<(&str, &str)> = curl.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        send(self.address(), &curl.method, &curl.path, &headers, curl.body).await
    }

    /// The same, for a JSON answer.
    async fn json(&self, command: &str) -> Value {
        let reply = self.curl(command).await;
        let status = reply.status;
        let body = String::from_utf8(reply.bytes().await.unwrap()).unwrap();
        assert!(status.is_success(), "{command}\n{status}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{command}\n{error}: {body}"))
    }

    /// The same, for a stream of events: its data lines.
    async fn events(&self, command: &str) -> Vec<String> {
        let reply = self.curl(command).await;
        let (status, kind) = (reply.status, reply.header("content-type").to_owned());
        let body = String::from_utf8(reply.bytes().await.unwrap()).unwrap();
        assert!(status.is_success() && kind.starts_with("text/event-stream"), "{command}\n{status}: {kind}: {body}");
        body.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| data.trim().to_owned()).collect()
    }

    async fn status(&self, command: &str) -> u16 {
        self.curl(command).await.status.as_u16()
    }
}

/// What a Chat stream says, whose end has to be there.
fn said(events: &[String]) -> String {
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{events:?}");
    let chunks = events.iter().filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

#[test]
fn an_unknown_profile_names_those_that_exist() {
    let output = run(tempfile::tempdir().unwrap().path(), &["serve", "--profile", "litellm-proxy"]);
    assert_eq!(output.status.code(), Some(1));
    let words = text(&output.stderr);
    assert!(words.contains("there is no profile of this name; profiles are: `warp2api`, `antigravity`,"), "{words}");
}

#[test]
fn the_usual_addresses_are_those_of_each_system() {
    let folder = tempfile::tempdir().unwrap();
    for (profile, listens) in [
        ("warp2api", "0.0.0.0:28889"),
        ("antigravity", "0.0.0.0:8000"),
        ("transformer", "127.0.0.1:8000"),
        ("api-pool", "127.0.0.1:8899"),
        ("ai-service", "127.0.0.1:8765"),
    ] {
        let mut command = polyport(folder.path(), &["check", "--json"]);
        command.env("POLYPORT_PROFILE", profile).env("API_TOKEN", "client-0123456789abcdef");
        let told: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        assert_eq!((&told["listen"][0], &told["profile"]), (&listens.into(), &profile.into()), "{told}");
    }
    assert!(is_empty(folder.path()));
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().count() == 0
}
