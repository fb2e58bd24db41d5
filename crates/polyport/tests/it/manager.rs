//! What service managers do: open the sockets, hear how things are, limit files.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Running, folder_with};

/// Starts as a service manager does, with a socket that it has opened.
fn activated(folder: &Path, socket: &TcpListener, more: &[(&str, &str)]) -> Child {
    let program = env!("CARGO_BIN_EXE_polyport");
    let script = format!("exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec {program} serve --port 1");
    let mut command = Command::new("sh");
    command.current_dir(folder).env_clear().envs(more.iter().copied()).args(["-c", &script]);
    command
        .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

struct Manager(UnixDatagram);

impl Manager {
    fn new(folder: &Path) -> Self {
        let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket)
    }

    /// Reads until something is said that begins so.
    fn hears(&self, wanted: &str) -> String {
        loop {
            let mut said = [0; 4096];
            let count = self.0.recv(&mut said).unwrap_or_else(|error| panic!("{wanted} is not said: {error}"));
            let said = String::from_utf8_lossy(&said[..count]).into_owned();
            if let Some(found) = said.lines().find_map(|line| line.strip_prefix(wanted)) {
                return found.to_owned();
            }
        }
    }
}

#[test]
fn o5_a_service_manager_opens_the_socket_and_hears_how_things_are() {
    let folder = folder_with("discover: false\n");
    let manager = Manager::new(folder.path());
    let socket = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = socket.local_addr().unwrap().to_string();
    // Clients may come before the gateway is there: they wait in the socket.
    let mut early = TcpStream::connect(&url).unwrap();
    early.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let place = folder.path().join("notify");
    let variables = [("NOTIFY_SOCKET", place.to_str().unwrap()), ("WATCHDOG_USEC", "100000")];
    let mut child = activated(folder.path(), &socket, &variables);
    let (mut out, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
    let running = Running { child, url: url.clone() };
    manager.hears("READY=1");
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    manager.hears("WATCHDOG=1");
    running.signal("-HUP");
    manager.hears("RELOADING=1");
    manager.hears("READY=1");
    // Another process takes over, with the same socket.
    running.signal("-USR2");
    let next = manager.hears("MAINPID=");
    assert_ne!(next, running.child.id().to_string());
    manager.hears("WATCHDOG=1");
    let mut running = running;
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(running.get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(Command::new("kill").args(["-TERM", &next]).status().unwrap().success());
    manager.hears("STOPPING=1");
}

#[test]
fn a_socket_that_others_can_reach_is_refused_where_the_configuration_speaks_of_this_machine() {
    let folder = folder_with("discover: false\n");
    let socket = TcpListener::bind(("0.0.0.0", 0)).unwrap();
    let output = activated(folder.path(), &socket, &[]).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("set `server.host` to 0.0.0.0 as well, so that keys are checked"), "{told}");
}

#[test]
fn o6_where_few_files_may_be_open_connections_wait_and_the_gateway_goes_on() {
    let folder = folder_with("discover: false\n");
    let program = env!("CARGO_BIN_EXE_polyport");
    let errors = folder.path().join("errors.txt");
    let mut command = Command::new("sh");
    let script = format!("ulimit -n 100; exec {program} --port 0");
    command.current_dir(folder.path()).env_clear().args(["-c", &script]).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(std::fs::File::create(&errors).unwrap());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.find_map(|line| Some(line.unwrap().split_once("listens on http://")?.1.to_owned())).unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    let running = Running { child, url };
    let used = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<u64> =
            stat.rsplit_once(')').unwrap().1.split(' ').filter_map(|word| word.parse().ok()).collect();
        // User and system time; the state before them is no number.
        fields[10] + fields[11]
    };
    let crowd: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(&running.url).unwrap()).collect();
    let told = || std::fs::read_to_string(&errors).unwrap();
    let complained = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        told().contains("as many connections are open as may be; new ones wait")
    });
    assert!(complained, "{}", told());
    // It waits, and does not turn round and round: a second costs less than a quarter of one (a hundred ticks).
    let before = used(running.child.id());
    std::thread::sleep(Duration::from_secs(1));
    assert!(used(running.child.id()) - before < 25);
    // What it needs for itself it still has.
    std::fs::write(folder.path().join("polyport.yaml"), "discover: false\nmodels: { one: echo/echo }\n").unwrap();
    drop(crowd);
    assert!((0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        running.chat("one").starts_with("HTTP/1.1 200")
    }));
    assert_eq!(told().matches("new ones wait").count(), 1, "{}", told());
    assert!(!told().contains("Too many open files"), "{}", told());
}

#[test]
fn s3_06_health_tells_by_its_exit_code_whether_the_gateway_answers() {
    let folder = folder_with("discover: false\n");
    let running = crate::start(folder.path(), &["--port", "0"]);
    let url = format!("http://{}", running.url);
    let port = running.url.rsplit_once(':').unwrap().1;
    let health = |args: &[&str]| crate::run(folder.path(), &[&["health"], args].concat());
    for args in [["--url", &url], ["--port", port]] {
        let output = health(&args);
        assert!(output.status.success(), "{}", crate::text(&output.stderr));
        assert_eq!(crate::text(&output.stdout), "ready\n");
    }
    let told: serde_json::Value = serde_json::from_slice(&health(&["--live", "--json", "--url", &url]).stdout).unwrap();
    assert_eq!((&told["ok"], &told["status"], &told["message"]), (&true.into(), &200.into(), &"ok".into()));
    let gone = health(&["--port", "1"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(crate::text(&gone.stderr).contains("no gateway answers at 127.0.0.1:1"), "{}", crate::text(&gone.stderr));
}

/// What a user without rights is told, in a folder where `prepare` has done something as its owner.
fn told_to_others(prepare: impl FnOnce(&Path), more: &[&str]) -> Option<String> {
    use std::os::unix::fs::{PermissionsExt, chown};
    const NOBODY: u32 = 65532;
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("polyport");
    std::fs::copy(env!("CARGO_BIN_EXE_polyport"), &program).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    if chown(&data, Some(NOBODY), Some(NOBODY)).is_err() {
        eprintln!("skipped: only root can try what others are told");
        return None;
    }
    prepare(folder.path());
    let mut command = Command::new("setpriv");
    command.current_dir(folder.path()).env_clear().args(["--reuid=65532", "--regid=65532", "--clear-groups"]);
    let output = command
        .arg(&program)
        .arg("serve")
        .args(if more.is_empty() { &["--port", "0"] } else { more })
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn o8_missing_rights_are_told_with_the_file_and_the_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let closed = |path: &Path| {
        std::fs::write(path, "discover: false\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    for (file, words) in [
        ("data/master.key", "it must belong to the user that Polyport runs as"),
        ("data/polyport.db", "it must belong to the user that Polyport runs as"),
        ("data/polyport.db.lock", "it must belong to the user that Polyport runs as"),
        ("data/log.db", "it must belong to the user that Polyport runs as"),
        ("polyport.yaml", "give another one with --config"),
    ] {
        let Some(told) = told_to_others(|folder| closed(&folder.join(file)), &[]) else { return };
        assert!(told.contains(file) && told.contains(words), "{file}: {told}");
        assert_eq!(told.matches("Permission denied").count(), 1, "{told}");
    }
    let private = |folder: &Path| {
        std::os::unix::fs::chown(folder.join("data"), Some(0), Some(0)).unwrap();
        std::fs::set_permissions(folder.join("data"), std::fs::Permissions::from_mode(0o700)).unwrap();
    };
    let Some(told) = told_to_others(private, &[]) else { return };
    assert!(told.contains("make it writable, or name another with --data"), "{told}");
    let Some(told) = told_to_others(|_| {}, &["--port", "80"]) else { return };
    assert!(told.contains("ports below 1024 need rights; choose a higher one with `--port`"), "{told}");
}
