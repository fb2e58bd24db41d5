//! Servers that Polyport starts itself.

use std::sync::Arc;
use std::time::Duration;

use polyport_types::Text;

use super::super::check::Context;
use super::super::file::Provider as Written;
use super::super::preset::Preset;
use super::super::services::child;
use super::super::tree::Step;
use super::super::units::Span;
use super::super::{LocalServer, provider::Backoff};
use super::file::Process;
use super::{command, may_run};

/// Stands for the port in addresses until one is chosen.
pub(in super::super) const ANY_PORT: &str = "0";

/// Time for a server to start: large models are read from slow disks.
const START: Duration = Duration::from_secs(5 * 60);

/// Time without requests after which it is stopped.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// The rests between restarts.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// The server of a provider; `Err` if it has one that cannot be started.
pub(in super::super) fn server(
    given: &Written,
    base_url: &str,
    at: &[Step],
    context: &mut Context<'_>,
) -> Result<Option<Arc<LocalServer>>, ()> {
    let Some(server) = &given.server else { return Ok(None) };
    if !may_run(at, context) {
        return Err(());
    }
    let path = child(at, "server");
    if server.command.is_none() {
        let remedy = "name it: `server: { command: llama-server }`";
        context.error(&child(&path, "command"), "the program is missing", remedy);
        return Err(());
    }
    let process = Process {
        command: server.command.clone(),
        args: Some(server.args.clone()),
        env: server.env.clone(),
        pass_env: server.pass_env.clone(),
        working_directory: server.working_directory.clone(),
        ..Process::default()
    };
    let command = command(&process, &[], &path, context).ok_or(())?;
    let url = url::Url::parse(base_url).ok();
    let port = url.as_ref().and_then(url::Url::port_or_known_default).unwrap_or_default();
    if port == 0 && !command.mentions("port") {
        let message = "a free port is chosen for the server, and no argument of it holds `{{ port }}`";
        context.error(&child(&path, "args"), message, "put it there, or give `base_url` with the server's own port");
    }
    if !server.health.as_deref().is_none_or(|path| path.starts_with('/')) {
        context.error(&child(&path, "health"), "this is no path", "write it like `/health`");
    }
    let mut time = |name: &str, given: Option<Span>, usual: Duration| {
        if given == Some(Span(Duration::ZERO)) {
            context.error(&child(&path, name), "zero would leave no time", "leave it out for the default");
        }
        given.map_or(usual, |span| span.0)
    };
    Ok(Some(Arc::new(LocalServer {
        // What it was made of: it is started anew when that changes.
        written: blake3::hash(format!("{server:?} {base_url} {:?}", command.environment).as_bytes())
            .to_hex()
            .as_str()
            .into(),
        command: Arc::new(command),
        port,
        health: server.health.clone().unwrap_or_else(|| "/health".to_owned()),
        start: time("start_timeout", server.start_timeout, START),
        idle: time("idle_timeout", server.idle_timeout, IDLE),
        group: server.group.as_deref().map(Text::from),
        backoff: Backoff {
            first: time("restart.first", server.restart.first, BACKOFF.first),
            longest: time("restart.longest", server.restart.longest, BACKOFF.longest),
        },
    })))
}

/// The address of a provider with a server that does not say where that is.
pub(in super::super) fn usual_address(preset: Option<&Preset>) -> String {
    let known = preset.and_then(|preset| preset.base_url.as_deref()).and_then(|url| url::Url::parse(url).ok());
    let path = known.as_ref().map_or("/v1", url::Url::path);
    format!("http://127.0.0.1:{ANY_PORT}{path}")
}
