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
    /// A binary message whose lengths or checksums are wrong.
    #[error("a binary message is damaged")]
    Checksum,
    /// The body is an HTML page.
    #[error("the body is an HTML page")]
    Html,
}

/// Cuts a body into frames. The result does not depend on where the network cuts the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framing {
    max_event: usize,
    mode: Mode,
    /// Bytes of a line (or JSON value) that is not complete yet.
    pending: Vec<u8>,
    /// The last byte of the previous chunk was a CR: a following LF belongs to it.
    after_cr: bool,
    data: Data,
    name: Option<Text>,
    json: JsonScanner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Nothing but white space and perhaps a part of a BOM so far.
    Unknown,
    /// Lines of an event stream.
    Lines,
    /// Bare JSON: one value after the other, or the elements of one top-level array.
    Json,
}

/// The `data` lines of the event at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    None,
    /// One line: a slice of what arrived.
    One(Bytes),
    /// Several lines, joined.
    Many(Vec<u8>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, line: Bytes) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut joined = Vec::with_capacity(first.len() + 1 + line.len());
                joined.extend_from_slice(&first);
                joined.push(b'\n');
                joined.extend_from_slice(&line);
                Self::Many(joined)
            }
            Self::Many(mut joined) => {
                joined.push(b'\n');
                joined.extend_from_slice(&line);
                Self::Many(joined)
            }
        };
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::replace(self, Self::None) {
            Self::None => None,
            Self::One(bytes) => Some(bytes),
            Self::Many(bytes) => Some(bytes.into()),
        }
    }
}

/// Finds the ends of JSON values in a sequence of bytes without understanding them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct JsonScanner {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Inside one top-level array: its elements are the values.
    in_array: bool,
}

/// What a byte means to [`JsonScanner`].
enum Scan {
    /// Part of a value, or its beginning.
    Inside,
    /// The last byte of a value.
    ValueEnd,
    /// Between values.
    Between,
    /// Not JSON: the stream goes on as lines.
    NotJson,
}

impl JsonScanner {
    fn scan(&mut self, byte: u8) -> Scan {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Scan::Inside;
        }
        match byte {
            b'[' if self.depth == 0 && !self.in_array => {
                self.in_array = true;
                Scan::Between
            }
            b']' if self.depth == 0 => {
                self.in_array = false;
                Scan::Between
            }
            b'{' | b'[' => {
                self.depth += 1;
                Scan::Inside
            }
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                if self.depth == 0 { Scan::ValueEnd } else { Scan::Inside }
            }
            b'"' if self.depth > 0 => {
                self.in_string = true;
                Scan::Inside
            }
            _ if self.depth > 0 => Scan::Inside,
            b' ' | b'\t' | b'\r' | b'\n' | b',' => Scan::Between,
            _ => Scan::NotJson,
        }
    }
}

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// Blank bytes allowed before the first event.
const MAX_BLANK: usize = 64 * 1024;

impl Framing {
    /// A framing that allows `max_event` bytes per event.
    #[must_use]
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            mode: Mode::Unknown,
            pending: Vec::new(),
            after_cr: false,
            data: Data::None,
            name: None,
            json: JsonScanner::default(),
        }
    }

    /// Takes bytes and appends the frames they complete.
    ///
    /// # Errors
    /// [`FrameError`] when the stream cannot be read on; frames found before are in `out`.
    pub fn push(&mut self, bytes: Bytes, out: &mut Vec<Frame>) -> Result<(), FrameError> {
        let mut rest = if self.mode == Mode::Unknown {
            match self.sniff(bytes)? {
                Some(bytes) => bytes,
                None => return Ok(()),
            }
        } else {
            bytes
        };
        // Each mode hands back what the other has to read.
        while !rest.is_empty() {
            rest = match self.mode {
                Mode::Json => self.push_json(&rest, out)?,
                Mode::Unknown | Mode::Lines => self.push_lines(rest, out)?,
            };
        }
        if self.pending.is_empty() {
            // An idle stream holds no buffer.
            self.pending = Vec::new();
        }
        Ok(())
    }

    /// Takes the end of the body; true if an unfinished event had to be dropped.
    pub fn finish(&mut self, out: &mut Vec<Frame>) -> bool {
        if self.mode == Mode::Json {
            return !self.pending.is_empty();
        }
        let line = std::mem::take(&mut self.pending);
        let unfinished_line = !line.is_empty() && !line.starts_with(b":");
        let had_data = self.data.len();
        if unfinished_line && self.line(Bytes::from(line), out).is_err() {
            return true;
        }
        let has_data = self.data.len();
        match self.data.take() {
            Some(data) if is_complete(&data) => self.emit(data, out).is_err(),
            Some(_) => true,
            // A cut field name, or a last line that carried no data.
            None => unfinished_line && had_data == has_data,
        }
    }

    /// Decides what the body is by its first byte that is not blank. `None` while that byte is not there.
    fn sniff(&mut self, bytes: Bytes) -> Result<Option<Bytes>, FrameError> {
        // Blanks behind the place of a BOM: what is pending was looked at before.
        if self.pending.len() >= BOM.len() && bytes.iter().all(u8::is_ascii_whitespace) {
            self.pending.extend_from_slice(&bytes);
            return if self.pending.len() > MAX_BLANK { Err(FrameError::TooLong(MAX_BLANK)) } else { Ok(None) };
        }
        let all = if self.pending.is_empty() {
            bytes
        } else {
            self.pending.extend_from_slice(&bytes);
            Bytes::from(std::mem::take(&mut self.pending))
        };
        let text = match all.get(..3) {
            Some(start) if start == BOM => all.slice(3..),
            _ => all.clone(),
        };
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            _ if all.len() < 3 && BOM.starts_with(&all) => {
                self.pending = all.into();
                Ok(None)
            }
            None if all.len() > MAX_BLANK => Err(FrameError::TooLong(MAX_BLANK)),
            None => {
                self.pending = all.into();
                Ok(None)
            }
            Some(b'<') => Err(FrameError::Html),
            Some(b'{' | b'[') => {
                self.mode = Mode::Json;
                Ok(Some(text))
            }
            Some(_) => {
                self.mode = Mode::Lines;
                Ok(Some(text))
            }
        }
    }

    fn push_lines(&mut self, mut bytes: Bytes, out: &mut Vec<Frame>) -> Result<Bytes, FrameError> {
        while !bytes.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                if bytes.first() == Some(&b'\n') {
                    bytes = bytes.slice(1..);
                }
            }
            if self.pending.is_empty() && matches!(bytes.first(), Some(b'{' | b'[')) {
                self.mode = Mode::Json;
                return Ok(bytes);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', &bytes) else {
                if self.pending.len() + bytes.len() + self.data.len() > self.max_event {
                    return Err(FrameError::TooLong(self.max_event));
                }
                self.pending.extend_from_slice(&bytes);
                return Ok(Bytes::new());
            };
            self.after_cr = bytes.get(end) == Some(&b'\r');
            let mut line = bytes.split_to(end + 1);
            line.truncate(end);
            if !self.pending.is_empty() {
                self.pending.extend_from_slice(&line);
                line = Bytes::from(std::mem::take(&mut self.pending));
            }
            if line.len() + self.data.len() > self.max_event {
                return Err(FrameError::TooLong(self.max_event));
            }
            self.line(line, out)?;
        }
        Ok(bytes)
    }

    fn line(&mut self, line: Bytes, out: &mut Vec<Frame>) -> Result<(), FrameError> {
        if line.is_empty() {
            return match self.data.take() {
                Some(data) => self.emit(data, out),
                None => {
                    self.name = None;
                    Ok(())
                }
            };
        }
        let colon = memchr::memchr(b':', &line);
        let (field, value) = match colon {
            Some(0) => {
                out.push(Frame::Comment);
                return Ok(());
            }
            Some(at) => {
                let blank = usize::from(line.get(at + 1) == Some(&b' '));
                (line.slice(..at), line.slice(at + 1 + blank..))
            }
            None => (line, Bytes::new()),
        };
        match &*field {
            b"data" => self.data.push(value),
            b"event" => self.name = Some(text(value)?),
            b"error" => {
                self.name = Some(Text::from_static("error"));
                self.emit(value, out)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn emit(&mut self, data: Bytes, out: &mut Vec<Frame>) -> Result<(), FrameError> {
        let name = self.name.take();
        if !data.iter().all(u8::is_ascii_whitespace) {
            out.push(Frame::Event { name, data: text(data)? });
        }
        Ok(())
    }

    fn push_json(&mut self, bytes: &Bytes, out: &mut Vec<Frame>) -> Result<Bytes, FrameError> {
        // Where the value at hand begins in `bytes`; everything before that is in `pending`.
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            match self.json.scan(*byte) {
                Scan::Inside => {}
                Scan::Between => start = at + 1,
                Scan::ValueEnd => {
                    let end = bytes.slice(start..=at);
                    let value = if self.pending.is_empty() {
                        end
                    } else {
                        self.pending.extend_from_slice(&end);
                        Bytes::from(std::mem::take(&mut self.pending))
                    };
                    if value.len() > self.max_event {
                        return Err(FrameError::TooLong(self.max_event));
                    }
                    out.push(Frame::Event { name: None, data: text(value)? });
                    start = at + 1;
                }
                Scan::NotJson => {
                    self.mode = Mode::Lines;
                    return Ok(bytes.slice(at..));
                }
            }
        }
        let rest = bytes.slice(start..);
        if self.pending.len() + rest.len() > self.max_event {
            return Err(FrameError::TooLong(self.max_event));
        }
        self.pending.extend_from_slice(&rest);
        Ok(Bytes::new())
    }
}

fn text(bytes: Bytes) -> Result<Text, FrameError> {
    Text::try_from(bytes).map_err(|_| FrameError::NotUtf8)
}

/// Whether the data of an event that lacks its blank line are whole.
fn is_complete(data: &[u8]) -> bool {
    data.trim_ascii() == b"[DONE]" || serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, bool) {
        let mut framing = Framing::new(1 << 20);
        let mut out = Vec::new();
        for piece in pieces {
            framing.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
        }
        let truncated = framing.finish(&mut out);
        (out, truncated)
    }

    fn event(data: &str) -> Frame {
        Frame::Event { name: None, data: data.to_owned().into() }
    }

    fn named(name: &str, data: &str) -> Frame {
        Frame::Event { name: Some(name.to_owned().into()), data: data.to_owned().into() }
    }

    #[test]
    fn reads_every_line_end_and_missing_space() {
        let (out, truncated) = frames(&[b"data:{\"a\":1}\n\ndata: {\"a\":2}\r\n\r\ndata: 3\r\rdata: 4\n\n"]);
        assert_eq!(out, [event("{\"a\":1}"), event("{\"a\":2}"), event("3"), event("4")]);
        assert!(!truncated);
    }

    #[test]
    fn cutting_anywhere_changes_nothing() {
        let bodies: [&[u8]; 6] = [
            "\u{feff}event: a\r\ndata: {\"t\":\"你好🙂\"}\r\n\r\n: ping\n\nid: 7\nretry: 3\ndata: 1\ndata: 2\n\nevent: keepalive\n\ndata: \n\ndata: [DONE]"
                .as_bytes(),
            b"[{\"a\":\"]}\\\"\"}\n,\r\n{\"b\":[1,{}]}]",
            b"data: {\"a\":1}\r\n\r\n{\"error\":\n {\"code\":503}}\ndata: 2\n\n",
            b"{\"whole\":true}",
            b"error: {\"code\":500}\ndata: [DONE]\n\n",
            b"\n\n \xef\xbb\xbfdata: 1\n\n",
        ];
        for body in bodies {
            let whole = frames(&[body]);
            for cut in 0..=body.len() {
                assert_eq!(frames(&[&body[..cut], &body[cut..]]), whole, "cut at {cut}");
            }
            let single: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(frames(&single), whole, "byte by byte");
        }
    }

    #[test]
    fn names_comments_joins_and_empty_events() {
        let (out, _) = frames(&[
            b": hello\nevent: a\ndata: 1\ndata: 2\n\nevent: keepalive\n\ndata: \n\ndata\n\nid: 5\n\ndata: x\n\n",
        ]);
        assert_eq!(out, [Frame::Comment, named("a", "1\n2"), event("x")]);
    }

    #[test]
    fn bare_json_counts_as_events_and_lines_may_follow() {
        let (out, _) = frames(&[b"data: {\"a\":1}\r\n\r\n{\"error\":\n {\"code\":503}}\ndata: 2\n\n"]);
        assert_eq!(out, [event("{\"a\":1}"), event("{\"error\":\n {\"code\":503}}"), event("2")]);
    }

    #[test]
    fn error_field_is_an_error_event() {
        let (out, _) = frames(&[b"error: {\"code\":500}\ndata: [DONE]\n\n"]);
        assert_eq!(out, [named("error", "{\"code\":500}"), event("[DONE]")]);
    }

    #[test]
    fn unfinished_last_event_counts_only_if_whole() {
        assert_eq!(frames(&[b"data: {\"a\":1}"]), (vec![event("{\"a\":1}")], false));
        assert_eq!(frames(&[b"data: {\"a\":1}\n"]), (vec![event("{\"a\":1}")], false));
        assert_eq!(frames(&[b"data: {\"a\":"]), (vec![], true));
        assert_eq!(frames(&[b"data: 1\n\nda"]), (vec![event("1")], true));
        assert_eq!(frames(&[b"data: 1\n\n: pin"]), (vec![event("1")], false));
        assert_eq!(frames(&[b"[{\"a\":1},{\"b\""]), (vec![event("{\"a\":1}")], true));
    }

    #[test]
    fn limits_and_hostile_bytes() {
        let mut out = Vec::new();
        let mut framing = Framing::new(16);
        assert_eq!(framing.push(Bytes::from(vec![b'd'; 17]), &mut out), Err(FrameError::TooLong(16)));
        let mut framing = Framing::new(16);
        for _ in 0..2 {
            framing.push(Bytes::from_static(b"data: 12345\n"), &mut out).unwrap();
        }
        assert_eq!(framing.push(Bytes::from_static(b"data: 12345\n"), &mut out), Err(FrameError::TooLong(16)));
        assert_eq!(Framing::new(99).push(Bytes::from_static(b"data: \xff\n\n"), &mut out), Err(FrameError::NotUtf8));
        assert_eq!(Framing::new(99).push(Bytes::from_static(b" <html>"), &mut out), Err(FrameError::Html));
        let mut framing = Framing::new(64);
        let array = std::iter::repeat_n(b'[', 100).collect::<Vec<u8>>();
        assert_eq!(framing.push(Bytes::from(array), &mut out), Err(FrameError::TooLong(64)));
        assert!(out.is_empty());
    }

    #[test]
    fn many_small_events_in_one_chunk_are_slices_of_it() {
        let body = Bytes::from("data: {\"x\":1}\n\n".repeat(10_000));
        let range = body.as_ptr_range();
        let mut out = Vec::new();
        Framing::new(1 << 20).push(body, &mut out).unwrap();
        assert_eq!(out.len(), 10_000);
        for frame in &out {
            let Frame::Event { data, .. } = frame else { panic!("no event") };
            assert!(range.contains(&data.as_ptr()), "copied");
        }
    }
}
