//! The keys and accounts of a provider.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use polyport_provider::AuthStyle;
use polyport_provider::auth::{BodyForm, Due, GoogleKey, Grant, TokenServer, Tokens, TokensFile};
use polyport_routing::{Member, Pace};
use polyport_types::Text;

use super::check::Context;
use super::file;
use super::preset::Preset;
use super::secret::{self, Missing};
use super::services::child;
use super::tree::Step;
use super::units::{Rate, Span};
use super::{AccountSettings, Credential, Means};

/// The keys of `keys`.
pub(super) fn listed(
    keys: &[file::ProviderKey],
    auth: &AuthStyle,
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
        if found.origin.is_none() && found.secret.expose().starts_with('$') {
            context.error(&path, "a shell would replace this, Polyport does not", "write `env:NAME`");
            continue;
        }
        if secret::is_sample(found.secret.expose()) {
            context.error(&path, "this key is a sample", "put your own here, or leave the provider out");
            continue;
        }
        let label = key.name.clone().or(found.origin).unwrap_or_else(|| format!("key {}", index + 1));
        let credential = match auth.header(&found.secret) {
            Ok(header) => Credential::key(label, header),
            Err(error) => {
                context.error(&path, error.to_string(), "");
                continue;
            }
        };
        if !seen.insert(credential.member.id.clone()) {
            context.warning(&path, "the same key stands here twice, so it is used once", "remove one of them");
            continue;
        }
        let share = Share {
            weight: key.weight,
            priority: key.priority,
            requests: key.requests,
            pace: key.pace,
            enabled: key.enabled,
        };
        let member = share.member(credential.member.clone(), &path, context);
        credentials.push(Credential { member, ..credential });
    }
    for (path, missing) in missing_all {
        let effect =
            if credentials.is_empty() { "requests to this provider will fail" } else { "the other keys are used" };
        context.warning(&path, format!("{missing}, so {effect}"), "set it, or remove the key");
    }
    credentials
}

/// The key in the usual environment variable.
pub(super) fn usual(preset: &Preset, auth: &AuthStyle, context: &Context<'_>) -> Option<Credential> {
    preset.key_env.iter().find_map(|name| {
        let found = secret::find(&format!("env:{name}"), context.environment).ok()?;
        if secret::is_sample(found.secret.expose()) {
            return None;
        }
        Some(Credential::key(format!("env:{name}"), auth.header(&found.secret).ok()?))
    })
}

/// The accounts of `oauth`, those of its file after those that stand in the configuration.
pub(super) fn accounts(
    oauth: &file::OAuth,
    auth: &AuthStyle,
    at: &[Step],
    context: &mut Context<'_>,
) -> Vec<Credential> {
    let due = Due {
        ahead_ms: millis(oauth.refresh_ahead, Duration::from_secs(300)),
        keep_alive_ms: oauth.keep_alive.map(|every| millis(Some(every), Duration::ZERO)),
    };
    if oauth.keep_alive.is_some_and(|every| every.0 < Duration::from_secs(1)) {
        context.error(&child(at, "keep_alive"), "this would refresh without end", "write at least `1s`");
    }
    let account = |server: &TokenServer, tokens: Tokens| AccountSettings {
        server: server.clone(),
        style: auth.clone(),
        tokens,
        due,
        file: None,
        project: None,
    };
    let mut credentials = Vec::new();
    let configured = server(oauth, at, context);
    for (index, given) in oauth.accounts.iter().enumerate() {
        let mut path = child(at, "accounts");
        path.push(Step::Index(index));
        let Some(opened) = opened(given, &configured, &path, context) else { continue };
        let Opened { server, tokens, project, email } = opened;
        let label = given.name.clone().or(email).unwrap_or_else(|| format!("account {}", index + 1));
        // Another token of the same account is the same account: somebody has logged in again.
        let id = digest(&[&server.url.to_string(), "account", &label]);
        let share = Share {
            weight: given.weight,
            priority: given.priority,
            requests: given.requests,
            pace: given.pace,
            enabled: given.enabled,
        };
        let member = share.member(Member { name: label.as_str().into(), ..Member::new(id) }, &path, context);
        let means = Means::Account(Arc::new(AccountSettings { project, ..account(&server, tokens) }));
        credentials.push(Credential { label: label.into(), means, member });
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
                let server = configured.as_ref().unwrap_or(&read.server);
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
                    let settings = AccountSettings {
                        file: Some(file.path().to_owned()),
                        project: project.project_id,
                        ..account(server, project.tokens)
                    };
                    credentials.push(Credential {
                        label: label.clone(),
                        means: Means::Account(Arc::new(settings)),
                        member: Member { name: label, ..Member::new(id) },
                    });
                }
            }
        }
    } else if oauth.grant == Some(file::Grant::ClientCredentials) {
        if let (Some(server), true) = (configured, oauth.accounts.is_empty()) {
            let Some(secret) = server.client_secret.clone() else {
                context.error(&child(at, "client_secret"), "this grant needs the client's secret", "set it");
                return credentials;
            };
            let id = digest(&[&server.url.to_string(), "client", &server.client_id]);
            let tokens = Tokens { access: None, expires_at_ms: None, refresh: secret };
            credentials.push(Credential {
                label: "client".into(),
                member: Member { name: "client".into(), ..Member::new(id) },
                means: Means::Account(Arc::new(account(&server, tokens))),
            });
        } else {
            context.error(&child(at, "accounts"), "with this grant the client itself is the account", "leave them out");
        }
    } else if oauth.accounts.is_empty() {
        context.error(at, "there is no account", "give `accounts` or `file`");
    }
    credentials
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
    let parsed = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let Some(url) = parsed.filter(|uri| uri.authority().is_some_and(|authority| !authority.as_str().contains('@')))
    else {
        let remedy = "write it like https://oauth2.googleapis.com/token";
        context.error(&child(at, "token_url"), "this is no http or https address", remedy);
        return None;
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
    let client_id = secret(&Some(client_id.to_owned()), "client_id")?;
    Some(TokenServer {
        url,
        client_id: client_id.expose().into(),
        client_secret,
        scope: oauth.scope.as_deref().map(Text::from),
        body: match oauth.body {
            None | Some(file::Body::Form) => BodyForm::Form,
            Some(file::Body::Json) => BodyForm::Json,
        },
        grant: match oauth.grant {
            None | Some(file::Grant::RefreshToken) => Grant::RefreshToken,
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
