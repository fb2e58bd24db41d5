//! What would happen to a request, without asking anybody or changing anything.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{Capabilities, DecodeError, RequestHead, decode_request, encode_request, estimate, resolve};
use polyport_provider::Call;
use polyport_routing::{
    Attempt, Barred, Excluded, Fleet, Guided, Hints, Millis, NoRoute, Resolved, Rule, Sticky, Target, Walk,
};
use polyport_types::{ClientProtocol, Fault, FaultClass, Loss, Losses, Request, Text};
use serde::Serialize;
use serde_json::Value;

use crate::config::{Config, Credential, Provider, Service};
use crate::relay::conversation::Asked;
use crate::relay::fits::chat_fits;
use crate::relay::peek::Peek;

/// Attempts and exclusions told at most.
const MOST: usize = 100;

/// A request to be explained.
#[derive(Clone, Debug)]
pub struct Question {
    /// The model a client asks for.
    pub model: Text,
    /// What the client speaks.
    pub protocol: ClientProtocol,
    /// The client's headers, by lower-case name.
    pub headers: Vec<(String, String)>,
    /// The name of the client's key; empty without one.
    pub caller: String,
    /// The body, if it shall be converted.
    pub body: Option<Bytes>,
    /// Gemini: the answer streams, which clients say in the address.
    pub stream: bool,
}

impl Question {
    /// Whether the answer streams: Gemini's clients say so in the address, others in the body.
    fn streams(&self) -> bool {
        let in_body = || {
            let body = self.body.as_deref()?;
            Some(Peek::parse(body).ok()?.is_true(body, "stream"))
        };
        if self.protocol == ClientProtocol::Gemini { self.stream } else { in_body().unwrap_or(false) }
    }
}

/// What would happen.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The model a client asks for.
    pub model: Text,
    /// What the client speaks.
    pub protocol: &'static str,
    /// Which rule found the targets.
    pub rule: String,
    /// The attempts, in the order in which they are made if each fails.
    pub attempts: Vec<Try>,
    /// Where the prompt cache of its conversation is warm, if it belongs to one.
    pub conversation: Option<Stay>,
    /// What is left out.
    pub excluded: Vec<LeftOut>,
    /// What the first target's model can do.
    pub capabilities: Option<Capabilities>,
    /// The quirk table of the first target's server.
    pub quirks: Option<Text>,
    /// The request as the first target gets it.
    pub request: Option<Converted>,
}

/// One attempt.
#[derive(Clone, Debug, Serialize)]
pub struct Try {
    /// Who is asked.
    pub provider: Text,
    /// The provider's name of the model.
    pub model: Text,
    /// The target's priority.
    pub priority: u32,
    /// The target's share.
    pub weight: u32,
    /// The name of the credential.
    pub key: Text,
    /// What the provider speaks.
    pub protocol: &'static str,
    /// How the body gets there.
    pub way: &'static str,
    /// Where to, without what may be secret.
    pub address: String,
}

/// A conversation, and where it was answered last.
#[derive(Clone, Debug, Serialize)]
pub struct Stay {
    /// `kept` where that is tried first, `moved` where it cannot serve, `crowded` where it has too much to do, `new` where nothing is known.
    pub place: &'static str,
    /// Who has it in its cache.
    pub provider: Option<Text>,
    /// The provider's name of the model.
    pub model: Option<Text>,
    /// The name of the credential.
    pub key: Option<Text>,
    /// Why that one does not go first.
    pub why: Option<&'static str>,
    /// About so many tokens are in the cache.
    pub tokens: Option<u32>,
    /// Until when the cache is taken to be warm (Unix milliseconds).
    pub until: Option<Millis>,
}

/// A target or credential that cannot be used now.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// The provider.
    pub provider: Text,
    /// The provider's name of the model.
    pub model: Text,
    /// The name of the credential, if it was not the whole target.
    pub key: Text,
    /// Why.
    pub why: &'static str,
    /// When it may be used again (Unix milliseconds), if that is known.
    pub until: Option<Millis>,
}

/// A request as the first target gets it.
#[derive(Clone, Debug, Serialize)]
pub struct Converted {
    /// About so many tokens.
    pub input_tokens: u64,
    /// The body goes through as it is, with the name of the model replaced.
    pub unchanged: bool,
    /// What is lost on the way.
    pub losses: Vec<Loss>,
    /// The body.
    pub body: Value,
}

/// Why a request cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum Unexplained {
    /// Its model leads nowhere.
    #[error("{0}")]
    NoRoute(NoRoute),
    /// Its body is none of the protocol.
    #[error("the request: {0}")]
    Body(DecodeError),
}

impl From<Unexplained> for Fault {
    fn from(why: Unexplained) -> Self {
        let class = match &why {
            Unexplained::NoRoute(none) => none.class(),
            Unexplained::Body(_) => FaultClass::BadRequest,
        };
        Self::new(class, why.to_string())
    }
}

/// Says what would happen to a request that came now.
///
/// # Errors
/// [`Unexplained`].
pub fn explain(
    config: &Config,
    fleet: &Fleet,
    sticky: Option<&Sticky>,
    now: Millis,
    asked: &Question,
) -> Result<Explanation, Unexplained> {
    let headers: Vec<(&str, &str)> = asked.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let hints = Hints { protocol: Some(asked.protocol), headers: &headers, callers: &[&asked.caller] };
    let resolved = config.catalog.resolve(&asked.model, hints).map_err(Unexplained::NoRoute)?;
    let mut walk = Walk::dry(resolved.clone(), fleet);
    let conversation =
        sticky.filter(|_| config.sticky).and_then(|sticky| stay(config, fleet, sticky, now, asked, &mut walk));
    let excluded = walk.excluded(fleet, now, MOST);
    let attempts = walk.foresee(fleet, now, MOST);
    let first = attempts.first().and_then(|attempt| step(config, &resolved, *attempt));
    let first = first.and_then(|step| Some((step.target, step.provider?)));
    let request = match (first, &asked.body) {
        (Some((target, provider)), Some(body)) => Some(convert(config, target, provider, asked, body)?),
        _ => None,
    };
    Ok(Explanation {
        model: asked.model.clone(),
        protocol: asked.protocol.as_str(),
        rule: rule(&resolved.rule),
        attempts: attempts.iter().filter_map(|attempt| attempted(config, &resolved, *attempt, asked)).collect(),
        conversation,
        excluded: excluded.iter().filter_map(|excluded| left_out(config, &resolved, excluded)).collect(),
        capabilities: first.map(|(target, provider)| (*config.capabilities(provider, &target.model)).clone()),
        quirks: first.map(|(_, provider)| provider.table.clone()),
        request,
    })
}

/// Lets the walk begin where the conversation's prompt cache is warm, as the relay does.
fn stay(
    config: &Config,
    fleet: &Fleet,
    sticky: &Sticky,
    now: Millis,
    asked: &Question,
    walk: &mut Walk,
) -> Option<Stay> {
    let headers = asked.headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(value.as_str()).ok()?))
    });
    let headers: HeaderMap = headers.collect();
    let told = Asked { caller: &asked.caller, model: &asked.model, wire: asked.protocol, headers: &headers };
    let conversation = told.conversation(asked.body.as_deref().unwrap_or_default(), None)?;
    let bound = sticky.bound(conversation.key, now);
    let (place, why) = match sticky.guide(conversation.key, walk, fleet, now) {
        Guided::Unbound => ("new", None),
        Guided::Kept => ("kept", None),
        Guided::Moved(None) => ("moved", Some("it is no target of this request")),
        Guided::Moved(Some(barred)) => ("moved", Some(barred.as_str())),
        Guided::Crowded => ("crowded", Some("it has far more than its share to do")),
    };
    let key = bound.as_ref().and_then(|bound| {
        let credentials = config.provider(&bound.provider)?.credentials();
        let credential = credentials.iter().find(|known| Some(&known.member.id) == bound.credential.as_ref())?;
        Some(credential.label.clone())
    });
    Some(Stay {
        place,
        why,
        key,
        tokens: bound.as_ref().map(|bound| bound.prefix_tokens),
        until: bound.as_ref().map(|bound| bound.used.saturating_add(bound.lifetime)),
        model: bound.as_ref().map(|bound| bound.model.clone()),
        provider: bound.map(|bound| bound.provider),
    })
}

fn convert(
    config: &Config,
    target: &Target,
    provider: &Provider,
    asked: &Question,
    body: &Bytes,
) -> Result<Converted, Unexplained> {
    let gemini = asked.protocol == ClientProtocol::Gemini;
    let model = gemini.then(|| asked.model.clone());
    let head = RequestHead { model, stream: asked.stream, ..RequestHead::default() };
    let request: Request = decode_request(asked.protocol, &head, body.clone()).map_err(Unexplained::Body)?;
    let input_tokens = estimate::input_tokens(&request);
    let read = |body: &[u8]| serde_json::from_slice(body).unwrap_or_default();
    if as_it_is(provider, asked) {
        return Ok(Converted { input_tokens, unchanged: true, losses: Vec::new(), body: read(body) });
    }
    let project = provider.credentials().iter().find_map(Credential::project);
    let capabilities = config.capabilities(provider, &target.model);
    let to = provider.codec_target(&target.model, capabilities, project, &Text::from_static("explained"));
    let mut losses = Losses::default();
    let context = ResolveContext { carrier: Some(&config.carrier), signatures: &|_| Vec::new() };
    let (request, _) = resolve(&to, request, &context, &mut losses);
    let encoded = encode_request(&to, &request, &mut losses);
    if let Some(fault) = encoded.fault {
        let path = fault.param.unwrap_or_default();
        return Err(Unexplained::Body(DecodeError::at(path, fault.message)));
    }
    let losses = losses.entries().to_vec();
    Ok(Converted { input_tokens, unchanged: false, losses, body: read(&encoded.body) })
}

/// Whether the body goes to the provider as it is, as far as can be told without it.
fn as_it_is(provider: &Provider, asked: &Question) -> bool {
    let fits = |body: &Bytes| Peek::parse(body).is_ok_and(|peek| chat_fits(&provider.profile, &peek, body));
    provider.understands(asked.protocol)
        && (asked.protocol != ClientProtocol::Chat || asked.body.as_ref().is_none_or(fits))
}

pub(crate) fn rule(rule: &Rule) -> String {
    match rule {
        Rule::Model(name) => format!("`models` lists `{name}`"),
        Rule::Pool(name) => format!("`{name}` is a pool"),
        Rule::Word { pool, word } => format!("names with `{word}` reach the pool `{pool}`"),
        Rule::Direct => "the name is `provider/model`".to_owned(),
        Rule::Glob(pattern) => format!("the pattern `{pattern}` of `models` fits"),
        Rule::Route(index) => format!("`routes[{index}]` fits"),
        Rule::Listed => "a provider lists the model".to_owned(),
        Rule::Claimed(pattern) => format!("names like `{pattern}` are this provider's"),
        Rule::Default => "no rule knows the name: the default provider gets it".to_owned(),
    }
}

/// One step of the plan with what is known about it.
struct Step<'a> {
    target: &'a Target,
    provider: Option<&'a Arc<Provider>>,
    key: Text,
}

fn step<'a>(config: &'a Config, resolved: &'a Resolved, attempt: Attempt) -> Option<Step<'a>> {
    let target = resolved.targets.get(attempt.target)?;
    let provider = config.provider(&target.provider);
    let credential = attempt.credential.and_then(|index| provider?.credentials().get(index));
    let key = credential.map_or(Text::from_static("no key"), |key| key.label.clone());
    Some(Step { target, provider, key })
}

fn attempted(config: &Config, resolved: &Resolved, attempt: Attempt, asked: &Question) -> Option<Try> {
    let Step { target, provider, key } = step(config, resolved, attempt)?;
    let provider = provider?;
    Some(Try {
        provider: target.provider.clone(),
        model: target.model.clone(),
        priority: target.priority,
        weight: target.weight,
        key,
        protocol: provider.protocol().as_str(),
        way: match &provider.service {
            Service::Echo => "built in",
            Service::Process(_) => "run",
            Service::Http(_) if as_it_is(provider, asked) => "passed through",
            Service::Http(_) => "translated",
        },
        address: address(target, provider, asked.streams()),
    })
}

fn left_out(config: &Config, resolved: &Resolved, excluded: &Excluded) -> Option<LeftOut> {
    let at = Attempt { target: excluded.target, credential: excluded.credential };
    let Step { target, provider, key } = step(config, resolved, at)?;
    let why = match (excluded.why, provider.map(|provider| &provider.service)) {
        (None, _) | (_, None) => "the provider is not configured or not enabled",
        (_, Some(Service::Http(http))) if http.missing_credential => "its key is missing",
        (Some(Barred::Disabled), _) => "the key is switched off",
        (Some(other), _) => other.as_str(),
    };
    let until = excluded.why.and_then(Barred::until);
    Some(LeftOut { provider: target.provider.clone(), model: target.model.clone(), key, why, until })
}

fn address(target: &Target, provider: &Provider, stream: bool) -> String {
    match &provider.service {
        Service::Http(http) => http
            .endpoint
            .uri(
                Call::Generate { model: &target.model, stream },
                provider.credentials().iter().find_map(Credential::project).map(|project| &**project),
            )
            // The query may hold a secret.
            .map_or_else(|_| provider.address().to_owned(), |uri| format!("{}{}", provider.address(), uri.path())),
        Service::Process(_) | Service::Echo => provider.address().to_owned(),
    }
}
