//! A gateway on a port of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use polyport_provider::{ClientSettings, Endpoint, ProxySettings};
use polyport_routing::{Catalog, TargetSpec};
use polyport_server::config::provider::{HttpService, Service};
use polyport_server::config::{Config, Listen, Provider};
use polyport_server::{Handle, Server};
use polyport_testkit::provider::FakeProvider;
use polyport_types::Protocol;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running gateway; dropping it stops it.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Gateway {
    /// Starts with this configuration on a port the system chooses.
    pub(crate) async fn start(mut config: Config) -> Self {
        config.listen = Listen { port: 0, ..Listen::default() };
        Self::run(Server::bind(Arc::new(config)).await.unwrap())
    }

    /// Runs this one.
    pub(crate) fn run(server: Server) -> Self {
        let (address, handle) = (server.address(), server.handle());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
        Self { address, handle, stop: Some(stop), running }
    }

    /// One model `m` at one provider.
    pub(crate) async fn to(provider: &FakeProvider, protocol: Protocol) -> Self {
        Self::start(one(provider, protocol)).await
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.running).await.unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn begin_stop(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The sum of the samples of a figure whose labels hold all of `parts`.
pub(crate) fn sum(figures: &str, name: &str, parts: &[&str]) -> f64 {
    let of_name = figures.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    // Nothing at all adds up to less than zero.
    0.0 + of_name
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
}

/// A provider as a configuration names it.
pub(crate) fn provider(name: &str, protocol: Protocol, base_url: &str) -> Provider {
    let endpoint = Endpoint::new(protocol, base_url, false).unwrap();
    let mut provider = Provider::plain(name.to_owned(), endpoint);
    if let Service::Http(http) = &mut provider.service {
        http.client = ClientSettings { proxy: ProxySettings::Direct, ..ClientSettings::default() };
    }
    provider
}

/// The settings of a provider's connections and time limits.
pub(crate) fn http(provider: &mut Provider) -> &mut HttpService {
    match &mut provider.service {
        Service::Http(http) => http,
        Service::Process(_) | Service::Echo => unreachable!("this is no server"),
    }
}

/// Model `m` at this provider.
pub(crate) fn one(fake: &FakeProvider, protocol: Protocol) -> Config {
    several(vec![provider("up", protocol, &fake.base_url())])
}

/// Model `m` at these providers, in order; each also has the alias `NAME-m`.
pub(crate) fn several(providers: Vec<Provider>) -> Config {
    let mut catalog = Catalog::default();
    let mut targets = Vec::new();
    for (index, provider) in providers.iter().enumerate() {
        catalog = catalog.with_provider(provider.name.clone(), provider.protocol(), Vec::new(), Vec::new());
        let to = format!("{}/m", provider.name);
        targets.push(TargetSpec { priority: u32::try_from(index + 1).unwrap(), ..TargetSpec::new(to.clone()) });
        catalog = catalog.with_model(format!("{}-m", provider.name), vec![TargetSpec::new(to)]);
    }
    Config::new(providers, catalog.with_model("m", targets).check().unwrap())
}

/// A small request of each protocol: path and body.
pub(crate) fn request(protocol: polyport_types::ClientProtocol, stream: bool) -> (&'static str, Value) {
    use polyport_types::ClientProtocol::{Chat, Gemini, Messages, Responses};
    match protocol {
        Chat => (
            "/v1/chat/completions",
            json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        Responses => ("/v1/responses", json!({"model": "m", "stream": stream, "input": "hi", "store": false})),
        Messages => (
            "/v1/messages",
            json!({"model": "m", "stream": stream, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        Gemini => (
            if stream { "/v1beta/models/m:streamGenerateContent?alt=sse" } else { "/v1beta/models/m:generateContent" },
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ),
    }
}

/// All files below a folder, and what is in them. What a database that ends has just deleted is not there.
pub(crate) fn files_below(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files_below(&path)),
            // Sockets hold nothing.
            false if !path.is_file() => {}
            false => match std::fs::read(&path) {
                Ok(bytes) => found.push((path, bytes)),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", path.display()),
            },
        }
    }
    found
}
