//! What a client's protocol cannot say of an answer.
//!
//! The encoders leave such things out; this names them, for whole answers and for streams alike. Between equal protocols nothing is lost:
//! what has no slot goes on as it came.

use polyport_types::{
    Candidate, Citation, ClientProtocol, Event, Extras, FinishReason, LossAction, LossCode, Losses, ModalityTokens,
    Part, PartKind, PartStart, Protocol, Response, ServerToolKind, Text, Usage,
};

use crate::responses::is_setting;

/// Most members without a slot that are named one by one.
const MAX_NAMED: usize = 32;

/// Gathers the losses of one answer.
#[derive(Debug)]
pub struct AnswerLosses {
    client: ClientProtocol,
    provider: Protocol,
    losses: Losses,
    /// What has already been named.
    named: u16,
    /// Details of the last usage without a slot.
    uncounted: u16,
    members: usize,
}

/// What is named once for an answer, however often it occurs.
#[derive(Clone, Copy)]
enum Once {
    Citation,
    Logprobs,
    ServerTool,
    Media,
    Opaque,
    Phase,
}

/// Details of a usage and the words for them.
const COUNTS: [(u16, &str); 7] = [
    (1, "cached tokens by modality"),
    (1 << 1, "tokens by modality"),
    (1 << 2, "predicted tokens"),
    (1 << 3, "requests of web tools"),
    (1 << 4, "lifetimes of cache writes"),
    (1 << 5, "cache writes"),
    (1 << 6, "tokens of tool results"),
];

impl AnswerLosses {
    /// For an answer of `provider`; `None` where client and provider speak the same.
    #[must_use]
    pub fn between(provider: Protocol, client: ClientProtocol) -> Option<Self> {
        (Protocol::from(client) != provider).then(|| Self {
            client,
            provider,
            losses: Losses::new(),
            named: 0,
            uncounted: 0,
            members: 0,
        })
    }

    /// Looks at the next event of a stream. Nothing is kept of what can be said.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Delta { .. } | Event::PartEnd { .. } | Event::Signature { .. } | Event::SummaryBreak { .. } => {}
            // Events of one protocol only: the steps of what a later event tells whole.
            Event::Ping | Event::Error(_) | Event::End | Event::Opaque { .. } => {}
            Event::Start(start) => self.members(&start.ext),
            Event::PartStart { start: PartStart::ServerToolCall(call), .. } => self.server_tool(&call.tool),
            Event::PartStart { start: PartStart::ToolCall(call), .. } => self.members(&call.ext),
            Event::PartStart { start: PartStart::Text { phase: Some(_), .. }, .. } => self.phase(),
            Event::PartStart { .. } => {}
            Event::Citation { citation, .. } => self.citation(citation),
            Event::Logprobs { .. } => self.logprobs(),
            Event::Part { part, .. } => self.part(part),
            Event::Usage(usage) => self.uncounted = self.uncounted(usage),
            Event::Finish(finish) => {
                self.reason(finish.choice, &finish.reason, finish.raw.as_ref());
                self.members(&finish.ext);
            }
        }
    }

    /// Looks at a whole answer.
    pub fn response(&mut self, response: &Response) {
        self.members(&response.ext);
        self.uncounted = self.uncounted(&response.usage);
        for candidate in &response.candidates {
            candidate.parts.iter().for_each(|part| self.part(part));
            if !candidate.logprobs.is_empty() {
                self.logprobs();
            }
            let Candidate { index, finish, raw_finish, ext, .. } = candidate;
            self.reason(*index, finish, raw_finish.as_ref());
            self.members(ext);
        }
    }

    /// All that was lost; the next call gives nothing.
    pub fn take(&mut self) -> Losses {
        let lost = COUNTS.iter().filter(|(bit, _)| self.uncounted & bit != 0).map(|(_, words)| *words);
        let detail = lost.collect::<Vec<_>>().join(", ");
        if !detail.is_empty() {
            let path = if self.provider == Protocol::Gemini { "/usageMetadata" } else { "/usage" };
            self.losses.info(LossCode::UsageDetailDropped, LossAction::Dropped, path, detail);
        }
        self.uncounted = 0;
        std::mem::take(&mut self.losses)
    }

    /// Whether it is the first time.
    fn first(&mut self, what: Once) -> bool {
        let bit = 1 << what as u16;
        let first = self.named & bit == 0;
        self.named |= bit;
        first
    }

    /// The list of what the model said, in the provider's words.
    fn content(&self) -> &'static str {
        match self.provider {
            Protocol::Chat => "/choices",
            Protocol::Responses => "/output",
            Protocol::Messages => "/content",
            Protocol::Gemini => "/candidates",
        }
    }

    /// A reason for which the client's protocol has only a word for something like it.
    fn reason(&mut self, choice: u32, reason: &FinishReason, raw: Option<&Text>) {
        let openai = matches!(self.provider, Protocol::Chat | Protocol::Responses);
        let has_word = match (reason, self.client) {
            (FinishReason::Stop | FinishReason::ToolCalls | FinishReason::MaxTokens, _)
            | (FinishReason::StopSequence(None), _)
            | (
                FinishReason::StopSequence(_)
                | FinishReason::ContextWindow
                | FinishReason::PauseTurn
                | FinishReason::Compaction,
                ClientProtocol::Messages,
            )
            | (FinishReason::Steered | FinishReason::Cancelled | FinishReason::Error, ClientProtocol::Responses)
            | (
                FinishReason::Recitation
                | FinishReason::MalformedToolCall
                | FinishReason::UnexpectedToolCall
                | FinishReason::TooManyToolCalls
                | FinishReason::MissingSignature
                | FinishReason::Continuation
                | FinishReason::Other,
                ClientProtocol::Gemini,
            ) => true,
            (FinishReason::ContentFilter, client) => client != ClientProtocol::Messages,
            // Models of OpenAI decline in their own words.
            (FinishReason::Refusal { .. }, ClientProtocol::Chat | ClientProtocol::Responses) => openai,
            (FinishReason::Refusal { .. }, client) => client == ClientProtocol::Messages,
            _ => false,
        };
        if has_word {
            return;
        }
        let path = match self.provider {
            Protocol::Chat => format!("/choices/{choice}/finish_reason"),
            Protocol::Responses => "/status".to_owned(),
            Protocol::Messages => "/stop_reason".to_owned(),
            Protocol::Gemini => format!("/candidates/{choice}/finishReason"),
        };
        let detail = raw.map(ToString::to_string).unwrap_or_default();
        // The answer ended as it should; only by which of the sequences is not told.
        if matches!(reason, FinishReason::StopSequence(_)) {
            self.losses.info(LossCode::FinishDegraded, LossAction::Degraded, path, detail);
        } else {
            self.losses.warn(LossCode::FinishDegraded, LossAction::Degraded, path, detail);
        }
    }

    fn part(&mut self, part: &Part) {
        match &part.kind {
            PartKind::Text(text) => {
                text.citations.iter().for_each(|citation| self.citation(citation));
                if !text.logprobs.is_empty() {
                    self.logprobs();
                }
                if part.ext.get("phase").is_some() {
                    self.phase();
                }
            }
            PartKind::ToolCall(_) => self.members(&part.ext),
            PartKind::ServerToolCall(call) => self.server_tool(&call.tool),
            PartKind::ServerToolResult(result) => self.server_tool(&result.tool),
            PartKind::Image(_) if self.client == ClientProtocol::Messages => self.media("an image"),
            PartKind::Audio(_) if matches!(self.client, ClientProtocol::Messages | ClientProtocol::Responses) => {
                self.media("sound");
            }
            PartKind::Video(_) | PartKind::Document(_) if self.client != ClientProtocol::Gemini => self.media("a file"),
            PartKind::Opaque { kind, .. } => self.opaque(kind),
            PartKind::ContainerUpload { .. } => self.opaque("container_upload"),
            PartKind::Compaction { .. } => self.opaque("compaction"),
            _ => {}
        }
    }

    fn media(&mut self, what: &'static str) {
        if self.first(Once::Media) {
            self.losses.warn(LossCode::MediaUnsupported, LossAction::Dropped, self.content(), what);
        }
    }

    /// Pages can be cited everywhere but by Messages, whose citations are sealed; files only by Responses.
    fn citation(&mut self, citation: &Citation) {
        let page = citation.url.is_some();
        let said = match self.client {
            ClientProtocol::Messages => false,
            ClientProtocol::Chat => page,
            ClientProtocol::Gemini => page || citation.title.is_some() || citation.file_id.is_some(),
            ClientProtocol::Responses => page || citation.file_id.is_some(),
        };
        if !said && self.first(Once::Citation) {
            self.losses.info(LossCode::CitationDropped, LossAction::Dropped, self.content(), "");
        }
    }

    fn logprobs(&mut self) {
        if self.client == ClientProtocol::Messages && self.first(Once::Logprobs) {
            self.losses.info(LossCode::LogprobsUnsupported, LossAction::Dropped, self.content(), "");
        }
    }

    /// What a tool of the provider did is shown where the client's protocol has tools like it.
    fn server_tool(&mut self, tool: &ServerToolKind) {
        let shown = match self.client {
            ClientProtocol::Chat | ClientProtocol::Messages => false,
            ClientProtocol::Responses => matches!(tool, ServerToolKind::WebSearch | ServerToolKind::CodeExecution),
            ClientProtocol::Gemini => matches!(tool, ServerToolKind::WebSearch),
        };
        if !shown && self.first(Once::ServerTool) {
            let detail = "a call of a tool that the provider ran";
            self.losses.info(LossCode::ServerFeatureDropped, LossAction::Dropped, self.content(), detail);
        }
    }

    fn opaque(&mut self, kind: &str) {
        if self.first(Once::Opaque) {
            self.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, self.content(), kind);
        }
    }

    fn phase(&mut self) {
        if self.first(Once::Phase) {
            self.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, self.content(), "phase");
        }
    }

    /// Members of the provider's answer without a slot.
    fn members(&mut self, ext: &Extras) {
        for (name, value) in ext.iter() {
            let repeats = match self.provider {
                Protocol::Responses => is_setting(name) || &**name == "service_tier",
                Protocol::Gemini => &**name == "createTime",
                Protocol::Chat | Protocol::Messages => false,
            };
            if repeats || value.is_null() || self.members >= MAX_NAMED {
                continue;
            }
            self.members += 1;
            let path = format!("/{name}");
            if matches!(&**name, "groundingMetadata" | "citationMetadata" | "urlContextMetadata" | "citations") {
                // The sources themselves are told as citations where there are any.
                let action = match self.client {
                    ClientProtocol::Messages => LossAction::Dropped,
                    _ => LossAction::Degraded,
                };
                self.losses.info(LossCode::GroundingDropped, action, path, "");
            } else {
                self.losses.info(LossCode::UnknownFieldDropped, LossAction::Dropped, path, "");
            }
        }
    }

    /// The bits of [`COUNTS`] for which the client's protocol has no place.
    fn uncounted(&self, usage: &Usage) -> u16 {
        let some = |counts: &[Option<u64>]| counts.iter().flatten().any(|count| *count > 0);
        // That all of it was text need not be said.
        let mixed = |tokens: &ModalityTokens| some(&[tokens.image, tokens.audio, tokens.video, tokens.document]);
        let (chat, responses, messages, gemini) = (
            self.client == ClientProtocol::Chat,
            self.client == ClientProtocol::Responses,
            self.client == ClientProtocol::Messages,
            self.client == ClientProtocol::Gemini,
        );
        let lost = [
            !gemini && mixed(&usage.cached_by_modality),
            (messages || responses) && (mixed(&usage.input_by_modality) || mixed(&usage.output_by_modality))
                || chat && some(&[usage.input_by_modality.document, usage.output_by_modality.document]),
            !chat && some(&[usage.predicted_accepted, usage.predicted_rejected]),
            (responses || gemini) && some(&[usage.web_search_requests, usage.web_fetch_requests]),
            (chat || responses) && some(&[usage.cache_write_5m, usage.cache_write_1h])
                || messages && some(&[usage.cache_write_30m, usage.cache_write_12h]),
            gemini && usage.cache_write() > 0,
            !gemini && some(&[usage.tool_prompt]),
        ];
        lost.iter().zip(COUNTS).filter(|(lost, _)| **lost).fold(0, |bits, (_, (bit, _))| bits | bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::into_events;

    fn answer() -> Response {
        let mut ext = Extras::new();
        ext.push("groundingMetadata", polyport_types::RawJson::of(&serde_json::json!({"searchEntryPoint": {}})));
        Response {
            candidates: vec![Candidate {
                parts: vec![Part::text("words")],
                finish: FinishReason::Recitation,
                raw_finish: Some("RECITATION".into()),
                ext,
                ..Candidate::default()
            }],
            usage: Usage {
                input_uncached: Some(9),
                tool_prompt: Some(4),
                input_by_modality: ModalityTokens { image: Some(3), ..ModalityTokens::default() },
                ..Usage::default()
            },
            ..Response::default()
        }
    }

    fn whole(client: ClientProtocol) -> Option<String> {
        let mut losses = AnswerLosses::between(Protocol::Gemini, client)?;
        losses.response(&answer());
        losses.take().report()
    }

    #[test]
    fn an_answer_is_judged_alike_whole_and_streamed() {
        let report = "finish.degraded;degraded /candidates/0/finishReason (RECITATION), \
            grounding.dropped;dropped /groundingMetadata, \
            usage.detail_dropped;dropped /usageMetadata (tokens by modality, tokens of tool results)";
        assert_eq!(whole(ClientProtocol::Messages).as_deref(), Some(report));
        let mut losses = AnswerLosses::between(Protocol::Gemini, ClientProtocol::Messages).unwrap();
        into_events(answer()).iter().for_each(|event| losses.event(event));
        assert_eq!(losses.take().report().as_deref(), Some(report));
        assert_eq!(losses.take().report(), None);
    }

    #[test]
    fn nothing_is_lost_between_equals_or_of_plain_answers() {
        assert_eq!(whole(ClientProtocol::Gemini), None);
        let plain = Response {
            candidates: vec![Candidate { parts: vec![Part::text("words")], ..Candidate::default() }],
            usage: Usage { input_uncached: Some(9), output_text: Some(1), reasoning: Some(2), ..Usage::default() },
            ..Response::default()
        };
        for provider in Protocol::ALL {
            for client in ClientProtocol::ALL {
                let Some(mut losses) = AnswerLosses::between(provider, client) else { continue };
                losses.response(&plain);
                assert_eq!(losses.take().report(), None, "{provider} to {client}");
            }
        }
    }
}
