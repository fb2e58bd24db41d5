//! How people sign in, and where they are signed in. Nothing here can be used by whoever reads it: passwords are hashes, and of a session the
//! database knows a digest of what its holder shows.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::db::{Store, within};
use crate::error::{Error, is_taken};
use crate::people::{self, User};
use crate::table::{Stored, fetch, flag, insert};

/// A password as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// Of Argon2id, with its parameters.
    pub hash: String,
    /// Nothing else may be done with it than to choose another one.
    pub must_change: bool,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Password").field("must_change", &self.must_change).finish_non_exhaustive()
    }
}

/// An account elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who knows it.
    pub issuer: String,
    /// What it is called there.
    pub subject: String,
}

impl Subject {
    /// Of the whole of both.
    fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [&self.issuer, &self.subject] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// A session to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// What it is found by: a digest of what its holder shows, hexadecimal.
    pub digest: String,
    /// How its holder signed in: `password`, `oidc`.
    pub means: String,
    /// Now, Unix milliseconds.
    pub now: i64,
    /// When it ends at the latest.
    pub expires_at: i64,
}

/// A session and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Who is signed in.
    pub user: Stored<User>,
    /// Whether the team of the user is switched on; true without a team.
    pub team_enabled: bool,
    /// How they signed in.
    pub means: String,
    /// Whether they have to choose another password first.
    pub must_change: bool,
    /// Unix milliseconds.
    pub created_at: i64,
    /// When it was last used, about.
    pub seen_at: i64,
    /// When it ends at the latest.
    pub expires_at: i64,
}

/// Sign-ins and sessions.
#[derive(Clone, Copy, Debug)]
pub struct Identities<'s> {
    store: &'s Store,
}

/// One user is signed in at so many places at most; the oldest sessions go first.
const MOST_SESSIONS: i64 = 50;

impl<'s> Identities<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    /// How many admins can sign in.
    pub async fn admins(&self) -> Result<i64, Error> {
        self.store
            .timed(async {
                let mut connection = self.store.inner().reading.acquire().await?;
                people::admins(&mut connection).await
            })
            .await
    }

    /// The user of this name and the password, if there are any.
    pub async fn password_of(&self, name: &str) -> Result<Option<(Stored<User>, Option<Password>)>, Error> {
        self.store
            .timed(async {
                let mut connection = self.store.inner().reading.acquire().await?;
                let id = sqlx::query("SELECT id FROM users WHERE name = $1").bind(name);
                let Some(row) = id.fetch_optional(&mut *connection).await? else { return Ok(None) };
                let user = fetch::<User>(&mut connection, row.try_get("id")?).await?;
                let row = sqlx::query("SELECT hash, must_change FROM passwords WHERE user_id = $1").bind(&user.id);
                let row = row.fetch_optional(&mut *connection).await?;
                let password = row.map(|row| password(&row)).transpose()?;
                Ok(Some((user, password)))
            })
            .await
    }

    /// Gives somebody a password, and ends what they are signed in to, but for the session of this digest.
    pub async fn set_password(
        &self,
        user: &str,
        password: &Password,
        now: i64,
        but: Option<&str>,
    ) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                fetch::<User>(change.connection(), user).await?;
                let set = sqlx::query(
                    "INSERT INTO passwords (user_id, hash, must_change, changed_at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, must_change = excluded.must_change, \
                     changed_at = excluded.changed_at",
                );
                let set = set.bind(user).bind(password.hash.as_str()).bind(i64::from(password.must_change)).bind(now);
                set.execute(change.connection()).await?;
                let end = sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND digest <> $2");
                end.bind(user).bind(but.unwrap_or_default()).execute(change.connection()).await?;
                change.commit().await
            })
            .await
    }

    /// Makes a user who signs in with a password; `only_first`: if no admin can sign in yet.
    ///
    /// # Errors
    /// [`Error::Taken`] if the name is taken, or there is an admin already.
    pub async fn create_with_password(
        &self,
        user: User,
        password: &Password,
        now: i64,
        only_first: bool,
    ) -> Result<Stored<User>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                // Of two at once, the second one sees the first.
                change.count().await?;
                if only_first && people::admins(change.connection()).await? > 0 {
                    return Err(Error::Taken { what: "first admin", name: user.name });
                }
                let made = insert(&mut change, user).await?;
                let set = sqlx::query(
                    "INSERT INTO passwords (user_id, hash, must_change, changed_at) VALUES ($1, $2, $3, $4)",
                );
                let set = set.bind(&made.id).bind(password.hash.as_str());
                set.bind(i64::from(password.must_change)).bind(now).execute(change.connection()).await?;
                change.commit().await?;
                Ok(made)
            })
            .await
    }

    /// The user who signs in with this account elsewhere.
    pub async fn user_of(&self, subject: &Subject) -> Result<Option<Stored<User>>, Error> {
        self.store
            .timed(async {
                let mut connection = self.store.inner().reading.acquire().await?;
                let id = sqlx::query("SELECT user_id FROM subjects WHERE digest = $1").bind(subject.digest());
                let Some(row) = id.fetch_optional(&mut *connection).await? else { return Ok(None) };
                match fetch::<User>(&mut connection, row.try_get("user_id")?).await {
                    Err(Error::NotFound { .. }) => Ok(None),
                    found => found.map(Some),
                }
            })
            .await
    }

    /// Makes a user who signs in with an account elsewhere.
    ///
    /// # Errors
    /// [`Error::Taken`] if the name or the account is taken.
    pub async fn create_with_subject(&self, user: User, subject: &Subject) -> Result<Stored<User>, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let made = insert(&mut change, user).await?;
                let set =
                    sqlx::query("INSERT INTO subjects (digest, user_id, issuer, subject) VALUES ($1, $2, $3, $4)");
                let set = set.bind(subject.digest()).bind(&made.id);
                let set = set.bind(subject.issuer.as_str()).bind(subject.subject.as_str());
                set.execute(change.connection()).await.map_err(|error| match is_taken(&error) {
                    true => Error::Taken { what: "account", name: subject.subject.clone() },
                    false => error.into(),
                })?;
                change.commit_change().await?;
                Ok(made)
            })
            .await
    }

    /// Begins a session.
    pub async fn begin(&self, user: &str, session: &NewSession) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                fetch::<User>(change.connection(), user).await?;
                let begin = sqlx::query(
                    "INSERT INTO sessions (digest, user_id, means, created_at, seen_at, expires_at) \
                     VALUES ($1, $2, $3, $4, $4, $5)",
                );
                let begin = begin.bind(session.digest.as_str()).bind(user).bind(session.means.as_str());
                begin.bind(session.now).bind(session.expires_at).execute(change.connection()).await?;
                let surplus = sqlx::query(
                    "DELETE FROM sessions WHERE user_id = $1 AND digest NOT IN \
                     (SELECT digest FROM sessions WHERE user_id = $1 ORDER BY seen_at DESC, digest LIMIT $2)",
                );
                surplus.bind(user).bind(MOST_SESSIONS).execute(change.connection()).await?;
                change.commit().await
            })
            .await
    }

    /// The session of this digest, unless it has ended: by its time, or because nobody used it since `idle_since`.
    pub async fn session(&self, digest: &str, now: i64, idle_since: i64) -> Result<Option<Session>, Error> {
        self.store
            .timed(async {
                let mut connection = self.store.inner().reading.acquire().await?;
                let row = sqlx::query(
                    "SELECT user_id, means, created_at, seen_at, expires_at, \
                     COALESCE((SELECT must_change FROM passwords WHERE passwords.user_id = sessions.user_id), 0) AS must_change, \
                     COALESCE((SELECT enabled FROM teams WHERE id = (SELECT team FROM users WHERE id = sessions.user_id)), 1) \
                     AS team_enabled \
                     FROM sessions WHERE digest = $1 AND expires_at > $2 AND seen_at > $3",
                );
                let row = row.bind(digest).bind(now).bind(idle_since).fetch_optional(&mut *connection).await?;
                let Some(row) = row else { return Ok(None) };
                let user = match fetch::<User>(&mut connection, row.try_get("user_id")?).await {
                    Err(Error::NotFound { .. }) => return Ok(None),
                    found => found?,
                };
                Ok(Some(Session {
                    user,
                    team_enabled: flag(&row, "team_enabled")?,
                    means: row.try_get("means")?,
                    must_change: flag(&row, "must_change")?,
                    created_at: row.try_get("created_at")?,
                    seen_at: row.try_get("seen_at")?,
                    expires_at: row.try_get("expires_at")?,
                }))
            })
            .await
    }

    /// A session is in use.
    pub async fn touch(&self, digest: &str, now: i64) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let touch = sqlx::query("UPDATE sessions SET seen_at = $2 WHERE digest = $1 AND seen_at < $2");
                touch.bind(digest).bind(now).execute(change.connection()).await?;
                change.commit().await
            })
            .await
    }

    /// Ends a session.
    pub async fn end(&self, digest: &str) -> Result<(), Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                sqlx::query("DELETE FROM sessions WHERE digest = $1").bind(digest).execute(change.connection()).await?;
                change.commit().await
            })
            .await
    }

    /// Ends everything that somebody is signed in to; says how many sessions that were.
    pub async fn end_all(&self, user: &str) -> Result<u64, Error> {
        self.store
            .timed(async {
                let mut change = self.store.begin().await?;
                let ended = people::end_sessions(&mut change, user).await?;
                change.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Forgets sessions that have ended.
    pub async fn prune(&self, now: i64, idle_since: i64) -> Result<u64, Error> {
        within(self.store.inner().timeouts.bulk, async {
            let mut change = self.store.begin().await?;
            let prune = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR seen_at <= $2");
            let gone = prune.bind(now).bind(idle_since).execute(change.connection()).await?.rows_affected();
            change.commit().await?;
            Ok(gone)
        })
        .await
    }
}

fn password(row: &AnyRow) -> Result<Password, Error> {
    Ok(Password { hash: row.try_get("hash")?, must_change: flag(row, "must_change")? })
}
