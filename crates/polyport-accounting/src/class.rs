//! What can be counted and priced: a closed set of classes that never overlap.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of thing that a provider counts and charges for. The classes are disjoint: what is in one is in no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Prompt tokens of text and documents, neither read from nor written to a cache.
    Input,
    /// Fresh prompt tokens of audio.
    InputAudio,
    /// Fresh prompt tokens of images.
    InputImage,
    /// Fresh prompt tokens of video.
    InputVideo,
    /// Results of server tools that were fed back to the model, in tokens.
    ToolPrompt,
    /// Prompt tokens read from a cache, of all other kinds than the two below.
    CacheRead,
    /// Prompt tokens of audio read from a cache.
    CacheReadAudio,
    /// Prompt tokens of images read from a cache.
    CacheReadImage,
    /// Prompt tokens written to a cache whose lifetime nobody told.
    CacheWrite,
    /// Prompt tokens written to a cache for 5 minutes.
    #[serde(rename = "cache_write_5m")]
    CacheWrite5m,
    /// Prompt tokens written to a cache for 30 minutes.
    #[serde(rename = "cache_write_30m")]
    CacheWrite30m,
    /// Prompt tokens written to a cache for an hour.
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    /// Prompt tokens written to a cache for 12 hours.
    #[serde(rename = "cache_write_12h")]
    CacheWrite12h,
    /// Produced tokens that a reader sees: text, tool calls.
    Output,
    /// Produced tokens of audio.
    OutputAudio,
    /// Produced tokens of images.
    OutputImage,
    /// Produced tokens of video.
    OutputVideo,
    /// Tokens of thinking.
    Reasoning,
    /// Web searches of the provider's tool.
    WebSearch,
    /// Pages fetched by the provider's tool.
    WebFetch,
    /// Requests, where they are charged beside what they contain.
    Request,
    /// Images given, where they are charged by the piece.
    ImagesIn,
    /// Images made, where they are charged by the piece.
    ImagesOut,
    /// Seconds of sound or film given, rounded up, where they are charged by time.
    SecondsIn,
    /// Seconds of sound or film made, rounded up.
    SecondsOut,
    /// Characters given, where text is charged by length.
    Characters,
    /// Pages of documents given, where they are charged by the piece.
    Pages,
}

impl Class {
    /// All classes, in the order of [`Class`].
    pub const ALL: [Self; 27] = [
        Self::Input,
        Self::InputAudio,
        Self::InputImage,
        Self::InputVideo,
        Self::ToolPrompt,
        Self::CacheRead,
        Self::CacheReadAudio,
        Self::CacheReadImage,
        Self::CacheWrite,
        Self::CacheWrite5m,
        Self::CacheWrite30m,
        Self::CacheWrite1h,
        Self::CacheWrite12h,
        Self::Output,
        Self::OutputAudio,
        Self::OutputImage,
        Self::OutputVideo,
        Self::Reasoning,
        Self::WebSearch,
        Self::WebFetch,
        Self::Request,
        Self::ImagesIn,
        Self::ImagesOut,
        Self::SecondsIn,
        Self::SecondsOut,
        Self::Characters,
        Self::Pages,
    ];

    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in configuration, logs and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::InputAudio => "input_audio",
            Self::InputImage => "input_image",
            Self::InputVideo => "input_video",
            Self::ToolPrompt => "tool_prompt",
            Self::CacheRead => "cache_read",
            Self::CacheReadAudio => "cache_read_audio",
            Self::CacheReadImage => "cache_read_image",
            Self::CacheWrite => "cache_write",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite30m => "cache_write_30m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::CacheWrite12h => "cache_write_12h",
            Self::Output => "output",
            Self::OutputAudio => "output_audio",
            Self::OutputImage => "output_image",
            Self::OutputVideo => "output_video",
            Self::Reasoning => "reasoning",
            Self::WebSearch => "web_search",
            Self::WebFetch => "web_fetch",
            Self::Request => "request",
            Self::ImagesIn => "images_in",
            Self::ImagesOut => "images_out",
            Self::SecondsIn => "seconds_in",
            Self::SecondsOut => "seconds_out",
            Self::Characters => "characters",
            Self::Pages => "pages",
        }
    }

    /// Whether it counts tokens of the prompt.
    #[must_use]
    pub fn is_input_token(self) -> bool {
        self <= Self::CacheWrite12h
    }

    /// Whether it counts tokens at all.
    #[must_use]
    pub fn is_token(self) -> bool {
        self <= Self::Reasoning
    }

    /// For how many pieces prices are written: a million for tokens and characters, one for everything else.
    #[must_use]
    pub fn priced_per(self) -> u64 {
        if self.is_token() || self == Self::Characters { 1_000_000 } else { 1 }
    }

    /// The class whose price holds for this one where price lists do not tell them apart: audio, images and video cost what text costs,
    /// what tools bring is input, thinking is output, and a price of cache writes without a lifetime is that of the usual one (5 minutes
    /// at Anthropic, 30 at `OpenAI`). Longer lifetimes always have a price of their own, or none that is known.
    #[must_use]
    pub fn like(self) -> Option<Self> {
        match self {
            Self::InputAudio | Self::InputImage | Self::InputVideo | Self::ToolPrompt => Some(Self::Input),
            Self::CacheReadAudio | Self::CacheReadImage => Some(Self::CacheRead),
            Self::CacheWrite5m | Self::CacheWrite30m => Some(Self::CacheWrite),
            Self::OutputAudio | Self::OutputImage | Self::OutputVideo | Self::Reasoning => Some(Self::Output),
            Self::Input
            | Self::CacheRead
            | Self::CacheWrite
            | Self::CacheWrite1h
            | Self::CacheWrite12h
            | Self::Output
            | Self::WebSearch
            | Self::WebFetch
            | Self::Request
            | Self::ImagesIn
            | Self::ImagesOut
            | Self::SecondsIn
            | Self::SecondsOut
            | Self::Characters
            | Self::Pages => None,
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value for each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerClass<T>([T; Class::COUNT]);

impl<T: Copy + Default> Default for PerClass<T> {
    fn default() -> Self {
        Self([T::default(); Class::COUNT])
    }
}

impl<T> std::ops::Index<Class> for PerClass<T> {
    type Output = T;

    fn index(&self, class: Class) -> &T {
        &self.0[class as usize]
    }
}

impl<T> std::ops::IndexMut<Class> for PerClass<T> {
    fn index_mut(&mut self, class: Class) -> &mut T {
        &mut self.0[class as usize]
    }
}

impl<T: Copy> PerClass<T> {
    /// All values with their classes, in the order of [`Class`].
    pub fn iter(&self) -> impl Iterator<Item = (Class, T)> + '_ {
        Class::ALL.into_iter().map(|class| (class, self[class]))
    }
}

/// Only what differs from the default is written: `{"input": 12, "output": 3}`.
impl<T: Copy + Default + PartialEq + Serialize> Serialize for PerClass<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().filter(|(_, value)| *value != T::default()))
    }
}

impl<'de, T: Copy + Default + Deserialize<'de>> Deserialize<'de> for PerClass<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut all = Self::default();
        for (class, value) in std::collections::BTreeMap::<Class, T>::deserialize(deserializer)? {
            all[class] = value;
        }
        Ok(all)
    }
}

/// A set of classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassSet(u32);

impl ClassSet {
    /// Adds a class.
    pub fn insert(&mut self, class: Class) {
        self.0 |= class.bit();
    }

    /// Whether a class is in it.
    #[must_use]
    pub fn contains(self, class: Class) -> bool {
        self.0 & class.bit() != 0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its classes, in the order of [`Class`].
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.contains(*class))
    }
}

impl FromIterator<Class> for ClassSet {
    fn from_iter<I: IntoIterator<Item = Class>>(classes: I) -> Self {
        let mut set = Self::default();
        for class in classes {
            set.insert(class);
        }
        set
    }
}

impl Serialize for ClassSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ClassSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Class>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_names_are_those_of_json() {
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, at);
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
            assert!(class.like().is_none_or(|like| like.like().is_none() && like.is_token() == class.is_token()));
        }
    }

    #[test]
    fn sets_and_tables_survive_json() {
        let set: ClassSet = [Class::Pages, Class::Input].into_iter().collect();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["input","pages"]"#);
        assert_eq!(serde_json::from_str::<ClassSet>(r#"["input","pages"]"#).unwrap(), set);
        let mut counts = PerClass::<u64>::default();
        counts[Class::CacheWrite1h] = 7;
        assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"cache_write_1h":7}"#);
        assert_eq!(serde_json::from_str::<PerClass<u64>>(r#"{"cache_write_1h":7}"#).unwrap(), counts);
        assert!(serde_json::from_str::<PerClass<u64>>(r#"{"cached":7}"#).is_err());
    }
}
