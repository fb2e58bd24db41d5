//! How the admin API is reached.

use std::future::Future;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use polyport_provider::{Client, ClientSettings, ProviderRequest, ProxySettings, RequestBody};
use polyport_server::config::{Environment, Live, Problems, Purpose, Source, discover};
use polyport_server::{Workbench, socket_of, url_of};
use polyport_store::OpenError;
use polyport_types::Secret;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Answer, Body};
use super::{Aim, ROOT};
use crate::args::Args;

/// Variables that may hold the key of an operator.
const KEYS: [&str; 2] = ["POLYPORT_ADMIN_KEY", "ADMIN_TOKEN"];

/// How long another command may have the database, and how often it is looked whether it still has.
const PATIENCE: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

/// Where the admin API is.
#[derive(Debug)]
pub(super) enum Way {
    Address(Box<Address>),
    /// The socket of the gateway that uses the data folder.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are no such sockets"))]
    Socket(PathBuf),
    /// No gateway runs.
    Store(Workbench),
}

/// A gateway at an address.
#[derive(Debug)]
pub(super) struct Address {
    /// Without a slash at its end.
    base: String,
    key: Option<Secret>,
    client: Client,
}

impl Way {
    /// The gateway that runs: at an address that is named, or with the data folder. The database is not opened.
    pub(super) async fn of_gateway(args: &Args, source: &Source) -> Result<Option<Self>> {
        let key = args.admin_key.clone().or_else(|| key_of(&source.environment));
        if let Some(url) = args.url.as_deref().or_else(|| source.environment.get("POLYPORT_URL")) {
            return Ok(Some(Self::Address(Address::new(url, key)?.into())));
        }
        let loaded = source.load(&[], Purpose::Inspect).map_err(|problems| crate::cmd::refused(&problems))?;
        Ok(socket_in(&loaded.config.data).await)
    }

    pub(super) async fn find(args: &Args, source: Source, aim: Aim) -> Result<Self> {
        let key = args.admin_key.clone().or_else(|| key_of(&source.environment));
        let given = args.url.as_deref().or_else(|| source.environment.get("POLYPORT_URL"));
        if let Some(url) = given {
            return Ok(Self::Address(Address::new(url, key)?.into()));
        }
        let loaded = source.load(&[], Purpose::Inspect).map_err(|problems| crate::cmd::refused(&problems))?;
        let config = loaded.config;
        if let Some(socket) = socket_in(&config.data).await {
            return Ok(socket);
        }
        let found = match loaded.discover {
            true => discover::probe(config.listen.port).await,
            false => Vec::new(),
        };
        // A database that is not there yet is made by those who change something.
        if aim == Aim::Look && config.store.url.is_none() && !has_database(&config.data) {
            let refused = |problems: Problems| crate::cmd::refused(&problems);
            let config = source.load(&found, Purpose::Inspect).map_err(refused)?.config;
            return Ok(Self::Store(Workbench::open(&Live::fixed(config), None).await?));
        }
        is_ours(&config.data)?;
        let (live, _) = Live::start(source).map_err(|problems| crate::cmd::refused(&problems))?;
        live.set_found(found).map_err(|problems| crate::cmd::refused(&problems))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let process = match live.current().open_store().await {
                Ok(store) => return Ok(Self::Store(Workbench::open(&live, Some(store)).await?)),
                Err(OpenError::InUse { process, .. }) => process,
                Err(error) => return Err(error.into()),
            };
            // Another command, which is done soon, or a gateway that has just been started.
            if Instant::now() < until {
                tokio::time::sleep(AGAIN).await;
                if let Some(socket) = socket_in(&config.data).await {
                    return Ok(socket);
                }
                continue;
            }
            let Some(key) = key else {
                let process = process.map(|id| format!(" (process {id})")).unwrap_or_default();
                bail!(
                    "another polyport uses this data folder{process}, and there is no socket {} to ask it by; if it is a gateway, give `--url` and `--admin-key`, or the variables POLYPORT_URL and ADMIN_TOKEN",
                    socket_of(&config.data).display()
                );
            };
            let at = url_of(config.listen.address());
            return Ok(Self::Address(Address::new(&at, Some(key))?.into()));
        }
    }

    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Answer> {
        match self {
            Self::Address(address) => address.send(request).await,
            #[cfg(unix)]
            Self::Socket(path) => match tokio::net::UnixStream::connect(path).await {
                Ok(stream) => direct(stream, request).await,
                Err(error) => {
                    Err(anyhow!("the gateway does not answer any more: {error}; start it with `polyport serve`"))
                }
            },
            #[cfg(not(unix))]
            Self::Socket(_) => bail!("there are no sockets in folders on this system; give `--url` and `--admin-key`"),
            Self::Store(bench) => direct(bench.connect(), request).await,
        }
    }
}

/// The gateway that uses a data folder, if one answers there.
#[cfg(unix)]
async fn socket_in(data: &Path) -> Option<Way> {
    let socket = socket_of(data);
    tokio::net::UnixStream::connect(&socket).await.is_ok().then_some(Way::Socket(socket))
}

#[cfg(not(unix))]
async fn socket_in(_: &Path) -> Option<Way> {
    None
}

/// Files that somebody else makes in a data folder keep its owner out.
#[cfg(unix)]
fn is_ours(data: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(about), own) = (std::fs::metadata(data), rustix::process::geteuid().as_raw()) else { return Ok(()) };
    if about.uid() == own {
        return Ok(());
    }
    bail!(
        "{} belongs to another user: run this as that user (`sudo -u '#{}' polyport …`), or start the gateway, which root may ask as well",
        data.display(),
        about.uid()
    )
}

#[cfg(not(unix))]
fn is_ours(_: &Path) -> Result<()> {
    Ok(())
}

/// Whether there is a database in the data folder.
fn has_database(data: &Path) -> bool {
    data.join("polyport.db").exists()
}

fn key_of(environment: &Environment) -> Option<String> {
    KEYS.iter().find_map(|name| environment.get(name)).map(str::to_owned)
}

impl Address {
    fn new(url: &str, key: Option<String>) -> Result<Self> {
        let base = url.trim().trim_end_matches('/');
        let base = base.strip_suffix("/v1").or_else(|| base.strip_suffix(ROOT.trim_end_matches('/'))).unwrap_or(base);
        let fit = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
        match base.parse::<Uri>() {
            Ok(uri) if fit(&uri) => {}
            _ => bail!("`{url}` is no address of a gateway; write it as http://127.0.0.1:7659"),
        }
        // Nobody reaches this machine through a proxy.
        let host = base.parse::<Uri>().ok().and_then(|uri| Some(uri.host()?.trim_matches(['[', ']']).to_owned()));
        let here = host.is_some_and(|host| {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        let proxy = if here { ProxySettings::Direct } else { ProxySettings::Environment };
        let client = Client::new(&ClientSettings { proxy, ..ClientSettings::default() })?;
        Ok(Self { base: base.to_owned(), key: key.map(Secret::new), client })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Answer> {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or(ROOT, PathAndQuery::as_str);
        if let Some(key) = &self.key {
            let value = HeaderValue::from_str(&format!("Bearer {}", key.expose()));
            let mut value = value.map_err(|_| anyhow!("the admin key holds characters that no key has"))?;
            value.set_sensitive(true);
            head.headers.insert(http::header::AUTHORIZATION, value);
        }
        let uri = format!("{}{path}", self.base).parse()?;
        let request =
            ProviderRequest { method: head.method, uri, headers: head.headers, body: RequestBody::from(body) };
        let response =
            self.client.send(request).await.map_err(|error| {
                anyhow!("{error}; does a gateway run at {}? (`polyport serve` starts one)", self.base)
            })?;
        Ok(Answer { status: response.status, headers: response.headers, body: Body::Remote(response.body) })
    }
}

/// Sends a request on a connection of its own.
async fn direct(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, request: Request<Bytes>) -> Result<Answer> {
    let mut request = request.map(Full::new);
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let mut connection: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> = Box::pin(connection);
    let response = {
        let mut sent = pin!(sender.send_request(request));
        tokio::select! {
            biased;
            response = &mut sent => response?,
            ended = &mut connection => {
                ended?;
                sent.await?
            }
        }
    };
    let (head, body) = response.into_parts();
    let body = Body::Direct { body, connection: Some(connection) };
    Ok(Answer { status: head.status, headers: head.headers, body })
}
