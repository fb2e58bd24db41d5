//! What time it is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use polyport_routing::Millis;

/// Unix milliseconds that never go back. A clock that is set back does not lengthen what rests; one that is set forward, or a machine
/// that slept, is followed, so that tokens are known to have expired meanwhile.
#[must_use]
pub fn now() -> Millis {
    static START: OnceLock<(Instant, i64)> = OnceLock::new();
    static AHEAD: AtomicI64 = AtomicI64::new(0);
    let wall = wall();
    let (began, at) = *START.get_or_init(|| (Instant::now(), wall));
    let steady = at.saturating_add(i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX));
    let ahead = wall - steady;
    let ahead = AHEAD.fetch_max(ahead, Ordering::Relaxed).max(ahead);
    steady.saturating_add(ahead).unsigned_abs()
}

/// The same as a signed number.
pub(crate) fn now_signed() -> i64 {
    i64::try_from(now()).unwrap_or(i64::MAX)
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s10_time_goes_on() {
        let first = now();
        assert!(first > 1_700_000_000_000);
        assert!(now() >= first);
    }
}
