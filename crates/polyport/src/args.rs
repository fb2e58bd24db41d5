//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cmd::{
    api, conform, connect, credentials, crud, diff, explain, export, health, import, keys, launch, logs, models,
    notifications, pools, providers, record, replay, routes, serve, settings, teams, usage, users,
};
use crate::examples;

/// Any LLM client to any LLM provider.
///
/// Without a command, `serve`. Exit codes: 0 done, 1 failed (also: the configuration has mistakes, or the model is unknown), 2 wrong
/// usage.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Args {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Configuration file [default: polyport.yaml in the working folder, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for everything Polyport writes [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) host: Option<String>,
    /// Port to listen on [default: 7659]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Set it up as another gateway: warp2api, antigravity, transformer, api-pool or ai-service
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Work with the gateway at this address [default: the one that uses the data folder, or the folder itself]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The key of an operator for it [default: POLYPORT_ADMIN_KEY or ADMIN_TOKEN]
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) admin_key: Option<String>,
    /// Write JSON instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Write names or ids only, and nothing where something was changed
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer clients (the default)
    Serve(serve::ServeArgs),
    /// Say what is wrong with the configuration
    Check,
    /// Say how the gateway is
    Status,
    /// Say whether the gateway answers, by the exit code
    Health(health::HealthArgs),
    /// The names that clients may ask for
    Models(models::ModelsArgs),
    /// The services that answer
    Providers(providers::ProvidersArgs),
    /// Keys and accounts of providers
    Credentials(credentials::CredentialsArgs),
    /// Virtual models: one name, many targets
    Pools(pools::PoolsArgs),
    /// Rules that look at the request
    Routes(routes::RoutesArgs),
    /// Say what would happen to a request, without asking anybody
    Explain(explain::ExplainArgs),
    /// Keys of clients
    Keys(keys::KeysArgs),
    /// People who sign in, and whose keys are counted together
    Users(users::UsersArgs),
    /// Teams of users
    Teams(teams::TeamsArgs),
    /// All limits, and what is left of them
    Quotas(crud::List),
    /// Sums of requests, tokens and cost
    Usage(usage::UsageArgs),
    /// Figures at a glance
    Stats(usage::StatsArgs),
    /// The log of requests
    Logs(logs::LogsArgs),
    /// What every attempt used and cost
    Ledger(logs::Which),
    /// What was done at the admin API, by whom
    Audit(crud::List),
    /// What models cost
    Prices(crud::List),
    /// What the database declares and is not in force, with the reasons
    Problems(crud::List),
    /// Messages to other programs, and trying an address
    Notifications(notifications::NotificationsArgs),
    /// What is set, who says so, and changing it
    Settings(settings::SettingsArgs),
    /// Write what the database declares, without secrets
    Export(export::ExportArgs),
    /// Start a client that talks to the gateway
    ///
    /// It gets a fresh key, which is deleted when it ends, and its own settings stay as they are. The exit code is that of the client; 127 if it
    /// is not installed.
    Launch(launch::LaunchArgs),
    /// Say what leads a client to the gateway, or write it into its settings
    ///
    /// Without a client, the clients that are known are listed.
    Connect(connect::ConnectArgs),
    Import(import::ImportArgs),
    /// Copy the database into a new file, also while a gateway runs
    ///
    /// A gateway that runs makes the copy, also one at an address (`--url`). Secrets in the copy stay sealed: keep the master key as well. A Postgres database is copied with `pg_dump`.
    Backup {
        /// The new file
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// Copy the request log as well, into this file; it takes the place of `log.db` in the data folder when it is needed
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
    },
    /// Put a copy in the place of the database, which is kept beside it; the gateway must be stopped
    Restore {
        /// The copy
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Take a copy that is sealed under another master key: its secrets cannot be used
        #[arg(long)]
        any_key: bool,
    },
    /// Work on the database
    #[command(subcommand)]
    Store(StoreCommand),
    /// Answer clients, and keep what they and the providers say in a file
    Record(record::RecordArgs),
    /// Answer as the providers of a recording did
    Replay(replay::ReplayArgs),
    /// Judge any gateway by the rules that clients of the four protocols depend on
    Conform(conform::ConformArgs),
    /// Send the requests of a recording through two configurations or builds, and show what differs
    Diff(diff::DiffArgs),
    /// Ask any endpoint of the admin API
    Api(api::ApiArgs),
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print a completion script
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands
    Man {
        /// A folder for the pages of all commands
        #[arg(value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Seal all secrets under another master key; the gateway must be stopped
    ///
    /// The new key is that of `POLYPORT_NEW_MASTER_KEY`. Without it, a new one is made where the present one is the file `master.key` of
    /// the data folder.
    RotateKey,
}

impl Args {
    /// What was written; the process ends where that cannot be understood.
    pub(crate) fn read() -> Self {
        let matches = Self::documented().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The command line with an example for every command.
    pub(crate) fn documented() -> clap::Command {
        examples::add_to(Self::command())
    }
}

/// Reads a header as it is written in a request.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':').map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())) {
        Some((name, value)) if !name.is_empty() && !name.contains(char::is_whitespace) => Ok((name, value)),
        _ => Err("write it as NAME:VALUE, such as x-team:search".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::documented().debug_assert();
    }

    #[test]
    fn settings_may_stand_before_and_after_the_command() {
        for line in [["polyport", "--port", "1", "serve"], ["polyport", "serve", "--port", "1"]] {
            assert_eq!(Args::try_parse_from(line).unwrap().port, Some(1));
        }
        assert!(Args::try_parse_from(["polyport"]).unwrap().command.is_none());
    }
}
