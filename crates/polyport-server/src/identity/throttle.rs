//! Back-off for whoever guesses: by address and by name. An attempt counts as a failure until it succeeds, so that many at once are no way around.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::KeyHash;

/// So many sources are remembered at most; of more, those are forgotten whose last failure is the longest ago.
const MOST: usize = 10_000;

/// So many keys that were good while others failed beside them.
const MOST_KNOWN: usize = 1_000;

/// Who fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// An address; of IPv6 the network of a subscriber.
    Address(IpAddr),
    /// A digest of a name, whether anybody has it or not.
    Name([u8; 32]),
}

impl Source {
    pub(crate) fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    pub(crate) fn name(name: &str) -> Self {
        Self::Name(*blake3::hash(name.as_bytes()).as_bytes())
    }
}

/// From how many failures on how long one has to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// So many failures are free.
    free: u32,
    /// The longest wait, in milliseconds. The first is a second, and each is twice the one before.
    longest: i64,
}

/// Failures are forgotten after this time without another one, in milliseconds.
const FORGOTTEN: i64 = 15 * 60 * 1000;

#[derive(Clone, Copy, Debug)]
struct Failures {
    number: u32,
    last: i64,
    /// Nobody is heard before.
    until: i64,
}

/// Who fails how often.
#[derive(Debug)]
pub(crate) struct Throttle {
    by_address: Patience,
    by_name: Patience,
    failures: Mutex<HashMap<Source, Failures>>,
    /// How many there are, to be looked at without a lock.
    number: AtomicUsize,
    /// Keys that were good at an address where others failed: their holders are heard all the same.
    known: Mutex<HashSet<(Source, KeyHash)>>,
}

impl Throttle {
    /// Of those who sign in, or show admin keys.
    pub(crate) fn of_admins() -> Self {
        // Whoever tries names is not to keep those who have them out for long.
        Self::new(Patience { free: 10, longest: 15 * 60 * 1000 }, Patience { free: 5, longest: 30 * 1000 })
    }

    /// Of those who show keys of clients: many programs may be behind one address.
    pub(crate) fn of_clients() -> Self {
        Self::new(Patience { free: 100, longest: 60 * 1000 }, Patience { free: 100, longest: 60 * 1000 })
    }

    fn new(by_address: Patience, by_name: Patience) -> Self {
        let (failures, number, known) = (Mutex::default(), AtomicUsize::default(), Mutex::default());
        Self { by_address, by_name, failures, number, known }
    }

    /// Begins an attempt of these sources at the time `now` (Unix milliseconds).
    ///
    /// # Errors
    /// How long they have to wait.
    pub(crate) fn begin(&self, sources: &[Source], now: i64) -> Result<(), Duration> {
        let mut failures = self.failures.lock();
        let wait = sources.iter().filter_map(|source| failures.get(source)).map(|known| known.until - now).max();
        if let Some(wait) = wait.filter(|wait| *wait > 0) {
            return Err(Duration::from_millis(wait.unsigned_abs()));
        }
        for source in sources {
            let patience = match source {
                Source::Address(_) => self.by_address,
                Source::Name(_) => self.by_name,
            };
            let known = failures.entry(*source).or_insert(Failures { number: 0, last: now, until: 0 });
            if now - known.last > FORGOTTEN {
                known.number = 0;
            }
            known.number = known.number.saturating_add(1);
            known.last = now;
            // The last free one is followed by a wait already.
            if let Some(beyond) = known.number.checked_sub(patience.free) {
                let wait = 1000_i64.checked_shl(beyond.min(30)).unwrap_or(i64::MAX);
                known.until = now.saturating_add(wait.min(patience.longest));
            }
        }
        make_room(&mut failures, now);
        self.number.store(failures.len(), Ordering::Relaxed);
        Ok(())
    }

    /// An attempt of these sources has succeeded. Names are forgiven; of an address only this attempt, or whoever has a password of their own
    /// could go on guessing those of others.
    pub(crate) fn succeeded(&self, sources: &[Source]) {
        let mut failures = self.failures.lock();
        for source in sources {
            let Some(known) = failures.get_mut(source) else { continue };
            known.number = known.number.saturating_sub(1);
            known.until = 0;
            if known.number == 0 || matches!(source, Source::Name(_)) {
                failures.remove(source);
            }
        }
        self.number.store(failures.len(), Ordering::Relaxed);
    }

    /// Whether nobody has failed for a while.
    pub(crate) fn is_quiet(&self) -> bool {
        self.number.load(Ordering::Relaxed) == 0
    }

    /// How long an address has to wait, if it has to.
    pub(crate) fn wait(&self, address: IpAddr, now: i64) -> Option<Duration> {
        if self.is_quiet() {
            return None;
        }
        let until = self.failures.lock().get(&Source::address(address))?.until;
        (until > now).then(|| Duration::from_millis((until - now).unsigned_abs()))
    }

    /// A good key was shown. While others fail at its address, it is remembered.
    pub(crate) fn good(&self, address: IpAddr, key: KeyHash) {
        let source = Source::address(address);
        if self.is_quiet() || !self.failures.lock().contains_key(&source) {
            return;
        }
        let mut known = self.known.lock();
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert((source, key));
    }

    /// Whether a key was good at this address while others failed there.
    pub(crate) fn knows(&self, address: IpAddr, key: KeyHash) -> bool {
        self.known.lock().contains(&(Source::address(address), key))
    }
}

/// Forgets what is over, or the older half of what is too much.
fn make_room(failures: &mut HashMap<Source, Failures>, now: i64) {
    if failures.len() < MOST {
        return;
    }
    failures.retain(|_, known| now - known.last <= FORGOTTEN);
    if failures.len() >= MOST {
        let mut times: Vec<i64> = failures.values().map(|known| known.last).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        failures.retain(|_, known| known.last > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Source {
        Source::address(text.parse().unwrap())
    }

    #[test]
    fn a9_waits_grow_and_have_an_end() {
        let throttle = Throttle::of_admins();
        let source = [address("192.0.2.1")];
        let mut now = 1_000_000;
        for _ in 0..10 {
            assert!(throttle.begin(&source, now).is_ok());
        }
        let mut waits = Vec::new();
        for _ in 0..13 {
            let wait = throttle.begin(&source, now).unwrap_err();
            waits.push(wait.as_secs());
            now += i64::try_from(wait.as_millis()).unwrap();
            assert!(throttle.begin(&source, now).is_ok());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        assert!(throttle.begin(&[address("192.0.2.2")], now).is_ok(), "others are not concerned");
        now += FORGOTTEN + 1;
        for _ in 0..10 {
            assert!(throttle.begin(&source, now).is_ok());
        }
    }

    #[test]
    fn a9_success_forgives_and_names_wait_less() {
        let throttle = Throttle::of_admins();
        let (one, name) = (address("2001:db8::1"), Source::name("ada"));
        for _ in 0..5 {
            assert!(throttle.begin(&[one, name], 0).is_ok());
        }
        assert!(throttle.begin(&[address("192.0.2.9"), name], 0).is_err(), "the name waits wherever one is");
        assert!(throttle.begin(&[one], 0).is_ok());
        throttle.succeeded(&[one, name]);
        for _ in 0..5 {
            assert!(throttle.begin(&[one, name], 0).is_ok());
        }
        assert!(throttle.begin(&[one], 0).is_err(), "the address is not forgiven everything");
        let alone = address("192.0.2.7");
        let quiet = Throttle::of_admins();
        assert!(quiet.begin(&[alone], 0).is_ok());
        quiet.succeeded(&[alone]);
        assert!(quiet.is_quiet());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"), "a subscriber has a network");
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    }

    #[test]
    fn a9_good_keys_are_heard_where_others_guess() {
        let throttle = Throttle::of_clients();
        let (here, key) = ("192.0.2.1".parse().unwrap(), KeyHash::of("good"));
        throttle.good(here, key);
        assert!(!throttle.knows(here, key), "nobody failed");
        assert!(throttle.begin(&[Source::address(here)], 0).is_ok());
        throttle.good(here, key);
        for _ in 0..99 {
            assert!(throttle.begin(&[Source::address(here)], 0).is_ok());
        }
        assert!(throttle.wait(here, 0).is_some());
        assert!(throttle.knows(here, key) && !throttle.knows(here, KeyHash::of("other")));
        assert!(throttle.wait("192.0.2.2".parse().unwrap(), 0).is_none());
    }

    #[test]
    fn a9_the_table_has_a_bound() {
        let throttle = Throttle::of_admins();
        for number in 0..30_000_u32 {
            assert!(throttle.begin(&[Source::Address(IpAddr::V4(number.into()))], i64::from(number)).is_ok());
        }
        assert!(throttle.failures.lock().len() <= MOST);
    }
}
