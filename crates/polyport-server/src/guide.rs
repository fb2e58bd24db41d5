//! `/docs/guide/`: the book for people with a browser. Everything it needs is in the binary.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use polyport_guide::{FILES, STYLE, build};
use polyport_types::{ClientProtocol, Fault, FaultClass};

use crate::body::Body;
use crate::ingress::Call;
use crate::{docs, error};

/// Where it begins.
const ROOT: &str = "/docs/guide";

/// One style sheet of our own, no script, and on no page of others.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The pages, made when the first of them is asked for.
static PAGES: LazyLock<HashMap<String, Bytes>> = LazyLock::new(|| {
    // Links were checked when this was built.
    let book = build(FILES, |_| true);
    book.pages.into_iter().map(|(path, html)| (path, Bytes::from(html))).collect()
});

/// Whether a path is one of the book's.
pub(crate) fn holds(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers for a path that begins with [`ROOT`].
pub(crate) fn answer(call: &Call, path: &str) -> Response<Body> {
    let Some(rest) = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) else {
        return with_a_slash(call, path);
    };
    let name = if rest.is_empty() || rest.ends_with('/') { format!("{rest}index.html") } else { rest.to_owned() };
    let (kind, body) = match (name.as_str(), PAGES.get(&name)) {
        ("style.css", _) => ("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes())),
        (_, Some(page)) => ("text/html; charset=utf-8", page.clone()),
        (_, None) if PAGES.contains_key(&format!("{name}/index.html")) => return with_a_slash(call, path),
        _ => {
            let fault = Fault::new(FaultClass::NotFound, format!("the book has no such page; it begins at {ROOT}/"));
            return error::answer(ClientProtocol::Chat, &fault, &call.id);
        }
    };
    docs::page(call, kind, HeaderValue::from_static(POLICY), Body::from(body))
}

/// Leads to the same path with a slash at its end, which links on the page count on.
fn with_a_slash(call: &Call, path: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::new()));
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    // From where it is, whatever a proxy puts before the path.
    let last = path.rsplit('/').next().unwrap_or_default();
    if let Ok(place) = HeaderValue::from_str(&format!("{last}/")) {
        response.headers_mut().insert(LOCATION, place);
    }
    error::name(ClientProtocol::Chat, &call.id, response.headers_mut());
    response
}
