//! Google's key files: of service accounts, and of users as `gcloud auth application-default login` writes them.

use http::Uri;
use polyport_types::{Secret, Text};
use serde_json::Value;

use super::assertion::{KeyError, private_key};
use super::oauth::{BodyForm, Grant, TokenServer, Tokens};

const TOKENS: &str = "https://oauth2.googleapis.com/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What a key file holds.
#[derive(Clone, Debug)]
pub struct GoogleKey {
    /// Where its access tokens come from.
    pub server: TokenServer,
    /// Its private key or refresh token.
    pub tokens: Tokens,
    /// Its project.
    pub project: Option<Text>,
    /// The address of the service account.
    pub email: Option<Text>,
}

/// A key file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoogleKeyError {
    /// It is no JSON object.
    #[error("this is no JSON object")]
    Json,
    /// It is of no known kind.
    #[error("`type` is `{0}`; known are `service_account` and `authorized_user`")]
    Kind(String),
    /// A member is missing.
    #[error("`{0}` is missing or empty")]
    Missing(&'static str),
    /// The token address is none.
    #[error("`token_uri` is no http or https address")]
    Address,
    /// The private key cannot be used.
    #[error("`private_key`: {0}")]
    Key(KeyError),
}

impl GoogleKey {
    /// Reads a key file, also one that stands inside another object as `service_account`.
    ///
    /// # Errors
    /// [`GoogleKeyError`] says what is wrong; never what the file holds.
    pub fn read(text: &str) -> Result<Self, GoogleKeyError> {
        let root: Value =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| GoogleKeyError::Json)?;
        let file = root.get("service_account").filter(|inner| inner.is_object()).unwrap_or(&root);
        if !file.is_object() {
            return Err(GoogleKeyError::Json);
        }
        let text = |name: &'static str| {
            let found = file.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
            found.ok_or(GoogleKeyError::Missing(name))
        };
        let project = [file, &root]
            .into_iter()
            .flat_map(|object| ["project_id", "quota_project_id"].map(|name| object.get(name)));
        let project = project.flatten().find_map(Value::as_str).filter(|id| !id.is_empty()).map(Text::from);
        let url: Uri = text("token_uri").unwrap_or(TOKENS).parse().map_err(|_| GoogleKeyError::Address)?;
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(GoogleKeyError::Address);
        }
        let server = |client_id: &str, client_secret, scope: Option<&str>, grant| TokenServer {
            url: url.clone(),
            fallback: None,
            client_id: client_id.into(),
            client_secret,
            scope: scope.map(Text::from),
            body: BodyForm::Form,
            grant,
        };
        let tokens =
            |refresh: &str| Tokens { access: None, expires_at_ms: None, refresh: Secret::new(refresh.to_owned()) };
        match text("type")? {
            "service_account" => {
                let email = text("client_email")?;
                let tokens = tokens(text("private_key")?);
                private_key(&tokens.refresh).map_err(GoogleKeyError::Key)?;
                let key_id = text("private_key_id").ok().map(Text::from);
                let server = server(email, None, Some(SCOPE), Grant::Assertion { key_id });
                Ok(Self { server, tokens, project, email: Some(email.into()) })
            }
            "authorized_user" => {
                let secret = text("client_secret").ok().map(|secret| Secret::new(secret.to_owned()));
                let server = server(text("client_id")?, secret, None, Grant::RefreshToken);
                Ok(Self { server, tokens: tokens(text("refresh_token")?), project, email: None })
            }
            other => Err(GoogleKeyError::Kind(other.chars().take(40).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        GoogleKey::read(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_key_file_is_named_and_never_shown() {
        assert_eq!(error("nonsense"), "this is no JSON object");
        assert_eq!(error("[]"), "this is no JSON object");
        assert_eq!(
            error(r#"{"type":"external_account"}"#),
            "`type` is `external_account`; known are `service_account` and `authorized_user`"
        );
        assert_eq!(error(r#"{"client_email":"a@b"}"#), "`type` is missing or empty");
        let with_key =
            |key: &str| error(&format!(r#"{{"type":"service_account","client_email":"a@b","private_key":"{key}"}}"#));
        assert_eq!(with_key(""), "`private_key` is missing or empty");
        let wrong = with_key("secret");
        assert!(wrong.contains("not PEM") && !wrong.contains("secret"), "{wrong}");
        assert_eq!(
            error(r#"{"type":"authorized_user","token_uri":"ftp://x"}"#),
            "`token_uri` is no http or https address"
        );
    }

    #[test]
    fn a_users_file_is_an_account_with_a_refresh_token() {
        let key = GoogleKey::read(
            r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r","quota_project_id":"p"}"#,
        );
        let key = key.unwrap();
        assert_eq!((key.tokens.refresh.expose(), key.project.as_deref()), ("r", Some("p")));
        assert_eq!((key.server.url.to_string().as_str(), &key.server.grant), (TOKENS, &Grant::RefreshToken));
    }
}
