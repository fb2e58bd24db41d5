//! Parts of a stream, one after the other.
//!
//! Items of a provider may overlap; neutral parts do not. Every part gets a lane; the first lane is live, what arrives for the others
//! waits until their turn comes. Lanes stand in the order of their items.

use std::collections::VecDeque;

use polyport_types::{Event, PartId, PartStart, PartStatus, Text};

/// Most bytes that may wait, of all lanes together.
const MAX_WAITING: usize = 64 << 20;
/// Most parts that may be open: every event looks for its own among them.
const MAX_OPEN: usize = 1024;

/// Which part of which item: output index, then the content index of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) item: u32,
    pub(super) content: u32,
}

/// One part.
#[derive(Debug)]
pub(super) struct Lane {
    key: Key,
    /// Its number once it has begun.
    pub(super) part: Option<PartId>,
    ended: bool,
    /// Text given out or waiting.
    pub(super) sent: String,
    /// Citations given out or waiting.
    pub(super) cited: usize,
    /// Log probabilities were given out.
    pub(super) has_logprobs: bool,
    waiting: Vec<Event>,
}

/// All open parts.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: VecDeque<Lane>,
    next: u32,
    /// Bytes that wait.
    held: usize,
}

impl Lanes {
    /// The open part, if there is one.
    pub(super) fn get(&mut self, key: Key) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.key == key && !lane.ended)
    }

    /// The open part; a new one takes its place in the order of items.
    pub(super) fn open(&mut self, key: Key) -> &mut Lane {
        let at = match self.position(key) {
            Some(at) => at,
            None => {
                let begun = self.lanes.front().is_some_and(|lane| lane.part.is_some());
                let behind = self.lanes.iter().skip(usize::from(begun)).position(|lane| lane.key > key);
                let at = behind.map_or(self.lanes.len(), |at| at + usize::from(begun));
                let lane = Lane {
                    key,
                    part: None,
                    ended: false,
                    sent: String::new(),
                    cited: 0,
                    has_logprobs: false,
                    waiting: Vec::new(),
                };
                self.lanes.insert(at, lane);
                at
            }
        };
        // Found or put there above.
        &mut self.lanes[at]
    }

    fn position(&self, key: Key) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.key == key && !lane.ended)
    }

    /// Keys of the open parts of an item.
    pub(super) fn of_item(&self, item: u32) -> Vec<Key> {
        self.lanes.iter().filter(|lane| lane.key.item == item && !lane.ended).map(|lane| lane.key).collect()
    }

    /// Keys of all open parts.
    pub(super) fn all(&self) -> Vec<Key> {
        self.lanes.iter().filter(|lane| !lane.ended).map(|lane| lane.key).collect()
    }

    /// Begins the part; one that has begun goes on.
    pub(super) fn begin(&mut self, key: Key, start: impl FnOnce() -> PartStart, out: &mut Vec<Event>) -> PartId {
        if let Some(part) = self.open(key).part {
            return part;
        }
        self.begin_another(key, start(), out)
    }

    /// Begins a part in a lane, also after another one, which ends there.
    pub(super) fn begin_another(&mut self, key: Key, start: PartStart, out: &mut Vec<Event>) -> PartId {
        self.end_part(key, PartStatus::Complete, out);
        let part = PartId(self.next);
        self.next += 1;
        self.open(key).part = Some(part);
        self.push(key, Event::PartStart { part, choice: 0, start }, out);
        part
    }

    /// Appends an event of the part.
    pub(super) fn push(&mut self, key: Key, event: Event, out: &mut Vec<Event>) {
        match self.position(key) {
            Some(0) => out.push(event),
            Some(at) => {
                self.held += size_of(&event);
                if let Some(lane) = self.lanes.get_mut(at) {
                    lane.waiting.push(event);
                }
            }
            None => {}
        }
    }

    /// Appends text to a part that has begun.
    pub(super) fn delta(&mut self, key: Key, text: Text, out: &mut Vec<Event>) {
        let Some(lane) = self.get(key) else { return };
        let Some(part) = lane.part.filter(|_| !text.is_empty()) else { return };
        lane.sent.push_str(&text);
        self.push(key, Event::Delta { part, text }, out);
    }

    /// Appends what the deltas left out of the whole text. If they said something else, it stands.
    pub(super) fn complete(&mut self, key: Key, whole: &str, out: &mut Vec<Event>) {
        let rest = self.get(key).and_then(|lane| whole.strip_prefix(lane.sent.as_str()));
        if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
            let rest = Text::from(rest);
            self.delta(key, rest, out);
        }
    }

    /// Ends the part that is open in a lane.
    pub(super) fn end_part(&mut self, key: Key, status: PartStatus, out: &mut Vec<Event>) {
        if let Some(part) = self.get(key).and_then(|lane| lane.part.take()) {
            self.push(key, Event::PartEnd { part, status }, out);
        }
    }

    /// Ends the lane; those behind it move up.
    pub(super) fn end(&mut self, key: Key, status: PartStatus, out: &mut Vec<Event>) {
        self.end_part(key, status, out);
        if let Some(lane) = self.get(key) {
            lane.ended = true;
        }
        while self.lanes.front().is_some_and(|lane| lane.ended) {
            self.lanes.pop_front();
            if let Some(lane) = self.lanes.front_mut() {
                for event in lane.waiting.drain(..) {
                    self.held = self.held.saturating_sub(size_of(&event));
                    out.push(event);
                }
            }
        }
    }

    /// Whether more waits than may.
    pub(super) fn is_full(&self) -> bool {
        self.held > MAX_WAITING || self.lanes.len() > MAX_OPEN
    }
}

/// Memory of an event that waits, in bytes.
fn size_of(event: &Event) -> usize {
    let text = match event {
        Event::Delta { text, .. } => text.len(),
        Event::Part { part, .. } => match &part.kind {
            polyport_types::PartKind::Image(image) => match &image.source {
                polyport_types::MediaSource::Base64 { data, .. } => data.len(),
                _ => 0,
            },
            polyport_types::PartKind::ServerToolResult(result) => result.payload.as_str().len(),
            _ => 0,
        },
        _ => 0,
    };
    std::mem::size_of::<Event>() + text
}
