//! Whole answers of the Gemini protocol.

use std::collections::HashMap;

use polyport_types::{
    Candidate, Extras, Fault, FaultClass, FinishReason, Part, PartKind, PromptBlock, Protocol, Response,
    ResponseStatus, ServerToolKind, Text, TokenLogprob, Usage,
};
use serde_json::value::RawValue;

use super::answer::{self, Answer, id_base};
use super::grounding::{self, Answered, Cited};
use super::types::{self, GenerateResponse, LogprobsResult, PromptFeedback};
use super::{finish, names, parts, usage};
use crate::classify::classify_body;
use crate::collect::Collector;
use crate::json::{self, Int, JsonWriter, from_text};
use crate::sse::Frame;
use crate::{ClientContext, Target};

/// Envelopes around an answer that are taken off.
pub(super) const MAX_WRAPPERS: u8 = 3;

/// Reads a provider's whole answer.
///
/// # Errors
/// A [`Fault`] if it is an error in disguise, makes no sense, or holds no answer at all.
pub fn decode_response(target: &Target, body: &Text) -> Result<Response, Fault> {
    decode_wrapped(target, body, Text::new(), MAX_WRAPPERS)
}

/// `trace` stands for a missing id.
fn decode_wrapped(target: &Target, body: &Text, trace: Text, wrappers: u8) -> Result<Response, Fault> {
    if body.trim_start().starts_with('[') {
        return decode_chunks(target, body);
    }
    let wire: GenerateResponse<'_> =
        from_text(body).map_err(|error| unreadable(&format!("the provider's answer is unreadable: {error}")))?;
    if wire.error.is_some() {
        return Err(classify_body(None, body));
    }
    // Code Assist puts an envelope around each answer.
    if let (Some(inner), None, 1..) = (wire.response, &wire.candidates, wrappers) {
        let trace = wire.trace_id.map_or(trace, |id| id.into_text(body));
        return decode_wrapped(target, &body.slice_ref(inner.get()), trace, wrappers - 1);
    }
    let mut response = Response {
        id: wire.response_id.or(wire.trace_id).map_or(trace, |id| id.into_text(body)),
        model: wire.model_version.map(|model| model.into_text(body)).unwrap_or_default(),
        usage: wire.usage_metadata.and_then(|raw| usage::read(raw, body)).unwrap_or_default(),
        ..Response::default()
    };
    response.created = keep_head(wire.create_time.as_deref(), wire.extra, body, &mut response.ext);
    let base = id_base(&response.id, body);
    // Calls by id, of all candidates.
    let mut seen = HashMap::new();
    let mut empty = true;
    // Nothing is missing from a whole answer: its order counts, not its numbers.
    let mut candidates = wire.candidates.unwrap_or_default().0;
    candidates.sort_by_key(|candidate| candidate.index.map(Int::count));
    for (index, candidate) in (0..).zip(candidates) {
        empty &= candidate.finish_reason.is_none() && !has_parts(&candidate);
        response.candidates.push(decode_candidate(candidate, index, &base, &mut seen, body));
    }
    if response.candidates.is_empty() {
        response.prompt_block = wire.prompt_feedback.and_then(|raw| read_block(raw, body));
        let Some(block) = &response.prompt_block else {
            return Err(unreadable("the provider's answer holds no candidate and no reason for that"));
        };
        response.candidates.push(blocked(block));
    } else if empty {
        return Err(unreadable("the provider's answer is empty"));
    } else if let Some(raw) = wire.prompt_feedback {
        response.ext.push("promptFeedback", json::raw(raw, body));
    }
    response.status = status_of(&response);
    Ok(response)
}

fn unreadable(message: &str) -> Fault {
    Fault { from_upstream: true, ..Fault::new(FaultClass::UpstreamProtocol, message) }
}

/// A stream that came as one JSON array.
fn decode_chunks(target: &Target, body: &Text) -> Result<Response, Fault> {
    let chunks: Vec<&RawValue> =
        from_text(body).map_err(|error| unreadable(&format!("the provider's answer is unreadable: {error}")))?;
    let mut decoder = super::Decoder::new(target);
    let mut events = Vec::new();
    let mut done = false;
    for chunk in chunks {
        let frame = Frame::Event { name: None, data: body.slice_ref(chunk.get()) };
        done = decoder.event(&frame, &mut events) == crate::stream::Step::Done;
        if done {
            break;
        }
    }
    if !done {
        decoder.finish(false, &mut events);
    }
    let mut collector = Collector::new();
    events.into_iter().for_each(|event| collector.push(event));
    collector.into_response()
}

fn has_parts(candidate: &types::Candidate<'_>) -> bool {
    candidate.content.as_ref().and_then(|content| content.parts.as_ref()).is_some_and(|parts| !parts.0.is_empty())
}

/// Keeps the time and what has no slot.
pub(super) fn keep_head(
    create_time: Option<&str>,
    extra: json::Extra<'_>,
    body: &Text,
    ext: &mut Extras,
) -> Option<i64> {
    if let Some(time) = create_time {
        ext.push("createTime", polyport_types::RawJson::of(&time.into()));
    }
    names::keep(extra, "", body, ext);
    create_time.and_then(unix_seconds)
}

/// Unix seconds of an RFC 3339 time; none before 1970, which no client could take.
fn unix_seconds(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second).filter(|seconds| *seconds >= 0)
}

/// Reads why a prompt was refused; `None` if it was not.
pub(super) fn read_block(raw: &RawValue, body: &Text) -> Option<PromptBlock> {
    let feedback: PromptFeedback<'_> = serde_json::from_str(raw.get()).ok()?;
    Some(PromptBlock {
        reason: feedback.reason.filter(|reason| !reason.is_empty())?.into_text(body),
        message: feedback.message.map(|message| message.into_text(body)),
        ratings: feedback.ratings.map(|ratings| json::raw(ratings, body)),
    })
}

/// What stands for the answer to a refused prompt.
fn blocked(block: &PromptBlock) -> Candidate {
    Candidate {
        finish: FinishReason::ContentFilter,
        raw_finish: Some(block.reason.clone()),
        finish_message: block.message.clone(),
        ..Candidate::default()
    }
}

fn status_of(response: &Response) -> ResponseStatus {
    match response.first().map(|candidate| &candidate.finish) {
        Some(
            FinishReason::MaxTokens
            | FinishReason::ContentFilter
            | FinishReason::Recitation
            | FinishReason::Continuation,
        ) => ResponseStatus::Incomplete,
        _ => ResponseStatus::Completed,
    }
}

fn decode_candidate(
    wire: types::Candidate<'_>,
    index: u32,
    base: &str,
    seen: &mut HashMap<Text, (Text, Text)>,
    body: &Text,
) -> Candidate {
    let mut candidate = Candidate { index, ..Candidate::default() };
    let wire_parts = wire.content.and_then(|content| content.parts).unwrap_or_default().0;
    let mut positions = Vec::with_capacity(wire_parts.len());
    for (position, wire_part) in wire_parts.into_iter().enumerate() {
        let mut part = parts::decode(wire_part, body);
        let place = Place { base, candidate: index, position: candidate.parts.len() };
        if !name_call(&mut part, seen, &place) {
            continue;
        }
        // Gemini 3 ends with an empty text.
        if part.as_text().is_some_and(|text| text.is_empty()) && part.signature.is_none() {
            continue;
        }
        candidate.parts.push(part);
        positions.push(position);
    }
    let cited = {
        let texts: Vec<(usize, &Part)> = positions.iter().copied().zip(&candidate.parts).collect();
        let texts: Vec<Answered<'_>> = texts
            .iter()
            .filter_map(|(position, part)| {
                let text = part.as_text()?;
                Some(Answered { part: Some(*position), length: text.len(), text: Some(text) })
            })
            .collect();
        grounding::read(wire.grounding, wire.citations, &texts)
    };
    attach(&mut candidate.parts, cited);
    let has_calls = candidate.parts.iter().any(|part| matches!(part.kind, PartKind::ToolCall(_)));
    let word = wire.finish_reason.map(|word| word.into_text(body));
    let reason = word.as_deref().map_or(FinishReason::Other, finish::read);
    candidate.finish = finish::raise(reason, has_calls);
    candidate.raw_finish = word;
    candidate.finish_message = wire.finish_message.map(|message| message.into_text(body));
    if let Some(logprobs) = wire.logprobs {
        candidate.logprobs = read_logprobs(logprobs, body, &mut candidate.ext);
    }
    keep_metadata(wire.grounding, wire.citations, body, &mut candidate.ext);
    names::keep(wire.extra, "", body, &mut candidate.ext);
    candidate
}

/// Keeps grounding and citations as they came, for clients of the same protocol.
pub(super) fn keep_metadata(grounding: Option<&RawValue>, recited: Option<&RawValue>, body: &Text, ext: &mut Extras) {
    for (name, value) in [("groundingMetadata", grounding), ("citationMetadata", recited)] {
        if let Some(value) = value {
            ext.push(name, json::raw(value, body));
        }
    }
}

/// Where a call stands, for its id.
struct Place<'b> {
    base: &'b str,
    candidate: u32,
    position: usize,
}

/// Gives a call its id, different from those in `seen`, which it joins. False if it has no name or repeats an earlier call.
fn name_call(part: &mut Part, seen: &mut HashMap<Text, (Text, Text)>, place: &Place<'_>) -> bool {
    let PartKind::ToolCall(call) = &mut part.kind else { return true };
    if call.name.is_empty() {
        return false;
    }
    if call.id.is_empty() {
        call.id = answer::generated_id(place.base, place.candidate, place.position);
    } else if let Some((name, arguments)) = seen.get(&call.id) {
        if *name == call.name && *arguments == call.arguments {
            return false;
        }
        call.id = answer::another_id(&call.id, place.candidate, place.position);
    }
    seen.insert(call.id.clone(), (call.name.clone(), call.arguments.clone()));
    true
}

fn attach(parts: &mut [Part], citations: Vec<(usize, polyport_types::Citation)>) {
    let mut texts: Vec<_> = parts
        .iter_mut()
        .filter_map(|part| match &mut part.kind {
            PartKind::Text(text) => Some(text),
            _ => None,
        })
        .collect();
    for (number, citation) in citations {
        if let Some(text) = texts.get_mut(number) {
            text.citations.push(citation);
        }
    }
}

/// Reads log probabilities: the chosen tokens with the alternatives of their step.
pub(super) fn read_logprobs(wire: LogprobsResult<'_>, body: &Text, ext: &mut Extras) -> Vec<TokenLogprob> {
    names::keep(wire.extra, "logprobsResult", body, ext);
    let token = |token: types::LogprobToken<'_>| TokenLogprob {
        token: token.token.map(|text| text.into_text(body)).unwrap_or_default(),
        logprob: token.logprob.map_or(0.0, |number| number.0),
        bytes: None,
        token_id: token.id.map(|id| id.0),
        top: Vec::new(),
    };
    let mut top = wire.top.unwrap_or_default().0.into_iter();
    let chosen = wire.chosen.unwrap_or_default().0.into_iter();
    chosen
        .map(|chosen| {
            let alternatives = top.next().and_then(|step| step.tokens).unwrap_or_default().0;
            TokenLogprob { top: alternatives.into_iter().map(token).collect(), ..token(chosen) }
        })
        .collect()
}

/// Writes a whole answer for a client.
#[must_use]
pub fn encode_response(context: &ClientContext, response: &Response) -> Vec<u8> {
    let answer = Answer::new(context);
    let mut out = Vec::with_capacity(1024);
    JsonWriter::new(&mut out).object(|w| {
        let blocked = response.prompt_block.as_ref().filter(|_| response.candidates.iter().all(|c| c.parts.is_empty()));
        match blocked {
            Some(block) => answer::write_block(w, block),
            None => w.array_field("candidates", |w| {
                let mut candidates: Vec<&Candidate> = response.candidates.iter().collect();
                candidates.sort_by_key(|candidate| candidate.index);
                for candidate in candidates {
                    w.object(|w| write_candidate(w, context, &answer, candidate));
                }
                if response.candidates.is_empty() {
                    let none = Candidate { finish: FinishReason::Other, ..Candidate::default() };
                    w.object(|w| write_candidate(w, context, &answer, &none));
                }
            }),
        }
        write_envelope(w, context, &answer, &response.id, &response.usage);
        write_head(w, &answer, &response.ext);
    });
    out
}

/// Usage, model and id: what stands beside the candidates of every chunk.
pub(super) fn write_envelope(
    w: &mut JsonWriter<'_>,
    context: &ClientContext,
    answer: &Answer,
    provider_id: &str,
    usage: &Usage,
) {
    usage::write(w, usage, answer.own);
    w.str("modelVersion", &context.model);
    w.str("responseId", answer.response_id(context, provider_id));
}

/// Members of the head without a slot.
pub(super) fn write_head(w: &mut JsonWriter<'_>, answer: &Answer, head: &Extras) {
    if answer.own {
        for (name, value) in names::kept(head, "") {
            w.raw(&name, value);
        }
    }
}

fn write_candidate(w: &mut JsonWriter<'_>, context: &ClientContext, answer: &Answer, candidate: &Candidate) {
    // A filter may leave nothing, and then there is no content.
    let filtered = matches!(candidate.finish, FinishReason::ContentFilter | FinishReason::Recitation);
    if !(filtered && candidate.parts.is_empty()) {
        w.object_field("content", |w| {
            w.array_field("parts", |w| {
                if !answer.parts(w, context, &candidate.parts) {
                    w.object(|w| w.str("text", ""));
                }
            });
            w.str("role", "model");
        });
    }
    let refusal = candidate.parts.iter().find_map(|part| match &part.kind {
        PartKind::Refusal(text) => Some(text),
        _ => None,
    });
    let end = End {
        reason: &candidate.finish,
        raw: candidate.raw_finish.as_deref(),
        message: candidate.finish_message.as_ref(),
        refusal,
        ext: &candidate.ext,
    };
    write_end(w, answer, &end);
    w.num("index", candidate.index);
    if !grounded(answer, &candidate.ext) {
        let texts: Vec<&str> = candidate.parts.iter().filter_map(Part::as_text).map(|text| &**text).collect();
        let mut before = 0;
        let mut cited = Vec::with_capacity(texts.len());
        for part in &candidate.parts {
            if let PartKind::Text(text) = &part.kind {
                let length = text.text.len();
                cited.push(Cited { before, length, text: Some(&text.text), citations: &text.citations });
                before += length;
            }
        }
        let queries: Vec<Text> = candidate.parts.iter().flat_map(search_queries).collect();
        grounding::write(w, &cited, &queries);
    }
    let tokens: Vec<&TokenLogprob> = candidate
        .parts
        .iter()
        .filter_map(|part| match &part.kind {
            PartKind::Text(text) => Some(&text.logprobs),
            _ => None,
        })
        .flatten()
        .chain(&candidate.logprobs)
        .collect();
    write_logprobs(w, answer, &tokens, &candidate.ext);
}

/// How an answer ended, for [`write_end`].
pub(super) struct End<'e> {
    pub(super) reason: &'e FinishReason,
    /// The provider's word.
    pub(super) raw: Option<&'e str>,
    pub(super) message: Option<&'e Text>,
    /// The model's own words for declining.
    pub(super) refusal: Option<&'e Text>,
    pub(super) ext: &'e Extras,
}

/// Writes `finishReason`, `finishMessage` and the members the provider gave beside them.
pub(super) fn write_end(w: &mut JsonWriter<'_>, answer: &Answer, end: &End<'_>) {
    let explanation = match end.reason {
        FinishReason::Refusal { explanation, .. } => explanation.as_ref(),
        _ => None,
    };
    let declined = end.refusal.is_some() && matches!(end.reason, FinishReason::Stop);
    let reason = if declined { &FinishReason::ContentFilter } else { end.reason };
    w.str("finishReason", finish::word(reason, end.raw.filter(|_| answer.own)));
    let message = end.message.or(explanation).or(end.refusal);
    w.opt_str("finishMessage", message.map(|text| &**text));
    if answer.own {
        for (name, value) in names::kept(end.ext, "") {
            w.raw(&name, value);
        }
    }
}

/// Whether the provider's own grounding is written as it came.
pub(super) fn grounded(answer: &Answer, ext: &Extras) -> bool {
    answer.own && ["groundingMetadata", "citationMetadata"].iter().any(|name| ext.get(name).is_some())
}

/// What a web search of another provider asked for; Google's own stands in the answer as it is.
pub(super) fn search_queries(part: &Part) -> Vec<Text> {
    match &part.kind {
        PartKind::ServerToolCall(call)
            if call.tool == ServerToolKind::WebSearch && call.protocol != Protocol::Gemini =>
        {
            queries_of(call.input.as_str())
        }
        _ => Vec::new(),
    }
}

/// The queries in the input of a search, however its provider writes them.
pub(super) fn queries_of(input: &str) -> Vec<Text> {
    let Ok(input) = serde_json::from_str::<serde_json::Value>(input) else { return Vec::new() };
    let within = [Some(&input), input.get("action")];
    within
        .into_iter()
        .flatten()
        .flat_map(|object| {
            let many = object.get("queries").and_then(serde_json::Value::as_array).into_iter().flatten();
            many.chain(object.get("query"))
        })
        .filter_map(serde_json::Value::as_str)
        .map(Text::from)
        .collect()
}

/// Writes `logprobsResult`, and the mean unless the provider gave it.
pub(super) fn write_logprobs(w: &mut JsonWriter<'_>, answer: &Answer, tokens: &[&TokenLogprob], ext: &Extras) {
    if tokens.is_empty() {
        return;
    }
    let given = answer.own && ext.get("avgLogprobs").is_some();
    if !given {
        #[allow(clippy::cast_precision_loss, reason = "an answer has fewer than 2^52 tokens")]
        let mean = |known: &[f64]| known.iter().sum::<f64>() / known.len() as f64;
        let known: Vec<f64> = tokens.iter().filter_map(|token| probability(token)).collect();
        if !known.is_empty() {
            w.num("avgLogprobs", mean(&known));
        }
    }
    let one = |w: &mut JsonWriter<'_>, token: &TokenLogprob| {
        w.object(|w| {
            w.str("token", &token.token);
            w.opt_num("tokenId", token.token_id);
            w.opt_num("logProbability", probability(token));
        });
    };
    w.object_field("logprobsResult", |w| {
        w.array_field("chosenCandidates", |w| tokens.iter().for_each(|token| one(w, token)));
        if tokens.iter().any(|token| !token.top.is_empty()) {
            w.array_field("topCandidates", |w| {
                for token in tokens {
                    w.object(|w| w.array_field("candidates", |w| token.top.iter().for_each(|token| one(w, token))));
                }
            });
        }
        if answer.own {
            parts::kept_members(w, ext, "logprobsResult");
        }
    });
}

/// A token's probability; a missing one is written by some as a very small one.
fn probability(token: &TokenLogprob) -> Option<f64> {
    (token.logprob > -9999.0).then_some(token.logprob)
}
