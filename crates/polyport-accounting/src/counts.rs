//! From the usage of an answer to disjoint classes.

use polyport_types::Usage;
use serde::{Deserialize, Serialize};

use crate::class::{Class, PerClass};

/// How much of each class an answer used. Every token is in exactly one class.
///
/// [`Usage`] has its classes in columns already; what the providers tell about modalities lies across them (Gemini's
/// `promptTokensDetails` and Chat's `audio_tokens` count cached tokens too). Here audio, images and video are taken out of the text
/// once, never more than there is, so that the sum stays the provider's total whatever the details say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The counters.
    pub per_class: PerClass<u64>,
    /// The numbers are Polyport's own, not the provider's.
    pub estimated: bool,
    /// Which of the cached tokens were audio or images was not told: all of these were taken for fresh, as far as there was fresh input.
    pub modalities_assumed: bool,
}

impl Counts {
    /// The classes of an answer; `None` if the provider counted nothing, which is not the same as nothing used: such an answer has no cost
    /// until somebody estimates its usage.
    #[must_use]
    pub fn of(usage: &Usage) -> Option<Self> {
        let others = [usage.tool_prompt, usage.web_search_requests, usage.web_fetch_requests];
        if usage.is_absent() && others.iter().all(Option::is_none) {
            return None;
        }
        let mut counts = Self { estimated: usage.estimated, ..Self::default() };
        let all = &mut counts.per_class;

        let (input, cached) = (usage.input_by_modality, usage.cached_by_modality);
        let fresh = |all: Option<u64>, cached: Option<u64>| all.unwrap_or(0).saturating_sub(cached.unwrap_or(0));
        let of_fresh = [
            (Class::InputAudio, fresh(input.audio, cached.audio)),
            (Class::InputImage, fresh(input.image, cached.image)),
            (Class::InputVideo, fresh(input.video, cached.video)),
        ];
        split(all, usage.input_uncached, Class::Input, &of_fresh);
        let of_cached =
            [(Class::CacheReadAudio, cached.audio.unwrap_or(0)), (Class::CacheReadImage, cached.image.unwrap_or(0))];
        split(all, usage.cache_read, Class::CacheRead, &of_cached);
        let output = usage.output_by_modality;
        let of_output = [
            (Class::OutputAudio, output.audio.unwrap_or(0)),
            (Class::OutputImage, output.image.unwrap_or(0)),
            (Class::OutputVideo, output.video.unwrap_or(0)),
        ];
        split(all, usage.output_text, Class::Output, &of_output);

        let plain = [
            (Class::ToolPrompt, usage.tool_prompt),
            (Class::CacheWrite, usage.cache_write_unknown),
            (Class::CacheWrite5m, usage.cache_write_5m),
            (Class::CacheWrite30m, usage.cache_write_30m),
            (Class::CacheWrite1h, usage.cache_write_1h),
            (Class::CacheWrite12h, usage.cache_write_12h),
            (Class::Reasoning, usage.reasoning),
            (Class::WebSearch, usage.web_search_requests),
            (Class::WebFetch, usage.web_fetch_requests),
        ];
        for (class, count) in plain {
            all[class] = count.unwrap_or(0);
        }
        let elsewhere = usage.cache_read.unwrap_or(0) > 0 && cached.is_empty() || usage.cache_write() > 0;
        counts.modalities_assumed = elsewhere && of_fresh.iter().any(|(_, count)| *count > 0);
        Some(counts)
    }

    /// What was counted, without the classes of which there is nothing.
    pub fn iter(&self) -> impl Iterator<Item = (Class, u64)> + '_ {
        self.per_class.iter().filter(|(_, count)| *count > 0)
    }

    /// All tokens of the prompt: what context tiers look at.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        self.sum(Class::is_input_token)
    }

    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.sum(Class::is_token)
    }

    fn sum(&self, which: impl Fn(Class) -> bool) -> u64 {
        self.iter().filter(|(class, _)| which(*class)).fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

/// Divides a counter among classes; what no class takes stays in `rest`.
fn split(all: &mut PerClass<u64>, total: Option<u64>, rest: Class, parts: &[(Class, u64)]) {
    let mut left = total.unwrap_or(0);
    for (class, count) in parts {
        let taken = left.min(*count);
        all[*class] = taken;
        left -= taken;
    }
    all[rest] = left;
}

#[cfg(test)]
mod tests {
    use polyport_types::ModalityTokens;
    use proptest::prelude::*;

    use super::*;

    /// The details and the totals of Gemini's answer about a film with sound, most of it cached.
    #[test]
    fn modalities_are_taken_out_of_text_once() {
        let tokens = |text, audio, video| ModalityTokens {
            text: Some(text),
            audio: Some(audio),
            video: Some(video),
            ..ModalityTokens::default()
        };
        let usage = Usage {
            input_uncached: Some(100),
            cache_read: Some(900),
            output_text: Some(40),
            reasoning: Some(60),
            input_by_modality: tokens(120, 330, 550),
            cached_by_modality: tokens(80, 300, 520),
            ..Usage::default()
        };
        let counts = Counts::of(&usage).unwrap();
        let expected = [
            (Class::Input, 40),
            (Class::InputAudio, 30),
            (Class::InputVideo, 30),
            (Class::CacheRead, 600),
            (Class::CacheReadAudio, 300),
            (Class::Output, 40),
            (Class::Reasoning, 60),
        ];
        assert_eq!(counts.iter().collect::<Vec<_>>(), expected);
        assert!(!counts.modalities_assumed);
        assert_eq!((counts.input_tokens(), counts.tokens()), (1000, 1100));
    }

    #[test]
    fn untold_modalities_of_the_cache_are_an_assumption() {
        let mut usage = Usage {
            input_uncached: Some(10),
            cache_read: Some(90),
            input_by_modality: ModalityTokens { audio: Some(50), ..ModalityTokens::default() },
            ..Usage::default()
        };
        let counts = Counts::of(&usage).unwrap();
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(Class::InputAudio, 10), (Class::CacheRead, 90)]);
        assert!(counts.modalities_assumed);
        usage.cache_read = None;
        assert!(!Counts::of(&usage).unwrap().modalities_assumed);
    }

    #[test]
    fn what_nobody_counted_is_not_nothing() {
        assert_eq!(Counts::of(&Usage { estimated: true, ..Usage::default() }), None);
        let zero = Counts::of(&Usage { output_text: Some(0), ..Usage::default() }).unwrap();
        assert_eq!(zero.tokens(), 0);
        let searched = Counts::of(&Usage { web_search_requests: Some(2), ..Usage::default() }).unwrap();
        assert_eq!(searched.iter().collect::<Vec<_>>(), [(Class::WebSearch, 2)]);
    }

    fn modalities() -> impl Strategy<Value = ModalityTokens> {
        let count = || prop::option::of(prop_oneof![0..100_u64, any::<u64>()]);
        (count(), count(), count(), count(), count()).prop_map(|(text, image, audio, video, document)| ModalityTokens {
            text,
            image,
            audio,
            video,
            document,
        })
    }

    pub(crate) fn usage(max: u64) -> impl Strategy<Value = Usage> {
        let count = move || prop::option::of(0..=max);
        let columns = prop::array::uniform12(count());
        (columns, modalities(), modalities(), modalities(), any::<bool>()).prop_map(
            |(columns, input_by_modality, output_by_modality, cached_by_modality, estimated)| {
                let [a, b, c, d, e, f, g, h, i, j, k, l] = columns;
                Usage {
                    input_uncached: a,
                    cache_read: b,
                    cache_write_5m: c,
                    cache_write_30m: d,
                    cache_write_1h: e,
                    cache_write_12h: f,
                    cache_write_unknown: g,
                    tool_prompt: h,
                    output_text: i,
                    reasoning: j,
                    web_search_requests: k,
                    web_fetch_requests: l,
                    input_by_modality,
                    output_by_modality,
                    cached_by_modality,
                    estimated,
                    ..Usage::default()
                }
            },
        )
    }

    proptest! {
        #[test]
        fn classes_add_up_to_the_total(usage in usage(u64::MAX / 16)) {
            let Some(counts) = Counts::of(&usage) else {
                prop_assert_eq!(usage.total(), 0);
                return Ok(());
            };
            prop_assert_eq!(counts.input_tokens(), usage.input_total());
            prop_assert_eq!(counts.tokens(), usage.total());
            let sum: u128 = counts.iter().filter(|(class, _)| class.is_token()).map(|(_, count)| u128::from(count)).sum();
            prop_assert_eq!(sum, u128::from(usage.total()));
            prop_assert_eq!(counts.per_class[Class::WebSearch], usage.web_search_requests.unwrap_or(0));
            prop_assert_eq!(counts.per_class[Class::WebFetch], usage.web_fetch_requests.unwrap_or(0));
            let output: u64 = [Class::Output, Class::OutputAudio, Class::OutputImage, Class::OutputVideo]
                .map(|class| counts.per_class[class]).iter().sum();
            prop_assert_eq!(output, usage.output_text.unwrap_or(0));
        }

        #[test]
        fn numbers_of_any_size_are_taken(usage in usage(u64::MAX)) {
            let Some(counts) = Counts::of(&usage) else {
                prop_assert_eq!(usage.total(), 0);
                return Ok(());
            };
            prop_assert_eq!(counts.tokens(), usage.total());
        }
    }
}
