//! What the store does, whichever database it has.

use std::collections::BTreeMap;

use polyport_store::people::KeyFilter;
use polyport_store::{
    Bounds, ClientKey, Credential, Declared, Error, Health, Held, Keep, Kind, MasterKey, Pool, Provider, Route, Tally,
    Tokens,
};
use serde_json::json;

use crate::identity::{
    a12_sessions_end_with_what_they_rest_on, passwords_and_accounts_elsewhere_belong_to_one_user,
    the_last_admin_who_can_sign_in_stays, what_was_done_is_paged_filtered_and_bounded,
};
use crate::place::{Place, entry, secret};

crate::suite!(
    objects_are_made_read_changed_and_deleted,
    of_two_changes_of_one_revision_one_wins,
    names_are_taken_once_and_kept,
    credentials_keep_everything_people_say,
    secrets_come_back_and_go_with_their_credential,
    other_objects_have_secrets_as_well,
    the_same_secret_is_found_again,
    many_are_made_at_once_and_each_is_answered,
    of_two_renewals_one_wins,
    what_was_written_is_there_after_opening_again,
    counters_add_up_and_no_flush_counts_twice,
    turns_are_taken_one_at_a_time,
    several_are_found_in_their_order,
    things_are_kept_for_their_owner_until_they_expire,
    the_oldest_go_first_beyond_the_bounds,
    settings_are_single_values,
    keys_are_paged_filtered_and_followed,
    changes_count_what_the_snapshot_holds,
    writers_at_once_do_not_lose_one_another,
    another_master_key_locks_secrets_and_leaves_them,
    a_new_master_key_seals_everything_anew,
    a_sealed_value_moved_to_another_row_does_not_open,
    hostile_text_is_only_text,
    an_odd_row_does_not_hide_the_others,
    a12_sessions_end_with_what_they_rest_on,
    passwords_and_accounts_elsewhere_belong_to_one_user,
    the_last_admin_who_can_sign_in_stays,
    what_was_done_is_paged_filtered_and_bounded,
);

fn provider(name: &str) -> Provider {
    Provider { name: name.to_owned(), enabled: true, definition: json!({"preset": "openai", "n": 1}) }
}

fn held(text: &str, version: i64) -> Held {
    Held::Open(Tokens { secret: secret(text), version })
}

async fn objects_are_made_read_changed_and_deleted(place: Place) {
    let store = place.open().await;
    assert!(store.providers().list().await.unwrap().is_empty());
    let made = store.providers().create(provider("a")).await.unwrap();
    assert_eq!((made.revision, made.value.clone()), (1, provider("a")));
    assert_eq!(store.providers().get(&made.id).await.unwrap(), made);

    let changed = Provider { enabled: false, definition: json!({"base_url": "http://x"}), ..provider("a") };
    let updated = store.providers().update(&made.id, 1, changed.clone()).await.unwrap();
    assert_eq!((updated.revision, &updated.value, updated.created_at), (2, &changed, made.created_at));
    assert_eq!(store.providers().list().await.unwrap(), [updated]);

    let definition = json!({"tier": "normal", "targets": ["a/x", {"target": "b/y", "priority": 2}]});
    let pool = Pool { name: "sonnet".into(), enabled: true, definition };
    let made_pool = store.pools().create(pool.clone()).await.unwrap();
    assert_eq!(store.pools().get(&made_pool.id).await.unwrap().value, pool);
    let definition = json!({"match": {"model_contains": "gpt"}, "to": "openai"});
    let route = Route { name: "gpt".into(), enabled: true, definition };
    let made_route = store.routes().create(route.clone()).await.unwrap();
    assert_eq!(store.routes().list().await.unwrap()[0].value, route);

    let declared = Declared { name: "settings".into(), definition: json!({"limits": {"queue": 5}}) };
    let made_declared = store.declared().create_with(declared.clone(), &secret("canary-of-a-hook")).await.unwrap();
    let again = store.declared().create(declared.clone()).await.unwrap_err();
    assert_eq!(again, Error::Taken { what: "declaration", name: "settings".into() });
    let changed = Declared { definition: json!({}), ..declared };
    let changed = store.declared().update(&made_declared.id, 1, changed).await.unwrap();
    assert_eq!((changed.revision, store.declared().list().await.unwrap()), (2, vec![changed.clone()]));
    assert!(store.secrets().await.unwrap().contains_key(&made_declared.id), "a change keeps the secret");
    store.declared().delete(&made_declared.id, Some(2)).await.unwrap();
    assert!(store.secrets().await.unwrap().is_empty());

    store.providers().delete(&made.id, None).await.unwrap();
    store.pools().delete(&made_pool.id, Some(1)).await.unwrap();
    store.routes().delete(&made_route.id, None).await.unwrap();
    let missing = |what| Error::NotFound { what, id: made.id.clone() };
    assert_eq!(store.providers().get(&made.id).await.unwrap_err(), missing("provider"));
    assert_eq!(store.providers().delete(&made.id, None).await.unwrap_err(), missing("provider"));
    assert_eq!(store.pools().update(&made.id, 1, pool).await.unwrap_err(), missing("pool"));
    assert_eq!(store.credentials().secret(&made.id).await.unwrap_err(), missing("secret"));
}

async fn of_two_changes_of_one_revision_one_wins(place: Place) {
    let store = place.open().await;
    let made = store.providers().create(provider("a")).await.unwrap();
    let table = store.providers();
    let (one, two) = tokio::join!(table.update(&made.id, 1, provider("a")), table.update(&made.id, 1, provider("a")));
    assert!(one.is_ok() != two.is_ok());
    let conflict = one.err().or(two.err()).unwrap();
    assert_eq!(conflict, Error::Conflict { what: "provider", expected: 1, found: 2 });
    let refused = store.providers().delete(&made.id, Some(1)).await.unwrap_err();
    assert_eq!(refused, Error::Conflict { what: "provider", expected: 1, found: 2 });
    store.providers().delete(&made.id, Some(2)).await.unwrap();
}

async fn names_are_taken_once_and_kept(place: Place) {
    let store = place.open().await;
    let made = store.providers().create(provider("a")).await.unwrap();
    let taken = store.providers().create(provider("a")).await.unwrap_err();
    assert_eq!(taken, Error::Taken { what: "provider", name: "a".into() });
    let fixed = store.providers().update(&made.id, 1, provider("b")).await.unwrap_err();
    assert_eq!(fixed, Error::Fixed { what: "provider", member: "name" });
    assert_eq!(store.providers().list().await.unwrap(), [made]);
}

async fn credentials_keep_everything_people_say(place: Place) {
    let store = place.open().await;
    let mut credential = Credential::new("claude", "oauth", "team account");
    let plain = store.credentials().create(entry(credential.clone(), "k", "k")).await.unwrap();
    assert_eq!(store.credentials().get(&plain.id).await.unwrap().value, credential);
    credential.enabled = false;
    credential.definition = json!({"weight": 7, "list": [1, null]});
    let changed = store.credentials().update(&plain.id, 1, credential.clone()).await.unwrap();
    assert_eq!(store.credentials().list().await.unwrap(), std::slice::from_ref(&changed));
    assert_eq!(changed.value, credential);
    assert_eq!(store.credentials().secret(&plain.id).await.unwrap(), held("k", 1));
    credential.provider = "other".into();
    let fixed = store.credentials().update(&plain.id, 2, credential).await.unwrap_err();
    assert_eq!(fixed, Error::Fixed { what: "credential", member: "provider" });
}

async fn secrets_come_back_and_go_with_their_credential(place: Place) {
    let store = place.open().await;
    let credentials = store.credentials();
    let long = "é".repeat(100_000);
    let first = credentials.create(entry(Credential::new("a", "api_key", ""), "sk-1", "sk-1")).await.unwrap();
    let second = credentials.create(entry(Credential::new("a", "oauth", ""), &long, "x")).await.unwrap();
    assert_eq!(credentials.secret(&first.id).await.unwrap(), held("sk-1", 1));
    assert_eq!(credentials.secret(&second.id).await.unwrap(), held(&long, 1));
    assert_eq!(store.secrets().await.unwrap().len(), 2);

    let other = || entry(Credential::new("a", "api_key", "mine"), "sk-2", "sk-2");
    let replaced = credentials.replace(&first.id, 1, other()).await.unwrap();
    assert_eq!(replaced.value.label, "mine");
    assert_eq!(replaced.revision, 2);
    assert_eq!(credentials.secret(&first.id).await.unwrap(), held("sk-2", 2));
    let stale = credentials.replace(&first.id, 1, other()).await.unwrap_err();
    assert_eq!(stale, Error::Conflict { what: "credential", expected: 1, found: 2 });

    credentials.delete(&first.id, None).await.unwrap();
    assert_eq!(store.secrets().await.unwrap().keys().collect::<Vec<_>>(), [&second.id]);
}

async fn other_objects_have_secrets_as_well(place: Place) {
    let store = place.open().await;
    let plain = store.providers().create(provider("plain")).await.unwrap();
    let one = store.providers().create_with(provider("a"), &secret("first")).await.unwrap();
    let two = store.providers().create_with(provider("b"), &secret("first")).await.unwrap();
    assert_eq!(store.secrets().await.unwrap().len(), 2);
    assert_eq!(store.secrets().await.unwrap()[&one.id], held("first", 1));
    let changed = store.providers().update_with(&one.id, 1, provider("a"), &secret("second")).await.unwrap();
    assert_eq!((changed.revision, &store.secrets().await.unwrap()[&one.id]), (2, &held("second", 2)));
    store.providers().update_with(&plain.id, 1, provider("plain"), &secret("third")).await.unwrap();
    let key = MasterKey::generate();
    assert_eq!(store.rotate_key(key).await.unwrap().resealed, 3);
    assert_eq!(store.secrets().await.unwrap()[&plain.id], held("third", 1));
    store.providers().delete(&one.id, Some(2)).await.unwrap();
    let mut left: Vec<String> = store.secrets().await.unwrap().into_keys().collect();
    left.sort();
    assert_eq!(left, [plain.id, two.id]);
}

async fn the_same_secret_is_found_again(place: Place) {
    let store = place.open().await;
    let add = async |provider: &str, key: &str| {
        let credential = Credential::new(provider, "api_key", "mine");
        store.credentials().create(entry(credential, key, key)).await
    };
    let first = add("a", "sk-1").await.unwrap();
    assert_eq!(add("a", "sk-1").await.unwrap_err(), Error::Taken { what: "credential", name: "mine".into() });
    add("b", "sk-1").await.unwrap();
    let other = add("a", "sk-2").await.unwrap();
    assert_eq!(store.credentials().list().await.unwrap().len(), 3);
    let again = entry(Credential::new("a", "api_key", "mine"), "sk-1", "sk-1");
    let taken = store.credentials().replace(&other.id, 1, again).await.unwrap_err();
    assert!(matches!(taken, Error::Taken { .. }));
    assert_eq!(store.credentials().get(&other.id).await.unwrap().revision, 1);
    // A renewed token is another text for the same account.
    store.credentials().save_tokens(&first.id, 1, &secret("renewed")).await.unwrap();
    assert!(matches!(add("a", "sk-1").await.unwrap_err(), Error::Taken { .. }));
}

async fn many_are_made_at_once_and_each_is_answered(place: Place) {
    let store = place.open().await;
    let key = |text: &str| entry(Credential::new("a", "api_key", text), text, text);
    store.credentials().create(key("k2")).await.unwrap();
    let before = store.changes().await.unwrap();
    let results = store.credentials().import(["k1", "k2", "k3", "k1"].map(key).to_vec()).await.unwrap();
    let made: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(made, [true, false, true, false]);
    assert_eq!(*results[3].as_ref().unwrap_err(), Error::Taken { what: "credential", name: "k1".into() });
    assert_eq!(store.changes().await.unwrap(), before + 1);
    let secrets = store.secrets().await.unwrap();
    let labels: Vec<String> = store.credentials().list().await.unwrap().into_iter().map(|c| c.value.label).collect();
    assert_eq!((secrets.len(), labels), (3, vec!["k2".to_owned(), "k1".to_owned(), "k3".to_owned()]));
}

/// Scale: run with `--ignored --nocapture` to see the figures.
#[tokio::test]
#[ignore = "figures"]
async fn ten_thousand_credentials() {
    let place = Place::sqlite();
    let store = place.open().await;
    let key = |n: i32| entry(Credential::new("a", "api_key", "k"), &format!("sk-{n}"), &format!("sk-{n}"));
    let begun = std::time::Instant::now();
    store.credentials().import((0..10_000).map(key).collect()).await.unwrap();
    eprintln!("imported in {:?}", begun.elapsed());
    store.close().await;
    drop(store);
    let begun = std::time::Instant::now();
    let store = place.open().await;
    eprintln!("opened in {:?}", begun.elapsed());
    assert_eq!(store.credentials().list().await.unwrap().len(), 10_000);
    assert_eq!(store.secrets().await.unwrap().len(), 10_000);
    eprintln!("opened and read in {:?}", begun.elapsed());
    let ids: Vec<String> = store.credentials().list().await.unwrap().into_iter().map(|c| c.id).collect();
    let begun = std::time::Instant::now();
    let tally =
        |id: &String| Tally { credential: id.clone(), requests: 1, statuses: [(200, 1)].into(), ..Tally::default() };
    store.health().flush("x", 1, &ids.iter().map(tally).collect::<Vec<_>>()).await.unwrap();
    eprintln!("counters flushed in {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    for version in 1..=100 {
        store.credentials().save_tokens(&ids[0], version, &secret("t")).await.unwrap();
    }
    eprintln!("tokens saved in {:?} each", begun.elapsed() / 100);
    let begun = std::time::Instant::now();
    store.rotate_key(MasterKey::generate()).await.unwrap();
    eprintln!("rotated in {:?}", begun.elapsed());
}

async fn of_two_renewals_one_wins(place: Place) {
    let store = place.open().await;
    let credentials = store.credentials();
    let id = credentials.create(entry(Credential::new("a", "oauth", ""), "t0", "t0")).await.unwrap().id;
    let before = store.changes().await.unwrap();
    let (one, two) = (secret("t1"), secret("t2"));
    let (first, second) = tokio::join!(credentials.save_tokens(&id, 1, &one), credentials.save_tokens(&id, 1, &two));
    let winner = if first.is_ok() { "t1" } else { "t2" };
    assert!(first.is_ok() != second.is_ok());
    assert_eq!(first.err().or(second.err()).unwrap(), Error::Conflict { what: "secret", expected: 1, found: 2 });
    assert_eq!(credentials.secret(&id).await.unwrap(), held(winner, 2));
    assert_eq!(credentials.save_tokens(&id, 2, &secret("t3")).await.unwrap(), 3);
    assert_eq!(credentials.get(&id).await.unwrap().revision, 1);
    assert_eq!(store.changes().await.unwrap(), before);
}

async fn what_was_written_is_there_after_opening_again(place: Place) {
    let store = place.open().await;
    let made = store.providers().create(provider("a")).await.unwrap();
    let credential = Credential::new("a", "api_key", "k");
    let id = store.credentials().create(entry(credential, "sk", "sk")).await.unwrap().id;
    store.credentials().save_tokens(&id, 1, &secret("sk2")).await.unwrap();
    let (changes, key) = (store.changes().await.unwrap(), store.key_id().await);
    store.close().await;
    assert!(matches!(store.providers().list().await, Err(Error::Unavailable(_))));
    drop(store);

    let store = place.open().await;
    assert_eq!(store.key_id().await, key);
    assert_eq!(store.changes().await.unwrap(), changes);
    assert_eq!(store.providers().list().await.unwrap(), [made]);
    assert_eq!(store.credentials().secret(&id).await.unwrap(), held("sk2", 2));
    assert!(store.locked().await.unwrap().is_empty());
}

async fn counters_add_up_and_no_flush_counts_twice(place: Place) {
    let store = place.open().await;
    let health = store.health();
    let tally = |name: &str, status| Tally {
        credential: name.to_owned(),
        requests: 3,
        successes: 2,
        failures: 1,
        statuses: BTreeMap::from([(200, 2), (status, 1)]),
        last_used_at: Some(1_000),
    };
    let second = [tally("a", 401), Tally { last_used_at: None, ..tally("b", 401) }];
    health.flush("x", 1, &[tally("a", 429), tally("b", 500)]).await.unwrap();
    health.flush("x", 2, &second).await.unwrap();
    let all = health.list().await.unwrap();
    let expected = |name: &str, statuses: &[(u16, i64)]| Health {
        credential: name.into(),
        requests: 6,
        successes: 4,
        failures: 2,
        statuses: statuses.iter().copied().collect(),
        last_used_at: Some(1_000),
    };
    let expected = [expected("a", &[(200, 4), (401, 1), (429, 1)]), expected("b", &[(200, 4), (401, 1), (500, 1)])];
    assert_eq!(all, expected);
    // A writer that got no answer offers the same again; another one has numbers of its own.
    health.flush("x", 2, &second).await.unwrap();
    health.flush("x", 1, &second).await.unwrap();
    assert_eq!(health.list().await.unwrap(), expected);
    health.flush("y", 1, &[tally("b", 500)]).await.unwrap();
    assert_eq!(health.list().await.unwrap()[1].requests, 9);

    health.forget(&["a", "none"]).await.unwrap();
    let left = health.list().await.unwrap();
    assert_eq!(left.iter().map(|health| health.credential.as_str()).collect::<Vec<_>>(), ["b"]);
    // Begun anew, without what was forgotten.
    health.flush("x", 3, &[tally("a", 200)]).await.unwrap();
    assert_eq!(health.list().await.unwrap()[0].requests, 3);
}

async fn turns_are_taken_one_at_a_time(place: Place) {
    let store = place.open().await;
    let leases = store.leases();
    let long = std::time::Duration::from_secs(600);
    let first = leases.take("a", long).await.unwrap().expect("nobody has it");
    assert!(leases.take("a", long).await.unwrap().is_none());
    let other = leases.take("b", long).await.unwrap().expect("another name");
    leases.give_back(first).await.unwrap();
    // One that ran out at once is free, and giving it back late takes it from nobody.
    let late = leases.take("a", std::time::Duration::ZERO).await.unwrap().expect("given back");
    leases.take("a", long).await.unwrap().expect("run out");
    leases.give_back(late).await.unwrap();
    assert!(leases.take("a", long).await.unwrap().is_none());
    leases.give_back(other).await.unwrap();
}

async fn several_are_found_in_their_order(place: Place) {
    let store = place.open().await;
    let names: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
    let things: Vec<Keep> = names.iter().step_by(2).map(|name| keep(Kind::Held, "a", name, name)).collect();
    store.kept().put(&things, 0).await.unwrap();
    let asked: Vec<_> = names.iter().map(|name| (Kind::Held, "a", name.as_str())).collect();
    let found = store.kept().some(&asked, 0).await.unwrap();
    assert_eq!(found.len(), 40);
    for (at, (found, name)) in found.iter().zip(&names).enumerate() {
        assert_eq!(found.as_deref(), (at % 2 == 0).then_some(name.as_bytes()), "{name}");
    }
    assert!(store.kept().some(&[(Kind::Held, "b", "n0")], 0).await.unwrap()[0].is_none());
    assert!(store.kept().some(&[(Kind::Held, "a", "n0")], 1_000).await.unwrap()[0].is_none());
    assert!(store.kept().some(&[], 0).await.unwrap().is_empty());
    // Written and forgotten in one step.
    let more = [keep(Kind::Held, "a", "more", "more")];
    store.kept().write(&more, &[(Kind::Held, "a", "n0")], 0).await.unwrap();
    let found = store.kept().some(&[(Kind::Held, "a", "more"), (Kind::Held, "a", "n0")], 0).await.unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false]);
}

fn keep(kind: Kind, owner: &str, name: &str, body: &str) -> Keep {
    Keep {
        kind,
        owner: owner.into(),
        name: name.into(),
        body: body.into(),
        expires_at: 1_000,
        first_counts: kind == Kind::Signature,
    }
}

async fn things_are_kept_for_their_owner_until_they_expire(place: Place) {
    let store = place.open().await;
    let kept = store.kept();
    kept.put(
        &[
            keep(Kind::Answer, "alice", "r1", "one"),
            keep(Kind::Passed, "alice", "r1", "two"),
            keep(Kind::Answer, "alice/", "r1", "three"),
        ],
        0,
    )
    .await
    .unwrap();
    let get = async |kind, owner: &str, name: &str, now| {
        let body = store.kept().get(kind, owner, name, now).await.unwrap();
        body.map(|body| String::from_utf8(body).unwrap())
    };
    assert_eq!(get(Kind::Answer, "alice", "r1", 999).await.as_deref(), Some("one"));
    assert_eq!(get(Kind::Passed, "alice", "r1", 0).await.as_deref(), Some("two"));
    assert_eq!(get(Kind::Answer, "alice/", "r1", 0).await.as_deref(), Some("three"));
    assert_eq!(get(Kind::Answer, "bob", "r1", 0).await, None);
    assert_eq!(get(Kind::Answer, "alice", "r2", 0).await, None);
    assert_eq!(get(Kind::Answer, "alice", "r1", 1_000).await, None);

    kept.put(&[keep(Kind::Answer, "alice", "r1", "again")], 0).await.unwrap();
    assert_eq!(get(Kind::Answer, "alice", "r1", 0).await.as_deref(), Some("again"));
    kept.put(&[keep(Kind::Signature, "a", "s", "first"), keep(Kind::Signature, "a", "s", "second")], 0).await.unwrap();
    assert_eq!(get(Kind::Signature, "a", "s", 0).await.as_deref(), Some("first"));
    assert!(!kept.remove(Kind::Answer, "bob", "r1").await.unwrap());
    assert!(kept.remove(Kind::Answer, "alice", "r1").await.unwrap());
    assert_eq!(get(Kind::Answer, "alice", "r1", 0).await, None);

    let wide = Bounds { count: 100, bytes: 1 << 20 };
    assert_eq!(kept.prune(Kind::Answer, wide, 999).await.unwrap(), 0);
    assert_eq!(kept.prune(Kind::Answer, wide, 1_000).await.unwrap(), 1);
    assert_eq!(get(Kind::Passed, "alice", "r1", 0).await.as_deref(), Some("two"));
}

async fn the_oldest_go_first_beyond_the_bounds(place: Place) {
    let store = place.open().await;
    let kept = store.kept();
    let names = ["1", "2", "3", "4"];
    for (at, name) in names.iter().enumerate() {
        kept.put(&[keep(Kind::Answer, "a", name, &"x".repeat(100))], at as i64).await.unwrap();
    }
    kept.put(&[keep(Kind::Passed, "a", "1", "other")], 0).await.unwrap();
    let left = async || {
        let mut left = Vec::new();
        for name in names {
            if store.kept().get(Kind::Answer, "a", name, 0).await.unwrap().is_some() {
                left.push(name);
            }
        }
        left
    };
    assert_eq!(kept.prune(Kind::Answer, Bounds { count: 3, bytes: 1 << 20 }, 0).await.unwrap(), 1);
    assert_eq!(left().await, ["2", "3", "4"]);
    assert_eq!(kept.prune(Kind::Answer, Bounds { count: 3, bytes: 320 }, 0).await.unwrap(), 1);
    assert_eq!(left().await, ["3", "4"]);
    assert_eq!(kept.prune(Kind::Answer, Bounds { count: 0, bytes: 0 }, 0).await.unwrap(), 2);
    assert!(kept.get(Kind::Passed, "a", "1", 0).await.unwrap().is_some());
}

async fn settings_are_single_values(place: Place) {
    let store = place.open().await;
    let settings = store.settings();
    assert_eq!(settings.get("a").await.unwrap(), None);
    settings.set("a", &json!({"x": [1]})).await.unwrap();
    settings.set("a", &json!("y")).await.unwrap();
    settings.set("b", &json!(null)).await.unwrap();
    assert_eq!(settings.get("a").await.unwrap(), Some(json!("y")));
    let all = [("a".to_owned(), json!("y")), ("b".to_owned(), json!(null))];
    assert_eq!(settings.list().await.unwrap(), all);
    assert!(settings.remove("a").await.unwrap());
    assert!(!settings.remove("a").await.unwrap());
}

async fn changes_count_what_the_snapshot_holds(place: Place) {
    let store = place.open().await;
    let mut last = store.changes().await.unwrap();
    let mut grew = async |what: &str, grows: bool| {
        let now = store.changes().await.unwrap();
        assert_eq!(now > last, grows, "{what}");
        last = now;
    };
    let made = store.providers().create(provider("a")).await.unwrap();
    grew("create", true).await;
    assert!(store.providers().create(provider("a")).await.is_err());
    grew("refused", false).await;
    store.providers().update(&made.id, 1, provider("a")).await.unwrap();
    grew("update", true).await;
    store.settings().set("x", &json!(1)).await.unwrap();
    grew("setting", true).await;
    store.health().flush("x", 1, &[Tally { credential: "c".into(), requests: 1, ..Tally::default() }]).await.unwrap();
    grew("counters", false).await;
    store.kept().put(&[keep(Kind::Answer, "a", "b", "c")], 0).await.unwrap();
    grew("kept", false).await;
    store.providers().delete(&made.id, None).await.unwrap();
    grew("delete", true).await;
}

async fn writers_at_once_do_not_lose_one_another(place: Place) {
    let store = place.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = store.clone();
        tasks.spawn(async move {
            store.providers().create(provider(&format!("p{number}"))).await.unwrap();
            let tally = Tally { credential: "c".into(), requests: 1, statuses: [(200, 1)].into(), ..Tally::default() };
            store.health().flush(&format!("w{number}"), 1, &[tally]).await.unwrap();
            store.providers().list().await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.providers().list().await.unwrap().len(), 40);
    assert_eq!(store.changes().await.unwrap(), 40);
    let health = store.health().list().await.unwrap();
    assert_eq!((health[0].requests, health[0].statuses[&200]), (40, 40));
}

async fn another_master_key_locks_secrets_and_leaves_them(place: Place) {
    let (right, wrong) = (MasterKey::generate(), MasterKey::generate());
    let store = place.open_with_key(&right).await;
    let credential = Credential::new("a", "oauth", "");
    let id = store.credentials().create(entry(credential, "t", "t")).await.unwrap().id;
    store.kept().put(&[keep(Kind::Answer, "o", "n", "b")], 0).await.unwrap();
    store.close().await;
    drop(store);

    let store = place.open_with_key(&wrong).await;
    assert_eq!(store.credentials().secret(&id).await.unwrap(), Held::Locked(right.id()));
    assert_eq!(store.secrets().await.unwrap()[&id], Held::Locked(right.id()));
    assert_eq!(store.locked().await.unwrap(), [(id.clone(), right.id())]);
    assert_eq!(store.kept().get(Kind::Answer, "o", "n", 0).await.unwrap(), None);
    let refused = store.credentials().save_tokens(&id, 1, &secret("u")).await.unwrap_err();
    assert_eq!(refused, Error::Locked(right.id()));
    assert!(refused.to_string().contains(&right.id().to_string()), "{refused}");
    // New ones work beside it.
    let beside = Credential::new("a", "oauth", "");
    let other = store.credentials().create(entry(beside, "v", "v")).await.unwrap().id;
    assert_eq!(store.credentials().secret(&other).await.unwrap(), held("v", 1));
    store.close().await;
    drop(store);

    let store = place.open_with_key(&right).await;
    assert_eq!(store.credentials().secret(&id).await.unwrap(), held("t", 1));
    assert_eq!(store.credentials().secret(&other).await.unwrap(), Held::Locked(wrong.id()));
    // A person may enter it again.
    store.credentials().replace(&other, 1, entry(Credential::new("a", "oauth", ""), "v", "v")).await.unwrap();
    assert_eq!(store.credentials().secret(&other).await.unwrap(), held("v", 2));
}

async fn a_new_master_key_seals_everything_anew(place: Place) {
    let (old, new, foreign) = (MasterKey::generate(), MasterKey::generate(), MasterKey::generate());
    let add = async |store: &polyport_store::Store, text: &str| {
        let credential = Credential::new("a", "api_key", "mine");
        store.credentials().create(entry(credential, text, text)).await.map(|made| made.id)
    };
    let store = place.open_with_key(&foreign).await;
    let locked = add(&store, "foreign").await.unwrap();
    store.close().await;
    drop(store);

    let store = place.open_with_key(&old).await;
    let first = add(&store, "k1").await.unwrap();
    let second = add(&store, "k2").await.unwrap();
    store.credentials().save_tokens(&second, 1, &secret("k2b")).await.unwrap();
    store.kept().put(&[keep(Kind::Answer, "o", "n", "body")], 0).await.unwrap();
    let rotated = store.rotate_key(new.clone()).await.unwrap();
    assert_eq!((rotated.resealed, rotated.untouched.as_slice()), (3, std::slice::from_ref(&locked)));
    let check = async |store: &polyport_store::Store| {
        assert_eq!(store.key_id().await, new.id());
        assert_eq!(store.credentials().secret(&first).await.unwrap(), held("k1", 1));
        assert_eq!(store.credentials().secret(&second).await.unwrap(), held("k2b", 2));
        assert_eq!(store.credentials().secret(&locked).await.unwrap(), Held::Locked(foreign.id()));
        assert_eq!(store.kept().get(Kind::Answer, "o", "n", 0).await.unwrap().unwrap(), b"body");
        assert!(matches!(add(store, "k1").await, Err(Error::Taken { .. })), "identities move with the key");
        assert!(matches!(add(store, "k2").await, Err(Error::Taken { .. })));
    };
    check(&store).await;
    store.close().await;
    drop(store);
    let store = place.open_with_key(&new).await;
    check(&store).await;
    store.close().await;
    drop(store);
    let store = place.open_with_key(&old).await;
    assert_eq!(store.credentials().secret(&first).await.unwrap(), Held::Locked(new.id()));
}

async fn a_sealed_value_moved_to_another_row_does_not_open(place: Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for text in ["one", "two"] {
        let credential = Credential::new("a", "api_key", "");
        ids.push(store.credentials().create(entry(credential, text, text)).await.unwrap().id);
    }
    store.close().await;
    drop(store);
    place
        .run(&format!(
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE object = '{}') WHERE object = '{}'",
            ids[0], ids[1]
        ))
        .await;
    let store = place.open().await;
    assert_eq!(store.credentials().secret(&ids[0]).await.unwrap(), held("one", 1));
    assert_eq!(store.credentials().secret(&ids[1]).await.unwrap(), Held::Damaged);
    let refused = store.credentials().save_tokens(&ids[1], 1, &secret("x")).await.unwrap_err();
    assert_eq!(refused, Error::Unreadable("secret"));
}

async fn hostile_text_is_only_text(place: Place) {
    let store = place.open().await;
    for text in ["'; DROP TABLE providers; --", "%_\\\"`$1?", "名前🦀\u{202e}", &"x".repeat(50_000)] {
        let made = store.providers().create(provider(text)).await.unwrap();
        assert_eq!(store.providers().get(&made.id).await.unwrap().value.name, text);
        store.settings().set(text, &json!(text)).await.unwrap();
        assert_eq!(store.settings().get(text).await.unwrap(), Some(json!(text)));
        assert!(matches!(store.providers().get(text).await, Err(Error::NotFound { .. })));
    }
    assert_eq!(store.providers().list().await.unwrap().len(), 4);
}

async fn an_odd_row_does_not_hide_the_others(place: Place) {
    let store = place.open().await;
    let made = store.providers().create(provider("a")).await.unwrap();
    store.close().await;
    drop(store);
    place.run("UPDATE providers SET definition = '{'").await;
    let store = place.open().await;
    store.providers().create(provider("b")).await.unwrap();
    let found = store.providers().list().await.unwrap();
    assert_eq!((&found[0].id, &found[0].value.definition), (&made.id, &json!(null)));
    assert_eq!(found[1].value, provider("b"));
}

async fn keys_are_paged_filtered_and_followed(place: Place) {
    let store = place.open().await;
    let key = |number: u32| ClientKey {
        name: format!("Key {number}_%"),
        enabled: number.is_multiple_of(2),
        user: (number > 2).then(|| "u".to_owned()),
        team: None,
        digest: format!("digest {number}"),
        shown: "pp-…".to_owned(),
        previous: None,
        previous_until: None,
        expires_at: (number == 1).then_some(i64::MAX),
        definition: json!({"models": ["a"]}),
    };
    let keys = store.client_keys();
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(keys.create(key(number)).await.unwrap());
    }
    assert_eq!(keys.list().await.unwrap(), made);
    assert!(matches!(keys.create(key(0)).await, Err(Error::Taken { .. })), "a digest is there once");
    let page = async |filter: KeyFilter, limit| {
        let page = keys.page(&filter, limit).await.unwrap();
        page.iter().map(|key| made.iter().position(|known| known.id == key.id).unwrap()).collect::<Vec<_>>()
    };
    let all = KeyFilter::default;
    assert_eq!(page(all(), 2).await, [0, 1]);
    assert_eq!(page(KeyFilter { after: Some(made[1].id.clone()), ..all() }, 10).await, [2, 3, 4]);
    assert_eq!(page(KeyFilter { user: Some("u".into()), enabled: Some(true), ..all() }, 10).await, [4]);
    assert_eq!(page(KeyFilter { name: Some("KEY 3".into()), ..all() }, 10).await, [3]);
    assert_eq!(page(KeyFilter { name: Some("_%".into()), ..all() }, 10).await, [0, 1, 2, 3, 4]);
    assert_eq!(page(KeyFilter { name: Some("y%3".into()), ..all() }, 10).await, Vec::<usize>::new());
    let changed = keys.update(&made[2].id, 1, ClientKey { name: "other".into(), ..key(2) }).await.unwrap();
    let (since, number) = keys.changed_since(changed.updated_at).await.unwrap();
    assert!(since.contains(&changed), "{since:?}");
    assert_eq!(number, 5);
    keys.delete(&made[0].id, None).await.unwrap();
    assert_eq!(keys.changed_since(i64::MAX).await.unwrap(), (Vec::new(), 4));
}
