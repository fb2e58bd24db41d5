//! Short ways to write requests and to look at what became of them.

use std::sync::Arc;

use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{Capabilities, CarrierKey, Profile, Restore, Target, resolve};
use polyport_types::{
    ClientProtocol, FunctionTool, LossAction, LossCode, Losses, Message, Part, PartKind, PartStatus, Protocol, RawJson,
    Reasoning, ReasoningText, Request, Role, Severity, Signature, Tool, ToolCall, ToolCallKind, ToolResult,
};

pub(super) struct Outcome {
    pub(super) request: Request,
    pub(super) restore: Restore,
    pub(super) losses: Losses,
}

impl Outcome {
    pub(super) fn codes(&self) -> Vec<&'static str> {
        self.losses.entries().iter().map(|loss| loss.code.as_str()).collect()
    }

    pub(super) fn has(&self, code: LossCode, action: LossAction) -> bool {
        self.losses.entries().iter().any(|loss| loss.code == code && loss.action == action)
    }

    /// Whether the request is refused because of this code.
    pub(super) fn refused(&self, code: LossCode) -> bool {
        self.losses.entries().iter().any(|loss| loss.code == code && loss.severity == Severity::Error)
    }

    pub(super) fn detail(&self, code: LossCode) -> &str {
        let loss = self.losses.entries().iter().find(|loss| loss.code == code);
        &loss.unwrap_or_else(|| panic!("no {}: {:?}", code.as_str(), self.codes())).detail
    }
}

pub(super) fn plain(protocol: Protocol) -> Target {
    Target::plain(protocol, "model")
}

/// A target whose model differs from the plain one of its protocol.
pub(super) fn able(protocol: Protocol, change: impl FnOnce(&mut Capabilities)) -> Target {
    let mut target = plain(protocol);
    change(Arc::make_mut(&mut target.capabilities));
    target
}

/// A target whose server differs from the official one of its protocol.
pub(super) fn quirky(protocol: Protocol, change: impl FnOnce(&mut Profile)) -> Target {
    let mut target = plain(protocol);
    change(Arc::make_mut(&mut target.profile));
    target
}

pub(super) fn run(target: &Target, request: Request) -> Outcome {
    run_with(target, request, None, &|_| Vec::new())
}

pub(super) fn run_with(
    target: &Target,
    request: Request,
    carrier: Option<&CarrierKey>,
    signatures: &dyn Fn(&str) -> Vec<Signature>,
) -> Outcome {
    let mut losses = Losses::new();
    let (request, restore) = resolve(target, request, &ResolveContext { carrier, signatures }, &mut losses);
    Outcome { request, restore, losses }
}

/// A request with one word of the user.
pub(super) fn request(source: ClientProtocol) -> Request {
    Request { messages: vec![user("Hi")], ..Request::new(source, "alias") }
}

pub(super) fn with(source: ClientProtocol, messages: Vec<Message>) -> Request {
    let mut request = Request { messages, ..Request::new(source, "alias") };
    for (index, message) in request.messages.iter_mut().enumerate() {
        message.index = u32::try_from(index).unwrap();
    }
    request
}

pub(super) fn user(text: &str) -> Message {
    Message::new(Role::User, 0, vec![Part::text(text)])
}

pub(super) fn says(role: Role, parts: Vec<Part>) -> Message {
    Message::new(role, 0, parts)
}

pub(super) fn assistant(parts: Vec<Part>) -> Message {
    says(Role::Assistant, parts)
}

pub(super) fn results(parts: Vec<Part>) -> Message {
    says(Role::Tool, parts)
}

pub(super) fn call(id: &str, name: &str, arguments: &str) -> Part {
    call_of(id, name, arguments, ToolCallKind::Function)
}

pub(super) fn call_of(id: &str, name: &str, arguments: &str, kind: ToolCallKind) -> Part {
    Part::new(PartKind::ToolCall(Box::new(ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        kind,
        arguments: arguments.into(),
        caller: None,
        status: PartStatus::Complete,
    })))
}

pub(super) fn result(id: &str, text: &str) -> Part {
    result_of(id, vec![Part::text(text)])
}

pub(super) fn result_of(id: &str, parts: Vec<Part>) -> Part {
    Part::new(PartKind::ToolResult(Box::new(ToolResult {
        call_id: id.into(),
        name: None,
        kind: ToolCallKind::Function,
        parts,
        structured: None,
        is_error: false,
    })))
}

pub(super) fn thinking(text: &str, signature: Option<Signature>) -> Part {
    let text = if text.is_empty() { ReasoningText::None } else { ReasoningText::Full(text.into()) };
    Part { signature, ..Part::new(PartKind::Reasoning(Box::new(Reasoning { text, redacted: false }))) }
}

pub(super) fn function(name: &str, schema: &str) -> Tool {
    Tool::Function(Box::new(FunctionTool {
        name: name.into(),
        schema: Some(RawJson::parse(schema).unwrap()),
        ..FunctionTool::default()
    }))
}

pub(super) fn plain_function(name: &str) -> Tool {
    function(name, r#"{"type":"object","properties":{}}"#)
}

/// The history in short: `user: text…`, calls as `name(id)`, results as `=id`.
pub(super) fn outline(request: &Request) -> Vec<String> {
    let part = |part: &Part| match &part.kind {
        PartKind::Text(text) => text.text.to_string(),
        PartKind::ToolCall(call) => format!("{}({})", call.name, call.id),
        PartKind::ToolResult(result) => format!("={}", result.call_id),
        PartKind::Reasoning(reasoning) => format!("<{}>", reasoning.text.joined()),
        PartKind::Image(_) => "[image]".to_owned(),
        PartKind::Document(_) => "[document]".to_owned(),
        other => format!("{other:?}").chars().take(20).collect(),
    };
    request
        .messages
        .iter()
        .map(|message| {
            let parts: Vec<String> = message.parts.iter().map(part).collect();
            format!("{:?}: {}", message.role, parts.join(" | ")).to_lowercase()
        })
        .collect()
}
