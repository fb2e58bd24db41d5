//! Parts of a history, written: what each neutral part becomes on the wire.

use std::borrow::Cow;

use polyport_types::{
    CodeOutcome, Document, DocumentSource, Extras, Family, ImageDetail, LossAction, LossCode, Losses, Media,
    MediaSource, Part, PartKind, Protocol, RawJson, Request, Text, ToolCall, ToolCallKind, ToolResult,
};

use super::decode::is_positional;
use super::names;
use super::parts::{kept_members, write_media};
use crate::Target;
use crate::carrier::is_token;
use crate::json::JsonWriter;
use crate::repair::arguments_object;

/// One part on the wire.
pub(super) struct Piece<'r> {
    data: Data<'r>,
    signature: Option<Cow<'r, str>>,
    /// Members kept for the same protocol.
    ext: Option<&'r Extras>,
    /// Resolution, for a client of another protocol.
    detail: Option<ImageDetail>,
}

enum Data<'r> {
    Text {
        text: Cow<'r, str>,
        thought: bool,
    },
    Media(&'r MediaSource),
    Call {
        call: &'r ToolCall,
        id: Option<&'r str>,
        args: Cow<'r, str>,
    },
    Result {
        name: &'r str,
        id: Option<&'r str>,
        response: Response<'r>,
        media: Vec<Piece<'r>>,
    },
    Code {
        language: &'r str,
        code: &'r str,
        id: Option<&'r str>,
    },
    CodeResult {
        outcome: &'r CodeOutcome,
        output: &'r str,
        id: Option<&'r str>,
    },
    /// A member of a part, verbatim.
    Member(&'static str, &'r RawJson),
    /// A whole part, verbatim.
    Verbatim(&'r RawJson),
}

/// The `response` of a result.
enum Response<'r> {
    Object(Cow<'r, str>),
    Text { error: bool, text: Cow<'r, str> },
    Empty,
}

impl<'r> Piece<'r> {
    /// A text of Polyport's own.
    pub(super) fn plain(text: Cow<'r, str>) -> Self {
        Self { data: Data::Text { text, thought: false }, signature: None, ext: None, detail: None }
    }

    /// What stands for a result that never came.
    pub(super) fn missing_result(name: &'r str, id: Option<&'r str>) -> Self {
        let text = Cow::Borrowed("no result was recorded for this call");
        let response = Response::Text { error: true, text };
        Self { data: Data::Result { name, id, response, media: Vec::new() }, signature: None, ext: None, detail: None }
    }

    /// The words, if it is a text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Id and name, if it is a call.
    pub(super) fn call(&self) -> Option<(&'r Text, &'r Text)> {
        match &self.data {
            Data::Call { call, .. } => Some((&call.id, &call.name)),
            _ => None,
        }
    }

    /// Gives it a signature unless it has one; true if it had none.
    pub(super) fn sign(&mut self, signature: &'static str) -> bool {
        let unsigned = self.signature.is_none();
        if unsigned {
            self.signature = Some(Cow::Borrowed(signature));
        }
        unsigned
    }

    /// Writes the part.
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        if let Data::Verbatim(raw) = self.data {
            w.raw_value(raw.as_str());
            return;
        }
        w.object(|w| {
            self.data(w);
            if let Some(level) = self.detail.and_then(level) {
                w.object_field("mediaResolution", |w| w.str("level", level));
            }
            w.opt_str("thoughtSignature", self.signature.as_deref());
            if let Some(ext) = self.ext {
                kept_members(w, ext, "");
            }
        });
    }

    fn data(&self, w: &mut JsonWriter<'_>) {
        let none = Extras::new();
        let ext = self.ext.unwrap_or(&none);
        match &self.data {
            Data::Text { text, thought } => {
                w.str("text", text);
                if *thought {
                    w.bool("thought", true);
                }
            }
            Data::Media(source) => write_media(w, source, ext),
            Data::Call { call, id, args } => w.object_field("functionCall", |w| {
                w.opt_str("id", *id);
                w.str("name", &call.name);
                w.key("args");
                w.raw_value(args);
                kept_members(w, ext, "functionCall");
            }),
            Data::Result { name, id, response, media } => w.object_field("functionResponse", |w| {
                w.opt_str("id", *id);
                w.str("name", name);
                match response {
                    Response::Object(object) => {
                        w.key("response");
                        w.raw_value(object);
                    }
                    Response::Text { error, text } => {
                        w.object_field("response", |w| w.str(if *error { "error" } else { "output" }, text));
                    }
                    Response::Empty => w.object_field("response", |_| {}),
                }
                if !media.is_empty() {
                    w.array_field("parts", |w| media.iter().for_each(|piece| piece.write(w)));
                }
                for (name, value) in names::kept(ext, "functionResponse").filter(|(name, _)| name != "response") {
                    w.raw(&name, value);
                }
            }),
            Data::Code { language, code, id } => w.object_field("executableCode", |w| {
                w.opt_str("id", *id);
                w.str("language", language_word(language));
                w.str("code", code);
                kept_members(w, ext, "executableCode");
            }),
            Data::CodeResult { outcome, output, id } => w.object_field("codeExecutionResult", |w| {
                w.opt_str("id", *id);
                w.str("outcome", outcome_word(outcome));
                w.str("output", output);
                kept_members(w, ext, "codeExecutionResult");
            }),
            Data::Member(name, raw) => w.raw(name, raw),
            Data::Verbatim(_) => {}
        }
    }
}

/// The word for how a program ended.
pub(super) fn outcome_word(outcome: &CodeOutcome) -> &str {
    match outcome {
        CodeOutcome::Ok => "OUTCOME_OK",
        CodeOutcome::Failed => "OUTCOME_FAILED",
        CodeOutcome::DeadlineExceeded => "OUTCOME_DEADLINE_EXCEEDED",
        CodeOutcome::Other(word) if word.starts_with("OUTCOME_") => word,
        CodeOutcome::Other(_) => "OUTCOME_UNSPECIFIED",
    }
}

/// The word for a programming language.
pub(super) fn language_word(language: &str) -> &str {
    let is_word = !language.is_empty() && language.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    match language {
        word if is_word => word,
        word if word.eq_ignore_ascii_case("python") => "PYTHON",
        _ => "LANGUAGE_UNSPECIFIED",
    }
}

fn level(detail: ImageDetail) -> Option<&'static str> {
    match detail {
        ImageDetail::Auto => None,
        ImageDetail::Low => Some("MEDIA_RESOLUTION_LOW"),
        ImageDetail::Medium => Some("MEDIA_RESOLUTION_MEDIUM"),
        ImageDetail::High => Some("MEDIA_RESOLUTION_HIGH"),
        ImageDetail::UltraHigh | ImageDetail::Original => Some("MEDIA_RESOLUTION_ULTRA_HIGH"),
    }
}

/// Makes pieces of parts.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'r> {
    target: &'r Target,
    /// The client speaks this protocol as well.
    own: bool,
}

impl<'r> Pieces<'r> {
    /// For a request and the place it goes to.
    pub(super) fn new(target: &'r Target, request: &Request) -> Self {
        Self { target, own: Protocol::from(request.source) == Protocol::Gemini }
    }

    /// Appends what a part of the history becomes; nothing if there is nothing to send. Results are not for this function.
    pub(super) fn part(self, part: &'r Part, path: &str, losses: &mut Losses, out: &mut Vec<Piece<'r>>) {
        let start = out.len();
        self.pieces(part, path, losses, out);
        // The API refuses a part that says nothing, unless it is signed.
        let mut added = out.split_off(start);
        let all = added.len();
        added.retain(|piece| piece.signature.is_some() || piece.text().is_none_or(|text| !text.trim().is_empty()));
        if added.len() < all {
            losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, path, "empty text");
        }
        out.append(&mut added);
    }

    fn pieces(self, part: &'r Part, path: &str, losses: &mut Losses, out: &mut Vec<Piece<'r>>) {
        if part.cache.is_some() {
            losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, path, "");
        }
        let signature = self.signature(part, path, losses);
        let data = match &part.kind {
            PartKind::Text(text) => {
                if !text.citations.is_empty() {
                    losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "");
                }
                Data::Text { text: Cow::Borrowed(&text.text), thought: false }
            }
            PartKind::Refusal(text) => {
                losses.info(LossCode::RoleDegraded, LossAction::Degraded, path, "refusal");
                Data::Text { text: Cow::Borrowed(text), thought: false }
            }
            PartKind::Reasoning(reasoning) => {
                let text = reasoning.text.joined();
                // The thoughts of another provider's model are no thoughts of this one. What is not signed at all was let
                // through on purpose.
                let foreign = part.signature.as_ref().is_some_and(|signature| signature.family != Family::Google);
                if foreign || (text.is_empty() && signature.is_none()) {
                    if !text.is_empty() {
                        losses.info(LossCode::ReasoningTextDropped, LossAction::Dropped, path, "");
                    }
                    return;
                }
                let thought = !text.is_empty();
                Data::Text { text: Cow::Owned(text.to_string()), thought }
            }
            PartKind::Image(media) | PartKind::Audio(media) | PartKind::Video(media) => {
                let piece = self.media(media, part, path, losses);
                out.extend(piece.map(|piece| Piece { signature, ..piece }));
                return;
            }
            PartKind::Document(document) => {
                self.document(document, part, signature, path, losses, out);
                return;
            }
            PartKind::ToolCall(call) => self.call(call, path, losses),
            PartKind::ServerToolCall(call) if call.protocol == Protocol::Gemini && call.raw.is_some() => {
                let Some(raw) = &call.raw else { return };
                Data::Member("toolCall", raw)
            }
            PartKind::ServerToolResult(result) if result.protocol == Protocol::Gemini && result.raw.is_some() => {
                let Some(raw) = &result.raw else { return };
                Data::Member("toolResponse", raw)
            }
            PartKind::ExecutableCode { language, code, id } if self.own => {
                Data::Code { language, code, id: id.as_deref() }
            }
            PartKind::CodeResult { outcome, output, id } if self.own => {
                Data::CodeResult { outcome, output, id: id.as_deref() }
            }
            PartKind::Opaque { protocol: Protocol::Gemini, raw, .. } if self.own => Data::Verbatim(raw),
            other => {
                out.extend(foreign(other, path, losses));
                return;
            }
        };
        out.push(Piece { data, signature, ext: self.ext(part), detail: None });
    }

    fn ext(self, part: &'r Part) -> Option<&'r Extras> {
        (self.own && !part.ext.is_empty()).then_some(&part.ext)
    }

    /// The part's signature if Google's models can read it.
    fn signature(self, part: &'r Part, path: &str, losses: &mut Losses) -> Option<Cow<'r, str>> {
        let signature = part.signature.as_ref()?;
        if signature.family != Family::Google || is_token(&signature.value) {
            losses.info(LossCode::SignatureForeignDropped, LossAction::Dropped, path, "");
            return None;
        }
        (!signature.value.is_empty()).then(|| Cow::Borrowed(&*signature.value))
    }

    fn call(self, call: &'r ToolCall, path: &str, losses: &mut Losses) -> Data<'r> {
        let args = match call.kind {
            ToolCallKind::Function | ToolCallKind::Builtin(_) => {
                let (args, repaired) = arguments_object(&call.arguments);
                if !repaired.is_faithful() {
                    losses.warn(LossCode::ToolSchemaRelaxed, LossAction::Degraded, path, repaired.as_str());
                }
                args
            }
            ToolCallKind::Custom => {
                let mut args = Vec::new();
                JsonWriter::new(&mut args).object(|w| w.str("input", &call.arguments));
                // The writer writes UTF-8 only.
                Cow::Owned(String::from_utf8(args).unwrap_or_else(|_| "{}".to_owned()))
            }
        };
        let id = (self.target.profile.accepts_call_ids && !is_positional(&call.id)).then_some(&*call.id);
        Data::Call { call, id, args }
    }

    fn media(self, media: &'r Media, part: &'r Part, path: &str, losses: &mut Losses) -> Option<Piece<'r>> {
        if let MediaSource::FileId { owner, .. } = &media.source
            && *owner != Protocol::Gemini
        {
            losses.error(LossCode::FileIdForeign, path, owner.as_str());
            return None;
        }
        let detail = self.detail(media.detail, path, losses);
        Some(Piece { data: Data::Media(&media.source), signature: None, ext: self.ext(part), detail })
    }

    /// The resolution to ask for. A Gemini client's own wish is kept with the part or the request.
    fn detail(self, detail: Option<ImageDetail>, path: &str, losses: &mut Losses) -> Option<ImageDetail> {
        let detail = detail.filter(|detail| !self.own && *detail != ImageDetail::Auto)?;
        // Resolutions of single parts came with the models that take media in results.
        if self.target.capabilities.tool_result_media {
            return Some(detail);
        }
        losses.info(LossCode::MediaDetailDropped, LossAction::Dropped, path, "");
        None
    }

    fn document(
        self,
        document: &'r Document,
        part: &'r Part,
        signature: Option<Cow<'r, str>>,
        path: &str,
        losses: &mut Losses,
        out: &mut Vec<Piece<'r>>,
    ) {
        if document.citations == Some(true) {
            losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "citations of a document");
        }
        if let Some(context) = document.context.as_deref().filter(|text| !text.trim().is_empty()) {
            out.push(Piece::plain(Cow::Borrowed(context)));
        }
        match &document.source {
            DocumentSource::File(MediaSource::FileId { owner, .. }) if *owner != Protocol::Gemini => {
                losses.error(LossCode::FileIdForeign, path, owner.as_str());
            }
            DocumentSource::File(source) => {
                if !self.own && (document.title.is_some() || document.filename.is_some()) {
                    losses.info(LossCode::NameDropped, LossAction::Dropped, path, "name of a document");
                }
                let detail = self.detail(document.detail, path, losses);
                out.push(Piece { data: Data::Media(source), signature, ext: self.ext(part), detail });
            }
            DocumentSource::PlainText(text) => {
                let title = document.title.as_deref().or(document.filename.as_deref());
                let text = match title {
                    Some(title) => Cow::Owned(format!("{title}\n{text}")),
                    None => Cow::Borrowed(&**text),
                };
                out.push(Piece { signature, ..Piece::plain(text) });
            }
            DocumentSource::Blocks(parts) => {
                if let Some(title) = document.title.as_deref() {
                    out.push(Piece::plain(Cow::Borrowed(title)));
                }
                for part in parts {
                    self.part(part, path, losses, out);
                }
            }
        }
    }

    /// The result of a call. Media that cannot stand inside it are appended to `siblings`.
    pub(super) fn result(
        self,
        part: &'r Part,
        name: &'r str,
        id: Option<&'r str>,
        path: &str,
        losses: &mut Losses,
        siblings: &mut Vec<Piece<'r>>,
    ) -> Piece<'r> {
        let PartKind::ToolResult(result) = &part.kind else { return Piece::missing_result(name, id) };
        if part.cache.is_some() {
            losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, path, "");
        }
        let name = if self.own { result.name.as_deref().unwrap_or(name) } else { name };
        let (text, media) = self.result_content(result, path, losses);
        let response = match self.ext(part).and_then(|ext| ext.get("functionResponse/response")) {
            Some(verbatim) => Response::Object(Cow::Borrowed(verbatim.as_str())),
            None => response(result, text),
        };
        // Only media stand inside a result, and without signatures of their own.
        let inside = self.own || self.target.capabilities.tool_result_media;
        let fits = |piece: &Piece<'_>| inside && matches!(piece.data, Data::Media(_) | Data::Verbatim(_));
        let (mut media, mut beside): (Vec<_>, Vec<_>) = media.into_iter().partition(fits);
        media.iter_mut().for_each(|piece| piece.signature = None);
        if !beside.is_empty() {
            losses.info(LossCode::ToolResultMediaHoisted, LossAction::Hoisted, path, "");
            siblings.append(&mut beside);
        }
        let signature = self.signature(part, path, losses);
        Piece { data: Data::Result { name, id, response, media }, signature, ext: self.ext(part), detail: None }
    }

    /// The words and the media of a result.
    fn result_content(self, result: &'r ToolResult, path: &str, losses: &mut Losses) -> (Cow<'r, str>, Vec<Piece<'r>>) {
        let mut pieces = Vec::new();
        for part in &result.parts {
            self.part(part, path, losses, &mut pieces);
        }
        let (texts, media): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|piece| piece.text().is_some());
        let mut texts: Vec<Cow<'r, str>> = texts
            .into_iter()
            .filter_map(|piece| match piece.data {
                Data::Text { text, .. } => Some(text),
                _ => None,
            })
            .collect();
        let text = if texts.len() < 2 { texts.pop().unwrap_or_default() } else { Cow::Owned(texts.join("\n")) };
        (text, media)
    }

    /// A result whose call is not in the history: told as words of the user.
    pub(super) fn orphan(self, result: &'r ToolResult, path: &str, losses: &mut Losses) -> Vec<Piece<'r>> {
        let (text, media) = self.result_content(result, path, losses);
        let text = match &result.structured {
            Some(structured) if text.is_empty() => Cow::Borrowed(structured.as_str()),
            _ => text,
        };
        let text = Cow::Owned(format!("Tool result ({}): {text}", result.call_id));
        let mut pieces = vec![Piece::plain(text)];
        pieces.extend(media);
        pieces
    }
}

/// Parts that only other protocols have, or that another provider's tools made: as text where they say something.
fn foreign<'r>(kind: &'r PartKind, path: &str, losses: &mut Losses) -> Option<Piece<'r>> {
    let text = match kind {
        PartKind::SearchResult(result) => {
            losses.info(LossCode::CitationDegraded, LossAction::Degraded, path, "search result");
            let texts = result.parts.iter().filter_map(Part::as_text).map(|text| &**text);
            let lines: Vec<&str> = [&*result.title, &*result.source].into_iter().chain(texts).collect();
            Cow::Owned(lines.join("\n"))
        }
        PartKind::ToolReference { name } => Cow::Owned(format!("tool: {name}")),
        PartKind::Compaction { content: Some(content), .. } => Cow::Borrowed(&**content),
        PartKind::Compaction { content: None, .. } => {
            losses.error(LossCode::ServerFeatureDropped, path, "summarised history");
            return None;
        }
        PartKind::ExecutableCode { language, code, .. } => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "code");
            Cow::Owned(format!("```{}\n{code}\n```", language.to_ascii_lowercase()))
        }
        PartKind::CodeResult { output, .. } => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "output of code");
            Cow::Owned(format!("```\n{output}\n```"))
        }
        PartKind::ContainerUpload { .. } => {
            losses.error(LossCode::FileIdForeign, path, "container");
            return None;
        }
        PartKind::ItemReference { .. } => {
            losses.error(LossCode::StateUnsupported, path, "item reference");
            return None;
        }
        PartKind::ServerToolCall(_) | PartKind::ServerToolResult(_) => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, path, "");
            return None;
        }
        PartKind::Opaque { kind, .. } => {
            losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, kind.to_string());
            return None;
        }
        _ => return None,
    };
    (!text.trim().is_empty()).then(|| Piece::plain(text))
}

/// The object a result is told in: an object as it is, anything else under `output` or `error`.
fn response<'r>(result: &'r ToolResult, text: Cow<'r, str>) -> Response<'r> {
    if let Some(structured) = &result.structured {
        if !text.is_empty() {
            let mut both = Vec::new();
            JsonWriter::new(&mut both).object(|w| {
                w.raw(if result.is_error { "error" } else { "output" }, structured);
                w.str("content", &text);
            });
            // The writer writes UTF-8 only.
            return Response::Object(Cow::Owned(String::from_utf8(both).unwrap_or_else(|_| "{}".to_owned())));
        }
        return match structured.is_object() {
            true if !result.is_error => Response::Object(Cow::Borrowed(structured.as_str())),
            _ => {
                let key = if result.is_error { "error" } else { "output" };
                Response::Object(Cow::Owned(format!("{{\"{key}\":{}}}", structured.as_str())))
            }
        };
    }
    if text.is_empty() && !result.is_error {
        return Response::Empty;
    }
    if !result.is_error && is_plain_object(&text) {
        return Response::Object(text);
    }
    Response::Text { error: result.is_error, text }
}

/// Whether a text is a JSON object that does not use the names of the API.
fn is_plain_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && serde_json::from_str::<crate::json::Pairs<'_, serde::de::IgnoredAny>>(text)
            .is_ok_and(|members| !members.0.iter().any(|(name, _)| matches!(&**name, "output" | "error")))
}
