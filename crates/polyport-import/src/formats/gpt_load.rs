//! gpt-load: an export of all or of one group, or its database.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{PAST, has};
use crate::draft::{Draft, Target, object, seconds};
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    let group = |one: &Value| has(one, "channel_type") && has(one, "upstreams");
    let exported = |one: &Value| one.get("group").is_some_and(group);
    look.list(&["groups"]).iter().any(exported)
        || look.tree().is_some_and(exported)
        || look.has_tables(&["groups", "api_keys"]) && look.row("groups").is_some_and(group)
}

/// A group and where its keys and the groups in it stand.
struct Group<'a> {
    group: Node<'a>,
    keys: Vec<Node<'a>>,
    parts: Vec<Node<'a>>,
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let mut groups = Vec::new();
    for root in source.roots(Kind::Tree) {
        root.all_exact(&["version", "exported_at"], "");
        let all: Vec<Node<'_>> = match root.get("groups") {
            Some(groups) => groups.items().collect(),
            None => vec![root.clone()],
        };
        for one in all {
            if let Some(group) = one.get("group") {
                one.all_exact(&["version", "exported_at"], "");
                groups.push(Group {
                    group,
                    keys: one.get("keys").iter().flat_map(Node::items).collect(),
                    parts: one.get("sub_groups").iter().flat_map(Node::items).collect(),
                });
            }
        }
        for (name, value) in root.get("system_settings").iter().flat_map(Node::entries) {
            setting(name, &value, draft);
        }
    }
    for group in source.table("groups").iter().flat_map(Node::items) {
        let id = group.get("id").map(|node| node.said()).unwrap_or_default();
        let of = |table: &str| -> Vec<Node<'_>> {
            let rows = source.table(table);
            let rows = rows.iter().flat_map(Node::items);
            rows.filter(|row| row.get("group_id").is_some_and(|of| of.said() == id)).collect()
        };
        groups.push(Group { keys: of("api_keys"), parts: of("group_sub_groups"), group });
    }
    for row in source.table("system_settings").iter().flat_map(Node::items) {
        if let (Some(name), Some(value)) = (row.get("setting_key"), row.get("setting_value")) {
            setting(&name.said(), &value, draft);
            row.all_exact(&["id", "setting_key"], "");
            row.all_unsupported(&["description", "created_at", "updated_at"], PAST);
        }
    }
    let mut made = HashMap::new();
    let (whole, parts): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|one| one.group.get("group_type").is_some_and(|kind| kind.said() == "aggregate"));
    for group in &parts {
        one(group, &mut made, draft);
    }
    for group in &whole {
        aggregate(group, &made, draft);
    }
    for table in ["request_logs", "group_hourly_stats"] {
        if let Some(table) = source.table(table) {
            table.unsupported(PAST);
        }
    }
    for root in source.roots(Kind::Variables) {
        if let Some(node) = root.get("AUTH_KEY") {
            match node.text() {
                Some(text) if !polyport_types::secret::is_sample(text) => {
                    draft.setting(&node, "access.admin_keys", json!([text]))
                }
                _ => node.manual("set ADMIN_TOKEN to a key of your own"),
            }
        }
        draft.listen(root.get("HOST"), root.get("PORT"));
    }
}

/// A column that holds JSON, or the same as JSON.
fn parsed(node: Option<&Node<'_>>) -> Value {
    match node.map(|node| node.value) {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

fn one(given: &Group<'_>, made: &mut HashMap<String, String>, draft: &mut Draft<'_>) {
    let group = &given.group;
    let label = group.get("name");
    let Some(want) = label.as_ref().and_then(Node::text) else {
        group.manual("a group without a name");
        return;
    };
    let speaks = match group.get("channel_type").map(|node| node.said()).as_deref() {
        Some("openai") => Speaks::Chat,
        Some("openai-response") => Speaks::Responses,
        Some("anthropic") => Speaks::Messages,
        Some("gemini") => Speaks::Gemini,
        _ => {
            group.manual(format!("`{want}` is of an unknown type: declare it by hand"));
            return;
        }
    };
    let upstreams = parsed(group.get("upstreams").as_ref());
    let mut addresses: Vec<(String, f64)> = Vec::new();
    for one in upstreams.as_array().into_iter().flatten() {
        if let Some(url) = one.get("url").and_then(Value::as_str) {
            addresses.push((url.to_owned(), one.get("weight").and_then(Value::as_f64).unwrap_or(1.0)));
        }
    }
    addresses.sort_by(|a, b| b.1.total_cmp(&a.1));
    let Some((first, _)) = addresses.first() else {
        group.manual(format!("`{want}` has no address"));
        return;
    };
    let address =
        if matches!(speaks, Speaks::Chat | Speaks::Responses) { services::versioned(first) } else { first.clone() };
    let mut body = services::at(&address, speaks);
    if group.get("enabled").and_then(|node| node.flag()) == Some(false) {
        body.insert("enabled".to_owned(), false.into());
    }
    configured(group, &mut body);
    let name = draft.provider(want, body);
    made.insert(want.to_owned(), name.clone());
    made.insert(group.get("id").map(|node| node.said()).unwrap_or_default(), name.clone());
    for row in &given.keys {
        let Some(key) = row.get("key_value") else { continue };
        // A status of one key is no reason to lose it: it is tried once more.
        draft.key(&key, &name, &[], Map::new());
        row.all_exact(&["status", "id", "group_id"], &format!("credentials of {name}"));
        row.all_unsupported(
            &["request_count", "failure_count", "last_used_at", "created_at", "updated_at", "notes"],
            PAST,
        );
    }
    let became = format!("providers.{name}");
    for node in [
        label,
        group.get("channel_type"),
        group.get("enabled"),
        group.get("group_type"),
        group.get("id"),
        group.get("test_model"),
    ]
    .into_iter()
    .flatten()
    {
        node.exact(became.as_str());
    }
    if let Some(node) = group.get("upstreams") {
        match addresses.len() {
            1 => node.exact(format!("{became}.base_url")),
            _ => node.manual(format!("`{name}` has the address with the largest share; make a provider for each of the others and a pool over them")),
        }
    }
    proxy_keys(group, want, &name, draft);
    redirects(group, &name, draft);
    group.all_unsupported(&["display_name", "description", "sort"], "a note for people");
    group.all_unsupported(&["validation_endpoint"], "keys are checked by the list of models (`probes`)");
    group.all_unsupported(&["last_validated_at", "created_at", "updated_at"], PAST);
}

/// Clients of a group have its keys: what they ask goes to its provider.
fn proxy_keys(group: &Node<'_>, want: &str, to: &str, draft: &mut Draft<'_>) {
    let Some(node) = group.get("proxy_keys").filter(|node| node.text().is_some()) else { return };
    let mut names = Vec::new();
    for text in node.said().split([',', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
        names.extend(draft.client_key_text(&node, want, text.to_owned(), Map::new()));
    }
    if !names.is_empty() {
        draft.route(want, object([("match", Some(json!({ "caller": names }))), ("to", Some(to.into()))]));
        draft.source().implied(
            "proxy_keys",
            crate::finding::Grade::Manual,
            "routes",
            "clients leave `/proxy/GROUP` out of their address; the key says which group is meant",
        );
    }
}

/// Other names for models.
fn redirects(group: &Node<'_>, name: &str, draft: &mut Draft<'_>) {
    for column in ["model_redirect_rules", "model_mapping"] {
        let Some(node) = group.get(column) else { continue };
        let mut left = false;
        for (alias, to) in parsed(Some(&node)).as_object().into_iter().flatten() {
            match to.as_str() {
                Some(to) if !draft.has_pool(alias) => drop(draft.pool(alias, &[Target::new(name, to)], Map::new())),
                _ => left = true,
            }
        }
        match left {
            false => node.exact("pools"),
            true => node.approximate("pools", "names that several groups have lead to the first of them"),
        }
    }
}

/// Time limits, headers and members of bodies.
fn configured(group: &Node<'_>, body: &mut Map<String, Value>) {
    let config_node = group.get("config");
    let config = parsed(config_node.as_ref());
    let mut timeouts = Map::new();
    for (member, here) in
        [("request_timeout", "total"), ("connect_timeout", "connect"), ("response_header_timeout", "first_byte")]
    {
        if let Some(time) = config.get(member).and_then(Value::as_f64).and_then(seconds) {
            timeouts.insert(here.to_owned(), time);
        }
    }
    if !timeouts.is_empty() {
        body.insert("timeouts".to_owned(), timeouts.into());
    }
    if let Some(proxy) = config.get("proxy_url").and_then(Value::as_str).filter(|text| !text.is_empty()) {
        body.insert("proxy".to_owned(), proxy.into());
    }
    if let Some(row) = config.get("blacklist_threshold").and_then(Value::as_u64).filter(|row| *row > 0) {
        body.insert("cooldown".to_owned(), json!({ "refusals": row }));
    }
    if let Some(minutes) =
        config.get("key_validation_interval_minutes").and_then(Value::as_u64).filter(|minutes| *minutes > 0)
    {
        body.insert("probe_every".to_owned(), format!("{minutes}m").into());
    }
    if let Some(node) = config_node {
        match config.as_object().is_some_and(Map::is_empty) {
            true => node.exact(""),
            false => node.approximate(
                "timeouts, proxy, cooldown and probe_every of the provider",
                "numbers of connections are found by themselves",
            ),
        }
    }
    if let Some(node) = group.get("header_rules") {
        let (mut headers, mut left) = (Map::new(), false);
        for rule in parsed(Some(&node)).as_array().into_iter().flatten() {
            let text = |member: &str| rule.get(member).and_then(Value::as_str).unwrap_or_default();
            match text("action") {
                "set" if !text("value").contains("${") => {
                    drop(headers.insert(text("key").to_ascii_lowercase(), text("value").into()))
                }
                _ => left = true,
            }
        }
        if !headers.is_empty() {
            body.insert("headers".to_owned(), headers.into());
        }
        match left {
            false => node.exact("headers of the provider"),
            true => node.approximate(
                "headers of the provider",
                "headers of clients do not reach providers anyway; placeholders are left out",
            ),
        }
    }
    if let Some(node) = group.get("param_overrides") {
        let members = parsed(Some(&node));
        if members.as_object().is_some_and(|members| !members.is_empty()) {
            body.insert("quirks".to_owned(), json!({ "extra_body": members }));
        }
        node.exact("quirks.extra_body of the provider");
    }
}

/// A group of groups: which one is asked depends on the model, which it does not list.
fn aggregate(given: &Group<'_>, made: &HashMap<String, String>, draft: &mut Draft<'_>) {
    let want = given.group.get("name").map(|node| node.said()).unwrap_or_default();
    let mut parts: Vec<(&String, u64)> = Vec::new();
    for part in &given.parts {
        let name = part.any(&["group_name", "sub_group_id"]).map(|node| node.said()).unwrap_or_default();
        if let Some(provider) = made.get(&name) {
            parts.push((provider, part.get("weight").and_then(|node| node.count()).unwrap_or(1)));
        }
        part.exact("pools");
    }
    let model =
        given.group.get("test_model").map(|node| node.said()).filter(|model| !model.is_empty() && *model != "-");
    if let (Some(model), false) = (&model, parts.is_empty() || draft.has_pool(&want)) {
        let targets: Vec<Target> =
            parts.iter().map(|(provider, weight)| Target { weight: *weight, ..Target::new(provider, model) }).collect();
        draft.pool(&want, &targets, Map::new());
    }
    if let Some((provider, _)) = parts.iter().max_by_key(|(_, weight)| *weight) {
        proxy_keys(&given.group, &want, provider, draft);
    }
    given.group.manual(format!(
        "`{want}` spreads all models over groups: make a pool for each model that clients ask for, with the same shares"
    ));
}

fn setting(name: &str, value: &Node<'_>, draft: &mut Draft<'_>) {
    match name {
        "proxy_keys" => {
            for text in value.said().split([',', '\n']).map(str::trim).filter(|text| !text.is_empty()) {
                draft.client_key_text(value, "all groups", text.to_owned(), Map::new());
            }
        }
        "request_timeout" | "response_header_timeout" | "connect_timeout" => {
            let path = match name {
                "request_timeout" => "limits.total",
                "connect_timeout" => "limits.connect",
                _ => "limits.first_byte",
            };
            match value.number().and_then(seconds) {
                Some(time) => draft.setting(value, path, time),
                None => value.exact(path),
            }
        }
        "max_retries" => match value.number().filter(|number| (0.0..=100.0).contains(number)) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
            Some(number) => {
                draft.set("retry.attempts", number as u64 + 1);
                value.approximate("retry.attempts", "every key is tried in any case");
            }
            None => value.manual("set `retry.attempts`"),
        },
        "blacklist_threshold" => match value.count() {
            Some(count) => {
                draft.set("cooldown.refusals", count);
                value.approximate("cooldown.refusals", "refusals in a row");
            }
            None => value.exact("cooldown.refusals"),
        },
        "key_validation_interval_minutes" => match value.count() {
            Some(minutes) => draft.setting(value, "probes.every", format!("{minutes}m")),
            None => value.exact("probes.every"),
        },
        "request_log_retention_days" => match value.count() {
            Some(days) => draft.setting(value, "accounting.keep.requests", format!("{days}d")),
            None => value.exact("accounting.keep.requests"),
        },
        "proxy_url" if value.text().is_some() => {
            value.manual("set HTTPS_PROXY for Polyport, or `proxy` of the providers")
        }
        _ => value.unsupported("nothing here needs it"),
    }
}
