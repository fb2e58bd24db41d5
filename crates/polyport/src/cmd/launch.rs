//! `polyport launch`: starts a client that talks to the gateway. Nothing of the user's own settings is changed.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;
use polyport_server::config::{Log, LogFile};
use serde_json::{Map, Value, json};
use tokio::process::Child;

use super::connect::{chosen, quoted};
use super::keys::ends;
use super::serve::Beside;
use crate::args::Args;
use crate::clients::{self, Bounds, Client, Fill, Home, Overlaid, Pass, Said};
use crate::gateway::{Aim, Gateway};
use crate::{log, out};

/// What shells say of a program that is not there.
const NOT_FOUND: u8 = 127;

/// The log of a gateway that runs beside a client, which has the terminal.
const LOG: &str = "launch.log";
const LOG_BYTES: u64 = 16 << 20;

/// Variables with secrets of whoever runs the gateway. A client has a key of its own, and what it starts is not to change the gateway.
const OPERATORS: [&str; 8] = [
    "POLYPORT_ADMIN_KEY",
    "POLYPORT_ACCESS__ADMIN_KEYS",
    "ADMIN_TOKEN",
    "ADMIN_PASSWORD",
    "POLYPORT_MASTER_KEY",
    "POLYPORT_NEW_MASTER_KEY",
    "WARP_TOKEN_ENCRYPTION_KEY",
    "POLYPORT_STORE__URL",
];

/// So many hundredths of a second it may take to start.
#[cfg(unix)]
const STARTING: usize = 1000;

/// What to start
#[derive(Debug, ClapArgs)]
pub(crate) struct LaunchArgs {
    /// The client: `claude`, `codex`, `gemini` … (`polyport connect` lists them)
    client: String,
    /// Arguments for the client, after `--`
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
    /// The model it uses, and the only one its key is good for
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A protocol its key is good for; may be repeated [default: all]
    #[arg(long = "protocol", value_name = "PROTOCOL")]
    protocols: Vec<String>,
    /// When its key ends if it is not deleted before: a time, or from now on such as 12h, 30d
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    expires: String,
    /// A key for it, instead of a fresh one
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// If no gateway runs, run one on a free port of this machine until the client ends (not on Windows)
    #[arg(long)]
    serve: bool,
    /// Say what would be started, and start nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, what: &LaunchArgs) -> Result<ExitCode> {
    let client = clients::find(&what.client)?;
    if !client.launches() {
        bail!("{} is not started from here: see `polyport connect {}`", client.title, client.name);
    }
    let home = Home::of(super::source(args).environment);
    let Some(program) = client.program.as_deref().and_then(|name| home.program(name)) else {
        let name = client.program.as_deref().unwrap_or_default();
        out::error(&format!("`{name}` is not among the programs of PATH; install it with one of:"));
        client.install.iter().for_each(|line| out::error(&format!("  {line}")));
        return Ok(ExitCode::from(NOT_FOUND));
    };
    let launch = Launch { args, what, client, home, program };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(launch.run())
}

/// A start of a client.
struct Launch<'a> {
    args: &'a Args,
    what: &'a LaunchArgs,
    client: &'static Client,
    home: Home,
    program: PathBuf,
}

impl Launch<'_> {
    async fn run(&self) -> Result<ExitCode> {
        if let (Some(url), Some(key)) = (&self.args.url, &self.what.key) {
            return self.start(chosen(url), &Pass::of(key), Signals::listen()?).await;
        }
        let gateway = Gateway::reach(self.args, Aim::Look).await?;
        match gateway.url().await? {
            Some(url) => {
                let done = self.at(&gateway, url).await;
                gateway.close().await;
                done
            }
            None => {
                gateway.close().await;
                if !cfg!(unix) {
                    bail!(
                        "no gateway runs: start one with `polyport serve` in another terminal (`--serve` is for Linux and macOS only)"
                    );
                }
                if !self.what.serve {
                    bail!("no gateway runs: start one with `polyport serve` in another terminal, or add `--serve`");
                }
                Box::pin(self.beside()).await
            }
        }
    }

    /// With a gateway that runs in this process for as long.
    async fn beside(&self) -> Result<ExitCode> {
        let mut source = super::source(self.args);
        source.arguments.host = Some("127.0.0.1".to_owned());
        source.arguments.port = Some(0);
        let beside = Beside::listen(source).await?;
        let config = beside.config();
        let file = LogFile { path: config.data.join(LOG), rotate_bytes: Some(LOG_BYTES), keep: 1 };
        let _log = log::start(&Log { file: config.log.file.clone().or(Some(file)), ..config.log.clone() })?;
        beside
            .during(Box::pin(async {
                listening(&config.data).await;
                let gateway = Gateway::reach(self.args, Aim::Look).await?;
                let url = gateway.url().await?.context("the gateway does not answer")?;
                self.at(&gateway, url).await
            }))
            .await
    }

    /// With a gateway that runs.
    async fn at(&self, gateway: &Gateway, url: String) -> Result<ExitCode> {
        let signals = Signals::listen()?;
        let pass = match &self.what.key {
            Some(key) => Pass::of(key),
            None if clients::is_open(&url).await? => {
                if !self.what.protocols.is_empty() {
                    bail!("the gateway needs no key, so there is none that could be bounded: leave out `--protocol`");
                }
                Pass::open()
            }
            None if self.what.dry_run => Pass::of("FRESH-KEY"),
            None => {
                let bounds = Bounds {
                    models: self.what.model.iter().cloned().collect(),
                    protocols: self.what.protocols.clone(),
                    expires_at: Some(ends(&self.what.expires)?),
                };
                let name = format!("launch-{}-{}-{}", self.client.name, clients::stamp(), std::process::id());
                Pass::make(gateway, &name, &bounds).await?
            }
        };
        let done = self.start(url, &pass, signals).await;
        if let (Err(error), Some((_, name))) = (pass.end(gateway).await, &pass.made) {
            out::error(&format!("the key `{name}` was not deleted ({error:#}); it ends in {}", self.what.expires));
        }
        done
    }

    async fn start(&self, url: String, pass: &Pass, signals: Signals) -> Result<ExitCode> {
        let fill = self.fill(url, pass).await?;
        let overlaid = Overlaid::of(self.client, &self.home, &fill)?;
        let mut variables = self.client.variables(&fill);
        variables.extend(overlaid.variables.iter().cloned());
        let arguments =
            [self.client.arguments(&fill), overlaid.arguments.clone(), self.what.arguments.clone()].concat();
        if self.what.dry_run {
            told(self.args, self.client, &self.program, &variables, &arguments);
            return Ok(ExitCode::SUCCESS);
        }
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&arguments).envs(variables);
        for name in self.client.unset.iter().map(String::as_str).chain(OPERATORS) {
            command.env_remove(name);
        }
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))?;
        let ended = signals.wait(&mut child).await;
        if let Err(error) = overlaid.finish() {
            let title = &self.client.title;
            out::error(&format!("not all that {title} wrote besides its settings was brought back: {error:#}"));
        }
        Ok(code(ended.with_context(|| format!("{} was lost", self.client.title))?))
    }

    /// Everything that the client has to be told.
    async fn fill(&self, url: String, pass: &Pass) -> Result<Fill> {
        let model = self.what.model.clone();
        if self.client.needs_model && model.is_none() {
            let title = &self.client.title;
            bail!("{title} has to be told which model: add `--model NAME` (`polyport models` lists them)");
        }
        let models = match &model {
            Some(model) => vec![model.clone()],
            None if self.client.lists_models => match clients::models(&url, Some(&pass.key)).await? {
                Said::Models(models) => models,
                Said::Closed => bail!("the gateway at {url} does not take this key"),
            },
            None => Vec::new(),
        };
        Ok(Fill { url, key: pass.key.clone(), model, models })
    }
}

/// Waits until the gateway of this data folder takes commands; what else is in the way is told by them.
async fn listening(data: &Path) {
    #[cfg(unix)]
    for _ in 0..STARTING {
        if tokio::net::UnixStream::connect(polyport_server::socket_of(data)).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    #[cfg(not(unix))]
    let _ = data;
}

/// What would be started.
fn told(args: &Args, client: &Client, program: &Path, variables: &[(String, String)], arguments: &[String]) {
    if args.json {
        let variables: Map<String, Value> =
            variables.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        out::json(&json!({
            "client": client.name, "program": program, "arguments": arguments, "variables": variables, "unset": client.unset,
        }));
        return;
    }
    let mut words: Vec<String> = variables.iter().map(|(name, text)| format!("{name}={}", quoted(text))).collect();
    words.push(program.display().to_string());
    words.extend(arguments.iter().map(|text| quoted(text)));
    out::line(&words.join(" "));
}
/// What this process is told while the client runs. From the first on, signals do not end this process: there is a key to be deleted.
#[cfg(unix)]
struct Signals([(rustix::process::Signal, tokio::signal::unix::Signal); 4]);

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use rustix::process::Signal;
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self([
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::QUIT, signal(SignalKind::quit())?),
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
        ]))
    }

    /// Waits for the end of the client, and hands on what this process is told.
    async fn wait(mut self, child: &mut Child) -> std::io::Result<ExitStatus> {
        use std::io::IsTerminal as _;

        use rustix::process::{Pid, Signal, kill_process};

        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        // What is typed at a terminal is told to the client as well, as to everything in its foreground.
        let typed = std::io::stdin().is_terminal();
        loop {
            let [interrupt, quit, terminate, hangup] = &mut self.0;
            let signal = tokio::select! {
                ended = child.wait() => return ended,
                _ = interrupt.1.recv() => interrupt.0,
                _ = quit.1.recv() => quit.0,
                _ = terminate.1.recv() => terminate.0,
                _ = hangup.1.recv() => hangup.0,
            };
            let known = typed && matches!(signal, Signal::INT | Signal::QUIT);
            if let (false, Some(id)) = (known, id) {
                // It may have ended just now.
                kill_process(id, signal).ok();
            }
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn wait(self, child: &mut Child) -> std::io::Result<ExitStatus> {
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                // The console tells the client as well.
                _ = tokio::signal::ctrl_c() => {}
            }
        }
    }
}

/// The exit code of the client; as shells have it, if a signal ended it.
fn code(ended: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&ended) {
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    ExitCode::from(ended.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
