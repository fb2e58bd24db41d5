//! The history as this API wants it: turns that alternate, all results of a turn first, calls last, nothing empty.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use polyport_types::{
    CacheMark, Document, DocumentSource, Extras, Family, LossAction, LossCode, Losses, Media, MediaSource, Message,
    Part, PartKind, Protocol, RawJson, Reasoning, Request, Role, SearchResult, ServerToolCall, SignatureKind, Text,
    TextPart, ToolCall, ToolCallKind, ToolResult,
};

use super::ids::CallIds;
use super::words::{code_result, decoded, essence, fenced, is_text, structured_text};
use crate::carrier::is_token;
use crate::context::Target;
use crate::json::write_str;
use crate::repair;

/// What stands where a turn would be empty.
const PLACEHOLDER: &str = ".";

/// A turn of the history.
#[derive(Debug)]
pub(super) struct Turn<'r> {
    pub(super) side: Side,
    pub(super) blocks: Vec<Block<'r>>,
    /// Results, kept apart until the turn is whole: they come first.
    results: Vec<Block<'r>>,
    /// The calls they answer.
    answered: HashSet<Text>,
    /// Members of its message beside role and content, of this protocol only.
    pub(super) ext: Option<&'r Extras>,
    /// Index of the last client message in it.
    index: u32,
}

impl Turn<'_> {
    fn new(side: Side, index: u32) -> Self {
        Self { side, blocks: Vec::new(), results: Vec::new(), answered: HashSet::new(), ext: None, index }
    }

    /// The ids of its calls.
    fn calls(&self) -> Vec<Text> {
        let calls = self.blocks.iter().filter_map(|block| match &block.kind {
            Kind::ToolUse { id, .. } => Some(id.clone()),
            _ => None,
        });
        calls.collect()
    }

    /// Whether it holds the result of a call.
    fn answers(&self, call: &Text) -> bool {
        self.answered.contains(call)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    User,
    Assistant,
    System,
}

/// A content block that is sure to be written.
#[derive(Debug)]
pub(super) struct Block<'r> {
    pub(super) kind: Kind<'r>,
    pub(super) cache: Option<CacheMark>,
    /// Members without a slot, of this protocol only.
    pub(super) ext: Option<&'r Extras>,
}

#[derive(Debug)]
pub(super) enum Kind<'r> {
    Text {
        text: Cow<'r, str>,
        citations: Option<&'r TextPart>,
    },
    Image(Source<'r>),
    Document {
        document: &'r Document,
        source: Source<'r>,
    },
    SearchResult {
        result: &'r SearchResult,
        content: Vec<Self>,
    },
    Thinking {
        text: Text,
        signature: &'r str,
    },
    RedactedThinking {
        data: &'r str,
    },
    ToolUse {
        call: &'r ToolCall,
        id: Text,
        name: Cow<'r, str>,
        input: Cow<'r, str>,
    },
    ToolResult {
        id: Text,
        content: Vec<Block<'r>>,
        is_error: bool,
    },
    ToolReference {
        name: &'r str,
    },
    ServerToolUse(&'r ServerToolCall),
    ContainerUpload {
        file_id: &'r str,
    },
    /// A whole block, verbatim.
    Raw(&'r RawJson),
}

/// Source of an image or a document.
#[derive(Debug)]
pub(super) enum Source<'r> {
    Base64 { mime: &'r str, data: &'r str },
    Url(&'r str),
    File(&'r str),
    PlainText(Cow<'r, str>),
    Content(Vec<Kind<'r>>),
}

impl<'r> Block<'r> {
    pub(super) fn plain(kind: Kind<'r>) -> Self {
        Self { kind, cache: None, ext: None }
    }

    pub(super) fn text(text: impl Into<Cow<'r, str>>) -> Self {
        Self::plain(Kind::Text { text: text.into(), citations: None })
    }

    /// Whether a cache marker may stand on it.
    fn takes_mark(&self) -> bool {
        !matches!(self.kind, Kind::Thinking { .. } | Kind::RedactedThinking { .. })
    }

    fn is_call(&self) -> bool {
        matches!(self.kind, Kind::ToolUse { .. })
    }

    fn is_thinking(&self) -> bool {
        !self.takes_mark()
    }
}

/// A call that waits for its result.
#[derive(Clone, Debug)]
struct Asked {
    turn: usize,
    /// The id it is sent with.
    id: Text,
}

/// Where a part stands; not every block may stand everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    User,
    Assistant,
    System,
    Result,
}

/// Puts the history of a request into turns.
pub(super) fn turns<'r>(target: &'r Target, request: &'r Request, losses: &mut Losses) -> Vec<Turn<'r>> {
    let mut assembly = Assembly {
        target,
        request,
        own: Protocol::from(request.source) == Protocol::Messages,
        losses,
        turns: Vec::with_capacity(request.messages.len()),
        calls: HashMap::new(),
        ids: CallIds::default(),
        from_assistant: Vec::new(),
    };
    for message in &request.messages {
        assembly.message(message);
    }
    assembly.finish()
}

/// Blocks of an instruction before the history.
pub(super) fn system_blocks<'r>(target: &'r Target, request: &'r Request, losses: &mut Losses) -> Vec<Block<'r>> {
    let mut assembly = Assembly {
        target,
        request,
        own: Protocol::from(request.source) == Protocol::Messages,
        losses,
        turns: Vec::new(),
        calls: HashMap::new(),
        ids: CallIds::default(),
        from_assistant: Vec::new(),
    };
    let mut blocks = Vec::new();
    for (at, instruction) in request.instructions.iter().enumerate() {
        if instruction.name.is_some() {
            assembly.losses.info(LossCode::NameDropped, LossAction::Dropped, format!("/instructions/{at}"), "");
        }
        let path = || format!("/instructions/{at}");
        for part in &instruction.parts {
            let block = assembly.block(part, Place::System, &path);
            keep(block, part.cache, &mut blocks);
        }
    }
    blocks
}

/// Appends a block; the marker of one that was dropped moves to the one before it.
fn keep<'r>(block: Option<Block<'r>>, mark: Option<CacheMark>, blocks: &mut Vec<Block<'r>>) {
    match block {
        Some(block) if block.takes_mark() => blocks.push(Block { cache: mark, ..block }),
        block => {
            if mark.is_some()
                && let Some(before) = blocks.iter_mut().rev().find(|block| block.takes_mark())
            {
                before.cache = before.cache.or(mark);
            }
            blocks.extend(block);
        }
    }
}

struct Assembly<'r, 'l> {
    target: &'r Target,
    request: &'r Request,
    /// The client speaks this protocol: members and blocks without a slot are the provider's own.
    own: bool,
    losses: &'l mut Losses,
    turns: Vec<Turn<'r>>,
    /// The call that an id names last.
    calls: HashMap<&'r str, Asked>,
    ids: CallIds,
    /// Media the model produced: this API takes them only from the user.
    from_assistant: Vec<Block<'r>>,
}

impl<'r> Assembly<'r, '_> {
    fn message(&mut self, message: &'r Message) {
        if message.name.is_some() {
            let path = self.request.message_path(message);
            self.losses.info(LossCode::NameDropped, LossAction::Dropped, path, "");
        }
        match message.role {
            Role::User => self.user(message),
            Role::Assistant => self.assistant(message),
            Role::Tool => self.results(message),
            Role::System | Role::Developer => self.instruction(message),
        }
    }

    /// The turn of `side` at the end, opened if another side spoke last.
    fn turn(&mut self, side: Side, index: u32) -> &mut Turn<'r> {
        let joins = self.turns.last().filter(|turn| turn.side == side).map(|turn| turn.index);
        match joins {
            // The service joins the neighbours of its own clients itself.
            Some(last) if last != index && !self.own => {
                let path = format!("/messages/{index}");
                self.losses.info(LossCode::TurnMerged, LossAction::Degraded, path, "");
            }
            Some(_) => {}
            None => {
                let blocks = if side == Side::User { std::mem::take(&mut self.from_assistant) } else { Vec::new() };
                self.turns.push(Turn { blocks, ..Turn::new(side, index) });
            }
        }
        let at = self.turns.len() - 1;
        let turn = &mut self.turns[at];
        turn.index = index;
        turn
    }

    fn user(&mut self, message: &'r Message) {
        let ext = self.message_ext(message);
        let blocks = self.blocks(message, Place::User);
        if !blocks.is_empty() {
            let turn = self.turn(Side::User, message.index);
            turn.blocks.extend(blocks);
            turn.ext = turn.ext.or(ext);
        }
    }

    fn assistant(&mut self, message: &'r Message) {
        let blocks = self.blocks(message, Place::Assistant);
        if blocks.is_empty() {
            return;
        }
        self.turn(Side::Assistant, message.index);
        let turn = self.turns.len() - 1;
        for block in &blocks {
            if let Kind::ToolUse { call, id, .. } = &block.kind {
                self.calls.insert(&call.id, Asked { turn, id: id.clone() });
            }
        }
        let ext = self.message_ext(message);
        let turn = self.turn(Side::Assistant, message.index);
        turn.blocks.extend(blocks);
        turn.ext = turn.ext.or(ext);
    }

    fn message_ext(&self, message: &'r Message) -> Option<&'r Extras> {
        (self.own && !message.ext.is_empty()).then_some(&message.ext)
    }

    /// Results go to the user turn that follows their call, whatever was said in between.
    fn results(&mut self, message: &'r Message) {
        for part in &message.parts {
            let PartKind::ToolResult(result) = &part.kind else {
                if let Some(block) = self.one(message, part, Place::User) {
                    self.turn(Side::User, message.index).blocks.push(block);
                }
                continue;
            };
            let asked = self.calls.get(&*result.call_id).filter(|asked| self.is_unanswered(asked)).cloned();
            let Some(Asked { turn, id }) = asked else {
                self.orphan(message, part, result);
                continue;
            };
            let (content, failed) = self.result_content(message, result, Place::Result);
            let kind = Kind::ToolResult { id: id.clone(), content, is_error: result.is_error || failed };
            let block = Block { kind, cache: part.cache, ext: self.ext(part) };
            if self.turns.get(turn + 1).is_none() {
                self.turn(Side::User, message.index);
            }
            if let Some(turn) = self.turns.get_mut(turn + 1) {
                turn.answered.insert(id);
                turn.results.push(block);
            }
        }
    }

    /// Whether a call has no result yet, and can still get one.
    fn is_unanswered(&self, asked: &Asked) -> bool {
        let next = self.turns.get(asked.turn + 1);
        next.is_none_or(|turn| turn.side == Side::User && !turn.answers(&asked.id))
    }

    /// A result that answers nothing becomes text.
    fn orphan(&mut self, message: &'r Message, part: &'r Part, result: &'r ToolResult) {
        let path = self.request.message_path(message);
        self.losses.warn(LossCode::ToolResultOrphan, LossAction::Degraded, path, format!("call {}", result.call_id));
        let (content, _) = self.result_content(message, result, Place::User);
        let mut blocks = vec![Block::text(format!("Tool result ({}):", result.call_id))];
        blocks.extend(content);
        if let Some(last) = blocks.last_mut() {
            last.cache = part.cache;
        }
        self.turn(Side::User, message.index).blocks.extend(blocks);
    }

    fn result_content(&mut self, message: &'r Message, result: &'r ToolResult, place: Place) -> (Vec<Block<'r>>, bool) {
        let mut content = Vec::new();
        let mut failed = false;
        if let Some(structured) = &result.structured {
            let (text, error) = structured_text(structured);
            failed = error;
            if !text.trim().is_empty() {
                content.push(Block::text(text));
            }
        }
        for part in &result.parts {
            let block = self.block(part, place, &|| path_of(self.request, message));
            keep(block, part.cache, &mut content);
        }
        (content, failed)
    }

    /// An instruction inside the history: a message of its own where the model takes one, otherwise words to the user's side.
    fn instruction(&mut self, message: &'r Message) {
        let follows_user = matches!(self.turns.last().map(|turn| turn.side), Some(Side::User | Side::System));
        if self.target.capabilities.mid_system && follows_user {
            let blocks = self.blocks(message, Place::System);
            let ext = self.message_ext(message);
            if !blocks.is_empty() || ext.is_some() {
                let index = message.index;
                self.turns.push(Turn { blocks, ext, ..Turn::new(Side::System, index) });
            }
            return;
        }
        let path = self.request.message_path(message);
        self.losses.warn(
            LossCode::RoleDegraded,
            LossAction::Degraded,
            path,
            "instruction became a reminder to the user's turn",
        );
        let mut blocks = self.blocks(message, Place::System);
        blocks.retain_mut(|block| match &mut block.kind {
            Kind::Text { text, .. } => {
                *text = Cow::Owned(format!("<system-reminder>\n{text}\n</system-reminder>"));
                true
            }
            _ => false,
        });
        if !blocks.is_empty() {
            self.turn(Side::User, message.index).blocks.extend(blocks);
        }
    }

    fn blocks(&mut self, message: &'r Message, place: Place) -> Vec<Block<'r>> {
        let mut blocks = Vec::with_capacity(message.parts.len());
        for part in &message.parts {
            let block = self.block(part, place, &|| path_of(self.request, message));
            if block.is_none() && blocks.is_empty() && part.cache.is_some() {
                self.mark_before(part.cache);
            }
            keep(block, part.cache, &mut blocks);
        }
        blocks
    }

    fn one(&mut self, message: &'r Message, part: &'r Part, place: Place) -> Option<Block<'r>> {
        let block = self.block(part, place, &|| path_of(self.request, message))?;
        Some(Block { cache: part.cache.filter(|_| block.takes_mark()), ..block })
    }

    /// Moves the marker of a dropped first block of a message to the end of the turn before.
    fn mark_before(&mut self, mark: Option<CacheMark>) {
        let before = self.turns.last_mut().and_then(|turn| {
            let blocks = if turn.blocks.is_empty() { &mut turn.results } else { &mut turn.blocks };
            blocks.iter_mut().rev().find(|block| block.takes_mark())
        });
        if let Some(block) = before {
            block.cache = block.cache.or(mark);
        }
    }

    fn ext(&self, part: &'r Part) -> Option<&'r Extras> {
        (self.own && !part.ext.is_empty()).then_some(&part.ext)
    }

    /// What a part becomes; `None` if nothing of it can be sent. The cache marker is the caller's.
    fn block(&mut self, part: &'r Part, place: Place, path: &dyn Fn() -> String) -> Option<Block<'r>> {
        let kind = match &part.kind {
            PartKind::Text(text) => self.text(text, place, path)?,
            PartKind::Refusal(text) => {
                self.losses.info(LossCode::RoleDegraded, LossAction::Degraded, path(), "refusal became text");
                self.words(text, path)?
            }
            PartKind::Image(media) => return self.image(part, media, place, path),
            PartKind::Document(document) => return self.document(part, document, place, path),
            PartKind::Audio(_) | PartKind::Video(_) => {
                let what = if matches!(part.kind, PartKind::Audio(_)) { "sound" } else { "video" };
                self.losses.error(LossCode::MediaUnsupported, path(), format!("this protocol takes no {what}"));
                return None;
            }
            PartKind::SearchResult(result) if matches!(place, Place::User | Place::Result) => {
                let content = result.parts.iter().filter_map(|part| self.plain_kind(part, path)).collect();
                Kind::SearchResult { result, content }
            }
            PartKind::ToolCall(call) if place == Place::Assistant => self.tool_use(call, path),
            PartKind::Reasoning(reasoning) if place == Place::Assistant => self.reasoning(part, reasoning, path)?,
            PartKind::ServerToolCall(call) if call.protocol == Protocol::Messages => match &call.raw {
                Some(raw) => Kind::Raw(raw),
                None => Kind::ServerToolUse(call),
            },
            PartKind::ServerToolResult(result) if result.protocol == Protocol::Messages && result.raw.is_some() => {
                Kind::Raw(result.raw.as_ref()?)
            }
            PartKind::ServerToolCall(_) | PartKind::ServerToolResult(_) => {
                let detail = "call of another provider's tool";
                self.losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, path(), detail);
                return None;
            }
            PartKind::ExecutableCode { language, code, .. } => {
                self.losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path(), "code became text");
                Kind::Text { text: fenced(language, code).into(), citations: None }
            }
            PartKind::CodeResult { outcome, output, .. } => {
                self.losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, path(), "output became text");
                Kind::Text { text: code_result(outcome, output).into(), citations: None }
            }
            PartKind::Compaction { raw, .. } if self.own => Kind::Raw(raw),
            PartKind::Compaction { content: Some(text), .. } => self.words(text, path)?,
            PartKind::Compaction { content: None, .. } => {
                let detail = "history summarised by another provider";
                self.losses.error(LossCode::ServerFeatureDropped, path(), detail);
                return None;
            }
            PartKind::ContainerUpload { file_id } if self.own => Kind::ContainerUpload { file_id },
            PartKind::ContainerUpload { .. } => {
                self.losses.error(LossCode::FileIdForeign, path(), "file in another provider's container");
                return None;
            }
            PartKind::ItemReference { .. } => {
                self.losses.error(LossCode::StateUnsupported, path(), "reference to a stored item");
                return None;
            }
            PartKind::ToolReference { name } if place == Place::Result => Kind::ToolReference { name },
            PartKind::ToolReference { name } => Kind::Text { text: format!("tool: {name}").into(), citations: None },
            PartKind::Opaque { protocol: Protocol::Messages, raw, .. } => Kind::Raw(raw),
            PartKind::Opaque { kind, .. } => {
                self.losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, path(), kind.to_string());
                return None;
            }
            // Parts in places where no protocol puts them.
            PartKind::SearchResult(_) | PartKind::ToolCall(_) | PartKind::ToolResult(_) | PartKind::Reasoning(_) => {
                self.losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, path(), "misplaced part");
                return None;
            }
        };
        if place == Place::System && !matches!(kind, Kind::Text { .. } | Kind::Raw(_)) {
            self.losses.warn(
                LossCode::ServerFeatureDropped,
                LossAction::Dropped,
                path(),
                "instructions hold only text",
            );
            return None;
        }
        Some(Block { kind, cache: None, ext: self.ext(part) })
    }

    fn text(&mut self, text: &'r TextPart, place: Place, path: &dyn Fn() -> String) -> Option<Kind<'r>> {
        let kind = self.words(&text.text, path)?;
        let Kind::Text { text: words, .. } = kind else { return Some(kind) };
        let citations = (!text.citations.is_empty()).then_some(text);
        if citations.is_some() && !(self.own && place != Place::System) {
            self.losses.info(LossCode::CitationDropped, LossAction::Dropped, path(), "");
            return Some(Kind::Text { text: words, citations: None });
        }
        Some(Kind::Text { text: words, citations })
    }

    /// Text that is not blank: this API refuses the other.
    fn words(&mut self, text: &'r Text, path: &dyn Fn() -> String) -> Option<Kind<'r>> {
        if text.trim().is_empty() {
            self.losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, path(), "blank text");
            return None;
        }
        Some(Kind::Text { text: Cow::Borrowed(text), citations: None })
    }

    fn image(
        &mut self,
        part: &'r Part,
        media: &'r Media,
        place: Place,
        path: &dyn Fn() -> String,
    ) -> Option<Block<'r>> {
        if media.detail.is_some() {
            self.losses.info(LossCode::MediaDetailDropped, LossAction::Dropped, path(), "");
        }
        let source = self.image_source(&media.source, path)?;
        let block = Block { kind: Kind::Image(source), cache: None, ext: self.ext(part) };
        self.in_user_turn(block, place, "Image produced by the assistant:", path)
    }

    /// Media the model produced move to the user's next turn; instructions cannot hold any.
    fn in_user_turn(
        &mut self,
        block: Block<'r>,
        place: Place,
        note: &'static str,
        path: &dyn Fn() -> String,
    ) -> Option<Block<'r>> {
        match place {
            Place::User | Place::Result => Some(block),
            Place::Assistant => {
                let detail = "moved to the next user turn";
                self.losses.warn(LossCode::MediaUnsupported, LossAction::Degraded, path(), detail);
                self.from_assistant.extend([Block::text(note), block]);
                None
            }
            Place::System => {
                self.losses.error(LossCode::MediaUnsupported, path(), "instructions hold only text");
                None
            }
        }
    }

    fn image_source(&mut self, source: &'r MediaSource, path: &dyn Fn() -> String) -> Option<Source<'r>> {
        match source {
            MediaSource::Base64 { mime, data } => {
                let mime = match essence(mime) {
                    "image/jpg" | "image/jpeg" => "image/jpeg",
                    known @ ("image/png" | "image/gif" | "image/webp") => known,
                    other => {
                        self.losses.error(LossCode::MediaUnsupported, path(), format!("images of type {other}"));
                        return None;
                    }
                };
                Some(Source::Base64 { mime, data })
            }
            source => self.remote(source, path),
        }
    }

    /// An address or a file the provider holds.
    fn remote(&mut self, source: &'r MediaSource, path: &dyn Fn() -> String) -> Option<Source<'r>> {
        match source {
            MediaSource::Url { url, .. } if url.starts_with("https://") || url.starts_with("http://") => {
                Some(Source::Url(url))
            }
            MediaSource::FileId { owner: Protocol::Messages, id, .. } => Some(Source::File(id)),
            MediaSource::Url { .. } => {
                self.losses.error(LossCode::MediaUnsupported, path(), "only http and https addresses can be fetched");
                None
            }
            MediaSource::FileId { .. } => {
                self.losses.error(LossCode::FileIdForeign, path(), "a file another provider holds");
                None
            }
            MediaSource::Base64 { mime, .. } => {
                self.losses.error(LossCode::MediaUnsupported, path(), format!("documents of type {mime}"));
                None
            }
        }
    }

    fn document(
        &mut self,
        part: &'r Part,
        document: &'r Document,
        place: Place,
        path: &dyn Fn() -> String,
    ) -> Option<Block<'r>> {
        if document.detail.is_some() {
            self.losses.info(LossCode::MediaDetailDropped, LossAction::Dropped, path(), "");
        }
        let source = match &document.source {
            DocumentSource::PlainText(text) => Source::PlainText(Cow::Borrowed(text)),
            DocumentSource::Blocks(parts) => {
                Source::Content(parts.iter().filter_map(|part| self.plain_kind(part, path)).collect())
            }
            DocumentSource::File(MediaSource::Base64 { mime, data }) if essence(mime) == "application/pdf" => {
                Source::Base64 { mime: "application/pdf", data }
            }
            DocumentSource::File(source @ MediaSource::Base64 { mime, data }) if is_text(essence(mime)) => {
                match decoded(data) {
                    Some(text) => Source::PlainText(Cow::Owned(text)),
                    None => self.remote(source, path)?,
                }
            }
            DocumentSource::File(source) => self.remote(source, path)?,
        };
        let block = Block { kind: Kind::Document { document, source }, cache: None, ext: self.ext(part) };
        self.in_user_turn(block, place, "Document produced by the assistant:", path)
    }

    /// Text and images, the only content of documents and search results.
    fn plain_kind(&mut self, part: &'r Part, path: &dyn Fn() -> String) -> Option<Kind<'r>> {
        match &part.kind {
            PartKind::Text(text) => self.words(&text.text, path),
            PartKind::Image(media) => self.image_source(&media.source, path).map(Kind::Image),
            _ => {
                self.losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, path(), "only text and images");
                None
            }
        }
    }

    fn tool_use(&mut self, call: &'r ToolCall, path: &dyn Fn() -> String) -> Kind<'r> {
        let name = match &call.namespace {
            Some(namespace) => Cow::Owned(format!("{namespace}__{}", call.name)),
            None => Cow::Borrowed(&*call.name),
        };
        let id = self.ids.safe(&call.id);
        if id != call.id {
            self.losses.info(LossCode::IdRewritten, LossAction::Renamed, path(), format!("{} → {id}", call.id));
        }
        let input = if call.kind == ToolCallKind::Custom {
            let mut input = b"{\"input\":".to_vec();
            write_str(&mut input, &call.arguments);
            input.push(b'}');
            String::from_utf8(input).unwrap_or_else(|_| "{}".to_owned()).into()
        } else {
            let (input, repaired) = repair::arguments_object(&call.arguments);
            if !repaired.is_faithful() {
                self.losses.warn(LossCode::ToolSchemaRelaxed, LossAction::Degraded, path(), repaired.as_str());
            }
            input
        };
        Kind::ToolUse { call, id, name, input }
    }

    /// Reasoning goes back only with the provider's own signature on it, unchanged.
    fn reasoning(&mut self, part: &'r Part, reasoning: &Reasoning, path: &dyn Fn() -> String) -> Option<Kind<'r>> {
        let own_family = |family: Family| family == Family::Anthropic || family == self.target.capabilities.family;
        let signature = part.signature.as_ref().filter(|signature| {
            let kind = matches!(signature.kind, SignatureKind::Thinking | SignatureKind::Redacted);
            kind && own_family(signature.family) && !signature.value.is_empty() && !is_token(&signature.value)
        });
        let off = self.request.reasoning.as_ref().is_some_and(|it| it.mode == polyport_types::ReasoningMode::Off);
        let said = !reasoning.text.joined().is_empty();
        let unsigned = said && part.signature.as_ref().is_none_or(|signature| signature.value.is_empty());
        match signature {
            Some(_) if off => {
                self.losses.info(LossCode::ReasoningTextDropped, LossAction::Dropped, path(), "thinking is off");
                None
            }
            Some(signature) if reasoning.redacted || signature.kind == SignatureKind::Redacted => {
                Some(Kind::RedactedThinking { data: &signature.value })
            }
            Some(signature) => Some(Kind::Thinking { text: reasoning.text.joined(), signature: &signature.value }),
            // Servers of other families take their own words back unsigned.
            None if self.own && !off && unsigned && self.target.capabilities.family != Family::Anthropic => {
                Some(Kind::Thinking { text: reasoning.text.joined(), signature: "" })
            }
            None => {
                let code = match &part.signature {
                    Some(signature) if !signature.value.is_empty() => LossCode::SignatureForeignDropped,
                    _ => LossCode::ReasoningTextDropped,
                };
                self.losses.info(code, LossAction::Dropped, path(), "");
                None
            }
        }
    }

    /// Brings the turns into their final order and fills what the API would miss.
    fn finish(mut self) -> Vec<Turn<'r>> {
        self.end_with_something();
        self.answer_calls();
        let mut calls = Vec::new();
        for turn in &mut self.turns {
            match turn.side {
                Side::User => order_user(turn, &calls),
                Side::Assistant => order_assistant(turn, self.own),
                Side::System => {}
            }
            calls = turn.calls();
        }
        self.trim_prefill();
        // Anthropic takes a history that the assistant begins; of others that is not known, but by their own clients.
        let any_first = self.own || self.target.capabilities.family == Family::Anthropic;
        if !any_first && self.turns.first().is_some_and(|turn| turn.side != Side::User) {
            self.losses.info(LossCode::TurnSynthesised, LossAction::Synthesised, "/messages/0", "a first user turn");
            self.turns.insert(0, Turn { blocks: vec![Block::text(PLACEHOLDER)], ..Turn::new(Side::User, 0) });
        }
        self.turns
    }

    /// The user's last word counts even if it is empty; media of the assistant need a turn to stand in.
    fn end_with_something(&mut self) {
        if !self.from_assistant.is_empty() {
            let index = self.request.messages.last().map_or(0, |message| message.index);
            let media = std::mem::take(&mut self.from_assistant);
            self.turn(Side::User, index).blocks.extend(media);
        }
        let by_user = self.request.messages.last().is_none_or(|message| message.role == Role::User);
        let last_is_user = self.turns.last().is_some_and(|turn| turn.side != Side::Assistant);
        let goes_on_a_thread = self.own && self.request.ext.get("thread").is_some();
        let nothing_said = by_user && !last_is_user || self.turns.is_empty();
        if nothing_said && !(goes_on_a_thread && self.request.messages.is_empty()) {
            let index = self.request.messages.last().map_or(0, |message| message.index);
            let path = format!("/messages/{index}");
            self.losses.info(LossCode::TurnSynthesised, LossAction::Synthesised, path, "text for an empty user turn");
            self.turn(Side::User, index).blocks.push(Block::text(PLACEHOLDER));
        }
    }

    /// Calls without a result get one that says so: the API refuses the history otherwise.
    fn answer_calls(&mut self) {
        let mut at = 0;
        while at < self.turns.len() {
            let ids = self.turns.get(at).map_or_else(Vec::new, Turn::calls);
            let next = self.turns.get(at + 1).filter(|turn| turn.side == Side::User);
            let missing: Vec<_> = ids.into_iter().filter(|id| !next.is_some_and(|turn| turn.answers(id))).collect();
            if !missing.is_empty() {
                let index = self.turns.get(at).map_or(0, |turn| turn.index);
                if next.is_none() {
                    let turn = Turn::new(Side::User, index);
                    self.turns.insert(at + 1, turn);
                }
                for id in missing {
                    let path = format!("/messages/{index}");
                    self.losses.warn(LossCode::ToolResultMissing, LossAction::Synthesised, path, format!("call {id}"));
                    let content = vec![Block::text("Error: no result was recorded for this call")];
                    if let Some(turn) = self.turns.get_mut(at + 1) {
                        turn.answered.insert(id.clone());
                        turn.results.push(Block::plain(Kind::ToolResult { id, content, is_error: true }));
                    }
                }
            }
            at += 1;
        }
    }

    /// Words the model shall go on from must not end in white space.
    fn trim_prefill(&mut self) {
        let Some(turn) = self.turns.last_mut().filter(|turn| turn.side == Side::Assistant) else { return };
        if let Some(Block { kind: Kind::Text { text, .. }, .. }) = turn.blocks.last_mut() {
            let trimmed = text.trim_end().len();
            if trimmed < text.len() {
                *text = Cow::Owned(text.get(..trimmed).unwrap_or_default().to_owned());
            }
        }
    }
}

fn path_of(request: &Request, message: &Message) -> String {
    request.message_path(message)
}

/// Results first, in the order of their calls.
fn order_user(turn: &mut Turn<'_>, calls: &[Text]) {
    let places: HashMap<&Text, usize> = calls.iter().enumerate().map(|(at, call)| (call, at)).collect();
    turn.results.sort_by_key(|block| match &block.kind {
        Kind::ToolResult { id, .. } => places.get(id).copied(),
        _ => None,
    });
    let rest = std::mem::replace(&mut turn.blocks, std::mem::take(&mut turn.results));
    turn.blocks.extend(rest);
}

/// Calls last. Thinking first, where the order is not the provider's own.
fn order_assistant(turn: &mut Turn<'_>, own: bool) {
    turn.blocks.sort_by_key(|block| match block {
        block if block.is_call() => 2,
        block if block.is_thinking() && !own => 0,
        _ => 1,
    });
}
