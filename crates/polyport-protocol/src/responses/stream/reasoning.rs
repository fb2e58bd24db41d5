//! Reasoning items of a stream.

use std::collections::BTreeMap;

use polyport_types::{Event, PartStart, PartStatus, Text};
use serde_json::value::RawValue;

use super::{Decoder, Kind, whole};
use crate::json::{Int, OneOrMany};
use crate::responses::response::read_item;
use crate::responses::types::{Item, StreamEvent};

/// Texts of a reasoning item.
#[derive(Debug, Default)]
pub(super) struct Thought {
    /// Whether the open part is a summary.
    pub(super) summary: Option<bool>,
    /// The paragraph that grows.
    pub(super) paragraph: Option<u32>,
    /// The open part has text.
    pub(super) spoken: bool,
    /// Texts by kind and index.
    pub(super) texts: BTreeMap<(bool, u32), String>,
}
impl Decoder {
    pub(super) fn thought_place(
        &mut self,
        event: &StreamEvent<'_>,
        at: Option<Int>,
        data: &Text,
        out: &mut Vec<Event>,
    ) -> (u32, u32) {
        let index = self.open_item(event, Kind::Reasoning, data, out);
        (index, at.map_or(0, |at| u32::try_from(at.0.max(0)).unwrap_or(u32::MAX)))
    }

    /// Opens a part for full reasoning or for a summary; the other kind of the same item is a part of its own.
    pub(super) fn begin_thought(&mut self, index: u32, summary: bool, out: &mut Vec<Event>) {
        let key = whole(index);
        let slot = self.items.entry(index).or_default();
        if slot.done || slot.thought.summary == Some(summary) {
            return;
        }
        let other = slot.thought.summary.is_some() && slot.thought.spoken;
        if slot.thought.summary.is_some() && !other {
            // Begun without a word: it cannot change its kind any more, but it can hold the words.
            return;
        }
        slot.thought.summary = Some(summary);
        slot.thought.spoken = false;
        slot.thought.paragraph = None;
        let item_id = slot.id.clone();
        self.lanes.open(key);
        if other {
            self.lanes.end_part(key, PartStatus::Complete, out);
        }
        self.lanes.begin_another(key, PartStart::Reasoning { item_id, summary }, out);
    }

    pub(super) fn think(&mut self, index: u32, summary: bool, at: u32, text: &Text, out: &mut Vec<Event>) {
        if text.is_empty() || self.slot(index).done {
            return;
        }
        self.begin_thought(index, summary, out);
        let key = whole(index);
        let thought = &mut self.items.entry(index).or_default().thought;
        let next = thought.spoken && thought.paragraph != Some(at);
        thought.spoken = true;
        thought.paragraph = Some(at);
        thought.texts.entry((summary, at)).or_default().push_str(text);
        let is_summary = thought.summary == Some(true);
        if next && is_summary {
            if let Some(part) = self.lanes.get(key).and_then(|lane| lane.part) {
                self.lanes.push(key, Event::SummaryBreak { part }, out);
            }
        } else if next {
            self.lanes.delta(key, Text::from_static("\n\n"), out);
        }
        self.lanes.delta(key, text.clone(), out);
    }

    /// What the deltas left out of a paragraph.
    pub(super) fn thought_whole(
        &mut self,
        index: u32,
        summary: bool,
        at: u32,
        whole: Option<&str>,
        out: &mut Vec<Event>,
    ) {
        let Some(whole) = whole.filter(|whole| !whole.is_empty()) else { return };
        let thought = &self.slot(index).thought;
        let rest = match thought.texts.get(&(summary, at)) {
            Some(known) => whole.strip_prefix(known.as_str()).unwrap_or_default(),
            None => whole,
        };
        if !rest.is_empty() {
            let rest = Text::from(rest);
            self.think(index, summary, at, &rest, out);
        }
    }

    pub(super) fn reasoning_done(&mut self, index: u32, wire: &RawValue, data: &Text, out: &mut Vec<Event>) {
        // Paragraphs may still be added.
        self.slot(index).done = false;
        let item: Item<'_> = serde_json::from_str(wire.get()).unwrap_or_default();
        let full = match item.content {
            Some(OneOrMany::Many(parts)) => parts,
            _ => Vec::new(),
        };
        for (summary, list) in [(false, full), (true, item.summary.unwrap_or_default())] {
            for (at, part) in list.into_iter().enumerate() {
                let at = u32::try_from(at).unwrap_or(u32::MAX);
                self.thought_whole(index, summary, at, part.text.as_deref(), out);
            }
        }
        if self.slot(index).thought.summary.is_none() {
            self.begin_thought(index, false, out);
        }
        let key = whole(index);
        let signature = read_item(&mut self.reader, wire, data).pop().and_then(|part| part.signature);
        if let (Some(signature), Some(part)) = (signature, self.lanes.get(key).and_then(|lane| lane.part)) {
            self.lanes.push(key, Event::Signature { part, signature: Box::new(signature) }, out);
        }
        self.slot(index).done = true;
        self.lanes.end(key, PartStatus::Complete, out);
    }
}
