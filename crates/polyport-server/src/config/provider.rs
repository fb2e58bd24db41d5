//! Services that answer.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use polyport_protocol::Profile;
use polyport_types::{Protocol, Secret, Text};

/// A configured provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: Text,
    /// What sort of service.
    pub kind: ProviderKind,
    /// What it speaks.
    pub protocol: Protocol,
    /// Address up to and with the version, without a slash at the end: `https://api.openai.com/v1`. May hold `{model}`.
    pub base_url: Text,
    /// `base_url` is the whole address of the generation endpoint.
    pub whole_url: bool,
    /// Query members to add to each address (`api-version`).
    pub query: Vec<(Text, Text)>,
    /// How a credential becomes a header; `None` sends none.
    pub auth: Option<Auth>,
    /// Credentials in the order of the configuration; empty for servers that need none.
    pub credentials: Vec<Credential>,
    /// Quirks of its server.
    pub profile: Arc<Profile>,
    /// Headers to add.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// `http://`, `https://` or `socks5://` address of a proxy, if not the one of the environment.
    pub proxy: Option<Text>,
    /// Hash of name, address and credentials: reasoning signatures of one scope are useless in another.
    pub scope: u32,
    /// Models it is known to serve; empty when that is not known.
    pub models: Vec<Text>,
}

impl Provider {
    /// A provider without credentials and with the quirks of its protocol's official server.
    #[must_use]
    pub fn plain(name: impl Into<Text>, protocol: Protocol, base_url: impl Into<Text>) -> Self {
        Self {
            name: name.into(),
            kind: ProviderKind::Http,
            protocol,
            base_url: base_url.into(),
            whole_url: false,
            query: Vec::new(),
            auth: None,
            credentials: Vec::new(),
            profile: Arc::new(Profile::of_protocol(protocol)),
            headers: Vec::new(),
            timeouts: Timeouts::default(),
            proxy: None,
            scope: 0,
            models: Vec::new(),
        }
    }
}

/// What sort of service a provider is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderKind {
    /// A server reached by HTTP.
    #[default]
    Http,
    /// Built in: answers with what it was asked, for trying out clients.
    Echo,
}

/// How a credential becomes a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The header's name.
    pub header: HeaderName,
    /// Text before the key, e.g. `Bearer `.
    pub prefix: Text,
    /// Text after the key, mostly empty.
    pub suffix: Text,
}

impl Auth {
    /// `authorization: Bearer KEY`.
    #[must_use]
    pub fn bearer() -> Self {
        Self { header: http::header::AUTHORIZATION, prefix: "Bearer ".into(), suffix: Text::new() }
    }

    /// The key alone in a header.
    #[must_use]
    pub fn header(header: HeaderName) -> Self {
        Self { header, prefix: Text::new(), suffix: Text::new() }
    }

    /// The header's value, marked so that it is neither logged nor indexed. `None` if the key holds characters no header may hold.
    #[must_use]
    pub fn value(&self, key: &Secret) -> Option<HeaderValue> {
        let text = format!("{}{}{}", self.prefix, key.expose(), self.suffix);
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// One key of a provider.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Where it comes from (`env:OPENAI_API_KEY`) or its position (`key 1`): a name that may be shown.
    pub label: Text,
    /// The key.
    pub secret: Secret,
}

/// How long to wait for a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS.
    pub connect: Duration,
    /// From the request to the first byte of the answer's body.
    pub first_byte: Duration,
    /// Between two bytes of an answer.
    pub idle: Duration,
    /// The whole answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(30 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_become_sensitive_headers() {
        let value = Auth::bearer().value(&Secret::new("sk-1".into())).unwrap();
        assert_eq!(value, "Bearer sk-1");
        assert!(value.is_sensitive());
        assert!(Auth::bearer().value(&Secret::new("sk\n1".into())).is_none());
    }
}
