//! What the keys of a team, a user or a program may do.

use std::net::IpAddr;

use polyport_provider::Network;
use polyport_types::{ClientProtocol, Pattern, Text};
use serde_json::{Map, Value, json};

use super::quotas::{self, ByModels};

/// Longest list in a rule.
const LONGEST: usize = 1000;

/// The members of rules.
pub(crate) const MEMBERS: [&str; 6] = ["models", "pools", "protocols", "networks", "limits", "capture"];

/// What is allowed; an empty list allows everything of its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rules {
    /// Names of models, as clients write them; `*` stands for anything.
    models: Vec<Pattern>,
    /// Names of pools.
    pools: Vec<Text>,
    protocols: Vec<ClientProtocol>,
    /// Where requests may come from, as it was written.
    networks: Vec<(Text, Network)>,
    /// How much may be used.
    pub(crate) limits: ByModels,
    /// Prompts and answers are kept in the request log.
    pub(crate) capture: bool,
}

impl Rules {
    /// Reads the members of a definition; others are left alone.
    ///
    /// # Errors
    /// The member that is wrong, and what is wrong with it.
    pub(crate) fn read(definition: &Map<String, Value>) -> Result<Self, (String, String)> {
        let models = texts(definition, "models")?.into_iter().map(Pattern::new).collect();
        let mut protocols = Vec::new();
        for (at, name) in texts(definition, "protocols")?.into_iter().enumerate() {
            let known = ClientProtocol::ALL.into_iter().find(|known| known.as_str() == &*name);
            let wrong = || {
                let known = ClientProtocol::ALL.map(ClientProtocol::as_str).join(", ");
                (format!("protocols[{at}]"), format!("`{name}` is no protocol; known are {known}"))
            };
            protocols.push(known.ok_or_else(wrong)?);
        }
        let networks = networks(definition)?;
        let capture = match definition.get("capture") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(capture)) => *capture,
            Some(_) => return Err(("capture".to_owned(), "must be true or false".to_owned())),
        };
        let limits = quotas::read(definition)?;
        Ok(Self { models, pools: texts(definition, "pools")?, protocols, networks, limits, capture })
    }

    /// As a definition has it.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "models": self.models.iter().map(Pattern::as_str).collect::<Vec<_>>(),
            "pools": self.pools,
            "protocols": self.protocols.iter().map(|protocol| protocol.as_str()).collect::<Vec<_>>(),
            "networks": self.networks.iter().map(|(text, _)| text).collect::<Vec<_>>(),
            "limits": quotas::shown(&self.limits),
            "capture": self.capture,
        })
    }

    /// Whether there are models that it does not allow.
    pub(crate) fn is_bounded(&self) -> bool {
        !(self.models.is_empty() && self.pools.is_empty())
    }

    pub(crate) fn allows_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }

    pub(crate) fn allows_address(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|(_, network)| network.holds(address))
    }

    pub(crate) fn allows_protocol(&self, protocol: ClientProtocol) -> bool {
        self.protocols.is_empty() || self.protocols.contains(&protocol)
    }

    /// Whether a request that is answered by these pools is allowed; `None` is no pool.
    pub(crate) fn allows_pools<'p>(&self, mut pools: impl Iterator<Item = Option<&'p str>>) -> bool {
        self.pools.is_empty()
            || pools.all(|pool| pool.is_some_and(|pool| self.pools.iter().any(|known| **known == *pool)))
    }
}

/// A list of networks: `10.0.0.0/8`, `2001:db8::/32` or single addresses.
fn networks(definition: &Map<String, Value>) -> Result<Vec<(Text, Network)>, (String, String)> {
    let texts = texts(definition, "networks")?.into_iter().enumerate();
    let read = |(at, text): (usize, Text)| match text.parse::<Network>() {
        Ok(network) => Ok((text, network)),
        Err(error) => Err((format!("networks[{at}]"), error.to_string())),
    };
    texts.map(read).collect()
}

/// A list of texts, each once.
fn texts(definition: &Map<String, Value>, name: &str) -> Result<Vec<Text>, (String, String)> {
    let list = match definition.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err((name.to_owned(), "must be a list of texts".to_owned())),
    };
    if list.len() > LONGEST {
        return Err((name.to_owned(), format!("holds more than {LONGEST} entries")));
    }
    let mut texts: Vec<Text> = Vec::with_capacity(list.len());
    for (at, entry) in list.iter().enumerate() {
        let path = || format!("{name}[{at}]");
        let text = entry.as_str().map(str::trim).filter(|text| !text.is_empty() && text.len() <= 200);
        let text = text.ok_or_else(|| (path(), "must be a text of 1 to 200 bytes".to_owned()))?;
        if texts.iter().any(|known| **known == *text) {
            return Err((path(), format!("`{text}` stands here twice")));
        }
        texts.push(text.into());
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Rules, (String, String)> {
        let Value::Object(members) = value else { panic!() };
        Rules::read(&members)
    }

    #[test]
    fn empty_lists_allow_everything() {
        let rules = read(json!({})).unwrap();
        assert!(rules.allows_model("x") && rules.allows_protocol(ClientProtocol::Gemini));
        assert!(rules.allows_pools([None, Some("a")].into_iter()));
    }

    #[test]
    fn lists_allow_what_they_name() {
        let rules = read(json!({"models": ["gpt-*", "sonnet"], "pools": ["fast"], "protocols": ["messages"]})).unwrap();
        assert!(rules.allows_model("gpt-5") && rules.allows_model("sonnet") && !rules.allows_model("sonnet-2"));
        assert!(rules.allows_protocol(ClientProtocol::Messages) && !rules.allows_protocol(ClientProtocol::Chat));
        assert!(rules.allows_pools([Some("fast")].into_iter()));
        assert!(!rules.allows_pools([Some("fast"), None].into_iter()));
        assert_eq!(read(rules.shown()).unwrap(), rules);
    }

    #[test]
    fn networks_hold_addresses() {
        let rules = read(json!({"networks": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]})).unwrap();
        for (address, allowed) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            assert_eq!(rules.allows_address(address.parse().unwrap()), allowed, "{address}");
        }
        assert_eq!(read(rules.shown()).unwrap(), rules);
    }

    #[test]
    fn mistakes_are_named() {
        for (value, path) in [
            (json!({"models": "gpt"}), "models"),
            (json!({"models": ["a", "a"]}), "models[1]"),
            (json!({"models": ["a", ""]}), "models[1]"),
            (json!({"pools": [1]}), "pools[0]"),
            (json!({"protocols": ["chat", "soap"]}), "protocols[1]"),
            (json!({"models": vec!["x"; 1001]}), "models"),
            (json!({"networks": ["10.0.0.0/8", "10.0.0.0/33"]}), "networks[1]"),
            (json!({"networks": ["example.org"]}), "networks[0]"),
        ] {
            assert_eq!(read(value.clone()).unwrap_err().0, path, "{value}");
        }
    }
}
