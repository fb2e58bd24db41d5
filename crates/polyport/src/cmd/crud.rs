//! What commands on all kinds of things have in common: listing, showing, making, changing, removing, switching.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::gateway::{self, Aim, Gateway, Query, Refused, escaped};
use crate::out;

/// A kind of thing that the admin API has a list of.
pub(crate) struct Kind {
    /// One of them, for people.
    pub(crate) word: &'static str,
    /// The list, as the admin API calls it.
    pub(crate) list: &'static str,
    /// The command.
    pub(crate) command: &'static str,
    /// The member by which people call one, where the admin API knows its id only.
    pub(crate) called: Option<&'static str>,
    /// Columns of a table: its head, and where in an object it stands.
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

/// Which of a list.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct List {
    /// At most so many [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Only those with this in their name
    #[arg(long, value_name = "TEXT")]
    pub(crate) search: Option<String>,
    /// Only those whose member has this value, such as `state=ready`; may be repeated
    #[arg(long = "where", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) filters: Vec<(String, String)>,
}

/// Some of them.
#[derive(Debug, ClapArgs)]
pub(crate) struct Names {
    /// Names or ids
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// One of them.
#[derive(Debug, ClapArgs)]
pub(crate) struct One {
    /// Its name or id
    pub(crate) name: String,
}

/// Members in the words of the configuration file.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct Members {
    /// A member, in the words of the configuration file: `timeouts.first_byte=5m`, `models=[a, b]`; `null` takes it out; may be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, Value)>,
    /// A file of members in YAML or JSON (`-` is standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}

/// Changes one.
#[derive(Debug, ClapArgs)]
pub(crate) struct Change {
    #[command(flatten)]
    pub(crate) one: One,
    #[command(flatten)]
    pub(crate) members: Members,
}

/// What can be done with every kind of thing that is declared.
#[derive(Debug, Subcommand)]
pub(crate) enum Basic {
    /// List them
    List(List),
    /// Show one with everything that is known about it
    Show(One),
    /// Change members of one; the others stay
    #[command(visible_alias = "update")]
    Set(Change),
    /// Remove them
    #[command(visible_alias = "delete")]
    Remove(Names),
    /// Switch them on
    Enable(Names),
    /// Switch them off; they stay
    Disable(Names),
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE, such as state=ready".to_owned()),
    }
}

pub(crate) fn assignment(text: &str) -> Result<(String, Value), String> {
    let (path, value) = pair(text).map_err(|_| "write it as PATH=VALUE, such as timeouts.first_byte=5m".to_owned())?;
    let value =
        if value.trim().is_empty() { Value::from("") } else { yaml(&value).map_err(|error| error.to_string())? };
    Ok((path, value))
}

fn yaml(text: &str) -> Result<Value> {
    serde_saphyr::from_str(text).map_err(|error| anyhow!("{error}"))
}

impl Members {
    /// As an object. What is set stands over what the file says.
    pub(crate) fn read(&self) -> Result<Map<String, Value>> {
        let mut body = match &self.from {
            None => Map::new(),
            Some(path) => match yaml(&text_of(path)?).with_context(|| path.display().to_string())? {
                Value::Object(members) => members,
                Value::Null => Map::new(),
                _ => bail!("{}: an object of members is expected", path.display()),
            },
        };
        for (path, value) in &self.set {
            put(&mut body, path, value.clone())?;
        }
        Ok(body)
    }
}

/// A file, or standard input.
pub(crate) fn text_of(path: &Path) -> Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).with_context(|| path.display().to_string());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    Ok(text)
}

/// The text of a secret that stands in an argument: itself, `env:NAME`, `file:PATH`, or `-` for the first line of standard input.
pub(crate) fn secret(args: &Args, given: &str) -> Result<String> {
    let text = match given.split_once(':') {
        Some(("env", name)) => {
            let source = super::source(args);
            let found = source.environment.get(name).map(str::to_owned);
            found.ok_or_else(|| anyhow!("the variable {name} is not set"))?
        }
        Some(("file", path)) => text_of(Path::new(path))?,
        _ if given == "-" => text_of(Path::new("-"))?.lines().next().unwrap_or_default().to_owned(),
        _ => given.to_owned(),
    };
    match text.trim() {
        "" => bail!("the secret is empty"),
        text => Ok(text.to_owned()),
    }
}

fn put(body: &mut Map<String, Value>, path: &str, value: Value) -> Result<()> {
    let Some((first, rest)) = path.split_once('.') else {
        body.insert(path.to_owned(), value);
        return Ok(());
    };
    match body.entry(first).or_insert_with(|| json!({})) {
        Value::Object(inner) => put(inner, rest, value),
        _ => bail!("`{first}` is set already, and holds no members"),
    }
}

/// Does what can be done with every kind of thing.
pub(crate) fn basic(args: &Args, kind: &Kind, what: &Basic) -> Result<ExitCode> {
    let aim = if matches!(what, Basic::List(_) | Basic::Show(_)) { Aim::Look } else { Aim::Change };
    gateway::run(args, aim, async |gateway| {
        match what {
            Basic::List(which) => list(args, gateway, kind, which).await?,
            Basic::Show(One { name }) => {
                let shown = kind.hint(gateway.get(&kind.find(gateway, name).await?).await)?;
                one(args, &shown);
            }
            Basic::Set(Change { one: One { name }, members }) => {
                let body = members.read()?;
                if body.is_empty() {
                    bail!("nothing to change: give `--set PATH=VALUE` or `--from FILE`");
                }
                let path = kind.find(gateway, name).await?;
                let changed = gateway.call(Method::PATCH, &path, Some(&body.into())).await;
                done(args, &format!("{} `{name}` is changed", kind.word), &kind.hint(changed)?);
            }
            Basic::Remove(Names { names }) => {
                for name in names {
                    let gone = kind.hint(gateway.call(Method::DELETE, &kind.find(gateway, name).await?, None).await)?;
                    done(args, &format!("{} `{name}` is removed", kind.word), &gone);
                }
            }
            Basic::Enable(Names { names }) => switch(args, gateway, kind, names, "enable").await?,
            Basic::Disable(Names { names }) => switch(args, gateway, kind, names, "disable").await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn switch(args: &Args, gateway: &Gateway, kind: &Kind, names: &[String], word: &str) -> Result<()> {
    for name in names {
        let answer =
            kind.hint(gateway.post(&format!("{}/{word}", kind.find(gateway, name).await?), &json!({})).await)?;
        done(args, &format!("{} `{name}` is {word}d", kind.word), &answer);
    }
    Ok(())
}

/// Writes a list.
pub(crate) async fn list(args: &Args, gateway: &Gateway, kind: &Kind, which: &List) -> Result<()> {
    table(args, kind, &rows(gateway, kind, which).await?);
    Ok(())
}

/// The rows of a list.
pub(crate) async fn rows(gateway: &Gateway, kind: &Kind, which: &List) -> Result<Vec<Value>> {
    let mut query = Query::default().with_some("q", which.search.as_ref());
    for (name, value) in &which.filters {
        query = query.with(name, value);
    }
    gateway.list(kind.list, &query, which.limit).await
}

/// Writes rows of this kind.
pub(crate) fn table(args: &Args, kind: &Kind, rows: &[Value]) {
    if args.json {
        out::json(&json!({ kind.list: rows }));
    } else if args.quiet {
        rows.iter().for_each(|row| out::line(&out::name(row)));
    } else if rows.is_empty() {
        out::line(&format!("no {}", kind.list));
    } else {
        let heads: Vec<&str> = kind.columns.iter().map(|(head, _)| *head).collect();
        let line = |row: &Value| kind.columns.iter().map(|(_, path)| out::cell_at(row, path)).collect();
        out::table(&heads, rows.iter().map(line).collect());
    }
}

/// Writes one object.
pub(crate) fn one(args: &Args, shown: &Value) {
    if args.json {
        out::json(shown);
    } else {
        out::members(shown, args.quiet);
    }
}

/// Says that something was done.
pub(crate) fn done(args: &Args, words: &str, answer: &Value) {
    if args.json {
        out::json(answer);
    } else if !args.quiet {
        out::line(words);
    }
}

impl Kind {
    /// Where one of them is that people may call by a name which the admin API does not know it by.
    ///
    /// # Errors
    /// Where several have this name.
    pub(crate) async fn find(&self, gateway: &Gateway, name: &str) -> Result<String> {
        let Some(member) = self.called else { return Ok(self.path(name)) };
        let (provider, wanted) = match name.split_once('/') {
            Some((provider, label)) if self.list == "credentials" => (Some(provider), label),
            _ => (None, name),
        };
        let query = Query::default().with("q", &wanted).with_some("provider", provider.as_ref());
        let rows = gateway.list(self.list, &query, None).await.unwrap_or_default();
        let found: Vec<&str> =
            rows.iter().filter(|row| row[member] == *wanted).filter_map(|row| row["id"].as_str()).collect();
        match found.as_slice() {
            [id] => Ok(self.path(id)),
            [] => Ok(self.path(name)),
            several => bail!("several have the name `{name}`; give one of these ids: {}", several.join(", ")),
        }
    }

    /// Where one of them is.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{}", self.list, escaped(name))
    }

    /// Whoever asked for what is not there is told where to look.
    pub(crate) fn hint<T>(&self, asked: Result<T>) -> Result<T> {
        asked.map_err(|error| match error.downcast_ref::<Refused>().map(Refused::code) {
            Some("not_found") => anyhow!("{error}; `polyport {} list` shows what there is", self.command),
            _ => error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_written_as_in_the_configuration_file() {
        let set = ["timeouts.first_byte=5m", "models=[a, b]", "enabled=false", "weight=2", "name=", "proxy=null"];
        let set = set.iter().map(|text| assignment(text).unwrap()).collect();
        let body = Members { set, from: None }.read().unwrap();
        assert_eq!(
            Value::from(body),
            json!({ "timeouts": { "first_byte": "5m" }, "models": ["a", "b"], "enabled": false, "weight": 2, "name": "", "proxy": null })
        );
        assert!(assignment("models").is_err() && assignment("models=[a").is_err() && assignment("=x").is_err());
        let twice = vec![("a".to_owned(), json!(1)), ("a.b".to_owned(), json!(2))];
        assert!(Members { set: twice, from: None }.read().is_err());
    }
}
