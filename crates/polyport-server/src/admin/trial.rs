//! `POST /admin/api/providers/try`: whether a provider answers, before it is declared. Nothing of it is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polyport_types::{Fault, FaultClass, Text, Usage};
use serde_json::{Map, Value, json};

use super::refusal::Flaw;
use super::{Refusal, View, What, definitions, providers, shown};
use crate::app::{App, Runtime};
use crate::config::definitions::{CREDENTIAL_SECRETS, Definition};
use crate::config::{Config, Credential, Means, Provider, Service};
use crate::credentials::probe;
use crate::registry::{Rejected, SECRET_MEMBERS};
use crate::relay::trial::{self, Place, Said};

/// The members of a body.
pub(super) const MEMBERS: [&str; 4] = ["provider", "credential", "model", "timeout_ms"];

/// The parts of it that are declared for the trial.
const PROVIDER: &str = "provider";
const CREDENTIAL: &str = "credential";

/// How long it may take, in milliseconds: at least, at most, and where nobody says it.
const TIMES: std::ops::RangeInclusive<u64> = 1_000..=60_000;
pub(super) const USUAL_TIME: u64 = 20_000;

/// Longest name of a model, in bytes.
const LONGEST_MODEL: usize = 512;

/// More of what a model says is not shown, in characters.
const LONGEST_ANSWER: usize = 2_000;

/// Shorter values of headers are no secrets, and may stand anywhere.
const SHORTEST_SECRET: usize = 6;

pub(super) async fn answer(view: &View, mut body: Map<String, Value>) -> Result<Value, Refusal> {
    let timeout = timeout(body.get("timeout_ms"))?;
    let model = model(body.get("model"))?;
    let credential = match body.remove(CREDENTIAL) {
        None | Some(Value::Null) => None,
        Some(Value::Object(credential)) => Some(credential),
        Some(_) => return Err(Refusal::member(CREDENTIAL, "an object is expected, such as {\"key\": \"…\"}")),
    };
    let tried = match body.remove(PROVIDER) {
        Some(Value::String(name)) => Tried::named(view, &name, credential).await?,
        Some(Value::Object(provider)) => Tried::given(view, provider, credential).await?,
        _ => return Err(Refusal::member(PROVIDER, "give its name, or a definition such as {\"preset\": \"openai\"}")),
    };
    let began = Instant::now();
    let asked = tokio::time::timeout(timeout, Box::pin(tried.ask(model.as_ref()))).await;
    let took = began.elapsed();
    let told = match asked {
        Ok(Ok(told)) => told,
        Ok(Err(fault)) => tried.failed(&fault, model.is_some()),
        Err(_) => tried.silent(timeout),
    };
    let (name, outcome) = (&tried.provider.name, told["outcome"].as_str());
    tracing::info!(provider = %name, model = model.as_deref(), outcome, "an operator tried a provider");
    let mut shown = json!({
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "status": null, "models": null, "model": model, "answer": null, "usage": null, "code": null, "message": null, "remedy": null,
    });
    super::extend(&mut shown, told);
    Ok(shown)
}

fn timeout(given: Option<&Value>) -> Result<Duration, Refusal> {
    let millis = match given {
        None | Some(Value::Null) => Some(USUAL_TIME),
        Some(given) => given.as_u64().filter(|millis| TIMES.contains(millis)),
    };
    let words = || format!("a number from {} to {} is expected", TIMES.start(), TIMES.end());
    millis.map(Duration::from_millis).ok_or_else(|| Refusal::member("timeout_ms", words()))
}

fn model(given: Option<&Value>) -> Result<Option<Text>, Refusal> {
    let is_fit =
        |name: &&str| !name.trim().is_empty() && name.len() <= LONGEST_MODEL && !name.chars().any(char::is_control);
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(given) => match given.as_str().filter(is_fit) {
            Some(name) => Ok(Some(name.into())),
            None => Err(Refusal::member("model", "the provider's name of a model is expected")),
        },
    }
}

/// What is tried.
struct Tried {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    provider: Arc<Provider>,
    /// What it is tried with, by its id.
    credential: Option<Text>,
    is_account: bool,
    /// What shall not be shown, should the provider repeat it.
    secrets: Vec<String>,
}

impl Tried {
    /// A provider that is there, with its own credentials or with another one.
    async fn named(view: &View, name: &str, credential: Option<Map<String, Value>>) -> Result<Self, Refusal> {
        let known = view.runtime.config.provider(name);
        if let (Some(provider), None) = (known, &credential) {
            let best = providers::best_credential(view, provider);
            return Ok(Self {
                app: Arc::clone(&view.app),
                runtime: Arc::clone(&view.runtime),
                credential: best.map(|credential| credential.member.id.clone()),
                is_account: best.is_some_and(is_account),
                provider: Arc::clone(provider),
                secrets: Vec::new(),
            });
        }
        let declared = &view.runtime.config.declared.definitions.list;
        let of_provider = |one: &&Arc<Definition>| one.kind == What::Provider;
        let mut by_name = declared.iter().filter(of_provider).filter(|one| *one.name == *name || *one.id == *name);
        let stored = by_name.next();
        let known = known.map(|provider| provider.name.clone()).or_else(|| stored.map(|one| one.name.clone()));
        let Some(known) = known else {
            let refusal = Refusal::not_found(format!("there is no provider `{}`", shown(name)));
            let pointer = Some(format!("#/{PROVIDER}"));
            let flaw = Flaw { pointer, detail: refusal.message.clone(), ..Flaw::default() };
            return Err(Refusal { errors: vec![flaw], ..refusal });
        };
        let mut list: Vec<Definition> =
            stored.map(|one| Definition { enabled: true, ..(**one).clone() }).into_iter().collect();
        match credential {
            Some(credential) => list.push(new_credential(&known, credential)?),
            // It is not in force, so that nobody else refreshes its accounts.
            None => {
                let own = declared.iter().filter(|one| one.kind == What::Credential && one.provider == known);
                list.extend(own.map(|one| (**one).clone()));
            }
        }
        let tried = Self::declared(view, &known, list).await;
        // Its definition is no part of this request.
        tried.map_err(|mut refusal| {
            for flaw in &mut refusal.errors {
                let own = flaw.pointer.as_ref().is_some_and(|pointer| pointer.starts_with(&format!("#/{CREDENTIAL}")));
                if !own {
                    flaw.pointer = Some(format!("#/{PROVIDER}"));
                }
            }
            refusal
        })
    }

    /// A provider that need not be there.
    async fn given(
        view: &View,
        mut provider: Map<String, Value>,
        credential: Option<Map<String, Value>>,
    ) -> Result<Self, Refusal> {
        let name = match provider.remove("name") {
            None | Some(Value::Null) => provider.get("preset").and_then(Value::as_str).unwrap_or("new").to_owned(),
            Some(Value::String(name)) => name,
            Some(_) => return Err(Refusal::member("provider.name", "a text is expected")),
        };
        let name = unused(&view.runtime.config, name);
        provider.insert("name".to_owned(), name.as_str().into());
        let new = definitions::new(What::Provider, provider.into()).map_err(|refusal| within(PROVIDER, refusal))?;
        let new = Definition { id: PROVIDER.into(), enabled: true, ..new };
        let mut list = vec![new];
        if let Some(credential) = credential {
            list.push(new_credential(&name, credential)?);
        }
        Self::declared(view, &name, list).await
    }

    /// A gateway of its own for what is tried.
    async fn declared(view: &View, name: &str, list: Vec<Definition>) -> Result<Self, Refusal> {
        let secrets = list.iter().flat_map(secrets_of).collect();
        let judged = definitions::registry(view)?.alone(list).await;
        let mut config = judged.map_err(|rejected| refused(view, rejected))?;
        let found = config.provider(name).map(Arc::clone);
        let provider =
            found.ok_or_else(|| Refusal::member(PROVIDER, "it is switched off in the configuration file"))?;
        let credentials = provider.credentials();
        let given = credentials.iter().find(|credential| credential.stored.as_deref() == Some(CREDENTIAL));
        let tried_with = given.or_else(|| credentials.first());
        let (credential, is_account) =
            tried_with.map_or((None, false), |credential| (Some(credential.member.id.clone()), is_account(credential)));
        // All others would only cost time.
        config.providers = std::iter::once((provider.name.clone(), Arc::clone(&provider))).collect();
        config.provider_order = vec![provider.name.clone()];
        let unfit = |error: crate::SetupError| Refusal::member(PROVIDER, error.to_string());
        let app = view.app.aside(config).map_err(unfit)?;
        Ok(Self { runtime: app.runtime_owned(), app, provider, credential, is_account, secrets })
    }

    async fn ask(&self, model: Option<&Text>) -> Result<Value, Fault> {
        let Some(model) = model else {
            let models = match &self.provider.service {
                Service::Http(_) => probe::models(&self.runtime, &self.provider.name, self.credential.as_ref()).await?,
                Service::Process(_) | Service::Echo => self.provider.models.iter().map(ToString::to_string).collect(),
            };
            return Ok(json!({ "outcome": "answered", "status": 200, "models": models }));
        };
        let place = Place {
            app: &self.app,
            runtime: &self.runtime,
            provider: &self.provider.name,
            credential: self.credential.as_ref(),
        };
        let Said { text, usage } = trial::ask(place, model).await?;
        let text: String = self.hidden(&text).chars().take(LONGEST_ANSWER).collect();
        Ok(json!({ "outcome": "answered", "status": 200, "answer": text, "usage": used(&usage) }))
    }

    fn failed(&self, fault: &Fault, of_model: bool) -> Value {
        json!({
            "outcome": outcome(fault), "status": fault.upstream_status, "code": fault.class.as_str(),
            "message": self.hidden(&fault.message), "remedy": self.remedy(fault, of_model),
        })
    }

    /// The time is over.
    fn silent(&self, timeout: Duration) -> Value {
        let name = &self.provider.name;
        let message = format!("provider `{name}` gave no answer within {:.0} seconds", timeout.as_secs_f64());
        json!({ "outcome": "timeout", "code": FaultClass::Timeout.as_str(), "message": message, "remedy": SILENT })
    }

    fn hidden(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }

    fn remedy(&self, fault: &Fault, of_model: bool) -> Option<&'static str> {
        Some(match fault.class {
            FaultClass::AuthInvalid if self.credential.is_none() => {
                "give a key or an account: the service wants to see one"
            }
            FaultClass::AuthInvalid if self.is_account => {
                "log in to the service again and give the new refresh token, and check `oauth.client_id` and `oauth.client_secret`"
            }
            FaultClass::AuthInvalid => "check that the key is whole, belongs to this service, and was not revoked",
            FaultClass::PermissionDenied => "choose another model, or give the key more rights at the service",
            FaultClass::AccountBroken => "look at billing and limits of the account at the service",
            FaultClass::RateLimited | FaultClass::RateLimitedWindow | FaultClass::LocalRate => {
                "the credential is taken, but used up for now: try again later"
            }
            FaultClass::ModelNotFound if of_model => {
                "check the name of the model; without `model`, the service tells which it has"
            }
            FaultClass::ModelNotFound | FaultClass::NotFound => {
                "check `base_url` and its path, which often ends with /v1; a service without a list of models is tried with `model`"
            }
            FaultClass::BadRequest => "check `protocol` and `base_url`, or choose another model",
            FaultClass::UpstreamProtocol => "check `protocol` and `base_url`: what answers there is something else",
            FaultClass::Transport => "check `base_url`, that the service runs there, and whether it needs a `proxy`",
            FaultClass::Untrusted => "check `base_url`; a certificate of your own has to be known to this machine",
            FaultClass::Timeout => SILENT,
            FaultClass::CapacityModel | FaultClass::Overloaded | FaultClass::ServerError => {
                "the service has trouble of its own: try again later, or choose another model"
            }
            _ => return None,
        })
    }
}

/// What to do when nothing comes.
const SILENT: &str = "check `base_url`, and whether a firewall or a proxy is in between; what only takes long is tried with a larger `timeout_ms`";

/// Whether the provider said no, or nothing that is of use.
fn outcome(fault: &Fault) -> &'static str {
    match fault.class {
        FaultClass::Timeout => "timeout",
        FaultClass::AuthInvalid
        | FaultClass::PermissionDenied
        | FaultClass::AccountBroken
        | FaultClass::RateLimited
        | FaultClass::RateLimitedWindow => "refused",
        _ if fault.upstream_status.is_some_and(|status| (400..500).contains(&status)) => "refused",
        _ => "failed",
    }
}

fn used(usage: &Usage) -> Option<Value> {
    (!usage.is_absent()).then(|| {
        json!({
            "input": usage.input_total(), "output": usage.output_total(), "cache_read": usage.cache_read,
            "cache_write": Some(usage.cache_write()).filter(|&count| count > 0), "reasoning": usage.reasoning,
        })
    })
}

fn is_account(credential: &Credential) -> bool {
    matches!(credential.means, Means::Account(_))
}

/// A name like this that no provider has.
fn unused(config: &Config, name: String) -> String {
    let is_used = |name: &str| config.provider(name).is_some() || config.disabled.iter().any(|known| **known == *name);
    let mut free = name;
    while is_used(&free) {
        free.push_str("-tried");
    }
    free
}

fn new_credential(provider: &str, mut members: Map<String, Value>) -> Result<Definition, Refusal> {
    if members.insert("provider".to_owned(), provider.into()).is_some() {
        return Err(Refusal::member("credential.provider", "leave it out: it is the provider that is tried"));
    }
    let new = definitions::new(What::Credential, members.into()).map_err(|refusal| within(CREDENTIAL, refusal))?;
    Ok(Definition { id: CREDENTIAL.into(), enabled: true, ..new })
}

/// What is wrong with a part of the body.
fn within(part: &str, refusal: Refusal) -> Refusal {
    let mut refusal = Refusal { message: format!("{part}.{}", refusal.message), ..refusal };
    for flaw in &mut refusal.errors {
        let inner = flaw.pointer.as_deref().unwrap_or_default().trim_start_matches('#').to_owned();
        flaw.pointer = Some(format!("#/{part}{inner}"));
    }
    refusal
}

/// What is wrong with what is to be tried.
fn refused(view: &View, rejected: Rejected) -> Refusal {
    let mut refusal = definitions::refusal(view, rejected);
    if let Some(first) = refusal.errors.first() {
        let remedy = if first.remedy.is_empty() { String::new() } else { format!("; {}", first.remedy) };
        let place = first.pointer.as_deref().unwrap_or_default().trim_start_matches("#/").replace('/', ".");
        refusal.message = format!("{place}: {}{remedy}", first.detail);
    }
    refusal
}

/// What may not be shown of something that is declared.
fn secrets_of(one: &Definition) -> Vec<String> {
    let mut found = Vec::new();
    match one.kind {
        What::Credential => {
            let members = CREDENTIAL_SECRETS.iter().filter_map(|member| one.value.get(*member));
            members.for_each(|value| texts(value, &mut found));
        }
        What::Provider => {
            for path in SECRET_MEMBERS {
                if let Some(value) = path.iter().try_fold(&one.value, |value, key| value.get(key)) {
                    texts(value, &mut found);
                }
            }
        }
        What::Pool | What::Route => {}
    }
    found.retain(|text| text.len() >= SHORTEST_SECRET);
    // One may be a part of another.
    found.sort_by_key(|text| std::cmp::Reverse(text.len()));
    found
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.trim().to_owned()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
