//! What callers have used of their limits, from the log: at the start, when limits are set, and from time to time where several gateways
//! share a database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use polyport_accounting::{Money, Use, Window};
use polyport_routing::Hints;
use polyport_store::Error;
use polyport_store::log::{Log, Period, Used};

use polyport_types::Text;

use super::accounts::{Before, began};
use crate::app::App;
use crate::directory::quotas::{Quota, Subject};

/// Brings the accounts that need it up to date, or `all` of them. What is settled should be in the log.
///
/// # Errors
/// If the database does not answer.
pub(super) async fn recall(app: &Arc<App>, log: &Log, all: bool) -> Result<(), Error> {
    let runtime = app.runtime_owned();
    let mut quotas = app.directory.as_ref().map(|directory| directory.quotas()).unwrap_or_default();
    quotas.extend(runtime.config.quotas.iter().map(|shared| shared.quota.clone()));
    let quotas = app.ledger.accounts.unrestored(quotas, all);
    let now = Timestamp::now();
    let mut before: Vec<Vec<Before>> = quotas.iter().map(|_| Vec::new()).collect();
    for (window, period) in [
        (Window::Minute, Period::Minute),
        (Window::Day, Period::Day),
        (Window::Month, Period::Month),
        (Window::Total, Period::Month),
    ] {
        let has = |quota: &Quota| quota.limits.iter().any(|limit| limit.window() == Some(window));
        if !quotas.iter().any(has) {
            continue;
        }
        let starts = began(window, now);
        let from = if window == Window::Total { 0 } else { starts.saturating_mul(1000) };
        let until = now.as_millisecond().saturating_add(1);
        let by_model = quotas.iter().any(|quota| has(quota) && quota.models.is_some());
        let used = match by_model {
            true => log.used(period, from, until).await?,
            false => log.used_in_all(period, from, until).await?,
        };
        let sums = Sums::of(app, used);
        for (quota, before) in quotas.iter().zip(&mut before).filter(|(quota, _)| has(quota)) {
            let (requests, used) = sums.of_quota(app, quota);
            before.push(Before { window, starts, requests, used });
        }
    }
    for (quota, before) in quotas.iter().zip(&before) {
        app.ledger.accounts.restore(quota, before);
    }
    Ok(())
}

/// What was used in a window.
struct Sums {
    all: Vec<Used>,
    /// What providers call the models that were asked for, as names lead there now.
    targets: HashMap<String, Vec<Text>>,
    by_subject: HashMap<Subject, Vec<usize>>,
}

impl Sums {
    fn of(app: &App, all: Vec<Used>) -> Self {
        let mut by_subject: HashMap<Subject, Vec<usize>> = HashMap::new();
        let runtime = app.runtime();
        for (at, used) in all.iter().enumerate() {
            let subjects = [
                used.key.as_deref().map(|id| Subject::Key(id.into())),
                used.user.as_deref().map(|id| Subject::User(id.into())),
                used.team.as_deref().map(|id| Subject::Team(id.into())),
            ];
            let names = names(app, used);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let shared = runtime.config.quotas.iter().filter(|shared| shared.is_about(&names));
            let mut several: Vec<Subject> = shared.map(|shared| shared.quota.subject.clone()).collect();
            several.dedup();
            for subject in subjects.into_iter().flatten().chain(several) {
                by_subject.entry(subject).or_default().push(at);
            }
        }
        let catalog = &runtime.config.catalog;
        let mut targets: HashMap<String, Vec<Text>> = HashMap::new();
        for model in all.iter().filter_map(|used| used.model.as_ref()) {
            if !targets.contains_key(model) {
                let resolved = catalog.resolve(model, Hints::default());
                let found =
                    resolved.map(|resolved| resolved.targets.iter().map(|target| target.model.clone()).collect());
                targets.insert(model.clone(), found.unwrap_or_default());
            }
        }
        Self { all, targets, by_subject }
    }

    fn targets(&self, model: &str) -> &[Text] {
        self.targets.get(model).map(Vec::as_slice).unwrap_or_default()
    }

    fn of_quota(&self, app: &App, quota: &Quota) -> (u64, Use) {
        let money = &app.runtime().config.money;
        let in_budget = |cost: &BTreeMap<String, u128>| -> Money {
            cost.iter().filter_map(|(currency, picos)| money.in_budget(Money::from_picos(*picos), currency)).sum()
        };
        let places = self.by_subject.get(&quota.subject).into_iter().flatten();
        let about = |used: &&Used| {
            let model = used.model.as_deref().unwrap_or_default();
            quota.models.as_ref().is_none_or(|models| {
                models.matches(model) || self.targets(model).iter().any(|target| models.matches(target))
            })
        };
        places.filter_map(|&at| self.all.get(at)).filter(about).fold((0, Use::default()), |(requests, sum), used| {
            let tokens = sum.tokens.saturating_add(used.tokens);
            (requests + used.requests, Use { tokens, money: sum.money.plus(in_budget(&used.cost)) })
        })
    }
}

/// The names by which a limit of the configuration knows a caller.
fn names(app: &App, used: &Used) -> Vec<String> {
    let directory = app.directory.as_ref();
    let key =
        used.key.as_deref().map(|id| directory.and_then(|known| known.key_name(id)).unwrap_or_else(|| id.to_owned()));
    let user = used.user.as_deref().and_then(|id| Some(directory?.user(id)?.value.name));
    let team = used.team.as_deref().and_then(|id| Some(directory?.team(id)?.value.name));
    key.into_iter().chain(user).chain(team).collect()
}
