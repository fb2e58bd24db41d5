//! The measurements and their table.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::json;

use crate::load::{self, Shot};
use crate::process::{Process, SAID};
use tempfile::TempDir;

/// Connections at once.
const CONNECTIONS: usize = 8;

/// Idle streams opened to measure what each holds.
const IDLE_STREAMS: usize = 500;

/// Idle streams opened before, so that what is paid once is not counted.
const WARM_STREAMS: usize = 20;

/// One line of the table.
struct Case {
    name: &'static str,
    /// What the minimal proxy gets.
    plain: Shot,
    /// What Polyport gets.
    ours: Shot,
    /// Ratio to reach.
    target: f64,
}

/// Measures and prints.
pub(crate) async fn run(polyport: &Path, requests: usize) -> Result<()> {
    let own = std::env::current_exe()?;
    let provider = Process::printing(&own, &["provider"]).await?;
    let proxy = Process::printing(&own, &["proxy", "--upstream", &provider.address]).await?;
    let gateway = start_polyport(polyport, &provider.address).await?;

    println!("| case | minimal proxy, CPU µs | Polyport, CPU µs | ratio | target | added latency p50 / p99 µs |");
    println!("|---|---:|---:|---:|---:|---:|");
    for case in cases() {
        let base = measure(&proxy, &case.plain, requests).await?;
        let ours = measure(&gateway.process, &case.ours, requests).await?;
        let direct = load::run(&provider.address, &case.plain, requests / 4, 1).await?;
        let through = load::run(&gateway.process.address, &case.ours, requests / 4, 1).await?;
        let added = |percent| micros(load::percentile(&through, percent)) - micros(load::percentile(&direct, percent));
        println!(
            "| {} | {base:.1} | {ours:.1} | {:.2} | ≤ {} | {:.0} / {:.0} |",
            case.name,
            ours / base,
            case.target,
            added(50),
            added(99)
        );
    }
    println!();
    println!("| memory and start | value | target |");
    println!("|---|---:|---:|");
    println!("| first answer after start | {} ms | ≤ 50 ms |", gateway.first_answer.as_millis());
    println!("| resident, idle after start | {:.1} MiB | ≤ 25 MiB |", gateway.idle_kib as f64 / 1024.0);
    println!("| resident after the load above | {:.1} MiB | |", gateway.process.rss_kib()? as f64 / 1024.0);
    drop(gateway);
    let messages = [json!({"role": "user", "content": "hi"})];
    for (name, shot) in
        [("pass-through", chat("idle", &messages, true)), ("translated", anthropic("idle", &messages, true))]
    {
        // A process of its own for each, so that no memory of the one serves the other.
        let gateway = start_polyport(polyport, &provider.address).await?;
        let held = idle_streams(&gateway.process, &shot).await?;
        println!("| per open idle stream, {name} | {held:.1} KiB | ≤ 32 KiB |");
    }
    Ok(())
}

struct Gateway {
    process: Process,
    /// Its configuration and its data; removed with it.
    _folder: TempDir,
    first_answer: Duration,
    idle_kib: u64,
}

async fn start_polyport(program: &Path, provider: &str) -> Result<Gateway> {
    let folder = tempfile::tempdir()?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = folder.path().join("polyport.yaml");
    std::fs::write(
        &config,
        format!(
            "server: {{ host: 127.0.0.1, port: {port} }}\naccess: {{ open: true }}\nproviders:\n  bench: {{ protocol: chat, base_url: \"http://{provider}/v1\", keys: [\"bench-key-0123456789\"] }}\nmodels:\n  bench: bench/bench\n  idle: bench/idle\n"
        ),
    )?;
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
    let args = ["serve", "--config", &text(&config)?, "--data", &text(folder.path())?];
    let start = Instant::now();
    let address = format!("127.0.0.1:{port}");
    let mut process = Process::listening(&program.canonicalize()?, &args, folder.path(), address)?;
    let shot = chat("bench", &small_messages(), false);
    let first_answer = loop {
        if let Ok(mut sender) = load::connect(&process.address).await
            && load::fire(&mut sender, &process.address, &shot).await.is_ok()
        {
            break start.elapsed();
        }
        if process.has_ended()? || start.elapsed() > Duration::from_secs(20) {
            anyhow::bail!("Polyport does not answer; it said:\n{}", std::fs::read_to_string(folder.path().join(SAID))?);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let idle_kib = process.rss_kib()?;
    Ok(Gateway { process, _folder: folder, first_answer, idle_kib })
}

/// CPU µs per request of the process, after a warm-up; the smallest of three rounds.
async fn measure(process: &Process, shot: &Shot, requests: usize) -> Result<f64> {
    load::run(&process.address, shot, requests / 4, CONNECTIONS).await?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let before = process.cpu()?;
        let times = load::run(&process.address, shot, requests, CONNECTIONS).await?;
        let spent = process.cpu()? - before;
        best = best.min(micros(spent) / times.len() as f64);
    }
    Ok(best)
}

/// KiB of resident memory per open stream that says nothing.
async fn idle_streams(process: &Process, shot: &Shot) -> Result<f64> {
    let mut open = Vec::new();
    let mut before = 0;
    for number in 0..WARM_STREAMS + IDLE_STREAMS {
        if number == WARM_STREAMS {
            before = process.rss_kib()?;
        }
        let mut sender = load::connect(&process.address).await?;
        let response = sender.send_request(load::request(&process.address, shot)?).await?;
        let mut body = response.into_body();
        body.frame().await.context("no first event")??;
        open.push((sender, body));
    }
    Ok(process.rss_kib()?.saturating_sub(before) as f64 / IDLE_STREAMS as f64)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn cases() -> Vec<Case> {
    let small = small_messages();
    let agent = agent_messages();
    vec![
        Case {
            name: "plain request, pass-through",
            plain: chat("bench", &small, false),
            ours: chat("bench", &small, false),
            target: 2.0,
        },
        Case {
            name: "63 KB agent prompt, pass-through",
            plain: chat("bench", &agent, false),
            ours: chat("bench", &agent, false),
            target: 4.0,
        },
        Case {
            name: "64-chunk stream, pass-through",
            plain: chat("bench", &small, true),
            ours: chat("bench", &small, true),
            target: 0.6,
        },
        Case {
            name: "plain request, translated (Messages to Chat)",
            plain: chat("bench", &small, false),
            ours: anthropic("bench", &small, false),
            target: 3.0,
        },
        Case {
            name: "63 KB agent prompt, translated",
            plain: chat("bench", &agent, false),
            ours: anthropic("bench", &agent, false),
            target: 8.0,
        },
        Case {
            name: "64-chunk stream, translated (Chat to Messages)",
            plain: chat("bench", &small, true),
            ours: anthropic("bench", &small, true),
            target: 1.2,
        },
    ]
}

fn small_messages() -> Vec<serde_json::Value> {
    vec![json!({"role": "user", "content": "Say something about foxes.\n".repeat(8)})]
}

/// History of a coding agent: long text with line ends, 63 KB in all.
fn agent_messages() -> Vec<serde_json::Value> {
    let code = "    let value = compute(input, \"name\")?; // see above\n".repeat(20);
    let mut messages = Vec::new();
    for turn in 0..28 {
        messages.push(json!({"role": "user", "content": format!("Turn {turn}: here is the file\n{code}")}));
        messages.push(json!({"role": "assistant", "content": format!("I have read it. {}", code.chars().take(900).collect::<String>())}));
    }
    messages.push(json!({"role": "user", "content": "Now change it."}));
    messages
}

fn chat(model: &str, messages: &[serde_json::Value], stream: bool) -> Shot {
    let mut body = json!({"model": model, "messages": messages, "max_tokens": 500});
    let expect = if stream { "[DONE]" } else { "quick brown fox" };
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    Shot { path: "/v1/chat/completions", body: Bytes::from(body.to_string()), expect }
}

fn anthropic(model: &str, messages: &[serde_json::Value], stream: bool) -> Shot {
    let mut body = json!({"model": model, "max_tokens": 500, "messages": messages});
    let expect = if stream { "message_stop" } else { "quick brown fox" };
    if stream {
        body["stream"] = json!(true);
    }
    Shot { path: "/v1/messages", body: Bytes::from(body.to_string()), expect }
}
