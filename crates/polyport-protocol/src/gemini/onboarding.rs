//! What Google Code Assist tells about an account: its project, and how much of its quota is left.
//!
//! Source: the open-source Gemini CLI (`packages/core/src/code_assist/setup.ts`); Antigravity's way is what gateways observe.

use polyport_types::{Fault, FaultClass, Text};
use serde_json::{Value, json};

use super::CodeAssistClient;
use crate::quota::{Bucket, Quota, time, word};

/// For accounts of a user's own; a project is given by the service.
const FREE_TIER: &str = "free-tier";
/// What is chosen where the service offers no default.
const LEGACY_TIER: &str = "legacy-tier";

/// What is to be done about an account without a project.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It has one.
    Project(Text),
    /// It has to be onboarded, with this body of `onboardUser`.
    Onboard(Value),
}

/// How far an onboarding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Onboarding {
    /// The account has this project now.
    Done(Text),
    /// The operation of this name goes on.
    Going(Text),
}

/// The body of `loadCodeAssist`.
#[must_use]
pub fn load_request(client: CodeAssistClient) -> Value {
    match client {
        CodeAssistClient::Cli => json!({ "metadata": metadata() }),
        CodeAssistClient::Antigravity => json!({ "metadata": { "ideType": "ANTIGRAVITY" } }),
    }
}

fn metadata() -> Value {
    json!({ "ideType": "IDE_UNSPECIFIED", "platform": "PLATFORM_UNSPECIFIED", "pluginType": "GEMINI" })
}

/// Reads the answer of `loadCodeAssist`.
///
/// # Errors
/// Why the account cannot be used.
pub fn read_load(client: CodeAssistClient, answer: &Value) -> Result<Standing, Fault> {
    if let Some(project) = project_of(answer) {
        return Ok(Standing::Project(project));
    }
    if answer.get("currentTier").is_some_and(Value::is_object) {
        return Err(ineligible(answer));
    }
    let tiers = answer.get("allowedTiers").and_then(Value::as_array);
    let default = tiers.into_iter().flatten().find(|tier| tier.get("isDefault") == Some(&Value::Bool(true)));
    let tier = default.and_then(|tier| tier.get("id")?.as_str()).unwrap_or(LEGACY_TIER);
    let own_project =
        default.is_some_and(|tier| tier.get("userDefinedCloudaicompanionProject") == Some(&Value::Bool(true)));
    if (own_project && tier != FREE_TIER) || (default.is_none() && reasons(answer).is_some()) {
        // A project of Google's own is given to users of the free tier only.
        return Err(ineligible(answer));
    }
    Ok(Standing::Onboard(match client {
        CodeAssistClient::Cli => json!({ "tierId": tier, "metadata": metadata() }),
        CodeAssistClient::Antigravity => {
            json!({ "tier_id": tier, "metadata": { "ide_type": "ANTIGRAVITY", "ide_name": "antigravity" } })
        }
    }))
}

/// Reads the answer of `onboardUser`, or the operation it began.
///
/// # Errors
/// It ended without a project.
pub fn read_onboarding(answer: &Value) -> Result<Onboarding, Fault> {
    if answer.get("done") != Some(&Value::Bool(true)) {
        let name = word(answer.get("name")).unwrap_or_default();
        return Ok(Onboarding::Going(name));
    }
    if let Some(project) = answer.get("response").and_then(project_of) {
        return Ok(Onboarding::Done(project));
    }
    let message = answer.pointer("/error/message").and_then(Value::as_str);
    Err(unusable(message.unwrap_or("the service ended the onboarding without one")))
}

/// The project in an answer: text, or an object with its id.
fn project_of(answer: &Value) -> Option<Text> {
    let project = answer.get("cloudaicompanionProject")?;
    let named = ["id", "projectId", "project"].iter().find_map(|name| word(project.get(name)));
    word(Some(project)).or(named)
}

fn ineligible(answer: &Value) -> Fault {
    unusable(&reasons(answer).unwrap_or_else(|| "the service names none".to_owned()))
}

fn unusable(why: &str) -> Fault {
    let words = format!("the account has no Google Cloud project ({why}); set `project` of the account, or onboard it");
    Fault::new(FaultClass::AccountBroken, words)
}

/// Why the account is not eligible, as the service says, with the address where its owner can mend it.
fn reasons(answer: &Value) -> Option<String> {
    let tiers = answer.get("ineligibleTiers").and_then(Value::as_array)?;
    let reasons: Vec<String> = tiers
        .iter()
        .filter_map(|tier| {
            let reason = word(tier.get("reasonMessage")).or_else(|| word(tier.get("reasonCode")))?;
            Some(match word(tier.get("validationUrl")) {
                Some(url) => format!("{reason} {url}"),
                None => reason.to_string(),
            })
        })
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Reads the answer of `retrieveUserQuota`; `None` if it is none.
#[must_use]
pub fn read_quota(answer: &Value) -> Option<Quota> {
    let buckets = answer.get("buckets")?.as_array()?.iter().map(|bucket| Bucket {
        model: word(bucket.get("modelId")),
        unit: word(bucket.get("tokenType")),
        limit: None,
        used: None,
        remaining: bucket.get("remainingFraction").and_then(Value::as_f64),
        resets_at: time(bucket.get("resetTime")),
        ..Bucket::default()
    });
    Some(Quota { buckets: buckets.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_a_project_or_is_onboarded_or_says_why_not() {
        use CodeAssistClient::{Antigravity, Cli};
        let tier = json!({ "id": "free-tier", "isDefault": true });
        for answer in [
            json!({ "currentTier": tier, "cloudaicompanionProject": "p-1" }),
            json!({ "currentTier": tier, "cloudaicompanionProject": { "id": "p-1", "name": "x" } }),
            json!({ "cloudaicompanionProject": { "projectId": "p-1" } }),
        ] {
            assert_eq!(read_load(Cli, &answer).unwrap(), Standing::Project("p-1".into()), "{answer}");
        }
        let new = json!({ "allowedTiers": [{ "id": "standard-tier" }, tier] });
        let Standing::Onboard(body) = read_load(Cli, &new).unwrap() else { panic!() };
        assert_eq!(body["tierId"], "free-tier");
        assert!(body.get("cloudaicompanionProject").is_none(), "the free tier refuses one");
        let Standing::Onboard(body) = read_load(Antigravity, &new).unwrap() else { panic!() };
        assert_eq!((&body["tier_id"], &body["metadata"]["ide_type"]), (&json!("free-tier"), &json!("ANTIGRAVITY")));
        assert!(
            matches!(read_load(Cli, &json!({})).unwrap(), Standing::Onboard(body) if body["tierId"] == "legacy-tier")
        );
        let none = json!({ "currentTier": tier, "ineligibleTiers": [{ "reasonCode": "VALIDATION_REQUIRED",
            "reasonMessage": "Verify your account.", "validationUrl": "https://a.example/" }] });
        let fault = read_load(Cli, &none).unwrap_err();
        assert_eq!(fault.class, FaultClass::AccountBroken);
        assert!(fault.message.contains("Verify your account. https://a.example/"), "{}", fault.message);
        let own = json!({ "allowedTiers": [{ "id": "standard-tier", "isDefault": true,
            "userDefinedCloudaicompanionProject": true }] });
        assert!(read_load(Cli, &own).unwrap_err().message.contains("set `project`"));
    }

    #[test]
    fn an_operation_goes_on_until_it_is_done() {
        assert_eq!(
            read_onboarding(&json!({ "name": "operations/7", "done": false })).unwrap(),
            Onboarding::Going("operations/7".into())
        );
        let done = json!({ "done": true, "response": { "cloudaicompanionProject": { "id": "p-2", "name": "n" } } });
        assert_eq!(read_onboarding(&done).unwrap(), Onboarding::Done("p-2".into()));
        let failed = json!({ "done": true, "error": { "code": 9, "message": "Precondition Failed" } });
        assert!(read_onboarding(&failed).unwrap_err().message.contains("Precondition Failed"));
    }

    #[test]
    fn quota_has_one_bucket_per_model() {
        let quota = read_quota(&json!({ "buckets": [
            { "modelId": "gemini-3-pro", "tokenType": "REQUESTS", "remainingFraction": 0.25, "resetTime": "2027-01-15T08:00:00Z" },
            { "modelId": "gemini-3-flash", "remainingFraction": 0 }] }))
        .unwrap();
        assert_eq!(quota.buckets[0].remaining, Some(0.25));
        assert_eq!(quota.buckets[0].resets_at, Some(1_800_000_000));
        assert!(quota.buckets[1].is_used_up());
        assert_eq!(quota.used_up_until(), None);
        assert!(read_quota(&json!({ "models": {} })).is_none());
    }
}
