//! Messages of a stream: texts and refusals.

use polyport_types::{Event, PartKind, PartStart, PartStatus, Text};
use serde_json::value::RawValue;

use super::{Decoder, Kind, delta_text};
use crate::json::Str;
use crate::responses::item::citation;
use crate::responses::lanes::Key;
use crate::responses::response::read_item;
use crate::responses::types::{Logprob, StreamEvent};

impl Decoder {
    /// The content part of an event about a message.
    pub(super) fn content_key(&mut self, event: &StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) -> Key {
        let item = self.open_item(event, Kind::Message, data, out);
        let content = event.content_index.map_or(0, |index| u32::try_from(index.0.max(0)).unwrap_or(u32::MAX));
        Key { item, content }
    }

    pub(super) fn part_added(&mut self, event: &StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) {
        match event.part.as_ref().and_then(|part| part.kind.as_deref()) {
            Some("output_text" | "text") => {
                let key = self.content_key(event, data, out);
                self.begin_text(key, event.item_id.as_ref(), data, out);
            }
            Some("refusal") => {
                let key = self.content_key(event, data, out);
                self.begin_refusal(key, out);
            }
            Some("reasoning_text") => {
                let index = self.open_item(event, Kind::Reasoning, data, out);
                self.begin_thought(index, false, out);
            }
            Some("summary_text") => {
                let index = self.open_item(event, Kind::Reasoning, data, out);
                self.begin_thought(index, true, out);
            }
            _ => {}
        }
    }

    pub(super) fn begin_text(&mut self, key: Key, item_id: Option<&Str<'_>>, data: &Text, out: &mut Vec<Event>) {
        let slot = self.items.entry(key.item).or_default();
        if slot.closed.contains(&key.content) {
            return;
        }
        let id = slot.id.clone().or_else(|| item_id.map(|id| id.to_text(data)));
        let phase = slot.phase.clone();
        self.lanes.begin(key, || PartStart::Text { item_id: id, phase }, out);
    }

    pub(super) fn begin_refusal(&mut self, key: Key, out: &mut Vec<Event>) {
        if !self.slot(key.item).closed.contains(&key.content) {
            self.refused = true;
            self.lanes.begin(key, || PartStart::Refusal, out);
        }
    }

    pub(super) fn text_delta(&mut self, event: StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) {
        let key = self.content_key(&event, data, out);
        self.begin_text(key, event.item_id.as_ref(), data, out);
        self.lanes.delta(key, delta_text(&event, data), out);
        self.logprobs(key, event.logprobs, false, data, out);
    }

    /// Log probabilities; those of a done event only if no delta had any.
    pub(super) fn logprobs(
        &mut self,
        key: Key,
        tokens: Option<Vec<Logprob<'_>>>,
        repeated: bool,
        data: &Text,
        out: &mut Vec<Event>,
    ) {
        let tokens = tokens.unwrap_or_default();
        let Some(lane) = self.lanes.get(key) else { return };
        if tokens.is_empty() || (repeated && lane.has_logprobs) {
            return;
        }
        lane.has_logprobs = true;
        let part = lane.part;
        let tokens = tokens.into_iter().map(|token| token.into_neutral(data)).collect();
        self.lanes.push(key, Event::Logprobs { choice: 0, part, tokens }, out);
    }

    pub(super) fn cite(&mut self, key: Key, annotation: &RawValue, data: &Text, out: &mut Vec<Event>) {
        let Some(citation) = citation(annotation, data) else { return };
        let Some(lane) = self.lanes.get(key) else { return };
        let Some(part) = lane.part else { return };
        lane.cited += 1;
        self.lanes.push(key, Event::Citation { part, citation: Box::new(citation) }, out);
    }

    pub(super) fn part_done(&mut self, event: StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) {
        let kind = event.part.as_ref().and_then(|part| part.kind.as_deref()).unwrap_or_default().to_owned();
        if matches!(kind.as_str(), "reasoning_text" | "summary_text") {
            let at = if kind == "summary_text" { event.summary_index } else { event.content_index };
            let (index, at) = self.thought_place(&event, at, data, out);
            let text = event.part.as_ref().and_then(|part| part.text.as_deref());
            return self.thought_whole(index, kind == "summary_text", at, text, out);
        }
        let key = self.content_key(&event, data, out);
        match kind.as_str() {
            "output_text" | "text" => self.begin_text(key, event.item_id.as_ref(), data, out),
            "refusal" => self.begin_refusal(key, out),
            _ => return,
        }
        let Some(part) = event.part else { return };
        if let Some(text) = part.refusal.as_ref().or(part.text.as_ref()) {
            self.lanes.complete(key, text, out);
        }
        let cited = self.lanes.get(key).map_or(0, |lane| lane.cited);
        for annotation in part.annotations.unwrap_or_default().into_iter().skip(cited) {
            self.cite(key, annotation, data, out);
        }
        self.logprobs(key, part.logprobs, true, data, out);
        self.close_content(key, PartStatus::Complete, out);
    }

    pub(super) fn close_content(&mut self, key: Key, status: PartStatus, out: &mut Vec<Event>) {
        self.slot(key.item).closed.insert(key.content);
        self.lanes.end(key, status, out);
    }

    pub(super) fn message_done(
        &mut self,
        index: u32,
        wire: &RawValue,
        status: Option<&str>,
        data: &Text,
        out: &mut Vec<Event>,
    ) {
        let cut = if status == Some("incomplete") { PartStatus::Incomplete } else { PartStatus::Complete };
        let parts = read_item(&mut self.reader, wire, data);
        for (content, part) in parts.into_iter().enumerate() {
            let key = Key { item: index, content: u32::try_from(content).unwrap_or(u32::MAX) };
            if self.slot(index).closed.contains(&key.content) {
                continue;
            }
            match part.kind {
                PartKind::Text(text) => {
                    self.begin_text(key, None, data, out);
                    self.lanes.complete(key, &text.text, out);
                    self.finish_text(key, text.citations, text.logprobs, out);
                }
                PartKind::Refusal(text) => {
                    self.begin_refusal(key, out);
                    self.lanes.complete(key, &text, out);
                }
                _ => {
                    self.lanes.open(key);
                    self.lanes.push(key, Event::Part { choice: 0, part: Box::new(part) }, out);
                }
            }
            self.close_content(key, cut, out);
        }
        for key in self.lanes.of_item(index) {
            self.close_content(key, cut, out);
        }
    }

    /// What the stream did not tell of a text.
    fn finish_text(
        &mut self,
        key: Key,
        citations: Vec<polyport_types::Citation>,
        tokens: Vec<polyport_types::TokenLogprob>,
        out: &mut Vec<Event>,
    ) {
        let Some(lane) = self.lanes.get(key) else { return };
        let (Some(part), cited, told) = (lane.part, lane.cited, lane.has_logprobs) else { return };
        for citation in citations.into_iter().skip(cited) {
            self.lanes.push(key, Event::Citation { part, citation: Box::new(citation) }, out);
        }
        if !told && !tokens.is_empty() {
            self.lanes.push(key, Event::Logprobs { choice: 0, part: Some(part), tokens }, out);
        }
    }
}
