//! Reading along in a stream that passes through: did it end, what did it use, did it fail? The bytes are not touched.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use polyport_protocol::{StreamDecoder, Target, read_usage};
use polyport_types::{Event, Protocol, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::limits::BYTES_PER_TOKEN;
use super::stream::ResponsesTail;

/// Longest line of which anything is kept, in bytes; longer ones are images and final objects, of which only the ends are read.
const LONGEST: usize = 8 << 20;

macro_rules! finders {
    ($($name:ident = $text:literal;)*) => {$(
        static $name: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new($text));
    )*};
}

finders! {
    USAGE = "\"usage\"";
    FINISH = "\"finish_reason\"";
    USAGE_METADATA = "\"usageMetadata\"";
    FINISH_GEMINI = "\"finishReason\"";
}

/// What a stream has shown so far.
#[derive(Debug)]
pub(crate) struct Tap {
    /// Whose words it reads, and how that server counts.
    target: Target,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The line is too long to be kept.
    overlong: bool,
    /// The last byte ended a blank line: an event may begin here.
    boundary: bool,
    blank: bool,
    /// The stream has come to its end: a finish reason, a last event, an error.
    finished: bool,
    /// Chat's last word was said.
    done: bool,
    failed: bool,
    /// Events, the bytes of their data, and those of the shortest.
    events: u64,
    data: u64,
    shortest: u64,
    /// The last data that held a finish reason.
    last_finish: Vec<u8>,
    /// The last data that held usage; read when the stream is over.
    last_usage: Vec<u8>,
    /// Messages: how much of it is the first event.
    start: usize,
    usage: Box<Usage>,
    /// For the error form of Responses.
    pub(crate) responses: ResponsesTail,
    /// The event that ended a Responses stream well shall be kept.
    keeps_end: bool,
    end: Vec<u8>,
}

impl Tap {
    pub(crate) fn new(target: Target) -> Self {
        Self {
            target,
            line: Vec::new(),
            overlong: false,
            boundary: true,
            blank: true,
            finished: false,
            done: false,
            failed: false,
            events: 0,
            data: 0,
            shortest: u64::MAX,
            last_finish: Vec::new(),
            last_usage: Vec::new(),
            start: 0,
            usage: Box::default(),
            responses: ResponsesTail::default(),
            keeps_end: false,
            end: Vec::new(),
        }
    }

    /// Keeps the event that ends a Responses stream well.
    pub(crate) fn keep_end(mut self, keep: bool) -> Self {
        self.keeps_end = keep;
        self
    }

    /// The event that ended a Responses stream well; empty if there was none.
    pub(crate) fn take_end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.end)
    }

    /// Whether the stream may end here.
    pub(crate) fn finished(&self) -> bool {
        self.finished
    }

    /// What readers of the protocol wait for after a finished answer, and the provider did not send.
    pub(crate) fn missing(&self) -> &'static [u8] {
        match self.target.protocol {
            Protocol::Chat if self.finished && !self.done => b"data: [DONE]\n\n",
            Protocol::Chat | Protocol::Responses | Protocol::Messages | Protocol::Gemini => b"",
        }
    }

    /// Whether the provider ended the stream with an error.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether an event may be put in here.
    pub(crate) fn at_boundary(&self) -> bool {
        self.boundary
    }

    /// The tokens counted so far.
    pub(crate) fn usage(&mut self) -> Usage {
        let data = std::mem::take(&mut self.last_usage);
        if !data.is_empty() {
            self.count(&data);
            self.last_usage = data;
        }
        Usage::clone(&self.usage)
    }

    /// About how many tokens of an answer went through: one an event, and more where its data is longer than the shortest of them by more
    /// than one token needs.
    pub(crate) fn seen(&self) -> u64 {
        if self.events == 0 {
            return 0;
        }
        self.events + self.data.saturating_sub(self.events.saturating_mul(self.shortest)) / BYTES_PER_TOKEN
    }

    /// Why the answer ended, in the provider's words.
    pub(crate) fn finish_reason(&self) -> Option<String> {
        let (data, name): (_, &[u8]) = match self.target.protocol {
            Protocol::Chat => (&self.last_finish, b"\"finish_reason\""),
            Protocol::Gemini => (&self.last_finish, b"\"finishReason\""),
            Protocol::Messages => (&self.last_usage, b"\"stop_reason\""),
            Protocol::Responses => return self.responses.ended.clone(),
        };
        word_after(data, name)
    }

    /// Takes bytes on their way.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let piece = bytes.get(from..end).unwrap_or_default();
            from = end + 1;
            if self.line.is_empty() && !self.overlong {
                self.take_line(piece);
            } else {
                self.keep(piece);
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
                self.line = line;
                self.line.clear();
                self.overlong = false;
            }
        }
        let rest = bytes.get(from..).unwrap_or_default();
        if !rest.is_empty() {
            self.keep(rest);
            self.boundary = false;
        }
    }

    /// The body is over: a last line may lack its end.
    pub(crate) fn finish(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line);
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        if self.overlong || self.line.len() + piece.len() > LONGEST {
            self.overlong = true;
            return;
        }
        self.line.extend_from_slice(piece);
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.boundary = line.is_empty();
        self.blank = line.is_empty();
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.strip_prefix(b" ").unwrap_or(data);
        let length = u64::try_from(data.len()).unwrap_or_default();
        self.events += 1;
        self.data += length;
        self.shortest = self.shortest.min(length);
        match self.target.protocol {
            Protocol::Chat => self.chat(data),
            Protocol::Messages => self.messages(data),
            Protocol::Responses => self.responses(data),
            Protocol::Gemini => self.gemini(data),
        }
    }

    fn chat(&mut self, data: &[u8]) {
        if data == b"[DONE]" {
            self.finished = true;
            self.done = true;
            return;
        }
        if starts_with_error(data) {
            self.fail();
            return;
        }
        if follows(data, &FINISH, b'"') {
            self.finished = true;
            self.last_finish = data.to_vec();
        }
        if follows(data, &USAGE, b'{') {
            self.last_usage.clear();
            self.last_usage.extend_from_slice(data);
        }
    }

    fn messages(&mut self, data: &[u8]) {
        // Nearly all events are these.
        if data.starts_with(br#"{"type":"content_block_"#) {
            return;
        }
        match kind(data) {
            Some("message_start") => {
                self.start = data.len();
                self.last_usage = data.to_vec();
            }
            Some("message_delta") => {
                // The counts of the end complete those of the beginning.
                self.last_usage.truncate(self.start);
                self.last_usage.extend_from_slice(b"\n\ndata: ");
                self.last_usage.extend_from_slice(data);
            }
            Some("message_stop") => self.finished = true,
            Some("error") => self.fail(),
            _ => {}
        }
    }

    fn responses(&mut self, data: &[u8]) {
        self.responses.sequence += 1;
        let head = data.get(..80.min(data.len())).unwrap_or_default();
        if memchr::memmem::find(head, b".delta\"").is_some() {
            return;
        }
        match kind(data) {
            Some("response.created") => self.responses.created = data.to_vec(),
            Some(ended @ ("response.completed" | "response.incomplete")) => {
                self.responses.ended = ended.strip_prefix("response.").map(str::to_owned);
                self.finished = true;
                self.read_usage(data);
                if self.keeps_end {
                    self.end = data.to_vec();
                }
            }
            Some("response.failed") => {
                self.read_usage(data);
                self.fail();
            }
            Some("error") => self.failed = true,
            _ => {}
        }
    }

    fn gemini(&mut self, data: &[u8]) {
        if starts_with_error(data) {
            self.fail();
            return;
        }
        if follows(data, &FINISH_GEMINI, b'"') {
            self.finished = true;
            self.last_finish = data.to_vec();
        }
        if memchr::memmem::find(data, b"\"blockReason\"").is_some() {
            self.finished = true;
        }
        if follows(data, &USAGE_METADATA, b'{') {
            self.last_usage.clear();
            self.last_usage.extend_from_slice(data);
        }
    }

    fn fail(&mut self) {
        self.failed = true;
        self.finished = true;
    }

    /// Counts the way the decoder does, which knows where vendors put their counts.
    fn count(&mut self, data: &[u8]) {
        let mut events = Vec::new();
        let mut decoder = StreamDecoder::new(&self.target, usize::MAX);
        decoder.push(Bytes::from([b"data: ", data, b"\n\n"].concat()), &mut events);
        for event in events {
            if let Event::Usage(usage) = event {
                self.usage = usage;
            }
        }
    }

    /// Counts in the final event of Responses, which holds the whole answer.
    fn read_usage(&mut self, data: &[u8]) {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Holder<'a> {
            #[serde(borrow)]
            response: Inner<'a>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Inner<'a> {
            #[serde(borrow)]
            usage: Option<&'a RawValue>,
        }
        let Ok(holder) = serde_json::from_slice::<Holder<'_>>(data) else { return };
        let counts = holder.response.usage.map(|counts| Bytes::copy_from_slice(counts.get().as_bytes()));
        if let Some(usage) = counts.and_then(|counts| read_usage(&self.target, counts)) {
            *self.usage = usage;
        }
    }
}

/// The last short text that a member of this name has.
pub(super) fn word_after(data: &[u8], name: &[u8]) -> Option<String> {
    let at = memchr::memmem::rfind(data, name)? + name.len();
    let rest = data.get(at..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', rest).filter(|end| *end <= 60)?;
    std::str::from_utf8(rest.get(..end)?).ok().map(str::to_owned)
}

/// The `type` of an event.
fn kind(data: &[u8]) -> Option<&str> {
    if let Some(rest) = data.strip_prefix(br#"{"type":""#) {
        let end = memchr::memchr(b'"', rest)?;
        return std::str::from_utf8(rest.get(..end)?).ok();
    }
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
    }
    serde_json::from_slice::<Typed<'_>>(data).ok().map(|typed| typed.kind)
}

/// Whether the name stands in the data with a value that begins with this byte.
fn follows(data: &[u8], name: &Finder<'_>, first: u8) -> bool {
    name.find_iter(data).any(|at| {
        let rest = data.get(at + name.needle().len()..).unwrap_or_default();
        let mut rest = rest.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
        rest.next() == Some(b':') && rest.next() == Some(first)
    })
}

/// `{"error": …`, which no other event of Chat and Gemini begins with.
fn starts_with_error(data: &[u8]) -> bool {
    data.strip_prefix(b"{").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"error\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(protocol: Protocol, stream: &str, step: usize) -> Tap {
        let mut tap = Tap::new(Target::plain(protocol, ""));
        for piece in stream.as_bytes().chunks(step) {
            tap.push(piece);
        }
        tap.finish();
        tap
    }

    #[test]
    fn u12_the_cut_of_the_bytes_changes_nothing() {
        let chat = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}],\"usage\":null}\n\n\
                    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
        let messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
                        event: message_delta\ndata: {\"type\": \"message_delta\",\"usage\":{\"output_tokens\":2}}\n\n\
                        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        let responses = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"m\",\"usage\":null}}\n\n\
                         data: {\"type\":\"response.output_text.delta\",\"delta\":\"hi\"}\n\n\
                         data: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n";
        let gemini = "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2}}\r\n\r\n";
        for (protocol, stream) in [
            (Protocol::Chat, chat),
            (Protocol::Messages, messages),
            (Protocol::Responses, responses),
            (Protocol::Gemini, gemini),
        ] {
            for step in [1, 2, 5, 64, 10_000] {
                let mut tap = run(protocol, stream, step);
                assert!(tap.finished() && !tap.failed() && tap.at_boundary(), "{protocol} {step}");
                let usage = tap.usage();
                assert_eq!((usage.input_total(), usage.output_total()), (3, 2), "{protocol} {step}");
            }
        }
    }

    #[test]
    fn u11_a_cut_stream_is_not_finished() {
        let tap = run(
            Protocol::Chat,
            "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"finish_reason\\\":\\\"stop\\\"\"}}]}\n\n",
            7,
        );
        assert!(!tap.finished());
        let tap = run(Protocol::Messages, "data: {\"type\":\"content_block_delta\",\"index\":0", 7);
        assert!(!tap.finished() && !tap.at_boundary());
    }

    #[test]
    fn u8_errors_in_a_stream_are_seen() {
        assert!(run(Protocol::Chat, "data: {\"error\":{\"message\":\"x\"}}\n\n", 100).failed());
        assert!(run(Protocol::Messages, "data: {\"type\":\"error\",\"error\":{}}\n\n", 100).failed());
        assert!(run(Protocol::Gemini, "data: { \"error\":{}}\n\n", 100).failed());
        assert!(run(Protocol::Responses, "data: {\"type\":\"response.failed\",\"response\":{}}\n\n", 100).failed());
    }
}
