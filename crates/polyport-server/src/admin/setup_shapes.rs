//! The shapes of what is asked while a gateway is set up: known services, trying one, and clients; for the OpenAPI document.

#![allow(dead_code, reason = "only their schemas are used")]

use schemars::JsonSchema;

use crate::config::Wants;

/// A known service.
#[derive(JsonSchema)]
pub(super) struct Preset {
    name: String,
    /// For people.
    title: String,
    #[schemars(extend("enum" = ["chat", "responses", "messages", "gemini"]))]
    protocol: String,
    /// `null` where every customer has another, or where it follows from other members.
    base_url: Option<String>,
    /// `base_url` has to be given.
    needs_base_url: bool,
    /// What it wants to see; of `none` a key may be given all the same.
    #[schemars(extend("enum" = Wants::WORDS))]
    auth: String,
    /// The environment variables in which its own tools look for the key.
    key_variables: Vec<String>,
    /// It runs on the machine of the gateway.
    local: bool,
    /// How it is spoken to, where not as its protocol's own servers. Programs (`process`) are declared in the configuration file only.
    adapter: Option<String>,
    /// Members that are asked for besides address and credential, by their paths: `project`, `oauth.client_id`.
    needs: Vec<String>,
}

/// What came of trying a provider.
#[derive(JsonSchema)]
pub(super) struct TrialResult {
    /// `refused`: it answers, and says no. `failed`: it gives no answer that can be used.
    #[schemars(extend("enum" = ["answered", "refused", "failed", "timeout"]))]
    outcome: String,
    took_ms: u64,
    /// The status of its answer.
    status: Option<u16>,
    /// Its own list of models, where no model was named.
    models: Option<Vec<String>>,
    /// The model that was named, as the provider calls it.
    model: Option<String>,
    /// What the model said.
    answer: Option<String>,
    usage: Option<TrialUsage>,
    /// What kind of error it was.
    code: Option<String>,
    message: Option<String>,
    /// What to do about it.
    remedy: Option<String>,
}

/// Tokens of the answer, as the provider counts them.
#[derive(JsonSchema)]
pub(super) struct TrialUsage {
    /// With those of the cache.
    input: u64,
    /// With those of reasoning.
    output: u64,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
}

/// A client, and what leads it to this gateway.
#[derive(JsonSchema)]
pub(super) struct ClientGuide {
    name: String,
    title: String,
    /// What it speaks; `null` where that depends on its settings.
    #[schemars(extend("enum" = ["chat", "responses", "messages", "gemini", null]))]
    protocol: Option<String>,
    /// Commands that install it, of which one is enough.
    install: Vec<String>,
    /// Environment variables that it is started with.
    variables: Vec<ClientVariable>,
    /// Variables that would lead it elsewhere.
    unset: Vec<String>,
    /// Starts it from a shell; `null` where it has no program that takes this from a command line.
    command: Option<String>,
    /// Settings that do the same for good.
    files: Vec<ClientFile>,
    /// It has to be told which model: without `model` the word `MODEL` stands in its place.
    needs_model: bool,
    /// What to do by hand, and what else there is to know.
    notes: Vec<String>,
    /// Its page in the book.
    guide: Option<String>,
}

/// An environment variable.
#[derive(JsonSchema)]
pub(super) struct ClientVariable {
    name: String,
    value: String,
}

/// A settings file of a client.
#[derive(JsonSchema)]
pub(super) struct ClientFile {
    /// As people write it: `~/.claude/settings.json`.
    path: String,
    /// The same on macOS, where that differs.
    macos: Option<String>,
    /// The same on Windows, where that differs.
    windows: Option<String>,
    #[schemars(extend("enum" = ["json", "jsonc", "toml", "yaml", "dotenv"]))]
    format: String,
    /// What a new file would hold.
    content: String,
}
