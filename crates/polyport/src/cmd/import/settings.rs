//! What an import has for `polyport.yaml`: a new file, or lines for the one that is there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use polyport_import::Plan;
use serde_json::{Value, json};

use crate::args::Args;
use crate::out;

/// Where they go.
pub(super) struct Settings {
    path: PathBuf,
    /// A file that is there is its owner's.
    taken: bool,
    text: String,
    /// The same without secrets.
    shown: String,
}

impl Settings {
    pub(super) fn of(args: &Args, plan: &Plan) -> Self {
        let environment = crate::cmd::source(args).environment;
        let named = args.config.clone().or_else(|| environment.get("POLYPORT_CONFIG").map(PathBuf::from));
        let usual = || {
            let other = Path::new("polyport.yml");
            if other.exists() { other.to_owned() } else { PathBuf::from("polyport.yaml") }
        };
        let path = named.unwrap_or_else(usual);
        let yaml = |value: &Value| serde_saphyr::to_string(value).unwrap_or_else(|_| format!("{value:#}\n"));
        let some = plan.settings.as_object().is_some_and(|settings| !settings.is_empty());
        let (text, shown) = match some {
            true => (yaml(&plan.settings), yaml(&plan.shown()["settings"])),
            false => (String::new(), String::new()),
        };
        let text = if some { format!("# From {}, by `polyport import`.\n{text}", plan.format.title()) } else { text };
        Self { taken: path.exists(), path, text, shown }
    }

    /// Writes a new file, for its owner only. Says whether there was something to write.
    pub(super) fn make(&self) -> Result<bool> {
        if self.text.is_empty() || self.taken {
            return Ok(false);
        }
        let part = self.path.with_extension("part");
        let failed = || format!("{} cannot be written", self.path.display());
        let written = out::new_file(&part).and_then(|mut file| {
            file.write_all(self.text.as_bytes())?;
            file.sync_all()?;
            // Unlike renaming, this replaces nothing that came meanwhile.
            fs::hard_link(&part, &self.path).or_else(|_| match self.path.exists() {
                true => Err(std::io::Error::from(std::io::ErrorKind::AlreadyExists)),
                false => fs::rename(&part, &self.path),
            })?;
            Ok(())
        });
        fs::remove_file(&part).ok();
        written.with_context(failed).map_err(|error| anyhow!("nothing was imported: {error:#}"))?;
        Ok(true)
    }

    /// Removes what [`Settings::make`] made.
    pub(super) fn take_back(&self, made: bool) {
        if made && let Err(error) = fs::remove_file(&self.path) {
            out::error(&format!("{} was written and cannot be removed: {error}", self.path.display()));
        }
    }

    /// For programs.
    pub(super) fn told(&self, written: bool) -> Value {
        match (self.text.is_empty(), self.taken) {
            (true, _) => Value::Null,
            (false, taken) => json!({ "path": self.path, "written": written && !taken }),
        }
    }

    /// For people.
    pub(super) fn show(&self, written: bool) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let path = self.path.display();
        out::line(&match (self.taken, written) {
            (true, _) => format!("\nFor {path}, which stays as it is; put in what you want of this:"),
            (false, true) => format!("\n{path} was made:"),
            (false, false) => format!("\n{path} would be made:"),
        });
        self.shown.lines().for_each(|line| out::line(&format!("  {line}")));
        Ok(())
    }
}
