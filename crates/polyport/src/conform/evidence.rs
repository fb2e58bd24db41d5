//! A recording of what failed: what the client asked and got, and what the upstream was asked and says to that.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bytes::Bytes;
use polyport_provider::Client;
use polyport_recording::format::{self, Answer, Body, Chunk, Exchange, Head, Line, Totals, VERSION};
use polyport_recording::{End, Redactor, Side};
use polyport_testkit::provider::Exchange as Asked;
use polyport_types::{ClientProtocol, Protocol};

use super::Tried;
use crate::child;

/// Writes it, for its owner only, beside what is there already; the path of the file.
pub(super) async fn write(
    client: &Client,
    folder: &Path,
    name: &str,
    spoken: ClientProtocol,
    tried: &Tried,
    key: Option<&str>,
) -> Result<PathBuf> {
    let at = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis()).unwrap_or_default();
    let mut exchanges = vec![of_client(spoken, tried, at)];
    for (asked, protocol, address) in &tried.asked {
        exchanges.push(of_upstream(client, asked, *protocol, *address, at + 1).await);
    }
    let mut redactor = Redactor::default();
    key.into_iter().for_each(|key| redactor.learn(key));
    // Each side may repeat what the other was asked with.
    for exchange in &exchanges {
        redactor.target(&exchange.target);
        for (name, value) in &exchange.headers {
            redactor.header(name, value, false);
        }
    }
    let made_by = concat!("polyport ", env!("CARGO_PKG_VERSION")).to_owned();
    let mut lines = format::line(&Head { polyport_recording: VERSION, made_by, at })?;
    let number = exchanges.len() as u64;
    for mut exchange in exchanges {
        let body = exchange.body.as_ref().map(Body::bytes).transpose().map_err(anyhow::Error::msg)?;
        let chunks: Vec<(u64, Bytes)> = exchange
            .answer
            .iter()
            .flat_map(|answer| &answer.chunks)
            .map(|chunk| (chunk.0, chunk.1.bytes().unwrap_or_default().into()))
            .collect();
        redactor.exchange(&mut exchange, &[], body.as_deref(), &chunks);
        lines.extend(format::line(&Line::Exchange(Box::new(exchange)))?);
    }
    lines.extend(format::line(&Line::End(Totals { exchanges: number, dropped: 0 }))?);
    std::fs::create_dir_all(folder)?;
    let (mut file, path) = create(folder, name)?;
    file.write_all(&lines)?;
    Ok(path)
}

/// A new file: those of earlier runs stay.
fn create(folder: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut run = 1;
    loop {
        let path = folder.join(if run == 1 { format!("{name}.jsonl") } else { format!("{name}-{run}.jsonl") });
        match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => run += 1,
            opened => return Ok((opened?, path)),
        }
    }
}

fn of_client(spoken: ClientProtocol, tried: &Tried, at: u64) -> Exchange {
    let answer = tried.answer.as_ref().map(|answer| Answer {
        after: 0,
        status: answer.status,
        headers: answer.headers.clone(),
        chunks: vec![Chunk(0, Body::new(&answer.body))],
    });
    let end = if tried.answer.as_ref().is_some_and(|answer| answer.whole) { End::Complete } else { End::Reset };
    Exchange {
        side: Side::Client,
        id: Some("conform".to_owned()),
        at,
        protocol: spoken.into(),
        provider: String::new(),
        adapter: None,
        profile: String::new(),
        base: String::new(),
        model: String::new(),
        method: tried.method.to_owned(),
        target: tried.path.clone(),
        headers: tried.headers.clone(),
        body: Some(Body::new(&tried.body)),
        answer,
        end,
        ended: 0,
    }
}

/// Its answer is had by asking again: it still does what the case says.
async fn of_upstream(client: &Client, asked: &Asked, protocol: Protocol, address: SocketAddr, at: u64) -> Exchange {
    let target = match asked.query() {
        "" => asked.path().to_owned(),
        query => format!("{}?{query}", asked.path()),
    };
    let kept = |name: &str| !matches!(name, "host" | "connection" | "content-length" | "transfer-encoding");
    let headers: Vec<(String, String)> = asked.headers().iter().filter(|(name, _)| kept(name)).cloned().collect();
    let began = Instant::now();
    let answer =
        child::ask(client, asked.method(), &format!("http://{address}{target}"), &headers, asked.body().clone()).await;
    let ended = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let end = if answer.as_ref().is_ok_and(|answer| answer.whole) { End::Complete } else { End::Reset };
    let answer = answer.ok().map(|answer| Answer {
        after: 0,
        status: answer.status,
        headers: answer.headers,
        chunks: vec![Chunk(0, Body::new(&answer.body))],
    });
    let json: serde_json::Value = asked.json();
    Exchange {
        side: Side::Provider,
        id: Some("conform".to_owned()),
        at,
        protocol,
        provider: protocol.to_string(),
        adapter: None,
        profile: String::new(),
        base: if matches!(protocol, Protocol::Chat | Protocol::Responses) { "/v1".to_owned() } else { String::new() },
        model: json["model"].as_str().unwrap_or_default().to_owned(),
        method: asked.method().to_owned(),
        target,
        headers,
        body: Some(Body::new(asked.body())),
        answer,
        end,
        ended,
    }
}
