//! `tools` and `toolConfig`, both ways.

use foldhash::{HashSet, HashSetExt as _};
use polyport_types::{
    Extras, FunctionTool, LossAction, LossCode, Losses, McpServer, Protocol, RawJson, Request, ServerTool,
    ServerToolKind, Text, Tool, ToolChoice, ToolRef,
};
use serde_json::Value;
use serde_json::value::RawValue;

use super::names;
use super::parts::kept_members;
use super::types::{self, FunctionDeclaration, Many, ToolObject};
use crate::json::{self, JsonWriter, Str};
use crate::profile::{Profile, SchemaClean};
use crate::schema::{self, Dialect};
use crate::{DecodeError, Target};

/// Reads `tools`.
///
/// # Errors
/// A function without a name.
pub(super) fn decode_tools(tools: Many<ToolObject<'_>>, body: &Text, request: &mut Request) -> Result<(), DecodeError> {
    for (number, tool) in tools.0.into_iter().enumerate() {
        for (at, function) in tool.functions.unwrap_or_default().0.into_iter().enumerate() {
            let function = decode_function(function, body).map_err(|message| {
                DecodeError::at(format!("tools[{number}].functionDeclarations[{at}].name"), message)
            })?;
            request.tools.push(Tool::Function(Box::new(function)));
        }
        for (name, value) in tool.extra {
            decode_server_tool(&names::camel(&name), value, body, &mut request.tools);
        }
    }
    Ok(())
}

fn decode_function(wire: FunctionDeclaration<'_>, body: &Text) -> Result<FunctionTool, &'static str> {
    let name = wire.name.filter(|name| !name.is_empty()).ok_or("Name cannot be empty.")?;
    let mut ext = Extras::new();
    let schema = match (wire.parameters_json_schema, wire.parameters) {
        (Some(raw), _) => Some(read_schema(raw, "parametersJsonSchema", body, &mut ext)),
        (None, Some(raw)) => Some(read_schema(raw, "parameters", body, &mut ext)),
        (None, None) => None,
    };
    let output_schema = match (wire.response_json_schema, wire.response) {
        (Some(raw), _) => Some(read_schema(raw, "responseJsonSchema", body, &mut ext)),
        (None, Some(raw)) => Some(read_schema(raw, "response", body, &mut ext)),
        (None, None) => None,
    };
    names::keep(wire.extra, "", body, &mut ext);
    Ok(FunctionTool {
        name: name.into_text(body),
        description: wire.description.map(|text| text.into_text(body)),
        schema,
        output_schema,
        ext,
        ..FunctionTool::default()
    })
}

/// Members that hold JSON Schema; the others hold the API's own `Schema` form.
const JSON_SCHEMA: [&str; 2] = ["parametersJsonSchema", "responseJsonSchema"];

/// A schema as JSON Schema. What stood on the wire is kept for the same protocol if it is something else.
pub(super) fn read_schema(raw: &RawValue, member: &str, body: &Text, ext: &mut Extras) -> RawJson {
    let verbatim = json::raw(raw, body);
    // Clients of the official library write the upper-case types of the `Schema` form into JSON Schema as well.
    let own_form = !JSON_SCHEMA.contains(&member)
        || ["\"OBJECT\"", "\"STRING\"", "\"ARRAY\"", "\"INTEGER\"", "\"NUMBER\"", "\"BOOLEAN\""]
            .iter()
            .any(|word| memchr::memmem::find(raw.get().as_bytes(), word.as_bytes()).is_some());
    if !own_form {
        return verbatim;
    }
    let value = verbatim.to_value();
    let converted = RawJson::of(&schema::from_openapi(&value));
    let kept = if JSON_SCHEMA.contains(&member) { verbatim } else { RawJson::of(&spelled(value)) };
    ext.push(member, kept);
    converted
}

/// The API's own `Schema` form with camelCase names and upper-case types.
fn spelled(schema: Value) -> Value {
    let Value::Object(members) = schema else { return schema };
    let named = |value: Value| match value {
        Value::Object(children) => children.into_iter().map(|(name, child)| (name, spelled(child))).collect(),
        other => other,
    };
    let one = |(name, value): (String, Value)| {
        let name = names::camel(&name).into_owned();
        let value = match (name.as_str(), value) {
            ("properties" | "defs", value) => named(value),
            ("type", Value::String(word)) => word.to_ascii_uppercase().into(),
            ("anyOf", Value::Array(items)) => items.into_iter().map(spelled).collect(),
            ("items" | "additionalProperties", value) => spelled(value),
            (_, value) => value,
        };
        (name, value)
    };
    members.into_iter().map(one).collect()
}

/// Writes a schema: as it stood on the wire where the same protocol gave it and nobody changed it since, else in the form the
/// server takes.
pub(super) fn write_schema(
    w: &mut JsonWriter<'_>,
    schema: &RawJson,
    member: Member,
    ext: Option<&Extras>,
    profile: &Profile,
) {
    let json_schema = profile.json_schema_fields;
    let plain = profile.schema_clean == SchemaClean::Plain;
    for name in [member.json_schema, member.own] {
        if let Some(verbatim) = ext.and_then(|ext| ext.get(name))
            && !plain
            && (json_schema || name == member.own)
            && RawJson::of(&schema::from_openapi(&verbatim.to_value())) == *schema
        {
            w.raw(name, verbatim);
            return;
        }
    }
    if json_schema {
        w.raw(member.json_schema, schema);
        return;
    }
    let dialect = if plain { Dialect::GeminiPlain } else { Dialect::GeminiOpenApi };
    let (own, _) = schema::convert(&schema.to_value(), dialect);
    // The API refuses an object without members: no schema says the same.
    let empty = own.get("type").is_some_and(|word| word == "OBJECT")
        && own.get("properties").is_none_or(|properties| properties.as_object().is_none_or(serde_json::Map::is_empty));
    if !(empty && member.own == "parameters") {
        w.raw(member.own, &RawJson::of(&own));
    }
}

/// The two members a schema can stand in.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) json_schema: &'static str,
    pub(super) own: &'static str,
}

const PARAMETERS: Member = Member { json_schema: "parametersJsonSchema", own: "parameters" };
const RESPONSE: Member = Member { json_schema: "responseJsonSchema", own: "response" };

/// Tools the provider runs: member of a tool object, kind, name the model calls it by.
const SERVER_TOOLS: [(&str, ServerToolKind, &str); 10] = [
    ("googleSearch", ServerToolKind::WebSearch, "google_search"),
    ("googleSearchRetrieval", ServerToolKind::WebSearch, "google_search_retrieval"),
    ("enterpriseWebSearch", ServerToolKind::WebSearch, "enterprise_web_search"),
    ("urlContext", ServerToolKind::WebFetch, "url_context"),
    ("codeExecution", ServerToolKind::CodeExecution, "code_execution"),
    ("googleMaps", ServerToolKind::Maps, "google_maps"),
    ("fileSearch", ServerToolKind::FileSearch, "file_search"),
    ("computerUse", ServerToolKind::Computer, "computer_use"),
    ("retrieval", ServerToolKind::Retrieval, "retrieval"),
    ("mcpServers", ServerToolKind::Mcp, "mcp"),
];

fn decode_server_tool(member: &str, value: &RawValue, body: &Text, tools: &mut Vec<Tool>) {
    if member == "mcpServers" {
        for server in serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default() {
            tools.push(Tool::Server(Box::new(decode_mcp(server, body))));
        }
        return;
    }
    let known = SERVER_TOOLS.iter().find(|(name, _, _)| *name == member);
    let (kind, name) = match known {
        Some((_, kind, name)) => (kind.clone(), Text::from_static(name)),
        None => (ServerToolKind::Other(member.into()), member.into()),
    };
    let value_text = names::raw(value, body);
    let blocked: types::SearchTool<'_> = match kind {
        ServerToolKind::WebSearch => serde_json::from_str(value.get()).unwrap_or_default(),
        _ => types::SearchTool::default(),
    };
    let mut tool = server_tool(kind, name, member, RawJson::from_valid(one_member(member, value_text.as_str())));
    tool.blocked_domains =
        blocked.exclude_domains.unwrap_or_default().into_iter().map(|domain| domain.into_text(body)).collect();
    tools.push(Tool::Server(Box::new(tool)));
}

fn one_member(name: &str, value: &str) -> Text {
    let mut out = Vec::with_capacity(name.len() + value.len() + 6);
    JsonWriter::new(&mut out).object(|w| {
        w.key(name);
        w.raw_value(value);
    });
    // The writer writes UTF-8 only.
    String::from_utf8(out).unwrap_or_default().into()
}

fn decode_mcp(server: &RawValue, body: &Text) -> ServerTool {
    let wire: types::McpServer<'_> = serde_json::from_str(server.get()).unwrap_or_default();
    let transport = wire.transport.unwrap_or_default();
    let label = wire.name.map(|name| name.into_text(body)).unwrap_or_default();
    let authorization = transport.headers.unwrap_or_default().0.into_iter().find_map(|(name, value)| {
        let value = name.eq_ignore_ascii_case("authorization").then_some(value)?;
        Some(value.strip_prefix("Bearer ").map_or_else(|| value.to_text(body), Text::from))
    });
    let raw = one_member("mcpServers", &format!("[{}]", names::raw(server, body).as_str()));
    let mut tool = server_tool(ServerToolKind::Mcp, label.clone(), "mcpServers", RawJson::from_valid(raw));
    tool.mcp = Some(Box::new(McpServer {
        label,
        url: transport.url.map(|url| url.into_text(body)),
        authorization,
        allowed_tools: Vec::new(),
        // The provider calls these tools without asking anybody.
        require_approval: Some(RawJson::from_valid(Text::from_static("\"never\""))),
    }));
    tool
}

fn server_tool(kind: ServerToolKind, name: Text, wire_type: &str, raw: RawJson) -> ServerTool {
    ServerTool {
        kind,
        name,
        wire_type: wire_type.into(),
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

/// Reads `toolConfig`.
///
/// # Errors
/// An unknown mode.
pub(super) fn decode_tool_config(
    wire: types::ToolConfig<'_>,
    body: &Text,
    request: &mut Request,
) -> Result<(), DecodeError> {
    names::keep(wire.extra, "toolConfig", body, &mut request.ext);
    let Some(calling) = wire.calling else { return Ok(()) };
    names::keep(calling.extra, "toolConfig/functionCallingConfig", body, &mut request.ext);
    let allowed: Vec<Text> =
        calling.allowed.unwrap_or_default().into_iter().map(|name| Str::into_text(name, body)).collect();
    let refs = |names: Vec<Text>| names.into_iter().map(|name| ToolRef { name, custom: false }).collect();
    let mode = calling.mode.as_deref().unwrap_or_default();
    request.tool_choice = match (&*names::word(mode, ""), allowed.is_empty()) {
        ("" | "MODE_UNSPECIFIED", true) => None,
        ("AUTO", true) => Some(ToolChoice::Auto),
        ("" | "MODE_UNSPECIFIED" | "AUTO", false) => {
            Some(ToolChoice::Allowed { required: false, tools: refs(allowed) })
        }
        ("ANY", true) => Some(ToolChoice::Required),
        ("ANY", false) => Some(ToolChoice::Allowed { required: true, tools: refs(allowed) }),
        ("NONE", _) => Some(ToolChoice::None),
        ("VALIDATED", _) => Some(ToolChoice::Validated { names: allowed }),
        _ => {
            return Err(DecodeError::at(
                "toolConfig.functionCallingConfig.mode",
                format!("Invalid value (FunctionCallingConfig.Mode), {mode:?}: use AUTO, ANY, NONE or VALIDATED"),
            ));
        }
    };
    Ok(())
}

/// What is written of the tools.
pub(super) struct Plan<'r> {
    functions: Vec<&'r FunctionTool>,
    servers: Vec<&'r ServerTool>,
    /// How many of `servers` stand before the functions.
    before: usize,
    /// Mode and names of `functionCallingConfig`.
    mode: Option<(&'static str, Vec<&'r Text>)>,
    /// Gemini 3 wants to be told that tools of both sorts come together.
    invocations: bool,
    own: bool,
}

impl<'r> Plan<'r> {
    /// Decides which tools are sent and how they are chosen.
    pub(super) fn new(target: &Target, request: &'r Request, losses: &mut Losses) -> Self {
        let own = Protocol::from(request.source) == Protocol::Gemini;
        let mut functions = Vec::new();
        let mut servers = Vec::new();
        let mut before = 0;
        // The API refuses two functions of one name.
        let mut names = HashSet::new();
        for (number, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function(tool) if !names.insert(&tool.name) => {
                    let detail = format!("{} is offered twice", tool.name);
                    losses.warn(LossCode::ToolChoiceFiltered, LossAction::Dropped, format!("/tools/{number}"), detail);
                }
                Tool::Function(tool) => {
                    if functions.is_empty() {
                        before = servers.len();
                    }
                    functions.push(&**tool);
                }
                Tool::Server(tool) if own || can_write(tool) => servers.push(&**tool),
                Tool::Server(tool) => {
                    unsupported(losses, number, &tool.wire_type);
                }
                Tool::Custom(tool) => unsupported(losses, number, &tool.name),
            }
        }
        let both = !functions.is_empty() && !servers.is_empty();
        if both && !own && !target.capabilities.validated_calls {
            for tool in std::mem::take(&mut servers) {
                let detail = format!("{} cannot stand beside functions", tool.wire_type);
                losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, "/tools", detail);
            }
        }
        let before = before.min(servers.len());
        let mut plan = Self { functions, servers, before, mode: None, invocations: false, own };
        plan.invocations = !plan.servers.is_empty() && !plan.functions.is_empty() && !own;
        plan.mode = plan.choose(target, request, losses);
        plan
    }

    fn choose(
        &mut self,
        target: &Target,
        request: &'r Request,
        losses: &mut Losses,
    ) -> Option<(&'static str, Vec<&'r Text>)> {
        let validated = target.capabilities.validated_calls;
        let choice = match &request.tool_choice {
            None | Some(ToolChoice::Auto) if self.asks_for_validated(target) => return Some(("VALIDATED", Vec::new())),
            None => return None,
            Some(choice) => choice,
        };
        if self.functions.is_empty() {
            // There is nothing the mode could speak of.
            if matches!(choice, ToolChoice::Required) && !self.servers.is_empty() {
                let detail = "tools that the provider runs cannot be forced";
                losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", detail);
            }
            return self.own.then_some(match choice {
                ToolChoice::None => ("NONE", Vec::new()),
                _ => ("AUTO", Vec::new()),
            });
        }
        let offered = |name: &&Text| self.functions.iter().any(|tool| tool.name == **name);
        let all = |tools: &'r [ToolRef]| tools.iter().map(|tool| &tool.name).filter(offered).collect::<Vec<_>>();
        Some(match choice {
            ToolChoice::None => ("NONE", Vec::new()),
            ToolChoice::Auto => ("AUTO", Vec::new()),
            ToolChoice::Required => ("ANY", Vec::new()),
            ToolChoice::Tool(tool) => ("ANY", all(std::slice::from_ref(tool))),
            ToolChoice::Allowed { required: true, tools } => ("ANY", all(tools)),
            ToolChoice::Allowed { required: false, tools } if validated => ("VALIDATED", all(tools)),
            ToolChoice::Allowed { required: false, tools } => {
                self.filter(&all(tools), losses);
                ("AUTO", Vec::new())
            }
            ToolChoice::Validated { names } if validated || self.own => {
                ("VALIDATED", names.iter().filter(offered).collect())
            }
            ToolChoice::Validated { names } => {
                let detail = "VALIDATED became AUTO";
                losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/toolConfig", detail);
                if !names.is_empty() {
                    self.filter(&names.iter().collect::<Vec<_>>(), losses);
                }
                ("AUTO", Vec::new())
            }
            ToolChoice::Server { .. } => {
                let detail = "a tool that the provider runs cannot be forced";
                losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", detail);
                ("AUTO", Vec::new())
            }
        })
    }

    /// Whether the model is told `VALIDATED` where others are told `AUTO`.
    fn asks_for_validated(&self, target: &Target) -> bool {
        self.invocations || target.capabilities.calls_validated && !self.functions.is_empty()
    }

    fn filter(&mut self, names: &[&Text], losses: &mut Losses) {
        let before = self.functions.len();
        self.functions.retain(|tool| names.contains(&&tool.name));
        let detail = format!("{} of {before} functions are offered", self.functions.len());
        losses.info(LossCode::ToolChoiceFiltered, LossAction::Dropped, "/tools", detail);
    }

    /// Writes `tools` and `toolConfig`.
    pub(super) fn write(&self, w: &mut JsonWriter<'_>, target: &Target, request: &Request, losses: &mut Losses) {
        if !(self.functions.is_empty() && self.servers.is_empty()) {
            w.array_field("tools", |w| {
                let (before, after) = self.servers.split_at_checked(self.before).unwrap_or((&self.servers, &[]));
                before.iter().for_each(|tool| self.server(w, tool, losses));
                if !self.functions.is_empty() {
                    w.object(|w| {
                        w.array_field("functionDeclarations", |w| {
                            for tool in &self.functions {
                                self.function(w, target, tool, losses);
                            }
                        });
                    });
                }
                after.iter().for_each(|tool| self.server(w, tool, losses));
            });
        }
        self.tool_config(w, &request.ext);
    }

    fn function(&self, w: &mut JsonWriter<'_>, target: &Target, tool: &FunctionTool, losses: &mut Losses) {
        let ext = self.own.then_some(&tool.ext);
        let profile = &target.profile;
        w.object(|w| {
            w.str("name", &tool.name);
            // The documents want a description, and not an empty one; the service takes from its own clients what they have.
            let description = tool.description.as_deref();
            match self.own {
                true => w.opt_str("description", description),
                false => w.str("description", description.filter(|text| !text.trim().is_empty()).unwrap_or(&tool.name)),
            };
            if let Some(schema) = &tool.schema {
                write_schema(w, schema, PARAMETERS, ext, profile);
            }
            if let Some(schema) = &tool.output_schema {
                write_schema(w, schema, RESPONSE, ext, profile);
            }
            for (name, value) in ext.into_iter().flat_map(|ext| names::kept(ext, "")) {
                let schema =
                    [PARAMETERS, RESPONSE].iter().any(|member| [member.json_schema, member.own].contains(&&*name));
                if !schema {
                    w.raw(&name, value);
                }
            }
        });
        let path = || format!("/tools/{}", tool.name);
        if tool.strict == Some(true) && self.mode.as_ref().is_none_or(|(mode, _)| *mode != "VALIDATED") {
            losses.info(LossCode::ToolStrictDropped, LossAction::Dropped, path(), "");
        }
        if tool.cache.is_some() {
            losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, path(), "");
        }
    }

    fn server(&self, w: &mut JsonWriter<'_>, tool: &ServerTool, losses: &mut Losses) {
        if self.own {
            w.raw_value(tool.raw.as_str());
            return;
        }
        w.object(|w| match &tool.kind {
            ServerToolKind::WebSearch => w.object_field("googleSearch", |_| {}),
            ServerToolKind::CodeExecution => w.object_field("codeExecution", |_| {}),
            ServerToolKind::Mcp => {
                let Some(server) = &tool.mcp else { return };
                w.array_field("mcpServers", |w| w.object(|w| mcp(w, server)));
            }
            _ => w.object_field("urlContext", |_| {}),
        });
        let options = [
            ("allowed_domains", !tool.allowed_domains.is_empty()),
            ("blocked_domains", !tool.blocked_domains.is_empty()),
            ("max_uses", tool.max_uses.is_some()),
            ("user_location", tool.user_location.is_some()),
            ("search_context_size", tool.context_size.is_some()),
            ("allowed_tools", tool.mcp.as_ref().is_some_and(|server| !server.allowed_tools.is_empty())),
        ];
        for (option, set) in options {
            if set {
                let path = format!("/tools/{}", tool.name);
                losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, path, option);
            }
        }
    }

    fn tool_config(&self, w: &mut JsonWriter<'_>, ext: &Extras) {
        const CALLING: &str = "toolConfig/functionCallingConfig";
        let kept = |within| self.own && names::kept(ext, within).next().is_some();
        let calling = self.mode.is_some() || kept(CALLING);
        if !calling && !self.invocations && !kept("toolConfig") {
            return;
        }
        w.object_field("toolConfig", |w| {
            if calling {
                w.object_field("functionCallingConfig", |w| {
                    if let Some((mode, names)) = &self.mode {
                        w.str("mode", mode);
                        if !names.is_empty() {
                            w.array_field("allowedFunctionNames", |w| names.iter().for_each(|name| w.string(name)));
                        }
                    }
                    if self.own {
                        kept_members(w, ext, CALLING);
                    }
                });
            }
            if self.own {
                kept_members(w, ext, "toolConfig");
            } else if self.invocations {
                w.bool("includeServerSideToolInvocations", true);
            }
        });
    }
}

fn unsupported(losses: &mut Losses, number: usize, what: &str) {
    let path = format!("/tools/{number}");
    losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, path, what.to_owned());
}

/// Whether a tool of another protocol has an equal here.
fn can_write(tool: &ServerTool) -> bool {
    match &tool.kind {
        ServerToolKind::WebSearch
        | ServerToolKind::WebFetch
        | ServerToolKind::UrlContext
        | ServerToolKind::CodeExecution => true,
        ServerToolKind::Mcp => tool.mcp.as_ref().is_some_and(|server| server.url.is_some()),
        _ => false,
    }
}

fn mcp(w: &mut JsonWriter<'_>, server: &McpServer) {
    w.str("name", &server.label);
    w.object_field("streamableHttpTransport", |w| {
        w.opt_str("url", server.url.as_deref());
        if let Some(authorization) = &server.authorization {
            w.object_field("headers", |w| {
                w.key("Authorization");
                w.string_concat(&["Bearer ", authorization]);
            });
        }
    });
}
