//! `messages` for a provider: what stands in one message.

use std::borrow::Cow;

use base64::Engine as _;
use polyport_types::{
    CacheMark, Document, DocumentSource, LossAction, LossCode, Media, MediaSource, Part, PartKind, Protocol, RawJson,
    ReasoningText, SearchResult, Text, ToolResult,
};

use super::encode::{Body, Markers, anthropic_ttl, write_cache_control};
use crate::chat::media;
use crate::json::JsonWriter;
use crate::profile::ImageInput;

/// One element of a `content`.
pub(super) struct Piece<'r> {
    pub(super) kind: PieceKind<'r>,
    pub(super) cache: Option<CacheMark>,
}

pub(super) enum PieceKind<'r> {
    Text(Text),
    Image(&'r Media),
    Audio {
        data: &'r Text,
        format: &'static str,
        /// Its type, where it is given as a `data:` address.
        mime: Option<&'r str>,
    },
    /// A file by content or id.
    File {
        name: Text,
        source: FileSource<'r>,
    },
    /// `video_url` and `document_url` of vendors.
    Url {
        kind: &'static str,
        source: &'r MediaSource,
        name: Option<&'r Text>,
    },
    /// A part of no known type, as it came.
    Raw(&'r RawJson),
    /// Reasoning inside the content.
    Thinking(Text),
}

pub(super) enum FileSource<'r> {
    Data { mime: &'r str, data: &'r Text },
    Url(&'r Text),
    Id(&'r Text),
}

impl Piece<'_> {
    pub(super) fn text(text: impl Into<Text>) -> Self {
        Self { kind: PieceKind::Text(text.into()), cache: None }
    }

    pub(super) fn is_media(&self) -> bool {
        !matches!(self.kind, PieceKind::Text(_) | PieceKind::Thinking(_))
    }

    pub(super) fn as_text(&self) -> Option<&Text> {
        match &self.kind {
            PieceKind::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Turns a part of a user's or assistant's message into pieces; what cannot go is reported at `path`.
/// Calls, results and reasoning are not for here.
pub(super) fn pieces<'r>(body: &mut Body<'r, '_, '_>, part: &'r Part, path: &str, out: &mut Vec<Piece<'r>>) {
    let start = out.len();
    match &part.kind {
        PartKind::Text(text) => {
            if !text.citations.is_empty() {
                body.losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "");
            }
            out.push(Piece::text(text.text.clone()));
        }
        PartKind::Refusal(text) => out.push(Piece::text(text.clone())),
        PartKind::Image(image) => image_piece(body, image, path, out),
        PartKind::Audio(audio) => audio_piece(body, audio, path, out),
        PartKind::Video(video) => {
            if body.accepts("video_url") && !is_foreign_file(body, &video.source, path) {
                out.push(Piece {
                    kind: PieceKind::Url { kind: "video_url", source: &video.source, name: None },
                    cache: None,
                });
            } else {
                body.losses.error(LossCode::MediaUnsupported, path, "video");
            }
        }
        PartKind::Document(document) => document_pieces(body, document, path, out),
        PartKind::SearchResult(hit) => search_result(body, hit, path, out),
        PartKind::ExecutableCode { language, code, .. } => {
            body.losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "code became text");
            out.push(Piece::text(fenced(&language.to_lowercase(), code)));
        }
        PartKind::CodeResult { output, .. } => {
            body.losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "output of code became text");
            out.push(Piece::text(fenced("", output)));
        }
        PartKind::Compaction { content: Some(content), .. } => out.push(Piece::text(content.clone())),
        PartKind::Compaction { content: None, .. } => {
            body.losses.error(LossCode::ServerFeatureDropped, path, "a summary only its provider can read");
        }
        PartKind::ToolReference { name } => out.push(Piece::text(format!("tool: {name}"))),
        PartKind::ContainerUpload { .. } => {
            body.losses.error(LossCode::FileIdForeign, path, "a file in another provider's container");
        }
        PartKind::ItemReference { .. } => {
            body.losses.error(LossCode::StateUnsupported, path, "an item held by another provider");
        }
        PartKind::ServerToolCall(_) | PartKind::ServerToolResult(_) => {
            let detail = "a call the provider made itself";
            body.losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, path, detail);
        }
        PartKind::Opaque { protocol: Protocol::Chat, kind, raw } if body.is_own() && body.accepts(kind) => {
            out.push(Piece { kind: PieceKind::Raw(raw), cache: None });
        }
        PartKind::Opaque { kind, .. } => {
            body.losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, path, kind.to_string());
        }
        PartKind::ToolCall(_) | PartKind::ToolResult(_) | PartKind::Reasoning(_) => {}
    }
    if let (Some(mark), Some(last)) = (part.cache, out.get_mut(start..).and_then(<[_]>::last_mut)) {
        last.cache = Some(mark);
    }
}

/// A fenced block of code.
pub(in crate::chat) fn fenced(language: &str, code: &str) -> String {
    let end = if code.ends_with('\n') { "" } else { "\n" };
    format!("\n```{language}\n{code}{end}```\n")
}

fn image_piece<'r>(body: &mut Body<'r, '_, '_>, image: &'r Media, path: &str, out: &mut Vec<Piece<'r>>) {
    let refused = match (body.profile().image_input, &image.source) {
        (ImageInput::None, _) => Some("no images"),
        (_, MediaSource::FileId { .. }) => {
            body.losses.error(LossCode::FileIdForeign, path, "images by file id are not possible");
            return;
        }
        (ImageInput::Data, MediaSource::Url { .. }) => Some("images by address are not taken"),
        (_, MediaSource::Url { url, .. }) if !url.starts_with("http") && !url.starts_with("data:") => {
            Some("an address only another provider can read")
        }
        _ => None,
    };
    match refused {
        Some(why) => body.losses.error(LossCode::MediaUnsupported, path, why),
        None => out.push(Piece { kind: PieceKind::Image(image), cache: None }),
    }
}

fn audio_piece<'r>(body: &mut Body<'r, '_, '_>, audio: &'r Media, path: &str, out: &mut Vec<Piece<'r>>) {
    match &audio.source {
        MediaSource::Base64 { mime, data } => match media::audio_format(mime) {
            Some(format) => {
                let mime = Some(&**mime).filter(|_| body.profile().audio_data_uri);
                out.push(Piece { kind: PieceKind::Audio { data, format, mime }, cache: None });
            }
            None => body.losses.error(LossCode::MediaUnsupported, path, format!("sound of type {mime}")),
        },
        MediaSource::Url { .. } => body.losses.error(LossCode::MediaUnsupported, path, "sound by address"),
        MediaSource::FileId { .. } => body.losses.error(LossCode::FileIdForeign, path, "sound by file id"),
    }
}

/// Reports a file id that only another protocol's provider knows.
fn is_foreign_file(body: &mut Body<'_, '_, '_>, source: &MediaSource, path: &str) -> bool {
    let foreign = matches!(source, MediaSource::FileId { .. });
    if foreign {
        body.losses.error(LossCode::FileIdForeign, path, "a file of another provider");
    }
    foreign
}

fn document_pieces<'r>(body: &mut Body<'r, '_, '_>, document: &'r Document, path: &str, out: &mut Vec<Piece<'r>>) {
    if document.citations == Some(true) {
        body.losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "no citations of documents");
    }
    if let Some(context) = &document.context {
        out.push(Piece::text(context.clone()));
    }
    let title = document.title.as_ref().or(document.filename.as_ref());
    match &document.source {
        DocumentSource::PlainText(text) => out.push(Piece::text(titled(title, text))),
        DocumentSource::Blocks(parts) => {
            if let Some(title) = title {
                out.push(Piece::text(title.clone()));
            }
            for part in parts {
                pieces(body, part, path, out);
            }
        }
        DocumentSource::File(source) => file_piece(body, document, source, path, out),
    }
}

fn titled(title: Option<&Text>, text: &str) -> String {
    title.map_or_else(|| text.to_owned(), |title| format!("{title}\n{text}"))
}

fn file_piece<'r>(
    body: &mut Body<'r, '_, '_>,
    document: &'r Document,
    source: &'r MediaSource,
    path: &str,
    out: &mut Vec<Piece<'r>>,
) {
    let title = document.filename.as_ref().or(document.title.as_ref());
    let as_url = body.profile().accept.iter().any(|name| name == "document_url");
    let source = match source {
        MediaSource::Base64 { .. } | MediaSource::Url { .. } if as_url => {
            let kind = PieceKind::Url { kind: "document_url", source, name: document.filename.as_ref() };
            out.push(Piece { kind, cache: None });
            return;
        }
        MediaSource::Base64 { mime, data } if mime.starts_with("text/") => match decoded_text(data) {
            Some(text) => {
                out.push(Piece::text(titled(title, &text)));
                return;
            }
            None => FileSource::Data { mime, data },
        },
        MediaSource::Base64 { mime, data } => FileSource::Data { mime, data },
        // Without a colon it would be read as base64.
        MediaSource::Url { url, .. } if body.is_own() && url.contains(':') => FileSource::Url(url),
        MediaSource::Url { .. } => {
            body.losses.error(LossCode::MediaUnsupported, path, "documents by address");
            return;
        }
        MediaSource::FileId { owner: Protocol::Chat | Protocol::Responses, id, .. } => FileSource::Id(id),
        MediaSource::FileId { .. } => {
            body.losses.error(LossCode::FileIdForeign, path, "a file of another provider");
            return;
        }
    };
    if !body.profile().file_input {
        body.losses.error(LossCode::MediaUnsupported, path, "no documents");
        return;
    }
    // The server wants a name and reads the type from it.
    let name = match (&source, title) {
        (_, Some(title)) => title.clone(),
        (FileSource::Data { mime, .. }, None) => Text::from(format!("document.{}", extension(mime))),
        (FileSource::Url(_) | FileSource::Id(_), None) => Text::from_static("document.pdf"),
    };
    out.push(Piece { kind: PieceKind::File { name, source }, cache: None });
}

fn decoded_text(data: &str) -> Option<String> {
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(data).ok()?).ok()
}

fn extension(mime: &str) -> &str {
    match mime {
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "pptx",
        "application/json" => "json",
        _ => "pdf",
    }
}

fn search_result<'r>(body: &mut Body<'r, '_, '_>, hit: &'r SearchResult, path: &str, out: &mut Vec<Piece<'r>>) {
    body.losses.warn(LossCode::CitationDegraded, LossAction::Degraded, path, "a search hit became text");
    let mut text = format!("{}\n{}", hit.title, hit.source);
    for part in hit.parts.iter().filter_map(Part::as_text) {
        text.push('\n');
        text.push_str(part);
    }
    out.push(Piece::text(text));
}

/// Text and media of a tool's result. The text is what Chat can carry; media go into the next user message.
pub(super) fn result_pieces<'r>(
    body: &mut Body<'r, '_, '_>,
    result: &'r ToolResult,
    path: &str,
) -> (Vec<Piece<'r>>, Vec<Piece<'r>>) {
    let mut all = Vec::new();
    let mut is_error = result.is_error;
    if let Some(structured) = &result.structured {
        let (text, failed) = structured_text(structured);
        is_error |= failed;
        all.push(Piece::text(text));
    }
    for part in &result.parts {
        pieces(body, part, path, &mut all);
    }
    let (media, mut texts): (Vec<_>, Vec<_>) = all.into_iter().partition(Piece::is_media);
    if is_error {
        body.losses.info(LossCode::ToolResultIsError, LossAction::Degraded, path, "said in the text");
        let said = |text: &Text| text.trim_start().get(..5).is_some_and(|head| head.eq_ignore_ascii_case("error"));
        match texts.first_mut().map(|piece| &mut piece.kind) {
            Some(PieceKind::Text(text)) if said(text) => {}
            Some(PieceKind::Text(text)) => *text = Text::from(format!("Error: {text}")),
            _ => texts.insert(0, Piece::text("Error: the tool failed")),
        }
    }
    (texts, media)
}

/// A structured result as text: the string of its one member where it has the form Gemini documents, else the JSON.
fn structured_text(raw: &RawJson) -> (Text, bool) {
    use serde_json::Value;
    let verbatim = || raw.text().clone();
    let Value::Object(members) = raw.to_value() else { return (verbatim(), false) };
    let mut members = members.into_iter();
    match (members.next(), members.next()) {
        (None, _) => (Text::new(), false),
        (Some((name, Value::String(text))), None) if matches!(name.as_str(), "output" | "result" | "content") => {
            (text.into(), false)
        }
        (Some((name, value)), None) if name == "error" => match value {
            Value::String(text) => (text.into(), true),
            value => (value.to_string().into(), true),
        },
        _ => (verbatim(), false),
    }
}

/// Whether pieces have to stand in a list.
fn needs_list(pieces: &[Piece<'_>], marked: bool, flatten: bool, join: bool) -> bool {
    let only_text = pieces.iter().all(|piece| piece.as_text().is_some());
    !only_text || (marked && !flatten) || (pieces.len() > 1 && !flatten && !join)
}

/// Joins text pieces. `between` stands between them.
pub(super) fn joined<'p>(pieces: &'p [Piece<'_>], between: &str) -> Cow<'p, str> {
    match pieces {
        [one] => one.as_text().map_or(Cow::Borrowed(""), |text| Cow::Borrowed(&**text)),
        many => {
            let texts: Vec<&str> = many.iter().filter_map(|piece| piece.as_text().map(|text| &**text)).collect();
            Cow::Owned(texts.join(between))
        }
    }
}

/// Writes the value of `content`. `between` joins texts where the server wants one string, `join` even where it takes a list.
pub(super) fn write_content(body: &mut Body<'_, '_, '_>, pieces: &[Piece<'_>], between: &str, join: bool) {
    let flatten = body.profile().flatten_text;
    let markers = body.markers();
    let marked = markers != Markers::None && pieces.iter().any(|piece| piece.cache.is_some());
    if pieces.iter().any(|piece| piece.cache.is_some())
        && (!marked || flatten)
        && !needs_list(pieces, false, flatten, join)
    {
        let detail = "no cache markers here";
        body.losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, "/messages", detail);
    }
    if !needs_list(pieces, marked, flatten, join) {
        body.w.string(&joined(pieces, between));
        return;
    }
    let marks: Vec<Option<Mark>> = pieces.iter().map(|piece| mark(body, piece.cache, markers)).collect();
    body.w.array(|w| {
        for (piece, mark) in pieces.iter().zip(marks) {
            write_piece(w, piece, mark.as_ref());
        }
    });
}

enum Mark {
    Breakpoint(Option<&'static str>),
    CacheControl(Option<&'static str>),
}

fn mark(body: &mut Body<'_, '_, '_>, cache: Option<CacheMark>, markers: Markers) -> Option<Mark> {
    let cache = cache?;
    match markers {
        Markers::None => None,
        Markers::Breakpoints => Some(Mark::Breakpoint(cache.ttl.and_then(|ttl| body.openai_ttl(ttl)))),
        Markers::CacheControl => Some(Mark::CacheControl(cache.ttl.and_then(anthropic_ttl))),
    }
}

fn write_piece(w: &mut JsonWriter<'_>, piece: &Piece<'_>, mark: Option<&Mark>) {
    if let PieceKind::Raw(raw) = &piece.kind {
        w.raw_value(raw.as_str());
        return;
    }
    w.object(|w| {
        match &piece.kind {
            PieceKind::Text(text) => {
                w.str("type", "text");
                w.str("text", text);
            }
            PieceKind::Image(image) => {
                w.str("type", "image_url");
                w.object_field("image_url", |w| {
                    w.key("url");
                    write_url(w, &image.source);
                    w.opt_str("detail", image.detail.and_then(media::detail_word));
                });
            }
            PieceKind::Audio { data, format, mime } => {
                w.str("type", "input_audio");
                w.object_field("input_audio", |w| {
                    w.key("data");
                    match mime {
                        Some(mime) => w.string_concat(&["data:", mime, ";base64,", data]),
                        None => w.string(data),
                    }
                    w.str("format", format);
                });
            }
            PieceKind::File { name, source } => {
                w.str("type", "file");
                w.object_field("file", |w| write_file(w, name, source));
            }
            PieceKind::Url { kind: "document_url", source, name } => {
                w.str("type", "document_url");
                w.key("document_url");
                write_url(w, source);
                w.opt_str("document_name", name.map(|name| &**name));
            }
            PieceKind::Url { kind, source, .. } => {
                w.str("type", kind);
                w.object_field(kind, |w| {
                    w.key("url");
                    write_url(w, source);
                });
            }
            PieceKind::Thinking(text) => {
                w.str("type", "thinking");
                w.array_field("thinking", |w| {
                    w.object(|w| {
                        w.str("type", "text");
                        w.str("text", text);
                    });
                });
            }
            PieceKind::Raw(_) => {}
        }
        match mark {
            Some(Mark::Breakpoint(ttl)) => w.object_field("prompt_cache_breakpoint", |w| {
                w.str("mode", "explicit");
                w.opt_str("ttl", *ttl);
            }),
            Some(Mark::CacheControl(ttl)) => {
                w.key("cache_control");
                write_cache_control(w, *ttl);
            }
            None => {}
        }
    });
}

fn write_file(w: &mut JsonWriter<'_>, name: &str, source: &FileSource<'_>) {
    match source {
        FileSource::Data { mime, data } => {
            w.str("filename", name);
            w.key("file_data");
            w.string_concat(&["data:", mime, ";base64,", data]);
        }
        FileSource::Url(url) => {
            w.str("filename", name);
            w.str("file_data", url);
        }
        FileSource::Id(id) => w.str("file_id", id),
    }
}

/// An address, or content as a `data:` URL.
pub(in crate::chat) fn write_url(w: &mut JsonWriter<'_>, source: &MediaSource) {
    match source {
        MediaSource::Base64 { mime, data } => {
            let mime = if *mime == "image/jpg" { "image/jpeg" } else { mime };
            w.string_concat(&["data:", mime, ";base64,", data]);
        }
        MediaSource::Url { url, .. } => w.string(url),
        MediaSource::FileId { id, .. } => w.string(id),
    }
}

/// All visible reasoning of some parts, as one text.
pub(super) fn reasoning_text(parts: &[&Part]) -> Option<Text> {
    let texts: Vec<Text> = parts.iter().filter_map(|part| crate::chat::reasoning::visible(part)).collect();
    match texts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(many.join(crate::chat::reasoning::BREAK).into()),
    }
}

/// Text and signature of a reasoning part, as `reasoning_details` want them.
pub(super) fn reasoning_of(part: &Part) -> &ReasoningText {
    match &part.kind {
        PartKind::Reasoning(reasoning) => &reasoning.text,
        _ => &ReasoningText::None,
    }
}
