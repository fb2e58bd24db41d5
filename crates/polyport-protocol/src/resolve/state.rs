//! State kept by a server. What Polyport itself keeps was put into the request before.

use polyport_types::{LossCode, Protocol, Request};

use super::Job;

/// Refuses references to state that the target does not hold.
pub(super) fn check(job: &mut Job<'_>, request: &mut Request) {
    if keeps(job) {
        return;
    }
    let state = &mut request.state;
    let missing = [
        ("/previous_response_id", state.previous_response_id.take().is_some(), "the provider keeps no answers"),
        ("/conversation", state.conversation.take().is_some(), "the provider keeps no conversations"),
        ("/background", state.background.take() == Some(true), "the provider does not answer in the background"),
    ];
    for (path, set, detail) in missing {
        if set {
            job.losses.error(LossCode::StateUnsupported, path, detail);
        }
    }
}

/// Whether the target may hold what the request refers to.
pub(super) fn keeps(job: &Job<'_>) -> bool {
    job.same && job.to(Protocol::Responses) && job.profile().stateful
}

/// Whether history that the client did not send continues at the target.
pub(super) fn continues(job: &Job<'_>, request: &Request) -> bool {
    keeps(job) && (request.state.previous_response_id.is_some() || request.state.conversation.is_some())
}
