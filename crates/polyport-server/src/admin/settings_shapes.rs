//! The shapes of settings and of the configuration, for the OpenAPI document.

#![allow(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;
use serde_json::Value;

use super::shapes::Mistake;
use crate::config::Event;
use crate::config::leaves::Form;
use crate::config::settings::Owner;
use crate::notifications::Outcome;

/// All settings as they are in force.
#[derive(JsonSchema)]
pub(super) struct Settings {
    /// What `If-Match` compares; 0 as long as the database says nothing.
    revision: i64,
    settings: Vec<Setting>,
    /// What the database says of settings and is not in force.
    problems: Vec<Mistake>,
}

/// A setting.
#[derive(JsonSchema)]
pub(super) struct Setting {
    /// `accounting.keep.requests`: the keys of the configuration file.
    path: String,
    /// What is in force, without secrets; null where nothing is set and the default is no single value.
    value: Value,
    /// What holds where nobody says anything; null where that is no single value: `about` tells more.
    default: Value,
    /// Who says so.
    #[schemars(extend("enum" = Owner::ALL))]
    owner: String,
    /// What may stand there.
    #[schemars(extend("enum" = Form::ALL))]
    kind: String,
    /// The words that may stand there.
    words: Option<Vec<String>>,
    /// What the reference says.
    about: String,
    /// A change waits for a restart.
    restart: bool,
    /// It can be changed here.
    editable: bool,
}

/// The configuration as it was written.
#[derive(JsonSchema)]
pub(super) struct Configuration {
    /// The file.
    path: Option<String>,
    /// As it is written, without secrets.
    text: Option<String>,
    /// Why there is no text.
    reason: Option<String>,
    /// When it was read last, Unix milliseconds.
    read_at: u64,
    /// Why what was read last is not in force.
    problems: Vec<Misread>,
    /// How many settings are set where.
    owners: Owners,
}

/// A mistake in the configuration.
#[derive(JsonSchema)]
pub(super) struct Misread {
    /// File, line and column, or a variable.
    place: String,
    #[schemars(flatten)]
    mistake: Mistake,
}

/// How many settings are set where.
#[derive(JsonSchema)]
pub(super) struct Owners {
    file: u64,
    profile: u64,
    environment: u64,
    argument: u64,
    database: u64,
    default: u64,
}

/// A message at one address.
#[derive(JsonSchema)]
pub(super) struct Notification {
    /// Of the message; the same at all addresses.
    id: String,
    /// When it happened, Unix milliseconds.
    at: u64,
    #[schemars(extend("enum" = Event::ALL.map(Event::as_str)))]
    event: String,
    /// The name of the address.
    webhook: String,
    /// What was told, in words.
    text: String,
    /// How the last attempt ended.
    #[schemars(extend("enum" = Outcome::ALL))]
    outcome: String,
    /// What the address answered.
    status: Option<u16>,
    /// Why it was not taken.
    message: Option<String>,
    attempts: u32,
    /// The last attempt.
    took_ms: u64,
}

/// Which address is tried.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NotificationTest {
    /// Its name in `notifications.webhooks`.
    webhook: String,
}

/// How that ended.
#[derive(JsonSchema)]
pub(super) struct NotificationSent {
    #[schemars(extend("enum" = Outcome::ALL))]
    outcome: String,
    /// What the address answered.
    status: Option<u16>,
    /// Why it was not taken.
    message: Option<String>,
    took_ms: u64,
}
