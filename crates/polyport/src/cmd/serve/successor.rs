//! Another process takes the place of this one: at `SIGUSR2`, the program is started again from where it lies now.

#[cfg(unix)]
pub(super) use unix::{Program, Requests, hand_over};

#[cfg(not(unix))]
pub(super) use elsewhere::{Program, Requests, hand_over};

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use polyport_server::{End, Handle};
    use tokio::signal::unix::{Signal, SignalKind, signal};
    use tracing::{error, info};

    /// Where this program lies, and with which arguments it was started.
    pub(crate) struct Program {
        path: Option<PathBuf>,
        arguments: Vec<OsString>,
    }

    impl Program {
        /// To be called early: once the file is replaced, the system does not know its name any more.
        pub(crate) fn of_process() -> Self {
            Self { path: std::env::current_exe().ok(), arguments: std::env::args_os().skip(1).collect() }
        }
    }

    /// Signals that ask for a change of place.
    pub(crate) struct Requests(Option<Signal>);

    impl Requests {
        pub(crate) fn new() -> Self {
            Self(signal(SignalKind::user_defined2()).ok())
        }

        async fn next(&mut self) {
            match &mut self.0 {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        }
    }

    /// Completes when another process has taken this one's place, after as many attempts as that needs.
    pub(crate) async fn hand_over(handle: &Handle, requests: &mut Requests, program: &Program) -> End {
        loop {
            requests.next().await;
            let Some(path) = &program.path else {
                error!("another process cannot take over: the system does not tell where this program lies");
                continue;
            };
            info!(program = %path.display(), "another process is to take over");
            match handle.hand_over(path, &program.arguments).await {
                Ok(successor) => return End::HandedOver(successor),
                Err(error) => error!("this process goes on, for no other took over: {error}"),
            }
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use polyport_server::{End, Handle};

    pub(crate) struct Program;

    impl Program {
        pub(crate) fn of_process() -> Self {
            Self
        }
    }

    pub(crate) struct Requests;

    impl Requests {
        pub(crate) fn new() -> Self {
            Self
        }
    }

    pub(crate) async fn hand_over(_: &Handle, _: &mut Requests, _: &Program) -> End {
        std::future::pending().await
    }
}
