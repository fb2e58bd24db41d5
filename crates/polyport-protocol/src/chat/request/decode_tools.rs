//! Tools, tool choice and structured output of a client.

use polyport_types::{
    CacheMark, CustomFormat, CustomTool, FunctionTool, GrammarSyntax, RawJson, Request, ResponseFormat, ServerTool,
    ServerToolKind, Text, Tool, ToolChoice, ToolRef, UserLocation,
};
use serde_json::value::RawValue;

use super::decode::{missing, sub, ttl, unsupported};
use crate::DecodeError;
use crate::chat::members;
use crate::chat::types::{self, ChatRequest, WebSearchOptions, WordOr};
use crate::json::{self, JsonWriter, Str};

/// Reads `tools`, `functions`, `web_search_options` and the choice among them.
pub(super) fn read(wire: &mut ChatRequest<'_>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    for (at, tool) in wire.tools.take().unwrap_or_default().into_iter().enumerate() {
        let tool = read_tool(&format!("tools[{at}]"), tool, body)?;
        request.tools.push(tool);
    }
    for (at, function) in wire.functions.take().unwrap_or_default().into_iter().enumerate() {
        let function = read_function(&format!("functions[{at}]"), function, body)?;
        request.tools.push(Tool::Function(Box::new(function)));
    }
    if let Some(raw) = wire.web_search_options {
        request.tools.push(Tool::Server(Box::new(web_search(raw, body)?)));
    }
    request.tool_choice = match (wire.tool_choice.take(), wire.function_call.take()) {
        (Some(WordOr::Word(word)), _) => Some(choice_word("tool_choice", &word)?),
        (Some(WordOr::Object(choice, raw)), _) => read_choice(&choice, raw, request, body)?,
        (None, Some(WordOr::Word(word))) => Some(choice_word("function_call", &word)?),
        (None, Some(WordOr::Object(function, _))) => {
            let name = function.name.filter(|name| !name.is_empty()).ok_or_else(|| missing("function_call.name"))?;
            Some(ToolChoice::Tool(ToolRef { name: name.into_text(body), custom: false }))
        }
        (None, None) => None,
    };
    request.parallel_tool_calls = wire.parallel_tool_calls;
    Ok(())
}

fn read_tool(path: &str, tool: types::Tool<'_>, body: &Text) -> Result<Tool, DecodeError> {
    let types::Tool { kind, function, custom, cache_control, name, description, parameters, strict, extra } = tool;
    let cache = cache_control.map(|control| CacheMark { ttl: control.ttl.as_deref().and_then(ttl) });
    match kind.as_deref() {
        Some("function") | None => {
            let mut read = match function {
                Some(function) => read_function(&format!("{path}.function"), function, body)?,
                // The flat form of other protocols.
                None if name.is_some() => {
                    let flat = types::Function { name, description, parameters, strict, extra: Vec::new() };
                    read_function(path, flat, body)?
                }
                None => return Err(missing(format!("{path}.function"))),
            };
            read.cache = cache;
            let inner = std::mem::replace(&mut read.ext, json::extras(extra, body));
            if !inner.is_empty() {
                read.ext.push("function", members::object(&inner));
            }
            Ok(Tool::Function(Box::new(read)))
        }
        Some("custom") => {
            let custom = custom.ok_or_else(|| missing(format!("{path}.custom")))?;
            let name = custom.name.filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| missing(format!("{path}.custom.name")))?.into_text(body);
            Ok(Tool::Custom(Box::new(CustomTool {
                name,
                namespace: None,
                description: custom.description.map(|text| text.into_text(body)),
                format: read_format(path, custom.format, body)?,
                ext: json::extras(custom.extra, body),
            })))
        }
        Some(other) => {
            let name = function.as_ref().and_then(|function| function.name.clone()).or(name);
            let raw = server_tool_json(other, function.as_ref(), parameters, &extra, body);
            Ok(Tool::Server(Box::new(server_tool(other, name, raw, cache, body))))
        }
    }
}

fn read_function(path: &str, function: types::Function<'_>, body: &Text) -> Result<FunctionTool, DecodeError> {
    let name = function.name.filter(|name| !name.is_empty()).ok_or_else(|| missing(format!("{path}.name")))?;
    Ok(FunctionTool {
        name: name.into_text(body),
        description: function.description.map(|text| text.into_text(body)),
        schema: function.parameters.map(|raw| json::raw(raw, body)),
        strict: function.strict,
        ext: json::extras(function.extra, body),
        ..FunctionTool::default()
    })
}

fn read_format(path: &str, format: Option<types::CustomFormat<'_>>, body: &Text) -> Result<CustomFormat, DecodeError> {
    let Some(format) = format else { return Ok(CustomFormat::Text) };
    match format.kind.as_deref() {
        Some("text") | None => Ok(CustomFormat::Text),
        Some("grammar") => {
            let (definition, syntax) = match format.grammar {
                Some(grammar) => (grammar.definition, grammar.syntax),
                None => (format.definition, format.syntax),
            };
            let path = format!("{path}.custom.format.grammar");
            let syntax = match syntax.as_deref() {
                Some("lark") => GrammarSyntax::Lark,
                Some("regex") => GrammarSyntax::Regex,
                Some(other) => return Err(unsupported(format!("{path}.syntax"), other, &["lark", "regex"])),
                None => return Err(missing(format!("{path}.syntax"))),
            };
            let definition = definition.ok_or_else(|| missing(format!("{path}.definition")))?.into_text(body);
            Ok(CustomFormat::Grammar { syntax, definition })
        }
        Some(other) => Err(unsupported(format!("{path}.custom.format.type"), other, &["text", "grammar"])),
    }
}

/// A tool that a vendor runs (`openrouter:web_search`, `builtin_function`, `browser_search`, …).
fn server_tool(kind: &str, name: Option<Str<'_>>, raw: RawJson, cache: Option<CacheMark>, body: &Text) -> ServerTool {
    let short = kind.rsplit_once(':').map_or(kind, |(_, short)| short);
    let meaning = if short.starts_with("web_search") || short == "browser_search" {
        ServerToolKind::WebSearch
    } else {
        match short {
            "web_fetch" => ServerToolKind::WebFetch,
            "code_interpreter" | "code_execution" => ServerToolKind::CodeExecution,
            other => ServerToolKind::Other(Text::from(other)),
        }
    };
    ServerTool {
        kind: meaning,
        name: name.map_or_else(|| Text::from(short), |name| name.into_text(body)),
        wire_type: Text::from(kind),
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        max_uses: None,
        user_location: None,
        context_size: None,
        mcp: None,
        cache,
        raw,
    }
}

/// The wire object of a vendor's tool: what was taken out of it is put back.
fn server_tool_json(
    kind: &str,
    function: Option<&types::Function<'_>>,
    parameters: Option<&RawValue>,
    extra: &json::Extra<'_>,
    body: &Text,
) -> RawJson {
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(|w| {
        w.str("type", kind);
        if let Some(function) = function {
            w.object_field("function", |w| {
                w.opt_str("name", function.name.as_deref());
                w.opt_str("description", function.description.as_deref());
                if let Some(parameters) = function.parameters {
                    w.raw("parameters", &json::raw(parameters, body));
                }
                w.extras(&json::extras(function.extra.clone(), body));
            });
        }
        if let Some(parameters) = parameters {
            w.raw("parameters", &json::raw(parameters, body));
        }
        w.extras(&json::extras(extra.clone(), body));
    });
    RawJson::from_valid(Text::try_from(out).unwrap_or_else(|_| Text::from_static("{}")))
}

/// `web_search_options` is the only tool of the official API that the provider runs.
fn web_search(raw: &RawValue, body: &Text) -> Result<ServerTool, DecodeError> {
    let options: WebSearchOptions<'_> = sub("web_search_options", raw)?;
    let place = options.user_location.and_then(|location| location.approximate);
    let text = |text: Option<Str<'_>>| text.map(|text| text.into_text(body));
    let mut tool = server_tool("web_search_options", None, json::raw(raw, body), None, body);
    tool.kind = ServerToolKind::WebSearch;
    tool.name = Text::from_static("web_search");
    tool.context_size = text(options.search_context_size);
    tool.user_location = place.map(|place| UserLocation {
        city: text(place.city),
        country: text(place.country),
        region: text(place.region),
        timezone: text(place.timezone),
    });
    Ok(tool)
}

fn choice_word(path: &str, word: &str) -> Result<ToolChoice, DecodeError> {
    match word {
        "none" => Ok(ToolChoice::None),
        "auto" => Ok(ToolChoice::Auto),
        // `any` is Mistral's word.
        "required" | "any" => Ok(ToolChoice::Required),
        other => Err(unsupported(path, other, &["none", "auto", "required"])),
    }
}

fn read_choice(
    choice: &types::ToolChoice<'_>,
    raw: &RawValue,
    request: &mut Request,
    body: &Text,
) -> Result<Option<ToolChoice>, DecodeError> {
    match choice.kind.as_deref() {
        Some("function" | "custom") => read_ref("tool_choice", choice, body).map(|tool| Some(ToolChoice::Tool(tool))),
        None if choice.function.is_some() => {
            read_ref("tool_choice", choice, body).map(|tool| Some(ToolChoice::Tool(tool)))
        }
        Some("allowed_tools") => {
            let allowed = choice.allowed_tools.as_ref().ok_or_else(|| missing("tool_choice.allowed_tools"))?;
            let required = match allowed.mode.as_deref() {
                Some("auto") | None => false,
                Some("required") => true,
                Some(other) => return Err(unsupported("tool_choice.allowed_tools.mode", other, &["auto", "required"])),
            };
            let list = allowed.tools.as_deref().unwrap_or_default().iter().enumerate();
            let tools = list
                .map(|(at, tool)| read_ref(&format!("tool_choice.allowed_tools.tools[{at}]"), tool, body))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Some(ToolChoice::Allowed { required, tools }))
        }
        Some("none" | "auto" | "required" | "any") => {
            choice_word("tool_choice", choice.kind.as_deref().unwrap_or_default()).map(Some)
        }
        // A vendor's own form.
        Some(_) => {
            request.ext.push("tool_choice", json::raw(raw, body));
            Ok(None)
        }
        None => Err(missing("tool_choice.type")),
    }
}

fn read_ref(path: &str, choice: &types::ToolChoice<'_>, body: &Text) -> Result<ToolRef, DecodeError> {
    let custom = choice.kind.as_deref() == Some("custom");
    let (member, inner) = if custom { ("custom", &choice.custom) } else { ("function", &choice.function) };
    let name = inner.as_ref().and_then(|inner| inner.name.as_ref()).or(choice.name.as_ref());
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| missing(format!("{path}.{member}.name")))?;
    Ok(ToolRef { name: name.to_text(body), custom })
}

/// Reads `response_format`.
pub(super) fn response_format(
    wire: &mut ChatRequest<'_>,
    request: &mut Request,
    body: &Text,
) -> Result<Option<ResponseFormat>, DecodeError> {
    let Some(format) = wire.response_format.take() else { return Ok(None) };
    match format.kind.as_deref() {
        Some("text") => Ok(Some(ResponseFormat::Text)),
        // llama.cpp and others: a schema beside `json_object`.
        Some("json_object") => Ok(Some(match format.extra.iter().find(|(name, _)| &**name == "schema") {
            Some((_, schema)) => ResponseFormat::JsonSchema {
                name: None,
                description: None,
                schema: json::raw(schema, body),
                strict: None,
            },
            None => ResponseFormat::JsonObject,
        })),
        Some("json_schema") => {
            let schema = format.json_schema.ok_or_else(|| missing("response_format.json_schema"))?;
            Ok(Some(ResponseFormat::JsonSchema {
                name: schema.name.map(|name| name.into_text(body)),
                description: schema.description.map(|text| text.into_text(body)),
                schema: schema
                    .schema
                    .map_or_else(|| RawJson::from_valid(Text::from_static("{}")), |raw| json::raw(raw, body)),
                strict: schema.strict,
            }))
        }
        // A vendor's own form, e.g. a grammar.
        Some(other) => {
            let mut out = Vec::new();
            JsonWriter::new(&mut out).object(|w| {
                w.str("type", other);
                w.extras(&json::extras(format.extra, body));
            });
            if let Ok(text) = Text::try_from(out) {
                request.ext.push("response_format", RawJson::from_valid(text));
            }
            Ok(None)
        }
        None => Err(missing("response_format.type")),
    }
}
