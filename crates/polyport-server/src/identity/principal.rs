//! The one who asks the admin API, and how far their rights reach.

use polyport_store::{ClientKey, Role, Stored, User};

use crate::directory::Directory;

/// The one who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// Somebody who has shown nothing.
    Nobody,
    /// A holder of an admin key of the configuration, who may do everything.
    Key {
        /// The name of the key.
        name: String,
        /// Who they say they are (`x-admin-actor`).
        actor: Option<String>,
    },
    /// Somebody on this machine who may read the data folder, and may do everything.
    Local {
        /// Who they are to the system.
        name: String,
        /// Who they say they are (`x-admin-actor`).
        actor: Option<String>,
    },
    /// A user who is signed in.
    User(Box<SignedIn>),
}

/// A user who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The id of their team.
    pub(crate) team: Option<String>,
    /// What the session is found by.
    pub(crate) digest: String,
    /// What requests that change something have to show beside the cookie.
    pub(crate) csrf: String,
    /// How they signed in.
    pub(crate) means: String,
    /// They have to choose another password first.
    pub(crate) must_change: bool,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

/// Whose things somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everybody's.
    All,
    /// Those of a team and its users; its id.
    Team(String),
    /// Those of a user; their id.
    User(String),
    /// Nobody's.
    Nothing,
}

impl Principal {
    /// What they may do; nothing without a sign-in.
    pub(crate) fn role(&self) -> Option<Role> {
        match self {
            Self::Nobody => None,
            Self::Key { .. } | Self::Local { .. } => Some(Role::Admin),
            Self::User(user) => Some(user.role),
        }
    }

    /// Whose things they may see. Lists show no others, and others are not found.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Nobody => Scope::Nothing,
            Self::Key { .. } | Self::Local { .. } => Scope::All,
            Self::User(user) => match (user.role, &user.team) {
                (Role::Admin, _) => Scope::All,
                (Role::Manager, Some(team)) => Scope::Team(team.clone()),
                (Role::Manager, None) | (Role::Member, _) => Scope::User(user.id.clone()),
            },
        }
    }

    /// The user who is signed in, if it is one.
    pub(crate) fn user(&self) -> Option<&SignedIn> {
        match self {
            Self::User(user) => Some(user),
            Self::Nobody | Self::Key { .. } | Self::Local { .. } => None,
        }
    }
}

impl Scope {
    /// Whether a team belongs to it.
    pub(crate) fn holds_team(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Team(team) => team == id,
            Self::User(_) | Self::Nothing => false,
        }
    }

    /// Whether a user belongs to it.
    pub(crate) fn holds_user(&self, user: &Stored<User>) -> bool {
        match self {
            Self::All => true,
            Self::Team(team) => user.value.team.as_ref() == Some(team),
            Self::User(id) => *id == user.id,
            Self::Nothing => false,
        }
    }

    /// Whether a key belongs to it.
    pub(crate) fn holds_key(&self, key: &ClientKey, directory: &Directory) -> bool {
        match (self, &key.user) {
            (Self::All, _) => true,
            (Self::Nothing, _) | (Self::User(_), None) => false,
            (Self::User(id), Some(user)) => user == id,
            (Self::Team(team), None) => key.team.as_ref() == Some(team),
            (Self::Team(team), Some(user)) => {
                directory.user(user).is_some_and(|user| user.value.team.as_ref() == Some(team))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in(role: Role, team: Option<&str>) -> Principal {
        Principal::User(Box::new(SignedIn {
            id: "u".to_owned(),
            name: "ada".to_owned(),
            role,
            team: team.map(str::to_owned),
            digest: String::new(),
            csrf: String::new(),
            means: "password".to_owned(),
            must_change: false,
            created_at: 0,
            expires_at: 0,
        }))
    }

    #[test]
    fn a13_rights_reach_as_far_as_the_role() {
        assert_eq!(Principal::Nobody.scope(), Scope::Nothing);
        assert_eq!(Principal::Key { name: "k".to_owned(), actor: None }.scope(), Scope::All);
        assert_eq!(signed_in(Role::Admin, Some("t")).scope(), Scope::All);
        assert_eq!(signed_in(Role::Manager, Some("t")).scope(), Scope::Team("t".to_owned()));
        assert_eq!(signed_in(Role::Manager, None).scope(), Scope::User("u".to_owned()));
        assert_eq!(signed_in(Role::Member, Some("t")).scope(), Scope::User("u".to_owned()));
        assert!(Scope::Team("t".to_owned()).holds_team("t") && !Scope::Team("t".to_owned()).holds_team("s"));
        assert!(!Scope::User("t".to_owned()).holds_team("t"));
    }
}
