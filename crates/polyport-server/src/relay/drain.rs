//! Answers whose client has left: what the operator wants to have become of them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use polyport_routing::Disconnect;
use polyport_store::log::Ending;
use tokio::time::Instant;

use super::stream::{Live, Step};
use super::{Answered, Pending, Ready};
use crate::app::App;
use crate::observe::{Outcome, Record};

/// An answer that is waited for. When it is dropped unanswered, its client has left.
pub(crate) struct Awaited {
    app: Arc<App>,
    disconnect: Disconnect,
    pending: Option<Pending>,
}

impl Awaited {
    pub(super) fn new(app: &Arc<App>, disconnect: Disconnect, pending: Pending) -> Self {
        Self { app: Arc::clone(app), disconnect, pending: Some(pending) }
    }

    /// Waits for it.
    pub(super) fn poll(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Answered> {
        let Some(pending) = &mut self.pending else { return Poll::Pending };
        let polled = pending.as_mut().poll(cx);
        if polled.is_ready() {
            self.pending = None;
        }
        polled
    }

    /// Nobody wants it any more, whatever the operator says of clients that leave.
    pub(super) fn give_up(mut self) {
        self.pending = None;
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let Some(pending) = self.pending.take().filter(|_| self.disconnect != Disconnect::Cancel) else { return };
        let (app, disconnect) = (Arc::clone(&self.app), self.disconnect);
        let cut = app.cut.clone();
        self.app.tasks.spawn(async move {
            let work = async {
                let Answered { mut record, result } = pending.await;
                match result {
                    Ok(Ready::Live { live, .. }) => read(live, record, disconnect).await,
                    Ok(Ready::Whole { .. }) => {
                        record.left = Ending::Drained;
                        record.end(Outcome::ClientGone);
                    }
                    Err(fault) => {
                        record.told(&fault);
                        record.end(Outcome::ClientGone);
                    }
                }
            };
            tokio::select! {
                () = work => {}
                () = cut.cancelled() => {}
            }
        });
    }
}

/// Goes on with a stream that nobody reads any more, if the operator wants that.
pub(super) fn leave(app: &Arc<App>, live: Live, record: Box<Record>) {
    let disconnect = record.disconnect;
    if disconnect == Disconnect::Cancel {
        return;
    }
    let cut = app.cut.clone();
    app.tasks.spawn(async move {
        tokio::select! {
            () = read(live, record, disconnect) => {}
            () = cut.cancelled() => {}
        }
    });
}

/// Reads a stream to its end, or as far as it shall be.
async fn read(mut live: Live, mut record: Box<Record>, disconnect: Disconnect) {
    let most = match disconnect {
        Disconnect::Cancel => 0,
        Disconnect::Drain => u64::MAX,
        Disconnect::DrainTokens(tokens) => tokens,
    };
    record.left = loop {
        let deadline = live.deadline();
        let step = poll_fn(|cx| live.poll(cx, &mut record));
        match tokio::time::timeout_at(deadline, step).await {
            Ok(Step::End(_)) => break Ending::Drained,
            Ok(Step::Bytes(_) | Step::Turn) => {}
            Err(_) if Instant::now() >= deadline => live.time_is_up(),
            Err(_) => {}
        }
        live.is_said(&mut record);
        if record.seen >= most {
            break Ending::DrainLimit;
        }
    };
    record.end(Outcome::ClientGone);
}
