//! `/docs`: the API for people with a browser. Everything the page needs is in the binary.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response};
use polyport_types::ClientProtocol;

use crate::body::Body;
use crate::error;
use crate::ingress::Call;

/// A file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Page,
    Script,
    Style,
}

/// Nothing from elsewhere, and on no page of others.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

impl File {
    /// The one at a path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/docs" => Some(Self::Page),
            "/docs/viewer.js" => Some(Self::Script),
            "/docs/viewer.css" => Some(Self::Style),
            _ => None,
        }
    }

    fn content(self) -> (&'static str, &'static str) {
        match self {
            Self::Page => ("text/html; charset=utf-8", include_str!("../assets/docs/index.html")),
            Self::Script => ("text/javascript; charset=utf-8", include_str!("../assets/docs/viewer.js")),
            Self::Style => ("text/css; charset=utf-8", include_str!("../assets/docs/viewer.css")),
        }
    }
}

pub(crate) fn answer(call: &Call, file: File) -> Response<Body> {
    let (kind, text) = file.content();
    page(call, kind, HeaderValue::from_static(POLICY), Body::from(text))
}

/// A page that browsers may do nothing with but what `policy` says.
pub(crate) fn page(call: &Call, kind: &'static str, policy: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    error::name(ClientProtocol::Chat, &call.id, headers);
    response
}
