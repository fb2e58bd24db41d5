//! The Antigravity gateway: `data/tokens.json` and its `.env`.

use serde_json::{Map, Value};

use super::has;
use crate::draft::{Draft, object};
use crate::finding::Grade;
use crate::format::Look;
use crate::source::{Kind, Node, Source};

const NAME: &str = "antigravity";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

pub(super) fn is_like(look: &Look<'_>, strong: bool) -> bool {
    let projects = look.tree().and_then(|tree| tree.get("projects")?.as_array());
    let of_project = projects.is_some_and(|list| list.iter().any(|one| has(one, "refresh_token")));
    of_project || look.has_any(&["oauth_config"]) || !strong && look.has_variable(&["API_KEYS"])
}

pub(super) fn read(source: &Source, draft: &mut Draft<'_>) {
    let tokens = source.tree(|tree| has(tree, "projects") || has(tree, "oauth_config"));
    let mut oauth = object([("token_url", Some(TOKEN_URL.into()))]);
    let config = tokens.as_ref().and_then(|tokens| tokens.get("oauth_config"));
    for member in ["token_url", "client_id", "client_secret"] {
        if let Some(node) = config.as_ref().and_then(|config| config.get(member))
            && let Some(text) = node.text()
        {
            oauth.insert(member.to_owned(), draft.follow(text, &["env:"]).into());
            node.exact(format!("providers.{NAME}.oauth.{member}"));
        }
    }
    let whole = oauth.contains_key("client_id");
    let projects = tokens.as_ref().and_then(|tokens| tokens.get("projects"));
    if whole {
        let name = draft
            .provider(NAME, object([("preset", Some("antigravity".into())), ("oauth", Some(Value::Object(oauth)))]));
        for project in projects.iter().flat_map(Node::items) {
            account(&project, &name, draft);
        }
        draft.set("default_provider", name);
        source.implied("", Grade::Exact, "default_provider", "every model name goes to Google, as it does there");
    } else if let Some(projects) = &projects {
        projects.manual("without `client_id` the accounts cannot be used: add `oauth_config` and import again");
    }
    let root = source.roots(Kind::Variables).next();
    if let Some(root) = &root {
        if let Some(node) = root.get("API_KEYS") {
            keys(&node, draft);
        }
        draft.listen(root.get("HOST"), root.get("PORT"));
    }
    draft.set("server.stream_by_default", true);
    let note = "requests that do not say `stream` are answered with a stream, as they are there";
    source.implied("", Grade::Exact, "server.stream_by_default", note);
}

fn account(project: &Node<'_>, provider: &str, draft: &mut Draft<'_>) {
    let id = project.get("project_id");
    let text = id.as_ref().and_then(Node::text);
    let more = object([("name", text.map(Value::from)), ("project", text.map(Value::from))]);
    let Some(token) = project.get("refresh_token") else {
        project.manual("an account without `refresh_token`: log in again there, or add it by hand");
        return;
    };
    let Some(refresh) = token.text() else {
        token.unsupported("a token is a text");
        return;
    };
    let refresh = draft.follow(refresh, &["env:"]);
    draft.key_text(&token, provider, &refresh, "refresh_token", more);
    if let Some(id) = id {
        id.exact(format!("credentials of {provider}"));
    }
    project.all_exact(&["access_token", "expires_at"], "fetched anew");
}

/// A JSON list of keys, or keys with commas between them.
fn keys(node: &Node<'_>, draft: &mut Draft<'_>) {
    let said = node.said();
    let texts: Vec<String> = match serde_json::from_str::<Vec<Value>>(&said) {
        Ok(list) => list.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        Err(_) => said.split(',').map(|key| key.trim().to_owned()).collect(),
    };
    for (at, text) in texts.into_iter().filter(|text| !text.is_empty()).enumerate() {
        draft.client_key_text(node, &format!("client-{}", at + 1), text, Map::new());
    }
    if !draft.has_keys() {
        node.manual("this is no list of keys: write it as [\"key\"]");
    }
}
