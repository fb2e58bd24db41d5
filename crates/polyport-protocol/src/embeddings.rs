//! Embeddings: `OpenAI`'s `/v1/embeddings` and Gemini's `embedContent` and `batchEmbedContents`, translated into one another and into
//! Ollama's `/api/embed`.
//!
//! Bodies of the same protocol on both sides are forwarded as they are and never come here. Messages has no such endpoint.

mod ollama;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyport_types::{Extras, Fault, FaultClass, LossAction, LossCode, Losses, Text};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

pub use self::ollama::{decode_ollama_response, encode_ollama_request};
use crate::classify::classify_body;
use crate::json::{Int, JsonWriter, Str, extras, from_text, wire};
use crate::{DecodeError, RequestHead};

/// Texts that go into one `batchEmbedContents`.
pub const MAX_BATCH: usize = 100;
/// Texts that `OpenAI` takes in one request.
pub const MAX_INPUTS: usize = 2048;

/// What a client wants to have embedded.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedRequest {
    /// The model name the client asked for.
    pub model: Text,
    /// What to embed, in order; never empty.
    pub inputs: Vec<EmbedInput>,
    /// The client wants base64 of little-endian 32-bit floats instead of lists of numbers.
    pub base64: bool,
    /// The client used the method for a single text (Gemini `embedContent`).
    pub single: bool,
    /// End user (`OpenAI` `user`).
    pub user: Option<Text>,
    /// What else an `OpenAI` client says; some servers know more than their protocol does.
    pub extras: Extras,
}

/// One thing to embed.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedInput {
    /// The text, or its token ids.
    pub content: EmbedContent,
    /// Wanted length of the vector.
    pub dimensions: Option<u32>,
    /// What the vector is for (Gemini `taskType`).
    pub task: Option<Text>,
    /// Title of the text (Gemini).
    pub title: Option<Text>,
}

/// Content of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbedContent {
    /// Text.
    Text(Text),
    /// Token ids of `OpenAI`'s tokenizer: useless to any other provider.
    Tokens(Vec<u32>),
}

/// Vectors, in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedResponse {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read, if the provider says.
    pub prompt_tokens: Option<u64>,
    /// The model that answered, as the provider names it.
    pub model: Text,
}

impl EmbedResponse {
    /// Appends the vectors of the next batch.
    pub fn append(&mut self, mut next: Self) {
        self.vectors.append(&mut next.vectors);
        self.prompt_tokens = match (self.prompt_tokens, next.prompt_tokens) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (known, None) | (None, known) => known,
        };
        if self.model.is_empty() {
            self.model = next.model;
        }
    }

    /// Checks that there is one vector for each input.
    ///
    /// # Errors
    /// The provider's fault.
    pub fn check(&self, request: &EmbedRequest) -> Result<(), Fault> {
        let (wanted, got) = (request.inputs.len(), self.vectors.len());
        if wanted == got {
            return Ok(());
        }
        Err(provider_fault(format!("the provider sent {got} embeddings for {wanted} inputs")))
    }
}

wire! {
    struct OpenAiRequest<'a> {
        model: Str<'a> = "model",
        input: Inputs<'a> = "input",
        encoding_format: Str<'a> = "encoding_format",
        dimensions: Int = "dimensions",
        user: Str<'a> = "user",
    }

    struct OpenAiResponse<'a> {
        data: Vec<OpenAiEmbedding<'a>> = "data",
        model: Str<'a> = "model",
        usage: OpenAiUsage<'a> = "usage",
        error: &'a RawValue = "error",
    }

    struct OpenAiEmbedding<'a> {
        index: Int = "index",
        embedding: Values = "embedding",
    }

    struct OpenAiUsage<'a> {
        prompt_tokens: Int = "prompt_tokens",
    }

    struct GeminiBatch<'a> {
        requests: Vec<GeminiRequest<'a>> = "requests",
    }

    struct GeminiRequest<'a> {
        model: Str<'a> = "model",
        content: GeminiContent<'a> = "content",
        task: Str<'a> = "taskType" | "task_type",
        title: Str<'a> = "title",
        dimensions: Int = "outputDimensionality" | "output_dimensionality",
    }

    struct GeminiContent<'a> {
        parts: Vec<GeminiPart<'a>> = "parts",
    }

    struct GeminiPart<'a> {
        text: Str<'a> = "text",
    }

    struct GeminiResponse<'a> {
        embedding: GeminiEmbedding<'a> = "embedding",
        embeddings: Vec<GeminiEmbedding<'a>> = "embeddings",
        usage: GeminiUsage<'a> = "usageMetadata" | "usage_metadata",
        error: &'a RawValue = "error",
    }

    struct GeminiEmbedding<'a> {
        values: Vec<f32> = "values",
    }

    struct GeminiUsage<'a> {
        prompt_tokens: Int = "promptTokenCount" | "prompt_token_count",
    }
}

/// `input` of an `OpenAI` request: a text, token ids, or a list of either.
#[derive(Clone, Debug)]
enum Inputs<'a> {
    One(Str<'a>),
    Tokens(Vec<u32>),
    Texts(Vec<Str<'a>>),
    Lists(Vec<Vec<u32>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Inputs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputsVisitor;
        impl<'de> Visitor<'de> for InputsVisitor {
            type Value = Inputs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, an array of strings, token ids or an array of token ids")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Inputs::One(Str(v.into())))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Inputs::One(Str(v.to_owned().into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut inputs = Inputs::Texts(Vec::new());
                let mut first = true;
                while let Some(element) = seq.next_element::<Element<'de>>()? {
                    if first {
                        inputs = match element {
                            Element::Text(text) => Inputs::Texts(vec![text]),
                            Element::Token(token) => Inputs::Tokens(vec![token]),
                            Element::Tokens(tokens) => Inputs::Lists(vec![tokens]),
                        };
                        first = false;
                        continue;
                    }
                    match (&mut inputs, element) {
                        (Inputs::Texts(texts), Element::Text(text)) => texts.push(text),
                        (Inputs::Tokens(tokens), Element::Token(token)) => tokens.push(token),
                        (Inputs::Lists(lists), Element::Tokens(tokens)) => lists.push(tokens),
                        _ => return Err(serde::de::Error::custom("the elements of `input` must be of one kind")),
                    }
                }
                Ok(inputs)
            }
        }
        deserializer.deserialize_any(InputsVisitor)
    }
}

/// An element of a list of inputs.
enum Element<'a> {
    Text(Str<'a>),
    Token(u32),
    Tokens(Vec<u32>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementVisitor;
        impl<'de> Visitor<'de> for ElementVisitor {
            type Value = Element<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a token id or an array of token ids")
            }

            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Element::Text(Str(v.into())))
            }

            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Element::Text(Str(v.to_owned().into())))
            }

            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
                u32::try_from(v).map(Element::Token).map_err(|_| E::custom(format!("{v} is no token id")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = seq.next_element()? {
                    tokens.push(token);
                }
                Ok(Element::Tokens(tokens))
            }
        }
        deserializer.deserialize_any(ElementVisitor)
    }
}

/// A vector, as a list or as base64.
#[derive(Clone, Debug, Default)]
struct Values(Vec<f32>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;
        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of numbers or base64")
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Values, E> {
                from_base64(v).map(Values).ok_or_else(|| E::custom("not base64 of 32-bit floats"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }
        deserializer.deserialize_any(ValuesVisitor)
    }
}

fn from_base64(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}

fn to_base64(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

fn provider_fault(message: String) -> Fault {
    Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }
}

fn dimensions(wanted: Option<Int>, path: &str) -> Result<Option<u32>, DecodeError> {
    match wanted {
        None => Ok(None),
        Some(Int(number)) => match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(DecodeError::at(path, "must be an integer of at least 1")),
        },
    }
}

/// Reads the body of `POST /v1/embeddings`.
///
/// # Errors
/// [`DecodeError`] names the wrong path.
pub fn decode_openai_request(body: &Text) -> Result<EmbedRequest, DecodeError> {
    let wire: OpenAiRequest<'_> = from_text(body)?;
    let model = wire.model.filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| DecodeError::at("model", "you must provide a model parameter"))?.into_text(body);
    let dimensions = dimensions(wire.dimensions, "dimensions")?;
    let base64 = match wire.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(_) => return Err(DecodeError::at("encoding_format", "must be `float` or `base64`")),
    };
    let contents: Vec<EmbedContent> = match wire.input {
        None => return Err(DecodeError::at("input", "you must provide an input parameter")),
        Some(Inputs::One(text)) => vec![EmbedContent::Text(text.into_text(body))],
        Some(Inputs::Tokens(tokens)) => vec![EmbedContent::Tokens(tokens)],
        Some(Inputs::Texts(texts)) => texts.into_iter().map(|text| EmbedContent::Text(text.into_text(body))).collect(),
        Some(Inputs::Lists(lists)) => lists.into_iter().map(EmbedContent::Tokens).collect(),
    };
    if contents.is_empty() {
        return Err(DecodeError::at("input", "must not be empty"));
    }
    if contents.len() > MAX_INPUTS {
        return Err(DecodeError::at("input", format!("must have at most {MAX_INPUTS} elements")));
    }
    for (number, content) in contents.iter().enumerate() {
        let empty = match content {
            EmbedContent::Text(text) => text.is_empty(),
            EmbedContent::Tokens(tokens) => tokens.is_empty(),
        };
        if empty {
            return Err(DecodeError::at(format!("input[{number}]"), "must not be empty"));
        }
    }
    let input = |content| EmbedInput { content, dimensions, task: None, title: None };
    Ok(EmbedRequest {
        model,
        inputs: contents.into_iter().map(input).collect(),
        base64,
        single: false,
        user: wire.user.map(|user| user.into_text(body)),
        extras: extras(wire.extra, body),
    })
}

/// Reads the body of `:embedContent` (`batch` false) or `:batchEmbedContents`. The model comes from the path.
///
/// # Errors
/// [`DecodeError`] names the wrong path, among others parts that are no text.
pub fn decode_gemini_request(head: &RequestHead, batch: bool, body: &Text) -> Result<EmbedRequest, DecodeError> {
    let requests = if batch {
        from_text::<GeminiBatch<'_>>(body)?.requests.unwrap_or_default()
    } else {
        vec![from_text::<GeminiRequest<'_>>(body)?]
    };
    if requests.is_empty() {
        return Err(DecodeError::at("requests", "at least one request is required"));
    }
    let named = requests.first().and_then(|request| request.model.as_deref());
    let model = match (&head.model, named) {
        (Some(model), _) => model.clone(),
        (None, Some(model)) => Text::from(model.strip_prefix("models/").unwrap_or(model)),
        (None, None) => Text::new(),
    };
    let path = |number: usize| if batch { format!("requests[{number}].") } else { String::new() };
    let mut inputs = Vec::with_capacity(requests.len());
    for (number, request) in requests.into_iter().enumerate() {
        inputs.push(gemini_input(request, &path(number), body)?);
    }
    Ok(EmbedRequest { model, inputs, base64: false, single: !batch, user: None, extras: Extras::new() })
}

fn gemini_input(request: GeminiRequest<'_>, path: &str, body: &Text) -> Result<EmbedInput, DecodeError> {
    let parts = request.content.and_then(|content| content.parts).unwrap_or_default();
    if parts.is_empty() {
        return Err(DecodeError::at(format!("{path}content"), "content.parts must not be empty"));
    }
    let mut texts = Vec::with_capacity(parts.len());
    for (number, part) in parts.into_iter().enumerate() {
        let Some(text) = part.text else {
            let path = format!("{path}content.parts[{number}]");
            return Err(DecodeError::at(path, "only text can be embedded by this model"));
        };
        texts.push(text.into_text(body));
    }
    let text = if texts.len() == 1 { texts.swap_remove(0) } else { texts.join("\n").into() };
    Ok(EmbedInput {
        content: EmbedContent::Text(text),
        dimensions: dimensions(request.dimensions, &format!("{path}outputDimensionality"))?,
        task: request.task.map(|task| task.into_text(body)),
        title: request.title.map(|title| title.into_text(body)),
    })
}

/// Writes a request for an `OpenAI` server, which has one length for all vectors and no use for tasks and titles. Lists of numbers
/// are asked for whatever the client wants.
#[must_use]
pub fn encode_openai_request(model: &str, request: &EmbedRequest, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let dimensions = common_dimensions(request, losses);
    JsonWriter::new(&mut out).object(|w| {
        w.str("model", model);
        w.array_field("input", |w| {
            for input in &request.inputs {
                match &input.content {
                    EmbedContent::Text(text) => w.string(text),
                    EmbedContent::Tokens(tokens) => w.array(|w| tokens.iter().for_each(|token| w.number(*token))),
                }
            }
        });
        w.str("encoding_format", "float");
        w.opt_num("dimensions", dimensions);
        w.opt_str("user", request.user.as_deref());
    });
    out
}

/// The one length of all vectors that most servers can be asked for; what else single inputs say is lost.
fn common_dimensions(request: &EmbedRequest, losses: &mut Losses) -> Option<u32> {
    let dimensions = request.inputs.iter().find_map(|input| input.dimensions);
    for (number, input) in request.inputs.iter().enumerate() {
        let members = [
            ("taskType", input.task.is_some()),
            ("title", input.title.is_some()),
            ("outputDimensionality", input.dimensions != dimensions),
        ];
        for (member, lost) in members {
            if lost {
                let path = format!("/requests/{number}/{member}");
                losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "");
            }
        }
    }
    dimensions
}

/// The inputs as texts, for servers that cannot read the tokens of others.
fn texts<'r>(model: &str, request: &'r EmbedRequest) -> Result<Vec<(&'r Text, &'r EmbedInput)>, Fault> {
    let text = |(number, input): (usize, &'r EmbedInput)| match &input.content {
        EmbedContent::Text(text) => Ok((text, input)),
        EmbedContent::Tokens(_) => {
            let path = format!("input[{number}]");
            let message = format!("{path}: token ids cannot be embedded by `{model}`: send the text");
            Err(Fault::bad_request(path, message))
        }
    };
    request.inputs.iter().enumerate().map(text).collect()
}

/// Names what an `OpenAI` client said and a server of another kind cannot be told; `known` members it can.
fn lose_extras(request: &EmbedRequest, known: &[&str], losses: &mut Losses) {
    if request.user.is_some() {
        losses.info(LossCode::IdentityDropped, LossAction::Dropped, "/user", "");
    }
    for (name, _) in request.extras.iter().filter(|(name, _)| !known.contains(&&***name)) {
        losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, format!("/{name}"), "");
    }
}

/// Writes the `batchEmbedContents` bodies for a Gemini server: as many as it takes, to be sent in order and their answers appended.
///
/// # Errors
/// A [`Fault`] if an input is given as token ids, which only `OpenAI` can read.
pub fn encode_gemini_requests(model: &str, request: &EmbedRequest, losses: &mut Losses) -> Result<Vec<Vec<u8>>, Fault> {
    let texts = texts(model, request)?;
    lose_extras(request, &[], losses);
    let batch = |texts: &[(&Text, &EmbedInput)]| {
        let mut out = Vec::with_capacity(256);
        JsonWriter::new(&mut out).object(|w| {
            w.array_field("requests", |w| texts.iter().for_each(|(text, input)| gemini_request(w, model, text, input)));
        });
        out
    };
    Ok(texts.chunks(MAX_BATCH).map(batch).collect())
}

fn gemini_request(w: &mut JsonWriter<'_>, model: &str, text: &str, input: &EmbedInput) {
    w.object(|w| {
        w.key("model");
        w.string_concat(&["models/", model]);
        w.object_field("content", |w| w.array_field("parts", |w| w.object(|w| w.str("text", text))));
        w.opt_str("taskType", input.task.as_deref());
        w.opt_str("title", input.title.as_deref());
        w.opt_num("outputDimensionality", input.dimensions);
    });
}

/// Reads an `OpenAI` server's answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_openai_response(body: &Text) -> Result<EmbedResponse, Fault> {
    let wire: OpenAiResponse<'_> = from_text(body).map_err(|error| unreadable(&error))?;
    if wire.error.is_some() {
        return Err(classify_body(None, body));
    }
    let mut data: Vec<(i64, Vec<f32>)> = Vec::new();
    for (number, embedding) in wire.data.unwrap_or_default().into_iter().enumerate() {
        let index = embedding.index.map_or(i64::try_from(number).unwrap_or(i64::MAX), |index| index.0);
        data.push((index, embedding.embedding.unwrap_or_default().0));
    }
    data.sort_by_key(|(index, _)| *index);
    Ok(EmbedResponse {
        vectors: data.into_iter().map(|(_, vector)| vector).collect(),
        prompt_tokens: wire.usage.and_then(|usage| usage.prompt_tokens).map(Int::count),
        model: wire.model.map(|model| model.into_text(body)).unwrap_or_default(),
    })
}

/// Reads a Gemini server's answer to either method.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_gemini_response(body: &Text) -> Result<EmbedResponse, Fault> {
    let wire: GeminiResponse<'_> = from_text(body).map_err(|error| unreadable(&error))?;
    if wire.error.is_some() {
        return Err(classify_body(None, body));
    }
    let all = wire.embeddings.unwrap_or_default().into_iter().chain(wire.embedding);
    Ok(EmbedResponse {
        vectors: all.map(|embedding| embedding.values.unwrap_or_default()).collect(),
        prompt_tokens: wire.usage.and_then(|usage| usage.prompt_tokens).map(Int::count),
        model: Text::new(),
    })
}

fn unreadable(error: &DecodeError) -> Fault {
    provider_fault(format!("the provider's answer is unreadable: {error}"))
}

/// Writes an answer for an `OpenAI` client. `prompt_tokens` is the provider's count or an estimate.
#[must_use]
pub fn encode_openai_response(
    request: &EmbedRequest,
    model: &str,
    response: &EmbedResponse,
    prompt_tokens: u64,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    JsonWriter::new(&mut out).object(|w| {
        w.str("object", "list");
        w.array_field("data", |w| {
            for (index, vector) in response.vectors.iter().enumerate() {
                w.object(|w| {
                    w.str("object", "embedding");
                    w.num("index", index);
                    if request.base64 {
                        w.str("embedding", &to_base64(vector));
                    } else {
                        w.array_field("embedding", |w| numbers(w, vector));
                    }
                });
            }
        });
        w.str("model", model);
        w.object_field("usage", |w| {
            w.num("prompt_tokens", prompt_tokens);
            w.num("total_tokens", prompt_tokens);
        });
    });
    out
}

/// Writes an answer for a Gemini client, in the form of the method it used.
#[must_use]
pub fn encode_gemini_response(request: &EmbedRequest, response: &EmbedResponse) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    JsonWriter::new(&mut out).object(|w| {
        let values = |w: &mut JsonWriter<'_>, vector: &[f32]| w.array_field("values", |w| numbers(w, vector));
        match response.vectors.first().filter(|_| request.single) {
            Some(vector) => w.object_field("embedding", |w| values(w, vector)),
            None => w.array_field("embeddings", |w| {
                for vector in &response.vectors {
                    w.object(|w| values(w, vector));
                }
            }),
        }
        if let Some(tokens) = response.prompt_tokens {
            w.object_field("usageMetadata", |w| w.num("promptTokenCount", tokens));
        }
    });
    out
}

/// Writes 32-bit floats in the shortest form that reads back as the same.
fn numbers(w: &mut JsonWriter<'_>, vector: &[f32]) {
    for value in vector {
        // Numbers that JSON cannot hold become null; no provider sends them.
        match serde_json::to_string(value) {
            Ok(text) => w.raw_value(&text),
            Err(_) => w.null_value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn openai(body: impl Into<Value>) -> Result<EmbedRequest, DecodeError> {
        decode_openai_request(&body.into().to_string().into())
    }

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn openai_clients_reach_gemini() {
        let request = openai(json!({"model": "embed-1", "input": ["a", "b"], "dimensions": 256, "user": "u", "encoding_format": "base64"})).unwrap();
        assert!(request.base64);
        let mut losses = Losses::new();
        let bodies = encode_gemini_requests("gemini-embedding-001", &request, &mut losses).unwrap();
        assert_eq!(
            parsed(&bodies[0]),
            json!({"requests": [
                {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "a"}]}, "outputDimensionality": 256},
                {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "b"}]}, "outputDimensionality": 256}]})
        );
        assert_eq!(losses.entries()[0].code, LossCode::IdentityDropped);
        let answer = json!({"embeddings": [{"values": [0.1, -0.25]}, {"values": [1, 2e-7]}], "usageMetadata": {"promptTokenCount": 2}});
        let response = decode_gemini_response(&answer.to_string().into()).unwrap();
        response.check(&request).unwrap();
        let written = parsed(&encode_openai_response(&request, "embed-1", &response, 2));
        assert_eq!(written["data"][1]["index"], 1);
        let encoded = written["data"][0]["embedding"].as_str().unwrap();
        assert_eq!(from_base64(encoded).unwrap(), [0.1, -0.25]);
        let floats = EmbedRequest { base64: false, ..request };
        let written = String::from_utf8(encode_openai_response(&floats, "embed-1", &response, 2)).unwrap();
        assert!(written.contains("\"embedding\":[0.1,-0.25]"), "{written}");
        assert!(written.ends_with("\"usage\":{\"prompt_tokens\":2,\"total_tokens\":2}}"), "{written}");
    }

    #[test]
    fn many_texts_go_in_batches() {
        let request = openai(json!({"model": "m", "input": vec!["x"; 250]})).unwrap();
        let bodies = encode_gemini_requests("g", &request, &mut Losses::new()).unwrap();
        let sizes: Vec<_> = bodies.iter().map(|body| parsed(body)["requests"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
        let mut all = EmbedResponse::default();
        for size in sizes {
            all.append(EmbedResponse { vectors: vec![vec![0.0]; size], prompt_tokens: Some(3), model: Text::new() });
        }
        all.check(&request).unwrap();
        assert_eq!(all.prompt_tokens, Some(9));
        all.vectors.pop();
        assert!(all.check(&request).is_err());
    }

    #[test]
    fn gemini_clients_reach_openai() {
        let head = RequestHead { model: Some("embed-1".into()), ..RequestHead::default() };
        let body = json!({"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "output_dimensionality": 8});
        let single = decode_gemini_request(&head, false, &body.to_string().into()).unwrap();
        let mut losses = Losses::new();
        assert_eq!(
            parsed(&encode_openai_request("text-embedding-3", &single, &mut losses)),
            json!({"model": "text-embedding-3", "input": ["a\nb"], "encoding_format": "float", "dimensions": 8})
        );
        assert_eq!(losses.entries().len(), 1);
        assert_eq!(losses.entries()[0].path, "/requests/0/taskType");
        let answer = json!({"object": "list", "data": [
            {"object": "embedding", "index": 1, "embedding": to_base64(&[0.5])}, {"object": "embedding", "index": 0, "embedding": [0.25]}],
            "model": "m", "usage": {"prompt_tokens": 5, "total_tokens": 5}});
        let response = decode_openai_response(&answer.to_string().into()).unwrap();
        assert_eq!((response.vectors.as_slice(), response.prompt_tokens), (&[vec![0.25], vec![0.5]][..], Some(5)));
        assert_eq!(
            parsed(&encode_gemini_response(&single, &response)),
            json!({"embedding": {"values": [0.25]}, "usageMetadata": {"promptTokenCount": 5}})
        );
        let body =
            json!({"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]});
        let batch = decode_gemini_request(&head, true, &body.to_string().into()).unwrap();
        assert_eq!(
            parsed(&encode_gemini_response(&batch, &response))["embeddings"],
            json!([{"values": [0.25]}, {"values": [0.5]}])
        );
    }

    #[test]
    fn wrong_requests_name_their_mistake() {
        let path = |body: Value| openai(body).unwrap_err().path;
        assert_eq!(path(json!({"input": "a"})), "model");
        assert_eq!(path(json!({"model": "m"})), "input");
        assert_eq!(path(json!({"model": "m", "input": []})), "input");
        assert_eq!(path(json!({"model": "m", "input": ["a", ""]})), "input[1]");
        assert_eq!(path(json!({"model": "m", "input": ["a", 1]})), "input");
        assert_eq!(path(json!({"model": "m", "input": "a", "encoding_format": "hex"})), "encoding_format");
        assert_eq!(path(json!({"model": "m", "input": "a", "dimensions": 0})), "dimensions");
        let tokens = openai(json!({"model": "m", "input": [[1, 2], [3]]})).unwrap();
        assert_eq!(tokens.inputs[0].content, EmbedContent::Tokens(vec![1, 2]));
        assert_eq!(openai(json!({"model": "m", "input": [1, 2]})).unwrap().inputs.len(), 1);
        let fault = encode_gemini_requests("g", &tokens, &mut Losses::new()).unwrap_err();
        assert_eq!((fault.class, fault.param.as_deref()), (FaultClass::BadRequest, Some("input[0]")));
        let image = json!({"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}});
        let error = decode_gemini_request(&RequestHead::default(), false, &image.to_string().into()).unwrap_err();
        assert_eq!(error.path, "content.parts[0]");
    }

    #[test]
    fn errors_in_disguise_are_faults() {
        let error: Text =
            json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}).to_string().into();
        assert_eq!(decode_gemini_response(&error).unwrap_err().class, FaultClass::RateLimited);
        assert!(decode_openai_response(&"{}".into()).unwrap().vectors.is_empty());
        assert!(decode_openai_response(&"<html>".into()).is_err());
    }
}
