//! `cargo xtask fuzz`.

use anyhow::{Result, bail};

use crate::shell;

/// What to fuzz.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 120)]
    seconds: u32,
}

/// Runs every fuzz target for a while.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !shell::exists("cargo-fuzz") {
        if !shell::may_install() {
            bail!("cargo-fuzz is missing; install it with: cargo install cargo-fuzz");
        }
        shell::run("cargo", &["install", "--locked", "cargo-fuzz"])?;
    }
    let mut targets: Vec<String> = std::fs::read_dir("fuzz/fuzz_targets")?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(ToOwned::to_owned))
        .collect();
    targets.sort();
    for target in targets {
        println!("── {target}");
        shell::run(
            "cargo",
            &["+nightly", "fuzz", "run", &target, "--", &format!("-max_total_time={}", args.seconds), "-max_len=65536"],
        )?;
    }
    Ok(())
}
