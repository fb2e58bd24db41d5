//! Signing in elsewhere: `access.oidc`.

use polyport_types::{Secret, Text};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::check::{Context, steps};
use super::file::File;
use super::units::{Named, Several};

/// People sign in at an identity provider that speaks `OpenID` Connect. Groups it tells of give roles and teams.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OidcFile {
    /// The provider's address, as its tokens name it. What else is needed is read from `/.well-known/openid-configuration` below it.
    #[schemars(example = &"https://id.example.com/realms/main")]
    pub(super) issuer: String,
    /// What Polyport is called there.
    pub(super) client_id: String,
    /// Its secret: `env:NAME` or `file:PATH`. Default: none, for public clients; PKCE is used in any case.
    #[schemars(example = &"env:OIDC_SECRET")]
    pub(super) client_secret: Option<String>,
    /// Where browsers reach this gateway. The provider has to allow the redirect to `/admin/api/oidc/callback` there.
    #[schemars(example = &"https://gateway.example.com")]
    pub(super) url: String,
    /// Scopes to ask for, beside `openid`. Default: `[profile, email]`.
    pub(super) scopes: Option<Several<String>>,
    /// The claim that lists groups; a dot goes into an object (`realm_access.roles`). Default: `groups`.
    pub(super) groups_claim: Option<String>,
    /// The claim that new users are named by. Default: `preferred_username`, otherwise `email`.
    pub(super) name_claim: Option<String>,
    /// Groups and the role that each gives. Whoever is in none is not let in.
    pub(super) roles: OidcRoles,
    /// Teams by group: the members of a group belong to this team, which has to be there.
    pub(super) teams: Named<String>,
}

/// Groups and the role that each gives. The highest counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OidcRoles {
    /// Groups of admins.
    pub(super) admin: Several<String>,
    /// Groups of managers, who need a team.
    pub(super) manager: Several<String>,
    /// Groups of members.
    pub(super) member: Several<String>,
}

/// Signing in elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// The provider's address, as its tokens name it.
    pub issuer: Text,
    /// What Polyport is called there.
    pub client_id: Text,
    /// Its secret; public clients have none.
    pub client_secret: Option<Secret>,
    /// Where browsers reach this gateway, without a slash at the end.
    pub url: Text,
    /// Scopes to ask for, `openid` among them.
    pub scopes: Vec<Text>,
    /// The steps to the claim that lists groups.
    pub groups_claim: Vec<Text>,
    /// Claims that new users are named by, the best first.
    pub name_claims: Vec<Text>,
    /// Groups of admins.
    pub admins: Vec<Text>,
    /// Groups of managers.
    pub managers: Vec<Text>,
    /// Groups of members.
    pub members: Vec<Text>,
    /// Groups and their teams, by name.
    pub teams: Vec<(Text, Text)>,
}

/// Whether an address is one that secrets may go to: HTTPS, or this machine.
pub(crate) fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let on_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    plain && (url.scheme() == "https" || url.scheme() == "http" && on_loopback)
}

pub(super) fn check(file: &File, context: &mut Context<'_>) -> Option<Oidc> {
    let given = file.access.oidc.as_ref()?;
    let mut good = true;
    for (name, value) in [("issuer", &given.issuer), ("url", &given.url)] {
        if !is_safe(value) {
            good = false;
            let remedy = "write it like https://id.example.com; plain HTTP goes for this machine only";
            context.error(&steps!["access", "oidc", name], "this is no address that secrets may go to", remedy);
        }
    }
    if given.client_id.trim().is_empty() {
        good = false;
        context.error(
            &steps!["access", "oidc", "client_id"],
            "it is missing",
            "the provider shows it where Polyport is registered",
        );
    }
    let roles = &given.roles;
    if roles.admin.0.is_empty() && roles.manager.0.is_empty() && roles.member.0.is_empty() {
        good = false;
        let remedy = "name groups: roles: { admin: [operators], member: [everybody] }";
        context.error(&steps!["access", "oidc", "roles"], "no group has a role, so nobody would be let in", remedy);
    }
    let client_secret = match given.client_secret.as_deref().map(|text| context.secret(text)) {
        None => None,
        Some(Ok(found)) => Some(found.secret),
        Some(Err(missing)) => {
            good = false;
            context.error(
                &steps!["access", "oidc", "client_secret"],
                missing.to_string(),
                "set it, or remove the line",
            );
            None
        }
    };
    let texts = |list: &Several<String>| list.0.iter().map(|text| Text::from(text.as_str())).collect::<Vec<_>>();
    let usual = || ["profile", "email"].map(Text::from).to_vec();
    let mut scopes = vec![Text::from("openid")];
    scopes.extend(given.scopes.as_ref().map_or_else(usual, texts).into_iter().filter(|scope| **scope != *"openid"));
    let name_claims = match &given.name_claim {
        Some(claim) => vec![Text::from(claim.as_str())],
        None => ["preferred_username", "email"].map(Text::from).to_vec(),
    };
    good.then(|| Oidc {
        issuer: given.issuer.as_str().into(),
        client_id: given.client_id.trim().into(),
        client_secret,
        url: given.url.trim_end_matches('/').into(),
        scopes,
        groups_claim: given.groups_claim.as_deref().unwrap_or("groups").split('.').map(Text::from).collect(),
        name_claims,
        admins: texts(&roles.admin),
        managers: texts(&roles.manager),
        members: texts(&roles.member),
        teams: given.teams.0.iter().map(|(group, team)| (group.as_str().into(), team.as_str().into())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_https_or_this_machine() {
        for (address, safe) in [
            ("https://id.example", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]/", true),
            ("http://localhost", true),
            ("http://id.example", false),
            ("http://localhost.evil.example", false),
            ("https://u:p@id.example", false),
            ("ftp://id.example", false),
            ("id.example", false),
        ] {
            assert_eq!(is_safe(address), safe, "{address}");
        }
    }
}
