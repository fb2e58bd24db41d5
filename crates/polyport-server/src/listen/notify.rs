//! What the service manager is told (`NOTIFY_SOCKET`): nothing where there is none.

#[cfg(target_os = "linux")]
mod manager {
    use std::time::Duration;

    use sd_notify::NotifyState;
    use tokio_util::sync::CancellationToken;

    fn tell(state: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(state) {
            tracing::debug!(%error, "the service manager cannot be told anything");
        }
    }

    /// Clients are answered.
    pub fn ready() {
        tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`ready`] follows.
    pub fn reloading() {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            tell(&[NotifyState::Reloading, now]);
        }
    }

    pub(crate) fn stopping() {
        tell(&[NotifyState::Stopping]);
    }

    /// Another process is the service from now on.
    pub(crate) fn handed_over(process: u32) {
        tell(&[NotifyState::MainPid(process), NotifyState::Ready]);
    }

    /// Shows the service manager that this process is alive, as often as it wants.
    pub(crate) async fn keep_alive(every: Option<Duration>, cut: CancellationToken) {
        let Some(every) = every else { return };
        let work = async {
            loop {
                tell(&[NotifyState::Watchdog]);
                tokio::time::sleep(every / 2).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = cut.cancelled() => {}
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod manager {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    /// Clients are answered.
    pub fn ready() {}

    /// The configuration is being read again; [`ready`] follows.
    pub fn reloading() {}

    pub(crate) fn stopping() {}

    pub(crate) fn handed_over(_: u32) {}

    pub(crate) async fn keep_alive(_: Option<Duration>, _: CancellationToken) {}
}

pub(crate) use manager::{handed_over, keep_alive, stopping};
pub use manager::{ready, reloading};
