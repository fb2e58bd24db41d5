//! Bodies of answers to clients.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::ingress::completions::CompletionsBody;
use crate::ingress::forward::ForwardBody;
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
    /// The same, each chunk rewritten.
    Completions(Box<CompletionsBody>),
    /// It comes from a provider as it is.
    Forward(Box<ForwardBody>),
}

/// The provider's body broke off: the client's connection is closed, so that nobody takes the part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("the provider's answer broke off")]
pub(crate) struct Aborted;

impl Body {
    /// All bytes, of a body that is already whole.
    pub(crate) fn into_whole(self) -> Option<Bytes> {
        match self.source {
            Source::Whole(bytes) => Some(bytes.unwrap_or_default()),
            Source::Relay(_) | Source::Completions(_) | Source::Forward(_) => None,
        }
    }

    /// The relay, of a body that streams.
    pub(crate) fn into_relay(self) -> Option<Box<RelayBody>> {
        match self.source {
            Source::Relay(relay) => Some(relay),
            Source::Whole(_) | Source::Completions(_) | Source::Forward(_) => None,
        }
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

impl From<Box<CompletionsBody>> for Body {
    fn from(body: Box<CompletionsBody>) -> Self {
        Source::Completions(body).into()
    }
}

impl From<Box<ForwardBody>> for Body {
    fn from(body: Box<ForwardBody>) -> Self {
        Source::Forward(body).into()
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
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut self.get_mut().source {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Relay(relay) => relay.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
            Source::Completions(body) => body.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
            Source::Forward(body) => body.poll_bytes(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Relay(_) | Source::Completions(_) | Source::Forward(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Relay(_) | Source::Completions(_) | Source::Forward(_) => SizeHint::default(),
        }
    }
}
