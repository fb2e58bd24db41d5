//! `GET /v1/api-keys/stats`: counts by provider and key, for clients as well.

use std::sync::Arc;

use http::Response;
use polyport_types::ClientProtocol;
use serde_json::{Value, json};

use super::credentials::{all, counts};
use super::{View, extend};
use crate::body::Body;
use crate::ingress::Call;
use crate::ingress::access::{caller, presented};

/// Answers a client or an operator. Only operators learn by which name a key is configured.
pub(crate) fn handle(call: &Call) -> Response<Body> {
    let access = &call.runtime.config.access;
    let operator = presented(&call.head).any(|key| access.find_admin(key).is_some());
    if !operator && let Err(fault) = caller(&call.app, &call.runtime, &call.head) {
        return call.refuse(ClientProtocol::Chat, &fault);
    }
    let view = View { runtime: Arc::clone(&call.runtime), ..View::of(&call.app) };
    let rows: Vec<Value> = all(&view)
        .map(|seat| {
            let mut row = json!({ "vendor": seat.provider.name, "key": seat.masked() });
            if operator {
                extend(&mut row, json!({ "id": seat.id(), "label": seat.credential.label }));
            }
            extend(&mut row, counts(&seat, ["total_requests", "successful_requests", "failed_requests"]));
            row
        })
        .collect();
    call.json(ClientProtocol::Chat, &json!({ "object": "list", "data": rows }))
}
