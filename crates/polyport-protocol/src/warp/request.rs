//! Requests for Warp, written: the whole history as a task, the last turn as inputs.

use polyport_types::{
    DocumentSource, LossAction, LossCode, Losses, Media, MediaSource, Message as Turn, Part, PartKind, Request, Role,
    Tool, ToolChoice, ToolResult,
};
use prost::Message as _;
use serde_json::Value as Json;

use super::proto::attachment::Value as AttachmentValue;
use super::proto::call_mcp_tool_result::{Error, Outcome, Success, Text, outcome};
use super::proto::message::{AgentOutput, HistoryQuery, Message as Kind, ToolCall, ToolCallResult};
use super::proto::request::input::user_input::Input as Given;
use super::proto::request::input::{ToolCallResult as GivenResult, UserInput, UserInputs};
use super::proto::request::{Input, McpContext, Metadata, ModelConfig, Settings, TaskContext};
use super::proto::value::Kind as ValueKind;
use super::proto::{
    Attachment, AttachmentEntry, CallMcpTool, CallMcpToolResult, Image, InputContext, McpServer, McpTool, Message,
    Request as Wire, Struct, Task, UserQuery, Value, ValueEntry, call_mcp_tool_result,
};
use super::{SERVER, SYSTEM_PROMPT, value};
use crate::context::{Encoded, Target};

/// The only kind of tool whose calls a client can carry out.
const CALL_MCP_TOOL: i32 = 9;

/// The one task of a history.
const TASK: &str = "task-1";

/// Writes a resolved request for a provider. What the protocol has no slot for is appended to `losses`.
#[must_use]
pub fn encode_request(target: &Target, request: &Request, losses: &mut Losses) -> Encoded {
    let body = message(target, request, losses).encode_to_vec();
    let headers = vec![
        ("content-type".into(), "application/x-protobuf".to_owned()),
        ("accept".into(), "text/event-stream".to_owned()),
    ];
    Encoded { body, headers, ..Encoded::default() }
}

pub(super) fn message(target: &Target, request: &Request, losses: &mut Losses) -> Wire {
    let last_answer = request.messages.iter().rposition(|turn| turn.role == Role::Assistant);
    let (history, now) = request.messages.split_at(last_answer.map_or(0, |at| at + 1));
    let mut system = instructions(request, losses);
    let mut messages = Vec::new();
    for turn in history {
        Writer { request, losses, system: &mut system }.past(turn, &mut messages);
    }
    let mut images = Vec::new();
    let mut inputs = Vec::new();
    for turn in now {
        Writer { request, losses, system: &mut system }.present(turn, &mut inputs, &mut images);
    }
    if inputs.is_empty() {
        // There is always something to answer; a conversation that ends with an answer is to go on.
        inputs.push(query("Continue.".to_owned()));
    }
    attach(system, &mut inputs, &mut messages);
    number(&mut messages);
    let tasks =
        if messages.is_empty() { Vec::new() } else { vec![Task { id: TASK.to_owned(), messages, ..Task::default() }] };
    report(request, losses);
    Wire {
        task_context: (!tasks.is_empty()).then_some(TaskContext { tasks }),
        input: Some(Input {
            context: (!images.is_empty()).then_some(InputContext { images }),
            user_inputs: Some(UserInputs { inputs }),
        }),
        settings: Some(Settings {
            model_config: Some(ModelConfig { base: target.model.to_string() }),
            supports_parallel_tool_calls: request.parallel_tool_calls != Some(false),
            supported_tools: vec![CALL_MCP_TOOL],
            supports_reasoning_message: true,
            ..Settings::default()
        }),
        metadata: Some(Metadata { logging: vec![entrypoint()], ..Metadata::default() }),
        mcp_context: tools(request, losses),
    }
}

pub(super) fn entrypoint() -> ValueEntry {
    let kind = ValueKind::StringValue("USER_INITIATED".to_owned());
    ValueEntry { key: "entrypoint".to_owned(), value: Some(Value { kind: Some(kind) }) }
}

fn query(query: String) -> UserInput {
    UserInput { input: Some(Given::UserQuery(UserQuery { query, ..UserQuery::default() })) }
}

pub(super) fn attachment(text: String) -> AttachmentEntry {
    let value = Attachment { value: Some(AttachmentValue::PlainText(text)) };
    AttachmentEntry { key: SYSTEM_PROMPT.to_owned(), value: Some(value) }
}

/// Instructions go with the query that is asked now, or with the last one of the history.
fn attach(system: String, inputs: &mut Vec<UserInput>, messages: &mut [Message]) {
    if system.is_empty() {
        return;
    }
    let asks = |input: &UserInput| matches!(input.input, Some(Given::UserQuery(_)));
    let asked = |message: &Message| matches!(message.message, Some(Kind::UserQuery(_)));
    if !inputs.iter().any(asks) && !messages.iter().any(asked) {
        // A conversation without any query: one that asks nothing carries them.
        inputs.push(query(String::new()));
    }
    let asked = inputs.iter_mut().rev().find_map(|input| match &mut input.input {
        Some(Given::UserQuery(query)) => Some(&mut query.referenced_attachments),
        _ => None,
    });
    let past = messages.iter_mut().rev().find_map(|message| match &mut message.message {
        Some(Kind::UserQuery(query)) => Some(&mut query.referenced_attachments),
        _ => None,
    });
    if let Some(attachments) = asked.or(past) {
        attachments.push(attachment(system));
    }
}

/// Ids come from positions, so that the same history is the same bytes.
fn number(messages: &mut [Message]) {
    for (index, message) in messages.iter_mut().enumerate() {
        message.id = format!("m{}", index + 1);
        TASK.clone_into(&mut message.task_id);
    }
}

fn instructions(request: &Request, losses: &mut Losses) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for (index, instruction) in request.instructions.iter().enumerate() {
        for part in &instruction.parts {
            match part.as_text() {
                Some(text) => texts.push(text),
                None => {
                    losses.error(
                        LossCode::MediaUnsupported,
                        format!("/instructions/{index}"),
                        "media in an instruction",
                    );
                }
            }
        }
    }
    texts.join("\n\n")
}

struct Writer<'a> {
    request: &'a Request,
    losses: &'a mut Losses,
    system: &'a mut String,
}

impl Writer<'_> {
    /// A turn that was answered.
    fn past(&mut self, turn: &Turn, out: &mut Vec<Message>) {
        let push = |kind: Kind, out: &mut Vec<Message>| out.push(Message { message: Some(kind), ..Message::default() });
        match turn.role {
            Role::System | Role::Developer => self.instruct(turn),
            Role::User => {
                let (text, images) = self.said(turn);
                let context = (!images.is_empty()).then_some(InputContext { images });
                push(Kind::UserQuery(HistoryQuery { query: text, context, ..HistoryQuery::default() }), out);
            }
            Role::Tool => {
                for result in results(turn) {
                    let call_mcp_tool = Some(self.outcome(turn, result));
                    let tool_call_id = result.call_id.to_string();
                    push(Kind::ToolCallResult(ToolCallResult { tool_call_id, call_mcp_tool }), out);
                }
            }
            Role::Assistant => {
                for part in &turn.parts {
                    match &part.kind {
                        PartKind::Text(text) if text.text.is_empty() => {}
                        PartKind::Text(text) => {
                            push(
                                Kind::AgentOutput(AgentOutput {
                                    text: text.text.to_string(),
                                    ..AgentOutput::default()
                                }),
                                out,
                            );
                        }
                        PartKind::Refusal(text) => {
                            push(
                                Kind::AgentOutput(AgentOutput { text: text.to_string(), ..AgentOutput::default() }),
                                out,
                            );
                        }
                        PartKind::ToolCall(call) => {
                            let call_mcp_tool = CallMcpTool {
                                name: call.name.to_string(),
                                args: Some(arguments(&call.arguments)),
                                server_id: SERVER.to_owned(),
                            };
                            let tool_call_id = call.id.to_string();
                            push(Kind::ToolCall(ToolCall { tool_call_id, call_mcp_tool: Some(call_mcp_tool) }), out);
                        }
                        PartKind::Reasoning(_) => {
                            let path = self.request.message_path(turn);
                            self.losses.info(LossCode::ReasoningTextDropped, LossAction::Dropped, path, "");
                        }
                        _ => self.unable(turn),
                    }
                }
            }
        }
    }

    /// A turn that waits for its answer.
    fn present(&mut self, turn: &Turn, out: &mut Vec<UserInput>, images: &mut Vec<Image>) {
        match turn.role {
            Role::System | Role::Developer => self.instruct(turn),
            Role::Tool => {
                for result in results(turn) {
                    let call_mcp_tool = Some(self.outcome(turn, result));
                    let given = GivenResult { tool_call_id: result.call_id.to_string(), call_mcp_tool };
                    out.push(UserInput { input: Some(Given::ToolCallResult(given)) });
                }
            }
            Role::User | Role::Assistant => {
                let (text, seen) = self.said(turn);
                images.extend(seen);
                out.push(query(text));
            }
        }
    }

    /// An instruction inside the history.
    fn instruct(&mut self, turn: &Turn) {
        for text in turn.parts.iter().filter_map(Part::as_text) {
            if !self.system.is_empty() {
                self.system.push_str("\n\n");
            }
            self.system.push_str(text);
        }
    }

    /// Text and images of a person's turn.
    fn said(&mut self, turn: &Turn) -> (String, Vec<Image>) {
        let mut texts: Vec<String> = Vec::new();
        let mut images = Vec::new();
        for part in &turn.parts {
            match &part.kind {
                PartKind::Text(text) => texts.push(text.text.to_string()),
                PartKind::Image(media) => match image(media) {
                    Some(image) => images.push(image),
                    None => self.unable(turn),
                },
                PartKind::Document(document) => match &document.source {
                    DocumentSource::PlainText(text) => {
                        let title = document.title.as_ref().or(document.filename.as_ref());
                        texts.push(title.map_or_else(|| text.to_string(), |title| format!("{title}:\n{text}")));
                    }
                    DocumentSource::File(_) | DocumentSource::Blocks(_) => self.unable(turn),
                },
                _ => self.unable(turn),
            }
        }
        (texts.join("\n\n"), images)
    }

    /// What a tool gave.
    fn outcome(&mut self, turn: &Turn, given: &ToolResult) -> CallMcpToolResult {
        let text = |text: String| Outcome { result: Some(outcome::Result::Text(Text { text })) };
        let mut results = Vec::new();
        results.extend(given.structured.as_ref().map(|json| text(json.as_str().to_owned())));
        for part in &given.parts {
            match &part.kind {
                PartKind::Text(part) => results.push(text(part.text.to_string())),
                PartKind::Image(media) => match image(media) {
                    Some(image) => results.push(Outcome { result: Some(outcome::Result::Image(image)) }),
                    None => self.unable(turn),
                },
                _ => self.unable(turn),
            }
        }
        let outcome = if given.is_error {
            let words = results.into_iter().filter_map(|outcome| match outcome.result {
                Some(outcome::Result::Text(text)) => Some(text.text),
                _ => None,
            });
            call_mcp_tool_result::Result::Error(Error { message: words.collect::<Vec<_>>().join("\n") })
        } else {
            call_mcp_tool_result::Result::Success(Success { results })
        };
        CallMcpToolResult { result: Some(outcome) }
    }

    fn unable(&mut self, turn: &Turn) {
        let path = self.request.message_path(turn);
        self.losses.error(LossCode::MediaUnsupported, path, "Warp takes text and inline images");
    }
}

fn results(turn: &Turn) -> impl Iterator<Item = &ToolResult> {
    turn.parts.iter().filter_map(|part| match &part.kind {
        PartKind::ToolResult(result) => Some(&**result),
        _ => None,
    })
}

/// Pictures stay base64 text there.
fn image(media: &Media) -> Option<Image> {
    match &media.source {
        MediaSource::Base64 { mime, data } => {
            Some(Image { data: data.as_bytes().to_vec().into(), mime_type: mime.to_string() })
        }
        MediaSource::Url { .. } | MediaSource::FileId { .. } => None,
    }
}

fn arguments(text: &str) -> Struct {
    match serde_json::from_str(text) {
        Ok(Json::Object(object)) => value::object(&object),
        _ => Struct::default(),
    }
}

fn tools(request: &Request, losses: &mut Losses) -> Option<McpContext> {
    if request.tools.is_empty() || request.tool_choice == Some(ToolChoice::None) {
        return None;
    }
    let mut tools = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        let Tool::Function(tool) = tool else {
            losses.error(LossCode::ToolUnsupported, format!("/tools/{index}"), "Warp takes functions only");
            continue;
        };
        let schema = tool.schema.as_ref().map(|schema| schema.to_value());
        tools.push(McpTool {
            name: tool.name.to_string(),
            description: tool.description.as_deref().unwrap_or_default().to_owned(),
            input_schema: Some(match schema {
                Some(Json::Object(schema)) => value::object(&schema),
                _ => Struct::default(),
            }),
        });
    }
    let server = McpServer { name: SERVER.to_owned(), id: SERVER.to_owned(), tools, ..McpServer::default() };
    (!server.tools.is_empty()).then(|| McpContext { servers: vec![server], ..McpContext::default() })
}

/// Reports what has no slot and what `resolve` leaves to the writer.
fn report(request: &Request, losses: &mut Losses) {
    use LossAction::Dropped;
    let sampling = &request.sampling;
    for (name, given) in [
        ("temperature", sampling.temperature.is_some()),
        ("top_p", sampling.top_p.is_some()),
        ("top_k", sampling.top_k.is_some()),
        ("min_p", sampling.min_p.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("max_tokens", request.limits.max_output_tokens.is_some()),
        ("stop", !request.limits.stop.is_empty()),
        ("response_format", request.response_format.is_some()),
        ("reasoning", request.reasoning.is_some()),
    ] {
        if given {
            losses.warn(LossCode::SamplingUnsupported, Dropped, format!("/{name}"), "Warp has no such setting");
        }
    }
    if !matches!(request.tool_choice, None | Some(ToolChoice::Auto | ToolChoice::None)) {
        losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", "auto");
    }
    if request.candidates.is_some_and(|count| count > 1) {
        losses.warn(LossCode::CandidatesUnsupported, Dropped, "/n", "");
    }
}
