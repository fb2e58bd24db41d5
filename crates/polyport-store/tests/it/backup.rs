//! Copies of the database and the way back.

use std::fs;

use polyport_store::{Error, Held, MasterKey, OpenError, Provider, RestoreError, Store, restore};
use serde_json::json;

use crate::place::{Place, entry, mode};

fn provider(name: &str) -> Provider {
    Provider { name: name.to_owned(), enabled: true, definition: json!({}) }
}

async fn names(store: &Store) -> Vec<String> {
    store.providers().list().await.unwrap().into_iter().map(|stored| stored.value.name).collect()
}

#[tokio::test]
async fn a_copy_taken_in_use_comes_back() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.providers().create(provider("a")).await.unwrap();
    let credential = polyport_store::Credential::new("a", "api_key", "");
    let id = store.credentials().create(entry(credential, "sk", "sk")).await.unwrap().id;
    let copy = place.data().join("copies/it's one.db");
    store.backup(&copy).await.unwrap();
    assert_eq!(mode(&copy), 0o600);
    assert!(matches!(store.backup(&copy).await, Err(Error::Taken { .. })), "a copy is not overwritten");
    store.providers().create(provider("b")).await.unwrap();

    let in_use = restore(&place.url(), &place.data(), None, &copy, false).await.unwrap_err();
    assert!(matches!(in_use, RestoreError::Open(OpenError::InUse { .. })), "{in_use}");
    assert_eq!(names(&store).await, ["a", "b"]);
    store.close().await;
    drop(store);

    let restored = restore(&place.url(), &place.data(), None, &copy, false).await.unwrap();
    assert_eq!(restored.schema_version, 6);
    let store = place.open().await;
    assert_eq!(mode(&place.file()), 0o600);
    assert_eq!(names(&store).await, ["a"]);
    assert!(matches!(store.credentials().secret(&id).await.unwrap(), Held::Open(_)));
    store.close().await;
    drop(store);

    // What was replaced is a whole database.
    restore(&place.url(), &place.data(), None, &restored.replaced.unwrap(), false).await.unwrap();
    assert_eq!(names(&place.open().await).await, ["a", "b"]);
}

#[tokio::test]
async fn a_database_comes_back_where_there_is_none() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.providers().create(provider("a")).await.unwrap();
    let copy = place.data().join("copy.db");
    store.backup(&copy).await.unwrap();
    store.close().await;
    drop(store);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", place.file().display())).ok();
    }
    let restored = restore(&place.url(), &place.data(), None, &copy, false).await.unwrap();
    assert_eq!(restored.replaced, None);
    assert_eq!(names(&place.open().await).await, ["a"]);
}

#[tokio::test]
async fn what_is_no_whole_copy_of_ours_is_refused_and_changes_nothing() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.providers().create(provider("a")).await.unwrap();
    let copy = place.data().join("copy.db");
    store.backup(&copy).await.unwrap();
    store.close().await;
    drop(store);
    let before = fs::read(place.file()).unwrap();
    let bad = place.data().join("bad.db");
    let try_restore = async |key: Option<MasterKey>, any_key| {
        restore(&place.url(), &place.data(), key, &bad, any_key).await.map_err(|error| error.to_string())
    };

    assert!(try_restore(None, false).await.unwrap_err().contains("bad.db"), "missing");
    fs::write(&bad, b"").unwrap();
    assert!(try_restore(None, false).await.unwrap_err().contains("empty"));
    fs::write(&bad, b"no database at all, but long enough for a head").unwrap();
    assert!(try_restore(None, false).await.unwrap_err().contains("damaged"));
    let whole = fs::read(&copy).unwrap();
    fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    assert!(try_restore(None, false).await.unwrap_err().contains("damaged"));
    fs::write(&bad, &whole).unwrap();
    let refused = try_restore(Some(MasterKey::generate()), false).await.unwrap_err();
    assert!(refused.contains("master key"), "{refused}");
    place.run_in(&bad, "UPDATE meta SET schema_version = 99").await;
    assert!(try_restore(None, false).await.unwrap_err().contains("99"));

    assert_eq!(fs::read(place.file()).unwrap(), before);
    let left: Vec<_> = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".restore")), "{left:?}");
    fs::write(&bad, &whole).unwrap();
    try_restore(Some(MasterKey::generate()), true).await.unwrap();
    assert_eq!(names(&place.open().await).await, ["a"]);
}

#[tokio::test]
async fn servers_have_tools_of_their_own() {
    let place = Place::server("postgres://nobody@127.0.0.1:1/none".to_owned());
    let refused = restore(&place.url(), &place.data(), None, &place.file(), false).await.unwrap_err();
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
}
