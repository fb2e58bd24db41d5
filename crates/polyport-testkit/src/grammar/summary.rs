//! What a reader understood of a stream or an answer, in terms that all protocols share.

use serde_json::Value;

/// What a client has after reading everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The id of the answer.
    pub id: String,
    /// The model the answer names.
    pub model: String,
    /// The alternatives by index; Responses and Messages have one.
    pub choices: Vec<Choice>,
    /// Token counts, if any were given.
    pub usage: Option<Usage>,
    /// Why the prompt was blocked (Gemini).
    pub blocked: Option<String>,
    /// The error that ended the stream in the protocol's own form.
    pub failure: Option<Failure>,
    /// How many events were read, keep-alives not counted.
    pub events: usize,
    /// How many keep-alives were read: comments and pings.
    pub keep_alives: usize,
}

impl Summary {
    /// The text of the first choice.
    #[must_use]
    pub fn text(&self) -> &str {
        self.choices.first().map_or("", |choice| &choice.text)
    }

    /// The reasoning text of the first choice.
    #[must_use]
    pub fn reasoning(&self) -> &str {
        self.choices.first().map_or("", |choice| &choice.reasoning)
    }

    /// The tool calls of the first choice.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.choices.first().map_or(&[], |choice| &choice.tool_calls)
    }

    /// The native finish reason of the first choice; empty if there is none.
    #[must_use]
    pub fn finish(&self) -> &str {
        self.choices.first().and_then(|choice| choice.finish.as_deref()).unwrap_or_default()
    }

    /// The choices with the ids of tool calls left out, to compare two answers that say the same.
    #[must_use]
    pub fn said(&self) -> Vec<Choice> {
        let mut choices = self.choices.clone();
        choices.iter_mut().flat_map(|choice| &mut choice.tool_calls).for_each(|call| call.id.clear());
        choices
    }

    /// The choice with `index`, made if it is not there.
    pub(super) fn choice(&mut self, index: u64) -> &mut Choice {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        &mut self.choices[at]
    }
}

/// One alternative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// Its index.
    pub index: u64,
    /// All text, concatenated.
    pub text: String,
    /// All visible reasoning, concatenated (parts of a summary are joined by a blank line).
    pub reasoning: String,
    /// The refusal text of `OpenAI`'s protocols.
    pub refusal: String,
    /// Calls of the client's tools in order.
    pub tool_calls: Vec<ToolCall>,
    /// The native finish reason; for Responses the status, with the reason after a colon if it is incomplete.
    pub finish: Option<String>,
    /// The stop sequence that was hit (Messages).
    pub stop_sequence: Option<String>,
    /// Signatures and encrypted reasoning in order.
    pub signatures: Vec<String>,
    /// Images and audio in order.
    pub media: Vec<Media>,
    /// Citations in the protocol's own form.
    pub citations: Vec<Value>,
    /// Types of the items or blocks of server tools and other special parts, in order.
    pub special: Vec<String>,
    /// The order in which kinds of parts began: `reasoning`, `text`, `tool`, `refusal`, `media`, `special`.
    pub order: Vec<&'static str>,
}

impl Choice {
    /// Notes that a part of `kind` goes on or begins.
    pub(super) fn note(&mut self, kind: &'static str) {
        if self.order.last() != Some(&kind) || matches!(kind, "tool" | "special" | "media") {
            self.order.push(kind);
        }
    }

    pub(super) fn add_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.note("text");
            self.text.push_str(text);
        }
    }

    pub(super) fn add_reasoning(&mut self, text: &str) {
        if !text.is_empty() {
            self.note("reasoning");
            self.reasoning.push_str(text);
        }
    }

    pub(super) fn add_refusal(&mut self, text: &str) {
        if !text.is_empty() {
            self.note("refusal");
            self.refusal.push_str(text);
        }
    }

    pub(super) fn add_call(&mut self, call: ToolCall) {
        self.note("tool");
        self.tool_calls.push(call);
    }

    pub(super) fn add_media(&mut self, mime: &str, data: &str) {
        self.note("media");
        self.media.push(Media { mime: mime.to_owned(), data: data.to_owned() });
    }

    pub(super) fn add_special(&mut self, kind: &str) {
        self.note("special");
        self.special.push(kind.to_owned());
    }
}

/// A call of one of the client's tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The id that the result must name; empty for a Gemini call without one.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as JSON text, or the free-form input of a custom tool.
    pub arguments: String,
    /// Whether this is a call of a custom (free-form) tool.
    pub custom: bool,
}

impl ToolCall {
    /// The arguments as a value; `Null` if they are no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or(Value::Null)
    }
}

/// A piece of media in the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Its MIME type; empty where the protocol does not say.
    pub mime: String,
    /// Base64.
    pub data: String,
}

/// Token counts in one convention: `input` includes cached tokens, `output` includes reasoning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All prompt tokens.
    pub input: u64,
    /// All generated tokens.
    pub output: u64,
    /// Prompt tokens read from a cache.
    pub cache_read: u64,
    /// Prompt tokens written to a cache.
    pub cache_write: u64,
    /// Generated tokens that are reasoning.
    pub reasoning: u64,
}

/// An error in the protocol's own form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// `type` of `OpenAI` and Anthropic, `status` of Gemini.
    pub kind: String,
    /// `code`, as text; empty if there is none.
    pub code: String,
    /// The message.
    pub message: String,
}
