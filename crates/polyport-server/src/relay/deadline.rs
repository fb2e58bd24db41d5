//! How long a request may go without an answer: what the configuration allows, and what its client waits.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use polyport_types::{Fault, FaultClass};
use tokio::time::Instant;

/// Headers in which SDKs say how many seconds they wait: OpenAI's and Anthropic's, and Google's.
const HEADERS: [&str; 3] = ["x-stainless-timeout", "x-stainless-read-timeout", "x-server-timeout"];

/// Nobody waits longer.
const LONGEST: f64 = 7.0 * 86_400.0;

/// How long a client waits for an answer; `None` if it does not say so in words of use.
pub(crate) fn of_client(headers: &HeaderMap) -> Option<Duration> {
    let seconds = |name: &&str| headers.get(*name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let said = HEADERS.iter().filter_map(seconds).filter(|seconds| (0.0..=LONGEST).contains(seconds));
    let least = said.min_by(f64::total_cmp)?;
    // Some of them leave out what is beyond whole seconds.
    let rest = if least.fract() == 0.0 { 1.0 } else { 0.0 };
    Some(Duration::from_secs_f64(least + rest))
}

/// Whose patience ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The configuration's.
    Operator,
    /// The client's.
    Client,
}

/// When an answer must have begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) whose: Whose,
    at: Instant,
    time: Duration,
}

impl Deadline {
    /// The earlier of what the configuration allows and what the client waits, if that counts.
    pub(crate) fn new(began: std::time::Instant, patience: Duration, client: Option<Duration>) -> Self {
        let (whose, time) = match client {
            Some(client) if client < patience => (Whose::Client, client),
            _ => (Whose::Operator, patience),
        };
        Self { whose, at: Instant::from_std(began) + time, time }
    }

    /// Waits for work until the time is up; `None` if it is.
    pub(crate) async fn wait<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout_at(self.at, work).await.ok()
    }

    /// The same for work that may fail: that the time is up is a failure as well.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.wait(work).await.unwrap_or_else(|| Err(self.fault()))
    }

    /// What the client is told when the time is up.
    pub(crate) fn fault(&self) -> Fault {
        let seconds = self.time.as_secs_f64();
        let words = match self.whose {
            Whose::Operator => {
                format!("no answer began within {seconds} seconds, which is all the time a request has here")
            }
            Whose::Client => format!("no answer came within the {seconds} seconds that the client waits"),
        };
        Fault::new(FaultClass::Timeout, words)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn clients_say_how_long_they_wait_in_several_ways() {
        let said = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter();
            of_client(
                &headers
                    .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                    .collect(),
            )
        };
        assert_eq!(said(&[("x-stainless-timeout", "600")]), Some(Duration::from_secs(601)));
        assert_eq!(said(&[("x-stainless-read-timeout", "2.5")]), Some(Duration::from_millis(2500)));
        assert_eq!(said(&[("x-stainless-timeout", "0")]), Some(Duration::from_secs(1)));
        assert_eq!(
            said(&[("x-stainless-timeout", "9.5"), ("x-server-timeout", "4.5")]),
            Some(Duration::from_millis(4500))
        );
        for nothing in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(said(&[("x-stainless-timeout", nothing)]), None, "{nothing}");
        }
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn the_shorter_patience_counts() {
        let now = std::time::Instant::now();
        let whose = |client: u64| Deadline::new(now, Duration::from_secs(60), Some(Duration::from_secs(client))).whose;
        assert_eq!((whose(59), whose(60)), (Whose::Client, Whose::Operator));
        assert_eq!(Deadline::new(now, Duration::from_secs(60), None).whose, Whose::Operator);
    }
}
