//! What was used: requests, the ledger, sums, and what is left of limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use polyport_accounting::{Limit, Money, Standing};
use polyport_store::Error;

use polyport_store::log::{
    Attempt, Cursor, Dimension, Entry, Forgotten, Found, LedgerQuery, Line, Log, Measure, Order, Page, Period,
    Query as Search, StatsQuery, StatsRow, Status, Totals,
};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::people::user_in_scope;
use super::query::Query;
use super::{Refusal, View, credentials};
use crate::app::App;
use crate::body::Body;
use crate::directory::quotas::{Quota, Subject};
use crate::identity::principal::Scope;

/// Lines of an export that are read at once.
const PORTION: usize = 1000;

/// Pieces of an answer that wait for a slow reader.
pub(super) const AHEAD: usize = 4;

/// Readers of the live log come again after this time, and show again who they are. Clients for events do so by themselves.
pub(super) const LIVE: Duration = Duration::from_secs(10 * 60);

/// A sign of life for readers of the live log.
const ALIVE: Duration = Duration::from_secs(15);

/// Rows that are changed at once.
const FORGET: u32 = 2000;

/// Rows of statistics, where nobody says how many.
const ROWS: usize = 1000;

/// What can be asked about use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Requests,
    Request,
    Ledger,
    Sums,
    Quotas,
    /// Takes what tells of a user out of the log.
    Forget,
}

pub(super) async fn answer(view: &View, ask: Ask, id: &str, query: &Query) -> Result<Value, Refusal> {
    let log = || log(view);
    let reader = Reader::of(view);
    match ask {
        Ask::Requests => {
            let page = log()?.requests(&reader.search(query)?).await.map_err(|error| away(&error))?;
            Ok(page_of("requests", &page, |found| reader.request(found)))
        }
        Ask::Request => {
            match log()?.request(id.strip_prefix("req_").unwrap_or(id)).await.map_err(|error| away(&error))? {
                Some(found) if reader.may_see(&found.entry) => Ok(reader.request(&found)),
                _ => Err(Refusal::not_found("there is no such request; it may be older than the log")),
            }
        }
        Ask::Ledger => {
            let page = log()?.ledger(&reader.ledger(query)?).await.map_err(|error| away(&error))?;
            Ok(page_of("lines", &page, |one| reader.line(one)))
        }
        Ask::Sums => {
            let asked = reader.sums(query)?;
            let rows = log()?.stats(&asked).await.map_err(|error| away(&error))?;
            let period = query.get("period").unwrap_or("day");
            let mut shown: Vec<Value> = rows.iter().map(row).collect();
            shown.iter_mut().for_each(|row| tell_credential(view, row));
            Ok(json!({ "period": period, "from": time(asked.from), "to": time(asked.to), "rows": shown }))
        }
        Ask::Forget => {
            let user = user_in_scope(view, id)?;
            let keys = view.app.directory.as_ref().map(|directory| directory.key_ids_of(&user.id)).unwrap_or_default();
            let forgotten = log()?.forget(Some(&user.id), &keys, FORGET).await.map_err(|error| away(&error))?;
            let Forgotten { requests, payloads, .. } = forgotten;
            Ok(json!({ "id": user.id, "requests": requests, "payloads": payloads }))
        }
        Ask::Quotas => query.page("quotas", quotas(view)),
    }
}

/// Who reads: others see what is theirs, and nothing of how the gateway reaches its providers.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    scope: Scope,
    app: Arc<App>,
}

impl Reader {
    pub(super) fn of(view: &View) -> Self {
        Self { scope: view.principal.scope(), app: Arc::clone(&view.app) }
    }

    fn sees_all(&self) -> bool {
        self.scope == Scope::All
    }

    fn may_see(&self, entry: &Entry) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Team(team) => entry.team.as_ref() == Some(team),
            Scope::User(user) => entry.user.as_ref() == Some(user),
            Scope::Nothing => false,
        }
    }

    /// Bounds what is looked for to what may be seen. A filter for somebody else finds nothing.
    pub(super) fn bound(&self, user: &mut Option<String>, team: &mut Option<String>) {
        let (own, slot) = match &self.scope {
            Scope::All => return,
            Scope::Team(team_id) => (team_id.as_str(), team),
            Scope::User(id) => (id.as_str(), user),
            Scope::Nothing => (NOBODY, user),
        };
        let asked = slot.take().is_none_or(|asked| asked == own);
        *slot = Some(if asked { own } else { NOBODY }.to_owned());
    }

    fn search(&self, query: &Query) -> Result<Search, Refusal> {
        let mut asked = search(query)?;
        self.bound(&mut asked.user, &mut asked.team);
        self.refuse_credentials(query)?;
        self.as_logged(&mut asked.credential, &mut asked.provider);
        Ok(asked)
    }

    fn ledger(&self, query: &Query) -> Result<LedgerQuery, Refusal> {
        let mut asked = ledger(query)?;
        self.bound(&mut asked.user, &mut asked.team);
        self.refuse_credentials(query)?;
        self.as_logged(&mut asked.credential, &mut asked.provider);
        Ok(asked)
    }

    fn sums(&self, query: &Query) -> Result<StatsQuery, Refusal> {
        let mut asked = sums(query)?;
        self.refuse_credentials(query)?;
        if !self.sees_all() && asked.by.contains(&Dimension::Credential) {
            return Err(Refusal::parameter("by", "only operators may tell credentials apart"));
        }
        let (mut user, mut team) = (asked.only.remove(&Dimension::User), asked.only.remove(&Dimension::Team));
        self.bound(&mut user, &mut team);
        asked.only.extend(user.map(|user| (Dimension::User, user)));
        asked.only.extend(team.map(|team| (Dimension::Team, team)));
        let mut provider = asked.only.remove(&Dimension::Provider);
        let mut credential = asked.only.remove(&Dimension::Credential);
        self.as_logged(&mut credential, &mut provider);
        asked.only.extend(provider.map(|provider| (Dimension::Provider, provider)));
        asked.only.extend(credential.map(|credential| (Dimension::Credential, credential)));
        Ok(asked)
    }

    /// The log has ids of its own for credentials, which are the same for the same secret of a provider.
    fn as_logged(&self, credential: &mut Option<String>, provider: &mut Option<String>) {
        let Some(id) = credential else { return };
        let (of, logged) = credentials::logged_as(&View::of(&self.app), id);
        *id = logged;
        if provider.is_none() {
            *provider = of;
        }
    }

    fn refuse_credentials(&self, query: &Query) -> Result<(), Refusal> {
        match query.get("credential") {
            Some(_) if !self.sees_all() => {
                Err(Refusal::parameter("credential", "only operators may ask by credential"))
            }
            _ => Ok(()),
        }
    }

    fn request(&self, found: &Found) -> Value {
        let mut shown = self.entry(&found.entry);
        shown["captured"] = found.captured.into();
        shown
    }

    fn entry(&self, one: &Entry) -> Value {
        let mut shown = entry(one);
        let view = View::of(&self.app);
        for attempt in shown["attempts"].as_array_mut().into_iter().flatten() {
            self.clear(&view, attempt);
        }
        shown
    }

    /// Makes of an attempt what this reader may see of it.
    fn clear(&self, view: &View, attempt: &mut Value) {
        match self.sees_all() {
            true => tell_credential(view, attempt),
            false => hide(attempt),
        }
    }

    fn line(&self, one: &Line) -> Value {
        let mut shown = line(one);
        self.clear(&View::of(&self.app), &mut shown);
        shown
    }
}

/// The id of nobody.
const NOBODY: &str = "\u{1}";

/// Tells the credential of an attempt, or of a sum, by the id that it is found with.
fn tell_credential(view: &View, shown: &mut Value) {
    let Some(logged) = shown.get("credential").and_then(Value::as_str) else { return };
    let provider = shown.get("provider").and_then(Value::as_str);
    if let Some(id) = credentials::id_of_logged(view, provider, logged) {
        shown["credential"] = id.into();
    }
}

/// Leaves out what only operators need to know of an attempt.
fn hide(attempt: &mut Value) {
    if let Some(members) = attempt.as_object_mut() {
        members.remove("credential");
        members.remove("error");
    }
}

pub(super) fn log(view: &View) -> Result<&Log, Refusal> {
    let none = || Refusal::new(StatusCode::NOT_FOUND, "no_database", "there is no database, so nothing is logged");
    view.app.ledger.log().ok_or_else(none)
}

pub(super) fn away(error: &Error) -> Refusal {
    tracing::warn!(%error, "the request log cannot be read");
    let words = "the request log does not answer now; try again";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable", words)
}

fn page_of<T>(list: &str, page: &Page<T>, shown: impl Fn(&T) -> Value) -> Value {
    let rows: Vec<Value> = page.rows.iter().map(shown).collect();
    json!({ list: rows, "next": page.next.map(|next| next.to_string()) })
}

/// A point in time: RFC 3339, or Unix milliseconds.
pub(super) fn moment(query: &Query, name: &'static str) -> Result<Option<i64>, Refusal> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let millis = text.parse::<i64>().ok().filter(|millis| *millis >= 0);
    let found = millis.or_else(|| text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond));
    let wrong = || Refusal::parameter(name, "give a time such as 2026-01-31T12:00:00Z, or Unix milliseconds");
    found.filter(|at| time(*at).is_some()).ok_or_else(wrong).map(Some)
}

pub(super) fn time(millis: i64) -> Option<String> {
    Timestamp::from_millisecond(millis).ok().map(|at| format!("{at:.3}"))
}

fn cursor(query: &Query) -> Result<Option<Cursor>, Refusal> {
    let read =
        |text: &str| text.parse().map_err(|_| Refusal::parameter("after", "this is no `next` of an earlier page"));
    query.get("after").map(read).transpose()
}

fn order(query: &Query) -> Order {
    if query.get("order") == Some("oldest") { Order::Oldest } else { Order::Newest }
}

fn search(query: &Query) -> Result<Search, Refusal> {
    let text = |name| query.get(name).map(str::to_owned);
    Ok(Search {
        from: moment(query, "from")?,
        to: moment(query, "to")?,
        id: text("id").map(|id| id.strip_prefix("req_").unwrap_or(&id).to_owned()),
        key: text("of_key"),
        user: text("user"),
        team: text("team"),
        model: text("model"),
        provider: text("provider"),
        credential: text("credential"),
        protocol: text("protocol"),
        outcome: text("outcome"),
        status: query.get("status").map(status).transpose()?,
        min_duration_ms: query.get("min_duration_ms").and_then(|text| text.parse().ok()),
        failed: query.flag("failed"),
        text: text("q"),
        order: order(query),
        after: cursor(query)?,
        limit: query.limit() as usize,
    })
}

fn status(text: &str) -> Result<Status, Refusal> {
    let class = text.strip_suffix("xx").and_then(|class| class.parse().ok()).filter(|class| (1..=5).contains(class));
    let one = || text.parse().ok().filter(|status| (100..=599).contains(status)).map(Status::Is);
    let wrong = || Refusal::parameter("status", "give a status such as 429, or a class such as 5xx");
    class.map(Status::Class).or_else(one).ok_or_else(wrong)
}

fn ledger(query: &Query) -> Result<LedgerQuery, Refusal> {
    let text = |name| query.get(name).map(str::to_owned);
    let state = |text: &str| serde_json::from_value(Value::from(text)).ok();
    Ok(LedgerQuery {
        from: moment(query, "from")?,
        to: moment(query, "to")?,
        key: text("of_key"),
        user: text("user"),
        team: text("team"),
        model: text("model"),
        provider: text("provider"),
        credential: text("credential"),
        state: query.get("state").and_then(state),
        charged: query.flag("charged"),
        order: order(query),
        after: cursor(query)?,
        limit: query.limit() as usize,
    })
}

/// A request as it is shown.
fn entry(entry: &Entry) -> Value {
    let attempts: Vec<Value> = entry.attempts.iter().map(attempt).collect();
    let charged = entry.attempts.iter().filter(|attempt| attempt.charged);
    let tokens: u64 = charged.clone().map(Attempt::tokens).sum();
    let output: u64 = charged.clone().map(|attempt| attempt.output() + attempt.reasoning()).sum();
    let mut shown = json!({
        "id": format!("req_{}", entry.id),
        "at": time(entry.at),
        "key": subject(entry.key.as_ref(), entry.key_name.as_ref()),
        "user": subject(entry.user.as_ref(), entry.user_name.as_ref()),
        "team": subject(entry.team.as_ref(), entry.team_name.as_ref()),
        "protocol": entry.protocol,
        "route": entry.route,
        "model": entry.model,
        "stream": entry.stream,
        "status": entry.status,
        "outcome": entry.outcome,
        "finish": entry.finish,
        "error": entry.error,
        "first_token_ms": entry.first_token_ms,
        "duration_ms": entry.duration_ms,
        "tokens_per_second": speed(entry, output),
        "tokens": tokens,
        "cost": costs(charged),
        "losses": entry.losses,
        "loss_report": entry.loss_report,
        "upstream_id": entry.upstream_id,
        "source": entry.source,
        "attempts": attempts,
    });
    if let Some(payload) = &entry.payload {
        shown["payload"] = serde_json::to_value(payload).unwrap_or_default();
    }
    shown
}

/// An answer that is there so soon after its first token came as a whole, in one piece or a few: that tells no speed. Milliseconds.
const AT_ONCE: u32 = 50;

/// Tokens of the answer in a second, from its first to its end.
fn speed(entry: &Entry, output: u64) -> Option<f64> {
    let took = entry.duration_ms.checked_sub(entry.first_token_ms?).filter(|took| *took >= AT_ONCE)?;
    let output = u32::try_from(output).ok().filter(|output| *output > 0)?;
    Some((f64::from(output) * 10_000.0 / f64::from(took)).round() / 10.0)
}

fn subject(id: Option<&String>, name: Option<&String>) -> Option<Value> {
    id.map(|id| json!({ "id": id, "name": name }))
}

/// What attempts cost, by currency. Empty where no price is known.
fn costs<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Value {
    let mut sums: BTreeMap<&str, u128> = BTreeMap::new();
    for attempt in attempts {
        if let (Some(cost), Some(currency)) = (attempt.cost, &attempt.currency) {
            let sum = sums.entry(currency).or_default();
            *sum = sum.saturating_add(cost);
        }
    }
    sums.into_iter().map(|(currency, sum)| (currency.to_owned(), money(sum))).collect()
}

pub(super) fn money(picos: u128) -> Value {
    Money::from_picos(picos).to_string().into()
}

fn attempt(attempt: &Attempt) -> Value {
    let counts: serde_json::Map<String, Value> =
        attempt.counts.iter().map(|(class, count)| (class.clone(), (*count).into())).collect();
    json!({
        "n": attempt.n,
        "at": time(attempt.at),
        "provider": attempt.provider,
        "credential": attempt.credential,
        "model": attempt.model,
        "status": attempt.status,
        "outcome": attempt.outcome,
        "error": attempt.error,
        "first_token_ms": attempt.first_token_ms,
        "duration_ms": attempt.duration_ms,
        "state": attempt.state.as_str(),
        "charged": attempt.charged,
        "ending": attempt.ending.as_str(),
        "tokens": attempt.tokens(),
        "counts": counts,
        "cost": attempt.cost.map(money),
        "currency": attempt.currency,
        "unpriced": attempt.unpriced,
    })
}

fn line(line: &Line) -> Value {
    let mut shown = attempt(&line.attempt);
    if let Some(members) = shown.as_object_mut() {
        members.remove("error");
    }
    shown["request"] = format!("req_{}", line.request).into();
    shown["requested_at"] = time(line.at).into();
    shown["key"] = subject(line.key.as_ref(), line.key_name.as_ref()).into();
    shown["user"] = subject(line.user.as_ref(), line.user_name.as_ref()).into();
    shown["team"] = subject(line.team.as_ref(), line.team_name.as_ref()).into();
    shown["asked"] = line.model.clone().into();
    shown
}

fn sums(query: &Query) -> Result<StatsQuery, Refusal> {
    let (period, usual) = match query.get("period") {
        Some("minute") => (Period::Minute, 60 * 60),
        Some("hour") => (Period::Hour, 24 * 3600),
        Some("month") => (Period::Month, 366 * 24 * 3600),
        _ => (Period::Day, 30 * 24 * 3600),
    };
    let to = moment(query, "to")?.unwrap_or_else(|| Timestamp::now().as_millisecond().saturating_add(1));
    let from = moment(query, "from")?.unwrap_or_else(|| to.saturating_sub(usual * 1000));
    if from >= to {
        return Err(Refusal::parameter("from", "it must be before `to`"));
    }
    let mut by = Vec::new();
    for word in query.get("by").into_iter().flat_map(|by| by.split(',')) {
        let dimension = dimension(word.trim());
        let wrong =
            || Refusal::parameter("by", "give some of key, user, team, model, provider, credential, with commas");
        by.push(dimension.ok_or_else(wrong)?);
    }
    let mut only = BTreeMap::new();
    for (name, dimension) in DIMENSIONS {
        let parameter = if name == "key" { "of_key" } else { name };
        only.extend(query.get(parameter).map(|value| (dimension, value.to_owned())));
    }
    let sort = match query.get("sort") {
        Some("failed") => Measure::Failed,
        Some("tokens") => Measure::Tokens,
        Some("output") => Measure::Output,
        Some("cost") => Measure::Cost,
        _ => Measure::Requests,
    };
    let limit = query.get("limit").map_or(ROWS, |_| query.limit() as usize);
    Ok(StatsQuery { period, from, to, by, series: query.flag("series") == Some(true), only, sort, limit })
}

const DIMENSIONS: [(&str, Dimension); 6] = [
    ("key", Dimension::Key),
    ("user", Dimension::User),
    ("team", Dimension::Team),
    ("model", Dimension::Model),
    ("provider", Dimension::Provider),
    ("credential", Dimension::Credential),
];

fn dimension(name: &str) -> Option<Dimension> {
    DIMENSIONS.into_iter().find(|(known, _)| *known == name).map(|(_, dimension)| dimension)
}

fn row(row: &StatsRow) -> Value {
    let mut shown = serde_json::Map::new();
    if let Some(starts) = row.starts {
        shown.insert("starts".to_owned(), time(starts).into());
    }
    for (name, dimension) in DIMENSIONS {
        if let Some(of) = row.of.get(&dimension) {
            shown.insert(name.to_owned(), of.clone().into());
            if let Some(called) = row.names.get(&dimension) {
                shown.insert(format!("{name}_name"), called.clone().into());
            }
        }
    }
    let Totals { cost, charged, .. } = &row.sums;
    let amounts = |sums: &BTreeMap<String, u128>| -> Value {
        sums.iter().map(|(currency, sum)| (currency.clone(), money(*sum))).collect()
    };
    let (cost, charged) = (amounts(cost), amounts(charged));
    if let Ok(Value::Object(members)) = serde_json::to_value(&row.sums) {
        shown.extend(members);
    }
    shown.insert("tokens".to_owned(), row.sums.tokens().into());
    shown.insert("cost".to_owned(), cost);
    shown.insert("charged".to_owned(), charged);
    Value::Object(shown)
}

/// All limits and what is left of them.
fn quotas(view: &View) -> Vec<Value> {
    let mut all = view.app.directory.as_ref().map(|directory| directory.quotas()).unwrap_or_default();
    all.extend(view.runtime.config.quotas.iter().map(|shared| shared.quota.clone()));
    let scope = view.principal.scope();
    all.retain(|quota| is_of(&view.app, &scope, &quota.subject));
    all.iter().flat_map(|quota| standings(&view.app, quota)).collect()
}

fn is_of(app: &App, scope: &Scope, subject: &Subject) -> bool {
    let Some(directory) = &app.directory else { return *scope == Scope::All };
    match subject {
        Subject::Key(id) => directory.key(id).is_some_and(|key| scope.holds_key(&key, directory)),
        Subject::User(id) => directory.user(id).is_some_and(|user| scope.holds_user(&user)),
        Subject::Team(id) => scope.holds_team(id),
        Subject::Several(_) => *scope == Scope::All,
    }
}

fn standings(app: &App, quota: &Quota) -> Vec<Value> {
    app.ledger.accounts.standings(quota).iter().map(|standing| standing_of(app, quota, standing)).collect()
}

/// A limit of a quota, and what is left of it.
pub(crate) fn standing_of(app: &App, quota: &Quota, standing: &Standing) -> Value {
    let directory = app.directory.as_ref();
    let (id, name) = match &quota.subject {
        Subject::Key(id) => (id.to_string(), directory.and_then(|known| known.key_name(id))),
        Subject::User(id) => (id.to_string(), directory.and_then(|known| Some(known.user(id)?.value.name))),
        Subject::Team(id) => (id.to_string(), directory.and_then(|known| Some(known.team(id)?.value.name))),
        Subject::Several(names) => (names.to_string(), None),
    };
    let models = quota.models.as_ref().map(|models| models.as_str().to_owned());
    let limit = serde_json::to_value(standing.limit).unwrap_or_default();
    let left = match standing.limit {
        Limit::Money { .. } => money(standing.remaining),
        _ => u64::try_from(standing.remaining).unwrap_or(u64::MAX).into(),
    };
    let place = [quota.subject.kind(), &id, models.as_deref().unwrap_or("*")].join("/");
    json!({
        "id": format!("{place}/{}/{}", limit["what"].as_str().unwrap_or_default(), limit["window"].as_str().unwrap_or("now")),
        "of": { "kind": quota.subject.kind(), "id": id, "name": name },
        "name": name,
        "models": models,
        "what": limit["what"],
        "window": limit["window"],
        "amount": limit["amount"],
        "left": left,
        "resets_at": standing.reset.map(|at| format!("{at:.0}")),
    })
}

/// All requests of a query, in one answer that is written as it is read.
pub(super) fn export(view: &View, query: &Query) -> Result<Response<Body>, Refusal> {
    let csv = query.get("format") == Some("csv");
    let reader = Reader::of(view);
    let asked = Search { limit: PORTION, order: Order::Oldest, after: None, ..reader.search(query)? };
    log(view)?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let app = Arc::clone(&view.app);
    view.app.tasks.spawn(async move {
        let cut = app.cut.clone();
        tokio::select! {
            () = cut.cancelled() => {}
            // Whoever stops reading ends it.
            _ = write(&app, &reader, asked, csv, &sender) => {}
        }
    });
    let (kind, name) = match csv {
        true => ("text/csv; charset=utf-8", "attachment; filename=\"requests.csv\""),
        false => ("application/jsonl", "attachment; filename=\"requests.jsonl\""),
    };
    let mut response = streamed(receiver, kind);
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    Ok(response)
}

async fn write(
    app: &App,
    reader: &Reader,
    asked: Search,
    csv: bool,
    to: &mpsc::Sender<Result<Bytes, ()>>,
) -> Option<()> {
    if csv {
        to.send(Ok(Bytes::from(format!("{}\r\n", COLUMNS.join(","))))).await.ok()?;
    }
    let mut export = app.ledger.log()?.export(asked);
    loop {
        let found = match export.next().await {
            Ok(Some(found)) => found,
            Ok(None) => return Some(()),
            Err(error) => {
                tracing::warn!(%error, "an export of the request log broke off");
                to.send(Err(())).await.ok()?;
                return None;
            }
        };
        let mut text = String::new();
        for one in &found {
            match csv {
                true => csv_line(&reader.entry(&one.entry), &mut text),
                false => text.push_str(&format!("{}\n", reader.request(one))),
            }
        }
        if !text.is_empty() {
            to.send(Ok(Bytes::from(text))).await.ok()?;
        }
    }
}

const COLUMNS: [&str; 19] = [
    "id",
    "at",
    "key",
    "user",
    "team",
    "protocol",
    "route",
    "model",
    "provider",
    "target",
    "stream",
    "status",
    "outcome",
    "finish",
    "first_token_ms",
    "duration_ms",
    "tokens",
    "cost",
    "currency",
];

fn csv_line(entry: &Value, text: &mut String) {
    let last = entry["attempts"].as_array().and_then(|attempts| attempts.last()).cloned().unwrap_or_default();
    let cost = entry["cost"].as_object().and_then(|cost| cost.iter().next());
    let cells = COLUMNS.map(|column| match column {
        "key" | "user" | "team" => entry[column]["name"].clone(),
        "provider" => last["provider"].clone(),
        "target" => last["model"].clone(),
        "cost" => cost.map(|(_, amount)| amount.clone()).unwrap_or_default(),
        "currency" => cost.map(|(currency, _)| Value::from(currency.as_str())).unwrap_or_default(),
        column => entry[column].clone(),
    });
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match cell {
            Value::Null => {}
            Value::String(cell) => text.push_str(&csv_cell(cell)),
            other => text.push_str(&other.to_string()),
        }
    }
    text.push_str("\r\n");
}

/// Quoted where it has to be. What a spreadsheet would take for a formula is made a text.
fn csv_cell(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

/// Requests as they end, as events.
pub(super) fn live(view: &View, query: &Query) -> Result<Response<Body>, Refusal> {
    log(view)?;
    let reader = Reader::of(view);
    let wanted = reader.search(query)?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (mut entries, cut) = (view.app.ledger.live(), view.app.cut.clone());
    view.app.tasks.spawn(async move {
        let feed = async {
            sender.send(Ok(Bytes::from_static(b": live\n\n"))).await.ok()?;
            let mut silent_since = Instant::now();
            loop {
                // Requests that are passed over are no sign of life.
                let text = match tokio::time::timeout_at(silent_since + ALIVE, entries.recv()).await {
                    Ok(Ok(one)) if wants(&wanted, &one) => {
                        let one = Entry { payload: None, ..Entry::clone(&one) };
                        format!("event: request\ndata: {}\n\n", reader.entry(&one))
                    }
                    Ok(Ok(_)) => continue,
                    Ok(Err(RecvError::Lagged(missed))) => format!("event: missed\ndata: {{\"requests\":{missed}}}\n\n"),
                    Ok(Err(RecvError::Closed)) => return Some(()),
                    Err(_) => ": alive\n\n".to_owned(),
                };
                sender.send(Ok(Bytes::from(text))).await.ok()?;
                silent_since = Instant::now();
            }
        };
        tokio::select! {
            () = cut.cancelled() => {}
            _ = tokio::time::timeout(LIVE, feed) => {}
        }
    });
    Ok(streamed(receiver, "text/event-stream; charset=utf-8"))
}

/// Whether a request is one of those that are asked for.
fn wants(asked: &Search, entry: &Entry) -> bool {
    let is = |wanted: &Option<String>, value: Option<&str>| wanted.is_none() || wanted.as_deref() == value;
    let of = |wanted: &Option<String>, tell: fn(&Attempt) -> Option<&str>| {
        wanted.is_none() || entry.attempts.iter().any(|attempt| tell(attempt) == wanted.as_deref())
    };
    is(&asked.key, entry.key.as_deref())
        && is(&asked.user, entry.user.as_deref())
        && is(&asked.team, entry.team.as_deref())
        && is(&asked.model, Some(&entry.model))
        && is(&asked.protocol, Some(&entry.protocol))
        && is(&asked.outcome, Some(&entry.outcome))
        && of(&asked.provider, |attempt| Some(&attempt.provider))
        && of(&asked.credential, |attempt| attempt.credential.as_deref())
        && asked.failed.is_none_or(|failed| failed == !matches!(entry.outcome.as_str(), "answered" | "client_gone"))
        && asked.min_duration_ms.is_none_or(|least| entry.duration_ms >= least)
        && asked.status.is_none_or(|status| match status {
            Status::Is(status) => entry.status == status,
            Status::Class(class) => entry.status / 100 == class,
        })
}

pub(super) fn streamed(receiver: mpsc::Receiver<Result<Bytes, ()>>, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(receiver));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a10_a_spreadsheet_calculates_nothing() {
        assert_eq!(csv_cell("=1+1"), "'=1+1");
        assert_eq!(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_cell("plain"), "plain");
    }
}
