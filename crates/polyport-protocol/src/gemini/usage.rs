//! `usageMetadata`, both ways.

use polyport_types::{ModalityTokens, Text, Usage};
use serde_json::value::RawValue;

use super::types::{Many, ModalityCount, UsageMetadata};
use crate::json::{self, Int, JsonWriter};

/// Reads token counts; `None` if there are none (Vertex sends only the kind of traffic on its way).
pub(crate) fn read(raw: &RawValue, body: &Text) -> Option<Usage> {
    let wire: UsageMetadata<'_> = serde_json::from_str(raw.get()).ok()?;
    let [prompt, cached, candidates, thoughts, tool_prompt, total] =
        [wire.prompt, wire.cached, wire.candidates, wire.thoughts, wire.tool_prompt, wire.total]
            .map(|count| count.map(Int::count));
    if [prompt, candidates, thoughts, tool_prompt, total].iter().all(Option::is_none) {
        return None;
    }
    // Some servers count the thoughts among the tokens of the candidates: the total tells.
    let sum = [prompt, candidates, tool_prompt].into_iter().flatten().fold(0, u64::saturating_add);
    let inclusive = thoughts.is_some_and(|thoughts| thoughts > 0) && total == Some(sum);
    Some(Usage {
        input_uncached: prompt.map(|prompt| prompt.saturating_sub(cached.unwrap_or(0))),
        cache_read: cached,
        tool_prompt,
        output_text: candidates.map(|all| if inclusive { all.saturating_sub(thoughts.unwrap_or(0)) } else { all }),
        reasoning: thoughts,
        input_by_modality: by_modality(wire.prompt_details),
        output_by_modality: by_modality(wire.candidates_details),
        cached_by_modality: by_modality(wire.cached_details),
        raw: Some(json::raw(raw, body)),
        ..Usage::default()
    })
}

fn by_modality(counts: Option<Many<ModalityCount<'_>>>) -> ModalityTokens {
    let mut tokens = ModalityTokens::default();
    for count in counts.unwrap_or_default().0 {
        let slot = match count.modality.as_deref().unwrap_or_default() {
            "TEXT" => &mut tokens.text,
            "IMAGE" => &mut tokens.image,
            "AUDIO" => &mut tokens.audio,
            "VIDEO" => &mut tokens.video,
            "DOCUMENT" => &mut tokens.document,
            _ => continue,
        };
        *slot = Some(slot.unwrap_or(0).saturating_add(count.count.map_or(0, Int::count)));
    }
    tokens
}

/// Writes `usageMetadata` unless nothing is known. `own` says that the provider spoke this protocol.
pub(super) fn write(w: &mut JsonWriter<'_>, usage: &Usage, own: bool) {
    if usage.is_absent() {
        return;
    }
    // The provider's own object has more to tell, as long as its numbers are still the ones that count.
    if let Some(raw) = usage.raw.as_ref().filter(|_| own)
        && let Ok(wire) = serde_json::from_str::<&RawValue>(raw.as_str())
        && read(wire, raw.text()).as_ref() == Some(usage)
    {
        w.raw("usageMetadata", raw);
        return;
    }
    let counted = |count: Option<u64>| count.filter(|count| *count > 0);
    let prompt = usage.input_total().saturating_sub(usage.tool_prompt.unwrap_or(0));
    w.object_field("usageMetadata", |w| {
        w.num("promptTokenCount", prompt);
        w.opt_num("cachedContentTokenCount", counted(usage.cache_read));
        w.opt_num("candidatesTokenCount", usage.output_text);
        w.opt_num("thoughtsTokenCount", counted(usage.reasoning));
        w.opt_num("toolUsePromptTokenCount", counted(usage.tool_prompt));
        w.num("totalTokenCount", usage.total());
        details(w, "promptTokensDetails", &usage.input_by_modality);
        details(w, "cacheTokensDetails", &usage.cached_by_modality);
        details(w, "candidatesTokensDetails", &usage.output_by_modality);
    });
}

fn details(w: &mut JsonWriter<'_>, name: &str, tokens: &ModalityTokens) {
    if tokens.is_empty() {
        return;
    }
    let counts = [
        ("TEXT", tokens.text),
        ("IMAGE", tokens.image),
        ("AUDIO", tokens.audio),
        ("VIDEO", tokens.video),
        ("DOCUMENT", tokens.document),
    ];
    w.array_field(name, |w| {
        for (modality, count) in counts {
            if let Some(count) = count {
                w.object(|w| {
                    w.str("modality", modality);
                    w.num("tokenCount", count);
                });
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(raw: &str) -> (Usage, serde_json::Value) {
        let body = Text::from(raw);
        let usage = read(serde_json::from_str(&body).unwrap(), &body).unwrap();
        let mut out = Vec::new();
        JsonWriter::new(&mut out).object(|w| write(w, &Usage { raw: None, ..usage.clone() }, true));
        (usage, serde_json::from_slice(&out).unwrap())
    }

    #[test]
    fn thoughts_are_outside_unless_the_total_says_otherwise() {
        let (usage, written) = round(
            r#"{"promptTokenCount":100,"candidatesTokenCount":50,"thoughtsTokenCount":30,"totalTokenCount":180}"#,
        );
        assert_eq!((usage.output_text, usage.reasoning, usage.total()), (Some(50), Some(30), 180));
        assert_eq!(written["usageMetadata"]["candidatesTokenCount"], 50);
        let (usage, written) = round(
            r#"{"promptTokenCount":100,"candidatesTokenCount":80,"thoughtsTokenCount":30,"totalTokenCount":180}"#,
        );
        assert_eq!((usage.output_text, usage.reasoning, usage.total()), (Some(50), Some(30), 180));
        assert_eq!(written["usageMetadata"]["totalTokenCount"], 180);
    }

    #[test]
    fn cached_tokens_are_part_of_the_prompt_and_tool_tokens_are_not() {
        let (usage, written) = round(
            r#"{"promptTokenCount":"1200","cachedContentTokenCount":900,"toolUsePromptTokenCount":7,"candidatesTokenCount":50,
            "totalTokenCount":1257,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1000},{"modality":"IMAGE","tokenCount":200}]}"#,
        );
        assert_eq!((usage.input_uncached, usage.cache_read, usage.input_total()), (Some(300), Some(900), 1207));
        assert_eq!(
            written["usageMetadata"],
            serde_json::json!({"promptTokenCount": 1200, "cachedContentTokenCount": 900, "candidatesTokenCount": 50,
                "toolUsePromptTokenCount": 7, "totalTokenCount": 1257,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}, {"modality": "IMAGE", "tokenCount": 200}]})
        );
    }

    #[test]
    fn only_traffic_is_no_count() {
        let raw = r#"{"trafficType":"ON_DEMAND"}"#;
        let body = Text::from(raw);
        assert_eq!(read(serde_json::from_str(&body).unwrap(), &body), None);
    }
}
