//! The gateways that are known, and what their files are known by: content, not names.

use std::fmt;

use serde_json::Value;

use crate::material::Material;
use crate::source::{Document, Kind};
use crate::{Refused, formats};

/// A gateway whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// warp2api: a pool of refresh tokens.
    Warp2api,
    /// Antigravity to OpenAI: `tokens.json`.
    Antigravity,
    /// The mutual conversion proxy: `config/app.yml`.
    Transformer,
    /// The tiered pool gateway: its database or an export of it.
    ApiPool,
    /// The light gateway after One API: `config/models.json`.
    AiService,
    /// LiteLLM: `config.yaml`.
    LiteLlm,
    /// One API: its database.
    OneApi,
    /// New API: its database.
    NewApi,
    /// CLIProxyAPI: `config.yaml` and the folder of accounts.
    CliProxyApi,
    /// claude-code-router: `config.json`.
    ClaudeCodeRouter,
    /// gpt-load: an export or its database.
    GptLoad,
    /// Bifrost: `config.json`.
    Bifrost,
    /// TensorZero: `tensorzero.toml`.
    TensorZero,
    /// Polyport itself: what `GET /admin/api/export` tells.
    Polyport,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Warp2api,
        Self::Antigravity,
        Self::Transformer,
        Self::ApiPool,
        Self::AiService,
        Self::LiteLlm,
        Self::OneApi,
        Self::NewApi,
        Self::CliProxyApi,
        Self::ClaudeCodeRouter,
        Self::GptLoad,
        Self::Bifrost,
        Self::TensorZero,
        Self::Polyport,
    ];

    /// The word for it on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.about().0
    }

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.about().1
    }

    /// What it is known by.
    #[must_use]
    pub fn signs(self) -> &'static str {
        self.about().2
    }

    /// The format of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str().eq_ignore_ascii_case(word.trim()))
    }

    fn about(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Warp2api => (
                "warp2api",
                "warp2api",
                "`accounts` or `tokens` with refresh tokens, a token a line, a table `token_accounts`, or variables `WARP_…`",
            ),
            Self::Antigravity => ("antigravity", "the Antigravity gateway", "`oauth_config` and `projects`"),
            Self::Transformer => (
                "transformer",
                "the conversion proxy",
                "`API_KEY_POOLS` or `PREFERRED_PROVIDER`, or a table with `route_key` and `target_model`",
            ),
            Self::ApiPool => (
                "api-pool",
                "the API pool gateway",
                "tables `providers` and `model_endpoints`, the same as JSON, or variables `VIRTUAL_MODEL_…`",
            ),
            Self::AiService => ("ai-service", "the light gateway after One API", "models with `id` and `adapter`"),
            Self::LiteLlm => ("litellm", "LiteLLM", "`model_list` with `litellm_params`"),
            Self::OneApi => ("one-api", "One API", "tables `channels` and `tokens`"),
            Self::NewApi => {
                ("new-api", "New API", "tables `channels` (with `channel_info` or `auto_ban`) and `tokens`")
            }
            Self::CliProxyApi => (
                "cli-proxy-api",
                "CLIProxyAPI",
                "`auth-dir`, `gemini-api-key`, `claude-api-key`, `codex-api-key` or `openai-compatibility`, or files of accounts with `type`",
            ),
            Self::ClaudeCodeRouter => {
                ("claude-code-router", "claude-code-router", "`Providers` with `api_base_url`, or `Router`")
            }
            Self::GptLoad => {
                ("gpt-load", "gpt-load", "`groups` or `group` with `channel_type` and `upstreams`, and their keys")
            }
            Self::Bifrost => ("bifrost", "Bifrost", "`providers` by name, each with `keys` that have a `value`"),
            Self::TensorZero => ("tensorzero", "TensorZero", "`models` with `routing` and `providers`"),
            Self::Polyport => ("polyport", "Polyport", "`version`, `exported_at` and lists with `definition`"),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was given belongs to no known gateway, or to several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecognised {
    /// What it may be; nothing if it is like none.
    pub candidates: Vec<Format>,
    /// The files that were looked at.
    pub files: Vec<String>,
}

impl fmt::Display for Unrecognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.join(", ");
        if !self.candidates.is_empty() {
            let names: Vec<&str> = self.candidates.iter().map(|format| format.as_str()).collect();
            let first = names.first().copied().unwrap_or_default();
            return write!(
                f,
                "{files} may be the configuration of {}; say which with `--as {first}`",
                names.join(" or ")
            );
        }
        let what =
            if self.files.is_empty() { "nothing was given" } else { "this is the configuration of no known gateway" };
        writeln!(f, "{what}{}{files}. What was looked for:", if files.is_empty() { "" } else { ": " })?;
        for format in Format::ALL {
            writeln!(f, "  {:<19} {}", format.as_str(), format.signs())?;
        }
        write!(f, "Name the format with `--as FORMAT` if it is one of these")
    }
}

impl std::error::Error for Unrecognised {}

/// The gateway that this belongs to, by its content.
///
/// # Errors
/// [`Refused::Unrecognised`] if it is none or several, [`Refused::Broken`] if a file cannot be read.
pub fn recognise(material: &Material) -> Result<Format, Refused> {
    Ok(of(&material.documents()?)?)
}

pub(crate) fn of(documents: &[Document]) -> Result<Format, Unrecognised> {
    let mut candidates = signs(documents);
    if candidates.is_empty() {
        candidates = like(documents, false);
    }
    match candidates.as_slice() {
        [only] => Ok(*only),
        _ => Err(Unrecognised { candidates, files: documents.iter().map(|document| document.name.clone()).collect() }),
    }
}

/// The gateways that have a strong sign.
pub(crate) fn signs(documents: &[Document]) -> Vec<Format> {
    like(documents, true)
}

fn like(documents: &[Document], strong: bool) -> Vec<Format> {
    let is_like = |format: &Format| documents.iter().any(|one| formats::is_like(*format, one, strong));
    let mut candidates: Vec<Format> = Format::ALL.into_iter().filter(is_like).collect();
    // One has all that the other has.
    if candidates.contains(&Format::NewApi) {
        candidates.retain(|format| *format != Format::OneApi);
    }
    candidates
}

/// What a document looks like, for those who recognise it.
pub(crate) struct Look<'a>(pub(crate) &'a Document);

impl<'a> Look<'a> {
    /// The members of a tree that is an object.
    pub(crate) fn tree(&self) -> Option<&'a Value> {
        Some(&self.0.value).filter(|value| self.0.kind == Kind::Tree && value.is_object())
    }

    /// Whether a tree has one of these members.
    pub(crate) fn has_any(&self, keys: &[&str]) -> bool {
        self.tree().is_some_and(|tree| keys.iter().any(|key| tree.get(key).is_some()))
    }

    /// The entries of a tree that is a list, or of the first of these lists in it.
    pub(crate) fn list(&self, keys: &[&str]) -> &'a [Value] {
        let none: &[Value] = &[];
        if self.0.kind != Kind::Tree {
            return none;
        }
        let own = self.0.value.as_array();
        let list = own.or_else(|| keys.iter().find_map(|key| self.0.value.get(key)?.as_array()));
        list.map_or(none, Vec::as_slice)
    }

    /// Whether it is a `.env` file with a variable whose name begins like one of these.
    pub(crate) fn has_variable(&self, names: &[&str]) -> bool {
        let members = self.0.value.as_object().filter(|_| self.0.kind == Kind::Variables);
        members.is_some_and(|members| members.keys().any(|key| names.iter().any(|name| key.starts_with(name))))
    }

    /// Whether it is a database with all of these tables.
    pub(crate) fn has_tables(&self, names: &[&str]) -> bool {
        self.0.kind == Kind::Database && names.iter().all(|name| self.0.value.get(name).is_some())
    }

    /// The first row of a table.
    pub(crate) fn row(&self, table: &str) -> Option<&'a Value> {
        Some(&self.0.value).filter(|_| self.0.kind == Kind::Database)?.get(table)?.as_array()?.first()
    }
}
