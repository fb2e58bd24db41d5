//! Bodies that are handed on as they are but for the model's name.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use hyper::body::Incoming;
use polyport_provider::RequestBody;
use polyport_types::{Fault, FaultClass, Text};

use super::Entered;
use super::body::{self, BodyLimits};
use super::spool::Spool;
use crate::ledger::tries::Estimate;
use crate::relay::limits::rough;
use crate::relay::origin::Reference;
use crate::relay::peek::{Edits, Peek};
use crate::tasks;

/// A form is searched for its delimiters in pieces of this size.
const PIECE: u64 = 1 << 20;

/// A form with more parts is not looked into further.
const PARTS: usize = 10_000;

/// Longest head of a form's part.
const PART_HEAD: u64 = 8 << 10;

/// A body in which the model's name may stand.
#[derive(Debug)]
pub(crate) enum Content {
    Json(Bytes),
    /// A form, and where in it the model is named.
    Form {
        spool: Spool,
        model: Option<(Range<u64>, Text)>,
    },
    Other(Spool),
}

/// How a body is written.
enum Kind {
    Json,
    Form(String),
    Other,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let word = kind.to_ascii_lowercase();
        if word.is_empty() || word.starts_with("application/json") {
            return Self::Json;
        }
        let boundary = kind.split(';').filter(|_| word.starts_with("multipart/form-data")).find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
        });
        boundary.filter(|boundary| !boundary.is_empty()).map_or(Self::Other, Self::Form)
    }
}

impl Content {
    /// Reads a body to its end. What is no JSON, and everything if it is `raw`, is written to a file when it is large.
    pub(super) async fn read(entered: &Entered, body: Incoming, raw: bool) -> Result<Self, Fault> {
        let (head, config) = (&entered.parts, &entered.runtime.config);
        let limits = &config.limits;
        let kind = if raw { Kind::Other } else { Kind::of(&head.headers) };
        let spool = if matches!(kind, Kind::Json) || body::is_compressed(head) {
            Spool::Memory(body::read(head, body, BodyLimits::new(limits, limits.request_body_bytes)).await?)
        } else {
            let bounds = BodyLimits { time: limits.upload_time, ..BodyLimits::new(limits, limits.upload_bytes) };
            Spool::read(head, body, bounds, &config.data).await?
        };
        match (kind, spool) {
            (Kind::Json, Spool::Memory(body)) => {
                polyport_protocol::json::check_depth_below(&body, limits.json_depth)?;
                Ok(Self::Json(body))
            }
            (Kind::Form(boundary), spool) => Self::form(spool, boundary).await,
            (Kind::Json | Kind::Other, spool) => Ok(Self::Other(spool)),
        }
    }

    /// About how many tokens it is. Files are none: what they come to, only their provider knows.
    pub(super) fn estimate(&self) -> Estimate {
        match self {
            Self::Json(body) => Estimate { output: 0, ..rough(body, None) },
            Self::Form { .. } | Self::Other(_) => Estimate::default(),
        }
    }

    async fn form(spool: Spool, boundary: String) -> Result<Self, Fault> {
        let searched = spool.clone();
        let found = tasks::off_worker(move || -> io::Result<_> {
            let Some(range) = form_field(&searched, &boundary, "model")? else { return Ok(None) };
            if range.end - range.start > PART_HEAD {
                return Ok(None);
            }
            let value = searched.slice(range.clone())?;
            Ok(std::str::from_utf8(&value).ok().map(|name| (range, Text::from(name.trim()))))
        });
        let failed = |_| Fault::new(FaultClass::Internal, "an internal error occurred");
        let model = found.await.unwrap_or(Ok(None)).map_err(failed)?;
        Ok(Self::Form { spool, model })
    }

    /// The model it names.
    pub(crate) fn model(&self) -> Result<Option<Text>, Fault> {
        match self {
            Self::Json(body) if body.is_empty() => Ok(None),
            Self::Json(body) => Ok(Peek::parse(body)?.text(body, "model").map(Text::from)),
            Self::Form { model, .. } => Ok(model.as_ref().map(|(_, name)| name.clone())),
            Self::Other(_) => Ok(None),
        }
    }

    /// What it goes on from.
    pub(crate) fn reference(&self) -> Option<Reference> {
        match self {
            Self::Json(body) => Reference::in_body(&Peek::parse(body).ok()?, body),
            Self::Form { .. } | Self::Other(_) => None,
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Json(body) => body.is_empty(),
            Self::Form { spool, .. } | Self::Other(spool) => spool.len() == 0,
        }
    }

    /// The body for a provider that knows the model by this name; an empty one leaves it as it is.
    pub(crate) fn with_model(&self, name: &Text) -> Result<RequestBody, Fault> {
        Ok(match self {
            Self::Json(body) if body.is_empty() || name.is_empty() => body.clone().into(),
            Self::Json(body) => {
                let peek = Peek::parse(body)?;
                let mut edits = Edits::default();
                if peek.text(body, "model").as_deref() != Some(&**name) {
                    edits.set("model", serde_json::Value::from(&**name).to_string());
                }
                peek.edited(body, &edits).into()
            }
            Self::Form { spool, model } => {
                let change = model.as_ref().filter(|(_, found)| !name.is_empty() && found != name);
                spool.body(change.map(|(range, _)| (range.clone(), Bytes::copy_from_slice(name.as_bytes()))))
            }
            Self::Other(spool) => spool.body(None),
        })
    }
}

/// Where the value of a form field stands.
fn form_field(form: &Spool, boundary: &str, name: &str) -> io::Result<Option<Range<u64>>> {
    let delimiter = format!("--{boundary}");
    let quoted = format!("name=\"{name}\"");
    let length = delimiter.len() as u64;
    let mut starts: Vec<u64> = Vec::new();
    let mut from = 0;
    while from < form.len() && starts.len() < PARTS {
        // A delimiter may lie across two pieces.
        let piece = form.slice(from..from + PIECE + length - 1)?;
        starts.extend(memchr::memmem::find_iter(&piece, delimiter.as_bytes()).map(|at| from + at as u64));
        from += PIECE;
    }
    // One that lies in the overlap is found twice.
    starts.dedup();
    for (&start, &end) in starts.iter().zip(starts.iter().skip(1)) {
        let from = start + length;
        let part = form.slice(from..end.min(from + PART_HEAD))?;
        let Some(head_end) = memchr::memmem::find(&part, b"\r\n\r\n") else { continue };
        let head = part.get(..head_end).and_then(|head| std::str::from_utf8(head).ok()).unwrap_or_default();
        if !head.split([';', '\r', '\n']).any(|piece| piece.trim() == quoted) {
            continue;
        }
        // The line end before the delimiter is no part of the value.
        let (value_start, value_end) = (from + head_end as u64 + 4, end.saturating_sub(2));
        if value_start <= value_end {
            return Ok(Some(value_start..value_end));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::BodyExt as _;

    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the body is one of the test's own")]
    async fn sent(content: &Content, model: &str) -> String {
        let body = content.with_model(&Text::from(model)).unwrap();
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_form_gets_another_model_and_keeps_everything_else() {
        let form = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"name=model\"\r\n\r\n\0\x01--xy\r\n--xyz\r\n\
                    Content-Disposition: form-data; name=\"model\"\r\n\r\nalias\r\n--xyz--\r\n";
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=\"xyz\""));
        let Kind::Form(boundary) = Kind::of(&headers) else { panic!("a form") };
        let content = Content::form(Spool::Memory(Bytes::from(form)), boundary).await.unwrap();
        assert_eq!(content.model().unwrap().as_deref(), Some("alias"));
        assert_eq!(sent(&content, "whisper-1").await, form.replace("alias", "whisper-1"));
        assert_eq!(sent(&content, "").await, form);
    }

    #[test]
    fn a_delimiter_may_lie_across_two_pieces() {
        let head = "\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
        let model = "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--xyz--";
        for shift in 0..8_u64 {
            let fill = usize::try_from(PIECE - shift).unwrap() - "--xyz".len() - head.len() - 2;
            let form = format!("--xyz{head}{}\r\n--xyz{model}", "x".repeat(fill));
            let range = form_field(&Spool::Memory(Bytes::from(form.clone())), "xyz", "model").unwrap().unwrap();
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert_eq!(form.get(range), Some("m"), "{shift}");
        }
    }

    #[tokio::test]
    async fn json_keeps_its_bytes() {
        let content = Content::Json(Bytes::from_static(b"{ \"input\": 1e3, \"model\":\"a\"}"));
        assert_eq!(sent(&content, "a").await, "{ \"input\": 1e3, \"model\":\"a\"}");
        assert_eq!(sent(&content, "b").await, "{ \"input\": 1e3, \"model\":\"b\"}");
    }
}
