//! The history as Gemini wants it: turns of two sides, every result directly after its call.

use std::borrow::Cow;
use std::collections::HashMap;

use polyport_types::{
    LossAction, LossCode, Losses, Message, Part, PartKind, Protocol, Request, Role, Text, ToolResult,
};

use super::decode::is_positional;
use super::pieces::{Piece, Pieces};
use crate::json::JsonWriter;
use crate::{Target, bypass};

/// One entry of `contents`.
struct Turn<'r> {
    model: bool,
    /// Position of the message it began with.
    index: u32,
    /// Results come first, in the order of the calls.
    results: Vec<Piece<'r>>,
    pieces: Vec<Piece<'r>>,
}

/// A call and the result found for it.
struct Call<'r> {
    turn: usize,
    id: &'r Text,
    name: &'r Text,
    path: String,
    result: Option<&'r Part>,
}

/// Turns the history into `contents`.
pub(super) struct Turns<'r> {
    target: &'r Target,
    request: &'r Request,
    own: bool,
    turns: Vec<Turn<'r>>,
    calls: Vec<Call<'r>>,
    /// Calls without a result, by id, the nearest last.
    open: HashMap<&'r str, Vec<usize>>,
}

impl<'r> Turns<'r> {
    /// Assembles the turns of a request.
    pub(super) fn new(target: &'r Target, request: &'r Request, losses: &mut Losses) -> Self {
        let own = Protocol::from(request.source) == Protocol::Gemini;
        let mut turns = Self { target, request, own, turns: Vec::new(), calls: Vec::new(), open: HashMap::new() };
        for message in &request.messages {
            turns.message(message, losses);
        }
        turns.place_results(losses);
        turns.fill(losses);
        turns.sign(losses);
        turns
    }

    /// Writes `contents`.
    pub(super) fn write(&self, w: &mut JsonWriter<'_>) {
        w.array_field("contents", |w| {
            for turn in &self.turns {
                w.object(|w| {
                    w.str("role", if turn.model { "model" } else { "user" });
                    w.array_field("parts", |w| {
                        for piece in turn.results.iter().chain(&turn.pieces) {
                            piece.write(w);
                        }
                    });
                });
            }
        });
    }

    fn message(&mut self, message: &'r Message, losses: &mut Losses) {
        let path = self.request.message_path(message);
        if message.name.is_some() {
            losses.info(LossCode::NameDropped, LossAction::Dropped, path.as_str(), "");
        }
        let mut pieces = Vec::new();
        let mut any_result = false;
        // The service takes a blank turn from its own clients, and the model sees that there was one.
        let blank = self.own && message.parts.iter().all(is_blank);
        for part in &message.parts {
            match &part.kind {
                PartKind::Text(text) if blank => pieces.push(Piece::plain(Cow::Borrowed(&*text.text))),
                PartKind::ToolResult(result) => {
                    any_result = true;
                    self.result(part, result, message, &path, losses);
                }
                _ => Pieces::new(self.target, self.request).part(part, &path, losses, &mut pieces),
            }
        }
        if matches!(message.role, Role::System | Role::Developer) {
            losses.warn(LossCode::RoleDegraded, LossAction::Degraded, path.as_str(), "instruction inside the history");
            let words: Vec<_> = pieces.iter().filter_map(Piece::text).collect();
            let words = words.join("\n");
            pieces.retain(|piece| piece.text().is_none());
            if !words.trim().is_empty() {
                let reminder = format!("<system-reminder>\n{words}\n</system-reminder>");
                pieces.insert(0, Piece::plain(Cow::Owned(reminder)));
            }
        }
        if pieces.is_empty() && !any_result && !message.parts.is_empty() {
            losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, path.as_str(), "");
        }
        for piece in pieces {
            self.piece(piece, message, &path, losses);
        }
    }

    /// Appends a piece to the turn of its side: only the model calls tools.
    fn piece(&mut self, piece: Piece<'r>, message: &Message, path: &str, losses: &mut Losses) {
        let call = piece.call();
        let turn = self.turn(call.is_some() || message.role == Role::Assistant, message, losses);
        if let Some((id, name)) = call {
            self.open.entry(id).or_default().push(self.calls.len());
            self.calls.push(Call { turn, id, name, path: path.to_owned(), result: None });
        }
        if let Some(turn) = self.turns.get_mut(turn) {
            turn.pieces.push(piece);
        }
    }

    /// The turn a message belongs to: neighbours of one side share one, as the service reads them.
    fn turn(&mut self, model: bool, message: &Message, losses: &mut Losses) -> usize {
        match self.turns.last() {
            Some(last) if last.model == model => {
                if last.index != message.index && message.role != Role::Tool && !self.own {
                    let path = self.request.message_path(message);
                    losses.info(LossCode::TurnMerged, LossAction::Degraded, path, "");
                }
            }
            _ => self.turns.push(Turn { model, index: message.index, results: Vec::new(), pieces: Vec::new() }),
        }
        self.turns.len() - 1
    }

    /// Finds the call of a result: the nearest one before it that has no result yet.
    fn result(&mut self, part: &'r Part, result: &'r ToolResult, message: &Message, path: &str, losses: &mut Losses) {
        // The user's turn ends the step of the model, even if its results are placed later.
        let turn = self.turn(false, message, losses);
        let nearest = self.open.get_mut(&*result.call_id).and_then(Vec::pop);
        if let Some(call) = nearest.and_then(|number| self.calls.get_mut(number)) {
            call.result = Some(part);
            return;
        }
        losses.warn(LossCode::ToolResultOrphan, LossAction::Degraded, path, "");
        let mut pieces = Pieces::new(self.target, self.request).orphan(result, path, losses);
        if let Some(turn) = self.turns.get_mut(turn) {
            turn.pieces.append(&mut pieces);
        }
    }

    /// Puts the results of each turn of the model into the user turn after it, one for each call, in the order of the calls.
    fn place_results(&mut self, losses: &mut Losses) {
        let calls = std::mem::take(&mut self.calls);
        let mut of_turn: Vec<Vec<Call<'r>>> = Vec::new();
        of_turn.resize_with(self.turns.len(), Vec::new);
        for call in calls {
            if let Some(calls) = of_turn.get_mut(call.turn) {
                calls.push(call);
            }
        }
        let turns = std::mem::take(&mut self.turns);
        let mut waiting: Vec<Call<'r>> = Vec::new();
        for (turn, calls) in turns.into_iter().zip(of_turn) {
            let model = turn.model;
            if model {
                if !waiting.is_empty() {
                    self.turns.push(Turn { model: false, index: turn.index, results: Vec::new(), pieces: Vec::new() });
                    self.results(std::mem::take(&mut waiting), losses);
                }
                match self.turns.last_mut() {
                    // What stood between them is gone.
                    Some(last) if last.model => last.pieces.extend(turn.pieces),
                    _ => self.turns.push(turn),
                }
                waiting = calls;
            } else {
                // A turn may have held nothing but results that belong elsewhere.
                if turn.pieces.is_empty() && waiting.is_empty() {
                    continue;
                }
                self.turns.push(turn);
                self.results(std::mem::take(&mut waiting), losses);
            }
        }
        if !waiting.is_empty() {
            self.turns.push(Turn { model: false, index: u32::MAX, results: Vec::new(), pieces: Vec::new() });
            self.results(waiting, losses);
        }
    }

    /// Writes the results of `calls` into the last turn.
    fn results(&mut self, calls: Vec<Call<'r>>, losses: &mut Losses) {
        let mut results = Vec::with_capacity(calls.len());
        let mut siblings = Vec::new();
        for call in calls {
            let id = (self.target.profile.accepts_call_ids && !is_positional(call.id)).then_some(&**call.id);
            let pieces = Pieces::new(self.target, self.request);
            match call.result {
                Some(part) => results.push(pieces.result(part, call.name, id, &call.path, losses, &mut siblings)),
                None => {
                    losses.warn(LossCode::ToolResultMissing, LossAction::Synthesised, call.path, "");
                    results.push(Piece::missing_result(call.name, id));
                }
            }
        }
        results.append(&mut siblings);
        if let Some(turn) = self.turns.last_mut() {
            turn.results = results;
        }
    }

    /// Makes the history one that the API takes: not empty, begun by the user, the user's last word in it.
    fn fill(&mut self, losses: &mut Losses) {
        let request = self.request;
        let mut add = |turns: &mut Vec<Turn<'r>>, at: usize, index: u32, text: &'static str| {
            let pieces = vec![Piece::plain(Cow::Borrowed(text))];
            turns.insert(at, Turn { model: false, index, results: Vec::new(), pieces });
            let path = request.place_of(index);
            losses.info(LossCode::TurnSynthesised, LossAction::Synthesised, path, "");
        };
        let last = self.request.messages.last();
        let silent = last.filter(|last| last.role == Role::User && self.turns.last().is_none_or(|turn| turn.model));
        if self.turns.first().is_some_and(|turn| turn.model) {
            add(&mut self.turns, 0, 0, ".");
        }
        // The user's last message was blank: it is still a message.
        if let Some(last) = silent {
            let end = self.turns.len();
            add(&mut self.turns, end, last.index, " ");
        } else if self.turns.is_empty() {
            add(&mut self.turns, 0, 0, ".");
        }
    }

    /// Gives the first call of each step of the current turn the bypass value if it has no signature.
    fn sign(&mut self, losses: &mut Losses) {
        if !self.target.capabilities.needs_signatures {
            return;
        }
        let sentinel = bypass::value(&self.target.profile);
        // The current turn begins after the last words of the user. A turn with results beside words belongs to it:
        // one bypass too many does no harm.
        let start = self.turns.iter().rposition(|turn| !turn.model && turn.results.is_empty()).map_or(0, |at| at + 1);
        for turn in self.turns.iter_mut().skip(start) {
            if let Some(first) = turn.pieces.iter_mut().find(|piece| piece.call().is_some())
                && first.sign(sentinel)
            {
                let path = self.request.place_of(turn.index);
                losses.warn(LossCode::SignatureSentinel, LossAction::Synthesised, path, "");
            }
        }
    }
}

/// Whether a part is a text that says nothing.
fn is_blank(part: &Part) -> bool {
    part.signature.is_none() && part.as_text().is_some_and(|text| text.trim().is_empty())
}
