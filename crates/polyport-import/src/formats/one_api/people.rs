//! Users, and the keys of their programs.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::channels::Groups;
use crate::draft::{Draft, object};
use crate::names;
use crate::source::{Node, Source};

/// The longest list of models that a rule takes.
const LONGEST: usize = 1000;

pub(super) fn read(groups: &Groups, unit: f64, source: &Source, draft: &mut Draft<'_>) {
    let mut teams = HashSet::new();
    if groups.differ() {
        for (group, models) in &groups.models {
            let models: Vec<&String> = models.iter().collect();
            let bounded = (models.len() <= LONGEST).then(|| json!(models));
            draft.team(object([("name", Some(group.as_str().into())), ("models", bounded)]));
            teams.insert(group.clone());
        }
    }
    let mut users = HashMap::new();
    for row in source.table("users").iter().flat_map(Node::items) {
        user(&row, unit, &mut teams, groups, &mut users, draft);
    }
    for row in source.table("tokens").iter().flat_map(Node::items) {
        token(&row, unit, &users, draft);
    }
}

/// Quota as money: so many units are a dollar.
fn money(quota: f64, unit: f64) -> Value {
    // Nothing left is the least that can be written.
    let amount = (quota / unit).max(0.000_001);
    json!([{ "what": "money", "window": "total", "amount": format!("{:.6}", amount.min(17_000_000.0)) }])
}

fn user(
    row: &Node<'_>,
    unit: f64,
    teams: &mut HashSet<String>,
    groups: &Groups,
    users: &mut HashMap<String, String>,
    draft: &mut Draft<'_>,
) {
    let (id, login) = (row.get("id"), row.any(&["username", "name"]));
    let Some(name) = login.as_ref().and_then(Node::text).map(names::label).filter(|name| !name.is_empty()) else {
        row.manual("a user without a name");
        return;
    };
    if users.values().any(|known| *known == name) || row.get("deleted_at").is_some() {
        row.unsupported("deleted there, or there twice");
        return;
    }
    let role = row.get("role");
    let admin = role.as_ref().and_then(Node::number).is_some_and(|role| role >= 10.0);
    let on = row.get("status").and_then(|node| node.count()).unwrap_or(1) == 1;
    let group = row.get("group");
    let team = group.as_ref().map(Node::said).filter(|group| groups.differ() && !group.is_empty());
    if let Some(team) = &team
        && teams.insert(team.clone())
    {
        draft.team(object([("name", Some(team.as_str().into()))]));
    }
    let quota = row.get("quota");
    let limits = quota.as_ref().and_then(Node::number).map(|quota| money(quota, unit));
    if let Some(id) = &id {
        users.insert(id.said(), name.clone());
    }
    draft.user(object([
        ("name", Some(name.as_str().into())),
        ("role", admin.then(|| "admin".into())),
        ("enabled", (!on).then_some(Value::Bool(false))),
        ("team", team.map(Value::from)),
        ("limits", limits),
    ]));
    for node in [id, login, role, row.get("status"), group].into_iter().flatten() {
        node.exact("users");
    }
    if let Some(node) = quota {
        node.approximate(
            "limits of the user",
            "what is left, in dollars by the vendors' prices; it is not filled up by payments",
        );
    }
    if let Some(node) = row.get("password") {
        node.manual("passwords are not taken over: `polyport users set-password NAME` for those who sign in");
    }
    row.all_unsupported(
        &["used_quota", "request_count", "created_at", "last_login_at", "last_active_at"],
        super::super::PAST,
    );
    if let Some(node) = row.get("access_token").filter(|node| node.text().is_some()) {
        node.manual("make keys of operators with `access.admin_keys`");
    }
    row.all_unsupported(
        &[
            "display_name",
            "email",
            "github_id",
            "oidc_id",
            "wechat_id",
            "lark_id",
            "telegram_id",
            "linux_do_id",
            "verification_code",
            "aff_code",
            "aff_count",
            "aff_quota",
            "aff_history",
            "inviter_id",
            "setting",
            "stripe_customer",
            "remark",
        ],
        "users sign in with a name and a password, or through `access.oidc`",
    );
}

fn token(row: &Node<'_>, unit: f64, users: &HashMap<String, String>, draft: &mut Draft<'_>) {
    let Some(key) = row.get("key") else {
        row.manual("a key without its text");
        return;
    };
    let Some(text) = key.text() else {
        key.unsupported("a text is expected");
        return;
    };
    if row.get("deleted_at").is_some() {
        row.unsupported("deleted there");
        return;
    }
    let status = row.get("status").and_then(|node| node.count()).unwrap_or(1);
    let expires = row.get("expired_time");
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    let until =
        expires.as_ref().and_then(Node::number).filter(|at| (1.0..=1e11).contains(at)).map(|at| at as i64 * 1000);
    if until.is_some_and(|until| draft.is_past(until)) {
        row.unsupported("it has expired");
        return;
    }
    let unlimited = row.get("unlimited_quota").and_then(|node| node.flag()) == Some(true);
    let left = row.get("remain_quota").and_then(|node| node.number()).unwrap_or(0.0);
    let limited = row.get("model_limits_enabled").and_then(|node| node.flag());
    let list = row.any(&["models", "model_limits"]);
    let models = texts(list.as_ref()).filter(|models| limited != Some(false) && models.len() <= LONGEST);
    let networks_node = row.any(&["subnet", "allow_ips"]);
    let owner = row.get("user_id");
    let user = owner.as_ref().and_then(|node| users.get(&node.said()));
    let name = row.get("name");
    let more: Map<String, Value> = object([
        ("user", user.map(|user| user.as_str().into())),
        ("enabled", (status != 1).then_some(Value::Bool(false))),
        ("expires_at", until.map(Value::from)),
        ("models", models.map(Value::from)),
        ("networks", texts(networks_node.as_ref()).map(Value::from)),
        ("limits", (!unlimited).then(|| money(left, unit))),
    ]);
    let label = name.as_ref().map(Node::said).filter(|name| !name.is_empty()).unwrap_or_else(|| "key".to_owned());
    let label = user.map_or_else(|| label.clone(), |user| format!("{user} {label}"));
    // Clients send it with these letters before it.
    let full = if text.starts_with("sk-") { text.to_owned() } else { format!("sk-{text}") };
    draft.client_key_text(&key, &label, full, more);
    for node in [expires, list, networks_node, owner, name].into_iter().flatten() {
        node.exact("keys");
    }
    row.all_exact(&["id", "status", "unlimited_quota", "model_limits_enabled"], "keys");
    if let Some(node) = row.get("remain_quota") {
        node.approximate("limits of the key", "what is left, in dollars by the vendors' prices");
    }
    if let Some(node) = row.get("group").filter(|node| node.text().is_some()) {
        node.manual("a key belongs to the team of its user: make the user one of this team, or give the key a team instead of a user");
    }
    row.all_unsupported(&["cross_group_retry", "billing_type"], "fall-backs are those of pools");
    row.all_unsupported(&["created_time", "accessed_time", "used_quota"], super::super::PAST);
}

/// Names with commas or lines between them.
fn texts(node: Option<&Node<'_>>) -> Option<Vec<String>> {
    let said = node?.said();
    let mut all: Vec<String> = Vec::new();
    for one in said.split([',', '\n', ';']).map(str::trim).filter(|one| !one.is_empty()) {
        if !all.iter().any(|known| known == one) {
            all.push(one.to_owned());
        }
    }
    (!all.is_empty()).then_some(all)
}
