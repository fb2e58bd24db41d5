//! A fake OAuth token server.
//!
//! It knows accounts by their refresh tokens, counts the calls for each and judges every request by the standard. Rotated refresh tokens are
//! as unforgiving as the strictest servers: a token that was replaced is dead as soon as its successor has been used, and using it then
//! kills the whole account.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A fake token server. Dropping it closes its port.
#[derive(Debug)]
pub struct FakeTokenServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// An answer in place of the usual one.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The member `error`; none for a body that is not JSON.
    pub error: Option<&'static str>,
    /// Seconds in `Retry-After`.
    pub retry_after: Option<u32>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    calls: watch::Sender<usize>,
    /// Answers wait while this is true.
    held: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    accounts: HashMap<String, Account>,
    refusals: VecDeque<Refusal>,
    expires_in: Option<u64>,
    rotates: bool,
    running: usize,
    most_at_once: usize,
    violations: Vec<String>,
    serial: u64,
    /// Service accounts: the address they name as audience, and their public keys.
    trusted: HashMap<String, (String, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct Account {
    /// The refresh token in force, and those it may still be asked for by: the one before it, until it has been used.
    current: String,
    previous: Option<String>,
    replaced: Vec<String>,
    access: Vec<String>,
    calls: usize,
    revoked: bool,
}

impl Drop for FakeTokenServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl FakeTokenServer {
    /// Starts one on any free port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let shared = Arc::new(Shared {
            state: Mutex::new(State { expires_in: Some(3600), ..State::default() }),
            calls: watch::Sender::new(0),
            held: watch::Sender::new(false),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&shared), request));
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await
                        .ok();
                });
            }
        });
        Self { address, shared, accepting: accepting.abort_handle() }
    }

    /// The address for `token_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    /// Opens an account; the text is its first refresh token and its name here.
    pub fn open(&self, refresh: &str) {
        let account = Account { current: refresh.to_owned(), ..Account::default() };
        self.state().accounts.insert(refresh.to_owned(), account);
    }

    /// Makes a service account of this address and returns its key file.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn service_account(&self, email: &str, project: &str) -> Value {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("its form");
        let encoded = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        self.open(email);
        self.state().trusted.insert(email.to_owned(), (self.url(), pair.public_key().as_ref().to_vec()));
        json!({
            "type": "service_account", "project_id": project, "private_key_id": "key-1", "private_key": pem,
            "client_email": email, "token_uri": self.url(),
        })
    }

    /// Every refresh gives a new refresh token from now on.
    pub fn rotate(&self) {
        self.state().rotates = true;
    }

    /// Seconds that access tokens live; `None` leaves the member out.
    pub fn expires_in(&self, seconds: Option<u64>) {
        self.state().expires_in = seconds;
    }

    /// Answers the next call with a refusal.
    pub fn refuse_next(&self, refusal: Refusal) {
        self.state().refusals.push_back(refusal);
    }

    /// The account's log-in is taken back.
    pub fn revoke(&self, account: &str) {
        if let Some(account) = self.state().accounts.get_mut(account) {
            account.revoked = true;
        }
    }

    /// Answers wait until they are let go.
    pub fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Lets held answers go.
    pub fn let_go(&self) {
        self.shared.held.send_replace(false);
    }

    /// Calls of an account so far.
    #[must_use]
    pub fn calls(&self, account: &str) -> usize {
        self.state().accounts.get(account).map_or(0, |account| account.calls)
    }

    /// Waits until so many calls have arrived in all.
    pub async fn arrived(&self, calls: usize) {
        self.shared.calls.subscribe().wait_for(|seen| *seen >= calls).await.ok();
    }

    /// All access tokens an account was given, oldest first.
    #[must_use]
    pub fn access_tokens(&self, account: &str) -> Vec<String> {
        self.state().accounts.get(account).map(|account| account.access.clone()).unwrap_or_default()
    }

    /// The refresh token in force.
    #[must_use]
    pub fn current(&self, account: &str) -> String {
        self.state().accounts.get(account).map(|account| account.current.clone()).unwrap_or_default()
    }

    /// Whether the account can still be refreshed by anybody.
    #[must_use]
    pub fn is_alive(&self, account: &str) -> bool {
        self.state().accounts.get(account).is_some_and(|account| !account.revoked)
    }

    /// The most calls that ran at once.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.state().most_at_once
    }

    /// What was wrong with the requests.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = Response<Full<Bytes>>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let is_post = request.method() == http::Method::POST;
    let kind =
        request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = Limited::new(request.into_body(), 64 * 1024).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let members: HashMap<String, String> = if kind.starts_with("application/json") {
        serde_json::from_str(&text).unwrap_or_default()
    } else {
        form(&text)
    };
    let member = |name: &str| members.get(name).map_or("", String::as_str);
    let grant = member("grant_type");
    {
        let mut state = shared.state();
        state.running += 1;
        state.most_at_once = state.most_at_once.max(state.running);
        let assertion = grant == ASSERTION;
        // Google's identity service names the client in its address.
        let named = assertion
            || members.get("client_id").is_some_and(|id| !id.is_empty())
            || !members.contains_key("client_id");
        let known = assertion || matches!(grant, "refresh_token" | "client_credentials");
        if !is_post || !known || !named {
            state.violations.push(format!("no refresh: grant_type `{grant}`, content-type `{kind}`"));
        }
    }
    shared.calls.send_modify(|calls| *calls += 1);
    shared.held.subscribe().wait_for(|held| !held).await.ok();
    // Real servers take a moment; callers that do not wait for one another meet here.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let mut state = shared.state();
    state.running -= 1;
    Ok(match grant {
        "client_credentials" => state.judge(member("client_secret")),
        ASSERTION => match state.stated(member("assertion")) {
            Ok(account) => state.judge(&account),
            Err(wrong) => {
                state.violations.push(wrong);
                refusal(400, Some("invalid_grant"), None)
            }
        },
        _ => state.judge(member("refresh_token")),
    })
}

/// `a=1&b=2`, percent-decoded.
fn form(text: &str) -> HashMap<String, String> {
    let decode = |part: &str| {
        let part = part.replace('+', " ");
        let mut out = Vec::new();
        let mut bytes = part.bytes();
        while let Some(byte) = bytes.next() {
            let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            match byte {
                b'%' => match (hex(bytes.next()), hex(bytes.next())) {
                    (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                    _ => out.push(b'?'),
                },
                byte => out.push(byte),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    };
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decode(name), decode(value))).collect()
}

impl State {
    /// Who states something in a signed statement.
    fn stated(&self, assertion: &str) -> Result<String, String> {
        let parts: Vec<&str> = assertion.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err("the assertion has not three parts".to_owned()) };
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|error| error.to_string());
        let json = |part: &str| -> Result<Value, String> {
            serde_json::from_slice(&bytes(part)?).map_err(|error| error.to_string())
        };
        let (head, claims_read) = (json(header)?, json(claims)?);
        if (&head["alg"], &head["typ"]) != (&json!("RS256"), &json!("JWT")) || !head["kid"].is_string() {
            return Err(format!("the assertion's header is {head}"));
        }
        let issuer = claims_read["iss"].as_str().unwrap_or_default();
        let (url, key) = self.trusted.get(issuer).ok_or_else(|| format!("nobody knows `{issuer}`"))?;
        let (issued, expires) = (claims_read["iat"].as_i64().unwrap_or(0), claims_read["exp"].as_i64().unwrap_or(0));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(0);
        if claims_read["aud"] != url.as_str()
            || (now - issued).abs() > 300
            || !(1..=3600).contains(&(expires - issued))
            || claims_read["scope"] != "https://www.googleapis.com/auth/cloud-platform"
        {
            return Err(format!("the assertion claims {claims_read}"));
        }
        let text = format!("{header}.{claims}");
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(text.as_bytes(), &bytes(signature)?)
            .map_err(|_| "the assertion's signature is wrong".to_owned())?;
        Ok(issuer.to_owned())
    }

    fn judge(&mut self, refresh: &str) -> Answer {
        let known = |account: &Account| {
            account.current == refresh
                || account.previous.as_deref() == Some(refresh)
                || account.replaced.iter().any(|old| old == refresh)
        };
        let Some(name) = self.accounts.iter().find(|(_, account)| known(account)).map(|(name, _)| name.clone()) else {
            return refusal(400, Some("invalid_grant"), None);
        };
        if let Some(account) = self.accounts.get_mut(&name) {
            account.calls += 1;
        }
        if let Some(Refusal { status, error, retry_after }) = self.refusals.pop_front() {
            return refusal(status, error, retry_after);
        }
        self.serial += 1;
        let (serial, rotates, expires_in) = (self.serial, self.rotates, self.expires_in);
        let Some(account) = self.accounts.get_mut(&name) else { return refusal(400, Some("invalid_grant"), None) };
        if account.replaced.iter().any(|old| old == refresh) {
            account.revoked = true;
        }
        if account.revoked {
            return refusal(400, Some("invalid_grant"), None);
        }
        if account.current == refresh
            && let Some(old) = account.previous.take()
        {
            account.replaced.push(old);
        }
        let access = format!("access-{serial}-{name}");
        account.access.push(access.clone());
        let mut body = json!({ "access_token": access, "id_token": access, "token_type": "Bearer", "scope": "all" });
        if let Some(seconds) = expires_in {
            body["expires_in"] = seconds.into();
        }
        if rotates {
            let next = format!("{name}-{serial}");
            // Asked again with the one before: the answer did not arrive, so its successor was never used.
            if account.current == refresh {
                account.previous = Some(std::mem::replace(&mut account.current, next.clone()));
            } else {
                account.replaced.push(std::mem::replace(&mut account.current, next.clone()));
            }
            body["refresh_token"] = next.into();
        }
        reply(StatusCode::OK, body.to_string(), None)
    }
}

fn refusal(status: u16, error: Option<&str>, retry_after: Option<u32>) -> Answer {
    let body = match error {
        Some(error) => json!({ "error": error, "error_description": "as told" }).to_string(),
        None => "<html>no</html>".to_owned(),
    };
    reply(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), body, retry_after)
}

fn reply(status: StatusCode, body: String, retry_after: Option<u32>) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}
