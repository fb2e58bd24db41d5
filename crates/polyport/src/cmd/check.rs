//! `polyport check`.

use std::process::ExitCode;

use anyhow::Result;
use polyport_server::config::{Loaded, Place, Problem, Problems, Purpose, Source, Weight};
use serde_json::{Value, json};

use crate::args::Args;
use crate::out;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let source = super::source(args);
    let (loaded, problems) = match source.load(&[], Purpose::Inspect) {
        Ok(Loaded { config, warnings, .. }) => (Some(config), warnings),
        Err(problems) => (None, problems),
    };
    let counts = loaded.map(|config| (config.providers().count(), config.catalog.names().count()));
    if args.json {
        out::json(&report(&source, &problems, counts));
    } else {
        for problem in &problems.0 {
            out::line(&problem.to_string());
        }
        if let Some((providers, models)) = counts {
            let file = source.file.as_ref().map_or("no file".to_owned(), |file| file.display().to_string());
            let [providers, models, warnings] =
                [(providers, "provider"), (models, "model"), (problems.0.len(), "warning")]
                    .map(|(number, what)| out::count(number, what));
            out::line(&format!("{file}: good ({providers}, {models}, {warnings})"));
        }
    }
    Ok(if problems.fatal() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn report(source: &Source, problems: &Problems, counts: Option<(usize, usize)>) -> Value {
    json!({
        "ok": !problems.fatal(),
        "file": source.file,
        "providers": counts.map(|(providers, _)| providers),
        "models": counts.map(|(_, models)| models),
        "problems": problems.0.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn problem(problem: &Problem) -> Value {
    let (file, line, column, source) = match &problem.place {
        Place::File { path, line, column } => (Some(path.display().to_string()), Some(line), Some(column), None),
        other => (None, None, None, Some(other.to_string())),
    };
    json!({
        "weight": match problem.weight { Weight::Error => "error", Weight::Warning => "warning" },
        "file": file, "line": line, "column": column, "source": source,
        "path": problem.path, "message": problem.message, "remedy": problem.remedy,
    })
}
