//! Bodies of answers to clients.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use polyport_recording::End;
use polyport_types::Text;
use tokio::sync::mpsc;

use crate::ingress::completions::CompletionsBody;
use crate::ingress::forward::ForwardBody;
use crate::ingress::idempotency::Ticket;
use crate::listen::InFlight;
use crate::recorder::{self, Tape};
use crate::relay::RelayBody;

/// A body on its way to a client.
#[derive(Debug)]
pub(crate) struct Body {
    source: Source,
    /// Tells the connection that a request is open until the answer is gone.
    in_flight: Option<InFlight>,
    /// Takes it down, for whoever asks the same again.
    noted: Option<Box<Ticket>>,
    /// Takes it down for a recording.
    tape: Option<Box<Recorded>>,
}

/// Takes a body down for a recording.
#[derive(Debug)]
struct Recorded {
    tape: Tape,
    id: Text,
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
    /// It is written while it is read; an error breaks it off.
    Written(mpsc::Receiver<Result<Bytes, ()>>),
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
            Source::Relay(_) | Source::Completions(_) | Source::Forward(_) | Source::Written(_) => None,
        }
    }

    /// The relay, of a body that streams.
    pub(crate) fn into_relay(self) -> Option<Box<RelayBody>> {
        match self.source {
            Source::Relay(relay) => Some(relay),
            Source::Whole(_) | Source::Completions(_) | Source::Forward(_) | Source::Written(_) => None,
        }
    }

    /// Has it taken down while it is read.
    pub(crate) fn noted(mut self, ticket: Box<Ticket>) -> Self {
        self.noted = Some(ticket);
        self
    }

    /// Has it taken down for a recording.
    pub(crate) fn record(&mut self, mut tape: Tape) {
        if self.is_end_stream() {
            tape.end(End::Complete);
        } else if let Some(id) = tape.id() {
            self.tape = Some(Box::new(Recorded { tape, id }));
        }
    }

    fn take_down(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, Aborted>>>) {
        // Of a whole body nobody asks for the end.
        let whole = matches!(self.source, Source::Whole(None));
        let Some(recorded) = &mut self.tape else { return };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                frame.data_ref().into_iter().for_each(|bytes| recorded.tape.chunk(bytes));
                if whole {
                    recorded.tape.end(End::Complete);
                }
            }
            Poll::Ready(Some(Err(_))) => recorded.tape.end(End::Reset),
            Poll::Ready(None) => recorded.tape.end(End::Complete),
            Poll::Pending => {}
        }
    }

    fn note(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, Aborted>>>) {
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(noted), Some(bytes)) = (&mut self.noted, frame.data_ref()) {
                    noted.take(bytes);
                }
                // Of a whole body nobody asks for the end.
                if matches!(self.source, Source::Whole(None))
                    && let Some(noted) = self.noted.take()
                {
                    noted.finish();
                }
            }
            Poll::Ready(Some(Err(_))) => self.noted = None,
            Poll::Ready(None) => {
                let failed = matches!(&self.source, Source::Relay(relay) if relay.has_failed());
                if failed {
                    self.noted = None;
                }
                if let Some(noted) = self.noted.take() {
                    noted.finish();
                }
            }
            Poll::Pending => {}
        }
    }

    /// Keeps the request open on its connection until the body is gone.
    pub(crate) fn keep(&mut self, in_flight: InFlight) {
        self.in_flight = Some(in_flight);
    }
}

impl From<Source> for Body {
    fn from(source: Source) -> Self {
        Self { source, in_flight: None, noted: None, tape: None }
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

impl From<mpsc::Receiver<Result<Bytes, ()>>> for Body {
    fn from(pieces: mpsc::Receiver<Result<Bytes, ()>>) -> Self {
        Source::Written(pieces).into()
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

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relay(relay) => relay.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Completions(body) => body.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Forward(body) => body.poll_bytes(cx).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data))),
            Self::Written(pieces) => {
                pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(|()| Aborted)))
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = self.get_mut();
        let polled = match &this.tape {
            None => this.source.poll(cx),
            // The relay may ask a provider only now.
            Some(recorded) => {
                let source = &mut this.source;
                recorder::within(&recorded.id, || source.poll(cx))
            }
        };
        if this.tape.is_some() {
            this.take_down(&polled);
        }
        if this.noted.is_some() {
            this.note(&polled);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Relay(_) | Source::Completions(_) | Source::Forward(_) | Source::Written(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Relay(_) | Source::Completions(_) | Source::Forward(_) | Source::Written(_) => SizeHint::default(),
        }
    }
}
