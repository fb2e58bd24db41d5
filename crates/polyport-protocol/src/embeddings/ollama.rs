//! Ollama's own interface for embeddings, `POST /api/embed`. Source: the description of the interface in its project (`docs/api.md`).

use polyport_types::{Fault, Losses, Text};
use serde_json::value::RawValue;

use super::{EmbedRequest, EmbedResponse, classify_body, common_dimensions, lose_extras, texts, unreadable};
use crate::json::{Int, JsonWriter, Str, from_text, wire};

/// Members of its own, which clients may send along.
const OWN: [&str; 3] = ["truncate", "options", "keep_alive"];

wire! {
    struct OllamaResponse<'a> {
        model: Str<'a> = "model",
        embeddings: Vec<Vec<f32>> = "embeddings",
        prompt_tokens: Int = "prompt_eval_count",
        error: &'a RawValue = "error",
    }
}

/// Writes a request for Ollama, which embeds any number of texts and packs no vectors. Its own members `truncate`, `options` and
/// `keep_alive` are handed on.
///
/// # Errors
/// A [`Fault`] if the inputs are token ids, which it does not read.
pub fn encode_ollama_request(model: &str, request: &EmbedRequest, losses: &mut Losses) -> Result<Vec<u8>, Fault> {
    let texts = texts(model, request)?;
    lose_extras(request, &OWN, losses);
    let dimensions = common_dimensions(request, losses);
    let mut out = Vec::with_capacity(256);
    JsonWriter::new(&mut out).object(|w| {
        w.str("model", model);
        w.array_field("input", |w| texts.iter().for_each(|(text, _)| w.string(text)));
        w.opt_num("dimensions", dimensions);
        for (name, value) in request.extras.iter().filter(|(name, _)| OWN.contains(&&***name)) {
            w.raw(name, value);
        }
    });
    Ok(out)
}

/// Reads Ollama's answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise or makes no sense.
pub fn decode_ollama_response(body: &Text) -> Result<EmbedResponse, Fault> {
    let wire: OllamaResponse<'_> = from_text(body).map_err(|error| unreadable(&error))?;
    if wire.error.is_some() {
        return Err(classify_body(None, body));
    }
    Ok(EmbedResponse {
        vectors: wire.embeddings.unwrap_or_default(),
        prompt_tokens: wire.prompt_tokens.map(Int::count),
        model: wire.model.map(|model| model.into_text(body)).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use polyport_types::{FaultClass, LossCode};
    use serde_json::{Value, json};

    use super::super::{decode_gemini_request, decode_openai_request, encode_openai_response};
    use super::*;
    use crate::RequestHead;

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn openai_clients_reach_it_with_its_own_members() {
        let body = json!({"model": "e", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64", "user": "u",
            "truncate": false, "options": {"num_ctx": 64}, "keep_alive": "5m", "input_type": "query"});
        let request = decode_openai_request(&body.to_string().into()).unwrap();
        let mut losses = Losses::new();
        assert_eq!(
            parsed(&encode_ollama_request("nomic", &request, &mut losses).unwrap()),
            json!({"model": "nomic", "input": ["a", "b"], "dimensions": 8, "truncate": false, "options": {"num_ctx": 64},
                "keep_alive": "5m"})
        );
        let lost: Vec<_> = losses.entries().iter().map(|loss| (loss.code, &*loss.path)).collect();
        assert_eq!(lost, [(LossCode::IdentityDropped, "/user"), (LossCode::UnknownFieldDropped, "/input_type")]);
        let answer = json!({"model": "nomic", "embeddings": [[0.5, -0.25], [1, 0]], "total_duration": 14_143_917,
            "load_duration": 1_019_500, "prompt_eval_count": 8});
        let response = decode_ollama_response(&answer.to_string().into()).unwrap();
        response.check(&request).unwrap();
        assert_eq!((response.prompt_tokens, &*response.model), (Some(8), "nomic"));
        let written = parsed(&encode_openai_response(&request, "e", &response, 8));
        assert_eq!(written["data"][0]["embedding"], "AAAAPwAAgL4=");
    }

    #[test]
    fn gemini_clients_reach_it() {
        let head = RequestHead { model: Some("e".into()), ..RequestHead::default() };
        let body = json!({"requests": [
            {"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING", "outputDimensionality": 4},
            {"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 8}]});
        let request = decode_gemini_request(&head, true, &body.to_string().into()).unwrap();
        let mut losses = Losses::new();
        assert_eq!(
            parsed(&encode_ollama_request("nomic", &request, &mut losses).unwrap()),
            json!({"model": "nomic", "input": ["a", "b"], "dimensions": 4})
        );
        let lost: Vec<_> = losses.entries().iter().map(|loss| &*loss.path).collect();
        assert_eq!(lost, ["/requests/0/taskType", "/requests/1/outputDimensionality"]);
    }

    #[test]
    fn what_it_cannot_do_and_its_errors_are_faults() {
        let tokens = decode_openai_request(&json!({"model": "e", "input": [1, 2]}).to_string().into()).unwrap();
        let fault = encode_ollama_request("nomic", &tokens, &mut Losses::new()).unwrap_err();
        assert_eq!((fault.class, fault.param.as_deref()), (FaultClass::BadRequest, Some("input[0]")));
        let error = json!({"error": "the input length exceeds the context length"}).to_string();
        assert_eq!(decode_ollama_response(&error.into()).unwrap_err().class, FaultClass::ContextTooLong);
        assert!(decode_ollama_response(&"<html>".into()).is_err());
    }
}
