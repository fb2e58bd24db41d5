//! The built-in model `echo`: answers without any network, so that the first request works before any provider is set up.
//!
//! It says the last text of the user again. When a tool is offered and the user asks for it (`call <tool>` or a forced tool choice),
//! it calls the tool; after a tool result it says what the tool said.

use polyport_types::{
    Event, Finish, FinishReason, FunctionTool, PartId, PartKind, PartStart, PartStatus, RawJson, Request, Role,
    StreamStart, Text, Tool, ToolCallKind, ToolCallStart, ToolChoice, Usage,
};

/// Characters per delta of a streamed answer.
const PIECE: usize = 24;

/// The answer of the echo model, as events.
#[must_use]
pub fn answer(request: &Request) -> Vec<Event> {
    let said = last_words(request);
    // Without an id of its own the answer gets one that no other answer has.
    let mut events =
        vec![Event::Start(Box::new(StreamStart { model: Text::from_static("echo"), ..StreamStart::default() }))];
    let (reason, output) = match wanted_tool(request, &said) {
        Some(tool) => {
            let arguments = arguments_for(tool, &said);
            events.extend(tool_call(request, tool, &arguments));
            (FinishReason::ToolCalls, arguments)
        }
        None => {
            let (text, reason) = cut_to_limit(request, said.clone());
            events.extend(text_part(&text));
            (reason, text)
        }
    };
    events.push(Event::Usage(Box::new(Usage {
        input_uncached: Some(words(request)),
        output_text: Some(tokens(&output)),
        ..Usage::default()
    })));
    events.push(Event::Finish(Box::new(Finish { reason, ..Finish::default() })));
    events.push(Event::End);
    events
}

/// The last text of the user or of a tool result.
fn last_words(request: &Request) -> String {
    for message in request.messages.iter().rev() {
        if !matches!(message.role, Role::User | Role::Tool) {
            continue;
        }
        let texts: Vec<String> = message
            .parts
            .iter()
            .filter_map(|part| match &part.kind {
                PartKind::Text(text) => Some(text.text.to_string()),
                PartKind::ToolResult(result) => Some(
                    result
                        .parts
                        .iter()
                        .filter_map(|part| part.as_text().map(ToString::to_string))
                        .chain(result.structured.as_ref().map(|json| json.as_str().to_owned()))
                        .collect::<Vec<_>>()
                        .join("\n"),
                ),
                _ => None,
            })
            .collect();
        if !texts.is_empty() {
            return texts.join("\n");
        }
    }
    String::new()
}

/// The tool to call: the forced one, or the one whose name the user's last words hold after `call`.
fn wanted_tool<'a>(request: &'a Request, said: &str) -> Option<&'a FunctionTool> {
    let after_result = request
        .messages
        .last()
        .is_some_and(|message| message.parts.iter().any(|part| matches!(part.kind, PartKind::ToolResult(_))));
    if after_result || request.tool_choice == Some(ToolChoice::None) {
        return None;
    }
    let mut functions = request.tools.iter().filter_map(|tool| match tool {
        Tool::Function(function) => Some(&**function),
        _ => None,
    });
    match &request.tool_choice {
        Some(ToolChoice::Tool(wanted)) => functions.find(|function| function.name == wanted.name),
        Some(ToolChoice::Required) => functions.next(),
        _ => functions.find(|function| {
            let names = said.split_whitespace().skip(1).map(bare_name);
            said.split_whitespace()
                .zip(names)
                .any(|(verb, name)| verb.eq_ignore_ascii_case("call") && name == &*function.name)
        }),
    }
}

/// A word without the punctuation around it.
fn bare_name(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
}

/// Arguments that satisfy the required members of the tool's schema as far as their types say: texts get the user's words.
fn arguments_for(tool: &FunctionTool, said: &str) -> String {
    let mut arguments = serde_json::Map::new();
    let schema = tool.schema.as_ref().map(RawJson::to_value).unwrap_or_default();
    let required = schema.get("required").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    for name in required.iter().filter_map(serde_json::Value::as_str) {
        let kind = schema.pointer(&format!("/properties/{name}/type")).and_then(serde_json::Value::as_str);
        let value = match kind {
            Some("integer" | "number") => serde_json::json!(1),
            Some("boolean") => serde_json::json!(true),
            Some("array") => serde_json::json!([]),
            Some("object") => serde_json::json!({}),
            _ => serde_json::json!(said),
        };
        arguments.insert(name.to_owned(), value);
    }
    serde_json::Value::Object(arguments).to_string()
}

fn tool_call(request: &Request, tool: &FunctionTool, arguments: &str) -> Vec<Event> {
    let part = PartId(0);
    // The id names the turn, so that the same history gives the same id.
    let id = Text::from(format!("call_echo{}", request.messages.len()));
    vec![
        Event::PartStart {
            part,
            choice: 0,
            start: PartStart::ToolCall(Box::new(ToolCallStart {
                id,
                name: tool.name.clone(),
                namespace: tool.namespace.clone(),
                kind: ToolCallKind::Function,
                item_id: None,
                signature: None,
                caller: None,
                ext: polyport_types::Extras::new(),
            })),
        },
        Event::Delta { part, text: Text::from(arguments) },
        Event::PartEnd { part, status: PartStatus::Complete },
    ]
}

fn text_part(text: &str) -> Vec<Event> {
    let part = PartId(0);
    let mut events = vec![Event::PartStart { part, choice: 0, start: PartStart::Text { item_id: None, phase: None } }];
    let mut piece = String::new();
    for (count, c) in text.chars().enumerate() {
        if count > 0 && count % PIECE == 0 {
            events.push(Event::Delta { part, text: Text::from(std::mem::take(&mut piece)) });
        }
        piece.push(c);
    }
    if !piece.is_empty() {
        events.push(Event::Delta { part, text: Text::from(piece) });
    }
    events.push(Event::PartEnd { part, status: PartStatus::Complete });
    events
}

/// Keeps the client's token limit, four characters to a token.
fn cut_to_limit(request: &Request, text: String) -> (String, FinishReason) {
    let text = if text.is_empty() { "(nothing was said)".to_owned() } else { text };
    match request.limits.max_output_tokens {
        Some(limit) if tokens(&text) > limit => {
            let keep = usize::try_from(limit.saturating_mul(4)).unwrap_or(usize::MAX);
            (text.chars().take(keep).collect(), FinishReason::MaxTokens)
        }
        _ => (text, FinishReason::Stop),
    }
}

fn tokens(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(4)).unwrap_or(u64::MAX)
}

/// Rough size of the prompt.
fn words(request: &Request) -> u64 {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let instructions = request.instructions.iter().flat_map(|instruction| &instruction.parts);
    parts.chain(instructions).filter_map(|part| part.as_text().map(|text| tokens(text))).sum::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polyport_types::{ClientProtocol, Extras, Message, Part, ToolResult, Validator};

    fn request(text: &str) -> Request {
        let mut request = Request::new(ClientProtocol::Chat, "echo");
        request.messages.push(Message::new(Role::User, 0, vec![Part::text(text)]));
        request.tools.push(Tool::Function(Box::new(FunctionTool {
            name: Text::from_static("weather"),
            namespace: None,
            description: None,
            schema: RawJson::parse(r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#)
                .ok(),
            output_schema: None,
            strict: None,
            cache: None,
            defer_loading: None,
            ext: Extras::new(),
        })));
        request
    }

    fn text_of(events: &[Event]) -> String {
        events
            .iter()
            .filter_map(|event| if let Event::Delta { text, .. } = event { Some(&**text) } else { None })
            .collect()
    }

    fn assert_valid(events: &[Event]) {
        let mut validator = Validator::default();
        for event in events {
            validator.check(event).unwrap();
        }
    }

    #[test]
    fn it_says_the_last_words_again() {
        let events = answer(&request("hello there, how are you doing today?"));
        assert_valid(&events);
        assert_eq!(text_of(&events), "hello there, how are you doing today?");
    }

    #[test]
    fn it_calls_a_tool_when_asked_and_then_says_the_result() {
        let mut request = request("please call weather.");
        let events = answer(&request);
        assert_valid(&events);
        assert_eq!(text_of(&events), r#"{"city":"please call weather."}"#);
        let result = ToolResult {
            call_id: Text::from_static("call_echo1"),
            name: None,
            kind: ToolCallKind::Function,
            parts: vec![Part::text("sunny")],
            structured: None,
            is_error: false,
        };
        request.messages.push(Message::new(Role::Tool, 1, vec![PartKind::ToolResult(Box::new(result)).into()]));
        assert_eq!(text_of(&answer(&request)), "sunny");
    }

    #[test]
    fn it_keeps_the_token_limit() {
        let mut request = request("0123456789");
        request.limits.max_output_tokens = Some(2);
        assert_eq!(text_of(&answer(&request)), "01234567");
    }
}
