//! One request a fake provider has received, and what became of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

/// How long waits in tests last at most before they panic.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A request and its fate; clones share both.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    serial: usize,
    received: Received,
    violations: Vec<String>,
    outcome: watch::Sender<Outcome>,
}

/// The parts of a request.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) connection: usize,
    pub(super) http2: bool,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) at: Instant,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is under way.
    Open,
    /// All that the step says was sent.
    Sent,
    /// The other side closed the connection (or reset the stream) before that, at this moment.
    Left(Instant),
}

impl Exchange {
    pub(super) fn new(serial: usize, received: Received, violations: Vec<String>) -> Self {
        Self(Arc::new(Inner { serial, received, violations, outcome: watch::Sender::new(Outcome::Open) }))
    }

    /// Number of the request at its provider, from 1.
    #[must_use]
    pub fn serial(&self) -> usize {
        self.0.serial
    }

    /// Number of the connection it came on, from 1.
    #[must_use]
    pub fn connection(&self) -> usize {
        self.0.received.connection
    }

    /// Whether it came over HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.0.received.http2
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.0.received.method
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.received.path
    }

    /// The query without the question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.0.received.query
    }

    /// All headers in order, lower-case names.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.0.received.headers
    }

    /// The first header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body, as received.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.0.received.body
    }

    /// The body as JSON; `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.body()).unwrap_or(Value::Null)
    }

    /// When the request was complete.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.0.received.at
    }

    /// What the real service would have refused in it.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.0.violations
    }

    /// What became of it so far.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        *self.0.outcome.borrow()
    }

    /// Waits until the answer is over.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub async fn finished(&self) -> Outcome {
        let mut outcome = self.0.outcome.subscribe();
        let over = tokio::time::timeout(PATIENCE, outcome.wait_for(|outcome| *outcome != Outcome::Open)).await;
        *over.expect("the exchange does not end").expect("the exchange is gone")
    }

    /// Waits until the other side gives up, and tells when it did.
    ///
    /// # Panics
    /// When it does not within 20 seconds, or took the whole answer.
    pub async fn left(&self) -> Instant {
        match self.finished().await {
            Outcome::Left(at) => at,
            other => panic!("the other side did not leave: {other:?}"),
        }
    }

    pub(super) fn close(&self, outcome: Outcome) {
        self.0.outcome.send_if_modified(|now| {
            let open = *now == Outcome::Open;
            if open {
                *now = outcome;
            }
            open
        });
    }
}
