//! `polyport notifications`: messages that were sent to other programs, and trying an address.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;

use super::crud::{self, Kind, List};
use crate::args::Args;
use crate::gateway::{self, Aim};

static KIND: Kind = Kind {
    word: "notification",
    list: "notifications",
    command: "notifications",
    called: None,
    columns: &[
        ("at", "at"),
        ("event", "event"),
        ("webhook", "webhook"),
        ("outcome", "outcome"),
        ("status", "status"),
        ("text", "text"),
        ("message", "message"),
    ],
};

/// What to do with messages to other programs
#[derive(Debug, ClapArgs)]
pub(crate) struct NotificationsArgs {
    #[command(subcommand)]
    what: Option<Notifications>,
}

#[derive(Debug, Subcommand)]
enum Notifications {
    /// List the last messages, the newest first
    List(List),
    /// Send a message to one address, to see whether it arrives
    Test {
        /// Its name in `notifications.webhooks`
        webhook: String,
    },
}

pub(crate) fn run(args: &Args, what: &NotificationsArgs) -> Result<ExitCode> {
    let list = Notifications::List(List::default());
    match what.what.as_ref().unwrap_or(&list) {
        Notifications::List(which) => gateway::run(args, Aim::Look, async |gateway| {
            crud::list(args, gateway, &KIND, which).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Notifications::Test { webhook } => gateway::run(args, Aim::Change, async |gateway| {
            let sent = gateway.post("notifications/test", &json!({ "webhook": webhook })).await?;
            let good = sent["outcome"] == "delivered";
            let words = match sent["message"].as_str() {
                Some(why) if !good => format!("`{webhook}` did not take it: {why}"),
                _ => format!("`{webhook}` took it"),
            };
            crud::done(args, &words, &sent);
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
    }
}
