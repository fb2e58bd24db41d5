//! Local model servers on their usual ports.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use polyport_types::Text;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::preset::Preset;

/// A server on this machine answers sooner; one that does not is not waited for.
const PATIENCE: Duration = Duration::from_millis(150);
/// A longer list of models is not one.
const LONGEST_LIST: usize = 1 << 20;

/// A local server that answered.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is.
    pub preset: &'static Preset,
    /// Its address, with the version.
    pub base_url: String,
    /// Models it offers.
    pub models: Vec<Text>,
}

/// Asks all usual ports at once for their models. `own_port` is left out: Polyport would find itself.
pub async fn probe(own_port: u16) -> Vec<Found> {
    let presets = Preset::all().iter().filter(|preset| preset.discover);
    let ports = presets.filter_map(|preset| Some((preset, preset.local_port?)));
    let probes = ports.filter(|(_, port)| *port != own_port).map(|(preset, port)| probe_one(preset, port, PATIENCE));
    join_all(probes).await.into_iter().flatten().collect()
}

async fn probe_one(preset: &'static Preset, port: u16, patience: Duration) -> Option<Found> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let list = tokio::time::timeout(patience, models(address)).await.ok()??;
    let preset = maker(&list).and_then(Preset::named).unwrap_or(preset);
    Some(Found {
        preset,
        base_url: format!("http://{address}/v1"),
        models: list.data.into_iter().map(|model| Text::from(model.id)).collect(),
    })
}

/// The part of a list of models that matters here.
#[derive(Debug, Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    owned_by: Option<String>,
}

/// Servers are moved to each other's ports; some say who they are.
fn maker(list: &List) -> Option<&'static str> {
    match list.data.first()?.owned_by.as_deref()? {
        "vllm" => Some("vllm"),
        "sglang" => Some("sglang"),
        "llamacpp" => Some("llama-cpp"),
        "library" => Some("ollama"),
        "organization_owner" => Some("lm-studio"),
        _ => None,
    }
}

async fn models(address: SocketAddr) -> Option<List> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = http::Request::get("/v1/models")
        .header(http::header::HOST, address.to_string())
        .header(http::header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let exchange = std::pin::pin!(async move {
        let response = sender.send_request(request).await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        #[allow(clippy::disallowed_methods, reason = "it is limited")]
        let body = Limited::new(response.into_body(), LONGEST_LIST).collect().await.ok()?.to_bytes();
        serde_json::from_slice(&body).ok()
    });
    // The connection is driven along with the exchange and ends with it.
    match select(exchange, std::pin::pin!(connection)).await {
        Either::Left((list, _)) => list,
        Either::Right((_, exchange)) => exchange.await,
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a fake server lives as long as its test")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes.
    async fn answer(bytes: Vec<u8>) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            assert!(request[..length].starts_with(b"GET /v1/models HTTP/1.1\r\n"));
            stream.write_all(&bytes).await.unwrap();
        });
        port
    }

    async fn found(bytes: &[u8]) -> Option<Found> {
        let preset = Preset::named("llama-cpp").unwrap();
        probe_one(preset, answer(bytes.to_vec()).await, Duration::from_secs(10)).await
    }

    #[tokio::test]
    async fn a_server_is_known_by_its_list() {
        let list = r#"{"object":"list","data":[{"id":"m-1","object":"model","owned_by":"vllm"},{"id":"m-2"}]}"#;
        let list = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{list}", list.len());
        let found = found(list.as_bytes()).await.unwrap();
        assert_eq!(found.preset.name, "vllm");
        assert_eq!(found.models, ["m-1", "m-2"]);
        assert!(found.base_url.ends_with("/v1"));
    }

    #[tokio::test]
    async fn other_servers_are_passed_over() {
        for bytes in [
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            b"SSH-2.0-OpenSSH_9\r\n",
            b"",
        ] {
            assert!(found(bytes).await.is_none(), "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[tokio::test]
    async fn nobody_there_is_no_trouble() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(probe_one(Preset::named("vllm").unwrap(), port, Duration::from_secs(10)).await.is_none());
    }
}
