//! `polyport backup`, `polyport restore` and `polyport store`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use polyport_server::config::{Config, Purpose, Source, master_key};
use polyport_store::{MasterKey, Restored, Rotated};
use serde_json::json;

use crate::args::Args;
use crate::gateway::Gateway;
use crate::out;

/// Holds the key to rotate to.
const NEW_KEY: &str = "POLYPORT_NEW_MASTER_KEY";

pub(crate) fn backup(args: &Args, to: &Path, log: Option<&Path>) -> Result<ExitCode> {
    let progress = out::spinner(args, "copying");
    let copied = wait(async {
        let Some(gateway) = Gateway::that_runs(args).await? else { return copy(args, to, log).await };
        download(&gateway, "backup", to).await?;
        if let Some(log) = log {
            download(&gateway, "backup?of=log", log).await?;
        }
        Ok(())
    });
    progress.finish_and_clear();
    copied?;
    if args.json {
        out::json(&json!({ "backup": to, "log": log }));
    } else if !args.quiet {
        out::line(&format!("copied to {}; its secrets are sealed, so keep the master key as well", to.display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies what no gateway uses.
async fn copy(args: &Args, to: &Path, log: Option<&Path>) -> Result<()> {
    let (config, _) = configured(args)?;
    polyport_store::backup(config.store_url().expose(), to).await?;
    if let Some(log) = log {
        polyport_store::backup(&config.log_url(), log).await?;
    }
    Ok(())
}

/// Writes the copy that a gateway makes into a new file; none is left where it breaks off.
async fn download(gateway: &Gateway, path: &str, to: &Path) -> Result<()> {
    if to.exists() {
        bail!("{} is there already; give the name of a new file", to.display());
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    // What an earlier one left behind.
    std::fs::remove_file(&part).ok();
    let mut file = out::new_file(&part)?;
    let written = async {
        let mut answer = gateway.made(path).await?;
        while let Some(chunk) = answer.chunk().await? {
            file.write_all(&chunk)?;
        }
        file.sync_all()?;
        std::fs::rename(&part, to)?;
        anyhow::Ok(())
    };
    if let Err(error) = written.await {
        std::fs::remove_file(&part).ok();
        return Err(error).with_context(|| to.display().to_string());
    }
    Ok(())
}

pub(crate) fn restore(args: &Args, from: &Path, any_key: bool) -> Result<ExitCode> {
    let (config, _) = configured(args)?;
    let (url, key) = (config.store_url(), config.store.key.clone());
    let Restored { schema_version, replaced } =
        wait(async { Ok(polyport_store::restore(url.expose(), &config.data, key, from, any_key).await?) })?;
    if args.json {
        out::json(&json!({ "restored": from, "schema_version": schema_version, "replaced": replaced }));
    } else {
        let replaced = replaced.map(|path| format!("; the database that was there is {}", path.display()));
        out::line(&format!("restored from {}{}", from.display(), replaced.unwrap_or_default()));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn rotate_key(args: &Args) -> Result<ExitCode> {
    let (config, source) = configured(args)?;
    let given = match master_key(&source.environment, NEW_KEY) {
        Ok(given) => given,
        Err(error) => bail!("{NEW_KEY}: {error}"),
    };
    let of_environment = config.store.key.is_some();
    if of_environment && given.is_none() {
        bail!(
            "the present master key is given by the environment; put the new one into {NEW_KEY} (`openssl rand -base64 32` makes one)"
        );
    }
    let new = given.unwrap_or_else(MasterKey::generate);
    let id = new.id().to_string();
    let Rotated { resealed, untouched } = wait(async {
        let store = config.open_store().await?;
        let rotated = store.rotate_key(new).await;
        store.close().await;
        Ok(rotated?)
    })?;
    if args.json {
        out::json(&json!({ "key_id": id, "resealed": resealed, "untouched": untouched }));
        return Ok(ExitCode::SUCCESS);
    }
    out::line(&format!("{resealed} values are sealed under the new master key ({id})"));
    if !untouched.is_empty() {
        out::line(&format!("not opened by the old key, and left as they are: {}", untouched.join(", ")));
    }
    if of_environment {
        out::line("from now on, give the new key where the old one was given");
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration, without looking for local servers, and where it comes from.
fn configured(args: &Args) -> Result<(Config, Source)> {
    let source = super::source(args);
    let loaded = source.load(&[], Purpose::Inspect).map_err(|problems| super::refused(&problems))?;
    Ok((loaded.config, source))
}

pub(super) fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
