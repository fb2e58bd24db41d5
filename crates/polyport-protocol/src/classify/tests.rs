//! What errors of real providers mean.

use super::*;

fn class(status: u16, body: &str) -> FaultClass {
    classify_body(Some(status), body).class
}

#[test]
fn classes_by_meaning() {
    use FaultClass as C;
    let table: [(u16, &str, C); 38] = [
        (400, r#"{"error":{"message":"bad","type":"invalid_request_error","param":"x","code":null}}"#, C::BadRequest),
        (
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            C::ContextTooLong,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 5 maximum"}}"#,
            C::ContextTooLong,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access"}}"#,
            C::AccountBroken,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"x","details":{"error_code":"organization_on_hold"}}}"#,
            C::AccountBroken,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}"#,
            C::AuthInvalid,
        ),
        (400, r#"{"error":{"message":"no","code":"tool_use_failed","failed_generation":"x"}}"#, C::ToolUseFailed),
        (400, r#"{"error":{"message":"filtered","code":"content_filter","innererror":{}}}"#, C::PolicyRefused),
        (400, r#"{"error":{"message":"The model x does not exist","code":"model_not_found"}}"#, C::ModelNotFound),
        (401, r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#, C::AuthInvalid),
        (
            402,
            r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#,
            C::AccountBroken,
        ),
        (403, r#"{"error":{"message":"no"}}"#, C::PermissionDenied),
        (404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, C::ModelNotFound),
        (413, "<html>413</html>", C::TooLarge),
        (
            422,
            r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]},"type":"invalid_request_error"}"#,
            C::BadRequest,
        ),
        (
            429,
            r#"{"error":{"message":"Rate limit reached. Please try again in 1.2s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            C::RateLimited,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            C::AccountBroken,
        ),
        (
            429,
            r#"{"error":{"type":"usage_limit_reached","message":"limit","resets_in_seconds":3600}}"#,
            C::RateLimitedWindow,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"No capacity","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"MODEL_CAPACITY_EXHAUSTED"}]}}"#,
            C::CapacityModel,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]}}"#,
            C::RateLimitedWindow,
        ),
        (429, r#"[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}]"#, C::RateLimited),
        (
            429,
            r#"{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. * Quota exceeded for metric: x, limit: 10\nPlease retry in 34.07s.","status":"RESOURCE_EXHAUSTED"}}"#,
            C::RateLimited,
        ),
        (
            429,
            r#"{"error":{"code":429,"message":"* Quota exceeded for metric: x, limit: 0, model: gemini-3-pro","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}"#,
            C::PermissionDenied,
        ),
        (
            429,
            r#"{"error":{"message":"Your account is not active, please check your billing details on our website.","code":"billing_not_active"}}"#,
            C::AccountBroken,
        ),
        (
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"billing_policy: Extra inputs are not permitted"}}"#,
            C::BadRequest,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid schema for function 'get_billing_info'","code":"invalid_function_parameters"}}"#,
            C::BadRequest,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
            C::PermissionDenied,
        ),
        (500, r#"{"error":{"message":"oops","type":"server_error"}}"#, C::ServerError),
        (500, "", C::ServerError),
        (502, "<html>bad gateway</html>", C::ServerError),
        (503, r#"{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#, C::Overloaded),
        (504, "", C::Timeout),
        (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, C::Overloaded),
        (498, "", C::Overloaded),
        (
            400,
            r#"{"error":{"code":400,"message":"{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}","status":"INVALID_ARGUMENT"}}"#,
            C::Overloaded,
        ),
        (307, "", C::UpstreamProtocol),
        (418, "teapot", C::BadRequest),
        (599, "[[[[", C::ServerError),
    ];
    for (status, body, expected) in table {
        assert_eq!(class(status, body), expected, "{status} {body}");
    }
}

#[test]
fn errors_inside_a_success_are_classed_by_their_own_words() {
    use FaultClass as C;
    for (body, expected) in [
        (r#"{"error":{"code":429,"message":"slow down"},"choices":[]}"#, C::RateLimited),
        (r#"{"code":"The service is currently unavailable","error":"try later"}"#, C::Overloaded),
        (r#"{"error":{"type":"server_error","message":"boom","code":500}}"#, C::ServerError),
        (r#"{"error":"text"}"#, C::ServerError),
        (r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, C::Overloaded),
        (r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, C::RateLimited),
    ] {
        assert_eq!(classify_body(None, body).class, expected, "{body}");
    }
}

#[test]
fn reads_messages_of_every_shape() {
    for (body, message) in [
        (r#"{"error":{"message":"a"}}"#, "a"),
        (r#"{"error":"b"}"#, "b"),
        (r#"{"message":"c"}"#, "c"),
        (r#"{"detail":"d"}"#, "d"),
        (r#"{"detail":[{"loc":["body","x"],"msg":"e","type":"t"}]}"#, "x: e"),
        (
            r#"{"error":{"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"inner\"}}"}}}"#,
            "Provider returned error: inner",
        ),
        ("plain text", "plain text"),
        ("", "the provider answered with status 500 and an empty body"),
        ("<!doctype html>", "the provider answered with status 500 and an HTML page"),
        ("{}", "the provider answered with status 500 without a message"),
    ] {
        assert_eq!(classify_body(Some(500), body).message, message);
    }
    let fault = classify_body(Some(422), r#"{"message":{"detail":[{"loc":["body","seed"],"msg":"no"}]}}"#);
    assert_eq!(fault.param.as_deref(), Some("seed"));
}

#[test]
fn waits_in_every_form() {
    // Wed, 21 Oct 2026 07:28:00 GMT
    let now = 1_792_567_680 - 90;
    let wait = |pairs: &[(&str, &str)]| {
        let header = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        retry_after(&header, now).map(|wait| wait.as_secs_f64())
    };
    assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]), Some(90.0));
    assert_eq!(wait(&[("retry-after-ms", "1500")]), Some(1.5));
    assert_eq!(wait(&[("retry-after", "2.5")]), Some(2.5));
    assert_eq!(wait(&[("retry-after", "-1")]), None);
    assert_eq!(wait(&[("retry-after", "999999999")]), None);
    assert_eq!(wait(&[("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-remaining-tokens", "0")]), Some(360.0));
    assert_eq!(wait(&[("x-ratelimit-reset-tokens", "6m0s"), ("x-ratelimit-remaining-tokens", "5")]), None);
    assert_eq!(wait(&[("anthropic-ratelimit-requests-reset", "2026-10-21T07:28:00Z")]), Some(90.0));
    assert_eq!(wait(&[("x-ratelimit-reset", "1792567680000")]), Some(90.0));
    assert_eq!(wait(&[("x-ratelimit-reset", "1792567680")]), Some(90.0));
    assert_eq!(wait(&[]), None);
    // A provider whose clock is an hour behind, and one whose date makes no sense.
    let behind = ("date", "Wed, 21 Oct 2026 06:26:00 GMT");
    assert_eq!(wait(&[behind, ("retry-after", "Wed, 21 Oct 2026 06:28:00 GMT")]), Some(120.0));
    assert_eq!(wait(&[behind, ("x-ratelimit-reset", "1792564080")]), Some(120.0));
    assert_eq!(wait(&[behind, ("retry-after", "30")]), Some(30.0));
    assert_eq!(wait(&[("date", "yesterday"), ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]), Some(90.0));
    for (text, seconds) in [
        ("Please try again in 1.57s. Visit", Some(1.57)),
        ("Please retry in 900ms", Some(0.9)),
        ("Please retry after 20 seconds.", Some(20.0)),
        ("try again in 6m0s", Some(360.0)),
        ("try again later", None),
    ] {
        let wait = wait_in_text(text).map(|wait| (wait.as_secs_f64() * 1000.0).round() / 1000.0);
        assert_eq!(wait, seconds, "{text}");
    }
}

#[test]
fn a_quota_of_the_day_waits_for_the_next() {
    let body = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"x/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},
        {"@type":"x/google.rpc.RetryInfo","retryDelay":"34s"}]}}"#;
    for (now, seconds) in [(0, 8 * 3600), (8 * 3600 - 60, 60), (8 * 3600, 86_400), (1_792_567_680, 1920)] {
        let answer = ProviderAnswer { status: 429, header: &|_| None, body: Bytes::from_static(body.as_bytes()), now };
        let fault = classify(&answer);
        assert_eq!(fault.class, FaultClass::RateLimitedWindow);
        assert_eq!(fault.retry_after, Some(Duration::from_secs(seconds)), "{now}");
    }
}

#[test]
fn a_reset_may_be_named_in_the_body() {
    let now = 1_800_000_000;
    let wait = |body: &str| {
        let header = |_: &str| None;
        let answer = ProviderAnswer { status: 429, header: &header, body: Bytes::from(body.to_owned()), now };
        let fault = classify(&answer);
        (fault.class, fault.retry_after.map(|after| after.as_secs()))
    };
    let window = FaultClass::RateLimitedWindow;
    let plan =
        r#"{"error":{"type":"usage_limit_reached","message":"limit","plan_type":"plus","resets_at":1800086400}}"#;
    assert_eq!(wait(plan), (window, Some(86_400)));
    let days = r#"{"error":{"type":"usage_limit_reached","message":"limit","resets_in_seconds":345600}}"#;
    assert_eq!(wait(days), (window, Some(345_600)));
    let free = r#"{"error":{"code":429,"message":"free models","metadata":{"headers":{"X-RateLimit-Reset":"1800000042000"}}}}"#;
    assert_eq!(wait(free), (FaultClass::RateLimited, Some(42)));
    let past = r#"{"error":{"code":429,"message":"free models","metadata":{"headers":{"X-RateLimit-Reset":"7"}}}}"#;
    assert_eq!(wait(past), (FaultClass::RateLimited, None));
}

#[test]
fn a_limit_of_one_model_is_told_from_one_of_the_account() {
    let quotas = |ids: &[&str]| {
        let violations: Vec<_> = ids.iter().map(|id| serde_json::json!({"quotaId": id})).collect();
        let body = serde_json::json!({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "x/google.rpc.QuotaFailure", "violations": violations}]}});
        classify_body(Some(429), &body.to_string()).of_model
    };
    let (of_model, of_project) =
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "GenerateRequestsPerDayPerProject");
    assert!(quotas(&[of_model]));
    assert!(!quotas(&[of_project]));
    assert!(!quotas(&[of_model, of_project]), "the account is out, too");
    assert!(!quotas(&[]));

    let windows = |rejected: &'static [&str]| {
        let header = move |name: &str| {
            let window = name.strip_prefix("anthropic-ratelimit-unified-")?.strip_suffix("-status")?;
            Some(if rejected.contains(&window) { "rejected" } else { "allowed" }.to_owned())
        };
        let answer = ProviderAnswer { status: 429, header: &header, body: Bytes::from_static(b"{}"), now: 0 };
        classify(&answer).of_model
    };
    assert!(windows(&["7d_oi"]));
    assert!(!windows(&["7d_oi", "7d"]));
    assert!(!windows(&["5h"]));
}

#[test]
fn google_names_the_wrong_field() {
    let body = r#"{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents","description":"x"}]}]}}"#;
    assert_eq!(classify_body(Some(400), body).param.as_deref(), Some("contents"));
}

#[test]
fn a_long_wait_is_a_window() {
    let header = |name: &str| (name == "retry-after").then(|| "4000".to_owned());
    let answer = ProviderAnswer { status: 429, header: &header, body: Bytes::from_static(b"{}"), now: 0 };
    let fault = classify(&answer);
    assert_eq!(fault.class, FaultClass::RateLimitedWindow);
    assert_eq!(fault.retry_after, Some(Duration::from_secs(4000)));
}

#[test]
fn secrets_are_masked() {
    let masked = mask("Incorrect key sk-proj-abcdef123456 for joe@example.com (Bearer abc.def), key=AIzaSy123");
    assert_eq!(masked, "Incorrect key [redacted] for [redacted] (Bearer [redacted]), [redacted]");
    assert_eq!(mask("model gpt-5 is fine"), "model gpt-5 is fine");
}

#[test]
fn code_assist_names_the_model_the_reset_and_the_remedy() {
    let error = |reason: &str, metadata: &str| {
        format!(
            r#"[{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{{"@type":
            "type.googleapis.com/google.rpc.ErrorInfo","reason":"{reason}","domain":"cloudcode-pa.googleapis.com","metadata":{metadata}}}]}}}}]"#
        )
    };
    let none = |_: &str| None;
    let read = |status: u16, body: String| {
        classify(&ProviderAnswer { status, header: &none, body: Bytes::from(body), now: 1_800_000_000 })
    };
    let short = read(429, error("RATE_LIMIT_EXCEEDED", r#"{"model":"g","quotaResetDelay":"2.5s"}"#));
    assert_eq!(
        (short.class, short.retry_after, short.of_model),
        (FaultClass::RateLimited, Some(Duration::from_millis(2500)), true)
    );
    let long = read(429, error("QUOTA_EXHAUSTED", r#"{"quotaResetTimeStamp":"2027-01-15T09:00:00Z"}"#));
    assert_eq!((long.class, long.retry_after), (FaultClass::RateLimitedWindow, Some(Duration::from_secs(3600))));
    let verify = read(403, error("VALIDATION_REQUIRED", r#"{"validation_link":"https://accounts.example/verify"}"#));
    assert_eq!(verify.class, FaultClass::AccountBroken);
    assert!(verify.message.ends_with("mend it at https://accounts.example/verify"), "{}", verify.message);
    let linked = r#"{"error":{"code":403,"message":"m","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo",
        "reason":"VALIDATION_REQUIRED"},{"@type":"type.googleapis.com/google.rpc.Help","links":[{"url":"https://a.example/"}]}]}}"#;
    assert!(read(403, linked.to_owned()).message.ends_with("https://a.example/"));
}

#[test]
fn code_assist_limits_by_the_minute_by_capacity_and_by_words() {
    use FaultClass as C;
    let none = |_: &str| None;
    let read = |status: u16, body: &str| {
        classify(&ProviderAnswer { status, header: &none, body: Bytes::from(body.to_owned()), now: 1_800_000_000 })
    };
    let seconds = |fault: &Fault| fault.retry_after.map(|after| after.as_secs_f64());
    // A limit by the minute without a time is over in a minute; with one it is over then.
    let minute = |more: &str| {
        format!(
            r#"{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{{"@type":
            "type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"RequestsPerMinutePerProject"}}]}}{more}]}}}}"#
        )
    };
    let fault = read(429, &minute(""));
    assert_eq!((fault.class, seconds(&fault)), (C::RateLimited, Some(60.0)));
    let fault = read(429, &minute(r#",{"@type":"x/google.rpc.RetryInfo","retryDelay":"4s"}"#));
    assert_eq!(seconds(&fault), Some(4.0));
    let by_metadata = r#"{"error":{"code":429,"message":"m","details":[{"@type":"x/google.rpc.ErrorInfo",
        "reason":"RATE_LIMIT_EXCEEDED","metadata":{"quota_limit":"RequestsPerMinutePerUser"}}]}}"#;
    assert_eq!(seconds(&read(429, by_metadata)), Some(60.0));
    // An error may be nested as text, and hold commas too many.
    let inner =
        r#"{"error":{"code":429,"message":"Your quota will reset after 1h2m3s.",,"status":"RESOURCE_EXHAUSTED"}}"#;
    let mut nested = inner.to_owned();
    for _ in 0..5 {
        nested = serde_json::json!({"error": {"message": nested}}).to_string();
    }
    let fault = read(429, &nested);
    assert_eq!((fault.message.as_str(), seconds(&fault)), ("Your quota will reset after 1h2m3s.", Some(3723.0)));
    assert_eq!(fault.class, C::RateLimitedWindow);
    for (status, message, expected) in [
        (429, "Quota exhausted for this tier", C::RateLimitedWindow),
        (503, "No capacity available for model gemini-3-pro", C::CapacityModel),
        (429, "You have exhausted your capacity on this model. Your quota will reset after 0s.", C::CapacityModel),
        (503, "Quota exceeded, limit: 0", C::PermissionDenied),
        (429, "Resource has been exhausted (e.g. check quota).", C::RateLimited),
        (400, "`quota exhausted` is no tool", C::BadRequest),
        (499, "cancelled", C::ServerError),
    ] {
        let body = serde_json::json!({"error": {"code": status, "message": message, "status": "X"}}).to_string();
        assert_eq!(read(status, &body).class, expected, "{message}");
    }
    let doubled = r#"{"a":"x,,\"y,,","b":1, ,"c":2}"#;
    assert_eq!(without_doubled_commas(doubled).as_deref(), Some(r#"{"a":"x,,\"y,,","b":1, "c":2}"#));
    assert_eq!(without_doubled_commas(r#"{"a":"\\",""b":2}"#), None);
}
