//! Parts of a content, read: the same in requests and answers.

use std::borrow::Cow;

use polyport_types::{
    CodeOutcome, Document, DocumentSource, Extras, Family, ImageDetail, Media, MediaSource, Part, PartKind, PartStatus,
    Protocol, RawJson, Reasoning, ReasoningText, ServerToolCall, ServerToolKind, ServerToolResult, Signature,
    SignatureKind, Text, ToolCall, ToolCallKind, ToolResult,
};
use serde_json::value::RawValue;

use super::names;
use super::types;
use crate::json::{self, JsonWriter, Pairs, Str};

/// Members of a part that hold its content, beside `text`: a part has one of them.
const OTHER_DATA: [&str; 8] = [
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];

/// The first two members with content that a part has. An empty text beside another one does not count.
pub(super) fn data_members(part: &types::Part<'_>) -> [Option<&'static str>; 2] {
    let others = [
        part.inline_data.is_some(),
        part.file_data.is_some(),
        part.function_call.is_some(),
        part.function_response.is_some(),
        part.executable_code.is_some(),
        part.code_execution_result.is_some(),
        part.tool_call.is_some(),
        part.tool_response.is_some(),
    ];
    let mut members = OTHER_DATA.into_iter().zip(others).filter(|(_, present)| *present).map(|(name, _)| name);
    match (&part.text, members.next()) {
        (Some(text), Some(other)) if !text.is_empty() => [Some("text"), Some(other)],
        (Some(_), None) => [Some("text"), None],
        (_, first) => [first, members.next()],
    }
}

/// Reads a part. Ids of calls and results that the wire does not give are left empty for the caller to fill.
pub(super) fn decode(part: types::Part<'_>, body: &Text) -> Part {
    let types::Part {
        text,
        inline_data,
        file_data,
        function_call,
        function_response,
        executable_code,
        code_execution_result,
        tool_call,
        tool_response,
        thought,
        thought_signature,
        extra,
    } = part;
    let thought = thought == Some(true);
    let signature = thought_signature.filter(|value| !value.is_empty()).map(|value| value.into_text(body));
    let mut ext = Extras::new();
    names::keep(extra, "", body, &mut ext);
    let mut signs = SignatureKind::Part;
    let kind = if let Some(call) = function_call {
        signs = SignatureKind::FunctionCall;
        decode_call(call, body, &mut ext)
    } else if let Some(response) = function_response {
        decode_result(response, body, &mut ext)
    } else if let Some(blob) = inline_data {
        decode_inline(blob, &mut ext, body)
    } else if let Some(file) = file_data {
        decode_file(file, &mut ext, body)
    } else if let Some(code) = executable_code {
        names::keep(code.extra, "executableCode", body, &mut ext);
        PartKind::ExecutableCode {
            language: code.language.map(|word| word.into_text(body)).unwrap_or_default(),
            code: code.code.map(|text| text.into_text(body)).unwrap_or_default(),
            id: code.id.map(|text| text.into_text(body)),
        }
    } else if let Some(result) = code_execution_result {
        names::keep(result.extra, "codeExecutionResult", body, &mut ext);
        PartKind::CodeResult {
            outcome: outcome(result.outcome.as_deref().unwrap_or_default()),
            output: result.output.map(|text| text.into_text(body)).unwrap_or_default(),
            id: result.id.map(|text| text.into_text(body)),
        }
    } else if let Some(raw) = tool_call {
        decode_server_call(raw, body)
    } else if let Some(raw) = tool_response {
        decode_server_result(raw, body)
    } else {
        match text {
            Some(text) if thought => {
                let text = text.into_text(body);
                let text = if text.is_empty() { ReasoningText::None } else { ReasoningText::Full(text) };
                PartKind::Reasoning(Box::new(Reasoning { text, redacted: false }))
            }
            // A signature on nothing stands alone: the only trace of hidden reasoning.
            Some(text) if text.is_empty() && signature.is_some() => hidden_reasoning(),
            None if signature.is_some() && ext.is_empty() => hidden_reasoning(),
            Some(text) => return finish(Part::text(text.into_text(body)), ext, signature, signs),
            None => return unknown(&ext, thought, signature.as_ref()),
        }
    };
    if thought && matches!(kind, PartKind::Image(_) | PartKind::Audio(_) | PartKind::Video(_) | PartKind::Document(_)) {
        // Drafts the model made while thinking are no answer: other protocols must not show them.
        return draft(&kind, &ext, signature.as_ref());
    }
    if thought && !matches!(kind, PartKind::Reasoning(_)) {
        ext.push("thought", RawJson::from_valid(Text::from_static("true")));
    }
    finish(Part::new(kind), ext, signature, signs)
}

fn finish(mut part: Part, ext: Extras, signature: Option<Text>, signs: SignatureKind) -> Part {
    if let PartKind::Image(media) | PartKind::Audio(media) | PartKind::Video(media) = &mut part.kind {
        media.detail = detail(&ext);
    } else if let PartKind::Document(document) = &mut part.kind {
        document.detail = detail(&ext);
    }
    part.signature = signature.map(|value| Signature::new(Family::Google, signs, value));
    part.ext = ext;
    part
}

/// Reasoning of which only the signature is there.
pub(super) fn hidden_reasoning() -> PartKind {
    PartKind::Reasoning(Box::new(Reasoning { text: ReasoningText::None, redacted: true }))
}

/// A part of a kind that is not known: everything it has, verbatim.
fn unknown(ext: &Extras, thought: bool, signature: Option<&Text>) -> Part {
    let kind = names::kept(ext, "").next().map(|(name, _)| name.into_owned().into()).unwrap_or_default();
    opaque(kind, |w| names::kept(ext, "").for_each(|(name, value)| w.raw(&name, value)), thought, signature)
}

fn draft(kind: &PartKind, ext: &Extras, signature: Option<&Text>) -> Part {
    let source = match kind {
        PartKind::Image(media) | PartKind::Audio(media) | PartKind::Video(media) => Some(&media.source),
        PartKind::Document(document) => match &document.source {
            DocumentSource::File(source) => Some(source),
            DocumentSource::PlainText(_) | DocumentSource::Blocks(_) => None,
        },
        _ => None,
    };
    let members = |w: &mut JsonWriter<'_>| {
        if let Some(source) = source {
            write_media(w, source, ext);
        }
        for (name, value) in names::kept(ext, "") {
            w.raw(&name, value);
        }
    };
    opaque(Text::from_static("thought"), members, true, signature)
}

fn opaque(kind: Text, members: impl FnOnce(&mut JsonWriter<'_>), thought: bool, signature: Option<&Text>) -> Part {
    let mut raw = Vec::new();
    JsonWriter::new(&mut raw).object(|w| {
        members(w);
        if thought {
            w.bool("thought", true);
        }
        w.opt_str("thoughtSignature", signature.map(|value| &**value));
    });
    // The writer writes UTF-8 only.
    let raw = RawJson::from_valid(String::from_utf8(raw).unwrap_or_default().into());
    Part::new(PartKind::Opaque { protocol: Protocol::Gemini, kind, raw })
}

fn decode_call(call: types::FunctionCall<'_>, body: &Text, ext: &mut Extras) -> PartKind {
    names::keep(call.extra, "functionCall", body, ext);
    PartKind::ToolCall(Box::new(ToolCall {
        id: call.id.map(|id| id.into_text(body)).unwrap_or_default(),
        name: call.name.map(|name| name.into_text(body)).unwrap_or_default(),
        namespace: None,
        kind: ToolCallKind::Function,
        arguments: call.args.map_or(Text::from_static("{}"), |args| json::raw(args, body).text().clone()),
        caller: None,
        status: PartStatus::Complete,
    }))
}

fn decode_result(result: types::FunctionResponse<'_>, body: &Text, ext: &mut Extras) -> PartKind {
    names::keep(result.extra, "functionResponse", body, ext);
    let (text, structured, is_error) = result.response.map_or((None, None, false), |raw| read_response(raw, body));
    if let Some(raw) = result.response
        && structured.is_none()
    {
        // The same protocol gets the object back as it was, whatever its text stands under.
        names::keep_raw("response", json::raw(raw, body), "functionResponse", ext);
    }
    let mut parts: Vec<Part> = text.map(Part::text).into_iter().collect();
    parts.extend(result.parts.unwrap_or_default().0.into_iter().map(|part| decode(part, body)));
    PartKind::ToolResult(Box::new(ToolResult {
        call_id: result.id.map(|id| id.into_text(body)).unwrap_or_default(),
        name: result.name.map(|name| name.into_text(body)),
        kind: ToolCallKind::Function,
        parts,
        structured,
        is_error,
    }))
}

/// What a `response` says: a text, or the whole object where it is more than a text; and whether it is an error.
fn read_response(raw: &RawValue, body: &Text) -> (Option<Text>, Option<RawJson>, bool) {
    if let Ok(text) = serde_json::from_str::<Str<'_>>(raw.get()) {
        return (Some(text.into_text(body)), None, false);
    }
    let members = serde_json::from_str::<Pairs<'_, &RawValue>>(raw.get()).unwrap_or_default().0;
    match members.as_slice() {
        [] => return (None, None, false),
        [(name, value)] => {
            let text = serde_json::from_str::<Str<'_>>(value.get()).ok().map(|text| text.into_text(body));
            match (&**name, text) {
                ("output" | "result" | "content", Some(text)) => return (Some(text), None, false),
                ("error", Some(text)) => return (Some(text), None, true),
                ("error", None) if value.get() != "null" => {
                    return (Some(json::raw(value, body).text().clone()), None, true);
                }
                _ => {}
            }
        }
        _ => {}
    }
    (None, Some(json::raw(raw, body)), false)
}

fn decode_inline(blob: types::Blob<'_>, ext: &mut Extras, body: &Text) -> PartKind {
    let filename = display_name(&blob.extra, body);
    names::keep(blob.extra, "inlineData", body, ext);
    let mime = blob.mime_type.map(|mime| mime.into_text(body)).unwrap_or_default();
    let data = blob.data.map(|data| base64_standard(data, body)).unwrap_or_default();
    media(MediaSource::Base64 { mime, data }, filename)
}

fn decode_file(file: types::FileData<'_>, ext: &mut Extras, body: &Text) -> PartKind {
    let filename = display_name(&file.extra, body);
    names::keep(file.extra, "fileData", body, ext);
    let mime = file.mime_type.map(|mime| mime.into_text(body)).filter(|mime| !mime.is_empty());
    let uri = file.file_uri.map(|uri| uri.into_text(body)).unwrap_or_default();
    let source = if uri.contains("://") {
        MediaSource::Url { url: uri, mime }
    } else {
        MediaSource::FileId { owner: Protocol::Gemini, id: uri, mime }
    };
    media(source, filename)
}

fn display_name(extra: &json::Extra<'_>, body: &Text) -> Option<Text> {
    let (_, value) = extra.iter().find(|(name, _)| matches!(&**name, "displayName" | "display_name"))?;
    serde_json::from_str::<Str<'_>>(value.get()).ok().map(|name| name.into_text(body))
}

/// Standard base64 with padding; the wire may have the other alphabet and no padding.
fn base64_standard(data: Str<'_>, body: &Text) -> Text {
    let bytes = data.as_bytes();
    let url_safe = memchr::memchr2(b'-', b'_', bytes).is_some();
    if !url_safe && bytes.len().is_multiple_of(4) {
        return data.into_text(body);
    }
    let mut standard: String = data
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    while !standard.len().is_multiple_of(4) {
        standard.push('=');
    }
    standard.into()
}

/// What sort of part media are, by their MIME type.
fn media(source: MediaSource, filename: Option<Text>) -> PartKind {
    let mime = match (&source, source.mime()) {
        (_, Some(mime)) if !mime.is_empty() => Cow::Borrowed(mime),
        (MediaSource::Url { url, .. }, _) => Cow::Borrowed(mime_of_address(url).unwrap_or_default()),
        _ => Cow::Borrowed(""),
    };
    match mime.split('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "image" => PartKind::Image(Media::new(source)),
        "audio" => PartKind::Audio(Media::new(source)),
        "video" => PartKind::Video(Media::new(source)),
        _ => PartKind::Document(Box::new(Document {
            source: DocumentSource::File(source),
            filename,
            title: None,
            context: None,
            citations: None,
            detail: None,
        })),
    }
}

/// MIME type of a file by the end of its address; `None` where it does not tell.
pub(super) fn mime_of_address(url: &str) -> Option<&'static str> {
    const VIDEO_PAGES: [&str; 3] = ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"];
    if VIDEO_PAGES.iter().any(|page| url.starts_with(page)) {
        return Some("video/mp4");
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let (_, end) = path.rsplit_once('.')?;
    Some(match end.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "bmp" => "image/bmp",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "md" => "text/markdown",
        "json" => "application/json",
        "xml" => "application/xml",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}

/// The resolution asked for by a part's own `mediaResolution`.
fn detail(ext: &Extras) -> Option<ImageDetail> {
    let raw = ext.get("mediaResolution")?;
    let value = raw.to_value();
    let level = value.get("level").or(Some(&value)).and_then(serde_json::Value::as_str)?;
    resolution(level)
}

/// The resolution a word stands for.
pub(super) fn resolution(word: &str) -> Option<ImageDetail> {
    match &*names::word(word, "MEDIA_RESOLUTION_") {
        "MEDIA_RESOLUTION_LOW" => Some(ImageDetail::Low),
        "MEDIA_RESOLUTION_MEDIUM" => Some(ImageDetail::Medium),
        "MEDIA_RESOLUTION_HIGH" => Some(ImageDetail::High),
        "MEDIA_RESOLUTION_ULTRA_HIGH" => Some(ImageDetail::UltraHigh),
        _ => None,
    }
}

fn outcome(word: &str) -> CodeOutcome {
    match &*names::word(word, "OUTCOME_") {
        "OUTCOME_OK" => CodeOutcome::Ok,
        "OUTCOME_FAILED" => CodeOutcome::Failed,
        "OUTCOME_DEADLINE_EXCEEDED" => CodeOutcome::DeadlineExceeded,
        other => CodeOutcome::Other(other.into()),
    }
}

/// The tool a `toolType` names.
fn server_tool(tool_type: &str) -> ServerToolKind {
    match tool_type {
        "GOOGLE_SEARCH_WEB" => ServerToolKind::WebSearch,
        "URL_CONTEXT" => ServerToolKind::WebFetch,
        "GOOGLE_MAPS" => ServerToolKind::Maps,
        "FILE_SEARCH" => ServerToolKind::FileSearch,
        other => ServerToolKind::Other(other.into()),
    }
}

fn decode_server_call(raw: &RawValue, body: &Text) -> PartKind {
    let call: types::ServerToolPart<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
    let name = names::word(call.tool_type.as_deref().unwrap_or_default(), "").into_owned();
    PartKind::ServerToolCall(Box::new(ServerToolCall {
        id: call.id.map(|id| id.into_text(body)).unwrap_or_default(),
        tool: server_tool(&name),
        name: name.into(),
        input: call.args.map_or_else(empty_object, |args| json::raw(args, body)),
        raw: Some(names::raw(raw, body)),
        protocol: Protocol::Gemini,
    }))
}

fn decode_server_result(raw: &RawValue, body: &Text) -> PartKind {
    let result: types::ServerToolPart<'_> = serde_json::from_str(raw.get()).unwrap_or_default();
    let name = names::word(result.tool_type.as_deref().unwrap_or_default(), "");
    PartKind::ServerToolResult(Box::new(ServerToolResult {
        call_id: result.id.map(|id| id.into_text(body)).unwrap_or_default(),
        tool: server_tool(&name),
        payload: result.response.map_or_else(empty_object, |response| json::raw(response, body)),
        is_error: false,
        raw: Some(names::raw(raw, body)),
        protocol: Protocol::Gemini,
    }))
}

fn empty_object() -> RawJson {
    RawJson::from_valid(Text::from_static("{}"))
}

/// Writes `inlineData` or `fileData`. Members kept in `ext` are those of the same protocol.
pub(super) fn write_media(w: &mut JsonWriter<'_>, source: &MediaSource, ext: &Extras) {
    match source {
        MediaSource::Base64 { mime, data } => w.object_field("inlineData", |w| {
            w.str("mimeType", plain_mime(mime));
            w.str("data", data);
            kept_members(w, ext, "inlineData");
        }),
        MediaSource::Url { url: uri, mime } | MediaSource::FileId { id: uri, mime, .. } => {
            w.object_field("fileData", |w| {
                w.str("fileUri", uri);
                let mime = mime.as_deref().filter(|mime| !mime.is_empty()).map(plain_mime);
                w.opt_str("mimeType", mime.or_else(|| mime_of_address(uri)));
                kept_members(w, ext, "fileData");
            });
        }
    }
}

/// Writes the members kept for the object at `within`.
pub(super) fn kept_members(w: &mut JsonWriter<'_>, ext: &Extras, within: &str) {
    for (name, value) in names::kept(ext, within) {
        w.raw(&name, value);
    }
}

/// A MIME type in the spelling the API knows.
fn plain_mime(mime: &str) -> &str {
    match mime {
        "image/jpg" => "image/jpeg",
        "audio/mp3" => "audio/mpeg",
        "audio/x-wav" => "audio/wav",
        other => other,
    }
}
