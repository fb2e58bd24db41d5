//! What may be shown of a configuration: the schema says where secrets stand, and what it does not know is taken for one.

use std::sync::LazyLock;

use polyport_protocol::classify;
use polyport_recording::redact::is_secret;
use polyport_types::secret::mask;
use serde_json::{Map, Number, Value};

use super::reference::json_schema;
use super::tree::{Kind, Node};

/// Where secrets stand; `*` is any name, and positions in lists are left out.
const SECRETS: [&str; 22] = [
    "access.admin_keys",
    "access.admin_keys.key",
    "access.keys",
    "access.keys.key",
    "access.oidc.client_secret",
    "metrics.keys",
    "metrics.keys.key",
    "notifications.webhooks.secret",
    "providers.*.custom.headers.*",
    "providers.*.headers.*",
    "providers.*.keys",
    "providers.*.keys.access_key_id",
    "providers.*.keys.key",
    "providers.*.keys.session_token",
    "providers.*.oauth.accounts.key_file",
    "providers.*.oauth.accounts.refresh_token",
    "providers.*.oauth.client_secret",
    "providers.*.process.env.*",
    "providers.*.query.*",
    "providers.*.server.env.*",
    "store.url",
    "telemetry.otlp.headers.*",
];

/// Addresses whose path is a secret.
const HOOKS: [&str; 1] = ["notifications.webhooks.url"];

/// Where one is in the schema.
#[derive(Clone)]
pub(super) struct Guide {
    /// What may stand here.
    here: Vec<&'static Value>,
    path: String,
    /// It holds what people think up: names tell.
    free: bool,
    /// Whatever it is, it is not shown.
    covered: bool,
}

fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(json_schema);
    &SCHEMA
}

impl Guide {
    pub(super) fn root() -> Self {
        Self { here: options(schema()), path: String::new(), free: false, covered: false }
    }

    /// At a path such as `access.keys`.
    pub(super) fn at(path: &str) -> Self {
        path.split('.').fold(Self::root(), |guide, key| guide.key(key))
    }

    /// Under a key.
    pub(super) fn key(&self, key: &str) -> Self {
        let join = |key: &str| if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        if self.free || self.covered {
            let covered = self.covered || is_secret(key);
            return Self { here: Vec::new(), path: join(key), free: self.free, covered };
        }
        let known = self.here.iter().find_map(|schema| schema.get("properties")?.get(key));
        if let Some(known) = known {
            return self.step(options(known), join(key), is_any(known));
        }
        let named = self.here.iter().find_map(|schema| schema.get("additionalProperties"));
        match named {
            Some(Value::Object(_)) => {
                let options = named.map(options).unwrap_or_default();
                self.step(options, join("*"), named.is_some_and(is_any))
            }
            Some(Value::Bool(true)) => self.step(Vec::new(), join("*"), true),
            _ => Self { here: Vec::new(), path: join(key), free: false, covered: true },
        }
    }

    fn step(&self, here: Vec<&'static Value>, path: String, free: bool) -> Self {
        let free = free || here.iter().any(|schema| is_any(schema));
        Self { here, path, free, covered: false }
    }

    /// In a list; `before` is what stands before it, which may name it.
    pub(super) fn item(&self, before: Option<&str>) -> Self {
        let here: Vec<&Value> = self.here.iter().filter_map(|schema| schema.get("items")).flat_map(options).collect();
        let named = before.is_some_and(|flag| flag.starts_with('-') && !flag.contains('=') && is_secret(flag));
        let here = if here.is_empty() { self.here.clone() } else { here };
        Self { here, path: self.path.clone(), free: self.free, covered: self.covered || named }
    }

    /// What is shown in the place of a text; `None` where it is shown as it is.
    pub(super) fn scalar(&self, text: &str, plain: bool) -> Option<String> {
        if text.is_empty() || (plain && matches!(text, "~" | "null" | "true" | "false")) || is_reference(text) {
            return None;
        }
        // Of a database, name and host may be seen.
        if self.path == "store.url" && text.contains("://") {
            return address(text, false);
        }
        if self.covered || SECRETS.contains(&self.path.as_str()) {
            return Some(hidden(text));
        }
        if self.path.ends_with(".auth_format") && !text.contains("{key}") {
            return Some(hidden(text));
        }
        if let Some((flag, value)) = text.split_once('=')
            && flag.starts_with('-')
            && is_secret(flag)
        {
            return Some(format!("{flag}={}", hidden(value)));
        }
        let shown = address(text, HOOKS.contains(&self.path.as_str()));
        let clean = classify::mask(shown.as_deref().unwrap_or(text));
        if clean == text { None } else { Some(clean) }
    }

    /// What may be shown of a value.
    pub(super) fn shown(&self, node: &Node) -> Value {
        match &node.kind {
            Kind::Scalar { text, plain } => match self.scalar(text, *plain) {
                Some(masked) => masked.into(),
                None if *plain => typed(text),
                None => text.as_str().into(),
            },
            Kind::List(items) => {
                let mut before: Option<&str> = None;
                let shown = items.iter().map(|item| {
                    let shown = self.item(before).shown(item);
                    before = match &item.kind {
                        Kind::Scalar { text, .. } => Some(text),
                        Kind::List(_) | Kind::Map(_) => None,
                    };
                    shown
                });
                shown.collect()
            }
            Kind::Map(entries) => {
                let members = entries.iter().map(|entry| (entry.key.clone(), self.key(&entry.key).shown(&entry.value)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// Whether a schema allows anything.
fn is_any(schema: &Value) -> bool {
    let says = ["type", "$ref", "anyOf", "oneOf", "enum", "const", "properties"];
    match schema {
        Value::Bool(any) => *any,
        Value::Object(members) => !says.iter().any(|member| members.contains_key(*member)),
        _ => false,
    }
}

/// A schema, what it refers to, and what it lets one choose from.
fn options(given: &'static Value) -> Vec<&'static Value> {
    let mut found = Vec::new();
    let mut waiting = vec![given];
    // References of a schema that refers to itself are followed step by step only.
    for _ in 0..64 {
        let Some(next) = waiting.pop() else { break };
        found.push(next);
        let reference = next.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        waiting.extend(reference.and_then(|name| schema().get("$defs")?.get(name)));
        for list in ["anyOf", "oneOf"] {
            waiting.extend(next.get(list).and_then(Value::as_array).into_iter().flatten());
        }
    }
    found
}

/// Whether a text says where a secret is, and not what it is.
fn is_reference(text: &str) -> bool {
    let Some((head, rest)) = text.trim().split_once(':') else { return false };
    let rest = rest.trim();
    if head.eq_ignore_ascii_case("env") {
        return !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    }
    head.eq_ignore_ascii_case("file") && !rest.is_empty() && !rest.contains(char::is_control)
}

/// What is shown of a secret. Nothing that would have to be quoted.
pub(crate) fn hidden(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if plain { mask(text) } else { mask("") }
}

/// An address without password, values of its query and, if it is a hook, the end of its path. `None` if it may be shown.
pub(crate) fn address(text: &str, hook: bool) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, end)| (rest, Some(end)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let mut shown = format!("{scheme}://");
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let name = user.split_once(':').map_or("…", |(name, _)| name);
            shown.push_str(&format!("{name}:…@{host}"));
        }
        None => shown.push_str(authority),
    }
    match path {
        Some(path) if hook && !path.is_empty() => shown.push_str(&format!("/{}", hidden_path(path))),
        Some(path) => shown.push_str(&format!("/{path}")),
        None => {}
    }
    if let Some(query) = query {
        let members = query.split('&').map(|member| match member.split_once('=') {
            Some((name, value)) if name != "api-version" && !value.contains('{') => format!("{name}=…"),
            _ => member.to_owned(),
        });
        shown.push_str(&format!("?{}", members.collect::<Vec<_>>().join("&")));
    }
    if let Some(fragment) = fragment {
        shown.push_str(if fragment.is_empty() { "#" } else { "#…" });
    }
    (shown != text).then_some(shown)
}

/// The path of a hook: its end tells it from others.
fn hidden_path(path: &str) -> String {
    const SHOWN: usize = 4;
    let count = path.chars().count();
    if count < SHOWN * 4 {
        return "…".to_owned();
    }
    std::iter::once('…').chain(path.chars().skip(count - SHOWN)).collect()
}

/// A text that stands in a file without quotes.
fn typed(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        text => text.parse::<Number>().map_or_else(|_| text.into(), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_secrets_stand_nothing_is_shown() {
        let secret = "canary-0123456789abcdef";
        for path in [
            "access.keys",
            "access.admin_keys",
            "providers.openai.keys",
            "providers.openai.headers.x-title",
            "providers.openai.query.k",
            "providers.openai.oauth.client_secret",
            "providers.openai.oauth.accounts.refresh_token",
            "providers.openai.custom.headers.x",
            "providers.openai.process.env.HOME",
            "providers.openai.custom.body.api_key",
            "providers.openai.apikeys",
            "unheard_of",
            "telemetry.otlp.headers.x",
            "metrics.keys",
        ] {
            let shown = Guide::at(path).scalar(secret, true);
            assert_eq!(shown.as_deref(), Some("can…cdef"), "{path}");
            assert_eq!(Guide::at(path).scalar("env:OPENAI_API_KEY", true), None, "{path}");
            assert_eq!(Guide::at(path).scalar("a 'b'\\\"", true).as_deref(), Some("…"), "{path}");
        }
        for path in ["limits.request_body", "providers.x.preset", "models.fast", "access.networks", "pools.p.targets"] {
            assert_eq!(Guide::at(path).scalar("deepseek", true), None, "{path}");
            let spilt = Guide::at(path).scalar("sk-0123456789abcdef", true).unwrap();
            assert!(!spilt.contains("0123456789"), "{path}: {spilt}");
        }
        assert_eq!(Guide::at("providers.x.process.args").item(Some("--api-key")).scalar("hunter2", true).unwrap(), "…");
        assert_eq!(Guide::at("providers.x.process.args").scalar("--token=hunter2", true).unwrap(), "--token=…");
        let key = Guide::at("access.keys").item(None);
        assert_eq!(key.key("name").scalar("laptop", true), None);
        assert_eq!(key.key("key").scalar(secret, true).as_deref(), Some("can…cdef"));
        assert_eq!(key.scalar(secret, true).as_deref(), Some("can…cdef"));
        assert_eq!(Guide::at("routes").item(None).key("to").scalar("fast", true), None);
        assert_eq!(Guide::at("providers.x.process.args").item(Some("--seed")).scalar("7", true), None);
    }

    #[test]
    fn addresses_lose_what_is_secret_in_them() {
        for (text, hook, shown) in [
            ("https://api.example.com/v1", false, None),
            ("postgres://polyport:hunter2@db:5432/polyport", false, Some("postgres://polyport:…@db:5432/polyport")),
            ("http://hunter2@proxy:8080", false, Some("http://…:…@proxy:8080")),
            (
                "https://a/v1?key=hunter2&api-version=2026-01-01",
                false,
                Some("https://a/v1?key=…&api-version=2026-01-01"),
            ),
            (
                "https://hooks.example.com/services/T01/B02/hunter2hunter2",
                true,
                Some("https://hooks.example.com/…ter2"),
            ),
            ("https://hooks.example.com/", true, None),
            ("https://a/x#hunter2", false, Some("https://a/x#…")),
            ("no address", false, None),
        ] {
            assert_eq!(address(text, hook).as_deref(), shown, "{text}");
        }
    }
}
