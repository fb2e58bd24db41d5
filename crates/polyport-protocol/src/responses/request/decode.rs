//! A client's request in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use foldhash::HashMap;
use polyport_types::{
    Authority, ClientProtocol, Effort, Extras, Family, Instruction, Message, Part, PartKind, RawJson, ReasoningControl,
    ReasoningMode, ReasoningVisibility, Request, Role, Text, ToolCall,
};
use serde_json::value::RawValue;

use super::LOGPROBS;
use crate::json::{Int, JsonWriter, OneOrMany, Str, extras, from_text, raw, raw_str, wire};
use crate::responses::history::{is_instruction, is_tools_item, to_instruction};
use crate::responses::item::{ItemReader, cache_ttl, content_part, member_of};
use crate::responses::tools::{
    additional_tools, into_raw, missing, read_choice, read_format, read_tools, read_verbosity, unsupported,
};
use crate::responses::types::{CacheOptions, CreateResponse, Item, ReasoningConfig, TextConfig};
use crate::{DecodeError, RequestHead};

wire! {
    /// The items of a body, verbatim: read only when a kind of item has to be kept so.
    struct InputOnly<'a> {
        input: Vec<&'a RawValue> = "input",
    }
}

/// Reads a client's request.
///
/// # Errors
/// [`DecodeError`] names the wrong path.
pub fn decode_request(_head: &RequestHead, body: &Text) -> Result<Request, DecodeError> {
    let wire: CreateResponse<'_> = from_text(body).map_err(in_openai_words)?;
    let has_prompt = wire.extra.iter().any(|(key, value)| &**key == "prompt" && value.get() != "null");
    if wire.model.is_none() && !has_prompt {
        return Err(missing("model"));
    }
    let mut request = Request::new(ClientProtocol::Responses, "");
    let held = wire.previous_response_id.is_some() || wire.conversation.is_some();
    if wire.input.is_none() && !held && !has_prompt {
        return Err(DecodeError::at(
            "input",
            "One of 'input', 'previous_response_id', 'prompt' or 'conversation' must be provided.",
        ));
    }
    if wire.previous_response_id.is_some() && wire.conversation.is_some() {
        return Err(DecodeError::at(
            "previous_response_id",
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you are only providing one of them.",
        ));
    }
    let text = |value: Option<Str<'_>>| value.map(|value| value.into_text(body));
    request.model = text(wire.model).unwrap_or_default();
    request.ext = extras(wire.extra, body);
    if let Some(instructions) = wire.instructions.filter(|instructions| !instructions.is_empty()) {
        request.instructions.push(Instruction {
            authority: Authority::Developer,
            parts: vec![Part::text(instructions.into_text(body))],
            name: None,
            ext: Extras::new(),
        });
    }
    request.tools = read_tools(&wire.tools.unwrap_or_default(), "tools", body)?;
    if let Some(choice) = wire.tool_choice {
        let (choice, verbatim) = read_choice(choice, body)?;
        request.tool_choice = Some(choice);
        if let Some(verbatim) = verbatim {
            request.ext.push("tool_choice", verbatim);
        }
    }
    request.parallel_tool_calls = wire.parallel_tool_calls;
    request.limits.max_output_tokens = positive(wire.max_output_tokens, "max_output_tokens", 16)?;
    request.limits.max_server_tool_calls =
        positive(wire.max_tool_calls, "max_tool_calls", 1)?.map(|calls| u32::try_from(calls).unwrap_or(u32::MAX));
    request.limits.truncation = text(wire.truncation);
    request.sampling.temperature = wire.temperature;
    request.sampling.top_p = wire.top_p;
    request.sampling.top_logprobs = wire.top_logprobs.map(|top| u32::try_from(top.count()).unwrap_or(u32::MAX));
    request.include = wire.include.unwrap_or_default().into_iter().map(|word| word.into_text(body)).collect();
    if request.include.iter().any(|word| &**word == LOGPROBS) || request.sampling.top_logprobs > Some(0) {
        request.sampling.logprobs = Some(true);
    }
    request.state.store = wire.store;
    request.state.previous_response_id = text(wire.previous_response_id);
    request.state.conversation = wire.conversation.map(|value| conversation(value, body)).transpose()?;
    request.state.background = wire.background;
    request.cache.key = text(wire.prompt_cache_key);
    request.cache.retention = text(wire.prompt_cache_retention);
    request.metadata = wire
        .metadata
        .map(|pairs| pairs.0.into_iter().map(|(key, value)| (key.into_text(body), value.into_text(body))).collect())
        .unwrap_or_default();
    request.service_tier = text(wire.service_tier);
    request.stream = wire.stream.unwrap_or(false);
    request.stream_options.include_obfuscation = wire.stream_options.and_then(|options| options.include_obfuscation);
    identity(&mut request, text(wire.safety_identifier), text(wire.user));
    read_cache(&mut request, wire.prompt_cache_options, body);
    if let Some(config) = wire.text {
        read_text(&mut request, config, body)?;
    }
    if let Some(config) = wire.reasoning {
        request.reasoning = Some(read_reasoning(config, body));
    }
    match wire.input {
        Some(OneOrMany::One(text)) => {
            request.messages.push(Message::new(Role::User, 0, vec![Part::text(text.into_text(body))]));
        }
        Some(OneOrMany::Many(items)) => History::new(body).read(items, &mut request)?,
        None => {}
    }
    Ok(request)
}

/// Type errors of the parser, said the way `OpenAI` says them.
fn in_openai_words(error: DecodeError) -> DecodeError {
    let DecodeError { path, message } = error;
    let Some(rest) = message.strip_prefix("invalid type: ").filter(|_| !path.is_empty()) else {
        return DecodeError { path, message };
    };
    let rest = rest.rsplit_once(" at line ").map_or(rest, |(rest, _)| rest);
    let message = match rest.rsplit_once(", expected ") {
        Some((found, expected)) => {
            // The value itself may be private.
            let found = found.split_once(' ').map_or(found, |(kind, _)| kind);
            format!("Invalid type for '{path}': expected {expected}, but got {found} instead.")
        }
        None => format!("Invalid type for '{path}': {rest}"),
    };
    DecodeError { path, message }
}

/// A count of at least one. Values below `minimum` are accepted: not every provider has that limit.
fn positive(value: Option<Int>, path: &str, minimum: i64) -> Result<Option<u64>, DecodeError> {
    match value {
        Some(value) if value.0 < 1 => Err(DecodeError::at(
            path,
            format!(
                "Invalid '{path}': integer below minimum value. Expected a value >= {minimum}, but got {} instead.",
                value.0
            ),
        )),
        value => Ok(value.map(Int::count)),
    }
}

/// `conversation`: an id, or an object with one.
fn conversation(value: &RawValue, body: &Text) -> Result<Text, DecodeError> {
    let id = match raw_str(value) {
        Some(id) => Some(id.into_owned()),
        None => member_of(&raw(value, body), "id").and_then(|id| serde_json::from_str::<String>(id.as_str()).ok()),
    };
    id.filter(|id| !id.is_empty()).map(Text::from).ok_or_else(|| missing("conversation.id"))
}

fn identity(request: &mut Request, identifier: Option<Text>, user: Option<Text>) {
    match (identifier, user) {
        (Some(identifier), user) => {
            request.end_user = Some(identifier);
            if let Some(user) = user {
                request.ext.push("user", RawJson::of(&serde_json::Value::String(user.to_string())));
            }
        }
        (None, Some(user)) => {
            request.end_user = Some(user);
            request.end_user_is_legacy = true;
        }
        (None, None) => {}
    }
}

fn read_cache(request: &mut Request, options: Option<CacheOptions<'_>>, body: &Text) {
    let Some(options) = options else { return };
    request.cache.explicit_only = match options.mode.as_deref() {
        Some("explicit") => Some(true),
        Some("implicit") => Some(false),
        _ => None,
    };
    request.cache.ttl = options.ttl.as_deref().and_then(cache_ttl);
    request.cache.ext = extras(options.extra, body);
}

fn read_text(request: &mut Request, config: TextConfig<'_>, body: &Text) -> Result<(), DecodeError> {
    request.response_format = config.format.map(|format| read_format(format, body)).transpose()?;
    request.verbosity = config.verbosity.map(|word| read_verbosity(&word)).transpose()?;
    if !config.extra.is_empty() {
        let mut out = Vec::new();
        JsonWriter::new(&mut out).object(|w| w.extras(&extras(config.extra, body)));
        request.ext.push("text", into_raw(out));
    }
    Ok(())
}

fn read_reasoning(config: ReasoningConfig<'_>, body: &Text) -> ReasoningControl {
    let mut control = ReasoningControl { ext: extras(config.extra, body), ..ReasoningControl::default() };
    let string = |text: &Str<'_>| RawJson::of(&serde_json::Value::String(text.to_string()));
    if let Some(word) = &config.effort {
        match Effort::parse(word) {
            Some(effort) => control.effort = Some(effort),
            // A word of tomorrow: the provider may know it.
            None => control.ext.push("effort", string(word)),
        }
    }
    if control.effort == Some(Effort::None) {
        control.mode = ReasoningMode::Off;
    }
    if let Some(word) = config.generate_summary.as_ref().filter(|_| config.summary.is_none()) {
        control.ext.push("generate_summary", string(word));
    }
    // A client that does not ask for a summary gets none.
    control.summary = config.summary.or(config.generate_summary).map(|word| word.into_text(body));
    control.visibility = Some(match control.summary {
        Some(_) => ReasoningVisibility::Summary,
        None => ReasoningVisibility::Omitted,
    });
    control
}

/// Reads the items of `input`.
struct History<'a> {
    body: &'a Text,
    reader: ItemReader,
    /// The items verbatim, once one of them is needed so.
    raws: Option<Vec<&'a RawValue>>,
    /// Calls without a result so far: id, name.
    waiting: Waiting,
}

impl<'a> History<'a> {
    fn new(body: &'a Text) -> Self {
        Self { body, reader: ItemReader::new(Family::OpenAi), raws: None, waiting: Waiting::default() }
    }

    fn read(mut self, items: Vec<Item<'a>>, request: &mut Request) -> Result<(), DecodeError> {
        request.messages.reserve(items.len());
        // Instructions may only be preceded by the tools they speak about.
        let mut leading = true;
        for (at, item) in items.into_iter().enumerate() {
            let mut message = self.item(at, item)?;
            if leading && is_instruction(&message) {
                request.instructions.push(to_instruction(message));
                continue;
            }
            for part in &message.parts {
                if let PartKind::Opaque { kind, raw, .. } = &part.kind {
                    match &**kind {
                        "additional_tools" => request.tools.extend(additional_tools(raw)),
                        "configuration_update" => configuration_update(request, raw)?,
                        _ => {}
                    }
                }
            }
            leading = leading && is_tools_item(&message);
            message.index = u32::try_from(at).unwrap_or(u32::MAX);
            request.messages.push(message);
        }
        Ok(())
    }

    fn raw(&mut self, at: usize) -> RawJson {
        let body = self.body;
        let raws = self.raws.get_or_insert_with(|| {
            let items: Result<InputOnly<'_>, _> = serde_json::from_str(body);
            items.ok().and_then(|items| items.input).unwrap_or_default()
        });
        raws.get(at).map_or_else(|| RawJson::from_valid(Text::from_static("null")), |value| raw(value, body))
    }

    fn item(&mut self, at: usize, mut item: Item<'a>) -> Result<Message, DecodeError> {
        let path = format!("input[{at}]");
        let kind = match item.kind.as_deref() {
            Some(kind) => kind.to_owned(),
            None if item.role.is_some() => "message".to_owned(),
            // The one item whose type may be left out beside messages.
            None if item.id.is_some() && item.content.is_none() => {
                item.kind = Some(Str("item_reference".into()));
                "item_reference".to_owned()
            }
            None => return Err(missing(&format!("{path}.role"))),
        };
        if kind == "message" {
            return self.message(at, &path, item);
        }
        self.check(&kind, &path, &mut item)?;
        let body = self.body;
        let status = item.status.as_ref().map(|status| status.to_text(body));
        // The reader asks for the item as a whole only where it keeps it.
        let mut reader = std::mem::replace(&mut self.reader, ItemReader::new(Family::OpenAi));
        let read = reader.read(item, &mut || self.raw(at), body);
        self.reader = reader;
        self.follow(&read.parts);
        Ok(Message { status, ..Message::new(read.role, 0, read.parts) })
    }

    fn message(&mut self, at: usize, path: &str, item: Item<'a>) -> Result<Message, DecodeError> {
        let body = self.body;
        let role = match item.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => Role::Developer,
            Some(word) => {
                return Err(unsupported(&format!("{path}.role"), word, &["assistant", "system", "developer", "user"]));
            }
            None => return Err(missing(&format!("{path}.role"))),
        };
        let parts = match item.content {
            Some(OneOrMany::One(text)) => vec![Part::text(text.into_text(body))],
            Some(OneOrMany::Many(list)) => {
                let mut parts = Vec::with_capacity(list.len());
                for (number, part) in list.into_iter().enumerate() {
                    if part.kind.is_none() && part.text.is_none() {
                        return Err(missing(&format!("{path}.content[{number}].type")));
                    }
                    parts.push(content_part(part, number, "content", &mut || self.raw(at), body));
                }
                parts
            }
            None => return Err(missing(&format!("{path}.content"))),
        };
        Ok(Message {
            id: item.id.map(|id| id.into_text(body)),
            status: item.status.map(|status| status.into_text(body)),
            phase: item.phase.map(|phase| phase.into_text(body)),
            ext: extras(item.extra, body),
            ..Message::new(role, 0, parts)
        })
    }

    /// Members without which an item means nothing.
    fn check(&self, kind: &str, path: &str, item: &mut Item<'_>) -> Result<(), DecodeError> {
        let need = |present: bool, name: &str| if present { Ok(()) } else { Err(missing(&format!("{path}.{name}"))) };
        match kind {
            "function_call" | "custom_tool_call" => {
                need(item.name.as_ref().is_some_and(|name| !name.is_empty()), "name")?;
                need(item.call_id.as_ref().is_some_and(|id| !id.is_empty()), "call_id")?;
                need(kind == "custom_tool_call" || item.arguments.is_some(), "arguments")?;
                need(kind == "function_call" || item.input.is_some(), "input")
            }
            "function_call_output" | "custom_tool_call_output" => {
                need(item.output.is_some(), "output")?;
                if item.call_id.as_ref().is_none_or(|id| id.is_empty()) {
                    // Newer models may be answered by the name alone.
                    let name = item.name.as_deref();
                    let call = name.and_then(|name| self.waiting.first(name));
                    item.call_id = call.map(|id| Str(Cow::Owned(id.to_string())));
                }
                need(item.call_id.is_some(), "call_id")
            }
            "computer_call"
            | "shell_call"
            | "apply_patch_call"
            | "computer_call_output"
            | "shell_call_output"
            | "apply_patch_call_output" => need(item.call_id.is_some(), "call_id"),
            "item_reference" => need(item.id.is_some(), "id"),
            _ => Ok(()),
        }
    }

    fn follow(&mut self, parts: &[Part]) {
        for part in parts {
            match &part.kind {
                PartKind::ToolCall(call) => self.waiting.add(call),
                PartKind::ToolResult(result) => self.waiting.answer(&result.call_id),
                _ => {}
            }
        }
    }
}

/// Calls without a result.
#[derive(Default)]
struct Waiting {
    count: usize,
    /// Numbers and names by id: clients may use one more than once.
    by_id: HashMap<Text, Vec<(usize, Text)>>,
    /// Ids in order, by name.
    by_name: HashMap<Text, BTreeMap<usize, Text>>,
}

impl Waiting {
    fn add(&mut self, call: &ToolCall) {
        self.by_id.entry(call.id.clone()).or_default().push((self.count, call.name.clone()));
        self.by_name.entry(call.name.clone()).or_default().insert(self.count, call.id.clone());
        self.count += 1;
    }

    fn answer(&mut self, id: &Text) {
        for (number, name) in self.by_id.remove(id).into_iter().flatten() {
            if let Some(calls) = self.by_name.get_mut(&name) {
                calls.remove(&number);
            }
        }
    }

    /// The id of the first call of a tool.
    fn first(&self, name: &str) -> Option<&Text> {
        self.by_name.get(name)?.values().next()
    }
}

/// Settings changed inside the history: the last ones hold for the answer.
fn configuration_update(request: &mut Request, item: &RawJson) -> Result<(), DecodeError> {
    if let Some(config) = member_of(item, "reasoning")
        && let Ok(config) = serde_json::from_str::<ReasoningConfig<'_>>(config.as_str())
        && let Some(effort) = config.effort.as_deref().and_then(Effort::parse)
    {
        let control = request.reasoning.get_or_insert_with(|| ReasoningControl {
            visibility: Some(ReasoningVisibility::Omitted),
            ..ReasoningControl::default()
        });
        control.mode = if effort == Effort::None { ReasoningMode::Off } else { ReasoningMode::Unset };
        control.effort = Some(effort);
    }
    if let Some(config) = member_of(item, "text")
        && let Ok(config) = serde_json::from_str::<TextConfig<'_>>(config.as_str())
        && let Some(format) = config.format
    {
        // Slices of the item, not of the body.
        let owned = Text::from(item.as_str());
        drop(format);
        if let Some(text) = member_of(&RawJson::from_valid(owned), "text") {
            let config: TextConfig<'_> = serde_json::from_str(text.as_str()).unwrap_or_default();
            request.response_format = config.format.map(|format| read_format(format, text.text())).transpose()?;
        }
    }
    Ok(())
}
