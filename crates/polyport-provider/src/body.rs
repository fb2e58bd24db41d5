//! Bodies of answers, decompressed on the way.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures_util::Stream;
use http::HeaderValue;
use hyper::body::{Body as _, Incoming};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// The body of an answer. Dropping it ends the call at the provider.
pub struct ProviderBody(Inner);

enum Inner {
    Plain(Incoming),
    Made(Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>),
    /// The encoding is none we know.
    Unknown(String),
    Whole(Option<Bytes>),
    /// Somebody reads along.
    Watched(Box<Watched>),
}

/// Reads along in a body.
pub trait Watch: Send {
    /// The next bytes.
    fn chunk(&mut self, bytes: &Bytes);

    /// It is over: all of it was there, or it broke off. Without this call nobody wanted the rest.
    fn end(&mut self, whole: bool);
}

struct Watched {
    body: ProviderBody,
    /// None once the end was told.
    watch: Option<Box<dyn Watch>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(mut watch) = self.watch.take().filter(|_| self.body.is_end()) {
            watch.end(true);
        }
    }
}

/// A body broke off.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct BodyError(String);

impl ProviderBody {
    pub(crate) fn incoming(body: Incoming, encoding: Option<&HeaderValue>) -> Self {
        let encoding = encoding.map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase());
        Self(match encoding.as_deref() {
            None | Some("" | "identity") => Inner::Plain(body),
            Some("gzip" | "x-gzip") => decoded(GzipDecoder::new(reader(body))),
            Some("br") => decoded(BrotliDecoder::new(reader(body))),
            Some("zstd") => decoded(ZstdDecoder::new(reader(body))),
            Some(other) => Inner::Unknown(other.chars().take(40).collect()),
        })
    }

    /// A body that is already there.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self(Inner::Whole(Some(bytes)))
    }

    /// The same body, with somebody who reads along.
    #[must_use]
    pub fn watched(self, watch: Box<dyn Watch>) -> Self {
        Self(Inner::Watched(Box::new(Watched { body: self, watch: Some(watch) })))
    }

    /// A body that is made while it is read.
    #[must_use]
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(Inner::Made(Box::pin(stream)))
    }

    /// The next bytes; `None` at the end.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        match &mut self.0 {
            Inner::Plain(body) => loop {
                match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => return Poll::Ready(Some(Ok(data))),
                        // Trailers hold nothing for us.
                        Err(_) => {}
                    },
                    Some(Err(error)) => return Poll::Ready(Some(Err(BodyError(deepest(&error))))),
                    None => return Poll::Ready(None),
                }
            },
            Inner::Made(stream) => {
                let next = ready!(stream.as_mut().poll_next(cx));
                Poll::Ready(next.map(|result| result.map_err(|error| BodyError(deepest(&error)))))
            }
            Inner::Unknown(encoding) => {
                Poll::Ready(Some(Err(BodyError(format!("its content-encoding `{encoding}` is not known")))))
            }
            Inner::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Inner::Watched(watched) => {
                let polled = ready!(watched.body.poll_chunk(cx));
                match &polled {
                    Some(Ok(bytes)) => watched.watch.iter_mut().for_each(|watch| watch.chunk(bytes)),
                    ended => {
                        if let Some(mut watch) = watched.watch.take() {
                            watch.end(ended.is_none());
                        }
                    }
                }
                Poll::Ready(polled)
            }
        }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`BodyError`] when it broke off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// Whether all bytes were delivered already: true at the latest after the end was seen.
    #[must_use]
    pub fn is_end(&self) -> bool {
        match &self.0 {
            Inner::Plain(body) => body.is_end_stream(),
            Inner::Whole(bytes) => bytes.is_none(),
            Inner::Watched(watched) => watched.body.is_end(),
            Inner::Made(_) | Inner::Unknown(_) => false,
        }
    }
}

impl fmt::Debug for ProviderBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderBody")
    }
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}

/// The compressed bytes as a reader.
fn reader(body: Incoming) -> StreamReader<Chunks, Bytes> {
    StreamReader::new(Chunks(body))
}

fn decoded(reader: impl AsyncRead + Send + 'static) -> Inner {
    Inner::Made(Box::pin(ReaderStream::with_capacity(reader, 16 * 1024)))
}

struct Chunks(Incoming);

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                None => return Poll::Ready(None),
            }
        }
    }
}
