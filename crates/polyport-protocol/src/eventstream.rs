//! Event streams of AWS (`application/vnd.amazon.eventstream`): binary messages with typed headers, each with two checksums.
//!
//! Source: <https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html> and the Smithy specification, read 2026-11-29.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bytes::{Buf as _, Bytes, BytesMut};
use polyport_types::{Fault, FaultClass, Text};

use crate::classify::classify_aws;
use crate::sse::{Frame, FrameError};

/// Two lengths and their checksum.
const PRELUDE: usize = 12;

/// Cuts a body into frames. The result does not depend on where the network cuts the bytes.
#[derive(Debug)]
pub struct EventStream {
    max_event: usize,
    pending: BytesMut,
    decoder: MessageFrameDecoder,
    /// Bytes of the present message that the decoder waits for; `None` before its lengths are known.
    wanted: Option<usize>,
}

/// Why nothing more is read of a stream.
#[derive(Debug)]
pub enum Stopped {
    /// The service says what went wrong.
    Exception(Box<Fault>),
    /// The bytes make no sense.
    Damaged(FrameError),
}

impl From<FrameError> for Stopped {
    fn from(error: FrameError) -> Self {
        Self::Damaged(error)
    }
}

impl EventStream {
    /// A reader; `max_event` bounds one message in bytes.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self { max_event, pending: BytesMut::new(), decoder: MessageFrameDecoder::new(), wanted: None }
    }

    /// Takes the bytes that have arrived and appends the frames that are whole.
    ///
    /// # Errors
    /// [`Stopped`] when nothing may follow; the frames before are in `out`.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Frame>) -> Result<(), Stopped> {
        self.pending.extend_from_slice(bytes);
        loop {
            if self.wanted.is_none() {
                let Some(mut prelude) = self.pending.get(..PRELUDE) else { return Ok(()) };
                let length = usize::try_from(prelude.get_u32()).unwrap_or(usize::MAX);
                let checked = self.pending.get(..8).map(crc32fast::hash);
                if checked != self.pending.get(8..PRELUDE).map(|mut sum| sum.get_u32()) {
                    // A damaged length would be waited for in vain.
                    return Err(FrameError::Checksum.into());
                }
                if length > self.max_event {
                    return Err(FrameError::TooLong(self.max_event).into());
                }
                self.wanted = Some(length.saturating_sub(PRELUDE));
            }
            match self.decoder.decode_frame(&mut self.pending) {
                Ok(DecodedFrame::Incomplete) => return Ok(()),
                Ok(DecodedFrame::Complete(message)) => {
                    self.wanted = None;
                    out.extend(frame(&message)?);
                }
                Err(_) => return Err(FrameError::Checksum.into()),
            }
        }
    }

    /// Takes the end of the body; true if a message was cut in the middle.
    #[must_use]
    pub fn finish(&self) -> bool {
        self.wanted.is_some() || !self.pending.is_empty()
    }
}

/// A message as a frame; `None` for one that holds no event.
fn frame(message: &Message) -> Result<Option<Frame>, Stopped> {
    let header = |name: &str| {
        let found = message.headers().iter().find(|header| header.name().as_str() == name)?;
        found.value().as_string().ok().map(|text| text.as_str().to_owned())
    };
    let payload = Text::try_from(message.payload().clone()).map_err(|_| FrameError::NotUtf8)?;
    match header(":message-type").as_deref() {
        Some("exception") => {
            let kind = header(":exception-type").unwrap_or_default();
            Err(Stopped::Exception(Box::new(classify_aws(&kind, &payload))))
        }
        Some("error") => {
            let (kind, words) = (header(":error-code").unwrap_or_default(), header(":error-message"));
            let mut fault = classify_aws(&kind, &payload);
            if let Some(words) = words {
                fault.message = crate::classify::mask(&words);
            }
            Err(Stopped::Exception(Box::new(fault)))
        }
        Some("event") | None => {
            let name = header(":event-type").map(Text::from);
            Ok(Some(Frame::Event { name, data: payload }))
        }
        // A kind that came after this was written.
        Some(_) => Ok(None),
    }
}

/// The event of a stream that failed.
#[must_use]
pub(crate) fn failure(stopped: Stopped) -> Fault {
    match stopped {
        Stopped::Exception(fault) => *fault,
        Stopped::Damaged(error) => Fault {
            from_upstream: true,
            ..Fault::new(FaultClass::UpstreamProtocol, format!("the provider's stream is unreadable: {error}"))
        },
    }
}
