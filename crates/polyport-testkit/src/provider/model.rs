//! A plausible model: reads a request in any protocol and decides what to say.
//!
//! | the request | the answer |
//! |---|---|
//! | ends with tool results | a text that repeats them |
//! | the last user text says `call NAME with {json}` (once or more) and NAME is declared | these calls |
//! | forces a tool | a call with arguments made from its schema |
//! | has a schema for the answer | JSON made from the schema |
//! | the last user text says `count to N` | the numbers |
//! | anything else | `You said: …` |
//!
//! Words in the model name, between dashes, change it: `fail-429` answers that status, `cut` breaks off in the middle of
//! a stream, `error` fails inside it, `silent` never answers, `think` shows reasoning.

use polyport_types::Protocol;
use serde_json::{Map, Value, json};

use super::step::{Answer, Cut, Finish, Part, Step};

/// What a request asks, in terms that all protocols share.
#[derive(Clone, Debug, Default)]
pub(super) struct Prompt {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) text: String,
    pub(super) results: Option<String>,
    pub(super) tools: Vec<Declared>,
    pub(super) forced: Option<Option<String>>,
    pub(super) forbidden: bool,
    pub(super) schema: Option<Value>,
    pub(super) max_tokens: Option<u64>,
    pub(super) stop: Vec<String>,
    pub(super) choices: usize,
    pub(super) thinks: bool,
    pub(super) shows_thinking: bool,
    /// Size of the request in pretended tokens.
    pub(super) tokens: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) schema: Value,
    pub(super) custom: bool,
}

impl Prompt {
    pub(super) fn read(protocol: Protocol, model: &str, stream: bool, body: &Value) -> Self {
        let mut prompt = match protocol {
            Protocol::Chat => chat(body),
            Protocol::Responses => responses(body),
            Protocol::Messages => messages(body),
            Protocol::Gemini => gemini(&crate::schema::camel_case(body)),
        };
        if prompt.model.is_empty() {
            model.clone_into(&mut prompt.model);
        }
        prompt.stream = stream || body.get("stream") == Some(&Value::Bool(true));
        prompt.tokens = u64::try_from(body.to_string().len()).unwrap_or(0) / 4 + 1;
        prompt.thinks |= prompt.says("think");
        prompt.choices = prompt.choices.max(1);
        prompt
    }

    /// Whether the model name has this word between its dashes.
    fn says(&self, word: &str) -> bool {
        self.model.split('-').any(|part| part == word)
    }

    /// The fault that the model name asks for.
    pub(super) fn step(&self) -> Step {
        let words: Vec<&str> = self.model.split('-').collect();
        let failing = words.iter().position(|word| *word == "fail").and_then(|at| words.get(at + 1)?.parse().ok());
        if let Some(status) = failing {
            return Step::error(status, &format!("the fake provider was asked to fail with {status}"));
        }
        if self.says("silent") {
            return Step::silence();
        }
        if self.says("cut") {
            return Step::model().cut_in_the_middle(Cut::Close);
        }
        if self.says("error") {
            return Step::answer(self.answer().error("the fake provider was asked to fail in the stream"));
        }
        Step::model()
    }

    pub(super) fn answer(&self) -> Answer {
        let mut answer = Answer { choices: self.choices, ..Answer::default() };
        if self.thinks {
            answer = answer.reasoning("Let me see what was asked.");
        }
        if let Some(results) = &self.results {
            return self.limited(answer, &format!("The tools said: {results}"));
        }
        let calls = if self.forbidden { Vec::new() } else { self.calls() };
        if !calls.is_empty() {
            answer.parts.extend(calls);
            return answer;
        }
        if let Some(schema) = &self.schema {
            return answer.text(&sample(schema, schema, 0).to_string());
        }
        if let Some(n) =
            self.text.split("count to ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        {
            let numbers: Vec<String> = (1..=std::cmp::min(n, 100_000_u32)).map(|number| number.to_string()).collect();
            return self.limited(answer, &numbers.join(" "));
        }
        self.limited(answer, &format!("You said: {}", self.text))
    }

    /// `text`, cut where a stop sequence or the token limit ends it; a word counts as a token.
    fn limited(&self, answer: Answer, text: &str) -> Answer {
        for stop in self.stop.iter().filter(|stop| !stop.is_empty()) {
            if let Some((kept, _)) = text.split_once(stop.as_str()) {
                return answer.text(kept).finish(Finish::Sequence(stop.clone()));
            }
        }
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        match self.max_tokens.and_then(|max| usize::try_from(max).ok()).filter(|max| *max < words.len()) {
            Some(max) => answer.text(&words.into_iter().take(max).collect::<String>()).finish(Finish::Length),
            None => answer.text(text),
        }
    }

    fn calls(&self) -> Vec<Part> {
        let mut calls = Vec::new();
        for said in self.text.split("call ").skip(1) {
            let name = said.split_whitespace().next().unwrap_or_default();
            let Some(tool) = self.tools.iter().find(|tool| tool.name == name) else { continue };
            let given = said.split_once(" with ").map_or("", |(_, rest)| rest);
            if tool.custom {
                calls.push(Part::Custom { name: name.to_owned(), input: given.to_owned() });
                continue;
            }
            let first = serde_json::Deserializer::from_str(given).into_iter::<Value>().next();
            let arguments = first.and_then(Result::ok).filter(Value::is_object).unwrap_or_else(|| json!({}));
            calls.push(Part::Tool { name: name.to_owned(), arguments: arguments.to_string() });
        }
        if let (true, Some(forced)) = (calls.is_empty(), &self.forced) {
            let wanted = |tool: &&Declared| forced.as_ref().is_none_or(|name| *name == tool.name);
            calls.extend(self.tools.iter().find(wanted).map(|tool| match tool.custom {
                true => Part::Custom { name: tool.name.clone(), input: "input".to_owned() },
                false => {
                    let mut arguments = sample(&tool.schema, &tool.schema, 0);
                    if !arguments.is_object() {
                        arguments = json!({});
                    }
                    Part::Tool { name: tool.name.clone(), arguments: arguments.to_string() }
                }
            }));
        }
        calls
    }
}

fn text_of<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text of a content that is a string or a list of parts with `text`.
fn plain(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| text_of(part, "text")).collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

fn number(body: &Value, name: &str) -> Option<u64> {
    body.get(name).and_then(Value::as_u64)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn chat(body: &Value) -> Prompt {
    let messages = items(body, "messages");
    let last = messages.last().unwrap_or(&Value::Null);
    let trailing = messages.iter().rev().take_while(|message| text_of(message, "role") == Some("tool"));
    let results: Vec<String> = trailing.map(|message| plain(message.get("content"))).collect();
    let user = messages.iter().rev().find(|message| text_of(message, "role") == Some("user")).unwrap_or(last);
    let format = body.get("response_format").unwrap_or(&Value::Null);
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    Prompt {
        model: text_of(body, "model").unwrap_or_default().to_owned(),
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        text: plain(user.get("content")),
        results: joined(results),
        tools: items(body, "tools")
            .iter()
            .map(|tool| {
                let kind = text_of(tool, "type").unwrap_or_default();
                let inner = tool.get(kind).unwrap_or(&Value::Null);
                declared(inner, "parameters", kind == "custom")
            })
            .collect(),
        forced: forced(choice, choice.pointer("/function/name").or_else(|| choice.pointer("/custom/name"))),
        forbidden: choice == "none",
        schema: match text_of(format, "type") {
            Some("json_schema") => format.pointer("/json_schema/schema").cloned(),
            Some("json_object") => Some(json!({ "type": "object" })),
            _ => None,
        },
        max_tokens: number(body, "max_completion_tokens").or_else(|| number(body, "max_tokens")),
        stop: strings(body.get("stop")),
        choices: number(body, "n").and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        shows_thinking: true,
        ..Prompt::default()
    }
}

/// Results in the order they were given, if there are any; collected from the end.
fn joined(mut results: Vec<String>) -> Option<String> {
    results.reverse();
    (!results.is_empty()).then(|| results.join("; "))
}

fn declared(tool: &Value, schema: &str, custom: bool) -> Declared {
    Declared {
        name: text_of(tool, "name").unwrap_or_default().to_owned(),
        schema: tool.get(schema).cloned().unwrap_or_default(),
        custom,
    }
}

fn forced(choice: &Value, name: Option<&Value>) -> Option<Option<String>> {
    if let Some(name) = name.and_then(Value::as_str) {
        return Some(Some(name.to_owned()));
    }
    let required = |value: &Value| matches!(value.as_str(), Some("required" | "any"));
    let all = [Some(choice), choice.get("mode"), choice.get("type"), choice.pointer("/allowed_tools/mode")];
    all.into_iter().flatten().any(required).then_some(None)
}

fn responses(body: &Value) -> Prompt {
    let input = items(body, "input");
    let trailing = input.iter().rev().take_while(|item| text_of(item, "type").is_some_and(|t| t.ends_with("_output")));
    let results: Vec<String> = trailing.map(|item| plain(item.get("output"))).collect();
    let is_user = |item: &&Value| text_of(item, "role") == Some("user");
    let text = match body.get("input") {
        Some(Value::String(text)) => text.clone(),
        _ => plain(input.iter().rev().find(is_user).and_then(|item| item.get("content"))),
    };
    let extra = input.iter().filter(|item| text_of(item, "type") == Some("additional_tools"));
    let lists = items(body, "tools").iter().chain(extra.flat_map(|item| items(item, "tools")));
    let mut tools = Vec::new();
    lists.for_each(|tool| flatten(tool, &mut tools));
    let format = body.pointer("/text/format").unwrap_or(&Value::Null);
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    let reasoning = body.get("reasoning").unwrap_or(&Value::Null);
    let named = matches!(text_of(choice, "type"), Some("function" | "custom"));
    Prompt {
        model: text_of(body, "model").unwrap_or_default().to_owned(),
        text,
        results: joined(results),
        tools,
        forced: forced(choice, choice.get("name").filter(|_| named)),
        forbidden: choice == "none",
        schema: match text_of(format, "type") {
            Some("json_schema") => format.get("schema").cloned(),
            Some("json_object") => Some(json!({ "type": "object" })),
            _ => None,
        },
        max_tokens: number(body, "max_output_tokens"),
        thinks: !matches!(text_of(reasoning, "effort"), None | Some("none")) || text_of(reasoning, "summary").is_some(),
        shows_thinking: text_of(reasoning, "summary").is_some(),
        ..Prompt::default()
    }
}

fn flatten(tool: &Value, tools: &mut Vec<Declared>) {
    match text_of(tool, "type") {
        Some("namespace") => items(tool, "tools").iter().for_each(|inner| flatten(inner, tools)),
        Some(kind @ ("function" | "custom")) => tools.push(declared(tool, "parameters", kind == "custom")),
        _ => {}
    }
}

fn messages(body: &Value) -> Prompt {
    let messages = items(body, "messages");
    let users = || messages.iter().rev().filter(|message| text_of(message, "role") == Some("user"));
    let last = messages.last().unwrap_or(&Value::Null);
    let mut results: Vec<String> = items(last, "content")
        .iter()
        .filter(|block| text_of(block, "type") == Some("tool_result"))
        .map(|block| plain(block.get("content")))
        .collect();
    results.reverse();
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    let thinking = body.get("thinking").unwrap_or(&Value::Null);
    Prompt {
        model: text_of(body, "model").unwrap_or_default().to_owned(),
        text: users().map(|message| plain(message.get("content"))).find(|text| !text.is_empty()).unwrap_or_default(),
        results: joined(results),
        tools: items(body, "tools").iter().map(|tool| declared(tool, "input_schema", false)).collect(),
        forced: forced(choice, choice.get("name")),
        forbidden: text_of(choice, "type") == Some("none"),
        schema: body.pointer("/output_config/format/schema").cloned(),
        max_tokens: number(body, "max_tokens"),
        stop: strings(body.get("stop_sequences")),
        thinks: matches!(text_of(thinking, "type"), Some("enabled" | "adaptive")),
        shows_thinking: text_of(thinking, "display") != Some("omitted"),
        ..Prompt::default()
    }
}

fn gemini(body: &Value) -> Prompt {
    let contents = items(body, "contents");
    let last = contents.last().unwrap_or(&Value::Null);
    let responses = items(last, "parts").iter().filter_map(|part| part.get("functionResponse")?.get("response"));
    let mut results: Vec<String> = responses.map(Value::to_string).collect();
    results.reverse();
    let config = body.get("generationConfig").unwrap_or(&Value::Null);
    let calling = body.pointer("/toolConfig/functionCallingConfig").unwrap_or(&Value::Null);
    let mode = text_of(calling, "mode").unwrap_or("AUTO").to_ascii_uppercase();
    let by_user = |content: &&Value| text_of(content, "role") != Some("model");
    let text = contents.iter().rev().filter(by_user).map(|content| plain(content.get("parts")));
    let json_type = text_of(config, "responseMimeType").is_some_and(|mime| mime != "text/plain");
    let schema = config.get("responseJsonSchema").or_else(|| config.get("responseSchema")).cloned();
    let thoughts = config.pointer("/thinkingConfig/includeThoughts") == Some(&Value::Bool(true));
    Prompt {
        text: text.into_iter().find(|text| !text.is_empty()).unwrap_or_default(),
        results: joined(results),
        tools: items(body, "tools")
            .iter()
            .flat_map(|tool| items(tool, "functionDeclarations"))
            .map(|function| {
                let schema = if function.get("parameters").is_some() { "parameters" } else { "parametersJsonSchema" };
                declared(function, schema, false)
            })
            .collect(),
        forced: (mode == "ANY")
            .then(|| items(calling, "allowedFunctionNames").first().and_then(Value::as_str).map(str::to_owned)),
        forbidden: mode == "NONE",
        schema: json_type.then(|| schema.unwrap_or_else(|| json!({ "type": "object" }))),
        max_tokens: number(config, "maxOutputTokens"),
        stop: strings(config.get("stopSequences")),
        choices: number(config, "candidateCount").and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        thinks: config.get("thinkingConfig").is_some_and(|thinking| thinking.get("thinkingBudget") != Some(&json!(0))),
        shows_thinking: thoughts,
        ..Prompt::default()
    }
}

/// A value that the schema accepts, as simple as can be.
fn sample(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > 16 {
        return Value::Null;
    }
    if let Some(reference) = text_of(schema, "$ref") {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return sample(target, root, depth + 1);
    }
    if let Some(value) = schema.get("const").or_else(|| items(schema, "enum").first()) {
        return value.clone();
    }
    if let Some(first) = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| items(schema, name).first()) {
        return sample(first, root, depth + 1);
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(Value::String(kind)) => Some(kind.as_str()),
        _ => None,
    };
    match kind.unwrap_or("object").to_ascii_lowercase().as_str() {
        "string" => json!(text_of(schema, "default").unwrap_or("text")),
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "null" => Value::Null,
        "array" => {
            let least = number(schema, "minItems").and_then(|n| usize::try_from(n).ok()).unwrap_or(0).min(8);
            let item = schema.get("items").map_or(Value::Null, |items| sample(items, root, depth + 1));
            Value::Array(vec![item; least.max(1)])
        }
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members =
                properties.into_iter().flatten().map(|(name, inner)| (name.clone(), sample(inner, root, depth + 1)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}
