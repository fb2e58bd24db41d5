//! Reasoning, sampling, limits, caching, identity, tiers.

use polyport_protocol::profile::{AnthropicThinking, GeminiThinking, ThinkingControl};
use polyport_types::{
    CacheMark, ClientProtocol, Effort, LossAction, LossCode, Part, Protocol, ReasoningControl, ReasoningMode, Request,
    Tool,
};

use super::support::*;

fn thinking_with(source: ClientProtocol, control: ReasoningControl) -> Request {
    Request { reasoning: Some(control), ..request(source) }
}

fn effort(effort: Effort) -> ReasoningControl {
    ReasoningControl { effort: Some(effort), ..ReasoningControl::default() }
}

fn budget(tokens: i64) -> ReasoningControl {
    let mode = match tokens {
        0 => ReasoningMode::Off,
        -1 => ReasoningMode::Adaptive,
        _ => ReasoningMode::On,
    };
    ReasoningControl { mode, budget_tokens: Some(tokens), ..ReasoningControl::default() }
}

fn mode(mode: ReasoningMode) -> ReasoningControl {
    ReasoningControl { mode, ..ReasoningControl::default() }
}

/// Mode, effort, budget.
fn said(outcome: &Outcome) -> (ReasoningMode, Option<Effort>, Option<i64>) {
    let control = outcome.request.reasoning.clone().unwrap_or_default();
    (control.mode, control.effort, control.budget_tokens)
}

fn anthropic(class: AnthropicThinking) -> polyport_protocol::Target {
    able(Protocol::Messages, |abilities| abilities.anthropic_thinking = class)
}

use AnthropicThinking::{Adaptive as AdaptiveOnly, Both, Budget as BudgetOnly};
use ReasoningMode::{Adaptive, Off, On, Unset};

#[test]
fn anthropic_models_think_in_their_own_way() {
    let ask = |class, control| {
        let mut request = thinking_with(ClientProtocol::Chat, control);
        request.limits.max_output_tokens = Some(64_000);
        said(&run(&anthropic(class), request))
    };
    assert_eq!(ask(Both, effort(Effort::Medium)), (Adaptive, Some(Effort::Medium), None));
    assert_eq!(ask(AdaptiveOnly, effort(Effort::Minimal)), (Adaptive, Some(Effort::Low), None));
    assert_eq!(ask(AdaptiveOnly, effort(Effort::XHigh)), (Adaptive, Some(Effort::Max), None));
    assert_eq!(ask(BudgetOnly, effort(Effort::Medium)), (On, None, Some(8192)));
    assert_eq!(ask(BudgetOnly, effort(Effort::Minimal)), (On, None, Some(1024)));
    assert_eq!(ask(BudgetOnly, effort(Effort::None)), (Off, None, None));
    assert_eq!(ask(Both, budget(6000)), (On, None, Some(6000)));
    assert_eq!(ask(Both, budget(100)), (On, None, Some(1024)));
    assert_eq!(ask(AdaptiveOnly, budget(6000)), (Adaptive, Some(Effort::Medium), None));
    assert_eq!(ask(AdaptiveOnly, budget(-1)), (Adaptive, None, None));
    assert_eq!(ask(BudgetOnly, budget(-1)), (On, None, Some(24_576)));
    assert_eq!(ask(AnthropicThinking::None, effort(Effort::High)), (Unset, None, None));

    let stubborn = able(Protocol::Messages, |abilities| {
        abilities.anthropic_thinking = AdaptiveOnly;
        abilities.reasoning_off = false;
    });
    let outcome = run(&stubborn, thinking_with(ClientProtocol::Chat, effort(Effort::None)));
    assert_eq!(said(&outcome), (Adaptive, Some(Effort::Low), None));
    assert!(outcome.has(LossCode::ReasoningUnsupported, LossAction::Degraded));
}

#[test]
fn a_budget_leaves_room_for_the_answer() {
    let ask = |max_tokens, limit, control| {
        let mut target = anthropic(BudgetOnly);
        std::sync::Arc::make_mut(&mut target.capabilities).max_output = limit;
        let mut request = thinking_with(ClientProtocol::Chat, control);
        request.limits.max_output_tokens = max_tokens;
        let outcome = run(&target, request);
        let (mode, _, budget) = said(&outcome);
        (mode, budget, outcome.request.limits.max_output_tokens.unwrap(), outcome.codes())
    };
    let (mode, budget, tokens, codes) = ask(Some(4000), Some(64_000), effort(Effort::Medium));
    assert_eq!((mode, budget, tokens), (On, Some(8192), 12_192));
    assert!(codes.contains(&"max_tokens.raised"));
    let (mode, budget, tokens, _) = ask(Some(4000), Some(8192), effort(Effort::Medium));
    assert_eq!((mode, budget, tokens), (On, Some(3999), 4000));
    let (mode, budget, tokens, codes) = ask(Some(1024), Some(64_000), effort(Effort::Low));
    assert_eq!((mode, budget, tokens), (Off, None, 1024));
    assert!(codes.contains(&"reasoning.unsupported"));
    let (mode, budget, tokens, codes) = ask(None, Some(32_000), effort(Effort::Low));
    assert_eq!((mode, budget, tokens), (On, Some(1024), 32_000));
    assert!(codes.contains(&"max_tokens.defaulted"));
}

#[test]
fn a_client_of_messages_is_moved_to_the_class_of_the_model() {
    let ask = |class, control| said(&run(&anthropic(class), thinking_with(ClientProtocol::Messages, control)));
    let both = ReasoningControl { effort: Some(Effort::High), ..mode(Adaptive) };
    assert_eq!(ask(Both, both.clone()), (Adaptive, Some(Effort::High), None));
    let mut request = thinking_with(ClientProtocol::Messages, both.clone());
    request.limits.max_output_tokens = Some(64_000);
    let outcome = run(&anthropic(BudgetOnly), request);
    assert_eq!(said(&outcome), (On, Some(Effort::High), Some(24_576)));
    let plain = able(Protocol::Messages, |abilities| {
        abilities.anthropic_thinking = BudgetOnly;
        abilities.efforts.clear();
    });
    assert_eq!(said(&run(&plain, thinking_with(ClientProtocol::Messages, both))).1, None, "effort is refused there");
    assert_eq!(ask(AdaptiveOnly, budget(31_999)), (Adaptive, Some(Effort::Max), None));
    assert_eq!(ask(Both, budget(31_999)), (On, None, Some(31_999)));
    let off = ReasoningControl { effort: Some(Effort::Max), ..mode(Off) };
    assert_eq!(ask(AdaptiveOnly, off), (Off, Some(Effort::High), None));
}

#[test]
fn gemini_models_know_levels_or_budgets() {
    let level = able(Protocol::Gemini, |abilities| abilities.efforts = vec![Effort::Low, Effort::High]);
    let ask = |target: &polyport_protocol::Target, control| {
        said(&run(target, thinking_with(ClientProtocol::Messages, control)))
    };
    assert_eq!(ask(&level, effort(Effort::Medium)), (Unset, Some(Effort::High), None));
    assert_eq!(ask(&level, budget(6000)), (Unset, Some(Effort::High), None));
    assert_eq!(ask(&level, mode(Off)), (Unset, Some(Effort::Low), None));
    assert_eq!(ask(&level, mode(Adaptive)), (Unset, None, None));
    assert_eq!(ask(&plain(Protocol::Gemini), effort(Effort::Max)), (Unset, Some(Effort::High), None));

    let range = |least, off| {
        able(Protocol::Gemini, |abilities| {
            abilities.gemini_thinking = GeminiThinking::Budget;
            (abilities.budget_min, abilities.budget_max, abilities.reasoning_off) = (least, 32_768, off);
        })
    };
    assert_eq!(ask(&range(128, false), effort(Effort::Medium)), (Unset, None, Some(8192)));
    assert_eq!(ask(&range(128, false), mode(Off)), (Unset, None, Some(128)));
    assert_eq!(ask(&range(512, true), mode(Off)), (Off, None, Some(0)));
    assert_eq!(ask(&range(512, true), budget(100)), (Unset, None, Some(512)));
    assert_eq!(ask(&range(0, true), budget(60_000)), (Unset, None, Some(32_768)));
    assert_eq!(ask(&range(0, true), mode(Adaptive)), (Unset, None, Some(-1)));
}

#[test]
fn openai_models_know_efforts() {
    let ask = |known: &[Effort], control| {
        let target = able(Protocol::Responses, |abilities| abilities.efforts = known.to_vec());
        let outcome = run(&target, thinking_with(ClientProtocol::Gemini, control));
        (said(&outcome), outcome.codes())
    };
    let three = [Effort::Low, Effort::Medium, Effort::High];
    assert_eq!(ask(&three, budget(6000)), ((Unset, Some(Effort::Medium), None), vec!["reasoning.mapped"]));
    assert_eq!(ask(&three, effort(Effort::High)), ((Unset, Some(Effort::High), None), vec![]));
    assert_eq!(ask(&three, budget(0)), ((Unset, Some(Effort::Low), None), vec!["reasoning.mapped"]));
    assert_eq!(ask(&Effort::ALL, budget(0)).0, (Off, Some(Effort::None), None));
    assert_eq!(ask(&three, budget(-1)).0, (Unset, None, None));
    assert_eq!(ask(&[], effort(Effort::High)).1, ["reasoning.unsupported"]);

    let silent = able(Protocol::Chat, |abilities| abilities.reasoning = false);
    let outcome = run(&silent, thinking_with(ClientProtocol::Messages, effort(Effort::High)));
    assert!(outcome.request.reasoning.is_none() && outcome.codes() == ["reasoning.unsupported"]);
    let outcome = run(&silent, thinking_with(ClientProtocol::Messages, mode(Off)));
    assert!(outcome.losses.is_empty(), "not to reason is what it does");
}

#[test]
fn chat_servers_with_a_switch_are_told_to_switch() {
    let target = quirky(Protocol::Chat, |profile| profile.thinking_control = ThinkingControl::EnableThinking);
    let ask = |control| said(&run(&target, thinking_with(ClientProtocol::Messages, control)));
    assert_eq!(ask(budget(5000)), (On, Some(Effort::Medium), Some(5000)));
    assert_eq!(ask(mode(Off)), (Off, None, None));
    assert_eq!(ask(mode(Adaptive)), (Adaptive, None, None));
}

#[test]
fn parameters_the_model_refuses_are_dropped() {
    let sampled = |source| {
        let mut request = request(source);
        request.sampling.temperature = Some(1.4);
        request.sampling.top_p = Some(0.5);
        request.sampling.top_k = Some(2.6);
        request.sampling.seed = Some(7);
        request.sampling.logprobs = Some(true);
        request
    };
    let outcome = run(&plain(Protocol::Messages), sampled(ClientProtocol::Chat));
    assert_eq!(outcome.request.sampling.temperature, Some(1.0), "cut, never rescaled");
    assert_eq!(outcome.request.sampling.top_k, Some(3.0));
    assert!(outcome.has(LossCode::SamplingClamped, LossAction::Clamped));

    let none = able(Protocol::Messages, |abilities| {
        (abilities.temperature, abilities.top_p, abilities.top_k) = (false, false, false);
    });
    let outcome = run(&none, sampled(ClientProtocol::Messages));
    let sampling = &outcome.request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (None, None, None));
    let dropped = outcome.losses.entries().iter().filter(|loss| loss.code == LossCode::SamplingUnsupported).count();
    assert_eq!(dropped, 3);

    let either = able(Protocol::Messages, |abilities| abilities.temperature_with_top_p = false);
    let sampling = run(&either, sampled(ClientProtocol::Chat)).request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p), (Some(1.0), None));

    let reasoner = able(Protocol::Responses, |abilities| {
        (abilities.temperature, abilities.logprobs, abilities.penalties) = (false, false, false);
        abilities.efforts = Effort::ALL.to_vec();
    });
    let outcome = run(&reasoner, sampled(ClientProtocol::Chat));
    assert_eq!((outcome.request.sampling.temperature, outcome.request.sampling.seed), (None, None));
    assert!(outcome.codes().contains(&"logprobs.unsupported"));
    let mut quiet = sampled(ClientProtocol::Chat);
    quiet.reasoning = Some(effort(Effort::None));
    assert_eq!(run(&reasoner, quiet).request.sampling.temperature, Some(1.4), "taken while it does not reason");
}

#[test]
fn thinking_models_choose_their_own_parameters() {
    let mut request = thinking_with(ClientProtocol::Messages, mode(Adaptive));
    request.sampling.temperature = Some(0.5);
    request.sampling.top_p = Some(0.97);
    request.sampling.top_k = Some(5.0);
    let sampling = run(&plain(Protocol::Messages), request).request.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.top_k), (None, Some(0.97), None));
}

#[test]
fn limits_fit_the_target() {
    let limited = |target: &polyport_protocol::Target, tokens| {
        let mut request = request(ClientProtocol::Chat);
        request.limits.max_output_tokens = tokens;
        let outcome = run(target, request);
        (outcome.request.limits.max_output_tokens, outcome.codes())
    };
    assert_eq!(limited(&plain(Protocol::Messages), None), (Some(8192), vec!["max_tokens.defaulted"]));
    let known = able(Protocol::Messages, |abilities| abilities.max_output = Some(64_000));
    assert_eq!(limited(&known, None).0, Some(64_000));
    assert_eq!(limited(&known, Some(100_000)), (Some(64_000), vec!["max_tokens.lowered"]));
    assert_eq!(limited(&plain(Protocol::Responses), Some(5)), (Some(16), vec!["max_tokens.raised"]));
    assert_eq!(limited(&plain(Protocol::Gemini), None), (None, vec![]));
    let mut warm = request(ClientProtocol::Messages);
    warm.limits.max_output_tokens = Some(0);
    assert!(run(&plain(Protocol::Chat), warm.clone()).refused(LossCode::ServerFeatureDropped));
    assert!(run(&plain(Protocol::Messages), warm).losses.is_empty());

    let stopped = |target: &polyport_protocol::Target, words: &[&str]| {
        let mut request = request(ClientProtocol::Gemini);
        request.limits.stop = words.iter().map(|word| (*word).into()).collect();
        let outcome = run(target, request);
        (outcome.request.limits.stop.len(), outcome.codes())
    };
    assert_eq!(stopped(&plain(Protocol::Chat), &["a", "b", "c", "d", "e"]), (4, vec!["stop.too_many"]));
    let (left, codes) = stopped(&plain(Protocol::Messages), &["a", "\n"]);
    assert_eq!((left, codes.contains(&"stop.whitespace")), (1, true));
    let none = able(Protocol::Chat, |abilities| abilities.stop = false);
    assert_eq!(stopped(&none, &["a"]), (0, vec!["stop.unsupported"]));

    let mut many = request(ClientProtocol::Chat);
    many.candidates = Some(3);
    assert!(run(&plain(Protocol::Responses), many.clone()).has(LossCode::CandidatesUnsupported, LossAction::Degraded));
    assert_eq!(run(&plain(Protocol::Gemini), many).request.candidates, Some(3));
}

#[test]
fn cache_markers_are_dropped_once() {
    let mark = Some(CacheMark::default());
    let mut request = request(ClientProtocol::Messages);
    request.messages[0].parts = vec![Part { cache: mark, ..Part::text("a") }, Part { cache: mark, ..Part::text("b") }];
    let mut tool = plain_function("f");
    if let Tool::Function(tool) = &mut tool {
        tool.cache = mark;
    }
    request.tools = vec![tool];
    for target in [Protocol::Chat, Protocol::Responses, Protocol::Gemini] {
        let outcome = run(&plain(target), request.clone());
        assert!(outcome.request.messages[0].parts.iter().all(|part| part.cache.is_none()));
        assert_eq!(outcome.detail(LossCode::CacheBreakpointDropped), "3 markers");
    }
    let newer = able(Protocol::Chat, |abilities| abilities.cache_markers = true);
    assert!(run(&newer, request.clone()).request.messages[0].parts[0].cache.is_some());
    assert!(run(&plain(Protocol::Messages), request).request.messages[0].parts[0].cache.is_some());
}

#[test]
fn an_end_user_is_named_to_nobody_who_should_not_know() {
    let named = |source, user: &str, target| {
        let mut request = request(source);
        request.end_user = Some(user.into());
        let outcome = run(&plain(target), request);
        (outcome.request.end_user.as_ref().map(ToString::to_string), outcome.codes())
    };
    let sha = "b4c9a289323b21a01c3e940f150eb9b8c542587f1abfd8f0e1cc1ffc5e475514";
    let (user, codes) = named(ClientProtocol::Chat, "user@example.com", Protocol::Messages);
    assert_eq!(user.as_deref(), Some(sha));
    assert!(codes.contains(&"identity.hashed"));
    for phone in ["+49 170 1234567", "(555) 123-4567", "491701234567"] {
        assert_eq!(named(ClientProtocol::Chat, phone, Protocol::Messages).0.unwrap().len(), 64, "{phone}");
    }
    assert_eq!(named(ClientProtocol::Chat, "user-42", Protocol::Messages).0.as_deref(), Some("user-42"));
    assert_eq!(
        named(ClientProtocol::Chat, "user@example.com", Protocol::Responses).0.as_deref(),
        Some("user@example.com")
    );
    let long = "x".repeat(70);
    assert_eq!(named(ClientProtocol::Messages, &long, Protocol::Responses).0.unwrap().len(), 64);
    let session = r#"{"device_id":"d","account_uuid":"a","session_id":"s"}"#;
    assert_eq!(named(ClientProtocol::Messages, session, Protocol::Chat), (None, vec!["identity.dropped"]));
    assert_eq!(named(ClientProtocol::Messages, session, Protocol::Messages).0.as_deref(), Some(session));
}

#[test]
fn fast_is_asked_only_of_models_that_are() {
    let fast = |able: bool| {
        let target = super::support::able(Protocol::Messages, |abilities| abilities.fast = able);
        let mut request = request(ClientProtocol::Chat);
        request.service_tier = Some("fast".into());
        run(&target, request).request.service_tier.map(|tier| tier.to_string())
    };
    assert_eq!((fast(true).as_deref(), fast(false).as_deref()), (Some("fast"), Some("auto")));
}
