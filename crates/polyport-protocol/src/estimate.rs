//! How many tokens a request is, without a tokenizer.
//!
//! Used where a protocol names the prompt's size before the provider does, and where a provider cannot count. The weights were
//! measured with the `o200k` and `cl100k` vocabularies on prose of thirteen languages, program text, JSON and tables; on ordinary text
//! the estimate lies within about a sixth of the truth. A tenth is added, so that it is rather too high than too low.

use polyport_types::{
    Document, DocumentSource, ImageDetail, Media, MediaSource, Message, Part, PartKind, Request, ResponseFormat, Tool,
};

/// Thousandths of a token that a byte is worth, by its value.
static WEIGHTS: [u16; 256] = weights();

/// Tokens that frame each message.
const MESSAGE: u64 = 4;
/// Tokens that frame each tool beside its texts.
const TOOL: u64 = 12;
/// Tokens of an image: the largest that Messages and Chat charge for an ordinary one lies between 800 and 1600, Gemini's at 258 to 1120.
const IMAGE: u64 = 1200;
const IMAGE_LOW: u64 = 100;
/// A page of a PDF, text and picture together, and the bytes of a usual page.
const PAGE: u64 = 2000;
const PAGE_BYTES: u64 = 50_000;
/// A document whose content is not at hand.
const UNKNOWN_DOCUMENT: u64 = 5000;
/// Tokens of a second of sound, and the bytes of a second of usual compressed sound.
const SOUND_SECOND: u64 = 32;
const SOUND_SECOND_BYTES: u64 = 16_000;
/// The same of video.
const VIDEO_SECOND: u64 = 290;
const VIDEO_SECOND_BYTES: u64 = 250_000;
/// Sound or video whose content is not at hand.
const UNKNOWN_SECONDS: u64 = 60;

const fn weights() -> [u16; 256] {
    let mut table = [0_u16; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => 225,
            b'0'..=b'9' => 550,
            b' ' => 0,
            b'\n' | b'\t' | b'\r' => 600,
            // Usually several of them are one token.
            b'"' | b':' | b'{' | b'}' | b'[' | b']' => 250,
            0..=0x7f => 550,
            // Bytes after the first of a character.
            0x80..=0xbf => 0,
            // Letters with accents break a word into more pieces.
            0xc0..=0xcb => 1200,
            // Greek, Cyrillic, Hebrew, Arabic.
            0xcc..=0xdf => 430,
            // Chinese, Japanese, Korean, Indian scripts, Thai, symbols.
            0xe0..=0xef => 800,
            0xf0..=0xff => 1300,
        };
        byte += 1;
    }
    table
}

/// Tokens of a text.
#[must_use]
pub fn text_tokens(text: &str) -> u64 {
    margin(weigh(text))
}

/// Tokens of a request as the model reads it: instructions, history, tools, schema of the answer.
#[must_use]
pub fn input_tokens(request: &Request) -> u64 {
    let mut sum = Sum::default();
    for instruction in &request.instructions {
        sum.tokens += MESSAGE;
        sum.parts(&instruction.parts);
    }
    for message in &request.messages {
        sum.message(message);
    }
    for tool in &request.tools {
        sum.tool(tool);
    }
    match &request.response_format {
        Some(ResponseFormat::JsonSchema { schema, description, .. }) => {
            sum.text(schema.as_str());
            sum.text(description.as_deref().unwrap_or_default());
        }
        Some(ResponseFormat::Enum { schema }) => sum.text(schema.as_str()),
        Some(ResponseFormat::Text | ResponseFormat::JsonObject) | None => {}
    }
    (margin(sum.weight) + sum.tokens).max(1)
}

fn weigh(text: &str) -> u64 {
    text.bytes().map(|byte| u64::from(WEIGHTS[usize::from(byte)])).sum()
}

/// From thousandths to tokens, with a tenth on top, rounded up.
fn margin(weight: u64) -> u64 {
    (weight.saturating_mul(11)).div_ceil(10_000)
}

#[derive(Default)]
struct Sum {
    /// Thousandths of tokens of texts.
    weight: u64,
    /// Tokens of everything else.
    tokens: u64,
}

impl Sum {
    fn text(&mut self, text: &str) {
        self.weight += weigh(text);
    }

    fn message(&mut self, message: &Message) {
        self.tokens += MESSAGE;
        self.text(message.name.as_deref().unwrap_or_default());
        self.parts(&message.parts);
    }

    fn parts(&mut self, parts: &[Part]) {
        for part in parts {
            self.part(&part.kind);
        }
    }

    fn part(&mut self, part: &PartKind) {
        match part {
            PartKind::Text(text) => self.text(&text.text),
            PartKind::Refusal(text) => self.text(text),
            PartKind::Image(image) => {
                self.tokens += if image.detail == Some(ImageDetail::Low) { IMAGE_LOW } else { IMAGE };
            }
            PartKind::Document(document) => self.document(document),
            PartKind::Audio(media) => self.timed(media, SOUND_SECOND, SOUND_SECOND_BYTES),
            PartKind::Video(media) => self.timed(media, VIDEO_SECOND, VIDEO_SECOND_BYTES),
            PartKind::SearchResult(result) => {
                self.text(&result.source);
                self.text(&result.title);
                self.parts(&result.parts);
            }
            PartKind::ToolCall(call) => {
                self.tokens += MESSAGE;
                self.text(&call.name);
                self.text(&call.arguments);
            }
            PartKind::ToolResult(result) => {
                self.tokens += MESSAGE;
                self.parts(&result.parts);
                self.text(result.structured.as_ref().map_or("", |raw| raw.as_str()));
            }
            PartKind::Reasoning(reasoning) => self.text(&reasoning.text.joined()),
            PartKind::ServerToolCall(call) => self.text(call.input.as_str()),
            PartKind::ServerToolResult(result) => self.text(result.payload.as_str()),
            PartKind::ExecutableCode { code, .. } => self.text(code),
            PartKind::CodeResult { output, .. } => self.text(output),
            PartKind::Compaction { content, raw } => self.text(content.as_deref().unwrap_or(raw.as_str())),
            PartKind::ToolReference { name } => self.text(name),
            PartKind::Opaque { raw, .. } => self.text(raw.as_str()),
            // What stands behind an id is not at hand.
            PartKind::ContainerUpload { .. } | PartKind::ItemReference { .. } => {}
        }
    }

    fn document(&mut self, document: &Document) {
        self.text(document.title.as_deref().unwrap_or_default());
        self.text(document.context.as_deref().unwrap_or_default());
        match &document.source {
            DocumentSource::PlainText(text) => self.text(text),
            DocumentSource::Blocks(parts) => self.parts(parts),
            DocumentSource::File(source @ MediaSource::Base64 { mime, .. }) => {
                let bytes = inline_bytes(source).unwrap_or_default();
                // Text files are read as they are: about four bytes to a token.
                self.tokens += if mime.starts_with("text/") { bytes / 4 } else { PAGE * (bytes / PAGE_BYTES + 1) };
            }
            DocumentSource::File(_) => self.tokens += UNKNOWN_DOCUMENT,
        }
    }

    fn timed(&mut self, media: &Media, per_second: u64, second_bytes: u64) {
        let seconds = inline_bytes(&media.source).map_or(UNKNOWN_SECONDS, |bytes| bytes / second_bytes + 1);
        self.tokens += per_second * seconds;
        self.text(media.transcript.as_deref().unwrap_or_default());
    }

    fn tool(&mut self, tool: &Tool) {
        self.tokens += TOOL;
        match tool {
            Tool::Function(tool) => {
                self.text(&tool.name);
                self.text(tool.description.as_deref().unwrap_or_default());
                self.text(tool.schema.as_ref().map_or("", |schema| schema.as_str()));
            }
            Tool::Custom(tool) => {
                self.text(&tool.name);
                self.text(tool.description.as_deref().unwrap_or_default());
            }
            Tool::Server(tool) => self.text(tool.raw.as_str()),
        }
    }
}

/// Bytes of inline content before base64.
fn inline_bytes(source: &MediaSource) -> Option<u64> {
    match source {
        MediaSource::Base64 { data, .. } => Some(data.len() as u64 / 4 * 3),
        MediaSource::Url { .. } | MediaSource::FileId { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use polyport_types::{ClientProtocol, FunctionTool, RawJson, Role, ToolCall, ToolCallKind, ToolResult};

    use super::*;

    /// Whether the estimate lies between the counts of two vocabularies, a tenth below and a quarter above allowed.
    fn near(text: &str, counts: [u64; 2]) {
        let estimate = text_tokens(text);
        let [least, most] = counts;
        assert!(estimate * 10 >= least * 9 && estimate * 4 <= most * 5, "{estimate} for {counts:?}: {text}");
    }

    #[test]
    fn texts_of_several_kinds_come_near_the_truth() {
        // Counted with the vocabularies o200k and cl100k.
        near(
            "The quick brown fox jumps over the lazy dog. Programs must be written for people to read, and only incidentally \
             for machines to execute.",
            [28, 28],
        );
        near("人工智能正在改变我们的生活方式,我们需要认真思考它带来的影响。", [18, 30]);
        near("fn main() {\n    let answer = compute(40, 2);\n    println!(\"{answer}\");\n}\n", [21, 21]);
        near(
            r#"{"type":"object","properties":{"city":{"type":"string","description":"Name of the city"}},"required":["city"]}"#,
            [25, 26],
        );
    }

    #[test]
    fn an_empty_request_is_one_token() {
        assert_eq!(input_tokens(&Request::new(ClientProtocol::Chat, "m")), 1);
        assert_eq!(text_tokens(""), 0);
    }

    #[test]
    fn everything_the_model_reads_counts() {
        let mut request = Request::new(ClientProtocol::Messages, "m");
        let mut last = input_tokens(&request);
        let mut grows = |request: &Request, least: u64| {
            let now = input_tokens(request);
            assert!(now >= last + least, "{now} after {last}");
            last = now;
        };
        let user = |part: PartKind| Message::new(Role::User, 0, vec![Part::new(part)]);
        request.messages.push(Message::new(Role::User, 0, vec![Part::text("hello there")]));
        grows(&request, 4);
        request.tools.push(Tool::Function(Box::new(FunctionTool {
            name: "weather".into(),
            schema: Some(RawJson::from_valid(r#"{"type":"object"}"#.into())),
            ..FunctionTool::default()
        })));
        grows(&request, 12);
        let png = MediaSource::Base64 { mime: "image/png".into(), data: "AAAA".into() };
        request.messages.push(user(PartKind::Image(Media::new(png))));
        grows(&request, 1000);
        let call = ToolCall {
            id: "1".into(),
            name: "weather".into(),
            namespace: None,
            kind: ToolCallKind::Function,
            arguments: r#"{"city":"Paris"}"#.into(),
            caller: None,
            status: polyport_types::PartStatus::Complete,
        };
        request.messages.push(user(PartKind::ToolCall(Box::new(call))));
        grows(&request, 8);
        let result = ToolResult {
            call_id: "1".into(),
            name: None,
            kind: ToolCallKind::Function,
            parts: vec![Part::text("sunny and warm in the whole city today")],
            structured: None,
            is_error: false,
        };
        request.messages.push(user(PartKind::ToolResult(Box::new(result))));
        grows(&request, 8);
        let pdf = MediaSource::Base64 { mime: "application/pdf".into(), data: "A".repeat(200_000).into() };
        let document = Document {
            source: DocumentSource::File(pdf),
            filename: None,
            title: None,
            context: None,
            citations: None,
            detail: None,
        };
        request.messages.push(user(PartKind::Document(Box::new(document))));
        grows(&request, 6000);
    }
}
