//! Polyport: any LLM client to any LLM provider.

mod args;
mod banner;
mod child;
mod clients;
mod cmd;
mod conform;
mod examples;
mod gateway;
mod log;
mod out;
#[cfg(test)]
mod reference;

use std::process::ExitCode;

use args::{Args, Command, StoreCommand};

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
    let args = Args::read();
    let done = match &args.command {
        None => cmd::serve::run(&args, &cmd::serve::ServeArgs::default(), None),
        Some(Command::Serve(what)) => cmd::serve::run(&args, what, None),
        Some(Command::Record(what)) => cmd::serve::run(&args, &what.serve, Some(what)),
        Some(Command::Replay(what)) => cmd::replay::run(&args, what),
        Some(Command::Conform(what)) => cmd::conform::run(&args, what),
        Some(Command::Diff(what)) => cmd::diff::run(&args, what),
        Some(Command::Check) => cmd::check::run(&args),
        Some(Command::Status) => cmd::status::run(&args),
        Some(Command::Health(what)) => cmd::health::run(&args, what),
        Some(Command::Models(what)) => cmd::models::run(&args, what),
        Some(Command::Providers(what)) => cmd::providers::run(&args, what),
        Some(Command::Credentials(what)) => cmd::credentials::run(&args, what),
        Some(Command::Pools(what)) => cmd::pools::run(&args, what),
        Some(Command::Routes(what)) => cmd::routes::run(&args, what),
        Some(Command::Explain(what)) => cmd::explain::run(&args, what),
        Some(Command::Keys(what)) => cmd::keys::run(&args, what),
        Some(Command::Users(what)) => cmd::users::run(&args, what),
        Some(Command::Teams(what)) => cmd::teams::run(&args, what),
        Some(Command::Quotas(which)) => cmd::usage::quotas(&args, which),
        Some(Command::Usage(what)) => cmd::usage::run(&args, what),
        Some(Command::Stats(what)) => cmd::usage::stats(&args, what),
        Some(Command::Logs(what)) => cmd::logs::run(&args, what),
        Some(Command::Ledger(which)) => cmd::logs::ledger(&args, which),
        Some(Command::Audit(which)) => cmd::lists::run(&args, &cmd::lists::AUDIT, which),
        Some(Command::Prices(which)) => cmd::lists::run(&args, &cmd::lists::PRICES, which),
        Some(Command::Problems(which)) => cmd::lists::run(&args, &cmd::lists::PROBLEMS, which),
        Some(Command::Notifications(what)) => cmd::notifications::run(&args, what),
        Some(Command::Settings(what)) => cmd::settings::run(&args, what),
        Some(Command::Export(what)) => cmd::export::run(&args, what),
        Some(Command::Launch(what)) => cmd::launch::run(&args, what),
        Some(Command::Connect(what)) => cmd::connect::run(&args, what),
        Some(Command::Import(what)) => cmd::import::run(&args, what),
        Some(Command::Backup { to, log }) => cmd::store::backup(&args, to, log.as_deref()),
        Some(Command::Restore { from, any_key }) => cmd::store::restore(&args, from, *any_key),
        Some(Command::Store(StoreCommand::RotateKey)) => cmd::store::rotate_key(&args),
        Some(Command::Api(what)) => cmd::api::run(&args, what),
        Some(Command::Schema) => cmd::schema::run(),
        Some(Command::Completions { shell }) => cmd::completions::run(*shell),
        Some(Command::Man { to }) => cmd::man::run(&args, to.as_deref()),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            out::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
