//! Sockets that this process did not open itself: its service manager did, or the process whose place it takes.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use tokio::net::TcpListener;

use super::ServeError;
use crate::config::{Config, Environment};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Clients,
    Figures,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Figures => "metrics",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        if name == Self::Figures.as_str() { Self::Figures } else { Self::Clients }
    }
}

/// A socket and how it came to be.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) role: Role,
    /// The address that the configuration gave; `None` if the service manager chose it.
    pub(crate) asked: Option<SocketAddr>,
    pub(crate) listener: StdListener,
}

/// Sockets that were there before.
#[derive(Debug, Default)]
pub struct Sockets(pub(crate) Vec<Passed>);

impl Sockets {
    /// Those that the service manager has opened (`LISTEN_FDS`). One that is called `metrics` there is for the figures, all others are for
    /// clients.
    ///
    /// # Errors
    /// If one of them is no TCP socket.
    #[cfg(unix)]
    pub fn of_service_manager(environment: &Environment) -> io::Result<Self> {
        if environment.get("LISTEN_FDS").is_none() {
            return Ok(Self::default());
        }
        let names = environment.get("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = listenfd::ListenFd::from_env();
        let mut found = Vec::new();
        for at in 0..passed.len() {
            let role = Role::named(names.next().unwrap_or_default());
            if let Some(listener) = passed.take_tcp_listener(at)? {
                found.push(Passed { role, asked: None, listener });
            }
        }
        Ok(Self(found))
    }

    /// Nobody passes any here.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn of_service_manager(_: &Environment) -> io::Result<Self> {
        Ok(Self::default())
    }

    /// Those of a kind that fit what the configuration says.
    fn take(&mut self, role: Role, wanted: SocketAddr) -> Vec<Passed> {
        let fits = |passed: &Passed| {
            let is_there = || passed.listener.local_addr().is_ok_and(|address| address == wanted);
            passed.role == role && (passed.asked.is_none_or(|asked| asked == wanted) || is_there())
        };
        self.0.extract_if(.., |passed| fits(passed)).collect()
    }
}

/// Where this process listens.
#[derive(Debug)]
pub(crate) struct Listening {
    /// At least one.
    pub(crate) clients: Vec<TcpListener>,
    /// The address that the configuration gave for each; `None` if the service manager chose it.
    asked: Vec<Option<SocketAddr>>,
    pub(crate) figures: Option<Arc<TcpListener>>,
    figures_asked: Option<SocketAddr>,
}

impl Listening {
    /// Takes what fits of the sockets that are there, and opens what is missing.
    pub(crate) async fn open(config: &Config, mut there: Sockets) -> Result<Self, ServeError> {
        let (mut clients, mut asked) = (Vec::new(), Vec::new());
        for address in config.listen.all() {
            let is_there = |one: &TcpListener| one.local_addr().is_ok_and(|there| there == address);
            if clients.iter().any(is_there) {
                continue;
            }
            let passed = there.take(Role::Clients, address);
            if passed.is_empty() {
                clients.push(bind(address, &there).await?);
                asked.push(Some(address));
            }
            for passed in passed {
                asked.push(passed.asked);
                clients.push(take(passed, address.ip())?);
            }
        }
        let (mut figures, mut figures_asked) = (None, None);
        if let Some(address) = config.metrics.listen {
            let passed = there.take(Role::Figures, address).into_iter().next();
            figures_asked = passed.as_ref().map_or(Some(address), |passed| passed.asked);
            figures = Some(Arc::new(match passed {
                Some(passed) => take(passed, address.ip())?,
                None => bind(address, &there).await?,
            }));
        }
        for unused in &there.0 {
            let address = unused.listener.local_addr().ok();
            tracing::info!(?address, "a socket that was passed to this process is not used");
        }
        Ok(Self { clients, asked, figures, figures_asked })
    }

    /// All sockets, with what they are for and where they were meant to be.
    #[cfg(unix)]
    pub(crate) fn all(&self) -> impl Iterator<Item = (Role, Option<SocketAddr>, &TcpListener)> {
        let figures = self.figures.iter().map(|listener| (Role::Figures, self.figures_asked, &**listener));
        let clients = self.clients.iter().zip(&self.asked);
        clients.map(|(listener, asked)| (Role::Clients, *asked, listener)).chain(figures)
    }
}

async fn bind(address: SocketAddr, there: &Sockets) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|error| {
        let in_the_way = || {
            let mut there = there.0.iter().filter_map(|passed| passed.listener.local_addr().ok());
            there.find(|there| there.port() == address.port())
        };
        match (error.kind(), in_the_way()) {
            (io::ErrorKind::AddrInUse, Some(there)) => ServeError::Moved { address, there },
            _ => ServeError::Bind { address, error },
        }
    })
}

/// What may be reached from other machines must have been checked as such, whoever opened the socket.
fn take(passed: Passed, configured: IpAddr) -> Result<TcpListener, ServeError> {
    let address = passed.listener.local_addr().map_err(ServeError::Passed)?;
    if configured.is_loopback() && !address.ip().to_canonical().is_loopback() {
        return Err(ServeError::Exposed { address, configured });
    }
    passed.listener.set_nonblocking(true).map_err(ServeError::Passed)?;
    TcpListener::from_std(passed.listener).map_err(ServeError::Passed)
}

/// The next connection at any of the sockets. `turn` says which of them is looked at first.
pub(crate) async fn accept(
    listeners: &[TcpListener],
    turn: &mut usize,
) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    *turn = turn.wrapping_add(1);
    let first = *turn;
    std::future::poll_fn(|cx| {
        let order = listeners.iter().cycle().skip(first % listeners.len().max(1)).take(listeners.len());
        for listener in order {
            if let ready @ std::task::Poll::Ready(_) = listener.poll_accept(cx) {
                return ready;
            }
        }
        std::task::Poll::Pending
    })
    .await
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::config::{Arguments, Purpose, Source};

    #[tokio::test]
    async fn another_address_with_the_port_of_before_is_told_as_such() {
        let before = StdListener::bind("127.0.0.1:0").unwrap();
        let there = before.local_addr().unwrap();
        let text = format!(
            "discover: false\nserver: {{ host: 0.0.0.0, port: {} }}\naccess: {{ keys: [pp-own-0123456789abcdef] }}\n",
            there.port()
        );
        let source = Source::new(None, Environment::of([], "/nowhere"), Arguments::default());
        let config = source.load_text(&text, &[], Purpose::Inspect).unwrap().config;
        let passed = Passed { role: Role::Clients, asked: Some(there), listener: before.try_clone().unwrap() };
        let told = Listening::open(&config, Sockets(vec![passed])).await.unwrap_err().to_string();
        assert!(told.contains(&there.to_string()) && told.contains("start it again"), "{told}");
        let told = Listening::open(&config, Sockets::default()).await.unwrap_err().to_string();
        assert!(told.contains("another program uses this port"), "{told}");
    }
}
