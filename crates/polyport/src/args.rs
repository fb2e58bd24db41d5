//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use polyport_types::ClientProtocol;

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
    /// Write JSON instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer clients (the default)
    Serve,
    /// Say what is wrong with the configuration
    Check,
    /// List the models clients may ask for
    Models,
    /// List the providers and where their keys come from
    Providers(ProvidersArgs),
    /// Say what would happen to a request, without asking anybody
    Explain(ExplainArgs),
    /// Copy the database into a new file, also while a gateway runs
    ///
    /// Secrets in the copy stay sealed: keep the master key as well. A Postgres database is copied with `pg_dump`.
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
    /// People who sign in at the admin page
    #[command(subcommand)]
    Users(UsersCommand),
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print a completion script
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
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

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Give somebody another password, or make an admin of this name; an SQLite database must not be in use
    ///
    /// The password is the first line of standard input. At a terminal, and where that is empty, one is made and shown. The user is signed out
    /// everywhere.
    SetPassword(SetPasswordArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetPasswordArgs {
    /// The user's name
    pub(crate) name: String,
    /// Make a password, and do not read standard input
    #[arg(long)]
    pub(crate) generate: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ProvidersArgs {
    /// List the presets that ship with Polyport instead
    #[arg(long)]
    pub(crate) presets: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The model a client asks for
    pub(crate) model: String,
    /// The protocol the client speaks
    #[arg(long, value_enum, default_value_t = ProtocolArg::Chat)]
    pub(crate) protocol: ProtocolArg,
    /// A request of that protocol (`-` is standard input): shows what the first target would get and what would be lost
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// A header of the client, which routes may look at; may be repeated
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    /// The name of the client's key, which routes may look at
    #[arg(long, value_name = "KEYNAME", default_value = "")]
    pub(crate) caller: String,
}

/// Reads a header as it is written in a request.
fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':').map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())) {
        Some((name, value)) if !name.is_empty() && !name.contains(char::is_whitespace) => Ok((name, value)),
        _ => Err("write it as NAME:VALUE, such as x-team:search".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ProtocolArg {
    Chat,
    Responses,
    Messages,
    Gemini,
}

impl From<ProtocolArg> for ClientProtocol {
    fn from(protocol: ProtocolArg) -> Self {
        match protocol {
            ProtocolArg::Chat => Self::Chat,
            ProtocolArg::Responses => Self::Responses,
            ProtocolArg::Messages => Self::Messages,
            ProtocolArg::Gemini => Self::Gemini,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn settings_may_stand_before_and_after_the_command() {
        for line in [["polyport", "--port", "1", "serve"], ["polyport", "serve", "--port", "1"]] {
            assert_eq!(Args::try_parse_from(line).unwrap().port, Some(1));
        }
        assert!(Args::try_parse_from(["polyport"]).unwrap().command.is_none());
    }
}
