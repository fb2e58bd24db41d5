//! The address of the figures alone.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use polyport_types::ClientProtocol;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::ACCEPT_PAUSE;
use crate::app::App;
use crate::body::Body;
use crate::id::RequestId;
use crate::ingress::{access, plain};
use crate::{error, observe};

/// Connections at once: whoever collects figures needs one.
const CONNECTIONS: usize = 16;

/// A connection ends after this time, whatever happens on it. Collectors open another.
const LONGEST: Duration = Duration::from_secs(300);

/// Time to send a request's head.
const HEAD: Duration = Duration::from_secs(10);

/// Answers until `leaving`, when open connections are closed after their answer.
pub(super) async fn serve(app: Arc<App>, listener: Arc<TcpListener>, leaving: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let tasks = app.tasks.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            () = leaving.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "accept failed where figures are read");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (app, leaving) = (Arc::clone(&app), leaving.clone());
        tasks.spawn(async move {
            let _place = place;
            let cut = app.cut.clone();
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                ended = tokio::time::timeout(LONGEST, connection(app, stream, leaving)) => {
                    if let Ok(Err(error)) = ended {
                        debug!(%error, "connection ended where figures are read");
                    }
                }
            }
        });
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, leaving: CancellationToken) -> hyper::Result<()> {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(&app, request);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        biased;
        () = leaving.cancelled() => connection.as_mut().graceful_shutdown(),
        ended = &mut connection => return ended,
    }
    connection.await
}

fn answer(app: &App, request: Request<Incoming>) -> Response<Body> {
    let (head, _) = request.into_parts();
    let id = RequestId::new();
    let known = matches!(head.method, Method::GET | Method::HEAD) && head.uri.path() == "/metrics";
    let response = match access::reads_figures(app, &app.runtime(), &head) {
        Ok(()) if known => plain::figures(app, &head),
        Ok(()) => {
            let mut response = Response::new(Body::from("figures are at /metrics\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        Err(fault) => error::answer(ClientProtocol::Chat, &fault, &id),
    };
    observe::ended(tracing::Level::DEBUG, &id, &head.method, head.uri.path(), response.status());
    response
}
