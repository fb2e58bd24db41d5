//! The section `notifications`: who is told when something needs somebody.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use polyport_provider::Reach;
use polyport_types::{Secret, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::check::{Context, steps};
use super::file::File;
use super::problem::Place;

/// Share of a limit from which on it is told that it comes near, in percent.
const NEAR: u8 = 80;

/// More addresses would not be told in time.
const MOST_HOOKS: usize = 20;

/// Messages to other programs when something needs somebody: each is one JSON object, sent by POST. Of one kind and about one thing there is at
/// most one an hour.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NotificationsFile {
    /// Where messages go.
    pub(super) webhooks: Vec<Webhook>,
    /// Share of a limit of tokens, requests or money from which on `quota.near` is told, in percent. Default: 80.
    #[schemars(range(min = 1, max = 99))]
    pub(super) budget_percent: Option<u8>,
}

/// An address that messages are sent to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Webhook {
    /// Its name here.
    #[schemars(example = &"chat")]
    name: String,
    /// The address, with `https`, or `http` in networks of your own: a text, `env:NAME` or `file:PATH`.
    #[schemars(example = &"https://hooks.example.com/services/T000/B000/XXXX")]
    url: String,
    /// Messages are signed with it as Standard Webhooks says (`webhook-signature`): `whsec_` and base64, or any text; `env:NAME` or `file:PATH`
    /// work too. Default: none, messages are not signed.
    #[schemars(example = &"env:WEBHOOK_SECRET")]
    secret: Option<String>,
    /// What it is told. Default: everything.
    events: Vec<Event>,
    /// False leaves it out. Default: true.
    enabled: Option<bool>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
pub enum Event {
    /// A key or an account is refused by its provider, and is left out until somebody acts.
    #[serde(rename = "credential.invalid")]
    CredentialInvalid,
    /// A key or an account has used up its quota or its plan.
    #[serde(rename = "credential.exhausted")]
    CredentialExhausted,
    /// None of a provider's keys and accounts can be used, or it cannot be reached.
    #[serde(rename = "provider.down")]
    ProviderDown,
    /// A provider that was down can be used again.
    #[serde(rename = "provider.up")]
    ProviderUp,
    /// A limit comes near.
    #[serde(rename = "quota.near")]
    QuotaNear,
    /// A limit is reached.
    #[serde(rename = "quota.reached")]
    QuotaReached,
    /// The configuration file was changed and has mistakes: the old one stays in use.
    #[serde(rename = "configuration.refused")]
    ConfigurationRefused,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CredentialInvalid,
        Self::CredentialExhausted,
        Self::ProviderDown,
        Self::ProviderUp,
        Self::QuotaNear,
        Self::QuotaReached,
        Self::ConfigurationRefused,
    ];

    /// The word for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CredentialInvalid => "credential.invalid",
            Self::CredentialExhausted => "credential.exhausted",
            Self::ProviderDown => "provider.down",
            Self::ProviderUp => "provider.up",
            Self::QuotaNear => "quota.near",
            Self::QuotaReached => "quota.reached",
            Self::ConfigurationRefused => "configuration.refused",
        }
    }
}

/// Who is told what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// Where messages go, those that are switched off included.
    pub hooks: Vec<Arc<Hook>>,
    /// Share of a limit from which on it comes near, in percent.
    pub near: u8,
}

impl Default for Notifications {
    fn default() -> Self {
        Self { hooks: Vec::new(), near: NEAR }
    }
}

/// An address that messages are sent to.
#[derive(Clone, PartialEq, Eq)]
pub struct Hook {
    /// Its name.
    pub name: Text,
    /// Where it is.
    pub uri: Uri,
    /// Which addresses may be connected to.
    pub reach: Reach,
    /// What messages are signed with.
    pub key: Option<Secret>,
    /// What it is told; everything where that is empty.
    pub events: Vec<Event>,
    /// It is used.
    pub enabled: bool,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its address may hold a key.
        f.debug_struct("Hook").field("name", &self.name).field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl Hook {
    /// Whether it wants to know.
    #[must_use]
    pub fn hears(&self, event: Event) -> bool {
        self.enabled && (self.events.is_empty() || self.events.contains(&event))
    }

    /// The bytes that messages are signed with.
    #[must_use]
    pub fn key_bytes(&self) -> Option<Vec<u8>> {
        let text = self.key.as_ref()?.expose();
        let decoded = text.strip_prefix(PREFIX).and_then(|encoded| STANDARD.decode(encoded).ok());
        Some(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
    }
}

/// Before secrets in base64.
const PREFIX: &str = "whsec_";

pub(super) fn notifications(file: &File, reach: &Reach, context: &mut Context<'_>) -> Notifications {
    let given = &file.notifications;
    let near = given.budget_percent.unwrap_or(NEAR);
    if !(1..100).contains(&near) {
        context.error(
            &steps!["notifications", "budget_percent"],
            "this is no share below 100",
            "give a number from 1 to 99",
        );
    }
    let mut hooks: Vec<Arc<Hook>> = Vec::new();
    if given.webhooks.len() > MOST_HOOKS {
        let words = format!("there are more than {MOST_HOOKS}");
        context.error(&steps!["notifications", "webhooks"], words, "leave some of them out");
    }
    for (at, webhook) in given.webhooks.iter().enumerate().take(MOST_HOOKS) {
        if let Some(hook) = hook(webhook, at, reach, context) {
            if hooks.iter().any(|known| known.name == hook.name) {
                let words = "there is one of this name already";
                context.error(&steps!["notifications", "webhooks", at, "name"], words, "choose another name");
                continue;
            }
            hooks.push(Arc::new(hook));
        }
    }
    Notifications { hooks, near }
}

fn hook(given: &Webhook, at: usize, reach: &Reach, context: &mut Context<'_>) -> Option<Hook> {
    let path = |member: &str| steps!["notifications", "webhooks", at, member];
    let name = given.name.trim();
    if name.is_empty() || name.len() > 100 || name.contains(char::is_control) {
        context.error(&path("name"), "a name of at most 100 bytes is needed", "name it, such as `chat`");
        return None;
    }
    let reach = match context.place(&path("url")) {
        Place::Database(_) => reach.clone(),
        _ => Reach::Anywhere,
    };
    let text = match context.secret(&given.url) {
        Ok(found) => found.secret.expose().to_owned(),
        Err(missing) => {
            context.error(&path("url"), missing.to_string(), "give the address that messages are sent to");
            return None;
        }
    };
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        let remedy = "write it whole, such as https://hooks.example.com/services/T000";
        context.error(&path("url"), "this is not an address with http or https", remedy);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        context.error(&path("url"), "user and password are not sent", "take them out of the address");
        return None;
    }
    if let Err(error) = reach.check(url.host_str().unwrap_or_default()) {
        context.error(&path("url"), error.to_string(), "");
        return None;
    }
    let uri: Uri = match url.as_str().split('#').next().unwrap_or_default().parse() {
        Ok(uri) => uri,
        Err(_) => {
            context.error(&path("url"), "this is not an address", "write it as browsers do");
            return None;
        }
    };
    let key = match given.secret.as_deref().map(|text| context.secret(text)) {
        None => None,
        Some(Ok(found)) => Some(found.secret),
        Some(Err(missing)) => {
            context.error(&path("secret"), missing.to_string(), "leave it out where messages are not signed");
            return None;
        }
    };
    if key
        .as_ref()
        .is_some_and(|key| key.expose().strip_prefix(PREFIX).is_some_and(|text| STANDARD.decode(text).is_err()))
    {
        context.error(
            &path("secret"),
            "what stands behind `whsec_` is no base64",
            "copy it whole, or give another text",
        );
    }
    let enabled = given.enabled.unwrap_or(true);
    Some(Hook { name: name.into(), uri, reach, key, events: given.events.clone(), enabled })
}

#[cfg(test)]
mod tests {
    use super::super::{Arguments, Environment, Purpose, Source};
    use super::*;

    fn loaded(section: &str) -> Result<Notifications, String> {
        let environment = Environment::of([("HOOK".to_owned(), "https://a.example/x".to_owned())], "/nowhere");
        let source = Source::new(None, environment, Arguments::default());
        let text = format!("discover: false\nnotifications: {section}\n");
        let loaded = source.load_text(&text, &[], Purpose::Inspect);
        loaded.map(|loaded| loaded.config.notifications).map_err(|problems| problems.to_string())
    }

    #[test]
    fn hooks_are_checked() {
        let found = loaded(
            "{ budget_percent: 90, webhooks: [{ name: chat, url: 'env:HOOK', events: [quota.near] }, { name: two, url: 'http://127.0.0.1:9/x?y=z#w', \
             secret: whsec_AAEC, enabled: false }] }",
        )
        .unwrap();
        assert_eq!((found.near, found.hooks.len()), (90, 2));
        let [chat, two] = found.hooks.as_slice() else { panic!() };
        assert!(chat.hears(Event::QuotaNear) && !chat.hears(Event::ProviderUp) && !two.hears(Event::ProviderUp));
        assert_eq!(
            (chat.uri.to_string(), two.uri.to_string()),
            ("https://a.example/x".into(), "http://127.0.0.1:9/x?y=z".into())
        );
        assert_eq!((chat.key_bytes(), two.key_bytes()), (None, Some(vec![0, 1, 2])));
        for (section, words) in [
            ("{ webhooks: [{ url: 'https://a' }] }", "webhooks[0].name: a name"),
            ("{ webhooks: [{ name: a }] }", "the key is empty"),
            ("{ webhooks: [{ name: a, url: 'ftp://a' }] }", "not an address with http"),
            ("{ webhooks: [{ name: a, url: 'https://u:p@a' }] }", "user and password"),
            ("{ webhooks: [{ name: a, url: 'https://a', secret: 'whsec_!' }] }", "no base64"),
            ("{ webhooks: [{ name: a, url: 'https://a' }, { name: a, url: 'https://b' }] }", "of this name already"),
            ("{ webhooks: [{ name: a, url: 'https://a', events: [x] }] }", "expected one of `credential.invalid`"),
            ("{ budget_percent: 100 }", "no share below 100"),
        ] {
            let told = loaded(section).unwrap_err();
            assert!(told.contains(words), "{section}: {told}");
        }
    }
}
