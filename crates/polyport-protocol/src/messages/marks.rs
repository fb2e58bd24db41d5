//! Cache markers: at most four, the longest lifetime first, none where the API refuses them.

use polyport_types::{CacheMark, CacheTtl, LossAction, LossCode, Losses};

use super::turns::{Block, Kind, Turn};
use crate::context::Target;

/// How many breakpoints one request may have.
const MAX_MARKS: usize = 4;

/// Brings every marker of a request into what the API takes. `auto` is the breakpoint of the whole request.
pub(super) fn settle(
    target: &Target,
    front: &mut [Option<CacheMark>],
    system: &mut [Block<'_>],
    turns: &mut [Turn<'_>],
    auto: &mut Option<CacheMark>,
    losses: &mut Losses,
) {
    let mut fixed: Vec<&mut Option<CacheMark>> = front.iter_mut().collect();
    collect(system, &mut fixed);
    let mut moving = Vec::new();
    for turn in turns {
        collect(&mut turn.blocks, &mut moving);
    }
    fixed.retain(|mark| mark.is_some());
    if !target.capabilities.cache_markers {
        let count = fixed.len() + moving.len() + usize::from(auto.is_some());
        fixed.into_iter().chain(moving).for_each(|mark| *mark = None);
        *auto = None;
        if count > 0 {
            losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, "/", format!("{count} markers"));
        }
        return;
    }
    let budget = MAX_MARKS - usize::from(auto.is_some());
    let kept = fixed.len().min(budget);
    let surplus = fixed.len() - kept;
    fixed.drain(kept..).for_each(|mark| *mark = None);
    // Tools and instructions change least; of the history its end is worth most.
    let early = moving.len().saturating_sub(budget - kept);
    moving.drain(..early).for_each(|mark| *mark = None);
    if surplus + early > 0 {
        let detail = format!("{} more than {MAX_MARKS}", surplus + early);
        losses.info(LossCode::CacheBreakpointDropped, LossAction::Dropped, "/", detail);
    }
    let all: Vec<_> = fixed.into_iter().chain(moving).chain(std::iter::once(auto)).collect();
    lifetimes(all, losses);
}

/// Lifetimes are 5 minutes and one hour, never shorter than asked, the longer before the shorter.
fn lifetimes(marks: Vec<&mut Option<CacheMark>>, losses: &mut Losses) {
    let mut hour = false;
    for mark in marks.into_iter().rev() {
        let Some(mark) = mark else { continue };
        let asked = mark.ttl;
        if matches!(asked, Some(CacheTtl::Minutes30 | CacheTtl::Hours12 | CacheTtl::Hours24)) {
            mark.ttl = Some(CacheTtl::Hour1);
        }
        hour |= mark.ttl == Some(CacheTtl::Hour1);
        if hour {
            mark.ttl = Some(CacheTtl::Hour1);
        }
        if mark.ttl != asked {
            losses.info(LossCode::CacheTtlChanged, LossAction::Clamped, "/", "lifetime is now 1h");
        }
    }
}

/// The markers of blocks and of the blocks inside results, in the order they are written.
fn collect<'b>(blocks: &'b mut [Block<'_>], marks: &mut Vec<&'b mut Option<CacheMark>>) {
    for block in blocks {
        if let Kind::ToolResult { content, .. } = &mut block.kind {
            marks.extend(content.iter_mut().map(|inner| &mut inner.cache).filter(|mark| mark.is_some()));
        }
        if block.cache.is_some() {
            marks.push(&mut block.cache);
        }
    }
}
