//! `polyport check`.

use std::process::ExitCode;

use anyhow::Result;
use polyport_server::config::{Config, Loaded, Place, Problem, Problems, Purpose, Source, Weight};
use serde_json::{Value, json};

use crate::args::Args;
use crate::out;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let source = super::source(args);
    let (loaded, problems) = match source.load(&[], Purpose::Inspect) {
        Ok(Loaded { config, warnings, .. }) => (Some(config), warnings),
        Err(problems) => (None, problems),
    };
    let counts = loaded.as_ref().map(|config| (config.providers().count(), config.catalog.names().count()));
    if args.json {
        out::json(&report(&source, &problems, loaded.as_ref()));
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

fn report(source: &Source, problems: &Problems, config: Option<&Config>) -> Value {
    json!({
        "ok": !problems.fatal(),
        "file": source.file,
        "profile": source.profile(),
        "listen": config.map(|config| config.listen.all().collect::<Vec<_>>()),
        "open": config.map(|config| config.access.open),
        "providers": config.map(|config| config.providers().count()),
        "models": config.map(|config| config.catalog.names().count()),
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
