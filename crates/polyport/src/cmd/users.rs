//! `polyport users`.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Result, bail};
use polyport_server::config::Purpose;
use polyport_server::identity::{hash_password, is_fit_password, make_password};
use polyport_server::now;
use polyport_store::{Password, Role, User};
use serde_json::json;

use super::store::wait;
use crate::args::{Args, SetPasswordArgs};
use crate::out;

/// More is no password.
const LONGEST_INPUT: u64 = 4096;

/// Gives a user a password, and makes an admin of this name where there is nobody who could.
pub(crate) fn set_password(args: &Args, what: &SetPasswordArgs) -> Result<ExitCode> {
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
    let source = super::source(args);
    let config = source.load(&[], Purpose::Inspect).map_err(|problems| super::refused(&problems))?.config;
    let new_admin = wait(async {
        let store = config.open_store().await?;
        let password = Password { hash: hash_password(&text), must_change: false };
        let at = i64::try_from(now()).unwrap_or(i64::MAX);
        let known = store.identities().password_of(name).await?;
        let new = known.is_none();
        match known {
            Some((user, _)) => store.identities().set_password(&user.id, &password, at, None).await?,
            None => {
                let (name, definition) = (name.to_owned(), json!({}));
                let user = User { name, enabled: true, team: None, role: Role::Admin, definition };
                store.identities().create_with_password(user, &password, at, false).await?;
            }
        }
        store.close().await;
        Ok(new)
    })?;
    if args.json {
        let shown = made.then_some(&text);
        out::json(&json!({ "name": name, "created": new_admin, "password": shown }));
        return Ok(ExitCode::SUCCESS);
    }
    out::line(&match new_admin {
        true => format!("the admin `{name}` was made"),
        false => format!("`{name}` has another password, and is signed out everywhere"),
    });
    if made {
        out::line(&format!("password: {text}"));
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
