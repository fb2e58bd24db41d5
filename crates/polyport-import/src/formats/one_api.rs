//! One API and New API: their SQLite databases.

mod channels;
mod people;
mod types;

use crate::draft::Draft;
use crate::format::{Format, Look};
use crate::source::{Kind, Node, Source};

pub(super) fn is_like(look: &Look<'_>, new: bool) -> bool {
    if !look.has_tables(&["channels", "tokens"]) {
        return false;
    }
    let of_new = |row: &serde_json::Value| {
        ["channel_info", "auto_ban", "param_override", "tag"].iter().any(|column| row.get(column).is_some())
    };
    let is_new = look.row("channels").is_some_and(of_new)
        || look.row("tokens").is_some_and(|row| row.get("model_limits_enabled").is_some());
    !new || is_new
}

pub(super) fn read(format: Format, source: &Source, draft: &mut Draft<'_>) {
    let kind = if format == Format::NewApi { types::Kind::New } else { types::Kind::One };
    let mut unit = 500_000.0;
    for row in source.table("options").iter().flat_map(Node::items) {
        if row.get("key").is_some_and(|key| key.said() == "QuotaPerUnit")
            && let Some(number) = row.get("value").and_then(|value| value.number()).filter(|number| *number > 0.0)
        {
            unit = number;
        }
    }
    let groups = channels::read(kind, source, draft);
    people::read(&groups, unit, source, draft);
    for row in source.table("options").iter().flat_map(Node::items) {
        option(&row, draft);
    }
    for root in source.roots(Kind::Database) {
        if let Some(table) = root.get("abilities") {
            table.exact("pools, which are made of the channels");
        }
        for (name, table) in root.entries() {
            if !["channels", "tokens", "users", "options", "abilities"].contains(&name) {
                table.unsupported(super::PAST);
            }
        }
    }
    for root in source.roots(Kind::Variables) {
        variables(&root, draft);
    }
}

/// A row of settings.
fn option(row: &Node<'_>, draft: &mut Draft<'_>) {
    let (Some(key), value) = (row.get("key"), row.get("value")) else {
        row.unsupported("a setting without a name");
        return;
    };
    let Some(value) = value else {
        row.exact("");
        return;
    };
    match key.said().as_str() {
        "QuotaPerUnit" => row.exact("limits in money"),
        "RetryTimes" => match value.number().filter(|number| (0.0..=100.0).contains(number)) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
            Some(number) => {
                draft.set("retry.attempts", number as u64 + 1);
                row.approximate("retry.attempts", "every target is tried in any case");
            }
            None => row.manual("set `retry.attempts`"),
        },
        "AutomaticDisableChannelEnabled" | "AutomaticEnableChannelEnabled" | "ChannelDisableThreshold" => {
            row.approximate("cooldown", "what fails rests and comes back by itself");
        }
        "ModelRatio" | "CompletionRatio" | "ModelPrice" | "CacheRatio" => {
            row.manual("prices are those of the vendors, in dollars; give others in `accounting.prices`");
        }
        "GroupRatio" | "TopupGroupRatio" | "UserUsableGroups" => {
            row.manual("teams have no factor of their own: give them other limits");
        }
        "LogConsumeEnabled" => row.exact("the request log"),
        _ => row.unsupported("a setting of its pages, of registration or of payment"),
    }
}

fn variables(root: &Node<'_>, draft: &mut Draft<'_>) {
    if let Some(node) = root.get("SQL_DSN").filter(|node| node.text().is_some()) {
        node.manual("this gateway keeps its tables on a server: export them to SQLite and import that; Polyport's own database is `store.url`");
    }
    if let Some(node) = root.any(&["REDIS_CONN_STRING"]).filter(|node| node.text().is_some()) {
        node.exact("several gateways share a Postgres database");
    }
    for (name, path) in [("RELAY_TIMEOUT", "limits.total"), ("STREAMING_TIMEOUT", "limits.idle")] {
        if let Some(node) = root.get(name) {
            match node.number().and_then(crate::draft::seconds) {
                Some(time) => draft.setting(&node, path, time),
                None => node.exact(path),
            }
        }
    }
    root.all_unsupported(
        &[
            "SESSION_SECRET",
            "SYNC_FREQUENCY",
            "MEMORY_CACHE_ENABLED",
            "BATCH_UPDATE_ENABLED",
            "NODE_TYPE",
            "THEME",
            "TIKTOKEN_CACHE_DIR",
        ],
        "nothing here needs it",
    );
    draft.listen(root.get("HOST"), root.get("PORT"));
}
