//! warp2api: refresh tokens in a batch file, a token a line or its SQLite pool, and its `.env`.

use serde_json::{Map, Value, json};

use super::{PAST, has};
use crate::draft::{Draft, object, seconds};
use crate::format::Look;
use crate::source::{Kind, Node, Source};

const NAME: &str = "warp";
/// Google's token service; the key of its address belongs to Warp's own program.
const PLACEHOLDER: &str = "https://securetoken.googleapis.com/v1/token?key=FIREBASE_WEB_API_KEY";
/// Refresh tokens have some two hundred characters; words of other files do not.
const SHORTEST_TOKEN: usize = 32;
const TOKENS: &[&str] = &["refresh_token", "refreshToken", "warp_refresh_token"];

pub(super) fn is_like(look: &Look<'_>, strong: bool) -> bool {
    let account = |one: &Value| TOKENS.iter().any(|key| has(one, key)) && !has(one, "credentials") && !has(one, "type");
    let texts = || {
        look.tree().and_then(|tree| tree.get("tokens")?.as_array()).is_some_and(|all| all.iter().all(Value::is_string))
    };
    look.list(&["accounts", "tokens", "data"]).iter().any(account)
        || texts()
        || look.has_tables(&["token_accounts"])
        || look.has_variable(&["WARP_"])
        || !strong && matches!(look.0.kind, Kind::Lines | Kind::Tree) && are_tokens(&look.0.value)
}

/// Whether a list holds nothing but what may be refresh tokens: long texts without spaces.
fn are_tokens(list: &Value) -> bool {
    let is_token = |one: &Value| {
        one.as_str().is_some_and(|text| text.len() >= SHORTEST_TOKEN && !text.contains(char::is_whitespace))
    };
    list.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_token))
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let provider = provider(source, draft);
    for root in source.roots(Kind::Lines) {
        root.items().for_each(|line| token(&line, &provider, Map::new(), draft));
    }
    for root in source.roots(Kind::Tree) {
        let list = root.any(&["accounts", "tokens", "data"]).unwrap_or_else(|| root.clone());
        for entry in list.items() {
            match entry.value {
                Value::String(_) => token(&entry, &provider, Map::new(), draft),
                _ => account(&entry, &provider, draft),
            }
        }
    }
    if let Some(table) = source.table("token_accounts") {
        table.items().for_each(|row| account(&row, &provider, draft));
        for other in ["token_audit_logs", "token_health_snapshots", "app_state"] {
            if let Some(table) = source.table(other) {
                table.unsupported(PAST);
            }
        }
    }
    for root in source.roots(Kind::Variables) {
        variables(&root, &provider, draft);
    }
}

/// The provider, with the address that its `.env` names.
fn provider(source: &Source, draft: &mut Draft<'_>) -> String {
    let named =
        |name: &str| source.variable(name).filter(|node| node.text().is_some_and(|text| text.starts_with("http")));
    let (secure, refresh) = (named("WARP_SECURETOKEN_URL"), named("WARP_REFRESH_URL"));
    // One of the two has the key.
    let with_key = |node: &Option<Node<'_>>| {
        node.as_ref().and_then(Node::text).filter(|text| text.contains("key=")).map(str::to_owned)
    };
    let (first, second) = (with_key(&secure), with_key(&refresh));
    let (token_url, fallback) = match (first, second) {
        (Some(first), second) => (first, second),
        (None, Some(second)) => (second, None),
        (None, None) => (PLACEHOLDER.to_owned(), None),
    };
    if token_url == PLACEHOLDER {
        let note = "put the web API key of Warp's client into `providers.warp.oauth.token_url`, or WARP_REFRESH_URL into `.env` and import again";
        source.implied("WARP_REFRESH_URL", crate::finding::Grade::Manual, "", note);
    }
    let oauth = object([
        ("token_url", Some(token_url.into())),
        ("fallback_url", fallback.map(Value::from)),
        ("grant", Some("id_token".into())),
    ]);
    for node in [secure, refresh].into_iter().flatten() {
        node.exact("providers.warp.oauth");
    }
    let mut headers = Map::new();
    for (name, header) in [
        ("WARP_CLIENT_VERSION", "x-warp-client-version"),
        ("WARP_OS_CATEGORY", "x-warp-os-category"),
        ("WARP_OS_NAME", "x-warp-os-name"),
        ("WARP_OS_VERSION", "x-warp-os-version"),
    ] {
        if let Some(node) = source.variable(name) {
            headers.insert(header.to_owned(), node.said().into());
            node.exact(format!("providers.warp.headers.{header}"));
        }
    }
    let mut body = object([("preset", Some("warp".into())), ("oauth", Some(oauth.into()))]);
    if !headers.is_empty() {
        body.insert("headers".to_owned(), headers.into());
    }
    draft.provider(NAME, body)
}

fn token(node: &Node<'_>, provider: &str, more: Map<String, Value>, draft: &mut Draft<'_>) {
    let Some(text) = node.text() else {
        node.unsupported("a token is a text");
        return;
    };
    let text = text.trim_matches(['"', '\'']);
    let member = if text.starts_with("wk-") { "key" } else { "refresh_token" };
    draft.key_text(node, provider, text, member, more);
}

fn account(entry: &Node<'_>, provider: &str, draft: &mut Draft<'_>) {
    let email = entry.get("email");
    let status = entry.get("status");
    let off = matches!(status.as_ref().and_then(Node::text), Some("disabled" | "blocked"));
    let more = object([
        ("name", email.as_ref().and_then(Node::text).map(Value::from)),
        ("enabled", off.then_some(Value::Bool(false))),
    ]);
    match entry.any(TOKENS) {
        Some(node) => token(&node, provider, more, draft),
        None if entry.get("refresh_token_encrypted").is_some() => {
            entry.manual("this token is sealed with a key of the gateway: start it once, so that it is written in the clear, or export its accounts");
            return;
        }
        None => {
            entry.manual("an account without a refresh token");
            return;
        }
    }
    let became = format!("credentials of {provider}");
    entry.all_exact(&["email", "status", "id"], &became);
    for key in ["api_key", "apiKey"] {
        if let Some(node) = entry.get(key) {
            match node.text() {
                Some(text) if text.starts_with("wk-") => draft.key(&node, provider, &[], Map::new()),
                _ => node.unsupported("the key of the sign-in service belongs to the address of the token server"),
            }
        }
    }
    entry.all_exact(&["id_token", "idToken", "access_token", "refresh_token_encrypted", "token_hash"], "fetched anew");
    let quota = "asked of the service: POST /admin/api/credentials/{id}/quota";
    entry.all_exact(
        &[
            "total_limit",
            "used_limit",
            "quota",
            "used",
            "quota_limit",
            "quota_used",
            "quota_remaining",
            "quota_is_unlimited",
            "quota_next_refresh_time",
            "quota_refresh_duration",
            "quota_updated_at",
            "cooldown_until",
        ],
        quota,
    );
    entry.all_unsupported(
        &[
            "error_count",
            "last_error_code",
            "last_error_message",
            "last_success_at",
            "last_check_at",
            "use_count",
            "created_at",
            "updated_at",
            "healthy",
            "health_last_checked_at",
            "health_last_success_at",
            "health_last_error",
            "health_consecutive_failures",
            "health_latency_ms",
            "health_updated_at",
        ],
        PAST,
    );
}

fn variables(root: &Node<'_>, provider: &str, draft: &mut Draft<'_>) {
    if let Some(node) = root.get("API_TOKEN") {
        draft.client_key(&node, "client", &[], Map::new());
    }
    if let Some(node) = root.get("ADMIN_TOKEN")
        && let Some(text) = node.text()
    {
        match polyport_types::secret::is_sample(text) {
            true => node.manual("this is a sample: set ADMIN_TOKEN to a key of your own"),
            false => draft.setting(&node, "access.admin_keys", json!([text])),
        }
    }
    for name in ["WARP_REFRESH_TOKEN", "WARP_REFRESH_TOKEN_B64"] {
        if let Some(node) = root.get(name).filter(|node| node.text().is_some()) {
            token(&node, provider, Map::new(), draft);
        }
    }
    for (name, path) in [
        ("WARP_TOKEN_ERROR_COOLDOWN_SECONDS", "cooldown.default"),
        ("WARP_TOKEN_COOLDOWN_SECONDS", "cooldown.window.first"),
        ("WARP_POOL_TOKEN_REFRESH_INTERVAL_SECONDS", "probes.every"),
    ] {
        if let Some(node) = root.get(name) {
            match node.number().and_then(seconds) {
                Some(time) => {
                    draft.set(path, time);
                    node.approximate(path, "what the service itself says goes first");
                }
                None => node.manual(format!("a time in seconds is expected: set `{path}`")),
            }
        }
    }
    for (name, path) in [
        ("WARP_REQUEST_RETRY_COUNT", "retry.attempts"),
        ("WARP_TOKEN_UNHEALTHY_FAILURE_THRESHOLD", "cooldown.failing_row"),
    ] {
        if let Some(node) = root.get(name).filter(|node| node.count().is_some()) {
            draft.set(path, node.count().unwrap_or(1));
            node.approximate(path, "a failure that another account may mend goes on to it at once");
        }
    }
    if let Some(node) = root.get("WARP_TOKEN_ENCRYPTION_KEY").filter(|node| node.text().is_some()) {
        node.manual("leave it set: Polyport reads WARP_TOKEN_ENCRYPTION_KEY as its master key");
    }
    if let Some(node) = root.get("WARP_TOKEN_DB_PATH") {
        node.manual("import that database as well; Polyport's own is `store.url`");
    }
    if let Some(node) = root.get("WARP_ADMIN_AUTH_MODE") {
        match node.text() {
            Some("token") => node.exact("access.admin_keys"),
            _ => node.unsupported("the admin API always needs a key or a sign-in"),
        }
    }
    root.all_exact(&["W2A_VERBOSE"], "log.level");
    if let Some(node) = root.any(&["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"]).filter(|node| node.text().is_some()) {
        node.manual("set the same variable for Polyport, or `proxy` of the provider");
    }
    draft.listen(root.get("HOST"), root.get("PORT"));
}
