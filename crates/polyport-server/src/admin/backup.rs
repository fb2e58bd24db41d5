//! `POST /admin/api/backup`: a copy of the database as a download. Secrets in it stay sealed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use polyport_store::{Error, RestoreError, Store};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::query::Query;
use super::{Refusal, View};
use crate::body::Body;
use crate::id::RequestId;

/// What can be copied.
pub(super) const OF: [&str; 2] = ["store", "log"];

/// Bytes that are read at once, and pieces that wait for whoever reads slower.
const PIECE: usize = 256 << 10;
const AHEAD: usize = 4;

/// A file that goes when nobody needs it any more.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // On Unix it went when it was opened.
        std::fs::remove_file(&self.0).ok();
    }
}

/// Copies beside the database, and hands the copy on as it is read. It is never in memory as a whole.
pub(super) async fn answer(view: &View, query: &Query) -> Result<Response<Body>, Refusal> {
    let store = view.app.directory.as_ref().map(|directory| directory.store().clone());
    let words = "this gateway runs without a database";
    let store = store.ok_or_else(|| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no_database", words))?;
    let place = Arc::clone(&view.app.copying).try_acquire_owned();
    let words = "a copy is being made or read already";
    let place = place.map_err(|_| Refusal::new(StatusCode::CONFLICT, "backup_running", words))?;
    let what = query.get("of").unwrap_or("store");
    let name = format!(".backup-{}", RequestId::new().text());
    let temporary = Temporary(view.runtime.config.data.join(name));
    copy(view, &store, what, &temporary.0).await?;
    let failed = |error: std::io::Error| {
        let words = format!("the copy cannot be read: {error}");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", words)
    };
    let mut file = File::open(&temporary.0).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    // What ends all of a sudden leaves nothing behind.
    #[cfg(unix)]
    tokio::fs::remove_file(&temporary.0).await.map_err(failed)?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let cut = view.app.cut.clone();
    view.app.tasks.spawn(async move {
        let _kept = (place, temporary);
        tokio::select! {
            () = cut.cancelled() => {}
            // Whoever stops reading ends it.
            _ = hand_on(&mut file, &sender) => {}
        }
    });
    let mut response = Response::new(Body::from(receiver));
    let at = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let file = if what == "log" { "polyport-log" } else { "polyport" };
    let disposition = format!("attachment; filename=\"{file}-{at}.db\"");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/vnd.sqlite3"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.extend(HeaderValue::try_from(disposition).ok().map(|value| (CONTENT_DISPOSITION, value)));
    Ok(response)
}

async fn copy(view: &View, store: &Store, what: &str, to: &Path) -> Result<(), Refusal> {
    let no = |words: String| Refusal::new(StatusCode::CONFLICT, "no_backup", words);
    let away = |words: String| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", words);
    if what != "log" {
        return store.backup(to).await.map_err(|error| match error {
            Error::Refused(words) => no(words),
            other => away(other.to_string()),
        });
    }
    polyport_store::backup(&view.runtime.config.log_url(), to).await.map_err(|error| match error {
        RestoreError::Postgres => no(error.to_string()),
        other => away(other.to_string()),
    })
}

async fn hand_on(file: &mut File, to: &mpsc::Sender<Result<Bytes, ()>>) -> Option<()> {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        match file.read_buf(&mut piece).await {
            Ok(0) => return Some(()),
            Ok(_) => to.send(Ok(piece.freeze())).await.ok()?,
            Err(error) => {
                tracing::warn!(%error, "a copy of the database cannot be read");
                to.send(Err(())).await.ok()?;
                return None;
            }
        }
    }
}
