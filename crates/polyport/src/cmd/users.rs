//! `polyport users`.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use polyport_server::identity::{is_fit_password, make_password};
use serde_json::{Value, json};

use super::crud::{self, Basic, Kind, List, Members, Names, One};
use crate::args::Args;
use crate::gateway::{self, Aim, Refused, object};
use crate::out;

static KIND: Kind = Kind {
    word: "user",
    list: "users",
    command: "users",
    called: None,
    columns: &[
        ("name", "name"),
        ("role", "role"),
        ("team", "team"),
        ("enabled", "enabled"),
        ("keys", "keys"),
        ("id", "id"),
    ],
};

/// More is no password.
const LONGEST_INPUT: u64 = 4096;

/// What to do with people
#[derive(Debug, ClapArgs)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    what: Option<Users>,
}

#[derive(Debug, Subcommand)]
enum Users {
    #[command(flatten)]
    Basic(Basic),
    /// Make one; `set-password` lets them sign in
    #[command(visible_alias = "create")]
    Add(Add),
    /// Give somebody another password, or make an admin of this name
    ///
    /// The password is the first line of standard input. At a terminal, and where that is empty, one is made and shown. The user is signed out
    /// everywhere.
    SetPassword(SetPassword),
    /// Sign somebody out everywhere
    SignOut(Names),
    /// Take somebody's name, addresses and words out of the log; sums stay
    Forget(One),
}

#[derive(Debug, ClapArgs)]
struct Add {
    /// Their name
    name: String,
    /// Their team
    #[arg(long)]
    team: Option<String>,
    /// admin, manager or member [default: member]
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    members: Members,
}

#[derive(Debug, ClapArgs)]
struct SetPassword {
    /// The user's name
    name: String,
    /// Make a password, and do not read standard input
    #[arg(long)]
    generate: bool,
}

pub(crate) fn run(args: &Args, what: &UsersArgs) -> Result<ExitCode> {
    let list = Users::Basic(Basic::List(List::default()));
    match what.what.as_ref().unwrap_or(&list) {
        Users::Basic(basic) => crud::basic(args, &KIND, basic),
        Users::Add(new) => {
            let mut body = new.members.read()?;
            body.extend(object([
                ("name", Some(new.name.as_str().into())),
                ("team", new.team.as_deref().map(Value::from)),
                ("role", new.role.as_deref().map(Value::from)),
            ]));
            gateway::run(args, Aim::Change, async |gateway| {
                let made = gateway.post("users", &body.clone().into()).await?;
                let words =
                    format!("user `{0}` is there; `polyport users set-password {0}` lets them sign in", new.name);
                crud::done(args, &words, &made);
                Ok(ExitCode::SUCCESS)
            })
        }
        Users::SetPassword(what) => set_password(args, what),
        Users::SignOut(Names { names }) => gateway::run(args, Aim::Change, async |gateway| {
            for name in names {
                let path = format!("{}/sessions", KIND.path(name));
                let told = KIND.hint(gateway.call(Method::DELETE, &path, None).await)?;
                crud::done(args, &format!("`{name}` is signed out everywhere"), &told);
            }
            Ok(ExitCode::SUCCESS)
        }),
        Users::Forget(One { name }) => gateway::run(args, Aim::Change, async |gateway| {
            let told = KIND.hint(gateway.post(&format!("{}/forget", KIND.path(name)), &json!({})).await)?;
            crud::done(args, &format!("the log does not know `{name}` any more"), &told);
            Ok(ExitCode::SUCCESS)
        }),
    }
}

/// Gives a user a password, and makes an admin of this name where there is nobody who could.
fn set_password(args: &Args, what: &SetPassword) -> Result<ExitCode> {
    let name = what.name.trim();
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        bail!("a name has 1 to 200 bytes, and no control characters");
    }
    let given = if what.generate || std::io::stdin().is_terminal() { None } else { read()? };
    let made = given.is_none();
    let text = given.unwrap_or_else(make_password);
    if let Err(unfit) = is_fit_password(&text, name) {
        bail!("this password {unfit}");
    }
    let new_admin = gateway::run(args, Aim::Change, async |gateway| {
        let known = gateway.get(&KIND.path(name)).await;
        let new = match known {
            Ok(_) => false,
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.code() == "not_found") => true,
            Err(error) => return Err(error),
        };
        if new {
            gateway.post("users", &json!({ "name": name, "role": "admin" })).await?;
        }
        let body = json!({ "password": text, "must_change": false });
        let set = gateway.call(Method::PUT, &format!("{}/password", KIND.path(name)), Some(&body)).await;
        if let (true, Err(error)) = (new, &set) {
            // An admin who cannot sign in is of no use.
            let gone = gateway.call(Method::DELETE, &KIND.path(name), None).await;
            let left = if gone.is_err() {
                format!("; the admin `{name}` is there, without a password")
            } else {
                String::new()
            };
            bail!("{error}{left}");
        }
        set?;
        Ok(new)
    })?;
    if args.json {
        let shown = made.then_some(&text);
        out::json(&json!({ "name": name, "created": new_admin, "password": shown }));
        return Ok(ExitCode::SUCCESS);
    }
    if !args.quiet {
        out::line(&match new_admin {
            true => format!("the admin `{name}` was made"),
            false => format!("`{name}` has another password, and is signed out everywhere"),
        });
    }
    if made {
        out::line(&if args.quiet { text } else { format!("password: {text}") });
    }
    Ok(ExitCode::SUCCESS)
}

/// The password on standard input: its first line. Nothing if there is none.
fn read() -> Result<Option<String>> {
    let mut text = String::new();
    std::io::stdin().take(LONGEST_INPUT).read_to_string(&mut text)?;
    let line = text.lines().next().unwrap_or_default();
    Ok((!line.is_empty()).then(|| line.to_owned()))
}
