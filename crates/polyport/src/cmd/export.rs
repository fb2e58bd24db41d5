//! `polyport export`: what the database declares, without secrets.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;
use serde_json::{Value, json};

use super::crud;
use crate::args::Args;
use crate::gateway::{self, Aim};
use crate::out;

/// Where to
#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// The new file; nothing for standard output
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, what: &ExportArgs) -> Result<ExitCode> {
    gateway::run(args, Aim::Look, async |gateway| {
        let told = gateway.get("export").await?;
        let Some(path) = &what.file else {
            out::json(&told);
            return Ok(ExitCode::SUCCESS);
        };
        let mut file = out::new_file(path)?;
        if let Err(error) = writeln!(file, "{told:#}").and_then(|()| file.sync_all()) {
            std::fs::remove_file(path).ok();
            return Err(error).with_context(|| path.display().to_string());
        }
        let lists = ["providers", "credentials", "pools", "routes", "teams", "users", "keys"];
        let number = lists.iter().filter_map(|list| told[*list].as_array().map(Vec::len)).sum();
        let words = format!("{} in {}, without secrets", out::count(number, "thing"), path.display());
        crud::done(args, &words, &json!({ "file": path, "things": Value::from(number) }));
        Ok(ExitCode::SUCCESS)
    })
}
