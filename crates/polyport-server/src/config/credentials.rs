//! The keys and accounts of a provider.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use polyport_provider::auth::{AwsKey, BodyForm, Due, GoogleKey, Grant, TokenServer, Tokens, TokensFile};
use polyport_provider::{AuthStyle, Reach};
use polyport_routing::{Member, Pace};
use polyport_types::{Secret, Text};

use super::check::Context;
use super::definitions::{AddedMeans, SAME_SECRET};
use super::file;
use super::preset::Preset;
use super::secret::{self, Missing};
use super::services::child;
use super::tree::Step;
use super::units::{Rate, Span};
use super::{AccountSettings, Credential, Means};

/// How the keys of a provider are used.
pub(super) struct KeyStyle {
    /// The header that holds a key.
    pub(super) header: AuthStyle,
    /// Of a service of AWS: the region that access keys sign for.
    pub(super) region: Option<String>,
}

/// The keys of `keys`.
pub(super) fn listed(
    keys: &[file::ProviderKey],
    auth: &KeyStyle,
    at: &[Step],
    context: &mut Context<'_>,
) -> Vec<Credential> {
    let mut credentials = Vec::new();
    let mut seen = HashSet::new();
    let mut missing_all = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let mut path = child(at, "keys");
        path.push(Step::Index(index));
        let found = match context.secret(&key.key) {
            Ok(found) => found,
            Err(missing @ Missing::Variable(_)) => {
                missing_all.push((path, missing));
                continue;
            }
            Err(missing) => {
                context.error(&path, missing.to_string(), "give the key's text, `env:NAME` or `file:PATH`");
                continue;
            }
        };
        let Some(credential) = self::key(key, found, &format!("key {}", index + 1), auth, &path, &path, context) else {
            continue;
        };
        if !seen.insert(credential.member.id.clone()) {
            context.warning(&path, "the same key stands here twice, so it is used once", "remove one of them");
            continue;
        }
        credentials.push(credential);
    }
    for (path, missing) in missing_all {
        let effect =
            if credentials.is_empty() { "requests to this provider will fail" } else { "the other keys are used" };
        context.warning(&path, format!("{missing}, so {effect}"), "set it, or remove the key");
    }
    credentials
}

/// One key; `nameless` is what it is called if it has no name, `at_text` where its text stands.
#[allow(clippy::too_many_arguments, reason = "what makes a key")]
fn key(
    given: &file::ProviderKey,
    found: secret::Found,
    nameless: &str,
    auth: &KeyStyle,
    path: &[Step],
    at_text: &[Step],
    context: &mut Context<'_>,
) -> Option<Credential> {
    if found.origin.is_none() && found.secret.expose().starts_with('$') {
        context.error(at_text, "a shell would replace this, Polyport does not", "write `env:NAME`");
        return None;
    }
    if secret::is_sample(found.secret.expose()) {
        context.error(at_text, "this key is a sample", "put your own here, or leave the provider out");
        return None;
    }
    let label = given.name.clone().or(found.origin).unwrap_or_else(|| nameless.to_owned());
    let credential = match access_key(given, &found.secret, auth, path, context)? {
        Some(key) => Credential::aws(label, key),
        None => match auth.header.header(&found.secret) {
            Ok(header) => Credential::key(label, header),
            Err(error) => {
                context.error(at_text, error.to_string(), "");
                return None;
            }
        },
    };
    let share = Share {
        weight: given.weight,
        priority: given.priority,
        requests: given.requests,
        pace: given.pace,
        enabled: given.enabled,
    };
    let member = share.member(credential.member.clone(), path, context);
    Some(Credential { member, ..credential })
}

/// The access key of AWS that an entry is, if it is one; `None` after telling what is wrong.
fn access_key(
    given: &file::ProviderKey,
    secret: &Secret,
    auth: &KeyStyle,
    path: &[Step],
    context: &mut Context<'_>,
) -> Option<Option<AwsKey>> {
    let Some(region) = &auth.region else {
        for (name, there) in [("access_key_id", &given.access_key_id), ("session_token", &given.session_token)] {
            if there.is_some() {
                let remedy = "remove it, or set `preset: bedrock`";
                context.error(&child(path, name), "this provider is no service of AWS", remedy);
                return None;
            }
        }
        return Some(None);
    };
    let mut follow = |text: &Option<String>, name: &str| match text.as_deref().map(|text| context.secret(text)) {
        None => Some(None),
        Some(Ok(found)) => Some(Some(found.secret)),
        Some(Err(missing)) => {
            context.error(&child(path, name), missing.to_string(), "give the text, `env:NAME` or `file:PATH`");
            None
        }
    };
    let id = follow(&given.access_key_id, "access_key_id")?;
    let token = follow(&given.session_token, "session_token")?;
    let (id, secret, token) = match id {
        Some(id) => (id.expose().to_owned(), secret.clone(), token),
        None => match AwsKey::parts(secret) {
            Some((id, secret, inside)) => (id, secret, token.or(inside)),
            None if token.is_some() => {
                let message = "a session token belongs to an access key, whose id is missing";
                context.error(&child(path, "access_key_id"), message, "set `access_key_id`");
                return None;
            }
            None => return Some(None),
        },
    };
    match AwsKey::new(&id, &secret, token.as_ref(), region) {
        Ok(key) => Some(Some(key)),
        Err(error) => {
            let remedy = "give `access_key_id`, `key` and for temporary keys `session_token` as AWS shows them";
            context.error(path, error.to_string(), remedy);
            None
        }
    }
}

/// Puts those of the database behind those of the file.
#[allow(clippy::too_many_arguments, reason = "what credentials depend on")]
pub(super) fn add(
    credentials: &mut Vec<Credential>,
    provider: &str,
    renewal: &Renewal,
    needs_project: bool,
    reach: &Reach,
    auth: &KeyStyle,
    context: &mut Context<'_>,
) {
    let mut ids: HashSet<Text> = credentials.iter().map(|known| known.member.id.clone()).collect();
    let mut labels: HashSet<Text> = credentials.iter().map(|known| known.label.clone()).collect();
    let mut tokens: HashSet<String> = credentials.iter().filter_map(refresh_token).collect();
    let all = Arc::clone(&context.added);
    for added in all.iter().filter(|added| *added.provider == *provider) {
        let path = added.path();
        let made = match &added.given {
            AddedMeans::Key(given) => {
                let at_text = child(&path, "key");
                match context.secret(&given.key) {
                    Ok(found) => key(given, found, "", auth, &path, &at_text, context),
                    Err(_) => {
                        context.error(&at_text, "the key is empty", "give its text");
                        None
                    }
                }
            }
            AddedMeans::Account(given) if given.refresh_token.is_some() && renewal.server.is_none() => {
                let remedy = "give the provider `oauth` with `token_url` and `client_id`";
                context.error(&path, format!("`{provider}` has no token server"), remedy);
                None
            }
            AddedMeans::Account(given) => {
                // A key file names a token server of its own.
                let key_file = given.key_file.as_deref().and_then(|text| GoogleKey::read(text).ok());
                if let Some(host) = key_file.as_ref().and_then(|key| key.server.url.host())
                    && !host.ends_with(".googleapis.com")
                    && (!matches!(reach, Reach::Internet(more) if !more.is_empty()) || reach.check(host).is_err())
                {
                    let message = format!("its token server is {host}, which is not Google's");
                    context.error(&child(&path, "key_file"), message, "declare it in the configuration file");
                    continue;
                }
                let id = |_: &TokenServer, _: &str| digest(&["database", &added.id]);
                account(given, "", id, renewal, &path, context)
            }
        };
        let Some(made) = made else { continue };
        if needs_project && made.project().is_none() {
            context.error(&child(&path, "project"), "the addresses of this provider hold a project", "set it");
            continue;
        }
        if ids.contains(&made.member.id) || refresh_token(&made).is_some_and(|token| tokens.contains(&token)) {
            context.error(&path, SAME_SECRET, "delete one of the two");
            continue;
        }
        if !labels.insert(made.label.clone()) {
            let message = format!("another key or account of `{provider}` is named `{}`", made.label);
            context.error(&child(&path, "name"), message, "give it a `name` of its own");
            continue;
        }
        ids.insert(made.member.id.clone());
        tokens.extend(refresh_token(&made));
        credentials.push(Credential { stored: Some(added.id.clone()), ..made });
    }
}

fn refresh_token(credential: &Credential) -> Option<String> {
    match &credential.means {
        Means::Key(_) | Means::Aws(_) => None,
        Means::Account(settings) => Some(settings.tokens.refresh.expose().to_owned()),
    }
}

/// The key in the usual environment variable; at AWS otherwise the access key in the variables that all its tools know.
pub(super) fn usual(preset: &Preset, auth: &KeyStyle, context: &Context<'_>) -> Option<Credential> {
    let of_variable = preset.key_env.iter().find_map(|name| {
        let found = secret::find(&format!("env:{name}"), context.environment).ok()?;
        if secret::is_sample(found.secret.expose()) {
            return None;
        }
        Some(Credential::key(format!("env:{name}"), auth.header.header(&found.secret).ok()?))
    });
    of_variable.or_else(|| {
        let variable = |name: &str| context.environment.get(name).map(|text| Secret::new(text.to_owned()));
        let (id, secret) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
        let token = variable("AWS_SESSION_TOKEN");
        let key = AwsKey::new(id.expose(), &secret, token.as_ref(), auth.region.as_deref()?).ok()?;
        Some(Credential::aws("env:AWS_ACCESS_KEY_ID", key))
    })
}

/// The accounts of `oauth`, those of its file after those that stand in the configuration; and how others are renewed.
pub(super) fn accounts(
    oauth: &file::OAuth,
    style: AuthStyle,
    at: &[Step],
    context: &mut Context<'_>,
) -> (Vec<Credential>, Renewal) {
    let due = Due {
        ahead_ms: millis(oauth.refresh_ahead, Duration::from_secs(300)),
        keep_alive_ms: oauth.keep_alive.map(|every| millis(Some(every), Duration::ZERO)),
    };
    if oauth.keep_alive.is_some_and(|every| every.0 < Duration::from_secs(1)) {
        context.error(&child(at, "keep_alive"), "this would refresh without end", "write at least `1s`");
    }
    let mut credentials = Vec::new();
    let renewal = Renewal { server: server(oauth, at, context), due, style };
    for (index, given) in oauth.accounts.iter().enumerate() {
        let mut path = child(at, "accounts");
        path.push(Step::Index(index));
        let id = |server: &TokenServer, label: &str| digest(&[&server.url.to_string(), "account", label]);
        let nameless = format!("account {}", index + 1);
        credentials.extend(account(given, &nameless, id, &renewal, &path, context));
    }
    if let Some(name) = &oauth.file {
        let path = child(at, "file");
        let file = TokensFile::new(context.environment.folder.join(name));
        context.files.push(file.path().to_owned());
        match file.read() {
            Err(error) => {
                let remedy = "the other keys and accounts are used until the file can be read; it is watched";
                context.warning(&path, error.to_string(), remedy);
            }
            Ok(read) => {
                for broken in read.broken {
                    context.warning(&path, broken.to_string(), "mend the entry; the others are used");
                }
                let server = renewal.server.as_ref().unwrap_or(&read.server);
                let mut seen: HashSet<Text> =
                    credentials.iter().map(|known: &Credential| known.label.clone()).collect();
                for project in read.projects {
                    // Several accounts may share a project.
                    let label = match &project.project_id {
                        Some(name) if seen.insert(name.clone()) => name.clone(),
                        Some(name) => Text::from(format!("{name} ({})", project.index + 1)),
                        None => Text::from(format!("project {}", project.index + 1)),
                    };
                    let id = digest(&[&server.url.to_string(), "file", &label]);
                    let made = AccountSettings {
                        file: Some(file.path().to_owned()),
                        project: project.project_id,
                        ..renewal.settings(server, project.tokens)
                    };
                    credentials.push(Credential {
                        label: label.clone(),
                        means: Means::Account(Arc::new(made)),
                        member: Member { name: label, ..Member::new(id) },
                        stored: None,
                    });
                }
            }
        }
    } else if oauth.grant == Some(file::Grant::ClientCredentials) {
        if let (Some(server), true) = (&renewal.server, oauth.accounts.is_empty()) {
            let Some(secret) = server.client_secret.clone() else {
                context.error(&child(at, "client_secret"), "this grant needs the client's secret", "set it");
                return (credentials, renewal);
            };
            let id = digest(&[&server.url.to_string(), "client", &server.client_id]);
            let tokens = Tokens { access: None, expires_at_ms: None, refresh: secret };
            credentials.push(Credential {
                label: "client".into(),
                member: Member { name: "client".into(), ..Member::new(id) },
                means: Means::Account(Arc::new(renewal.settings(server, tokens))),
                stored: None,
            });
        } else {
            context.error(&child(at, "accounts"), "with this grant the client itself is the account", "leave them out");
        }
    }
    (credentials, renewal)
}

/// One account; `nameless` is what it is called if it has no name, `id` makes its id of its token server and its label.
fn account(
    given: &file::OAuthAccount,
    nameless: &str,
    id: impl FnOnce(&TokenServer, &str) -> Text,
    renewal: &Renewal,
    path: &[Step],
    context: &mut Context<'_>,
) -> Option<Credential> {
    let Opened { server, tokens, project, email } = opened(given, &renewal.server, path, context)?;
    let label = given.name.clone().or(email).unwrap_or_else(|| nameless.to_owned());
    let share = Share {
        weight: given.weight,
        priority: given.priority,
        requests: given.requests,
        pace: given.pace,
        enabled: given.enabled,
    };
    let member = Member { name: label.as_str().into(), ..Member::new(id(&server, &label)) };
    let member = share.member(member, path, context);
    let means = Means::Account(Arc::new(AccountSettings { project, ..renewal.settings(&server, tokens) }));
    Some(Credential { label: label.into(), means, member, stored: None })
}

/// How the access tokens of a provider's accounts are renewed and sent.
pub(super) struct Renewal {
    /// `None` if the provider does not say it, or says it wrongly.
    pub(super) server: Option<TokenServer>,
    pub(super) due: Due,
    pub(super) style: AuthStyle,
}

impl Renewal {
    /// Of a provider that says nothing of accounts: those that bring their token server with them can be used.
    pub(super) fn without_server(style: AuthStyle) -> Self {
        Self { server: None, due: Due::default(), style }
    }

    fn settings(&self, server: &TokenServer, tokens: Tokens) -> AccountSettings {
        let (server, style) = (server.clone(), self.style.clone());
        AccountSettings { server, style, tokens, due: self.due, file: None, project: None }
    }
}

/// What an entry of `accounts` comes to.
struct Opened {
    server: TokenServer,
    tokens: Tokens,
    project: Option<Text>,
    email: Option<String>,
}

/// Reads an entry's refresh token or key file; `None` after telling what is wrong.
fn opened(
    given: &file::OAuthAccount,
    configured: &Option<TokenServer>,
    path: &[Step],
    context: &mut Context<'_>,
) -> Option<Opened> {
    let mut secret = |text: &str, name: &str| match context.secret(text) {
        Ok(found) => Some(found.secret),
        Err(missing) => {
            context.error(&child(path, name), missing.to_string(), "give the text, `env:NAME` or `file:PATH`");
            None
        }
    };
    let project = given.project.as_deref().map(Text::from);
    match (&given.refresh_token, &given.key_file) {
        (Some(text), None) => {
            let refresh = secret(text, "refresh_token")?;
            // What is wrong with the section was told once.
            let server = configured.clone()?;
            let tokens = Tokens { access: None, expires_at_ms: None, refresh };
            Some(Opened { server, tokens, project, email: None })
        }
        (None, Some(text)) => {
            let text = secret(text, "key_file")?;
            match GoogleKey::read(text.expose()) {
                Ok(key) => Some(Opened {
                    server: key.server,
                    tokens: key.tokens,
                    project: project.or(key.project),
                    email: key.email.map(|email| email.to_string()),
                }),
                Err(error) => {
                    let remedy = "give the JSON file that Google made for the account";
                    context.error(&child(path, "key_file"), error.to_string(), remedy);
                    None
                }
            }
        }
        _ => {
            context.error(path, "an account has either `refresh_token` or `key_file`", "give one of them");
            None
        }
    }
}

/// Where tokens come from; `None` if only the file says so, or if it was said wrongly.
fn server(oauth: &file::OAuth, at: &[Step], context: &mut Context<'_>) -> Option<TokenServer> {
    let url = oauth.token_url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let client_id = oauth.client_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let (url, client_id) = match (url, client_id) {
        (Some(url), Some(id)) => (url, id),
        // Its address names the client.
        (Some(url), None) if oauth.grant == Some(file::Grant::IdToken) => (url, ""),
        (None, None) if oauth.accounts.iter().all(|account| account.refresh_token.is_none()) => return None,
        (None, _) => {
            context.error(&child(at, "token_url"), "the address of the token endpoint is missing", "set `token_url`");
            return None;
        }
        (_, None) => {
            context.error(&child(at, "client_id"), "the OAuth client is missing", "set `client_id`");
            return None;
        }
    };
    let mut address = |url: &str, name: &str| {
        let parsed = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
        let url = parsed.filter(|uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@')));
        if url.is_none() {
            let remedy = "write it like https://oauth2.googleapis.com/token";
            context.error(&child(at, name), "this is no http or https address", remedy);
        }
        url
    };
    let url = address(url, "token_url")?;
    let fallback = match oauth.fallback_url.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
        Some(fallback) => Some(address(fallback, "fallback_url")?),
        None => None,
    };
    let mut secret = |given: &Option<String>, name: &str| match given.as_deref().map(|text| context.secret(text)) {
        None => None,
        Some(Ok(found)) => Some(found.secret),
        Some(Err(missing)) => {
            context.error(&child(at, name), missing.to_string(), "give the text, `env:NAME` or `file:PATH`");
            None
        }
    };
    let client_secret = secret(&oauth.client_secret, "client_secret");
    let client_id = match client_id {
        "" => Text::new(),
        id => secret(&Some(id.to_owned()), "client_id")?.expose().into(),
    };
    Some(TokenServer {
        url,
        fallback,
        client_id,
        client_secret,
        scope: oauth.scope.as_deref().map(Text::from),
        body: match oauth.body {
            None | Some(file::Body::Form) => BodyForm::Form,
            Some(file::Body::Json) => BodyForm::Json,
        },
        grant: match oauth.grant {
            None | Some(file::Grant::RefreshToken) => Grant::RefreshToken,
            Some(file::Grant::IdToken) => Grant::IdToken,
            Some(file::Grant::ClientCredentials) => Grant::ClientCredentials,
        },
    })
}

/// Names tell credentials apart in logs and routes.
pub(super) fn name_apart(credentials: &[Credential], at: &[Step], context: &mut Context<'_>) {
    let mut seen = HashSet::new();
    for credential in credentials {
        if !seen.insert(&credential.label) {
            let message = format!("two keys or accounts are named `{}`", credential.label);
            context.error(at, message, "give each a `name` of its own");
        }
    }
}

/// What all kinds of credentials may be given.
struct Share {
    weight: Option<u32>,
    priority: Option<u32>,
    requests: Option<u32>,
    pace: Option<Rate>,
    enabled: Option<bool>,
}

impl Share {
    fn member(self, plain: Member, at: &[Step], context: &mut Context<'_>) -> Member {
        for (name, value) in [("weight", self.weight), ("requests", self.requests)] {
            if value == Some(0) {
                context.error(&child(at, name), "zero would leave it unused", "write `enabled: false` for that");
            }
        }
        Member {
            weight: self.weight.unwrap_or(1).max(1),
            priority: self.priority.unwrap_or(1),
            concurrency: self.requests.unwrap_or(0),
            pace: self.pace.map(|Rate { times, per }| Pace {
                requests: times,
                per: u64::try_from(per.as_millis()).unwrap_or(u64::MAX),
                // A tenth of what a minute allows may come at once.
                burst: (times / 10).clamp(1, 10),
            }),
            disabled: self.enabled == Some(false),
            ..plain
        }
    }
}

fn millis(span: Option<Span>, default: Duration) -> i64 {
    i64::try_from(span.map_or(default, |span| span.0).as_millis()).unwrap_or(i64::MAX)
}

/// Sixteen hexadecimal digits.
fn digest(parts: &[&str]) -> Text {
    let hash = blake3::hash(parts.join("\n").as_bytes());
    hash.to_hex().chars().take(16).collect::<String>().into()
}
