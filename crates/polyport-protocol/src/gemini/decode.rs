//! Requests of Gemini clients, read.

use std::collections::VecDeque;

use foldhash::HashMap;
use polyport_types::{
    Authority, ClientProtocol, Extras, ImageDetail, Instruction, Message, Part, PartKind, Request, Role, StreamOptions,
    Text,
};

use super::types::{Content, CountRequest, GenerateRequest, Many, One};
use super::{config, names, parts, tools};
use crate::json::{self, from_text};
use crate::{DecodeError, RequestHead};

/// Reads a client's request.
///
/// # Errors
/// [`DecodeError`] names the wrong path.
pub fn decode_request(head: &RequestHead, body: &Text) -> Result<Request, DecodeError> {
    let wire = from_text(body).map_err(in_googles_words)?;
    request(head, wire, body)
}

/// Reads the body of `countTokens`: either the contents or a whole request. Vertex clients put instructions, tools and
/// configuration beside the contents.
///
/// # Errors
/// [`DecodeError`] names the wrong path.
pub fn decode_count_request(head: &RequestHead, body: &Text) -> Result<Request, DecodeError> {
    let wire: CountRequest<'_> = from_text(body).map_err(in_googles_words)?;
    match (wire.request, wire.contents) {
        (Some(_), Some(_)) => {
            Err(DecodeError::at("generateContentRequest", "set either contents or generateContentRequest, not both"))
        }
        (Some(request_wire), None) => request(head, request_wire, body),
        (None, _) => decode_request(head, body),
    }
}

fn in_googles_words(error: DecodeError) -> DecodeError {
    if error.path.is_empty() {
        DecodeError { message: format!("Invalid JSON payload received. {}", error.message), ..error }
    } else {
        DecodeError { message: format!("Invalid value ({})", error.message), ..error }
    }
}

fn request(head: &RequestHead, wire: GenerateRequest<'_>, body: &Text) -> Result<Request, DecodeError> {
    let model = match (&head.model, wire.model) {
        (Some(model), _) => model.clone(),
        (None, Some(model)) => model.strip_prefix("models/").map_or_else(|| model.to_text(body), Text::from),
        (None, None) => Text::new(),
    };
    let mut request = Request::new(ClientProtocol::Gemini, model);
    request.stream = head.stream;
    request.stream_options = StreamOptions { json_array: head.json_array, ..StreamOptions::default() };
    names::keep(wire.extra, "", body, &mut request.ext);
    if let Some(One(content)) = wire.system_instruction {
        request.instructions.extend(instruction(content, body)?);
    }
    let contents = wire.contents.unwrap_or_default().0;
    if contents.is_empty() {
        return Err(DecodeError::at("contents", "contents is not specified"));
    }
    request.messages = History::default().read(contents, body)?;
    if let Some(tools) = wire.tools {
        tools::decode_tools(tools, body, &mut request)?;
    }
    if let Some(tool_config) = wire.tool_config {
        tools::decode_tool_config(tool_config, body, &mut request)?;
    }
    if let Some(generation) = wire.generation_config {
        config::decode(generation, body, &mut request)?;
    }
    request.safety = wire.safety_settings.map(|raw| names::raw(raw, body));
    request.cache.named_resource = wire.cached_content.map(|name| name.into_text(body));
    request.metadata = wire
        .labels
        .unwrap_or_default()
        .0
        .into_iter()
        .map(|(name, value)| (name.into_text(body), value.into_text(body)))
        .collect();
    request.state.store = wire.store;
    request.service_tier =
        wire.service_tier.filter(|tier| !tier.is_empty()).map(|tier| tier.to_ascii_lowercase().into());
    resolution_for_all(&mut request);
    Ok(request)
}

fn instruction(content: Content<'_>, body: &Text) -> Result<Option<Instruction>, DecodeError> {
    let wire_parts = content.parts.unwrap_or_default();
    let mut read = Vec::with_capacity(wire_parts.0.len());
    for (number, part) in wire_parts.0.into_iter().enumerate() {
        check_part(&part, || format!("systemInstruction.parts[{number}]"))?;
        read.push(parts::decode(part, body));
    }
    let mut ext = Extras::new();
    names::keep(content.extra, "", body, &mut ext);
    if let Some(role) = content.role {
        ext.push("role", polyport_types::RawJson::of(&(*role).into()));
    }
    Ok((!read.is_empty()).then_some(Instruction { authority: Authority::System, parts: read, name: None, ext }))
}

/// A part has exactly one member with content.
fn check_part(part: &super::types::Part<'_>, path: impl Fn() -> String) -> Result<(), DecodeError> {
    let members = parts::data_members(part);
    match members {
        [Some(first), Some(second)] => Err(DecodeError::at(
            path(),
            format!("oneof field 'data' is already set. Cannot set '{second}' beside '{first}'"),
        )),
        [None, _] if part.extra.is_empty() && part.thought_signature.is_none() => {
            Err(DecodeError::at(path(), "required oneof field 'data' must have one initialized field"))
        }
        _ => Ok(()),
    }
}

/// Reads the history and pairs results with calls, which need not have ids.
#[derive(Default)]
struct History {
    calls: Vec<Call>,
    /// Calls that have an id of the client's and no result yet, by id, the nearest last.
    by_id: HashMap<Text, Vec<usize>>,
    /// Calls of the last turn of the model that have no result yet, in order, all of them and by name.
    open: VecDeque<usize>,
    open_by_name: HashMap<Text, VecDeque<usize>>,
    /// The last content came from the model.
    in_model_turn: bool,
}

struct Call {
    id: Text,
    name: Text,
    /// The wire gave the id.
    native: bool,
    answered: bool,
}

impl History {
    fn read(mut self, contents: Vec<Content<'_>>, body: &Text) -> Result<Vec<Message>, DecodeError> {
        let mut messages = Vec::with_capacity(contents.len());
        for (number, content) in contents.into_iter().enumerate() {
            self.content(u32::try_from(number).unwrap_or(u32::MAX), content, body, &mut messages)?;
        }
        Ok(messages)
    }

    fn content(
        &mut self,
        index: u32,
        content: Content<'_>,
        body: &Text,
        messages: &mut Vec<Message>,
    ) -> Result<(), DecodeError> {
        let role = read_role(content.role.as_deref().unwrap_or_default(), index)?;
        let from_model = role == Role::Assistant;
        if from_model && !self.in_model_turn {
            self.open.clear();
            self.open_by_name.clear();
        }
        self.in_model_turn = from_model;
        let Many(wire_parts) = content.parts.unwrap_or_default();
        let mut read: Vec<(Role, Part)> = Vec::with_capacity(wire_parts.len());
        for (number, wire_part) in wire_parts.into_iter().enumerate() {
            check_part(&wire_part, || format!("contents[{index}].parts[{number}]"))?;
            let mut part = parts::decode(wire_part, body);
            self.identify(&mut part, index, number).map_err(|(member, message)| {
                DecodeError::at(format!("contents[{index}].parts[{number}].{member}"), message)
            })?;
            let role = match part.kind {
                PartKind::ToolResult(_) => Role::Tool,
                PartKind::ToolCall(_) => Role::Assistant,
                _ => role,
            };
            read.push((role, part));
        }
        let mut ext = Extras::new();
        names::keep(content.extra, "", body, &mut ext);
        if !from_model {
            // Results answer the turn before: they come first. The sort keeps the order otherwise.
            read.sort_by_key(|(role, _)| *role != Role::Tool);
        }
        if read.is_empty() {
            messages.push(Message { ext, ..Message::new(role, index, Vec::new()) });
            return Ok(());
        }
        for (role, part) in read {
            match messages.last_mut() {
                Some(last) if last.index == index && last.role == role => last.parts.push(part),
                _ => messages.push(Message { ext: std::mem::take(&mut ext), ..Message::new(role, index, vec![part]) }),
            }
        }
        Ok(())
    }

    /// Gives a call its id and a result the id of its call.
    fn identify(&mut self, part: &mut Part, content: u32, number: usize) -> Result<(), (&'static str, &'static str)> {
        match &mut part.kind {
            PartKind::ToolCall(call) => {
                if call.name.is_empty() {
                    return Err(("functionCall.name", "Name cannot be empty."));
                }
                let native = !call.id.is_empty();
                if !native {
                    call.id = positional_id(content, number);
                }
                self.ask(call.id.clone(), call.name.clone(), native);
            }
            PartKind::ToolResult(result) => {
                let name = result.name.as_deref().unwrap_or_default();
                if name.is_empty() && result.call_id.is_empty() {
                    return Err(("functionResponse.name", "Name cannot be empty."));
                }
                match self.answer(&result.call_id, name) {
                    Some(call) => {
                        call.answered = true;
                        result.call_id = call.id.clone();
                        if name.is_empty() {
                            result.name = Some(call.name.clone());
                        }
                    }
                    None if result.call_id.is_empty() => result.call_id = positional_id(content, number),
                    None => {}
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ask(&mut self, id: Text, name: Text, native: bool) {
        let number = self.calls.len();
        if native {
            self.by_id.entry(id.clone()).or_default().push(number);
        }
        self.open.push_back(number);
        self.open_by_name.entry(name.clone()).or_default().push_back(number);
        self.calls.push(Call { id, name, native, answered: false });
    }

    /// The call a result answers: by id; without one the first unanswered call of that name in the last turn of the model, else
    /// the first unanswered one.
    fn answer(&mut self, id: &str, name: &str) -> Option<&mut Call> {
        let calls = &self.calls;
        let is_open = |number: &usize| calls.get(*number).is_some_and(|call| !call.answered);
        let first = |queue: Option<&mut VecDeque<usize>>| {
            let queue = queue?;
            // What was answered out of turn is skipped for good.
            while queue.front().is_some_and(|number| !is_open(number)) {
                queue.pop_front();
            }
            queue.front().copied()
        };
        let number = if id.is_empty() {
            first(self.open_by_name.get_mut(name)).or_else(|| first(Some(&mut self.open)))
        } else {
            let mut nearest = None;
            if let Some(stack) = self.by_id.get_mut(id) {
                while let Some(number) = stack.pop() {
                    if is_open(&number) {
                        nearest = Some(number);
                        break;
                    }
                }
            }
            let of_name = || first(self.open_by_name.get_mut(name));
            nearest
                .or_else(of_name)
                .filter(|number| nearest.is_some() || calls.get(*number).is_some_and(|call| !call.native))
        }?;
        self.calls.get_mut(number)
    }
}

/// The id of a call that came without one: the same each time the same history comes.
fn positional_id(content: u32, part: usize) -> Text {
    format!("call_g{content}_{part}").into()
}

/// Whether an id was made by [`positional_id`]: the client does not know it.
pub(super) fn is_positional(id: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    id.strip_prefix("call_g")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(content, part)| digits(content) && digits(part))
}

fn read_role(role: &str, index: u32) -> Result<Role, DecodeError> {
    match role.to_ascii_lowercase().as_str() {
        // `function` is what the first version of the API called the side that answers calls.
        "" | "user" | "function" | "tool" => Ok(Role::User),
        "model" => Ok(Role::Assistant),
        _ => Err(DecodeError::at(format!("contents[{index}].role"), "Please use a valid role: user, model.")),
    }
}

/// A resolution for the whole request holds for each of its media that names none. It is sent back from where it stood.
fn resolution_for_all(request: &mut Request) {
    let word = request.ext.get("generationConfig/mediaResolution").and_then(|raw| {
        let word: Option<String> = serde_json::from_str(raw.as_str()).ok();
        word.and_then(|word| parts::resolution(&word))
    });
    let Some(word) = word else { return };
    for message in &mut request.messages {
        for part in &mut message.parts {
            set_detail(part, word);
        }
    }
}

fn set_detail(part: &mut Part, detail: ImageDetail) {
    match &mut part.kind {
        PartKind::Image(media) | PartKind::Video(media) => media.detail = media.detail.or(Some(detail)),
        PartKind::Document(document) => document.detail = document.detail.or(Some(detail)),
        PartKind::ToolResult(result) => result.parts.iter_mut().for_each(|part| set_detail(part, detail)),
        _ => {}
    }
}

/// Reads an answer of `countTokens`; `None` if it is none.
#[must_use]
pub fn decode_count(body: &Text) -> Option<u64> {
    let answer: super::types::CountResponse<'_> = json::from_text(body).ok()?;
    answer.total_tokens.map(json::Int::count)
}
