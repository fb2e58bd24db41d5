//! `cargo xtask fuzz`.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// What to fuzz.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, default_value_t = 120)]
    seconds: u32,
    /// Only these targets
    targets: Vec<String>,
}

/// Runs every fuzz target for a while. What the fuzzers find on the way stays below `target/`; the committed corpus and the
/// hand-made bodies are where they begin.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !shell::exists("cargo-fuzz") {
        if !shell::may_install() {
            bail!("cargo-fuzz is missing; install it with: cargo install --locked cargo-fuzz");
        }
        shell::run("cargo", &["install", "--locked", "cargo-fuzz"])?;
    }
    // The sanitizers need the nightly toolchain.
    let nightly = Command::new("cargo").args(["+nightly", "--version"]).output();
    if !nightly.is_ok_and(|output| output.status.success()) {
        if !shell::may_install() {
            bail!("the nightly toolchain is missing; install it with: rustup toolchain install nightly");
        }
        shell::run("rustup", &["toolchain", "install", "nightly", "--profile", "minimal"])?;
    }
    let mut targets = args.targets.clone();
    if targets.is_empty() {
        targets = std::fs::read_dir("fuzz/fuzz_targets")?
            .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(ToOwned::to_owned))
            .collect();
        targets.sort();
    }
    for target in targets {
        println!("── {target}");
        let found = format!("target/fuzz/{target}");
        std::fs::create_dir_all(&found)?;
        let (form, protocol) = target.split_once('_').unwrap_or((&target, "chat"));
        let form = if form == "sse" { "stream" } else { form };
        let seeds = [format!("fuzz/corpus/{target}"), format!("fixtures/{protocol}/{form}")];
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz", "run", &target, &found]);
        command.args(seeds.iter().filter(|folder| Path::new(folder).is_dir()));
        command.args(["--", &format!("-max_total_time={}", args.seconds), "-max_len=65536", "-timeout=10"]);
        shell::run_command(&mut command)?;
    }
    Ok(())
}
