//! Credentials that live: OAuth accounts whose tokens expire and are refreshed.
//!
//! | module | what |
//! |---|---|
//! | [`oauth`] | one refresh: what goes to the token server, what its answer means |
//! | [`account`] | the life of an account: when to refresh, once at a time, saved before use |
//! | [`tokens_file`] | accounts kept in a JSON file that other programs also read |

pub mod account;
pub mod oauth;
pub mod tokens_file;

pub use account::{Account, Authorized, Due, Keep, SaveError, Spawn, Standing};
pub use oauth::{BodyForm, RefreshError, TokenServer, Tokens};
pub use tokens_file::{Project, TokensFile, TokensFileError};
