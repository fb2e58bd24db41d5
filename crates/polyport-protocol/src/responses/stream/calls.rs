//! Calls of a stream: of client tools, and of tools that the provider runs.

use polyport_types::{
    Event, Extras, PartKind, PartStart, PartStatus, Protocol, RawJson, ServerToolCallStart, Text, ToolCallKind,
    ToolCallStart,
};
use serde_json::value::RawValue;

use super::{Decoder, Kind, delta_text, whole};
use crate::json::{extras, raw};
use crate::responses::item::{arguments, call_status, code_input, server_tool_ext, server_tool_name};
use crate::responses::response::read_item;
use crate::responses::types::{Item, StreamEvent};

#[derive(Debug)]
pub(super) struct CallHead {
    pub(super) call_id: Text,
    pub(super) name: Text,
    pub(super) namespace: Option<Text>,
    pub(super) caller: Option<RawJson>,
    pub(super) ext: Extras,
}
impl Decoder {
    pub(super) fn argument(
        &mut self,
        event: &StreamEvent<'_>,
        kind: Kind,
        whole_text: bool,
        data: &Text,
        out: &mut Vec<Event>,
    ) {
        let index = self.open_item(event, kind, data, out);
        if self.slot(index).done {
            return;
        }
        let key = whole(index);
        self.lanes.open(key);
        let text = match (whole_text, kind) {
            (false, _) => delta_text(event, data),
            (true, Kind::Custom) => event.input.as_ref().map_or_else(Text::new, |input| input.to_text(data)),
            (true, _) => event.arguments.as_ref().map_or_else(Text::new, |text| text.to_text(data)),
        };
        let begun = self.lanes.get(key).is_some_and(|lane| lane.part.is_some());
        let slot = self.slot(index);
        if whole_text {
            if begun {
                let blank = slot.early.trim().is_empty() && text.trim().is_empty();
                if !blank || kind == Kind::Custom {
                    self.lanes.complete(key, &text, out);
                }
            } else {
                slot.early = text.to_string();
            }
            return;
        }
        // White space before the arguments may turn out to be all there is.
        let sent = self.lanes.get(key).is_some_and(|lane| !lane.sent.is_empty());
        let slot = self.slot(index);
        if !begun || (kind == Kind::Function && !sent && text.trim().is_empty()) {
            slot.early.push_str(&text);
        } else if slot.early.is_empty() {
            self.lanes.delta(key, text, out);
        } else {
            let early = std::mem::take(&mut slot.early);
            self.lanes.delta(key, format!("{early}{text}").into(), out);
        }
    }

    /// Begins a call as soon as its id and name are known.
    pub(super) fn begin_call(&mut self, index: u32, out: &mut Vec<Event>) {
        let slot = self.items.entry(index).or_default();
        let known = slot.head.as_ref().is_some_and(|head| !head.call_id.is_empty() && !head.name.is_empty());
        if !known {
            return;
        }
        let Some(head) = slot.head.take() else { return };
        let custom = slot.kind == Kind::Custom;
        let key = whole(index);
        let start = ToolCallStart {
            id: self.call_ids.unique(&head.call_id, index as usize),
            name: head.name,
            namespace: head.namespace,
            kind: if custom { ToolCallKind::Custom } else { ToolCallKind::Function },
            item_id: slot.id.clone(),
            signature: None,
            caller: head.caller,
            ext: head.ext,
        };
        let early = std::mem::take(&mut slot.early);
        self.lanes.begin(key, || PartStart::ToolCall(Box::new(start)), out);
        if custom || !early.trim().is_empty() {
            self.lanes.delta(key, early.into(), out);
        } else {
            self.slot(index).early = early;
        }
    }

    pub(super) fn call_done(
        &mut self,
        index: u32,
        arguments: Option<&str>,
        status: Option<&str>,
        out: &mut Vec<Event>,
    ) {
        let key = whole(index);
        self.lanes.open(key);
        let begun = self.lanes.get(key).is_some_and(|lane| lane.part.is_some());
        let slot = self.slot(index);
        let kind = if slot.kind == Kind::Custom { ToolCallKind::Custom } else { ToolCallKind::Function };
        if !begun {
            if let Some(head) = slot.head.as_mut().filter(|head| head.call_id.is_empty()) {
                head.call_id = format!("call_r{index}").into();
            }
            self.begin_call(index, out);
        }
        if self.lanes.get(key).is_none_or(|lane| lane.part.is_none()) {
            // A call without a name is none.
            return self.lanes.end(key, PartStatus::Invalid, out);
        }
        if let Some(whole) = arguments.filter(|whole| kind == ToolCallKind::Custom || *whole != "{}") {
            self.lanes.complete(key, whole, out);
        }
        let sent = self.lanes.get(key).map(|lane| lane.sent.clone()).unwrap_or_default();
        let status = call_status(&kind, &sent, status);
        self.called |= status == PartStatus::Complete;
        self.lanes.end(key, status, out);
    }

    // ----------------------------------------------------------------------------------------------------- server tools

    pub(super) fn begin_hosted(&mut self, index: u32, kind: &str, item: &Item<'_>, data: &Text, out: &mut Vec<Event>) {
        let (tool, name) = server_tool_name(kind, item.name.as_deref());
        let ext = server_tool_ext(kind, item, data);
        let slot = self.items.entry(index).or_default();
        let id = slot.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| format!("item_{index}").into());
        let start = ServerToolCallStart { id, tool, name, protocol: Protocol::Responses, ext };
        self.lanes.begin(whole(index), || PartStart::ServerToolCall(Box::new(start)), out);
    }

    /// Arguments and programs while they are written, as JSON of the input.
    pub(super) fn hosted_delta(&mut self, kind: &str, event: &StreamEvent<'_>, data: &Text, out: &mut Vec<Event>) {
        let index = self.open_item(event, Kind::Hosted, data, out);
        let key = whole(index);
        let delta = delta_text(event, data);
        let Some(lane) = self.lanes.get(key).filter(|lane| lane.part.is_some() && !delta.is_empty()) else { return };
        if kind == "response.mcp_call_arguments.delta" {
            return self.lanes.delta(key, delta, out);
        }
        let first = lane.sent.is_empty();
        let whole = code_input(&delta);
        // The end of the string and of the object are left open.
        let open = whole.strip_suffix("\"}").unwrap_or_default();
        let piece = if first { open } else { open.strip_prefix("{\"code\":\"").unwrap_or_default() };
        self.lanes.delta(key, Text::from(piece), out);
    }

    pub(super) fn hosted_done(&mut self, index: u32, wire: &RawValue, data: &Text, out: &mut Vec<Event>) {
        let key = whole(index);
        let id = self.slot(index).id.clone().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("item_{index}").into());
        let mut results = Vec::new();
        for mut part in read_item(&mut self.reader, wire, data) {
            match &mut part.kind {
                PartKind::ServerToolCall(call) => {
                    let input = call.input.as_str();
                    if input != "{}" {
                        self.lanes.complete(key, input, out);
                    }
                }
                PartKind::ServerToolResult(result) => {
                    result.call_id = id.clone();
                    results.push(part);
                }
                _ => results.push(part),
            }
        }
        self.lanes.end_part(key, PartStatus::Complete, out);
        for part in results {
            self.lanes.push(key, Event::Part { choice: 0, part: Box::new(part) }, out);
        }
        self.lanes.end(key, PartStatus::Complete, out);
    }
}

pub(super) fn arguments_of(kind: Kind, item: &Item<'_>, data: &Text) -> Text {
    if kind == Kind::Custom {
        item.input.as_ref().map_or_else(Text::new, |input| input.to_text(data))
    } else {
        arguments(item.arguments, data)
    }
}

pub(super) fn head(item: Item<'_>, data: &Text) -> CallHead {
    CallHead {
        call_id: item.call_id.unwrap_or_default().into_text(data),
        name: item.name.unwrap_or_default().into_text(data),
        namespace: item.namespace.map(|namespace| namespace.into_text(data)),
        caller: item.caller.map(|caller| raw(caller, data)),
        ext: extras(item.extra, data),
    }
}
