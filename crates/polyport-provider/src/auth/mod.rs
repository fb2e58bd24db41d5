//! Credentials that live: OAuth accounts whose tokens expire and are refreshed.
//!
//! | module | what |
//! |---|---|
//! | [`oauth`] | one refresh: what goes to the token server, what its answer means |
//! | [`account`] | the life of an account: when to refresh, once at a time, saved before use |
//! | `google`, `assertion` | Google's key files, and the signed statements of service accounts |
//! | [`aws`] | access keys of AWS, which sign requests |
//! | [`tokens_file`] | accounts kept in a JSON file that other programs also read |

pub mod account;
mod assertion;
pub mod aws;
mod google;
pub mod oauth;
pub mod tokens_file;

pub use account::{Account, Authorized, Due, Keep, SaveError, Spawn, Standing};
pub use assertion::KeyError;
pub use aws::{AwsKey, AwsKeyError};
pub use google::{GoogleKey, GoogleKeyError};
pub use oauth::{BodyForm, Grant, RefreshError, TokenServer, Tokens};
pub use tokens_file::{Project, TokensFile, TokensFileError};
