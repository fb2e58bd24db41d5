//! `GET /admin/api/status`: the gateway as it is now.

use serde_json::{Value, json};

use super::View;
use crate::config::Origin;
use crate::ingress::access::is_open;
use crate::listen::url_of;

pub(super) fn answer(view: &View) -> Value {
    let (app, config) = (&view.app, &view.runtime.config);
    let built_in = |origin: Origin| origin == Origin::BuiltIn;
    let providers = config.providers().filter(|provider| !built_in(provider.origin)).count();
    let address = app.listening.get();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "url": address.map(|address| url_of(*address)),
        "address": address.map(ToString::to_string),
        "started_at": app.started_at,
        "uptime_seconds": (view.now.saturating_sub(app.started_at)) / 1000,
        "configuration": config.declared.file.as_deref(),
        "data": config.data.display().to_string(),
        "database": app.identity.store.as_ref().map(|store| if store.is_server() { "postgres" } else { "sqlite" }),
        "open": is_open(app, &view.runtime),
        "providers": providers,
        "models": config.catalog.names().count(),
        "requests": app.in_flight.load(std::sync::atomic::Ordering::Relaxed),
        "problems": super::definitions::problems(view).len(),
        "draining": app.is_draining(),
    })
}
