//! Everything of a Converse request but its prompt.
//!
//! What only one maker's models know stands in `additionalModelRequestFields`, in that maker's words.

use polyport_types::{Family, LossAction, LossCode, Losses, ResponseFormat};
use serde_json::{Map, Value, json};

use super::super::encode::Draft;
use super::super::tools::{Choice, ToolOut};
use super::super::turns::Kind;
use super::content::cache_point;
use crate::json::JsonWriter;

/// Members of the model's own, beside those of the interface.
const ADDITIONAL: &str = "additionalModelRequestFields";

/// Writes the settings.
pub(super) fn write(w: &mut JsonWriter<'_>, draft: &Draft<'_>, losses: &mut Losses) {
    w.object_field("inferenceConfig", |w| inference(w, draft));
    let additional = additional(draft, losses);
    if !additional.is_empty() {
        w.key(ADDITIONAL);
        w.raw_value(&Value::Object(additional).to_string());
    }
    let stops = draft.request.limits.stop.iter().any(|stop| !stop.trim().is_empty());
    if stops && is_anthropic(draft) {
        // Which of them it was is told only to those who ask.
        w.array_field("additionalModelResponseFieldPaths", |w| w.string("/stop_sequence"));
    }
    if let Some(schema) = &draft.schema {
        let name = match &draft.request.response_format {
            Some(ResponseFormat::JsonSchema { name: Some(name), .. }) => &**name,
            _ => "answer",
        };
        w.object_field("outputConfig", |w| {
            w.object_field("textFormat", |w| {
                w.str("type", "json_schema");
                w.object_field("structure", |w| {
                    w.object_field("jsonSchema", |w| {
                        w.str("schema", schema);
                        w.str("name", name);
                    });
                });
            });
        });
    }
    tier(w, draft, losses);
    metadata(w, draft, losses);
    for (name, value) in draft.target.profile.extra_body.iter().filter(|(name, _)| *name != ADDITIONAL) {
        w.key(name);
        w.raw_value(&value.to_string());
    }
}

fn is_anthropic(draft: &Draft<'_>) -> bool {
    draft.target.capabilities.family == Family::Anthropic
}

fn inference(w: &mut JsonWriter<'_>, draft: &Draft<'_>) {
    w.num("maxTokens", draft.max_tokens);
    w.opt_num("temperature", draft.sampling.temperature);
    w.opt_num("topP", draft.sampling.top_p);
    let mut stops = draft.request.limits.stop.iter().filter(|stop| !stop.trim().is_empty()).peekable();
    if stops.peek().is_some() {
        w.array_field("stopSequences", |w| stops.for_each(|stop| w.string(stop)));
    }
}

/// What the maker's own interface calls otherwise, and what the operator adds.
fn additional(draft: &Draft<'_>, losses: &mut Losses) -> Map<String, Value> {
    let mut fields = own_fields(draft);
    match draft.target.capabilities.family {
        Family::Anthropic => {
            fields.extend(draft.anthropic_fields());
            if let Some(choice) = draft.tools.choice.as_ref().filter(|choice| needs_own_words(choice)) {
                fields.insert("tool_choice".to_owned(), written(|w| choice.write(w)));
            }
        }
        family => {
            if draft.sampling.top_k.is_some() {
                losses.warn(LossCode::SamplingUnsupported, LossAction::Dropped, "/top_k", "");
            }
            let effort = draft.effort();
            if let (Family::OpenAi, Some(effort)) = (family, effort) {
                fields.insert("reasoning_effort".to_owned(), json!(effort));
            } else if effort.is_some() || draft.thinks() {
                losses.warn(LossCode::ReasoningUnsupported, LossAction::Dropped, "/reasoning", "");
            }
        }
    }
    if let Some(Value::Object(more)) = draft.target.profile.extra_body.get(ADDITIONAL) {
        fields.extend(more.clone());
    }
    fields
}

/// Members a client of the interface's own kind has put there.
fn own_fields(draft: &Draft<'_>) -> Map<String, Value> {
    match draft.request.ext.get(ADDITIONAL).map(polyport_types::RawJson::to_value) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn written(write: impl FnOnce(&mut JsonWriter<'_>)) -> Value {
    let mut out = Vec::new();
    write(&mut JsonWriter::new(&mut out));
    serde_json::from_slice(&out).unwrap_or(Value::Null)
}

/// Whether the interface has no word for a choice and Anthropic's has.
fn needs_own_words(choice: &Choice<'_>) -> bool {
    choice.kind == "none" || choice.disable_parallel.is_some()
}

/// Writes `toolConfig`.
pub(super) fn tools(w: &mut JsonWriter<'_>, draft: &Draft<'_>, losses: &mut Losses) {
    let list: Vec<_> = draft.tools.list.iter().zip(&draft.tools.marks).filter(|(tool, _)| is_spec(tool)).collect();
    let others = draft.tools.list.len() - list.len();
    if others > 0 && !is_anthropic(draft) || !draft.tools.mcp_servers().is_empty() {
        let detail = "this interface takes functions only";
        losses.warn(LossCode::ToolServerUnsupported, LossAction::Dropped, "/tools", detail);
    }
    let choice = draft.tools.choice.as_ref();
    let forbidden = choice.is_some_and(|choice| choice.kind == "none") && !is_anthropic(draft);
    if list.is_empty() || forbidden && !has_calls(draft) {
        return;
    }
    if forbidden {
        let detail = "none → auto, because of calls in the history";
        losses.warn(LossCode::ToolChoiceDegraded, LossAction::Degraded, "/tool_choice", detail);
    }
    if !is_anthropic(draft) && choice.is_some_and(|choice| choice.disable_parallel == Some(true)) {
        losses.info(LossCode::ParallelUnsupported, LossAction::Dropped, "/parallel_tool_calls", "");
    }
    w.object_field("toolConfig", |w| {
        w.array_field("tools", |w| {
            for (tool, mark) in list {
                w.object(|w| w.object_field("toolSpec", |w| spec(w, tool)));
                if let Some(mark) = *mark {
                    cache_point(w, mark);
                }
            }
        });
        let said = choice.filter(|choice| !(is_anthropic(draft) && needs_own_words(choice)));
        match said.map(|choice| (choice.kind, &choice.name)) {
            Some(("any", _)) => w.object_field("toolChoice", |w| w.object_field("any", |_| {})),
            Some(("auto", _)) => w.object_field("toolChoice", |w| w.object_field("auto", |_| {})),
            Some(("tool", Some(name))) => {
                w.object_field("toolChoice", |w| w.object_field("tool", |w| w.str("name", name)));
            }
            _ => {}
        }
    });
}

/// Whether a tool is one that the interface itself knows; those of Anthropic's own making stand among its members.
fn is_spec(tool: &ToolOut<'_>) -> bool {
    matches!(tool, ToolOut::Function { .. } | ToolOut::Custom { .. } | ToolOut::Remembered(_))
}

fn has_calls(draft: &Draft<'_>) -> bool {
    let call = |kind: &Kind<'_>| matches!(kind, Kind::ToolUse { .. } | Kind::ToolResult { .. });
    draft.turns.iter().flat_map(|turn| &turn.blocks).any(|block| call(&block.kind))
}

fn spec(w: &mut JsonWriter<'_>, tool: &ToolOut<'_>) {
    let Value::Object(members) = written(|w| tool.write(w, None)) else { return };
    for (name, value) in &members {
        match name.as_str() {
            "input_schema" => w.object_field("inputSchema", |w| {
                w.key("json");
                w.raw_value(&value.to_string());
            }),
            // An empty description is refused.
            "description" if value.as_str().is_none_or(|text| text.trim().is_empty()) => {}
            "strict" if value != &Value::Bool(true) => {}
            "name" | "description" | "strict" => {
                w.key(name);
                w.raw_value(&value.to_string());
            }
            // What only Anthropic's own interface knows of a tool has no slot here.
            _ => {}
        }
    }
}

fn tier(w: &mut JsonWriter<'_>, draft: &Draft<'_>, losses: &mut Losses) {
    let word = match draft.request.service_tier.as_deref() {
        None | Some("auto") => return,
        Some("default" | "standard" | "standard_only") => "default",
        Some("priority") => "priority",
        Some("flex") => "flex",
        Some("reserved") => "reserved",
        Some(other) => {
            losses.warn(LossCode::ServiceTierDropped, LossAction::Dropped, "/service_tier", other.to_owned());
            return;
        }
    };
    w.object_field("serviceTier", |w| w.str("type", word));
}

/// Pairs for the operator's logs. Only what the service takes: sixteen, of 256 characters of a small alphabet.
fn metadata(w: &mut JsonWriter<'_>, draft: &Draft<'_>, losses: &mut Losses) {
    let user = draft.user.as_deref().map(|user| ("user_id", user));
    let given = draft.request.metadata.iter().map(|(name, value)| (&**name, &**value));
    let all: Vec<(&str, &str)> = user.into_iter().chain(given).collect();
    let fits = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || " :_@$#=/+,-.".contains(c);
        text.len() <= 256 && text.chars().all(allowed)
    };
    let mut pairs =
        all.iter().filter(|(name, value)| !name.is_empty() && fits(name) && fits(value)).take(16).peekable();
    if pairs.clone().count() < all.len() {
        losses.info(LossCode::MetadataDropped, LossAction::Dropped, "/metadata", "");
    }
    if pairs.peek().is_some() {
        w.object_field("requestMetadata", |w| pairs.for_each(|(name, value)| w.str(name, value)));
    }
}
