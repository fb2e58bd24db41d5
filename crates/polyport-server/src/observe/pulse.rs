//! What happened in each of the last seconds, for whoever looks on. Requests add to counters and wait for nobody; once a second what was
//! counted is taken out of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use polyport_accounting::Money;
use polyport_routing::Millis;
use polyport_store::log::{Entry, Spread};
use polyport_types::Text;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Map;
use crate::app::App;
use crate::clock;

/// Seconds that are kept.
pub(crate) const SECONDS: usize = 300;

/// Seconds of a provider that are added up.
const MINUTE: usize = 60;

/// Currencies and providers that are told apart.
const MOST_CURRENCIES: usize = 8;
const MOST_PROVIDERS: usize = 1000;

/// The last seconds.
#[derive(Debug)]
pub(crate) struct Pulse {
    running: Running,
    past: Mutex<Past>,
    /// How many seconds there have been.
    turned: watch::Sender<u64>,
}

/// What has been counted since the second began.
#[derive(Debug)]
struct Running {
    counts: [AtomicU64; COUNTS],
    latency: Box<[AtomicU32]>,
    first_token: Box<[AtomicU32]>,
    /// In 10⁻¹² of each currency.
    costs: ArcSwap<Vec<(Text, Arc<AtomicU64>)>>,
    providers: ArcSwap<Map<Text, Arc<Tally>>>,
}

/// Places among the counts of a second.
const COUNTS: usize = 7;
const REQUESTS: usize = 0;
const FAILED: usize = 1;
const INPUT: usize = 2;
const OUTPUT: usize = 3;
const CACHE_READ: usize = 4;
const CACHE_WRITE: usize = 5;
const REASONING: usize = 6;

/// Attempts at one provider.
#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct Past {
    seconds: VecDeque<Arc<Second>>,
    /// Attempts of each provider and how many failed, the last second at the end.
    providers: Map<Text, VecDeque<(u64, u64)>>,
}

/// A second that is over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Second {
    /// Its number.
    pub(crate) number: u64,
    /// When it began, in Unix milliseconds.
    pub(crate) at: Millis,
    counts: [u64; COUNTS],
    /// Requests under way at its end.
    pub(crate) in_flight: u64,
    pub(crate) cost: BTreeMap<Text, Money>,
    pub(crate) latency: Spread,
    pub(crate) first_token: Spread,
}

impl Second {
    /// Requests that ended.
    pub(crate) fn requests(&self) -> u64 {
        self.counts[REQUESTS]
    }

    pub(crate) fn failed(&self) -> u64 {
        self.counts[FAILED]
    }

    pub(crate) fn input(&self) -> u64 {
        self.counts[INPUT]
    }

    pub(crate) fn output(&self) -> u64 {
        self.counts[OUTPUT]
    }

    pub(crate) fn cache_read(&self) -> u64 {
        self.counts[CACHE_READ]
    }

    pub(crate) fn cache_write(&self) -> u64 {
        self.counts[CACHE_WRITE]
    }

    pub(crate) fn reasoning(&self) -> u64 {
        self.counts[REASONING]
    }
}

impl Default for Pulse {
    fn default() -> Self {
        let scale = || (0..Spread::STEPS).map(|_| AtomicU32::new(0)).collect();
        let running = Running {
            counts: Default::default(),
            latency: scale(),
            first_token: scale(),
            costs: ArcSwap::default(),
            providers: ArcSwap::default(),
        };
        Self { running, past: Mutex::default(), turned: watch::Sender::new(0) }
    }
}

impl Pulse {
    /// Takes a request in that has ended.
    pub(crate) fn ended(&self, entry: &Entry) {
        let running = &self.running;
        let add = |place: usize, count: u64| {
            if let Some(sum) = running.counts.get(place).filter(|_| count > 0) {
                sum.fetch_add(count, Ordering::Relaxed);
            }
        };
        add(REQUESTS, 1);
        add(FAILED, entry.failed().into());
        for attempt in &entry.attempts {
            add(INPUT, attempt.input());
            add(OUTPUT, attempt.output());
            add(CACHE_READ, attempt.cache_read());
            add(CACHE_WRITE, attempt.cache_write());
            add(REASONING, attempt.reasoning());
            if let (Some(cost), Some(currency)) = (attempt.cost, &attempt.currency) {
                running.spend(currency, u64::try_from(cost).unwrap_or(u64::MAX));
            }
            running.attempted(&attempt.provider, attempt.failed());
        }
        let count = |scale: &[AtomicU32], value: u32| {
            if let Some(step) = scale.get(usize::from(Spread::step(value))) {
                step.fetch_add(1, Ordering::Relaxed);
            }
        };
        if entry.answered() {
            count(&running.latency, entry.duration_ms);
            if let Some(first) = entry.began_after() {
                count(&running.first_token, first);
            }
        }
    }

    /// Ends a second that began then. Those that were missed since the one before, as while the machine slept, had nothing in them.
    fn turn(&self, at: Millis, in_flight: u64) {
        let mut second = self.running.take();
        let mut past = self.past.lock();
        let number = past.seconds.back().map_or(0, |last| last.number);
        let missed = match past.seconds.back() {
            Some(last) => (at.saturating_sub(last.at) / 1000).saturating_sub(1).min(SECONDS as u64),
            None => 0,
        };
        for back in (1..=missed).rev() {
            let number = number + 1 + missed - back;
            past.add(Second { number, at: at - back * 1000, in_flight, ..Second::default() }, &[]);
        }
        let providers = self.running.take_providers();
        (second.number, second.at, second.in_flight) = (number + missed + 1, at, in_flight);
        let number = second.number;
        past.add(second, &providers);
        drop(past);
        self.turned.send_replace(number);
    }

    /// Tells when another second is over.
    pub(crate) fn turned(&self) -> watch::Receiver<u64> {
        self.turned.subscribe()
    }

    /// The seconds after this one that are still known, the oldest first.
    pub(crate) fn since(&self, number: u64) -> Vec<Arc<Second>> {
        let past = self.past.lock();
        past.seconds.iter().filter(|second| second.number > number).map(Arc::clone).collect()
    }

    /// Attempts at a provider that ended in the last minute, and how many of them failed.
    pub(crate) fn of_provider(&self, name: &str) -> (u64, u64) {
        let past = self.past.lock();
        let seconds = past.providers.get(name).into_iter().flatten();
        seconds.fold((0, 0), |sum, second| (sum.0 + second.0, sum.1 + second.1))
    }
}

impl Running {
    fn spend(&self, currency: &str, picos: u64) {
        let costs = self.costs.load();
        if let Some((_, sum)) = costs.iter().find(|(known, _)| **known == *currency) {
            sum.fetch_add(picos, Ordering::Relaxed);
            return;
        }
        let sum = Arc::new(AtomicU64::new(0));
        self.costs.rcu(|costs| match costs.iter().any(|(known, _)| **known == *currency) {
            false if costs.len() < MOST_CURRENCIES => {
                let new = (Text::from(currency), Arc::clone(&sum));
                Arc::new(costs.iter().cloned().chain([new]).collect())
            }
            _ => Arc::clone(costs),
        });
        if let Some((_, sum)) = self.costs.load().iter().find(|(known, _)| **known == *currency) {
            sum.fetch_add(picos, Ordering::Relaxed);
        }
    }

    fn attempted(&self, provider: &str, failed: bool) {
        let known = self.providers.load();
        let tally = match known.get(provider) {
            Some(tally) => Arc::clone(tally),
            None => {
                self.providers.rcu(|known| match known.contains_key(provider) || known.len() >= MOST_PROVIDERS {
                    true => Arc::clone(known),
                    false => {
                        let mut more = Map::clone(known);
                        more.insert(provider.into(), Arc::default());
                        Arc::new(more)
                    }
                });
                match self.providers.load().get(provider) {
                    Some(tally) => Arc::clone(tally),
                    None => return,
                }
            }
        };
        tally.requests.fetch_add(1, Ordering::Relaxed);
        tally.failed.fetch_add(failed.into(), Ordering::Relaxed);
    }

    fn take(&self) -> Second {
        let spread = |scale: &[AtomicU32]| {
            let mut spread = Spread::default();
            for (step, count) in scale.iter().enumerate() {
                spread.add(u16::try_from(step).unwrap_or(u16::MAX), count.swap(0, Ordering::Relaxed).into());
            }
            spread
        };
        let costs = self.costs.load();
        let costs = costs.iter().map(|(currency, sum)| (currency.clone(), sum.swap(0, Ordering::Relaxed)));
        Second {
            counts: self.counts.each_ref().map(|count| count.swap(0, Ordering::Relaxed)),
            cost: costs
                .filter(|(_, sum)| *sum > 0)
                .map(|(currency, sum)| (currency, Money::from_picos(sum.into())))
                .collect(),
            latency: spread(&self.latency),
            first_token: spread(&self.first_token),
            ..Second::default()
        }
    }

    fn take_providers(&self) -> Vec<(Text, (u64, u64))> {
        let taken =
            |tally: &Tally| (tally.requests.swap(0, Ordering::Relaxed), tally.failed.swap(0, Ordering::Relaxed));
        self.providers.load().iter().map(|(name, tally)| (name.clone(), taken(tally))).collect()
    }
}

impl Past {
    fn add(&mut self, second: Second, providers: &[(Text, (u64, u64))]) {
        if self.seconds.len() >= SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(Arc::new(second));
        for seconds in self.providers.values_mut() {
            if seconds.len() >= MINUTE {
                seconds.pop_front();
            }
            seconds.push_back((0, 0));
        }
        for (name, counts) in providers {
            match self.providers.get_mut(name).and_then(VecDeque::back_mut) {
                Some(last) => *last = *counts,
                None => drop(self.providers.insert(name.clone(), VecDeque::from([*counts]))),
            }
        }
    }
}

/// Ends a second each second, until it is cancelled.
pub(crate) async fn keep_time(app: Arc<App>, cut: CancellationToken) {
    let work = async {
        let whole = |now: Millis| now - now % 1000;
        let mut began = whole(clock::now());
        loop {
            let next = began + 1000;
            tokio::time::sleep(Duration::from_millis(next.saturating_sub(clock::now()))).await;
            // The timer may wake a little early, or late.
            began = whole(clock::now().max(next));
            let in_flight = u64::try_from(app.metrics.inflight.get()).unwrap_or_default();
            app.pulse.turn(began - 1000, in_flight);
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use polyport_store::log::Attempt;

    use super::*;

    fn entry(duration_ms: u32, outcome: &str) -> Entry {
        let attempt = Attempt {
            provider: "up".to_owned(),
            outcome: outcome.to_owned(),
            counts: [("input".to_owned(), 10), ("cache_read".to_owned(), 30), ("output".to_owned(), 5)].into(),
            cost: Some(1_000_000_000_000),
            currency: Some("USD".to_owned()),
            ..Attempt::default()
        };
        Entry {
            outcome: outcome.to_owned(),
            status: if outcome == "answered" { 200 } else { 502 },
            stream: true,
            first_token_ms: Some(duration_ms / 2),
            duration_ms,
            attempts: vec![attempt],
            ..Entry::default()
        }
    }

    #[test]
    fn each_second_has_what_ended_in_it() {
        let pulse = Pulse::default();
        for duration in [20, 20, 30] {
            pulse.ended(&entry(duration, "answered"));
        }
        pulse.ended(&entry(9999, "server"));
        pulse.turn(5000, 2);
        pulse.turn(6000, 0);
        let seconds = pulse.since(0);
        let [first, second] = seconds.as_slice() else { panic!("{seconds:?}") };
        assert_eq!((first.at, first.requests(), first.failed(), first.in_flight), (5000, 4, 1, 2));
        assert_eq!((first.input(), first.cache_read(), first.output()), (40, 120, 20));
        assert_eq!(first.cost[&Text::from("USD")].to_string(), "4");
        // What failed says nothing of how long answers take.
        assert_eq!((first.latency.len(), first.latency.percentile(50)), (3, Some(20)));
        assert_eq!((first.first_token.percentile(95), second.requests()), (Some(15), 0));
        assert!(second.cost.is_empty() && second.latency.is_empty());
        assert_eq!(pulse.of_provider("up"), (4, 1));
    }

    #[test]
    fn seconds_without_anything_are_there_and_old_ones_go() {
        let pulse = Pulse::default();
        pulse.ended(&entry(20, "answered"));
        pulse.turn(1000, 0);
        let mut turned = pulse.turned();
        pulse.turn(5000, 0);
        assert!(turned.has_changed().unwrap());
        assert_eq!(*turned.borrow_and_update(), 5);
        let all: Vec<Millis> = pulse.since(0).iter().map(|second| second.at).collect();
        assert_eq!(all, [1000, 2000, 3000, 4000, 5000]);
        assert_eq!(pulse.since(4).len(), 1);
        for at in 6..70 {
            pulse.turn(at * 1000, 0);
        }
        assert_eq!(pulse.of_provider("up"), (0, 0), "it is longer ago than a minute");
        // A machine that slept for a day.
        pulse.turn(90_000_000, 0);
        let all = pulse.since(0);
        assert_eq!(all.len(), SECONDS);
        assert!(all.windows(2).all(|pair| pair[1].at == pair[0].at + 1000 && pair[1].number == pair[0].number + 1));
    }
}
