//! Which tool the model shall use, in the ways the target knows.

use polyport_types::{
    LossAction, LossCode, Protocol, RawJson, ReasoningMode, Request, Text, Tool, ToolChoice, ToolRef,
};

use super::{Job, instruct};
use crate::profile::ToolChoiceMode;
use crate::schema::{self, Dialect};

/// Rewrites the choice; names are those of the target already.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    let Some(choice) = request.tool_choice.take() else { return };
    if request.tools.is_empty() {
        without_tools(job, request, choice);
        return;
    }
    let choice = if job.same { choice } else { known(job, request, choice) };
    let choice = possible(job, request, choice);
    let choice = expressible(job, request, choice);
    request.tool_choice = served(job, request, choice);
}

/// A choice among no tools is refused by every provider.
fn without_tools(job: &mut Job<'_>, request: &mut Request, choice: ToolChoice) {
    if super::state::continues(job, request) {
        request.tool_choice = Some(choice);
        return;
    }
    if forces(&choice) {
        degraded(job, LossAction::Dropped, "no tools to choose from");
    }
    request.parallel_tool_calls = None;
}

/// Whether the model may not answer with text.
fn forces(choice: &ToolChoice) -> bool {
    match choice {
        ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Server { .. } => true,
        ToolChoice::Allowed { required, .. } => *required,
        ToolChoice::None | ToolChoice::Auto | ToolChoice::Validated { .. } => false,
    }
}

fn degraded(job: &mut Job<'_>, action: LossAction, detail: impl Into<String>) {
    job.losses.warn(LossCode::ToolChoiceDegraded, action, "/tool_choice", detail);
}

/// Replaces choices of tools that are not there, and kinds of choice that only one protocol has.
fn known(job: &mut Job<'_>, request: &mut Request, choice: ToolChoice) -> ToolChoice {
    let has = |request: &Request, name: &Text| request.tools.iter().any(|tool| tool.name() == name);
    match choice {
        ToolChoice::Tool(tool) if !has(request, &tool.name) => {
            degraded(job, LossAction::Dropped, format!("{} is not among the tools", tool.name));
            ToolChoice::Auto
        }
        ToolChoice::Server { kind, .. }
            if !request.tools.iter().any(|tool| matches!(tool, Tool::Server(tool) if tool.kind == kind)) =>
        {
            degraded(job, LossAction::Dropped, "the tool is not among the tools");
            ToolChoice::Auto
        }
        ToolChoice::Server { .. } if job.to(Protocol::Gemini) || job.to(Protocol::Chat) => {
            degraded(job, LossAction::Dropped, "a tool that the provider runs cannot be forced");
            ToolChoice::Auto
        }
        ToolChoice::Validated { names } if !job.to(Protocol::Gemini) => {
            validate(job, request);
            if names.is_empty() {
                ToolChoice::Auto
            } else {
                let tools = names.into_iter().map(|name| ToolRef { name, custom: false }).collect();
                ToolChoice::Allowed { required: false, tools }
            }
        }
        other => other,
    }
}

/// Gemini's `VALIDATED` elsewhere: strict tools, where the schema allows it.
fn validate(job: &Job<'_>, request: &mut Request) {
    for tool in &mut request.tools {
        let Tool::Function(tool) = tool else { continue };
        let Some(schema) = &tool.schema else { continue };
        match job.target.protocol {
            Protocol::Chat | Protocol::Responses if job.profile().strict_tools => {
                let (fitting, _) = schema::convert(&schema.to_value(), Dialect::OpenAiStrict);
                if schema::fits_strict(&fitting).is_ok() {
                    tool.schema = Some(RawJson::of(&fitting));
                    tool.strict = Some(true);
                }
            }
            Protocol::Messages => {
                let changed = schema::convert_raw(schema, Dialect::AnthropicStrict);
                if changed.is_none_or(|(_, changes)| changes.is_empty()) {
                    tool.strict = Some(true);
                }
            }
            Protocol::Chat | Protocol::Responses | Protocol::Gemini => {}
        }
    }
}

/// Weakens a choice that forces a tool where the model cannot be forced.
fn possible(job: &mut Job<'_>, request: &mut Request, choice: ToolChoice) -> ToolChoice {
    if !forces(&choice) {
        return choice;
    }
    let thinking = request.reasoning.as_ref().is_some_and(|control| control.mode == ReasoningMode::On);
    let why = if !job.capabilities().forced_tool_choice {
        "the model cannot be forced"
    } else if job.to(Protocol::Messages) && thinking {
        "no tool can be forced while the model thinks"
    } else {
        return choice;
    };
    degraded(job, LossAction::Degraded, format!("{why}; asked for in words"));
    in_words(request, choice)
}

/// Asks for a tool in the instructions.
fn in_words(request: &mut Request, choice: ToolChoice) -> ToolChoice {
    match choice {
        ToolChoice::Tool(ToolRef { name, .. }) => {
            instruct(request, format!("Answer by calling the tool `{name}`."));
            ToolChoice::Auto
        }
        ToolChoice::Server { name: Some(name), .. } => {
            instruct(request, format!("Use the tool `{name}` before you answer."));
            ToolChoice::Auto
        }
        ToolChoice::Allowed { tools, .. } => {
            instruct(request, "Answer by calling one of the tools.");
            ToolChoice::Allowed { required: false, tools }
        }
        other => {
            instruct(request, "Answer by calling one of the tools.");
            match other {
                ToolChoice::None => ToolChoice::None,
                _ => ToolChoice::Auto,
            }
        }
    }
}

/// Expresses a list of allowed tools by leaving out the others, where the protocol has no such list.
fn expressible(job: &mut Job<'_>, request: &mut Request, choice: ToolChoice) -> ToolChoice {
    let ToolChoice::Allowed { required, tools } = choice else { return choice };
    let listed = match job.target.protocol {
        Protocol::Chat => job.profile().tool_choice.contains(&ToolChoiceMode::Allowed),
        Protocol::Responses => true,
        Protocol::Messages => false,
        // The encoder writes names beside ANY, and beside VALIDATED where that exists.
        Protocol::Gemini => required || job.capabilities().validated_calls || job.same,
    };
    if listed {
        return ToolChoice::Allowed { required, tools };
    }
    only(job, request, &tools);
    if required { ToolChoice::Required } else { ToolChoice::Auto }
}

/// Offers only these tools. A list that names none of the tools filters nothing.
fn only(job: &mut Job<'_>, request: &mut Request, tools: &[ToolRef]) {
    let allowed = |tool: &Tool| tools.iter().any(|allowed| allowed.name == *tool.name());
    let before = request.tools.len();
    let after = request.tools.iter().filter(|tool| allowed(tool)).count();
    if after == before || after == 0 {
        return;
    }
    request.tools.retain(allowed);
    let detail = format!("{after} of {before} tools are offered");
    job.losses.info(LossCode::ToolChoiceFiltered, LossAction::Dropped, "/tools", detail);
}

/// What the server of a Chat provider takes.
fn served(job: &mut Job<'_>, request: &mut Request, choice: ToolChoice) -> Option<ToolChoice> {
    if !job.to(Protocol::Chat) {
        return Some(choice);
    }
    let knows = |mode| job.profile().tool_choice.contains(&mode);
    let (auto, required) = (knows(ToolChoiceMode::Auto), knows(ToolChoiceMode::Required));
    let (none, named) = (knows(ToolChoiceMode::None), knows(ToolChoiceMode::Named));
    match choice {
        ToolChoice::Auto => auto.then_some(ToolChoice::Auto),
        ToolChoice::None if none => Some(ToolChoice::None),
        ToolChoice::None => {
            // Without tools there is nothing to call.
            request.tools.clear();
            request.parallel_tool_calls = None;
            let detail = "tools are left out because none shall be called";
            job.losses.info(LossCode::ToolChoiceFiltered, LossAction::Dropped, "/tools", detail);
            None
        }
        ToolChoice::Tool(tool) if !named && required => {
            only(job, request, std::slice::from_ref(&tool));
            Some(ToolChoice::Required)
        }
        ToolChoice::Tool(_) if !named => {
            degraded(job, LossAction::Degraded, "the server cannot force a tool; asked for in words");
            in_words(request, choice);
            auto.then_some(ToolChoice::Auto)
        }
        ToolChoice::Required if !required => {
            degraded(job, LossAction::Degraded, "the server cannot force a tool; asked for in words");
            in_words(request, choice);
            auto.then_some(ToolChoice::Auto)
        }
        other => Some(other),
    }
}
