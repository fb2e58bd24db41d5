//! CLIProxyAPI: `config.yaml`, and the folder of accounts.

mod accounts;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::has;
use crate::draft::{Draft, Target, object, seconds};
use crate::format::Look;
use crate::services::{self, Speaks};
use crate::source::{Kind, Node, Source};

/// Sections of keys: the preset, and what is spoken at another address.
const SECTIONS: [(&str, &str, Speaks); 6] = [
    ("gemini-api-key", "gemini", Speaks::Gemini),
    ("claude-api-key", "anthropic", Speaks::Messages),
    ("codex-api-key", "openai-responses", Speaks::Responses),
    ("xai-api-key", "xai", Speaks::Chat),
    ("vertex-api-key", "vertex", Speaks::Gemini),
    ("generative-language-api-key", "gemini", Speaks::Gemini),
];

pub(super) fn is_like(look: &Look<'_>, _: bool) -> bool {
    look.has_any(&["auth-dir", "openai-compatibility", "remote-management", "oauth-model-alias"])
        || SECTIONS.iter().any(|(section, ..)| look.has_any(&[section]))
        || look.tree().is_some_and(accounts::is_account)
}

/// What is known while sections are read.
#[derive(Default)]
struct Made {
    providers: HashMap<String, String>,
    pools: Vec<(String, Vec<Target>)>,
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let mut made = Made::default();
    let roots: Vec<Node<'_>> = source.roots(Kind::Tree).collect();
    let (accounts, files): (Vec<_>, Vec<_>) = roots.into_iter().partition(|root| accounts::is_account(root.value));
    for root in &files {
        let strategy = root.get("routing").and_then(|routing| routing.get("strategy")).map(|node| node.said());
        let strategy = (strategy.as_deref() == Some("fill-first")).then_some("ordered");
        let proxy = root.get("proxy-url").filter(|node| node.text().is_some());
        for (section, preset, speaks) in SECTIONS {
            for entry in root.get(section).iter().flat_map(Node::items) {
                keyed(&entry, section, preset, speaks, proxy.as_ref(), strategy, &mut made, draft);
            }
        }
        for entry in root.get("openai-compatibility").iter().flat_map(Node::items) {
            compatible(&entry, proxy.as_ref(), strategy, &mut made, draft);
        }
        if let Some(proxy) = &proxy {
            proxy.exact("proxy of the providers");
        }
        settings(root, !accounts.is_empty(), draft);
    }
    accounts::read(&accounts, draft);
    for (name, targets) in &made.pools {
        draft.pool(name, targets, Map::new());
    }
    for root in &files {
        accounts::aliases(root, draft);
    }
}

/// Members that entries of all sections share.
fn shared(entry: &Node<'_>, proxy: Option<&Node<'_>>, strategy: Option<&str>, body: &mut Map<String, Value>) {
    let mut headers = Map::new();
    for (name, value) in entry.get("headers").iter().flat_map(Node::entries) {
        let said = value.said();
        if said.starts_with('$') {
            value.unsupported("headers of clients are not copied");
            continue;
        }
        headers.insert(name.to_ascii_lowercase(), said.into());
        value.exact("headers of the provider");
    }
    if !headers.is_empty() {
        body.insert("headers".to_owned(), headers.into());
    }
    let own = entry.get("proxy-url").filter(|node| node.text().is_some());
    if let Some(node) = own.as_ref().or(proxy) {
        let said = node.said();
        let here = if matches!(said.as_str(), "direct" | "none") {
            "none".to_owned()
        } else {
            said.replace("socks5h://", "socks5://")
        };
        body.insert("proxy".to_owned(), here.into());
    }
    if let Some(node) = own {
        node.exact("proxy of the provider");
    }
    if let Some(strategy) = strategy {
        body.insert("strategy".to_owned(), strategy.into());
    }
    entry.all_unsupported(
        &["disable-cooling", "request-scoped-errors"],
        "failures are judged by what providers say; see `cooldown`",
    );
    if let Some(node) = entry.get("request-retry") {
        node.approximate("retry.attempts", "one number for all, see `retry`");
    }
    if let Some(node) = entry.get("excluded-models") {
        node.manual("bound the models of client keys, users or teams instead");
    }
}

/// Models and their other names become pools; names alone are what the provider lists.
fn models(entry: &Node<'_>, name: &str, made: &mut Made, draft: &mut Draft<'_>) {
    let mut names = Vec::new();
    for model in entry.get("models").iter().flat_map(Node::items) {
        let upstream = model.get("name");
        let Some(text) = upstream.as_ref().and_then(Node::text).or(model.text()) else {
            model.manual("a model without a name");
            continue;
        };
        let alias = model.get("alias").and_then(|node| node.text()).unwrap_or(text);
        names.push(text.to_owned());
        let target = Target::new(name, text);
        match made.pools.iter_mut().find(|(known, _)| known == alias) {
            Some((_, targets)) if targets.contains(&target) => {}
            Some((_, targets)) => targets.push(target),
            None => made.pools.push((alias.to_owned(), vec![target])),
        }
        model.all_exact(&["name", "alias", "force-mapping"], &format!("pools.{alias}"));
        model.all_unsupported(
            &[
                "display-name",
                "max-context-length",
                "is-compat",
                "thinking",
                "image",
                "input-modalities",
                "output-modalities",
            ],
            "abilities of models are in a table of their own: correct it with `capabilities`",
        );
        if model.value.is_string() {
            model.exact(format!("pools.{alias}"));
        }
    }
    if !names.is_empty() {
        draft.change(name, "models", names);
    }
}

#[allow(clippy::too_many_arguments, reason = "what makes a provider")]
fn keyed(
    entry: &Node<'_>,
    section: &str,
    preset: &str,
    speaks: Speaks,
    proxy: Option<&Node<'_>>,
    strategy: Option<&str>,
    made: &mut Made,
    draft: &mut Draft<'_>,
) {
    // In the oldest form keys stand alone.
    let key = if entry.value.is_string() { Some(entry.clone()) } else { entry.get("api-key") };
    let base = entry.get("base-url").filter(|node| node.text().is_some());
    let prefix = entry.get("prefix").filter(|node| node.text().is_some());
    let mut body = services::of(preset);
    if let Some(base) = base.as_ref().and_then(Node::text) {
        body.insert("base_url".to_owned(), base.trim_end_matches('/').into());
        // Elsewhere than at the vendor itself keys are bearer tokens.
        if speaks == Speaks::Messages && services::preset(base, speaks).is_none() {
            body.insert("auth_header".to_owned(), "authorization".into());
        }
    }
    shared(entry, proxy, strategy, &mut body);
    let listed = entry.get("models").map(|node| node.value.to_string()).unwrap_or_default();
    let prefix_text = prefix.as_ref().map(Node::said).unwrap_or_default();
    let same = format!("{section}\n{prefix_text}\n{listed}\n{}", Value::Object(body.clone()));
    let want = prefix.as_ref().and_then(Node::text).unwrap_or_else(|| section.split('-').next().unwrap_or(preset));
    let name = match made.providers.get(&same) {
        Some(name) => name.clone(),
        None => {
            let name = draft.provider(want, body);
            made.providers.insert(same, name.clone());
            name
        }
    };
    for node in [base, prefix].into_iter().flatten() {
        node.exact(format!("providers.{name}"));
    }
    let weight = entry.get("weight");
    if let Some(key) = key {
        draft.key(&key, &name, &[], object([("weight", weight.as_ref().and_then(Node::count).map(Value::from))]));
    }
    if let Some(weight) = weight {
        weight.exact(format!("credentials of {name}"));
    }
    models(entry, &name, made, draft);
    entry.all_unsupported(
        &[
            "cloak",
            "fingerprint-profile",
            "experimental-cch-signing",
            "rebuild-mid-system-message",
            "websockets",
            "alpha-search",
        ],
        "requests are not disguised as those of another program",
    );
}

fn compatible(
    entry: &Node<'_>,
    proxy: Option<&Node<'_>>,
    strategy: Option<&str>,
    made: &mut Made,
    draft: &mut Draft<'_>,
) {
    let label = entry.get("name");
    let Some(base) = entry.get("base-url") else {
        entry.manual("a provider without `base-url`");
        return;
    };
    let Some(address) = base.text() else {
        base.unsupported("a text is expected");
        return;
    };
    let prefix = entry.get("prefix").filter(|node| node.text().is_some());
    let want = prefix.as_ref().or(label.as_ref()).and_then(Node::text).unwrap_or("compatible");
    let off = entry.get("disabled").and_then(|node| node.flag()) == Some(true);
    let mut plain = services::at(address, Speaks::Chat);
    if off {
        plain.insert("enabled".to_owned(), false.into());
    }
    shared(entry, proxy, strategy, &mut plain);
    let mut keys: Vec<Node<'_>> = entry.get("api-key-entries").iter().flat_map(Node::items).collect();
    keys.extend(entry.get("api-keys").iter().flat_map(Node::items));
    // A proxy belongs to a provider here.
    let mut of_proxy: Vec<(Option<String>, String)> = Vec::new();
    if keys.is_empty() {
        of_proxy.push((None, draft.provider(want, plain.clone())));
    }
    for key in &keys {
        let own = key.get("proxy-url").map(|node| node.said()).filter(|text| !text.is_empty());
        let name = match of_proxy.iter().find(|(known, _)| *known == own) {
            Some((_, name)) => name.clone(),
            None => {
                let mut body = plain.clone();
                if let Some(own) = &own {
                    body.insert("proxy".to_owned(), if own == "direct" { "none".into() } else { own.as_str().into() });
                }
                let name = draft.provider(want, body);
                of_proxy.push((own, name.clone()));
                name
            }
        };
        let text = if key.value.is_string() { Some(key.clone()) } else { key.get("api-key") };
        let weight = key.get("weight").and_then(|node| node.count());
        if let Some(text) = text {
            draft.key(&text, &name, &[], object([("weight", weight.map(Value::from))]));
        }
        key.all_exact(&["weight", "proxy-url"], &format!("credentials of {name}"));
    }
    for (_, name) in &of_proxy {
        if !off {
            models(entry, name, made, draft);
        }
    }
    let became = of_proxy.first().map(|(_, name)| format!("providers.{name}")).unwrap_or_default();
    for node in [label, Some(base), prefix, entry.get("disabled")].into_iter().flatten() {
        node.exact(became.as_str());
    }
    if off && let Some(models) = entry.get("models") {
        models.exact("left out with its provider");
    }
    entry.all_unsupported(
        &["support-prompt-cache-key"],
        "conversations stay where their prompt cache is warm (`sticky`)",
    );
}

fn settings(root: &Node<'_>, has_accounts: bool, draft: &mut Draft<'_>) {
    for (at, key) in root.get("api-keys").iter().flat_map(Node::items).enumerate() {
        draft.client_key(&key, &format!("client-{}", at + 1), &[], Map::new());
    }
    if let Some(node) =
        root.get("remote-management").and_then(|section| section.get("secret-key")).filter(|node| node.text().is_some())
    {
        match node.text() {
            Some(text) if !text.starts_with("$2") && !polyport_types::secret::is_sample(text) => {
                draft.setting(&node, "access.admin_keys", json!([text]));
            }
            _ => node.manual("only its digest is there: choose an admin key of your own (ADMIN_TOKEN)"),
        }
    }
    if let Some(section) = root.get("remote-management") {
        section.all_unsupported(
            &["allow-remote", "disable-control-panel", "disable-auto-update-panel", "panel-github-repository"],
            "the admin API is part of the program",
        );
    }
    if let Some(node) = root.get("auth-dir").filter(|node| node.text().is_some()) {
        match has_accounts {
            true => node.exact("credentials"),
            false => node.manual("give that folder as well: its accounts are imported with the rest"),
        }
    }
    if let Some(node) = root.get("debug") {
        match node.flag() {
            Some(true) => draft.setting(&node, "log.level", "debug"),
            _ => node.exact("log.level"),
        }
    }
    if let Some(node) = root.get("logging-to-file") {
        match node.flag() {
            Some(true) => draft.setting(&node, "log.file", "polyport.log"),
            _ => node.exact("log.file"),
        }
    }
    if let Some(node) =
        root.get("request-retry").filter(|node| node.number().is_some_and(|number| (0.0..=100.0).contains(&number)))
    {
        draft.set("retry.attempts", node.count().unwrap_or(0) + 1);
        node.approximate("retry.attempts", "every key and target is tried in any case");
    }
    for (member, path) in
        [("max-retry-interval", "retry.max_wait"), ("transient-error-cooldown-seconds", "cooldown.default")]
    {
        if let Some(node) = root.get(member) {
            match node.number().and_then(seconds) {
                Some(time) => {
                    draft.set(path, time);
                    node.approximate(path, "the nearest that there is");
                }
                None => node.exact(path),
            }
        }
    }
    if let Some(routing) = root.get("routing") {
        if let Some(node) = routing.get("strategy") {
            node.exact("strategy of the providers");
        }
        if let Some(node) = routing.get("session-affinity") {
            draft.setting(&node, "sticky", node.flag().unwrap_or(true));
        }
        routing.all_exact(&["session-affinity-ttl", "session-affinity-subagents"], "sticky");
    }
    if let Some(quota) = root.get("quota-exceeded") {
        quota.all_exact(&["switch-project"], "the next account is tried");
        quota.all_unsupported(
            &["switch-preview-model", "antigravity-credits"],
            "another model is tried only where a pool says so",
        );
    }
    root.all_exact(
        &["usage-statistics-enabled", "request-log", "error-logs-max-files", "logs-max-total-size-mb"],
        "the request log",
    );
    if let Some(node) = root.get("tls").filter(|tls| tls.get("enable").and_then(|node| node.flag()) == Some(true)) {
        node.manual("put a reverse proxy with the certificate before it: see docs");
    } else if let Some(node) = root.get("tls") {
        node.exact("");
    }
    if let Some(node) = root.get("payload") {
        node.manual("write what it sets as `quirks.extra_body`, `drop` or `clamp` of the provider");
    }
    if let Some(node) = root.get("oauth-excluded-models") {
        node.manual("bound the models of client keys, users or teams instead");
    }
    draft.listen(root.get("host"), root.get("port"));
    if !draft.has_keys() {
        draft.set("access.open", true);
    }
    if let Some(node) = root.get("ampcode").filter(|node| has(node.value, "upstream-url")) {
        node.unsupported("there is no such upstream");
    }
}
