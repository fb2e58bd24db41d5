//! The history as items: what a provider gets as `input`, and what a client reads back as the input items of an answer.
//!
//! Two steps: messages become [`Unit`]s, one for each item; then the units are written, when it is known what follows each.

use std::borrow::Cow;

use foldhash::{HashSet, HashSetExt as _};
use polyport_types::{
    Family, LossAction, LossCode, Losses, Media, MediaSource, Message, Part, PartKind, Protocol, RawJson, Reasoning,
    ReasoningText, Request, Role, ServerToolCall, Signature, SignatureKind, Text, TextPart, ToolCall, ToolCallKind,
    ToolResult,
};

use self::content::{Content, ResultIds, contents, mark_error, result_contents, write_content, write_result};
pub(super) use self::content::{ttl_word, write_parts};
pub use self::listing::{InputPage, encode_input_items, encode_input_page};
use super::item::CONTENT_MARK;
use super::write::{
    CallItem, ReasoningItem, annotation, call_id, can_cite, generated_image, is_made, logprob, made_id, place,
};
use crate::Target;
use crate::carrier::is_token;
use crate::json::JsonWriter;
use crate::profile::ReasoningBack;

mod content;
mod listing;

/// One item to be.
enum Unit<'a> {
    /// A message: its parts are content.
    Message { message: &'a Message, parts: Vec<&'a Part>, id: Option<&'a Text> },
    /// Reasoning: the parts of one item.
    Reasoning { message: &'a Message, parts: Vec<&'a Part> },
    /// A call of a client tool.
    Call { message: &'a Message, part: &'a Part, call: &'a ToolCall },
    /// Its result.
    Result { message: &'a Message, part: &'a Part, result: &'a ToolResult },
    /// A picture the model made.
    Image { part: &'a Part, data: &'a Text },
    /// An item kept verbatim.
    Raw { raw: &'a RawJson, by_model: bool },
    /// A reference to a stored item.
    Reference { id: &'a Text },
}

impl Unit<'_> {
    /// Whether the model made it: reasoning must be followed by such an item.
    fn is_by_model(&self) -> bool {
        match self {
            Self::Message { message, .. } => message.role == Role::Assistant,
            Self::Raw { by_model, .. } => *by_model,
            Self::Result { .. } => false,
            Self::Reasoning { .. } | Self::Call { .. } | Self::Image { .. } | Self::Reference { .. } => true,
        }
    }
}

/// For each unit, whether the model made the next one that is no reasoning.
fn followed(units: &[Unit<'_>]) -> Vec<bool> {
    let mut next = false;
    let mut followed: Vec<bool> = units
        .iter()
        .rev()
        .map(|unit| match unit {
            Unit::Reasoning { .. } => next,
            unit => std::mem::replace(&mut next, unit.is_by_model()),
        })
        .collect();
    followed.reverse();
    followed
}

/// Cuts the history into items.
fn units<'a>(messages: &'a [Message], path: &dyn Fn(&Message) -> String, losses: &mut Losses) -> Vec<Unit<'a>> {
    let mut units: Vec<Unit<'a>> = Vec::with_capacity(messages.len());
    for message in messages {
        let first = units.len();
        for (at, part) in message.parts.iter().enumerate() {
            match unit(message, part) {
                Found::Unit(unit) => units.push(unit),
                Found::Content => join_content(&mut units, first, message, part),
                Found::Reasoning => join_reasoning(&mut units, first, message, part),
                // Its result carries the whole item.
                Found::InResult => {}
                Found::Foreign => {
                    let path = format!("{}/content/{at}", path(message));
                    losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, path, "history of a server tool");
                }
            }
        }
    }
    units
}

enum Found<'a> {
    Unit(Unit<'a>),
    Content,
    Reasoning,
    InResult,
    Foreign,
}

fn unit<'a>(message: &'a Message, part: &'a Part) -> Found<'a> {
    let by_model = message.role == Role::Assistant;
    match &part.kind {
        PartKind::ToolCall(call) => Found::Unit(Unit::Call { message, part, call }),
        PartKind::ToolResult(result) => Found::Unit(Unit::Result { message, part, result }),
        PartKind::Reasoning(_) => Found::Reasoning,
        PartKind::ServerToolCall(call) => match (&**call, &call.raw) {
            (ServerToolCall { protocol: Protocol::Responses, .. }, Some(raw)) => {
                Found::Unit(Unit::Raw { raw, by_model: true })
            }
            (ServerToolCall { protocol: Protocol::Responses, .. }, None) => Found::InResult,
            _ => Found::Foreign,
        },
        PartKind::ServerToolResult(result) => match (result.protocol, &result.raw) {
            (Protocol::Responses, Some(raw)) => Found::Unit(Unit::Raw { raw, by_model: true }),
            (Protocol::Responses, None) => Found::InResult,
            _ => Found::Foreign,
        },
        PartKind::Opaque { protocol, raw, kind } => match protocol {
            Protocol::Responses if part.ext.get(CONTENT_MARK).is_some() => Found::Content,
            Protocol::Responses => {
                let by_model = by_model && !kind.ends_with("_output");
                Found::Unit(Unit::Raw { raw, by_model })
            }
            Protocol::Chat | Protocol::Messages | Protocol::Gemini => Found::Foreign,
        },
        PartKind::Compaction { raw, .. } => Found::Unit(Unit::Raw { raw, by_model: true }),
        PartKind::ItemReference { id } => Found::Unit(Unit::Reference { id }),
        PartKind::Image(Media { source: MediaSource::Base64 { data, .. }, .. }) if by_model => {
            Found::Unit(Unit::Image { part, data })
        }
        PartKind::Text(_)
        | PartKind::Refusal(_)
        | PartKind::Image(_)
        | PartKind::Document(_)
        | PartKind::Audio(_)
        | PartKind::Video(_)
        | PartKind::SearchResult(_)
        | PartKind::ExecutableCode { .. }
        | PartKind::CodeResult { .. }
        | PartKind::ContainerUpload { .. }
        | PartKind::ToolReference { .. } => Found::Content,
    }
}

/// Adds a content part to the message item that is being gathered, or begins one.
fn join_content<'a>(units: &mut Vec<Unit<'a>>, first: usize, message: &'a Message, part: &'a Part) {
    let id = message.id.as_ref().or(part.item_id.as_ref());
    let open = if units.len() > first { units.last_mut() } else { None };
    match open {
        // A refusal knows no item of its own.
        Some(Unit::Message { parts, id: open, .. }) if *open == id || id.is_none() => parts.push(part),
        _ => units.push(Unit::Message { message, parts: vec![part], id }),
    }
}

fn join_reasoning<'a>(units: &mut Vec<Unit<'a>>, first: usize, message: &'a Message, part: &'a Part) {
    let open = if units.len() > first { units.last_mut() } else { None };
    match open {
        Some(Unit::Reasoning { parts, .. })
            if part.item_id.is_some() && parts.last().is_some_and(|last| last.item_id == part.item_id) =>
        {
            parts.push(part);
        }
        _ => units.push(Unit::Reasoning { message, parts: vec![part] }),
    }
}

/// Writes the history for a provider.
pub(super) struct InputWriter<'r, 'l> {
    request: &'r Request,
    target: &'r Target,
    /// The client speaks Responses itself: ids, states and unknown members go on.
    native: bool,
    /// Nothing is stored at the provider: items must be complete.
    stateless: bool,
    losses: &'l mut Losses,
    /// Item ids already sent: each may stand once.
    ids: HashSet<&'r str>,
}

impl<'r, 'l> InputWriter<'r, 'l> {
    pub(super) fn new(request: &'r Request, target: &'r Target, stateless: bool, losses: &'l mut Losses) -> Self {
        let native = request.source == polyport_types::ClientProtocol::Responses;
        Self { request, target, native, stateless, losses, ids: HashSet::new() }
    }

    /// Writes every message as elements of an open array.
    pub(super) fn write(&mut self, w: &mut JsonWriter<'_>) {
        let request = self.request;
        let units = units(&request.messages, &|message| request.message_path(message), self.losses);
        // Items led to by reasoning that is missing cannot be found again by their id.
        let mut orphaned = false;
        for (unit, followed) in units.iter().zip(followed(&units)) {
            match unit {
                Unit::Reasoning { message, parts } => {
                    if !(followed && self.reasoning(w, message, parts)) {
                        orphaned = true;
                        self.reasoning_lost(message, parts);
                    }
                }
                unit => {
                    if !unit.is_by_model() {
                        orphaned = false;
                    }
                    self.unit(w, unit, orphaned);
                }
            }
        }
    }

    fn unit(&mut self, w: &mut JsonWriter<'_>, unit: &Unit<'r>, orphaned: bool) {
        match unit {
            Unit::Message { message, parts, id } if message.role == Role::Assistant => {
                let id = id.filter(|_| !orphaned);
                self.assistant(w, message, parts, id);
            }
            Unit::Message { message, parts, .. } => self.input_message(w, message, parts),
            Unit::Call { message, part, call } => {
                let prefix = if call.kind == ToolCallKind::Custom { "ctc" } else { "fc" };
                let prefix = if matches!(call.kind, ToolCallKind::Builtin(_)) { "" } else { prefix };
                let id = part.item_id.as_ref().filter(|_| !orphaned).and_then(|id| self.own_id(id, prefix));
                self.call(w, message, part, call, id);
            }
            Unit::Result { message, part, result } => {
                let id = part.item_id.as_ref().and_then(|id| self.own_id(id, ""));
                self.result(w, message, part, result, id);
            }
            Unit::Image { part, data } => {
                let own = part.item_id.as_ref().and_then(|id| self.own_id(id, ""));
                let id = own.map_or_else(|| Cow::Owned(hash_id("ig", data.as_bytes())), Cow::Borrowed);
                generated_image(w, &id, data, self.native.then_some(&part.ext));
            }
            Unit::Raw { raw, .. } => w.raw_value(raw.as_str()),
            Unit::Reference { id } => w.object(|w| {
                w.str("type", "item_reference");
                w.str("id", id);
            }),
            Unit::Reasoning { .. } => {}
        }
    }

    /// An item id of the client's that the provider can know, once.
    fn own_id(&mut self, id: &'r Text, prefix: &str) -> Option<&'r str> {
        /// Longest item id that `OpenAI` takes.
        const MAX: usize = 64;
        let official = self.target.capabilities.family == Family::OpenAi;
        let fits = self.native && !is_made(id) && !id.is_empty();
        let known = !official || (id.len() <= MAX && id.starts_with(prefix));
        (fits && known && self.ids.insert(id)).then_some(&**id)
    }

    /// Reasoning goes back only where the provider can read it. False if it was left out.
    fn reasoning(&mut self, w: &mut JsonWriter<'_>, message: &Message, parts: &[&'r Part]) -> bool {
        let official = self.target.capabilities.family == Family::OpenAi;
        let part = parts.iter().rev().find(|part| part.signature.is_some()).or(parts.last());
        let Some(part) = part else { return false };
        let signature = part.signature.as_ref().filter(|signature| is_readable(signature));
        let id = signature.and_then(|signature| signature.item_id.as_ref()).or(part.item_id.as_ref());
        let id = id.filter(|id| !is_made(id) && !id.is_empty() && (!official || id.starts_with("rs")));
        let spoken = self.target.profile.reasoning_back != ReasoningBack::Never;
        let kept = match (signature, id) {
            (Some(_), Some(id)) => self.ids.insert(id),
            (Some(_), None) => false,
            (None, Some(id)) => self.native && (spoken || !self.stateless) && self.ids.insert(id),
            (None, None) => spoken,
        };
        if !kept {
            return false;
        }
        let text = reasoning_text(parts);
        let made;
        let id = match id {
            Some(id) => &**id,
            None => {
                made = hash_id("rs", text.full.unwrap_or_default().as_bytes());
                &made
            }
        };
        ReasoningItem {
            id,
            encrypted: signature.map(|signature| &*signature.value),
            status: message.status.as_deref().filter(|status| self.native && is_state(status)),
            ext: self.native.then_some(&part.ext),
            ..text
        }
        .write(w);
        true
    }

    fn reasoning_lost(&mut self, message: &Message, parts: &[&Part]) {
        let path = self.request.message_path(message);
        if parts.iter().any(|part| part.signature.as_ref().is_some_and(|signature| !signature.value.is_empty())) {
            let detail = "reasoning that this provider cannot read";
            self.losses.info(LossCode::SignatureForeignDropped, LossAction::Dropped, path.clone(), detail);
        }
        if parts.iter().any(|part| has_text(part)) {
            self.losses.info(LossCode::ReasoningTextDropped, LossAction::Dropped, path, "");
        }
    }

    /// What the model said. Only its own items have the full form; a foreign answer is a message by its side.
    fn assistant(&mut self, w: &mut JsonWriter<'_>, message: &Message, parts: &[&'r Part], id: Option<&'r Text>) {
        let spoken = parts
            .iter()
            .all(|part| matches!(part.kind, PartKind::Text(_) | PartKind::Refusal(_) | PartKind::Opaque { .. }));
        let id = id.filter(|_| spoken).and_then(|id| self.own_id(id, "msg"));
        let native = self.native;
        let phase = phase(message, parts).filter(|_| native);
        if let Some(id) = id {
            return w.object(|w| output_message(w, id, message, parts, phase.as_deref(), native, false));
        }
        let path = self.request.message_path(message);
        let mut text = String::new();
        for part in parts {
            self.spoken(part, &path, &mut text);
        }
        // What a client of this protocol sends has been accepted before.
        if text.trim().is_empty() && !self.native {
            return self.losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, path, "");
        }
        w.object(|w| {
            w.str("type", "message");
            w.str("role", "assistant");
            w.str("content", &text);
            w.opt_str("phase", phase.as_deref());
        });
    }

    /// A part of an answer as plain text.
    fn spoken(&mut self, part: &Part, path: &str, text: &mut String) {
        if part.cache.is_some() {
            let detail = "words of the assistant";
            self.losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, path, detail);
        }
        match &part.kind {
            PartKind::Text(part) => {
                if !part.citations.is_empty() {
                    self.losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "");
                }
                text.push_str(&part.text);
            }
            PartKind::Refusal(refusal) => {
                self.losses.info(LossCode::RoleDegraded, LossAction::Degraded, path, "a refusal became text");
                text.push_str(refusal);
            }
            _ => {
                for content in contents(part, path, self.losses) {
                    match content {
                        Content::Text { text: more, .. } => text.push_str(&more),
                        Content::Image { .. } | Content::File { .. } => {
                            let detail = "media of the assistant";
                            self.losses.error(LossCode::MediaUnsupported, path, detail);
                        }
                        Content::Raw(_) => {}
                    }
                }
            }
        }
    }

    /// A message of the user's side, or an instruction inside the history.
    fn input_message(&mut self, w: &mut JsonWriter<'_>, message: &Message, parts: &[&Part]) {
        let path = self.request.message_path(message);
        if message.name.is_some() {
            self.losses.info(LossCode::NameDropped, LossAction::Dropped, path.clone(), "");
        }
        let mut list = Vec::new();
        for part in parts {
            list.extend(contents(part, &path, self.losses));
        }
        if list.is_empty() {
            return self.losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, path, "");
        }
        let status = message.status.as_deref().filter(|status| self.native && is_state(status));
        w.object(|w| {
            w.str("type", "message");
            w.str("role", role_word(message.role));
            w.array_field("content", |w| list.iter().for_each(|content| self.content(w, content)));
            w.opt_str("status", status);
            if self.native {
                w.extras(&message.ext);
            }
        });
    }

    fn content(&self, w: &mut JsonWriter<'_>, content: &Content<'_>) {
        write_content(w, content, self.native, self.target.profile.cache_ttl_12h);
    }

    fn call(&mut self, w: &mut JsonWriter<'_>, message: &Message, part: &Part, call: &ToolCall, id: Option<&'r str>) {
        let call_id = self.call_id(&call.id, message);
        let status = message.status.as_deref().filter(|status| self.native && is_state(status));
        let mut item = CallItem {
            id,
            call_id: &call_id,
            name: &call.name,
            namespace: call.namespace.as_deref(),
            kind: &call.kind,
            arguments: &call.arguments,
            // A custom call has no state in a request.
            status: status.filter(|_| call.kind != ToolCallKind::Custom),
            caller: call.caller.as_ref().filter(|_| self.native),
            ext: self.native.then_some(&part.ext),
            exact: false,
        };
        // Some tools want an id, whoever made the call.
        let made;
        let needs_id =
            matches!(&call.kind, ToolCallKind::Builtin(kind) if matches!(&**kind, "computer" | "local_shell"));
        if needs_id && item.is_builtin() && item.id.is_none() {
            made = part.item_id.as_ref().map_or_else(|| hash_id("fc", call.id.as_bytes()), ToString::to_string);
            item.id = Some(&made);
        }
        item.write(w);
    }

    fn call_id<'i>(&mut self, id: &'i str, message: &Message) -> Cow<'i, str> {
        let short = call_id(id);
        if *short != *id {
            let path = self.request.message_path(message);
            self.losses.info(LossCode::IdRewritten, LossAction::Renamed, path, "a call id longer than 64 characters");
        }
        short
    }

    fn result(
        &mut self,
        w: &mut JsonWriter<'_>,
        message: &Message,
        part: &Part,
        result: &ToolResult,
        id: Option<&str>,
    ) {
        let path = self.request.message_path(message);
        let call_id = self.call_id(&result.call_id, message);
        let mut contents = result_contents(result, &path, self.losses);
        let is_patch = matches!(&result.kind, ToolCallKind::Builtin(kind) if &**kind == "apply_patch");
        if result.is_error && !is_patch {
            self.losses.info(LossCode::ToolResultIsError, LossAction::Degraded, path, "");
            mark_error(&mut contents);
        }
        let status = message.status.as_deref().filter(|status| self.native && is_state(status));
        let ids = ResultIds { id, call_id: &call_id, status };
        let ttl_12h = self.target.profile.cache_ttl_12h;
        write_result(w, part, result, &contents, &ids, self.native, ttl_12h);
    }
}

/// Whether a signature is the `encrypted_content` of a reasoning item.
fn is_readable(signature: &Signature) -> bool {
    signature.kind == SignatureKind::ReasoningItem && !signature.value.is_empty() && !is_token(&signature.value)
}

fn has_text(part: &Part) -> bool {
    matches!(&part.kind, PartKind::Reasoning(reasoning) if !matches!(reasoning.text, ReasoningText::None))
}

/// The texts of the parts of one reasoning item.
fn reasoning_text<'a>(parts: &[&'a Part]) -> ReasoningItem<'a> {
    let mut item = ReasoningItem::default();
    for part in parts {
        let PartKind::Reasoning(reasoning) = &part.kind else { continue };
        let Reasoning { text, .. } = &**reasoning;
        match text {
            ReasoningText::None => {}
            ReasoningText::Full(full) => item.full = Some(full),
            ReasoningText::Summary(texts) => item.summary.extend(texts.iter().map(|text| &**text)),
        }
    }
    item
}

/// States an item of a request may be in.
fn is_state(status: &str) -> bool {
    matches!(status, "in_progress" | "completed" | "incomplete")
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Developer => "developer",
        Role::User | Role::Tool => "user",
    }
}

/// Responses `phase`: of the message, or of the part it was decoded to.
fn phase<'a>(message: &'a Message, parts: &[&'a Part]) -> Option<Cow<'a, str>> {
    if let Some(phase) = &message.phase {
        return Some(Cow::Borrowed(phase));
    }
    let raw = parts.iter().find_map(|part| part.ext.get("phase"))?;
    serde_json::from_str::<String>(raw.as_str()).ok().map(Cow::Owned)
}

/// A deterministic id for items that must have one.
fn hash_id(prefix: &str, seed: &[u8]) -> String {
    let hash = blake3::hash(seed).to_hex();
    made_id(prefix, &hash.as_str().chars().take(32).collect::<String>())
}

/// A message item of the model with its content parts; `listed` for clients, who get every member.
fn output_message(
    w: &mut JsonWriter<'_>,
    id: &str,
    message: &Message,
    parts: &[&Part],
    phase: Option<&str>,
    native: bool,
    listed: bool,
) {
    w.str("type", "message");
    w.str("id", id);
    w.str("role", "assistant");
    w.str("status", message.status.as_deref().filter(|status| is_state(status)).unwrap_or("completed"));
    w.array_field("content", |w| {
        for part in parts {
            match &part.kind {
                PartKind::Text(text) => w.object(|w| output_text(w, text, part, native, listed)),
                PartKind::Refusal(refusal) => w.object(|w| {
                    w.str("type", "refusal");
                    w.str("refusal", refusal);
                }),
                PartKind::Opaque { raw, .. } => w.raw_value(raw.as_str()),
                _ => {}
            }
        }
    });
    w.opt_str("phase", phase);
    if native {
        w.extras(&message.ext);
    }
}

fn output_text(w: &mut JsonWriter<'_>, text: &TextPart, part: &Part, native: bool, listed: bool) {
    w.str("type", "output_text");
    w.str("text", &text.text);
    w.array_field("annotations", |w| {
        for citation in text.citations.iter().filter(|citation| can_cite(citation) || native) {
            annotation(w, citation, place(citation, 0, &text.text), native);
        }
    });
    if !text.logprobs.is_empty() || listed {
        w.array_field("logprobs", |w| text.logprobs.iter().for_each(|token| logprob(w, token)));
    }
    if native {
        part.ext.iter().filter(|(name, _)| &***name != "phase").for_each(|(name, value)| w.raw(name, value));
    }
}
