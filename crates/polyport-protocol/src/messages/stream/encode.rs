//! Events as a client's stream.
//!
//! Blocks are numbered without gaps and stand strictly one after the other: while one is open, events of other parts wait in
//! a queue. `message_delta` waits for the usage, which some providers send after the end.

use std::collections::VecDeque;

use polyport_types::{
    Citation, Event, Extras, Family, Fault, FaultClass, Finish, Part, PartId, PartKind, PartStart, PartStatus,
    Protocol, RawJson, ServerToolCallStart, ServerToolKind, Signature, SignatureKind, StreamStart, Text, ToolCallKind,
    ToolCallStart, Usage,
};

use super::super::client::{self, Blocks, Piece, Sight, is_own, message_id};
use super::super::fault;
use super::super::finish::{self, End, Stop};
use super::super::usage::{self, Scene};
use crate::carrier::{Placement, TextDigest};
use crate::context::ClientContext;
use crate::json::{JsonWriter, one_line, write_str};
use crate::repair;

/// Bytes that may wait for an open block to end.
const MAX_QUEUED: usize = 8 << 20;
/// Longest explanation of a refusal, in bytes.
const MAX_EXPLANATION: usize = 4096;

/// Events to a client's stream.
#[derive(Debug)]
pub struct Encoder {
    pub(crate) context: ClientContext,
    blocks: Blocks,
    stage: Stage,
    /// Number of the next block.
    next: u32,
    live: Option<Live>,
    queue: VecDeque<Queued>,
    /// Bytes in the queue.
    queued: usize,
    usage: Usage,
    /// Bytes of content written, to estimate an output nobody counts.
    written: usize,
    refusal: Option<String>,
    /// Text was written.
    has_text: bool,
    /// A call of a client tool was written.
    called: bool,
    /// Signatures of reasoning the client does not see, for the next tool call.
    hidden: Vec<Signature>,
    /// A signature of the block before, under the name of that in the side table. Its carrier is written when another block
    /// follows: clients take the last block for the answer.
    trailing: Option<(Text, Signature)>,
    uncarried: Vec<(Text, Vec<Signature>)>,
}

#[derive(Debug)]
enum Stage {
    /// Nothing has happened.
    Idle,
    /// The answer began; `message_start` is written with the first event that is not about usage.
    Begun(Box<StreamStart>),
    /// `message_start` is written.
    Open,
    /// The answer ended; the end waits for the usage.
    Held(Box<Finish>),
    /// The last event is written.
    Done,
}

/// The part that writes at the moment.
#[derive(Debug)]
struct Live {
    part: PartId,
    kind: LiveKind,
    /// Its block, once opened.
    index: Option<u32>,
    /// A signature that came with it.
    signature: Option<Signature>,
}

#[derive(Debug)]
enum LiveKind {
    /// With the digest of what was written, where a signature may follow.
    Text(Option<Box<TextDigest>>),
    Refusal,
    Thinking,
    /// The client sees nothing of it.
    Silent,
    ServerTool,
    Tool {
        id: Text,
        kind: ToolCallKind,
        arguments: Arguments,
    },
}

/// How the arguments of a call are written.
#[derive(Debug, PartialEq, Eq)]
enum Arguments {
    /// Nothing but blanks so far.
    Blank,
    /// An object, as it comes.
    Pieces,
    /// Something else, which has to become an object at the end.
    Gathered(String),
}

/// A part that waits, with its events so far.
#[derive(Debug)]
struct Queued {
    /// `None` for parts that came whole.
    part: Option<PartId>,
    events: Vec<Event>,
    ended: bool,
}

impl Encoder {
    /// An encoder for a client.
    #[must_use]
    pub fn new(context: ClientContext) -> Self {
        Self {
            blocks: Blocks::new(&context),
            context,
            stage: Stage::Idle,
            next: 0,
            live: None,
            queue: VecDeque::new(),
            queued: 0,
            usage: Usage::default(),
            written: 0,
            refusal: None,
            has_text: false,
            called: false,
            hidden: Vec::new(),
            trailing: None,
            uncarried: Vec::new(),
        }
    }

    /// Appends what `event` means for the client.
    pub fn encode(&mut self, event: Event, out: &mut Vec<u8>) {
        match (&self.stage, event) {
            (Stage::Done, _) => {}
            (Stage::Idle, Event::Start(start)) => self.stage = Stage::Begun(start),
            // A second attempt goes on under what was already said.
            (_, Event::Start(_)) => {}
            (_, Event::Usage(usage)) => {
                self.usage = *usage;
                if self.is_holding() {
                    self.flush_held(out);
                }
            }
            (_, Event::Error(fault)) => self.fail(&fault, out),
            (_, Event::End) => self.end(out),
            (Stage::Held(_), _) => {}
            (Stage::Idle | Stage::Begun(_) | Stage::Open, event) => {
                self.begin(out);
                self.step(event, out);
            }
        }
    }

    /// Whether the answer is complete but for a usage that the provider has not sent yet. After two seconds the server calls
    /// [`Self::flush_held`] rather than let the client wait.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        matches!(self.stage, Stage::Held(_))
    }

    /// Ends the answer with the usage known so far, if that is all it waits for.
    pub fn flush_held(&mut self, out: &mut Vec<u8>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        match stage {
            Stage::Held(finish) => self.message_end(&finish, out),
            other => self.stage = other,
        }
    }

    /// Signatures this client cannot carry, by tool call id or [`text_anchor`](crate::carrier::text_anchor).
    pub fn take_signatures(&mut self) -> Vec<(Text, Vec<Signature>)> {
        std::mem::take(&mut self.uncarried)
    }

    /// Appends `event: ping`; nothing before the answer began or after it ended.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        match self.stage {
            Stage::Idle | Stage::Done => {}
            Stage::Begun(_) => self.begin(out),
            Stage::Open | Stage::Held(_) => ping(out),
        }
    }

    fn step(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::PartStart { choice, .. } | Event::Part { choice, .. } if choice != 0 => {}
            Event::PartStart { part, start, .. } if self.live.is_some() => {
                let event = Event::PartStart { part, choice: 0, start };
                self.queue.push_back(Queued { part: Some(part), events: Vec::new(), ended: false });
                self.wait(part, event, out);
            }
            Event::Part { part, .. } if self.live.is_some() => {
                self.queued += weight_of(&part);
                let event = Event::Part { choice: 0, part };
                self.queue.push_back(Queued { part: None, events: vec![event], ended: true });
                self.check_queue(out);
            }
            Event::PartStart { part, start, .. } => self.part_start(part, start, out),
            Event::Part { part, .. } => self.whole(&part, out),
            Event::Delta { part, .. }
            | Event::SummaryBreak { part }
            | Event::Signature { part, .. }
            | Event::Citation { part, .. } => {
                if self.is_live(part) {
                    self.live_event(event, out);
                } else {
                    self.wait(part, event, out);
                }
            }
            Event::PartEnd { part, status } => {
                if self.is_live(part) {
                    self.part_end(status, out);
                    self.drain(out);
                } else {
                    self.wait(part, Event::PartEnd { part, status }, out);
                }
            }
            Event::Finish(finish) if finish.choice == 0 => self.finish(finish, out),
            Event::Ping => ping(out),
            Event::Opaque { protocol: Protocol::Messages, name, raw } if is_own(&self.context) && is_name(&name) => {
                out.extend_from_slice(b"event: ");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\ndata: ");
                out.extend_from_slice(repair::compact(raw.as_str()).as_bytes());
                out.extend_from_slice(b"\n\n");
            }
            Event::Opaque { .. }
            | Event::Logprobs { .. }
            | Event::Finish(_)
            | Event::Start(_)
            | Event::Usage(_)
            | Event::Error(_)
            | Event::End => {}
        }
    }

    fn is_live(&self, part: PartId) -> bool {
        self.live.as_ref().is_some_and(|live| live.part == part)
    }

    /// Lets an event wait for its turn; those of parts nobody waits for are dropped.
    fn wait(&mut self, part: PartId, event: Event, out: &mut Vec<u8>) {
        let Some(queued) = self.queue.iter_mut().find(|queued| queued.part == Some(part)) else { return };
        self.queued += match &event {
            Event::Delta { text, .. } => text.len() + size_of::<Event>(),
            _ => size_of::<Event>() + 256,
        };
        queued.ended |= matches!(event, Event::PartEnd { .. });
        queued.events.push(event);
        self.check_queue(out);
    }

    fn check_queue(&mut self, out: &mut Vec<u8>) {
        if self.queued > MAX_QUEUED {
            let message = format!("the provider's parts overlap by more than {MAX_QUEUED} bytes");
            self.fail(&Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }, out);
        }
    }

    /// Writes what waited, until a part is open again or nothing is left.
    fn drain(&mut self, out: &mut Vec<u8>) {
        while self.live.is_none() {
            let Some(queued) = self.queue.pop_front() else {
                self.queued = 0;
                return;
            };
            for event in queued.events {
                match event {
                    Event::PartStart { part, start, .. } => self.part_start(part, start, out),
                    Event::Part { part, .. } => self.whole(&part, out),
                    Event::PartEnd { status, .. } => self.part_end(status, out),
                    event => self.live_event(event, out),
                }
            }
        }
    }

    /// Writes `message_start` if it is not written yet.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let start = match std::mem::replace(&mut self.stage, Stage::Open) {
            Stage::Idle => Box::default(),
            Stage::Begun(start) => start,
            other => {
                self.stage = other;
                return;
            }
        };
        let context = &self.context;
        frame(out, "message_start", |w| {
            w.object_field("message", |w| {
                w.str("id", &message_id(context, &start.id));
                w.str("type", "message");
                w.str("role", "assistant");
                w.str("model", &context.model);
                w.array_field("content", |_| {});
                w.null("stop_reason");
                w.null("stop_sequence");
                w.key("usage");
                usage::write(w, context, &self.usage, start.service_tier.as_deref(), Scene::Start, 0);
                if is_own(context) {
                    w.extras(&start.ext);
                }
            });
        });
        ping(out);
    }

    fn part_start(&mut self, part: PartId, start: PartStart, out: &mut Vec<u8>) {
        let kind = match start {
            PartStart::Text { .. } => LiveKind::Text(client::signs_text(&self.context).then(Box::default)),
            PartStart::Refusal => LiveKind::Refusal,
            PartStart::Reasoning { .. } if self.blocks.sight == Sight::None => LiveKind::Silent,
            PartStart::Reasoning { .. } => LiveKind::Thinking,
            PartStart::ToolCall(call) => return self.tool_start(part, *call, out),
            PartStart::ServerToolCall(call) => return self.server_tool_start(part, &call, out),
        };
        self.live = Some(Live { part, kind, index: None, signature: None });
    }

    fn tool_start(&mut self, part: PartId, call: ToolCallStart, out: &mut Vec<u8>) {
        let ToolCallStart { id, name, kind, signature, caller, ext, .. } = call;
        let id = self.blocks.ids.safe(&id);
        self.called = true;
        if self.blocks.sight == Sight::None {
            let mut signatures = std::mem::take(&mut self.hidden);
            signatures.extend(signature);
            if !signatures.is_empty() {
                self.uncarried.push((id.clone(), signatures));
            }
        } else if let Some(signature) = signature {
            self.carrier_block(&signature, Placement::Next, out);
        }
        let own = is_own(&self.context);
        let index = self.open_block(out, |w| tool_head(w, own, &id, &name, caller.as_ref(), &ext));
        let arguments = match kind {
            ToolCallKind::Function => Arguments::Blank,
            ToolCallKind::Custom | ToolCallKind::Builtin(_) => Arguments::Gathered(String::new()),
        };
        self.live =
            Some(Live { part, kind: LiveKind::Tool { id, kind, arguments }, index: Some(index), signature: None });
    }

    fn server_tool_start(&mut self, part: PartId, call: &ServerToolCallStart, out: &mut Vec<u8>) {
        let own = is_own(&self.context) && call.protocol == Protocol::Messages;
        let (kind, index) = if own {
            let index = self.open_block(out, |w| server_tool_head(w, &call.tool, &call.id, &call.name, &call.ext));
            (LiveKind::ServerTool, Some(index))
        } else {
            (LiveKind::Silent, None)
        };
        self.live = Some(Live { part, kind, index, signature: None });
    }

    /// An event of the open part.
    fn live_event(&mut self, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Delta { text, .. } => self.delta(&text, out),
            // Paragraphs of a summary are one text here.
            Event::SummaryBreak { .. } if self.live.as_ref().is_some_and(|live| live.index.is_some()) => {
                self.delta("\n\n", out);
            }
            Event::Signature { signature, .. } => {
                if let Some(live) = &mut self.live {
                    live.signature = Some(*signature);
                }
            }
            Event::Citation { citation, .. } => self.citation(&citation, out),
            _ => {}
        }
    }

    fn delta(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(mut live) = self.live.take() else { return };
        match &mut live.kind {
            LiveKind::Text(digest) => {
                if let Some(digest) = digest {
                    digest.update(text);
                }
                self.text_delta(&mut live.index, text, out);
            }
            LiveKind::Refusal => {
                let explanation = self.refusal.get_or_insert_default();
                if explanation.len() + text.len() <= MAX_EXPLANATION {
                    explanation.push_str(text);
                }
                self.text_delta(&mut live.index, text, out);
            }
            LiveKind::Thinking if self.blocks.sight == Sight::Full => {
                let index = *live.index.get_or_insert_with(|| self.thinking_block(out));
                self.content_delta(index, "thinking_delta", "thinking", text, out);
            }
            LiveKind::Thinking | LiveKind::Silent => {}
            LiveKind::ServerTool => {
                if let Some(index) = live.index {
                    self.content_delta(index, "input_json_delta", "partial_json", text, out);
                }
            }
            LiveKind::Tool { arguments, .. } => {
                if *arguments == Arguments::Blank {
                    match text.trim_start().chars().next() {
                        None => {}
                        Some('{') => *arguments = Arguments::Pieces,
                        Some(_) => *arguments = Arguments::Gathered(String::new()),
                    }
                }
                match (arguments, live.index) {
                    (Arguments::Gathered(all), _) => all.push_str(text),
                    (Arguments::Pieces, Some(index)) => {
                        self.content_delta(index, "input_json_delta", "partial_json", text, out);
                    }
                    _ => {}
                }
            }
        }
        self.live = Some(live);
    }

    fn text_delta(&mut self, index: &mut Option<u32>, text: &str, out: &mut Vec<u8>) {
        let index = *index.get_or_insert_with(|| self.text_block(out));
        self.content_delta(index, "text_delta", "text", text, out);
    }

    fn citation(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let Some(raw) = citation.raw.as_ref().filter(|_| is_own(&self.context)) else { return };
        let Some(mut live) = self.live.take() else { return };
        if matches!(live.kind, LiveKind::Text(_)) {
            let index = *live.index.get_or_insert_with(|| self.text_block(out));
            frame(out, "content_block_delta", |w| {
                w.num("index", index);
                w.object_field("delta", |w| {
                    w.str("type", "citations_delta");
                    w.raw("citation", raw);
                });
            });
        }
        self.live = Some(live);
    }

    fn part_end(&mut self, status: PartStatus, out: &mut Vec<u8>) {
        let Some(live) = self.live.take() else { return };
        let Live { kind, index, signature, .. } = live;
        match kind {
            LiveKind::Thinking => return self.thinking_end(index, signature, out),
            LiveKind::Silent => return self.hidden.extend(signature),
            LiveKind::Tool { id, kind, arguments } => {
                self.arguments_end(index, &kind, &arguments, status, out);
                close_block(index, out);
                if let Some(signature) = signature {
                    self.late_signature(Some(id), signature, out);
                }
                return;
            }
            LiveKind::Text(digest) => {
                close_block(index, out);
                let anchor = index.and(digest).map(|digest| digest.anchor());
                if let Some(signature) = signature {
                    self.late_signature(anchor, signature, out);
                }
                return;
            }
            LiveKind::Refusal | LiveKind::ServerTool => {}
        }
        close_block(index, out);
    }

    /// A signature that was not known when its block began. A client that sees signatures gets it before the next block, if there is
    /// one; without an `anchor` for the side table it stands alone.
    fn late_signature(&mut self, anchor: Option<Text>, signature: Signature, out: &mut Vec<u8>) {
        match (anchor, self.blocks.sight) {
            (Some(anchor), Sight::None) => self.keep_aside(anchor, signature),
            (None, Sight::None) => {}
            (Some(anchor), _) => self.trailing = Some((anchor, signature)),
            (None, _) => self.carrier_block(&signature, Placement::Alone, out),
        }
    }

    fn keep_aside(&mut self, anchor: Text, signature: Signature) {
        match self.uncarried.iter_mut().find(|(known, _)| *known == anchor) {
            Some((_, signatures)) => signatures.push(signature),
            None => self.uncarried.push((anchor, vec![signature])),
        }
    }

    fn arguments_end(
        &mut self,
        index: Option<u32>,
        kind: &ToolCallKind,
        arguments: &Arguments,
        status: PartStatus,
        out: &mut Vec<u8>,
    ) {
        let Some(index) = index else { return };
        match arguments {
            Arguments::Pieces => {}
            // Some readers need an object even where there is nothing to say.
            Arguments::Blank => self.content_delta(index, "input_json_delta", "partial_json", "{}", out),
            Arguments::Gathered(text) => {
                let input = client::input(kind, text, status);
                let input = input.unwrap_or_else(|| repair::arguments_object(text).0);
                self.content_delta(index, "input_json_delta", "partial_json", &input, out);
            }
        }
    }

    /// Ends reasoning with exactly one signature.
    fn thinking_end(&mut self, index: Option<u32>, signature: Option<Signature>, out: &mut Vec<u8>) {
        let native = signature.as_ref().is_some_and(|signature| signature.family == Family::Anthropic);
        let (index, value) = match (index, signature) {
            (None, None) => return,
            (None, Some(signature)) if !native || signature.kind == SignatureKind::Redacted => {
                return self.carrier_block(&signature, Placement::Own, out);
            }
            (index, signature) => {
                let value = signature.and_then(|signature| self.context.carried(&signature, Placement::Own));
                let value = value.unwrap_or_else(|| client::unsigned(&self.context));
                (index.unwrap_or_else(|| self.thinking_block(out)), value)
            }
        };
        frame(out, "content_block_delta", |w| {
            w.num("index", index);
            w.object_field("delta", |w| {
                w.str("type", "signature_delta");
                w.str("signature", &value);
            });
        });
        close_block(Some(index), out);
    }

    /// A block that does nothing but carry a signature.
    fn carrier_block(&mut self, signature: &Signature, placement: Placement, out: &mut Vec<u8>) {
        let Some(data) = self.context.carried(signature, placement).filter(|data| !data.is_empty()) else { return };
        self.redacted_block(&data, out);
    }

    fn redacted_block(&mut self, data: &str, out: &mut Vec<u8>) {
        let index = self.open_block(out, |w| {
            w.str("type", "redacted_thinking");
            w.str("data", data);
        });
        close_block(Some(index), out);
    }

    /// A part that came in one piece.
    fn whole(&mut self, part: &Part, out: &mut Vec<u8>) {
        if let PartKind::Refusal(text) = &part.kind {
            self.refusal.get_or_insert_default().push_str(text);
        }
        let unseen = self.blocks.sight == Sight::None;
        if unseen && matches!(part.kind, PartKind::Reasoning(_) | PartKind::ToolCall(_)) {
            self.hidden.extend(part.signature.clone());
        }
        if let Some((anchor, signature)) = client::signed_text(part).filter(|_| unseen) {
            self.keep_aside(anchor, signature.clone());
        }
        for piece in self.blocks.pieces(&self.context, part) {
            if let Piece::ToolUse { id, .. } = &piece
                && !self.hidden.is_empty()
            {
                self.uncarried.push((id.clone(), std::mem::take(&mut self.hidden)));
            }
            self.piece(&piece, out);
        }
    }

    fn piece(&mut self, piece: &Piece<'_>, out: &mut Vec<u8>) {
        match piece {
            Piece::Text { text, citations } => {
                let index = self.text_block(out);
                self.content_delta(index, "text_delta", "text", text, out);
                let kind = LiveKind::Text(None);
                self.live = Some(Live { part: PartId(u32::MAX), kind, index: Some(index), signature: None });
                citations.iter().for_each(|citation| self.citation(citation, out));
                self.live = None;
                close_block(Some(index), out);
            }
            Piece::Thinking { text, signature } => {
                let index = self.thinking_block(out);
                if !text.is_empty() {
                    self.content_delta(index, "thinking_delta", "thinking", text, out);
                }
                self.content_delta(index, "signature_delta", "signature", signature, out);
                close_block(Some(index), out);
            }
            Piece::ToolUse { call, id, input, ext } => {
                self.called = true;
                let own = is_own(&self.context);
                let index = self.open_block(out, |w| tool_head(w, own, id, &call.name, call.caller.as_ref(), ext));
                self.content_delta(index, "input_json_delta", "partial_json", input, out);
                close_block(Some(index), out);
            }
            Piece::Redacted(data) => self.redacted_block(data, out),
            Piece::ServerToolUse { call, ext } => {
                let index = self.open_block(out, |w| server_tool_head(w, &call.tool, &call.id, &call.name, ext));
                self.content_delta(index, "input_json_delta", "partial_json", call.input.as_str(), out);
                close_block(Some(index), out);
            }
            Piece::ContainerUpload { .. } | Piece::Raw(_) => {
                let next = self.next;
                self.next += 1;
                let context = &self.context;
                frame(out, "content_block_start", |w| {
                    w.num("index", next);
                    w.object_field("content_block", |w| piece.members(w, context));
                });
                close_block(Some(next), out);
            }
        }
    }

    fn text_block(&mut self, out: &mut Vec<u8>) -> u32 {
        self.has_text = true;
        self.open_block(out, |w| {
            w.str("type", "text");
            w.str("text", "");
        })
    }

    fn thinking_block(&mut self, out: &mut Vec<u8>) -> u32 {
        self.open_block(out, |w| {
            w.str("type", "thinking");
            w.str("thinking", "");
            w.str("signature", "");
        })
    }

    fn open_block(&mut self, out: &mut Vec<u8>, members: impl FnOnce(&mut JsonWriter<'_>)) -> u32 {
        if let Some((_, signature)) = self.trailing.take() {
            self.carrier_block(&signature, Placement::Previous, out);
        }
        let index = self.next;
        self.next += 1;
        frame(out, "content_block_start", |w| {
            w.num("index", index);
            w.object_field("content_block", members);
        });
        index
    }

    /// The hot path: one piece of content.
    fn content_delta(&mut self, index: u32, kind: &str, member: &str, text: &str, out: &mut Vec<u8>) {
        use std::io::Write as _;
        self.written += text.len();
        // Writing to a Vec cannot fail.
        write!(
            out,
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\",\"{member}\":"
        )
        .ok();
        write_str(out, text);
        out.extend_from_slice(b"}}\n\n");
    }

    fn finish(&mut self, finish: Box<Finish>, out: &mut Vec<u8>) {
        // Every part has ended by now on any legal stream; what has not is closed rather than left open.
        while self.live.is_some() {
            self.part_end(PartStatus::Incomplete, out);
            self.drain(out);
        }
        if let Some((anchor, signature)) = self.trailing.take() {
            self.keep_aside(anchor, signature);
        }
        if self.usage.is_absent() {
            self.stage = Stage::Held(finish);
        } else {
            self.stage = Stage::Done;
            self.message_end(&finish, out);
        }
    }

    /// Writes `message_delta` and `message_stop`, or the error that the reason stands for.
    fn message_end(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let end = End {
            reason: &finish.reason,
            raw: finish.raw.as_deref(),
            message: finish.message.as_deref(),
            prompt_block: finish.prompt_block.as_ref(),
            ext: &finish.ext,
            refusal: self.refusal.as_deref(),
            has_text: self.has_text,
            called: self.called,
            provider: self.context.provider,
        };
        let Some(stop) = Stop::of(end) else {
            let fault = finish::failure(&finish.reason, finish.raw.as_deref(), finish.message.as_deref());
            return error(out, &fault);
        };
        let context = &self.context;
        let own = is_own(context);
        // Four bytes a token is what text of most languages comes to.
        let estimate = u64::try_from(self.written.div_ceil(4)).unwrap_or(0);
        frame(out, "message_delta", |w| {
            w.object_field("delta", |w| {
                stop.write(w);
                for (name, value) in finish.ext.iter().filter(|_| own) {
                    if !matches!(&**name, "stop_details" | "context_management") {
                        w.raw(name, value);
                    }
                }
            });
            w.key("usage");
            usage::write(w, context, &self.usage, None, Scene::Delta, estimate);
            if own {
                w.opt_raw("context_management", finish.ext.get("context_management"));
            }
        });
        out.extend_from_slice(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }

    fn fail(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        self.stage = Stage::Done;
        self.live = None;
        self.queue.clear();
        error(out, fault);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.is_holding() {
            self.flush_held(out);
            return;
        }
        let message = "the provider's stream ended before the answer was complete";
        self.fail(&Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }, out);
    }
}

/// The members of a call's block before its input comes: `input` is there all the same, strict readers want it.
fn tool_head(w: &mut JsonWriter<'_>, own: bool, id: &str, name: &str, caller: Option<&RawJson>, ext: &Extras) {
    w.str("type", "tool_use");
    w.str("id", id);
    w.str("name", name);
    w.object_field("input", |_| {});
    if own {
        w.opt_raw("caller", caller);
        w.extras(ext);
    }
}

/// The same for a call of the provider's own tool.
fn server_tool_head(w: &mut JsonWriter<'_>, tool: &ServerToolKind, id: &str, name: &str, ext: &Extras) {
    client::server_tool_head(w, tool, id, name);
    w.object_field("input", |_| {});
    w.extras(ext);
}

/// Writes one event; `members` follow its `type`.
fn frame(out: &mut Vec<u8>, name: &str, members: impl FnOnce(&mut JsonWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let data = out.len();
    JsonWriter::new(out).object(|w| {
        w.str("type", name);
        members(w);
    });
    one_line(out, data);
    out.extend_from_slice(b"\n\n");
}

/// Whether a provider's word can stand as the name of an event.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

fn error(out: &mut Vec<u8>, it: &Fault) {
    out.extend_from_slice(b"event: error\ndata: ");
    fault::write(out, it, None);
    out.extend_from_slice(b"\n\n");
}

fn close_block(index: Option<u32>, out: &mut Vec<u8>) {
    if let Some(index) = index {
        frame(out, "content_block_stop", |w| w.num("index", index));
    }
}

/// Bytes that a waiting part holds, roughly.
fn weight_of(part: &Part) -> usize {
    let payload = match &part.kind {
        PartKind::Text(text) => text.text.len(),
        PartKind::ServerToolResult(result) => result.raw.as_ref().map_or(0, |raw| raw.as_str().len()),
        PartKind::Opaque { raw, .. } | PartKind::Compaction { raw, .. } => raw.as_str().len(),
        PartKind::ToolCall(call) => call.arguments.len(),
        _ => 0,
    };
    payload + size_of::<Part>()
}
