//! Parts of the history that only another protocol knows: said in words where they can be, dropped where they are only its
//! bookkeeping, refused where the conversation makes no sense without them.

use polyport_types::{
    ClientProtocol, LossAction, LossCode, Message, Part, PartKind, Protocol, Request, Role, SearchResult, Text,
};

use super::{Job, Place, Tally, state};

/// First words of the block in which Claude Code tells Anthropic whom to bill. It changes with every request.
const BILLING_HEADER: &str = "x-anthropic-billing-header:";

/// Rewrites what the target does not know.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    billing(job, request);
    if !request.messages.iter().flat_map(|message| &message.parts).any(may_be_foreign) {
        return;
    }
    let mut lost = Lost::default();
    let mut out = Vec::with_capacity(request.messages.len());
    for message in std::mem::take(&mut request.messages) {
        self::message(job, message, &mut out, &mut lost);
    }
    request.messages = out;
    lost.report(job);
}

/// Whether a part has to be looked at: most histories are words, calls and results of words.
fn may_be_foreign(part: &Part) -> bool {
    match &part.kind {
        PartKind::Text(_)
        | PartKind::Refusal(_)
        | PartKind::Image(_)
        | PartKind::Document(_)
        | PartKind::Audio(_)
        | PartKind::Video(_)
        | PartKind::ToolCall(_)
        | PartKind::Reasoning(_) => false,
        PartKind::ToolResult(result) => result.parts.iter().any(may_be_foreign),
        _ => true,
    }
}

/// No other provider shall read the block, nor miss its prompt cache because of it.
fn billing(job: &mut Job<'_>, request: &mut Request) {
    if job.source != ClientProtocol::Messages || job.to(Protocol::Messages) {
        return;
    }
    let mut found = false;
    for instruction in &mut request.instructions {
        instruction.parts.retain(|part| {
            let billing = part.as_text().is_some_and(|text| text.starts_with(BILLING_HEADER));
            found |= billing;
            !billing
        });
    }
    if found {
        request.instructions.retain(|instruction| !instruction.parts.is_empty());
        job.losses.info(LossCode::IdentityDropped, LossAction::Dropped, "/system", "billing header");
    }
}

#[derive(Default)]
struct Lost {
    server_tools: Tally,
    programs: Tally,
    search_results: Tally,
    unknown: Tally,
    /// Wire type of the first unknown part.
    unknown_kind: Option<Text>,
}

impl Lost {
    fn report(self, job: &mut Job<'_>) {
        if let Some((place, detail)) = self.server_tools.take("parts") {
            job.losses.info(LossCode::ToolServerUnsupported, LossAction::Dropped, place, detail);
        }
        if let Some((place, detail)) = self.programs.take("programs and outputs") {
            job.losses.info(LossCode::ToolServerUnsupported, LossAction::Degraded, place, detail);
        }
        if let Some((place, detail)) = self.search_results.take("search results") {
            job.losses.info(LossCode::CitationDegraded, LossAction::Degraded, place, detail);
        }
        if let Some((place, count)) = self.unknown.take("parts") {
            let kind = self.unknown_kind.unwrap_or_default();
            let detail = if count.is_empty() { kind.to_string() } else { format!("{count}, the first of type {kind}") };
            job.losses.warn(LossCode::UnknownFieldDropped, LossAction::Dropped, place, detail);
        }
    }
}

/// What becomes of a part.
enum Fate {
    Keep,
    Drop,
    /// It is said in words.
    Words(Text),
    /// It is said in words of the user.
    UserWords(Text),
}

fn message(job: &mut Job<'_>, mut message: Message, out: &mut Vec<Message>, lost: &mut Lost) {
    let place = job.place(&message);
    let had_parts = !message.parts.is_empty();
    let mut kept = Vec::with_capacity(message.parts.len());
    for mut part in std::mem::take(&mut message.parts) {
        match fate(job, &mut part, place, lost) {
            Fate::Keep => kept.push(part),
            Fate::Drop => {}
            Fate::Words(text) => kept.push(said(&part, text)),
            Fate::UserWords(text) if message.role == Role::User => kept.push(said(&part, text)),
            Fate::UserWords(text) => {
                if !kept.is_empty() {
                    out.push(Message { parts: std::mem::take(&mut kept), ..message.clone() });
                }
                out.push(Message::new(Role::User, message.index, vec![said(&part, text)]));
            }
        }
    }
    if had_parts && kept.is_empty() {
        return;
    }
    message.parts = kept;
    out.push(message);
}

fn said(part: &Part, text: Text) -> Part {
    Part { cache: part.cache, ..Part::text(text) }
}

fn fate(job: &mut Job<'_>, part: &mut Part, place: Place, lost: &mut Lost) -> Fate {
    let target = job.target.protocol;
    match &mut part.kind {
        PartKind::Opaque { protocol, kind, .. } if *protocol != target => {
            match &**kind {
                // Its tools are among those of the request already.
                "additional_tools" => {}
                // Every tool of the request is offered from the beginning.
                "tool_addition" | "tool_removal" | "compaction_trigger" => {
                    job.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, place, kind.to_string());
                }
                "configuration_update" => {
                    let kind = kind.to_string();
                    job.losses.warn(LossCode::ServerFeatureDropped, LossAction::Dropped, place, kind);
                }
                kind if is_server_history(kind) => lost.server_tools.add(place),
                _ => {
                    lost.unknown.add(place);
                    lost.unknown_kind.get_or_insert_with(|| kind.clone());
                }
            }
            Fate::Drop
        }
        PartKind::ServerToolCall(call) if call.protocol != target => {
            lost.server_tools.add(place);
            Fate::Drop
        }
        PartKind::ServerToolResult(result) if result.protocol != target => {
            lost.server_tools.add(place);
            Fate::Drop
        }
        PartKind::ServerToolCall(_) | PartKind::ServerToolResult(_) | PartKind::Opaque { .. } => Fate::Keep,
        PartKind::ExecutableCode { language, code, .. } if target != Protocol::Gemini => {
            lost.programs.add(place);
            Fate::Words(fenced(&language.to_lowercase(), code))
        }
        PartKind::CodeResult { output, .. } if target != Protocol::Gemini => {
            lost.programs.add(place);
            Fate::Words(fenced("", output))
        }
        PartKind::Compaction { content, .. } if !job.same => match content.take() {
            Some(summary) => Fate::UserWords(summary),
            None => {
                let detail = "summarised history that only its provider can read";
                job.losses.error(LossCode::ServerFeatureDropped, place, detail);
                Fate::Drop
            }
        },
        PartKind::ContainerUpload { .. } if !job.same => {
            job.losses.warn(LossCode::FileIdForeign, LossAction::Dropped, place, "a file in a container");
            Fate::Drop
        }
        PartKind::ItemReference { .. } if !state::keeps(job) => {
            job.losses.error(LossCode::StateUnsupported, place, "an item that is not known here");
            Fate::Drop
        }
        PartKind::ToolReference { name } if target != Protocol::Messages => Fate::Words(format!("tool: {name}").into()),
        PartKind::SearchResult(result) if target != Protocol::Messages => {
            lost.search_results.add(place);
            Fate::Words(search_result(result))
        }
        PartKind::ToolResult(result) => {
            let mut kept = Vec::with_capacity(result.parts.len());
            for mut inner in std::mem::take(&mut result.parts) {
                if let PartKind::Opaque { protocol, raw, .. } = &inner.kind
                    && *protocol != target
                {
                    // A result is data: the model may make something of its JSON.
                    kept.push(said(&inner, raw.text().clone()));
                    continue;
                }
                match fate(job, &mut inner, place, lost) {
                    Fate::Keep => kept.push(inner),
                    Fate::Drop => {}
                    Fate::Words(text) | Fate::UserWords(text) => kept.push(said(&inner, text)),
                }
            }
            result.parts = kept;
            Fate::Keep
        }
        _ => Fate::Keep,
    }
}

/// Whether a wire item tells what a tool of its provider did.
fn is_server_history(kind: &str) -> bool {
    ["_call", "_output", "_result", "_use", "_list_tools", "_approval_request", "_approval_response"]
        .iter()
        .any(|end| kind.ends_with(end))
        || matches!(kind, "program" | "toolCall" | "toolResponse" | "thought")
}

fn fenced(language: &str, text: &str) -> Text {
    // A fence longer than any inside.
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    // Some protocols join texts without anything between them.
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n')).into()
}

fn search_result(result: &SearchResult) -> Text {
    let mut text = String::new();
    for line in [&result.title, &result.source] {
        if !line.is_empty() {
            text.push_str(line);
            text.push('\n');
        }
    }
    let inner: Vec<&str> = result.parts.iter().filter_map(|part| part.as_text().map(|text| &**text)).collect();
    text.push_str(&inner.join("\n"));
    text.into()
}
