//! Who may do what at the admin API, and how they show who they are.
//!
//! | module | what |
//! |---|---|
//! | `principal` | the one who asks, and how far their rights reach |
//! | `access` | finding out who asks |
//! | `password` | passwords: rules, hashing, a bound on how much of it happens at once |
//! | `throttle` | back-off for whoever guesses |
//! | `setup` | the code that makes the first admin |
//! | `session` | cookies, and what keeps other sites from using them |
//! | `oidc` | signing in elsewhere |
//! | `audit` | what was done, by whom |

pub(crate) mod access;
pub(crate) mod audit;
pub(crate) mod oidc;
pub(crate) mod password;
pub(crate) mod principal;
pub(crate) mod session;
pub(crate) mod setup;
pub(crate) mod throttle;

use std::sync::Arc;
use std::time::Duration;

use polyport_store::{Error, Password, Role, Store, User};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock;
use crate::config::Config;
use password::Hashing;
use setup::Setup;
use throttle::Throttle;

pub use password::{Unfit, hash as hash_password, is_fit as is_fit_password, make as make_password};

/// How often what has ended is forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// So many entries of the audit log are kept at most.
const MOST_ENTRIES: i64 = 1_000_000;

/// What the admin API knows of people beside the directory.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) store: Option<Store>,
    pub(crate) hashing: Hashing,
    /// Those who guess passwords and admin keys.
    pub(crate) throttle: Throttle,
    /// Those who guess keys of clients.
    pub(crate) guesses: Throttle,
    pub(crate) setup: Setup,
    /// Where people sign in elsewhere.
    pub(crate) issuer: oidc::issuer::Issuer,
}

impl Identity {
    /// Makes the first admin where the environment gives a password, or a code for whoever sits at the terminal.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(crate) async fn open(store: Option<Store>, config: &Config) -> Result<Self, Error> {
        let mut setup = Setup::closed();
        if let Some(store) = &store
            && store.identities().admins().await? == 0
        {
            match &config.access.first_password {
                Some(first) => first_admin(store, first.expose(), config).await?,
                None if !config.access.has_admin_keys() => setup = Setup::open(),
                None => {}
            }
        }
        Ok(Self { store, setup, ..Self::without_people() })
    }

    /// Of a gateway without a database.
    pub(crate) fn without_people() -> Self {
        Self {
            store: None,
            hashing: Hashing::default(),
            throttle: Throttle::of_admins(),
            guesses: Throttle::of_clients(),
            setup: Setup::closed(),
            issuer: oidc::issuer::Issuer::default(),
        }
    }
}

/// Makes `admin` with the password of the environment. One that others may know has to be changed at once.
async fn first_admin(store: &Store, given: &str, config: &Config) -> Result<(), Error> {
    const NAME: &str = "admin";
    let weak = password::is_fit(given, NAME).err();
    if weak.is_some() && config.listen.is_public() {
        tracing::warn!("ADMIN_PASSWORD can be guessed, and others can reach this gateway: it was not taken");
        return Ok(());
    }
    let text = given.to_owned();
    let Some(hash) = crate::tasks::off_worker(move || password::hash(&text)).await else { return Ok(()) };
    let user = User { name: NAME.to_owned(), enabled: true, team: None, role: Role::Admin, definition: json!({}) };
    let password = Password { hash, must_change: weak.is_some() };
    match store.identities().create_with_password(user, &password, clock::now_signed(), true).await {
        Ok(_) => {
            tracing::info!(must_change = password.must_change, "the user `admin` was made with ADMIN_PASSWORD");
            Ok(())
        }
        Err(Error::Taken { .. }) => {
            tracing::warn!("there is a user `admin` already, who has no say: ADMIN_PASSWORD was not taken");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Forgets what has ended, from time to time, until it is cancelled.
pub(crate) async fn keep_tidy(app: Arc<App>, cut: CancellationToken) {
    let Some(store) = &app.identity.store else { return };
    let work = async {
        loop {
            let (now, access) = (clock::now_signed(), app.runtime().config.access.sessions);
            // That the database is away is told by whoever writes.
            store.identities().prune(now, now - millis(access.idle)).await.ok();
            store.audit().prune(now - millis(access.audit), MOST_ENTRIES).await.ok();
            tokio::time::sleep(TIDY).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = cut.cancelled() => {}
    }
}

/// A time in milliseconds.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}
