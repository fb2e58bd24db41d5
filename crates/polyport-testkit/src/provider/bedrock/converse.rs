//! Requests of Converse, checked by the rules of its reference and read as what a Messages request would say.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const MEMBERS: [&str; 12] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "promptVariables",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
    "outputConfig",
];

/// The request in Messages' words, with the betas it asks for.
pub(super) fn request(body: &Value, violations: &mut Vec<String>) -> (Value, String) {
    let mut reader = Reader { violations, names: HashSet::new(), calls: false };
    let mut out = json!({});
    reader.only(body, "", &MEMBERS);
    if let Some(system) = body.get("system") {
        out["system"] = Value::Array(reader.blocks(system, "system", &["text", "cachePoint", "guardContent"]));
    }
    let messages = reader.messages(&body["messages"]);
    out["messages"] = Value::Array(messages);
    reader.config(&body["inferenceConfig"], &mut out);
    match body.get("toolConfig") {
        Some(tools) => reader.tools(tools, &mut out),
        None if reader.calls => {
            reader.refuse("toolConfig", "must be defined when using toolUse and toolResult content blocks");
        }
        None => {}
    }
    if let Some(format) = body.get("outputConfig") {
        let schema = format.pointer("/textFormat/structure/jsonSchema/schema").and_then(Value::as_str);
        let schema = schema.and_then(|schema| serde_json::from_str::<Value>(schema).ok());
        if format["textFormat"]["type"] != "json_schema" || schema.is_none() {
            reader.refuse("outputConfig.textFormat", "json_schema with the schema as a text is expected");
        }
        out["output_config"] = json!({ "format": { "type": "json_schema", "schema": schema } });
    }
    if let Some(tier) = body.get("serviceTier")
        && !["default", "priority", "flex", "reserved"].iter().any(|known| tier["type"] == **known)
    {
        reader.refuse("serviceTier.type", "unknown tier");
    }
    for (name, value) in body["requestMetadata"].as_object().into_iter().flatten() {
        if name.len() > 256 || value.as_str().is_none_or(|value| value.len() > 256) {
            reader.refuse("requestMetadata", "texts of at most 256 characters are expected");
        }
    }
    let mut betas = String::new();
    for (name, value) in body["additionalModelRequestFields"].as_object().into_iter().flatten() {
        match (name.as_str(), out.get_mut(name)) {
            ("anthropic_beta", _) => {
                let flags: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                betas = flags.join(",");
            }
            ("tools", Some(Value::Array(tools))) => tools.extend(value.as_array().cloned().unwrap_or_default()),
            ("output_config", Some(Value::Object(known))) => {
                known.extend(value.as_object().cloned().unwrap_or_default())
            }
            ("reasoning_effort", _) => {}
            _ => out[name.as_str()] = value.clone(),
        }
    }
    (out, betas)
}

struct Reader<'a> {
    violations: &'a mut Vec<String>,
    /// Of documents.
    names: HashSet<String>,
    /// There are calls or results.
    calls: bool,
}

impl Reader<'_> {
    fn refuse(&mut self, path: &str, why: &str) {
        self.violations.push(format!("{path}: {why}"));
    }

    fn only(&mut self, value: &Value, path: &str, known: &[&str]) {
        for name in value.as_object().into_iter().flat_map(Map::keys) {
            if !known.contains(&name.as_str()) {
                self.refuse(path, &format!("unknown member {name}"));
            }
        }
    }

    fn messages(&mut self, messages: &Value) -> Vec<Value> {
        let mut out = Vec::new();
        let mut before = "assistant";
        for (at, message) in messages.as_array().into_iter().flatten().enumerate() {
            let path = format!("messages.{at}");
            self.only(message, &path, &["role", "content"]);
            let role = message["role"].as_str().unwrap_or_default();
            if role == before || !["user", "assistant"].contains(&role) {
                self.refuse(&path, "roles must alternate between user and assistant, beginning with user");
            }
            before = role;
            let known = [
                "text",
                "image",
                "document",
                "video",
                "audio",
                "toolUse",
                "toolResult",
                "guardContent",
                "cachePoint",
                "reasoningContent",
                "citationsContent",
                "searchResult",
            ];
            let content = self.blocks(&message["content"], &path, &known);
            let has = |kind: &str| content.iter().any(|block| block["type"] == kind);
            if content.is_empty() {
                self.refuse(&path, "the content field is empty");
            }
            if has("document") && !has("text") {
                self.refuse(&path, "a text block must stand beside a document");
            }
            out.push(json!({ "role": role, "content": content }));
        }
        out
    }

    fn blocks(&mut self, content: &Value, path: &str, known: &[&str]) -> Vec<Value> {
        let Some(list) = content.as_array() else {
            self.refuse(path, "a list of blocks is expected");
            return Vec::new();
        };
        let mut out: Vec<Value> = Vec::new();
        for block in list {
            let mut members = block.as_object().into_iter().flatten();
            let (Some((kind, value)), None) = (members.next(), members.next()) else {
                self.refuse(path, "a block has exactly one member");
                continue;
            };
            if !known.contains(&kind.as_str()) {
                self.refuse(path, &format!("unknown block {kind}"));
                continue;
            }
            if kind == "cachePoint" {
                self.mark(value, path, out.last_mut());
                continue;
            }
            out.extend(self.block(kind, value, path));
        }
        out
    }

    /// A marker stands behind what it marks.
    fn mark(&mut self, value: &Value, path: &str, before: Option<&mut Value>) {
        let ttl = value.get("ttl");
        let good = ttl.is_none_or(|ttl| ttl == "5m" || ttl == "1h");
        match before {
            Some(before) if value["type"] == "default" && good => {
                before["cache_control"] = json!({ "type": "ephemeral", "ttl": ttl.unwrap_or(&json!("5m")) });
            }
            _ => self.refuse(path, "a cache point has the type default and stands behind a block"),
        }
    }

    fn block(&mut self, kind: &str, value: &Value, path: &str) -> Option<Value> {
        Some(match kind {
            "text" => {
                if value.as_str().is_none_or(|text| text.trim().is_empty()) {
                    self.refuse(path, "the text field in the ContentBlock object is blank");
                }
                json!({ "type": "text", "text": value })
            }
            "image" => {
                let format = value["format"].as_str().unwrap_or_default();
                if !["png", "jpeg", "gif", "webp"].contains(&format) {
                    self.refuse(path, &format!("image.format {format}"));
                }
                let data = self.bytes(value, path);
                let source = json!({ "type": "base64", "media_type": format!("image/{format}"), "data": data });
                json!({ "type": "image", "source": source })
            }
            "document" => self.document(value, path),
            "toolUse" => {
                self.calls = true;
                self.only(value, path, &["toolUseId", "name", "input"]);
                if !value["input"].is_object() {
                    self.refuse(path, "toolUse.input: an object is expected");
                }
                self.id(&value["toolUseId"], path);
                self.id(&value["name"], path);
                json!({ "type": "tool_use", "id": value["toolUseId"], "name": value["name"], "input": value["input"] })
            }
            "toolResult" => {
                self.calls = true;
                self.only(value, path, &["toolUseId", "content", "status"]);
                self.id(&value["toolUseId"], path);
                let known = ["text", "json", "image", "document", "video", "searchResult"];
                let content = self.blocks(&value["content"], path, &known);
                let status = value.get("status").and_then(Value::as_str);
                if !matches!(status, None | Some("success" | "error")) {
                    self.refuse(path, "toolResult.status");
                }
                let mut result =
                    json!({ "type": "tool_result", "tool_use_id": value["toolUseId"], "content": content });
                if status == Some("error") {
                    result["is_error"] = json!(true);
                }
                result
            }
            "json" => json!({ "type": "text", "text": value.to_string() }),
            "searchResult" => {
                let content = self.blocks(&value["content"], path, &["text"]);
                json!({ "type": "search_result", "source": value["source"], "title": value["title"], "content": content })
            }
            "reasoningContent" => match value.get("reasoningText") {
                Some(text) => {
                    self.only(text, path, &["text", "signature"]);
                    json!({ "type": "thinking", "thinking": text["text"], "signature": text["signature"] })
                }
                None => {
                    let blob = value["redactedContent"].as_str().and_then(|blob| STANDARD.decode(blob).ok());
                    let data = blob.and_then(|blob| String::from_utf8(blob).ok());
                    if data.is_none() {
                        self.refuse(path, "redactedContent: base64 is expected");
                    }
                    json!({ "type": "redacted_thinking", "data": data })
                }
            },
            _ => return None,
        })
    }

    fn document(&mut self, value: &Value, path: &str) -> Value {
        self.only(value, path, &["format", "name", "source", "context", "citations"]);
        let format = value["format"].as_str().unwrap_or_default();
        if !["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"].contains(&format) {
            self.refuse(path, &format!("document.format {format}"));
        }
        let name = value["name"].as_str().unwrap_or_default();
        let letters = |c: char| c.is_ascii_alphanumeric() || "-()[] ".contains(c);
        if name.is_empty() || !name.chars().all(letters) || name.contains("  ") {
            self.refuse(path, &format!("document.name `{name}` holds characters that are not allowed"));
        }
        if !self.names.insert(name.to_owned()) {
            self.refuse(path, "duplicate document names");
        }
        let source = match value["source"].get("text") {
            Some(text) => json!({ "type": "text", "media_type": "text/plain", "data": text }),
            None => {
                let data = self.bytes(value, path);
                json!({ "type": "base64", "media_type": "application/pdf", "data": data })
            }
        };
        json!({ "type": "document", "title": name, "source": source })
    }

    fn bytes(&mut self, value: &Value, path: &str) -> Value {
        let bytes = value["source"]["bytes"].as_str().and_then(|bytes| STANDARD.decode(bytes).ok());
        if bytes.is_none_or(|bytes| bytes.is_empty()) {
            self.refuse(path, "source.bytes: base64 is expected");
        }
        value["source"]["bytes"].clone()
    }

    fn id(&mut self, id: &Value, path: &str) {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.as_str().is_none_or(|id| id.is_empty() || id.len() > 64 || !id.chars().all(letters)) {
            self.refuse(path, &format!("{id} must match [a-zA-Z0-9_-]{{1,64}}"));
        }
    }

    fn config(&mut self, config: &Value, out: &mut Value) {
        self.only(config, "inferenceConfig", &["maxTokens", "temperature", "topP", "stopSequences"]);
        out["max_tokens"] = config.get("maxTokens").cloned().unwrap_or(json!(4096));
        for (name, own) in [("temperature", "temperature"), ("topP", "top_p"), ("stopSequences", "stop_sequences")] {
            if let Some(value) = config.get(name) {
                out[own] = value.clone();
            }
        }
    }

    fn tools(&mut self, config: &Value, out: &mut Value) {
        self.only(config, "toolConfig", &["tools", "toolChoice"]);
        let mut tools: Vec<Value> = Vec::new();
        for tool in config["tools"].as_array().into_iter().flatten() {
            if let Some(mark) = tool.get("cachePoint") {
                self.mark(mark, "toolConfig.tools", tools.last_mut());
                continue;
            }
            let spec = &tool["toolSpec"];
            self.only(tool, "toolConfig.tools", &["toolSpec"]);
            self.only(spec, "toolSpec", &["name", "description", "inputSchema", "strict"]);
            self.id(&spec["name"], "toolSpec.name");
            if spec["inputSchema"]["json"]["type"] != "object" {
                self.refuse("toolSpec.inputSchema.json.type", "must be one of the following: object");
            }
            if spec.get("description").is_some_and(|words| words.as_str().is_none_or(str::is_empty)) {
                self.refuse("toolSpec.description", "length must be greater than or equal to 1");
            }
            let mut own = json!({ "name": spec["name"], "input_schema": spec["inputSchema"]["json"] });
            for name in ["description", "strict"] {
                if let Some(value) = spec.get(name) {
                    own[name] = value.clone();
                }
            }
            tools.push(own);
        }
        if tools.is_empty() {
            self.refuse("toolConfig.tools", "length must be greater than or equal to 1");
        }
        out["tools"] = Value::Array(tools);
        if let Some(choice) = config.get("toolChoice") {
            out["tool_choice"] = match choice.as_object().and_then(|choice| choice.iter().next()) {
                Some((kind, _)) if kind == "auto" || kind == "any" => json!({ "type": kind }),
                Some((kind, tool)) if kind == "tool" => json!({ "type": "tool", "name": tool["name"] }),
                _ => {
                    self.refuse("toolConfig.toolChoice", "auto, any or tool is expected");
                    Value::Null
                }
            };
        }
    }
}
