//! What is asked of the identity provider: where its endpoints are, its keys, and tokens for a code.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Uri};
use jsonwebtoken::jwk::JwkSet;
use polyport_provider::{Client, ClientSettings, ProviderRequest};
use polyport_types::Secret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::Failed;
use super::flow::{Flow, way_back};
use crate::clock;
use crate::config::{Oidc, is_safe_address};

/// Time for one question.
const LIMIT: Duration = Duration::from_secs(15);

/// Longest answer, in bytes.
const LONGEST: usize = 1 << 20;

/// What is known is asked for again after this time, in milliseconds.
const FRESH: i64 = 3_600_000;

/// Keys are asked for again because of one that is not known no more often than this, in milliseconds.
const AGAIN: i64 = 30_000;

/// Where the provider takes questions.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Endpoints {
    issuer: String,
    #[serde(rename = "authorization_endpoint")]
    pub(crate) authorization: String,
    #[serde(rename = "token_endpoint")]
    token: String,
    #[serde(rename = "jwks_uri")]
    keys: String,
    #[serde(rename = "userinfo_endpoint")]
    user: Option<String>,
    #[serde(rename = "token_endpoint_auth_methods_supported")]
    methods: Option<Vec<String>>,
}

/// What is given for a code.
#[derive(Deserialize)]
pub(crate) struct Given {
    pub(crate) id_token: Option<String>,
    access_token: Option<String>,
    error: Option<String>,
}

/// What is known of the provider.
#[derive(Debug, Default)]
pub(crate) struct Issuer {
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    client: Client,
    endpoints: Arc<Endpoints>,
    at: i64,
    keys: Option<(Arc<JwkSet>, i64)>,
}

impl Issuer {
    /// Where the provider takes questions.
    pub(crate) async fn endpoints(&self, oidc: &Oidc) -> Result<Arc<Endpoints>, Failed> {
        Ok(self.known(oidc).await?.1)
    }

    async fn known(&self, oidc: &Oidc) -> Result<(Client, Arc<Endpoints>), Failed> {
        let mut known = self.known.lock().await;
        let now = clock::now_signed();
        if let Some(known) = known.as_ref()
            && now - known.at < FRESH
            && *known.endpoints.issuer == *oidc.issuer
        {
            return Ok((known.client.clone(), Arc::clone(&known.endpoints)));
        }
        let client = Client::new(&ClientSettings::default()).map_err(|error| Failed::Away(error.to_string()))?;
        let address = format!("{}/.well-known/openid-configuration", oidc.issuer.trim_end_matches('/'));
        let endpoints: Endpoints = get(&client, &address, None).await?;
        if *endpoints.issuer != *oidc.issuer {
            let words = "its configuration names another issuer than `access.oidc.issuer`";
            return Err(Failed::Away(words.to_owned()));
        }
        let all = [&endpoints.authorization, &endpoints.token, &endpoints.keys];
        if let Some(unsafe_one) = all.into_iter().chain(&endpoints.user).find(|address| !is_safe_address(address)) {
            let shown: String = unsafe_one.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(Failed::Away(format!("its configuration names `{shown}`, where no secret may go")));
        }
        let endpoints = Arc::new(endpoints);
        *known = Some(Known { client: client.clone(), endpoints: Arc::clone(&endpoints), at: now, keys: None });
        Ok((client, endpoints))
    }

    /// The provider's keys, read again if this one is not among them.
    pub(crate) async fn keys(&self, oidc: &Oidc, wanted: Option<&str>) -> Result<Arc<JwkSet>, Failed> {
        let (client, endpoints) = self.known(oidc).await?;
        let mut known = self.known.lock().await;
        let now = clock::now_signed();
        if let Some((keys, at)) = known.as_ref().and_then(|known| known.keys.as_ref()) {
            let there = wanted.is_none_or(|wanted| keys.find(wanted).is_some());
            if now - at < if there { FRESH } else { AGAIN } {
                return Ok(Arc::clone(keys));
            }
        }
        let keys: Arc<JwkSet> = Arc::new(get(&client, &endpoints.keys, None).await?);
        if let Some(known) = known.as_mut() {
            known.keys = Some((Arc::clone(&keys), now));
        }
        Ok(keys)
    }

    /// Gives a code for tokens.
    pub(crate) async fn redeem(&self, oidc: &Oidc, flow: &Flow, code: &str) -> Result<Given, Failed> {
        let (client, endpoints) = self.known(oidc).await?;
        let (verifier, back) = (flow.verifier(), way_back(oidc));
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &back),
            ("client_id", &oidc.client_id),
            ("code_verifier", &verifier),
        ];
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(secret) = &oidc.client_secret {
            let in_header =
                endpoints.methods.as_ref().is_none_or(|known| known.iter().any(|one| one == "client_secret_basic"));
            if in_header {
                headers.insert(AUTHORIZATION, basic(&oidc.client_id, secret)?);
            } else {
                form.push(("client_secret", secret.expose()));
            }
        }
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let given: Given = ask(&client, Method::POST, &endpoints.token, headers, form).await?;
        match &given.error {
            Some(error) => Err(Failed::Refused(error.chars().filter(|c| !c.is_control()).take(100).collect())),
            None => Ok(given),
        }
    }

    /// What the provider tells about a user beside the ID token.
    pub(crate) async fn user(&self, oidc: &Oidc, given: &Given) -> Result<Map<String, Value>, Failed> {
        let (client, endpoints) = self.known(oidc).await?;
        match (&endpoints.user, &given.access_token) {
            (Some(address), Some(token)) => get(&client, address, Some(token)).await,
            _ => Ok(Map::new()),
        }
    }
}

/// RFC 6749 §2.3.1: both are written as in a form before they are joined.
fn basic(id: &str, secret: &Secret) -> Result<HeaderValue, Failed> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret.expose())));
    let mut value = HeaderValue::try_from(format!("Basic {both}"))
        .map_err(|_| Failed::Away("the client secret is no text for a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn get<T: DeserializeOwned>(client: &Client, address: &str, bearer: Option<&str>) -> Result<T, Failed> {
    let mut headers = HeaderMap::new();
    if let Some(token) = bearer {
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| Failed::Away("its access token is no text for a header".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    ask(client, Method::GET, address, headers, String::new()).await
}

async fn ask<T: DeserializeOwned>(
    client: &Client,
    method: Method,
    address: &str,
    mut headers: HeaderMap,
    body: String,
) -> Result<T, Failed> {
    let uri: Uri = address.parse().map_err(|_| Failed::Away("one of its addresses is none".to_owned()))?;
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let request = ProviderRequest { method, uri, headers, body: Bytes::from(body).into() };
    let asking = async {
        let mut answer = client.send(request).await.map_err(|error| Failed::Away(error.to_string()))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.chunk().await.map_err(|error| Failed::Away(error.to_string()))? {
            if bytes.len() + chunk.len() > LONGEST {
                return Err(Failed::Away("its answer is too long".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        // Errors of token servers are JSON as well.
        serde_json::from_slice(&bytes)
            .map_err(|_| Failed::Away(format!("it answered {} with something that is not understood", answer.status)))
    };
    match tokio::time::timeout(LIMIT, asking).await {
        Ok(answered) => answered,
        Err(_) => Err(Failed::Away(format!("no answer within {LIMIT:?}"))),
    }
}
