//! One short request, to see whether a model answers: on the way of every request, but with one credential, one attempt, and nobody who asks.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use polyport_protocol::RequestHead;
use polyport_types::{ClientProtocol, Fault, FaultClass, Text, Usage};
use serde_json::{Value, json};

use super::origin::Origin;
use super::{Exchange, Ready, attempt, wire};
use crate::app::{App, Runtime};
use crate::credentials::probe;
use crate::id::RequestId;
use crate::ingress::access::Caller;
use crate::observe::{Outcome, Record};

/// Models that think first need some room before they say a word.
const TOKENS: u32 = 256;

/// Where it is asked, and with what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The gateway that asks.
    pub(crate) app: &'a Arc<App>,
    /// Where the provider is configured.
    pub(crate) runtime: &'a Arc<Runtime>,
    pub(crate) provider: &'a str,
    pub(crate) credential: Option<&'a Text>,
}

/// What a model said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// As the provider counts.
    pub(crate) usage: Usage,
}

/// Asks a model.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn ask(place: Place<'_>, model: &Text) -> Result<Said, Fault> {
    let mut x = exchange(place.app, place.runtime, model);
    let answered = answered(&mut x, place).await;
    let mut record = x.record;
    let usage = record.usage.clone();
    match &answered {
        Ok(_) => {
            record.status = 200;
            record.end(Outcome::Answered);
        }
        Err(fault) => {
            record.told(fault);
            record.end(Outcome::Failed(fault.class));
        }
    }
    Ok(Said { text: text_of(&answered?), usage })
}

async fn answered(x: &mut Exchange, place: Place<'_>) -> Result<Bytes, Fault> {
    let mut slot = probe::slot(place.runtime, place.provider, place.credential, x.model.clone()).await?;
    let ready = match Box::pin(attempt::with_repairs(x, &slot)).await {
        Err(refused) if refused.fault.class == FaultClass::AuthInvalid && slot.renew().await => {
            Box::pin(attempt::with_repairs(x, &slot)).await
        }
        answered => answered,
    };
    match ready.map_err(|failed| failed.fault)? {
        Ready::Whole { body, .. } => Ok(body),
        // It was not asked for.
        Ready::Live { .. } => Err(wire::broken(place.provider, "it is a stream")),
    }
}

fn exchange(app: &Arc<App>, runtime: &Arc<Runtime>, model: &Text) -> Exchange {
    let (id, protocol) = (RequestId::new(), ClientProtocol::Chat);
    let mut record = Record::new(Arc::clone(app), &id, protocol, "try");
    record.model = model.clone();
    let body =
        json!({ "model": &**model, "max_tokens": TOKENS, "messages": [{ "role": "user", "content": "Say OK." }] });
    Exchange {
        app: Arc::clone(app),
        runtime: Arc::clone(runtime),
        id,
        caller: Caller::nobody(),
        wire: protocol,
        answer: protocol,
        head: RequestHead::default(),
        headers: HeaderMap::new(),
        body: Bytes::from(body.to_string()),
        model: model.clone(),
        stream: false,
        strict: false,
        decoded: None,
        peeked: None,
        origin: Origin::Body,
        expanded: None,
        record: Box::new(record),
    }
}

/// The text of a whole answer of Chat.
fn text_of(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = &answer["choices"][0]["message"];
    match &message["content"] {
        Value::String(text) => text.trim().to_owned(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<String>().trim().to_owned()
        }
        _ => message["refusal"].as_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_found_in_every_shape_of_chat() {
        let text = |message: Value| text_of(json!({ "choices": [{ "message": message }] }).to_string().as_bytes());
        assert_eq!(text(json!({ "content": " OK.\n" })), "OK.");
        assert_eq!(
            text(json!({ "content": [{ "type": "text", "text": "O" }, { "type": "text", "text": "K" }] })),
            "OK"
        );
        assert_eq!(text(json!({ "content": null, "refusal": "no" })), "no");
        assert_eq!(text(json!({ "content": null })), "");
        assert_eq!(text_of(b"nonsense"), "");
    }
}
