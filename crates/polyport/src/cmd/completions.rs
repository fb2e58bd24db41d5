//! `polyport completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap_complete::Shell;

use crate::args::Args;

pub(crate) fn run(shell: Shell) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::documented(), "polyport", &mut script);
    crate::out::line(String::from_utf8_lossy(&script).trim_end());
    Ok(ExitCode::SUCCESS)
}
