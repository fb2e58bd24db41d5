//! Cookies of people who are signed in, and what keeps pages of other sites from using them.
//!
//! A cookie holds 256 random bits; the database knows a digest of them. Over HTTPS its name begins with `__Host-`, so that no other name of the
//! same domain can set it. Browsers take such a cookie, and `Secure`, over plain HTTP only in part (Chromium no prefix, Safari neither), so that
//! on this machine, without HTTPS, it has a plain name.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::config::KeyHash;
use crate::ingress::access::is_local_name;
use crate::ingress::peer::Peer;

/// What requests that change something show beside the cookie.
pub(crate) const CSRF: HeaderName = HeaderName::from_static("x-polyport-csrf");

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The cookie's name over HTTPS, and without.
const SECURE: &str = "__Host-polyport";
const PLAIN: &str = "polyport";

/// A cookie of ours has this many characters.
const LENGTH: usize = 43;

/// More cookies of the same name are not tried.
const MOST_COOKIES: usize = 4;

/// What a cookie holds.
pub(crate) struct Token(String);

impl Token {
    /// A new one.
    pub(crate) fn make() -> Self {
        Self(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    /// Those that a request shows, the safest first.
    pub(crate) fn shown(head: &Parts) -> impl Iterator<Item = Self> {
        let all = |name: &'static str| {
            let lines = head.headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
            let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
            cookies.filter(move |(known, value)| *known == name && value.len() == LENGTH).map(|(_, value)| value)
        };
        // What another name of the domain set does not count where the browser came by HTTPS.
        let by_https = Peer::found(head).https;
        let plain = all(PLAIN).filter(move |_| !by_https);
        all(SECURE).chain(plain).take(MOST_COOKIES).map(|value| Self(value.to_owned()))
    }

    /// What its session is found by.
    pub(crate) fn digest(&self) -> String {
        KeyHash::of(&self.0).to_hex()
    }

    /// What goes with it in [`CSRF`]. Who knows this does not know the cookie.
    pub(crate) fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(blake3::derive_key("polyport admin: what goes with a cookie", self.0.as_bytes()))
    }

    /// The header that makes a browser keep it.
    pub(crate) fn cookie(&self, https: bool, keep: Duration) -> Option<HeaderValue> {
        let (name, secure) = if https { (SECURE, "; Secure") } else { (PLAIN, "") };
        let keep = keep.as_secs();
        let cookie = format!("{name}={}; Path=/; Max-Age={keep}; HttpOnly; SameSite=Lax{secure}", self.0);
        HeaderValue::try_from(cookie).ok()
    }
}

/// The headers that make a browser forget its cookie.
pub(crate) fn forgotten() -> [HeaderValue; 2] {
    [
        HeaderValue::from_static("__Host-polyport=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"),
        HeaderValue::from_static("polyport=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
    ]
}

/// Whether the browser of a request sees HTTPS: one of our proxies says so, or the page that asks.
pub(crate) fn is_https(head: &Parts) -> bool {
    Peer::found(head).https || text(&head.headers, &ORIGIN).is_some_and(|origin| origin.starts_with("https://"))
}

/// Why a request may have been made by a page of another site.
pub(crate) const FOREIGN: &str = "this request comes from a page of another site, or through a proxy that hides the name it was reached by; open the \
                                  admin page itself, and let the proxy keep `host`, or name it in `access.trusted_proxies`";

/// Whether a request that goes by a cookie, or gives one, comes from our own page. Programs without a browser say nothing of where they come
/// from, and have no cookie that others could use.
pub(crate) fn is_ours(head: &Parts, on_loopback: bool) -> bool {
    let headers = &head.headers;
    let proxied = Peer::found(head).proxied;
    let host = host_of(head);
    // A name that a hostile resolver points at this machine.
    if on_loopback && !proxied && !is_local_name(host) {
        return false;
    }
    let safe = matches!(head.method, Method::GET | Method::HEAD);
    // Browsers say this by themselves, pages cannot.
    if let Some(site) = text(headers, &SEC_FETCH_SITE) {
        return site == "same-origin" || safe && site == "none";
    }
    match headers.get(ORIGIN) {
        None => true,
        Some(origin) => {
            let origin = origin.to_str().unwrap_or("?");
            let at = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            at.is_some_and(|at| at.eq_ignore_ascii_case(host))
        }
    }
}

/// The name that a request reached the gateway by, or its outermost proxy.
fn host_of(head: &Parts) -> &str {
    let headers = &head.headers;
    match Peer::found(head).proxied.then(|| text(headers, &FORWARDED_HOST)).flatten() {
        Some(host) => host,
        None => match headers.get(HOST) {
            Some(host) => host.to_str().unwrap_or("?"),
            None => head.uri.authority().map_or("", |authority| authority.as_str()),
        },
    }
}

/// The address that a request reached the gateway by, without a slash at its end; `None` where it does not say so in a way that can be used.
pub(crate) fn address_of(head: &Parts) -> Option<String> {
    let authority: Authority = host_of(head).parse().ok()?;
    let scheme = if is_https(head) { "https" } else { "http" };
    (!authority.as_str().contains('@') && !authority.host().is_empty()).then(|| format!("{scheme}://{authority}"))
}

/// Whether a request shows what goes with the cookie.
pub(crate) fn shows(head: &Parts, csrf: &str) -> bool {
    // Digests are compared without stopping at the first difference.
    let digest = |text: &str| blake3::hash(text.as_bytes());
    text(&head.headers, &CSRF).is_some_and(|shown| digest(shown) == digest(csrf))
}

/// A header that stands once.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().unwrap_or("?");
    Some(if values.next().is_some() { "?" } else { value })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(request: http::request::Builder, peer: Option<Peer>) -> Parts {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        if let Some(peer) = peer {
            head.extensions.insert(peer);
        }
        head
    }

    #[test]
    fn the_address_is_that_of_whoever_asks() {
        let get = |host: &str| Request::get("/admin/api/clients").header("host", host);
        let address = |request, peer| address_of(&head(request, peer));
        assert_eq!(address(get("gw.lan:7659"), None).as_deref(), Some("http://gw.lan:7659"));
        assert_eq!(address(get("[::1]:7659"), None).as_deref(), Some("http://[::1]:7659"));
        let outer = get("inner:1").header("x-forwarded-host", "gw.example");
        assert_eq!(address(outer, Some(proxied(true))).as_deref(), Some("https://gw.example"));
        let outer = get("inner:1").header("x-forwarded-host", "gw.example");
        assert_eq!(address(outer, None).as_deref(), Some("http://inner:1"), "only our proxies are believed");
        for odd in ["", "a b", "user@host", "a/b", "\u{e4}"] {
            assert_eq!(address(Request::get("/x").header("host", odd), None), None, "{odd}");
        }
    }

    fn proxied(https: bool) -> Peer {
        Peer { address: "192.0.2.1".parse().unwrap(), proxied: true, https }
    }

    #[test]
    fn a11_cookies_are_what_browsers_guard() {
        let token = Token::make();
        let secure = token.cookie(true, Duration::from_secs(60)).unwrap();
        let secure = secure.to_str().unwrap();
        assert!(secure.starts_with("__Host-polyport=") && secure.ends_with("; Secure"), "{secure}");
        for word in ["; Path=/;", "; HttpOnly;", "; SameSite=Lax;", "; Max-Age=60;"] {
            assert!(secure.contains(word), "{secure}");
        }
        assert!(!secure.contains("Domain"));
        let plain = token.cookie(false, Duration::from_secs(60)).unwrap();
        assert!(plain.to_str().unwrap().starts_with("polyport=") && !plain.to_str().unwrap().contains("Secure"));
        assert_eq!(token.0.len(), LENGTH);
        assert!(token.csrf() != token.0 && token.digest() != token.csrf());
    }

    #[test]
    fn a12_a_plain_cookie_does_not_count_over_https() {
        let (one, two) = ("a".repeat(LENGTH), "b".repeat(LENGTH));
        let cookies = format!("x=1; polyport={one}; polyport=short; __Host-polyport={two}");
        let shown = |peer| {
            let head = head(Request::get("/").header("cookie", &cookies), peer);
            Token::shown(&head).map(|token| token.0).collect::<Vec<_>>()
        };
        assert_eq!(shown(None), [two.clone(), one.clone()]);
        assert_eq!(shown(Some(proxied(false))), [two.clone(), one]);
        assert_eq!(shown(Some(proxied(true))), [two]);
    }

    #[test]
    fn a11_pages_of_other_sites_are_known() {
        let post = || Request::post("/").header("host", "gw.example");
        let ours = |request, on_loopback, peer| is_ours(&head(request, peer), on_loopback);
        assert!(ours(post(), false, None));
        assert!(ours(post().header("origin", "https://gw.example"), false, None));
        for origin in
            ["https://evil.example", "null", "https://gw.example.evil.example", "https://gw.example:8443", "x"]
        {
            assert!(!ours(post().header("origin", origin), false, None), "{origin}");
        }
        for (site, fine) in [("same-origin", true), ("same-site", false), ("cross-site", false), ("none", false)] {
            assert_eq!(ours(post().header("sec-fetch-site", site), false, None), fine, "{site}");
        }
        assert!(ours(Request::get("/").header("host", "x").header("sec-fetch-site", "none"), false, None));
        let twice = post().header("sec-fetch-site", "same-origin").header("sec-fetch-site", "cross-site");
        assert!(!ours(twice, false, None));
        // Names that lead here by a hostile resolver.
        let rebound = || post().header("origin", "http://gw.example").header("sec-fetch-site", "same-origin");
        assert!(!ours(rebound(), true, None) && !ours(post(), true, None));
        assert!(ours(Request::post("/").header("host", "localhost:7659"), true, None));
        // Through a proxy of ours the name may be another one.
        assert!(ours(rebound(), true, Some(proxied(true))));
        let behind = || Request::post("/").header("host", "127.0.0.1:7659").header("origin", "https://gw.example");
        assert!(!ours(behind(), false, None));
        assert!(ours(behind().header("x-forwarded-host", "gw.example"), false, Some(proxied(true))));
        assert!(!ours(behind().header("x-forwarded-host", "gw.example"), false, None));
    }

    #[test]
    fn a11_what_goes_with_a_cookie_has_to_be_shown() {
        let token = Token::make();
        let shown =
            |value: &str| shows(&head(Request::post("/").header("x-polyport-csrf", value), None), &token.csrf());
        assert!(shown(&token.csrf()) && !shown("") && !shown(&token.0));
        assert!(!shows(&head(Request::post("/"), None), &token.csrf()));
    }
}
