//! `polyport schema`.

use std::process::ExitCode;

use anyhow::Result;

use crate::out;

pub(crate) fn run() -> Result<ExitCode> {
    out::json(&polyport_server::config::reference::json_schema());
    Ok(ExitCode::SUCCESS)
}
