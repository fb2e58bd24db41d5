//! `POST /admin/api/explain`: what would happen to a request that came now.

use bytes::Bytes;
use polyport_types::{ClientProtocol, Fault};
use serde_json::{Map, Value};

use super::{Refusal, View};
use crate::explain::{Question, Unexplained, explain};

/// The members of a question.
pub(super) const MEMBERS: [&str; 6] = ["model", "protocol", "headers", "caller", "body", "stream"];

pub(super) fn answer(view: &View, asked: &Map<String, Value>) -> Result<Value, Refusal> {
    let question = question(asked)?;
    let explained = explain(&view.runtime.config, &view.fleet, Some(&view.app.sticky), view.now, &question);
    let explained = explained.map_err(|why| match &why {
        Unexplained::Body(mistake) => {
            Refusal::member(format!("body.{}", mistake.path).trim_end_matches('.'), &*mistake.message)
        }
        Unexplained::NoRoute(_) => Fault::from(why).into(),
    })?;
    serde_json::to_value(&explained).map_err(|_| crate::relay::admit::internal().into())
}

fn question(asked: &Map<String, Value>) -> Result<Question, Refusal> {
    let protocol = match text(asked, "protocol")? {
        None => ClientProtocol::Chat,
        Some(name) => ClientProtocol::ALL
            .into_iter()
            .find(|protocol| protocol.as_str() == name)
            .ok_or_else(|| Refusal::member("protocol", "write chat, responses, messages or gemini"))?,
    };
    let body = asked.get("body").filter(|body| !body.is_null());
    if body.is_some_and(|body| !body.is_object()) {
        return Err(Refusal::member("body", "a request of the protocol is expected, as an object"));
    }
    let in_body = body.and_then(|body| body.get("model")?.as_str());
    let model = text(asked, "model")?.or(in_body).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::member("model", "name the model that is asked for"))?;
    let headers = match asked.get("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(headers)) => headers
            .iter()
            .map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .ok_or_else(|| Refusal::member("headers", "the values must be texts"))?,
        Some(_) => return Err(Refusal::member("headers", "an object of names and values is expected")),
    };
    let stream = match asked.get("stream") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(stream)) => *stream,
        Some(_) => return Err(Refusal::member("stream", "true or false is expected")),
    };
    Ok(Question {
        model: model.into(),
        protocol,
        headers,
        caller: text(asked, "caller")?.unwrap_or_default().to_owned(),
        body: body.map(|body| Bytes::from(body.to_string())),
        stream,
    })
}

fn text<'a>(asked: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Refusal> {
    match asked.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::member(name, "a text is expected")),
    }
}
