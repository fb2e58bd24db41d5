//! Tools that the client runs: names, kinds and schemas the target takes, and the history of their calls.

use foldhash::{HashMap, HashSet, HashSetExt as _};
use polyport_types::{
    CustomFormat, CustomTool, Extras, FunctionTool, GrammarSyntax, LossAction, LossCode, PartKind, Protocol, RawJson,
    Request, ServerTool, Text, Tool, ToolCall, ToolCallKind, ToolChoice, ToolRef,
};
use serde_json::{Value, json};

use super::names::Names;
use super::{Job, Place, Tally, builtin, server_tools};
use crate::json::write_str;
use crate::profile::SchemaClean;
use crate::restore::{CUSTOM_INPUT, ToolOrigin};
use crate::schema::{self, Dialect};

/// How many strict tools Anthropic compiles for one request, and how many optional parameters and parameters of several types they
/// may have together.
const MAX_ANTHROPIC_STRICT: usize = 20;
const MAX_ANTHROPIC_OPTIONAL: usize = 24;
const MAX_ANTHROPIC_UNIONS: usize = 16;

/// Rewrites the tools and everything that names them.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    if !request.tools.is_empty() && !job.capabilities().tools {
        if request.tool_choice == Some(ToolChoice::None) {
            request.tools.clear();
        } else {
            job.losses.error(LossCode::ToolUnsupported, "/tools", "the model cannot use tools");
        }
    }
    let mut names = Names::new(job.target.protocol, job.same);
    let mut emulated = Emulated::default();
    let mut tools = Vec::with_capacity(request.tools.len());
    let mut declared = HashSet::new();
    let mut deferred = Tally::default();
    for (at, tool) in std::mem::take(&mut request.tools).into_iter().enumerate() {
        // A tool that was searched for may stand in the list as well as in the history.
        if !job.same && !declared.insert(identity(&tool)) {
            continue;
        }
        let place = Place::Tool(at);
        tools.push(match tool {
            Tool::Function(tool) => {
                // Nobody searches for tools there: all are offered at once.
                if !job.same && tool.defer_loading == Some(true) {
                    deferred.add(place);
                }
                function(job, *tool, &mut names, place)
            }
            Tool::Custom(tool) if takes_custom(job) => custom(job, *tool, &mut names, place),
            Tool::Custom(tool) => custom_as_function(job, &tool, &mut names, place),
            Tool::Server(tool) if !job.same && server_tools::is_client_tool(&tool) => {
                builtin_as_function(job, &tool, &mut names, &mut emulated, place)
            }
            Tool::Server(tool) => Tool::Server(tool),
        });
    }
    request.tools = tools;
    if let Some((place, detail)) = deferred.take("tools") {
        let path = format!("{place}/defer_loading");
        job.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, path, detail);
    }
    limit_strict(job, request);
    for message in &mut request.messages {
        for part in &mut message.parts {
            match &mut part.kind {
                PartKind::ToolCall(call) => self::call(job, call, &mut names),
                PartKind::ToolResult(result) => {
                    let builtin = matches!(result.kind, ToolCallKind::Builtin(_));
                    if !keeps_kind(job, &result.kind) {
                        result.kind = ToolCallKind::Function;
                    }
                    if let Some(name) = result.name.take() {
                        let known = names.find(&name, builtin).cloned();
                        result.name = Some(known.unwrap_or_else(|| names.give(None, &name)));
                    }
                }
                _ => {}
            }
        }
    }
    if let Some(choice) = &mut request.tool_choice {
        rename_choice(job, choice, &names, &emulated);
    }
}

/// What tells a tool from others: namespace, name, and whether a provider fixes its schema.
fn identity(tool: &Tool) -> (Option<Text>, Text, bool) {
    let namespace = match tool {
        Tool::Function(tool) => tool.namespace.clone(),
        Tool::Custom(tool) => tool.namespace.clone(),
        Tool::Server(_) => None,
    };
    (namespace, tool.name().clone(), matches!(tool, Tool::Server(_)))
}

/// Names of functions that stand for tools with a fixed schema.
#[derive(Default)]
struct Emulated(HashMap<Text, Text>);

fn takes_custom(job: &Job<'_>) -> bool {
    match job.target.protocol {
        Protocol::Chat => job.profile().custom_tools,
        Protocol::Responses => true,
        Protocol::Messages | Protocol::Gemini => false,
    }
}

/// Whether calls of this kind exist at the target.
fn keeps_kind(job: &Job<'_>, kind: &ToolCallKind) -> bool {
    match kind {
        ToolCallKind::Function => true,
        ToolCallKind::Custom => takes_custom(job),
        ToolCallKind::Builtin(_) => job.same,
    }
}

/// Remembers how the client knows a tool, if that is not how the target knows it.
fn remember(job: &mut Job<'_>, given: &Text, origin: ToolOrigin) {
    let renamed = *given != origin.name || (origin.namespace.is_some() && !job.to(Protocol::Responses));
    if renamed || !keeps_kind(job, &origin.kind) {
        job.restore.tools.insert(given.clone(), origin);
    }
}

/// Reports a name that broke the target's rule; joining a namespace is no loss.
fn report_name(job: &mut Job<'_>, name: &Text, namespace: Option<&Text>, given: &Text, place: Place) {
    let joined = namespace.filter(|_| !job.to(Protocol::Responses)).map(|space| format!("{space}__{name}"));
    if joined.as_deref().unwrap_or(name) != &**given {
        job.losses.info(
            LossCode::ToolRenamed,
            LossAction::Renamed,
            format!("{place}/name"),
            format!("{name} → {given}"),
        );
    }
}

fn function(job: &mut Job<'_>, mut tool: FunctionTool, names: &mut Names, place: Place) -> Tool {
    let given = names.give(tool.namespace.as_ref(), &tool.name);
    report_name(job, &tool.name, tool.namespace.as_ref(), &given, place);
    let origin = ToolOrigin {
        name: std::mem::replace(&mut tool.name, given.clone()),
        namespace: tool.namespace.clone(),
        kind: ToolCallKind::Function,
    };
    remember(job, &given, origin);
    if !job.to(Protocol::Responses) {
        tool.namespace = None;
    }
    if !job.same {
        tool.defer_loading = None;
        own_settings(job, &mut tool, place);
    }
    strictness(job, &mut tool, place);
    adapt_schema(job, &mut tool, place);
    Tool::Function(Box::new(tool))
}

/// Members of a function that only the client's protocol has.
fn own_settings(job: &mut Job<'_>, tool: &mut FunctionTool, place: Place) {
    /// What they say has a slot of its own.
    const COPIES: [&str; 5] = ["parameters", "parametersJsonSchema", "response", "responseJsonSchema", "cache_control"];
    for (name, _) in std::mem::take(&mut tool.ext).iter() {
        if !COPIES.contains(&&**name) {
            let path = format!("{place}/{name}");
            job.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, path, "");
        }
    }
    if !job.to(Protocol::Gemini) && tool.output_schema.take().is_some() {
        let path = format!("{place}/output_schema");
        job.losses.info(LossCode::ToolSchemaRelaxed, LossAction::Dropped, path, "");
    }
}

/// What `strict` becomes. Absent, it means something else in each protocol.
fn strictness(job: &mut Job<'_>, tool: &mut FunctionTool, place: Place) {
    let drop = |job: &mut Job<'_>, tool: &mut FunctionTool, detail: String| {
        tool.strict = None;
        job.losses.info(LossCode::ToolStrictDropped, LossAction::Dropped, format!("{place}/strict"), detail);
    };
    if job.to(Protocol::Chat) && !job.profile().strict_tools {
        if tool.strict == Some(true) {
            drop(job, tool, "the server does not know it".to_owned());
        }
        tool.strict = None;
        return;
    }
    if job.same {
        return;
    }
    match (job.target.protocol, tool.strict) {
        (Protocol::Gemini, Some(true)) => drop(job, tool, "no such setting".to_owned()),
        (Protocol::Gemini | Protocol::Messages, Some(false)) => tool.strict = None,
        (Protocol::Messages, Some(true)) => {
            let structural = tool.schema.as_ref().is_none_or(|schema| {
                schema::convert_raw(schema, Dialect::AnthropicStrict)
                    .is_some_and(|(_, changes)| changes.is_structural())
            });
            if structural {
                drop(job, tool, "the schema is not strict enough".to_owned());
            }
        }
        (Protocol::Chat | Protocol::Responses, Some(true)) if !job.comes_from_openai() => {
            let fitting =
                tool.schema.as_ref().map(|schema| schema::convert(&schema.to_value(), Dialect::OpenAiStrict).0);
            match fitting.map(|schema| schema::fits_strict(&schema).map(|()| schema)) {
                Some(Ok(schema)) => tool.schema = Some(RawJson::of(&schema)),
                Some(Err(problem)) => drop(job, tool, problem),
                None => drop(job, tool, "no schema".to_owned()),
            }
        }
        _ => {}
    }
    // Absent, the server of Responses turns it on where it can.
    if job.to(Protocol::Responses) && tool.strict.is_none() {
        tool.strict = Some(false);
    }
}

/// The dialect a tool's schema is converted to, if any.
fn dialect(job: &Job<'_>, strict: bool) -> Option<Dialect> {
    match job.target.protocol {
        Protocol::Chat => match job.profile().schema_clean {
            SchemaClean::None => None,
            SchemaClean::Unversioned => Some(Dialect::Unversioned),
            SchemaClean::Basic => Some(Dialect::Basic),
            SchemaClean::Gemini | SchemaClean::Plain => Some(Dialect::GeminiLike),
        },
        // What its own clients say is cut down, too.
        Protocol::Gemini if job.profile().schema_clean == SchemaClean::Plain => Some(Dialect::GeminiPlain),
        _ if job.same => None,
        Protocol::Responses => None,
        Protocol::Messages if strict => Some(Dialect::AnthropicStrict),
        Protocol::Messages => Some(Dialect::AnthropicTool),
        Protocol::Gemini if job.profile().json_schema_fields => Some(Dialect::GeminiJson),
        Protocol::Gemini => Some(Dialect::GeminiOpenApi),
    }
}

fn adapt_schema(job: &mut Job<'_>, tool: &mut FunctionTool, place: Place) {
    let Some(dialect) = dialect(job, tool.strict == Some(true)) else { return };
    let Some(original) = &tool.schema else { return };
    let Some((converted, changes)) = schema::convert_raw(original, dialect) else { return };
    changes.report(job.losses, LossCode::ToolSchemaRelaxed, LossCode::ToolSchemaInlined, &place.to_string());
    // The encoder writes the `Schema` form itself; here it was only asked what that loses.
    if !matches!(dialect, Dialect::GeminiOpenApi | Dialect::GeminiPlain) {
        tool.schema = Some(converted);
    }
}

/// Anthropic compiles only so many strict tools.
fn limit_strict(job: &mut Job<'_>, request: &mut Request) {
    if job.same || !job.to(Protocol::Messages) {
        return;
    }
    let (mut strict, mut optional, mut unions) = (0, 0, 0);
    for (at, tool) in request.tools.iter_mut().enumerate() {
        let Tool::Function(tool) = tool else { continue };
        if tool.strict != Some(true) {
            continue;
        }
        let cost = tool.schema.as_ref().map(schema::strict_cost).unwrap_or_default();
        let fits = strict < MAX_ANTHROPIC_STRICT
            && optional + cost.optional <= MAX_ANTHROPIC_OPTIONAL
            && unions + cost.unions <= MAX_ANTHROPIC_UNIONS;
        if fits {
            strict += 1;
            optional += cost.optional;
            unions += cost.unions;
        } else {
            tool.strict = None;
            let detail = "more strict tools, optional parameters or alternatives than one request may have";
            job.losses.info(
                LossCode::ToolStrictDropped,
                LossAction::Dropped,
                format!("{}/strict", Place::Tool(at)),
                detail,
            );
        }
    }
}

fn custom(job: &mut Job<'_>, mut tool: CustomTool, names: &mut Names, place: Place) -> Tool {
    let given = names.give(tool.namespace.as_ref(), &tool.name);
    report_name(job, &tool.name, tool.namespace.as_ref(), &given, place);
    let origin = ToolOrigin {
        name: std::mem::replace(&mut tool.name, given.clone()),
        namespace: tool.namespace.clone(),
        kind: ToolCallKind::Custom,
    };
    remember(job, &given, origin);
    if !job.to(Protocol::Responses) {
        tool.namespace = None;
    }
    Tool::Custom(Box::new(tool))
}

/// A free-form tool as a function with one string.
fn custom_as_function(job: &mut Job<'_>, tool: &CustomTool, names: &mut Names, place: Place) -> Tool {
    let given = names.give(tool.namespace.as_ref(), &tool.name);
    report_name(job, &tool.name, tool.namespace.as_ref(), &given, place);
    let origin = ToolOrigin { name: tool.name.clone(), namespace: tool.namespace.clone(), kind: ToolCallKind::Custom };
    job.restore.tools.insert(given.clone(), origin);
    let mut description = tool.description.as_deref().unwrap_or_default().to_owned();
    if let CustomFormat::Grammar { syntax, definition } = &tool.format {
        let syntax = match syntax {
            GrammarSyntax::Lark => "Lark grammar",
            GrammarSyntax::Regex => "regular expression",
        };
        if !description.is_empty() {
            description.push_str("\n\n");
        }
        description.push_str(&format!("`{CUSTOM_INPUT}` must match this {syntax}:\n{definition}"));
    }
    let input = json!({"type": "string", "description": "The input of the tool as free text."});
    let schema = object_with(CUSTOM_INPUT, input);
    let name = &tool.name;
    job.losses.info(
        LossCode::ToolCustomEmulated,
        LossAction::Emulated,
        place,
        format!("{name} is offered as a function"),
    );
    Tool::Function(Box::new(FunctionTool {
        name: given,
        description: (!description.is_empty()).then(|| description.into()),
        schema: Some(RawJson::of(&schema)),
        strict: job.to(Protocol::Responses).then_some(false),
        ..FunctionTool::default()
    }))
}

/// The schema of an object with one required member.
pub(super) fn object_with(member: &str, schema: Value) -> Value {
    let mut properties = serde_json::Map::new();
    properties.insert(member.to_owned(), schema);
    json!({"type": "object", "properties": properties, "required": [member]})
}

/// A tool with a fixed schema that the client runs, as a function.
fn builtin_as_function(
    job: &mut Job<'_>,
    tool: &ServerTool,
    names: &mut Names,
    emulated: &mut Emulated,
    place: Place,
) -> Tool {
    let openai = super::is_openai(job.source.into());
    let (name, description, schema) = if openai {
        let action = builtin::openai(tool);
        (Text::from_static(action.item), action.description, action.schema)
    } else {
        let (description, schema) = builtin::anthropic(tool);
        (tool.name.clone(), description, schema)
    };
    let given = names.give_builtin(&name);
    report_name(job, &name, None, &given, place);
    emulated.0.insert(tool.name.clone(), given.clone());
    // Anthropic's calls look like those of functions; only `OpenAI` has items of their own for them.
    let kind = if openai { ToolCallKind::Builtin(name.clone()) } else { ToolCallKind::Function };
    remember(job, &given, ToolOrigin { name, namespace: None, kind });
    Tool::Function(Box::new(FunctionTool {
        name: given,
        description: Some(description.into()),
        schema: Some(RawJson::of(&schema)),
        strict: job.to(Protocol::Responses).then_some(false),
        cache: tool.cache,
        ext: Extras::new(),
        ..FunctionTool::default()
    }))
}

/// A call in the history.
fn call(job: &mut Job<'_>, call: &mut ToolCall, names: &mut Names) {
    let builtin = matches!(call.kind, ToolCallKind::Builtin(_));
    let given = names.give_call(call.namespace.as_ref(), &call.name, builtin);
    if given != call.name || (call.namespace.is_some() && !job.to(Protocol::Responses)) {
        let origin = ToolOrigin {
            name: std::mem::replace(&mut call.name, given.clone()),
            namespace: call.namespace.clone(),
            kind: call.kind.clone(),
        };
        job.restore.tools.entry(given).or_insert(origin);
    }
    if !job.to(Protocol::Responses) {
        call.namespace = None;
    }
    if keeps_kind(job, &call.kind) {
        return;
    }
    if call.kind == ToolCallKind::Custom {
        let mut arguments = format!("{{\"{CUSTOM_INPUT}\":").into_bytes();
        write_str(&mut arguments, &call.arguments);
        arguments.push(b'}');
        // The writer writes UTF-8 only.
        call.arguments = String::from_utf8(arguments).unwrap_or_default().into();
    }
    call.kind = ToolCallKind::Function;
}

/// Gives the names in a choice of tools.
fn rename_choice(job: &Job<'_>, choice: &mut ToolChoice, names: &Names, emulated: &Emulated) {
    let custom = takes_custom(job);
    let rename = |name: &mut Text| {
        let given = names.find(name, false).or_else(|| emulated.0.get(name));
        if let Some(given) = given {
            *name = given.clone();
        }
    };
    let rename_ref = |tool: &mut ToolRef| {
        rename(&mut tool.name);
        tool.custom &= custom;
    };
    match choice {
        ToolChoice::Tool(tool) => rename_ref(tool),
        ToolChoice::Allowed { tools, .. } => tools.iter_mut().for_each(rename_ref),
        ToolChoice::Validated { names } => names.iter_mut().for_each(rename),
        ToolChoice::Server { kind, name } if !job.same && kind.runs_at_client() => {
            let wanted = name.clone().or_else(|| emulated_kind(kind));
            let given = wanted.as_ref().and_then(|name| emulated.0.get(name).or_else(|| names.find(name, true)));
            if let Some(given) = given {
                *choice = ToolChoice::Tool(ToolRef { name: given.clone(), custom: false });
            }
        }
        ToolChoice::None | ToolChoice::Auto | ToolChoice::Required | ToolChoice::Server { .. } => {}
    }
}

/// The name a tool of `OpenAI` is offered under.
fn emulated_kind(kind: &polyport_types::ServerToolKind) -> Option<Text> {
    use polyport_types::ServerToolKind::{ApplyPatch, Computer, LocalShell, Shell};
    Some(Text::from_static(match kind {
        Shell => "shell",
        LocalShell => "local_shell",
        ApplyPatch => "apply_patch",
        Computer => "computer",
        _ => return None,
    }))
}
