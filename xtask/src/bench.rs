//! `cargo xtask bench`.

use anyhow::Result;

use crate::shell;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the criterion benchmarks of the codecs.
pub(crate) fn run(_args: &Args) -> Result<()> {
    shell::run("cargo", &["bench", "--package", "polyport-protocol"])
}
