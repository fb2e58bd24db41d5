//! Parts of an answer as a Gemini client sees them: the same in whole answers and in chunks.

use polyport_types::{
    DocumentSource, Family, Part, PartKind, PartStatus, PromptBlock, Protocol, Reasoning, ReasoningVisibility,
    Signature, SignatureKind, Text, ToolCall, ToolCallKind, ToolResult,
};

use super::decode::is_positional;
use super::parts::{kept_members, write_media};
use super::pieces::{language_word, outcome_word};
use crate::ClientContext;
use crate::carrier::{Placement, is_native};
use crate::json::JsonWriter;
use crate::repair::{Repaired, arguments_object};

/// What is known about the client and the provider of one answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The provider speaks this protocol.
    pub(super) own: bool,
    /// The client asked to see thoughts.
    pub(super) thoughts: bool,
    /// The client is known to use call ids.
    ids: bool,
}

impl Answer {
    pub(super) fn new(context: &ClientContext) -> Self {
        let visibility = context.request.reasoning.as_ref().and_then(|reasoning| reasoning.visibility);
        Self {
            own: context.provider == Protocol::Gemini,
            thoughts: visibility.is_some_and(|visibility| visibility != ReasoningVisibility::Omitted),
            ids: context.request.messages.iter().flat_map(|message| &message.parts).any(has_own_id),
        }
    }

    /// Id of the answer: the provider's own if it speaks this protocol.
    pub(super) fn response_id<'c>(&self, context: &'c ClientContext, provider: &'c str) -> &'c str {
        if self.own && !provider.is_empty() {
            return provider;
        }
        context.id.get(..22).unwrap_or(&context.id)
    }

    /// What stands in a `thoughtSignature`. `placement` is where a carrier says that it belongs.
    pub(super) fn signature(
        &self,
        context: &ClientContext,
        signature: Option<&Signature>,
        placement: Placement,
    ) -> Option<Text> {
        let signature = signature?;
        let native = is_native(Protocol::Gemini, signature.family);
        if native && signature.value.is_empty() {
            return None;
        }
        context.carried(signature, if native { Placement::Own } else { placement })
    }

    /// A mark that visible reasoning without a signature is not Google's, so that it is not sent there as such.
    pub(super) fn foreign_mark(&self, context: &ClientContext, placement: Placement) -> Option<Text> {
        let unsigned = Signature::new(Family::Unknown, SignatureKind::Thinking, "");
        if self.own { None } else { self.signature(context, Some(&unsigned), placement) }
    }

    /// Writes parts; false if there is nothing to write.
    pub(super) fn parts(&self, w: &mut JsonWriter<'_>, context: &ClientContext, parts: &[Part]) -> bool {
        let mut any = false;
        for part in parts {
            any |= self.part(w, context, part);
        }
        any
    }

    /// Writes a part; false if there is nothing to write.
    pub(super) fn part(&self, w: &mut JsonWriter<'_>, context: &ClientContext, part: &Part) -> bool {
        let signature = self.signature(context, part.signature.as_ref(), Placement::Own);
        let sign = |w: &mut JsonWriter<'_>| w.opt_str("thoughtSignature", signature.as_deref());
        let ext = |w: &mut JsonWriter<'_>, within: &str| {
            if self.own {
                kept_members(w, &part.ext, within);
            }
        };
        match &part.kind {
            PartKind::Text(text) if text.text.is_empty() && signature.is_none() => return false,
            PartKind::Text(text) => w.object(|w| {
                w.str("text", &text.text);
                sign(w);
                ext(w, "");
            }),
            PartKind::Refusal(text) if text.is_empty() => return false,
            PartKind::Refusal(text) => w.object(|w| w.str("text", text)),
            PartKind::Reasoning(reasoning) => return self.reasoning(w, context, reasoning, signature),
            PartKind::ToolCall(call) => return self.call(w, call, signature.as_deref(), ext),
            PartKind::Image(media) | PartKind::Audio(media) | PartKind::Video(media) => w.object(|w| {
                write_media(w, &media.source, if self.own { &part.ext } else { &EMPTY });
                sign(w);
                ext(w, "");
            }),
            PartKind::Document(document) => match &document.source {
                DocumentSource::File(source) => w.object(|w| {
                    write_media(w, source, if self.own { &part.ext } else { &EMPTY });
                    sign(w);
                    ext(w, "");
                }),
                DocumentSource::PlainText(text) => w.object(|w| w.str("text", text)),
                DocumentSource::Blocks(parts) => {
                    return self.parts(w, context, parts);
                }
            },
            PartKind::ExecutableCode { language, code, id } => w.object(|w| {
                w.object_field("executableCode", |w| {
                    w.opt_str("id", id.as_deref());
                    w.str("language", language_word(language));
                    w.str("code", code);
                    ext(w, "executableCode");
                });
                sign(w);
                ext(w, "");
            }),
            PartKind::CodeResult { outcome, output, id } => w.object(|w| {
                w.object_field("codeExecutionResult", |w| {
                    w.opt_str("id", id.as_deref());
                    w.str("outcome", outcome_word(outcome));
                    w.str("output", output);
                    ext(w, "codeExecutionResult");
                });
                sign(w);
                ext(w, "");
            }),
            PartKind::ServerToolCall(call) => match &call.raw {
                Some(raw) if call.protocol == Protocol::Gemini => w.object(|w| {
                    w.raw("toolCall", raw);
                    sign(w);
                    ext(w, "");
                }),
                _ => return false,
            },
            PartKind::ServerToolResult(result) => match &result.raw {
                Some(raw) if result.protocol == Protocol::Gemini => w.object(|w| {
                    w.raw("toolResponse", raw);
                    sign(w);
                    ext(w, "");
                }),
                _ => return false,
            },
            PartKind::Opaque { protocol: Protocol::Gemini, kind, raw } if self.own => {
                let draft = &**kind == "thought";
                if draft && !self.thoughts {
                    return false;
                }
                w.raw_value(raw.as_str());
            }
            // Made by another provider for its own use, or for requests only.
            PartKind::ToolResult(_)
            | PartKind::SearchResult(_)
            | PartKind::Compaction { .. }
            | PartKind::ContainerUpload { .. }
            | PartKind::ItemReference { .. }
            | PartKind::ToolReference { .. }
            | PartKind::Opaque { .. } => return false,
        }
        true
    }

    fn reasoning(
        &self,
        w: &mut JsonWriter<'_>,
        context: &ClientContext,
        reasoning: &Reasoning,
        signature: Option<Text>,
    ) -> bool {
        let text = reasoning.text.joined();
        if self.thoughts && !text.is_empty() {
            let signature = signature.or_else(|| self.foreign_mark(context, Placement::Own));
            w.object(|w| {
                w.str("text", &text);
                w.bool("thought", true);
                w.opt_str("thoughtSignature", signature.as_deref());
            });
            return true;
        }
        match signature {
            Some(signature) => {
                write_signature(w, &signature);
                true
            }
            None => false,
        }
    }

    /// Writes a call; one that was cut off and cannot be mended is left out.
    fn call(
        &self,
        w: &mut JsonWriter<'_>,
        call: &ToolCall,
        signature: Option<&str>,
        ext: impl Fn(&mut JsonWriter<'_>, &str),
    ) -> bool {
        let (args, repaired) = arguments_object(&call.arguments);
        let custom = call.kind == ToolCallKind::Custom;
        if repaired == Repaired::Raw && call.status == PartStatus::Incomplete && !custom {
            return false;
        }
        w.object(|w| {
            w.object_field("functionCall", |w| {
                if self.ids || (self.own && !is_generated(&call.id)) {
                    w.str("id", &call.id);
                }
                w.str("name", &call.name);
                if custom {
                    w.object_field("args", |w| w.str("input", &call.arguments));
                } else {
                    w.key("args");
                    w.raw_value(&args);
                }
                ext(w, "functionCall");
            });
            w.opt_str("thoughtSignature", signature);
            ext(w, "");
        });
        true
    }
}

static EMPTY: polyport_types::Extras = polyport_types::Extras::new();

/// A part that holds nothing but a signature.
pub(super) fn write_signature(w: &mut JsonWriter<'_>, signature: &str) {
    w.object(|w| {
        w.str("text", "");
        w.str("thoughtSignature", signature);
    });
}

/// Writes `promptFeedback` of a refused prompt.
pub(super) fn write_block(w: &mut JsonWriter<'_>, block: &PromptBlock) {
    const REASONS: [&str; 8] = [
        "BLOCK_REASON_UNSPECIFIED",
        "SAFETY",
        "OTHER",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "IMAGE_SAFETY",
        "MODEL_ARMOR",
        "JAILBREAK",
    ];
    w.object_field("promptFeedback", |w| {
        let known = REASONS.contains(&&*block.reason);
        w.str("blockReason", if known { &block.reason } else { "OTHER" });
        w.opt_str("blockReasonMessage", block.message.as_deref());
        w.opt_raw("safetyRatings", block.ratings.as_ref());
    });
}

/// Whether a part of the history shows that the client knows call ids.
fn has_own_id(part: &Part) -> bool {
    match &part.kind {
        PartKind::ToolCall(call) => !is_positional(&call.id),
        PartKind::ToolResult(result) => {
            let ToolResult { call_id, .. } = &**result;
            !is_positional(call_id)
        }
        _ => false,
    }
}

/// The id of a call that came without one: from the answer's id and the position.
pub(super) fn generated_id(base: &str, candidate: u32, position: usize) -> Text {
    format!("call_{base}x{candidate}x{position}").into()
}

/// Another id for a call whose own is taken.
pub(super) fn another_id(id: &str, candidate: u32, position: usize) -> Text {
    format!("{id}_{candidate}_{position}").into()
}

/// Whether an id was made by [`generated_id`].
fn is_generated(id: &str) -> bool {
    let mut fields = id.rsplitn(3, 'x');
    let mut digits =
        || fields.next().is_some_and(|field| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit()));
    digits() && digits() && id.starts_with("call_")
}

/// The letters of an answer's id that every protocol takes in call ids; without an id a hash of the answer.
pub(super) fn id_base(response_id: &str, body: &str) -> String {
    if response_id.is_empty() {
        return blake3::hash(body.as_bytes()).to_hex().chars().take(16).collect();
    }
    let safe = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
    response_id.chars().map(safe).take(40).collect()
}
