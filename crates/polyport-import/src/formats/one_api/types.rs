//! What the numbers of channel types mean. The two gateways agree up to 25.

use serde_json::{Map, Value, json};

use crate::services::{self, Speaks};

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    One,
    New,
}

/// How a type is reached.
enum Way {
    /// A preset, at `base_url` if there is one, with this behind it.
    Preset(&'static str, &'static str),
    /// OpenAI's interface at `base_url`, or at this address, with this behind it.
    Chat(&'static str, &'static str),
    /// The whole address stands in `base_url`.
    Whole,
    Azure,
    Bedrock,
    Vertex,
}

/// By the number of the type.
fn way(kind: Kind, number: u64) -> Option<Way> {
    use Kind::{New, One};
    use Way::{Chat, Preset};
    Some(match (number, kind) {
        (1, _) => Preset("openai", "/v1"),
        (2, One) => Chat("https://oa.api2d.net", "/v1"),
        (3, _) => Way::Azure,
        (4, New) | (30, One) => Preset("ollama", "/v1"),
        (4, One) => Chat("https://api.closeai-proxy.xyz", "/v1"),
        (5, One) => Chat("https://api.openai-sb.com", "/v1"),
        (6, _) => Chat("https://api.openaimax.com", "/v1"),
        (7, _) => Chat("https://api.ohmygpt.com", "/v1"),
        (8, New) => Way::Whole,
        (8, One) | (43 | 50, One) => Chat("", "/v1"),
        (9, _) => Chat("https://api.caipacity.com", "/v1"),
        (10, _) => Chat("https://api.aiproxy.io", "/v1"),
        (12, _) => Chat("https://api.api2gpt.com", "/v1"),
        (13, _) => Chat("https://api.aigc2d.com", "/v1"),
        (14, _) => Preset("anthropic", ""),
        (16, One) | (16 | 26, New) => Preset("zai", "/api/paas/v4"),
        (17, _) | (49, One) => Preset("dashscope", "/compatible-mode/v1"),
        (19, One) => Chat("https://ai.360.cn", "/v1"),
        (19, New) => Chat("https://api.360.cn", "/v1"),
        (20, _) => Preset("openrouter", "/v1"),
        (22, _) => Chat("https://fastgpt.run/api/openapi", "/v1"),
        (24, _) => Preset("gemini", ""),
        (25, _) => Preset("moonshot", "/v1"),
        (26, One) => Chat("https://api.baichuan-ai.com", "/v1"),
        (27, One) | (35, New) => Chat("https://api.minimax.chat", "/v1"),
        (27, New) => Chat("https://api.perplexity.ai", ""),
        (28, One) | (42, New) => Preset("mistral", "/v1"),
        (29, One) => Preset("groq", "/v1"),
        (31, _) => Chat("https://api.lingyiwanwu.com", "/v1"),
        (32, One) => Chat("https://api.stepfun.com", "/v1"),
        (33, _) => Way::Bedrock,
        (36, One) | (43, New) => Preset("deepseek", "/v1"),
        (39, One) => Preset("together", "/v1"),
        (40, One) | (45, New) => Chat("https://ark.cn-beijing.volces.com", "/api/v3"),
        (40, New) | (44, One) => Chat("https://api.siliconflow.cn", "/v1"),
        (41, One) => Chat("https://api.novita.ai/v3/openai", ""),
        (41, New) | (42, One) => Way::Vertex,
        (45, One) | (48, New) => Preset("xai", "/v1"),
        (46, New) | (47, One) => Chat("https://qianfan.baidubce.com", "/v2"),
        (47, New) => Chat("", "/v1"),
        (51, One) => Preset("gemini-compat", "/v1beta/openai"),
        (53, New) => Chat("https://llm.submodel.ai", "/v1"),
        _ => return None,
    })
}

/// Addresses that presets have at other hosts than these gateways.
const ADDRESSES: [(&str, &str); 3] = [
    ("moonshot", "https://api.moonshot.cn"),
    ("zai", "https://open.bigmodel.cn"),
    ("dashscope", "https://dashscope.aliyuncs.com"),
];

/// The body of a provider for a channel of this type, and whether its key is one of AWS or a key file.
pub(super) fn body(kind: Kind, number: u64, base: Option<&str>, other: &str) -> Option<(Map<String, Value>, Key)> {
    let base = base.map(|text| text.trim().trim_end_matches('/')).filter(|text| !text.is_empty());
    let behind = |address: &str, tail: &str| {
        if address.ends_with(tail) { address.to_owned() } else { format!("{address}{tail}") }
    };
    let at = |speaks, address: String| services::at(&address, speaks);
    Some(match way(kind, number)? {
        Way::Preset(preset, tail) => {
            let own = ADDRESSES.iter().find(|(known, _)| *known == preset).map(|(_, address)| *address);
            let mut body = services::of(preset);
            if let Some(address) = base.or(own) {
                let address = behind(address, tail);
                // A relay that speaks like OpenAI has none of its quirks.
                if preset == "openai" {
                    body = at(Speaks::Chat, address);
                } else {
                    body.insert("base_url".to_owned(), address.into());
                }
            }
            (body, Key::Text)
        }
        Way::Chat(own, tail) => {
            let address = base.or(Some(own).filter(|own| !own.is_empty()))?;
            (at(Speaks::Chat, behind(address, tail)), Key::Text)
        }
        Way::Whole => (at(Speaks::Chat, base?.to_owned()), Key::Text),
        Way::Azure => {
            let base = base?;
            let mut body = services::of("azure");
            let version = if other.is_empty() { "2024-10-21" } else { other };
            body.insert("base_url".to_owned(), format!("{base}/openai/deployments/{{model}}").into());
            body.insert("query".to_owned(), json!({ "api-version": version }));
            (body, Key::Text)
        }
        Way::Bedrock => (services::of("bedrock"), Key::Aws),
        Way::Vertex => {
            let mut body = services::of("vertex");
            // A region, or one for each model.
            if !other.is_empty() && !other.contains('{') {
                body.insert("location".to_owned(), other.into());
            }
            (body, Key::File)
        }
    })
}

/// What stands in the column of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text,
    /// `ID|SECRET|REGION`.
    Aws,
    /// A key file of Google.
    File,
}
