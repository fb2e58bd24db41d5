//! Channels: a provider each, with its keys; and pools of the models that they list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::types::{self, Key, Kind};
use crate::draft::{Draft, Target, object};
use crate::source::{Node, Source};

/// The models of each group; nothing where all channels are for everybody.
pub(super) struct Groups {
    pub(super) models: BTreeMap<String, BTreeSet<String>>,
}

impl Groups {
    /// Whether there are groups that differ.
    pub(super) fn differ(&self) -> bool {
        self.models.len() > 1
    }
}

/// A target for the users of a group.
struct Offer {
    model: String,
    group: String,
    priority: i64,
    target: Target,
}

pub(super) fn read(kind: Kind, source: &Source, draft: &mut Draft<'_>) -> Groups {
    let mut offers = Vec::new();
    for row in source.table("channels").iter().flat_map(Node::items) {
        channel(kind, &row, &mut offers, draft);
    }
    let mut groups = Groups { models: BTreeMap::new() };
    let mut names: Vec<&str> = Vec::new();
    for offer in &offers {
        groups.models.entry(offer.group.clone()).or_default().insert(offer.model.clone());
        if !names.contains(&offer.model.as_str()) {
            names.push(&offer.model);
        }
    }
    for model in names {
        let of = |group: &str| ranked(offers.iter().filter(|offer| offer.model == model && offer.group == group));
        let main =
            ["default"].into_iter().chain(groups.models.keys().map(String::as_str)).find(|group| !of(group).is_empty());
        let Some(main) = main else { continue };
        let targets = of(main);
        draft.pool(model, &targets, Map::new());
        for group in groups.models.keys().filter(|group| *group != main) {
            let own = of(group);
            if own.is_empty() || own == targets {
                continue;
            }
            let name = format!("{model}@{group}");
            draft.pool(&name, &own, Map::new());
            draft.route(
                &name,
                object([
                    ("match", Some(json!({ "model": model, "caller": group }))),
                    ("to", Some(name.as_str().into())),
                ]),
            );
        }
    }
    groups
}

/// Higher numbers go first there, lower ones here.
fn ranked<'o>(offers: impl Iterator<Item = &'o Offer>) -> Vec<Target> {
    let mut offers: Vec<&Offer> = offers.collect();
    offers.sort_by_key(|offer| std::cmp::Reverse(offer.priority));
    let mut rank = 0;
    let mut last = None;
    offers
        .into_iter()
        .map(|offer| {
            if last != Some(offer.priority) {
                rank += 1;
                last = Some(offer.priority);
            }
            Target { priority: rank, ..offer.target.clone() }
        })
        .collect()
}

fn list(node: Option<&Node<'_>>) -> Vec<String> {
    let said = node.map(Node::said).unwrap_or_default();
    said.split([',', '\n']).map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
}

fn channel(kind: Kind, row: &Node<'_>, offers: &mut Vec<Offer>, draft: &mut Draft<'_>) {
    let number = row.get("type").and_then(|node| node.count()).unwrap_or(0);
    let name_node = row.get("name");
    let want = name_node.as_ref().and_then(Node::text).unwrap_or("channel");
    let base = row.get("base_url");
    let config = parsed(row.any(&["config"]).as_ref());
    let region = config.get("region").or_else(|| config.get("api_version")).and_then(Value::as_str).unwrap_or_default();
    let other =
        row.get("other").map(|node| node.said()).filter(|text| !text.is_empty()).unwrap_or_else(|| region.to_owned());
    let Some((mut body, key)) = types::body(kind, number, base.as_ref().and_then(Node::text), &other) else {
        row.manual(format!("`{want}` is of type {number}, which has no preset here: declare it by hand if it is OpenAI-compatible, or with `adapter: custom_http`"));
        return;
    };
    let on = row.get("status").and_then(|node| node.count()).unwrap_or(1) == 1;
    if !on {
        body.insert("enabled".to_owned(), false.into());
    }
    extras(row, &mut body);
    let keys = keys(row, key, &mut body);
    let name = draft.provider(want, body);
    let became = format!("providers.{name}");
    for node in
        [name_node, base, row.get("type"), row.get("status"), row.get("other"), row.get("config"), row.get("id")]
            .into_iter()
            .flatten()
    {
        node.exact(became.as_str());
    }
    if let Some(node) = row.get("key") {
        for (at, (text, member)) in keys.iter().enumerate() {
            let off = row.get("channel_info").is_some_and(|info| disabled(&info, at));
            draft.key_text(&node, &name, text, member, object([("enabled", off.then_some(Value::Bool(false)))]));
        }
        if keys.is_empty() {
            node.manual(format!("its key is not of the form that its type has: `polyport credentials add {name}`"));
        }
    }
    models(row, &name, on, offers);
    row.all_exact(&["channel_info"], &format!("credentials of {name}"));
    row.all_exact(&["auto_ban"], "cooldown");
    row.all_unsupported(
        &[
            "created_time",
            "test_time",
            "response_time",
            "balance",
            "balance_updated_time",
            "used_quota",
            "other_info",
            "test_model",
        ],
        super::super::PAST,
    );
    row.all_unsupported(&["tag", "remark"], "a note for people");
    row.all_unsupported(&["status_code_mapping"], "statuses of providers are told as they are");
}

/// A column that holds JSON.
fn parsed(node: Option<&Node<'_>>) -> Map<String, Value> {
    let Some(node) = node else { return Map::new() };
    match node.value {
        Value::Object(members) => members.clone(),
        _ => serde_json::from_str(&node.said()).unwrap_or_default(),
    }
}

fn disabled(info: &Node<'_>, at: usize) -> bool {
    let status = parsed(Some(info)).get("multi_key_status_list").and_then(|list| list.get(at.to_string())?.as_i64());
    status.is_some_and(|status| status != 1)
}

/// Several keys stand under one another; where they are JSON, in a list.
fn keys(row: &Node<'_>, key: Key, body: &mut Map<String, Value>) -> Vec<(String, &'static str)> {
    let Some(text) = row.get("key").map(|node| node.said()).filter(|text| !text.is_empty()) else { return Vec::new() };
    match key {
        Key::Text => {
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| (line.to_owned(), "key")).collect()
        }
        Key::Aws => {
            let mut all = Vec::new();
            for line in text.lines() {
                let mut parts = line.trim().split('|');
                if let (Some(id), Some(secret), Some(region)) = (parts.next(), parts.next(), parts.next()) {
                    all.push((format!("{id}:{secret}"), "key"));
                    body.insert("location".to_owned(), region.into());
                }
            }
            all
        }
        Key::File => match serde_json::from_str::<Value>(&text) {
            Ok(Value::Array(files)) => files.iter().map(|file| (file.to_string(), "key_file")).collect(),
            Ok(file @ Value::Object(_)) => vec![(file.to_string(), "key_file")],
            _ => Vec::new(),
        },
    }
}

/// Headers, members of bodies and proxies that a channel sets.
fn extras(row: &Node<'_>, body: &mut Map<String, Value>) {
    let mut headers = Map::new();
    if let Some(node) = row.get("openai_organization").filter(|node| node.text().is_some()) {
        headers.insert("openai-organization".to_owned(), node.said().into());
        node.exact("headers of the provider");
    }
    if let Some(node) = row.get("header_override").filter(|node| node.text().is_some_and(|text| text != "{}")) {
        let mut whole = true;
        for (name, value) in parsed(Some(&node)) {
            match value.as_str() {
                Some(text) if !text.contains('{') => drop(headers.insert(name.to_ascii_lowercase(), text.into())),
                _ => whole = false,
            }
        }
        match whole {
            true => node.exact("headers of the provider"),
            false => node.approximate("headers of the provider", "those that hold a placeholder are left out"),
        }
    }
    if !headers.is_empty() {
        body.insert("headers".to_owned(), headers.into());
    }
    if let Some(node) = row.get("param_override").filter(|node| node.text().is_some_and(|text| text != "{}")) {
        let members = parsed(Some(&node));
        if members.is_empty() || members.contains_key("operations") {
            node.manual("write what it sets as `quirks.extra_body` of the provider");
        } else {
            body.insert("quirks".to_owned(), json!({ "extra_body": members }));
            node.exact("quirks.extra_body of the provider");
        }
    }
    for column in ["setting", "settings"] {
        let Some(node) = row.get(column).filter(|node| node.text().is_some_and(|text| text != "{}")) else { continue };
        match parsed(Some(&node)).get("proxy").and_then(Value::as_str).filter(|text| !text.is_empty()) {
            Some(proxy) => {
                body.insert("proxy".to_owned(), proxy.into());
                node.approximate("proxy of the provider", "its other settings are left out");
            }
            None => node.unsupported("special settings of a channel"),
        }
    }
    if let Some(node) = row.get("system_prompt").filter(|node| node.text().is_some()) {
        node.unsupported("instructions are those of the client");
    }
}

fn models(row: &Node<'_>, provider: &str, on: bool, offers: &mut Vec<Offer>) {
    let (models, groups) = (row.get("models"), row.get("group"));
    let mapping = parsed(row.get("model_mapping").as_ref());
    let mut all_groups = list(groups.as_ref());
    if all_groups.is_empty() {
        all_groups.push("default".to_owned());
    }
    let weight = row.get("weight");
    #[allow(clippy::cast_possible_truncation, reason = "whole numbers of a small column")]
    let priority = row.get("priority").and_then(|node| node.number()).unwrap_or(0.0).clamp(-1e9, 1e9) as i64;
    for model in list(models.as_ref()) {
        let upstream = mapping.get(&model).and_then(Value::as_str).unwrap_or(&model);
        for group in all_groups.iter().filter(|_| on && !model.contains('*')) {
            let weight = weight.as_ref().and_then(Node::count).unwrap_or(1);
            let target = Target { weight, ..Target::new(provider, upstream) };
            offers.push(Offer { model: model.clone(), group: group.clone(), priority, target });
        }
    }
    for node in [models, row.get("model_mapping"), row.get("priority")].into_iter().flatten() {
        node.exact("pools");
    }
    if let Some(node) = groups {
        node.exact("pools, and teams where groups differ");
    }
    if let Some(node) = weight {
        node.approximate("weight of targets", "shares are kept exactly, not drawn by lot; 0 counts as 1");
    }
}
