//! What `polyport serve` says when it is ready.

use std::net::SocketAddr;

use polyport_server::config::{Config, Source, profile};
use polyport_server::url_of;
use serde_json::{Value, json};

use crate::cmd::providers::{self, keys};
use crate::out;

/// The text: address, what was found, a request per protocol to copy.
pub(crate) fn text(config: &Config, source: &Source, listening: &[SocketAddr], code: Option<&str>) -> String {
    let urls: Vec<String> = listening.iter().map(|address| url_of(*address)).collect();
    let url = urls.first().map_or("", String::as_str);
    let mut out = format!("\nPolyport {} listens on {url}\n\n", env!("CARGO_PKG_VERSION"));
    for more in urls.iter().skip(1) {
        out.push_str(&format!("  also           {more}\n"));
    }
    if let Some(name) = source.profile() {
        out.push_str(&format!("  profile        {name}: {}\n", profile::title(name).unwrap_or_default()));
    }
    let file = source
        .file
        .as_ref()
        .map(|file| file.display().to_string())
        .or_else(|| source.profile().map(|_| "none".to_owned()))
        .unwrap_or("none; looked at the environment and for local servers".to_owned());
    out.push_str(&format!("  configuration  {file}\n"));
    let access = match (config.access.open, config.access.keys().count()) {
        (true, _) => "open to everybody on this machine".to_owned(),
        (false, number) => out::count(number, "client key"),
    };
    out.push_str(&format!("  access         {access}\n"));
    for (at, provider) in config.providers().enumerate() {
        let label = if at == 0 { "providers" } else { "" };
        let models = match provider.models.len() {
            0 => String::new(),
            number => format!(", {}", out::count(number, "model")),
        };
        let keys = match keys(provider).as_str() {
            "none needed" => String::new(),
            "missing" => ", key is missing".to_owned(),
            keys => format!(", {keys}"),
        };
        out.push_str(&format!("  {label:<13}  {} ({}{keys}{models})\n", provider.name, provider.address()));
    }
    if let Some(code) = code {
        out.push_str(&format!("  first admin    {code} (once, at {url}/admin/)\n"));
    }
    out.push_str("\nTry it:\n\n");
    for request in requests(url, config.access.open) {
        out.push_str(&format!("  {request}\n"));
    }
    out.push_str(
        "\n`polyport models` lists what else clients may ask for; `polyport explain MODEL` says where it goes.\n",
    );
    out
}

/// The same for programs, on one line.
pub(crate) fn json(config: &Config, source: &Source, listening: &[SocketAddr], code: Option<&str>) -> Value {
    let urls: Vec<String> = listening.iter().map(|address| url_of(*address)).collect();
    let list: Vec<Value> = config.providers().map(|provider| providers::as_json(provider)).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"), "url": urls.first(), "urls": urls, "configuration": source.file,
        "profile": source.profile(),
        "open": config.access.open, "providers": list, "setup_code": code,
    })
}

fn requests(url: &str, open: bool) -> [String; 4] {
    let key = if open { "" } else { "-H \"authorization: Bearer $POLYPORT_API_KEY\" " };
    let curl =
        |path: &str, body: &str| format!("curl {url}{path} {key}-H 'content-type: application/json' -d '{body}'");
    [
        curl("/v1/chat/completions", r#"{"model":"echo","messages":[{"role":"user","content":"Hello"}]}"#),
        curl("/v1/responses", r#"{"model":"echo","input":"Hello"}"#),
        curl("/v1/messages", r#"{"model":"echo","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}"#),
        curl("/v1beta/models/echo:generateContent", r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#),
    ]
}

#[cfg(test)]
mod tests {
    use polyport_server::config::{Arguments, Environment, Purpose};

    use super::*;

    fn banner(text: &str, variables: &[(&str, &str)], listening: &str) -> String {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = Source::new(None, Environment::of(owned, "/nowhere"), Arguments::default());
        let config = source.load_text(text, &[], Purpose::Inspect).unwrap().config;
        super::text(&config, &source, &[listening.parse().unwrap()], Some("abcd-efgh-jkmn"))
    }

    #[test]
    fn it_says_what_was_found_and_shows_no_key() {
        let text = banner("", &[("ANTHROPIC_API_KEY", "sk-canary")], "127.0.0.1:7659");
        for words in [
            "http://127.0.0.1:7659",
            "anthropic (api.anthropic.com, env:ANTHROPIC_API_KEY)",
            "echo (built in, 1 model)",
            "first admin    abcd-efgh-jkmn",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/echo:generateContent"] {
            assert!(text.contains(&format!("curl http://127.0.0.1:7659{path} ")), "{path}\n{text}");
        }
        assert!(!text.contains("canary"));
    }

    #[test]
    fn commands_can_be_copied_from_anywhere() {
        let text = banner("server: { host: '::' }\naccess: { keys: 0123456789abcdefghij }", &[], "[::]:7659");
        assert!(
            text.contains("curl http://[::1]:7659/v1/messages -H \"authorization: Bearer $POLYPORT_API_KEY\""),
            "{text}"
        );
        assert!(text.contains("1 client key") && !text.contains("0123456789abcdefghij"));
    }
}
