//! `polyport man`: manual pages.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::crud;
use crate::args::Args;
use crate::out;

pub(crate) fn run(args: &Args, to: Option<&Path>) -> Result<ExitCode> {
    let command = Args::documented();
    let Some(folder) = to else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        out::line(String::from_utf8_lossy(&page).trim_end());
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    clap_mangen::generate_to(command, folder).with_context(|| folder.display().to_string())?;
    let pages = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.file_name());
    let pages = pages.filter(|name| name.to_string_lossy().starts_with("polyport")).count();
    crud::done(
        args,
        &format!("{} in {}", out::count(pages, "page"), folder.display()),
        &json!({ "folder": folder, "pages": pages }),
    );
    Ok(ExitCode::SUCCESS)
}
