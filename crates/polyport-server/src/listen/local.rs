//! Operators on this machine: whoever may open the socket in the data folder, or works on its database while no gateway runs. They use
//! the admin API without a key.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use polyport_store::{Store, Turn};
use polyport_types::{ClientProtocol, Fault, FaultClass};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tracing::debug;

use super::{ServeError, open, stop};
use crate::app::App;
use crate::config::Live;
use crate::id::RequestId;
use crate::ingress::Call;
use crate::ingress::peer::Peer;
use crate::registry::Registry;
use crate::{admin, error};

/// Time to send a request's head.
const HEAD: Duration = Duration::from_secs(10);

/// Bytes on their way in one direction, where both ends are in this process.
const BETWEEN: usize = 64 << 10;

/// Somebody who needs no key: they may read the data folder.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    /// Who they are to the system.
    pub(crate) name: String,
}

/// The socket of the gateway that uses a data folder.
#[must_use]
pub fn socket_of(data: &Path) -> PathBuf {
    data.join("polyport.sock")
}

/// The admin API of a data folder that no gateway uses, for commands. Nothing of it listens.
#[derive(Debug)]
pub struct Workbench {
    app: Arc<App>,
}

impl Workbench {
    /// Opens the folder. Without a store there is nothing to change, only to look at.
    ///
    /// # Errors
    /// [`ServeError`] says what is in the way.
    pub async fn open(live: &Arc<Live>, store: Option<Store>) -> Result<Self, ServeError> {
        let registry = match &store {
            Some(store) => Some(Registry::open(Arc::clone(live), store.clone()).await?),
            None => None,
        };
        Ok(Self { app: open(live.current(), store, registry, Turn::First).await? })
    }

    /// A connection on which HTTP/1.1 is spoken.
    #[must_use]
    pub fn connect(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(BETWEEN);
        let (app, operator) = (Arc::clone(&self.app), Operator { name: "command line".to_owned() });
        self.app.tasks.spawn(async move {
            connection(app, far, operator).await;
        });
        near
    }

    /// Writes what is left to write, and gives the folder back.
    pub async fn close(self) {
        self.app.cut.cancel();
        stop(&self.app).await;
    }
}

/// Answers on a connection until it ends, or the gateway does.
async fn connection(app: Arc<App>, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, operator: Operator) {
    let cut = app.cut.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, operator) = (Arc::clone(&app), operator.clone());
        Box::pin(async move { Ok::<_, Infallible>(answer(&app, request, operator).await) })
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    tokio::select! {
        biased;
        ended = http.serve_connection(TokioIo::new(io), service) => {
            if let Err(error) = ended {
                debug!(%error, "connection of an operator ended");
            }
        }
        () = cut.cancelled() => {}
    }
}

async fn answer(app: &Arc<App>, request: Request<Incoming>, operator: Operator) -> http::Response<crate::body::Body> {
    let (mut head, body) = request.into_parts();
    let id = RequestId::new();
    if !head.uri.path().starts_with(admin::ROOT) {
        let words = format!("only the admin API is here, below {}", admin::ROOT);
        return error::answer(ClientProtocol::Chat, &Fault::new(FaultClass::NotFound, words), &id);
    }
    head.extensions.insert(operator);
    head.extensions.insert(Peer::here());
    let (method, path) = (head.method.clone(), head.uri.path().to_owned());
    let response = admin::handle(Call::new(app, id.clone(), head, body)).await;
    let status: StatusCode = response.status();
    crate::observe::ended(tracing::Level::INFO, &id, &method, &path, status);
    response
}

#[cfg(unix)]
pub(super) use socket::serve;

#[cfg(unix)]
mod socket {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;
    use tracing::warn;

    use super::super::ACCEPT_PAUSE;
    use super::*;

    /// Connections at once: commands are few.
    const CONNECTIONS: usize = 64;

    /// While another gateway that shares the folder has the socket, it is looked this often whether it still does.
    const AGAIN: Duration = Duration::from_secs(5);

    /// Answers at the socket in the data folder until `end`. Where another gateway has it, which shares the folder, this waits for it to end;
    /// where that is one whose place this one `takes_over`, its file is replaced.
    pub(in super::super) async fn serve(app: Arc<App>, data: PathBuf, takes_over: bool, end: CancellationToken) {
        loop {
            match Socket::bind(&data, takes_over).await {
                Ok(Some(socket)) => return socket.serve(app, end).await,
                Ok(None) => debug!("another gateway has the socket of the data folder"),
                Err(error) => {
                    warn!(%error, "commands need an admin key: there is no socket in the data folder");
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = end.cancelled() => return,
            }
        }
    }

    /// The socket in the data folder; its file is removed when the gateway ends.
    #[derive(Debug)]
    struct Socket {
        listener: UnixListener,
        path: PathBuf,
        /// Tells the file from one that somebody else has put there.
        inode: u64,
    }

    impl Socket {
        /// Listens there, for nobody but the owner of the folder. `None` where another gateway does, which shares the folder; where that is
        /// one whose place this one `takes_over`, its file is replaced.
        ///
        /// # Errors
        /// Where the system does not allow it; a folder with a long name is too long for a socket.
        async fn bind(data: &Path, takes_over: bool) -> io::Result<Option<Self>> {
            let path = socket_of(data);
            if !takes_over && UnixStream::connect(&path).await.is_ok() {
                return Ok(None);
            }
            let new = path.with_extension("new");
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // The folder is its owner's alone, so that nobody is faster than the change of rights.
            let listener = UnixListener::bind(&new)?;
            std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
            // In the place of one that nobody answers any more, or soon.
            std::fs::rename(&new, &path)?;
            let inode = std::fs::symlink_metadata(&path)?.ino();
            Ok(Some(Self { listener, path, inode }))
        }

        /// Answers until `end`.
        async fn serve(self, app: Arc<App>, end: CancellationToken) {
            let places = Arc::new(Semaphore::new(CONNECTIONS));
            let tasks = app.tasks.clone();
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = end.cancelled() => break,
                    accepted = self.listener.accept() => accepted,
                };
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "accept failed at the socket of the data folder");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let Some(operator) = operator(&stream) else { continue };
                let app = Arc::clone(&app);
                tasks.spawn(async move {
                    let _place = place;
                    connection(app, stream, operator).await;
                });
            }
            // Another process may have its own there by now.
            if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
                std::fs::remove_file(&self.path).ok();
            }
        }
    }

    /// Who is at the other end, if they may be: the owner of this process, or root.
    fn operator(stream: &UnixStream) -> Option<Operator> {
        let user = stream.peer_cred().ok()?.uid();
        let own = rustix::process::geteuid().as_raw();
        (user == own || user == 0).then(|| Operator { name: format!("uid {user}") })
    }
}
