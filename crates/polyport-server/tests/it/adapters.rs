//! Providers that are not spoken to as their protocol's own servers.

use std::path::Path;

use polyport_server::config::{Config, Environment, Purpose, Source};
use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, FakeProvider, Step, Wrapping};
use polyport_testkit::raw::post;
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
async fn ask(gateway: &Gateway, client: ClientProtocol, path: &str, body: &Value, stream: bool) -> Summary {
    let answer = post(gateway.address, path, &[], body).await;
    let status = answer.status;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{client}: {}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client} stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

/// Every client, streaming and not, gets the text and the call.
async fn text_and_tools(gateway: &Gateway, fake: &FakeProvider, name: &str) {
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
