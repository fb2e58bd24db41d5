//! The way of commands to the admin API: of the gateway that runs, or of the database where none does.
//!
//! | where | when |
//! |---|---|
//! | an address | `--url`, or `POLYPORT_URL`; with the key of `--admin-key`, `POLYPORT_ADMIN_KEY` or `ADMIN_TOKEN` |
//! | the socket of the data folder | a gateway on this machine uses it |
//! | the database | no gateway uses it: the same admin API answers, in this process |

mod answer;
mod way;

use anyhow::{Context as _, Result};
use http::{HeaderValue, Method, Request};
use polyport_server::config::Environment;
use serde_json::{Map, Value};

use crate::args::Args;
pub(crate) use answer::{Answer, Refused};
use way::Way;

/// Where the admin API begins.
const ROOT: &str = "/admin/api/";

/// Rows of a page while everything is read.
const PAGE: usize = 500;

/// The admin API, wherever it is.
#[derive(Debug)]
pub(crate) struct Gateway {
    way: Way,
    /// Who asks, for the audit log.
    actor: Option<HeaderValue>,
}

/// What a command is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// Only look: where there is no database none is made.
    Look,
    /// Change something as well.
    Change,
}

/// Does something with the admin API, and leaves everything written.
///
/// # Errors
/// What the work says, or why nothing can be reached.
pub(crate) fn run<T>(args: &Args, aim: Aim, work: impl AsyncFnOnce(&Gateway) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let gateway = Gateway::reach(args, aim).await?;
        let done = work(&gateway).await;
        gateway.close().await;
        done
    })
}

impl Gateway {
    /// Finds the admin API. [`Gateway::close`] it in the end.
    ///
    /// # Errors
    /// Why it cannot be reached, and what to do.
    pub(crate) async fn reach(args: &Args, aim: Aim) -> Result<Self> {
        let source = crate::cmd::source(args);
        let actor = actor_of(&source.environment);
        Ok(Self { way: Way::find(args, source, aim).await?, actor })
    }

    /// The gateway that runs, if one does. Where none does, nothing is opened.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub(crate) async fn that_runs(args: &Args) -> Result<Option<Self>> {
        let source = crate::cmd::source(args);
        let way = Way::of_gateway(args, &source).await?;
        Ok(way.map(|way| Self { way, actor: actor_of(&source.environment) }))
    }

    /// Whether a gateway runs there.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.way, Way::Store(_))
    }

    /// Where clients reach the gateway, without a path; nothing where none runs.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub(crate) async fn url(&self) -> Result<Option<String>> {
        match &self.way {
            Way::Store(_) => Ok(None),
            Way::Address(address) => Ok(Some(address.base().to_owned())),
            Way::Socket(_) => Ok(self.get("status").await?["url"].as_str().map(str::to_owned)),
        }
    }

    /// Whether there is a database behind it: without one there are no users and keys.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub(crate) async fn has_database(&self) -> Result<bool> {
        Ok(!self.get("status").await?["database"].is_null())
    }

    /// Asks for something; `path` stands behind [`ROOT`] and may have a query.
    ///
    /// # Errors
    /// [`Refused`] with the words of the gateway, or why it was not reached.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None).await?.json().await
    }

    /// Makes something, or has something done.
    ///
    /// # Errors
    /// As those of [`Gateway::get`].
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(Method::POST, path, Some(body)).await?.json().await
    }

    /// Asks in another way.
    ///
    /// # Errors
    /// As those of [`Gateway::get`].
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        self.ask(method, path, body).await?.json().await
    }

    /// Asks for something that comes piece by piece.
    ///
    /// # Errors
    /// As those of [`Gateway::get`].
    pub(crate) async fn stream(&self, path: &str) -> Result<Answer> {
        self.ask(Method::GET, path, None).await?.good().await
    }

    /// Has something made that comes piece by piece.
    ///
    /// # Errors
    /// As those of [`Gateway::get`].
    pub(crate) async fn made(&self, path: &str) -> Result<Answer> {
        self.ask(Method::POST, path, None).await?.good().await
    }

    /// All rows of a list, or as many as are wanted.
    ///
    /// # Errors
    /// As those of [`Gateway::get`].
    pub(crate) async fn list(&self, path: &str, query: &Query, most: Option<usize>) -> Result<Vec<Value>> {
        let name = path.split('/').next().unwrap_or(path);
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let wanted = most.map_or(PAGE, |most| (most - rows.len()).min(PAGE));
            let mut page = query.clone().with("limit", &wanted);
            if let Some(after) = after {
                page = page.with("after", &after);
            }
            let answer = self.get(&page.on(path)).await?;
            let Value::Object(mut members) = answer else { break };
            match members.remove(name) {
                Some(Value::Array(more)) => rows.extend(more),
                _ => break,
            }
            after = members.remove("next").and_then(|next| next.as_str().map(str::to_owned));
            if after.is_none() || most.is_some_and(|most| rows.len() >= most) {
                break;
            }
        }
        Ok(rows)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let uri = format!("{ROOT}{path}");
        let mut request = Request::new(body.map(Value::to_string).unwrap_or_default().into());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().with_context(|| format!("`{path}` is no path of the admin API"))?;
        let headers = request.headers_mut();
        if body.is_some() {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(actor) = &self.actor {
            headers.insert("x-admin-actor", actor.clone());
        }
        self.way.send(request).await
    }

    /// Writes what is left to write.
    pub(crate) async fn close(self) {
        if let Way::Store(bench) = self.way {
            bench.close().await;
        }
    }
}

/// Who asks.
fn actor_of(environment: &Environment) -> Option<HeaderValue> {
    let name = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| environment.get(name));
    name.and_then(|name| HeaderValue::from_str(name).ok())
}

/// Parameters of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// With one more.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &impl ToString) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// With one more, if there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &str, value: Option<&impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Behind a path.
    pub(crate) fn on(&self, path: &str) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// A name as a part of a path or query.
pub(crate) fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// An object of these members, without those that are not given.
pub(crate) fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
