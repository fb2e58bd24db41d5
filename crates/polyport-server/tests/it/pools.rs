//! Many credentials: which of them is used, and what becomes of those that fail.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polyport_provider::AuthStyle;
use polyport_provider::auth::{BodyForm, Due, Grant, TokenServer, Tokens};
use polyport_routing::{Member, Pool, TargetSpec};
use polyport_server::config::{Access, AccountSettings, Config, Credential, KeyHash, Means, Provider};
use polyport_testkit::provider::{Answer, FakeProvider, Step, Tokens as Counted};
use polyport_testkit::raw::post;
use polyport_testkit::tokens::FakeTokenServer;
use polyport_types::{ClientProtocol, Protocol, Secret};

use crate::objects::with_keys;
use crate::support::{Gateway, http, provider, request, several};

/// Sends so many requests at once; gives the statuses.
async fn many(gateway: &Gateway, client: ClientProtocol, count: usize) -> Vec<u16> {
    let (path, body) = request(client, false);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (address, body) = (gateway.address, body.clone());
        running.spawn(async move { post(address, path, &[], &body).await.status.as_u16() });
    }
    running.join_all().await
}

fn with_many_places(mut config: Config) -> Config {
    config.limits.requests_per_key = 4096;
    config
}

/// How many requests came with each key.
fn by_key(fake: &FakeProvider, key: &str) -> usize {
    let wanted = format!("Bearer {key}");
    fake.requests().iter().filter(|exchange| exchange.header("authorization") == Some(&*wanted)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limited_and_a_refused_key_cost_no_request() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    fake.decide(|exchange| match exchange.header("authorization") {
        Some("Bearer limited") => Some(Step::error(429, "slow down").header("retry-after", "60")),
        Some("Bearer refused") => Some(Step::error(401, "no such key")),
        _ => None,
    });
    let config = several(vec![with_keys("up", Protocol::Chat, &fake, &["limited", "refused", "good"])]);
    let gateway = Gateway::start(with_many_places(config)).await;
    let statuses = many(&gateway, ClientProtocol::Chat, 1000).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(by_key(&fake, "good"), 1000);
    // At rest: not one more request goes to them.
    let (limited, refused) = (by_key(&fake, "limited"), by_key(&fake, "refused"));
    let statuses = many(&gateway, ClientProtocol::Messages, 50).await;
    assert!(statuses.iter().all(|status| *status == 200));
    assert_eq!((by_key(&fake, "limited"), by_key(&fake, "refused")), (limited, refused));
    assert_eq!(fake.requests().len(), 1050 + limited + refused);
}

#[tokio::test]
async fn o2_a_request_under_way_uses_the_keys_it_began_with() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gate = polyport_testkit::provider::Gate::new();
    let held = gate.clone();
    fake.decide(move |exchange| match exchange.header("authorization") {
        Some("Bearer first") => Some(
            Step::error(429, "slow down")
                .header("retry-after", "60")
                .before_headers(polyport_testkit::provider::Hold::Until(held.clone())),
        ),
        _ => None,
    });
    let gateway = Gateway::start(several(vec![with_keys("up", Protocol::Chat, &fake, &["first", "second"])])).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    let address = gateway.address;
    let running = tokio::spawn(async move { post(address, path, &[], &body).await.status.as_u16() });
    fake.wait_for(1).await;
    // The keys change places while the first answer is awaited.
    let changed = several(vec![with_keys("up", Protocol::Chat, &fake, &["second", "third", "first"])]);
    gateway.handle.reload(&Arc::new(changed)).unwrap();
    gate.open();
    assert_eq!(running.await.unwrap(), 200);
    assert_eq!((by_key(&fake, "first"), by_key(&fake, "second")), (1, 1));
}

#[tokio::test]
async fn s2_32_keys_take_turns_by_weight_and_priority() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let mut up = with_keys("up", Protocol::Chat, &fake, &["one", "two", "spare"]);
    let credentials = &mut http(&mut up).credentials;
    credentials[0].member.weight = 3;
    credentials[2].member.priority = 2;
    let gateway = Gateway::start(several(vec![up])).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    for _ in 0..40 {
        assert_eq!(post(gateway.address, path, &[], &body).await.status, 200);
    }
    assert_eq!((by_key(&fake, "one"), by_key(&fake, "two"), by_key(&fake, "spare")), (30, 10, 0));
}

#[tokio::test]
async fn a_failing_stream_is_one_clean_stream_of_the_next_target() {
    for to in Protocol::ALL {
        let (first, second) = (FakeProvider::start(to).await, FakeProvider::start(Protocol::Chat).await);
        first.always(Step::answer(Answer::default().error("Overloaded")));
        second.always(Step::text("from the second"));
        let providers = vec![provider("a", to, &first.base_url()), provider("b", Protocol::Chat, &second.base_url())];
        let gateway = Gateway::start(several(providers)).await;
        for client in [ClientProtocol::Chat, ClientProtocol::Messages, ClientProtocol::Gemini] {
            let (path, body) = request(client, true);
            let answer = post(gateway.address, path, &[], &body).await;
            assert_eq!(answer.status, 200, "{client} to {to}");
            assert_eq!(answer.header("x-polyport-target"), "b/m");
            let bytes = answer.bytes().await.unwrap();
            let read = polyport_testkit::grammar::Check::new(client).stream(&bytes).unwrap();
            assert_eq!((read.text(), read.failure.is_none()), ("from the second", true), "{client} to {to}");
        }
    }
}

/// A provider used with one account.
pub(crate) fn with_account(fake: &FakeProvider, server: &FakeTokenServer, access: Option<(&str, i64)>) -> Provider {
    let mut up = provider("up", Protocol::Chat, &fake.base_url());
    let now = i64::try_from(polyport_server::now()).unwrap();
    let settings = AccountSettings {
        server: TokenServer {
            url: server.url().parse().unwrap(),
            fallback: None,
            client_id: "id".into(),
            client_secret: None,
            scope: None,
            body: BodyForm::Form,
            grant: Grant::RefreshToken,
        },
        style: AuthStyle::of_protocol(Protocol::Chat),
        tokens: Tokens {
            access: access.map(|(token, _)| Secret::new(token.to_owned())),
            expires_at_ms: access.map(|(_, seconds)| now + seconds * 1000),
            refresh: Secret::new("r".to_owned()),
        },
        due: Due::default(),
        file: None,
        project: None,
    };
    http(&mut up).credentials = vec![Credential {
        label: "account".into(),
        means: Means::Account(Arc::new(settings)),
        member: Member::new("account"),
        stored: None,
    }];
    up
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_20_five_hundred_requests_on_an_expired_account_make_one_refresh() {
    let (fake, server) = (FakeProvider::start(Protocol::Chat).await, FakeTokenServer::start().await);
    server.open("r");
    server.rotate();
    let config = several(vec![with_account(&fake, &server, Some(("old", -100)))]);
    let gateway = Gateway::start(with_many_places(config)).await;
    let statuses = many(&gateway, ClientProtocol::Chat, 500).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!(server.calls("r"), 1);
    assert_eq!(by_key(&fake, "access-1-r"), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u5_a_token_that_is_refused_is_renewed_once_and_the_client_sees_nothing() {
    for status in [401, 403] {
        let (fake, server) = (FakeProvider::start(Protocol::Chat).await, FakeTokenServer::start().await);
        server.open("r");
        fake.decide(move |exchange| match exchange.header("authorization") {
            Some("Bearer revoked") => Some(Step::error(status, "the token was revoked")),
            _ => None,
        });
        let config = several(vec![with_account(&fake, &server, Some(("revoked", 3600)))]);
        let gateway = Gateway::start(with_many_places(config)).await;
        let statuses = many(&gateway, ClientProtocol::Chat, 100).await;
        assert!(statuses.iter().all(|status| *status == 200), "{status}: {statuses:?}");
        assert_eq!(server.calls("r"), 1, "{status}");
    }
}

#[tokio::test]
async fn a_dead_account_is_told_at_once_and_asks_no_more() {
    let (fake, server) = (FakeProvider::start(Protocol::Chat).await, FakeTokenServer::start().await);
    server.open("r");
    server.revoke("r");
    let gateway = Gateway::start(several(vec![with_account(&fake, &server, None)])).await;
    server.arrived(1).await;
    for client in [ClientProtocol::Chat, ClientProtocol::Messages, ClientProtocol::Gemini, ClientProtocol::Responses] {
        let (path, body) = request(client, false);
        let answer = post(gateway.address, path, &[], &body).await;
        assert!(answer.status.as_u16() >= 500, "{client} {}", answer.status);
    }
    assert_eq!(server.calls("r"), 1);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn s1_13_accounts_get_their_tokens_at_the_start_and_keep_them_fresh() {
    let (fake, server) = (FakeProvider::start(Protocol::Chat).await, FakeTokenServer::start().await);
    server.open("r");
    // Shorter than the five minutes ahead, so that it is due again at once.
    server.expires_in(Some(120));
    let _gateway = Gateway::start(several(vec![with_account(&fake, &server, None)])).await;
    tokio::time::timeout(Duration::from_secs(20), server.arrived(3)).await.unwrap();
    assert_eq!(server.most_at_once(), 1);
}

/// A turn of a conversation with a long beginning.
fn turn(conversation: usize, turns: usize) -> serde_json::Value {
    let system = format!("You are assistant {conversation}. {}", "Mind the rules. ".repeat(400));
    let mut messages = vec![serde_json::json!({"role": "system", "content": system})];
    for number in 0..turns {
        messages.push(serde_json::json!({"role": "user", "content": format!("question {number}")}));
        messages.push(serde_json::json!({"role": "assistant", "content": "answer"}));
    }
    messages.push(serde_json::json!({"role": "user", "content": "and now?"}));
    serde_json::json!({"model": "m", "messages": messages})
}

#[tokio::test]
async fn d8_conversations_stay_with_a_key_until_it_dies() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let keys = ["one", "two", "three", "four"];
    let gateway = Gateway::start(several(vec![with_keys("up", Protocol::Chat, &fake, &keys)])).await;
    let key_of = || fake.last().header("authorization").unwrap().to_owned();
    let mut homes = Vec::new();
    for conversation in 0..20 {
        assert_eq!(post(gateway.address, "/v1/chat/completions", &[], &turn(conversation, 1)).await.status, 200);
        homes.push(key_of());
    }
    for key in keys {
        assert_eq!(homes.iter().filter(|home| **home == format!("Bearer {key}")).count(), 5, "new ones take turns");
    }
    for turns in 2..6 {
        for (conversation, home) in homes.iter().enumerate() {
            post(gateway.address, "/v1/chat/completions", &[], &turn(conversation, turns)).await;
            assert_eq!(key_of(), *home, "conversation {conversation}");
        }
    }
    // A key dies: its conversations move once, and then stay again.
    fake.decide(|exchange| match exchange.header("authorization") {
        Some("Bearer two") => Some(Step::error(401, "revoked")),
        _ => None,
    });
    for turns in 6..10 {
        for (conversation, home) in homes.iter_mut().enumerate() {
            let answer = post(gateway.address, "/v1/chat/completions", &[], &turn(conversation, turns)).await;
            assert_eq!(answer.status, 200);
            if *home == "Bearer two" {
                *home = key_of();
            }
            assert_eq!(key_of(), *home);
        }
    }
    assert!(!homes.contains(&"Bearer two".to_owned()));
    let figures = polyport_testkit::raw::get(gateway.address, "/metrics", &[]).await;
    let figures = String::from_utf8(figures.bytes().await.unwrap()).unwrap();
    for figure in ["{place=\"new\",pool=\"\"} 20", "{place=\"kept\",pool=\"\"} 155", "{place=\"moved\",pool=\"\"} 5"] {
        assert!(figures.contains(&format!("polyport_conversation_answers_total{figure}")), "{figures}");
    }
}

/// A provider whose prompt cache belongs to a key: it knows what began the conversations that came with it.
fn with_cache(fake: &FakeProvider, dead: &'static str, is_dead: &Arc<AtomicBool>) {
    let (known, is_dead) = (Mutex::new(HashSet::new()), Arc::clone(is_dead));
    fake.decide(move |exchange| {
        let key = exchange.header("authorization").unwrap_or_default().to_owned();
        if key == dead && is_dead.load(Ordering::SeqCst) {
            return Some(Step::error(401, "revoked"));
        }
        let beginning = exchange.json()["messages"][0].to_string();
        let warm = !known.lock().unwrap().insert((key, beginning));
        let tokens = if warm {
            Counted { input: 10, cache_read: 1500, output: 1, ..Counted::default() }
        } else {
            Counted { input: 1510, output: 1, ..Counted::default() }
        };
        Some(Step::answer(Answer::default().text("ok").usage(tokens)))
    });
}

#[tokio::test]
async fn d8_the_cache_of_a_provider_is_hit_and_a_dying_key_costs_no_request() {
    const CONVERSATIONS: usize = 12;
    let fake = FakeProvider::start(Protocol::Chat).await;
    let is_dead = Arc::new(AtomicBool::new(false));
    with_cache(&fake, "Bearer two", &is_dead);
    let mut config = several(vec![with_keys("up", Protocol::Chat, &fake, &["one", "two", "three", "four"])]);
    config.catalog = config.catalog.with_pool(Pool::new("p", vec![TargetSpec::new("up/m")])).check().unwrap();
    config.access = Access::open().with_admin_key("me", KeyHash::of("ap-0123456789abcdef"));
    let gateway = Gateway::start(config).await;
    let round = async |turns: usize| {
        let mut warm = 0;
        for conversation in 0..CONVERSATIONS {
            let mut body = turn(conversation, turns);
            body["model"] = "p".into();
            let answer = post(gateway.address, "/v1/chat/completions", &[], &body).await;
            assert_eq!(answer.status, 200);
            let usage = answer.json().await["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
            warm += usize::from(usage > 0);
        }
        warm
    };
    assert_eq!(round(1).await, 0);
    let mut steady = 0;
    for turns in 2..12 {
        steady += round(turns).await;
    }
    assert!(steady * 100 >= 95 * 10 * CONVERSATIONS, "{steady}");
    is_dead.store(true, Ordering::SeqCst);
    let mut after = 0;
    for turns in 12..22 {
        after += round(turns).await;
    }
    // Each conversation of the dead key began again elsewhere, once.
    assert_eq!(after, 10 * CONVERSATIONS - 3);
    let pools =
        polyport_testkit::raw::get(gateway.address, "/admin/api/pools", &[("x-api-key", "ap-0123456789abcdef")]);
    let shown = pools.await.json().await["pools"][0]["conversations"].clone();
    assert_eq!((&shown["new"], &shown["kept"], &shown["moved"]), (&12.into(), &237.into(), &3.into()));
    assert!(shown["hit_rate"].as_f64().unwrap() > 0.94, "{shown}");
    let figures = polyport_testkit::raw::get(gateway.address, "/metrics", &[]).await.bytes().await.unwrap();
    let figures = String::from_utf8(figures).unwrap();
    assert!(figures.contains("polyport_conversation_answers_total{place=\"moved\",pool=\"p\"} 3"), "{figures}");
}

#[tokio::test]
async fn short_prompts_take_turns_whatever_they_say() {
    let fake = FakeProvider::start(Protocol::Chat).await;
    let gateway = Gateway::start(several(vec![with_keys("up", Protocol::Chat, &fake, &["one", "two"])])).await;
    let (path, body) = request(ClientProtocol::Chat, false);
    for _ in 0..10 {
        post(gateway.address, path, &[], &body).await;
    }
    assert_eq!((by_key(&fake, "one"), by_key(&fake, "two")), (5, 5));
    for _ in 0..4 {
        post(gateway.address, path, &[("x-session-id", "s")], &body).await;
    }
    assert_eq!(by_key(&fake, "one").abs_diff(by_key(&fake, "two")), 4);
}
