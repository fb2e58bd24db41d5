//! Signing in elsewhere: `OpenID` Connect with authorization code and PKCE.
//!
//! | module | what |
//! |---|---|
//! | [`flow`] | what goes through the browser |
//! | [`issuer`] | what is asked of the identity provider |
//! | [`claims`] | whether an ID token is good, and what its groups give |

pub(crate) mod claims;
pub(crate) mod flow;
pub(crate) mod issuer;

/// Why nobody is signed in. None of them holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failed {
    /// The provider cannot be asked now, or answers what nobody can use.
    #[error("the identity provider cannot be used now: {0}")]
    Away(String),
    /// What came back does not belong to what was begun here.
    #[error("{0}; begin again at /admin/api/oidc/start")]
    Foreign(&'static str),
    /// The provider did not let them in.
    #[error("the identity provider answered `{0}`")]
    Refused(String),
    /// The token is not good.
    #[error("the ID token is not good: {0}")]
    Token(String),
    /// No group gives a role.
    #[error("none of your groups has a role here; an admin maps them in `access.oidc.roles`")]
    NoRole,
    /// A manager without a team.
    #[error("your groups make you a manager, but of no team; an admin maps them in `access.oidc.teams`")]
    NoTeam,
}
