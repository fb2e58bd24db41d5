//! Calls and their results: each call has exactly one result, behind it, under one id the target takes.
//!
//! Providers refuse a history in which a call is not answered or an answer has no call. Interrupted clients and clients that cut
//! old history produce both.

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use polyport_types::{
    LossAction, LossCode, Message, Part, PartKind, Protocol, Request, Role, Text, ToolCallKind, ToolResult,
};

use super::{Job, Tally, short_hash, state};
use crate::profile::ToolIdRule;

/// Longest id of a call in Responses.
const MAX_RESPONSES_ID: usize = 64;
/// What stands for a result that nobody recorded.
const NO_RESULT: &str = "Error: no result was recorded for this call";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Pairs calls with results and gives both their ids.
pub(super) fn pair(job: &mut Job<'_>, request: &mut Request) {
    let calls = calls(&request.messages);
    let results = request.messages.iter().flat_map(|message| &message.parts).any(is_result);
    if calls.is_empty() && !results {
        return;
    }
    let continues = state::continues(job, request);
    let mut pairs = Pairs { calls, results: HashMap::new(), stray: HashSet::new() };
    pairs.find(&request.messages);
    let with_names = job.to(Protocol::Gemini) || job.profile().tool_name;
    pairs.tell(&mut request.messages, !job.same, with_names);
    if !continues {
        strays(job, request, &pairs);
    }
    let ids = ids(job, &pairs.calls);
    report_ids(job, request, &pairs.calls, &ids);
    pairs.rename(&mut request.messages, &ids);
    arrange(job, request, &pairs, &ids);
}

/// Takes the first open call of the last step out of a list.
fn take_nearest(open: &mut Vec<(usize, usize)>) -> Option<usize> {
    let (_, last) = *open.last()?;
    let first = open.iter().position(|(_, step)| *step == last)?;
    Some(open.remove(first).0)
}

/// Position of a part: message and part.
type At = (usize, usize);

/// A call of the history.
struct Call {
    at: At,
    id: Text,
    name: Text,
    kind: ToolCallKind,
    answered: bool,
}

struct Pairs {
    calls: Vec<Call>,
    /// Number of the call that a result answers.
    results: HashMap<At, usize>,
    /// Results without a call of their own.
    stray: HashSet<At>,
}

fn is_result(part: &Part) -> bool {
    matches!(part.kind, PartKind::ToolResult(_))
}

/// Every part with its position.
fn positions(messages: &[Message]) -> impl Iterator<Item = (At, &Part)> {
    messages
        .iter()
        .enumerate()
        .flat_map(|(message, entry)| entry.parts.iter().enumerate().map(move |(part, entry)| ((message, part), entry)))
}

fn calls(messages: &[Message]) -> Vec<Call> {
    positions(messages)
        .filter_map(|(at, part)| match &part.kind {
            PartKind::ToolCall(call) => Some(Call {
                at,
                id: call.id.clone(),
                name: call.name.clone(),
                kind: call.kind.clone(),
                answered: false,
            }),
            _ => None,
        })
        .collect()
}

impl Pairs {
    /// Finds the call of each result: the nearest one before it that has its id and no answer yet.
    fn find(&mut self, messages: &[Message]) {
        // Open calls of an id: their number and the step of the model they belong to.
        let mut open: HashMap<Text, Vec<(usize, usize)>> = HashMap::new();
        let (mut next, mut step, mut answering) = (0, 0, false);
        for (at, part) in positions(messages) {
            match &part.kind {
                PartKind::ToolCall(call) => {
                    step += usize::from(std::mem::take(&mut answering));
                    open.entry(call.id.clone()).or_default().push((next, step));
                    next += 1;
                }
                PartKind::ToolResult(result) => match open.get_mut(&result.call_id).and_then(take_nearest) {
                    Some(number) => {
                        answering = true;
                        if let Some(call) = self.calls.get_mut(number) {
                            call.answered = true;
                        }
                        self.results.insert(at, number);
                    }
                    None => drop(self.stray.insert(at)),
                },
                _ => {}
            }
        }
    }

    /// Tells results what they answer, where the target wants to know.
    fn tell(&self, messages: &mut [Message], with_kinds: bool, with_names: bool) {
        for (&(message, part), &number) in &self.results {
            let Some(call) = self.calls.get(number) else { continue };
            let part = messages.get_mut(message).and_then(|message| message.parts.get_mut(part));
            if let Some(PartKind::ToolResult(result)) = part.map(|part| &mut part.kind) {
                if with_kinds {
                    result.kind = call.kind.clone();
                }
                if with_names {
                    result.name = Some(call.name.clone());
                }
            }
        }
    }

    fn rename(&self, messages: &mut [Message], ids: &[Text]) {
        for (call, id) in self.calls.iter().zip(ids) {
            if let Some(PartKind::ToolCall(part)) = part_mut(messages, call.at) {
                part.id = id.clone();
            }
        }
        for (at, number) in &self.results {
            if let (Some(PartKind::ToolResult(part)), Some(id)) = (part_mut(messages, *at), ids.get(*number)) {
                part.call_id = id.clone();
            }
        }
    }
}

fn part_mut(messages: &mut [Message], (message, part): At) -> Option<&mut PartKind> {
    messages.get_mut(message)?.parts.get_mut(part).map(|part| &mut part.kind)
}

/// Turns results without a call into words of the user, in place; arranging moves them to where the user speaks.
fn strays(job: &mut Job<'_>, request: &mut Request, pairs: &Pairs) {
    let mut found = Tally::default();
    let mut at: Vec<At> = pairs.stray.iter().copied().collect();
    at.sort_unstable();
    for (message, part) in at {
        let Some(message) = request.messages.get_mut(message) else { continue };
        let place = job.place(message);
        let Some(part) = message.parts.get_mut(part) else { continue };
        let PartKind::ToolResult(result) = &mut part.kind else { continue };
        let label = match &result.name {
            Some(name) if !name.is_empty() => format!("{name}, {}", result.call_id),
            _ => result.call_id.to_string(),
        };
        let text = result_text(result);
        part.kind = Part::text(format!("Tool result ({label}): {text}")).kind;
        found.add(place);
    }
    if let Some((place, detail)) = found.take("results") {
        job.losses.warn(LossCode::ToolResultOrphan, LossAction::Degraded, place, detail);
    }
}

/// The words of a result.
fn result_text(result: &ToolResult) -> String {
    let texts = result.parts.iter().filter_map(|part| part.as_text().map(|text| &**text));
    let mut words: Vec<&str> = result.structured.iter().map(polyport_types::RawJson::as_str).collect();
    words.extend(texts);
    words.join("\n")
}

/// The id each call gets.
fn ids(job: &Job<'_>, calls: &[Call]) -> Vec<Text> {
    let mut used: HashSet<Text> = HashSet::with_capacity(calls.len());
    let mut seen: HashMap<&Text, usize> = HashMap::new();
    calls
        .iter()
        .map(|call| {
            let occurrence = seen.entry(&call.id).or_insert(0);
            *occurrence += 1;
            let wanted = if *occurrence == 1 { call.id.clone() } else { format!("{}_{occurrence}", call.id).into() };
            let mut made = make_id(job, &wanted, 0);
            let mut number = 2;
            while used.contains(&made) {
                made = match rule(job) {
                    ToolIdRule::Mistral9 => make_id(job, &wanted, number),
                    ToolIdRule::Any | ToolIdRule::Safe => make_id(job, &format!("{wanted}_{number}").into(), 0),
                };
                number += 1;
            }
            used.insert(made.clone());
            made
        })
        .collect()
}

fn rule(job: &Job<'_>) -> ToolIdRule {
    match (job.target.protocol, job.profile().tool_id) {
        // The alphabet belongs to the protocol.
        (Protocol::Messages, ToolIdRule::Any) => ToolIdRule::Safe,
        (_, rule) => rule,
    }
}

/// An id under the target's rule; one that fits stays.
fn make_id(job: &Job<'_>, id: &Text, attempt: usize) -> Text {
    let safe = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let made = match rule(job) {
        ToolIdRule::Any => id.clone(),
        ToolIdRule::Mistral9 => {
            let fits = attempt == 0 && id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return if fits { id.clone() } else { nine(id, attempt) };
        }
        ToolIdRule::Safe if id.chars().all(safe) => id.clone(),
        ToolIdRule::Safe => id.chars().map(|c| if safe(c) { c } else { '_' }).collect::<String>().into(),
    };
    let made = if made.is_empty() { Text::from_static("call") } else { made };
    if job.to(Protocol::Responses) && made.chars().count() > MAX_RESPONSES_ID {
        let head: String = made.chars().take(MAX_RESPONSES_ID - 9).collect();
        return format!("{head}_{}", short_hash(id)).into();
    }
    made
}

/// Nine letters or digits that stand for an id.
fn nine(id: &str, attempt: usize) -> Text {
    let mut hasher = blake3::Hasher::new();
    hasher.update(id.as_bytes());
    hasher.update(&attempt.to_le_bytes());
    let hash = hasher.finalize();
    hash.as_bytes()
        .iter()
        .take(9)
        .map(|byte| char::from(BASE62.get(usize::from(*byte) % BASE62.len()).copied().unwrap_or(b'0')))
        .collect::<String>()
        .into()
}

fn report_ids(job: &mut Job<'_>, request: &Request, calls: &[Call], ids: &[Text]) {
    let mut changed = Tally::default();
    for (call, id) in calls.iter().zip(ids) {
        if call.id != *id
            && let Some(message) = request.messages.get(call.at.0)
        {
            changed.add(job.place(message));
        }
    }
    if let Some((place, detail)) = changed.take("ids") {
        job.losses.info(LossCode::IdRewritten, LossAction::Renamed, place, detail);
    }
}

/// Brings results behind their calls and adds those that are missing.
fn arrange(job: &mut Job<'_>, request: &mut Request, pairs: &Pairs, ids: &[Text]) {
    let missing = report_missing(job, request, pairs);
    // Responses takes a result anywhere behind its call.
    let out_of_place = !job.to(Protocol::Responses) && (missing || !in_place(&request.messages, pairs));
    if !out_of_place && !missing && pairs.stray.is_empty() {
        return;
    }
    let mut arranger = Arranger {
        stay: !out_of_place,
        answers: HashMap::new(),
        positions: pairs.calls.iter().enumerate().map(|(number, call)| (call.at, number)).collect(),
        pairs,
        ids,
        step: Vec::new(),
        out: Vec::with_capacity(request.messages.len() + 1),
    };
    let messages = std::mem::take(&mut request.messages);
    let messages = if out_of_place { arranger.collect(messages) } else { messages };
    request.messages = arranger.run(messages);
}

fn report_missing(job: &mut Job<'_>, request: &Request, pairs: &Pairs) -> bool {
    let mut missing = Tally::default();
    for call in pairs.calls.iter().filter(|call| !call.answered) {
        if let Some(message) = request.messages.get(call.at.0) {
            missing.add(job.place(message));
        }
    }
    let Some((place, detail)) = missing.take("calls") else { return false };
    job.losses.warn(LossCode::ToolResultMissing, LossAction::Synthesised, place, detail);
    true
}

/// Whether all results follow their calls at once and in order.
fn in_place(messages: &[Message], pairs: &Pairs) -> bool {
    let mut expected: Vec<usize> = Vec::new();
    let mut given = 0;
    let mut calls = pairs.calls.iter().enumerate().peekable();
    for (at, message) in messages.iter().enumerate() {
        match message.role {
            Role::Assistant => {
                if given > 0 || expected.is_empty() {
                    if given < expected.len() {
                        return false;
                    }
                    expected.clear();
                    given = 0;
                }
                while let Some((number, call)) = calls.next_if(|(_, call)| call.at.0 <= at) {
                    if call.answered {
                        expected.push(number);
                    }
                }
            }
            Role::Tool => {
                for part in 0..message.parts.len() {
                    let Some(number) = pairs.results.get(&(at, part)) else { continue };
                    if expected.get(given) != Some(number) {
                        return false;
                    }
                    given += 1;
                }
            }
            Role::User | Role::System | Role::Developer => {
                if given < expected.len() {
                    return false;
                }
            }
        }
    }
    given >= expected.len()
}

/// Writes the history anew.
struct Arranger<'p> {
    /// Results are where they belong: only missing ones are added.
    stay: bool,
    /// Results taken from their places, by the number of their call, with the message they stood in.
    answers: HashMap<usize, (Message, Part)>,
    positions: HashMap<At, usize>,
    pairs: &'p Pairs,
    ids: &'p [Text],
    /// Calls of the running step of the model.
    step: Vec<usize>,
    out: Vec<Message>,
}

impl Arranger<'_> {
    /// Takes the results out of their messages, for [`Self::run`] to put them where they belong. Positions of the rest stay.
    fn collect(&mut self, messages: Vec<Message>) -> Vec<Message> {
        let mut rest = Vec::with_capacity(messages.len());
        for (at, mut message) in messages.into_iter().enumerate() {
            if message.role != Role::Tool {
                rest.push(message);
                continue;
            }
            let parts = std::mem::take(&mut message.parts);
            for (number, part) in parts.into_iter().enumerate() {
                match self.pairs.results.get(&(at, number)) {
                    Some(call) => drop(self.answers.insert(*call, (message.clone(), part))),
                    None => message.parts.push(part),
                }
            }
            rest.push(message);
        }
        rest
    }

    fn run(mut self, messages: Vec<Message>) -> Vec<Message> {
        for (at, message) in messages.into_iter().enumerate() {
            match message.role {
                Role::Assistant => {
                    if self.stay && self.out.last().is_some_and(|last| last.role == Role::Tool) {
                        self.close_step();
                    }
                    for part in 0..message.parts.len() {
                        if let Some(number) = self.positions.get(&(at, part)) {
                            self.step.push(*number);
                        }
                    }
                    self.out.push(message);
                }
                Role::Tool => self.results(message),
                Role::User | Role::System | Role::Developer => {
                    self.close_step();
                    self.out.push(message);
                }
            }
        }
        self.close_step();
        self.out
    }

    /// A message of results: what is left of it when those with a call were taken out are words of the user.
    fn results(&mut self, mut message: Message) {
        let (results, words): (Vec<Part>, Vec<Part>) =
            std::mem::take(&mut message.parts).into_iter().partition(is_result);
        if !self.stay {
            // The next step of the model is another one, even if nothing stands between them any more.
            self.close_step();
        }
        if !results.is_empty() {
            self.out.push(Message { parts: results, ..message.clone() });
        }
        if !words.is_empty() {
            self.close_step();
            self.out.push(Message::new(Role::User, message.index, words));
        }
    }

    /// Puts the results behind the calls of a step.
    fn close_step(&mut self) {
        let mut written: Vec<Message> = Vec::new();
        for number in std::mem::take(&mut self.step) {
            let (shell, part) = match self.answers.remove(&number) {
                Some(answer) => answer,
                None => {
                    let Some(call) = self.pairs.calls.get(number).filter(|call| !call.answered) else { continue };
                    let index = self.out.last().map_or(0, |message| message.index);
                    let id = self.ids.get(number).unwrap_or(&call.id);
                    (Message::new(Role::Tool, index, Vec::new()), no_result(id, call))
                }
            };
            match written.last_mut() {
                Some(last) if last.index == shell.index => last.parts.push(part),
                _ => written.push(Message { parts: vec![part], ..shell }),
            }
        }
        self.out.append(&mut written);
    }
}

fn no_result(id: &Text, call: &Call) -> Part {
    Part::new(PartKind::ToolResult(Box::new(ToolResult {
        call_id: id.clone(),
        name: Some(call.name.clone()),
        kind: call.kind.clone(),
        parts: vec![Part::text(Text::from_static(NO_RESULT))],
        structured: None,
        is_error: true,
    })))
}
