//! How importers write a plan down.

use core::net::IpAddr;
use std::collections::{BTreeSet, HashMap, HashSet};

use polyport_types::secret::is_sample;
use serde_json::{Map, Value, json};

use crate::finding::Grade;
use crate::format::Format;
use crate::names;
use crate::plan::Plan;
use crate::services;
use crate::source::{Node, Source};
use crate::variables;

/// A shorter key can be guessed; beyond this machine it opens nothing.
const SHORTEST: usize = 16;

/// A plan that is being made.
pub(crate) struct Draft<'a> {
    source: &'a Source,
    plan: Plan,
    providers: HashSet<String>,
    /// Labels of credentials, by provider.
    labels: HashMap<String, HashSet<String>>,
    /// Secrets that are there, by provider.
    secrets: HashSet<(String, String)>,
    key_names: HashSet<String>,
    key_texts: HashSet<String>,
    /// Variables that the configuration itself sets.
    variables: HashMap<String, Node<'a>>,
    /// Unix milliseconds, if anybody knows.
    now: Option<i64>,
}

/// A target of a pool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) to: String,
    pub(crate) weight: u64,
    pub(crate) priority: u64,
}

impl Target {
    pub(crate) fn new(provider: &str, model: &str) -> Self {
        Self { to: format!("{provider}/{model}"), weight: 1, priority: 1 }
    }

    fn value(&self) -> Value {
        if (self.weight, self.priority) == (1, 1) {
            return self.to.as_str().into();
        }
        let mut value = Map::from_iter([("target".to_owned(), self.to.as_str().into())]);
        if self.weight != 1 {
            value.insert("weight".to_owned(), self.weight.clamp(1, u64::from(u32::MAX)).into());
        }
        if self.priority != 1 {
            value.insert("priority".to_owned(), self.priority.clamp(1, u64::from(u32::MAX)).into());
        }
        value.into()
    }
}

/// An object from pairs of which some are not there.
pub(crate) fn object<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Map<String, Value> {
    pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

/// Seconds as a time with its unit.
pub(crate) fn seconds(number: f64) -> Option<Value> {
    if !(0.001..=1e8).contains(&number) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    let millis = (number * 1000.0).round() as u64;
    Some(if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }.into())
}

impl<'a> Draft<'a> {
    pub(crate) fn new(format: Format, source: &'a Source, now: Option<i64>) -> Self {
        let plan = Plan {
            format,
            settings: json!({}),
            providers: Vec::new(),
            credentials: Vec::new(),
            pools: Vec::new(),
            routes: Vec::new(),
            teams: Vec::new(),
            users: Vec::new(),
            keys: Vec::new(),
            findings: Vec::new(),
        };
        Self {
            source,
            plan,
            providers: HashSet::new(),
            labels: HashMap::new(),
            secrets: HashSet::new(),
            key_names: HashSet::new(),
            key_texts: HashSet::new(),
            variables: HashMap::new(),
            now,
        }
    }

    /// Whether a moment has passed, in Unix milliseconds.
    pub(crate) fn is_past(&self, at: i64) -> bool {
        self.now.is_some_and(|now| at <= now)
    }

    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    /// Variables that the configuration itself sets, by name.
    pub(crate) fn variables(&mut self, map: &Node<'a>) {
        self.variables.extend(map.entries().map(|(name, value)| (name.to_owned(), value)));
    }

    /// A setting of `polyport.yaml`: `server.port`.
    pub(crate) fn set(&mut self, path: &str, value: impl Into<Value>) {
        let mut at = &mut self.plan.settings;
        let mut keys = path.split('.').peekable();
        while let Some(key) = keys.next() {
            if !at.is_object() {
                *at = json!({});
            }
            let Value::Object(members) = at else { return };
            if keys.peek().is_none() {
                members.insert(key.to_owned(), value.into());
                return;
            }
            at = members.entry(key).or_insert_with(|| json!({}));
        }
    }

    /// A setting from a value of the source, which means the same.
    pub(crate) fn setting(&mut self, node: &Node<'_>, path: &str, value: impl Into<Value>) {
        self.set(path, value);
        node.exact(path);
    }

    /// A provider under this name, or one like it that is free. Says which.
    pub(crate) fn provider(&mut self, want: &str, mut body: Map<String, Value>) -> String {
        let name = names::free(&names::provider(want), &mut self.providers);
        body.shift_insert(0, "name".to_owned(), name.as_str().into());
        self.plan.providers.push(body.into());
        name
    }

    /// A provider that only the configuration file may hold, such as a program.
    pub(crate) fn provider_of_file(&mut self, want: &str, body: Map<String, Value>) -> String {
        let name = names::free(&names::provider(want), &mut self.providers);
        if let Value::Object(settings) = &mut self.plan.settings
            && let Value::Object(providers) = settings.entry("providers").or_insert_with(|| json!({}))
        {
            providers.insert(name.clone(), body.into());
        }
        name
    }

    /// Whether there is a provider of this name.
    pub(crate) fn has_provider(&self, name: &str) -> bool {
        self.providers.contains(name)
    }

    /// Changes a provider that was made.
    pub(crate) fn change(&mut self, provider: &str, member: &str, value: impl Into<Value>) {
        let found = self.plan.providers.iter_mut().find(|one| one.get("name").is_some_and(|name| name == provider));
        if let Some(Value::Object(body)) = found {
            body.insert(member.to_owned(), value.into());
        }
    }

    /// What a text that may refer to a variable says: itself, the variable's value in a `.env` file, or `env:NAME`.
    pub(crate) fn follow(&self, text: &str, prefixes: &[&str]) -> String {
        let Some(name) = variables::referred(text, prefixes) else { return text.trim().to_owned() };
        match self.source.variable(name).or_else(|| self.variables.get(name).cloned()) {
            Some(node) => {
                node.exact("its value, where it is referred to");
                node.said()
            }
            None => variables::reference(name),
        }
    }

    /// A key of a provider. Notes what became of it.
    pub(crate) fn key(&mut self, node: &Node<'_>, provider: &str, prefixes: &[&str], more: Map<String, Value>) {
        let Some(text) = node.text() else {
            node.unsupported("a key is a text");
            return;
        };
        let text = self.follow(text, prefixes);
        self.key_text(node, provider, &text, "key", more);
    }

    /// A credential with this secret as `member`.
    pub(crate) fn key_text(
        &mut self,
        node: &Node<'_>,
        provider: &str,
        text: &str,
        member: &str,
        mut more: Map<String, Value>,
    ) {
        if is_sample(text) || text.starts_with('$') || text.chars().any(char::is_control) && member == "key" {
            node.manual(format!("this is no key but a sample: give `{provider}` one of your own"));
            return;
        }
        if !self.secrets.insert((provider.to_owned(), text.to_owned())) {
            node.exact(format!("credentials of {provider}"));
            return;
        }
        let want = match more.shift_remove("name").as_ref().and_then(Value::as_str).map(names::label) {
            Some(name) if !name.is_empty() => name,
            _ if member == "key" => variables::name_of(text).map_or_else(
                || format!("key {}", self.labels.get(provider).map_or(0, HashSet::len) + 1),
                str::to_owned,
            ),
            _ => format!("account {}", self.labels.get(provider).map_or(0, HashSet::len) + 1),
        };
        let label = names::free(&want, self.labels.entry(provider.to_owned()).or_default());
        let mut body =
            object([("provider", Some(provider.into())), ("name", Some(label.into())), (member, Some(text.into()))]);
        body.extend(more);
        self.plan.credentials.push(body.into());
        match variables::name_of(text) {
            Some(name) => {
                let note = format!("set {name} when you import, or give the key afterwards");
                node.grade(Grade::Exact, format!("credentials of {provider}"), note);
            }
            None => node.exact(format!("credentials of {provider}")),
        }
    }

    /// Changes the keys of a provider: all of them, or only where there is one.
    pub(crate) fn change_credentials(&mut self, provider: &str, member: &str, value: impl Into<Value>) {
        let value = value.into();
        for credential in self.plan.credentials.iter_mut().filter(|one| one["provider"] == provider) {
            if let Value::Object(members) = credential {
                members.insert(member.to_owned(), value.clone());
            }
        }
    }

    /// A pool; one whose name cannot be one becomes a route. Says what was made.
    pub(crate) fn pool(&mut self, name: &str, targets: &[Target], more: Map<String, Value>) -> String {
        let mut body =
            object([("name", Some(name.into())), ("targets", Some(targets.iter().map(Target::value).collect()))]);
        body.extend(more);
        match self.plan.pools.iter_mut().find(|known| known.get("name").is_some_and(|known| known == name)) {
            Some(known) => *known = body.into(),
            None => self.plan.pools.push(body.into()),
        }
        format!("pools.{name}")
    }

    /// A pool as it was written.
    pub(crate) fn pool_as_is(&mut self, name: &str, body: Map<String, Value>) {
        if !self.has_pool(name) {
            self.plan.pools.push(body.into());
        }
    }

    /// Whether there is a pool of this name.
    pub(crate) fn has_pool(&self, name: &str) -> bool {
        self.plan.pools.iter().any(|known| known.get("name").is_some_and(|known| known == name))
    }

    /// Changes a pool that was made.
    pub(crate) fn change_pool(&mut self, name: &str, member: &str, value: impl Into<Value>) {
        let found = self.plan.pools.iter_mut().find(|one| one.get("name").is_some_and(|known| known == name));
        if let Some(Value::Object(body)) = found {
            body.insert(member.to_owned(), value.into());
        }
    }

    pub(crate) fn has_fallbacks(&self, name: &str) -> bool {
        self.plan.pools.iter().any(|known| known["name"] == name && known.get("fallbacks").is_some())
    }

    /// Whether one of these pools falls back to that one, directly or not.
    pub(crate) fn leads_back(&self, name: &str, to: &[&str]) -> bool {
        let mut next: Vec<&str> = to.to_vec();
        let mut seen = HashSet::new();
        while let Some(pool) = next.pop() {
            if pool == name {
                return true;
            }
            if !seen.insert(pool) {
                continue;
            }
            let of = self.plan.pools.iter().find(|known| known["name"] == pool);
            let fallbacks = of.and_then(|pool| pool.get("fallbacks")?.as_array());
            next.extend(fallbacks.into_iter().flatten().filter_map(Value::as_str));
        }
        false
    }

    /// Names of all pools.
    pub(crate) fn pools(&self) -> Vec<String> {
        self.plan.pools.iter().filter_map(|pool| pool.get("name")?.as_str().map(str::to_owned)).collect()
    }

    /// A route, unless there is one like it.
    pub(crate) fn route(&mut self, name: &str, body: Map<String, Value>) {
        let mut route = Map::from_iter([("name".to_owned(), Value::from(names::label(name)))]);
        route.extend(body);
        let route = Value::Object(route);
        let same = |known: &Value| known.get("match") == route.get("match") && known.get("to") == route.get("to");
        if !self.plan.routes.iter().any(same) {
            self.plan.routes.push(route);
        }
    }

    /// A key of a client. Notes what became of it; says its name.
    pub(crate) fn client_key(
        &mut self,
        node: &Node<'_>,
        want: &str,
        prefixes: &[&str],
        more: Map<String, Value>,
    ) -> Option<String> {
        let Some(text) = node.text() else {
            node.unsupported("a key is a text");
            return None;
        };
        let text = self.follow(text, prefixes);
        self.client_key_text(node, want, text, more)
    }

    /// The same with the text that clients send.
    pub(crate) fn client_key_text(
        &mut self,
        node: &Node<'_>,
        want: &str,
        text: String,
        more: Map<String, Value>,
    ) -> Option<String> {
        if is_sample(&text) {
            node.manual("this is no key but a sample: make keys for your clients with POST /admin/api/keys");
            return None;
        }
        if !self.key_texts.insert(text.clone()) {
            node.exact("keys");
            return None;
        }
        let want = match names::label(want) {
            name if name.is_empty() => "client".to_owned(),
            name => name,
        };
        let name = names::free(&want, &mut self.key_names);
        let mut body = object([("name", Some(name.as_str().into())), ("key", Some(text.into()))]);
        body.extend(more);
        self.plan.keys.push(body.into());
        node.exact("keys");
        Some(name)
    }

    /// Whether clients have keys.
    pub(crate) fn has_keys(&self) -> bool {
        !self.plan.keys.is_empty()
    }

    pub(crate) fn team(&mut self, body: Map<String, Value>) {
        self.plan.teams.push(body.into());
    }

    pub(crate) fn user(&mut self, body: Map<String, Value>) {
        self.plan.users.push(body.into());
    }

    /// Whether a key of clients or operators is too short to be kept from strangers.
    fn has_short_keys(&self) -> bool {
        let admins = self.plan.settings["access"]["admin_keys"].as_array();
        let clients = self.plan.keys.iter().filter_map(|key| key.get("key"));
        let mut all = admins.into_iter().flatten().chain(clients).filter_map(Value::as_str);
        all.any(|key| variables::name_of(key).is_none() && key.chars().count() < SHORTEST)
    }

    /// Where to listen, as far as that is safe: not beyond this machine without keys.
    pub(crate) fn listen(&mut self, host: Option<Node<'_>>, port: Option<Node<'_>>) {
        if let Some(port) = port {
            match port.count().filter(|port| *port <= u64::from(u16::MAX)) {
                Some(number) => self.setting(&port, "server.port", number),
                None => port.manual("this is no port: set `server.port`"),
            }
        }
        let Some(host) = host else { return };
        let said = host.said();
        let public = match said.as_str() {
            "localhost" => false,
            // Everything, as Go and others have it.
            "" | "*" => true,
            text => match text.trim_matches(['[', ']']).parse::<IpAddr>() {
                Ok(address) => !address.is_loopback(),
                Err(_) => {
                    host.manual("a name is no address to listen on: set `server.host`");
                    return;
                }
            },
        };
        if public && !self.has_keys() {
            host.manual("without keys Polyport listens on this machine only: make a key, then set `server.host`");
            return;
        }
        if public && self.has_short_keys() {
            host.manual(format!(
                "a key of fewer than {SHORTEST} characters can be guessed: replace it by a longer one, then set `server.host`"
            ));
            return;
        }
        let address = match said.as_str() {
            "localhost" => "127.0.0.1",
            "" | "*" => "0.0.0.0",
            text => text.trim_matches(['[', ']']),
        };
        self.setting(&host, "server.host", address);
    }

    /// The plan, with what it needs to be in force.
    pub(crate) fn finish(mut self) -> Plan {
        self.reach();
        self.close();
        self.plan.findings = self.source.findings();
        self.plan
    }

    /// Clients that needed a key there need one here.
    fn close(&mut self) {
        if !self.plan.keys.is_empty() && self.plan.settings["access"]["open"].is_null() {
            self.set("access.open", false);
        }
    }

    /// Providers of the database may not be in private networks unless that is allowed.
    fn reach(&mut self) {
        let public =
            self.plan.settings["server"]["host"].as_str().is_some_and(|host| host != "127.0.0.1" && host != "::1");
        let (mut networks, mut own, mut named) = (BTreeSet::new(), false, BTreeSet::new());
        let addresses = self.plan.providers.iter().flat_map(|one| ["base_url", "proxy"].map(|member| one.get(member)));
        for address in addresses.filter_map(|address| address?.as_str()) {
            let Some((host, _)) = services::host(address) else { continue };
            match host.parse::<IpAddr>() {
                Ok(ip) if ip.is_loopback() => own = true,
                Ok(IpAddr::V4(ip)) if ip.is_private() || ip.is_link_local() => {
                    networks.insert(format!("{ip}/32"));
                }
                Ok(IpAddr::V6(ip)) if ip.is_unique_local() => {
                    networks.insert(format!("{ip}/128"));
                }
                Ok(_) => {}
                Err(_) if host == "localhost" => own = true,
                Err(_) if !host.contains('.') || host.ends_with(".local") || host.ends_with(".internal") => {
                    named.insert(host);
                }
                Err(_) => {}
            }
        }
        for host in named {
            let note = format!("`{host}` is in a network of yours: add that to `access.networks`");
            self.source.implied("base_url", Grade::Manual, "", &note);
        }
        if networks.is_empty() && !(own && public) {
            return;
        }
        networks.extend(["127.0.0.0/8".to_owned(), "::1".to_owned()]);
        self.set("access.networks", networks.into_iter().collect::<Vec<_>>());
        self.source.implied("base_url", Grade::Exact, "access.networks", "");
    }
}
