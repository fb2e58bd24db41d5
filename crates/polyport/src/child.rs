//! A gateway of its own, for a while: this program or another build of it, with a configuration made for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use polyport_provider::{Client, ClientSettings, ProviderRequest, ProxySettings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A gateway that does not listen by then does not start.
const START: Duration = Duration::from_secs(60);

/// The largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 128 << 20;

/// An answer that takes longer is over.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// A gateway that ends with this.
pub(crate) struct Gateway {
    address: SocketAddr,
    _child: Child,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// The body ended in order.
    pub(crate) whole: bool,
}

impl Answer {
    /// The first header of this name, which must be in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// This very program.
pub(crate) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("the path of this program is not known")
}

impl Gateway {
    /// Starts a build of Polyport in an empty folder and an empty environment.
    pub(crate) async fn start(binary: &Path, config: &Value) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder can be made for it")?;
        std::fs::write(folder.path().join("polyport.yaml"), config.to_string())?;
        let log = folder.path().join("stderr");
        let mut command = Command::new(binary);
        command.current_dir(folder.path()).env_clear().envs(of_the_system());
        command.args(["serve", "--json", "--host", "127.0.0.1", "--port", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.as_mut() {
            let read = tokio::time::timeout(START, BufReader::new(stdout).read_line(&mut line)).await;
            read.map_err(|_| anyhow!("{} does not listen after {} seconds", binary.display(), START.as_secs()))??;
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let address =
            ready["url"].as_str().and_then(|url| url.trim_start_matches("http://").trim_end_matches('/').parse().ok());
        let Some(address) = address else {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("{} does not start:\n{}", binary.display(), said.trim());
        };
        Ok(Self { address, _child: child, _folder: folder })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Variables without which no program runs: Windows opens no socket without the first.
#[allow(clippy::disallowed_methods, reason = "they are no settings, and go to another process as they are")]
fn of_the_system() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    let names: &[&str] = if cfg!(windows) { &["SystemRoot", "TEMP", "TMP"] } else { &[] };
    names.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)))
}

/// A client that goes through no proxy.
pub(crate) fn client() -> Result<Client> {
    Ok(Client::new(&ClientSettings { proxy: ProxySettings::Direct, ..ClientSettings::default() })?)
}

/// Asks something and reads all of the answer.
pub(crate) async fn ask(
    client: &Client,
    method: &str,
    url: &str,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<Answer> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            map.append(name, value);
        }
    }
    let method: Method = method.parse()?;
    let request = ProviderRequest { method, uri: url.parse()?, headers: map, body: body.into() };
    let asking = async {
        let mut answer = client.send(request).await?;
        let mut body = BytesMut::new();
        let whole = loop {
            match answer.body.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES => body.extend_from_slice(&chunk),
                Ok(Some(_)) => bail!("the answer is larger than {} MiB", ANSWER_BYTES >> 20),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok(Answer { status: answer.status.as_u16(), headers, body: body.freeze(), whole })
    };
    let answered = tokio::time::timeout(ANSWER_TIME, asking).await;
    answered.map_err(|_| anyhow!("no whole answer within {} seconds", ANSWER_TIME.as_secs()))?
}
