//! `/admin`: the page for people. It is one document for all paths, and files that never change.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode_str;
use polyport_types::ClientProtocol;
use polyport_ui::{File, INDEX, NONCE};

use crate::body::Body;
use crate::ingress::Call;
use crate::{docs, error};

/// Where it begins.
const ROOT: &str = "/admin";

/// Files whose names hold a hash of their content.
const ASSETS: &str = "assets/";

/// What the page does without. It may write to the clipboard.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), \
                           encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), microphone=(), \
                           midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), \
                           usb=(), xr-spatial-tracking=()";

/// Whether a path is one of the page's. Those of the admin API come before.
pub(crate) fn holds(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Leads browsers from `/` to the page.
pub(crate) fn lead(call: &Call) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::new()));
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/admin/"));
    // Others get a text there.
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    error::name(ClientProtocol::Chat, &call.id, headers);
    response
}

/// Answers for a path that begins with [`ROOT`].
pub(crate) fn answer(call: &Call, path: &str) -> Response<Body> {
    let rest = path.strip_prefix(ROOT).unwrap_or_default().trim_start_matches('/');
    match polyport_ui::file(rest) {
        Some(found) => file(call, found),
        None if rest.starts_with(ASSETS) || is_trick(path) => absent(call),
        None => index(call),
    }
}

/// Whether a path means something else to whoever takes it for one of files.
fn is_trick(path: &str) -> bool {
    // Decoded first: an encoded slash is one to whoever decodes it before.
    let decoded = percent_decode_str(path).collect::<Vec<u8>>();
    let up = |part: &[u8]| part == b"." || part == b"..";
    decoded.split(|byte| *byte == b'/').any(up) || decoded.iter().any(|byte| matches!(byte, b'\\' | b'\0'))
}

/// The document, with a nonce of its own for the style sheets that its script makes.
fn index(call: &Call) -> Response<Body> {
    let nonce = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let body = Body::from(INDEX.replace(NONCE, &nonce).into_bytes());
    // A nonce is always a good value.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let mut response = docs::page(call, "text/html; charset=utf-8", policy, body);
    for (name, value) in [("cross-origin-opener-policy", "same-origin"), ("permissions-policy", PERMISSIONS)] {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// A file, in the coding that the client likes best.
fn file(call: &Call, file: &'static File) -> Response<Body> {
    let coding = Coding::of(call.headers());
    let (bytes, suffix) = match coding {
        Coding::Brotli => (file.brotli, "-br"),
        Coding::Gzip => (file.gzip, "-gz"),
        Coding::Identity => (file.plain(), ""),
    };
    let tag = format!("\"{}{suffix}\"", file.hash);
    let is_known = is_known(call.headers(), &tag);
    let mut response = Response::new(Body::from(Bytes::from_static(if is_known { &[] } else { bytes })));
    let headers = response.headers_mut();
    let keep = if file.path.starts_with(ASSETS) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A digest is always a good value.
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
        match coding {
            Coding::Brotli => headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br")),
            Coding::Gzip => headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            Coding::Identity => None,
        };
    }
    error::name(ClientProtocol::Chat, &call.id, response.headers_mut());
    response
}

/// A browser that asks for a file of another version has an old document.
fn absent(call: &Call) -> Response<Body> {
    let words = "The admin page has no such file. If Polyport has just become another version, load the page again: it is at /admin/\n";
    let mut response = Response::new(Body::from(words));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    error::name(ClientProtocol::Chat, &call.id, headers);
    response
}

/// Whether the client has it already.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// How the bytes of a file are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    /// What a client likes best, the smaller of what it likes as well. A client that refuses all of them gets the plain bytes.
    fn of(headers: &HeaderMap) -> Self {
        let (mut brotli, mut gzip, mut identity, mut any) = (None, None, None, None);
        let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
        for item in lists.flat_map(|list| list.split(',')) {
            let (name, settings) = item.split_once(';').unwrap_or((item, ""));
            let weight = Some(weight(settings));
            match name.trim().to_ascii_lowercase().as_str() {
                "br" => brotli = weight,
                "gzip" | "x-gzip" => gzip = weight,
                "identity" => identity = weight,
                "*" => any = weight,
                _ => {}
            }
        }
        let brotli = brotli.or(any).unwrap_or(0);
        let gzip = gzip.or(any).unwrap_or(0);
        // Not named, it is there for want of something better.
        let identity = identity.unwrap_or(0);
        if brotli > 0 && brotli >= gzip && brotli >= identity {
            Self::Brotli
        } else if gzip > 0 && gzip >= identity {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// The weight in thousandths. One that is none counts as refusal.
fn weight(settings: &str) -> u16 {
    let Some(value) = settings.trim().strip_prefix("q=").or_else(|| settings.trim().strip_prefix("Q=")) else {
        return if settings.trim().is_empty() { 1000 } else { 0 };
    };
    let (whole, part) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let is_good = part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    match (whole, is_good) {
        ("0", true) => format!("{part:0<3}").parse().unwrap_or(0),
        ("1", true) if part.bytes().all(|byte| byte == b'0') => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_is_the_one_the_client_likes_best() {
        for (asked, coding) in [
            ("", Coding::Identity),
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("GZIP;q=0.9, BR;q=0.8", Coding::Gzip),
            ("br;q=0.5, gzip;q=0.500", Coding::Brotli),
            ("br;q=0, gzip", Coding::Gzip),
            ("br;q=0, gzip;q=0.000", Coding::Identity),
            ("gzip;q=0.5, identity", Coding::Identity),
            ("gzip;q=0.5, identity;q=0.4", Coding::Gzip),
            ("*", Coding::Brotli),
            ("*;q=0.3, br;q=0", Coding::Gzip),
            ("identity;q=0, *;q=0", Coding::Identity),
            ("br;q=2, gzip;q=nonsense, zstd", Coding::Identity),
            ("br ; q=1.000 , gzip", Coding::Brotli),
            ("br;q=0.0001", Coding::Identity),
            (",;,q=,br;;", Coding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(asked));
            assert_eq!(Coding::of(&headers), coding, "{asked}");
        }
        assert_eq!(Coding::of(&HeaderMap::new()), Coding::Identity);
    }

    #[test]
    fn paths_that_mean_something_else_to_others_are_known() {
        for path in
            ["/admin/..", "/admin/x/../y", "/admin/%2e%2E/x", "/admin/./x", "/admin/a%5cb", "/admin/a\\b", "/admin/%00"]
        {
            assert!(is_trick(path), "{path}");
        }
        for path in ["/admin", "/admin/", "/admin/models/gpt-5..1", "/admin/models/a%2Fb", "/admin/%E4%B8%AD"] {
            assert!(!is_trick(path), "{path}");
        }
    }
}
