//! Tool calls of one choice, put together from deltas of any dialect.
//!
//! The contract says: `index` names the call; `id`, `type` and `name` come once, arguments in pieces. Servers omit the index or send
//! always 0, repeat or empty id and name, send them late, send arguments as an object or twice. Each delta is first
//! given to its call ([`Calls::resolve`]), then the call says what is new ([`Slot::feed`]).

use std::collections::HashMap;
use std::sync::Arc;

use polyport_types::{Event, Extras, PartId, PartStart, PartStatus, Signature, Text, ToolCallKind, ToolCallStart};

use crate::chat::types::{self, Json, filled};

/// `null` or `{}` with this many bytes are looked at again when more comes.
const LONGEST_WORD: usize = 64;

/// One call.
#[derive(Debug)]
pub(super) struct Slot {
    index: Option<i64>,
    /// Empty until the call starts or the server names it.
    id: Text,
    /// The server named it.
    named: bool,
    name: Text,
    pub(super) kind: ToolCallKind,
    /// Everything received so far.
    arguments: String,
    /// How many bytes of it were handed on.
    sent: usize,
    scan: Scan,
    state: State,
    pub(super) signature: Option<Signature>,
    pub(super) ext: Extras,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Id or name is missing.
    Waiting,
    Open(PartId),
    Ended,
}

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    /// Latest call of an index.
    by_index: HashMap<i64, usize>,
    /// Call of an id as the server names it.
    by_id: HashMap<Text, usize>,
    /// Call touched last.
    last: Option<usize>,
    /// How many have not ended.
    live: usize,
    /// Whether one is complete.
    pub(super) completed: bool,
    /// Names of the tools the request offers, if they are known.
    offered: Option<Arc<[Text]>>,
}

/// What makes ids and parts.
pub(super) trait Numbering {
    /// The number of a new part.
    fn part(&mut self) -> PartId;
    /// An id for a call: `wanted` if it is free, otherwise one derived from it; made up where it is empty.
    fn call_id(&mut self, wanted: &Text, choice: u32, ordinal: usize) -> Text;
}

impl Calls {
    pub(super) fn new(offered: Option<Arc<[Text]>>) -> Self {
        Self { offered, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn slot_mut(&mut self, at: usize) -> Option<&mut Slot> {
        self.slots.get_mut(at)
    }

    /// The call a delta belongs to; `None` if it belongs to none.
    pub(super) fn resolve(&mut self, delta: &types::ToolCall<'_>, body: &Text) -> Option<usize> {
        // Mistral writes the word `null`.
        let id = filled(&delta.id).map(|id| &**id).filter(|id| *id != "null");
        let index = delta.index.map(|index| index.0);
        let piece = Piece::of(delta);
        let at = match (id, index) {
            (Some(id), _) => match self.by_id.get(id).copied() {
                Some(at) if !self.is_another(at, index, &piece) => at,
                Some(_) => self.open(index, id),
                None => match self.late_id(index, &piece) {
                    Some(at) => {
                        self.name_late(at, id);
                        at
                    }
                    None => self.open(index, id),
                },
            },
            (None, Some(index)) => match self.by_index.get(&index).copied() {
                Some(at) if !self.is_next(at, &piece) => at,
                // A piece without any name at a place nobody knows goes on with the call at hand.
                None if piece.name.is_none() && self.last_is_unfinished() => self.last?,
                _ => self.open(Some(index), ""),
            },
            (None, None) => match self.last {
                Some(at) if !self.is_next(at, &piece) => at,
                None if piece.name.is_none() => return None,
                _ => self.open(None, ""),
            },
        };
        self.last = Some(at);
        let slot = self.slots.get_mut(at)?;
        if let Some(name) = piece.name {
            if slot.name.is_empty() {
                slot.name = Text::from(name);
            } else if let Some(joined) = joined(self.offered.as_deref(), slot, name) {
                slot.name = joined;
            }
        }
        if piece.custom && slot.state == State::Waiting {
            slot.kind = ToolCallKind::Custom;
        }
        if !delta.extra.is_empty() && slot.state == State::Waiting && slot.ext.is_empty() {
            let extra = delta.extra.iter().filter(|(_, value)| value.get() != "null").cloned().collect();
            slot.ext = crate::json::extras(extra, body);
        }
        Some(at)
    }

    /// The deprecated single call.
    pub(super) fn legacy(&mut self, name: Option<&str>) -> usize {
        const LEGACY: i64 = -1;
        let at = match self.by_index.get(&LEGACY) {
            Some(at) => *at,
            None => self.open(Some(LEGACY), ""),
        };
        if let (Some(slot), Some(name)) = (self.slots.get_mut(at).filter(|slot| slot.name.is_empty()), name) {
            slot.name = Text::from(name);
        }
        at
    }

    /// A call that is known whole.
    pub(super) fn whole(&mut self, name: &str, arguments: &str) -> usize {
        let at = self.open(None, "");
        if let Some(slot) = self.slots.get_mut(at) {
            slot.name = Text::from(name);
            slot.push(arguments);
        }
        at
    }

    fn open(&mut self, index: Option<i64>, id: &str) -> usize {
        let at = self.slots.len();
        self.live += 1;
        let id = Text::from(id);
        if let Some(index) = index {
            self.by_index.insert(index, at);
        }
        if !id.is_empty() {
            self.by_id.insert(id.clone(), at);
        }
        self.slots.push(Slot {
            index,
            named: !id.is_empty(),
            id,
            name: Text::new(),
            kind: ToolCallKind::Function,
            arguments: String::new(),
            sent: 0,
            scan: Scan::default(),
            state: State::Waiting,
            signature: None,
            ext: Extras::new(),
        });
        at
    }

    /// Whether a delta with a known id is nevertheless another call: counters of some models repeat.
    fn is_another(&self, at: usize, index: Option<i64>, piece: &Piece<'_>) -> bool {
        let Some(slot) = self.slots.get(at) else { return false };
        if piece.name.is_none() {
            return false;
        }
        let begun = slot.state != State::Waiting;
        match (slot.index, index) {
            (Some(have), Some(new)) => have != new,
            // A function does not become free-form once it has begun.
            _ if begun && piece.custom && slot.kind == ToolCallKind::Function => true,
            _ => slot.scan.is_complete() && piece.has_text() && !slot.repeats(piece.text),
        }
    }

    /// The call that gets its id only now, or whose server changes ids from delta to delta.
    fn late_id(&self, index: Option<i64>, piece: &Piece<'_>) -> Option<usize> {
        let at = match index {
            Some(index) => self.by_index.get(&index).copied(),
            None => self.last,
        }?;
        let slot = self.slots.get(at)?;
        let unfinished = !slot.scan.is_complete() && slot.state != State::Ended;
        let same_name = piece.name.is_none_or(|name| *slot.name == *name);
        let unnamed = !slot.named && unfinished && same_name;
        let continues =
            index.is_some() && piece.name.is_none() && piece.has_text() && unfinished && !slot.arguments.is_empty();
        (unnamed || continues).then_some(at)
    }

    fn name_late(&mut self, at: usize, id: &str) {
        let id = Text::from(id);
        self.by_id.insert(id.clone(), at);
        if let Some(slot) = self.slots.get_mut(at).filter(|slot| !slot.named) {
            slot.named = true;
            if slot.state == State::Waiting {
                slot.id = id;
            }
        }
    }

    /// Whether a delta without id begins the next call in the place of a known one.
    fn is_next(&self, at: usize, piece: &Piece<'_>) -> bool {
        let (Some(slot), Some(name)) = (self.slots.get(at), piece.name) else { return false };
        if slot.name.is_empty() {
            return false;
        }
        let other_name = *slot.name != *name;
        if joined(self.offered.as_deref(), slot, name).is_some() {
            return false;
        }
        let done = slot.scan.is_complete() || slot.state == State::Ended;
        (done && (other_name || (piece.has_text() && !slot.repeats(piece.text))))
            || (other_name && slot.arguments.is_empty())
    }

    fn last_is_unfinished(&self) -> bool {
        let last = self.last.and_then(|at| self.slots.get(at));
        last.is_some_and(|slot| !slot.scan.is_complete() && slot.state != State::Ended)
    }

    /// Starts a call if its name is known, and hands on what is new.
    pub(super) fn advance(&mut self, at: usize, choice: u32, numbering: &mut dyn Numbering, out: &mut Vec<Event>) {
        self.start(at, false, choice, numbering, out);
    }

    /// `now` says that a name which looks like the beginning of another one is whole.
    fn start(&mut self, at: usize, now: bool, choice: u32, numbering: &mut dyn Numbering, out: &mut Vec<Event>) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let whole = now || !grows(self.offered.as_deref(), slot);
        if slot.state == State::Waiting && !slot.name.is_empty() && whole {
            let part = numbering.part();
            slot.id = numbering.call_id(&slot.id, choice, at);
            let start = ToolCallStart {
                id: slot.id.clone(),
                name: slot.name.clone(),
                namespace: None,
                kind: slot.kind.clone(),
                item_id: None,
                signature: slot.signature.take(),
                caller: None,
                ext: std::mem::take(&mut slot.ext),
            };
            out.push(Event::PartStart { part, choice, start: PartStart::ToolCall(Box::new(start)) });
            slot.state = State::Open(part);
        }
        slot.hand_on(false, out);
    }

    /// Whether a call has been started.
    pub(super) fn is_started(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.state != State::Waiting)
    }

    /// Whether a call will start with its next advance.
    pub(super) fn is_ready(&self, at: usize) -> bool {
        let offered = self.offered.as_deref();
        self.slots
            .get(at)
            .is_some_and(|slot| slot.state == State::Waiting && !slot.name.is_empty() && !grows(offered, slot))
    }

    /// Ends the calls whose arguments are complete, because something else begins. Others may still go on: only the index
    /// says which call a piece belongs to.
    pub(super) fn settle(&mut self, but: Option<usize>, out: &mut Vec<Event>) {
        if self.live == 0 {
            return;
        }
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get(at) else { continue };
            let open = matches!(slot.state, State::Open(_)) && Some(at) != but;
            if open && slot.scan.is_complete() && !slot.is_provisional() {
                self.end(at, false, out);
            }
        }
    }

    /// Ends all calls. Those that never got a name are no calls. `cut` says that the answer was cut off.
    pub(super) fn end_all(&mut self, choice: u32, cut: bool, numbering: &mut dyn Numbering, out: &mut Vec<Event>) {
        for at in 0..self.slots.len() {
            self.start(at, true, choice, numbering, out);
            self.end(at, cut, out);
        }
    }

    fn end(&mut self, at: usize, cut: bool, out: &mut Vec<Event>) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if let State::Open(part) = slot.state {
            slot.hand_on(true, out);
            let status = slot.status(cut);
            self.completed |= status == PartStatus::Complete;
            out.push(Event::PartEnd { part, status });
        }
        if slot.state != State::Ended {
            slot.state = State::Ended;
            self.live -= 1;
        }
    }
}

/// Whether the rest of a call's name may still come: it is no tool of the request, one begins with it, and no arguments came yet.
fn grows(offered: Option<&[Text]>, slot: &Slot) -> bool {
    let is_tool = |names: &[Text]| names.iter().any(|name| **name == *slot.name);
    slot.state == State::Waiting
        && slot.arguments.is_empty()
        && !offered.is_none_or(is_tool)
        && begins_a_name(offered, &slot.name)
}

fn begins_a_name(offered: Option<&[Text]>, start: &str) -> bool {
    offered.is_some_and(|names| names.iter().any(|name| name.starts_with(start)))
}

/// The name of a call and its next piece, where a server sends names in pieces; `None` if that is no name of a tool or the piece only
/// repeats what is there.
fn joined(offered: Option<&[Text]>, slot: &Slot, rest: &str) -> Option<Text> {
    if *slot.name == *rest || !grows(offered, slot) {
        return None;
    }
    let joined = format!("{}{rest}", slot.name);
    begins_a_name(offered, &joined).then(|| Text::from(joined))
}

impl Slot {
    /// Takes a piece of arguments. `last` says that the answer ends with it; some servers then repeat the whole.
    pub(super) fn feed(&mut self, piece: &str, last: bool) {
        if piece.is_empty() || self.state == State::Ended {
            return;
        }
        if self.kind != ToolCallKind::Function {
            self.arguments.push_str(piece);
            return;
        }
        if self.is_provisional() && piece.trim_start().starts_with('{') {
            // `{}` stood in for the real arguments.
            self.arguments.clear();
            self.scan = Scan::default();
            self.push(piece);
        } else if self.scan.is_complete() {
            // Nothing can follow a complete value but a repetition of it.
            if !piece.trim().is_empty() && !self.repeats(piece) {
                self.push(piece);
            }
        } else if last
            && !self.arguments.is_empty()
            && is_json(piece)
            && !is_json(&format!("{}{piece}", self.arguments))
        {
            // The whole once more: only what is new of it is taken.
            let new = piece.strip_prefix(self.arguments.as_str()).unwrap_or(piece).to_owned();
            self.push(&new);
        } else {
            self.push(piece);
        }
    }

    /// Blanks before the arguments are none of them, so that a look at the first of them tells what they are.
    fn push(&mut self, piece: &str) {
        let piece = if self.arguments.is_empty() { piece.trim_start() } else { piece };
        self.scan.feed(piece);
        self.arguments.push_str(piece);
    }

    fn repeats(&self, piece: &str) -> bool {
        piece.trim() == self.arguments.trim()
    }

    /// Nothing was handed on yet, and what is there may still be replaced.
    fn is_provisional(&self) -> bool {
        self.sent == 0 && self.short() == "{}"
    }

    /// The arguments without blanks behind them, as far as they may be a word that stands for none.
    fn short(&self) -> &str {
        if self.arguments.len() <= LONGEST_WORD { self.arguments.trim_end() } else { &self.arguments }
    }

    /// Hands on what is new. Until the end white space, `null` and `{}` are held back: more may come in their place.
    fn hand_on(&mut self, end: bool, out: &mut Vec<Event>) {
        let State::Open(part) = self.state else { return };
        if self.kind == ToolCallKind::Function && self.sent == 0 {
            match self.short() {
                "" => return,
                "null" if end => return,
                "{}" | "null" if !end => return,
                _ => {}
            }
        }
        if let Some(new) = self.arguments.get(self.sent..).filter(|new| !new.is_empty()) {
            out.push(Event::Delta { part, text: Text::from(new) });
            self.sent = self.arguments.len();
        }
    }

    fn status(&self, cut: bool) -> PartStatus {
        if self.kind != ToolCallKind::Function {
            return if cut { PartStatus::Incomplete } else { PartStatus::Complete };
        }
        if matches!(self.arguments.trim(), "" | "null") || is_json(&self.arguments) {
            PartStatus::Complete
        } else if cut {
            PartStatus::Incomplete
        } else {
            PartStatus::Invalid
        }
    }
}

/// Name and arguments of a delta.
struct Piece<'d> {
    name: Option<&'d str>,
    text: &'d str,
    custom: bool,
}

impl<'d> Piece<'d> {
    fn of(delta: &'d types::ToolCall<'_>) -> Self {
        let custom = delta.kind.as_deref() == Some("custom") || (delta.custom.is_some() && delta.function.is_none());
        let (name, text) = if custom {
            let custom = delta.custom.as_ref();
            (custom.and_then(|custom| filled(&custom.name)), custom.and_then(|custom| custom.input.as_deref()))
        } else {
            let function = delta.function.as_ref();
            let arguments = function.and_then(|function| function.arguments.as_ref());
            (function.and_then(|function| filled(&function.name)), arguments.map(Json::as_str))
        };
        Self { name: name.map(|name| &**name), text: text.unwrap_or_default(), custom }
    }

    fn has_text(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

/// The arguments text of a delta.
pub(super) fn arguments_of<'d>(delta: &'d types::ToolCall<'_>) -> &'d str {
    Piece::of(delta).text
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Finds the end of an object or array without reading anything twice.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    closed: bool,
}

impl Scan {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.closed |= self.depth == 0;
                }
                _ => {}
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.closed && self.depth == 0 && !self.in_string
    }
}
