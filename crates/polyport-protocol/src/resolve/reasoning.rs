//! How hard the model shall think: effort, budget and level in the words the model knows.

use polyport_types::{
    Effort, LossAction, LossCode, Protocol, ReasoningControl, ReasoningMode, ReasoningVisibility, Request,
};

use super::Job;
use crate::Capabilities;
use crate::profile::{AnthropicThinking, GeminiThinking, ThinkingControl};

/// Thinking tokens that stand for an effort, and the largest budget that is still called so.
const BUDGETS: [(Effort, i64, i64); 7] = [
    (Effort::None, 0, 0),
    (Effort::Minimal, 512, 512),
    (Effort::Low, 1024, 1024),
    (Effort::Medium, 8192, 8192),
    (Effort::High, 24_576, 24_576),
    (Effort::XHigh, 32_768, 65_535),
    (Effort::Max, 128_000, i64::MAX),
];
/// Smallest thinking budget of Messages.
const MIN_ANTHROPIC_BUDGET: i64 = 1024;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It only said how much to show.
    Unsaid,
    Off,
    /// As the model sees fit.
    Automatic,
    Effort(Effort),
    Budget(i64),
    BetweenTools,
}

/// Rewrites the control of reasoning.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    let Some(control) = &mut request.reasoning else { return };
    let wanted = wanted(control);
    if !job.capabilities().reasoning {
        if !matches!(wanted, Wanted::Off | Wanted::Unsaid) {
            unsupported(job, LossAction::Dropped, "the model does not reason");
        }
        request.reasoning = None;
        return;
    }
    match job.target.protocol {
        Protocol::Messages => anthropic(job, request, wanted),
        _ if job.same => {}
        Protocol::Gemini => gemini(job, control, wanted),
        Protocol::Chat | Protocol::Responses => openai(job, control, wanted),
    }
}

fn wanted(control: &ReasoningControl) -> Wanted {
    match (control.mode, control.budget_tokens, control.effort) {
        (ReasoningMode::Off, ..) => Wanted::Off,
        (ReasoningMode::BetweenTools, ..) => Wanted::BetweenTools,
        (_, Some(0), _) => Wanted::Off,
        (_, Some(budget), _) if budget > 0 => Wanted::Budget(budget),
        (_, _, Some(Effort::None)) => Wanted::Off,
        (_, _, Some(effort)) => Wanted::Effort(effort),
        (ReasoningMode::On | ReasoningMode::Adaptive, ..) | (_, Some(_), None) => Wanted::Automatic,
        (ReasoningMode::Unset, None, None) => Wanted::Unsaid,
    }
}

fn mapped(job: &mut Job<'_>, from: impl std::fmt::Display, to: impl std::fmt::Display) {
    job.losses.info(LossCode::ReasoningMapped, LossAction::Degraded, "/reasoning", format!("{from} → {to}"));
}

fn unsupported(job: &mut Job<'_>, action: LossAction, detail: &str) {
    job.losses.warn(LossCode::ReasoningUnsupported, action, "/reasoning", detail);
}

/// The budget that stands for an effort, within the model's range.
fn budget_of(effort: Effort, abilities: &Capabilities) -> i64 {
    let budget = BUDGETS.iter().find(|(known, ..)| *known == effort).map_or(0, |(_, budget, _)| *budget);
    let budget = if effort == Effort::Max { abilities.budget_max.min(budget) } else { budget };
    clamp(budget, abilities)
}

fn clamp(budget: i64, abilities: &Capabilities) -> i64 {
    budget.min(abilities.budget_max).max(abilities.budget_min)
}

/// The effort a budget stands for.
fn effort_of(budget: i64) -> Effort {
    BUDGETS.iter().find(|(.., most)| budget <= *most).map_or(Effort::Max, |(effort, ..)| *effort)
}

/// The nearest effort the model knows; `None` if it knows none.
fn nearest(effort: Effort, known: &[Effort], protocol: Protocol) -> Option<Effort> {
    use Effort::{High, Low, Max, Medium, Minimal, None as Off, XHigh};
    let order: &[Effort] = match effort {
        Off => &[Off, Minimal, Low, Medium, High, XHigh, Max],
        Minimal => &[Minimal, Low, Medium, High, XHigh, Max],
        Low => &[Low, Minimal, Medium, High, XHigh, Max],
        Medium => &[Medium, High, Low, Minimal, XHigh, Max],
        High => &[High, XHigh, Max, Medium, Low, Minimal],
        XHigh if protocol == Protocol::Messages => &[XHigh, Max, High, Medium, Low, Minimal],
        XHigh => &[XHigh, High, Max, Medium, Low, Minimal],
        Max => &[Max, XHigh, High, Medium, Low, Minimal],
    };
    order.iter().copied().find(|effort| known.contains(effort))
}

/// The nearest effort, reported if it is another one.
fn known(job: &mut Job<'_>, effort: Effort) -> Option<Effort> {
    let found = nearest(effort, &job.target.capabilities.efforts, job.target.protocol);
    match found {
        Some(found) if found != effort => mapped(job, effort.as_str(), found.as_str()),
        Some(_) => {}
        None => unsupported(job, LossAction::Dropped, "the model knows no effort"),
    }
    found
}

/// `OpenAI`'s protocols know efforts; some Chat servers have a switch or a budget of their own.
fn openai(job: &mut Job<'_>, control: &mut ReasoningControl, wanted: Wanted) {
    let switch = job.to(Protocol::Chat) && job.profile().thinking_control != ThinkingControl::Effort;
    let budgets = switch
        && match job.profile().thinking_control {
            ThinkingControl::EnableThinking | ThinkingControl::OpenRouter => true,
            ThinkingControl::ThinkingType => job.profile().thinking_budget,
            ThinkingControl::Effort | ThinkingControl::TemplateKwargs | ThinkingControl::None => false,
        };
    if !budgets {
        control.budget_tokens = None;
    }
    match wanted {
        Wanted::Unsaid => {}
        Wanted::Off if switch => {
            control.mode = ReasoningMode::Off;
            control.effort = None;
            control.budget_tokens = None;
        }
        Wanted::Off => {
            control.mode = ReasoningMode::Unset;
            control.budget_tokens = None;
            let found = nearest(Effort::None, &job.capabilities().efforts, job.target.protocol);
            control.effort = found;
            match found {
                Some(Effort::None) => control.mode = ReasoningMode::Off,
                Some(least) => mapped(job, "off", least.as_str()),
                None => unsupported(job, LossAction::Dropped, "reasoning cannot be switched off"),
            }
        }
        Wanted::Automatic => {
            control.effort = None;
            control.budget_tokens = None;
            if !switch {
                control.mode = ReasoningMode::Unset;
            }
        }
        Wanted::Effort(effort) => {
            control.effort = if switch && job.capabilities().efforts.is_empty() { None } else { known(job, effort) };
            control.mode = if switch { ReasoningMode::On } else { ReasoningMode::Unset };
        }
        Wanted::Budget(budget) => {
            // A client of Messages may say both; its effort is about more than thinking, but nearer to what is meant here.
            let effort = control.effort.unwrap_or_else(|| effort_of(budget));
            control.effort = nearest(effort, &job.capabilities().efforts, job.target.protocol);
            control.mode = if switch { ReasoningMode::On } else { ReasoningMode::Unset };
            match control.effort {
                _ if budgets => {}
                Some(effort) => mapped(job, format!("a budget of {budget}"), effort.as_str()),
                None => unsupported(job, LossAction::Dropped, "the model knows no budget"),
            }
        }
        Wanted::BetweenTools => {
            unsupported(job, LossAction::Degraded, "thinking only between tool calls");
            control.mode = if switch { ReasoningMode::On } else { ReasoningMode::Unset };
            control.effort = nearest(Effort::Low, &job.capabilities().efforts, job.target.protocol);
            control.budget_tokens = None;
        }
    }
}

/// Gemini's models know budgets or levels, never both.
fn gemini(job: &mut Job<'_>, control: &mut ReasoningControl, wanted: Wanted) {
    if wanted == Wanted::Unsaid {
        return;
    }
    let abilities = &job.target.capabilities;
    if matches!(control.mode, ReasoningMode::On | ReasoningMode::Adaptive) && wanted != Wanted::Off {
        // Who switches thinking on sees it, unless he says otherwise; here nobody sees what he does not ask for.
        control.visibility.get_or_insert(ReasoningVisibility::Summary);
    }
    control.mode = ReasoningMode::Unset;
    let (effort, budget) = (control.effort.take(), control.budget_tokens.take());
    if abilities.gemini_thinking == GeminiThinking::None {
        if wanted != Wanted::Off {
            unsupported(job, LossAction::Dropped, "the model does not think");
        }
        return;
    }
    let wanted = match wanted {
        Wanted::BetweenTools => {
            unsupported(job, LossAction::Degraded, "thinking only between tool calls");
            Wanted::Effort(Effort::Low)
        }
        wanted => wanted,
    };
    if abilities.gemini_thinking == GeminiThinking::Level {
        control.effort = match wanted {
            Wanted::Off => known(job, Effort::None),
            Wanted::Effort(effort) => level(job, effort, effort.as_str()),
            Wanted::Budget(tokens) => {
                level(job, effort.unwrap_or_else(|| effort_of(tokens)), &format!("a budget of {tokens}"))
            }
            Wanted::Automatic | Wanted::Unsaid | Wanted::BetweenTools => None,
        };
        return;
    }
    control.budget_tokens = Some(match wanted {
        Wanted::Off if abilities.reasoning_off => 0,
        Wanted::Off => {
            mapped(job, "off", format!("a budget of {}", abilities.budget_min));
            abilities.budget_min
        }
        Wanted::Effort(effort) => {
            let budget = budget_of(effort, abilities);
            mapped(job, effort.as_str(), format!("a budget of {budget}"));
            budget
        }
        Wanted::Budget(asked) => {
            let budget = clamp(budget.unwrap_or(asked), abilities);
            if budget != asked {
                mapped(job, format!("a budget of {asked}"), budget);
            }
            budget
        }
        Wanted::Automatic | Wanted::Unsaid | Wanted::BetweenTools => -1,
    });
    if matches!(wanted, Wanted::Off) && control.budget_tokens == Some(0) {
        control.mode = ReasoningMode::Off;
    }
}

fn level(job: &mut Job<'_>, effort: Effort, from: &str) -> Option<Effort> {
    let found = nearest(effort, &job.capabilities().efforts, Protocol::Gemini);
    match found {
        Some(found) => mapped(job, from, format!("level {}", found.as_str())),
        None => unsupported(job, LossAction::Dropped, "the model knows no level"),
    }
    found
}

/// Anthropic's models think with a budget, as they see fit, or either way.
fn anthropic(job: &mut Job<'_>, request: &mut Request, wanted: Wanted) {
    let Some(control) = &mut request.reasoning else { return };
    let abilities = &job.target.capabilities;
    let class = abilities.anthropic_thinking;
    if class == AnthropicThinking::None {
        if !matches!(wanted, Wanted::Off | Wanted::Unsaid) {
            unsupported(job, LossAction::Dropped, "the model does not think");
        }
        let effort = control.effort.filter(|effort| job.same && abilities.efforts.contains(effort));
        request.reasoning =
            effort.map(|effort| ReasoningControl { effort: Some(effort), ..ReasoningControl::default() });
        return;
    }
    if job.same {
        own_class(job, request, wanted);
        return;
    }
    let budget_class = class == AnthropicThinking::Budget;
    let asked = (control.effort.take(), control.budget_tokens.take());
    match wanted {
        Wanted::Unsaid => {}
        Wanted::Off if abilities.reasoning_off => control.mode = ReasoningMode::Off,
        Wanted::Off => {
            control.mode = ReasoningMode::Adaptive;
            control.effort = known(job, Effort::Low);
            unsupported(job, LossAction::Degraded, "thinking cannot be switched off");
        }
        Wanted::Automatic if budget_class => {
            let budget = budget_of(Effort::High, abilities);
            mapped(job, "automatic", format!("a budget of {budget}"));
            (control.mode, control.budget_tokens) = (ReasoningMode::On, Some(budget));
        }
        Wanted::Automatic => control.mode = ReasoningMode::Adaptive,
        Wanted::Effort(effort) if budget_class => {
            let budget = budget_of(effort, abilities).max(MIN_ANTHROPIC_BUDGET);
            mapped(job, effort.as_str(), format!("a budget of {budget}"));
            (control.mode, control.budget_tokens) = (ReasoningMode::On, Some(budget));
        }
        Wanted::Effort(effort) => {
            control.mode = ReasoningMode::Adaptive;
            control.effort = known(job, effort);
        }
        Wanted::Budget(budget) if class == AnthropicThinking::Adaptive => {
            let effort = asked.0.unwrap_or_else(|| effort_of(budget));
            control.mode = ReasoningMode::Adaptive;
            control.effort = nearest(effort, &abilities.efforts, Protocol::Messages);
            if let Some(effort) = control.effort {
                mapped(job, format!("a budget of {budget}"), effort.as_str());
            }
        }
        Wanted::Budget(budget) => {
            let fitting = clamp(budget, abilities).max(MIN_ANTHROPIC_BUDGET);
            if fitting != budget {
                mapped(job, format!("a budget of {budget}"), fitting);
            }
            (control.mode, control.budget_tokens) = (ReasoningMode::On, Some(fitting));
        }
        Wanted::BetweenTools => control.mode = ReasoningMode::BetweenTools,
    }
    make_room(job, request);
}

/// A client of Messages knows its words; only those of another class of models are changed.
fn own_class(job: &mut Job<'_>, request: &mut Request, wanted: Wanted) {
    let Some(control) = &mut request.reasoning else { return };
    let abilities = &job.target.capabilities;
    match (abilities.anthropic_thinking, control.mode) {
        (AnthropicThinking::Budget, ReasoningMode::Adaptive) => {
            let effort = control.effort.unwrap_or(Effort::High);
            let budget = budget_of(effort, abilities).max(MIN_ANTHROPIC_BUDGET);
            mapped(job, format!("adaptive, {}", effort.as_str()), format!("a budget of {budget}"));
            (control.mode, control.budget_tokens) = (ReasoningMode::On, Some(budget));
            control.effort = control.effort.filter(|effort| abilities.efforts.contains(effort));
            make_room(job, request);
        }
        (AnthropicThinking::Adaptive, ReasoningMode::On) => {
            let budget = control.budget_tokens.take().unwrap_or_default();
            control.mode = ReasoningMode::Adaptive;
            if control.effort.is_none() {
                control.effort = nearest(effort_of(budget), &abilities.efforts, Protocol::Messages);
            }
            let effort = control.effort.map_or("no effort", Effort::as_str);
            mapped(job, format!("a budget of {budget}"), format!("adaptive, {effort}"));
        }
        (_, ReasoningMode::Off) if !abilities.reasoning_off => {
            control.mode = ReasoningMode::Adaptive;
            control.effort = nearest(Effort::Low, &abilities.efforts, Protocol::Messages);
            unsupported(job, LossAction::Degraded, "thinking cannot be switched off");
        }
        (AnthropicThinking::Budget, _) if abilities.efforts.is_empty() => {
            if let Some(effort) = control.effort.take() {
                unsupported(job, LossAction::Dropped, &format!("the model knows no effort: {}", effort.as_str()));
            }
        }
        _ => {}
    }
    let effort = request.reasoning.as_ref().and_then(|control| control.effort);
    if wanted == Wanted::Off
        && matches!(effort, Some(Effort::XHigh | Effort::Max))
        && job.capabilities().anthropic_thinking == AnthropicThinking::Adaptive
        && let Some(control) = &mut request.reasoning
    {
        // Without thinking these models take no more.
        control.effort = Some(Effort::High);
        mapped(job, effort.map_or("", Effort::as_str), Effort::High.as_str());
    }
}

/// A budget needs at least 1024 tokens and room for the answer beside it.
fn make_room(job: &mut Job<'_>, request: &mut Request) {
    let Some(control) = &mut request.reasoning else { return };
    let (ReasoningMode::On, Some(budget)) = (control.mode, control.budget_tokens) else { return };
    let asked = request.limits.max_output_tokens.unwrap_or_default();
    let tokens = i64::try_from(asked).unwrap_or(i64::MAX);
    if tokens <= MIN_ANTHROPIC_BUDGET {
        control.mode = ReasoningMode::Off;
        control.budget_tokens = None;
        unsupported(job, LossAction::Dropped, &format!("max_tokens {asked} leaves no room for thinking"));
        return;
    }
    if budget < tokens {
        return;
    }
    let raised = u64::try_from(budget.saturating_add(tokens)).unwrap_or(u64::MAX);
    if job.target.capabilities.max_output.is_none_or(|most| raised <= most) {
        request.limits.max_output_tokens = Some(raised);
        let detail = format!("{asked} → {raised}: room for a thinking budget of {budget}");
        job.losses.info(LossCode::MaxTokensRaised, LossAction::Clamped, "/max_tokens", detail);
    } else {
        control.budget_tokens = Some(tokens - 1);
        mapped(job, format!("a budget of {budget}"), tokens - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_and_efforts_stand_for_one_another() {
        let cases = [
            (0, Effort::None),
            (1, Effort::Minimal),
            (512, Effort::Minimal),
            (513, Effort::Low),
            (1024, Effort::Low),
            (1025, Effort::Medium),
            (6000, Effort::Medium),
            (8193, Effort::High),
            (24_577, Effort::XHigh),
            (65_535, Effort::XHigh),
            (65_536, Effort::Max),
        ];
        for (budget, effort) in cases {
            assert_eq!(effort_of(budget), effort, "{budget}");
        }
        let wide = Capabilities { budget_min: 0, budget_max: 128_000, ..Capabilities::default() };
        for (effort, budget, _) in BUDGETS {
            assert_eq!(budget_of(effort, &wide), budget);
            assert_eq!(effort_of(budget), effort);
        }
        let pro = Capabilities { budget_min: 128, budget_max: 32_768, ..Capabilities::default() };
        assert_eq!(budget_of(Effort::Max, &pro), 32_768);
        assert_eq!(budget_of(Effort::None, &pro), 128);
    }

    #[test]
    fn the_nearest_effort_is_taken() {
        use Effort::{High, Low, Max, Medium, Minimal, XHigh};
        let pick = |effort, known: &[Effort], protocol| nearest(effort, known, protocol);
        assert_eq!(pick(XHigh, &[Low, Medium, High, Max], Protocol::Messages), Some(Max));
        assert_eq!(pick(XHigh, &[Low, Medium, High], Protocol::Messages), Some(High));
        assert_eq!(pick(XHigh, &[Low, Medium, High, Max], Protocol::Chat), Some(High));
        assert_eq!(pick(Medium, &[Low, High], Protocol::Gemini), Some(High));
        assert_eq!(pick(Minimal, &[Low, Medium, High], Protocol::Responses), Some(Low));
        assert_eq!(pick(Effort::None, &[Minimal, Low], Protocol::Gemini), Some(Minimal));
        assert_eq!(pick(Low, &[], Protocol::Chat), None);
    }
}
