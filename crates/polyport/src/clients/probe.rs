//! What a gateway says to clients.

use anyhow::{Context as _, Result, bail};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use polyport_provider::{Client, ClientSettings, ProviderRequest, ProxySettings, RequestBody};
use serde_json::Value;

/// Longer lists are none.
const LONGEST_BYTES: usize = 8 << 20;

/// What it says about models.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// Their names.
    Models(Vec<String>),
    /// A key is needed, or another one.
    Closed,
}

/// Asks for the models that a client may use.
///
/// # Errors
/// Nobody answers there, or somebody else.
pub(crate) async fn models(url: &str, key: Option<&str>) -> Result<Said> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).context("a key holds letters and digits")?;
        value.set_sensitive(true);
        headers.insert(http::header::AUTHORIZATION, value);
    }
    let uri = format!("{url}/v1/models").parse().with_context(|| format!("`{url}` is no address of a gateway"))?;
    let request = ProviderRequest { method: Method::GET, uri, headers, body: RequestBody::from(Bytes::new()) };
    // Nobody reaches this machine through a proxy.
    let here = ["http://127.", "http://localhost", "http://[::1]"].iter().any(|start| url.starts_with(start));
    let proxy = if here { ProxySettings::Direct } else { ProxySettings::Environment };
    let mut response = Client::new(&ClientSettings { proxy, ..ClientSettings::default() })?
        .send(request)
        .await
        .with_context(|| format!("no gateway answers at {url}; start one with `polyport serve`"))?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED => return Ok(Said::Closed),
        status => bail!("what answers at {url} says {status} when asked for its models; is it a Polyport gateway?"),
    }
    let mut all = BytesMut::new();
    while let Some(chunk) = response.body.chunk().await? {
        all.extend_from_slice(&chunk);
        if all.len() > LONGEST_BYTES {
            bail!("the list of models at {url} is too long");
        }
    }
    let list: Value = serde_json::from_slice(&all).with_context(|| format!("what answers at {url} is no gateway"))?;
    let models = list["data"].as_array().into_iter().flatten();
    Ok(Said::Models(models.filter_map(|model| model["id"].as_str().map(str::to_owned)).collect()))
}
