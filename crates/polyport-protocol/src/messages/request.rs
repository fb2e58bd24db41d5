//! A client's request of the Messages protocol.

use polyport_types::{
    Authority, ClientProtocol, Effort, Extras, Family, FunctionTool, Instruction, McpServer, Message, Part, PartKind,
    RawJson, ReasoningControl, ReasoningMode, ReasoningVisibility, Request, ResponseFormat, Role, ServerTool,
    ServerToolKind, Text, Tool, ToolChoice, ToolRef, UserLocation,
};

use super::block::{mark, missing, parts};
use super::types::{
    Block, Location, McpServerParam, MessageParam, OutputConfig, RequestBody, ThinkingParam, ToolChoiceParam,
    ToolParam, ToolsetParam, json_of, object_of,
};
use crate::json::{OneOrMany, Str, extras, from_text, raw};
use crate::{DecodeError, RequestHead};

/// Signatures in a client's history are those of the protocol's own provider, until a carrier says otherwise.
const FAMILY: Family = Family::Anthropic;

/// Reads a client's request.
///
/// # Errors
/// [`DecodeError`] names the wrong path the way this API does: `messages.0.content.1.text`.
pub fn decode_request(head: &RequestHead, body: &Text) -> Result<Request, DecodeError> {
    let wire = read(body)?;
    if wire.max_tokens.is_none() {
        return Err(required("max_tokens"));
    }
    decode(head, wire, body)
}

/// Reads a request of `count_tokens`: the same, but that it has no limit.
///
/// # Errors
/// Like [`decode_request`].
pub fn decode_count_request(head: &RequestHead, body: &Text) -> Result<Request, DecodeError> {
    decode(head, read(body)?, body)
}

fn read(body: &Text) -> Result<RequestBody<'_>, DecodeError> {
    from_text(body).map_err(in_api_words)
}

/// The parser's mistake in the words of this API.
fn in_api_words(error: DecodeError) -> DecodeError {
    let path: String = error.path.replace('[', ".").replace(']', "");
    let expected = error.message.split(", expected ").nth(1).and_then(|rest| rest.split(" at line ").next());
    let kind = match expected {
        Some("a string") => "string",
        Some("an object" | "an object or a string") => "dictionary",
        Some("a sequence") => "list",
        Some("a string or an array" | "a string, an array or an object") => "string or list",
        Some("an integer") => "integer",
        Some("a boolean") => "boolean",
        Some("f64") => "number",
        _ => return DecodeError { path, ..error },
    };
    DecodeError::at(path, format!("Input should be a valid {kind}"))
}

fn required(path: impl Into<String>) -> DecodeError {
    DecodeError::at(path, "Field required")
}

fn decode(head: &RequestHead, mut wire: RequestBody<'_>, body: &Text) -> Result<Request, DecodeError> {
    let model = wire.model.take().ok_or_else(|| required("model"))?.into_text(body);
    let mut request = Request::new(ClientProtocol::Messages, model);
    request.api_version =
        head.api_version.clone().or_else(|| wire.version.take().map(|version| version.into_text(body)));
    request.betas.clone_from(&head.betas);
    for beta in wire.betas.take().into_iter().flatten() {
        let beta = beta.into_text(body);
        if !request.betas.contains(&beta) {
            request.betas.push(beta);
        }
    }
    request.ext = extras(std::mem::take(&mut wire.extra), body);
    system(wire.system.take(), &mut request, body)?;
    messages(wire.messages.take(), &mut request, body)?;
    tools(&mut wire, &mut request, body)?;
    tool_choice(wire.tool_choice.take(), &mut request, body)?;
    limits(&mut wire, &mut request, body)?;
    request.reasoning = thinking(wire.thinking.take(), body)?;
    output(&mut wire, &mut request, body)?;
    service(&mut wire, &mut request, body);
    request.sampling.temperature = wire.temperature;
    request.sampling.top_p = wire.top_p;
    request.sampling.top_k = wire.top_k;
    request.stream = wire.stream.unwrap_or(false);
    Ok(request)
}

fn system(wire: Option<OneOrMany<'_, Block<'_>>>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    let Some(content) = wire else { return Ok(()) };
    check_blocks(&content, "system")?;
    let parts = parts(content, FAMILY, body);
    if !parts.is_empty() {
        request.instructions.push(Instruction { authority: Authority::System, parts, name: None, ext: Extras::new() });
    }
    Ok(())
}

fn check_blocks(content: &OneOrMany<'_, Block<'_>>, path: &str) -> Result<(), DecodeError> {
    let OneOrMany::Many(blocks) = content else { return Ok(()) };
    let mut blocks = blocks.iter().enumerate();
    match blocks.find_map(|(at, block)| missing(block).map(|inside| format!("{path}.{at}.{inside}"))) {
        Some(path) => Err(required(path)),
        None => Ok(()),
    }
}

fn messages(wire: Option<Vec<MessageParam<'_>>>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    let list = wire.ok_or_else(|| required("messages"))?;
    // A thread goes on from messages that the provider holds.
    if list.is_empty() && request.ext.get("thread").is_none() {
        return Err(DecodeError::at("messages", "at least one message is required"));
    }
    request.messages.reserve(list.len());
    for (at, message) in list.into_iter().enumerate() {
        let index = u32::try_from(at).unwrap_or(u32::MAX);
        message_parts(message, index, &mut request.messages, body)?;
    }
    Ok(())
}

fn message_parts(
    wire: MessageParam<'_>,
    index: u32,
    messages: &mut Vec<Message>,
    body: &Text,
) -> Result<(), DecodeError> {
    let path = || format!("messages.{index}");
    let role = match wire.role.as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        Some(_) => {
            return Err(DecodeError::at(path() + ".role", "Input should be 'user', 'assistant' or 'system'"));
        }
        None => return Err(required(path() + ".role")),
    };
    let content = match wire.content {
        Some(content) => content,
        // System messages may do nothing but change settings.
        None if role == Role::System => OneOrMany::Many(Vec::new()),
        None => return Err(required(path() + ".content")),
    };
    check_blocks(&content, &format!("messages.{index}.content"))?;
    let parts = parts(content, FAMILY, body);
    let misplaced = |kind: &str, place: &str| {
        Err(DecodeError::at(path(), format!("`{kind}` blocks can only be in `{place}` messages")))
    };
    if role != Role::User && parts.iter().any(is_result) {
        return misplaced("tool_result", "user");
    }
    if role != Role::Assistant && parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_))) {
        return misplaced("tool_use", "assistant");
    }
    let (results, rest): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_result);
    let ext = extras(wire.extra, body);
    if !results.is_empty() {
        messages.push(Message::new(Role::Tool, index, results));
        if rest.is_empty() && ext.is_empty() {
            return Ok(());
        }
    }
    messages.push(Message { ext, ..Message::new(role, index, rest) });
    Ok(())
}

fn is_result(part: &Part) -> bool {
    matches!(part.kind, PartKind::ToolResult(_))
}

fn tools(wire: &mut RequestBody<'_>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    let mut servers: Vec<(McpServer, RawJson)> =
        wire.mcp_servers.take().into_iter().flatten().map(|server| mcp_server(server, body)).collect();
    for (at, tool) in wire.tools.take().into_iter().flatten().enumerate() {
        request
            .tools
            .push(self::tool(tool, &mut servers, body).map_err(|member| required(format!("tools.{at}.{member}")))?);
    }
    // The older beta has no toolset: declaring the server offers its tools.
    for (server, definition) in servers {
        request.tools.push(Tool::Server(Box::new(ServerTool {
            mcp: Some(Box::new(server.clone())),
            ..server_tool(ServerToolKind::Mcp, server.label, Text::from_static("url"), definition)
        })));
    }
    Ok(())
}

fn server_tool(kind: ServerToolKind, name: Text, wire_type: Text, raw: RawJson) -> ServerTool {
    ServerTool {
        kind,
        name,
        wire_type,
        allowed_domains: Vec::new(),
        blocked_domains: Vec::new(),
        max_uses: None,
        user_location: None,
        context_size: None,
        mcp: None,
        cache: None,
        raw,
    }
}

fn mcp_server(mut wire: McpServerParam<'_>, body: &Text) -> (McpServer, RawJson) {
    wire.kind.get_or_insert_with(|| Str("url".into()));
    let definition = json_of(wire.clone(), body);
    let allowed = wire.tool_configuration.and_then(|configuration| configuration.allowed_tools);
    let server = McpServer {
        label: wire.name.map(|name| name.into_text(body)).unwrap_or_default(),
        url: wire.url.map(|url| url.into_text(body)),
        authorization: wire.authorization_token.map(|token| token.into_text(body)),
        allowed_tools: texts(allowed, body),
        require_approval: None,
    };
    (server, definition)
}

fn texts(list: Option<Vec<Str<'_>>>, body: &Text) -> Vec<Text> {
    list.into_iter().flatten().map(|text| text.into_text(body)).collect()
}

/// Reads a tool; the error names the member it lacks.
fn tool(mut wire: ToolParam<'_>, servers: &mut Vec<(McpServer, RawJson)>, body: &Text) -> Result<Tool, &'static str> {
    let (cache, unusual) = wire.cache_control.take().map_or((None, None), |control| mark(control, body));
    let mut tool = match wire.kind.as_deref() {
        None | Some("custom") => {
            wire.kind = None;
            let name = wire.name.take().filter(|name| !name.is_empty()).ok_or("name")?;
            let mut tool = FunctionTool {
                name: name.into_text(body),
                namespace: None,
                description: wire.description.take().map(|text| text.into_text(body)),
                schema: wire.input_schema.take().map(|schema| raw(schema, body)),
                output_schema: None,
                strict: wire.strict.take(),
                cache: None,
                defer_loading: wire.defer_loading.take(),
                ext: Extras::new(),
            };
            tool.ext = wire.rest(body);
            Tool::Function(Box::new(tool))
        }
        Some(kind) => {
            let kind = Text::from(kind);
            Tool::Server(Box::new(typed_tool(kind, wire, servers, body)))
        }
    };
    match &mut tool {
        Tool::Function(tool) => {
            tool.cache = cache;
            if let Some(unusual) = unusual {
                tool.ext.push("cache_control", unusual);
            }
        }
        Tool::Server(tool) => tool.cache = cache,
        Tool::Custom(_) => {}
    }
    Ok(tool)
}

fn typed_tool(
    wire_type: Text,
    wire: ToolParam<'_>,
    servers: &mut Vec<(McpServer, RawJson)>,
    body: &Text,
) -> ServerTool {
    let mut tool = server_tool(kind_of_tool(&wire_type), Text::new(), wire_type, json_of(wire.clone(), body));
    let label = wire.mcp_server_name.map(|name| name.into_text(body));
    if let Some(label) = &label {
        // Without its server definition a toolset still names what it wants.
        let server = match servers.iter().position(|(server, _)| server.label == *label) {
            Some(at) => servers.remove(at).0,
            None => McpServer {
                label: label.clone(),
                url: None,
                authorization: None,
                allowed_tools: Vec::new(),
                require_approval: None,
            },
        };
        let allowed = allowed_tools(&tool.raw);
        let allowed_tools = if allowed.is_empty() { server.allowed_tools } else { allowed };
        tool.mcp = Some(Box::new(McpServer { allowed_tools, ..server }));
    }
    tool.name = wire.name.map(|name| name.into_text(body)).or(label).unwrap_or_else(|| tool.wire_type.clone());
    tool.allowed_domains = texts(wire.allowed_domains, body);
    tool.blocked_domains = texts(wire.blocked_domains, body);
    tool.max_uses = wire.max_uses.and_then(|uses| u32::try_from(uses.0).ok());
    tool.user_location = wire.user_location.map(|place| location(place, body));
    tool
}

/// The tools of a toolset that offers none but those it names.
fn allowed_tools(toolset: &RawJson) -> Vec<Text> {
    let ToolsetParam { default_config, configs, .. } = serde_json::from_str(toolset.as_str()).unwrap_or_default();
    if default_config.and_then(|all| all.enabled) != Some(false) {
        return Vec::new();
    }
    let named = configs.unwrap_or_default().0.into_iter().filter(|(_, tool)| tool.enabled == Some(true));
    named.map(|(name, _)| Text::from(&*name)).collect()
}

fn location(wire: Location<'_>, body: &Text) -> UserLocation {
    let text = |member: Option<Str<'_>>| member.map(|text| text.into_text(body));
    UserLocation {
        city: text(wire.city),
        country: text(wire.country),
        region: text(wire.region),
        timezone: text(wire.timezone),
    }
}

/// What a versioned tool type stands for: `web_search_20250305`, `bash_20250124`, `mcp_toolset`.
fn kind_of_tool(wire_type: &str) -> ServerToolKind {
    const TABLE: [(&str, ServerToolKind); 10] = [
        ("web_search", ServerToolKind::WebSearch),
        ("web_fetch", ServerToolKind::WebFetch),
        ("code_execution", ServerToolKind::CodeExecution),
        ("computer", ServerToolKind::Computer),
        ("browser", ServerToolKind::Browser),
        ("bash", ServerToolKind::Bash),
        ("text_editor", ServerToolKind::TextEditor),
        ("memory", ServerToolKind::Memory),
        ("tool_search", ServerToolKind::ToolSearch),
        ("mcp_toolset", ServerToolKind::Mcp),
    ];
    let known = TABLE.into_iter().find(|(prefix, _)| {
        wire_type.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    });
    known.map_or_else(
        || {
            let stem = wire_type.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
            ServerToolKind::Other(stem.to_owned().into())
        },
        |(_, kind)| kind,
    )
}

fn tool_choice(wire: Option<ToolChoiceParam<'_>>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    let Some(wire) = wire else { return Ok(()) };
    request.parallel_tool_calls = wire.disable_parallel_tool_use.map(|disabled| !disabled);
    request.tool_choice = Some(match wire.kind.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => {
            let name = wire.name.ok_or_else(|| required("tool_choice.name"))?.into_text(body);
            let server = request.tools.iter().find_map(|tool| match tool {
                Tool::Server(tool) if tool.name == name && !tool.kind.runs_at_client() => Some(tool.kind.clone()),
                _ => None,
            });
            match server {
                Some(kind) => ToolChoice::Server { kind, name: Some(name) },
                None => ToolChoice::Tool(ToolRef { name, custom: false }),
            }
        }
        Some(_) => {
            return Err(DecodeError::at("tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'"));
        }
        None => return Err(required("tool_choice.type")),
    });
    Ok(())
}

fn limits(wire: &mut RequestBody<'_>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    if let Some(limit) = wire.max_tokens {
        let limit = u64::try_from(limit.0)
            .map_err(|_| DecodeError::at("max_tokens", "Input should be greater than or equal to 0"))?;
        request.limits.max_output_tokens = Some(limit);
    }
    request.limits.stop = texts(wire.stop_sequences.take(), body);
    Ok(())
}

fn thinking(wire: Option<ThinkingParam<'_>>, body: &Text) -> Result<Option<ReasoningControl>, DecodeError> {
    let Some(mut wire) = wire else { return Ok(None) };
    let mode = match wire.kind.take().as_deref() {
        Some("enabled") => ReasoningMode::On,
        Some("adaptive") => ReasoningMode::Adaptive,
        Some("disabled") => ReasoningMode::Off,
        Some("between_tools") => ReasoningMode::BetweenTools,
        Some(_) => {
            return Err(DecodeError::at(
                "thinking.type",
                "Input should be 'enabled', 'adaptive', 'disabled' or 'between_tools'",
            ));
        }
        None => return Err(required("thinking.type")),
    };
    let budget_tokens = wire.budget_tokens.take().map(|budget| budget.0);
    if mode == ReasoningMode::On && budget_tokens.is_none() {
        return Err(required("thinking.budget_tokens"));
    }
    let visibility = match wire.display.as_deref() {
        Some("omitted") => Some(ReasoningVisibility::Omitted),
        // Other words (`updates`) are ways of showing it; they are kept verbatim beside this.
        Some(_) => Some(ReasoningVisibility::Summary),
        None => None,
    };
    if matches!(wire.display.as_deref(), Some("omitted" | "summarized")) {
        wire.display = None;
    }
    let ext = wire.rest(body);
    Ok(Some(ReasoningControl { mode, effort: None, budget_tokens, visibility, summary: None, ext }))
}

fn output(wire: &mut RequestBody<'_>, request: &mut Request, body: &Text) -> Result<(), DecodeError> {
    let mut config: OutputConfig<'_> = wire.output_config.take().unwrap_or_default();
    if let Some(effort) = config.effort.as_deref().and_then(Effort::parse) {
        config.effort = None;
        request.reasoning.get_or_insert_default().effort = Some(effort);
    }
    let older = wire.output_format.take().map(|format| (format, "output_format"));
    if let Some((format, path)) = config.format.take().map(|format| (format, "output_config.format")).or(older) {
        if format.kind.as_deref() != Some("json_schema") {
            return Err(DecodeError::at(format!("{path}.type"), "Input should be 'json_schema'"));
        }
        let schema = format.schema.ok_or_else(|| required(format!("{path}.schema")))?;
        request.response_format = Some(ResponseFormat::JsonSchema {
            name: None,
            description: None,
            schema: raw(schema, body),
            // This API always enforces the schema.
            strict: Some(true),
        });
    }
    let rest = config.rest(body);
    if !rest.is_empty() {
        request.ext.push("output_config", object_of(&rest));
    }
    Ok(())
}

fn service(wire: &mut RequestBody<'_>, request: &mut Request, body: &Text) {
    if let Some(mut metadata) = wire.metadata.take() {
        request.end_user = metadata.user_id.take().map(|user| user.into_text(body));
        let rest = metadata.rest(body);
        if !rest.is_empty() {
            request.ext.push("metadata", object_of(&rest));
        }
    }
    if let Some(control) = wire.cache_control.take() {
        let (mark, unusual) = mark(control, body);
        request.cache.auto_breakpoint = true;
        request.cache.ttl = mark.and_then(|mark| mark.ttl);
        if let Some(unusual) = unusual {
            request.ext.push("cache_control", unusual);
        }
    }
    request.service_tier = wire.service_tier.take().map(|tier| tier.into_text(body));
    match wire.speed.take() {
        // Elsewhere this is a tier; the tier beside it only matters here.
        Some(speed) if &*speed == "fast" => {
            if let Some(tier) = request.service_tier.replace(Text::from_static("fast")) {
                request.ext.push("service_tier", RawJson::of(&serde_json::Value::String(tier.to_string())));
            }
        }
        Some(speed) => request.ext.push("speed", json_of(speed, body)),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(body: &str) -> String {
        decode_request(&RequestHead::default(), &Text::from(body)).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_named_in_the_words_of_the_api() {
        assert_eq!(fails(r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#), "max_tokens: Field required");
        assert_eq!(fails(r#"{"max_tokens":1,"messages":[]}"#), "model: Field required");
        assert_eq!(fails(r#"{"model":"m","max_tokens":1}"#), "messages: Field required");
        assert_eq!(
            fails(r#"{"model":"m","max_tokens":1,"messages":[]}"#),
            "messages: at least one message is required"
        );
        let messages = |messages: &str| fails(&format!(r#"{{"model":"m","max_tokens":1,"messages":{messages}}}"#));
        assert_eq!(
            messages(r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text"}]}]"#),
            "messages.0.content.1.text: Field required"
        );
        assert_eq!(
            messages(r#"[{"role":"user","content":[{"type":"text","text":3}]}]"#),
            "messages.0.content.0.text: Input should be a valid string"
        );
        assert_eq!(
            messages(
                r#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image"}]}]}]"#
            ),
            "messages.0.content.0.content.0.source: Field required"
        );
        assert_eq!(
            messages(r#"[{"role":"robot","content":"x"}]"#),
            "messages.0.role: Input should be 'user', 'assistant' or 'system'"
        );
        assert_eq!(
            messages(r#"[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":{}}]}]"#),
            "messages.0: `tool_use` blocks can only be in `assistant` messages"
        );
        assert_eq!(
            fails(r#"{"model":"m","max_tokens":-1,"messages":[{"role":"user","content":"x"}]}"#),
            "max_tokens: Input should be greater than or equal to 0"
        );
        assert!(fails("{").starts_with("the body is not valid JSON: "));
        assert_eq!(fails(r#"{"model":7}"#), "model: Input should be a valid string");
    }
}
