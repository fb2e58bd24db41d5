//! Accounts in a JSON file that people and other programs also read and write.
//!
//! ```json
//! { "oauth_config": { "client_id": "…", "client_secret": "…", "token_url": "…" },
//!   "projects": [ { "project_id": "…", "refresh_token": "…", "access_token": null, "expires_at": null } ] }
//! ```
//!
//! Members this does not know are left as they are. The file holds secrets: it is kept readable for its owner only.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use http::Uri;
use parking_lot::Mutex;
use polyport_types::{Secret, Text};
use serde_json::{Map, Value};

use super::oauth::{BodyForm, Grant, TokenServer, Tokens};

/// Where Google's tokens come from: what a file means that names no address.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";

/// A file is not read beyond this; ten thousand accounts fit.
const LONGEST: u64 = 64 << 20;

/// One change at a time, whoever makes it: a change reads the whole file and writes it again, and each account has a value of its own.
static WRITING: Mutex<()> = Mutex::new(());

/// A file of accounts.
#[derive(Debug)]
pub struct TokensFile {
    path: PathBuf,
}

/// One account of the file.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its place in the list, from 0.
    pub index: usize,
    /// The project requests are made for; accounts of other kinds have none.
    pub project_id: Option<Text>,
    /// Its tokens.
    pub tokens: Tokens,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensFileError {
    /// It cannot be read or written.
    #[error("`{path}` {doing}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// It is no JSON.
    #[error("`{path}` is not JSON: {error}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Line and column; never the content.
        error: Text,
    },
    /// A member is missing or of the wrong kind.
    #[error("`{path}`: {at} {wrong}")]
    Member {
        /// The file.
        path: PathBuf,
        /// Which one.
        at: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// The account is in the file no more.
    #[error("`{path}` holds the account no more: it was changed by somebody else")]
    Gone {
        /// The file.
        path: PathBuf,
    },
}

/// What a file holds: where its tokens come from, its accounts, and what is wrong with the others.
#[derive(Debug)]
pub struct Read {
    /// Where the tokens come from.
    pub server: TokenServer,
    /// Accounts that can be used.
    pub projects: Vec<Project>,
    /// Entries that cannot.
    pub broken: Vec<TokensFileError>,
}

impl TokensFile {
    /// The file at this path, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it. An entry that cannot be used does not keep the others from being used.
    ///
    /// # Errors
    /// [`TokensFileError`] when nothing of it can be used.
    pub fn read(&self) -> Result<Read, TokensFileError> {
        let root = self.parse()?;
        let server = self.server(&root)?;
        let projects = root.get("projects").and_then(Value::as_array);
        let projects = projects.ok_or_else(|| self.member("projects".to_owned(), "is missing or no list"))?;
        let mut read = Read { server, projects: Vec::new(), broken: Vec::new() };
        for (index, entry) in projects.iter().enumerate() {
            match self.project(index, entry) {
                Ok(project) => read.projects.push(project),
                Err(error) => read.broken.push(error),
            }
        }
        Ok(read)
    }

    /// Writes the tokens of the account whose refresh token is `before`; everything else stays as it is now, not as it was when it was
    /// last read. The change is durable when this returns.
    ///
    /// # Errors
    /// [`TokensFileError`]; the file is then as it was.
    pub fn save(&self, before: &Secret, tokens: &Tokens) -> Result<(), TokensFileError> {
        let _one_at_a_time = WRITING.lock();
        let mut root = self.parse()?;
        let entries = root.get_mut("projects").and_then(Value::as_array_mut).into_iter().flatten();
        let is_it = |entry: &&mut Value| {
            let token = entry.get("refresh_token").and_then(Value::as_str);
            // A file that was saved before the process died holds the new one already.
            token == Some(before.expose()) || token == Some(tokens.refresh.expose())
        };
        let mut found = false;
        for entry in entries.filter(is_it) {
            let Some(entry) = entry.as_object_mut() else { continue };
            found = true;
            entry.insert("refresh_token".to_owned(), tokens.refresh.expose().into());
            let access = tokens.access.as_ref().map(|token| token.expose().to_owned());
            entry.insert("access_token".to_owned(), access.into());
            let expires = written(tokens.expires_at_ms, entry.get("expires_at"));
            entry.insert("expires_at".to_owned(), expires);
        }
        if !found {
            return Err(TokensFileError::Gone { path: self.path.clone() });
        }
        self.write(&root)
    }

    fn parse(&self) -> Result<Value, TokensFileError> {
        let io = |error| TokensFileError::Io { path: self.path.clone(), doing: "cannot be read", error };
        if std::fs::metadata(&self.path).map_err(io)?.len() > LONGEST {
            return Err(io(io::Error::other("it is too large")));
        }
        let text = std::fs::read_to_string(&self.path).map_err(io)?;
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| TokensFileError::Json {
            path: self.path.clone(),
            error: format!("line {}, column {}", error.line(), error.column()).into(),
        })
    }

    fn server(&self, root: &Value) -> Result<TokenServer, TokensFileError> {
        let config = root.get("oauth_config").and_then(Value::as_object);
        let config = config.ok_or_else(|| self.member("oauth_config".to_owned(), "is missing or no object"))?;
        let text = |name: &str| text(config, name);
        let client_id =
            text("client_id").ok_or_else(|| self.member("oauth_config.client_id".to_owned(), "is missing or empty"))?;
        let url = text("token_url").unwrap_or(GOOGLE);
        let url: Uri = url
            .parse()
            .ok()
            .filter(|uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")))
            .ok_or_else(|| self.member("oauth_config.token_url".to_owned(), "is no http or https address"))?;
        Ok(TokenServer {
            url,
            fallback: None,
            client_id: client_id.into(),
            client_secret: text("client_secret").map(|secret| Secret::new(secret.to_owned())),
            scope: None,
            body: BodyForm::Form,
            grant: Grant::RefreshToken,
        })
    }

    fn project(&self, index: usize, entry: &Value) -> Result<Project, TokensFileError> {
        let at = |name: &str| format!("projects[{index}]{}{name}", if name.is_empty() { "" } else { "." });
        let object = entry.as_object().ok_or_else(|| self.member(at(""), "is no object"))?;
        let refresh =
            text(object, "refresh_token").ok_or_else(|| self.member(at("refresh_token"), "is missing or empty"))?;
        let expires_at_ms = match object.get("expires_at") {
            None | Some(Value::Null) => None,
            Some(value) => Some(
                instant(value)
                    .ok_or_else(|| self.member(at("expires_at"), "is neither a time nor Unix seconds nor null"))?,
            ),
        };
        Ok(Project {
            index,
            project_id: text(object, "project_id").map(Text::from),
            tokens: Tokens {
                access: text(object, "access_token").map(|token| Secret::new(token.to_owned())),
                expires_at_ms,
                refresh: Secret::new(refresh.to_owned()),
            },
        })
    }

    fn member(&self, at: String, wrong: &'static str) -> TokensFileError {
        TokensFileError::Member { path: self.path.clone(), at, wrong }
    }

    /// Replaces the file in one step.
    fn write(&self, root: &Value) -> Result<(), TokensFileError> {
        let io = |error| TokensFileError::Io { path: self.path.clone(), doing: "cannot be written", error };
        // A link stays a link.
        let path = std::fs::canonicalize(&self.path).map_err(io)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut text = serde_json::to_vec_pretty(root).map_err(|error| io(error.into()))?;
        text.push(b'\n');
        // Made with access for its owner only.
        let mut next = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        next.write_all(&text).map_err(io)?;
        next.as_file().sync_all().map_err(io)?;
        next.persist(&path).map_err(|error| io(error.error))?;
        // The new name is durable only with its folder.
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

/// Unix seconds (also as a fraction), Unix milliseconds, or a time as RFC 3339 text; as Unix milliseconds.
fn instant(value: &Value) -> Option<i64> {
    /// The year 5138 in seconds: what is larger is milliseconds.
    const MILLISECONDS_FROM: f64 = 1e11;
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(number) => number,
            Err(_) => return written_time(text.trim()),
        },
        _ => return None,
    };
    let in_range = number.is_finite() && (0.0..1e15).contains(&number);
    in_range.then_some(if number < MILLISECONDS_FROM { (number * 1000.0) as i64 } else { number as i64 })
}

/// A time without a zone is taken as UTC.
fn written_time(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let plain =
        || Some(text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    Some(zoned.or_else(plain)?.as_millisecond())
}

/// An expiry in the form that stands there already; Unix seconds where none does.
fn written(expires_at_ms: Option<i64>, there: Option<&Value>) -> Value {
    let Some(millis) = expires_at_ms else { return Value::Null };
    match there {
        Some(Value::String(text)) if text.trim().parse::<f64>().is_err() => {
            jiff::Timestamp::from_millisecond(millis).map_or(Value::Null, |time| time.to_string().into())
        }
        Some(Value::Number(number)) if number.as_f64().is_some_and(|number| number >= 1e11) => millis.into(),
        Some(Value::Number(number)) if number.is_f64() => (millis as f64 / 1000.0).into(),
        _ => (millis / 1000).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{
  "comment": "keep me",
  "oauth_config": { "client_id": "id", "client_secret": "sec", "token_url": "http://127.0.0.1:1/token" },
  "projects": [
    { "project_id": "one", "refresh_token": "r1", "access_token": null, "expires_at": null, "note": [1, 2] },
    { "project_id": "two", "refresh_token": "r2", "access_token": "a2", "expires_at": 1700000000.5 },
    { "project_id": "broken" }
  ]
}"#;

    fn file(text: &str) -> (tempfile::TempDir, TokensFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.json");
        std::fs::write(&path, text).unwrap();
        (folder, TokensFile::new(path))
    }

    #[test]
    fn a_broken_entry_leaves_the_others() {
        let (_folder, file) = file(SAMPLE);
        let read = file.read().unwrap();
        let ids: Vec<_> = read.projects.iter().map(|project| project.project_id.clone().unwrap()).collect();
        assert_eq!(ids, ["one", "two"]);
        assert_eq!(read.projects[1].tokens.expires_at_ms, Some(1_700_000_000_500));
        assert!(read.broken[0].to_string().contains("projects[2].refresh_token is missing"), "{}", read.broken[0]);
        assert_eq!(read.server.client_id, "id");
    }

    #[test]
    fn s1_17_accounts_that_are_refreshed_at_the_same_time_are_all_written() {
        const ACCOUNTS: usize = 16;
        let projects: Vec<Value> =
            (0..ACCOUNTS).map(|number| serde_json::json!({ "refresh_token": format!("r{number}") })).collect();
        let oauth = serde_json::json!({ "client_id": "id" });
        let (_folder, file) = file(&serde_json::json!({ "oauth_config": oauth, "projects": projects }).to_string());
        std::thread::scope(|scope| {
            for number in 0..ACCOUNTS {
                let own = TokensFile::new(file.path());
                scope.spawn(move || {
                    let refresh = Secret::new(format!("r{number}-next"));
                    let tokens = Tokens { access: None, expires_at_ms: None, refresh };
                    own.save(&Secret::new(format!("r{number}")), &tokens).unwrap();
                });
            }
        });
        let read = file.read().unwrap();
        let kept = read.projects.iter().filter(|project| project.tokens.refresh.expose().ends_with("-next")).count();
        assert_eq!(kept, ACCOUNTS);
    }

    #[test]
    fn saving_changes_one_account_and_nothing_else() {
        let (_folder, file) = file(SAMPLE);
        let tokens = Tokens {
            access: Some(Secret::new("new".to_owned())),
            expires_at_ms: Some(1_800_000_000_000),
            refresh: Secret::new("r1b".to_owned()),
        };
        file.save(&Secret::new("r1".to_owned()), &tokens).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let changed: Value = serde_json::from_str(&text).unwrap();
        let mut expected: Value = serde_json::from_str(SAMPLE).unwrap();
        expected["projects"][0]["refresh_token"] = "r1b".into();
        expected["projects"][0]["access_token"] = "new".into();
        expected["projects"][0]["expires_at"] = 1_800_000_000.into();
        assert_eq!(changed, expected);
        assert!(text.find("comment").unwrap() < text.find("oauth_config").unwrap(), "the order stays");
        // The answer of a second save that did not see the first one.
        file.save(&Secret::new("r1".to_owned()), &tokens).unwrap();
        assert!(matches!(
            file.save(&Secret::new("nobody".to_owned()), &Tokens { refresh: Secret::new("x".to_owned()), ..tokens }),
            Err(TokensFileError::Gone { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn s1_21_the_file_is_for_its_owner_only_and_a_link_stays_one() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, file) = file(SAMPLE);
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(file.path(), &link).unwrap();
        let before = Secret::new("r2".to_owned());
        let tokens = Tokens { access: None, expires_at_ms: None, refresh: Secret::new("r3".to_owned()) };
        TokensFile::new(&link).save(&before, &tokens).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(file.path()).unwrap().contains("\"r3\""));
    }

    #[test]
    fn times_are_read_in_every_form_and_written_in_the_one_that_was_there() {
        let cases = [
            ("1700000000", "1800000000"),
            ("1700000000.5", "1800000000.0"),
            ("1700000000000", "1800000000000"),
            ("\"2023-11-14T22:13:20Z\"", "\"2027-01-15T08:00:00Z\""),
            ("\"2023-11-14T22:13:20\"", "\"2027-01-15T08:00:00Z\""),
            ("null", "1800000000"),
        ];
        for (there, wanted) in cases {
            let there: Value = serde_json::from_str(there).unwrap();
            if !there.is_null() {
                assert_eq!(instant(&there).unwrap() / 1000, 1_700_000_000, "{there}");
            }
            assert_eq!(written(Some(1_800_000_000_000), Some(&there)).to_string(), wanted);
        }
        for wrong in ["\"soon\"", "[]", "-1", "1e300"] {
            assert_eq!(instant(&serde_json::from_str(wrong).unwrap()), None, "{wrong}");
        }
    }

    #[test]
    fn mistakes_are_named_without_the_content() {
        for (text, wanted) in [
            ("{ nope", "is not JSON: line 1"),
            ("{}", "oauth_config is missing"),
            (r#"{"oauth_config":{"client_id":"x","token_url":"ftp://h"},"projects":[]}"#, "token_url is no http"),
            (r#"{"oauth_config":{"client_id":"x"}}"#, "projects is missing"),
        ] {
            let (_folder, file) = file(text);
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(TokensFile::new("/nonexistent/tokens.json").read().is_err());
    }
}
