//! The project of an account of Google Code Assist that names none: asked of the service, which may have to make one first.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use polyport_protocol::gemini::CodeAssistClient;
use polyport_protocol::gemini::onboarding::{Onboarding, Standing, load_request, read_load, read_onboarding};
use polyport_provider::{Adapter, Call};
use polyport_types::{Fault, FaultClass, Text};
use serde_json::Value;

use crate::relay::course::Slot;
use crate::relay::wire;

/// Largest answer, in bytes.
const ANSWER: usize = 1 << 20;

/// Waits between two looks at an operation; together they are as long as anybody waits for it.
const WAITS: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(5),
    Duration::from_secs(5),
    Duration::from_secs(5),
];

/// Whose way of writing a provider has, if it is one whose accounts have projects.
pub(crate) fn client(adapter: Adapter) -> Option<CodeAssistClient> {
    match adapter {
        Adapter::CodeAssist => Some(CodeAssistClient::Cli),
        Adapter::Antigravity => Some(CodeAssistClient::Antigravity),
        Adapter::Http
        | Adapter::Vertex
        | Adapter::Warp
        | Adapter::Bedrock
        | Adapter::BedrockAnthropic
        | Adapter::CustomHttp => None,
    }
}

/// Asks for the project of the account in this slot, which has a token.
///
/// # Errors
/// When the service cannot be asked, or says that the account cannot be used.
pub(crate) async fn project(slot: &Slot, client: CodeAssistClient) -> Result<Text, Fault> {
    let answer = ask(slot, Method::POST, "loadCodeAssist", Some(&load_request(client))).await?;
    let body = match read_load(client, &answer)? {
        Standing::Project(project) => return Ok(project),
        Standing::Onboard(body) => body,
    };
    let mut onboarding = read_onboarding(&ask(slot, Method::POST, "onboardUser", Some(&body)).await?)?;
    for wait in WAITS {
        let operation = match onboarding {
            Onboarding::Done(project) => return Ok(project),
            Onboarding::Going(operation) => operation,
        };
        tokio::time::sleep(wait).await;
        let answer = match client {
            CodeAssistClient::Cli if is_path(&operation) => ask(slot, Method::GET, &operation, None).await?,
            // Antigravity says the same again until it is done.
            _ => ask(slot, Method::POST, "onboardUser", Some(&body)).await?,
        };
        onboarding = read_onboarding(&answer)?;
    }
    match onboarding {
        Onboarding::Done(project) => Ok(project),
        Onboarding::Going(_) => {
            Err(Fault::new(FaultClass::Timeout, "the service is still onboarding the account; try again later"))
        }
    }
}

/// Whether the name of an operation can stand in an address.
fn is_path(operation: &str) -> bool {
    operation.strip_prefix("operations/").is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    })
}

async fn ask(slot: &Slot, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let call = Call::Other { path, model: "", query: None };
    let mut opened = wire::send(slot, method, call, wire::json_headers(false), body).await?;
    let answer = wire::whole(&mut opened, &slot.target.provider, ANSWER).await?;
    serde_json::from_slice(&answer).map_err(|_| wire::broken(&slot.target.provider, "it is no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_operations_become_addresses() {
        assert!(is_path("operations/abc-1.2_3"));
        for name in ["", "operations/", "operations/../admin", "https://x/operations/1", "operations/a?b"] {
            assert!(!is_path(name), "{name}");
        }
    }
}
