//! The configuration file as people write it. [`super::check`] makes a [`super::Config`] of it.
//!
//! The comments of this file are the reference: the JSON Schema and `docs/CONFIGURATION.md` are generated from them.

use polyport_protocol::{Capabilities, Profile};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::custom::CustomHttp;
use super::daily::Daily;
use super::local::file::{Process, Server as LocalServer};
use super::money::{Accounting, Disconnect};
use super::notifications::NotificationsFile;
use super::oidc::OidcFile;
use super::telemetry::{MetricsFile, TelemetryFile};
use super::units::{Named, Rate, Several, Short, Size, Span};

/// Configuration of Polyport, normally `polyport.yaml`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    /// Where to listen and what answers carry.
    pub(super) server: Server,
    /// Folder for everything Polyport writes, such as generated secrets. Relative to the configuration file; without one, to the
    /// working folder. Made with access for its owner only. Default: `data`.
    #[schemars(example = &"./data")]
    pub(super) data: Option<String>,
    /// The database of what outlives a restart.
    pub(super) store: Store,
    /// Who may use the gateway.
    pub(super) access: Access,
    /// The services that answer, by a name of your choice.
    pub(super) providers: Named<Provider>,
    /// Find provider keys in the usual environment variables and local servers on their usual ports. Default: on if `providers` is
    /// empty, otherwise off.
    pub(super) discover: Option<bool>,
    /// What clients may ask for: a name, or a pattern with `*`, and the targets behind it. A target is `provider/model` (split at the
    /// first slash) or the name of another model here. A target `provider/*` gets the name the client asked for; a `*` inside a
    /// longer name stands for what the `*` of the pattern matched. Clients may also ask for `provider/model` directly.
    pub(super) models: Named<Several<Target>>,
    /// Virtual models: a name and the targets behind it, of one provider or many, and how one of them is chosen. Names of vendors'
    /// models that hold a word of the pool's tier (`claude-haiku-4-5-20251001`) reach it as well.
    pub(super) pools: Named<Pool>,
    /// Rules that look at the request. Those that look at a header or at the caller are asked before `models` and `pools`, the others
    /// for names that these do not list; lower `priority` first, then in order.
    pub(super) routes: Vec<Route>,
    /// Conversations stay with the key and target whose prompt cache is warm, as long as these can serve: known by the id a client sends
    /// (`x-session-id`, `prompt_cache_key`, Claude Code's session) or by a long common beginning. Default: true.
    pub(super) sticky: Option<bool>,
    /// The provider that gets names no other rule knows; `none` for no provider. Default: the only provider, if there is just one.
    pub(super) default_provider: Option<String>,
    /// Corrections of the shipped table of model abilities, by model name, pattern, or `provider/pattern`. Later entries win.
    pub(super) capabilities: Named<Abilities>,
    /// What happens to requests on their way to another protocol.
    pub(super) translation: Translation,
    /// Bounds on sizes, numbers and times.
    pub(super) limits: Limits,
    /// How failed attempts are repeated.
    pub(super) retry: Retry,
    /// A second attempt where the first is slow to begin; off where this is not given.
    pub(super) hedge: Option<Hedge>,
    /// How long what failed is left alone where its provider does not say.
    pub(super) cooldown: Cooldown,
    /// Health checks on a timer.
    pub(super) probes: Probes,
    /// What is logged and how.
    pub(super) log: Log,
    /// Figures for Prometheus.
    pub(super) metrics: MetricsFile,
    /// What is told to other programs.
    pub(super) telemetry: TelemetryFile,
    /// Prices, what budgets are counted in, and limits that callers share.
    pub(super) accounting: Accounting,
    /// Messages to other programs when something needs somebody.
    pub(super) notifications: NotificationsFile,
}

/// Where to listen and what answers carry.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// Address to listen on. Beyond loopback, `access.keys` or `access.admin_keys` is required. Default: `127.0.0.1`.
    #[schemars(example = &"0.0.0.0")]
    pub(super) host: Option<String>,
    /// Port to listen on; 0 lets the system choose. Default: 7659.
    pub(super) port: Option<u16>,
    /// More addresses where the same is answered: a port, at the address of `host`, or `ADDRESS:PORT`. Needs a restart to change.
    #[schemars(example = &"3000")]
    pub(super) also: Several<String>,
    /// Where access is not fit for networks (no key is needed, or one is that of an example or short), listen on this machine only and say so,
    /// instead of refusing to start. Default: false.
    pub(super) retreat: Option<bool>,
    /// Whom lists in the style of OpenAI name as the owner of a model. Default: `polyport`.
    pub(super) owned_by: Option<OwnedBy>,
    /// Chat requests that do not say `stream` are answered with a stream, as some older gateways do. Default: false.
    pub(super) stream_by_default: Option<bool>,
    /// Which of Polyport's own headers answers carry.
    pub(super) response_headers: Headers,
}

/// Whom lists of models name as their owner.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OwnedBy {
    /// Polyport.
    Polyport,
    /// The provider that is asked first.
    Provider,
    /// How that provider is spoken to: `openai_compat`, `custom_http` (all else over HTTP) or `process`.
    Adapter,
}

/// Which of Polyport's own headers answers carry.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Headers {
    /// `x-polyport-loss`: what could not be carried. Default: true.
    pub(super) loss: Option<bool>,
    /// `x-polyport-target`: the provider and model that answered. Default: true.
    pub(super) target: Option<bool>,
    /// `x-polyport-attempts`: how many attempts it took. Default: true.
    pub(super) attempts: Option<bool>,
}

/// The database of what outlives a restart: counters, what rests, tokens that token servers replaced. Secrets in it are sealed with the
/// master key: `POLYPORT_MASTER_KEY` (or `WARP_TOKEN_ENCRYPTION_KEY`), 32 random bytes in base64, otherwise one that is made at the first
/// start and kept in `master.key` of the data folder. Both need a restart to change.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Store {
    /// `sqlite://PATH`, relative to the working folder, or `postgres://USER:PASSWORD@HOST/NAME`; `env:NAME` and `file:PATH` work too. An
    /// SQLite database belongs to one process. Default: `polyport.db` in the data folder.
    #[schemars(example = &"env:DATABASE_URL")]
    pub(super) url: Option<String>,
}

/// Who may use the gateway.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Access {
    /// Anybody who can connect may use it; allowed on loopback only. Default: as long as there are no keys, those of the admin API included.
    pub(super) open: Option<bool>,
    /// Keys of clients. Accepted as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`.
    /// Default: `env:API_TOKEN`, or the JSON list in `API_KEYS`, if one is set.
    pub(super) keys: Several<Key>,
    /// Keys of operators, for the admin API; keys of clients do not open it, nor do these ask models. Default: `env:ADMIN_TOKEN`, if that
    /// is set.
    pub(super) admin_keys: Several<Key>,
    /// Take keys that are short or those of examples beyond this machine too: whoever guesses one uses your providers. A warning stays. Default:
    /// false, such keys are refused.
    pub(super) weak_keys: Option<bool>,
    /// Networks, beside the Internet, in which providers may be that are declared through the admin API, such as `10.0.0.0/8`. Those of this
    /// file may be anywhere. Default: this machine if Polyport listens on loopback only, otherwise none.
    #[schemars(example = &"192.168.0.0/16")]
    pub(super) networks: Option<Several<String>>,
    /// Networks of the reverse proxies before Polyport, such as `127.0.0.1` or `10.0.0.0/8`. What they say in `forwarded` or `x-forwarded-for`
    /// is where a request comes from, and in `x-forwarded-proto` how. Nobody else is believed. Default: none.
    #[schemars(example = &"127.0.0.1")]
    pub(super) trusted_proxies: Option<Several<String>>,
    /// How long people stay signed in at the admin API.
    pub(super) sessions: Sessions,
    /// Signing in at an identity provider. Default: passwords only.
    pub(super) oidc: Option<OidcFile>,
    /// Entries of the audit log are kept this long. Default: `365d`.
    pub(super) audit: Option<Span>,
    /// Clients may ask for `provider/model` without an entry in `models`. Default: true.
    pub(super) direct_models: Option<bool>,
}

/// How long people stay signed in at the admin API.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sessions {
    /// Without doing anything. Default: `12h`.
    pub(super) idle: Option<Span>,
    /// At the longest. Default: `7d`.
    pub(super) longest: Option<Span>,
}

/// A key: its text, `env:NAME` or `file:PATH`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Key {
    /// Name for logs. Default: where the key comes from.
    pub(super) name: Option<String>,
    /// The key: its text, `env:NAME` or `file:PATH`.
    pub(super) key: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Short for Key {
    fn of_text(text: &str) -> Self {
        Self { name: None, key: text.to_owned() }
    }
}

/// A service that answers.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Provider {
    /// A known service: fills in everything else. See the list of presets.
    #[schemars(example = &"deepseek")]
    pub(super) preset: Option<String>,
    /// What it speaks. Default: `chat`, or what the preset says.
    pub(super) protocol: Option<Protocol>,
    /// How it is spoken to, where that is not by its protocol alone. Default: `http`, or what the preset says.
    pub(super) adapter: Option<Adapter>,
    /// Its address with the version (`https://api.openai.com/v1`), or the whole address of the endpoint. May hold `{model}`, which is
    /// replaced by the model's name. `env:NAME` works too.
    pub(super) base_url: Option<String>,
    /// Vertex AI: the project that is asked on behalf of. Default: that of the account.
    pub(super) project: Option<String>,
    /// Vertex AI: the region, `global`, `us` or `eu`. Default: `us-central1`. AWS Bedrock: the region. Default: what `AWS_REGION` or
    /// `AWS_DEFAULT_REGION` says, otherwise `us-east-1`.
    #[schemars(example = &"europe-west4")]
    pub(super) location: Option<String>,
    /// How requests of `adapter: custom_http` are written and its answers read.
    pub(super) custom: Option<CustomHttp>,
    /// Its keys; requests take turns over them. A text, `env:NAME` or `file:PATH`, or a list of these. Default: the usual environment
    /// variable of the preset.
    pub(super) keys: Option<Several<ProviderKey>>,
    /// Accounts it is used with instead of keys, or beside them.
    pub(super) oauth: Option<OAuth>,
    /// How the next of its keys and accounts is chosen. Default: `round_robin`.
    pub(super) strategy: Option<Strategy>,
    /// Header for the key. Default: by protocol (`authorization`, `x-api-key`, `x-goog-api-key`); `authorization` for tokens of accounts.
    #[schemars(example = &"api-key")]
    pub(super) auth_header: Option<String>,
    /// The header's value, with `{key}` for the key. Default: `Bearer {key}` for `authorization`, otherwise `{key}`.
    pub(super) auth_format: Option<String>,
    /// Table of quirks of its server. Default: that of the preset, or the official API of its protocol (`generic` for `chat`).
    #[schemars(example = &"vllm")]
    pub(super) profile: Option<String>,
    /// Single quirks that differ from the table.
    #[schemars(with = "Profile")]
    pub(super) quirks: Map<String, Value>,
    /// Headers to add to every request. Values may be `env:NAME` or `file:PATH`.
    pub(super) headers: Named<String>,
    /// Query members to add to every address, e.g. `api-version`.
    pub(super) query: Named<String>,
    /// Address of a proxy (`http://host:port`, `socks5://host:port`), or `none`. Default: what `HTTPS_PROXY` and its relatives say.
    pub(super) proxy: Option<String>,
    /// Models it is known to serve: clients may ask for them without an entry in `models`.
    pub(super) models: Vec<String>,
    /// How long to wait for it, where `limits` does not fit.
    pub(super) timeouts: Timeouts,
    /// Requests in flight at once at this provider; more go to another target or wait. Default: no bound of its own; 1 for a `process`.
    #[schemars(range(min = 1))]
    pub(super) requests: Option<usize>,
    /// A server on this machine that Polyport starts itself. Only providers of this file may have one.
    pub(super) server: Option<LocalServer>,
    /// How many may wait for it; more are refused. Default: `limits.queue`.
    pub(super) queue: Option<usize>,
    /// How long they may wait. Default: `limits.queue_time`.
    pub(super) queue_time: Option<Span>,
    /// The program that answers, where the adapter is `process`. Only providers of this file may have one.
    pub(super) process: Option<Process>,
    /// How long what failed is left alone, where `cooldown` does not fit.
    pub(super) cooldown: Cooldown,
    /// Time between two health checks of it; `0` for none. Default: `probes.every`.
    pub(super) probe_every: Option<Span>,
    /// False leaves it out. Default: true.
    pub(super) enabled: Option<bool>,
}

/// A key of a provider: its text, `env:NAME` or `file:PATH`, alone or with its share and limits.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProviderKey {
    /// Name for logs, pages and `keys` of routes. Default: where the key comes from.
    pub(super) name: Option<String>,
    /// The key: its text, `env:NAME` or `file:PATH`. AWS: the secret access key, or a Bedrock API key; `ID:SECRET` and `ID:SECRET:TOKEN`
    /// say all at once.
    pub(super) key: String,
    /// AWS: the access key id that belongs to it. Requests are signed then.
    #[schemars(example = &"env:AWS_ACCESS_KEY_ID")]
    pub(super) access_key_id: Option<String>,
    /// AWS: the session token of a temporary key.
    #[schemars(example = &"env:AWS_SESSION_TOKEN")]
    pub(super) session_token: Option<String>,
    /// Share among keys of the same priority. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) weight: Option<u32>,
    /// Lower goes first; the others are used while none of these can be. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) priority: Option<u32>,
    /// Requests in flight at once. Default: any number.
    #[schemars(range(min = 1))]
    pub(super) requests: Option<u32>,
    /// Requests over time, such as `60/m`. Default: any number.
    pub(super) pace: Option<Rate>,
    /// False leaves it unused. Default: true.
    pub(super) enabled: Option<bool>,
}

impl std::fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Short for ProviderKey {
    fn of_text(text: &str) -> Self {
        Self { key: text.to_owned(), ..Self::default() }
    }
}

/// Accounts whose access tokens are fetched and refreshed with OAuth.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OAuth {
    /// Address of the token endpoint. Default: what `file` says.
    #[schemars(example = &"https://oauth2.googleapis.com/token")]
    pub(super) token_url: Option<String>,
    /// Another address that answers the same, asked where the first cannot be used. Default: none.
    #[schemars(example = &"https://app.warp.dev/proxy/token?key=KEY")]
    pub(super) fallback_url: Option<String>,
    /// The OAuth client the accounts were opened with. Default: what `file` says.
    pub(super) client_id: Option<String>,
    /// Its secret: a text, `env:NAME` or `file:PATH`; public clients have none.
    pub(super) client_secret: Option<String>,
    /// Scopes to ask for at every refresh. Default: none, which keeps those of the log-in.
    pub(super) scope: Option<String>,
    /// What access tokens are granted for. Default: `refresh_token`.
    pub(super) grant: Option<Grant>,
    /// How the refresh is written: `form`, as the standard says, or `json`. Default: `form`.
    pub(super) body: Option<Body>,
    /// The accounts. A refresh token that the token server replaces is kept in the data folder.
    pub(super) accounts: Vec<OAuthAccount>,
    /// A JSON file with `oauth_config` and `projects`, each with `project_id`, `refresh_token`, `access_token` and `expires_at`. It is
    /// watched, and new tokens are written back to it. Relative to the configuration file.
    #[schemars(example = &"data/tokens.json")]
    pub(super) file: Option<String>,
    /// An access token is refreshed this long before it expires. Default: `5m`.
    pub(super) refresh_ahead: Option<Span>,
    /// An account is refreshed at the latest this long after the last time, used or not. Default: only ahead of expiry.
    pub(super) keep_alive: Option<Span>,
}

/// What access tokens are granted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grant {
    /// The refresh tokens of `accounts`.
    RefreshToken,
    /// The same at Google's identity service for apps, as Warp uses it: requests carry the `id_token`.
    IdToken,
    /// The OAuth client's own secret, as Microsoft Entra takes it; there are no `accounts` then.
    ClientCredentials,
}

/// How the request for a new token is written.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Body {
    /// As a form.
    Form,
    /// As JSON.
    Json,
}

/// An account.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OAuthAccount {
    /// Name for logs, pages and `keys` of routes. Default: `account 1`, `account 2`, …
    pub(super) name: Option<String>,
    /// Its refresh token: a text, `env:NAME` or `file:PATH`.
    pub(super) refresh_token: Option<String>,
    /// Instead of one: a Google key file, of a service account or of a user (`gcloud auth application-default login`): `file:PATH`,
    /// `env:NAME` or its text.
    #[schemars(example = &"file:service-account.json")]
    pub(super) key_file: Option<String>,
    /// The Google Cloud project it is used for. Default: what the key file says.
    pub(super) project: Option<String>,
    /// Share among keys and accounts of the same priority. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) weight: Option<u32>,
    /// Lower goes first; the others are used while none of these can be. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) priority: Option<u32>,
    /// Requests in flight at once. Default: any number.
    #[schemars(range(min = 1))]
    pub(super) requests: Option<u32>,
    /// Requests over time, such as `60/m`. Default: any number.
    pub(super) pace: Option<Rate>,
    /// False leaves it unused. Default: true.
    pub(super) enabled: Option<bool>,
}

impl std::fmt::Debug for OAuthAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuthAccount").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How a provider is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Adapter {
    /// As its protocol's own servers.
    Http,
    /// The same as `http`, by the name that others use.
    OpenaiCompat,
    /// A program on this machine, which is run for each request: see `process`.
    Process,
    /// Google Code Assist, as Gemini CLI speaks to it.
    CodeAssist,
    /// Google Code Assist, as Antigravity speaks to it.
    Antigravity,
    /// Google's Vertex AI.
    Vertex,
    /// AWS Bedrock's Converse interface, for all of its models.
    Bedrock,
    /// AWS Bedrock's interface to Anthropic's models in their own words.
    BedrockAnthropic,
    /// Warp's multi-agent interface, for accounts that are yours.
    Warp,
    /// Any JSON over HTTP, as `custom` declares it.
    CustomHttp,
}

impl Adapter {
    /// The way of speaking by HTTP; `None` for what is no server.
    pub(super) fn by_http(self) -> Option<polyport_provider::Adapter> {
        Some(match self {
            Self::Http | Self::OpenaiCompat => polyport_provider::Adapter::Http,
            Self::CodeAssist => polyport_provider::Adapter::CodeAssist,
            Self::Antigravity => polyport_provider::Adapter::Antigravity,
            Self::Vertex => polyport_provider::Adapter::Vertex,
            Self::Bedrock => polyport_provider::Adapter::Bedrock,
            Self::BedrockAnthropic => polyport_provider::Adapter::BedrockAnthropic,
            Self::Warp => polyport_provider::Adapter::Warp,
            Self::CustomHttp => polyport_provider::Adapter::CustomHttp,
            Self::Process => return None,
        })
    }
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    /// OpenAI Chat Completions and everything compatible with it.
    Chat,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Gemini `generateContent`.
    Gemini,
}

impl From<Protocol> for polyport_types::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Chat => Self::Chat,
            Protocol::Responses => Self::Responses,
            Protocol::Messages => Self::Messages,
            Protocol::Gemini => Self::Gemini,
        }
    }
}

/// How long to wait for a provider.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Timeouts {
    /// Making a connection, TLS included.
    pub(super) connect: Option<Span>,
    /// From the request to the first byte of the answer.
    pub(super) first_byte: Option<Span>,
    /// The same for a request that a model thinks about before it answers.
    pub(super) first_byte_reasoning: Option<Span>,
    /// Between two bytes of an answer.
    pub(super) idle: Option<Span>,
    /// The whole answer.
    pub(super) total: Option<Span>,
}

/// A target of a model: `provider/model` or another model, alone or with weight and priority.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Target {
    /// `provider/model`, or the name of another model.
    pub(super) target: String,
    /// Share among targets of the same priority. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) weight: Option<u32>,
    /// Lower goes first; the others are fall-backs. Default: 1.
    pub(super) priority: Option<u32>,
}

impl Short for String {
    fn of_text(text: &str) -> Self {
        text.to_owned()
    }
}

impl Short for Target {
    fn of_text(text: &str) -> Self {
        Self { target: text.to_owned(), weight: None, priority: None }
    }
}

/// A virtual model.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Pool {
    /// What kind of model it offers: names that hold one of the words of the tier reach it.
    pub(super) tier: Option<Tier>,
    /// Words to reach it by instead of those of its tier. They stand alone in a name: `mini` is in `gpt-5-mini`, not in `gemini`.
    #[schemars(example = &["haiku", "flash-lite"])]
    pub(super) words: Vec<String>,
    /// What it consists of.
    pub(super) targets: Several<Target>,
    /// How one of its targets is chosen. Default: `round_robin`.
    pub(super) strategy: Option<Strategy>,
    /// Other pools, tried in order when none of its targets can be.
    pub(super) fallbacks: Vec<String>,
}

/// What kind of model a pool offers.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tier {
    /// Small and quick: `haiku`, `flash-lite`, `mini`, `nano`, `lite`, `small`, `instant`.
    Tool,
    /// For everyday work: `sonnet`, `flash`, `medium`.
    Normal,
    /// The most able: `opus`, `pro`, `large`, `ultra`.
    Advanced,
}

/// How one of several is chosen.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Strategy {
    /// In turns: over the providers first, then over the models of each, by weight.
    RoundRobin,
    /// The one with the fewest requests under way, by weight.
    LeastBusy,
    /// The one whose answers begin soonest.
    Latency,
    /// The first that can be used.
    Ordered,
}

impl From<Strategy> for polyport_routing::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::RoundRobin => Self::RoundRobin,
            Strategy::LeastBusy => Self::LeastBusy,
            Strategy::Latency => Self::Latency,
            Strategy::Ordered => Self::Ordered,
        }
    }
}

/// A rule that looks at the request instead of listing model names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Route {
    /// When the rule holds; all conditions given must.
    #[serde(rename = "match")]
    pub(super) when: Match,
    /// Where to: a provider (which gets the name as asked for), `provider/model`, a model of `models`, or a pool. `provider/*` keeps
    /// the name; a `*` inside a longer name stands for what the `*` of `match.model` matched.
    pub(super) to: String,
    /// Lower is asked first. Default: 1.
    pub(super) priority: Option<u32>,
    /// Asked before `models` and `pools`. Default: true if it looks at a header or at the caller, otherwise false.
    pub(super) overrides: Option<bool>,
    /// How requests reach the provider. Default: `translation.mode`.
    pub(super) mode: Option<Mode>,
    /// Only these keys of the provider, by name. Default: all.
    pub(super) keys: Vec<String>,
    /// How failed attempts of its requests are repeated, where `retry` does not fit.
    pub(super) retry: RouteRetry,
    /// A second attempt where the first is slow to begin. Default: `hedge`.
    pub(super) hedge: Option<Hedge>,
    /// What becomes of an answer whose client has left. Default: `accounting.disconnect`.
    pub(super) disconnect: Option<Disconnect>,
    /// With `disconnect: drain`: until about so many tokens of it have come. Default: to its end.
    pub(super) drain_tokens: Option<u64>,
    /// Prompts and answers are kept in the request log for some time, without what looks like a key. Default: false.
    pub(super) capture: bool,
}

/// When a route holds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Match {
    /// The model name is this one, or like this pattern with `*`.
    pub(super) model: Option<String>,
    /// The model name holds this text, or one of these, in any case.
    pub(super) model_contains: Several<String>,
    /// The client speaks this protocol.
    pub(super) protocol: Option<Protocol>,
    /// Headers and what their values are like; `*` stands for anything.
    #[schemars(example = &serde_json::json!({ "x-team": "platform-*" }))]
    pub(super) header: Named<String>,
    /// The name of the client key, or of its user, is this one or one of these; `*` stands for anything.
    pub(super) caller: Several<String>,
}

/// How requests reach a provider.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Converted where client and provider speak different protocols.
    Transform,
    /// As they are, to providers that speak the client's protocol; for others the request is refused.
    Direct,
}

/// Abilities of a model that differ from the shipped table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "Capabilities")]
pub(super) struct Abilities(pub(super) Map<String, Value>);

/// What happens to requests on their way to another protocol.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Translation {
    /// How requests reach providers, where their route does not say otherwise. Default: `transform`.
    pub(super) mode: Option<Mode>,
    /// What to do when something cannot be carried. Default: `lenient`.
    pub(super) losses: Option<Losses>,
    /// The model name answers carry. Default: `requested`.
    pub(super) model_echo: Option<Echo>,
    /// Give reasoning text to Chat clients as `reasoning_content`. Default: true.
    pub(super) expose_reasoning: Option<bool>,
}

/// What to do when something cannot be carried.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Losses {
    /// Refuse missing content, report the rest in `x-polyport-loss`.
    Lenient,
    /// Refuse any visible loss.
    Strict,
    /// As `lenient`, without the header.
    Off,
}

/// The model name answers carry.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Echo {
    /// The one the client asked for.
    Requested,
    /// The one the provider reports.
    Provider,
}

/// Bounds on sizes, numbers and times.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Bytes of a request body, before and after decompression. Default: `32MiB`.
    #[schemars(example = &"32MiB")]
    pub(super) request_body: Option<Size>,
    /// The same for Gemini, whose clients put media into requests. Default: `100MiB`.
    pub(super) inline_media: Option<Size>,
    /// Bytes of a file that a client sends for a provider to keep, and of a form that holds one. It waits in the data folder until it is
    /// whole. Default: `512MiB`.
    pub(super) upload: Option<Size>,
    /// Time a client has to send it. Default: `30m`.
    pub(super) upload_time: Option<Span>,
    /// A compressed body may grow by this factor. Default: 100.
    pub(super) expansion: Option<usize>,
    /// Bytes of all request headers. Default: `32KiB`.
    pub(super) headers: Option<Size>,
    /// Number of request headers. Default: 100.
    pub(super) header_count: Option<usize>,
    /// Time a client has to send its headers. Default: `10s`.
    pub(super) header_time: Option<Span>,
    /// Time a client has to send its body. Default: `60s`.
    pub(super) body_time: Option<Span>,
    /// Bytes a second that a body must bring, measured over ten seconds. Default: `1KiB`.
    pub(super) body_rate: Option<Size>,
    /// Bytes of one event of a provider's stream. Default: `16MiB`.
    pub(super) event: Option<Size>,
    /// Bytes of a provider's whole answer. Default: `64MiB`.
    pub(super) answer: Option<Size>,
    /// Making a connection to a provider, TLS included. Default: `10s`.
    pub(super) connect: Option<Span>,
    /// From the request to the first byte of a provider's answer. Default: `120s`.
    #[schemars(example = &"120s")]
    pub(super) first_byte: Option<Span>,
    /// The same for a request that a model thinks about before it answers. Default: `first_byte` where that is given, else `600s`.
    pub(super) first_byte_reasoning: Option<Span>,
    /// Between two bytes of a provider's answer. Default: `120s`.
    pub(super) idle: Option<Span>,
    /// A provider's whole answer. Default: `30m`.
    pub(super) total: Option<Span>,
    /// A streaming client gets a comment after this much silence. Default: `15s`.
    pub(super) keep_alive: Option<Span>,
    /// A streaming client gets its 200 after this time even if no provider has begun to answer; until then a failure is a real HTTP
    /// status. Default: `10s`.
    pub(super) commit_after: Option<Span>,
    /// A client that takes no bytes for this long is given up. Default: `60s`.
    pub(super) client_write: Option<Span>,
    /// Objects and arrays inside one another in a request body; more than 128 are never read. Default: 128.
    #[schemars(range(min = 1, max = 128))]
    pub(super) json_depth: Option<usize>,
    /// Memory that the process may hold. From 80 % of it connections are not kept and side tables take nothing more; from 90 % new
    /// requests are refused. Default: what the machine has, or the control group allows.
    pub(super) memory: Option<Size>,
    /// Requests in flight at once. Default: 4096.
    pub(super) requests: Option<usize>,
    /// Requests that may wait for a place, for the gateway and for each provider; more are refused at once. Default: 1024.
    pub(super) queue: Option<usize>,
    /// How long a request may wait for a place. Default: `10s`.
    pub(super) queue_time: Option<Span>,
    /// Requests in flight at once of one client key; more are refused at once. Default: 64.
    pub(super) requests_per_key: Option<usize>,
    /// Connections at once, never more than three quarters of the files that the process may open. Default: as many, up to 65536.
    pub(super) connections: Option<usize>,
    /// Connections from one address at once; programs on the same machine have no such limit. Default: 256.
    pub(super) connections_per_address: Option<usize>,
    /// Requests at once on one HTTP/2 connection. Default: 100.
    #[schemars(range(min = 1))]
    pub(super) streams: Option<u32>,
    /// Time that open answers have to end when Polyport is stopped. Default: `30s`.
    pub(super) drain: Option<Span>,
}

/// How failed attempts are repeated. Every planned target is tried before a request fails.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Retry {
    /// Attempts of one request, when it has fewer targets than this. Refused keys and rate limits do not count. Default: 3.
    #[schemars(range(min = 1))]
    pub(super) attempts: Option<u32>,
    /// Time for all attempts of a request together, until an answer begins. A client that says that it waits less long
    /// (`x-stainless-timeout`, `x-server-timeout`) is believed. Default: `10m`.
    pub(super) patience: Option<Span>,
    /// Longest wait between two attempts. Default: `5s`.
    pub(super) max_wait: Option<Span>,
    /// How many attempts of all requests may be repeated: when everything fails, repeating everything makes it worse.
    pub(super) budget: Budget,
}

/// How many attempts of all requests may be repeated at the same target. Beyond it, requests go on to other keys and targets only.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Budget {
    /// Repetitions per hundred requests. Default: 20.
    pub(super) percent: Option<u32>,
    /// Repetitions a second that are always allowed. Default: 5.
    pub(super) reserve: Option<u32>,
}

/// How failed attempts of a route's requests are repeated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RouteRetry {
    /// Attempts of one request, when it has fewer targets than this. Default: `retry.attempts`.
    #[schemars(range(min = 1))]
    pub(super) attempts: Option<u32>,
    /// Time for all attempts of a request together, until an answer begins. Default: `retry.patience`.
    pub(super) patience: Option<Span>,
    /// Longest wait between two attempts. Default: `retry.max_wait`.
    pub(super) max_wait: Option<Span>,
}

/// A second attempt, with the next key or target, where the first is slow to begin; whichever answers first is used and the other is
/// cancelled. Both cost money. Never for requests that leave something behind at a provider (`background`, `conversation`,
/// `previous_response_id`).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Hedge {
    /// False switches it off. Default: true where `hedge` is given.
    pub(super) enabled: Option<bool>,
    /// It is made when the answer has not begun by the time at which this share of the model's answers had lately, in percent; whole answers
    /// are compared with whole ones. Default: 95.
    #[schemars(range(min = 1, max = 99))]
    pub(super) after_percentile: Option<u8>,
    /// At most this share of requests gets one, in percent. Default: 5.
    #[schemars(range(min = 1, max = 100))]
    pub(super) max_share: Option<u8>,
    /// Never earlier than this. Default: `500ms`.
    pub(super) min_delay: Option<Span>,
    /// Answers that must have been seen before. Default: 20.
    #[schemars(range(min = 1))]
    pub(super) samples: Option<u32>,
}

/// Health checks on a timer: a provider is asked for its list of models with every key and account that has answered nobody since the last
/// check. One that is refused twice is left out, one that is accepted again comes back; a provider that cannot be reached or answers errors is
/// passed over while others can serve, and one that rests because it could not be reached is tried out at once when it can be. What is switched
/// off is not checked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Probes {
    /// Time between two checks of a provider, varied by a tenth. Default: `0`, no checks: what clients ask for tells enough.
    #[schemars(example = &"60s")]
    pub(super) every: Option<Span>,
}

/// How long what failed is left alone where its provider does not say when it wants to be asked again, and from when on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cooldown {
    /// The first rest after a failure: of `rate_limited`, `overloaded`, `capacity` and `failing`, where these do not say otherwise.
    /// Default: `DEFAULT_COOLDOWN_SECONDS`, if that is set.
    pub(super) default: Option<Span>,
    /// A key at its rate limit. Default: `2s` to `60s`.
    pub(super) rate_limited: Rest,
    /// Whether a rate limit is taken to be one of that model only. Default: true.
    pub(super) limits_per_model: Option<bool>,
    /// A plan window or a quota that is used up. Default: `10m` to `6h`.
    pub(super) window: Rest,
    /// When used-up quotas start again every day: a time of day and its zone. Default: not known, so that `window` holds.
    pub(super) quota_reset: Option<Daily>,
    /// A model that is overloaded. Default: `15s` to `30s`.
    pub(super) overloaded: Rest,
    /// Overloads within a minute that lead to a rest. Default: 3.
    #[schemars(range(min = 1))]
    pub(super) overloads: Option<u32>,
    /// A model without capacity. Default: `30s` to `60s`.
    pub(super) capacity: Rest,
    /// A model that fails too often. Default: `5s` to `2m`.
    pub(super) failing: Rest,
    /// Failures in a row that lead to a rest. Default: 5.
    #[schemars(range(min = 1))]
    pub(super) failing_row: Option<u32>,
    /// Share of failures within half a minute that leads to a rest, in percent. Default: 50.
    #[schemars(range(min = 1, max = 100))]
    pub(super) failing_percent: Option<u32>,
    /// Share of failures from which on others of its priority go first, in percent. Default: 20.
    #[schemars(range(min = 1, max = 100))]
    pub(super) ailing_percent: Option<u32>,
    /// Attempts that a share is judged by. Default: 8.
    #[schemars(range(min = 1))]
    pub(super) failing_least: Option<u32>,
    /// A provider whose certificate is not trusted. Default: `30s` to `10m`.
    pub(super) untrusted: Rest,
    /// An account that cannot be used: no money, on hold. Default: `6h`.
    pub(super) account: Option<Span>,
    /// A key that was refused once. Default: `30s`.
    pub(super) refused: Option<Span>,
    /// Refusals in a row after which a key is left out until somebody acts. Default: 2.
    #[schemars(range(min = 1))]
    pub(super) refusals: Option<u32>,
    /// A key that has no right to a model. Default: `1h`.
    pub(super) denied: Option<Span>,
    /// A key that does not know a model. Default: `10m`.
    pub(super) no_model: Option<Span>,
}

/// A rest that is doubled with every failure in a row.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rest {
    /// After the first failure.
    pub(crate) first: Option<Span>,
    /// At most.
    pub(crate) longest: Option<Span>,
}

/// What is logged and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter in the language of `RUST_LOG`, which wins when set. Default: `info`.
    pub(super) level: Option<String>,
    /// How lines look. Default: `text`.
    pub(super) format: Option<Format>,
    /// A file for them instead of standard error, in the data folder unless the name is absolute. Needs a restart to change, as all of `log`.
    #[schemars(example = &"polyport.log")]
    pub(super) file: Option<String>,
    /// The file is put aside (`polyport.log.1`) when it has this size. Default: `64MiB`; `0` for never.
    pub(super) rotate: Option<Size>,
    /// So many files that were put aside are kept. Default: 5.
    #[schemars(range(min = 1))]
    pub(super) keep: Option<usize>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
