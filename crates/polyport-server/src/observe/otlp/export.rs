//! Takes traces to the collector.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use polyport_provider::{ProviderBody, ProviderRequest, RequestBody};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Ended, Tracer, spans};
use crate::app::App;

/// Requests of one export.
const MOST: usize = 256;

/// The first of them waits this long for others.
const GATHER: Duration = Duration::from_millis(500);

/// Times that an export is tried.
const TRIES: u32 = 4;

/// Before it is tried again, doubled each time; a collector may ask for more.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What is left at the end may take this long.
const LAST: Duration = Duration::from_secs(3);

/// A longer answer of a collector is not read to its end.
const ANSWER_BYTES: usize = 64 << 10;

/// Exports until `end`.
pub(crate) async fn keep_exporting(app: Arc<App>, end: CancellationToken) {
    let Some(tracer) = &app.tracer else { return };
    let Some(mut queue) = tracer.left.lock().take() else { return };
    let mut exporter = Exporter { app: &app, tracer, reached: true };
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            count = queue.recv_many(&mut batch, MOST) => if count == 0 { break },
        }
        tokio::select! {
            biased;
            () = end.cancelled() => {}
            () = tokio::time::sleep(GATHER) => {}
        }
        fill(&mut batch, &mut queue);
        let late = async {
            end.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        let lost = spans_of(&batch);
        tokio::select! {
            biased;
            () = exporter.export(&batch) => {}
            () = late => drop(app.metrics.spans_dropped.inc_by(lost)),
        }
    }
    *tracer.left.lock() = Some(queue);
}

/// Exports what is left, when nothing more comes.
pub(crate) async fn finish(app: &App) {
    let Some(tracer) = &app.tracer else { return };
    let Some(mut queue) = tracer.left.lock().take() else { return };
    let mut exporter = Exporter { app, tracer, reached: true };
    let rest = async {
        loop {
            let mut batch = Vec::new();
            fill(&mut batch, &mut queue);
            if batch.is_empty() {
                return;
            }
            exporter.export(&batch).await;
        }
    };
    if tokio::time::timeout(LAST, rest).await.is_err() {
        warn!("the collector took too long: the last traces are lost");
    }
}

fn fill(batch: &mut Vec<Ended>, queue: &mut mpsc::Receiver<Ended>) {
    while batch.len() < MOST
        && let Ok(more) = queue.try_recv()
    {
        batch.push(more);
    }
}

fn spans_of(batch: &[Ended]) -> u64 {
    batch.iter().map(|ended| ended.spans()).sum()
}

struct Exporter<'a> {
    app: &'a App,
    tracer: &'a Tracer,
    /// The last export arrived.
    reached: bool,
}

/// How one try ended.
enum Tried {
    /// It arrived; so many spans were refused.
    Arrived(u64),
    /// It may be tried again, after this time.
    Later(String, Option<Duration>),
    /// It is of no use.
    Refused(String),
}

impl Exporter<'_> {
    /// Exports these, or counts them as lost.
    async fn export(&mut self, batch: &[Ended]) {
        let spans = spans_of(batch);
        let metrics = &self.app.metrics;
        let body = spans::request(&self.tracer.settings, &self.app.runtime_owned(), batch).encode_to_vec();
        let body = Bytes::from(body);
        let mut pause = PAUSE;
        for attempt in 1..=TRIES {
            let limit = self.tracer.settings.timeout;
            let tried = match tokio::time::timeout(limit, self.send(body.clone())).await {
                Ok(tried) => tried,
                Err(_) => Tried::Later(format!("it took longer than {limit:?}"), None),
            };
            let (why, wait) = match tried {
                Tried::Arrived(refused) => {
                    metrics.spans_sent.inc_by(spans.saturating_sub(refused));
                    metrics.spans_dropped.inc_by(refused);
                    if !std::mem::replace(&mut self.reached, true) {
                        info!("traces arrive at the collector again");
                    }
                    return;
                }
                Tried::Later(why, wait) if attempt < TRIES => (why, wait),
                Tried::Later(why, _) | Tried::Refused(why) => {
                    metrics.spans_dropped.inc_by(spans);
                    // One line for all of them that are lost in a row.
                    if std::mem::replace(&mut self.reached, false) {
                        warn!("traces do not arrive at the collector: {why}");
                    }
                    return;
                }
            };
            debug!("the collector is asked again: {why}");
            tokio::time::sleep(wait.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn send(&self, body: Bytes) -> Tried {
        const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("polyport/", env!("CARGO_PKG_VERSION")));
        let settings = &self.tracer.settings;
        let mut headers = settings.headers.clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        headers.insert(USER_AGENT, AGENT);
        let (uri, body) = (settings.endpoint.clone(), RequestBody::from(body));
        let request = ProviderRequest { method: Method::POST, uri, headers, body };
        let answer = match self.tracer.client.send(request).await {
            Ok(answer) => answer,
            Err(error) => return Tried::Later(error.to_string(), None),
        };
        let status = answer.status;
        if status.is_success() {
            let said = read(answer.body).await;
            let said = ExportTraceServiceResponse::decode(said.as_slice()).unwrap_or_default();
            let refused = said.partial_success.map_or(0, |partial| partial.rejected_spans);
            return Tried::Arrived(u64::try_from(refused).unwrap_or(0));
        }
        let why = format!("it answers {status}");
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let seconds = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                Tried::Later(why, seconds.map(Duration::from_secs))
            }
            _ => Tried::Refused(why),
        }
    }
}

/// As much as is of use.
async fn read(mut body: ProviderBody) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < ANSWER_BYTES
        && let Ok(Some(chunk)) = body.chunk().await
    {
        read.extend_from_slice(&chunk);
    }
    read
}
