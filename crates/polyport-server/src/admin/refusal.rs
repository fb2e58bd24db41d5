//! Why there is no answer, as a problem document (RFC 9457).

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use polyport_protocol::encode_fault;
use polyport_types::{ClientProtocol, Fault};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::body::Body;
use crate::id::RequestId;
use crate::identity::access::Denied;

/// What goes wrong by Polyport's own judgement: its code, a title, and what to do about it.
pub(super) const CODES: [(&str, &str, &str); 33] = [
    ("bad_request", "The request is not understood", "Mend what `errors` names, and send it again."),
    (
        "invalid",
        "What is declared has mistakes",
        "Each of `errors` says where, what is wrong, and what to do about it.",
    ),
    (
        "admin_key_needed",
        "An admin key is needed",
        "Send one of `access.admin_keys` as `Authorization: Bearer` or `x-api-key`.",
    ),
    ("sign_in_failed", "Name and password do not fit", "Try again; an admin can set another password."),
    ("wrong_password", "This is not your password", "Try again; an admin can set another one."),
    ("password_change_needed", "Another password is needed first", "Choose one: `PUT /admin/api/session/password`."),
    ("csrf_needed", "A header is missing", "Send the `csrf` of `GET /admin/api/session` as `x-polyport-csrf`."),
    ("foreign_page", "The request comes from another site", "Open the admin page itself."),
    ("not_allowed", "Your role does not go so far", "Ask an admin."),
    ("too_many_attempts", "Too many wrong keys or passwords", "Wait as long as `Retry-After` says."),
    ("busy", "Too many passwords are being looked at", "Try again in a moment."),
    ("wrong_code", "This is not the code", "Read it from the terminal that the gateway was started in."),
    ("no_setup_code", "There is no code", "Start the gateway again, or use `polyport users set-password`."),
    ("no_user", "A key is no user", "Sign in as a user."),
    ("last_admin", "Nobody else could rule the gateway", "Make another admin who can sign in first."),
    ("sign_in_refused", "The sign-in elsewhere did not lead here", "See the detail; an admin can look into the log."),
    ("no_admin_key", "The admin API is closed", "Set `ADMIN_TOKEN`, or `access.admin_keys` in the configuration file."),
    ("client_key", "This is a key for clients", "Keys of clients do not open the admin API."),
    ("not_found", "There is no such thing", "Look it up in its list."),
    ("method_not_allowed", "The method is not possible here", "`Allow` names those that are."),
    ("taken", "There is one already", "Choose another name, or change the one that is there."),
    ("referenced", "Others need it", "`errors` names them: change or delete them first."),
    ("declared_elsewhere", "It is not declared here", "Change it where it is declared."),
    ("configuration", "The configuration cannot be checked now", "Mend the configuration file."),
    ("stale", "It was changed meanwhile", "Read it again, and send the change with the new `ETag`."),
    ("too_large", "The body is too large", "Split it; `limits.request_body` bounds it."),
    ("unsupported_media_type", "The body is of another type", "Send JSON as `application/json`."),
    ("refresh_failed", "No token was given", "The service of the account refused, or did not answer."),
    ("quota_failed", "No quota was told", "The service of the account refused, or did not answer."),
    ("backup_running", "A copy is under way", "Wait until it is read to its end."),
    ("no_backup", "This database is not copied here", "Copy it with the tools of the server, such as `pg_dump`."),
    ("no_database", "There is no database", "Set `store.url`."),
    ("database_unavailable", "The database is away", "What is in force stays so; try again when it is back."),
];

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ProblemDetail")]
pub(super) struct Flaw {
    /// The member of the body, as a JSON Pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pointer: Option<String>,
    /// The parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parameter: Option<String>,
    /// The header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) header: Option<String>,
    /// What is wrong with it.
    pub(super) detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) remedy: String,
    /// What is in the way: what kind of thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// What is in the way: its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// What is in the way: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
}

/// A problem (RFC 9457).
#[derive(Serialize, JsonSchema)]
pub(super) struct Problem<'a> {
    /// Where its kind is explained.
    #[serde(rename = "type")]
    kind: String,
    /// What kind of problem it is, in a few words.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// What is wrong with this request.
    detail: &'a str,
    /// The id of this request, which the log names, too.
    instance: String,
    /// What kind of problem it is, for programs.
    code: &'a str,
    /// What is wrong with which part of the request.
    errors: &'a [Flaw],
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The methods that are possible.
    pub(super) allow: Option<String>,
    /// What is wrong with which part of the request.
    pub(super) errors: Vec<Flaw>,
    /// When to try again.
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allow: None, errors: Vec::new(), retry_after: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A member of the body is wrong, by its path: `targets[0].target`.
    pub(super) fn member(path: &str, what: impl Into<String>) -> Self {
        let (pointer, detail) = (Some(pointer(path)), what.into());
        let refusal = Self::bad_request(format!("{path}: {detail}"));
        Self { errors: vec![Flaw { pointer, detail, ..Flaw::default() }], ..refusal }
    }

    /// A parameter of the query is wrong.
    pub(super) fn parameter(name: &str, what: impl Into<String>) -> Self {
        let (parameter, detail) = (Some(name.to_owned()), what.into());
        let refusal = Self::bad_request(format!("{name}: {detail}"));
        Self { errors: vec![Flaw { parameter, detail, ..Flaw::default() }], ..refusal }
    }

    /// A header is wrong.
    pub(super) fn header(name: &str, what: impl Into<String>) -> Self {
        let (header, detail) = (Some(name.to_owned()), what.into());
        let refusal = Self::bad_request(format!("{name}: {detail}"));
        Self { errors: vec![Flaw { header, detail, ..Flaw::default() }], ..refusal }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// It has another revision than the request names.
    pub(super) fn stale(found: i64) -> Self {
        let words = format!("it was changed meanwhile: it has revision {found}; read it again");
        Self::new(StatusCode::PRECONDITION_FAILED, "stale", words)
    }

    /// As an answer.
    pub(super) fn answer(&self, id: &RequestId) -> Response<Body> {
        let title = CODES.iter().find(|(code, ..)| *code == self.code).map(|(_, title, _)| *title);
        let problem = Problem {
            kind: format!("/docs#problem-{}", self.code),
            title: title.or_else(|| self.status.canonical_reason()).unwrap_or("A problem"),
            status: self.status.as_u16(),
            detail: &self.message,
            instance: id.header(),
            code: self.code,
            errors: &self.errors,
        };
        self.written(self.status, &serde_json::to_value(problem).unwrap_or_default(), "application/problem+json")
    }

    /// With a body.
    pub(super) fn written(&self, status: StatusCode, body: &Value, kind: &'static str) -> Response<Body> {
        let mut response = super::written(status, body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allowed) = self.allow.as_deref().and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(ALLOW, allowed);
        }
        let usual = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(5));
        if let Some(wait) = self.retry_after.or(usual) {
            // Rounded up: who comes too early waits longer.
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)));
        }
        response
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        let Denied { status, code, message, retry_after } = denied;
        Self { retry_after, ..Self::new(status, code, message) }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = encode_fault(ClientProtocol::Chat, &fault, "").status;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, fault.class.as_str(), fault.message)
    }
}

/// `#/targets/0/target` of `targets[0].target`.
pub(super) fn pointer(path: &str) -> String {
    let mut pointer = String::from("#");
    for step in path.replace('[', ".").replace(']', "").split('.').filter(|step| !step.is_empty()) {
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_pointer() {
        for (path, pointer_of_it) in
            [("name", "#/name"), ("targets[0].target", "#/targets/0/target"), ("a/b~c", "#/a~1b~0c"), ("", "#")]
        {
            assert_eq!(pointer(path), pointer_of_it);
        }
    }
}
