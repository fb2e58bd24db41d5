//! `polyport record`: serving, with everything kept that clients and providers say.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use polyport_recording::format::MOST_MIB;
use polyport_server::{Handle, Recorder};
use serde_json::json;

use super::serve::ServeArgs;
use crate::out;

/// Answer clients as `serve` does, and keep what they and the providers say in a new file, without keys and accounts.
///
/// What people and models say is kept as it is. `polyport replay` answers from the file, `polyport diff` sends its requests again.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// The new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file's size in MiB at which nothing more is recorded
    #[arg(long, value_name = "N", default_value_t = MOST_MIB, value_parser = clap::value_parser!(u64).range(1..=MOST_MIB))]
    max_mib: u64,
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

/// A recording that goes on.
pub(crate) struct Going<'a> {
    recorder: Recorder,
    to: &'a RecordArgs,
}

impl RecordArgs {
    /// Begins it.
    pub(crate) fn begin(&self, gateway: &Handle) -> Result<Going<'_>> {
        let recorder = Recorder::create(&self.file, self.max_mib << 20).map_err(|error| {
            let name = self.file.display();
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    anyhow!("{name} is there already: choose another name, or delete it; recordings are not continued")
                }
                _ => anyhow!("{name} cannot be written: {error}"),
            }
        })?;
        gateway.record_with(&recorder);
        Ok(Going { recorder, to: self })
    }
}

impl Going<'_> {
    /// Ends it, and says how much it holds.
    pub(crate) fn end(self, json: bool) {
        let totals = self.recorder.finish();
        let file = self.to.file.display();
        if json {
            out::line(
                &json!({ "recording": file.to_string(), "exchanges": totals.exchanges, "dropped": totals.dropped })
                    .to_string(),
            );
            return;
        }
        let exchanges = usize::try_from(totals.exchanges).unwrap_or(usize::MAX);
        out::line(&format!("{} in {file}", out::count(exchanges, "exchange")));
        if totals.dropped > 0 {
            out::line(&format!("{} left out: too large, too many at once, or the file was full", totals.dropped));
        }
    }
}
