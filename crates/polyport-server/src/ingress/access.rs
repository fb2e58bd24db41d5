//! Who calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use polyport_routing::Resolved;
use polyport_types::{ClientProtocol, Fault, FaultClass, Text};

use crate::app::{App, Runtime};
use crate::config::{KeyHash, Limits};
use crate::directory::{self, Directory, Grant};
use crate::gate::{Permit, Queue};
use crate::identity::throttle::Source;
use crate::ingress::peer::Peer;

/// Longest key looked at, in bytes.
const LONGEST_KEY: usize = 1024;

/// Where keys stand beside `authorization`.
const OTHER_KEYS: [HeaderName; 4] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-admin-token"),
];

/// The one a request is answered for.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Name of the key; empty without one.
    pub(crate) name: Text,
    counter: Option<Arc<AtomicUsize>>,
    /// What a key of the database allows; those of the configuration allow everything.
    grant: Option<Arc<Grant>>,
}

impl Caller {
    /// Whoever has no key.
    pub(crate) fn nobody() -> Self {
        Self { name: Text::new(), counter: None, grant: None }
    }

    /// Whom stored answers and signatures belong to. Names of keys in the database may be the same, their ids are not.
    pub(crate) fn owner(&self) -> &Text {
        self.grant.as_ref().map_or(&self.name, |grant| &grant.id)
    }

    /// The names by which routes may know the caller: of the key, its user and its team.
    pub(crate) fn names(&self) -> Vec<&str> {
        let people = self.grant.iter().flat_map(|grant| [&grant.user, &grant.team]).flatten();
        std::iter::once(&self.name).chain(people.map(|one| &one.name)).map(|name| &**name).collect()
    }

    /// What a key of the database allows.
    pub(crate) fn grant(&self) -> Option<&Arc<Grant>> {
        self.grant.as_ref()
    }

    /// Whether it may ask for a model in this protocol.
    ///
    /// # Errors
    /// `PermissionDenied`, with what is not allowed.
    pub(crate) fn may_use(&self, model: &str, protocol: ClientProtocol) -> Result<(), Fault> {
        self.grant.as_ref().map_or(Ok(()), |grant| grant.allows(model, protocol))
    }

    /// Whether it may ask for what names no model.
    ///
    /// # Errors
    /// `PermissionDenied`, if it is bounded to some models, or may not use the protocol.
    pub(crate) fn may_use_any_model(&self, protocol: ClientProtocol) -> Result<(), Fault> {
        self.grant.as_ref().map_or(Ok(()), |grant| grant.allows_any_model(protocol))
    }

    /// Whether a model is among those that it may ask for.
    pub(crate) fn sees(&self, model: &str) -> bool {
        self.grant.as_ref().is_none_or(|grant| grant.allows_model(model))
    }

    /// Whether these targets may answer it.
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub(crate) fn may_be_answered_by(&self, resolved: &Resolved) -> Result<(), Fault> {
        let pools = resolved.stages.iter().map(|stage| stage.pool.as_deref());
        match &self.grant {
            Some(grant) if !grant.allows_pools(&pools) => {
                let words =
                    format!("the key `{}` may use other pools only; ask the operator of this gateway", self.name);
                Err(Fault::new(FaultClass::PermissionDenied, words))
            }
            _ => Ok(()),
        }
    }
}

/// Finds the caller of a request.
///
/// # Errors
/// A fault of class `ClientAuth` without a valid key, or `PermissionDenied` for a web page that is not ours.
pub(crate) fn caller(app: &App, runtime: &Runtime, head: &Parts) -> Result<Caller, Fault> {
    let access = &runtime.config.access;
    let now = directory::now();
    let (guesses, here) = (&app.identity.guesses, Peer::found(head).address);
    if let Some(wait) = guesses.wait(here, now)
        && presented(head).next().is_some()
        && !presented(head).any(|key| guesses.knows(here, KeyHash::of(key)))
    {
        return Err(full("too many wrong keys came from this address").with_retry_after(wait));
    }
    let good = |key: &str| {
        if !guesses.is_quiet() {
            guesses.good(here, KeyHash::of(key));
        }
    };
    for key in presented(head) {
        if let Some(known) = access.find(key) {
            good(key);
            let name = known.name.clone();
            return Ok(Caller { counter: Some(app.key_counter(&name)), name, grant: None });
        }
        if let Some(grant) = app.directory.as_ref().and_then(|directory| directory.find(key, now)) {
            grant.check(now)?;
            grant.check_address(here)?;
            good(key);
            app.responses.have_several(true);
            let counter = app.key_counter(&grant.id);
            return Ok(Caller { counter: Some(counter), name: grant.name.clone(), grant: Some(grant) });
        }
    }
    if is_open(app, runtime) {
        foreign_page(head)?;
        return Ok(Caller::nobody());
    }
    if presented(head).next().is_some()
        && let Err(wait) = guesses.begin(&[Source::address(here)], now)
    {
        return Err(full("too many wrong keys came from this address").with_retry_after(wait));
    }
    Err(Fault::new(
        FaultClass::ClientAuth,
        "a valid key of this gateway is needed: as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`",
    ))
}

/// Whether nobody needs a key.
pub(crate) fn is_open(app: &App, runtime: &Runtime) -> bool {
    let access = &runtime.config.access;
    let has_keys = || app.directory.as_ref().is_some_and(Directory::has_keys);
    access.open && (access.open_was_chosen || !has_keys())
}

/// Whether someone may read the figures: with a key of an operator or one for them, or where no key is needed.
///
/// # Errors
/// A fault of class `ClientAuth`, or `PermissionDenied` for a web page that is not ours.
pub(crate) fn reads_figures(app: &App, runtime: &Runtime, head: &Parts) -> Result<(), Fault> {
    let (access, metrics) = (&runtime.config.access, &runtime.config.metrics);
    if presented(head).any(|key| metrics.holds(key) || access.find_admin(key).is_some()) {
        return Ok(());
    }
    if metrics.open || is_open(app, runtime) {
        let public = metrics.listen.map_or(runtime.config.listen.is_public(), |address| !address.ip().is_loopback());
        // Elsewhere they are reached by all sorts of names.
        return if public { Ok(()) } else { foreign_page(head) };
    }
    let words = "the figures need a key of an operator or one of `metrics.keys`, as `Authorization: Bearer`";
    Err(Fault::new(FaultClass::ClientAuth, words))
}

/// The keys a request presents, in order of precedence. The first one that is known counts.
pub(crate) fn presented(head: &Parts) -> impl Iterator<Item = &str> {
    let headers = &head.headers;
    let bearer = single(headers, AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let others = OTHER_KEYS.into_iter().map(|name| single(headers, name));
    let query =
        head.uri.query().into_iter().flat_map(|query| query.split('&')).find_map(|pair| pair.strip_prefix("key="));
    std::iter::once(bearer)
        .chain(others)
        .chain(std::iter::once(query))
        .flatten()
        .filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY)
}

/// A header that stands once and is text; a doubled one counts as absent.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok()
}

/// Refuses requests that a web page of another site makes through the user's browser, names that a hostile resolver points at this
/// machine included. Only for gateways that need no key.
fn foreign_page(head: &Parts) -> Result<(), Fault> {
    let denied = |words: &str| Err(Fault::new(FaultClass::PermissionDenied, words));
    let headers = &head.headers;
    // HTTP/2 names the host in the address.
    let host = match headers.get(HOST) {
        Some(host) => host.to_str().unwrap_or("?"),
        None => head.uri.authority().map_or("", |authority| authority.as_str()),
    };
    if !host.is_empty() && !is_local_name(host) {
        return denied(
            "this gateway needs no key, so it answers only to `localhost` and to addresses, not to other host names; set a client key to change that",
        );
    }
    match headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
        None => Ok(()),
        Some(origin) => {
            let origin_host = origin.split_once("://").map_or(origin, |(_, host)| host);
            // Programs with a browser inside (VS Code, Electron) use schemes of their own. `null` is any page that put itself into a
            // sandboxed frame.
            let page = origin.starts_with("http://") || origin.starts_with("https://") || origin == "null";
            if page && !is_local_name(origin_host) {
                return denied(
                    "this gateway needs no key, so it answers no web pages of other sites; set a client key to change that",
                );
            }
            Ok(())
        }
    }
}

/// `localhost` or an IP address, with or without a port.
pub(crate) fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest.split_once(']').is_some_and(|(address, _)| address.parse::<std::net::Ipv6Addr>().is_ok());
        }
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    let is_address = || name.parse::<std::net::IpAddr>().is_ok();
    name.eq_ignore_ascii_case("localhost") || is_address() || name.to_ascii_lowercase().ends_with(".localhost")
}

/// A place among the requests in flight; dropped with the request.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<AtomicUsize>,
    key: Option<Arc<AtomicUsize>>,
    /// None while its body is read, and while it waits.
    permit: Option<Permit>,
}

impl Place {
    /// Lets a request in, if the limits leave room for it: to be answered, or to wait for that.
    ///
    /// # Errors
    /// `LocalRate` with the time after which to try again.
    pub(crate) fn take(app: &App, runtime: &Runtime, caller: &Caller) -> Result<Self, Fault> {
        let limits = &runtime.config.limits;
        let mut place = Self { all: Arc::clone(&app.in_flight), key: None, permit: None };
        // From here on dropping `place` gives back what was counted.
        if place.all.fetch_add(1, Ordering::Relaxed) >= limits.requests.saturating_add(limits.queue) {
            return Err(full("the gateway is answering as many requests as it may"));
        }
        if let Some(counter) = &caller.counter {
            place.key = Some(Arc::clone(counter));
            if counter.fetch_add(1, Ordering::Relaxed) >= limits.requests_per_key {
                return Err(full("this key has as many requests open as it may"));
            }
        }
        Ok(place)
    }

    /// Waits until the request may be answered.
    ///
    /// # Errors
    /// `LocalRate` if that takes too long.
    pub(crate) async fn wait(&mut self, app: &App, limits: &Limits) -> Result<(), Fault> {
        // The length of the line was seen to when the request was let in.
        let queue = Queue { length: usize::MAX, time: limits.queue_time };
        let permit = app.places.take(limits.requests, queue).await;
        self.permit = Some(permit.map_err(|_| full("the gateway is answering as many requests as it may"))?);
        Ok(())
    }
}

/// There is no room for a request now.
fn full(words: &str) -> Fault {
    Fault::new(FaultClass::LocalRate, words).with_retry_after(std::time::Duration::from_secs(1))
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(key) = &self.key {
            key.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn keys(request: http::request::Builder) -> Vec<String> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        presented(&head).map(str::to_owned).collect()
    }

    #[test]
    fn c2_keys_are_read_in_one_order() {
        let all = Request::get("/?alt=sse&key=q")
            .header("x-goog-api-key", "g")
            .header("api-key", "z")
            .header("x-api-key", "x")
            .header("authorization", "bearer b");
        assert_eq!(keys(all), ["b", "x", "g", "z", "q"]);
    }

    #[test]
    fn c1_odd_authorizations_are_no_keys() {
        assert!(
            keys(Request::get("/").header("authorization", "Bearer a").header("authorization", "Bearer b")).is_empty()
        );
        assert!(keys(Request::get("/").header("authorization", "Bearer ")).is_empty());
        assert!(keys(Request::get("/").header("authorization", &b"Bearer \xff"[..])).is_empty());
        assert!(keys(Request::get("/").header("authorization", "Basic YTpi")).is_empty());
    }

    #[test]
    fn a11_only_local_names_are_answered_without_a_key() {
        for (host, local) in [
            ("localhost:7659", true),
            ("127.0.0.1", true),
            ("[::1]:7659", true),
            ("a.localhost", true),
            ("evil.example", false),
            ("localhost.evil.example:80", false),
        ] {
            assert_eq!(is_local_name(host), local, "{host}");
        }
    }
}
