//! Limits that requests were charged to lately, for whoever tells that they come near.

use std::collections::HashMap;

use parking_lot::Mutex;
use polyport_accounting::Limit;
use polyport_types::Pattern;

use crate::directory::quotas::{Quota, Subject};

/// More are not remembered between two looks.
const MOST: usize = 4096;

/// Which limits.
#[derive(Debug, Default)]
pub(crate) struct Touched(Mutex<HashMap<(Subject, Option<Pattern>), Use>>);

/// What happened to the limits of a subject.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) quota: Quota,
    /// These refused somebody.
    pub(crate) refused: Vec<Limit>,
}

impl Touched {
    /// A request is charged to these.
    pub(crate) fn charge<'q>(&self, quotas: impl Iterator<Item = &'q Quota>) {
        let mut all = self.0.lock();
        for quota in quotas {
            note(&mut all, quota);
        }
    }

    /// A limit refused somebody.
    pub(crate) fn refuse(&self, quota: &Quota, limit: Limit) {
        if let Some(found) = note(&mut self.0.lock(), quota)
            && !found.refused.contains(&limit)
        {
            found.refused.push(limit);
        }
    }

    /// All of them since the last time.
    pub(crate) fn take(&self) -> Vec<Use> {
        std::mem::take(&mut *self.0.lock()).into_values().collect()
    }
}

fn note<'a>(all: &'a mut HashMap<(Subject, Option<Pattern>), Use>, quota: &Quota) -> Option<&'a mut Use> {
    let whose = (quota.subject.clone(), quota.models.clone());
    if all.len() >= MOST && !all.contains_key(&whose) {
        return None;
    }
    Some(all.entry(whose).or_insert_with(|| Use { quota: quota.clone(), refused: Vec::new() }))
}
