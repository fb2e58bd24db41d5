//! Reading a client's body: whole, within its bounds, decompressed.

use std::io;
use std::time::Duration;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZstdDecoder};
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use polyport_types::{Fault, FaultClass};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

use crate::config::Limits;

/// Small bodies may grow by more than the factor allowed: up to this many bytes.
const EXPANSION_FREE: usize = 1 << 20;

/// Decompressing lets other tasks run after this many bytes.
const SLICE: usize = 256 << 10;

/// The rate of a body is measured over this time.
const WINDOW: Duration = Duration::from_secs(10);

/// How much may be read, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// Bytes, as sent and decompressed.
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
    /// Bytes a second it must bring.
    pub(crate) rate: usize,
    /// By which factor decompression may make it larger.
    pub(crate) expansion: usize,
}

impl BodyLimits {
    /// Those of a configuration, for a body of so many bytes.
    pub(crate) fn new(limits: &Limits, bytes: usize) -> Self {
        Self { bytes, time: limits.body_time, rate: limits.body_rate, expansion: limits.expansion }
    }
}

/// Reads the whole body.
///
/// # Errors
/// `TooLarge`, `RequestTimeout`, `UnsupportedMediaType`, or `BadRequest` for broken framing.
pub(crate) async fn read(head: &Parts, body: Incoming, limits: BodyLimits) -> Result<Bytes, Fault> {
    let encoding = encoding(head)?;
    let raw = collect(Arriving::new(head, body, limits)?, announced(head)).await?;
    match encoding {
        Encoding::Identity => Ok(raw),
        Encoding::Gzip => inflate(GzipDecoder::new(&*raw), raw.len(), limits).await,
        Encoding::Zstd => inflate(ZstdDecoder::new(&*raw), raw.len(), limits).await,
        Encoding::Brotli => inflate(BrotliDecoder::new(&*raw), raw.len(), limits).await,
    }
}

/// Whether the body is compressed.
pub(super) fn is_compressed(head: &Parts) -> bool {
    !matches!(encoding(head), Ok(Encoding::Identity))
}

enum Encoding {
    Identity,
    Gzip,
    Zstd,
    Brotli,
}

fn encoding(head: &Parts) -> Result<Encoding, Fault> {
    let mut values = head.headers.get_all(CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(Encoding::Identity) };
    let word = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
    match word.as_str() {
        _ if values.next().is_some() => Err(unsupported("several encodings")),
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        "br" => Ok(Encoding::Brotli),
        other => Err(unsupported(&other.chars().filter(|c| c.is_ascii_graphic()).take(40).collect::<String>())),
    }
}

fn unsupported(encoding: &str) -> Fault {
    Fault::new(
        FaultClass::UnsupportedMediaType,
        format!("the body's content-encoding `{encoding}` is not supported: use gzip, zstd, br or none"),
    )
}

fn too_large(limit: usize) -> Fault {
    let shown = if limit >= 1 << 20 { format!("{} MiB", limit >> 20) } else { format!("{limit} bytes") };
    Fault::new(FaultClass::TooLarge, format!("the body exceeds {shown}"))
}

fn too_slow() -> Fault {
    Fault::new(FaultClass::RequestTimeout, "the body did not arrive in time")
}

/// A body as it arrives, within its limits of length, time and rate.
pub(super) struct Arriving {
    body: Incoming,
    limits: BodyLimits,
    end: Instant,
    /// Since when the rate is measured, and the length then.
    window: (Instant, usize),
    length: usize,
}

impl Arriving {
    /// # Errors
    /// `TooLarge`, if the client announces more than it may send.
    pub(super) fn new(head: &Parts, body: Incoming, limits: BodyLimits) -> Result<Self, Fault> {
        if announced(head).is_some_and(|length| length > limits.bytes) {
            return Err(too_large(limits.bytes));
        }
        let start = Instant::now();
        Ok(Self { body, limits, end: start + limits.time, window: (start, 0), length: 0 })
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let slowest = self.limits.rate.saturating_mul(WINDOW.as_secs() as usize);
        loop {
            let deadline = self.end.min(self.window.0 + WINDOW);
            let frame = match tokio::time::timeout_at(deadline, self.body.frame()).await {
                Ok(frame) => frame,
                Err(_) if Instant::now() < self.end && self.length - self.window.1 >= slowest => {
                    self.window = (Instant::now(), self.length);
                    continue;
                }
                Err(_) => return Err(too_slow()),
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| {
                Fault::new(FaultClass::BadRequest, format!("the body is broken: {}", cause(&error)))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            self.length = self.length.saturating_add(data.len());
            if self.length > self.limits.bytes {
                return Err(too_large(self.limits.bytes));
            }
            return Ok(Some(data));
        }
    }
}

/// The length a client announces.
fn announced(head: &Parts) -> Option<usize> {
    head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Arriving, announced: Option<usize>) -> Result<Bytes, Fault> {
    let mut first: Option<Bytes> = None;
    let mut buffer = BytesMut::new();
    while let Some(data) = body.next().await? {
        // A body of one piece is not copied.
        match first.take() {
            None if buffer.is_empty() => first = Some(data),
            None => buffer.extend_from_slice(&data),
            Some(head) => {
                buffer.reserve(announced.unwrap_or(head.len() + data.len()).min(body.limits.bytes));
                buffer.extend_from_slice(&head);
                buffer.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| buffer.freeze()))
}

fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}

async fn inflate(mut reader: impl AsyncRead + Unpin, compressed: usize, limits: BodyLimits) -> Result<Bytes, Fault> {
    let most = limits.bytes.min(compressed.saturating_mul(limits.expansion).max(EXPANSION_FREE));
    let mut out = BytesMut::with_capacity(compressed.saturating_mul(4).min(most));
    let mut slice = 0;
    loop {
        out.reserve(16 << 10);
        match reader.read_buf(&mut out).await {
            Ok(0) => return Ok(out.freeze()),
            Ok(count) => slice += count,
            Err(error) => return Err(broken(&error)),
        }
        if out.len() > most {
            return Err(too_large(most));
        }
        if slice > SLICE {
            slice = 0;
            tokio::task::yield_now().await;
        }
    }
}

fn broken(error: &io::Error) -> Fault {
    Fault::new(FaultClass::BadRequest, format!("the compressed body is broken: {error}"))
}
