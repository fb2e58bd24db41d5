//! Answers of Warp, read.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use polyport_types::{
    Event, Extras, Fault, FaultClass, Finish, FinishReason, PartId, PartStart, PartStatus, StreamStart, Text,
    ToolCallKind, ToolCallStart, Usage,
};
use prost::Message as _;

use super::proto::client_action::{Action, ChangeMessage};
use super::proto::message::{Message as Kind, ToolCall};
use super::proto::response_event::Type;
use super::proto::stream_finished::Reason;
use super::proto::{ClientAction, Message, ResponseEvent, StreamFinished, Task};
use super::value;
use crate::classify::mask;
use crate::context::Target;
use crate::estimate;
use crate::sse::Frame;
use crate::stream::Step;

/// Base64 in the alphabet of addresses, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest words of an error, in characters.
const MAX_WORDS: usize = 2000;

/// Messages of one answer that are remembered.
const MAX_MESSAGES: usize = 10_000;

/// Provider stream to events.
#[derive(Debug)]
pub struct Decoder {
    model: Text,
    started: bool,
    /// The task whose messages are the answer; those of others belong to helpers of the model.
    root: Option<String>,
    seen: HashMap<String, Seen>,
    open: Option<Open>,
    next: u32,
    called: bool,
    finished: bool,
    /// Tokens of what was given out, by estimate.
    given: u64,
}

/// A message whose text grows: how much of it was given out.
#[derive(Debug, Default)]
struct Seen {
    text: String,
    reasoning: String,
}

#[derive(Debug)]
struct Open {
    part: PartId,
    message: String,
    reasoning: bool,
}

impl Decoder {
    /// A decoder for the stream of `target`.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        Self {
            model: target.model.clone(),
            started: false,
            root: None,
            seen: HashMap::new(),
            open: None,
            next: 0,
            called: false,
            finished: false,
            given: 0,
        }
    }

    /// Takes one frame.
    pub fn event(&mut self, frame: &Frame, out: &mut Vec<Event>) -> Step {
        let Frame::Event { data, .. } = frame else { return Step::Ok };
        let text: String = data.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
        if text.is_empty() || text == "[DONE]" {
            return Step::Ok;
        }
        // The standard alphabet differs in two letters.
        let text = text.replace('+', "-").replace('/', "_");
        let Ok(bytes) = BASE64.decode(text) else { return Step::Unreadable };
        let Ok(event) = ResponseEvent::decode(bytes.as_slice()) else { return Step::Unreadable };
        match event.r#type {
            None => Step::Ok,
            Some(Type::Init(init)) => {
                let id = [init.request_id, init.conversation_id].into_iter().find(|id| !id.is_empty());
                self.start(id.unwrap_or_default().into(), out);
                Step::Ok
            }
            Some(Type::ClientActions(actions)) => {
                self.start(Text::new(), out);
                actions.actions.into_iter().for_each(|action| self.action(action, out));
                Step::Ok
            }
            Some(Type::Finished(finished)) => {
                self.start(Text::new(), out);
                self.finished(&finished, out)
            }
        }
    }

    /// Takes the end of the body. The caller appends `End`.
    pub fn finish(&mut self, _broken: bool, out: &mut Vec<Event>) {
        if !self.finished {
            out.push(failure(
                FaultClass::UpstreamProtocol,
                "the provider's stream ended before the answer was finished",
            ));
        }
    }

    fn start(&mut self, id: Text, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start(Box::new(StreamStart { id, model: self.model.clone(), ..StreamStart::default() })));
        }
    }

    fn action(&mut self, action: ClientAction, out: &mut Vec<Event>) {
        match action.action {
            Some(Action::CreateTask(created)) => {
                let task = created.task.unwrap_or_default();
                let is_root = task.dependencies.as_ref().is_none_or(|on| on.parent_task_id.is_empty());
                if is_root && self.root.is_none() {
                    self.root = Some(task.id.clone());
                }
                let Task { id, messages, .. } = task;
                self.messages(&id, messages, out);
            }
            Some(Action::AddMessagesToTask(added)) => self.messages(&added.task_id, added.messages, out),
            Some(Action::UpdateTaskMessage(change)) => self.change(change, false, out),
            Some(Action::AppendToMessageContent(change)) => self.change(change, true, out),
            // What was streamed cannot be unsaid.
            Some(Action::RollbackTransaction(_)) | None => {}
        }
    }

    fn is_ours(&self, task: &str) -> bool {
        self.root.as_deref().is_none_or(|root| task.is_empty() || root == task)
    }

    fn messages(&mut self, task: &str, messages: Vec<Message>, out: &mut Vec<Event>) {
        if self.is_ours(task) {
            messages.into_iter().for_each(|message| self.whole(message, out));
        }
    }

    /// A message as it is now.
    fn whole(&mut self, message: Message, out: &mut Vec<Event>) {
        let Message { id, message: Some(kind), .. } = message else { return };
        match kind {
            Kind::AgentOutput(output) => {
                self.grown(&id, &output.reasoning, true, out);
                self.grown(&id, &output.text, false, out);
            }
            Kind::AgentReasoning(thought) => self.grown(&id, &thought.reasoning, true, out),
            Kind::ToolCall(call) => self.call(&id, call, out),
            Kind::ModelUsed(_) | Kind::UserQuery(_) | Kind::ToolCallResult(_) => {}
        }
    }

    /// A message that changed: in full, or by what comes behind it.
    fn change(&mut self, change: ChangeMessage, appended: bool, out: &mut Vec<Event>) {
        if !self.is_ours(&change.task_id) {
            return;
        }
        let Some(message) = change.message else { return };
        let known = self.seen.contains_key(&message.id);
        let masked = |path: &str| change.mask.as_ref().is_none_or(|mask| mask.paths.iter().any(|known| known == path));
        if !known && !appended {
            return self.whole(message, out);
        }
        let Message { id, message: Some(kind), .. } = message else { return };
        let pieces = match kind {
            Kind::AgentOutput(output) => [
                (output.reasoning, true, masked("agent_output.reasoning")),
                (output.text, false, masked("agent_output.text")),
            ],
            Kind::AgentReasoning(thought) => {
                [(thought.reasoning, true, masked("agent_reasoning.reasoning")), (String::new(), false, false)]
            }
            Kind::ToolCall(call) => return self.call(&id, call, out),
            Kind::ModelUsed(_) | Kind::UserQuery(_) | Kind::ToolCallResult(_) => return,
        };
        for (piece, reasoning, _) in pieces.into_iter().filter(|(_, _, masked)| *masked) {
            if appended {
                self.append(&id, &piece, reasoning, out);
            } else {
                self.grown(&id, &piece, reasoning, out);
            }
        }
    }

    /// What is new of a text that is given whole; what was said otherwise stays said.
    fn grown(&mut self, id: &str, text: &str, reasoning: bool, out: &mut Vec<Event>) {
        let seen = self.remember(id);
        let before = if reasoning { &seen.reasoning } else { &seen.text };
        let new = text.strip_prefix(before.as_str()).unwrap_or_default().to_owned();
        self.append(id, &new, reasoning, out);
    }

    fn append(&mut self, id: &str, piece: &str, reasoning: bool, out: &mut Vec<Event>) {
        if piece.is_empty() {
            return;
        }
        let seen = self.remember(id);
        if reasoning { &mut seen.reasoning } else { &mut seen.text }.push_str(piece);
        let part = match &self.open {
            Some(open) if open.message == id && open.reasoning == reasoning => open.part,
            _ => self.begin(id, reasoning, out),
        };
        self.given += estimate::text_tokens(piece);
        out.push(Event::Delta { part, text: piece.to_owned().into() });
    }

    fn remember(&mut self, id: &str) -> &mut Seen {
        if self.seen.len() >= MAX_MESSAGES && !self.seen.contains_key(id) {
            self.seen.clear();
        }
        self.seen.entry(id.to_owned()).or_default()
    }

    fn begin(&mut self, id: &str, reasoning: bool, out: &mut Vec<Event>) -> PartId {
        self.close(out);
        let part = self.part();
        let start = if reasoning {
            PartStart::Reasoning { item_id: None, summary: false }
        } else {
            PartStart::Text { item_id: None, phase: None }
        };
        out.push(Event::PartStart { part, choice: 0, start });
        self.open = Some(Open { part, message: id.to_owned(), reasoning });
        part
    }

    fn part(&mut self) -> PartId {
        self.next += 1;
        PartId(self.next - 1)
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            out.push(Event::PartEnd { part: open.part, status: PartStatus::Complete });
        }
    }

    /// A call of a tool of the client; all others are the service's own.
    fn call(&mut self, message: &str, call: ToolCall, out: &mut Vec<Event>) {
        let ToolCall { tool_call_id, call_mcp_tool: Some(tool) } = call else { return };
        if tool.name.is_empty() || self.seen.contains_key(message) {
            return;
        }
        self.remember(message);
        self.close(out);
        self.called = true;
        let part = self.part();
        let id = if tool_call_id.is_empty() { format!("call_{message}") } else { tool_call_id };
        out.push(Event::PartStart {
            part,
            choice: 0,
            start: PartStart::ToolCall(Box::new(ToolCallStart {
                id: id.into(),
                name: tool.name.into(),
                namespace: None,
                kind: ToolCallKind::Function,
                item_id: None,
                signature: None,
                caller: None,
                ext: Extras::new(),
            })),
        });
        let arguments = tool.args.map_or_else(|| "{}".to_owned(), |args| value::json(&args).to_string());
        self.given += estimate::text_tokens(&arguments);
        out.push(Event::Delta { part, text: arguments.into() });
        out.push(Event::PartEnd { part, status: PartStatus::Complete });
    }

    fn finished(&mut self, finished: &StreamFinished, out: &mut Vec<Event>) -> Step {
        self.finished = true;
        self.close(out);
        let usage = usage(finished).or_else(|| split(finished, self.given));
        out.extend(usage.map(|usage| Event::Usage(Box::new(usage))));
        let (class, words) = match &finished.reason {
            None | Some(Reason::Done(_)) => {
                let reason = if self.called { FinishReason::ToolCalls } else { FinishReason::Stop };
                return self.end(reason, out);
            }
            Some(Reason::MaxTokenLimit(_)) => return self.end(FinishReason::MaxTokens, out),
            Some(Reason::ContextWindowExceeded(_)) => {
                (FaultClass::ContextTooLong, "the conversation is longer than the model's context window")
            }
            Some(Reason::QuotaLimit(_)) => (FaultClass::RateLimitedWindow, "the account's quota is used up"),
            Some(Reason::LlmUnavailable(_)) => (FaultClass::Overloaded, "the model is not available now"),
            Some(Reason::InternalError(error)) if !error.message.is_empty() => {
                let words: String = mask(&error.message).chars().take(MAX_WORDS).collect();
                out.push(failure(FaultClass::ServerError, &words));
                return Step::Done;
            }
            Some(Reason::InternalError(_)) => (FaultClass::ServerError, "an internal error"),
            Some(Reason::InvalidApiKey(_)) => {
                (FaultClass::AuthInvalid, "the account's own key for the model is refused")
            }
            Some(Reason::Other(_)) => (FaultClass::ServerError, "the answer ended for a reason that was not named"),
        };
        out.push(failure(class, words));
        Step::Done
    }

    fn end(&mut self, reason: FinishReason, out: &mut Vec<Event>) -> Step {
        out.push(Event::Finish(Box::new(Finish { reason, ..Finish::default() })));
        Step::Done
    }
}

fn failure(class: FaultClass, words: &str) -> Event {
    Event::Error(Box::new(Fault { from_upstream: true, ..Fault::new(class, words) }))
}

/// What an answer used, of which only the sum is known: every request is a conversation of its own, whose total is that of its one answer.
fn split(finished: &StreamFinished, given: u64) -> Option<Usage> {
    let models = &finished.conversation_usage_metadata.as_ref()?.warp_token_usage;
    let total: u64 =
        models.iter().filter_map(|entry| entry.value.as_ref()).map(|usage| u64::from(usage.total_tokens)).sum();
    let output = given.min(total);
    (total > 0).then(|| Usage {
        input_uncached: Some(total - output),
        output_text: Some(output),
        estimated: true,
        ..Usage::default()
    })
}

/// What an answer used; `None` if it says nothing.
fn usage(finished: &StreamFinished) -> Option<Usage> {
    if finished.token_usage.is_empty() {
        return None;
    }
    let sum = |count: fn(&super::proto::TokenUsage) -> u32| {
        finished.token_usage.iter().map(|usage| u64::from(count(usage))).sum::<u64>()
    };
    let (input, output) = (sum(|usage| usage.total_input), sum(|usage| usage.output));
    let (read, write) = (sum(|usage| usage.input_cache_read), sum(|usage| usage.input_cache_write));
    Some(Usage {
        input_uncached: Some(input.saturating_sub(read).saturating_sub(write)),
        cache_read: Some(read),
        cache_write_unknown: Some(write),
        output_text: Some(output),
        ..Usage::default()
    })
}
