//! Checks that a sequence of events keeps the rules of [`crate::event`].

use std::collections::{HashMap, HashSet};

use crate::{Event, FinishReason, PartId, PartStart, PartStatus, ToolCallKind};

/// Follows a stream and reports the first broken rule. Used by tests, fuzzers and debug builds.
#[derive(Debug, Default)]
pub struct Validator {
    started: bool,
    failed: bool,
    ended: bool,
    open: HashMap<PartId, OpenPart>,
    seen: HashSet<PartId>,
    call_ids: HashSet<String>,
    finished: HashSet<u32>,
    completed_calls: HashSet<u32>,
}

#[derive(Debug)]
struct OpenPart {
    choice: u32,
    exclusive: bool,
    function_arguments: Option<String>,
    tool_call: bool,
    signed: bool,
}

impl Validator {
    /// A validator that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Says which rule it breaks.
    pub fn check(&mut self, event: &Event) -> Result<(), String> {
        if self.ended {
            return Err(format!("event after End: {event:?}"));
        }
        if !self.started && !matches!(event, Event::Start(_) | Event::Error(_) | Event::Ping | Event::End) {
            return Err(format!("event before Start: {event:?}"));
        }
        if self.failed && !matches!(event, Event::End) {
            return Err(format!("event after Error: {event:?}"));
        }
        match event {
            Event::Start(_) if self.started => return Err("second Start".to_owned()),
            Event::Start(_) => self.started = true,
            Event::PartStart { part, choice, start } => self.open(*part, *choice, start)?,
            Event::Delta { part, text } => {
                if text.is_empty() {
                    return Err(format!("empty delta for {part:?}"));
                }
                if let Some(arguments) = &mut self.part(*part)?.function_arguments {
                    arguments.push_str(text);
                }
            }
            Event::SummaryBreak { part } | Event::Citation { part, .. } => {
                self.part(*part)?;
            }
            Event::Signature { part, .. } => {
                let open = self.part(*part)?;
                if open.signed {
                    return Err(format!("second signature for {part:?}"));
                }
                open.signed = true;
            }
            Event::PartEnd { part, status } => self.close(*part, *status)?,
            Event::Part { choice, .. } => self.not_finished(*choice)?,
            Event::Logprobs { choice, .. } => self.not_finished(*choice)?,
            Event::Finish(finish) => {
                self.not_finished(finish.choice)?;
                if self.open.values().any(|open| open.choice == finish.choice) {
                    return Err(format!("choice {} finished with an open part", finish.choice));
                }
                if finish.reason == FinishReason::ToolCalls && !self.completed_calls.contains(&finish.choice) {
                    return Err("finish ToolCalls without a completed call".to_owned());
                }
                self.finished.insert(finish.choice);
            }
            Event::Error(_) => self.failed = true,
            Event::End => {
                if self.started && !self.failed && !self.open.is_empty() {
                    return Err("End with an open part and no Error".to_owned());
                }
                if self.started && !self.failed && self.finished.is_empty() {
                    return Err("End without Finish or Error".to_owned());
                }
                if let Some(last) = self.finished.iter().max().filter(|last| self.finished.len() <= **last as usize) {
                    return Err(format!("choice {last} is finished, but not all before it"));
                }
                self.ended = true;
            }
            Event::Usage(_) | Event::Ping | Event::Opaque { .. } => {}
        }
        Ok(())
    }

    /// Whether `End` was seen.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Checks a whole stream.
    ///
    /// # Errors
    /// The first broken rule, or that `End` is missing.
    pub fn check_all<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<(), String> {
        let mut validator = Self::new();
        for (at, event) in events.into_iter().enumerate() {
            validator.check(event).map_err(|problem| format!("event {at}: {problem}"))?;
        }
        if validator.ended { Ok(()) } else { Err("no End".to_owned()) }
    }

    fn part(&mut self, part: PartId) -> Result<&mut OpenPart, String> {
        self.open.get_mut(&part).ok_or_else(|| format!("{part:?} is not open"))
    }

    fn not_finished(&self, choice: u32) -> Result<(), String> {
        if self.finished.contains(&choice) { Err(format!("choice {choice} is already finished")) } else { Ok(()) }
    }

    fn open(&mut self, part: PartId, choice: u32, start: &PartStart) -> Result<(), String> {
        self.not_finished(choice)?;
        if !self.seen.insert(part) {
            return Err(format!("{part:?} used twice"));
        }
        let exclusive = matches!(start, PartStart::Text { .. } | PartStart::Refusal | PartStart::Reasoning { .. });
        if exclusive && self.open.values().any(|open| open.choice == choice && open.exclusive) {
            return Err(format!("{part:?} overlaps another text or reasoning part"));
        }
        let mut function_arguments = None;
        if let PartStart::ToolCall(call) = start {
            if call.id.is_empty() || call.name.is_empty() {
                return Err("tool call without id or name".to_owned());
            }
            if !self.call_ids.insert(call.id.to_string()) {
                return Err(format!("call id {} used twice", call.id));
            }
            if call.kind == ToolCallKind::Function {
                function_arguments = Some(String::new());
            }
        }
        let tool_call = matches!(start, PartStart::ToolCall(_));
        self.open.insert(part, OpenPart { choice, exclusive, function_arguments, tool_call, signed: false });
        Ok(())
    }

    fn close(&mut self, part: PartId, status: PartStatus) -> Result<(), String> {
        let open = self.open.remove(&part).ok_or_else(|| format!("{part:?} ended but is not open"))?;
        if status == PartStatus::Complete {
            if let Some(arguments) = &open.function_arguments
                && !arguments.is_empty()
                && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_err()
            {
                return Err(format!("arguments of {part:?} are not JSON but the part is Complete"));
            }
            if open.tool_call {
                self.completed_calls.insert(open.choice);
            }
        }
        Ok(())
    }
}
