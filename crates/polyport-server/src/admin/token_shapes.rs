//! The shapes of the endpoints of token pools, for the OpenAPI document.

#![allow(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;

/// An import of tokens.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TokenBatch {
    /// Refresh tokens, of which each gets an access token at once.
    tokens: Option<Vec<String>>,
    /// Instead of them: accounts.
    accounts: Option<Vec<TokenAccount>>,
}

/// An account as other programs export it.
#[derive(JsonSchema)]
pub(super) struct TokenAccount {
    refresh_token: String,
    email: Option<String>,
}

/// A refresh token.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewToken {
    token: String,
}

/// Tokens to be deleted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TokenIds {
    ids: Vec<TokenId>,
}

/// A number, or the id of a credential.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum TokenId {
    Number(u64),
    Text(String),
}

/// A change of a token.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TokenChange {
    #[schemars(extend("enum" = ["active", "disabled"]))]
    status: String,
}

/// What became of an import of tokens.
#[derive(JsonSchema)]
pub(super) struct TokenImport {
    inserted: u64,
    duplicated: u64,
    invalid: u64,
    updated: Option<u64>,
    hydrated: Option<u64>,
    hydrate_failed: Option<u64>,
    hydrated_token_ids: Option<Vec<u64>>,
    results: Vec<TokenImportResult>,
}

/// What became of one entry.
#[derive(JsonSchema)]
pub(super) struct TokenImportResult {
    index: u64,
    #[schemars(extend("enum" = ["created", "duplicate", "invalid"]))]
    result: String,
    id: Option<u64>,
    credential: Option<String>,
    label: Option<String>,
    path: Option<String>,
    message: Option<String>,
    ignored: Option<Vec<String>>,
}

/// What became of tokens that were to be deleted.
#[derive(JsonSchema)]
pub(super) struct TokensDeleted {
    requested: u64,
    deleted: u64,
    missing: u64,
    refused: Vec<TokenRefused>,
}

/// A token that stays.
#[derive(JsonSchema)]
pub(super) struct TokenRefused {
    id: u64,
    detail: String,
}

/// It is gone.
#[derive(JsonSchema)]
pub(super) struct TokenDeleted {
    deleted: bool,
    id: u64,
}

/// What became of a refresh.
#[derive(JsonSchema)]
pub(super) struct TokenRefreshed {
    success: bool,
    token: super::tokens::Token,
}

/// What is left.
#[derive(JsonSchema)]
pub(super) struct TokenQuota {
    success: bool,
    quota: Option<TokenAllowance>,
    token: super::tokens::Token,
}

/// An allowance of requests.
#[derive(JsonSchema)]
pub(super) struct TokenAllowance {
    request_limit: Option<u64>,
    requests_used: Option<u64>,
    requests_remaining: Option<u64>,
    is_unlimited: Option<bool>,
    next_refresh_time: Option<String>,
    refresh_duration: Option<String>,
}

/// What became of all.
#[derive(JsonSchema)]
pub(super) struct TokensRefreshed {
    total: u64,
    success: u64,
    failed: u64,
}

/// How many tokens are in which state.
#[derive(JsonSchema)]
pub(super) struct TokenStatistics {
    total: u64,
    by_status: std::collections::BTreeMap<String, u64>,
}

/// The health of all tokens.
#[derive(JsonSchema)]
pub(super) struct TokenHealth {
    /// Health checks are made on a timer.
    running: bool,
    interval_seconds: Option<u64>,
    per_token_refresh_interval_seconds: Option<u64>,
    max_parallel_checks: Option<u64>,
    quota_retry_lead_seconds: Option<u64>,
    token_count: u64,
    healthy_count: u64,
    unhealthy_count: u64,
    items: Vec<TokenHealthItem>,
}

/// The health of a token.
#[derive(JsonSchema)]
pub(super) struct TokenHealthItem {
    token_id: u64,
    healthy: bool,
    last_checked_at: Option<f64>,
    last_success_at: Option<f64>,
    last_error: Option<String>,
    consecutive_failures: Option<u64>,
    latency_ms: Option<u64>,
    updated_at: Option<f64>,
}

/// Whether there is a usable token.
#[derive(JsonSchema)]
pub(super) struct TokenReadiness {
    ready: bool,
    #[schemars(extend("enum" = ["ok", "no_available_token"]))]
    reason: String,
    total_tokens: u64,
    available_tokens: u64,
    blocked_tokens: u64,
    disabled_tokens: u64,
    quota_exhausted_tokens: u64,
    cooldown_tokens: u64,
    soonest_recovery_seconds: Option<u64>,
}

/// Something that was done about tokens.
#[derive(JsonSchema)]
pub(super) struct TokenEvent {
    id: u64,
    action: String,
    actor: String,
    token_id: Option<u64>,
    #[schemars(extend("enum" = ["success", "failed"]))]
    result: String,
    detail: String,
    created_at: Option<String>,
}

/// What is wrong.
#[derive(JsonSchema)]
pub(super) struct TokenProblem {
    detail: String,
}
