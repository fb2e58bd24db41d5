//! What a configuration means, from its text.

mod access;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use polyport_protocol::profile::{AnthropicThinking, SystemRole};
use polyport_provider::{Call, ClientSettings, ProxySettings};
use polyport_routing::{Hints, Rule};
use polyport_types::{ClientProtocol, Protocol};

use super::*;

fn source(variables: &[(&str, &str)]) -> Source {
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Source::new(Some("p.yaml".into()), Environment::of(owned, "/nowhere"), Arguments::default())
}

fn load_with(text: &str, variables: &[(&str, &str)]) -> Loaded {
    match source(variables).load_text(text, &[], Purpose::Inspect) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{problems}"),
    }
}

fn load(text: &str) -> Loaded {
    load_with(text, &[])
}

fn problems_with(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match source(variables).load_text(text, &[], Purpose::Inspect) {
        Ok(loaded) => loaded.warnings.0.iter().map(ToString::to_string).collect(),
        Err(problems) => problems.0.iter().map(ToString::to_string).collect(),
    }
}

fn problems(text: &str) -> Vec<String> {
    problems_with(text, &[])
}

fn http<'a>(config: &'a Config, name: &str) -> &'a HttpService {
    match &config.provider(name).unwrap_or_else(|| panic!("{name}")).service {
        Service::Http(http) => http,
        Service::Process(_) | Service::Echo => panic!("{name} is no server"),
    }
}

fn address(config: &Config, name: &str) -> String {
    http(config, name).endpoint.uri(Call::Generate { model: "m", stream: false }, None).unwrap().to_string()
}

fn route(config: &Config, model: &str) -> (String, Rule) {
    let resolved = config.catalog.resolve(model, Hints::new(ClientProtocol::Chat)).unwrap();
    let first = &resolved.targets[0];
    (format!("{}/{}", first.provider, first.model), resolved.rule)
}

const DESIGN: &str = r#"
server:   { host: 127.0.0.1, port: 7659 }
data:     ./data
access:   { open: true }
providers:
  openai: { preset: openai, keys: ["env:OPENAI_API_KEY"] }
  claude: { protocol: messages, base_url: "https://api.anthropic.com", keys: ["env:KEY_A", "env:KEY_B"], auth_header: x-api-key, auth_format: "{key}" }
  local:  { protocol: chat, base_url: "http://127.0.0.1:8080/v1", profile: llama-cpp }
models:
  gpt-5:      openai/gpt-5
  "claude-*": "claude/*"
  fast:       [ { target: openai/gpt-5-mini, weight: 2 }, { target: local/qwen3, priority: 2 } ]
routes:
  - { match: { model_contains: gpt }, to: openai }
limits:   { request_body: 32MiB, first_byte: 120s }
"#;

const KEYS: [(&str, &str); 3] = [("OPENAI_API_KEY", "sk-one"), ("KEY_A", "sk-a"), ("KEY_B", "sk-b")];

#[test]
fn the_documented_shape_works() {
    let loaded = load_with(DESIGN, &KEYS);
    assert_eq!(loaded.warnings, Problems::default());
    assert!(!loaded.discover);
    let config = loaded.config;
    assert_eq!(config.listen.address().to_string(), "127.0.0.1:7659");
    assert_eq!(config.data, PathBuf::from("/nowhere/./data"));
    let names: Vec<&str> = config.providers().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["openai", "claude", "local", "echo"]);
    assert_eq!(address(&config, "openai"), "https://api.openai.com/v1/chat/completions");
    assert_eq!(address(&config, "claude"), "https://api.anthropic.com/v1/messages");
    assert_eq!(address(&config, "local"), "http://127.0.0.1:8080/v1/chat/completions");
    let labels: Vec<&str> = http(&config, "claude").credentials.iter().map(|key| &*key.label).collect();
    assert_eq!(labels, ["env:KEY_A", "env:KEY_B"]);
    assert_eq!(config.provider("openai").unwrap().profile.system_role, SystemRole::Developer);
    assert!(config.provider("local").unwrap().profile.system_first);
    assert_eq!(route(&config, "gpt-5"), ("openai/gpt-5".into(), Rule::Model("gpt-5".into())));
    assert_eq!(route(&config, "claude-opus-5"), ("claude/claude-opus-5".into(), Rule::Glob("claude-*".into())));
    assert_eq!(route(&config, "my-gpt"), ("openai/my-gpt".into(), Rule::Route(0)));
    assert_eq!(route(&config, "local/a/b").0, "local/a/b");
    assert_eq!(route(&config, "echo").0, "echo/echo");
    assert_eq!(config.limits.request_body_bytes, 32 << 20);
    assert_eq!(http(&config, "local").timeouts.first_byte, Duration::from_secs(120));
}

#[test]
fn nothing_configured_finds_keys_in_the_environment() {
    let loaded =
        load_with("", &[("ANTHROPIC_API_KEY", "sk-ant"), ("OPENAI_API_KEY", "sk-one"), ("GOOGLE_API_KEY", "AIza")]);
    assert!(loaded.discover);
    let names: Vec<&str> = loaded.config.providers().map(|provider| &*provider.name).collect();
    assert_eq!(names, ["openai", "openai-responses", "anthropic", "gemini", "echo"]);
    assert_eq!(route(&loaded.config, "claude-opus-5").0, "anthropic/claude-opus-5");
    assert_eq!(route(&loaded.config, "gpt-5").0, "openai/gpt-5");
    assert_eq!(route(&loaded.config, "gpt-5-pro").0, "openai-responses/gpt-5-pro");
    assert_eq!(route(&loaded.config, "gemini-3-pro").0, "gemini/gemini-3-pro");
    assert!(loaded.config.access.open);
}

#[test]
fn local_servers_that_answered_are_there() {
    let found = [Found {
        preset: Preset::named("ollama").unwrap(),
        base_url: "http://127.0.0.1:11434/v1".into(),
        models: vec!["qwen3:8b".into()],
    }];
    let loaded = source(&[]).load_text("", &found, Purpose::Inspect).unwrap();
    assert_eq!(route(&loaded.config, "qwen3:8b"), ("ollama/qwen3:8b".into(), Rule::Listed));
    // The only provider gets everything else.
    assert_eq!(route(&loaded.config, "other"), ("ollama/other".into(), Rule::Default));
    // A configuration with providers of its own does not look around.
    let text = "providers: { a: { base_url: 'http://h/v1' } }";
    let loaded = source(&[]).load_text(text, &found, Purpose::Inspect).unwrap();
    assert!(loaded.config.provider("ollama").is_none());
    let text = "discover: true\nproviders: { a: { base_url: 'http://h/v1' } }";
    let loaded = source(&[]).load_text(text, &found, Purpose::Inspect).unwrap();
    assert!(loaded.config.provider("ollama").is_some());
}

#[test]
fn addresses_of_the_environment_count_unless_they_lead_back_here() {
    let key = ("OPENAI_API_KEY", "sk-one");
    let loaded = load_with("", &[key, ("OPENAI_BASE_URL", "https://proxy.test/v1")]);
    assert_eq!(address(&loaded.config, "openai"), "https://proxy.test/v1/chat/completions");
    for own in ["http://127.0.0.1:7659/v1", "http://localhost:7659/v1", "http://[::1]:7659/v1"] {
        let loaded = load_with("", &[key, ("OPENAI_BASE_URL", own)]);
        assert_eq!(address(&loaded.config, "openai"), "https://api.openai.com/v1/chat/completions", "{own}");
    }
}

#[test]
fn the_order_is_file_then_environment_then_command_line() {
    let file = "server: { port: 1000 }\nlimits: { drain: 1s, requests: 5 }";
    let mut source = source(&[("POLYPORT_PORT", "2000"), ("POLYPORT_LIMITS__DRAIN", "2s")]);
    let config = source.load_text(file, &[], Purpose::Inspect).unwrap().config;
    assert_eq!((config.listen.port, config.limits.drain.as_secs(), config.limits.requests), (2000, 2, 5));
    source.arguments =
        Arguments { port: Some(3000), data: Some("d".into()), host: Some("::1".into()), ..Arguments::default() };
    let config = source.load_text(file, &[], Purpose::Inspect).unwrap().config;
    assert_eq!(config.listen.address().to_string(), "[::1]:3000");
    assert_eq!(config.data, PathBuf::from("/nowhere/d"));
}

#[test]
fn mistakes_of_the_environment_and_the_command_line_name_their_source() {
    let found = problems_with("", &[("POLYPORT_LIMITS__DRIAN", "2s"), ("POLYPORT_LIMITS__REQUESTS", "many")]);
    assert_eq!(
        found,
        [
            "environment variable POLYPORT_LIMITS__DRIAN: error: limits.drian: unknown key `drian`; did you mean `drain`?",
            "environment variable POLYPORT_LIMITS__REQUESTS: error: limits.requests: expected a number from 0 to 18446744073709551615",
        ]
    );
}

#[test]
fn missing_keys_of_providers_warn_and_the_rest_goes_on() {
    let text = "providers:\n  a: { preset: openai }\n  b: { preset: groq, keys: ['env:NO_A', 'env:NO_B'] }\n  c: { preset: groq, keys: ['env:NO_A', 'gsk-1'] }\n";
    let found = problems(text);
    let expected = [
        "p.yaml:2:3: warning: providers.a: no key: OPENAI_API_KEY is not set, so requests to this provider will fail; set the variable, or give `keys`",
        "p.yaml:3:29: warning: providers.b.keys[0]: the environment variable NO_A is not set, so requests to this provider will fail; set it, or remove the key",
        "p.yaml:3:41: warning: providers.b.keys[1]: the environment variable NO_B is not set, so requests to this provider will fail; set it, or remove the key",
        "p.yaml:4:29: warning: providers.c.keys[0]: the environment variable NO_A is not set, so the other keys are used; set it, or remove the key",
    ];
    assert_eq!(found, expected);
    let config = load(text).config;
    assert!(http(&config, "a").missing_credential && http(&config, "b").missing_credential);
    assert!(!http(&config, "c").missing_credential);
}

#[test]
fn all_mistakes_of_providers_are_found() {
    let text = r#"
providers:
  a: { preset: opnai }
  b: {}
  c: { base_url: "ftp://h/v1" }
  d: { base_url: "http://h/v1", profile: vlm, quirks: { system_frist: true, limit_field: maxtokens } }
  e: { preset: azure }
  f: { base_url: "http://h/v1", auth_format: "Bearer" }
  g: { base_url: "http://h/v1", keys: [sk-xxxx], proxy: "ftp://x", timeouts: { idle: 0s } }
  "h i": { preset: openai }
  j: { base_url: "http://user:sk-secret@h/v1" }
"#;
    let found = problems(text).join("\n");
    for words in [
        "p.yaml:3:16: error: providers.a.preset: unknown preset `opnai`; did you mean `openai`?",
        "p.yaml:4:3: error: providers.b: neither `preset` nor `base_url`",
        "p.yaml:5:18: error: providers.c.base_url: the scheme must be http or https, not `ftp`",
        "p.yaml:6:42: error: providers.d.profile: unknown profile `vlm`; did you mean `vllm`?",
        "providers.d.quirks.system_frist: unknown key `system_frist`; did you mean `system_first`?",
        "providers.d.quirks.limit_field: unknown variant `maxtokens`, expected `max_tokens` or `max_completion_tokens`",
        "p.yaml:7:3: error: providers.e: the address is missing",
        "providers.f.auth_format: the key is missing in it",
        "providers.g.keys[0]: this key is a sample",
        "providers.g.proxy: this is no address of a proxy",
        "providers.g.timeouts.idle: zero would refuse everything",
        "p.yaml:10:3: error: providers.h i: a provider's name",
        "providers.j.base_url: the address must not hold a user name or password",
    ] {
        assert!(found.contains(words), "{words}\n---\n{found}");
    }
    assert!(!found.contains("sk-secret"));
}

#[test]
fn all_mistakes_of_models_are_found() {
    let text = r#"
providers: { openai: { base_url: "http://h/v1" } }
models:
  a: opnai/x
  b: [ openai/x, c ]
  c: b
  d: { target: openai/x, weight: 0 }
  e: []
  "f-*": a
routes:
  - { to: openai }
  - { match: { model_contains: x }, to: nowhere }
default_provider: opnai
"#;
    let found = problems(text).join("\n");
    for words in [
        "p.yaml:4:6: error: models.a: model `a` leads to `opnai/x`",
        "did you mean `openai`?",
        "leads back to itself",
        "p.yaml:7:3: error: models.d: a weight of 0",
        "p.yaml:8:3: error: models.e: model `e` has no targets",
        "p.yaml:9:10: error: models.f-*: model `f-*` holds `*`",
        "p.yaml:11:5: error: routes[0]: the route has no condition",
        "p.yaml:12:41: error: routes[1].to: the route leads to `nowhere`",
        "p.yaml:13:19: error: default_provider: the default provider `opnai` is not configured; did you mean `openai`?",
    ] {
        assert!(found.contains(words), "{words}\n---\n{found}");
    }
}

#[test]
fn pools_and_routes_as_people_write_them() {
    let text = r#"
providers:
  a: { base_url: "http://h/v1", keys: [{ name: day, key: k1 }, { name: night, key: k2 }] }
  b: { protocol: messages, base_url: "http://i" }
pools:
  haiku: { tier: tool, targets: a/small }
  sonnet:
    tier: normal
    targets: [{ target: a/m1, weight: 2 }, b/m1]
    strategy: least_busy
    fallbacks: [haiku]
  quick: { words: [turbo], targets: haiku }
routes:
  - { match: { model: "ft:*" }, to: "a/tuned-*", priority: 5 }
  - { match: { model_contains: [x, ft] }, to: b, mode: direct }
  - { match: { header: { X-Team: "plat*" }, caller: [ci, "batch-*"] }, to: a, keys: [night] }
"#;
    let config = load(text).config;
    let catalog = &config.catalog;
    let of = |model: &str| catalog.resolve(model, Hints::default()).unwrap();
    assert_eq!(of("claude-haiku-4-5-20251001").rule, Rule::Word { pool: "haiku".into(), word: "haiku".into() });
    assert_eq!(
        (of("sonnet").stages.len(), of("sonnet").stages[0].strategy),
        (2, polyport_routing::Strategy::LeastBusy)
    );
    assert_eq!(&*of("my-turbo").targets[0].model, "small");
    // The lower number is asked first.
    assert_eq!((of("ft:1").rule, of("ft:1").mode), (Rule::Route(1), polyport_routing::Mode::Direct));
    let hints = Hints { headers: &[("x-team", "platform")], callers: &["batch-7"], ..Hints::default() };
    let exception = catalog.resolve("haiku", hints).unwrap();
    assert_eq!((exception.rule, &*exception.keys), (Rule::Route(2), &["night".into()][..]));
}

#[test]
fn all_mistakes_of_pools_and_routes_are_found() {
    let text = r#"
providers: { a: { base_url: "http://h/v1", keys: [{ name: day, key: k1 }] } }
models: { m: a/x }
pools:
  m: { targets: a/x }
  haiku: { tier: tool, targets: [a/x, nowhere/y], fallbacks: [haiko] }
  one: { targets: a/x, fallbacks: [two] }
  two: { targets: a/x, fallbacks: [one] }
  none: {}
  "g*": { targets: a/x }
routes:
  - { match: { caller: ci }, to: a, keys: [dya] }
  - { match: { model: x }, to: haikku }
"#;
    let found = problems(text).join("\n");
    for words in [
        "p.yaml:5:3: error: pools.m: `m` is both a model and a pool",
        "p.yaml:6:39: error: pools.haiku.targets[1]: pool `haiku` leads to `nowhere/y`",
        "p.yaml:6:63: error: pools.haiku.fallbacks[0]: pool `haiku` falls back to `haiko`, which is no pool",
        "pools.one.fallbacks[0]: pool `one` falls back to itself: one → two → one",
        "pool `none` has no targets",
        "pools.g*: the name of a pool holds `*`",
        "routes[0].keys[0]: `dya` is not the name of a key of `a`; did you mean `day`?",
        "routes[1].to: the route leads to `haikku`, which is neither a provider, a model, a pool nor `provider/model`; did you mean `haiku`?",
    ] {
        assert!(found.contains(words), "{words}\n---\n{found}");
    }
    let unknown = problems("pools: { p: { targets: echo/echo, strategie: ordered } }").join("\n");
    assert!(unknown.contains("did you mean `strategy`?"), "{unknown}");
}

#[test]
fn a_provider_with_a_mistake_is_not_also_reported_as_missing() {
    let found = problems("providers: { a: { preset: nope } }\nmodels: { m: a/x }");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn disabled_providers_take_their_targets_with_them() {
    let text = "providers: { a: { base_url: 'http://h/v1', enabled: false }, b: { base_url: 'http://h/v1' } }\nmodels: { m: [a/x, b/y], only: a/x }";
    let loaded = load(text);
    assert_eq!(route(&loaded.config, "m").0, "b/y");
    assert!(loaded.config.provider("a").is_none());
    assert!(loaded.warnings.to_string().contains("models.only"));
}

#[test]
fn details_of_a_provider() {
    let text = r#"
providers:
  az:
    preset: azure
    base_url: "https://r.openai.azure.com/openai/deployments/{model}"
    query: { api-version: "2026-01-01" }
    keys: ak-1
    headers: { x-team: "env:TEAM" }
    proxy: none
    quirks: { merge_same_role: true }
    timeouts: { first_byte: 5m, connect: 3s }
    models: [gpt-x]
"#;
    let loaded = load_with(text, &[("TEAM", "blue")]);
    let config = loaded.config;
    let az = http(&config, "az");
    let address = address(&config, "az");
    assert_eq!(address, "https://r.openai.azure.com/openai/deployments/m/chat/completions?api-version=2026-01-01");
    assert_eq!(az.endpoint.headers()["x-team"], "blue");
    assert_eq!(az.client.proxy, ProxySettings::Direct);
    assert_eq!(az.client.connect_timeout, Duration::from_secs(3));
    assert_eq!(az.timeouts.first_byte, Duration::from_secs(300));
    let provider = config.provider("az").unwrap();
    assert!(provider.profile.merge_same_role && !provider.profile.file_input);
    assert_eq!(route(&config, "gpt-x").1, Rule::Listed);
    let mut headers = http::HeaderMap::new();
    let Means::Key(header) = &az.credentials[0].means else { panic!() };
    header.apply(&mut headers);
    assert_eq!(headers["api-key"], "ak-1");
}

#[test]
fn an_official_address_has_its_quirks_without_a_preset() {
    let config = load(
        "providers: { a: { base_url: 'https://api.openai.com/v1', keys: sk-1 }, b: { base_url: 'https://x.test' } }",
    )
    .config;
    assert_eq!(*config.provider("a").unwrap().profile, polyport_protocol::Profile::named("openai").unwrap());
    assert_eq!(*config.provider("b").unwrap().profile, polyport_protocol::Profile::named("generic").unwrap());
    assert_eq!(address(&config, "b"), "https://x.test/v1/chat/completions");
}

#[test]
fn abilities_can_be_corrected() {
    let text = r#"
providers: { a: { base_url: "http://h/v1" }, b: { base_url: "http://h/v1", protocol: messages } }
capabilities:
  "m-*": { images: false, context: 5 }
  a/m-1: { context: 7, anthropic_thinking: adaptive }
  "x": { imges: true, context: many }
"#;
    let found = problems(text).join("\n");
    assert!(found.contains("capabilities.x.imges: unknown key `imges`; did you mean `images`?"), "{found}");
    assert!(found.contains("capabilities.x.context: invalid type"), "{found}");
    let config = load(&text.replace("  \"x\": { imges: true, context: many }\n", "")).config;
    let a = config.provider("a").unwrap();
    let one = config.capabilities(a, "m-1");
    assert_eq!((one.context, one.images, one.anthropic_thinking), (Some(7), false, AnthropicThinking::Adaptive));
    assert!(Arc::ptr_eq(&one, &config.capabilities(a, "m-1")));
    let b = config.provider("b").unwrap();
    assert_eq!((config.capabilities(b, "m-1").context, b.protocol()), (Some(5), Protocol::Messages));
}

#[test]
fn abilities_come_from_the_shipped_table() {
    let config =
        load("providers: { a: { preset: anthropic, keys: sk-1 }, r: { preset: openrouter, keys: sk-1 } }").config;
    let opus = config.capabilities(config.provider("a").unwrap(), "claude-opus-5");
    assert_eq!((opus.anthropic_thinking, opus.temperature), (AnthropicThinking::Adaptive, false));
    assert!(config.capabilities(config.provider("r").unwrap(), "anthropic/claude-opus-4.5").cache_markers);
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = "access: { keys: [pp-canary-1] }\nproviders: { a: { preset: openai, keys: sk-canary-2, headers: { x-secret: 'env:CANARY' } } }";
    let loaded = load_with(text, &[("CANARY", "canary-3")]);
    let shown = format!("{:?}", loaded.config);
    assert!(!shown.contains("canary"), "{shown}");
    let broken =
        "access: pp-canary-1\nproviders: { a: { preset: openai, keys: [[sk-canary-2]], quirks: sk-canary-3 } }";
    assert!(!problems(broken).join("\n").contains("canary"));
}

#[test]
fn an_empty_file_and_one_of_comments_are_fine() {
    for text in ["", "# nothing\n", "---\n", "~\n"] {
        assert!(load(text).config.provider("echo").is_some());
    }
    assert!(problems("just a text")[0].contains("expected a map"));
}

#[test]
fn a_file_that_is_not_there_is_an_error() {
    let problems = source(&[]).load(&[], Purpose::Inspect).unwrap_err();
    assert!(problems.to_string().starts_with("p.yaml:1:1: error: the file cannot be read"), "{problems}");
}

#[test]
fn serving_makes_the_data_folder_and_inspecting_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment::of([], folder.path());
    let source = Source::new(None, environment, Arguments::default());
    source.load(&[], Purpose::Inspect).unwrap();
    assert!(!folder.path().join("data").exists());
    source.load(&[], Purpose::Serve).unwrap();
    assert!(folder.path().join("data/carrier.key").exists());
}

#[test]
fn what_people_write_wrongly_is_told_with_its_remedy() {
    for (text, words) in [
        ("server: {port: 80\n", "p.yaml:1:9: error: unclosed bracket '{'; close it"),
        ("server:\n\tport: 1\n", "p.yaml:2:2: error: a tab cannot indent; use spaces"),
        ("models: { m: echo/echo }\nmodels: {}", "p.yaml:2:1: error: the key `models` stands here twice; remove"),
        ("providers: [a]", "p.yaml:1:1: error: providers: expected a map, found a list"),
        ("discover: yes", "p.yaml:1:11: error: discover: expected `true` or `false`"),
        ("server: { host: example.com }", "server.host: this is not an IP address; write an IP address: 127.0.0.1"),
        ("limits: { idle: 120 }", "limits.idle: expected a time with its unit, such as `500ms`"),
        ("limits: { idle: 2hours }", "limits.idle: expected a time with its unit"),
        ("limits: { json_depth: 129 }", "limits.json_depth: bodies nested deeper than 128 are never read"),
        ("limits: { event: 16 }", "limits.event: expected a size with its unit, such as `64KiB`"),
        (
            "log: { level: loud }",
            "p.yaml:1:15: error: log.level: this is neither a level nor a filter; use one of error, warn",
        ),
        ("log: { level: 'a=loud' }", "log.level: this is neither a level nor a filter"),
        (
            "access: { keys: [ { name: a, key: k-1 }, { name: a, key: k-2 } ] }",
            "access.keys[1]: another key is named `a`",
        ),
        ("access: { keys: [ { name: '', key: k-1 } ] }", "or the name is empty; give it a name of its own"),
        ("access: { keys: [k-1, k-1] }", "access.keys[1]: the same key stands here twice; give every client its own"),
        (
            "providers: { groq: { keys: k-1 } }",
            "providers.groq: neither `preset` nor `base_url` is given; write `preset: groq`",
        ),
        (
            "providers: { a: { base_url: 'http://localhost:7659/v1' } }",
            "this is the address Polyport itself listens on",
        ),
        ("providers: { a: { preset: groq, api_key: x, keys: k } }", "unknown key `api_key`; did you mean `keys`?"),
        (
            "providers: { a: { base_url: 'http://h', keys: $KEY } }",
            "a shell would replace this, Polyport does not; write `env:NAME`",
        ),
        ("providers: { a: { base_url: 'http://h', keys: 'env:' } }", "keys[0]: the key is empty"),
        ("providers: { a: { adapter: process } }", "a.process.command: the program is missing; name it"),
        (
            "providers: { a: { adapter: process, process: { command: /bin/sh } } }",
            "a.process.models: there are no models, so nothing can be asked for",
        ),
        (
            "providers: { a: { adapter: process, models: [m], process: { command: no-such } } }",
            "a.process.command: there is no program `no-such` in the folders of PATH, so requests to this provider",
        ),
        (
            "providers: { a: { adapter: process, models: [m], process: { command: /bin/sh, args: [ok, '{{ x'] } } }",
            "error: providers.a.process.args[1]: the template cannot be read: syntax error",
        ),
        (
            "providers: { a: { adapter: process, models: [m], process: { command: /bin/sh, args: [a], input: file } } }",
            "a.process.args: no argument holds `{{ file }}`, so the prompt would go nowhere",
        ),
        (
            "providers: { a: { adapter: process, models: [m], process: { command: /bin/sh, working_directory: '{{ prompt }}' } } }",
            "working_directory: `prompt` comes from requests, which may not choose a folder",
        ),
        (
            "providers: { a: { adapter: process, models: [m], process: { command: /bin/sh, template: chatlm } } }",
            "a.process.template: this is neither the name of a template nor one; did you mean `chatml`?; or write",
        ),
        (
            "providers: { a: { adapter: process, models: [m], process: { command: /bin/sh, output: { text: a.b } } } }",
            "a.process.output.text: this is no JSON pointer; write it like",
        ),
        (
            "providers: { a: { adapter: process, base_url: 'http://h', models: [m], process: { command: /bin/sh } } }",
            "a.base_url: a program that is run for each request has none; leave it out",
        ),
        (
            "providers: { a: { base_url: 'http://h', process: { command: /bin/sh } } }",
            "a.process: this provider is no program that is run for each request; add `adapter: process`",
        ),
        ("providers: { a: { server: { args: ['{{ port }}'] } } }", "a.server.command: the program is missing; name it"),
        (
            "providers: { a: { server: { command: /bin/sh } } }",
            "a.server.args: a free port is chosen for the server, and no argument of it holds `{{ port }}`; put it there",
        ),
        (
            "providers: { a: { server: { command: /bin/sh, args: ['{{ port }}'], health: health } } }",
            "a.server.health: this is no path; write it like `/health`",
        ),
        (
            "providers: { a: { server: { command: /bin/sh, args: ['{{ port }}'], idle_timeout: 0 } } }",
            "a.server.idle_timeout: zero would leave no time; leave it out for the default",
        ),
        ("server: { cors: true }", "unknown key `cors`; keys here: `host`, `port`"),
        ("data: ''", "data: the name of the folder is empty; leave `data` out"),
        ("models: { '': echo/echo }", "models.: the name of a model is empty; name it"),
        ("providers: { a: { base_url: 'localhost:8080/v1' } }", "not `localhost`; write http://localhost:8080/v1"),
        ("providers: { a: { base_url: '10.0.0.7:8000' } }", "write http://10.0.0.7:8000"),
        ("providers: { a: { base_url: 'api.example.com/v1' } }", "; write https://api.example.com/v1"),
        ("providers: { a: { base_url: 'http://h/v1#x' } }", "the address must not hold `#`"),
        ("providers: { a: { base_url: 'http://h', headers: { Host: x } } }", "the header `Host` cannot be sent"),
        ("providers: { a: { base_url: 'http://h', keys: [k-1, k-1] } }", "keys[1]: the same key stands here twice"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].contains(words), "{text}: {found:#?}");
    }
    // One mistake, one message.
    let found = problems("models: { m: [ { weight: 1 } ] }");
    assert_eq!(found.len(), 1, "{found:?}");
    for level in ["debug", "WARN", "off", "info,hyper=debug", "polyport_server=trace"] {
        assert_eq!(load(&format!("log: {{ level: '{level}' }}")).config.log.filter, level);
    }
    let loaded = load_with("log: { level: debug }", &[("RUST_LOG", "verbose")]);
    assert_eq!(loaded.config.log.filter, "debug");
    assert!(loaded.warnings.to_string().starts_with("environment variable RUST_LOG: warning: "));
}

#[test]
fn text_in_another_encoding_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::new(Some("p.yaml".into()), Environment::of([], folder.path()), Arguments::default());
    std::fs::write(folder.path().join("p.yaml"), b"data: d\nmodels: { caf\xe9: echo/echo }\n").unwrap();
    let problems = source.load(&[], Purpose::Inspect).unwrap_err();
    assert_eq!(problems.to_string(), "p.yaml:2:1: error: this line is not UTF-8 text; save the file as UTF-8");
    std::fs::write(folder.path().join("p.yaml"), "\u{feff}models: { m: echo/echo }\n").unwrap();
    assert_eq!(route(&source.load(&[], Purpose::Inspect).unwrap().config, "m").0, "echo/echo");
}

#[test]
fn an_address_copied_from_a_console_gets_the_path_of_its_service() {
    for (given, expected) in [
        ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/chat/completions"),
        ("https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1/chat/completions"),
        ("https://r.openai.azure.com/other", "https://r.openai.azure.com/other/chat/completions"),
    ] {
        let text = format!("providers: {{ az: {{ preset: azure, base_url: '{given}', keys: ak-1 }} }}");
        assert_eq!(address(&load(&text).config, "az"), expected);
    }
    let text = "providers: { az: { preset: azure, keys: ak-1 } }";
    let loaded = load_with(text, &[("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/")]);
    assert_eq!(address(&loaded.config, "az"), "https://r.openai.azure.com/openai/v1/chat/completions");
}

#[test]
fn a_local_model_is_known_without_its_tag() {
    // With two servers, none is the default for every name.
    let found = ["ollama", "vllm"].map(|name| Found {
        preset: Preset::named(name).unwrap(),
        base_url: "http://127.0.0.1:1/v1".into(),
        models: vec![format!("{name}-model:latest").into()],
    });
    let config = source(&[]).load_text("", &found, Purpose::Inspect).unwrap().config;
    // The server adds the tag itself.
    assert_eq!(route(&config, "ollama-model").0, "ollama/ollama-model");
    assert_eq!(route(&config, "ollama-model:latest").0, "ollama/ollama-model:latest");
}

#[test]
fn the_samples_of_the_documents_load() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let keys =
        [("OPENAI_API_KEY", "sk-o"), ("KEY_A", "sk-a"), ("KEY_B", "sk-b"), ("POLYPORT_API_KEY", "pp-0123456789abcdef")];
    for name in ["README.md", "README.zh-CN.md", "docs/CONFIGURATION.md"] {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        let samples: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(!samples.is_empty(), "{name}");
        for sample in samples {
            assert_eq!(problems_with(sample, &keys), [""; 0], "{name}: {sample}");
        }
    }
}

#[test]
fn every_limit_has_its_default_and_can_be_changed() {
    let minute = Duration::from_secs(60);
    let limits = Limits::default();
    assert_eq!((limits.header_bytes, limits.header_count, limits.streams), (32 << 10, 100, 100));
    assert_eq!((limits.header_time, limits.body_time, limits.body_rate), (minute / 6, minute, 1 << 10));
    assert_eq!((limits.request_body_bytes, limits.inline_media_bytes, limits.expansion), (32 << 20, 100 << 20, 100));
    assert_eq!((limits.upload_bytes, limits.upload_time), (512 << 20, minute * 30));
    assert_eq!((limits.event_bytes, limits.answer_bytes), (16 << 20, 64 << 20));
    assert_eq!((limits.keep_alive, limits.client_write), (minute / 4, minute));
    assert_eq!((limits.connections, limits.connections_per_address), (None, 256));
    assert_eq!((limits.requests, limits.requests_per_key), (4096, 64));
    assert_eq!((limits.queue, limits.queue_time), (1024, minute / 6));
    assert_eq!((limits.json_depth, limits.memory_bytes), (128, None));
    let waits = Timeouts::default();
    assert_eq!((waits.first_byte, waits.first_byte_reasoning), (minute * 2, minute * 10));
    assert_eq!((waits.idle, waits.total), (minute * 2, minute * 30));
    assert_eq!(ClientSettings::default().connect_timeout, minute / 6);

    let all = "limits: { headers: 1KiB, header_count: 2, streams: 3, header_time: 4s, body_time: 5s, body_rate: 6B,
        request_body: 7KiB, inline_media: 8KiB, expansion: 9, event: 10KiB, answer: 11KiB, keep_alive: 12s,
        client_write: 13s, connections: 14, connections_per_address: 15, requests: 16, requests_per_key: 17, drain: 18s,
        commit_after: 19s, first_byte: 20s, first_byte_reasoning: 21s, idle: 22s, total: 23s, connect: 24s,
        upload: 25KiB, upload_time: 26s, json_depth: 27, memory: 28MiB, queue: 29, queue_time: 30s }";
    let providers = "\nproviders: { p: { protocol: chat, base_url: \"http://127.0.0.1:1/v1\" } }";
    let config = load(&format!("{all}{providers}")).config;
    let expected = Limits {
        header_bytes: 1 << 10,
        header_count: 2,
        streams: 3,
        header_time: Duration::from_secs(4),
        body_time: Duration::from_secs(5),
        body_rate: 6,
        request_body_bytes: 7 << 10,
        inline_media_bytes: 8 << 10,
        expansion: 9,
        upload_bytes: 25 << 10,
        upload_time: Duration::from_secs(26),
        json_depth: 27,
        memory_bytes: Some(28 << 20),
        parse_inline_bytes: limits.parse_inline_bytes,
        event_bytes: 10 << 10,
        answer_bytes: 11 << 10,
        keep_alive: Duration::from_secs(12),
        client_write: Duration::from_secs(13),
        connections: Some(14),
        connections_per_address: 15,
        requests: 16,
        requests_per_key: 17,
        queue: 29,
        queue_time: Duration::from_secs(30),
        drain: Duration::from_secs(18),
        commit_after: Duration::from_secs(19),
    };
    assert_eq!(config.limits, expected);
    let waits = http(&config, "p");
    let seconds = [waits.timeouts.first_byte, waits.timeouts.first_byte_reasoning, waits.timeouts.idle];
    assert_eq!(seconds.map(|time| time.as_secs()), [20, 21, 22]);
    assert_eq!((waits.timeouts.total.as_secs(), waits.client.connect_timeout.as_secs()), (23, 24));
}

#[test]
fn retries_have_a_budget_and_routes_have_their_own() {
    let text = "
providers: { a: { base_url: 'http://127.0.0.1:1/v1' } }
retry: { attempts: 5, patience: 90s, budget: { percent: 10, reserve: 1 } }
hedge: { after_percentile: 90, max_share: 2, min_delay: 1s, samples: 50 }
routes:
  - { match: { model: slow }, to: a, retry: { patience: 20m }, hedge: { enabled: false } }
  - { match: { model: plain }, to: a }
";
    let config = load(text).config;
    assert_eq!(config.budget, BudgetPolicy { percent: 10, reserve: 1 });
    let all = polyport_routing::HedgePolicy { percentile: 90, share: 2, least: 1000, samples: 50 };
    assert_eq!(config.hedge.as_ref().unwrap().policy(), all);
    let resolved = |model: &str| config.catalog.resolve(model, Hints::new(ClientProtocol::Chat)).unwrap();
    let slow = resolved("slow");
    let retry = slow.retry.unwrap();
    assert_eq!((retry.max_attempts, retry.patience), (5, Duration::from_secs(1200)));
    assert_eq!(slow.hedge.unwrap().policy().share, 0);
    assert!(resolved("plain").retry.is_none() && resolved("plain").hedge.is_none());
    assert!(load("{}").config.hedge.is_none(), "it is off unless it is asked for");
}

#[test]
fn mistakes_about_retries_are_told_where_they_stand() {
    let text = "
retry: { patience: 0s, budget: { percents: 3 } }
hedge: { after_percentile: 100, max_shares: 3 }
routes:
  - { match: { model: x }, to: echo, retry: { attempts: 0 }, hedge: { max_share: 0 } }
";
    let told = problems(text).join("\n");
    for part in [
        "p.yaml:2:20: error: retry.patience: zero would leave no time for any attempt",
        "retry.budget.percents: unknown key `percents`; did you mean `percent`?",
        "hedge.after_percentile: this is a share in percent, from 1 to 99",
        "hedge.max_shares: unknown key `max_shares`; did you mean `max_share`?",
        "routes[0].retry.attempts: a request needs at least one attempt; use 1 for no repetition",
        "routes[0].hedge.max_share: this is a share in percent, from 1 to 100; write `enabled: false` for none",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn rests_are_configured_for_all_and_for_one_provider() {
    let text = "
providers:
  a: { base_url: 'http://127.0.0.1:1/v1' }
  b: { base_url: 'http://127.0.0.1:2/v1', probe_every: 0, cooldown: { failing_row: 2, failing: { first: 5m }, quota_reset: '08:00 UTC' } }
cooldown: { default: 20s, rate_limited: { first: 3s, longest: 9s }, refusals: 3, limits_per_model: false, quota_reset: '00:00 -08:00' }
probes: { every: 30s }
";
    let config = load(text).config;
    let (a, b) = (http(&config, "a"), http(&config, "b"));
    let ladder = |first, longest| polyport_routing::Ladder { first, longest };
    assert_eq!((a.rests.rate_limited, a.rests.overloaded), (ladder(3000, 9000), ladder(20_000, 30_000)));
    assert_eq!((a.rests.failing, a.rests.failing_row, a.rests.refusals), (ladder(20_000, 120_000), 5, 3));
    assert_eq!((b.rests.failing, b.rests.failing_row, b.rests.refusals), (ladder(300_000, 300_000), 2, 3));
    assert!(!b.rests.limits_per_model);
    assert_eq!((a.probe_every, b.probe_every), (Some(Duration::from_secs(30)), None));
    let reset = |http: &HttpService| http.quota_reset.as_ref().unwrap().next(0);
    assert_eq!((reset(a), reset(b)), (Some(8 * 3_600_000), Some(8 * 3_600_000)));
    let plain = load("providers: { a: { base_url: 'http://127.0.0.1:1/v1' } }").config;
    assert_eq!(http(&plain, "a").rests, polyport_routing::RestPolicy::default());
    assert_eq!((http(&plain, "a").probe_every, &http(&plain, "a").quota_reset), (None, &None));
}

#[test]
fn mistakes_about_rests_are_told_where_they_stand() {
    let text = "
providers: { a: { base_url: 'http://127.0.0.1:1/v1', cooldown: { failing_percent: 101, refusal: 2 }, probe_every: 10ms } }
cooldown: { default: 0s, failing: { first: 9s, longest: 3s }, quota_reset: 'midnight', overloads: 0 }
probes: { interval: 3s }
";
    let told = problems(text).join("\n");
    for part in [
        "providers.a.cooldown.failing_percent: this is a share in percent, from 1 to 100",
        "providers.a.cooldown.refusal: unknown key `refusal`; did you mean `refusals`?",
        "providers.a.probe_every: this would ask without end; write at least `1s`, or `0` for no checks",
        "p.yaml:3:22: error: cooldown.default: what does not rest is asked again at once; give a time such as `5s`",
        "cooldown.failing.longest: the longest rest is shorter than the first",
        "cooldown.quota_reset: expected a time of day and its zone",
        "cooldown.overloads: at least 1 is needed",
        "probes.interval: unknown key `interval`; keys here: `every`",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn s3_21_the_usual_cooldown_is_read_where_the_file_says_nothing() {
    let first = |text: &str, seconds: &str| {
        let loaded = load_with(text, &[("DEFAULT_COOLDOWN_SECONDS", seconds)]);
        (http(&loaded.config, "a").rests.failing.first, loaded.warnings.0.len())
    };
    let plain = "providers: { a: { base_url: 'http://127.0.0.1:1/v1' } }";
    assert_eq!(first(plain, "60"), (60_000, 0));
    assert_eq!(first(&format!("{plain}\ncooldown: {{ default: 7s }}"), "60"), (7000, 0));
    assert_eq!(first(plain, "soon"), (5000, 1));
    assert_eq!(first(plain, "0"), (5000, 1));
}

#[test]
fn s3_22_virtual_models_may_have_other_names() {
    let text = "
providers: { a: { base_url: 'http://127.0.0.1:1/v1' } }
pools:
  haiku:  { tier: tool, targets: [a/small] }
  sonnet: { tier: normal, targets: [a/middle] }
";
    let names =
        [("VIRTUAL_MODEL_TOOL", "cheap"), ("VIRTUAL_MODEL_NORMAL", "sonnet"), ("VIRTUAL_MODEL_ADVANCED", "best")];
    let loaded = load_with(text, &names);
    assert_eq!(route(&loaded.config, "cheap").0, "a/small");
    assert_eq!(route(&loaded.config, "haiku").0, "a/small");
    assert_eq!(route(&loaded.config, "sonnet").0, "a/middle");
    let [warning] = loaded.warnings.0.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert_eq!(
        warning.to_string(),
        "environment variable VIRTUAL_MODEL_ADVANCED: warning: there is no pool of this tier, so the name leads nowhere; \
         add one: `pools: { best: { tier: advanced, targets: [provider/model] } }`"
    );
    assert!(problems_with(text, &[("VIRTUAL_MODEL_TOOL", "sonnet")])[0].contains("taken by another model"));
}

#[test]
fn s2_24_the_preferred_provider_gets_names_no_rule_knows() {
    let text = "
providers:
  a: { base_url: 'http://127.0.0.1:1/v1' }
  other: { base_url: 'http://127.0.0.1:2/v1' }
";
    let preferred = |text: &str, name: &str| route(&load_with(text, &[("PREFERRED_PROVIDER", name)]).config, "x").0;
    assert_eq!((preferred(text, "a"), preferred(text, "other")), ("a/x".to_owned(), "other/x".to_owned()));
    assert_eq!(preferred(&format!("{text}default_provider: a"), "other"), "a/x");
    let told = problems_with(text, &[("PREFERRED_PROVIDER", "othr")]);
    assert_eq!(
        told,
        ["environment variable PREFERRED_PROVIDER: error: there is no provider of this name; did you mean `other`?"]
    );
}

#[test]
fn s2_20_the_mode_has_its_usual_words() {
    let text = "providers: { a: { base_url: 'http://127.0.0.1:1/v1' } }";
    let mode = |text: &str, word: &str| {
        let config = load_with(text, &[("MODE", word)]).config;
        config.catalog.resolve("x", Hints::new(ClientProtocol::Chat)).unwrap().mode
    };
    assert_eq!(mode(text, "direct"), polyport_routing::Mode::Direct);
    assert_eq!(mode(text, "transformer"), polyport_routing::Mode::Transform);
    assert_eq!(mode(text, "production"), polyport_routing::Mode::Transform);
    assert_eq!(
        mode(&format!("{text}\ntranslation: {{ mode: transform }}"), "direct"),
        polyport_routing::Mode::Transform
    );
}
