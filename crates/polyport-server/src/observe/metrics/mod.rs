//! Figures for Prometheus. Names: GenAI conventions for what they cover, `polyport_` for the rest. Labels are bounded: never text of a
//! client, never a key. `docs/OBSERVABILITY.md` lists them all.

mod book;
mod bounded;
mod classic;
mod labels;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use polyport_store::log::Attempt;
use polyport_types::{ClientProtocol, Losses, Text, Usage};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::Pressure;
use book::Book;
use bounded::Bounded;
pub(crate) use classic::classic;
pub(crate) use labels::{
    AskedLabels, CurrencyLabels, LossLabels, Name, OutcomeLabels, ProviderLabels, ReasonLabels, RequestLabels,
    StateLabels, StayedLabels, Word,
};
use labels::{AttemptLabels, EndedLabels, PairLabels, TokenLabels, UsageLabels};

/// Seconds, doubling, as the conventions want it; three steps longer for models that think.
const SECONDS: [f64; 17] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];

/// Seconds until the first output, as the conventions want it, and longer.
const FIRST: [f64; 21] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 320.0,
];

/// Seconds for each token after the first, as the conventions want it, and shorter.
const EACH: [f64; 15] = [0.001, 0.0025, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

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

/// The figures of one pair of client and provider protocol, found once.
#[derive(Debug)]
pub(crate) struct PairFigures {
    pub(crate) overhead: Histogram,
}

/// What a request can go to, as the label `to`.
const TO: [&str; 6] = ["chat", "responses", "messages", "gemini", "echo", "none"];

/// All figures. Updating them is cheap; [`Metrics::render`] writes them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    #[cfg(test)]
    listed: Vec<(String, &'static str)>,
    pub(crate) requests: Family<RequestLabels, Counter<u64, AtomicU64>>,
    duration: Bounded<EndedLabels, Histogram>,
    operation: Bounded<EndedLabels, Histogram>,
    first_token: Bounded<AskedLabels, Histogram>,
    each_token: Bounded<AskedLabels, Histogram>,
    usage: Bounded<UsageLabels, Histogram>,
    tokens: Bounded<TokenLabels, Counter<u64, AtomicU64>>,
    overhead: Family<PairLabels, Histogram, fn() -> Histogram>,
    pairs: [[OnceLock<PairFigures>; TO.len()]; 4],
    attempts: Bounded<AttemptLabels, Counter<u64, AtomicU64>>,
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
    /// Answers that were not priced.
    pub(crate) price_missing: Counter<u64, AtomicU64>,
    log_lines_dropped: Counter<u64, AtomicU64>,
    pub(crate) spans_sent: Counter<u64, AtomicU64>,
    pub(crate) spans_dropped: Counter<u64, AtomicU64>,
    credentials: Family<StateLabels, Gauge<i64, AtomicI64>>,
    busy: Family<ProviderLabels, Gauge<i64, AtomicI64>>,
    queued: Family<ProviderLabels, Gauge<i64, AtomicI64>>,
    waiting: Gauge<i64, AtomicI64>,
    /// One reading at a time: some figures are looked up for it.
    reading: Mutex<()>,
    memory: Gauge<i64, AtomicI64>,
    memory_pressure: Gauge<i64, AtomicI64>,
}

/// What a request showed when it ended.
#[derive(Debug)]
pub(crate) struct Ended<'r> {
    pub(crate) asked: AskedLabels,
    pub(crate) usage: &'r Usage,
    pub(crate) total: Duration,
    /// Of streams.
    pub(crate) first_token: Option<Duration>,
    /// The class of the failure it ended with.
    pub(crate) failed: Option<&'static str>,
}

/// What is looked up of a provider when the figures are read.
#[derive(Debug)]
pub(crate) struct ProviderFigures {
    pub(crate) provider: Text,
    /// How many of its credentials are in each state.
    pub(crate) credentials: Vec<(&'static str, i64)>,
    /// Requests it answers, and how many wait for it, where it may have so many at once only.
    pub(crate) places: Option<(usize, usize)>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn first() -> Histogram {
    Histogram::new(FIRST)
}

fn each() -> Histogram {
    Histogram::new(EACH)
}

fn overhead() -> Histogram {
    Histogram::new(OVERHEAD)
}

fn tokens() -> Histogram {
    Histogram::new(TOKENS)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Book::default();
        let this = Self {
            requests: Family::default(),
            duration: Bounded::new(seconds),
            operation: Bounded::new(seconds),
            first_token: Bounded::new(first),
            each_token: Bounded::new(each),
            usage: Bounded::new(tokens),
            tokens: Bounded::default(),
            overhead: Family::new_with_constructor(overhead as fn() -> Histogram),
            pairs: Default::default(),
            attempts: Bounded::default(),
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
            price_missing: Counter::default(),
            log_lines_dropped: Counter::default(),
            spans_sent: Counter::default(),
            spans_dropped: Counter::default(),
            credentials: Family::default(),
            busy: Family::default(),
            queued: Family::default(),
            waiting: Gauge::default(),
            reading: Mutex::default(),
            memory: Gauge::default(),
            memory_pressure: Gauge::default(),
            registry: Registry::default(),
            #[cfg(test)]
            listed: Vec::new(),
        };
        this.reloaded(true);
        // Sums over time need a beginning.
        drop(this.cost.get_or_create(&CurrencyLabels { currency: "USD".to_owned() }));
        registry.register("polyport_http_requests", "Requests of clients", this.requests.clone());
        registry.register_with_unit(
            "gen_ai_server_request_duration",
            "Time from the request to the end of its answer",
            Unit::Seconds,
            this.duration.family(),
        );
        registry.register_with_unit(
            "gen_ai_client_operation_duration",
            "Time from an attempt at a provider to its end",
            Unit::Seconds,
            this.operation.family(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "Time from the request to the first output of a stream",
            Unit::Seconds,
            this.first_token.family(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_per_output_token",
            "Time for each token after the first of a stream",
            Unit::Seconds,
            this.each_token.family(),
        );
        registry.register_with_unit(
            "polyport_overhead",
            "Our own time before a request reaches its provider",
            Unit::Seconds,
            this.overhead.clone(),
        );
        registry.register("gen_ai_client_token_usage", "Tokens of a request", this.usage.family());
        registry.register("polyport_tokens", "Tokens, by class: each is counted in one", this.tokens.family());
        registry.register("polyport_upstream_requests", "Attempts at providers", this.attempts.family());
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
        let help = "Answers whose price is not known";
        registry.register("polyport_price_missing", help, this.price_missing.clone());
        let help = "Log lines that were dropped or could not be written";
        registry.register("polyport_log_lines_dropped", help, this.log_lines_dropped.clone());
        registry.register("polyport_trace_spans", "Spans that the collector took", this.spans_sent.clone());
        let help = "Spans that were dropped, or that the collector did not take";
        registry.register("polyport_trace_spans_dropped", help, this.spans_dropped.clone());
        registry.register("polyport_credentials", "Credentials of providers", this.credentials.clone());
        let help = "Requests at providers that may have so many at once only";
        registry.register("polyport_provider_requests", help, this.busy.clone());
        let help = "Requests that wait for a place at a provider";
        registry.register("polyport_provider_queue", help, this.queued.clone());
        let help = "Requests that wait for the gateway";
        registry.register("polyport_queued_requests", help, this.waiting.clone());
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(now().as_secs_f64());
        let help = "When the process started";
        registry.register_with_unit("process_start_time", help, Unit::Seconds, started);
        registry.register("polyport_build", "Version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        Self {
            #[cfg(test)]
            listed: registry.listed,
            registry: registry.registry,
            ..this
        }
    }

    /// The configuration was read; `good` if it is now in force.
    pub(crate) fn reloaded(&self, good: bool) {
        self.reload_ok.set(i64::from(good));
        self.reload_time.set(now().as_secs_f64());
    }

    /// How much memory is held.
    pub(crate) fn memory(&self, pressure: Pressure, bytes: u64) {
        self.memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.memory_pressure.set(pressure as i64);
    }

    /// All figures in the `OpenMetrics` text form, with what is looked up for it.
    pub(crate) fn render(&self, waiting: usize, lost_lines: u64, providers: Vec<ProviderFigures>) -> String {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let _one_at_a_time = self.reading.lock();
        self.waiting.set(count(waiting));
        self.log_lines_dropped.inc_by(lost_lines.saturating_sub(self.log_lines_dropped.get()));
        // Providers that are configured no more have none.
        self.credentials.clear();
        self.busy.clear();
        self.queued.clear();
        for ProviderFigures { provider, credentials, places } in providers {
            let provider = Name(provider);
            for (state, number) in credentials {
                let labels = StateLabels { provider: provider.clone(), state: Word(state) };
                self.credentials.get_or_create(&labels).set(number);
            }
            if let Some((busy, queued)) = places {
                let labels = ProviderLabels { provider };
                self.busy.get_or_create(&labels).set(count(busy));
                self.queued.get_or_create(&labels).set(count(queued));
            }
        }
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

    /// Takes an attempt in that has ended.
    pub(crate) fn attempted(&self, asked: AskedLabels, took: Duration, failed: Option<&'static str>) {
        let labels = EndedLabels { asked, error_type: Word(failed.unwrap_or_default()) };
        self.operation.of(&labels).observe(took.as_secs_f64());
    }

    /// Takes a request in that has ended.
    pub(crate) fn ended(&self, ended: Ended<'_>) {
        let Ended { asked, usage, total, first_token, failed } = ended;
        let labels = EndedLabels { asked, error_type: Word(failed.unwrap_or_default()) };
        self.duration.of(&labels).observe(total.as_secs_f64());
        let asked = labels.asked;
        if let Some(first) = first_token {
            self.first_token.of(&asked).observe(first.as_secs_f64());
            let more = usage.output_total().saturating_sub(1);
            if failed.is_none() && more > 0 {
                let rest = total.saturating_sub(first).as_secs_f64();
                self.each_token.of(&asked).observe(rest / float(more));
            }
        }
        if usage.is_absent() {
            return;
        }
        for (kind, count) in [("input", usage.input_total()), ("output", usage.output_total())] {
            let labels = UsageLabels { asked: asked.clone(), gen_ai_token_type: Word(kind) };
            self.usage.of(&labels).observe(float(count));
        }
        let classes = [
            ("input", usage.input_uncached),
            ("cache_read", usage.cache_read),
            ("cache_write", Some(usage.cache_write())),
            ("tool_prompt", usage.tool_prompt),
            ("output", usage.output_text),
            ("reasoning", usage.reasoning),
        ];
        for (class, count) in classes {
            let Some(count) = count.filter(|&count| count > 0) else { continue };
            let (provider, model) = (asked.gen_ai_provider_name.clone(), asked.gen_ai_request_model.clone());
            self.tokens.of(&TokenLabels { provider, model, class: Word(class) }).inc_by(count);
        }
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
            PairFigures { overhead: self.overhead.get_or_create(&labels).clone() }
        })
    }

    /// Counts what an attempt cost, or that nobody knows.
    pub(crate) fn priced(&self, attempt: &Attempt) {
        if let (Some(cost), Some(currency)) = (attempt.cost, &attempt.currency) {
            #[allow(clippy::cast_precision_loss, reason = "what is exact stands in the ledger")]
            let amount = cost as f64 / 1e12;
            self.cost.get_or_create(&CurrencyLabels { currency: currency.clone() }).inc_by(amount);
        }
        if attempt.unpriced {
            self.price_missing.inc();
        }
    }

    /// The counter of attempts at a provider that ended this way.
    pub(crate) fn attempts(&self, provider: &Text, outcome: &'static str) -> Counter<u64, AtomicU64> {
        self.attempts.of(&AttemptLabels { provider: Name::of(provider), outcome: Word(outcome) })
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "a histogram's sum is a float")]
fn float(count: u64) -> f64 {
    count as f64
}
