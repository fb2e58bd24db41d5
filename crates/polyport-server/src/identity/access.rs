//! Finding out who asks the admin API.

use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use polyport_store::{Error, Role};

use super::millis;
use super::principal::{Principal, SignedIn};
use super::session::{self, Token};
use super::throttle::Source;
use crate::app::{App, Runtime};
use crate::config::KeyHash;
use crate::ingress::access::presented;
use crate::ingress::peer::Peer;
use crate::listen::Operator;
use crate::{clock, directory};

/// Who a holder of an admin key says they are.
const ACTOR: HeaderName = HeaderName::from_static("x-admin-actor");

/// Longest name of an actor, in characters.
const LONGEST_ACTOR: usize = 100;

/// That a session is in use is written this seldom.
const TOUCH: i64 = 60_000;

/// Why somebody is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

impl Denied {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// Somebody guessed too often.
    pub(crate) fn too_often(wait: Duration) -> Self {
        let words = "too many wrong keys or passwords came from here, or were tried for this name: wait a while";
        let denied = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", words);
        Self { retry_after: Some(wait), ..denied }
    }

    /// The database does not answer.
    pub(crate) fn away(error: &Error) -> Self {
        let words = format!("who you are cannot be looked up: {error}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", words)
    }

    pub(crate) fn foreign() -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign_page", session::FOREIGN)
    }
}

/// Finds out who asks. Operators of this machine need no key; a key that is shown counts; otherwise the cookie of a session.
///
/// # Errors
/// For what is shown and is not good. Nothing at all is [`Principal::Nobody`].
pub(crate) async fn principal(app: &App, runtime: &Runtime, head: &Parts) -> Result<Principal, Denied> {
    if let Some(Operator { name }) = head.extensions.get() {
        return Ok(Principal::Local { name: name.clone(), actor: actor(&head.headers) });
    }
    if presented(head).next().is_some() {
        return by_key(app, runtime, head);
    }
    let Some(store) = &app.identity.store else { return Ok(Principal::Nobody) };
    let (now, times) = (clock::now_signed(), runtime.config.access.sessions);
    for token in Token::shown(head) {
        let digest = token.digest();
        let found = store.identities().session(&digest, now, now - millis(times.idle)).await;
        let Some(found) = found.map_err(|error| Denied::away(&error))? else { continue };
        let user = &found.user.value;
        // Admins see to it that teams are switched on again.
        if !user.enabled || !(found.team_enabled || user.role == Role::Admin) {
            continue;
        }
        if !session::is_ours(head, !runtime.config.listen.is_public()) {
            return Err(Denied::foreign());
        }
        let csrf = token.csrf();
        if !matches!(head.method, Method::GET | Method::HEAD) && !session::shows(head, &csrf) {
            let words = "a request that changes something needs the header `x-polyport-csrf` with the `csrf` of `GET /admin/api/session`";
            return Err(Denied::new(StatusCode::FORBIDDEN, "csrf_needed", words));
        }
        if now - found.seen_at > TOUCH {
            store.identities().touch(&digest, now).await.map_err(|error| Denied::away(&error))?;
        }
        return Ok(Principal::User(Box::new(SignedIn {
            id: found.user.id.clone(),
            name: user.name.clone(),
            role: user.role,
            team: user.team.clone(),
            digest,
            csrf,
            means: found.means,
            must_change: found.must_change,
            created_at: found.created_at,
            expires_at: found.expires_at,
        })));
    }
    Ok(Principal::Nobody)
}

fn by_key(app: &App, runtime: &Runtime, head: &Parts) -> Result<Principal, Denied> {
    let access = &runtime.config.access;
    let (address, now) = (Peer::found(head).address, clock::now_signed());
    let (throttle, source) = (&app.identity.throttle, [Source::address(address)]);
    let known = || presented(head).find_map(|key| Some((KeyHash::of(key), access.find_admin(key)?)));
    if let Some(wait) = throttle.wait(address, now) {
        // Those who were let in before somebody else began to guess are not kept out by that.
        if !known().is_some_and(|(hash, _)| throttle.knows(address, hash)) {
            return Err(Denied::too_often(wait));
        }
    }
    if let Some((hash, key)) = known() {
        throttle.good(address, hash);
        return Ok(Principal::Key { name: key.name.to_string(), actor: actor(&head.headers) });
    }
    let directory = app.directory.as_ref();
    let of_client = |key: &str| {
        access.find(key).is_some() || directory.is_some_and(|directory| directory.find(key, directory::now()).is_some())
    };
    if presented(head).any(of_client) {
        let words =
            "this is a key for clients; the admin API needs one of `access.admin_keys`, or a user who is signed in";
        return Err(Denied::new(StatusCode::FORBIDDEN, "client_key", words));
    }
    throttle.begin(&source, now).map_err(Denied::too_often)?;
    Err(nobody(app, runtime))
}

/// What somebody is told who shows nothing that is known.
pub(crate) fn nobody(app: &App, runtime: &Runtime) -> Denied {
    if app.identity.store.is_none() && !runtime.config.access.has_admin_keys() {
        let words = "the admin API is closed, because there is neither an admin key nor a database of users: set the environment \
                     variable ADMIN_TOKEN, or `access: { admin_keys: [\"env:NAME\"] }` in the configuration file";
        return Denied::new(StatusCode::FORBIDDEN, "no_admin_key", words);
    }
    let words = "a valid admin key is needed, as `Authorization: Bearer` or `x-api-key`, or a user who is signed in (`POST /admin/api/session`)";
    Denied::new(StatusCode::UNAUTHORIZED, "admin_key_needed", words)
}

/// Who a holder of an admin key says they are, fit to be written down.
fn actor(headers: &HeaderMap) -> Option<String> {
    let name: String = clean(&String::from_utf8_lossy(headers.get(ACTOR)?.as_bytes()));
    (!name.is_empty()).then_some(name)
}

/// A name that somebody gave, fit to be written down.
pub(crate) fn clean(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(LONGEST_ACTOR).collect()
}
