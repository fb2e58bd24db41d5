//! The shapes of answers and of bodies that are not those of the configuration file, for the OpenAPI document.
//!
//! A test compares real answers with them, member by member. Those of people, tokens and use stand beside this file.

#![allow(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::query::{ORIGINS, STATES};

/// Whether something can be used.
#[derive(JsonSchema)]
pub(super) struct State {
    #[schemars(extend("enum" = STATES))]
    state: Option<String>,
    /// Until then, Unix milliseconds.
    until: Option<u64>,
    /// What kind of failure it was.
    cause: Option<String>,
    /// What the provider said.
    reason: Option<String>,
}

/// What the database says of something that is declared there.
#[derive(JsonSchema)]
pub(super) struct Declared {
    id: Option<String>,
    /// It is switched on, and nothing is wrong with it.
    in_force: Option<bool>,
    /// What `If-Match` compares.
    revision: Option<i64>,
    /// Unix milliseconds.
    created_at: Option<i64>,
    /// Unix milliseconds.
    updated_at: Option<i64>,
    /// As it was declared, without secrets.
    definition: Option<Map<String, Value>>,
    /// Why it is not in force.
    problems: Option<Vec<Mistake>>,
}

/// A mistake in what is declared.
#[derive(JsonSchema)]
pub(super) struct Mistake {
    /// Where: `targets[0]`.
    path: String,
    message: String,
    remedy: String,
}

/// Much at once: each entry of a list is what the endpoint of that name takes. Teams and users go by their names.
#[derive(JsonSchema)]
pub(super) struct Whole {
    /// Only say what would be made.
    dry_run: Option<bool>,
    providers: Option<Vec<Map<String, Value>>>,
    credentials: Option<Vec<Map<String, Value>>>,
    pools: Option<Vec<Map<String, Value>>>,
    routes: Option<Vec<Map<String, Value>>>,
    teams: Option<Vec<Map<String, Value>>>,
    users: Option<Vec<Map<String, Value>>>,
    /// With the texts that clients have, as `key`.
    keys: Option<Vec<Map<String, Value>>>,
}

/// What was made.
#[derive(JsonSchema)]
pub(super) struct WholeMade {
    dry_run: bool,
    created: u64,
    exists: u64,
    results: Vec<WholeResult>,
}

/// What became of one of many.
#[derive(JsonSchema)]
pub(super) struct WholeResult {
    /// The list that it stands in.
    list: String,
    /// Its place there.
    index: u64,
    name: String,
    #[schemars(extend("enum" = ["created", "exists"]))]
    result: String,
    /// `null` where nothing was made.
    id: Option<String>,
}

/// The gateway as it is now.
#[derive(JsonSchema)]
pub(super) struct Status {
    version: String,
    /// Where clients on the same machine reach it; `null` where it does not listen.
    url: Option<String>,
    /// The address that it listens on.
    address: Option<String>,
    /// Unix milliseconds.
    started_at: u64,
    uptime_seconds: u64,
    /// The configuration file, or what stands in its place.
    configuration: Option<String>,
    /// The data folder.
    data: String,
    #[schemars(extend("enum" = ["sqlite", "postgres", null]))]
    database: Option<String>,
    /// Clients need no key.
    open: bool,
    /// Without what is built in.
    providers: u64,
    /// Names that clients may ask for.
    models: u64,
    /// Requests of models under way.
    requests: u64,
    /// Things that the database declares and that are not in force.
    problems: u64,
    /// It is about to end.
    draining: bool,
}

/// A service that answers.
#[derive(JsonSchema)]
pub(super) struct Provider {
    name: String,
    enabled: bool,
    /// Where it is declared.
    #[schemars(extend("enum" = ORIGINS))]
    origin: String,
    #[schemars(flatten)]
    state: State,
    #[schemars(flatten)]
    declared: Declared,
    protocol: Option<String>,
    address: Option<String>,
    /// Models it is known to serve.
    models: Option<Vec<String>>,
    /// The quirk table of its server, by which its prices are found as well.
    quirks: Option<String>,
    /// How many keys and accounts it has.
    credentials: Option<usize>,
    /// It needs a key and has none.
    key_missing: Option<bool>,
    resting_models: Option<Vec<RestingModel>>,
    /// Requests under way.
    in_flight: Option<u64>,
    /// What its refusals taught.
    learned: Option<Vec<Lesson>>,
    /// It is asked only when nothing else can serve.
    passed_over: Option<bool>,
    probe: Option<Probes>,
}

/// A model that is not asked for now.
#[derive(JsonSchema)]
pub(super) struct RestingModel {
    model: String,
    #[schemars(flatten)]
    state: State,
}

/// A member that a model was seen to refuse.
#[derive(JsonSchema)]
pub(super) struct Lesson {
    model: String,
    member: String,
    /// The name it goes under; `null` where it is left out.
    instead: Option<String>,
    since: u64,
    /// What the provider said.
    message: String,
}

/// Health checks of a provider.
#[derive(JsonSchema)]
pub(super) struct Probes {
    every_ms: Option<u64>,
    last: Option<Check>,
}

/// A health check.
#[derive(JsonSchema)]
pub(super) struct Check {
    at: Option<u64>,
    #[schemars(extend("enum" = ["accepted", "refused", "failed", "unclear"]))]
    outcome: String,
    /// How many models it told.
    models: Option<u64>,
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
}

/// What the refusals of a provider taught.
#[derive(JsonSchema)]
pub(super) struct Learned {
    provider: String,
    learned: Vec<Lesson>,
}

/// A provider's own list of models.
#[derive(JsonSchema)]
pub(super) struct ModelsOfProvider {
    provider: String,
    models: Vec<String>,
}

/// A key or an account.
#[derive(JsonSchema)]
pub(super) struct Credential {
    id: String,
    provider: String,
    label: String,
    #[schemars(extend("enum" = ["key", "account"]))]
    kind: String,
    /// The ends of its secret.
    masked: Option<String>,
    #[schemars(extend("enum" = ORIGINS))]
    origin: String,
    enabled: bool,
    #[schemars(flatten)]
    state: State,
    in_force: Option<bool>,
    revision: Option<i64>,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    /// As it was declared, without its secret.
    definition: Option<Map<String, Value>>,
    problems: Option<Vec<Mistake>>,
    weight: Option<u32>,
    priority: Option<u32>,
    limits: Option<CredentialLimits>,
    /// The next request may use it.
    usable: Option<bool>,
    in_flight: Option<u64>,
    /// Models it rests with.
    models: Option<Vec<RestingModel>>,
    #[schemars(flatten)]
    counts: Counts,
    /// Its last health check.
    probe: Option<Check>,
    quota: Option<Quota>,
    account: Option<Account>,
    /// How long a change holds.
    note: Option<String>,
}

/// How much at once.
#[derive(JsonSchema)]
pub(super) struct CredentialLimits {
    requests: Option<u32>,
    pace: Option<Pace>,
}

/// How many over time.
#[derive(JsonSchema)]
pub(super) struct Pace {
    requests: u32,
    per_ms: u64,
}

/// What something was used for.
#[derive(JsonSchema)]
pub(super) struct Counts {
    /// Attempts.
    requests: Option<u64>,
    successes: Option<u64>,
    failures: Option<u64>,
    /// Of those that were not given up by their clients; from 0 to 1.
    success_rate: Option<f64>,
    /// How often each status came.
    status_codes: Option<std::collections::BTreeMap<String, u64>>,
    /// Unix milliseconds.
    last_used: Option<u64>,
}

/// What is left of an allowance.
#[derive(JsonSchema)]
pub(super) struct Quota {
    at: u64,
    buckets: Vec<Bucket>,
}

/// One allowance.
#[derive(JsonSchema)]
pub(super) struct Bucket {
    /// The model it is for; `null` for all.
    model: Option<String>,
    unit: Option<String>,
    unlimited: bool,
    limit: Option<u64>,
    used: Option<u64>,
    /// From 0 to 1.
    remaining: Option<f64>,
    /// Unix seconds.
    resets_at: Option<i64>,
    period: Option<String>,
}

/// Of a credential whose tokens are refreshed.
#[derive(JsonSchema)]
pub(super) struct Account {
    expires_at: Option<i64>,
    next_refresh: Option<i64>,
    refresh_error: Option<String>,
    project: Option<String>,
}

/// How many credentials are in which state.
#[derive(JsonSchema)]
pub(super) struct CredentialStatistics {
    total: u64,
    usable: u64,
    states: std::collections::BTreeMap<String, u64>,
    requests: u64,
    successes: u64,
    failures: u64,
}

/// Whether a credential can be used.
#[derive(JsonSchema)]
pub(super) struct CredentialHealth {
    id: String,
    provider: String,
    label: String,
    healthy: bool,
    refresh_error: Option<String>,
    #[schemars(flatten)]
    state: State,
}

/// Whether there is a usable credential.
#[derive(JsonSchema)]
pub(super) struct Readiness {
    ready: bool,
    usable: u64,
}

/// What became of an import.
#[derive(JsonSchema)]
pub(super) struct Import {
    created: u64,
    duplicates: u64,
    invalid: u64,
    results: Vec<ImportResult>,
}

/// What became of one entry.
#[derive(JsonSchema)]
pub(super) struct ImportResult {
    index: u64,
    #[schemars(extend("enum" = ["created", "duplicate", "invalid"]))]
    result: String,
    id: Option<String>,
    label: Option<String>,
    path: Option<String>,
    message: Option<String>,
    /// Members that have no meaning here.
    ignored: Option<Vec<String>>,
}

/// A virtual model.
#[derive(JsonSchema)]
pub(super) struct Pool {
    name: String,
    /// Managers learn name and tier only.
    #[schemars(extend("enum" = ORIGINS))]
    origin: Option<String>,
    enabled: Option<bool>,
    #[schemars(flatten)]
    declared: Declared,
    tier: Option<String>,
    words: Option<Vec<String>>,
    strategy: Option<String>,
    targets: Option<Vec<Target>>,
    /// Pools that are tried when none of its targets can be.
    fallbacks: Option<Vec<String>>,
    conversations: Option<Conversations>,
}

/// What a pool consists of.
#[derive(JsonSchema)]
pub(super) struct Target {
    target: String,
    weight: u32,
    priority: u32,
}

/// Where conversations were answered since the start.
#[derive(JsonSchema)]
pub(super) struct Conversations {
    /// Where their prompt cache was warm.
    kept: u64,
    /// Elsewhere, because that place could not serve.
    moved: u64,
    /// They had no such place.
    new: u64,
    hit_rate: Option<f64>,
}

/// A rule that looks at the request.
#[derive(JsonSchema)]
pub(super) struct Route {
    #[schemars(extend("enum" = ORIGINS))]
    origin: String,
    name: Option<String>,
    enabled: Option<bool>,
    #[schemars(flatten)]
    declared: Declared,
    /// Its place among those in force.
    index: Option<u64>,
    r#match: Option<Match>,
    to: Option<String>,
    priority: Option<u32>,
    overrides: Option<bool>,
    mode: Option<String>,
    keys: Option<Vec<String>>,
}

/// When a route holds.
#[derive(JsonSchema)]
pub(super) struct Match {
    model: Option<String>,
    model_contains: Vec<String>,
    protocol: Option<String>,
    header: std::collections::BTreeMap<String, String>,
    caller: Vec<String>,
}

/// Something of the database that is not in force though it should be.
#[derive(JsonSchema)]
pub(super) struct DeclaredProblem {
    #[schemars(extend("enum" = ["provider", "credential", "pool", "route", "setting"]))]
    kind: String,
    id: String,
    name: String,
    #[schemars(flatten)]
    mistake: Mistake,
}

/// A name that clients may ask for.
#[derive(JsonSchema)]
pub(super) struct Model {
    name: String,
    #[schemars(extend("enum" = super::models::KINDS))]
    kind: String,
    /// Which rule leads to its targets.
    rule: Option<String>,
    /// Those that serve it; for admins.
    providers: Vec<String>,
    /// Where it leads; for admins.
    targets: Vec<ModelTarget>,
}

/// Where a name leads.
#[derive(JsonSchema)]
pub(super) struct ModelTarget {
    provider: String,
    /// The provider's name of it.
    model: String,
    weight: u32,
    priority: u32,
}

/// What a model costs at a service.
#[derive(JsonSchema)]
pub(super) struct Price {
    id: String,
    /// The name of the service's preset.
    provider: String,
    model: String,
    currency: String,
    /// When it was right.
    date: String,
    source: String,
    /// The service charges less at some hours: these are the highest prices.
    varies: bool,
    sections: Vec<PriceSection>,
}

/// Prices of a service tier above a length of the prompt.
#[derive(JsonSchema)]
pub(super) struct PriceSection {
    tier: String,
    /// For prompts with more tokens than this.
    above: u64,
    /// By class, exact: per million tokens or characters, per piece of everything else.
    rates: std::collections::BTreeMap<String, String>,
}

/// A question what would happen to a request.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Question {
    /// The model that is asked for; may be left out where `body` names it.
    model: Option<String>,
    #[schemars(extend("enum" = ["chat", "responses", "messages", "gemini", null]))]
    protocol: Option<String>,
    headers: Option<std::collections::BTreeMap<String, String>>,
    /// The name of a client key.
    caller: Option<String>,
    /// A request of the protocol.
    body: Option<Map<String, Value>>,
    /// Gemini: the answer streams, which clients say in the address.
    stream: Option<bool>,
}

/// What would happen.
#[derive(JsonSchema)]
pub(super) struct Explanation {
    model: String,
    protocol: String,
    /// Which rule found the targets.
    rule: String,
    /// In the order in which they are made if each fails.
    attempts: Vec<Attempt>,
    conversation: Option<Conversation>,
    excluded: Vec<Excluded>,
    /// What the first target's model can do.
    capabilities: Option<Map<String, Value>>,
    /// The quirk table of the first target's server.
    quirks: Option<String>,
    request: Option<Converted>,
}

/// One attempt.
#[derive(JsonSchema)]
pub(super) struct Attempt {
    provider: String,
    model: String,
    priority: u32,
    weight: u32,
    /// The name of the credential.
    key: String,
    protocol: String,
    way: String,
    address: String,
}

/// Where a conversation was answered last.
#[derive(JsonSchema)]
pub(super) struct Conversation {
    place: String,
    provider: Option<String>,
    model: Option<String>,
    key: Option<String>,
    why: Option<String>,
    tokens: Option<u32>,
    until: Option<u64>,
}

/// What cannot be used now.
#[derive(JsonSchema)]
pub(super) struct Excluded {
    provider: String,
    model: String,
    key: String,
    why: String,
    until: Option<u64>,
}

/// A request as the first target gets it.
#[derive(JsonSchema)]
pub(super) struct Converted {
    input_tokens: u64,
    unchanged: bool,
    losses: Vec<Map<String, Value>>,
    body: Value,
}

/// It is gone.
#[derive(JsonSchema)]
pub(super) struct Deleted {
    deleted: bool,
    id: String,
}

/// What the database declares, without secrets.
#[derive(JsonSchema)]
pub(super) struct Export {
    /// Of this form.
    version: u32,
    /// Unix milliseconds.
    exported_at: i64,
    providers: Vec<Exported>,
    credentials: Vec<Exported>,
    pools: Vec<Exported>,
    routes: Vec<Exported>,
    /// In the words of the configuration file, without webhooks.
    settings: Map<String, Value>,
    teams: Vec<Exported>,
    users: Vec<Exported>,
    keys: Vec<Exported>,
}

/// One thing of an export.
#[derive(JsonSchema)]
pub(super) struct Exported {
    id: String,
    name: String,
    enabled: bool,
    definition: Map<String, Value>,
    /// Of a credential.
    provider: Option<String>,
    /// Of a user or key: the id of the team.
    team: Option<String>,
    /// Of a key: the id of the user.
    user: Option<String>,
    /// Of a user.
    role: Option<String>,
    /// Of a key.
    expires_at: Option<i64>,
}
