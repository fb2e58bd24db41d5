//! Figures for Prometheus. Names: GenAI conventions for what they cover, `polyport_` for the rest. Labels are bounded: never text of a
//! client, never a key.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use polyport_types::{ClientProtocol, Losses, Usage};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::Pressure;

/// Seconds, doubling; long enough for models that think.
const SECONDS: [f64; 17] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];

/// Our own time, much shorter.
const OVERHEAD: [f64; 12] = [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];

/// Powers of four.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// A fixed word as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Word(pub(crate) &'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) protocol: Word,
    pub(crate) route: Word,
    pub(crate) status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    provider: String,
    outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PairLabels {
    from: Word,
    to: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LossLabels {
    pub(crate) from: Word,
    pub(crate) to: Word,
    pub(crate) code: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    gen_ai_token_type: Word,
}

/// The figures of one pair of client and provider protocol, found once.
#[derive(Debug)]
pub(crate) struct PairFigures {
    pub(crate) duration: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) overhead: Histogram,
}

/// What a request can go to, as the label `to`.
const TO: [&str; 6] = ["chat", "responses", "messages", "gemini", "echo", "none"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    pub(crate) reason: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CurrencyLabels {
    /// As prices name it: `USD`.
    pub(crate) currency: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OutcomeLabels {
    pub(crate) outcome: Word,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StayedLabels {
    pub(crate) place: Word,
    /// A pool of the configuration; empty for models that are in none.
    pub(crate) pool: String,
}

/// All figures. Updating them is cheap; [`Metrics::render`] writes them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    duration: Family<PairLabels, Histogram, fn() -> Histogram>,
    first_token: Family<PairLabels, Histogram, fn() -> Histogram>,
    overhead: Family<PairLabels, Histogram, fn() -> Histogram>,
    pairs: [[OnceLock<PairFigures>; TO.len()]; 4],
    input_tokens: Histogram,
    output_tokens: Histogram,
    attempts: Family<AttemptLabels, Counter<u64, AtomicU64>>,
    pub(crate) failovers: Family<ReasonLabels, Counter<u64, AtomicU64>>,
    pub(crate) hedges: Family<OutcomeLabels, Counter<u64, AtomicU64>>,
    pub(crate) conversations: Family<StayedLabels, Counter<u64, AtomicU64>>,
    pub(crate) losses: Family<LossLabels, Counter<u64, AtomicU64>>,
    pub(crate) disconnects: Family<ReasonLabels, Counter<u64, AtomicU64>>,
    pub(crate) framing: Family<ReasonLabels, Counter<u64, AtomicU64>>,
    pub(crate) inflight: Gauge<i64, AtomicI64>,
    pub(crate) streams: Gauge<i64, AtomicI64>,
    pub(crate) reload_ok: Gauge<i64, AtomicI64>,
    reload_time: Gauge<f64, AtomicU64>,
    pub(crate) store_up: Gauge<i64, AtomicI64>,
    pub(crate) store_waiting: Gauge<i64, AtomicI64>,
    /// Settled requests that are not in the database yet.
    pub(crate) journal_waiting: Gauge<i64, AtomicI64>,
    /// Size of the files they wait in.
    pub(crate) journal_bytes: Gauge<i64, AtomicI64>,
    /// Age of the oldest of them, in seconds.
    pub(crate) log_behind_seconds: Gauge<f64, AtomicU64>,
    /// Requests that the log leaves out because there was no room for them.
    pub(crate) log_dropped: Counter<u64, AtomicU64>,
    /// Requests refused by a limit of their caller.
    pub(crate) limit_refusals: Family<ReasonLabels, Counter<u64, AtomicU64>>,
    /// What requests cost.
    pub(crate) cost: Family<CurrencyLabels, Counter<f64, AtomicU64>>,
    memory: Gauge<i64, AtomicI64>,
    memory_pressure: Gauge<i64, AtomicI64>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn overhead() -> Histogram {
    Histogram::new(OVERHEAD)
}

fn tokens() -> Histogram {
    Histogram::new(TOKENS)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let tokens: Family<TokenLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(tokens as fn() -> Histogram);
        let of_kind = |kind| tokens.get_or_create(&TokenLabels { gen_ai_token_type: Word(kind) }).clone();
        let this = Self {
            requests: Family::default(),
            duration: Family::new_with_constructor(seconds as fn() -> Histogram),
            first_token: Family::new_with_constructor(seconds as fn() -> Histogram),
            overhead: Family::new_with_constructor(overhead as fn() -> Histogram),
            pairs: Default::default(),
            input_tokens: of_kind("input"),
            output_tokens: of_kind("output"),
            attempts: Family::default(),
            failovers: Family::default(),
            hedges: Family::default(),
            conversations: Family::default(),
            losses: Family::default(),
            disconnects: Family::default(),
            framing: Family::default(),
            inflight: Gauge::default(),
            streams: Gauge::default(),
            reload_ok: Gauge::default(),
            reload_time: Gauge::default(),
            store_up: Gauge::default(),
            store_waiting: Gauge::default(),
            journal_waiting: Gauge::default(),
            journal_bytes: Gauge::default(),
            log_behind_seconds: Gauge::default(),
            log_dropped: Counter::default(),
            limit_refusals: Family::default(),
            cost: Family::default(),
            memory: Gauge::default(),
            memory_pressure: Gauge::default(),
            registry: Registry::default(),
        };
        this.reloaded(true);
        // Sums over time need a beginning.
        drop(this.cost.get_or_create(&CurrencyLabels { currency: "USD".to_owned() }));
        registry.register("polyport_http_requests", "Requests of clients", this.requests.clone());
        registry.register_with_unit(
            "gen_ai_server_request_duration",
            "Time from the request to the end of its answer",
            Unit::Seconds,
            this.duration.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "Time from the request to the first output",
            Unit::Seconds,
            this.first_token.clone(),
        );
        registry.register_with_unit(
            "polyport_overhead",
            "Our own time before a request reaches its provider",
            Unit::Seconds,
            this.overhead.clone(),
        );
        registry.register("gen_ai_client_token_usage", "Tokens per request", tokens.clone());
        registry.register("polyport_upstream_requests", "Attempts at providers", this.attempts.clone());
        registry.register("polyport_failovers", "Attempts that followed a failed one", this.failovers.clone());
        let help = "Second attempts where the first was slow, by which of them answered";
        registry.register("polyport_hedges", help, this.hedges.clone());
        let help = "Answers of conversations, by whether they came from where the prompt cache was warm";
        registry.register("polyport_conversation_answers", help, this.conversations.clone());
        registry.register("polyport_translation_lossy", "Entries of loss reports", this.losses.clone());
        registry.register("polyport_client_disconnects", "Clients that left early", this.disconnects.clone());
        registry.register("polyport_bad_framing", "Requests refused for their HTTP framing", this.framing.clone());
        registry.register("polyport_inflight_requests", "Requests being answered", this.inflight.clone());
        registry.register("polyport_open_streams", "Streams being relayed", this.streams.clone());
        registry.register("polyport_config_reload_success", "Whether the last reload was good", this.reload_ok.clone());
        registry.register_with_unit(
            "polyport_config_last_reload_timestamp",
            "When the configuration was last read, good or not",
            Unit::Seconds,
            this.reload_time.clone(),
        );
        registry.register_with_unit(
            "process_resident_memory",
            "Memory that the process holds",
            Unit::Bytes,
            this.memory.clone(),
        );
        registry.register(
            "polyport_memory_pressure",
            "Whether memory is scarce (1) or almost used up (2)",
            this.memory_pressure.clone(),
        );
        registry.register("polyport_store_up", "Whether the database answers", this.store_up.clone());
        registry.register(
            "polyport_store_waiting",
            "Kept answers, places and signatures that are not in the database yet",
            this.store_waiting.clone(),
        );
        let help = "Settled requests that are not in the database yet";
        registry.register("polyport_journal_waiting", help, this.journal_waiting.clone());
        let help = "Size of the files in which settled requests wait for the database";
        registry.register_with_unit("polyport_journal", help, Unit::Bytes, this.journal_bytes.clone());
        let help = "Age of the oldest settled request that is not in the database yet";
        registry.register_with_unit("polyport_log_behind", help, Unit::Seconds, this.log_behind_seconds.clone());
        let help = "Requests that the log leaves out because there was no room for them";
        registry.register("polyport_log_dropped", help, this.log_dropped.clone());
        let help = "Requests refused by a limit of their caller";
        registry.register("polyport_limit_refusals", help, this.limit_refusals.clone());
        registry.register("polyport_cost", "What requests cost, in units of the currency", this.cost.clone());
        registry.register("polyport_build", "Version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self { registry, ..this }
    }

    /// The configuration was read; `good` if it is now in force.
    pub(crate) fn reloaded(&self, good: bool) {
        self.reload_ok.set(i64::from(good));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.reload_time.set(now.as_secs_f64());
    }

    /// How much memory is held.
    pub(crate) fn memory(&self, pressure: Pressure, bytes: u64) {
        self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.memory_pressure.set(pressure as i64);
    }

    /// All figures in the `OpenMetrics` text form.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        encode(&mut text, &self.registry).ok();
        text
    }

    /// Counts what could not be carried between two protocols.
    pub(crate) fn lost(&self, losses: &Losses, from: &'static str, to: &'static str) {
        for loss in losses.entries() {
            let labels = LossLabels { from: Word(from), to: Word(to), code: Word(loss.code.as_str()) };
            self.losses.get_or_create(&labels).inc();
        }
    }

    pub(crate) fn tokens(&self, usage: &Usage) {
        if usage.is_absent() {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a histogram's sum is a float")]
        let observe = |histogram: &Histogram, count: u64| histogram.observe(count as f64);
        observe(&self.input_tokens, usage.input_total());
        observe(&self.output_tokens, usage.output_total());
    }

    /// The figures of requests of one protocol that go to `to`: a provider's protocol, `echo` or `none`.
    pub(crate) fn pair(&self, from: ClientProtocol, to: &'static str) -> &PairFigures {
        let row = match from {
            ClientProtocol::Chat => &self.pairs[0],
            ClientProtocol::Responses => &self.pairs[1],
            ClientProtocol::Messages => &self.pairs[2],
            ClientProtocol::Gemini => &self.pairs[3],
        };
        let [others @ .., none] = row;
        let place = TO.iter().zip(others).find(|(known, _)| **known == to).map_or(none, |(_, place)| place);
        place.get_or_init(|| {
            let labels = PairLabels { from: Word(from.as_str()), to: Word(to) };
            PairFigures {
                duration: self.duration.get_or_create(&labels).clone(),
                first_token: self.first_token.get_or_create(&labels).clone(),
                overhead: self.overhead.get_or_create(&labels).clone(),
            }
        })
    }

    /// The counter of attempts at a provider that ended this way.
    pub(crate) fn attempts(&self, provider: &str, outcome: &'static str) -> Counter<u64, AtomicU64> {
        let labels = AttemptLabels { provider: provider.to_owned(), outcome: Word(outcome) };
        self.attempts.get_or_create(&labels).clone()
    }
}
