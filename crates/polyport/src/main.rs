//! Polyport: any LLM client to any LLM provider.

mod args;
mod banner;
mod cmd;
mod log;
mod out;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, StoreCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        None | Some(Command::Serve) => cmd::serve::run(&args),
        Some(Command::Check) => cmd::check::run(&args),
        Some(Command::Models) => cmd::models::run(&args),
        Some(Command::Providers(what)) => cmd::providers::run(&args, what),
        Some(Command::Explain(what)) => cmd::explain::run(&args, what),
        Some(Command::Backup { to }) => cmd::store::backup(&args, to),
        Some(Command::Restore { from, any_key }) => cmd::store::restore(&args, from, *any_key),
        Some(Command::Store(StoreCommand::RotateKey)) => cmd::store::rotate_key(&args),
        Some(Command::Schema) => cmd::schema::run(),
        Some(Command::Completions { shell }) => cmd::completions::run(*shell),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            out::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
