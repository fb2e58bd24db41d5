//! Tools that a provider runs, and remote MCP servers.
//!
//! Only web search, fetching, running code and remote servers exist in several places; of their settings only some do.

use polyport_types::{
    ClientProtocol, LossAction, LossCode, Protocol, RawJson, Request, ServerTool, ServerToolKind, Text, Tool,
    ToolChoice,
};
use serde_json::{Value, json};

use super::{Job, Place};

/// Keeps the tools the target has and reports the rest.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    if job.same {
        return;
    }
    let functions = request.tools.iter().any(|tool| !matches!(tool, Tool::Server(tool) if !is_client_tool(tool)));
    let forced = request.tool_choice.clone();
    let mut per_tool_limit = request.limits.max_server_tool_calls;
    let mut kept = Vec::with_capacity(request.tools.len());
    for (at, tool) in std::mem::take(&mut request.tools).into_iter().enumerate() {
        let Tool::Server(mut tool) = tool else {
            kept.push(tool);
            continue;
        };
        if is_client_tool(&tool) {
            kept.push(Tool::Server(tool));
            continue;
        }
        let place = Place::Tool(at);
        if !has(job, &tool.kind) {
            refuse(job, &tool, forced.as_ref(), place, "not available here");
            continue;
        }
        if functions && job.to(Protocol::Gemini) && !job.capabilities().validated_calls {
            refuse(job, &tool, forced.as_ref(), place, "cannot stand beside functions");
            continue;
        }
        if tool.kind == ServerToolKind::Mcp && !mcp(job, &mut tool, place) {
            continue;
        }
        options(job, &mut tool, place);
        for name in unread(job.source, &tool) {
            let path = format!("{place}/{name}");
            job.losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, path, "");
        }
        if job.to(Protocol::Messages)
            && let Some(limit) = per_tool_limit
        {
            // Theirs holds for all tools together, ours for each.
            tool.max_uses = tool.max_uses.or(Some(limit));
            let detail = "the limit holds for each tool";
            job.losses.info(LossCode::ServerFeatureDropped, LossAction::Degraded, "/max_tool_calls", detail);
        }
        if job.to(Protocol::Responses)
            && let Some(uses) = tool.max_uses.take()
        {
            per_tool_limit = Some(per_tool_limit.map_or(uses, |limit| limit.max(uses)));
            request.limits.max_server_tool_calls = per_tool_limit;
            let detail = "the limit holds for all tools together";
            job.losses.info(LossCode::ServerFeatureDropped, LossAction::Degraded, format!("{place}/max_uses"), detail);
        }
        kept.push(Tool::Server(tool));
    }
    if job.to(Protocol::Messages) && per_tool_limit.is_some() && kept.iter().any(|tool| matches!(tool, Tool::Server(_)))
    {
        request.limits.max_server_tool_calls = None;
    }
    request.tools = kept;
}

/// Whether the client runs the tool. Gemini's computer use is a set of functions nobody else can name.
pub(super) fn is_client_tool(tool: &ServerTool) -> bool {
    tool.kind.runs_at_client() && &*tool.wire_type != "computerUse" && !runs_in_container(tool)
}

/// A shell may be the provider's own container.
fn runs_in_container(tool: &ServerTool) -> bool {
    tool.kind == ServerToolKind::Shell
        && tool
            .raw
            .to_value()
            .pointer("/environment/type")
            .and_then(serde_json::Value::as_str)
            .is_some_and(|kind| kind.starts_with("container"))
}

fn has(job: &Job<'_>, kind: &ServerToolKind) -> bool {
    let abilities = job.capabilities();
    match kind {
        ServerToolKind::WebSearch => abilities.web_search,
        ServerToolKind::WebFetch | ServerToolKind::UrlContext => abilities.web_fetch && !job.to(Protocol::Chat),
        ServerToolKind::CodeExecution => abilities.code_execution && !job.to(Protocol::Chat),
        ServerToolKind::Mcp => abilities.mcp && !job.to(Protocol::Chat),
        _ => false,
    }
}

/// Leaves a tool out; if the client insists on it, the request cannot be answered.
fn refuse(job: &mut Job<'_>, tool: &ServerTool, choice: Option<&ToolChoice>, place: Place, detail: &str) {
    let detail = format!("{}: {detail}", tool.wire_type);
    let forced = match choice {
        Some(ToolChoice::Server { kind, name }) => {
            *kind == tool.kind && name.as_ref().is_none_or(|name| *name == tool.name)
        }
        Some(ToolChoice::Tool(wanted)) => wanted.name == tool.name,
        _ => false,
    };
    if tool.kind == ServerToolKind::ToolSearch && !forced {
        let detail = "there is nothing to search for: all tools are offered";
        job.losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, place, detail);
    } else if forced {
        job.losses.error(LossCode::ToolServerUnsupported, place, detail);
    } else {
        job.losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, place, detail);
    }
}

/// Settings that the target does not know.
fn options(job: &mut Job<'_>, tool: &mut ServerTool, place: Place) {
    let target = job.target.protocol;
    let mut drop = |code: LossCode, name: &str| {
        job.losses.warn(code, LossAction::Dropped, format!("{place}/{name}"), "");
    };
    let unsupported = LossCode::ToolServerUnsupported;
    let allowed = !tool.allowed_domains.is_empty();
    let blocked = !tool.blocked_domains.is_empty();
    match target {
        Protocol::Responses if blocked => {
            tool.blocked_domains.clear();
            drop(unsupported, "blocked_domains");
        }
        Protocol::Messages if allowed && blocked => {
            tool.blocked_domains.clear();
            drop(unsupported, "blocked_domains");
        }
        Protocol::Gemini if allowed => {
            tool.allowed_domains.clear();
            drop(unsupported, "allowed_domains");
        }
        Protocol::Chat if allowed || blocked => {
            tool.allowed_domains.clear();
            tool.blocked_domains.clear();
            drop(unsupported, "domains");
        }
        Protocol::Chat | Protocol::Responses | Protocol::Messages | Protocol::Gemini => {}
    }
    let feature = LossCode::ServerFeatureDropped;
    if target == Protocol::Gemini && tool.user_location.take().is_some() {
        drop(feature, "user_location");
    }
    if !super::is_openai(target) && tool.context_size.take().is_some() {
        drop(feature, "search_context_size");
    }
    if matches!(target, Protocol::Gemini | Protocol::Chat) && tool.max_uses.take().is_some() {
        drop(feature, "max_uses");
    }
}

/// Members of a declaration that were read into the common options, by the protocol of the client.
fn read_members(source: ClientProtocol) -> &'static [&'static str] {
    match source {
        ClientProtocol::Chat => &["search_context_size", "user_location"],
        ClientProtocol::Responses => &[
            "type",
            "filters",
            "search_context_size",
            "user_location",
            "server_label",
            "server_url",
            "authorization",
            "allowed_tools",
            "require_approval",
        ],
        ClientProtocol::Messages => &[
            "type",
            "name",
            "cache_control",
            "allowed_domains",
            "blocked_domains",
            "max_uses",
            "user_location",
            "mcp_server_name",
            "url",
            "authorization_token",
            "tool_configuration",
        ],
        ClientProtocol::Gemini => &["excludeDomains", "name", "url"],
    }
}

/// Members of a declaration that nobody else knows.
fn unread(source: ClientProtocol, tool: &ServerTool) -> Vec<String> {
    let mut members = match tool.raw.to_value() {
        Value::Object(members) => members,
        _ => return Vec::new(),
    };
    if source == ClientProtocol::Gemini {
        // The declaration is the one member of a tool object; a list of remote servers holds one here.
        let mut inner = members.remove(&*tool.wire_type).unwrap_or_default();
        if let Some(only) = inner.get_mut(0).map(Value::take) {
            inner = only;
        }
        if let Some(transport) = inner.as_object_mut().and_then(|inner| inner.remove("streamableHttpTransport")) {
            inner = transport;
        }
        members = inner.as_object().cloned().unwrap_or_default();
    }
    let lists_its_tools = tool.mcp.as_ref().is_some_and(|server| !server.allowed_tools.is_empty());
    let said_otherwise = |name: &str, value: &Value| match name {
        "default_config" | "configs" => lists_its_tools,
        "container" => *value == json!({"type": "auto"}),
        "headers" => value
            .as_object()
            .is_some_and(|headers| headers.keys().all(|name| name.eq_ignore_ascii_case("authorization"))),
        _ => value.is_null(),
    };
    let read = read_members(source);
    members
        .into_iter()
        .filter(|(name, value)| !read.contains(&name.as_str()) && !said_otherwise(name, value))
        .map(|(name, _)| name)
        .collect()
}

/// A remote server; false if it has to be left out.
fn mcp(job: &mut Job<'_>, tool: &mut ServerTool, place: Place) -> bool {
    let asks = |approval: Option<&RawJson>| approval.is_none_or(|approval| approval.as_str().trim() != "\"never\"");
    let from_responses = super::Protocol::from(job.source) == Protocol::Responses;
    let Some(server) = &mut tool.mcp else {
        job.losses.warn(
            LossCode::ToolServerUnsupported,
            LossAction::Dropped,
            place,
            "a remote server without a definition",
        );
        return false;
    };
    if server.url.is_none() {
        let detail = format!("{}: a connector of its provider", server.label);
        job.losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, place, detail);
        return false;
    }
    if job.target.protocol != Protocol::Responses && from_responses && asks(server.require_approval.as_ref()) {
        let detail = format!("{}: calls cannot be approved here; require_approval must be \"never\"", server.label);
        job.losses.error(LossCode::ToolServerUnsupported, place, detail);
        return false;
    }
    if job.to(Protocol::Responses) && server.require_approval.is_none() {
        // The others never ask.
        server.require_approval = Some(RawJson::from_valid(Text::from_static("\"never\"")));
    }
    if server.authorization.is_some() && !job.target.profile.forward_mcp_authorization {
        server.authorization = None;
        let detail = format!("{}: its authorization is not handed to other providers", server.label);
        job.losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, format!("{place}/authorization"), detail);
    }
    true
}
