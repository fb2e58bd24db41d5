//! Services that answer.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polyport_protocol::custom::Custom;
use polyport_protocol::gemini::{CodeAssist, CodeAssistClient};
use polyport_protocol::{Capabilities, Profile, Target, Wire};
use polyport_provider::auth::{AwsKey, Due, TokenServer, Tokens};
use polyport_provider::process::{Command, Output, Template};
use polyport_provider::{Adapter, AuthHeader, AuthStyle, ClientSettings, Endpoint};
use polyport_routing::{Member, RestPolicy, Strategy};
use polyport_types::{ClientProtocol, Protocol, Text};

use super::daily::Daily;
use super::definitions::switch_of_credential;

/// A configured provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: Text,
    /// How it is reached.
    pub service: Service,
    /// Name of the quirk table its profile comes from, e.g. `openrouter`.
    pub table: Text,
    /// Quirks of its server.
    pub profile: Arc<Profile>,
    /// Hash of name, address and credentials: reasoning signatures of one scope are useless in another.
    pub scope: u32,
    /// Requests in flight at once; `None` without a bound of its own.
    pub requests: Option<usize>,
    /// How more may wait.
    pub queue: Waiting,
    /// Models it is known to serve; empty when that is not known.
    pub models: Vec<Text>,
    /// Who told of it.
    pub origin: Origin,
}

/// How requests may wait for a place at a provider, where that differs from the limits of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many; more are refused.
    pub length: Option<usize>,
    /// How long.
    pub time: Option<Duration>,
}

/// Where a provider was learned of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration file.
    File,
    /// The database.
    Database,
    /// Its key stands in the usual environment variable.
    Environment,
    /// A local server that answered.
    Discovered,
    /// Polyport itself.
    BuiltIn,
}

impl Origin {
    /// The word for tables and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Database => "database",
            Self::Environment => "environment",
            Self::Discovered => "discovered",
            Self::BuiltIn => "built_in",
        }
    }
}

/// How a provider is reached.
#[derive(Clone, Debug)]
pub enum Service {
    /// By HTTP.
    Http(Box<HttpService>),
    /// A program on this machine, run for each request.
    Process(Box<ProcessService>),
    /// Built in: answers with what it was asked, for trying out clients.
    Echo,
}

/// A server reached by HTTP.
#[derive(Clone)]
pub struct HttpService {
    /// Address, protocol and fixed headers.
    pub endpoint: Endpoint,
    /// Its interface, if the operator declares it.
    pub custom: Option<Arc<Custom>>,
    /// What is started where nothing listens there by itself.
    pub server: Option<Arc<LocalServer>>,
    /// Credentials in the order of the configuration; empty for servers that need none.
    pub credentials: Vec<Credential>,
    /// How the next of them is chosen.
    pub strategy: Strategy,
    /// How long what rests.
    pub rests: RestPolicy,
    /// When used-up quotas start again every day.
    pub quota_reset: Option<Daily>,
    /// Time between two health checks, if there are any.
    pub probe_every: Option<Duration>,
    /// A credential is needed but none was found, so that every request to it would be refused.
    pub missing_credential: bool,
    /// It says where the tokens of accounts come from.
    pub takes_accounts: bool,
    /// Settings of the connections; providers with equal ones share a client.
    pub client: ClientSettings,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// A server on this machine that is started when it is asked for.
#[derive(Clone, Debug)]
pub struct LocalServer {
    /// How it is run.
    pub command: Arc<Command>,
    /// The settings it was made of: one with the same is the same.
    pub written: Text,
    /// Where it listens; 0 for any port that is free.
    pub port: u16,
    /// The path that it answers once it can be asked.
    pub health: String,
    /// Time to start.
    pub start: Duration,
    /// Time without requests after which it is stopped.
    pub idle: Duration,
    /// Only one of a group runs at once.
    pub group: Option<Text>,
    /// The rest before it is started again.
    pub backoff: Backoff,
}

/// A rest that is doubled each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first one.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// A program on this machine.
#[derive(Clone)]
pub struct ProcessService {
    /// How it is run.
    pub command: Arc<Command>,
    /// How a conversation becomes its prompt.
    pub chat: Template,
    /// What it writes.
    pub output: Output,
    /// What `path` stands for, by model.
    pub files: BTreeMap<Text, Text>,
    /// How long what rests.
    pub rests: RestPolicy,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl fmt::Debug for ProcessService {
    /// Its environment may hold secrets: it is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessService").field("program", &self.command.program).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpService {
    /// Headers, query and proxy may hold secrets: they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService")
            .field("authority", &self.endpoint.authority())
            .field("credentials", &self.credentials)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// A key or account of a provider.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Where it comes from (`env:OPENAI_API_KEY`) or its position (`key 1`): a name that may be shown.
    pub label: Text,
    /// What it is.
    pub means: Means,
    /// Who it is over restarts and changes, its share, and its limits.
    pub member: Member,
    /// Its id in the database, if it is declared there.
    pub stored: Option<Text>,
}

impl Credential {
    /// A key, known by what it is a digest of, without limits.
    #[must_use]
    pub fn key(label: impl Into<Text>, header: AuthHeader) -> Self {
        let label = label.into();
        let member = Member { name: label.clone(), ..Member::new(header.digest()) };
        Self { label, member, means: Means::Key(header), stored: None }
    }

    /// An access key of AWS, without limits.
    #[must_use]
    pub fn aws(label: impl Into<Text>, key: AwsKey) -> Self {
        let label = label.into();
        let member = Member { name: label.clone(), ..Member::new(key.digest()) };
        Self { label, member, means: Means::Aws(Arc::new(key)), stored: None }
    }
}

impl Credential {
    /// The project its account belongs to.
    #[must_use]
    pub fn project(&self) -> Option<&Text> {
        match &self.means {
            Means::Account(account) => account.project.as_ref(),
            Means::Key(_) | Means::Aws(_) => None,
        }
    }
}

/// What requests are allowed with.
#[derive(Clone, Debug)]
pub enum Means {
    /// A key, as the header it is sent in.
    Key(AuthHeader),
    /// An account whose tokens are refreshed.
    Account(Arc<AccountSettings>),
    /// An access key of AWS, which signs requests.
    Aws(Arc<AwsKey>),
}

/// What makes an account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSettings {
    /// Where its tokens come from.
    pub server: TokenServer,
    /// How the access token is sent.
    pub style: AuthStyle,
    /// Its tokens as configured: what came after them is kept elsewhere.
    pub tokens: Tokens,
    /// When it is refreshed.
    pub due: Due,
    /// The file its new tokens are written to; without one they go to the data folder.
    pub file: Option<PathBuf>,
    /// The project of an account that has one.
    pub project: Option<Text>,
}

/// How long to wait for a provider; connecting is part of [`ClientSettings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request to the first byte of the answer's body.
    pub first_byte: Duration,
    /// The same for a request that a model thinks about before it answers.
    pub first_byte_reasoning: Duration,
    /// Between two bytes of an answer.
    pub idle: Duration,
    /// The whole answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(120),
            first_byte_reasoning: Duration::from_secs(600),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(30 * 60),
        }
    }
}

impl Provider {
    /// A provider without credentials, with the quirks of its protocol's official server.
    #[must_use]
    pub fn plain(name: impl Into<Text>, endpoint: Endpoint) -> Self {
        Self {
            name: name.into(),
            table: Text::new(),
            profile: Arc::new(Profile::of_protocol(endpoint.protocol())),
            service: Service::Http(Box::new(HttpService {
                endpoint,
                custom: None,
                server: None,
                credentials: Vec::new(),
                strategy: Strategy::default(),
                rests: RestPolicy::default(),
                quota_reset: None,
                probe_every: None,
                missing_credential: false,
                takes_accounts: false,
                client: ClientSettings::default(),
                timeouts: Timeouts::default(),
            })),
            scope: 0,
            requests: None,
            queue: Waiting::default(),
            models: Vec::new(),
            origin: Origin::File,
        }
    }

    /// The built-in model.
    #[must_use]
    pub fn echo() -> Self {
        Self {
            name: Text::from_static("echo"),
            service: Service::Echo,
            table: Text::new(),
            profile: Arc::new(Profile::of_protocol(Protocol::Chat)),
            scope: 0,
            requests: None,
            queue: Waiting::default(),
            models: vec![Text::from_static("echo")],
            origin: Origin::BuiltIn,
        }
    }

    /// Switches those of its credentials off and on that are not declared in the database, which has them switched itself.
    pub(super) fn switch(&mut self, switches: &BTreeMap<String, bool>) {
        let Service::Http(http) = &mut self.service else { return };
        for credential in http.credentials.iter_mut().filter(|credential| credential.stored.is_none()) {
            if let Some(on) = switches.get(&switch_of_credential(&self.name, &credential.member.id)) {
                credential.member.disabled = !on;
            }
        }
    }

    /// What it speaks. The built-in model speaks the neutral form and programs speak text; Chat stands for both.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match &self.service {
            Service::Http(http) => http.endpoint.protocol(),
            Service::Process(_) | Service::Echo => Protocol::Chat,
        }
    }

    /// How it is spoken to.
    #[must_use]
    pub fn adapter(&self) -> Adapter {
        match &self.service {
            Service::Http(http) => http.endpoint.adapter(),
            Service::Process(_) | Service::Echo => Adapter::Http,
        }
    }

    /// Its interface, if the operator declares it.
    #[must_use]
    pub fn custom(&self) -> Option<&Arc<Custom>> {
        match &self.service {
            Service::Http(http) => http.custom.as_ref(),
            Service::Process(_) | Service::Echo => None,
        }
    }

    /// Whether bodies of this protocol's clients can go to it as they are.
    #[must_use]
    pub fn understands(&self, protocol: ClientProtocol) -> bool {
        // Addresses of Vertex differ, and with Anthropic's models there the bodies do.
        let as_it_is = match self.adapter() {
            Adapter::Http => true,
            Adapter::Vertex => self.protocol() == Protocol::Gemini,
            Adapter::CodeAssist
            | Adapter::Antigravity
            | Adapter::Warp
            | Adapter::CustomHttp
            | Adapter::Bedrock
            | Adapter::BedrockAnthropic => false,
        };
        as_it_is && self.protocol() == Protocol::from(protocol)
    }

    /// One of its models as the codecs know it. `project` is that of the account that is used, `id` that of the request.
    #[must_use]
    pub fn codec_target(
        &self,
        model: &Text,
        capabilities: Arc<Capabilities>,
        project: Option<&Text>,
        id: &Text,
    ) -> Target {
        let code_assist =
            |client| Wire::CodeAssist(Arc::new(CodeAssist { client, project: project.cloned(), id: id.clone() }));
        Target {
            protocol: self.protocol(),
            wire: match self.adapter() {
                // The configuration has no such provider without a declaration.
                Adapter::CustomHttp => self.custom().map_or(Wire::Own, |custom| Wire::Custom(Arc::clone(custom))),
                Adapter::Http | Adapter::Vertex => Wire::Own,
                Adapter::Warp => Wire::Warp,
                Adapter::Bedrock => Wire::Converse,
                Adapter::BedrockAnthropic => Wire::BedrockMessages,
                Adapter::CodeAssist => code_assist(CodeAssistClient::Cli),
                Adapter::Antigravity => code_assist(CodeAssistClient::Antigravity),
            },
            model: model.clone(),
            profile: Arc::clone(&self.profile),
            capabilities,
            scope: scope(self.scope, model),
            offered: None,
        }
    }

    /// Where it is, for people: without path and query, which may hold secrets.
    #[must_use]
    pub fn address(&self) -> &str {
        match &self.service {
            Service::Http(http) => http.endpoint.authority(),
            Service::Process(process) => &process.command.program,
            Service::Echo => "built in",
        }
    }

    /// Whether it says where the tokens of accounts come from.
    #[must_use]
    pub fn takes_accounts(&self) -> bool {
        matches!(&self.service, Service::Http(http) if http.takes_accounts)
    }

    /// Its credentials; empty for a provider that needs none.
    #[must_use]
    pub fn credentials(&self) -> &[Credential] {
        match &self.service {
            Service::Http(http) => &http.credentials,
            Service::Process(_) | Service::Echo => &[],
        }
    }
}

/// Signatures belong to a model and a pool of credentials: FNV-1a over both.
fn scope(provider: u32, model: &str) -> u32 {
    model.bytes().fold(provider ^ 0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_differ_by_provider_and_model() {
        assert_ne!(scope(1, "a"), scope(2, "a"));
        assert_ne!(scope(1, "a"), scope(1, "b"));
        assert_eq!(scope(1, "a"), scope(1, "a"));
    }
}
