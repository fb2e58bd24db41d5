//! `cargo xtask check`.

use anyhow::{Result, bail};

use crate::shell;

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Checks licences, bans and advisories.
pub(crate) fn run(_args: &Args) -> Result<()> {
    if !shell::exists("cargo-deny") {
        if !shell::may_install() {
            bail!("cargo-deny is missing; install it with: cargo install cargo-deny");
        }
        shell::run("cargo", &["install", "--locked", "cargo-deny"])?;
    }
    shell::run("cargo", &["deny", "check", "licenses", "bans", "sources"])
}
