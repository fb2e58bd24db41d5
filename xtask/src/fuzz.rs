//! `cargo xtask fuzz`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

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
    shell::run("cargo", &["+nightly", "fuzz", "build"])?;
    let mut summary = Vec::new();
    for target in &targets {
        println!("── {target}");
        summary.push(fuzz(target, args.seconds)?);
    }
    println!("── summary");
    for (target, outcome) in targets.iter().zip(&summary) {
        println!("{target:<20} {}", outcome.line);
    }
    let failed = summary.iter().filter(|outcome| !outcome.clean).count();
    if failed > 0 {
        bail!("{failed} of {} targets found something; the inputs are in fuzz/artifacts", targets.len());
    }
    Ok(())
}

/// What a fuzzer found.
struct Outcome {
    clean: bool,
    line: String,
}

/// Runs one target. The fuzzer's last status line has what was run and covered.
fn fuzz(target: &str, seconds: u32) -> Result<Outcome> {
    let found = format!("target/fuzz/{target}");
    std::fs::create_dir_all(&found)?;
    let (form, protocol) = target.split_once('_').unwrap_or((target, "chat"));
    let form = if form == "sse" { "stream" } else { form };
    let seeds = [format!("fuzz/corpus/{target}"), format!("fixtures/{protocol}/{form}")];
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", "run", target, &found]);
    command.args(seeds.iter().filter(|folder| Path::new(folder).is_dir()));
    command.args(["--", &format!("-max_total_time={seconds}"), "-max_len=65536", "-timeout=10"]);
    let mut child = command.stderr(Stdio::piped()).spawn().context("cannot start cargo fuzz")?;
    let mut status = String::from("did not run");
    for line in child.stderr.take().into_iter().flat_map(|pipe| BufReader::new(pipe).split(b'\n')) {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        if line.starts_with('#') && line.contains(" cov: ") {
            status = line.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    let clean = child.wait()?.success();
    let word = if clean { "clean" } else { "FOUND SOMETHING" };
    Ok(Outcome { clean, line: format!("{word}: {status}") })
}
