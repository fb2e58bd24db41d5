//! Signature Version 4, verified by computing it anew from what arrived.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use serde_json::Value;

use super::{Bedrock, refusal};
use crate::provider::exchange::Received;

/// An access key of AWS.
#[derive(Clone, Debug)]
pub struct AwsAccess {
    /// Its id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session token, if it is a temporary key.
    pub token: Option<String>,
    /// The session is over.
    pub expired: bool,
}

impl AwsAccess {
    /// A long-lived key.
    #[must_use]
    pub fn new(id: &str, secret: &str) -> Self {
        Self { id: id.to_owned(), secret: secret.to_owned(), token: None, expired: false }
    }

    /// A temporary key.
    #[must_use]
    pub fn session(id: &str, secret: &str, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::new(id, secret) }
    }

    /// Its session is over.
    #[must_use]
    pub fn expired(self) -> Self {
        Self { expired: true, ..self }
    }
}

type Refusal = (u16, Value, String);

/// Whether a request may be answered.
pub(super) fn check(received: &Received, service: &Bedrock) -> Result<(), Refusal> {
    let header = |name: &str| received.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
    let Some(authorization) = header("authorization") else {
        return Err(refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token"));
    };
    if let Some(key) = authorization.strip_prefix("Bearer ") {
        let known = service.bearers.iter().any(|known| known == key);
        let words = "Authentication failed: Please make sure your API Key is valid.";
        return if known { Ok(()) } else { Err(refusal(403, "AccessDeniedException", words)) };
    }
    let incomplete = || refusal(403, "IncompleteSignatureException", "Authorization header is incomplete");
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or_else(incomplete)?;
    let field = |name: &str| fields.split(", ").find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let (Some(credential), Some(names), Some(given)) =
        (field("Credential"), field("SignedHeaders"), field("Signature"))
    else {
        return Err(incomplete());
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, day, region, "bedrock", "aws4_request"] = scope.as_slice() else { return Err(incomplete()) };
    if *region != service.region {
        let words = format!("Credential should be scoped to a valid region, not '{region}'.");
        return Err(refusal(403, "InvalidSignatureException", &words));
    }
    let unknown =
        || refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.");
    let key = service.keys.iter().find(|key| key.id == *id).ok_or_else(unknown)?;
    if key.token.as_deref() != header("x-amz-security-token") {
        return Err(unknown());
    }
    if key.expired {
        return Err(refusal(403, "ExpiredTokenException", "The security token included in the request is expired"));
    }
    let at = header("x-amz-date").ok_or_else(incomplete)?;
    let signed: Vec<&str> = names.split(';').collect();
    let needed = received.headers.iter().filter(|(name, _)| name.starts_with("x-amz-")).map(|(name, _)| name.as_str());
    if !at.starts_with(day) || needed.chain(["host"]).any(|name| !signed.contains(&name)) {
        return Err(incomplete());
    }
    let mut canonical = format!("{}\n{}\n{}\n", received.method, encoded_again(&received.path), received.query);
    for name in &signed {
        let value = match (*name, header(name)) {
            (_, Some(value)) => value.split_whitespace().collect::<Vec<_>>().join(" "),
            _ => return Err(incomplete()),
        };
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{names}\n{}", hash(&received.body)));
    let scope = format!("{day}/{region}/bedrock/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hash(canonical.as_bytes()));
    let mut signing = format!("AWS4{}", key.secret).into_bytes();
    for step in [*day, *region, "bedrock", "aws4_request"] {
        signing = mac(&signing, step.as_bytes());
    }
    if hex(&mac(&signing, to_sign.as_bytes())) == given {
        return Ok(());
    }
    let words = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                 and signing method.";
    Err(refusal(403, "InvalidSignatureException", words))
}

/// The path as it came, with everything but the usual letters and slashes encoded once more.
fn encoded_again(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation: the key for 20150830, us-east-1, iam.
    #[test]
    fn the_documented_signing_key_comes_out() {
        let mut key = b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec();
        for step in ["20150830", "us-east-1", "iam", "aws4_request"] {
            key = mac(&key, step.as_bytes());
        }
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
        assert_eq!(encoded_again("/model/a%3A0/converse"), "/model/a%253A0/converse");
    }
}
