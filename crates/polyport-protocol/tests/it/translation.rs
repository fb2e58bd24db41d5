//! Whole translations of hand-made bodies: what is written, what is named as lost, what comes back.

mod openai;

use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::resolve::ResolveContext;
use polyport_protocol::{
    Capabilities, ClientContext, Profile, RequestHead, Restorer, StreamEncoder, Target, collect, decode_request,
    decode_response, encode_request, encode_response, resolve,
};
use polyport_types::{ClientProtocol, LossCode, Losses, Protocol, Severity};
use serde_json::Value;

/// A model at a service.
fn at(protocol: Protocol, profile: Option<&str>, model: &str) -> Target {
    let mut target = Target::plain(protocol, model);
    if let Some(name) = profile {
        target.profile = Arc::new(Profile::named(name).unwrap());
    }
    target.capabilities = Arc::new(Capabilities::of_model(protocol, profile, model));
    target
}

struct Sent {
    body: Value,
    losses: Losses,
}

impl Sent {
    /// How severe the loss of this code is; `None` if nothing was lost that has it.
    fn severity(&self, code: LossCode) -> Option<Severity> {
        self.losses.entries().iter().find(|loss| loss.code == code).map(|loss| loss.severity)
    }

    /// Nothing but these codes.
    fn codes(&self) -> Vec<&'static str> {
        self.losses.entries().iter().map(|loss| loss.code.as_str()).collect()
    }
}

/// A client's body as the provider gets it.
fn send(client: ClientProtocol, target: &Target, body: &Value) -> Sent {
    let request = decode_request(client, &RequestHead::default(), Bytes::from(body.to_string())).unwrap();
    let mut losses = Losses::new();
    let context = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (request, _) = resolve(target, request, &context, &mut losses);
    let body = encode_request(target, &request, &mut losses).body;
    Sent { body: serde_json::from_slice(&body).unwrap(), losses }
}

/// A provider's answer as the client gets it: whole, and as the text of a stream.
fn answer(client: ClientProtocol, target: &Target, request: &Value, answer: &Value) -> (Value, String) {
    let request = decode_request(client, &RequestHead::default(), Bytes::from(request.to_string())).unwrap();
    let context = ClientContext::fixed(request.clone(), target.protocol);
    let resolving = ResolveContext { carrier: None, signatures: &|_| Vec::new() };
    let (_, restore) = resolve(target, request, &resolving, &mut Losses::new());
    let mut response = decode_response(target, Bytes::from(answer.to_string())).unwrap();
    Restorer::new(restore).response(&mut response);
    let whole = encode_response(client, &context, &response);
    let mut encoder = StreamEncoder::new(client, context);
    let mut stream = Vec::new();
    for event in collect::into_events(response) {
        encoder.encode(event, &mut stream);
    }
    (serde_json::from_slice(&whole).unwrap(), String::from_utf8(stream).unwrap())
}
