//! What is asked, in each of the four protocols.

use polyport_types::ClientProtocol;
use serde_json::{Value, json};

/// A picture of one pixel.
pub(super) const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What the tools said.
pub(super) const RESULT: &str = "21 degrees";

/// A request.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    pub(super) words: String,
    pub(super) stream: bool,
    pub(super) tools: bool,
    /// The conversation ends with what a tool said.
    pub(super) results: bool,
    pub(super) picture: bool,
    pub(super) reasoning: bool,
    /// Chat: the usage is asked for in a stream.
    pub(super) usage: bool,
}

impl Ask {
    pub(super) fn words(words: &str, stream: bool) -> Self {
        Self { words: words.to_owned(), stream, usage: true, ..Self::default() }
    }

    /// Path and query.
    pub(super) fn path(&self, protocol: ClientProtocol, model: &str) -> String {
        match protocol {
            ClientProtocol::Chat => "/v1/chat/completions".to_owned(),
            ClientProtocol::Responses => "/v1/responses".to_owned(),
            ClientProtocol::Messages => "/v1/messages".to_owned(),
            ClientProtocol::Gemini if self.stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            ClientProtocol::Gemini => format!("/v1beta/models/{model}:generateContent"),
        }
    }

    pub(super) fn body(&self, protocol: ClientProtocol, model: &str) -> Value {
        match protocol {
            ClientProtocol::Chat => self.chat(model),
            ClientProtocol::Responses => self.responses(model),
            ClientProtocol::Messages => self.messages(model),
            ClientProtocol::Gemini => self.gemini(),
        }
    }

    fn chat(&self, model: &str) -> Value {
        let content = match self.picture {
            true => {
                json!([{ "type": "text", "text": self.words }, { "type": "image_url", "image_url": { "url": data_url() } }])
            }
            false => json!(self.words),
        };
        let mut messages = vec![json!({ "role": "user", "content": content })];
        if self.results {
            let call = json!({ "id": "call_weather1", "type": "function", "function": { "name": "weather", "arguments": arguments() } });
            messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
            messages.push(json!({ "role": "tool", "tool_call_id": "call_weather1", "content": RESULT }));
        }
        let mut body = json!({ "model": model, "messages": messages });
        if self.tools {
            let function = json!({ "name": "weather", "description": "The weather in a city", "parameters": schema() });
            body["tools"] = json!([{ "type": "function", "function": function }]);
        }
        if self.reasoning {
            body["reasoning_effort"] = json!("low");
        }
        if self.stream {
            body["stream"] = json!(true);
            if self.usage {
                body["stream_options"] = json!({ "include_usage": true });
            }
        }
        body
    }

    fn responses(&self, model: &str) -> Value {
        let mut content = vec![json!({ "type": "input_text", "text": self.words })];
        if self.picture {
            content.push(json!({ "type": "input_image", "detail": "auto", "image_url": data_url() }));
        }
        let mut input = vec![json!({ "type": "message", "role": "user", "content": content })];
        if self.results {
            input.push(
                json!({ "type": "function_call", "call_id": "call_weather1", "name": "weather", "arguments": arguments() }),
            );
            input.push(json!({ "type": "function_call_output", "call_id": "call_weather1", "output": RESULT }));
        }
        let mut body = json!({ "model": model, "store": false, "input": input });
        if self.tools {
            body["tools"] = json!([{
                "type": "function", "name": "weather", "description": "The weather in a city", "parameters": schema(), "strict": false,
            }]);
        }
        if self.reasoning {
            body["reasoning"] = json!({ "effort": "low", "summary": "auto" });
        }
        if self.stream {
            body["stream"] = json!(true);
        }
        body
    }

    fn messages(&self, model: &str) -> Value {
        let mut content = vec![json!({ "type": "text", "text": self.words })];
        if self.picture {
            let source = json!({ "type": "base64", "media_type": "image/png", "data": PICTURE });
            content.push(json!({ "type": "image", "source": source }));
        }
        let mut messages = vec![json!({ "role": "user", "content": content })];
        if self.results {
            let call = json!({ "type": "tool_use", "id": "toolu_weather1", "name": "weather", "input": city() });
            messages.push(json!({ "role": "assistant", "content": [call] }));
            let result = json!({ "type": "tool_result", "tool_use_id": "toolu_weather1", "content": RESULT });
            messages.push(json!({ "role": "user", "content": [result] }));
        }
        let mut body = json!({ "model": model, "max_tokens": 4096, "messages": messages });
        if self.tools {
            body["tools"] =
                json!([{ "name": "weather", "description": "The weather in a city", "input_schema": schema() }]);
        }
        if self.reasoning {
            body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
        }
        if self.stream {
            body["stream"] = json!(true);
        }
        body
    }

    fn gemini(&self) -> Value {
        let mut parts = vec![json!({ "text": self.words })];
        if self.picture {
            parts.push(json!({ "inlineData": { "mimeType": "image/png", "data": PICTURE } }));
        }
        let mut contents = vec![json!({ "role": "user", "parts": parts })];
        if self.results {
            let call = json!({ "functionCall": { "name": "weather", "args": city() } });
            contents.push(json!({ "role": "model", "parts": [call] }));
            let result = json!({ "functionResponse": { "name": "weather", "response": { "output": RESULT } } });
            contents.push(json!({ "role": "user", "parts": [result] }));
        }
        let mut body = json!({ "contents": contents });
        if self.tools {
            let function = json!({ "name": "weather", "description": "The weather in a city", "parameters": schema() });
            body["tools"] = json!([{ "functionDeclarations": [function] }]);
        }
        if self.reasoning {
            body["generationConfig"] = json!({ "thinkingConfig": { "includeThoughts": true, "thinkingBudget": 1024 } });
        }
        body
    }
}

fn data_url() -> String {
    format!("data:image/png;base64,{PICTURE}")
}

fn schema() -> Value {
    json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] })
}

/// The arguments of every call.
pub(super) fn city() -> Value {
    json!({ "city": "Zürich" })
}

pub(super) fn arguments() -> String {
    city().to_string()
}
