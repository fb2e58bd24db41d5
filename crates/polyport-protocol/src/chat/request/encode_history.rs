//! `messages` for a provider: which message stands where.
//!
//! Runs of assistant messages become one; the results of its calls follow at once, in the order of the calls; media
//! of results come in a user message after them.

use std::collections::VecDeque;

use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use polyport_types::{
    Authority, ClientProtocol, Extras, Family, Instruction, LossAction, LossCode, Losses, Message, Part, PartKind,
    PartStatus, Role, Signature, Text, ToolCall, ToolCallKind, ToolResult,
};

use super::encode::{Body, Markers};
use super::encode_parts::{
    Piece, PieceKind, joined, pieces, reasoning_of, reasoning_text, result_pieces, write_content,
};
use super::encode_tools::full_name;
use crate::chat::reasoning::{self, BREAK};
use crate::json::JsonWriter;
use crate::profile::{EmptyContent, ReasoningBack, ReasoningBackWhen, SystemRole};
use crate::repair;
use crate::{bypass, carrier};

/// The user's words where there have to be some and nobody said any.
const NOTHING_SAID: &str = ".";

/// One wire message before it is written.
struct Outgoing<'r> {
    role: &'static str,
    name: Option<&'r Text>,
    content: Vec<Piece<'r>>,
    /// Assistant: what it said beside the content.
    reasoning: Vec<&'r Part>,
    calls: Vec<&'r Part>,
    refusal: Option<&'r Text>,
    audio: Option<&'r Text>,
    signature: Option<&'r Signature>,
    /// Tool: the call it answers.
    answers: Option<(&'r Text, Option<&'r Text>)>,
    /// User: the person spoke, not the gateway.
    spoken: bool,
    ext: Option<&'r Extras>,
    path: String,
}

impl<'r> Outgoing<'r> {
    fn new(role: &'static str, path: String) -> Self {
        Self {
            role,
            name: None,
            content: Vec::new(),
            reasoning: Vec::new(),
            calls: Vec::new(),
            refusal: None,
            audio: None,
            signature: None,
            answers: None,
            spoken: false,
            ext: None,
            path,
        }
    }

    fn is_silent(&self) -> bool {
        let text = self.content.iter().all(|piece| piece.as_text().is_some_and(|text| text.is_empty()));
        text && self.calls.is_empty() && self.refusal.is_none() && self.audio.is_none()
    }
}

/// A result and where it stands in the history.
#[derive(Clone, Copy)]
struct Answer<'r> {
    result: &'r ToolResult,
    message: usize,
    part: usize,
    index: &'r Message,
}

/// Writes `messages`.
pub(super) fn write(body: &mut Body<'_, '_, '_>) {
    let messages = Assembly::new(body).run();
    let last_user = messages.iter().rposition(|message| message.spoken);
    let last = messages.len().saturating_sub(1);
    body.field("messages", |body| {
        let Body { w, target, request, losses } = body;
        w.array(|w| {
            for (at, message) in messages.iter().enumerate() {
                let mut body = Body { w: &mut *w, target, request, losses };
                let after_user = last_user.is_none_or(|user| at > user);
                write_message(&mut body, message, after_user, at == last);
            }
        });
    });
}

/// Puts the messages in order.
struct Assembly<'r, 'x, 'w, 'b> {
    body: &'x mut Body<'r, 'w, 'b>,
    out: Vec<Outgoing<'r>>,
    answers: HashMap<&'r Text, VecDeque<Answer<'r>>>,
    /// Results that were written after their call, by message and part.
    used: HashSet<(usize, usize)>,
}

impl<'r, 'x, 'w, 'b> Assembly<'r, 'x, 'w, 'b> {
    fn new(body: &'x mut Body<'r, 'w, 'b>) -> Self {
        let mut answers: HashMap<&Text, VecDeque<Answer<'_>>> = HashMap::new();
        for (at, message) in body.request.messages.iter().enumerate() {
            for (part_at, part) in message.parts.iter().enumerate() {
                if let PartKind::ToolResult(result) = &part.kind {
                    let answer = Answer { result, message: at, part: part_at, index: message };
                    answers.entry(&result.call_id).or_default().push_back(answer);
                }
            }
        }
        Self { body, out: Vec::new(), answers, used: HashSet::new() }
    }

    fn run(mut self) -> Vec<Outgoing<'r>> {
        self.instructions();
        let messages = &self.body.request.messages;
        let mut at = 0;
        while let Some(message) = messages.get(at) {
            at += match message.role {
                Role::User => self.user(at, message),
                Role::Tool => self.orphans(at, message),
                Role::System => self.instruction_in_history(message, Authority::System),
                Role::Developer => self.instruction_in_history(message, Authority::Developer),
                Role::Assistant => self.assistant(at),
            };
        }
        if self.out.is_empty() {
            let detail = "an empty history is not possible";
            self.body.losses.warn(LossCode::TurnSynthesised, LossAction::Synthesised, "/messages", detail);
            let mut message = Outgoing::new("user", "/messages".to_owned());
            message.content.push(Piece::text(NOTHING_SAID));
            self.out.push(message);
        }
        self.out
    }

    fn push(&mut self, message: Outgoing<'r>) {
        self.fill_before(&message);
        let merge = self.body.profile().merge_same_role && message.answers.is_none();
        match self.out.last_mut().filter(|last| merge && last.role == message.role) {
            Some(last) => {
                self.body.losses.info(LossCode::TurnMerged, LossAction::Degraded, message.path.clone(), "");
                last.content.extend(message.content);
                last.spoken |= message.spoken;
            }
            None => self.out.push(message),
        }
    }

    /// Puts in between what the server wants between two messages.
    fn fill_before(&mut self, message: &Outgoing<'r>) {
        let (profile, previous) = (self.body.profile(), self.out.last().map(|last| last.role));
        let first = matches!(previous, None | Some("system" | "developer"));
        let filler = match (message.role, profile.after_tool.as_deref()) {
            ("user", Some(words)) if previous == Some("tool") => ("assistant", words),
            ("assistant", _) if profile.user_first && first => ("user", NOTHING_SAID),
            _ => return,
        };
        let detail = format!("{} after {}: something is said in between", message.role, previous.unwrap_or("nothing"));
        self.body.losses.warn(LossCode::TurnSynthesised, LossAction::Synthesised, message.path.clone(), detail);
        let mut out = Outgoing::new(filler.0, message.path.clone());
        out.content.push(Piece::text(Text::from(filler.1)));
        self.out.push(out);
    }

    fn role(&mut self, authority: Authority, path: &str) -> &'static str {
        let reasons = self.body.target.capabilities.reasoning;
        let developer = self.body.profile().system_role == SystemRole::Developer && reasons;
        // Clients of these protocols said which of the two they mean.
        let said = matches!(self.body.request.source, ClientProtocol::Chat | ClientProtocol::Responses);
        match authority {
            Authority::Developer if developer => "developer",
            Authority::System if developer && !said => "developer",
            Authority::System => "system",
            Authority::Developer => {
                let detail = "developer became system";
                self.body.losses.info(LossCode::RoleDegraded, LossAction::Degraded, path.to_owned(), detail);
                "system"
            }
        }
    }

    fn instructions(&mut self) {
        let request = self.body.request;
        for (at, instruction) in request.instructions.iter().enumerate() {
            // Clients of this protocol write them as the first messages.
            let path = match request.source {
                ClientProtocol::Chat => format!("/messages/{at}"),
                ClientProtocol::Responses | ClientProtocol::Messages | ClientProtocol::Gemini => {
                    "/instructions".to_owned()
                }
            };
            let mut message = self.instruction(instruction, path);
            if message.content.iter().all(|piece| piece.as_text().is_some_and(|text| text.is_empty())) {
                continue;
            }
            let first = self.body.profile().system_first;
            match self.out.last_mut().filter(|_| first) {
                Some(last) => last.content.append(&mut message.content),
                None => self.out.push(message),
            }
        }
        // A marker on a tool has no place of its own; the last instruction is the nearest.
        let tool_marked = request.tools.iter().any(|tool| match tool {
            polyport_types::Tool::Function(tool) => tool.cache.is_some(),
            polyport_types::Tool::Server(tool) => tool.cache.is_some(),
            polyport_types::Tool::Custom(_) => false,
        });
        if tool_marked
            && self.body.markers() == Markers::Breakpoints
            && let Some(piece) = self.out.last_mut().and_then(|last| last.content.last_mut())
        {
            piece.cache.get_or_insert_default();
        }
    }

    fn instruction(&mut self, instruction: &'r Instruction, path: String) -> Outgoing<'r> {
        let role = self.role(instruction.authority, &path);
        let mut message = Outgoing::new(role, path);
        for part in &instruction.parts {
            pieces(self.body, part, &message.path, &mut message.content);
        }
        message.name = self.participant(instruction.name.as_ref(), &message.path);
        message.ext = Some(&instruction.ext);
        message
    }

    /// Only the official API surely takes names.
    fn participant(&mut self, name: Option<&'r Text>, path: &str) -> Option<&'r Text> {
        let name = name?;
        if !self.body.profile().is_official() {
            self.body.losses.info(LossCode::NameDropped, LossAction::Dropped, path.to_owned(), "");
            return None;
        }
        Some(name)
    }

    fn message_pieces(&mut self, message: &'r Message, path: &str) -> Vec<Piece<'r>> {
        let mut content = Vec::new();
        for part in &message.parts {
            pieces(self.body, part, path, &mut content);
        }
        content
    }

    fn instruction_in_history(&mut self, message: &'r Message, authority: Authority) -> usize {
        let path = self.body.request.message_path(message);
        let content = self.message_pieces(message, &path);
        if self.body.profile().system_first && !self.out.is_empty() {
            let detail = "an instruction in the history became user text";
            self.body.losses.warn(LossCode::RoleDegraded, LossAction::Degraded, path.clone(), detail);
            let text = format!("<system-reminder>\n{}\n</system-reminder>", joined(&content, BREAK));
            let mut out = Outgoing::new("user", path);
            out.content.push(Piece::text(text));
            self.push(out);
        } else {
            let role = self.role(authority, &path);
            let name = self.participant(message.name.as_ref(), &path);
            self.push(Outgoing { name, content, ext: Some(&message.ext), ..Outgoing::new(role, path) });
        }
        1
    }

    fn user(&mut self, at: usize, message: &'r Message) -> usize {
        let path = self.body.request.message_path(message);
        let content = self.message_pieces(message, &path);
        // Results inside a user message belong to their call as well.
        self.orphans(at, message);
        if content.is_empty() && message.parts.iter().any(|part| matches!(part.kind, PartKind::ToolResult(_))) {
            return 1;
        }
        let name = self.participant(message.name.as_ref(), &path);
        self.push(Outgoing { name, content, spoken: true, ext: Some(&message.ext), ..Outgoing::new("user", path) });
        1
    }

    /// Results that follow no call: the words stay as words of the user.
    fn orphans(&mut self, at: usize, message: &'r Message) -> usize {
        for (part_at, part) in message.parts.iter().enumerate() {
            let PartKind::ToolResult(result) = &part.kind else { continue };
            if self.used.contains(&(at, part_at)) {
                continue;
            }
            let path = self.body.request.message_path(message);
            self.body.losses.warn(LossCode::ToolResultOrphan, LossAction::Degraded, path.clone(), "became user text");
            let (texts, media) = result_pieces(self.body, result, &path);
            let mut out = Outgoing::new("user", path);
            out.content.push(Piece::text(format!("Tool result ({}): {}", result.call_id, joined(&texts, "\n"))));
            out.content.extend(media);
            self.push(out);
        }
        1
    }

    /// Takes the run of assistant messages that begins at `at`; gives its length.
    fn assistant(&mut self, at: usize) -> usize {
        let messages = &self.body.request.messages;
        let run = messages.iter().skip(at).take_while(|message| message.role == Role::Assistant).count();
        let first = messages.get(at);
        let path = first.map(|message| self.body.request.message_path(message)).unwrap_or_default();
        let mut out = Outgoing::new("assistant", path);
        out.ext = first.filter(|_| run == 1).map(|message| &message.ext);
        out.name = first.and_then(|message| self.participant(message.name.as_ref(), &out.path.clone()));
        let mut images = Vec::new();
        for message in messages.iter().skip(at).take(run) {
            let before = out.content.len();
            for part in &message.parts {
                self.assistant_part(part, &mut out, &mut images);
            }
            // Separate messages stay separate paragraphs.
            if before > 0 && out.content.len() > before {
                out.content.insert(before, Piece::text(BREAK));
            }
        }
        let end = at + run;
        if out.is_silent() && images.is_empty() && (!self.body.profile().is_official() || out.content.is_empty()) {
            self.body.losses.info(LossCode::TurnDroppedEmpty, LossAction::Dropped, out.path, "");
            return run;
        }
        let calls = std::mem::take(&mut out.calls);
        let path = out.path.clone();
        self.fill_before(&out);
        self.out.push(Outgoing { calls: calls.clone(), ..out });
        let mut attachments = self.results(&calls, end, &path);
        if !images.is_empty() {
            attachments.push(Piece::text("Image produced by the assistant:"));
            attachments.append(&mut images);
        }
        if !attachments.is_empty() {
            self.push(Outgoing { content: attachments, ..Outgoing::new("user", path) });
        }
        run
    }

    fn assistant_part(&mut self, part: &'r Part, out: &mut Outgoing<'r>, images: &mut Vec<Piece<'r>>) {
        match &part.kind {
            PartKind::Reasoning(_) => out.reasoning.push(part),
            PartKind::ToolCall(_) => out.calls.push(part),
            PartKind::Refusal(text) if self.body.target.capabilities.family == Family::OpenAi => {
                out.refusal = Some(text);
            }
            PartKind::Refusal(_) => {
                let detail = "a refusal became text";
                self.body.losses.info(LossCode::RoleDegraded, LossAction::Degraded, out.path.clone(), detail);
                pieces(self.body, part, &out.path, &mut out.content);
            }
            PartKind::Audio(audio) => match (&audio.id, &audio.transcript) {
                (Some(id), _) if self.body.is_own() => out.audio = Some(id),
                (_, Some(words)) => out.content.push(Piece::text(words.clone())),
                _ => self.body.losses.error(LossCode::FileIdForeign, out.path.clone(), "a spoken answer without words"),
            },
            PartKind::Image(_) | PartKind::Document(_) | PartKind::Video(_) => {
                let detail = "the assistant cannot show media: moved to the next user message";
                self.body.losses.warn(LossCode::MediaUnsupported, LossAction::Hoisted, out.path.clone(), detail);
                pieces(self.body, part, &out.path, images);
            }
            _ => pieces(self.body, part, &out.path, &mut out.content),
        }
        if let (Some(signature), Some(_)) = (&part.signature, part.as_text()) {
            out.signature = Some(signature);
        }
    }

    /// Appends the results of these calls, in their order, and gives back the media they hold.
    fn results(&mut self, calls: &[&'r Part], from: usize, path: &str) -> Vec<Piece<'r>> {
        let mut attachments = Vec::new();
        let mut count = 0;
        for call in calls {
            let PartKind::ToolCall(call) = &call.kind else { continue };
            let Some(answer) = self.answer(&call.id, from) else {
                let detail = format!("call {}", call.id);
                self.body.losses.warn(LossCode::ToolResultMissing, LossAction::Synthesised, path.to_owned(), detail);
                let mut out = Outgoing::new("tool", path.to_owned());
                out.answers = Some((&call.id, None));
                out.content.push(Piece::text("Error: no result was recorded for this call"));
                self.out.push(out);
                continue;
            };
            let path = self.body.request.message_path(answer.index);
            let (mut texts, media) = result_pieces(self.body, answer.result, &path);
            for piece in media {
                count += 1;
                let what = if matches!(piece.kind, PieceKind::Image(_)) { "image" } else { "file" };
                texts.push(Piece::text(format!("[{what} {count} attached in the next user message]")));
                attachments.push(Piece::text(format!("Result {what} of tool call {}:", call.id)));
                attachments.push(piece);
                let detail = "moved to the next user message";
                self.body.losses.info(LossCode::ToolResultMediaHoisted, LossAction::Hoisted, path.clone(), detail);
            }
            let name = answer.result.name.as_ref().unwrap_or(&call.name);
            self.out.push(Outgoing {
                content: texts,
                answers: Some((&call.id, Some(name))),
                ..Outgoing::new("tool", path)
            });
        }
        attachments
    }

    /// The first result of a call that stands behind it and answers no other.
    fn answer(&mut self, id: &Text, from: usize) -> Option<Answer<'r>> {
        let waiting = self.answers.get_mut(id)?;
        while waiting.front().is_some_and(|answer| answer.message < from) {
            waiting.pop_front();
        }
        let answer = waiting.pop_front()?;
        self.used.insert((answer.message, answer.part));
        Some(answer)
    }
}

fn write_message(body: &mut Body<'_, '_, '_>, message: &Outgoing<'_>, after_user: bool, last: bool) {
    let thoughts = Thoughts::of(body, message, after_user);
    let (own, profile) = (body.is_own(), body.profile());
    let mut kept = Vec::new();
    for (name, value) in message.ext.into_iter().flat_map(Extras::iter) {
        if own && body.accepts(name) {
            kept.push((name, value));
        } else if own {
            let path = format!("{}/{name}", message.path);
            body.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "");
        }
    }
    let google = body.target.capabilities.family == Family::Google;
    let Body { w, target, request, losses } = body;
    w.object(|w| {
        w.str("role", message.role);
        w.opt_str("name", message.name.map(|name| &**name));
        if let Some((id, name)) = message.answers {
            w.str("tool_call_id", id);
            w.opt_str("name", name.filter(|_| profile.tool_name).map(|name| &**name));
        }
        write_message_content(&mut Body { w: &mut *w, target, request, losses }, message, &thoughts);
        w.opt_str("refusal", message.refusal.map(|text| &**text));
        if let Some(id) = message.audio {
            w.object_field("audio", |w| w.str("id", id));
        }
        thoughts.write(w);
        if !message.calls.is_empty() {
            w.array_field("tool_calls", |w| {
                // The first call of each step of the running turn needs one.
                let mut bypass = (after_user && target.capabilities.needs_signatures).then(|| bypass::value(profile));
                for part in &message.calls {
                    let PartKind::ToolCall(call) = &part.kind else { continue };
                    let own = google_value(part.signature.as_ref().filter(|_| google));
                    let stand_in = bypass.take().filter(|_| own.is_none());
                    if stand_in.is_some() {
                        let path = message.path.clone();
                        losses.warn(LossCode::SignatureSentinel, LossAction::Synthesised, path, "");
                    }
                    write_call(w, call, own.or(stand_in), &message.path, losses);
                }
            });
        }
        write_google_signature(w, google_value(message.signature.filter(|_| google)));
        let has_prefix = kept.iter().any(|(name, _)| **name == "prefix");
        for (name, value) in kept {
            w.raw(name, value);
        }
        let answered = message.role == "assistant" && message.calls.is_empty();
        if last && answered && profile.prefix_last_assistant && !has_prefix {
            w.bool("prefix", true);
        }
    });
}

/// Writes `content`, in the form that role and server want.
fn write_message_content(body: &mut Body<'_, '_, '_>, message: &Outgoing<'_>, thoughts: &Thoughts<'_>) {
    let pieces = &message.content;
    let assistant = message.role == "assistant";
    let silent = pieces.iter().all(|piece| piece.as_text().is_some_and(|text| text.is_empty()));
    let silent = silent && !matches!(thoughts, Thoughts::Tags(_) | Thoughts::Parts(_));
    if assistant && silent {
        let alone = message.calls.is_empty() && message.refusal.is_none() && message.audio.is_none();
        match body.profile().empty_content {
            _ if alone => body.w.str("content", ""),
            EmptyContent::Null => body.w.null("content"),
            EmptyContent::Empty => body.w.str("content", ""),
            EmptyContent::Omit => {}
        }
        return;
    }
    body.w.key("content");
    match (message.role, thoughts) {
        (_, Thoughts::Tags(text)) => {
            body.w.string(&format!("<think>\n{text}\n</think>\n\n{}", joined(pieces, "")));
        }
        (_, Thoughts::Parts(text)) => {
            let mut all = vec![Piece { kind: PieceKind::Thinking(text.clone()), cache: None }];
            let texts = pieces.iter().filter_map(Piece::as_text).filter(|text| !text.is_empty());
            all.extend(texts.map(|text| Piece::text(text.clone())));
            write_content(body, &all, "", false);
        }
        ("assistant", _) => write_content(body, pieces, "", true),
        ("tool", _) => write_content(body, pieces, "\n", true),
        ("user", _) => write_content(body, pieces, "\n", false),
        _ => write_content(body, pieces, BREAK, false),
    }
}

/// Reasoning that goes back to the server, in its form.
enum Thoughts<'r> {
    None,
    Member(&'static str, Text),
    Details(Vec<&'r Part>),
    Tags(Text),
    Parts(Text),
}

impl<'r> Thoughts<'r> {
    fn of(body: &mut Body<'_, '_, '_>, message: &Outgoing<'r>, after_user: bool) -> Self {
        if message.role != "assistant" {
            return Self::None;
        }
        let profile = body.profile();
        let back = body.target.capabilities.reasoning_back.unwrap_or(profile.reasoning_back);
        let due = match profile.reasoning_back_when {
            ReasoningBackWhen::ToolTurns => !message.calls.is_empty(),
            ReasoningBackWhen::AfterLastUser => after_user,
            ReasoningBackWhen::All => true,
        };
        let text = reasoning_text(&message.reasoning);
        if back == ReasoningBack::Never || !due {
            if text.is_some() {
                let detail = "not taken back by this provider";
                body.losses.info(LossCode::ReasoningTextDropped, LossAction::Dropped, message.path.clone(), detail);
            }
            return Self::None;
        }
        let placeholder = || profile.reasoning_placeholder.as_deref().map(Text::from);
        match back {
            ReasoningBack::Never => Self::None,
            ReasoningBack::Details if message.reasoning.is_empty() => Self::None,
            ReasoningBack::Details => Self::Details(message.reasoning.clone()),
            ReasoningBack::ReasoningContent => match text.or_else(placeholder) {
                Some(text) => Self::Member("reasoning_content", text),
                None => Self::None,
            },
            ReasoningBack::Reasoning => match text.or_else(placeholder) {
                Some(text) => Self::Member("reasoning", text),
                None => Self::None,
            },
            ReasoningBack::Tags => text.or_else(placeholder).map_or(Self::None, Self::Tags),
            ReasoningBack::Parts => text.or_else(placeholder).map_or(Self::None, Self::Parts),
        }
    }

    fn write(&self, w: &mut JsonWriter<'_>) {
        match self {
            Self::None | Self::Tags(_) | Self::Parts(_) => {}
            Self::Member(name, text) => w.str(name, text),
            Self::Details(parts) => w.array_field("reasoning_details", |w| {
                let mut index = 0;
                for part in parts {
                    let signature = part.signature.as_ref().filter(|signature| !carrier::is_token(&signature.value));
                    let slot = signature.map(|signature| reasoning::Slot { signature, value: &signature.value });
                    reasoning::write_entries(w, reasoning_of(part), slot.as_ref(), &mut index);
                }
            }),
        }
    }
}

fn write_call(w: &mut JsonWriter<'_>, call: &ToolCall, signature: Option<&str>, path: &str, losses: &mut Losses) {
    w.object(|w| {
        let name = full_name(call.namespace.as_ref(), &call.name);
        w.str("id", &call.id);
        if call.kind == ToolCallKind::Custom {
            w.str("type", "custom");
            w.object_field("custom", |w| {
                w.str("name", &name);
                w.str("input", &call.arguments);
            });
        } else {
            w.str("type", "function");
            w.object_field("function", |w| {
                w.str("name", &name);
                // Servers parse the arguments of history: what the model cut off is mended.
                let arguments = match call.arguments.trim() {
                    "" | "null" => std::borrow::Cow::Borrowed("{}"),
                    _ if call.status != PartStatus::Complete => {
                        let (object, repaired) = repair::arguments_object(&call.arguments);
                        if !repaired.is_faithful() {
                            losses.warn(LossCode::ToolSchemaRelaxed, LossAction::Degraded, path, repaired.as_str());
                        }
                        object
                    }
                    _ => std::borrow::Cow::Borrowed(&*call.arguments),
                };
                w.str("arguments", &arguments);
            });
        }
        write_google_signature(w, signature);
    });
}

/// A signature of Google's, as it is.
fn google_value(signature: Option<&Signature>) -> Option<&str> {
    let native = |signature: &&Signature| signature.family == Family::Google && !carrier::is_token(&signature.value);
    signature.filter(native).map(|signature| &*signature.value)
}

/// `extra_content` for Google's compatible endpoint.
fn write_google_signature(w: &mut JsonWriter<'_>, signature: Option<&str>) {
    if let Some(signature) = signature {
        w.object_field("extra_content", |w| {
            w.object_field("google", |w| w.str("thought_signature", signature));
        });
    }
}
