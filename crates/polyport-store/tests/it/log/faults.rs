//! Faults of the log's database, by their number: S2 stops, S3 hangs, S4 in use, S5 full, S6 killed, S7 damaged or of another version.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polyport_store::log::{Entry, Log, Measure, Period, StatsQuery};
use polyport_store::{Error, OpenError, Store, Timeouts};

use super::{NOON, any, entry, eventful, ids, until};
use crate::place::{Place, mode};
use crate::postgres::Server;

const IMPATIENT: Duration = Duration::from_secs(2);

async fn impatient(place: &Place) -> Log {
    let timeouts = Timeouts { call: IMPATIENT, ..Timeouts::default() };
    Log::open_with(&place.log_url(), timeouts).await.unwrap()
}

async fn sum(log: &Log) -> u64 {
    let query = StatsQuery {
        period: Period::Month,
        from: 0,
        to: i64::MAX,
        by: Vec::new(),
        series: false,
        only: std::collections::BTreeMap::new(),
        sort: Measure::Requests,
        limit: 1,
    };
    log.stats(&query).await.unwrap().first().map_or(0, |row| row.sums.requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_s3_a_server_that_hangs_is_away_and_what_was_not_written_is_written_once() {
    let Some(server) = Server::find().await else { return };
    let Some(own) = server.own() else { return };
    let place = Place::server(server.schema("log_hangs").await);
    let log = impatient(&place).await;
    log.write(&[entry("a", NOON)], &until(1)).await.unwrap();
    own.signal("-STOP");
    let lost = log.write(&[entry("b", NOON)], &until(2)).await.unwrap_err();
    let away = log.requests(&any()).await.unwrap_err();
    own.signal("-CONT");
    assert!(lost.is_transient() && away.is_transient(), "{lost:?} {away:?}");
    let back = async { while log.write(&[entry("b", NOON)], &until(2)).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it comes back");
    assert_eq!(sum(&log).await, 2);
    assert_eq!(ids(&log, any()).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_write_into_one_server_beside_the_store() {
    let Some(server) = Server::find().await else { return };
    let place = Place::server(server.schema("log_several").await);
    let (one, two) = (place.open_log().await, place.open_log().await);
    // In either order: the store finds its own tables, and not those of the log.
    Store::open(&place.url(), &place.data(), None).await.unwrap();
    let three = place.open_log().await;
    let mut writers = tokio::task::JoinSet::new();
    for (number, log) in [one, two, three].into_iter().enumerate() {
        writers.spawn(async move {
            for batch in 0..10 {
                let new = |at: i64| eventful(&format!("w{number}-{batch}-{at}"), NOON + at * 3_600_000);
                log.write(&[new(0), new(10), new(20)], &until(batch)).await.unwrap();
            }
            log
        });
    }
    let logs = writers.join_all().await;
    assert_eq!(sum(&logs[0]).await, 90);
    assert_eq!(ids(&logs[1], any()).await.len(), 90);
}

#[tokio::test]
async fn s4_a_second_process_is_told_and_another_program_only_delays() {
    use sqlx::{AnyConnection, Connection, Executor};
    let place = Place::sqlite();
    let log = impatient(&place).await;
    let error = Log::open(&place.log_url()).await.unwrap_err();
    assert!(matches!(&error, OpenError::InUse { .. }), "{error:?}");
    log.write(&[entry("a", NOON)], &until(1)).await.unwrap();
    let mut other = AnyConnection::connect(&place.log_url()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let error = log.write(&[entry("b", NOON)], &until(2)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(ids(&log, any()).await, ["a"], "reading goes on");
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    let back = async { while log.write(&[entry("b", NOON)], &until(2)).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it comes back");
    assert_eq!(sum(&log).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_sums_are_read_while_batches_are_written() {
    let place = Place::sqlite();
    let log = place.open_log().await;
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (log, done) = (log.clone(), Arc::clone(&done));
        readers.spawn(async move {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let requests = sum(&log).await;
                assert!(requests >= last && requests.is_multiple_of(50), "whole batches only: {requests}");
                last = requests;
                log.requests(&any()).await.unwrap();
            }
        });
    }
    for batch in 0..20 {
        let entries: Vec<Entry> = (0..50).map(|number| entry(&format!("{batch}-{number}"), NOON + number)).collect();
        log.write(&entries, &until(batch)).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    readers.join_all().await;
    assert_eq!(sum(&log).await, 1000);
}

/// What the process that is killed does; it runs only when started by the test below.
#[tokio::test]
#[ignore = "the child of another test"]
#[allow(clippy::disallowed_methods, reason = "a test has no configuration")]
async fn child_that_writes_batches_until_it_is_killed() {
    let Ok(file) = std::env::var("POLYPORT_TEST_LOG") else { return };
    let log = Log::open(&format!("sqlite://{file}")).await.unwrap();
    let mut next = log.position("j").await.unwrap().map_or(0, |position| position.offset);
    loop {
        next += 1;
        let batch: Vec<Entry> = (0..20).map(|number| eventful(&format!("{next}-{number}"), NOON + number)).collect();
        log.write(&batch, &until(next)).await.unwrap();
        // From here on the parent may rely on it.
        eprintln!("written {next}");
    }
}

#[tokio::test]
async fn s6_killed_while_writing_batches_are_whole_and_counted_once() {
    let place = Place::sqlite();
    place.open_log().await.close().await;
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut child = child(&place);
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut written =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("written ")?.parse::<u64>().ok());
        acknowledged = written.nth(round % 4).expect("the child writes");
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = written.last().unwrap_or(acknowledged);

        let log = place.open_log().await;
        let reached = log.position("j").await.unwrap().unwrap().offset;
        assert!(reached == acknowledged || reached == acknowledged + 1, "{reached} {acknowledged}");
        assert_eq!(sum(&log).await, reached * 20);
        // A journal that is read again from before.
        let batch: Vec<Entry> = (0..20).map(|number| eventful(&format!("{reached}-{number}"), NOON + number)).collect();
        log.write(&batch, &until(reached)).await.unwrap();
        assert_eq!(sum(&log).await, reached * 20);
        log.close().await;
    }
    assert!(acknowledged >= 8);
}

fn child(place: &Place) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "log::faults::child_that_writes_batches_until_it_is_killed", "--ignored", "--nocapture"])
        .env("POLYPORT_TEST_LOG", place.log_file())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn s7_other_files_and_newer_schemas_are_refused_and_stay_as_they_are() {
    let place = Place::sqlite();
    place.open().await.close().await;
    let store = format!("sqlite://{}", place.file().display());
    let error = Log::open(&store).await.unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    place.open_log().await.close().await;
    assert_eq!(mode(&place.log_file()), 0o600);
    place.run_in(&place.log_file(), "UPDATE log_meta SET schema_version = 700").await;
    let before = fs::read(place.log_file()).unwrap();
    let error = Log::open(&place.log_url()).await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 700, known: 2 }), "{error:?}");
    assert!(fs::read(place.log_file()).unwrap() == before, "it is as it was");
    fs::write(place.log_file(), b"some other file").unwrap();
    let error = Log::open(&place.log_url()).await.unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(Error::Full.is_full() && Error::Full.is_transient());
}
