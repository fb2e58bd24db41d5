//! Where a provider is and how it wants to be spoken to: addresses, authentication, fixed headers.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Uri};
use polyport_types::{Protocol, Secret, Text};
use serde::Deserialize;
use url::Url;

/// The address of a provider, checked, with what every request to it needs.
#[derive(Clone, Debug)]
pub struct Endpoint {
    protocol: Protocol,
    scheme: Scheme,
    authority: Authority,
    /// Path without trailing slash; may hold `{model}` and `{project}`.
    path: String,
    /// Query of the base address (`api-version=…`), kept on every call.
    query: Option<String>,
    /// Headers to add to every request.
    headers: HeaderMap,
    adapter: Adapter,
    /// An empty path stands for `/v1` (Chat and Responses servers of the generic kind).
    default_v1: bool,
    /// The address of [`Call::Generate`], where it does not hold the model.
    generate: Option<Uri>,
    /// Embeddings are asked for at this path below the root of the server, not at that of the protocol.
    embeddings: Option<&'static str>,
}

/// How a service is spoken to, where it is not as its protocol's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adapter {
    /// As the protocol's own servers.
    #[default]
    Http,
    /// Google Code Assist, as Gemini CLI speaks to it.
    CodeAssist,
    /// Google Code Assist, as Antigravity speaks to it.
    Antigravity,
    /// Warp's multi-agent interface.
    Warp,
    /// Google's Vertex AI: Gemini's models, or Anthropic's, below addresses with project and location.
    Vertex,
    /// AWS Bedrock's Converse interface, which all of its models have.
    Bedrock,
    /// Anthropic's models at AWS Bedrock, in their own words.
    BedrockAnthropic,
    /// An interface that its operator declares.
    CustomHttp,
}

impl Adapter {
    /// The protocol whose requests and answers it carries; `None` where it is the operator's choice.
    #[must_use]
    pub fn protocol(self) -> Option<Protocol> {
        match self {
            Self::Http | Self::Vertex => None,
            Self::CodeAssist | Self::Antigravity => Some(Protocol::Gemini),
            Self::Warp | Self::CustomHttp => Some(Protocol::Chat),
            Self::Bedrock | Self::BedrockAnthropic => Some(Protocol::Messages),
        }
    }

    /// Its word in the configuration file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::CodeAssist => "code_assist",
            Self::Antigravity => "antigravity",
            Self::Warp => "warp",
            Self::Vertex => "vertex",
            Self::Bedrock => "bedrock",
            Self::BedrockAnthropic => "bedrock_anthropic",
            Self::CustomHttp => "custom_http",
        }
    }

    /// Whether it is a service of AWS, whose requests may be signed.
    #[must_use]
    pub fn is_aws(self) -> bool {
        matches!(self, Self::Bedrock | Self::BedrockAnthropic)
    }
}

/// Stands in addresses for the project of the account.
const PROJECT: &str = "{project}";

/// Headers that follow from the address, the body and the connection.
const OF_THE_CONNECTION: [&str; 9] =
    ["host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect"];

/// What is wrong with the settings of a provider.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not an address.
    #[error("`{0}` is not an address: {1}")]
    Url(String, url::ParseError),
    /// Neither http nor https.
    #[error("the scheme must be http or https, not `{0}`")]
    Scheme(String),
    /// User name or password in the address.
    #[error("the address must not hold a user name or password; use `keys` or `headers`")]
    UserInfo,
    /// A `#` and what follows, which no server ever sees.
    #[error("the address must not hold `#`")]
    Fragment,
    /// No host.
    #[error("the address has no host")]
    Host,
    /// A header cannot be sent.
    #[error("the header `{0}` cannot be sent: {1}")]
    Header(String, &'static str),
    /// The address needs a project and the account has none.
    #[error("the account has no project; set `project`")]
    Project,
    /// The interface has nothing of the kind.
    #[error("its interface has no such endpoint")]
    NoSuchCall,
    /// The model name cannot stand in a path.
    #[error("the address for model `{0}` cannot be built")]
    Path(String),
}

/// What is asked of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// An answer of a model.
    Generate {
        /// The provider's name of the model.
        model: &'a str,
        /// As a stream.
        stream: bool,
    },
    /// The number of tokens of a request.
    CountTokens {
        /// The provider's name of the model.
        model: &'a str,
    },
    /// Embeddings of a list of texts.
    Embed {
        /// The provider's name of the model.
        model: &'a str,
    },
    /// The embedding of one text, where the protocol has a method of its own for it (Gemini).
    EmbedOne {
        /// The provider's name of the model.
        model: &'a str,
    },
    /// The list of models.
    Models,
    /// Any other path below the base address, without leading slash (`moderations`, `images/generations`).
    Other {
        /// The path.
        path: &'a str,
        /// The provider's name of the model, for addresses that hold it.
        model: &'a str,
        /// Query to add, without question mark.
        query: Option<&'a str>,
    },
    /// The same where Gemini takes uploads: with `upload` before the version.
    Upload {
        /// The path.
        path: &'a str,
        /// Query to add, without question mark.
        query: Option<&'a str>,
    },
}

impl Endpoint {
    /// Checks a base address. `default_v1` adds `/v1` to an address without a path (Chat and Responses only).
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with it.
    pub fn new(protocol: Protocol, base_url: &str, default_v1: bool) -> Result<Self, EndpointError> {
        let url = Url::parse(base_url.trim()).map_err(|error| EndpointError::Url(base_url.to_owned(), error))?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EndpointError::Host)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        // `Url` writes the braces of `{model}` percent-encoded.
        let path = url.path().trim_end_matches('/').replace("%7Bmodel%7D", "{model}").replace("%7bmodel%7d", "{model}");
        let path = path.replace("%7Bproject%7D", PROJECT).replace("%7bproject%7d", PROJECT);
        let mut endpoint = Self {
            protocol,
            scheme,
            authority: authority.parse().map_err(|_| EndpointError::Host)?,
            path,
            query: url.query().filter(|query| !query.is_empty()).map(str::to_owned),
            headers: HeaderMap::new(),
            adapter: Adapter::Http,
            default_v1,
            generate: None,
            embeddings: None,
        };
        if protocol != Protocol::Gemini && !endpoint.path.contains("{model}") && !endpoint.needs_project() {
            endpoint.generate = endpoint.built(Call::Generate { model: "", stream: false }).ok();
        }
        Ok(endpoint)
    }

    /// The same address, spoken to in another way.
    #[must_use]
    pub fn spoken_to_as(self, adapter: Adapter) -> Self {
        let generate = self.generate.filter(|_| adapter == self.adapter);
        Self { adapter, generate, ..self }
    }

    /// Embeddings are asked for at this path, without leading slash, below the root of the server: beside the versions of its
    /// interfaces, as Ollama's `api/embed`.
    #[must_use]
    pub fn with_embeddings_at(self, path: &'static str) -> Self {
        Self { embeddings: Some(path), ..self }
    }

    /// How it is spoken to.
    #[must_use]
    pub fn adapter(&self) -> Adapter {
        self.adapter
    }

    /// Adds a header to every request.
    ///
    /// # Errors
    /// [`EndpointError::Header`] if it cannot be sent.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, EndpointError> {
        let header =
            HeaderName::try_from(name).map_err(|_| EndpointError::Header(name.to_owned(), "not a header name"))?;
        if OF_THE_CONNECTION.contains(&header.as_str()) {
            return Err(EndpointError::Header(name.to_owned(), "it is set for every request by itself"));
        }
        let value = HeaderValue::try_from(value)
            .map_err(|_| EndpointError::Header(name.to_owned(), "the value holds characters that headers cannot"))?;
        self.headers.insert(header, value);
        Ok(self)
    }

    /// The protocol spoken here.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The path of its address as it is configured, without a slash at its end.
    #[must_use]
    pub fn base_path(&self) -> &str {
        if self.path.is_empty() && self.default_v1 { "/v1" } else { &self.path }
    }

    /// Host and port, for logs.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Headers to add to every request.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether its addresses hold the project of the account that asks.
    #[must_use]
    pub fn needs_project(&self) -> bool {
        self.path.contains(PROJECT)
    }

    /// The address of a call, for an account of this project.
    ///
    /// # Errors
    /// [`EndpointError::Path`] if the model's name cannot stand in an address, [`EndpointError::Project`] if it needs a project.
    pub fn uri(&self, call: Call<'_>, project: Option<&str>) -> Result<Uri, EndpointError> {
        match (call, &self.generate) {
            (Call::Generate { .. }, Some(uri)) => Ok(uri.clone()),
            _ if self.needs_project() => {
                let project = encode_segment(project.ok_or(EndpointError::Project)?);
                Self { path: self.path.replace(PROJECT, &project), ..self.clone() }.built(call)
            }
            _ => self.built(call),
        }
    }

    fn built(&self, call: Call<'_>) -> Result<Uri, EndpointError> {
        let (mut path, extra_query) = match (call, self.embeddings) {
            (Call::Embed { .. } | Call::EmbedOne { .. }, Some(path)) => (format!("{}/{path}", self.root()), None),
            _ => self.own_path(call)?,
        };
        let model = match call {
            Call::Generate { model, .. }
            | Call::CountTokens { model }
            | Call::Embed { model }
            | Call::EmbedOne { model }
            | Call::Other { model, .. } => model,
            Call::Models | Call::Upload { .. } => "",
        };
        if path.contains("{model}") {
            path = path.replace("{model}", &encode_segment(model));
        }
        let extra_query = match call {
            Call::Other { query, .. } | Call::Upload { query, .. } => query,
            _ => extra_query,
        };
        let mut separator = if path.contains('?') { '&' } else { '?' };
        for query in [self.query.as_deref(), extra_query].into_iter().flatten() {
            path.push(separator);
            path.push_str(query);
            separator = '&';
        }
        let failed = || EndpointError::Path(model.to_owned());
        let path: PathAndQuery = path.parse().map_err(|_| failed())?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| failed())
    }

    /// The path of a call as interface and protocol have it, with the query that belongs to it.
    fn own_path(&self, call: Call<'_>) -> Result<(String, Option<&'static str>), EndpointError> {
        Ok(match self.protocol {
            _ if matches!(self.adapter, Adapter::CodeAssist | Adapter::Antigravity) => self.code_assist_path(call),
            _ if self.adapter.is_aws() => self.bedrock_path(call),
            _ if self.adapter == Adapter::CustomHttp => (self.declared_path(call)?, None),
            _ if self.adapter == Adapter::Warp => match call {
                Call::Other { path, .. } => (format!("{}/{path}", self.path), None),
                _ => (format!("{}/ai/multi-agent", self.path), None),
            },
            Protocol::Messages if self.adapter == Adapter::Vertex => self.vertex_messages_path(call),
            Protocol::Chat | Protocol::Responses => self.openai_path(call),
            Protocol::Messages => self.messages_path(call),
            Protocol::Gemini => self.gemini_path(call),
        })
    }

    /// The path without what belongs to an interface or its version.
    fn root(&self) -> &str {
        let path = self.path.strip_suffix("/chat/completions").or(self.path.strip_suffix("/responses"));
        let path = path.unwrap_or(&self.path);
        match path.rsplit_once('/') {
            Some((root, last)) if ends_with_version(path) || last == "api" => root,
            _ => path,
        }
    }

    /// Nothing but answers is declared.
    fn declared_path(&self, call: Call<'_>) -> Result<String, EndpointError> {
        let path = match call {
            Call::Generate { .. } => self.path.clone(),
            // With its separator: what the request itself says of its address.
            Call::Other { path, .. } if path.starts_with(['/', '?', ':']) => format!("{}{path}", self.path),
            _ => return Err(EndpointError::NoSuchCall),
        };
        Ok(if path.starts_with('/') { path } else { format!("/{path}") })
    }

    fn openai_path(&self, call: Call<'_>) -> (String, Option<&'static str>) {
        let own = match self.protocol {
            Protocol::Responses => "responses",
            Protocol::Chat | Protocol::Messages | Protocol::Gemini => "chat/completions",
        };
        let named = format!("/{own}");
        let base = if self.path.is_empty() && self.default_v1 { "/v1" } else { self.path.as_str() };
        if let Some(root) = base.strip_suffix(&named) {
            return match call {
                Call::Generate { .. } => (base.to_owned(), None),
                other => (format!("{root}/{}", openai_tail(own, other)), None),
            };
        }
        (format!("{base}/{}", openai_tail(own, call)), None)
    }

    fn messages_path(&self, call: Call<'_>) -> (String, Option<&'static str>) {
        let root = self.path.strip_suffix("/messages").unwrap_or(&self.path);
        let whole = root.len() != self.path.len();
        let versioned = if whole || ends_with_version(root) { root.to_owned() } else { format!("{root}/v1") };
        let tail = match call {
            Call::Generate { .. } => "messages",
            Call::CountTokens { .. } => "messages/count_tokens",
            Call::Embed { .. } | Call::EmbedOne { .. } => "embeddings",
            Call::Models => "models",
            Call::Other { path, .. } | Call::Upload { path, .. } => path,
        };
        (format!("{versioned}/{tail}"), None)
    }

    fn gemini_path(&self, call: Call<'_>) -> (String, Option<&'static str>) {
        let root = self.path.strip_suffix("/models").unwrap_or(&self.path);
        let versioned = if ends_with_version(root) || root.contains("/publishers/") {
            root.to_owned()
        } else {
            format!("{root}/v1beta")
        };
        let (model, verb, query) = match call {
            Call::Generate { model, stream: true } => (model, "streamGenerateContent", Some("alt=sse")),
            Call::Generate { model, stream: false } => (model, "generateContent", None),
            Call::CountTokens { model } => (model, "countTokens", None),
            Call::Embed { model } => (model, "batchEmbedContents", None),
            Call::EmbedOne { model } => (model, "embedContent", None),
            Call::Models => return (format!("{versioned}/models"), Some("pageSize=1000")),
            Call::Other { path, .. } => return (format!("{versioned}/{path}"), None),
            Call::Upload { path, .. } => {
                let (before, version) = versioned.rsplit_once('/').unwrap_or(("", &versioned));
                return (format!("{before}/upload/{version}/{path}"), None);
            }
        };
        let name = match model.split_once('/') {
            Some((collection @ ("models" | "tunedModels"), name)) => format!("{collection}/{}", encode_segment(name)),
            _ => format!("models/{}", encode_segment(model)),
        };
        (format!("{versioned}/{name}:{verb}"), query)
    }

    /// Anthropic's models as a publisher of Vertex: methods behind the model's name.
    fn vertex_messages_path(&self, call: Call<'_>) -> (String, Option<&'static str>) {
        let root = &self.path;
        let (model, verb) = match call {
            Call::Generate { model, stream: true } => (model, "streamRawPredict"),
            Call::Generate { model, stream: false } | Call::Embed { model } | Call::EmbedOne { model } => {
                (model, "rawPredict")
            }
            Call::CountTokens { .. } => ("count-tokens", "rawPredict"),
            Call::Models => return (format!("{root}/models"), None),
            Call::Other { path, .. } | Call::Upload { path, .. } => return (format!("{root}/{path}"), None),
        };
        (format!("{root}/models/{}:{verb}", encode_segment(model)), None)
    }

    /// Operations behind the model's name, which may be the address of a resource with colons and slashes.
    fn bedrock_path(&self, call: Call<'_>) -> (String, Option<&'static str>) {
        let root = &self.path;
        let (model, operation) = match call {
            Call::Generate { model, stream } => (
                model,
                match (self.adapter, stream) {
                    (Adapter::Bedrock, true) => "converse-stream",
                    (Adapter::Bedrock, false) => "converse",
                    (_, true) => "invoke-with-response-stream",
                    (_, false) => "invoke",
                },
            ),
            Call::CountTokens { model } => (model, "count-tokens"),
            Call::Embed { model } | Call::EmbedOne { model } => (model, "invoke"),
            // Models are listed by another service.
            Call::Models => return (format!("{root}/foundation-models"), None),
            Call::Other { path, .. } | Call::Upload { path, .. } => return (format!("{root}/{path}"), None),
        };
        (format!("{root}/model/{}/{operation}", encode_segment(model)), None)
    }

    /// The model stands in the body.
    fn code_assist_path(&self, call: Call<'_>) -> (String, Option<&'static str>) {
        let root = if ends_with_version(&self.path) { self.path.clone() } else { format!("{}/v1internal", self.path) };
        let (method, query) = match call {
            Call::Generate { stream: true, .. } => ("streamGenerateContent", Some("alt=sse")),
            Call::Generate { stream: false, .. } => ("generateContent", None),
            Call::CountTokens { .. } => ("countTokens", None),
            Call::Models => ("fetchAvailableModels", None),
            // It has neither.
            Call::Embed { .. } | Call::EmbedOne { .. } => ("embedContent", None),
            Call::Other { path, .. } | Call::Upload { path, .. } => {
                // Operations are no methods.
                let separator = if path.starts_with("operations/") { '/' } else { ':' };
                return (format!("{root}{separator}{path}"), None);
            }
        };
        (format!("{root}:{method}"), query)
    }
}

fn openai_tail<'a>(own: &'a str, call: Call<'a>) -> &'a str {
    match call {
        Call::Generate { .. } => own,
        Call::CountTokens { .. } => "responses/input_tokens",
        Call::Embed { .. } | Call::EmbedOne { .. } => "embeddings",
        Call::Models => "models",
        Call::Other { path, .. } | Call::Upload { path, .. } => path,
    }
}

/// Whether the last segment of a path is an API version (`v1`, `v1beta`, `v1beta1`).
fn ends_with_version(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let Some(rest) = last.strip_prefix('v') else { return false };
    rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Writes a name as one path segment.
fn encode_segment(text: &str) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            write!(out, "%{byte:02X}").ok();
        }
    }
    out
}

/// How a credential is written into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthStyle {
    /// The header.
    pub header: HeaderName,
    /// Its value; `{key}` is replaced by the credential.
    pub format: String,
}

impl AuthStyle {
    /// `Authorization: Bearer`.
    #[must_use]
    pub fn bearer() -> Self {
        Self { header: AUTHORIZATION, format: "Bearer {key}".to_owned() }
    }

    /// The usual style of a protocol's official provider.
    #[must_use]
    pub fn of_protocol(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Chat | Protocol::Responses => Self::bearer(),
            Protocol::Messages => Self { header: HeaderName::from_static("x-api-key"), format: "{key}".to_owned() },
            Protocol::Gemini => Self { header: HeaderName::from_static("x-goog-api-key"), format: "{key}".to_owned() },
        }
    }

    /// A style of the operator's own.
    ///
    /// # Errors
    /// [`EndpointError::Header`] if the header's name is none.
    pub fn new(header: &str, format: &str) -> Result<Self, EndpointError> {
        Ok(Self {
            header: HeaderName::try_from(header)
                .map_err(|_| EndpointError::Header(header.to_owned(), "not a header name"))?,
            format: format.to_owned(),
        })
    }

    /// Writes the header of one credential.
    ///
    /// # Errors
    /// [`EndpointError::Header`] if the credential holds characters that no header can carry.
    pub fn header(&self, key: &Secret) -> Result<AuthHeader, EndpointError> {
        let text = self.format.replace("{key}", key.expose().trim());
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            EndpointError::Header(self.header.to_string(), "the key holds characters that headers cannot")
        })?;
        value.set_sensitive(true);
        Ok(AuthHeader { name: self.header.clone(), value })
    }
}

/// A credential as a header. `Debug` does not show the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl AuthHeader {
    /// Sixteen hexadecimal digits that tell it from others and show nothing of it.
    #[must_use]
    pub fn digest(&self) -> Text {
        let hash = blake3::Hasher::new()
            .update(self.name.as_str().as_bytes())
            .update(b"\n")
            .update(self.value.as_bytes())
            .finalize();
        hash.to_hex().chars().take(16).collect::<String>().into()
    }

    /// What may be shown of it.
    #[must_use]
    pub fn masked(&self) -> String {
        let text = String::from_utf8_lossy(self.value.as_bytes());
        // Behind the scheme, where there is one.
        polyport_types::secret::mask(text.rsplit(' ').next().unwrap_or_default())
    }

    /// The key or token itself, for whoever has to keep it out of something.
    #[must_use]
    pub fn secret(&self) -> Option<Secret> {
        let key = self.value.to_str().ok()?.rsplit(' ').next()?;
        Some(Secret::new(key.to_owned()))
    }

    /// A text without it; `None` where it does not stand there.
    #[must_use]
    pub fn hidden_in(&self, text: &str) -> Option<String> {
        // What is shorter would be found in ordinary words.
        const SHORTEST: usize = 8;
        let value = self.value.to_str().ok()?;
        let key = value.rsplit(' ').next().filter(|key| key.len() >= SHORTEST)?;
        text.contains(key).then(|| text.replace(key, "[redacted]"))
    }

    /// Puts it into a request.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(protocol: Protocol, base: &str, default_v1: bool, call: Call<'_>) -> String {
        Endpoint::new(protocol, base, default_v1).unwrap().uri(call, None).unwrap().to_string()
    }

    #[test]
    fn a8_a_key_is_taken_out_of_what_a_provider_says() {
        let key = Secret::new("0a1b2c3d4e5f60718293a4b5c6d7e8f9".to_owned());
        for style in [AuthStyle::bearer(), AuthStyle::new("api-key", "{key}").unwrap()] {
            let header = style.header(&key).unwrap();
            let said =
                header.hidden_in("0a1b2c3d4e5f60718293a4b5c6d7e8f9 is not a key: 0a1b2c3d4e5f60718293a4b5c6d7e8f9");
            assert_eq!(said.unwrap(), "[redacted] is not a key: [redacted]");
            assert_eq!(header.hidden_in("the model is overloaded"), None);
        }
    }

    const PLAIN: Call<'_> = Call::Generate { model: "m/1", stream: false };
    const STREAM: Call<'_> = Call::Generate { model: "gemini-3", stream: true };

    #[test]
    fn vertex_addresses_hold_project_location_and_publisher() {
        let base = "https://h/v1/projects/{project}/locations/global/publishers";
        let (model, project) = ("claude-sonnet-4-6@20260101", Some("p 1"));
        let anthropic = Endpoint::new(Protocol::Messages, &format!("{base}/anthropic"), false).unwrap();
        let anthropic = anthropic.spoken_to_as(Adapter::Vertex);
        assert_eq!(
            anthropic.uri(Call::Generate { model, stream: true }, project).unwrap().to_string(),
            format!(
                "https://h/v1/projects/p%201/locations/global/publishers/anthropic/models/{model}:streamRawPredict"
            )
        );
        assert!(matches!(anthropic.uri(Call::Models, None), Err(EndpointError::Project)));
        let google = Endpoint::new(Protocol::Gemini, &format!("{base}/google"), false).unwrap();
        let google = google.spoken_to_as(Adapter::Vertex);
        assert_eq!(
            google.uri(Call::Generate { model: "gemini-2.5-pro", stream: false }, Some("p")).unwrap().path(),
            "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro:generateContent"
        );
    }

    #[test]
    fn bedrock_has_operations_behind_the_model() {
        let endpoint =
            Endpoint::new(Protocol::Messages, "https://bedrock-runtime.eu-west-1.amazonaws.com", false).unwrap();
        let uri = |adapter, call| endpoint.clone().spoken_to_as(adapter).uri(call, None).unwrap().to_string();
        let host = "https://bedrock-runtime.eu-west-1.amazonaws.com/model";
        let (model, written) = ("eu.amazon.nova-pro-v1:0", "eu.amazon.nova-pro-v1%3A0");
        let generate = |stream| Call::Generate { model, stream };
        assert_eq!(uri(Adapter::Bedrock, generate(false)), format!("{host}/{written}/converse"));
        assert_eq!(uri(Adapter::Bedrock, generate(true)), format!("{host}/{written}/converse-stream"));
        assert_eq!(uri(Adapter::BedrockAnthropic, generate(false)), format!("{host}/{written}/invoke"));
        let stream = uri(Adapter::BedrockAnthropic, generate(true));
        assert_eq!(stream, format!("{host}/{written}/invoke-with-response-stream"));
        let profile = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.x";
        let counted = uri(Adapter::Bedrock, Call::CountTokens { model: profile });
        let written = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.x";
        assert_eq!(counted, format!("{host}/{written}/count-tokens"));
    }

    #[test]
    fn code_assist_has_methods_and_no_models_in_its_addresses() {
        let endpoint = |base| Endpoint::new(Protocol::Gemini, base, false).unwrap().spoken_to_as(Adapter::CodeAssist);
        let model = "gemini-2.5-pro";
        for base in ["https://h", "https://h/", "https://h/v1internal"] {
            let uri = |call| endpoint(base).uri(call, None).unwrap().to_string();
            let stream = uri(Call::Generate { model, stream: true });
            assert_eq!(stream, "https://h/v1internal:streamGenerateContent?alt=sse");
            assert_eq!(uri(Call::Generate { model, stream: false }), "https://h/v1internal:generateContent");
            assert_eq!(uri(Call::Models), "https://h/v1internal:fetchAvailableModels");
            let other = |path| uri(Call::Other { path, model: "", query: None });
            assert_eq!(other("loadCodeAssist"), "https://h/v1internal:loadCodeAssist");
            assert_eq!(other("operations/1"), "https://h/v1internal/operations/1");
        }
    }

    #[test]
    fn what_no_server_may_see_is_refused() {
        assert!(matches!(Endpoint::new(Protocol::Chat, "http://h/v1#x", false), Err(EndpointError::Fragment)));
        let endpoint = Endpoint::new(Protocol::Chat, "http://h/v1", false).unwrap();
        for name in ["Host", "content-length", "Transfer-Encoding", "connection"] {
            assert!(endpoint.clone().with_header(name, "x").is_err(), "{name}");
        }
        assert!(endpoint.with_header("x-team", "blue").is_ok());
    }

    #[test]
    fn a_base_address_gets_the_path_of_its_protocol() {
        use Protocol::{Chat, Gemini, Messages, Responses};
        for (protocol, base, v1, call, expected) in [
            (Chat, "https://api.openai.com/v1", false, PLAIN, "https://api.openai.com/v1/chat/completions"),
            (Chat, "https://api.deepseek.com", false, PLAIN, "https://api.deepseek.com/chat/completions"),
            (Chat, "http://127.0.0.1:8080/", true, PLAIN, "http://127.0.0.1:8080/v1/chat/completions"),
            (Chat, "http://h/x/chat/completions", true, PLAIN, "http://h/x/chat/completions"),
            (Chat, "http://h/x/chat/completions", true, Call::Models, "http://h/x/models"),
            (Chat, "https://h/v1/", true, Call::Embed { model: "e" }, "https://h/v1/embeddings"),
            (Responses, "https://api.openai.com/v1", false, PLAIN, "https://api.openai.com/v1/responses"),
            (Responses, "https://h/v1", false, Call::CountTokens { model: "m" }, "https://h/v1/responses/input_tokens"),
            (Messages, "https://api.anthropic.com", false, PLAIN, "https://api.anthropic.com/v1/messages"),
            (Messages, "https://api.anthropic.com/v1/", false, PLAIN, "https://api.anthropic.com/v1/messages"),
            (Messages, "https://h/anthropic", false, PLAIN, "https://h/anthropic/v1/messages"),
            (
                Messages,
                "https://h/v1/messages",
                false,
                Call::CountTokens { model: "m" },
                "https://h/v1/messages/count_tokens",
            ),
            (
                Gemini,
                "https://g.com",
                false,
                STREAM,
                "https://g.com/v1beta/models/gemini-3:streamGenerateContent?alt=sse",
            ),
            (
                Gemini,
                "https://g.com/v1",
                false,
                Call::CountTokens { model: "x" },
                "https://g.com/v1/models/x:countTokens",
            ),
            (Gemini, "https://g.com/v1beta/models", false, PLAIN, "https://g.com/v1beta/models/m%2F1:generateContent"),
            (
                Gemini,
                "https://g.com",
                false,
                Call::CountTokens { model: "tunedModels/a" },
                "https://g.com/v1beta/tunedModels/a:countTokens",
            ),
        ] {
            assert_eq!(uri(protocol, base, v1, call), expected, "{base}");
        }
    }

    #[test]
    fn embeddings_may_stand_at_the_root_of_the_server() {
        let call = Call::Embed { model: "e" };
        for (base, expected) in [
            ("http://h:11434/v1", "http://h:11434/api/embed"),
            ("http://h:11434", "http://h:11434/api/embed"),
            ("http://h/ollama/v1/chat/completions?k=v", "http://h/ollama/api/embed?k=v"),
            ("http://h/ollama/api", "http://h/ollama/api/embed"),
        ] {
            let endpoint = Endpoint::new(Protocol::Chat, base, true).unwrap().with_embeddings_at("api/embed");
            assert_eq!(endpoint.uri(call, None).unwrap().to_string(), expected);
            let declared = endpoint.clone().spoken_to_as(Adapter::CustomHttp);
            assert_eq!(declared.uri(call, None).unwrap().to_string(), expected);
            assert!(declared.uri(Call::Models, None).is_err());
        }
    }

    #[test]
    fn a_query_of_the_base_address_is_kept() {
        assert_eq!(
            uri(Protocol::Gemini, "https://g.com/?a=b", false, STREAM),
            "https://g.com/v1beta/models/gemini-3:streamGenerateContent?a=b&alt=sse"
        );
        let kept = Call::Other { path: "responses/resp_1", model: "", query: Some("include=a") };
        assert_eq!(
            uri(Protocol::Responses, "https://h/v1/responses?v=1", false, kept),
            "https://h/v1/responses/resp_1?v=1&include=a"
        );
        let upload = Call::Upload { path: "files", query: Some("upload_id=1") };
        assert_eq!(
            uri(Protocol::Gemini, "https://g.com", false, upload),
            "https://g.com/upload/v1beta/files?upload_id=1"
        );
        let azure = "https://x.openai.azure.com/openai/deployments/{model}?api-version=2025-01-01";
        assert_eq!(
            uri(Protocol::Chat, azure, false, Call::Generate { model: "gpt 5", stream: true }),
            "https://x.openai.azure.com/openai/deployments/gpt%205/chat/completions?api-version=2025-01-01"
        );
    }

    #[test]
    fn a_model_name_cannot_leave_its_place() {
        let name = "../admin?x=#\r\n";
        let endpoint = Endpoint::new(Protocol::Gemini, "https://g.com", false).unwrap();
        let uri = endpoint.uri(Call::Generate { model: name, stream: false }, None).unwrap();
        assert_eq!(uri.query(), None);
        assert_eq!(uri.path(), "/v1beta/models/..%2Fadmin%3Fx%3D%23%0D%0A:generateContent");
    }

    #[test]
    fn wrong_addresses_are_named() {
        for (base, words) in
            [("ftp://h", "http or https"), ("https://u:p@h/", "user name"), ("nonsense", "not an address")]
        {
            let error = Endpoint::new(Protocol::Chat, base, false).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_key_does_not_show() {
        let style = AuthStyle::of_protocol(Protocol::Chat);
        let header = style.header(&Secret::new("sk-canary".to_owned())).unwrap();
        assert!(!format!("{header:?}").contains("canary"));
        let mut headers = HeaderMap::new();
        header.apply(&mut headers);
        assert_eq!(headers.get(AUTHORIZATION).unwrap(), "Bearer sk-canary");
        assert!(style.header(&Secret::new("a\nb".to_owned())).is_err());
    }
}
