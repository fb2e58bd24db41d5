//! Reading along in an answer that is handed on untranslated (images, transcriptions, ranks, compacted conversations): what did it use?
//!
//! Where counts stand: `usage` of a whole answer and of the events that end a stream; `meta` where Cohere's interface for ranks is spoken.
//! Nothing of the rest is kept, so that an answer may be as large as it likes.

use bytes::Bytes;
use polyport_types::{ModalityTokens, Text, Usage};
use serde_json::value::RawValue;

use crate::json::{self, Int, wire};
use crate::{Target, chat, responses};

/// Longest name of a member that is looked at, in bytes.
const NAME: usize = 16;
/// Longest value that is taken for counts, in bytes.
const VALUE: usize = 64 << 10;

const DATA: &[u8] = b"data:";

/// Reads along in one answer. Bytes may come in any pieces.
#[derive(Debug)]
pub struct Meter {
    /// How its server counts.
    target: Target,
    /// The beginning of a line, where the answer is a stream of events.
    line: Option<Vec<u8>>,
    members: Members,
    /// What the last event with counts said.
    last: Members,
}

impl Meter {
    /// For an answer that is one JSON object.
    #[must_use]
    pub fn of_object(target: Target) -> Self {
        Self { target, line: None, members: Members::default(), last: Members::default() }
    }

    /// For server-sent events.
    #[must_use]
    pub fn of_events(target: Target) -> Self {
        Self { line: Some(Vec::new()), ..Self::of_object(target) }
    }

    /// Takes bytes on their way.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.line.is_none() {
            self.members.push(bytes);
            return;
        }
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line_goes_on(piece);
            if piece.ends_with(b"\n") {
                self.event_ends();
            }
        }
    }

    fn line_goes_on(&mut self, piece: &[u8]) {
        let Some(line) = &mut self.line else { return };
        let missing = DATA.len().saturating_sub(line.len()).min(piece.len());
        let (start, rest) = piece.split_at(missing);
        line.extend_from_slice(start);
        if line == DATA {
            self.members.push(rest);
        }
    }

    fn event_ends(&mut self) {
        let members = std::mem::take(&mut self.members);
        if members.has_counts() {
            self.last = members;
        }
        if let Some(line) = &mut self.line {
            line.clear();
        }
    }

    /// The tokens that the answer names; `None` if it names none. Seconds of sound and searches are no tokens.
    #[must_use]
    pub fn usage(mut self) -> Option<Usage> {
        self.event_ends();
        let Members { usage, meta, .. } = self.last;
        counts(&self.target, usage.into()).or_else(|| counts_of_meta(&meta))
    }
}

wire! {
    struct Counts<'a> {
        input_tokens: Int = "input_tokens",
        total_tokens: Int = "total_tokens",
        input_details: &'a RawValue = "input_tokens_details" | "input_token_details",
        output_details: &'a RawValue = "output_tokens_details" | "output_token_details",
    }

    struct Meta<'a> {
        billed: MetaCounts<'a> = "billed_units",
        tokens: MetaCounts<'a> = "tokens",
    }

    struct MetaCounts<'a> {
        input: Int = "input_tokens",
        output: Int = "output_tokens",
    }
}

/// Counts in the names of Responses, or of Chat; some servers say only how many there are in all.
fn counts(target: &Target, usage: Bytes) -> Option<Usage> {
    let body: Text = json::body_text(usage).ok()?;
    let raw: &RawValue = serde_json::from_str(&body).ok()?;
    let wire: Counts<'_> = json::from_json(&body).ok()?;
    let mut usage = if wire.input_tokens.is_some() {
        responses::read_usage(raw, target, &body)
    } else {
        chat::read_usage(raw, target.profile.usage_rule, &body)?
    };
    if usage.is_absent() {
        usage.input_uncached = wire.total_tokens.map(Int::count);
    }
    let details = |raw: Option<&RawValue>| raw.map(chat::read_modalities);
    let apply = |known: &mut ModalityTokens, said: Option<ModalityTokens>| {
        if let Some(said) = said {
            *known = said;
        }
    };
    apply(&mut usage.input_by_modality, details(wire.input_details));
    apply(&mut usage.output_by_modality, details(wire.output_details));
    Some(usage)
}

/// Cohere tells what it read and what it charges for.
fn counts_of_meta(meta: &[u8]) -> Option<Usage> {
    let meta: Meta<'_> = json::from_json(std::str::from_utf8(meta).ok()?).ok()?;
    let counts = [meta.billed, meta.tokens].into_iter().flatten().find(|counts| counts.input.is_some())?;
    let (input_uncached, output_text) = (counts.input.map(Int::count), counts.output.map(Int::count));
    Some(Usage { input_uncached, output_text, ..Usage::default() })
}

/// Looks for members at the top of one JSON object and forgets the others.
#[derive(Debug, Default)]
struct Members {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The next string at the top is a name.
    at_name: bool,
    name: Vec<u8>,
    /// The value of a member that is looked for is being taken.
    taking: bool,
    value: Vec<u8>,
    usage: Vec<u8>,
    meta: Vec<u8>,
}

impl Members {
    fn has_counts(&self) -> bool {
        !self.usage.is_empty() || !self.meta.is_empty()
    }

    fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            // Nearly all of an answer with images is one string.
            let plain = match self.in_string && !self.escaped {
                true => memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len()),
                false => 0,
            };
            let (text, behind) = rest.split_at(plain);
            self.keep(text);
            let Some((&byte, behind)) = behind.split_first() else { return };
            match self.in_string {
                true => self.within_string(byte),
                false => self.between_strings(byte),
            }
            rest = behind;
        }
    }

    /// Text of a string.
    fn keep(&mut self, text: &[u8]) {
        if self.taking {
            self.take(text);
        } else if self.at_name && self.depth == 1 {
            let room = NAME.saturating_sub(self.name.len()).min(text.len());
            self.name.extend_from_slice(text.get(..room).unwrap_or_default());
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.value.len() + bytes.len() > VALUE {
            self.taking = false;
            return;
        }
        self.value.extend_from_slice(bytes);
    }

    fn within_string(&mut self, byte: u8) {
        let ends = byte == b'"' && !self.escaped;
        self.escaped = byte == b'\\' && !self.escaped;
        if !ends {
            self.keep(&[byte]);
            return;
        }
        self.in_string = false;
        if self.taking {
            self.take(b"\"");
        }
    }

    fn between_strings(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.in_string = true;
                if self.at_name {
                    self.name.clear();
                }
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.at_name |= self.depth == 1 && byte == b'{';
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.member_ends();
                }
            }
            b':' if self.depth == 1 && self.at_name => {
                self.at_name = false;
                self.taking = matches!(self.name.as_slice(), b"usage" | b"meta");
                self.value.clear();
                return;
            }
            b',' if self.depth == 1 => {
                self.member_ends();
                self.at_name = true;
            }
            _ => {}
        }
        if self.taking {
            self.take(&[byte]);
        }
    }

    fn member_ends(&mut self) {
        if std::mem::take(&mut self.taking) {
            let value = std::mem::take(&mut self.value);
            match self.name.as_slice() {
                b"usage" => self.usage = value,
                _ => self.meta = value,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::Protocol;
    use serde_json::{Value, json};

    use super::*;

    fn target() -> Target {
        Target::plain(Protocol::Responses, "")
    }

    /// Reads in pieces of every size.
    fn read(text: &str, events: bool) -> Option<Usage> {
        let mut all = [1, 2, 7, text.len().max(1)].map(|size| {
            let mut meter = if events { Meter::of_events(target()) } else { Meter::of_object(target()) };
            text.as_bytes().chunks(size).for_each(|piece| meter.push(piece));
            meter.usage()
        });
        let last = all[3].take();
        assert!(all[..3].iter().all(|usage| *usage == last), "{all:?} {last:?}");
        last
    }

    fn of(body: &Value) -> Option<Usage> {
        let usage = read(&body.to_string(), false);
        assert_eq!(read(&serde_json::to_string_pretty(body).unwrap(), false).is_some(), usage.is_some());
        usage
    }

    #[test]
    fn counts_of_images_stand_behind_large_strings() {
        let body = json!({"created": 1, "data": [{"b64_json": "QUJD".repeat(100_000), "revised_prompt": "a \"usage\": {\"input_tokens\": 1}, \\"}],
            "usage": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens_details": {"image_tokens": 4160}}});
        let text = body.to_string();
        let mut meter = Meter::of_object(target());
        text.as_bytes().chunks(4096).for_each(|piece| meter.push(piece));
        let usage = meter.usage().unwrap();
        assert_eq!((usage.input_uncached, usage.output_text), (Some(50), Some(4160)));
        assert_eq!((usage.input_by_modality.text, usage.input_by_modality.image), (Some(10), Some(40)));
        assert_eq!(usage.output_by_modality.image, Some(4160));
    }

    #[test]
    fn counts_of_transcriptions() {
        let usage = of(&json!({"text": "Hi, {you}", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 14}}}))
        .unwrap();
        assert_eq!(
            (usage.input_uncached, usage.output_text, usage.input_by_modality.audio),
            (Some(14), Some(45), Some(14))
        );
        assert_eq!(of(&json!({"text": "Hi", "usage": {"type": "duration", "seconds": 3}})), None);
        assert_eq!(of(&json!({"text": "Hi", "usage": null})), None);
    }

    #[test]
    fn counts_of_ranks() {
        let usage = of(&json!({"results": [{"index": 0, "meta": {"tokens": {"input_tokens": 1}}}],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}, "tokens": {"input_tokens": 1650}}}))
        .unwrap();
        assert_eq!((usage.input_uncached, usage.output_text), (Some(1650), None));
        let usage = of(&json!({"usage": {"total_tokens": 26}, "results": [{"usage": {"total_tokens": 1}}]})).unwrap();
        assert_eq!((usage.input_uncached, usage.total()), (Some(26), 26));
        let usage = of(&json!({"usage": {"prompt_tokens": 20, "total_tokens": 20}})).unwrap();
        assert_eq!(usage.input_uncached, Some(20));
        assert_eq!(
            of(&json!({"results": [{"usage": {"total_tokens": 1}}], "meta": {"billed_units": {"search_units": 1}}})),
            None
        );
        assert_eq!(of(&json!([{"usage": {"total_tokens": 1}}])), None);
    }

    #[test]
    fn cached_tokens_stay_apart() {
        let usage = of(&json!({"object": "response.compaction", "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 60},
            "output_tokens": 20, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 120}}))
        .unwrap();
        assert_eq!((usage.input_uncached, usage.cache_read), (Some(40), Some(60)));
        assert_eq!((usage.output_text, usage.reasoning), (Some(15), Some(5)));
    }

    #[test]
    fn events_count_once_with_the_last_counts() {
        let done = json!({"type": "transcript.text.done", "text": "Hi", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 2}});
        let text = format!(
            "event: x\ndata: {{\"type\":\"transcript.text.delta\",\"delta\":\"H\"}}\r\n\r\ndata:{done}\n\ndata: [DONE]\n\n"
        );
        assert_eq!(read(&text, true).unwrap().input_uncached, Some(14));
        // The last line may lack its end.
        assert_eq!(read(&format!("data: {done}"), true).unwrap().output_text, Some(2));
        assert_eq!(read(&format!(": {done}\nevents: {done}\n"), true), None);
    }

    #[test]
    fn what_is_no_json_counts_nothing() {
        for text in
            ["", "}}}}", "\"usage", "{\"usage\":", "{\"usage\":{\"input_tokens\":1", "{\"usage\":\"5\"}", "{:::,,,\"\\"]
        {
            assert_eq!(read(text, false), None, "{text}");
        }
        let long = format!("{{\"usage\":{{\"x\":\"{}\",\"input_tokens\":1}}}}", "x".repeat(VALUE));
        let mut meter = Meter::of_object(target());
        meter.push(long.as_bytes());
        assert_eq!(meter.usage(), None);
    }
}
