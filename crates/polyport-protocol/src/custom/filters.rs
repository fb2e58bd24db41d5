//! What templates can do beside what their language has: content of messages, JSON.

use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value as Item};
use serde_json::{Map, Value};

/// Adds all of them.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("tojson", to_json);
    environment.add_filter("fromjson", from_json);
    environment.add_filter("text", text);
    environment.add_filter("images", images);
}

/// A value as JSON. Nothing in it is escaped for other languages.
pub(super) fn to_json(value: &Item) -> Result<String, Error> {
    if value.is_undefined() {
        return Ok("null".to_owned());
    }
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// The value that a text of JSON stands for; what is no text stays what it is.
fn from_json(value: &Item) -> Result<Item, Error> {
    match value.as_str() {
        None => Ok(value.clone()),
        Some("") => Ok(Serde(Value::Object(Map::new())).into()),
        Some(text) => match serde_json::from_str::<Value>(text) {
            Ok(value) => Ok(Serde(value).into()),
            Err(_) => Err(Error::new(ErrorKind::CannotDeserialize, "the text is not JSON")),
        },
    }
}

/// The text of a message's content, whatever else is in it.
fn text(content: &Item) -> Result<String, Error> {
    if let Some(text) = content.as_str() {
        return Ok(text.to_owned());
    }
    let mut all = String::new();
    for part in parts(content)? {
        let part = part?;
        if let Some(text) = part.get_attr("text")?.as_str() {
            if !all.is_empty() {
                all.push('\n');
            }
            all.push_str(text);
        }
    }
    Ok(all)
}

/// The images of a message's content: `url`, and of those that came with the request `media_type` and `data` in base64.
fn images(content: &Item) -> Result<Vec<Item>, Error> {
    let mut images = Vec::new();
    for part in parts(content)? {
        let part = part?;
        let image = part.get_attr("image_url")?;
        if image.is_undefined() || image.is_none() {
            continue;
        }
        let url = image.get_attr("url")?;
        let mut members = vec![("url", url.clone())];
        if let Some((media_type, data)) = url.as_str().and_then(data_url) {
            members.extend([("media_type", Item::from(media_type)), ("data", Item::from(data))]);
        }
        images.push(Item::from_pairs(members));
    }
    Ok(images)
}

/// Media type and base64 of a `data:` address.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, data))
}

/// The parts of a content; none where it is a text or nothing.
fn parts(content: &Item) -> Result<Box<dyn Iterator<Item = Result<Item, Error>>>, Error> {
    match content.kind() {
        ValueKind::Undefined | ValueKind::None | ValueKind::String => Ok(Box::new(std::iter::empty())),
        _ => Ok(Box::new(content.try_iter()?.checked())),
    }
}
