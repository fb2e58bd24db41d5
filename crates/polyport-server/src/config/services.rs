//! The section `providers`, and providers that were found.

use std::sync::Arc;
use std::time::Duration;

use polyport_protocol::Profile;
use polyport_protocol::profile::Embeddings;
use polyport_provider::{Adapter, AuthStyle, ClientSettings, Endpoint, ProxySettings, Reach};
use polyport_routing::{RestPolicy, Strategy};
use polyport_types::{Protocol, Text};
use serde_json::{Map, Value};
use url::Url;

use super::bedrock;
use super::check::{Context, one_field, steps};
use super::credentials::KeyStyle;
use super::discover::Found;
use super::file::{self, File};
use super::preset::Preset;
use super::problem::Place;
use super::secret::Missing;
use super::tree::Step;
use super::units::Span;
use super::{
    Credential, Daily, HttpService, Listen, Origin, Provider, Service, Timeouts, Waiting, credentials, custom, local,
    resilience,
};

/// A provider and what the catalogue needs to know about it.
pub(super) struct Checked {
    pub(super) provider: Provider,
    pub(super) claims: Vec<String>,
}

/// What all providers share.
pub(super) struct Defaults {
    pub(super) rests: RestPolicy,
    pub(super) quota_reset: Option<Daily>,
    pub(super) probe_every: Option<Duration>,
    pub(super) timeouts: Timeouts,
    pub(super) connect: Duration,
    pub(super) listen: Listen,
    /// Of providers that the database declares.
    pub(super) reach: Reach,
}

/// All enabled providers of the file, in its order, without those that cannot be made.
pub(super) fn providers(file: &File, defaults: &Defaults, context: &mut Context<'_>) -> Vec<Checked> {
    let enabled = file.providers.0.iter().filter(|(_, given)| given.enabled != Some(false));
    enabled.filter_map(|(name, given)| provider(name, given, defaults, context)).collect()
}

fn provider(name: &str, given: &file::Provider, defaults: &Defaults, context: &mut Context<'_>) -> Option<Checked> {
    let at = steps!["providers", name];
    if name.is_empty() || name.contains(|c: char| c == '/' || c.is_whitespace()) {
        context.error(&at, "a provider's name must not be empty or hold `/` or spaces", "rename it");
        return None;
    }
    let preset = preset(given, &at, context)?;
    if local::is_process(given, preset) {
        return local::process(name, given, preset, &at, defaults, context);
    }
    if given.process.is_some() {
        let message = "this provider is no program that is run for each request";
        context.error(&child(&at, "process"), message, "add `adapter: process`");
    }
    let asked = given.adapter.and_then(file::Adapter::by_http);
    let adapter = asked.or(preset.map(|preset| preset.adapter)).unwrap_or_default();
    let protocol = protocol(given, preset, adapter, &at, context)?;
    let base_url = match adapter {
        Adapter::Vertex => vertex_address(name, given, preset, protocol, &at, defaults, context)?,
        _ if adapter.is_aws() => bedrock::address(name, given, preset, &at, defaults, context)?,
        _ => base_url(name, given, preset, &at, defaults, context)?,
    };
    let reach = match context.place(&at) {
        Place::Database(_) => defaults.reach.clone(),
        _ => Reach::Anywhere,
    };
    within_reach(&base_url, &child(&at, "base_url"), &reach, context);
    for (address, path) in [
        (given.oauth.as_ref().and_then(|oauth| oauth.token_url.as_deref()), ["oauth", "token_url"].as_slice()),
        (given.proxy.as_deref(), &["proxy"]),
    ] {
        let path = path.iter().fold(at.clone(), |path, key| child(&path, key));
        within_reach(address.unwrap_or_default(), &path, &reach, context);
    }
    // An address says nothing where the interface is declared.
    let preset = preset.or_else(|| official(protocol, &base_url).filter(|_| adapter != Adapter::CustomHttp));
    let custom = custom::custom(name, given, adapter, &at, context);
    let (profile_name, mut profile) = profile(given, preset, protocol, adapter, &at, context);
    if let Some(custom) = &custom {
        profile = custom.quirks(profile);
    } else if adapter == Adapter::CustomHttp {
        return None;
    }
    let default_v1 = profile_name == "generic" && custom.is_none();
    let endpoint = match Endpoint::new(protocol, &base_url, default_v1) {
        Ok(endpoint) => endpoint,
        Err(error) => {
            context.error(&child(&at, "base_url"), error.to_string(), address_remedy(&base_url));
            return None;
        }
    };
    let server = local::server::server(given, &base_url, &at, context).ok()?;
    let endpoint = match profile.embeddings {
        Embeddings::Protocol => endpoint,
        Embeddings::Ollama => endpoint.with_embeddings_at("api/embed"),
    };
    let endpoint = headers(endpoint.spoken_to_as(adapter), given, &profile, &at, context);
    // API keys of AWS are bearer tokens, whatever is spoken.
    let usual = if adapter.is_aws() { AuthStyle::bearer() } else { AuthStyle::of_protocol(protocol) };
    let auth = auth(given, preset, &usual, &at, context)?;
    let auth = KeyStyle { region: adapter.is_aws().then(|| bedrock::region(given, &base_url, context)), header: auth };
    let keys = given.keys.as_ref();
    let mut credentials = match (keys, preset) {
        (Some(keys), _) => credentials::listed(&keys.0, &auth, &at, context),
        (None, Some(preset)) if given.oauth.is_none() => {
            credentials::usual(preset, &auth, context).into_iter().collect()
        }
        (None, _) => Vec::new(),
    };
    // Access tokens are bearer tokens, whatever the header for keys of the protocol.
    let own_style = given.auth_header.is_some() || given.auth_format.is_some();
    let style = if own_style { auth.header.clone() } else { AuthStyle::bearer() };
    let renewal = match &given.oauth {
        None => credentials::Renewal::without_server(style),
        Some(oauth) => {
            let (accounts, renewal) = credentials::accounts(oauth, style, &child(&at, "oauth"), context);
            credentials.extend(accounts);
            renewal
        }
    };
    if endpoint.needs_project() && credentials.iter().any(|credential| credential.project().is_none()) {
        context.error(&at, "an account has no project, and its addresses hold one", "set `project`");
    }
    credentials::name_apart(&credentials, &at, context);
    credentials::add(&mut credentials, name, &renewal, endpoint.needs_project(), &defaults.reach, &auth, context);
    let needed =
        keys.is_some_and(|keys| !keys.0.is_empty()) || given.oauth.is_some() || preset.is_some_and(Preset::needs_key);
    let missing_credential = needed && credentials.is_empty();
    if missing_credential && given.oauth.as_ref().is_some_and(|oauth| oauth.file.is_none() && oauth.accounts.is_empty())
    {
        let message = "there is no account, so requests to this provider will fail";
        context.warning(&child(&at, "oauth"), message, "give `accounts` or `file`, or add one through the admin API");
    }
    if missing_credential && keys.is_none() && given.oauth.is_none() {
        match preset.and_then(|preset| preset.key_env.first()) {
            Some(variable) => {
                let message = format!("no key: {variable} is not set, so requests to this provider will fail");
                context.warning(&at, message, "set the variable, or give `keys`");
            }
            None => {
                let message = "no account, so requests to this provider will fail";
                context.warning(&at, message, "give its accounts with `oauth`");
            }
        }
    }
    let timeouts = timeouts(given, defaults, &at, context);
    if given.requests == Some(0) {
        context.error(&child(&at, "requests"), "zero would refuse everything", "leave it out for no bound");
    }
    let client = ClientSettings {
        connect_timeout: given.timeouts.connect.map_or(defaults.connect, |span| span.0),
        // A server of ours is on this machine.
        proxy: if server.is_some() && given.proxy.is_none() {
            ProxySettings::Direct
        } else {
            proxy(given, &at, context)
        },
        reach,
        ..ClientSettings::default()
    };
    let strategy = given.strategy.map(Into::into).unwrap_or_default();
    let takes_accounts = given.oauth.is_some();
    let probe_every =
        resilience::probe_every(given.probe_every, defaults.probe_every, &child(&at, "probe_every"), context);
    let service = HttpService {
        endpoint,
        custom,
        // A check would start the server.
        probe_every: probe_every.filter(|_| server.is_none()),
        server,
        credentials,
        strategy,
        rests: resilience::rests(&defaults.rests, &given.cooldown, &child(&at, "cooldown"), context),
        quota_reset: given.cooldown.quota_reset.clone().or_else(|| defaults.quota_reset.clone()),
        missing_credential,
        takes_accounts,
        client,
        timeouts,
    };
    let provider = Provider {
        name: name.into(),
        scope: scope(name, &base_url),
        service: Service::Http(Box::new(service)),
        table: profile_name.into(),
        profile: Arc::new(profile),
        requests: given.requests,
        queue: queue(given),
        models: given.models.iter().map(|model| Text::from(model.as_str())).collect(),
        origin: match context.place(&at) {
            Place::Database(_) => Origin::Database,
            _ => Origin::File,
        },
    };
    Some(Checked { provider, claims: preset.map(|preset| preset.claims.clone()).unwrap_or_default() })
}

/// What it speaks: the adapter's, where that leaves no choice.
fn protocol(
    given: &file::Provider,
    preset: Option<&Preset>,
    adapter: Adapter,
    at: &[Step],
    context: &mut Context<'_>,
) -> Option<Protocol> {
    let asked = given.protocol.map(Protocol::from);
    match (adapter.protocol(), asked) {
        (Some(own), Some(asked)) if own != asked => {
            let message = format!("this adapter speaks {own} only");
            context.error(&child(at, "protocol"), message, "leave `protocol` out");
            None
        }
        (Some(own), _) => Some(own),
        (None, asked) => Some(asked.or(preset.map(|preset| preset.protocol)).unwrap_or(Protocol::Chat)),
    }
}

pub(super) fn child(path: &[Step], key: &str) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(Step::Key(key.to_owned()));
    path
}

/// `None` if the preset does not exist, `Some(None)` if there is none.
fn preset(given: &file::Provider, at: &[Step], context: &mut Context<'_>) -> Option<Option<&'static Preset>> {
    let Some(name) = &given.preset else { return Some(None) };
    let found = Preset::named(name);
    if found.is_none() {
        let names: Vec<&str> = Preset::all().iter().map(|preset| preset.name.as_str()).collect();
        let remedy = super::read::suggestion(name, &names, "known are");
        context.error(&child(at, "preset"), format!("unknown preset `{name}`"), remedy);
        return None;
    }
    Some(found)
}

/// The preset whose address this is: its quirks hold for its server even if the operator wrote the address out.
fn official(protocol: Protocol, base_url: &str) -> Option<&'static Preset> {
    let host = |text: &str| Url::parse(text).ok()?.host_str().map(str::to_owned);
    let wanted = host(base_url)?;
    // Local servers share an address, so that it says nothing.
    Preset::all()
        .iter()
        .filter(|preset| preset.protocol == protocol && preset.local_port.is_none())
        .find(|preset| preset.base_url.as_deref().and_then(host).is_some_and(|known| known == wanted))
}

pub(super) fn base_url(
    name: &str,
    given: &file::Provider,
    preset: Option<&Preset>,
    at: &[Step],
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Option<String> {
    let at_url = child(at, "base_url");
    let text = match (&given.base_url, preset) {
        (None, _) if given.server.is_some() => local::server::usual_address(preset),
        (Some(text), _) => match context.secret(text) {
            Ok(found) if given.server.is_some() => found.secret.expose().replace("{port}", local::server::ANY_PORT),
            Ok(found) => found.secret.expose().to_owned(),
            Err(Missing::Empty) => {
                context.error(&at_url, "the address is empty", "write it like https://host/v1");
                return None;
            }
            Err(missing) => {
                context.error(&at_url, missing.to_string(), "set it, or write the address here");
                return None;
            }
        },
        (None, Some(preset)) => match usual_address(preset, defaults, context) {
            Some(text) => text,
            None => {
                let message = format!("the address is missing: every customer of {} has another", preset.title);
                context.error(at, message, "set `base_url`");
                return None;
            }
        },
        (None, None) => {
            let remedy = match Preset::named(name) {
                Some(preset) => format!("write `preset: {}`", preset.name),
                None => "set one of them".to_owned(),
            };
            context.error(at, "neither `preset` nor `base_url` is given", remedy);
            return None;
        }
    };
    if is_own_address(&text, &defaults.listen) {
        let message = "this is the address Polyport itself listens on: requests would go round in circles";
        context.error(&at_url, message, "write the address of the service behind it");
        return None;
    }
    let text = with_usual_path(text, preset);
    with_query(&text, given, at, context).or(Some(text))
}

/// The address of a publisher's models at Vertex AI.
fn vertex_address(
    name: &str,
    given: &file::Provider,
    preset: Option<&Preset>,
    protocol: Protocol,
    at: &[Step],
    defaults: &Defaults,
    context: &mut Context<'_>,
) -> Option<String> {
    let publisher = match protocol {
        Protocol::Gemini => "google",
        Protocol::Messages => "anthropic",
        Protocol::Chat | Protocol::Responses => {
            let remedy =
                "write `protocol: gemini` or `protocol: messages`; Vertex's OpenAI-compatible address needs no adapter";
            context.error(&child(at, "protocol"), format!("Vertex AI has no {protocol} interface here"), remedy);
            return None;
        }
    };
    let location = given.location.as_deref().unwrap_or("us-central1");
    if location.is_empty() || !location.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        context.error(&child(at, "location"), "this is no region", "write it like `europe-west4`, or `global`");
        return None;
    }
    let host = match (&given.base_url, location) {
        (Some(_), _) => base_url(name, given, preset, at, defaults, context)?,
        (None, "global") => "https://aiplatform.googleapis.com".to_owned(),
        (None, "us" | "eu") => format!("https://aiplatform.{location}.rep.googleapis.com"),
        (None, region) => format!("https://{region}-aiplatform.googleapis.com"),
    };
    if host.contains("/publishers/") {
        return Some(host);
    }
    let host = host.trim_end_matches('/');
    // Keys instead of accounts: the express mode, which has no projects.
    if given.keys.is_some() && given.oauth.is_none() {
        return Some(format!("{host}/v1/publishers/{publisher}"));
    }
    let project = given.project.as_deref().unwrap_or("{project}");
    Some(format!("{host}/v1/projects/{project}/locations/{location}/publishers/{publisher}"))
}

/// What can be said of an address before its name is looked up; the rest is said when it is connected to.
fn within_reach(text: &str, path: &[Step], reach: &Reach, context: &mut Context<'_>) {
    // `Url` knows that 0x7f.1 is 127.0.0.1.
    if let Some(host) = Url::parse(text).ok().as_ref().and_then(Url::host_str)
        && let Err(error) = reach.check(host)
    {
        context.error(path, error.to_string(), "");
    }
}

/// An address without a path, as people copy it from the service's console, with the path the service wants.
fn with_usual_path(text: String, preset: Option<&Preset>) -> String {
    let Some(path) = preset.and_then(|preset| preset.path.as_deref()) else { return text };
    match Url::parse(&text) {
        Ok(mut url) if url.path() == "/" => {
            url.set_path(path);
            url.into()
        }
        _ => text,
    }
}

/// How an address that was not understood should be written.
fn address_remedy(text: &str) -> String {
    let text = text.trim();
    let without_scheme = Url::parse(&format!("http://{text}")).ok().filter(|_| !text.contains("://"));
    let Some(host) = without_scheme.as_ref().and_then(Url::host) else {
        return "write it like https://host/v1".to_owned();
    };
    let local = match host {
        url::Host::Domain(name) => name == "localhost" || !name.contains('.'),
        url::Host::Ipv4(address) => address.is_loopback() || address.is_private(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    format!("write {}://{text}", if local { "http" } else { "https" })
}

/// Where the preset's own tools would go: the address in their environment variable, unless that is Polyport itself.
fn usual_address(preset: &Preset, defaults: &Defaults, context: &Context<'_>) -> Option<String> {
    let other = preset.base_url_env.as_deref().and_then(|name| context.environment.get(name));
    let other = other.filter(|text| !is_own_address(text, &defaults.listen));
    other.map(str::to_owned).or_else(|| preset.base_url.clone())
}

/// Whether an address leads back to this process: people point their clients here with the same variables.
fn is_own_address(text: &str, listen: &Listen) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    listen.all().any(|own| {
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified() || own.ip() == address,
            Some(url::Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified() || own.ip() == address,
            None => false,
        };
        // Port 0 is none: one is chosen when something begins to listen.
        local && own.port() != 0 && url.port_or_known_default() == Some(own.port())
    })
}

fn with_query(text: &str, given: &file::Provider, at: &[Step], context: &mut Context<'_>) -> Option<String> {
    if given.query.0.is_empty() {
        return None;
    }
    let mut url = Url::parse(text).ok()?;
    for (name, value) in &given.query.0 {
        match context.secret(value) {
            Ok(found) => drop(url.query_pairs_mut().append_pair(name, found.secret.expose())),
            Err(missing) => {
                let mut path = child(at, "query");
                path.push(Step::Key(name.clone()));
                context.error(&path, missing.to_string(), "");
            }
        }
    }
    Some(url.to_string())
}

fn profile(
    given: &file::Provider,
    preset: Option<&Preset>,
    protocol: Protocol,
    adapter: Adapter,
    at: &[Step],
    context: &mut Context<'_>,
) -> (String, Profile) {
    let usual = match protocol {
        _ if adapter == Adapter::CodeAssist => "code-assist",
        _ if adapter == Adapter::Antigravity => "antigravity",
        _ if adapter == Adapter::Warp => "warp",
        _ if adapter == Adapter::Bedrock => "bedrock",
        _ if adapter == Adapter::BedrockAnthropic => "bedrock-anthropic",
        Protocol::Gemini if adapter == Adapter::Vertex => "vertex",
        Protocol::Messages if adapter == Adapter::Vertex => "vertex-anthropic",
        Protocol::Chat => "generic",
        Protocol::Responses => "openai-responses",
        Protocol::Messages => "anthropic",
        Protocol::Gemini => "gemini",
    };
    let fitting = preset.filter(|preset| preset.protocol == protocol).map(|preset| preset.name.as_str());
    quirks(given, fitting, protocol, usual, at, context)
}

/// The table of quirks of a provider, and its name: the one asked for, that of its preset, or the usual one.
pub(super) fn quirks(
    given: &file::Provider,
    fitting: Option<&str>,
    protocol: Protocol,
    usual: &str,
    at: &[Step],
    context: &mut Context<'_>,
) -> (String, Profile) {
    let name = given.profile.as_deref().or(fitting).unwrap_or(usual);
    let table = Profile::named(name).unwrap_or_else(|| {
        let names: Vec<&str> = Profile::names().collect();
        let remedy = super::read::suggestion(name, &names, "known are");
        context.error(&child(at, "profile"), format!("unknown profile `{name}`"), remedy);
        Profile::of_protocol(protocol)
    });
    let known = serde_json::to_value(Profile::default()).unwrap_or(Value::Null);
    let mut quirks = Map::new();
    for (field, value) in &given.quirks {
        match one_field::<Profile>(&known, field, value) {
            Ok(()) => drop(quirks.insert(field.clone(), value.clone())),
            Err(problem) => {
                let mut path = child(at, "quirks");
                path.push(Step::Key(field.clone()));
                context.error(&path, problem.message, problem.remedy);
            }
        }
    }
    (name.to_owned(), table.with(&quirks).unwrap_or(table))
}

fn headers(
    mut endpoint: Endpoint,
    given: &file::Provider,
    profile: &Profile,
    at: &[Step],
    context: &mut Context<'_>,
) -> Endpoint {
    let of_profile = profile.extra_headers.iter().map(|(name, value)| (name, value, "quirks"));
    let of_file = given.headers.0.iter().map(|(name, value)| (name, value, "headers"));
    for (name, value, section) in of_profile.chain(of_file) {
        let mut path = child(at, section);
        path.push(Step::Key(name.clone()));
        match context.secret(value) {
            Ok(found) => match endpoint.clone().with_header(name, found.secret.expose()) {
                Ok(changed) => endpoint = changed,
                Err(error) => context.error(&path, error.to_string(), ""),
            },
            Err(missing) => context.error(&path, missing.to_string(), ""),
        }
    }
    endpoint
}

fn auth(
    given: &file::Provider,
    preset: Option<&Preset>,
    usual: &AuthStyle,
    at: &[Step],
    context: &mut Context<'_>,
) -> Option<AuthStyle> {
    let header = given.auth_header.as_deref().or(preset.and_then(|preset| preset.auth_header.as_deref()));
    let format = match (&given.auth_format, header) {
        (Some(format), _) => format.as_str(),
        (None, Some(header)) if header.eq_ignore_ascii_case("authorization") => "Bearer {key}",
        (None, Some(_)) => "{key}",
        (None, None) => &usual.format,
    };
    if !format.contains("{key}") {
        context.error(&child(at, "auth_format"), "the key is missing in it", "write `{key}` where the key shall stand");
        return None;
    }
    match AuthStyle::new(header.unwrap_or(usual.header.as_str()), format) {
        Ok(style) => Some(style),
        Err(error) => {
            context.error(&child(at, "auth_header"), error.to_string(), "");
            None
        }
    }
}

pub(super) fn timeouts(
    given: &file::Provider,
    defaults: &Defaults,
    at: &[Step],
    context: &mut Context<'_>,
) -> Timeouts {
    let mut time = |name: &str, given: Option<Span>, default: Duration| {
        if given == Some(Span(Duration::ZERO)) {
            let mut path = child(at, "timeouts");
            path.push(Step::Key(name.to_owned()));
            context.error(&path, "zero would refuse everything", "leave it out for the default");
        }
        given.map_or(default, |span| span.0)
    };
    let given = &given.timeouts;
    time("connect", given.connect, defaults.connect);
    Timeouts {
        first_byte: time("first_byte", given.first_byte, defaults.timeouts.first_byte),
        first_byte_reasoning: time(
            "first_byte_reasoning",
            given.first_byte_reasoning.or(given.first_byte),
            defaults.timeouts.first_byte_reasoning,
        ),
        idle: time("idle", given.idle, defaults.timeouts.idle),
        total: time("total", given.total, defaults.timeouts.total),
    }
}

/// How requests may wait for a place at it.
pub(super) fn queue(given: &file::Provider) -> Waiting {
    Waiting { length: given.queue, time: given.queue_time.map(|span| span.0) }
}

fn proxy(given: &file::Provider, at: &[Step], context: &mut Context<'_>) -> ProxySettings {
    let Some(text) = &given.proxy else { return ProxySettings::Environment };
    if text.eq_ignore_ascii_case("none") {
        return ProxySettings::Direct;
    }
    let path = child(at, "proxy");
    let text = match context.secret(text) {
        Ok(found) => found.secret.expose().to_owned(),
        Err(missing) => {
            context.error(&path, missing.to_string(), "");
            return ProxySettings::Environment;
        }
    };
    let known = Url::parse(&text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "socks5" | "socks5h") && url.host_str().is_some_and(|host| !host.is_empty())
    });
    if !known {
        context.error(&path, "this is no address of a proxy", "write http://host:port, socks5://host:port or none");
    }
    ProxySettings::Url(text)
}

/// Stays the same when keys change: a signature belongs to the account behind the address, not to one of its keys.
pub(super) fn scope(name: &str, base_url: &str) -> u32 {
    let hash = blake3::hash(format!("{name}\n{base_url}").as_bytes());
    let mut first = [0; 4];
    first.copy_from_slice(hash.as_bytes().get(..4).unwrap_or(&[0; 4]));
    u32::from_le_bytes(first)
}

/// Providers whose keys stand in the usual environment variables.
pub(super) fn from_environment(taken: &[Checked], defaults: &Defaults, context: &mut Context<'_>) -> Vec<Checked> {
    Preset::all()
        .iter()
        .filter(|preset| preset.discover && preset.needs_key())
        .filter(|preset| !taken.iter().any(|checked| checked.provider.name == preset.name))
        .filter_map(|preset| {
            let auth = KeyStyle { header: auth_of(preset)?, region: None };
            let mut credentials = vec![credentials::usual(preset, &auth, context)?];
            let address = usual_address(preset, defaults, context)?;
            let renewal = credentials::Renewal::without_server(AuthStyle::bearer());
            credentials::add(&mut credentials, &preset.name, &renewal, false, &defaults.reach, &auth, context);
            of_preset(preset, &address, credentials, Vec::new(), Origin::Environment, defaults)
        })
        .collect()
}

/// Credentials of the database belong to a provider, if only to one that is switched off or has mistakes of its own.
pub(super) fn all_belong(file: &File, made: &[Checked], context: &mut Context<'_>) {
    let all = Arc::clone(&context.added);
    for added in all.iter() {
        let name = &*added.provider;
        if !made.iter().any(|checked| *checked.provider.name == *name)
            && !file.providers.0.iter().any(|(known, _)| known == name)
        {
            let names: Vec<&str> = made.iter().map(|checked| &*checked.provider.name).collect();
            let remedy = super::read::suggestion(name, &names, "providers are");
            context.error(&child(&added.path(), "provider"), format!("there is no provider `{name}`"), remedy);
        }
    }
}

/// Local servers that answered.
pub(super) fn from_probes(found: &[Found], taken: &[Checked], defaults: &Defaults) -> Vec<Checked> {
    found
        .iter()
        .filter(|found| !taken.iter().any(|checked| checked.provider.name == found.preset.name))
        .filter_map(|found| {
            let (preset, models) = (found.preset, found.models.clone());
            let mut checked = of_preset(preset, &found.base_url, Vec::new(), models, Origin::Discovered, defaults)?;
            // A name without its tag means this one; the server knows that, and the list does not show it.
            let untagged = found.models.iter().filter_map(|model| model.strip_suffix(":latest"));
            checked.claims.extend(untagged.map(str::to_owned));
            Some(checked)
        })
        .collect()
}

fn auth_of(preset: &Preset) -> Option<AuthStyle> {
    match &preset.auth_header {
        Some(header) => AuthStyle::new(header, "{key}").ok(),
        None => Some(AuthStyle::of_protocol(preset.protocol)),
    }
}

fn of_preset(
    preset: &Preset,
    address: &str,
    credentials: Vec<Credential>,
    models: Vec<Text>,
    origin: Origin,
    defaults: &Defaults,
) -> Option<Checked> {
    let endpoint = Endpoint::new(preset.protocol, address, false).ok()?.spoken_to_as(preset.adapter);
    let service = HttpService {
        endpoint,
        custom: None,
        server: None,
        credentials,
        strategy: Strategy::default(),
        rests: defaults.rests.clone(),
        quota_reset: defaults.quota_reset.clone(),
        probe_every: defaults.probe_every,
        missing_credential: false,
        takes_accounts: false,
        client: ClientSettings { connect_timeout: defaults.connect, ..ClientSettings::default() },
        timeouts: defaults.timeouts.clone(),
    };
    let provider = Provider {
        name: preset.name.as_str().into(),
        service: Service::Http(Box::new(service)),
        table: preset.name.as_str().into(),
        profile: Arc::new(Profile::named(&preset.name)?),
        scope: scope(&preset.name, address),
        requests: None,
        queue: Waiting::default(),
        models,
        origin,
    };
    Some(Checked { provider, claims: preset.claims.clone() })
}
