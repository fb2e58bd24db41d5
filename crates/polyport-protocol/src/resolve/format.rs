//! Structured answers: natively where the model has them, else through a tool, JSON mode or words.

use polyport_types::{
    DocumentSource, FunctionTool, LossAction, LossCode, Message, Part, PartKind, Protocol, RawJson, ReasoningMode,
    Request, ResponseFormat, Text, Tool, ToolChoice, ToolRef,
};
use serde_json::Value;

use super::{Job, instruct};
use crate::profile::JsonMode;
use crate::schema::{self, Dialect};

/// The tool that stands for the answer.
const ANSWER_TOOL: &str = "json_response";
/// The member that holds an answer which is no object.
const WRAPPER: &str = "value";
/// The name of a schema that came without one; `OpenAI` wants a name.
const SCHEMA_NAME: &str = "response";
const OBJECT_IN_WORDS: &str = "Answer with a single JSON object and nothing else.";
const PATH: &str = "/response_format";

/// How a schema is enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Native,
    /// A tool whose arguments are the answer.
    Tool,
    /// Any JSON object, with the schema in words.
    Object,
    Words,
}

/// A schema on its way.
struct Wanted {
    name: Option<Text>,
    description: Option<Text>,
    schema: Value,
    strict: Option<bool>,
}

/// Rewrites the wanted shape of the answer.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    let Some(format) = request.response_format.take() else { return };
    match format {
        ResponseFormat::Text => request.response_format = Some(ResponseFormat::Text),
        ResponseFormat::JsonObject => object(job, request),
        ResponseFormat::JsonSchema { .. } if job.same && way(job, request) == Way::Native => {
            request.response_format = Some(format);
        }
        ResponseFormat::Enum { .. } if job.to(Protocol::Gemini) && job.capabilities().structured_output => {
            request.response_format = Some(format);
        }
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            match serde_json::from_str(schema.as_str()) {
                Ok(tree) => {
                    let wanted = Wanted { name, description, schema: tree, strict };
                    write(job, request, wanted, false);
                }
                // Too deep to be understood here; the provider may judge.
                Err(_) => {
                    request.response_format = Some(ResponseFormat::JsonSchema { name, description, schema, strict });
                }
            }
        }
        ResponseFormat::Enum { schema } => {
            let mut tree = schema.to_value();
            if let Some(map) = tree.as_object_mut() {
                map.entry("type").or_insert_with(|| "string".into());
            }
            let wanted =
                Wanted { name: None, description: None, schema: schema::wrap_in_object(&tree, WRAPPER), strict: None };
            job.restore.unwrap_member = Some(Text::from_static(WRAPPER));
            job.restore.unwrap_string = true;
            report(job, "one of some words, as a member of an object");
            write(job, request, wanted, true);
        }
    }
}

fn report(job: &mut Job<'_>, detail: &str) {
    job.losses.info(LossCode::FormatEmulated, LossAction::Emulated, PATH, detail);
}

/// The best way the target has.
fn way(job: &Job<'_>, request: &Request) -> Way {
    let abilities = job.capabilities();
    let tool = if abilities.tools && request.tool_choice != Some(ToolChoice::None) { Way::Tool } else { Way::Words };
    match job.target.protocol {
        Protocol::Chat => match job.profile().json_mode {
            JsonMode::Schema if abilities.structured_output => Way::Native,
            JsonMode::Schema | JsonMode::Object => Way::Object,
            JsonMode::None => Way::Words,
        },
        Protocol::Responses if abilities.structured_output => Way::Native,
        Protocol::Responses => Way::Object,
        Protocol::Messages | Protocol::Gemini => {
            if abilities.structured_output && beside_tools(job, request) {
                Way::Native
            } else {
                tool
            }
        }
    }
}

/// Whether the tools of a request leave room for a shape of the answer.
fn beside_tools(job: &Job<'_>, request: &Request) -> bool {
    job.capabilities().structured_with_tools || !request.tools.iter().any(|tool| matches!(tool, Tool::Function(_)))
}

/// Any JSON object.
fn object(job: &mut Job<'_>, request: &mut Request) {
    let native = match job.target.protocol {
        Protocol::Messages => false,
        Protocol::Chat => job.profile().json_mode != JsonMode::None,
        Protocol::Responses => true,
        Protocol::Gemini => beside_tools(job, request),
    };
    if !native {
        instruct(request, OBJECT_IN_WORDS);
        job.losses.warn(LossCode::FormatEmulated, LossAction::Emulated, PATH, "asked for in words");
        return;
    }
    request.response_format = Some(ResponseFormat::JsonObject);
    // `OpenAI` refuses JSON mode unless the word is said.
    if job.goes_to_openai() && !job.comes_from_openai() && !says_json(request) {
        instruct(request, OBJECT_IN_WORDS);
        report(job, "the word JSON was added to the instructions");
    }
}

fn says_json(request: &Request) -> bool {
    let says = |parts: &[Part]| {
        parts.iter().filter_map(Part::as_text).any(|text| {
            memchr::memchr2_iter(b'j', b'J', text.as_bytes())
                .any(|at| text.as_bytes().get(at..at + 4).is_some_and(|word| word.eq_ignore_ascii_case(b"json")))
        })
    };
    request.instructions.iter().any(|instruction| says(&instruction.parts))
        || request.messages.iter().any(|message| says(&message.parts))
}

/// Writes a schema in the best way. `wrapped`: the answer stands in an object already.
fn write(job: &mut Job<'_>, request: &mut Request, mut wanted: Wanted, wrapped: bool) {
    let way = way(job, request);
    let any_root = job.to(Protocol::Gemini) && way == Way::Native || way == Way::Words;
    if !wrapped && !any_root && !schema::has_object_root(&wanted.schema) {
        wanted.schema = schema::wrap_in_object(&wanted.schema, WRAPPER);
        job.restore.unwrap_member = Some(Text::from_static(WRAPPER));
        report(job, "the answer stands in an object");
    }
    match way {
        Way::Native => native(job, request, wanted),
        Way::Tool => through_tool(job, request, wanted),
        Way::Object => {
            in_words(request, &wanted);
            request.response_format = Some(ResponseFormat::JsonObject);
            job.losses.warn(
                LossCode::FormatEmulated,
                LossAction::Emulated,
                PATH,
                "JSON mode, with the schema in words",
            );
        }
        Way::Words => {
            in_words(request, &wanted);
            job.losses.warn(LossCode::FormatEmulated, LossAction::Emulated, PATH, "asked for in words");
        }
    }
}

fn in_words(request: &mut Request, wanted: &Wanted) {
    let mut words = "Answer with JSON that fits this JSON Schema and with nothing else".to_owned();
    if let Some(description) = wanted.description.as_deref().filter(|text| !text.is_empty()) {
        words.push_str(&format!(" ({description})"));
    }
    words.push_str(&format!(":\n{}", wanted.schema));
    instruct(request, words);
}

fn native(job: &mut Job<'_>, request: &mut Request, wanted: Wanted) {
    let Wanted { mut name, mut description, mut schema, mut strict } = wanted;
    match job.target.protocol {
        Protocol::Chat | Protocol::Responses => {
            name = Some(openai_name(name));
            if !job.comes_from_openai() {
                // The others always enforce a schema.
                let (fitting, _) = schema::convert(&schema, Dialect::OpenAiStrict);
                let fits = strict != Some(false) && schema::fits_strict(&fitting).is_ok();
                strict = Some(fits);
                if fits {
                    schema = fitting;
                }
            }
        }
        Protocol::Messages => {
            describe(&mut schema, description.take());
            let (converted, changes) = schema::convert(&schema, Dialect::AnthropicStrict);
            changes.report(job.losses, LossCode::FormatSchemaRelaxed, LossCode::FormatSchemaRelaxed, PATH);
            schema = converted;
            without_citations(job, &mut request.messages);
        }
        Protocol::Gemini => {
            describe(&mut schema, description.take());
            let dialect = if job.profile().json_schema_fields { Dialect::GeminiJson } else { Dialect::GeminiOpenApi };
            let (converted, changes) = schema::convert(&schema, dialect);
            changes.report(job.losses, LossCode::FormatSchemaRelaxed, LossCode::FormatSchemaRelaxed, PATH);
            if dialect == Dialect::GeminiJson {
                schema = converted;
            }
        }
    }
    let schema = RawJson::of(&schema);
    request.response_format = Some(ResponseFormat::JsonSchema { name, description, schema, strict });
}

/// A name `OpenAI` takes: letters, digits, `_` and `-`, at most 64.
fn openai_name(name: Option<Text>) -> Text {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Text::from_static(SCHEMA_NAME) };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() <= 64 && name.chars().all(legal) {
        return name;
    }
    name.chars().map(|c| if legal(c) { c } else { '_' }).take(64).collect::<String>().into()
}

/// Puts a description that has no slot in front of the schema's own.
fn describe(schema: &mut Value, description: Option<Text>) {
    let Some(description) = description.filter(|text| !text.is_empty()) else { return };
    let Some(map) = schema.as_object_mut() else { return };
    let joined = match map.get("description").and_then(Value::as_str) {
        Some(own) if own.starts_with(&*description) => return,
        Some(own) if !own.is_empty() => format!("{description}\n{own}"),
        _ => description.to_string(),
    };
    map.insert("description".to_owned(), joined.into());
}

/// Anthropic refuses citations beside a structured answer.
fn without_citations(job: &mut Job<'_>, messages: &mut [Message]) {
    fn visit(parts: &mut [Part]) -> bool {
        let mut found = false;
        for part in parts {
            match &mut part.kind {
                PartKind::Document(document) => {
                    found |= document.citations == Some(true);
                    document.citations = None;
                    if let DocumentSource::Blocks(blocks) = &mut document.source {
                        found |= visit(blocks);
                    }
                }
                PartKind::SearchResult(result) => {
                    found |= result.citations == Some(true);
                    result.citations = None;
                }
                PartKind::ToolResult(result) => found |= visit(&mut result.parts),
                _ => {}
            }
        }
        found
    }
    let mut found = false;
    for message in messages {
        found |= visit(&mut message.parts);
    }
    if found {
        job.losses.warn(
            LossCode::CitationDropped,
            LossAction::Dropped,
            PATH,
            "no citations beside a structured answer",
        );
    }
}

/// The answer as the arguments of a tool.
fn through_tool(job: &mut Job<'_>, request: &mut Request, wanted: Wanted) {
    if let Some(ToolChoice::Tool(_) | ToolChoice::Server { .. }) = &request.tool_choice {
        // The client wants a call now; the answer comes in a later turn.
        job.losses.warn(LossCode::FormatUnsupported, LossAction::Dropped, PATH, "a tool is forced");
        job.restore.unwrap_member = None;
        return;
    }
    let mut name = Text::from_static(ANSWER_TOOL);
    let mut number = 2;
    while request.tools.iter().any(|tool| *tool.name() == name) {
        name = format!("{ANSWER_TOOL}_{number}").into();
        number += 1;
    }
    let dialect = match job.target.protocol {
        Protocol::Messages => Some(Dialect::AnthropicTool),
        Protocol::Gemini => Some(Dialect::GeminiJson),
        Protocol::Chat | Protocol::Responses => None,
    };
    let schema = match dialect {
        Some(dialect) => {
            let (converted, changes) = schema::convert(&wanted.schema, dialect);
            changes.report(job.losses, LossCode::FormatSchemaRelaxed, LossCode::FormatSchemaRelaxed, PATH);
            converted
        }
        None => wanted.schema,
    };
    let alone = request.tools.is_empty();
    request.tools.push(Tool::Function(Box::new(FunctionTool {
        name: name.clone(),
        description: Some(match wanted.description {
            Some(description) => format!("Gives the final answer: {description}").into(),
            None => Text::from_static("Gives the final answer to the user."),
        }),
        schema: Some(RawJson::of(&schema)),
        ..FunctionTool::default()
    })));
    job.restore.answer_tool = Some(name.clone());
    let thinking = request.reasoning.as_ref().is_some_and(|control| control.mode == ReasoningMode::On);
    let free = !job.capabilities().forced_tool_choice || (job.to(Protocol::Messages) && thinking);
    if free {
        // No tool can be forced here.
        instruct(request, format!("Give your final answer by calling the tool `{name}`, not as text."));
        request.tool_choice = Some(ToolChoice::Auto);
    } else if alone {
        request.tool_choice = Some(ToolChoice::Tool(ToolRef { name, custom: false }));
        request.parallel_tool_calls = Some(false);
    } else {
        request.tool_choice = Some(ToolChoice::Required);
    }
    report(job, "the answer is given through a tool");
}
