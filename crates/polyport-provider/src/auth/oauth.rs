//! One refresh of an OAuth token (RFC 6749 §6): what goes to the token server, and what its answer means.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode, Uri};
use polyport_protocol::classify;
use polyport_types::{Secret, Text};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::assertion::Claims;
use crate::{Client, ProviderRequest, ProviderResponse, SendError};

/// Time for a whole refresh.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers of token servers are small; what is longer is no such answer.
const LONGEST_ANSWER: usize = 256 * 1024;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Where an account's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenServer {
    /// Address of the token endpoint.
    pub url: Uri,
    /// Another one that answers the same, asked once where the first cannot be used.
    pub fallback: Option<Uri>,
    /// The OAuth client the accounts were opened with.
    pub client_id: Text,
    /// Its secret; public clients have none.
    pub client_secret: Option<Secret>,
    /// Scopes to ask for again; servers keep those of the first log-in when this is absent.
    pub scope: Option<Text>,
    /// How the request is written.
    pub body: BodyForm,
    /// What access tokens are granted for.
    pub grant: Grant,
}

/// How the request to a token server is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyForm {
    /// As a form, as the standard says.
    #[default]
    Form,
    /// As JSON, as some servers want it.
    Json,
}

/// What access tokens are granted for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    /// A refresh token (RFC 6749 §6).
    #[default]
    RefreshToken,
    /// A refresh token of Google's identity service for apps (Firebase), which answers with an `id_token` for requests.
    IdToken,
    /// The OAuth client's own secret (RFC 6749 §4.4).
    ClientCredentials,
    /// A statement signed with a private key (RFC 7523); the client id is who states it.
    Assertion {
        /// The key's id, where it has one.
        key_id: Option<Text>,
    },
}

/// The tokens of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// What requests carry; `None` before the first refresh.
    pub access: Option<Secret>,
    /// When the access token expires, Unix milliseconds; `None` when nobody said.
    pub expires_at_ms: Option<i64>,
    /// What new access tokens are had for: a refresh token, the client's secret or a private key.
    pub refresh: Secret,
}

/// Why there is no new token.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RefreshError {
    /// The account's refresh token is dead: only a new log-in helps.
    #[error("the account has to log in again: the token server answered `{code}`{}", described(.description))]
    Rejected {
        /// The standard's word, normally `invalid_grant`.
        code: Text,
        /// The server's text.
        description: Text,
    },
    /// The OAuth client is set up wrongly: all accounts of it are concerned, none of them is dead.
    #[error("the OAuth client is refused: the token server answered `{code}`{}; look at client_id, client_secret and token_url", described(.description))]
    Misconfigured {
        /// The standard's word, e.g. `invalid_client`.
        code: Text,
        /// The server's text.
        description: Text,
    },
    /// The token server could not be asked, or not now.
    #[error("the token server cannot be used now: {reason}")]
    Unavailable {
        /// What happened.
        reason: Text,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

fn described(description: &Text) -> String {
    if description.is_empty() { String::new() } else { format!(" ({description})") }
}

impl RefreshError {
    fn unavailable(reason: impl fmt::Display) -> Self {
        Self::Unavailable { reason: reason.to_string().into(), retry_after: None }
    }
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default, alias = "idToken")]
    id_token: Option<String>,
    /// A number, or the number as text.
    #[serde(default, borrow, alias = "expiresIn")]
    expires_in: Option<&'a RawValue>,
    #[serde(default, alias = "refreshToken")]
    refresh_token: Option<String>,
    /// A word; some servers put an object here.
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

/// Asks for a new access token. `now_ms` (Unix milliseconds) is when the request begins: expiry counts from then, so that a slow answer does
/// not lengthen it.
///
/// # Errors
/// [`RefreshError`] tells whether the account is dead, the client is wrong or the server is away.
pub async fn refresh(
    client: &Client,
    server: &TokenServer,
    refresh: &Secret,
    now_ms: i64,
) -> Result<Tokens, RefreshError> {
    match (ask(client, server, refresh, now_ms).await, &server.fallback) {
        (Err(RefreshError::Unavailable { .. }), Some(url)) => {
            let other = TokenServer { url: url.clone(), ..server.clone() };
            ask(client, &other, refresh, now_ms).await
        }
        (answered, _) => answered,
    }
}

async fn ask(client: &Client, server: &TokenServer, refresh: &Secret, now_ms: i64) -> Result<Tokens, RefreshError> {
    let asking = async {
        let request = server.request(refresh, now_ms)?;
        let answer = client.send(request).await.map_err(|error| match error {
            SendError::Certificate { .. } => {
                RefreshError::Misconfigured { code: "certificate".into(), description: error.to_string().into() }
            }
            other => RefreshError::unavailable(other),
        })?;
        read(answer, refresh, now_ms, server.grant == Grant::IdToken).await
    };
    match tokio::time::timeout(LIMIT, asking).await {
        Ok(result) => result,
        Err(_) => Err(RefreshError::unavailable(format_args!("no answer within {LIMIT:?}"))),
    }
}

impl TokenServer {
    fn request(&self, refresh: &Secret, now_ms: i64) -> Result<ProviderRequest, RefreshError> {
        let assertion;
        let mut members = match &self.grant {
            Grant::RefreshToken | Grant::IdToken => {
                let mut members = vec![
                    ("grant_type", "refresh_token"),
                    ("refresh_token", refresh.expose()),
                    ("client_id", &*self.client_id),
                ];
                members.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.expose())));
                members
            }
            Grant::ClientCredentials => vec![
                ("grant_type", "client_credentials"),
                ("client_id", &*self.client_id),
                ("client_secret", refresh.expose()),
            ],
            Grant::Assertion { key_id } => {
                let claims = Claims {
                    issuer: &self.client_id,
                    scope: self.scope.as_deref(),
                    audience: &self.url.to_string(),
                    key_id: key_id.as_deref(),
                };
                assertion = claims.signed(refresh, now_ms / 1000).map_err(|error| RefreshError::Misconfigured {
                    code: "private_key".into(),
                    description: error.to_string().into(),
                })?;
                vec![("grant_type", JWT_BEARER), ("assertion", assertion.expose())]
            }
        };
        if let (Some(scope), false) = (&self.scope, matches!(self.grant, Grant::Assertion { .. })) {
            members.push(("scope", scope));
        }
        members.retain(|(_, value)| !value.is_empty());
        let (kind, body) = match self.body {
            BodyForm::Form => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
                ("application/x-www-form-urlencoded", form)
            }
            BodyForm::Json => {
                let object: serde_json::Map<_, _> =
                    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
                ("application/json", serde_json::Value::Object(object).to_string())
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(ProviderRequest { method: Method::POST, uri: self.url.clone(), headers, body: Bytes::from(body).into() })
    }
}

/// `by_id`: it is the `id_token` that requests carry.
async fn read(answer: ProviderResponse, refresh: &Secret, now_ms: i64, by_id: bool) -> Result<Tokens, RefreshError> {
    let ProviderResponse { status, headers, mut body } = answer;
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await.map_err(RefreshError::unavailable)? {
        if bytes.len() + chunk.len() > LONGEST_ANSWER {
            return Err(RefreshError::unavailable("its answer is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let parsed: Option<Answer<'_>> = serde_json::from_slice(&bytes).ok();
    if status.is_success() {
        return granted(parsed, refresh, now_ms, by_id);
    }
    let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let retry_after = classify::retry_after(&header, now_ms / 1000);
    Err(refused(status, parsed, retry_after))
}

fn granted(answer: Option<Answer<'_>>, old: &Secret, now_ms: i64, by_id: bool) -> Result<Tokens, RefreshError> {
    let Some(answer) = answer else { return Err(RefreshError::unavailable("its answer is not JSON")) };
    let access = if by_id { answer.id_token } else { answer.access_token.or(answer.id_token) };
    let access = access.filter(|token| !token.trim().is_empty());
    let Some(access) = access else { return Err(RefreshError::unavailable("its answer holds no access_token")) };
    let seconds = answer.expires_in.and_then(|raw| raw.get().trim_matches('"').trim().parse::<f64>().ok());
    // Nobody's tokens live for years; a number beyond is a mistake and must not keep a dead token in use.
    const LONGEST: f64 = 366.0 * 86_400.0;
    let expires_at_ms = seconds
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .map(|seconds| now_ms.saturating_add((seconds.min(LONGEST) * 1000.0) as i64));
    let refresh = match answer.refresh_token.filter(|token| !token.trim().is_empty()) {
        Some(rotated) => Secret::new(rotated),
        None => old.clone(),
    };
    Ok(Tokens { access: Some(Secret::new(access)), expires_at_ms, refresh })
}

fn refused(status: StatusCode, answer: Option<Answer<'_>>, retry_after: Option<Duration>) -> RefreshError {
    let (mut code, mut description) = (String::new(), String::new());
    if let Some(answer) = answer {
        description = answer.error_description.unwrap_or_default();
        if let Some(raw) = answer.error {
            if let Ok(word) = serde_json::from_str::<String>(raw.get()) {
                code = word;
            } else if let Ok(object) = serde_json::from_str::<ErrorObject>(raw.get()) {
                code = object.status.unwrap_or_default();
                description = object.message.unwrap_or(description);
            }
        }
    }
    let (code, description) = (shown(&code), shown(&description));
    // The words decide: their descriptions vary.
    match &*code {
        "invalid_grant" => RefreshError::Rejected { code, description },
        "invalid_client" | "invalid_request" | "unauthorized_client" | "unsupported_grant_type" | "invalid_scope" => {
            RefreshError::Misconfigured { code, description }
        }
        // Google's identity service words a dead refresh token its own way.
        "INVALID_ARGUMENT"
            if ["INVALID_REFRESH_TOKEN", "TOKEN_EXPIRED", "USER_DISABLED", "USER_NOT_FOUND"]
                .iter()
                .any(|known| description.contains(known)) =>
        {
            RefreshError::Rejected { code, description }
        }
        "internal_failure" | "server_error" | "temporarily_unavailable" => {
            RefreshError::Unavailable { reason: answered(status, &code, &description), retry_after }
        }
        _ if matches!(status.as_u16(), 401 | 404 | 405) => {
            let code = if code.is_empty() { Text::from(format!("HTTP {}", status.as_u16())) } else { code };
            RefreshError::Misconfigured { code, description }
        }
        _ => RefreshError::Unavailable { reason: answered(status, &code, &description), retry_after },
    }
}

fn answered(status: StatusCode, code: &str, description: &str) -> Text {
    let mut text = format!("it answered {}", status.as_u16());
    for part in [code, description].into_iter().filter(|part| !part.is_empty()) {
        text.push_str(": ");
        text.push_str(part);
    }
    text.into()
}

/// Words of a server as they may stand in logs and pages: short, and without control characters.
fn shown(text: &str) -> Text {
    text.chars().filter(|c| !c.is_control()).take(200).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Answer<'_>> {
        serde_json::from_str(text).ok()
    }

    fn grant(text: &str) -> Result<Tokens, RefreshError> {
        granted(parse(text), &Secret::new("old".to_owned()), 1_000_000, false)
    }

    fn refusal(status: u16, text: &str) -> RefreshError {
        refused(StatusCode::from_u16(status).unwrap(), parse(text), None)
    }

    #[test]
    fn a_rotated_token_replaces_the_old_one_and_an_absent_one_keeps_it() {
        let tokens = grant(r#"{"access_token":"a","expires_in":3599,"refresh_token":"new"}"#).unwrap();
        assert_eq!((tokens.refresh.expose(), tokens.expires_at_ms), ("new", Some(1_000_000 + 3_599_000)));
        let tokens = grant(r#"{"access_token":"a","expires_in":"3600"}"#).unwrap();
        assert_eq!((tokens.refresh.expose(), tokens.expires_at_ms), ("old", Some(1_000_000 + 3_600_000)));
    }

    #[test]
    fn expiry_that_makes_no_sense_is_bounded_or_unknown() {
        for text in ["-5", "\"soon\"", "0", "1e999"] {
            let tokens = grant(&format!(r#"{{"access_token":"a","expires_in":{text}}}"#));
            assert!(tokens.is_err() || tokens.unwrap().expires_at_ms.is_none(), "{text}");
        }
        let tokens = grant(r#"{"access_token":"a","expires_in":1e18}"#).unwrap();
        assert!(tokens.expires_at_ms.unwrap() < 1_000_000 + 367 * 86_400_000);
    }

    #[test]
    fn an_answer_without_token_is_no_grant() {
        assert!(matches!(grant("{}"), Err(RefreshError::Unavailable { .. })));
        assert!(matches!(grant("<html>"), Err(RefreshError::Unavailable { .. })));
        assert!(matches!(grant(r#"{"access_token":" "}"#), Err(RefreshError::Unavailable { .. })));
    }

    #[test]
    fn words_tell_a_dead_account_from_a_wrong_client_and_from_trouble() {
        let dead =
            refusal(400, r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#);
        assert!(matches!(dead, RefreshError::Rejected { .. }));
        assert!(matches!(
            refusal(400, r#"{"error":{"code":400,"message":"INVALID_REFRESH_TOKEN","status":"INVALID_ARGUMENT"}}"#),
            RefreshError::Rejected { .. }
        ));
        assert!(matches!(refusal(401, r#"{"error":"invalid_client"}"#), RefreshError::Misconfigured { .. }));
        assert!(matches!(refusal(404, "<html>not here</html>"), RefreshError::Misconfigured { .. }));
        for (status, text) in
            [(500, ""), (429, "{}"), (400, r#"{"error":"server_error"}"#), (403, "<html>blocked</html>")]
        {
            assert!(matches!(refusal(status, text), RefreshError::Unavailable { .. }), "{status} {text}");
        }
    }

    #[test]
    fn the_request_is_a_form_or_json_without_empty_members() {
        let mut server = TokenServer {
            url: Uri::from_static("http://localhost/token"),
            fallback: None,
            client_id: "id".into(),
            client_secret: Some(Secret::new("s&1".to_owned())),
            scope: None,
            body: BodyForm::Form,
            grant: Grant::RefreshToken,
        };
        let refresh = Secret::new("r/1".to_owned());
        let body = server.request(&refresh, 0).unwrap().body;
        assert_eq!(
            body.bytes().unwrap(),
            "grant_type=refresh_token&refresh_token=r%2F1&client_id=id&client_secret=s%261"
        );
        server.body = BodyForm::Json;
        server.client_secret = None;
        let body = server.request(&refresh, 0).unwrap().body;
        assert_eq!(body.bytes().unwrap(), r#"{"grant_type":"refresh_token","refresh_token":"r/1","client_id":"id"}"#);
        server.grant = Grant::ClientCredentials;
        server.scope = Some("all".into());
        let body = server.request(&refresh, 0).unwrap().body;
        assert_eq!(
            body.bytes().unwrap(),
            r#"{"grant_type":"client_credentials","client_id":"id","client_secret":"r/1","scope":"all"}"#
        );
    }
}
