//! `polyport status`.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Args;
use crate::gateway::{self, Aim};
use crate::out;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    gateway::run(args, Aim::Look, async |gateway| {
        let mut status = gateway.get("status").await?;
        status["running"] = gateway.is_running().into();
        status["url"] = gateway.url().await?.into();
        if args.json {
            out::json(&status);
        } else {
            out::members(&status, args.quiet);
        }
        Ok(ExitCode::SUCCESS)
    })
}
