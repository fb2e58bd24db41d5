//! `cargo xtask check`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{models, proto, shell};

/// What to check.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also look for published vulnerabilities, which needs the network
    #[arg(long)]
    advisories: bool,
}

/// The tests that compare generated files with what they are made from: package, target, filter.
const GENERATED: [(&str, &[&str], &str); 4] = [
    // docs/CONFIGURATION.md and polyport.schema.json
    ("polyport-server", &["--lib"], "config::reference"),
    // docs/guide/en/cli.md
    ("polyport", &["--bin", "polyport"], "reference"),
    // docs/TRANSLATION.md
    ("polyport-protocol", &["--test", "it"], "matrix"),
    // docs/KNOWN_BUGS.md
    ("polyport-testkit", &["--test", "it"], "known_bugs"),
];

/// Checks generated files, licences, bans and sources of dependencies.
pub(crate) fn run(args: &Args) -> Result<()> {
    for (package, target, filter) in GENERATED {
        let mut all = vec!["test", "--locked", "--quiet", "--package", package];
        all.extend(target);
        all.push(filter);
        shell::run("cargo", &all)?;
    }
    if !proto::is_current()? {
        bail!("the Rust form of Warp's definitions is old: run `cargo xtask proto`");
    }
    let shared = Path::new(models::SHARED);
    if shared.is_dir() {
        models::run(&models::Args::check(shared))?;
    } else {
        println!(
            "{} is absent: the tables of model facts and prices are not compared with their sources",
            models::SHARED
        );
    }
    deny(args)
}

fn deny(args: &Args) -> Result<()> {
    if !shell::exists("cargo-deny") {
        if !shell::may_install() {
            bail!("cargo-deny is missing; install it with: cargo install --locked cargo-deny");
        }
        shell::run("cargo", &["install", "--locked", "cargo-deny"])?;
    }
    // What needs no database of others comes first and counts without it.
    shell::run("cargo", &["deny", "--locked", "check", "licenses", "bans", "sources"])?;
    if !args.advisories {
        println!("published vulnerabilities were not looked for: that needs the network, ask for it with --advisories");
        return Ok(());
    }
    shell::run("cargo", &["deny", "--locked", "check", "advisories"])
        .context("a dependency has a published vulnerability, or the database of these (a git repository) was not reached: see above")
}
