//! The only place that spawns, so that shutdown can wait for what runs.

use std::future::Future;

use tokio_util::task::TaskTracker;

/// What runs beside the accept loop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
}

impl Tasks {
    /// Starts a task that shutdown waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        #[allow(clippy::disallowed_methods, reason = "this is the one place")]
        self.tracker.spawn(task);
    }

    /// Waits until all tasks have ended. No new ones may be started.
    pub(crate) async fn wait(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Runs work that keeps a processor busy for long off the async workers. `None` if it panicked.
pub(crate) async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
