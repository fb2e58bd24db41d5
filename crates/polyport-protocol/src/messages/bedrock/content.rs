//! Content blocks of Converse.

use std::collections::HashSet;

use polyport_types::{CacheMark, CacheTtl, Document, LossAction, LossCode, Losses};
use serde_json::Value;

use super::super::encode::Draft;
use super::super::turns::{Block, Kind, Source};
use super::super::words::essence;
use super::request::PLACEHOLDER;
use super::response::redacted_blob;
use crate::json::JsonWriter;

/// Longest name of a document, in characters.
const MAX_NAME: usize = 200;

/// Names of documents given so far: the service takes none twice.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

/// Writes blocks, each with its cache marker behind it: there it is a block of its own.
pub(super) fn blocks(
    w: &mut JsonWriter<'_>,
    list: &[Block<'_>],
    draft: &Draft<'_>,
    names: &mut Names,
    losses: &mut Losses,
) {
    for one in list {
        block(w, &one.kind, draft, names, losses);
        // A marker inside a result has no place there and moves behind it.
        let inside = match &one.kind {
            Kind::ToolResult { content, .. } => content.iter().rev().find_map(|inner| inner.cache),
            _ => None,
        };
        if let Some(mark) = one.cache.or(inside) {
            cache_point(w, mark);
        }
    }
}

/// Writes a cache marker.
pub(super) fn cache_point(w: &mut JsonWriter<'_>, mark: CacheMark) {
    w.object(|w| {
        w.object_field("cachePoint", |w| {
            w.str("type", "default");
            if mark.ttl.is_some_and(|ttl| ttl != CacheTtl::Minutes5) {
                w.str("ttl", "1h");
            }
        });
    });
}

fn block(w: &mut JsonWriter<'_>, kind: &Kind<'_>, draft: &Draft<'_>, names: &mut Names, losses: &mut Losses) {
    let family = draft.target.capabilities.family;
    match kind {
        Kind::Text { text, citations } => {
            if citations.is_some() {
                losses.info(LossCode::CitationDropped, LossAction::Dropped, "/messages", "sources of earlier answers");
            }
            w.object(|w| w.str("text", text));
        }
        Kind::Image(source) => image(w, source, losses),
        Kind::Document { document: given, source } => document(w, given, source, names, losses),
        Kind::SearchResult { result, content } => w.object(|w| {
            w.object_field("searchResult", |w| {
                w.str("source", &result.source);
                w.str("title", &result.title);
                w.array_field("content", |w| texts(w, content));
                if let Some(enabled) = result.citations {
                    w.object_field("citations", |w| w.bool("enabled", enabled));
                }
            });
        }),
        Kind::Thinking { text, signature } => w.object(|w| {
            w.object_field("reasoningContent", |w| {
                w.object_field("reasoningText", |w| {
                    w.str("text", text);
                    w.opt_str("signature", Some(*signature).filter(|signature| !signature.is_empty()));
                });
            });
        }),
        Kind::RedactedThinking { data } => w.object(|w| {
            w.object_field("reasoningContent", |w| w.str("redactedContent", &redacted_blob(data, family)));
        }),
        Kind::ToolUse { id, name, input, .. } => w.object(|w| {
            w.object_field("toolUse", |w| {
                w.str("toolUseId", id);
                w.str("name", name);
                w.key("input");
                w.raw_value(input);
            });
        }),
        Kind::ToolResult { id, content, is_error } => w.object(|w| {
            w.object_field("toolResult", |w| {
                w.str("toolUseId", id);
                w.array_field("content", |w| {
                    if content.is_empty() {
                        w.object(|w| w.str("text", PLACEHOLDER));
                    }
                    content.iter().for_each(|inner| block(w, &inner.kind, draft, names, losses));
                });
                if *is_error {
                    w.str("status", "error");
                }
            });
        }),
        Kind::ToolReference { name } => w.object(|w| w.str("text", &format!("tool: {name}"))),
        Kind::ServerToolUse(call) => {
            losses.warn(LossCode::ToolServerUnsupported, LossAction::Degraded, "/messages", call.name.to_string());
            w.object(|w| w.str("text", &format!("{}: {}", call.name, call.input.as_str())));
        }
        Kind::Raw(raw) => {
            let value = raw.to_value();
            let name = value.get("type").and_then(Value::as_str).unwrap_or("block").to_owned();
            losses.warn(LossCode::ToolServerUnsupported, LossAction::Degraded, "/messages", name);
            w.object(|w| w.str("text", &value.to_string()));
        }
        Kind::ContainerUpload { .. } => {
            losses.error(LossCode::FileIdForeign, "/messages", "files in containers are not known to this interface");
        }
    }
}

fn texts(w: &mut JsonWriter<'_>, content: &[Kind<'_>]) {
    for kind in content {
        if let Kind::Text { text, .. } = kind {
            w.object(|w| w.str("text", text));
        }
    }
}

fn image(w: &mut JsonWriter<'_>, source: &Source<'_>, losses: &mut Losses) {
    let format = match source {
        Source::Base64 { mime, .. } => match essence(mime) {
            "image/png" => Some("png"),
            "image/jpeg" | "image/jpg" => Some("jpeg"),
            "image/gif" => Some("gif"),
            "image/webp" => Some("webp"),
            _ => None,
        },
        Source::Url(url) if url.starts_with("s3://") => {
            let (_, ending) = url.rsplit_once('.').unwrap_or_default();
            match ending.to_ascii_lowercase().as_str() {
                "jpg" | "jpeg" => Some("jpeg"),
                "gif" => Some("gif"),
                "webp" => Some("webp"),
                _ => Some("png"),
            }
        }
        Source::Url(_) | Source::File(_) | Source::PlainText(_) | Source::Content(_) => None,
    };
    let Some(format) = format else {
        let detail = "images are png, jpeg, gif or webp, inline or at s3://";
        losses.error(LossCode::MediaUnsupported, "/messages", detail);
        return;
    };
    w.object(|w| {
        w.object_field("image", |w| {
            w.str("format", format);
            file(w, source);
        });
    });
}

fn document(w: &mut JsonWriter<'_>, document: &Document, source: &Source<'_>, names: &mut Names, losses: &mut Losses) {
    let title = document.title.as_deref().or(document.filename.as_deref());
    let ending = || title.and_then(|title| title.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    let format = match source {
        Source::Base64 { mime, .. } => format_of(essence(mime)),
        Source::Url(url) if url.starts_with("s3://") => {
            Some(ending().as_deref().and_then(known_ending).unwrap_or("pdf"))
        }
        Source::PlainText(_) | Source::Content(_) => Some("txt"),
        Source::Url(_) | Source::File(_) => None,
    };
    let Some(format) = format else {
        let detail = "documents are pdf, office files, html, csv, markdown or text, inline or at s3://";
        losses.error(LossCode::MediaUnsupported, "/messages", detail);
        return;
    };
    w.object(|w| {
        w.object_field("document", |w| {
            w.str("format", format);
            w.str("name", &names.of(title));
            match source {
                Source::PlainText(text) => w.object_field("source", |w| w.str("text", text)),
                Source::Content(content) => {
                    w.object_field("source", |w| w.array_field("content", |w| texts(w, content)))
                }
                Source::Base64 { .. } | Source::Url(_) | Source::File(_) => file(w, source),
            }
            w.opt_str("context", document.context.as_deref());
            if let Some(enabled) = document.citations {
                w.object_field("citations", |w| w.bool("enabled", enabled));
            }
        });
    });
}

fn file(w: &mut JsonWriter<'_>, source: &Source<'_>) {
    w.object_field("source", |w| match source {
        Source::Base64 { data, .. } => w.str("bytes", data),
        Source::Url(url) => w.object_field("s3Location", |w| w.str("uri", url)),
        Source::File(_) | Source::PlainText(_) | Source::Content(_) => {}
    });
}

fn format_of(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/markdown" => "md",
        mime if mime.starts_with("text/") || mime == "application/json" => "txt",
        _ => return None,
    })
}

fn known_ending(ending: &str) -> Option<&'static str> {
    ["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"].into_iter().find(|known| *known == ending)
}

impl Names {
    /// A name in the letters the service takes: letters, digits, hyphens, brackets, and single blanks.
    fn of(&mut self, title: Option<&str>) -> String {
        let kept = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
        let letters: String = title.unwrap_or_default().chars().map(kept).collect();
        let words: Vec<&str> = letters.split_whitespace().collect();
        let name: String = words.join(" ").chars().take(MAX_NAME).collect();
        let name = if name.trim().is_empty() { "document".to_owned() } else { name.trim_end().to_owned() };
        let mut unique = name.clone();
        let mut nth = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{name} {nth}");
            nth += 1;
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_what_the_service_takes_and_none_twice() {
        let mut names = Names::default();
        assert_eq!(names.of(Some("Q3_report (final).pdf")), "Q3 report (final) pdf");
        assert_eq!(names.of(Some("Q3_report (final).pdf")), "Q3 report (final) pdf 2");
        assert_eq!(names.of(None), "document");
        assert_eq!(names.of(Some("日本")), "document 2");
    }
}
