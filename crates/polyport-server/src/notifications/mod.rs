//! Messages to other programs when something needs somebody: one JSON object each, sent to the addresses that the configuration names.
//!
//! | module | what |
//! |---|---|
//! | [`watch`] | what is looked at, and what is told of it |
//! | [`send`] | one message to one address |
//! | `sign` | signatures |
//!
//! Nobody waits for a message: what there is no room for is left out and counted.

mod send;
mod sign;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use polyport_routing::Millis;
use polyport_types::Text;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::config::{Config, Event, Hook};
use crate::id::RequestId;

pub(crate) use send::{Outcome, Sent, once};
pub(crate) use watch::keep_watching;

/// Messages that may wait.
const WAITING: usize = 256;

/// Messages that are on their way at once.
const AT_ONCE: usize = 16;

/// Of one kind and about one thing there is at most one in this time.
const AGAIN: Millis = 60 * 60 * 1000;

/// Things that are remembered to have been told of.
const MOST_TOLD: usize = 10_000;

/// Deliveries that are remembered.
const MOST_PAST: usize = 100;

/// Something to tell.
#[derive(Debug)]
pub(crate) struct Message {
    /// The same at every attempt, so that receivers know it again.
    pub(crate) id: String,
    /// The word for what happened.
    pub(crate) kind: &'static str,
    pub(crate) at: Millis,
    /// In words.
    pub(crate) text: String,
    pub(crate) data: Value,
}

/// A message, and what it is about.
type Told = (Event, Arc<Message>);

/// What became of a message at an address.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) webhook: Text,
    pub(crate) text: String,
    pub(crate) at: Millis,
    pub(crate) attempts: u32,
    pub(crate) sent: Sent,
}

/// The way of messages to their addresses.
#[derive(Debug)]
pub(crate) struct Notifier {
    queue: mpsc::Sender<Told>,
    waiting: Mutex<Option<mpsc::Receiver<Told>>>,
    /// Until when nothing more is told of a thing.
    told: Mutex<HashMap<(Event, Text), Millis>>,
    past: Mutex<VecDeque<Delivery>>,
    /// For which there was no room.
    lost: AtomicU64,
}

impl Default for Notifier {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            told: Mutex::default(),
            past: Mutex::default(),
            lost: AtomicU64::new(0),
        }
    }
}

impl Notifier {
    /// Whether anybody wants to know.
    pub(crate) fn is_heard(config: &Config, event: Event) -> bool {
        config.notifications.hooks.iter().any(|hook| hook.hears(event))
    }

    /// Tells what happened with something, unless that was told lately. `again` is when it may be told again at the earliest.
    fn tell(&self, config: &Config, event: Event, about: Text, again: Option<Millis>, text: String, data: Value) {
        let now = clock::now();
        if !Self::is_heard(config, event) || !self.is_news(event, about, again, now) {
            return;
        }
        let id = format!("msg_{}", RequestId::new().text());
        let message = Message { id, kind: event.as_str(), at: now, text, data };
        if self.queue.try_send((event, Arc::new(message))).is_err() {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(event = event.as_str(), lost, "more messages wait than there is room for: one was left out");
        }
    }

    fn is_news(&self, event: Event, about: Text, again: Option<Millis>, now: Millis) -> bool {
        let mut told = self.told.lock();
        if told.get(&(event, about.clone())).is_some_and(|until| *until > now) {
            return false;
        }
        if told.len() >= MOST_TOLD {
            told.retain(|_, until| *until > now);
        }
        // Rather silence than a storm.
        if told.len() >= MOST_TOLD {
            return false;
        }
        told.insert((event, about), again.unwrap_or(0).max(now + AGAIN));
        true
    }

    fn note(&self, delivery: Delivery) {
        let mut past = self.past.lock();
        if past.len() >= MOST_PAST {
            past.pop_front();
        }
        past.push_back(delivery);
    }

    /// The last deliveries, the newest first.
    pub(crate) fn past(&self) -> Vec<Delivery> {
        self.past.lock().iter().rev().cloned().collect()
    }
}

/// Sends what is told, until it is cancelled.
pub(crate) async fn keep_sending(app: Arc<App>, cut: CancellationToken) {
    let Some(mut waiting) = app.notifier.waiting.lock().take() else { return };
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let work = async {
        while let Some((event, message)) = waiting.recv().await {
            let hooks: Vec<Arc<Hook>> = app.runtime().config.notifications.hooks.clone();
            for hook in hooks.into_iter().filter(|hook| hook.hears(event)) {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let (app, message, cut) = (Arc::clone(&app), Arc::clone(&message), cut.clone());
                let tasks = app.tasks.clone();
                tasks.spawn(async move {
                    let _place = place;
                    tokio::select! {
                        () = cut.cancelled() => {}
                        () = send::deliver(&app, &hook, &message) => {}
                    }
                });
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_thing_one_message_an_hour() {
        let notifier = Notifier::default();
        let news =
            |event, about: &'static str, again, now| notifier.is_news(event, Text::from_static(about), again, now);
        assert!(news(Event::ProviderDown, "a", None, 1000));
        assert!(!news(Event::ProviderDown, "a", None, 1000 + AGAIN - 1));
        assert!(news(Event::ProviderDown, "b", None, 1000) && news(Event::ProviderUp, "a", None, 1000));
        assert!(news(Event::ProviderDown, "a", None, 1000 + AGAIN));
        assert!(news(Event::QuotaNear, "q", Some(5 * AGAIN), 0) && !news(Event::QuotaNear, "q", None, 4 * AGAIN));
    }

    #[test]
    fn what_is_remembered_has_bounds() {
        let notifier = Notifier::default();
        for number in 0..MOST_TOLD {
            assert!(notifier.is_news(Event::QuotaNear, number.to_string().into(), None, 1));
        }
        assert!(!notifier.is_news(Event::QuotaNear, "more".into(), None, 1));
        assert!(notifier.is_news(Event::QuotaNear, "more".into(), None, 2 + AGAIN), "what is old makes room");
        for number in 0..MOST_PAST + 5 {
            let sent = Sent { outcome: Outcome::Delivered, status: Some(200), message: None, took_ms: 1 };
            let delivery = Delivery {
                id: number.to_string(),
                kind: "quota.near",
                webhook: "a".into(),
                text: String::new(),
                at: 0,
                attempts: 1,
                sent,
            };
            notifier.note(delivery);
        }
        let past = notifier.past();
        assert_eq!((past.len(), past[0].id.as_str()), (MOST_PAST, "104"));
    }
}
