//! Signing in elsewhere: out to the identity provider, and back.

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use polyport_store::{Error, Role, Stored, Subject, User};
use serde_json::{Value, json};

use super::people::refusal;
use super::session::Door;
use super::{Answer, Refusal};
use crate::clock;
use crate::config::Oidc;
use crate::identity::access::Denied;
use crate::identity::oidc::{Failed, claims, flow};
use crate::identity::throttle::Source;
use crate::ingress::peer::Peer;
use crate::ingress::plain;

/// Where people are after signing in.
const HOME: &str = "/admin";

/// The page that says why somebody was not let in, by the code of the refusal.
const NOT_IN: &str = "/admin/sign-in?problem=";

/// So many names are tried for a new user.
const NAMES: u32 = 20;

impl Door<'_> {
    /// Both halves are steps of a browser, which shows what it gets: a refusal leads it to a page that explains it.
    pub(super) fn shown_to_people(&self, answer: Result<Answer, Refusal>) -> Result<Answer, Refusal> {
        match answer {
            Err(refusal) if plain::is_browser(&self.head.headers) => {
                let page = HeaderValue::try_from(format!("{NOT_IN}{}", refusal.code)).map_err(|_| refusal)?;
                Ok(Answer { status: StatusCode::FOUND, headers: vec![(LOCATION, page)], ..json!({}).into() })
            }
            answer => answer,
        }
    }

    /// Sends the browser to the identity provider.
    pub(super) async fn go_elsewhere(&self) -> Result<Answer, Refusal> {
        let oidc = self.oidc()?;
        let endpoints = self.view.app.identity.issuer.endpoints(oidc).await?;
        let flow = flow::Flow::begin();
        let way = HeaderValue::try_from(flow.way_out(oidc, &endpoints));
        let way = way.map_err(|_| Refusal::from(Failed::Away("its address is no text for a header".to_owned())))?;
        let mut headers = vec![(LOCATION, way)];
        headers.extend(flow.cookie(oidc).map(|cookie| (SET_COOKIE, cookie)));
        Ok(Answer { status: StatusCode::FOUND, headers, ..json!({}).into() })
    }

    /// Signs somebody in who comes back from there.
    pub(super) async fn come_back(&self) -> Result<Answer, Refusal> {
        let oidc = self.oidc()?;
        let source = [Source::address(Peer::found(self.head).address)];
        let throttle = &self.view.app.identity.throttle;
        throttle.begin(&source, clock::now_signed()).map_err(Denied::too_often)?;
        let user = match self.who_came(oidc).await {
            Ok(user) => user,
            Err(refusal) => {
                tracing::warn!(client.address = %Peer::found(self.head).address, reason = refusal.message, "a sign-in with OIDC failed");
                self.note_failed("signIn", "", refusal.status).await;
                return Err(refusal);
            }
        };
        throttle.succeeded(&source);
        let answer = self.begin(&user, "oidc", false, flow::is_https(oidc)).await?;
        self.note("signIn", &user, StatusCode::OK).await;
        let mut headers = answer.headers;
        headers.push((LOCATION, HeaderValue::from_static(HOME)));
        headers.extend(flow::Flow::forgotten(oidc).map(|cookie| (SET_COOKIE, cookie)));
        Ok(Answer { status: StatusCode::FOUND, headers, ..json!({}).into() })
    }

    async fn who_came(&self, oidc: &Oidc) -> Result<Stored<User>, Refusal> {
        let issuer = &self.view.app.identity.issuer;
        let (flow, code) = flow::Flow::end(self.head, oidc)?;
        let given = issuer.redeem(oidc, &flow, &code).await?;
        let token =
            given.id_token.as_deref().ok_or_else(|| Refusal::from(Failed::Token("there is none".to_owned())))?;
        let wanted = claims::key_of(token)?;
        let keys = issuer.keys(oidc, wanted.as_deref()).await?;
        let mut told = claims::verified(token, &keys, oidc, &flow.nonce())?;
        if claims::groups(&told, oidc).is_none() {
            let more = issuer.user(oidc, &given).await?;
            // OpenID Connect Core §5.3.2: otherwise it may be about somebody else.
            if more.get("sub") == told.get("sub") {
                for (name, value) in more {
                    told.entry(name).or_insert(value);
                }
            }
        }
        let groups = claims::groups(&told, oidc).unwrap_or_default();
        let (role, team) = claims::rights(&groups, oidc)?;
        let team = match team {
            Some(name) => Some(self.team(&name)?),
            None => None,
        };
        let subject = told.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let subject = Subject { issuer: oidc.issuer.to_string(), subject };
        let user = match self.store.identities().user_of(&subject).await.map_err(refusal)? {
            Some(known) => self.renew(known, role, team).await?,
            None if role == Role::Manager && team.is_none() => return Err(Refusal::from(Failed::NoTeam)),
            None => self.welcome(&claims::name(&told, oidc), role, team, &subject).await?,
        };
        match user.value.enabled {
            true => Ok(user),
            false => Err(Refusal::new(StatusCode::FORBIDDEN, "sign_in_refused", "this user is switched off")),
        }
    }

    /// What the groups say now counts, from the next sign-in on.
    async fn renew(&self, known: Stored<User>, role: Role, team: Option<String>) -> Result<Stored<User>, Refusal> {
        let team = team.or_else(|| known.value.team.clone());
        if role == Role::Manager && team.is_none() {
            return Err(Refusal::from(Failed::NoTeam));
        }
        let value = User { role, team, ..known.value.clone() };
        if value == known.value {
            return Ok(known);
        }
        match self.store.users().change(&known.id, known.revision, value).await {
            Ok(changed) => {
                self.refresh().await?;
                Ok(changed)
            }
            Err(Error::LastAdmin) => {
                tracing::warn!(user = known.value.name, "the groups of the last admin say otherwise: the role stays");
                Ok(known)
            }
            Err(error) => Err(refusal(error)),
        }
    }

    /// Makes a user. One who has this name already is somebody else.
    async fn welcome(
        &self,
        name: &str,
        role: Role,
        team: Option<String>,
        subject: &Subject,
    ) -> Result<Stored<User>, Refusal> {
        for number in 1..=NAMES {
            let name = if number == 1 { name.to_owned() } else { format!("{name} ({number})") };
            let user = User { name, enabled: true, team: team.clone(), role, definition: json!({}) };
            match self.store.identities().create_with_subject(user, subject).await {
                Ok(made) => {
                    self.refresh().await?;
                    return Ok(made);
                }
                Err(Error::Taken { what: "user", .. }) => {}
                Err(error) => return Err(refusal(error)),
            }
        }
        Err(Refusal::new(StatusCode::CONFLICT, "taken", "too many users have this name"))
    }

    /// The id of a team.
    fn team(&self, name: &str) -> Result<String, Refusal> {
        let teams = self.view.app.directory.as_ref().map(crate::directory::Directory::teams).unwrap_or_default();
        let found = teams.into_iter().find(|team| team.value.name == name && team.value.enabled);
        let words = || format!("your groups belong to the team `{name}`, which is not there or is switched off");
        found.map(|team| team.id).ok_or_else(|| Refusal::new(StatusCode::FORBIDDEN, "sign_in_refused", words()))
    }

    fn oidc(&self) -> Result<&Oidc, Refusal> {
        let oidc = self.view.runtime.config.access.oidc.as_deref();
        oidc.ok_or_else(|| Refusal::not_found("signing in elsewhere is not set up: see `access.oidc`"))
    }
}

impl From<Failed> for Refusal {
    fn from(failed: Failed) -> Self {
        let status = match &failed {
            Failed::Away(_) => StatusCode::BAD_GATEWAY,
            Failed::Foreign(_) | Failed::Refused(_) | Failed::Token(_) => StatusCode::UNAUTHORIZED,
            Failed::NoRole | Failed::NoTeam => StatusCode::FORBIDDEN,
        };
        Self::new(status, "sign_in_refused", failed.to_string())
    }
}
