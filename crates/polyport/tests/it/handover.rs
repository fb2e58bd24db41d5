//! One process takes the place of another under load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use polyport_store::log::{Log, Query, State};
use polyport_testkit::provider::{Answer, Exchange, FakeProvider, Hold, Step, Tokens};
use polyport_types::Protocol;
use serde_json::json;

/// A gateway whose program lies in its folder and can be replaced there.
struct Gateway {
    folder: tempfile::TempDir,
    url: String,
    errors: PathBuf,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The test has failed if there is one.
        if let Some(process) = self.process().filter(|process| lives(*process)) {
            kill("-KILL", process);
        }
    }
}

fn kill(signal: &str, process: u32) -> bool {
    Command::new("kill").args([signal, &process.to_string()]).stderr(Stdio::null()).status().unwrap().success()
}

fn lives(process: u32) -> bool {
    // One that has ended and that nobody has asked about stays as a zombie.
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what}");
}

impl Gateway {
    fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("polyport.yaml"), config).unwrap();
        replace_program(folder.path());
        let errors = folder.path().join("errors.txt");
        let mut command = Command::new(folder.path().join("polyport"));
        command.current_dir(folder.path()).env_clear().args(["serve", "--port", "0"]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(std::fs::File::create(&errors).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.find_map(|line| Some(line.unwrap().split_once("listens on http://")?.1.to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        std::thread::spawn(move || child.wait());
        Self { folder, url, errors }
    }

    /// The process that has the database.
    fn process(&self) -> Option<u32> {
        std::fs::read_to_string(self.folder.path().join("data/polyport.db.lock")).ok()?.trim().parse().ok()
    }

    fn told(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap()
    }

    /// Gives the process before and the one after.
    fn hand_over(&self) -> (u32, u32) {
        let elder = self.process().unwrap();
        assert!(kill("-USR2", elder));
        wait_until(&format!("nobody took over from {elder}: {}", self.told()), || {
            self.process().is_some_and(|process| process != elder)
        });
        (elder, self.process().unwrap())
    }

    fn stop(&self) {
        let process = self.process().unwrap();
        assert!(kill("-TERM", process));
        wait_until("it does not end", || !lives(process));
    }
}

/// As package managers do it: a new file in the place of the old one.
fn replace_program(folder: &Path) {
    let new = folder.join("polyport.new");
    std::fs::copy(env!("CARGO_BIN_EXE_polyport"), &new).unwrap();
    std::fs::rename(&new, folder.join("polyport")).unwrap();
}

/// A client that keeps its connection as long as the server does.
struct Client {
    url: String,
    kept: Option<BufReader<TcpStream>>,
}

impl Client {
    /// The status and the body; every failure is one of the test.
    fn ask(&mut self, number: u64, stream: bool) -> (String, String) {
        let body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": format!("request {number} end")}]});
        let body = body.to_string();
        let mut socket = self.kept.take().unwrap_or_else(|| {
            let socket = TcpStream::connect(&self.url).unwrap_or_else(|error| panic!("request {number}: {error}"));
            socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            BufReader::new(socket)
        });
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.url,
            body.len()
        );
        socket.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = socket.read_line(&mut line).unwrap_or_else(|error| panic!("request {number}: {error}"));
            assert!(read > 0, "request {number}: closed without an answer");
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let header = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let body = match header("content-length") {
            Some(length) => {
                let mut body = vec![0; length.parse().unwrap()];
                socket.read_exact(&mut body).unwrap();
                String::from_utf8(body).unwrap()
            }
            None => chunks(&mut socket, number),
        };
        if header("connection") != Some("close") {
            self.kept = Some(socket);
        }
        (lines[0].clone(), body)
    }
}

fn chunks(socket: &mut BufReader<TcpStream>, number: u64) -> String {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        let read = socket.read_line(&mut size).unwrap_or_else(|error| panic!("request {number}: {error}"));
        assert!(read > 0, "request {number}: cut in the middle");
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut piece = vec![0; size + 2];
        socket.read_exact(&mut piece).unwrap();
        if size == 0 {
            return String::from_utf8(body).unwrap();
        }
        body.extend_from_slice(&piece[..size]);
    }
}

fn step(exchange: &Exchange) -> Step {
    let body = String::from_utf8_lossy(exchange.body()).into_owned();
    let number: u64 = body.split_once("request ").unwrap().1.split_once(" end").unwrap().0.parse().unwrap();
    let usage = Tokens { input: 10_000 + number, output: 8, ..Tokens::default() };
    let answer = Answer::default().text("one two three four five six seven eight").usage(usage);
    // Streams last longer than a change of place.
    let hold = if body.contains("\"stream\":true") { 400 } else { 2 };
    Step::answer(answer).between_events(Hold::For(Duration::from_millis(hold)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o5_five_changes_of_place_under_load_cost_no_connection_no_stream_and_no_entry() {
    let provider = FakeProvider::builder(Protocol::Chat).lenient().start().await;
    provider.decide(|exchange| Some(step(exchange)));
    let config = format!(
        "discover: false\nproviders: {{ up: {{ base_url: \"{}\", proxy: none }} }}\nmodels: {{ m: up/m }}\n",
        provider.base_url()
    );
    let answered = tokio::task::spawn_blocking(move || {
        let gateway = Gateway::start(&config);
        let (next, stopped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let clients: Vec<_> = (0..9)
            .map(|kind| {
                let (next, stopped, url) = (Arc::clone(&next), Arc::clone(&stopped), gateway.url.clone());
                std::thread::spawn(move || {
                    let mut client = Client { url, kept: None };
                    while !stopped.load(Ordering::Relaxed) {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let (status, body) = client.ask(number, kind % 3 == 2);
                        assert_eq!(status, "http/1.1 200 ok", "request {number}: {body}");
                        assert!(kind % 3 != 2 || body.ends_with("data: [DONE]\n\n"), "request {number}: {body}");
                        if kind % 3 == 1 {
                            client.kept = None;
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        let mut elders = Vec::new();
        for _ in 0..5 {
            replace_program(gateway.folder.path());
            let (elder, _) = gateway.hand_over();
            elders.push(elder);
            std::thread::sleep(Duration::from_millis(300));
        }
        std::thread::sleep(Duration::from_millis(500));
        stopped.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap_or_else(|_| panic!("{}", gateway.told()));
        }
        wait_until("an elder does not end", || elders.iter().all(|elder| !lives(*elder)));
        gateway.stop();
        (next.load(Ordering::Relaxed), gateway)
    });
    let (asked, gateway) = answered.await.unwrap();
    let log = Log::open(&polyport_store::log_url("sqlite://none", &gateway.folder.path().join("data"))).await.unwrap();
    let (mut numbers, mut export) = (Vec::new(), log.export(Query::default()));
    while let Some(page) = export.next().await.unwrap() {
        for attempt in page.iter().flat_map(|found| &found.entry.attempts) {
            assert_eq!(attempt.state, State::Settled);
            numbers.push(attempt.input() - 10_000);
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..asked).collect::<Vec<_>>(), "every request stands there once");
    assert_eq!(provider.requests().len() as u64, asked);
}

#[test]
fn o5_a_new_process_that_cannot_start_leaves_the_old_one_as_it_was() {
    let gateway = Gateway::start("discover: false\n");
    let (elder, folder) = (gateway.process().unwrap(), gateway.folder.path());
    let mut client = Client { url: gateway.url.clone(), kept: None };
    let mut answers = |number| {
        let mut client = Client { url: gateway.url.clone(), kept: client.kept.take() };
        // There is no such model; who says so is alive.
        assert_eq!(client.ask(number, false).0, "http/1.1 404 not found");
    };
    let goes_on = |times: usize, why: &str| {
        let told = || gateway.told().lines().filter(|line| line.contains("this process goes on")).count() == times;
        wait_until(&format!("{why}: {}", gateway.told()), told);
        assert!(gateway.told().contains(why), "{why}: {}", gateway.told());
        assert_eq!(gateway.process(), Some(elder));
    };
    // A configuration that is refused.
    std::fs::write(folder.join("polyport.yaml"), "providrs: {}\n").unwrap();
    assert!(kill("-USR2", elder));
    goes_on(1, "did you mean `providers`?");
    answers(1);
    // Something else in the place of the program.
    std::fs::write(folder.join("polyport.yaml"), "discover: false\n").unwrap();
    std::fs::write(folder.join("other"), "#!/bin/sh\nexit 7\n").unwrap();
    std::fs::set_permissions(folder.join("other"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(folder.join("other"), folder.join("polyport")).unwrap();
    assert!(kill("-USR2", elder));
    goes_on(2, "has ended (exit status: 7)");
    answers(2);
    // No program at all.
    std::fs::remove_file(folder.join("polyport")).unwrap();
    assert!(kill("-USR2", elder));
    goes_on(3, "cannot be started");
    answers(3);
    // And then all is well.
    replace_program(folder);
    let (_, younger) = gateway.hand_over();
    answers(4);
    wait_until("the elder does not end", || !lives(elder));
    assert!(lives(younger));
    let status = crate::run(folder, &["status"]);
    assert!(status.status.success(), "{}", crate::text(&status.stderr));
    gateway.stop();
}

#[test]
fn o5_what_an_elder_that_is_killed_leaves_is_taken_up() {
    let gateway = Gateway::start("discover: false\nlimits: { drain: 60s }\n");
    // A request that is never sent whole keeps the elder.
    let _socket = half_a_request(&gateway.url);
    let (elder, younger) = gateway.hand_over();
    assert!(lives(elder) && lives(younger));
    assert!(kill("-KILL", elder));
    wait_until("nobody notices", || gateway.told().contains("the process before this one has ended"));
    // The next change of place finds the databases in order.
    let (_, youngest) = gateway.hand_over();
    assert!(lives(youngest));
    gateway.stop();
}

#[test]
fn figures_are_those_of_the_process_that_has_taken_over() {
    let gateway = Gateway::start("discover: false\nlimits: { drain: 60s }\nmetrics: { listen: \"127.0.0.1:0\" }\n");
    let line = || Some(gateway.told().lines().find(|line| line.contains("readers of the figures"))?.to_owned());
    wait_until("no figures", || line().is_some());
    let line = line().unwrap();
    let port: String =
        line.rsplit_once("127.0.0.1:").unwrap().1.chars().take_while(|sign| sign.is_ascii_digit()).collect();
    let mut kept = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    kept.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    kept.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut first = [0; 15];
    kept.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    // The elder lives on, for the sake of a request.
    let _socket = half_a_request(&gateway.url);
    let (elder, _) = gateway.hand_over();
    // Its connections to readers end all the same.
    kept.read_to_end(&mut Vec::new()).unwrap();
    assert!(lives(elder));
    for _ in 0..8 {
        let mut fresh = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        fresh.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        fresh.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    assert!(kill("-KILL", elder));
    gateway.stop();
}

/// A request whose body is waited for.
fn half_a_request(url: &str) -> TcpStream {
    let mut socket = TcpStream::connect(url).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut word = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    socket.read_exact(&mut word).unwrap();
    assert!(word.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&word));
    socket
}

#[test]
fn o4_a_second_signal_ends_at_once_and_the_first_ends_well() {
    let start = || {
        let folder = crate::folder_with("discover: false\nlimits: { drain: 60s }\n");
        let running = crate::start(folder.path(), &["--port", "0"]);
        let socket = half_a_request(&running.url);
        (folder, running, socket)
    };
    // The request ends, and the process with it.
    let (_folder, mut running, mut socket) = start();
    running.signal("-TERM");
    wait_until("it still listens", || TcpStream::connect(&running.url).is_err());
    socket.write_all(b"{}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 4"), "{answer}");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    // The request goes on for a minute, but nobody waits for it any more.
    let (_folder, mut running, _socket) = start();
    running.signal("-TERM");
    wait_until("it still listens", || TcpStream::connect(&running.url).is_err());
    running.signal("-INT");
    let status = running.child.wait().unwrap();
    assert!(status.code() == Some(130) && status.signal().is_none(), "{status}");
}
