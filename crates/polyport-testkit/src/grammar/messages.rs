//! Anthropic Messages as its official libraries and its strictest readers take it.

use serde_json::Value;

use super::sse::{Frame, Frames};
use super::{Check, Choice, Failure, Summary, ToolCall, Usage};
use super::{count, count_or_zero, ensure, filled, given, list, object, only, short, text};

const STOP: [&str; 8] = [
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
];
const ERRORS: [&str; 11] = [
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "rate_limit_error",
    "timeout_error",
    "api_error",
    "overloaded_error",
    "conflict_error",
    "request_too_large",
];
/// Blocks that arrive whole in their start event.
const WHOLE: [&str; 12] = [
    "redacted_thinking",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "advisor_tool_result",
    "mcp_tool_result",
    "container_upload",
    "fallback",
    "compaction",
];

pub(super) fn stream(stream: &Frames<'_>, check: &Check) -> Result<Summary, String> {
    let mut reader =
        Reader { strict: check.strict, summary: Summary::default(), state: State::Idle, next: 0, start: None };
    for (number, frame) in stream.frames.iter().enumerate() {
        reader.event(frame).map_err(|e| format!("event {number}: {e}"))?;
    }
    reader.summary.keep_alives += stream.comments;
    ensure(matches!(reader.state, State::Done | State::Failed), || {
        "the stream ends without message_stop and without an error".to_owned()
    })?;
    Ok(reader.summary)
}

enum State {
    /// Before `message_start`.
    Idle,
    /// Between two blocks.
    Between,
    /// Inside a block.
    In(Block),
    /// After `message_delta`.
    Closing,
    /// After `message_stop`.
    Done,
    /// After an error.
    Failed,
}

struct Block {
    index: u64,
    kind: String,
    start: Value,
    json: String,
    pieces: usize,
    signatures: usize,
}

struct Reader {
    strict: bool,
    summary: Summary,
    state: State,
    /// Index of the next block.
    next: u64,
    /// The usage of `message_start`.
    start: Option<Value>,
}

impl Reader {
    fn event(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        if !self.strict && frame.data == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(frame.data).map_err(|e| format!("no JSON: {e}"))?;
        let kind = text(&event, "type")?;
        match frame.name {
            Some(name) => ensure(name == kind, || format!("`event: {name}` with type `{kind}`"))?,
            None => ensure(!self.strict, || format!("no `event:` line before {kind}"))?,
        }
        ensure(!matches!(self.state, State::Done | State::Failed), || format!("{kind} after the end of the stream"))?;
        if kind == "ping" {
            ensure(!matches!(self.state, State::Idle), || "ping before message_start".to_owned())?;
            self.summary.keep_alives += 1;
            return Ok(());
        }
        self.summary.events += 1;
        match kind {
            "error" => {
                self.summary.failure = Some(failure(&event)?);
                self.state = State::Failed;
                Ok(())
            }
            "message_start" => self.message_start(&event),
            "content_block_start" => self.block_start(&event),
            "content_block_delta" => self.block_delta(&event),
            "content_block_stop" => self.block_stop(&event),
            "message_delta" => self.message_delta(&event),
            "message_stop" => self.message_stop(),
            other => Err(format!("unknown event `{other}`")),
        }
    }

    fn message_start(&mut self, event: &Value) -> Result<(), String> {
        ensure(matches!(self.state, State::Idle), || "a second message_start".to_owned())?;
        let message = object(event, "message")?;
        let content = list(message, "content")?;
        envelope(message, &mut self.summary)?;
        if self.strict {
            ensure(content.is_empty(), || "message_start with content".to_owned())?;
            for name in ["stop_reason", "stop_sequence"] {
                ensure(message.get(name) == Some(&Value::Null), || format!("`{name}` is not null in message_start"))?;
            }
        }
        let usage = object(message, "usage")?;
        count(usage, "input_tokens")?;
        count(usage, "output_tokens")?;
        self.start = Some(usage.clone());
        self.state = State::Between;
        let into = self.summary.choice(0);
        for block in content {
            whole_block(block, into, self.strict)?;
        }
        // Programmatic tool calling answers at once: everything is in the start.
        if given(message, "stop_reason") {
            self.finish(message, usage)?;
        }
        Ok(())
    }

    fn block_start(&mut self, event: &Value) -> Result<(), String> {
        ensure(matches!(self.state, State::Between), || {
            "content_block_start outside of a message or inside a block".to_owned()
        })?;
        let index = count(event, "index")?;
        ensure(index == self.next, || format!("block index {index} where {} is next", self.next))?;
        let start = object(event, "content_block")?;
        let kind = filled(start, "type")?;
        if self.strict {
            starts_right(kind, start)?;
        }
        let block =
            Block { index, kind: kind.to_owned(), start: start.clone(), json: String::new(), pieces: 0, signatures: 0 };
        self.next += 1;
        self.state = State::In(block);
        let into = self.summary.choice(0);
        match kind {
            "text" => into.add_text(text(start, "text")?),
            "thinking" => into.add_reasoning(text(start, "thinking")?),
            _ => {}
        }
        Ok(())
    }

    fn block_delta(&mut self, event: &Value) -> Result<(), String> {
        let index = count(event, "index")?;
        let State::In(block) = &mut self.state else { return Err("content_block_delta outside of a block".to_owned()) };
        ensure(index == block.index, || format!("a delta for block {index} inside block {}", block.index))?;
        let delta = object(event, "delta")?;
        let kind = filled(delta, "type")?;
        let into = self.summary.choice(0);
        block.pieces += 1;
        match (block.kind.as_str(), kind) {
            ("text", "text_delta") => into.add_text(text(delta, "text")?),
            ("text", "citations_delta") => into.citations.push(object(delta, "citation")?.clone()),
            ("thinking", "thinking_delta") => {
                ensure(block.signatures == 0, || "thinking_delta after signature_delta".to_owned())?;
                into.add_reasoning(text(delta, "thinking")?);
            }
            ("thinking", "signature_delta") => {
                block.signatures += 1;
                ensure(block.signatures == 1, || "a second signature_delta".to_owned())?;
                into.signatures.push(text(delta, "signature")?.to_owned());
            }
            ("tool_use" | "server_tool_use" | "mcp_tool_use", "input_json_delta") => {
                block.json.push_str(text(delta, "partial_json")?);
            }
            ("compaction", "compaction_delta") => {}
            (block, delta) => return Err(format!("{delta} in a {block} block")),
        }
        Ok(())
    }

    fn block_stop(&mut self, event: &Value) -> Result<(), String> {
        let index = count(event, "index")?;
        let State::In(block) = std::mem::replace(&mut self.state, State::Between) else {
            return Err("content_block_stop outside of a block".to_owned());
        };
        ensure(index == block.index, || format!("block {index} stops inside block {}", block.index))?;
        let into = self.summary.choice(0);
        match block.kind.as_str() {
            "text" => Ok(()),
            "thinking" => {
                ensure(block.signatures == 1 || !self.strict, || "a thinking block without signature_delta".to_owned())
            }
            "tool_use" => {
                // Without deltas the input of the start is the value.
                let arguments =
                    if block.json.is_empty() { object(&block.start, "input")?.to_string() } else { block.json };
                ensure(block.pieces > 0 || !self.strict, || "a tool_use block without input_json_delta".to_owned())?;
                into.add_call(ToolCall {
                    id: filled(&block.start, "id")?.to_owned(),
                    name: filled(&block.start, "name")?.to_owned(),
                    arguments,
                    custom: false,
                });
                Ok(())
            }
            _ => whole_block(&block.start, into, self.strict),
        }
    }

    fn message_delta(&mut self, event: &Value) -> Result<(), String> {
        ensure(matches!(self.state, State::Between), || "message_delta inside a block or a second time".to_owned())?;
        let delta = object(event, "delta")?;
        if self.strict {
            only(event, &["type", "delta", "usage", "context_management"])?;
            ensure(delta.get("stop_sequence").is_some(), || "`stop_sequence` is missing in message_delta".to_owned())?;
        }
        let usage = object(event, "usage")?;
        count(usage, "output_tokens")?;
        // Later counts replace those of the start.
        let mut merged = self.start.clone().unwrap_or_default();
        for (name, value) in usage.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            merged[name.as_str()] = value.clone();
        }
        self.finish(delta, &merged)
    }

    fn finish(&mut self, delta: &Value, usage: &Value) -> Result<(), String> {
        self.summary.usage = Some(usage_of(usage)?);
        stop(delta, self.summary.choice(0), self.strict)?;
        self.state = State::Closing;
        Ok(())
    }

    fn message_stop(&mut self) -> Result<(), String> {
        ensure(matches!(self.state, State::Closing), || "message_stop without message_delta".to_owned())?;
        self.state = State::Done;
        Ok(())
    }
}

/// What a block that arrives in pieces must look like at its start.
fn starts_right(kind: &str, start: &Value) -> Result<(), String> {
    match kind {
        "text" => ensure(text(start, "text")?.is_empty(), || "a text block starts with text".to_owned()),
        "thinking" => {
            ensure(text(start, "thinking")?.is_empty(), || "a thinking block starts with text".to_owned())?;
            ensure(text(start, "signature")?.is_empty(), || "a thinking block starts with a signature".to_owned())
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            let empty = object(start, "input")?.as_object().is_some_and(|input| input.is_empty());
            ensure(empty, || "a tool block starts with input".to_owned())
        }
        other => ensure(WHOLE.contains(&other), || format!("unknown block `{other}`")),
    }
}

fn envelope(message: &Value, summary: &mut Summary) -> Result<(), String> {
    ensure(text(message, "type")? == "message", || "wrong `type` of the message".to_owned())?;
    ensure(text(message, "role")? == "assistant", || "a role other than assistant".to_owned())?;
    filled(message, "id")?.clone_into(&mut summary.id);
    filled(message, "model")?.clone_into(&mut summary.model);
    Ok(())
}

/// Takes in a block that is complete.
fn whole_block(block: &Value, into: &mut Choice, strict: bool) -> Result<(), String> {
    match filled(block, "type")? {
        "text" => {
            into.add_text(text(block, "text")?);
            into.citations.extend(block.get("citations").and_then(Value::as_array).into_iter().flatten().cloned());
        }
        "thinking" => {
            into.add_reasoning(text(block, "thinking")?);
            into.signatures.push(text(block, "signature")?.to_owned());
        }
        "redacted_thinking" => {
            into.note("reasoning");
            into.signatures.push(filled(block, "data")?.to_owned());
        }
        "tool_use" => into.add_call(ToolCall {
            id: filled(block, "id")?.to_owned(),
            name: filled(block, "name")?.to_owned(),
            arguments: object(block, "input")?.to_string(),
            custom: false,
        }),
        "server_tool_use" | "mcp_tool_use" => {
            filled(block, "id")?;
            into.add_special(filled(block, "name")?);
        }
        other => {
            ensure(WHOLE.contains(&other) || !strict, || format!("unknown block `{other}`"))?;
            into.add_special(other);
        }
    }
    Ok(())
}

/// Reads `stop_reason` and its companions, and judges the finished message.
fn stop(message: &Value, into: &mut Choice, strict: bool) -> Result<(), String> {
    let reason = filled(message, "stop_reason")?;
    ensure(STOP.contains(&reason) || !strict, || format!("unknown stop_reason `{reason}`"))?;
    into.finish = Some(reason.to_owned());
    into.stop_sequence = message.get("stop_sequence").and_then(Value::as_str).map(str::to_owned);
    ensure(reason != "stop_sequence" || into.stop_sequence.is_some(), || "stop_sequence is not told".to_owned())?;
    let calls = !into.tool_calls.is_empty();
    ensure(reason != "tool_use" || calls, || "stop_reason tool_use without a tool_use block".to_owned())?;
    ensure(reason != "end_turn" || !calls || !strict, || "stop_reason end_turn with a tool_use block".to_owned())?;
    for (at, call) in into.tool_calls.iter().enumerate() {
        let plain = call.id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        ensure(plain, || format!("bad tool_use id `{}`", call.id))?;
        let again = into.tool_calls.iter().take(at).any(|earlier| earlier.id == call.id);
        ensure(!again, || format!("tool_use id `{}` comes twice", call.id))?;
        let cut = matches!(reason, "max_tokens" | "model_context_window_exceeded" | "refusal");
        ensure(call.json().is_object() || cut || !strict, || {
            format!("the input of `{}` is no JSON object", call.name)
        })?;
    }
    Ok(())
}

fn usage_of(usage: &Value) -> Result<Usage, String> {
    let cache_read = count_or_zero(usage, "cache_read_input_tokens")?;
    let cache_write = count_or_zero(usage, "cache_creation_input_tokens")?;
    let details = usage.get("output_tokens_details").unwrap_or(&Value::Null);
    Ok(Usage {
        input: count(usage, "input_tokens")? + cache_read + cache_write,
        output: count(usage, "output_tokens")?,
        cache_read,
        cache_write,
        reasoning: count_or_zero(details, "thinking_tokens")?,
    })
}

pub(super) fn failure(body: &Value) -> Result<Failure, String> {
    ensure(text(body, "type")? == "error", || format!("wrong `type` of an error: {}", short(body)))?;
    let error = object(body, "error")?;
    let kind = filled(error, "type")?;
    ensure(ERRORS.contains(&kind), || format!("unknown error type `{kind}`"))?;
    let code = error.pointer("/details/error_code").and_then(Value::as_str).unwrap_or_default();
    Ok(Failure { kind: kind.to_owned(), code: code.to_owned(), message: filled(error, "message")?.to_owned() })
}

pub(super) fn answer(body: &Value, check: &Check) -> Result<Summary, String> {
    let mut summary = Summary { events: 1, ..Summary::default() };
    envelope(body, &mut summary)?;
    if check.strict {
        let known = [
            "id",
            "type",
            "role",
            "model",
            "content",
            "stop_reason",
            "stop_sequence",
            "stop_details",
            "usage",
            "container",
            "context_management",
            "diagnostics",
            "input_transformations",
        ];
        only(body, &known)?;
        ensure(body.get("stop_sequence").is_some(), || "`stop_sequence` is missing".to_owned())?;
    }
    let usage = object(body, "usage")?;
    summary.usage = Some(usage_of(usage)?);
    let into = summary.choice(0);
    for block in list(body, "content")? {
        whole_block(block, into, check.strict)?;
    }
    stop(body, into, check.strict)?;
    Ok(summary)
}
