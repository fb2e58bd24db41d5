//! Which paths lead to things that providers keep.

use http::Method;
use polyport_types::{ClientProtocol, Protocol};

use crate::ingress::held::is_plain;

/// Collections of `OpenAI`'s API: what stands below one is a thing of it.
const OPENAI: &[&str] = &[
    "files",
    "uploads",
    "batches",
    "vector_stores",
    "containers",
    "skills",
    "fine_tuning/jobs",
    "fine_tuning/checkpoints",
    "fine_tuning/alpha/graders/run",
    "fine_tuning/alpha/graders/validate",
    "evals",
    "videos",
    "videos/edits",
    "videos/extensions",
    "videos/characters",
    "realtime/client_secrets",
    "realtime/sessions",
    "realtime/transcription_sessions",
    "realtime/calls",
    "assistants",
    "threads",
    "threads/runs",
    "audio/voices",
    "audio/voice_consents",
    "chat/completions",
];

/// Collections of Anthropic's API.
const ANTHROPIC: &[&str] = &["messages/batches", "files"];

/// Collections of the Gemini API. Below `models` only what has begun there is asked for.
const GEMINI: &[&str] = &[
    "files",
    "upload/files",
    "upload/fileSearchStores",
    "cachedContents",
    "batches",
    "operations",
    "fileSearchStores",
    "tunedModels",
    "corpora",
    "interactions",
    "models",
];

/// Methods of a Gemini model that begin something, or that no other protocol has.
const GEMINI_METHODS: &[&str] = &["batchGenerateContent", "asyncBatchEmbedContent", "predict", "predictLongRunning"];

/// The method of a Gemini model that is handed on under this name.
pub(crate) fn method(verb: &str) -> Option<&'static str> {
    GEMINI_METHODS.iter().find(|known| **known == verb).copied()
}

fn collections(protocol: ClientProtocol) -> &'static [&'static str] {
    match protocol {
        ClientProtocol::Chat | ClientProtocol::Responses => OPENAI,
        ClientProtocol::Messages => ANTHROPIC,
        ClientProtocol::Gemini => GEMINI,
    }
}

/// A path to a collection, or to a thing in it or below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The path behind the version.
    pub(super) path: String,
    /// The first word of the collection, by which a provider's quirks name it.
    pub(super) kind: &'static str,
    /// Where in `path` the names of things begin; its end for the collection as a whole.
    below: usize,
    /// Gemini: bytes of a file are sent there.
    pub(super) upload: bool,
}

impl Place {
    /// Finds the place of a path behind the version. Every segment must be plain: it is sent on as it is.
    pub(crate) fn find(protocol: ClientProtocol, path: &str) -> Option<Self> {
        let fits = |collection: &&&str| {
            path.strip_prefix(**collection).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let collection = collections(protocol).iter().filter(fits).max_by_key(|collection| collection.len())?;
        if !path.split('/').all(is_plain) {
            return None;
        }
        if *collection == "models" && !path.contains("/operations/") {
            return None;
        }
        let (upload, path) = match path.strip_prefix("upload/") {
            Some(rest) => (true, rest),
            None => (false, path),
        };
        let collection = collection.trim_start_matches("upload/");
        let kind = collection.split('/').next().unwrap_or_default();
        let below = (collection.len() + 1).min(path.len());
        Some(Self { path: path.to_owned(), kind, below, upload })
    }

    /// Whether it may be asked with this method.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        let allowed: &[Method] = match (self.upload, self.is_collection()) {
            (true, _) => &[Method::POST, Method::PUT],
            (false, true) => &[Method::GET, Method::HEAD, Method::POST],
            (false, false) => &[Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE],
        };
        allowed.contains(method)
    }

    /// What the path names, outermost first: single ids, and Gemini's names, which hold their collection.
    pub(super) fn names(&self) -> Vec<&str> {
        let whole = self.path.split_once(':').map_or(self.path.as_str(), |(name, _)| name);
        let mut names: Vec<&str> = self.tail().split('/').filter(|segment| !segment.is_empty()).collect();
        let ends = whole.match_indices('/').map(|(at, _)| at).chain([whole.len()]);
        names.extend(ends.skip(1).step_by(2).filter_map(|end| whole.get(..end)));
        names
    }

    fn tail(&self) -> &str {
        self.path.get(self.below..).unwrap_or_default()
    }

    /// Whether it is the collection as a whole.
    pub(super) fn is_collection(&self) -> bool {
        self.tail().is_empty()
    }

    /// Whether it is a thing itself, not something about it.
    pub(super) fn is_thing(&self) -> bool {
        !self.is_collection() && !self.tail().contains(['/', ':'])
    }

    /// Whether the answer is what was once sent, of whatever size and kind, and no description.
    pub(super) fn is_content(&self) -> bool {
        let last = self.tail().rsplit('/').next().unwrap_or_default();
        matches!(last, "content" | "results") || last.ends_with(":download")
    }
}

/// Whether a provider of this protocol speaks the API that a client of that protocol knows.
pub(super) fn same_api(client: ClientProtocol, provider: Protocol) -> bool {
    match client {
        ClientProtocol::Chat | ClientProtocol::Responses => matches!(provider, Protocol::Chat | Protocol::Responses),
        ClientProtocol::Messages | ClientProtocol::Gemini => provider == Protocol::from(client),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_things() {
        use ClientProtocol::{Chat, Gemini, Messages};
        for (protocol, path, kind, names) in [
            (Chat, "files", "files", vec![]),
            (Chat, "files/file-1/content", "files", vec!["file-1", "content", "files/file-1"]),
            (Chat, "fine_tuning/jobs/ft-1", "fine_tuning", vec!["ft-1", "fine_tuning/jobs"]),
            (Chat, "threads/runs", "threads", vec!["threads/runs"]),
            (
                Messages,
                "messages/batches/b_1/results",
                "messages",
                vec!["b_1", "results", "messages/batches", "messages/batches/b_1/results"],
            ),
            (Gemini, "files/a:download", "files", vec!["a:download", "files/a"]),
            (
                Gemini,
                "models/veo/operations/x",
                "models",
                vec!["veo", "operations", "x", "models/veo", "models/veo/operations/x"],
            ),
        ] {
            let place = Place::find(protocol, path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((place.kind, place.names()), (kind, names), "{path}");
        }
        assert!(Place::find(Gemini, "upload/files").is_some_and(|place| place.upload && place.path == "files"));
        for (protocol, path) in [
            (Chat, "organization/users"),
            (Chat, "files/../chat/completions"),
            (Chat, "files/a%2fb"),
            (Chat, "filesystem"),
            (Messages, "skills"),
            (Gemini, "models/m"),
        ] {
            assert_eq!(Place::find(protocol, path), None, "{path}");
        }
    }

    #[test]
    fn content_is_told_from_descriptions() {
        let content = |path: &str| Place::find(ClientProtocol::Chat, path).is_some_and(|place| place.is_content());
        assert!(content("files/file-1/content") && content("containers/c/files/f/content"));
        assert!(!content("files/file-1") && !content("files"));
    }
}
