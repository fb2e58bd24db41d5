//! Content parts and tool results of the history.

use std::borrow::Cow;

use polyport_types::{
    CacheMark, CacheTtl, Document, DocumentSource, Extras, LossAction, LossCode, Losses, Media, MediaSource, Part,
    PartKind, Protocol, RawJson, SearchResult, ToolCallKind, ToolResult,
};

use crate::Target;
use crate::json::JsonWriter;
use crate::responses::write::{detail_word, image_members, media_members};

/// A content part of the user's side.
pub(super) enum Content<'a> {
    Text { text: Cow<'a, str>, cache: Option<CacheMark>, ext: Option<&'a Extras> },
    Image { image: &'a Media, cache: Option<CacheMark>, ext: Option<&'a Extras> },
    File { source: &'a MediaSource, document: &'a Document, cache: Option<CacheMark>, ext: Option<&'a Extras> },
    Raw(&'a RawJson),
}

/// What a part becomes; nothing if it is empty or there is no form for it.
pub(super) fn contents<'a>(part: &'a Part, path: &str, losses: &mut Losses) -> Vec<Content<'a>> {
    let cache = part.cache;
    let ext = Some(&part.ext);
    let plain = |text: Cow<'a, str>| vec![Content::Text { text, cache, ext: None }];
    match &part.kind {
        PartKind::Text(text) if text.text.trim().is_empty() => Vec::new(),
        PartKind::Text(text) => vec![Content::Text { text: Cow::Borrowed(&text.text), cache, ext }],
        PartKind::Refusal(text) => plain(Cow::Borrowed(text)),
        PartKind::Image(image) if is_known_file(&image.source) => vec![Content::Image { image, cache, ext }],
        PartKind::Document(document) => document_contents(part, document, path, losses),
        PartKind::SearchResult(hit) => {
            losses.info(LossCode::CitationDegraded, LossAction::Degraded, path, "a search result became text");
            plain(Cow::Owned(search_result(hit)))
        }
        PartKind::ExecutableCode { language, code, .. } => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "code became text");
            plain(Cow::Owned(format!("```{}\n{code}\n```\n", language.to_lowercase())))
        }
        PartKind::CodeResult { output, .. } => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "output of code became text");
            plain(Cow::Owned(format!("```\n{output}\n```\n")))
        }
        PartKind::ToolReference { name } => plain(Cow::Owned(format!("tool: {name}"))),
        PartKind::Opaque { protocol: Protocol::Responses, raw, .. } => vec![Content::Raw(raw)],
        PartKind::Image(_) | PartKind::ContainerUpload { .. } => {
            losses.error(LossCode::FileIdForeign, path, "a file of another provider");
            Vec::new()
        }
        PartKind::Audio(_) | PartKind::Video(_) => {
            losses.error(LossCode::MediaUnsupported, path, "sound or video");
            Vec::new()
        }
        // Items of their own; inside a tool result they have no form.
        PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Reasoning(_)
        | PartKind::ServerToolCall(_)
        | PartKind::ServerToolResult(_)
        | PartKind::Compaction { .. }
        | PartKind::ItemReference { .. }
        | PartKind::Opaque { .. } => {
            losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "a part inside another");
            Vec::new()
        }
    }
}

/// File ids are those of an `OpenAI` account, whichever protocol named them.
pub(super) fn is_known_file(source: &MediaSource) -> bool {
    !matches!(source, MediaSource::FileId { owner: Protocol::Messages | Protocol::Gemini, .. })
}

pub(super) fn search_result(hit: &SearchResult) -> String {
    let mut text = format!("{}\n{}\n", hit.title, hit.source);
    for part in hit.parts.iter().filter_map(Part::as_text) {
        text.push_str(part);
    }
    text
}

pub(super) fn document_contents<'a>(
    part: &'a Part,
    document: &'a Document,
    path: &str,
    losses: &mut Losses,
) -> Vec<Content<'a>> {
    let mut contents = Vec::new();
    let text = |text: Cow<'a, str>, cache| Content::Text { text, cache, ext: None };
    if document.citations == Some(true) {
        losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "citations of a document");
    }
    if let Some(context) = document.context.as_ref().filter(|context| !context.trim().is_empty()) {
        contents.push(text(Cow::Borrowed(context), None));
    }
    let title = document.title.as_ref().or(document.filename.as_ref());
    match &document.source {
        DocumentSource::File(source) if is_known_file(source) => {
            contents.push(Content::File { source, document, cache: part.cache, ext: Some(&part.ext) });
        }
        DocumentSource::File(_) => losses.error(LossCode::FileIdForeign, path, "a file of another provider"),
        DocumentSource::PlainText(plain) => {
            let titled = title.map_or(Cow::Borrowed(&**plain), |title| Cow::Owned(format!("{title}\n{plain}")));
            if !titled.trim().is_empty() {
                contents.push(text(titled, part.cache));
            }
        }
        DocumentSource::Blocks(parts) => {
            if let Some(title) = title {
                contents.push(text(Cow::Borrowed(title), None));
            }
            for part in parts {
                contents.extend(self::contents(part, path, losses));
            }
        }
    }
    contents
}

pub(super) fn write_content(w: &mut JsonWriter<'_>, content: &Content<'_>, native: bool, ttl_12h: bool) {
    let tail = |w: &mut JsonWriter<'_>, cache: Option<CacheMark>, ext: Option<&Extras>| {
        if let Some(mark) = cache {
            cache_breakpoint(w, mark, native, ttl_12h);
        }
        if let (true, Some(ext)) = (native, ext) {
            w.extras(ext);
        }
    };
    match content {
        Content::Text { text, cache, ext } => w.object(|w| {
            w.str("type", "input_text");
            w.str("text", text);
            tail(w, *cache, *ext);
        }),
        Content::Image { image, cache, ext } => w.object(|w| {
            image_members(w, image);
            tail(w, *cache, *ext);
        }),
        Content::File { source, document, cache, ext } => w.object(|w| {
            w.str("type", "input_file");
            file_members(w, source, document);
            tail(w, *cache, *ext);
        }),
        Content::Raw(raw) => w.raw_value(raw.as_str()),
    }
}

pub(super) fn file_members(w: &mut JsonWriter<'_>, source: &MediaSource, document: &Document) {
    let name = document.filename.as_deref().or(document.title.as_deref());
    match source {
        MediaSource::Base64 { mime, data } => {
            w.str("filename", name.unwrap_or_else(|| file_name(mime)));
            w.key("file_data");
            w.string_concat(&["data:", mime, ";base64,", data]);
        }
        MediaSource::Url { url, .. } => {
            w.str("file_url", url);
            w.opt_str("filename", name);
        }
        MediaSource::FileId { id, .. } => {
            w.str("file_id", id);
            w.opt_str("filename", name);
        }
    }
    let detail = document.detail.map(detail_word).filter(|detail| *detail != "original");
    w.opt_str("detail", detail);
}

/// A file needs a name.
pub(super) fn file_name(mime: &str) -> &'static str {
    match mime {
        "text/plain" => "document.txt",
        "text/csv" => "document.csv",
        "text/markdown" => "document.md",
        "text/html" => "document.html",
        "application/json" => "document.json",
        _ => "document.pdf",
    }
}

pub(super) fn cache_breakpoint(w: &mut JsonWriter<'_>, mark: CacheMark, native: bool, ttl_12h: bool) {
    w.object_field("prompt_cache_breakpoint", |w| {
        w.str("mode", "explicit");
        match mark.ttl {
            Some(ttl) if native => w.str("ttl", ttl_word(ttl)),
            // Longer than the default of half an hour.
            Some(CacheTtl::Hour1 | CacheTtl::Hours12 | CacheTtl::Hours24) if ttl_12h => w.str("ttl", "12h"),
            _ => {}
        }
    });
}

/// A cache lifetime in `OpenAI`'s words.
pub(in crate::responses) fn ttl_word(ttl: CacheTtl) -> &'static str {
    match ttl {
        CacheTtl::Minutes5 => "5m",
        CacheTtl::Minutes30 => "30m",
        CacheTtl::Hour1 => "1h",
        CacheTtl::Hours12 => "12h",
        CacheTtl::Hours24 => "24h",
    }
}

/// Instruction parts as content parts of a message; `mark` is put on the last one that has none of its own.
pub(in crate::responses) fn write_parts(
    w: &mut JsonWriter<'_>,
    parts: &[Part],
    mark: Option<CacheMark>,
    native: bool,
    target: &Target,
    losses: &mut Losses,
) {
    let mut list: Vec<Content<'_>> = parts.iter().flat_map(|part| contents(part, "/instructions", losses)).collect();
    if let (Some(mark), Some(Content::Text { cache: cache @ None, .. })) = (mark, list.last_mut()) {
        *cache = Some(mark);
    }
    list.iter().for_each(|content| write_content(w, content, native, target.profile.cache_ttl_12h));
}

pub(super) struct ResultIds<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) call_id: &'a str,
    pub(super) status: Option<&'a str>,
}

/// The content of a result; unlike what a person says it is kept even if it is only white space.
pub(super) fn result_contents<'a>(result: &'a ToolResult, path: &str, losses: &mut Losses) -> Vec<Content<'a>> {
    let mut list = Vec::new();
    for part in &result.parts {
        match &part.kind {
            PartKind::Text(text) if text.text.is_empty() => {}
            PartKind::Text(text) => {
                list.push(Content::Text { text: Cow::Borrowed(&text.text), cache: part.cache, ext: Some(&part.ext) });
            }
            _ => list.extend(contents(part, path, losses)),
        }
    }
    list
}

/// There is no flag for a failed tool: its text says so.
pub(super) fn mark_error(contents: &mut Vec<Content<'_>>) {
    let says_so = |text: &str| text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    match contents.iter_mut().find_map(|content| match content {
        Content::Text { text, .. } => Some(text),
        Content::Image { .. } | Content::File { .. } | Content::Raw(_) => None,
    }) {
        Some(text) if says_so(text) => {}
        Some(text) => *text = Cow::Owned(format!("Error: {text}")),
        None => contents.insert(0, Content::Text { text: Cow::Borrowed("Error"), cache: None, ext: None }),
    }
}

pub(super) fn write_result(
    w: &mut JsonWriter<'_>,
    part: &Part,
    result: &ToolResult,
    contents: &[Content<'_>],
    ids: &ResultIds<'_>,
    native: bool,
    ttl_12h: bool,
) {
    let text = || {
        let texts = contents.iter().filter_map(|content| match content {
            Content::Text { text, .. } => Some(&**text),
            Content::Image { .. } | Content::File { .. } | Content::Raw(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    };
    let builtin = match &result.kind {
        ToolCallKind::Builtin(kind) => &**kind,
        ToolCallKind::Function | ToolCallKind::Custom => "",
    };
    let picture = contents.iter().find_map(|content| match content {
        Content::Image { image, .. } => Some(*image),
        Content::Text { .. } | Content::File { .. } | Content::Raw(_) => None,
    });
    w.object(|w| {
        let head = |w: &mut JsonWriter<'_>, kind: &str| {
            w.str("type", kind);
            w.opt_str("id", ids.id);
            w.str("call_id", ids.call_id);
        };
        match (builtin, &result.structured, picture) {
            ("shell", Some(output), _) if output.as_str().trim_start().starts_with('[') => {
                head(w, "shell_call_output");
                w.raw("output", output);
            }
            ("tool_search", Some(tools), _) if tools.as_str().trim_start().starts_with('[') => {
                head(w, "tool_search_output");
                w.str("execution", "client");
                w.raw("tools", tools);
            }
            ("apply_patch", _, _) => {
                head(w, "apply_patch_call_output");
                w.str("status", if result.is_error { "failed" } else { "completed" });
                w.str("output", &text());
            }
            ("local_shell", _, _) => {
                head(w, "local_shell_call_output");
                w.str("output", &text());
            }
            ("computer", _, Some(picture)) => {
                head(w, "computer_call_output");
                w.object_field("output", |w| {
                    w.str("type", "computer_screenshot");
                    media_members(w, &picture.source);
                });
            }
            _ => {
                let custom = result.kind == ToolCallKind::Custom;
                head(w, if custom { "custom_tool_call_output" } else { "function_call_output" });
                w.opt_str("name", result.name.as_deref().filter(|_| native && !custom));
                w.key("output");
                write_output(w, result, contents, native, ttl_12h);
            }
        }
        if !matches!(builtin, "apply_patch") && result.kind != ToolCallKind::Custom {
            w.opt_str("status", ids.status);
        }
        if native {
            w.extras(&part.ext);
        }
    });
}

/// Text where it is no more than that, otherwise content parts.
pub(super) fn write_output(
    w: &mut JsonWriter<'_>,
    result: &ToolResult,
    contents: &[Content<'_>],
    native: bool,
    ttl_12h: bool,
) {
    match (&result.structured, contents) {
        (Some(structured), []) => w.string(structured.as_str()),
        (None, []) => w.string(""),
        (None, [Content::Text { text, cache: None, ext }]) if ext.is_none_or(Extras::is_empty) => w.string(text),
        (structured, contents) => w.array(|w| {
            if let Some(structured) = structured {
                w.object(|w| {
                    w.str("type", "input_text");
                    w.str("text", structured.as_str());
                });
            }
            contents.iter().for_each(|content| write_content(w, content, native, ttl_12h));
        }),
    }
}
