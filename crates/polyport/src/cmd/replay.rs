//! `polyport replay`: a provider that answers from a recording.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use polyport_recording::{Exchange, Pace, Player, Recording, Replay, Side};
use polyport_types::Protocol;
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::out;

/// Answer as the providers of a recording did, stream by stream and piece by piece, until it is stopped.
///
/// A request gets the answer that was given to the same request; failing that, to one at the same address for the same model. What
/// fits neither is refused in the provider's protocol, with the nearest that was recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// The recording
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Loopback address to listen on; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7660")]
    listen: SocketAddr,
    /// `original`, `fast`, or how many times as fast
    #[arg(long, value_name = "PACE", default_value = "original")]
    pace: Pace,
    /// Answer only what was recorded exactly
    #[arg(long)]
    strict: bool,
    /// Print the configuration that points Polyport at the replay, and end
    #[arg(long)]
    print_config: bool,
}

pub(crate) fn run(args: &Args, what: &ReplayArgs) -> Result<ExitCode> {
    let recording = open(&what.file)?;
    if what.print_config {
        let config = config(&recording, what.listen);
        match args.json {
            true => out::json(&config),
            false => print(&config),
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !what.listen.ip().is_loopback() {
        bail!("{} is not a loopback address: a replay asks nobody for a key", what.listen);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let player = Player::new(&recording, what.pace, what.strict);
        let replay = Replay::start(player, what.listen).await;
        let replay =
            replay.with_context(|| format!("cannot listen on {}; choose another with --listen", what.listen))?;
        let told = async {
            let config = config(&recording, replay.address());
            if args.json {
                out::line(
                    &json!({ "url": format!("http://{}", replay.address()), "providers": config["providers"] })
                        .to_string(),
                );
            } else {
                out::line(&format!("Replaying {} on http://{}", what.file.display(), replay.address()));
                for (name, provider) in config["providers"].as_object().into_iter().flatten() {
                    let text = |member: &str| provider[member].as_str().unwrap_or_default().to_owned();
                    out::line(&format!("  {name} ({}): {}", text("protocol"), text("base_url")));
                }
            }
            std::future::pending::<()>().await;
        };
        // Whoever reads that it listens may stop it at once.
        tokio::select! {
            biased;
            () = super::serve::signalled() => {}
            () = told => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Reads a recording that has something to answer with.
pub(crate) fn open(file: &Path) -> Result<Recording> {
    let recording = Recording::open(file).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    if recording.of(Side::Provider).next().is_none() {
        bail!("{}: it holds no exchange with a provider", file.display());
    }
    Ok(recording)
}

/// The configuration that points at a replay: the recorded providers, and the models that clients asked for.
pub(crate) fn config(recording: &Recording, at: SocketAddr) -> Value {
    let mut providers = Map::new();
    for exchange in recording.of(Side::Provider) {
        providers.entry(exchange.provider.clone()).or_insert_with(|| {
            let mut provider = json!({
                "protocol": exchange.protocol,
                "base_url": address(&exchange.provider, base(exchange), at),
                "keys": ["replayed"],
                "proxy": "none",
            });
            if let Some(adapter) = &exchange.adapter {
                provider["adapter"] = adapter.as_str().into();
            }
            if !exchange.profile.is_empty() {
                provider["profile"] = exchange.profile.as_str().into();
            }
            provider
        });
    }
    let mut models = Map::new();
    for client in recording.of(Side::Client) {
        let asked =
            client.id.as_ref().and_then(|id| recording.of(Side::Provider).find(|one| one.id.as_ref() == Some(id)));
        let (Some(asked), Some(model)) = (asked, model(client)) else { continue };
        let target = format!("{}/{}", asked.provider, asked.model);
        if model != target && !asked.model.is_empty() {
            models.entry(model).or_insert_with(|| target.into());
        }
    }
    json!({ "providers": providers, "models": models })
}

/// The path of a provider's address. Without one, its name would be taken for the whole address if it is called like an endpoint.
pub(crate) fn base(exchange: &Exchange) -> &str {
    let version = match exchange.protocol {
        Protocol::Messages => "/v1",
        Protocol::Gemini => "/v1beta",
        Protocol::Chat | Protocol::Responses => "",
    };
    let implied = exchange.base.is_empty() && exchange.target.starts_with(version);
    if implied { version } else { &exchange.base }
}

/// Where a replay answers for a provider.
pub(crate) fn address(provider: &str, base: &str, at: SocketAddr) -> String {
    let name: String = provider
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("http://{at}/{name}{base}")
}

/// The model a client asked for, in its body or its path.
fn model(client: &Exchange) -> Option<String> {
    let body: Value = serde_json::from_slice(&client.body_bytes()).unwrap_or_default();
    let in_path = || Some(client.target.split_once("/models/")?.1.split([':', '/', '?']).next()?.to_owned());
    body["model"].as_str().map(str::to_owned).or_else(in_path)
}

/// YAML, one line for each provider and model.
fn print(config: &Value) {
    for part in ["providers", "models"] {
        let entries = config[part].as_object().filter(|entries| !entries.is_empty());
        let Some(entries) = entries else { continue };
        out::line(&format!("{part}:"));
        for (name, value) in entries {
            out::line(&format!("  {}: {value}", json!(name)));
        }
    }
}
