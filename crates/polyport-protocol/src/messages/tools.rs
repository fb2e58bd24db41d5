//! Tools, remote servers and the choice of a tool, as they are sent.

use std::borrow::Cow;
use std::collections::BTreeSet;

use polyport_types::{
    CacheMark, CustomFormat, CustomTool, FunctionTool, LossAction, LossCode, Losses, McpServer, RawJson, Request,
    ServerTool, ServerToolKind, Text, Tool, ToolChoice,
};

use super::turns::{Kind, Turn};
use super::write::{cache_control, splice};
use crate::json::JsonWriter;

/// Arguments of a tool that takes none.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;
/// Arguments of a free-form tool.
const FREE_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// What `tools`, `mcp_servers` and `tool_choice` become.
pub(super) struct Tools<'r> {
    pub(super) list: Vec<ToolOut<'r>>,
    /// Cache markers, one for each tool.
    pub(super) marks: Vec<Option<CacheMark>>,
    servers: Vec<ServerOut<'r>>,
    pub(super) choice: Option<Choice<'r>>,
}

/// A tool as it is written.
pub(super) enum ToolOut<'r> {
    Function {
        tool: &'r FunctionTool,
        name: Cow<'r, str>,
        own: bool,
    },
    Custom {
        tool: &'r CustomTool,
        name: Cow<'r, str>,
    },
    /// The provider's own declaration, verbatim.
    Raw(&'r ServerTool),
    /// Declared for another provider, which calls the same thing differently.
    Typed {
        tool: &'r ServerTool,
        wire_type: &'static str,
        name: &'static str,
        max_uses: Option<u32>,
    },
    Toolset(&'r McpServer),
    /// A tool that only the history names.
    Remembered(Cow<'r, str>),
}

/// A remote server as it is written.
pub(super) enum ServerOut<'r> {
    Raw(&'r RawJson),
    Typed { server: &'r McpServer, url: &'r Text },
}

/// `tool_choice` as it is written.
pub(super) struct Choice<'r> {
    pub(super) kind: &'static str,
    pub(super) name: Option<Cow<'r, str>>,
    pub(super) disable_parallel: Option<bool>,
}

impl<'r> Tools<'r> {
    pub(super) fn new(request: &'r Request, own: bool, turns: &[Turn<'r>], losses: &mut Losses) -> Self {
        let mut tools = Self { list: Vec::new(), marks: Vec::new(), servers: Vec::new(), choice: None };
        let allowed = allowed_names(request, losses);
        for (at, tool) in request.tools.iter().enumerate() {
            if allowed.as_ref().is_some_and(|names| !names.iter().any(|name| *name == &**tool.name())) {
                continue;
            }
            tools.tool(tool, at, request, own, losses);
        }
        if tools.list.is_empty() && tools.servers.is_empty() {
            tools.remember(turns, losses);
        } else {
            tools.choose(request, own, losses);
        }
        tools
    }

    /// The markers of the tools.
    pub(super) fn marks(&mut self) -> &mut [Option<CacheMark>] {
        &mut self.marks
    }

    pub(super) fn mcp_servers(&self) -> &[ServerOut<'r>] {
        &self.servers
    }

    /// Whether a remote server's tools are offered by a toolset.
    pub(super) fn has_toolset(&self) -> bool {
        self.list.iter().any(|tool| match tool {
            ToolOut::Toolset(_) => true,
            ToolOut::Raw(tool) => tool.kind == ServerToolKind::Mcp,
            _ => false,
        })
    }

    /// With a thinking budget no tool can be forced.
    pub(super) fn unforce(&mut self, losses: &mut Losses) {
        if let Some(choice) = self.choice.as_mut().filter(|choice| matches!(choice.kind, "any" | "tool")) {
            let detail = format!("{} → auto, because of thinking", choice.kind);
            losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", detail);
            choice.kind = "auto";
            choice.name = None;
        }
    }

    /// Appends a tool; of several with one name the API takes one.
    fn push(&mut self, tool: ToolOut<'r>, mark: Option<CacheMark>) {
        if tool.name().is_none_or(|name| !self.has(name)) {
            self.list.push(tool);
            self.marks.push(mark);
        }
    }

    fn tool(&mut self, tool: &'r Tool, at: usize, request: &'r Request, own: bool, losses: &mut Losses) {
        match tool {
            Tool::Function(tool) => {
                if tool.output_schema.is_some() {
                    let path = format!("/tools/{at}/output_schema");
                    losses.info(LossCode::ToolSchemaRelaxed, LossAction::Dropped, path, "");
                }
                let name = joined(tool.namespace.as_deref(), &tool.name);
                self.push(ToolOut::Function { tool, name, own }, tool.cache);
            }
            Tool::Custom(tool) => {
                losses.warn(LossCode::ToolCustomEmulated, LossAction::Emulated, format!("/tools/{at}"), "");
                let name = joined(tool.namespace.as_deref(), &tool.name);
                self.push(ToolOut::Custom { tool, name }, None);
            }
            Tool::Server(tool) if tool.kind == ServerToolKind::Mcp => self.mcp(tool, at, own, losses),
            Tool::Server(tool) if own || is_versioned(&tool.wire_type) => self.push(ToolOut::Raw(tool), tool.cache),
            Tool::Server(tool) => match typed(&tool.kind) {
                Some((wire_type, name)) => {
                    let limit = request.limits.max_server_tool_calls;
                    if limit.is_some() {
                        let detail = "the limit holds for each tool";
                        losses.info(LossCode::ServerFeatureDropped, LossAction::Degraded, "/max_tool_calls", detail);
                    }
                    let max_uses = tool.max_uses.or(limit);
                    self.push(ToolOut::Typed { tool, wire_type, name, max_uses }, tool.cache);
                    self.report_options(tool, at, losses);
                }
                None => {
                    let path = format!("/tools/{at}");
                    losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, path, tool.wire_type.to_string());
                }
            },
        }
    }

    fn report_options(&self, tool: &ServerTool, at: usize, losses: &mut Losses) {
        if tool.context_size.is_some() {
            let path = format!("/tools/{at}/search_context_size");
            losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, path, "");
        }
        if !tool.allowed_domains.is_empty() && !tool.blocked_domains.is_empty() {
            let path = format!("/tools/{at}/blocked_domains");
            losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, path, "allowed or blocked, not both");
        }
    }

    fn mcp(&mut self, tool: &'r ServerTool, at: usize, own: bool, losses: &mut Losses) {
        let path = || format!("/tools/{at}");
        if own && tool.wire_type == "url" {
            self.servers.push(ServerOut::Raw(&tool.raw));
            return;
        }
        let Some(server) = tool.mcp.as_deref() else {
            losses.warn(
                LossCode::ToolServerUnsupported,
                LossAction::Dropped,
                path(),
                "remote server without an address",
            );
            return;
        };
        if !own && server.require_approval.as_ref().is_some_and(|word| word.as_str() != "\"never\"") {
            losses.error(LossCode::ToolServerUnsupported, path(), "nobody can approve calls of remote servers");
            return;
        }
        match &server.url {
            Some(url) => self.servers.push(ServerOut::Typed { server, url }),
            None if own => {}
            None => {
                let detail = "remote server without an address";
                losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, path(), detail);
                return;
            }
        }
        self.push(if own { ToolOut::Raw(tool) } else { ToolOut::Toolset(server) }, tool.cache);
    }

    /// The API wants tools declared that the history names, though none may be called.
    fn remember(&mut self, turns: &[Turn<'r>], losses: &mut Losses) {
        let names: BTreeSet<&str> = turns
            .iter()
            .flat_map(|turn| &turn.blocks)
            .filter_map(|block| match &block.kind {
                Kind::ToolUse { name, .. } => Some(&**name),
                _ => None,
            })
            .collect();
        if names.is_empty() {
            return;
        }
        losses.info(LossCode::TurnSynthesised, LossAction::Synthesised, "/tools", "declarations for earlier calls");
        for name in names {
            self.push(ToolOut::Remembered(Cow::Owned(name.to_owned())), None);
        }
        self.choice = Some(Choice { kind: "none", name: None, disable_parallel: None });
    }

    fn choose(&mut self, request: &'r Request, own: bool, losses: &mut Losses) {
        let degraded = |losses: &mut Losses, detail: &str| {
            losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", detail.to_owned());
        };
        let (kind, name) = match &request.tool_choice {
            None => ("auto", None),
            Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => ("auto", None),
            Some(ToolChoice::Required | ToolChoice::Allowed { required: true, .. }) => ("any", None),
            Some(ToolChoice::None) => ("none", None),
            Some(ToolChoice::Tool(tool)) if self.has(&tool.name) => ("tool", Some(Cow::Borrowed(&*tool.name))),
            Some(ToolChoice::Tool(_)) => {
                degraded(losses, "the tool is not declared");
                ("auto", None)
            }
            Some(ToolChoice::Validated { .. }) => {
                degraded(losses, "calls are not checked against their schema");
                ("auto", None)
            }
            Some(ToolChoice::Server { kind, name }) => match self.server_tool(kind, name.as_deref()) {
                Some(name) => ("tool", Some(name)),
                None => {
                    let detail = "the tool that must be used is not available";
                    losses.error(LossCode::ToolServerUnsupported, "/tool_choice", detail);
                    ("auto", None)
                }
            },
        };
        let disable_parallel = match request.parallel_tool_calls {
            Some(false) if kind != "none" => Some(true),
            // A client of this protocol may say so.
            Some(true) if own && kind != "none" && request.tool_choice.is_some() => Some(false),
            _ => None,
        };
        if request.tool_choice.is_some() || disable_parallel == Some(true) {
            self.choice = Some(Choice { kind, name, disable_parallel });
        }
    }

    fn has(&self, wanted: &str) -> bool {
        self.list.iter().any(|tool| tool.name() == Some(wanted))
    }

    fn server_tool(&self, kind: &ServerToolKind, wanted: Option<&str>) -> Option<Cow<'r, str>> {
        self.list.iter().find_map(|out| match out {
            ToolOut::Raw(tool) if tool.kind == *kind && wanted.is_none_or(|wanted| tool.name == wanted) => {
                Some(Cow::Borrowed(&*tool.name))
            }
            ToolOut::Typed { tool, name, .. } if tool.kind == *kind => Some(Cow::Borrowed(*name)),
            _ => None,
        })
    }
}

/// The names a choice limits the tools to.
fn allowed_names<'r>(request: &'r Request, losses: &mut Losses) -> Option<Vec<&'r str>> {
    match &request.tool_choice {
        Some(ToolChoice::Allowed { tools, .. }) => {
            losses.info(LossCode::ToolChoiceFiltered, LossAction::Emulated, "/tool_choice", "other tools left out");
            Some(tools.iter().map(|tool| &*tool.name).collect())
        }
        _ => None,
    }
}

fn joined<'r>(namespace: Option<&str>, name: &'r str) -> Cow<'r, str> {
    match namespace {
        Some(namespace) => Cow::Owned(format!("{namespace}__{name}")),
        None => Cow::Borrowed(name),
    }
}

/// Whether a tool type ends with a date, as all of this provider's do.
fn is_versioned(wire_type: &str) -> bool {
    wire_type
        .rsplit_once('_')
        .is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Type and name of the tools that other providers have as well, in the versions most models know.
fn typed(kind: &ServerToolKind) -> Option<(&'static str, &'static str)> {
    match kind {
        ServerToolKind::WebSearch => Some(("web_search_20250305", "web_search")),
        ServerToolKind::WebFetch | ServerToolKind::UrlContext => Some(("web_fetch_20250910", "web_fetch")),
        ServerToolKind::CodeExecution => Some(("code_execution_20250825", "code_execution")),
        _ => None,
    }
}

impl ToolOut<'_> {
    /// Writes the tool with its marker.
    pub(super) fn write(&self, w: &mut JsonWriter<'_>, mark: Option<CacheMark>) {
        w.object(|w| {
            let raw_mark = self.members(w);
            if let Some(mark) = mark {
                w.key("cache_control");
                match raw_mark {
                    Some(raw) => w.raw_value(raw.as_str()),
                    None => cache_control(w, mark),
                }
            }
        });
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Function { name, .. } | Self::Custom { name, .. } | Self::Remembered(name) => Some(name),
            Self::Raw(tool) => Some(&tool.name),
            Self::Typed { name, .. } => Some(name),
            Self::Toolset(_) => None,
        }
    }

    /// Writes all members but the marker; gives the marker to write if it is not the usual one.
    fn members(&self, w: &mut JsonWriter<'_>) -> Option<&RawJson> {
        match self {
            Self::Function { tool, name, own } => {
                w.str("name", name);
                w.opt_str("description", tool.description.as_deref());
                w.key("input_schema");
                w.raw_value(tool.schema.as_ref().filter(|it| it.is_object()).map_or(NO_ARGUMENTS, RawJson::as_str));
                w.opt_bool("strict", tool.strict);
                w.opt_bool("defer_loading", tool.defer_loading);
                if *own {
                    tool.ext.iter().filter(|(name, _)| *name != "cache_control").for_each(|(name, it)| w.raw(name, it));
                    return tool.ext.get("cache_control");
                }
            }
            Self::Custom { tool, name } => {
                w.str("name", name);
                let grammar = grammar_words(&tool.format);
                let words = [tool.description.as_deref(), grammar.as_deref()];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                if !words.is_empty() {
                    w.str("description", &words.join("\n\n"));
                }
                w.key("input_schema");
                w.raw_value(FREE_TEXT);
            }
            Self::Raw(tool) => splice(w, &tool.raw, &["cache_control"]),
            Self::Typed { tool, wire_type, name, max_uses } => {
                w.str("type", wire_type);
                w.str("name", name);
                if tool.kind != ServerToolKind::CodeExecution {
                    w.opt_num("max_uses", *max_uses);
                    domains(w, tool);
                }
                if tool.kind == ServerToolKind::WebSearch {
                    user_location(w, tool);
                }
            }
            Self::Toolset(server) => {
                w.str("type", "mcp_toolset");
                w.str("mcp_server_name", &server.label);
                if !server.allowed_tools.is_empty() {
                    w.object_field("default_config", |w| w.bool("enabled", false));
                    w.object_field("configs", |w| {
                        server.allowed_tools.iter().for_each(|name| w.object_field(name, |w| w.bool("enabled", true)));
                    });
                }
            }
            Self::Remembered(name) => {
                w.str("name", name);
                w.key("input_schema");
                w.raw_value(r#"{"type":"object"}"#);
            }
        }
        None
    }
}

fn domains(w: &mut JsonWriter<'_>, tool: &ServerTool) {
    if !tool.allowed_domains.is_empty() {
        w.array_field("allowed_domains", |w| tool.allowed_domains.iter().for_each(|domain| w.string(domain)));
    } else if !tool.blocked_domains.is_empty() {
        w.array_field("blocked_domains", |w| tool.blocked_domains.iter().for_each(|domain| w.string(domain)));
    }
}

fn user_location(w: &mut JsonWriter<'_>, tool: &ServerTool) {
    if let Some(place) = &tool.user_location {
        w.object_field("user_location", |w| {
            w.str("type", "approximate");
            w.opt_str("city", place.city.as_deref());
            w.opt_str("country", place.country.as_deref());
            w.opt_str("region", place.region.as_deref());
            w.opt_str("timezone", place.timezone.as_deref());
        });
    }
}

impl ServerOut<'_> {
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        match self {
            Self::Raw(raw) => w.raw_value(raw.as_str()),
            Self::Typed { server, url } => w.object(|w| {
                w.str("type", "url");
                w.str("name", &server.label);
                w.str("url", url);
                w.opt_str("authorization_token", server.authorization.as_deref());
            }),
        }
    }
}

impl Choice<'_> {
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        w.object(|w| {
            w.str("type", self.kind);
            w.opt_str("name", self.name.as_deref());
            w.opt_bool("disable_parallel_tool_use", self.disable_parallel);
        });
    }
}

/// Words for the grammar of a free-form tool, which this API cannot enforce.
fn grammar_words(format: &CustomFormat) -> Option<String> {
    match format {
        CustomFormat::Text => None,
        CustomFormat::Grammar { syntax, definition } => {
            Some(format!("The input follows this {syntax:?} grammar:\n{definition}"))
        }
    }
}
