//! Tools, tool choice and structured output for a provider.

use polyport_types::{
    CustomFormat, CustomTool, FunctionTool, GrammarSyntax, LossAction, LossCode, ResponseFormat, ServerTool,
    ServerToolKind, Text, Tool, ToolChoice, ToolRef,
};

use super::encode::{Body, Markers, anthropic_ttl, write_cache_control};
use crate::chat::members;
use crate::json::JsonWriter;
use crate::profile::ToolChoiceMode;

/// What is done about the tool choice.
#[derive(Default)]
struct Plan<'r> {
    choice: Option<Written<'r>>,
    /// Only these tools are offered.
    only: Option<Vec<&'r Text>>,
    /// No tool is offered.
    nothing: bool,
}

/// A tool choice as it is written.
enum Written<'r> {
    Word(&'r str),
    Tool(&'r ToolRef),
    Allowed { required: bool, tools: &'r [ToolRef] },
}

/// Writes `tools`, `tool_choice`, `parallel_tool_calls` and `web_search_options`.
pub(super) fn write(body: &mut Body<'_, '_, '_>) {
    let mut plan = plan(body);
    let request = body.request;
    let mut offered = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        let dropped = plan.nothing || plan.only.as_ref().is_some_and(|only| !only.contains(&tool.name()));
        match tool {
            _ if dropped => {}
            Tool::Function(function) => {
                report_unknown(body, at, function);
                offered.push(tool);
            }
            Tool::Custom(_) => offered.push(tool),
            Tool::Server(server) if is_writable(body, server) => offered.push(tool),
            Tool::Server(server) => {
                let path = format!("/tools/{at}");
                body.losses.warn(
                    LossCode::ToolServerUnsupported,
                    LossAction::Dropped,
                    path,
                    server.wire_type.to_string(),
                );
            }
        }
    }
    let search = offered.iter().position(|tool| is_web_search(tool)).map(|at| offered.remove(at));
    if !offered.is_empty() {
        body.field("tools", |body| {
            let markers = body.markers();
            let (own, profile) = (body.is_own(), body.profile());
            let strict = profile.strict_tools;
            let accepts =
                |name: &str| own && (profile.accept_unknown || profile.accept.iter().any(|accepted| accepted == name));
            let mut strict_dropped = false;
            body.w.array(|w| {
                for tool in offered.iter().copied() {
                    match tool {
                        Tool::Function(tool) => {
                            strict_dropped |= !strict && tool.strict == Some(true);
                            write_function(w, tool, strict, markers, &accepts);
                        }
                        Tool::Custom(tool) => write_custom(w, tool),
                        Tool::Server(tool) => w.raw_value(tool.raw.as_str()),
                    }
                }
            });
            if strict_dropped {
                body.losses.warn(
                    LossCode::ToolStrictDropped,
                    LossAction::Dropped,
                    "/tools",
                    "not taken by this provider",
                );
            }
        });
        if let Some(choice) = plan.choice.take() {
            body.field("tool_choice", |body| write_choice(body.w, &choice));
        }
        body.flag("parallel_tool_calls", request.parallel_tool_calls, true);
    }
    if let Some(Tool::Server(tool)) = search {
        if !tool.allowed_domains.is_empty() || !tool.blocked_domains.is_empty() || tool.max_uses.is_some() {
            let detail = "no limits of domains or uses";
            body.losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, "/tools", detail);
        }
        let own = body.is_own();
        body.field("web_search_options", |body| match own {
            true => body.w.raw_value(tool.raw.as_str()),
            false => write_web_search(body.w, tool),
        });
    }
}

/// Names what the server would not understand of a tool.
fn report_unknown(body: &mut Body<'_, '_, '_>, at: usize, tool: &FunctionTool) {
    if !body.is_own() {
        return;
    }
    let mut names = Vec::new();
    for (name, value) in tool.ext.iter() {
        match &**name {
            "function" => members::each(value, |name, _| names.push(format!("function/{name}"))),
            name => names.push(name.to_owned()),
        }
    }
    names.retain(|name| !body.accepts(name.strip_prefix("function/").unwrap_or(name)));
    for name in names {
        let path = format!("/tools/{at}/{name}");
        body.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "");
    }
}

/// The name a tool is called by.
pub(super) fn full_name(namespace: Option<&Text>, name: &Text) -> Text {
    match namespace {
        Some(namespace) => Text::from(format!("{namespace}__{name}")),
        None => name.clone(),
    }
}

fn is_web_search(tool: &Tool) -> bool {
    // Tools of vendors go out as they came.
    matches!(tool, Tool::Server(tool) if tool.kind == ServerToolKind::WebSearch && !is_vendors(tool))
}

/// Whether the tool came in the `tools` of a Chat request.
fn is_vendors(tool: &ServerTool) -> bool {
    tool.wire_type != "web_search_options"
}

fn is_writable(body: &Body<'_, '_, '_>, tool: &ServerTool) -> bool {
    if body.is_own() && is_vendors(tool) {
        return body.accepts(&tool.wire_type);
    }
    tool.kind == ServerToolKind::WebSearch
}

/// Weakens a choice the server does not take.
fn plan<'r>(body: &mut Body<'r, '_, '_>) -> Plan<'r> {
    use ToolChoiceMode::{Allowed, Auto, Named, None as Never, Required};
    let Some(choice) = &body.request.tool_choice else { return Plan::default() };
    let profile = body.profile();
    let takes = |mode| profile.tool_choice.contains(&mode);
    let required = profile.required_word.as_deref().unwrap_or("required");
    let mut degraded = |what: &str| {
        body.losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", what.to_owned());
    };
    let mut at_most = |must: bool| {
        if must && takes(Required) {
            Some(Written::Word(required))
        } else {
            if must {
                degraded("a call cannot be required at this provider");
            }
            takes(Auto).then_some(Written::Word("auto"))
        }
    };
    let filtered = |tools: &'r [ToolRef]| tools.iter().map(|tool| &tool.name).collect::<Vec<_>>();
    let plan = match choice {
        ToolChoice::Auto => Plan { choice: at_most(false), ..Plan::default() },
        ToolChoice::None if takes(Never) => Plan { choice: Some(Written::Word("none")), ..Plan::default() },
        ToolChoice::None => Plan { nothing: true, ..Plan::default() },
        ToolChoice::Required => Plan { choice: at_most(true), ..Plan::default() },
        ToolChoice::Tool(tool) if takes(Named) => Plan { choice: Some(Written::Tool(tool)), ..Plan::default() },
        ToolChoice::Tool(tool) => Plan { choice: at_most(true), only: Some(vec![&tool.name]), ..Plan::default() },
        ToolChoice::Allowed { required, tools } if takes(Allowed) => {
            Plan { choice: Some(Written::Allowed { required: *required, tools }), ..Plan::default() }
        }
        ToolChoice::Allowed { required, tools } => {
            Plan { choice: at_most(*required), only: Some(filtered(tools)), ..Plan::default() }
        }
        ToolChoice::Validated { names } => {
            let only = (!names.is_empty()).then(|| names.iter().collect());
            Plan { choice: at_most(false), only, ..Plan::default() }
        }
        ToolChoice::Server { .. } => {
            degraded("no choice of a tool that the provider runs");
            Plan { choice: takes(Auto).then_some(Written::Word("auto")), ..Plan::default() }
        }
    };
    if plan.only.is_some() || plan.nothing {
        let detail = "other tools are not offered";
        body.losses.info(LossCode::ToolChoiceFiltered, LossAction::Emulated, "/tool_choice", detail);
    }
    plan
}

fn write_choice(w: &mut JsonWriter<'_>, choice: &Written<'_>) {
    match choice {
        Written::Word(word) => w.string(word),
        Written::Tool(tool) => write_ref(w, tool),
        Written::Allowed { required, tools } => w.object(|w| {
            w.str("type", "allowed_tools");
            w.object_field("allowed_tools", |w| {
                w.str("mode", if *required { "required" } else { "auto" });
                w.array_field("tools", |w| tools.iter().for_each(|tool| write_ref(w, tool)));
            });
        }),
    }
}

fn write_ref(w: &mut JsonWriter<'_>, tool: &ToolRef) {
    let kind = if tool.custom { "custom" } else { "function" };
    w.object(|w| {
        w.str("type", kind);
        w.object_field(kind, |w| w.str("name", &tool.name));
    });
}

fn write_function(
    w: &mut JsonWriter<'_>,
    tool: &FunctionTool,
    strict: bool,
    markers: Markers,
    accepts: &dyn Fn(&str) -> bool,
) {
    w.object(|w| {
        w.str("type", "function");
        w.object_field("function", |w| {
            w.str("name", &full_name(tool.namespace.as_ref(), &tool.name));
            w.opt_str("description", tool.description.as_deref());
            w.key("parameters");
            // Not every server takes a function without a schema.
            w.raw_value(tool.schema.as_ref().map_or(r#"{"type":"object","properties":{}}"#, |schema| schema.as_str()));
            w.opt_bool("strict", tool.strict.filter(|_| strict));
            if let Some(inner) = tool.ext.get("function") {
                members::each(inner, |name, value| {
                    if accepts(&name) {
                        w.raw(&name, &value);
                    }
                });
            }
        });
        for (name, value) in tool.ext.iter().filter(|(name, _)| **name != "function" && accepts(name)) {
            w.raw(name, value);
        }
        if let (Some(mark), Markers::CacheControl) = (tool.cache, markers) {
            w.key("cache_control");
            write_cache_control(w, mark.ttl.and_then(anthropic_ttl));
        }
    });
}

fn write_custom(w: &mut JsonWriter<'_>, tool: &CustomTool) {
    w.object(|w| {
        w.str("type", "custom");
        w.object_field("custom", |w| {
            w.str("name", &full_name(tool.namespace.as_ref(), &tool.name));
            w.opt_str("description", tool.description.as_deref());
            if let CustomFormat::Grammar { syntax, definition } = &tool.format {
                w.object_field("format", |w| {
                    w.str("type", "grammar");
                    w.object_field("grammar", |w| {
                        w.str("definition", definition);
                        w.str(
                            "syntax",
                            match syntax {
                                GrammarSyntax::Lark => "lark",
                                GrammarSyntax::Regex => "regex",
                            },
                        );
                    });
                });
            }
        });
    });
}

fn write_web_search(w: &mut JsonWriter<'_>, tool: &ServerTool) {
    w.object(|w| {
        w.opt_str("search_context_size", tool.context_size.as_deref());
        if let Some(place) = &tool.user_location {
            w.object_field("user_location", |w| {
                w.str("type", "approximate");
                w.object_field("approximate", |w| {
                    w.opt_str("city", place.city.as_deref());
                    w.opt_str("country", place.country.as_deref());
                    w.opt_str("region", place.region.as_deref());
                    w.opt_str("timezone", place.timezone.as_deref());
                });
            });
        }
    });
}

/// Writes `response_format`. What the model cannot do was rewritten before.
pub(super) fn write_format(body: &mut Body<'_, '_, '_>) {
    let Some(format) = &body.request.response_format else { return };
    if *format == ResponseFormat::Text && body.profile().omit_text_format {
        return;
    }
    body.field("response_format", |body| {
        body.w.object(|w| match format {
            ResponseFormat::Text => w.str("type", "text"),
            ResponseFormat::JsonObject => w.str("type", "json_object"),
            ResponseFormat::JsonSchema { name, description, schema, strict } => {
                w.str("type", "json_schema");
                w.object_field("json_schema", |w| {
                    w.str("name", name.as_deref().unwrap_or("response"));
                    w.opt_str("description", description.as_deref());
                    w.raw("schema", schema);
                    w.opt_bool("strict", *strict);
                });
            }
            ResponseFormat::Enum { schema } => {
                w.str("type", "json_schema");
                w.object_field("json_schema", |w| {
                    w.str("name", "response");
                    w.raw("schema", schema);
                });
            }
        });
    });
}
