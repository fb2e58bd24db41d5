//! One file per command.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod explain;
pub(crate) mod models;
pub(crate) mod providers;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod store;
pub(crate) mod users;

use anyhow::{Result, anyhow};
use polyport_server::config::{Arguments, Environment, Loaded, Problems, Purpose, Source, discover};

use crate::args::Args;
use crate::out;

/// Where the configuration comes from. A broken `.env` is told at once.
fn source(args: &Args) -> Source {
    let (environment, problems) = Environment::of_process();
    for problem in problems {
        out::error(&problem.to_string());
    }
    let arguments = Arguments { host: args.host.clone(), port: args.port, data: args.data.clone() };
    Source::new(args.config.clone(), environment, arguments)
}

/// Reads the configuration to look at it. Local servers count if `serve` would look for them.
fn load(args: &Args) -> Result<Loaded> {
    let source = source(args);
    let loaded = source.load(&[], Purpose::Inspect).map_err(|problems| refused(&problems))?;
    if !loaded.discover {
        return Ok(loaded);
    }
    let port = loaded.config.listen.port;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let found = runtime.block_on(discover::probe(port));
    source.load(&found, Purpose::Inspect).map_err(|problems| refused(&problems))
}

fn refused(problems: &Problems) -> anyhow::Error {
    anyhow!("the configuration has mistakes:\n{problems}")
}
