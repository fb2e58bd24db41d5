//! Who may do what at the admin API: signing in, roles, tenants, and what was done.

mod audit;
mod issuer;
mod matrix;
mod oidc;
mod sign_in;
mod tenants;
mod used;

use std::path::Path;
use std::sync::Arc;

use polyport_server::Server;
use polyport_server::config::{Arguments, Environment, Live, Source};
use polyport_store::{NewSession, Store};
use polyport_testkit::raw::{Reply, send};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::Gateway;

pub(crate) const ADMIN: &str = "ap-canary-0123456789abcdef-admin";
pub(crate) const PASSWORD: &str = "correct horse canary";

/// A gateway with a database.
pub(crate) struct Running {
    pub(crate) gateway: Gateway,
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
    _live: Arc<Live>,
}

/// How somebody shows who they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) headers: Vec<(String, String)>,
}

impl Shown {
    pub(crate) fn nothing() -> Self {
        Self::default()
    }

    pub(crate) fn key(key: &str) -> Self {
        Self::nothing().with("x-api-key", key)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Starts with this configuration and these variables.
pub(crate) async fn start_in(folder: TempDir, file: &str, variables: &[(&str, &str)]) -> Running {
    std::fs::write(folder.path().join("polyport.yaml"), file).unwrap();
    let live = live(folder.path(), variables);
    let store = live.current().open_store().await.unwrap();
    let gateway = Gateway::run(Server::bind_live(&live, store.clone()).await.unwrap());
    Running { gateway, store, folder, _live: live }
}

fn live(folder: &Path, variables: &[(&str, &str)]) -> Arc<Live> {
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let arguments = Arguments { port: Some(0), ..Arguments::default() };
    Live::start(Source::new(Some("polyport.yaml".into()), Environment::of(owned, folder), arguments)).unwrap().0
}

pub(crate) async fn start() -> Running {
    start_in(tempfile::tempdir().unwrap(), "", &[("ADMIN_TOKEN", ADMIN)]).await
}

impl Running {
    pub(crate) async fn raw(&self, method: &str, path: &str, shown: &Shown, body: &Value) -> Reply {
        let mut headers: Vec<(&str, &str)> =
            shown.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if !body.is_null() {
            headers.push(("content-type", "application/json"));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(self.gateway.address, method, &format!("/admin/api/{path}"), &headers, body).await
    }

    pub(crate) async fn ask(&self, shown: &Shown, method: &str, path: &str, body: Value) -> (u16, Value) {
        let answer = self.raw(method, path, shown, &body).await;
        let status = answer.status.as_u16();
        // What is written while it is read is no JSON, and may have no end.
        let is_json = answer.header("content-type").ends_with("json");
        (status, if is_json { answer.json().await } else { Value::Null })
    }

    /// Does as an admin what has to go well.
    pub(crate) async fn to(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(&Shown::key(ADMIN), method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// Signs in; what is shown from then on.
    pub(crate) async fn sign_in(&self, name: &str, password: &str) -> Shown {
        let answer =
            self.raw("POST", "session", &Shown::nothing(), &json!({ "name": name, "password": password })).await;
        assert_eq!(answer.status, 200, "{name}");
        shown_by(answer).await
    }

    /// Makes a user who signs in with [`PASSWORD`].
    pub(crate) async fn user(&self, mut user: Value) -> String {
        let made = self.to("POST", "users", user.take()).await;
        let id = text(&made, "id").to_owned();
        let password = json!({ "password": PASSWORD, "must_change": false });
        self.to("PUT", &format!("users/{id}/password"), password).await;
        id
    }

    /// Signs somebody in without a password, past the gateway.
    pub(crate) async fn session_of(&self, user: &str) -> Shown {
        let random: u128 = rand_of_time();
        let cookie = format!("{random:043}");
        let digest = polyport_server::config::KeyHash::of(&cookie).to_hex();
        let now = i64::try_from(polyport_server::now()).unwrap();
        let session = NewSession { digest, means: "password".to_owned(), now, expires_at: now + 600_000 };
        self.store.identities().begin(user, &session).await.unwrap();
        let shown = Shown::nothing().with("cookie", &format!("polyport={cookie}"));
        let (status, who) = self.ask(&shown, "GET", "session", Value::Null).await;
        assert_eq!(status, 200, "{who}");
        shown.with("x-polyport-csrf", text(&who, "csrf"))
    }
}

/// A number that does not come twice.
fn rand_of_time() -> u128 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_nanos() * 1000 + u128::from(NEXT.fetch_add(1, Ordering::Relaxed) % 1000)
}

/// The cookie and what goes with it.
pub(crate) async fn shown_by(answer: Reply) -> Shown {
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let told = answer.json().await;
    Shown::nothing().with("cookie", &cookie).with("x-polyport-csrf", text(&told, "csrf"))
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("{name}: {value}"))
}
