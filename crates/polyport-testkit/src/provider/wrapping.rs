//! Services that take a protocol's requests in a wrapping of their own.

use serde_json::{Map, Value, json};

use super::bedrock::{self, Bedrock};
use super::exchange::Received;
use super::foreign;
use super::protobuf::{at, fields, structure, text};

/// How a service wraps its protocol.
#[derive(Clone, Debug)]
pub enum Wrapping {
    /// Google Code Assist: Gemini in an envelope with model and project.
    CodeAssist {
        /// The projects it knows; requests for others are refused.
        projects: Vec<String>,
        /// Antigravity's envelope instead of Gemini CLI's.
        antigravity: bool,
    },
    /// Warp: protobuf in, an event stream of base64 protobuf out. Requests are judged as the Chat requests that say the same.
    Warp,
    /// Ollama's own interface. Requests are judged as the Chat requests that say the same.
    Ollama,
    /// The made-up vendor of the documentation, likewise.
    Lumen,
    /// Vertex AI: the protocol's own requests below addresses with project and location, Anthropic's without a model.
    Vertex {
        /// The project and the location it knows.
        project: String,
        location: String,
    },
    /// AWS Bedrock: signed requests, binary streams.
    Bedrock(Bedrock),
}

/// A request without its wrapping.
pub(super) struct Opened {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) method: String,
    pub(super) body: Value,
    pub(super) violations: Vec<String>,
    /// What a method that is the wrapping's own answers.
    pub(super) answer: Option<(u16, Value)>,
    /// The kind of the error that it is, where a header says it.
    pub(super) answer_kind: Option<String>,
    /// What stands in the headers `anthropic-version` and `anthropic-beta` elsewhere.
    pub(super) head: Option<(String, String)>,
}

impl Opened {
    /// A request that has no wrapping.
    pub(super) fn plain(received: &Received) -> Self {
        Self {
            path: received.path.clone(),
            query: received.query.clone(),
            method: received.method.clone(),
            body: serde_json::from_slice(&received.body).unwrap_or(Value::Null),
            violations: Vec::new(),
            answer: None,
            answer_kind: None,
            head: None,
        }
    }
}

impl Wrapping {
    /// Takes the wrapping off a request.
    pub(super) fn open(&self, received: &Received, models: &[String]) -> Opened {
        let mut opened = Opened::plain(received);
        match self {
            Self::CodeAssist { projects, antigravity } => {
                code_assist(&mut opened, projects, *antigravity, models);
            }
            Self::Warp if opened.path == "/graphql/v2" => warp_graphql(&mut opened, models),
            Self::Warp => warp(&mut opened, &received.body),
            Self::Ollama if opened.path == "/api/embed" => foreign::ollama_embed(&mut opened),
            Self::Ollama => foreign::ollama(&mut opened),
            Self::Lumen => foreign::lumen(&mut opened),
            Self::Vertex { project, location } => vertex(&mut opened, project, location),
            Self::Bedrock(service) => bedrock::open(&mut opened, received, service),
        }
        opened
    }

    /// Puts the wrapping around one event of a stream, or around a whole answer.
    pub(super) fn close(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Vertex { .. } | Self::Warp | Self::Bedrock(_) | Self::Ollama | Self::Lumen => bytes,
            Self::CodeAssist { .. } => {
                let text = String::from_utf8(bytes).unwrap_or_default();
                let (start, json) = match text.strip_prefix("data: ") {
                    Some(json) => ("data: ", json),
                    None => ("", text.as_str()),
                };
                let inner = json.trim_end();
                if !inner.starts_with('{') || inner.starts_with("{\"error\"") {
                    return text.into_bytes();
                }
                let end = json.strip_prefix(inner).unwrap_or_default();
                format!("{start}{{\"response\":{inner},\"traceId\":\"trace-1\"}}{end}").into_bytes()
            }
        }
    }
}

fn code_assist(opened: &mut Opened, projects: &[String], antigravity: bool, models: &[String]) {
    let Some(method) = opened.path.strip_prefix("/v1internal:").map(str::to_owned) else {
        opened.answer = Some((404, json!({ "error": { "code": 404, "message": "not found", "status": "NOT_FOUND" } })));
        return;
    };
    let refuse = |message: &str| {
        Some((400, json!({ "error": { "code": 400, "message": message, "status": "INVALID_ARGUMENT" } })))
    };
    let envelope = opened.body.as_object().cloned().unwrap_or_default();
    let project = envelope.get("project").and_then(Value::as_str).unwrap_or_default().to_owned();
    match method.as_str() {
        "generateContent" | "streamGenerateContent" => {
            let model = envelope.get("model").and_then(Value::as_str).unwrap_or_default();
            check_envelope(&envelope, model, antigravity, &mut opened.violations);
            if !projects.contains(&project) {
                let message = format!("Permission denied on resource project {project}.");
                opened.answer =
                    Some((403, json!({ "error": { "code": 403, "message": message, "status": "PERMISSION_DENIED" } })));
            }
            if method == "streamGenerateContent" && opened.query != "alt=sse" {
                opened.violations.push("alt=sse is required".to_owned());
            }
            opened.path = format!("/v1beta/models/{model}:{method}");
            let mut inner = envelope.get("request").cloned().unwrap_or(Value::Null);
            if let Some(inner) = inner.as_object_mut() {
                let session = if antigravity { "sessionId" } else { "session_id" };
                if inner.remove(session).and_then(|id| Some(id.as_str()?.is_empty())) != Some(false) {
                    opened.violations.push(format!("request.{session}: required"));
                }
                for name in ["safetySettings", "model"] {
                    if inner.contains_key(name) {
                        opened.violations.push(format!("request.{name}: unknown"));
                    }
                }
            }
            opened.body = inner;
        }
        "countTokens" => {
            for name in ["project", "model"].iter().filter(|name| envelope.contains_key(**name)) {
                opened.violations.push(format!("{name}: unknown name at the root"));
            }
            opened.answer = match opened.violations.first() {
                Some(violation) => refuse(violation),
                None => Some((200, json!({ "totalTokens": opened.body.to_string().len() / 4 }))),
            };
        }
        "fetchAvailableModels" => {
            let all: Map<String, Value> = models
                .iter()
                .map(|name| {
                    (name.clone(), json!({ "displayName": name, "maxTokens": 1_048_576, "maxOutputTokens": 65_535 }))
                })
                .collect();
            opened.answer = Some((200, json!({ "models": all, "webSearchModelIds": [] })));
        }
        "retrieveUserQuota" => {
            let buckets: Vec<Value> = models
                .iter()
                .map(|name| {
                    json!({ "remainingFraction": 0.5, "resetTime": "2030-01-01T00:00:00Z", "tokenType": "REQUESTS", "modelId": name })
                })
                .collect();
            opened.answer = Some((200, json!({ "buckets": buckets })));
        }
        "loadCodeAssist" => {
            let tier = json!({ "id": "standard-tier", "name": "Standard" });
            opened.answer = Some((
                200,
                json!({ "currentTier": tier, "allowedTiers": [tier], "cloudaicompanionProject": projects.first() }),
            ));
        }
        _ => opened.answer = refuse("no such method"),
    }
}

/// What Warp's interface for accounts answers: an allowance of 150 requests, 60 of them used, and the models.
fn warp_graphql(opened: &mut Opened, models: &[String]) {
    let operation = opened.body["operationName"].as_str().unwrap_or_default().to_owned();
    if opened.query != format!("op={operation}") {
        opened.violations.push(format!("op: `{}` is not `{operation}`", opened.query));
    }
    let query = opened.body["query"].as_str().unwrap_or_default();
    if !query.starts_with(&format!("query {operation}($requestContext: RequestContext!)")) {
        opened.violations.push("query: does not declare $requestContext".to_owned());
    }
    let context = &opened.body["variables"]["requestContext"];
    for name in ["clientContext", "osContext"].into_iter().filter(|name| !context[*name].is_object()) {
        opened.violations.push(format!("variables.requestContext.{name}: required"));
    }
    let user = match operation.as_str() {
        "GetRequestLimitInfo" => json!({ "requestLimitInfo": {
            "isUnlimited": false, "nextRefreshTime": "2030-01-01T00:00:00Z", "requestLimit": 150,
            "requestsUsedSinceLastRefresh": 60, "requestLimitRefreshDuration": "MONTHLY" } }),
        "GetFeatureModelChoices" => {
            let choices: Vec<Value> =
                models.iter().map(|name| json!({ "id": name, "displayName": name, "disableReason": null })).collect();
            let mode = json!({ "defaultId": models.first(), "choices": choices });
            json!({ "workspaces": [{ "featureModelChoice": { "agentMode": mode } }] })
        }
        _ => {
            opened.answer = Some((200, json!({ "errors": [{ "message": "unknown operation" }] })));
            return;
        }
    };
    opened.answer = Some((200, json!({ "data": { "user": { "__typename": "UserOutput", "user": user } } })));
}

fn warp(opened: &mut Opened, body: &[u8]) {
    if opened.path != "/ai/multi-agent" {
        opened.answer = Some((404, json!({ "error": "not found" })));
        return;
    }
    opened.path = "/v1/chat/completions".to_owned();
    if fields(body).is_none() {
        opened.violations.push("the body is no protobuf message".to_owned());
        return;
    }
    if at(body, &[3, 9]) != [b"\x09"] {
        opened.violations.push("settings.supported_tools: only CALL_MCP_TOOL is expected of a gateway".to_owned());
    }
    let mut messages = Vec::new();
    let system = |query: &[u8], attachments: u64| {
        at(query, &[attachments])
            .into_iter()
            .find(|entry| text(entry, &[1]) == "SYSTEM_PROMPT")
            .map(|entry| text(entry, &[2, 1]))
    };
    let mut instructions = Vec::new();
    for message in at(body, &[1, 1, 5]) {
        if text(message, &[1]).is_empty() || text(message, &[11]).is_empty() {
            opened.violations.push("task_context.tasks[].messages[]: id and task_id are required".to_owned());
        }
        for query in at(message, &[2]) {
            instructions.extend(system(query, 3));
            messages.push(json!({ "role": "user", "content": text(query, &[1]) }));
        }
        for output in at(message, &[3]) {
            messages.push(json!({ "role": "assistant", "content": text(output, &[1]) }));
        }
        for call in at(message, &[4]) {
            let arguments = at(call, &[12, 2]).first().map_or_else(|| json!({}), |args| structure(args)).to_string();
            let function = json!({ "name": text(call, &[12, 1]), "arguments": arguments });
            let call = json!({ "id": text(call, &[1]), "type": "function", "function": function });
            messages.push(json!({ "role": "assistant", "tool_calls": [call] }));
        }
        for result in at(message, &[5]) {
            messages.push(tool_message(result, 16));
        }
    }
    for given in at(body, &[2, 6, 1]) {
        for query in at(given, &[1]) {
            instructions.extend(system(query, 2));
            let mut content = vec![json!({ "type": "text", "text": text(query, &[1]) })];
            for image in at(body, &[2, 1, 7]) {
                let url = format!("data:{};base64,{}", text(image, &[2]), text(image, &[1]));
                content.push(json!({ "type": "image_url", "image_url": { "url": url } }));
            }
            messages.push(json!({ "role": "user", "content": content }));
        }
        for result in at(given, &[2]) {
            messages.push(tool_message(result, 12));
        }
    }
    if let Some(first) = instructions.first() {
        messages.insert(0, json!({ "role": "system", "content": first }));
    }
    let tools: Vec<Value> = at(body, &[6, 3, 4])
        .into_iter()
        .chain(at(body, &[6, 2]))
        .map(|tool| {
            let schema = at(tool, &[3]).first().map_or_else(|| json!({}), |schema| structure(schema));
            let function = json!({ "name": text(tool, &[1]), "description": text(tool, &[2]), "parameters": schema });
            json!({ "type": "function", "function": function })
        })
        .collect();
    opened.body = json!({ "model": text(body, &[3, 1, 1]), "stream": true, "messages": joined(messages) });
    if !tools.is_empty() {
        opened.body["tools"] = Value::Array(tools);
    }
}

fn tool_message(result: &[u8], outcome: u64) -> Value {
    let mut content = text(result, &[outcome, 1, 1, 1, 1]);
    if content.is_empty() {
        content = text(result, &[outcome, 2, 1]);
    }
    json!({ "role": "tool", "tool_call_id": text(result, &[1]), "content": content })
}

/// What the assistant says and calls in one turn stands in one message.
fn joined(messages: Vec<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for message in messages {
        match all.last_mut() {
            Some(last) if last["role"] == "assistant" && message["role"] == "assistant" => {
                if let Some(calls) = message["tool_calls"].as_array() {
                    let mut so_far = last["tool_calls"].as_array().cloned().unwrap_or_default();
                    so_far.extend(calls.clone());
                    last["tool_calls"] = Value::Array(so_far);
                } else {
                    last["content"] = message["content"].clone();
                }
            }
            _ => all.push(message),
        }
    }
    all
}

fn vertex(opened: &mut Opened, project: &str, location: &str) {
    let root = format!("/v1/projects/{project}/locations/{location}/publishers/");
    let Some((publisher, rest)) = opened.path.strip_prefix(&root).and_then(|rest| rest.split_once("/models/")) else {
        opened.answer = Some((404, json!({ "error": { "code": 404, "message": "not found", "status": "NOT_FOUND" } })));
        return;
    };
    if publisher == "google" {
        if rest.ends_with(":countTokens") {
            let known = ["contents", "systemInstruction", "tools", "generationConfig", "model", "instances"];
            let members = opened.body.as_object().into_iter().flatten().map(|(name, _)| name);
            let unknown = members.filter(|name| !known.contains(&name.as_str()));
            opened.violations.extend(unknown.map(|name| format!("{name}: unknown name at the root")));
        }
        let ids = ["/functionCall/id", "/functionResponse/id"];
        let parts =
            opened.body["contents"].as_array().into_iter().flatten().filter_map(|content| content["parts"].as_array());
        if parts.flatten().any(|part| ids.iter().any(|id| part.pointer(id).is_some())) {
            opened.violations.push("contents: unknown name \"id\"".to_owned());
        }
        opened.path = format!("/v1beta/models/{rest}");
        return;
    }
    let (model, method) = rest.rsplit_once(':').unwrap_or((rest, ""));
    let model = model.to_owned();
    if model == "count-tokens" && method == "rawPredict" {
        if opened.body["model"].as_str().is_none_or(str::is_empty) {
            opened.violations.push("model: Field required".to_owned());
        }
        if let Some(body) = opened.body.as_object_mut() {
            body.remove("anthropic_version");
        }
        opened.path = "/v1/messages/count_tokens".to_owned();
        return;
    }
    let streams = opened.body["stream"] == true;
    if publisher != "anthropic" || method != (if streams { "streamRawPredict" } else { "rawPredict" }) {
        opened.violations.push(format!("{publisher} has no method {method} for stream {streams}"));
    }
    let Some(body) = opened.body.as_object_mut() else { return };
    if body.remove("anthropic_version") != Some(json!("vertex-2023-10-16")) {
        opened.violations.push("anthropic_version: vertex-2023-10-16 is required".to_owned());
    }
    if body.insert("model".to_owned(), json!(model)).is_some() {
        opened.violations.push("model: Extra inputs are not permitted".to_owned());
    }
    opened.path = "/v1/messages".to_owned();
}

fn check_envelope(envelope: &Map<String, Value>, model: &str, antigravity: bool, violations: &mut Vec<String>) {
    if !envelope.get("request").is_some_and(Value::is_object) {
        violations.push("request: required".to_owned());
    }
    if model.is_empty() || model.starts_with("models/") {
        violations.push(format!("model: `{model}` is not a bare id"));
    }
    let known: &[&str] = if antigravity {
        &["model", "project", "userAgent", "requestType", "requestId", "enabledCreditTypes", "request"]
    } else {
        &["model", "project", "user_prompt_id", "enabled_credit_types", "request"]
    };
    violations
        .extend(envelope.keys().filter(|name| !known.contains(&name.as_str())).map(|name| format!("{name}: unknown")));
    let required: &[&str] = if antigravity { &["userAgent", "requestType", "requestId"] } else { &["user_prompt_id"] };
    for name in required {
        if envelope.get(*name).and_then(Value::as_str).is_none_or(str::is_empty) {
            violations.push(format!("{name}: required"));
        }
    }
}
