//! Frames of an event stream that passes through, some of them changed or left out.

use bytes::Bytes;
use polyport_types::Text;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame longer than this goes on unchanged, in bytes.
const LONGEST: usize = 16 << 20;

/// Changes to frames.
#[derive(Debug)]
pub(crate) struct Framed {
    /// Bytes of a frame whose end has not come.
    pending: Vec<u8>,
    /// Leave out the chunk that only tells the usage.
    hide_usage: bool,
    /// The model name in the provider's frames, and the one the client shall see.
    model: Option<(Text, Text)>,
}

impl Framed {
    /// None where every frame may go as it is.
    pub(crate) fn new(hide_usage: bool, model: Option<(Text, Text)>) -> Option<Box<Self>> {
        (hide_usage || model.is_some()).then(|| Box::new(Self { pending: Vec::new(), hide_usage, model }))
    }

    /// Takes the name that the provider itself gives the model.
    pub(crate) fn learn_model(&mut self, name: &Text) {
        if let Some((theirs, _)) = &mut self.model {
            *theirs = name.clone();
        }
    }

    /// Takes bytes and gives the frames they complete, changed.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Bytes {
        // The last frame of a chunk is nearly always whole; then nothing waits.
        self.pending.extend_from_slice(bytes);
        let Some(end) = last_frame_end(&self.pending) else {
            return if self.pending.len() > LONGEST { std::mem::take(&mut self.pending).into() } else { Bytes::new() };
        };
        let rest = self.pending.split_off(end);
        let whole = std::mem::replace(&mut self.pending, rest);
        self.changed(&whole)
    }

    /// What is left at the end of the body.
    pub(crate) fn flush(&mut self) -> Bytes {
        let whole = std::mem::take(&mut self.pending);
        self.changed(&whole)
    }

    fn changed(&self, whole: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(whole.len() + 32);
        for frame in frames(whole) {
            if self.hide_usage && is_usage_only(frame) {
                continue;
            }
            match &self.model {
                Some((theirs, shown)) => renamed(frame, theirs, shown, &mut out),
                None => out.extend_from_slice(frame),
            }
        }
        out.into()
    }
}

/// Where the last whole frame ends: after its blank line.
fn last_frame_end(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'\n', bytes).find(|&at| ends_blank_line(bytes, at)).map(|at| at + 1)
}

/// Whether the line that ends at `at` is empty.
fn ends_blank_line(bytes: &[u8], at: usize) -> bool {
    let before = bytes.get(..at).unwrap_or_default();
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    before.last() == Some(&b'\n')
}

/// The frames of whole bytes, each with its blank line.
fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end =
            memchr::memchr_iter(b'\n', rest).find(|&at| ends_blank_line(rest, at)).map_or(rest.len(), |at| at + 1);
        let (frame, after) = rest.split_at(end);
        rest = after;
        Some(frame)
    })
}

/// The chunk that only tells the usage: no choices.
fn is_usage_only(frame: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        usage: &'a RawValue,
        #[serde(borrow)]
        choices: &'a RawValue,
    }
    if memchr::memmem::find(frame, b"\"usage\"").is_none() {
        return false;
    }
    let Some(at) = memchr::memmem::find(frame, b"data:") else { return false };
    let data = frame.get(at + 5..).unwrap_or_default().trim_ascii();
    serde_json::from_slice::<Chunk<'_>>(data).is_ok_and(|chunk| {
        let empty = chunk.choices.get().bytes().all(|byte| matches!(byte, b'[' | b']' | b' '));
        empty && chunk.usage.get().starts_with('{')
    })
}

/// Copies a frame with another model name. Only members are found, never text: inside a JSON string the quotes would be escaped.
fn renamed(frame: &[u8], theirs: &str, shown: &str, out: &mut Vec<u8>) {
    let theirs = serde_json::Value::from(theirs).to_string();
    let shown = serde_json::Value::from(shown).to_string();
    let mut rest = frame;
    loop {
        let found = [&b"\"model\""[..], b"\"modelVersion\""]
            .into_iter()
            .filter_map(|name| memchr::memmem::find(rest, name).map(|at| at + name.len()))
            .min();
        let Some(after) = found else { break };
        let (head, tail) = rest.split_at(after);
        out.extend_from_slice(head);
        rest = tail;
        let value = tail.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        if let Some(value) = value.and_then(|value| value.strip_prefix(theirs.as_bytes())) {
            out.push(b':');
            out.extend_from_slice(shown.as_bytes());
            rest = value;
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(hide_usage: bool, model: Option<(&str, &str)>, stream: &str, step: usize) -> String {
        let model = model.map(|(theirs, shown)| (Text::from(theirs), Text::from(shown)));
        let mut framed = Framed::new(hide_usage, model).unwrap();
        let mut out = Vec::new();
        for piece in stream.as_bytes().chunks(step) {
            out.extend_from_slice(&framed.take(piece));
        }
        out.extend_from_slice(&framed.flush());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_usage_chunk_is_hidden_and_nothing_else() {
        let before = "data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\"\"}}],\"usage\":null}\r\n\r\n";
        let usage = "data: {\"choices\": [],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let last = "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n";
        let done = "data: [DONE]\n\n";
        let stream = [before, usage, last, done].concat();
        for step in [1, 3, 50, 4000] {
            assert_eq!(framed(true, None, &stream, step), [before, last, done].concat());
        }
    }

    #[test]
    fn the_model_is_renamed_only_as_a_member() {
        let stream =
            "data: {\"model\": \"up-1\",\"text\":\"\\\"model\\\":\\\"up-1\\\"\",\"x\":{\"model\":\"other\"}}\n\n";
        let expected =
            "data: {\"model\":\"mine\",\"text\":\"\\\"model\\\":\\\"up-1\\\"\",\"x\":{\"model\":\"other\"}}\n\n";
        for step in [1, 7, 4000] {
            assert_eq!(framed(false, Some(("up-1", "mine")), stream, step), expected);
        }
    }

    #[test]
    fn bytes_without_a_last_blank_line_are_not_lost() {
        assert_eq!(framed(true, None, "data: {\"a\":1}\n\ndata: {\"b\":2}", 5), "data: {\"a\":1}\n\ndata: {\"b\":2}");
    }
}
