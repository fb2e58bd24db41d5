//! The shapes of what is told of use, for the OpenAPI document.

#![allow(dead_code, reason = "only their schemas are used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// A request that has ended.
#[derive(JsonSchema)]
pub(super) struct Request {
    id: String,
    /// RFC 3339.
    at: Option<String>,
    key: Option<Subject>,
    user: Option<Subject>,
    team: Option<Subject>,
    /// What the client spoke.
    protocol: String,
    route: String,
    /// The model that was asked for.
    model: String,
    stream: bool,
    status: u16,
    /// `answered`, `client_gone`, `unknown`, or a kind of error.
    outcome: String,
    /// Why the answer ended.
    finish: Option<String>,
    error: Option<String>,
    first_token_ms: Option<u32>,
    duration_ms: u32,
    /// Of the answer, from its first token to its end; none where it came as a whole.
    tokens_per_second: Option<f64>,
    /// Those that count towards limits.
    tokens: u64,
    /// By currency; empty where no price is known.
    cost: BTreeMap<String, String>,
    losses: u32,
    loss_report: Option<String>,
    /// The provider's own id of it.
    upstream_id: Option<String>,
    /// The client's address, as far as it is kept.
    source: Option<String>,
    attempts: Vec<Attempt>,
    /// Prompt and answer are kept.
    captured: Option<bool>,
    payload: Option<Payload>,
}

/// What was said, as far as it is kept.
#[derive(JsonSchema)]
pub(super) struct Payload {
    request: Option<String>,
    answer: Option<String>,
    truncated: Option<bool>,
}

/// Whose it was, by id and the name of that time.
#[derive(JsonSchema)]
pub(super) struct Subject {
    id: String,
    name: Option<String>,
}

/// One try of one target.
#[derive(JsonSchema)]
pub(super) struct Attempt {
    n: u16,
    at: Option<String>,
    provider: String,
    /// Told to operators only.
    credential: Option<String>,
    /// The provider's name of the model.
    model: String,
    status: Option<u16>,
    outcome: String,
    /// Told to operators only.
    error: Option<String>,
    first_token_ms: Option<u32>,
    duration_ms: u32,
    state: State,
    /// Whether it counts towards limits.
    charged: bool,
    ending: Ending,
    tokens: u64,
    /// By class.
    counts: BTreeMap<String, u64>,
    /// None where no price is known.
    cost: Option<String>,
    currency: Option<String>,
    /// Some of it had no price.
    unpriced: bool,
}

/// How well counts are known.
#[derive(JsonSchema)]
#[schemars(rename = "CountState", rename_all = "snake_case")]
pub(super) enum State {
    Settled,
    Estimated,
    Unknown,
    Unused,
}

/// How a provider's answer ended.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Ending {
    Complete,
    Cancelled,
    Drained,
    DrainLimit,
    Failed,
    Lost,
}

/// A line of the ledger: an attempt, and of which request it was.
#[derive(JsonSchema)]
pub(super) struct LedgerLine {
    request: String,
    requested_at: Option<String>,
    key: Option<Subject>,
    user: Option<Subject>,
    team: Option<Subject>,
    /// The model that was asked for.
    asked: Option<String>,
    #[schemars(flatten)]
    attempt: Attempt,
}

/// Sums.
#[derive(JsonSchema)]
pub(super) struct Usage {
    period: String,
    from: Option<String>,
    to: Option<String>,
    rows: Vec<UsageRow>,
}

/// Sums of one group, and of one period in a series.
#[derive(JsonSchema)]
pub(super) struct UsageRow {
    starts: Option<String>,
    key: Option<String>,
    key_name: Option<String>,
    user: Option<String>,
    user_name: Option<String>,
    team: Option<String>,
    team_name: Option<String>,
    model: Option<String>,
    provider: Option<String>,
    credential: Option<String>,
    requests: u64,
    ok: u64,
    failed: u64,
    status_2xx: u64,
    status_4xx: u64,
    status_5xx: u64,
    attempts: u64,
    attempts_failed: u64,
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
    tokens: u64,
    estimated: u64,
    unpriced: u64,
    duration_ms: u64,
    first_token_ms: u64,
    first_tokens: u64,
    charged_requests: u64,
    charged_tokens: u64,
    /// By currency.
    cost: BTreeMap<String, String>,
    /// What of it counts towards limits.
    charged: BTreeMap<String, String>,
}

/// A limit, and what is left of it.
#[derive(JsonSchema)]
#[schemars(rename = "QuotaStanding")]
pub(super) struct Quota {
    id: String,
    of: QuotaSubject,
    name: Option<String>,
    /// Of which models; all without it.
    models: Option<String>,
    what: String,
    window: Option<String>,
    /// A number, or an amount of money as a text.
    amount: Amount,
    left: Amount,
    resets_at: Option<String>,
}

/// Whose a limit is.
#[derive(JsonSchema)]
pub(super) struct QuotaSubject {
    kind: String,
    id: String,
    name: Option<String>,
}

/// A number, or an amount of money as a text.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Amount {
    Number(u64),
    Money(String),
}

/// What was taken out of the log.
#[derive(JsonSchema)]
pub(super) struct Forgotten {
    /// Of the user.
    id: String,
    /// Requests that have lost their errors and addresses.
    requests: u64,
    /// Prompts and answers that were deleted.
    payloads: u64,
}

/// How much may be used.
#[derive(JsonSchema)]
pub(super) struct Limit {
    what: What,
    /// Concurrency has none.
    window: Option<Window>,
    /// A whole number, or an amount of money as a number or a text.
    amount: Amount,
    /// The models it is about; `*` stands for anything.
    #[schemars(length(min = 1, max = 200))]
    models: Option<String>,
}

/// What is limited.
#[derive(JsonSchema)]
#[schemars(rename = "LimitOf", rename_all = "lowercase")]
pub(super) enum What {
    Requests,
    Tokens,
    Money,
    Concurrency,
}

/// In which time, of the calendar in UTC.
#[derive(JsonSchema)]
#[schemars(rename = "LimitWindow", rename_all = "lowercase")]
pub(super) enum Window {
    Minute,
    Day,
    Month,
    Total,
}
