//! From HTTP to the relay: who calls, what the body is, which route.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod framing;
pub(crate) mod generate;
pub(crate) mod plain;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Response};
use hyper::body::Incoming;
use polyport_types::{ClientProtocol, Fault};

use crate::app::{App, Runtime};
use crate::body::Body;
use crate::error;
use crate::id::RequestId;

/// A request whose head is known.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) id: RequestId,
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
}

impl Call {
    pub(crate) fn new(app: &Arc<App>, id: RequestId, head: Parts, body: Incoming) -> Self {
        Self { app: Arc::clone(app), runtime: app.runtime_owned(), id, head, body }
    }

    /// The client's headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// An error in the client's protocol.
    pub(crate) fn refuse(&self, protocol: ClientProtocol, fault: &Fault) -> Response<Body> {
        error::answer(protocol, fault, &self.id)
    }
}
