//! What the gateway tells about itself: who reads its figures, and where its traces go.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::{Access, KeyHash};
use super::check::{Care, Context, Keys, keys, steps};
use super::file::Key;
use super::problem::{Place, Problem};
use super::units::{Named, Several};

/// Figures for Prometheus. On the address that clients use they need a key of an operator or one of these, unless the gateway is open to
/// everybody on this machine.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MetricsFile {
    /// An address of their own, where `/metrics` is all there is; the one that clients use has them no more. Needs a restart to change.
    #[schemars(example = &"127.0.0.1:9464")]
    listen: Option<String>,
    /// Keys that open the figures and nothing else, as `Authorization: Bearer`.
    keys: Several<Key>,
    /// Nobody needs a key for them. Default: true where they have an address of their own on this machine and `keys` is empty; otherwise as
    /// long as no client needs one.
    open: Option<bool>,
}

/// What is told to other programs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TelemetryFile {
    /// Traces.
    pub(super) otlp: Otlp,
}

/// Traces for a collector that speaks OpenTelemetry's protocol over HTTP. They hold no text of requests and answers. Needs a restart to
/// change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Otlp {
    /// Its address; `/v1/traces` is added. Default: what `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (as it is) or `OTEL_EXPORTER_OTLP_ENDPOINT`
    /// says; without any, there are no traces.
    #[schemars(example = &"http://127.0.0.1:4318")]
    endpoint: Option<String>,
    /// Headers it wants, such as a key. Values may be `env:NAME` or `file:PATH`. Default: what `OTEL_EXPORTER_OTLP_HEADERS` says.
    headers: Named<String>,
    /// Share of requests that are traced, where the caller does not say by its own trace (`traceparent`). Default: what
    /// `OTEL_TRACES_SAMPLER_ARG` says, otherwise 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    sample: Option<f64>,
    /// What the service is called there. Default: what `OTEL_SERVICE_NAME` says, otherwise `polyport`.
    service_name: Option<String>,
    /// Providers are told of the trace, by a `traceparent` header. Default: false.
    propagate: Option<bool>,
}

/// Who may read the figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsAccess {
    /// An address of their own.
    pub listen: Option<SocketAddr>,
    /// Nobody needs a key; where this is not said, whoever needs none for a request needs none here.
    pub open: bool,
    keys: Vec<KeyHash>,
}

impl MetricsAccess {
    /// Whether a key opens the figures.
    #[must_use]
    pub fn holds(&self, presented: &str) -> bool {
        !self.keys.is_empty() && self.keys.contains(&KeyHash::of(presented))
    }
}

/// Where traces go.
#[derive(Clone, PartialEq)]
pub struct Traces {
    /// The whole address.
    pub endpoint: Uri,
    /// What the collector wants to see.
    pub headers: HeaderMap,
    /// Share of requests, from 0 to 1.
    pub sample: f64,
    /// What the service is called.
    pub service_name: String,
    /// More about it.
    pub resource: Vec<(String, String)>,
    /// Providers are told of the trace.
    pub propagate: bool,
    /// How long the collector may take.
    pub timeout: Duration,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers hold keys, and so may the address.
        f.debug_struct("Traces").field("sample", &self.sample).finish_non_exhaustive()
    }
}

pub(super) fn metrics(given: &MetricsFile, access: &Access, context: &mut Context<'_>) -> MetricsAccess {
    let listen = given.listen.as_deref().and_then(|text| {
        let address = text.parse::<SocketAddr>().ok();
        if address.is_none() {
            let remedy = "write it like 127.0.0.1:9464, or [::1]:9464";
            context.error(&steps!["metrics", "listen"], "this is not an IP address with a port", remedy);
        }
        address
    });
    let public = listen.is_some_and(|address| !address.ip().is_loopback());
    let care = if public { Care::Network } else { Care::Machine };
    let Keys { given: has_keys, valid, .. } = keys(&given.keys.0, "metrics", "keys", None, care, context);
    for (name, hash) in &valid {
        if access.holds(*hash) {
            let message = format!("`{name}` is also a key of clients");
            context.error(&steps!["metrics", "keys"], message, "make another one: openssl rand -hex 24");
        }
    }
    let open = given.open.unwrap_or(listen.is_some() && !public && !has_keys);
    if public && !open && !has_keys && !access.has_admin_keys() {
        let remedy =
            "add `metrics: { keys: [\"env:NAME\"] }`, or `open: true` where everybody who can connect may read them";
        context.error(&steps!["metrics", "listen"], "there is no key that would open the figures", remedy);
    }
    MetricsAccess { listen, open, keys: valid.into_iter().map(|(_, hash)| hash).collect() }
}

pub(super) fn traces(given: &Otlp, context: &mut Context<'_>) -> Option<Traces> {
    let environment = context.environment;
    if environment.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let endpoint = endpoint(given, context)?;
    let mut headers = HeaderMap::new();
    let usual = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];
    for (variable, name, value) in usual.iter().flat_map(|&variable| pairs(environment.get(variable), variable)) {
        let told = |context: &mut Context<'_>| {
            let problem = Problem::warning(Place::Env(variable.to_owned()), "one of its headers cannot be sent");
            context.problems.push(problem.remedy("write it like `name=value,other=value`"));
        };
        match header(&name, &value) {
            Some((name, value)) => drop(headers.insert(name, value)),
            None => told(context),
        }
    }
    for (name, value) in &given.headers.0 {
        let path = steps!["telemetry", "otlp", "headers", name.as_str()];
        match context.secret(value) {
            Ok(found) => match header(name, found.secret.expose()) {
                Some((name, value)) => drop(headers.insert(name, value)),
                None => context.error(&path, "this header cannot be sent", "use printable characters only"),
            },
            Err(missing) => context.error(&path, missing.to_string(), ""),
        }
    }
    let sample = sample(given, context);
    let service_name = given.service_name.as_deref().or(environment.get("OTEL_SERVICE_NAME")).unwrap_or("polyport");
    let resource = pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES"), "");
    let milliseconds = |name| environment.get(name).and_then(|text| text.parse().ok());
    let timeout = milliseconds("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or(milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT"));
    Some(Traces {
        endpoint,
        headers,
        sample,
        service_name: service_name.to_owned(),
        resource: resource.into_iter().map(|(_, name, value)| (name, value)).collect(),
        propagate: given.propagate.unwrap_or(false),
        timeout: Duration::from_millis(timeout.unwrap_or(10_000).clamp(1, 60_000)),
    })
}

/// The whole address of the collector.
fn endpoint(given: &Otlp, context: &mut Context<'_>) -> Option<Uri> {
    const PATH: &str = "v1/traces";
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const WHOLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let environment = context.environment;
    let below = |base: &str| match base.trim_end_matches('/') {
        whole if whole.ends_with(PATH) => whole.to_owned(),
        base => format!("{base}/{PATH}"),
    };
    let (text, variable) = match (&given.endpoint, environment.get(WHOLE), environment.get(BASE)) {
        (Some(base), _, _) => (below(base), None),
        (None, Some(whole), _) => (whole.to_owned(), Some(WHOLE)),
        (None, None, Some(base)) => (below(base), Some(BASE)),
        (None, None, None) => return None,
    };
    let uri = text.parse::<Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    let words = "this is not the address of a collector";
    let remedy = "write it like http://127.0.0.1:4318";
    // Variables may be meant for other programs on this machine.
    let speaks =
        environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or(environment.get("OTEL_EXPORTER_OTLP_PROTOCOL"));
    match variable {
        None if uri.is_none() => context.error(&steps!["telemetry", "otlp", "endpoint"], words, remedy),
        Some(variable) if uri.is_none() => {
            context.problems.push(Problem::warning(Place::Env(variable.to_owned()), words).remedy(remedy));
        }
        Some(variable) if speaks.is_some_and(|protocol| protocol != "http/protobuf") => {
            let words = "traces are sent as http/protobuf only, so none are sent there";
            let remedy =
                "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and the address for it, or `telemetry.otlp.endpoint`";
            context.problems.push(Problem::warning(Place::Env(variable.to_owned()), words).remedy(remedy));
            return None;
        }
        _ => {}
    }
    uri
}

/// Share of requests that are traced.
fn sample(given: &Otlp, context: &mut Context<'_>) -> f64 {
    let valid = |share: &f64| (0.0..=1.0).contains(share);
    if let Some(share) = given.sample {
        if !valid(&share) {
            context.error(&steps!["telemetry", "otlp", "sample"], "this is no share", "write a number from 0 to 1");
        }
        return share.clamp(0.0, 1.0);
    }
    let sampler = context.environment.get("OTEL_TRACES_SAMPLER").unwrap_or_default();
    if sampler.ends_with("always_off") {
        return 0.0;
    }
    if sampler.ends_with("always_on") {
        return 1.0;
    }
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let Some(text) = context.environment.get(ARGUMENT) else { return 1.0 };
    text.parse().ok().filter(valid).unwrap_or_else(|| {
        let problem = Problem::warning(Place::Env(ARGUMENT.to_owned()), "this is no share, so all requests are traced");
        context.problems.push(problem.remedy("write a number from 0 to 1"));
        1.0
    })
}

/// The pairs of a text such as `name=value,other=value`; values may be percent-encoded. Each with the variable they come from.
fn pairs<'v>(text: Option<&str>, variable: &'v str) -> Vec<(&'v str, String, String)> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let pairs = text.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (variable, decoded(name), decoded(value))).collect()
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some((HeaderName::try_from(name).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::super::{Arguments, Config, Environment, Purpose, Source};

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<(Config, Vec<String>), String> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = Source::new(None, Environment::of(owned, "/nowhere"), Arguments::default());
        let loaded = source.load_text(text, &[], Purpose::Inspect).map_err(|problems| problems.to_string())?;
        Ok((loaded.config, loaded.warnings.0.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn traces_are_off_until_an_address_is_given() {
        assert!(load("", &[]).unwrap().0.traces.is_none());
        let (config, _) = load("telemetry: { otlp: { endpoint: 'http://c:4318', sample: 0.5 } }", &[]).unwrap();
        let traces = config.traces.unwrap();
        assert_eq!(traces.endpoint, "http://c:4318/v1/traces");
        assert_eq!((traces.sample, traces.service_name.as_str(), traces.propagate), (0.5, "polyport", false));
        let disabled = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"), ("OTEL_SDK_DISABLED", "TRUE")];
        assert!(load("", &disabled).unwrap().0.traces.is_none());
    }

    #[test]
    fn the_usual_variables_say_where_traces_go() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp/"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b, other = 2"),
            ("OTEL_SERVICE_NAME", "gateway"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod"),
            ("SECRET", "canary"),
        ];
        let (config, warnings) =
            load("telemetry: { otlp: { headers: { authorization: 'env:SECRET' } } }", &variables).unwrap();
        let traces = config.traces.unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(traces.endpoint, "https://c/otlp/v1/traces");
        assert_eq!(traces.headers["x-key"], "a b");
        assert_eq!(traces.headers["other"], "2");
        assert_eq!(traces.headers["authorization"], "canary");
        assert_eq!((traces.sample, traces.service_name.as_str()), (0.25, "gateway"));
        assert_eq!(traces.resource, [("deployment.environment.name".to_owned(), "prod".to_owned())]);
        assert!(!format!("{traces:?}").contains("canary"));
        let whole = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/x"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://d")];
        assert_eq!(load("", &whole).unwrap().0.traces.unwrap().endpoint, "http://c/x");
    }

    #[test]
    fn what_cannot_be_is_told() {
        let refused = |text: &str| load(text, &[]).unwrap_err();
        assert!(refused("telemetry: { otlp: { endpoint: 'c:4318' } }").contains("not the address of a collector"));
        assert!(refused("telemetry: { otlp: { endpoint: 'http://c', sample: 2 } }").contains("a number from 0 to 1"));
        assert!(refused("metrics: { listen: here }").contains("an IP address with a port"));
        assert!(refused("metrics: { listen: '0.0.0.0:9464' }").contains("no key that would open the figures"));
        assert!(refused("metrics: { listen: '0.0.0.0:9464', keys: short-1 }").contains("shorter than 16"));
        let grpc = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        let (config, warnings) = load("", &grpc).unwrap();
        assert!(config.traces.is_none() && warnings[0].contains("http/protobuf only"), "{warnings:?}");
    }

    #[test]
    fn a21_figures_beyond_this_machine_need_a_key_or_a_word() {
        let metrics = |text: &str| load(text, &[]).unwrap().0.metrics;
        assert!(!metrics("").open, "as clients");
        assert!(metrics("metrics: { listen: '127.0.0.1:9464' }").open);
        assert!(!metrics("metrics: { listen: '127.0.0.1:9464', keys: 4f8e1c0a9b3d }").open);
        assert!(metrics("metrics: { listen: '0.0.0.0:9464', open: true }").open);
        let keyed = metrics("metrics: { listen: '0.0.0.0:9464', keys: 4f8e1c0a9b3d4f8e1c0a9b3d }");
        assert!(!keyed.open && keyed.holds("4f8e1c0a9b3d4f8e1c0a9b3d") && !keyed.holds("other"));
    }
}
