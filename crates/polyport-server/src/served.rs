//! Servers on this machine that are started when they are first asked for, and stopped when nobody asks them any more.
//!
//! Each has a task of its own, which starts it, waits until it is healthy, watches it and ends it. Requests wait for it to be ready and hold
//! a [`Use`] until their answers have ended. Servers of one group run one at a time: the group has one place, and whoever holds it gives it up,
//! after the answers under way, as soon as another waits for it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, Method, Uri};
use parking_lot::Mutex;
use polyport_provider::process::{CommandError, Did, Run, Starter};
use polyport_provider::{Client, Endpoint, ProviderRequest, RequestBody};
use polyport_types::{Fault, FaultClass, Text};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::config::LocalServer;
use crate::tasks::{self, Tasks};

/// A server that is being started is asked this often whether it is ready.
const ASKED: Duration = Duration::from_millis(100);

/// One that says nothing to that is given up after this time, and asked again.
const ANSWERS: Duration = Duration::from_secs(5);

/// One that has run for so long has started well: the next rest is the first again.
const STABLE: Duration = Duration::from_secs(60);

/// All servers that Polyport starts.
#[derive(Debug)]
pub(crate) struct Servers {
    tasks: Tasks,
    cut: CancellationToken,
    known: Mutex<HashMap<Text, Arc<Served>>>,
    groups: Mutex<HashMap<Text, Arc<Group>>>,
}

impl Servers {
    pub(crate) fn new(tasks: Tasks, cut: CancellationToken) -> Self {
        Self { tasks, cut, known: Mutex::default(), groups: Mutex::default() }
    }

    /// The server of a provider: the present one, as long as its settings stay the same.
    pub(crate) fn serve(
        &self,
        provider: &Text,
        settings: &Arc<LocalServer>,
        endpoint: &Endpoint,
        client: &Client,
    ) -> Arc<Served> {
        let mut known = self.known.lock();
        if let Some(served) = known.get(provider).filter(|served| served.settings.written == settings.written) {
            return Arc::clone(served);
        }
        let group = settings.group.as_ref().map(|name| {
            let mut groups = self.groups.lock();
            Arc::clone(groups.entry(name.clone()).or_insert_with(|| Arc::new(Group::default())))
        });
        let served = Arc::new(Served {
            provider: provider.clone(),
            settings: Arc::clone(settings),
            host: host(endpoint),
            client: client.clone(),
            group,
            state: Mutex::default(),
            changed: Notify::new(),
            bell: watch::Sender::new(()),
            retired: self.cut.child_token(),
            tasks: self.tasks.clone(),
        });
        // The one before ends with its last answer.
        if let Some(before) = known.insert(provider.clone(), Arc::clone(&served)) {
            before.retire();
        }
        served
    }

    /// Ends those that are configured no more.
    pub(crate) fn keep(&self, is_wanted: impl Fn(&Text, &Arc<Served>) -> bool) {
        self.known.lock().retain(|provider, served| {
            let keep = is_wanted(provider, served);
            if !keep {
                served.retire();
            }
            keep
        });
    }
}

fn host(endpoint: &Endpoint) -> Text {
    let authority: Option<http::uri::Authority> = endpoint.authority().parse().ok();
    authority.map_or(Text::from_static("127.0.0.1"), |authority| authority.host().into())
}

/// One place for servers that share something.
#[derive(Debug)]
struct Group {
    place: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Told when one begins or ceases to wait.
    changed: Notify,
}

impl Default for Group {
    fn default() -> Self {
        Self { place: Arc::new(Semaphore::new(1)), waiting: AtomicUsize::new(0), changed: Notify::new() }
    }
}

impl Group {
    /// The place, first come, first served.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        /// One who waits no longer is no reason to make room.
        struct Waiting<'g>(&'g Group);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.waiting.fetch_sub(1, Ordering::SeqCst);
                self.0.changed.notify_waiters();
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(self);
        self.changed.notify_waiters();
        Arc::clone(&self.place).acquire_owned().await.ok()
    }

    fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }
}

/// A server and what becomes of it.
pub(crate) struct Served {
    provider: Text,
    settings: Arc<LocalServer>,
    host: Text,
    client: Client,
    group: Option<Arc<Group>>,
    state: Mutex<State>,
    /// Told when a request comes or goes.
    changed: Notify,
    /// Rings when those who wait should look again.
    bell: watch::Sender<()>,
    /// It is configured no more, or Polyport stops.
    retired: CancellationToken,
    tasks: Tasks,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("provider", &self.provider).field("state", &self.state).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    status: Status,
    /// Requests that wait for it.
    waiting: usize,
    /// Requests that it answers.
    answering: usize,
    /// How often all who waited were let in.
    round: u64,
    /// Its task runs.
    is_watched: bool,
}

#[derive(Clone, Debug, Default)]
enum Status {
    /// It does not run, or must not be asked now; it is started when somebody asks.
    #[default]
    Stopped,
    /// It can be asked here.
    Ready(u16),
    /// It has ended by itself or did not start, and rests.
    Failed { why: CommandError, until: Instant },
}

/// A request that uses a server. As long as there is one, the server is not stopped.
#[derive(Debug)]
pub(crate) struct Use {
    served: Arc<Served>,
    /// The round in which it began to wait; `None` once it is answered.
    since: Option<u64>,
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut state = self.served.state.lock();
        match self.since {
            Some(round) if round == state.round => state.waiting -= 1,
            Some(_) | None => state.answering -= 1,
        }
        drop(state);
        self.served.changed.notify_one();
    }
}

impl Served {
    /// Waits until it can be asked, and says at which port.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn use_it(self: &Arc<Self>) -> Result<(Use, u16), Fault> {
        let mut bell = self.bell.subscribe();
        let mut used = {
            let mut state = self.state.lock();
            let served = Arc::clone(self);
            match state.status {
                // Others of the group wait, and would wait for ever if more came to this one.
                Status::Ready(port) if !self.makes_room() => {
                    state.answering += 1;
                    return Ok((Use { served, since: None }, port));
                }
                Status::Ready(_) | Status::Stopped | Status::Failed { .. } => {
                    state.waiting += 1;
                    Use { served, since: Some(state.round) }
                }
            }
        };
        self.changed.notify_one();
        self.watch();
        loop {
            {
                let mut state = self.state.lock();
                let let_in = used.since != Some(state.round);
                match (&state.status, let_in) {
                    (Status::Ready(port), true) => {
                        let port = *port;
                        used.since = None;
                        return Ok((used, port));
                    }
                    (Status::Failed { why, until }, _) if *until > Instant::now() => {
                        return Err(self.fault(why).with_retry_after(*until - Instant::now()));
                    }
                    // It was ready and is no more.
                    (_, true) => {
                        state.answering -= 1;
                        state.waiting += 1;
                        used.since = Some(state.round);
                        self.changed.notify_one();
                    }
                    (_, false) => {}
                }
            }
            tokio::select! {
                rung = bell.changed() => if rung.is_err() { return Err(self.gone()) },
                () = self.retired.cancelled() => return Err(self.gone()),
            }
        }
    }

    /// Lets all in who wait.
    fn let_in(&self, state: &mut State) {
        state.answering += std::mem::take(&mut state.waiting);
        state.round += 1;
        self.bell.send_replace(());
    }

    fn becomes(&self, status: Status) {
        self.state.lock().status = status;
        self.bell.send_replace(());
    }

    fn makes_room(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.is_wanted())
    }

    fn fault(&self, why: &CommandError) -> Fault {
        let words = format!("provider `{}`: `server.{}`: {}", self.provider, why.setting, why.reason);
        Fault { from_upstream: true, ..Fault::new(FaultClass::Transport, words) }
    }

    fn gone(&self) -> Fault {
        Fault::new(FaultClass::Transport, format!("provider `{}`: its server has just been stopped", self.provider))
    }

    fn retire(&self) {
        self.retired.cancel();
    }

    /// Starts its task, if that does not run.
    fn watch(self: &Arc<Self>) {
        let was_watched = std::mem::replace(&mut self.state.lock().is_watched, true);
        if !was_watched {
            let this = Arc::clone(self);
            self.tasks.spawn(async move { this.keep().await });
        }
    }

    /// Runs it whenever somebody wants it, until it is retired.
    async fn keep(&self) {
        let mut rest = self.settings.backoff.first;
        let mut again = false;
        // One that has served and has ended by itself is wanted again before the next request.
        while std::mem::take(&mut again) || self.is_wanted().await {
            let began = Instant::now();
            let Err(why) = self.run().await else {
                rest = self.settings.backoff.first;
                continue;
            };
            if began.elapsed() > STABLE {
                rest = self.settings.backoff.first;
            }
            let (provider, millis) = (&self.provider, rest.as_millis());
            warn!(%provider, setting = why.setting, millis, "the server rests: {}", why.reason);
            again = matches!(self.state.lock().status, Status::Ready(_));
            self.becomes(Status::Failed { why, until: Instant::now() + rest });
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.retired.cancelled() => return,
            }
            rest = (rest * 2).min(self.settings.backoff.longest);
            self.becomes(Status::Stopped);
        }
    }

    /// Waits until a request waits for it; false if none will.
    async fn is_wanted(&self) -> bool {
        loop {
            if self.retired.is_cancelled() {
                return false;
            }
            if self.state.lock().waiting > 0 {
                return true;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = self.retired.cancelled() => {}
            }
        }
    }

    /// One run, from its start to its end: `Ok` if it was stopped, `Err` if it ended by itself or did not start.
    async fn run(&self) -> Result<(), CommandError> {
        let started = tokio::select! {
            started = self.start() => started?,
            () = self.retired.cancelled() => return Ok(()),
        };
        // The place is free when the server is gone, not before.
        let (_place, mut run) = started;
        let stopped = tokio::select! {
            ended = self.ended(&mut run) => return Err(ended),
            why = self.unused() => why,
        };
        info!(provider = %self.provider, "the server is stopped: {stopped}");
        run.end().await;
        Ok(())
    }

    /// Starts it and lets in who waits.
    async fn start(&self) -> Result<(Option<OwnedSemaphorePermit>, Run), CommandError> {
        let place = match &self.group {
            Some(group) => group.take().await,
            None => None,
        };
        let port = match self.settings.port {
            0 => free_port(&self.host).await?,
            port => port,
        };
        let settings = Arc::clone(&self.settings);
        let variables = [("port".to_owned(), port.into())].into_iter().collect();
        let launch = tasks::off_worker(move || settings.command.launch(variables)).await;
        let launch = launch.unwrap_or_else(|| Err(failed("command", "it cannot be prepared")))?;
        let tasks = self.tasks.clone();
        let starter = Starter::new(move |task| tasks.spawn(task));
        let (provider, began) = (&self.provider, Instant::now());
        let mut run = starter.start(launch.lasting())?;
        info!(%provider, port, "the server is started");
        let healthy = tokio::select! {
            healthy = self.healthy(port) => healthy,
            ended = self.ended(&mut run) => Err(ended),
        };
        if let Err(why) = healthy {
            warn!(%provider, stderr = run.log(), "{}", why.reason);
            run.end().await;
            return Err(why);
        }
        let millis = began.elapsed().as_millis();
        info!(%provider, port, millis, "the server is ready");
        let mut state = self.state.lock();
        state.status = Status::Ready(port);
        self.let_in(&mut state);
        drop(state);
        Ok((place, run))
    }

    /// Waits until it answers at its health path.
    async fn healthy(&self, port: u16) -> Result<(), CommandError> {
        let path = &self.settings.health;
        let uri: Uri = format!("http://{}:{port}{path}", self.host)
            .parse()
            .map_err(|_| failed("health", "this is no path of an address"))?;
        let until = Instant::now() + self.settings.start;
        loop {
            let request = ProviderRequest {
                method: Method::GET,
                uri: uri.clone(),
                headers: HeaderMap::new(),
                body: RequestBody::from(bytes::Bytes::new()),
            };
            let last = match tokio::time::timeout(ANSWERS, self.client.send(request)).await {
                Ok(Ok(answer)) if answer.status.is_success() => return Ok(()),
                Ok(Ok(answer)) => format!("it answers {}", answer.status.as_u16()),
                Ok(Err(_)) => "nothing listens there".to_owned(),
                Err(_) => "it does not answer".to_owned(),
            };
            if Instant::now() >= until {
                let seconds = self.settings.start.as_secs_f32();
                let words = format!("the server was not ready at {path} within {seconds} seconds: {last}");
                return Err(failed("start_timeout", words));
            }
            tokio::time::sleep(ASKED).await;
        }
    }

    /// Reads along until it ends, which it should not.
    async fn ended(&self, run: &mut Run) -> CommandError {
        let provider = &self.provider;
        loop {
            match run.next().await {
                Ok(Did::Said(bytes)) => debug!(%provider, "{}", String::from_utf8_lossy(&bytes).trim_end()),
                Ok(Did::Ended(status)) => {
                    // What it last said goes into the log, not to clients.
                    warn!(%provider, stderr = run.log(), "the server has ended by itself");
                    let how = status.map_or_else(String::new, |status| format!(" ({status})"));
                    return failed("command", format!("the server has ended by itself{how}"));
                }
                Err(error) => return failed("command", error.to_string()),
            }
        }
    }

    /// Waits until it is to be stopped, and says why. From then on new requests wait.
    async fn unused(&self) -> &'static str {
        let mut idle_since = Instant::now();
        loop {
            // Made before anything is looked at, so that nothing is missed.
            let group = self.group.as_ref().map(|group| group.changed.notified());
            let is_used = {
                let mut state = self.state.lock();
                if state.waiting > 0 && !self.makes_room() {
                    self.let_in(&mut state);
                }
                let why = if state.answering > 0 {
                    idle_since = Instant::now();
                    None
                } else if self.retired.is_cancelled() {
                    Some("it is configured no more, or Polyport stops")
                } else if self.makes_room() {
                    Some("another one of its group is wanted")
                } else if idle_since.elapsed() >= self.settings.idle {
                    Some("nobody has asked it for a while")
                } else {
                    None
                };
                if let Some(why) = why {
                    state.status = Status::Stopped;
                    return why;
                }
                state.answering > 0
            };
            let group = async {
                match group {
                    Some(changed) => changed.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = group => {}
                () = self.changed.notified() => {}
                () = self.retired.cancelled(), if !self.retired.is_cancelled() => {}
                () = tokio::time::sleep_until(idle_since + self.settings.idle), if !is_used => {}
            }
        }
    }
}

fn failed(setting: &str, reason: impl Into<String>) -> CommandError {
    CommandError { setting: setting.to_owned(), reason: reason.into() }
}

/// A port that nothing uses now.
async fn free_port(host: &str) -> Result<u16, CommandError> {
    let found = match tokio::net::TcpListener::bind((host.trim_matches(['[', ']']), 0)).await {
        Ok(listener) => listener.local_addr(),
        Err(error) => Err(error),
    };
    found.map(|address| address.port()).map_err(|error| failed("command", format!("no port is free: {error}")))
}
