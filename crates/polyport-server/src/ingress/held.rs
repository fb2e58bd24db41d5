//! Answers and conversations that a provider keeps: what is asked about them is asked there, with the credential they belong to.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method, Response};
use polyport_provider::Call as Ask;
use polyport_routing::Resolved;
use polyport_types::{ClientProtocol, Fault, FaultClass, Text};

use super::forward::{Along, absent, answer_headers, stream_through};
use super::{Call, Entered, access};
use std::sync::Arc;

use crate::body::Body;
use crate::id::RequestId;
use crate::ledger::Demand;
use crate::ledger::tries::Estimate;
use crate::observe::{Outcome, Record};
use crate::relay;
use crate::relay::course::{Course, Slot, steady};
use crate::relay::frames::Framed;
use crate::relay::origin::{keeps, shown, store_away};
use crate::relay::peek::{Edits, Peek};
use crate::relay::wire::{self, Opened};
use crate::state::Held;

const PROTOCOL: ClientProtocol = ClientProtocol::Responses;

/// Asks the provider about something it keeps; `tail` is the rest of the path behind the id.
pub(crate) async fn relay(call: Call, held: &Held, collection: &str, id: &str, tail: &str) -> Response<Body> {
    let Some(slot) = Slot::at(&call.runtime, held).filter(|_| is_plain(id)) else {
        let words = format!(
            "'{}' belongs to a credential of provider `{}` that is configured no more",
            shown(id),
            held.provider
        );
        return call.logged(call.refuse(PROTOCOL, &Fault::new(FaultClass::NotFound, words)));
    };
    let model = (held.shown != held.model).then(|| (held.model.clone(), held.shown.clone()));
    let deletes = call.head.method == Method::DELETE && tail.is_empty();
    let app = std::sync::Arc::clone(&call.app);
    let Asked { owner, slot, opened, record, request } =
        match ask(call, slot.only(), &format!("{collection}/{id}{tail}")).await {
            Ok(asked) => asked,
            Err(refused) => return refused,
        };
    if deletes {
        app.responses.forget(&owner, id);
    }
    if opened.is_stream() == Some(true) {
        let along = Along { framed: Framed::new(false, model), ..Along::default() };
        return stream_through(PROTOCOL, &slot, opened, record, &request, along);
    }
    whole(Handed { protocol: PROTOCOL, slot: &slot, id: &request }, opened, record, |peek, body| {
        if let Some((_, shown)) = &model
            && peek.has(body, "model")
        {
            let mut edits = Edits::default();
            edits.set("model", serde_json::Value::from(&**shown).to_string());
            return Some(edits);
        }
        None
    })
    .await
}

/// `POST /v1/conversations`: at the first provider that keeps any.
pub(crate) async fn create_conversation(call: Call) -> Response<Body> {
    if let Err(fault) = access::caller(&call.app, &call.runtime, &call.head) {
        return call.logged(call.refuse(PROTOCOL, &fault));
    }
    let resolved = steady(&call.runtime, keeps);
    if resolved.targets.is_empty() {
        let words = "no provider here keeps conversations: send the conversation as `input`";
        return call.logged(call.refuse(PROTOCOL, &Fault::new(FaultClass::NotFound, words)));
    };
    let app = std::sync::Arc::clone(&call.app);
    let Asked { owner, slot, opened, record, request } = match ask(call, resolved, "conversations").await {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let held = std::sync::Arc::new(slot.held(Text::new()));
    whole(Handed { protocol: PROTOCOL, slot: &slot, id: &request }, opened, record, |peek, body| {
        if let Some(id) = peek.text(body, "id") {
            app.responses.hold(&owner, &id, held);
        }
        None
    })
    .await
}

/// What is asked about a conversation; `tail` is the rest of the path behind its id.
pub(crate) async fn conversation(call: Call, id: String, tail: String) -> Response<Body> {
    let caller = match access::caller(&call.app, &call.runtime, &call.head) {
        Ok(caller) => caller,
        Err(fault) => return call.logged(call.refuse(PROTOCOL, &fault)),
    };
    let recalled = call.app.responses.recall(caller.owner(), &[Text::from(id.as_str())]).await;
    match call.app.responses.held(caller.owner(), &id) {
        Some(held) => relay(call, &held, "conversations", &id, &tail).await,
        None if recalled.is_err() => call.logged(call.refuse(PROTOCOL, &store_away())),
        None => {
            let words = format!("Conversation with id '{}' not found.", shown(&id));
            call.logged(call.refuse(PROTOCOL, &Fault::new(FaultClass::NotFound, words)))
        }
    }
}

/// Whether a text may stand in a path as it is: it cannot lead elsewhere.
pub(crate) fn is_plain(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
}

/// An answer of a provider that has begun.
struct Asked {
    owner: Text,
    slot: Slot,
    opened: Opened,
    record: Box<Record>,
    request: RequestId,
}

/// Sends a client's request to the provider as it is, but for credentials. Only reading may be tried twice.
async fn ask(call: Call, resolved: Resolved, path: &str) -> Result<Asked, Response<Body>> {
    let Entered { app, runtime, id, parts, body, caller, mut record } = call.enter(PROTOCOL, "kept").await?;
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
    let query = without_key(parts.uri.query().unwrap_or_default());
    let result = async {
        record.admit(&runtime, Demand { model: "", resolved: Some(&resolved) }, Estimate::default())?;
        let mut course = Course::new(app, Arc::clone(&runtime), resolved);
        let mut slot = course.first().await?;
        record.aim(&slot, slot.upstream.config.protocol().as_str());
        loop {
            record.sent();
            let headers = request_headers(&slot, &parts.headers, !body.is_empty());
            let ask =
                Ask::Other { path, model: &slot.target.model, query: (!query.is_empty()).then_some(query.as_str()) };
            match wire::send(&slot, method.clone(), ask, headers, body.clone()).await {
                Ok(opened) => return Ok((slot, opened)),
                Err(fault) if method != Method::GET => {
                    record.failed(&fault);
                    return Err(fault);
                }
                Err(fault) => {
                    record.failed(&fault);
                    slot = course.after(slot, fault.into()).await?;
                }
            }
        }
    }
    .await;
    match result {
        Ok((slot, opened)) => Ok(Asked { owner: caller.owner().clone(), slot, opened, record, request: id }),
        Err(fault) => Err(relay::refuse(PROTOCOL, &id, *record, &absent(fault))),
    }
}

/// Of which request an answer is handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handed<'a> {
    pub(crate) protocol: ClientProtocol,
    pub(crate) slot: &'a Slot,
    pub(crate) id: &'a RequestId,
}

/// Hands on an answer that is no stream; `edits` sees it before.
pub(crate) async fn whole(
    handed: Handed<'_>,
    opened: Opened,
    record: Box<Record>,
    edits: impl FnOnce(&Peek, &[u8]) -> Option<Edits>,
) -> Response<Body> {
    match Whole::read(handed, opened, record).await {
        Ok(whole) => whole.hand_on(edits),
        Err(refused) => refused,
    }
}

/// An answer that is no stream and has been read.
pub(crate) struct Whole {
    headers: HeaderMap,
    pub(crate) bytes: Bytes,
    record: Box<Record>,
}

impl Whole {
    pub(crate) async fn read(
        handed: Handed<'_>,
        mut opened: Opened,
        mut record: Box<Record>,
    ) -> Result<Self, Response<Body>> {
        /// Largest answer, in bytes.
        const ANSWER: usize = 64 << 20;
        let Handed { protocol, slot, id } = handed;
        let headers = answer_headers(protocol, slot, &opened, &mut record, id);
        match wire::whole(&mut opened, &slot.target.provider, ANSWER).await {
            Ok(bytes) => Ok(Self { headers, bytes, record }),
            Err(fault) => Err(relay::refuse(protocol, id, *record, &fault)),
        }
    }

    /// Hands it on; `edits` sees it before.
    pub(crate) fn hand_on(mut self, edits: impl FnOnce(&Peek, &[u8]) -> Option<Edits>) -> Response<Body> {
        let bytes = self.bytes;
        let edited = Peek::parse(&bytes).ok().and_then(|peek| Some(peek.edited(&bytes, &edits(&peek, &bytes)?)));
        let mut response = Response::new(Body::from(edited.unwrap_or(bytes)));
        *response.headers_mut() = self.headers;
        self.record.status = 200;
        self.record.first_output();
        self.record.end(Outcome::Answered);
        response
    }
}

/// The client's query without what is meant for us.
pub(crate) fn without_key(query: &str) -> String {
    query.split('&').filter(|pair| !pair.starts_with("key=")).collect::<Vec<_>>().join("&")
}

fn request_headers(slot: &Slot, client: &HeaderMap, has_body: bool) -> HeaderMap {
    let mut headers = wire::json_headers(false);
    if !has_body {
        headers.remove(CONTENT_TYPE);
    }
    let names = [ACCEPT, HeaderName::from_static("openai-beta"), HeaderName::from_static("idempotency-key")];
    for name in names {
        if let Some(value) = client.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    wire::add_profile_headers(&mut headers, &slot.upstream.config.profile);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_path_leads_elsewhere() {
        for segment in ["resp_0a-b.c~d:e", "msg_1"] {
            assert!(is_plain(segment), "{segment}");
        }
        for segment in ["", ".", "..", "a/b", "a%2fb", "a?b", "a#b", "a\\b", "{model}", "é"] {
            assert!(!is_plain(segment), "{segment}");
        }
    }

    #[test]
    fn a_key_of_ours_stays_here() {
        assert_eq!(without_key("limit=2&key=secret&order=asc&after=x"), "limit=2&order=asc&after=x");
        assert_eq!(without_key("key=secret"), "");
    }
}
