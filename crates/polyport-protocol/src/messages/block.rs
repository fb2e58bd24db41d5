//! Content blocks of requests and answers as parts.

use std::borrow::Cow;

use polyport_types::{
    CacheMark, CacheTtl, Citation, CitationKind, Document, DocumentSource, Extras, Family, Media, MediaSource, Part,
    PartKind, PartStatus, Protocol, RawJson, Reasoning, ReasoningText, SearchResult, ServerToolCall, ServerToolKind,
    ServerToolResult, Signature, SignatureKind, Text, TextPart, ToolCall, ToolCallKind, ToolResult,
};
use serde_json::value::RawValue;

use super::types::{
    Block, CacheControlParam, CitationParam, CitationsConfig, Content, MediaParam, Source, json_of, object_of,
};
use crate::json::{OneOrMany, Str, raw};
use crate::repair;

/// Says which required member a block lacks: its path inside the block. Answers are taken as they come; only requests are held to
/// this.
pub(super) fn missing(block: &Block<'_>) -> Option<String> {
    let Some(kind) = &block.kind else { return Some("type".to_owned()) };
    let lacks = |present: bool, name: &str| (!present).then(|| name.to_owned());
    match &**kind {
        "text" => lacks(block.text.is_some(), "text"),
        "image" | "document" => lacks(block.source.is_some(), "source"),
        "search_result" => lacks(block.source.is_some(), "source")
            .or_else(|| lacks(block.title.is_some(), "title"))
            .or_else(|| lacks(block.content.is_some(), "content")),
        "thinking" => lacks(block.thinking.is_some(), "thinking"),
        "redacted_thinking" => lacks(block.data.is_some(), "data"),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            lacks(block.id.as_ref().is_some_and(|id| !id.is_empty()), "id")
                .or_else(|| lacks(block.name.as_ref().is_some_and(|name| !name.is_empty()), "name"))
        }
        "container_upload" => lacks(block.file_id.is_some(), "file_id"),
        "tool_reference" => lacks(block.tool_name.is_some(), "tool_name"),
        kind if kind == "tool_result" || kind.ends_with("_tool_result") => {
            lacks(block.tool_use_id.is_some(), "tool_use_id").or_else(|| match &block.content {
                Some(Content::Blocks(blocks)) if kind == "tool_result" => {
                    let mut blocks = blocks.iter().enumerate();
                    blocks.find_map(|(at, inner)| missing(inner).map(|path| format!("content.{at}.{path}")))
                }
                _ => None,
            })
        }
        _ => None,
    }
}

/// Reads a block. Nothing is dropped: members without a slot go to `ext`, unknown kinds become opaque parts.
/// `family` is that of the signatures it may hold.
pub(super) fn part(mut block: Block<'_>, family: Family, body: &Text) -> Part {
    let (cache, unusual) = block.cache_control.take().map_or((None, None), |control| mark(control, body));
    let name = block.kind.take().unwrap_or_default();
    let mut part = match &*name {
        "text" => text(&mut block, body),
        "image" | "document" => match block.source.take() {
            Some(Source::Media(source)) => media(&name, &mut block, *source, family, body),
            source => {
                block.source = source;
                opaque(name, &mut block, body)
            }
        },
        "search_result" => search_result(&mut block, family, body),
        "thinking" => thinking(&mut block, family, body),
        "redacted_thinking" => {
            let mut part =
                Part::new(PartKind::Reasoning(Box::new(Reasoning { redacted: true, ..Reasoning::default() })));
            let data = take(&mut block.data, body);
            part.signature = Some(Signature::new(family, SignatureKind::Redacted, data));
            part
        }
        "tool_use" => tool_use(&mut block, body),
        "tool_result" => tool_result(&mut block, family, body),
        "server_tool_use" | "mcp_tool_use" => server_tool_use(&name, &mut block, body),
        "container_upload" => PartKind::ContainerUpload { file_id: take(&mut block.file_id, body) }.into(),
        "tool_reference" => PartKind::ToolReference { name: take(&mut block.tool_name, body) }.into(),
        "compaction" => compaction(name, &mut block, body),
        kind if kind.ends_with("_tool_result") => server_tool_result(name, &mut block, body),
        _ => opaque(name, &mut block, body),
    };
    part.cache = cache;
    for (name, value) in block.rest(body).iter() {
        part.ext.push(name.clone(), value.clone());
    }
    if let Some(unusual) = unusual {
        part.ext.push("cache_control", unusual);
    }
    part
}

/// Reads blocks or the text that stands for one.
pub(super) fn parts(content: OneOrMany<'_, Block<'_>>, family: Family, body: &Text) -> Vec<Part> {
    match content {
        OneOrMany::One(text) if text.is_empty() => Vec::new(),
        OneOrMany::One(text) => vec![Part::text(text.into_text(body))],
        OneOrMany::Many(blocks) => blocks.into_iter().map(|block| part(block, family, body)).collect(),
    }
}

/// Reads `cache_control`; one that says more than a lifetime is handed on verbatim as well.
pub(super) fn mark(mut control: CacheControlParam<'_>, body: &Text) -> (Option<CacheMark>, Option<RawJson>) {
    let ttl = match control.ttl.as_deref() {
        Some("5m") => Some(CacheTtl::Minutes5),
        Some("1h") => Some(CacheTtl::Hour1),
        _ => None,
    };
    let usual = control.extra.is_empty() && control.ttl.is_some() == ttl.is_some();
    control.kind.get_or_insert_with(|| Str("ephemeral".into()));
    (Some(CacheMark { ttl }), (!usual).then(|| json_of(control, body)))
}

fn take(slot: &mut Option<Str<'_>>, body: &Text) -> Text {
    take_opt(slot, body).unwrap_or_default()
}

fn take_opt(slot: &mut Option<Str<'_>>, body: &Text) -> Option<Text> {
    slot.take().map(|text| text.into_text(body))
}

fn text(block: &mut Block<'_>, body: &Text) -> Part {
    let text = take(&mut block.text, body);
    let citations = match block.citations.take().map(|list| citations(list, body)) {
        Some(Some(list)) => list,
        // Not a list (`{"enabled": …}` belongs to documents): of no meaning here.
        Some(None) | None => Vec::new(),
    };
    PartKind::Text(TextPart { text, citations, logprobs: Vec::new() }).into()
}

/// Reads a list of citations; `None` if it is something else.
fn citations(list: &RawValue, body: &Text) -> Option<Vec<Citation>> {
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).ok()?;
    Some(list.into_iter().filter_map(|one| citation(one, body)).collect())
}

/// Reads one citation.
pub(super) fn citation(value: &RawValue, body: &Text) -> Option<Citation> {
    let wire: CitationParam<'_> = serde_json::from_str(value.get()).ok()?;
    let kind = match wire.kind.as_deref().unwrap_or_default() {
        "web_search_result_location" => CitationKind::Url,
        "char_location" => CitationKind::DocumentChars,
        "page_location" => CitationKind::DocumentPages,
        "content_block_location" => CitationKind::DocumentBlocks,
        "search_result_location" => CitationKind::SearchResult,
        _ => CitationKind::Other,
    };
    Some(Citation {
        kind,
        span: None,
        url: wire.url.or(wire.source).map(|url| url.into_text(body)),
        title: wire.title.or(wire.document_title).map(|title| title.into_text(body)),
        cited_text: wire.cited_text.map(|text| text.into_text(body)),
        file_id: wire.file_id.map(|id| id.into_text(body)),
        filename: None,
        document_index: wire.document_index.and_then(|index| u32::try_from(index.0).ok()),
        raw: Some(raw(value, body)),
    })
}

/// Reads an image or a document.
fn media<'a>(kind: &str, block: &mut Block<'a>, source: MediaParam<'a>, family: Family, body: &Text) -> Part {
    let document = kind == "document";
    let content = match media_source(source, document, family, body) {
        Ok(content) => content,
        Err(source) => {
            block.source = Some(Source::Media(source));
            return opaque(Str(kind.to_owned().into()), block, body);
        }
    };
    let (source, unknown) = content;
    let mut part: Part = match source {
        DocumentSource::File(source) if !document => PartKind::Image(Media::new(source)).into(),
        source => PartKind::Document(Box::new(Document {
            source,
            filename: None,
            title: take_opt(&mut block.title, body),
            context: take_opt(&mut block.context, body),
            citations: block.citations.take().and_then(enabled),
            detail: None,
        }))
        .into(),
    };
    if !unknown.is_empty() {
        part.ext.push("source", object_of(&unknown));
    }
    part
}

/// Reads a source and the members it has beyond the known; one of unknown type is given back.
#[allow(clippy::type_complexity, reason = "the source and what was left of it, read at once by the only caller")]
fn media_source<'a>(
    mut source: MediaParam<'a>,
    document: bool,
    family: Family,
    body: &Text,
) -> Result<(DocumentSource, Extras), Box<MediaParam<'a>>> {
    let kind = source.kind.take().unwrap_or_default();
    let read = match &*kind {
        "base64" => DocumentSource::File(MediaSource::Base64 {
            mime: take(&mut source.media_type, body),
            data: take(&mut source.data, body),
        }),
        "url" => DocumentSource::File(MediaSource::Url {
            url: take(&mut source.url, body),
            mime: take_opt(&mut source.media_type, body),
        }),
        "file" => DocumentSource::File(MediaSource::FileId {
            owner: Protocol::Messages,
            id: take(&mut source.file_id, body),
            mime: None,
        }),
        "text" if document => {
            source.media_type = None;
            DocumentSource::PlainText(take(&mut source.data, body))
        }
        "content" if document => {
            let content = source.content.take().unwrap_or(OneOrMany::Many(Vec::new()));
            DocumentSource::Blocks(parts(content, family, body))
        }
        _ => {
            source.kind = Some(kind);
            return Err(Box::new(source));
        }
    };
    Ok((read, source.rest(body)))
}

fn enabled(config: &RawValue) -> Option<bool> {
    serde_json::from_str::<CitationsConfig<'_>>(config.get()).ok()?.enabled
}

fn search_result(block: &mut Block<'_>, family: Family, body: &Text) -> Part {
    let source = match block.source.take() {
        Some(Source::Text(source)) => source.into_text(body),
        Some(Source::Media(media)) => media.url.map(|url| url.into_text(body)).unwrap_or_default(),
        None => Text::new(),
    };
    let parts = match block.content.take() {
        Some(Content::Text(text)) => vec![Part::text(text.into_text(body))],
        Some(Content::Blocks(blocks)) => blocks.into_iter().map(|inner| part(inner, family, body)).collect(),
        Some(Content::Object(_)) | None => Vec::new(),
    };
    let citations = block.citations.take().and_then(enabled);
    PartKind::SearchResult(Box::new(SearchResult { source, title: take(&mut block.title, body), parts, citations }))
        .into()
}

fn thinking(block: &mut Block<'_>, family: Family, body: &Text) -> Part {
    let text = match take(&mut block.thinking, body) {
        text if text.is_empty() => ReasoningText::None,
        text => ReasoningText::Full(text),
    };
    let mut part = Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted: false })));
    let signature = take_opt(&mut block.signature, body).filter(|value| !value.is_empty());
    part.signature = signature.map(|value| Signature::new(family, SignatureKind::Thinking, value));
    part
}

fn tool_use(block: &mut Block<'_>, body: &Text) -> Part {
    PartKind::ToolCall(Box::new(ToolCall {
        id: take(&mut block.id, body),
        name: take(&mut block.name, body),
        namespace: None,
        kind: ToolCallKind::Function,
        arguments: block.input.take().map_or_else(|| Text::from_static("{}"), |input| compact(input, body)),
        caller: block.caller.take().map(|caller| raw(caller, body)),
        status: PartStatus::Complete,
    }))
    .into()
}

/// Arguments as the text other protocols carry.
fn compact(input: &RawValue, body: &Text) -> Text {
    match repair::compact(input.get()) {
        Cow::Borrowed(text) if text.len() > 64 => body.slice_ref(text),
        text => Text::from(text.as_ref()),
    }
}

fn tool_result(block: &mut Block<'_>, family: Family, body: &Text) -> Part {
    let mut structured = None;
    let parts = match block.content.take() {
        None => Vec::new(),
        Some(Content::Text(text)) if text.is_empty() => Vec::new(),
        Some(Content::Text(text)) => vec![Part::text(text.into_text(body))],
        Some(Content::Blocks(blocks)) => blocks.into_iter().map(|inner| part(inner, family, body)).collect(),
        Some(object @ Content::Object(_)) => {
            structured = Some(json_of(object, body));
            Vec::new()
        }
    };
    PartKind::ToolResult(Box::new(ToolResult {
        call_id: take(&mut block.tool_use_id, body),
        name: None,
        kind: ToolCallKind::Function,
        parts,
        structured,
        is_error: block.is_error.take().unwrap_or(false),
    }))
    .into()
}

fn server_tool_use(kind: &str, block: &mut Block<'_>, body: &Text) -> Part {
    let name = take(&mut block.name, body);
    PartKind::ServerToolCall(Box::new(ServerToolCall {
        id: take(&mut block.id, body),
        tool: if kind == "mcp_tool_use" { ServerToolKind::Mcp } else { server_tool(&name) },
        name,
        input: block
            .input
            .take()
            .map_or_else(|| RawJson::from_valid(Text::from_static("{}")), |input| raw(input, body)),
        raw: None,
        protocol: Protocol::Messages,
    }))
    .into()
}

/// Which tool a name of `server_tool_use` or the beginning of a `…_tool_result` stands for.
pub(super) fn server_tool(name: &str) -> ServerToolKind {
    match name {
        "web_search" => ServerToolKind::WebSearch,
        "web_fetch" => ServerToolKind::WebFetch,
        "code_execution" | "bash_code_execution" | "text_editor_code_execution" => ServerToolKind::CodeExecution,
        "mcp" => ServerToolKind::Mcp,
        name if name.starts_with("tool_search") => ServerToolKind::ToolSearch,
        name => ServerToolKind::Other(name.to_owned().into()),
    }
}

fn server_tool_result(kind: Str<'_>, block: &mut Block<'_>, body: &Text) -> Part {
    let tool = server_tool(kind.strip_suffix("_tool_result").unwrap_or(&kind));
    let payload = block.content.clone().map_or_else(|| RawJson::of(&serde_json::Value::Null), |it| json_of(it, body));
    let failed = match &block.content {
        Some(Content::Object(object)) => object
            .0
            .iter()
            .any(|(name, value)| &**name == "type" && value.get().trim_end_matches('"').ends_with("_error")),
        _ => block.is_error == Some(true),
    };
    let call_id = block.tool_use_id.clone().map(|id| id.into_text(body)).unwrap_or_default();
    PartKind::ServerToolResult(Box::new(ServerToolResult {
        call_id,
        tool,
        payload,
        is_error: failed,
        raw: Some(verbatim(kind, block, body)),
        protocol: Protocol::Messages,
    }))
    .into()
}

fn compaction(kind: Str<'_>, block: &mut Block<'_>, body: &Text) -> Part {
    let content = match &block.content {
        Some(Content::Text(text)) => Some(text.to_text(body)),
        _ => None,
    };
    PartKind::Compaction { content, raw: verbatim(kind, block, body) }.into()
}

fn opaque(kind: Str<'_>, block: &mut Block<'_>, body: &Text) -> Part {
    let name = kind.to_text(body);
    PartKind::Opaque { protocol: Protocol::Messages, kind: name, raw: verbatim(kind, block, body) }.into()
}

/// The whole block as JSON, leaving nothing in it.
fn verbatim(kind: Str<'_>, block: &mut Block<'_>, body: &Text) -> RawJson {
    let mut whole = std::mem::take(block);
    whole.kind = Some(kind);
    json_of(whole, body)
}
