//! `cargo xtask bench`.

use anyhow::Result;

use crate::shell;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the codecs (criterion)
    #[arg(long, conflicts_with = "gateway")]
    codecs: bool,
    /// Only the gateway, end to end
    #[arg(long)]
    gateway: bool,
    /// Requests per measurement of the gateway
    #[arg(long, default_value = "4000")]
    requests: String,
}

/// Runs the criterion benchmarks of the codecs, then the gateway against the minimal proxy.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !args.gateway {
        shell::run("cargo", &["bench", "--locked", "--package", "polyport-protocol"])?;
    }
    if !args.codecs {
        shell::run(
            "cargo",
            &["build", "--locked", "--release", "--package", "polyport", "--package", "polyport-bench"],
        )?;
        // The load comes from another core than the one under test.
        shell::run(
            "taskset",
            &[
                "-c",
                "1",
                "target/release/polyport-bench",
                "run",
                "--polyport",
                "target/release/polyport",
                "--requests",
                &args.requests,
            ],
        )?;
    }
    Ok(())
}
