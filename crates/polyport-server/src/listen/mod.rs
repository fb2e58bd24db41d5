//! The accept loop: connections, their limits, graceful shutdown, and another process in the place of this one.

mod doors;
mod figures;
mod files;
mod guard;
#[cfg(unix)]
mod handover;
#[cfg(not(unix))]
#[path = "no_handover.rs"]
mod handover;
mod local;
pub mod notify;
mod sockets;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
#[cfg(unix)]
use std::{ffi::OsString, path::Path};

use futures_util::FutureExt as _;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use polyport_store::{Store, Turn};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::app::{App, SetupError};
use crate::body::Body;
use crate::config::{Config, Limits, Live};
use crate::credentials::Credentials;
use crate::credentials::past::Past;
use crate::directory::Directory;
use crate::identity::Identity;
use crate::ledger::{Books, BooksError};
use crate::observe::{otlp, pulse};
use crate::recorder::Recorder;
use crate::registry::Registry;
use crate::tasks::Tasks;
use crate::{archive, credentials, directory, identity, ledger, notifications, persist, registry};
use doors::{Doors, Seldom};
use guard::{GuardLimits, Guarded, Traffic};
use sockets::Listening;

pub(crate) use guard::InFlight;
pub use handover::{Elder, HandOverError, Successor};
pub(crate) use local::Operator;
pub use local::{Workbench, socket_of};
pub use sockets::Sockets;

/// After a failed accept (no file descriptors left) the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}{}", hint(error))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's words.
        error: io::Error,
    },
    /// The same port is taken at an address that is not configured any more.
    #[error(
        "cannot listen on {address}: {there} has this port, and stays open while one process takes the place of another; stop the gateway \
         and start it again, or keep the address (another port can be had without that)"
    )]
    Moved {
        /// Where to listen.
        address: SocketAddr,
        /// Where the socket listens that was passed to this process.
        there: SocketAddr,
    },
    /// A socket that was opened before cannot be used.
    #[error("a socket that was passed to this process cannot be used: {0}")]
    Passed(io::Error),
    /// The service manager would let others in than the configuration speaks of.
    #[error(
        "the socket {address} was passed to this process and can be reached from other machines, but `server.host` is {configured}; set \
         `server.host` to {} as well, so that keys are checked for that, or make the socket listen on {configured}", address.ip()
    )]
    Exposed {
        /// Where the socket listens.
        address: SocketAddr,
        /// What the configuration says.
        configured: IpAddr,
    },
    /// A provider cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The database was opened, but cannot be read.
    #[error(transparent)]
    Store(#[from] polyport_store::Error),
    /// Journal or request log cannot be used.
    #[error(transparent)]
    Books(#[from] BooksError),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program uses this port; choose one with `--port`)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need rights; choose a higher one with `--port`)",
        io::ErrorKind::AddrNotAvailable => " (no network interface of this machine has this address)",
        _ => "",
    }
}

/// A gateway that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listening: Arc<Listening>,
    #[cfg(unix)]
    origin: handover::Origin,
    address: SocketAddr,
    before: Option<Elder>,
    watchdog: Option<Duration>,
    app: Arc<App>,
}

/// What was there before a process began to serve.
#[derive(Debug, Default)]
pub struct Before {
    /// Sockets that are open.
    pub sockets: Sockets,
    /// The process whose place this one takes.
    pub elder: Option<Elder>,
    /// The service manager expects a sign of life this often.
    pub watchdog: Option<Duration>,
    /// The service manager hears which process is the service (`NOTIFY_SOCKET`).
    pub hears: bool,
}

/// Why a gateway ceases to accept.
#[derive(Debug)]
pub enum End {
    /// It was asked to stop.
    Stop,
    /// Another process has its place.
    HandedOver(Successor),
}

/// Talks to a running gateway from outside.
#[derive(Clone, Debug)]
pub struct Handle {
    app: Arc<App>,
    listening: Weak<Listening>,
    #[cfg(unix)]
    origin: handover::Origin,
}

impl Handle {
    /// Changes the configuration: new requests see the new one, running ones keep the old one. Address and connection limits stay.
    ///
    /// # Errors
    /// [`SetupError`] if a provider cannot be set up; then nothing has changed.
    pub fn reload(&self, config: &Arc<Config>) -> Result<(), SetupError> {
        self.app.reload(config)
    }

    /// Brings into force what this configuration says now.
    ///
    /// # Errors
    /// [`SetupError`] if a provider cannot be set up; then nothing has changed.
    pub fn follow(&self, live: &Live) -> Result<(), SetupError> {
        self.app.follow(live)
    }

    /// Reads the memory that the process holds in another way: in bytes, `None` where that is not known.
    pub fn measure_memory_with(&self, held: impl Fn() -> Option<u64> + Send + Sync + 'static) {
        self.app.memory.measure_with(Arc::new(held));
    }

    /// Counts lost log lines among the figures; `lost` tells how many there were since the start.
    pub fn count_lost_log_lines_with(&self, lost: impl Fn() -> u64 + Send + Sync + 'static) {
        self.app.lost_lines.count_with(lost);
    }

    /// Takes down what clients and providers say from now on.
    pub fn record_with(&self, recorder: &Recorder) {
        self.app.record_with(recorder);
    }

    /// A change of the configuration had mistakes and was not taken: the figures say so.
    pub fn reload_refused(&self) {
        self.app.metrics.reloaded(false);
    }

    /// Starts a program that takes the place of this process, and waits until it answers. If it does not come to that, this process goes on,
    /// and the new one is ended.
    ///
    /// # Errors
    /// [`HandOverError`] says what is in the way.
    #[cfg(unix)]
    pub async fn hand_over(&self, program: &Path, arguments: &[OsString]) -> Result<Successor, HandOverError> {
        self.origin.check()?;
        let listening = self.listening.upgrade().ok_or(HandOverError::Stopping)?;
        self.app.sign();
        self.app.set_two(true);
        let started = handover::start(program, arguments, &listening).await;
        if started.is_err() {
            self.app.set_two(false);
        }
        started
    }

    /// The code that makes the first admin, while there is none. For whoever sits at the terminal.
    #[must_use]
    pub fn setup_code(&self) -> Option<String> {
        self.app.identity.setup.code()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.app.runtime().config)
    }
}

impl Server {
    /// Sets up the providers and listens at the configured address. Nothing outlives this gateway.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn bind(config: Arc<Config>) -> Result<Self, ServeError> {
        Self::bind_with(config, None).await
    }

    /// The same with a store, from which it goes on where it ended the last time. It is closed at the end.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn bind_with(config: Arc<Config>, store: Option<Store>) -> Result<Self, ServeError> {
        Self::start(config, store, None, &mut Before::default()).await
    }

    /// The same with a configuration that changes, to which comes what the store declares.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn bind_live(live: &Arc<Live>, store: Store) -> Result<Self, ServeError> {
        Self::bind_after(live, store, &mut Before::default()).await
    }

    /// The same where something was there before. If it cannot start, what was there is still in `before`, but for its sockets.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn bind_after(live: &Arc<Live>, store: Store, before: &mut Before) -> Result<Self, ServeError> {
        let registry = Registry::open(Arc::clone(live), store.clone()).await?;
        Self::start(live.current(), Some(store), Some(registry), before).await
    }

    async fn start(
        config: Arc<Config>,
        store: Option<Store>,
        registry: Option<Registry>,
        before: &mut Before,
    ) -> Result<Self, ServeError> {
        files::allow_more();
        let turn = before.elder.as_ref().map_or(Turn::First, Elder::turn);
        let app = open(Arc::clone(&config), store, registry, turn).await?;
        let listening = Listening::open(&config, std::mem::take(&mut before.sockets)).await?;
        let first = listening.clients.first().map(TcpListener::local_addr).transpose().map_err(ServeError::Passed)?;
        let address = first.unwrap_or_else(|| config.listen.address());
        Ok(Self {
            listening: Arc::new(listening),
            #[cfg(unix)]
            origin: handover::Origin::of_process(before.hears),
            address,
            before: before.elder.take(),
            watchdog: before.watchdog,
            app,
        })
    }

    /// Where it listens; tells the port when the system chose it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everywhere it listens, the first address first.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        addresses(&self.listening)
    }

    /// Where the figures are read, if they have an address of their own.
    #[must_use]
    pub fn figures_address(&self) -> Option<SocketAddr> {
        self.listening.figures.as_ref()?.local_addr().ok()
    }

    /// A handle to the gateway.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            app: Arc::clone(&self.app),
            listening: Arc::downgrade(&self.listening),
            #[cfg(unix)]
            origin: self.origin,
        }
    }

    /// Answers until `shutdown` completes, then lets open requests end: up to the configured drain time, after which streams get an
    /// error in their protocol and connections are closed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        self.run_until(shutdown.map(|()| End::Stop)).await;
    }

    /// The same, where another process may take this one's place.
    pub async fn run_until(self, end: impl Future<Output = End>) {
        let figures_address = self.figures_address();
        let Self { listening, address, before, watchdog, app, .. } = self;
        for address in addresses(&listening) {
            info!(%address, "listening");
        }
        app.listening.set(address).ok();
        let (steady, multiplexed) = (GracefulShutdown::new(), GracefulShutdown::new());
        let (closing, leaving) = (CancellationToken::new(), app.cut.child_token());
        let tasks = app.tasks.clone();
        start_tasks(&app);
        if let (Some(figures), Some(address)) = (&listening.figures, figures_address) {
            info!(%address, "listening for readers of the figures");
            tasks.spawn(figures::serve(Arc::clone(&app), Arc::clone(figures), leaving.clone()));
        }
        #[cfg(unix)]
        if app.registry.is_some() {
            let data = app.runtime().config.data.clone();
            tasks.spawn(local::serve(Arc::clone(&app), data, before.is_some(), app.cut.clone()));
        }
        let alone = begin(&app, before);
        tasks.spawn(notify::keep_alive(watchdog, app.cut.clone()));
        let doors = Doors::new(&app);
        let mut end = std::pin::pin!(end);
        let (mut turn, mut full, mut failing) = (0, Seldom::default(), Seldom::default());
        let end = loop {
            let permit = tokio::select! {
                biased;
                end = &mut end => break end,
                permit = doors.open(&mut full) => permit,
            };
            let Some(permit) = permit else { break End::Stop };
            let accepted = tokio::select! {
                biased;
                end = &mut end => break end,
                accepted = sockets::accept(&listening.clients, &mut turn) => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = doors.enter(peer.ip()) else {
                        debug!(%peer, "too many connections from one address");
                        continue;
                    };
                    let (app, closing) = (Arc::clone(&app), closing.clone());
                    let watchers = (steady.watcher(), multiplexed.watcher());
                    tasks.spawn(async move {
                        let _places = (permit, place);
                        let began = Instant::now();
                        let patience = app.runtime().config.limits.header_time;
                        let speaks = tokio::select! {
                            biased;
                            () = closing.cancelled() => None,
                            speaks = tokio::time::timeout(patience, Speaks::of(&stream)) => speaks.ok().flatten(),
                        };
                        let Some(speaks) = speaks else { return };
                        let watcher = {
                            let (steady, multiplexed) = watchers;
                            if matches!(speaks, Speaks::Http2) { multiplexed } else { steady }
                        };
                        let cut = app.cut.clone();
                        // Boxed: a future that is moved into another and pinned there takes its room twice.
                        let mut connection = Box::pin(connection(app, stream, peer.ip(), watcher, speaks, began));
                        tokio::select! {
                            biased;
                            () = &mut connection => {}
                            () = async { cut.cancelled().await; tokio::time::sleep(LAST_WORDS).await } => {}
                        }
                    });
                }
                Err(error) => {
                    if failing.is_due() {
                        warn!(%error, "new connections cannot be accepted and wait{}", accept_hint(&error));
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        drop(listening);
        let drain = app.runtime().config.limits.drain;
        let open = async {
            match &end {
                End::Stop => {
                    app.begin_draining();
                    notify::stopping();
                    info!(seconds = drain.as_secs(), "shutting down: open requests may end");
                    closing.cancel();
                    futures_util::join!(steady.shutdown(), multiplexed.shutdown());
                }
                End::HandedOver(successor) => {
                    let process = successor.process();
                    // Whoever collects figures gets those of the other one from now on.
                    leaving.cancel();
                    notify::handed_over(process);
                    info!(process, seconds = drain.as_secs(), "another process has taken over: open requests may end");
                    app.begin_leaving();
                    let goodbye = async {
                        doors.wait_until_left(FAREWELL.min(drain / 2)).await;
                        closing.cancel();
                        steady.shutdown().await;
                    };
                    futures_util::join!(goodbye, multiplexed.shutdown(), alone.cancelled());
                }
            }
        };
        if tokio::time::timeout(drain, open).await.is_err() {
            warn!("open requests are cut");
        }
        app.cut.cancel();
        stop(&app).await;
        info!("stopped");
    }
}

/// Starts what goes on beside the answers.
fn start_tasks(app: &Arc<App>) {
    let tasks = &app.tasks;
    tasks.spawn(credentials::keep_fresh(Arc::clone(&app.credentials), app.cut.clone()));
    tasks.spawn(credentials::keep_checking(Arc::clone(app), app.cut.clone()));
    tasks.spawn(persist::keep_writing(Arc::clone(app), app.cut.clone()));
    tasks.spawn(registry::keep_reading(Arc::clone(app), app.cut.clone()));
    tasks.spawn(directory::keep_reading(Arc::clone(app), app.cut.clone()));
    tasks.spawn(ledger::writer::keep_writing(Arc::clone(app), app.cut.clone()));
    tasks.spawn(ledger::retention::keep_tidy(Arc::clone(app), app.cut.clone()));
    tasks.spawn(pulse::keep_time(Arc::clone(app), app.cut.clone()));
    if app.tracer.is_some() {
        tasks.spawn(otlp::keep_exporting(Arc::clone(app), app.cut.clone()));
    }
    tasks.spawn(notifications::keep_sending(Arc::clone(app), app.cut.clone()));
    tasks.spawn(notifications::keep_watching(Arc::clone(app), app.cut.clone()));
    tasks.spawn(identity::keep_tidy(Arc::clone(app), app.cut.clone()));
    if let Some(archive) = &app.archive {
        tasks.spawn(archive::keep_writing(Arc::clone(archive), app.cut.clone()));
    }
}

/// Tells whoever waits for it that this process answers. What comes back is cancelled when no process before this one is left.
fn begin(app: &Arc<App>, elder: Option<Elder>) -> CancellationToken {
    let alone = CancellationToken::new();
    notify::ready();
    let Some(mut elder) = elder else {
        alone.cancel();
        return alone;
    };
    app.sign();
    if let Err(error) = elder.ready() {
        warn!(%error, "the process before this one has ended while this one started");
    }
    let (app, cut, told) = (Arc::clone(app), app.cut.clone(), alone.clone());
    app.tasks.clone().spawn(async move {
        let gone = async {
            elder.gone().await;
            // The system closes its files one after the other.
            tokio::time::sleep(AFTERMATH).await;
            app.set_two(false);
            ledger::follow(&app).await;
            told.cancel();
            info!("the process before this one has ended");
        };
        tokio::select! {
            () = gone => {}
            () = cut.cancelled() => {}
        }
    });
    alone
}

/// When another process has taken over, clients hear it with their next answer; connections that ask nothing are closed after this time.
const FAREWELL: Duration = Duration::from_secs(5);

/// From the end of a process to the end of its locks, at most.
const AFTERMATH: Duration = Duration::from_millis(200);

fn accept_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        // EMFILE and ENFILE, by these numbers everywhere.
        Some(23 | 24) => " until others end: no more files may be open; raise the limit (`ulimit -n`, `LimitNOFILE=`)",
        _ => "",
    }
}

/// Reads what is kept, and sets up everything that requests share.
async fn open(
    config: Arc<Config>,
    store: Option<Store>,
    registry: Option<Registry>,
    turn: Turn,
) -> Result<Arc<App>, ServeError> {
    let past = match &store {
        Some(store) => Past::read(store).await?,
        None => Past::default(),
    };
    let directory = match &store {
        Some(store) => Some(Directory::open(store.clone()).await?),
        None => None,
    };
    let identity = Identity::open(store.clone(), &config).await?;
    let books = match &store {
        Some(_) => Some(Books::open(&config, turn).await?),
        None => None,
    };
    let credentials = Credentials::new(Tasks::default(), store.clone(), past);
    let app = Arc::new(App::new(&config, store, credentials, registry, directory, identity, books)?);
    ledger::restore(&app).await;
    Ok(app)
}

/// Waits for what runs, and writes what is left to write.
async fn stop(app: &Arc<App>) {
    app.tasks.wait().await;
    ledger::writer::finish(app).await;
    if let Some(archive) = &app.archive {
        archive.finish().await;
    }
    if let Some(persist) = &app.persist {
        persist.finish(&app.credentials.fleet_owned(), &app.metrics).await;
    }
    otlp::finish(app).await;
}

/// Where clients on this machine reach a gateway that listens there.
#[must_use]
pub fn url_of(listening: SocketAddr) -> String {
    match listening.ip() {
        ip if !ip.is_unspecified() => format!("http://{listening}"),
        ip if ip.is_ipv4() => format!("http://127.0.0.1:{}", listening.port()),
        _ => format!("http://[::1]:{}", listening.port()),
    }
}

/// Where clients are answered.
fn addresses(listening: &Listening) -> Vec<SocketAddr> {
    listening.clients.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

/// After the drain time, streams have this long to write their error.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Listens and answers until `shutdown` completes.
///
/// # Errors
/// [`ServeError`] if it cannot start.
pub async fn serve(config: Arc<Config>, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    Server::bind(config).await?.run(shutdown).await;
    Ok(())
}

/// What a client speaks, as far as its first bytes show.
#[derive(Clone, Copy, Debug)]
enum Speaks {
    Http1,
    Http2,
    /// Too few bytes to tell.
    Either,
}

impl Speaks {
    /// Waits for the first bytes of a connection and leaves them there: where hyper has to look itself, it keeps a buffer of twice the
    /// size for as long as the connection lasts. `None` if it has ended.
    async fn of(stream: &TcpStream) -> Option<Self> {
        const HTTP2: &[u8] = b"PRI";
        let mut first = [0; HTTP2.len()];
        let count = stream.peek(&mut first).await.ok().filter(|&count| count > 0)?;
        let first = first.get(..count)?;
        Some(match first {
            HTTP2 => Self::Http2,
            start if HTTP2.starts_with(start) => Self::Either,
            _ => Self::Http1,
        })
    }
}

/// Drives one connection until it ends.
fn connection(
    app: Arc<App>,
    stream: TcpStream,
    peer: IpAddr,
    watcher: Watcher,
    speaks: Speaks,
    began: Instant,
) -> impl Future<Output = ()> + use<> {
    // A socket that refuses this option still works.
    stream.set_nodelay(true).ok();
    let config = Arc::clone(&app.runtime().config);
    let limits = &config.limits;
    let traffic = Arc::new(Traffic::default());
    let guard = GuardLimits { head: limits.header_time, write: limits.client_write };
    let io = TokioIo::new(Guarded::new(stream, guard, Arc::clone(&traffic), began));
    let builder = match speaks {
        Speaks::Http1 => http(limits).http1_only(),
        Speaks::Http2 => http(limits).http2_only(),
        Speaks::Either => http(limits),
    };
    let service = service_fn(move |request: Request<Incoming>| {
        let in_flight = traffic.begin();
        let (leaving, older) = (Arc::clone(&app), request.version() < http::Version::HTTP_2);
        let answer = crate::router::answer(Arc::clone(&app), request, peer, in_flight).map(move |mut answered| {
            if let Ok(response) = &mut answered
                && older
                && leaving.is_leaving()
            {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            answered
        });
        // Boxed so that a connection holds no room for it while it only streams.
        Box::pin(answer) as BoxAnswer
    });
    watcher.watch(builder.serve_connection(io, service).into_owned()).map(|ended| {
        if let Err(error) = ended {
            debug!(%error, "connection ended");
        }
    })
}

type BoxAnswer =
    std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, std::convert::Infallible>> + Send + 'static>>;

/// hyper's own limit of headers, for which it needs no allocation.
const HYPER_HEADERS: usize = 100;

fn http(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The guard keeps this limit, see there.
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes.max(8 * 1024));
    if limits.header_count != HYPER_HEADERS {
        builder.http1().max_headers(limits.header_count);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}
