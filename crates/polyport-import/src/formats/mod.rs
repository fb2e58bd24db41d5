//! An importer per gateway: what its documents look like, and what they come to.

mod ai_service;
mod antigravity;
mod api_pool;
mod bifrost;
mod claude_code_router;
mod cli_proxy;
mod gpt_load;
mod litellm;
mod one_api;
mod polyport;
mod tensorzero;
mod transformer;
mod warp2api;

use serde_json::Value;

use crate::draft::Draft;
use crate::format::{Format, Look};
use crate::source::{Document, Source};

/// Whether a document is one of this gateway. Weak signs count only where nothing has a strong one.
pub(crate) fn is_like(format: Format, document: &Document, strong: bool) -> bool {
    let look = Look(document);
    match format {
        Format::Warp2api => warp2api::is_like(&look, strong),
        Format::Antigravity => antigravity::is_like(&look, strong),
        Format::Transformer => transformer::is_like(&look, strong),
        Format::ApiPool => api_pool::is_like(&look, strong),
        Format::AiService => ai_service::is_like(&look, strong),
        Format::LiteLlm => litellm::is_like(&look, strong),
        Format::OneApi => one_api::is_like(&look, false),
        Format::NewApi => one_api::is_like(&look, true),
        Format::CliProxyApi => cli_proxy::is_like(&look, strong),
        Format::ClaudeCodeRouter => claude_code_router::is_like(&look, strong),
        Format::GptLoad => gpt_load::is_like(&look, strong),
        Format::Bifrost => bifrost::is_like(&look, strong),
        Format::TensorZero => tensorzero::is_like(&look, strong),
        Format::Polyport => polyport::is_like(&look, strong),
    }
}

/// Reads all documents of a gateway.
pub(crate) fn read<'a>(format: Format, source: &'a Source, draft: &mut Draft<'a>) {
    match format {
        Format::Warp2api => warp2api::read(source, draft),
        Format::Antigravity => antigravity::read(source, draft),
        Format::Transformer => transformer::read(source, draft),
        Format::ApiPool => api_pool::read(source, draft),
        Format::AiService => ai_service::read(source, draft),
        Format::LiteLlm => litellm::read(source, draft),
        Format::OneApi | Format::NewApi => one_api::read(format, source, draft),
        Format::CliProxyApi => cli_proxy::read(source, draft),
        Format::ClaudeCodeRouter => claude_code_router::read(source, draft),
        Format::GptLoad => gpt_load::read(source, draft),
        Format::Bifrost => bifrost::read(source, draft),
        Format::TensorZero => tensorzero::read(source, draft),
        Format::Polyport => polyport::read(source, draft),
    }
}

/// Tables of all gateways that say how they are configured.
const TABLES: [&str; 12] = [
    "token_accounts",
    "providers",
    "model_endpoints",
    "pools",
    "channels",
    "tokens",
    "users",
    "options",
    "groups",
    "api_keys",
    "system_settings",
    "group_sub_groups",
];

pub(crate) fn wants_table(name: &str, columns: &[String]) -> bool {
    let has = |wanted: &str| columns.iter().any(|column| column.eq_ignore_ascii_case(wanted));
    TABLES.contains(&name) || has("route_key") && has("target_model")
}

/// Statistics and times of the past.
pub(crate) const PAST: &str = "what was counted there stays there";

/// Whether a value is an object with this member.
pub(crate) fn has(value: &Value, key: &str) -> bool {
    value.get(key).is_some()
}
