//! What Warp tells about an account beside inference: how much of its allowance is left, and its models.
//!
//! Source: the GraphQL schema of Warp's open-source client (`crates/warp_graphql_schema`).

use polyport_types::{Fault, FaultClass, Text};
use serde_json::{Value, json};

use crate::quota::{Bucket, Quota, time, word};

/// A question, by the name of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// How much of the allowance is left.
    Quota,
    /// Which models the account may use.
    Models,
}

impl Question {
    /// The operation, as it stands in the address and in the body.
    #[must_use]
    pub fn operation(self) -> &'static str {
        match self {
            Self::Quota => "GetRequestLimitInfo",
            Self::Models => "GetFeatureModelChoices",
        }
    }

    fn selection(self) -> &'static str {
        match self {
            Self::Quota => {
                "requestLimitInfo { isUnlimited nextRefreshTime requestLimit requestsUsedSinceLastRefresh \
                 requestLimitRefreshDuration }"
            }
            Self::Models => {
                "workspaces { featureModelChoice { agentMode { defaultId choices { id displayName disableReason } } } }"
            }
        }
    }

    /// The body. `header` gives the values of the request's headers that say who asks.
    #[must_use]
    pub fn body(self, header: &dyn Fn(&str) -> Option<String>) -> Value {
        let operation = self.operation();
        let query = format!(
            "query {operation}($requestContext: RequestContext!) {{ user(requestContext: $requestContext) {{ __typename \
             ... on UserOutput {{ user {{ {} }} }} ... on UserFacingError {{ error {{ __typename message }} }} }} }}",
            self.selection()
        );
        let context = json!({
            "clientContext": { "version": header("x-warp-client-version") },
            "osContext": {
                "category": header("x-warp-os-category"),
                "linuxKernelVersion": header("x-warp-os-linux-kernel-version"),
                "name": header("x-warp-os-name"),
                "version": header("x-warp-os-version"),
            },
        });
        json!({ "operationName": operation, "query": query, "variables": { "requestContext": context } })
    }
}

/// What an answer says about the user.
///
/// # Errors
/// The service's own words where it refuses; accounts it does not know any more are broken.
fn user(answer: &Value) -> Result<&Value, Fault> {
    let refused = answer
        .pointer("/errors/0/message")
        .or_else(|| answer.pointer("/data/user/error/message"))
        .and_then(Value::as_str);
    if let Some(message) = refused {
        // Says the service of accounts that were disabled or deleted.
        let class = match message.contains("User not in context: Not found") {
            true => FaultClass::AccountBroken,
            false => FaultClass::UpstreamProtocol,
        };
        return Err(Fault { from_upstream: true, ..Fault::new(class, crate::classify::mask(message)) });
    }
    answer
        .pointer("/data/user/user")
        .ok_or_else(|| Fault::new(FaultClass::UpstreamProtocol, "the answer tells nothing about the account"))
}

/// Reads an answer to [`Question::Quota`].
///
/// # Errors
/// As the service says, or if the answer makes no sense.
pub fn read_quota(answer: &Value) -> Result<Quota, Fault> {
    let info = user(answer)?
        .get("requestLimitInfo")
        .filter(|info| info.is_object())
        .ok_or_else(|| Fault::new(FaultClass::UpstreamProtocol, "the answer holds no `requestLimitInfo`"))?;
    let number = |name: &str| info.get(name).and_then(Value::as_i64).and_then(|number| u64::try_from(number).ok());
    let unlimited = info.get("isUnlimited") == Some(&Value::Bool(true));
    let (limit, used) = (number("requestLimit"), number("requestsUsedSinceLastRefresh"));
    #[allow(clippy::cast_precision_loss, reason = "a fraction for people")]
    let remaining = match (limit, used) {
        _ if unlimited => None,
        (Some(limit), Some(used)) if limit > 0 => Some(limit.saturating_sub(used) as f64 / limit as f64),
        (Some(_), Some(_)) => Some(0.0),
        _ => None,
    };
    let bucket = Bucket {
        unit: Some("requests".into()),
        unlimited,
        limit: limit.filter(|_| !unlimited),
        used: used.filter(|_| !unlimited),
        remaining,
        resets_at: time(info.get("nextRefreshTime")),
        period: word(info.get("requestLimitRefreshDuration")).or_else(|| Some("WEEKLY".into())),
        ..Bucket::default()
    };
    Ok(Quota { buckets: vec![bucket] })
}

/// Reads an answer to [`Question::Models`]: the names of the models that the account may use now, in the service's order.
///
/// # Errors
/// As the service says, or if the answer makes no sense.
pub fn read_models(answer: &Value) -> Result<Vec<Text>, Fault> {
    let workspaces = user(answer)?.get("workspaces").and_then(Value::as_array);
    let mut names = Vec::new();
    for workspace in workspaces.into_iter().flatten() {
        let choices = workspace.pointer("/featureModelChoice/agentMode/choices").and_then(Value::as_array);
        for choice in
            choices.into_iter().flatten().filter(|choice| choice.get("disableReason").is_none_or(Value::is_null))
        {
            names.extend(word(choice.get("id")).filter(|name| !names.contains(name)));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(user: &Value) -> Value {
        json!({ "data": { "user": { "__typename": "UserOutput", "user": user } } })
    }

    #[test]
    fn a_quota_is_read_with_its_period() {
        let info = |unlimited: bool, limit: i64, used: i64| {
            answer(&json!({ "requestLimitInfo": { "isUnlimited": unlimited, "nextRefreshTime": "2027-01-15T08:00:00Z",
                "requestLimit": limit, "requestsUsedSinceLastRefresh": used, "requestLimitRefreshDuration": "MONTHLY" } }))
        };
        let bucket = |answer: &Value| read_quota(answer).unwrap().buckets.remove(0);
        let half = bucket(&info(false, 150, 75));
        assert_eq!((half.limit, half.used, half.remaining), (Some(150), Some(75), Some(0.5)));
        assert_eq!((half.resets_at, half.period.as_deref()), (Some(1_800_000_000), Some("MONTHLY")));
        assert!(bucket(&info(false, 150, 151)).is_used_up());
        assert!(bucket(&info(false, 0, 0)).is_used_up());
        let free = bucket(&info(true, 0, 5));
        assert!(!free.is_used_up() && free.unlimited && free.limit.is_none());
    }

    #[test]
    fn models_that_are_switched_off_are_left_out() {
        let choices = json!({ "defaultId": "auto", "choices": [{ "id": "auto" }, { "id": "gpt-5 (high reasoning)", "disableReason": null },
            { "id": "claude-4-opus", "disableReason": "REQUIRES_UPGRADE" }, { "id": "auto" }] });
        let workspace = json!({ "featureModelChoice": { "agentMode": choices } });
        let models = read_models(&answer(&json!({ "workspaces": [workspace] }))).unwrap();
        assert_eq!(models, ["auto", "gpt-5 (high reasoning)"]);
    }

    #[test]
    fn refusals_keep_their_words() {
        let gone = read_quota(&json!({ "errors": [{ "message": "User not in context: Not found" }] })).unwrap_err();
        assert_eq!(gone.class, FaultClass::AccountBroken);
        let facing = json!({ "data": { "user": { "__typename": "UserFacingError", "error": { "message": "no" } } } });
        assert_eq!(read_models(&facing).unwrap_err().message, "no");
        assert!(read_quota(&json!({})).is_err());
    }

    #[test]
    fn a_question_names_itself_and_who_asks() {
        let header = |name: &str| (name == "x-warp-os-name").then(|| "Linux".to_owned());
        let body = Question::Quota.body(&header);
        assert_eq!(body["operationName"], "GetRequestLimitInfo");
        assert!(body["query"].as_str().unwrap().contains("requestsUsedSinceLastRefresh"));
        let context = &body["variables"]["requestContext"];
        assert_eq!(
            (&context["osContext"]["name"], &context["clientContext"]["version"]),
            (&json!("Linux"), &Value::Null)
        );
    }
}
