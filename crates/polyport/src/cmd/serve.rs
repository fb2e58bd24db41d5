//! `polyport serve`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use polyport_server::config::{Config, Environment, Live, LogFormat, Source, Start, discover};
use polyport_server::{Before, Elder, End, Handle, Server, Sockets, notify};
use polyport_store::Turn;
use tracing::{error, info, warn};

use super::record::RecordArgs;
use crate::args::Args;
use crate::{banner, log, out};

mod successor;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct ServeArgs {
    /// Only the pages of operators, where the profile has an address for them
    #[arg(long, conflicts_with = "all")]
    web: bool,
    /// Both the endpoints of clients and the pages of operators, each at its address
    #[arg(long)]
    all: bool,
    /// Apply changes of the configuration files at once (the default)
    #[arg(long, hide = true, conflicts_with = "no_reload")]
    reload: bool,
    /// Apply changes of the configuration files on SIGHUP only
    #[arg(long)]
    no_reload: bool,
}

impl ServeArgs {
    /// What of it is started.
    pub(crate) fn start(&self) -> Start {
        match (self.web, self.all) {
            (true, _) => Start::Web,
            (_, true) => Start::All,
            (false, false) => Start::Api,
        }
    }
}

pub(crate) fn run(args: &Args, what: &ServeArgs, record: Option<&RecordArgs>) -> Result<ExitCode> {
    let program = successor::Program::of_process();
    let source = super::source(args);
    let mut before = before(&source.environment).context("what was passed to this process cannot be used")?;
    let done = serve(&source, &mut before, &program, args.json, !what.no_reload, record);
    if let (Err(error), Some(elder)) = (&done, before.elder.take()) {
        elder.refuse(&format!("{error:#}"));
    }
    done.map(|()| ExitCode::SUCCESS)
}

/// What was there before this process.
fn before(environment: &Environment) -> Result<Before> {
    let number = |name| environment.get(name).and_then(|text| text.parse::<u64>().ok());
    let own = u64::from(std::process::id());
    let hears = environment.get("NOTIFY_SOCKET").is_some();
    let watched = number("WATCHDOG_PID").is_none_or(|process| process == own);
    let watchdog = number("WATCHDOG_USEC").filter(|_| watched).map(Duration::from_micros);
    #[cfg(unix)]
    if let Some((elder, sockets)) = Elder::find(environment)? {
        return Ok(Before { sockets, elder: Some(elder), watchdog, hears });
    }
    Ok(Before { sockets: Sockets::of_service_manager(environment)?, elder: None, watchdog, hears })
}

fn serve(
    source: &Source,
    before: &mut Before,
    program: &successor::Program,
    json: bool,
    reload: bool,
    record: Option<&RecordArgs>,
) -> Result<()> {
    let (live, warnings) = Live::start(source.clone()).map_err(|problems| super::refused(&problems))?;
    let log = log::start(&live.current().log)?;
    for warning in &warnings.0 {
        warn!("{warning}");
    }
    let runtime = runtime().context("the runtime cannot start")?;
    let watch =
        || live.watch().inspect_err(|error| warn!("changes of the configuration are not noticed: {error}")).ok();
    // Without a watch, SIGHUP still works.
    let _watch = reload.then(watch).flatten();
    runtime.block_on(answer(source, &live, &log, before, program, json, record))
}

/// A worker for each core; on a single one, which may also be all that this process is allowed, nothing has to be shared between any.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let single = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = if single {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    builder.enable_all().build()
}

async fn answer(
    source: &Source,
    live: &Arc<Live>,
    log: &log::Flush,
    before: &mut Before,
    program: &successor::Program,
    json: bool,
    record: Option<&RecordArgs>,
) -> Result<()> {
    // From the beginning: unhandled, this signal would end the process.
    let mut requests = successor::Requests::new();
    let config = live.current();
    let turn = before.elder.as_ref().map_or(Turn::First, Elder::turn);
    let store = config.open_store_in_turn(turn).await?;
    let server = Server::bind_after(live, store, before).await?;
    let addresses = server.addresses();
    server.handle().count_lost_log_lines_with(log.lost());
    let recording = record.map(|record| record.begin(&server.handle())).transpose()?;
    let keeper = Keeper { live: Arc::clone(live), handle: server.handle(), port: server.address().port() };
    let beside = async {
        keeper.look_around().await;
        let config = keeper.live.current();
        let code = keeper.handle.setup_code();
        if json {
            out::line(&banner::json(&config, source, &addresses, code.as_deref()).to_string());
        } else if config.log.format == LogFormat::Text {
            out::line(&banner::text(&config, source, &addresses, code.as_deref()));
        } else if let Some(code) = code {
            // Whoever reads the log started the gateway; the code is good once, and until there is an admin.
            info!(
                setup_code = code,
                "there is no admin yet: this code makes the first one, with POST /admin/api/setup"
            );
        }
        keeper.keep_up().await;
    };
    let handle = server.handle();
    let end = async {
        let end = tokio::select! {
            () = signalled() => End::Stop,
            end = successor::hand_over(&handle, &mut requests, program) => end,
        };
        stop_at_the_next_signal();
        end
    };
    // Whoever reads that it listens may stop it at once.
    tokio::select! {
        biased;
        () = server.run_until(end) => {}
        () = beside => {}
    }
    if let Some(recording) = recording {
        recording.end(json);
    }
    Ok(())
}

/// A gateway that serves while something else is done.
pub(crate) struct Beside {
    server: Server,
    keeper: Keeper,
}

impl Beside {
    /// Listens, and serves as soon as it is asked to.
    ///
    /// # Errors
    /// The configuration has mistakes, or something else is in the way.
    pub(crate) async fn listen(source: Source) -> Result<Self> {
        let (live, _) = Live::start(source).map_err(|problems| super::refused(&problems))?;
        let store = live.current().open_store().await?;
        let server = Server::bind_live(&live, store).await?;
        let keeper = Keeper { live, handle: server.handle(), port: server.address().port() };
        keeper.look_around().await;
        keeper.apply();
        Ok(Self { server, keeper })
    }

    /// What it works with.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.keeper.live.current()
    }

    /// Serves until the work is done.
    pub(crate) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let work = async {
            let result = work.await;
            drop(done);
            result
        };
        // That the other end is gone is the sign.
        let serving = self.server.run(async { drop(ended.await) });
        tokio::join!(work, serving).0
    }
}

/// Brings changes of the configuration to the running gateway.
struct Keeper {
    live: Arc<Live>,
    handle: Handle,
    port: u16,
}

impl Keeper {
    /// Looks for local servers, if the configuration wants it.
    async fn look_around(&self) {
        if !self.live.wants_discovery() {
            return;
        }
        let found = discover::probe(self.port).await;
        if found.is_empty() {
            return;
        }
        let live = Arc::clone(&self.live);
        // What went wrong has been logged.
        if blocking(move || live.set_found(found)).await.is_some_and(|done| done.is_ok()) {
            self.apply();
        }
    }

    /// Waits for changes and applies them, for ever.
    async fn keep_up(&self) {
        let mut readings = self.live.readings();
        // What changed before is not announced again.
        self.apply();
        let mut hangups = hangups();
        loop {
            tokio::select! {
                read = readings.changed() => match read {
                    Ok(()) if *readings.borrow_and_update() => self.apply(),
                    Ok(()) => self.handle.reload_refused(),
                    // The sender lives in `self.live`.
                    Err(_) => return,
                },
                () = hangups.next() => {
                    info!("reading the configuration again");
                    notify::reloading();
                    let live = Arc::clone(&self.live);
                    blocking(move || live.reload()).await;
                    self.look_around().await;
                    notify::ready();
                }
            }
        }
    }

    fn apply(&self) {
        if let Err(problem) = self.handle.follow(&self.live) {
            error!("the configuration was not applied: {problem}");
        }
    }
}

/// Runs work that reads files off the async workers. `None` if it panicked, which the panic hook has reported.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// The process is about to end; a signal from here on ends it at once.
fn stop_at_the_next_signal() {
    info!("another signal to stop ends this process at once");
    #[allow(clippy::disallowed_methods, reason = "it ends with the process")]
    tokio::spawn(async {
        signalled().await;
        std::process::exit(130);
    });
}

/// Completes when the process is asked to stop.
#[cfg(unix)]
pub(crate) async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the system ends the process itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Completes when the process is asked to stop.
#[cfg(not(unix))]
pub(crate) async fn signalled() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(unix)]
struct Hangups(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
fn hangups() -> Hangups {
    Hangups(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
}

#[cfg(unix)]
impl Hangups {
    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
fn hangups() -> Hangups {
    Hangups
}

#[cfg(not(unix))]
impl Hangups {
    async fn next(&mut self) {
        std::future::pending().await
    }
}
