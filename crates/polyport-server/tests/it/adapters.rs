//! Providers that are not spoken to as their protocol's own servers.

use std::path::Path;

use polyport_server::config::{Access, Config, Environment, KeyHash, Purpose, Source};
use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, FakeProvider, Step, Wrapping};
use polyport_testkit::raw::{get, post};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::support::{Gateway, request};

/// A configuration as people write it.
pub(crate) fn config(text: &str, folder: &Path) -> Config {
    let source = Source { environment: Environment::of([], folder), ..Source::default() };
    let loaded = source.load_text(text, &[], Purpose::Serve);
    loaded.unwrap_or_else(|problems| panic!("{problems:?}\n{text}")).config
}

/// What a client of this protocol understands of the answer.
pub(crate) async fn ask(gateway: &Gateway, client: ClientProtocol, path: &str, body: &Value, stream: bool) -> Summary {
    let answer = post(gateway.address, path, &[], body).await;
    let status = answer.status;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{client}: {}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client} stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

/// Every client, streaming and not, gets the text and the call.
pub(crate) async fn text_and_tools(gateway: &Gateway, fake: &FakeProvider, name: &str) {
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            let (path, body) = request(client, stream);
            fake.always(Step::answer(Answer::default().text("Let me see.").tool("look", r#"{"at":"é \"x\""}"#)));
            let summary = ask(gateway, client, path, &body, stream).await;
            let choice = &summary.choices[0];
            assert_eq!(choice.text, "Let me see.", "{client} to {name}, stream {stream}");
            let call = &choice.tool_calls[0];
            assert_eq!(
                (call.name.as_str(), call.arguments.as_str()),
                ("look", r#"{"at":"é \"x\""}"#),
                "{client} to {name}"
            );
        }
    }
    fake.assert_no_violations();
}

/// Two projects in a file as other programs write it, with the tokens of a fake token server.
fn tokens_file(folder: &Path, tokens: &FakeTokenServer) {
    for refresh in ["refresh-a", "refresh-b"] {
        tokens.open(refresh);
    }
    let file = json!({
        "oauth_config": { "client_id": "client", "client_secret": "quiet", "token_url": tokens.url() },
        "projects": [
            { "project_id": "project-a", "refresh_token": "refresh-a", "access_token": null, "expires_at": null },
            { "project_id": "project-b", "refresh_token": "refresh-b", "access_token": null, "expires_at": null },
        ]
    });
    std::fs::write(folder.join("tokens.json"), file.to_string()).unwrap();
}

async fn code_assist(antigravity: bool) -> FakeProvider {
    let projects = vec!["project-a".to_owned(), "project-b".to_owned()];
    FakeProvider::builder(Protocol::Gemini).wrapped(Wrapping::CodeAssist { projects, antigravity }).start().await
}

fn assist_config(preset: &str, fake: &FakeProvider, folder: &Path) -> Config {
    let text = format!(
        "data: data\nproviders:\n  assist:\n    preset: {preset}\n    base_url: {}\n    proxy: none\n    oauth: \
         {{ file: tokens.json }}\nmodels: {{ m: assist/gemini-2.5-pro }}\n",
        fake.base_url()
    );
    config(&text, folder)
}

#[tokio::test]
async fn code_assist_accounts_of_a_file_answer_every_client() {
    for (preset, antigravity) in [("code-assist", false), ("antigravity", true)] {
        let folder = tempfile::tempdir().unwrap();
        let tokens = FakeTokenServer::start().await;
        tokens_file(folder.path(), &tokens);
        let fake = code_assist(antigravity).await;
        let gateway = Gateway::start(assist_config(preset, &fake, folder.path())).await;
        text_and_tools(&gateway, &fake, preset).await;
        let projects: Vec<Value> = fake.requests().iter().map(|asked| asked.json()["project"].clone()).collect();
        for project in ["project-a", "project-b"] {
            let times = projects.iter().filter(|asked| *asked == project).count();
            assert_eq!(times, projects.len() / 2, "accounts take turns: {projects:?}");
        }
        assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());
        // A conversation keeps its session, other words have another one.
        let session = |exchange: &polyport_testkit::provider::Exchange| {
            let request = exchange.json()["request"].clone();
            request[if antigravity { "sessionId" } else { "session_id" }].clone()
        };
        let sessions: Vec<Value> = fake.requests().iter().map(session).collect();
        assert!(sessions.windows(2).all(|pair| pair[0] == pair[1]), "{sessions:?}");
    }
}

#[tokio::test]
async fn a_refused_token_is_refreshed_and_an_exhausted_project_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens_file(folder.path(), &tokens);
    let fake = code_assist(false).await;
    let gateway = Gateway::start(assist_config("code-assist", &fake, folder.path())).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    let stale = std::sync::Arc::new(std::sync::Mutex::new(None::<String>));
    let seen = std::sync::Arc::clone(&stale);
    fake.decide(move |exchange| {
        // The first token it sees has just been revoked.
        let bearer = exchange.header("authorization").unwrap_or_default().to_owned();
        let mut seen = seen.lock().unwrap();
        let first = seen.get_or_insert_with(|| bearer.clone()).clone();
        (bearer == first).then(|| Step::error(401, "Request had invalid authentication credentials."))
    });
    let summary = ask(&gateway, ClientProtocol::Chat, path, &body, false).await;
    assert!(!summary.choices[0].text.is_empty());
    let asked = fake.requests();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].json()["project"], asked[1].json()["project"], "the same project with a fresh token");
    assert_ne!(asked[0].header("authorization"), asked[1].header("authorization"));

    // A project whose quota is used up rests until the named time; the other one answers.
    let exhausted = json!([{ "error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You have exhausted your quota.",
        "details": [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "QUOTA_EXHAUSTED",
            "domain": "cloudcode-pa.googleapis.com", "metadata": { "quotaResetDelay": "3h0m2.5s" } }]
    } }]);
    fake.decide(move |exchange| {
        let at = exchange.json()["project"] == "project-a";
        at.then(|| Step::json(&exhausted.to_string()).status(429))
    });
    for _ in 0..4 {
        ask(&gateway, ClientProtocol::Chat, path, &body, false).await;
    }
    let refused = fake.requests().iter().skip(2).filter(|asked| asked.json()["project"] == "project-a").count();
    assert_eq!(refused, 1, "a project without quota is left alone");
    fake.assert_no_violations();
}

#[tokio::test]
async fn vertex_serves_the_models_of_both_publishers_with_a_service_account() {
    for (preset, protocol, model) in
        [("vertex", Protocol::Gemini, "gemini-2.5-pro"), ("vertex-anthropic", Protocol::Messages, "claude-sonnet-4-5")]
    {
        let folder = tempfile::tempdir().unwrap();
        let tokens = FakeTokenServer::start().await;
        let key = tokens.service_account("robot@project-a.example", "project-a");
        std::fs::write(folder.path().join("key.json"), key.to_string()).unwrap();
        let wrapping = Wrapping::Vertex { project: "project-a".to_owned(), location: "europe-west4".to_owned() };
        let fake = FakeProvider::builder(protocol).wrapped(wrapping).start().await;
        let text = format!(
            "providers:\n  cloud:\n    preset: {preset}\n    base_url: http://{}\n    location: europe-west4\n    proxy: \
             none\n    oauth: {{ accounts: [{{ key_file: 'file:key.json' }}] }}\nmodels: {{ m: cloud/{model} }}\n",
            fake.address()
        );
        let gateway = Gateway::start(config(&text, folder.path())).await;
        text_and_tools(&gateway, &fake, preset).await;
        assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());
        assert_eq!(tokens.calls("robot@project-a.example"), 1);
        let token = format!("Bearer {}", tokens.access_tokens("robot@project-a.example")[0]);
        assert!(fake.requests().iter().all(|asked| asked.header("authorization") == Some(&*token)));
    }
}

#[tokio::test]
async fn vertex_counts_the_tokens_of_both_publishers_models() {
    for (preset, protocol, model) in
        [("vertex", Protocol::Gemini, "gemini-2.5-pro"), ("vertex-anthropic", Protocol::Messages, "claude-sonnet-4-5")]
    {
        let folder = tempfile::tempdir().unwrap();
        let tokens = FakeTokenServer::start().await;
        let key = tokens.service_account("robot@project-a.example", "project-a");
        std::fs::write(folder.path().join("key.json"), key.to_string()).unwrap();
        let wrapping = Wrapping::Vertex { project: "project-a".to_owned(), location: "global".to_owned() };
        let fake = FakeProvider::builder(protocol).wrapped(wrapping).start().await;
        let text = format!(
            "providers:\n  cloud:\n    preset: {preset}\n    base_url: http://{}\n    location: global\n    proxy: none\n    oauth: {{ \
             accounts: [{{ key_file: 'file:key.json' }}] }}\nmodels: {{ m: cloud/{model} }}\n",
            fake.address()
        );
        let gateway = Gateway::start(config(&text, folder.path())).await;
        let words = "How many tokens are these words?";
        let contents = json!([{ "role": "user", "parts": [{ "text": words }] }]);
        let whole = json!({ "model": "models/m", "contents": contents, "systemInstruction": { "parts": [{ "text": "Count." }] },
            "safetySettings": [{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE" }] });
        for (path, body, member) in [
            (
                "/v1/messages/count_tokens",
                json!({ "model": "m", "system": "Count.", "messages": [{ "role": "user", "content": words }],
                    "tools": [{ "name": "look", "input_schema": { "type": "object", "properties": {} } }] }),
                "input_tokens",
            ),
            ("/v1beta/models/m:countTokens", json!({ "contents": contents }), "totalTokens"),
            ("/v1beta/models/m:countTokens", json!({ "generateContentRequest": whole }), "totalTokens"),
            ("/v1/responses/input_tokens", json!({ "model": "m", "input": words }), "input_tokens"),
        ] {
            let before = fake.requests().len();
            let answer = post(gateway.address, path, &[], &body).await;
            assert!(answer.header("x-polyport-estimated").is_empty(), "{preset}: {path}");
            let counted: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            assert!(counted[member].as_u64().is_some_and(|tokens| tokens > 5), "{preset}: {path}: {counted}");
            assert_eq!(fake.requests().len(), before + 1);
            assert!(String::from_utf8_lossy(fake.last().body()).contains(words));
            if protocol == Protocol::Messages {
                assert_eq!(fake.last().json()["model"], model);
                assert!(fake.last().path().ends_with("/anthropic/models/count-tokens:rawPredict"));
            }
        }
        fake.assert_no_violations();
    }
}

#[tokio::test]
async fn azure_takes_a_token_of_the_client_itself() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens.open("quiet");
    let fake = FakeProvider::start(Protocol::Chat).await;
    let text = format!(
        "providers:\n  azure:\n    preset: azure\n    base_url: {}\n    proxy: none\n    oauth:\n      token_url: {}\n      \
         client_id: app\n      client_secret: quiet\n      grant: client_credentials\n      scope: \
         https://cognitiveservices.azure.com/.default\nmodels: {{ m: azure/my-deployment }}\n",
        fake.base_url(),
        tokens.url()
    );
    let gateway = Gateway::start(config(&text, folder.path())).await;
    text_and_tools(&gateway, &fake, "azure").await;
    let token = format!("Bearer {}", tokens.access_tokens("quiet")[0]);
    assert!(fake.requests().iter().all(|asked| asked.header("authorization") == Some(&*token)));
    assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());
}

fn warp_config(fake: &FakeProvider, tokens: &FakeTokenServer, folder: &Path) -> Config {
    let text = format!(
        "providers:\n  warp:\n    preset: warp\n    base_url: http://{}\n    proxy: none\n    oauth:\n      token_url: {}\n      \
         grant: id_token\n      accounts: [{{ refresh_token: mine }}, {{ refresh_token: ours }}]\nmodels: {{ m: 'warp/gpt-5 (high \
         reasoning)' }}\n",
        fake.address(),
        tokens.url()
    );
    config(&text, folder)
}

#[tokio::test]
async fn warp_accounts_answer_every_client_with_the_whole_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens.open("mine");
    tokens.open("ours");
    let fake = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Warp).start().await;
    let gateway = Gateway::start(warp_config(&fake, &tokens, folder.path())).await;
    text_and_tools(&gateway, &fake, "warp").await;
    assert!(tokens.violations().is_empty(), "{:?}", tokens.violations());

    // Three turns with a tool: the answer of the fake depends on the tool's result, which it gets with everything before it.
    fake.decide(|_| None);
    fake.always(Step::model());
    let body = json!({ "model": "m", "max_tokens": 100, "system": "Be brief.", "messages": [
        { "role": "user", "content": "What is the weather?" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "toolu_1", "name": "look", "input": { "at": 5 } }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees" }] }
    ], "tools": [{ "name": "look", "input_schema": { "type": "object", "properties": { "at": { "type": "integer" } } } }] });
    let summary = ask(&gateway, ClientProtocol::Messages, "/v1/messages", &body, false).await;
    assert!(summary.choices[0].text.contains("18 degrees"), "{}", summary.choices[0].text);
    let sent = String::from_utf8_lossy(fake.last().body()).into_owned();
    for words in ["Be brief.", "What is the weather?", "toolu_1", "look", "18 degrees", "gpt-5 (high reasoning)"] {
        assert!(sent.contains(words), "{words}");
    }
    fake.assert_no_violations();
}

#[tokio::test]
async fn a_warp_account_without_credits_rests_and_the_other_answers() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens.open("mine");
    tokens.open("ours");
    let fake = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Warp).start().await;
    fake.decide(|exchange| {
        let mine = exchange.header("authorization").is_some_and(|token| token.ends_with("mine"));
        mine.then(|| Step::json("{}").status(429).header("x-warp-error-code", "OUT_OF_CREDITS"))
    });
    let gateway = Gateway::start(warp_config(&fake, &tokens, folder.path())).await;
    let (path, body) = request(ClientProtocol::Gemini, true);
    for _ in 0..4 {
        let summary = ask(&gateway, ClientProtocol::Gemini, path, &body, true).await;
        assert!(!summary.choices[0].text.is_empty());
    }
    let mine = fake.requests().iter().filter(|asked| asked.header("authorization").unwrap().ends_with("mine")).count();
    assert_eq!(mine, 1);
}

const ADMIN: &str = "ap-0123456789abcdef-admin";

/// A question to the admin API, and its answer.
async fn admin(gateway: &Gateway, method: &str, path: &str) -> (u16, Value) {
    let headers = [("x-api-key", ADMIN)];
    let answer = match method {
        "GET" => get(gateway.address, path, &headers).await,
        _ => post(gateway.address, path, &headers, &json!({})).await,
    };
    (answer.status.as_u16(), answer.json().await)
}

fn administered(mut config: Config) -> Config {
    config.access = Access::open().with_admin_key("me", KeyHash::of(ADMIN));
    config
}

#[tokio::test]
async fn tokens_are_counted_by_code_assist_for_every_client_that_asks() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens_file(folder.path(), &tokens);
    let fake = code_assist(false).await;
    let gateway = Gateway::start(assist_config("code-assist", &fake, folder.path())).await;
    let hello = json!([{ "role": "user", "content": "hello" }]);
    for (path, body, member) in [
        (
            "/v1/messages/count_tokens",
            json!({ "model": "m", "messages": hello, "system": "Be brief." }),
            "input_tokens",
        ),
        ("/v1/responses/input_tokens", json!({ "model": "m", "input": "hello" }), "input_tokens"),
        (
            "/v1beta/models/m:countTokens",
            json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] }),
            "totalTokens",
        ),
    ] {
        let answer = post(gateway.address, path, &[], &body).await;
        assert_eq!(answer.status, 200, "{path}");
        // Instructions are counted as words of the conversation, which is no more than near the truth.
        let estimated = answer.header("x-polyport-estimated") == "1";
        assert_eq!(estimated, body.get("system").is_some(), "{path}");
        assert!(answer.json().await[member].as_u64().unwrap() > 0, "{path}");
        assert_eq!(fake.last().path(), "/v1internal:countTokens", "{path}");
    }
    fake.assert_no_violations();
}

#[tokio::test]
async fn an_account_without_a_project_is_given_one_by_the_service_once() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens.open("mine");
    let fake = code_assist(false).await;
    let free = json!({ "id": "free-tier", "name": "Free", "isDefault": true });
    fake.decide(move |exchange| match (exchange.method(), exchange.path()) {
        ("POST", "/v1internal:loadCodeAssist") => Some(Step::json(&json!({ "allowedTiers": [free] }).to_string())),
        ("POST", "/v1internal:onboardUser") => {
            let body = exchange.json();
            let right = body["tierId"] == "free-tier" && body.get("cloudaicompanionProject").is_none();
            Some(match right {
                true => Step::json(&json!({ "name": "operations/7", "done": false }).to_string()),
                false => Step::error(400, "Precondition Failed"),
            })
        }
        ("GET", "/v1internal/operations/7") => {
            let project = json!({ "cloudaicompanionProject": { "id": "project-b", "name": "made" } });
            Some(Step::json(&json!({ "name": "operations/7", "done": true, "response": project }).to_string()))
        }
        _ => None,
    });
    let text = format!(
        "providers:\n  assist:\n    preset: code-assist\n    base_url: {}\n    proxy: none\n    oauth:\n      token_url: {}\n      \
         client_id: app\n      client_secret: quiet\n      accounts: [{{ name: mine, refresh_token: mine }}]\nmodels: {{ m: \
         assist/gemini-2.5-pro }}\n",
        fake.base_url(),
        tokens.url()
    );
    let gateway = Gateway::start(administered(config(&text, folder.path()))).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    // Two at once ask for it once.
    let both = tokio::join!(
        ask(&gateway, ClientProtocol::Chat, path, &body, false),
        ask(&gateway, ClientProtocol::Chat, path, &body, false)
    );
    assert!(!both.0.choices[0].text.is_empty() && !both.1.choices[0].text.is_empty());
    let asked = fake.requests();
    let loads = asked.iter().filter(|asked| asked.path() == "/v1internal:loadCodeAssist").count();
    assert_eq!(loads, 1);
    assert_eq!(fake.last().json()["project"], "project-b");
    let (_, shown) = admin(&gateway, "GET", "/admin/api/credentials").await;
    assert_eq!(shown["credentials"][0]["account"]["project"], "project-b");
}

#[tokio::test]
async fn an_account_that_google_does_not_serve_says_why_and_the_next_target_answers() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens.open("mine");
    let fake = code_assist(false).await;
    let spare = FakeProvider::start(Protocol::Chat).await;
    fake.decide(|exchange| {
        let refused = json!({ "currentTier": { "id": "free-tier" }, "ineligibleTiers": [{ "reasonCode": "VALIDATION_REQUIRED",
            "reasonMessage": "Verify your account.", "validationUrl": "https://accounts.example/verify" }] });
        (exchange.path() == "/v1internal:loadCodeAssist").then(|| Step::json(&refused.to_string()))
    });
    let text = format!(
        "providers:\n  assist:\n    preset: code-assist\n    base_url: {}\n    proxy: none\n    oauth:\n      token_url: {}\n      \
         client_id: app\n      accounts: [{{ name: mine, refresh_token: mine }}]\n  spare:\n    base_url: {}\n    proxy: \
         none\nmodels: {{ m: assist/gemini-2.5-pro, both: [assist/gemini-2.5-pro, spare/m] }}\n",
        fake.base_url(),
        tokens.url(),
        spare.base_url()
    );
    let gateway = Gateway::start(config(&text, folder.path())).await;
    let (path, mut body) = request(ClientProtocol::Messages, false);
    let answer = post(gateway.address, path, &[], &body).await;
    assert!(answer.status.as_u16() >= 400);
    let message = answer.json().await["error"]["message"].as_str().unwrap_or_default().to_owned();
    for words in
        ["account `mine` of provider `assist`", "Verify your account. https://accounts.example/verify", "`project`"]
    {
        assert!(message.contains(words), "{words}: {message}");
    }
    body["model"] = json!("both");
    let summary = ask(&gateway, ClientProtocol::Messages, path, &body, false).await;
    assert!(!summary.choices[0].text.is_empty());
    assert_eq!(spare.requests().len(), 1);
}

#[tokio::test]
async fn quotas_are_asked_for_shown_and_minded() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens_file(folder.path(), &tokens);
    tokens.open("mine");
    tokens.open("ours");
    let fake = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Warp).start().await;
    let mut settings = administered(warp_config(&fake, &tokens, folder.path()));
    // `mine` has nothing left, as a check finds out before anybody asks.
    fake.decide(|exchange| {
        let mine = exchange.header("authorization").is_some_and(|token| token.ends_with("mine"));
        let quota = json!({ "data": { "user": { "__typename": "UserOutput", "user": { "requestLimitInfo": {
            "isUnlimited": false, "nextRefreshTime": "2030-01-01T00:00:00Z", "requestLimit": 150,
            "requestsUsedSinceLastRefresh": 150, "requestLimitRefreshDuration": "WEEKLY" } } } } });
        (mine && exchange.query() == "op=GetRequestLimitInfo").then(|| Step::json(&quota.to_string()))
    });
    let provider = std::sync::Arc::make_mut(settings.providers.get_mut("warp").unwrap());
    crate::support::http(provider).probe_every = Some(std::time::Duration::from_millis(20));
    let gateway = Gateway::start(settings).await;
    let shown = tokio::time::timeout(std::time::Duration::from_secs(20), async {
        loop {
            let (_, shown) = admin(&gateway, "GET", "/admin/api/credentials").await;
            if shown["credentials"][0]["state"] != "ready" && shown["credentials"][1]["quota"].is_object() {
                return shown;
            }
        }
    });
    let shown = shown.await.expect("a check finds out");
    let (mine, ours) = (&shown["credentials"][0], &shown["credentials"][1]);
    assert_eq!((&mine["state"], &mine["quota"]["buckets"][0]["remaining"]), (&json!("exhausted"), &json!(0.0)));
    assert_eq!((&ours["state"], &ours["quota"]["buckets"][0]["limit"]), (&json!("ready"), &json!(150)));
    let (path, body) = request(ClientProtocol::Chat, false);
    for _ in 0..4 {
        ask(&gateway, ClientProtocol::Chat, path, &body, false).await;
    }
    let asked = fake.requests();
    let by_mine = asked
        .iter()
        .filter(|asked| asked.path() == "/ai/multi-agent" && asked.header("authorization").unwrap().ends_with("mine"));
    assert_eq!(by_mine.count(), 0);
    fake.assert_no_violations();

    // The same on demand, for Code Assist.
    let fake = code_assist(true).await;
    let gateway = Gateway::start(administered(assist_config("antigravity", &fake, folder.path()))).await;
    let (_, shown) = admin(&gateway, "GET", "/admin/api/credentials").await;
    let id = shown["credentials"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(shown["credentials"][0]["quota"], Value::Null);
    let (status, shown) = admin(&gateway, "POST", &format!("/admin/api/credentials/{id}/quota")).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["quota"]["buckets"][0]["remaining"], json!(0.5));
    assert_eq!(fake.last().json()["project"], "project-a");
    fake.assert_no_violations();
}

#[tokio::test]
async fn a_token_is_had_at_the_other_address_where_the_first_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = FakeTokenServer::start().await;
    tokens.open("mine");
    let fake = FakeProvider::builder(Protocol::Chat).wrapped(Wrapping::Warp).start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "providers:\n  warp:\n    preset: warp\n    base_url: http://{}\n    proxy: none\n    oauth:\n      token_url: \
         http://{nobody}/token\n      fallback_url: {}\n      grant: id_token\n      accounts: [{{ refresh_token: mine \
         }}]\nmodels: {{ m: warp/auto }}\n",
        fake.address(),
        tokens.url()
    );
    let gateway = Gateway::start(config(&text, folder.path())).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    let summary = ask(&gateway, ClientProtocol::Chat, path, &body, false).await;
    assert!(!summary.choices[0].text.is_empty());
    assert_eq!(tokens.calls("mine"), 1);
}
