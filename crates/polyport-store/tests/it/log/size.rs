//! How much room rows take.

use polyport_store::log::Entry;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

use super::{Dice, NOON, attempt, entry, some, until};
use crate::place::Place;

#[tokio::test]
async fn a_line_of_the_ledger_takes_less_than_300_bytes() {
    const ROWS: i64 = 5000;
    let place = Place::sqlite();
    let log = place.open_log().await;
    let mut dice = Dice::new(1);
    let mut key = || format!("0192f0c1-7c1e-7000-8000-{:012}", dice.roll(1000));
    let keys: Vec<String> = (0..ROWS).map(|_| key()).collect();
    let entries: Vec<Entry> = keys
        .into_iter()
        .zip(0..ROWS)
        .map(|(key, number)| {
            let mut attempt = attempt(1, NOON + number * 10);
            attempt.counts.push(("cache_write_5m".into(), 7_000));
            let id = format!("R{number:08}abcdefghijklmno");
            Entry { key: Some(key), attempts: vec![attempt], ..entry(&id, NOON + number * 10) }
        })
        .collect();
    for batch in entries.chunks(500) {
        log.write(batch, &until(1)).await.unwrap();
    }
    log.close().await;

    let mut connection = AnyConnection::connect(&place.log_url()).await.unwrap();
    let mut bytes = async |names: &str| {
        let sql = format!("SELECT SUM(pgsize) AS bytes FROM dbstat WHERE name LIKE '{names}'");
        let row = sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        row.get::<i64, _>("bytes") / ROWS
    };
    let (line, with_indices) = (bytes("log_ledger_202611").await, bytes("log_ledger_202611%").await);
    let request = bytes("%requests_20261129%").await;
    eprintln!("bytes: {line} a line, {with_indices} with its indices; {request} a request with its indices");
    assert!(with_indices < 300, "{with_indices}");
    assert!(request < 500, "{request}");
    assert_eq!(entries[0].source, some("192.0.2.7"));
}
