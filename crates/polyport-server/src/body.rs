//! Bodies of answers to clients.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::listen::InFlight;
use crate::relay::RelayBody;

/// A body on its way to a client.
#[derive(Debug)]
pub(crate) struct Body {
    source: Source,
    /// Tells the connection that a request is open until the answer is gone.
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Source {
    /// All of it is here; `None` once it is handed over.
    Whole(Option<Bytes>),
    /// It comes from a provider.
    Relay(Box<RelayBody>),
}

impl Body {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Source::Whole(None).into()
    }

    /// Keeps the request open on its connection until the body is gone.
    pub(crate) fn keep(&mut self, in_flight: InFlight) {
        self.in_flight = Some(in_flight);
    }
}

impl From<Source> for Body {
    fn from(source: Source) -> Self {
        Self { source, in_flight: None }
    }
}

impl From<Box<RelayBody>> for Body {
    fn from(relay: Box<RelayBody>) -> Self {
        Source::Relay(relay).into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Source::Whole((!bytes.is_empty()).then_some(bytes)).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().source {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Relay(relay) => relay.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Relay(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Relay(_) => SizeHint::default(),
        }
    }
}
