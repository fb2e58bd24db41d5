//! Items of a conversation, wire to neutral form: the same for the history of a request, a whole answer and the finished items
//! of a stream.

use std::collections::HashSet;

use polyport_types::{
    CacheMark, CacheTtl, Citation, CitationKind, Document, DocumentSource, Extras, Family, ImageDetail, IndexUnit,
    Media, MediaSource, Part, PartKind, PartStatus, Protocol, RawJson, Reasoning, ReasoningText, Role, ServerToolCall,
    ServerToolKind, ServerToolResult, Signature, SignatureKind, Span, Text, TextPart, ToolCall, ToolCallKind,
    ToolResult,
};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::types::{Annotation, CacheBreakpoint, ContentPart, Item, Output};
use crate::json::{Extra, OneOrMany, Str, extras, raw, raw_str, write_str};
use crate::repair;

/// Marks an opaque part that stood among the content parts of a message, not among the items.
pub(super) const CONTENT_MARK: &str = "content_part";

/// Reads items one after the other; remembers what later items of the same list refer to.
#[derive(Debug)]
pub(super) struct ItemReader {
    /// Whose `encrypted_content` it is.
    family: Family,
    /// Shell calls that the provider runs in a container of its own.
    hosted: HashSet<Text>,
    /// The last tool search that the provider ran: its output does not name it.
    search: Option<Text>,
}

/// What an item says.
#[derive(Debug)]
pub(super) struct ReadItem {
    /// Whose side it is on.
    pub(super) role: Role,
    /// Its parts.
    pub(super) parts: Vec<Part>,
}

impl ItemReader {
    pub(super) fn new(family: Family) -> Self {
        Self { family, hosted: HashSet::new(), search: None }
    }

    /// Reads an item that is not a message. `whole` gives the item verbatim; it is asked only for kinds that have to be kept so.
    pub(super) fn read(&mut self, item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> ReadItem {
        let kind = item.kind.as_deref().unwrap_or_default().to_owned();
        let assistant = |part: Part| ReadItem { role: Role::Assistant, parts: vec![part] };
        match kind.as_str() {
            "function_call" | "custom_tool_call" => assistant(call(item, body)),
            "function_call_output"
            | "custom_tool_call_output"
            | "computer_call_output"
            | "local_shell_call_output"
            | "apply_patch_call_output" => ReadItem { role: Role::Tool, parts: vec![result(item, whole, body)] },
            "computer_call" | "local_shell_call" | "apply_patch_call" => assistant(builtin_call(&kind, item, body)),
            "shell_call" => self.shell_call(item, whole, body),
            "shell_call_output" => self.shell_output(item, whole, body),
            "tool_search_call" => self.search_call(item, whole, body),
            "tool_search_output" => self.search_output(item, whole, body),
            "reasoning" => ReadItem { role: Role::Assistant, parts: reasoning(item, self.family, body) },
            "image_generation_call" => assistant(image(item, whole, body)),
            "web_search_call" | "file_search_call" | "code_interpreter_call" | "mcp_call" => {
                ReadItem { role: Role::Assistant, parts: server_tool(&kind, item, whole, body) }
            }
            "program" => assistant(server_call(item, ServerToolKind::Other("program".into()), "program", whole, body)),
            "program_output" => assistant(server_result(item, ServerToolKind::Other("program".into()), whole, body)),
            "mcp_list_tools" => assistant(server_result(item, ServerToolKind::Mcp, whole, body)),
            "compaction" => assistant(identified(&item, PartKind::Compaction { content: None, raw: whole() }, body)),
            "item_reference" => {
                let id = item.id.unwrap_or_default().into_text(body);
                assistant(Part::new(PartKind::ItemReference { id }))
            }
            _ => {
                let role = match kind.as_str() {
                    "additional_tools" | "configuration_update" => Role::Developer,
                    "compaction_trigger" | "mcp_approval_response" => Role::User,
                    _ => Role::Assistant,
                };
                let opaque = PartKind::Opaque { protocol: Protocol::Responses, kind: kind.into(), raw: whole() };
                ReadItem { role, parts: vec![identified(&item, opaque, body)] }
            }
        }
    }

    /// A shell call is the client's unless it names a container of the provider.
    fn shell_call(&mut self, item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> ReadItem {
        let part = if is_hosted_shell(&item) {
            let call_id = item.call_id.as_ref().map_or_else(Text::new, |id| id.to_text(body));
            self.hosted.insert(call_id.clone());
            let input = item.action.map_or_else(empty_object, |action| raw(action, body));
            Part::new(PartKind::ServerToolCall(Box::new(ServerToolCall {
                id: call_id,
                tool: ServerToolKind::Shell,
                name: Text::from_static("shell"),
                input,
                raw: Some(whole()),
                protocol: Protocol::Responses,
            })))
        } else {
            builtin_call("shell_call", item, body)
        };
        ReadItem { role: Role::Assistant, parts: vec![part] }
    }

    fn shell_output(&mut self, item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> ReadItem {
        if item.call_id.as_ref().is_some_and(|id| self.hosted.contains(&**id)) {
            return ReadItem {
                role: Role::Assistant,
                parts: vec![server_result(item, ServerToolKind::Shell, whole, body)],
            };
        }
        ReadItem { role: Role::Tool, parts: vec![result(item, whole, body)] }
    }

    /// The client may search its tools itself (`execution: client`).
    fn search_call(&mut self, item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> ReadItem {
        let part = if is_client_search(&item) {
            builtin_call("tool_search_call", item, body)
        } else {
            self.search = item.id.as_ref().map(|id| id.to_text(body));
            server_call(item, ServerToolKind::ToolSearch, "tool_search", whole, body)
        };
        ReadItem { role: Role::Assistant, parts: vec![part] }
    }

    fn search_output(&mut self, mut item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> ReadItem {
        if is_client_search(&item) {
            return ReadItem { role: Role::Tool, parts: vec![result(item, whole, body)] };
        }
        if item.call_id.is_none() {
            item.call_id = self.search.take().map(|id| Str(id.to_string().into()));
        }
        ReadItem { role: Role::Assistant, parts: vec![server_result(item, ServerToolKind::ToolSearch, whole, body)] }
    }
}

/// Whether a `shell_call` runs in a container of the provider.
fn is_hosted_shell(item: &Item<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct Environment<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<std::borrow::Cow<'a, str>>,
    }
    member(&item.extra, "environment")
        .and_then(|raw| serde_json::from_str::<Environment<'_>>(raw.get()).ok())
        .and_then(|environment| environment.kind)
        .is_some_and(|kind| kind.starts_with("container"))
}

/// Whether the client is to search its tools.
fn is_client_search(item: &Item<'_>) -> bool {
    item.execution.as_deref() == Some("client")
}

/// The member `name` among the unnamed ones; null is absent.
fn member<'a>(extra: &Extra<'a>, name: &str) -> Option<&'a RawValue> {
    extra.iter().find(|(key, _)| &**key == name).map(|(_, value)| *value).filter(|value| value.get() != "null")
}

fn identified(item: &Item<'_>, kind: PartKind, body: &Text) -> Part {
    Part { item_id: item.id.as_ref().map(|id| id.to_text(body)), ..Part::new(kind) }
}

fn empty_object() -> RawJson {
    RawJson::from_valid(Text::from_static("{}"))
}

/// The text of a member that servers send as a string of JSON or as JSON itself.
fn json_text(value: &RawValue, body: &Text) -> Text {
    match raw_str(value) {
        Some(text) => Str(text).into_text(body),
        None => raw(value, body).text().clone(),
    }
}

/// `arguments` of a call as text, never blank for a function.
pub(super) fn arguments(value: Option<&RawValue>, body: &Text) -> Text {
    let text = value.map_or_else(Text::new, |value| json_text(value, body));
    if repair::arguments_text(&text) == "{}" && text.trim() != "{}" { Text::from_static("{}") } else { text }
}

/// Whether a call arrived whole.
pub(super) fn call_status(kind: &ToolCallKind, arguments: &str, status: Option<&str>) -> PartStatus {
    if status == Some("incomplete") {
        return PartStatus::Incomplete;
    }
    let must_be_json = *kind == ToolCallKind::Function && !arguments.trim().is_empty();
    if must_be_json && serde_json::from_str::<IgnoredAny>(arguments).is_err() {
        return PartStatus::Invalid;
    }
    PartStatus::Complete
}

/// A `function_call` or `custom_tool_call`.
fn call(item: Item<'_>, body: &Text) -> Part {
    let custom = item.kind.as_deref() == Some("custom_tool_call");
    let kind = if custom { ToolCallKind::Custom } else { ToolCallKind::Function };
    let arguments = if custom {
        item.input.map_or_else(Text::new, |input| input.into_text(body))
    } else {
        arguments(item.arguments, body)
    };
    let status = call_status(&kind, &arguments, item.status.as_deref());
    let call = ToolCall {
        id: item.call_id.unwrap_or_default().into_text(body),
        name: item.name.unwrap_or_default().into_text(body),
        namespace: item.namespace.map(|namespace| namespace.into_text(body)),
        kind,
        arguments,
        caller: item.caller.map(|caller| raw(caller, body)),
        status,
    };
    Part {
        item_id: item.id.map(|id| id.into_text(body)),
        ext: extras(item.extra, body),
        ..Part::new(PartKind::ToolCall(Box::new(call)))
    }
}

/// A call of a tool whose schema `OpenAI` fixes and the client runs.
fn builtin_call(kind: &str, item: Item<'_>, body: &Text) -> Part {
    let name = kind.strip_suffix("_call").unwrap_or(kind);
    let mut extra = item.extra;
    let action = item.action.or(item.operation).or(item.arguments);
    let arguments = match action {
        Some(action) => json_text(action, body),
        // The newer computer tool sends several actions at once.
        None => match extra.iter().position(|(key, _)| &**key == "actions") {
            Some(at) => format!("{{\"actions\":{}}}", extra.remove(at).1.get()).into(),
            None => Text::from_static("{}"),
        },
    };
    let kind = ToolCallKind::Builtin(Text::from(name));
    let id = item.call_id.as_ref().or(item.id.as_ref()).map_or_else(Text::new, |id| id.to_text(body));
    let call = ToolCall {
        id,
        name: Text::from(name),
        namespace: None,
        status: call_status(&kind, &arguments, item.status.as_deref()),
        kind,
        arguments,
        caller: item.caller.map(|caller| raw(caller, body)),
    };
    Part {
        item_id: item.id.map(|id| id.into_text(body)),
        ext: extras(extra, body),
        ..Part::new(PartKind::ToolCall(Box::new(call)))
    }
}

/// The answer of the client to a call.
fn result(item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> Part {
    let wire = item.kind.as_deref().unwrap_or_default();
    let kind = match wire {
        "function_call_output" => ToolCallKind::Function,
        "custom_tool_call_output" => ToolCallKind::Custom,
        "tool_search_output" => ToolCallKind::Builtin(Text::from_static("tool_search")),
        other => ToolCallKind::Builtin(other.strip_suffix("_call_output").unwrap_or(other).into()),
    };
    let mut structured = None;
    let mut parts = Vec::new();
    match item.output {
        Some(Output::Text(text)) if text.is_empty() => {}
        Some(Output::Text(text)) => parts.push(Part::text(text.into_text(body))),
        Some(Output::Parts(_)) if wire == "shell_call_output" => structured = member_of(&whole(), "output"),
        Some(Output::Parts(list)) => {
            let list = list.into_iter().enumerate();
            parts = list.map(|(at, part)| content_part(part, at, "output", whole, body)).collect();
        }
        Some(Output::Object) => match member_of(&whole(), "output").as_ref().and_then(screenshot) {
            Some(image) => parts.push(image),
            None => structured = member_of(&whole(), "output"),
        },
        None => structured = item.tools.map(|tools| raw(tools, body)),
    }
    // Only the patch tool tells a failure; other states are the item's life cycle.
    let is_error = wire == "apply_patch_call_output" && item.status.as_deref() == Some("failed");
    let call_id = item.call_id.or_else(|| item.id.clone());
    let mut ext = extras(item.extra, body);
    if let Some(caller) = item.caller {
        ext.push("caller", raw(caller, body));
    }
    if let Some(namespace) = item.namespace {
        ext.push("namespace", RawJson::of(&serde_json::Value::String(namespace.to_string())));
    }
    let result = ToolResult {
        call_id: call_id.unwrap_or_default().into_text(body),
        name: item.name.map(|name| name.into_text(body)),
        kind,
        parts,
        structured,
        is_error,
    };
    Part { item_id: item.id.map(|id| id.into_text(body)), ext, ..Part::new(PartKind::ToolResult(Box::new(result))) }
}

/// One member of a wire object as verbatim JSON.
pub(super) fn member_of(object: &RawJson, name: &str) -> Option<RawJson> {
    let members: crate::json::Pairs<'_, &RawValue> = serde_json::from_str(object.as_str()).ok()?;
    let found = members.0.into_iter().rev().find(|(key, _)| &**key == name)?.1;
    (found.get() != "null").then(|| raw(found, object.text()))
}

/// The picture in the result of a computer call.
fn screenshot(output: &RawJson) -> Option<Part> {
    let part: ContentPart<'_> = serde_json::from_str(output.as_str()).ok()?;
    image_source(&part, output.text()).map(|source| Part::new(PartKind::Image(Media::new(source))))
}

/// A `reasoning` item. Full text and summary are two parts with one id; the signature is on the last.
fn reasoning(item: Item<'_>, family: Family, body: &Text) -> Vec<Part> {
    let full = match item.content {
        Some(OneOrMany::Many(parts)) => joined(parts),
        Some(OneOrMany::One(text)) => text.to_string(),
        None => String::new(),
    };
    let summary = paragraphs(item.summary.unwrap_or_default(), body);
    let id = item.id.map(|id| id.into_text(body));
    let mut texts = Vec::new();
    if !full.is_empty() {
        texts.push(ReasoningText::Full(full.into()));
    }
    if !summary.is_empty() {
        texts.push(ReasoningText::Summary(summary));
    }
    if texts.is_empty() {
        texts.push(ReasoningText::None);
    }
    let mut parts: Vec<Part> = texts
        .into_iter()
        .map(|text| Part {
            item_id: id.clone(),
            ..Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted: false })))
        })
        .collect();
    if let Some(last) = parts.last_mut() {
        let value = item.encrypted_content.filter(|value| !value.is_empty());
        last.signature = value.map(|value| item_signature(family, value.into_text(body), id));
        last.ext = extras(item.extra, body);
    }
    parts
}

/// `encrypted_content` with the id of its item.
fn item_signature(family: Family, value: Text, item_id: Option<Text>) -> Signature {
    Signature { item_id, ..Signature::new(family, SignatureKind::ReasoningItem, value) }
}

/// Reasoning texts as one; several are paragraphs.
fn joined(parts: Vec<ContentPart<'_>>) -> String {
    let texts: Vec<Str<'_>> = parts.into_iter().filter_map(|part| part.text).filter(|text| !text.is_empty()).collect();
    texts.iter().map(|text| &**text).collect::<Vec<_>>().join("\n\n")
}

fn paragraphs(summary: Vec<ContentPart<'_>>, body: &Text) -> Vec<Text> {
    let texts = summary.into_iter().filter_map(|part| part.text).filter(|text| !text.is_empty());
    texts.map(|text| text.into_text(body)).collect()
}

/// An `image_generation_call`: the picture itself where it is there, otherwise the call.
fn image(item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> Part {
    let Some(result) = item.result.filter(|result| !result.is_empty()) else {
        let id = item.id.as_ref().map_or_else(Text::new, |id| id.to_text(body));
        return Part::new(PartKind::ServerToolCall(Box::new(ServerToolCall {
            id,
            tool: ServerToolKind::ImageGeneration,
            name: Text::from_static("image_generation"),
            input: empty_object(),
            raw: Some(whole()),
            protocol: Protocol::Responses,
        })));
    };
    let format = member(&item.extra, "output_format").and_then(raw_str);
    let mime = match format.as_deref() {
        Some("jpeg" | "jpg") => "image/jpeg",
        Some("webp") => "image/webp",
        _ => "image/png",
    };
    let source = MediaSource::Base64 { mime: Text::from_static(mime), data: result.into_text(body) };
    let mut ext = extras(item.extra, body);
    if let Some(status) = item.status.filter(|status| &**status != "completed") {
        ext.push("status", RawJson::of(&serde_json::Value::String(status.to_string())));
    }
    Part { item_id: item.id.map(|id| id.into_text(body)), ext, ..Part::new(PartKind::Image(Media::new(source))) }
}

/// What a server tool item is called in the neutral form.
pub(super) fn server_tool_name(kind: &str, name: Option<&str>) -> (ServerToolKind, Text) {
    match kind {
        "web_search_call" => (ServerToolKind::WebSearch, Text::from_static("web_search")),
        "file_search_call" => (ServerToolKind::FileSearch, Text::from_static("file_search")),
        "code_interpreter_call" => (ServerToolKind::CodeExecution, Text::from_static("code_interpreter")),
        _ => (ServerToolKind::Mcp, name.filter(|name| !name.is_empty()).unwrap_or("mcp").into()),
    }
}

/// Members that are known from the start of such a call: who runs an MCP tool, and what some servers call the others.
pub(super) fn server_tool_ext(kind: &str, item: &Item<'_>, body: &Text) -> Extras {
    let string = |text: &Str<'_>| RawJson::of(&serde_json::Value::String(text.to_string()));
    let mut ext = Extras::new();
    if let Some(id) = &item.call_id {
        ext.push("call_id", string(id));
    }
    if kind == "mcp_call" {
        if let Some(label) = member(&item.extra, "server_label") {
            ext.push("server_label", raw(label, body));
        }
    } else if let Some(name) = &item.name {
        ext.push("name", string(name));
    }
    ext
}

/// The program text of a code interpreter call as the JSON of its input.
pub(super) fn code_input(code: &str) -> String {
    let mut input = b"{\"code\":".to_vec();
    write_str(&mut input, code);
    input.push(b'}');
    // `write_str` writes UTF-8 only.
    String::from_utf8(input).unwrap_or_else(|_| "{}".to_owned())
}

/// An item that holds a call of the provider's own tool and its result: two parts. The result carries the item verbatim.
fn server_tool(kind: &str, item: Item<'_>, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> Vec<Part> {
    let (tool, name) = server_tool_name(kind, item.name.as_deref());
    let ext = server_tool_ext(kind, &item, body);
    let failed = item.status.as_deref() == Some("failed");
    let extra = |name: &str| member(&item.extra, name).map(|value| raw(value, body));
    let list = || RawJson::from_valid(Text::from_static("[]"));
    let (input, payload, is_error) = match kind {
        "web_search_call" => {
            let (input, sources) = search_action(&item, body);
            (input, sources.or_else(|| extra("results")).unwrap_or_else(list), failed)
        }
        "file_search_call" => {
            let queries = extra("queries").map(|queries| format!("{{\"queries\":{}}}", queries.as_str()));
            let input = queries.map_or_else(empty_object, |text| RawJson::from_valid(text.into()));
            (input, extra("results").unwrap_or_else(list), failed)
        }
        "code_interpreter_call" => {
            let code = member(&item.extra, "code").and_then(raw_str);
            let input = match code {
                Some(code) => RawJson::from_valid(code_input(&code).into()),
                None => parsed_arguments(&item, body),
            };
            (input, extra("outputs").unwrap_or_else(list), failed)
        }
        _ => {
            let error = extra("error");
            let output = match &item.output {
                Some(Output::Text(text)) => RawJson::of(&serde_json::Value::String(text.to_string())),
                _ => RawJson::from_valid(Text::from_static("null")),
            };
            let is_error = failed || error.is_some();
            (parsed_arguments(&item, body), error.unwrap_or(output), is_error)
        }
    };
    let id = item.id.map_or_else(Text::new, |id| id.into_text(body));
    let call =
        ServerToolCall { id: id.clone(), tool: tool.clone(), name, input, raw: None, protocol: Protocol::Responses };
    let result =
        ServerToolResult { call_id: id, tool, payload, is_error, raw: Some(whole()), protocol: Protocol::Responses };
    vec![
        Part { ext, ..Part::new(PartKind::ServerToolCall(Box::new(call))) },
        Part::new(PartKind::ServerToolResult(Box::new(result))),
    ]
}

/// `arguments` as JSON, an empty object if they are none.
fn parsed_arguments(item: &Item<'_>, body: &Text) -> RawJson {
    let text = item.arguments.map_or_else(Text::new, |arguments| json_text(arguments, body));
    RawJson::parse(text).unwrap_or_else(|_| empty_object())
}

/// The action of a web search without its sources, and the sources.
fn search_action(item: &Item<'_>, body: &Text) -> (RawJson, Option<RawJson>) {
    let action = item.action.map_or_else(empty_object, |action| raw(action, body));
    let (input, sources) = match action.to_value() {
        serde_json::Value::Object(mut members) => match members.shift_remove("sources") {
            Some(sources) => (RawJson::of(&members.into()), Some(RawJson::of(&sources))),
            None => (action, None),
        },
        _ => (empty_object(), None),
    };
    // Some servers write a search like a function call.
    (if item.arguments.is_some() { parsed_arguments(item, body) } else { input }, sources)
}

/// A call whose result is an item of its own.
fn server_call(
    item: Item<'_>,
    tool: ServerToolKind,
    name: &'static str,
    whole: &mut dyn FnMut() -> RawJson,
    body: &Text,
) -> Part {
    let input = match (item.arguments, member(&item.extra, "code").and_then(raw_str)) {
        (Some(_), _) => parsed_arguments(&item, body),
        (None, Some(code)) => RawJson::from_valid(code_input(&code).into()),
        (None, None) => empty_object(),
    };
    let id = if name == "program" { item.call_id.or(item.id) } else { item.id };
    Part::new(PartKind::ServerToolCall(Box::new(ServerToolCall {
        id: id.unwrap_or_default().into_text(body),
        tool,
        name: Text::from_static(name),
        input,
        raw: Some(whole()),
        protocol: Protocol::Responses,
    })))
}

/// A result that is an item of its own.
fn server_result(item: Item<'_>, tool: ServerToolKind, whole: &mut dyn FnMut() -> RawJson, body: &Text) -> Part {
    let payload = match &item.output {
        Some(Output::Text(text)) => RawJson::of(&serde_json::Value::String(text.to_string())),
        Some(Output::Parts(_) | Output::Object) => member_of(&whole(), "output").unwrap_or_else(empty_object),
        None => item
            .tools
            .or_else(|| member(&item.extra, "result"))
            .map_or_else(|| RawJson::from_valid(Text::from_static("[]")), |value| raw(value, body)),
    };
    let is_error = member(&item.extra, "error").is_some() || item.status.as_deref() == Some("failed");
    Part::new(PartKind::ServerToolResult(Box::new(ServerToolResult {
        call_id: item.call_id.or(item.id).unwrap_or_default().into_text(body),
        tool,
        payload,
        is_error,
        raw: Some(whole()),
        protocol: Protocol::Responses,
    })))
}

/// One content part. `at` and `list` say where it stands in its item, for kinds that have to be kept verbatim.
pub(super) fn content_part(
    part: ContentPart<'_>,
    at: usize,
    list: &str,
    whole: &mut dyn FnMut() -> RawJson,
    body: &Text,
) -> Part {
    let cache = part.cache.as_ref().map(cache_mark);
    let kind = match part.kind.as_deref() {
        // Some clients send the part names of other protocols or none at all.
        Some("input_text" | "output_text" | "text" | "summary_text" | "reasoning_text") | None
            if part.text.is_some() =>
        {
            return text_part(part, cache, body);
        }
        Some("refusal") => {
            PartKind::Refusal(part.refusal.or(part.text).map_or_else(Text::new, |text| text.into_text(body)))
        }
        Some("input_image" | "computer_screenshot") if image_source(&part, body).is_some() => {
            let source = image_source(&part, body).unwrap_or(MediaSource::Url { url: Text::new(), mime: None });
            PartKind::Image(Media { detail: detail(part.detail.as_deref()), ..Media::new(source) })
        }
        Some("input_file") if file_source(&part, body).is_some() => match file_source(&part, body) {
            Some(source) => PartKind::Document(Box::new(Document {
                source: DocumentSource::File(source),
                filename: part.filename.map(|name| name.into_text(body)),
                title: None,
                context: None,
                citations: None,
                detail: detail(part.detail.as_deref()),
            })),
            None => PartKind::Text(TextPart::default()),
        },
        Some("input_audio") if part.input_audio.is_some() => {
            let audio = part.input_audio.unwrap_or_default();
            let mime = match audio.format.as_deref() {
                Some("mp3") | Some("mpeg") => Text::from_static("audio/mpeg"),
                Some(format) => format!("audio/{format}").into(),
                None => Text::from_static("audio/wav"),
            };
            let data = audio.data.unwrap_or_default().into_text(body);
            PartKind::Audio(Media::new(MediaSource::Base64 { mime, data }))
        }
        kind => {
            let kind = Text::from(kind.unwrap_or_default());
            let raw = nth_raw(&whole(), list, at);
            let mut opaque = Part::new(PartKind::Opaque { protocol: Protocol::Responses, kind, raw });
            opaque.ext.push(CONTENT_MARK, RawJson::from_valid(Text::from_static("true")));
            return opaque;
        }
    };
    Part { cache, ext: extras(part.extra, body), ..Part::new(kind) }
}

fn text_part(part: ContentPart<'_>, cache: Option<CacheMark>, body: &Text) -> Part {
    let citations = part.annotations.unwrap_or_default().into_iter().filter_map(|raw| citation(raw, body)).collect();
    let logprobs = part.logprobs.unwrap_or_default().into_iter().map(|token| token.into_neutral(body)).collect();
    let text = part.text.unwrap_or_default().into_text(body);
    let kind = PartKind::Text(TextPart { text, citations, logprobs });
    Part { cache, ext: extras(part.extra, body), ..Part::new(kind) }
}

/// Element `at` of the list `name` of an item, verbatim.
fn nth_raw(item: &RawJson, name: &str, at: usize) -> RawJson {
    let null = || RawJson::from_valid(Text::from_static("null"));
    let Some(list) = member_of(item, name) else { return null() };
    let elements: Result<Vec<&RawValue>, _> = serde_json::from_str(list.as_str());
    elements.ok().and_then(|elements| elements.get(at).map(|element| raw(element, list.text()))).unwrap_or_else(null)
}

fn cache_mark(breakpoint: &CacheBreakpoint<'_>) -> CacheMark {
    CacheMark { ttl: breakpoint.ttl.as_deref().and_then(cache_ttl) }
}

/// A cache lifetime in `OpenAI`'s words.
pub(super) fn cache_ttl(word: &str) -> Option<CacheTtl> {
    Some(match word {
        "30m" => CacheTtl::Minutes30,
        "12h" => CacheTtl::Hours12,
        "24h" => CacheTtl::Hours24,
        "1h" => CacheTtl::Hour1,
        "5m" => CacheTtl::Minutes5,
        _ => return None,
    })
}

fn detail(word: Option<&str>) -> Option<ImageDetail> {
    Some(match word? {
        "low" => ImageDetail::Low,
        "high" => ImageDetail::High,
        "auto" => ImageDetail::Auto,
        "original" => ImageDetail::Original,
        _ => return None,
    })
}

fn own_file(id: &Str<'_>, body: &Text) -> MediaSource {
    MediaSource::FileId { owner: Protocol::Responses, id: id.to_text(body), mime: None }
}

fn image_source(part: &ContentPart<'_>, body: &Text) -> Option<MediaSource> {
    match (&part.image_url, &part.file_id) {
        (Some(url), _) => Some(url_source(url, body)),
        (None, Some(id)) => Some(own_file(id, body)),
        (None, None) => None,
    }
}

fn file_source(part: &ContentPart<'_>, body: &Text) -> Option<MediaSource> {
    if let Some(data) = &part.file_data {
        return Some(match url_source(data, body) {
            // Bare base64, without a data URL around it: it holds no colon.
            MediaSource::Url { url, .. } if !url.contains(':') => {
                let mime = part.filename.as_deref().map_or("application/pdf", mime_of_name);
                MediaSource::Base64 { mime: Text::from_static(mime), data: url }
            }
            source => source,
        });
    }
    match (&part.file_url, &part.file_id) {
        (Some(url), _) => Some(MediaSource::Url { url: url.to_text(body), mime: None }),
        (None, Some(id)) => Some(own_file(id, body)),
        (None, None) => None,
    }
}

/// An address, or the content of a data URL.
fn url_source(url: &Str<'_>, body: &Text) -> MediaSource {
    let url = url.to_text(body);
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
    match inline.and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data))) {
        Some((mime, data)) => {
            // Parameters such as `;charset=…` are no part of the type.
            let mime = mime.split(';').next().unwrap_or_default();
            let mime = if mime.is_empty() { "application/octet-stream" } else { mime };
            MediaSource::Base64 { mime: Text::from(mime), data: url.slice_ref(data) }
        }
        None => MediaSource::Url { url, mime: None },
    }
}

fn mime_of_name(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("txt" | "md") => "text/plain",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("pptx") => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/pdf",
    }
}

/// An annotation of `output_text`.
pub(super) fn citation(value: &RawValue, body: &Text) -> Option<Citation> {
    let wire: Annotation<'_> = serde_json::from_str(value.get()).ok()?;
    let kind = match wire.kind.as_deref() {
        Some("url_citation") => CitationKind::Url,
        Some("file_citation") => CitationKind::File,
        Some("container_file_citation") => CitationKind::ContainerFile,
        Some("file_path") => CitationKind::FilePath,
        _ => CitationKind::Other,
    };
    let span = match (wire.start_index, wire.end_index) {
        (Some(start), Some(end)) => {
            let position = |at: crate::json::Int| u32::try_from(at.0.max(0)).unwrap_or(u32::MAX);
            Some(Span { start: position(start), end: position(end), unit: IndexUnit::Utf16 })
        }
        _ => None,
    };
    let text = |value: Option<Str<'_>>| value.map(|value| Text::from(&*value));
    Some(Citation {
        kind,
        span,
        url: text(wire.url),
        title: text(wire.title),
        cited_text: None,
        file_id: text(wire.file_id),
        filename: text(wire.filename),
        document_index: None,
        raw: Some(raw(value, body)),
    })
}
