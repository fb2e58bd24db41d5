//! All SQL: what outlives a restart, in SQLite or, with the same statements, in Postgres.
//!
//! | module | what |
//! |---|---|
//! | [`db`] | [`Store`]: opening, connections, transactions, the number of changes |
//! | `engine`, `location`, `lock`, `migrate` | where the database is, one process per file, the schema |
//! | [`key`], `seal` | the master key, and values that only it opens |
//! | [`table`] | objects with a revision: list, get, create, update, delete |
//! | [`providers`], [`credentials`], [`pools`], [`routes`], [`declared`] | those objects |
//! | [`people`] | teams, users, and the keys of their programs |
//! | [`identity`] | how people sign in, and where they are signed in |
//! | [`audit`] | what was done |
//! | [`secrets`] | what is sealed of them |
//! | [`health`] | counters of credentials |
//! | [`lease`] | turns that processes take at what only one of them may do |
//! | [`settings`], [`kept`] | single values; what is remembered between requests for a time |
//! | [`log`] | requests that have ended: ledger, request log, statistics |
//! | [`foreign`] | databases of other programs, which are only read |
//! | [`backup()`], [`rotate`] | copies of the database, a new master key |
//!
//! Nothing here is on the path of a request: the gateway answers from a snapshot in memory and goes on with it while the database is away
//! ([`Error::Unavailable`]). Every wait has a bound.

pub mod audit;
mod backup;
pub mod batch;
pub mod credentials;
pub mod db;
pub mod declared;
mod engine;
pub mod error;
pub mod foreign;
pub mod health;
pub mod identity;
pub mod kept;
pub mod key;
pub mod lease;
mod location;
mod lock;
pub mod log;
mod migrate;
pub mod people;
pub mod pools;
pub mod providers;
pub mod rotate;
pub mod routes;
mod seal;
pub mod secrets;
pub mod settings;
pub mod table;
#[cfg(test)]
mod tests;

pub use audit::{Audit, Entry as AuditEntry, Filter as AuditFilter};
pub use backup::{RestoreError, Restored, backup, restore};
pub use batch::{Batch, Made};
pub use credentials::{Credential, Credentials, NewCredential};
pub use db::{Store, Timeouts};
pub use declared::Declared;
pub use error::{Error, OpenError};
pub use health::{Health, Tally};
pub use identity::{Identities, NewSession, Password, Session, Subject};
pub use kept::{Bounds, Keep, Kind, Name};
pub use key::{KeyError, KeyId, MasterKey};
pub use lease::{Lease, Leases};
pub use location::{check_url, default_url, log_url};
pub use lock::Turn;
pub use people::{ClientKey, Role, Team, User};
pub use pools::Pool;
pub use providers::Provider;
pub use rotate::Rotated;
pub use routes::Route;
pub use secrets::{Held, Tokens};
pub use table::{Stored, Table};
