//! The project's tasks. `cargo xtask test` is the one command that checks everything.
#![allow(clippy::print_stdout, reason = "a task runner talks to a terminal")]
#![allow(clippy::disallowed_methods, reason = "it is no part of the gateway")]

mod bench;
mod book;
mod check;
mod delivery;
mod e2e;
mod fuzz;
mod models;
mod prices;
mod prometheus;
mod proto;
mod shell;
mod test;
mod ui;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "The project's tasks")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints, unit, property, snapshot and gateway tests, documentation, SDK and client tests
    Test(test::Args),
    /// Benchmarks: codecs (criterion) and the gateway end to end against a minimal proxy
    Bench(bench::Args),
    /// Fuzzers, with the nightly toolchain and cargo-fuzz
    Fuzz(fuzz::Args),
    /// The tables of model facts and prices, from the public tables in the shared folder
    Models(models::Args),
    /// The Rust form of our definitions of Warp's interface
    Proto,
    /// Compares our definitions of Warp's interface with a folder of newer `.proto` files
    ProtoCheck(proto::Args),
    /// Generated files, licences and advisories
    Check(check::Args),
}

fn main() -> anyhow::Result<()> {
    std::env::set_current_dir(shell::root())?;
    match Args::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Models(args) => models::run(&args),
        Task::Proto => proto::generate(),
        Task::ProtoCheck(args) => proto::check(&args),
        Task::Check(args) => check::run(&args),
    }
}
