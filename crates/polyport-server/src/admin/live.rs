//! `GET /admin/api/overview/live`: each second as it ends, and what providers did in the last minute, as events. All of it is in memory.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use polyport_routing::Fleet;
use polyport_store::log::Spread;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::overview::share;
use super::usage::{AHEAD, LIVE, streamed, time};
use super::{View, state};
use crate::app::App;
use crate::body::Body;
use crate::clock;
use crate::observe::pulse::{SECONDS, Second};

/// Seconds after which providers are told again, though nothing changed but their counts.
const PROVIDERS: u64 = 5;

pub(super) fn answer(view: &View) -> Response<Body> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let app = Arc::clone(&view.app);
    view.app.tasks.spawn(async move {
        let cut = app.cut.clone();
        tokio::select! {
            () = cut.cancelled() => {}
            // Whoever stops reading ends it, and comes again when it has lasted long.
            _ = tokio::time::timeout(LIVE, feed(&app, &sender)) => {}
        }
    });
    streamed(receiver, "text/event-stream; charset=utf-8")
}

/// Waits for its reader only: one who is slow gets the seconds meanwhile together, as far as they are still known.
async fn feed(app: &App, to: &mpsc::Sender<Result<Bytes, ()>>) -> Option<()> {
    let mut turned = app.pulse.turned();
    let mut last = *turned.borrow_and_update();
    let past: Vec<Value> = app.pulse.since(0).iter().filter(|one| one.number <= last).map(|one| second(one)).collect();
    send(to, "past", &json!({ "seconds": past })).await?;
    let (mut states, mut told_at) = (Vec::new(), 0);
    loop {
        let providers = providers(app);
        let now: Vec<(Value, Value)> =
            providers.iter().map(|one| (one["name"].clone(), one["state"].clone())).collect();
        if now != states || last >= told_at + PROVIDERS {
            send(to, "providers", &json!({ "providers": providers })).await?;
            (states, told_at) = (now, last);
        }
        turned.changed().await.ok()?;
        let end = *turned.borrow_and_update();
        let missed = end.saturating_sub(last).saturating_sub(SECONDS as u64);
        if missed > 0 {
            send(to, "missed", &json!({ "seconds": missed })).await?;
        }
        for one in app.pulse.since(last) {
            last = one.number;
            send(to, "second", &second(&one)).await?;
        }
    }
}

async fn send(to: &mpsc::Sender<Result<Bytes, ()>>, event: &str, data: &Value) -> Option<()> {
    to.send(Ok(Bytes::from(format!("event: {event}\ndata: {data}\n\n")))).await.ok()
}

fn second(one: &Second) -> Value {
    let percentiles = |spread: &Spread| Some(json!({ "p50": spread.percentile(50)?, "p95": spread.percentile(95)? }));
    let prompt = one.input() + one.cache_read() + one.cache_write();
    json!({
        "at": i64::try_from(one.at).ok().and_then(time),
        "requests": one.requests(),
        "failed": one.failed(),
        "in_flight": one.in_flight,
        "input": one.input(),
        "output": one.output(),
        "cache_read": one.cache_read(),
        "cache_write": one.cache_write(),
        "reasoning": one.reasoning(),
        "cost": one.cost.iter().map(|(currency, sum)| (currency.to_string(), Value::from(sum.to_string()))).collect::<Value>(),
        "latency_ms": percentiles(&one.latency),
        "first_token_ms": percentiles(&one.first_token),
        "cache_hit_rate": share(one.cache_read(), prompt),
    })
}

fn providers(app: &App) -> Vec<Value> {
    let (runtime, now) = (app.runtime(), clock::now());
    let fleet: &Fleet = &runtime.fleet;
    let mut all: Vec<Value> = Vec::new();
    for provider in runtime.config.providers() {
        let (requests, failed) = app.pulse.of_provider(&provider.name);
        let health = fleet.provider(&provider.name);
        let mut shown = json!({
            "name": provider.name,
            "state": "ready",
            "requests": requests,
            "failed": failed,
            "in_flight": health.map_or(0, |health| health.under_way()),
        });
        if let Some(health) = health {
            shown["state"] = state(&health.state(now))["state"].clone();
        }
        all.push(shown);
    }
    let off = runtime.config.disabled.iter();
    all.extend(
        off.map(|name| json!({ "name": name, "state": "disabled", "requests": 0, "failed": 0, "in_flight": 0 })),
    );
    all
}
