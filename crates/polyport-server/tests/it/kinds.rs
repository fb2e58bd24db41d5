//! What holds for providers of every kind that is not spoken to as its protocol's own servers: what goes through, and what goes wrong.

use std::path::Path;

use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::provider::{Answer, AwsAccess, Bedrock, FakeProvider, Step, Tokens, Wrapping};
use polyport_testkit::raw::{Reply, post};
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::{ClientProtocol, Protocol};
use serde_json::{Value, json};

use crate::adapters::config;
use crate::faults::tls::{Authority, front};
use crate::support::{Gateway, request};

/// A kind of provider.
struct Kind {
    preset: &'static str,
    protocol: Protocol,
    wrapping: Option<Wrapping>,
    model: &'static str,
    /// Where its addresses begin.
    path: &'static str,
    account: Account,
}

/// How its accounts are had.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Account {
    /// A refresh token; the project is `project-a`.
    Refresh,
    /// A refresh token for id tokens.
    Id,
    /// A service account's key.
    Service,
    /// The client's own secret.
    Client,
    /// A key that signs.
    Aws,
}

impl Account {
    /// Whether tokens are fetched for it.
    fn has_tokens(self) -> bool {
        self != Self::Aws
    }
}

fn kinds() -> Vec<Kind> {
    let assist = |antigravity| Wrapping::CodeAssist { projects: vec!["project-a".to_owned()], antigravity };
    let bedrock = |converse| {
        let keys = vec![AwsAccess::new("AKIAIOSFODNN7EXAMPLE", "quiet")];
        Wrapping::Bedrock(Bedrock { converse, region: "us-east-1".to_owned(), keys, bearers: Vec::new() })
    };
    let vertex = || Wrapping::Vertex { project: "project-a".to_owned(), location: "global".to_owned() };
    let kind =
        |preset, protocol, wrapping, model, path, account| Kind { preset, protocol, wrapping, model, path, account };
    vec![
        kind("code-assist", Protocol::Gemini, Some(assist(false)), "gemini-2.5-pro", "", Account::Refresh),
        kind("antigravity", Protocol::Gemini, Some(assist(true)), "claude-sonnet-4-6", "", Account::Refresh),
        kind("vertex", Protocol::Gemini, Some(vertex()), "gemini-2.5-pro", "", Account::Service),
        kind("vertex-anthropic", Protocol::Messages, Some(vertex()), "claude-sonnet-4-5", "", Account::Service),
        kind("azure", Protocol::Chat, None, "my-deployment", "/openai/v1", Account::Client),
        kind("bedrock", Protocol::Messages, Some(bedrock(true)), "eu.amazon.nova-pro-v1:0", "", Account::Aws),
        kind(
            "bedrock-anthropic",
            Protocol::Messages,
            Some(bedrock(false)),
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "",
            Account::Aws,
        ),
        kind("warp", Protocol::Chat, Some(Wrapping::Warp), "auto", "", Account::Id),
    ]
}

impl Kind {
    async fn fake(&self) -> FakeProvider {
        let builder = FakeProvider::builder(self.protocol);
        match self.wrapping.clone() {
            Some(wrapping) => builder.wrapped(wrapping).start().await,
            None => builder.start().await,
        }
    }

    /// The name that its account has at the token server.
    fn account_name(&self) -> &'static str {
        if self.account == Account::Service { "robot@project-a.example" } else { "mine" }
    }

    /// A configuration with the provider `up` of this kind at this address, and a plain one, `spare`, behind it: `m` is the model of `up`
    /// alone, `both` has both.
    fn config(
        &self,
        base_url: &str,
        tokens: &FakeTokenServer,
        spare: &FakeProvider,
        folder: &Path,
    ) -> polyport_server::config::Config {
        let means = match self.account {
            Account::Aws => "keys: ['AKIAIOSFODNN7EXAMPLE:quiet'], location: us-east-1".to_owned(),
            _ => format!("oauth: {}", self.oauth(tokens, folder)),
        };
        let location = if self.preset.starts_with("vertex") { "location: global, " } else { "" };
        let text = format!(
            "providers:\n  up: {{ preset: {}, base_url: \"{base_url}{}\", {location}proxy: none, {means} }}\n  spare: {{ base_url: \
             \"{}\", proxy: none }}\nmodels: {{ m: \"up/{}\", both: [{{ target: \"up/{}\", priority: 1 }}, {{ target: spare/m, priority: \
             2 }}] }}\n",
            self.preset,
            self.path,
            spare.base_url(),
            self.model,
            self.model
        );
        config(&text, folder)
    }

    /// The accounts of a kind that has tokens.
    fn oauth(&self, tokens: &FakeTokenServer, folder: &Path) -> String {
        let url = tokens.url();
        match self.account {
            Account::Refresh => {
                tokens.open("mine");
                format!(
                    "{{ token_url: \"{url}\", client_id: app, client_secret: quiet, accounts: [{{ name: one, refresh_token: mine, project: project-a }}] }}"
                )
            }
            Account::Id => {
                tokens.open("mine");
                format!("{{ token_url: \"{url}\", grant: id_token, accounts: [{{ name: one, refresh_token: mine }}] }}")
            }
            Account::Service => {
                let key = tokens.service_account(self.account_name(), "project-a");
                std::fs::write(folder.join("key.json"), key.to_string()).unwrap();
                "{ accounts: [{ name: one, key_file: \"file:key.json\" }] }".to_owned()
            }
            Account::Client => {
                tokens.open("mine");
                format!("{{ token_url: \"{url}\", client_id: app, client_secret: mine, grant: client_credentials }}")
            }
            Account::Aws => unreachable!("it signs"),
        }
    }
}

/// A provider of a kind behind a gateway.
struct Stage {
    gateway: Gateway,
    fake: FakeProvider,
    spare: FakeProvider,
    tokens: FakeTokenServer,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn of(kind: &Kind) -> Self {
        let fake = kind.fake().await;
        let base_url = format!("http://{}", fake.address());
        Self::at(kind, fake, &base_url).await
    }

    async fn at(kind: &Kind, fake: FakeProvider, base_url: &str) -> Self {
        let (folder, tokens) = (tempfile::tempdir().unwrap(), FakeTokenServer::start().await);
        let spare = FakeProvider::start(Protocol::Chat).await;
        let gateway = Gateway::start(kind.config(base_url, &tokens, &spare, folder.path())).await;
        Self { gateway, fake, spare, tokens, _folder: folder }
    }

    /// A small request of this client for a model.
    async fn small(&self, client: ClientProtocol, model: &str, stream: bool) -> Reply {
        let (path, mut body) = request(client, stream);
        body["model"] = json!(model);
        let path = path.replace("/m:", &format!("/{model}:"));
        if client == ClientProtocol::Gemini {
            body.as_object_mut().unwrap().remove("model");
        }
        post(self.gateway.address, &path, &[], &body).await
    }

    /// The error in an answer, in the client's protocol: status and message.
    async fn refusal(&self, client: ClientProtocol, stream: bool) -> (u16, String) {
        let answer = self.small(client, "m", stream).await;
        let status = answer.status.as_u16();
        let bytes = answer.bytes().await.unwrap();
        let failure = Check::new(client).failure(&bytes);
        let failure = failure.unwrap_or_else(|why| panic!("{client}: {why}: {}", String::from_utf8_lossy(&bytes)));
        (status, failure.message)
    }

    /// Another target answers what this one cannot.
    async fn is_passed_over(&self, name: &str) {
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let before = self.spare.requests().len();
                let answer = self.small(client, "both", stream).await;
                let summary = understood(client, stream, answer).await;
                assert!(!summary.text().is_empty(), "{name}: {client}");
                assert_eq!(self.spare.requests().len(), before + 1, "{name}: {client}");
            }
        }
    }
}

async fn understood(client: ClientProtocol, stream: bool, answer: Reply) -> Summary {
    let status = answer.status;
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{client}: {}", String::from_utf8_lossy(&bytes));
    let check = Check::new(client);
    let read = if stream { check.stream(&bytes) } else { check.answer(&bytes) };
    read.unwrap_or_else(|why| panic!("{client}, stream {stream}: {why}\n{}", String::from_utf8_lossy(&bytes)))
}

/// A picture of one point.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A question about a picture, with a function, instructions and a limit.
fn pictured(client: ClientProtocol, stream: bool) -> (String, Value) {
    let url = format!("data:image/png;base64,{PICTURE}");
    let schema = json!({ "type": "object", "properties": { "at": { "type": "string" } }, "required": ["at"] });
    let words = "What is this?";
    let (path, body) = match client {
        ClientProtocol::Chat => (
            "/v1/chat/completions",
            json!({ "model": "m", "stream": stream, "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user",
                "content": [{ "type": "text", "text": words }, { "type": "image_url", "image_url": { "url": url } }] }],
                "tools": [{ "type": "function", "function": { "name": "look", "description": "Looks.", "parameters": schema } }] }),
        ),
        ClientProtocol::Responses => (
            "/v1/responses",
            json!({ "model": "m", "stream": stream, "store": false, "instructions": "Be brief.", "input": [{ "role": "user",
                "content": [{ "type": "input_text", "text": words }, { "type": "input_image", "image_url": url }] }],
                "tools": [{ "type": "function", "name": "look", "description": "Looks.", "parameters": schema, "strict": false }] }),
        ),
        ClientProtocol::Messages => (
            "/v1/messages",
            json!({ "model": "m", "stream": stream, "max_tokens": 100, "system": "Be brief.", "messages": [{ "role": "user",
                "content": [{ "type": "text", "text": words }, { "type": "image",
                    "source": { "type": "base64", "media_type": "image/png", "data": PICTURE } }] }],
                "tools": [{ "name": "look", "description": "Looks.", "input_schema": schema }] }),
        ),
        ClientProtocol::Gemini => (
            if stream { "/v1beta/models/m:streamGenerateContent?alt=sse" } else { "/v1beta/models/m:generateContent" },
            json!({ "systemInstruction": { "parts": [{ "text": "Be brief." }] },
                "contents": [{ "role": "user", "parts": [{ "text": words }, { "inlineData": { "mimeType": "image/png", "data": PICTURE } }] }],
                "tools": [{ "functionDeclarations": [{ "name": "look", "description": "Looks.", "parametersJsonSchema": schema }] }] }),
        ),
    };
    (path.to_owned(), body)
}

#[tokio::test]
async fn pictures_functions_and_instructions_go_out_and_text_calls_and_usage_come_back() {
    for kind in kinds() {
        let stage = Stage::of(&kind).await;
        let usage = Tokens { input: 40, output: 12, ..Tokens::default() };
        let answer = Answer::default().text("A point.").tool("look", r#"{"at":"it"}"#).usage(usage);
        stage.fake.always(Step::answer(answer));
        for client in ClientProtocol::ALL {
            for stream in [false, true] {
                let name = format!("{client} to {}, stream {stream}", kind.preset);
                let (path, body) = pictured(client, stream);
                let answer = post(stage.gateway.address, &path, &[], &body).await;
                assert_eq!(answer.header("x-polyport-target"), format!("up/{}", kind.model), "{name}");
                let summary = understood(client, stream, answer).await;
                assert_eq!((summary.text(), summary.tool_calls().len()), ("A point.", 1), "{name}");
                assert_eq!(summary.tool_calls()[0].name, "look", "{name}");
                // Chat clients have to ask for usage in streams.
                if !(client == ClientProtocol::Chat && stream) {
                    let usage = summary.usage.unwrap_or_else(|| panic!("{name}: no usage"));
                    assert_eq!((usage.input, usage.output), (40, 12), "{name}");
                }
                let sent = String::from_utf8_lossy(stage.fake.last().body()).into_owned();
                for words in [PICTURE, "What is this?", "Be brief.", "look", "png"] {
                    assert!(sent.contains(words), "{name}: {words}");
                }
            }
        }
        stage.fake.assert_no_violations();
        assert!(stage.spare.requests().is_empty());
    }
}

#[tokio::test]
async fn u3_a_certificate_that_is_not_trusted_is_named_and_the_next_target_answers() {
    for kind in kinds() {
        let fake = kind.fake().await;
        let base_url = front(Authority::new().good(), &fake).await;
        let stage = Stage::at(&kind, fake, base_url.trim_end_matches("/v1")).await;
        for client in ClientProtocol::ALL {
            let (status, message) = stage.refusal(client, false).await;
            assert!(status >= 500, "{}: {client}: {status}", kind.preset);
            assert!(message.contains("certificate") && message.contains("`up`"), "{}: {message}", kind.preset);
        }
        stage.is_passed_over(kind.preset).await;
        assert!(stage.fake.requests().is_empty(), "{}: something was sent", kind.preset);
    }
}

#[tokio::test]
async fn u5_a_refused_token_is_renewed_once_then_the_account_is_taken_out_and_the_operator_told() {
    for kind in kinds().into_iter().filter(|kind| kind.account.has_tokens()) {
        let stage = Stage::of(&kind).await;
        stage.fake.always(Step::error(401, "Request had invalid authentication credentials."));
        // Many at once do not make a storm of refreshes.
        let asking = (0..20).map(|number| {
            let client = ClientProtocol::ALL[number % 4];
            let stage = &stage;
            async move { (client, stage.refusal(client, number % 8 > 3).await) }
        });
        for (client, (status, message)) in futures_util::future::join_all(asking).await {
            assert!(status >= 500, "{}: {client}: a provider's 401 is not the client's: {status}", kind.preset);
            assert!(message.contains("`up`"), "{}: {client}: {message}", kind.preset);
        }
        let refreshes = stage.tokens.calls(kind.account_name());
        assert!((1..=3).contains(&refreshes), "{}: {refreshes} refreshes", kind.preset);
        let asked = stage.fake.requests().len();
        let (_, message) = stage.refusal(ClientProtocol::Chat, false).await;
        assert!(message.contains("operator"), "{}: {message}", kind.preset);
        assert_eq!(stage.fake.requests().len(), asked, "{}: a dead account is left alone", kind.preset);
        stage.is_passed_over(kind.preset).await;
    }
}

#[tokio::test]
async fn u5_a_revoked_account_says_that_it_has_to_log_in_again() {
    for kind in kinds().into_iter().filter(|kind| kind.account.has_tokens()) {
        let stage = Stage::of(&kind).await;
        stage.tokens.revoke(kind.account_name());
        let (status, message) = stage.refusal(ClientProtocol::Messages, true).await;
        assert!(status >= 500, "{}: {status}", kind.preset);
        let told = message.contains("log in again") || message.contains("its client is refused");
        assert!(told && message.contains("`up`"), "{}: {message}", kind.preset);
        stage.is_passed_over(kind.preset).await;
        assert!(stage.fake.requests().is_empty(), "{}: asked without a token", kind.preset);
    }
}

#[tokio::test]
async fn u6_a_rotated_refresh_token_is_the_one_that_is_used_next() {
    for kind in kinds().into_iter().filter(|kind| matches!(kind.account, Account::Refresh | Account::Id)) {
        let stage = Stage::of(&kind).await;
        stage.tokens.rotate();
        for turn in 0..3 {
            let answer = stage.small(ClientProtocol::Chat, "m", false).await;
            assert_eq!(answer.status, 200, "{}: {turn}", kind.preset);
            // The token in use is refused from here on.
            let last = stage.fake.last().header("authorization").unwrap().to_owned();
            stage.fake.decide(move |exchange| {
                (exchange.header("authorization") == Some(&*last)).then(|| Step::error(401, "expired"))
            });
        }
        assert_eq!(stage.tokens.calls("mine"), 3, "{}", kind.preset);
        assert!(stage.tokens.is_alive("mine") && stage.tokens.violations().is_empty(), "{}", kind.preset);
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_told_and_the_next_target_answers() {
    let garbage: Vec<u8> = (0..400_u32).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    for kind in kinds() {
        let wrong = [
            ("html", Step::html(200)),
            ("nothing", Step::json("")),
            ("other JSON", Step::json(r#"{"unexpected":true}"#)),
            ("bytes", Step::body("text/event-stream", [b"data: ".as_slice(), &garbage, b"\n\n"].concat())),
            ("no protobuf", Step::sse("data: AAECAwQFBgcICQ==\n\ndata: {\"a\":\n\n")),
            ("closed", Step::close()),
        ];
        for (number, (what, step)) in wrong.into_iter().enumerate() {
            let name = format!("{}: {what}", kind.preset);
            // Half of the pairs of client and stream each; together the ways of being wrong cover all.
            for (at, client) in ClientProtocol::ALL.into_iter().enumerate() {
                let stream = (at + number) % 2 == 0;
                // Failures in a row let a provider rest: each client meets it well.
                let stage = Stage::of(&kind).await;
                stage.fake.always(step.clone());
                let (status, message) = stage.refusal(client, stream).await;
                assert!(status >= 500, "{name}: {client}: {status}");
                assert!(message.contains("`up`"), "{name}: {client}: {message}");
                if client == ClientProtocol::Chat {
                    stage.is_passed_over(&name).await;
                }
            }
        }
    }
}
