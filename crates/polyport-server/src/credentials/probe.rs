//! The cheapest thing to ask of a provider: its list of models.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use polyport_protocol::warp::graphql::{self, Question};
use polyport_provider::{Adapter, Call};
use polyport_types::{Fault, FaultClass, Protocol, Text};
use serde_json::{Value, json};

use super::quota;
use crate::app::Runtime;
use crate::relay::course::Slot;
use crate::relay::wire;
use crate::state::Held;

/// Largest list, in bytes.
pub(super) const LIST: usize = 16 << 20;

/// The names of a provider's models, in its order, asked for with this credential. Counts nothing and changes no state, but an account may be
/// refreshed.
pub(crate) async fn models(runtime: &Runtime, provider: &str, credential: Option<&Text>) -> Result<Vec<String>, Fault> {
    with_credential(runtime, provider, credential, ask).await
}

/// Asks something with this credential; a refused access token is renewed once.
pub(super) async fn with_credential<T>(
    runtime: &Runtime,
    provider: &str,
    credential: Option<&Text>,
    ask: impl AsyncFn(&Slot) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut slot = slot(runtime, provider, credential, Text::new()).await?;
    match ask(&slot).await {
        Err(refused) if refused.class == FaultClass::AuthInvalid && slot.renew().await => ask(&slot).await,
        answered => answered,
    }
}

/// The way to a model with this credential, ready to be gone.
///
/// # Errors
/// It is configured no more, or its account gets no token.
pub(crate) async fn slot(
    runtime: &Runtime,
    provider: &str,
    credential: Option<&Text>,
    model: Text,
) -> Result<Slot, Fault> {
    let held = Held { provider: provider.into(), credential: credential.cloned(), model, shown: Text::new() };
    let gone = || Fault::new(FaultClass::NotFound, "the configuration has just changed; try again");
    let mut slot = Slot::at(runtime, &held).ok_or_else(gone)?;
    slot.allow().await?;
    Ok(slot)
}

async fn ask(slot: &Slot) -> Result<Vec<String>, Fault> {
    let provider = &slot.upstream.config;
    if provider.adapter() == Adapter::Warp {
        let answer = quota::question(slot, Question::Models).await?;
        let names = graphql::read_models(&answer).map_err(|fault| quota::named(slot, fault))?;
        return Ok(names.iter().map(ToString::to_string).collect());
    }
    let mut headers = wire::json_headers(false);
    headers.remove(CONTENT_TYPE);
    // The other protocols tell all at once, or have a size of page in the address.
    let mut method = Method::GET;
    let mut body = Bytes::new();
    let call = match provider.protocol() {
        _ if matches!(provider.adapter(), Adapter::CodeAssist | Adapter::Antigravity) => {
            headers = wire::json_headers(false);
            method = Method::POST;
            body = json!({ "project": slot.project().map(|project| &**project) }).to_string().into();
            Call::Models
        }
        Protocol::Messages => {
            headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
            Call::Other { path: "models", model: "", query: Some("limit=1000") }
        }
        Protocol::Chat | Protocol::Responses | Protocol::Gemini => Call::Models,
    };
    wire::add_profile_headers(&mut headers, &provider.profile);
    let mut opened = wire::send(slot, method, call, headers, body).await?;
    let body = wire::whole(&mut opened, &provider.name, LIST).await?;
    let list: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut names = names(&list).ok_or_else(|| wire::broken(&provider.name, "it is no list of models"))?;
    names.retain(|name| !provider.profile.hidden_models.contains(name));
    Ok(names)
}

/// The names in a list of models, however it is written.
fn names(list: &Value) -> Option<Vec<String>> {
    if let Some(by_name) = list.get("models").and_then(Value::as_object) {
        return Some(by_name.keys().cloned().collect());
    }
    let entries = [Some(list), list.get("data"), list.get("models")].into_iter().flatten().find_map(Value::as_array)?;
    let name = |entry: &Value| {
        let name = entry.as_str().or_else(|| entry.get("id")?.as_str()).or_else(|| entry.get("name")?.as_str())?;
        Some(name.strip_prefix("models/").unwrap_or(name).to_owned())
    };
    Some(entries.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_every_shape() {
        for list in [
            json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}),
            json!({"models": [{"name": "models/a"}, {"name": "models/b"}]}),
            json!([{"id": "a", "name": "A"}, {"id": "b"}]),
            json!({"data": ["a", "b", 3]}),
            json!({"models": {"a": {"displayName": "A"}, "b": {}}}),
        ] {
            assert_eq!(names(&list), Some(vec!["a".to_owned(), "b".to_owned()]), "{list}");
        }
        assert_eq!(names(&json!({"data": []})), Some(Vec::new()));
        for list in [json!({}), json!(null), json!("a"), json!({"error": {"message": "no"}})] {
            assert_eq!(names(&list), None, "{list}");
        }
    }
}
