//! Undoes on the way back what [`crate::resolve()`] did to tools and answer shape.
//!
//! Tools get their own names, namespaces and kinds back; the text of a free-form call is taken out of `{"input": …}`; a call of the
//! tool that stands for the answer becomes the answer's text; an answer that was wrapped in an object is unwrapped. All of it
//! happens piece by piece, so a stream stays a stream.

mod unwrap;

use std::collections::{HashMap, HashSet};

use polyport_types::{
    Event, FinishReason, Part, PartId, PartKind, PartStart, PartStatus, Response, Signature, Text, ToolCall,
    ToolCallKind, ToolCallStart,
};

use unwrap::Unwrapper;

/// Member that holds the text of a free-form call while the tool is offered as a function.
pub const CUSTOM_INPUT: &str = "input";
/// Parts that a [`Restorer`] adds get numbers from here on; decoders count from 0.
const OWN_PARTS: u32 = 1 << 31;

/// What has to be undone.
#[derive(Clone, Debug, Default)]
pub struct Restore {
    /// Tools by the name the provider knows.
    pub tools: HashMap<Text, ToolOrigin>,
    /// The tool that stands for the answer itself (structured output where a model has none).
    pub answer_tool: Option<Text>,
    /// The answer is wrapped in an object with one member of this name.
    pub unwrap_member: Option<Text>,
    /// Unwrapped text is a JSON string whose inside is the answer (enum answers).
    pub unwrap_string: bool,
}

/// A tool as the client knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolOrigin {
    /// Its name.
    pub name: Text,
    /// Its namespace.
    pub namespace: Option<Text>,
    /// Function, free-form or built-in.
    pub kind: ToolCallKind,
}

impl Restore {
    /// Whether there is nothing to undo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.answer_tool.is_none() && self.unwrap_member.is_none()
    }

    fn is_answer(&self, name: &str) -> bool {
        self.answer_tool.as_deref() == Some(name)
    }

    /// What takes an answer out of its wrapper, if it has one.
    fn answer_unwrapper(&self) -> Option<Unwrapper> {
        let member = self.unwrap_member.as_deref()?;
        Some(if self.unwrap_string { Unwrapper::string(member) } else { Unwrapper::json(member) })
    }
}

/// Rewrites the events of a stream, or a whole answer.
#[derive(Debug)]
pub struct Restorer {
    restore: Restore,
    /// Parts of the stream that are being rewritten.
    parts: HashMap<PartId, Rewrite>,
    /// Open parts that nothing may overlap, by answer: a text, refusal or reasoning part.
    exclusive: HashMap<u32, PartId>,
    /// Answers in which a call of a client's tool was seen.
    called: HashSet<u32>,
    /// Answers that were given through the answer tool.
    answered: HashSet<u32>,
    /// Whole answers that wait for an open part to end.
    waiting: Vec<(u32, String)>,
    next_part: u32,
}

#[derive(Debug)]
enum Rewrite {
    /// Text or the input of a free-form call, taken out of its wrapper.
    Unwrap(Unwrapper),
    /// A part nothing may overlap; handed on as it is.
    Plain {
        choice: u32,
    },
    Answer(Box<Answer>),
}

/// A call of the answer tool on its way to text.
#[derive(Debug)]
struct Answer {
    choice: u32,
    unwrapper: Option<Unwrapper>,
    /// The text part it is written to, if it could be opened.
    open: Option<PartId>,
    /// Text that could not be written yet.
    held: String,
    signature: Option<Signature>,
}

impl Restorer {
    /// A rewriter for one answer.
    #[must_use]
    pub fn new(restore: Restore) -> Self {
        Self {
            restore,
            parts: HashMap::new(),
            exclusive: HashMap::new(),
            called: HashSet::new(),
            answered: HashSet::new(),
            waiting: Vec::new(),
            next_part: OWN_PARTS,
        }
    }

    /// Takes an event and appends what the client shall see.
    pub fn event(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.restore.is_empty() {
            out.push(event);
            return;
        }
        match event {
            Event::PartStart { part, choice, start } => self.start(part, choice, start, out),
            Event::Delta { part, text } => self.delta(part, text, out),
            Event::Signature { part, signature } => match self.parts.get_mut(&part) {
                Some(Rewrite::Answer(answer)) => answer.signature = Some(*signature),
                _ => out.push(Event::Signature { part, signature }),
            },
            Event::Citation { part, citation } => match self.parts.get(&part) {
                Some(Rewrite::Answer(_)) => {}
                _ => out.push(Event::Citation { part, citation }),
            },
            Event::PartEnd { part, status } => self.end(part, status, out),
            Event::Part { choice, mut part } => {
                self.whole_part(choice, &mut part);
                out.push(Event::Part { choice, part });
            }
            Event::Finish(mut finish) => {
                finish.reason = self.reason(finish.choice, finish.reason);
                out.push(Event::Finish(finish));
            }
            other => out.push(other),
        }
    }

    /// The same for a whole answer.
    pub fn response(&mut self, response: &mut Response) {
        if self.restore.is_empty() {
            return;
        }
        for candidate in &mut response.candidates {
            for part in &mut candidate.parts {
                self.whole_part(candidate.index, part);
            }
            candidate.finish = self.reason(candidate.index, std::mem::take(&mut candidate.finish));
        }
    }

    fn start(&mut self, part: PartId, choice: u32, start: PartStart, out: &mut Vec<Event>) {
        match start {
            PartStart::ToolCall(call) if self.restore.is_answer(&call.name) => {
                let mut answer = Answer {
                    choice,
                    unwrapper: self.restore.answer_unwrapper(),
                    open: None,
                    held: String::new(),
                    signature: call.signature,
                };
                if !self.exclusive.contains_key(&choice) {
                    answer.open = Some(self.open_text(choice, out));
                }
                self.answered.insert(choice);
                self.parts.insert(part, Rewrite::Answer(Box::new(answer)));
            }
            PartStart::ToolCall(mut call) => {
                self.called.insert(choice);
                if self.rename(&mut call) {
                    self.parts.insert(part, Rewrite::Unwrap(Unwrapper::input(CUSTOM_INPUT)));
                }
                out.push(Event::PartStart { part, choice, start: PartStart::ToolCall(call) });
            }
            PartStart::Text { .. } | PartStart::Refusal | PartStart::Reasoning { .. } => {
                self.suspend_answers(choice, out);
                self.exclusive.insert(choice, part);
                let rewrite = match &start {
                    PartStart::Text { .. } => self.restore.answer_unwrapper().map(Rewrite::Unwrap),
                    _ => None,
                };
                // An unwrapper knows no answer; the part's is found again in `exclusive`.
                self.parts.insert(part, rewrite.unwrap_or(Rewrite::Plain { choice }));
                out.push(Event::PartStart { part, choice, start });
            }
            PartStart::ServerToolCall(_) => out.push(Event::PartStart { part, choice, start }),
        }
    }

    /// Gives a call the client's words; true if its input has to be unwrapped.
    fn rename(&self, call: &mut ToolCallStart) -> bool {
        let Some(origin) = self.restore.tools.get(&call.name) else { return false };
        call.name = origin.name.clone();
        call.namespace.clone_from(&origin.namespace);
        let unwrap = origin.kind == ToolCallKind::Custom && call.kind != ToolCallKind::Custom;
        call.kind = origin.kind.clone();
        unwrap
    }

    fn delta(&mut self, part: PartId, text: Text, out: &mut Vec<Event>) {
        match self.parts.get_mut(&part) {
            None | Some(Rewrite::Plain { .. }) => out.push(Event::Delta { part, text }),
            Some(Rewrite::Unwrap(unwrapper)) => {
                let mut piece = String::new();
                unwrapper.push(&text, &mut piece);
                push_delta(part, piece.into(), out);
            }
            Some(Rewrite::Answer(answer)) => {
                let piece = match &mut answer.unwrapper {
                    None => text,
                    Some(unwrapper) => {
                        let mut piece = String::new();
                        unwrapper.push(&text, &mut piece);
                        piece.into()
                    }
                };
                match answer.open {
                    Some(open) => push_delta(open, piece, out),
                    None => answer.held.push_str(&piece),
                }
            }
        }
    }

    fn end(&mut self, part: PartId, status: PartStatus, out: &mut Vec<Event>) {
        match self.parts.remove(&part) {
            None => out.push(Event::PartEnd { part, status }),
            Some(Rewrite::Plain { choice }) => {
                out.push(Event::PartEnd { part, status });
                self.release(choice, part, out);
            }
            Some(Rewrite::Unwrap(unwrapper)) => {
                let mut rest = String::new();
                unwrapper.finish(&mut rest);
                push_delta(part, rest.into(), out);
                // What is inside need not be JSON any more.
                let status = if status == PartStatus::Invalid { PartStatus::Complete } else { status };
                out.push(Event::PartEnd { part, status });
                let choice = self.exclusive.iter().find(|(_, open)| **open == part).map(|(choice, _)| *choice);
                if let Some(choice) = choice {
                    self.release(choice, part, out);
                }
            }
            Some(Rewrite::Answer(mut answer)) => {
                let mut rest = std::mem::take(&mut answer.held);
                if let Some(unwrapper) = answer.unwrapper.take() {
                    unwrapper.finish(&mut rest);
                }
                let status = if status == PartStatus::Invalid { PartStatus::Incomplete } else { status };
                match answer.open {
                    Some(open) => {
                        push_delta(open, rest.into(), out);
                        self.close_text(open, answer.choice, answer.signature, status, out);
                    }
                    None if self.exclusive.contains_key(&answer.choice) => self.waiting.push((answer.choice, rest)),
                    None => self.whole_text(answer.choice, rest, out),
                }
            }
        }
    }

    fn open_text(&mut self, choice: u32, out: &mut Vec<Event>) -> PartId {
        let part = PartId(self.next_part);
        self.next_part = self.next_part.wrapping_add(1).max(OWN_PARTS);
        out.push(Event::PartStart { part, choice, start: PartStart::Text { item_id: None, phase: None } });
        self.exclusive.insert(choice, part);
        part
    }

    fn close_text(
        &mut self,
        part: PartId,
        choice: u32,
        signature: Option<Signature>,
        status: PartStatus,
        out: &mut Vec<Event>,
    ) {
        if let Some(signature) = signature {
            out.push(Event::Signature { part, signature: Box::new(signature) });
        }
        out.push(Event::PartEnd { part, status });
        self.release(choice, part, out);
    }

    fn whole_text(&mut self, choice: u32, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let part = self.open_text(choice, out);
        push_delta(part, text.into(), out);
        self.close_text(part, choice, None, PartStatus::Complete, out);
    }

    /// Another part that nothing may overlap begins: what is still to come of an answer has to wait for a part of its own.
    fn suspend_answers(&mut self, choice: u32, out: &mut Vec<Event>) {
        for rewrite in self.parts.values_mut() {
            if let Rewrite::Answer(answer) = rewrite
                && answer.choice == choice
                && let Some(open) = answer.open.take()
            {
                out.push(Event::PartEnd { part: open, status: PartStatus::Complete });
                self.exclusive.remove(&choice);
            }
        }
    }

    /// A part that nothing may overlap is over: waiting answers can be written.
    fn release(&mut self, choice: u32, part: PartId, out: &mut Vec<Event>) {
        if self.exclusive.get(&choice) == Some(&part) {
            self.exclusive.remove(&choice);
        }
        while let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == choice) {
            let (_, text) = self.waiting.remove(at);
            self.whole_text(choice, text, out);
        }
    }

    /// A call of the answer tool is no call for the client.
    fn reason(&self, choice: u32, reason: FinishReason) -> FinishReason {
        if reason == FinishReason::ToolCalls && self.answered.contains(&choice) && !self.called.contains(&choice) {
            FinishReason::Stop
        } else {
            reason
        }
    }

    fn whole_part(&mut self, choice: u32, part: &mut Part) {
        match &mut part.kind {
            PartKind::ToolCall(call) if self.restore.is_answer(&call.name) => {
                self.answered.insert(choice);
                let text = match self.restore.answer_unwrapper() {
                    Some(unwrapper) => unwrapper.whole(&call.arguments).into(),
                    None => call.arguments.clone(),
                };
                part.kind = Part::text(text).kind;
            }
            PartKind::ToolCall(call) => {
                self.called.insert(choice);
                self.whole_call(call);
            }
            PartKind::Text(text) => {
                if let Some(unwrapper) = self.restore.answer_unwrapper() {
                    text.text = unwrapper.whole(&text.text).into();
                }
            }
            _ => {}
        }
    }

    fn whole_call(&self, call: &mut ToolCall) {
        let Some(origin) = self.restore.tools.get(&call.name) else { return };
        call.name = origin.name.clone();
        call.namespace.clone_from(&origin.namespace);
        if origin.kind == ToolCallKind::Custom && call.kind != ToolCallKind::Custom {
            call.arguments = Unwrapper::input(CUSTOM_INPUT).whole(&call.arguments).into();
            if call.status == PartStatus::Invalid {
                call.status = PartStatus::Complete;
            }
        }
        call.kind = origin.kind.clone();
    }
}

fn push_delta(part: PartId, text: Text, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(Event::Delta { part, text });
    }
}

#[cfg(test)]
mod tests;
