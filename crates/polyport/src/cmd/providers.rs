//! `polyport providers`.

use std::process::ExitCode;

use anyhow::Result;
use polyport_server::config::{Preset, Provider, Service};
use serde_json::{Value, json};

use crate::args::{Args, ProvidersArgs};
use crate::out;

pub(crate) fn run(args: &Args, what: &ProvidersArgs) -> Result<ExitCode> {
    if what.presets {
        presets(args);
        return Ok(ExitCode::SUCCESS);
    }
    let config = super::load(args)?.config;
    if args.json {
        let list: Vec<Value> = config.providers().map(|provider| as_json(provider)).collect();
        out::json(&json!({ "providers": list }));
    } else {
        let rows = config.providers().map(|provider| {
            let models = if provider.models.is_empty() { String::new() } else { provider.models.len().to_string() };
            vec![
                provider.name.to_string(),
                provider.protocol().to_string(),
                provider.address().to_owned(),
                keys(provider),
                models,
            ]
        });
        out::table(&["provider", "protocol", "address", "keys", "models"], rows.collect());
    }
    Ok(ExitCode::SUCCESS)
}

/// Where its keys come from, for people.
pub(crate) fn keys(provider: &Provider) -> String {
    match &provider.service {
        Service::Http(http) if http.missing_credential => "missing".to_owned(),
        Service::Http(http) if http.credentials.is_empty() => "none needed".to_owned(),
        Service::Http(http) => http.credentials.iter().map(|key| &*key.label).collect::<Vec<_>>().join(", "),
        Service::Process(_) | Service::Echo => "none needed".to_owned(),
    }
}

/// What is known about it, for programs.
pub(crate) fn as_json(provider: &Provider) -> Value {
    json!({
        "name": provider.name.to_string(),
        "protocol": provider.protocol().as_str(),
        "address": provider.address(),
        "profile": provider.table.to_string(),
        "keys": provider.credentials().iter().map(|key| key.label.to_string()).collect::<Vec<_>>(),
        "key_missing": matches!(&provider.service, Service::Http(http) if http.missing_credential),
        "models": provider.models.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn presets(args: &Args) {
    if args.json {
        let list: Vec<Value> = Preset::all()
            .iter()
            .map(|preset| {
                json!({
                    "name": preset.name, "title": preset.title, "protocol": preset.protocol.as_str(),
                    "base_url": preset.base_url, "key_env": preset.key_env,
                })
            })
            .collect();
        out::json(&json!({ "presets": list }));
        return;
    }
    let rows = Preset::all().iter().map(|preset| {
        vec![
            preset.name.clone(),
            preset.title.clone(),
            preset.protocol.to_string(),
            preset.base_url.clone().unwrap_or_default(),
            preset.key_env.join(" or "),
        ]
    });
    out::table(&["preset", "service", "protocol", "address", "key"], rows.collect());
}
