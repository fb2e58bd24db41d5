//! End-to-end benchmark.
//!
//! `polyport-bench run --polyport PATH` starts a fake provider, a minimal reverse proxy and Polyport, each a process of its own pinned to
//! one core, drives them with the same load from another core and prints the CPU time per request, the added latency and the memory
//! of each, with the ratio to the minimal proxy. `polyport-bench credentials --polyport PATH` starts Polyport with ten thousand keys and accounts.
#![allow(clippy::print_stdout, reason = "a benchmark reports on the terminal")]
#![allow(clippy::disallowed_methods, reason = "it is no part of the gateway")]

mod credentials;
mod load;
mod process;
mod provider;
mod proxy;
mod report;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A provider of canned Chat answers
    Provider,
    /// A reverse proxy that does nothing but forward
    Proxy {
        /// `host:port` of the provider
        #[arg(long)]
        upstream: String,
    },
    /// Measures everything and prints a Markdown table
    Run {
        /// The release binary of Polyport
        #[arg(long)]
        polyport: PathBuf,
        /// Requests per measurement
        #[arg(long, default_value_t = 4000)]
        requests: usize,
    },
    /// Starts with very many keys and accounts and prints a Markdown table
    Credentials {
        /// The release binary of Polyport
        #[arg(long)]
        polyport: PathBuf,
        /// How many
        #[arg(long, default_value_t = 10_000)]
        count: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Args::parse().command {
        Command::Provider => runtime.block_on(provider::serve()),
        Command::Proxy { upstream } => runtime.block_on(proxy::serve(upstream)),
        Command::Run { polyport, requests } => runtime.block_on(report::run(&polyport, requests)),
        Command::Credentials { polyport, count } => runtime.block_on(credentials::run(&polyport, count)),
    }
}
