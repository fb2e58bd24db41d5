//! Items and their pieces, neutral form to wire: shared by requests, whole answers and streams.

use polyport_types::{
    Citation, CitationKind, Extras, ImageDetail, IndexUnit, Media, MediaSource, RawJson, TokenLogprob, ToolCallKind,
};

use serde_json::value::RawValue;

use super::item::member_of;
use crate::json::{JsonWriter, Pairs, write_str};
use crate::repair;

/// How ids made here begin, after the prefix of their kind. Providers' own ids go on in hexadecimal digits.
const MADE: &str = "pp";

/// An id of an item that no provider made.
pub(super) fn made_id(prefix: &str, rest: &str) -> String {
    format!("{prefix}_{MADE}{rest}")
}

/// Whether an item id was made here: it means nothing to a provider.
pub(super) fn is_made(id: &str) -> bool {
    id.split_once('_').is_some_and(|(_, rest)| rest.starts_with(MADE))
}

/// Longest `call_id` that `OpenAI` takes, in characters.
const MAX_CALL_ID: usize = 64;

/// A call id within the limit; a longer one becomes a hash of itself.
pub(super) fn call_id(id: &str) -> std::borrow::Cow<'_, str> {
    if id.chars().count() <= MAX_CALL_ID {
        return id.into();
    }
    let hash = blake3::hash(id.as_bytes()).to_hex();
    format!("call_{}", hash.as_str().chars().take(32).collect::<String>()).into()
}

/// A call as an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallItem<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) call_id: &'a str,
    pub(super) name: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) kind: &'a ToolCallKind,
    pub(super) arguments: &'a str,
    pub(super) status: Option<&'a str>,
    pub(super) caller: Option<&'a RawJson>,
    /// Members without a slot, where they may be sent.
    pub(super) ext: Option<&'a Extras>,
    /// The arguments are written as they are, even none at all.
    pub(super) exact: bool,
}

impl CallItem<'_> {
    /// Writes the item in the form of its kind.
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        w.object(|w| match self.kind {
            ToolCallKind::Builtin(kind) if is_object(self.arguments) => self.builtin(w, kind),
            ToolCallKind::Custom => {
                self.head(w, "custom_tool_call");
                self.named(w);
                w.str("input", self.arguments);
                self.tail(w);
            }
            ToolCallKind::Function | ToolCallKind::Builtin(_) => {
                self.head(w, "function_call");
                self.named(w);
                let arguments = if self.exact { self.arguments } else { repair::arguments_text(self.arguments) };
                w.str("arguments", arguments);
                self.tail(w);
            }
        });
    }

    /// Whether [`Self::write`] uses the item of a tool whose schema `OpenAI` fixes.
    pub(super) fn is_builtin(&self) -> bool {
        matches!(self.kind, ToolCallKind::Builtin(kind) if builtin_action(kind).is_some()) && is_object(self.arguments)
    }

    fn head(&self, w: &mut JsonWriter<'_>, kind: &str) {
        w.str("type", kind);
        w.opt_str("id", self.id);
        w.str("call_id", self.call_id);
    }

    fn named(&self, w: &mut JsonWriter<'_>) {
        w.str("name", self.name);
        w.opt_str("namespace", self.namespace);
    }

    fn tail(&self, w: &mut JsonWriter<'_>) {
        w.opt_str("status", self.status);
        w.opt_raw("caller", self.caller);
        if let Some(ext) = self.ext {
            w.extras(ext);
        }
    }

    fn builtin(&self, w: &mut JsonWriter<'_>, kind: &str) {
        let Some(action) = builtin_action(kind) else {
            self.head(w, "function_call");
            self.named(w);
            w.str("arguments", self.arguments);
            return self.tail(w);
        };
        self.head(w, &format!("{kind}_call"));
        let arguments = RawJson::from_valid(self.arguments.into());
        // The newer computer tool does several things at once.
        match member_of(&arguments, "actions").filter(|_| kind == "computer") {
            Some(actions) => w.raw("actions", &actions),
            None => w.raw(action, &arguments),
        }
        w.str("status", self.status.unwrap_or("completed"));
        let has = |name: &str| self.ext.is_some_and(|ext| ext.get(name).is_some());
        if kind == "computer" && !has("pending_safety_checks") {
            w.array_field("pending_safety_checks", |_| {});
        }
        if kind == "shell" && !has("environment") {
            w.null("environment");
        }
        if kind == "tool_search" && !has("execution") {
            w.str("execution", "client");
        }
        w.opt_raw("caller", self.caller);
        if let Some(ext) = self.ext {
            w.extras(ext);
        }
    }
}

/// The member that holds the action of a tool whose schema `OpenAI` fixes; `None` for tools of others.
pub(super) fn builtin_action(kind: &str) -> Option<&'static str> {
    match kind {
        "computer" | "local_shell" | "shell" => Some("action"),
        "apply_patch" => Some("operation"),
        "tool_search" => Some("arguments"),
        _ => None,
    }
}

fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok()
}

/// A `reasoning` item.
#[derive(Clone, Debug, Default)]
pub(super) struct ReasoningItem<'a> {
    pub(super) id: &'a str,
    pub(super) summary: Vec<&'a str>,
    pub(super) full: Option<&'a str>,
    pub(super) encrypted: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    /// Members without a slot, where they may be sent.
    pub(super) ext: Option<&'a Extras>,
}

impl ReasoningItem<'_> {
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        w.object(|w| {
            w.str("type", "reasoning");
            w.str("id", self.id);
            w.array_field("summary", |w| {
                for text in &self.summary {
                    w.object(|w| {
                        w.str("type", "summary_text");
                        w.str("text", text);
                    });
                }
            });
            if let Some(full) = self.full {
                w.array_field("content", |w| {
                    w.object(|w| {
                        w.str("type", "reasoning_text");
                        w.str("text", full);
                    });
                });
            }
            w.opt_str("encrypted_content", self.encrypted);
            w.opt_str("status", self.status);
            if let Some(ext) = self.ext {
                w.extras(ext);
            }
        });
    }
}

/// `"image_url"` or `"file_id"`, and how they are written.
pub(super) fn media_members(w: &mut JsonWriter<'_>, source: &MediaSource) {
    match source {
        MediaSource::Base64 { mime, data } => {
            w.key("image_url");
            w.string_concat(&["data:", mime, ";base64,", data]);
        }
        MediaSource::Url { url, .. } => w.str("image_url", url),
        MediaSource::FileId { id, .. } => w.str("file_id", id),
    }
}

/// An `input_image` part without its cache marker.
pub(super) fn image_members(w: &mut JsonWriter<'_>, image: &Media) {
    w.str("type", "input_image");
    media_members(w, &image.source);
    // Required; the other resolutions exist elsewhere only.
    w.str("detail", image.detail.map_or("auto", detail_word));
}

pub(super) fn detail_word(detail: ImageDetail) -> &'static str {
    match detail {
        ImageDetail::Auto | ImageDetail::Medium => "auto",
        ImageDetail::Low => "low",
        ImageDetail::High | ImageDetail::UltraHigh => "high",
        ImageDetail::Original => "original",
    }
}

/// An `image_generation_call` item.
pub(super) fn generated_image(w: &mut JsonWriter<'_>, id: &str, result: &str, ext: Option<&Extras>) {
    w.object(|w| {
        w.str("type", "image_generation_call");
        w.str("id", id);
        if ext.is_none_or(|ext| ext.get("status").is_none()) {
            w.str("status", "completed");
        }
        w.str("result", result);
        if let Some(ext) = ext {
            w.extras(ext);
        }
    });
}

/// Where a citation stands in the text of its content part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// First UTF-16 code unit.
    pub(super) start: u32,
    /// The one after the last.
    pub(super) end: u32,
}

/// Whether `OpenAI` has a form for the citation.
pub(super) fn can_cite(citation: &Citation) -> bool {
    match citation.kind {
        CitationKind::File | CitationKind::FilePath | CitationKind::ContainerFile if citation.file_id.is_some() => true,
        _ => citation.url.is_some(),
    }
}

/// Writes an annotation. `native` says that the citation comes from this protocol and keeps its exact form.
pub(super) fn annotation(w: &mut JsonWriter<'_>, citation: &Citation, place: Place, native: bool) {
    if let (true, Some(raw)) = (native, &citation.raw) {
        return own_annotation(w, raw, citation, place);
    }
    let filename = citation.filename.as_deref().or(citation.title.as_deref()).unwrap_or_default();
    w.object(|w| match (&citation.file_id, citation.kind) {
        (Some(file_id), CitationKind::File) => {
            w.str("type", "file_citation");
            w.str("file_id", file_id);
            w.str("filename", filename);
            w.num("index", place.end);
        }
        (Some(file_id), CitationKind::FilePath | CitationKind::ContainerFile) => {
            w.str("type", "file_path");
            w.str("file_id", file_id);
            w.num("index", place.end);
        }
        _ => {
            w.str("type", "url_citation");
            w.num("start_index", place.start);
            w.num("end_index", place.end);
            w.str("url", citation.url.as_deref().unwrap_or_default());
            w.str("title", citation.title.as_deref().unwrap_or_default());
        }
    });
}

/// An annotation of this protocol. Some servers leave out what clients rely on.
fn own_annotation(w: &mut JsonWriter<'_>, raw: &RawJson, citation: &Citation, place: Place) {
    if citation.kind != CitationKind::Url || (citation.span.is_some() && citation.title.is_some()) {
        return w.raw_value(raw.as_str());
    }
    let members: Pairs<'_, &RawValue> = serde_json::from_str(raw.as_str()).unwrap_or_default();
    w.object(|w| {
        for (key, value) in members.0.iter().filter(|(_, value)| value.get() != "null") {
            w.key(key);
            w.raw_value(value.get());
        }
        if citation.span.is_none() {
            w.num("start_index", place.start);
            w.num("end_index", place.end);
        }
        if citation.title.is_none() {
            w.str("title", "");
        }
    });
}

/// The place of a citation in the whole content part: `offset` is where its own text begins, `text` is that text.
pub(super) fn place(citation: &Citation, offset: u32, text: &str) -> Place {
    let Some(span) = citation.span else {
        return Place { start: offset, end: offset.saturating_add(utf16_len(text)) };
    };
    let (start, end) = match span.unit {
        IndexUnit::Utf16 => (span.start, span.end),
        IndexUnit::Byte => (utf16_at(text, span.start), utf16_at(text, span.end)),
    };
    Place { start: offset.saturating_add(start), end: offset.saturating_add(end) }
}

/// Length in UTF-16 code units.
pub(super) fn utf16_len(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

/// The UTF-16 position of a byte position; one inside a character counts as its begin.
fn utf16_at(text: &str, byte: u32) -> u32 {
    let byte = byte as usize;
    let units = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= byte).map(|(_, c)| c.len_utf16());
    u32::try_from(units.sum::<usize>()).unwrap_or(u32::MAX)
}

/// One token of `logprobs`.
pub(super) fn logprob(w: &mut JsonWriter<'_>, token: &TokenLogprob) {
    w.object(|w| {
        token_members(w, token);
        w.array_field("top_logprobs", |w| {
            for top in &token.top {
                w.object(|w| token_members(w, top));
            }
        });
    });
}

fn token_members(w: &mut JsonWriter<'_>, token: &TokenLogprob) {
    w.str("token", &token.token);
    // What other protocols leave out is all but impossible.
    w.num("logprob", if token.logprob.is_finite() { token.logprob } else { -9999.0 });
    let bytes = token.bytes.as_deref().unwrap_or(token.token.as_bytes());
    w.array_field("bytes", |w| bytes.iter().for_each(|byte| w.number(u32::from(*byte))));
}

/// Writes a JSON string into a text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_str(&mut out, text);
    // `write_str` writes UTF-8 only.
    String::from_utf8(out).unwrap_or_default()
}
