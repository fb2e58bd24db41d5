//! Things beside answers that a provider keeps: files, batches, caches and their like, each known only to the credential that made it.

use bytes::Bytes;
use polyport_types::Protocol;
use serde_json::{Value, json};

use super::exchange::Exchange;
use super::kept::Name;
use super::plan::{Body, Plan};
use super::step::Step;
use super::{Shared, endpoints};

/// A thing, and the bytes that were sent for it.
#[derive(Clone, Debug)]
pub(super) struct Thing {
    object: Value,
    bytes: Bytes,
}

/// Collections, and of whose API they are.
const COLLECTIONS: [(&str, Protocol); 12] = [
    ("files", Protocol::Chat),
    ("uploads", Protocol::Chat),
    ("batches", Protocol::Chat),
    ("vector_stores", Protocol::Chat),
    ("fine_tuning/jobs", Protocol::Chat),
    ("chat/completions", Protocol::Chat),
    ("files", Protocol::Messages),
    ("messages/batches", Protocol::Messages),
    ("files", Protocol::Gemini),
    ("batches", Protocol::Gemini),
    ("cachedContents", Protocol::Gemini),
    ("operations", Protocol::Gemini),
];

/// A path behind the version that leads to such a thing: its collection, and what stands behind that.
pub(super) fn find(protocol: Protocol, path: &str) -> Option<(&'static str, &str)> {
    let api = if protocol == Protocol::Responses { Protocol::Chat } else { protocol };
    let rest = ["/upload/v1beta/", "/v1beta/", "/v1/"].iter().find_map(|start| path.strip_prefix(start))?;
    COLLECTIONS.iter().filter(|(_, of)| *of == api).find_map(|(collection, _)| {
        let tail = rest.strip_prefix(collection)?;
        let tail = if tail.is_empty() { Some(tail) } else { tail.strip_prefix('/') };
        tail.map(|tail| (*collection, tail))
    })
}

fn credential(exchange: &Exchange) -> String {
    let names = ["authorization", "x-api-key", "x-goog-api-key"];
    names.iter().find_map(|name| exchange.header(name)).unwrap_or_default().to_owned()
}

fn name(exchange: &Exchange, id: &str) -> Name {
    (credential(exchange), id.to_owned())
}

/// Answers a request about such a thing.
pub(super) fn plan(shared: &Shared, exchange: &Exchange, collection: &str, tail: &str, body: &Value) -> Plan {
    let protocol = shared.settings.protocol;
    let absent = |id: &str| shared.simple(404, &endpoints::missing(protocol, &format!("No such thing: {id}")));
    if exchange.path().starts_with("/upload/") {
        return upload(shared, exchange);
    }
    // What it refers to must be there for the same credential.
    let referred = ["input_file_id", "training_file", "file_id"].iter().find_map(|member| body[*member].as_str());
    if let Some(id) = referred
        && !shared.shelf().contains_key(&name(exchange, id))
    {
        return absent(id);
    }
    let (id, rest) = tail.split_once(['/', ':']).map_or((tail, ""), |(id, rest)| (id, rest));
    match (exchange.method(), id, rest) {
        ("GET", "", _) => {
            let credential = credential(exchange);
            let mut all: Vec<Value> = shared
                .shelf()
                .iter()
                .filter(|((owner, _), thing)| *owner == credential && thing.object["object"] == collection)
                .map(|(_, thing)| thing.object.clone())
                .collect();
            all.sort_by_key(|object| object["id"].to_string());
            let list = if protocol == Protocol::Gemini { collection } else { "data" };
            shared.simple(200, &json!({ "object": "list", list: all, "has_more": false }))
        }
        ("POST", "", _) => made(shared, exchange, collection, body),
        _ => {
            let found = shared.shelf().get(&name(exchange, id)).cloned();
            let Some(thing) = found else { return absent(id) };
            match (exchange.method(), rest) {
                ("DELETE", "") => {
                    shared.shelf().remove(&name(exchange, id));
                    shared.simple(200, &json!({ "id": id, "object": collection, "deleted": true }))
                }
                ("GET", "content" | "results" | "download") => {
                    let bytes = thing.bytes.to_vec();
                    Plan::answer(&Step::json(""), Body::whole("application/octet-stream", bytes))
                }
                _ => shared.simple(200, &thing.object),
            }
        }
    }
}

fn made(shared: &Shared, exchange: &Exchange, collection: &str, body: &Value) -> Plan {
    let serial = exchange.serial();
    let word = collection.rsplit('/').next().unwrap_or_default();
    let id = format!("{word}-{serial}");
    let mut object = json!({ "id": id, "object": collection, "bytes": exchange.body().len() });
    if let Some(metadata) = body.get("metadata") {
        object["metadata"] = metadata.clone();
    }
    if collection == "messages/batches" {
        object["results_url"] = json!(format!("https://api.anthropic.com/v1/messages/batches/{id}/results"));
    }
    if shared.settings.protocol == Protocol::Gemini {
        object["name"] = json!(format!("{collection}/{id}"));
    }
    if body.get("input_file_id").is_some() {
        // What the batch will write.
        let output = format!("out-{serial}");
        object["output_file_id"] = json!(output);
        let written = Thing { object: json!({ "id": output, "object": "files" }), bytes: Bytes::from_static(b"{}\n") };
        shared.shelf().insert(name(exchange, &output), written);
    }
    let thing = Thing { object: object.clone(), bytes: exchange.body().clone() };
    shared.shelf().insert(name(exchange, &id), thing);
    shared.simple(200, &object)
}

/// Gemini's uploads: one request names the file and gets an address, the next one brings the bytes there.
fn upload(shared: &Shared, exchange: &Exchange) -> Plan {
    let id = exchange.query().split('&').find_map(|pair| pair.strip_prefix("upload_id="));
    let Some(id) = id else {
        let id = format!("up-{}", exchange.serial());
        let started = Thing { object: Value::Null, bytes: Bytes::new() };
        shared.shelf().insert(name(exchange, &id), started);
        let url = format!("https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id={id}");
        let step = Step::json("").header("x-goog-upload-url", &url).header("x-goog-upload-status", "active");
        return Plan::answer(&step, Body::whole("application/json", Vec::new()));
    };
    if !shared.shelf().contains_key(&name(exchange, id)) {
        return shared.simple(404, &endpoints::missing(Protocol::Gemini, "no such upload"));
    }
    let file = format!("f-{}", exchange.serial());
    let object = json!({ "id": file, "name": format!("files/{file}"), "object": "files",
        "uri": format!("https://generativelanguage.googleapis.com/v1beta/files/{file}") });
    let thing = Thing { object: object.clone(), bytes: exchange.body().clone() };
    shared.shelf().insert(name(exchange, &file), thing);
    let step = Step::json("").header("x-goog-upload-status", "final");
    Plan::answer(&step, Body::whole("application/json", json!({ "file": object }).to_string().into_bytes()))
}
