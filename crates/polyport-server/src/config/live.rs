//! The configuration in use, and its change while Polyport runs.
//!
//! A change is applied whole or not at all: what cannot be read leaves the old configuration in place. Requests that run keep the
//! configuration they started with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, new_debouncer};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Config;
use super::definitions::Definitions;
use super::discover::Found;
use super::load::{Loaded, Purpose, Source, Written};
use super::problem::{Place, Problem, Problems};

/// Events this close together are one change: editors write, rename and touch in one go.
const QUIET: Duration = Duration::from_millis(200);
/// A file is read when its content has stayed the same for this long, so that half a file is never taken.
const SETTLE: Duration = Duration::from_millis(50);
/// A file that keeps changing is read in the end.
const MOST_SETTLES: u32 = 40;

/// The configuration in use.
pub struct Live {
    /// `None` for one that never changes.
    source: Option<Source>,
    current: ArcSwap<Config>,
    state: Mutex<State>,
    last: Mutex<Reload>,
    changes: watch::Sender<u64>,
    readings: watch::Sender<bool>,
}

struct State {
    found: Vec<Found>,
    definitions: Arc<Definitions>,
    /// What was read last.
    written: Written,
    files: Vec<PathBuf>,
    fingerprint: Option<blake3::Hash>,
    discover: bool,
}

/// How the last reading of the configuration ended.
#[derive(Clone, Debug)]
pub struct Reload {
    /// When.
    pub at: SystemTime,
    /// What was wrong; `None` if it was applied.
    pub problems: Option<Problems>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Live {
    /// Reads the configuration for the first time. The second value is what is not as it should be.
    ///
    /// # Errors
    /// All problems, if the configuration cannot be used.
    pub fn start(source: Source) -> Result<(Arc<Self>, Problems), Problems> {
        let loaded = source.load(&[], Purpose::Serve)?;
        let state = State {
            found: Vec::new(),
            definitions: Arc::default(),
            written: loaded.written,
            fingerprint: Some(fingerprint(&loaded.files)),
            files: loaded.files,
            discover: loaded.discover,
        };
        let live = Self {
            source: Some(source),
            current: ArcSwap::from_pointee(loaded.config),
            state: Mutex::new(state),
            last: Mutex::new(Reload { at: SystemTime::now(), problems: None }),
            changes: watch::Sender::new(0),
            readings: watch::Sender::new(true),
        };
        Ok((Arc::new(live), loaded.warnings))
    }

    /// A configuration that never changes, for tests and tools.
    #[must_use]
    pub fn fixed(config: Config) -> Arc<Self> {
        let state = State {
            found: Vec::new(),
            definitions: Arc::default(),
            written: Written::default(),
            files: Vec::new(),
            fingerprint: None,
            discover: false,
        };
        Arc::new(Self {
            source: None,
            current: ArcSwap::from_pointee(config),
            state: Mutex::new(state),
            last: Mutex::new(Reload { at: SystemTime::now(), problems: None }),
            changes: watch::Sender::new(0),
            readings: watch::Sender::new(true),
        })
    }

    /// The configuration for a request that begins now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Where it comes from; `None` of one that never changes.
    pub(super) fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// A receiver that wakes after every change; its value counts them.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A receiver that wakes after every reading; its value says whether it was applied.
    #[must_use]
    pub fn readings(&self) -> watch::Receiver<bool> {
        self.readings.subscribe()
    }

    /// How the last reading ended.
    #[must_use]
    pub fn last_reload(&self) -> Reload {
        self.last.lock().clone()
    }

    /// Whether local servers are to be looked for.
    #[must_use]
    pub fn wants_discovery(&self) -> bool {
        self.state.lock().discover
    }

    /// Reads everything again. Warnings are logged; so is what keeps a change from being applied.
    ///
    /// # Errors
    /// All problems; the old configuration stays.
    pub fn reload(&self) -> Result<(), Problems> {
        let mut state = self.state.lock();
        state.fingerprint = Some(fingerprint(&state.files));
        self.reload_locked(&mut state)
    }

    /// Takes in the local servers that were found.
    ///
    /// # Errors
    /// All problems of the configuration; nothing changes then.
    pub fn set_found(&self, found: Vec<Found>) -> Result<(), Problems> {
        let mut state = self.state.lock();
        state.found = found;
        self.reload_locked(&mut state)
    }

    /// What it would be with these definitions in the database. Nothing changes.
    pub(crate) fn with_definitions(&self, definitions: &Arc<Definitions>) -> Result<Config, Problems> {
        let state = self.state.lock();
        let Some(source) = &self.source else { return Err(Problems::default()) };
        Ok(source.load_tree(&state.written, &state.found, definitions, Purpose::Serve)?.config)
    }

    /// Takes in what the database declares. What is wrong with it is logged, and left out.
    ///
    /// # Errors
    /// All problems of the file; nothing changes then.
    pub(crate) fn set_definitions(&self, definitions: Arc<Definitions>) -> Result<(), Problems> {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.definitions, definitions);
        let written = state.written.clone();
        let outcome = self.take(&mut state, &written);
        if outcome.is_err() {
            state.definitions = before;
        }
        outcome
    }

    /// Reads again if a file has another content than last time.
    fn reload_if_changed(&self) {
        let files = self.state.lock().files.clone();
        if self.state.lock().fingerprint == Some(fingerprint(&files)) {
            return;
        }
        let print = settled(&files);
        let mut state = self.state.lock();
        state.fingerprint = Some(print);
        // The outcome is logged and kept for the metrics.
        self.reload_locked(&mut state).ok();
    }

    fn reload_locked(&self, state: &mut State) -> Result<(), Problems> {
        let written = self.read(&state.written);
        let outcome = written.and_then(|written| self.take(state, &written));
        *self.last.lock() = Reload { at: SystemTime::now(), problems: outcome.as_ref().err().cloned() };
        match outcome {
            Ok(()) => {
                tracing::info!("configuration applied");
                Ok(())
            }
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!("{problem}");
                }
                self.readings.send_replace(false);
                tracing::error!("the configuration was not applied; the old one stays in use");
                Err(problems)
            }
        }
    }

    fn read(&self, before: &Written) -> Result<Written, Problems> {
        self.refuse_emptied()?;
        let Some(source) = &self.source else { return Err(Problems::default()) };
        let written = source.read()?;
        match before.foreign().iter().find(|file| !written.foreign().contains(file)) {
            None => Ok(written),
            Some(gone) => {
                let problem = Problem::error(Place::file(&gone.as_path().into(), 1, 1), "the file is gone");
                Err(Problems(vec![problem.remedy("put it back, or restart Polyport to run without it")]))
            }
        }
    }

    /// Makes this, with what was found and what the database declares, the configuration in use.
    fn take(&self, state: &mut State, written: &Written) -> Result<(), Problems> {
        let Some(source) = &self.source else { return Ok(()) };
        let mut loaded = source.load_tree(written, &state.found, &state.definitions, Purpose::Serve)?;
        let old = self.current();
        if old.listen.is_public() && !loaded.config.access.fit_for_networks {
            let message = "others still reach this gateway, and nobody would need a key that cannot be guessed";
            let problem = Problem::error(Place::Default, message).at("access");
            return Err(Problems(vec![problem.remedy("restart Polyport to listen on this machine only")]));
        }
        keep_what_needs_a_restart(&mut loaded, &old);
        for warning in &loaded.warnings.0 {
            tracing::warn!("{warning}");
        }
        let before = &old.declared.out;
        for (id, standing) in &loaded.config.declared.out {
            if before.get(id) != Some(standing) {
                for problem in standing.problems() {
                    tracing::error!("not in force: {problem}");
                }
            }
        }
        state.files = loaded.files;
        state.discover = loaded.discover;
        state.written = loaded.written;
        self.current.store(Arc::new(loaded.config));
        self.changes.send_modify(|count| *count += 1);
        self.readings.send_replace(true);
        Ok(())
    }

    /// A file without content is nearly always one that is being written; taking it would open the gateway to everybody.
    fn refuse_emptied(&self) -> Result<(), Problems> {
        let Some(source) = &self.source else { return Ok(()) };
        let Some(file) = &source.file else { return Ok(()) };
        let path = source.environment.folder.join(file);
        match std::fs::read(&path) {
            Ok(content) if content.iter().all(u8::is_ascii_whitespace) => {
                let name: Arc<Path> = file.as_path().into();
                let problem = Problem::error(Place::file(&name, 1, 1), "the file is empty");
                Err(Problems(vec![problem.remedy("restart Polyport to run without a configuration")]))
            }
            // Reading it again tells what is wrong.
            _ => Ok(()),
        }
    }

    /// Watches the files of the configuration until the returned value is dropped.
    ///
    /// # Errors
    /// What the system says if it cannot watch.
    pub fn watch(self: &Arc<Self>) -> Result<Watch, notify::Error> {
        let (sender, receiver) = mpsc::channel();
        let events = sender.clone();
        let mut debouncer = new_debouncer(QUIET, Some(QUIET), move |result: DebounceEventResult| {
            if is_change(&result) {
                // Without a receiver nobody is interested any more.
                events.send(Message::Changed).ok();
            }
        })?;
        let live = Arc::clone(self);
        let mut watched: Vec<PathBuf> = Vec::new();
        for folder in folders(&live.state.lock().files) {
            debouncer.watch(&folder, RecursiveMode::NonRecursive)?;
            watched.push(folder);
        }
        let thread = std::thread::Builder::new().name("config-watch".to_owned()).spawn(move || {
            while let Ok(Message::Changed) = receiver.recv() {
                live.reload_if_changed();
                let files = live.state.lock().files.clone();
                for folder in folders(&files) {
                    if watched.contains(&folder) {
                        continue;
                    }
                    match debouncer.watch(&folder, RecursiveMode::NonRecursive) {
                        Ok(()) => watched.push(folder),
                        Err(error) => tracing::warn!("{} is not watched: {error}", folder.display()),
                    }
                }
            }
        });
        let thread = thread.map_err(notify::Error::io)?;
        Ok(Watch { sender, thread: Some(thread) })
    }
}

/// Keeps a watch going; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    sender: mpsc::Sender<Message>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
enum Message {
    Changed,
    Stop,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.sender.send(Message::Stop).ok();
        if let Some(thread) = self.thread.take() {
            // A panic of the watching thread has been reported by the panic hook.
            thread.join().ok();
        }
    }
}

/// Reading a file is an event too, and must not lead to the next reading.
fn is_change(result: &DebounceEventResult) -> bool {
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    match result {
        Ok(events) => events.iter().any(|event| !event.kind.is_access() || event.kind == written),
        Err(_) => true,
    }
}

/// Addresses cannot change while Polyport runs.
fn keep_what_needs_a_restart(loaded: &mut Loaded, old: &Config) {
    let (config, warnings) = (&mut loaded.config, &mut loaded.warnings.0);
    let mut stays = |section: &str, message: String| {
        warnings.push(Problem::warning(Place::Default, message).at(section));
    };
    if config.listen != old.listen {
        let addresses: Vec<String> = old.listen.all().map(|address| address.to_string()).collect();
        stays("server", format!("the listening address stays {} until Polyport is restarted", addresses.join(", ")));
        config.listen = old.listen.clone();
    }
    if config.metrics.listen != old.metrics.listen {
        stays("metrics.listen", "the address of the figures stays until Polyport is restarted".to_owned());
        config.metrics.listen = old.metrics.listen;
    }
    if config.traces != old.traces {
        stays("telemetry.otlp", "traces go where they went until Polyport is restarted".to_owned());
        config.traces.clone_from(&old.traces);
    }
}

/// The folders to watch for changes of `files`: files are replaced by renaming, and links are pointed elsewhere.
fn folders(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in files {
        let real = std::fs::canonicalize(file).ok();
        for path in [Some(file.clone()), real].into_iter().flatten() {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
                _ => PathBuf::from("."),
            };
            if folder.is_dir() && !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    folders
}

/// The fingerprint once it has stopped changing.
fn settled(files: &[PathBuf]) -> blake3::Hash {
    let mut print = fingerprint(files);
    for _ in 0..MOST_SETTLES {
        std::thread::sleep(SETTLE);
        let again = fingerprint(files);
        if again == print {
            break;
        }
        print = again;
    }
    print
}

fn fingerprint(files: &[PathBuf]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        match std::fs::read(file) {
            Ok(content) => {
                hasher.update(&[1]);
                hasher.update(&content.len().to_le_bytes());
                hasher.update(&content);
            }
            Err(_) => {
                hasher.update(&[0]);
            }
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::env::Environment;
    use super::super::load::Arguments;
    use super::*;

    fn started(folder: &Path, text: &str) -> Arc<Live> {
        fs::write(folder.join("p.yaml"), text).unwrap();
        let environment = Environment::of([], folder);
        let source = Source::new(Some("p.yaml".into()), environment, Arguments::default());
        Live::start(source).unwrap().0
    }

    fn requests(live: &Live) -> usize {
        live.current().limits.requests
    }

    #[test]
    fn a_good_change_is_applied_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let live = started(folder.path(), "limits: { requests: 1 }");
        let held = live.current();
        fs::write(folder.path().join("p.yaml"), "limits: { requests: 2 }").unwrap();
        live.reload().unwrap();
        assert_eq!((requests(&live), held.limits.requests), (2, 1));
        for bad in ["limits: { requests: x }", "limits: {", "", "  \n"] {
            fs::write(folder.path().join("p.yaml"), bad).unwrap();
            assert!(live.reload().is_err());
            assert_eq!(requests(&live), 2);
            assert!(live.last_reload().problems.is_some());
        }
        fs::remove_file(folder.path().join("p.yaml")).unwrap();
        assert!(live.reload().is_err());
        assert_eq!(requests(&live), 2);
    }

    #[test]
    fn the_address_and_the_carrier_key_stay() {
        let folder = tempfile::tempdir().unwrap();
        let live = started(folder.path(), "server: { port: 1 }");
        let key = fs::read(folder.path().join("data/carrier.key")).unwrap();
        fs::write(folder.path().join("p.yaml"), "server: { port: 2 }").unwrap();
        live.reload().unwrap();
        assert_eq!(live.current().listen.port, 1);
        assert_eq!(fs::read(folder.path().join("data/carrier.key")).unwrap(), key);
    }

    #[test]
    fn what_others_reach_is_not_opened_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let key = "access: { keys: pp-0123456789abcdef }";
        let live = started(folder.path(), &format!("server: {{ host: 0.0.0.0, retreat: true }}\n{key}"));
        for changed in ["server: { host: 127.0.0.1 }", "server: { host: 0.0.0.0, retreat: true }"] {
            fs::write(folder.path().join("p.yaml"), changed).unwrap();
            let told = live.reload().unwrap_err().to_string();
            assert!(told.contains("others still reach this gateway"), "{told}");
            assert!(!live.current().access.open);
        }
        fs::write(folder.path().join("p.yaml"), format!("server: {{ host: 127.0.0.1 }}\n{key}")).unwrap();
        live.reload().unwrap();
    }

    #[test]
    fn found_servers_survive_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let live = started(folder.path(), "limits: { requests: 1 }");
        assert!(live.wants_discovery());
        let preset = super::super::Preset::named("ollama").unwrap();
        live.set_found(vec![Found { preset, base_url: "http://127.0.0.1:1/v1".into(), models: vec![] }]).unwrap();
        assert!(live.current().provider("ollama").is_some());
        fs::write(folder.path().join("p.yaml"), "limits: { requests: 2 }").unwrap();
        live.reload().unwrap();
        assert!(live.current().provider("ollama").is_some());
    }

    async fn after_change(changes: &mut watch::Receiver<u64>) {
        tokio::time::timeout(Duration::from_secs(30), changes.changed()).await.expect("no change was seen").unwrap();
    }

    #[tokio::test]
    async fn files_are_watched_through_renames_and_links() {
        let folder = tempfile::tempdir().unwrap();
        let live = started(folder.path(), "limits: { requests: 1 }");
        let _watch = live.watch().unwrap();
        let mut changes = live.subscribe();
        let path = folder.path().join("p.yaml");

        fs::write(&path, "limits: { requests: 2 }").unwrap();
        after_change(&mut changes).await;
        assert_eq!(requests(&live), 2);

        fs::write(folder.path().join("new"), "limits: { requests: 3 }").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        after_change(&mut changes).await;
        assert_eq!(requests(&live), 3);

        // A bad change in between is passed over.
        fs::write(&path, "limits: {").unwrap();
        fs::write(&path, "limits: { requests: 4 }").unwrap();
        after_change(&mut changes).await;
        assert_eq!(requests(&live), 4);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn links_are_pointed_elsewhere() {
        use std::os::unix::fs::symlink;
        // As Kubernetes mounts it: p.yaml -> ..data/p.yaml, ..data -> ..v1, and then ..data -> ..v2.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (version, requests) in [("..v1", 1), ("..v2", 2)] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("p.yaml"), format!("limits: {{ requests: {requests} }}")).unwrap();
        }
        symlink("..v1", path("..data")).unwrap();
        symlink("..data/p.yaml", path("p.yaml")).unwrap();
        let source = Source::new(Some("p.yaml".into()), Environment::of([], folder.path()), Arguments::default());
        let live = Live::start(source).unwrap().0;
        let _watch = live.watch().unwrap();
        let mut changes = live.subscribe();
        symlink("..v2", path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        after_change(&mut changes).await;
        assert_eq!(requests(&live), 2);
    }

    #[tokio::test]
    async fn secrets_in_files_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = tempfile::tempdir().unwrap();
        let key = secrets.path().join("key");
        fs::write(&key, "first-key-0123456789").unwrap();
        let live = started(folder.path(), &format!("access: {{ keys: ['file:{}'] }}", key.display()));
        let _watch = live.watch().unwrap();
        let mut changes = live.subscribe();
        fs::write(&key, "second-key-0123456789").unwrap();
        after_change(&mut changes).await;
        assert!(live.current().access.find("second-key-0123456789").is_some());
        assert!(live.current().access.find("first-key-0123456789").is_none());
    }
}
