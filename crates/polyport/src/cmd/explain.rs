//! `polyport explain`: what would happen to a request, without asking anybody.

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{Capabilities, RequestHead, decode_request, encode_request, estimate, resolve};
use polyport_provider::Call;
use polyport_routing::{Attempt, Excluded};
use polyport_routing::{Barred, Hints, Resolved, Rule, Target, Walk};
use polyport_server::config::{Config, Provider, Service};
use polyport_types::{ClientProtocol, Losses, Protocol, Request, Severity};
use serde_json::{Value, json};

use crate::args::{Args, ExplainArgs};
use crate::out;

pub(crate) fn run(args: &Args, what: &ExplainArgs) -> Result<ExitCode> {
    let config = super::load(args)?.config;
    let protocol = ClientProtocol::from(what.protocol);
    let resolved = match config.catalog.resolve(&what.model, Hints::new(protocol)) {
        Ok(resolved) => resolved,
        Err(unknown) if args.json => {
            out::json(&json!({ "model": what.model, "error": unknown.to_string() }));
            return Ok(ExitCode::FAILURE);
        }
        Err(unknown) => return Err(anyhow!("{unknown} (`polyport models` lists what there is)")),
    };
    let plan = planned(&config, &resolved);
    let body = what.body.as_ref().map(|path| read(path)).transpose()?;
    let converted =
        body.as_ref().map(|body| convert(&config, &resolved, &plan, protocol, &what.model, body)).transpose()?;
    if args.json {
        out::json(&as_json(&config, what, &resolved, &plan, protocol, converted.as_ref()));
    } else {
        show(&config, what, &resolved, &plan, protocol, converted.as_ref());
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &std::path::Path) -> Result<Bytes> {
    let mut body = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut body).context("standard input")?;
    } else {
        body = std::fs::read(path).with_context(|| path.display().to_string())?;
    }
    Ok(body.into())
}

/// Attempts and exclusions shown at most.
const SHOWN: usize = 100;

/// The attempts of the first request after a start; later ones take turns.
struct Plan {
    attempts: Vec<Attempt>,
    excluded: Vec<Excluded>,
}

fn planned(config: &Config, resolved: &Resolved) -> Plan {
    let (fleet, now) = (polyport_server::fleet(config), polyport_server::now());
    let mut walk = Walk::dry(resolved.clone(), &fleet);
    let excluded = walk.excluded(&fleet, now, SHOWN);
    Plan { attempts: walk.foresee(&fleet, now, SHOWN), excluded }
}

/// A request as the first target would get it.
struct Converted {
    body: Vec<u8>,
    losses: Losses,
    tokens: u64,
    unchanged: bool,
}

fn convert(
    config: &Config,
    resolved: &Resolved,
    plan: &Plan,
    protocol: ClientProtocol,
    model: &str,
    body: &Bytes,
) -> Result<Converted> {
    let attempt = plan.attempts.first().ok_or_else(|| anyhow!("no target can be tried: see the reasons"))?;
    let target = resolved.targets.get(attempt.target).ok_or_else(|| anyhow!("the plan has no target"))?;
    let provider = config.provider(&target.provider).ok_or_else(|| anyhow!("the provider is not configured"))?;
    let head =
        RequestHead { model: (protocol == ClientProtocol::Gemini).then(|| model.into()), ..RequestHead::default() };
    let request: Request =
        decode_request(protocol, &head, body.clone()).map_err(|error| anyhow!("the request: {error}"))?;
    let tokens = estimate::input_tokens(&request);
    if Protocol::from(protocol) == provider.protocol() {
        return Ok(Converted { body: body.to_vec(), losses: Losses::default(), tokens, unchanged: true });
    }
    let to = polyport_protocol::Target {
        protocol: provider.protocol(),
        model: target.model.clone(),
        profile: Arc::clone(&provider.profile),
        capabilities: config.capabilities(provider, &target.model),
        scope: provider.scope,
        offered: None,
    };
    let mut losses = Losses::default();
    let context = ResolveContext { carrier: Some(&config.carrier), signatures: &|_| Vec::new() };
    let (request, _) = resolve(&to, request, &context, &mut losses);
    let encoded = encode_request(&to, &request, &mut losses);
    Ok(Converted { body: encoded.body, losses, tokens, unchanged: false })
}

fn rule(rule: &Rule) -> String {
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
    key: String,
}

fn step<'a>(config: &'a Config, resolved: &'a Resolved, attempt: Attempt) -> Option<Step<'a>> {
    let target = resolved.targets.get(attempt.target)?;
    let provider = config.provider(&target.provider);
    let credential = attempt.credential.and_then(|index| provider?.credentials().get(index));
    Some(Step { target, provider, key: credential.map_or("no key".to_owned(), |key| key.label.to_string()) })
}

fn left_out<'a>(config: &'a Config, resolved: &'a Resolved, excluded: &Excluded) -> Option<Step<'a>> {
    step(config, resolved, Attempt { target: excluded.target, credential: excluded.credential })
}

fn way(client: ClientProtocol, provider: &Provider) -> &'static str {
    match &provider.service {
        Service::Echo => "built in",
        Service::Http(_) if Protocol::from(client) == provider.protocol() => "passed through",
        Service::Http(_) => "translated",
    }
}

fn uri(target: &Target, provider: &Provider) -> String {
    match &provider.service {
        Service::Http(http) => http
            .endpoint
            .uri(Call::Generate { model: &target.model, stream: false })
            // The query may hold a secret.
            .map_or_else(|_| provider.address().to_owned(), |uri| format!("{}{}", provider.address(), uri.path())),
        Service::Echo => provider.address().to_owned(),
    }
}

fn why(excluded: &Excluded, provider: Option<&Arc<Provider>>) -> &'static str {
    match (excluded.why, provider.map(|provider| &provider.service)) {
        (None, _) | (_, None) => "the provider is not configured or not enabled",
        (_, Some(Service::Http(http))) if http.missing_credential => "its key is missing",
        (Some(Barred::Disabled), _) => "the key is switched off",
        (Some(other), _) => other.as_str(),
    }
}

fn show(
    config: &Config,
    what: &ExplainArgs,
    resolved: &Resolved,
    plan: &Plan,
    protocol: ClientProtocol,
    converted: Option<&Converted>,
) {
    out::line(&format!("{} asked for by a {protocol} client: {}\n", what.model, rule(&resolved.rule)));
    let mut rows = Vec::new();
    for (number, attempt) in plan.attempts.iter().enumerate() {
        let Some(step) = step(config, resolved, *attempt) else { continue };
        let Some(provider) = step.provider else { continue };
        rows.push(vec![
            (number + 1).to_string(),
            format!("{}/{}", step.target.provider, step.target.model),
            step.key,
            format!("{}, {}", provider.protocol(), way(protocol, provider)),
            uri(step.target, provider),
        ]);
    }
    if rows.is_empty() {
        out::line("No target can be tried.");
    } else {
        out::table(&["try", "target", "key", "protocol", "address"], rows);
    }
    for excluded in &plan.excluded {
        if let Some(step) = left_out(config, resolved, excluded) {
            let (reason, target) = (why(excluded, step.provider), step.target);
            out::line(&format!("left out: {}/{}, {} ({reason})", target.provider, target.model, step.key));
        }
    }
    if let Some((target, provider)) = first(config, resolved, plan) {
        out::line(&format!("\nabilities: {}", abilities(&config.capabilities(provider, &target.model))));
        out::line(&format!("quirks: {}", if provider.table.is_empty() { "none" } else { &provider.table }));
    }
    if let Some(converted) = converted {
        out::line(&format!("\nabout {} tokens", converted.tokens));
        if converted.unchanged {
            out::line("body: as sent, with the model's name replaced");
            return;
        }
        match converted.losses.entries() {
            [] => out::line("lost: nothing"),
            losses => losses.iter().for_each(|loss| out::line(&format!("{}: {loss}", severity(loss.severity)))),
        }
        out::line(&format!("\n{}", pretty(&converted.body)));
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warn => "lost",
        Severity::Error => "refused",
    }
}

fn first<'a>(config: &'a Config, resolved: &'a Resolved, plan: &Plan) -> Option<(&'a Target, &'a Arc<Provider>)> {
    let attempt = plan.attempts.first()?;
    let target = resolved.targets.get(attempt.target)?;
    Some((target, config.provider(&target.provider)?))
}

fn pretty(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => format!("{value:#}"),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// What matters most, in one line.
fn abilities(of: &Capabilities) -> String {
    let mut words = Vec::new();
    if let Some(context) = of.context {
        words.push(format!("context {context}"));
    }
    if let Some(output) = of.max_output {
        words.push(format!("output {output}"));
    }
    if of.reasoning {
        let efforts: Vec<&str> = of.efforts.iter().map(|effort| effort.as_str()).collect();
        let efforts = if efforts.is_empty() { String::new() } else { format!(" ({})", efforts.join(" ")) };
        words.push(format!("reasoning{efforts}"));
    }
    for (name, has) in [
        ("temperature", of.temperature),
        ("tools", of.tools),
        ("structured output", of.structured_output),
        ("images", of.images),
        ("documents", of.documents),
        ("audio", of.audio),
        ("video", of.video),
    ] {
        words.push(if has { name.to_owned() } else { format!("no {name}") });
    }
    words.join(", ")
}

fn as_json(
    config: &Config,
    what: &ExplainArgs,
    resolved: &Resolved,
    plan: &Plan,
    protocol: ClientProtocol,
    converted: Option<&Converted>,
) -> Value {
    let attempts: Vec<Value> = plan
        .attempts
        .iter()
        .filter_map(|attempt| {
            let step = step(config, resolved, *attempt)?;
            let provider = step.provider?;
            Some(json!({
                "provider": step.target.provider.to_string(), "model": step.target.model.to_string(),
                "priority": step.target.priority, "weight": step.target.weight, "key": step.key,
                "protocol": provider.protocol().as_str(), "way": way(protocol, provider), "address": uri(step.target, provider),
            }))
        })
        .collect();
    let excluded: Vec<Value> = plan
        .excluded
        .iter()
        .filter_map(|excluded| {
            let step = left_out(config, resolved, excluded)?;
            Some(json!({
                "provider": step.target.provider.to_string(), "model": step.target.model.to_string(),
                "key": step.key, "why": why(excluded, step.provider),
            }))
        })
        .collect();
    let capabilities = first(config, resolved, plan)
        .and_then(|(target, provider)| serde_json::to_value(&*config.capabilities(provider, &target.model)).ok());
    json!({
        "model": what.model, "protocol": protocol.as_str(), "rule": rule(&resolved.rule),
        "attempts": attempts, "excluded": excluded, "capabilities": capabilities,
        "request": converted.map(|converted| json!({
            "input_tokens": converted.tokens, "unchanged": converted.unchanged,
            "losses": converted.losses.entries(),
            "body": serde_json::from_slice::<Value>(&converted.body).unwrap_or_default(),
        })),
    })
}
