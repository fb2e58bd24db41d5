//! The only place that knows what the target model can do.

use polyport_types::{Losses, Request, Signature};

use crate::carrier::CarrierKey;
use crate::{Restore, Target};

/// What `resolve` may look up.
pub struct ResolveContext<'a> {
    /// Opens carriers.
    pub carrier: Option<&'a CarrierKey>,
    /// Signatures kept for clients that cannot carry them, by tool call id.
    pub signatures: &'a dyn Fn(&str) -> Vec<Signature>,
}

/// Rewrites a request into what `target` can do, and says how to undo on the way back what concerns tools and answer shape.
/// What is lost is appended to `losses`; an entry of severity `Error` means that content cannot be carried.
#[must_use]
pub fn resolve(
    _target: &Target,
    request: Request,
    _context: &ResolveContext<'_>,
    _losses: &mut Losses,
) -> (Request, Restore) {
    (request, Restore::default())
}
