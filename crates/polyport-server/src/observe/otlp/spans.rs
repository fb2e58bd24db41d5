//! Spans of a request, in the names of OpenTelemetry's conventions.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::uri::Authority;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use polyport_types::Usage;

use super::{Ended, Trace, Try};
use crate::app::Runtime;
use crate::config::{Provider, Service, Traces};

/// Everything a collector gets of these requests.
pub(super) fn request(settings: &Traces, runtime: &Runtime, ended: &[Ended]) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = vec![text("service.name", settings.service_name.as_str()), text("service.version", version)];
    let names = ["service.name", "service.version"];
    let more = settings.resource.iter().filter(|(name, _)| !names.contains(&name.as_str()));
    resource.extend(more.map(|(name, value)| text(name, value.as_str())));
    let scope = InstrumentationScope { name: "polyport".to_owned(), version: version.to_owned(), ..Default::default() };
    let spans = ended.iter().flat_map(|ended| of_request(ended, runtime)).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: resource, ..Default::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }],
            ..Default::default()
        }],
    }
}

/// The span of a request, then those of its attempts.
fn of_request(ended: &Ended, runtime: &Runtime) -> Vec<Span> {
    let trace = &*ended.trace;
    let mut attributes = vec![
        text("http.request.method", trace.method.as_str()),
        text("url.path", trace.path.as_str()),
        number("http.response.status_code", ended.status),
        text("gen_ai.operation.name", ended.operation),
        flag("gen_ai.request.stream", ended.stream),
        text("polyport.request.id", &trace.request),
        text("polyport.client.protocol", ended.protocol),
        number("polyport.attempts", ended.spans() - 1),
        flag("polyport.passthrough", ended.passthrough),
        number("polyport.losses", ended.losses as u64),
    ];
    if !ended.model.is_empty() {
        attributes.push(text("gen_ai.request.model", ended.model.as_str()));
    }
    attributes.extend(ended.error.map(|class| text("error.type", class)));
    // A mistake of the client is none of this service.
    let failed = ended.status >= 500 || ended.error.is_some() && ended.status < 400;
    let root = Span {
        span_id: trace.span_id.to_vec(),
        parent_span_id: trace.parent.map(|parent| parent.to_vec()).unwrap_or_default(),
        name: format!("{} {}", trace.method, ended.route),
        kind: SpanKind::Server as i32,
        end_time_unix_nano: nanos(time_of(ended, ended.now)),
        start_time_unix_nano: nanos(trace.began),
        attributes,
        status: failed.then(|| status(ended.error)),
        ..common(trace)
    };
    let last = trace.tries.len().saturating_sub(1);
    let tries = trace.tries.iter().enumerate().map(|(at, one)| of_try(ended, one, at == last, runtime));
    std::iter::once(root).chain(tries).collect()
}

fn of_try(ended: &Ended, one: &Try, last: bool, runtime: &Runtime) -> Span {
    let provider = runtime.provider(&one.provider).map(|upstream| &*upstream.config);
    let mut attributes = vec![
        text("gen_ai.operation.name", ended.operation),
        text("gen_ai.provider.name", provider.map_or(one.provider.as_str(), known_name)),
        text("gen_ai.request.model", one.model.as_str()),
        flag("gen_ai.request.stream", ended.stream),
        text("polyport.provider", one.provider.as_str()),
    ];
    if let Some(server) = provider.and_then(server) {
        attributes.push(text("server.address", server.host()));
        attributes.extend(server.port_u16().map(|port| number("server.port", port)));
    }
    for (name, value) in [("gen_ai.response.id", &one.response_id), ("gen_ai.response.model", &one.response_model)] {
        attributes.extend((!value.is_empty()).then(|| text(name, value)));
    }
    let error = one.error.or(ended.error.filter(|_| last && one.ended.is_none()));
    attributes.extend(error.map(|class| text("error.type", class)));
    attributes.extend(one.status.map(|status| number("http.response.status_code", status)));
    let mut events = Vec::new();
    if last {
        attributes.extend(usage(&ended.usage));
        attributes.extend(ended.finish.as_deref().map(|reason| texts("gen_ai.response.finish_reasons", &[reason])));
        attributes.extend(ended.upstream_id.as_deref().map(|id| text("polyport.upstream.request_id", id)));
        if let Some(first) = ended.first_output.filter(|_| ended.stream && one.error.is_none()) {
            let waited = first.saturating_duration_since(one.began).as_secs_f64();
            attributes.push(KeyValue {
                key: "gen_ai.response.time_to_first_chunk".to_owned(),
                value: Some(AnyValue { value: Some(Value::DoubleValue(waited)) }),
                ..Default::default()
            });
            let time_unix_nano = nanos(time_of(ended, first));
            events.push(Event { time_unix_nano, name: "first_token".to_owned(), ..Default::default() });
        }
    }
    Span {
        span_id: one.span_id.to_vec(),
        parent_span_id: ended.trace.span_id.to_vec(),
        name: format!("{} {}", ended.operation, one.model),
        kind: SpanKind::Client as i32,
        start_time_unix_nano: nanos(time_of(ended, one.began)),
        end_time_unix_nano: nanos(time_of(ended, one.ended.unwrap_or(ended.now))),
        attributes,
        events,
        status: error.map(|class| status(Some(class))),
        ..common(&ended.trace)
    }
}

fn common(trace: &Trace) -> Span {
    Span {
        trace_id: trace.trace_id.to_vec(),
        trace_state: trace.state.clone(),
        flags: u32::from(trace.sampled),
        ..Default::default()
    }
}

/// What an answer used; the conventions count what caches gave among the input.
fn usage(usage: &Usage) -> Vec<KeyValue> {
    if usage.is_absent() {
        return Vec::new();
    }
    let counts = [
        ("gen_ai.usage.input_tokens", Some(usage.input_total())),
        ("gen_ai.usage.output_tokens", Some(usage.output_total())),
        ("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
        ("gen_ai.usage.cache_creation.input_tokens", Some(usage.cache_write()).filter(|&count| count > 0)),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
    ];
    counts.into_iter().filter_map(|(name, count)| Some(number(name, count?))).collect()
}

/// The conventions' name of a service, or the one the configuration gives it.
fn known_name(provider: &Provider) -> &str {
    const KNOWN: [(&str, &str); 14] = [
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("gemini", "gcp.gemini"),
        ("code-assist", "gcp.gen_ai"),
        ("vertex", "gcp.vertex_ai"),
        ("bedrock", "aws.bedrock"),
        ("bedrock-anthropic", "aws.bedrock"),
        ("azure", "azure.ai.openai"),
        ("azure-ai", "azure.ai.inference"),
        ("mistral", "mistral_ai"),
        ("deepseek", "deepseek"),
        ("groq", "groq"),
        ("xai", "x_ai"),
        ("perplexity", "perplexity"),
    ];
    KNOWN.iter().find(|(table, _)| *table == &*provider.table).map_or(&*provider.name, |(_, name)| name)
}

/// Where a provider is.
fn server(provider: &Provider) -> Option<Authority> {
    match &provider.service {
        Service::Http(http) => http.endpoint.authority().parse().ok(),
        Service::Process(_) | Service::Echo => None,
    }
}

fn time_of(ended: &Ended, at: Instant) -> SystemTime {
    ended.trace.began + at.saturating_duration_since(ended.started)
}

fn nanos(time: SystemTime) -> u64 {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What happened, without the words of anybody.
fn status(class: Option<&str>) -> Status {
    Status { message: class.unwrap_or_default().to_owned(), code: StatusCode::Error as i32 }
}

fn texts(key: &str, values: &[&str]) -> KeyValue {
    let one = |value: &&str| AnyValue { value: Some(Value::StringValue((*value).to_owned())) };
    let values = ArrayValue { values: values.iter().map(one).collect() };
    let value = Some(AnyValue { value: Some(Value::ArrayValue(values)) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn number(key: &str, value: impl Into<u64>) -> KeyValue {
    let value = Value::IntValue(i64::try_from(value.into()).unwrap_or(i64::MAX));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn flag(key: &str, value: bool) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(Value::BoolValue(value)) }),
        ..Default::default()
    }
}
