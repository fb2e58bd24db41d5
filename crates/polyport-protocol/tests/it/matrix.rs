//! Every recorded answer to every client, every recorded request to every provider.
//!
//! Answers are judged by the strict readers of the testkit: what a client understood must be what the provider said. The
//! numbers become `docs/TRANSLATION.md`; run with `POLYPORT_UPDATE=1` to write it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use polyport_protocol::gemini::{CodeAssist, CodeAssistClient};
use polyport_protocol::stream::BodyEnd;
use polyport_protocol::{
    AnswerLosses, Capabilities, Profile, RequestHead, Target, Wire, answer_losses, collect, decode_request,
    decode_response, encode_response,
};
use polyport_testkit::grammar::{Check, Summary};
use polyport_testkit::schema;
use polyport_testkit::shared::{self, Record};
use polyport_types::{
    Candidate, ClientProtocol, Event, FinishReason, LossCode, Losses, Part, PartKind, Protocol, Request, Response,
    Severity, ToolCallKind, Validator,
};

use crate::wire::{self, collected, curious, streamed};

/// What is counted for each pair.
const FEATURES: [&str; 8] =
    ["answers", "text", "tool calls", "reasoning", "usage", "cached tokens", "images", "citations"];

#[derive(Default)]
struct Table {
    /// (provider, client, feature) to how many answers had it and how many arrived with it.
    cells: BTreeMap<(Protocol, ClientProtocol, &'static str), (u32, u32)>,
    /// What of answers was reported as lost, and on which ways.
    losses: BTreeMap<&'static str, BTreeSet<(Protocol, ClientProtocol)>>,
    problems: Vec<String>,
}

impl Table {
    fn count(&mut self, provider: Protocol, client: ClientProtocol, feature: &'static str, arrived: bool) {
        let cell = self.cells.entry((provider, client, feature)).or_default();
        cell.0 += 1;
        cell.1 += u32::from(arrived);
    }
}

#[test]
fn every_recorded_answer_reaches_every_client() {
    if shared::dir().is_none() {
        return shared::skip("every_recorded_answer_reaches_every_client");
    }
    let mut table = Table::default();
    for record in shared::all_records().iter().filter(|record| record.is_good_generation()) {
        if record.has_tag("abnormal_stream") {
            continue;
        }
        let target = target_of(record);
        let events = match events_of(record, &target) {
            Ok(events) => events,
            Err(problem) => {
                table.problems.push(format!("{}: {problem}", record.id));
                continue;
            }
        };
        let answer = match collected(&events) {
            Ok(answer) => answer,
            // A provider's error inside a 200 is no answer.
            Err(_) => continue,
        };
        // The gateway asks again; when that fails too, each client gets the failure in the form of its protocol.
        if answer.first().is_some_and(|candidate| expected_class(&candidate.finish) == Class::Failed) {
            for client in ClientProtocol::ALL {
                judge_failure(&mut table.problems, record, client, &events, &answer);
            }
            continue;
        }
        for client in ClientProtocol::ALL {
            judge(&mut table, record, client, &events, &answer);
        }
    }
    let problems = table.problems.len();
    let shown = table.problems.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(table.problems.is_empty(), "{problems} problems:\n{shown}");
    let rows = answer_rows(&table);
    eprintln!("{rows}");
    write_or_compare("answers", &rows);
    write_or_compare("answer losses", &answer_loss_rows(&table));
}

fn target_of(record: &Record) -> Target {
    Target::plain(record.wire(), record.model().unwrap_or_else(|| "model".to_owned()))
}

fn events_of(record: &Record, target: &Target) -> Result<Vec<Event>, String> {
    let events = match (&record.response.sse, &record.response.body) {
        (Some(sse), _) => wire::events(target, [sse.as_bytes()], BodyEnd::Clean),
        (None, Some(body)) => {
            let response =
                decode_response(target, Bytes::copy_from_slice(body.as_bytes())).map_err(|f| f.to_string())?;
            collect::into_events(response)
        }
        (None, None) => return Err("no answer".to_owned()),
    };
    Validator::check_all(&events)?;
    Ok(events)
}

fn judge(table: &mut Table, record: &Record, client: ClientProtocol, events: &[Event], answer: &Response) {
    let provider = record.wire();
    let stream = streamed(client, curious(client, provider), events);
    let judge = if provider == client.into() { Check::new(client).vendor() } else { Check::new(client) };
    let check = judge.clone().include_usage(!answer.usage.is_absent());
    let context = curious(client, provider);
    let whole = encode_response(client, &context, answer);
    let losses = answer_losses(client, &context, answer);
    let mut seen = AnswerLosses::between(provider, client);
    seen.iter_mut().for_each(|seen| events.iter().for_each(|event| seen.event(event)));
    let live = seen.map_or_else(Losses::new, |mut seen| seen.take());
    let kinds = |losses: &Losses| losses.entries().iter().map(|loss| loss.code).collect::<BTreeSet<_>>();
    if kinds(&losses) != kinds(&live) {
        let problem = format!("{} to {client}: whole {:?}, stream {:?}", record.id, losses.report(), live.report());
        table.problems.push(problem);
    }
    for code in kinds(&losses) {
        table.losses.entry(code.as_str()).or_default().insert((provider, client));
    }
    for (form, summary) in [("stream", check.stream(&stream)), ("whole", judge.answer(&whole))] {
        let summary = match summary {
            Ok(summary) => summary,
            Err(problem) => {
                table.problems.push(format!("{} to {client}, {form}: {problem}", record.id));
                continue;
            }
        };
        let before = table.problems.len();
        compare(table, record, client, form, answer, &losses, &summary);
        table.count(provider, client, "answers", table.problems.len() == before);
    }
}

/// A failed answer never looks like a good one: a Gemini client reads the provider's own word, others an error. Chat may hand on
/// the calls that came.
fn judge_failure(
    problems: &mut Vec<String>,
    record: &Record,
    client: ClientProtocol,
    events: &[Event],
    answer: &Response,
) {
    let provider = record.wire();
    let stream = streamed(client, curious(client, provider), events);
    let check = if provider == client.into() { Check::new(client).vendor() } else { Check::new(client) };
    let whole = encode_response(client, &curious(client, provider), answer);
    let read = check
        .answer(&whole)
        .or_else(|_| check.failure(&whole).map(|failure| Summary { failure: Some(failure), ..Summary::default() }));
    for (form, seen) in [("stream", check.stream(&stream)), ("whole", read)] {
        let told = match &seen {
            Ok(seen) => match client {
                ClientProtocol::Chat if !seen.tool_calls().is_empty() => seen.finish() == "tool_calls",
                ClientProtocol::Responses => seen.failure.is_some() || seen.finish() == "failed",
                _ => finish_class(client, seen) == Class::Failed,
            },
            Err(_) => false,
        };
        if !told {
            problems.push(format!("{} to {client}, {form}: a failure is not told: {seen:?}", record.id));
        }
    }
}

/// Compares what the client understood with what the provider said.
fn compare(
    table: &mut Table,
    record: &Record,
    client: ClientProtocol,
    form: &str,
    answer: &Response,
    losses: &Losses,
    seen: &Summary,
) {
    let provider = record.wire();
    let mut problem = |what: &str, wanted: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
        table
            .problems
            .push(format!("{} to {client}, {form}: {what}\n  wanted {wanted:?}\n  got    {got:?}", record.id));
    };
    let empty = Candidate::default();
    let candidate = answer.first().unwrap_or(&empty);
    let mut counts = Vec::new();

    let texts: Vec<&str> = candidate.parts.iter().filter_map(|part| part.as_text().map(|text| &**text)).collect();
    if texts.iter().any(|text| !text.trim().is_empty()) {
        let carried = in_order(&texts, seen.text());
        if !carried {
            problem("text", &texts, &seen.text());
        }
        counts.push(("text", carried));
    }

    let calls: Vec<(&str, &str)> = candidate
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::ToolCall(call) if call.kind == ToolCallKind::Function => Some((&*call.name, &*call.arguments)),
            _ => None,
        })
        .collect();
    if !calls.is_empty() && candidate.finish == FinishReason::ToolCalls {
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or(text.into());
        let got: Vec<_> =
            seen.tool_calls().iter().filter(|call| !call.custom).map(|call| (&*call.name, &*call.arguments)).collect();
        let same = calls.len() == got.len()
            && calls.iter().zip(&got).all(|(wanted, got)| wanted.0 == got.0 && value(wanted.1) == value(got.1));
        if !same {
            problem("tool calls", &calls, &got);
        }
        counts.push(("tool calls", same));
    }

    let reasoning: String = candidate
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Reasoning(reasoning) => Some(reasoning.text.joined().to_string()),
            _ => None,
        })
        .collect();
    if !reasoning.trim().is_empty() {
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        let same = plain(seen.reasoning()) == plain(&reasoning);
        if !same {
            problem("reasoning", &reasoning, &seen.reasoning());
        }
        counts.push(("reasoning", same));
    }

    let finish = finish_class(client, seen);
    // Built-in client tools are items of their own here: the reader lists them as special.
    let builtin =
        |part: &Part| matches!(&part.kind, PartKind::ToolCall(call) if matches!(call.kind, ToolCallKind::Builtin(_)));
    let own = client == ClientProtocol::Responses && finish == Class::Done && candidate.parts.iter().any(builtin);
    if finish != expected_class(&candidate.finish) && !own {
        problem("finish", &candidate.finish, &(seen.finish(), finish));
    }

    if !answer.usage.is_absent() && seen.failure.is_none() {
        let wanted = (answer.usage.input_total(), answer.usage.output_total());
        let got = seen.usage.as_ref().map(|usage| (usage.input, usage.output));
        if got != Some(wanted) {
            problem("usage", &wanted, &got);
        }
        counts.push(("usage", got == Some(wanted)));
        if let Some(cached @ 1..) = answer.usage.cache_read {
            let got = seen.usage.as_ref().map(|usage| usage.cache_read);
            if got != Some(cached) {
                problem("cached tokens", &cached, &got);
            }
            counts.push(("cached tokens", got == Some(cached)));
        }
    }

    let images = candidate.parts.iter().filter(|part| matches!(part.kind, PartKind::Image(_))).count();
    let reported = |codes: &[LossCode]| losses.entries().iter().any(|loss| codes.contains(&loss.code));
    if images > 0 {
        let arrived = seen.choices.first().is_some_and(|choice| choice.media.len() >= images);
        if !arrived && !reported(&[LossCode::MediaUnsupported]) {
            problem("images are gone and nobody says so", &images, &losses.report());
        }
        counts.push(("images", arrived));
    }
    let cited = |part: &Part| matches!(&part.kind, PartKind::Text(text) if !text.citations.is_empty());
    if candidate.parts.iter().any(cited) {
        let arrived = seen.choices.first().is_some_and(|choice| !choice.citations.is_empty());
        if !arrived && !reported(&[LossCode::CitationDropped, LossCode::GroundingDropped]) {
            problem("citations are gone and nobody says so", &"citations", &losses.report());
        }
        counts.push(("citations", arrived));
    }
    for (feature, arrived) in counts {
        table.count(provider, client, feature, arrived);
    }
}

/// Whether all texts stand in `whole` in this order, with at most notes of ours between them.
fn in_order(texts: &[&str], whole: &str) -> bool {
    let mut rest = whole;
    texts.iter().filter(|text| !text.is_empty()).all(|text| match rest.split_once(text) {
        Some((_, tail)) => {
            rest = tail;
            true
        }
        None => false,
    })
}

/// What a client may conclude from a finish reason.
#[derive(Debug, PartialEq, Eq)]
enum Class {
    Done,
    Tools,
    Length,
    Filter,
    Failed,
}

fn expected_class(reason: &FinishReason) -> Class {
    match reason {
        FinishReason::ToolCalls => Class::Tools,
        FinishReason::MaxTokens
        | FinishReason::ContextWindow
        | FinishReason::PauseTurn
        | FinishReason::Continuation
        | FinishReason::Steered => Class::Length,
        FinishReason::ContentFilter | FinishReason::Refusal { .. } | FinishReason::Recitation => Class::Filter,
        FinishReason::Error
        | FinishReason::Cancelled
        | FinishReason::MalformedToolCall
        | FinishReason::UnexpectedToolCall
        | FinishReason::TooManyToolCalls
        | FinishReason::MissingSignature => Class::Failed,
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::Compaction | FinishReason::Other => {
            Class::Done
        }
    }
}

fn finish_class(client: ClientProtocol, seen: &Summary) -> Class {
    if seen.failure.is_some() {
        return Class::Failed;
    }
    if seen.blocked.is_some() {
        return Class::Filter;
    }
    let refused = seen.choices.first().is_some_and(|choice| !choice.refusal.is_empty());
    match (client, seen.finish()) {
        (
            _,
            "length" | "max_tokens" | "model_context_window_exceeded" | "MAX_TOKENS" | "CONTINUATION" | "pause_turn",
        )
        | (ClientProtocol::Responses, "incomplete:max_output_tokens" | "incomplete:steered") => Class::Length,
        (_, "content_filter" | "refusal" | "incomplete:content_filter") => Class::Filter,
        (
            ClientProtocol::Gemini,
            "SAFETY" | "RECITATION" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" | "IMAGE_SAFETY" | "MODEL_ARMOR",
        ) => Class::Filter,
        (
            ClientProtocol::Gemini,
            "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MISSING_THOUGHT_SIGNATURE",
        ) => Class::Failed,
        (_, "tool_calls" | "tool_use") => Class::Tools,
        (ClientProtocol::Responses | ClientProtocol::Gemini, _) if !seen.tool_calls().is_empty() => Class::Tools,
        _ if refused => Class::Filter,
        _ => Class::Done,
    }
}

fn answer_rows(table: &Table) -> String {
    let mut rows = String::from("| provider → client |");
    for feature in FEATURES {
        write!(rows, " {feature} |").ok();
    }
    rows.push_str("\n|---|");
    rows.push_str(&"---:|".repeat(FEATURES.len()));
    for provider in Protocol::ALL {
        for client in ClientProtocol::ALL {
            write!(rows, "\n| {provider} → {client} |").ok();
            for feature in FEATURES {
                match table.cells.get(&(provider, client, feature)) {
                    Some((had, arrived)) => write!(rows, " {arrived}/{had} |").ok(),
                    None => write!(rows, " – |").ok(),
                };
            }
        }
    }
    rows.push('\n');
    rows
}

fn answer_loss_rows(table: &Table) -> String {
    let mut rows = String::from("| loss code |");
    for provider in Protocol::ALL {
        write!(rows, " from {provider} to |").ok();
    }
    rows.push_str("\n|---|---|---|---|---|\n");
    for (code, pairs) in &table.losses {
        write!(rows, "| `{code}` |").ok();
        for provider in Protocol::ALL {
            let clients: Vec<String> =
                pairs.iter().filter(|(from, _)| *from == provider).map(|(_, to)| to.to_string()).collect();
            write!(rows, " {} |", clients.join(", ")).ok();
        }
        rows.push('\n');
    }
    rows
}

#[test]
fn every_recorded_request_reaches_every_provider() {
    if shared::dir().is_none() {
        return shared::skip("every_recorded_request_reaches_every_provider");
    }
    let mut problems = Vec::new();
    // (client, provider) to (requests, without any loss, refused because content cannot be carried).
    let mut counts: BTreeMap<(ClientProtocol, Protocol), [u32; 3]> = BTreeMap::new();
    let mut codes: BTreeMap<&'static str, BTreeSet<(ClientProtocol, Protocol)>> = BTreeMap::new();
    for record in shared::all_records().iter().filter(|record| record.is_good_generation() && record.is_official()) {
        let Some((client, request)) = request_of(record, &mut problems) else { continue };
        for provider in Protocol::ALL {
            let target = Target::plain(provider, "model");
            let (encoded, _, losses) = wire::sent(&target, request.clone(), None);
            let count = counts.entry((client, provider)).or_default();
            count[0] += 1;
            for loss in losses.entries() {
                codes.entry(loss.code.as_str()).or_default().insert((client, provider));
            }
            if losses.first_at_least(Severity::Error).is_some() {
                count[2] += 1;
                continue;
            }
            count[1] += u32::from(losses.first_at_least(Severity::Warn).is_none());
            let body: serde_json::Value = match serde_json::from_slice(&encoded.body) {
                Ok(body) => body,
                Err(problem) => {
                    problems.push(format!("{} to {provider}: not JSON: {problem}", record.id));
                    continue;
                }
            };
            let verdict = if record.wire() == provider {
                schema::validate_schema(provider, &body)
            } else {
                schema::validate_request(provider, &body)
            };
            if let Err(violations) = verdict {
                problems.push(format!("{} to {provider}: {}", record.id, violations.join("; ")));
            }
        }
    }
    let shown = problems.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(problems.is_empty(), "{} problems:\n{shown}", problems.len());
    let rows = request_rows(&counts, &codes);
    eprintln!("{rows}");
    write_or_compare("requests", &rows);
}

/// A recorded request as it is understood, and whose protocol it speaks.
fn request_of(record: &Record, problems: &mut Vec<String>) -> Option<(ClientProtocol, Request)> {
    let recorded = record.request.as_ref()?;
    let client = client_of(record.wire());
    let head = RequestHead {
        model: record.model().map(Into::into),
        api_version: recorded.headers.get("anthropic-version").map(|version| version.as_str().into()),
        stream: record.streaming,
        ..RequestHead::default()
    };
    match decode_request(client, &head, Bytes::copy_from_slice(recorded.body.as_bytes())) {
        Ok(request) => Some((client, request)),
        Err(problem) => {
            problems.push(format!("{}: {problem}", record.id));
            None
        }
    }
}

/// Providers that are not spoken to as their protocol's own servers, each with a model of theirs.
fn kinds() -> Vec<(&'static str, Target)> {
    let assist = |client| {
        let project = Some("project".into());
        Wire::CodeAssist(Arc::new(CodeAssist { client, project, id: "id".into() }))
    };
    [
        ("azure", Protocol::Chat, Wire::Own, "gpt-5"),
        ("code-assist", Protocol::Gemini, assist(CodeAssistClient::Cli), "gemini-2.5-pro"),
        ("antigravity", Protocol::Gemini, assist(CodeAssistClient::Antigravity), "claude-sonnet-4-6"),
        ("vertex", Protocol::Gemini, Wire::Own, "gemini-2.5-pro"),
        ("vertex-anthropic", Protocol::Messages, Wire::Own, "claude-sonnet-4-5"),
        ("bedrock", Protocol::Messages, Wire::Converse, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("bedrock-anthropic", Protocol::Messages, Wire::BedrockMessages, "anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("warp", Protocol::Chat, Wire::Warp, "auto"),
        ("llama-cli", Protocol::Chat, Wire::Own, "model"),
    ]
    .into_iter()
    .map(|(host, protocol, wire, model)| {
        let profile = Profile::named(host).unwrap_or_else(|| panic!("no quirks of {host}"));
        let capabilities = Capabilities::of_model(protocol, Some(host), model);
        let (profile, capabilities) = (Arc::new(profile), Arc::new(capabilities));
        (host, Target { wire, profile, capabilities, ..Target::plain(protocol, model) })
    })
    .collect()
}

/// The request of the protocol that a body of a kind stands for; `None` where it is written in no JSON of that protocol.
fn unwrapped(target: &Target, body: &[u8]) -> Option<serde_json::Value> {
    let mut body: serde_json::Value = match target.wire {
        Wire::Warp | Wire::Converse | Wire::Custom(_) => return None,
        _ => serde_json::from_slice(body).unwrap_or_default(),
    };
    if matches!(target.wire, Wire::CodeAssist(_)) {
        body = body["request"].take();
        for session in ["session_id", "sessionId"] {
            body.as_object_mut()?.remove(session);
        }
    } else if target.protocol == Protocol::Messages {
        let members = body.as_object_mut()?;
        assert!(members.remove("anthropic_version").is_some());
        members.remove("anthropic_beta");
        assert_eq!(members.insert("model".to_owned(), "model".into()), None);
    }
    Some(body)
}

#[test]
fn every_recorded_request_reaches_every_kind_of_provider() {
    if shared::dir().is_none() {
        return shared::skip("every_recorded_request_reaches_every_kind_of_provider");
    }
    let mut problems = Vec::new();
    let kinds = kinds();
    let mut counts = vec![BTreeMap::<ClientProtocol, [u32; 3]>::new(); kinds.len()];
    for record in shared::all_records().iter().filter(|record| record.is_good_generation() && record.is_official()) {
        let Some((client, request)) = request_of(record, &mut problems) else { continue };
        for ((name, target), counts) in kinds.iter().zip(&mut counts) {
            let (encoded, _, losses) = wire::sent(target, request.clone(), None);
            let count = counts.entry(client).or_default();
            count[0] += 1;
            if losses.first_at_least(Severity::Error).is_some() {
                count[2] += 1;
                continue;
            }
            count[1] += u32::from(losses.first_at_least(Severity::Warn).is_none());
            assert!(!encoded.body.is_empty(), "{name}");
            let Some(body) = unwrapped(target, &encoded.body) else { continue };
            let verdict = match record.wire() == target.protocol {
                true => schema::validate_schema(target.protocol, &body),
                false => schema::validate_request(target.protocol, &body),
            };
            if let Err(violations) = verdict {
                problems.push(format!("{} to {name}: {}", record.id, violations.join("; ")));
            }
        }
    }
    let shown = problems.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(problems.is_empty(), "{} problems:\n{shown}", problems.len());
    let mut rows = String::from("| provider |");
    for client in ClientProtocol::ALL {
        write!(rows, " from {client} |").ok();
    }
    rows.push_str("\n|---|---:|---:|---:|---:|\n");
    for ((name, target), counts) in kinds.iter().zip(&counts) {
        write!(rows, "| `{name}` ({}) |", target.model).ok();
        for client in ClientProtocol::ALL {
            let [all, clean, refused] = counts.get(&client).copied().unwrap_or_default();
            write!(rows, " {clean}, {refused} of {all} |").ok();
        }
        rows.push('\n');
    }
    write_or_compare("kinds", &rows);
}

fn client_of(protocol: Protocol) -> ClientProtocol {
    match protocol {
        Protocol::Chat => ClientProtocol::Chat,
        Protocol::Responses => ClientProtocol::Responses,
        Protocol::Messages => ClientProtocol::Messages,
        Protocol::Gemini => ClientProtocol::Gemini,
    }
}

fn request_rows(
    counts: &BTreeMap<(ClientProtocol, Protocol), [u32; 3]>,
    codes: &BTreeMap<&'static str, BTreeSet<(ClientProtocol, Protocol)>>,
) -> String {
    let mut rows = String::from(
        "| client → provider | requests | carried without a loss that matters | refused: content cannot be carried |\n|---|---:|---:|---:|\n",
    );
    for ((client, provider), [all, clean, refused]) in counts {
        writeln!(rows, "| {client} → {provider} | {all} | {clean} | {refused} |").ok();
    }
    rows.push_str("\n| loss code |");
    for client in ClientProtocol::ALL {
        write!(rows, " from {client} to |").ok();
    }
    rows.push_str("\n|---|---|---|---|---|\n");
    for (code, pairs) in codes {
        write!(rows, "| `{code}` |").ok();
        for client in ClientProtocol::ALL {
            let targets: Vec<&str> =
                pairs.iter().filter(|(from, _)| *from == client).map(|(_, to)| to.as_str()).collect();
            write!(rows, " {} |", targets.join(", ")).ok();
        }
        rows.push('\n');
    }
    rows
}

/// Puts `rows` between the markers of `section` in `docs/TRANSLATION.md`, or checks that they stand there.
fn write_or_compare(section: &str, rows: &str) {
    let path = shared::workspace_root().expect("workspace").join("docs/TRANSLATION.md");
    let document = std::fs::read_to_string(&path).expect("docs/TRANSLATION.md");
    let (open, close) = (format!("<!-- {section} -->\n"), format!("<!-- end of {section} -->"));
    let (head, rest) = document.split_once(&open).expect("opening marker");
    let (old, tail) = rest.split_once(&close).expect("closing marker");
    if old == rows {
        return;
    }
    assert!(
        std::env::var_os("POLYPORT_UPDATE").is_some(),
        "docs/TRANSLATION.md is stale: run POLYPORT_UPDATE=1 cargo test -p polyport-protocol matrix -- --test-threads=1\n{rows}"
    );
    std::fs::write(&path, format!("{head}{open}{rows}{close}{tail}")).expect("write docs/TRANSLATION.md");
}
