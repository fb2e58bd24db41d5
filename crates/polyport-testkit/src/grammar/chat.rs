//! Chat Completions as its official libraries read it.

use serde_json::Value;

use super::sse::Frames;
use super::{Check, Choice, Failure, Summary, ToolCall, Usage};
use super::{count, count_or_zero, ensure, filled, given, list, object, only, short, text};
use crate::schema;

const FINISH: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];
const CHUNK: [&str; 10] = [
    "id",
    "object",
    "created",
    "model",
    "choices",
    "usage",
    "service_tier",
    "system_fingerprint",
    "obfuscation",
    "moderation",
];
const DELTA: [&str; 12] = [
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "audio",
    "annotations",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "images",
    "extra_content",
];

pub(super) fn stream(stream: &Frames<'_>, check: &Check) -> Result<Summary, String> {
    let mut reader = Reader { check, summary: Summary::default(), created: None, states: Vec::new(), done: false };
    for (number, frame) in stream.frames.iter().enumerate() {
        reader.event(frame.data).map_err(|e| format!("event {number}: {e}"))?;
    }
    reader.summary.keep_alives = stream.comments;
    reader.finish()
}

struct Reader<'a> {
    check: &'a Check,
    summary: Summary,
    created: Option<u64>,
    /// What was seen of each choice, by index.
    states: Vec<State>,
    done: bool,
}

#[derive(Clone, Default)]
struct State {
    role: bool,
    finished: bool,
}

impl Reader<'_> {
    fn event(&mut self, data: &str) -> Result<(), String> {
        ensure(!self.done && self.summary.failure.is_none(), || "something follows the end of the stream".to_owned())?;
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|e| format!("no JSON: {e}"))?;
        self.summary.events += 1;
        if chunk.get("error").is_some() {
            let finished = !self.states.is_empty() && self.states.iter().all(|state| state.finished);
            ensure(!finished, || "an error after every choice has finished".to_owned())?;
            self.summary.failure = Some(failure(&chunk)?);
            return Ok(());
        }
        self.chunk(&chunk)
    }

    fn chunk(&mut self, chunk: &Value) -> Result<(), String> {
        ensure(text(chunk, "object")? == "chat.completion.chunk", || "wrong `object`".to_owned())?;
        let choices = list(chunk, "choices")?;
        // Azure's first chunk, with the verdict on the prompt, has no id and no model yet.
        if !self.check.strict && choices.is_empty() && chunk.get("prompt_filter_results").is_some() {
            return Ok(());
        }
        if !self.check.vendor {
            only(chunk, &CHUNK)?;
        }
        same(&mut self.summary.id, filled(chunk, "id")?, "id")?;
        same(&mut self.summary.model, filled(chunk, "model")?, "model")?;
        let created = count(chunk, "created")?;
        ensure(*self.created.get_or_insert(created) == created, || "`created` changes".to_owned())?;
        by_schema("CreateChatCompletionStreamResponse", chunk, self.check)?;
        if given(chunk, "usage") {
            ensure(self.check.include_usage != Some(false), || "usage that nobody asked for".to_owned())?;
            ensure(choices.is_empty(), || "usage in a chunk with choices".to_owned())?;
            ensure(self.summary.usage.is_none(), || "a second usage chunk".to_owned())?;
            let open = self.states.iter().any(|state| !state.finished) || self.states.is_empty();
            ensure(!open, || "usage before every choice has finished".to_owned())?;
            self.summary.usage = Some(usage(object(chunk, "usage")?)?);
            return Ok(());
        }
        ensure(!choices.is_empty() || given(chunk, "moderation") || !self.check.strict, || {
            "no choices and no usage".to_owned()
        })?;
        ensure(choices.is_empty() || self.summary.usage.is_none(), || "choices after the usage chunk".to_owned())?;
        choices.iter().try_for_each(|choice| self.choice(choice))
    }

    fn choice(&mut self, choice: &Value) -> Result<(), String> {
        let index = count(choice, "index")?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        ensure(at <= self.states.len(), || format!("choice index {index} leaves a gap"))?;
        if at == self.states.len() {
            self.states.push(State::default());
        }
        let delta = object(choice, "delta")?;
        if !self.check.vendor {
            only(delta, &DELTA)?;
        }
        let state = &mut self.states[at];
        ensure(!state.finished, || format!("choice {index} goes on after its finish reason"))?;
        if given(delta, "role") {
            ensure(text(delta, "role")? == "assistant", || "a role other than assistant".to_owned())?;
            ensure(!state.role, || format!("the role of choice {index} comes twice"))?;
            state.role = true;
        }
        ensure(state.role, || format!("choice {index} starts without a role"))?;
        ensure(choice.get("finish_reason").is_some(), || "`finish_reason` is missing".to_owned())?;
        let into = self.summary.choice(index);
        delta_into(delta, into)?;
        if given(choice, "finish_reason") {
            let reason = text(choice, "finish_reason")?;
            ensure(FINISH.contains(&reason), || format!("unknown finish_reason `{reason}`"))?;
            into.finish = Some(reason.to_owned());
            state.finished = true;
        }
        Ok(())
    }

    fn finish(self) -> Result<Summary, String> {
        let mut summary = self.summary;
        if summary.failure.is_some() {
            return Ok(summary);
        }
        ensure(!self.states.is_empty(), || "the stream ends without a choice".to_owned())?;
        ensure(self.states.iter().all(|state| state.finished), || {
            "the stream ends without a finish_reason".to_owned()
        })?;
        ensure(self.done, || "the stream ends without [DONE]".to_owned())?;
        let missing = self.check.include_usage == Some(true) && summary.usage.is_none();
        ensure(!missing, || "the usage chunk is missing".to_owned())?;
        summary.choices.sort_by_key(|choice| choice.index);
        for choice in &summary.choices {
            complete(choice, self.check.strict)?;
        }
        Ok(summary)
    }
}

/// Judges by the published schema, but for what the service itself leaves out or sets to null.
fn by_schema(name: &str, value: &Value, check: &Check) -> Result<(), String> {
    let mut found = schema::validate_component(name, value).err().unwrap_or_default();
    found.retain(|violation| {
        let tolerated = violation.starts_with("/system_fingerprint: ") && value["system_fingerprint"].is_null();
        // Free-form tools are streamed as well, and vendors have tiers of their own.
        let tolerated = tolerated
            || (violation.contains("/delta/tool_calls/")
                && violation.contains(r#"/type: value is not one of "function""#))
            || (check.vendor && violation.starts_with("/service_tier: "));
        !tolerated && (check.strict || !violation.contains(r#""logprobs" is a required property"#))
    });
    ensure(found.is_empty(), || found.join("; "))
}

fn same(kept: &mut String, now: &str, name: &str) -> Result<(), String> {
    if kept.is_empty() {
        now.clone_into(kept);
    }
    ensure(kept == now, || format!("`{name}` changes from {kept} to {now}"))
}

fn delta_into(delta: &Value, into: &mut Choice) -> Result<(), String> {
    common(delta, into)?;
    for call in delta.get("tool_calls").map_or(Ok(&[][..]), |_| list(delta, "tool_calls"))? {
        call_delta(call, into)?;
    }
    if let Some(call) = delta.get("function_call") {
        let _ = call; // deprecated: read, never expected with tools
        ensure(into.tool_calls.is_empty(), || "function_call beside tool_calls".to_owned())?;
    }
    Ok(())
}

/// What deltas and whole messages share.
fn common(message: &Value, into: &mut Choice) -> Result<(), String> {
    let optional = |name: &str| if given(message, name) { text(message, name) } else { Ok("") };
    let content = optional("content")?;
    // Reasoning under several names is the same text.
    let plain = [optional("reasoning_content")?, optional("reasoning")?];
    let mut detailed = String::new();
    for detail in message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten() {
        for name in ["text", "summary"] {
            detailed.push_str(detail.get(name).and_then(Value::as_str).unwrap_or_default());
        }
        for name in ["signature", "data"] {
            into.signatures.extend(detail.get(name).and_then(Value::as_str).map(str::to_owned));
        }
    }
    let reasoning = plain.into_iter().find(|text| !text.is_empty()).unwrap_or(&detailed);
    into.add_reasoning(reasoning);
    into.add_text(content);
    into.add_refusal(optional("refusal")?);
    into.citations.extend(message.get("annotations").and_then(Value::as_array).into_iter().flatten().cloned());
    for image in message.get("images").and_then(Value::as_array).into_iter().flatten() {
        let url = text(object(image, "image_url")?, "url")?;
        let (mime, data) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).unwrap_or(("", url));
        into.add_media(mime, data);
    }
    if let Some(data) = message.get("audio").and_then(|audio| audio.get("data")).and_then(Value::as_str) {
        into.add_media("", data);
    }
    Ok(())
}

fn call_delta(call: &Value, into: &mut Choice) -> Result<(), String> {
    let index = usize::try_from(count(call, "index")?).unwrap_or(usize::MAX);
    ensure(index <= into.tool_calls.len(), || format!("tool call index {index} leaves a gap"))?;
    signature_of(call, into);
    let custom = call.get("custom").is_some();
    let (kind, argument) = if custom { ("custom", "input") } else { ("function", "arguments") };
    let inner = object(call, kind)?;
    let piece = if given(inner, argument) { text(inner, argument)? } else { "" };
    if index == into.tool_calls.len() {
        let id = filled(call, "id")?.to_owned();
        ensure(into.tool_calls.iter().all(|known| known.id != id), || format!("tool call id `{id}` comes twice"))?;
        ensure(text(call, "type")? == kind, || format!("wrong type of tool call: {}", short(call)))?;
        let name = filled(inner, "name")?.to_owned();
        into.add_call(ToolCall { id, name, arguments: piece.to_owned(), custom });
        return Ok(());
    }
    // Libraries concatenate every string of a call: what comes twice is doubled.
    for (value, name) in [(call, "id"), (call, "type"), (inner, "name")] {
        ensure(!given(value, name), || format!("`{name}` of tool call {index} is repeated"))?;
    }
    into.tool_calls[index].arguments.push_str(piece);
    Ok(())
}

fn signature_of(call: &Value, into: &mut Choice) {
    let signature = call.pointer("/extra_content/google/thought_signature").and_then(Value::as_str);
    into.signatures.extend(signature.map(str::to_owned));
}

/// Rules on a finished choice.
fn complete(choice: &Choice, strict: bool) -> Result<(), String> {
    let finish = choice.finish.as_deref().unwrap_or_default();
    let calls = !choice.tool_calls.is_empty();
    ensure(finish != "tool_calls" || calls, || "finish_reason tool_calls without a call".to_owned())?;
    ensure(finish != "stop" || !calls || !strict, || "finish_reason stop with tool calls".to_owned())?;
    for call in &choice.tool_calls {
        let blank = call.arguments.trim().is_empty() && !call.custom && finish == "tool_calls";
        ensure(!blank, || format!("tool call `{}` has no arguments, not even {{}}", call.name))?;
    }
    Ok(())
}

fn usage(usage: &Value) -> Result<Usage, String> {
    let (input, output, total) =
        (count(usage, "prompt_tokens")?, count(usage, "completion_tokens")?, count(usage, "total_tokens")?);
    ensure(total == input + output, || format!("usage does not add up: {}", short(usage)))?;
    let none = Value::Null;
    let prompt = usage.get("prompt_tokens_details").unwrap_or(&none);
    let completion = usage.get("completion_tokens_details").unwrap_or(&none);
    let found = Usage {
        input,
        output,
        cache_read: count_or_zero(prompt, "cached_tokens")?,
        cache_write: count_or_zero(prompt, "cache_write_tokens")?,
        reasoning: count_or_zero(completion, "reasoning_tokens")?,
    };
    ensure(found.cache_read <= input, || format!("more cached than prompt tokens: {}", short(usage)))?;
    ensure(found.reasoning <= output, || format!("more reasoning than completion tokens: {}", short(usage)))?;
    Ok(found)
}

/// Reads the error object that both protocols of `OpenAI` use.
pub(super) fn failure(body: &Value) -> Result<Failure, String> {
    let error = object(body, "error")?;
    for name in ["code", "param"] {
        ensure(error.get(name).is_some(), || format!("`{name}` is missing in {}", short(error)))?;
    }
    let code = error.get("code").filter(|code| !code.is_null());
    ensure(code.is_none_or(Value::is_string), || "`code` must be a string or null".to_owned())?;
    Ok(Failure {
        kind: filled(error, "type")?.to_owned(),
        code: code.and_then(Value::as_str).unwrap_or_default().to_owned(),
        message: filled(error, "message")?.to_owned(),
    })
}

pub(super) fn answer(body: &Value, check: &Check) -> Result<Summary, String> {
    ensure(text(body, "object")? == "chat.completion", || "wrong `object`".to_owned())?;
    by_schema("CreateChatCompletionResponse", body, check)?;
    count(body, "created")?;
    let mut summary = Summary {
        id: filled(body, "id")?.to_owned(),
        model: filled(body, "model")?.to_owned(),
        events: 1,
        ..Summary::default()
    };
    let choices = list(body, "choices")?;
    ensure(!choices.is_empty(), || "no choices".to_owned())?;
    for (at, choice) in choices.iter().enumerate() {
        let index = count(choice, "index")?;
        ensure(!check.strict || usize::try_from(index) == Ok(at), || format!("choice {at} has index {index}"))?;
        let message = object(choice, "message")?;
        ensure(text(message, "role")? == "assistant", || "a role other than assistant".to_owned())?;
        ensure(message.get("content").is_some(), || "`content` is missing".to_owned())?;
        let into = summary.choice(index);
        common(message, into)?;
        whole_calls(message, into)?;
        let empty = !given(message, "content");
        let excused = !into.tool_calls.is_empty() || given(message, "refusal") || given(message, "audio");
        ensure(!empty || excused || !check.strict, || "`content` is null without calls, refusal or audio".to_owned())?;
        let reason = text(choice, "finish_reason")?;
        ensure(FINISH.contains(&reason), || format!("unknown finish_reason `{reason}`"))?;
        into.finish = Some(reason.to_owned());
        complete(into, check.strict)?;
    }
    if given(body, "usage") {
        summary.usage = Some(usage(object(body, "usage")?)?);
    }
    Ok(summary)
}

fn whole_calls(message: &Value, into: &mut Choice) -> Result<(), String> {
    if message.get("tool_calls").is_none() {
        return Ok(());
    }
    let calls = list(message, "tool_calls")?;
    ensure(!calls.is_empty(), || "`tool_calls` is empty instead of absent".to_owned())?;
    for call in calls {
        signature_of(call, into);
        let kind = text(call, "type")?;
        let inner = object(call, kind)?;
        let custom = kind == "custom";
        let id = filled(call, "id")?.to_owned();
        ensure(into.tool_calls.iter().all(|known| known.id != id), || format!("tool call id `{id}` comes twice"))?;
        let arguments = text(inner, if custom { "input" } else { "arguments" })?.to_owned();
        into.add_call(ToolCall { id, name: filled(inner, "name")?.to_owned(), arguments, custom });
    }
    Ok(())
}
