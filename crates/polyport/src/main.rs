//! Polyport: any LLM client to any LLM provider.

mod args;
mod banner;
mod cmd;
mod log;
mod out;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, StoreCommand, UsersCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first argument of Polyport as the guard of a program it runs, before which nothing else is looked at.
#[cfg(target_os = "linux")]
const GUARD: &str = "guard-program";

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    {
        let mut arguments = std::env::args_os().skip(1);
        if arguments.next().is_some_and(|word| word == GUARD) {
            return polyport_provider::process::guard::run(arguments);
        }
        // This very program, even after its file was replaced.
        polyport_provider::process::guard_with("/proc/self/exe".into(), GUARD);
    }
    let args = Args::parse();
    let done = match &args.command {
        None | Some(Command::Serve) => cmd::serve::run(&args),
        Some(Command::Check) => cmd::check::run(&args),
        Some(Command::Models) => cmd::models::run(&args),
        Some(Command::Providers(what)) => cmd::providers::run(&args, what),
        Some(Command::Explain(what)) => cmd::explain::run(&args, what),
        Some(Command::Backup { to, log }) => cmd::store::backup(&args, to, log.as_deref()),
        Some(Command::Restore { from, any_key }) => cmd::store::restore(&args, from, *any_key),
        Some(Command::Store(StoreCommand::RotateKey)) => cmd::store::rotate_key(&args),
        Some(Command::Users(UsersCommand::SetPassword(what))) => cmd::users::set_password(&args, what),
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
