//! One entry of `model_list`: a provider, its key, and a target of a pool.

use serde_json::{Map, Value, json};

use super::{ENV, Models};
use crate::draft::{Draft, Target, object, seconds};
use crate::services::{self, Speaks};
use crate::source::Node;

/// How an address is made of `api_base`.
#[derive(Clone, Copy, PartialEq)]
enum Base {
    /// As it is.
    Plain,
    /// With `/v1`.
    Versioned,
}

/// Words before a model's name: the preset, or the address of a service without one, and how `api_base` is meant.
const SERVICES: [(&str, &str, Base); 34] = [
    ("openai", "openai", Base::Plain),
    ("anthropic", "anthropic", Base::Plain),
    ("gemini", "gemini", Base::Plain),
    ("azure_ai", "azure-ai", Base::Plain),
    ("openrouter", "openrouter", Base::Plain),
    ("groq", "groq", Base::Plain),
    ("mistral", "mistral", Base::Plain),
    ("deepseek", "deepseek", Base::Plain),
    ("xai", "xai", Base::Plain),
    ("together_ai", "together", Base::Plain),
    ("fireworks_ai", "fireworks", Base::Plain),
    ("deepinfra", "deepinfra", Base::Plain),
    ("cerebras", "cerebras", Base::Plain),
    ("moonshot", "moonshot", Base::Plain),
    ("dashscope", "dashscope", Base::Plain),
    ("zai", "zai", Base::Plain),
    ("databricks", "databricks", Base::Plain),
    ("snowflake", "snowflake", Base::Plain),
    ("ollama", "ollama", Base::Versioned),
    ("ollama_chat", "ollama", Base::Versioned),
    ("lm_studio", "lm-studio", Base::Plain),
    ("hosted_vllm", "vllm", Base::Plain),
    ("vllm", "vllm", Base::Plain),
    ("llamafile", "llama-cpp", Base::Plain),
    ("openai_like", "generic", Base::Plain),
    ("custom_openai", "generic", Base::Plain),
    ("litellm_proxy", "generic", Base::Plain),
    ("perplexity", "https://api.perplexity.ai", Base::Plain),
    ("nvidia_nim", "https://integrate.api.nvidia.com/v1", Base::Plain),
    ("volcengine", "https://ark.cn-beijing.volces.com/api/v3", Base::Plain),
    ("sambanova", "https://api.sambanova.ai/v1", Base::Plain),
    ("nebius", "https://api.studio.nebius.ai/v1", Base::Plain),
    ("novita", "https://api.novita.ai/v3/openai", Base::Plain),
    ("hyperbolic", "https://api.hyperbolic.xyz/v1", Base::Plain),
];

/// Members whose like every request may have.
const PARAMETERS: [&str; 14] = [
    "temperature",
    "max_tokens",
    "top_p",
    "top_k",
    "stop",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "response_format",
    "max_completion_tokens",
    "reasoning_effort",
    "thinking",
    "extra_body",
];

pub(super) fn read<'a>(entry: &Node<'a>, models: &mut Models<'a>, draft: &mut Draft<'_>) {
    let label = entry.get("model_name");
    let params = entry.get("litellm_params");
    let (Some(name), Some(params)) = (label.as_ref().and_then(Node::text), params) else {
        entry.manual("an entry without `model_name` or `litellm_params`");
        return;
    };
    let Some(node) = params.get("model") else {
        entry.manual("an entry without `litellm_params.model`");
        return;
    };
    let Some(whole) = node.text() else {
        node.unsupported("a text is expected");
        return;
    };
    let custom = params.get("custom_llm_provider");
    let (word, model) = match (custom.as_ref().and_then(Node::text), whole.split_once('/')) {
        (Some(word), Some((prefix, rest))) if prefix == word => (word, rest),
        (Some(word), _) => (word, whole),
        (None, Some((word, rest))) if known(word) => (word, rest),
        // Only where the address is given nothing else is meant by it.
        (None, Some((word, rest))) if params.get("api_base").is_none() => (word, rest),
        (None, _) => ("openai", whole),
    };
    let Some(made) = provider(word, model, &params, name.contains('*'), models, draft) else {
        let note = format!(
            "`{word}` has no preset here: declare it with `base_url` if it is OpenAI-compatible, or `adapter: custom_http`"
        );
        entry.manual(note);
        return;
    };
    let Made { provider, model } = made;
    let target = Target {
        weight: number(&params, "weight").unwrap_or(1),
        priority: number(&params, "order").unwrap_or(1),
        ..Target::new(&provider, &model)
    };
    let became = models.add(name, target, draft);
    for node in [label, Some(node), custom].into_iter().flatten() {
        match &became {
            Some(became) => node.exact(became.as_str()),
            None => node.manual(format!(
                "a pattern keeps the whole name here: clients ask for `{provider}/NAME`, or give each name a pool"
            )),
        }
    }
    let became = became.unwrap_or_default();
    params.all_exact(&["weight", "order"], &became);
    limits(&params, &provider, models);
    prices(entry, &params, &provider, &model, models);
    for member in PARAMETERS {
        if let Some(node) = params.get(member) {
            node.manual(format!(
                "clients send it themselves; for all requests of `{provider}` add it to `quirks.extra_body`"
            ));
        }
    }
    params.all_exact(&["drop_params", "additional_drop_params"], "translation.losses");
    for member in ["num_retries", "max_retries"] {
        if let Some(node) = params.get(member) {
            node.approximate("retry.attempts", "one number for all models, see `retry`");
        }
    }
    if let Some(info) = entry.get("model_info") {
        info.all_exact(
            &["mode", "base_model", "supports_vision", "supports_function_calling"],
            "the table of abilities",
        );
        info.all_exact(&["id"], &became);
    }
}

fn known(word: &str) -> bool {
    ["azure", "vertex_ai", "bedrock", "text-completion-openai"].contains(&word)
        || SERVICES.iter().any(|(known, ..)| *known == word)
}

fn number(params: &Node<'_>, member: &str) -> Option<u64> {
    params.get(member).as_ref().and_then(Node::count)
}

struct Made {
    provider: String,
    model: String,
}

/// A member of the entry, or of the named credential that it refers to.
fn member<'a>(params: &Node<'a>, models: &Models<'a>, names: &[&str]) -> Option<Node<'a>> {
    params.any(names).or_else(|| {
        let name = params.get("litellm_credential_name")?;
        models.credentials.get(&name.said())?.any(names)
    })
}

fn provider<'a>(
    word: &str,
    model: &str,
    params: &Node<'a>,
    many: bool,
    models: &mut Models<'a>,
    draft: &mut Draft<'_>,
) -> Option<Made> {
    let base_node = member(params, models, &["api_base", "base_url"]);
    let base = base_node.as_ref().and_then(Node::text).map(|text| draft.follow(text, ENV));
    let mut model = model.to_owned();
    let mut want = word.to_owned();
    let mut body = match word {
        "azure" => {
            let base = base.as_deref()?.trim_end_matches('/');
            let version = member(params, models, &["api_version"]);
            let mut body = services::of("azure");
            match version.as_ref().and_then(Node::text).map(|text| draft.follow(text, ENV)) {
                Some(text) => {
                    body.insert("base_url".to_owned(), format!("{base}/openai/deployments/{{model}}").into());
                    body.insert("query".to_owned(), json!({ "api-version": text }));
                }
                None => drop(body.insert("base_url".to_owned(), format!("{base}/openai/v1").into())),
            }
            if let Some(version) = version {
                version.exact("providers.azure.query");
            }
            body
        }
        "vertex_ai" => {
            want = if model.contains("claude") { "vertex-anthropic" } else { "vertex" }.to_owned();
            let mut body = services::of(&want);
            for (names, here) in [
                (["vertex_project", "vertex_ai_project"], "project"),
                (["vertex_location", "vertex_ai_location"], "location"),
            ] {
                if let Some(node) = member(params, models, &names)
                    && let Some(text) = node.text()
                {
                    body.insert(here.to_owned(), draft.follow(text, ENV).into());
                    node.exact(format!("providers.{want}.{here}"));
                }
            }
            body
        }
        "bedrock" => {
            model = model.trim_start_matches("converse/").trim_start_matches("invoke/").to_owned();
            let mut body = services::of("bedrock");
            if let Some(node) = member(params, models, &["aws_region_name"])
                && let Some(text) = node.text()
            {
                body.insert("location".to_owned(), draft.follow(text, ENV).into());
                node.exact("providers.bedrock.location");
            }
            body
        }
        "text-completion-openai" => return None,
        _ => {
            let (_, service, kind) = *SERVICES.iter().find(|(known, ..)| *known == word)?;
            if word == "openai" && model.starts_with("responses/") {
                model = model.trim_start_matches("responses/").to_owned();
                services::of("openai-responses")
            } else {
                of_service(service, kind, base.as_deref(), &mut want)?
            }
        }
    };
    let key_node =
        member(params, models, &["api_key", "vertex_credentials", "aws_secret_access_key", "aws_bearer_token_bedrock"]);
    let key = key_node.as_ref().map(Node::said).unwrap_or_default();
    extras(params, models, &mut body, draft);
    // A pattern is one target: its keys are those of one provider.
    let same = format!("{}\n{}", Value::Object(body.clone()), if many { "" } else { key.as_str() });
    let name = match models.providers.get(&same) {
        Some(name) => name.clone(),
        None => {
            let name = draft.provider(&want, body);
            models.providers.insert(same, name.clone());
            name
        }
    };
    if let Some(node) = key_node {
        credential(&node, word, params, models, &name, draft);
    }
    if let Some(node) = base_node {
        node.exact(format!("providers.{name}.base_url"));
    }
    params.all_exact(&["litellm_credential_name"], &format!("credentials of {name}"));
    Some(Made { provider: name, model })
}

/// A preset, or an address; `None` where an address is needed and missing.
fn of_service(service: &str, kind: Base, base: Option<&str>, want: &mut String) -> Option<Map<String, Value>> {
    let base = base.map(|text| {
        if kind == Base::Versioned { services::versioned(text) } else { services::without(text, "/chat/completions") }
    });
    if service.starts_with("http") {
        return Some(services::at(base.as_deref().unwrap_or(service), Speaks::Chat));
    }
    if service == "generic" {
        let base = base?;
        if let Some((host, _)) = services::host(&base) {
            *want = host;
        }
        return Some(services::at(&base, Speaks::Chat));
    }
    let mut body = match &base {
        // Any server that speaks like OpenAI is reached under its word.
        Some(base) if service == "openai" => {
            let body = services::at(base, Speaks::Chat);
            if !body.contains_key("preset")
                && let Some((host, _)) = services::host(base)
            {
                *want = host;
            }
            return Some(body);
        }
        _ => services::of(service),
    };
    if let Some(base) = base {
        body.insert("base_url".to_owned(), base.into());
    }
    Some(body)
}

/// Headers and time limits of a provider.
fn extras<'a>(params: &Node<'a>, models: &Models<'a>, body: &mut Map<String, Value>, draft: &Draft<'_>) {
    let mut headers = Map::new();
    if let Some(node) = member(params, models, &["organization"])
        && let Some(text) = node.text()
    {
        headers.insert("openai-organization".to_owned(), draft.follow(text, ENV).into());
        node.exact("headers of the provider");
    }
    if let Some(node) = params.any(&["extra_headers", "headers"]) {
        for (name, value) in node.entries() {
            headers.insert(name.to_ascii_lowercase(), draft.follow(&value.said(), ENV).into());
        }
        node.exact("headers of the provider");
    }
    if !headers.is_empty() {
        body.insert("headers".to_owned(), headers.into());
    }
    let mut timeouts = Map::new();
    for (member, here) in [("timeout", "total"), ("stream_timeout", "first_byte")] {
        if let Some(node) = params.get(member) {
            match node.number().and_then(seconds) {
                Some(time) => {
                    timeouts.insert(here.to_owned(), time);
                    node.approximate(
                        format!("timeouts.{here} of the provider"),
                        "of the whole answer, or until its first byte",
                    );
                }
                None => node.manual(format!("a time in seconds is expected: set `timeouts.{here}`")),
            }
        }
    }
    if !timeouts.is_empty() {
        body.insert("timeouts".to_owned(), timeouts.into());
    }
    if let Some(node) = params.get("max_parallel_requests") {
        if let Some(count) = node.count() {
            body.insert("requests".to_owned(), count.into());
        }
        node.approximate("requests of the provider", "more wait in line");
    }
}

fn credential<'a>(
    node: &Node<'a>,
    word: &str,
    params: &Node<'a>,
    models: &Models<'a>,
    name: &str,
    draft: &mut Draft<'_>,
) {
    match word {
        "vertex_ai" => match node.value {
            Value::Object(_) => draft.key_text(node, name, &node.value.to_string(), "key_file", Map::new()),
            _ if node.text().is_some_and(|text| text.trim_start().starts_with('{')) => {
                draft.key_text(node, name, &node.said(), "key_file", Map::new());
            }
            _ => node
                .manual(format!("add the key file that it names: `polyport credentials add {name}` with `key_file`")),
        },
        "bedrock" => {
            let id = member(params, models, &["aws_access_key_id"]);
            let token = member(params, models, &["aws_session_token"]);
            let followed =
                |node: &Option<Node<'_>>| node.as_ref().and_then(Node::text).map(|text| draft.follow(text, ENV));
            let (text, more) = match (followed(&id), followed(&token)) {
                (Some(id), Some(token)) => {
                    let secret = draft.follow(&node.said(), ENV);
                    (format!("{id}:{secret}:{token}"), Map::new())
                }
                (id, _) => (draft.follow(&node.said(), ENV), object([("access_key_id", id.map(Value::from))])),
            };
            draft.key_text(node, name, &text, "key", more);
            for node in [id, token].into_iter().flatten() {
                node.exact(format!("credentials of {name}"));
            }
        }
        _ => draft.key(node, name, ENV, Map::new()),
    }
}

/// Requests a minute are the pace of a key; tokens a minute have no like for providers.
fn limits(params: &Node<'_>, provider: &str, models: &mut Models<'_>) {
    if let Some(node) = params.get("rpm") {
        match node.count() {
            Some(count) => {
                let sum = models.paces.entry(provider.to_owned()).or_default();
                *sum = sum.saturating_add(count).min(u64::from(u32::MAX));
                node.approximate(
                    format!("pace of the credentials of {provider}"),
                    "for all models of the key together",
                );
            }
            None => node.manual("a number is expected: set `pace` of the key"),
        }
    }
    if let Some(node) = params.get("tpm") {
        node.unsupported("providers tell when their tokens are used up, and the key rests then; limit callers with `accounting.quotas`");
    }
}

/// Prices of the entry, per million tokens.
fn prices(entry: &Node<'_>, params: &Node<'_>, provider: &str, model: &str, models: &mut Models<'_>) {
    let mut prices = Map::new();
    let info = entry.get("model_info");
    for (member, class) in [
        ("input_cost_per_token", "input"),
        ("output_cost_per_token", "output"),
        ("cache_read_input_token_cost", "cache_read"),
        ("cache_creation_input_token_cost", "cache_write"),
    ] {
        let node = params.get(member).or_else(|| info.as_ref()?.get(member));
        if let Some(node) = node {
            match node.number().filter(|number| (0.0..1.0).contains(number)) {
                Some(number) => {
                    // To the last digit that means something.
                    let million = (number * 1e12).round() / 1e6;
                    prices.insert(class.to_owned(), json!(million));
                    node.exact("accounting.prices");
                }
                None => node.manual("set the price in `accounting.prices`"),
            }
        }
    }
    if !prices.is_empty() {
        models.prices.push(json!({ "providers": [provider], "models": [model], "prices": prices }));
    }
}
