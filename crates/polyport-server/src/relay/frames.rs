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
        // What waits already holds no end of a frame.
        let from = self.pending.len();
        self.pending.extend_from_slice(bytes);
        let Some(end) = last_frame_end(&self.pending, from) else {
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

    /// Whole frames, changed.
    pub(crate) fn changed(&self, whole: &[u8]) -> Bytes {
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

/// Where the last frame ends whose blank line ends in `bytes[from..]`: after that line.
fn last_frame_end(bytes: &[u8], from: usize) -> Option<usize> {
    let new = bytes.get(from..).unwrap_or_default();
    memchr::memrchr_iter(b'\n', new).map(|at| from + at).find(|&at| ends_blank_line(bytes, at)).map(|at| at + 1)
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

/// Copies a frame with another name of the answer's model, which stands at the top, in `message` or in `response`; the same words
/// anywhere else are someone's content.
fn renamed(frame: &[u8], theirs: &str, shown: &str, out: &mut Vec<u8>) {
    match model_value(frame, &name(theirs)) {
        Some((head, tail)) => {
            out.extend_from_slice(head);
            out.extend_from_slice(name(shown).as_bytes());
            out.extend_from_slice(tail);
        }
        None => out.extend_from_slice(frame),
    }
}

fn name(model: &str) -> String {
    serde_json::Value::from(model).to_string()
}

/// What stands before and after the name of the answer's model, if it is `theirs`.
fn model_value<'f>(frame: &'f [u8], theirs: &str) -> Option<(&'f [u8], &'f [u8])> {
    #[derive(Deserialize)]
    struct Chunk<'a> {
        #[serde(borrow)]
        model: Option<&'a RawValue>,
        #[serde(borrow, rename = "modelVersion")]
        version: Option<&'a RawValue>,
        #[serde(borrow, alias = "response")]
        message: Option<Answer<'a>>,
    }
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        model: Option<&'a RawValue>,
    }
    memchr::memmem::find(frame, theirs.as_bytes())?;
    let at = memchr::memmem::find(frame, b"data:")? + 5;
    let data = frame.get(at..)?.trim_ascii();
    let chunk: Chunk<'_> = serde_json::from_slice(data).ok()?;
    let value = chunk.model.or(chunk.version).or(chunk.message.and_then(|answer| answer.model))?.get();
    if value != theirs {
        return None;
    }
    // The value is a slice of the frame.
    let start = (value.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
    let (head, rest) = frame.split_at_checked(start)?;
    Some((head, rest.get(value.len()..)?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use polyport_protocol::stream::BodyEnd;
    use polyport_protocol::{StreamDecoder, Target};
    use polyport_testkit::shared;
    use polyport_types::{Event, Protocol};

    use super::super::tap::Tap;
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
            "data: {\"model\": \"mine\",\"text\":\"\\\"model\\\":\\\"up-1\\\"\",\"x\":{\"model\":\"other\"}}\n\n";
        for step in [1, 7, 4000] {
            assert_eq!(framed(false, Some(("up-1", "mine")), stream, step), expected);
        }
    }

    #[test]
    fn bytes_without_a_last_blank_line_are_not_lost() {
        assert_eq!(framed(true, None, "data: {\"a\":1}\n\ndata: {\"b\":2}", 5), "data: {\"a\":1}\n\ndata: {\"b\":2}");
    }

    #[test]
    fn an_endless_event_is_handed_on_and_not_held() {
        let mut framed = Framed::new(true, None).unwrap();
        let piece = vec![b'x'; LONGEST / 4];
        let given: usize = (0..20).map(|_| framed.take(&piece).len()).sum();
        assert!(given > 0 && framed.pending.len() <= LONGEST);
        assert_eq!(given + framed.flush().len(), 20 * piece.len());
    }

    /// What a client of the same protocol understands.
    fn understood(protocol: Protocol, stream: &[u8]) -> Vec<Event> {
        let mut decoder = StreamDecoder::new(&Target::plain(protocol, "m"), 64 << 20);
        let mut events = Vec::new();
        decoder.push(Bytes::copy_from_slice(stream), &mut events);
        decoder.finish(BodyEnd::Clean, &mut events);
        events
    }

    /// Streams of real providers and hand-made ones.
    fn streams() -> Vec<(String, Protocol, Vec<u8>)> {
        let mut streams = Vec::new();
        // Several answers in one body are not one stream.
        for record in shared::all_records().iter().filter(|record| !record.has_tag("abnormal_stream")) {
            if let Some(sse) = &record.response.sse {
                streams.push((record.id.clone(), record.wire(), sse.clone().into_bytes()));
            }
        }
        let fixtures = shared::workspace_root().unwrap().join("fixtures");
        for protocol in Protocol::ALL {
            let Ok(entries) = std::fs::read_dir(fixtures.join(protocol.as_str()).join("stream")) else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                if path.extension().is_some_and(|end| end == "sse") {
                    streams.push((path.display().to_string(), protocol, std::fs::read(&path).unwrap()));
                }
            }
        }
        // A body that is no event stream does not pass through as one.
        streams.retain(|(_, _, body)| !body.trim_ascii_start().starts_with(b"{") && !body.starts_with(b"["));
        streams
    }

    /// Pieces of every size, and two pieces cut at every byte (some bytes of the longer streams).
    fn cuts(stream: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut cuts: Vec<Vec<&[u8]>> = [1, 2, 7, 64, 1000].map(|size| stream.chunks(size).collect()).into();
        let step = if stream.len() < 1500 { 1 } else { stream.len() / 8 };
        for at in (0..=stream.len()).step_by(step) {
            let (head, tail) = stream.split_at(at);
            cuts.push(vec![head, tail]);
        }
        cuts
    }

    #[test]
    fn every_stream_goes_through_the_same_wherever_it_is_cut() {
        for (name, protocol, stream) in streams() {
            let theirs = understood(protocol, &stream).into_iter().find_map(|event| match event {
                Event::Start(start) => Some(start.model),
                _ => None,
            });
            let model = theirs.filter(|name| !name.is_empty()).map(|theirs| (theirs, Text::from_static("alias")));
            let hide = protocol == Protocol::Chat;
            let through = |pieces: &[&[u8]]| {
                let mut framed = Framed::new(hide, model.clone());
                let mut out: Vec<u8> = Vec::new();
                let Some(framed) = &mut framed else { return pieces.concat() };
                pieces.iter().for_each(|piece| out.extend_from_slice(&framed.take(piece)));
                out.extend_from_slice(&framed.flush());
                out
            };
            let tapped = |pieces: &[&[u8]]| {
                let mut tap = Tap::new(Target::plain(protocol, ""));
                pieces.iter().for_each(|piece| tap.push(piece));
                tap.finish();
                (tap.usage(), tap.finished(), tap.failed(), tap.at_boundary())
            };
            let (whole, told) = (through(&[&stream]), tapped(&[&stream]));
            for pieces in cuts(&stream) {
                assert!(through(&pieces) == whole, "{name} in {} pieces", pieces.len());
                assert!(tapped(&pieces) == told, "{name} in {} pieces: {:?} {told:?}", pieces.len(), tapped(&pieces));
            }
            // Nothing but the name and the usage is another.
            let same = |events: Vec<Event>| -> Vec<Event> {
                let kept = events.into_iter().filter(|event| !matches!(event, Event::Usage(_) | Event::Opaque { .. }));
                kept.map(|event| match event {
                    Event::Start(mut start) => {
                        start.model = Text::default();
                        Event::Start(start)
                    }
                    event => event,
                })
                .collect()
            };
            assert_eq!(same(understood(protocol, &whole)), same(understood(protocol, &stream)), "{name}");
        }
    }

    /// The tap counts what the decoder counts, and a sign of life wherever it allows one changes nothing.
    #[test]
    fn the_tap_reads_what_the_decoder_reads() {
        for (name, protocol, stream) in streams() {
            let events = understood(protocol, &stream);
            let failed = events.iter().any(|event| matches!(event, Event::Error(_)));
            let mut tap = Tap::new(Target::plain(protocol, ""));
            let mut with_pings = Vec::new();
            for (at, byte) in stream.iter().enumerate() {
                tap.push(&[*byte]);
                with_pings.push(*byte);
                if tap.at_boundary() && at + 1 < stream.len() && protocol != Protocol::Gemini {
                    with_pings.extend_from_slice(b": ping\n\n");
                }
            }
            tap.finish();
            let quiet = |events: Vec<Event>| -> Vec<Event> {
                events.into_iter().filter(|event| !matches!(event, Event::Ping)).collect()
            };
            assert_eq!(quiet(understood(protocol, &with_pings)), quiet(events.clone()), "{name}");
            if failed {
                continue;
            }
            let usage = events.iter().rev().find_map(|event| match event {
                Event::Usage(usage) => Some((usage.input_total(), usage.output_total())),
                _ => None,
            });
            let tapped = tap.usage();
            assert_eq!((tapped.input_total(), tapped.output_total()), usage.unwrap_or_default(), "{name}");
        }
    }
}
