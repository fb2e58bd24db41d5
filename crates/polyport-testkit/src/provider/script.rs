//! Scripts as JSON, for tests in other languages.
//!
//! `{"steps": [STEP…], "models": {"NAME": STEP}, "always": STEP}`. A STEP has one of
//! `text`, `reasoning`, `tools`, `image`, `finish`, `error_in_stream` (an answer), `error` (a status, with `message`),
//! `sse`, `json`, `html` (a status), `raw`, `silence`, `close`, `reset`, and any of
//! `status`, `headers`, `delay_ms`, `between_ms`, `drip`, `cut_after_events`, `cut_after_bytes`, `cut`
//! (`close`, `end`, `reset`, `hang`), `stream`, `gzip`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Cut, Exchange, FakeProvider, Hold, Outcome, Script, Step};

pub(super) fn load(provider: &FakeProvider, script: &Value) -> Result<(), String> {
    add(&mut provider.shared.script(), script)
}

pub(super) fn add(into: &mut Script, script: &Value) -> Result<(), String> {
    let members = script.as_object().ok_or("a script is an object")?;
    for (name, value) in members {
        match name.as_str() {
            "steps" => {
                for one in value.as_array().ok_or("`steps` is a list")? {
                    into.steps.push_back(step(one)?);
                }
            }
            "models" => {
                for (model, one) in value.as_object().ok_or("`models` is an object")? {
                    into.models.insert(model.clone(), step(one)?);
                }
            }
            "always" => into.always = if value.is_null() { None } else { Some(step(value)?) },
            other => return Err(format!("unknown member `{other}` of a script")),
        }
    }
    Ok(())
}

fn step(value: &Value) -> Result<Step, String> {
    let members = value.as_object().ok_or("a step is an object")?;
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    let size = |name: &str| number(name).and_then(|n| usize::try_from(n).ok());
    let status = |name: &str| number(name).and_then(|n| u16::try_from(n).ok());
    let is = |name: &str| value.get(name) == Some(&Value::Bool(true));
    let known = [
        "text",
        "reasoning",
        "tools",
        "image",
        "finish",
        "error_in_stream",
        "error",
        "message",
        "sse",
        "json",
        "html",
        "raw",
        "silence",
        "close",
        "reset",
        "status",
        "headers",
        "delay_ms",
        "between_ms",
        "drip",
        "cut_after_events",
        "cut_after_bytes",
        "cut",
        "stream",
        "gzip",
    ];
    if let Some(unknown) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("unknown member `{unknown}` of a step"));
    }
    let answered = ["text", "reasoning", "tools", "image", "finish", "error_in_stream"];
    let mut step = if let Some(status) = status("error") {
        Step::error(status, text("message").unwrap_or("scripted"))
    } else if let Some(sse) = text("sse") {
        Step::sse(sse)
    } else if let Some(body) = value.get("json") {
        Step::json(&body.to_string())
    } else if let Some(status) = status("html") {
        Step::html(status)
    } else if let Some(raw) = text("raw") {
        Step::raw(raw)
    } else if is("silence") {
        Step::silence()
    } else if is("close") {
        Step::close()
    } else if is("reset") {
        Step::reset()
    } else if answered.iter().any(|name| members.contains_key(*name)) {
        Step::answer(Answer::from_json(value))
    } else {
        Step::model()
    };
    if let Some(status) = status("status") {
        step = step.status(status);
    }
    for (name, value) in value.get("headers").and_then(Value::as_object).into_iter().flatten() {
        step = step.header(name, value.as_str().unwrap_or_default());
    }
    if let Some(ms) = number("delay_ms") {
        step = step.before_headers(Hold::For(Duration::from_millis(ms)));
    }
    if let Some(ms) = number("between_ms") {
        step = step.between_events(Hold::For(Duration::from_millis(ms)));
    }
    if let Some(bytes) = size("drip") {
        step = step.drip(bytes);
    }
    let cut = match text("cut").unwrap_or("close") {
        "close" => Cut::Close,
        "end" => Cut::End,
        "reset" => Cut::Reset,
        "hang" => Cut::Hang,
        other => return Err(format!("unknown cut `{other}`")),
    };
    if let Some(events) = size("cut_after_events") {
        step = step.cut_after_events(events, cut);
    }
    if let Some(bytes) = size("cut_after_bytes") {
        step = step.cut_after_bytes(bytes, cut);
    }
    if let Some(stream) = value.get("stream").and_then(Value::as_bool) {
        step = step.streaming(stream);
    }
    Ok(if is("gzip") { step.gzip() } else { step })
}

/// A request for `/fake/requests` and what became of it (`open`, `sent`, or `left` by the other side); credentials are shown by
/// their length only.
pub(super) fn describe(exchange: &Exchange) -> Value {
    let secret = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    let headers = exchange.headers().iter().map(|(name, value)| {
        let shown =
            if secret.contains(&name.as_str()) { format!("({} characters)", value.len()) } else { value.clone() };
        (name.clone(), Value::from(shown))
    });
    json!({
        "serial": exchange.serial(),
        "method": exchange.method(),
        "path": exchange.path(),
        "query": exchange.query(),
        "headers": headers.collect::<serde_json::Map<_, _>>(),
        "body": exchange.json(),
        "violations": exchange.violations(),
        "outcome": match exchange.outcome() {
            Outcome::Open => "open",
            Outcome::Sent => "sent",
            Outcome::Left(_) => "left",
        },
    })
}
