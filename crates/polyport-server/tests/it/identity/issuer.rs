//! A small identity provider, which can be made to lie.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const CLIENT: &str = "poly:port";
pub(crate) const SECRET: &str = "canary secret/of+client";

/// What the provider says of the next one who signs in.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) claims: Value,
    /// Of the user-info endpoint.
    pub(crate) user: Value,
    /// Changes the claims at the last moment.
    pub(crate) lie: fn(&mut Value),
    /// Another header of the token; `None` for what is right.
    pub(crate) header: Option<Value>,
    /// Signs with a key that nobody shows.
    pub(crate) other_key: bool,
}

pub(crate) struct Issuer {
    pub(crate) address: SocketAddr,
    pub(crate) script: Arc<Mutex<Script>>,
    /// Paths that were asked.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    state: Arc<State>,
}

struct State {
    url: String,
    key: Mutex<(String, Arc<EcdsaKeyPair>)>,
    other: EcdsaKeyPair,
    /// Codes that were given out: the challenge and the nonce.
    codes: Mutex<HashMap<String, (String, String)>>,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<String>>>,
}

fn key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Script {
            claims: json!({ "sub": "7", "preferred_username": "ada", "groups": ["staff"] }),
            user: json!({}),
            lie: |_| {},
            header: None,
            other_key: false,
        };
        let (script, asked) = (Arc::new(Mutex::new(script)), Arc::default());
        let state = Arc::new(State {
            url: format!("http://{address}"),
            key: Mutex::new(("k1".to_owned(), Arc::new(key()))),
            other: key(),
            codes: Mutex::default(),
            script: Arc::clone(&script),
            asked: Arc::clone(&asked),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).answer(stream));
            }
        });
        Self { address, script, asked, state }
    }

    pub(crate) fn url(&self) -> &str {
        &self.state.url
    }

    /// Signs with another key from now on, which is shown.
    pub(crate) fn rotate(&self) {
        *self.state.key.lock() = ("k2".to_owned(), Arc::new(key()));
    }

    /// What somebody does who is sent here: signs in, and is sent back with a code. The address that the browser is sent to.
    pub(crate) fn sign_in(&self, way: &str) -> String {
        let url = url::Url::parse(way).unwrap();
        let given: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((url.path(), &*given["response_type"], &*given["client_id"]), ("/authorize", "code", CLIENT));
        assert_eq!(given["code_challenge_method"], "S256");
        assert!(given["scope"].split(' ').any(|scope| scope == "openid"));
        let code = format!("code-{}", self.state.codes.lock().len());
        let known = (given["code_challenge"].clone(), given["nonce"].clone());
        self.state.codes.lock().insert(code.clone(), known);
        format!("{}?code={code}&state={}&session_state=x", given["redirect_uri"], given["state"])
    }
}

impl State {
    async fn answer(self: Arc<Self>, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let (head, body) = loop {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let path = head.split(' ').nth(1).unwrap().to_owned();
        self.asked.lock().push(path.clone());
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let (status, answer) = match path.as_str() {
            "/.well-known/openid-configuration" => (200, self.configuration()),
            "/keys" => (200, self.keys()),
            "/token" => self.token(header("authorization").as_deref(), &body),
            "/user" => match header("authorization").as_deref() {
                Some("Bearer access") => (200, self.script.lock().user.clone()),
                _ => (401, json!({ "error": "invalid_token" })),
            },
            _ => (404, json!({})),
        };
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n");
        let text = format!("{head}content-length: {}\r\n\r\n{answer}", answer.len());
        stream.write_all(text.as_bytes()).await.ok();
    }

    fn configuration(&self) -> Value {
        let url = &self.url;
        json!({
            "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
            "jwks_uri": format!("{url}/keys"), "userinfo_endpoint": format!("{url}/user"),
        })
    }

    fn keys(&self) -> Value {
        let (id, key) = self.key.lock().clone();
        let point = key.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        let secret = json!({ "kty": "oct", "kid": "secret", "k": URL_SAFE_NO_PAD.encode("shown to everybody") });
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": x, "y": y }, secret] })
    }

    fn token(&self, authorization: Option<&str>, body: &str) -> (u16, Value) {
        let given: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET))));
        if authorization != Some(&basic) {
            return (401, json!({ "error": "invalid_client" }));
        }
        let Some((challenge, nonce)) = self.codes.lock().remove(&given["code"]) else {
            return (400, json!({ "error": "invalid_grant" }));
        };
        if URL_SAFE_NO_PAD.encode(Sha256::digest(given["code_verifier"].as_bytes())) != challenge {
            return (400, json!({ "error": "invalid_grant" }));
        }
        let script = self.script.lock().clone();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = script.claims.clone();
        claims["iss"] = json!(self.url);
        claims["aud"] = json!(CLIENT);
        claims["nonce"] = json!(nonce);
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 300);
        (script.lie)(&mut claims);
        let (id, key) = self.key.lock().clone();
        let header = script.header.clone().unwrap_or_else(|| json!({ "alg": "ES256", "typ": "JWT", "kid": id }));
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(&claims));
        let signer = if script.other_key { &self.other } else { &*key };
        let signature = match header["alg"].as_str() {
            Some("none") => Vec::new(),
            Some("HS256") => {
                let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"shown to everybody");
                aws_lc_rs::hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            _ => signer.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec(),
        };
        let token = format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature));
        (200, json!({ "access_token": "access", "token_type": "Bearer", "id_token": token }))
    }
}
