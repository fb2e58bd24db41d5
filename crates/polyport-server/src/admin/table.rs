//! Every endpoint of the admin API, on one screen.
//!
//! What a path leads to, the methods that it takes and who may use it come from this table alone.

use http::Method;
use polyport_store::Role;

use super::credentials::Act;
use super::people::{Ask as About, Kind as Of};
use super::session::Ask as Door;
use super::tokens::Ask as Tokens;
use super::usage::Ask as Usage;
use super::{Ask, What};

/// Who may use an endpoint. What it is about has to be theirs as well: see [`Scope`](crate::identity::principal::Scope).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// Also those who have not shown who they are.
    Anyone,
    /// Users who are signed in.
    Members,
    /// Those who see to a team.
    Managers,
    /// Those who may do everything, and holders of admin keys.
    Admins,
}

impl Who {
    /// Whether somebody with this role may use it.
    pub(super) fn allows(self, role: Option<Role>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Members => role >= Some(Role::Member),
            Self::Managers => role >= Some(Role::Manager),
            Self::Admins => role >= Some(Role::Admin),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Members => "member",
            Self::Managers => "manager",
            Self::Admins => "admin",
        }
    }
}

/// One method of one path.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// Behind [`super::ROOT`]; `{id}` stands for one segment.
    pub(super) path: &'static str,
    /// Its name, which no other has.
    pub(super) operation: &'static str,
    pub(super) who: Who,
    pub(super) ask: Ask,
}

const fn get(path: &'static str, operation: &'static str, ask: Ask) -> Endpoint {
    Endpoint { method: Method::GET, path, operation, who: Who::Admins, ask }
}

/// For more than admins.
const fn get_for(who: Who, path: &'static str, operation: &'static str, ask: Ask) -> Endpoint {
    Endpoint { method: Method::GET, path, operation, who, ask }
}

const fn put(path: &'static str, operation: &'static str, who: Who, ask: Ask) -> Endpoint {
    Endpoint { method: Method::PUT, path, operation, who, ask }
}

const fn post(path: &'static str, operation: &'static str, who: Who, ask: Ask) -> Endpoint {
    Endpoint { method: Method::POST, path, operation, who, ask }
}

const fn patch(path: &'static str, operation: &'static str, who: Who, ask: Ask) -> Endpoint {
    Endpoint { method: Method::PATCH, path, operation, who, ask }
}

const fn delete(path: &'static str, operation: &'static str, who: Who, ask: Ask) -> Endpoint {
    Endpoint { method: Method::DELETE, path, operation, who, ask }
}

/// Where two paths fit, the upper one is meant.
pub(super) static TABLE: &[Endpoint] = &[
    get("providers", "listProviders", Ask::Providers),
    post("providers", "createProvider", Who::Admins, Ask::Create(What::Provider)),
    post("providers/try", "tryProvider", Who::Admins, Ask::Try),
    get("providers/{id}", "getProvider", Ask::Provider),
    patch("providers/{id}", "changeProvider", Who::Admins, Ask::Change(What::Provider)),
    delete("providers/{id}", "deleteProvider", Who::Admins, Ask::Delete(What::Provider)),
    post("providers/{id}/enable", "enableProvider", Who::Admins, Ask::Switch(What::Provider, true)),
    post("providers/{id}/disable", "disableProvider", Who::Admins, Ask::Switch(What::Provider, false)),
    get("providers/{id}/models", "listModelsOfProvider", Ask::ProviderModels),
    get("providers/{id}/learned", "getLearnedOfProvider", Ask::Learned),
    delete("providers/{id}/learned", "forgetLearnedOfProvider", Who::Admins, Ask::Forget),
    get("credentials", "listCredentials", Ask::Credentials),
    post("credentials", "createCredential", Who::Admins, Ask::Create(What::Credential)),
    get("credentials/statistics", "getCredentialStatistics", Ask::Statistics),
    get("credentials/health", "getCredentialHealth", Ask::Health),
    get("credentials/readiness", "getCredentialReadiness", Ask::Readiness),
    post("credentials/import", "importCredentials", Who::Admins, Ask::Import),
    get("credentials/{id}", "getCredential", Ask::Credential),
    patch("credentials/{id}", "changeCredential", Who::Admins, Ask::Change(What::Credential)),
    delete("credentials/{id}", "deleteCredential", Who::Admins, Ask::Delete(What::Credential)),
    post("credentials/{id}/enable", "enableCredential", Who::Admins, Ask::Act(Act::Enable)),
    post("credentials/{id}/disable", "disableCredential", Who::Admins, Ask::Act(Act::Disable)),
    post("credentials/{id}/refresh", "refreshCredential", Who::Admins, Ask::Act(Act::Refresh)),
    post("credentials/{id}/probe", "probeCredential", Who::Admins, Ask::Act(Act::Probe)),
    post("credentials/{id}/quota", "askQuotaOfCredential", Who::Admins, Ask::Act(Act::Quota)),
    post("credentials/{id}/revive", "reviveCredential", Who::Admins, Ask::Act(Act::Revive)),
    get("tokens", "listTokens", Ask::Tokens(Tokens::List)),
    post("tokens", "createToken", Who::Admins, Ask::Tokens(Tokens::Create)),
    post("tokens/batch-import", "importTokens", Who::Admins, Ask::Tokens(Tokens::BatchImport)),
    post("tokens/batch-delete", "deleteTokens", Who::Admins, Ask::Tokens(Tokens::BatchDelete)),
    post("tokens/refresh-all", "refreshAllTokens", Who::Admins, Ask::Tokens(Tokens::RefreshAll)),
    get("tokens/statistics", "getTokenStatistics", Ask::Tokens(Tokens::Statistics)),
    get("tokens/events", "listTokenEvents", Ask::Tokens(Tokens::Events)),
    get("tokens/health", "getTokenHealth", Ask::Tokens(Tokens::Health)),
    get("tokens/readiness", "getTokenReadiness", Ask::Tokens(Tokens::Readiness)),
    get("tokens/{id}", "getToken", Ask::Tokens(Tokens::One)),
    patch("tokens/{id}", "changeToken", Who::Admins, Ask::Tokens(Tokens::Change)),
    delete("tokens/{id}", "deleteToken", Who::Admins, Ask::Tokens(Tokens::Delete)),
    post("tokens/{id}/refresh", "refreshToken", Who::Admins, Ask::Tokens(Tokens::Refresh)),
    post("tokens/{id}/health-check", "checkToken", Who::Admins, Ask::Tokens(Tokens::HealthCheck)),
    post("tokens/{id}/quota-refresh", "refreshQuotaOfToken", Who::Admins, Ask::Tokens(Tokens::QuotaRefresh)),
    get_for(Who::Managers, "pools", "listPools", Ask::Pools),
    post("pools", "createPool", Who::Admins, Ask::Create(What::Pool)),
    post("pools/preview", "previewPool", Who::Admins, Ask::Preview),
    get("pools/{id}", "getPool", Ask::Pool),
    patch("pools/{id}", "changePool", Who::Admins, Ask::Change(What::Pool)),
    delete("pools/{id}", "deletePool", Who::Admins, Ask::Delete(What::Pool)),
    post("pools/{id}/enable", "enablePool", Who::Admins, Ask::Switch(What::Pool, true)),
    post("pools/{id}/disable", "disablePool", Who::Admins, Ask::Switch(What::Pool, false)),
    get("routes", "listRoutes", Ask::Routes),
    post("routes", "createRoute", Who::Admins, Ask::Create(What::Route)),
    get("routes/{id}", "getRoute", Ask::Route),
    patch("routes/{id}", "changeRoute", Who::Admins, Ask::Change(What::Route)),
    delete("routes/{id}", "deleteRoute", Who::Admins, Ask::Delete(What::Route)),
    post("routes/{id}/enable", "enableRoute", Who::Admins, Ask::Switch(What::Route, true)),
    post("routes/{id}/disable", "disableRoute", Who::Admins, Ask::Switch(What::Route, false)),
    get_for(Who::Members, "models", "listModels", Ask::Models),
    get("prices", "listPrices", Ask::Prices),
    get("presets", "listPresets", Ask::Presets),
    get_for(Who::Members, "clients", "listClients", Ask::Clients),
    get_for(Who::Members, "requests", "listRequests", Ask::Usage(Usage::Requests)),
    get_for(Who::Members, "requests/export", "exportRequests", Ask::Download),
    get_for(Who::Members, "requests/live", "followRequests", Ask::Live),
    get_for(Who::Members, "requests/{id}", "getRequest", Ask::Usage(Usage::Request)),
    get_for(Who::Members, "ledger", "listLedger", Ask::Usage(Usage::Ledger)),
    get_for(Who::Members, "usage", "getUsage", Ask::Usage(Usage::Sums)),
    get_for(Who::Members, "overview", "getOverview", Ask::Overview),
    get("overview/live", "followOverview", Ask::OverviewLive),
    get_for(Who::Members, "quotas", "listQuotas", Ask::Usage(Usage::Quotas)),
    post("import", "importDefinitions", Who::Admins, Ask::Whole),
    get("status", "getStatus", Ask::Status),
    get("problems", "listProblems", Ask::Problems),
    post("explain", "explain", Who::Admins, Ask::Explain),
    get("export", "exportDefinitions", Ask::Export),
    get("settings", "getSettings", Ask::Settings),
    patch("settings", "changeSettings", Who::Admins, Ask::Set),
    get("configuration", "getConfiguration", Ask::Configuration),
    post("backup", "backUp", Who::Admins, Ask::Backup),
    get("notifications", "listNotifications", Ask::Notifications),
    post("notifications/test", "testNotification", Who::Admins, Ask::TestNotification),
    get_for(Who::Anyone, "openapi.json", "getOpenApi", Ask::OpenApi),
    get_for(Who::Managers, "teams", "listTeams", Ask::People(Of::Teams, About::List)),
    post("teams", "createTeam", Who::Admins, Ask::People(Of::Teams, About::Create)),
    get_for(Who::Managers, "teams/{id}", "getTeam", Ask::People(Of::Teams, About::One)),
    patch("teams/{id}", "changeTeam", Who::Admins, Ask::People(Of::Teams, About::Change)),
    delete("teams/{id}", "deleteTeam", Who::Admins, Ask::People(Of::Teams, About::Delete)),
    post("teams/{id}/enable", "enableTeam", Who::Admins, Ask::People(Of::Teams, About::Switch(true))),
    post("teams/{id}/disable", "disableTeam", Who::Admins, Ask::People(Of::Teams, About::Switch(false))),
    get_for(Who::Members, "users", "listUsers", Ask::People(Of::Users, About::List)),
    post("users", "createUser", Who::Managers, Ask::People(Of::Users, About::Create)),
    get_for(Who::Members, "users/{id}", "getUser", Ask::People(Of::Users, About::One)),
    patch("users/{id}", "changeUser", Who::Managers, Ask::People(Of::Users, About::Change)),
    delete("users/{id}", "deleteUser", Who::Managers, Ask::People(Of::Users, About::Delete)),
    post("users/{id}/enable", "enableUser", Who::Managers, Ask::People(Of::Users, About::Switch(true))),
    post("users/{id}/disable", "disableUser", Who::Managers, Ask::People(Of::Users, About::Switch(false))),
    get_for(Who::Members, "keys", "listKeys", Ask::People(Of::Keys, About::List)),
    post("keys", "createKey", Who::Members, Ask::People(Of::Keys, About::Create)),
    get_for(Who::Members, "keys/{id}", "getKey", Ask::People(Of::Keys, About::One)),
    patch("keys/{id}", "changeKey", Who::Members, Ask::People(Of::Keys, About::Change)),
    delete("keys/{id}", "deleteKey", Who::Members, Ask::People(Of::Keys, About::Delete)),
    post("keys/{id}/enable", "enableKey", Who::Members, Ask::People(Of::Keys, About::Switch(true))),
    post("keys/{id}/disable", "disableKey", Who::Members, Ask::People(Of::Keys, About::Switch(false))),
    post("keys/{id}/rotate", "rotateKey", Who::Members, Ask::People(Of::Keys, About::Rotate)),
    put("users/{id}/password", "setPasswordOfUser", Who::Admins, Ask::Door(Door::SetPassword)),
    post("users/{id}/forget", "forgetUser", Who::Admins, Ask::Usage(Usage::Forget)),
    delete("users/{id}/sessions", "endSessionsOfUser", Who::Members, Ask::Door(Door::EndAll)),
    get_for(Who::Anyone, "setup", "getSetup", Ask::Door(Door::Offer)),
    post("setup", "setUp", Who::Anyone, Ask::Door(Door::SetUp)),
    get_for(Who::Anyone, "oidc/start", "goElsewhere", Ask::Door(Door::GoElsewhere)),
    get_for(Who::Anyone, "oidc/callback", "comeBack", Ask::Door(Door::ComeBack)),
    get_for(Who::Members, "session", "getSession", Ask::Door(Door::Show)),
    post("session", "signIn", Who::Anyone, Ask::Door(Door::SignIn)),
    delete("session", "signOut", Who::Members, Ask::Door(Door::SignOut)),
    put("session/password", "changeOwnPassword", Who::Members, Ask::Door(Door::ChangePassword)),
    get("audit", "listAudit", Ask::Audit),
];

/// What a path leads to.
#[derive(Debug)]
pub(super) struct Place {
    /// With its methods.
    pub(super) path: &'static str,
}

impl Place {
    /// Its endpoints, one for each method.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &'static Endpoint> {
        let path = self.path;
        TABLE.iter().filter(move |endpoint| endpoint.path == path)
    }
}

/// The endpoint of a method and a path behind [`super::ROOT`], with what stands for `{id}`: a thing may have the name of another path.
pub(super) fn asked<'a>(method: &Method, segments: &[&'a str]) -> Option<(&'static Endpoint, &'a str)> {
    let mut of_method = TABLE.iter().filter(|endpoint| endpoint.method == *method);
    of_method.find_map(|endpoint| Some((endpoint, fits(endpoint.path, segments)?)))
}

/// The place of a path behind [`super::ROOT`].
pub(super) fn find(segments: &[&str]) -> Option<Place> {
    let found = TABLE.iter().find(|endpoint| fits(endpoint.path, segments).is_some());
    found.map(|endpoint| Place { path: endpoint.path })
}

/// What a path has in the place of `{id}`, if it fits a pattern.
fn fits<'a>(pattern: &str, segments: &[&'a str]) -> Option<&'a str> {
    let mut id = "";
    let mut given = segments.iter();
    for wanted in pattern.split('/') {
        let segment = given.next()?;
        match wanted {
            "{id}" if !segment.is_empty() => id = segment,
            wanted if wanted == *segment => {}
            _ => return None,
        }
    }
    given.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_endpoint_has_its_methods() {
        for (path, methods) in [
            ("providers", "GET POST"),
            ("providers/a", "GET PATCH DELETE"),
            ("providers/a/models", "GET"),
            ("providers/a/disable", "POST"),
            ("credentials", "GET POST"),
            ("credentials/a:1", "GET PATCH DELETE"),
            ("credentials/import", "POST"),
            ("tokens/batch-import", "POST"),
            ("tokens/readiness", "GET"),
            ("tokens/a:1/refresh", "POST"),
            ("credentials/a:1/probe", "POST"),
            ("pools", "GET POST"),
            ("routes/1", "GET PATCH DELETE"),
            ("problems", "GET"),
            ("explain", "POST"),
            ("keys/1/rotate", "POST"),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            let found = find(&segments).unwrap();
            let found: Vec<&str> = found.endpoints().map(|endpoint| endpoint.method.as_str()).collect();
            assert_eq!(found.join(" "), methods, "{path}");
        }
        for path in [
            "",
            "provider",
            "providers/",
            "credentials/a/b",
            "credentials/a/probe/b",
            "pools/a/b",
            "routes/a/enable/b",
            "users/1/rotate",
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            assert!(find(&segments).is_none(), "{path}");
        }
    }

    #[test]
    fn what_stands_for_the_id_is_told() {
        let id = |method, segments: &[&'static str]| asked(&method, segments).map(|(_, id)| id);
        assert_eq!(id(Method::POST, &["keys", "7", "rotate"]), Some("7"));
        assert_eq!(find(&["credentials", "health"]).unwrap().path, "credentials/health");
        assert_eq!(id(Method::GET, &["credentials", "heal"]), Some("heal"));
        // A provider may have this name, too.
        assert_eq!(id(Method::POST, &["providers", "try"]), Some(""));
        assert_eq!(id(Method::DELETE, &["providers", "try"]), Some("try"));
    }

    #[test]
    fn no_two_endpoints_are_the_same() {
        let (mut operations, mut places) = (HashSet::new(), HashSet::new());
        for endpoint in TABLE {
            assert!(operations.insert(endpoint.operation), "{}", endpoint.operation);
            assert!(places.insert((endpoint.method.as_str(), endpoint.path)), "{} {}", endpoint.method, endpoint.path);
            let segments: Vec<&str> = endpoint.path.split('/').collect();
            assert_eq!(find(&segments).unwrap().path, endpoint.path, "another one stands above it");
        }
    }

    const ROLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ROLES.md");

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it says whether to write the file anew")]
    fn a13_the_policy_is_what_is_written() {
        let mut text = String::from(
            "# Who may do what\n\nEvery endpoint of the admin API and the least role that it takes. `anyone` is also who has shown nothing yet. Members \
             see and change what is their own, managers what belongs to their team and its users; what is not theirs is not there (404). Admin keys may \
             do everything. This file is written from the table of endpoints, and a test plays every row of it as everybody.\n\n\
             | Method | Path | Least role |\n|---|---|---|\n",
        );
        for Endpoint { method, path, who, .. } in TABLE {
            let who = who.word();
            writeln!(text, "| {method} | {}{path} | {who} |", super::super::ROOT).unwrap();
        }
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(ROLES, &text).unwrap();
        }
        let written = std::fs::read_to_string(ROLES).unwrap_or_default();
        assert!(written == text, "docs/ROLES.md is not up to date: run this test with UPDATE_REFERENCE=1");
    }

    #[test]
    fn a13_what_belongs_to_nobody_is_for_admins() {
        for endpoint in TABLE.iter().filter(|endpoint| endpoint.who < Who::Admins) {
            let list = endpoint.path.split('/').next().unwrap();
            // Of these, everybody sees what is theirs.
            let used =
                ["requests", "ledger", "usage", "overview", "quotas"].contains(&list) && endpoint.method == Method::GET;
            let own = used
                || ["teams", "users", "keys", "session", "setup", "oidc", "openapi.json"].contains(&list)
                || [Ask::Pools, Ask::Models, Ask::Clients].contains(&endpoint.ask);
            assert!(own, "{} {}", endpoint.method, endpoint.path);
            let changes_teams = list == "teams" && endpoint.method != Method::GET;
            assert!(!changes_teams, "{} {}", endpoint.method, endpoint.path);
        }
        let doors: Vec<&str> =
            TABLE.iter().filter(|endpoint| endpoint.who == Who::Anyone).map(|endpoint| endpoint.operation).collect();
        assert_eq!(doors, ["getOpenApi", "getSetup", "setUp", "goElsewhere", "comeBack", "signIn"]);
        for (who, least) in [(Who::Members, Role::Member), (Who::Managers, Role::Manager), (Who::Admins, Role::Admin)] {
            assert!(!who.allows(None) && Role::ALL.into_iter().all(|role| who.allows(Some(role)) == (role >= least)));
        }
    }
}
