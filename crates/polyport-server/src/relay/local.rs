//! Running a program that answers.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use polyport_provider::process::answer::{self, Asked};
use polyport_provider::process::{CommandError, Launch, Starter};
use polyport_types::{Fault, FaultClass, LossAction, LossCode, Losses, Request};
use serde_json::{Map, Value, json};

use super::Exchange;
use super::admit::internal;
use super::attempt::Failed;
use super::course::Slot;
use super::wire::{self, Opened, Patience};
use crate::config::ProcessService;
use crate::tasks::{self, Tasks};

/// Something that starts programs whose ends shutdown waits for.
pub(crate) fn starter(tasks: &Tasks) -> Starter {
    let tasks = tasks.clone();
    Starter::new(move |task| tasks.spawn(task))
}

/// Runs the program for this request. `chat` is the request as Chat writes it.
///
/// # Errors
/// [`Failed`] when it cannot be run, or not for this request: another target may.
pub(super) async fn run(
    x: &Exchange,
    slot: &Slot,
    process: &ProcessService,
    resolved: Request,
    chat: Vec<u8>,
) -> Result<Opened, Failed> {
    let (provider, model) = (slot.target.provider.clone(), slot.target.model.clone());
    if !slot.upstream.config.models.contains(&model) {
        return Err(wire::unknown_model(&model).into());
    }
    let stop = resolved.limits.stop.clone();
    let prepared = Arc::new((process.clone(), model.clone(), x.stream));
    let launch = tasks::off_worker(move || {
        let (process, model, stream) = &*prepared;
        launch(process, model, *stream, &resolved, &chat)
    });
    let launch = launch.await.ok_or_else(internal)?;
    let run = launch.and_then(|launch| starter(&x.app.tasks).start(launch));
    let run = run.map_err(|error| {
        tracing::warn!(%provider, setting = error.setting, "a program was not run: {}", error.reason);
        let words = format!("provider `{provider}`: `process.{}`: {}", error.setting, error.reason);
        Failed { fault: Fault { from_upstream: true, ..Fault::new(FaultClass::ServerError, words) }, unable: true }
    })?;
    let limit = x.runtime.config.limits.answer_bytes;
    let asked = Asked { provider, model, id: x.id.text().clone(), created: wire::now(), stop, limit };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(Opened {
        status: StatusCode::OK,
        headers,
        body: answer::body(run, &process.output, asked),
        patience: Patience::new(process.timeouts.clone(), false),
    })
}

fn launch(
    process: &ProcessService,
    model: &str,
    stream: bool,
    resolved: &Request,
    chat: &[u8],
) -> Result<Launch, CommandError> {
    let mut written: Map<String, Value> = serde_json::from_slice(chat).unwrap_or_default();
    let mut variables: Map<String, Value> = settings(resolved);
    variables.extend([("model".to_owned(), model.into()), ("stream".to_owned(), stream.into())]);
    variables.extend(process.files.get(model).map(|path| ("path".to_owned(), Value::from(&**path))));
    let messages = written.remove("messages").unwrap_or_else(|| json!([]));
    let system: Vec<&str> = messages.as_array().into_iter().flatten().filter_map(instruction).collect();
    if !system.is_empty() {
        variables.insert("system".to_owned(), system.join("\n\n").into());
    }
    variables.insert("messages".to_owned(), messages);
    variables.extend(written.remove("tools").map(|tools| ("tools".to_owned(), tools)));
    // What templates of models expect; the program adds these tokens itself.
    let mut conversation = variables.clone();
    conversation.insert("add_generation_prompt".to_owned(), true.into());
    conversation.extend(["bos_token", "eos_token"].map(|name| (name.to_owned(), "".into())));
    let prompt = process.chat.render(&conversation).map_err(|error| CommandError {
        setting: "template".to_owned(),
        reason: format!("it does not render this conversation: {error}"),
    })?;
    variables.insert("prompt".to_owned(), prompt.into());
    process.command.launch(variables)
}

fn instruction(message: &Value) -> Option<&str> {
    let role = message.get("role")?.as_str()?;
    message.get("content")?.as_str().filter(|_| matches!(role, "system" | "developer"))
}

/// The settings that the client gave, as variables.
fn settings(resolved: &Request) -> Map<String, Value> {
    let (sampling, limits) = (&resolved.sampling, &resolved.limits);
    let given = [
        ("max_tokens", limits.max_output_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_k", sampling.top_k.map(Value::from)),
        ("min_p", sampling.min_p.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("repetition_penalty", sampling.repetition_penalty.map(Value::from)),
        ("stop", (!limits.stop.is_empty()).then(|| json!(limits.stop))),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Settings of the client that the program is not told.
pub(super) fn note_unsaid(process: &ProcessService, resolved: &Request, losses: &mut Losses) {
    // Stop sequences are kept without the program.
    for (name, _) in settings(resolved).iter().filter(|(name, _)| *name != "stop") {
        if !process.command.mentions(name) && !process.chat.mentions(name) {
            let words = "the program is not told: no argument of it looks at this";
            losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, format!("/{name}"), words);
        }
    }
}
