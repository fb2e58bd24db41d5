//! `generateContent` and `streamGenerateContent`.

use polyport_types::Protocol;
use serde_json::{Value, json};

use super::{Saying, pieces, sign};
use crate::provider::step::{Finish, Part};

fn finish(saying: &Saying<'_>) -> &'static str {
    match saying.answer.ending() {
        Finish::Stop | Finish::Tools | Finish::Sequence(_) => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter => "SAFETY",
    }
}

fn usage(saying: &Saying<'_>) -> Value {
    let tokens = saying.tokens();
    let input = tokens.input + tokens.cache_read + tokens.cache_write;
    let mut usage = json!({
        "promptTokenCount": input,
        "candidatesTokenCount": tokens.output,
        "totalTokenCount": input + tokens.output + tokens.reasoning,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": input }],
    });
    if tokens.cache_read > 0 {
        usage["cachedContentTokenCount"] = json!(tokens.cache_read);
    }
    if tokens.reasoning > 0 {
        usage["thoughtsTokenCount"] = json!(tokens.reasoning);
    }
    usage
}

/// The parts of the answer; text in one part each.
fn parts(saying: &Saying<'_>) -> Vec<Value> {
    let mut parts = Vec::new();
    let mut signature = None;
    for part in &saying.answer.parts {
        match part {
            Part::Text(text) | Part::Refusal(text) => parts.push(json!({ "text": text })),
            Part::Reasoning(text) => {
                signature = Some(sign(Protocol::Gemini, text));
                if saying.prompt.shows_thinking {
                    parts.push(json!({ "text": text, "thought": true }));
                }
            }
            Part::Tool { name, arguments } | Part::Custom { name, input: arguments } => {
                let args: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
                let mut part = json!({ "functionCall": { "name": name, "args": args } });
                if let Some(signature) = signature.take() {
                    part["thoughtSignature"] = json!(signature);
                }
                parts.push(part);
            }
            Part::Image { mime, data } => parts.push(json!({ "inlineData": { "mimeType": mime, "data": data } })),
        }
    }
    // A plain answer carries the signature on its last part.
    if let (Some(signature), Some(last)) = (signature, parts.last_mut()) {
        last["thoughtSignature"] = json!(signature);
    }
    parts
}

fn chunk(saying: &Saying<'_>, parts: &[Value], last: bool) -> Value {
    let candidates: Vec<Value> = (0..saying.answer.choices.max(1))
        .map(|index| {
            let mut candidate = json!({ "content": { "role": "model", "parts": parts }, "index": index });
            if last {
                candidate["finishReason"] = json!(finish(saying));
            }
            candidate
        })
        .collect();
    json!({
        "candidates": candidates,
        "usageMetadata": usage(saying),
        "modelVersion": saying.model(),
        "responseId": format!("fake{}", saying.serial),
    })
}

pub(super) fn whole(saying: &Saying<'_>) -> Value {
    chunk(saying, &parts(saying), true)
}

pub(super) fn events(saying: &Saying<'_>, array: bool) -> Vec<String> {
    let mut chunks = Vec::new();
    for part in parts(saying) {
        let Some(text) = part["text"].as_str() else {
            chunks.push(chunk(saying, &[part], false));
            continue;
        };
        let words = pieces(text);
        for (at, piece) in words.iter().enumerate() {
            let mut small = json!({ "text": piece });
            if part.get("thought").is_some() {
                small["thought"] = json!(true);
            }
            if let (true, Some(signature)) = (at + 1 == words.len(), part.get("thoughtSignature")) {
                small["thoughtSignature"] = signature.clone();
            }
            chunks.push(chunk(saying, &[small], false));
        }
    }
    chunks.push(match &saying.answer.error {
        Some(message) => json!({ "error": { "code": 503, "message": message, "status": "UNAVAILABLE" } }),
        None => chunk(saying, &[json!({ "text": "" })], true),
    });
    if !array {
        return chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    }
    let last = chunks.len() - 1;
    let element = |(at, chunk): (usize, &Value)| {
        let start = if at == 0 { "[" } else { ",\r\n" };
        let end = if at == last { "\n]" } else { "" };
        format!("{start}{chunk:#}{end}")
    };
    chunks.iter().enumerate().map(element).collect()
}
