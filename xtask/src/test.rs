//! `cargo xtask test`.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::{book, delivery, e2e, prometheus, shell, ui};

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these steps (comma separated): fmt, clippy, doc, book, unit, ui, pages, openapi, prometheus, delivery, sdk-python, sdk-node, clients, llama
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("tools", tools),
    ("fmt", fmt),
    ("clippy", clippy),
    ("doc", doc),
    ("book", book::run),
    ("unit", unit),
    ("ui", ui::run),
    ("pages", e2e::pages),
    ("openapi", e2e::openapi),
    ("prometheus", prometheus::run),
    ("delivery", delivery::run),
    ("sdk-python", e2e::python),
    ("sdk-node", e2e::node),
    ("clients", e2e::clients),
    ("llama", e2e::llama),
];

/// Runs the steps in order; the first failure ends it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let only = &args.only;
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|(step, _)| step != name)) {
        bail!(
            "unknown step {unknown}; there are: {}",
            STEPS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        );
    }
    for (name, step) in STEPS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("── {name}");
        let start = Instant::now();
        step()?;
        println!("── {name}: ok, {:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Programs the tests need, and the Debian package each comes from.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "gcc libc6-dev"),
    ("git", "git"),
    ("python3", "python3 python3-venv"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium-headless-shell", "chromium-headless-shell fonts-noto-cjk fonts-noto-color-emoji"),
];

fn tools() -> Result<()> {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !shell::exists(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !shell::may_install() {
        bail!("missing programs; install them with: apt-get install {packages}");
    }
    shell::install(&packages)
}

fn fmt() -> Result<()> {
    shell::run("cargo", &["fmt", "--all", "--check"])
}

fn clippy() -> Result<()> {
    shell::run("cargo", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn doc() -> Result<()> {
    let mut doc = Command::new("cargo");
    doc.env("RUSTDOCFLAGS", "-D warnings");
    shell::run_command(doc.args(["doc", "--workspace", "--no-deps", "--locked", "--quiet"]))
}

fn unit() -> Result<()> {
    // Most of what takes long waits for others: more tests at once than there are processors.
    let threads = 2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut tests = Command::new("cargo");
    tests.env("RUST_TEST_THREADS", threads.to_string());
    shell::run_command(tests.args(["test", "--workspace", "--locked", "--quiet"]))
}
