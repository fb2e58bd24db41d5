//! How many files, sockets among them, the process may open.

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one. The soft limit is low for the sake of programs that use `select`, which nothing here does.
#[cfg(unix)]
pub(super) fn allow_more() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        tracing::debug!(?current, ?maximum, "the limit of open files cannot be raised");
    }
}

#[cfg(not(unix))]
pub(super) fn allow_more() {}

/// The limit; `None` where there is none or the system does not tell.
#[cfg(unix)]
pub(super) fn may_open() -> Option<usize> {
    getrlimit(Resource::Nofile).current.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
pub(super) fn may_open() -> Option<usize> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_allowed_is_used() {
        allow_more();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert!(may_open().is_none_or(|files| files >= 64));
    }
}
