//! The history as a client reads it back.

use polyport_types::{Losses, Message, RawJson, Role, ToolCallKind};

use super::content::{ResultIds, contents, result_contents, write_content, write_result};
use super::{Unit, hash_id, output_message, phase, reasoning_text, role_word, units};
use crate::json::JsonWriter;
use crate::responses::hosted::{native_id, with_id};
use crate::responses::write::{CallItem, ReasoningItem, generated_image};

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
/// made of its place and content, so that it is the same each time. `messages` come from [`crate::responses::input_messages`].
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
                w.object(|w| output_message(w, &id, message, parts, phase.as_deref(), true, true));
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
