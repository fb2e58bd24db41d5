//! The shapes of what is told of people and taken from them, for the OpenAPI document.

#![allow(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;
use serde_json::Value;

use super::usage_shapes::Limit;

/// An id and a name.
#[derive(JsonSchema)]
pub(super) struct Named {
    id: String,
    name: Option<String>,
}

/// Several users.
#[derive(JsonSchema)]
pub(super) struct Team {
    id: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    name: String,
    enabled: bool,
    #[schemars(flatten)]
    rules: Rules,
    users: u64,
    keys: u64,
}

/// Whoever keys belong to.
#[derive(JsonSchema)]
pub(super) struct User {
    id: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    name: String,
    enabled: bool,
    #[schemars(flatten)]
    rules: Rules,
    /// What they may do at this API.
    role: Role,
    team: Option<Named>,
    keys: u64,
}

/// A key of a client.
#[derive(JsonSchema)]
pub(super) struct Key {
    id: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    name: String,
    enabled: bool,
    #[schemars(flatten)]
    rules: Rules,
    /// The ends of its text.
    masked: String,
    user: Option<Named>,
    team: Option<Named>,
    /// Unix milliseconds.
    expires_at: Option<i64>,
    /// Until when its text before the present one is good.
    previous_good_until: Option<i64>,
    expired: bool,
    /// Its text, told once.
    key: Option<String>,
}

/// What keys may do; an empty list allows everything.
#[derive(JsonSchema)]
pub(super) struct Rules {
    models: Vec<String>,
    pools: Vec<String>,
    protocols: Vec<String>,
    networks: Vec<String>,
    limits: Vec<Limit>,
    /// Prompts and answers are kept in the request log.
    capture: bool,
}

/// What keys may do; an empty list allows everything.
#[derive(JsonSchema)]
pub(super) struct GivenRules {
    /// Names of models as clients write them; `*` stands for anything.
    #[schemars(length(max = 1000))]
    models: Option<Vec<String>>,
    #[schemars(length(max = 1000))]
    pools: Option<Vec<String>>,
    protocols: Option<Vec<Protocol>>,
    /// Where requests may come from: `10.0.0.0/8`, `2001:db8::/32` or single addresses.
    #[schemars(length(max = 1000))]
    networks: Option<Vec<String>>,
    /// How much may be used.
    #[schemars(length(max = 50))]
    limits: Option<Vec<Limit>>,
    /// Prompts and answers are kept in the request log.
    capture: Option<bool>,
}

/// What a client speaks.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Protocol {
    Chat,
    Responses,
    Messages,
    Gemini,
}

fn yes() -> bool {
    true
}

/// A team to be made.
#[derive(JsonSchema)]
pub(super) struct NewTeam {
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Default: true.
    #[schemars(default = "yes")]
    enabled: bool,
    #[schemars(flatten)]
    rules: GivenRules,
}

/// A user to be made.
#[derive(JsonSchema)]
pub(super) struct NewUser {
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Default: true.
    #[schemars(default = "yes")]
    enabled: bool,
    #[schemars(flatten)]
    rules: GivenRules,
    /// By id or name.
    team: Option<String>,
    /// What they may do at this API. Default: member.
    role: Option<Role>,
}

/// What a user may do at this API.
#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Role {
    Member,
    Manager,
    Admin,
}

/// Whether the first admin has to be made.
#[derive(JsonSchema)]
pub(super) struct Setup {
    needed: bool,
    /// Whether one may sign in at an identity provider, at `/admin/api/oidc/start`.
    oidc: bool,
    /// Whether clients need no key.
    open: bool,
    /// Whether who asks this is known: `GET /admin/api/session` tells who it is.
    signed_in: bool,
}

/// The first admin.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct FirstAdmin {
    /// As the gateway told it at its start.
    #[schemars(length(min = 1))]
    code: String,
    #[schemars(length(min = 1))]
    name: String,
    #[schemars(length(min = 1))]
    password: String,
}

/// Name and password.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct SignIn {
    #[schemars(length(min = 1))]
    name: String,
    #[schemars(length(min = 1))]
    password: String,
}

/// Another password of one's own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PasswordChange {
    #[schemars(length(min = 1))]
    current: String,
    #[schemars(length(min = 1))]
    password: String,
}

/// Another password of somebody.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// Made where it is left out.
    #[schemars(length(min = 1))]
    password: Option<String>,
    /// They have to choose another one at once. Default: true.
    #[schemars(default = "yes")]
    must_change: bool,
}

/// Somebody has another password.
#[derive(JsonSchema)]
pub(super) struct PasswordSet {
    id: String,
    must_change: bool,
    /// The one that was made, told once.
    password: Option<String>,
}

/// Who one is.
#[derive(JsonSchema)]
pub(super) struct Session {
    #[schemars(extend("enum" = ["user", "key", "local", "nobody"]))]
    kind: String,
    id: Option<String>,
    name: Option<String>,
    role: Option<Role>,
    team: Option<Named>,
    /// What changes have to carry as `x-polyport-csrf`.
    csrf: Option<String>,
    /// How one signed in.
    means: Option<String>,
    must_change: Option<bool>,
    created_at: Option<i64>,
    expires_at: Option<i64>,
    /// On whose behalf a key is used, as its holder says.
    actor: Option<String>,
    /// What limits of money are counted in, as three letters. Those who are nobody are not told.
    currency: Option<String>,
}

/// One is signed out.
#[derive(JsonSchema)]
pub(super) struct SignedOut {
    signed_out: bool,
}

/// Somebody is signed out everywhere.
#[derive(JsonSchema)]
pub(super) struct SessionsEnded {
    ended: u64,
}

/// Something that was done, or tried.
#[derive(JsonSchema)]
pub(super) struct AuditEntry {
    id: String,
    /// Unix milliseconds.
    at: i64,
    actor: Actor,
    /// The `operationId` of what was asked for.
    action: String,
    object_kind: Option<String>,
    object: Option<String>,
    /// The status of the answer.
    status: i64,
    /// Where the request came from.
    address: Option<String>,
    /// The id of the request.
    request: String,
    /// What was given, without secrets.
    detail: Value,
}

/// Who did something.
#[derive(JsonSchema)]
pub(super) struct Actor {
    kind: String,
    id: Option<String>,
    name: String,
}

/// A key to be made.
#[derive(JsonSchema)]
pub(super) struct NewKey {
    #[schemars(length(min = 1, max = 200))]
    name: String,
    /// Default: true.
    #[schemars(default = "yes")]
    enabled: bool,
    #[schemars(flatten)]
    rules: GivenRules,
    /// By id or name; not beside `user`.
    team: Option<String>,
    /// By id or name.
    user: Option<String>,
    expires_at: Option<Time>,
}

/// Unix milliseconds, or as RFC 3339 writes it.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Time {
    Milliseconds(i64),
    Text(String),
}

/// How a key is given another text.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the text before stays good, in seconds. Default: a day.
    #[schemars(range(min = 0, max = 7_776_000))]
    overlap_seconds: Option<i64>,
}
