//! What a provider answers beside generation: errors, model lists, token counts, embeddings.

use polyport_types::Protocol;
use serde_json::{Value, json};

use super::render::CREATED;

/// Whether a method and path ask for a generation, and if so whether it streams and which model the path names.
pub(super) enum Route<'a> {
    Generate {
        stream: bool,
        array: bool,
        model: &'a str,
    },
    Count,
    Embed,
    Models,
    Model(&'a str),
    /// Something kept under `/responses/` or `/conversations`: the path from there.
    Kept(&'a str),
    /// Files and the like: the collection, and what stands behind it.
    Shelf(&'a str, &'a str),
    Unknown,
}

pub(super) fn route<'a>(protocol: Protocol, method: &str, path: &'a str, query: &str) -> Route<'a> {
    let generate = || Route::Generate { stream: false, array: false, model: "" };
    if protocol == Protocol::Responses
        && !path.ends_with("/responses/input_tokens")
        && let Some(at) = ["/responses/", "/conversations"].iter().find_map(|start| path.find(start))
    {
        return Route::Kept(path.get(at + 1..).unwrap_or_default());
    }
    let is_generation = method == "POST" && path.ends_with("/chat/completions");
    if !is_generation && let Some((collection, tail)) = super::shelf::find(protocol, path) {
        return Route::Shelf(collection, tail);
    }
    if method == "GET" || method == "DELETE" {
        return match path.rsplit_once("/models/") {
            Some((_, model)) => Route::Model(model),
            None if path.ends_with("/models") => Route::Models,
            None => Route::Unknown,
        };
    }
    if method != "POST" {
        return Route::Unknown;
    }
    match protocol {
        Protocol::Chat if path.ends_with("/chat/completions") => generate(),
        Protocol::Responses if path.ends_with("/responses") => generate(),
        Protocol::Responses if path.ends_with("/responses/input_tokens") => Route::Count,
        Protocol::Messages if path.ends_with("/v1/messages") => generate(),
        Protocol::Messages if path.ends_with("/v1/messages/count_tokens") => Route::Count,
        Protocol::Chat | Protocol::Responses if path.ends_with("/embeddings") => Route::Embed,
        Protocol::Gemini => {
            let verb = path.rsplit_once("/models/").and_then(|(_, rest)| rest.rsplit_once(':'));
            match verb {
                Some((model, "generateContent")) => Route::Generate { stream: false, array: false, model },
                Some((model, "streamGenerateContent")) => {
                    Route::Generate { stream: true, array: !query.split('&').any(|pair| pair == "alt=sse"), model }
                }
                Some((_, "countTokens")) => Route::Count,
                Some((_, "embedContent" | "batchEmbedContents")) => Route::Embed,
                _ => Route::Unknown,
            }
        }
        Protocol::Chat | Protocol::Responses | Protocol::Messages => Route::Unknown,
    }
}

/// The error body of the real service for a status.
pub(super) fn error(protocol: Protocol, status: u16, message: &str) -> Value {
    match protocol {
        Protocol::Chat | Protocol::Responses => {
            let (kind, code) = match status {
                401 => ("invalid_request_error", Some("invalid_api_key")),
                403 => ("request_forbidden", Some("unsupported_country_region_territory")),
                404 => ("invalid_request_error", Some("model_not_found")),
                429 => ("requests", Some("rate_limit_exceeded")),
                503 | 529 => ("service_unavailable_error", Some("server_is_overloaded")),
                400..=499 => ("invalid_request_error", None),
                _ => ("server_error", None),
            };
            json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
        }
        Protocol::Messages => {
            let kind = match status {
                401 => "authentication_error",
                402 => "billing_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                504 => "timeout_error",
                529 => "overloaded_error",
                400..=499 => "invalid_request_error",
                _ => "api_error",
            };
            json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": "req_fake" })
        }
        Protocol::Gemini => {
            let kind = match status {
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                499 => "CANCELLED",
                503 | 529 => "UNAVAILABLE",
                504 => "DEADLINE_EXCEEDED",
                400..=499 => "INVALID_ARGUMENT",
                _ => "INTERNAL",
            };
            let mut body = json!({ "error": { "code": status, "message": message, "status": kind } });
            if status == 429 {
                body["error"]["details"] =
                    json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s" }]);
            }
            body
        }
    }
}

/// The 404 of a path or a thing that is not there: unlike that of a model it has no code.
pub(super) fn missing(protocol: Protocol, message: &str) -> Value {
    let mut body = error(protocol, 404, message);
    if matches!(protocol, Protocol::Chat | Protocol::Responses) {
        body["error"]["code"] = Value::Null;
    }
    body
}

pub(super) fn models(protocol: Protocol, names: &[String]) -> Value {
    let all: Vec<Value> = names.iter().map(|name| model(protocol, name)).collect();
    match protocol {
        Protocol::Chat | Protocol::Responses => json!({ "object": "list", "data": all }),
        Protocol::Messages => {
            json!({ "data": all, "has_more": false, "first_id": names.first(), "last_id": names.last() })
        }
        Protocol::Gemini => json!({ "models": all }),
    }
}

pub(super) fn model(protocol: Protocol, name: &str) -> Value {
    match protocol {
        Protocol::Chat | Protocol::Responses => {
            json!({ "id": name, "object": "model", "created": CREATED, "owned_by": "fake" })
        }
        Protocol::Messages => {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z" })
        }
        Protocol::Gemini => json!({
            "name": format!("models/{name}"), "version": "001", "displayName": name,
            "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        }),
    }
}

/// What is wrong with a request that only counts: members of a whole request that the endpoint does not know.
pub(super) fn count_violations(protocol: Protocol, body: &Value) -> Vec<String> {
    const GENERATION: [&str; 10] = [
        "max_tokens",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "metadata",
        "service_tier",
        "container",
        "inference_geo",
    ];
    let members = body.as_object().into_iter().flatten().map(|(name, _)| name);
    match protocol {
        Protocol::Messages => members
            .filter(|name| GENERATION.contains(&name.as_str()))
            .map(|name| format!("{name}: Extra inputs are not permitted"))
            .collect(),
        Protocol::Gemini if body.get("contents").is_some() && body.get("generateContentRequest").is_some() => {
            vec!["set either contents or generateContentRequest".to_owned()]
        }
        Protocol::Chat | Protocol::Responses | Protocol::Gemini => Vec::new(),
    }
}

pub(super) fn count(protocol: Protocol, tokens: u64) -> Value {
    match protocol {
        Protocol::Responses => json!({ "object": "response.input_tokens", "input_tokens": tokens }),
        Protocol::Gemini => json!({ "totalTokens": tokens }),
        Protocol::Chat | Protocol::Messages => json!({ "input_tokens": tokens }),
    }
}

pub(super) fn embeddings(protocol: Protocol, request: &Value) -> Value {
    let vector = json!([0.5, -0.25, 0.125]);
    if protocol == Protocol::Gemini {
        return match request.get("requests").and_then(Value::as_array) {
            Some(all) => json!({ "embeddings": vec![json!({ "values": vector }); all.len()] }),
            None => json!({ "embedding": { "values": vector } }),
        };
    }
    let inputs = request.get("input").and_then(Value::as_array).map_or(1, Vec::len);
    let data: Vec<Value> =
        (0..inputs).map(|index| json!({ "object": "embedding", "index": index, "embedding": vector })).collect();
    json!({ "object": "list", "data": data, "model": request["model"], "usage": { "prompt_tokens": 3, "total_tokens": 3 } })
}
