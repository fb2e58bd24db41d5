//! `polyport health`: for containers and scripts, which look at the exit code.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use polyport_server::config::Purpose;

use crate::args::Args;
use crate::out;

/// One that needs longer is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// No more of the answer is of interest, in bytes.
const MOST: u64 = 4096;

#[derive(Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// Ask only whether the process is alive, not whether it answers requests
    #[arg(long)]
    pub(crate) live: bool,
}

pub(crate) fn run(args: &Args, what: &HealthArgs) -> Result<ExitCode> {
    let (name, address) = place(args)?;
    let path = if what.live { "/livez" } else { "/readyz" };
    let (status, words) = ask(&name, address, path).with_context(|| format!("no gateway answers at {name}"))?;
    let well = status == 200;
    if args.json {
        out::json(
            &serde_json::json!({ "ok": well, "status": status, "message": words, "url": format!("http://{name}{path}") }),
        );
    } else if well && !args.quiet {
        out::line(&words);
    }
    if !well {
        bail!("{words} ({status} at http://{name}{path})");
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the gateway listens: as `--url` says, or the configuration.
fn place(args: &Args) -> Result<(String, SocketAddr)> {
    let Some(url) = &args.url else {
        let loaded = super::source(args).load(&[], Purpose::Inspect).map_err(|problems| super::refused(&problems))?;
        let mut address = loaded.config.listen.address();
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        return Ok((address.to_string(), address));
    };
    let unfit = || anyhow!("`{url}` is no address to ask; write it as http://127.0.0.1:7659");
    let name = url.trim().strip_prefix("http://").ok_or_else(unfit)?.split('/').next().unwrap_or_default();
    let name = if name.contains(':') { name.to_owned() } else { format!("{name}:80") };
    let address = name.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(unfit)?;
    Ok((name, address))
}

fn ask(name: &str, address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {name}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let words = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim().to_owned());
    status.zip(words).context("what it says is no HTTP")
}
