//! Tools, the choice among them and the shape of the answer, both ways.

use std::collections::HashMap;

use polyport_types::{
    CustomFormat, CustomTool, Extras, FunctionTool, GrammarSyntax, LossAction, LossCode, Losses, McpServer, PartKind,
    Protocol, RawJson, Request, ResponseFormat, ServerTool, ServerToolKind, Text, Tool, ToolChoice, ToolRef,
    UserLocation, Verbosity,
};
use serde_json::value::RawValue;

use super::item::member_of;
use super::types::{Choice, Format, ToolDef};
use crate::DecodeError;
use crate::json::{JsonWriter, Pairs, Str, extras, raw, raw_str};

/// Members of a namespace beside its name and tools; kept with each of its tools.
const NAMESPACE: &str = "namespace";

// ---------------------------------------------------------------------------------------------------------------- decode

/// Reads the tools of a request; `path` names the list.
pub(super) fn read_tools(list: &[&RawValue], path: &str, body: &Text) -> Result<Vec<Tool>, DecodeError> {
    let mut tools = Vec::with_capacity(list.len());
    for (at, wire) in list.iter().enumerate() {
        read_tool(wire, &format!("{path}[{at}]"), None, body, &mut tools)?;
    }
    Ok(tools)
}

fn read_tool(
    wire: &RawValue,
    path: &str,
    namespace: Option<(&Text, &RawJson)>,
    body: &Text,
    tools: &mut Vec<Tool>,
) -> Result<(), DecodeError> {
    let def: ToolDef<'_> =
        serde_json::from_str(wire.get()).map_err(|error| DecodeError::at(path, format!("Invalid tool: {error}")))?;
    let kind = match def.kind.as_deref() {
        Some(kind) => kind.to_owned(),
        None => return Err(missing(&format!("{path}.type"))),
    };
    match kind.as_str() {
        "function" => {
            let mut tool = function(def, path, body)?;
            if let Some((name, members)) = namespace {
                tool.namespace = Some(name.clone());
                tool.ext.push(NAMESPACE, members.clone());
            }
            tools.push(Tool::Function(Box::new(tool)));
        }
        "custom" => {
            let mut tool = custom(def, path, body)?;
            if let Some((name, members)) = namespace {
                tool.namespace = Some(name.clone());
                tool.ext.push(NAMESPACE, members.clone());
            }
            tools.push(Tool::Custom(Box::new(tool)));
        }
        "namespace" => {
            let name = def.name.ok_or_else(|| missing(&format!("{path}.name")))?.into_text(body);
            let members = namespace_members(wire);
            for (at, inner) in def.tools.unwrap_or_default().into_iter().enumerate() {
                read_tool(inner, &format!("{path}.tools[{at}]"), Some((&name, &members)), body, tools)?;
            }
        }
        kind => tools.push(Tool::Server(Box::new(server(kind, def, raw(wire, body), body)))),
    }
    Ok(())
}

pub(super) fn missing(path: &str) -> DecodeError {
    DecodeError::at(path, format!("Missing required parameter: '{path}'."))
}

/// A namespace without its tools.
fn namespace_members(wire: &RawValue) -> RawJson {
    let mut out = Vec::new();
    let members: Pairs<'_, &RawValue> = serde_json::from_str(wire.get()).unwrap_or_default();
    JsonWriter::new(&mut out).object(|w| {
        for (key, value) in members.0.iter().filter(|(key, _)| !matches!(&**key, "type" | "name" | "tools")) {
            w.key(key);
            w.raw_value(value.get());
        }
    });
    into_raw(out)
}

/// A buffer that [`JsonWriter`] filled as verbatim JSON.
pub(super) fn into_raw(out: Vec<u8>) -> RawJson {
    // The writer writes UTF-8 only.
    RawJson::from_valid(String::from_utf8(out).unwrap_or_default().into())
}

fn function(def: ToolDef<'_>, path: &str, body: &Text) -> Result<FunctionTool, DecodeError> {
    Ok(FunctionTool {
        name: named(def.name, path)?.into_text(body),
        namespace: None,
        description: def.description.map(|text| text.into_text(body)),
        schema: def.parameters.map(|schema| raw(schema, body)),
        output_schema: def.output_schema.map(|schema| raw(schema, body)),
        strict: def.strict,
        cache: None,
        defer_loading: def.defer_loading,
        ext: extras(def.extra, body),
    })
}

fn named<'a>(name: Option<Str<'a>>, path: &str) -> Result<Str<'a>, DecodeError> {
    match name {
        Some(name) if name.is_empty() => Err(DecodeError::at(
            format!("{path}.name"),
            format!(
                "Invalid '{path}.name': empty string. Expected a string with minimum length 1, but got an empty string instead."
            ),
        )),
        Some(name) => Ok(name),
        None => Err(missing(&format!("{path}.name"))),
    }
}

fn custom(def: ToolDef<'_>, path: &str, body: &Text) -> Result<CustomTool, DecodeError> {
    let format = match def.format {
        Some(format) if format.kind.as_deref() == Some("grammar") => CustomFormat::Grammar {
            syntax: match format.syntax.as_deref() {
                Some("lark") => GrammarSyntax::Lark,
                Some("regex") => GrammarSyntax::Regex,
                other => {
                    let path = format!("{path}.format.syntax");
                    let Some(word) = other else { return Err(missing(&path)) };
                    return Err(unsupported(&path, word, &["lark", "regex"]));
                }
            },
            definition: format.definition.ok_or_else(|| missing(&format!("{path}.format.definition")))?.into_text(body),
        },
        _ => CustomFormat::Text,
    };
    let mut ext = extras(def.extra, body);
    if let Some(defer) = def.defer_loading {
        ext.push("defer_loading", RawJson::of(&defer.into()));
    }
    Ok(CustomTool {
        name: named(def.name, path)?.into_text(body),
        namespace: None,
        description: def.description.map(|text| text.into_text(body)),
        format,
        ext,
    })
}

/// A value outside a closed set, in `OpenAI`'s words.
pub(super) fn unsupported(path: &str, word: &str, known: &[&str]) -> DecodeError {
    let known: Vec<String> = known.iter().map(|word| format!("'{word}'")).collect();
    let list = match known.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{}, and {last}", others.join(", ")),
        None => String::new(),
    };
    DecodeError::at(path, format!("Invalid value: '{word}'. Supported values are: {list}."))
}

/// A tool of `OpenAI`'s own.
fn server(kind: &str, def: ToolDef<'_>, raw_tool: RawJson, body: &Text) -> ServerTool {
    let texts = |list: Option<Vec<Str<'_>>>| -> Vec<Text> {
        list.unwrap_or_default().into_iter().map(|text| text.into_text(body)).collect()
    };
    let filters = def.filters.unwrap_or_default();
    let mcp = (kind == "mcp").then(|| {
        Box::new(McpServer {
            label: def.server_label.as_ref().map_or_else(Text::new, |label| label.to_text(body)),
            url: def.server_url.as_ref().map(|url| url.to_text(body)),
            authorization: def.authorization.as_ref().map(|value| value.to_text(body)),
            allowed_tools: def.allowed_tools.map(allowed_tools).unwrap_or_default(),
            require_approval: def.require_approval.map(|approval| raw(approval, body)),
        })
    });
    let kind_of_tool = server_kind(kind);
    let name = match &mcp {
        Some(mcp) if !mcp.label.is_empty() => mcp.label.clone(),
        _ => Text::from(server_name(&kind_of_tool, kind)),
    };
    ServerTool {
        name,
        kind: kind_of_tool,
        wire_type: Text::from(kind),
        allowed_domains: texts(filters.allowed_domains),
        blocked_domains: texts(filters.blocked_domains),
        max_uses: None,
        user_location: def.user_location.map(|place| {
            let text = |value: Option<Str<'_>>| value.map(|value| value.into_text(body));
            UserLocation {
                city: text(place.city),
                country: text(place.country),
                region: text(place.region),
                timezone: text(place.timezone),
            }
        }),
        context_size: def.search_context_size.map(|size| size.into_text(body)),
        mcp,
        cache: None,
        raw: raw_tool,
    }
}

/// `allowed_tools` of an MCP tool: a list of names, or a filter with one.
fn allowed_tools(value: &RawValue) -> Vec<Text> {
    #[derive(serde::Deserialize)]
    struct Filter {
        #[serde(default)]
        tool_names: Vec<String>,
    }
    let names = serde_json::from_str::<Vec<String>>(value.get())
        .or_else(|_| serde_json::from_str::<Filter>(value.get()).map(|filter| filter.tool_names));
    names.unwrap_or_default().into_iter().map(Text::from).collect()
}

fn server_kind(wire: &str) -> ServerToolKind {
    match wire {
        "file_search" => ServerToolKind::FileSearch,
        "image_generation" => ServerToolKind::ImageGeneration,
        "code_interpreter" => ServerToolKind::CodeExecution,
        "shell" => ServerToolKind::Shell,
        "local_shell" => ServerToolKind::LocalShell,
        "apply_patch" => ServerToolKind::ApplyPatch,
        "tool_search" => ServerToolKind::ToolSearch,
        "mcp" => ServerToolKind::Mcp,
        wire if wire.starts_with("web_search") => ServerToolKind::WebSearch,
        wire if wire.starts_with("computer") => ServerToolKind::Computer,
        wire => ServerToolKind::Other(Text::from(wire)),
    }
}

/// The name the model calls it by.
fn server_name<'a>(kind: &ServerToolKind, wire: &'a str) -> &'a str {
    match kind {
        ServerToolKind::WebSearch => "web_search",
        ServerToolKind::Computer => "computer",
        _ => wire,
    }
}

/// Reads `tool_choice`. The second value is kept verbatim where the neutral form cannot hold it all.
pub(super) fn read_choice(value: &RawValue, body: &Text) -> Result<(ToolChoice, Option<RawJson>), DecodeError> {
    const PATH: &str = "tool_choice";
    if let Some(word) = raw_str(value) {
        let choice = match &*word {
            "none" => ToolChoice::None,
            "auto" => ToolChoice::Auto,
            "required" => ToolChoice::Required,
            word => return Err(unsupported(PATH, word, &["none", "auto", "required"])),
        };
        return Ok((choice, None));
    }
    let wire: Choice<'_> = serde_json::from_str(value.get())
        .map_err(|error| DecodeError::at(PATH, format!("Invalid tool choice: {error}")))?;
    let kind = wire.kind.as_deref().ok_or_else(|| missing("tool_choice.type"))?;
    let choice = match kind {
        "function" | "custom" => ToolChoice::Tool(tool_ref(&wire, body).ok_or_else(|| missing("tool_choice.name"))?),
        "allowed_tools" => {
            let required = match wire.mode.as_deref() {
                Some("required") => true,
                Some("auto") | None => false,
                Some(word) => return Err(unsupported("tool_choice.mode", word, &["auto", "required"])),
            };
            let tools = wire.tools.unwrap_or_default();
            ToolChoice::Allowed { required, tools: tools.iter().filter_map(|tool| tool_ref(tool, body)).collect() }
        }
        "mcp" => {
            let name = wire.server_label.map(|label| label.into_text(body));
            let one_tool = wire.name.is_some().then(|| raw(value, body));
            return Ok((ToolChoice::Server { kind: ServerToolKind::Mcp, name }, one_tool));
        }
        kind => ToolChoice::Server { kind: server_kind(kind), name: Some(Text::from(kind)) },
    };
    Ok((choice, None))
}

/// One entry of a list of allowed tools: own tools of `OpenAI` by the name they are offered under.
fn tool_ref(wire: &Choice<'_>, body: &Text) -> Option<ToolRef> {
    let name = match wire.kind.as_deref() {
        Some("function" | "custom") | None => wire.name.as_ref()?.to_text(body),
        Some("mcp") => wire.server_label.as_ref()?.to_text(body),
        Some(kind) => Text::from(server_name(&server_kind(kind), kind)),
    };
    Some(ToolRef { name, custom: wire.kind.as_deref() == Some("custom") })
}

/// Reads `text.format`.
pub(super) fn read_format(wire: Format<'_>, body: &Text) -> Result<ResponseFormat, DecodeError> {
    match wire.kind.as_deref() {
        Some("text") => Ok(ResponseFormat::Text),
        Some("json_object") => Ok(ResponseFormat::JsonObject),
        Some("json_schema") => Ok(ResponseFormat::JsonSchema {
            name: Some(wire.name.ok_or_else(|| missing("text.format.name"))?.into_text(body)),
            description: wire.description.map(|text| text.into_text(body)),
            schema: raw(wire.schema.ok_or_else(|| missing("text.format.schema"))?, body),
            strict: wire.strict,
        }),
        Some(word) => Err(unsupported("text.format.type", word, &["json_object", "json_schema", "text"])),
        None => Err(missing("text.format.type")),
    }
}

/// Reads `text.verbosity`.
pub(super) fn read_verbosity(word: &str) -> Result<Verbosity, DecodeError> {
    match word {
        "low" => Ok(Verbosity::Low),
        "medium" => Ok(Verbosity::Medium),
        "high" => Ok(Verbosity::High),
        word => Err(unsupported("text.verbosity", word, &["low", "medium", "high"])),
    }
}

// ---------------------------------------------------------------------------------------------------------------- encode

/// The tools of a request without those that came with an `additional_tools` item of its history: such an item is sent
/// again as it is.
pub(super) fn own_tools(request: &Request) -> Vec<&Tool> {
    let mut repeated: HashMap<(bool, Text), usize> = HashMap::new();
    for message in &request.messages {
        for part in &message.parts {
            if let PartKind::Opaque { protocol: Protocol::Responses, kind, raw } = &part.kind
                && &**kind == "additional_tools"
            {
                for tool in additional_tools(raw) {
                    *repeated.entry(key(&tool)).or_default() += 1;
                }
            }
        }
    }
    // Those of the items were put behind the others.
    let mut tools: Vec<&Tool> = request
        .tools
        .iter()
        .rev()
        .filter(|tool| match repeated.get_mut(&key(tool)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .collect();
    tools.reverse();
    tools
}

fn key(tool: &Tool) -> (bool, Text) {
    (matches!(tool, Tool::Server(_)), tool.name().clone())
}

/// The tools of an `additional_tools` item; those that cannot be read are left out.
pub(super) fn additional_tools(item: &RawJson) -> Vec<Tool> {
    let Some(list) = member_of(item, "tools") else { return Vec::new() };
    let list: Vec<&RawValue> = serde_json::from_str(list.as_str()).unwrap_or_default();
    let mut tools = Vec::new();
    for wire in list {
        let body = Text::from(wire.get());
        if let Ok(wire) = serde_json::from_str::<&RawValue>(&body) {
            // A tool that cannot be read stays in the item itself.
            read_tool(wire, "tools", None, &body, &mut tools).ok();
        }
    }
    tools
}

/// Writes the elements of `tools`. `native` says that the client speaks Responses itself: its tools keep their exact form.
pub(super) fn write_tools(w: &mut JsonWriter<'_>, tools: &[&Tool], native: bool, losses: &mut Losses) {
    let mut rest = tools;
    while let Some((first, tail)) = rest.split_first() {
        match namespace_of(first) {
            None => {
                write_tool(w, first, native, false, losses);
                rest = tail;
            }
            Some(namespace) => {
                let same = rest.iter().take_while(|tool| namespace_of(tool) == Some(namespace)).count();
                let (group, tail) = rest.split_at(same);
                write_namespace(w, namespace, group, native, losses);
                rest = tail;
            }
        }
    }
}

fn namespace_of(tool: &Tool) -> Option<&Text> {
    match tool {
        Tool::Function(tool) => tool.namespace.as_ref(),
        Tool::Custom(tool) => tool.namespace.as_ref(),
        Tool::Server(_) => None,
    }
}

fn write_namespace(w: &mut JsonWriter<'_>, name: &Text, tools: &[&Tool], native: bool, losses: &mut Losses) {
    let members = tools.iter().find_map(|tool| match tool {
        Tool::Function(tool) => tool.ext.get(NAMESPACE),
        Tool::Custom(tool) => tool.ext.get(NAMESPACE),
        Tool::Server(_) => None,
    });
    w.object(|w| {
        w.str("type", "namespace");
        w.str("name", name);
        let members: Pairs<'_, &RawValue> =
            members.and_then(|raw| serde_json::from_str(raw.as_str()).ok()).unwrap_or_default();
        if !members.0.iter().any(|(key, _)| &**key == "description") {
            // Required.
            w.str("description", name);
        }
        for (key, value) in &members.0 {
            w.key(key);
            w.raw_value(value.get());
        }
        w.array_field("tools", |w| tools.iter().for_each(|tool| write_tool(w, tool, native, true, losses)));
    });
}

fn write_tool(w: &mut JsonWriter<'_>, tool: &Tool, native: bool, inside: bool, losses: &mut Losses) {
    match tool {
        Tool::Function(tool) => w.object(|w| write_function(w, tool, native, inside)),
        Tool::Custom(tool) => w.object(|w| write_custom(w, tool, native)),
        Tool::Server(tool) if native => w.raw_value(tool.raw.as_str()),
        Tool::Server(tool) => write_foreign(w, tool, losses),
    }
}

fn own_members(w: &mut JsonWriter<'_>, ext: &Extras, native: bool) {
    if native {
        ext.iter().filter(|(key, _)| &***key != NAMESPACE).for_each(|(key, value)| w.raw(key, value));
    }
}

fn write_function(w: &mut JsonWriter<'_>, tool: &FunctionTool, native: bool, inside: bool) {
    w.str("type", "function");
    w.str("name", &tool.name);
    w.opt_str("description", tool.description.as_deref());
    match &tool.schema {
        Some(schema) if schema.is_object() => w.raw("parameters", schema),
        _ if inside => {}
        _ if native => w.null("parameters"),
        _ => w.object_field("parameters", |w| {
            w.str("type", "object");
            w.object_field("properties", |_| {});
        }),
    }
    w.opt_raw("output_schema", tool.output_schema.as_ref().filter(|_| native));
    match tool.strict {
        Some(strict) => w.bool("strict", strict),
        None if inside => {}
        None if native => w.null("strict"),
        // Unset means "strict if the schema allows it" here and "not strict" everywhere else.
        None => w.bool("strict", false),
    }
    w.opt_bool("defer_loading", tool.defer_loading.filter(|_| native));
    own_members(w, &tool.ext, native);
}

fn write_custom(w: &mut JsonWriter<'_>, tool: &CustomTool, native: bool) {
    w.str("type", "custom");
    w.str("name", &tool.name);
    w.opt_str("description", tool.description.as_deref());
    w.object_field("format", |w| match &tool.format {
        CustomFormat::Text => w.str("type", "text"),
        CustomFormat::Grammar { syntax, definition } => {
            w.str("type", "grammar");
            let syntax = match syntax {
                GrammarSyntax::Lark => "lark",
                GrammarSyntax::Regex => "regex",
            };
            w.str("syntax", syntax);
            w.str("definition", definition);
        }
    });
    own_members(w, &tool.ext, native);
}

/// A tool that the provider runs, asked for in the words of another protocol.
fn write_foreign(w: &mut JsonWriter<'_>, tool: &ServerTool, losses: &mut Losses) {
    let path = "/tools";
    match &tool.kind {
        ServerToolKind::WebSearch | ServerToolKind::WebFetch => {
            if !tool.blocked_domains.is_empty() {
                let detail = "blocked domains";
                losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, path, detail);
            }
            w.object(|w| {
                w.str("type", "web_search");
                if !tool.allowed_domains.is_empty() {
                    w.object_field("filters", |w| {
                        w.array_field("allowed_domains", |w| {
                            tool.allowed_domains.iter().for_each(|domain| w.string(domain));
                        });
                    });
                }
                w.opt_str("search_context_size", tool.context_size.as_deref());
                if let Some(place) = &tool.user_location {
                    w.object_field("user_location", |w| {
                        w.str("type", "approximate");
                        w.opt_str("city", place.city.as_deref());
                        w.opt_str("country", place.country.as_deref());
                        w.opt_str("region", place.region.as_deref());
                        w.opt_str("timezone", place.timezone.as_deref());
                    });
                }
            });
        }
        ServerToolKind::CodeExecution => w.object(|w| {
            w.str("type", "code_interpreter");
            w.object_field("container", |w| w.str("type", "auto"));
        }),
        ServerToolKind::ImageGeneration => w.object(|w| w.str("type", "image_generation")),
        ServerToolKind::Mcp if tool.mcp.as_ref().is_some_and(|mcp| mcp.url.is_some()) => {
            if let Some(mcp) = &tool.mcp {
                w.object(|w| write_mcp(w, mcp));
            }
        }
        kind => {
            let detail = format!("{} ({kind:?})", tool.name);
            losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, path, detail);
        }
    }
}

fn write_mcp(w: &mut JsonWriter<'_>, mcp: &McpServer) {
    w.str("type", "mcp");
    w.str("server_label", &mcp.label);
    w.opt_str("server_url", mcp.url.as_deref());
    w.opt_str("authorization", mcp.authorization.as_deref());
    if !mcp.allowed_tools.is_empty() {
        w.array_field("allowed_tools", |w| mcp.allowed_tools.iter().for_each(|name| w.string(name)));
    }
    match &mcp.require_approval {
        Some(approval) => w.raw("require_approval", approval),
        // Other protocols never ask.
        None => w.str("require_approval", "never"),
    }
}

/// Writes the value of `tool_choice`.
pub(super) fn write_choice(w: &mut JsonWriter<'_>, choice: &ToolChoice, request: &Request) {
    match choice {
        ToolChoice::None => w.string("none"),
        ToolChoice::Auto | ToolChoice::Validated { .. } => w.string("auto"),
        ToolChoice::Required => w.string("required"),
        ToolChoice::Tool(tool) => write_ref(w, tool, request),
        ToolChoice::Allowed { required, tools } => w.object(|w| {
            w.str("type", "allowed_tools");
            w.str("mode", if *required { "required" } else { "auto" });
            w.array_field("tools", |w| tools.iter().for_each(|tool| write_ref(w, tool, request)));
        }),
        ToolChoice::Server { kind, name } => write_server_choice(w, kind, name.as_deref(), request),
    }
}

/// Names a tool the way its kind is named.
fn write_ref(w: &mut JsonWriter<'_>, reference: &ToolRef, request: &Request) {
    let tool = request.tools.iter().find(|tool| *tool.name() == reference.name);
    w.object(|w| match tool {
        Some(Tool::Server(tool)) if tool.kind == ServerToolKind::Mcp => {
            w.str("type", "mcp");
            w.str("server_label", &tool.name);
        }
        Some(Tool::Server(tool)) => w.str("type", wire_type(tool, request)),
        tool => {
            let custom = reference.custom || matches!(tool, Some(Tool::Custom(_)));
            w.str("type", if custom { "custom" } else { "function" });
            w.str("name", &reference.name);
        }
    });
}

/// What a tool of the provider is called here.
fn wire_type<'a>(tool: &'a ServerTool, request: &Request) -> &'a str {
    if request.source == polyport_types::ClientProtocol::Responses {
        return &tool.wire_type;
    }
    match tool.kind {
        ServerToolKind::WebSearch | ServerToolKind::WebFetch => "web_search",
        ServerToolKind::CodeExecution => "code_interpreter",
        ServerToolKind::ImageGeneration => "image_generation",
        _ => &tool.wire_type,
    }
}

fn write_server_choice(w: &mut JsonWriter<'_>, kind: &ServerToolKind, name: Option<&str>, request: &Request) {
    /// Kinds that may be forced by their type alone.
    const FORCED: [&str; 11] = [
        "file_search",
        "web_search_preview",
        "web_search_preview_2025_03_11",
        "computer",
        "computer_use_preview",
        "computer_use",
        "image_generation",
        "code_interpreter",
        "apply_patch",
        "shell",
        "programmatic_tool_calling",
    ];
    if *kind == ServerToolKind::Mcp {
        // One of its tools, if the client named one.
        let whole = request.ext.get("tool_choice").filter(|raw| {
            member_of(raw, "server_label")
                .and_then(|label| serde_json::from_str::<String>(label.as_str()).ok())
                .as_deref()
                == name
        });
        match (whole, name) {
            (Some(raw), _) => w.raw_value(raw.as_str()),
            (None, Some(label)) => w.object(|w| {
                w.str("type", "mcp");
                w.str("server_label", label);
            }),
            (None, None) => w.string("auto"),
        }
        return;
    }
    let tool = request.tools.iter().find_map(|tool| match tool {
        Tool::Server(tool) if tool.kind == *kind => Some(&**tool),
        _ => None,
    });
    let native = (request.source == polyport_types::ClientProtocol::Responses).then_some(name).flatten();
    match (native, tool) {
        (Some(kind), _) => w.object(|w| w.str("type", kind)),
        (None, Some(tool)) => {
            let kind = wire_type(tool, request);
            if FORCED.contains(&kind) {
                w.object(|w| w.str("type", kind));
            } else {
                // No form of its own, but it may be the only one allowed.
                w.object(|w| {
                    w.str("type", "allowed_tools");
                    w.str("mode", "required");
                    w.array_field("tools", |w| w.object(|w| w.str("type", kind)));
                });
            }
        }
        (None, None) => w.string("auto"),
    }
}

/// Writes the members of `text`; `losses` is `None` where the request is only echoed.
pub(super) fn write_format(w: &mut JsonWriter<'_>, format: &ResponseFormat, losses: Option<&mut Losses>) {
    match format {
        ResponseFormat::Text => w.object_field("format", |w| w.str("type", "text")),
        ResponseFormat::JsonObject => w.object_field("format", |w| w.str("type", "json_object")),
        ResponseFormat::JsonSchema { name, description, schema, strict } => w.object_field("format", |w| {
            w.str("type", "json_schema");
            w.str("name", &schema_name(name.as_deref()));
            w.opt_str("description", description.as_deref());
            w.raw("schema", schema);
            w.opt_bool("strict", *strict);
        }),
        ResponseFormat::Enum { .. } => {
            if let Some(losses) = losses {
                let detail = "an answer that is one of some words";
                losses.warn(LossCode::FormatUnsupported, LossAction::Dropped, "/text/format", detail);
            }
        }
    }
}

/// A schema name that `OpenAI` takes.
fn schema_name(name: Option<&str>) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    match name {
        Some(name) if !name.is_empty() => name.chars().take(64).map(plain).collect(),
        _ => "response".to_owned(),
    }
}

/// The word for a length of answer.
pub(super) fn verbosity_word(verbosity: Verbosity) -> &'static str {
    match verbosity {
        Verbosity::Low => "low",
        Verbosity::Medium => "medium",
        Verbosity::High => "high",
    }
}
