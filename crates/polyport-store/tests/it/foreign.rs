//! Databases of other programs, which are read and left alone.

use std::path::Path;

use polyport_store::foreign::{ForeignError, Limits, is_sqlite, read_foreign};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

async fn make(path: &Path, sql: &str) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_foreign_database_is_read_with_its_types_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd name?#.db");
    make(
        &folder.path().join("plain.db"),
        "PRAGMA journal_mode = WAL; CREATE TABLE \"a \"\"b\"(i INTEGER, r REAL, t TEXT, n TEXT, b BLOB, j JSON, f BOOLEAN, d DATETIME); \
         INSERT INTO \"a \"\"b\" VALUES (1, 1.5, 'é', NULL, x'ff00', '{\"x\":1}', 1, '2026-01-01 00:00:00'); \
         INSERT INTO \"a \"\"b\"(i) VALUES (9007199254740993); \
         CREATE TABLE logs(x); INSERT INTO logs VALUES (1), (2); CREATE VIEW v AS SELECT * FROM logs",
    )
    .await;
    std::fs::rename(folder.path().join("plain.db"), &path).unwrap();
    let before = files(folder.path());
    let seen =
        read_foreign(&path, Limits::default(), |name, columns| name != "logs" && columns.contains(&"i".to_owned()))
            .await
            .unwrap();
    assert_eq!(files(folder.path()), before);
    let rows = &seen.tables["a \"b"];
    let row = json!(rows[0]);
    assert_eq!(
        row,
        json!({"i": 1, "r": 1.5, "t": "é", "n": null, "b": "(2 bytes)", "j": "{\"x\":1}", "f": 1, "d": "2026-01-01 00:00:00"})
    );
    assert_eq!(rows[1]["i"], json!(9_007_199_254_740_993_i64));
    assert_eq!(seen.left["logs"], 2);
    assert_eq!(seen.tables.len(), 1);
}

#[tokio::test]
async fn o13_what_is_no_database_or_damaged_or_open_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let all = |_: &str, _: &[String]| true;
    assert!(matches!(read_foreign(&path, Limits::default(), all).await, Err(ForeignError::Io { .. })));
    for content in ["", "SQLite", "no database, but a text of some length"] {
        std::fs::write(&path, content).unwrap();
        assert!(!is_sqlite(&path).unwrap());
        assert!(
            matches!(read_foreign(&path, Limits::default(), all).await, Err(ForeignError::NoDatabase(_))),
            "{content}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    make(&path, "CREATE TABLE t(x); INSERT INTO t VALUES ('hunter2'); CREATE TABLE u(x)").await;
    let good = std::fs::read(&path).unwrap();
    // Its header only; half of it; a page of noise.
    for bad in
        [good[..100].to_vec(), good[..good.len() / 2].to_vec(), [&good[..100], &vec![0xa5; good.len() - 100]].concat()]
    {
        std::fs::write(&path, &bad).unwrap();
        let told = read_foreign(&path, Limits::default(), all).await;
        // A file that was cut may still hold its first pages.
        if let Err(error) = told {
            assert!(matches!(error, ForeignError::Damaged { .. } | ForeignError::Io { .. }), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(std::fs::read(&path).unwrap(), bad);
    }
    std::fs::write(&path, &good).unwrap();
    std::fs::write(folder.path().join("x.db-wal"), "changes").unwrap();
    let told = read_foreign(&path, Limits::default(), all).await.unwrap_err().to_string();
    assert!(told.contains("x.db-wal") && told.contains("stop the program"), "{told}");
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    make(&path, "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2), (zeroblob(1000))").await;
    let all = |_: &str, _: &[String]| true;
    let told = read_foreign(&path, Limits { rows: 2, ..Limits::default() }, all).await.unwrap_err().to_string();
    assert!(told.contains("more than 2 rows"), "{told}");
    let told = read_foreign(&path, Limits { bytes: 500, ..Limits::default() }, all).await.unwrap_err().to_string();
    assert!(told.contains("more than 500 bytes"), "{told}");
    assert_eq!(read_foreign(&path, Limits::default(), |_, _| false).await.unwrap().left["t"], 3);
}
