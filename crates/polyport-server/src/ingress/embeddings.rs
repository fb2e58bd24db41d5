//! Embeddings, in the forms of OpenAI and Gemini.

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderValue, Response};
use polyport_provider::Call as Ask;
use polyport_types::{ClientProtocol, Fault, FaultClass, Protocol, Text};
use serde_json::{Map, Value, json};

use super::{Call, Entered};
use crate::body::Body;
use crate::observe::Outcome;
use crate::relay::admit::slots_of;
use crate::relay::attempt::{Course, Slot};
use crate::relay::{self, wire};

/// Most texts of one call to Gemini.
const CHUNK: usize = 100;

/// Largest answer.
const ANSWER: usize = 64 << 20;

/// `/v1/embeddings`.
pub(crate) async fn openai(call: Call) -> Response<Body> {
    handle(call, ClientProtocol::Chat, None, false).await
}

/// `:embedContent` and `:batchEmbedContents`.
pub(crate) async fn gemini(call: Call, model: String, batch: bool) -> Response<Body> {
    handle(call, ClientProtocol::Gemini, Some(Text::from(model)), batch).await
}

/// What is asked, in one form for both protocols.
#[derive(Clone, Debug, Default)]
struct Wanted {
    model: Text,
    inputs: Vec<Value>,
    dimensions: Option<Value>,
    base64: bool,
    /// Further members of an OpenAI request.
    others: Map<String, Value>,
    /// Gemini's own requests, for a provider of the same protocol.
    requests: Vec<Value>,
}

/// What came back.
#[derive(Debug, Default)]
struct Vectors {
    vectors: Vec<Value>,
    tokens: Option<u64>,
}

async fn handle(call: Call, protocol: ClientProtocol, model: Option<Text>, batch: bool) -> Response<Body> {
    let Entered { app, runtime, id, body, mut record, .. } = match call.enter(protocol, "embeddings").await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let result = async {
        let wanted = match &model {
            None => read_openai(&body)?,
            Some(model) => read_gemini(&body, model, batch)?,
        };
        record.model = wanted.model.clone();
        let slots = slots_of(&app, &runtime, &wanted.model, protocol)?;
        let mut course = Course::new(std::sync::Arc::clone(&app), std::sync::Arc::clone(&runtime), slots);
        let mut slot = course.first()?;
        loop {
            record.target = Some((slot.target.provider.clone(), slot.target.model.clone()));
            record.to = slot.upstream.config.protocol().as_str();
            record.sent();
            match ask(&slot, &wanted).await {
                Ok(vectors) => return Ok((wanted, vectors)),
                Err(fault) => slot = course.after(slot, fault.into(), record.elapsed()).await?,
            }
        }
    }
    .await;
    match result {
        Err(fault) => relay::refuse(protocol, &id, *record, &fault),
        Ok((wanted, vectors)) => {
            record.usage.input_uncached = vectors.tokens;
            let shown = match protocol {
                ClientProtocol::Gemini => write_gemini(vectors, batch),
                ClientProtocol::Chat | ClientProtocol::Responses | ClientProtocol::Messages => {
                    write_openai(&wanted, vectors)
                }
            };
            let mut response = Response::new(Body::from(shown.to_string().into_bytes()));
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            crate::error::name(protocol, &id, headers);
            record.status = 200;
            record.end(Outcome::Answered);
            response
        }
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::new(FaultClass::BadRequest, format!("the body is not a JSON object: {error}")))
}

fn read_openai(body: &[u8]) -> Result<Wanted, Fault> {
    let mut members = object(body)?;
    let model = members.remove("model").and_then(|model| model.as_str().map(Text::from));
    let model = model.ok_or_else(|| Fault::bad_request("model", "`model` is missing"))?;
    let inputs = match members.remove("input") {
        Some(Value::String(text)) => vec![Value::String(text)],
        // A list of numbers is one text, already cut into tokens.
        Some(Value::Array(list)) if list.first().is_some_and(Value::is_number) => vec![Value::Array(list)],
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    if inputs.is_empty() {
        return Err(Fault::bad_request("input", "`input` must be a text or a list of texts"));
    }
    let base64 = members.get("encoding_format").and_then(Value::as_str) == Some("base64");
    members.remove("encoding_format");
    let dimensions = members.remove("dimensions").filter(|value| !value.is_null());
    Ok(Wanted { model, inputs, dimensions, base64, others: members, requests: Vec::new() })
}

fn read_gemini(body: &[u8], model: &Text, batch: bool) -> Result<Wanted, Fault> {
    let mut members = object(body)?;
    let requests = if batch {
        match members.remove("requests") {
            Some(Value::Array(requests)) if !requests.is_empty() => requests,
            _ => return Err(Fault::bad_request("requests", "`requests` must be a list of requests")),
        }
    } else {
        vec![Value::Object(members)]
    };
    let mut wanted = Wanted { model: model.clone(), ..Wanted::default() };
    for (index, request) in requests.iter().enumerate() {
        let parts = request.pointer("/content/parts").and_then(Value::as_array);
        let texts: Option<Vec<&str>> =
            parts.and_then(|parts| parts.iter().map(|part| part.get("text").and_then(Value::as_str)).collect());
        wanted.inputs.push(match texts {
            Some(texts) if !texts.is_empty() => texts.join("\n").into(),
            // Only a provider of the same protocol may know what to do with it.
            _ => Value::Null,
        });
        if index == 0 {
            wanted.dimensions = request.get("outputDimensionality").cloned();
        }
    }
    wanted.requests = requests;
    Ok(wanted)
}

async fn ask(slot: &Slot, wanted: &Wanted) -> Result<Vectors, Fault> {
    match slot.upstream.config.protocol() {
        _ if slot.upstream.client.is_none() => Err(not_offered(slot)),
        Protocol::Chat | Protocol::Responses => ask_openai(slot, wanted).await,
        Protocol::Gemini => ask_gemini(slot, wanted).await,
        Protocol::Messages => Err(not_offered(slot)),
    }
}

fn not_offered(slot: &Slot) -> Fault {
    Fault::new(FaultClass::NotFound, format!("provider `{}` has no embeddings", slot.target.provider))
}

async fn ask_openai(slot: &Slot, wanted: &Wanted) -> Result<Vectors, Fault> {
    if let Some(index) = wanted.inputs.iter().position(Value::is_null) {
        return Err(Fault::bad_request(
            format!("requests[{index}].content"),
            "only text can be embedded by the model that answers",
        ));
    }
    let mut body = wanted.others.clone();
    body.insert("model".to_owned(), json!(&*slot.target.model));
    body.insert("input".to_owned(), Value::Array(wanted.inputs.clone()));
    let format = if wanted.base64 { "base64" } else { "float" };
    body.insert("encoding_format".to_owned(), json!(format));
    if let Some(dimensions) = &wanted.dimensions {
        body.insert("dimensions".to_owned(), dimensions.clone());
    }
    let answer = post(slot, &Value::Object(body)).await?;
    let mut data: Vec<&Value> = answer.get("data").and_then(Value::as_array).into_iter().flatten().collect();
    data.sort_by_key(|entry| entry.get("index").and_then(Value::as_u64).unwrap_or(0));
    let vectors = data.into_iter().filter_map(|entry| entry.get("embedding")).cloned().collect();
    let tokens = answer.pointer("/usage/prompt_tokens").and_then(Value::as_u64);
    complete(slot, wanted, Vectors { vectors, tokens })
}

async fn ask_gemini(slot: &Slot, wanted: &Wanted) -> Result<Vectors, Fault> {
    let model = format!("models/{}", slot.target.model.trim_start_matches("models/"));
    let mut requests = Vec::with_capacity(wanted.inputs.len());
    for (index, input) in wanted.inputs.iter().enumerate() {
        let mut request = match wanted.requests.get(index) {
            Some(own) => own.clone(),
            None => {
                let text = input.as_str().ok_or_else(|| {
                    Fault::bad_request(
                        format!("input[{index}]"),
                        "token ids cannot be turned back into text for the model that answers",
                    )
                })?;
                let mut request = json!({ "content": { "parts": [{ "text": text }] } });
                if let (Some(dimensions), Some(members)) = (&wanted.dimensions, request.as_object_mut()) {
                    members.insert("outputDimensionality".to_owned(), dimensions.clone());
                }
                request
            }
        };
        if let Some(members) = request.as_object_mut() {
            members.insert("model".to_owned(), json!(model));
        }
        requests.push(request);
    }
    let mut all = Vectors::default();
    for chunk in requests.chunks(CHUNK) {
        let answer = post(slot, &json!({ "requests": chunk })).await?;
        let found = answer.get("embeddings").and_then(Value::as_array).into_iter().flatten();
        all.vectors.extend(found.filter_map(|entry| entry.get("values")).cloned());
        if let Some(tokens) = answer.pointer("/usageMetadata/promptTokenCount").and_then(Value::as_u64) {
            all.tokens = Some(all.tokens.unwrap_or(0).saturating_add(tokens));
        }
    }
    complete(slot, wanted, all)
}

/// As many vectors as texts, or the answer is worth nothing.
fn complete(slot: &Slot, wanted: &Wanted, vectors: Vectors) -> Result<Vectors, Fault> {
    if vectors.vectors.len() == wanted.inputs.len() {
        return Ok(vectors);
    }
    let reason = format!("it has {} vectors for {} texts", vectors.vectors.len(), wanted.inputs.len());
    Err(wire::broken(&slot.target.provider, &reason))
}

async fn post(slot: &Slot, body: &Value) -> Result<Value, Fault> {
    let call = Ask::Embed { model: &slot.target.model };
    let mut opened = wire::post(slot, call, wire::json_headers(false), Bytes::from(body.to_string())).await?;
    let answer = wire::whole(&mut opened, &slot.target.provider, ANSWER).await?;
    serde_json::from_slice(&answer).map_err(|_| wire::broken(&slot.target.provider, "it is not JSON"))
}

fn write_openai(wanted: &Wanted, vectors: Vectors) -> Value {
    let tokens = vectors.tokens.unwrap_or_else(|| estimate(&wanted.inputs));
    let data: Vec<Value> = vectors
        .vectors
        .into_iter()
        .enumerate()
        .map(|(index, vector)| {
            let vector = if wanted.base64 { packed(vector) } else { vector };
            json!({ "object": "embedding", "index": index, "embedding": vector })
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": &*wanted.model,
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })
}

/// Little-endian floats in base64; a vector that is packed already stays as it is.
fn packed(vector: Value) -> Value {
    let Value::Array(numbers) = &vector else { return vector };
    #[allow(clippy::cast_possible_truncation, reason = "this format has 32 bits")]
    let bytes: Vec<u8> =
        numbers.iter().filter_map(Value::as_f64).flat_map(|number| (number as f32).to_le_bytes()).collect();
    base64::engine::general_purpose::STANDARD.encode(bytes).into()
}

fn estimate(inputs: &[Value]) -> u64 {
    let size = |input: &Value| match input {
        Value::String(text) => text.len().div_ceil(4),
        Value::Array(tokens) => tokens.len(),
        _ => 0,
    };
    inputs.iter().map(size).sum::<usize>().try_into().unwrap_or(u64::MAX)
}

fn write_gemini(vectors: Vectors, batch: bool) -> Value {
    let mut entries: Vec<Value> = vectors.vectors.into_iter().map(|values| json!({ "values": values })).collect();
    let mut answer = if batch {
        json!({ "embeddings": entries })
    } else {
        json!({ "embedding": entries.pop().unwrap_or_default() })
    };
    if let (Some(tokens), Some(members)) = (vectors.tokens, answer.as_object_mut()) {
        members.insert("usageMetadata".to_owned(), json!({ "promptTokenCount": tokens }));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_numbers_is_one_text() {
        assert_eq!(read_openai(br#"{"model":"m","input":[1,2]}"#).unwrap().inputs.len(), 1);
        assert_eq!(read_openai(br#"{"model":"m","input":["a","b"]}"#).unwrap().inputs.len(), 2);
        assert!(read_openai(br#"{"model":"m","input":[]}"#).is_err());
    }

    #[test]
    fn vectors_are_packed_little_endian() {
        assert_eq!(packed(json!([1.0, -0.5])), "AACAPwAAAL8=");
        assert_eq!(packed(json!("AACAPw==")), "AACAPw==");
    }
}
