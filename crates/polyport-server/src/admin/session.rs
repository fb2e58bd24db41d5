//! Signing in and out, passwords, and the first admin.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use polyport_store::{NewSession, Password, Role, Store, Stored, User};
use polyport_types::Secret;
use serde_json::{Map, Value, json};

use super::people::{refusal, user_in_scope};
use super::{Answer, Refusal, View, members};
use crate::clock;
use crate::id::RequestId;
use crate::identity::access::{self, Denied};
use crate::identity::audit::{self, Deed};
use crate::identity::password::{self, Busy};
use crate::identity::principal::{Principal, SignedIn};
use crate::identity::session::{self, Token};
use crate::identity::setup::Tried;
use crate::identity::throttle::Source;
use crate::ingress::peer::Peer;

/// Longest name that is looked up, in bytes.
const LONGEST_NAME: usize = 200;

/// What can be asked about signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// How one may sign in.
    Offer,
    /// Makes the first admin.
    SetUp,
    SignIn,
    /// To the identity provider.
    GoElsewhere,
    /// From there.
    ComeBack,
    /// Who one is.
    Show,
    SignOut,
    /// One's own.
    ChangePassword,
    /// Somebody's.
    SetPassword,
    /// Signs somebody out everywhere.
    EndAll,
}

impl Ask {
    /// Whether it may be asked by those who have to choose another password first.
    pub(super) fn leads_to_a_password(self) -> bool {
        !matches!(self, Self::SetPassword | Self::EndAll)
    }
}

pub(super) async fn answer(
    view: &View,
    ask: Ask,
    about: &str,
    head: &Parts,
    id: &RequestId,
    body: Value,
) -> Result<Answer, Refusal> {
    if ask == Ask::Offer {
        // A page asks this before it asks who one is, which is an error for those who are nobody.
        let known = access::principal(&view.app, &view.runtime, head).await.ok();
        return Ok(json!({
            "needed": view.app.identity.setup.is_open(), "oidc": view.runtime.config.access.oidc.is_some(),
            "open": crate::ingress::access::is_open(&view.app, &view.runtime),
            "signed_in": known.is_some_and(|principal| principal.role().is_some()),
        })
        .into());
    }
    if ask == Ask::Show && view.principal.user().is_none() {
        return Ok(shown(view).into());
    }
    let Some(store) = &view.app.identity.store else {
        let words = "there is no database to keep users in: set `store.url`; admin keys need none";
        return Err(Refusal::new(StatusCode::CONFLICT, "no_database", words));
    };
    let door = Door { view, store, head, id };
    match ask {
        Ask::Offer | Ask::Show => Ok(shown(view).into()),
        Ask::SetUp => door.set_up(&members(body, &["code", "name", "password"])?).await,
        Ask::SignIn => door.sign_in(&members(body, &["name", "password"])?).await,
        Ask::GoElsewhere => {
            members(body, &[])?;
            door.shown_to_people(door.go_elsewhere().await)
        }
        Ask::ComeBack => door.shown_to_people(door.come_back().await),
        Ask::SignOut => door.sign_out().await,
        Ask::ChangePassword => door.change_password(&members(body, &["current", "password"])?).await,
        Ask::SetPassword => door.set_password(about, &members(body, &["password", "must_change"])?).await,
        Ask::EndAll => {
            members(body, &[])?;
            let user = user_in_scope(view, about)?;
            let ended = store.identities().end_all(&user.id).await.map_err(refusal)?;
            Ok(json!({ "ended": ended }).into())
        }
    }
}

/// Who one is, and what may be done.
fn shown(view: &View) -> Value {
    let currency = view.runtime.config.money.currency.as_str();
    match &view.principal {
        Principal::User(user) => {
            let directory = view.app.directory.as_ref();
            let team = user.team.as_deref().map(|id| {
                let name = directory.and_then(|directory| directory.team(id)).map(|team| team.value.name);
                json!({ "id": id, "name": name })
            });
            json!({
                "kind": "user", "id": user.id, "name": user.name, "role": user.role.as_str(), "team": team, "csrf": user.csrf,
                "means": user.means, "must_change": user.must_change, "created_at": user.created_at,
                "expires_at": user.expires_at, "currency": currency,
            })
        }
        Principal::Key { name, actor } => {
            json!({ "kind": "key", "name": name, "actor": actor, "role": Role::Admin.as_str(), "currency": currency })
        }
        Principal::Local { name, actor } => {
            json!({ "kind": "local", "name": name, "actor": actor, "role": Role::Admin.as_str(), "currency": currency })
        }
        Principal::Nobody => json!({ "kind": "nobody" }),
    }
}

/// What a request about signing in has at hand.
pub(super) struct Door<'a> {
    pub(super) view: &'a View,
    pub(super) store: &'a Store,
    pub(super) head: &'a Parts,
    id: &'a RequestId,
}

impl Door<'_> {
    async fn set_up(&self, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        self.check_page()?;
        let identity = &self.view.app.identity;
        let source = [Source::address(Peer::found(self.head).address)];
        let (code, name, password) = (text(body, "code")?, text(body, "name")?, text(body, "password")?);
        identity.throttle.begin(&source, clock::now_signed()).map_err(Denied::too_often)?;
        match identity.setup.tries(code) {
            Tried::Right => identity.throttle.succeeded(&source),
            Tried::Wrong => {
                return self
                    .failed("setUp", name, "wrong_code", "this is not the code that was shown at the start")
                    .await;
            }
            Tried::None => {
                let words = "there is no code (any more): if there is no admin, start the gateway again, or use `polyport users set-password`";
                return self.failed("setUp", name, "no_setup_code", words).await;
            }
        }
        let name = super::people::checked_name(name)?;
        let user = User { name, enabled: true, team: None, role: Role::Admin, definition: json!({}) };
        let hash = self.new_hash(password, &user.name).await?;
        let password = Password { hash, must_change: false };
        let made = self.store.identities().create_with_password(user, &password, clock::now_signed(), true).await;
        let made = made.map_err(refusal)?;
        identity.setup.close();
        self.refresh().await?;
        let answer = self.begin(&made, "password", false, session::is_https(self.head)).await?;
        self.note("setUp", &made, StatusCode::CREATED).await;
        Ok(Answer { status: StatusCode::CREATED, ..answer })
    }

    async fn sign_in(&self, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        self.check_page()?;
        let identity = &self.view.app.identity;
        let (name, given) = (text(body, "name")?.trim(), text(body, "password")?);
        let sources = [Source::address(Peer::found(self.head).address), Source::name(name)];
        identity.throttle.begin(&sources, clock::now_signed()).map_err(Denied::too_often)?;
        let found = match name.len() <= LONGEST_NAME && given.len() <= password::LONGEST {
            true => self.store.identities().password_of(name).await.map_err(refusal)?,
            false => None,
        };
        let known = found.as_ref().and_then(|(_, password)| password.clone());
        let hash = known.as_ref().map(|known| known.hash.clone());
        let right = identity.hashing.check(Secret::new(given.to_owned()), hash).await.map_err(busy)?;
        let (Some((user, Some(known))), true) = (found, right) else { return self.no_such(name).await };
        let team = user.value.team.as_deref();
        let directory = self.view.app.directory.as_ref();
        let team_is_off = team.is_some_and(|id| {
            directory.and_then(|directory| directory.team(id)).is_none_or(|team| !team.value.enabled)
        });
        if !user.value.enabled || team_is_off && user.value.role != Role::Admin {
            return self.no_such(name).await;
        }
        identity.throttle.succeeded(&sources);
        let answer = self.begin(&user, "password", known.must_change, session::is_https(self.head)).await?;
        self.note("signIn", &user, StatusCode::OK).await;
        Ok(answer)
    }

    /// The same words for whatever is wrong.
    async fn no_such(&self, name: &str) -> Result<Answer, Refusal> {
        self.failed("signIn", name, "sign_in_failed", "name and password do not fit, or the user may not sign in").await
    }

    async fn sign_out(&self) -> Result<Answer, Refusal> {
        let user = self.user()?;
        self.store.identities().end(&user.digest).await.map_err(refusal)?;
        audit::record(&self.view.app, &self.view.principal, self.head, self.id, deed("signOut", StatusCode::OK)).await;
        let headers = session::forgotten().map(|cookie| (SET_COOKIE, cookie)).to_vec();
        Ok(Answer { headers, ..json!({ "signed_out": true }).into() })
    }

    async fn change_password(&self, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        let user = self.user()?;
        let (current, new) = (text(body, "current")?, text(body, "password")?);
        let identity = &self.view.app.identity;
        let sources = [Source::address(Peer::found(self.head).address), Source::name(&user.name)];
        identity.throttle.begin(&sources, clock::now_signed()).map_err(Denied::too_often)?;
        let found = self.store.identities().password_of(&user.name).await.map_err(refusal)?;
        let hash = found.as_ref().and_then(|(_, password)| password.as_ref()).map(|known| known.hash.clone());
        let fits = current.len() <= password::LONGEST;
        if !identity.hashing.check(Secret::new(current.to_owned()), hash).await.map_err(busy)? || !fits {
            let deed = deed("changeOwnPassword", StatusCode::FORBIDDEN);
            audit::record(&self.view.app, &self.view.principal, self.head, self.id, deed).await;
            return Err(Refusal::new(StatusCode::FORBIDDEN, "wrong_password", "current: this is not your password"));
        }
        identity.throttle.succeeded(&sources);
        if current == new {
            return Err(Refusal::member("password", "it is the one you have; choose another one"));
        }
        let hash = self.new_hash(new, &user.name).await?;
        let password = Password { hash, must_change: false };
        self.store.identities().set_password(&user.id, &password, clock::now_signed(), None).await.map_err(refusal)?;
        let (found, _) = found.ok_or_else(|| Refusal::not_found("you are not there any more"))?;
        // This session ended as well: its cookie may be known to whoever knew the password.
        let answer = self.begin(&found, "password", false, session::is_https(self.head)).await?;
        self.note("changeOwnPassword", &found, StatusCode::OK).await;
        Ok(answer)
    }

    async fn set_password(&self, about: &str, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        let user = user_in_scope(self.view, about)?;
        let must_change = match body.get("must_change") {
            None => true,
            Some(Value::Bool(must)) => *must,
            Some(_) => return Err(Refusal::member("must_change", "must be true or false")),
        };
        let made = if body.contains_key("password") { None } else { Some(password::make()) };
        let given = match &made {
            Some(made) => made.as_str(),
            None => text(body, "password")?,
        };
        let password = Password { hash: self.new_hash(given, &user.value.name).await?, must_change };
        self.store.identities().set_password(&user.id, &password, clock::now_signed(), None).await.map_err(refusal)?;
        let mut told = json!({ "id": user.id, "must_change": must_change });
        if let Some(made) = made {
            super::extend(&mut told, json!({ "password": made }));
        }
        Ok(told.into())
    }

    /// Begins a session with a cookie that nobody has seen; the one that was shown, if any, ends.
    pub(super) async fn begin(
        &self,
        user: &Stored<User>,
        means: &str,
        must_change: bool,
        https: bool,
    ) -> Result<Answer, Refusal> {
        let (people, now) = (self.store.identities(), clock::now_signed());
        for shown in Token::shown(self.head) {
            people.end(&shown.digest()).await.map_err(refusal)?;
        }
        let token = Token::make();
        let longest: Duration = self.view.runtime.config.access.sessions.longest;
        let expires_at = now.saturating_add(crate::identity::millis(longest));
        let new = NewSession { digest: token.digest(), means: means.to_owned(), now, expires_at };
        people.begin(&user.id, &new).await.map_err(refusal)?;
        let principal = Principal::User(Box::new(SignedIn {
            id: user.id.clone(),
            name: user.value.name.clone(),
            role: user.value.role,
            team: user.value.team.clone(),
            digest: new.digest,
            csrf: token.csrf(),
            means: new.means,
            must_change,
            created_at: now,
            expires_at,
        }));
        let told = shown(&View { principal, ..View::of(&self.view.app) });
        let cookie = token.cookie(https, longest);
        let headers = cookie.map(|cookie: HeaderValue| (SET_COOKIE, cookie)).into_iter().collect();
        Ok(Answer { headers, ..told.into() })
    }

    /// Pages of other sites neither sign anybody in nor guess.
    fn check_page(&self) -> Result<(), Refusal> {
        let on_loopback = !self.view.runtime.config.listen.is_public();
        if session::is_ours(self.head, on_loopback) { Ok(()) } else { Err(Denied::foreign().into()) }
    }

    fn user(&self) -> Result<&SignedIn, Refusal> {
        let words = "an admin key is no user: it has no session and no password";
        self.view.principal.user().ok_or_else(|| Refusal::new(StatusCode::CONFLICT, "no_user", words))
    }

    async fn new_hash(&self, password: &str, name: &str) -> Result<String, Refusal> {
        password::is_fit(password, name).map_err(|unfit| Refusal::member("password", unfit.to_string()))?;
        self.view.app.identity.hashing.hash(Secret::new(password.to_owned())).await.map_err(busy)
    }

    pub(super) async fn refresh(&self) -> Result<(), Refusal> {
        match &self.view.app.directory {
            Some(directory) => directory.refresh().await.map_err(refusal),
            None => Ok(()),
        }
    }

    /// Writes down who signed in.
    pub(super) async fn note(&self, action: &'static str, user: &Stored<User>, status: StatusCode) {
        let principal = Principal::User(Box::new(SignedIn {
            id: user.id.clone(),
            name: user.value.name.clone(),
            role: user.value.role,
            team: None,
            digest: String::new(),
            csrf: String::new(),
            means: String::new(),
            must_change: false,
            created_at: 0,
            expires_at: 0,
        }));
        audit::record(&self.view.app, &principal, self.head, self.id, deed(action, status)).await;
    }

    /// Writes down who did not, and refuses.
    async fn failed(
        &self,
        action: &'static str,
        name: &str,
        code: &'static str,
        words: &str,
    ) -> Result<Answer, Refusal> {
        self.note_failed(action, name, StatusCode::UNAUTHORIZED).await;
        Err(Refusal::new(StatusCode::UNAUTHORIZED, code, words))
    }

    pub(super) async fn note_failed(&self, action: &'static str, name: &str, status: StatusCode) {
        audit::record_claim(&self.view.app, name, self.head, self.id, deed(action, status)).await;
    }
}

fn deed(action: &'static str, status: StatusCode) -> Deed<'static> {
    Deed { action, object_kind: Some("session"), object: None, status, given: &Value::Null }
}

fn text<'b>(body: &'b Map<String, Value>, name: &str) -> Result<&'b str, Refusal> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(Refusal::member(name, "a text is needed")),
    }
}

fn busy(_: Busy) -> Refusal {
    let words = "too many passwords are being looked at: try again in a moment";
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", words);
    Refusal { retry_after: Some(Duration::from_secs(1)), ..refusal }
}
