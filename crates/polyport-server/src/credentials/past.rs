//! What was known about keys and accounts when the gateway ran last. What belongs to a provider that is not configured waits until it is.

use std::collections::HashMap;
use std::fmt;

use polyport_provider::auth::Tokens;
use polyport_routing::{Counts, Fleet, Millis, Saved, State};
use polyport_store::{Error, Health, Keep, Kind, Store};
use polyport_types::{Secret, Text};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::{AccountSettings, Config, Means};

/// Tokens that nobody used for this long are forgotten.
const TOKENS_KEPT_MS: i64 = 400 * 24 * 3_600_000;

/// States and counters by provider and credential, and tokens by the ones they descend from.
#[derive(Default)]
pub(crate) struct Past {
    counts: HashMap<String, Counts>,
    rests: HashMap<Text, Vec<Saved>>,
    tokens: HashMap<Text, Tokens>,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").finish_non_exhaustive()
    }
}

/// What rests of one provider.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Rests {
    pub(crate) provider: Text,
    pub(crate) rests: Vec<Saved>,
}

/// Tokens as they are kept.
#[derive(Deserialize, Serialize)]
struct KeptTokens {
    root: Text,
    access: Option<String>,
    expires_at_ms: Option<i64>,
    refresh: String,
}

/// Names a credential in the store.
pub(crate) fn name(provider: &str, credential: &str) -> String {
    format!("{provider}/{credential}")
}

/// Names the tokens that an account is declared with, without telling them. Other tokens there mean that somebody has logged in again.
pub(super) fn root(settings: &AccountSettings) -> Text {
    let mut hasher = blake3::Hasher::new();
    let url = settings.server.url.to_string();
    for part in [url.as_str(), &settings.server.client_id, settings.tokens.refresh.expose()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().as_str().into()
}

/// Makes tokens durable.
pub(super) async fn save_tokens(store: &Store, root: &Text, tokens: &Tokens) -> Result<(), Error> {
    let kept = KeptTokens {
        root: root.clone(),
        access: tokens.access.as_ref().map(|access| access.expose().to_owned()),
        expires_at_ms: tokens.expires_at_ms,
        refresh: tokens.refresh.expose().to_owned(),
    };
    let now = clock::now_signed();
    let body = serde_json::to_vec(&kept).unwrap_or_default();
    let keep = keep(Kind::Account, root, body, now.saturating_add(TOKENS_KEPT_MS));
    store.kept().put(&[keep], now).await
}

/// The newest tokens that descend from what a configuration declares, if they were ever renewed.
pub(super) async fn read_tokens(store: &Store, root: &Text) -> Result<Option<Tokens>, Error> {
    let kept = store.kept().get(Kind::Account, "", root, clock::now_signed()).await?;
    Ok(kept.and_then(|body| serde_json::from_slice::<KeptTokens>(&body).ok()).map(Tokens::from))
}

impl From<KeptTokens> for Tokens {
    fn from(kept: KeptTokens) -> Self {
        Self {
            access: kept.access.map(Secret::new),
            expires_at_ms: kept.expires_at_ms,
            refresh: Secret::new(kept.refresh),
        }
    }
}

/// Something that belongs to the gateway, not to a client.
pub(crate) fn keep(kind: Kind, name: &str, body: Vec<u8>, expires_at: i64) -> Keep {
    Keep { kind, owner: String::new(), name: name.to_owned(), body, expires_at, first_counts: false }
}

impl Past {
    pub(crate) async fn read(store: &Store) -> Result<Self, Error> {
        let now = clock::now_signed();
        let counts = store.health().list().await?.into_iter().map(|health| (health.credential.clone(), counts(health)));
        let counts = counts.collect();
        let (rests, _) = store.kept().all(Kind::Rests, now).await?;
        let rests = rests.iter().filter_map(|body| serde_json::from_slice(body).ok());
        let rests = rests.map(|Rests { provider, rests }| (provider, rests)).collect();
        let (tokens, locked) = store.kept().all(Kind::Account, now).await?;
        if locked > 0 {
            tracing::error!(
                accounts = locked,
                "renewed tokens are sealed under another master key; those of the configuration are used instead, which may be used up"
            );
        }
        let tokens = tokens.iter().filter_map(|body| serde_json::from_slice(body).ok());
        let tokens = tokens.map(|kept: KeptTokens| (kept.root.clone(), kept.into()));
        Ok(Self { counts, rests, tokens: tokens.collect() })
    }

    /// The providers of which something rests.
    pub(crate) fn resting(&self) -> Vec<Text> {
        self.rests.keys().cloned().collect()
    }

    /// The tokens in use of an account that was declared with these.
    pub(super) fn tokens(&self, root: &Text) -> Option<Tokens> {
        self.tokens.get(root).cloned()
    }

    /// The tokens alone, for what is no part of the gateway.
    pub(super) fn tokens_only(&self) -> Self {
        Self { tokens: self.tokens.clone(), ..Self::default() }
    }

    pub(super) fn learn(&mut self, root: Text, tokens: Tokens) {
        self.tokens.insert(root, tokens);
    }

    /// Puts back, once, what is known of these providers.
    pub(super) fn restore(&mut self, config: &Config, fleet: &Fleet, now: Millis) {
        for health in fleet.providers() {
            for (member, index) in health.roster().members().zip(0..) {
                if let Some(counts) = self.counts.remove(&name(health.name(), &member.id)) {
                    health.roster().restore_counts(index, &counts);
                }
            }
            let Some(mut rests) = self.rests.remove(health.name()) else { continue };
            // Whether an account was mended meanwhile shows at its next refresh.
            rests.retain(|saved| {
                !matches!(saved.state, State::Invalid { .. }) || !is_account(config, health.name(), saved)
            });
            health.restore(&rests, now);
        }
    }
}

fn is_account(config: &Config, provider: &str, saved: &Saved) -> bool {
    config.provider(provider).is_some_and(|provider| {
        provider.credentials().iter().any(|credential| {
            Some(&credential.member.id) == saved.credential.as_ref() && matches!(credential.means, Means::Account(_))
        })
    })
}

fn counts(health: Health) -> Counts {
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Counts {
        requests: count(health.requests),
        successes: count(health.successes),
        failures: count(health.failures),
        last_used: health.last_used_at.map_or(0, count),
        statuses: health.statuses.into_iter().map(|(status, answers)| (status, count(answers))).collect(),
    }
}
