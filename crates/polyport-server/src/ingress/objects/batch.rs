//! Model names inside a batch of Messages requests.

use bytes::Bytes;
use polyport_routing::Hints;
use polyport_types::{ClientProtocol, Fault, Text};
use serde_json::value::RawValue;

use crate::app::Runtime;
use crate::relay::course::Slot;
use crate::relay::origin::shown;
use crate::relay::peek::{Edits, Peek};

/// The model of the first request.
pub(super) fn first_model(body: &Bytes) -> Result<Option<Text>, Fault> {
    if body.is_empty() {
        return Ok(None);
    }
    let peek = Peek::parse(body)?;
    let Some(requests) = requests(&peek, body) else { return Ok(None) };
    Ok(requests.first().and_then(|request| Some(Request::read(request)?.model.into())))
}

/// The batch with every model named as the provider knows it.
///
/// # Errors
/// `BadRequest` for a model that does not lead to the provider of the first one.
pub(super) fn with_models(runtime: &Runtime, slot: &Slot, body: &Bytes) -> Result<Bytes, Fault> {
    let peek = Peek::parse(body)?;
    let Some(requests) = requests(&peek, body) else { return Ok(body.clone()) };
    let mut written = String::from("[");
    let mut changed = false;
    for (index, request) in requests.iter().enumerate() {
        if index > 0 {
            written.push(',');
        }
        match Request::read(request) {
            None => written.push_str(request.get()),
            Some(read) => {
                let name = known_as(runtime, slot, &read.model).ok_or_else(|| {
                    let path = format!("requests.{index}.params.model");
                    let words = format!(
                        "{path}: the model `{}` does not lead to provider `{}`, where this batch goes",
                        shown(&read.model),
                        slot.target.provider
                    );
                    Fault::bad_request(&path, words)
                })?;
                changed |= *name != *read.model;
                written.push_str(&read.with_model(&name));
            }
        }
    }
    written.push(']');
    if !changed {
        return Ok(body.clone());
    }
    let mut edits = Edits::default();
    edits.set("requests", written);
    Ok(peek.edited(body, &edits))
}

fn requests<'b>(peek: &Peek, body: &'b [u8]) -> Option<Vec<&'b RawValue>> {
    serde_json::from_slice(peek.get(body, "requests")?).ok()
}

/// The provider's name of a model.
fn known_as(runtime: &Runtime, slot: &Slot, model: &str) -> Option<Text> {
    let hints = Hints::new(ClientProtocol::Messages);
    let resolved = runtime.config.catalog.resolve(model, hints).ok()?;
    let target = resolved.targets.iter().find(|target| target.provider == slot.target.provider)?;
    Some(target.model.clone())
}

/// One request of a batch.
struct Request {
    whole: Bytes,
    peek: Peek,
    params: Bytes,
    of_params: Peek,
    model: String,
}

impl Request {
    /// None of what is none: the provider says so in its own words.
    fn read(request: &RawValue) -> Option<Self> {
        let whole = Bytes::copy_from_slice(request.get().as_bytes());
        let peek = Peek::parse(&whole).ok()?;
        let params = whole.slice_ref(peek.get(&whole, "params")?);
        let of_params = Peek::parse(&params).ok()?;
        let model = of_params.text(&params, "model")?;
        Some(Self { whole, peek, params, of_params, model })
    }

    fn with_model(&self, name: &str) -> String {
        let mut edits = Edits::default();
        if name != self.model {
            edits.set("model", serde_json::Value::from(name).to_string());
        }
        let params = self.of_params.edited(&self.params, &edits);
        let mut edits = Edits::default();
        edits.set("params", String::from_utf8_lossy(&params).into_owned());
        String::from_utf8_lossy(&self.peek.edited(&self.whole, &edits)).into_owned()
    }
}
