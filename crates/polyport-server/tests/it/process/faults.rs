//! What goes wrong with programs (U30, A20), and what is left of them.

use std::time::{Duration, Instant};

use polyport_testkit::grammar::Check;
use polyport_types::ClientProtocol;
use rand::RngExt as _;
use serde_json::json;

use super::{Tools, answer, ask, chat, refusal};

/// Every client gets an error that names the provider and holds these words, then the place is free again and nothing is left.
async fn all_are_told(tools: &Tools, provider: String, words: &[&str], more: &str) {
    let gateway = tools.gateway(&[provider], more).await;
    for client in ClientProtocol::ALL {
        for stream in [false, true] {
            let began = Instant::now();
            let (status, failure) = refusal(&gateway, client, stream).await;
            assert!((500..=504).contains(&status), "{client}: {status} {failure:?}");
            for word in ["`up`"].iter().chain(words) {
                assert!(failure.message.contains(word), "{client}, {word}: {}", failure.message);
            }
            assert!(began.elapsed() < Duration::from_secs(8), "{client} waited {:?}", began.elapsed());
            tools.gone_within(Duration::from_secs(1)).await;
        }
    }
}

/// Provider and breaker are asked again at once, so that each client sees the fault itself.
const AGAIN: &str = "retry: { attempts: 1 }\ncooldown: { failing_row: 1000, failing_least: 1000 }";

#[tokio::test]
async fn u30_a_program_that_is_not_there() {
    let tools = Tools::new();
    let provider = tools.provider("up", "", "").replace("command: /bin/sh", "command: no-such-program");
    all_are_told(&tools, provider, &["`process.command`", "no-such-program"], AGAIN).await;
}

#[tokio::test]
async fn u30_a_program_that_fails_before_a_word() {
    let tools = Tools::new();
    let provider = tools.provider("up", "echo 'secret detail' >&2; sleep 600 & exit 3", "");
    all_are_told(&tools, provider, &["status 3"], AGAIN).await;
}

#[tokio::test]
async fn u30_a_program_that_hangs() {
    let tools = Tools::new();
    let provider = tools.provider("up", "sleep 600 & sleep 600", "");
    let provider = provider.replace("adapter:", "timeouts: { first_byte: 200ms }\n    adapter:");
    all_are_told(&tools, provider, &["sent nothing"], AGAIN).await;
}

#[tokio::test]
async fn u30_a_program_that_is_killed() {
    let tools = Tools::new();
    let provider = tools.provider("up", "kill -9 $$", "");
    all_are_told(&tools, provider, &["signal 9"], AGAIN).await;
}

#[tokio::test]
async fn u30_half_a_character() {
    let tools = Tools::new();
    let provider = tools.provider("up", "printf '\\303'", "");
    all_are_told(&tools, provider, &["middle of a character"], AGAIN).await;
}

#[tokio::test]
async fn u30_a_flood_is_bounded() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[tools.provider("up", "exec cat /dev/zero", "")], "limits: { answer: 1MiB }").await;
    for client in ClientProtocol::ALL {
        let (_, failure) = refusal(&gateway, client, false).await;
        assert!(failure.message.contains("1 MiB") || failure.message.contains("too large"), "{failure:?}");
        let bytes = ask(&gateway, client, true).await.bytes().await.unwrap();
        let summary = Check::new(client).stream(&bytes).unwrap();
        assert!(summary.failure.unwrap().message.contains("1 MiB"), "{client}");
        tools.gone_within(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn u30_a_program_that_fails_in_the_middle() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[tools.provider("up", "printf 'half an'; sleep 0.1; exit 1", "")], "").await;
    for client in ClientProtocol::ALL {
        let bytes = ask(&gateway, client, true).await.bytes().await.unwrap();
        let summary = Check::new(client).stream(&bytes).unwrap();
        assert_eq!(summary.text(), "half an");
        let failure = summary.failure.unwrap_or_else(|| panic!("{client}: {}", String::from_utf8_lossy(&bytes)));
        assert!(failure.message.contains("`up`") && failure.message.contains("status 1"), "{client}: {failure:?}");
        tools.gone_within(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn u30_what_a_program_leaves_behind_is_ended_and_its_place_is_free() {
    let tools = Tools::new();
    let script = "sleep 600 & (sleep 600 & sleep 600) & printf done";
    let gateway = tools.gateway(&[tools.provider("up", script, "")], "limits: { queue: 0 }").await;
    for _ in 0..3 {
        for client in ClientProtocol::ALL {
            assert_eq!(answer(&gateway, client, true).await.text(), "done");
            tools.gone_within(Duration::from_secs(1)).await;
        }
    }
}

#[tokio::test]
async fn u30_its_standard_error_does_not_hold_it_up() {
    let tools = Tools::new();
    let script = "head -c 3000000 /dev/zero >&2; printf fine";
    let gateway = tools.gateway(&[tools.provider("up", script, "")], "").await;
    assert_eq!(answer(&gateway, ClientProtocol::Chat, false).await.text(), "fine");
}

#[tokio::test]
async fn u30_a_long_prompt_that_nobody_reads_does_not_hold_it_up() {
    let tools = Tools::new();
    let gateway = tools.gateway(&[tools.provider("up", "exec 0<&-; printf fine", "")], "").await;
    let content = "word ".repeat(200_000);
    let said = chat(&gateway, json!({"messages": [{"role": "user", "content": content}]})).await.json().await;
    assert_eq!(said["choices"][0]["message"]["content"], "fine");
    let gateway = tools.gateway(&[tools.provider("up", "cat", "")], "").await;
    let said = chat(&gateway, json!({"messages": [{"role": "user", "content": content}]})).await.json().await;
    assert_eq!(said["choices"][0]["message"]["content"].as_str().unwrap().len(), content.len());
}

#[tokio::test]
async fn a20_a_prompt_does_not_become_an_option() {
    let tools = Tools::new();
    let provider = |more: &str| tools.provider("up", "for a; do printf '[%s]' \"$a\"; done", more);
    let ask = async |more: &str, text: &str| {
        let gateway = tools.gateway(&[provider(more)], "").await;
        chat(&gateway, json!({"messages": [{"role": "user", "content": text}]})).await.json().await
    };
    let refused = ask(", args: [up.sh, '{{ prompt }}']", "--output=/tmp/x").await;
    let words = refused["error"]["message"].as_str().unwrap();
    assert!(words.contains("`process.args[1]`") && words.contains("`up`"), "{words}");
    let said = async |more, text| ask(more, text).await["choices"][0]["message"]["content"].clone();
    assert_eq!(said(", args: [up.sh, --, '{{ prompt }}']", "-x $(id) `id`; id\n*").await, "[--][-x $(id) `id`; id\n*]");
    assert_eq!(said(", args: [up.sh, '--prompt={{ prompt }}']", "-x").await, "[--prompt=-x]");
    assert_eq!(said(", args: [up.sh, '{{ prompt }}']", "x --y").await, "[x --y]");
}

#[tokio::test]
async fn what_cannot_be_run_is_passed_over() {
    let tools = Tools::new();
    let good = tools.provider("good", "printf fine", "");
    for (more, from, to) in [
        (", template: \"{{ raise_exception('no such roles') }}\"", "", ""),
        ("", "command: /bin/sh", "command: ./missing"),
        (", working_directory: missing", "", ""),
        (", args: ['{{ prompt }}', '{{ seed }}']", "", ""),
    ] {
        let broken = tools.provider("up", "printf wrong", more).replace(from, to);
        let alone = tools.gateway(std::slice::from_ref(&broken), "").await;
        let (_, failure) = refusal(&alone, ClientProtocol::Messages, false).await;
        assert!(failure.message.contains("`up`") && failure.message.contains("`process."), "{failure:?}");
        let both = tools.gateway(&[broken, good.clone()], "").await;
        for client in ClientProtocol::ALL {
            assert_eq!(answer(&both, client, true).await.text(), "fine", "{more}");
        }
        tools.gone_within(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn places_and_the_line_before_them_are_bounded() {
    let tools = Tools::new();
    let script = "printf x >> log; printf one; while ! [ -e go ]; do sleep 0.01; done";
    let provider = tools.provider("up", script, "").replace("adapter:", "requests: 2\n    queue: 1\n    adapter:");
    let gateway = tools.gateway(&[provider], "").await;
    let mut first = ask(&gateway, ClientProtocol::Chat, true).await;
    let mut second = ask(&gateway, ClientProtocol::Chat, true).await;
    first.until("one").await.unwrap();
    second.until("one").await.unwrap();
    let waiting = answer(&gateway, ClientProtocol::Chat, false);
    let mut waiting = std::pin::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    let (status, failure) = refusal(&gateway, ClientProtocol::Chat, false).await;
    assert_eq!(status, 503, "{failure:?}");
    assert_eq!(std::fs::read_to_string(tools.path().join("log")).unwrap(), "xx");
    std::fs::write(tools.path().join("go"), "").unwrap();
    assert_eq!(waiting.await.text(), "one");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_program_within_a_second() {
    let tools = Tools::new();
    let script = "sleep 600 & while :; do echo word; sleep 0.01; done";
    let gateway = tools.gateway(&[tools.provider("up", script, "")], "").await;
    for client in ClientProtocol::ALL {
        let mut reply = ask(&gateway, client, true).await;
        reply.until("word").await.unwrap();
        assert!(!tools.alive().is_empty());
        drop(reply);
        tools.gone_within(Duration::from_secs(1)).await;
    }
    // One that waits for a whole answer leaves, too.
    let left = tokio::time::timeout(Duration::from_millis(300), ask(&gateway, ClientProtocol::Chat, false)).await;
    assert!(left.is_err() && !tools.alive().is_empty());
    tools.gone_within(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_random_kills_leave_no_process() {
    let tools = Tools::new();
    let script = "sleep 600 & (sleep 600; echo) & while :; do echo word; sleep 0.005; done";
    let provider = tools.provider("up", script, "").replace("adapter:", "requests: 20\n    adapter:");
    let gateway = tools.gateway(&[provider], "").await;
    for round in 0..10 {
        let kills = (0..10).map(|at| {
            let (gateway, after) = (&gateway, rand::rng().random_range(0..120));
            async move {
                let client = ClientProtocol::ALL[at % 4];
                let asked = async {
                    let mut reply = ask(gateway, client, (round + at) % 3 != 0).await;
                    while reply.next().await.is_ok_and(|piece| piece.is_some()) {}
                };
                assert!(tokio::time::timeout(Duration::from_millis(after), asked).await.is_err());
            }
        });
        futures_util::future::join_all(kills).await;
    }
    tools.gone_within(Duration::from_secs(1)).await;
    // All places are free.
    let answers = (0..20).map(|_| async {
        let mut reply = ask(&gateway, ClientProtocol::Chat, true).await;
        reply.until("word").await.unwrap();
    });
    futures_util::future::join_all(answers).await;
    tools.gone_within(Duration::from_secs(1)).await;
}
