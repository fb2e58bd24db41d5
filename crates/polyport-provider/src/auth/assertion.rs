//! Statements signed with the private key of a service account (RFC 7523): what Google's token server takes instead of a refresh token.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use polyport_types::Secret;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

/// A statement is good for an hour, the longest Google takes.
const LIFETIME: i64 = 3600;

/// What is stated.
pub(super) struct Claims<'a> {
    pub(super) issuer: &'a str,
    pub(super) scope: Option<&'a str>,
    pub(super) audience: &'a str,
    pub(super) key_id: Option<&'a str>,
}

/// A private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not PEM.
    #[error("the private key is not PEM (`-----BEGIN PRIVATE KEY-----` and so on)")]
    Pem,
    /// It is no RSA key.
    #[error("the private key is no RSA key")]
    Rsa,
    /// Signing failed.
    #[error("the private key does not sign")]
    Sign,
}

/// Reads a private key; pasted ones have line ends as two characters, carriage returns or colours of a terminal.
///
/// # Errors
/// [`KeyError`] says what is wrong with it.
pub(super) fn private_key(pem: &Secret) -> Result<RsaKeyPair, KeyError> {
    let mut text = pem.expose().replace("\\n", "\n").replace('\r', "");
    while let Some(start) = text.find('\u{1b}') {
        let end = text.get(start..).and_then(|rest| rest.find('m')).map_or(text.len(), |end| start + end + 1);
        text.replace_range(start..end, "");
    }
    match PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::Pem)? {
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err(KeyError::Rsa),
    }
    .map_err(|_| KeyError::Rsa)
}

impl Claims<'_> {
    /// The statement, made at `now` (Unix seconds).
    pub(super) fn signed(&self, key: &Secret, now: i64) -> Result<Secret, KeyError> {
        let pair = private_key(key)?;
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = self.key_id {
            header["kid"] = json!(id);
        }
        let mut claims = json!({ "iss": self.issuer, "aud": self.audience, "iat": now, "exp": now + LIFETIME });
        if let Some(scope) = self.scope {
            claims["scope"] = json!(scope);
        }
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| KeyError::Sign)?;
        Ok(Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}
