//! Known services by their addresses, and the few words in which an address is written.

use serde_json::{Map, Value};

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Chat,
    Responses,
    Messages,
    Gemini,
}

impl Speaks {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }
}

/// Ends of host names and the preset of the service there, which speaks Chat.
const HOSTS: [(&str, &str); 26] = [
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure"),
    ("services.ai.azure.com", "azure-ai"),
    ("api.deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral"),
    ("api.x.ai", "xai"),
    ("api.moonshot.ai", "moonshot"),
    ("api.moonshot.cn", "moonshot"),
    ("dashscope.aliyuncs.com", "dashscope"),
    ("dashscope-intl.aliyuncs.com", "dashscope"),
    ("api.z.ai", "zai"),
    ("open.bigmodel.cn", "zai"),
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.cerebras.ai", "cerebras"),
    ("api.fireworks.ai", "fireworks"),
    ("api.deepinfra.com", "deepinfra"),
    ("databricks.com", "databricks"),
    ("azuredatabricks.net", "databricks"),
    ("databricks.azure.cn", "databricks"),
    ("databricks.azure.us", "databricks"),
    ("snowflakecomputing.com", "snowflake"),
    ("snowflakecomputing.cn", "snowflake"),
    ("generativelanguage.googleapis.com", "gemini-compat"),
];

/// The preset of the service that is spoken to like this at an address.
pub(crate) fn preset(address: &str, speaks: Speaks) -> Option<&'static str> {
    let (host, port) = host(address)?;
    match speaks {
        Speaks::Messages => (host == "api.anthropic.com").then_some("anthropic"),
        Speaks::Gemini => (host == "generativelanguage.googleapis.com").then_some("gemini"),
        Speaks::Responses => (host == "api.openai.com").then_some("openai-responses"),
        Speaks::Chat => {
            let of_host = HOSTS.iter().find(|(end, _)| {
                host.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
            });
            of_host.map(|(_, preset)| *preset).or(match port {
                Some("11434") => Some("ollama"),
                Some("1234") => Some("lm-studio"),
                _ => None,
            })
        }
    }
}

/// Host, in small letters, and port of an address.
pub(crate) fn host(address: &str) -> Option<(String, Option<&str>)> {
    let (_, rest) = address.trim().split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host.to_ascii_lowercase(), port.strip_prefix(':')));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    (!host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

/// A provider at this address: with the quirks of the service there, if it is known.
pub(crate) fn at(address: &str, speaks: Speaks) -> Map<String, Value> {
    let mut body = Map::new();
    match preset(address, speaks) {
        Some(preset) => {
            body.insert("preset".to_owned(), preset.into());
        }
        None if speaks != Speaks::Chat => {
            body.insert("protocol".to_owned(), speaks.as_str().into());
        }
        None => {}
    }
    body.insert("base_url".to_owned(), address.trim().trim_end_matches('/').into());
    body
}

/// A provider of a preset at its own address.
pub(crate) fn of(preset: &str) -> Map<String, Value> {
    Map::from_iter([("preset".to_owned(), preset.into())])
}

/// The address with `/v1`, where a gateway adds that by itself.
pub(crate) fn versioned(address: &str) -> String {
    let address = address.trim().trim_end_matches('/');
    match address.rsplit('/').next() {
        Some(last) if last.len() > 1 && last.starts_with('v') && last.chars().skip(1).all(|c| c.is_ascii_digit()) => {
            address.to_owned()
        }
        _ => format!("{address}/v1"),
    }
}

/// The address without what a gateway of the other kind writes behind it.
pub(crate) fn without(address: &str, tail: &str) -> String {
    let address = address.trim().trim_end_matches('/');
    address.strip_suffix(tail).unwrap_or(address).trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_host_and_protocol() {
        assert_eq!(preset("https://api.openai.com/v1", Speaks::Chat), Some("openai"));
        assert_eq!(preset("https://me.openai.azure.com", Speaks::Chat), Some("azure"));
        assert_eq!(preset("https://notapi.openai.com.evil.example/v1", Speaks::Chat), None);
        assert_eq!(preset("https://api.deepseek.com/anthropic", Speaks::Messages), None);
        assert_eq!(preset("http://[::1]:11434/v1", Speaks::Chat), Some("ollama"));
        assert_eq!(preset("nonsense", Speaks::Chat), None);
    }

    #[test]
    fn versions_are_added_once() {
        assert_eq!(versioned("https://a.example/"), "https://a.example/v1");
        assert_eq!(versioned("https://a.example/v4"), "https://a.example/v4");
        assert_eq!(without("https://a.example/v1/chat/completions", "/chat/completions"), "https://a.example/v1");
    }
}
