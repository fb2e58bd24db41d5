//! The accept loop: connections, their limits, graceful shutdown.

mod figures;
mod files;
mod guard;
mod local;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use parking_lot::Mutex;
use polyport_store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::app::{App, SetupError};
use crate::body::Body;
use crate::config::{Config, Limits, Live};
use crate::credentials::past::Past;
use crate::directory::Directory;
use crate::identity::Identity;
use crate::ledger::{Books, BooksError};
use crate::observe::otlp;
use crate::registry::Registry;
use crate::{archive, credentials, directory, identity, ledger, persist, registry};
use guard::{GuardLimits, Guarded, Traffic};

pub(crate) use guard::InFlight;
pub(crate) use local::Operator;
pub use local::{Workbench, socket_of};

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

/// As many connections are held at most, unless the configuration says another number.
const MOST_CONNECTIONS: usize = 1 << 16;

/// A gateway that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    /// Where the figures have an address of their own.
    figures: Option<TcpListener>,
    app: Arc<App>,
}

/// Talks to a running gateway from outside.
#[derive(Clone, Debug)]
pub struct Handle {
    app: Arc<App>,
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

    /// A change of the configuration had mistakes and was not taken: the figures say so.
    pub fn reload_refused(&self) {
        self.app.metrics.reloaded(false);
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
        Self::start(config, store, None).await
    }

    /// The same with a configuration that changes, to which comes what the store declares.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn bind_live(live: &Arc<Live>, store: Store) -> Result<Self, ServeError> {
        let registry = Registry::open(Arc::clone(live), store.clone()).await?;
        Self::start(live.current(), Some(store), Some(registry)).await
    }

    async fn start(config: Arc<Config>, store: Option<Store>, registry: Option<Registry>) -> Result<Self, ServeError> {
        files::allow_more();
        let app = open(Arc::clone(&config), store, registry).await?;
        let address = config.listen.address();
        let failed = |error| ServeError::Bind { address, error };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let figures = match config.metrics.listen {
            Some(address) => {
                let failed = |error| ServeError::Bind { address, error };
                Some(TcpListener::bind(address).await.map_err(failed)?)
            }
            None => None,
        };
        Ok(Self { listener, address, figures, app })
    }

    /// Where it listens; tells the port when the system chose it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the figures are read, if they have an address of their own.
    #[must_use]
    pub fn figures_address(&self) -> Option<SocketAddr> {
        self.figures.as_ref()?.local_addr().ok()
    }

    /// A handle to the gateway.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { app: Arc::clone(&self.app) }
    }

    /// Answers until `shutdown` completes, then lets open requests end: up to the configured drain time, after which streams get an
    /// error in their protocol and connections are closed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let figures_address = self.figures_address();
        let Self { listener, address, figures, app } = self;
        info!(%address, "listening");
        app.listening.set(address).ok();
        let graceful = GracefulShutdown::new();
        let closing = CancellationToken::new();
        let tasks = app.tasks.clone();
        tasks.spawn(credentials::keep_fresh(Arc::clone(&app.credentials), app.cut.clone()));
        tasks.spawn(credentials::keep_checking(Arc::clone(&app), app.cut.clone()));
        tasks.spawn(persist::keep_writing(Arc::clone(&app), app.cut.clone()));
        tasks.spawn(registry::keep_reading(Arc::clone(&app), app.cut.clone()));
        tasks.spawn(directory::keep_reading(Arc::clone(&app), app.cut.clone()));
        tasks.spawn(ledger::writer::keep_writing(Arc::clone(&app), app.cut.clone()));
        tasks.spawn(ledger::retention::keep_tidy(Arc::clone(&app), app.cut.clone()));
        if app.tracer.is_some() {
            tasks.spawn(otlp::keep_exporting(Arc::clone(&app), app.cut.clone()));
        }
        tasks.spawn(identity::keep_tidy(Arc::clone(&app), app.cut.clone()));
        if let Some(archive) = &app.archive {
            tasks.spawn(archive::keep_writing(Arc::clone(archive), app.cut.clone()));
        }
        if let (Some(figures), Some(address)) = (figures, figures_address) {
            info!(%address, "listening for readers of the figures");
            tasks.spawn(figures::serve(Arc::clone(&app), figures, app.cut.clone()));
        }
        #[cfg(unix)]
        if app.registry.is_some() {
            let data = app.runtime().config.data.clone();
            match local::Socket::bind(&data).await {
                Ok(Some(socket)) => tasks.spawn(socket.serve(Arc::clone(&app), app.cut.clone())),
                Ok(None) => debug!("another gateway has the socket of the data folder"),
                Err(error) => warn!(%error, "commands need an admin key: there is no socket in the data folder"),
            }
        }
        let doors = Doors::new(&app);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let permit = tokio::select! {
                biased;
                () = &mut shutdown => break,
                permit = Arc::clone(&doors.all).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = doors.enter(peer.ip()) else {
                        debug!(%peer, "too many connections from one address");
                        continue;
                    };
                    let (app, watcher, closing) = (Arc::clone(&app), graceful.watcher(), closing.clone());
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
                    warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        app.begin_draining();
        closing.cancel();
        let drain = app.runtime().config.limits.drain;
        info!(seconds = drain.as_secs(), "shutting down: open requests may end");
        if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
            warn!("open requests are cut");
        }
        app.cut.cancel();
        stop(&app).await;
        info!("stopped");
    }
}

/// Reads what is kept, and sets up everything that requests share.
async fn open(config: Arc<Config>, store: Option<Store>, registry: Option<Registry>) -> Result<Arc<App>, ServeError> {
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
        Some(_) => Some(Books::open(&config).await?),
        None => None,
    };
    let app = Arc::new(App::new(&config, store, past, registry, directory, identity, books)?);
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
        // Boxed so that a connection holds no room for it while it only streams.
        Box::pin(crate::router::answer(Arc::clone(&app), request, peer, in_flight)) as BoxAnswer
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

/// How many connections may be open, in all and from one address.
struct Doors {
    all: Arc<Semaphore>,
    per_address: usize,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place; dropped with it.
struct Place {
    address: IpAddr,
    addresses: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Doors {
    fn new(app: &App) -> Self {
        let limits = &app.runtime().config.limits;
        let files = files::may_open().map_or(MOST_CONNECTIONS, |files| files / 4 * 3);
        let all = limits.connections.unwrap_or(MOST_CONNECTIONS).min(files);
        Self {
            all: Arc::new(Semaphore::new(all.clamp(1, Semaphore::MAX_PERMITS))),
            per_address: limits.connections_per_address,
            addresses: Arc::default(),
        }
    }

    /// A place for one more connection from `address`; programs on this machine are not limited by address.
    fn enter(&self, address: IpAddr) -> Option<Option<Place>> {
        if address.is_loopback() {
            return Some(None);
        }
        let mut addresses = self.addresses.lock();
        let count = addresses.entry(address).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Some(Place { address, addresses: Arc::clone(&self.addresses) }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        if let Some(count) = addresses.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&self.address);
            }
        }
    }
}
