//! What goes through the browser. One cookie of 256 random bits ties the way back to the way out: state, nonce and PKCE verifier are derived from
//! it, so that nothing is kept here meanwhile and any process may see to the second half.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderValue, Uri};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::{Serializer, parse};

use super::Failed;
use super::issuer::Endpoints;
use crate::config::Oidc;

/// The way back has to be gone within this time, in seconds.
const PATIENCE: u32 = 600;

const LENGTH: usize = 43;

/// Longest code that is handed on, in bytes.
const LONGEST_CODE: usize = 4096;

/// A sign-in that was begun.
pub(crate) struct Flow(String);

impl Flow {
    pub(crate) fn begin() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    fn derived(&self, context: &str) -> String {
        URL_SAFE_NO_PAD.encode(blake3::derive_key(context, self.0.as_bytes()))
    }

    fn state(&self) -> String {
        self.derived("polyport oidc: state")
    }

    pub(crate) fn nonce(&self) -> String {
        self.derived("polyport oidc: nonce")
    }

    /// RFC 7636 §4.1.
    pub(crate) fn verifier(&self) -> String {
        self.derived("polyport oidc: verifier")
    }

    /// Where the browser goes to sign in.
    pub(crate) fn way_out(&self, oidc: &Oidc, endpoints: &Endpoints) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier().as_bytes()));
        let scopes: Vec<&str> = oidc.scopes.iter().map(|scope| &**scope).collect();
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", &oidc.client_id)
            .append_pair("redirect_uri", &way_back(oidc))
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &self.state())
            .append_pair("nonce", &self.nonce())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .finish();
        let sign = if endpoints.authorization.contains('?') { '&' } else { '?' };
        format!("{}{sign}{query}", endpoints.authorization)
    }

    /// The header that makes the browser bring it back.
    pub(crate) fn cookie(&self, oidc: &Oidc) -> Option<HeaderValue> {
        let (name, secure) = name(oidc);
        let cookie = format!("{name}={}; Path=/; Max-Age={PATIENCE}; HttpOnly; SameSite=Lax{secure}", self.0);
        HeaderValue::try_from(cookie).ok()
    }

    /// The same that makes it forget it.
    pub(crate) fn forgotten(oidc: &Oidc) -> Option<HeaderValue> {
        let (name, secure) = name(oidc);
        HeaderValue::try_from(format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}")).ok()
    }

    /// The sign-in that a browser comes back from, and the code it brings.
    pub(crate) fn end(head: &Parts, oidc: &Oidc) -> Result<(Self, String), Failed> {
        let wanted = name(oidc).0;
        let lines = head.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let found = cookies.find(|(known, value)| *known == wanted && value.len() == LENGTH);
        let flow = found.map(|(_, value)| Self(value.to_owned()));
        let flow = flow.ok_or(Failed::Foreign("this sign-in was not begun in this browser, or too long ago"))?;
        let given = parse(head.uri.query().unwrap_or_default().as_bytes());
        let (mut state, mut code, mut error, mut issuer) = (None, None, None, None);
        for (name, value) in given {
            let place = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "error" => &mut error,
                "iss" => &mut issuer,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(Failed::Foreign("a parameter stands here twice"));
            }
        }
        // Digests are compared without stopping at the first difference.
        let digest = |text: &str| blake3::hash(text.as_bytes());
        if state.is_none_or(|state| digest(&state) != digest(&flow.state())) {
            return Err(Failed::Foreign("this is not the sign-in that was begun in this browser"));
        }
        // RFC 9207.
        if issuer.is_some_and(|issuer| *issuer != *oidc.issuer) {
            return Err(Failed::Foreign("another identity provider answered"));
        }
        if let Some(error) = error {
            return Err(Failed::Refused(error.chars().filter(|c| !c.is_control()).take(100).collect()));
        }
        match code.filter(|code| !code.is_empty() && code.len() <= LONGEST_CODE) {
            Some(code) => Ok((flow, code)),
            None => Err(Failed::Foreign("there is no code")),
        }
    }
}

/// Where the browser comes back to.
pub(crate) fn way_back(oidc: &Oidc) -> String {
    format!("{}/admin/api/oidc/callback", oidc.url)
}

/// Whether browsers reach this gateway by HTTPS.
pub(crate) fn is_https(oidc: &Oidc) -> bool {
    oidc.url.parse::<Uri>().is_ok_and(|url| url.scheme_str() == Some("https"))
}

fn name(oidc: &Oidc) -> (&'static str, &'static str) {
    if is_https(oidc) { ("__Host-polyport-oidc", "; Secure") } else { ("polyport-oidc", "") }
}
