//! Files of accounts: a JSON object each, with its `type`.

use serde_json::{Map, Value, json};

use crate::draft::{Draft, Target, object};
use crate::source::Node;

const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Types that are known, used or not.
const TYPES: [&str; 10] =
    ["gemini", "gemini-cli", "antigravity", "vertex", "claude", "codex", "qwen", "iflow", "kimi", "xai"];

pub(super) fn is_account(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    TYPES.contains(&kind)
        && ["access_token", "refresh_token", "token", "service_account", "api_key", "cookie"]
            .iter()
            .any(|member| value.get(member).is_some())
}

pub(super) fn read(accounts: &[Node<'_>], draft: &mut Draft<'_>) {
    for account in accounts {
        match account.get("type").map(|node| node.said()).as_deref() {
            Some("gemini" | "gemini-cli") => gemini(account, draft),
            Some("vertex") => vertex(account, draft),
            Some("antigravity") => antigravity(account, draft),
            Some(kind) => account.manual(format!(
                "accounts of {kind} that people sign in with are bound to its own program: use a key of the vendor's API instead"
            )),
            None => {}
        }
    }
}

fn label(account: &Node<'_>) -> Option<Value> {
    account.any(&["email", "label"]).and_then(|node| node.text().map(Value::from))
}

/// The rest of what a file says.
fn rest(account: &Node<'_>, name: &str) {
    let became = format!("credentials of {name}");
    account.all_exact(&["type", "email", "project_id", "disabled", "prefix"], &became);
    account.all_exact(
        &["access_token", "expired", "expires_in", "expiry", "timestamp", "last_refresh", "id_token"],
        "fetched anew",
    );
    account.all_exact(&["auto", "checked"], "asked of the service");
}

fn off(account: &Node<'_>) -> Option<Value> {
    (account.get("disabled").and_then(|node| node.flag()) == Some(true)).then_some(Value::Bool(false))
}

/// The provider of this name, made if it is not there.
fn provider(want: &str, body: impl FnOnce() -> Map<String, Value>, draft: &mut Draft<'_>) -> String {
    if draft.has_provider(want) { want.to_owned() } else { draft.provider(want, body()) }
}

fn gemini(account: &Node<'_>, draft: &mut Draft<'_>) {
    let token = account.get("token").unwrap_or_else(|| account.clone());
    let (Some(refresh), Some(client)) = (token.get("refresh_token"), token.get("client_id")) else {
        account.manual("an account without `refresh_token` or `client_id`: sign in again there");
        return;
    };
    let url = token
        .get("token_uri")
        .map(|node| node.said())
        .filter(|text| text.starts_with("https://"))
        .unwrap_or_else(|| TOKEN_URL.to_owned());
    let secret = token.get("client_secret").map(|node| node.said());
    let oauth = json!({ "token_url": url, "client_id": client.said(), "client_secret": secret });
    let name =
        provider("code-assist", || object([("preset", Some("code-assist".into())), ("oauth", Some(oauth))]), draft);
    // Projects may be several, with commas between them.
    let project = account
        .get("project_id")
        .map(|node| node.said())
        .and_then(|text| text.split(',').next().map(str::trim).map(str::to_owned));
    let more = object([
        ("name", label(account)),
        ("project", project.filter(|text| !text.is_empty()).map(Value::from)),
        ("enabled", off(account)),
    ]);
    draft.key_text(&refresh, &name, &refresh.said(), "refresh_token", more);
    for member in ["client_id", "client_secret", "token_uri"] {
        if let Some(node) = token.get(member) {
            node.exact(format!("providers.{name}.oauth"));
        }
    }
    token.all_exact(
        &["access_token", "expiry", "token_type", "scopes", "universe_domain", "expires_in"],
        "fetched anew",
    );
    rest(account, &name);
}

/// Its files name no client.
fn antigravity(account: &Node<'_>, draft: &mut Draft<'_>) {
    let Some(refresh) = account.get("refresh_token") else {
        account.manual("an account without `refresh_token`: sign in again there");
        return;
    };
    let client = |draft: &Draft<'_>, word: &str| draft.follow(&format!("env:ANTIGRAVITY_{word}"), &["env:"]);
    let oauth = json!({ "token_url": TOKEN_URL, "client_id": client(draft, "CLIENT_ID"), "client_secret": client(draft, "CLIENT_SECRET") });
    if !draft.has_provider("antigravity") {
        draft.source().implied(
            "",
            crate::finding::Grade::Manual,
            "providers.antigravity.oauth",
            "set ANTIGRAVITY_CLIENT_ID and ANTIGRAVITY_CLIENT_SECRET to the OAuth client that the accounts were opened with, and import again",
        );
    }
    let name =
        provider("antigravity", || object([("preset", Some("antigravity".into())), ("oauth", Some(oauth))]), draft);
    let project = account.get("project_id").and_then(|node| node.text().map(Value::from));
    let more = object([("name", label(account)), ("project", project), ("enabled", off(account))]);
    draft.key_text(&refresh, &name, &refresh.said(), "refresh_token", more);
    rest(account, &name);
}

fn vertex(account: &Node<'_>, draft: &mut Draft<'_>) {
    let Some(file) = account.get("service_account") else {
        account.manual("an account without `service_account`");
        return;
    };
    let location = account.get("location");
    let region = location.as_ref().and_then(Node::text).map(Value::from);
    let want = match region.as_ref().and_then(Value::as_str) {
        Some(region) => format!("vertex-{region}"),
        None => "vertex".to_owned(),
    };
    let name = provider(&want, || object([("preset", Some("vertex".into())), ("location", region)]), draft);
    let project = account.get("project_id").and_then(|node| node.text().map(Value::from));
    let more = object([("name", label(account)), ("project", project), ("enabled", off(account))]);
    let text = if file.value.is_object() { file.value.to_string() } else { file.said() };
    draft.key_text(&file, &name, &text, "key_file", more);
    if let Some(location) = location {
        location.exact(format!("providers.{name}.location"));
    }
    rest(account, &name);
}

/// Other names for the models of accounts.
pub(super) fn aliases(root: &Node<'_>, draft: &mut Draft<'_>) {
    for (channel, list) in root.get("oauth-model-alias").iter().flat_map(Node::entries) {
        let provider = match channel {
            "gemini" | "gemini-cli" => "code-assist",
            "antigravity" => "antigravity",
            "vertex" => "vertex",
            _ => "",
        };
        for entry in list.items() {
            let (name, alias) = (entry.get("name"), entry.get("alias"));
            match (name.as_ref().and_then(Node::text), alias.as_ref().and_then(Node::text)) {
                (Some(name), Some(alias)) if draft.has_provider(provider) && !draft.has_pool(alias) => {
                    let became = draft.pool(alias, &[Target::new(provider, name)], Map::new());
                    entry.exact(became);
                }
                _ => entry.manual("the accounts that it is for are not here"),
            }
        }
    }
}
