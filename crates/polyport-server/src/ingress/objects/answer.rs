//! What a client gets of a provider's answer, and what is noted of it: where things are, and whose.

use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use polyport_types::{ClientProtocol, Text};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Asked, UPLOAD, upload_id};
use crate::app::{App, Runtime};
use crate::body::Body;
use crate::id::RequestId;
use crate::ingress::access::Caller;
use crate::ingress::forward::{Along, stream_through};
use crate::ingress::held::{Handed, Whole, without_key};
use crate::observe::Record;
use crate::relay::course::Slot;
use crate::relay::peek::{Edits, Peek};
use crate::relay::refers::told;
use crate::relay::wire::Opened;

/// Where an upload goes on, at a Gemini provider.
const UPLOAD_URL: &str = "x-goog-upload-url";

/// Who asked for what.
pub(super) struct Asking<'a> {
    pub(super) app: &'a Arc<App>,
    pub(super) runtime: &'a Runtime,
    pub(super) caller: &'a Caller,
    pub(super) asked: &'a Asked,
    pub(super) head: &'a Parts,
    pub(super) id: &'a RequestId,
}

impl Asking<'_> {
    /// Hands an answer on.
    pub(super) async fn give(self, slot: Slot, opened: Opened, record: Box<Record>) -> Response<Body> {
        let headers = self.headers(&slot, &opened.headers);
        let (protocol, status) = (self.asked.protocol, opened.status);
        let mut response = if opened.is_stream() == Some(false) && !self.asked.content {
            let handed = Handed { protocol, slot: &slot, id: self.id };
            match Whole::read(handed, opened, record).await {
                Ok(whole) => {
                    self.recall_listed(&whole.bytes).await;
                    whole.hand_on(|peek, body| self.read(&slot, peek, body))
                }
                Err(refused) => refused,
            }
        } else {
            stream_through(protocol, &slot, opened, record, self.id, Along::default())
        };
        if response.status().is_success() {
            *response.status_mut() = status;
            if let Some(names) = &self.asked.deletes {
                names.iter().for_each(|name| self.app.responses.forget(self.caller.owner(), name));
            }
        }
        response.headers_mut().extend(headers);
        response
    }

    /// Notes what the answer tells of; what has to be changed in it.
    fn read(&self, slot: &Slot, peek: &Peek, body: &[u8]) -> Option<Edits> {
        let gemini = self.asked.protocol == ClientProtocol::Gemini;
        let mut edits = Edits::default();
        if self.asked.collection {
            self.leave_out_others(peek, body, &mut edits);
        } else if self.asked.deletes.is_none() {
            let held = Arc::new(slot.held(Text::new()));
            for name in told(body, gemini) {
                self.app.responses.hold(self.caller.owner(), &name, Arc::clone(&held));
            }
        }
        // Where the results of a batch are: here, for who has but a key of ours.
        if self.asked.protocol == ClientProtocol::Messages
            && let Some(url) = peek.text(body, "results_url")
            && let Some(path) = path_of(&url)
        {
            edits.set("results_url", serde_json::Value::from(format!("{}{path}", self.base())).to_string());
        }
        (edits != Edits::default()).then_some(edits)
    }

    /// Of several callers each sees its own.
    fn leave_out_others(&self, peek: &Peek, body: &[u8], edits: &mut Edits) {
        if self.app.has_one_caller(self.runtime) {
            return;
        }
        let owned = |entry: &&RawValue| {
            let name = self.name_of(entry);
            name.is_some_and(|name| self.app.responses.held(self.caller.owner(), &name).is_some())
        };
        for name in peek.names() {
            let Some(entries) = entries(peek, body, name) else { continue };
            let kept: Vec<&str> = entries.iter().filter(|entry| owned(entry)).map(|entry| entry.get()).collect();
            edits.set(name, format!("[{}]", kept.join(",")));
        }
    }

    /// Has in memory what the store knows of the things that a list names.
    async fn recall_listed(&self, body: &[u8]) {
        if !self.asked.collection || self.app.has_one_caller(self.runtime) {
            return;
        }
        let Ok(peek) = Peek::parse(body) else { return };
        let lists = peek.names().filter_map(|name| entries(&peek, body, name));
        let names: Vec<Text> = lists.flatten().filter_map(|entry| self.name_of(entry)).collect();
        self.app.responses.recall(self.caller.owner(), &names).await.ok();
    }

    /// What an entry of a list is called.
    fn name_of(&self, entry: &RawValue) -> Option<Text> {
        #[derive(Deserialize)]
        struct Named {
            id: Option<String>,
            name: Option<String>,
        }
        let named: Named = serde_json::from_str(entry.get()).ok()?;
        let name = if self.asked.protocol == ClientProtocol::Gemini { named.name.or(named.id) } else { named.id };
        name.map(Text::from)
    }

    /// Headers of the answer that mean something to the client: those of parts of a file, and of uploads.
    fn headers(&self, slot: &Slot, answer: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in answer {
            let upload = name.as_str().starts_with(UPLOAD) && name.as_str() != UPLOAD_URL;
            if upload || [CONTENT_RANGE, ACCEPT_RANGES].contains(name) {
                headers.insert(name.clone(), value.clone());
            }
        }
        let url = answer.get(UPLOAD_URL).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if let Some((_, query)) = url.split_once('?')
            && let Some(id) = upload_id(query)
            && let Ok(here) =
                HeaderValue::try_from(format!("{}{}?{}", self.base(), self.head.uri.path(), without_key(query)))
        {
            self.app.responses.hold(self.caller.owner(), id, Arc::new(slot.held(Text::new())));
            headers.insert(UPLOAD_URL, here);
        }
        headers
    }

    /// The address by which the client reached us.
    fn base(&self) -> String {
        let headers = &self.head.headers;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let host = host.or_else(|| Some(self.head.uri.authority()?.to_string())).unwrap_or_default();
        let secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        format!("{}://{host}", if secure { "https" } else { "http" })
    }
}

/// The entries of a member that is a list.
fn entries<'b>(peek: &Peek, body: &'b [u8], name: &str) -> Option<Vec<&'b RawValue>> {
    peek.get(body, name).and_then(|list| serde_json::from_slice(list).ok())
}

/// Path and query of an address.
fn path_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    Some(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_path() {
        assert_eq!(path_of("https://api.anthropic.com/v1/a/results?x=1").as_deref(), Some("/v1/a/results?x=1"));
        assert_eq!(path_of("nonsense"), None);
    }
}
