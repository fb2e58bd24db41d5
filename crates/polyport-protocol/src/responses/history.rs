//! The history of a conversation that Polyport keeps for a client.
//!
//! Instructions at the beginning of `input` are part of the conversation, unlike the `instructions` field, which belongs to one
//! request only. Decoding puts both before the history; here they are told apart again.

use polyport_types::{Authority, Instruction, Message, Part, PartKind, RawJson, Request, Role, Text};

use super::request::ROLE;

/// The items of `input` as messages: the instructions at its beginning and the history.
#[must_use]
pub fn input_messages(request: &Request) -> Vec<Message> {
    let leading = request.instructions.iter().filter(|instruction| is_item(instruction)).map(to_message);
    leading.chain(request.messages.iter().cloned()).collect()
}

/// Puts the history of an earlier answer before the input of a request that continues it. Instructions at the beginning of the
/// whole conversation come before everything; those of the new input keep their place behind the history.
pub fn continue_after(request: &mut Request, history: Vec<Message>) {
    let mut messages = history;
    messages.extend(input_messages(request));
    request.instructions.retain(|instruction| !is_item(instruction));
    let leading = messages.iter().take_while(|message| is_tools_item(message) || is_instruction(message)).count();
    let behind = messages.split_off(leading);
    let (instructions, tools): (Vec<Message>, Vec<Message>) = messages.into_iter().partition(is_instruction);
    request.instructions.extend(instructions.into_iter().map(to_instruction));
    request.messages = tools;
    request.messages.extend(behind);
}

/// Whether an instruction was an item of `input`.
pub(super) fn is_item(instruction: &Instruction) -> bool {
    instruction.ext.get(ROLE).is_some()
}

/// Whether a message of the instructing roles holds words, not settings.
pub(super) fn is_instruction(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
        && message.parts.iter().all(|part| !matches!(part.kind, PartKind::Opaque { .. }))
}

/// Whether a message is an item that only adds tools: instructions may stand behind it.
pub(super) fn is_tools_item(message: &Message) -> bool {
    let adds_tools = |part: &Part| matches!(&part.kind, PartKind::Opaque { kind, .. } if &**kind == "additional_tools");
    !message.parts.is_empty() && message.parts.iter().all(adds_tools)
}

/// An item of `input` as an instruction before the history.
pub(super) fn to_instruction(message: Message) -> Instruction {
    let (authority, word) = match message.role {
        Role::System => (Authority::System, "\"system\""),
        _ => (Authority::Developer, "\"developer\""),
    };
    let mut ext = message.ext;
    ext.push(ROLE, RawJson::from_valid(Text::from_static(word)));
    if let Some(status) = message.status {
        ext.push("status", RawJson::of(&serde_json::Value::String(status.to_string())));
    }
    Instruction { authority, parts: message.parts, name: message.name, ext }
}

fn to_message(instruction: &Instruction) -> Message {
    let role = match instruction.authority {
        Authority::System => Role::System,
        Authority::Developer => Role::Developer,
    };
    let mut ext = instruction.ext.clone();
    ext.remove(ROLE);
    let status = ext.remove("status").and_then(|raw| serde_json::from_str::<String>(raw.as_str()).ok()).map(Text::from);
    Message { status, ext, ..Message::new(role, 0, instruction.parts.clone()) }
}
