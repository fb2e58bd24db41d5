//! `/admin/api/tokens…`: accounts in the shapes that scripts for token pools expect, as a view of credentials.

use futures_util::{StreamExt as _, stream};
use http::{Response, StatusCode};
use jiff::Timestamp;
use polyport_routing::{Counts, State};
use polyport_store::{AuditEntry, AuditFilter};
use polyport_types::secret::mask;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::credentials::{self, Act, Seat};
use super::{Answer, Query, Refusal, View, What, definitions, import, members, people};
use crate::body::Body;
use crate::config::Service;
use crate::config::definitions::Definition;

/// What can be asked about tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    List,
    Create,
    BatchImport,
    BatchDelete,
    One,
    Change,
    Delete,
    Refresh,
    HealthCheck,
    QuotaRefresh,
    RefreshAll,
    Statistics,
    Events,
    Health,
    Readiness,
}

/// Token servers are asked so many at once.
const AT_ONCE: usize = 3;

/// Ids in one call.
const MOST: usize = 10_000;

/// An account, in the words of token pools. What Polyport does not count is null.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Token {
    /// A number made from the id of the credential: always the same for it.
    id: u64,
    /// The id of the credential at `/admin/api/credentials`.
    credential: String,
    /// The provider that it belongs to.
    provider: String,
    /// Its refresh token, masked.
    warp_refresh_token: Option<String>,
    /// Its name.
    email: String,
    api_key: Option<String>,
    id_token: Option<String>,
    total_limit: Option<u64>,
    used_limit: Option<u64>,
    #[schemars(extend("enum" = STATUSES))]
    status: &'static str,
    /// Attempts that failed.
    error_count: u64,
    /// Why it rests or is not used, for programs.
    last_error_code: Option<String>,
    /// The same, for people.
    last_error_message: Option<String>,
    last_success_at: Option<String>,
    /// Its last health check.
    last_check_at: Option<String>,
    /// Until when it rests.
    cooldown_until: Option<String>,
    /// Attempts.
    use_count: u64,
    quota_limit: Option<u64>,
    quota_used: Option<u64>,
    quota_remaining: Option<u64>,
    quota_is_unlimited: Option<bool>,
    quota_next_refresh_time: Option<String>,
    quota_refresh_duration: Option<String>,
    quota_updated_at: Option<String>,
    created_at: Option<String>,
    updated_at: Option<String>,
    /// The next request may use it.
    healthy: bool,
    /// Unix seconds.
    health_last_checked_at: Option<f64>,
    health_last_success_at: Option<f64>,
    health_last_error: Option<String>,
    health_consecutive_failures: Option<u64>,
    health_latency_ms: Option<u64>,
    health_updated_at: Option<f64>,
}

/// The states of tokens.
const STATUSES: [&str; 5] = ["active", "cooldown", "quota_exhausted", "blocked", "disabled"];

/// An account of the configuration: in use, or only in the database.
struct Row<'v> {
    credential: String,
    seat: Option<Seat<'v>>,
    declared: Option<&'v Definition>,
}

impl Row<'_> {
    fn number(&self) -> u64 {
        number(&self.credential)
    }

    fn created_at(&self) -> i64 {
        self.declared.map_or(i64::MIN, |one| one.created_at)
    }

    fn status(&self, view: &View) -> &'static str {
        match &self.seat {
            Some(seat) => match seat.state(view) {
                State::Ready | State::Refreshing => "active",
                State::Cooling { .. } => "cooldown",
                State::Exhausted { .. } => "quota_exhausted",
                State::Invalid { .. } => "blocked",
                State::Disabled => "disabled",
            },
            None if self.declared.is_some_and(|one| !one.enabled) => "disabled",
            None => "blocked",
        }
    }

    /// Until when it rests, in Unix milliseconds.
    fn rests_until(&self, view: &View) -> Option<u64> {
        match self.seat.as_ref()?.state(view) {
            State::Cooling { until, .. } | State::Exhausted { until, .. } => Some(until),
            State::Ready | State::Refreshing | State::Invalid { .. } | State::Disabled => None,
        }
    }

    fn is_usable(&self, view: &View) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.usable(view))
    }

    /// Why it is not used, for programs and for people.
    fn error(&self, view: &View) -> (Option<String>, Option<String>) {
        let Some(seat) = &self.seat else {
            let standing = self.declared.and_then(|one| view.runtime.config.declared.out.get(&one.id));
            let problem = standing.and_then(|standing| standing.problems().first());
            return (None, problem.map(|problem| problem.message.clone()));
        };
        match seat.state(view) {
            State::Cooling { cause, .. } | State::Exhausted { cause, .. } => {
                (Some(cause.as_str().to_owned()), seat.refresh_error())
            }
            State::Invalid { reason } => (Some("invalid".to_owned()), Some(reason.to_string())),
            State::Ready | State::Refreshing | State::Disabled => (None, seat.refresh_error()),
        }
    }

    fn shown(&self, view: &View) -> Token {
        let seat = self.seat.as_ref();
        let Counts { requests, failures, .. } = seat.map(Seat::counts).unwrap_or_default();
        let check =
            seat.and_then(|seat| view.app.credentials.check_of(&seat.provider.name, Some(&seat.credential.member.id)));
        let told = seat.and_then(|seat| view.app.credentials.quota_of(&seat.provider.name, &seat.credential.member.id));
        let bucket =
            told.as_ref().and_then(|told| told.quota.buckets.iter().min_by_key(|bucket| bucket.model.is_some()));
        let (limit, used) = bucket.map(|bucket| (bucket.limit, bucket.used)).unwrap_or_default();
        let (code, message) = self.error(view);
        let label = seat.map(|seat| seat.credential.label.to_string());
        // The ends of a key file tell nothing.
        let stored = self.declared.and_then(|one| one.secret());
        let stored = stored.map(|(member, text)| if member == "key_file" { mask("") } else { mask(text) });
        Token {
            id: self.number(),
            credential: self.credential.clone(),
            provider: seat
                .map(|seat| seat.provider.name.to_string())
                .or_else(|| Some(self.declared?.provider.to_string()))
                .unwrap_or_default(),
            warp_refresh_token: seat.map(Seat::masked).or(stored),
            email: label.or_else(|| Some(self.declared?.name.to_string())).unwrap_or_default(),
            api_key: None,
            id_token: None,
            total_limit: limit,
            used_limit: used,
            status: self.status(view),
            error_count: failures,
            last_error_code: code,
            last_error_message: message.clone(),
            last_success_at: None,
            last_check_at: check.as_ref().and_then(|check| time(check.at)),
            cooldown_until: self.rests_until(view).and_then(time),
            use_count: requests,
            quota_limit: limit,
            quota_used: used,
            quota_remaining: limit.zip(used).map(|(limit, used)| limit.saturating_sub(used)),
            quota_is_unlimited: bucket.map(|bucket| bucket.unlimited),
            quota_next_refresh_time: bucket.and_then(|bucket| text_of(bucket.resets_at?.checked_mul(1000)?)),
            quota_refresh_duration: bucket.and_then(|bucket| Some(bucket.period.as_ref()?.to_string())),
            quota_updated_at: told.as_ref().and_then(|told| time(told.at)),
            created_at: self.declared.and_then(|one| text_of(one.created_at)),
            updated_at: self.declared.and_then(|one| text_of(one.updated_at)),
            healthy: self.is_usable(view),
            health_last_checked_at: check.as_ref().map(|check| seconds(check.at)),
            health_last_success_at: None,
            health_last_error: message,
            health_consecutive_failures: None,
            health_latency_ms: None,
            health_updated_at: check.as_ref().map(|check| seconds(check.at)),
        }
    }
}

/// 53 bits, which every program can hold, of a digest of the id: always the same for a credential.
fn number(credential: &str) -> u64 {
    let digest = blake3::hash(credential.as_bytes());
    digest.as_bytes().iter().take(7).fold(0, |number, byte| (number << 8) | u64::from(*byte)) >> 3
}

fn time(at: u64) -> Option<String> {
    text_of(i64::try_from(at).ok()?)
}

/// Milliseconds as ISO 8601 writes them.
fn text_of(at: i64) -> Option<String> {
    Timestamp::from_millisecond(at).ok().map(|at| at.to_string())
}

fn seconds(at: u64) -> f64 {
    at as f64 / 1000.0
}

/// All accounts, the newest first.
fn rows(view: &View) -> Vec<Row<'_>> {
    let seats = credentials::all(view).filter(Seat::is_account);
    let mut rows: Vec<Row<'_>> = seats
        .map(|seat| Row { credential: seat.id(), declared: seat.declared(view).map(AsRef::as_ref), seat: Some(seat) })
        .collect();
    let idle = credentials::without_seat(view).filter(|one| one.is_account());
    rows.extend(idle.map(|one| Row { credential: one.id.to_string(), seat: None, declared: Some(one) }));
    rows.sort_by_key(|row| std::cmp::Reverse(row.created_at()));
    rows
}

/// By its number, or by the id of its credential.
fn find<'v>(view: &'v View, id: &str) -> Result<Row<'v>, Refusal> {
    let wanted = id.parse::<u64>().ok();
    let found = rows(view).into_iter().find(|row| row.credential == id || wanted == Some(row.number()));
    found.ok_or_else(|| Refusal::not_found("token not found"))
}

fn token(view: &View, credential: &str) -> Result<Token, Refusal> {
    find(&View::of(&view.app), credential).map(|row| row.shown(&View::of(&view.app)))
}

/// A refusal as scripts for token pools read it.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    let status = if refusal.code == "no_admin_key" { StatusCode::SERVICE_UNAVAILABLE } else { refusal.status };
    refusal.written(status, &json!({ "detail": refusal.message }), "application/json")
}

pub(super) async fn answer(view: &View, ask: Ask, id: &str, query: &Query, body: Value) -> Result<Answer, Refusal> {
    let plain = |body: Value| members(body, &[]).map(drop);
    let data = match ask {
        Ask::List => value(rows(view).iter().map(|row| row.shown(view)).collect::<Vec<_>>()),
        Ask::One => value(find(view, id)?.shown(view)),
        Ask::Create => {
            let mut given = members(body, &["token"])?;
            let token = given.remove("token").filter(Value::is_string);
            let token =
                token.ok_or_else(|| Refusal::member("token", "give the refresh token of an account, as a text"))?;
            import_texts(view, query, vec![token]).await?
        }
        Ask::BatchImport => batch_import(view, query, body).await?,
        Ask::BatchDelete => batch_delete(view, body).await?,
        Ask::Change => change(view, id, body).await?,
        Ask::Delete => {
            let row = find(view, id)?;
            definitions::delete(view, What::Credential, &row.credential, None).await?;
            json!({ "deleted": true, "id": row.number() })
        }
        Ask::Refresh => {
            plain(body)?;
            let credential = find(view, id)?.credential;
            let done = credentials::act(view, &credential, Act::Refresh).await;
            json!({ "success": done.is_ok(), "token": token(view, &credential)? })
        }
        Ask::HealthCheck => {
            plain(body)?;
            let row = find(view, id)?;
            let mut done = credentials::act(view, &row.credential, Act::Refresh).await.is_ok();
            if done && row.seat.as_ref().is_some_and(Seat::tells_quota) {
                done = credentials::act(view, &row.credential, Act::Quota).await.is_ok();
            }
            json!({ "success": done, "token": token(view, &row.credential)? })
        }
        Ask::QuotaRefresh => {
            plain(body)?;
            let credential = find(view, id)?.credential;
            let done = credentials::act(view, &credential, Act::Quota).await;
            let token = token(view, &credential)?;
            let quota = done.is_ok().then(|| {
                json!({
                    "request_limit": token.quota_limit, "requests_used": token.quota_used,
                    "requests_remaining": token.quota_remaining, "is_unlimited": token.quota_is_unlimited,
                    "next_refresh_time": token.quota_next_refresh_time, "refresh_duration": token.quota_refresh_duration,
                })
            });
            json!({ "success": done.is_ok(), "quota": quota, "token": token })
        }
        Ask::RefreshAll => {
            plain(body)?;
            let rows = rows(view).into_iter().filter(|row| !matches!(row.status(view), "blocked" | "disabled"));
            let all: Vec<String> = rows.map(|row| row.credential).collect();
            let success = refreshed(view, &all).await.len();
            json!({ "total": all.len(), "success": success, "failed": all.len() - success })
        }
        Ask::Statistics => statistics(view),
        Ask::Events => events(view, query).await?,
        Ask::Health => health(view),
        Ask::Readiness => readiness(view),
    };
    Ok(json!({ "success": true, "data": data }).into())
}

fn value(shown: impl Serialize) -> Value {
    serde_json::to_value(shown).unwrap_or_default()
}

/// Those of these credentials that got a token.
async fn refreshed(view: &View, all: &[String]) -> Vec<String> {
    let refresh = |credential: &String| {
        let credential = credential.clone();
        async move { credentials::act(view, &credential, Act::Refresh).await.is_ok().then_some(credential) }
    };
    stream::iter(all).map(refresh).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

async fn batch_import(view: &View, query: &Query, body: Value) -> Result<Value, Refusal> {
    let mut given = members(body, &["tokens", "accounts"])?;
    let mut list = |member: &str| match given.remove(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(Refusal::member(member, "a list is expected")),
    };
    let (accounts, tokens) = (list("accounts")?, list("tokens")?);
    if accounts.is_empty() {
        return import_texts(view, query, tokens).await;
    }
    let Imported { inserted, duplicated, invalid, results, .. } = imported(view, query, accounts).await?;
    Ok(json!({ "inserted": inserted, "duplicated": duplicated, "updated": 0, "invalid": invalid, "results": results }))
}

/// Imports refresh tokens, and gets an access token for each.
async fn import_texts(view: &View, query: &Query, tokens: Vec<Value>) -> Result<Value, Refusal> {
    let Imported { made, inserted, duplicated, invalid, results } = imported(view, query, tokens).await?;
    let hydrated = refreshed(&View::of(&view.app), &made).await;
    let ids: Vec<u64> = made.iter().filter(|id| hydrated.contains(id)).map(|id| number(id)).collect();
    Ok(json!({
        "inserted": inserted, "duplicated": duplicated, "invalid": invalid, "hydrated": ids.len(),
        "hydrate_failed": made.len() - ids.len(), "hydrated_token_ids": ids, "results": results,
    }))
}

/// What became of many.
#[derive(Default)]
struct Imported {
    /// The ids of the credentials.
    made: Vec<String>,
    inserted: usize,
    duplicated: usize,
    invalid: usize,
    results: Vec<Value>,
}

async fn imported(view: &View, query: &Query, entries: Vec<Value>) -> Result<Imported, Refusal> {
    if entries.is_empty() {
        return Err(Refusal::member("tokens", "give `tokens` or `accounts`, with at least one entry"));
    }
    let provider = query.get("provider").map(str::to_owned).or_else(|| import::only_one_with_accounts(view));
    let items = import::accounts(provider.as_deref(), entries);
    let mut all = Imported::default();
    for mut result in import::run(view, items).await? {
        match result.get("result").and_then(Value::as_str) {
            Some("created") => all.inserted += 1,
            Some("duplicate") => all.duplicated += 1,
            _ => all.invalid += 1,
        }
        if let Some(id) = result.get("id").and_then(Value::as_str).map(str::to_owned) {
            super::extend(&mut result, json!({ "id": number(&id), "credential": id }));
            all.made.push(id);
        }
        all.results.push(result);
    }
    Ok(all)
}

async fn batch_delete(view: &View, body: Value) -> Result<Value, Refusal> {
    let wrong = || Refusal::member("ids", format!("a list of at most {MOST} ids of tokens is expected"));
    let Some(Value::Array(ids)) = members(body, &["ids"])?.remove("ids") else { return Err(wrong()) };
    let text = |id: &Value| match id {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => id.as_u64().map(|id| id.to_string()),
        _ => None,
    };
    let mut wanted: Vec<String> = ids.iter().map(text).collect::<Option<_>>().ok_or_else(wrong)?;
    if wanted.len() > MOST {
        return Err(wrong());
    }
    wanted.sort();
    wanted.dedup();
    let (mut deleted, mut missing, mut refused) = (0, 0, Vec::new());
    for id in &wanted {
        let view = View::of(&view.app);
        let Ok(row) = find(&view, id) else {
            missing += 1;
            continue;
        };
        match definitions::delete(&view, What::Credential, &row.credential, None).await {
            Ok(_) => deleted += 1,
            Err(refusal) => refused.push(json!({ "id": row.number(), "detail": refusal.message })),
        }
    }
    Ok(json!({ "requested": wanted.len(), "deleted": deleted, "missing": missing, "refused": refused }))
}

async fn change(view: &View, id: &str, body: Value) -> Result<Value, Refusal> {
    let mut given: Map<String, Value> = members(body, &["status"])?;
    let on = match given.remove("status").as_ref().and_then(Value::as_str) {
        Some("active") => true,
        Some("disabled") => false,
        Some(other) if STATUSES.contains(&other) => {
            let words = format!("`{other}` comes about by itself; give active or disabled");
            return Err(Refusal::member("status", words));
        }
        _ => return Err(Refusal::member("status", "give active or disabled")),
    };
    // An id that is not known is a bad request here.
    let row = find(view, id).map_err(|refusal| Refusal { status: StatusCode::BAD_REQUEST, ..refusal })?;
    credentials::act(view, &row.credential, if on { Act::Enable } else { Act::Disable }).await?;
    let view = View::of(&view.app);
    if on && find(&view, &row.credential)?.seat.is_some() {
        credentials::act(&view, &row.credential, Act::Revive).await?;
    }
    token(&view, &row.credential).map(value)
}

fn statistics(view: &View) -> Value {
    let rows = rows(view);
    let count = |status: &str| rows.iter().filter(|row| row.status(view) == status).count();
    let by_status: Map<String, Value> =
        STATUSES.iter().map(|status| ((*status).to_owned(), count(status).into())).collect();
    json!({ "total": rows.len(), "by_status": by_status })
}

/// What the audit log says of tokens.
async fn events(view: &View, query: &Query) -> Result<Value, Refusal> {
    let Some(store) = &view.app.identity.store else { return Ok(json!([])) };
    let filter = AuditFilter { object_kind: Some("tokens".to_owned()), ..AuditFilter::default() };
    let entries = store.audit().page(&filter, query.limit()).await.map_err(people::refusal)?;
    let shown = |entry: &AuditEntry| {
        let of = entry.object.as_deref();
        json!({
            "id": number(&entry.id),
            "action": entry.action,
            "actor": entry.actor,
            "token_id": of.map(|of| of.parse().unwrap_or_else(|_| number(of))),
            "result": if entry.status < 400 { "success" } else { "failed" },
            "detail": entry.detail.to_string().chars().take(1000).collect::<String>(),
            "created_at": text_of(entry.at),
        })
    };
    Ok(entries.iter().map(shown).collect())
}

fn health(view: &View) -> Value {
    let rows = rows(view);
    let healthy = rows.iter().filter(|row| row.is_usable(view)).count();
    let every = rows.iter().filter_map(|row| match &row.seat.as_ref()?.provider.service {
        Service::Http(http) => http.probe_every,
        Service::Process(_) | Service::Echo => None,
    });
    let every = every.min().map(|every| every.as_secs());
    let item = |token: Token| {
        json!({
            "token_id": token.id, "healthy": token.healthy, "last_checked_at": token.health_last_checked_at,
            "last_success_at": token.health_last_success_at, "last_error": token.health_last_error,
            "consecutive_failures": token.health_consecutive_failures, "latency_ms": token.health_latency_ms,
            "updated_at": token.health_updated_at,
        })
    };
    json!({
        "running": every.is_some(),
        "interval_seconds": every,
        "per_token_refresh_interval_seconds": every,
        "max_parallel_checks": null,
        "quota_retry_lead_seconds": null,
        "token_count": rows.len(),
        "healthy_count": healthy,
        "unhealthy_count": rows.len() - healthy,
        "items": rows.iter().map(|row| item(row.shown(view))).collect::<Vec<_>>(),
    })
}

fn readiness(view: &View) -> Value {
    let rows = rows(view);
    let count = |status: &str| rows.iter().filter(|row| row.status(view) == status).count();
    let available = rows.iter().filter(|row| row.is_usable(view)).count();
    let soonest = rows.iter().filter_map(|row| row.rests_until(view)).min();
    json!({
        "ready": available > 0,
        "reason": if available > 0 { "ok" } else { "no_available_token" },
        "total_tokens": rows.len(),
        "available_tokens": available,
        "blocked_tokens": count("blocked"),
        "disabled_tokens": count("disabled"),
        "quota_exhausted_tokens": count("quota_exhausted"),
        "cooldown_tokens": count("cooldown"),
        "soonest_recovery_seconds": soonest.map(|until| until.saturating_sub(view.now).div_ceil(1000)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_everywhere_and_stay() {
        assert_eq!(number("up:1"), number("up:1"));
        assert_ne!(number("up:1"), number("up:2"));
        assert!((0..1000).all(|at: u32| number(&at.to_string()) < 1 << 53));
    }
}
