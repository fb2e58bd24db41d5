//! What providers keep for their clients beside answers: files, uploads, batches, vector stores, caches and their like. Nothing is
//! translated: a request goes to a provider that has such things, with the credential they belong to, and bytes flow both ways.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | which paths there are |
//! | [`batch`] | model names inside a batch |
//! | [`answer`] | what the client gets, and what is noted of it |

mod answer;
mod batch;
mod table;

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderName, Method, Response};
use polyport_provider::Call as Ask;
use polyport_routing::Resolved;
use polyport_types::{ClientProtocol, Fault, FaultClass, Text};

use super::content::Content;
use super::forward::absent;
use super::held::without_key;
use super::{Call, Entered, models};
use crate::app::{App, Asks, Runtime, Upstream};
use crate::body::Body;
use crate::ingress::access::Caller;
use crate::ledger::Demand;
use crate::ledger::tries::Estimate;
use crate::relay::course::{Course, Slot, steady};
use crate::relay::origin::shown;
use crate::relay::refers::references;
use crate::relay::{self, wire};
use crate::router::Style;
use table::same_api;

pub(crate) use table::{Place, method};

/// Gemini's own headers of uploads begin with this.
const UPLOAD: &str = "x-goog-upload-";

/// Answers a request about something in the collections of a provider; `path` is what stands behind the version.
pub(crate) async fn handle(call: Call, style: Style, path: String) -> Response<Body> {
    let protocol = models::protocol(&call, style);
    match Place::find(protocol, &path) {
        Some(place) => relay(call, protocol, place).await,
        None => {
            let words = format!("there is no `{}` here", shown(&path));
            call.logged(call.refuse(protocol, &Fault::new(FaultClass::NotFound, words)))
        }
    }
}

/// Hands on what begins at a Gemini model.
pub(crate) async fn method_of_model(call: Call, model: &str, method: &str) -> Response<Body> {
    let (protocol, raw) = (ClientProtocol::Gemini, false);
    let (entered, content) = match call.enter_with_content(protocol, "objects", raw).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let path = format!("models/{{model}}:{method}");
    let seeking = Seeking {
        app: &entered.app,
        runtime: &entered.runtime,
        caller: &entered.caller,
        headers: &entered.parts.headers,
        protocol,
    };
    seeking.recall(&[], &content).await;
    let resolved = seeking.checked(&content).and_then(|_| seeking.of_model(model));
    let asked = Asked { protocol, path, upload: false, content: false, collection: false, deletes: None };
    go(entered, content, asked, resolved, Some(model.into())).await
}

async fn relay(call: Call, protocol: ClientProtocol, place: Place) -> Response<Body> {
    let (entered, content) = match call.enter_with_content(protocol, "objects", place.upload).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let seeking = Seeking {
        app: &entered.app,
        runtime: &entered.runtime,
        caller: &entered.caller,
        headers: &entered.parts.headers,
        protocol,
    };
    let method = &entered.parts.method;
    let query = entered.parts.uri.query().unwrap_or_default();
    let named = model_of(&place, &content);
    let mut names = place.names();
    names.extend(upload_id(query));
    seeking.recall(&names, &content).await;
    let resolved = match &named {
        Ok(model) => seeking.places(&place, upload_id(query), &content, model.as_deref()),
        Err(fault) => Err(fault.clone()),
    };
    let asked = Asked {
        protocol,
        upload: place.upload,
        content: place.is_content() || query.split('&').any(|pair| pair == "alt=media"),
        collection: place.is_collection() && matches!(*method, Method::GET | Method::HEAD),
        deletes: (*method == Method::DELETE && place.is_thing())
            .then(|| place.names().into_iter().map(Text::from).collect()),
        path: place.path,
    };
    go(entered, content, asked, resolved, named.ok().flatten()).await
}

/// The model a body names: itself, or in the first request of a batch.
fn model_of(place: &Place, content: &Content) -> Result<Option<Text>, Fault> {
    match content {
        Content::Json(body) if is_batch(&place.path) => batch::first_model(body),
        content => content.model(),
    }
}

/// Anthropic's batches hold whole requests, each with its model.
fn is_batch(path: &str) -> bool {
    path == "messages/batches"
}

/// The upload that a request goes on with.
fn upload_id(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("upload_id="))
}

/// What a provider is asked, and what its answer is.
#[derive(Debug)]
struct Asked {
    protocol: ClientProtocol,
    path: String,
    upload: bool,
    /// The answer is what was once sent, of whatever size.
    content: bool,
    /// The answer lists a collection.
    collection: bool,
    /// What is there no more if it succeeds.
    deletes: Option<Vec<Text>>,
}

/// Sends a request to the first of its places; to another one only where that cannot make anything twice.
async fn go(
    entered: Entered,
    content: Content,
    asked: Asked,
    resolved: Result<Resolved, Fault>,
    model: Option<Text>,
) -> Response<Body> {
    let Entered { app, runtime, id, parts, caller, mut record, .. } = entered;
    record.model = model.unwrap_or_default();
    let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
    let query = without_key(parts.uri.query().unwrap_or_default());
    let query = (!query.is_empty()).then_some(query.as_str());
    let path = asked.path.as_str();
    let result = async {
        let resolved = resolved?;
        let limited = Demand { model: &record.model.clone(), resolved: Some(&resolved) };
        record.admit(&runtime, limited, Estimate::default())?;
        let mut course = Course::new(Arc::clone(&app), Arc::clone(&runtime), resolved);
        let mut slot = course.first().await?;
        loop {
            record.aim(&slot, slot.upstream.config.protocol().as_str());
            record.sent();
            let body = match &content {
                Content::Json(body) if is_batch(path) => batch::with_models(&runtime, &slot, body)?.into(),
                content => content.with_model(&slot.target.model)?,
            };
            let model = &*slot.target.model;
            let ask = if asked.upload { Ask::Upload { path, query } } else { Ask::Other { path, model, query } };
            let headers = request_headers(&slot, &parts.headers, content.is_empty());
            match wire::send(&slot, method.clone(), ask, headers, body).await {
                Ok(opened) => return Ok((slot, opened)),
                Err(fault) if method == Method::GET || was_refused(&fault) => {
                    record.failed(&fault);
                    slot = course.after(slot, fault.into()).await?;
                }
                Err(fault) => {
                    record.failed(&fault);
                    return Err(fault);
                }
            }
        }
    }
    .await;
    match result {
        Ok((slot, opened)) => {
            let asking =
                answer::Asking { app: &app, runtime: &runtime, caller: &caller, asked: &asked, head: &parts, id: &id };
            asking.give(slot, opened, record).await
        }
        Err(fault) => relay::refuse(asked.protocol, &id, *record, &absent(fault)),
    }
}

/// Whether the provider said that it has not done what it was asked.
fn was_refused(fault: &Fault) -> bool {
    fault.upstream_status.is_some_and(|status| (400..500).contains(&status) && status != 408)
}

fn request_headers(slot: &Slot, client: &HeaderMap, empty: bool) -> HeaderMap {
    const NAMES: [&str; 5] =
        ["openai-beta", "idempotency-key", "x-client-request-id", "anthropic-version", "anthropic-beta"];
    let mut headers = wire::json_headers(false);
    if empty {
        headers.remove(CONTENT_TYPE);
    } else if let Some(kind) = client.get(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, kind.clone());
    }
    let messages = slot.upstream.config.protocol() == polyport_types::Protocol::Messages;
    let names =
        NAMES.into_iter().filter(|name| messages == name.starts_with("anthropic") || !name.starts_with("anthropic"));
    for name in names.map(HeaderName::from_static).chain([ACCEPT, RANGE]) {
        if let Some(value) = client.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in client.iter().filter(|(name, _)| name.as_str().starts_with(UPLOAD)) {
        headers.insert(name.clone(), value.clone());
    }
    if messages {
        headers.entry("anthropic-version").or_insert(http::HeaderValue::from_static("2023-06-01"));
    }
    wire::add_profile_headers(&mut headers, &slot.upstream.config.profile);
    headers
}

/// Who looks for a provider that has such things.
struct Seeking<'a> {
    app: &'a App,
    runtime: &'a Arc<Runtime>,
    caller: &'a Caller,
    headers: &'a HeaderMap,
    protocol: ClientProtocol,
}

impl Seeking<'_> {
    fn asks(&self) -> Asks<'_> {
        Asks { headers: self.headers, caller: self.caller }
    }

    /// Has in memory what the store knows of these names and of what a body refers to. What it does not say is not known.
    async fn recall(&self, names: &[&str], content: &Content) {
        let mut ids: Vec<Text> = names.iter().copied().map(Text::from).collect();
        if let Content::Json(body) = content {
            ids.extend(references(body));
        }
        self.app.responses.recall(self.caller.owner(), &ids).await.ok();
    }

    /// Where a request may go: to who keeps what it names or refers to, to the targets of the model it names, or to any provider that
    /// has such things.
    fn places(
        &self,
        place: &Place,
        upload: Option<&str>,
        content: &Content,
        model: Option<&str>,
    ) -> Result<Resolved, Fault> {
        // A batch holds requests for any models, wherever they stand.
        self.caller.may_use_any_model(self.protocol)?;
        let referred = self.checked(content)?;
        let held = |name: &str| self.app.responses.held(self.caller.owner(), name);
        let mut names = place.names();
        names.extend(upload);
        if let Some(held) = names.iter().find_map(|name| held(name)) {
            let gone = || {
                let words =
                    format!("it belongs to a credential of provider `{}` that is configured no more", held.provider);
                Fault::new(FaultClass::NotFound, words)
            };
            let slot = Slot::at(self.runtime, &held).ok_or_else(gone)?;
            return Ok(self.with_model(slot, model).only());
        }
        if !place.is_collection() || upload.is_some() {
            return self.only_one(place.kind).ok_or_else(|| {
                let id = place.path.split(':').next().unwrap_or_default();
                let words =
                    format!("`{}` is not known here: it was not made with this key, or too long ago", shown(id));
                Fault::new(FaultClass::NotFound, words)
            });
        }
        if let Some(slot) = referred {
            return Ok(self.with_model(slot, model).only());
        }
        if let Some(model) = model.filter(|model| !model.is_empty()) {
            return self.of_model(model);
        }
        let resolved = self.any(place.kind);
        if resolved.targets.is_empty() { Err(self.none(place.kind)) } else { Ok(resolved) }
    }

    /// Checks that a body refers only to what is the caller's own, and finds where that is.
    fn checked(&self, content: &Content) -> Result<Option<Slot>, Fault> {
        let Content::Json(body) = content else { return Ok(None) };
        let mut found = None;
        for name in references(body) {
            match self.app.responses.held(self.caller.owner(), &name) {
                Some(held) => found = found.or_else(|| Slot::at(self.runtime, &held)),
                // Of several callers it is not known whose it would be.
                None if !self.app.has_one_caller(self.runtime) => {
                    let words =
                        format!("`{}` is not known here: it was not made with this key, or too long ago", shown(&name));
                    return Err(Fault::new(FaultClass::NotFound, words));
                }
                None => {}
            }
        }
        Ok(found)
    }

    /// The slot with its provider's name of the model; a name that does not lead there stays as it is.
    fn with_model(&self, mut slot: Slot, model: Option<&str>) -> Slot {
        let resolved = model.and_then(|model| self.runtime.resolve(model, self.protocol, self.asks()).ok());
        let targets = resolved.map(|resolved| resolved.targets).unwrap_or_default();
        let provider = &slot.target.provider;
        let model = targets.iter().find(|target| target.provider == *provider).map(|target| target.model.clone());
        slot.target.model = model.unwrap_or_default();
        slot
    }

    /// The targets of a model that speak this API.
    fn of_model(&self, model: &str) -> Result<Resolved, Fault> {
        let fits =
            |upstream: &Upstream| upstream.client.is_some() && same_api(self.protocol, upstream.config.protocol());
        let resolved =
            self.runtime.resolve(model, self.protocol, self.asks())?.filtered(|target| self.runtime.fits(target, fits));
        if resolved.targets.is_empty() {
            let words = format!("no provider of the model `{}` has this endpoint", shown(model));
            return Err(Fault::new(FaultClass::NotFound, words));
        }
        Ok(resolved)
    }

    /// Providers that have such things.
    fn any(&self, kind: &str) -> Resolved {
        let has = |upstream: &Upstream| {
            let objects = &upstream.config.profile.objects;
            upstream.client.is_some()
                && same_api(self.protocol, upstream.config.protocol())
                && objects.iter().any(|known| known == "*" || known == kind)
        };
        steady(self.runtime, has)
    }

    /// The place of something unknown, where there is but one that it can have, and one caller whose it can be.
    fn only_one(&self, kind: &str) -> Option<Resolved> {
        let resolved = self.any(kind);
        let [target] = &*resolved.targets else { return None };
        let credentials = self.runtime.provider(&target.provider)?.config.credentials().len();
        (self.app.has_one_caller(self.runtime) && credentials <= 1).then_some(resolved)
    }

    fn none(&self, kind: &str) -> Fault {
        let vendor = match self.protocol {
            ClientProtocol::Chat | ClientProtocol::Responses => "OpenAI's",
            ClientProtocol::Messages => "Anthropic's",
            ClientProtocol::Gemini => "the Gemini",
        };
        Fault::new(FaultClass::NotFound, format!("no provider here has `{kind}` of {vendor} API"))
    }
}
