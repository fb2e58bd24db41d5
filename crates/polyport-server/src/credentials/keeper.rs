//! Where new tokens go, and what a refresh shows about an account.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Weak;

use parking_lot::Mutex;
use polyport_provider::auth::{Keep, RefreshError, SaveError, Tokens, TokensFile};
use polyport_store::Lease;
use polyport_types::{Secret, Text};

use super::Credentials;
use crate::tasks;

/// One account's keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) credentials: Weak<Credentials>,
    pub(super) provider: Text,
    pub(super) id: Text,
    /// Names the tokens it was declared with.
    pub(super) root: Text,
    pub(super) file: Option<PathBuf>,
    /// Held while a refresh runs, where other processes may refresh the account as well.
    pub(super) turn: Mutex<Option<Lease>>,
}

impl Keep for Keeper {
    fn save<'a>(
        &'a self,
        before: &'a Secret,
        tokens: &'a Tokens,
    ) -> Pin<Box<dyn Future<Output = Result<(), SaveError>> + Send + 'a>> {
        Box::pin(async move {
            let Some(path) = self.file.clone() else {
                return match self.credentials.upgrade() {
                    Some(credentials) => credentials.keep_tokens(&self.root, before, tokens).await,
                    None => Err(SaveError("the gateway has stopped".into())),
                };
            };
            let (before, tokens) = (before.clone(), tokens.clone());
            let saved = tasks::off_worker(move || TokensFile::new(path).save(&before, &tokens)).await;
            match saved {
                Some(Ok(())) => Ok(()),
                Some(Err(error)) => Err(SaveError(error.to_string().into())),
                None => Err(SaveError("the writing broke off".into())),
            }
        })
    }

    fn begin<'a>(
        &'a self,
        present: &'a Tokens,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Tokens>, SaveError>> + Send + 'a>> {
        Box::pin(async move {
            let (Some(credentials), None) = (self.credentials.upgrade(), &self.file) else { return Ok(None) };
            let (turn, newest) = credentials.turn(&self.root).await?;
            *self.turn.lock() = turn;
            Ok(newest.filter(|newest| newest.refresh != present.refresh || newest.access != present.access))
        })
    }

    fn end(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let turn = self.turn.lock().take();
            if let (Some(credentials), Some(turn)) = (self.credentials.upgrade(), turn) {
                credentials.end_turn(turn).await;
            }
        })
    }

    fn refreshed(&self) {
        tracing::info!(provider = %self.provider, account = %self.id, "access token refreshed");
        self.with_place(|roster, index| roster.set_valid(index));
    }

    fn failed(&self, error: &RefreshError) {
        tracing::warn!(provider = %self.provider, account = %self.id, %error, "access token not refreshed");
        if let RefreshError::Rejected { .. } = error {
            self.with_place(|roster, index| roster.set_invalid(index, error.to_string()));
        }
    }
}

impl Keeper {
    fn with_place(&self, change: impl FnOnce(&polyport_routing::Roster, usize)) {
        let Some(credentials) = self.credentials.upgrade() else { return };
        let fleet = credentials.fleet();
        let Some(health) = fleet.provider(&self.provider) else { return };
        if let Some(index) = health.roster().find(&self.id) {
            change(health.roster(), index);
        }
    }
}
