//! Cache markers where there are none. Lifetimes and counts are the business of those who write markers.

use polyport_types::{LossAction, LossCode, Part, PartKind, Protocol, Request, Tool};

use super::Job;

/// Takes markers out that the target would refuse, with one entry in the report for all of them.
pub(super) fn rewrite(job: &mut Job<'_>, request: &mut Request) {
    let taken = match job.target.protocol {
        // Counted where they are written, together with the limit on their number.
        Protocol::Messages => true,
        Protocol::Gemini => false,
        Protocol::Chat | Protocol::Responses => job.capabilities().cache_markers || job.same,
    };
    let mut dropped = 0;
    if !taken {
        for instruction in &mut request.instructions {
            dropped += clear(&mut instruction.parts);
        }
        for message in &mut request.messages {
            dropped += clear(&mut message.parts);
        }
        for tool in &mut request.tools {
            let mark = match tool {
                Tool::Function(tool) => tool.cache.take(),
                Tool::Server(tool) => tool.cache.take(),
                Tool::Custom(_) => None,
            };
            dropped += usize::from(mark.is_some());
        }
    } else {
        for message in &mut request.messages {
            move_off_reasoning(&mut message.parts);
        }
    }
    if dropped > 0 {
        let detail = format!("{dropped} markers");
        job.losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, "/cache_control", detail);
    }
}

fn clear(parts: &mut [Part]) -> usize {
    let mut count = 0;
    for part in parts {
        count += usize::from(part.cache.take().is_some());
        if let PartKind::ToolResult(result) = &mut part.kind {
            count += clear(&mut result.parts);
        }
    }
    count
}

/// Reasoning carries no marker; the part before it does as well.
fn move_off_reasoning(parts: &mut [Part]) {
    let mut before: Option<usize> = None;
    for at in 0..parts.len() {
        let Some(part) = parts.get_mut(at) else { return };
        if !matches!(part.kind, PartKind::Reasoning(_)) {
            before = Some(at);
        } else if let Some(mark) = part.cache.take()
            && let Some(before) = before.and_then(|before| parts.get_mut(before))
        {
            before.cache.get_or_insert(mark);
        }
    }
}
