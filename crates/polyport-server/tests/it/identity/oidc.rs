//! Signing in at an identity provider.

use polyport_testkit::raw::{Reply, get};
use serde_json::{Value, json};

use super::issuer::{CLIENT, Issuer, SECRET, Script};
use super::{ADMIN, Running, Shown, start_in, text};

async fn start(issuer: &Issuer) -> Running {
    let file = format!(
        "access:\n  oidc:\n    issuer: {}\n    client_id: '{CLIENT}'\n    client_secret: env:OIDC_SECRET\n    url: http://127.0.0.1:1\n    \
         roles: {{ admin: [ops], manager: [leads], member: [staff] }}\n    teams: {{ blue-people: blue }}\n",
        issuer.url()
    );
    let running =
        start_in(tempfile::tempdir().unwrap(), &file, &[("ADMIN_TOKEN", ADMIN), ("OIDC_SECRET", SECRET)]).await;
    running.to("POST", "teams", json!({ "name": "blue" })).await;
    running
}

fn cookies(answer: &Reply) -> Vec<String> {
    answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

fn value(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

impl Running {
    /// Goes out: the cookie of this sign-in and the provider's address.
    async fn go(&self) -> (String, String) {
        let out = get(self.gateway.address, "/admin/api/oidc/start", &[]).await;
        assert_eq!(out.status, 302);
        let cookie = cookies(&out).pop().unwrap();
        assert!(cookie.starts_with("polyport-oidc=") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
        (value(&cookie), out.header("location").to_owned())
    }

    async fn back(&self, cookie: &str, way: &str) -> Reply {
        let path = way.strip_prefix("http://127.0.0.1:1").unwrap();
        get(self.gateway.address, path, &[("cookie", cookie), ("sec-fetch-site", "cross-site")]).await
    }

    async fn through(&self, issuer: &Issuer) -> Reply {
        let (cookie, way) = self.go().await;
        self.back(&cookie, &issuer.sign_in(&way)).await
    }

    /// Signs in and says who that is.
    async fn who(&self, issuer: &Issuer) -> (Shown, Value) {
        let back = self.through(issuer).await;
        let status = back.status;
        if status != 302 {
            panic!("{status} {}", back.json().await);
        }
        assert_eq!(back.header("location"), "/admin");
        let all = cookies(&back);
        let session = all.iter().find(|cookie| cookie.starts_with("polyport=")).unwrap();
        assert!(all.iter().any(|cookie| cookie.starts_with("polyport-oidc=;") && cookie.contains("Max-Age=0")));
        let shown = Shown::nothing().with("cookie", &value(session));
        let (status, who) = self.ask(&shown, "GET", "session", Value::Null).await;
        assert_eq!(status, 200);
        (shown, who)
    }

    async fn refused(&self, issuer: &Issuer, status: u16, words: &str) {
        let back = self.through(issuer).await;
        let found = back.status.as_u16();
        assert!(cookies(&back).iter().all(|cookie| !cookie.starts_with("polyport=")));
        let told = back.json().await;
        assert!(found == status && text(&told, "detail").contains(words), "{words}: {found} {told}");
    }
}

fn says(issuer: &Issuer, claims: Value) {
    issuer.script.lock().claims = claims;
}

#[tokio::test]
async fn people_sign_in_elsewhere_with_the_role_of_their_groups() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    let (_, offer) = running.ask(&Shown::nothing(), "GET", "setup", Value::Null).await;
    assert_eq!(offer["oidc"], json!(true));
    let (_, who) = running.who(&issuer).await;
    assert_eq!((text(&who, "name"), text(&who, "role"), text(&who, "means")), ("ada", "member", "oidc"));
    let id = text(&who, "id").to_owned();
    // The same account is the same user, whatever it is called now; groups are asked at every sign-in.
    says(&issuer, json!({ "sub": "7", "preferred_username": "lovelace", "groups": ["ops", "staff"] }));
    let (admin, who) = running.who(&issuer).await;
    assert_eq!((text(&who, "id"), text(&who, "name"), text(&who, "role")), (id.as_str(), "ada", "admin"));
    assert_eq!(running.ask(&admin, "GET", "audit", Value::Null).await.0, 200);
    // Another account of that name is another user.
    says(&issuer, json!({ "sub": "8", "preferred_username": "ada", "groups": ["leads", "blue-people"] }));
    let (manager, who) = running.who(&issuer).await;
    assert_eq!((text(&who, "name"), text(&who, "role"), text(&who["team"], "name")), ("ada (2)", "manager", "blue"));
    assert_eq!(running.ask(&manager, "GET", "users", Value::Null).await.1["users"].as_array().unwrap().len(), 1);
    // Keys are read again when they change.
    issuer.rotate();
    let asked = issuer.asked.lock().len();
    let back = running.through(&issuer).await;
    // A key that is not known is looked up at once only if that was not done just now.
    assert!(matches!(back.status.as_u16(), 302 | 401) && issuer.asked.lock().len() > asked);

    // A user who is switched off, or without groups any more, stays outside.
    let (_, page) = running.ask(&Shown::key(ADMIN), "GET", "audit?action=signIn", Value::Null).await;
    assert_eq!(text(&page["audit"].as_array().unwrap().last().unwrap()["actor"], "name"), "ada");
    assert!(!page.to_string().contains("canary"));
}

#[tokio::test]
async fn groups_may_come_from_the_user_endpoint() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    says(&issuer, json!({ "sub": "7", "preferred_username": "ada" }));
    issuer.script.lock().user = json!({ "sub": "7", "groups": "staff" });
    let (_, who) = running.who(&issuer).await;
    assert_eq!(text(&who, "role"), "member");
    // What is told of somebody else does not count.
    issuer.script.lock().user = json!({ "sub": "8", "groups": ["ops"] });
    running.refused(&issuer, 403, "none of your groups has a role").await;
}

#[tokio::test]
async fn nobody_is_let_in_without_a_role_a_team_or_being_switched_on() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    says(&issuer, json!({ "sub": "7", "preferred_username": "ada", "groups": ["others"] }));
    running.refused(&issuer, 403, "none of your groups has a role").await;
    says(&issuer, json!({ "sub": "7", "preferred_username": "ada", "groups": ["leads"] }));
    running.refused(&issuer, 403, "of no team").await;
    assert!(running.to("GET", "users", Value::Null).await["users"].as_array().unwrap().is_empty());
    says(&issuer, json!({ "sub": "7", "preferred_username": "ada", "groups": ["staff"] }));
    running.who(&issuer).await;
    running.to("POST", "users/ada/disable", Value::Null).await;
    running.refused(&issuer, 403, "switched off").await;
}

#[tokio::test]
async fn a12_a_token_that_is_not_for_this_sign_in_is_refused() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    let right = issuer.script.lock().clone();
    type Lie = fn(&mut Value);
    let lies: [(Lie, &str); 9] = [
        (|claims| claims["aud"] = json!("another"), "not good"),
        (|claims| claims["iss"] = json!("https://evil.example"), "not good"),
        (|claims| claims["exp"] = json!(1_000_000), "not good"),
        (|claims| drop(claims.as_object_mut().unwrap().remove("exp")), "not good"),
        (|claims| claims["nbf"] = json!(99_999_999_999_u64), "not good"),
        (|claims| claims["nonce"] = json!("another"), "made for another sign-in"),
        (|claims| drop(claims.as_object_mut().unwrap().remove("nonce")), "made for another sign-in"),
        (|claims| claims["azp"] = json!("another"), "made for another program"),
        (|claims| drop(claims.as_object_mut().unwrap().remove("sub")), "not good"),
    ];
    for (lie, words) in lies {
        *issuer.script.lock() = Script { lie, ..right.clone() };
        running.refused(&issuer, 401, words).await;
    }
}

#[tokio::test]
async fn a12_signatures_that_prove_nothing_are_refused() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    let right = issuer.script.lock().clone();
    for (header, other_key, words) in [
        (None, true, "not good"),
        (Some(json!({ "alg": "none" })), false, "not good"),
        (Some(json!({ "alg": "HS256", "kid": "secret" })), false, "not taken"),
        (Some(json!({ "alg": "RS256", "kid": "k1" })), false, "does not show"),
        (Some(json!({ "alg": "ES256", "kid": "unknown" })), false, "does not show"),
        (Some(json!({ "alg": "ES256", "kid": "secret" })), false, "not good"),
    ] {
        *issuer.script.lock() = Script { header, other_key, ..right.clone() };
        running.refused(&issuer, 401, words).await;
    }
    assert_eq!(running.to("GET", "users", Value::Null).await["users"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn a11_a_sign_in_ends_in_the_browser_that_began_it() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    let (mine, way) = running.go().await;
    let (other, _) = running.go().await;
    let back = issuer.sign_in(&way);
    let asked = issuer.asked.lock().len();
    for (cookie, way) in [
        (other.as_str(), back.clone()),
        ("", back.clone()),
        (mine.as_str(), back.split("&state").next().unwrap().to_owned()),
        (mine.as_str(), format!("{back}&code=twice")),
        (mine.as_str(), format!("{back}&iss=https://evil.example")),
    ] {
        let answer = running.back(cookie, &way).await;
        assert_eq!(answer.status, 401, "{cookie} {way}");
        assert!(cookies(&answer).iter().all(|cookie| !cookie.starts_with("polyport=")));
    }
    assert_eq!(issuer.asked.lock().len(), asked, "nothing was asked for that");
    let denied = back.replace("code=", "error=access_denied&x=");
    let told = running.back(&mine, &denied).await.json().await;
    assert!(text(&told, "detail").contains("access_denied"), "{told}");
    // A code is good once.
    assert_eq!(running.back(&mine, &back).await.status, 302);
    assert_eq!(running.back(&mine, &back).await.status, 401);
}

#[tokio::test]
async fn browsers_are_led_to_a_page_that_says_why_nobody_was_let_in() {
    let issuer = Issuer::start().await;
    let running = start(&issuer).await;
    let (cookie, way) = running.go().await;
    let path = issuer.sign_in(&way).replace("http://127.0.0.1:1", "").replace("code=", "error=access_denied&x=");
    let shown = [("cookie", cookie.as_str()), ("accept", "text/html,*/*;q=0.8"), ("sec-fetch-site", "cross-site")];
    let back = get(running.gateway.address, &path, &shown).await;
    assert_eq!((back.status.as_u16(), back.header("location")), (302, "/admin/sign-in?problem=sign_in_refused"));
    assert!(cookies(&back).iter().all(|cookie| !cookie.starts_with("polyport=")));
}

#[tokio::test]
async fn a_provider_that_is_away_or_lies_about_itself_lets_nobody_in() {
    let issuer = Issuer::start().await;
    let address = issuer.address;
    for (url, words) in [
        ("http://127.0.0.1:9".to_owned(), "cannot be used now"),
        (format!("http://localhost:{}", address.port()), "names another issuer"),
    ] {
        let file = format!(
            "access: {{ oidc: {{ issuer: '{url}', client_id: x, url: 'http://127.0.0.1:1', roles: {{ member: [staff] }} }} }}"
        );
        let running = start_in(tempfile::tempdir().unwrap(), &file, &[("ADMIN_TOKEN", ADMIN)]).await;
        let (status, told) = running.ask(&Shown::nothing(), "GET", "oidc/start", Value::Null).await;
        assert!(status == 502 && text(&told, "detail").contains(words), "{status} {told}");
    }
}
