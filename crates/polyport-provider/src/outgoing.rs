//! Bodies of requests: bytes that are here, or a stream of known length.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of a request. It is sent with its length.
pub struct RequestBody(Inner);

enum Inner {
    Whole(Option<Bytes>),
    /// Read as it is sent; `left` bytes are still to come.
    Pieces {
        pieces: Pieces,
        left: u64,
    },
}

impl RequestBody {
    /// A body that is read while it is sent. The pieces must have `length` bytes in all.
    pub fn of_pieces(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static, length: u64) -> Self {
        Self(Inner::Pieces { pieces: Box::pin(pieces), left: length })
    }

    /// The bytes of a body that is whole and not sent yet.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Inner::Whole(bytes) => bytes.as_ref(),
            Inner::Pieces { .. } => None,
        }
    }

    /// Whether it is read while it is sent: it is large, and sending it takes a while.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        matches!(self.0, Inner::Pieces { .. })
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Whole((!bytes.is_empty()).then_some(bytes)))
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestBody")
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Pieces { pieces, left } => pieces.as_mut().poll_next(cx).map(|next| {
                next.map(|piece| {
                    let piece = piece?;
                    *left = left.saturating_sub(piece.len() as u64);
                    Ok(Frame::data(piece))
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Pieces { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Inner::Whole(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Inner::Pieces { left, .. } => *left,
        })
    }
}
