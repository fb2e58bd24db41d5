//! The shapes of figures over time and of previews, for the OpenAPI document.

#![allow(dead_code, reason = "only their schemas are used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// A stretch of time as a row of figures for each minute, hour or day, and their sum.
#[derive(JsonSchema)]
pub(super) struct Overview {
    /// RFC 3339: where the first row begins. Later than what was asked for where no more is kept.
    from: Option<String>,
    to: Option<String>,
    #[schemars(extend("enum" = ["minute", "hour", "day"]))]
    step: String,
    total: Figures,
    /// Without gaps, 750 at most.
    series: Vec<OverviewRow>,
}

/// The figures of one step.
#[derive(JsonSchema)]
pub(super) struct OverviewRow {
    /// RFC 3339.
    starts: Option<String>,
    #[schemars(flatten)]
    figures: Figures,
}

/// What was used, and how well it went.
#[derive(JsonSchema)]
pub(super) struct Figures {
    requests: u64,
    /// Answered as they should be.
    ok: u64,
    /// Those that went wrong; the rest are clients that left.
    failed: u64,
    /// Of all requests; `null` without any.
    error_rate: Option<f64>,
    /// Fresh tokens of prompts.
    input: u64,
    /// Tokens of answers, without thinking.
    output: u64,
    cache_read: u64,
    cache_write: u64,
    reasoning: u64,
    /// All of these.
    tokens: u64,
    /// By currency; empty where no price is known.
    cost: BTreeMap<String, String>,
    /// Attempts of which some had no price: the cost is the least it can be.
    unpriced: u64,
    /// Tokens of prompts that came from a cache, of all tokens of prompts; `null` without any.
    cache_hit_rate: Option<f64>,
    /// Of answered requests; `null` without any, and where not all of them are known.
    latency_ms: Option<Percentiles>,
    /// The same until streams began.
    first_token_ms: Option<Percentiles>,
}

/// Milliseconds that so many percent did not exceed, at most a thirty-second part off.
#[derive(JsonSchema)]
pub(super) struct Percentiles {
    p50: u32,
    p90: u32,
    p95: u32,
    p99: u32,
}

/// Data of the event `past`, which comes first.
#[derive(JsonSchema)]
pub(super) struct LivePast {
    /// The last ones, 300 at most, the oldest first.
    seconds: Vec<LiveSecond>,
}

/// Data of the event `second`: one that is over.
#[derive(JsonSchema)]
pub(super) struct LiveSecond {
    /// RFC 3339: when it began.
    at: Option<String>,
    /// Requests that ended in it.
    requests: u64,
    failed: u64,
    /// Requests under way at its end.
    in_flight: u64,
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    reasoning: u64,
    /// By currency.
    cost: BTreeMap<String, String>,
    /// Of answered requests; `null` without any.
    latency_ms: Option<LivePercentiles>,
    /// The same until streams began.
    first_token_ms: Option<LivePercentiles>,
    cache_hit_rate: Option<f64>,
}

/// Milliseconds that so many percent did not exceed, at most a thirty-second part off.
#[derive(JsonSchema)]
pub(super) struct LivePercentiles {
    p50: u32,
    p95: u32,
}

/// Data of the event `providers`.
#[derive(JsonSchema)]
pub(super) struct LiveProviders {
    providers: Vec<LiveProvider>,
}

/// What a provider did in the last minute.
#[derive(JsonSchema)]
pub(super) struct LiveProvider {
    name: String,
    #[schemars(extend("enum" = super::query::STATES))]
    state: String,
    /// Attempts at it that ended.
    requests: u64,
    failed: u64,
    /// Attempts under way.
    in_flight: u64,
}

/// Data of the event `missed`, for readers who were slow.
#[derive(JsonSchema)]
pub(super) struct LiveMissed {
    /// Seconds that are not told.
    seconds: u64,
}

/// Which turns are asked for.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PoolQuestion {
    pool: PoolOrName,
    /// Default: 12.
    #[schemars(range(min = 1, max = 100))]
    turns: Option<u64>,
}

/// The name of a pool, or what `POST /admin/api/pools` takes; its `name` may be left out.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum PoolOrName {
    Name(String),
    Definition(Map<String, Value>),
}

/// The next turns of a pool.
#[derive(JsonSchema)]
pub(super) struct PoolPreview {
    /// Where the next requests go, if each is answered before the next one comes. None where nothing can be tried.
    turns: Vec<Turn>,
    /// What cannot be tried now.
    excluded: Vec<LeftOut>,
}

/// Where a request goes.
#[derive(JsonSchema)]
pub(super) struct Turn {
    provider: String,
    /// The provider's name of the model.
    model: String,
}

/// A target, or a credential of its provider, that cannot be tried now.
#[derive(JsonSchema)]
#[schemars(rename = "PoolLeftOut")]
pub(super) struct LeftOut {
    provider: String,
    model: String,
    /// The credential's name, if it is not the whole target.
    key: Option<String>,
    why: String,
    /// Until then, Unix milliseconds.
    until: Option<u64>,
}
