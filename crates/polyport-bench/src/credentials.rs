//! Ten thousand credentials: how long the start takes and what it holds, in each of the two ways to declare them.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::load::{self, Shot};
use crate::process::Process;

/// What is asked of a gateway with so many.
const START: Duration = Duration::from_secs(2);
const RESIDENT_KIB: u64 = 100 << 10;

/// Starts with `count` keys, and with `count` accounts of a tokens file, and prints a Markdown table. Every start is measured twice: the second
/// finds the database that the first has made.
pub(crate) async fn run(polyport: &Path, count: usize) -> Result<()> {
    let own = std::env::current_exe()?;
    let provider = Process::printing(&own, &["provider"]).await?;
    println!("| {count} credentials | first answer after start | resident then | resident after {count} requests |");
    println!("|---|---:|---:|---:|");
    for (name, declare) in
        [("keys in the configuration", keys as Declare), ("accounts in `data/tokens.json`", accounts)]
    {
        let folder = std::env::temp_dir().join(format!("polyport-bench-{}-{}", std::process::id(), declare as usize));
        std::fs::create_dir_all(folder.join("data"))?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let section = declare(&folder, count)?;
        let config = format!(
            "server: {{ host: 127.0.0.1, port: {port} }}\naccess: {{ open: true }}\ndiscover: false\nproviders:\n  \
             bench:\n    base_url: \"http://{}/v1\"\n{section}models:\n  bench: bench/bench\n",
            provider.address
        );
        std::fs::write(folder.join("polyport.yaml"), config)?;
        for start in ["first start", "second start"] {
            let begun = Instant::now();
            let address = format!("127.0.0.1:{port}");
            let process = Process::listening(&polyport.canonicalize()?, &["serve"], &folder, address)?;
            let shot = shot();
            let took = loop {
                if let Ok(mut sender) = load::connect(&process.address).await
                    && load::fire(&mut sender, &process.address, &shot).await.is_ok()
                {
                    break begun.elapsed();
                }
                ensure!(begun.elapsed() < Duration::from_secs(60), "Polyport does not answer");
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            let resident = process.rss_kib()?;
            load::run(&process.address, &shot, count, 8).await?;
            let later = process.rss_kib()?;
            let mib = |kib: u64| kib as f64 / 1024.0;
            println!(
                "| {name}, {start} | {} ms | {:.1} MiB | {:.1} MiB |",
                took.as_millis(),
                mib(resident),
                mib(later)
            );
            ensure!(took < START, "the start takes longer than {START:?}");
            ensure!(later < RESIDENT_KIB, "it holds more than {RESIDENT_KIB} KiB");
            end(process).await?;
        }
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

type Declare = fn(&Path, usize) -> Result<String>;

fn keys(_: &Path, count: usize) -> Result<String> {
    let mut section = "    keys:\n".to_owned();
    for number in 0..count {
        writeln!(section, "      - sk-bench-{number:08}-0123456789abcdef0123456789abcdef")?;
    }
    Ok(section)
}

/// Their access tokens are good for an hour: nobody is asked for others.
fn accounts(folder: &Path, count: usize) -> Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let projects: Vec<_> = (0..count)
        .map(|number| {
            json!({
                "project_id": format!("bench-{number}"),
                "refresh_token": format!("1//bench-refresh-{number:08}-0123456789abcdef0123456789abcdef0123456789abcdef"),
                "access_token": format!("ya29.bench-access-{number:08}-{}", "0123456789abcdef".repeat(8)),
                "expires_at": now.as_secs() + 3600,
            })
        })
        .collect();
    let server = json!({"client_id": "bench", "client_secret": "bench", "token_url": "http://127.0.0.1:9/token"});
    let file = json!({"oauth_config": server, "projects": projects});
    std::fs::write(folder.join("data/tokens.json"), file.to_string())?;
    Ok("    oauth: { file: data/tokens.json }\n".to_owned())
}

fn shot() -> Shot {
    let body = json!({"model": "bench", "messages": [{"role": "user", "content": "hi"}]});
    Shot { path: "/v1/chat/completions", body: body.to_string().into(), expect: "quick brown fox" }
}

/// Ends it in order, so that the next start finds what it knew.
async fn end(process: Process) -> Result<()> {
    let asked = tokio::process::Command::new("kill").arg(process.pid().to_string()).status().await?;
    ensure!(asked.success(), "the process is gone");
    process.wait().await.context("the end of the process")
}
