//! Streams for Gemini clients, written.
//!
//! Official readers take `data:` lines and nothing else: no comment, no `event:` line, no `[DONE]`; every chunk is one line. Without
//! `alt=sse` the chunks are the elements of one JSON array. A stream that ends without a reason is repeated by clients, so the last
//! chunk always has one.

use std::collections::BTreeMap;

use polyport_types::{
    Citation, Event, Extras, Fault, FaultClass, Finish, MAX_CHOICES, Part, PartId, PartKind, PartStart, PartStatus,
    PromptBlock, ServerToolKind, Signature, Text, TokenLogprob, ToolCall, ToolCallStart, Usage,
};

use super::answer::{Answer, write_block, write_signature};
use super::fault::write_error;
use super::grounding::{self, Cited};
use super::response::{
    End, grounded, queries_of, search_queries, write_end, write_envelope, write_head, write_logprobs,
};
use crate::carrier::Placement;
use crate::context::ClientContext;
use crate::json::{JsonWriter, one_line, write_str};

/// Events to a client's stream.
#[derive(Debug)]
pub struct Encoder {
    pub(crate) context: ClientContext,
    answer: Answer,
    framing: Framing,
    /// The provider's id of the answer.
    id: Text,
    /// Members of its head without a slot.
    head: Extras,
    usage: Usage,
    /// What every chunk ends with: usage, model and id, beginning with the comma after the candidates.
    tail: Vec<u8>,
    choices: BTreeMap<u32, Choice>,
    /// Answers that were begun: readers keep them in a list.
    begun: u32,
    open: BTreeMap<PartId, Open>,
    finished: Vec<Finish>,
    block: Option<PromptBlock>,
    done: bool,
}

/// How chunks are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Sse,
    /// The array has not begun.
    Array,
    /// Another element needs a comma.
    InArray,
}

/// One answer on its way.
#[derive(Debug, Default)]
struct Choice {
    /// Its texts, for citations.
    texts: Vec<TextSoFar>,
    /// Bytes of them all.
    length: usize,
    refusal: String,
    tokens: Vec<TokenLogprob>,
    queries: Vec<Text>,
}

#[derive(Debug)]
struct TextSoFar {
    part: PartId,
    before: usize,
    length: usize,
    /// Kept where positions in other units may have to be converted.
    text: String,
    citations: Vec<Citation>,
}

/// A part that grows.
#[derive(Debug)]
enum Open {
    Text {
        choice: u32,
    },
    Refusal {
        choice: u32,
    },
    Reasoning {
        choice: u32,
        visible: bool,
        signed: bool,
    },
    /// Calls are sent whole.
    Call {
        choice: u32,
        start: Box<ToolCallStart>,
        arguments: String,
    },
    Server {
        choice: u32,
        search: bool,
        input: String,
    },
}

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        let framing = if context.request.stream_options.json_array { Framing::Array } else { Framing::Sse };
        let mut encoder = Self {
            answer: Answer::new(&context),
            context,
            framing,
            id: Text::new(),
            head: Extras::new(),
            usage: Usage::default(),
            tail: Vec::new(),
            choices: BTreeMap::new(),
            begun: 0,
            open: BTreeMap::new(),
            finished: Vec::new(),
            block: None,
            done: false,
        };
        encoder.make_tail();
        encoder
    }

    /// Appends what `event` means for the client.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) {
        if self.done {
            return;
        }
        match event {
            Event::Start(start) => {
                self.id = start.id;
                self.head = start.ext;
                self.make_tail();
            }
            Event::PartStart { part, choice, start } => self.start(part, choice, start),
            Event::Delta { part, text } => self.delta(part, &text, out),
            Event::SummaryBreak { part } => {
                if let Some(Open::Reasoning { choice, visible: true, .. }) = self.open.get(&part) {
                    self.text_chunk(*choice, "\n\n", true, out);
                }
            }
            Event::Signature { part, signature } => self.signature(part, &signature, out),
            Event::Citation { part, citation } => self.citation(part, *citation),
            Event::Logprobs { choice, tokens, .. } => self.choices.entry(choice).or_default().tokens.extend(tokens),
            Event::PartEnd { part, status } => self.end_part(part, status, out),
            Event::Part { choice, part } => {
                let queries = search_queries(&part);
                self.choices.entry(choice).or_default().queries.extend(queries);
                self.whole(choice, &part, out);
            }
            Event::Usage(usage) => {
                self.usage = *usage;
                self.make_tail();
            }
            Event::Finish(finish) => {
                self.block = self.block.take().or_else(|| finish.prompt_block.clone());
                self.finished.push(*finish);
            }
            Event::Error(fault) => self.fail(&fault, out),
            Event::End => self.end(out),
            Event::Ping | Event::Opaque { .. } => {}
        }
    }

    /// Appends a keep-alive where one is safe: readers of event streams take none, between elements of an array white space is
    /// nothing.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.framing != Framing::Sse && !self.done {
            out.push(b'\n');
        }
    }

    /// Value of the `content-type` header.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        if self.context.request.stream_options.json_array { "application/json" } else { "text/event-stream" }
    }

    fn make_tail(&mut self) {
        let mut object = Vec::with_capacity(256);
        JsonWriter::new(&mut object).object(|w| {
            write_envelope(w, &self.context, &self.answer, &self.id, &self.usage);
            write_head(w, &self.answer, &self.head);
        });
        if let Some(first) = object.first_mut() {
            *first = b',';
        }
        self.tail = object;
    }

    fn start(&mut self, part: PartId, choice: u32, start: PartStart) {
        let open = match start {
            PartStart::Text { .. } => {
                let so_far = self.choices.entry(choice).or_default();
                let before = so_far.length;
                so_far.texts.push(TextSoFar { part, before, length: 0, text: String::new(), citations: Vec::new() });
                Open::Text { choice }
            }
            PartStart::Refusal => Open::Refusal { choice },
            PartStart::Reasoning { .. } => Open::Reasoning { choice, visible: self.answer.thoughts, signed: false },
            PartStart::ToolCall(start) => Open::Call { choice, start, arguments: String::new() },
            PartStart::ServerToolCall(start) => {
                Open::Server { choice, search: start.tool == ServerToolKind::WebSearch, input: String::new() }
            }
        };
        self.open.insert(part, open);
    }

    fn delta(&mut self, part: PartId, text: &str, out: &mut Vec<u8>) {
        match self.open.get_mut(&part) {
            Some(Open::Text { choice }) => {
                let choice = *choice;
                let so_far = self.choices.entry(choice).or_default();
                so_far.length += text.len();
                if let Some(slot) = so_far.texts.iter_mut().rev().find(|slot| slot.part == part) {
                    slot.length += text.len();
                    if !self.answer.own {
                        slot.text.push_str(text);
                    }
                }
                self.text_chunk(choice, text, false, out);
            }
            Some(Open::Refusal { choice }) => {
                let choice = *choice;
                self.choices.entry(choice).or_default().refusal.push_str(text);
                self.text_chunk(choice, text, false, out);
            }
            Some(Open::Reasoning { choice, visible: true, .. }) => {
                let choice = *choice;
                self.text_chunk(choice, text, true, out);
            }
            Some(Open::Call { arguments, .. }) => arguments.push_str(text),
            Some(Open::Server { input, search: true, .. }) => input.push_str(text),
            Some(Open::Reasoning { .. } | Open::Server { .. }) | None => {}
        }
    }

    fn signature(&mut self, part: PartId, signature: &Signature, out: &mut Vec<u8>) {
        let (choice, placement) = match self.open.get_mut(&part) {
            Some(Open::Reasoning { choice, visible, signed }) => {
                *signed = true;
                (*choice, if *visible { Placement::Previous } else { Placement::Own })
            }
            Some(Open::Text { choice }) => (*choice, Placement::Previous),
            _ => return,
        };
        let value = self.answer.signature(&self.context, Some(signature), placement);
        if let Some(value) = value {
            self.chunk(choice, out, |w| write_signature(w, &value));
        }
    }

    fn citation(&mut self, part: PartId, citation: Citation) {
        let Some(Open::Text { choice }) = self.open.get(&part) else { return };
        let texts = self.choices.get_mut(choice).map(|choice| &mut choice.texts);
        if let Some(slot) = texts.and_then(|texts| texts.iter_mut().rev().find(|slot| slot.part == part)) {
            slot.citations.push(citation);
        }
    }

    fn end_part(&mut self, part: PartId, status: PartStatus, out: &mut Vec<u8>) {
        match self.open.remove(&part) {
            Some(Open::Call { choice, start, arguments }) => {
                let ToolCallStart { id, name, namespace, kind, item_id, signature, caller, ext } = *start;
                let call = ToolCall { id, name, namespace, kind, arguments: arguments.into(), caller, status };
                let part = Part { kind: PartKind::ToolCall(Box::new(call)), cache: None, signature, item_id, ext };
                self.whole(choice, &part, out);
            }
            Some(Open::Server { choice, input, search: true }) => {
                self.choices.entry(choice).or_default().queries.extend(queries_of(&input));
            }
            Some(Open::Reasoning { choice, visible: true, signed: false }) => {
                if let Some(mark) = self.answer.foreign_mark(&self.context, Placement::Previous) {
                    self.chunk(choice, out, |w| write_signature(w, &mark));
                }
            }
            Some(Open::Text { choice }) => self.forget_text(choice, part),
            _ => {}
        }
    }

    /// Text is kept only as long as a position in it may have to be converted.
    fn forget_text(&mut self, choice: u32, part: PartId) {
        let texts = self.choices.get_mut(&choice).map(|choice| &mut choice.texts);
        if let Some(slot) = texts.and_then(|texts| texts.iter_mut().rev().find(|slot| slot.part == part))
            && slot.citations.is_empty()
        {
            slot.text = String::new();
        }
    }

    /// A part that is sent in one chunk.
    fn whole(&mut self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        let mut written = Vec::new();
        let any = self.answer.part(&mut JsonWriter::new(&mut written), &self.context, part);
        if any {
            // The writer writes UTF-8 only.
            let json = std::str::from_utf8(&written).unwrap_or("{}");
            self.chunk(choice, out, |w| w.raw_value(json));
        }
    }

    /// The chunk most streams are made of.
    fn text_chunk(&mut self, choice: u32, text: &str, thought: bool, out: &mut Vec<u8>) {
        self.begin_answers(choice, out);
        let start = self.begin(out);
        out.extend_from_slice(b"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":");
        write_str(out, text);
        if thought {
            out.extend_from_slice(b",\"thought\":true");
        }
        out.extend_from_slice(b"}],\"role\":\"model\"},\"index\":");
        JsonWriter::new(out).number(choice);
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
        self.close(start, out);
    }

    fn chunk(&mut self, choice: u32, out: &mut Vec<u8>, parts: impl FnOnce(&mut JsonWriter<'_>)) {
        self.begin_answers(choice, out);
        let start = self.begin(out);
        out.extend_from_slice(b"{\"candidates\":[");
        JsonWriter::new(out).object(|w| {
            w.object_field("content", |w| {
                w.array_field("parts", parts);
                w.str("role", "model");
            });
            w.num("index", choice);
        });
        out.push(b']');
        out.extend_from_slice(&self.tail);
        self.close(start, out);
    }

    /// Begins the answers before this one that have not said anything yet.
    fn begin_answers(&mut self, choice: u32, out: &mut Vec<u8>) {
        while self.begun <= choice.min(MAX_CHOICES) {
            let new = self.begun;
            self.begun += 1;
            if new < choice {
                self.text_chunk(new, "", false, out);
            }
        }
    }

    /// Begins a chunk; gives the place to hand to [`Self::close`].
    fn begin(&mut self, out: &mut Vec<u8>) -> usize {
        match self.framing {
            Framing::Sse => out.extend_from_slice(b"data: "),
            Framing::Array => out.push(b'['),
            Framing::InArray => out.extend_from_slice(b",\r\n"),
        }
        if self.framing == Framing::Array {
            self.framing = Framing::InArray;
        }
        out.len()
    }

    /// Ends the chunk that began at `start`.
    fn close(&self, start: usize, out: &mut Vec<u8>) {
        if self.framing != Framing::Sse {
            return;
        }
        one_line(out, start);
        out.extend_from_slice(b"\r\n\r\n");
    }

    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        let start = self.begin(out);
        write_error(out, fault);
        self.close(start, out);
        if self.framing == Framing::InArray {
            out.push(b']');
        }
        self.done = true;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let mut finished = std::mem::take(&mut self.finished);
        finished.sort_by_key(|finish| finish.choice);
        if finished.is_empty() {
            // Without a reason the answer must not look finished.
            let fault = Fault::new(FaultClass::UpstreamProtocol, "the answer ended without a reason");
            return self.fail(&fault, out);
        }
        let start = self.begin(out);
        let said = self.choices.values().any(|choice| choice.length > 0 || !choice.refusal.is_empty());
        match self.block.take().filter(|_| !said) {
            Some(block) => {
                JsonWriter::new(out).object(|w| write_block(w, &block));
                // The tail closes the object.
                out.pop();
            }
            None => {
                out.extend_from_slice(b"{\"candidates\":");
                JsonWriter::new(out).array(|w| {
                    for finish in &finished {
                        w.object(|w| self.last(w, finish));
                    }
                });
            }
        }
        out.extend_from_slice(&self.tail);
        self.close(start, out);
        if self.framing == Framing::InArray {
            out.push(b']');
        }
        self.done = true;
    }

    /// The last words about an answer.
    fn last(&self, w: &mut JsonWriter<'_>, finish: &Finish) {
        let none = Choice::default();
        let choice = self.choices.get(&finish.choice).unwrap_or(&none);
        w.object_field("content", |w| {
            w.array_field("parts", |w| w.object(|w| w.str("text", "")));
            w.str("role", "model");
        });
        let refusal = (!choice.refusal.is_empty()).then(|| Text::from(choice.refusal.as_str()));
        let end = End {
            reason: &finish.reason,
            raw: finish.raw.as_deref(),
            message: finish.message.as_ref(),
            refusal: refusal.as_ref(),
            ext: &finish.ext,
        };
        write_end(w, &self.answer, &end);
        w.num("index", finish.choice);
        if !grounded(&self.answer, &finish.ext) {
            let cited: Vec<Cited<'_>> = choice.texts.iter().map(cited).collect();
            grounding::write(w, &cited, &choice.queries);
        }
        let tokens: Vec<&TokenLogprob> = choice.tokens.iter().collect();
        write_logprobs(w, &self.answer, &tokens, &finish.ext);
    }
}

fn cited(text: &TextSoFar) -> Cited<'_> {
    let whole = text.text.len() == text.length && text.length > 0;
    Cited {
        before: text.before,
        length: text.length,
        text: whole.then_some(text.text.as_str()),
        citations: &text.citations,
    }
}
