//! Polyport's own export, which holds no secrets.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::has;
use crate::draft::Draft;
use crate::format::Look;
use crate::source::{Kind, Node, Source};

const LISTS: [&str; 7] = ["providers", "credentials", "pools", "routes", "teams", "users", "keys"];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    look.has_any(&["exported_at"])
        && LISTS.iter().any(|list| {
            let rows = look.tree().and_then(|tree| tree.get(list)?.as_array());
            rows.is_some_and(|rows| rows.iter().any(|row| has(row, "definition")))
        })
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    for root in source.roots(Kind::Tree) {
        root.all_exact(&["version", "exported_at"], "");
        let mut names: HashMap<String, String> = HashMap::new();
        for list in ["teams", "users"] {
            for row in root.get(list).iter().flat_map(Node::items) {
                if let (Some(id), Some(name)) = (row.get("id"), row.get("name")) {
                    names.insert(id.said(), name.said());
                }
            }
        }
        if let Some(settings) = root.get("settings") {
            match settings.value.as_object().is_some_and(Map::is_empty) {
                true => settings.exact("settings"),
                false => settings.manual("settings are taken over with `polyport settings set --from FILE`, from a file that holds what stands here".to_owned()),
            }
        }
        for list in LISTS {
            for row in root.get(list).iter().flat_map(Node::items) {
                entry(list, &row, &names, draft);
            }
        }
    }
}

fn entry(list: &str, row: &Node<'_>, names: &HashMap<String, String>, draft: &mut Draft<'_>) {
    let name = row.get("name").map(|node| node.said()).unwrap_or_default();
    let mut body: Map<String, Value> =
        row.get("definition").and_then(|node| node.value.as_object().cloned()).unwrap_or_default();
    if row.get("enabled").and_then(|node| node.flag()) == Some(false) {
        body.insert("enabled".to_owned(), false.into());
    }
    for member in ["role", "expires_at"] {
        if let Some(node) = row.get(member) {
            body.insert(member.to_owned(), node.value.clone());
        }
    }
    // A key of a user has the user's team.
    let members: &[&str] = if row.get("user").is_some() { &["user"] } else { &["team"] };
    for member in members {
        if let Some(name) = row.get(member).and_then(|node| names.get(&node.said()).cloned()) {
            body.insert((*member).to_owned(), name.into());
        }
    }
    match list {
        "providers" => {
            draft.provider(&name, body);
            row.exact("providers");
        }
        "credentials" => {
            let provider = row.get("provider").map(|node| node.said()).unwrap_or_default();
            row.manual(format!("an export holds no secrets: give `{provider}` the key `{name}` again (`polyport credentials add`), or restore a backup"));
        }
        "pools" => {
            body.shift_insert(0, "name".to_owned(), name.as_str().into());
            draft.pool_as_is(&name, body);
            row.exact("pools");
        }
        "routes" => {
            draft.route(&name, body);
            row.exact("routes");
        }
        "keys" => row.manual(format!(
            "an export holds no secrets: make the key `{name}` again (`polyport keys add`), or restore a backup"
        )),
        _ => {
            body.shift_insert(0, "name".to_owned(), name.as_str().into());
            if list == "teams" {
                draft.team(body)
            } else {
                draft.user(body)
            }
            row.exact(list);
        }
    }
}
