//! Turns and blocks as they stand on the wire. What they hold is decided already; nothing is left out here.

use polyport_types::{CacheMark, CacheTtl, RawJson, ServerToolKind};
use serde_json::value::RawValue;

use super::turns::{Block, Kind, Side, Source, Turn};
use crate::json::{JsonWriter, Pairs};

/// Writes a turn.
pub(super) fn message(w: &mut JsonWriter<'_>, turn: &Turn<'_>) {
    w.object(|w| {
        w.str(
            "role",
            match turn.side {
                Side::User => "user",
                Side::Assistant => "assistant",
                Side::System => "system",
            },
        );
        if !turn.blocks.is_empty() || turn.side != Side::System {
            w.key("content");
            blocks(w, &turn.blocks);
        }
        turn.ext.into_iter().for_each(|ext| w.extras(ext));
    });
}

/// Writes blocks as a list.
pub(super) fn blocks(w: &mut JsonWriter<'_>, list: &[Block<'_>]) {
    w.array(|w| list.iter().for_each(|one| block(w, one)));
}

fn block(w: &mut JsonWriter<'_>, block: &Block<'_>) {
    w.object(|w| {
        kind(w, &block.kind, block.ext.and_then(|ext| ext.get("source")));
        if let Some(mark) = block.cache {
            w.key("cache_control");
            match block.ext.and_then(|ext| ext.get("cache_control")) {
                Some(raw) => w.raw_value(raw.as_str()),
                None => cache_control(w, mark),
            }
        }
        // A verbatim block holds its members already.
        if !matches!(block.kind, Kind::Raw(_)) {
            for (name, value) in block.ext.into_iter().flat_map(|ext| ext.iter()) {
                if !matches!(&**name, "source" | "cache_control") {
                    w.raw(name, value);
                }
            }
        }
    });
}

fn kind(w: &mut JsonWriter<'_>, kind: &Kind<'_>, source_ext: Option<&RawJson>) {
    match kind {
        Kind::Text { text, citations } => {
            w.str("type", "text");
            w.str("text", text);
            let citations = citations.iter().flat_map(|text| &text.citations).filter_map(|one| one.raw.as_ref());
            // An index that this gateway had to leave empty would be refused.
            let mut citations = citations.filter(|raw| !raw.as_str().contains("\"encrypted_index\":\"\"")).peekable();
            if citations.peek().is_some() {
                w.array_field("citations", |w| citations.for_each(|raw| w.raw_value(raw.as_str())));
            }
        }
        Kind::Image(source) => {
            w.str("type", "image");
            media_source(w, source, source_ext);
        }
        Kind::Document { document, source } => {
            w.str("type", "document");
            media_source(w, source, source_ext);
            w.opt_str("title", document.title.as_deref().or(document.filename.as_deref()));
            w.opt_str("context", document.context.as_deref());
            citations_config(w, document.citations);
        }
        Kind::SearchResult { result, content } => {
            w.str("type", "search_result");
            w.str("source", &result.source);
            w.str("title", &result.title);
            plain_blocks(w, content);
            citations_config(w, result.citations);
        }
        Kind::Thinking { text, signature } => {
            w.str("type", "thinking");
            w.str("thinking", text);
            w.str("signature", signature);
        }
        Kind::RedactedThinking { data } => {
            w.str("type", "redacted_thinking");
            w.str("data", data);
        }
        Kind::ToolUse { call, id, name, input } => {
            w.str("type", "tool_use");
            w.str("id", id);
            w.str("name", name);
            w.key("input");
            w.raw_value(input);
            w.opt_raw("caller", call.caller.as_ref());
        }
        Kind::ToolResult { id, content, is_error } => {
            w.str("type", "tool_result");
            w.str("tool_use_id", id);
            match content.as_slice() {
                [] => {}
                [Block { kind: Kind::Text { text, citations: None }, cache: None, ext: None }] => {
                    w.str("content", text)
                }
                many => {
                    w.key("content");
                    blocks(w, many);
                }
            }
            if *is_error {
                w.bool("is_error", true);
            }
        }
        Kind::ToolReference { name } => {
            w.str("type", "tool_reference");
            w.str("tool_name", name);
        }
        Kind::ServerToolUse(call) => {
            let mcp = call.tool == ServerToolKind::Mcp;
            w.str("type", if mcp { "mcp_tool_use" } else { "server_tool_use" });
            w.str("id", &call.id);
            w.str("name", &call.name);
            w.raw("input", &call.input);
        }
        Kind::ContainerUpload { file_id } => {
            w.str("type", "container_upload");
            w.str("file_id", file_id);
        }
        Kind::Raw(raw) => splice(w, raw, &["cache_control"]),
    }
}

fn plain_blocks(w: &mut JsonWriter<'_>, content: &[Kind<'_>]) {
    w.array_field("content", |w| content.iter().for_each(|one| w.object(|w| kind(w, one, None))));
}

fn media_source(w: &mut JsonWriter<'_>, source: &Source<'_>, ext: Option<&RawJson>) {
    w.object_field("source", |w| {
        match source {
            Source::Base64 { mime, data } => {
                w.str("type", "base64");
                w.str("media_type", mime);
                w.str("data", data);
            }
            Source::Url(url) => {
                w.str("type", "url");
                w.str("url", url);
            }
            Source::File(id) => {
                w.str("type", "file");
                w.str("file_id", id);
            }
            Source::PlainText(text) => {
                w.str("type", "text");
                w.str("media_type", "text/plain");
                w.str("data", text);
            }
            Source::Content(content) => {
                w.str("type", "content");
                plain_blocks(w, content);
            }
        }
        ext.into_iter().for_each(|ext| splice(w, ext, &[]));
    });
}

fn citations_config(w: &mut JsonWriter<'_>, enabled: Option<bool>) {
    if let Some(enabled) = enabled {
        w.object_field("citations", |w| w.bool("enabled", enabled));
    }
}

/// Writes a cache marker.
pub(super) fn cache_control(w: &mut JsonWriter<'_>, mark: CacheMark) {
    w.object(|w| {
        w.str("type", "ephemeral");
        match mark.ttl {
            None => {}
            Some(CacheTtl::Minutes5) => w.str("ttl", "5m"),
            Some(CacheTtl::Minutes30 | CacheTtl::Hour1 | CacheTtl::Hours12 | CacheTtl::Hours24) => w.str("ttl", "1h"),
        }
    });
}

/// The members of an object, without some, inside the object being written.
pub(super) fn splice(w: &mut JsonWriter<'_>, object: &RawJson, without: &[&str]) {
    let Ok(members) = serde_json::from_str::<Pairs<'_, &RawValue>>(object.as_str()) else { return };
    for (name, value) in members.0 {
        if !without.contains(&&*name) {
            w.key(&name);
            w.raw_value(value.get());
        }
    }
}
