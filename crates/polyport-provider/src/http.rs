//! The only HTTP client: TLS, proxies, pooling, time limits on connecting. Follows no redirects.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{HeaderValue, PROXY_AUTHORIZATION};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::Service;

use crate::body::ProviderBody;
use crate::outgoing::RequestBody;
use crate::reach::{Guarded, Reach};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Settings of a client. One client serves all providers that share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientSettings {
    /// TCP, proxy and TLS handshakes together.
    pub connect_timeout: Duration,
    /// An idle connection is closed after this time; below the keep-alive of most servers.
    pub pool_idle_timeout: Duration,
    /// Which proxy to use.
    pub proxy: ProxySettings,
    /// Which addresses may be connected to. What stands behind a proxy is looked up there, but for addresses that are written out.
    pub reach: Reach,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(50),
            proxy: ProxySettings::Environment,
            reach: Reach::Anywhere,
        }
    }
}

/// Which proxy a client uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProxySettings {
    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one (`http://…`, `socks5://…`), for every provider address.
    Url(String),
}

/// A client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The proxy's address is not understood.
    #[error("the proxy's address is not understood: use http://host:port or socks5://host:port")]
    Proxy,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The provider could not be reached: name, route, refused, reset.
    #[error("cannot connect to {authority}: {reason}")]
    Connect {
        /// Host and port.
        authority: String,
        /// The system's words.
        reason: String,
    },
    /// Connecting (TCP, proxy, TLS) took too long.
    #[error("connecting to {authority} took longer than {limit:?}")]
    ConnectTimeout {
        /// Host and port.
        authority: String,
        /// The limit.
        limit: Duration,
    },
    /// The server's certificate is not to be trusted.
    #[error("the certificate of {authority} is not trusted: {reason}")]
    Certificate {
        /// Host and port.
        authority: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The connection was lost, or the answer is no HTTP.
    #[error("the connection to {authority} failed: {reason}")]
    Broken {
        /// Host and port.
        authority: String,
        /// What happened.
        reason: String,
    },
}

/// A request to a provider.
#[derive(Debug)]
pub struct ProviderRequest {
    /// Usually POST.
    pub method: Method,
    /// Where to.
    pub uri: Uri,
    /// Everything but `host` and `content-length`.
    pub headers: HeaderMap,
    /// The body; sent with its length.
    pub body: RequestBody,
}

/// The head of an answer, and its body as it comes.
#[derive(Debug)]
pub struct ProviderResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers as received.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: ProviderBody,
}

/// A pool of connections to providers. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<Deadline<Connector>, RequestBody>,
    matcher: Option<Arc<Matcher>>,
    connect_timeout: Duration,
}

impl Client {
    /// A client with its own pool.
    ///
    /// # Errors
    /// [`ClientError`] if the proxy cannot be set up.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        let matcher = match &settings.proxy {
            ProxySettings::Environment => Some(Arc::new(Matcher::from_env())),
            ProxySettings::Direct => None,
            ProxySettings::Url(url) => {
                let known = ["http://", "socks5://", "socks5h://"].iter().any(|scheme| url.starts_with(scheme));
                if !known {
                    return Err(ClientError::Proxy);
                }
                Some(Arc::new(Matcher::builder().all(url.clone()).build()))
            }
        };
        let tcp = |reach: Reach| {
            let mut tcp = HttpConnector::new_with_resolver(Guarded { inner: GaiResolver::new(), reach });
            tcp.enforce_http(false);
            tcp.set_nodelay(true);
            tcp.set_connect_timeout(Some(settings.connect_timeout));
            tcp.set_keepalive(Some(Duration::from_secs(60)));
            tcp
        };
        // The environment's proxy is the operator's choice, and most often inside.
        let of_proxy = match &settings.proxy {
            ProxySettings::Environment | ProxySettings::Direct => Reach::Anywhere,
            ProxySettings::Url(_) => settings.reach.clone(),
        };
        let plain = ProxyConnector {
            tcp: tcp(settings.reach.clone()),
            to_proxy: tcp(of_proxy.clone()),
            matcher: matcher.clone(),
            reach: settings.reach.clone(),
            of_proxy,
        };
        let connector = Deadline { inner: Connector { plain, tls: Arc::default() }, limit: settings.connect_timeout };
        #[allow(clippy::disallowed_methods, reason = "this is the one place")]
        let mut builder = Pool::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(settings.pool_idle_timeout)
            .pool_max_idle_per_host(256)
            .http1_max_headers(256)
            .http2_adaptive_window(true)
            // Until the server says how many streams it allows, it may allow but one.
            .http2_initial_max_send_streams(1)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(20))
            .http2_max_header_list_size(64 * 1024);
        Ok(Self { pool: builder.build(connector), matcher, connect_timeout: settings.connect_timeout })
    }

    /// Sends a request and waits for the head of the answer. Dropping the future, or later the body, ends the call at the provider.
    ///
    /// # Errors
    /// [`SendError`]; a status above 399 is no error here.
    pub async fn send(&self, request: ProviderRequest) -> Result<ProviderResponse, SendError> {
        let authority = request.uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default();
        let mut outgoing = Request::new(request.body);
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = request.uri;
        *outgoing.headers_mut() = request.headers;
        self.authorize_plain_proxy(&mut outgoing);
        match self.pool.request(outgoing).await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let body = ProviderBody::incoming(body, head.headers.get(http::header::CONTENT_ENCODING));
                Ok(ProviderResponse { status: head.status, headers: head.headers, body })
            }
            Err(error) => Err(self.explain(&error, authority)),
        }
    }

    /// Plain requests through an HTTP proxy carry its credentials themselves; tunnels carry them in their CONNECT.
    fn authorize_plain_proxy(&self, request: &mut Request<RequestBody>) {
        if request.uri().scheme_str() != Some("http") {
            return;
        }
        let intercept = self.matcher.as_ref().and_then(|matcher| matcher.intercept(request.uri()));
        if let Some(auth) = intercept.as_ref().and_then(|intercept| intercept.basic_auth()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, auth.clone());
        }
    }

    fn explain(&self, error: &hyper_util::client::legacy::Error, authority: String) -> SendError {
        let mut reason = String::new();
        let mut source: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(outer) = source {
            let inner = unpacked(outer);
            let timed_out = |error: &(dyn StdError + 'static)| {
                error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
            };
            if inner.downcast_ref::<ConnectTimedOut>().is_some() {
                return SendError::ConnectTimeout { authority, limit: self.connect_timeout };
            }
            if let Some(rustls::Error::InvalidCertificate(why)) = inner.downcast_ref() {
                return SendError::Certificate { authority, reason: format!("{why:?}") };
            }
            if timed_out(outer) || timed_out(inner) {
                return SendError::ConnectTimeout { authority, limit: self.connect_timeout };
            }
            reason = inner.to_string();
            source = inner.source();
        }
        if reason.is_empty() {
            reason = error.to_string();
        }
        if error.is_connect() {
            SendError::Connect { authority, reason }
        } else {
            SendError::Broken { authority, reason }
        }
    }
}

/// What an I/O error was made of, through any number of layers: its `source` passes over that.
fn unpacked<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut error = error;
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    error
}

/// Trusts what the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` included); without any system store, the public roots.
fn tls_config() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    match builder.clone().try_with_platform_verifier() {
        Ok(config) => Ok(config.with_no_client_auth()),
        Err(_) => Ok(builder.with_webpki_roots().with_no_client_auth()),
    }
}

/// Connects, with TLS where the address asks for it. What that needs is made for the first such address: reading the roots that the
/// system trusts takes longer than all else at the start.
#[derive(Clone, Debug)]
struct Connector {
    plain: ProxyConnector,
    tls: Arc<OnceLock<Result<HttpsConnector<ProxyConnector>, rustls::Error>>>,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.plain.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        if to.scheme() == Some(&Scheme::HTTP) {
            let connecting = self.plain.call(to);
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(connecting.await?)) });
        }
        let (plain, tls) = (self.plain.clone(), Arc::clone(&self.tls));
        Box::pin(async move {
            let made = match tls.get() {
                Some(made) => made.clone(),
                None => tokio::task::spawn_blocking(move || tls.get_or_init(|| with_tls(plain)).clone()).await?,
            };
            made?.call(to).await
        })
    }
}

fn with_tls(plain: ProxyConnector) -> Result<HttpsConnector<ProxyConnector>, rustls::Error> {
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls_config()?);
    Ok(builder.https_or_http().enable_all_versions().wrap_connector(plain))
}

/// Bounds the whole of connecting, handshakes included.
#[derive(Clone, Debug)]
struct Deadline<C> {
    inner: C,
    limit: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("connecting took too long")]
struct ConnectTimedOut;

impl<C> Service<Uri> for Deadline<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.inner.call(to);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(result) => result.map_err(Into::into),
                Err(_) => Err(ConnectTimedOut.into()),
            }
        })
    }
}

/// Connects directly, through an HTTP proxy (tunnel for https, plain otherwise) or through SOCKS5.
#[derive(Clone, Debug)]
struct ProxyConnector {
    tcp: HttpConnector<Guarded<GaiResolver>>,
    to_proxy: HttpConnector<Guarded<GaiResolver>>,
    matcher: Option<Arc<Matcher>>,
    reach: Reach,
    of_proxy: Reach,
}

impl Service<Uri> for ProxyConnector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        // Addresses that are written out are not looked up.
        if let Err(error) = self.reach.check(to.host().unwrap_or_default()) {
            return Box::pin(async { Err(error.into()) });
        }
        let mut tcp = self.tcp.clone();
        let Some(intercept) = self.matcher.as_ref().and_then(|matcher| matcher.intercept(&to)) else {
            return Box::pin(async move { Ok(Stream { io: tcp.call(to).await?, plain_proxy: false }) });
        };
        let proxy = intercept.uri().clone();
        if let Err(error) = self.of_proxy.check(proxy.host().unwrap_or_default()) {
            return Box::pin(async { Err(error.into()) });
        }
        let mut tcp = self.to_proxy.clone();
        match proxy.scheme_str() {
            Some("socks5" | "socks5h") => {
                let mut socks = SocksV5::new(proxy, tcp);
                if let Some((user, password)) = intercept.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                Box::pin(async move { Ok(Stream { io: socks.call(to).await?, plain_proxy: false }) })
            }
            Some("http") if to.scheme_str() == Some("https") => {
                let mut tunnel = Tunnel::new(proxy, tcp);
                if let Some(auth) = intercept.basic_auth() {
                    let auth: HeaderValue = auth.clone();
                    tunnel = tunnel.with_auth(auth);
                }
                Box::pin(async move { Ok(Stream { io: tunnel.call(to).await?, plain_proxy: false }) })
            }
            Some("http") => Box::pin(async move { Ok(Stream { io: tcp.call(proxy).await?, plain_proxy: true }) }),
            _ => Box::pin(async { Err("the proxy must be http:// or socks5://".into()) }),
        }
    }
}

/// A TCP connection to a provider or to a proxy.
#[derive(Debug)]
struct Stream {
    io: TokioIo<TcpStream>,
    /// Requests must name the whole address.
    plain_proxy: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.plain_proxy)
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
