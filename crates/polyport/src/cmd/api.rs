//! `polyport api`: any endpoint of the admin API.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args as ClapArgs;
use http::Method;
use serde_json::Value;

use super::crud;
use crate::args::Args;
use crate::gateway::{self, Aim};
use crate::out;

/// What to ask
#[derive(Debug, ClapArgs)]
pub(crate) struct ApiArgs {
    /// GET, POST, PATCH, PUT or DELETE
    method: String,
    /// What stands behind `/admin/api/`, with a query
    path: String,
    /// A body of JSON
    #[arg(value_name = "BODY", conflicts_with = "file")]
    body: Option<String>,
    /// The same in a file (`-` is standard input)
    #[arg(long = "body-file", value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, what: &ApiArgs) -> Result<ExitCode> {
    let method: Method =
        what.method.to_ascii_uppercase().parse().map_err(|_| anyhow!("`{}` is no method", what.method))?;
    let text = match (&what.body, &what.file) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(path)) => Some(crud::text_of(path)?),
        (None, None) => None,
    };
    let body: Option<Value> = match text {
        Some(text) => Some(serde_json::from_str(&text).map_err(|error| anyhow!("the body is no JSON: {error}"))?),
        None => None,
    };
    let path = what.path.trim_start_matches('/');
    let path = path.strip_prefix("admin/api/").unwrap_or(path);
    let aim = if method == Method::GET { Aim::Look } else { Aim::Change };
    gateway::run(args, aim, async |gateway| {
        out::json(&gateway.call(method.clone(), path, body.as_ref()).await?);
        Ok(ExitCode::SUCCESS)
    })
}
