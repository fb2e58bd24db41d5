//! What is left of an account's allowance, for services that tell it.

use http::Method;
use polyport_protocol::gemini::onboarding;
use polyport_protocol::quota::Quota;
use polyport_protocol::warp::graphql::{self, Question};
use polyport_provider::{Adapter, Call};
use polyport_routing::{Millis, Trouble};
use polyport_types::{Fault, FaultClass, Text};
use serde_json::{Value, json};

use super::probe::{LIST, with_credential};
use crate::app::Runtime;
use crate::config::{Provider, Service};
use crate::relay::course::Slot;
use crate::relay::wire;

/// What a service said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// When.
    pub(crate) at: Millis,
    pub(crate) quota: Quota,
}

/// Whether accounts of this provider have a quota that can be asked for.
pub(crate) fn is_told(provider: &Provider) -> bool {
    matches!(provider.adapter(), Adapter::CodeAssist | Adapter::Antigravity | Adapter::Warp)
}

/// Asks for the quota of a credential.
///
/// # Errors
/// When the service cannot be asked, or its answer makes no sense.
pub(crate) async fn ask(runtime: &Runtime, provider: &str, credential: Option<&Text>) -> Result<Quota, Fault> {
    with_credential(runtime, provider, credential, async |slot| match slot.upstream.config.adapter() {
        Adapter::CodeAssist | Adapter::Antigravity => of_code_assist(slot).await,
        Adapter::Warp => {
            graphql::read_quota(&question(slot, Question::Quota).await?).map_err(|fault| named(slot, fault))
        }
        Adapter::Http | Adapter::Vertex | Adapter::Bedrock | Adapter::BedrockAnthropic | Adapter::CustomHttp => {
            Err(Fault::new(FaultClass::NotFound, format!("provider `{}` tells no quota", slot.target.provider)))
        }
    })
    .await
}

async fn of_code_assist(slot: &Slot) -> Result<Quota, Fault> {
    let body = json!({ "project": slot.project().map(|project| &**project) }).to_string();
    let call = Call::Other { path: "retrieveUserQuota", model: "", query: None };
    let mut opened = wire::send(slot, Method::POST, call, wire::json_headers(false), bytes::Bytes::from(body)).await?;
    let answer: Value = read(slot, &mut opened).await?;
    onboarding::read_quota(&answer).ok_or_else(|| wire::broken(&slot.target.provider, "it holds no quota"))
}

/// Asks Warp about the account in this slot.
pub(super) async fn question(slot: &Slot, question: Question) -> Result<Value, Fault> {
    let headers = match &slot.upstream.config.service {
        Service::Http(http) => http.endpoint.headers().clone(),
        Service::Process(_) | Service::Echo => http::HeaderMap::new(),
    };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let query = format!("op={}", question.operation());
    let call = Call::Other { path: "graphql/v2", model: "", query: Some(&query) };
    let body = bytes::Bytes::from(question.body(&header).to_string());
    let mut to = wire::json_headers(false);
    wire::add_profile_headers(&mut to, &slot.upstream.config.profile);
    let mut opened = wire::send(slot, Method::POST, call, to, body).await?;
    read(slot, &mut opened).await
}

async fn read(slot: &Slot, opened: &mut wire::Opened) -> Result<Value, Fault> {
    let answer = wire::whole(opened, &slot.target.provider, LIST).await?;
    serde_json::from_slice(&answer).map_err(|_| wire::broken(&slot.target.provider, "it is no JSON"))
}

/// The fault with the provider's name.
pub(super) fn named(slot: &Slot, fault: Fault) -> Fault {
    let message = format!("provider `{}`: {}", slot.target.provider, fault.message);
    Fault { message, ..fault }
}

/// What a quota means for its credential: nothing, or a rest until it starts anew.
pub(crate) fn trouble(quota: &Quota) -> Option<Trouble<'static>> {
    let resets_at = quota.used_up_until()?;
    let retry_at = resets_at.and_then(|at| u64::try_from(at).ok()).map(|at| at.saturating_mul(1000));
    Some(Trouble { retry_at, message: "its quota is used up", ..Trouble::new(FaultClass::RateLimitedWindow) })
}
