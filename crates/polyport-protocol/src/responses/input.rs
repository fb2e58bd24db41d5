//! The history as items: what a provider gets as `input`, and what a client reads back as the input items of an answer.
//!
//! Two steps: messages become [`Unit`]s, one for each item; then the units are written, when it is known what follows each.

use std::borrow::Cow;
use std::collections::HashSet;

use polyport_types::{
    CacheMark, CacheTtl, Document, DocumentSource, Extras, Family, LossAction, LossCode, Losses, Media, MediaSource,
    Message, Part, PartKind, Protocol, RawJson, Reasoning, ReasoningText, Request, Role, SearchResult, ServerToolCall,
    Signature, SignatureKind, Text, TextPart, ToolCall, ToolCallKind, ToolResult,
};

use super::hosted::{native_id, with_id};
use super::item::CONTENT_MARK;
use super::write::{
    CallItem, ReasoningItem, annotation, call_id, can_cite, detail_word, generated_image, image_members, is_made,
    logprob, made_id, place,
};
use crate::Target;
use crate::carrier::is_token;
use crate::json::JsonWriter;
use crate::profile::ReasoningBack;

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
        for (at, unit) in units.iter().enumerate() {
            let followed = units
                .iter()
                .skip(at + 1)
                .find(|unit| !matches!(unit, Unit::Reasoning { .. }))
                .is_some_and(Unit::is_by_model);
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
            return w.object(|w| output_message(w, id, message, parts, phase.as_deref(), native));
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
            PartKind::Text(part) => text.push_str(&part.text),
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

/// A message item of the model with its content parts.
fn output_message(
    w: &mut JsonWriter<'_>,
    id: &str,
    message: &Message,
    parts: &[&Part],
    phase: Option<&str>,
    native: bool,
) {
    w.str("type", "message");
    w.str("id", id);
    w.str("role", "assistant");
    w.str("status", message.status.as_deref().filter(|status| is_state(status)).unwrap_or("completed"));
    w.array_field("content", |w| {
        for part in parts {
            match &part.kind {
                PartKind::Text(text) => w.object(|w| output_text(w, text, part, native)),
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

fn output_text(w: &mut JsonWriter<'_>, text: &TextPart, part: &Part, native: bool) {
    w.str("type", "output_text");
    w.str("text", &text.text);
    w.array_field("annotations", |w| {
        for citation in text.citations.iter().filter(|citation| can_cite(citation) || native) {
            annotation(w, citation, place(citation, 0, &text.text), native);
        }
    });
    if !text.logprobs.is_empty() {
        w.array_field("logprobs", |w| text.logprobs.iter().for_each(|token| logprob(w, token)));
    }
    if native {
        part.ext.iter().filter(|(name, _)| &***name != "phase").for_each(|(name, value)| w.raw(name, value));
    }
}

// --------------------------------------------------------------------------------------------------------- content parts

/// A content part of the user's side.
enum Content<'a> {
    Text { text: Cow<'a, str>, cache: Option<CacheMark>, ext: Option<&'a Extras> },
    Image { image: &'a Media, cache: Option<CacheMark>, ext: Option<&'a Extras> },
    File { source: &'a MediaSource, document: &'a Document, cache: Option<CacheMark>, ext: Option<&'a Extras> },
    Raw(&'a RawJson),
}

/// What a part becomes; nothing if it is empty or there is no form for it.
fn contents<'a>(part: &'a Part, path: &str, losses: &mut Losses) -> Vec<Content<'a>> {
    let cache = part.cache;
    let ext = Some(&part.ext);
    let plain = |text: Cow<'a, str>| vec![Content::Text { text, cache, ext: None }];
    match &part.kind {
        PartKind::Text(text) if text.text.trim().is_empty() => Vec::new(),
        PartKind::Text(text) => vec![Content::Text { text: Cow::Borrowed(&text.text), cache, ext }],
        PartKind::Refusal(text) => plain(Cow::Borrowed(text)),
        PartKind::Image(image) if is_known_file(&image.source) => vec![Content::Image { image, cache, ext }],
        PartKind::Document(document) => document_contents(part, document, path, losses),
        PartKind::SearchResult(hit) => {
            losses.info(LossCode::CitationDegraded, LossAction::Degraded, path, "a search result became text");
            plain(Cow::Owned(search_result(hit)))
        }
        PartKind::ExecutableCode { language, code, .. } => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "code became text");
            plain(Cow::Owned(format!("```{}\n{code}\n```\n", language.to_lowercase())))
        }
        PartKind::CodeResult { output, .. } => {
            losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path, "output of code became text");
            plain(Cow::Owned(format!("```\n{output}\n```\n")))
        }
        PartKind::ToolReference { name } => plain(Cow::Owned(format!("tool: {name}"))),
        PartKind::Opaque { protocol: Protocol::Responses, raw, .. } => vec![Content::Raw(raw)],
        PartKind::Image(_) | PartKind::ContainerUpload { .. } => {
            losses.error(LossCode::FileIdForeign, path, "a file of another provider");
            Vec::new()
        }
        PartKind::Audio(_) | PartKind::Video(_) => {
            losses.error(LossCode::MediaUnsupported, path, "sound or video");
            Vec::new()
        }
        // Items of their own; inside a tool result they have no form.
        PartKind::ToolCall(_)
        | PartKind::ToolResult(_)
        | PartKind::Reasoning(_)
        | PartKind::ServerToolCall(_)
        | PartKind::ServerToolResult(_)
        | PartKind::Compaction { .. }
        | PartKind::ItemReference { .. }
        | PartKind::Opaque { .. } => {
            losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "a part inside another");
            Vec::new()
        }
    }
}

/// File ids are those of an `OpenAI` account, whichever protocol named them.
fn is_known_file(source: &MediaSource) -> bool {
    !matches!(source, MediaSource::FileId { owner: Protocol::Messages | Protocol::Gemini, .. })
}

fn search_result(hit: &SearchResult) -> String {
    let mut text = format!("{}\n{}\n", hit.title, hit.source);
    for part in hit.parts.iter().filter_map(Part::as_text) {
        text.push_str(part);
    }
    text
}

fn document_contents<'a>(part: &'a Part, document: &'a Document, path: &str, losses: &mut Losses) -> Vec<Content<'a>> {
    let mut contents = Vec::new();
    let text = |text: Cow<'a, str>, cache| Content::Text { text, cache, ext: None };
    if document.citations == Some(true) {
        losses.info(LossCode::CitationDropped, LossAction::Dropped, path, "citations of a document");
    }
    if let Some(context) = document.context.as_ref().filter(|context| !context.trim().is_empty()) {
        contents.push(text(Cow::Borrowed(context), None));
    }
    let title = document.title.as_ref().or(document.filename.as_ref());
    match &document.source {
        DocumentSource::File(source) if is_known_file(source) => {
            contents.push(Content::File { source, document, cache: part.cache, ext: Some(&part.ext) });
        }
        DocumentSource::File(_) => losses.error(LossCode::FileIdForeign, path, "a file of another provider"),
        DocumentSource::PlainText(plain) => {
            let titled = title.map_or(Cow::Borrowed(&**plain), |title| Cow::Owned(format!("{title}\n{plain}")));
            if !titled.trim().is_empty() {
                contents.push(text(titled, part.cache));
            }
        }
        DocumentSource::Blocks(parts) => {
            if let Some(title) = title {
                contents.push(text(Cow::Borrowed(title), None));
            }
            for part in parts {
                contents.extend(self::contents(part, path, losses));
            }
        }
    }
    contents
}

fn write_content(w: &mut JsonWriter<'_>, content: &Content<'_>, native: bool, ttl_12h: bool) {
    let tail = |w: &mut JsonWriter<'_>, cache: Option<CacheMark>, ext: Option<&Extras>| {
        if let Some(mark) = cache {
            cache_breakpoint(w, mark, native, ttl_12h);
        }
        if let (true, Some(ext)) = (native, ext) {
            w.extras(ext);
        }
    };
    match content {
        Content::Text { text, cache, ext } => w.object(|w| {
            w.str("type", "input_text");
            w.str("text", text);
            tail(w, *cache, *ext);
        }),
        Content::Image { image, cache, ext } => w.object(|w| {
            image_members(w, image);
            tail(w, *cache, *ext);
        }),
        Content::File { source, document, cache, ext } => w.object(|w| {
            w.str("type", "input_file");
            file_members(w, source, document);
            tail(w, *cache, *ext);
        }),
        Content::Raw(raw) => w.raw_value(raw.as_str()),
    }
}

fn file_members(w: &mut JsonWriter<'_>, source: &MediaSource, document: &Document) {
    let name = document.filename.as_deref().or(document.title.as_deref());
    match source {
        MediaSource::Base64 { mime, data } => {
            w.str("filename", name.unwrap_or_else(|| file_name(mime)));
            w.key("file_data");
            w.string_concat(&["data:", mime, ";base64,", data]);
        }
        MediaSource::Url { url, .. } => {
            w.str("file_url", url);
            w.opt_str("filename", name);
        }
        MediaSource::FileId { id, .. } => {
            w.str("file_id", id);
            w.opt_str("filename", name);
        }
    }
    let detail = document.detail.map(detail_word).filter(|detail| *detail != "original");
    w.opt_str("detail", detail);
}

/// A file needs a name.
fn file_name(mime: &str) -> &'static str {
    match mime {
        "text/plain" => "document.txt",
        "text/csv" => "document.csv",
        "text/markdown" => "document.md",
        "text/html" => "document.html",
        "application/json" => "document.json",
        _ => "document.pdf",
    }
}

fn cache_breakpoint(w: &mut JsonWriter<'_>, mark: CacheMark, native: bool, ttl_12h: bool) {
    w.object_field("prompt_cache_breakpoint", |w| {
        w.str("mode", "explicit");
        match mark.ttl {
            Some(ttl) if native => w.str("ttl", ttl_word(ttl)),
            // Longer than the default of half an hour.
            Some(CacheTtl::Hour1 | CacheTtl::Hours12 | CacheTtl::Hours24) if ttl_12h => w.str("ttl", "12h"),
            _ => {}
        }
    });
}

/// A cache lifetime in `OpenAI`'s words.
pub(super) fn ttl_word(ttl: CacheTtl) -> &'static str {
    match ttl {
        CacheTtl::Minutes5 => "5m",
        CacheTtl::Minutes30 => "30m",
        CacheTtl::Hour1 => "1h",
        CacheTtl::Hours12 => "12h",
        CacheTtl::Hours24 => "24h",
    }
}

/// Instruction parts as content parts of a message; `mark` is put on the last one that has none of its own.
pub(super) fn write_parts(
    w: &mut JsonWriter<'_>,
    parts: &[Part],
    mark: Option<CacheMark>,
    native: bool,
    target: &Target,
    losses: &mut Losses,
) {
    let mut list: Vec<Content<'_>> = parts.iter().flat_map(|part| contents(part, "/instructions", losses)).collect();
    if let (Some(mark), Some(Content::Text { cache: cache @ None, .. })) = (mark, list.last_mut()) {
        *cache = Some(mark);
    }
    list.iter().for_each(|content| write_content(w, content, native, target.profile.cache_ttl_12h));
}

// ---------------------------------------------------------------------------------------------------------- tool results

struct ResultIds<'a> {
    id: Option<&'a str>,
    call_id: &'a str,
    status: Option<&'a str>,
}

/// The content of a result; unlike what a person says it is kept even if it is only white space.
fn result_contents<'a>(result: &'a ToolResult, path: &str, losses: &mut Losses) -> Vec<Content<'a>> {
    let mut list = Vec::new();
    for part in &result.parts {
        match &part.kind {
            PartKind::Text(text) if text.text.is_empty() => {}
            PartKind::Text(text) => {
                list.push(Content::Text { text: Cow::Borrowed(&text.text), cache: part.cache, ext: Some(&part.ext) });
            }
            _ => list.extend(contents(part, path, losses)),
        }
    }
    list
}

/// There is no flag for a failed tool: its text says so.
fn mark_error(contents: &mut Vec<Content<'_>>) {
    let says_so = |text: &str| text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("error"));
    match contents.iter_mut().find_map(|content| match content {
        Content::Text { text, .. } => Some(text),
        Content::Image { .. } | Content::File { .. } | Content::Raw(_) => None,
    }) {
        Some(text) if says_so(text) => {}
        Some(text) => *text = Cow::Owned(format!("Error: {text}")),
        None => contents.insert(0, Content::Text { text: Cow::Borrowed("Error"), cache: None, ext: None }),
    }
}

fn write_result(
    w: &mut JsonWriter<'_>,
    part: &Part,
    result: &ToolResult,
    contents: &[Content<'_>],
    ids: &ResultIds<'_>,
    native: bool,
    ttl_12h: bool,
) {
    let text = || {
        let texts = contents.iter().filter_map(|content| match content {
            Content::Text { text, .. } => Some(&**text),
            Content::Image { .. } | Content::File { .. } | Content::Raw(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    };
    let builtin = match &result.kind {
        ToolCallKind::Builtin(kind) => &**kind,
        ToolCallKind::Function | ToolCallKind::Custom => "",
    };
    let picture = contents.iter().find_map(|content| match content {
        Content::Image { image, .. } => Some(*image),
        Content::Text { .. } | Content::File { .. } | Content::Raw(_) => None,
    });
    w.object(|w| {
        let head = |w: &mut JsonWriter<'_>, kind: &str| {
            w.str("type", kind);
            w.opt_str("id", ids.id);
            w.str("call_id", ids.call_id);
        };
        match (builtin, &result.structured, picture) {
            ("shell", Some(output), _) if output.as_str().trim_start().starts_with('[') => {
                head(w, "shell_call_output");
                w.raw("output", output);
            }
            ("tool_search", Some(tools), _) if tools.as_str().trim_start().starts_with('[') => {
                head(w, "tool_search_output");
                w.str("execution", "client");
                w.raw("tools", tools);
            }
            ("apply_patch", _, _) => {
                head(w, "apply_patch_call_output");
                w.str("status", if result.is_error { "failed" } else { "completed" });
                w.str("output", &text());
            }
            ("local_shell", _, _) => {
                head(w, "local_shell_call_output");
                w.str("output", &text());
            }
            ("computer", _, Some(picture)) => {
                head(w, "computer_call_output");
                w.object_field("output", |w| {
                    w.str("type", "computer_screenshot");
                    super::write::media_members(w, &picture.source);
                });
            }
            _ => {
                let custom = result.kind == ToolCallKind::Custom;
                head(w, if custom { "custom_tool_call_output" } else { "function_call_output" });
                w.opt_str("name", result.name.as_deref().filter(|_| native && !custom));
                w.key("output");
                write_output(w, result, contents, native, ttl_12h);
            }
        }
        if !matches!(builtin, "apply_patch") && result.kind != ToolCallKind::Custom {
            w.opt_str("status", ids.status);
        }
        if native {
            w.extras(&part.ext);
        }
    });
}

/// Text where it is no more than that, otherwise content parts.
fn write_output(w: &mut JsonWriter<'_>, result: &ToolResult, contents: &[Content<'_>], native: bool, ttl_12h: bool) {
    match (&result.structured, contents) {
        (Some(structured), []) => w.string(structured.as_str()),
        (None, []) => w.string(""),
        (None, [Content::Text { text, cache: None, ext }]) if ext.is_none_or(Extras::is_empty) => w.string(text),
        (structured, contents) => w.array(|w| {
            if let Some(structured) = structured {
                w.object(|w| {
                    w.str("type", "input_text");
                    w.str("text", structured.as_str());
                });
            }
            contents.iter().for_each(|content| write_content(w, content, native, ttl_12h));
        }),
    }
}

// ----------------------------------------------------------------------------------------------------------- input items

/// Which of the input items a client wants to read.
#[derive(Clone, Debug)]
pub struct InputPage<'a> {
    /// How many at most.
    pub limit: usize,
    /// The last ones first.
    pub descending: bool,
    /// Only those behind the item with this id.
    pub after: Option<&'a str>,
}

impl Default for InputPage<'_> {
    /// Everything in the order of the conversation.
    fn default() -> Self {
        Self { limit: usize::MAX, descending: false, after: None }
    }
}

/// Writes the history of an answer as a list of items (`GET /v1/responses/{id}/input_items`). Every item has an id: its own, or one
/// made of its place and content, so that it is the same each time.
#[must_use]
pub fn encode_input_items(messages: &[Message]) -> Vec<u8> {
    encode_input_page(messages, &InputPage::default())
}

/// The same for one page of the list.
#[must_use]
pub fn encode_input_page(messages: &[Message], page: &InputPage<'_>) -> Vec<u8> {
    let mut losses = Losses::new();
    let units = units(messages, &|message| format!("/input/{}", message.index), &mut losses);
    let mut items: Vec<(String, Vec<u8>)> =
        units.iter().enumerate().filter_map(|(at, unit)| listed(at, unit)).collect();
    if page.descending {
        items.reverse();
    }
    let skip =
        page.after.map_or(0, |after| items.iter().position(|(id, _)| id == after).map_or(items.len(), |at| at + 1));
    let rest = items.get(skip..).unwrap_or_default();
    let shown = rest.get(..page.limit.min(rest.len())).unwrap_or_default();
    let mut out = Vec::new();
    JsonWriter::new(&mut out).object(|w| {
        w.str("object", "list");
        w.array_field("data", |w| {
            for (_, item) in shown {
                // Written by `JsonWriter`, or verbatim JSON.
                w.raw_value(std::str::from_utf8(item).unwrap_or("null"));
            }
        });
        let id = |item: Option<&(String, Vec<u8>)>| item.map(|(id, _)| id.clone());
        match (id(shown.first()), id(shown.last())) {
            (Some(first), Some(last)) => {
                w.str("first_id", &first);
                w.str("last_id", &last);
            }
            _ => {
                w.null("first_id");
                w.null("last_id");
            }
        }
        w.bool("has_more", shown.len() < rest.len());
    });
    out
}

/// One item of the list with its id.
fn listed(at: usize, unit: &Unit<'_>) -> Option<(String, Vec<u8>)> {
    let mut losses = Losses::new();
    let mut out = Vec::new();
    let made = |prefix: &str, seed: &str| hash_id(prefix, format!("{at}\n{seed}").as_bytes());
    let id = match unit {
        Unit::Message { message, parts, id } => {
            let seed = || parts.iter().filter_map(|part| part.as_text()).map(|text| &**text).collect::<String>();
            let id = id.map_or_else(|| made("msg", &seed()), |id| id.to_string());
            let phase = phase(message, parts);
            let mut w = JsonWriter::new(&mut out);
            if message.role == Role::Assistant {
                w.object(|w| output_message(w, &id, message, parts, phase.as_deref(), true));
            } else {
                w.object(|w| {
                    w.str("type", "message");
                    w.str("id", &id);
                    w.str("status", message.status.as_deref().unwrap_or("completed"));
                    w.str("role", role_word(message.role));
                    w.array_field("content", |w| {
                        for part in parts {
                            let list = contents(part, "", &mut losses);
                            list.iter().for_each(|content| write_content(w, content, true, false));
                        }
                    });
                });
            }
            id
        }
        Unit::Reasoning { parts, .. } => {
            let part = parts.last()?;
            let text = reasoning_text(parts);
            let seed = text.full.map_or_else(|| text.summary.concat(), str::to_owned);
            let id = part.item_id.as_ref().map_or_else(|| made("rs", &seed), ToString::to_string);
            let signature = part.signature.as_ref().filter(|signature| !signature.value.is_empty());
            let encrypted = signature.map(|signature| &*signature.value);
            ReasoningItem { id: &id, encrypted, ..text }.write(&mut JsonWriter::new(&mut out));
            id
        }
        Unit::Call { message, part, call } => {
            let prefix = if call.kind == ToolCallKind::Custom { "ctc" } else { "fc" };
            let id = part.item_id.as_ref().map_or_else(|| made(prefix, &call.id), ToString::to_string);
            CallItem {
                id: Some(&id),
                call_id: &call.id,
                name: &call.name,
                namespace: call.namespace.as_deref(),
                kind: &call.kind,
                arguments: &call.arguments,
                status: Some(message.status.as_deref().unwrap_or("completed")),
                caller: call.caller.as_ref(),
                ext: Some(&part.ext),
                exact: false,
            }
            .write(&mut JsonWriter::new(&mut out));
            id
        }
        Unit::Result { message, part, result } => {
            let prefix = if result.kind == ToolCallKind::Custom { "ctco" } else { "fco" };
            let id = part.item_id.as_ref().map_or_else(|| made(prefix, &result.call_id), ToString::to_string);
            let list = result_contents(result, "", &mut losses);
            let status = Some(message.status.as_deref().unwrap_or("completed"));
            let ids = ResultIds { id: Some(&id), call_id: &result.call_id, status };
            write_result(&mut JsonWriter::new(&mut out), part, result, &list, &ids, true, false);
            id
        }
        Unit::Image { part, data } => {
            let id = part.item_id.as_ref().map_or_else(|| made("ig", data), ToString::to_string);
            generated_image(&mut JsonWriter::new(&mut out), &id, data, Some(&part.ext));
            id
        }
        Unit::Raw { raw, .. } => identified(raw, &made("item", raw.as_str()), &mut out),
        Unit::Reference { id } => {
            JsonWriter::new(&mut out).object(|w| {
                w.str("type", "item_reference");
                w.str("id", id);
            });
            id.to_string()
        }
    };
    Some((id, out))
}

/// Writes a verbatim item, with an id if it has none.
fn identified(raw: &RawJson, made: &str, out: &mut Vec<u8>) -> String {
    let id = native_id(raw).map_or_else(|| made.to_owned(), |id| id.to_string());
    JsonWriter::new(out).raw_value(&with_id(raw, &id));
    id
}
