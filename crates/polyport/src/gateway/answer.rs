//! What the admin API answers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use polyport_provider::ProviderBody;
use serde_json::Value;

/// Longest answer that is read as a whole, in bytes.
const LONGEST: usize = 256 << 20;

/// The head of an answer, and its body as it comes.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(super) body: Body,
}

/// A body, and what brings it.
pub(super) enum Body {
    Remote(ProviderBody),
    Direct { body: Incoming, connection: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>> },
}

impl Answer {
    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// Where the gateway went away.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        match &mut self.body {
            Body::Remote(body) => Ok(body.chunk().await?),
            Body::Direct { body, connection } => loop {
                let frame = match connection {
                    None => body.frame().await,
                    Some(driven) => tokio::select! {
                        biased;
                        frame = body.frame() => frame,
                        _ = driven => {
                            *connection = None;
                            continue;
                        }
                    },
                };
                match frame {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(data) = frame.context("the gateway went away")?.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
        }
    }

    async fn bytes(mut self) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
            anyhow::ensure!(all.len() <= LONGEST, "the answer is longer than 256 MiB");
        }
        Ok(all.freeze())
    }

    /// The answer, if it is no refusal.
    ///
    /// # Errors
    /// [`Refused`].
    pub(super) async fn good(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let status = self.status;
        let bytes = self.bytes().await?;
        let problem = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(Refused { status, problem }.into())
    }

    pub(super) async fn json(self) -> Result<Value> {
        // Whether something is ready is an answer as well.
        if self.status == StatusCode::SERVICE_UNAVAILABLE && !is_problem(&self.headers) {
            let bytes = self.bytes().await?;
            return serde_json::from_slice(&bytes).context("the answer is no JSON; is this a Polyport gateway?");
        }
        let bytes = self.good().await?.bytes().await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).context("the answer is no JSON; is this a Polyport gateway?")
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem"))
}

/// The gateway refused something.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    /// A problem document (RFC 9457), or what stood in its place.
    pub(crate) problem: Value,
}

impl Refused {
    /// What kind of refusal it is.
    pub(crate) fn code(&self) -> &str {
        self.problem["code"].as_str().unwrap_or_default()
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = self.problem["detail"].as_str().or_else(|| self.problem["error"]["message"].as_str());
        match detail {
            Some(detail) => f.write_str(detail)?,
            None => write!(f, "the gateway answered {}", self.status)?,
        }
        for flaw in self.problem["errors"].as_array().into_iter().flatten() {
            let said = flaw["detail"].as_str().unwrap_or_default();
            let place = ["pointer", "parameter", "header"].iter().find_map(|member| flaw[*member].as_str());
            let place = place.unwrap_or_default().trim_start_matches("#/").replace('/', ".");
            let remedy = flaw["remedy"].as_str().filter(|remedy| !remedy.is_empty());
            // One flaw is the whole story most often.
            if detail.is_some_and(|detail| detail.contains(said))
                && remedy.is_none_or(|remedy| detail.is_some_and(|detail| detail.contains(remedy)))
            {
                continue;
            }
            let place = if place.is_empty() { place } else { format!("{place}: ") };
            write!(f, "\n  {place}{said}{}", remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default())?;
        }
        let next = match (self.status, self.code()) {
            (_, "no_admin_key") | (StatusCode::UNAUTHORIZED, _) => {
                "give the key of an operator with `--admin-key`, or in the variable POLYPORT_ADMIN_KEY or ADMIN_TOKEN"
            }
            (_, "client_key") => "this is the key of a client: give one of `access.admin_keys`",
            (_, "stale") => "somebody else changed it meanwhile: look at it and try again",
            _ => return Ok(()),
        };
        write!(f, "\n{next}")
    }
}
