//! The Responses API as its official libraries and Codex read it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sse::{Frame, Frames};
use super::{Check, Choice, Failure, Summary, ToolCall, Usage};
use super::{count, count_or_zero, ensure, filled, given, list, object, short, text};
use crate::schema;

pub(super) fn stream(stream: &Frames<'_>, check: &Check) -> Result<Summary, String> {
    let mut reader = Reader {
        strict: check.strict,
        summary: Summary::default(),
        created: None,
        sequence: None,
        items: BTreeMap::new(),
        error: None,
        ended: false,
    };
    for (number, frame) in stream.frames.iter().enumerate() {
        reader.event(frame).map_err(|e| format!("event {number}: {e}"))?;
    }
    reader.summary.keep_alives = stream.comments;
    ensure(reader.ended, || "the stream ends without response.completed, .incomplete or .failed".to_owned())?;
    Ok(reader.summary)
}

struct Reader {
    strict: bool,
    summary: Summary,
    /// The response of `response.created`.
    created: Option<Value>,
    sequence: Option<u64>,
    /// By output index.
    items: BTreeMap<u64, Item>,
    /// An `error` event waits for `response.failed`.
    error: Option<Failure>,
    ended: bool,
}

/// An output item while it streams.
struct Item {
    kind: String,
    id: String,
    start: Value,
    parts: Vec<Piece>,
    summary: Vec<Piece>,
    /// Arguments, input or code, as the deltas gave them.
    deltas: Option<String>,
    /// The same, as the done event gave it.
    whole: Option<String>,
    done: Option<Value>,
}

/// A content part or a part of a reasoning summary.
#[derive(Default)]
struct Piece {
    kind: String,
    text: String,
    text_done: bool,
    closed: bool,
}

impl Reader {
    fn event(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        if !self.strict && frame.data == "[DONE]" {
            return Ok(());
        }
        let event: Value = serde_json::from_str(frame.data).map_err(|e| format!("no JSON: {e}"))?;
        let kind = filled(&event, "type")?.to_owned();
        match frame.name {
            Some(name) => ensure(name == kind, || format!("`event: {name}` with type `{kind}`"))?,
            None => ensure(!self.strict, || format!("no `event:` line before {kind}"))?,
        }
        self.summary.events += 1;
        self.number(&event)?;
        ensure(!self.ended, || format!("{kind} after the end of the stream"))?;
        ensure(self.created.is_some() || kind == "response.created", || format!("{kind} before response.created"))?;
        ensure(self.error.is_none() || kind == "response.failed", || format!("{kind} after an error"))?;
        if self.strict {
            schema::validate_stream_event(&event).map_err(|all| format!("{kind}: {}", all.join("; ")))?;
        }
        self.dispatch(&kind, &event).map_err(|e| format!("{kind}: {e}"))
    }

    fn number(&mut self, event: &Value) -> Result<(), String> {
        if !given(event, "sequence_number") && !self.strict {
            return Ok(());
        }
        let now = count(event, "sequence_number")?;
        let next = self.sequence.map_or(0, |last| last + 1);
        ensure(now == next, || format!("sequence_number {now} where {next} is next"))?;
        self.sequence = Some(now);
        Ok(())
    }

    fn dispatch(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        match kind {
            "response.created" => self.response_created(event),
            "response.queued" | "response.in_progress" => {
                let response = object(event, "response")?;
                self.same_response(response)?;
                ensure(self.items.is_empty() || !self.strict, || "after an item".to_owned())
            }
            "response.completed" | "response.incomplete" | "response.failed" => self.terminal(kind, event),
            "error" => self.error_event(event),
            "response.output_item.added" => self.item_added(event),
            "response.output_item.done" => self.item_done(event),
            "response.content_part.added" => self.part_added(event),
            "response.content_part.done" => self.part_done(event),
            "response.output_text.delta" => self.part_delta(event, "output_text"),
            "response.refusal.delta" => self.part_delta(event, "refusal"),
            "response.reasoning_text.delta" => self.part_delta(event, "reasoning_text"),
            "response.output_text.done" => self.part_text_done(event, "output_text", "text"),
            "response.refusal.done" => self.part_text_done(event, "refusal", "refusal"),
            "response.reasoning_text.done" => self.part_text_done(event, "reasoning_text", "text"),
            "response.output_text.annotation.added" => {
                let annotation = object(event, "annotation")?.clone();
                self.piece(event)?;
                self.summary.choice(0).citations.push(annotation);
                Ok(())
            }
            "response.reasoning_summary_part.added" => self.summary_added(event),
            "response.reasoning_summary_part.done" => self.summary_done(event),
            "response.reasoning_summary_text.delta" => self.summary_delta(event),
            "response.reasoning_summary_text.done" => {
                let done = text(event, "text")?;
                let piece = self.summary_piece(event)?;
                ensure(piece.text == done, || "the text differs from its deltas".to_owned())?;
                piece.text_done = true;
                Ok(())
            }
            "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta"
            | "response.mcp_call_arguments.delta"
            | "response.code_interpreter_call_code.delta" => {
                let delta = text(event, "delta")?.to_owned();
                let item = self.item(event)?;
                ensure(item.whole.is_none(), || "a delta after done".to_owned())?;
                item.deltas.get_or_insert_default().push_str(&delta);
                Ok(())
            }
            "response.function_call_arguments.done" => self.whole(event, "arguments"),
            "response.mcp_call_arguments.done" => self.whole(event, "arguments"),
            "response.custom_tool_call_input.done" => self.whole(event, "input"),
            "response.code_interpreter_call_code.done" => self.whole(event, "code"),
            _ => self.other(kind, event),
        }
    }

    /// Progress events of server tools: known by the published schema, or at least about an open item.
    fn other(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        ensure(kind.starts_with("response."), || "unknown event".to_owned())?;
        if given(event, "output_index") {
            self.item(event)?;
        }
        Ok(())
    }

    fn response_created(&mut self, event: &Value) -> Result<(), String> {
        ensure(self.created.is_none(), || "a second time".to_owned())?;
        let response = object(event, "response")?;
        ensure(matches!(text(response, "status")?, "in_progress" | "queued"), || "wrong status".to_owned())?;
        ensure(list(response, "output")?.is_empty(), || "with output".to_owned())?;
        ensure(!given(response, "usage"), || "with usage".to_owned())?;
        envelope(response, &mut self.summary)?;
        self.summary.choice(0);
        self.created = Some(response.clone());
        Ok(())
    }

    fn same_response(&self, response: &Value) -> Result<(), String> {
        let created = self.created.as_ref().unwrap_or(&Value::Null);
        for name in ["id", "object", "created_at", "model"] {
            let same = response.get(name) == created.get(name);
            ensure(same || (!self.strict && name == "model"), || format!("`{name}` differs from response.created"))?;
        }
        Ok(())
    }

    fn item_added(&mut self, event: &Value) -> Result<(), String> {
        let index = count(event, "output_index")?;
        let next = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        ensure(index == next, || format!("output_index {index} where {next} is next"))?;
        let start = object(event, "item")?;
        let kind = filled(start, "type")?;
        let id = if self.strict { filled(start, "id")? } else { text(start, "id").unwrap_or_default() };
        let again = !id.is_empty() && self.items.values().any(|item| item.id == id);
        ensure(!again, || format!("item id `{id}` comes twice"))?;
        if matches!(kind, "function_call" | "custom_tool_call") {
            filled(start, "call_id")?;
            filled(start, "name")?;
            let argument = if kind == "function_call" { "arguments" } else { "input" };
            let empty = text(start, argument)?.is_empty();
            ensure(empty || !self.strict, || format!("`{argument}` is not empty at the start"))?;
        }
        if kind == "message" {
            ensure(list(start, "content")?.is_empty(), || "a message starts with content".to_owned())?;
            ensure(text(start, "role")? == "assistant", || "a role other than assistant".to_owned())?;
        }
        if kind == "reasoning" {
            ensure(list(start, "summary")?.is_empty(), || "reasoning starts with a summary".to_owned())?;
        }
        let item = Item {
            kind: kind.to_owned(),
            id: id.to_owned(),
            start: start.clone(),
            parts: Vec::new(),
            summary: Vec::new(),
            deltas: None,
            whole: None,
            done: None,
        };
        self.items.insert(index, item);
        Ok(())
    }

    /// The open item an event is about.
    fn item(&mut self, event: &Value) -> Result<&mut Item, String> {
        let index = count(event, "output_index")?;
        let item = self.items.get_mut(&index).ok_or_else(|| format!("item {index} was not added"))?;
        ensure(item.done.is_none(), || format!("item {index} is already done"))?;
        if let Some(id) = event.get("item_id").and_then(Value::as_str) {
            ensure(item.id == id || !self.strict, || format!("item_id `{id}` where item {index} is `{}`", item.id))?;
        }
        Ok(item)
    }

    /// The open content part an event is about.
    fn piece(&mut self, event: &Value) -> Result<&mut Piece, String> {
        let at = usize::try_from(count(event, "content_index")?).unwrap_or(usize::MAX);
        let piece = self.item(event)?.parts.get_mut(at).ok_or_else(|| format!("content part {at} was not added"))?;
        ensure(!piece.closed, || format!("content part {at} is already done"))?;
        Ok(piece)
    }

    fn part_added(&mut self, event: &Value) -> Result<(), String> {
        let at = count(event, "content_index")?;
        let part = object(event, "part")?;
        let kind = filled(part, "type")?.to_owned();
        let content = if kind == "refusal" { "refusal" } else { "text" };
        ensure(text(part, content)?.is_empty(), || "the part starts with text".to_owned())?;
        let item = self.item(event)?;
        let right = match kind.as_str() {
            "output_text" | "refusal" => item.kind == "message",
            "reasoning_text" => item.kind == "reasoning",
            _ => false,
        };
        ensure(right, || format!("a {kind} part in a {} item", item.kind))?;
        ensure(u64::try_from(item.parts.len()) == Ok(at), || format!("content_index {at} is not the next"))?;
        item.parts.push(Piece { kind, ..Piece::default() });
        Ok(())
    }

    fn part_delta(&mut self, event: &Value, kind: &str) -> Result<(), String> {
        let delta = text(event, "delta")?.to_owned();
        let piece = self.piece(event)?;
        ensure(piece.kind == kind, || format!("a {kind} delta in a {} part", piece.kind))?;
        ensure(!piece.text_done, || "a delta after done".to_owned())?;
        piece.text.push_str(&delta);
        let into = self.summary.choice(0);
        match kind {
            "output_text" => into.add_text(&delta),
            "refusal" => into.add_refusal(&delta),
            _ => into.add_reasoning(&delta),
        }
        Ok(())
    }

    fn part_text_done(&mut self, event: &Value, kind: &str, member: &str) -> Result<(), String> {
        let done = text(event, member)?.to_owned();
        let strict = self.strict;
        let piece = self.piece(event)?;
        ensure(piece.kind == kind, || format!("in a {} part", piece.kind))?;
        ensure(!piece.text_done || !strict, || "a second time".to_owned())?;
        ensure(piece.text == done, || "the text differs from its deltas".to_owned())?;
        piece.text_done = true;
        Ok(())
    }

    fn part_done(&mut self, event: &Value) -> Result<(), String> {
        let part = object(event, "part")?.clone();
        let piece = self.piece(event)?;
        ensure(piece.text_done, || "before the done event of its text".to_owned())?;
        ensure(text(&part, "type")? == piece.kind, || "the part changes its type".to_owned())?;
        let member = if piece.kind == "refusal" { "refusal" } else { "text" };
        ensure(text(&part, member)? == piece.text, || "the text differs from its deltas".to_owned())?;
        piece.closed = true;
        Ok(())
    }

    fn summary_piece(&mut self, event: &Value) -> Result<&mut Piece, String> {
        let at = usize::try_from(count(event, "summary_index")?).unwrap_or(usize::MAX);
        let piece = self.item(event)?.summary.get_mut(at).ok_or_else(|| format!("summary part {at} was not added"))?;
        ensure(!piece.closed, || format!("summary part {at} is already done"))?;
        Ok(piece)
    }

    fn summary_added(&mut self, event: &Value) -> Result<(), String> {
        let at = count(event, "summary_index")?;
        let part = object(event, "part")?;
        ensure(text(part, "type")? == "summary_text", || "wrong type of part".to_owned())?;
        ensure(text(part, "text")?.is_empty(), || "the part starts with text".to_owned())?;
        let item = self.item(event)?;
        ensure(item.kind == "reasoning", || format!("in a {} item", item.kind))?;
        ensure(u64::try_from(item.summary.len()) == Ok(at), || format!("summary_index {at} is not the next"))?;
        item.summary.push(Piece::default());
        Ok(())
    }

    fn summary_delta(&mut self, event: &Value) -> Result<(), String> {
        let delta = text(event, "delta")?.to_owned();
        let index = count(event, "summary_index")?;
        let piece = self.summary_piece(event)?;
        ensure(!piece.text_done, || "a delta after done".to_owned())?;
        let first = piece.text.is_empty();
        piece.text.push_str(&delta);
        let into = self.summary.choice(0);
        if first && index > 0 {
            into.add_reasoning("\n\n");
        }
        into.add_reasoning(&delta);
        Ok(())
    }

    fn summary_done(&mut self, event: &Value) -> Result<(), String> {
        let done = text(object(event, "part")?, "text")?.to_owned();
        let piece = self.summary_piece(event)?;
        ensure(piece.text_done, || "before the done event of its text".to_owned())?;
        ensure(piece.text == done, || "the text differs from its deltas".to_owned())?;
        piece.closed = true;
        Ok(())
    }

    fn whole(&mut self, event: &Value, member: &str) -> Result<(), String> {
        let whole = text(event, member)?.to_owned();
        let strict = self.strict;
        let item = self.item(event)?;
        ensure(item.whole.is_none(), || "a second time".to_owned())?;
        let told = item.deltas.as_deref();
        ensure(told == Some(&whole) || (!strict && told.is_none()), || format!("`{member}` differs from its deltas"))?;
        item.whole = Some(whole);
        Ok(())
    }

    fn item_done(&mut self, event: &Value) -> Result<(), String> {
        let strict = self.strict;
        let done = object(event, "item")?.clone();
        let item = self.item(event)?;
        for name in ["type", "id", "call_id", "name"] {
            let same = item.start.get(name) == done.get(name) || (!strict && name == "id");
            ensure(same, || format!("`{name}` of the item changes"))?;
        }
        let open = item.parts.iter().chain(&item.summary).any(|piece| !piece.closed);
        ensure(!open || item_status(&done) == "incomplete", || "with an open part".to_owned())?;
        match item.kind.as_str() {
            "message" => same_pieces(&item.parts, list(&done, "content")?)?,
            "reasoning" => {
                same_pieces(&item.summary, list(&done, "summary")?)?;
                same_pieces(&item.parts, done.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice))?;
            }
            "function_call" | "custom_tool_call" if strict => {
                let member = if item.kind == "function_call" { "arguments" } else { "input" };
                let cut = item_status(&done) == "incomplete";
                ensure(item.whole.is_some() || cut, || format!("before the done event of its {member}"))?;
                let told = item.whole.as_deref().or(item.deltas.as_deref()).unwrap_or_default();
                ensure(text(&done, member)? == told, || format!("`{member}` differs from its deltas"))?;
            }
            _ => {}
        }
        item.done = Some(done.clone());
        // Text and reasoning are in already, by their deltas.
        into_choice(&done, self.summary.choice(0), false)
    }

    fn error_event(&mut self, event: &Value) -> Result<(), String> {
        let inner = if !self.strict && event.get("error").is_some() { object(event, "error")? } else { event };
        for name in ["code", "param"] {
            ensure(inner.get(name).is_some(), || format!("`{name}` is missing"))?;
        }
        self.error = Some(Failure {
            kind: "error".to_owned(),
            code: inner.get("code").and_then(Value::as_str).unwrap_or_default().to_owned(),
            message: filled(inner, "message")?.to_owned(),
        });
        Ok(())
    }

    fn terminal(&mut self, kind: &str, event: &Value) -> Result<(), String> {
        let response = object(event, "response")?;
        filled(response, "id")?;
        self.same_response(response)?;
        self.ended = true;
        let status = kind.trim_start_matches("response.");
        ensure(text(response, "status")? == status, || format!("status is not {status}"))?;
        if status == "failed" {
            let error = object(response, "error")?;
            self.summary.failure = Some(Failure {
                kind: "failed".to_owned(),
                code: filled(error, "code")?.to_owned(),
                message: filled(error, "message")?.to_owned(),
            });
            return Ok(());
        }
        ensure(self.error.is_none(), || "after an error".to_owned())?;
        let open = self.items.iter().find(|(_, item)| item.done.is_none());
        ensure(open.is_none(), || format!("item {} is not done", open.map_or(0, |(index, _)| *index)))?;
        let output = list(response, "output")?;
        if self.strict || !output.is_empty() {
            let done: Vec<&Value> = self.items.values().filter_map(|item| item.done.as_ref()).collect();
            ensure(output.len() == done.len(), || {
                format!("{} items in the output, {} streamed", output.len(), done.len())
            })?;
            let differing = output.iter().zip(done).position(|(listed, streamed)| listed != streamed);
            ensure(differing.is_none() || !self.strict, || {
                format!("output item {differing:?} differs from its done event")
            })?;
        }
        finished(response, &mut self.summary, self.strict)
    }
}

fn item_status(item: &Value) -> &str {
    item.get("status").and_then(Value::as_str).unwrap_or_default()
}

fn same_pieces(told: &[Piece], listed: &[Value]) -> Result<(), String> {
    ensure(told.len() == listed.len(), || format!("{} parts in the item, {} streamed", listed.len(), told.len()))?;
    for (piece, part) in told.iter().zip(listed) {
        let member = if piece.kind == "refusal" { "refusal" } else { "text" };
        ensure(text(part, member)? == piece.text, || "the text of the item differs from its deltas".to_owned())?;
    }
    Ok(())
}

fn envelope(response: &Value, summary: &mut Summary) -> Result<(), String> {
    ensure(text(response, "object")? == "response", || "wrong `object`".to_owned())?;
    filled(response, "id")?.clone_into(&mut summary.id);
    filled(response, "model")?.clone_into(&mut summary.model);
    ensure(response.get("created_at").is_some_and(Value::is_number), || "`created_at` is missing".to_owned())
}

/// Takes in a finished item; its text only if it did not come by deltas.
fn into_choice(item: &Value, into: &mut Choice, with_text: bool) -> Result<(), String> {
    let kind = filled(item, "type")?;
    match kind {
        "message" => {
            for part in list(item, "content")? {
                match filled(part, "type")? {
                    "output_text" if with_text => {
                        into.add_text(text(part, "text")?);
                        into.citations.extend(list(part, "annotations")?.iter().cloned());
                    }
                    "refusal" if with_text => into.add_refusal(text(part, "refusal")?),
                    "output_text" | "refusal" => {}
                    other => return Err(format!("unknown content part `{other}`")),
                }
            }
        }
        "reasoning" => {
            if with_text {
                for (at, part) in list(item, "summary")?.iter().enumerate() {
                    if at > 0 {
                        into.add_reasoning("\n\n");
                    }
                    into.add_reasoning(text(part, "text")?);
                }
                for part in item.get("content").and_then(Value::as_array).into_iter().flatten() {
                    into.add_reasoning(text(part, "text")?);
                }
            }
            if given(item, "encrypted_content") {
                into.note("reasoning");
                into.signatures.push(filled(item, "encrypted_content")?.to_owned());
            }
        }
        "function_call" | "custom_tool_call" => {
            let custom = kind == "custom_tool_call";
            let id = filled(item, "call_id")?.to_owned();
            ensure(id.chars().count() <= 64, || format!("call_id `{id}` is longer than 64"))?;
            ensure(into.tool_calls.iter().all(|known| known.id != id), || format!("call_id `{id}` comes twice"))?;
            let arguments = text(item, if custom { "input" } else { "arguments" })?.to_owned();
            let cut = item_status(item) == "incomplete";
            ensure(custom || cut || !arguments.trim().is_empty(), || {
                "a function call has no arguments, not even {}".to_owned()
            })?;
            into.add_call(ToolCall { id, name: filled(item, "name")?.to_owned(), arguments, custom });
        }
        "image_generation_call" if given(item, "result") => into.add_media("", text(item, "result")?),
        other => into.add_special(other),
    }
    Ok(())
}

/// Reads status, reason and usage of a response that is over.
fn finished(response: &Value, summary: &mut Summary, strict: bool) -> Result<(), String> {
    let status = filled(response, "status")?;
    let finish = match status {
        "completed" => {
            ensure(!given(response, "incomplete_details"), || "completed with incomplete_details".to_owned())?;
            ensure(given(response, "completed_at") || !strict, || "`completed_at` is missing".to_owned())?;
            status.to_owned()
        }
        "incomplete" => format!("incomplete:{}", filled(object(response, "incomplete_details")?, "reason")?),
        other => return Err(format!("a finished response has status `{other}`")),
    };
    ensure(!given(response, "error"), || format!("{status} with an error"))?;
    summary.choice(0).finish = Some(finish);
    if given(response, "usage") {
        summary.usage = Some(usage(object(response, "usage")?, strict)?);
    }
    Ok(())
}

fn usage(usage: &Value, strict: bool) -> Result<Usage, String> {
    let (input, output, total) =
        (count(usage, "input_tokens")?, count(usage, "output_tokens")?, count(usage, "total_tokens")?);
    ensure(total == input + output, || format!("usage does not add up: {}", short(usage)))?;
    let none = Value::Null;
    let details = |name: &str| if strict { object(usage, name) } else { Ok(usage.get(name).unwrap_or(&none)) };
    let (read, written) = (details("input_tokens_details")?, details("output_tokens_details")?);
    let found = Usage {
        input,
        output,
        cache_read: count_or_zero(read, "cached_tokens")?,
        cache_write: count_or_zero(read, "cache_write_tokens")?,
        reasoning: count_or_zero(written, "reasoning_tokens")?,
    };
    ensure(found.cache_read <= input, || format!("more cached than input tokens: {}", short(usage)))?;
    ensure(found.reasoning <= output, || format!("more reasoning than output tokens: {}", short(usage)))?;
    Ok(found)
}

pub(super) fn answer(body: &Value, check: &Check) -> Result<Summary, String> {
    let mut summary = Summary { events: 1, ..Summary::default() };
    if check.strict {
        schema::validate_component("Response", body).map_err(|all| all.join("; "))?;
        ensure(body.get("output_text").is_none(), || "`output_text` belongs to the libraries".to_owned())?;
    }
    envelope(body, &mut summary)?;
    let into = summary.choice(0);
    let mut ids: Vec<&str> = Vec::new();
    for item in list(body, "output")? {
        let id = if check.strict { filled(item, "id")? } else { text(item, "id").unwrap_or_default() };
        ensure(id.is_empty() || !ids.contains(&id), || format!("item id `{id}` comes twice"))?;
        ids.push(id);
        into_choice(item, into, true)?;
    }
    if text(body, "status")? == "failed" {
        let error = object(body, "error")?;
        summary.failure = Some(Failure {
            kind: "failed".to_owned(),
            code: filled(error, "code")?.to_owned(),
            message: filled(error, "message")?.to_owned(),
        });
        return Ok(summary);
    }
    // Jobs in the background and older deployments answer with other states.
    let known = matches!(text(body, "status")?, "completed" | "incomplete");
    if known || check.strict {
        finished(body, &mut summary, check.strict)?;
    }
    Ok(summary)
}
