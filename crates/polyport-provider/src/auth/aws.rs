//! AWS: requests are signed with an access key (Signature Version 4) instead of carrying it.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>, read 2026-11-29.

use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};
use polyport_types::{Secret, Text};

use crate::http::ProviderRequest;

/// The name that Bedrock's signatures are made for.
const SERVICE: &str = "bedrock";

/// Headers of this prefix are always signed.
const OWN_HEADERS: &str = "x-amz";

/// An access key with the region its requests are signed for. `Debug` shows no secret.
#[derive(Clone)]
pub struct AwsKey {
    credentials: Credentials,
    region: Text,
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum AwsKeyError {
    /// The access key id holds something else.
    #[error("the access key id must be letters and digits, such as AKIA… or ASIA…")]
    Id,
    /// The secret access key or the session token holds characters that none has.
    #[error("the {0} holds blanks or characters that none has")]
    Characters(&'static str),
    /// A body that is read while it is sent has no hash that could be signed.
    #[error("a body of this kind cannot be signed")]
    Streamed,
    /// The signature could not be made.
    #[error("the request cannot be signed")]
    Signing,
}

impl AwsKey {
    /// A long-lived key, or with a session token a temporary one.
    ///
    /// # Errors
    /// [`AwsKeyError`] if one of them holds characters that none has.
    pub fn new(id: &str, secret: &Secret, session: Option<&Secret>, region: &str) -> Result<Self, AwsKeyError> {
        let id = id.trim();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(AwsKeyError::Id);
        }
        let plain = |secret: &Secret, what| {
            let text = secret.expose().trim();
            let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            good.then(|| text.to_owned()).ok_or(AwsKeyError::Characters(what))
        };
        let secret = plain(secret, "secret access key")?;
        let session = session.map(|token| plain(token, "session token")).transpose()?;
        let credentials = Credentials::new(id, secret, session, None, "configuration");
        Ok(Self { credentials, region: region.into() })
    }

    /// Reads `ID:SECRET` or `ID:SECRET:TOKEN`; `None` if the text is no such thing.
    #[must_use]
    pub fn parts(text: &Secret) -> Option<(String, Secret, Option<Secret>)> {
        let mut parts = text.expose().trim().split(':');
        let id = parts.next().filter(|id| is_access_key_id(id))?;
        let secret = parts.next().filter(|secret| !secret.is_empty())?;
        let token = parts.next().filter(|token| !token.is_empty());
        let whole = parts.next().is_none();
        let secret_of = |text: &str| Secret::new(text.to_owned());
        whole.then(|| (id.to_owned(), secret_of(secret), token.map(secret_of)))
    }

    /// Sixteen hexadecimal digits that tell it from others and show nothing of it. A session token, which changes by the hour, is
    /// no part of it.
    #[must_use]
    pub fn digest(&self) -> Text {
        let hash = blake3::Hasher::new()
            .update(b"aws\n")
            .update(self.credentials.access_key_id().as_bytes())
            .update(b"\n")
            .update(self.credentials.secret_access_key().as_bytes())
            .finalize();
        hash.to_hex().chars().take(16).collect::<String>().into()
    }

    /// What may be shown of it: part of the access key id, which is no secret.
    #[must_use]
    pub fn masked(&self) -> String {
        polyport_types::secret::mask(self.credentials.access_key_id())
    }

    /// Whether it is a temporary key.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.credentials.session_token().is_some()
    }

    /// The region it signs for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Signs a request as it is now: nothing of method, address, content type and body may change afterwards.
    ///
    /// # Errors
    /// [`AwsKeyError::Streamed`] for a body that is not here as a whole.
    pub fn sign(&self, request: &mut ProviderRequest, now: SystemTime) -> Result<(), AwsKeyError> {
        let nothing = bytes::Bytes::new();
        let body = match request.body.bytes() {
            Some(bytes) => bytes,
            None if request.body.is_streamed() => return Err(AwsKeyError::Streamed),
            None => &nothing,
        };
        let identity = self.credentials.clone().into();
        // The defaults are Bedrock's: the path as sent is encoded once more, and the hash of the body has no header of its own.
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| AwsKeyError::Signing)?
            .into();
        let authority = request.uri.authority().map_or("", |authority| authority.as_str());
        let signed = request
            .headers
            .iter()
            .filter(|(name, _)| *name == CONTENT_TYPE || name.as_str().starts_with(OWN_HEADERS))
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let headers = std::iter::once((HOST.as_str(), authority)).chain(signed);
        let uri = request.uri.to_string();
        let signable = SignableRequest::new(request.method.as_str(), &*uri, headers, SignableBody::Bytes(body))
            .map_err(|_| AwsKeyError::Signing)?;
        let (instructions, _) = sign(signable, &params).map_err(|_| AwsKeyError::Signing)?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            let mut value = HeaderValue::try_from(header.value()).map_err(|_| AwsKeyError::Signing)?;
            value.set_sensitive(true);
            request.headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }
}

/// Whether a text is an access key id: of a user (`AKIA…`) or of a session (`ASIA…`), sixteen characters or more in all.
fn is_access_key_id(text: &str) -> bool {
    (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && (16..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl fmt::Debug for AwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKey").field("id", &self.masked()).field("region", &self.region).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use bytes::Bytes;
    use http::{HeaderMap, Method};

    use super::*;

    fn key() -> AwsKey {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned());
        AwsKey::new("AKIDEXAMPLE", &secret, None, "us-east-1").unwrap()
    }

    fn request(body: &'static str) -> ProviderRequest {
        ProviderRequest {
            method: Method::POST,
            uri: "https://bedrock-runtime.us-east-1.amazonaws.com/model/a.b-v1%3A0/converse".parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::from(body).into(),
        }
    }

    #[test]
    fn the_whole_request_is_signed() {
        let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let signature = |body| {
            let mut request = request(body);
            key().sign(&mut request, at).unwrap();
            assert_eq!(request.headers["x-amz-date"], "20270115T080000Z");
            request.headers["authorization"].to_str().unwrap().to_owned()
        };
        let one = signature("{}");
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/us-east-1/bedrock/aws4_request, ";
        assert!(one.starts_with(scope) && one.contains("SignedHeaders=host;x-amz-date"), "{one}");
        assert_ne!(one, signature("{ }"));
    }

    #[test]
    fn a_session_token_goes_along_and_is_signed() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let key = AwsKey::new("ASIAEXAMPLE", &secret("s"), Some(&secret("tok/en==")), "eu-west-1").unwrap();
        let mut request = request("{}");
        key.sign(&mut request, UNIX_EPOCH).unwrap();
        assert_eq!(request.headers["x-amz-security-token"], "tok/en==");
        assert!(request.headers["authorization"].to_str().unwrap().contains("host;x-amz-date;x-amz-security-token"));
    }

    #[test]
    fn one_text_may_hold_all_of_a_key() {
        let parts = |text: &str| {
            let (id, secret, token) = AwsKey::parts(&Secret::new(text.to_owned()))?;
            Some((id, secret.expose().to_owned(), token.map(|token| token.expose().to_owned())))
        };
        let id = "AKIAIOSFODNN7EXAMPLE";
        assert_eq!(parts(&format!("{id}:a/b+c")), Some((id.to_owned(), "a/b+c".to_owned(), None)));
        assert_eq!(parts(&format!("{id}:a:t==")).unwrap().2.as_deref(), Some("t=="));
        for text in ["ABSKQmVkcm9ja0FQSUtleS1h", "AKIAIOSFODNN7EXAMPLE", "AKIA:secret", "bedrock-api-key-x:y"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_of_it_shows() {
        let shown = format!("{:?}", key());
        assert!(!shown.contains("wJalr") && !shown.contains("AKIDEXAMPLE"), "{shown}");
        let secret = Secret::new("with blank".to_owned());
        assert!(AwsKey::new("AKID", &secret, None, "r").is_err());
        assert!(AwsKey::new("AK ID", &Secret::new("s".to_owned()), None, "r").is_err());
    }
}
