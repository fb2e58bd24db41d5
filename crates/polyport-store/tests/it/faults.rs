//! Faults of the database, by their number: S1 down at start, S3 hangs, S4 in use, S6 killed while writing, S7 corrupt or of
//! another version, S8 two that begin at once, S13 another master key.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use polyport_store::{Credential, Error, Held, Keep, Kind, MasterKey, OpenError, Provider, Store, Tally, Timeouts};
use serde_json::json;

use crate::place::{Place, bytes_below, contains, entry, mode, secret};
use crate::postgres::Server;

fn provider(name: &str) -> Provider {
    Provider { name: name.to_owned(), enabled: true, definition: json!({}) }
}

async fn refused(place: &Place) -> OpenError {
    Store::open(&place.url(), &place.data(), None).await.unwrap_err()
}

#[tokio::test]
async fn s1_a_server_that_is_away_at_the_start_is_named_without_its_password() {
    let place = Place::server("postgres://user:hunter2@127.0.0.1:1/none".to_owned());
    let error = refused(&place).await;
    assert!(matches!(error, OpenError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn s3_a_server_that_does_not_answer_is_given_up_on() {
    // Takes connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::server(format!("postgres://u@{}/none", listener.local_addr().unwrap()));
    let timeouts = Timeouts { connect: Duration::from_millis(50), ..Timeouts::default() };
    let error = Store::open_with(&place.url(), &place.data(), None, timeouts).await.unwrap_err();
    assert!(matches!(&error, OpenError::Unavailable(reason) if reason.contains("50ms")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_s3_a_server_that_stops_or_hangs_is_away_and_comes_back() {
    let Some(server) = Server::find().await else { return };
    let Some(own) = server.own() else { return };
    let place = Place::server(server.schema("hangs").await);
    let timeouts = Timeouts { call: Duration::from_secs(2), ..Timeouts::default() };
    let store = Store::open_with(&place.url(), &place.data(), None, timeouts).await.unwrap();
    store.providers().create(provider("a")).await.unwrap();
    own.signal("-STOP");
    let away = store.providers().list().await.unwrap_err();
    let lost = store.providers().create(provider("b")).await.unwrap_err();
    own.signal("-CONT");
    assert!(matches!(away, Error::Unavailable(_)), "{away:?}");
    assert!(matches!(lost, Error::Unavailable(_)), "{lost:?}");
    let back = async {
        loop {
            if let Ok(list) = store.providers().list().await {
                break list;
            }
        }
    };
    let list = tokio::time::timeout(Duration::from_secs(30), back).await.expect("it comes back");
    assert_eq!(list[0].value.name, "a");
}

#[tokio::test]
async fn s4_a_second_process_is_told_who_has_the_file() {
    let place = Place::sqlite();
    let store = place.open().await;
    let error = refused(&place).await;
    let own = std::process::id();
    assert!(matches!(&error, OpenError::InUse { process: Some(id), .. } if *id == own), "{error:?}");
    assert!(error.to_string().contains(&own.to_string()) && error.to_string().contains("polyport.db"), "{error}");
    store.close().await;
    drop(store);
    place.open().await;
}

#[tokio::test]
async fn s4_a_file_that_another_program_holds_is_away_not_lost() {
    use sqlx::{AnyConnection, Connection, Executor};
    let place = Place::sqlite();
    let timeouts = Timeouts { call: Duration::from_secs(2), ..Timeouts::default() };
    let store = Store::open_with(&place.url(), &place.data(), None, timeouts).await.unwrap();
    store.providers().create(provider("a")).await.unwrap();
    let mut other = AnyConnection::connect(&place.url()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = store.providers().create(provider("b")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert_eq!(store.providers().list().await.unwrap().len(), 1, "reading goes on");
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    // The statement that was given up on may still be waiting for its lock.
    let back = async { while store.providers().create(provider("b")).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it comes back");
}

/// What the process that is killed does; it runs only when started by the test below.
#[tokio::test]
#[ignore = "the child of another test"]
#[allow(clippy::disallowed_methods, reason = "a test has no configuration")]
async fn child_that_writes_until_it_is_killed() {
    let Ok(data) = std::env::var("POLYPORT_TEST_STORE") else { return };
    let data = Path::new(&data);
    let store = Store::open(&polyport_store::default_url(data), data, None).await.unwrap();
    let id = match store.credentials().list().await.unwrap().first() {
        Some(credential) => credential.id.clone(),
        None => {
            let credential = Credential::new("a", "oauth", "");
            store.credentials().create(entry(credential, "token-1", "t")).await.unwrap().id
        }
    };
    loop {
        let Held::Open(tokens) = store.credentials().secret(&id).await.unwrap() else { panic!("locked") };
        let next = tokens.version + 1;
        store.credentials().save_tokens(&id, tokens.version, &secret(&format!("token-{next}"))).await.unwrap();
        // From here on the parent may rely on it.
        eprintln!("saved {next}");
        let tally =
            Tally { credential: id.clone(), requests: 1, statuses: BTreeMap::from([(200, 1)]), ..Tally::default() };
        store.health().flush("child", next, &[tally]).await.unwrap();
    }
}

#[tokio::test]
async fn s6_killed_while_writing_nothing_acknowledged_is_lost() {
    let place = Place::sqlite();
    let mut acknowledged = 1;
    for round in 0..12 {
        let mut child = child(&place);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut saved = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("saved ")?.parse::<i64>().ok());
        acknowledged = saved.nth(round % 5).expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died counts as well.
        acknowledged = saved.last().unwrap_or(acknowledged);

        let store = place.open().await;
        let id = store.credentials().list().await.unwrap()[0].id.clone();
        let Held::Open(tokens) = store.credentials().secret(&id).await.unwrap() else { panic!("locked") };
        assert!(tokens.version == acknowledged || tokens.version == acknowledged + 1, "{tokens:?}");
        assert_eq!(tokens.secret.expose(), format!("token-{}", tokens.version));
        for health in store.health().list().await.unwrap() {
            assert_eq!(Some(&health.requests), health.statuses.get(&200), "both or neither");
        }
        store.close().await;
    }
    assert!(acknowledged > 12);
}

fn child(place: &Place) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env("POLYPORT_TEST_STORE", place.data())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn s7_what_is_no_database_is_refused_and_stays_as_it_is() {
    let place = Place::sqlite();
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.file(), b"some other file").unwrap();
    let error = refused(&place).await;
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("polyport restore"), "{error}");
    assert_eq!(fs::read(place.file()).unwrap(), b"some other file");
}

#[tokio::test]
async fn s7_a_damaged_file_is_refused_and_stays_as_it_is() {
    let place = Place::sqlite();
    let store = place.open().await;
    for number in 0..50 {
        store.providers().create(provider(&format!("p{number}"))).await.unwrap();
    }
    store.close().await;
    drop(store);
    let whole = fs::read(place.file()).unwrap();
    let mut torn = whole.clone();
    for page in torn.chunks_mut(4096).skip(3) {
        page[..512].fill(0xa5);
    }
    let cut = whole[..whole.len() - 5000].to_vec();
    for broken in [torn, cut] {
        fs::write(place.file(), &broken).unwrap();
        let error = refused(&place).await;
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
        assert_eq!(fs::read(place.file()).unwrap(), broken);
    }
}

#[tokio::test]
async fn s7_a_newer_schema_is_refused_with_both_versions() {
    let place = Place::sqlite();
    place.open().await.close().await;
    place.run("UPDATE meta SET schema_version = 700").await;
    let before = fs::read(place.file()).unwrap();
    let error = refused(&place).await;
    assert!(matches!(error, OpenError::Newer { found: 700, known: 6 }), "{error:?}");
    assert!(error.to_string().contains("schema 700") && error.to_string().contains("up to 6"), "{error}");
    assert_eq!(fs::read(place.file()).unwrap(), before);
}

#[tokio::test]
async fn s7_a_database_of_another_program_is_refused() {
    let place = Place::sqlite();
    fs::create_dir_all(place.data()).unwrap();
    fs::write(place.file(), b"").unwrap();
    place.run("CREATE TABLE token_accounts (id BIGINT)").await;
    let error = refused(&place).await;
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert!(error.to_string().contains("token_accounts"), "{error}");
}

#[tokio::test]
async fn files_and_folders_are_for_their_owner_only() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.providers().create(provider("a")).await.unwrap();
    assert_eq!(mode(&place.data()), 0o700);
    for entry in fs::read_dir(place.data()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn s0_22_no_secret_can_be_read_in_any_file() {
    let place = Place::sqlite();
    let key = MasterKey::generate();
    let store = place.open_with_key(&key).await;
    let texts = ["sk-very-secret-key", "1//refresh-token", "the-body-of-an-answer", "1//renewed-token"];
    let credential = Credential::new("a", "oauth", "visible-label");
    let id = store.credentials().create(entry(credential, texts[1], texts[0])).await.unwrap().id;
    let keep = Keep {
        kind: Kind::Answer,
        owner: "o".into(),
        name: "n".into(),
        body: texts[2].into(),
        expires_at: i64::MAX,
        first_counts: false,
    };
    store.kept().put(&[keep], 0).await.unwrap();
    store.credentials().save_tokens(&id, 1, &secret(texts[3])).await.unwrap();
    store.backup(&place.data().join("copy.db")).await.unwrap();
    let open = bytes_below(&place.data());
    store.close().await;
    drop(store);
    for bytes in [open, bytes_below(&place.data())] {
        assert!(contains(&bytes, "visible-label"));
        for text in texts {
            assert!(!contains(&bytes, text), "{text}");
        }
    }
    let shown = format!("{:?}", place.open_with_key(&key).await.secrets().await.unwrap());
    assert!(!shown.contains(texts[3]), "{shown}");
}

#[tokio::test]
async fn s13_a_malformed_key_file_is_refused_and_kept() {
    let place = Place::sqlite();
    place.open().await.close().await;
    fs::write(place.data().join("master.key"), "oops").unwrap();
    let error = refused(&place).await;
    assert!(matches!(error, OpenError::Key(_)), "{error:?}");
    assert!(error.to_string().contains("32 random bytes"), "{error}");
    assert_eq!(fs::read_to_string(place.data().join("master.key")).unwrap(), "oops");
}

#[tokio::test]
async fn a_rotation_cut_short_leaves_one_key_file_that_opens() {
    let place = Place::sqlite();
    let store = place.open().await;
    let id = store.credentials().create(entry(Credential::new("a", "oauth", ""), "t", "t")).await.unwrap().id;
    let (key, next) = (place.data().join("master.key"), place.data().join("master.key.next"));
    let old = fs::read(&key).unwrap();
    store.rotate_key(MasterKey::generate()).await.unwrap();
    let new = fs::read(&key).unwrap();
    assert_ne!(new, old);
    assert!(!next.exists());
    assert_eq!(mode(&key), 0o600);
    let opens = async |store: &Store| matches!(store.credentials().secret(&id).await.unwrap(), Held::Open(_));
    assert!(opens(&store).await);
    store.close().await;
    drop(store);

    // Cut after the database was sealed anew, before the file took its place.
    fs::write(&key, &old).unwrap();
    fs::write(&next, &new).unwrap();
    let store = place.open().await;
    assert!(opens(&store).await);
    assert_eq!(fs::read(&key).unwrap(), new);
    assert!(!next.exists());
    store.close().await;
    drop(store);

    // Cut before the database was sealed anew.
    fs::write(&next, &old).unwrap();
    let store = place.open().await;
    assert!(opens(&store).await);
    assert_eq!(fs::read(&key).unwrap(), new);
    assert!(!next.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_two_that_begin_at_once_make_one_schema() {
    let Some(server) = Server::find().await else { return };
    let place = Place::server(server.schema("at_once").await);
    let key = MasterKey::generate();
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (url, data, key) = (place.url(), place.data(), key.clone());
        starts.spawn(async move {
            let store = Store::open(&url, &data, Some(key)).await.unwrap();
            store.providers().create(provider(&format!("p{number}"))).await.unwrap();
        });
    }
    while let Some(started) = starts.join_next().await {
        started.unwrap();
    }
    assert_eq!(place.open_with_key(&key).await.providers().list().await.unwrap().len(), 6);
}
