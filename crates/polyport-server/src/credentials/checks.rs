//! Health checks: what has answered nobody lately is asked for its list of models, which costs nothing.
//!
//! An answer proves that the provider can be reached and takes the credential, no more: rate limits and used-up quotas go on resting, and a
//! model that fails is tried out by a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyport_routing::{Millis, ProviderHealth, State, Trouble};
use polyport_types::{Fault, FaultClass, Text};
use tokio_util::sync::CancellationToken;

use super::probe;
use super::quota::{self, Told};
use crate::app::{App, Runtime};
use crate::clock;
use crate::config::{Provider, Service};

/// An answer is waited for this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Configurations change, so that times are looked at anew.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Credentials of one provider checked at a time; the others follow the next time.
const AT_A_TIME: usize = 100;

/// What a health check showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// When.
    pub(crate) at: Millis,
    pub(crate) outcome: Outcome,
    /// What went wrong.
    pub(crate) fault: Option<(FaultClass, String)>,
}

/// How a health check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The provider answers and takes the credential.
    Accepted,
    /// It does not take the credential.
    Refused,
    /// It cannot be reached, or answers errors.
    Failed,
    /// It answers, but that says nothing about the credential.
    Unclear,
}

impl Outcome {
    /// The word for tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unclear => "unclear",
        }
    }
}

/// What the answer to a probe says.
pub(crate) fn judge(answer: &Result<Vec<String>, Fault>) -> Outcome {
    let fault = match answer {
        Ok(_) => return Outcome::Accepted,
        Err(fault) => fault,
    };
    match fault.class {
        // Keys for a few endpoints only are refused here although models answer them.
        FaultClass::AuthInvalid if fault.message.to_ascii_lowercase().contains("scope") => Outcome::Unclear,
        FaultClass::AuthInvalid | FaultClass::AccountBroken => Outcome::Refused,
        FaultClass::Transport
        | FaultClass::Timeout
        | FaultClass::Untrusted
        | FaultClass::ServerError
        | FaultClass::Overloaded => Outcome::Failed,
        // Not every server has a list of models, and not every key may read it.
        _ => Outcome::Unclear,
    }
}

/// Checks all providers until it is cancelled.
pub(crate) async fn keep_checking(app: Arc<App>, cut: CancellationToken) {
    let mut watched: HashMap<Text, Watched> = HashMap::new();
    let work = async {
        loop {
            let (runtime, now) = (app.runtime_owned(), clock::now());
            watched.retain(|name, _| runtime.config.provider(name).and_then(|provider| every(provider)).is_some());
            let mut pause = LONGEST_SLEEP;
            for provider in runtime.config.providers() {
                let Some(every) = every(provider) else { continue };
                let one = watched.entry(provider.name.clone()).or_insert_with(|| Watched {
                    // Many providers, and many gateways, do not ask at the same moment.
                    due: now + millis(every) * u64::from(rand::random::<u8>()) / 256,
                    memory: Arc::default(),
                });
                if one.due <= now {
                    let tenth = millis(every) / 10;
                    one.due = now + millis(every) - tenth + 2 * tenth * u64::from(rand::random::<u8>()) / 255;
                    let round = Round {
                        app: Arc::clone(&app),
                        runtime: Arc::clone(&runtime),
                        provider: Arc::clone(provider),
                        every,
                        memory: Arc::clone(&one.memory),
                    };
                    let cut = cut.clone();
                    app.tasks.spawn(async move {
                        tokio::select! {
                            () = round.run() => {}
                            () = cut.cancelled() => {}
                        }
                    });
                }
                pause = pause.min(Duration::from_millis(one.due.saturating_sub(now)));
            }
            tokio::time::sleep(pause.max(Duration::from_millis(5))).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

fn millis(time: Duration) -> Millis {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Time between two checks of a provider, if it is checked.
fn every(provider: &Provider) -> Option<Duration> {
    match &provider.service {
        Service::Http(http) if !http.missing_credential => http.probe_every,
        Service::Http(_) | Service::Process(_) | Service::Echo => None,
    }
}

/// A provider that is checked.
struct Watched {
    due: Millis,
    memory: Arc<Memory>,
}

/// What is remembered from one round to the next.
#[derive(Debug, Default)]
struct Memory {
    /// A round is not over yet.
    running: AtomicBool,
    /// Good answers of each credential.
    answered: Mutex<HashMap<Text, u64>>,
    /// Where the next round begins.
    from: AtomicUsize,
}

/// One round of checks of a provider.
struct Round {
    app: Arc<App>,
    runtime: Arc<Runtime>,
    provider: Arc<Provider>,
    every: Duration,
    memory: Arc<Memory>,
}

impl Round {
    async fn run(self) {
        if self.memory.running.swap(true, Ordering::SeqCst) {
            return;
        }
        self.check().await;
        self.memory.running.store(false, Ordering::SeqCst);
    }

    async fn check(&self) {
        let Some(health) = self.runtime.fleet.provider(&self.provider.name) else { return };
        let credentials = self.provider.credentials();
        let mut outcomes = Vec::new();
        if credentials.is_empty() {
            outcomes.push(self.probe(None, health).await);
        }
        let begin = self.memory.from.fetch_add(AT_A_TIME, Ordering::Relaxed) % credentials.len().max(1);
        let order = (0..credentials.len()).map(|step| (begin + step) % credentials.len());
        for index in order.take(AT_A_TIME) {
            if health.roster().state(index, clock::now()) == State::Disabled {
                continue;
            }
            if self.answered_lately(index, health) {
                outcomes.push((Outcome::Accepted, None));
                continue;
            }
            let outcome = self.probe(Some(index), health).await;
            outcomes.push(outcome);
            if outcome.0 == Outcome::Failed {
                // The others would meet the same.
                break;
            }
        }
        let now = clock::now();
        if outcomes.iter().any(|(outcome, _)| *outcome != Outcome::Failed) {
            health.check_passed(now);
        } else if let Some((_, Some(class))) = outcomes.first() {
            // Until after the next check, so that one that comes late lets nothing through.
            health.check_failed(*class, now + 2 * millis(self.every), now);
        }
    }

    /// Whether it gave a client an answer since the last round: then it is well, and need not be asked.
    fn answered_lately(&self, index: usize, health: &ProviderHealth) -> bool {
        let Some(id) = health.roster().id(index) else { return false };
        let answers = health.roster().counts(index).successes;
        let before = self.memory.answered.lock().insert(id.clone(), answers);
        before.is_some_and(|before| answers > before)
    }

    async fn probe(&self, index: Option<usize>, health: &ProviderHealth) -> (Outcome, Option<FaultClass>) {
        let name = &self.provider.name;
        let credential = index.and_then(|index| self.provider.credentials().get(index));
        let id = credential.map(|credential| &credential.member.id);
        let asked = tokio::time::timeout(PATIENCE, probe::models(&self.runtime, name, id)).await;
        let answer = asked.unwrap_or_else(|_| {
            Err(Fault::new(FaultClass::Timeout, format!("no answer within {} seconds", PATIENCE.as_secs())))
        });
        let (outcome, now) = (judge(&answer), clock::now());
        let fault = answer.err();
        if let Some(index) = index {
            match (&fault, outcome) {
                (_, Outcome::Accepted) => health.roster().check_passed(index),
                (Some(fault), Outcome::Refused) => {
                    health.credential_check_failed(index, &Trouble::of(fault, now), now, rand::random());
                }
                _ => {}
            }
        }
        if let (Some(index), Some(id), Outcome::Accepted) = (index, id, outcome) {
            self.quota(index, id, health).await;
        }
        let class = fault.as_ref().map(|fault| fault.class);
        let check = Check { at: now, outcome, fault: fault.map(|fault| (fault.class, fault.message)) };
        let before = self.app.credentials.note_check(name, id, check);
        if before.is_none_or(|before| before.outcome != outcome) {
            let label = credential.map(|credential| &*credential.label);
            let class = class.map(FaultClass::as_str);
            tracing::info!(provider = %name, credential = label, outcome = outcome.as_str(), class, "health check");
        }
        (outcome, class)
    }
}

impl Round {
    /// An account whose quota is used up rests before anybody finds out.
    async fn quota(&self, index: usize, id: &Text, health: &ProviderHealth) {
        if !quota::is_told(&self.provider) {
            return;
        }
        let asked = tokio::time::timeout(PATIENCE, quota::ask(&self.runtime, &self.provider.name, Some(id))).await;
        let Ok(Ok(told)) = asked else { return };
        let now = clock::now();
        if let Some(trouble) = quota::trouble(&told) {
            health.credential_check_failed(index, &trouble, now, rand::random());
        }
        self.app.credentials.note_quota(&self.provider.name, id, Told { at: now, quota: told });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_to_a_probe_say() {
        let failed = |class, words: &str| judge(&Err(Fault::new(class, words)));
        assert_eq!(judge(&Ok(Vec::new())), Outcome::Accepted);
        assert_eq!(failed(FaultClass::AuthInvalid, "no such key"), Outcome::Refused);
        assert_eq!(failed(FaultClass::AuthInvalid, "Missing scopes: api.model.read"), Outcome::Unclear);
        assert_eq!(failed(FaultClass::Transport, "refused"), Outcome::Failed);
        for class in [
            FaultClass::ModelNotFound,
            FaultClass::PermissionDenied,
            FaultClass::RateLimited,
            FaultClass::UpstreamProtocol,
        ] {
            assert_eq!(failed(class, ""), Outcome::Unclear);
        }
    }
}
