//! How people sign in, where they are signed in, and what was done.

use polyport_store::{AuditEntry, AuditFilter, Error, NewSession, Password, Role, Store, Stored, Subject, Team, User};
use serde_json::json;

use crate::place::Place;

fn user(name: &str, role: Role) -> User {
    User { name: name.to_owned(), enabled: true, team: None, role, definition: json!({}) }
}

fn password(hash: &str) -> Password {
    Password { hash: hash.to_owned(), must_change: false }
}

fn session(digest: &str, now: i64) -> NewSession {
    NewSession { digest: digest.to_owned(), means: "password".to_owned(), now, expires_at: now + 1000 }
}

async fn admin(store: &Store, name: &str) -> Stored<User> {
    let made = store.identities().create_with_password(user(name, Role::Admin), &password("h"), 1, false).await;
    made.unwrap()
}

pub(crate) async fn a12_sessions_end_with_what_they_rest_on(place: Place) {
    let store = place.open().await;
    let (people, root) = (store.identities(), admin(&store, "root").await);
    let team = Team { name: "blue".to_owned(), enabled: true, definition: json!({}) };
    let team = store.teams().create(team).await.unwrap();
    let ada = User { team: Some(team.id.clone()), ..user("ada", Role::Manager) };
    let ada = people.create_with_password(ada, &password("h1"), 1, false).await.unwrap();
    let at = async |digest: &str, now: i64| people.session(digest, now, now - 500).await.unwrap();
    let begin = async |digest: &str| people.begin(&ada.id, &session(digest, 1000)).await.unwrap();

    begin("a").await;
    let found = at("a", 1100).await.unwrap();
    assert_eq!((&found.user, found.team_enabled, found.must_change), (&ada, true, false));
    assert_eq!((found.created_at, found.seen_at, found.expires_at), (1000, 1000, 2000));
    assert!(at("b", 1100).await.is_none());
    // By time.
    assert!(at("a", 1500).await.is_none(), "nobody used it");
    people.touch("a", 1400).await.unwrap();
    assert!(at("a", 1899).await.is_some());
    people.touch("a", 1999).await.unwrap();
    assert!(at("a", 2000).await.is_none(), "it is over, however much it was used");
    // By its holder.
    begin("b").await;
    people.end("b").await.unwrap();
    assert!(at("b", 1100).await.is_none());
    // By another password, but for the one it was changed in.
    begin("c").await;
    begin("d").await;
    people.set_password(&ada.id, &password("h2"), 2, Some("d")).await.unwrap();
    assert!(at("c", 1100).await.is_none() && at("d", 1100).await.is_some());
    // By another role, team, or being switched off; not by another name.
    let users = store.users();
    let renamed = users.change(&ada.id, 1, User { name: "eve".to_owned(), ..ada.value.clone() }).await.unwrap();
    assert!(at("d", 1100).await.is_some());
    for (revision, value) in [
        (2, User { role: Role::Member, ..renamed.value.clone() }),
        (3, User { role: Role::Member, team: None, ..renamed.value.clone() }),
        (4, User { role: Role::Member, team: None, enabled: false, ..renamed.value.clone() }),
    ] {
        begin("e").await;
        users.change(&ada.id, revision, value).await.unwrap();
        assert!(at("e", 1100).await.is_none(), "revision {revision}");
    }
    // By all of them being ended, and with the user.
    begin("f").await;
    assert_eq!(people.end_all(&ada.id).await.unwrap(), 1);
    begin("g").await;
    users.remove(&ada.id, None).await.unwrap();
    assert!(at("g", 1100).await.is_none());
    assert!(people.password_of("eve").await.unwrap().is_none());
    assert!(matches!(people.begin(&ada.id, &session("h", 1)).await, Err(Error::NotFound { .. })));
    // Nobody is signed in everywhere.
    for number in 0..60 {
        people.begin(&root.id, &session(&format!("r{number:02}"), 1000 + number)).await.unwrap();
    }
    assert!(at("r09", 1100).await.is_none() && at("r10", 1100).await.is_some());
    assert_eq!(people.prune(5000, 0).await.unwrap(), 50);
}

pub(crate) async fn passwords_and_accounts_elsewhere_belong_to_one_user(place: Place) {
    let store = place.open().await;
    let people = store.identities();
    let made = admin(&store, "root").await;
    let (found, known) = people.password_of("root").await.unwrap().unwrap();
    assert_eq!((found, known.unwrap().hash.as_str()), (made.clone(), "h"));
    assert!(people.password_of("Root").await.unwrap().is_none());
    let plain = store.users().create(user("plain", Role::Member)).await.unwrap();
    assert_eq!(people.password_of("plain").await.unwrap(), Some((plain.clone(), None)));
    let must_change = Password { must_change: true, ..password("secret-hash") };
    people.set_password(&plain.id, &must_change, 2, None).await.unwrap();
    people.begin(&plain.id, &session("s", 10)).await.unwrap();
    assert!(people.session("s", 11, 0).await.unwrap().unwrap().must_change);
    assert!(!format!("{must_change:?}").contains("secret-hash"));

    let subject = Subject { issuer: "https://id.example".to_owned(), subject: "7".to_owned() };
    let other = Subject { issuer: "https://id.exampl".to_owned(), subject: "e7".to_owned() };
    let eve = people.create_with_subject(user("eve", Role::Member), &subject).await.unwrap();
    assert_eq!(people.user_of(&subject).await.unwrap().unwrap(), eve);
    assert!(people.user_of(&other).await.unwrap().is_none());
    let again = people.create_with_subject(user("eve2", Role::Member), &subject).await;
    assert!(matches!(again, Err(Error::Taken { .. })), "{again:?}");
    assert!(people.password_of("eve2").await.unwrap().is_none(), "all of it or nothing");
    store.users().remove(&eve.id, Some(1)).await.unwrap();
    assert!(people.user_of(&subject).await.unwrap().is_none());
    assert!(matches!(store.users().remove(&made.id, Some(9)).await, Err(Error::Conflict { .. })));
}

pub(crate) async fn the_last_admin_who_can_sign_in_stays(place: Place) {
    let store = place.open().await;
    let (people, users) = (store.identities(), store.users());
    let first = user("first", Role::Admin);
    assert_eq!(people.admins().await.unwrap(), 0);
    let one = people.create_with_password(first, &password("h"), 1, true).await.unwrap();
    let late = people.create_with_password(user("late", Role::Admin), &password("h"), 1, true).await;
    assert!(matches!(late, Err(Error::Taken { .. })), "there is one already");
    // One who cannot sign in is no help.
    users.create(user("mute", Role::Admin)).await.unwrap();
    for value in [User { role: Role::Manager, ..one.value.clone() }, User { enabled: false, ..one.value.clone() }] {
        assert_eq!(users.change(&one.id, 1, value).await.unwrap_err(), Error::LastAdmin);
    }
    assert_eq!(users.remove(&one.id, None).await.unwrap_err(), Error::LastAdmin);
    assert_eq!(users.get(&one.id).await.unwrap(), one, "nothing was changed");
    let two = admin(&store, "two").await;
    let demote = |who: &Stored<User>| User { role: Role::Member, ..who.value.clone() };
    let (a, b) = tokio::join!(users.change(&one.id, 1, demote(&one)), users.change(&two.id, 1, demote(&two)));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert_eq!(people.admins().await.unwrap(), 1);
}

pub(crate) async fn what_was_done_is_paged_filtered_and_bounded(place: Place) {
    let store = place.open().await;
    let entry = |at: i64, actor: &str, object: Option<&str>| AuditEntry {
        id: String::new(),
        at,
        actor_kind: "user".to_owned(),
        actor_id: Some("u1".to_owned()),
        actor: actor.to_owned(),
        action: "createKey".to_owned(),
        object_kind: object.map(|_| "keys".to_owned()),
        object: object.map(str::to_owned),
        status: 201,
        address: Some("192.0.2.1".to_owned()),
        request: "req_1".to_owned(),
        detail: json!({"name": "x"}),
    };
    let audit = store.audit();
    for at in 0..6 {
        audit.add(&entry(at, if at % 2 == 0 { "ada" } else { "eve'--" }, (at > 2).then_some("k1"))).await.unwrap();
    }
    let page = async |filter: AuditFilter, limit| {
        audit.page(&filter, limit).await.unwrap().iter().map(|entry| entry.at).collect::<Vec<_>>()
    };
    let all = AuditFilter::default;
    assert_eq!(page(all(), 3).await, [5, 4, 3]);
    let before = audit.page(&all(), 3).await.unwrap().pop().unwrap();
    assert_eq!(before, AuditEntry { id: before.id.clone(), ..entry(3, "eve'--", Some("k1")) });
    assert_eq!(page(AuditFilter { before: Some(before.id), ..all() }, 10).await, [2, 1, 0]);
    assert_eq!(page(AuditFilter { actor: Some("eve'--".into()), ..all() }, 10).await, [5, 3, 1]);
    let some = AuditFilter { object: Some("k1".into()), since: Some(4), until: Some(5), ..all() };
    assert_eq!(page(some, 10).await, [4]);
    let none = AuditFilter { action: Some("deleteKey".into()), object_kind: Some("keys".into()), ..all() };
    assert_eq!(page(none, 10).await, Vec::<i64>::new());
    assert_eq!(audit.prune(1, 3).await.unwrap(), 3);
    assert_eq!(page(all(), 10).await, [5, 4, 3]);
}
