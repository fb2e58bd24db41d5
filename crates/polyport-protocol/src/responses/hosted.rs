//! Items of tools that a provider runs, neutral form to wire.

use polyport_types::{PartId, Protocol, RawJson, ServerToolCallStart, ServerToolKind, Text};
use serde_json::Value;
use serde_json::value::RawValue;

use super::encoder::Sink;
use super::item::member_of;
use super::write::quoted;
use crate::json::{JsonWriter, Pairs};

/// A call of such a tool that is being written.
#[derive(Debug)]
pub(super) struct Hosted {
    /// The neutral part while it grows.
    pub(super) part: Option<PartId>,
    pub(super) start: ServerToolCallStart,
    /// JSON of the input so far.
    pub(super) input: String,
    pub(super) index: Option<u32>,
    pub(super) id: String,
    /// JSON of the action of a search that another provider made.
    pub(super) action: Option<String>,
}

impl Hosted {
    pub(super) fn new(part: Option<PartId>, start: ServerToolCallStart) -> Self {
        Self { part, start, input: String::new(), index: None, id: String::new(), action: None }
    }

    /// Whether the provider speaks this protocol and the kind of item is known: its result brings the item itself.
    pub(super) fn is_native(&self) -> bool {
        self.start.protocol == Protocol::Responses && self.kind().is_some()
    }

    /// Type of the item without `_call`.
    fn kind(&self) -> Option<&'static str> {
        match self.start.tool {
            ServerToolKind::WebSearch => Some("web_search"),
            ServerToolKind::FileSearch => Some("file_search"),
            ServerToolKind::CodeExecution => Some("code_interpreter"),
            ServerToolKind::Mcp => Some("mcp"),
            _ => None,
        }
    }

    pub(super) fn prefix(&self) -> &'static str {
        match self.kind() {
            Some("web_search") => "ws",
            Some("file_search") => "fs",
            Some("code_interpreter") => "ci",
            _ => "mcp",
        }
    }

    /// The item before anything is known of it.
    pub(super) fn write_open(&self, w: &mut JsonWriter<'_>) {
        self.write(w, "in_progress");
    }

    /// The item of a search that another provider made.
    pub(super) fn write_done(&self, w: &mut JsonWriter<'_>) {
        self.write(w, "completed");
    }

    /// The item of a call that never ended.
    pub(super) fn write_cut(&self, w: &mut JsonWriter<'_>) {
        self.write(w, if self.kind() == Some("web_search") { "failed" } else { "incomplete" });
    }

    fn write(&self, w: &mut JsonWriter<'_>, status: &str) {
        w.object(|w| {
            w.str("id", &self.id);
            w.key("type");
            w.string_concat(&[self.kind().unwrap_or("mcp"), "_call"]);
            w.str("status", status);
            if self.start.protocol == Protocol::Responses {
                let ext = self.start.ext.iter().filter(|(name, _)| &***name != "server_label");
                ext.for_each(|(name, value)| w.raw(name, value));
            }
            self.required(w, &|_| false);
        });
    }

    /// Members without which the item is not one; those that `has` knows are there already.
    fn required(&self, w: &mut JsonWriter<'_>, has: &dyn Fn(&str) -> bool) {
        let mut member = |name: &str, value: &str| {
            if !has(name) {
                w.key(name);
                w.raw_value(value);
            }
        };
        match self.kind() {
            Some("web_search") => {
                let searched = || hosted_query(self);
                member("action", &self.action.clone().or_else(searched).unwrap_or_else(|| "{}".to_owned()));
            }
            Some("file_search") => {
                member("queries", "[]");
                member("results", "null");
            }
            Some("code_interpreter") => {
                member("code", &quoted(&self.code().unwrap_or_default()));
                member("container_id", "\"\"");
                member("outputs", "null");
            }
            _ => {
                member("name", &quoted(&self.start.name));
                member("server_label", self.start.ext.get("server_label").map_or("\"\"", RawJson::as_str));
                member("arguments", "\"\"");
                member("output", "null");
                member("error", "null");
            }
        }
    }

    fn event(&self, sink: &mut Sink, out: &mut Vec<u8>, state: &str, more: impl FnOnce(&mut JsonWriter<'_>)) {
        let kind = format!("response.{}_call{state}", self.kind().unwrap_or("mcp"));
        sink.frame(out, &kind, |w| {
            w.str("item_id", &self.id);
            w.num("output_index", self.index.unwrap_or_default());
            more(w);
        });
    }

    /// The call has begun.
    pub(super) fn progress(&self, sink: &mut Sink, out: &mut Vec<u8>) {
        self.event(sink, out, ".in_progress", |_| {});
        if matches!(self.kind(), Some("web_search" | "file_search")) {
            self.event(sink, out, ".searching", |_| {});
        }
    }

    /// The call has succeeded.
    pub(super) fn finished(&self, sink: &mut Sink, out: &mut Vec<u8>) {
        self.event(sink, out, ".completed", |_| {});
    }

    /// The provider's item is there: what it holds, and how the call ended.
    pub(super) fn result(&self, raw: &RawJson, sink: &mut Sink, out: &mut Vec<u8>) {
        let text = |name: &str| {
            member_of(raw, name)
                .and_then(|value| serde_json::from_str::<String>(value.as_str()).ok())
                .unwrap_or_default()
        };
        match self.kind() {
            Some("code_interpreter") => {
                let code = text("code");
                self.event(sink, out, "_code.delta", |w| w.str("delta", &code));
                self.event(sink, out, "_code.done", |w| w.str("code", &code));
                self.event(sink, out, ".interpreting", |_| {});
            }
            Some("mcp") => {
                let arguments = text("arguments");
                self.event(sink, out, "_arguments.delta", |w| w.str("delta", &arguments));
                self.event(sink, out, "_arguments.done", |w| w.str("arguments", &arguments));
            }
            _ => {}
        }
        match (text("status").as_str(), self.kind()) {
            ("failed", Some("mcp")) => self.event(sink, out, ".failed", |_| {}),
            ("failed" | "incomplete", _) => {}
            _ => self.finished(sink, out),
        }
    }

    /// The provider's item under the id it was announced with, nothing required missing.
    pub(super) fn complete(&self, raw: &RawJson) -> String {
        let members: Pairs<'_, &RawValue> = serde_json::from_str(raw.as_str()).unwrap_or_default();
        let has = |name: &str| {
            members.0.iter().any(|(key, value)| &**key == name && (value.get() != "null" || may_be_null(name)))
        };
        let mut out = Vec::with_capacity(raw.as_str().len() + 64);
        JsonWriter::new(&mut out).object(|w| {
            w.str("id", &self.id);
            for (key, value) in members.0.iter().filter(|(key, _)| &**key != "id" && has(key)) {
                w.key(key);
                w.raw_value(value.get());
            }
            if !has("status") {
                w.str("status", "completed");
            }
            self.required(w, &has);
        });
        // `JsonWriter` writes UTF-8 only.
        String::from_utf8(out).unwrap_or_default()
    }

    /// The program of a call that runs code at another provider.
    pub(super) fn code(&self) -> Option<String> {
        if self.start.tool != ServerToolKind::CodeExecution {
            return None;
        }
        let input: Value = serde_json::from_str(&self.input).unwrap_or_default();
        let words = ["code", "command"].iter().find_map(|name| input.get(*name).and_then(Value::as_str));
        Some(words.unwrap_or_default().to_owned())
    }
}

/// Members of server tool items that are null when there is nothing.
fn may_be_null(name: &str) -> bool {
    !matches!(name, "action" | "queries" | "container_id" | "name" | "server_label" | "arguments" | "status")
}

/// The action of a search that another provider made; `None` for tools without a form here.
pub(super) fn hosted_query(hosted: &Hosted) -> Option<String> {
    let input: Value = serde_json::from_str(&hosted.input).unwrap_or_default();
    // Google asks for several things at once.
    let query = input.get("query").or_else(|| input.pointer("/queries/0")).and_then(Value::as_str);
    match hosted.start.tool {
        ServerToolKind::WebSearch => {
            Some(format!("{{\"type\":\"search\",\"query\":{}}}", quoted(query.unwrap_or_default())))
        }
        _ => None,
    }
}

/// A program run at another provider.
#[derive(Debug)]
pub(super) struct CodeRun {
    /// Links its result.
    pub(super) call_id: Option<Text>,
    pub(super) code: String,
}

impl CodeRun {
    pub(super) fn write(&self, w: &mut JsonWriter<'_>, id: &str, status: &str, code: &str, output: Option<&str>) {
        w.object(|w| {
            w.str("id", id);
            w.str("type", "code_interpreter_call");
            w.str("status", status);
            w.str("code", code);
            w.str("container_id", "");
            match output {
                Some(output) => w.array_field("outputs", |w| {
                    w.object(|w| {
                        w.str("type", "logs");
                        w.str("logs", output);
                    });
                }),
                None => w.null("outputs"),
            }
        });
    }

    /// The events between the beginning and the end of its item.
    pub(super) fn progress(&self, sink: &mut Sink, id: &str, index: u32, out: &mut Vec<u8>) {
        let mut event = |kind: &str, member: Option<&str>| {
            sink.frame(out, kind, |w| {
                w.str("item_id", id);
                w.num("output_index", index);
                if let Some(member) = member {
                    w.str(member, &self.code);
                }
            });
        };
        event("response.code_interpreter_call.in_progress", None);
        event("response.code_interpreter_call_code.delta", Some("delta"));
        event("response.code_interpreter_call_code.done", Some("code"));
        event("response.code_interpreter_call.interpreting", None);
        event("response.code_interpreter_call.completed", None);
    }
}

/// What a program printed, out of the result of another provider.
pub(super) fn printed(payload: &RawJson) -> String {
    match payload.to_value() {
        Value::String(text) => text,
        Value::Object(result) => {
            ["stdout", "stderr", "output"].iter().filter_map(|name| result.get(*name).and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

/// The id of a verbatim item.
pub(super) fn native_id(raw: &RawJson) -> Option<Text> {
    let id = member_of(raw, "id")?;
    serde_json::from_str::<String>(id.as_str()).ok().filter(|id| !id.is_empty()).map(Text::from)
}

/// A verbatim item under this id.
pub(super) fn with_id(raw: &RawJson, id: &str) -> String {
    if native_id(raw).as_deref() == Some(id) {
        return raw.as_str().to_owned();
    }
    let members: Pairs<'_, &RawValue> = serde_json::from_str(raw.as_str()).unwrap_or_default();
    let mut out = Vec::with_capacity(raw.as_str().len() + 64);
    JsonWriter::new(&mut out).object(|w| {
        w.str("id", id);
        for (key, value) in members.0.iter().filter(|(key, _)| &**key != "id") {
            w.key(key);
            w.raw_value(value.get());
        }
    });
    // `JsonWriter` writes UTF-8 only.
    String::from_utf8(out).unwrap_or_default()
}
