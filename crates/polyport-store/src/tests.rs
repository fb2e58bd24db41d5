//! Faults that need a look inside: steps of the schema that do not exist yet, a disk that is full.

use std::path::{Path, PathBuf};

use sqlx::Executor;
use tempfile::TempDir;

use crate::lock::Turn;
use crate::migrate::{STEPS, number};
use crate::{Bounds, Error, Keep, Kind, OpenError, Provider, Store, Timeouts, default_url};

const GOOD: &str = "CREATE TABLE more (id BIGINT PRIMARY KEY); INSERT INTO more (id) VALUES (1)";
const BAD: &str = "CREATE TABLE half (id BIGINT PRIMARY KEY); INSERT INTO nowhere (id) VALUES (1)";

/// The steps there are, and these after them.
fn and(more: &[&'static str]) -> Vec<&'static str> {
    [STEPS, more].concat()
}

async fn open(folder: &TempDir, steps: &[&'static str]) -> Result<Store, OpenError> {
    let data = folder.path();
    Store::open_steps(&default_url(data), data, None, Timeouts::default(), steps, Turn::First).await
}

async fn with_one_provider() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder, STEPS).await.unwrap();
    let provider = Provider { name: "a".into(), enabled: true, definition: serde_json::json!({}) };
    store.providers().create(provider).await.unwrap();
    store.close().await;
    folder
}

fn copies(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "bak")).collect()
}

#[tokio::test]
async fn a_new_schema_is_reached_step_by_step_after_a_copy() {
    let folder = with_one_provider().await;
    assert_eq!(copies(folder.path()), Vec::<PathBuf>::new());
    let store = open(&folder, &and(&[GOOD])).await.unwrap();
    assert_eq!(store.providers().list().await.unwrap().len(), 1);
    sqlx::query("SELECT id FROM more").fetch_one(&store.inner().reading).await.unwrap();
    store.close().await;
    drop(store);
    let copies = copies(folder.path());
    assert_eq!(copies.len(), 1);

    let newer = open(&folder, STEPS).await.unwrap_err();
    let steps = number(STEPS);
    let OpenError::Newer { found, known } = newer else { panic!("{newer:?}") };
    assert_eq!((found, known), (steps + 1, steps));
    // The copy leads back.
    let url = default_url(folder.path());
    crate::restore(&url, folder.path(), None, &copies[0], false).await.unwrap();
    assert_eq!(open(&folder, STEPS).await.unwrap().providers().list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn s7_a_step_that_fails_half_way_is_taken_back() {
    let folder = with_one_provider().await;
    let error = open(&folder, &and(&[GOOD, BAD])).await.unwrap_err();
    let OpenError::Migration { from, to, backup: Some(copy), .. } = &error else { panic!("{error:?}") };
    assert_eq!((*from, *to), (number(STEPS), number(STEPS) + 2));
    assert!(error.to_string().contains("nowhere") && error.to_string().contains(".bak"), "{error}");
    assert_eq!(copies(folder.path()), std::slice::from_ref(copy));
    let store = open(&folder, STEPS).await.unwrap();
    assert_eq!(store.providers().list().await.unwrap().len(), 1);
    let tables = "SELECT name FROM sqlite_master WHERE name IN ('more', 'half')";
    assert!(sqlx::query(tables).fetch_optional(&store.inner().reading).await.unwrap().is_none());
}

#[tokio::test]
async fn s7_a_first_step_that_fails_leaves_an_empty_database() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder, &[BAD]).await.unwrap_err();
    assert!(matches!(error, OpenError::Migration { from: 0, to: 1, backup: None, .. }), "{error:?}");
    open(&folder, STEPS).await.unwrap();
}

#[tokio::test]
async fn s5_a_full_disk_fails_loudly_and_recovers() {
    let folder = with_one_provider().await;
    let store = open(&folder, STEPS).await.unwrap();
    let limit = async |pragma: &'static str| {
        store.inner().writing.acquire().await.unwrap().execute(pragma).await.unwrap();
    };
    let keep = Keep {
        kind: Kind::Answer,
        owner: "o".into(),
        name: "n".into(),
        body: vec![7; 1 << 20],
        expires_at: i64::MAX,
        first_counts: false,
    };
    limit("PRAGMA max_page_count = 60").await;
    assert_eq!(store.kept().put(std::slice::from_ref(&keep), 0).await.unwrap_err(), Error::Full);
    assert_eq!(store.providers().list().await.unwrap().len(), 1);
    limit("PRAGMA max_page_count = 1000000").await;
    store.kept().put(std::slice::from_ref(&keep), 0).await.unwrap();
    assert_eq!(store.kept().prune(Kind::Answer, Bounds { count: 0, bytes: 0 }, 0).await.unwrap(), 1);
}
