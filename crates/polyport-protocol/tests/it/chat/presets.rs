//! What the servers of the presets get: what holds for all of them by their tables of quirks, and what is particular to one.

use polyport_protocol::Profile;
use polyport_protocol::profile::{
    EmptyContent, LimitField, ReasoningBack, SystemRole, ThinkingControl, ToolChoiceMode, ToolIdRule,
};
use polyport_types::{ClientProtocol, LossCode, Losses};
use serde_json::{Value, json};

use super::vectors::sent;

/// Members of a request of the official API that servers without quirks of their own take.
const COMMON: [&str; 19] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "response_format",
    "user",
];

/// Quirk tables of compatible servers: the official APIs take lists of text. Some speak no HTTP.
fn servers() -> Vec<&'static str> {
    let compatible = |name: &&str| {
        let local = ["warp", "process", "llama-cli"].contains(name);
        *name == "openrouter" || !local && Profile::named(name).is_some_and(|profile| profile.flatten_text)
    };
    Profile::names().filter(compatible).collect()
}

/// A conversation with all that servers stumble over, in the words of each client.
fn conversation(client: ClientProtocol, stream: bool) -> Value {
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"at": {"type": "string"}}});
    let messages = json!([
                {"role": "developer", "content": "be brief"},
                {"role": "system", "content": [{"type": "text", "text": "be kind"}]},
                {"role": "user", "name": "ann", "content": [{"type": "text", "text": "look"}, {"type": "text", "text": "there"}]},
                {"role": "assistant", "content": null, "refusal": null, "annotations": [], "audio": null, "function_call": null,
                    "reasoning_content": "hm", "tool_calls": [{"id": "functions.look:0", "type": "function",
                        "function": {"name": "look", "arguments": ""}}]},
                {"role": "tool", "tool_call_id": "functions.look:0", "content": [{"type": "text", "text": "a tree"}]},
                {"role": "user", "content": "and?"},
                {"role": "user", "content": "well?"},
                {"role": "assistant", "content": ""},
                {"role": "system", "content": "hurry"},
                {"role": "user", "content": "now"}]);
    match client {
        ClientProtocol::Chat => json!({
            "model": "m", "stream": stream, "max_tokens": 50, "max_completion_tokens": 50, "temperature": 1.7, "top_p": 1.0,
            "seed": 7, "user": "u", "metadata": {"a": "b"}, "store": false, "service_tier": "priority", "prompt_cache_key": "k",
            "safety_identifier": "s", "verbosity": "low", "logit_bias": {"1": 1}, "stop": [], "logprobs": null,
            "parallel_tool_calls": true, "reasoning_effort": "high", "response_format": {"type": "text"}, "never_heard_of": 1,
            "messages": messages,
            "tools": [{"type": "function", "function": {"name": "look", "strict": true, "parameters": schema}}],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
        }),
        ClientProtocol::Responses => json!({
            "model": "m", "stream": stream, "store": false, "max_output_tokens": 50, "instructions": "be brief",
            "metadata": {"a": "b"}, "reasoning": {"effort": "high"}, "service_tier": "flex", "tool_choice": "required",
            "input": [
                {"role": "user", "content": "look"},
                {"type": "function_call", "call_id": "call.1", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call.1", "output": "a tree"},
                {"role": "user", "content": "and?"}],
            "tools": [{"type": "function", "name": "look", "strict": false, "parameters": schema}],
        }),
        ClientProtocol::Messages => json!({
            "model": "m", "stream": stream, "max_tokens": 5000, "system": "be brief", "metadata": {"user_id": "u"},
            "thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5, "stop_sequences": ["a", "b", "c", "d", "e", "f"],
            "messages": [
                {"role": "user", "content": "look"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a tree"},
                    {"type": "text", "text": "and?"}]}],
            "tools": [{"name": "look", "input_schema": schema}],
        }),
        ClientProtocol::Gemini => json!({
            "contents": [
                {"role": "user", "parts": [{"text": "look"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"saw": "a tree"}}}, {"text": "and?"}]}],
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "tools": [{"functionDeclarations": [{"name": "look", "parameters": {"type": "OBJECT", "properties": {}}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
            "generationConfig": {"maxOutputTokens": 50, "topK": 3, "candidateCount": 1, "thinkingConfig": {"thinkingBudget": 512}},
        }),
    }
}

/// No member is `null` but `content`.
fn no_nulls(value: &Value, path: &str) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                assert!(!value.is_null() || name == "content", "{path}/{name} is null");
                no_nulls(value, &format!("{path}/{name}"));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| no_nulls(item, path)),
        _ => {}
    }
}

#[test]
fn every_server_gets_what_its_table_says() {
    let mut seen = 0;
    for name in servers() {
        let profile = Profile::named(name).unwrap();
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let (body, losses) = sent(client, name, &conversation(client, stream));
                let asks = body["stream"] == true;
                assert!(asks || !stream || client == ClientProtocol::Gemini, "{name} from {client}");
                check(name, &profile, &body, asks)
                    .unwrap_or_else(|why| panic!("{name} from {client}: {why}\n{body:#}"));
                let serious = losses.first_at_least(polyport_types::Severity::Error);
                assert!(serious.is_none(), "{name} from {client}: {serious:?}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8 * 22 && servers().contains(&"localai"), "{seen}");
}

/// The first thing of a body that is not as the profile says.
fn check(name: &str, profile: &Profile, body: &Value, stream: bool) -> Result<(), String> {
    no_nulls(body, "");
    let members = body.as_object().ok_or("no object")?;
    let limit = match profile.limit_field {
        LimitField::MaxTokens => "max_tokens",
        LimitField::MaxCompletionTokens => "max_completion_tokens",
    };
    let reasoning = match profile.thinking_control {
        ThinkingControl::Effort => &["reasoning_effort"][..],
        ThinkingControl::ThinkingType => &["thinking", "reasoning_effort"],
        ThinkingControl::EnableThinking => &["enable_thinking", "thinking_budget"],
        ThinkingControl::TemplateKwargs => &["chat_template_kwargs", "reasoning_effort"],
        ThinkingControl::OpenRouter => &["reasoning"],
        ThinkingControl::None => &[],
    };
    for member in members.keys() {
        let accepted = profile.accept_unknown || profile.accept.contains(member);
        let renamed = profile.rename.values().any(|to| to == member);
        let tier = member == "service_tier" && !profile.service_tiers.is_empty();
        let known = COMMON.contains(&member.as_str()) || member == limit || reasoning.contains(&member.as_str());
        if !(known || renamed || tier || accepted)
            || profile.drop.contains(member)
            || profile.rename.contains_key(member)
        {
            return Err(format!("`{member}` is nothing it knows"));
        }
    }
    let limits = ["max_tokens", "max_completion_tokens"].iter().filter(|name| members.contains_key(**name)).count();
    if limits != 1 {
        return Err(format!("{limits} limits"));
    }
    if members.contains_key("stream_options") != (stream && profile.stream_usage) {
        return Err("stream_options".to_owned());
    }
    for (field, (low, high)) in &profile.clamp {
        if body[field].as_f64().is_some_and(|value| value < *low || value > *high) {
            return Err(format!("{field} is {}", body[field]));
        }
    }
    if body["stop"].as_array().is_some_and(|stop| stop.is_empty() || stop.len() > profile.max_stop) {
        return Err("stop".to_owned());
    }
    let takes = |mode| profile.tool_choice.contains(&mode);
    let choice_fits = match &body["tool_choice"] {
        Value::Null => true,
        Value::String(word) => match word.as_str() {
            "auto" => takes(ToolChoiceMode::Auto),
            "none" => takes(ToolChoiceMode::None),
            word => word == profile.required_word.as_deref().unwrap_or("required") && takes(ToolChoiceMode::Required),
        },
        _ => takes(ToolChoiceMode::Named),
    };
    if !choice_fits {
        return Err(format!("tool_choice {}", body["tool_choice"]));
    }
    let function = &body["tools"][0]["function"];
    if function["parameters"].get("$schema").is_some() {
        return Err("$schema".to_owned());
    }
    if !profile.strict_tools && function.get("strict").is_some() {
        return Err("strict".to_owned());
    }
    messages(name, profile, body["messages"].as_array().ok_or("no messages")?)
}

fn messages(name: &str, profile: &Profile, messages: &[Value]) -> Result<(), String> {
    let mut previous = "";
    let mut calls: Vec<String> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let wrong = |what: &str| Err(format!("message {at}: {what}"));
        let role = message["role"].as_str().unwrap_or_default();
        let content = &message["content"];
        if role == "developer" && profile.system_role == SystemRole::System {
            return wrong("developer");
        }
        if role == "system" && profile.system_first && at > 0 {
            return wrong("an instruction that is not the first");
        }
        if role == previous && role != "tool" && profile.merge_same_role && role != "system" {
            return wrong("the same role twice");
        }
        if role == "user" && previous == "tool" && profile.after_tool.is_some() {
            return wrong("the user right after a tool");
        }
        if profile.flatten_text && content.is_array() && name != "mistral" {
            return wrong("text in a list");
        }
        for member in message.as_object().into_iter().flatten().map(|(member, _)| member.as_str()) {
            let reasoning = match profile.reasoning_back {
                ReasoningBack::ReasoningContent => member == "reasoning_content",
                ReasoningBack::Reasoning => member == "reasoning",
                ReasoningBack::Details => member == "reasoning_details",
                _ => false,
            };
            let known = matches!(member, "role" | "content" | "tool_calls" | "tool_call_id")
                || reasoning && role == "assistant"
                || (member == "name" && role == "tool" && profile.tool_name)
                || (member == "prefix" && profile.prefix_last_assistant)
                || (member == "reasoning_content" && profile.accept_unknown)
                || (matches!(member, "annotations" | "audio") && profile.accept_unknown);
            if !known {
                return wrong(member);
            }
        }
        if role == "assistant" {
            calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| call["id"].to_string()).collect();
            if calls.is_empty() && content == "" {
                return wrong("nothing said");
            }
            let arguments = &message["tool_calls"][0]["function"]["arguments"];
            if !calls.is_empty() && arguments != "{}" {
                return wrong("arguments");
            }
            let parts = matches!(profile.reasoning_back, ReasoningBack::Parts | ReasoningBack::Tags);
            let empty = match profile.empty_content {
                EmptyContent::Null => message.get("content") == Some(&Value::Null),
                EmptyContent::Empty => content == "",
                EmptyContent::Omit => message.get("content").is_none(),
            };
            if !calls.is_empty() && !empty && !parts {
                return wrong("empty content");
            }
        }
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            if !calls.contains(&json!(id).to_string()) {
                return wrong("a result without its call");
            }
            let fits = match profile.tool_id {
                ToolIdRule::Any => !id.is_empty(),
                ToolIdRule::Mistral9 => id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()),
                ToolIdRule::Safe => id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')),
            };
            if !fits || !content.is_string() {
                return wrong("a result");
            }
        }
        previous = role;
    }
    Ok(())
}

fn lost(losses: &Losses, code: LossCode) -> bool {
    losses.entries().iter().any(|loss| loss.code == code)
}

fn hello(members: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    if let (Some(body), Value::Object(members)) = (body.as_object_mut(), members) {
        body.extend(members);
    }
    body
}

const CHAT: ClientProtocol = ClientProtocol::Chat;
const MESSAGES: ClientProtocol = ClientProtocol::Messages;

#[test]
fn a_budget_of_thinking_goes_only_where_it_is_known() {
    let body = |model: &str| hello(json!({"model": model, "thinking": {"type": "enabled", "budget_tokens": 4096}}));
    for (preset, model, thinking, effort) in [
        ("moonshot", "kimi-k2-thinking", json!({"type": "enabled", "budget_tokens": 4096}), json!(null)),
        ("deepseek", "deepseek-v4-pro", json!({"type": "enabled"}), json!("high")),
        ("zai", "glm-4.6", json!({"type": "enabled"}), json!(null)),
        ("zai", "glm-5.3", json!({"type": "enabled"}), json!("low")),
    ] {
        let (sent, losses) = sent(CHAT, preset, &body(model));
        assert_eq!((&sent["thinking"], &sent["reasoning_effort"]), (&thinking, &effort), "{preset} {model}");
        let kept = thinking.get("budget_tokens").is_some();
        assert_eq!(lost(&losses, LossCode::ReasoningMapped), !kept, "{preset} {model}: {losses:?}");
    }
    // Switched off, no effort stands beside it.
    let (sent, _) = sent(CHAT, "moonshot", &hello(json!({"model": "kimi-k3", "reasoning_effort": "none"})));
    assert_eq!((&sent["thinking"], sent.get("reasoning_effort")), (&json!({"type": "disabled"}), None));
}

#[test]
fn servers_with_a_switch_in_the_template_get_the_effort_as_well() {
    let (sent, losses) = sent(CHAT, "vllm", &hello(json!({"model": "gpt-oss-20b", "reasoning_effort": "low"})));
    assert_eq!(
        (&sent["reasoning_effort"], &sent["chat_template_kwargs"]["enable_thinking"]),
        (&json!("low"), &json!(true))
    );
    assert!(losses.entries().is_empty(), "{losses:?}");
}

#[test]
fn at_dashscope_who_thinks_streams() {
    let none = || json!({});
    let effort = || json!({"reasoning_effort": "high"});
    let off = || json!({"reasoning_effort": "none"});
    for (model, asked, stream, switch, streams) in [
        ("qwen3-8b", none(), false, json!(false), false),
        ("qwen3-8b", none(), true, json!(null), true),
        ("qwen3-8b", effort(), false, json!(true), true),
        ("qwen3-8b", effort(), true, json!(true), true),
        ("qwen3-8b", off(), false, json!(false), false),
        ("qwen2-5-72b-instruct", none(), false, json!(null), false),
        ("qwen3-235b-a22b-thinking-2507", none(), false, json!(null), true),
        ("qwq-plus", none(), false, json!(null), true),
    ] {
        let mut body = hello(json!({"model": model, "stream": stream}));
        body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
        let (sent, losses) = sent(CHAT, "dashscope", &body);
        let asks = sent["stream"] == true;
        assert_eq!((&sent["enable_thinking"], asks), (&switch, streams), "{model} {asked} {stream}");
        assert!(!lost(&losses, LossCode::ReasoningUnsupported), "{model} {asked}");
    }
}

#[test]
fn groq_has_tiers_under_names_of_its_own() {
    for (asked, word) in [
        ("flex", json!("flex")),
        ("default", json!("on_demand")),
        ("priority", json!("performance")),
        ("auto", json!("auto")),
        ("on_demand", json!("on_demand")),
        ("scale", json!(null)),
    ] {
        let (sent, losses) = sent(CHAT, "groq", &hello(json!({"service_tier": asked})));
        assert_eq!(sent["service_tier"], word, "{asked}");
        assert_eq!(lost(&losses, LossCode::ServiceTierDropped), word.is_null(), "{asked}");
    }
}

#[test]
fn mistral_hears_somebody_between_a_tool_and_the_user() {
    let (sent, losses) = sent(MESSAGES, "mistral", &conversation(MESSAGES, false));
    let roles: Vec<&str> = sent["messages"].as_array().unwrap().iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "assistant", "user"]);
    assert!(lost(&losses, LossCode::TurnSynthesised));
    let begun =
        hello(json!({"messages": [{"role": "system", "content": "x"}, {"role": "assistant", "content": "Once"}]}));
    let (sent, _) = self::sent(CHAT, "mistral", &begun);
    let roles: Vec<&str> = sent["messages"].as_array().unwrap().iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant"]);
    assert_eq!(sent["messages"][2]["prefix"], true);
}

#[test]
fn as_many_stop_sequences_as_the_server_takes() {
    let stops: Vec<String> = (0..20).map(|at| format!("stop {at}")).collect();
    let body =
        json!({"model": "m", "max_tokens": 9, "stop_sequences": stops, "messages": [{"role": "user", "content": "x"}]});
    for (preset, most) in [("deepseek", 16), ("generic", 4)] {
        let (sent, losses) = sent(MESSAGES, preset, &body);
        assert_eq!(sent["stop"].as_array().unwrap().len(), most, "{preset}");
        assert!(lost(&losses, LossCode::StopTooMany), "{preset}");
    }
}

#[test]
fn sound_is_an_address_for_qwen() {
    let sound = json!([{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]);
    for (preset, model, data) in [
        ("dashscope", "qwen-omni-turbo", "data:audio/wav;base64,UklGRg=="),
        ("openrouter", "openai/gpt-4o-audio-preview", "UklGRg=="),
    ] {
        let body = hello(json!({"model": model, "messages": [{"role": "user", "content": sound}]}));
        let (sent, losses) = sent(CHAT, preset, &body);
        assert_eq!(sent["messages"][0]["content"][0]["input_audio"]["data"], data, "{preset}: {losses:?}");
    }
}

#[test]
fn reasoning_goes_back_as_each_server_wants_it() {
    let history = |model: &str| {
        hello(json!({"model": model, "messages": [
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": "I see.", "reasoning_content": "hm"},
            {"role": "user", "content": "again"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "abcdefghi", "content": "x"}]}))
    };
    for (preset, model, first, second) in [
        ("deepseek", "deepseek-v4-pro", json!({"reasoning_content": "hm"}), json!({"reasoning_content": ""})),
        ("zai", "glm-5.2", json!({"reasoning_content": "hm"}), json!({})),
        ("moonshot", "kimi-k3", json!({}), json!({"reasoning_content": " "})),
        ("cerebras", "gpt-oss-120b", json!({"reasoning": "hm"}), json!({})),
        ("vllm", "qwen3-8b", json!({}), json!({})),
        ("groq", "qwen/qwen3-32b", json!({}), json!({})),
    ] {
        let (sent, _) = sent(CHAT, preset, &history(model));
        let reasoning = |message: &Value| {
            let members = message.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("reasoning"));
            Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        let messages = sent["messages"].as_array().unwrap();
        let assistants: Vec<Value> = messages.iter().filter(|m| m["role"] == "assistant").map(reasoning).collect();
        assert_eq!(assistants, [first, second], "{preset} {model}");
    }
    let (sent, _) = sent(CHAT, "cerebras", &history("zai-glm-4.7"));
    assert_eq!(sent["messages"][1]["content"], "<think>\nhm\n</think>\n\nI see.");
    let (sent, _) = self::sent(CHAT, "mistral", &history("magistral-medium-latest"));
    let thinking =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "I see."}]);
    assert_eq!(sent["messages"][1]["content"], thinking);
}

#[test]
fn efforts_are_those_the_model_knows_at_its_host() {
    let think = json!({"type": "enabled", "budget_tokens": 2000});
    let body = |model: &str| json!({"model": model, "max_tokens": 5000, "thinking": think, "messages": [{"role": "user", "content": "x"}]});
    for (preset, model, effort) in [
        ("ollama", "qwen3:8b", json!("medium")),
        ("ollama", "gpt-oss:20b", json!("medium")),
        ("ollama", "llama3.2", json!(null)),
        ("mistral", "mistral-small-latest", json!("high")),
        ("mistral", "mistral-large-latest", json!(null)),
        ("groq", "openai/gpt-oss-120b", json!("medium")),
        ("xai", "grok-3-mini", json!("high")),
        ("xai", "grok-4.5", json!("medium")),
        ("xai", "grok-2", json!(null)),
    ] {
        let (sent, losses) = sent(MESSAGES, preset, &body(model));
        assert_eq!(sent["reasoning_effort"], effort, "{preset} {model}");
        assert_eq!(lost(&losses, LossCode::ReasoningUnsupported), effort.is_null(), "{preset} {model}: {losses:?}");
    }
}

#[test]
fn a_wanted_shape_is_what_the_server_can_enforce() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "strict": true, "schema": schema}});
    for (preset, kind) in [
        ("deepseek", "json_object"),
        ("moonshot", "json_object"),
        ("groq", "json_schema"),
        ("mistral", "json_schema"),
        ("ollama", "json_schema"),
        ("dashscope", "json_schema"),
    ] {
        let (sent, _) = sent(CHAT, preset, &hello(json!({"response_format": format})));
        assert_eq!(sent["response_format"]["type"], kind, "{preset}");
        let words = sent["messages"][0]["content"].as_str().unwrap();
        assert_eq!(words.contains("\"additionalProperties\""), kind == "json_object", "{preset}: {words}");
    }
    let (sent, _) = sent(CHAT, "lm-studio", &hello(json!({"response_format": {"type": "text"}})));
    assert_eq!(sent.get("response_format"), None);
}

#[test]
fn empty_histories_and_twins_of_tools() {
    use polyport_protocol::resolve::ResolveContext;
    use polyport_types::Protocol;
    let to_responses = |body: &Value| {
        let head = polyport_protocol::RequestHead::default();
        let request = polyport_protocol::decode_request(CHAT, &head, body.to_string().into_bytes().into()).unwrap();
        let target = polyport_protocol::Target::plain(Protocol::Responses, "m");
        let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
        let mut losses = Losses::new();
        let (resolved, _) = polyport_protocol::resolve(&target, request, &context, &mut losses);
        let encoded = polyport_protocol::encode_request(&target, &resolved, &mut losses);
        serde_json::from_slice::<Value>(&encoded.body).unwrap()["input"].clone()
    };
    for messages in [
        json!([{"role": "user", "content": ""}]),
        json!([{"role": "user", "content": []}]),
        json!([{"role": "user", "content": "", "name": "ann"}]),
        json!([{"role": "user", "content": "", "mood": 1}]),
        json!([{"role": "system", "content": "be brief"}]),
        json!([{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]),
        json!([{"role": "assistant", "content": null}]),
    ] {
        let input = to_responses(&json!({"model": "m", "messages": messages}));
        assert!(input.as_array().is_none_or(|items| !items.is_empty()), "{messages}: {input}");
    }
    let schema = json!({"type": "object", "properties": {}});
    // Two tools that the client calls by one name are two functions, so that each call finds its way back.
    let tools = json!([
        {"type": "custom", "name": "apply_patch"},
        {"type": "apply_patch"},
        {"type": "function", "name": "shell", "parameters": schema},
        {"type": "shell", "environment": {"type": "local"}}]);
    let body = json!({"model": "m", "input": "x", "tools": tools});
    let (sent, losses) = sent(ClientProtocol::Responses, "generic", &body);
    let offered = sent["tools"].as_array().unwrap().iter().filter_map(|tool| tool["function"]["name"].as_str());
    assert_eq!(offered.collect::<Vec<_>>(), ["apply_patch", "apply_patch_2", "shell", "shell_2"]);
    assert!(lost(&losses, LossCode::ToolRenamed));
}
