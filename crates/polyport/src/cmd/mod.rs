//! One file per command.

pub(crate) mod api;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod conform;
pub(crate) mod connect;
pub(crate) mod credentials;
pub(crate) mod crud;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod launch;
pub(crate) mod lists;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod models;
pub(crate) mod notifications;
pub(crate) mod pools;
pub(crate) mod providers;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod routes;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod teams;
pub(crate) mod usage;
pub(crate) mod users;

use anyhow::anyhow;
use polyport_server::config::{Arguments, Environment, Problems, Source, Start};

use crate::args::{Args, Command};
use crate::out;

/// Where the configuration comes from. A broken `.env` is told at once.
pub(crate) fn source(args: &Args) -> Source {
    let (environment, problems) = Environment::of_process();
    for problem in problems {
        out::error(&problem.to_string());
    }
    let start = match &args.command {
        Some(Command::Serve(what)) => what.start(),
        Some(Command::Record(what)) => what.serve.start(),
        _ => Start::Api,
    };
    let (host, data, profile) = (args.host.clone(), args.data.clone(), args.profile.clone());
    let arguments = Arguments { host, port: args.port, data, profile, start };
    Source::new(args.config.clone(), environment, arguments)
}

pub(crate) fn refused(problems: &Problems) -> anyhow::Error {
    anyhow!("the configuration has mistakes:\n{problems}")
}
