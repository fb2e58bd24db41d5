//! Moving in from other gateways: what is planned is taken by the admin API, and asks the same of the same providers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use polyport_import::{Database, Material, Plan, SourceFile, read};
use polyport_server::config::{Arguments, Environment, Purpose, Source};
use polyport_testkit::provider::FakeProvider;
use polyport_testkit::provider::Wrapping;
use polyport_testkit::raw::post;
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::Protocol;
use serde_json::{Map, Value, json};

use crate::declared::{Running, start};

/// When a test is run does not matter to what has an end.
const NOW: i64 = 1_790_000_000_000;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../polyport-import/tests/fixtures");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

fn database(name: &str, tables: &Value) -> Database {
    let (mut rows, mut left) = (BTreeMap::new(), BTreeMap::new());
    for (table, content) in tables.as_object().unwrap() {
        match content.as_array() {
            Some(list) => {
                drop(rows.insert(table.clone(), list.iter().map(|row| row.as_object().unwrap().clone()).collect()))
            }
            None => drop(left.insert(table.clone(), content.as_u64().unwrap())),
        }
    }
    Database { name: name.to_owned(), tables: rows, left }
}

fn material(files: &[(&str, String)], tables: Option<&Value>) -> Material {
    Material {
        files: files.iter().map(|(name, text)| SourceFile { name: (*name).to_owned(), text: text.clone() }).collect(),
        databases: tables.map(|tables| database("source.db", tables)).into_iter().collect(),
        now: Some(NOW),
    }
}

fn of_folder(folder: &Path) -> Material {
    let mut material = Material { now: Some(NOW), ..Material::default() };
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().replace("dot.env", ".env");
        let text = std::fs::read_to_string(&path).unwrap();
        match name.strip_suffix(".db.json") {
            Some(name) => material.databases.push(database(name, &serde_json::from_str(&text).unwrap())),
            None if name == "expected.json" => {}
            None => material.files.push(SourceFile { name, text }),
        }
    }
    material
}

/// What a variable of a fixture holds.
fn value_of(name: &str) -> String {
    // Ids of AWS are judged.
    if name == "AWS_ACCESS_KEY_ID" { "AKIAIOSFODNN7EXAMPLE".to_owned() } else { format!("sk-imported-{name}") }
}

/// The plan of a fixture, whose key files hold no real key.
fn planned(folder: &Path) -> Plan {
    let mut plan = read(&of_folder(folder), None).unwrap();
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"});
    for credential in plan.credentials.iter_mut().filter(|one| one.get("key_file").is_some()) {
        credential["key_file"] = user.to_string().into();
    }
    plan
}

/// The settings of a plan as a file, without what a test sets itself.
fn file_of(plan: &Plan) -> String {
    let mut settings = plan.settings.as_object().cloned().unwrap_or_default();
    settings.remove("server");
    if let Some(Value::Object(access)) = settings.get_mut("access") {
        access.remove("admin_keys");
        access.remove("open");
    }
    // The provider is declared in the database.
    settings.remove("default_provider");
    settings.insert("discover".to_owned(), false.into());
    Value::Object(settings).to_string()
}

#[tokio::test]
async fn o13_what_is_planned_of_every_fixture_is_taken_whole_and_is_in_force() {
    for folder in fixtures() {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let plan = planned(&folder);
        let home = tempfile::tempdir().unwrap();
        let running = start(home.path(), &file_of(&plan)).await;
        for lookup in [true, false] {
            let carried = plan.document(|name| lookup.then(|| value_of(name)));
            let things: usize =
                carried.document.as_object().unwrap().values().map(|list| list.as_array().unwrap().len()).sum();
            let mut body = carried.document.clone();
            body["dry_run"] = true.into();
            let (status, told) = running.try_to("POST", "import", body).await;
            assert!(status < 300, "{name}: {status} {told:#}");
            if lookup {
                let told = running.to("POST", "import", carried.document).await;
                assert_eq!(told["created"], things, "{name}");
            }
        }
        let problems = running.to("GET", "problems", Value::Null).await;
        assert_eq!(problems["problems"], json!([]), "{name}");
        let audit = running.to("GET", "audit?action=importDefinitions", Value::Null).await;
        assert_eq!(audit["audit"].as_array().unwrap().len(), 1, "{name}: a rehearsal is no deed");
        running.stop().await;
    }
}

#[test]
fn what_is_planned_of_every_fixture_is_a_configuration_of_its_own() {
    for folder in fixtures() {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let plan = planned(&folder);
        let home = tempfile::tempdir().unwrap();
        let environment = Environment::of(
            [
                "ANTIGRAVITY_CLIENT_ID",
                "ANTIGRAVITY_CLIENT_SECRET",
                "AZURE_API_KEY",
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
            ]
            .map(|name| (name.to_owned(), value_of(name))),
            home.path(),
        );
        let source = Source::new(None, environment, Arguments::default());
        let loaded = source.load_text(&plan.configuration().to_string(), &[], Purpose::Inspect);
        if let Err(problems) = loaded {
            panic!("{name}: {problems}");
        }
    }
}

/// Providers that a source leads to.
struct Upstream {
    chat: FakeProvider,
    other: FakeProvider,
    messages: FakeProvider,
    gemini: FakeProvider,
}

impl Upstream {
    async fn start() -> Self {
        Self {
            chat: FakeProvider::start(Protocol::Chat).await,
            other: FakeProvider::start(Protocol::Chat).await,
            messages: FakeProvider::start(Protocol::Messages).await,
            gemini: FakeProvider::start(Protocol::Gemini).await,
        }
    }

    fn all(&self) -> [(&'static str, &FakeProvider); 4] {
        [("chat", &self.chat), ("other", &self.other), ("messages", &self.messages), ("gemini", &self.gemini)]
    }

    /// Everything that was asked, as `WHO PATH KEY MODEL`.
    fn asked(&self) -> Vec<String> {
        let mut all: Vec<(std::time::Instant, String)> = Vec::new();
        for (who, fake) in self.all() {
            for exchange in fake.requests() {
                let headers = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
                let key = headers.iter().find_map(|name| exchange.header(name)).unwrap_or_default();
                let model = exchange.json()["model"].as_str().unwrap_or_default().to_owned();
                all.push((exchange.at(), format!("{who} {} {key} {model}", exchange.path()).trim_end().to_owned()));
            }
        }
        all.sort();
        all.into_iter().map(|(_, line)| line).collect()
    }
}

/// Imports a source, asks twenty times, and compares with what the source would have asked: `(model, key, what is asked)`, over and over.
async fn same_calls(upstream: &Upstream, source: &Material, turns: &[(&str, &str, &[&str])]) {
    let plan = read(source, None).unwrap();
    let home = tempfile::tempdir().unwrap();
    let running = start(home.path(), &file_of(&plan)).await;
    let carried = plan.document(|_| None);
    assert_eq!(carried.missing, []);
    running.to("POST", "import", carried.document).await;
    twenty(upstream, &running, turns).await;
    running.stop().await;
}

async fn twenty(upstream: &Upstream, running: &Running, turns: &[(&str, &str, &[&str])]) {
    let mut expected = Vec::new();
    for at in 0..20 {
        let (model, key, asked) = turns[at % turns.len()];
        let body = json!({"model": model, "messages": [{"role": "user", "content": format!("question {at}")}]});
        let bearer = format!("Bearer {key}");
        let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("authorization", &bearer)] };
        let answer = post(running.gateway.address, "/v1/chat/completions", headers, &body).await;
        let status = answer.status;
        let text = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{model}: {}", String::from_utf8_lossy(&text));
        expected.push(asked[(at / turns.len()) % asked.len()].to_owned());
        assert_eq!(upstream.asked(), expected, "after {} requests", at + 1);
    }
    for (_, fake) in upstream.all() {
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn moving_from_transformer_keeps_the_calls() {
    let up = Upstream::start().await;
    let app = format!(
        "MODE: transformer\nPREFERRED_PROVIDER: anthropic\nAPI_KEY_POOLS:\n  openai:\n    keys: [sk-o-1, sk-o-2]\n    base_url: {}\n  \
         anthropic:\n    keys: [sk-a-1, sk-a-2]\n    auth_header: x-api-key\n    auth_format: \"{{key}}\"\n    base_url: {}\n  \
         gemini:\n    keys: [sk-g-1]\n    base_url: {}\n",
        up.chat.base_url(),
        up.messages.base_url(),
        up.gemini.base_url()
    );
    let tables = json!({"model_configs": [
        {"id": 1, "route_key": "gpt-4", "target_model": "claude-sonnet-4-5", "provider": "anthropic"},
        {"id": 2, "route_key": "flash", "target_model": "gemini-2.5-flash", "provider": "gemini", "match_type": "keyword"}
    ]});
    let source = material(&[("app.yml", app)], Some(&tables));
    same_calls(
        &up,
        &source,
        &[
            (
                "gpt-4",
                "anything",
                &["messages /v1/messages sk-a-1 claude-sonnet-4-5", "messages /v1/messages sk-a-2 claude-sonnet-4-5"],
            ),
            ("my-flash-9", "", &["gemini /v1beta/models/gemini-2.5-flash:generateContent sk-g-1"]),
            (
                "gpt-5",
                "",
                &["chat /v1/chat/completions Bearer sk-o-1 gpt-5", "chat /v1/chat/completions Bearer sk-o-2 gpt-5"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn moving_from_ai_service_keeps_the_calls() {
    let up = Upstream::start().await;
    let models = json!({"models": [
        {"id": "small", "adapter": "openai_compat", "base_url": up.chat.base_url(), "api_key": "ENV:THE_KEY", "model": "gpt-4o-mini"},
        {"id": "large", "adapter": "openai_compat", "base_url": up.chat.base_url(), "api_key": "ENV:THE_KEY"},
        {"id": "free", "adapter": "openai_compat", "base_url": up.other.base_url(), "model": "qwen3"}
    ]});
    let source = material(&[("models.json", models.to_string()), (".env", "THE_KEY=sk-of-env".to_owned())], None);
    same_calls(
        &up,
        &source,
        &[
            ("small", "", &["chat /v1/chat/completions Bearer sk-of-env gpt-4o-mini"]),
            ("large", "", &["chat /v1/chat/completions Bearer sk-of-env large"]),
            ("free", "", &["other /v1/chat/completions  qwen3"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn s3_02_moving_from_api_pool_keeps_the_calls() {
    let up = Upstream::start().await;
    let tables = json!({
        "providers": [
            {"id": 1, "name": "A", "base_url": up.chat.base_url(), "api_key": "sk-fake-a", "api_format": "OPENAI", "enabled": 1},
            {"id": 2, "name": "B", "base_url": up.other.base_url(), "api_key": "sk-fake-b", "api_format": "OPENAI", "enabled": 1},
            {"id": 3, "name": "C", "base_url": format!("{}/v1", up.messages.base_url()), "api_key": "sk-fake-c", "api_format": "ANTHROPIC", "enabled": 1}
        ],
        "model_endpoints": [
            {"id": 1, "provider_id": 1, "model_id": "m1", "pool_type": "NORMAL", "enabled": 1, "priority": 0},
            {"id": 2, "provider_id": 1, "model_id": "m2", "pool_type": "NORMAL", "enabled": 1, "priority": 0},
            {"id": 3, "provider_id": 2, "model_id": "m1", "pool_type": "NORMAL", "enabled": 1, "priority": 0},
            {"id": 4, "provider_id": 3, "model_id": "deep", "pool_type": "ADVANCED", "enabled": 1, "priority": 0}
        ],
        "pools": []
    });
    let source = material(&[], Some(&tables));
    let (a1, a2) = ("chat /v1/chat/completions Bearer sk-fake-a m1", "chat /v1/chat/completions Bearer sk-fake-a m2");
    let (b1, c) = ("other /v1/chat/completions Bearer sk-fake-b m1", "messages /v1/messages sk-fake-c deep");
    same_calls(
        &up,
        &source,
        &[("claude-sonnet-4-5-20250929", "any", &[a1, b1, a2, b1]), ("claude-opus-4-5", "other", &[c])],
    )
    .await;
}

#[tokio::test]
async fn moving_from_litellm_keeps_the_calls() {
    let up = Upstream::start().await;
    let config = format!(
        "model_list:\n\
         - {{model_name: fast, litellm_params: {{model: openai/one, api_base: \"{chat}\", api_key: sk-fake-1, order: 2}}}}\n\
         - {{model_name: fast, litellm_params: {{model: openai/two, api_base: \"{other}\", api_key: os.environ/SECOND, order: 1}}}}\n\
         - {{model_name: even, litellm_params: {{model: openai/one, api_base: \"{chat}\", api_key: sk-fake-1}}}}\n\
         - {{model_name: even, litellm_params: {{model: openai/one, api_base: \"{chat}\", api_key: sk-fake-2}}}}\n\
         - {{model_name: anthropic/*, litellm_params: {{model: anthropic/*, api_base: \"{messages}\", api_key: sk-ant-fake}}}}\n\
         - {{model_name: \"g-*\", litellm_params: {{model: \"gemini/gemini-*\", api_base: \"{gemini}\", api_key: sk-g-fake}}}}\n\
         router_settings: {{model_group_alias: {{quick: fast}}}}\n\
         general_settings: {{master_key: sk-fake-master}}\n",
        chat = up.chat.base_url(),
        other = up.other.base_url(),
        messages = up.messages.base_url(),
        gemini = up.gemini.base_url()
    );
    let source = material(&[("config.yaml", config), (".env", "SECOND=sk-of-env".to_owned())], None);
    let two = "other /v1/chat/completions Bearer sk-of-env two";
    let key = "sk-fake-master";
    same_calls(
        &up,
        &source,
        &[
            ("fast", key, &[two]),
            ("quick", key, &[two]),
            (
                "even",
                key,
                &["chat /v1/chat/completions Bearer sk-fake-1 one", "chat /v1/chat/completions Bearer sk-fake-2 one"],
            ),
            ("anthropic/claude-x", key, &["messages /v1/messages sk-ant-fake claude-x"]),
            ("g-2.5", key, &["gemini /v1beta/models/gemini-2.5:generateContent sk-g-fake"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn moving_from_one_api_keeps_the_calls() {
    let up = Upstream::start().await;
    let root = |fake: &FakeProvider| fake.base_url().trim_end_matches("/v1").to_owned();
    let tables = json!({
        "channels": [
            {"id": 1, "type": 1, "key": "sk-fake-1\nsk-fake-2", "status": 1, "name": "main", "weight": 1, "base_url": root(&up.chat), "models": "gpt-4o,gpt-4", "group": "default,vip", "model_mapping": "{\"gpt-4\": \"gpt-4o\"}", "priority": 5},
            {"id": 2, "type": 1, "key": "sk-fake-relay", "status": 1, "name": "relay", "weight": 1, "base_url": root(&up.other), "models": "gpt-4o", "group": "default", "model_mapping": "", "priority": 0},
            {"id": 3, "type": 14, "key": "sk-ant-fake", "status": 1, "name": "claude", "weight": 1, "base_url": up.messages.base_url(), "models": "gpt-4o,sonnet", "group": "vip", "model_mapping": "{\"gpt-4o\": \"claude-x\"}", "priority": 9},
            {"id": 4, "type": 24, "key": "sk-off", "status": 2, "name": "off", "weight": 1, "base_url": up.gemini.base_url(), "models": "gpt-4o", "group": "default", "model_mapping": "", "priority": 99}
        ],
        "tokens": [
            {"id": 1, "user_id": 1, "key": "plainplainplain1", "status": 1, "name": "t", "expired_time": -1, "remain_quota": 0, "unlimited_quota": 1, "models": "", "subnet": "127.0.0.0/8"},
            {"id": 2, "user_id": 2, "key": "vipvipvipvipvip2", "status": 1, "name": "t", "expired_time": 1_900_000_000, "remain_quota": 900_000_000, "unlimited_quota": 0, "models": "", "subnet": ""},
            {"id": 3, "user_id": 2, "key": "oldoldoldoldold3", "status": 1, "name": "o", "expired_time": 1_600_000_000, "remain_quota": 0, "unlimited_quota": 1, "models": "", "subnet": ""}
        ],
        "users": [
            {"id": 1, "username": "plain", "role": 1, "status": 1, "quota": 500_000_000, "group": "default"},
            {"id": 2, "username": "vip", "role": 1, "status": 1, "quota": 500_000_000, "group": "vip"}
        ],
        "options": []
    });
    let source = material(&[], Some(&tables));
    let (one, two) =
        ("chat /v1/chat/completions Bearer sk-fake-1 gpt-4o", "chat /v1/chat/completions Bearer sk-fake-2 gpt-4o");
    same_calls(
        &up,
        &source,
        &[
            ("gpt-4o", "sk-plainplainplain1", &[one]),
            ("gpt-4o", "sk-vipvipvipvipvip2", &["messages /v1/messages sk-ant-fake claude-x"]),
            ("gpt-4", "sk-plainplainplain1", &[two]),
            ("sonnet", "sk-vipvipvipvipvip2", &["messages /v1/messages sk-ant-fake sonnet"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn moving_from_new_api_keeps_the_calls() {
    let up = Upstream::start().await;
    let root = |fake: &FakeProvider| fake.base_url().trim_end_matches("/v1").to_owned();
    let tables = json!({
        "channels": [
            // The second of its three keys was switched off there.
            {"id": 1, "type": 1, "key": "sk-fake-1\nsk-fake-2\nsk-fake-3", "status": 1, "name": "main", "weight": 1, "base_url": root(&up.chat), "models": "gpt-4o", "group": "default", "model_mapping": null, "priority": 5, "auto_ban": 1, "channel_info": "{\"is_multi_key\":true,\"multi_key_size\":3,\"multi_key_status_list\":{\"1\":2},\"multi_key_mode\":\"polling\"}", "settings": "{}"},
            {"id": 2, "type": 14, "key": "sk-ant-fake", "status": 1, "name": "claude", "weight": 1, "base_url": up.messages.base_url(), "models": "sonnet", "group": "default", "model_mapping": "{\"sonnet\": \"claude-x\"}", "priority": 0, "auto_ban": 1, "channel_info": "{}"}
        ],
        "tokens": [
            {"id": 1, "user_id": 1, "key": "rootrootrootroot1", "status": 1, "name": "all", "expired_time": -1, "remain_quota": 0, "unlimited_quota": 1, "model_limits_enabled": 1, "model_limits": "gpt-4o,sonnet", "allow_ips": "127.0.0.1", "group": "default", "deleted_at": null}
        ],
        "users": [
            {"id": 1, "username": "root", "role": 100, "status": 1, "quota": 100_000_000, "group": "default", "deleted_at": null, "aff_history": 0}
        ],
        "options": [],
        "setups": 1
    });
    let (one, three) =
        ("chat /v1/chat/completions Bearer sk-fake-1 gpt-4o", "chat /v1/chat/completions Bearer sk-fake-3 gpt-4o");
    same_calls(
        &up,
        &material(&[], Some(&tables)),
        &[
            ("gpt-4o", "sk-rootrootrootroot1", &[one, three]),
            ("sonnet", "sk-rootrootrootroot1", &["messages /v1/messages sk-ant-fake claude-x"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn moving_from_cli_proxy_api_keeps_the_calls() {
    let up = Upstream::start().await;
    let config = format!(
        "port: 8317\napi-keys: [client-key-0001]\nrouting: {{strategy: fill-first}}\n\
         claude-api-key:\n- {{api-key: sk-ant-1, base-url: \"{messages}\", prefix: team, models: [{{name: claude-x, alias: best}}]}}\n\
         - {{api-key: sk-ant-2, base-url: \"{messages}\", prefix: team, models: [{{name: claude-x, alias: best}}]}}\n\
         gemini-api-key:\n- {{api-key: sk-g-1, base-url: \"{gemini}\"}}\n\
         openai-compatibility:\n- name: mine\n  base-url: \"{chat}\"\n  api-key-entries: [{{api-key: sk-o-1}}]\n  \
         models: [{{name: real-1, alias: pooled}}, {{name: real-2, alias: pooled}}]\n",
        messages = up.messages.base_url(),
        gemini = up.gemini.base_url(),
        chat = up.chat.base_url()
    );
    let source = material(&[("config.yaml", config)], None);
    let key = "client-key-0001";
    let claude = "messages /v1/messages Bearer sk-ant-1 claude-x";
    same_calls(
        &up,
        &source,
        &[
            ("best", key, &[claude]),
            ("team/claude-x", key, &[claude]),
            ("gemini-2.5-flash", key, &["gemini /v1beta/models/gemini-2.5-flash:generateContent sk-g-1"]),
            (
                "pooled",
                key,
                &["chat /v1/chat/completions Bearer sk-o-1 real-1", "chat /v1/chat/completions Bearer sk-o-1 real-2"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn moving_from_claude_code_router_keeps_the_calls() {
    let up = Upstream::start().await;
    let config = json!({
        "APIKEY": "router-key-0001",
        "Providers": [
            {"name": "one", "api_base_url": format!("{}/chat/completions", up.chat.base_url()), "api_key": "sk-1", "models": ["m-1"]},
            {"name": "two", "api_base_url": format!("{}/chat/completions", up.other.base_url()), "api_key": "$TWO", "models": ["m-2"]},
            {"name": "g", "api_base_url": format!("{}/v1beta/models/", up.gemini.base_url()), "api_key": "sk-g", "models": ["gemini-x"], "transformer": {"use": ["gemini"]}},
            {"name": "a", "api_base_url": format!("{}/v1/messages", up.messages.base_url()), "api_key": "sk-a", "models": ["claude-x"], "transformer": {"use": ["Anthropic"]}}
        ],
        "Router": {"default": "one,m-1", "background": "two,m-2", "think": "a,claude-x"}
    });
    let source = material(&[("config.json", config.to_string()), (".env", "TWO=sk-of-env".to_owned())], None);
    let key = "router-key-0001";
    same_calls(
        &up,
        &source,
        &[
            ("claude-sonnet-4-5-20250929", key, &["chat /v1/chat/completions Bearer sk-1 m-1"]),
            ("claude-haiku-4-5-20251001", key, &["other /v1/chat/completions Bearer sk-of-env m-2"]),
            ("g,gemini-x", key, &["gemini /v1beta/models/gemini-x:generateContent sk-g"]),
            ("a,claude-x", key, &["messages /v1/messages sk-a claude-x"]),
            ("think", key, &["messages /v1/messages sk-a claude-x"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn moving_from_gpt_load_keeps_the_calls() {
    let up = Upstream::start().await;
    let group = |name: &str, kind: &str, url: &str, proxy: &str, keys: &[&str], more: Value| {
        let mut group = json!({"name": name, "channel_type": kind, "upstreams": [{"url": url, "weight": 1}], "proxy_keys": proxy, "enabled": true});
        group.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let keys: Vec<Value> = keys.iter().map(|key| json!({"key_value": key, "status": "active"})).collect();
        json!({"group": group, "keys": keys})
    };
    let export = json!({"version": "2", "system_settings": {"proxy_keys": "global-key-0001"}, "groups": [
        group("oa", "openai", up.chat.base_url().trim_end_matches("/v1"), "group-key-0001", &["sk-1", "sk-2"], json!({"model_redirect_rules": {"small": "gpt-4o-mini"}})),
        group("an", "anthropic", &up.messages.base_url(), "group-key-0002", &["sk-a"], json!({})),
        group("ge", "gemini", &up.gemini.base_url(), "", &["sk-g"], json!({}))
    ]});
    let source = material(&[("export.json", export.to_string())], None);
    same_calls(
        &up,
        &source,
        &[
            ("any-model", "group-key-0001", &["chat /v1/chat/completions Bearer sk-1 any-model"]),
            ("any-model", "group-key-0002", &["messages /v1/messages sk-a any-model"]),
            ("small", "global-key-0001", &["chat /v1/chat/completions Bearer sk-2 gpt-4o-mini"]),
            ("ge/gemini-x", "global-key-0001", &["gemini /v1beta/models/gemini-x:generateContent sk-g"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn s1_12_moving_from_antigravity_keeps_the_calls() {
    let tokens = FakeTokenServer::start().await;
    tokens.open("refresh-one");
    tokens.open("refresh-two");
    let wrapping = Wrapping::CodeAssist { projects: vec!["p-one".to_owned(), "p-two".to_owned()], antigravity: true };
    let google = FakeProvider::builder(Protocol::Gemini).wrapped(wrapping).start().await;
    let file = json!({
        "oauth_config": {"client_id": "client", "client_secret": "shh", "token_url": tokens.url()},
        "projects": [
            {"project_id": "p-one", "refresh_token": "refresh-one", "access_token": null, "expires_at": null},
            {"project_id": "p-two", "refresh_token": "refresh-two", "access_token": null, "expires_at": null}
        ]
    });
    let source =
        material(&[("tokens.json", file.to_string()), (".env", "API_KEYS=[\"client-key-0001\"]".to_owned())], None);
    let mut plan = read(&source, None).unwrap();
    // Where Google is: no file of the source says it.
    for provider in &mut plan.providers {
        provider.as_object_mut().unwrap().insert("base_url".to_owned(), google.base_url().into());
    }
    let home = tempfile::tempdir().unwrap();
    let running = start(home.path(), &file_of(&plan)).await;
    running.to("POST", "import", plan.document(|_| None).document).await;
    let mut projects: Map<String, Value> = Map::new();
    for at in 0..20 {
        let body =
            json!({"model": "gemini-3-pro", "messages": [{"role": "user", "content": format!("question {at}")}]});
        let answer = post(
            running.gateway.address,
            "/v1/chat/completions",
            &[("authorization", "Bearer client-key-0001")],
            &body,
        )
        .await;
        let status = answer.status;
        let text = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&text));
        let sent = google.last().json();
        assert_eq!(sent["model"], "gemini-3-pro");
        let count = projects.entry(sent["project"].as_str().unwrap()).or_insert_with(|| 0.into());
        *count = (count.as_u64().unwrap() + 1).into();
    }
    assert_eq!(Value::Object(projects), json!({"p-one": 10, "p-two": 10}));
    running.stop().await;
}

#[tokio::test]
async fn s0_31_moving_from_warp2api_keeps_the_calls() {
    let tokens = FakeTokenServer::start().await;
    let warp = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Warp).start().await;
    for account in ["refresh-one", "refresh-two"] {
        tokens.open(account);
    }
    let batch = json!({"accounts": [
        {"refresh_token": "refresh-one", "email": "one@example.com", "total_limit": 100, "used_limit": 5},
        {"refresh_token": "refresh-two", "email": "two@example.com"}
    ]});
    let variables =
        format!("API_TOKEN=client-key-0001\nADMIN_TOKEN=admin-key-0001\nWARP_REFRESH_URL={}?key=web\n", tokens.url());
    let mut plan = read(&material(&[("accounts.json", batch.to_string()), (".env", variables)], None), None).unwrap();
    // Where Warp is: no file of the source says it.
    for provider in &mut plan.providers {
        provider.as_object_mut().unwrap().insert("base_url".to_owned(), format!("http://{}", warp.address()).into());
    }
    let home = tempfile::tempdir().unwrap();
    let running = start(home.path(), &file_of(&plan)).await;
    running.to("POST", "import", plan.document(|_| None).document).await;
    for at in 0..20 {
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": format!("question {at}")}]});
        let headers = [("authorization", "Bearer client-key-0001")];
        let answer = post(running.gateway.address, "/v1/chat/completions", &headers, &body).await;
        let status = answer.status;
        let text = answer.bytes().await.unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&text));
        assert!(String::from_utf8_lossy(warp.last().body()).contains(&format!("question {at}")));
    }
    let of = |account: &str| {
        let tokens = tokens.access_tokens(account);
        let sent = warp.requests();
        let mut asked = sent.iter().filter_map(|asked| asked.header("authorization"));
        asked.by_ref().filter(|key| tokens.iter().any(|token| **key == format!("Bearer {token}"))).count()
    };
    assert_eq!((of("refresh-one"), of("refresh-two")), (10, 10));
    warp.assert_no_violations();
    running.stop().await;
}
