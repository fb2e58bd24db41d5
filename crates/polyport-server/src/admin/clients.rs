//! `GET /admin/api/clients`: what leads each known client to this gateway, with a placeholder where its key belongs.

use http::request::Parts;
use polyport_clients::{Client, Fill, Settings, all, edit};
use serde_json::{Value, json};

use super::View;
use super::query::Query;
use crate::identity::principal::Principal;
use crate::identity::session;
use crate::listen::url_of;

/// Stands where a key belongs.
const KEY: &str = "YOUR_KEY";

/// Stands where a model belongs that was not named.
const MODEL: &str = "MODEL";

/// Where the pages of clients are in the book.
const GUIDE: &str = "/docs/guide/clients/";

/// All of them, as whoever asks would set them up.
pub(super) fn list(view: &View, head: &Parts, query: &Query) -> Vec<Value> {
    let url = address(view, head);
    all().iter().map(|client| shown(client, &url, query.get("model"))).collect()
}

/// The address that whoever asks has used; through the socket, the one that clients on this machine use.
fn address(view: &View, head: &Parts) -> String {
    let local = || url_of(view.app.listening.get().copied().unwrap_or(view.runtime.config.listen.address()));
    match view.principal {
        Principal::Local { .. } => local(),
        _ => session::address_of(head).unwrap_or_else(local),
    }
}

fn shown(client: &Client, url: &str, chosen: Option<&str>) -> Value {
    let wants = client.needs_model || client.lists_models;
    // What cannot do without a model is shown with a word in its place.
    let model = chosen.or(wants.then_some(MODEL)).map(str::to_owned);
    let models = model.clone().into_iter().collect();
    let fill = Fill { url: url.to_owned(), key: KEY.to_owned(), model, models };
    let variables = client.variables(&fill).into_iter();
    let variables: Vec<Value> = variables.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mut notes = client.steps(&fill);
    notes.extend(client.remarks.iter().cloned());
    if client.tried.is_none() {
        notes.push("This comes from its documentation and was not tried with the program itself.".to_owned());
    }
    json!({
        "name": client.name,
        "title": client.title,
        "protocol": client.protocol,
        "install": client.install,
        "variables": variables,
        "unset": client.unset,
        "command": client.launches().then(|| command(client, &fill)),
        "files": client.settings.iter().filter_map(|settings| file(settings, &fill)).collect::<Vec<_>>(),
        "needs_model": wants,
        "notes": notes,
        "guide": format!("{GUIDE}{}.html", client.name),
    })
}

/// As a shell takes it.
fn command(client: &Client, fill: &Fill) -> String {
    let words = client.program.iter().cloned().chain(client.arguments(fill));
    words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What a new file would hold. Each can be written: a test of their crate sees to that.
fn file(settings: &Settings, fill: &Fill) -> Option<Value> {
    let content = edit::edited(settings.format, "", &settings.edits(fill)).ok()?;
    let (macos, windows) = settings.usual_places_elsewhere();
    Some(json!({
        "path": settings.usual_place(), "macos": macos, "windows": windows,
        "format": settings.format.as_str(), "content": content,
    }))
}
